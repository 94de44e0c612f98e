/* Places, the queue, the rate: in which order, until when, how many; from one thread and many. */
#include "test.h"

#include "cloud/limit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MANY = 8 };
#define MS  UINT64_C(1000)
#define NOW (UINT64_C(5000000) * MS)
#define FAR (NOW + 60000 * MS)

struct one {
    struct slu_limit_turn turn;
    unsigned woken;
    uint32_t wait_ms;
};

struct world {
    struct slu_limit *limit;
    struct one all[MANY];
};

static void wake(void *context)
{
    ((struct one *)context)->woken++;
}

static void set_up(struct world *w, struct slu_limit_conf conf)
{
    *w = (struct world){.limit = slu_limit_new(&conf)};
    assert_non_null(w->limit);
    for (size_t i = 0; i < MANY; i++)
        w->all[i].turn = (struct slu_limit_turn){.wake = wake, .context = &w->all[i]};
}

static void tear_down(struct world *w)
{
    for (size_t i = 0; i < MANY; i++)
        slu_limit_leave(w->limit, &w->all[i].turn); /* also who has left already */
    assert_int_equal(slu_limit_look(w->limit).in_flight, 0);
    assert_int_equal(slu_limit_look(w->limit).waiting, 0);
    slu_limit_free(w->limit);
}

static enum slu_limit_state take(struct world *w, size_t i, uint64_t now_us)
{
    return slu_limit_take(w->limit, &w->all[i].turn, now_us, FAR, &w->all[i].wait_ms);
}

static void leave(struct world *w, size_t i)
{
    slu_limit_leave(w->limit, &w->all[i].turn);
}

static void test_in_order(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, (struct slu_limit_conf){2, 3, 0, 0});
    assert_int_equal(take(&w, 0, NOW), SLU_LIMIT_GO);
    assert_int_equal(take(&w, 1, NOW), SLU_LIMIT_GO);
    for (size_t i = 2; i < 5; i++)
        assert_int_equal(take(&w, i, NOW), SLU_LIMIT_WAIT);
    assert_int_equal(take(&w, 5, NOW), SLU_LIMIT_FULL);
    assert_true(w.all[5].wait_ms > 0);
    assert_int_equal(take(&w, 2, NOW), SLU_LIMIT_WAIT); /* asked again without being woken */
    assert_int_equal(take(&w, 0, NOW), SLU_LIMIT_GO);
    assert_int_equal(slu_limit_look(w.limit).waiting, 3);
    leave(&w, 1);
    assert_int_equal(w.all[2].woken, 1);
    assert_int_equal(take(&w, 1, NOW), SLU_LIMIT_WAIT); /* nobody overtakes who was woken */
    assert_int_equal(take(&w, 2, NOW), SLU_LIMIT_GO);
    leave(&w, 3); /* from the middle */
    leave(&w, 0);
    assert_int_equal(w.all[3].woken, 0);
    assert_int_equal(w.all[4].woken, 1);
    leave(&w, 4); /* woken, but gone before it came */
    assert_int_equal(w.all[1].woken, 1);
    assert_int_equal(take(&w, 1, NOW), SLU_LIMIT_GO);
    leave(&w, 1); /* the queue is empty: its end is where it begins */
    assert_int_equal(take(&w, 3, NOW), SLU_LIMIT_GO);
    assert_int_equal(take(&w, 4, NOW), SLU_LIMIT_WAIT);
    leave(&w, 4); /* the last */
    assert_int_equal(take(&w, 5, NOW), SLU_LIMIT_WAIT);
    leave(&w, 2);
    assert_int_equal(w.all[5].woken, 1);
    assert_int_equal(slu_limit_look(w.limit).full, 1);
    tear_down(&w);
}

static void test_deadlines(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, (struct slu_limit_conf){1, 3, 0, 0});
    assert_int_equal(take(&w, 7, FAR), SLU_LIMIT_LATE);
    assert_int_equal(take(&w, 0, NOW), SLU_LIMIT_GO);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(take(&w, i, NOW), SLU_LIMIT_WAIT);
    assert_int_equal(take(&w, 1, FAR), SLU_LIMIT_LATE); /* its own timer */
    leave(&w, 0);
    assert_int_equal(w.all[1].woken, 0);
    assert_int_equal(w.all[2].woken, 1);
    assert_int_equal(take(&w, 2, FAR), SLU_LIMIT_LATE); /* woken too late: the next one has it */
    assert_int_equal(w.all[3].woken, 1);
    assert_int_equal(take(&w, 3, NOW), SLU_LIMIT_GO);
    assert_int_equal(take(&w, 3, FAR), SLU_LIMIT_GO); /* who has gone is not called back */
    assert_int_equal(slu_limit_look(w.limit).late, 3);
    tear_down(&w);
}

static void test_rate(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, (struct slu_limit_conf){8, 8, 10, 3});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(take(&w, i, NOW), SLU_LIMIT_GO);
    assert_int_equal(take(&w, 3, NOW), SLU_LIMIT_PAUSE);
    assert_int_equal(w.all[3].wait_ms, 100);
    assert_int_equal(take(&w, 4, NOW), SLU_LIMIT_PAUSE);
    assert_int_equal(w.all[4].wait_ms, 200);
    assert_int_equal(take(&w, 3, NOW + 99 * MS), SLU_LIMIT_PAUSE);
    assert_int_equal(w.all[3].wait_ms, 1);
    leave(&w, 4); /* its moment is free for the next one */
    assert_int_equal(take(&w, 3, NOW + 100 * MS), SLU_LIMIT_GO);
    assert_int_equal(take(&w, 5, NOW + 100 * MS), SLU_LIMIT_PAUSE);
    assert_int_equal(w.all[5].wait_ms, 100);
    leave(&w, 0); /* who has gone has used his */
    assert_int_equal(take(&w, 6, NOW + 100 * MS), SLU_LIMIT_PAUSE);
    assert_int_equal(w.all[6].wait_ms, 200);
    assert_int_equal(
        slu_limit_take(w.limit, &w.all[7].turn, NOW + 100 * MS, NOW + 399 * MS, &w.all[7].wait_ms),
        SLU_LIMIT_LATE);
    assert_int_equal(w.all[7].wait_ms, 300); /* told when it would have been */
    assert_int_equal(slu_limit_look(w.limit).in_flight, 5);
    assert_int_equal(take(&w, 7, NOW + 100 * MS), SLU_LIMIT_PAUSE); /* it took nothing */
    assert_int_equal(w.all[7].wait_ms, 300);
    tear_down(&w);
}

/* The rate holds over time, whoever asks how often, and a rest gives no more than the burst. */
static void test_rate_over_time(void **state)
{
    static const struct {
        uint32_t rate, burst, most;
    } all[] = {{10, 1, 100}, {10, 5, 104}, {7, 0, 70}, {999, 999, 10989}, {1, 1, 10}};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(all); i++) {
        uint64_t went = 0, now = NOW + 30000 * MS;
        struct world w;

        set_up(&w, (struct slu_limit_conf){1, 0, all[i].rate, all[i].burst});
        for (uint64_t until = now + 10000 * MS; now < until; now += 97)
            if (take(&w, 0, now) == SLU_LIMIT_GO) {
                went++;
                leave(&w, 0);
            }
        assert_in_range(went, all[i].most - all[i].most / 50, all[i].most);
        tear_down(&w);
    }
}

static void test_reload(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, (struct slu_limit_conf){1, 8, 1, 1});
    assert_int_equal(take(&w, 0, NOW), SLU_LIMIT_GO);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(take(&w, i, NOW), SLU_LIMIT_WAIT);
    slu_limit_set(w.limit, &(struct slu_limit_conf){3, 8, 0, 0});
    assert_int_equal(w.all[1].woken + w.all[2].woken + w.all[3].woken, 2);
    assert_int_equal(take(&w, 1, NOW), SLU_LIMIT_GO);
    slu_limit_set(w.limit, &(struct slu_limit_conf){1, 8, 0, 0});
    leave(&w, 0);
    leave(&w, 1);
    assert_int_equal(w.all[3].woken, 0); /* one too many still is in flight */
    leave(&w, 2);
    assert_int_equal(w.all[3].woken, 1);
    tear_down(&w);
}

/* ---- threads */

enum { THREADS = 6, EACH = 20000, PLACES = 2 };

struct worker {
    struct slu_limit *limit;
    struct slu_limit_turn turn;
    _Atomic bool woken;
    unsigned went, left, full;
};

static _Atomic unsigned in_flight;

static void wake_worker(void *context)
{
    atomic_store(&((struct worker *)context)->woken, true);
}

/* Each call is made, or given up while it waits; a lost wake would hang the test. */
static void one_call(struct worker *worker, unsigned n)
{
    enum slu_limit_state state;
    uint32_t wait_ms;

    atomic_store(&worker->woken, false);
    state = slu_limit_take(worker->limit, &worker->turn, NOW, FAR, &wait_ms);
    if (state == SLU_LIMIT_WAIT && n % 3 == 0) {
        worker->left++;
    } else if (state == SLU_LIMIT_WAIT) {
        while (!atomic_load(&worker->woken))
            sched_yield();
        state = slu_limit_take(worker->limit, &worker->turn, NOW, FAR, &wait_ms);
        assert_int_equal(state, SLU_LIMIT_GO);
    }
    if (state == SLU_LIMIT_GO) {
        assert_true(atomic_fetch_add(&in_flight, 1) < PLACES);
        atomic_fetch_sub(&in_flight, 1);
        worker->went++;
    }
    worker->full += state == SLU_LIMIT_FULL;
    slu_limit_leave(worker->limit, &worker->turn);
}

static void *work(void *context)
{
    struct worker *worker = context;

    worker->turn = (struct slu_limit_turn){.wake = wake_worker, .context = worker};
    for (unsigned n = 0; n < EACH; n++)
        one_call(worker, n);
    return NULL;
}

static void test_threads(void **state)
{
    slu_auto(slu_limit) *limit = slu_limit_new(&(struct slu_limit_conf){PLACES, 3, 0, 0});
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    unsigned full = 0;

    (void)state;
    assert_non_null(limit);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.limit = limit};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].went + workers[i].left + workers[i].full, EACH);
        full += workers[i].full;
    }
    assert_int_equal(slu_limit_look(limit).full, full);
    assert_int_equal(slu_limit_look(limit).in_flight, 0);
}

static bool make_one(void *context)
{
    slu_auto(slu_limit) *limit = slu_limit_new(context);

    return limit;
}

static void test_memory(void **state)
{
    struct slu_limit_conf conf = {1, 1, 1, 1};

    (void)state;
    assert_int_equal(test_every_allocation(make_one, &conf), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order), cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_rate),     cmocka_unit_test(test_rate_over_time),
        cmocka_unit_test(test_reload),   cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
