/*
 * Places and the rate, behind one lock. A place that becomes free goes to who waits longest before
 * he is woken, so nobody overtakes him. The rate is the generic cell rate algorithm (ITU-T I.371):
 * one moment, until which the calls that have gone or are promised fill it.
 */
#include "cloud/limit.h"

#include <pthread.h>

#define SECOND_NS UINT64_C(1000000000)
enum { SOON_MS = 1000 }; /* when to come back, where nothing better is known */

struct slu_limit {
    pthread_mutex_t lock;
    struct slu_limit_conf conf;
    uint32_t in_flight, waiting;
    struct slu_limit_turn *first, **end; /* the queue */
    uint64_t filled_ns;
    uint64_t full, late;
};

struct slu_limit *slu_limit_new(const struct slu_limit_conf *conf)
{
    struct slu_limit *limit = slu_mem_new(sizeof(*limit));

    if (!limit)
        return NULL;
    slu_must(pthread_mutex_init(&limit->lock, NULL) == 0);
    limit->end = &limit->first;
    limit->conf = *conf;
    return limit;
}

void slu_limit_free(struct slu_limit *limit)
{
    if (!limit)
        return;
    slu_must(!limit->in_flight && !limit->first);
    pthread_mutex_destroy(&limit->lock);
    slu_mem_free(limit);
}

/* ---- the queue and the places, under the lock */

static void enqueue(struct slu_limit *limit, struct slu_limit_turn *turn)
{
    turn->waits = true;
    turn->next = NULL;
    turn->back = limit->end;
    *limit->end = turn;
    limit->end = &turn->next;
    limit->waiting++;
}

static void unlink_turn(struct slu_limit *limit, struct slu_limit_turn *turn)
{
    *turn->back = turn->next;
    if (turn->next)
        turn->next->back = turn->back;
    else
        limit->end = turn->back;
    turn->waits = false;
    limit->waiting--;
}

static bool has_room(const struct slu_limit *limit)
{
    uint32_t most = limit->conf.in_flight ? limit->conf.in_flight : 1;

    return limit->in_flight < most;
}

static void hold(struct slu_limit *limit, struct slu_limit_turn *turn)
{
    turn->holds = true;
    limit->in_flight++;
}

static void fill_room(struct slu_limit *limit)
{
    struct slu_limit_turn *turn;

    while (has_room(limit) && (turn = limit->first)) {
        unlink_turn(limit, turn);
        hold(limit, turn);
        turn->wake(turn->context);
    }
}

static void let_go(struct slu_limit *limit, struct slu_limit_turn *turn)
{
    turn->holds = turn->reserved = turn->sent = false;
    limit->in_flight--;
    fill_room(limit);
}

/* ---- the rate, under the lock */

/* Rounded up: rather below the rate than above. */
static uint64_t interval_ns(const struct slu_limit *limit)
{
    return (SECOND_NS + limit->conf.rate_per_s - 1) / limit->conf.rate_per_s;
}

/* The moment from which the next call may go. */
static uint64_t due_ns(const struct slu_limit *limit, uint64_t now_ns)
{
    uint64_t burst = limit->conf.burst ? limit->conf.burst : 1;
    uint64_t ahead_ns = (burst - 1) * interval_ns(limit);

    return limit->filled_ns > now_ns + ahead_ns ? limit->filled_ns - ahead_ns : now_ns;
}

static uint32_t until_ms(uint64_t due_us, uint64_t now_us)
{
    uint64_t ms = due_us > now_us ? (due_us - now_us + 999) / 1000 : 0;

    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

/* False: the rate allows it only after the deadline. */
static bool reserve(struct slu_limit *limit, struct slu_limit_turn *turn, uint64_t now_us,
                    uint64_t until_us, uint32_t *ret_wait_ms)
{
    uint64_t due = now_us * 1000, from;

    if (limit->conf.rate_per_s) {
        due = due_ns(limit, now_us * 1000);
        if (due / 1000 >= until_us) {
            *ret_wait_ms = until_ms(due / 1000, now_us);
            return false;
        }
        from = limit->filled_ns > due ? limit->filled_ns : due;
        limit->filled_ns = from + interval_ns(limit);
    }
    turn->reserved = true;
    turn->due_us = (due + 999) / 1000;
    return true;
}

/* A promise that is not used is room for those who come. */
static void unreserve(struct slu_limit *limit, const struct slu_limit_turn *turn)
{
    if (turn->reserved && !turn->sent && limit->conf.rate_per_s)
        limit->filled_ns -=
            limit->filled_ns < interval_ns(limit) ? limit->filled_ns : interval_ns(limit);
}

/* ---- what calls say */

static enum slu_limit_state late(struct slu_limit *limit)
{
    limit->late++;
    return SLU_LIMIT_LATE;
}

static enum slu_limit_state with_place(struct slu_limit *limit, struct slu_limit_turn *turn,
                                       uint64_t now_us, uint64_t until_us, uint32_t *ret_wait_ms)
{
    if (turn->sent)
        return SLU_LIMIT_GO;
    if (now_us >= until_us ||
        (!turn->reserved && !reserve(limit, turn, now_us, until_us, ret_wait_ms))) {
        unreserve(limit, turn);
        let_go(limit, turn);
        return late(limit);
    }
    if (now_us < turn->due_us) {
        *ret_wait_ms = until_ms(turn->due_us, now_us);
        return SLU_LIMIT_PAUSE;
    }
    turn->sent = true;
    return SLU_LIMIT_GO;
}

static enum slu_limit_state take(struct slu_limit *limit, struct slu_limit_turn *turn,
                                 uint64_t now_us, uint64_t until_us, uint32_t *ret_wait_ms)
{
    if (turn->holds)
        return with_place(limit, turn, now_us, until_us, ret_wait_ms);
    if (now_us >= until_us) {
        if (turn->waits)
            unlink_turn(limit, turn);
        return late(limit);
    }
    if (turn->waits)
        return SLU_LIMIT_WAIT;
    if (!limit->first && has_room(limit)) {
        hold(limit, turn);
        return with_place(limit, turn, now_us, until_us, ret_wait_ms);
    }
    if (limit->waiting >= limit->conf.queue) {
        limit->full++;
        return SLU_LIMIT_FULL;
    }
    enqueue(limit, turn);
    return SLU_LIMIT_WAIT;
}

enum slu_limit_state slu_limit_take(struct slu_limit *limit, struct slu_limit_turn *turn,
                                    uint64_t now_us, uint64_t until_us, uint32_t *ret_wait_ms)
{
    enum slu_limit_state state;

    *ret_wait_ms = SOON_MS;
    pthread_mutex_lock(&limit->lock);
    state = take(limit, turn, now_us, until_us, ret_wait_ms);
    pthread_mutex_unlock(&limit->lock);
    return state;
}

void slu_limit_leave(struct slu_limit *limit, struct slu_limit_turn *turn)
{
    pthread_mutex_lock(&limit->lock);
    if (turn->waits)
        unlink_turn(limit, turn);
    if (turn->holds) {
        unreserve(limit, turn);
        let_go(limit, turn);
    }
    pthread_mutex_unlock(&limit->lock);
}

void slu_limit_set(struct slu_limit *limit, const struct slu_limit_conf *conf)
{
    pthread_mutex_lock(&limit->lock);
    limit->conf = *conf;
    fill_room(limit);
    pthread_mutex_unlock(&limit->lock);
}

struct slu_limit_counts slu_limit_look(struct slu_limit *limit)
{
    struct slu_limit_counts counts;

    pthread_mutex_lock(&limit->lock);
    counts = (struct slu_limit_counts){limit->in_flight, limit->waiting, limit->full, limit->late};
    pthread_mutex_unlock(&limit->lock);
    return counts;
}
