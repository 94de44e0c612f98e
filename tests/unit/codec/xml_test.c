/*
 * The XML reader and writer: how elements become a tree and back, and what a hostile peer may send.
 */
#include "tree.h"

#include "codec/xml.h"

#include <stdio.h>

static struct slu_str root;

static struct slu_value *read_limited(struct slu_str text, struct slu_xml_limits limits)
{
    slu_mistakes_init(&mistakes, &arena);
    return slu_xml_read(&arena, text, limits, &root, &mistakes);
}

static struct slu_value *read_text(const char *text)
{
    return read_limited(slu_str_of(text), (struct slu_xml_limits){0});
}

/* XML, and the tree's content as JSON. */
static const struct {
    const char *xml, *json;
} trees[] = {
    {"<r/>", "\"\""},
    {"<r></r>", "\"\""},
    {"<r>text</r>", "\"text\""},
    {"<r> \n </r>", "\" \\n \""},
    {"<r><a/></r>", "{\"a\":\"\"}"},
    {"<r>\n  <a>1</a>\n\t<b>2</b>\r\n</r>", "{\"a\":\"1\",\"b\":\"2\"}"},
    {"<r><a>1</a><a>2</a></r>", "{\"a\":[\"1\",\"2\"]}"},
    {"<r><a>1</a><b/><a>2</a><a><c>3</c></a></r>",
     "{\"a\":[\"1\",\"2\",{\"c\":\"3\"}],\"b\":\"\"}"},
    {"<r><a><i>1</i><i>2</i></a><a><i>3</i></a></r>",
     "{\"a\":[{\"i\":[\"1\",\"2\"]},{\"i\":\"3\"}]}"},
    {"<?xml version='1.0' encoding='UTF-8'?>\n<r><a>1</a></r>\n", "{\"a\":\"1\"}"},
    {"<?xml version='1.0' encoding='utf-8' standalone='yes'?><r/>", "\"\""},
    {"\xef\xbb\xbf<r>1</r>", "\"1\""},
    {"<r xmlns='urn:x' b='c' d='&lt;'>1</r>", "\"1\""},
    {"<x:r xmlns:x='urn:x'><x:a>1</x:a><a>2</a></x:r>", "{\"a\":[\"1\",\"2\"]}"},
    {"<r><!-- a comment --><?a target?>1<!-- b -->2</r>", "\"12\""},
    {"<!-- before --><r/><!-- behind -->", "\"\""},
    {"<r>&lt;&gt;&amp;&apos;&quot;&#65;&#x42;\xc3\xa4</r>", "\"<>&'\\\"AB\xc3\xa4\""},
    {"<r>a<![CDATA[<b>&amp;]]>c</r>", "\"a<b>&amp;c\""},
    {"<r>a\r\nb\rc&#13;</r>", "\"a\\nb\\nc\\r\""},
    {"<r><gr\xc3\xb6\xc3\x9f"
     "e>1</gr\xc3\xb6\xc3\x9f"
     "e></r>",
     "{\"gr\xc3\xb6\xc3\x9f"
     "e\":\"1\"}"},
};

static void elements_become_a_tree(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(trees); i++) {
        struct slu_value *value = read_text(trees[i].xml);

        if (!value || !slu_value_equal(value, tree(trees[i].json)))
            fail_msg("%s: %.*s", trees[i].xml,
                     SLU_FMT(mistakes.first ? mistakes.first->detail : SLU_STR("another tree")));
        assert_str(root, "r");
        assert_true(slu_mistakes_none(&mistakes));
    }
}

#define LAUGHS                                                                                     \
    "<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY b '&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;'>"    \
    "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;'>]><r>&d;</r>"

/* XML that is refused, and a part of the words. */
static const struct {
    const char *xml, *words;
} refused[] = {
    {"", "is empty"},
    {"   ", "line 1"},
    {"<", "line 1"},
    {"<r>", "line 1"},
    {"<r></s>", "line 1"},
    {"<r/><s/>", "line 1"},
    {"<r/>x", "line 1"},
    {"x<r/>", "line 1"},
    {"{\"a\": 1}", "line 1"},
    {"<r><a>1</r></a>", "line 1"},
    {"<r>\n<a b=1/></r>", "line 2"},
    {"<r a='1' a='2'/>", "line 1"},
    {"<x:r/>", "line 1"},
    {"<r>&unknown;</r>", "unknown"},
    {"<r a='&unknown;'/>", "unknown"},
    {"<r>&#0;</r>", "line 1"},
    {"<r>&#xD800;</r>", "line 1"},
    {"<r>\x01</r>", "line 1"},
    {"<r>a & b</r>", "line 1"},
    {"<r>]]></r>", "line 1"},
    {"<r>text<a/></r>", "text beside elements"},
    {"<r><a/>text</r>", "text beside elements"},
    {"<r><a/>t<b/></r>", "text beside elements"},
    {"<r>\xff</r>", "not text in UTF-8"},
    {"<r>\xc0\x80</r>", "not text in UTF-8"},
    {"<r>\xed\xa0\x80</r>", "not text in UTF-8"},
    {"<?xml version='1.0' encoding='ISO-8859-1'?><r/>", "another encoding"},
    {"<?xml version='1.0' encoding='UTF-7'?><r/>", "line 1"},
    {"<?xml version='1.0' encoding='UTF-16'?><r/>", "line 1"},
    {"<?xml version='1.0' encoding='no-such'?><r/>", "line 1"},
    {"<!DOCTYPE r><r/>", "document type declaration"},
    {"<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>", "document type declaration"},
    {"<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>", "document type"},
    {"<!DOCTYPE r [<!ENTITY % x SYSTEM 'http://127.0.0.1:9/x'> %x;]><r/>", "document type"},
    {LAUGHS, "document type declaration"},
};

static void what_is_not_taken_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(refused); i++) {
        if (read_text(refused[i].xml))
            fail_msg("taken: %s", refused[i].xml);
        assert_int_equal(mistakes.count, 1);
        assert_int_equal(mistakes.first->kind, SLU_FAULT_INVALID);
        if (!memmem(mistakes.first->detail.p, mistakes.first->detail.n, refused[i].words,
                    strlen(refused[i].words)) ||
            memchr(mistakes.first->detail.p, '\n', mistakes.first->detail.n))
            fail_msg("%s: %.*s", refused[i].xml, SLU_FMT(mistakes.first->detail));
    }
    assert_null(read_limited((struct slu_str){"<r>\0</r>", 8}, (struct slu_xml_limits){0}));
    assert_null(
        read_limited((struct slu_str){"\xff\xfe<\0r\0/\0>\0", 10}, (struct slu_xml_limits){0}));
}

static struct slu_str repeated(const char *text, size_t times, const char *around)
{
    struct slu_buf out;
    struct slu_str copy;

    slu_buf_init(&out, 0);
    slu_buf_printf(&out, "<%s>", around);
    for (size_t i = 0; i < times; i++)
        slu_buf_add(&out, slu_str_of(text));
    slu_buf_printf(&out, "</%s>", around);
    copy = slu_arena_str(&arena, slu_buf_str(&out));
    slu_buf_done(&out);
    return copy;
}

static void depth_and_nodes_are_bounded(void **state)
{
    struct slu_value *value;

    (void)state;
    assert_non_null(read_limited(SLU_STR("<a><b><c/></b></a>"), (struct slu_xml_limits){3, 3}));
    assert_null(read_limited(SLU_STR("<a><b><c/></b></a>"), (struct slu_xml_limits){2, 9}));
    assert_str(mistakes.first->pointer, "/b");
    assert_str(mistakes.first->detail, "line 1: is nested too deeply");
    assert_null(read_limited(SLU_STR("<a><b/>\n<c/></a>"), (struct slu_xml_limits){9, 2}));
    assert_str(mistakes.first->detail, "line 2: has too many elements");
    assert_null(read_limited(repeated("<x>", 100000, "r"), (struct slu_xml_limits){0}));
    assert_null(read_limited(repeated("<x/>", 20000, "r"), (struct slu_xml_limits){0}));
    value = read_limited(repeated("<x/>", 19999, "r"), (struct slu_xml_limits){0});
    assert_int_equal(slu_value_member(value, "x")->count, 19999);
}

static void different_names_are_bounded(void **state)
{
    struct slu_buf out;

    (void)state;
    slu_buf_init(&out, 0);
    slu_buf_lit(&out, "<r>");
    for (int i = 0; i < 128; i++)
        slu_buf_printf(&out, "<n%d/><n%d/>", i, i / 2);
    assert_non_null(read_limited(slu_arena_printf(&arena, "%.*s</r>", SLU_FMT(slu_buf_str(&out))),
                                 (struct slu_xml_limits){0}));
    slu_buf_lit(&out, "<one-more/></r>");
    assert_null(read_limited(slu_buf_str(&out), (struct slu_xml_limits){0}));
    assert_str(mistakes.first->detail, "line 1: has too many different elements");
    slu_buf_done(&out);
}

static void a_mistake_names_its_place(void **state)
{
    (void)state;
    assert_null(read_text("<r>\n <a>\n  <b>x<c/></b></a></r>"));
    assert_str(mistakes.first->pointer, "/a/b");
    assert_str(mistakes.first->detail, "line 3: has text beside elements");
}

static void long_texts_come_in_one_piece(void **state)
{
    struct slu_str text = repeated("0123456789&amp;", 5000, "r");
    struct slu_value *value = read_limited(text, (struct slu_xml_limits){0});

    (void)state;
    assert_int_equal(value->text.n, 11 * 5000);
}

static bool read_once(void *context)
{
    struct slu_arena own;
    struct slu_mistakes found;
    struct slu_str name;
    struct slu_value *value;

    slu_arena_init(&own, 1 << 20);
    slu_mistakes_init(&found, &own);
    value = slu_xml_read(&own, slu_str_of(context), (struct slu_xml_limits){0}, &name, &found);
    if (!value)
        assert_true(found.failed || found.first->kind == SLU_FAULT_MEMORY);
    slu_arena_done(&own);
    return value;
}

static void every_allocation_may_fail(void **state)
{
    char text[] = "<r><a>some text that does not fit</a><a>more</a><b><c/></b></r>";

    (void)state;
    (void)test_every_allocation(read_once, text);
}

static void a_small_arena_is_told(void **state)
{
    struct slu_arena own;

    (void)state;
    for (size_t budget = 0; budget < 40000; budget += 997) {
        struct slu_mistakes found;
        struct slu_value *value;

        slu_arena_init(&own, budget);
        slu_mistakes_init(&found, &own);
        value = slu_xml_read(&own, repeated("<a><b>text</b></a>", 50, "r"),
                             (struct slu_xml_limits){0}, &root, &found);
        assert_true(value || found.failed || found.first->kind == SLU_FAULT_MEMORY);
        slu_arena_done(&own);
    }
}

/* ---- writing ---- */

static struct slu_str written(const struct slu_value *value, const char *name, const char *space,
                              bool *ret_good)
{
    struct slu_buf out;
    struct slu_str text;

    slu_buf_init(&out, 0);
    *ret_good = slu_xml_write(&out, value, slu_str_of(name), slu_str_of(space));
    text = slu_arena_str(&arena, slu_buf_str(&out));
    slu_buf_done(&out);
    return text;
}

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static const struct {
    const char *json, *xml;
} documents[] = {
    {"{}", "<R/>"},
    {"\"\"", "<R/>"},
    {"null", "<R/>"},
    {"true", "<R>true</R>"},
    {"{\"a\":false,\"b\":0.10,\"c\":null,\"d\":\"\"}", "<R><a>false</a><b>0.10</b><d/></R>"},
    {"{\"a\":[1,\"2\",{\"b\":[]}],\"c\":[]}", "<R><a>1</a><a>2</a><a/></R>"},
    {"{\"a\":\"<&>\\\"'\\r\\n\\t\\u00e4\"}", "<R><a>&lt;&amp;&gt;&quot;'&#13;\n\t\xc3\xa4</a></R>"},
    {"{\"a-b.1\":{\"_\":{\"\xc3\xa4\":1}}}", "<R><a-b.1><_><\xc3\xa4>1</\xc3\xa4></_></a-b.1></R>"},
};

static void a_tree_becomes_elements(void **state)
{
    struct slu_str text;
    bool good;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(documents); i++) {
        text = written(tree(documents[i].json), "R", "", &good);
        assert_true(good);
        assert_true(slu_str_starts(text, SLU_STR(HEAD)));
        assert_str(((struct slu_str){text.p + strlen(HEAD), text.n - strlen(HEAD)}),
                   documents[i].xml);
        assert_non_null(read_limited(text, (struct slu_xml_limits){0}));
    }
    text = written(tree("{\"a\":{\"b\":1}}"), "Response", "http://x.example/\"&1", &good);
    assert_str(text, HEAD "<Response xmlns=\"http://x.example/&quot;&amp;1\"><a><b>1</b></a>"
                          "</Response>");
}

static void what_xml_cannot_say_is_refused(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{\"a\":[[1]]}",
        "{\"\":1}",
        "{\"a b\":1}",
        "{\"1a\":1}",
        "{\"-a\":1}",
        "{\"a:b\":1}",
        "{\"a>\":1}",
        "{\"a\":\"\\u0001\"}",
        "{\"a\":\"\\u001f\"}",
        "{\"a\":\"\\uffff\"}",
        "{\"a\":\"\\ufffe\"}",
    };
    bool good;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(bad); i++) {
        (void)written(tree(bad[i]), "R", "", &good);
        if (good)
            fail_msg("written: %s", bad[i]);
    }
    (void)written(tree("{}"), "R S", "", &good);
    assert_false(good);
    (void)written(tree("{}"), "", "", &good);
    assert_false(good);
    (void)written(tree("{\"a\":\"\\ufffd\\ud7ff\\ue000\"}"), "R", "", &good);
    assert_true(good);
}

static void names_are_judged(void **state)
{
    (void)state;
    assert_true(slu_xml_name_valid(SLU_STR("TrafficPath.1")));
    assert_true(slu_xml_name_valid(SLU_STR("_a-b\xc2\xb7")));
    assert_false(slu_xml_name_valid(SLU_STR("")));
    assert_false(slu_xml_name_valid(SLU_STR_NONE));
    assert_false(slu_xml_name_valid(SLU_STR(".a")));
    assert_false(slu_xml_name_valid(SLU_STR("a\xc3\x97")));
    assert_false(slu_xml_name_valid(SLU_STR("a\xff")));
}

static bool write_once(void *context)
{
    struct slu_buf out;
    bool good;

    slu_buf_init(&out, 0);
    good = slu_xml_write(&out, context, SLU_STR("R"), SLU_STR("urn:x"));
    assert_true(good);
    good = !out.failed;
    slu_buf_done(&out);
    return good;
}

static void a_writer_without_memory_says_so(void **state)
{
    (void)state;
    (void)test_every_allocation(write_once, tree("{\"a\":[1,2,{\"b\":\"&\"}]}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(elements_become_a_tree, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_taken_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(depth_and_nodes_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(different_names_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(a_mistake_names_its_place, begin, end),
        cmocka_unit_test_setup_teardown(long_texts_come_in_one_piece, begin, end),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, begin, end),
        cmocka_unit_test_setup_teardown(a_small_arena_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_tree_becomes_elements, begin, end),
        cmocka_unit_test_setup_teardown(what_xml_cannot_say_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(names_are_judged, begin, end),
        cmocka_unit_test_setup_teardown(a_writer_without_memory_says_so, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
