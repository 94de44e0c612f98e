/*
 * Whose flow log it is. Where two callers want the same at the same time and the cloud's answers
 * are lost, each looks for what it has made, and may see what the other one has. So a flow log that
 * an operation of this process has made or found is not taken for another one's, and none is taken
 * as long as a create that wants the same is under way: it may be that one's.
 *
 * Kept for an hour, and as many as there is room for; by hash, since a mistake of one in 2^64 only
 * makes a look go on.
 */
#include "exchange/exchange_internal.h"

#include <stdatomic.h>

enum { SETS = 2048, WAYS = 8, WISHES = 4096 };

static const uint64_t kept_us = UINT64_C(3600) * 1000 * 1000;

struct claim {
    uint64_t what, who, at_us; /* at_us 0: none */
};

struct slu_claims {
    pthread_mutex_t lock;
    struct claim claims[SETS][WAYS];    /* the newest takes the place of the oldest in its set */
    _Atomic uint32_t under_way[WISHES]; /* creates, by what they want */
};

struct slu_claims *slu_claims_new(void)
{
    struct slu_claims *claims = slu_mem_new(sizeof(*claims));

    if (claims)
        slu_must(pthread_mutex_init(&claims->lock, NULL) == 0);
    return claims;
}

void slu_claims_free(struct slu_claims *claims)
{
    if (!claims)
        return;
    pthread_mutex_destroy(&claims->lock);
    slu_mem_free(claims);
}

static struct slu_claims *claims_of(const struct slu_job *job)
{
    return job->station->worker->gateway->claims;
}

/* Flow logs */

static uint64_t what(const struct slu_job *job, struct slu_str id)
{
    return slu_str_hash(slu_str_hash(SLU_STR_BASIS, job->target->name), id);
}

/* The lock is held. The flow log's claim, or the place for it. */
static struct claim *place_of(struct slu_claims *claims, uint64_t key)
{
    struct claim *set = claims->claims[key % SETS], *oldest = set;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].at_us && set[i].what == key)
            return &set[i];
        if (set[i].at_us < oldest->at_us)
            oldest = &set[i];
    }
    return oldest;
}

/* The lock is held. */
static bool is_anothers(const struct claim *claim, uint64_t key, uint64_t who, uint64_t now_us)
{
    return claim->at_us && claim->what == key && claim->who != who &&
           claim->at_us + kept_us > now_us;
}

bool slu_claims_take(struct slu_job *job, struct slu_str id)
{
    uint64_t key = what(job, id), who = slu_str_hash(SLU_STR_BASIS, job->request_id);
    uint64_t now_us = slu_job_now_us(job);
    struct slu_claims *claims = claims_of(job);
    struct claim *claim;
    bool good;

    pthread_mutex_lock(&claims->lock);
    claim = place_of(claims, key);
    good = !is_anothers(claim, key, who, now_us);
    if (good)
        *claim = (struct claim){key, who, now_us};
    pthread_mutex_unlock(&claims->lock);
    return good;
}

bool slu_claims_free_for(const struct slu_job *job, struct slu_str id)
{
    uint64_t key = what(job, id), who = slu_str_hash(SLU_STR_BASIS, job->request_id);
    struct slu_claims *claims = claims_of(job);
    bool good;

    pthread_mutex_lock(&claims->lock);
    good = !is_anothers(place_of(claims, key), key, who, slu_job_now_us(job));
    pthread_mutex_unlock(&claims->lock);
    return good;
}

/* Creates under way */

/* Those that a look could take for each other have the same; others seldom. */
static _Atomic uint32_t *wish_of(struct slu_job *job)
{
    const struct slu_find_by *find = slu_table_find_by(job->target->table, SLU_OP_CREATE);
    uint64_t hash = slu_str_hash(SLU_STR_BASIS, job->target->name);

    for (size_t i = 0; find && i < find->match_count; i++) {
        const struct slu_value *value = slu_find_wanted(job, find->match[i]);

        if (slu_value_is(value, SLU_STRING))
            hash = slu_str_hash(hash, value->text);
    }
    return &claims_of(job)->under_way[hash % WISHES];
}

void slu_claims_begin(struct slu_job *job)
{
    if (job->asking != SLU_OP_CREATE || job->wish)
        return;
    job->wish = wish_of(job);
    atomic_fetch_add(job->wish, 1);
}

void slu_claims_end(struct slu_job *job)
{
    if (job->wish)
        atomic_fetch_sub(job->wish, 1);
    job->wish = NULL;
}

bool slu_claims_wait(struct slu_job *job)
{
    return job->asking == SLU_OP_CREATE && atomic_load(wish_of(job)) > 0;
}
