/* The circuit breaker: when it opens, what its probes do, what counts; from one thread and many. */
#include "test.h"

#include "cloud/breaker.h"

#include <pthread.h>
#include <stdatomic.h>

#define S UINT64_C(1000000)
#define T (UINT64_C(5000) * S)

static const struct slu_breaker_conf conf = {
    .failure_percent = 50, .window_s = 10, .least_calls = 20, .slow_ms = 10000, .open_ms = 5000};

static int begin(void **state)
{
    *state = slu_breaker_new(&conf);
    assert_non_null(*state);
    return 0;
}

static int end(void **state)
{
    slu_breaker_free(*state);
    return 0;
}

static bool admitted(struct slu_breaker *breaker, uint64_t now_us)
{
    struct slu_breaker_pass pass;
    uint32_t after_ms = 0;
    bool good = slu_breaker_admit(breaker, now_us, &pass, &after_ms);

    assert_int_equal(good, after_ms == 0);
    if (good)
        slu_breaker_tell(breaker, pass, SLU_BREAKER_NEITHER, 0, now_us, 0);
    return good;
}

static struct slu_breaker_pass must_admit(struct slu_breaker *breaker, uint64_t now_us)
{
    struct slu_breaker_pass pass;
    uint32_t after_ms;

    assert_true(slu_breaker_admit(breaker, now_us, &pass, &after_ms));
    return pass;
}

static void call(struct slu_breaker *breaker, uint64_t now_us, enum slu_breaker_end how)
{
    slu_breaker_tell(breaker, must_admit(breaker, now_us), how, 1000, now_us, 0);
}

static void calls(struct slu_breaker *breaker, uint64_t now_us, unsigned good, unsigned bad)
{
    while (good--)
        call(breaker, now_us, SLU_BREAKER_GOOD);
    while (bad--)
        call(breaker, now_us, SLU_BREAKER_BAD);
}

static enum slu_breaker_state state_at(struct slu_breaker *breaker, uint64_t now_us)
{
    return slu_breaker_look(breaker, now_us).state;
}

static void test_opens(void **state)
{
    static const struct {
        unsigned good, bad;
        bool opens;
    } all[] = {{0, 19, false}, {0, 20, true},      {10, 9, false},     {11, 10, false},
               {10, 10, true}, {1000, 999, false}, {1000, 1000, true}, {5, 15, true}};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(all); i++) {
        slu_auto(slu_breaker) *breaker = slu_breaker_new(&conf);
        struct slu_breaker_view view;

        assert_non_null(breaker);
        calls(breaker, T, all[i].good, all[i].bad);
        view = slu_breaker_look(breaker, T);
        assert_int_equal(view.state, all[i].opens ? SLU_BREAKER_OPEN : SLU_BREAKER_CLOSED);
        assert_int_equal(view.calls, all[i].good + all[i].bad);
        assert_int_equal(view.failed, all[i].bad);
        assert_int_equal(view.opened, all[i].opens);
        assert_int_equal(admitted(breaker, T), !all[i].opens);
    }
}

/* What is older than the window does not count; nor what came of nothing. */
static void test_window(void **state)
{
    struct slu_breaker *breaker = *state;

    calls(breaker, T, 0, 19);
    calls(breaker, T + 10 * S, 0, 1);
    assert_int_equal(slu_breaker_look(breaker, T + 10 * S).calls, 1);
    for (unsigned i = 0; i < 100; i++)
        call(breaker, T + 10 * S, SLU_BREAKER_NEITHER);
    assert_int_equal(slu_breaker_look(breaker, T + 10 * S).calls, 1);
    for (unsigned i = 1; i < 19; i++)
        calls(breaker, T + 10 * S + i * S / 2, 0, 1);
    assert_int_equal(state_at(breaker, T + 19 * S), SLU_BREAKER_CLOSED);
    calls(breaker, T + 19 * S, 0, 1);
    assert_int_equal(state_at(breaker, T + 19 * S), SLU_BREAKER_OPEN);
}

/* A second so full that its counters would overflow keeps its share of failures. */
static void test_full_second(void **state)
{
    struct slu_breaker *breaker = *state;
    struct slu_breaker_view view;

    for (unsigned i = 0; i < 500000; i++)
        calls(breaker, T, 2, 1);
    view = slu_breaker_look(breaker, T);
    assert_int_equal(view.state, SLU_BREAKER_CLOSED);
    assert_true(view.calls > 500000 && view.calls < 1 << 20);
    assert_in_range(view.failed * 1000 / view.calls, 330, 336);
}

static void test_slow(void **state)
{
    struct slu_breaker *breaker = *state;

    for (unsigned i = 0; i < 20; i++)
        slu_breaker_tell(breaker, must_admit(breaker, T), SLU_BREAKER_GOOD, 9999999, T, 0);
    assert_int_equal(slu_breaker_look(breaker, T).failed, 0);
    for (unsigned i = 0; i < 20; i++)
        slu_breaker_tell(breaker, must_admit(breaker, T), SLU_BREAKER_GOOD, 10 * S, T, 0);
    assert_int_equal(state_at(breaker, T), SLU_BREAKER_OPEN);
}

static void test_probes(void **state)
{
    struct slu_breaker *breaker = *state;
    struct slu_breaker_pass first, second, third, late = must_admit(breaker, T);

    calls(breaker, T, 0, 20);
    assert_int_equal(slu_breaker_look(breaker, T).retry_after_ms, 2500); /* random 0: half */
    assert_false(admitted(breaker, T + 2 * S));
    first = must_admit(breaker, T + 3 * S);
    assert_true(first.probe);
    assert_int_equal(state_at(breaker, T + 3 * S), SLU_BREAKER_HALF_OPEN);
    assert_false(admitted(breaker, T + 3 * S));                        /* one at a time at first */
    slu_breaker_tell(breaker, late, SLU_BREAKER_BAD, 0, T + 3 * S, 0); /* of before: no matter */
    slu_breaker_tell(breaker, first, SLU_BREAKER_GOOD, 0, T + 3 * S, 0);
    second = must_admit(breaker, T + 3 * S);
    third = must_admit(breaker, T + 3 * S); /* then two */
    assert_false(admitted(breaker, T + 3 * S));
    slu_breaker_tell(breaker, second, SLU_BREAKER_GOOD, 0, T + 3 * S, 0);
    assert_int_equal(state_at(breaker, T + 3 * S), SLU_BREAKER_HALF_OPEN);
    slu_breaker_tell(breaker, third, SLU_BREAKER_GOOD, 0, T + 3 * S, 0);
    assert_int_equal(state_at(breaker, T + 3 * S), SLU_BREAKER_CLOSED);
    assert_int_equal(slu_breaker_look(breaker, T + 3 * S).calls, 0); /* it begins anew */
    assert_int_equal(slu_breaker_look(breaker, T + 3 * S).refused, 3);
    calls(breaker, T + 3 * S, 0, 20); /* and so do the pauses */
    assert_int_equal(slu_breaker_look(breaker, T + 3 * S).retry_after_ms, 2500);
}

/* A probe that came to no end gives its place to the next; a slow one is a bad one. */
static void test_probe_without_end(void **state)
{
    struct slu_breaker *breaker = *state;
    struct slu_breaker_pass probe;

    calls(breaker, T, 0, 20);
    probe = must_admit(breaker, T + 5 * S);
    slu_breaker_tell(breaker, probe, SLU_BREAKER_NEITHER, 0, T + 5 * S, 0);
    assert_int_equal(state_at(breaker, T + 5 * S), SLU_BREAKER_HALF_OPEN);
    probe = must_admit(breaker, T + 5 * S);
    slu_breaker_tell(breaker, probe, SLU_BREAKER_GOOD, 10 * S, T + 15 * S, 0);
    assert_int_equal(state_at(breaker, T + 15 * S), SLU_BREAKER_OPEN);
}

static void test_pauses(void **state)
{
    static const uint32_t whole_ms[] = {5000, 10000, 20000, 40000, 60000, 60000};
    struct slu_breaker *breaker = *state;
    uint64_t now = T;

    calls(breaker, now, 0, 20);
    for (size_t i = 0; i + 1 < SLU_COUNT(whole_ms); i++) {
        uint32_t random = i % 2 ? UINT32_MAX : 0, pause_ms;

        now += 60 * S;
        slu_breaker_tell(breaker, must_admit(breaker, now), SLU_BREAKER_BAD, 0, now, random);
        pause_ms = slu_breaker_look(breaker, now).retry_after_ms;
        assert_in_range(pause_ms, random ? whole_ms[i + 1] - 1 : whole_ms[i + 1] / 2,
                        random ? whole_ms[i + 1] : whole_ms[i + 1] / 2);
    }
    assert_int_equal(slu_breaker_look(breaker, now).opened, SLU_COUNT(whole_ms));
}

static void test_off(void **state)
{
    struct slu_breaker *breaker = *state;
    struct slu_breaker_conf off = conf;

    off.failure_percent = 0;
    calls(breaker, T, 0, 20);
    assert_false(admitted(breaker, T));
    slu_breaker_set(breaker, &off); /* a reload lets calls go at once */
    calls(breaker, T, 0, 1000);
    assert_true(admitted(breaker, T));
    slu_breaker_set(breaker, &conf);
    calls(breaker, T, 0, 1);
    assert_false(admitted(breaker, T));
}

static void test_what_counts(void **state)
{
    static const struct {
        bool answered;
        enum slu_fault_kind kind;
        int status;
        enum slu_breaker_end end;
    } all[] = {
        {false, SLU_FAULT_UPSTREAM_UNREACHABLE, 0, SLU_BREAKER_BAD},
        {false, SLU_FAULT_UPSTREAM_TIMEOUT, 0, SLU_BREAKER_BAD},
        {false, SLU_FAULT_UPSTREAM_BROKEN, 0, SLU_BREAKER_BAD},
        {false, SLU_FAULT_UPSTREAM_UNREADABLE, 0, SLU_BREAKER_BAD},
        {false, SLU_FAULT_UNAVAILABLE, 0, SLU_BREAKER_NEITHER},
        {false, SLU_FAULT_MEMORY, 0, SLU_BREAKER_NEITHER},
        {false, SLU_FAULT_TIMEOUT, 0, SLU_BREAKER_NEITHER}, /* the caller left */
        {true, SLU_FAULT_NONE, 200, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_UPSTREAM_UNREADABLE, 200, SLU_BREAKER_BAD},
        {true, SLU_FAULT_UPSTREAM_REFUSED, 400, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_CREDENTIALS, 401, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_NOT_FOUND, 404, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_CONFLICT, 409, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_BUSY, 409, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_THROTTLED, 429, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_THROTTLED, 503, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_UPSTREAM_ERROR, 500, SLU_BREAKER_GOOD},
        {true, SLU_FAULT_UPSTREAM_ERROR, 502, SLU_BREAKER_BAD},
        {true, SLU_FAULT_UPSTREAM_UNAVAILABLE, 503, SLU_BREAKER_BAD},
        {true, SLU_FAULT_UPSTREAM_TIMEOUT, 504, SLU_BREAKER_BAD},
        {true, SLU_FAULT_UPSTREAM_TIMEOUT, 408, SLU_BREAKER_GOOD},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(all); i++)
        assert_int_equal(slu_breaker_end_of(all[i].answered, all[i].kind, all[i].status),
                         all[i].end);
    assert_string_equal(slu_breaker_state_name(SLU_BREAKER_CLOSED), "closed");
    assert_string_equal(slu_breaker_state_name(SLU_BREAKER_OPEN), "open");
    assert_string_equal(slu_breaker_state_name(SLU_BREAKER_HALF_OPEN), "half_open");
}

/* ---- threads */

enum { THREADS = 4, EACH = 50000 };

static void *mostly_good(void *context)
{
    for (unsigned i = 0; i < EACH; i++)
        call(context, T + (uint64_t)i, i % 5 ? SLU_BREAKER_GOOD : SLU_BREAKER_BAD);
    return NULL;
}

static _Atomic unsigned probing, let_through;

/* In the half-open state: as many at the same time as have succeeded, and one. */
static void *probe(void *context)
{
    struct slu_breaker *breaker = context;

    for (unsigned i = 0; i < EACH; i++) {
        uint64_t now = T + i * S / 100;
        struct slu_breaker_pass pass;
        uint32_t after_ms;

        if (!slu_breaker_admit(breaker, now, &pass, &after_ms))
            continue;
        atomic_fetch_add(&let_through, 1);
        if (pass.probe)
            assert_true(atomic_fetch_add(&probing, 1) < 3);
        if (pass.probe)
            atomic_fetch_sub(&probing, 1);
        slu_breaker_tell(breaker, pass, i % 2 ? SLU_BREAKER_BAD : SLU_BREAKER_GOOD, 0, now, i);
    }
    return NULL;
}

static void run(void *(*body)(void *), struct slu_breaker *breaker)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, breaker), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void test_threads(void **state)
{
    struct slu_breaker *breaker = *state;
    struct slu_breaker_view view;

    run(mostly_good, breaker);
    view = slu_breaker_look(breaker, T + EACH);
    assert_int_equal(view.calls, THREADS * EACH); /* not one is lost */
    assert_int_equal(view.failed, THREADS * EACH / 5);
    assert_int_equal(view.state, SLU_BREAKER_CLOSED);
    run(probe, breaker);
    view = slu_breaker_look(breaker, T + EACH * S / 100);
    assert_int_equal(let_through + view.refused, THREADS * EACH);
    assert_true(view.opened > 1);
}

static bool make_one(void *context)
{
    slu_auto(slu_breaker) *breaker = slu_breaker_new(context);

    return breaker;
}

static void test_memory(void **state)
{
    struct slu_breaker_conf mine = conf;

    (void)state;
    assert_int_equal(test_every_allocation(make_one, &mine), 1);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens),
        FRESH(test_window),
        FRESH(test_full_second),
        FRESH(test_slow),
        FRESH(test_probes),
        FRESH(test_probe_without_end),
        FRESH(test_pauses),
        FRESH(test_off),
        cmocka_unit_test(test_what_counts),
        FRESH(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
