/*
 * The cache of tokens: a short list of entries, one a credential, behind one lock. An entry has a
 * token or none, at most one turn that fetches, and a queue of turns that wait.
 */
#include "cloud/tokens.h"

#include "base/buf.h"
#include "codec/digest.h"

#include <pthread.h>

enum {
    RENEW_MOST_S = 300, /* a token is renewed a tenth of its life before its end, at most this */
    QUIET_S = 10,       /* after a failed renewal or a refused credential nobody asks again */
};

struct slu_tokens_entry {
    struct slu_tokens_entry *next;
    struct slu_tokens_key key;
    struct slu_secret *token; /* or NULL */
    int64_t until_s, renew_s;
    uint64_t generation;
    struct slu_tokens_turn *fetcher, *waiting; /* in the order they came */
    int64_t quiet_until_s;
    struct slu_fault refused; /* NONE: the credential was not refused last */
};

struct slu_tokens {
    pthread_mutex_t lock;
    struct slu_tokens_entry *entries;
    uint64_t generations;
    unsigned char secret[SLU_TOKENS_SECRET];
};

struct slu_tokens *slu_tokens_new(const unsigned char secret[SLU_TOKENS_SECRET])
{
    struct slu_tokens *tokens = slu_mem_new(sizeof(*tokens));

    if (!tokens)
        return NULL;
    memcpy(tokens->secret, secret, SLU_TOKENS_SECRET);
    if (pthread_mutex_init(&tokens->lock, NULL) == 0)
        return tokens;
    slu_mem_free(tokens);
    return NULL;
}

static void free_entry(struct slu_tokens_entry *entry)
{
    slu_secret_free(entry->token);
    slu_mem_free(entry);
}

void slu_tokens_free(struct slu_tokens *tokens)
{
    if (!tokens)
        return;
    while (tokens->entries) {
        struct slu_tokens_entry *entry = tokens->entries;

        slu_must(!entry->fetcher && !entry->waiting);
        tokens->entries = entry->next;
        free_entry(entry);
    }
    pthread_mutex_destroy(&tokens->lock);
    slu_wipe(tokens->secret, sizeof(tokens->secret));
    slu_mem_free(tokens);
}

/* ---- keys */

static void add_text(struct slu_buf *out, struct slu_str text)
{
    slu_buf_u64(out, text.n); /* so that no two lists of texts are written alike */
    slu_buf_byte(out, ':');
    slu_buf_add(out, text);
}

enum { IDENTITY_TEXTS = 12 };

static void identity_of(const struct slu_target *target, struct slu_str texts[IDENTITY_TEXTS])
{
    const struct slu_credentials *credentials = &target->credentials;
    struct slu_seal_conf conf = slu_credentials_conf(credentials);
    const struct slu_str all[IDENTITY_TEXTS] = {
        target->name,
        slu_str_of(slu_scheme_name(credentials->scheme)),
        credentials->token.scheme,
        credentials->token.host,
        credentials->token.base_path,
        conf.access_key,
        slu_secret_reveal(conf.secret_key),
        conf.security_token,
        conf.region,
        conf.service,
        conf.domain,
        conf.project,
    };

    memcpy(texts, all, sizeof(all));
}

bool slu_tokens_key_of(const struct slu_tokens *tokens, const struct slu_target *target,
                       struct slu_tokens_key *ret_key)
{
    slu_auto(slu_hmac) *hmac =
        slu_hmac_new((struct slu_str){(const char *)tokens->secret, sizeof(tokens->secret)});
    struct slu_str texts[IDENTITY_TEXTS];
    struct slu_buf identity;
    size_t size = 0;
    bool good;

    identity_of(target, texts);
    for (size_t i = 0; i < IDENTITY_TEXTS; i++)
        size += texts[i].n + 24;
    slu_buf_init(&identity, 0);
    /* At once, since growing would leave pieces of the password behind. */
    if (slu_buf_reserve(&identity, size))
        for (size_t i = 0; i < IDENTITY_TEXTS; i++)
            add_text(&identity, texts[i]);
    good =
        hmac && !identity.failed && slu_hmac_sha256(hmac, slu_buf_str(&identity), ret_key->bytes);
    slu_wipe(identity.p, identity.n);
    slu_buf_done(&identity);
    return good;
}

/* ---- entries, under the lock */

static bool serves(const struct slu_tokens_entry *entry, int64_t now_s)
{
    return entry->token && now_s < entry->until_s;
}

static void drop_token(struct slu_tokens_entry *entry)
{
    slu_secret_free(entry->token);
    entry->token = NULL;
}

static struct slu_tokens_entry *find(const struct slu_tokens *tokens,
                                     const struct slu_tokens_key *key)
{
    struct slu_tokens_entry *entry = tokens->entries;

    while (entry && memcmp(&entry->key, key, sizeof(*key)) != 0)
        entry = entry->next;
    return entry;
}

/* Credentials of former configurations leave when their tokens have ended. */
static void prune(struct slu_tokens *tokens, int64_t now_s)
{
    struct slu_tokens_entry **at = &tokens->entries;

    while (*at) {
        struct slu_tokens_entry *entry = *at;

        if (entry->fetcher || entry->waiting || serves(entry, now_s) ||
            now_s < entry->quiet_until_s) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        free_entry(entry);
    }
}

static struct slu_tokens_entry *find_or_make(struct slu_tokens *tokens,
                                             const struct slu_tokens_key *key, int64_t now_s)
{
    struct slu_tokens_entry *entry = find(tokens, key);

    if (entry)
        return entry;
    prune(tokens, now_s);
    entry = slu_mem_new(sizeof(*entry));
    if (!entry)
        return NULL;
    entry->key = *key;
    entry->next = tokens->entries;
    tokens->entries = entry;
    return entry;
}

static void enqueue(struct slu_tokens_entry *entry, struct slu_tokens_turn *turn)
{
    struct slu_tokens_turn **at = &entry->waiting;

    while (*at)
        at = &(*at)->next;
    *at = turn;
    turn->next = NULL;
    turn->entry = entry;
}

static struct slu_tokens_turn *dequeue(struct slu_tokens_entry *entry)
{
    struct slu_tokens_turn *turn = entry->waiting;

    if (turn)
        entry->waiting = turn->next;
    return turn;
}

static void begin_fetch(struct slu_tokens_entry *entry, struct slu_tokens_turn *turn)
{
    entry->fetcher = turn;
    turn->entry = entry;
    turn->fetches = true;
}

static void end_fetch(struct slu_tokens_turn *turn)
{
    slu_must(turn->entry && turn->fetches && turn->entry->fetcher == turn);
    turn->entry->fetcher = NULL;
    turn->entry = NULL;
    turn->fetches = false;
}

/* All who wait take again; with a fault they are told that. */
static void wake_all(struct slu_tokens_entry *entry, const struct slu_fault *fault)
{
    struct slu_tokens_turn *turn;

    while ((turn = dequeue(entry))) {
        turn->entry = NULL;
        turn->ended = fault != NULL;
        if (fault)
            turn->fault = *fault;
        turn->wake(turn->context);
    }
}

static void note_failure(struct slu_tokens_entry *entry, int64_t now_s,
                         const struct slu_fault *fault)
{
    bool old_serves = serves(entry, now_s);

    entry->refused = (struct slu_fault){.kind = SLU_FAULT_NONE};
    if (fault->kind == SLU_FAULT_CREDENTIALS)
        entry->refused = *fault;
    if (old_serves || fault->kind == SLU_FAULT_CREDENTIALS)
        entry->quiet_until_s = now_s + QUIET_S;
    wake_all(entry, old_serves ? NULL : fault);
}

/* ---- what requests call */

static enum slu_tokens_state failed(struct slu_fault *fault, const struct slu_fault *why)
{
    slu_fault_set(fault, why->kind, why->place, "%s", why->words);
    return SLU_TOKENS_FAILED;
}

static enum slu_tokens_state hand_out(const struct slu_tokens_entry *entry, uint64_t known,
                                      struct slu_arena *arena, struct slu_token *ret_token,
                                      uint64_t *ret_generation, struct slu_fault *fault)
{
    if (entry->generation != known) {
        struct slu_token token = {slu_arena_str(arena, slu_secret_reveal(entry->token)),
                                  entry->until_s};

        if (!token.text.p) {
            slu_fault_memory(fault);
            return SLU_TOKENS_FAILED;
        }
        *ret_token = token;
    }
    *ret_generation = entry->generation;
    return SLU_TOKENS_HAVE;
}

/* A turn that begins: what it does follows from the entry. HAVE and FAILED are only found out. */
static enum slu_tokens_state begin(struct slu_tokens_entry *entry, int64_t now_s,
                                   struct slu_tokens_turn *turn)
{
    bool good = serves(entry, now_s), quiet = now_s < entry->quiet_until_s;

    if (good && (now_s < entry->renew_s || entry->fetcher || quiet))
        return SLU_TOKENS_HAVE;
    if (entry->fetcher) {
        enqueue(entry, turn);
        return SLU_TOKENS_WAIT;
    }
    if (quiet && entry->refused.kind != SLU_FAULT_NONE)
        return SLU_TOKENS_FAILED;
    begin_fetch(entry, turn);
    return SLU_TOKENS_FETCH;
}

enum slu_tokens_state slu_tokens_take(struct slu_tokens *tokens, const struct slu_tokens_key *key,
                                      int64_t now_s, uint64_t known, struct slu_tokens_turn *turn,
                                      struct slu_arena *arena, struct slu_token *ret_token,
                                      uint64_t *ret_generation, struct slu_fault *fault)
{
    enum slu_tokens_state state = SLU_TOKENS_FAILED;
    struct slu_tokens_entry *entry;

    pthread_mutex_lock(&tokens->lock);
    if (turn->ended) {
        turn->ended = false;
        state = failed(fault, &turn->fault);
    } else if (turn->entry) {
        state = turn->fetches ? SLU_TOKENS_FETCH : SLU_TOKENS_WAIT;
    } else if ((entry = find_or_make(tokens, key, now_s))) {
        state = begin(entry, now_s, turn);
        if (state == SLU_TOKENS_HAVE)
            state = hand_out(entry, known, arena, ret_token, ret_generation, fault);
        else if (state == SLU_TOKENS_FAILED)
            failed(fault, &entry->refused);
    } else {
        slu_fault_memory(fault);
    }
    pthread_mutex_unlock(&tokens->lock);
    return state;
}

/* Rounded up, so that a short life too leaves time between a renewal and the end; but a token of a
 * single second is not renewed as soon as it comes. */
static int64_t renewed_before(int64_t life_s)
{
    int64_t tenth_s = (life_s + 8) / 10;

    return tenth_s < RENEW_MOST_S ? tenth_s : RENEW_MOST_S;
}

static bool replace(struct slu_tokens *tokens, struct slu_tokens_entry *entry,
                    const struct slu_token *token, int64_t now_s, struct slu_fault *fault)
{
    int64_t life_s = token->until_s - now_s;
    struct slu_secret *copy;

    if (life_s <= 0)
        return slu_fault_set(fault, SLU_FAULT_UPSTREAM_UNREADABLE, "credentials",
                             "the token had ended already when it came; compare this machine's "
                             "clock with the cloud's");
    copy = slu_secret_new(token->text);
    if (!copy)
        return slu_fault_memory(fault);
    drop_token(entry);
    entry->token = copy;
    entry->until_s = token->until_s;
    entry->renew_s = token->until_s - renewed_before(life_s);
    entry->generation = ++tokens->generations;
    entry->quiet_until_s = 0;
    entry->refused = (struct slu_fault){.kind = SLU_FAULT_NONE};
    return true;
}

bool slu_tokens_put(struct slu_tokens *tokens, struct slu_tokens_turn *turn,
                    const struct slu_token *token, int64_t now_s, struct slu_fault *fault)
{
    struct slu_fault why = {.kind = SLU_FAULT_NONE};
    struct slu_tokens_entry *entry;
    bool good;

    pthread_mutex_lock(&tokens->lock);
    entry = turn->entry;
    end_fetch(turn);
    good = replace(tokens, entry, token, now_s, &why);
    if (good) {
        wake_all(entry, NULL);
    } else {
        note_failure(entry, now_s, &why);
        failed(fault, &why);
    }
    pthread_mutex_unlock(&tokens->lock);
    return good;
}

void slu_tokens_fail(struct slu_tokens *tokens, struct slu_tokens_turn *turn, int64_t now_s,
                     const struct slu_fault *fault)
{
    struct slu_tokens_entry *entry;

    pthread_mutex_lock(&tokens->lock);
    entry = turn->entry;
    end_fetch(turn);
    note_failure(entry, now_s, fault);
    pthread_mutex_unlock(&tokens->lock);
}

static void unlink_turn(struct slu_tokens_turn *turn)
{
    struct slu_tokens_turn **at = &turn->entry->waiting;

    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    turn->entry = NULL;
}

/* Who waits longest fetches instead. */
static void leave_fetch(struct slu_tokens_turn *turn)
{
    struct slu_tokens_entry *entry = turn->entry;
    struct slu_tokens_turn *heir;

    end_fetch(turn);
    heir = dequeue(entry);
    if (!heir)
        return;
    begin_fetch(entry, heir);
    heir->wake(heir->context);
}

void slu_tokens_leave(struct slu_tokens *tokens, struct slu_tokens_turn *turn)
{
    pthread_mutex_lock(&tokens->lock);
    turn->ended = false;
    if (turn->entry && turn->fetches)
        leave_fetch(turn);
    else if (turn->entry)
        unlink_turn(turn);
    pthread_mutex_unlock(&tokens->lock);
}

void slu_tokens_refuse(struct slu_tokens *tokens, const struct slu_tokens_key *key,
                       uint64_t generation)
{
    struct slu_tokens_entry *entry;

    pthread_mutex_lock(&tokens->lock);
    entry = find(tokens, key);
    if (entry && entry->generation == generation)
        drop_token(entry);
    pthread_mutex_unlock(&tokens->lock);
}
