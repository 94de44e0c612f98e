/* Our own client where it promises more than the interface: kept connections and what is sent
 * again. */
#include "peer.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static const struct peer_script hello = {OK_HEAD "Content-Length: 2\r\n\r\nhi", THEN_KEEP, NULL};

struct world {
    struct slu_loop *loop;
    struct slu_resolver *resolver;
};

static int setup(void **state)
{
    static struct world world;

    world.loop = slu_loop_new();
    world.resolver = slu_resolver_new(world.loop);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    slu_resolver_free(world->resolver);
    slu_loop_free(world->loop);
    return 0;
}

static struct slu_upstream *open_upstream(struct world *world, struct slu_upstream_conf conf)
{
    struct slu_upstream *upstream = NULL;
    struct slu_fault fault = {0};

    conf.transport = SLU_TRANSPORT_OWN;
    conf.host = "127.0.0.1";
    if (!slu_upstream_new(world->loop, world->resolver, &conf, &upstream, &fault))
        fail_msg("%s: %s", fault.place, fault.words);
    return upstream;
}

static struct outcome answered(struct world *world, struct slu_upstream *upstream,
                               const char *method)
{
    struct slu_request request = request_of(method, "/", "");
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    if (got.result.sent != SLU_SENT_ANSWERED)
        fail_msg("%s", got.result.fault.words);
    slu_arena_done(&got.arena);
    return got;
}

/* What happens to a connection once its first reply is out, and whether the client still has it. */
static void serve_then_close(struct peer_end *end)
{
    if (peer_request(end))
        peer_say(end, hello.reply);
    usleep(20000);
}

static void serve_then_chatter(struct peer_end *end)
{
    if (peer_request(end) && peer_say(end, hello.reply)) {
        usleep(20000);
        peer_say(end, hello.reply);
        peer_hang(end);
    }
}

static void serve_too_much(struct peer_end *end)
{
    if (peer_request(end) && peer_say(end, OK_HEAD "Content-Length: 2\r\n\r\nhi there"))
        peer_hang(end);
}

static void serve_old(struct peer_end *end)
{
    if (peer_request(end) && peer_say(end, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
        peer_hang(end);
}

static void idle_connections_are_watched(void **state)
{
    static const struct {
        peer_serve_fn *serve;
        unsigned at_first, later;
    } cases[] = {
        {peer_serve_script, 1, 1}, {serve_then_close, 1, 0}, {serve_then_chatter, 1, 0},
        {serve_too_much, 0, 0},    {serve_old, 0, 0},
    };
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        struct peer *peer = peer_start(cases[i].serve, &hello, NULL);
        struct slu_upstream *upstream =
            open_upstream(world, (struct slu_upstream_conf){.port = peer->port});

        answered(world, upstream, "GET");
        assert_int_equal(slu_upstream_counts(upstream).idle, cases[i].at_first);
        run_for(world->loop, 200);
        assert_int_equal(slu_upstream_counts(upstream).idle, cases[i].later);
        assert_int_equal(slu_upstream_counts(upstream).open, cases[i].later);
        slu_upstream_free(upstream);
        peer_stop(peer);
    }
}

/* However much it is used: its name may lead elsewhere by now. */
static void old_connections_are_not_kept(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port, .age_ms = 300});

    answered(world, upstream, "GET");
    run_for(world->loop, 180);
    assert_true(answered(world, upstream, "GET").result.reused);
    run_for(world->loop, 180);
    assert_true(answered(world, upstream, "GET").result.reused); /* the last one over it */
    assert_int_equal(slu_upstream_counts(upstream).open, 0);
    assert_false(answered(world, upstream, "GET").result.reused);
    assert_int_equal(slu_upstream_counts(upstream).idle, 1);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void idle_connections_end_in_time(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port, .idle_ms = 300});

    answered(world, upstream, "GET");
    run_for(world->loop, 180);
    assert_true(answered(world, upstream, "GET").result.reused);
    run_for(world->loop, 180); /* 360 ms old, but used 180 ms ago */
    assert_int_equal(slu_upstream_counts(upstream).idle, 1);
    run_for(world->loop, 250);
    assert_int_equal(slu_upstream_counts(upstream).open, 0);
    assert_false(answered(world, upstream, "GET").result.reused);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* The reset arrived, but the loop had no turn to see it: the write fails with nothing sent, so any
 * method goes again, on a new connection and without the caller's knowledge. */
static void serve_then_reset(struct peer_end *end)
{
    if (end->number > 0) {
        peer_serve_script(end);
        return;
    }
    if (peer_request(end))
        peer_say(end, hello.reply);
    usleep(10000);
    peer_reset(end);
}

static void what_never_left_goes_again(void **state)
{
    static const char *const methods[] = {"GET", "POST", "DELETE"};
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(methods); i++) {
        struct peer *peer = peer_start(serve_then_reset, &hello, NULL);
        struct slu_upstream *upstream =
            open_upstream(world, (struct slu_upstream_conf){.port = peer->port});

        answered(world, upstream, "GET");
        usleep(200000);
        assert_int_equal(slu_upstream_counts(upstream).idle, 1);
        assert_false(answered(world, upstream, methods[i]).result.reused);
        assert_int_equal(peer->requests, 2);
        assert_int_equal(peer->connections, 2);
        slu_upstream_free(upstream);
        peer_stop(peer);
    }
}

/* Every connection dies on its second request, and the fresh one on its first: a read is repeated
 * once, not for ever. */
static void serve_first_of_first(struct peer_end *end)
{
    if (peer_request(end) && end->number == 0 && peer_say(end, hello.reply))
        peer_request(end);
}

static void a_read_is_repeated_once(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(serve_first_of_first, NULL, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got;

    answered(world, upstream, "GET");
    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.fault.kind, SLU_FAULT_UPSTREAM_BROKEN);
    assert_int_equal(got.result.sent, SLU_SENT_PERHAPS);
    assert_int_equal(peer->requests, 3);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* A reply that had begun is not asked for again. */
static void serve_half_of_second(struct peer_end *end)
{
    if (peer_request(end) && peer_say(end, hello.reply) && peer_request(end))
        peer_say(end, "HTTP/1.1 200 OK\r\nContent-Le");
}

static void a_reply_that_began_is_not_repeated(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(serve_half_of_second, NULL, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got;

    answered(world, upstream, "GET");
    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.fault.kind, SLU_FAULT_UPSTREAM_BROKEN);
    assert_int_equal(peer->requests, 2);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* The link used last is taken first. */
static void the_newest_connection_is_taken(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port, .idle_ms = 500});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got = {.loop = world->loop, .wanted = 3};

    slu_arena_init(&got.arena, 65536);
    for (unsigned i = 0; i < 3; i++)
        assert_non_null(
            slu_upstream_send(upstream, &request, &got.arena, 2000, outcome_take, &got));
    slu_loop_run(world->loop);
    slu_arena_done(&got.arena);
    assert_int_equal(slu_upstream_counts(upstream).idle, 3);
    for (unsigned i = 0; i < 5; i++) {
        run_for(world->loop, 120);
        answered(world, upstream, "GET");
    }
    assert_int_equal(slu_upstream_counts(upstream).idle, 1);
    assert_int_equal(peer->connections, 3);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void parts_no_head_can_hold_are_refused(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request request = request_of("GET", "/a b\r\nX: y", "");
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.fault.kind, SLU_FAULT_INTERNAL);
    assert_int_equal(got.result.sent, SLU_SENT_NOTHING);
    assert_int_equal(peer->requests, 0);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void a_proxy_needs_the_other_transport(void **state)
{
    struct world *world = *state;
    struct slu_upstream_conf conf = {.host = "127.0.0.1", .port = 1, .proxy = "http://127.0.0.1:2"};
    struct slu_upstream *upstream = NULL;
    struct slu_fault fault = {0};

    assert_false(slu_upstream_new(world->loop, world->resolver, &conf, &upstream, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_CONFIG);
    assert_null(upstream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(idle_connections_are_watched),      TEST(idle_connections_end_in_time),
        TEST(old_connections_are_not_kept),      TEST(what_never_left_goes_again),
        TEST(a_read_is_repeated_once),           TEST(a_reply_that_began_is_not_repeated),
        TEST(the_newest_connection_is_taken),    TEST(parts_no_head_can_hold_are_refused),
        TEST(a_proxy_needs_the_other_transport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
