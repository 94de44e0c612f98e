/* Filters: names and values out of a query string, and which flow logs pass. */
#include "test.h"

#include "codec/json.h"
#include "model/filter.h"

static struct slu_arena arena;

static int begin(void **state)
{
    (void)state;
    slu_arena_init(&arena, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    slu_arena_done(&arena);
    return 0;
}

static bool read(const char *name, const char *value, struct slu_filter *ret_filter,
                 struct slu_fault *fault)
{
    *fault = (struct slu_fault){.kind = SLU_FAULT_NONE};
    return slu_filter_read(&arena, slu_str_of(name), slu_str_of(value), ret_filter, fault);
}

static struct slu_str text_of(const struct slu_value *value)
{
    struct slu_buf out;
    struct slu_str text;

    slu_buf_init(&out, 0);
    slu_json_write(&out, value);
    text = slu_arena_str(&arena, slu_buf_str(&out));
    slu_buf_done(&out);
    return text;
}

static void names_and_values_are_read(void **state)
{
    static const struct {
        const char *name, *value, *pointer, *json;
    } rows[] = {
        {"name", "edge", "/name", "\"edge\""},
        {"name", "", "/name", "\"\""},
        {"id", "fl-1", "/id", "\"fl-1\""},
        {"parent_id", "r-1", "/parent_id", "\"r-1\""},
        {"resource_type", "router_attachment", "/resource_type", "\"router_attachment\""},
        {"traffic_type", "all", "/traffic_type", "\"all\""},
        {"destination.group", "a.b", "/destination/group", "\"a.b\""},
        {"delivery.status", "failed", "/delivery/status", "\"failed\""},
        {"aggregation_interval", "600", "/aggregation_interval", "600"},
        {"index", "true", "/index", "true"},
        {"enabled", "false", "/enabled", "false"},
        {"status", "unknown", "/status", "\"unknown\""},
        {"tags.team", "net", "/tags/team", "\"net\""},
        {"tags.a.b/c~d", "", "/tags/a.b~1c~0d", "\"\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slu_filter filter;
        struct slu_fault fault;

        if (!read(rows[i].name, rows[i].value, &filter, &fault))
            fail_msg("%s: %s", rows[i].name, fault.words);
        assert_str(filter.pointer, rows[i].pointer);
        assert_int_equal(filter.count, 1);
        assert_str(text_of(filter.any[0]), rows[i].json);
    }
}

static void what_is_no_filter_is_refused(void **state)
{
    static const struct {
        const char *name, *value, *words;
    } rows[] = {
        {"nam", "x", "did you mean 'name'?; there are: id, name, description, resource_type"},
        {"destination.grup", "x", "did you mean 'destination.group'?"},
        {"", "x", "there is no filter of this name; there are: "},
        {"/name", "x", "there is no filter"},
        {"destination", "x", "there is no filter"},
        {"destination/group", "x", "there is no filter"},
        {"destination.alias", "x", "there is no filter"},
        {"delivery", "ok", "there is no filter"},
        {"target", "x", "there is no filter"},
        {"native", "x", "there is no filter"},
        {"native.VpcId", "x", "there is no filter"},
        {"created_at", "2026-01-01T00:00:00Z", "there is no filter"},
        {"tags", "x", "tags.KEY"},
        {"tags.", "x", "tags.KEY"},
        {"resource_type", "VPC", "must be one of: interface, subnet, vpc, router_attachment"},
        {"status", "", "must be one of: creating"},
        {"enabled", "True", "must be true or false"},
        {"index", "", "must be true or false"},
        {"aggregation_interval", "0", "must be an integer from 1"},
        {"aggregation_interval", "-60", "must be an integer"},
        {"aggregation_interval", "6e1", "must be an integer"},
        {"aggregation_interval", "18446744073709551616", "must be an integer"},
        {"aggregation_interval", "9223372036854775808", "must be an integer"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slu_filter filter;
        struct slu_fault fault;

        if (read(rows[i].name, rows[i].value, &filter, &fault))
            fail_msg("%s=%s is a filter", rows[i].name, rows[i].value);
        assert_int_equal(fault.kind, SLU_FAULT_BAD_PARAMETER);
        assert_string_equal(fault.place, rows[i].name);
        if (!strstr(fault.words, rows[i].words))
            fail_msg("%s: %s", rows[i].name, fault.words);
    }
}

static void long_names_are_cut_in_words_only(void **state)
{
    struct slu_str name = slu_arena_printf(&arena, "%0900d", 7);
    struct slu_filter filter;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    (void)state;
    assert_false(slu_filter_read(&arena, name, SLU_STR("x"), &filter, &fault));
    name = slu_arena_printf(&arena, "tags.%0900d", 7);
    assert_true(slu_filter_read(&arena, name, SLU_STR("x"), &filter, &fault));
    assert_int_equal(filter.pointer.n, 906);
}

static const char flow_log[] =
    "{\"id\":\"1\",\"name\":\"edge\",\"description\":null,\"destination\":{\"group\":\"g\"},"
    "\"aggregation_interval\":600,\"enabled\":false,\"delivery\":null,"
    "\"tags\":{\"team\":\"net\",\"a.b/c~d\":\"x\",\"\":\"none\"}}";

static void flow_logs_pass_what_they_equal(void **state)
{
    static const struct {
        const char *name, *value;
        bool passes;
    } rows[] = {
        {"name", "edge", true},
        {"name", "Edge", false},
        {"name", "edg", false},
        {"description", "", false},
        {"resource_id", "", false},
        {"destination.group", "g", true},
        {"destination.stream", "", false},
        {"delivery.status", "ok", false},
        {"aggregation_interval", "600", true},
        {"aggregation_interval", "60", false},
        {"enabled", "false", true},
        {"enabled", "true", false},
        {"tags.team", "net", true},
        {"tags.team", "", false},
        {"tags.a.b/c~d", "x", true},
        {"tags.tea", "net", false},
        {"tags.teams", "net", false},
    };
    struct slu_mistakes mistakes;
    const struct slu_value *value;

    (void)state;
    slu_mistakes_init(&mistakes, &arena);
    value = slu_json_read(&arena, slu_str_of(flow_log), (struct slu_json_limits){0}, &mistakes);
    assert_non_null(value);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slu_filter filter;
        struct slu_fault fault;

        assert_true(read(rows[i].name, rows[i].value, &filter, &fault));
        if (slu_filters_pass(&filter, 1, value) != rows[i].passes)
            fail_msg("%s=%s", rows[i].name, rows[i].value);
    }
}

static void all_filters_count_and_any_value_does(void **state)
{
    struct slu_value other = {.kind = SLU_STRING, .text = SLU_STR("core")};
    const struct slu_value *any[2];
    struct slu_filter both[2];
    struct slu_fault fault;
    struct slu_mistakes mistakes;
    const struct slu_value *value;

    (void)state;
    slu_mistakes_init(&mistakes, &arena);
    value = slu_json_read(&arena, slu_str_of(flow_log), (struct slu_json_limits){0}, &mistakes);
    assert_true(read("name", "edge", &both[0], &fault));
    assert_true(read("enabled", "false", &both[1], &fault));
    assert_true(slu_filters_pass(NULL, 0, value));
    assert_true(slu_filters_pass(both, 2, value));
    any[0] = &other;
    any[1] = both[0].any[0];
    both[0] = (struct slu_filter){both[0].pointer, any, 2};
    assert_true(slu_filters_pass(both, 2, value));
    both[0].count = 1;
    assert_false(slu_filters_pass(both, 2, value));
}

static bool read_once(void *context)
{
    struct slu_arena small;
    struct slu_filter filter;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    bool good;

    (void)context;
    slu_arena_init(&small, 1 << 16);
    good = slu_filter_read(&small, SLU_STR("tags.team"), SLU_STR("net"), &filter, &fault);
    if (!good)
        assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
    slu_arena_done(&small);
    return good;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    test_every_allocation(read_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_read),
        cmocka_unit_test(what_is_no_filter_is_refused),
        cmocka_unit_test(long_names_are_cut_in_words_only),
        cmocka_unit_test(flow_logs_pass_what_they_equal),
        cmocka_unit_test(all_filters_count_and_any_value_does),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
