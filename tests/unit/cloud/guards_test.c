/* The guards of targets: one a name and origin, set anew by reloads, gone with their last user. */
#include "test.h"

#include "cloud/guards.h"

#include <pthread.h>

static struct slu_target target_of(const char *name, const char *host)
{
    return (struct slu_target){.name = slu_str_of(name),
                               .scheme = SLU_STR("https"),
                               .host = slu_str_of(host),
                               .max_in_flight = 1,
                               .breaker = {50, 10, 1, 0, 5000}};
}

static void count(struct slu_guard *guard, void *user)
{
    struct slu_guard **seen = user;

    while (*seen)
        seen++;
    *seen = guard;
}

static void test_known(void **state)
{
    slu_auto(slu_guards) *guards = slu_guards_new();
    struct slu_target a = target_of("a", "x"), b = target_of("b", "x"), moved = target_of("a", "y");
    struct slu_guard *first, *second, *other, *seen[4] = {NULL};

    (void)state;
    assert_non_null(guards);
    first = slu_guards_take(guards, &a);
    second = slu_guards_take(guards, &a);
    assert_non_null(first);
    assert_ptr_equal(first, second);
    assert_str(first->name, "a");
    slu_guards_give(guards, second);
    other = slu_guards_take(guards, &b);
    assert_non_null(other);
    assert_ptr_not_equal(first, other);
    slu_guards_give(guards, NULL);
    second = slu_guards_take(guards, &moved); /* another cloud by the same name */
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    slu_guards_each(guards, count, seen);
    assert_ptr_equal(seen[0], second);
    assert_ptr_equal(seen[1], other);
    assert_null(seen[2]);
    slu_guards_give(guards, other);
    slu_guards_give(guards, second);
    slu_guards_give(guards, first);
}

/* What is in flight stays counted; the bounds are the new ones. */
static void test_reload(void **state)
{
    slu_auto(slu_guards) *guards = slu_guards_new();
    struct slu_target target = target_of("a", "x");
    struct slu_limit_turn one = {.wake = NULL}, two = one;
    struct slu_guard *guard;
    uint32_t wait_ms;

    (void)state;
    assert_non_null(guards);
    guard = slu_guards_take(guards, &target);
    assert_non_null(guard);
    assert_int_equal(slu_limit_take(guard->limit, &one, 1, 9, &wait_ms), SLU_LIMIT_GO);
    assert_int_equal(slu_limit_take(guard->limit, &two, 1, 9, &wait_ms), SLU_LIMIT_FULL);
    target.max_in_flight = 2;
    assert_ptr_equal(slu_guards_take(guards, &target), guard);
    assert_int_equal(slu_limit_take(guard->limit, &two, 1, 9, &wait_ms), SLU_LIMIT_GO);
    slu_limit_leave(guard->limit, &one);
    slu_limit_leave(guard->limit, &two);
    slu_guards_give(guards, guard);
    slu_guards_give(guards, guard);
}

static void *take_and_give(void *context)
{
    struct slu_target target = target_of("a", "x");

    for (unsigned i = 0; i < 2000; i++) {
        struct slu_guard *guard = slu_guards_take(context, &target);

        assert_non_null(guard);
        slu_retry_budget_earn(guard->retries);
        slu_guards_give(context, guard);
    }
    return NULL;
}

static void test_threads(void **state)
{
    slu_auto(slu_guards) *guards = slu_guards_new();
    pthread_t threads[4];

    (void)state;
    assert_non_null(guards);
    for (size_t i = 0; i < SLU_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, guards), 0);
    for (size_t i = 0; i < SLU_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static bool make_one(void *context)
{
    slu_auto(slu_guards) *guards = slu_guards_new();
    struct slu_guard *guard = guards ? slu_guards_take(guards, context) : NULL;

    if (guard)
        slu_guards_give(guards, guard);
    return guard;
}

static void test_memory(void **state)
{
    struct slu_target target = target_of("a", "x");

    (void)state;
    assert_int_equal(test_every_allocation(make_one, &target), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
