/* Workers: beginning and ending, also with requests under way, draining, and reloads that fail. */
#include "world.h"

static void told(const struct answer *answer, int status)
{
    if (answer->status != status)
        print_error("%s\n", answer->text);
    assert_int_equal(answer->status, status);
}

static void create_is(struct world *world, int status)
{
    told(talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log), status);
}

/* Ending */

static void ends_without_ever_turning(void **state)
{
    struct world *world = *state;

    assert_false(world->worker.started);
    assert_int_equal(world->gateway.catalog->references, 2);
    world_end_worker(world);
    assert_int_equal(world->gateway.catalog->references, 1);
}

static unsigned ends_told(struct world *world, const char *end)
{
    struct slu_str text = world_lines(world);
    struct slu_str wanted = slu_arena_printf(&world->arena, "\"end\":\"%s\"", end);
    unsigned count = 0;
    const char *at;

    while ((at = memmem(text.p, text.n, wanted.p, wanted.n))) {
        count++;
        text.n -= (size_t)(at + wanted.n - text.p);
        text.p = at + wanted.n;
    }
    return count;
}

/* One request at each place where one can wait; the writer `left` leaves at once. */
static void fill_every_place(struct world *world, int fds[5])
{
    static const char half[] =
        "POST " NET_FLOW_LOGS " HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " PORTAL_KEY
        "\r\ncontent-type: application/json\r\n"
        "content-length: 100\r\n\r\n{";

    for (int i = 0; i < 5; i++)
        fds[i] = dial(world, FRONT_REST);
    world->cloud.post_status = 202;
    world->cloud.post = world->cloud.get = ROUTER_REPLY("pending");
    ask(fds[0], PORTAL_KEY, "/v1/targets/router/flow-logs", "prefer: wait=30\r\n", router_flow_log);
    assert_true(reaches(&world->cloud.peer->requests, 1));
    usleep(100000);
    world->cloud.way = CLOUD_HOLDS;
    say_bytes(fds[1], half, sizeof(half) - 1);
    ask(fds[2], PORTAL_KEY, NET_FLOW_LOGS "/" ANY_UUID, "", NULL);
    ask(fds[3], PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    ask(fds[4], PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(reaches(&world->cloud.held, 3));
    close(fds[4]);
    usleep(50000);
}

/* Told to end at once: nobody gets an answer, every request is told, nothing is left behind. */
static void ends_with_requests_under_way(void **state)
{
    struct world *world = *state;
    struct answer answer;
    int fds[5];

    fill_every_place(world, fds);
    world_end_worker(world);
    for (int i = 0; i < 4; i++) {
        assert_false(hear(fds[i], &answer));
        close(fds[i]);
    }
    assert_int_equal(ends_told(world, "CR"), 1);
    assert_int_equal(ends_told(world, "CB"), 1);
    assert_int_equal(ends_told(world, "CC"), 3);
    assert_int_equal(world->gateway.catalog->references, 1);
}

/* The old configuration, which only a write at the cloud still holds, goes with the rest. */
static void ends_with_an_old_catalog_in_use(void **state)
{
    struct world *world = *state;
    struct slu_catalog *old = world->gateway.catalog;
    int fd = dial(world, FRONT_REST);

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    world->gateway.catalog = world_catalog(world->cloud.peer->port);
    assert_true(slu_worker_adopt(&world->worker, world->gateway.catalog));
    close(fd);
    usleep(50000);
    assert_true(old->references > 1);
    world_end_worker(world);
    assert_int_equal(old->references, 1);
    slu_catalog_free(old);
}

/* Draining */

static bool comes_to_rest(struct world *world)
{
    for (int i = 0; i < 5000 && world->gateway.running; i++)
        usleep(1000);
    return world->gateway.running == 0;
}

static void drains_at_once_when_idle(void **state)
{
    struct world *world = *state;
    struct answer answer;
    int idle = dial(world, FRONT_REST);

    create_is(world, 201);
    slu_worker_drain(&world->worker);
    assert_true(comes_to_rest(world));
    world_end_worker(world);
    assert_false(hear(idle, &answer));
    close(idle);
}

static void draining_lets_requests_end(void **state)
{
    struct world *world = *state;
    struct answer answer;
    int fd = dial(world, FRONT_REST), late;
    uint16_t port = port_of(world->worker.fronts[FRONT_REST].server);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    slu_worker_drain(&world->worker);
    usleep(200000);
    assert_int_equal(world->gateway.running, 1);
    to.sin_port = htons(port);
    late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
    close(late);
    world->cloud.way = CLOUD_ANSWERS;
    assert_true(hear(fd, &answer));
    told(&answer, 201);
    assert_non_null(strcasestr(answer.text, "\r\nconnection: close\r\n"));
    close(fd);
    assert_true(comes_to_rest(world));
}

/* The caller has left, but what became of the write is still waited for. */
static void draining_follows_writes_to_their_end(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);
    struct slu_value *line;

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    close(fd);
    usleep(50000);
    slu_worker_drain(&world->worker);
    usleep(200000);
    assert_int_equal(world->gateway.running, 1);
    world->cloud.way = CLOUD_ANSWERS;
    assert_true(comes_to_rest(world));
    line = world_line(world, 0);
    assert_int_equal(number_of(slu_value_member(line, "cloud"), "status"), 201);
}

/* Reloads that fail */

static bool make_station(void *context)
{
    struct world *world = context;
    struct slu_fault fault = {0};
    struct slu_station *station = slu_station_new(&world->worker, world->gateway.catalog, &fault);

    if (!station) {
        assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
        return false;
    }
    slu_station_unref(world->worker.station);
    world->worker.station = station;
    return true;
}

static void a_station_is_made_whole_or_not_at_all(void **state)
{
    struct world *world = *state;

    assert_true(test_every_allocation(make_station, world) > 5);
    assert_true(slu_worker_start(&world->worker));
    create_is(world, 201);
}

struct spoiling {
    unsigned long at;
};

static void spoil(void *argument)
{
    slu_mem_fail_at(((struct spoiling *)argument)->at);
}

static void mend(void *argument)
{
    (void)argument;
    slu_mem_fail_at(0);
}

static void a_reload_without_memory_keeps_the_old(void **state)
{
    struct world *world = *state;
    struct slu_catalog *old = world->gateway.catalog;
    struct slu_catalog *new = world_catalog(world->cloud.peer->port);
    struct spoiling spoiling = {.at = 3};

    slu_log_set(SLU_LOG_ERROR);
    world_on_loop(world, spoil, &spoiling);
    assert_true(slu_worker_adopt(&world->worker, new));
    world_on_loop(world, mend, NULL);
    assert_int_equal(new->references, 1);
    assert_int_equal(old->references, 2);
    create_is(world, 201);
    slu_catalog_free(new);
}

/* Many reloads under load: every request is answered by one catalog or another. */
static void reloads_again_and_again(void **state)
{
    struct world *world = *state;
    struct answer answer;
    int fd = dial(world, FRONT_REST);

    for (int i = 0; i < 20; i++) {
        struct slu_catalog *new = world_catalog(world->cloud.peer->port);

        ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "", net_flow_log);
        assert_true(slu_worker_adopt(&world->worker, new));
        slu_catalog_free(world->gateway.catalog);
        world->gateway.catalog = new;
        assert_true(hear(fd, &answer));
        told(&answer, 201);
    }
    close(fd);
    create_is(world, 201);
    for (int i = 0; i < 1000 && world->gateway.catalog->references != 2; i++)
        usleep(1000);
    assert_int_equal(world->gateway.catalog->references, 2);
}

/* Request ids */

static void request_ids_never_come_twice(void **state)
{
    struct world *world = *state;
    struct slu_str first, second;

    create_is(world, 201);
    create_is(world, 201);
    first = text_of(world_line(world, 0), "request_id");
    second = text_of(world_line(world, 1), "request_id");
    assert_int_equal(first.n, 32);
    assert_false(slu_str_eq(first, second));
}

static int world_at_rest(void **state)
{
    static struct world world;

    world_make(&world);
    *state = &world;
    return 0;
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_stop)
#define AT_REST(test)    cmocka_unit_test_setup_teardown(test, world_at_rest, world_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_REST(ends_without_ever_turning),
        IN_A_WORLD(ends_with_requests_under_way),
        IN_A_WORLD(ends_with_an_old_catalog_in_use),
        IN_A_WORLD(drains_at_once_when_idle),
        IN_A_WORLD(draining_lets_requests_end),
        IN_A_WORLD(draining_follows_writes_to_their_end),
        AT_REST(a_station_is_made_whole_or_not_at_all),
        IN_A_WORLD(a_reload_without_memory_keeps_the_old),
        IN_A_WORLD(reloads_again_and_again),
        IN_A_WORLD(request_ids_never_come_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
