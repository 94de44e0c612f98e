/* Doors onto clouds of another dialect: what travels under a name, what is refused, what is told.
 */
#include "knock.h"

#define ALI_NET(said, wanted)                                                                      \
    .front = FRONT_ALIBABA_NET, .method = "POST", .path = "/",                                     \
    .query = "RegionId=" DOOR_REGION "&" said, .action = wanted
#define OTC_ROUTER(verb, where) .front = FRONT_OTC_ROUTER, .method = verb, .path = where
#define NET_ITEM(id, name, resource, group)                                                        \
    "{\"id\":\"" id "\",\"tenant_id\":\"" PROJECT                                                  \
    "\",\"admin_state\":true,\"status\":\"ACTIVE\",\"name\":\"" name                               \
    "\",\"resource_type\":\"vpc\",\"resource_id\":\"" resource                                     \
    "\",\"traffic_type\":\"all\",\"log_group_id\":\"" group "\",\"log_topic_id\":\"" ANY_UUID      \
    "\",\"index_enabled\":true,\"log_store_type\":\"lts\"}"

#define ROUTER_CREATE                                                                              \
    "{\"flow_log\":{\"name\":\"edge-router\",\"resource_type\":\"attachment\",\"resource_id\":"    \
    "\"" ANY_UUID "\",\"log_store_type\":\"LTS\",\"log_group_id\":\"" ANY_UUID                     \
    "\",\"log_stream_id\":\"" ANY_UUID "\"}}"
#define ROUTER_ITEM                                                                                \
    "{\"id\":\"" ANY_UUID "\",\"name\":\"edge-router\",\"resource_type\":\"attachment\","          \
    "\"resource_id\":\"" ANY_UUID "\",\"log_group_id\":\"" ANY_UUID                                \
    "\",\"log_stream_id\":\"" ANY_UUID                                                             \
    "\",\"log_store_type\":\"LTS\",\"state\":\"available\",\"enabled\":true}"

static const struct slu_value *row_of(const struct slu_value *list, size_t index)
{
    return slu_value_item(slu_value_member(slu_value_member(list, "FlowLogs"), "FlowLog"), index);
}

/* The request goes under its names, and nothing of the door's goes with it. */
static void a_create_goes_across(void **state)
{
    struct world *world = *state;
    struct wish create = {ALI_NET(ALI_CREATE, "CreateFlowLog")};
    const struct peer *peer = world->cloud.peer;
    struct slu_value *made = document_of(world, &create, 200);

    assert_str(text_of(made, "FlowLogId"), ANY_UUID);
    assert_string_equal(peer->last_body,
                        "{\"flow_log\":{\"name\":\"edge\",\"description\":\"at the edge\","
                        "\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID
                        "\",\"traffic_type\":\"all\",\"log_group_id\":\"" ANY_UUID
                        "\",\"log_topic_id\":\"" ANY_UUID "\"}}");
    assert_null(strstr(peer->last_head, DOOR_KEY));
}

/* What has no name is told as it is; what cannot be said is left out, and told once. */
static void a_list_comes_back(void **state)
{
    struct world *world = *state;
    struct wish list = {ALI_NET("", "DescribeFlowLogs")};
    const struct answer *answer;
    struct slu_value *seen;

    world->cloud.get =
        "{\"flow_logs\":[" NET_ITEM(ANY_UUID, "named", ANY_UUID, ANY_UUID) "," NET_ITEM(
            OTHER_UUID, "unnamed", OTHER_UUID, OTHER_UUID) "]}";
    answer = knock(world, &list);
    assert_int_equal(answer->status, 200);
    assert_true(head_has(answer, "\r\nsluice-loss: "));
    assert_true(head_has(answer, "/native"));
    assert_true(head_has(answer, "/destination/type"));
    assert_null(strstr(strstr(answer->text, "/native") + 1, "/native"));
    seen = read_json(world, slu_arena_str(&world->arena, answer->body));
    assert_str(text_of(seen, "TotalCount"), "2");
    assert_str(text_of(row_of(seen, 0), "ResourceId"), "vpc-m5e0123456789abcdefgh");
    assert_str(text_of(row_of(seen, 0), "ProjectName"), "flowlog-project");
    assert_str(text_of(row_of(seen, 1), "FlowLogId"), OTHER_UUID);
    assert_str(text_of(row_of(seen, 1), "ResourceId"), OTHER_UUID);
    assert_str(text_of(row_of(seen, 1), "ProjectName"), OTHER_UUID);
    assert_null(slu_value_member(row_of(seen, 0), "log_store_type"));
    assert_true(number_of(world_line(world, 0), "losses") >= 3);
}

static void filters_go_across(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *query, *sent;
        const char *count;
    } asks[] = {
        {"ResourceId=vpc-m5e0123456789abcdefgh", "resource_id=" ANY_UUID, "1"},
        {"ResourceId=vpc-m5e9999999999abcdefgh", NULL, "0"},
        {"ProjectName=flowlog-project", NULL, "1"},
        {"ProjectName=" OTHER_UUID, NULL, "1"},
        {"ProjectName=" ANY_UUID, NULL, "0"},
        {"FlowLogName=unnamed", "name=unnamed", "1"},
        {"ResourceType=VPC", NULL, "2"},
        {"PageSize=1&PageNumber=2", NULL, "2"},
    };

    world->cloud.get =
        "{\"flow_logs\":[" NET_ITEM(ANY_UUID, "named", ANY_UUID, ANY_UUID) "," NET_ITEM(
            OTHER_UUID, "unnamed", OTHER_UUID, OTHER_UUID) "]}";
    for (size_t i = 0; i < SLU_COUNT(asks); i++) {
        struct wish list = {ALI_NET("", "DescribeFlowLogs")};
        struct slu_value *seen;

        list.query =
            slu_arena_printf(&world->arena, "RegionId=%s&%s", DOOR_REGION, asks[i].query).p;
        seen = document_of(world, &list, 200);
        if (!slu_str_is(text_of(seen, "TotalCount"), asks[i].count))
            print_error("%s\n", asks[i].query);
        assert_str(text_of(seen, "TotalCount"), asks[i].count);
        if (asks[i].sent)
            assert_non_null(strstr(world->cloud.peer->last_head, asks[i].sent));
    }
}

static const struct {
    struct wish wish;
    int status;
    const char *code, *words;
} refusals[] = {
    /* clang-format off */
    {{ALI_NET("FlowLogName=edge&ResourceType=VPC&ResourceId=vpc-m5e9999999999abcdefgh&TrafficType=All&ProjectName=flowlog-project&LogStoreName=flowlog_store", "CreateFlowLog")},
     400, "InvalidInstanceId", "ResourceId names a resource that has no alias"},
    {{ALI_NET("FlowLogName=edge&ResourceType=VPC&ResourceId=vpc-m5e0123456789abcdefgh&TrafficType=All&ProjectName=flowlog-project&LogStoreName=other", "CreateFlowLog")},
     400, "ProjectOrLogstoreNotExist", "ProjectName names a destination that has no alias"},
    {{ALI_NET(ALI_CREATE "&AggregationInterval=5", "CreateFlowLog")},
     400, "OperationUnsupported.action", "AggregationInterval: the capture window"},
    {{ALI_NET(ALI_CREATE "&IpVersion=DualStack", "CreateFlowLog")},
     400, "OperationUnsupported.action", "IpVersion cannot be carried"},
    {{ALI_NET(ALI_CREATE, "CreateFlowLog"), .key = DOOR_READER}, 403, "Forbidden.RAM", "may not"},
    /* clang-format on */
};

static void what_does_not_go_across_is_refused(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(refusals); i++) {
        struct slu_value *said = document_of(world, &refusals[i].wish, refusals[i].status);
        struct slu_str message = text_of(said, "Message");

        assert_str(text_of(said, "Code"), refusals[i].code);
        if (!memmem(message.p, message.n, refusals[i].words, strlen(refusals[i].words)))
            fail_msg("%.*s", SLU_FMT(message));
    }
    assert_int_equal(world->cloud.peer->connections, 0);
}

/* The cloud's own words, codes and names stay behind the door. */
static void faults_are_the_doors_own(void **state)
{
    struct world *world = *state;
    struct wish create = {ALI_NET(ALI_CREATE, "CreateFlowLog")};
    static const struct {
        int status;
        const char *body;
        int told;
        const char *code;
    } faults[] = {
        {409, "{\"code\":\"VPC.3004\",\"message\":\"exists\"}", 400, "InvalidResourceId.NotFound"},
        {404, "{\"code\":\"VPC.3002\",\"message\":\"no vpc\"}", 400, "InvalidInstanceId"},
        {429, "{\"error_code\":\"APIGW.0308\",\"error_msg\":\"slow\"}", 400, "Throttling.User"},
        {500, "{\"code\":\"VPC.3002\",\"message\":\"oops\"}", 500, "InternalError"},
    };

    for (size_t i = 0; i < SLU_COUNT(faults); i++) {
        const struct answer *answer;

        world->cloud.post_status = faults[i].status;
        world->cloud.post = faults[i].body;
        answer = knock(world, &create);
        assert_int_equal(answer->status, faults[i].told);
        assert_str(text_of(read_json(world, slu_arena_str(&world->arena, answer->body)), "Code"),
                   faults[i].code);
        assert_null(strstr(answer->text, "VPC.300"));
        assert_null(strstr(answer->text, "APIGW"));
        assert_null(strstr(answer->text, "cloud-77"));
        assert_null(strstr(answer->text, "exists"));
    }
    world->cloud.way = CLOUD_RESETS;
    assert_null(strstr(knock(world, &create)->text, "127.0.0.1"));
}

/* A dialect that is over with its reply waits for one that is not. */
static void a_client_waits_for_the_end(void **state)
{
    struct world *world = *state;
    struct wish create = {OTC_ROUTER("POST", OTC_PATH), .body = OTC_CREATE};
    const struct answer *answer;
    struct slu_value *made;

    world->cloud.post_status = 202;
    world->cloud.post = ROUTER_REPLY("pending");
    world->cloud.get = ROUTER_REPLY("pending");
    world->cloud.second_get = ROUTER_REPLY("available");
    answer = knock(world, &create);
    assert_int_equal(answer->status, 400); /* a router does not filter */
    create.body =
        "{\"flow_log\":{\"name\":\"edge-router\",\"resource_type\":\"vpc\",\"resource_id\":"
        "\"" ANY_UUID "\",\"traffic_type\":\"all\",\"log_group_id\":\"" ANY_UUID
        "\",\"log_topic_id\":\"" ANY_UUID "\"}}";
    answer = knock(world, &create);
    assert_int_equal(answer->status, 200);
    made =
        slu_value_member(read_json(world, slu_arena_str(&world->arena, answer->body)), "flow_log");
    assert_str(text_of(made, "status"), "ACTIVE");
    assert_str(text_of(made, "resource_type"), "vpc");
    assert_non_null(strstr(world->cloud.peer->last_head, "/enterprise-router/" ROUTER));
    assert_int_equal(world->cloud.looks, 2);
}

/* A change under way has no word in this dialect: the status is left out, the rest is told. */
static void a_state_without_a_word_is_left_out(void **state)
{
    struct world *world = *state;
    struct wish get = {OTC_ROUTER("GET", OTC_PATH "/" ANY_UUID)};
    const struct answer *answer;
    struct slu_value *seen;

    world->cloud.get = ROUTER_REPLY("pending");
    answer = knock(world, &get);
    assert_int_equal(answer->status, 200);
    assert_true(head_has(answer, "/status"));
    seen =
        slu_value_member(read_json(world, slu_arena_str(&world->arena, answer->body)), "flow_log");
    assert_null(slu_value_member(seen, "status"));
    assert_str(text_of(seen, "name"), "edge-router");
}

/* Who repeats a create gives the same token to the cloud, and nobody else's. */
static void a_clients_token_goes_on(void **state)
{
    struct world *world = *state;
    struct wish create = {.front = FRONT_ROUTER,
                          .method = "POST",
                          .path = "/v3/" PROJECT "/enterprise-router/" ROUTER "/flow-logs",
                          .body = ROUTER_CREATE,
                          .token = "the-clients-own"};
    char first[80], *at;

    world->cloud.post_status = 202;
    world->cloud.post = ROUTER_REPLY("pending");
    assert_int_equal(knock(world, &create)->status, 202);
    assert_null(strstr(world->cloud.peer->last_head, "the-clients-own"));
    at = strstr(world->cloud.peer->last_head, "x-client-token: ");
    assert_non_null(at);
    snprintf(first, sizeof(first), "%.64s", at + strlen("x-client-token: "));
    assert_int_equal(strspn(first, "0123456789abcdef"), 64);
    assert_int_equal(knock(world, &create)->status, 202);
    assert_non_null(strstr(world->cloud.peer->last_head, first));
    create.token = "another";
    assert_int_equal(knock(world, &create)->status, 202);
    assert_null(strstr(world->cloud.peer->last_head, first));
}

/* The router that the door's clients name is the door's; behind it stands the target's own. */
static void a_router_of_the_doors_own(void **state)
{
    struct world *world = *state;
    struct slu_door *door = (struct slu_door *)&world->gateway.catalog->doors[5];
    struct wish create = {.front = FRONT_ROUTER,
                          .method = "POST",
                          .path = "/v3/" PROJECT "/enterprise-router/" OTHER_UUID "/flow-logs",
                          .body = ROUTER_CREATE};
    const struct answer *answer;

    world->cloud.post_status = 202;
    world->cloud.post = ROUTER_REPLY("pending");
    assert_int_equal(knock(world, &create)->status, 400); /* neither the door's nor the target's */
    assert_true(slu_vars_set(&door->parameters, SLU_STR("er_id"), SLU_STR(OTHER_UUID)));
    answer = knock(world, &create);
    assert_int_equal(answer->status, 202);
    assert_false(head_has(answer, "sluice-loss"));
    assert_non_null(strstr(world->cloud.peer->last_head, "/enterprise-router/" ROUTER "/"));
}

/* Of one dialect: the client's marker is the cloud's, and so is the next one. */
static void pages_of_one_dialect_are_the_clouds(void **state)
{
    struct world *world = *state;
    struct wish list = {.front = FRONT_ROUTER,
                        .method = "GET",
                        .path = "/v3/" PROJECT "/enterprise-router/" ROUTER "/flow-logs",
                        .query = "limit=1&marker=" OTHER_UUID};
    struct slu_value *seen;

    world->cloud.get = "{\"flow_logs\":[" ROUTER_ITEM "],\"page_info\":{\"next_marker\":\"" ANY_UUID
                       "\",\"current_count\":1},\"total_count\":3,\"request_id\":\"a\"}";
    seen = document_of(world, &list, 200);
    assert_non_null(strstr(world->cloud.peer->last_head, "limit=1&marker=" OTHER_UUID));
    assert_str(text_of(slu_value_member(seen, "page_info"), "next_marker"), ANY_UUID);
    assert_int_equal(number_of(seen, "total_count"), 3);
}

/* Of two dialects: the marker is looked for in the target's list. */
static void a_marker_goes_across(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *query;
        uint32_t count;
    } asks[] = {{"limit=1", 1}, {"limit=1&marker=" ANY_UUID, 0}, {"limit=5&marker=" OTHER_UUID, 0}};

    world->cloud.get = "{\"flow_logs\":[" ROUTER_ITEM "],\"page_info\":{\"current_count\":1}}";
    for (size_t i = 0; i < SLU_COUNT(asks); i++) {
        struct wish list = {OTC_ROUTER("GET", OTC_PATH), .query = asks[i].query};

        assert_int_equal(slu_value_member(document_of(world, &list, 200), "flow_logs")->count,
                         asks[i].count);
    }
}

/* With less there is no exchange that could answer in its dialect. */
enum { ENVELOPE_BYTES = 20000 };

static void every_budget_of_a_request(void **state)
{
    struct world *world = *state;
    static const struct wish wishes[] = {{ALI_NET(ALI_CREATE, "CreateFlowLog")},
                                         {ALI_NET("PageSize=1", "DescribeFlowLogs")}};
    static struct answer answer;

    world->cloud.get = "{\"flow_logs\":[" NET_ITEM(ANY_UUID, "named", ANY_UUID, ANY_UUID) "]}";
    for (size_t i = 0; i < SLU_COUNT(wishes); i++) {
        bool good = false;

        for (uint32_t bytes = 512; !good; bytes += 512) {
            assert_true(bytes < 1 << 20);
            world->gateway.catalog->limits.request_bytes = bytes;
            world_begin_anew(world);
            if (!knocks(world, &wishes[i], &answer))
                continue;
            good = answer.status < 300;
            if (!good && answer.status < 500)
                print_error("%u bytes: %s\n", bytes, answer.text);
            assert_true(good || answer.status >= 500);
            if (!good && bytes > ENVELOPE_BYTES)
                assert_str(
                    text_of(read_json(world, slu_arena_str(&world->arena, answer.body)), "Code"),
                    "ServiceUnavailable");
        }
    }
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_create_goes_across),
        IN_A_WORLD(a_list_comes_back),
        IN_A_WORLD(filters_go_across),
        IN_A_WORLD(what_does_not_go_across_is_refused),
        IN_A_WORLD(faults_are_the_doors_own),
        IN_A_WORLD(a_client_waits_for_the_end),
        IN_A_WORLD(a_state_without_a_word_is_left_out),
        IN_A_WORLD(a_clients_token_goes_on),
        IN_A_WORLD(a_router_of_the_doors_own),
        IN_A_WORLD(pages_of_one_dialect_are_the_clouds),
        IN_A_WORLD(a_marker_goes_across),
        IN_A_WORLD(every_budget_of_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
