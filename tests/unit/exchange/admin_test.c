/* The admin listener: alive, ready (not while draining), metrics, faults on request, and no more.
 */
#include "world.h"

struct admin {
    struct world *world;
    struct slu_loop *loop;
    struct slu_server *server;
    pthread_t thread;
};

static void *run_loop(void *argument)
{
    slu_loop_run(argument);
    return NULL;
}

static int admin_start(void **state)
{
    static struct admin admin;
    struct slu_server_conf conf = {
        .address = "127.0.0.1:0", .limits = {8192, 64, 1024, 64, 5000, 5000, 10000, 5000, 1 << 20}};
    struct slu_fault fault = {0};

    world_start(state);
    admin.world = *state;
    admin.loop = slu_loop_new();
    assert_non_null(admin.loop);
    assert_true(slu_server_new(admin.loop, &conf, &slu_admin_handler, &admin.world->gateway,
                               &admin.server, &fault));
    assert_int_equal(pthread_create(&admin.thread, NULL, run_loop, admin.loop), 0);
    *state = &admin;
    return 0;
}

static int admin_stop(void **state)
{
    struct admin *admin = *state;

    slu_loop_stop(admin->loop);
    pthread_join(admin->thread, NULL);
    slu_server_free(admin->server);
    slu_loop_free(admin->loop);
    *state = admin->world;
    return world_stop(state);
}

static const struct answer *send_admin(struct admin *admin, const char *text)
{
    static struct answer answer;
    int fd = dial_port(port_of(admin->server));

    say_bytes(fd, text, strlen(text));
    assert_true(hear(fd, &answer));
    close(fd);
    return &answer;
}

static const struct answer *ask_admin(struct admin *admin, const char *method, const char *path)
{
    char text[256];

    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", method,
             path);
    return send_admin(admin, text);
}

static void healthz_and_readyz(void **state)
{
    struct admin *admin = *state;
    const struct answer *answer = ask_admin(admin, "GET", "/healthz");

    assert_int_equal(answer->status, 200);
    assert_str(text_of(read_json(admin->world, answer->body), "status"), "alive");
    answer = ask_admin(admin, "GET", "/readyz");
    assert_int_equal(answer->status, 200);
    assert_str(text_of(read_json(admin->world, answer->body), "status"), "ready");
    admin->world->gateway.draining = true;
    answer = ask_admin(admin, "GET", "/readyz");
    assert_int_equal(answer->status, 503);
    assert_str(text_of(read_json(admin->world, answer->body), "status"), "draining");
    assert_int_equal(ask_admin(admin, "GET", "/healthz")->status, 200); /* alive all the same */
}

static const struct answer *metrics(struct admin *admin)
{
    const struct answer *answer = ask_admin(admin, "GET", "/metrics");

    assert_int_equal(answer->status, 200);
    assert_true(head_has(answer, "text/plain; version=0.0.4; charset=utf-8\r\n"));
    return answer;
}

static bool says(const struct answer *answer, const char *text)
{
    return memmem(answer->body.p, answer->body.n, text, strlen(text)) != NULL;
}

/* The gauges are those of the worker's last turn. */
static bool comes_to_say(struct admin *admin, const char *text)
{
    for (int i = 0; i < 1000; i++) {
        if (says(metrics(admin), text))
            return true;
        usleep(5000);
    }
    return false;
}

static void metrics_count_requests(void **state)
{
    struct admin *admin = *state;
    struct world *world = admin->world;
    struct answer answer;
    int fd;

    assert_true(comes_to_say(admin, "\nsluice_requests_in_flight 0\n"));
    talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", "{}");
    world->cloud.way = CLOUD_HOLDS;
    fd = dial(world, FRONT_REST);
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(comes_to_say(admin, "\nsluice_requests_in_flight 1\n"));
    assert_true(says(metrics(admin), "target=\"net\",operation=\"create\",code=\"ok\"} 1\n"));
    assert_true(says(metrics(admin), "code=\"invalid_flow_log\"} 1\n"));
    world->cloud.way = CLOUD_ANSWERS;
    assert_true(hear(fd, &answer));
    close(fd);
    assert_true(comes_to_say(admin, "\nsluice_requests_in_flight 0\n"));
}

static const struct {
    const char *method, *path;
    int status;
    const char *code;
} refusals[] = {
    {"GET", "/", 404, "not_found"},
    {"GET", "/healthz/", 404, "not_found"},
    {"GET", NET_FLOW_LOGS, 404, "not_found"},
    {"POST", "/healthz", 405, "method_not_allowed"},
    {"DELETE", "/metrics", 405, "method_not_allowed"},
    {"PUT", "/sandbox/faults", 405, "method_not_allowed"},
    {"GET", "/sandbox", 404, "not_found"},
};

static void nothing_else_is_there(void **state)
{
    struct admin *admin = *state;

    for (size_t i = 0; i < SLU_COUNT(refusals); i++) {
        const struct answer *answer = ask_admin(admin, refusals[i].method, refusals[i].path);

        assert_int_equal(answer->status, refusals[i].status);
        assert_true(head_has(answer, "application/problem+json\r\n"));
        assert_str(text_of(read_json(admin->world, answer->body), "code"), refusals[i].code);
        /* RFC 9110 §15.5.6: 405 names what is allowed */
        assert_int_equal(strcasestr(answer->text, "\r\nallow: GET, HEAD") != NULL,
                         refusals[i].status == 405);
    }
}

static void a_head_has_no_body(void **state)
{
    struct admin *admin = *state;
    static struct answer answer;
    int fd = dial_port(port_of(admin->server));
    static const char head[] = "HEAD /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    size_t n = 0;
    ssize_t got;

    say_bytes(fd, head, sizeof(head) - 1);
    while ((got = recv(fd, answer.text + n, sizeof(answer.text) - 1 - n, 0)) > 0)
        n += (size_t)got;
    close(fd);
    assert_non_null(strstr(answer.text, "HTTP/1.1 200 "));
    assert_string_equal(answer.text + n - 4, "\r\n\r\n");
}

static void broken_messages_are_refused(void **state)
{
    struct admin *admin = *state;

    assert_int_equal(send_admin(admin, "GET /healthz HTTP/1.1\r\n\r\n")->status, 400);
    assert_int_equal(send_admin(admin, "nonsense\r\n\r\n")->status, 400);
    assert_int_equal(ask_admin(admin, "GET", "/healthz")->status, 200);
}

static const struct answer *order(struct admin *admin, const char *type, const char *body)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "POST /sandbox/faults HTTP/1.1\r\nhost: a\r\ncontent-type: %s\r\n"
             "content-length: %zu\r\n\r\n%s",
             type, strlen(body), body);
    return send_admin(admin, text);
}

static size_t orders_to_come(struct admin *admin)
{
    const struct answer *answer = ask_admin(admin, "GET", "/sandbox/faults");

    assert_int_equal(answer->status, 200);
    return slu_value_member(read_json(admin->world, answer->body), "faults")->count;
}

static const struct {
    const char *type, *body;
    int status;
    const char *code, *pointer; /* of the first mistake, or NULL */
} orders[] = {
    {"application/json", "{\"target\":\"memory\",\"fault\":\"reset\"}", 201, NULL, NULL},
    {"application/json; charset=utf-8", "{\"target\":\"ali\",\"fault\":\"slow\",\"delay_ms\":9}",
     201, NULL, NULL},
    {"text/plain", "{\"target\":\"memory\",\"fault\":\"reset\"}", 415, "unsupported_media_type",
     NULL},
    {"application/json", "{\"target\":\"net\",\"fault\":\"reset\"}", 422, "invalid_flow_log",
     "/target"},
    {"application/json", "{\"target\":\"nobody\",\"fault\":\"reset\"}", 404, "not_found", NULL},
    {"application/json", "{\"target\":\"memory\",\"fault\":\"resett\"}", 422, "invalid_flow_log",
     "/fault"},
    {"application/json", "{\"target\":", 400, "bad_json", "/target"},
    {"application/json", "", 400, "bad_json", ""},
};

static void faults_are_ordered_and_cleared(void **state)
{
    struct admin *admin = *state;

    for (size_t i = 0; i < SLU_COUNT(orders); i++) {
        const struct answer *answer = order(admin, orders[i].type, orders[i].body);
        const struct slu_value *told = read_json(admin->world, answer->body);

        assert_int_equal(answer->status, orders[i].status);
        if (orders[i].code)
            assert_str(text_of(told, "code"), orders[i].code);
        else
            assert_non_null(slu_value_member(told, "count"));
        if (orders[i].pointer)
            assert_str(text_of(slu_value_item(slu_value_member(told, "errors"), 0), "pointer"),
                       orders[i].pointer);
    }
    assert_int_equal(orders_to_come(admin), 2);
    assert_int_equal(ask_admin(admin, "DELETE", "/sandbox/faults")->status, 200);
    assert_int_equal(orders_to_come(admin), 0);
}

#define WITH_ADMIN(test) cmocka_unit_test_setup_teardown(test, admin_start, admin_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ADMIN(healthz_and_readyz),          WITH_ADMIN(metrics_count_requests),
        WITH_ADMIN(nothing_else_is_there),       WITH_ADMIN(a_head_has_no_body),
        WITH_ADMIN(broken_messages_are_refused), WITH_ADMIN(faults_are_ordered_and_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
