/* A budget of memory: to the byte, from one thread and many. */
#include "test.h"

#include "base/budget.h"

#include <pthread.h>
#include <stdatomic.h>

static void test_to_the_byte(void **state)
{
    slu_auto(slu_budget) *budget = slu_budget_new(100);

    (void)state;
    assert_non_null(budget);
    assert_true(slu_budget_take(budget, 60));
    assert_false(slu_budget_take(budget, 41));
    assert_true(slu_budget_take(budget, 40));
    assert_true(slu_budget_take(budget, 0));
    assert_false(slu_budget_take(budget, 1));
    assert_false(slu_budget_take(budget, UINT64_MAX));
    assert_int_equal(slu_budget_look(budget).used_bytes, 100);
    slu_budget_give(budget, 60);
    assert_false(slu_budget_take(budget, UINT64_MAX - 40));
    assert_false(slu_budget_take(budget, 101));
    assert_true(slu_budget_take(budget, 60));
    slu_budget_give(budget, 100);
    assert_int_equal(slu_budget_look(budget).used_bytes, 0);
    assert_int_equal(slu_budget_look(budget).most_bytes, 100);
    assert_int_equal(slu_budget_look(budget).refused, 5);
}

static void test_insisting(void **state)
{
    slu_auto(slu_budget) *budget = slu_budget_new(100);

    (void)state;
    assert_non_null(budget);
    slu_budget_insist(budget, 150);
    assert_int_equal(slu_budget_look(budget).used_bytes, 150);
    assert_false(slu_budget_take(budget, 1));
    slu_budget_give(budget, 100);
    assert_true(slu_budget_take(budget, 50));
    slu_budget_give(budget, 100);
    assert_int_equal(slu_budget_look(budget).refused, 1);
}

enum { THREADS = 4, EACH = 100000, MOST = 1000 };

static _Atomic uint64_t held;

static void *take_and_give(void *context)
{
    uintptr_t refused = 0;

    for (unsigned i = 0; i < EACH; i++) {
        uint64_t bytes = 1 + i * 7919 % 600;

        if (!slu_budget_take(context, bytes)) {
            refused++;
            continue;
        }
        assert_true(atomic_fetch_add(&held, bytes) + bytes <= MOST);
        atomic_fetch_sub(&held, bytes);
        slu_budget_give(context, bytes);
    }
    return (void *)refused;
}

static void test_threads(void **state)
{
    slu_auto(slu_budget) *budget = slu_budget_new(MOST);
    pthread_t threads[THREADS];
    uint64_t refused = 0;

    (void)state;
    assert_non_null(budget);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, budget), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *one;

        assert_int_equal(pthread_join(threads[i], &one), 0);
        refused += (uintptr_t)one;
    }
    assert_int_equal(slu_budget_look(budget).refused, refused);
    assert_int_equal(slu_budget_look(budget).used_bytes, 0);
}

static bool make_one(void *context)
{
    slu_auto(slu_budget) *budget = slu_budget_new(1);

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
        cmocka_unit_test(test_to_the_byte),
        cmocka_unit_test(test_insisting),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
