/* Trees: building, finding, changing, comparing. */
#include "tree.h"

#include "codec/value.h"

static void assert_tree(const struct slu_value *value, const char *expected)
{
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_json_write(&out, value);
    assert_str(slu_buf_str(&out), expected);
    slu_buf_done(&out);
}

static struct slu_value *text(const char *words)
{
    return slu_value_string(&arena, slu_str_of(words));
}

static void builds(void **state)
{
    struct slu_value *root = slu_value_new(&arena, SLU_OBJECT);
    struct slu_value *list = slu_value_new(&arena, SLU_ARRAY);

    (void)state;
    slu_value_append(list, slu_value_int(&arena, 0));
    slu_value_append(list, slu_value_int(&arena, INT64_MIN));
    slu_value_append(list, slu_value_int(&arena, INT64_MAX));
    slu_value_append(list, slu_value_number(&arena, SLU_STR("0.10")));
    slu_value_put(root, SLU_STR("list"), list);
    slu_value_put(root, SLU_STR("yes"), slu_value_bool(&arena, true));
    slu_value_put(root, SLU_STR("none"), slu_value_new(&arena, SLU_NULL));
    slu_value_set(root, SLU_STR("text"), text("x"));
    assert_tree(root, "{\"list\":[0,-9223372036854775808,9223372036854775807,0.10],\"yes\":true,"
                      "\"none\":null,\"text\":\"x\"}");
    assert_int_equal(root->count, 4);
    slu_value_append(NULL, list);
    slu_value_append(list, NULL);
    slu_value_put(NULL, SLU_STR("a"), list);
    slu_value_set(root, SLU_STR("a"), NULL);
    assert_int_equal(list->count, 4);
}

static void bad_digits_never_become_a_number(void **state)
{
    static const char *const rows[] = {"", "01", "1,\"x\":2", "1 ", "+1", "0x1", "NaN", "1e"};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        slu_arena_reset(&arena);
        assert_null(slu_value_number(&arena, slu_str_of(rows[i])));
        assert_true(arena.failed);
        assert_false(slu_number_valid(slu_str_of(rows[i])));
    }
    assert_true(slu_number_valid(SLU_STR("-1.5e+30")));
}

static void set_replaces_in_place(void **state)
{
    struct slu_value *root = tree("{\"a\":1,\"b\":2,\"c\":3}");

    (void)state;
    slu_value_set(root, SLU_STR("b"), text("B"));
    assert_tree(root, "{\"a\":1,\"b\":\"B\",\"c\":3}");
    slu_value_set(root, SLU_STR("c"), text("C"));
    slu_value_set(root, SLU_STR("a"), text("A"));
    slu_value_put(root, SLU_STR("d"), text("D"));
    assert_tree(root, "{\"a\":\"A\",\"b\":\"B\",\"c\":\"C\",\"d\":\"D\"}");
    assert_int_equal(root->count, 4);
    slu_value_set(root, SLU_STR("a"), slu_value_member(root, "a"));
    assert_int_equal(root->count, 4);
}

static void remove_takes_out(void **state)
{
    struct slu_value *root = tree("[1,2,3]"), *first = root->first, *last = root->last;

    (void)state;
    assert_true(slu_value_remove(root, last));
    assert_true(slu_value_remove(root, first));
    assert_false(slu_value_remove(root, first));
    assert_tree(root, "[2]");
    assert_true(slu_value_remove(root, root->first));
    assert_tree(root, "[]");
    slu_value_append(root, last);
    slu_value_append(root, first);
    assert_tree(root, "[3,1]");
    assert_false(slu_value_remove(NULL, first));
    assert_false(slu_value_remove(root, NULL));
}

static void finds(void **state)
{
    struct slu_value *root = tree("{\"a\":[10,11],\"\":2}");

    (void)state;
    assert_str(slu_value_find(root, SLU_STR(""))->text, "2");
    assert_null(slu_value_member(root, "A"));
    assert_null(slu_value_member(NULL, "a"));
    assert_null(slu_value_member(slu_value_member(root, "a"), "a"));
    assert_str(slu_value_item(slu_value_member(root, "a"), 1)->text, "11");
    assert_null(slu_value_item(slu_value_member(root, "a"), 2));
    assert_null(slu_value_item(root, 0));
    assert_null(slu_value_item(NULL, 0));
    assert_true(slu_value_is(root, SLU_OBJECT));
    assert_false(slu_value_is(NULL, SLU_NULL));
}

static void copy_stands_alone(void **state)
{
    char source[] = "{\"a\":[1,{\"b\":\"text\"},true,null],\"n\":0.10}";
    static const char same[] = "{\"a\":[1,{\"b\":\"text\"},true,null],\"n\":0.10}";
    struct slu_value *copy = slu_value_copy(&arena, tree(source));

    (void)state;
    memset(source, '#', sizeof(source) - 1);
    assert_tree(copy, same);
    assert_null(slu_value_copy(&arena, NULL));
}

static void integers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t number;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"600", true, 600},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        int64_t number = 4711;

        assert_int_equal(slu_value_to_int(tree(rows[i].text), &number), rows[i].good);
        assert_int_equal(number, rows[i].good ? rows[i].number : 4711);
    }
    assert_false(slu_value_to_int(NULL, &(int64_t){0}));
}

static void equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"null", "null", true},
        {"null", "false", false},
        {"true", "false", false},
        {"0", "-0", true},
        {"0", "0.0", false},
        {"1", "1.0", false},
        {"12345678901234567890123", "12345678901234567890123", true},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"1\"", "1", false},
        {"[]", "{}", false},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"{\"a\":null}", "{}", false},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        assert_int_equal(slu_value_equal(tree(rows[i].a), tree(rows[i].b)), rows[i].equal);
        assert_int_equal(slu_value_equal(tree(rows[i].b), tree(rows[i].a)), rows[i].equal);
    }
    assert_true(slu_value_equal(NULL, NULL));
    assert_false(slu_value_equal(NULL, tree("null")));
}

static struct slu_value *large(int from, int to, int step)
{
    struct slu_value *root = slu_value_new(&arena, SLU_OBJECT);

    for (int i = from; i != to; i += step)
        slu_value_put(root, slu_arena_printf(&arena, "m%d", i), slu_value_int(&arena, i));
    return root;
}

static void large_objects_compare_in_any_order(void **state)
{
    struct slu_value *up = large(0, 500, 1), *down = large(499, -1, -1), *other = large(1, 501, 1);

    (void)state;
    assert_true(slu_value_equal(up, down));
    assert_false(slu_value_equal(up, other));
    slu_mem_fail_at(1); /* without memory it is only slower */
    assert_true(slu_value_equal(up, down));
    slu_mem_fail_at(0);
    down->last->text = SLU_STR("7");
    assert_false(slu_value_equal(up, down));
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(slu_kind_name(SLU_NULL), "null");
    assert_string_equal(slu_kind_name(SLU_BOOL), "bool");
    assert_string_equal(slu_kind_name(SLU_NUMBER), "number");
    assert_string_equal(slu_kind_name(SLU_STRING), "string");
    assert_string_equal(slu_kind_name(SLU_ARRAY), "array");
    assert_string_equal(slu_kind_name(SLU_OBJECT), "object");
}

static bool build(void *context)
{
    struct slu_arena mine;
    struct slu_value *root, *copy;
    bool good;

    (void)context;
    slu_arena_init(&mine, 1 << 20);
    root = slu_value_new(&mine, SLU_OBJECT);
    for (int i = 0; i < 200; i++) {
        struct slu_value *list = slu_value_new(&mine, SLU_ARRAY);

        slu_value_append(list, slu_value_int(&mine, i));
        slu_value_append(list, slu_value_bool(&mine, true));
        slu_value_put(root, SLU_STR("list"), list);
    }
    copy = slu_value_copy(&mine, root);
    good = !mine.failed;
    assert_true(!good || slu_value_equal(root, copy));
    slu_arena_done(&mine);
    return good;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(test_every_allocation(build, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds, begin, end),
        cmocka_unit_test_setup_teardown(bad_digits_never_become_a_number, begin, end),
        cmocka_unit_test_setup_teardown(set_replaces_in_place, begin, end),
        cmocka_unit_test_setup_teardown(remove_takes_out, begin, end),
        cmocka_unit_test_setup_teardown(finds, begin, end),
        cmocka_unit_test_setup_teardown(copy_stands_alone, begin, end),
        cmocka_unit_test_setup_teardown(integers, begin, end),
        cmocka_unit_test_setup_teardown(equality, begin, end),
        cmocka_unit_test_setup_teardown(large_objects_compare_in_any_order, begin, end),
        cmocka_unit_test(kinds_have_names),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
