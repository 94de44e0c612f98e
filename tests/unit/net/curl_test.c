/* libcurl where it needs a leash: proxies, the environment, its own header fields, repeated
 * requests. What both transports share is in upstream_test.c. */
#include "peer.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static const struct peer_script hello = {OK_HEAD "Content-Length: 2\r\n\r\nhi", THEN_KEEP, NULL};

struct world {
    struct slu_loop *loop;
    struct slu_resolver *resolver;
    struct dns dns;
    struct made ca, made;
    SSL_CTX *tls; /* for a1.test */
    char ca_file[32];
};

static int setup(void **state)
{
    static struct world world;

    world.loop = slu_loop_new();
    world.resolver = dns_resolver(&world.dns, world.loop);
    world.ca = make_certificate(NULL, NULL, -60, 3600);
    world.made = make_certificate("DNS:a1.test", &world.ca, -60, 3600);
    world.tls = make_server_tls(&world.made);
    snprintf(world.ca_file, sizeof(world.ca_file), "/tmp/sluice-ca-XXXXXX");
    close(mkstemp(world.ca_file));
    write_certificate(&world.ca, world.ca_file);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    slu_resolver_free(world->resolver);
    slu_loop_free(world->loop);
    dns_stop(&world->dns);
    SSL_CTX_free(world->tls);
    made_free(&world->made);
    made_free(&world->ca);
    unlink(world->ca_file);
    return 0;
}

static struct slu_upstream *open_upstream(struct world *world, struct slu_upstream_conf conf)
{
    struct slu_upstream *upstream = NULL;
    struct slu_fault fault = {0};

    conf.transport = SLU_TRANSPORT_CURL;
    if (!slu_upstream_new(world->loop, world->resolver, &conf, &upstream, &fault))
        fail_msg("%s: %s", fault.place, fault.words);
    return upstream;
}

static void the_environment_is_ignored(void **state)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY",
                                        "HTTPS_PROXY"};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream;
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got;

    for (size_t i = 0; i < SLU_COUNT(names); i++)
        setenv(names[i], "http://127.0.0.1:1", 1);
    upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "127.0.0.1", .port = peer->port});
    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    for (size_t i = 0; i < SLU_COUNT(names); i++)
        unsetenv(names[i]);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void redirects_are_not_followed(void **state)
{
    static const struct peer_script away = {
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", THEN_KEEP, NULL};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &away, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "127.0.0.1", .port = peer->port});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.response.status, 302);
    assert_int_equal(peer->requests, 1);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* Fields that curl has an opinion of are sent as given, also empty ones. */
static void fields_go_out_as_given(void **state)
{
    struct slu_header fields[] = {{SLU_STR_INIT("Accept"), SLU_STR_INIT("application/json")},
                                  {SLU_STR_INIT("User-Agent"), SLU_STR_INIT("sluice")},
                                  {SLU_STR_INIT("Content-Type"), SLU_STR_INIT("text/x")},
                                  {SLU_STR_INIT("Authorization"), SLU_STR_INIT("AK v=\"1\"")},
                                  {SLU_STR_INIT("X-Empty"), SLU_STR_INIT("")}};
    static const char *const lines[] = {
        "\r\nAccept: application/json\r\n", "\r\nUser-Agent: sluice\r\n",
        "\r\nContent-Type: text/x\r\n", "\r\nAuthorization: AK v=\"1\"\r\n", "\r\nX-Empty:\r\n"};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "127.0.0.1", .port = peer->port});
    struct slu_request request = request_of("POST", "/../a/./b", "body");
    struct outcome got;

    request.headers = (struct slu_headers){fields, SLU_COUNT(fields), SLU_COUNT(fields)};
    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    assert_memory_equal(peer->last_head, "POST /../a/./b HTTP/1.1\r\n", 25);
    for (size_t i = 0; i < SLU_COUNT(lines); i++)
        assert_non_null(strstr(peer->last_head, lines[i]));
    assert_null(strcasestr(peer->last_head, "expect"));
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* Proxies */

static void http_through_a_proxy(void **state)
{
    struct world *world = *state;
    struct peer *proxy = peer_start(peer_serve_script, &hello, NULL);
    struct slu_request request = request_of("GET", "/v1/x", "");
    struct slu_upstream *upstream;
    struct outcome got;
    char url[64];

    snprintf(url, sizeof(url), "http://a1.test:%u", proxy->port);
    upstream = open_upstream(
        world, (struct slu_upstream_conf){.host = "cloud.example", .port = 8080, .proxy = url});
    for (unsigned i = 0; i < 2; i++) {
        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        assert_memory_equal(proxy->last_head, "GET http://cloud.example:8080/v1/x HTTP/1.1\r\n",
                            45);
        slu_arena_done(&got.arena);
    }
    assert_int_equal(proxy->connections, 1);
    assert_int_equal(slu_resolver_asked(world->resolver), 1); /* the proxy's name only */
    slu_upstream_free(upstream);
    peer_stop(proxy);
}

/* Speaks CONNECT, then is itself the cloud behind it. */
static void serve_tunnel(struct peer_end *end)
{
    if (!peer_request(end) || strcmp(end->method, "CONNECT") != 0)
        return;
    if (!end->peer->script) {
        peer_say(end, "HTTP/1.1 403 Forbidden\r\nX-Proxy: no\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    peer_say(end, "HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n");
    end->ssl = SSL_new((SSL_CTX *)end->peer->script);
    SSL_set_fd(end->ssl, end->fd);
    if (SSL_accept(end->ssl) == 1) {
        while (peer_request(end) && peer_say(end, hello.reply))
            ;
    }
    ERR_clear_error();
}

static void https_through_a_proxy(void **state)
{
    struct world *world = *state;
    struct slu_request request = request_of("POST", "/v1/x", "body");

    for (unsigned allowed = 0; allowed < 2; allowed++) {
        struct peer *proxy = peer_start(serve_tunnel, allowed ? world->tls : NULL, NULL);
        struct slu_upstream *upstream;
        struct outcome got;
        char url[64];

        snprintf(url, sizeof(url), "http://127.0.0.1:%u", proxy->port);
        upstream = open_upstream(
            world,
            (struct slu_upstream_conf){
                .host = "a1.test", .port = 443, .https = true, .ca = world->ca_file, .proxy = url});
        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, allowed ? SLU_SENT_ANSWERED : SLU_SENT_NOTHING);
        assert_int_equal(got.result.fault.kind, allowed ? 0 : SLU_FAULT_UPSTREAM_UNREACHABLE);
        assert_int_equal(slu_headers_count(&got.result.response.headers, SLU_STR("x-proxy")), 0);
        assert_int_equal(proxy->requests, allowed ? 2 : 1);
        if (!allowed)
            assert_non_null(strstr(got.result.fault.words, "403"));
        slu_arena_done(&got.arena);
        slu_upstream_free(upstream);
        peer_stop(proxy);
    }
}

static void proxies_are_checked(void **state)
{
    static const char *const bad[] = {"", "socks5://127.0.0.1:1", "ftp://x:1", "http://user:pw@:1",
                                      "http://a b:1"};
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(bad); i++) {
        struct slu_upstream_conf conf = {
            .transport = SLU_TRANSPORT_CURL, .host = "127.0.0.1", .port = 1, .proxy = bad[i]};
        struct slu_upstream *upstream = NULL;
        struct slu_fault fault = {0};

        assert_false(slu_upstream_new(world->loop, world->resolver, &conf, &upstream, &fault));
        assert_int_equal(fault.kind, SLU_FAULT_CONFIG);
        assert_null(strstr(fault.words, "pw"));
    }
}

static void files_are_checked(void **state)
{
    struct world *world = *state;
    struct slu_upstream_conf conf = {.transport = SLU_TRANSPORT_CURL,
                                     .host = "127.0.0.1",
                                     .port = 1,
                                     .https = true,
                                     .ca = "/nowhere/ca.pem"};
    struct slu_upstream *upstream = NULL;
    struct slu_fault fault = {0};

    assert_false(slu_upstream_new(world->loop, world->resolver, &conf, &upstream, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_CONFIG);
    assert_string_equal(fault.place, "/nowhere/ca.pem");
}

/* A kept connection that the peer closes while idle: its event is put to rest (no spinning loop),
 * and the next write goes over a new one. */
static void serve_then_close(struct peer_end *end)
{
    if (peer_request(end))
        peer_say(end, hello.reply);
}

static void a_dead_idle_connection_does_not_spin(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(serve_then_close, NULL, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "127.0.0.1", .port = peer->port});
    struct slu_request request = request_of("POST", "/", "x");
    struct timespec before, after;

    for (unsigned i = 0; i < 2; i++) {
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        slu_arena_done(&got.arena);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        run_for(world->loop, 100);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        assert_true((after.tv_sec - before.tv_sec) * 1000 +
                        (after.tv_nsec - before.tv_nsec) / 1000000 <
                    50);
    }
    assert_int_equal(peer->posts, 2);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* However much it is used: its name may lead elsewhere by now. */
static void old_connections_are_not_used(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream = open_upstream(
        world, (struct slu_upstream_conf){.host = "127.0.0.1", .port = peer->port, .age_ms = 1000});
    struct slu_request request = request_of("GET", "/", "");

    for (unsigned i = 0; i < 3; i++) {
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        assert_int_equal(got.result.reused, i == 1);
        slu_arena_done(&got.arena);
        run_for(world->loop, i == 1 ? 2000 : 10); /* curl counts whole seconds */
    }
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* Sixty names' worth of calls at once start no thread of curl: one question to our resolver. */
static void names_come_from_our_resolver(void **state)
{
    enum { CALLS = 60 };
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "w1.test", .port = peer->port});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got = {.loop = world->loop, .wanted = CALLS};

    slu_arena_init(&got.arena, 4 << 20);
    for (unsigned i = 0; i < CALLS; i++)
        assert_non_null(
            slu_upstream_send(upstream, &request, &got.arena, 3000, outcome_take, &got));
    slu_loop_run(world->loop);
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    assert_int_equal(peer->requests, CALLS);
    assert_int_equal(slu_resolver_asked(world->resolver), 1);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_environment_is_ignored),
        TEST(redirects_are_not_followed),
        TEST(fields_go_out_as_given),
        TEST(http_through_a_proxy),
        TEST(https_through_a_proxy),
        TEST(proxies_are_checked),
        TEST(files_are_checked),
        TEST(a_dead_idle_connection_does_not_spin),
        TEST(old_connections_are_not_used),
        TEST(names_come_from_our_resolver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
