/*
 * The loader tells every mistake with its pointer; and messages of fictional clouds, in both roles,
 * show that the language carries what later ones need: several steps with captured values, errors
 * inside a 200, joined, wrapped, constant and numbered members, parameters from the document.
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define DATA "tests/unit/mapping/data/"

static struct slu_arena arena;
static struct slu_mistakes mistakes;
static struct slu_losses losses;
static struct slu_table *nimbus, *cirrus;

static void fresh(bool lenient)
{
    slu_arena_reset(&arena);
    slu_mistakes_init(&mistakes, &arena);
    slu_losses_init(&losses, &arena, lenient);
}

static struct slu_table *load(const char *path)
{
    struct slu_table *table = slu_table_load(path, &mistakes);

    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        print_error("%.*s: %.*s\n", SLU_FMT(m->pointer), SLU_FMT(m->detail));
    assert_non_null(table);
    return table;
}

static int load_all(void **state)
{
    (void)state;
    slu_arena_init(&arena, 1 << 22);
    fresh(false);
    nimbus = load(SLU_SOURCE_DIR "/" DATA "nimbus.json");
    cirrus = load(SLU_SOURCE_DIR "/" DATA "cirrus.json");
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    slu_table_free(nimbus);
    slu_table_free(cirrus);
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

static void assert_json(const struct slu_value *value, const char *expected)
{
    assert_non_null(value);
    if (!slu_value_equal(value, json(expected)))
        assert_str(slu_json_text(&arena, value), expected);
}

/* ---- mistakes in tables ---- */

/* The file with one text exchanged, loaded; the mistakes as "pointer: words" lines. */
static void load_changed(const char *file, const char *from, const char *to, struct slu_buf *out)
{
    struct slu_str text = test_file(file);
    const char *at = strstr(text.p, from);
    struct slu_str name = slu_str_of(strrchr(file, '/') + 1);
    struct slu_buf changed;

    if (!at)
        fail_msg("%s has no %s", file, from);
    slu_buf_init(&changed, 0);
    slu_buf_add(&changed, (struct slu_str){text.p, (size_t)(at - text.p)});
    slu_buf_add(&changed, slu_str_of(to));
    slu_buf_add(&changed, slu_str_of(at + strlen(from)));
    name.n -= strlen(".json");
    fresh(false);
    assert_null(slu_table_load_text(name, slu_buf_str(&changed), &mistakes));
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        slu_buf_printf(out, "%.*s: %.*s\n", SLU_FMT(m->pointer), SLU_FMT(m->detail));
    slu_buf_byte(out, '\0');
    slu_buf_done(&changed);
    slu_mem_free((char *)text.p);
}

static const struct {
    const char *from, *to, *told;
} proofs[] = {
    {"\"dialect\": \"nimbus\"", "\"dialect\": \"x\"", "/dialect: must be the file's name"},
    {"\"title\"", "\"titel\"", "did you mean"},
    {"\"c\": \"/name\"", "\"c\": \"/nam\"",
     "/fields/1/c: /nam is no canonical member; did you mean '/name'?"},
    {"\"codec\": \"wrap\"", "\"codec\": \"wrapp\"", "/fields/4/codec: "},
    {"\"codec\": \"wrap\"", "\"codec\": \"scale\"",
     "/fields/4: the codec scale needs the member \"factor\""},
    {"\"codec\": \"wrap\"", "\"codec\": \"kv_list\", \"key\": \"a\", \"value\": \"b\"",
     "/fields/4/c: the codec kv_list cannot carry"},
    {"\"codec\": \"wrap\"", "\"factor\": 3", "/fields/4/factor: has no meaning for the codec copy"},
    {"\"enum\": \"filter\"", "\"enum\": \"filtre\"", "did you mean 'filter'"},
    {"[\"accept\", \"PASSED\"], ", "", "/fields/6/enum: the canonical word accept has no pair"},
    {"[\"accept\", \"PASSED\"]", "[\"accept\", \"ALL\"]",
     "/enums/filter/pairs/1: is never read: pair 0"},
    {"[\"accept\", \"PASSED\"]", "[\"all\", \"PASSED\"]",
     "/enums/filter/pairs/1: is never written: pair 0"},
    {"[\"accept\", \"PASSED\"]", "[\"accept\"]", "/enums/filter/pairs/1: "},
    {"{\"when\": {\"/enabled\": false}}", "{\"when\": {\"/enabled\": 3}}",
     "is no value that this member can have"},
    {"\"n\": \"/Note\"", "\"n\": \"/Name\"", "/fields/2/n: row 1 writes this place too"},
    {"\"n\": \"/Note\"", "\"n\": \"/Store\"", "/n: row 2 writes this place too"},
    {"\"n\": \"/Note\"", "\"n\": \"Note\"", "/fields/2/n: is no JSON Pointer"},
    {"\"pattern\": \"nrn:log:{0}/{1}\"", "\"pattern\": \"nrn:{0}{1}\"",
     "/fields/8/pattern: has two names side by side"},
    {"\"pattern\": \"nrn:log:{0}/{1}\"", "\"pattern\": \"nrn:{0}\"",
     "/fields/8/pattern: must hold {1} exactly once"},
    {"YYYYMMDDThhmmss[.f]Z", "YYYY", "/fields/19/format: "},
    {"{\"c\": \"/destination/id\", \"reason\": \"stores have names\"},", "",
     "/destination/id has neither a row nor a \"cannot\" in the request of create"},
    {"\"x-lock\": \"{lock}\"", "\"x-lock\": \"{block}\"",
     "nothing gives the value of {block} here"},
    {"\"path\": \"/v1/logs/{id}/switch\"", "\"path\": \"/v1/logs/{id/switch\"", "is no template"},
    {"\"undo\": {\"operation\": \"delete\"}", "\"undo\": {}",
     "/operations/create: a write needs \"undo\""},
    {"\"find_by\": {\"operation\": \"list\", \"match\": [\"/name\"]}",
     "\"find_by\": {\"operation\": \"disable\", \"match\": [\"/name\"]}",
     "\"find_by\" names an operation that the table lacks"},
    {"\"envelope\": {\"/Code\": 0, \"/Trace\"", "\"envelope\": {\"/Data/Log/Name\": 0, \"/Trace\"",
     "row 1 writes this place too"},
    {"\"is\": \"quota_exceeded\"", "\"is\": \"quota_exceded\"",
     "/errors/0/is: is no canonical code; did you mean 'quota_exceeded'?"},
    {"\"Bad*\"", "\"B*d*\"", "/errors/3/code: a \"*\" may stand"},
    {"\"door\": \"route\"", "\"door\": \"rout\"", "/errors/6/door: must be one of"},
    {"\"status\": 418", "\"status\": \"41x\"", "/errors/7/status: must be an HTTP status"},
    {"\"done\": [\"active\", \"disabled\"]", "\"done\": [\"ready\"]",
     "/operations/create/poll: ready is no status"},
    {"\"Minutes\": 10", "\"Minutes\": 11",
     "/cases/0: reading \"a create\": /aggregation_interval is 660, but should be 600"},
    {"{\"when\": {\"/enabled\": false}}", "{\"when\": {\"/enabled\": [false, \"x\"]}}",
     "is no value that this member can have"},
    {"\"codec\": \"wrap\"", "\"codec\": \"prefix\", \"enum\": \"kind\"",
     "/fields/4/c: the codec prefix cannot carry"},
    {"\"codec\": \"enum\", \"enum\": \"filter\"", "\"codec\": \"prefix\", \"enum\": \"filter\"",
     "/fields/6: the codec prefix never writes: it must be \"derived\""},
    {"\"key\": \"K\"", "\"one\": \"x\", \"key\": \"K\"",
     "/fields/15/c: the codec kv_list cannot carry"},
    {"\"codec\": \"wrap\"", "\"one\": \"x\"", "/fields/4/one: has no meaning for the codec copy"},
    {"\"native\": 2", "\"native\": 2, \"with\": \"Store\"", "/fields/11/with: is no JSON Pointer"},
    {"\"codec\": \"const\"", "\"default_if\": {\"/name\": \"x\"}, \"codec\": \"const\"",
     "/fields/11/default_if: needs the member \"default\""},
    {"\"pattern\": \"nrn:log:{0}/{1}\"", "\"absent\": \"x\", \"pattern\": \"nrn:log:{0}/{1}\"",
     "/fields/8/absent: needs one canonical member"},
    {"\"default\": \"all\"", "\"absent\": \"some\"",
     "/fields/6/absent: is no value that this member can have"},
    {"{\"c\": \"/resource_type\", \"words\"",
     "{\"c\": \"/destination/group\", \"when\": {\"/name\": \"*\"}, \"reason\": \"r\"}, "
     "{\"c\": \"/resource_type\", \"words\"",
     "/cannot/0/when: cannot be heeded by the codec join of row 8"},
    {"\"headers\": {\"x-account\"",
     "\"refuse\": [{\"parameter\": \"Try\", \"reason\": \"r\"}], \"headers\": {\"x-account\"",
     "/transport/refuse: has a meaning for lists of parameters only"},
    {"\"parameter\": \"network\"", "\"parameter\": \"net\"",
     "/fields/5/parameter: is not among the transport's parameters"},
};

static void every_proof_can_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(proofs); i++) {
        struct slu_buf out;

        slu_buf_init(&out, 0);
        load_changed(DATA "nimbus.json", proofs[i].from, proofs[i].to, &out);
        if (!strstr(out.p, proofs[i].told))
            fail_msg("%s -> %s:\n%sexpected %s", proofs[i].from, proofs[i].to, out.p,
                     proofs[i].told);
        slu_buf_done(&out);
    }
}

static const struct {
    const char *from, *to, *told;
} page_rules[] = {
    {"\"style\": \"token\"", "\"style\": \"book\"",
     "/operations/list/paging/style: \"book\" is not known here"},
    {"\"style\": \"token\"", "\"style\": \"page\"",
     "/operations/list/paging/request/token: has no meaning for the style page"},
    {", \"token\": \"after\"", "",
     "/operations/list/paging/request: the style token needs the member \"token\""},
    {"\"token\": \"after\"", "\"token\": \"n\"",
     "/operations/list/paging/request/token: is the parameter of the page size already"},
    {"\"token\": \"after\"", "\"token\": \"v\"",
     "/operations/list/paging/request/token: a template of the call fills this parameter too"},
    {"\"size\": \"n\"", "\"size\": \"v\"",
     "/operations/list/paging/request/size: a template of the call fills this parameter too"},
    {"\"next\": \"/Data/Next\", ", "",
     "/operations/list/paging: the style token needs \"next\" in the reply"},
    {"\"next\": \"/Data/Next\"", "\"next\": \"/Data/Logs/0/LogId\"",
     "/operations/list/paging/reply/next: stands where the flow logs are"},
    {"\"total\": \"/Data/Total\"", "\"total\": \"/Data\"",
     "/operations/list/paging/reply/total: stands where the flow logs are"},
    {"\"total\": \"/Data/Total\"", "\"page\": \"/Data/Total\"",
     "/operations/list/paging/reply/page: has no meaning for the style token"},
    {"\"next\": \"/Data/Next\"", "\"next\": \"Next\"",
     "/operations/list/paging/reply/next: is no JSON Pointer"},
    {"\"max\": 9", "\"max\": 9, \"default\": 10", "/operations/list/paging/default: is above max"},
    {"\"style\": \"token\", \"request\": {\"size\": \"n\", \"token\": \"after\"}",
     "\"style\": \"marker\", \"request\": {\"marker\": \"after\"}",
     "/operations/list/paging/request: the style marker needs the member \"size\""},
    {"\"reply\": {\"status\": [204]}}],",
     "\"reply\": {\"status\": [204]}}], \"paging\": {\"style\": "
     "\"token\", \"request\": {}},",
     "/operations/delete/paging: only a list has pages"},
    {"\"each\": \"/Data/Logs\", ", "",
     "/operations/list/paging: no step of this operation answers with a list"},
    {"\"/Data/Next\": \"{next}\", ", "",
     "/operations/list/paging/reply/next: no member of the reply's \"envelope\" writes this place"},
    {"\"max\": 9", "\"max\": 9, \"min\": 10", "/operations/list/paging/min: is above max"},
    {"\"max\": 9", "\"beyond\": \"cut\"", "/operations/list/paging/beyond: has no meaning"},
    {"\"max\": 9", "\"sized\": true", "/operations/list/paging/sized: needs \"max\""},
    {"\"max\": 9", "\"max\": 9, \"beyond\": \"clip\"",
     "/operations/list/paging/beyond: \"clip\" is not known here"},
};

static void pages_have_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(page_rules); i++) {
        struct slu_buf told;

        slu_buf_init(&told, 0);
        load_changed(DATA "nimbus.json", page_rules[i].from, page_rules[i].to, &told);
        if (!strstr(told.p, page_rules[i].told))
            fail_msg("%s\n  expected %s\n  told %s", page_rules[i].to, page_rules[i].told, told.p);
        slu_buf_done(&told);
    }
}

static void lists_of_parameters_have_rules(void **state)
{
    static const struct {
        const char *from, *to, *told;
    } rows[] = {
        {"\"n\": \"/Title\"", "\"n\": \"/A/B\"", "a list of parameters has no members inside"},
        {"\"n\": \"/Title\"", "\"n\": \"/Zone\"",
         "a template of the call fills this parameter too"},
        {"\"n\": \"/Title\"", "\"n\": \"/Nonce\"",
         "a template of the call fills this parameter too"},
        {"\"n\": \"/Title\"", "\"n\": \"/Tag.1.Key\"", "writes this place too"},
        {"\"request\": {\"at\": \"\"}", "\"request\": {\"at\": \"/x\"}", "\"at\" must be \"\""},
        {"\"derived\": true", "\"derived\": false", "writes this place too"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_buf out;

        slu_buf_init(&out, 0);
        load_changed(DATA "cirrus.json", rows[i].from, rows[i].to, &out);
        if (!strstr(out.p, rows[i].told))
            fail_msg("%s -> %s:\n%sexpected %s", rows[i].from, rows[i].to, out.p, rows[i].told);
        slu_buf_done(&out);
    }
}

/* ---- the client role ---- */

#define CREATE                                                                                     \
    "{\"name\":\"edge\",\"resource_type\":\"vpc\",\"resource_id\":\"n-1\",\"parent_id\":\"net "    \
    "1\","                                                                                         \
    "\"destination\":{\"type\":\"cloudwatch\",\"group\":\"g\",\"stream\":\"s\"}}"

static struct slu_vars vars_of(const char *name, const char *value)
{
    struct slu_vars vars = {.count = 0};

    assert_true(slu_vars_set(&vars, slu_str_of(name), slu_str_of(value)));
    return vars;
}

static void steps_hand_on_what_they_captured(void **state)
{
    struct slu_vars vars = vars_of("account", "a1");
    struct slu_request request;
    struct slu_response reply = {.status = 200, .body = SLU_STR("{\"Network\":{\"Revision\":17}}")};
    struct slu_outcome outcome;
    struct slu_value *canonical;

    (void)state;
    fresh(false);
    canonical = json(CREATE);
    assert_int_equal(slu_table_steps(nimbus, SLU_OP_CREATE), 2);
    assert_true(slu_table_write_request(nimbus, SLU_OP_CREATE, 0, 0, canonical, &vars, &arena,
                                        &losses, &mistakes, &request));
    assert_str(request.method, "GET");
    assert_str(request.path, "/v1/networks/net%201");
    assert_str(slu_headers_value(&request.headers, SLU_STR("x-version")), "2026-01");
    assert_str(request.body, "");
    assert_true(slu_headers_add(&arena, &reply.headers, SLU_STR("X-Lock"), SLU_STR("l9")));
    assert_true(slu_table_read_reply(nimbus, SLU_OP_CREATE, 0, &reply, canonical, &vars, &arena,
                                     &losses, &outcome, NULL));
    assert_int_equal(outcome.kind, SLU_FAULT_NONE);
    assert_true(slu_table_write_request(nimbus, SLU_OP_CREATE, 1, 1, canonical, &vars, &arena,
                                        &losses, &mistakes, &request));
    assert_str(request.path, "/v1/networks/net%201/logs");
    assert_str(request.query, "v=2026-01");
    assert_str(slu_headers_value(&request.headers, SLU_STR("x-revision")), "17");
    assert_str(slu_headers_value(&request.headers, SLU_STR("x-lock")), "l9");
    assert_str(slu_headers_value(&request.headers, SLU_STR("content-type")), "application/json");
    assert_json(json(slu_arena_printf(&arena, "%.*s", SLU_FMT(request.body)).p),
                "{\"Log\":{\"Name\":\"edge\",\"Watch\":{\"Kind\":\"NET\",\"Ids\":[\"n-1\"]},"
                "\"Filter\":\"ALL\",\"Store\":{\"Type\":\"WATCH\",\"Name\":\"nrn:log:g/s\","
                "\"Version\":2}}}");
}

static void a_captured_value_that_is_missing_is_unreadable(void **state)
{
    struct slu_vars vars = vars_of("account", "a1");
    struct slu_response reply = {.status = 200, .body = SLU_STR("{}")};
    struct slu_outcome outcome;

    (void)state;
    fresh(false);
    assert_true(slu_table_read_reply(nimbus, SLU_OP_CREATE, 0, &reply, NULL, &vars, &arena, &losses,
                                     &outcome, NULL));
    assert_int_equal(outcome.kind, SLU_FAULT_UPSTREAM_UNREADABLE);
}

/* Mistakes as "pointer kind; ". */
static struct slu_str told(void)
{
    struct slu_str text = SLU_STR("");

    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        text = slu_arena_printf(&arena, "%.*s%.*s %s; ", SLU_FMT(text), SLU_FMT(m->pointer),
                                slu_fault_info(m->kind)->code);
    return text;
}

static void all_mistakes_are_told_at_once(void **state)
{
    struct slu_vars vars = vars_of("account", "a1");
    struct slu_request request;

    (void)state;
    fresh(false);
    assert_false(slu_table_write_request(
        nimbus, SLU_OP_CREATE, 1, 0,
        json("{\"resource_type\":\"subnet\",\"resource_id\":\"x\",\"destination\":{\"type\":\"s3\","
             "\"group\":\"g\",\"id\":\"i\"},\"aggregation_interval\":61,\"native\":{\"Name\":1},"
             "\"bogus\":1}"),
        &vars, &arena, &losses, &mistakes, &request));
    assert_str(told(), "/bogus invalid_flow_log; /name invalid_flow_log; "
                       "/resource_type unsupported_by_target; "
                       "/resource_id unsupported_by_target; "
                       "/destination/group unsupported_by_target; "
                       "/destination/arn invalid_flow_log; "
                       "/aggregation_interval unsupported_by_target; "
                       "/destination/id unsupported_by_target; "
                       "/native/Name unsupported_by_target; "
                       "/parent_id invalid_flow_log; ");
}

static void lenient_requests_leave_out_and_tell(void **state)
{
    struct slu_value *list;

    (void)state;
    fresh(true);
    assert_json(slu_table_to_native(
                    cirrus, SLU_OP_CREATE, SLU_REQUEST,
                    json("{\"resource_type\":\"vpc\",\"resource_id\":\"x\",\"description\":\"d\","
                         "\"traffic_type\":\"all\",\"destination\":{\"type\":\"cls\",\"id\":"
                         "\"05c4052d-8d14-488f-aa00-19fea5a25fde\"},\"tags\":{}}"),
                    NULL, &arena, &losses, &mistakes),
                "{\"What\":\"3\",\"Which\":\"x\",\"Topic\":\"05c4052d-8d14-488f-aa00-"
                "19fea5a25fde\",\"Period\":\"10\",\"Format\":\"true\"}");
    list = slu_losses_value(&arena, &losses);
    assert_json(list,
                "[{\"pointer\":\"/description\",\"value\":\"d\",\"reason\":\"there is no such "
                "field\",\"direction\":\"request\"}]");
}

static struct slu_outcome read_get(int status, const char *body)
{
    struct slu_vars vars = vars_of("id", "nl-1");
    struct slu_response reply = {.status = status, .body = slu_str_of(body)};
    struct slu_outcome outcome;

    assert_true(slu_headers_add(&arena, &reply.headers, SLU_STR("x-wait"), SLU_STR("3")));
    assert_true(slu_table_read_reply(nimbus, SLU_OP_GET, 0, &reply, NULL, &vars, &arena, &losses,
                                     &outcome, NULL));
    return outcome;
}

static void hints_when_to_try_again(void **state)
{
    enum { NOW = 784111777 };
    static const struct {
        const char *retry_after, *date;
        int64_t received_s;
        uint32_t ms;
    } rows[] = {
        {"7", NULL, 0, 7000},
        {"0", NULL, NOW, 0},
        {"-7", NULL, NOW, 0},
        {"7.5", NULL, NOW, 0},
        {"99999999999999999999", NULL, NOW, 0},
        {"9999999999", NULL, NOW, UINT32_MAX},
        {"Sun, 06 Nov 1994 08:49:44 GMT", NULL, NOW, 7000},
        {"Sunday, 06-Nov-94 08:49:44 GMT", NULL, NOW, 7000},
        {"Sun Nov  6 08:49:44 1994", NULL, NOW, 7000},
        {"Sun, 06 Nov 1994 08:49:44 GMT", NULL, 0, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", NULL, NOW, 0},
        {"Sun, 06 Nov 1994 08:49:36 GMT", NULL, NOW, 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", NULL, NOW, 0},
        {"Fri, 31 Dec 9999 23:59:59 GMT", NULL, NOW, UINT32_MAX},
        {"Mon, 06 Nov 1994 08:49:44 GMT", NULL, NOW, 0}, /* a Sunday */
        {"in a while", NULL, NOW, 0},
        /* by the clock of the reply, if that says something */
        {"Sun, 06 Nov 1994 08:49:44 GMT", "Sun, 06 Nov 1994 08:49:42 GMT", NOW, 2000},
        {"Sun, 06 Nov 1994 08:59:44 GMT", "Sun, 06 Nov 1994 08:59:37 GMT", NOW, 7000},
        {"Sun, 06 Nov 1994 08:49:44 GMT", "Sun, 06 Nov 1994 08:59:37 GMT", NOW, 0},
        {"Sun, 06 Nov 1994 08:49:44 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", NOW, 7000},
        {"Sun, 06 Nov 1994 08:49:44 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", NOW, 7000},
        {"Sun, 06 Nov 1994 08:49:44 GMT", "now", NOW, 7000},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_vars vars = vars_of("id", "nl-1");
        struct slu_response reply = {.status = 503, .received_s = rows[i].received_s};
        struct slu_outcome outcome;

        assert_true(slu_headers_add(&arena, &reply.headers, SLU_STR("Retry-After"),
                                    slu_str_of(rows[i].retry_after)));
        if (rows[i].date)
            assert_true(
                slu_headers_add(&arena, &reply.headers, SLU_STR("Date"), slu_str_of(rows[i].date)));
        assert_true(slu_table_read_reply(nimbus, SLU_OP_GET, 0, &reply, NULL, &vars, &arena,
                                         &losses, &outcome, NULL));
        if (outcome.retry_after_ms != rows[i].ms)
            fail_msg("%s: %u", rows[i].retry_after, outcome.retry_after_ms);
    }
}

static void replies_mean_what_the_table_says(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum slu_fault_kind kind;
        const char *code, *message;
    } rows[] = {
        {200, "{\"Code\":0,\"Data\":{\"Log\":{\"LogId\":\"nl-1\"}}}", SLU_FAULT_NONE, "", ""},
        {200, "{\"Code\":7,\"Text\":\"full\\u0007!\"}", SLU_FAULT_QUOTA, "7", "full !"},
        {200, "{\"Code\":8,\"Text\":\"secret\"}", SLU_FAULT_THROTTLED, "8", ""},
        {200, "{\"Data\":{\"Log\":{\"LogId\":\"nl-2\"}}}", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {200, "{\"Data\":{\"Log\":[]}}", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {200, "{\"Data\":{}}", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {200, "{\"Data\":{\"Log\":{\"LogI", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {200, "<html>", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {200, "", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {200, "[]", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {404, "{\"fault\":{\"name\":\"NotFound\",\"why\":\"x\"}}", SLU_FAULT_NOT_FOUND, "NotFound",
         ""},
        {400, "{\"Code\":\"BadThing\"}", SLU_FAULT_INVALID, "BadThing", ""},
        {403, "{\"Code\":\"AccessDenied\"}", SLU_FAULT_UPSTREAM_DENIED, "AccessDenied", ""},
        {418, "tea", SLU_FAULT_BUSY, "", ""},
        {301, "", SLU_FAULT_UPSTREAM_UNREADABLE, "", ""},
        {401, "<html>", SLU_FAULT_CREDENTIALS, "", ""},
        {429, "", SLU_FAULT_THROTTLED, "", ""},
        {500, "{}", SLU_FAULT_UPSTREAM_ERROR, "", ""},
        {503, "{", SLU_FAULT_UPSTREAM_UNAVAILABLE, "", ""},
        {422, "", SLU_FAULT_UPSTREAM_REFUSED, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_outcome outcome;

        fresh(false);
        outcome = read_get(rows[i].status, rows[i].body);
        if (outcome.kind != rows[i].kind)
            fail_msg("%d %s is %s", rows[i].status, rows[i].body,
                     slu_fault_info(outcome.kind)->code);
        assert_str(outcome.vendor_code, rows[i].code);
        assert_str(outcome.vendor_message, rows[i].message);
        assert_int_equal(outcome.retry_after_ms, 3000);
        assert_int_equal(outcome.words.n > 0, outcome.kind != SLU_FAULT_NONE);
        assert_int_equal(outcome.flow_log != NULL, outcome.kind == SLU_FAULT_NONE);
    }
}

static void conditions_look_at_other_members(void **state)
{
    struct slu_outcome outcome;

    (void)state;
    fresh(false);
    outcome = read_get(200, "{\"Data\":{\"Log\":{\"LogId\":\"nl-1\",\"State\":\"READY\","
                            "\"Enabled\":false,\"Odd\":0.10}}}");
    assert_json(
        outcome.flow_log,
        "{\"id\":\"nl-1\",\"enabled\":false,\"status\":\"disabled\",\"native\":{\"Odd\":0.10}}");
    outcome = read_get(200, "{\"Data\":{\"Log\":{\"LogId\":\"nl-1\",\"State\":\"READY\","
                            "\"Enabled\":true}}}");
    assert_json(outcome.flow_log, "{\"id\":\"nl-1\",\"enabled\":true,\"status\":\"active\"}");
    outcome = read_get(200, "{\"Data\":{\"Log\":{\"State\":\"ODD\"}}}");
    assert_json(outcome.flow_log,
                "{\"id\":\"nl-1\",\"status\":\"unknown\",\"native\":{\"State\":\"ODD\"}}");
    assert_int_equal(losses.count, 0);
}

static void confirmations_are_completed(void **state)
{
    struct slu_vars vars = vars_of("zone", "z1");
    struct slu_response reply = {.status = 200,
                                 .body = SLU_STR("{\"Id\":\"7\",\"Request\":\"r\"}")};
    struct slu_outcome outcome;

    (void)state;
    fresh(false);
    assert_true(slu_table_read_reply(
        cirrus, SLU_OP_CREATE, 0, &reply,
        json("{\"resource_type\":\"vpc\",\"resource_id\":\"x\",\"description\":null,"
             "\"destination\":{\"type\":\"cls\",\"id\":\"t\"}}"),
        &vars, &arena, &losses, &outcome, NULL));
    assert_json(
        outcome.flow_log,
        "{\"id\":\"7\",\"description\":null,\"resource_type\":\"vpc\",\"resource_id\":\"x\","
        "\"parent_id\":null,\"traffic_type\":null,\"destination\":{\"type\":\"cls\",\"id\":"
        "\"t\"},\"aggregation_interval\":600,\"status\":\"creating\",\"delivery\":null,"
        "\"updated_at\":null}");
    reply.body = SLU_STR("{\"Request\":\"r\"}");
    assert_true(slu_table_read_reply(cirrus, SLU_OP_CREATE, 0, &reply, NULL, &vars, &arena, &losses,
                                     &outcome, NULL));
    assert_int_equal(outcome.kind, SLU_FAULT_UPSTREAM_UNREADABLE);
    reply.body = SLU_STR("{\"Logs\":[],\"Count\":0}");
    assert_true(slu_table_read_reply(cirrus, SLU_OP_GET, 0, &reply, NULL, &vars, &arena, &losses,
                                     &outcome, NULL));
    assert_int_equal(outcome.kind, SLU_FAULT_NOT_FOUND);
}

/* ---- the server role ---- */

static bool match(const struct slu_table *table, const char *method, const char *path,
                  const char *query, const char *body, struct slu_match *ret_match,
                  struct slu_fault *fault)
{
    struct slu_request request = {.method = slu_str_of(method),
                                  .path = slu_str_of(path),
                                  .query = slu_str_of(query),
                                  .body = slu_str_of(body)};

    *fault = (struct slu_fault){.kind = SLU_FAULT_NONE};
    if (body[0] && body[0] != '{')
        assert_true(slu_headers_add(&arena, &request.headers, SLU_STR("Content-Type"),
                                    SLU_STR("application/x-www-form-urlencoded; charset=utf-8")));
    return slu_table_match(table, &request, -1, &arena, ret_match, fault);
}

static void requests_find_their_call(void **state)
{
    static const struct {
        struct slu_table **table;
        const char *method, *path, *query, *body, *expected; /* operation, or the door word */
    } rows[] = {
        {&nimbus, "GET", "/v1/logs", "", "", "list"},
        {&nimbus, "GET", "/v1/logs/nl-1", "", "", "get"},
        {&nimbus, "PUT", "/v1/logs/nl-1", "", "{\"Log\":{}}", "update"},
        {&nimbus, "PATCH", "/v1/logs/nl-1", "", "{\"Log\":", "body"},
        {&nimbus, "PATCH", "/v1/logs/nl-1", "", "", "body"},
        {&nimbus, "PUT", "/v1/logs/a%2Fb", "", "{}", "update"},
        {&nimbus, "PUT", "/v1/logs/a/b", "", "{}", "route"},
        {&nimbus, "PUT", "/v1/logs", "", "", "method"},
        {&nimbus, "GET", "/v1/logs/", "", "", "route"},
        {&nimbus, "GET", "/v1/logs", "v=old", "", "parameter"},
        {&nimbus, "GET", "/v1/logs", "v=2026-01", "", "list"},
        {&cirrus, "POST", "/", "Call=ShowLogs&Zone=z", "", "list"},
        {&cirrus, "GET", "/", "Call=ShowLogs&Zone=z&Id=5", "", "get"},
        {&cirrus, "POST", "/", "Call=ShowLogs", "Zone=z&Id=5", "get"},
        {&cirrus, "POST", "/", "Call=ShowLogs&Id=5", "Id=5", "parameter"},
        {&cirrus, "POST", "/", "Call=DropLog&Zone=z", "", "parameter"},
        {&cirrus, "POST", "/", "Call=ShowLogs&Version=v8", "", "parameter"},
        {&cirrus, "POST", "/", "Call=Nothing", "", "route"},
        {&cirrus, "POST", "/", "", "", "route"},
        {&cirrus, "DELETE", "/", "Call=DropLog&Id=5", "", "method"},
        {&cirrus, "POST", "/", "Call=ShowLogs&x=%zz", "", "parameter"},
        {&nimbus, "GET", "/v1/logs/nl-1", "colour=red", "", "parameter"},
        {&nimbus, "DELETE", "/v1/logs/nl-1", "=", "", "parameter"},
        {&nimbus, "DELETE", "/v1/logs/nl-1", "v=2026-01", "", "delete"},
        {&cirrus, "POST", "/", "Call=DropLog&Id=5&Page=1", "", "parameter"},
        {&cirrus, "POST", "/", "Call=ShowLogs&Signature=x&Nonce=5", "", "list"},
        {&cirrus, "POST", "/", "Call=ShowLogs", "What=3", "parameter"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_match found;
        struct slu_fault fault;
        bool good;

        fresh(false);
        good = match(*rows[i].table, rows[i].method, rows[i].path, rows[i].query, rows[i].body,
                     &found, &fault);
        if (strcmp(good ? slu_operation_name(found.operation) : fault.place, rows[i].expected) != 0)
            fail_msg("row %zu: %s", i, good ? slu_operation_name(found.operation) : fault.place);
    }
}

static void requests_are_read(void **state)
{
    struct slu_match found;
    struct slu_fault fault;
    struct slu_value *canonical;

    (void)state;
    fresh(false);
    assert_true(match(cirrus, "POST", "/",
                      "Call=MakeLog&Version=v9&Zone=z1&Nonce=5&Signature=x&What=3&Index=true",
                      "Which=a+b&Tag.2.Key=k2&Tag.2.Value=&Tag.1.Key=k1&Tag.1.Value=v1&Odd=%2B",
                      &found, &fault));
    assert_str(slu_vars_get(&found.vars, SLU_STR("zone")), "z1");
    assert_true(slu_table_read_request(cirrus, &found, &arena, &mistakes, &canonical));
    assert_json(canonical, "{\"resource_type\":\"vpc\",\"resource_id\":\"a b\",\"destination\":{"
                           "\"type\":\"cls\"},\"index\":true,\"tags\":{\"k1\":\"v1\",\"k2\":\"\"},"
                           "\"native\":{\"Odd\":\"+\"}}");
    fresh(false);
    assert_true(match(cirrus, "POST", "/", "Call=MakeLog&What=9&Period=x&Index=maybe&Tag.2.Key=a",
                      "", &found, &fault));
    assert_false(slu_table_read_request(cirrus, &found, &arena, &mistakes, &canonical));
    assert_str(told(), "/What invalid_flow_log; /Period invalid_flow_log; /Index invalid_flow_log; "
                       "/Tag invalid_flow_log; ");
    fresh(false);
    assert_true(match(nimbus, "PATCH", "/v1/logs/nl-1", "",
                      "{\"Log\":{\"Name\":7,\"Labels\":[{\"K\":\"a\"}]},\"More\":1}", &found,
                      &fault));
    assert_false(slu_table_read_request(nimbus, &found, &arena, &mistakes, &canonical));
    assert_str(told(), "/More invalid_flow_log; /Log/Name invalid_flow_log; "
                       "/Log/Labels invalid_flow_log; ");
}

static void answers_are_in_the_dialect(void **state)
{
    struct slu_vars vars = vars_of("request_id", "r-7");
    struct slu_response response;

    (void)state;
    fresh(false);
    assert_true(slu_vars_set(&vars, SLU_STR("host"), SLU_STR("h")));
    assert_true(slu_table_write_reply(nimbus, SLU_OP_LIST, 0,
                                      json("[{\"id\":\"nl-1\",\"tags\":{\"a\":\"b\"}},{}]"), &vars,
                                      &arena, &losses, &response, NULL));
    assert_str(response.body,
               "{\"Data\":{\"Logs\":[{\"LogId\":\"nl-1\",\"Store\":{\"Version\":2},"
               "\"Labels\":[{\"K\":\"a\",\"V\":\"b\"}]},{\"Store\":{\"Version\":2}}],"
               "\"Total\":2},\"Code\":0}");
    assert_str(slu_headers_value(&response.headers, SLU_STR("x-trace")), "r-7");
    assert_true(slu_table_write_reply(nimbus, SLU_OP_DELETE, 0, NULL, &vars, &arena, &losses,
                                      &response, NULL));
    assert_int_equal(response.status, 204);
    assert_int_equal(response.body.n, 0);
    assert_true(slu_table_write_error(nimbus, SLU_OP_COUNT, SLU_FAULT_NOT_FOUND, "route",
                                      SLU_STR("no \"such\" call"), &vars, &arena, &response, NULL));
    assert_int_equal(response.status, 404);
    assert_str(response.body, "{\"Trace\":\"r-7\",\"Code\":\"NoCall\",\"Text\":\"no \\\"such\\\" "
                              "call\",\"Host\":\"h\",\"Fatal\":true}");
    assert_true(slu_table_write_error(cirrus, SLU_OP_GET, SLU_FAULT_NOT_FOUND, NULL,
                                      SLU_STR("gone"), &vars, &arena, &response, NULL));
    assert_int_equal(response.status, 200);
    assert_str(response.body, "{\"Logs\":[],\"Count\":0}");
    assert_true(slu_table_write_error(cirrus, SLU_OP_GET, SLU_FAULT_INTERNAL, NULL, SLU_STR("x"),
                                      &vars, &arena, &response, NULL));
    assert_int_equal(response.status, 500);
    assert_str(response.body, "{\"Error\":{\"Code\":\"internal\",\"Message\":\"x\"},\"Request\":"
                              "\"r-7\"}");
}

/* What a list's request says of pages: "SIZE@POSITION", nothing, or the words of the refusal. */
static void doors_read_pages(void **state)
{
    static const struct {
        struct slu_table **table;
        const char *query, *expected;
    } rows[] = {
        {&nimbus, "", ""},
        {&nimbus, "n=9", "9@"},
        {&nimbus, "n=007", "7@"},
        {&nimbus, "n=0", "n must be a number of flow logs, from 1"},
        {&nimbus, "n=10", "n is at most 9"},
        {&nimbus, "n=", "n must be a number of flow logs"},
        {&nimbus, "n", "n must be a number of flow logs"},
        {&nimbus, "n=-1", "n must be a number of flow logs"},
        {&nimbus, "n=1e1", "n must be a number of flow logs"},
        {&nimbus, "n=99999999999999999999", "n must be a number of flow logs"},
        {&nimbus, "n=4&n=5", "n is given twice"},
        {&nimbus, "after=", "0@"},
        {&nimbus, "after=&n=3", "3@"},
        {&nimbus, "after=x%20y&n=3", "3@x y"},
        {&nimbus, "after=x", "0@x"},
        {&nimbus, "N=3", "N is not known to this call here"},
        {&nimbus, "What=3", "What is not known to this call here"},
        {&cirrus, "Call=ShowLogs", ""},
        {&cirrus, "Call=ShowLogs&Page=1", "3@"},
        {&cirrus, "Call=ShowLogs&Page=2", "3@2"},
        {&cirrus, "Call=ShowLogs&Page=01&Size=50", "50@"},
        {&cirrus, "Call=ShowLogs&Page=02&Size=50", "50@2"},
        {&cirrus, "Call=ShowLogs&Page=0", "Page must be a page's number, from 1"},
        {&cirrus, "Call=ShowLogs&Page=", "Page must be a page's number, from 1"},
        {&cirrus, "Call=ShowLogs&Page=one", "Page must be a page's number, from 1"},
        {&cirrus, "Call=ShowLogs&Page=4294967296", "Page must be a page's number, from 1"},
        {&cirrus, "Call=ShowLogs&Size=51", "Size is at most 50"},
        {&cirrus, "Call=ShowLogs&Id=5&Page=1&Size=1", "1@"},
        {&cirrus, "Call=ShowLogs&Id=5&Page=2", "3@2"},
        {&cirrus, "Call=ShowLogs&Which=vpc-1", "Which is not known to this call here"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        bool flat = *rows[i].table == cirrus;
        struct slu_match found;
        struct slu_fault fault;
        struct slu_str told = SLU_STR("");

        fresh(false);
        if (!match(*rows[i].table, flat ? "POST" : "GET", flat ? "/" : "/v1/logs", rows[i].query,
                   "", &found, &fault))
            told = slu_str_of(fault.words);
        else if (found.vars.page)
            told = slu_arena_printf(&arena, "%u@%.*s", found.vars.page->size,
                                    SLU_FMT(found.vars.page->position));
        if (!slu_str_starts(told, slu_str_of(rows[i].expected)) ||
            (told.n && rows[i].expected[0] == '\0'))
            fail_msg("%s: %.*s", rows[i].query, SLU_FMT(told));
    }
}

static void doors_tell_of_pages(void **state)
{
    static const char two[] = "[{\"id\":\"1\"},{\"id\":\"2\"}]";
    static const struct slu_page sized = {.size = 2}, second = {.size = 2, .position = {"2", 1}},
                                 knowing = {.size = 2,
                                            .position = {"2", 1},
                                            .has_total = true,
                                            .total = 7,
                                            .next = {"3", 1}},
                                 more = {.size = 2, .next = {"2", 1}};
    static const struct {
        const struct slu_page *page;
        enum slu_operation operation;
        const char *canonical, *expected; /* the end of the body */
    } rows[] = {
        {NULL, SLU_OP_LIST, two, "\"Count\":2,\"Size\":3,\"Page\":1}"},
        {NULL, SLU_OP_LIST, "[{},{},{},{}]", "\"Count\":4,\"Size\":4,\"Page\":1}"},
        {NULL, SLU_OP_LIST, "[]", "\"Count\":0,\"Size\":3,\"Page\":1}"},
        {&sized, SLU_OP_LIST, two, "\"Count\":2,\"Size\":2,\"Page\":1}"},
        {&second, SLU_OP_LIST, two, "}],\"Size\":2,\"Page\":2}"},
        {&more, SLU_OP_LIST, two, "}],\"Size\":2,\"Page\":1}"},
        {&knowing, SLU_OP_LIST, two, "\"Count\":7,\"Size\":2,\"Page\":2}"},
        {&sized, SLU_OP_GET, "{\"id\":\"1\"}", "\"Count\":1}"},
        {&second, SLU_OP_GET, "{\"id\":\"1\"}", "{\"Logs\":[],\"Count\":0}"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_vars vars = vars_of("request_id", "r");
        struct slu_response response;
        struct slu_fault fault = {.kind = SLU_FAULT_NONE};

        fresh(true);
        vars.page = rows[i].page;
        assert_true(slu_table_write_reply(cirrus, rows[i].operation, 0, json(rows[i].canonical),
                                          &vars, &arena, &losses, &response, &fault));
        if (!slu_str_ends(response.body, slu_str_of(rows[i].expected)))
            fail_msg("row %zu: %.*s", i, SLU_FMT(response.body));
    }
}

/* ---- accessors, explanations, memory ---- */

static void tables_answer(void **state)
{
    const struct slu_str *schemes;
    const unsigned char random[16] = {1, 2, 3, 255};
    struct slu_str never;
    struct slu_buf out;

    (void)state;
    fresh(false);
    assert_int_equal(slu_table_schemes(nimbus, &schemes), 2);
    assert_int_equal(slu_table_scheme_index(nimbus, SLU_STR("key-b")), 1);
    assert_int_equal(slu_table_scheme_index(nimbus, SLU_STR("key-c")), -1);
    assert_false(slu_table_serves(nimbus, SLU_OP_DISABLE));
    assert_int_equal(slu_table_poll(nimbus, SLU_OP_CREATE)->done_count, 2);
    assert_null(slu_table_poll(nimbus, SLU_OP_DELETE));
    assert_int_equal(slu_table_find_by(nimbus, SLU_OP_CREATE)->visible_after_ms, 2000);
    assert_int_equal(slu_table_undo(nimbus, SLU_OP_CREATE, &never), SLU_OP_DELETE);
    assert_int_equal(slu_table_undo(nimbus, SLU_OP_DELETE, &never), SLU_OP_COUNT);
    assert_str(never, "it is gone");
    assert_str(slu_table_token(nimbus, SLU_OP_CREATE)->name, "x-once");
    assert_false(slu_table_token(nimbus, SLU_OP_CREATE)->parameter);
    assert_null(slu_table_token(nimbus, SLU_OP_GET));
    assert_str(slu_table_serialize_by(nimbus, SLU_OP_CREATE), "/resource_id");
    assert_str(slu_table_make_id(nimbus, random, &arena), "nl-010203ff000000000");
    assert_str(slu_table_make_id(cirrus, random, &arena), "010203ff-0000-4000-8000-000000000000");
    assert_true(slu_table_check_parameter(cirrus, SLU_STR("zone"), SLU_STR("z-1"), SLU_STR("/p"),
                                          &mistakes));
    assert_false(
        slu_table_check_parameter(cirrus, SLU_STR("zone"), SLU_STR("Z"), SLU_STR("/p"), &mistakes));
    assert_int_equal(slu_table_paging(nimbus)->style, SLU_PAGING_TOKEN);
    assert_str(slu_table_paging(nimbus)->position, "after");
    assert_str(slu_table_paging(nimbus)->next.pointer, "/Data/Next");
    assert_int_equal(slu_table_paging(nimbus)->usual, 0);
    assert_int_equal(slu_table_paging(cirrus)->style, SLU_PAGING_PAGE);
    assert_int_equal(slu_table_paging(cirrus)->max, 50);
    slu_buf_init(&out, 0);
    slu_table_explain(nimbus, SLU_OP_LIST, &out);
    slu_table_explain(cirrus, SLU_OP_LIST, &out);
    slu_table_explain(nimbus, SLU_OP_CREATE, &out);
    slu_table_explain(nimbus, SLU_OP_DISABLE, &out);
    slu_buf_byte(&out, '\0');
    assert_non_null(
        strstr(out.p, "/destination/group + /destination/stream <-> /Store/Name  join"));
    assert_non_null(strstr(out.p, "capture {revision} from /Network/Revision"));
    assert_non_null(strstr(out.p, "is not served by this dialect"));
    assert_non_null(strstr(out.p,
                           "paged by token: after, size n, at most 9, next at \"/Data/Next\", "
                           "total at \"/Data/Total\"\n"));
    assert_non_null(strstr(out.p, "paged by page: Page, size Size, usually 3, at most 50, total at "
                                  "\"/Count\", page at \"/Page\"\n"));
    slu_buf_done(&out);
}

static bool load_once(void *context)
{
    struct slu_arena own;
    struct slu_mistakes found;
    struct slu_table *table;
    bool good;

    (void)context;
    slu_arena_init(&own, 1 << 20);
    slu_mistakes_init(&found, &own);
    table = slu_table_load(SLU_SOURCE_DIR "/" DATA "nimbus.json", &found);
    good = table != NULL;
    assert_true(good || found.count > 0 || found.failed);
    slu_table_free(table);
    slu_arena_done(&own);
    return good;
}

static void loading_may_run_out_of_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(load_once, NULL) > 3);
}

/* A budget that ends somewhere in the middle is the same as a heap that does. */
static void translating_may_run_out_of_memory(void **state)
{
    bool done = false;
    unsigned failures = 0;

    (void)state;
    fresh(false);
    for (size_t budget = 16; !done; budget += 16) {
        struct slu_arena own;
        struct slu_mistakes found;
        struct slu_losses lost;
        struct slu_vars vars = vars_of("account", "a1");
        struct slu_response reply = {
            .status = 200, .body = SLU_STR("{\"Code\":0,\"Data\":{\"Log\":{\"LogId\":\"nl-1\"}}}")};
        struct slu_outcome outcome;
        struct slu_request request;
        struct slu_fault fault = {.kind = SLU_FAULT_NONE};

        assert_true(slu_vars_set(&vars, SLU_STR("revision"), SLU_STR("1")));
        assert_true(slu_vars_set(&vars, SLU_STR("lock"), SLU_STR("1")));
        slu_arena_init(&own, budget);
        slu_mistakes_init(&found, &own);
        slu_losses_init(&lost, &own, true);
        done = slu_table_write_request(nimbus, SLU_OP_CREATE, 1, 0, json(CREATE), &vars, &own,
                                       &lost, &found, &request);
        assert_true(done || found.count > 0 || found.failed);
        if (done) {
            done = slu_table_read_reply(nimbus, SLU_OP_CREATE, 1, &reply, json(CREATE), &vars, &own,
                                        &lost, &outcome, &fault);
            assert_true(done || fault.kind == SLU_FAULT_MEMORY);
            assert_true(!done || outcome.kind == SLU_FAULT_NONE);
        }
        failures += !done;
        slu_arena_done(&own);
        slu_arena_reset(&arena);
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_proof_can_fail),
        cmocka_unit_test(pages_have_rules),
        cmocka_unit_test(lists_of_parameters_have_rules),
        cmocka_unit_test(steps_hand_on_what_they_captured),
        cmocka_unit_test(a_captured_value_that_is_missing_is_unreadable),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(lenient_requests_leave_out_and_tell),
        cmocka_unit_test(hints_when_to_try_again),
        cmocka_unit_test(replies_mean_what_the_table_says),
        cmocka_unit_test(conditions_look_at_other_members),
        cmocka_unit_test(confirmations_are_completed),
        cmocka_unit_test(requests_find_their_call),
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(answers_are_in_the_dialect),
        cmocka_unit_test(doors_read_pages),
        cmocka_unit_test(doors_tell_of_pages),
        cmocka_unit_test(tables_answer),
        cmocka_unit_test(loading_may_run_out_of_memory),
        cmocka_unit_test(translating_may_run_out_of_memory),
    };

    return cmocka_run_group_tests(tests, load_all, free_all);
}
