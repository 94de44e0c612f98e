/* Growing buffer: content, limit, failure that stays. */
#include "test.h"

#include "base/buf.h"

static void collects(void **state)
{
    struct slu_buf buf;

    (void)state;
    slu_buf_init(&buf, 0);
    assert_str(slu_buf_str(&buf), "");
    slu_buf_add(&buf, SLU_STR_NONE);
    slu_buf_lit(&buf, "ab");
    slu_buf_byte(&buf, 'c');
    slu_buf_printf(&buf, "%d", -12);
    slu_buf_printf(&buf, "%s", "");
    slu_buf_u64(&buf, 0);
    slu_buf_u64(&buf, UINT64_MAX);
    assert_str(slu_buf_str(&buf), "abc-12018446744073709551615");
    slu_buf_drop(&buf, 3);
    assert_str(slu_buf_str(&buf), "-12018446744073709551615");
    slu_buf_drop(&buf, buf.n);
    assert_int_equal(buf.n, 0);
    slu_buf_done(&buf);
}

static void grows_far(void **state)
{
    struct slu_buf buf;

    (void)state;
    slu_buf_init(&buf, 0);
    for (int i = 0; i < 100000; i++)
        slu_buf_byte(&buf, (char)('a' + i % 26));
    assert_int_equal(buf.n, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.p[i], 'a' + i % 26);
    slu_buf_done(&buf);
}

/* The limit holds however the bytes come, also below the first size that is allocated. */
static void limit_holds(void **state)
{
    static const size_t limits[] = {1, 5, 100, 255, 256, 257, 1000};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(limits); i++) {
        struct slu_buf buf;

        slu_buf_init(&buf, limits[i]);
        for (size_t n = 0; n < limits[i]; n++)
            slu_buf_byte(&buf, 'x');
        assert_false(buf.failed);
        assert_int_equal(buf.n, limits[i]);
        slu_buf_byte(&buf, 'x');
        assert_true(buf.failed);
        assert_int_equal(buf.n, limits[i]);
        slu_buf_done(&buf);
    }
}

static void printf_may_fill_the_limit(void **state)
{
    struct slu_buf buf;

    (void)state;
    slu_buf_init(&buf, 5);
    slu_buf_printf(&buf, "%s", "hello");
    assert_false(buf.failed);
    assert_str(slu_buf_str(&buf), "hello");
    slu_buf_printf(&buf, "%s", "!");
    assert_true(buf.failed);
    slu_buf_done(&buf);
}

static void failure_stays_until_cleared(void **state)
{
    struct slu_buf buf;

    (void)state;
    slu_buf_init(&buf, 4);
    slu_buf_lit(&buf, "ab");
    slu_buf_lit(&buf, "cde");
    assert_true(buf.failed);
    slu_buf_lit(&buf, "f"); /* it would fit, but would leave a hole */
    slu_buf_byte(&buf, 'f');
    slu_buf_u64(&buf, 1);
    assert_str(slu_buf_str(&buf), "ab");
    slu_buf_clear(&buf);
    slu_buf_lit(&buf, "cdef");
    assert_str(slu_buf_str(&buf), "cdef");
    assert_false(slu_buf_reserve(&buf, SIZE_MAX));
    slu_buf_done(&buf);
}

static bool build(void *context)
{
    struct slu_buf buf;
    bool good;

    (void)context;
    slu_buf_init(&buf, 0);
    for (int i = 0; i < 500; i++)
        slu_buf_printf(&buf, "%d,", i);
    good = !buf.failed;
    assert_true(!good || buf.n == 1890);
    slu_buf_done(&buf);
    return good;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(test_every_allocation(build, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collects),
        cmocka_unit_test(grows_far),
        cmocka_unit_test(limit_holds),
        cmocka_unit_test(printf_may_fill_the_limit),
        cmocka_unit_test(failure_stays_until_cleared),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
