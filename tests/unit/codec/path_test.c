/* JSON Pointers: reading (the examples of RFC 6901 §5), following, putting, building. */
#include "tree.h"

static struct slu_str written(const struct slu_value *value)
{
    struct slu_buf out;
    struct slu_str text;

    if (!value)
        return SLU_STR("absent");
    slu_buf_init(&out, 0);
    slu_json_write(&out, value);
    text = slu_arena_str(&arena, slu_buf_str(&out));
    slu_buf_done(&out);
    return text;
}

static void follows_the_rfc(void **state)
{
    static const struct {
        const char *pointer, *found;
    } rows[] = {
        {"/foo", "[\"bar\",\"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/foo/1", "\"baz\""},
        {"/foo/2", "absent"},
        {"/foo/00", "absent"},
        {"/foo/01", "absent"},
        {"/foo/-", "absent"},
        {"/foo/+1", "absent"},
        {"/foo/", "absent"},
        {"/foo/18446744073709551616", "absent"},
        {"/foo/0/x", "absent"},
        {"/", "0"},
        {"/a~1b", "1"},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        {"/~01", "9"},
        {"/nothing", "absent"},
    };
    const struct slu_value *root =
        tree("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
             "\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"~1\":9}");
    struct slu_path path;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        assert_true(slu_path_read(&arena, slu_str_of(rows[i].pointer), &path));
        assert_str(path.pointer, rows[i].pointer);
        assert_str(written(slu_path_get(&path, root)), rows[i].found);
    }
    assert_true(slu_path_read(&arena, SLU_STR_NONE, &path));
    assert_int_equal(path.count, 0);
    assert_ptr_equal(slu_path_get(&path, root), root);
    assert_null(slu_path_get(&path, NULL));
}

static void refuses_what_is_no_pointer(void **state)
{
    static const char *const rows[] = {"a", "a/b", " /a", "#/a", "/~", "/~2", "/a~", "/~/a"};
    struct slu_path path;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        assert_false(slu_path_read(&arena, slu_str_of(rows[i]), &path));
}

static void places(void **state)
{
    static const struct {
        const char *before, *pointer, *after; /* NULL: refused */
    } rows[] = {
        {"{}", "/a", "{\"a\":1}"},
        {"{}", "/a/b/c", "{\"a\":{\"b\":{\"c\":1}}}"},
        {"{\"a\":{\"x\":0}}", "/a/b", "{\"a\":{\"x\":0,\"b\":1}}"},
        {"{\"a\":0,\"b\":0}", "/a", "{\"a\":1,\"b\":0}"},
        {"{\"a\":0}", "/a/b", NULL},
        {"{\"a\":null}", "/a/b", NULL},
        {"{\"a\":[0]}", "/a/0", NULL},
        {"[]", "/0", NULL},
        {"{}", "/0", "{\"0\":1}"},
        {"{}", "/~1~0", "{\"/~\":1}"},
        {"{\"a\":0}", "", "1"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_value *root = tree(rows[i].before);
        struct slu_path path;

        assert_true(slu_path_read(&arena, slu_str_of(rows[i].pointer), &path));
        assert_int_equal(slu_path_put(&arena, &path, root, slu_value_int(&arena, 1)),
                         rows[i].after != NULL);
        assert_str(written(root), rows[i].after ? rows[i].after : rows[i].before);
    }
}

static void builds(void **state)
{
    struct slu_str pointer = slu_pointer_member(&arena, SLU_STR_NONE, SLU_STR("a/b~c"));

    (void)state;
    assert_str(pointer, "/a~1b~0c");
    pointer = slu_pointer_item(&arena, pointer, 12);
    assert_str(pointer, "/a~1b~0c/12");
    assert_str(slu_pointer_member(&arena, pointer, SLU_STR("")), "/a~1b~0c/12/");
    slu_arena_done(&arena);
    slu_arena_init(&arena, 0);
    assert_null(slu_pointer_item(&arena, SLU_STR("/a"), 0).p);
}

static bool read_and_put(void *context)
{
    struct slu_arena mine;
    struct slu_path path;
    struct slu_value *root;
    bool good;

    slu_arena_init(&mine, 1 << 20);
    root = slu_value_new(&mine, SLU_OBJECT);
    good = root && slu_path_read(&mine, *(struct slu_str *)context, &path) &&
           slu_path_put(&mine, &path, root, slu_value_bool(&mine, true));
    slu_arena_done(&mine);
    return good;
}

static void survives_failing_allocations(void **state)
{
    struct slu_buf text;
    struct slu_str pointer;

    (void)state;
    slu_buf_init(&text, 0);
    for (int i = 0; i < 1000; i++)
        slu_buf_lit(&text, "/long~0step");
    pointer = slu_buf_str(&text);
    assert_true(test_every_allocation(read_and_put, &pointer) >= 3);
    slu_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(follows_the_rfc, begin, end),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_pointer, begin, end),
        cmocka_unit_test_setup_teardown(places, begin, end),
        cmocka_unit_test_setup_teardown(builds, begin, end),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
