/* Shapes: every mistake with its pointer and words; reading files of ours. */
#include "tree.h"

#include "codec/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool even(const json_t *value, struct slu_str pointer, struct slu_mistakes *found)
{
    if (json_integer_value(value) % 2 == 0)
        return true;
    return slu_mistake(found, SLU_FAULT_CONFIG, pointer, "must be even");
}

static const char *const level_words[] = {"error", "warn", "info", NULL};
static const struct slu_shape level = {.type = SLU_SHAPE_STRING, .words = level_words};
static const struct slu_shape port = {.type = SLU_SHAPE_INT, .min = 1, .max = 65535};
static const struct slu_shape pair = {.type = SLU_SHAPE_INT, .check = even};
static const struct slu_shape below_zero = {.type = SLU_SHAPE_INT, .min = -5};
static const struct slu_shape names = {.type = SLU_SHAPE_ARRAY, .of = &slu_shape_text, .max = 3};
static const struct slu_shape ports = {.type = SLU_SHAPE_MAP, .of = &port, .min = 1};
static const struct slu_shape text_or_null = {.type = SLU_SHAPE_STRING | SLU_SHAPE_NULL};
static const struct slu_shape_member inner_members[] = {
    {.name = "port", .required = true, .shape = &port},
    {.name = "address", .required = true, .shape = &slu_shape_text},
    {NULL, false, NULL},
};
static const struct slu_shape inner = {.type = SLU_SHAPE_OBJECT | SLU_SHAPE_STRING,
                                       .members = inner_members};
static const struct slu_shape_member members[] = {
    {.name = "level", .shape = &level},
    {.name = "port", .shape = &port},
    {.name = "even", .shape = &pair},
    {.name = "names", .shape = &names},
    {.name = "ports", .shape = &ports},
    {.name = "inner", .shape = &inner},
    {.name = "any", .shape = NULL},
    {.name = "flag", .shape = &slu_shape_bool},
    {.name = "maybe", .shape = &text_or_null},
    {.name = "low", .shape = &below_zero},
    {NULL, false, NULL},
};
static const struct slu_shape root = {.type = SLU_SHAPE_OBJECT, .members = members};

static bool check(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    bool right;

    assert_non_null(value);
    slu_mistakes_init(&mistakes, &arena);
    right = slu_shape_check(&root, value, SLU_STR(""), &mistakes);
    assert_int_equal(right, slu_mistakes_none(&mistakes));
    json_decref(value);
    return right;
}

static void accepts(void **state)
{
    static const char *const rows[] = {
        "{}",
        "{\"$schema\":\"x\",\"comment\":[1]}",
        "{\"level\":\"warn\",\"port\":1,\"even\":4,\"names\":[\"a\"],\"ports\":{\"a\":65535}}",
        "{\"inner\":\"text\",\"maybe\":null,\"flag\":false,\"any\":{\"x\":[1.5]}}",
        "{\"inner\":{\"port\":1,\"address\":\"a\",\"comment\":\"why\"},\"maybe\":\"\"}",
        "{\"names\":[]}",
        "{\"ports\":{\"comment\":5}}",
        "{\"low\":-5,\"even\":-2}",
        "{\"low\":0}",
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        if (!check(rows[i]))
            fail_msg("%s: %.*s", rows[i], SLU_FMT(mistakes.first->detail));
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *pointer, *detail;
    } rows[] = {
        {"[]", "", "expected an object, this is an array"},
        {"{\"port\":\"80\"}", "/port", "expected an integer, this is a string"},
        {"{\"port\":1.5}", "/port", "expected an integer, this is a number with a fraction"},
        {"{\"flag\":0}", "/flag", "expected a bool, this is an integer"},
        {"{\"maybe\":true}", "/maybe", "expected a string or null, this is a bool"},
        {"{\"inner\":null}", "/inner", "expected a string or an object, this is null"},
        {"{\"port\":0}", "/port", "expected 1 to 65535, this is 0"},
        {"{\"port\":65536}", "/port", "expected 1 to 65535, this is 65536"},
        {"{\"low\":-6}", "/low", "expected -5 to 0, this is -6"},
        {"{\"low\":1}", "/low", "expected -5 to 0, this is 1"},
        {"{\"names\":[\"\"]}", "/names/0", "expected at least 1 characters, this is 0"},
        {"{\"names\":[\"a\",\"b\",\"c\",\"d\"]}", "/names", "expected 0 to 3 items, this is 4"},
        {"{\"ports\":{}}", "/ports", "expected at least 1 members, this is 0"},
        {"{\"ports\":{\"a/b\":0}}", "/ports/a~1b", "expected 1 to 65535, this is 0"},
        {"{\"even\":3}", "/even", "must be even"},
        {"{\"Port\":1}", "/Port", "there is no member of this name; did you mean \"port\"?"},
        {"{\"inner\":{\"port\":1,\"address\":\"a\",\"x\":1}}", "/inner/x",
         "there is no member of this name; the members are: port, address"},
        {"{\"inner\":{\"port\":1}}", "/inner", "the member \"address\" is missing"},
        {"{\"level\":\"wran\"}", "/level", "\"wran\" is not known here; did you mean \"warn\"?"},
        {"{\"level\":\"loud\"}", "/level",
         "\"loud\" is not known here; the words are: error, warn, info"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        assert_false(check(rows[i].text));
        assert_int_equal(mistakes.count, 1);
        assert_int_equal(mistakes.first->kind, SLU_FAULT_CONFIG);
        assert_str(mistakes.first->pointer, rows[i].pointer);
        assert_str(mistakes.first->detail, rows[i].detail);
    }
}

static void all_mistakes_are_told(void **state)
{
    (void)state;
    assert_false(check("{\"port\":0,\"flag\":1,\"nope\":2,\"names\":[1,\"a\",2],\"inner\":{}}"));
    assert_int_equal(mistakes.count, 7);
}

static void a_long_list_of_words_is_cut(void **state)
{
    static char many[100][16];
    static const char *words[101];
    struct slu_shape shape = {.type = SLU_SHAPE_STRING, .words = words};
    json_t *value = json_string("something else");

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        snprintf(many[i], sizeof(many[i]), "word-%zu", i);
        words[i] = many[i];
    }
    assert_false(slu_shape_check(&shape, value, SLU_STR("/w"), &mistakes));
    assert_true(slu_str_ends(mistakes.first->detail, SLU_STR("…")));
    json_decref(value);
}

static json_t *read_file(const char *content, char *name, size_t size)
{
    FILE *file;
    int fd;

    snprintf(name, size, "%s", "/tmp/slu-shape-XXXXXX");
    fd = mkstemp(name);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    slu_mistakes_init(&mistakes, &arena);
    return slu_ours_read(name, &mistakes);
}

static void reads_files(void **state)
{
    char name[64];
    json_t *value =
        read_file("{\"s\": \"text\", \"n\": -5, \"t\": true, \"z\": null}", name, sizeof(name));

    (void)state;
    assert_non_null(value);
    assert_str(slu_ours_str(value, "s"), "text");
    assert_null(slu_ours_str(value, "n").p);
    assert_null(slu_ours_str(value, "absent").p);
    assert_int_equal(slu_ours_int(value, "n", 7), -5);
    assert_int_equal(slu_ours_int(value, "z", 7), 7);
    assert_true(slu_ours_bool(value, "t", false));
    assert_true(slu_ours_bool(value, "absent", true));
    assert_false(slu_ours_bool(value, "s", false));
    json_decref(value);
    unlink(name);
}

static void tells_the_place_in_the_file(void **state)
{
    static const char *const rows[][2] = {
        {"{\"a\": 1,\n \"a\": 2}", ":2:4: duplicate object key near '\"a\"'"},
        {"[]", ":1:1: the file must hold one object, {…}"},
        {"{\"value\": \"secret\" x}", ":1:20: '}' expected"},
        {"{\"value\": secret}", ":1:16: invalid token"},
        {"", ":1:0: unexpected token"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        char name[64], expected[128];

        assert_null(read_file(rows[i][0], name, sizeof(name)));
        unlink(name);
        snprintf(expected, sizeof(expected), "%s%s", name, rows[i][1]);
        assert_int_equal(mistakes.count, 1);
        assert_str(mistakes.first->detail, expected);
    }
    slu_mistakes_init(&mistakes, &arena);
    assert_null(slu_ours_read("/no/such/file", &mistakes));
    assert_str(mistakes.first->detail, "/no/such/file: No such file or directory");
}

/* Pointers come from the arena: without memory the check fails, it does not pass. */
static void no_memory_is_no_pass(void **state)
{
    json_t *value = json_loads("{\"port\": 80}", 0, NULL);
    struct slu_arena little;

    (void)state;
    slu_arena_init(&little, 0);
    slu_mistakes_init(&mistakes, &little);
    assert_false(slu_shape_check(&root, value, SLU_STR(""), &mistakes));
    assert_false(slu_mistakes_none(&mistakes));
    slu_arena_done(&little);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepts, begin, end),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, begin, end),
        cmocka_unit_test_setup_teardown(all_mistakes_are_told, begin, end),
        cmocka_unit_test_setup_teardown(a_long_list_of_words_is_cut, begin, end),
        cmocka_unit_test_setup_teardown(reads_files, begin, end),
        cmocka_unit_test_setup_teardown(tells_the_place_in_the_file, begin, end),
        cmocka_unit_test_setup_teardown(no_memory_is_no_pass, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
