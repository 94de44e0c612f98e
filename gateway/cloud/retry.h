/*
 * What follows a native call that did not succeed: the same again after a while, a look at what it
 * did, or the end. Rules in one place, as a pure function of what is known about the attempt; and
 * the budget that keeps repetitions a small share of the calls.
 *
 *   what happened                    read     write with a token    write without one
 *   nothing was sent                 again    again                 again
 *   it died after sending, or no     again    again, same token     look
 *   (readable) answer came
 *   throttled, busy                  again    again                 again where a row of the table
 *                                                                   knows the answer, else look
 *   unavailable (503)                again    again                 look, unless a row says `yes`
 *   500, 502, 504                    again    again                 look, unless a row says `yes`
 *   a row says `yes`                 again    again                 again: the cloud did nothing
 *   refused for the clock            once, when the clock can be corrected
 *   401, other 4xx                   never
 *
 * "Again" has three bounds: attempts, the deadline, the budget. A write that may have taken effect
 * and cannot be repeated is looked at, whatever the bound was; only without time for that it ends,
 * and `perhaps` says that nobody knows.
 *
 * Renewing a token that ran out is not decided here (exchange/fetch.c); what comes here afterwards
 * is final.
 */
#ifndef SLU_CLOUD_RETRY_H
#define SLU_CLOUD_RETRY_H

#include "base/fault.h"

#include <stdint.h>

enum slu_reach {
    SLU_REACH_NOTHING,  /* not one byte of the request was sent */
    SLU_REACH_PERHAPS,  /* some or all of it may have arrived */
    SLU_REACH_ANSWERED, /* a whole reply came back */
};

/* One attempt that did not succeed. */
struct slu_attempt {
    bool writes;
    bool has_token; /* a native idempotency token, the same in every attempt */
    enum slu_reach reach;
    enum slu_fault_kind kind; /* what the answer means; without one, the call's fault */
    /* of an answer */
    int status;
    enum slu_retry retry; /* its class */
    bool listed;          /* an error row of the table knows it */
    bool clock_corrected; /* slu_skew_correct() has just corrected the clock, once for this call */
    uint32_t retry_after_ms; /* the cloud's hint; 0: none */

    unsigned made; /* attempts so far, this one included */
    unsigned most; /* attempts allowed */
    uint64_t left_ms;
};

enum slu_retry_act { SLU_RETRY_AGAIN, SLU_RETRY_LOOK, SLU_RETRY_STOP };

enum slu_retry_why {                       /* why the same is not sent again */
                     SLU_RETRY_MAY,        /* it is */
                     SLU_RETRY_FUTILE,     /* the answer would be the same */
                     SLU_RETRY_UNSAFE,     /* it might be done twice */
                     SLU_RETRY_ATTEMPTS,   /* there were enough */
                     SLU_RETRY_DEADLINE,   /* it would be too late */
                     SLU_RETRY_OVER_BUDGET /* too many others repeat already */
};

struct slu_retry_verdict {
    enum slu_retry_act act;
    enum slu_retry_why why;
    uint32_t delay_ms;       /* before AGAIN or LOOK */
    uint32_t retry_after_ms; /* STOP: the cloud's hint, to be passed on; 0: none */
    bool perhaps;            /* the write may have taken effect: with STOP nobody knows */
};

/* The most attempts there ever are (setting `retries` is one less), and the least time that is
 * worth another. */
enum { SLU_RETRY_MOST = 3, SLU_RETRY_LEAST_MS = 50 };

struct slu_retry_budget;

SLU_NODISCARD struct slu_retry_budget *slu_retry_budget_new(void);
void slu_retry_budget_free(struct slu_retry_budget *budget);
SLU_AUTO_DEFINE(slu_retry_budget)
/* A first attempt was begun: it pays for a twelfth of a repetition. */
void slu_retry_budget_earn(struct slu_retry_budget *budget);

struct slu_retry_counts {
    uint64_t granted, refused;
};
struct slu_retry_counts slu_retry_budget_counts(const struct slu_retry_budget *budget);

/* `now_us` is monotonic, `random` is drawn anew for each call. AGAIN is paid from the budget, but
 * for the correction of a clock; a look is not, since somebody has to know. */
struct slu_retry_verdict slu_retry_decide(const struct slu_attempt *attempt,
                                          struct slu_retry_budget *budget, uint64_t now_us,
                                          uint32_t random);

#endif
