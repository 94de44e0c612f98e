/*
 * Turns at keys. A ticket is on the heap and in a bucket's list; the first ticket with a key has
 * the turn. A ticket that was called but ended before the call arrived is freed by the call.
 */
#include "exchange/turns.h"

#include "base/arena.h"

#include <pthread.h>

enum { BUCKETS = 1024, SIGHT_SETS = 512, SIGHT_WAYS = 8 };

struct slu_turn {
    struct slu_turn *next; /* in its bucket, in the order of asking */
    struct slu_turns *turns;
    struct slu_loop *loop;
    slu_loop_fn *ready; /* NULL: ended */
    void *argument;
    bool has;    /* the turn is this ticket's */
    bool called; /* a call is on its way to the loop */
    size_t bucket;
    size_t key_n;
    char key[];
};

struct sight {
    uint64_t at_us;
    char *text; /* key, then what was seen */
    size_t key_n, n;
};

struct slu_turns {
    pthread_mutex_t lock;
    struct slu_turn *buckets[BUCKETS];
    /* By hash: the newest takes the place of the oldest in its set. */
    struct sight sights[SIGHT_SETS][SIGHT_WAYS];
};

struct slu_turns *slu_turns_new(void)
{
    struct slu_turns *turns = slu_mem_new(sizeof(*turns));

    if (!turns)
        return NULL;
    slu_must(pthread_mutex_init(&turns->lock, NULL) == 0);
    return turns;
}

void slu_turns_free(struct slu_turns *turns)
{
    if (!turns)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (turns->buckets[i]) { /* called, but their loop turned no more */
            struct slu_turn *next = turns->buckets[i]->next;

            slu_mem_free(turns->buckets[i]);
            turns->buckets[i] = next;
        }
    for (size_t i = 0; i < SIGHT_SETS; i++)
        for (size_t k = 0; k < SIGHT_WAYS; k++)
            slu_mem_free(turns->sights[i][k].text);
    pthread_mutex_destroy(&turns->lock);
    slu_mem_free(turns);
}

/* Keys are our own names and ids; an attacker gains no more than a longer list. */
static size_t hash(struct slu_str key)
{
    uint64_t h = slu_str_hash(SLU_STR_BASIS, key);

    return (size_t)(h ^ (h >> 32));
}

static bool same_key(const struct slu_turn *turn, struct slu_str key)
{
    return slu_str_eq((struct slu_str){turn->key, turn->key_n}, key);
}

static struct slu_turn *ticket_new(struct slu_turns *turns, struct slu_loop *loop,
                                   struct slu_str key)
{
    struct slu_turn *turn = slu_mem_new(sizeof(*turn) + key.n + 1);

    if (!turn)
        return NULL;
    turn->turns = turns;
    turn->loop = loop;
    turn->bucket = hash(key) % BUCKETS;
    turn->key_n = key.n;
    if (key.n)
        memcpy(turn->key, key.p, key.n);
    return turn;
}

/* On the ticket's loop. */
static void call(void *argument)
{
    struct slu_turn *turn = argument;

    turn->called = false;
    if (turn->ready)
        turn->ready(turn->argument);
    else
        slu_turn_end(turn);
}

/* The lock is held. The first ticket with this key gets the turn, unless it has it; when its loop
 * cannot be told for want of memory, whoever asks or ends later tries again. */
static void pass_on(struct slu_turns *turns, size_t bucket, struct slu_str key)
{
    for (struct slu_turn *at = turns->buckets[bucket]; at; at = at->next) {
        if (!same_key(at, key))
            continue;
        if (at->has)
            return;
        at->has = at->called = true; /* before the call, which may run at once */
        if (!slu_loop_post(at->loop, call, at))
            at->has = at->called = false;
        return;
    }
}

struct slu_turn *slu_turn_ask(struct slu_turns *turns, struct slu_loop *loop, struct slu_str key,
                              slu_loop_fn *ready, void *argument, bool *ret_now)
{
    struct slu_turn *turn = ticket_new(turns, loop, key), **at;

    if (!turn)
        return NULL;
    turn->ready = ready;
    turn->argument = argument;
    turn->has = true;
    pthread_mutex_lock(&turns->lock);
    for (at = &turns->buckets[turn->bucket]; *at; at = &(*at)->next)
        turn->has = turn->has && !same_key(*at, key);
    *at = turn;
    *ret_now = turn->has;
    if (!turn->has)
        pass_on(turns, turn->bucket, key);
    pthread_mutex_unlock(&turns->lock);
    return turn;
}

void slu_turn_end(struct slu_turn *turn)
{
    struct slu_turns *turns;
    struct slu_turn **at;
    bool called;

    if (!turn)
        return;
    turns = turn->turns;
    pthread_mutex_lock(&turns->lock);
    called = turn->called;
    turn->ready = NULL;
    if (!called) {
        for (at = &turns->buckets[turn->bucket]; *at != turn; at = &(*at)->next)
            ;
        *at = turn->next;
        pass_on(turns, turn->bucket, (struct slu_str){turn->key, turn->key_n});
    }
    pthread_mutex_unlock(&turns->lock);
    if (!called)
        slu_mem_free(turn);
}

/* What was seen */

static bool is_of(const struct sight *sight, struct slu_str key)
{
    return sight->text && slu_str_eq((struct slu_str){sight->text, sight->key_n}, key);
}

/* The lock is held. Where what is seen at this key belongs: in place of what was, or of the oldest.
 */
static struct sight *place_of(struct slu_turns *turns, struct slu_str key)
{
    struct sight *set = turns->sights[hash(key) % SIGHT_SETS], *oldest = set;

    for (size_t i = 0; i < SIGHT_WAYS; i++) {
        if (is_of(&set[i], key))
            return &set[i];
        if (set[i].at_us < oldest->at_us)
            oldest = &set[i];
    }
    return oldest;
}

void slu_turns_tell(struct slu_turns *turns, struct slu_str key, uint64_t at_us,
                    struct slu_str seen)
{
    char *text = slu_mem_new(key.n + seen.n + 1), *old = text;
    struct sight *sight;

    if (!text)
        return; /* the next one looks for himself */
    if (key.n)
        memcpy(text, key.p, key.n);
    if (seen.n)
        memcpy(text + key.n, seen.p, seen.n);
    pthread_mutex_lock(&turns->lock);
    sight = place_of(turns, key);
    if (!is_of(sight, key) || sight->at_us <= at_us) {
        old = sight->text;
        *sight = (struct sight){at_us, text, key.n, seen.n};
    }
    pthread_mutex_unlock(&turns->lock);
    slu_mem_free(old);
}

struct slu_str slu_turns_seen(struct slu_turns *turns, struct slu_str key, uint64_t since_us,
                              struct slu_arena *arena)
{
    const struct sight *sight;
    struct slu_str seen = SLU_STR_NONE;

    pthread_mutex_lock(&turns->lock);
    sight = place_of(turns, key);
    if (is_of(sight, key) && sight->at_us >= since_us)
        seen = slu_arena_str(arena, (struct slu_str){sight->text + sight->key_n, sight->n});
    pthread_mutex_unlock(&turns->lock);
    return seen;
}
