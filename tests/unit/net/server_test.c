/*
 * A real server on a loopback port, its callers being plain sockets in the same thread. What the
 * handler does is chosen by the path; what happened to it is kept as words and compared.
 */
#include "net/server.h"

#include "net/conn.h"
#include "net/tls_internal.h"
#include "net_support.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { LARGE = 4 << 20, PATIENCE_MS = 5000 };

/* The server under test */

struct fixture {
    struct slu_loop *loop;
    struct slu_server *server;
    struct slu_buf events;
    struct slu_talk *pending; /* /never and /later */
    struct slu_timer later;
    char *large;
    bool tls;
    bool keep_gone; /* do not release talks whose caller left */
    uint64_t bytes_in, bytes_out;
};

static void answer(struct slu_talk *talk, int status, struct slu_str text)
{
    struct slu_response response = {.status = status, .body = text};

    if (!slu_headers_add(slu_talk_arena(talk), &response.headers, SLU_STR("X"), SLU_STR("y")))
        response.headers.count = 0;
    slu_talk_answer(talk, &response, false);
}

static bool path_is(const struct slu_talk *talk, const char *path)
{
    return slu_str_is(slu_talk_request(talk)->path, path);
}

static void on_head(struct slu_talk *talk, void *user)
{
    struct fixture *f = user;
    const struct slu_request *request = slu_talk_request(talk);

    slu_buf_printf(&f->events, "%.*s %.*s;", SLU_FMT(request->method), SLU_FMT(request->path));
    assert_str(request->scheme, f->tls ? "https" : "http");
    assert_true(slu_talk_began_us(talk) > 0);
    assert_true(slu_str_starts(slu_talk_peer(talk), SLU_STR("127.0.0.1:")));
    if (path_is(talk, "/early"))
        answer(talk, 401, SLU_STR("who?"));
    else if (path_is(talk, "/reset-early"))
        slu_talk_abort(talk, NULL, true);
    else if (path_is(talk, "/ten"))
        slu_talk_want_body(talk, 10);
    else if (path_is(talk, "/never"))
        f->pending = talk;
    else
        slu_talk_want_body(talk, 0);
}

/* A cloud that breaks off: /end, /reset, and the same in the middle of an answer. */
static bool aborts(struct slu_talk *talk, struct fixture *f)
{
    struct slu_response hello = {.status = 200, .body = SLU_STR("hello, you")};
    struct slu_response none = {.status = 204};
    struct slu_response large = {.status = 200, .body = {f->large, LARGE}};

    if (path_is(talk, "/end") || path_is(talk, "/reset"))
        slu_talk_abort(talk, NULL, path_is(talk, "/reset"));
    else if (path_is(talk, "/half") || path_is(talk, "/half-reset"))
        slu_talk_abort(talk, &hello, path_is(talk, "/half-reset"));
    else if (path_is(talk, "/half-head"))
        slu_talk_abort(talk, &none, false);
    else if (path_is(talk, "/half-large"))
        slu_talk_abort(talk, &large, false);
    else
        return false;
    return true;
}

static void on_later(void *argument)
{
    struct fixture *f = argument;

    if (f->pending)
        answer(slu_take(f->pending), 200, SLU_STR("later"));
}

/* What was announced is what came; chunks announce nothing. */
static void announced_well(struct slu_talk *talk)
{
    const struct slu_request *request = slu_talk_request(talk);
    bool chunks = slu_headers_find(&request->headers, SLU_STR("transfer-encoding"));

    assert_true(slu_talk_announced(talk) == (chunks ? UINT64_MAX : request->body.n));
}

static void on_body(struct slu_talk *talk, void *user)
{
    struct fixture *f = user;

    slu_buf_lit(&f->events, "body;");
    announced_well(talk);
    if (aborts(talk, f))
        return;
    if (path_is(talk, "/later")) {
        f->pending = talk;
        assert_true(slu_timer_set(&f->later, 20));
    } else if (path_is(talk, "/hang"))
        f->pending = talk;
    else if (path_is(talk, "/echo"))
        answer(talk, 200, slu_talk_request(talk)->body);
    else if (path_is(talk, "/none"))
        answer(talk, 204, SLU_STR_NONE);
    else if (path_is(talk, "/large"))
        answer(talk, 200, (struct slu_str){f->large, LARGE});
    else
        answer(talk, 200, SLU_STR("hello"));
}

static void on_refused(struct slu_talk *talk, const struct slu_fault *fault, void *user)
{
    struct fixture *f = user;

    slu_buf_printf(&f->events, "refused %d;", slu_fault_info(fault->kind)->status);
    answer(talk, slu_fault_info(fault->kind)->status, SLU_STR("no"));
}

static void on_gone(struct slu_talk *talk, void *user)
{
    struct fixture *f = user;

    slu_buf_lit(&f->events, "gone;");
    if (!f->keep_gone) {
        f->pending = NULL;
        slu_talk_release(talk);
    }
}

static void on_written(struct slu_talk *talk, void *user)
{
    struct fixture *f = user;

    slu_buf_lit(&f->events, "written;");
    f->bytes_in = slu_talk_bytes_in(talk);
    f->bytes_out = slu_talk_bytes_out(talk);
    slu_talk_release(talk);
}

static const struct slu_server_handler handler = {on_head, on_body, on_refused, on_gone,
                                                  on_written};

static bool open_fixture_tls(struct fixture *f, const struct slu_server_limits *limits,
                             struct slu_tls *tls)
{
    struct slu_server_conf conf = {.address = "127.0.0.1:0", .tls = tls};
    struct slu_fault fault = {0};

    *f = (struct fixture){.tls = tls != NULL};
    if (limits)
        conf.limits = *limits;
    slu_buf_init(&f->events, 0);
    f->loop = slu_loop_new();
    if (!f->loop)
        return false;
    slu_timer_init(&f->later, f->loop, on_later, f);
    f->large = malloc(LARGE);
    for (size_t i = 0; f->large && i < LARGE; i++)
        f->large[i] = (char)('a' + i % 23);
    if (slu_server_new(f->loop, &conf, &handler, f, &f->server, &fault))
        return true;
    assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
    return false;
}

static bool open_fixture(struct fixture *f, const struct slu_server_limits *limits)
{
    return open_fixture_tls(f, limits, NULL);
}

static uint16_t port_of(const struct fixture *f)
{
    return (uint16_t)strtoul(strrchr(slu_server_address(f->server), ':') + 1, NULL, 10);
}

static void close_fixture(struct fixture *f)
{
    slu_server_free(f->server);
    slu_timer_done(&f->later);
    slu_loop_free(f->loop);
    slu_buf_done(&f->events);
    free(f->large);
}

static void start(struct fixture *f, const struct slu_server_limits *limits)
{
    assert_true(open_fixture(f, limits));
}

#define assert_events(f, text)                                                                     \
    do {                                                                                           \
        assert_str(slu_buf_str(&(f)->events), text);                                               \
        slu_buf_clear(&(f)->events);                                                               \
    } while (0)

/* A caller */

struct caller {
    struct fixture *f;
    int fd;
    struct slu_buf in;
    bool ended, reset;
    const char *awaited;
    size_t most; /* reads no more than this */
};

/* `room` is the size of its receive buffer, 0 for the system's choice. */
static struct caller call_with_room(struct fixture *f, int room)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct caller c = {.f = f, .most = SIZE_MAX};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_of(f));
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c.fd >= 0);
    if (room)
        assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
    slu_buf_init(&c.in, 0);
    return c;
}

static struct caller call(struct fixture *f)
{
    return call_with_room(f, 0);
}

static void hang_up(struct caller *c)
{
    close(c->fd);
    slu_buf_done(&c->in);
}

static void say_bytes(struct caller *c, struct slu_str text)
{
    while (text.n) {
        ssize_t sent = send(c->fd, text.p, text.n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            run_for(c->f->loop, 2);
            continue;
        }
        if (sent < 0)
            return; /* the server has closed */
        text.p += sent;
        text.n -= (size_t)sent;
    }
}

static void say(struct caller *c, const char *text)
{
    say_bytes(c, slu_str_of(text));
}

static void listen_once(struct caller *c)
{
    while (!c->ended && c->in.n < c->most) {
        ssize_t got;

        assert_true(slu_buf_reserve(&c->in, 65536));
        got = recv(c->fd, c->in.p + c->in.n, 65536, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        c->reset = c->reset || got < 0;
        c->ended = got <= 0;
        c->in.n += got > 0 ? (size_t)got : 0;
    }
}

static bool heard(void *context)
{
    struct caller *c = context;

    listen_once(c);
    if (!c->awaited)
        return c->ended;
    return slu_str_ends(slu_buf_str(&c->in), slu_str_of(c->awaited));
}

/* Date is different each time: it must be there, and goes. */
static void drop_dates(struct slu_buf *in)
{
    char *date;

    while (in->n && (date = memmem(in->p, in->n, "\r\nDate: ", 8))) {
        size_t at = (size_t)(date - in->p), length = 8 + 29;

        assert_true(in->n - at >= length + 2 && memcmp(date + length - 4, " GMT\r\n", 6) == 0);
        memmove(date, date + length, in->n - at - length);
        in->n -= length;
    }
}

/* What has come, once it ends with these bytes (NULL: once the connection has ended). */
#define hear(c, until, text)                                                                       \
    do {                                                                                           \
        (c)->awaited = (until);                                                                    \
        if (!run_until((c)->f->loop, heard, (c), PATIENCE_MS))                                     \
            fail_msg("%s:%d: heard only [%.*s]", __FILE__, __LINE__,                               \
                     SLU_FMT(slu_buf_str(&(c)->in)));                                              \
        drop_dates(&(c)->in);                                                                      \
        assert_str(slu_buf_str(&(c)->in), text);                                                   \
        slu_buf_clear(&(c)->in);                                                                   \
        assert_false((c)->reset);                                                                  \
    } while (0)

#define OK5      "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n"
#define HELLO    OK5 "hello"
#define LATER    OK5 "later"
#define H        "Host: h\r\n"
#define NO(line) "HTTP/1.1 " line "\r\nX: y\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

/* Conversations */

static void test_keep_alive(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    c = call(&f);
    for (int i = 0; i < 3; i++) {
        say(&c, "GET /a HTTP/1.1\r\n" H "\r\n");
        hear(&c, "hello", HELLO);
        assert_events(&f, "GET /a;body;written;");
    }
    assert_int_equal(f.bytes_in, 28);
    assert_int_equal(f.bytes_out, strlen(HELLO) + 37);
    say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
    hear(&c, "abc", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
    say(&c, "GET /none HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    hear(&c, NULL, "HTTP/1.1 204 No Content\r\nX: y\r\nConnection: close\r\n\r\n");
    hang_up(&c);
    close_fixture(&f);
}

static const struct {
    const char *request, *heard, *events;
    bool reset;
} broken_off[] = {
    {"GET /end HTTP/1.1\r\n" H "\r\n", "", "GET /end;body;gone;", false},
    {"GET /reset HTTP/1.1\r\n" H "\r\n", "", "GET /reset;body;gone;", true},
    {"POST /reset-early HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc", "",
     "POST /reset-early;gone;", true},
    {"GET /half HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
     "GET /half;body;gone;", false},
    {"GET /half-reset HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
     "GET /half-reset;body;gone;", true},
    {"GET /half-head HTTP/1.1\r\n" H "\r\n", NULL, "GET /half-head;body;gone;", false},
    {"GET /half-large HTTP/1.1\r\n" H "\r\n", NULL, "GET /half-large;body;gone;", false},
    {"GET /end HTTP/1.1\r\n" H "\r\nGET /a HTTP/1.1\r\n" H "\r\n", "", "GET /end;body;gone;",
     false},
};

/* No answer, or half of one: the connection ends, in order or by a reset, and the owner is told as
 * when its caller leaves. */
static void test_abort(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    for (size_t i = 0; i < SLU_COUNT(broken_off); i++) {
        struct caller c = call(&f);

        say(&c, broken_off[i].request);
        assert_true(run_until(f.loop, heard, &c, PATIENCE_MS));
        if (broken_off[i].heard) {
            drop_dates(&c.in);
            assert_str(slu_buf_str(&c.in), broken_off[i].heard);
        }
        assert_true(c.in.n < LARGE / 2 + 1024); /* never the whole */
        assert_false(slu_str_ends(slu_buf_str(&c.in), SLU_STR("\r\n\r\n")));
        assert_int_equal(c.reset, broken_off[i].reset);
        assert_events(&f, broken_off[i].events);
        hang_up(&c);
    }
    assert_int_equal(slu_server_busy(f.server), 0);
    close_fixture(&f);
}

/* The caller left first: there is nothing to break off any more. */
static void test_abort_of_one_who_left(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    f.keep_gone = true;
    c = call(&f);
    say(&c, "GET /hang HTTP/1.1\r\n" H "\r\n");
    run_for(f.loop, 20);
    hang_up(&c);
    run_for(f.loop, 20);
    assert_events(&f, "GET /hang;body;gone;");
    slu_talk_abort(f.pending, NULL, true);
    run_for(f.loop, 10);
    assert_events(&f, "");
    slu_talk_release(f.pending);
    close_fixture(&f);
}

static void test_old_protocol(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    c = call(&f);
    say(&c, "GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n");
    hear(&c, "hello",
         "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n"
         "Connection: keep-alive\r\n\r\nhello");
    say(&c, "GET / HTTP/1.0\r\n" H "\r\n");
    hear(&c, NULL,
         "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    hang_up(&c);
    close_fixture(&f);
}

/* Three at once, the second answered late: the answers keep the order, and the third is not even
 * looked at before. */
static void test_pipelining(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    c = call(&f);
    say(&c, "GET /1 HTTP/1.1\r\n" H "\r\n"
            "POST /later HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
            "GET /3 HTTP/1.1\r\n" H "\r\n"
            "\r\nPUT /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nend");
    hear(&c, "end", HELLO LATER HELLO "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nend");
    assert_events(&f, "GET /1;body;written;POST /later;body;written;GET /3;body;written;"
                      "PUT /echo;body;written;");
    hang_up(&c);
    close_fixture(&f);
}

static void test_head(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    c = call(&f);
    say(&c, "HEAD / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n");
    hear(&c, "hello", OK5 HELLO);
    hang_up(&c);
    close_fixture(&f);
}

static void test_expect(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    c = call(&f);
    say(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    hear(&c, "\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n");
    say(&c, "body");
    hear(&c, "body", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 4\r\n\r\nbody");
    /* The body came with the head: no invitation. */
    say(&c, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
    hear(&c, "body", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 4\r\n\r\nbody");
    /* Too large: refused, not invited. */
    say(&c, "POST /ten HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    hear(&c, NULL, NO("413 Content Too Large"));
    hang_up(&c);
    /* Answered at the head: whether the body comes is open, so the connection ends. */
    c = call(&f);
    say(&c, "POST /early HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    hear(&c, NULL,
         "HTTP/1.1 401 Unauthorized\r\nX: y\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwho?");
    hang_up(&c);
    close_fixture(&f);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *said, *heard, *events;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", NO("400 Bad Request"), "refused 400;written;"},
        {"GET / HTTP/1.1\n", NO("400 Bad Request"), "refused 400;written;"},
        {"GET / HTTP/3.0\r\n\r\n", NO("505 HTTP Version Not Supported"), "refused 505;written;"},
        {"BREW / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n", NO("417 Expectation Failed"),
         "refused 417;written;"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: br\r\n\r\n", NO("501 Not Implemented"),
         "refused 501;written;"},
        {"POST /ten HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n01234567890",
         NO("413 Content Too Large"), "POST /ten;refused 413;written;"},
        {"POST /ten HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nb\r\n",
         NO("413 Content Too Large"), "POST /ten;refused 413;written;"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n", NO("413 Content Too Large"),
         "POST /;refused 413;written;"},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nx\r\n", NO("400 Bad Request"),
         "POST /;refused 400;written;"},
        {"GET / HTTP/1.1\r\n" H
         "\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
         HELLO NO("400 Bad Request"), "GET /;body;written;refused 400;written;"},
    };
    struct fixture f;

    (void)state;
    start(&f, NULL);
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct caller c = call(&f);

        say(&c, rows[i].said);
        hear(&c, NULL, rows[i].heard);
        assert_events(&f, rows[i].events);
        hang_up(&c);
    }
    close_fixture(&f);
}

static bool nobody_left(void *context)
{
    return slu_server_busy(((struct fixture *)context)->server) == 0;
}

/* Deadlines: a byte now and then extends none of them. */
static void slow_caller(const char *first, const char *more, const char *events,
                        const struct slu_server_limits *limits, unsigned least_ms, unsigned most_ms)
{
    struct fixture f;
    struct caller c;
    uint64_t began, took_ms = 0;

    start(&f, limits);
    c = call(&f);
    began = slu_clock_mono_us();
    say(&c, first);
    while (took_ms < 5000 && !c.in.n) {
        run_for(f.loop, 10);
        say(&c, more);
        listen_once(&c);
        took_ms = (slu_clock_mono_us() - began) / 1000;
    }
    assert_in_range(took_ms, least_ms, most_ms);
    hear(&c, NULL, NO("408 Request Timeout"));
    assert_events(&f, events);
    hang_up(&c);
    close_fixture(&f);
}

static void test_deadlines(void **state)
{
    struct slu_server_limits limits = {.head_timeout_ms = 200, .body_timeout_ms = 400};
    struct fixture f;
    struct caller c;

    (void)state;
    slow_caller("GET / HTTP/1.1\r\n" H, "x", "refused 408;written;", &limits, 190, 1500);
    slow_caller("\r\n", "", "refused 408;written;", &limits, 190, 1500);
    /* The whole body, however well it runs. */
    slow_caller("POST / HTTP/1.1\r\n" H "Content-Length: 60000\r\n\r\n",
                "0123456789012345678901234567890123456789", "POST /;refused 408;written;", &limits,
                390, 2000);
    /* The least rate, long before the whole body's end. */
    limits.body_timeout_ms = 4000;
    slow_caller("POST / HTTP/1.1\r\n" H "Content-Length: 60000\r\n\r\n", "x",
                "POST /;refused 408;written;", &limits, 990, 3000);

    start(&f, &limits);
    c = call(&f); /* nothing was asked: nothing is answered */
    hear(&c, NULL, "");
    hang_up(&c);
    assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
    assert_events(&f, "");
    close_fixture(&f);
}

static void test_idle(void **state)
{
    struct slu_server_limits limits = {.idle_timeout_ms = 100};
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, &limits);
    c = call(&f);
    say(&c, "GET / HTTP/1.1\r\n" H "\r\n");
    hear(&c, "hello", HELLO);
    hear(&c, NULL, "");
    hang_up(&c);
    assert_events(&f, "GET /;body;written;");
    close_fixture(&f);
}

/* After a second an idle connection has given its memory back, and still works. */
static void test_rest(void **state)
{
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    c = call(&f);
    say(&c, "GET / HTTP/1.1\r\n" H "\r\n");
    hear(&c, "hello", HELLO);
    run_for(f.loop, 1500);
    say(&c, "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
    hear(&c, "abc", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
    hang_up(&c);
    close_fixture(&f);
}

#define WHO "HTTP/1.1 401 Unauthorized\r\nX: y\r\nContent-Length: 4\r\n\r\nwho?"

static void test_early_answer(void **state)
{
    static char body[1 << 20];
    struct fixture f;
    struct caller c;

    (void)state;
    memset(body, 'b', sizeof(body));
    start(&f, NULL);
    /* A small unread body is dropped, and the connection goes on. */
    c = call(&f);
    say(&c, "POST /early HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nbo");
    hear(&c, "who?", WHO);
    say(&c, "dyGET / HTTP/1.1\r\n" H "\r\n");
    hear(&c, "hello", HELLO);
    say(&c, "POST /early HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    hear(&c, "who?", WHO);
    say(&c, "1\r\nb\r\n0\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n");
    hear(&c, "hello", HELLO);
    /* What is dropped is checked all the same. */
    say(&c, "POST /early HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    hear(&c, NULL, WHO);
    hang_up(&c);
    /* A large one ends it, but the answer arrives, although the caller goes on sending. */
    c = call(&f);
    say(&c, "POST /early HTTP/1.1\r\n" H "Content-Length: 1048576\r\n\r\n");
    say_bytes(&c, (struct slu_str){body, 30000});
    hear(&c, NULL,
         "HTTP/1.1 401 Unauthorized\r\nX: y\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwho?");
    say_bytes(&c, (struct slu_str){body, sizeof(body) - 30000});
    hang_up(&c);
    assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
    /* One that never comes ends it too. */
    c = call(&f);
    say(&c, "POST /early HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\n");
    hear(&c, NULL, WHO);
    hang_up(&c);
    close_fixture(&f);
}

static bool is_gone(void *context)
{
    return slu_str_ends(slu_buf_str(&((struct fixture *)context)->events), SLU_STR("gone;"));
}

static bool is_pending(void *context)
{
    return ((struct fixture *)context)->pending != NULL;
}

static void test_caller_leaves(void **state)
{
    static const char *const said[] = {
        "GET /never HTTP/1.1\r\n" H "\r\n",
        "GET /hang HTTP/1.1\r\n" H "\r\n",
        "POST /never HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc",
    };
    struct fixture f;
    struct caller c;

    (void)state;
    start(&f, NULL);
    for (size_t i = 0; i < SLU_COUNT(said); i++)
        for (int how = 0; how < 3; how++) {
            struct linger abrupt = {1, 0};

            c = call(&f);
            say(&c, said[i]);
            assert_true(run_until(f.loop, is_pending, &f, PATIENCE_MS));
            if (how == 0)
                assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
            if (how == 1)
                assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt)),
                                 0);
            if (how > 0)
                close(c.fd);
            assert_true(run_until(f.loop, is_gone, &f, PATIENCE_MS));
            if (how == 0)
                close(c.fd);
            slu_buf_done(&c.in);
        }
    assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
    slu_buf_clear(&f.events);
    /* In the middle of a body: it was asked for, so the owner hears of it. */
    c = call(&f);
    say(&c, "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc");
    run_for(f.loop, 20);
    hang_up(&c);
    assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
    assert_events(&f, "POST /;gone;");
    /* In the middle of a head: nobody was asked. */
    c = call(&f);
    say(&c, "POST / HT");
    run_for(f.loop, 20);
    hang_up(&c);
    assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
    assert_events(&f, "");
    close_fixture(&f);
}

/* The caller left, the owner still needs the talk: its arena stays until the release, even beyond
 * the server's life. */
static void test_late_release(void **state)
{
    struct fixture f;
    struct caller c;
    struct slu_talk *talk;
    char *kept;

    (void)state;
    start(&f, NULL);
    f.keep_gone = true;
    for (int i = 0; i < 2; i++) {
        c = call(&f);
        say(&c, "GET /never HTTP/1.1\r\n" H "\r\n");
        assert_true(run_until(f.loop, is_pending, &f, PATIENCE_MS));
        hang_up(&c);
        assert_true(run_until(f.loop, is_gone, &f, PATIENCE_MS));
        assert_int_equal(slu_server_busy(f.server), 0);
        talk = slu_take(f.pending);
        kept = slu_arena_get(slu_talk_arena(talk), 100);
        assert_non_null(kept);
        if (i == 1) {
            slu_server_free(f.server);
            f.server = NULL;
        }
        memset(kept, 'x', 100);
        assert_str(slu_talk_request(talk)->path, "/never");
        slu_talk_release(talk);
    }
    close_fixture(&f);
}

static void test_free_with_open_talks(void **state)
{
    struct fixture f;
    struct caller waiting, idle, half;

    (void)state;
    start(&f, NULL);
    waiting = call(&f);
    idle = call(&f);
    half = call(&f);
    say(&idle, "GET / HTTP/1.1\r\n" H "\r\n");
    hear(&idle, "hello", HELLO);
    say(&half, "GET / HT");
    say(&waiting, "GET /hang HTTP/1.1\r\n" H "\r\n");
    assert_true(run_until(f.loop, is_pending, &f, PATIENCE_MS));
    slu_server_free(f.server);
    f.server = NULL;
    assert_true(is_gone(&f));
    hear(&waiting, NULL, "");
    hear(&idle, NULL, "");
    hang_up(&waiting);
    hang_up(&idle);
    hang_up(&half);
    close_fixture(&f);
}

static bool any_came(void *context)
{
    struct caller *c = context;

    listen_once(c);
    return c->in.n > 0;
}

static bool all_came(void *context)
{
    struct caller *c = context;

    listen_once(c);
    return c->in.n >= LARGE;
}

static void test_large_answer(void **state)
{
    struct slu_server_limits limits = {.write_timeout_ms = 300};
    struct fixture f;
    struct caller c;
    const char *body;

    (void)state;
    start(&f, &limits);
    c = call_with_room(&f, 65536);
    say(&c, "GET /large HTTP/1.1\r\n" H "\r\n");
    c.most = 100000;
    for (int i = 0; i < 5; i++) { /* longer than the deadline, but with progress */
        run_for(f.loop, 100);
        listen_once(&c);
        c.most += 500000;
    }
    c.most = SIZE_MAX;
    assert_true(run_until(f.loop, all_came, &c, PATIENCE_MS));
    body = (const char *)memmem(c.in.p, c.in.n, "\r\n\r\n", 4) + 4;
    assert_int_equal((size_t)(c.in.p + c.in.n - body), LARGE);
    assert_memory_equal(body, f.large, LARGE);
    run_for(f.loop, 10);
    assert_events(&f, "GET /large;body;written;");
    slu_buf_clear(&c.in);
    say(&c, "GET / HTTP/1.1\r\n" H "\r\n");
    hear(&c, "hello", HELLO);
    slu_buf_clear(&f.events);

    say(&c, "GET /large HTTP/1.1\r\n" H "\r\n"); /* and then does not read */
    assert_true(run_until(f.loop, is_gone, &f, PATIENCE_MS));
    assert_events(&f, "GET /large;body;gone;");
    assert_int_equal(slu_server_busy(f.server), 0);
    assert_true(run_until(f.loop, any_came, &c, PATIENCE_MS));
    hang_up(&c);
    close_fixture(&f);
}

static void test_drain(void **state)
{
    struct fixture f;
    struct caller fresh, idle, busy;

    (void)state;
    start(&f, NULL);
    idle = call(&f);
    say(&idle, "GET / HTTP/1.1\r\n" H "\r\n");
    hear(&idle, "hello", HELLO);
    busy = call(&f);
    say(&busy, "GET /later HTTP/1.1\r\n" H "\r\nGET /next HTTP/1.1\r\n" H "\r\n");
    fresh = call(&f);
    assert_true(run_until(f.loop, is_pending, &f, PATIENCE_MS));
    assert_int_equal(slu_server_busy(f.server), 3);
    slu_server_drain(f.server);
    assert_int_equal(slu_server_busy(f.server), 2);
    hear(&idle, NULL, "");
    hear(&busy, NULL,
         "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlater");
    say(&fresh, "GET / HTTP/1.1\r\n" H "\r\n"); /* was on its way */
    hear(&fresh, NULL,
         "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    hang_up(&idle);
    hang_up(&busy);
    hang_up(&fresh);
    assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
    close_fixture(&f);
}

/* TLS: the same server, another wire. */

struct secret_caller {
    struct slu_conn *conn;
    struct slu_buf in;
    bool closed;
};

static void on_secret(struct slu_conn *conn, void *user)
{
    struct secret_caller *c = user;
    struct slu_str input = slu_conn_input(conn);

    slu_buf_add(&c->in, input);
    slu_conn_consume(conn, input.n);
}

static void on_secret_end(struct slu_conn *conn, const struct slu_fault *fault, void *user)
{
    struct secret_caller *c = user;

    (void)conn;
    assert_null(fault);
    c->closed = true;
}

static bool secret_ended(void *context)
{
    return ((struct secret_caller *)context)->closed;
}

static void test_tls(void **state)
{
    static const struct slu_conn_events events = {.readable = on_secret, .closed = on_secret_end};
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct slu_tls_server_conf server = {cert("server.pem"), cert("server.key"), NULL};
    struct slu_tls_client_conf client = {.ca = cert("ca.pem")};
    struct slu_str said = SLU_STR("GET /later HTTP/1.1\r\n" H "\r\n"
                                  "GET /large HTTP/1.1\r\n" H "Connection: close\r\n\r\n");

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(versions); i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        struct slu_conn_peer peer = {
            .address = (struct sockaddr *)&address, .length = sizeof(address), .host = "localhost"};
        struct slu_tls *server_tls = NULL, *client_tls = NULL;
        struct secret_caller c = {0};
        struct slu_fault fault = {0};
        struct fixture f;

        assert_true(slu_tls_server_new(&server, &server_tls, &fault));
        assert_true(slu_tls_client_new(&client, &client_tls, &fault));
        SSL_CTX_set_max_proto_version(slu_tls_context(client_tls), versions[i]);
        assert_true(open_fixture_tls(&f, NULL, server_tls));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port_of(&f));
        peer.tls = client_tls;
        c.conn = slu_conn_connect(f.loop, &peer, &events, &c, &fault);
        assert_non_null(c.conn);
        slu_conn_write(c.conn, &said, 1);
        assert_true(run_until(f.loop, secret_ended, &c, PATIENCE_MS));
        assert_true(slu_str_ends(slu_buf_str(&c.in), (struct slu_str){f.large, LARGE}));
        assert_non_null(memmem(c.in.p, 200, "later", 5));
        assert_events(&f, "GET /later;body;written;GET /large;body;written;");
        slu_conn_free(c.conn);
        slu_buf_done(&c.in);
        assert_true(run_until(f.loop, nobody_left, &f, PATIENCE_MS));
        close_fixture(&f);
        slu_tls_free(server_tls);
        slu_tls_free(client_tls);
    }
}

static void test_connection_cap(void **state)
{
    struct slu_server_limits limits = {.connections = 2};
    struct fixture f;
    struct caller a, b, c;

    (void)state;
    start(&f, &limits);
    a = call(&f);
    b = call(&f);
    c = call(&f); /* in the backlog */
    say(&c, "GET / HTTP/1.1\r\n" H "\r\n");
    run_for(f.loop, 50);
    assert_int_equal(slu_server_busy(f.server), 2);
    assert_events(&f, "");
    hang_up(&a);
    hear(&c, "hello", HELLO);
    hang_up(&b);
    hang_up(&c);
    close_fixture(&f);
}

static void count_turn(void *argument)
{
    ++*(unsigned *)argument;
}

/* At the limit of descriptors the listener rests in place of spinning, and recovers. */
static void test_no_descriptors(void **state)
{
    struct rlimit old, low;
    struct fixture f;
    struct caller c;
    unsigned turns = 0;
    int spare;

    (void)state;
    start(&f, NULL);
    slu_loop_each_turn(f.loop, count_turn, &turns);
    c = call(&f);
    say(&c, "GET / HTTP/1.1\r\n" H "\r\n");
    spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)spare;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    close(spare);
    low.rlim_cur = (rlim_t)spare;
    run_for(f.loop, 400);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(slu_server_busy(f.server), 0);
    assert_in_range(turns, 1, 300); /* 200 are the test's own timer */
    hear(&c, "hello", HELLO);
    hang_up(&c);
    close_fixture(&f);
}

static void test_addresses(void **state)
{
    static const char *const wrong[] = {
        "",          "127.0.0.1",       "127.0.0.1:",  "127.0.0.1:x", ":80",
        "[::1]",     "127.0.0.1:70000", "[::1:80",     "::1:80",      "name:80",
        "[::1]x:80", "127.0.0.1:-1",    "192.0.2.1:80"};
    struct slu_server_conf conf = {.address = "[::1]:0"};
    struct slu_loop *loop = slu_loop_new();
    struct slu_server *server, *second;
    struct slu_fault fault = {0};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(wrong); i++) {
        struct slu_server_conf bad = {.address = wrong[i]};

        fault = (struct slu_fault){0};
        assert_false(slu_server_new(loop, &bad, &handler, NULL, &server, &fault));
        assert_int_equal(fault.kind, SLU_FAULT_CONFIG);
        assert_string_equal(fault.place, wrong[i]);
    }
    assert_true(slu_server_new(loop, &conf, &handler, NULL, &server, &fault));
    assert_true(slu_str_starts(slu_str_of(slu_server_address(server)), SLU_STR("[::1]:")));
    conf.address = slu_server_address(server); /* SO_REUSEPORT: one per thread */
    assert_true(slu_server_new(loop, &conf, &handler, NULL, &second, &fault));
    slu_server_free(second);
    slu_server_free(server);
    slu_server_free(NULL);
    slu_loop_free(loop);
}

static bool heard_or_ended(void *context)
{
    struct caller *c = context;

    return heard(c) || c->ended;
}

/* With any allocation failing, a caller is answered or hung up on, and nothing leaks. */
static bool converse(void *context)
{
    struct fixture f;
    struct caller c;
    bool good = open_fixture(&f, NULL);

    (void)context;
    if (good) {
        c = call(&f);
        c.in.p = malloc(1 << 17); /* the caller's own memory never fails */
        c.in.size = 1 << 17;
        say(&c,
            "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        c.awaited = "abc";
        if (!run_until(f.loop, heard_or_ended, &c, PATIENCE_MS))
            fail_msg("neither answered nor closed");
        good = heard(&c);
        hang_up(&c);
    }
    close_fixture(&f);
    return good;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(converse, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_abort_of_one_who_left),
        cmocka_unit_test(test_old_protocol),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_caller_leaves),
        cmocka_unit_test(test_late_release),
        cmocka_unit_test(test_free_with_open_talks),
        cmocka_unit_test(test_large_answer),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_connection_cap),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
