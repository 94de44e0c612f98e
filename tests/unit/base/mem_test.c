/* Heap memory: zeroing, overflow, the n-th failure, ownership, broken assumptions. */
#include "test.h"

#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void gives_zeroed_memory(void **state)
{
    unsigned char *bytes = slu_mem_new(1000);
    unsigned char *array = slu_mem_array(10, 100);

    (void)state;
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(bytes[i] | array[i], 0);
    slu_mem_free(bytes);
    slu_mem_free(array);
    bytes = slu_mem_new(0);
    assert_non_null(bytes);
    slu_mem_free(bytes);
    slu_mem_free(NULL);
}

static void copies_text(void **state)
{
    char *copy = slu_mem_text("abcdef", 3);

    (void)state;
    assert_string_equal(copy, "abc");
    slu_mem_free(copy);
    copy = slu_mem_text(NULL, 0);
    assert_string_equal(copy, "");
    slu_mem_free(copy);
    assert_null(slu_mem_text("x", SIZE_MAX));
}

static void fails_at_the_nth_only(void **state)
{
    (void)state;
    slu_mem_fail_at(3);
    for (int i = 1; i <= 5; i++) {
        void *block = slu_mem_new(1);

        assert_int_equal(block == NULL, i == 3);
        slu_mem_free(block);
    }
    assert_int_equal(slu_mem_fail_at(0), 5);
    assert_int_equal(slu_mem_fail_at(0), 0);
}

static void failed_resize_leaves_the_block(void **state)
{
    char *block = slu_mem_text("keep", 4);

    (void)state;
    slu_mem_fail_at(1);
    assert_null(slu_mem_resize(block, 100));
    slu_mem_fail_at(0);
    assert_string_equal(block, "keep");
    block = slu_mem_resize(block, 100);
    assert_string_equal(block, "keep");
    slu_mem_free(block);
}

static int freed;
struct test_thing {
    int unused;
};
static void test_thing_free(struct test_thing *thing)
{
    freed += thing != NULL;
}
SLU_AUTO_DEFINE(test_thing)

static void scope_frees_what_was_not_taken(void **state)
{
    static struct test_thing one;
    struct test_thing *taken;

    (void)state;
    {
        slu_auto(test_thing) *held = &one;

        taken = slu_take(held);
        assert_null(held);
    }
    assert_ptr_equal(taken, &one);
    assert_int_equal(freed, 0);
    {
        slu_auto(test_thing) *held = &one;

        assert_non_null(held);
    }
    assert_int_equal(freed, 1);
}

static void broken_assumption_ends_the_process(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        slu_must(1 + 1 == 3);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_memory),
        cmocka_unit_test(copies_text),
        cmocka_unit_test(fails_at_the_nth_only),
        cmocka_unit_test(failed_resize_leaves_the_block),
        cmocka_unit_test(scope_frees_what_was_not_taken),
        cmocka_unit_test(broken_assumption_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
