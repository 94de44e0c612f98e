/*
 * Changes of a flow log as messages: what the clouds' tables send to rename, to switch off and to
 * clear, to the letter, and what their doors read of it; what tables tell the one who waits for a
 * change; and with a fictional cloud that sets with one call and clears with another, which of them
 * is sent, what it says, and what is refused.
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#include <stdio.h>

#define DATA "tests/unit/mapping/data/"

enum { OTC_VPC, OTC_ER, ALIBABA, CIRRUS, NIMBUS, TABLES };

static const char *const files[TABLES] = {
    "mappings/otc-vpc.json", "mappings/otc-er.json", "mappings/alibaba-vpc.json",
    DATA "cirrus.json",      DATA "nimbus.json",
};
static struct slu_table *tables[TABLES];
static struct slu_arena arena;
static struct slu_mistakes mistakes;
static struct slu_losses losses;

static void fresh(bool lenient)
{
    slu_arena_reset(&arena);
    slu_mistakes_init(&mistakes, &arena);
    slu_losses_init(&losses, &arena, lenient);
}

static int load_all(void **state)
{
    (void)state;
    slu_arena_init(&arena, 1 << 22);
    fresh(false);
    for (int i = 0; i < TABLES; i++) {
        char path[600];

        snprintf(path, sizeof(path), "%s/%s", SLU_SOURCE_DIR, files[i]);
        tables[i] = slu_table_load(path, &mistakes);
        for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
            print_error("%s: %.*s: %.*s\n", path, SLU_FMT(m->pointer), SLU_FMT(m->detail));
        assert_non_null(tables[i]);
    }
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (int i = 0; i < TABLES; i++)
        slu_table_free(tables[i]);
    slu_arena_done(&arena);
    return 0;
}

static struct slu_value *json(const char *text)
{
    struct slu_value *value =
        slu_json_read(&arena, slu_str_of(text), (struct slu_json_limits){0}, &mistakes);

    assert_non_null(value);
    return value;
}

static void set(struct slu_vars *vars, const char *name, const char *value)
{
    assert_true(slu_vars_set(vars, slu_str_of(name), slu_str_of(value)));
}

static struct slu_vars all_vars(void)
{
    struct slu_vars vars = {.count = 0};

    set(&vars, "project_id", "b2782e6708b8475c993e6064bc456bf8");
    set(&vars, "er_id", "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2");
    set(&vars, "region", "cn-qingdao");
    set(&vars, "zone", "z1");
    set(&vars, "account", "a1");
    set(&vars, "id", "fl-1");
    return vars;
}

/* Mistakes as "pointer words; ". */
static struct slu_str told(void)
{
    struct slu_str text = SLU_STR("");

    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        text = slu_arena_printf(&arena, "%.*s%.*s %.*s; ", SLU_FMT(text), SLU_FMT(m->pointer),
                                SLU_FMT(m->detail));
    return text;
}

static struct slu_str lost(void)
{
    struct slu_str text = SLU_STR("");

    for (const struct slu_loss *loss = losses.first; loss; loss = loss->next)
        text = slu_arena_printf(&arena, "%.*s%.*s; ", SLU_FMT(text), SLU_FMT(loss->pointer));
    return text;
}

/* One call as "METHOD path?query body". */
static struct slu_str sent(int table, enum slu_operation operation, size_t step,
                           const struct slu_value *canonical)
{
    struct slu_vars vars = all_vars();
    struct slu_request request;

    if (!slu_table_write_request(tables[table], operation, step, 0, canonical, &vars, &arena,
                                 &losses, &mistakes, &request))
        return slu_arena_printf(&arena, "refused: %.*s", SLU_FMT(told()));
    return slu_arena_printf(&arena, "%.*s %.*s?%.*s %.*s", SLU_FMT(request.method),
                            SLU_FMT(request.path), SLU_FMT(request.query), SLU_FMT(request.body));
}

/* ---- the clouds ---- */

#define OTC_LOG "/v1/b2782e6708b8475c993e6064bc456bf8/fl/flow_logs/fl-1"
#define ER_LOG                                                                                     \
    "/v3/b2782e6708b8475c993e6064bc456bf8/enterprise-router/"                                      \
    "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2/flow-logs/fl-1"
#define ALI "RegionId=cn-qingdao&FlowLogId=fl-1"

static const struct {
    int table;
    enum slu_operation operation;
    const char *canonical, *sent;
    const char *action; /* of parameter-style clouds */
    const char *read;   /* by a door; NULL: there is no document */
    enum slu_operation door;
} talks[] = {
    {OTC_VPC, SLU_OP_UPDATE, "{\"name\":\"x\"}", "PUT " OTC_LOG "? {\"flow_log\":{\"name\":\"x\"}}",
     NULL, "{\"name\":\"x\"}", SLU_OP_UPDATE},
    {OTC_VPC, SLU_OP_DISABLE, "{}", "PUT " OTC_LOG "? {\"flow_log\":{\"admin_state\":false}}", NULL,
     "{\"enabled\":false}", SLU_OP_UPDATE},
    {OTC_VPC, SLU_OP_ENABLE, "{}", "PUT " OTC_LOG "? {\"flow_log\":{\"admin_state\":true}}", NULL,
     "{\"enabled\":true}", SLU_OP_UPDATE},
    {OTC_VPC, SLU_OP_UPDATE, "{\"name\":\"x\",\"enabled\":false}",
     "PUT " OTC_LOG "? {\"flow_log\":{\"name\":\"x\",\"admin_state\":false}}", NULL,
     "{\"name\":\"x\",\"enabled\":false}", SLU_OP_UPDATE},
    {OTC_VPC, SLU_OP_UPDATE, "{\"description\":null}",
     "PUT " OTC_LOG "? {\"flow_log\":{\"description\":\"\"}}", NULL, "{\"description\":\"\"}",
     SLU_OP_UPDATE},
    {OTC_ER, SLU_OP_UPDATE, "{\"name\":\"x\"}", "PUT " ER_LOG "? {\"name\":\"x\"}", NULL,
     "{\"name\":\"x\"}", SLU_OP_UPDATE},
    {OTC_ER, SLU_OP_UPDATE, "{\"description\":null}", "PUT " ER_LOG "? {\"description\":\"\"}",
     NULL, "{\"description\":\"\"}", SLU_OP_UPDATE},
    {OTC_ER, SLU_OP_DISABLE, "{}", "POST " ER_LOG "/disable? ", NULL, NULL, SLU_OP_DISABLE},
    {OTC_ER, SLU_OP_ENABLE, "{}", "POST " ER_LOG "/enable? ", NULL, NULL, SLU_OP_ENABLE},
    {ALIBABA, SLU_OP_UPDATE, "{\"name\":\"x y\"}", "POST /?" ALI "&FlowLogName=x%20y ",
     "ModifyFlowLogAttribute", "{\"name\":\"x y\"}", SLU_OP_UPDATE},
    {ALIBABA, SLU_OP_UPDATE, "{\"aggregation_interval\":300}",
     "POST /?" ALI "&AggregationInterval=5 ", "ModifyFlowLogAttribute",
     "{\"aggregation_interval\":300}", SLU_OP_UPDATE},
    {ALIBABA, SLU_OP_DISABLE, "{}", "POST /?" ALI " ", "DeactiveFlowLog", NULL, SLU_OP_DISABLE},
    {ALIBABA, SLU_OP_ENABLE, "{}", "POST /?" ALI " ", "ActiveFlowLog", NULL, SLU_OP_ENABLE},
};

static struct slu_request request_of(int table, enum slu_operation operation, size_t step,
                                     const struct slu_value *canonical)
{
    struct slu_vars vars = all_vars();
    struct slu_request request;

    assert_true(slu_table_write_request(tables[table], operation, step, 0, canonical, &vars, &arena,
                                        &losses, &mistakes, &request));
    return request;
}

static void changes_are_sent_to_the_letter(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(talks); i++) {
        fresh(false);
        assert_str(sent(talks[i].table, talks[i].operation, 0, json(talks[i].canonical)),
                   talks[i].sent);
    }
}

static void doors_read_what_is_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(talks); i++) {
        const struct slu_table *table = tables[talks[i].table];
        struct slu_request request;
        struct slu_fault fault = {.kind = SLU_FAULT_NONE};
        struct slu_match match;
        struct slu_value *canonical;

        fresh(false);
        request = request_of(talks[i].table, talks[i].operation, 0, json(talks[i].canonical));
        if (talks[i].action)
            assert_str(slu_headers_value(&request.headers, SLU_STR("x-acs-action")),
                       talks[i].action);
        assert_true(slu_table_match(table, &request, 0, &arena, &match, &fault));
        assert_int_equal(match.operation, talks[i].door);
        assert_str(slu_vars_get(&match.vars, SLU_STR("id")), "fl-1");
        assert_true(slu_table_read_request(table, &match, &arena, &mistakes, &canonical));
        if (talks[i].read)
            assert_true(slu_value_equal(canonical, json(talks[i].read)));
        else
            assert_null(canonical);
    }
}

static void what_cannot_be_changed_is_told(void **state)
{
    static const struct {
        int table;
        const char *canonical, *told;
    } rows[] = {
        {OTC_VPC, "{\"resource_id\":\"05c4052d-8d14-488f-aa00-19fea5a25fde\"}",
         "refused: /resource_id is immutable here: make a new flow log; "},
        {OTC_VPC, "{\"traffic_type\":null}",
         "refused: /traffic_type is immutable here: make a new flow log; "},
        {OTC_VPC, "{}", "refused:  names nothing that can be changed on this target; "},
        {OTC_VPC, "{\"enabled\":null}", "refused: /enabled cannot be cleared on this target; "},
        {OTC_ER, "{\"name\":null}",
         "refused: /name the router insists on a name of 1 to 64 characters; "},
        {OTC_ER, "{\"enabled\":false}",
         "refused: /enabled a flow log is switched by calls of their own, not with its name; "},
        {ALIBABA, "{\"description\":null}",
         "refused: /description a description has 1 to 256 characters, and whether the cloud takes "
         "an empty one in a change is not told; "},
        {ALIBABA, "{\"tags\":{\"a\":\"1\"}}",
         "refused: /tags is immutable here: make a new flow log; "},
        {NIMBUS, "{\"name\":null}", "refused: /name a log has a name; "},
        {NIMBUS, "{\"tags\":{\"a\":\"1\",\"b\":null}}",
         "refused: /tags is replaced as a whole on this target: name what shall stay; "},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        fresh(false);
        assert_str(sent(rows[i].table, SLU_OP_UPDATE, 0, json(rows[i].canonical)), rows[i].told);
        for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
            assert_int_equal(m->kind, SLU_FAULT_UNSUPPORTED);
    }
}

static void tables_tell_what_they_take(void **state)
{
    static const struct {
        int table;
        const char *pointer;
        bool update, is_mutable, replaces;
    } rows[] = {
        {OTC_VPC, "/enabled", true, true, false},
        {OTC_VPC, "/name", true, true, false},
        {OTC_VPC, "/traffic_type", false, false, false},
        {OTC_VPC, "/tags", false, false, false},
        {OTC_ER, "/enabled", false, true, false},
        {OTC_ER, "/description", true, true, false},
        {ALIBABA, "/enabled", false, true, false},
        {ALIBABA, "/aggregation_interval", true, true, false},
        {ALIBABA, "/nothing", false, false, false},
        {CIRRUS, "/tags", true, true, false},
        {NIMBUS, "/tags", true, true, true},
        {NIMBUS, "/name", true, true, false},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        const struct slu_table *table = tables[rows[i].table];
        struct slu_str pointer = slu_str_of(rows[i].pointer);

        assert_int_equal(slu_table_takes(table, SLU_OP_UPDATE, pointer), rows[i].update);
        assert_int_equal(slu_table_mutable(table, pointer), rows[i].is_mutable);
        assert_int_equal(slu_table_replaces(table, pointer), rows[i].replaces);
    }
    assert_false(slu_table_takes(tables[OTC_ER], SLU_OP_ENABLE, SLU_STR("/name")));
    assert_false(slu_table_takes(tables[CIRRUS], SLU_OP_DISABLE, SLU_STR("/name")));
}

/* "done words; undo; serialized by" */
static void tables_tell_when_a_change_is_over(void **state)
{
    static const struct {
        int table;
        enum slu_operation operation;
        const char *told;
    } rows[] = {
        {OTC_VPC, SLU_OP_UPDATE, "; never; "},
        {OTC_VPC, SLU_OP_ENABLE, "; disable; "},
        {OTC_VPC, SLU_OP_DISABLE, "; enable; "},
        {OTC_ER, SLU_OP_UPDATE, "active disabled ; never; /id"},
        {OTC_ER, SLU_OP_ENABLE, "active ; disable; /id"},
        {OTC_ER, SLU_OP_DISABLE, "disabled ; enable; /id"},
        {OTC_ER, SLU_OP_DELETE, "deleted ; never; /id"},
        {ALIBABA, SLU_OP_UPDATE, "active disabled ; never; /id"},
        {ALIBABA, SLU_OP_ENABLE, "active ; disable; /id"},
        {ALIBABA, SLU_OP_DISABLE, "disabled ; enable; /id"},
        {ALIBABA, SLU_OP_DELETE, "deleted ; never; /id"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        const struct slu_table *table = tables[rows[i].table];
        const struct slu_poll *poll = slu_table_poll(table, rows[i].operation);
        struct slu_str never, text = SLU_STR("");
        enum slu_operation undo = slu_table_undo(table, rows[i].operation, &never);

        fresh(false);
        for (size_t k = 0; poll && k < poll->done_count; k++)
            text = slu_arena_printf(&arena, "%.*s%.*s ", SLU_FMT(text), SLU_FMT(poll->done[k]));
        assert_int_equal(undo == SLU_OP_COUNT, never.n > 0);
        assert_str(slu_arena_printf(&arena, "%.*s; %s; %.*s", SLU_FMT(text),
                                    undo == SLU_OP_COUNT ? "never" : slu_operation_name(undo),
                                    SLU_FMT(slu_table_serialize_by(table, rows[i].operation))),
                   rows[i].told);
        assert_int_equal(slu_table_find_by(table, rows[i].operation)->match_count > 0, true);
    }
}

/* ---- one call sets, another clears ---- */

static void each_call_says_its_part(void **state)
{
    static const struct {
        const char *canonical, *values, *nulls; /* NULL: the call is left out */
    } rows[] = {
        {"{\"name\":\"n\"}", "POST /?Zone=z1&Id=fl-1&Call=ChangeLog&Version=v9&Title=n ", NULL},
        {"{\"name\":null}", NULL, "POST /?Zone=z1&Id=fl-1&Call=ClearLog&Version=v9&Title= "},
        {"{\"aggregation_interval\":null,\"name\":\"n\"}",
         "POST /?Zone=z1&Id=fl-1&Call=ChangeLog&Version=v9&Title=n ",
         "POST /?Zone=z1&Id=fl-1&Call=ClearLog&Version=v9&Period=none "},
        {"{\"tags\":{\"a\":\"1\",\"b\":null,\"c\":\"\",\"d\":null}}",
         "POST /?Zone=z1&Id=fl-1&Call=ChangeLog&Version=v9&Tag.1.Key=a&Tag.1.Value=1&Tag.2.Key=c&"
         "Tag.2.Value= ",
         "POST /?Zone=z1&Id=fl-1&Call=ClearLog&Version=v9&Tag.1.Key=b&Tag.2.Key=d "},
        {"{\"enabled\":false,\"tags\":{\"b\":null}}",
         "POST /?Zone=z1&Id=fl-1&Call=ChangeLog&Version=v9&Run=no ",
         "POST /?Zone=z1&Id=fl-1&Call=ClearLog&Version=v9&Tag.1.Key=b "},
        {"{\"native\":{\"Odd\":\"1\"},\"tags\":{\"b\":null}}",
         "POST /?Zone=z1&Id=fl-1&Call=ChangeLog&Version=v9&Odd=1 ",
         "POST /?Zone=z1&Id=fl-1&Call=ClearLog&Version=v9&Tag.1.Key=b "},
        {"{\"tags\":{}}", NULL, NULL},
        {"{}", NULL, NULL},
        /* what no call can say is refused by the first that is made */
        {"{\"enabled\":null}", "refused: /enabled cannot be cleared on this target; ", NULL},
        {"{\"tags\":null,\"name\":\"n\"}",
         "refused: /tags is cleared on this target by naming each of its members with null; ",
         NULL},
        {"{\"resource_id\":null}", "refused: /resource_id is immutable here: make a new flow log; ",
         NULL},
        {"{\"name\":null,\"aggregation_interval\":61}",
         "refused: /aggregation_interval does not divide", "refused: "},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        for (size_t step = 0; step < 2; step++) {
            const char *expected = step ? rows[i].nulls : rows[i].values;
            struct slu_value *canonical;
            bool needed;

            fresh(false);
            canonical = json(rows[i].canonical);
            needed = slu_table_step_needed(tables[CIRRUS], SLU_OP_UPDATE, step, canonical);
            if (needed != (expected != NULL))
                fail_msg("%s: step %zu is %sneeded", rows[i].canonical, step, needed ? "" : "not ");
            if (needed && slu_str_starts(slu_str_of(expected), SLU_STR("refused")))
                assert_true(slu_str_starts(sent(CIRRUS, SLU_OP_UPDATE, step, canonical),
                                           SLU_STR("refused: /")));
            else if (needed)
                assert_str(sent(CIRRUS, SLU_OP_UPDATE, step, canonical), expected);
        }
    assert_true(slu_table_step_needed(tables[NIMBUS], SLU_OP_UPDATE, 0, json("{}")));
}

static void what_is_lost_is_told_once(void **state)
{
    const struct slu_value *canonical;

    (void)state;
    fresh(true);
    canonical = json("{\"name\":\"n\",\"resource_id\":\"x\",\"enabled\":null,"
                     "\"tags\":{\"a\":null}}");
    assert_str(sent(CIRRUS, SLU_OP_UPDATE, 0, canonical),
               "POST /?Zone=z1&Id=fl-1&Call=ChangeLog&Version=v9&Title=n ");
    assert_str(sent(CIRRUS, SLU_OP_UPDATE, 1, canonical),
               "POST /?Zone=z1&Id=fl-1&Call=ClearLog&Version=v9&Tag.1.Key=a ");
    assert_str(lost(), "/enabled; /resource_id; ");
}

static struct slu_value *read_call(const char *query)
{
    struct slu_request request = {
        .method = SLU_STR("POST"), .path = SLU_STR("/"), .query = slu_str_of(query)};
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_value *canonical = NULL;
    struct slu_match match;

    assert_true(slu_table_match(tables[CIRRUS], &request, -1, &arena, &match, &fault));
    assert_int_equal(match.operation, SLU_OP_UPDATE);
    if (!slu_table_read_request(tables[CIRRUS], &match, &arena, &mistakes, &canonical))
        assert_null(canonical);
    return canonical;
}

static void a_door_reads_a_patch_of_nulls(void **state)
{
    static const struct {
        const char *query, *read, *told;
    } rows[] = {
        {"Call=ClearLog&Id=1&Title=&Tag.1.Key=a&Tag.2.Key=b",
         "{\"name\":null,\"tags\":{\"a\":null,\"b\":null}}", ""},
        {"Call=ChangeLog&Id=1&Title=&Tag.1.Key=a&Tag.1.Value=",
         "{\"name\":\"\",\"tags\":{\"a\":\"\"}}", ""},
        {"Call=ChangeLog&Id=1&Period=none", "{\"aggregation_interval\":null}", ""},
        {"Call=ClearLog&Id=1&Period=none", "{\"aggregation_interval\":null}", ""},
        {"Call=ClearLog&Id=1&Title=x", NULL, "/Title is a value in a call that only clears; "},
        {"Call=ClearLog&Id=1&Period=2", NULL, "/Period is a value in a call that only clears; "},
        {"Call=ClearLog&Id=1&Tag.1.Key=a&Tag.1.Value=x", NULL,
         "/Tag must be keys alone, numbered from 1 without a gap, each once; "},
        {"Call=ClearLog&Id=1&Tag.1.Key=a&Odd=1", NULL, "/Odd is not known to this call; "},
        {"Call=ChangeLog&Id=1&Tag.1.Key=a", NULL,
         "/Tag must be pairs of key and value, numbered from 1 without a gap, each key once; "},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        const struct slu_value *canonical;

        fresh(false);
        canonical = read_call(rows[i].query);
        if (rows[i].read)
            assert_true(slu_value_equal(canonical, json(rows[i].read)));
        else
            assert_null(canonical);
        assert_str(told(), rows[i].told);
    }
}

static void confirmations_hold_what_was_sent(void **state)
{
    struct slu_response reply = {.status = 200, .body = SLU_STR("")};
    struct slu_vars vars = all_vars();
    struct slu_outcome outcome;

    (void)state;
    fresh(false);
    assert_true(slu_table_read_reply(
        tables[CIRRUS], SLU_OP_UPDATE, 0, &reply,
        json("{\"name\":null,\"aggregation_interval\":60,\"tags\":{\"a\":null}}"), &vars, &arena,
        &losses, &outcome, NULL));
    assert_int_equal(outcome.kind, SLU_FAULT_NONE);
    assert_str(slu_json_text(&arena, slu_value_member(outcome.flow_log, "id")), "\"fl-1\"");
    assert_str(slu_json_text(&arena, slu_value_member(outcome.flow_log, "name")), "null");
    assert_str(slu_json_text(&arena, slu_value_member(outcome.flow_log, "aggregation_interval")),
               "60");
    assert_str(slu_json_text(&arena, slu_value_member(outcome.flow_log, "status")), "\"active\"");
    assert_null(slu_value_member(outcome.flow_log, "tags"));
}

/* Each table's door answers each change, and its own client role understands the answer. */
static void doors_answer_changes(void **state)
{
    static const struct {
        int table;
        const char *canonical;
        int update, enable, disable; /* statuses */
    } rows[] = {
        {OTC_VPC, "{\"id\":\"fl-1\",\"name\":\"n\",\"enabled\":false,\"status\":\"disabled\"}", 200,
         200, 200},
        {OTC_ER, "{\"id\":\"fl-1\",\"name\":\"n\",\"enabled\":true,\"status\":\"active\"}", 200,
         202, 202},
        {ALIBABA, "{\"id\":\"fl-1\",\"name\":\"n\",\"status\":\"updating\"}", 200, 200, 200},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        for (int operation = SLU_OP_UPDATE; operation <= SLU_OP_DISABLE; operation++) {
            struct slu_vars vars = all_vars();
            struct slu_response response;
            struct slu_outcome outcome;
            struct slu_fault fault = {.kind = SLU_FAULT_NONE};
            int status = operation == SLU_OP_UPDATE   ? rows[i].update
                         : operation == SLU_OP_ENABLE ? rows[i].enable
                                                      : rows[i].disable;

            fresh(true);
            set(&vars, "request_id", "r-1");
            if (!slu_table_write_reply(tables[rows[i].table], (enum slu_operation)operation, 0,
                                       json(rows[i].canonical), &vars, &arena, &losses, &response,
                                       &fault))
                fail_msg("%s: %s", files[rows[i].table], fault.words);
            assert_int_equal(response.status, status);
            assert_true(slu_table_read_reply(tables[rows[i].table], (enum slu_operation)operation,
                                             0, &response, json("{\"name\":\"n\"}"), &vars, &arena,
                                             &losses, &outcome, &fault));
            assert_int_equal(outcome.kind, SLU_FAULT_NONE);
            assert_str(slu_value_member(outcome.flow_log, "id")->text, "fl-1");
            assert_str(slu_value_member(outcome.flow_log, "name")->text, "n");
        }
}

static void plans_say_what_a_call_carries(void **state)
{
    struct slu_buf out;

    (void)state;
    slu_buf_init(&out, 0);
    slu_table_explain(tables[CIRRUS], SLU_OP_UPDATE, &out);
    slu_buf_byte(&out, '\0');
    assert_non_null(strstr(out.p, "request document at \"\", what is set\n"));
    assert_non_null(strstr(out.p, "request document at \"\", what is cleared\n"));
    slu_buf_done(&out);
}

/* A document for itself, without a message: which call it belongs to. */
static void documents_know_their_call(void **state)
{
    struct slu_vars vars = {.count = 0};
    struct slu_value *native;

    (void)state;
    fresh(false);
    native = slu_table_to_native(tables[CIRRUS], SLU_OP_UPDATE, SLU_REQUEST,
                                 json("{\"tags\":{\"a\":null}}"), NULL, &arena, &losses, &mistakes);
    assert_true(slu_value_equal(native, json("{\"Tag.1.Key\":\"a\"}")));
    assert_null(slu_table_to_canonical(tables[CIRRUS], SLU_OP_UPDATE, SLU_REQUEST, native, NULL,
                                       &arena, &losses, &mistakes));
    fresh(false);
    set(&vars, "carries", "nulls");
    assert_true(slu_value_equal(slu_table_to_canonical(tables[CIRRUS], SLU_OP_UPDATE, SLU_REQUEST,
                                                       json("{\"Tag.1.Key\":\"a\"}"), &vars, &arena,
                                                       &losses, &mistakes),
                                json("{\"tags\":{\"a\":null}}")));
    assert_null(slu_table_to_native(tables[CIRRUS], SLU_OP_UPDATE, SLU_REQUEST,
                                    json("{\"name\":\"n\",\"tags\":{\"a\":null}}"), NULL, &arena,
                                    &losses, &mistakes));
    assert_int_equal(mistakes.count, 1);
    assert_non_null(strstr(mistakes.first->detail.p, "takes two calls"));
}

/* ---- the same in JSON ---- */

/* The table's file with one text exchanged; NULL with mistakes. */
static struct slu_table *load_changed(const char *name, const char *from, const char *to)
{
    char path[100];
    struct slu_str text;
    struct slu_buf changed;
    struct slu_table *table;
    const char *at;

    snprintf(path, sizeof(path), DATA "%s.json", name);
    text = test_file(path);
    at = strstr(text.p, from);
    if (!at)
        fail_msg("%s has no %s", path, from);
    slu_buf_init(&changed, 0);
    slu_buf_add(&changed, (struct slu_str){text.p, (size_t)(at - text.p)});
    slu_buf_add(&changed, slu_str_of(to));
    slu_buf_add(&changed, slu_str_of(at + strlen(from)));
    table = slu_table_load_text(slu_str_of(name), slu_buf_str(&changed), &mistakes);
    slu_buf_done(&changed);
    slu_mem_free((char *)text.p);
    return table;
}

static void lists_of_keys_are_cleared_by_key(void **state)
{
    static const struct {
        const char *native, *canonical; /* NULL: refused */
    } rows[] = {
        {"{\"Log\":{\"Labels\":[{\"K\":\"b\"},{\"K\":\"c\"}]}}",
         "{\"tags\":{\"b\":null,\"c\":null}}"},
        {"{\"Log\":{\"Minutes\":null,\"Note\":\"\"}}",
         "{\"description\":null,\"aggregation_interval\":null}"},
        {"{\"Log\":{\"Labels\":[{\"K\":\"b\",\"V\":\"1\"}]}}", NULL},
        {"{\"Log\":{\"Labels\":[{\"K\":\"b\"},{\"K\":\"b\"}]}}", NULL},
        {"{\"Log\":{\"Minutes\":10}}", NULL},
        {"{\"Log\":{\"Odd\":1}}", NULL},
    };
    struct slu_table *table;
    struct slu_vars vars = {.count = 0};

    (void)state;
    fresh(false);
    table =
        load_changed("nimbus", "\"path\": \"/v1/logs/{id}\", \"request\": {\"at\": \"/Log\"}, ",
                     "\"path\": \"/v1/logs/{id}\", \"request\": {\"at\": \"/Log\"}, \"carries\": "
                     "\"values\", \"reply\": {\"status\": [200]}}, {\"method\": \"POST\", "
                     "\"path\": \"/v1/logs/{id}/clear\", \"request\": {\"at\": \"/Log\"}, "
                     "\"carries\": \"nulls\", ");
    if (!table)
        fail_msg("%.*s", SLU_FMT(told()));
    set(&vars, "carries", "nulls");
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_value *canonical;

        fresh(false);
        canonical = slu_table_to_canonical(table, SLU_OP_UPDATE, SLU_REQUEST, json(rows[i].native),
                                           &vars, &arena, &losses, &mistakes);
        if (!rows[i].canonical) {
            assert_null(canonical);
            assert_int_equal(mistakes.count, 1);
            continue;
        }
        assert_true(slu_value_equal(canonical, json(rows[i].canonical)));
        assert_true(
            slu_value_equal(slu_table_to_native(table, SLU_OP_UPDATE, SLU_REQUEST, canonical, NULL,
                                                &arena, &losses, &mistakes),
                            json(rows[i].native)));
    }
    slu_table_free(table);
}

/* ---- tables with mistakes ---- */

static const struct {
    const char *file, *from, *to, *told;
} proofs[] = {
    {"cirrus", "\"carries\": \"nulls\", ", "", "where a step carries \"values\" another carries"},
    {"cirrus", "\"carries\": \"nulls\"", "\"carries\": \"values\"", "another carries \"nulls\""},
    {"cirrus", "\"carries\": \"nulls\"", "\"carries\": \"zeroes\"", "\"zeroes\" is not known here"},
    {"cirrus", "\"reply\": {\"status\": [200], \"at\": \"\", \"echo\"",
     "\"carries\": \"values\", \"reply\": {\"status\": [200], \"at\": \"\", \"echo\"",
     "/operations/create/steps/0/carries has a meaning for a call of an update"},
    {"cirrus", "\"clear\": \"none\"", "\"clear\": null", "cannot be null in a list of parameters"},
    {"cirrus", "\"n\": \"/Title\"", "\"clear\": \"\", \"n\": \"/Title\"",
     "/fields/1/clear is a value that the limits take"},
    {"cirrus", "\"n\": \"/Topic\"", "\"clear\": \"x\", \"n\": \"/Topic\"",
     "/clear has a meaning for a row of one member that an update may change"},
    {"nimbus", "\"clear\": null", "\"clear\": 3", "/clear "},
    {"nimbus", "{\"never\": \"a log has a name\"}", "{\"newer\": \"x\"}", "did you mean"},
};

static void tables_with_mistakes_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(proofs); i++) {
        fresh(false);
        assert_null(load_changed(proofs[i].file, proofs[i].from, proofs[i].to));
        if (!memmem(told().p, told().n, proofs[i].told, strlen(proofs[i].told)))
            fail_msg("%s -> %s:\n%.*s\nexpected %s", proofs[i].from, proofs[i].to, SLU_FMT(told()),
                     proofs[i].told);
    }
}

/* ---- memory ---- */

static void changes_may_run_out_of_memory(void **state)
{
    struct slu_value *canonical;
    unsigned failures = 0;
    bool done = false;

    (void)state;
    fresh(false);
    canonical = json("{\"name\":\"n\",\"aggregation_interval\":null,\"resource_id\":\"x\","
                     "\"tags\":{\"a\":\"1\",\"b\":null}}");
    for (size_t budget = 16; !done; budget += 16) {
        struct slu_arena own;
        struct slu_mistakes found;
        struct slu_losses left;
        struct slu_vars vars = all_vars();
        struct slu_request request;

        slu_arena_init(&own, budget);
        slu_mistakes_init(&found, &own);
        slu_losses_init(&left, &own, true);
        done = slu_table_write_request(tables[CIRRUS], SLU_OP_UPDATE, 0, 0, canonical, &vars, &own,
                                       &left, &found, &request) &&
               slu_table_write_request(tables[CIRRUS], SLU_OP_UPDATE, 1, 0, canonical, &vars, &own,
                                       &left, &found, &request);
        assert_true(done || found.count > 0 || found.failed);
        assert_true(!done || left.count == 1);
        failures += !done;
        slu_arena_done(&own);
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_sent_to_the_letter),
        cmocka_unit_test(doors_read_what_is_sent),
        cmocka_unit_test(what_cannot_be_changed_is_told),
        cmocka_unit_test(tables_tell_what_they_take),
        cmocka_unit_test(tables_tell_when_a_change_is_over),
        cmocka_unit_test(each_call_says_its_part),
        cmocka_unit_test(what_is_lost_is_told_once),
        cmocka_unit_test(a_door_reads_a_patch_of_nulls),
        cmocka_unit_test(confirmations_hold_what_was_sent),
        cmocka_unit_test(doors_answer_changes),
        cmocka_unit_test(plans_say_what_a_call_carries),
        cmocka_unit_test(documents_know_their_call),
        cmocka_unit_test(lists_of_keys_are_cleared_by_key),
        cmocka_unit_test(tables_with_mistakes_are_refused),
        cmocka_unit_test(changes_may_run_out_of_memory),
    };

    return cmocka_run_group_tests(tests, load_all, free_all);
}
