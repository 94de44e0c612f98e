/*
 * How much one target is asked at the same time and in a second, over all workers: so many calls in
 * flight, a bounded queue behind them in the order of coming, and a rate kept below the cloud's
 * own. Thread-safe; the clock is passed in.
 *
 * A call takes, and is told a state:
 *
 *   GO     send now
 *   PAUSE  the place is yours, but the rate allows it in `ret_wait_ms` only: take again then
 *   WAIT   in the queue: `wake` will be called once, then take again
 *   FULL   the queue is full: refuse; coming back before `ret_wait_ms` is no use
 *   LATE   not before the deadline: refuse; as above
 *
 * After GO, PAUSE and WAIT the call says slu_limit_leave() when it is over or given up; after FULL
 * and LATE it may.
 */
#ifndef SLU_CLOUD_LIMIT_H
#define SLU_CLOUD_LIMIT_H

#include "base/mem.h"

#include <stdint.h>

struct slu_limit_conf {
    uint32_t in_flight;  /* at least 1 */
    uint32_t queue;      /* how many may wait */
    uint32_t rate_per_s; /* 0: any */
    uint32_t burst;      /* so many may go at once after a rest; at least 1 */
};

struct slu_limit;

SLU_NODISCARD struct slu_limit *slu_limit_new(const struct slu_limit_conf *conf);
/* Nobody may hold a place or wait any more. */
void slu_limit_free(struct slu_limit *limit);
SLU_AUTO_DEFINE(slu_limit)
/* After a reload. Places beyond a lower limit are given up as their calls end. */
void slu_limit_set(struct slu_limit *limit, const struct slu_limit_conf *conf);

enum slu_limit_state {
    SLU_LIMIT_GO,
    SLU_LIMIT_PAUSE,
    SLU_LIMIT_WAIT,
    SLU_LIMIT_FULL,
    SLU_LIMIT_LATE
};

/*
 * One call's place; the caller's storage, zeroed but for the first two members, not to be moved
 * between GO, PAUSE or WAIT and leave. `wake` is called on whatever thread makes room, with a lock
 * held: it posts a note and returns. It is never called after slu_limit_leave(). Should the note
 * get lost, taking again does no harm: the place is kept.
 */
struct slu_limit_turn {
    void (*wake)(void *context);
    void *context;
    /* private */
    struct slu_limit_turn *next, **back; /* in the queue */
    bool waits, holds, reserved, sent;
    uint64_t due_us;
};

/* `now_us` is monotonic; `until_us` is the moment from which it is too late. */
SLU_NODISCARD enum slu_limit_state slu_limit_take(struct slu_limit *limit,
                                                  struct slu_limit_turn *turn, uint64_t now_us,
                                                  uint64_t until_us, uint32_t *ret_wait_ms);
void slu_limit_leave(struct slu_limit *limit, struct slu_limit_turn *turn);

struct slu_limit_counts {
    uint32_t in_flight, waiting; /* now; a pause counts as in flight */
    uint64_t full, late;         /* refused, ever */
};
struct slu_limit_counts slu_limit_look(struct slu_limit *limit);

#endif
