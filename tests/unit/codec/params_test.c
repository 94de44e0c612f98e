/* Percent-encoding and lists of parameters. */
#include "tree.h"

#include "codec/params.h"

#include <stdio.h>

static struct slu_params read_params(const char *text)
{
    struct slu_params params = {0};
    struct slu_fault fault = {0};

    if (!slu_params_read(&arena, slu_str_of(text), true, 100, &params, &fault))
        fail_msg("%s: %s", text, fault.words);
    return params;
}

static void assert_params(const struct slu_params *params, const char *expected)
{
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_params_write(&out, params);
    assert_str(slu_buf_str(&out), expected);
    slu_buf_done(&out);
}

static void encodes_all_but_the_unreserved(void **state)
{
    struct slu_buf out;

    (void)state;
    slu_buf_init(&out, 0);
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, expected[4];
        bool stays = c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789-._~",
                                 c);

        snprintf(expected, sizeof(expected), stays ? "%c" : "%%%02X", c);
        slu_buf_clear(&out);
        slu_percent_encode(&out, (struct slu_str){&byte, 1});
        assert_str(slu_buf_str(&out), expected);
    }
    slu_buf_clear(&out);
    slu_percent_encode(&out, SLU_STR("a b+c/\xc3\xa9*~"));
    slu_percent_encode(&out, SLU_STR_NONE);
    assert_str(slu_buf_str(&out), "a%20b%2Bc%2F%C3%A9%2A~");
    slu_buf_done(&out);
}

static void decodes(void **state)
{
    static const struct {
        const char *text;
        bool plus;
        const char *decoded; /* NULL: refused */
    } rows[] = {
        {"", false, ""},
        {"plain", false, "plain"},
        {"a+b", false, "a+b"},
        {"a+b", true, "a b"},
        {"a%2Bb", true, "a+b"},
        {"%41%7e", false, "A~"},
        {"%c3%A9", false, "\xc3\xa9"},
        {"%25%32%35", false, "%25"},
        {"\xc3\xa9", false, "\xc3\xa9"},
        {"%00", false, NULL},
        {"a%", false, NULL},
        {"a%4", false, NULL},
        {"%4g", false, NULL},
        {"%g4", false, NULL},
        {"%%41", false, NULL},
        {"% 41", false, NULL},
        {"%+1", true, NULL},
        {"%C3", false, NULL},
        {"%C3%28", false, NULL},
        {"%C0%AF", false, NULL},
        {"%ED%A0%80", false, NULL},
        {"\xff", false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_str decoded = SLU_STR("untouched");
        bool good = slu_percent_decode(&arena, slu_str_of(rows[i].text), rows[i].plus, &decoded);

        if (good != (rows[i].decoded != NULL))
            fail_msg("%s is %s", rows[i].text, good ? "accepted" : "refused");
        assert_str(decoded, good ? rows[i].decoded : "untouched");
        if (good && strcmp(rows[i].text, rows[i].decoded) == 0)
            assert_ptr_equal(decoded.p, rows[i].text);
    }
    assert_false(
        slu_percent_decode(&arena, (struct slu_str){"a\0b", 3}, false, &(struct slu_str){0}));
}

static void reads_pairs(void **state)
{
    struct slu_params params = read_params("&a=1&&b&c=&=d&a=2%263&e=f=g&x+y=z&");

    (void)state;
    assert_int_equal(params.count, 7);
    assert_str(params.items[0].name, "a");
    assert_str(params.items[1].name, "b");
    assert_true(params.items[1].bare);
    assert_false(params.items[2].bare);
    assert_str(params.items[3].name, "");
    assert_str(params.items[4].value, "2&3");
    assert_str(params.items[5].value, "f=g");
    assert_str(slu_params_find(&params, SLU_STR("x y"))->value, "z");
    assert_str(slu_params_find(&params, SLU_STR("a"))->value, "1");
    assert_null(slu_params_find(&params, SLU_STR("A")));
    assert_params(&params, "a=1&b=&c=&=d&a=2%263&e=f%3Dg&x%20y=z");
    assert_int_equal(read_params("").count, 0);
    assert_int_equal(read_params("&&").count, 0);
}

static void refuses_broken_and_too_many(void **state)
{
    struct slu_params params = {.count = 4711};
    struct slu_fault fault = {0};

    (void)state;
    assert_false(slu_params_read(&arena, SLU_STR("a=%zz"), true, 9, &params, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_BAD_PARAMETER);
    fault = (struct slu_fault){0};
    assert_false(slu_params_read(&arena, SLU_STR("%=1"), true, 9, &params, &fault));
    fault = (struct slu_fault){0};
    assert_false(slu_params_read(&arena, SLU_STR("a&b&&c"), true, 2, &params, &fault));
    assert_string_equal(fault.words, "there are 3 parameters, at most 2 are read");
    assert_int_equal(params.count, 4711);
    assert_true(slu_params_read(&arena, SLU_STR("a&b&&"), true, 2, &params, NULL));
    assert_true(slu_params_read(&arena, SLU_STR_NONE, true, 0, &params, NULL));
}

static void sorts_by_name_then_value_as_bytes(void **state)
{
    struct slu_params params = read_params("b=2&B=1&a=2&a=10&%C3%A9=1&a&ab=0&_=1");

    (void)state;
    slu_params_sort(&params);
    assert_params(&params, "B=1&_=1&a=&a=10&a=2&ab=0&b=2&%C3%A9=1");
}

/* What is written as %XX comes before all that stands for itself, also "-" and ".". */
static void sorts_as_encoded(void **state)
{
    struct slu_params params =
        read_params("a-=1&a=-&a%2F=1&a=%2F&%C3%A4=1&A=1&~=1&a=&%20=1&a.10=1&a.2=1&a%2A=1&a=1");

    (void)state;
    slu_params_sort_encoded(&params);
    assert_params(&params,
                  "%20=1&%C3%A4=1&A=1&a=&a=%2F&a=-&a=1&a%2A=1&a%2F=1&a-=1&a.10=1&a.2=1&~=1");
}

static void sorts_long_lists_alike(void **state)
{
    struct slu_param items[90];
    struct slu_params params = {items, SLU_COUNT(items)};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(items); i++)
        items[i] = (struct slu_param){.name = slu_arena_printf(&arena, "%02zu", i * 37 % 90)};
    slu_params_sort(&params);
    for (size_t i = 0; i < SLU_COUNT(items); i++) {
        char name[8];

        snprintf(name, sizeof(name), "%02zu", i);
        assert_str(items[i].name, name);
    }
}

static void to_values_and_back(void **state)
{
    struct slu_params params = read_params("a=1&b&c=x%20y"), back;
    struct slu_value *object = slu_params_to_value(&arena, &params, &mistakes);

    (void)state;
    assert_non_null(object);
    assert_str(slu_value_member(object, "b")->text, "");
    assert_true(slu_params_from_value(&arena, object, &back));
    assert_params(&back, "a=1&b=&c=x%20y");
    slu_value_put(object, SLU_STR("n"), slu_value_int(&arena, -5));
    slu_value_put(object, SLU_STR("t"), slu_value_bool(&arena, true));
    slu_value_put(object, SLU_STR("f"), slu_value_bool(&arena, false));
    assert_true(slu_params_from_value(&arena, object, &back));
    assert_params(&back, "a=1&b=&c=x%20y&n=-5&t=true&f=false");
    assert_true(slu_params_from_value(&arena, slu_value_new(&arena, SLU_OBJECT), &back));
    assert_int_equal(back.count, 0);
    slu_value_put(object, SLU_STR("null"), slu_value_new(&arena, SLU_NULL));
    assert_false(slu_params_from_value(&arena, object, &back));
    assert_false(slu_params_from_value(&arena, slu_value_new(&arena, SLU_ARRAY), &back));
    assert_false(slu_params_from_value(&arena, NULL, &back));
}

static void repeated_names_are_mistakes(void **state)
{
    struct slu_params params = read_params("a%2Fb=1&c=2&a%2Fb=3&c=4");

    (void)state;
    assert_null(slu_params_to_value(&arena, &params, &mistakes));
    assert_int_equal(mistakes.count, 2);
    assert_str(mistakes.first->pointer, "/a~1b");
    assert_str(mistakes.first->next->pointer, "/c");
    assert_int_equal(mistakes.first->kind, SLU_FAULT_BAD_PARAMETER);
}

static bool read_all(void *context)
{
    struct slu_arena mine;
    struct slu_params params;
    struct slu_mistakes found;
    struct slu_fault fault = {0};
    bool good;

    slu_arena_init(&mine, 1 << 20);
    slu_mistakes_init(&found, &mine);
    good = slu_params_read(&mine, *(struct slu_str *)context, true, 1000, &params, &fault) &&
           slu_params_to_value(&mine, &params, &found);
    assert_true(good || fault.kind == SLU_FAULT_MEMORY || !slu_mistakes_none(&found));
    slu_arena_done(&mine);
    return good;
}

static void survives_failing_allocations(void **state)
{
    struct slu_buf text;
    struct slu_str all;

    (void)state;
    slu_buf_init(&text, 0);
    for (int i = 0; i < 500; i++)
        slu_buf_printf(&text, "&n%%41%d=a+b", i);
    all = slu_buf_str(&text);
    assert_true(test_every_allocation(read_all, &all) >= 3);
    slu_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodes_all_but_the_unreserved, begin, end),
        cmocka_unit_test_setup_teardown(decodes, begin, end),
        cmocka_unit_test_setup_teardown(reads_pairs, begin, end),
        cmocka_unit_test_setup_teardown(refuses_broken_and_too_many, begin, end),
        cmocka_unit_test_setup_teardown(sorts_by_name_then_value_as_bytes, begin, end),
        cmocka_unit_test_setup_teardown(sorts_as_encoded, begin, end),
        cmocka_unit_test_setup_teardown(sorts_long_lists_alike, begin, end),
        cmocka_unit_test_setup_teardown(to_values_and_back, begin, end),
        cmocka_unit_test_setup_teardown(repeated_names_are_mistakes, begin, end),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
