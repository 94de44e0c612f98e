/* Which native calls make up an operation, in which order, and what is told when one of them fails:
 * what stands on the cloud, and that it must not be sent again. */
#include "script.h"

#define NEW_UUID "15c4052d-8d14-488f-aa00-19fea5a25fdf"
#define ONE      NET_FLOW_LOGS "/" ANY_UUID
#define ROUTERS  "/v1/targets/router/flow-logs"
#define A_ROUTER ROUTERS "/" ANY_UUID
#define NET_PATH "/v1/" PROJECT "/fl/flow_logs"
#define ER_PATH  "/v3/" PROJECT "/enterprise-router/" ROUTER "/flow-logs"
#define WAIT     "prefer: wait=20\r\n"

struct cloud_now {
    struct script script;
    const char *fails; /* the call that fails: its method, and how its path ends */
    const char *ends;
    int status;
    unsigned pending; /* so many looks find a write still under way */
    unsigned after_write;
    bool gone, overlapped, garbled;
    const char *made; /* id of what a create makes */
};

static struct cloud_now now;

static bool ends_with(const char *text, size_t n, const char *end)
{
    return n >= strlen(end) && memcmp(text + n - strlen(end), end, strlen(end)) == 0;
}

static bool fails(const struct peer_end *end)
{
    return now.fails && strcmp(end->method, now.fails) == 0 &&
           ends_with(end->target, strcspn(end->target, "?"), now.ends);
}

static void tell_net(FILE *body, const char *id)
{
    fprintf(body,
            "{\"flow_log\":{\"id\":\"%s\",\"tenant_id\":\"" PROJECT "\",\"admin_state\":true,"
            "\"status\":\"ACTIVE\",\"created_at\":\"2019-01-14T11:03:02\",\"updated_at\":"
            "\"2019-01-14T11:03:02\",\"name\":\"edge-reject\",\"description\":\"old\","
            "\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID
            "\",\"traffic_type\":\"reject\",\"log_group_id\":\"" ANY_UUID
            "\",\"log_topic_id\":\"" ANY_UUID "\"}}",
            id);
}

static void tell_router(FILE *body, const char *id, bool pending)
{
    fprintf(body,
            "{\"flow_log\":{\"id\":\"%s\",\"name\":\"edge-router\",\"project_id\":\"" PROJECT
            "\",\"resource_type\":\"attachment\",\"resource_id\":\"" ANY_UUID
            "\",\"log_group_id\":\"" ANY_UUID "\",\"log_stream_id\":\"" ANY_UUID
            "\",\"log_store_type\":\"LTS\",\"log_aggregation_interval\":600,\"created_at\":"
            "\"2020-03-11T15:13:31Z\",\"updated_at\":\"2022-03-11T15:13:31Z\",\"state\":\"%s\","
            "\"enabled\":true,\"description\":\"\"},\"request_id\":\"915a14a6\"}",
            id, pending ? "pending" : "available");
}

static int answer(struct script *script, const struct peer_end *end, FILE *body)
{
    bool write = strcmp(end->method, "GET") != 0, router = strstr(end->target, "/v3/") != NULL;
    bool create =
        strcmp(end->method, "POST") == 0 && ends_with(end->target, strlen(end->target), "s");

    (void)script;
    if (write && now.after_write)
        now.overlapped = true;
    if (fails(end) || (now.gone && !create)) {
        fputs("{\"error_msg\":\"no\",\"error_code\":\"X.1\"}", body);
        return fails(end) ? now.status : 404;
    }
    if (write)
        now.after_write = now.pending;
    if (now.garbled && write) {
        fputs("<html>", body);
        return 200;
    }
    if (strcmp(end->method, "DELETE") == 0) {
        now.gone = true;
        return router ? 202 : 204;
    }
    if (router)
        tell_router(body, create ? now.made : ANY_UUID, now.after_write > 0);
    else
        tell_net(body, create || strstr(end->target, NEW_UUID) ? now.made : ANY_UUID);
    now.after_write -= !write && now.after_write;
    return create ? 201 : 200;
}

static int begin(void **state)
{
    struct world *world;

    world_start(state);
    world = *state;
    memset(&now, 0, sizeof(now));
    now.made = ANY_UUID;
    script_start(&now.script, answer, NULL);
    world_point(world, world_target(world, "net"), now.script.peer->port);
    world_point(world, world_target(world, "router"), now.script.peer->port);
    world_begin_anew(world);
    return 0;
}

static int end(void **state)
{
    now.script.holds = false;
    world_end_worker(*state);
    script_stop(&now.script);
    return world_stop(state);
}

/* The calls so far were these; looks that wait are told once. */
static void called(const char *const *calls)
{
    unsigned at = 0;

    for (unsigned i = 0; i < now.script.count; i++) {
        if (i && strcmp(now.script.calls[i], now.script.calls[i - 1]) == 0)
            continue;
        assert_non_null(calls[at]);
        assert_string_equal(now.script.calls[i], calls[at++]);
    }
    assert_null(calls[at]);
    now.script.count = 0;
}

#define CALLED(...) called((const char *const[]){__VA_ARGS__, NULL})

static bool says(const struct slu_value *problem, const char *words)
{
    struct slu_str detail = text_of(problem, "detail");

    if (memmem(detail.p, detail.n, words, strlen(words)))
        return true;
    print_error("%.*s\n", SLU_FMT(detail));
    return false;
}

static void stands(const struct slu_value *problem, const char *id, const char *words)
{
    assert_str(text_of(problem, "flow_log_id"), id);
    assert_str(text_of(slu_value_member(problem, "flow_log"), "id"), id);
    assert_false(slu_value_member(problem, "retryable")->truth);
    assert_true(says(problem, words));
}

static const char router_off[] =
    "{\"name\":\"edge-router\",\"enabled\":false,\"resource_type\":\"router_attachment\","
    "\"resource_id\":\"" ANY_UUID "\",\"destination\":{\"type\":\"lts\",\"group\":\"" ANY_UUID
    "\",\"stream\":\"" ANY_UUID "\"}}";

static void made_switched_off(void **state)
{
    now.pending = 2;
    heard(*state, talk_method(*state, "POST", ROUTERS, "", router_off), 201);
    CALLED("POST " ER_PATH, "GET " ER_PATH "/" ANY_UUID, "POST " ER_PATH "/" ANY_UUID "/disable");
    assert_false(now.overlapped);
}

static void the_switch_fails(void **state)
{
    struct slu_value *problem;

    now.fails = "POST";
    now.ends = "/disable";
    now.status = 500;
    problem = heard(*state, talk_method(*state, "POST", ROUTERS, "", router_off), 502);
    stands(problem, ANY_UUID, "was made and stands enabled, but: ");
    assert_true(slu_value_member(slu_value_member(problem, "flow_log"), "enabled")->truth);
}

static void renamed_and_switched(void **state)
{
    static const char patch[] = "{\"name\":\"other\",\"enabled\":false}";

    now.pending = 1;
    heard(*state, talk_method(*state, "PATCH", A_ROUTER, "", patch), 200);
    CALLED("GET " ER_PATH "/" ANY_UUID, "PUT " ER_PATH "/" ANY_UUID, "GET " ER_PATH "/" ANY_UUID,
           "POST " ER_PATH "/" ANY_UUID "/disable");
    assert_false(now.overlapped);
    now.after_write = 0;
    now.fails = "POST";
    now.ends = "/disable";
    now.status = 429;
    stands(heard(*state, talk_method(*state, "PATCH", A_ROUTER, "", patch), 429), ANY_UUID,
           "was changed, but: ");
}

/* One that is not sent at all: only the switch, only what differs, nothing. */
static void only_what_is_named(void **state)
{
    heard(*state, talk_method(*state, "PATCH", A_ROUTER, "", "{\"enabled\":false}"), 200);
    CALLED("GET " ER_PATH "/" ANY_UUID, "POST " ER_PATH "/" ANY_UUID "/disable");
    heard(*state, talk_method(*state, "PATCH", A_ROUTER, "", "{\"name\":\"edge-router\"}"), 200);
    CALLED("GET " ER_PATH "/" ANY_UUID);
    heard(*state, talk_method(*state, "PATCH", ONE, "", "{\"description\":\"new\"}"), 200);
    CALLED("GET " NET_PATH "/" ANY_UUID, "PUT " NET_PATH "/" ANY_UUID);
}

static void a_change_waits_for_the_one_before(void **state)
{
    now.after_write = 1;
    heard(*state, talk_method(*state, "PATCH", A_ROUTER, "", "{\"name\":\"other\"}"), 200);
    CALLED("GET " ER_PATH "/" ANY_UUID, "PUT " ER_PATH "/" ANY_UUID);
    assert_int_equal(now.after_write, 0);
}

static void changes_never_overlap(void **state)
{
    static struct answer told;
    int fds[6];

    now.pending = 1;
    for (size_t i = 0; i < SLU_COUNT(fds); i++) {
        char patch[64];

        fds[i] = dial(*state, FRONT_REST);
        snprintf(patch, sizeof(patch), "{\"name\":\"name-%zu\"}", i);
        say_method(fds[i], "PATCH", A_ROUTER, "", patch);
    }
    for (size_t i = 0; i < SLU_COUNT(fds); i++) {
        assert_true(hear(fds[i], &told));
        heard(*state, &told, 200);
        close(fds[i]);
    }
    assert_false(now.overlapped);
}

static void replaced(void **state)
{
    struct slu_value *document;

    now.made = NEW_UUID;
    document = heard(
        *state, talk_method(*state, "PATCH", ONE "?replace=true", "", "{\"traffic_type\":\"all\"}"),
        200);
    assert_str(text_of(document, "id"), NEW_UUID);
    assert_str(text_of(document, "replaced"), ANY_UUID);
    CALLED("GET " NET_PATH "/" ANY_UUID, "POST " NET_PATH, "DELETE " NET_PATH "/" ANY_UUID);
}

static void the_old_one_stays(void **state)
{
    now.made = NEW_UUID;
    now.fails = "DELETE";
    now.ends = ANY_UUID;
    now.status = 409;
    stands(
        heard(*state,
              talk_method(*state, "PATCH", ONE "?replace=true", "", "{\"traffic_type\":\"all\"}"),
              409),
        NEW_UUID, "in place of " ANY_UUID ", which stands too, but: ");
}

static void the_new_one_is_refused(void **state)
{
    struct slu_value *problem;

    now.fails = "POST";
    now.ends = "flow_logs";
    now.status = 409;
    problem = heard(
        *state, talk_method(*state, "PATCH", ONE "?replace=true", "", "{\"traffic_type\":\"all\"}"),
        409);
    assert_str(text_of(problem, "flow_log_id"), ANY_UUID);
    assert_null(slu_value_member(problem, "flow_log"));
    CALLED("GET " NET_PATH "/" ANY_UUID, "POST " NET_PATH);
}

static void dry_replacement_is_refused(void **state)
{
    heard(*state,
          talk_method(*state, "PATCH", ONE "?replace=true&dry_run=true", "",
                      "{\"traffic_type\":\"all\"}"),
          422);
    heard(
        *state,
        talk_method(*state, "PATCH", ONE "?replace=true&dry_run=true", "", "{\"name\":\"other\"}"),
        200);
    heard(*state, talk_method(*state, "DELETE", ONE "?dry_run=true", "", NULL), 200);
    heard(*state, talk_method(*state, "POST", ROUTERS "?dry_run=true", "", router_off), 200);
    assert_int_equal(now.script.count, 0);
}

/* Deleting */

static void deleted_on_a_condition(void **state)
{
    struct slu_value *problem;

    problem =
        heard(*state, talk_method(*state, "DELETE", ONE, "if-match: \"other\"\r\n", NULL), 412);
    assert_str(text_of(problem, "code"), "precondition_failed");
    CALLED("GET " NET_PATH "/" ANY_UUID);
    assert_null(heard(*state, talk_method(*state, "DELETE", ONE, "if-match: *\r\n", NULL), 204));
    CALLED("GET " NET_PATH "/" ANY_UUID, "DELETE " NET_PATH "/" ANY_UUID);
}

static void deleting_goes_on(void **state)
{
    struct slu_value *document =
        heard(*state, talk_method(*state, "DELETE", A_ROUTER, "", NULL), 202);

    assert_str(text_of(document, "status"), "deleting");
    assert_str(text_of(document, "id"), ANY_UUID);
}

static void deletion_is_waited_for(void **state)
{
    assert_null(heard(*state, talk_method(*state, "DELETE", A_ROUTER, WAIT, NULL), 204));
}

static void only_our_own_delete_is_repeated(void **state)
{
    int fd;

    now.gone = true;
    heard(*state, talk_method(*state, "DELETE", ONE, "", NULL), 404);
    now.gone = false;
    now.script.holds = true;
    fd = dial(*state, FRONT_REST);
    say_method(fd, "DELETE", ONE, "", NULL);
    assert_true(reaches(&now.script.held, 1));
    close(fd); /* the caller will not hear of the end */
    usleep(100000);
    now.script.holds = false;
    (void)world_line(*state, 1);
    assert_true(now.gone);
    heard(*state, talk_method(*state, "DELETE", ONE, "", NULL), 204);
    heard(*state, talk_method(*state, "DELETE", NET_FLOW_LOGS "/" NEW_UUID, "", NULL), 404);
    now.gone = false; /* made again with the same id */
    heard(*state, talk_once(*state, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log), 201);
    now.gone = true;
    heard(*state, talk_method(*state, "DELETE", ONE, "", NULL), 404);
}

/* It took effect, though nobody can read what the cloud said. */
static void an_unreadable_success(void **state)
{
    struct slu_value *problem;

    now.garbled = true;
    problem = heard(*state, talk_once(*state, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log), 502);
    assert_str(text_of(problem, "code"), "upstream_unreadable");
    assert_false(slu_value_member(problem, "retryable")->truth);
    assert_true(says(problem, "may have taken effect"));
}

/* A caller who leaves in the middle of a change: what was begun is brought to its end. */
static void leaves_half_way(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);

    now.pending = 2;
    say_method(fd, "POST", ROUTERS, "", router_off);
    for (int i = 0; i < 3000 && now.script.count < 1; i++)
        usleep(1000);
    usleep(100000);
    close(fd);
    (void)world_line(world, 0);
    CALLED("POST " ER_PATH, "GET " ER_PATH "/" ANY_UUID, "POST " ER_PATH "/" ANY_UUID "/disable");
}

static void leaves_before_the_change(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);

    now.after_write = 1000;
    say_method(fd, "PATCH", A_ROUTER, "", "{\"name\":\"other\"}");
    for (int i = 0; i < 3000 && now.script.count < 1; i++)
        usleep(1000);
    usleep(100000);
    close(fd);
    assert_str(text_of(world_line(world, 0), "end"), "CP");
    CALLED("GET " ER_PATH "/" ANY_UUID);
}

/* However many wait, one looks. */
static void one_look_for_all(void **state)
{
    static struct answer told;
    int fds[30];

    now.after_write = 3;
    for (size_t i = 0; i < SLU_COUNT(fds); i++) {
        fds[i] = dial(*state, FRONT_REST);
        ask(fds[i], PORTAL_KEY, ROUTERS, WAIT, router_flow_log);
    }
    now.pending = 3;
    for (size_t i = 0; i < SLU_COUNT(fds); i++) {
        assert_true(hear(fds[i], &told));
        assert_str(text_of(heard(*state, &told, 201), "status"), "active");
        close(fds[i]);
    }
    assert_true(now.script.count < SLU_COUNT(fds) + 12);
}

/* Several targets */

#define ON(targets, policy)                                                                        \
    "{\"targets\":[" targets "],\"policy\":\"" policy "\",\"name\":\"edge\",\"resource_type\":"    \
    "\"vpc\",\"resource_id\":\"" ANY_UUID "\",\"traffic_type\":\"reject\",\"destination\":{"       \
    "\"type\":\"lts\",\"group\":\"" ANY_UUID "\",\"stream\":\"" ANY_UUID "\"}}"

static struct slu_value *result_of(const struct slu_value *document, const char *target)
{
    slu_value_each (result, slu_value_member(document, "results"))
        if (slu_str_is(text_of(result, "target"), target))
            return result;
    fail_msg("no result of %s", target);
    return NULL;
}

/* The second target has a flow log of this content already. */
static void all_or_nothing(void **state)
{
    static const struct {
        const char *fails;
        int status;
        bool gone;
        const char *outcome;
    } rows[] = {{NULL, 0, false, "undone"},
                {"DELETE", 409, false, "undo_failed"},
                {NULL, 0, true, "undone"}}; /* somebody else was faster */

    heard(*state, talk_once(*state, PORTAL_KEY, "/v1/targets/memory/flow-logs", "", net_flow_log),
          201);
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_value *document;

        now.fails = rows[i].fails;
        now.ends = ANY_UUID;
        now.status = rows[i].status;
        now.gone = rows[i].gone;
        document = heard(
            *state,
            talk_once(*state, PORTAL_KEY, "/v1/flow-logs", "", ON("\"net\",\"memory\"", "all")),
            207);
        assert_str(text_of(result_of(document, "memory"), "outcome"), "failed");
        assert_str(text_of(result_of(document, "net"), "outcome"), rows[i].outcome);
        assert_str(text_of(result_of(document, "net"), "id"), ANY_UUID);
    }
}

static void each_for_itself(void **state)
{
    struct slu_value *document, *names;

    now.fails = "POST";
    now.ends = "flow_logs";
    now.status = 500;
    document = heard(
        *state,
        talk_once(*state, PORTAL_KEY, "/v1/flow-logs", "", ON("\"net\",\"memory\"", "best_effort")),
        207);
    assert_str(text_of(result_of(document, "memory"), "outcome"), "created");
    assert_str(text_of(result_of(document, "net"), "outcome"), "failed");
    names = slu_value_member(world_line(*state, 0), "targets");
    assert_int_equal(names->count, 2);
    assert_str(names->first->text, "net");
}

static void every_unknown_target_is_named(void **state)
{
    struct slu_value *problem = heard(
        *state,
        talk_once(*state, PORTAL_KEY, "/v1/flow-logs", "", ON("\"x\",\"memory\",\"y\"", "all")),
        422);
    struct slu_value *errors = slu_value_member(problem, "errors");

    assert_int_equal(errors->count, 2);
    assert_str(text_of(errors->first, "pointer"), "/targets/0");
    assert_str(text_of(errors->last, "pointer"), "/targets/2");
}

/* Fewer rows on a page than there are targets. */
static void merged_in_small_pages(void **state)
{
    char path[8192] = "/v1/flow-logs?page_size=1&targets=memory,otc,ali";
    const struct slu_value *next;
    unsigned rows = 0, pages = 0;

    heard(
        *state,
        talk_once(*state, PORTAL_KEY, "/v1/flow-logs", "", ON("\"memory\",\"otc\",\"ali\"", "all")),
        201);
    do {
        struct slu_value *document =
            heard(*state, talk_once(*state, PORTAL_KEY, path, "", NULL), 200);
        uint32_t count = slu_value_member(document, "flow_logs")->count;

        assert_true(count <= 1 && ++pages < 9);
        rows += count;
        next = slu_value_member(document, "next_page_token");
        if (next->kind == SLU_STRING)
            snprintf(path, sizeof(path),
                     "/v1/flow-logs?page_size=1&targets=memory,otc,ali&page_token=%.*s",
                     SLU_FMT(next->text));
    } while (next->kind == SLU_STRING);
    assert_int_equal(rows, 3);
}

/* A condition without a tag is one that never holds, and not none. */
static void a_condition_must_name_something(void **state)
{
    static const char patch[] = "{\"name\":\"other\"}";

    heard(*state, talk_method(*state, "DELETE", ONE, "if-match: \r\n", NULL), 412);
    heard(*state, talk_method(*state, "PATCH", ONE, "if-match:\r\n", patch), 412);
    CALLED("GET " NET_PATH "/" ANY_UUID);
}

static void heads_of_lists(void **state)
{
    static const char text[] =
        "HEAD /v1/targets/memory/flow-logs HTTP/1.1\r\nhost: a\r\nconnection: "
        "close\r\nauthorization: Bearer " PORTAL_KEY "\r\n\r\n";
    char told[4096];
    int fd = dial(*state, FRONT_REST);
    ssize_t n, all = 0;

    say_bytes(fd, text, sizeof(text) - 1);
    while ((n = recv(fd, told + all, sizeof(told) - 1 - (size_t)all, 0)) > 0)
        all += n;
    close(fd);
    told[all] = '\0';
    assert_non_null(strstr(told, "HTTP/1.1 200"));
    assert_true(ends_with(told, (size_t)all, "\r\n\r\n"));
}

/* Every allocation failing */

static const struct {
    const char *method, *path, *more, *body;
} roads[] = {
    {"PATCH", A_ROUTER, "", "{\"name\":\"other\",\"enabled\":false}"},
    {"PATCH", ONE "?replace=true", "", "{\"traffic_type\":\"all\"}"},
    {"DELETE", A_ROUTER, "if-match: *\r\n", NULL},
    {"GET", "/v1/targets/otc/flow-logs?page_size=2", "", NULL},
    {"GET", "/v1/flow-logs?page_size=1&targets=memory,otc", "", NULL},
    {"POST", "/v1/flow-logs?dry_run=true", "", ON("\"net\",\"memory\"", "all")},
    {"POST", "/v1/flow-logs", "", ON("\"net\",\"memory\"", "best_effort")},
};

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

/* With the n-th allocation failing; false when nothing failed any more. */
static bool fails_once(struct world *world, size_t road, unsigned long n)
{
    static struct answer told;
    struct failing failing = {.at = n};
    int fd;

    now.gone = false;
    now.after_write = 0;
    world_on_loop(world, begin_failing, &failing);
    fd = dial(world, FRONT_REST);
    say_method(fd, roads[road].method, roads[road].path, roads[road].more, roads[road].body);
    if (hear(fd, &told)) {
        if (told.status >= 300 && told.status < 500)
            print_error("road %zu, allocation %lu: %s\n", road, n, told.text);
        assert_true(told.status < 300 || told.status >= 500);
        if (told.body.n)
            read_json(world, told.body);
    }
    world_on_loop(world, end_failing, &failing);
    close(fd);
    slu_arena_reset(&world->arena);
    return failing.asked >= n;
}

static void make_three(struct world *world)
{
    for (unsigned i = 0; i < 3; i++) {
        char body[512];

        snprintf(body, sizeof(body),
                 "{\"name\":\"log-%u\",\"resource_type\":\"vpc\",\"resource_id\":\"vpc-%u\","
                 "\"destination\":{\"type\":\"sls\",\"group\":\"g\",\"stream\":\"s\"}}",
                 i, i);
        heard(world, talk_once(world, PORTAL_KEY, "/v1/targets/otc/flow-logs", "", body), 201);
    }
}

static void every_allocation_fails(void **state)
{
    struct world *world = *state;

    now.made = NEW_UUID;
    make_three(world);
    for (size_t road = 0; road < SLU_COUNT(roads); road++) {
        unsigned long n = 1;

        while (fails_once(world, road, n))
            n++;
        assert_true(n > 1 && n < 2000);
    }
}

#define OF_JOBS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_JOBS(made_switched_off),
        OF_JOBS(the_switch_fails),
        OF_JOBS(renamed_and_switched),
        OF_JOBS(only_what_is_named),
        OF_JOBS(a_change_waits_for_the_one_before),
        OF_JOBS(changes_never_overlap),
        OF_JOBS(replaced),
        OF_JOBS(the_old_one_stays),
        OF_JOBS(the_new_one_is_refused),
        OF_JOBS(dry_replacement_is_refused),
        OF_JOBS(deleted_on_a_condition),
        OF_JOBS(deleting_goes_on),
        OF_JOBS(deletion_is_waited_for),
        OF_JOBS(only_our_own_delete_is_repeated),
        OF_JOBS(an_unreadable_success),
        OF_JOBS(leaves_half_way),
        OF_JOBS(leaves_before_the_change),
        OF_JOBS(one_look_for_all),
        OF_JOBS(all_or_nothing),
        OF_JOBS(each_for_itself),
        OF_JOBS(every_unknown_target_is_named),
        OF_JOBS(merged_in_small_pages),
        OF_JOBS(a_condition_must_name_something),
        OF_JOBS(heads_of_lists),
        OF_JOBS(every_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
