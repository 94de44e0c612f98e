/* Secrets: what goes in comes out, comparison, wiping. */
#include "test.h"

#include "base/secret.h"

static void holds_a_copy(void **state)
{
    char source[] = "key\0more";
    slu_auto(slu_secret) *secret = slu_secret_new((struct slu_str){source, 8});
    slu_auto(slu_secret) *empty = slu_secret_new(SLU_STR_NONE);

    (void)state;
    memset(source, 'x', sizeof(source));
    assert_int_equal(slu_secret_reveal(secret).n, 8);
    assert_memory_equal(slu_secret_reveal(secret).p, "key\0more", 8);
    assert_int_equal(slu_secret_reveal(empty).n, 0);
    assert_null(slu_secret_reveal(NULL).p);
    slu_secret_free(NULL);
}

static void wipes(void **state)
{
    unsigned char bytes[64];

    (void)state;
    memset(bytes, 0xaa, sizeof(bytes));
    slu_wipe(bytes + 1, sizeof(bytes) - 2);
    assert_int_equal(bytes[0], 0xaa);
    assert_int_equal(bytes[63], 0xaa);
    for (size_t i = 1; i < 63; i++)
        assert_int_equal(bytes[i], 0);
    slu_wipe(NULL, 0);
}

static void compares(void **state)
{
    (void)state;
    assert_true(slu_equal_secretly(SLU_STR("abc"), SLU_STR("abc")));
    assert_true(slu_equal_secretly(SLU_STR_NONE, SLU_STR("")));
    assert_false(slu_equal_secretly(SLU_STR("abc"), SLU_STR("abd")));
    assert_false(slu_equal_secretly(SLU_STR("bbc"), SLU_STR("abc")));
    assert_false(slu_equal_secretly(SLU_STR("abc"), SLU_STR("ab")));
    assert_false(slu_equal_secretly(SLU_STR(""), SLU_STR("a")));
    assert_false(slu_equal_secretly(SLU_STR("\x80"), SLU_STR("\x00")));
}

static bool build(void *context)
{
    slu_auto(slu_secret) *secret = slu_secret_new(SLU_STR("s"));

    (void)context;
    return secret != NULL;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_int_equal(test_every_allocation(build, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_a_copy),
        cmocka_unit_test(wipes),
        cmocka_unit_test(compares),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
