/*
 * Encodings: forms, replies in XML, which of them is spoken, tokens as parameters, scopes; with a
 * cloud that does not exist.
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#include <stdio.h>

#define STRATUS SLU_SOURCE_DIR "/tests/unit/mapping/data/stratus.json"
#define HEAD    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define SPACE   " xmlns=\"http://stratus.example/2020-02-02/\""

static struct slu_arena arena;
static struct slu_mistakes mistakes;
static struct slu_losses losses;
static struct slu_table *stratus;

static int load_table(void **state)
{
    (void)state;
    slu_arena_init(&arena, 4 << 20);
    slu_mistakes_init(&mistakes, &arena);
    stratus = slu_table_load(STRATUS, &mistakes);
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        print_error("%.*s: %.*s\n", SLU_FMT(m->pointer), SLU_FMT(m->detail));
    return stratus ? 0 : -1;
}

static int free_table(void **state)
{
    (void)state;
    slu_table_free(stratus);
    slu_arena_done(&arena);
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    slu_arena_reset(&arena);
    slu_mistakes_init(&mistakes, &arena);
    slu_losses_init(&losses, &arena, true);
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
    struct slu_str text = value ? slu_json_text(&arena, value) : SLU_STR("nothing");

    if (!slu_value_equal(value, json(expected)))
        fail_msg("is %.*s, not %s", SLU_FMT(text), expected);
}

static struct slu_vars vars_of(const char *names_and_values)
{
    struct slu_str rest = slu_str_of(names_and_values);
    struct slu_vars vars = {.count = 0};

    while (rest.n) {
        struct slu_str value = slu_str_cut(&rest, ' '), name = slu_str_cut(&value, '=');

        assert_true(slu_vars_set(&vars, name, value));
    }
    return vars;
}

/* ---- the client role ---- */

static struct slu_request written(const char *names_and_values, int scheme)
{
    struct slu_vars vars = vars_of(names_and_values);
    struct slu_request request;

    assert_true(slu_table_write_request(
        stratus, SLU_OP_CREATE, 0, scheme,
        json("{\"name\":\"a b\",\"resource_type\":\"vpc\",\"resource_id\":\"n-1\",\"destination\":{"
             "\"type\":\"s3\",\"arn\":\"b\"},\"tags\":{\"k\":\"v\"}}"),
        &vars, &arena, &losses, &mistakes, &request));
    return request;
}

#define FORM "Name=a%20b&Kind=Net&Resource.1=n-1&Tag.1.Key=k&Tag.1.Value=v&Bucket=b"

static void parameters_travel_as_a_form(void **state)
{
    struct slu_request request = written("region=r", 0);

    (void)state;
    assert_str(request.method, "POST");
    assert_int_equal(request.query.n, 0);
    assert_str(request.body, "Action=MakeLog&Version=2020-02-02&" FORM);
    assert_str(slu_headers_value(&request.headers, SLU_STR("content-type")),
               "application/x-www-form-urlencoded; charset=utf-8");
    assert_str(slu_headers_value(&request.headers, SLU_STR("accept")), "application/xml");
}

static void the_encoding_of_the_reply_is_asked_for(void **state)
{
    struct slu_request request = written("region=r reply=json", 1);
    const struct slu_str *names;

    (void)state;
    assert_str(request.body, "Action=MakeLog&Version=2020-02-02&Format=JSON&" FORM);
    assert_str(slu_headers_value(&request.headers, SLU_STR("accept")), "application/json");
    request = written("region=r reply=xml", 1);
    assert_str(request.body, "Action=MakeLog&Version=2020-02-02&Format=XML&" FORM);
    assert_int_equal(slu_table_replies(stratus, &names), 2);
    assert_str(names[0], "xml");
    assert_str(names[1], "json");
}

static void a_token_is_sent_where_it_is_set(void **state)
{
    const struct slu_idempotency *token = slu_table_token(stratus, SLU_OP_CREATE);

    (void)state;
    assert_str(token->name, "Once");
    assert_true(token->parameter);
    assert_int_equal(token->most, 8);
    assert_null(slu_table_token(stratus, SLU_OP_DELETE));
    assert_str(written("region=r token=abc", 0).body,
               "Action=MakeLog&Version=2020-02-02&Once=abc&" FORM);
}

static void scopes_are_filled_in(void **state)
{
    struct slu_vars none = {.count = 0}, vars = vars_of("region=r-1");
    struct slu_scope scope;

    (void)state;
    assert_true(slu_table_scope(stratus, 0, &vars, &arena, &scope));
    assert_str(scope.region, "r-1");
    assert_str(scope.service, "net");
    assert_false(slu_table_scope(stratus, 0, &none, &arena, &scope));
    assert_true(slu_table_scope(stratus, 1, &none, &arena, &scope));
    assert_int_equal(scope.region.n + scope.service.n, 0);
    assert_true(slu_table_scope(stratus, 2, &none, &arena, &scope));
    assert_str(scope.service, "net");
}

static struct slu_outcome read_reply(enum slu_operation operation, int status, const char *body)
{
    struct slu_response response = {.status = status, .body = slu_str_of(body)};
    struct slu_vars vars = vars_of("region=r id=sl-1 reply=json");
    struct slu_outcome outcome;

    if (operation == SLU_OP_CREATE)
        vars.count = 1;
    assert_true(slu_table_read_reply(stratus, operation, 0, &response, json("{\"name\":\"sent\"}"),
                                     &vars, &arena, &losses, &outcome, NULL));
    return outcome;
}

/* Replies, and what they mean: a kind, with the vendor's code or words. */
static const struct {
    enum slu_operation operation;
    int status;
    const char *body, *kind, *code, *words;
} replies[] = {
    {SLU_OP_DELETE, 200, "<DropLogsResponse/>", "none", "", ""},
    {SLU_OP_DELETE, 200, "\xef\xbb\xbf\n<DropLogsResponse><failed/></DropLogsResponse>", "none", "",
     ""},
    {SLU_OP_DELETE, 200, "<DropLogsResponse><failed>\n</failed></DropLogsResponse>", "none", "",
     ""},
    {SLU_OP_DELETE, 200,
     "<DropLogsResponse><failed><item><error><code>400</code><message>sl-1 is "
     "gone</message></error></item></failed></DropLogsResponse>",
     "not_found", "400", "400"},
    {SLU_OP_DELETE, 200,
     "<DropLogsResponse><failed><item><error><code>400</code><message>odd</message></error></item>"
     "<item><error><code>1</code></error></item></failed></DropLogsResponse>",
     "upstream_error", "400", "400"},
    {SLU_OP_CREATE, 200,
     "<MakeLogResponse><made/><failed><item><error><code>400</code><message>Access Denied for "
     "b</message></error></item></failed><requestId>q</requestId></MakeLogResponse>",
     "destination_not_found", "400", "400"},
    {SLU_OP_CREATE, 200,
     "{\"failed\": {\"item\": [{\"error\": {\"code\": 400, \"message\": \"Access Denied\"}}]}}",
     "destination_not_found", "400", "400"},
    {SLU_OP_CREATE, 200, "{\"failed\": {\"item\": [{\"error\": {}}]}, \"made\": {}}",
     "upstream_unreadable", "", "no id"},
    {SLU_OP_CREATE, 200, "<MakeLogResponse><done>false</done></MakeLogResponse>", "upstream_error",
     "", ""},
    {SLU_OP_CREATE, 200, "<MakeLogResponse><code>7</code></MakeLogResponse>", "upstream_error", "",
     ""},
    {SLU_OP_CREATE, 200, "<MakeLogResponse><code>07</code></MakeLogResponse>",
     "upstream_unreadable", "", "no flow log"},
    {SLU_OP_CREATE, 200, "<MakeLogResponse/>", "upstream_unreadable", "", "no flow log"},
    {SLU_OP_CREATE, 200, "<Other/>", "upstream_unreadable", "", "is a Other"},
    {SLU_OP_CREATE, 200, "<MakeLogResponse>text</MakeLogResponse>", "upstream_unreadable", "",
     "mere text"},
    {SLU_OP_CREATE, 200, "<MakeLogResponse>", "upstream_unreadable", "", "is not XML"},
    {SLU_OP_CREATE, 200, "made", "upstream_unreadable", "", "is not JSON"},
    {SLU_OP_GET, 200, "<ShowLogsResponse><logSet/></ShowLogsResponse>", "not_found", "", ""},
    {SLU_OP_GET, 200, "<ShowLogsResponse/>", "not_found", "", ""},
    {SLU_OP_LIST, 200, "<html><body>down</body></html>", "upstream_unreadable", "", "is a html"},
    {SLU_OP_LIST, 200, "{}", "upstream_unreadable", "", "no list"},
    {SLU_OP_GET, 400,
     "<Response><Errors><Error><Code>LogNotFound</Code><Message>no log</Message></Error></Errors>"
     "<RequestID>q</RequestID></Response>",
     "not_found", "LogNotFound", "no log"},
    {SLU_OP_GET, 400, "<Response><Errors/></Response>", "upstream_refused", "", ""},
    {SLU_OP_GET, 503, "<h1>no</h2>", "upstream_unavailable", "", ""},
};

static void replies_mean_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(replies); i++) {
        struct slu_outcome outcome =
            read_reply(replies[i].operation, replies[i].status, replies[i].body);
        const char *kind = slu_fault_info(outcome.kind)->code;

        if (strcmp(kind, replies[i].kind) != 0 ||
            !slu_str_is(outcome.vendor_code, replies[i].code) ||
            (replies[i].words[0] &&
             !memmem(outcome.words.p, outcome.words.n, replies[i].words, strlen(replies[i].words))))
            fail_msg("%s: %s, %.*s, %.*s", replies[i].body, kind, SLU_FMT(outcome.vendor_code),
                     SLU_FMT(outcome.words));
    }
}

#define GOT                                                                                        \
    "<ShowLogsResponse" SPACE "><logSet><item><logId>sl-1</logId><name>1</name><watch><kind>Nic"   \
    "</kind><idSet><item>n-1</item></idSet></watch><interval>10</interval><indexed>false"          \
    "</indexed><state>ODD</state><arrives>true</arrives><version>2</version><more><a>1</a><a>2"    \
    "</a></more><tagSet/></item></logSet></ShowLogsResponse>"

static void values_in_xml_are_text(void **state)
{
    (void)state;
    assert_json(read_reply(SLU_OP_GET, 200, GOT).flow_log,
                "{\"id\":\"sl-1\",\"name\":\"1\",\"description\":null,\"resource_type\":"
                "\"interface\",\"resource_id\":\"n-1\",\"parent_id\":null,\"traffic_type\":null,"
                "\"destination\":{\"type\":\"s3\"},\"aggregation_interval\":600,\"index\":false,"
                "\"enabled\":null,\"status\":\"unknown\",\"delivery\":{\"status\":\"ok\"},\"tags\":"
                "{},\"updated_at\":null,\"native\":{\"state\":\"ODD\",\"more\":{\"a\":[\"1\","
                "\"2\"]}}}");
    assert_int_equal(losses.count, 0);
}

static void one_and_many_are_lists(void **state)
{
    struct slu_outcome outcome =
        read_reply(SLU_OP_LIST, 200,
                   "<ShowLogsResponse><logSet><item><logId>1</logId><tagSet><item><key>k</key>"
                   "<value/></item></tagSet></item></logSet><next>n</next><total>5</total>"
                   "</ShowLogsResponse>");

    (void)state;
    assert_int_equal(outcome.flow_logs->count, 1);
    assert_json(slu_value_member(outcome.flow_logs->first, "tags"), "{\"k\":\"\"}");
    assert_str(outcome.next, "n");
    assert_true(outcome.has_total && outcome.total == 5);
    outcome = read_reply(SLU_OP_LIST, 200,
                         "<ShowLogsResponse><logSet><item><logId>1</logId></item><item><logId>2"
                         "</logId><tagSet><item><key>a</key><value>1</value></item><item><key>b"
                         "</key><value>2</value></item></tagSet></item></logSet>"
                         "</ShowLogsResponse>");
    assert_int_equal(outcome.flow_logs->count, 2);
    assert_json(slu_value_member(outcome.flow_logs->last, "tags"), "{\"a\":\"1\",\"b\":\"2\"}");
    assert_int_equal(read_reply(SLU_OP_LIST, 200, "<ShowLogsResponse/>").flow_logs->count, 0);
}

/* ---- the server role ---- */

static bool match(int scheme, const char *query, const char *form, const char *accept,
                  struct slu_match *ret_match, struct slu_fault *fault)
{
    struct slu_request request = {.method = SLU_STR("POST"),
                                  .path = SLU_STR("/"),
                                  .query = slu_str_of(query),
                                  .body = slu_str_of(form)};

    *fault = (struct slu_fault){.kind = SLU_FAULT_NONE};
    assert_true(slu_headers_add(&arena, &request.headers, SLU_STR("content-type"),
                                SLU_STR("application/x-www-form-urlencoded")));
    if (accept)
        assert_true(
            slu_headers_add(&arena, &request.headers, SLU_STR("accept"), slu_str_of(accept)));
    return slu_table_match(stratus, &request, scheme, &arena, ret_match, fault);
}

static void the_client_chooses_the_encoding(void **state)
{
    static const struct {
        int scheme;
        const char *query, *accept, *reply; /* NULL: refused */
    } rows[] = {
        {0, "", NULL, "xml"},
        {0, "", "*/*", "xml"},
        {0, "", "text/html, image/png", "xml"},
        {0, "", "application/json", "json"},
        {0, "", "text/html;q=0.9, application/JSON;q=0.8", "json"},
        {0, "", "application/xml", "xml"},
        {0, "", "application/yaml", "xml"},
        {1, "", NULL, "json"},
        {1, "", "application/xml", "json"}, /* the scheme has a place of its own */
        {1, "Format=XML", NULL, "xml"},
        {1, "Format=xml", "application/json", "xml"},
        {1, "Format=JSON", NULL, "json"},
        {1, "Format=YAML", NULL, NULL},
    };
    struct slu_match found;
    struct slu_fault fault;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        bool good = match(rows[i].scheme, rows[i].query, "Action=ShowLogs&Version=2020-02-02",
                          rows[i].accept, &found, &fault);

        if (good != (rows[i].reply != NULL) ||
            (good && !slu_str_is(slu_vars_get(&found.vars, SLU_STR("reply")), rows[i].reply)))
            fail_msg("row %zu: %s", i, fault.words);
        if (!good)
            assert_string_equal(fault.place, "parameter");
    }
}

static void tokens_are_no_part_of_the_flow_log(void **state)
{
    struct slu_value *canonical;
    struct slu_match found;
    struct slu_fault fault;

    (void)state;
    assert_true(match(0, "Action=MakeLog", "Once=12345678&Kind=Net&Resource.1=n-1&Bucket=b", NULL,
                      &found, &fault));
    assert_str(slu_vars_get(&found.vars, SLU_STR("token")), "12345678");
    assert_true(slu_table_read_request(stratus, &found, &arena, &mistakes, &canonical));
    assert_json(canonical, "{\"resource_type\":\"vpc\",\"resource_id\":\"n-1\",\"destination\":{"
                           "\"type\":\"s3\",\"arn\":\"b\"}}");
    assert_false(match(0, "Action=MakeLog", "Once=123456789", NULL, &found, &fault));
    assert_string_equal(fault.words, "Once is longer than it may be");
    assert_false(match(0, "Action=ShowLogs", "Once=1", NULL, &found, &fault));
}

static struct slu_response answer(enum slu_operation operation, const char *canonical,
                                  const char *reply)
{
    struct slu_vars vars = vars_of(reply);
    struct slu_response response;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    if (!slu_table_write_reply(stratus, operation, 0, canonical ? json(canonical) : NULL, &vars,
                               &arena, &losses, &response, &fault))
        fail_msg("%s", fault.words);
    return response;
}

static void answers_are_written_in_xml(void **state)
{
    struct slu_response response =
        answer(SLU_OP_LIST,
               "[{\"id\":\"sl-1\",\"name\":\"<&>\",\"resource_type\":\"vpc\",\"resource_id\":\"n\","
               "\"index\":true,\"aggregation_interval\":60,\"tags\":{},\"status\":null},{\"id\":"
               "\"sl-2\",\"tags\":{\"a\":\"b\"}}]",
               "request_id=q");

    (void)state;
    assert_str(slu_headers_value(&response.headers, SLU_STR("content-type")),
               "text/xml;charset=UTF-8");
    assert_str(response.body,
               HEAD "<ShowLogsResponse" SPACE "><logSet><item><logId>sl-1</logId><name>&lt;&amp;"
                    "&gt;</name><watch><kind>Net</kind><idSet><item>n</item></idSet></watch>"
                    "<interval>1</interval><indexed>true</indexed><tagSet/><version>2</version>"
                    "</item><item><logId>sl-2</logId><tagSet><item><key>a</key><value>b</value>"
                    "</item></tagSet><version>2</version></item></logSet><requestId>q</requestId>"
                    "<total>2</total></ShowLogsResponse>");
    assert_str(answer(SLU_OP_LIST, "[]", "request_id=q reply=xml").body,
               HEAD "<ShowLogsResponse" SPACE "><logSet/><requestId>q</requestId><total>0</total>"
                    "</ShowLogsResponse>");
    assert_str(answer(SLU_OP_DELETE, NULL, "request_id=q").body,
               HEAD "<DropLogsResponse" SPACE "><requestId>q</requestId></DropLogsResponse>");
    response = answer(SLU_OP_DELETE, NULL, "request_id=q reply=json");
    assert_str(response.body, "{\"requestId\":\"q\"}");
    assert_str(slu_headers_value(&response.headers, SLU_STR("content-type")), "application/json");
}

static struct slu_response error(enum slu_fault_kind kind, const char *message, const char *reply)
{
    struct slu_vars vars = vars_of(reply);
    struct slu_response response;

    assert_true(slu_table_write_error(stratus, SLU_OP_GET, kind, NULL, slu_str_of(message), &vars,
                                      &arena, &response, NULL));
    return response;
}

static void errors_are_written_in_xml(void **state)
{
    (void)state;
    assert_str(error(SLU_FAULT_BAD_PARAMETER, "a\x01 < \xef\xbf\xbe", "request_id=q").body,
               HEAD "<Response><RequestID>q</RequestID><Errors><Error><Code>BadToken</Code>"
                    "<Message>a  &lt;  </Message></Error></Errors></Response>");
    assert_str(error(SLU_FAULT_CONFLICT, "other words", "request_id=q reply=json").body,
               "{\"RequestID\":\"q\",\"Errors\":{\"Error\":[{\"Code\":\"Same\",\"Message\":\"A log "
               "is there already\"}]}}");
    /* rows with a star in the text are only read */
    assert_str(error(SLU_FAULT_DESTINATION_NOT_FOUND, "w", "reply=json").body,
               "{\"Errors\":{\"Error\":[{\"Code\":\"destination_not_found\",\"Message\":\"w\"}]}}");
}

static void what_xml_cannot_hold_is_a_fault(void **state)
{
    struct slu_vars none = {.count = 0};
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_response response;

    (void)state;
    assert_false(slu_table_write_reply(stratus, SLU_OP_GET, 0,
                                       json("{\"id\":\"sl-1\",\"name\":\"\\u0001\"}"), &none,
                                       &arena, &losses, &response, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_INTERNAL);
    assert_non_null(strstr(fault.words, "XML cannot hold"));
}

static void an_early_answer_knows_the_encoding(void **state)
{
    struct slu_request request = {.method = SLU_STR("POST"),
                                  .path = SLU_STR("/"),
                                  .query = SLU_STR("Format=JSON&Action=Nothing")};
    struct slu_vars vars = {.count = 0};

    (void)state;
    assert_true(
        slu_headers_add(&arena, &request.headers, SLU_STR("accept"), SLU_STR("application/json")));
    slu_table_take_reply(stratus, &request, &arena, &vars);
    assert_str(slu_vars_get(&vars, SLU_STR("reply")), "json");
    request.query = SLU_STR("Format=YAML");
    vars.count = 0;
    slu_table_take_reply(stratus, &request, &arena, &vars);
    assert_str(slu_vars_get(&vars, SLU_STR("reply")), "xml");
    request.query = SLU_STR("%zz");
    vars.count = 0;
    slu_table_take_reply(stratus, &request, &arena, &vars);
    assert_null(slu_vars_get(&vars, SLU_STR("reply")).p);
}

/* ---- what a table may not say ---- */

static const struct {
    const char *from, *to, *pointer, *words;
} wrong[] = {
    {"\"reply\": [\"xml\", \"json\"]", "\"reply\": [\"json\"]", "/transport/xml",
     "has no meaning without"},
    {"\"reply\": [\"xml\", \"json\"]", "\"reply\": [\"xml\", \"json\", \"xml\"]",
     "/transport/reply/2", "in the list already"},
    {"\"reply\": [\"xml\", \"json\"]", "\"reply\": [\"xml\"]", "/transport/signing/1/reply",
     "list of replies"},
    {"\"xml\": {\"root\": \"{action}Response\", \"error_root\": \"Response\", \"namespace\": "
     "\"http://stratus.example/{api_version}/\"},",
     "", "/transport/xml", "is missing"},
    {"{action}Response", "{action} Response", "/transport/xml/root", "no name"},
    {"{action}Response", "{region}Response", "/transport/xml/root", "may hold"},
    {"\"error_root\": \"Response\"", "\"error_root\": \"1\"", "/transport/xml/error_root",
     "no name"},
    {"/{api_version}/", "/{region}/", "/transport/xml/namespace", "may hold"},
    {"\"n\": \"/indexed\"", "\"n\": \"/in dexed\"", "/fields/12/n", "no name"},
    {"\"/requestId\": \"{request_id}\", \"/next\"", "\"/a b\": \"{request_id}\", \"/next\"",
     "/operations/list/steps/0/reply", "no name"},
    {"\"token\": {\"query\": \"Once\",", "\"token\": {\"query\": \"Once\", \"header\": \"x\",",
     "/operations/create/token", "either"},
    {"\"token\": {\"query\": \"Once\",", "\"token\": {", "/operations/create/token", "either"},
    {"\"token\": {\"query\": \"Once\",", "\"token\": {\"query\": \"Name\",", "/fields/1/n",
     "fills this parameter too"},
    {"\"text\": \"Access Denied*\"", "\"text\": \"Access*Denied\"", "/errors/0/text",
     "beginning or the end"},
    {"[\"/done\", false]", "[true]", "/operations/create/steps/0/reply/fail_if/1", "[pointer]"},
};

static struct slu_str changed(const char *from, const char *to)
{
    struct slu_str source = test_file("tests/unit/mapping/data/stratus.json"), text;
    const char *at = strstr(source.p, from);

    if (!at)
        fail_msg("%s is not in the table", from);
    text =
        slu_arena_printf(&arena, "%.*s%s%s", (int)(at - source.p), source.p, to, at + strlen(from));
    slu_mem_free((void *)source.p);
    return text;
}

static void tables_that_cannot_be_meant_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(wrong); i++) {
        bool found = false;

        (void)fresh(NULL);
        if (slu_table_load_text(SLU_STR("stratus"), changed(wrong[i].from, wrong[i].to), &mistakes))
            fail_msg("loaded: %s", wrong[i].to);
        for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
            found |= slu_str_is(m->pointer, wrong[i].pointer) &&
                     memmem(m->detail.p, m->detail.n, wrong[i].words, strlen(wrong[i].words));
        if (!found)
            fail_msg("%s: %.*s: %.*s", wrong[i].to, SLU_FMT(mistakes.first->pointer),
                     SLU_FMT(mistakes.first->detail));
    }
}

/* ---- memory ---- */

static bool there_and_back(void *context)
{
    struct slu_vars vars = vars_of("region=r id=sl-1");
    struct slu_response response = {.status = 200, .body = SLU_STR(GOT)};
    struct slu_losses lost;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_outcome outcome;
    struct slu_arena own;
    bool good;

    (void)context;
    slu_arena_init(&own, 1 << 20);
    slu_losses_init(&lost, &own, true);
    good = slu_table_read_reply(stratus, SLU_OP_GET, 0, &response, NULL, &vars, &own, &lost,
                                &outcome, &fault) &&
           slu_table_write_reply(stratus, SLU_OP_GET, 0, outcome.flow_log, &vars, &own, &lost,
                                 &response, &fault);
    if (!good)
        assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
    slu_arena_done(&own);
    return good;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    (void)test_every_allocation(there_and_back, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(parameters_travel_as_a_form, fresh),
        cmocka_unit_test_setup(the_encoding_of_the_reply_is_asked_for, fresh),
        cmocka_unit_test_setup(a_token_is_sent_where_it_is_set, fresh),
        cmocka_unit_test_setup(scopes_are_filled_in, fresh),
        cmocka_unit_test_setup(replies_mean_what_the_table_says, fresh),
        cmocka_unit_test_setup(values_in_xml_are_text, fresh),
        cmocka_unit_test_setup(one_and_many_are_lists, fresh),
        cmocka_unit_test_setup(the_client_chooses_the_encoding, fresh),
        cmocka_unit_test_setup(tokens_are_no_part_of_the_flow_log, fresh),
        cmocka_unit_test_setup(answers_are_written_in_xml, fresh),
        cmocka_unit_test_setup(errors_are_written_in_xml, fresh),
        cmocka_unit_test_setup(what_xml_cannot_hold_is_a_fault, fresh),
        cmocka_unit_test_setup(an_early_answer_knows_the_encoding, fresh),
        cmocka_unit_test_setup(tables_that_cannot_be_meant_are_refused, fresh),
        cmocka_unit_test_setup(memory_may_run_out, fresh),
    };

    return cmocka_run_group_tests(tests, load_table, free_table);
}
