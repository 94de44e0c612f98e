/* Text helpers. */
#include "test.h"

#include "base/mem.h"
#include "base/str.h"

static void equality(void **state)
{
    (void)state;
    assert_true(slu_str_eq(SLU_STR_NONE, SLU_STR("")));
    assert_true(slu_str_eq(SLU_STR("ab"), SLU_STR("ab")));
    assert_false(slu_str_eq(SLU_STR("ab"), SLU_STR("aB")));
    assert_false(slu_str_eq(SLU_STR("ab"), SLU_STR("abc")));
    assert_true(slu_str_eq_nocase(SLU_STR("Host-1"), SLU_STR("hOST-1")));
    assert_false(slu_str_eq_nocase(SLU_STR("@"), SLU_STR("`"))); /* 0x40 and 0x60 are no letters */
    assert_false(slu_str_eq_nocase(SLU_STR("["), SLU_STR("{")));
    assert_false(slu_str_eq_nocase(SLU_STR("\xc4"), SLU_STR("\xe4")));
    assert_true(slu_str_is(SLU_STR_NONE, ""));
}

static void order(void **state)
{
    static const struct {
        const char *a, *b;
        int order;
    } rows[] = {
        {"", "", 0},     {"", "a", -1},  {"a", "", 1},   {"a", "a", 0},        {"a", "b", -1},
        {"a", "ab", -1}, {"ab", "a", 1}, {"B", "a", -1}, {"\x7f", "\xc3", -1},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        int got = slu_str_cmp(slu_str_of(rows[i].a), slu_str_of(rows[i].b));

        assert_int_equal((got > 0) - (got < 0), rows[i].order);
    }
}

static void heads_and_tails(void **state)
{
    (void)state;
    assert_true(slu_str_starts(SLU_STR("abc"), SLU_STR("ab")));
    assert_true(slu_str_starts(SLU_STR_NONE, SLU_STR_NONE));
    assert_false(slu_str_starts(SLU_STR("a"), SLU_STR("ab")));
    assert_true(slu_str_ends(SLU_STR("abc"), SLU_STR("bc")));
    assert_true(slu_str_ends(SLU_STR("abc"), SLU_STR("")));
    assert_false(slu_str_ends(SLU_STR("abc"), SLU_STR("ab")));
    assert_str(slu_str_trim(SLU_STR(" \t a b\t ")), "a b");
    assert_str(slu_str_trim(SLU_STR(" \t ")), "");
    assert_str(slu_str_trim(SLU_STR("\na")), "\na");
}

static void cutting_tells_empty_from_none(void **state)
{
    struct slu_str rest = SLU_STR("a=b=");

    (void)state;
    assert_str(slu_str_cut(&rest, '='), "a");
    assert_str(slu_str_cut(&rest, '='), "b");
    assert_non_null(rest.p);
    assert_int_equal(rest.n, 0);
    assert_str(slu_str_cut(&rest, '='), "");
    assert_null(rest.p);
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t number;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0x1", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        uint64_t number = 4711;

        assert_int_equal(slu_str_to_u64(slu_str_of(rows[i].text), &number), rows[i].good);
        assert_int_equal(number, rows[i].good ? rows[i].number : 4711);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality),        cmocka_unit_test(order),
        cmocka_unit_test(heads_and_tails), cmocka_unit_test(cutting_tells_empty_from_none),
        cmocka_unit_test(numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
