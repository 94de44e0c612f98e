/* Doors: a cloud's own client is served by the memory cloud and by a real one, and what is wrong
 * with its request it hears in its own dialect. */
#include "world.h"

#include "base/clock.h"

/* What a cloud's client sends. */
struct wish {
    size_t front;
    const char *method, *path, *query, *action, *body;
    const char *key, *secret; /* NULL: the portal's */
    int64_t age_s;
    const char *spoil; /* replaced by 'x' once it is signed */
    bool bare;         /* not signed at all */
};

#define ALI_CREATE                                                                                 \
    "FlowLogName=edge&Description=at%20the%20edge&ResourceType=VPC&ResourceId=vpc-m5e0123456789"   \
    "abcdefgh&TrafficType=All&ProjectName=flowlog-project&LogStoreName=flowlog_store"
#define OTC_PATH "/v1/" PROJECT "/fl/flow_logs"
#define OTC_CREATE                                                                                 \
    "{\"flow_log\":{\"name\":\"edge-reject\",\"resource_type\":\"vpc\",\"resource_id\":"           \
    "\"" ANY_UUID "\",\"traffic_type\":\"reject\",\"log_group_id\":\"" ANY_UUID "\","              \
    "\"log_topic_id\":\"" ANY_UUID "\"}}"

#define ALI(said, wanted)                                                                          \
    .front = FRONT_ALIBABA, .method = "POST", .path = "/", .query = said, .action = wanted
#define ALI_GOOD         ALI("RegionId=" DOOR_REGION "&" ALI_CREATE, "CreateFlowLog")
#define OTC(verb, where) .front = FRONT_OTC, .method = verb, .path = where
#define OTC_GOOD         OTC("POST", OTC_PATH), .body = OTC_CREATE

static void add_field(struct slu_arena *arena, struct slu_request *request, const char *name,
                      const char *value)
{
    assert_true(slu_headers_add(arena, &request->headers, slu_str_of(name), slu_str_of(value)));
}

static struct slu_request request_of_wish(struct slu_arena *arena, const struct wish *wish)
{
    struct slu_request request = {.method = slu_str_of(wish->method),
                                  .scheme = SLU_STR("http"),
                                  .host = SLU_STR("door.test"),
                                  .path = slu_str_of(wish->path),
                                  .query = slu_str_of(wish->query ? wish->query : ""),
                                  .body = slu_str_of(wish->body ? wish->body : "")};

    if (wish->action) {
        add_field(arena, &request, "x-acs-action", wish->action);
        add_field(arena, &request, "x-acs-version", "2016-04-28");
    }
    if (wish->body)
        add_field(arena, &request, "content-type", "application/json");
    return request;
}

static void seal_wish(struct slu_arena *arena, const struct wish *wish, struct slu_request *request)
{
    struct slu_str scheme = wish->action ? SLU_STR("acs3-hmac-sha256") : SLU_STR("sdk-hmac-sha256");
    struct slu_secret *made = secret(wish->secret ? wish->secret : DOOR_SECRET);
    struct slu_seal_conf conf = {.access_key = slu_str_of(wish->key ? wish->key : DOOR_KEY),
                                 .secret_key = made};
    struct slu_seal *seal = slu_seal_new(slu_scheme_find(scheme), &conf);
    struct slu_fault fault = {0};
    static unsigned nonce;

    assert_non_null(seal);
    assert_true(slu_sign(seal, arena, slu_clock_real_s() - wish->age_s,
                         slu_arena_printf(arena, "nonce-%u", nonce++), request, NULL, &fault));
    slu_seal_free(seal);
    slu_secret_free(made);
}

static struct slu_str wire_of(const struct slu_request *request, struct slu_buf *wire)
{
    slu_buf_printf(wire, "%.*s %.*s%s%.*s HTTP/1.1\r\nhost: %.*s\r\n", SLU_FMT(request->method),
                   SLU_FMT(request->path), request->query.n ? "?" : "", SLU_FMT(request->query),
                   SLU_FMT(request->host));
    for (size_t i = 0; i < request->headers.count; i++)
        slu_buf_printf(wire, "%.*s: %.*s\r\n", SLU_FMT(request->headers.items[i].name),
                       SLU_FMT(request->headers.items[i].value));
    slu_buf_printf(wire, "content-length: %zu\r\n\r\n%.*s", request->body.n,
                   SLU_FMT(request->body));
    assert_false(wire->failed);
    return slu_buf_str(wire);
}

/* False when the connection ended without an answer. */
static bool knocks(struct world *world, const struct wish *wish, struct answer *answer)
{
    bool heard;
    struct slu_request request = request_of_wish(&world->arena, wish);
    struct slu_buf wire;
    struct slu_str text;
    int fd = dial(world, wish->front);

    if (!wish->bare)
        seal_wish(&world->arena, wish, &request);
    slu_buf_init(&wire, 0);
    text = wire_of(&request, &wire);
    if (wish->spoil) {
        char *at = memmem(wire.p, wire.n, wish->spoil, strlen(wish->spoil));

        assert_non_null(at);
        *at = 'x';
    }
    say_bytes(fd, text.p, text.n);
    heard = hear(fd, answer);
    slu_buf_done(&wire);
    close(fd);
    return heard;
}

static const struct answer *knock(struct world *world, const struct wish *wish)
{
    static struct answer answer;

    assert_true(knocks(world, wish, &answer));
    return &answer;
}

static struct slu_value *document_of(struct world *world, const struct wish *wish, int status)
{
    const struct answer *answer = knock(world, wish);

    if (answer->status != status)
        print_error("%s\n", answer->text);
    assert_int_equal(answer->status, status);
    return read_json(world, slu_arena_str(&world->arena, answer->body));
}

/* Served */

static void alibaba_clients_are_served(void **state)
{
    struct world *world = *state;
    struct wish create = {ALI_GOOD};
    struct wish list = {ALI("RegionId=" DOOR_REGION, "DescribeFlowLogs")};
    struct slu_value *made = document_of(world, &create, 200), *seen, *one;
    struct slu_str id = text_of(made, "FlowLogId");
    struct wish get = list, delete = list;

    get.query = delete.query =
        slu_arena_printf(&world->arena, "RegionId=%s&FlowLogId=%.*s", DOOR_REGION, SLU_FMT(id)).p;
    delete.action = "DeleteFlowLog";
    assert_true(text_of(made, "RequestId").n > 0);
    seen = document_of(world, &get, 200);
    assert_str(text_of(seen, "TotalCount"), "1");
    one = slu_value_item(slu_value_member(slu_value_member(seen, "FlowLogs"), "FlowLog"), 0);
    assert_str(text_of(one, "FlowLogName"), "edge");
    assert_str(text_of(one, "Description"), "at the edge");
    assert_str(text_of(one, "Status"), "Active");
    assert_str(text_of(document_of(world, &list, 200), "TotalCount"), "1");
    document_of(world, &delete, 200);
    assert_str(text_of(document_of(world, &list, 200), "TotalCount"), "0");
}

static void otc_clients_are_served(void **state)
{
    struct world *world = *state;
    struct wish create = {OTC_GOOD};
    struct wish list = {OTC("GET", OTC_PATH)}, get = list, delete = list;
    const struct answer *answer = knock(world, &create);
    struct slu_value *made;

    assert_true(answer->status == 200 || answer->status == 201);
    made =
        slu_value_member(read_json(world, slu_arena_str(&world->arena, answer->body)), "flow_log");
    assert_str(text_of(made, "name"), "edge-reject");
    get.path = delete.path =
        slu_arena_printf(&world->arena, "%s/%.*s", OTC_PATH, SLU_FMT(text_of(made, "id"))).p;
    delete.method = "DELETE";
    made = slu_value_member(document_of(world, &get, 200), "flow_log");
    assert_str(text_of(made, "traffic_type"), "reject");
    assert_int_equal(slu_value_member(document_of(world, &list, 200), "flow_logs")->count, 1);
    assert_int_equal(knock(world, &delete)->status, 204);
    assert_int_equal(slu_value_member(document_of(world, &list, 200), "flow_logs")->count, 0);
    assert_str(text_of(document_of(world, &get, 404), "code"), "VPC.3002");
}

/* The target is a real cloud of the same dialect: signed anew, with the cloud's own key. */
static void a_door_leads_to_a_cloud(void **state)
{
    struct world *world = *state;
    struct wish create = {
        .front = FRONT_NET, .method = "POST", .path = OTC_PATH, .body = OTC_CREATE};
    const struct peer *peer = world->cloud.peer;
    const struct answer *answer = knock(world, &create);
    struct slu_value *made;

    assert_true(answer->status == 200 || answer->status == 201);
    made = read_json(world, slu_arena_str(&world->arena, answer->body));
    assert_str(text_of(slu_value_member(made, "flow_log"), "id"), ANY_UUID);
    assert_non_null(strstr(peer->last_head, "Access=" CLOUD_KEY ", "));
    assert_null(strstr(peer->last_head, DOOR_KEY));
    assert_string_equal(peer->last_body, OTC_CREATE);
    world->cloud.way = CLOUD_RESETS;
    assert_str(text_of(document_of(world, &create, 500), "code"), "VPC.3002");
}

/* Refused */

static const struct {
    const char *why;
    struct wish wish;
    int status;
    const char *code;
} refusals[] = {
    /* clang-format off */
    {"another secret", {ALI_GOOD, .secret = "guessed"}, 400, "SignatureDoesNotMatch"},
    {"unknown key", {ALI_GOOD, .key = "NOBODY"}, 404, "InvalidAccessKeyId.NotFound"},
    {"too old", {ALI_GOOD, .age_s = 16 * 60}, 400, "InvalidTimeStamp.Expired"},
    {"from the future", {ALI_GOOD, .age_s = -16 * 60}, 400, "InvalidTimeStamp.Expired"},
    {"changed after signing", {ALI_GOOD, .spoil = "TrafficType=All"}, 400, "SignatureDoesNotMatch"},
    {"another region", {ALI("RegionId=cn-beijing&" ALI_CREATE, "CreateFlowLog")}, 400, "InvalidParameter"},
    {"unknown action", {ALI("RegionId=" DOOR_REGION, "MakeCoffee")}, 404, "InvalidAction.NotFound"},
    {"no right to write", {ALI_GOOD, .key = DOOR_READER}, 403, "Forbidden.RAM"},
    {"not there", {ALI("RegionId=" DOOR_REGION "&FlowLogId=fl-m5e0123456789abcdefgh", "DeleteFlowLog")}, 400, "InvalidInstanceId.NotFound"},
    {"another secret", {OTC_GOOD, .secret = "guessed"}, 401, "APIGW.0301"},
    {"unknown key", {OTC_GOOD, .key = "NOBODY"}, 401, "APIGW.0301"},
    {"not signed", {OTC_GOOD, .bare = true}, 401, "APIGW.0301"},
    {"too old", {OTC_GOOD, .age_s = 16 * 60}, 401, "APIGW.0301"},
    {"another body", {OTC_GOOD, .spoil = "edge-reject"}, 401, "APIGW.0301"},
    {"another project", {OTC("POST", "/v1/00000000000000000000000000000000/fl/flow_logs"), .body = OTC_CREATE}, 400, "VPC.0007"},
    {"unknown route", {OTC("GET", "/v1/" PROJECT "/fl/flow_lags")}, 404, "APIGW.0101"},
    {"no right to write", {OTC_GOOD, .key = DOOR_READER}, 403, "VPC.2201"},
    {"not JSON", {OTC("POST", OTC_PATH), .body = "{\"flow_log\":"}, 400, "APIGW.0201"},
    {"not there", {OTC("GET", OTC_PATH "/" ANY_UUID)}, 404, "VPC.3002"},
    /* clang-format on */
};

static void refusals_speak_the_dialect(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(refusals); i++) {
        bool alibaba = refusals[i].wish.front == FRONT_ALIBABA;
        const struct answer *answer = knock(world, &refusals[i].wish);
        struct slu_value *document = read_json(world, slu_arena_str(&world->arena, answer->body));

        if (answer->status != refusals[i].status)
            print_error("%s: %s\n", refusals[i].why, answer->text);
        assert_int_equal(answer->status, refusals[i].status);
        assert_true(text_of(document, alibaba ? "Message" : "message").n > 0);
        if (refusals[i].code)
            assert_str(text_of(document, alibaba ? "Code" : "code"), refusals[i].code);
        if (alibaba)
            assert_true(text_of(document, "RequestId").n > 0);
        assert_null(memmem(answer->text, strlen(answer->text), DOOR_SECRET, strlen(DOOR_SECRET)));
    }
    assert_int_equal(world->cloud.peer->connections, 0);
}

static void a_reader_may_read(void **state)
{
    struct world *world = *state;
    struct wish list = {OTC("GET", OTC_PATH), .key = DOOR_READER};

    assert_int_equal(slu_value_member(document_of(world, &list, 200), "flow_logs")->count, 0);
}

/* A message that is no HTTP is answered in the dialect too. */
static void broken_messages_speak_the_dialect(void **state)
{
    struct world *world = *state;
    static const char broken[] = "GET / HTTP/1.1\r\nhost : a\r\n\r\n";
    struct answer answer;
    int fd = dial(world, FRONT_OTC);

    say_bytes(fd, broken, sizeof(broken) - 1);
    assert_true(hear(fd, &answer));
    close(fd);
    assert_int_equal(answer.status, 400);
    assert_str(text_of(read_json(world, answer.body), "code"), "APIGW.0201");
}

/* The memory of one request ends a little later each time: that is never the client's mistake. */
static void every_budget_of_a_request(void **state)
{
    struct world *world = *state;
    static const struct wish wishes[] = {{ALI_GOOD}, {OTC_GOOD}};
    static struct answer answer;

    for (size_t i = 0; i < SLU_COUNT(wishes); i++) {
        bool good = false;

        for (uint32_t bytes = 128; !good; bytes += 128) {
            assert_true(bytes < 1 << 20);
            world->gateway.catalog->limits.request_bytes = bytes;
            world_begin_anew(world);
            if (!knocks(world, &wishes[i], &answer))
                continue;
            good = answer.status < 300;
            if (!good && answer.status < 500)
                print_error("%u bytes: %s\n", bytes, answer.text);
            assert_true(good || answer.status >= 500);
            read_json(world, slu_arena_str(&world->arena, answer.body));
        }
    }
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_stop)

/* A change goes on behind its reply: whoever comes meanwhile is refused in the dialect's words. */
static void a_change_that_goes_on_is_busy(void **state)
{
    struct world *world = *state;
    struct slu_target *target =
        (struct slu_target *)slu_catalog_target(world->gateway.catalog, SLU_STR("ali"));
    const struct answer *answer;
    char query[128];

    target->settle_ms = 60000;
    answer = knock(world, &(struct wish){ALI_GOOD});
    assert_int_equal(answer->status, 200);
    snprintf(query, sizeof(query), "RegionId=" DOOR_REGION "&FlowLogId=%.*s",
             SLU_FMT(text_of(read_json(world, answer->body), "FlowLogId")));
    answer = knock(world, &(struct wish){ALI(query, "DeleteFlowLog")});
    assert_int_equal(answer->status, 400);
    assert_str(text_of(read_json(world, answer->body), "Code"), "IncorrectStatus.flowlog");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_change_that_goes_on_is_busy),
        IN_A_WORLD(alibaba_clients_are_served),
        IN_A_WORLD(otc_clients_are_served),
        IN_A_WORLD(a_door_leads_to_a_cloud),
        IN_A_WORLD(refusals_speak_the_dialect),
        IN_A_WORLD(a_reader_may_read),
        IN_A_WORLD(broken_messages_speak_the_dialect),
        IN_A_WORLD(every_budget_of_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
