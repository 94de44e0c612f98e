/* What a create request and a patch may say, and how every mistake is told. */
#include "test.h"

#include "base/mem.h"
#include "codec/json.h"
#include "model/flow_log.h"

#include <stdio.h>

#define VALID                                                                                      \
    "\"resource_type\":\"vpc\",\"resource_id\":\"vpc-1\",\"destination\":{\"type\":\"sls\"}"

/* The document's mistakes as "pointer words; pointer words". */
static void check(const char *text, bool patch, struct slu_buf *out)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_value *document;
    bool good;

    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    document = slu_json_read(&arena, slu_str_of(text), (struct slu_json_limits){0}, &mistakes);
    assert_non_null(document);
    good = patch ? slu_flow_log_check_patch(document, &mistakes)
                 : slu_flow_log_check(document, &mistakes);
    assert_int_equal(good, mistakes.count == 0);
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next) {
        assert_int_equal(m->kind, SLU_FAULT_INVALID);
        slu_buf_printf(out, "%s%.*s %.*s", out->n ? "; " : "", SLU_FMT(m->pointer),
                       SLU_FMT(m->detail));
    }
    slu_arena_done(&arena);
}

struct row {
    const char *document, *mistakes;
};

static void run(const struct row *rows, size_t count, bool patch)
{
    for (size_t i = 0; i < count; i++) {
        struct slu_buf out;

        slu_buf_init(&out, 0);
        check(rows[i].document, patch, &out);
        assert_str(slu_buf_str(&out), rows[i].mistakes);
        slu_buf_done(&out);
    }
}

static void good_requests_pass(void **state)
{
    static const struct row rows[] = {
        {"{" VALID "}", ""},
        {"{\"resource_alias\":\"prod\",\"destination\":{\"alias\":\"security\"}}", ""},
        {"{" VALID ",\"name\":\"ab\",\"tags\":{\"\\u00e9\":\"\"},\"native\":{\"x\":[1]}}", ""},
        {"{" VALID ",\"aggregation_interval\":1,\"index\":false,\"enabled\":true}", ""},
        {"{" VALID ",\"aggregation_interval\":2147483647}", ""},
        {"{" VALID ",\"name\":null,\"tags\":null,\"native\":null,\"resource_alias\":null}", ""},
        {"{" VALID ",\"description\":\"\"}", ""},
    };

    (void)state;
    run(rows, SLU_COUNT(rows), false);
}

static void what_is_missing_is_told(void **state)
{
    static const struct row rows[] = {
        {"[]", " a flow log is an object, not array"},
        {"{}", "/resource_type is required (or resource_alias in place of both); /resource_id is "
               "required (or resource_alias in place of both); /destination is required"},
        {"{\"resource_alias\":\"a\",\"destination\":{}}",
         "/destination/type is required (or an alias)"},
        {"{\"resource_alias\":\"a\",\"destination\":null}", "/destination is required"},
        {"{" VALID ",\"resource_alias\":\"a\"}",
         "/resource_type resource_alias stands in place of resource_type and resource_id; "
         "/resource_id resource_alias stands in place of resource_type and resource_id"},
        {"{\"resource_alias\":\"a\",\"destination\":{\"alias\":\"b\",\"group\":\"c\"}}",
         "/destination/group an alias stands in place of the destination's other members"},
    };

    (void)state;
    run(rows, SLU_COUNT(rows), false);
}

static void what_is_wrong_is_told(void **state)
{
    static const struct row rows[] = {
        {"{" VALID ",\"trafic_type\":\"all\"}", "/trafic_type is not known; did you mean "
                                                "'traffic_type'?"},
        {"{" VALID ",\"zzz\":1}", "/zzz is not known"},
        {"{" VALID ",\"a/b~c\":1}", "/a~1b~0c is not known"},
        {"{" VALID ",\"id\":\"x\"}", "/id is told by the cloud and cannot be sent"},
        {"{" VALID ",\"delivery\":{}}", "/delivery is told by the cloud and cannot be sent"},
        {"{" VALID ",\"traffic_type\":\"acept\"}",
         "/traffic_type must be one of: all, accept, reject; did you mean 'accept'?"},
        {"{" VALID ",\"traffic_type\":\"ALLOW\"}",
         "/traffic_type must be one of: all, accept, reject"},
        {"{" VALID ",\"name\":\"a\"}", "/name must have 2 to 64 characters, but has 1"},
        {"{" VALID ",\"name\":\"1a\"}", "/name must begin with a letter (A-Z, a-z)"},
        {"{" VALID ",\"name\":\"a b\"}",
         "/name may only hold letters (A-Z, a-z), digits, '.', '_' and '-'"},
        {"{" VALID ",\"name\":7}", "/name must be of type string, not number"},
        {"{" VALID ",\"description\":\"a\\nb\"}", "/description must not hold control characters"},
        {"{" VALID ",\"description\":\"\\u007f\"}",
         "/description must not hold control characters"},
        {"{" VALID ",\"description\":\"\\u0085\"}",
         "/description must not hold control characters"},
        {"{" VALID ",\"description\":\"\\u00a0\"}", ""},
        {"{" VALID ",\"parent_id\":\"\"}", "/parent_id must have 1 to 256 characters, but has 0"},
        {"{" VALID ",\"aggregation_interval\":0}", "/aggregation_interval must be at least 1"},
        {"{" VALID ",\"aggregation_interval\":-5}", "/aggregation_interval must be at least 1"},
        {"{" VALID ",\"aggregation_interval\":2147483648}",
         "/aggregation_interval must be at most 2147483647"},
        {"{" VALID ",\"aggregation_interval\":1.5}",
         "/aggregation_interval must be an integer of at most 64 bits"},
        {"{" VALID ",\"aggregation_interval\":9223372036854775808}",
         "/aggregation_interval must be an integer of at most 64 bits"},
        {"{" VALID ",\"enabled\":\"true\"}", "/enabled must be of type bool, not string"},
        {"{" VALID ",\"tags\":{\"a\":1}}", "/tags/a must be a string, not number"},
        {"{" VALID ",\"tags\":{\"a\":null}}", "/tags/a must be a string, not null"},
        {"{" VALID ",\"tags\":{\"\":\"x\"}}", "/tags/ must have 1 to 128 characters, but has 0"},
        {"{" VALID ",\"tags\":{\"a\":\"\\u0001\"}}", "/tags/a must not hold control characters"},
        {"{" VALID ",\"tags\":[]}", "/tags must be of type object, not array"},
        {"{" VALID ",\"native\":[]}", "/native must be of type object, not array"},
        {"{\"resource_alias\":\"a\",\"destination\":{\"type\":\"sls\",\"grup\":\"x\"}}",
         "/destination/grup is not known; did you mean 'group'?"},
        {"{\"resource_alias\":\"a\",\"destination\":\"sls\"}",
         "/destination must be of type object, not string"},
    };

    (void)state;
    run(rows, SLU_COUNT(rows), false);
}

static void patches_need_nothing(void **state)
{
    static const struct row rows[] = {
        {"{}", ""},
        {"{\"name\":null,\"tags\":{\"a\":null,\"b\":\"c\"},\"destination\":{\"role\":null}}", ""},
        {"{\"name\":\"\",\"status\":\"active\"}",
         "/name must have 2 to 64 characters, but has 0; /status is told by the cloud and cannot "
         "be sent"},
        {"{\"tags\":{\"a\":false}}", "/tags/a must be a string, not bool"},
        {"null", " a flow log is an object, not null"},
    };

    (void)state;
    run(rows, SLU_COUNT(rows), true);
}

static void lengths_count_characters(void **state)
{
    struct slu_buf text, out;

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        slu_buf_init(&text, 0);
        slu_buf_init(&out, 0);
        slu_buf_lit(&text, "{" VALID ",\"description\":\"");
        for (int i = 0; i < 1024 + extra; i++)
            slu_buf_lit(&text, "\xc3\xa9");
        slu_buf_add(&text, (struct slu_str){"\"}\0", 3});
        check(text.p, false, &out);
        assert_str(slu_buf_str(&out),
                   extra ? "/description must have 0 to 1024 characters, but has 1025" : "");
        slu_buf_done(&text);
        slu_buf_done(&out);
    }
}

static void the_table_of_members_is_whole(void **state)
{
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    (void)state;
    assert_int_equal(count, 28);
    for (size_t i = 0; i < count; i++) {
        struct slu_str pointer = slu_str_of(members[i].pointer);

        assert_ptr_equal(slu_flow_log_member(pointer), &members[i]);
        assert_true(members[i].in_request || members[i].in_reply);
        assert_int_equal(members[i].words != NULL, members[i].type == SLU_MEMBER_WORD);
        assert_true(members[i].help[0]);
    }
    assert_null(slu_flow_log_member(SLU_STR("/destination/")));
}

static bool check_once(void *context)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_value *document;
    bool told;

    (void)context;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    document = slu_json_read(&arena, SLU_STR("{\"nam\":1,\"tags\":{\"a\":2}}"),
                             (struct slu_json_limits){0}, &mistakes);
    told = document && !slu_flow_log_check(document, &mistakes) && !mistakes.failed;
    slu_arena_done(&arena);
    return told;
}

static void memory_may_fail(void **state)
{
    (void)state;
    assert_true(test_every_allocation(check_once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_pass),       cmocka_unit_test(what_is_missing_is_told),
        cmocka_unit_test(what_is_wrong_is_told),    cmocka_unit_test(patches_need_nothing),
        cmocka_unit_test(lengths_count_characters), cmocka_unit_test(the_table_of_members_is_whole),
        cmocka_unit_test(memory_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
