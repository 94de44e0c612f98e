/*
 * A circuit breaker, one a target for all workers: when too many of the latest calls failed or were
 * slow, further ones are refused at once instead of waiting for a target that does not answer.
 * Thread-safe; clock and randomness are passed in.
 *
 *   closed     calls go; when one fails, the last seconds are weighed
 *   open       calls are refused until a pause is over, longer each time, jittered
 *   half open  probes go, one at first; each that succeeds lets one more go at the same time, three
 *              close the breaker, one that fails opens it again
 *
 * Every call that was let through is told of, once, also when it came to no end.
 */
#ifndef SLU_CLOUD_BREAKER_H
#define SLU_CLOUD_BREAKER_H

#include "base/fault.h"

#include <stdint.h>

struct slu_breaker_conf {
    uint32_t failure_percent; /* of the calls in the window; 0: never opens */
    uint32_t window_s;        /* 1 to SLU_BREAKER_WINDOW_MOST */
    uint32_t least_calls;     /* fewer in the window say nothing */
    uint32_t slow_ms;         /* a call that took this long counts as failed; 0: none does */
    uint32_t open_ms;         /* the first pause */
};

enum { SLU_BREAKER_WINDOW_MOST = 60 };

struct slu_breaker;

SLU_NODISCARD struct slu_breaker *slu_breaker_new(const struct slu_breaker_conf *conf);
void slu_breaker_free(struct slu_breaker *breaker);
SLU_AUTO_DEFINE(slu_breaker)
/* After a reload. */
void slu_breaker_set(struct slu_breaker *breaker, const struct slu_breaker_conf *conf);

/* Handed out by admit, handed back by tell. */
struct slu_breaker_pass {
    uint32_t word;
    bool probe;
};

/* May a call go? False: not before `ret_retry_after_ms`. While closed this is one relaxed load. */
SLU_NODISCARD bool slu_breaker_admit(struct slu_breaker *breaker, uint64_t now_us,
                                     struct slu_breaker_pass *ret_pass,
                                     uint32_t *ret_retry_after_ms);

enum slu_breaker_end {
    SLU_BREAKER_GOOD,   /* the target is there: also when it refused the request */
    SLU_BREAKER_BAD,    /* it is not */
    SLU_BREAKER_NEITHER /* nothing is known: the call was not sent, or given up from this side */
};
/* What a call's end says about the target. Without an answer `kind` is the call's fault; with one
 * it is what the answer means, and `status` its status. */
enum slu_breaker_end slu_breaker_end_of(bool answered, enum slu_fault_kind kind, int status);

/* `took_us` from sending to the end. */
void slu_breaker_tell(struct slu_breaker *breaker, struct slu_breaker_pass pass,
                      enum slu_breaker_end end, uint64_t took_us, uint64_t now_us, uint32_t random);

enum slu_breaker_state { SLU_BREAKER_CLOSED, SLU_BREAKER_OPEN, SLU_BREAKER_HALF_OPEN };

struct slu_breaker_view { /* for metrics and the target's health */
    enum slu_breaker_state state;
    uint64_t calls, failed;   /* in the window */
    uint32_t retry_after_ms;  /* of an open one */
    uint64_t opened, refused; /* ever */
};
struct slu_breaker_view slu_breaker_look(struct slu_breaker *breaker, uint64_t now_us);
/* "closed", "open", "half_open" */
const char *slu_breaker_state_name(enum slu_breaker_state state);

#endif
