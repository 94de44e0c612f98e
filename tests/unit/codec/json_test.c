/*
 * The JSON reader and writer. The reader is held against jansson on a table of texts; where the two
 * differ, the row says why.
 */
#include "tree.h"

#include "codec/json.h"

#include <jansson.h>

static struct slu_value *read_limited(const char *text, struct slu_json_limits limits)
{
    slu_mistakes_init(&mistakes, &arena);
    return slu_json_read(&arena, slu_str_of(text), limits, &mistakes);
}

static struct slu_value *read_text(const char *text)
{
    return read_limited(text, (struct slu_json_limits){0});
}

enum verdict {
    YES,      /* both accept */
    NO,       /* both refuse */
    OVERFLOW, /* jansson refuses: numbers must fit into 64 bits or a double; we keep the text */
};

static const struct {
    enum verdict verdict;
    const char *text;
} texts[] = {
    /* values at the top */
    {YES, "null"},
    {YES, "true"},
    {YES, " false\n"},
    {YES, "0"},
    {YES, "\"\""},
    {YES, "[]"},
    {YES, "{}"},
    {YES, "\t\r\n [ ] \t\r\n"},
    {YES, "{ }"},
    {NO, ""},
    {NO, " "},
    {NO, "nul"},
    {NO, "nulll"},
    {NO, "True"},
    {NO, "TRUE"},
    {NO, "undefined"},
    {NO, "NaN"},
    {NO, "Infinity"},
    {NO, "-Infinity"},
    {NO, "'a'"},
    {NO, "a"},
    {NO, "1 2"},
    {NO, "[] []"},
    {NO, "{} x"},
    {NO, "\xef\xbb\xbf{}"},
    {NO, "[]\f"},
    {NO, "\v[]"},
    {NO, "\xc2\xa0[]"},
    {NO, "// c\n[]"},
    {NO, "/**/[]"},
    /* arrays */
    {YES, "[1,2,3]"},
    {YES, "[ 1 , 2 ]"},
    {YES, "[[],[[]],{}]"},
    {NO, "[1,]"},
    {NO, "[,1]"},
    {NO, "[1,,2]"},
    {NO, "[1 2]"},
    {NO, "[1"},
    {NO, "["},
    {NO, "]"},
    {NO, "[1}"},
    {NO, "[1:2]"},
    /* objects */
    {YES, "{\"a\":1}"},
    {YES, "{\"a\":{\"a\":{\"a\":[]}}}"},
    {YES, "{\"\":0}"},
    {YES, "{\"a\":1,\"A\":2,\"a \":3}"},
    {NO, "{\"a\":1,}"},
    {NO, "{,\"a\":1}"},
    {NO, "{\"a\"}"},
    {NO, "{\"a\":}"},
    {NO, "{\"a\" 1}"},
    {NO, "{\"a\":1 \"b\":2}"},
    {NO, "{a:1}"},
    {NO, "{1:1}"},
    {NO, "{\"a\":1"},
    {NO, "{\"a\":1]"},
    {NO, "{\"a\":1,\"a\":1}"},
    {NO, "{\"a\":1,\"b\":2,\"a\":3}"},
    {NO, "{\"a\":1,\"\\u0061\":2}"},
    {NO, "{\"a\":1,,\"b\":2}"},
    {NO, "{\"a\"::1}"},
    {NO, "{null:1}"},
    /* numbers */
    {YES, "-0"},
    {YES, "-1"},
    {YES, "10"},
    {YES, "9223372036854775807"},
    {YES, "-9223372036854775808"},
    {YES, "0.1"},
    {YES, "0.10"},
    {YES, "1e3"},
    {YES, "1E+3"},
    {YES, "1.5e-3"},
    {YES, "0e0"},
    {YES, "1e-400"},
    {OVERFLOW, "9223372036854775808"},
    {OVERFLOW, "-9223372036854775809"},
    {OVERFLOW, "123456789012345678901234567890"},
    {OVERFLOW, "1e400"},
    {OVERFLOW, "-1e400"},
    {NO, "01"},
    {NO, "-01"},
    {NO, "00"},
    {NO, "-"},
    {NO, "+1"},
    {NO, "1."},
    {NO, ".5"},
    {NO, "-.5"},
    {NO, "1e"},
    {NO, "1e+"},
    {NO, "1.e1"},
    {NO, "1e1.5"},
    {NO, "0x10"},
    {NO, "1_000"},
    {NO, "1a"},
    {NO, "- 1"},
    {NO, "--1"},
    {NO, "\xef\xbc\x91"},
    /* strings */
    {YES, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""},
    {YES, "\"\\u0041\\u00e9\\u20AC\""},
    {YES, "\"\\uD83D\\uDE00\""},
    {YES, "\"\\u0001\""},
    {YES, "\"\x7f\""},
    {YES, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {YES, "\"\xef\xbf\xbf\""},
    {YES, "\"\xed\x9f\xbf\xee\x80\x80\""},
    {YES, "\"\xf4\x8f\xbf\xbf\""},
    {YES, "\"/\""},
    {NO, "\"\\u0000\""},
    {NO, "{\"\\u0000\":1}"},
    {NO, "\"\\uD83D\""},
    {NO, "\"\\uD83Dx\""},
    {NO, "\"\\uD83D\\n\""},
    {NO, "\"\\uDE00\""},
    {NO, "\"\\uD83D\\uD83D\""},
    {NO, "\"\\uDE00\\uD83D\""},
    {NO, "\"\\u12\""},
    {NO, "\"\\u12g4\""},
    {NO, "\"\\U0041\""},
    {NO, "\"\\x41\""},
    {NO, "\"\\'\""},
    {NO, "\"\\a\""},
    {NO, "\"\\"},
    {NO, "\"\\u"},
    {NO, "\"\\\""},
    {NO, "\"abc"},
    {NO, "\"a\nb\""},
    {NO, "\"a\tb\""},
    {NO, "\"\x1f\""},
    {NO, "\"\x80\""},
    {NO, "\"\xff\""},
    {NO, "\"\xc3\""},
    {NO, "\"\xc3(\""},
    {NO, "\"\xc0\xaf\""},
    {NO, "\"\xc1\xbf\""},
    {NO, "\"\xe0\x80\xaf\""},
    {NO, "\"\xe0\x9f\xbf\""},
    {NO, "\"\xed\xa0\x80\""},
    {NO, "\"\xed\xbf\xbf\""},
    {NO, "\"\xe2\x82\""},
    {NO, "\"\xf0\x8f\xbf\xbf\""},
    {NO, "\"\xf4\x90\x80\x80\""},
    {NO, "\"\xf5\x80\x80\x80\""},
    {NO, "\"\xf8\x88\x80\x80\x80\""},
    {NO, "\"abcdefgh\xc3\""},
    {NO, "\"abcdefg\x01\""},
};

static void agrees_with_jansson(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(texts); i++) {
        const char *text = texts[i].text;
        json_t *theirs =
            json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        const struct slu_value *ours = read_text(text);

        if ((ours != NULL) != (texts[i].verdict != NO))
            fail_msg("we %s [%s]", ours ? "accept" : "refuse", text);
        if ((theirs != NULL) != (texts[i].verdict == YES))
            fail_msg("jansson %s [%s]", theirs ? "accepts" : "refuses", text);
        assert_int_equal(ours == NULL, !slu_mistakes_none(&mistakes));
        for (const struct slu_mistake *at = mistakes.first; at; at = at->next)
            assert_int_equal(at->kind, SLU_FAULT_BAD_JSON);
        json_decref(theirs);
    }
}

/* A NUL is one more byte, not an end. (jansson 2.14 loses the one behind a number or a word.) */
static void raw_nul_is_refused(void **state)
{
    static const struct slu_str rows[] = {SLU_STR_INIT("\"a\0b\""), SLU_STR_INIT("[]\0"),
                                          SLU_STR_INIT("\0[]"),     SLU_STR_INIT("\"\\\0\""),
                                          SLU_STR_INIT("[1\0]"),    SLU_STR_INIT("true\0")};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        slu_mistakes_init(&mistakes, &arena);
        assert_null(slu_json_read(&arena, rows[i], (struct slu_json_limits){0}, &mistakes));
        assert_int_equal(mistakes.count, 1);
    }
    assert_null(slu_json_read(&arena, SLU_STR_NONE, (struct slu_json_limits){0}, &mistakes));
}

static const struct {
    const char *text, *pointer, *detail;
} told[] = {
    {"", "", "line 1, column 1: expected a value, but the text ends here"},
    {"{\"a\":1,}", "", "line 1, column 8: expected a member's name in \", found }"},
    {"{\n \"a\": {\"b\": [1, x]}}", "/a/b/1", "line 2, column 17: expected a value, found x"},
    {"{\"a/b~\": tru}", "/a~1b~0",
     "line 1, column 10: expected a value (true, false and null are the only words), found t"},
    {"[\"\xc3\xa9\", 01]", "/1",
     "line 1, column 7: this is not a number as JSON writes it, e.g. 0, -1.5, 2e10"},
    {"[0, 1 2]", "/1", "line 1, column 7: expected a comma or ] behind an item, found 2"},
    {"[1] 2", "", "line 1, column 5: expected the end of the text behind the value, found 2"},
    {"[-]", "/0", "line 1, column 2: this is not a number as JSON writes it, e.g. 0, -1.5, 2e10"},
    {"\"a\tb\"", "",
     "line 1, column 3: a control character in a string must be written as \\uXXXX"},
    {"\"\xff\"", "", "line 1, column 2: the text is not valid UTF-8"},
    {"\xff", "", "line 1, column 1: expected a value, found the byte 0xFF"},
    {"\"\\u0000\"", "", "line 1, column 2: \\u0000 is not allowed"},
    {"\"\\ud800\"", "", "line 1, column 2: half of a surrogate pair stands alone"},
    {"\"abc", "", "line 1, column 5: expected \" at the end of the string, but the text ends here"},
    {"\xef\xbb\xbf{}", "",
     "line 1, column 1: the text begins with a byte order mark, which JSON does not allow"},
};

static void mistakes_say_where_and_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(told); i++) {
        assert_null(read_text(told[i].text));
        assert_int_equal(mistakes.count, 1);
        assert_str(mistakes.first->detail, told[i].detail);
        assert_str(mistakes.first->pointer, told[i].pointer);
    }
}

static void duplicates_are_all_told(void **state)
{
    static const char *const pointers[] = {"/x/a", "/x/a", "/list/1/~1", "/x"};
    const struct slu_mistake *at;

    (void)state;
    assert_null(read_text("{\"x\": {\"a\":1, \"b\":2, \"a\":3, \"a\":4},"
                          " \"list\": [0, {\"/\":1, \"\\/\":2}], \"x\": 5}"));
    assert_int_equal(mistakes.count, SLU_COUNT(pointers));
    at = mistakes.first;
    for (size_t i = 0; i < SLU_COUNT(pointers); i++, at = at->next)
        assert_str(at->pointer, pointers[i]);
    assert_str(mistakes.first->detail, "the member \"a\" stands here more than once");
}

/* Around the number where the search for duplicates changes its way. */
static void duplicates_in_objects_of_any_size(void **state)
{
    (void)state;
    for (int size = 2; size < 80; size++)
        for (int twin = 0; twin < size; twin++) {
            struct slu_buf text;

            slu_buf_init(&text, 0);
            slu_buf_byte(&text, '{');
            for (int i = 0; i < size; i++)
                slu_buf_printf(&text, "\"m%d\":%d,", i, i);
            slu_buf_printf(&text, "\"m%d\":0}", twin);
            slu_arena_reset(&arena);
            slu_mistakes_init(&mistakes, &arena);
            assert_null(
                slu_json_read(&arena, slu_buf_str(&text), (struct slu_json_limits){0}, &mistakes));
            assert_int_equal(mistakes.count, 1);
            text.n -= strlen("\"m0\":0}") + (twin > 9);
            text.p[text.n - 1] = '}';
            slu_mistakes_init(&mistakes, &arena);
            assert_non_null(
                slu_json_read(&arena, slu_buf_str(&text), (struct slu_json_limits){0}, &mistakes));
            slu_buf_done(&text);
        }
}

static void limits_hold(void **state)
{
    char deep[201];

    (void)state;
    assert_non_null(read_limited("[[[1]]]", (struct slu_json_limits){.depth = 3}));
    assert_null(read_limited("[[[[]]]]", (struct slu_json_limits){.depth = 3}));
    assert_str(mistakes.first->detail,
               "line 1, column 4: the document is nested more than 3 levels deep");
    assert_str(mistakes.first->pointer, "/0/0/0");
    assert_non_null(read_limited("[[],[],[[]]]", (struct slu_json_limits){.depth = 3}));
    assert_non_null(read_limited("[1,2]", (struct slu_json_limits){.nodes = 3}));
    assert_null(read_limited("[1,2,3]", (struct slu_json_limits){.nodes = 3}));
    assert_str(mistakes.first->detail, "line 1, column 6: the document has more than 3 values");
    for (size_t depth = 32; depth <= 33; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        deep[2 * depth] = '\0';
        assert_int_equal(read_text(deep) != NULL, depth == 32);
    }
}

/* However deep the caller would let it go, the stack is safe. */
static void depth_has_an_end(void **state)
{
    struct slu_buf text;

    (void)state;
    slu_buf_init(&text, 0);
    for (int i = 0; i < 200000; i++)
        slu_buf_lit(&text, "[");
    slu_mistakes_init(&mistakes, &arena);
    assert_null(slu_json_read(&arena, slu_buf_str(&text),
                              (struct slu_json_limits){UINT32_MAX, UINT32_MAX}, &mistakes));
    slu_buf_done(&text);
}

static void text_without_escapes_is_a_slice(void **state)
{
    static const char text[] = "{\"name\": \"plain text, longer than a word\", \"n\": 0.10}";
    const struct slu_value *root = read_text(text);
    const struct slu_value *name = slu_value_member(root, "name");

    (void)state;
    assert_ptr_equal(name->text.p, text + 10);
    assert_ptr_equal(name->name.p, text + 2);
    assert_str(slu_value_member(root, "n")->text, "0.10");
}

static void escapes_are_resolved(void **state)
{
    const struct slu_value *root =
        read_text("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u0041-\\u00e9-\\u20AC-\\uD83D\\uDE00\","
                  " \"12345678\\n12345678\", \"\\u0001\xc3\xa9\\\\\"]");

    (void)state;
    assert_str(slu_value_item(root, 0)->text, "\"\\/\b\f\n\r\t");
    assert_str(slu_value_item(root, 1)->text, "A-\xc3\xa9-\xe2\x82\xac-\xf0\x9f\x98\x80");
    assert_str(slu_value_item(root, 2)->text, "12345678\n12345678");
    assert_str(slu_value_item(root, 3)->text, "\x01\xc3\xa9\\");
}

/* Each byte at each place of an eight-byte step, against the grammar. */
static void every_byte_at_every_place(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 20; at++) {
            char text[24] = "\"aaaaaaaaaaaaaaaaaaaa\"";
            bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

            text[1 + at] = (char)c;
            slu_arena_reset(&arena);
            slu_mistakes_init(&mistakes, &arena);
            if ((slu_json_read(&arena, (struct slu_str){text, 22}, (struct slu_json_limits){0},
                               &mistakes) != NULL) != (good || (c == '"' && at == 20)))
                fail_msg("byte %02x at %zu", c, at);
        }
}

/* What is written again is the same text, so order, numbers and escapes survive. */
static void round_trips(void **state)
{
    static const char *const rows[] = {
        "null",
        "true",
        "-0",
        "0.10",
        "1e3",
        "123456789012345678901234567890",
        "\"\"",
        "{}",
        "[]",
        "{\"b\":[1,{\"a\":null}],\"a\":\"x\"}",
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\xc3\xa9\xf0\x9f\x98\x80\"",
        "{\"\\n\":{\"\":[[],{}]}}",
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_buf out;
        const struct slu_value *root = read_text(rows[i]);

        assert_non_null(root);
        slu_buf_init(&out, 0);
        slu_json_write(&out, root);
        assert_str(slu_buf_str(&out), rows[i]);
        slu_buf_done(&out);
    }
}

static void pretty_is_for_people(void **state)
{
    const struct slu_value *root =
        read_text("{\"a\":[1,\"two\",null],\"b\":{},\"c\":[{\"d\":[]}],\"e\":[\""
                  "0123456789012345678901234567890123456789\",\""
                  "0123456789012345678901234567890123456789\"]}");
    struct slu_buf out;

    (void)state;
    slu_buf_init(&out, 0);
    slu_json_write_pretty(&out, root);
    assert_str(slu_buf_str(&out), "{\n"
                                  "  \"a\": [1, \"two\", null],\n"
                                  "  \"b\": {},\n"
                                  "  \"c\": [\n"
                                  "    {\n"
                                  "      \"d\": []\n"
                                  "    }\n"
                                  "  ],\n"
                                  "  \"e\": [\n"
                                  "    \"0123456789012345678901234567890123456789\",\n"
                                  "    \"0123456789012345678901234567890123456789\"\n"
                                  "  ]\n"
                                  "}");
    slu_buf_clear(&out);
    slu_json_write_string(&out, SLU_STR_NONE);
    assert_str(slu_buf_str(&out), "\"\"");
    slu_buf_done(&out);
}

static bool read_once(void *context)
{
    struct slu_arena mine;
    struct slu_mistakes found;
    bool good;

    slu_arena_init(&mine, 1 << 20);
    slu_mistakes_init(&found, &mine);
    good = slu_json_read(&mine, *(struct slu_str *)context, (struct slu_json_limits){0}, &found);
    assert_int_equal(good, slu_mistakes_none(&found));
    slu_arena_done(&mine);
    return good;
}

static void survives_failing_allocations(void **state)
{
    struct slu_buf text;
    struct slu_str all;

    (void)state;
    slu_buf_init(&text, 0);
    slu_buf_lit(&text, "{\"list\":[");
    for (int i = 0; i < 4000; i++)
        slu_buf_lit(&text, "\"\\n line\",");
    slu_buf_lit(&text, "0]");
    for (int i = 0; i < 200; i++)
        slu_buf_printf(&text, ",\"member %d\":{}", i);
    slu_buf_lit(&text, "}");
    all = slu_buf_str(&text);
    assert_true(test_every_allocation(read_once, &all) >= 4);
    slu_buf_done(&text);
}

static void spent_budget_is_told(void **state)
{
    struct slu_arena little;

    (void)state;
    slu_arena_init(&little, 200);
    slu_mistakes_init(&mistakes, &arena);
    assert_null(slu_json_read(&little, SLU_STR("[1,2,3,4,5,6,7,8,9]"), (struct slu_json_limits){0},
                              &mistakes));
    assert_int_equal(mistakes.first->kind, SLU_FAULT_MEMORY);
    slu_arena_done(&little);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_jansson, begin, end),
        cmocka_unit_test_setup_teardown(raw_nul_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(mistakes_say_where_and_what, begin, end),
        cmocka_unit_test_setup_teardown(duplicates_are_all_told, begin, end),
        cmocka_unit_test_setup_teardown(duplicates_in_objects_of_any_size, begin, end),
        cmocka_unit_test_setup_teardown(limits_hold, begin, end),
        cmocka_unit_test_setup_teardown(depth_has_an_end, begin, end),
        cmocka_unit_test_setup_teardown(text_without_escapes_is_a_slice, begin, end),
        cmocka_unit_test_setup_teardown(escapes_are_resolved, begin, end),
        cmocka_unit_test_setup_teardown(every_byte_at_every_place, begin, end),
        cmocka_unit_test_setup_teardown(round_trips, begin, end),
        cmocka_unit_test_setup_teardown(pretty_is_for_people, begin, end),
        cmocka_unit_test_setup_teardown(survives_failing_allocations, begin, end),
        cmocka_unit_test_setup_teardown(spent_budget_is_told, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
