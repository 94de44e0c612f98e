/* The life of a request through a real worker: its two ways to a cloud and back, callers who leave
 * at every step, reloads under way, and every allocation failing once. */
#include "world.h"

#define ROUTER_FLOW_LOGS "/v1/targets/router/flow-logs"

static struct slu_value *told(struct world *world, const struct answer *answer, int status)
{
    if (answer->status != status)
        print_error("%s\n", answer->text);
    assert_int_equal(answer->status, status);
    return read_json(world, answer->body);
}

static const struct answer *create(struct world *world)
{
    return talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
}

/* What the cloud looks */

static void create_sends_exactly_this(void **state)
{
    struct world *world = *state;
    const struct answer *answer = create(world);
    struct slu_value *document = told(world, answer, 201);
    const struct peer *peer = world->cloud.peer;

    assert_str(text_of(document, "id"), ANY_UUID);
    assert_str(text_of(document, "target"), "net");
    assert_str(text_of(document, "status"), "active");
    assert_int_equal(slu_value_member(document, "loss")->count, 0);
    assert_true(head_has(answer, "location: " NET_FLOW_LOGS "/" ANY_UUID "\r\n") ||
                head_has(answer, "Location: " NET_FLOW_LOGS "/" ANY_UUID "\r\n"));
    assert_int_equal(peer->requests, 1);
    assert_non_null(strstr(peer->last_head, "POST /v1/" PROJECT "/fl/flow_logs HTTP/1.1\r\n"));
    assert_non_null(strcasestr(peer->last_head, "\r\nauthorization: SDK-HMAC-SHA256 "
                                                "Access=" CLOUD_KEY ", "));
    assert_string_equal(peer->last_body,
                        "{\"flow_log\":{\"name\":\"edge-reject\",\"description\":"
                        "\"rejected at the edge\",\"resource_type\":\"vpc\",\"resource_id\":"
                        "\"" ANY_UUID "\",\"traffic_type\":\"reject\",\"log_group_id\":"
                        "\"" ANY_UUID "\",\"log_topic_id\":\"" ANY_UUID "\"}}");
}

static void get_reads_it_back(void **state)
{
    struct world *world = *state;
    struct slu_value *document =
        told(world, talk_once(world, READER_KEY, NET_FLOW_LOGS "/" ANY_UUID, "", NULL), 200);
    const struct peer *peer = world->cloud.peer;

    assert_str(text_of(document, "name"), "edge-reject");
    assert_str(text_of(document, "created_at"), "2019-01-14T11:03:02Z");
    assert_non_null(
        strstr(peer->last_head, "GET /v1/" PROJECT "/fl/flow_logs/" ANY_UUID " HTTP/1.1\r\n"));
    assert_string_equal(peer->last_body, "");
}

static void dry_run_sends_nothing(void **state)
{
    struct world *world = *state;
    const struct answer *answer =
        talk_once(world, PORTAL_KEY, NET_FLOW_LOGS "?dry_run=true", "", net_flow_log);
    struct slu_value *document = told(world, answer, 200);

    assert_true(slu_value_member(document, "dry_run")->truth);
    assert_str(text_of(slu_value_member(document, "request"), "method"), "POST");
    assert_null(memmem(answer->body.p, answer->body.n, CLOUD_KEY, strlen(CLOUD_KEY)));
    assert_int_equal(world->cloud.peer->connections, 0);
}

/* Creates that the cloud has not finished */

static const struct {
    const char *prefer, *post, *get, *second_get;
    int status;
    const char *word; /* the status, or the problem's code */
    unsigned looks;
} waits[] = {
    {"", ROUTER_REPLY("pending"), ROUTER_REPLY("available"), NULL, 201, "creating", 0},
    {"prefer: wait=20\r\n", ROUTER_REPLY("available"), ROUTER_REPLY("pending"), NULL, 201, "active",
     0},
    {"prefer: wait=20\r\n", ROUTER_REPLY("pending"), ROUTER_REPLY("pending"),
     ROUTER_REPLY("available"), 201, "active", 2},
    {"prefer: wait=1\r\n", ROUTER_REPLY("pending"), ROUTER_REPLY("pending"), NULL, 201, "creating",
     1},
    {"prefer: wait=20\r\n", ROUTER_REPLY("pending"), ROUTER_REPLY("failed"), NULL, 502,
     "upstream_failed_state", 1},
    {"", ROUTER_REPLY("failed"), ROUTER_REPLY("available"), NULL, 502, "upstream_failed_state", 0},
};

static void waits_as_long_as_the_caller_likes(void **state)
{
    struct world *world = *state;

    world->cloud.post_status = 202;
    for (size_t i = 0; i < SLU_COUNT(waits); i++) {
        const struct answer *answer;
        struct slu_value *document;

        world->cloud.looks = 0;
        world->cloud.post = waits[i].post;
        world->cloud.get = waits[i].get;
        world->cloud.second_get = waits[i].second_get;
        answer = talk_once(world, PORTAL_KEY, ROUTER_FLOW_LOGS, waits[i].prefer, router_flow_log);
        document = told(world, answer, waits[i].status);
        assert_str(text_of(document, waits[i].status == 201 ? "status" : "code"), waits[i].word);
        assert_int_equal(world->cloud.looks, waits[i].looks);
        if (waits[i].status == 502) { /* it is there all the same, so it must not be sent again */
            assert_false(slu_value_member(document, "retryable")->truth);
            assert_str(text_of(document, "flow_log_id"), ANY_UUID);
        }
    }
    assert_int_equal(world->cloud.peer->posts, SLU_COUNT(waits));
}

/* A cloud that resets */

static void reset_after_the_request(void **state)
{
    struct world *world = *state;
    struct slu_value *document;

    world->cloud.way = CLOUD_RESETS;
    document = told(world, create(world), 502);
    assert_str(text_of(document, "code"), "upstream_connection_broken");
    assert_false(slu_value_member(document, "retryable")->truth);
    assert_int_equal(world->cloud.peer->posts, 1);
    document = told(world, talk_once(world, PORTAL_KEY, NET_FLOW_LOGS "/" ANY_UUID, "", NULL), 502);
    assert_str(text_of(document, "code"), "upstream_connection_broken");
    assert_true(slu_value_member(document, "retryable")->truth);
}

/* Callers who leave */

/* The line of the only request so far tells that nobody heard an answer. */
static struct slu_value *unheard(struct world *world, const char *end)
{
    struct slu_value *line = world_line(world, 0);

    assert_int_equal(number_of(line, "status"), 0);
    assert_str(text_of(line, "end"), end);
    return line;
}

static void leaves_while_its_body_is_awaited(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);
    static const char head[] =
        "POST " NET_FLOW_LOGS " HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " PORTAL_KEY
        "\r\ncontent-type: application/json\r\n"
        "content-length: 100\r\n\r\n{";

    say_bytes(fd, head, sizeof(head) - 1);
    usleep(50000);
    close(fd);
    assert_null(slu_value_member(unheard(world, "CB"), "cloud"));
    assert_int_equal(world->cloud.peer->connections, 0);
}

static void leaves_while_a_read_is_at_the_cloud(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS "/" ANY_UUID, "", NULL);
    assert_true(reaches(&world->cloud.held, 1));
    close(fd);
    assert_true(reaches(&world->cloud.left, 1)); /* the call is cancelled */
    unheard(world, "CC");
}

static void leaves_while_a_write_is_at_the_cloud(void **state)
{
    struct world *world = *state;
    struct slu_value *cloud;
    int fd = dial(world, FRONT_REST);

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    close(fd);
    usleep(100000);
    assert_int_equal(world->cloud.left, 0); /* it may take effect: its end must be known */
    world->cloud.way = CLOUD_ANSWERS;
    cloud = slu_value_member(unheard(world, "CR"), "cloud");
    assert_int_equal(number_of(cloud, "status"), 201);
    assert_int_equal(number_of(cloud, "calls"), 1);
}

static void leaves_while_settling(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);
    struct slu_value *line;

    world->cloud.post_status = 202;
    world->cloud.post = world->cloud.get = ROUTER_REPLY("pending");
    ask(fd, PORTAL_KEY, ROUTER_FLOW_LOGS, "prefer: wait=30\r\n", router_flow_log);
    assert_true(reaches(&world->cloud.peer->requests, 1));
    usleep(200000);
    close(fd);
    line = unheard(world, "CR");
    assert_str(text_of(line, "flow_log_id"), ANY_UUID);
    assert_int_equal(number_of(slu_value_member(line, "cloud"), "status"), 202);
}

static size_t count_lines(struct world *world)
{
    struct slu_str text = world_lines(world);
    size_t count = 0;

    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '\n';
    return count;
}

/* A caller who asks and asks and does not read: in the end an answer finds no room. */
static void leaves_while_the_answer_is_written(void **state)
{
    struct world *world = *state;
    static const char get[] = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";
    int fd = dial(world, FRONT_REST), small = 4096;
    size_t before, now = 0;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (int i = 0; i < 400; i++)
        if (send(fd, get, sizeof(get) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
    do {
        before = now;
        usleep(300000);
        now = count_lines(world);
    } while (now == 0 || now != before);
    assert_true(now < 400);
    close(fd);
    assert_str(text_of(world_line(world, now), "end"), "CL");
    assert_int_equal(number_of(world_line(world, now), "status"), 0);
    assert_str(text_of(world_line(world, now - 1), "end"), "--");
}

/* A reload under way */

static bool falls_to_one(struct slu_catalog *catalog)
{
    for (int i = 0; i < 5000 && catalog->references != 1; i++)
        usleep(1000);
    return catalog->references == 1;
}

static void reload_while_a_request_is_at_the_cloud(void **state)
{
    struct world *world = *state;
    struct slu_catalog *old = world->gateway.catalog, *new;
    static struct cloud second;
    struct answer answer;
    int fd = dial(world, FRONT_REST);

    cloud_start(&second);
    new = world_catalog(second.peer->port);
    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    assert_true(slu_worker_adopt(&world->worker, new));
    told(world, create(world), 201); /* another one is not held up, and goes to the new cloud */
    assert_int_equal(second.peer->posts, 1);
    assert_int_equal(world->cloud.peer->posts, 1);
    assert_true(old->references > 1); /* the old request still stands on it */
    world->cloud.way = CLOUD_ANSWERS;
    assert_true(hear(fd, &answer));
    told(world, &answer, 201);
    assert_true(falls_to_one(old));
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log); /* the same connection */
    assert_true(hear(fd, &answer));
    told(world, &answer, 201);
    assert_int_equal(second.peer->posts, 2);
    assert_int_equal(world->cloud.peer->posts, 1);
    close(fd);
    slu_catalog_free(old);
    world->gateway.catalog = new;
    world_end_worker(world); /* its connections go before their cloud */
    peer_stop(second.peer);
}

/* Every allocation failing */

struct failing {
    unsigned long at, asked;
};

static void begin_failing(void *argument)
{
    slu_mem_fail_at(((struct failing *)argument)->at);
}

static void end_failing(void *argument)
{
    ((struct failing *)argument)->asked = slu_mem_fail_at(0);
}

/* The caller hears of success, of a fault on our side, or the connection ends. */
static void fails_politely(struct world *world, int fd, unsigned long n)
{
    static struct answer answer;
    bool whole = hear(fd, &answer);

    if (!whole && answer.text[0]) {
        print_error("allocation %lu: half an answer: %s\n", n, answer.text);
        fail();
    }
    if (!whole || answer.status == 201)
        return;
    if (answer.status < 500)
        print_error("allocation %lu: %s\n", n, answer.text);
    assert_true(answer.status >= 500);
    if (answer.body.n)
        read_json(world, answer.body);
}

/* With the n-th allocation failing; false when nothing failed any more. */
static bool fails_once(struct world *world, unsigned long n)
{
    struct failing failing = {.at = n};
    int fd;

    world_on_loop(world, begin_failing, &failing);
    fd = dial(world, FRONT_REST);
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "prefer: wait=1\r\n", net_flow_log);
    fails_politely(world, fd, n);
    world_on_loop(world, end_failing, &failing);
    close(fd);
    told(world, create(world), 201);
    return failing.asked >= n;
}

/* A worker that has answered before keeps much of what it needs. */
static void every_allocation_of_a_warm_worker_fails(void **state)
{
    struct world *world = *state;
    unsigned long n = 1;

    world->cloud.way = CLOUD_CLOSES;
    told(world, create(world), 201);
    while (fails_once(world, n))
        n++;
    assert_true(n > 1);
}

static void every_allocation_of_a_cold_worker_fails(void **state)
{
    struct world *world = *state;
    unsigned long n = 1;

    world->cloud.way = CLOUD_CLOSES;
    while (fails_once(world, n)) {
        n++;
        world_begin_anew(world);
    }
    assert_true(n > 10);
}

/* The memory of one request ends a little later each time. */
static void every_budget_of_a_request(void **state)
{
    struct world *world = *state;
    uint32_t bytes = 0;
    bool good = false;
    unsigned refused = 0;

    while (!good) {
        static struct answer answer;
        int fd;

        assert_true(bytes < 1 << 20);
        world->gateway.catalog->limits.request_bytes = bytes += 128;
        world_begin_anew(world);
        fd = dial(world, FRONT_REST);
        ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
        good = hear(fd, &answer) && answer.status == 201;
        if (!good && answer.text[0]) {
            told(world, &answer, 503);
            refused++;
        }
        close(fd);
    }
    assert_true(refused > 0);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(create_sends_exactly_this),
        IN_A_WORLD(get_reads_it_back),
        IN_A_WORLD(dry_run_sends_nothing),
        IN_A_WORLD(waits_as_long_as_the_caller_likes),
        IN_A_WORLD(reset_after_the_request),
        IN_A_WORLD(leaves_while_its_body_is_awaited),
        IN_A_WORLD(leaves_while_a_read_is_at_the_cloud),
        IN_A_WORLD(leaves_while_a_write_is_at_the_cloud),
        IN_A_WORLD(leaves_while_settling),
        IN_A_WORLD(leaves_while_the_answer_is_written),
        IN_A_WORLD(reload_while_a_request_is_at_the_cloud),
        IN_A_WORLD(every_allocation_of_a_warm_worker_fails),
        IN_A_WORLD(every_allocation_of_a_cold_worker_fails),
        IN_A_WORLD(every_budget_of_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
