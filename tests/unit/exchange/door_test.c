/* Doors: a cloud's own client is served by the memory cloud and by a real one, and what is wrong
 * with its request it hears in its own dialect. */
#include "knock.h"

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
    {"another region", {ALI("RegionId=cn-beijing&" ALI_CREATE, "CreateFlowLog")}, 400, "InvalidRegionId.NotFound"},
    {"unknown action", {ALI("RegionId=" DOOR_REGION, "MakeCoffee")}, 404, "InvalidAction.NotFound"},
    {"no right to write", {ALI_GOOD, .key = DOOR_READER}, 403, "Forbidden.RAM"},
    {"not there", {ALI("RegionId=" DOOR_REGION "&FlowLogId=fl-m5e0123456789abcdefgh", "DeleteFlowLog")}, 400, "InvalidInstanceId.NotFound"},
    {"a body that is no form", {ALI("RegionId=" DOOR_REGION, "DescribeFlowLogs"), .body = "{\"PageSize\":1}"}, 400, "InvalidParameter"},
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
    {"a body where there is none", {OTC("DELETE", OTC_PATH "/" ANY_UUID), .body = "{\"force\":true}"}, 400, "APIGW.0201"},
    {"nothing in the body", {OTC("POST", OTC_PATH), .body = "{}"}, 400, "VPC.3001"},
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
