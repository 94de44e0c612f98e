/* Every row of the table of retries, the three bounds, and the budget; from one thread and many. */
#include "test.h"

#include "cloud/retry.h"

#include <pthread.h>

enum { READ, TOKEN, WRITE, COLUMNS };

#define HALF 0x80000000u
#define NOW  UINT64_C(1000000)

static struct slu_attempt answered(int status, enum slu_fault_kind kind, enum slu_retry retry,
                                   bool listed, uint32_t retry_after_ms)
{
    return (struct slu_attempt){.reach = SLU_REACH_ANSWERED,
                                .kind = kind,
                                .status = status,
                                .retry = retry,
                                .listed = listed,
                                .retry_after_ms = retry_after_ms,
                                .made = 1,
                                .most = 3,
                                .left_ms = 12000};
}

static struct slu_attempt unanswered(enum slu_reach reach, enum slu_fault_kind kind)
{
    return (struct slu_attempt){
        .reach = reach, .kind = kind, .made = 1, .most = 3, .left_ms = 12000};
}

static struct slu_attempt of_column(struct slu_attempt attempt, size_t column)
{
    attempt.writes = column != READ;
    attempt.has_token = column == TOKEN;
    return attempt;
}

static struct slu_retry_verdict decide(struct slu_attempt attempt, uint32_t random)
{
    slu_auto(slu_retry_budget) *budget = slu_retry_budget_new();

    assert_non_null(budget);
    return slu_retry_decide(&attempt, budget, NOW, random);
}

/* a again, l look, s stop; capitals: the write may have taken effect */
static char letter(struct slu_retry_verdict verdict)
{
    return "aAlLsS"[(int)verdict.act * 2 + verdict.perhaps];
}

#define NOTHING(kind)                                                                              \
    {                                                                                              \
        SLU_REACH_NOTHING, SLU_FAULT_##kind, 0, SLU_RETRY_NO, false, 0                             \
    }
#define PERHAPS(kind)                                                                              \
    {                                                                                              \
        SLU_REACH_PERHAPS, SLU_FAULT_##kind, 0, SLU_RETRY_NO, false, 0                             \
    }
#define BARE(status, kind, retry, after)                                                           \
    {                                                                                              \
        SLU_REACH_ANSWERED, SLU_FAULT_##kind, status, SLU_RETRY_##retry, false, after              \
    }
#define ROW(status, kind, retry, after)                                                            \
    {                                                                                              \
        SLU_REACH_ANSWERED, SLU_FAULT_##kind, status, SLU_RETRY_##retry, true, after               \
    }

static const struct row {
    struct {
        enum slu_reach reach;
        enum slu_fault_kind kind;
        int status;
        enum slu_retry retry;
        bool listed;
        uint32_t after_ms;
    } is;
    const char *expected; /* read, write with token, write without */
} rows[] = {
    /* not sent */
    {NOTHING(UPSTREAM_UNREACHABLE), "aaa"},
    {NOTHING(UPSTREAM_TIMEOUT), "aaa"},
    {NOTHING(UPSTREAM_BROKEN), "aaa"},
    {NOTHING(UNAVAILABLE), "sss"}, /* our own queue */
    {NOTHING(MEMORY), "sss"},
    {NOTHING(INTERNAL), "sss"},
    /* died after sending, timed out, answered what nobody can read */
    {PERHAPS(UPSTREAM_BROKEN), "aAL"},
    {PERHAPS(UPSTREAM_TIMEOUT), "aAL"},
    {PERHAPS(UPSTREAM_UNREACHABLE), "aAL"},
    {PERHAPS(UPSTREAM_UNREADABLE), "aAL"},
    {PERHAPS(MEMORY), "sLL"},
    {BARE(200, UPSTREAM_UNREADABLE, NO, 0), "aAL"},
    {BARE(502, UPSTREAM_UNREADABLE, NO, 0), "aAL"},
    /* throttled */
    {BARE(429, THROTTLED, AFTER, 0), "aal"},
    {BARE(429, THROTTLED, AFTER, 2000), "aal"},
    {ROW(429, THROTTLED, AFTER, 2000), "aaa"},
    {ROW(503, THROTTLED, AFTER, 0), "aaa"},
    {ROW(400, THROTTLED, AFTER, 0), "aaa"},
    {BARE(429, THROTTLED, AFTER, 3600000), "ssl"}, /* far beyond the deadline */
    {ROW(429, THROTTLED, AFTER, 3600000), "sss"},
    {ROW(429, THROTTLED, AFTER, UINT32_MAX), "sss"},
    /* unavailable */
    {BARE(503, UPSTREAM_UNAVAILABLE, AFTER, 0), "aAL"},
    {BARE(503, UPSTREAM_UNAVAILABLE, AFTER, 1000), "aAL"},
    {ROW(503, UPSTREAM_UNAVAILABLE, AFTER, 1000), "aAL"},
    {ROW(503, UPSTREAM_UNAVAILABLE, YES, 0), "aaa"},
    {BARE(503, UPSTREAM_UNAVAILABLE, AFTER, 3600000), "sLL"},
    /* busy */
    {ROW(409, BUSY, AFTER, 0), "aaa"},
    {ROW(400, BUSY, NO, 0), "sss"}, /* waiting does not help, says the row */
    /* 500, 502, 504 */
    {BARE(500, UPSTREAM_ERROR, NO, 0), "aAL"},
    {BARE(502, UPSTREAM_ERROR, NO, 0), "aAL"},
    {BARE(504, UPSTREAM_TIMEOUT, NO, 0), "aAL"},
    {BARE(408, UPSTREAM_TIMEOUT, NO, 0), "aAL"},
    {ROW(500, UPSTREAM_ERROR, NO, 0), "aAL"},
    {ROW(500, UPSTREAM_ERROR, AFTER, 0), "aAL"},
    {ROW(500, UPSTREAM_ERROR, YES, 0), "aaa"},
    {ROW(200, UPSTREAM_ERROR, NO, 0), "aAL"}, /* said inside a 200 */
    {ROW(400, UPSTREAM_TIMEOUT, YES, 0), "aaa"},
    {BARE(501, UPSTREAM_ERROR, NO, 0), "sss"},
    {BARE(505, UPSTREAM_ERROR, NO, 0), "sss"},
    /* other 4xx, and whatever the cloud has decided */
    {BARE(400, UPSTREAM_REFUSED, NO, 0), "sss"},
    {ROW(400, UPSTREAM_REFUSED, YES, 0), "aaa"}, /* a nonce that was used */
    {BARE(403, UPSTREAM_DENIED, NO, 0), "sss"},
    {BARE(404, NOT_FOUND, NO, 0), "sss"},
    {BARE(409, CONFLICT, NO, 0), "sss"},
    {ROW(400, QUOTA, NO, 0), "sss"},
    {ROW(500, RESOURCE_NOT_FOUND, NO, 0), "sss"},
    {ROW(200, UPSTREAM_FAILED, NO, 0), "sss"},
    /* never again with refused credentials, whatever a row says */
    {BARE(401, CREDENTIALS, NO, 0), "sss"},
    {ROW(401, CREDENTIALS, YES, 0), "sss"},
    {ROW(400, CREDENTIALS, YES, 0), "sss"},
    {ROW(401, UPSTREAM_REFUSED, YES, 0), "sss"},
};

static struct slu_attempt of_row(const struct row *row)
{
    if (row->is.reach != SLU_REACH_ANSWERED)
        return unanswered(row->is.reach, row->is.kind);
    return answered(row->is.status, row->is.kind, row->is.retry, row->is.listed, row->is.after_ms);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        for (size_t column = 0; column < COLUMNS; column++) {
            struct slu_retry_verdict verdict = decide(of_column(of_row(&rows[i]), column), HALF);
            char expected = rows[i].expected[column];

            if (letter(verdict) != expected)
                fail_msg("row %zu, column %zu: %c, expected %c", i, column, letter(verdict),
                         expected);
            assert_int_equal(verdict.why == SLU_RETRY_MAY, verdict.act == SLU_RETRY_AGAIN);
        }
}

/* At the end of attempts, time or budget: what may have happened is looked at, all else ends. */
static void test_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        for (size_t column = 0; column < COLUMNS; column++) {
            struct slu_attempt attempt = of_column(of_row(&rows[i]), column);
            struct slu_retry_verdict early = decide(attempt, HALF), last, late;

            attempt.made = 3;
            last = decide(attempt, HALF);
            attempt.made = 1;
            attempt.left_ms = SLU_RETRY_LEAST_MS - 1;
            late = decide(attempt, HALF);
            if (early.act == SLU_RETRY_AGAIN) {
                assert_int_equal(last.act, early.perhaps ? SLU_RETRY_LOOK : SLU_RETRY_STOP);
                assert_int_equal(last.why, SLU_RETRY_ATTEMPTS);
            }
            assert_int_equal(last.perhaps, early.perhaps);
            assert_int_equal(late.act, SLU_RETRY_STOP); /* with no time there is no look either */
            assert_int_equal(late.perhaps, early.perhaps);
        }
}

static void test_attempts(void **state)
{
    struct slu_attempt attempt = unanswered(SLU_REACH_NOTHING, SLU_FAULT_UPSTREAM_UNREACHABLE);

    (void)state;
    attempt.most = 1; /* retries: 0 */
    assert_int_equal(decide(attempt, 0).why, SLU_RETRY_ATTEMPTS);
    attempt.most = 9; /* never more than three */
    attempt.made = 2;
    assert_int_equal(decide(attempt, 0).act, SLU_RETRY_AGAIN);
    attempt.made = 3;
    assert_int_equal(decide(attempt, 0).why, SLU_RETRY_ATTEMPTS);
}

static void test_delays(void **state)
{
    static const struct {
        bool slow;
        unsigned made;
        uint32_t after_ms, random, least_ms, most_ms;
        uint64_t left_ms;
    } all[] = {
        {false, 1, 0, 0, 0, 0, 12000},
        {false, 1, 0, UINT32_MAX, 99, 100, 12000},
        {false, 1, 0, HALF, 50, 50, 12000},
        {false, 2, 0, UINT32_MAX, 199, 200, 12000},
        {true, 1, 0, UINT32_MAX, 999, 1000, 12000},
        {true, 2, 0, UINT32_MAX, 1999, 2000, 12000},
        {true, 1, 3000, 0, 3000, 3000, 12000},
        {true, 1, 3000, UINT32_MAX, 3999, 4000, 12000}, /* never before the hint */
        {true, 1, 3000, UINT32_MAX, 3049, 3050, 3100},  /* nor beyond the deadline */
        {true, 1, 3000, UINT32_MAX, 3000, 3000, 3050},
        {false, 1, 0, UINT32_MAX, 9, 10, 60},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(all); i++) {
        struct slu_attempt attempt =
            all[i].slow ? answered(429, SLU_FAULT_THROTTLED, SLU_RETRY_AFTER, true, all[i].after_ms)
                        : unanswered(SLU_REACH_NOTHING, SLU_FAULT_UPSTREAM_UNREACHABLE);
        struct slu_retry_verdict verdict;

        attempt.made = all[i].made;
        attempt.left_ms = all[i].left_ms;
        verdict = decide(attempt, all[i].random);
        assert_int_equal(verdict.act, SLU_RETRY_AGAIN);
        assert_in_range(verdict.delay_ms, all[i].least_ms, all[i].most_ms);
    }
}

static void test_hint_beyond_deadline(void **state)
{
    struct slu_attempt attempt =
        answered(429, SLU_FAULT_THROTTLED, SLU_RETRY_AFTER, true, 86400000);
    struct slu_retry_verdict verdict = decide(attempt, HALF);

    (void)state;
    assert_int_equal(verdict.why, SLU_RETRY_DEADLINE);
    assert_int_equal(verdict.retry_after_ms, 86400000);
    /* What may have happened is looked at all the same, and then without waiting that long. */
    attempt = answered(503, SLU_FAULT_UPSTREAM_UNAVAILABLE, SLU_RETRY_AFTER, false, 86400000);
    verdict = decide(of_column(attempt, WRITE), HALF);
    assert_int_equal(verdict.act, SLU_RETRY_LOOK);
    assert_int_equal(verdict.delay_ms, 0);
    attempt.retry_after_ms = 1500;
    verdict = decide(of_column(attempt, WRITE), HALF);
    assert_int_equal(verdict.act, SLU_RETRY_LOOK);
    assert_int_equal(verdict.delay_ms, 1500);
}

/* Once, at once, and free; the caller says it only once. */
static void test_clock(void **state)
{
    slu_auto(slu_retry_budget) *budget = slu_retry_budget_new();

    (void)state;
    assert_non_null(budget);
    for (size_t column = 0; column < COLUMNS; column++) {
        struct slu_attempt attempt =
            of_column(answered(401, SLU_FAULT_CREDENTIALS, SLU_RETRY_NO, true, 0), column);
        struct slu_retry_verdict verdict;

        attempt.clock_corrected = true;
        verdict = slu_retry_decide(&attempt, budget, NOW, UINT32_MAX);
        assert_int_equal(verdict.act, SLU_RETRY_AGAIN);
        assert_int_equal(verdict.delay_ms, 0);
        assert_false(verdict.perhaps);
        attempt.made = 3;
        assert_int_equal(slu_retry_decide(&attempt, budget, NOW, 0).act, SLU_RETRY_STOP);
    }
    assert_int_equal(slu_retry_budget_counts(budget).granted, 0);
}

/* ---- the budget */

static bool again(struct slu_retry_budget *budget, uint64_t now_us)
{
    struct slu_attempt attempt = unanswered(SLU_REACH_NOTHING, SLU_FAULT_UPSTREAM_UNREACHABLE);
    struct slu_retry_verdict verdict = slu_retry_decide(&attempt, budget, now_us, 0);

    assert_int_equal(verdict.why,
                     verdict.act == SLU_RETRY_AGAIN ? SLU_RETRY_MAY : SLU_RETRY_OVER_BUDGET);
    return verdict.act == SLU_RETRY_AGAIN;
}

static unsigned drain(struct slu_retry_budget *budget, uint64_t now_us)
{
    unsigned count = 0;

    while (again(budget, now_us))
        count++;
    return count;
}

static void test_budget(void **state)
{
    slu_auto(slu_retry_budget) *budget = slu_retry_budget_new();
    struct slu_attempt attempt =
        of_column(unanswered(SLU_REACH_PERHAPS, SLU_FAULT_UPSTREAM_TIMEOUT), TOKEN);
    unsigned repeated = 0;

    (void)state;
    assert_non_null(budget);
    assert_int_equal(drain(budget, NOW), 10); /* the store, and no trickle of before the start */
    /* A write that may have taken effect is looked at where it cannot be repeated. */
    assert_int_equal(slu_retry_decide(&attempt, budget, NOW, 0).act, SLU_RETRY_LOOK);
    for (unsigned i = 0; i < 1200; i++) {
        slu_retry_budget_earn(budget);
        repeated += again(budget, NOW);
    }
    assert_int_equal(repeated, 100);
    assert_false(again(budget, 9999999));
    assert_int_equal(drain(budget, NOW + 30000000), 3); /* one in ten seconds */
    for (unsigned i = 0; i < 10000; i++)
        slu_retry_budget_earn(budget);
    assert_int_equal(drain(budget, NOW + 30000000), 10); /* what is not used is not kept */
    assert_int_equal(drain(budget, NOW + (UINT64_C(1) << 50)), 10);
    assert_int_equal(slu_retry_budget_counts(budget).granted, 10 + 100 + 3 + 10 + 10);
    assert_true(slu_retry_budget_counts(budget).refused > 1000);
}

/* A dead target that is asked ten times a second; each call is repeated as often as may be. */
static void test_load_of_a_dead_target(void **state)
{
    slu_auto(slu_retry_budget) *budget = slu_retry_budget_new();
    unsigned calls = 0, repeated = 0;

    (void)state;
    assert_non_null(budget);
    (void)drain(budget, NOW);
    for (uint64_t ms = 0; ms < 60000; ms += 100) {
        calls++;
        slu_retry_budget_earn(budget);
        repeated += drain(budget, NOW + ms * 1000);
    }
    assert_int_equal(calls, 600);
    assert_in_range(repeated, 50, 60);
}

enum { THREADS = 4, EACH = 30000 };

static void *earn_and_spend(void *context)
{
    struct slu_retry_budget *budget = context;
    uintptr_t got = 0;

    for (unsigned i = 0; i < EACH; i++) {
        slu_retry_budget_earn(budget);
        got += again(budget, NOW);
    }
    return (void *)got;
}

static void test_threads(void **state)
{
    slu_auto(slu_retry_budget) *budget = slu_retry_budget_new();
    pthread_t threads[THREADS];
    uint64_t sum = 0;

    (void)state;
    assert_non_null(budget);
    (void)drain(budget, NOW);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, earn_and_spend, budget), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *got;

        assert_int_equal(pthread_join(threads[i], &got), 0);
        sum += (uintptr_t)got;
    }
    assert_int_equal(10 + sum, slu_retry_budget_counts(budget).granted);
    sum += drain(budget, NOW);
    assert_int_equal(sum, THREADS * EACH / 12);
}

static bool make_one(void *context)
{
    slu_auto(slu_retry_budget) *budget = slu_retry_budget_new();

    (void)context;
    return budget;
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(test_every_allocation(make_one, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_hint_beyond_deadline),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_load_of_a_dead_target),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
