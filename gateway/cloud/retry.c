/* Whether and when to try again; see the table in retry.h. */
#include "cloud/retry.h"

#include <stdatomic.h>

enum {
    /* A lost connection or a failed process of the cloud is replaced at once: the first wait only
     * has to spread those who failed together. */
    BASE_MS = 100,
    /* A cloud's counters are filled by the second, and states change in seconds. */
    SLOW_BASE_MS = 1000,
    /* Longer than any caller waits; what the clouds' own clients use. */
    MOST_MS = 20000,

    /* The budget, in twelfths of a repetition. A call pays one, so that with the trickle
     * repetitions stay below a tenth of the calls from six calls a second on. The trickle lets a
     * target that is rarely called have its repetitions; the store lets a short trouble pass. */
    SHARE = 12,
    STORE = 10 * SHARE,
    TRICKLE_US = 10 * 1000 * 1000,
};

struct slu_retry_budget {
    _Atomic int64_t left; /* twelfths */
    _Atomic uint64_t trickled_us;
    _Atomic uint64_t granted, refused;
};

/* ---- the budget */

struct slu_retry_budget *slu_retry_budget_new(void)
{
    struct slu_retry_budget *budget = slu_mem_new(sizeof(*budget));

    if (budget)
        atomic_init(&budget->left, STORE);
    return budget;
}

void slu_retry_budget_free(struct slu_retry_budget *budget)
{
    slu_mem_free(budget);
}

static void add(struct slu_retry_budget *budget, int64_t more)
{
    int64_t left = atomic_load_explicit(&budget->left, memory_order_relaxed), sum;

    do {
        sum = left + more < STORE ? left + more : STORE;
        if (sum == left)
            return;
    } while (!atomic_compare_exchange_weak_explicit(&budget->left, &left, sum, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void slu_retry_budget_earn(struct slu_retry_budget *budget)
{
    add(budget, 1);
}

/* Whoever moves the mark forward adds what trickled in until there. */
static void trickle(struct slu_retry_budget *budget, uint64_t now_us)
{
    uint64_t mark = atomic_load_explicit(&budget->trickled_us, memory_order_relaxed);
    uint64_t drops = now_us > mark ? (now_us - mark) / TRICKLE_US : 0;

    if (!drops || !atomic_compare_exchange_strong_explicit(
                      &budget->trickled_us, &mark, mark + drops * TRICKLE_US, memory_order_relaxed,
                      memory_order_relaxed))
        return;
    add(budget, drops < STORE / SHARE ? (int64_t)drops * SHARE : STORE);
}

static bool spend(struct slu_retry_budget *budget, uint64_t now_us)
{
    int64_t left;

    trickle(budget, now_us);
    left = atomic_load_explicit(&budget->left, memory_order_relaxed);
    while (left >= SHARE)
        if (atomic_compare_exchange_weak_explicit(&budget->left, &left, left - SHARE,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            atomic_fetch_add_explicit(&budget->granted, 1, memory_order_relaxed);
            return true;
        }
    atomic_fetch_add_explicit(&budget->refused, 1, memory_order_relaxed);
    return false;
}

struct slu_retry_counts slu_retry_budget_counts(const struct slu_retry_budget *budget)
{
    return (struct slu_retry_counts){
        .granted = atomic_load_explicit(&budget->granted, memory_order_relaxed),
        .refused = atomic_load_explicit(&budget->refused, memory_order_relaxed),
    };
}

/* ---- what the attempt means */

/* The wire's own troubles: the next attempt may fare better. */
static bool of_the_wire(enum slu_fault_kind kind)
{
    return kind == SLU_FAULT_UPSTREAM_UNREACHABLE || kind == SLU_FAULT_UPSTREAM_TIMEOUT ||
           kind == SLU_FAULT_UPSTREAM_BROKEN || kind == SLU_FAULT_UPSTREAM_UNREADABLE;
}

/* The cloud's own trouble, in which it may have done what it was asked for or not. 501 and 505 say
 * that it did not understand (RFC 9110 §15.6). */
static bool of_the_cloud(const struct slu_attempt *attempt)
{
    return of_the_wire(attempt->kind) || attempt->kind == SLU_FAULT_UPSTREAM_UNAVAILABLE ||
           (attempt->kind == SLU_FAULT_UPSTREAM_ERROR && attempt->status != 501 &&
            attempt->status != 505);
}

/* May the write have taken effect? */
static bool may_have_acted(const struct slu_attempt *attempt)
{
    if (!attempt->writes || attempt->reach == SLU_REACH_NOTHING)
        return false;
    return attempt->reach == SLU_REACH_PERHAPS ||
           (of_the_cloud(attempt) && attempt->retry != SLU_RETRY_YES);
}

/* May another attempt end otherwise? */
static bool promising(const struct slu_attempt *attempt)
{
    if (attempt->reach != SLU_REACH_ANSWERED)
        return of_the_wire(attempt->kind);
    if (attempt->kind == SLU_FAULT_CREDENTIALS || attempt->status == 401)
        return attempt->clock_corrected;
    return attempt->retry != SLU_RETRY_NO || of_the_cloud(attempt);
}

/* A cloud that asks for patience has done nothing, if its table knows the answer; whether a proxy
 * in front of it that says the same has let the request through, nobody knows. */
static bool harmless(const struct slu_attempt *attempt)
{
    if (!attempt->writes || attempt->has_token)
        return true;
    if (attempt->reach == SLU_REACH_ANSWERED && attempt->kind == SLU_FAULT_THROTTLED)
        return attempt->listed;
    return !may_have_acted(attempt);
}

/* ---- when */

/* A part of the window, from nothing to all of it: full jitter. */
static uint64_t part(uint64_t window_ms, uint32_t random)
{
    return window_ms * random >> 32;
}

/* False when it would be too late. The hint is waited for whole, and those who were given the same
 * one are spread behind it. */
static bool wait_for(const struct slu_attempt *attempt, uint32_t random, uint32_t *ret_delay_ms)
{
    bool slow = attempt->reach == SLU_REACH_ANSWERED && attempt->retry == SLU_RETRY_AFTER;
    uint64_t window = slow ? SLOW_BASE_MS : BASE_MS, least, room;

    least = (uint64_t)attempt->retry_after_ms + SLU_RETRY_LEAST_MS;
    if (attempt->left_ms < least)
        return false;
    for (unsigned i = 1; i < attempt->made && window < MOST_MS; i++)
        window *= 2;
    if (window > MOST_MS)
        window = MOST_MS;
    room = attempt->left_ms - least;
    *ret_delay_ms =
        (uint32_t)(attempt->retry_after_ms + part(window < room ? window : room, random));
    return true;
}

/* ---- the verdict */

/* The same is not sent again: what may have happened is looked at, if there is time. A hint is
 * honoured where it can be; a look too early is only refused. */
static struct slu_retry_verdict end(const struct slu_attempt *attempt, enum slu_retry_why why)
{
    struct slu_retry_verdict verdict = {.act = SLU_RETRY_STOP, .why = why};
    bool late = attempt->left_ms < SLU_RETRY_LEAST_MS;

    verdict.perhaps = may_have_acted(attempt);
    if ((verdict.perhaps || why == SLU_RETRY_UNSAFE) && !late) {
        verdict.act = SLU_RETRY_LOOK;
        if (attempt->left_ms >= (uint64_t)attempt->retry_after_ms + SLU_RETRY_LEAST_MS)
            verdict.delay_ms = attempt->retry_after_ms;
        return verdict;
    }
    if (why == SLU_RETRY_UNSAFE && late)
        verdict.why = SLU_RETRY_DEADLINE;
    verdict.retry_after_ms = attempt->retry_after_ms;
    return verdict;
}

struct slu_retry_verdict slu_retry_decide(const struct slu_attempt *attempt,
                                          struct slu_retry_budget *budget, uint64_t now_us,
                                          uint32_t random)
{
    struct slu_retry_verdict verdict = {.act = SLU_RETRY_AGAIN, .why = SLU_RETRY_MAY};

    slu_must(attempt->kind != SLU_FAULT_NONE && attempt->made > 0);
    if (!promising(attempt))
        return end(attempt, SLU_RETRY_FUTILE);
    if (!harmless(attempt))
        return end(attempt, SLU_RETRY_UNSAFE);
    if (attempt->made >= attempt->most || attempt->made >= SLU_RETRY_MOST)
        return end(attempt, SLU_RETRY_ATTEMPTS);
    if (!wait_for(attempt, random, &verdict.delay_ms))
        return end(attempt, SLU_RETRY_DEADLINE);
    if (attempt->clock_corrected)
        verdict.delay_ms = 0; /* nothing has to recover */
    else if (!spend(budget, now_us))
        return end(attempt, SLU_RETRY_OVER_BUDGET);
    verdict.perhaps = may_have_acted(attempt);
    return verdict;
}
