/*
 * Digests by SipHash-2-4 (Aumasson and Bernstein 2012, the reference's test vectors are in the unit
 * test) in shards, each a table with linear probing behind a lock of its own. An entry whose time
 * is over keeps its slot until the table is built anew; that happens when slots run out, so its
 * cost is shared by the many that were taken in between.
 */
#include "cloud/nonces.h"

#include "base/secret.h"
#include "cloud/nonces_internal.h"

#include <pthread.h>

enum { SHARDS = 64, FIRST_SLOTS = 64 };

struct slot {
    uint64_t digest;
    int64_t until_s; /* the last second in which it counts; 0: never used */
};

struct shard {
    pthread_mutex_t lock;
    struct slot *slots;
    size_t size, used;   /* a power of two; slots that are not free */
    int64_t first_end_s; /* not one entry is over before */
};

struct slu_nonces {
    struct shard shards[SHARDS];
    uint64_t secret[2];
    size_t most; /* in a shard */
    int64_t skew_s;
};

/* ---- the digest */

static uint64_t rotated(uint64_t word, unsigned by)
{
    return word << by | word >> (64 - by);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] = rotated(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] = rotated(v[2], 32);
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v);
    mix(v);
    v[0] ^= word;
}

/* Up to eight bytes, the first one lowest. */
static uint64_t word_of(const char *bytes, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return word;
}

/* The whole text as SipHash pads it: its length in the last word's last byte, so that texts that
 * follow one another cannot be cut in another way (of 256 bytes or more the length goes first). */
static void absorb_text(uint64_t v[4], struct slu_str text)
{
    size_t at = 0;

    if (text.n > 255)
        absorb(v, text.n);
    for (; text.n - at >= 8; at += 8)
        absorb(v, word_of(text.p + at, 8));
    absorb(v, word_of(text.p + at, text.n - at) | (uint64_t)(text.n & 255) << 56);
}

uint64_t slu_nonces_digest(const uint64_t secret[2], const struct slu_str *texts, size_t count)
{
    uint64_t v[4] = {
        secret[0] ^ UINT64_C(0x736f6d6570736575),
        secret[1] ^ UINT64_C(0x646f72616e646f6d),
        secret[0] ^ UINT64_C(0x6c7967656e657261),
        secret[1] ^ UINT64_C(0x7465646279746573),
    };

    for (size_t i = 0; i < count; i++)
        absorb_text(v, texts[i]);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- life */

struct slu_nonces *slu_nonces_new(const unsigned char secret[SLU_NONCES_SECRET], size_t most,
                                  int64_t skew_s)
{
    struct slu_nonces *nonces = slu_mem_new(sizeof(*nonces));

    if (!nonces)
        return NULL;
    memcpy(nonces->secret, secret, sizeof(nonces->secret));
    nonces->most = (most + SHARDS - 1) / SHARDS;
    nonces->skew_s = skew_s;
    for (size_t i = 0; i < SHARDS; i++)
        slu_must(pthread_mutex_init(&nonces->shards[i].lock, NULL) == 0); /* cannot fail on Linux */
    return nonces;
}

void slu_nonces_free(struct slu_nonces *nonces)
{
    if (!nonces)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        slu_mem_free(nonces->shards[i].slots);
        pthread_mutex_destroy(&nonces->shards[i].lock);
    }
    slu_wipe(nonces->secret, sizeof(nonces->secret));
    slu_mem_free(nonces);
}

/* ---- one shard, under its lock */

static void insert(struct shard *shard, uint64_t digest, int64_t until_s)
{
    size_t at = digest & (shard->size - 1);

    while (shard->slots[at].until_s)
        at = (at + 1) & (shard->size - 1);
    shard->slots[at] = (struct slot){digest, until_s > 0 ? until_s : 1};
    shard->used++;
    if (until_s < shard->first_end_s)
        shard->first_end_s = until_s;
}

static size_t count_alive(const struct shard *shard, int64_t now_s)
{
    size_t alive = 0;

    for (size_t i = 0; i < shard->size; i++)
        alive += shard->slots[i].until_s >= now_s;
    return alive;
}

/* Without the entries that are over, in twice the slots they need at least. */
static bool rebuild(struct shard *shard, int64_t now_s)
{
    size_t alive = count_alive(shard, now_s), size = FIRST_SLOTS;
    struct shard old = *shard;

    while (size < 2 * (alive + 1))
        size *= 2;
    shard->slots = slu_mem_array(size, sizeof(*shard->slots));
    if (!shard->slots) {
        shard->slots = old.slots;
        return false;
    }
    shard->size = size;
    shard->used = 0;
    shard->first_end_s = INT64_MAX;
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].until_s >= now_s)
            insert(shard, old.slots[i].digest, old.slots[i].until_s);
    slu_mem_free(old.slots);
    return true;
}

/* Room for one more. When all that is there still counts, building anew would only cost time. */
static bool has_room(const struct slu_nonces *nonces, struct shard *shard, int64_t now_s)
{
    bool full = shard->used >= nonces->most;

    if (!full && shard->used < shard->size / 4 * 3)
        return true;
    if (full && shard->first_end_s >= now_s)
        return false;
    return rebuild(shard, now_s) && shard->used < nonces->most;
}

static bool was_seen(const struct shard *shard, uint64_t digest, int64_t now_s)
{
    size_t at = digest & (shard->size - 1);

    if (!shard->size)
        return false;
    for (; shard->slots[at].until_s; at = (at + 1) & (shard->size - 1))
        if (shard->slots[at].digest == digest && shard->slots[at].until_s >= now_s)
            return true;
    return false;
}

enum slu_nonce slu_nonces_take(struct slu_nonces *nonces, struct slu_str door,
                               struct slu_str access_key, struct slu_str nonce, int64_t unix_s,
                               int64_t now_s)
{
    const struct slu_str texts[] = {door, access_key, nonce};
    uint64_t digest = slu_nonces_digest(nonces->secret, texts, SLU_COUNT(texts));
    struct shard *shard = &nonces->shards[digest >> 58]; /* slots go by the low bits */
    enum slu_nonce answer = SLU_NONCE_NEW;

    pthread_mutex_lock(&shard->lock);
    if (was_seen(shard, digest, now_s))
        answer = SLU_NONCE_SEEN;
    else if (!has_room(nonces, shard, now_s))
        answer = SLU_NONCE_FULL;
    else
        insert(shard, digest, unix_s + nonces->skew_s);
    pthread_mutex_unlock(&shard->lock);
    return answer;
}
