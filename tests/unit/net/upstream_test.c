/* The clouds' side as its users see it: the same behaviour is asked of both transports. */
#include "peer.h"

struct world {
    enum slu_transport transport;
    struct slu_loop *loop;
    struct slu_resolver *resolver;
    struct dns dns;
};

static struct world worlds[] = {{.transport = SLU_TRANSPORT_OWN},
                                {.transport = SLU_TRANSPORT_CURL}};

static int setup(void **state)
{
    struct world *world = *state;

    world->loop = slu_loop_new();
    world->resolver = dns_resolver(&world->dns, world->loop);
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    slu_resolver_free(world->resolver);
    slu_loop_free(world->loop);
    dns_stop(&world->dns);
    return 0;
}

static struct slu_upstream *open_upstream(struct world *world, struct slu_upstream_conf conf)
{
    struct slu_upstream *upstream = NULL;
    struct slu_fault fault = {0};

    conf.transport = world->transport;
    if (!conf.host)
        conf.host = "127.0.0.1";
    if (!slu_upstream_new(world->loop, world->resolver, &conf, &upstream, &fault))
        fail_msg("%s: %s", fault.place, fault.words);
    return upstream;
}

/* Replies */

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

struct reply_case {
    const char *name, *method;
    struct peer_script script;
    enum slu_fault_kind own, curl;
    int status;
    const char *body;
};

static const struct reply_case replies[] = {
    {"a length", "GET", {OK_HEAD "Content-Length: 2\r\n\r\nhi", THEN_KEEP, 0}, 0, 0, 200, "hi"},
    {"an error status",
     "POST",
     {"HTTP/1.1 500 No\r\nContent-Length: 4\r\nX-A: b\r\n\r\noops", THEN_KEEP, 0},
     0,
     0,
     500,
     "oops"},
    {"chunks",
     "GET",
     {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n",
      THEN_KEEP, 0},
     0,
     0,
     200,
     "abcde"},
    {"until close", "GET", {OK_HEAD "\r\nall of it", THEN_CLOSE, 0}, 0, 0, 200, "all of it"},
    {"no content", "DELETE", {"HTTP/1.1 204 No Content\r\n\r\n", THEN_KEEP, 0}, 0, 0, 204, ""},
    {"head", "HEAD", {OK_HEAD "Content-Length: 5\r\n\r\n", THEN_KEEP, 0}, 0, 0, 200, ""},
    {"continue first",
     "POST",
     {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" OK_HEAD
      "Content-Length: 2\r\n\r\nhi",
      THEN_KEEP, 0},
     0,
     0,
     200,
     "hi"},
    {"an empty body", "GET", {OK_HEAD "Content-Length: 0\r\n\r\n", THEN_KEEP, 0}, 0, 0, 200, ""},
    {"closed without a reply",
     "POST",
     {NULL, THEN_CLOSE, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"reset without a reply",
     "POST",
     {NULL, THEN_RESET, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"half a head, closed",
     "POST",
     {OK_HEAD "Content-Le", THEN_CLOSE, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"half a head, reset",
     "POST",
     {OK_HEAD "Content-Le", THEN_RESET, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"half a body, closed",
     "POST",
     {OK_HEAD "Content-Length: 9\r\n\r\nhalf", THEN_CLOSE, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"half a body, reset",
     "POST",
     {OK_HEAD "Content-Length: 9\r\n\r\nhalf", THEN_RESET, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"half the chunks",
     "GET",
     {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", THEN_CLOSE, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"chunks without an end",
     "GET",
     {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", THEN_CLOSE, 0},
     SLU_FAULT_UPSTREAM_BROKEN,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"a chunk size that is none",
     "GET",
     {OK_HEAD "Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n", THEN_KEEP, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_BROKEN,
     0,
     0},
    {"no reply at all",
     "GET",
     {NULL, THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_TIMEOUT,
     SLU_FAULT_UPSTREAM_TIMEOUT,
     0,
     0},
    {"half a head, then silence",
     "GET",
     {"HTTP/1.1 2", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_TIMEOUT,
     SLU_FAULT_UPSTREAM_TIMEOUT,
     0,
     0},
    {"half a body, then silence",
     "GET",
     {OK_HEAD "Content-Length: 9\r\n\r\nhalf", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_TIMEOUT,
     SLU_FAULT_UPSTREAM_TIMEOUT,
     0,
     0},
    {"a slow body without end",
     "GET",
     {OK_HEAD "\r\n", THEN_DRIP, "x"},
     SLU_FAULT_UPSTREAM_TIMEOUT,
     SLU_FAULT_UPSTREAM_TIMEOUT,
     0,
     0},
    {"a slow head without end",
     "GET",
     {OK_HEAD "X-Slow: ", THEN_DRIP, "x"},
     SLU_FAULT_UPSTREAM_TIMEOUT,
     SLU_FAULT_UPSTREAM_TIMEOUT,
     0,
     0},
    {"a fast body without end",
     "GET",
     {OK_HEAD "\r\n", THEN_AGAIN, "0123456789012345678901234567890123456789"},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"chunks for ever",
     "GET",
     {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n", THEN_AGAIN,
      "10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n"},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a body announced too large",
     "GET",
     {OK_HEAD "Content-Length: 99999999\r\n\r\nx", THEN_AGAIN, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a head without end",
     "GET",
     {OK_HEAD, THEN_AGAIN, "X-Field: again and again\r\n"},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a line without end",
     "GET",
     {OK_HEAD "X-Field: ", THEN_AGAIN, "again and again"},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"interim replies without end",
     "GET",
     {NULL, THEN_AGAIN, "HTTP/1.1 100 Continue\r\n\r\n"},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"another protocol",
     "GET",
     {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", THEN_HANG,
      0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"no HTTP",
     "GET",
     {"220 mail.example ready\r\n\r\n", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"two lengths",
     "GET",
     {OK_HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a length and chunks",
     "GET",
     {OK_HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a length that is none",
     "GET",
     {OK_HEAD "Content-Length: +3\r\n\r\nabc", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a coding nobody asked for",
     "GET",
     {OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a folded field",
     "GET",
     {OK_HEAD "X-A: b\r\n c: d\r\nContent-Length: 3\r\n\r\nabc", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
    {"a control character",
     "GET",
     {OK_HEAD "X-A: b\rc\r\nContent-Length: 3\r\n\r\nabc", THEN_HANG, 0},
     SLU_FAULT_UPSTREAM_UNREADABLE,
     SLU_FAULT_UPSTREAM_UNREADABLE,
     0,
     0},
};

static void check_reply(struct world *world, const struct reply_case *c)
{
    struct peer *peer = peer_start(peer_serve_script, &c->script, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port, .reply_bytes = 200000});
    struct slu_request request = request_of(c->method, "/v1/x", "");
    bool own = world->transport == SLU_TRANSPORT_OWN;
    enum slu_fault_kind kind = own ? c->own : c->curl;
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request,
                          kind == SLU_FAULT_UPSTREAM_TIMEOUT ? 300 : 8000, &got));
    if (got.result.fault.kind != kind ||
        got.result.response.status != (kind ? got.result.response.status : c->status))
        fail_msg("%s: %s \"%s\", status %d", c->name, slu_fault_info(got.result.fault.kind)->code,
                 got.result.fault.words, got.result.response.status);
    if (kind) {
        assert_int_equal(got.result.sent, SLU_SENT_PERHAPS);
        assert_non_null(strstr(got.result.fault.words, "127.0.0.1:"));
    } else {
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        assert_str(got.result.response.body, c->body);
    }
    if (kind == SLU_FAULT_UPSTREAM_TIMEOUT)
        assert_in_range(got.took_ms, 290, 1500);
    else
        assert_in_range(got.took_ms, 0, 5000);
    assert_int_equal(peer->requests, 1);
    slu_upstream_free(upstream);
    slu_arena_done(&got.arena);
    peer_stop(peer);
}

static void replies_are_judged(void **state)
{
    for (size_t i = 0; i < SLU_COUNT(replies); i++)
        check_reply(*state, &replies[i]);
}

/* What goes out */

static const struct peer_script hello = {OK_HEAD "Content-Length: 2\r\nX-Id: 7\r\n\r\nhi",
                                         THEN_KEEP, NULL};

static void a_request_is_sent_as_it_is_given(void **state)
{
    static const struct {
        const char *method, *body, *head;
    } cases[] = {
        {"GET", "", "GET /a%20b?x=1&y HTTP/1.1\r\nHost: cloud.example\r\nX-One: 1\r\n\r\n"},
        {"DELETE", "", "DELETE /a%20b?x=1&y HTTP/1.1\r\nHost: cloud.example\r\nX-One: 1\r\n\r\n"},
        {"POST", "",
         "POST /a%20b?x=1&y HTTP/1.1\r\nHost: cloud.example\r\nX-One: 1\r\nContent-Length: "
         "0\r\n\r\n"},
        {"PUT", "",
         "PUT /a%20b?x=1&y HTTP/1.1\r\nHost: cloud.example\r\nX-One: 1\r\nContent-Length: "
         "0\r\n\r\n"},
        {"PATCH", "{\"a\":1}",
         "PATCH /a%20b?x=1&y HTTP/1.1\r\nHost: cloud.example\r\nX-One: 1\r\nContent-Length: "
         "7\r\n\r\n"},
        {"POST", "text",
         "POST /a%20b?x=1&y HTTP/1.1\r\nHost: cloud.example\r\nX-One: 1\r\nContent-Length: "
         "4\r\n\r\n"},
    };
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});

    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        struct slu_request request = request_of(cases[i].method, "/a%20b", cases[i].body);
        struct slu_header one = {SLU_STR_INIT("X-One"), SLU_STR_INIT("1")};
        struct outcome got;

        request.query = SLU_STR("x=1&y");
        request.headers = (struct slu_headers){&one, 1, 1};
        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        assert_str(slu_headers_value(&got.result.response.headers, SLU_STR("x-id")), "7");
        pthread_mutex_lock(&peer->lock);
        /* Field order is the transport's: compare the first lines and look for the length. */
        assert_int_equal(strlen(peer->last_head), strlen(cases[i].head));
        assert_memory_equal(peer->last_head, cases[i].head, strcspn(cases[i].head, "\n"));
        assert_non_null(strstr(peer->last_head, "\r\nHost: cloud.example\r\n"));
        assert_non_null(strstr(peer->last_head, "\r\nX-One: 1\r\n"));
        if (strstr(cases[i].head, "Content-Length"))
            assert_non_null(strstr(peer->last_head, strstr(cases[i].head, "\r\nContent-Length")));
        assert_string_equal(peer->last_body, cases[i].body);
        pthread_mutex_unlock(&peer->lock);
        assert_int_equal(got.result.bytes_out, strlen(cases[i].head) + strlen(cases[i].body));
        assert_int_equal(got.result.bytes_in, strlen(hello.reply));
        assert_int_equal(got.result.reused, i > 0);
        slu_arena_done(&got.arena);
    }
    assert_int_equal(peer->connections, 1);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void a_large_body_arrives_whole(void **state)
{
    enum { LARGE = 15000 };
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    char body[LARGE + 1];
    struct slu_request request;
    struct outcome got;

    memset(body, 'b', LARGE);
    body[LARGE] = '\0';
    request = request_of("POST", "/", body);
    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    assert_string_equal(peer->last_body, body);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* Connections */

static uint16_t closed_port(void)
{
    uint16_t port;
    int fd = peer_listen(&port);

    close(fd);
    return port;
}

static void refused_is_told_and_nothing_was_sent(void **state)
{
    struct world *world = *state;
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = closed_port()});
    struct slu_request request = request_of("POST", "/", "x");
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
    assert_int_equal(got.result.sent, SLU_SENT_NOTHING);
    assert_non_null(strcasestr(got.result.fault.words, "connection refused"));
    assert_int_equal(slu_upstream_counts(upstream).open, 0);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
}

/* A listener whose backlog is full drops the SYN: nothing ever answers. */
static void connecting_has_its_own_limit(void **state)
{
    struct world *world = *state;
    uint16_t port;
    int listener = peer_listen(&port), fillers[3];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct slu_upstream *upstream;
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got;

    listen(listener, 0);
    to.sin_port = htons(port);
    for (size_t i = 0; i < SLU_COUNT(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&to, sizeof(to));
    }
    usleep(20000);
    upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = port, .connect_timeout_ms = 200});
    assert_true(call_once(world->loop, upstream, &request, 3000, &got));
    assert_int_equal(got.result.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
    assert_int_equal(got.result.sent, SLU_SENT_NOTHING);
    assert_non_null(strstr(got.result.fault.words, "no connection within 200 ms"));
    assert_in_range(got.took_ms, 190, 1500);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    for (size_t i = 0; i < SLU_COUNT(fillers); i++)
        close(fillers[i]);
    close(listener);
}

static void names_are_looked_up(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "localhost", .port = peer->port});
    struct slu_request request = request_of("GET", "/", "");

    for (unsigned i = 0; i < 3; i++) {
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        slu_arena_done(&got.arena);
    }
    assert_int_equal(peer->connections, 1);
    assert_true(slu_resolver_asked(world->resolver) <= 1);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void serve_and_close_politely(struct peer_end *end)
{
    while (peer_request(end))
        peer_say(end, OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nhi");
}

static void close_is_honoured(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(serve_and_close_politely, NULL, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request request = request_of("POST", "/", "x");

    for (unsigned i = 0; i < 3; i++) {
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        assert_false(got.result.reused);
        assert_int_equal(slu_upstream_counts(upstream).idle, 0);
        slu_arena_done(&got.arena);
    }
    assert_int_equal(peer->connections, 3);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

/* A kept connection that the peer closes when the second request comes. */
static void serve_one_only(struct peer_end *end)
{
    if (!peer_request(end) || !peer_say(end, hello.reply))
        return;
    if (end->number == 0)
        peer_request(end);
    else
        peer_serve_script(end);
}

static void check_dying(struct world *world, const char *method, bool answered)
{
    struct peer *peer = peer_start(serve_one_only, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request first = request_of("GET", "/", ""), second = request_of(method, "/", "");
    struct outcome got;

    if (strcmp(method, "POST") == 0)
        second.body = SLU_STR("{\"once\":true}");
    assert_true(call_once(world->loop, upstream, &first, 2000, &got));
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    slu_arena_done(&got.arena);
    assert_true(call_once(world->loop, upstream, &second, 2000, &got));
    assert_int_equal(got.result.sent, answered ? SLU_SENT_ANSWERED : SLU_SENT_PERHAPS);
    assert_int_equal(got.result.fault.kind, answered ? 0 : SLU_FAULT_UPSTREAM_BROKEN);
    assert_int_equal(peer->requests, answered ? 3 : 2);
    assert_int_equal(peer->posts, strcmp(method, "POST") == 0);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void only_reads_are_repeated(void **state)
{
    check_dying(*state, "GET", true);
    check_dying(*state, "HEAD", true);
    check_dying(*state, "POST", false);
    check_dying(*state, "PUT", false);
    check_dying(*state, "PATCH", false);
    check_dying(*state, "DELETE", false);
}

/* The first two addresses refuse; none of the names has more than one query. */
static void addresses_are_tried_in_turn(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.host = "w1.test", .port = peer->port});
    struct slu_request request = request_of("POST", "/", "x");
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request, 2000, &got));
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    assert_int_equal(peer->requests, 1);
    assert_int_equal(slu_resolver_asked(world->resolver), 1);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void a_name_that_does_not_resolve_is_told(void **state)
{
    static const struct {
        const char *host, *words;
        uint64_t least, most;
    } cases[] = {
        {"n1.test", "the name n1.test cannot be resolved", 0, 1500},
        {"s1.test", "the name was not resolved within 200 ms", 190, 1500},
    };
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        struct slu_upstream *upstream =
            open_upstream(world, (struct slu_upstream_conf){
                                     .host = cases[i].host, .port = 80, .connect_timeout_ms = 200});
        struct slu_request request = request_of("POST", "/", "x");
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 2000, &got));
        assert_int_equal(got.result.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
        assert_int_equal(got.result.sent, SLU_SENT_NOTHING);
        assert_non_null(strstr(got.result.fault.words, cases[i].words));
        assert_in_range(got.took_ms, cases[i].least, cases[i].most);
        slu_arena_done(&got.arena);
        slu_upstream_free(upstream);
    }
}

/* Answers when the head is there and reads no more. */
static void serve_early(struct peer_end *end)
{
    char text[4096];

    if (peer_read(end, text, sizeof(text)) > 0 &&
        peer_say(end, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"))
        usleep(300000);
}

static void an_early_reply_is_taken(void **state)
{
    enum { HUGE_BODY = 32 << 20 };
    struct world *world = *state;
    struct peer *peer = peer_start(serve_early, NULL, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    char *body = slu_mem_new(HUGE_BODY);
    struct slu_request request = request_of("POST", "/", "");
    struct outcome got;

    request.body = (struct slu_str){body, HUGE_BODY};
    assert_true(call_once(world->loop, upstream, &request, 5000, &got));
    assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
    assert_int_equal(got.result.response.status, 413);
    assert_true(got.result.bytes_out < HUGE_BODY);
    assert_int_equal(slu_upstream_counts(upstream).idle, 0);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    slu_mem_free(body);
    peer_stop(peer);
}

/* TLS */

struct tls_case {
    const char *name, *host;
    const char *names;      /* in the certificate */
    long from_s, to_s;      /* its validity */
    bool untrusted;         /* signed by somebody else */
    const char *own, *curl; /* words of the fault, or NULL */
};

static const struct tls_case tls_cases[] = {
    {"good name", "a1.test", "DNS:a1.test", -60, 3600, false, NULL, NULL},
    {"good address", "127.0.0.1", "IP:127.0.0.1", -60, 3600, false, NULL, NULL},
    {"wrong name", "a1.test", "DNS:b1.test", -60, 3600, false, "hostname mismatch", "name"},
    {"wrong address", "127.0.0.1", "IP:127.0.0.2,DNS:a1.test", -60, 3600, false, "address mismatch",
     "name"},
    {"untrusted", "a1.test", "DNS:a1.test", -60, 3600, true, "local issuer", "issuer"},
    {"expired", "a1.test", "DNS:a1.test", -7200, -3600, false, "expired", "expired"},
    {"not yet", "a1.test", "DNS:a1.test", 3600, 7200, false, "not yet", "not yet"},
};

static void check_tls(struct world *world, const struct tls_case *c, const struct made *ca,
                      const struct made *other, const char *file)
{
    struct made made = make_certificate(c->names, c->untrusted ? other : ca, c->from_s, c->to_s);
    SSL_CTX *tls = make_server_tls(&made);
    struct peer *peer = peer_start(peer_serve_script, &hello, tls);
    struct slu_upstream *upstream = open_upstream(
        world,
        (struct slu_upstream_conf){.host = c->host, .port = peer->port, .https = true, .ca = file});
    struct slu_request request = request_of("POST", "/", "x");
    const char *words = world->transport == SLU_TRANSPORT_OWN ? c->own : c->curl;
    struct outcome got;

    assert_true(call_once(world->loop, upstream, &request, 3000, &got));
    if (words ? got.result.sent != SLU_SENT_NOTHING ||
                    got.result.fault.kind != SLU_FAULT_UPSTREAM_UNREACHABLE ||
                    !strstr(got.result.fault.words, words)
              : got.result.sent != SLU_SENT_ANSWERED)
        fail_msg("%s: sent %d, %s", c->name, got.result.sent, got.result.fault.words);
    assert_int_equal(peer->requests, words ? 0 : 1);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
    SSL_CTX_free(tls);
    made_free(&made);
}

static void certificates_are_verified(void **state)
{
    struct made ca = make_certificate(NULL, NULL, -60, 3600);
    struct made other = make_certificate(NULL, NULL, -60, 3600);
    char file[] = "/tmp/sluice-ca-XXXXXX";

    close(mkstemp(file));
    write_certificate(&ca, file);
    for (size_t i = 0; i < SLU_COUNT(tls_cases); i++)
        check_tls(*state, &tls_cases[i], &ca, &other, file);
    unlink(file);
    made_free(&ca);
    made_free(&other);
}

static void sessions_are_resumed(void **state)
{
    struct world *world = *state;
    struct made ca = make_certificate(NULL, NULL, -60, 3600);
    struct made made = make_certificate("IP:127.0.0.1", &ca, -60, 3600);
    SSL_CTX *tls = make_server_tls(&made);
    struct peer *peer = peer_start(serve_and_close_politely, NULL, tls);
    struct slu_request request = request_of("GET", "/", "");
    char file[] = "/tmp/sluice-ca-XXXXXX";
    struct slu_upstream *upstream;

    close(mkstemp(file));
    write_certificate(&ca, file);
    upstream = open_upstream(
        world, (struct slu_upstream_conf){.port = peer->port, .https = true, .ca = file});
    for (unsigned i = 0; i < 3; i++) {
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 3000, &got));
        assert_int_equal(got.result.sent, SLU_SENT_ANSWERED);
        slu_arena_done(&got.arena);
    }
    assert_int_equal(peer->connections, 3);
    assert_int_equal(peer->resumed, 2);
    slu_upstream_free(upstream);
    peer_stop(peer);
    SSL_CTX_free(tls);
    made_free(&made);
    made_free(&ca);
    unlink(file);
}

/* Listens, and never says a word of TLS; or breaks off in the middle of the handshake. */
static void serve_nothing(struct peer_end *end)
{
    char text[64];

    if (end->peer->script && peer_read(end, text, sizeof(text)) > 0)
        return;
    peer_hang(end);
}

static void a_handshake_that_does_not_end_is_told(void **state)
{
    struct world *world = *state;

    for (unsigned breaks = 0; breaks < 2; breaks++) {
        struct peer *peer = peer_start(serve_nothing, breaks ? "x" : NULL, NULL);
        struct slu_upstream *upstream = open_upstream(
            world, (struct slu_upstream_conf){.port = peer->port,
                                              .https = true,
                                              .connect_timeout_ms = breaks ? 5000 : 200});
        struct slu_request request = request_of("POST", "/", "x");
        struct outcome got;

        assert_true(call_once(world->loop, upstream, &request, 8000, &got));
        assert_int_equal(got.result.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
        assert_int_equal(got.result.sent, SLU_SENT_NOTHING);
        assert_in_range(got.took_ms, breaks ? 0 : 190, breaks ? 3000 : 1500);
        slu_arena_done(&got.arena);
        slu_upstream_free(upstream);
        peer_stop(peer);
    }
}

/* Limits and order */

enum { MANY = 200 };

struct order {
    struct slu_loop *loop;
    unsigned ended;
};

struct numbered {
    struct order *order;
    struct slu_arena arena;
    struct slu_request request;
    uint64_t wait_us;
    char path[16];
};

static void note_order(const struct slu_call_result *result, void *user)
{
    struct numbered *one = user;
    struct order *order = one->order;

    assert_int_equal(result->sent, SLU_SENT_ANSWERED);
    one->wait_us = result->wait_us;
    if (++order->ended == MANY)
        slu_loop_stop(order->loop);
}

static void calls_wait_in_order(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &hello, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port, .max_connections = 4});
    struct order order = {.loop = world->loop};
    struct numbered *calls = slu_mem_array(MANY, sizeof(*calls));

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(calls[i].path, sizeof(calls[i].path), "/%u", i);
        calls[i].order = &order;
        calls[i].request = request_of("GET", calls[i].path, "");
        slu_arena_init(&calls[i].arena, 65536);
        assert_non_null(slu_upstream_send(upstream, &calls[i].request, &calls[i].arena, 20000,
                                          note_order, &calls[i]));
    }
    assert_int_equal(slu_upstream_counts(upstream).in_flight, 4);
    assert_int_equal(slu_upstream_counts(upstream).waiting, MANY - 4);
    slu_loop_run(world->loop);
    /* All were asked for in the same turn: who came first began first. */
    for (unsigned i = 1; i < MANY; i++)
        assert_true(calls[i].wait_us >= calls[i - 1].wait_us);
    assert_true(calls[MANY - 1].wait_us > calls[3].wait_us);
    assert_int_equal(peer->requests, MANY);
    assert_int_equal(peer->connections, 4);
    assert_int_equal(slu_upstream_counts(upstream).in_flight, 0);
    assert_int_equal(slu_upstream_counts(upstream).open, 4);
    assert_int_equal(slu_upstream_counts(upstream).idle, 4);
    slu_upstream_free(upstream);
    for (unsigned i = 0; i < MANY; i++)
        slu_arena_done(&calls[i].arena);
    slu_mem_free(calls);
    peer_stop(peer);
}

static void waiting_is_bounded(void **state)
{
    static const struct peer_script silent = {NULL, THEN_HANG, NULL};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &silent, NULL);
    struct slu_upstream *upstream = open_upstream(
        world,
        (struct slu_upstream_conf){.port = peer->port, .max_connections = 1, .max_waiting = 2});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got[4];

    for (unsigned i = 0; i < 4; i++) {
        got[i] = (struct outcome){.loop = world->loop, .wanted = i == 0 ? 1 : 9};
        slu_arena_init(&got[i].arena, 65536);
        assert_non_null(slu_upstream_send(upstream, &request, &got[i].arena, i == 0 ? 300 : 150,
                                          outcome_take, &got[i]));
    }
    slu_loop_run(world->loop);
    assert_int_equal(got[0].result.fault.kind, SLU_FAULT_UPSTREAM_TIMEOUT);
    assert_int_equal(got[0].result.sent, SLU_SENT_PERHAPS);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(got[i].result.fault.kind, SLU_FAULT_UPSTREAM_TIMEOUT);
        assert_int_equal(got[i].result.sent, SLU_SENT_NOTHING);
    }
    assert_int_equal(got[3].result.fault.kind, SLU_FAULT_UNAVAILABLE);
    assert_int_equal(got[3].result.sent, SLU_SENT_NOTHING);
    for (unsigned i = 0; i < 4; i++)
        slu_arena_done(&got[i].arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void never(const struct slu_call_result *result, void *user)
{
    (void)result;
    (void)user;
    fail_msg("a cancelled call was delivered");
}

/* Leaves after 0, 1, 2, … ms, so in every phase; and once while it waits. */
static void a_call_may_be_cancelled_in_every_phase(void **state)
{
    static const struct peer_script slow = {OK_HEAD "\r\n", THEN_DRIP, "x"};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &slow, NULL);
    struct slu_upstream *upstream = open_upstream(
        world,
        (struct slu_upstream_conf){.host = "localhost", .port = peer->port, .max_connections = 1});
    struct slu_request request = request_of("POST", "/", "x");

    for (uint32_t ms = 0; ms < 12; ms++) {
        struct slu_arena arena;
        struct slu_call *first, *second;

        slu_arena_init(&arena, 65536);
        first = slu_upstream_send(upstream, &request, &arena, 2000, never, NULL);
        second = slu_upstream_send(upstream, &request, &arena, 2000, never, NULL);
        assert_true(first && second);
        if (ms)
            run_for(world->loop, ms - 1);
        slu_call_cancel(ms % 2 ? first : second);
        if (ms > 6)
            run_for(world->loop, 2);
        slu_call_cancel(ms % 2 ? second : first);
        assert_int_equal(slu_upstream_counts(upstream).in_flight, 0);
        assert_int_equal(slu_upstream_counts(upstream).waiting, 0);
        slu_arena_done(&arena);
    }
    run_for(world->loop, 5);
    assert_int_equal(slu_upstream_counts(upstream).open, 0);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

static void an_upstream_may_be_freed_with_calls_under_way(void **state)
{
    static const struct peer_script silent = {NULL, THEN_HANG, NULL};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &silent, NULL);
    struct slu_request request = request_of("GET", "/", "");

    for (uint32_t ms = 0; ms < 4; ms++) {
        struct slu_upstream *upstream = open_upstream(
            world, (struct slu_upstream_conf){.port = peer->port, .max_connections = 1});
        struct slu_arena arena;

        slu_arena_init(&arena, 65536);
        for (unsigned i = 0; i < 3; i++)
            assert_non_null(slu_upstream_send(upstream, &request, &arena, 2000, never, NULL));
        if (ms)
            run_for(world->loop, ms);
        slu_upstream_free(upstream);
        run_for(world->loop, 1);
        slu_arena_done(&arena);
    }
    peer_stop(peer);
}

struct chain {
    struct slu_loop *loop;
    struct slu_upstream *upstream;
    struct slu_call *other;
    struct slu_arena arena;
    struct slu_request request;
    unsigned left;
};

/* Sends the next one from inside the delivery, and frees everything from inside the last. */
static void chain_on(const struct slu_call_result *result, void *user)
{
    struct chain *chain = user;

    assert_int_equal(result->sent, SLU_SENT_ANSWERED);
    if (chain->left-- > 1) {
        assert_non_null(slu_upstream_send(chain->upstream, &chain->request, &chain->arena, 2000,
                                          chain_on, chain));
        return;
    }
    slu_call_cancel(chain->other);
    slu_upstream_free(chain->upstream);
    slu_loop_stop(chain->loop);
}

static void serve_by_path(struct peer_end *end)
{
    while (peer_request(end)) {
        if (strcmp(end->method, "PUT") == 0)
            peer_hang(end);
        else
            peer_say(end, hello.reply);
    }
}

static void a_delivery_may_send_cancel_and_free(void **state)
{
    struct world *world = *state;
    struct peer *peer = peer_start(serve_by_path, NULL, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request silent = request_of("PUT", "/", "");
    struct chain chain = {.loop = world->loop, .upstream = upstream, .left = 5};

    slu_arena_init(&chain.arena, 65536);
    chain.request = request_of("GET", "/", "");
    chain.other = slu_upstream_send(upstream, &silent, &chain.arena, 5000, never, NULL);
    assert_non_null(chain.other);
    assert_non_null(
        slu_upstream_send(upstream, &chain.request, &chain.arena, 2000, chain_on, &chain));
    slu_loop_run(world->loop);
    assert_int_equal(chain.left, 0);
    slu_arena_done(&chain.arena);
    peer_stop(peer);
}

/* Memory */

struct memory_case {
    struct world *world;
    struct peer *peer;
};

static bool one_call(void *context)
{
    struct memory_case *c = context;
    struct slu_upstream_conf conf = {.transport = c->world->transport,
                                     .host = "127.0.0.1",
                                     .port = c->peer->port,
                                     .max_connections = 2};
    struct slu_request request = request_of("POST", "/", "body");
    slu_auto(slu_loop) *loop = slu_loop_new();
    slu_auto(slu_resolver) *resolver = loop ? slu_resolver_new(loop) : NULL;
    slu_auto(slu_upstream) *upstream = NULL;
    struct slu_fault fault = {0};
    struct outcome got;
    bool good;

    if (!resolver)
        return false;
    if (!slu_upstream_new(loop, resolver, &conf, &upstream, &fault)) {
        assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
        return false;
    }
    good = call_once(loop, upstream, &request, 1000, &got);
    if (good && got.result.sent != SLU_SENT_ANSWERED) {
        assert_true(got.result.fault.kind != SLU_FAULT_NONE);
        good = false;
    }
    slu_arena_done(&got.arena);
    return good;
}

static void every_allocation_may_fail(void **state)
{
    struct memory_case c = {*state, peer_start(peer_serve_script, &hello, NULL)};

    assert_true(test_every_allocation(one_call, &c) > 5);
    peer_stop(c.peer);
}

/* A budget too small for the reply is a fault of its own, and the reply is not half there. */
static void a_small_arena_is_told(void **state)
{
    static const struct peer_script large = {
        OK_HEAD "Content-Length: 20\r\n\r\n01234567890123456789", THEN_KEEP, NULL};
    struct world *world = *state;
    struct peer *peer = peer_start(peer_serve_script, &large, NULL);
    struct slu_upstream *upstream =
        open_upstream(world, (struct slu_upstream_conf){.port = peer->port});
    struct slu_request request = request_of("GET", "/", "");
    struct outcome got = {.loop = world->loop, .wanted = 1};

    slu_arena_init(&got.arena, 16);
    if (slu_upstream_send(upstream, &request, &got.arena, 1000, outcome_take, &got))
        slu_loop_run(world->loop);
    assert_int_equal(got.result.fault.kind, SLU_FAULT_MEMORY);
    assert_int_equal(got.result.response.body.n, 0);
    slu_arena_done(&got.arena);
    slu_upstream_free(upstream);
    peer_stop(peer);
}

#define BOTH(test)                                                                                 \
    {"own: " #test, test, setup, teardown, &worlds[0]},                                            \
    {                                                                                              \
        "curl: " #test, test, setup, teardown, &worlds[1]                                          \
    }

/* A pattern ("curl: *") runs a part of them. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        BOTH(replies_are_judged),
        BOTH(a_request_is_sent_as_it_is_given),
        BOTH(a_large_body_arrives_whole),
        BOTH(refused_is_told_and_nothing_was_sent),
        BOTH(connecting_has_its_own_limit),
        BOTH(names_are_looked_up),
        BOTH(close_is_honoured),
        BOTH(only_reads_are_repeated),
        BOTH(addresses_are_tried_in_turn),
        BOTH(a_name_that_does_not_resolve_is_told),
        BOTH(an_early_reply_is_taken),
        BOTH(certificates_are_verified),
        BOTH(sessions_are_resumed),
        BOTH(a_handshake_that_does_not_end_is_told),
        BOTH(calls_wait_in_order),
        BOTH(waiting_is_bounded),
        BOTH(a_call_may_be_cancelled_in_every_phase),
        BOTH(an_upstream_may_be_freed_with_calls_under_way),
        BOTH(a_delivery_may_send_cancel_and_free),
        BOTH(every_allocation_may_fail),
        BOTH(a_small_arena_is_told),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
