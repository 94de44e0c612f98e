/*
 * The circuit breaker. The state and its generation are one word, so that a call which began before
 * the state last changed is known and its end does not count. The window is a ring of seconds, each
 * one word as well; a lock is taken only by calls that failed and while the breaker is not closed.
 */
#include "cloud/breaker.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PROBES = 3,             /* that must succeed */
    PROBING_MS = 1000,      /* a guess: when the probes under way will be over */
    PAUSE_MOST_MS = 60000,  /* a target that is back is noticed within a minute */
    STATE_BITS = 2,         /* of the word; the rest is the generation */
    COUNT_BITS = 20,        /* a second's calls, and those of them that failed */
    SECOND_MASK = 0xffffff, /* the second itself */
};
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define SECOND_US  UINT64_C(1000000)

struct slu_breaker {
    _Atomic uint32_t word;
    _Atomic uint32_t slow_ms;
    _Atomic uint64_t seconds[SLU_BREAKER_WINDOW_MOST];
    _Atomic uint64_t refused;
    pthread_mutex_t lock; /* for all below */
    struct slu_breaker_conf conf;
    uint64_t opened, open_until_us;
    unsigned pauses; /* in a row */
    unsigned probing, succeeded;
};

static enum slu_breaker_state state_of(uint32_t word)
{
    return (enum slu_breaker_state)(word & ((1u << STATE_BITS) - 1));
}

static uint32_t word_of(const struct slu_breaker *breaker)
{
    return atomic_load_explicit(&breaker->word, memory_order_relaxed);
}

/* Under the lock. */
static void change(struct slu_breaker *breaker, enum slu_breaker_state state)
{
    uint32_t generation = (word_of(breaker) >> STATE_BITS) + 1;

    breaker->probing = breaker->succeeded = 0;
    atomic_store_explicit(&breaker->word, generation << STATE_BITS | (uint32_t)state,
                          memory_order_relaxed);
}

void slu_breaker_set(struct slu_breaker *breaker, const struct slu_breaker_conf *conf)
{
    slu_must(conf->window_s <= SLU_BREAKER_WINDOW_MOST);
    pthread_mutex_lock(&breaker->lock);
    breaker->conf = *conf;
    atomic_store_explicit(&breaker->slow_ms, conf->slow_ms, memory_order_relaxed);
    if (!conf->failure_percent && state_of(word_of(breaker)) != SLU_BREAKER_CLOSED)
        change(breaker, SLU_BREAKER_CLOSED);
    pthread_mutex_unlock(&breaker->lock);
}

struct slu_breaker *slu_breaker_new(const struct slu_breaker_conf *conf)
{
    struct slu_breaker *breaker = slu_mem_new(sizeof(*breaker));

    if (!breaker)
        return NULL;
    slu_must(pthread_mutex_init(&breaker->lock, NULL) == 0);
    slu_breaker_set(breaker, conf);
    return breaker;
}

void slu_breaker_free(struct slu_breaker *breaker)
{
    if (!breaker)
        return;
    pthread_mutex_destroy(&breaker->lock);
    slu_mem_free(breaker);
}

/* ---- the window */

static uint64_t second_of(uint64_t now_us)
{
    return now_us / SECOND_US & SECOND_MASK;
}

/* [second | failed | calls]. A second too full to count on is halved, which keeps its share. */
static uint64_t counted(uint64_t was, uint64_t second, bool failed)
{
    uint64_t calls = was & COUNT_MASK, bad = was >> COUNT_BITS & COUNT_MASK;

    if (was >> (2 * COUNT_BITS) != second)
        calls = bad = 0;
    if (calls == COUNT_MASK) {
        calls /= 2;
        bad /= 2;
    }
    return second << (2 * COUNT_BITS) | (bad + failed) << COUNT_BITS | (calls + 1);
}

static void count(struct slu_breaker *breaker, uint64_t now_us, bool failed)
{
    uint64_t second = now_us / SECOND_US;
    _Atomic uint64_t *at = &breaker->seconds[second % SLU_BREAKER_WINDOW_MOST];
    uint64_t was = atomic_load_explicit(at, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(at, &was,
                                                  counted(was, second & SECOND_MASK, failed),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* Under the lock, as the window's length may change. */
static void sum_up(struct slu_breaker *breaker, uint64_t now_us, uint64_t *ret_calls,
                   uint64_t *ret_failed)
{
    *ret_calls = *ret_failed = 0;
    for (size_t i = 0; i < SLU_BREAKER_WINDOW_MOST; i++) {
        uint64_t word = atomic_load_explicit(&breaker->seconds[i], memory_order_relaxed);
        uint64_t age = (second_of(now_us) - (word >> (2 * COUNT_BITS))) & SECOND_MASK;

        if (age >= breaker->conf.window_s)
            continue;
        *ret_calls += word & COUNT_MASK;
        *ret_failed += word >> COUNT_BITS & COUNT_MASK;
    }
}

static void forget(struct slu_breaker *breaker)
{
    for (size_t i = 0; i < SLU_BREAKER_WINDOW_MOST; i++)
        atomic_store_explicit(&breaker->seconds[i], 0, memory_order_relaxed);
}

/* ---- opening and closing, under the lock */

/* Between half the pause and all of it: several gateways do not probe at the same moment. */
static void open_up(struct slu_breaker *breaker, uint64_t now_us, uint32_t random)
{
    uint64_t pause_ms = breaker->conf.open_ms;

    for (unsigned i = 0; i < breaker->pauses && pause_ms < PAUSE_MOST_MS; i++)
        pause_ms *= 2;
    if (pause_ms > PAUSE_MOST_MS)
        pause_ms = PAUSE_MOST_MS;
    breaker->pauses++;
    breaker->opened++;
    breaker->open_until_us = now_us + pause_ms * 500 + (pause_ms * 500 * random >> 32);
    change(breaker, SLU_BREAKER_OPEN);
}

static void close_down(struct slu_breaker *breaker)
{
    breaker->pauses = 0;
    forget(breaker);
    change(breaker, SLU_BREAKER_CLOSED);
}

static bool too_bad(struct slu_breaker *breaker, uint64_t now_us)
{
    uint64_t calls, failed;

    if (!breaker->conf.failure_percent)
        return false;
    sum_up(breaker, now_us, &calls, &failed);
    return calls >= breaker->conf.least_calls &&
           failed * 100 >= calls * breaker->conf.failure_percent;
}

/* ---- what calls ask and tell */

static uint32_t until_ms(uint64_t until_us, uint64_t now_us)
{
    return until_us > now_us ? (uint32_t)((until_us - now_us + 999) / 1000) : 0;
}

static bool admit_not_closed(struct slu_breaker *breaker, uint64_t now_us,
                             struct slu_breaker_pass *ret_pass, uint32_t *ret_retry_after_ms)
{
    enum slu_breaker_state state = state_of(word_of(breaker));

    if (state == SLU_BREAKER_OPEN && now_us < breaker->open_until_us) {
        *ret_retry_after_ms = until_ms(breaker->open_until_us, now_us);
        return false;
    }
    if (state == SLU_BREAKER_OPEN)
        change(breaker, SLU_BREAKER_HALF_OPEN);
    if (state != SLU_BREAKER_CLOSED) {
        if (breaker->probing > breaker->succeeded) {
            *ret_retry_after_ms = PROBING_MS;
            return false;
        }
        breaker->probing++;
    }
    *ret_pass = (struct slu_breaker_pass){word_of(breaker), state != SLU_BREAKER_CLOSED};
    return true;
}

bool slu_breaker_admit(struct slu_breaker *breaker, uint64_t now_us,
                       struct slu_breaker_pass *ret_pass, uint32_t *ret_retry_after_ms)
{
    uint32_t word = word_of(breaker);
    bool good;

    if (state_of(word) == SLU_BREAKER_CLOSED) {
        *ret_pass = (struct slu_breaker_pass){word, false};
        return true;
    }
    pthread_mutex_lock(&breaker->lock);
    good = admit_not_closed(breaker, now_us, ret_pass, ret_retry_after_ms);
    pthread_mutex_unlock(&breaker->lock);
    if (!good)
        atomic_fetch_add_explicit(&breaker->refused, 1, memory_order_relaxed);
    return good;
}

/* Whatever the cloud itself says, it says: it is there. What stands in front of it says 502, 503
 * and 504 when it is not; a 500 is often about one request. A refusal for too many calls, which
 * some clouds tell with 503, is no failure. */
enum slu_breaker_end slu_breaker_end_of(bool answered, enum slu_fault_kind kind, int status)
{
    bool wire = kind == SLU_FAULT_UPSTREAM_UNREACHABLE || kind == SLU_FAULT_UPSTREAM_TIMEOUT ||
                kind == SLU_FAULT_UPSTREAM_BROKEN || kind == SLU_FAULT_UPSTREAM_UNREADABLE;

    if (!answered)
        return wire ? SLU_BREAKER_BAD : SLU_BREAKER_NEITHER;
    if (kind == SLU_FAULT_UPSTREAM_UNREADABLE || kind == SLU_FAULT_UPSTREAM_UNAVAILABLE)
        return SLU_BREAKER_BAD;
    if (status < 502 || status > 504)
        return SLU_BREAKER_GOOD;
    return wire || kind == SLU_FAULT_UPSTREAM_ERROR ? SLU_BREAKER_BAD : SLU_BREAKER_GOOD;
}

/* Under the lock. */
static void tell_probe(struct slu_breaker *breaker, enum slu_breaker_end end, uint64_t now_us,
                       uint32_t random)
{
    breaker->probing--;
    switch (end) {
    case SLU_BREAKER_GOOD:
        if (++breaker->succeeded >= PROBES)
            close_down(breaker);
        break;
    case SLU_BREAKER_BAD:
        open_up(breaker, now_us, random);
        break;
    case SLU_BREAKER_NEITHER:
        break;
    }
}

void slu_breaker_tell(struct slu_breaker *breaker, struct slu_breaker_pass pass,
                      enum slu_breaker_end end, uint64_t took_us, uint64_t now_us, uint32_t random)
{
    uint64_t slow_us =
        atomic_load_explicit(&breaker->slow_ms, memory_order_relaxed) * UINT64_C(1000);

    if (pass.word != word_of(breaker))
        return; /* it belongs to a time that is over */
    if (end == SLU_BREAKER_GOOD && slow_us && took_us >= slow_us)
        end = SLU_BREAKER_BAD;
    if (!pass.probe && end != SLU_BREAKER_NEITHER)
        count(breaker, now_us, end == SLU_BREAKER_BAD);
    if (!pass.probe && end != SLU_BREAKER_BAD)
        return;
    pthread_mutex_lock(&breaker->lock);
    if (pass.word == word_of(breaker)) {
        if (pass.probe)
            tell_probe(breaker, end, now_us, random);
        else if (too_bad(breaker, now_us))
            open_up(breaker, now_us, random);
    }
    pthread_mutex_unlock(&breaker->lock);
}

struct slu_breaker_view slu_breaker_look(struct slu_breaker *breaker, uint64_t now_us)
{
    struct slu_breaker_view view = {
        .refused = atomic_load_explicit(&breaker->refused, memory_order_relaxed)};

    pthread_mutex_lock(&breaker->lock);
    view.state = state_of(word_of(breaker));
    view.opened = breaker->opened;
    if (view.state == SLU_BREAKER_OPEN)
        view.retry_after_ms = until_ms(breaker->open_until_us, now_us);
    sum_up(breaker, now_us, &view.calls, &view.failed);
    pthread_mutex_unlock(&breaker->lock);
    return view;
}

const char *slu_breaker_state_name(enum slu_breaker_state state)
{
    static const char *const names[] = {
        [SLU_BREAKER_CLOSED] = "closed",
        [SLU_BREAKER_OPEN] = "open",
        [SLU_BREAKER_HALF_OPEN] = "half_open",
    };

    return names[state];
}
