/* Access lines: what they tell of good, refused and lossy requests, what they never tell, and that
 * a reader who does not read never holds up a request. */
#include "world.h"

#include <fcntl.h>

/* What the lines tell */

static int64_t sum_of(const struct slu_value *numbers)
{
    int64_t sum = 0, number;

    slu_value_each (one, numbers) {
        assert_true(slu_value_to_int(one, &number));
        sum += number;
    }
    return sum;
}

static void a_good_create_is_told_whole(void **state)
{
    struct world *world = *state;
    const struct answer *answer = talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    struct slu_value *line = world_line(world, 0), *cloud = slu_value_member(line, "cloud");
    struct slu_value *steps = slu_value_member(line, "steps_us");

    assert_int_equal(answer->status, 201);
    assert_str(text_of(line, "event"), "request");
    assert_true(head_has(answer, slu_arena_printf(&world->arena, "x-request-id: %.*s\r\n",
                                                  SLU_FMT(text_of(line, "request_id")))
                                     .p));
    assert_true(slu_str_starts(text_of(line, "peer"), SLU_STR("127.0.0.1:")));
    assert_str(text_of(line, "method"), "POST");
    assert_str(text_of(line, "path"), NET_FLOW_LOGS);
    assert_str(text_of(line, "caller"), "portal");
    assert_str(text_of(line, "target"), "net");
    assert_str(text_of(line, "dialect"), "otc-vpc");
    assert_str(text_of(line, "operation"), "create");
    assert_str(text_of(line, "flow_log_id"), ANY_UUID);
    assert_int_equal(number_of(line, "status"), 201);
    assert_true(number_of(line, "bytes_in") > (int64_t)strlen(net_flow_log));
    assert_int_equal(number_of(line, "bytes_out"), strlen(answer->text));
    assert_int_equal(number_of(cloud, "calls"), 1);
    assert_int_equal(number_of(cloud, "status"), 201);
    assert_str(text_of(cloud, "request_id"), "cloud-77");
    assert_true(number_of(cloud, "bytes_in") >= (int64_t)strlen(NET_REPLY));
    assert_true(number_of(cloud, "bytes_out") > 0);
    assert_false(slu_value_member(cloud, "reused")->truth);
    assert_true(number_of(line, "total_us") >= number_of(line, "own_us"));
    assert_true(number_of(line, "total_us") >= number_of(cloud, "us"));
    assert_true(number_of(steps, "send") > 0);
    assert_str(text_of(line, "end"), "--");
    assert_int_equal(text_of(line, "time").n, strlen("2026-01-01T00:00:00.000Z"));
    assert_null(slu_value_member(line, "code"));
    assert_null(slu_value_member(line, "losses"));
}

/* Time that is waited for somebody else is in no step of ours. */
static void own_time_is_apart_from_the_clouds(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);
    struct slu_value *line;
    struct answer answer;

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS "/" ANY_UUID, "", NULL);
    assert_true(reaches(&world->cloud.held, 1));
    usleep(200000);
    world->cloud.way = CLOUD_ANSWERS;
    assert_true(hear(fd, &answer));
    close(fd);
    line = world_line(world, 0);
    assert_true(number_of(slu_value_member(line, "cloud"), "us") >= 200000);
    assert_true(number_of(slu_value_member(line, "steps_us"), "send") >= 200000);
    assert_true(number_of(line, "own_us") < 200000);
    assert_true(sum_of(slu_value_member(line, "steps_us")) <= number_of(line, "total_us"));
}

static const struct {
    const char *key, *path, *more, *body;
    int status;
    const char *code, *end, *caller, *target, *operation;
} ends[] = {
    /* clang-format off */
    {PORTAL_KEY, "/nowhere", "", NULL, 404, "not_found", "GA", NULL, NULL, NULL},
    {"no-such-key", NET_FLOW_LOGS, "", net_flow_log, 401, "unauthenticated", "GA", NULL, NULL, "create"},
    {READER_KEY, NET_FLOW_LOGS, "", net_flow_log, 403, "forbidden", "GA", "reader", "net", "create"},
    {STRANGER_KEY, NET_FLOW_LOGS, "", net_flow_log, 403, "forbidden", "GA", "stranger", NULL, "create"},
    {PORTAL_KEY, NET_FLOW_LOGS, "", "{\"name\":", 400, "bad_json", "GU", "portal", "net", "create"},
    {PORTAL_KEY, NET_FLOW_LOGS, "", "{}", 422, "invalid_flow_log", "GT", "portal", "net", "create"},
    {PORTAL_KEY, "/v1/targets/memory/flow-logs", "", "{}", 422, "invalid_flow_log", "GU", "portal", "memory", "create"},
    {PORTAL_KEY, "/v1/targets/memory/flow-logs/fl-0", "", NULL, 404, "not_found", "UM", "portal", "memory", "get"},
    {PORTAL_KEY, "/v1/targets", "", NULL, 200, NULL, "--", "portal", NULL, NULL},
    {PORTAL_KEY, NET_FLOW_LOGS "?dry_run=true", "", net_flow_log, 200, NULL, "--", "portal", "net", "create"},
    /* clang-format on */
};

static void check_member(const struct slu_value *line, const char *name, const char *wanted)
{
    if (wanted)
        assert_str(text_of(line, name), wanted);
    else
        assert_null(slu_value_find(line, slu_str_of(name)));
}

static void the_end_tells_who_and_where(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(ends); i++) {
        const struct answer *answer =
            talk_once(world, ends[i].key, ends[i].path, ends[i].more, ends[i].body);
        struct slu_value *line = world_line(world, i);

        if (answer->status != ends[i].status)
            print_error("%s\n", answer->text);
        assert_int_equal(answer->status, ends[i].status);
        assert_int_equal(number_of(line, "status"), ends[i].status);
        assert_str(text_of(line, "end"), ends[i].end);
        check_member(line, "code", ends[i].code);
        check_member(line, "caller", ends[i].caller);
        check_member(line, "target", ends[i].target);
        check_member(line, "operation", ends[i].operation);
        assert_null(slu_value_member(line, "cloud"));
    }
}

static void the_clouds_refusal_is_told(void **state)
{
    struct world *world = *state;
    struct slu_value *line;

    world->cloud.get_status = 404;
    world->cloud.get = "{\"code\":\"VPC.3002\",\"message\":\"not \\\"there\\\"\"}";
    assert_int_equal(talk_once(world, PORTAL_KEY, NET_FLOW_LOGS "/" ANY_UUID, "", NULL)->status,
                     404);
    line = world_line(world, 0);
    assert_str(text_of(line, "end"), "UN");
    assert_str(text_of(line, "code"), "not_found");
    assert_int_equal(number_of(slu_value_member(line, "cloud"), "status"), 404);
    assert_str(text_of(slu_value_member(line, "cloud"), "code"), "VPC.3002");
}

static void losses_are_counted(void **state)
{
    struct world *world = *state;
    struct slu_str body =
        slu_arena_printf(&world->arena, "{\"tags\":{\"team\":\"net\"},%s", net_flow_log + 1);

    assert_int_equal(
        talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "prefer: handling=lenient\r\n", body.p)->status,
        201);
    assert_true(number_of(world_line(world, 0), "losses") >= 1);
    assert_str(text_of(world_line(world, 0), "end"), "--");
}

/* What they never tell, and how they tell the rest */

static void odd_paths_are_escaped(void **state)
{
    struct world *world = *state;
    static const char *const paths[] = {"/a\"b\\c", "/%00%0a\"}", "/<script>'\"", "/\x80\xff",
                                        "/v1/targets?%ff%00=%80"};
    size_t seen = 0;

    for (size_t i = 0; i < SLU_COUNT(paths); i++) {
        const struct answer *answer = talk_once(world, PORTAL_KEY, paths[i], "", NULL);
        struct slu_str line;

        assert_true(answer->status >= 400);
        read_json(world, answer->body);
        line = world_line_text(world, seen++);
        text_of(read_json(world, line), "end");
        for (size_t at = 0; at < line.n; at++)
            assert_true((unsigned char)line.p[at] >= 0x20);
    }
    assert_str(text_of(world_line(world, 0), "path"), paths[0]);
    assert_str(text_of(world_line(world, 3), "path"), "%2F%80%FF");
}

/* Control characters are no part of a request target (RFC 9112 §3): refused, and yet told safely.
 */
static void control_characters_are_safe(void **state)
{
    struct world *world = *state;
    static const char head[] = "GET /a\x01\x1b[31m HTTP/1.1\r\nhost: a\r\n\r\n";
    struct answer answer;
    struct slu_str line;
    int fd = dial(world, FRONT_REST);

    say_bytes(fd, head, sizeof(head) - 1);
    assert_true(hear(fd, &answer));
    close(fd);
    assert_int_equal(answer.status, 400);
    line = world_line_text(world, 0);
    assert_str(text_of(read_json(world, line), "end"), "GA");
    assert_null(memchr(line.p, 0x1b, line.n));
}

static void no_secret_is_told(void **state)
{
    struct world *world = *state;
    static const char *const secrets[] = {PORTAL_KEY,  "no-such-key", CLOUD_SECRET,
                                          "Signature", "Bearer",      "query-token"};
    struct slu_str text;

    talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    talk_once(world, "no-such-key", NET_FLOW_LOGS "?key=query-token", "", net_flow_log);
    talk_once(world, PORTAL_KEY, "/v1/targets?key=query-token", "", NULL);
    world_line(world, 2);
    text = world_lines(world);
    for (size_t i = 0; i < SLU_COUNT(secrets); i++)
        assert_null(memmem(text.p, text.n, secrets[i], strlen(secrets[i])));
}

/* A log that is switched off */

static void silent_when_switched_off(void **state)
{
    struct world *world = *state;

    world->gateway.catalog->access_log = false;
    assert_int_equal(talk_once(world, PORTAL_KEY, "/v1/targets", "", NULL)->status, 200);
    usleep(50000);
    assert_int_equal(world_lines(world).n, 0);
}

/* A reader who does not read */

struct clog {
    int ends[2];
    char path[6001];
};

/* Standard output becomes a small pipe. */
static void clog_start(struct world *world, struct clog *clog)
{
    assert_int_equal(pipe2(clog->ends, O_CLOEXEC), 0);
    assert_true(fcntl(clog->ends[1], F_SETPIPE_SZ, 4096) > 0);
    fcntl(clog->ends[0], F_SETFL, O_NONBLOCK);
    world->gateway.access_direct = false;
    assert_int_equal(dup2(clog->ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(clog->ends[1]);
    memset(clog->path, 'p', sizeof(clog->path) - 1);
    clog->path[0] = '/';
}

static void clog_ask(int fd, const char *path)
{
    static struct answer answer;

    ask(fd, PORTAL_KEY, path, "", NULL);
    assert_true(hear(fd, &answer));
    assert_int_equal(answer.status, 404);
}

/* Asks until the gathered lines, and then some, have been lost. */
static void clog_fill(struct world *world, const struct clog *clog, int fd)
{
    const _Atomic uint64_t *dropped = slu_metrics_dropped(world->gateway.metrics);

    for (int i = 0; i < 400 && *dropped < 5; i++)
        clog_ask(fd, clog->path);
    assert_true(*dropped >= 5);
}

static bool clog_drain(const struct clog *clog, struct slu_buf *read_so_far)
{
    char piece[8192];
    ssize_t got;

    while ((got = read(clog->ends[0], piece, sizeof(piece))) > 0)
        slu_buf_add(read_so_far, (struct slu_str){piece, (size_t)got});
    return memmem(read_so_far->p, read_so_far->n, "\"/last\"", 7) != NULL;
}

static void a_full_pipe_loses_lines_and_counts_them(void **state)
{
    struct world *world = *state;
    struct clog clog;
    struct slu_buf text;
    struct slu_str rest;
    int fd = dial(world, FRONT_REST), lines = 0;

    clog_start(world, &clog);
    clog_fill(world, &clog, fd);
    slu_buf_init(&text, 0);
    for (int i = 0; i < 20; i++) /* some room, so that the last line is taken */
        clog_drain(&clog, &text), clog_ask(fd, "/between");
    for (int i = 0; i < 2000 && !clog_drain(&clog, &text); i++)
        clog_ask(fd, "/last");
    assert_true(clog_drain(&clog, &text));
    rest = slu_buf_str(&text);
    for (struct slu_str line; memchr(rest.p, '\n', rest.n); lines++) {
        line = slu_str_cut(&rest, '\n');
        if (lines % 16 == 0 || line.n < 1000) /* reading all of the long ones takes its time */
            text_of(read_json(world, line), "end");
    }
    assert_true(lines > 50);
    slu_buf_done(&text);
    close(clog.ends[0]);
    close(fd);
}

static void a_reader_who_left_holds_up_nobody(void **state)
{
    struct world *world = *state;
    const _Atomic uint64_t *dropped = slu_metrics_dropped(world->gateway.metrics);
    struct clog clog;
    int fd = dial(world, FRONT_REST);

    clog_start(world, &clog);
    close(clog.ends[0]);
    for (int i = 0; i < 10; i++)
        clog_ask(fd, "/gone");
    close(fd);
    for (int i = 0; i < 1000 && *dropped < 10; i++)
        usleep(1000);
    assert_int_equal(*dropped, 10);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_good_create_is_told_whole),
        IN_A_WORLD(own_time_is_apart_from_the_clouds),
        IN_A_WORLD(the_end_tells_who_and_where),
        IN_A_WORLD(the_clouds_refusal_is_told),
        IN_A_WORLD(losses_are_counted),
        IN_A_WORLD(odd_paths_are_escaped),
        IN_A_WORLD(control_characters_are_safe),
        IN_A_WORLD(no_secret_is_told),
        IN_A_WORLD(silent_when_switched_off),
        IN_A_WORLD(a_full_pipe_loses_lines_and_counts_them),
        IN_A_WORLD(a_reader_who_left_holds_up_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
