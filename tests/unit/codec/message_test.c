/* Header fields: what may be added, and finding them. */
#include "tree.h"

#include "codec/message.h"

#include <stdio.h>

static void adds_and_finds(void **state)
{
    struct slu_headers headers = {0};

    (void)state;
    assert_null(slu_headers_find(&headers, SLU_STR("a")));
    assert_null(slu_headers_value(&headers, SLU_STR("a")).p);
    assert_true(slu_headers_add(&arena, &headers, SLU_STR("X-Test"), SLU_STR(" \tone two\t ")));
    assert_true(slu_headers_add(&arena, &headers, SLU_STR("x-test"), SLU_STR("three")));
    assert_true(slu_headers_add(&arena, &headers, SLU_STR("empty"), SLU_STR("  ")));
    assert_str(slu_headers_value(&headers, SLU_STR("X-TEST")), "one two");
    assert_int_equal(slu_headers_count(&headers, SLU_STR("X-TEST")), 2);
    assert_int_equal(slu_headers_count(&headers, SLU_STR("x-tes")), 0);
    assert_non_null(slu_headers_find(&headers, SLU_STR("Empty")));
    assert_str(slu_headers_value(&headers, SLU_STR("Empty")), "");
    assert_true(slu_headers_set(&arena, &headers, SLU_STR("X-Test"), SLU_STR("new")));
    assert_str(headers.items[0].value, "new");
    assert_str(headers.items[1].value, "three");
    assert_true(slu_headers_set(&arena, &headers, SLU_STR("other"), SLU_STR("x")));
    assert_int_equal(headers.count, 4);
}

static void many_fields_keep_their_order(void **state)
{
    struct slu_headers headers = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(slu_headers_add(&arena, &headers, slu_arena_printf(&arena, "n%d", i),
                                    slu_arena_printf(&arena, "v%d", i)));
    for (int i = 0; i < 100; i++) {
        char value[16];

        snprintf(value, sizeof(value), "v%d", i);
        assert_str(headers.items[i].value, value);
    }
}

/* RFC 9110 §5.6.2: these fifteen signs, digits and letters. */
static void names_are_tokens(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char name[3] = {'a', (char)c, 'b'};
        bool good = c && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                                c);
        struct slu_headers headers = {0};

        assert_int_equal(slu_token_valid((struct slu_str){name, 3}), good);
        assert_int_equal(slu_headers_add(&arena, &headers, (struct slu_str){name, 3}, SLU_STR("v")),
                         good);
        assert_int_equal(headers.count, good);
    }
    assert_false(slu_token_valid(SLU_STR("")));
    assert_false(slu_token_valid(SLU_STR_NONE));
}

static void values_hold_no_control_characters(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char value[3] = {'a', (char)c, 'b'};
        bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
        struct slu_headers headers = {0};

        assert_int_equal(slu_field_value_valid((struct slu_str){value, 3}), good);
        assert_int_equal(
            slu_headers_add(&arena, &headers, SLU_STR("n"), (struct slu_str){value, 3}), good);
        assert_true(slu_headers_set(&arena, &headers, SLU_STR("m"), SLU_STR("old")));
        assert_int_equal(
            slu_headers_set(&arena, &headers, SLU_STR("m"), (struct slu_str){value, 3}), good);
        if (!good)
            assert_str(slu_headers_value(&headers, SLU_STR("m")), "old");
    }
    assert_true(slu_field_value_valid(SLU_STR("")));
    assert_false(slu_field_value_valid(SLU_STR(" a")));
    assert_false(slu_field_value_valid(SLU_STR("a\t")));
    assert_false(slu_headers_add(&arena, &(struct slu_headers){0}, SLU_STR("n"),
                                 SLU_STR("a\r\nInjected: yes")));
}

static bool build(void *context)
{
    struct slu_arena mine;
    struct slu_headers headers = {0};
    bool good = true;

    (void)context;
    slu_arena_init(&mine, 1 << 20);
    for (int i = 0; i < 500; i++)
        if (!slu_headers_add(&mine, &headers, SLU_STR("n"), SLU_STR("v")))
            good = false;
    assert_int_equal(good, headers.count == 500);
    slu_arena_done(&mine);
    return good;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(test_every_allocation(build, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adds_and_finds, begin, end),
        cmocka_unit_test_setup_teardown(many_fields_keep_their_order, begin, end),
        cmocka_unit_test_setup_teardown(names_are_tokens, begin, end),
        cmocka_unit_test_setup_teardown(values_hold_no_control_characters, begin, end),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
