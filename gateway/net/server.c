/*
 * The callers' side. A talk is a connection with the request it carries at the moment; it lives
 * through the phases below, again and again while the connection is kept:
 *
 *   idle     nothing has come yet           deadline: idle (or head, just after accept)
 *   head     a head is arriving             deadline: head
 *   judge    head() was called
 *   body     the body asked for arrives     deadline: body, and a minimum rate
 *   work     the answer is awaited
 *   write    the answer is leaving          deadline: write
 *   written  written() was called; the release is awaited
 *   discard  a body nobody asked for is read and dropped    deadline: linger
 *   linger   we closed our side; the caller reads our last answer and closes    deadline: linger
 *   gone     the caller left; the release is awaited
 *
 * One function, advance(), moves a talk; a phase answers whether it moved. What the owner calls
 * (answer, want body, release) is noted and acted on by advance(), so that no callback ever comes
 * from inside a call. Deadlines are lists in order of their time, looked at by one coarse timer:
 * a request sets none of libevent's timers.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/time.h"
#include "net/conn.h"
#include "net/http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
    BODY_RATE = 256,      /* bytes a second, after a quarter of the body's time */
    LINGER_MS = 1000,     /* an unread body, or a last answer */
    LINGER_BYTES = 65536, /* the most that is read only to be dropped */
    BACKOFF_MS = 100,     /* of the listener when accept() fails */
    REST_AFTER_MS = 1000, /* an idle connection gives its memory back */
    COPIED_MOST = 16384,  /* a body up to this size is copied behind its head */
    LINE_MOST = 8192,     /* request line; RFC 9112 §3 recommends at least 8000 */
    ADDRESS_MOST = 64,
    SPARE_MOST = 32
};

enum phase { IDLE, HEAD, JUDGE, BODY, WORK, WRITE, WRITTEN, DISCARD, LINGER, GONE };
enum deadline { NO_DEADLINE, D_IDLE, D_HEAD, D_BODY, D_WRITE, D_LINGER, DEADLINES };

TAILQ_HEAD(talks, slu_talk);

struct slu_talk {
    struct slu_server *server; /* NULL: it was freed; only the release is awaited */
    struct slu_conn *conn;     /* NULL: gone */
    TAILQ_ENTRY(slu_talk) all;
    TAILQ_ENTRY(slu_talk) due;
    TAILQ_ENTRY(slu_talk) timed;
    enum phase phase;
    enum deadline deadline;
    uint64_t expires_us; /* of the deadline */
    bool running, is_due;
    bool wanted, answered, flushed, released; /* what the owner asked for; output is written */
    bool whole;                               /* the request was read to its end */
    bool invited;                             /* the body: 100 was sent, or needless */
    bool late;                                /* the head's or body's deadline has passed */
    bool close;                               /* after this answer */
    bool refused, rested, served, caller_left;
    uint32_t body_most;
    size_t dropped; /* bytes read only to be dropped */
    size_t unread;  /* bytes of the answer that had not arrived when last looked at */
    uint64_t began_us, body_began_us, bytes_out;
    void *user;
    struct slu_http1 reader;
    struct slu_arena arena;
    struct slu_fault fault;
    char peer[ADDRESS_MOST];
};

struct slu_server {
    struct slu_loop *loop;
    const struct slu_server_handler *handler;
    void *user;
    struct slu_tls *tls;
    struct slu_server_limits limits;
    struct evconnlistener *listener;
    struct event *turn; /* activated when a talk is due */
    struct slu_timer tick, backoff;
    uint32_t tick_ms;
    bool ticking, draining, listening, backing_off;
    uint32_t count;
    struct talks all, due, timed[DEADLINES];
    struct slu_buf head;                /* where answers are put together */
    struct slu_arena spare[SPARE_MOST]; /* request memory between two requests, the warmest last */
    unsigned spare_count;
    int64_t date_s;
    char date[SLU_TIME_IMF];
    char address[ADDRESS_MOST];
};

static void advance(struct slu_talk *talk);

/* Deadlines */

static uint32_t deadline_ms(const struct slu_server *server, enum deadline deadline)
{
    switch (deadline) {
    case NO_DEADLINE:
    case DEADLINES:
        break;
    case D_IDLE:
        return server->limits.idle_timeout_ms;
    case D_HEAD:
        return server->limits.head_timeout_ms;
    case D_BODY:
        return server->limits.body_timeout_ms;
    case D_WRITE:
        return server->limits.write_timeout_ms;
    case D_LINGER:
        return LINGER_MS;
    }
    return 0;
}

/* Of one kind all last equally long, so each list is in order of its ends. */
static void set_deadline(struct slu_talk *talk, enum deadline deadline)
{
    struct slu_server *server = talk->server;

    if (talk->deadline != NO_DEADLINE)
        TAILQ_REMOVE(&server->timed[talk->deadline], talk, timed);
    talk->deadline = deadline;
    if (deadline == NO_DEADLINE)
        return;
    talk->expires_us =
        slu_loop_now_us(server->loop) + (uint64_t)deadline_ms(server, deadline) * 1000;
    TAILQ_INSERT_TAIL(&server->timed[deadline], talk, timed);
    if (!server->ticking)
        server->ticking = slu_timer_set(&server->tick, server->tick_ms);
}

/* Acting later */

static void make_due(struct slu_talk *talk)
{
    if (talk->is_due || talk->running || !talk->server)
        return;
    talk->is_due = true;
    TAILQ_INSERT_TAIL(&talk->server->due, talk, due);
    event_active(talk->server->turn, EV_TIMEOUT, 0);
}

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
    struct slu_server *server = argument;
    struct slu_talk *talk;

    (void)fd;
    (void)what;
    while ((talk = TAILQ_FIRST(&server->due))) {
        TAILQ_REMOVE(&server->due, talk, due);
        talk->is_due = false;
        advance(talk);
    }
}

/* The listener */

static void listen_again(struct slu_server *server)
{
    if (server->listening || server->backing_off || !server->listener ||
        server->count >= server->limits.connections)
        return;
    server->listening = evconnlistener_enable(server->listener) == 0;
}

static void stop_listening(struct slu_server *server)
{
    evconnlistener_disable(server->listener);
    server->listening = false;
}

static void on_backoff_over(void *argument)
{
    struct slu_server *server = argument;

    server->backing_off = false;
    listen_again(server);
}

/* Without this the listener would spin at the limit of descriptors: the connection that cannot be
 * accepted keeps the socket readable. */
static void on_accept_error(struct evconnlistener *listener, void *argument)
{
    struct slu_server *server = argument;
    int error = errno;

    (void)listener;
    slu_log(SLU_LOG_DEBUG, "accept", "accept fails with error %d, resting for %d ms", error,
            (int)BACKOFF_MS);
    if (!slu_timer_set(&server->backoff, BACKOFF_MS))
        return;
    server->backing_off = true;
    stop_listening(server);
}

/* Making and ending talks */

static void on_readable(struct slu_conn *conn, void *argument)
{
    (void)conn;
    advance(argument);
}

static void on_drained(struct slu_conn *conn, void *argument)
{
    struct slu_talk *talk = argument;

    (void)conn;
    talk->flushed = talk->answered;
    advance(talk);
}

/* The end of the caller's side is taken as leaving, whether it still reads or not: so does a proxy
 * with abortonclose, and nobody can tell the two apart. */
static void on_closed(struct slu_conn *conn, const struct slu_fault *fault, void *argument)
{
    struct slu_talk *talk = argument;

    (void)conn;
    (void)fault;
    talk->caller_left = true;
    advance(talk);
}

static const struct slu_conn_events conn_events = {
    .readable = on_readable,
    .drained = on_drained,
    .closed = on_closed,
};

static bool name_address(const struct sockaddr *address, char name[ADDRESS_MOST])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

        if (!inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)))
            return false;
        snprintf(name, ADDRESS_MOST, "[%s]:%u", host, ntohs(v6->sin6_port));
        return true;
    }
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

        if (!inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)))
            return false;
        snprintf(name, ADDRESS_MOST, "%s:%u", host, ntohs(v4->sin_port));
        return true;
    }
    return false;
}

static struct slu_talk *talk_new(struct slu_server *server, int fd)
{
    struct slu_talk *talk = slu_mem_new(sizeof(*talk));
    struct slu_http1_limits limits = {
        .line_bytes = LINE_MOST,
        .head_bytes = server->limits.head_bytes,
        .head_fields = server->limits.head_fields,
        .body_bytes = server->limits.body_bytes,
    };

    if (!talk) {
        close(fd);
        return NULL;
    }
    talk->conn = slu_conn_accept(server->loop, fd, server->tls, &conn_events, talk);
    if (!talk->conn) {
        slu_mem_free(talk);
        return NULL;
    }
    slu_conn_limit_input(talk->conn, server->limits.head_bytes);
    slu_arena_init(&talk->arena, server->limits.arena_bytes);
    slu_http1_init(&talk->reader, SLU_HTTP1_REQUESTS, &limits);
    talk->server = server;
    return talk;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *argument)
{
    struct slu_server *server = argument;
    struct slu_talk *talk = talk_new(server, fd);

    (void)listener;
    (void)length;
    if (!talk)
        return;
    if (!name_address(address, talk->peer))
        talk->peer[0] = '\0';
    TAILQ_INSERT_TAIL(&server->all, talk, all);
    set_deadline(talk, D_HEAD);
    if (++server->count >= server->limits.connections)
        stop_listening(server);
}

static void drop_conn(struct slu_talk *talk)
{
    if (!talk->conn)
        return;
    set_deadline(talk, NO_DEADLINE);
    slu_conn_free(slu_take(talk->conn));
    talk->server->count--;
    listen_again(talk->server);
}

static void unlink_talk(struct slu_talk *talk)
{
    drop_conn(talk);
    if (talk->is_due)
        TAILQ_REMOVE(&talk->server->due, talk, due);
    talk->is_due = false;
    TAILQ_REMOVE(&talk->server->all, talk, all);
    talk->server = NULL;
}

static void talk_free(struct slu_talk *talk)
{
    slu_arena_done(&talk->arena);
    slu_mem_free(talk);
}

/* Phases */

enum move { STAY, MOVED, ENDED };

static enum move go_on(struct slu_talk *talk, enum phase phase, enum deadline deadline)
{
    talk->phase = phase;
    set_deadline(talk, deadline);
    return MOVED;
}

static enum slu_http1_result pull(struct slu_talk *talk)
{
    struct slu_str input = slu_conn_input(talk->conn);
    size_t before = input.n;
    enum slu_http1_result result = slu_http1_read(&talk->reader, &input, &talk->fault);

    slu_conn_consume(talk->conn, before - input.n);
    return result;
}

static enum move refuse(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;

    talk->close = talk->refused = true;
    go_on(talk, WORK, NO_DEADLINE);
    server->handler->refused(talk, &talk->fault, server->user);
    return MOVED;
}

static enum move refuse_late(struct slu_talk *talk)
{
    slu_fault_set(&talk->fault, SLU_FAULT_TIMEOUT, "", "the request took too long to arrive");
    return refuse(talk);
}

/* Memory goes to whoever has a request, so that an idle connection holds none and few requests at a
 * time use few, warm blocks. */
static void take_arena(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;

    if (!talk->arena.blocks && server->spare_count > 0)
        talk->arena = server->spare[--server->spare_count];
}

static void give_arena(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;

    slu_arena_reset(&talk->arena);
    if (!talk->arena.blocks || server->spare_count == SPARE_MOST)
        return;
    server->spare[server->spare_count++] = talk->arena;
    slu_arena_init(&talk->arena, server->limits.arena_bytes);
}

/* Everything that belongs to one request. */
static void begin_request(struct slu_talk *talk)
{
    talk->wanted = talk->answered = talk->flushed = talk->released = false;
    talk->refused = talk->whole = talk->invited = talk->late = talk->rested = false;
    talk->dropped = 0;
    talk->bytes_out = 0;
    talk->user = NULL;
    talk->fault.kind = SLU_FAULT_NONE;
    talk->began_us = slu_loop_now_us(talk->server->loop);
    take_arena(talk);
    slu_http1_begin(&talk->reader, &talk->arena, false);
    talk->reader.request.scheme = talk->server->tls ? SLU_STR("https") : SLU_STR("http");
}

static enum move idle(struct slu_talk *talk)
{
    if (slu_conn_input(talk->conn).n == 0)
        return talk->server->draining && talk->served ? ENDED : STAY;
    begin_request(talk);
    if (talk->deadline == D_HEAD) { /* since accept: the first byte does not extend it */
        talk->phase = HEAD;
        return MOVED;
    }
    return go_on(talk, HEAD, D_HEAD);
}

static enum move head(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;

    if (talk->late)
        return refuse_late(talk);
    switch (pull(talk)) {
    case SLU_HTTP1_MORE:
    case SLU_HTTP1_DONE: /* never before HEAD */
        return STAY;
    case SLU_HTTP1_FAILED:
        return refuse(talk);
    case SLU_HTTP1_HEAD:
        break;
    }
    talk->close = !talk->reader.keep;
    go_on(talk, JUDGE, NO_DEADLINE);
    server->handler->head(talk, server->user);
    return MOVED;
}

static enum move begin_write(struct slu_talk *talk)
{
    if (!talk->flushed)
        talk->unread = slu_conn_unacknowledged(talk->conn);
    return go_on(talk, WRITE, talk->flushed ? NO_DEADLINE : D_WRITE);
}

static enum move judge(struct slu_talk *talk)
{
    if (talk->answered)
        return begin_write(talk);
    if (!talk->wanted)
        return STAY;
    slu_http1_limit_body(&talk->reader, talk->body_most);
    talk->body_began_us = slu_loop_now_us(talk->server->loop);
    return go_on(talk, BODY, D_BODY);
}

/* RFC 9110 §10.1.1: only while nothing of the body has come. */
static void invite_body(struct slu_talk *talk)
{
    struct slu_str go = SLU_STR("HTTP/1.1 100 Continue\r\n\r\n");

    if (!talk->reader.expects_continue || talk->invited)
        return;
    talk->invited = true;
    if (talk->reader.body_seen || slu_conn_input(talk->conn).n)
        return;
    talk->bytes_out += go.n;
    (void)!slu_conn_write(talk->conn, &go, 1); /* a failure is told by on_closed() */
}

static enum move body(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;

    if (talk->answered)
        return begin_write(talk);
    if (talk->late)
        return refuse_late(talk);
    switch (pull(talk)) {
    case SLU_HTTP1_MORE:
    case SLU_HTTP1_HEAD: /* never twice */
        invite_body(talk);
        return STAY;
    case SLU_HTTP1_FAILED:
        return refuse(talk);
    case SLU_HTTP1_DONE:
        break;
    }
    talk->whole = true;
    go_on(talk, WORK, NO_DEADLINE);
    server->handler->body(talk, server->user);
    return MOVED;
}

static enum move work(struct slu_talk *talk)
{
    return talk->answered ? begin_write(talk) : STAY;
}

static enum move write_answer(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;

    if (!talk->flushed)
        return STAY;
    go_on(talk, WRITTEN, NO_DEADLINE);
    server->handler->written(talk, server->user);
    return MOVED;
}

static enum move linger(struct slu_talk *talk)
{
    size_t n = slu_conn_input(talk->conn).n;

    slu_conn_consume(talk->conn, n);
    talk->dropped += n;
    return talk->dropped > LINGER_BYTES ? ENDED : STAY;
}

/* Closing while the caller still sends would reset the connection and could destroy our answer on
 * its way (RFC 9112 §9.6): our side ends first, and what still comes is read for a while. */
static enum move begin_linger(struct slu_talk *talk)
{
    slu_conn_end_output(talk->conn);
    return go_on(talk, LINGER, D_LINGER);
}

static enum move begin_idle(struct slu_talk *talk)
{
    talk->served = true;
    return go_on(talk, IDLE, D_IDLE);
}

static enum move written(struct slu_talk *talk)
{
    if (!talk->released)
        return STAY;
    slu_http1_discard(&talk->reader);
    give_arena(talk);
    if (talk->close)
        return begin_linger(talk);
    if (talk->whole)
        return begin_idle(talk);
    slu_http1_limit_body(&talk->reader, LINGER_BYTES);
    return go_on(talk, DISCARD, D_LINGER);
}

static enum move discard(struct slu_talk *talk)
{
    switch (pull(talk)) {
    case SLU_HTTP1_MORE:
    case SLU_HTTP1_HEAD:
        return STAY;
    case SLU_HTTP1_FAILED:
        return begin_linger(talk);
    case SLU_HTTP1_DONE:
        break;
    }
    return begin_idle(talk);
}

static enum move gone(struct slu_talk *talk)
{
    return talk->released ? ENDED : STAY;
}

static enum move (*const phases[])(struct slu_talk *talk) = {
    [IDLE] = idle,     [HEAD] = head,          [JUDGE] = judge,     [BODY] = body,
    [WORK] = work,     [WRITE] = write_answer, [WRITTEN] = written, [DISCARD] = discard,
    [LINGER] = linger, [GONE] = gone,
};

/* The caller left: the owner hears of it when it still owes an answer. */
static enum move leave(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;
    enum phase was = talk->phase;

    if (was == IDLE || was == HEAD || was == DISCARD || was == LINGER)
        return ENDED;
    drop_conn(talk);
    talk->phase = GONE;
    if (was != WRITTEN)
        server->handler->gone(talk, server->user);
    return MOVED;
}

static void advance(struct slu_talk *talk)
{
    enum move move;

    if (talk->running)
        return;
    talk->running = true;
    do {
        move = talk->caller_left && talk->phase != GONE ? leave(talk) : phases[talk->phase](talk);
    } while (move == MOVED);
    talk->running = false;
    if (move == ENDED) {
        unlink_talk(talk);
        talk_free(talk);
    }
}

/* The tick */

/* A caller that reads slowly, but reads, has not let the write's deadline pass. */
static bool still_reads(struct slu_talk *talk)
{
    size_t before = talk->unread;

    talk->unread = slu_conn_unacknowledged(talk->conn);
    return talk->unread < before;
}

static void expire(struct slu_talk *talk)
{
    enum deadline which = talk->deadline;

    set_deadline(talk, NO_DEADLINE);
    if (which == D_WRITE && still_reads(talk)) {
        set_deadline(talk, D_WRITE);
        return;
    }
    if (which == D_BODY || (which == D_HEAD && talk->phase == HEAD))
        talk->late = true;
    else
        talk->caller_left = true;
    advance(talk);
}

static bool too_slow(const struct slu_talk *talk, uint64_t now)
{
    uint64_t took_us = now - talk->body_began_us;
    uint64_t grace_us = (uint64_t)talk->server->limits.body_timeout_ms * 1000 / 4;

    return took_us > grace_us + talk->reader.body_seen * 1000000 / BODY_RATE;
}

static void expire_slow_bodies(struct slu_server *server, uint64_t now)
{
    struct slu_talk *talk, *next;

    for (talk = TAILQ_FIRST(&server->timed[D_BODY]); talk; talk = next) {
        next = TAILQ_NEXT(talk, timed);
        if (too_slow(talk, now))
            expire(talk);
    }
}

/* Many idle connections cost little: after a while they hold no buffers. */
static void rest_idle(struct slu_server *server, uint64_t now)
{
    uint64_t before = (uint64_t)server->limits.idle_timeout_ms * 1000;
    struct slu_talk *talk;

    TAILQ_FOREACH_REVERSE(talk, &server->timed[D_IDLE], talks, timed)
    {
        if (talk->rested)
            break;
        if (now + before < talk->expires_us + (uint64_t)REST_AFTER_MS * 1000)
            continue;
        slu_conn_rest(talk->conn);
        slu_arena_done(&talk->arena);
        talk->rested = true;
    }
}

static void on_tick(void *argument)
{
    struct slu_server *server = argument;
    uint64_t now = slu_loop_now_us(server->loop);

    for (int kind = D_IDLE; kind < DEADLINES; kind++) {
        struct slu_talk *talk;

        while ((talk = TAILQ_FIRST(&server->timed[kind])) && talk->expires_us <= now)
            expire(talk);
    }
    expire_slow_bodies(server, now);
    rest_idle(server, now);
    server->ticking = server->count > 0 && slu_timer_set(&server->tick, server->tick_ms);
}

/* The server */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static uint32_t less(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void set_limits(struct slu_server *server, const struct slu_server_limits *given)
{
    struct slu_server_limits *limits = &server->limits;
    uint32_t shortest;

    *limits = *given;
    limits->head_bytes = or_default(given->head_bytes, 16384);
    limits->head_fields = or_default(given->head_fields, 100);
    limits->body_bytes = or_default(given->body_bytes, 65536);
    limits->connections = or_default(given->connections, 1024);
    limits->head_timeout_ms = or_default(given->head_timeout_ms, 10000);
    limits->body_timeout_ms = or_default(given->body_timeout_ms, 20000);
    limits->idle_timeout_ms = or_default(given->idle_timeout_ms, 75000);
    limits->write_timeout_ms = or_default(given->write_timeout_ms, 20000);
    if (limits->arena_bytes == 0)
        limits->arena_bytes = (size_t)1 << 20;
    shortest = less(less(limits->head_timeout_ms, limits->body_timeout_ms),
                    less(limits->idle_timeout_ms, limits->write_timeout_ms));
    server->tick_ms = shortest / 8 < 10 ? 10 : less(shortest / 8, 250);
}

/* libevent's own reader of addresses knows no port 0. */
static bool read_address(struct slu_str text, struct sockaddr_storage *ret_address, int *ret_length)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
    char host[INET6_ADDRSTRLEN] = "";
    uint64_t port;
    bool brackets = text.n && text.p[0] == '[';
    struct slu_str rest = {text.p + brackets, text.n - brackets};
    struct slu_str name = slu_str_cut(&rest, brackets ? ']' : ':');

    if (brackets && slu_str_cut(&rest, ':').n)
        return false;
    if (name.n >= sizeof(host) || !slu_str_to_u64(rest, &port) || port > UINT16_MAX)
        return false;
    memcpy(host, name.p, name.n);
    memset(ret_address, 0, sizeof(*ret_address));
    if (brackets) {
        *ret_length = sizeof(*v6);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
    }
    *ret_length = sizeof(*v4);
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

static bool open_listener(struct slu_server *server, const char *address, struct slu_fault *fault)
{
    unsigned flags =
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT;
    struct sockaddr_storage where;
    struct sockaddr *any = (struct sockaddr *)&where;
    int length;
    socklen_t bound = sizeof(where);

    if (!read_address(slu_str_of(address), &where, &length))
        return slu_fault_set(fault, SLU_FAULT_CONFIG, address,
                             "this is no address with a port, like 127.0.0.1:8080 or [::1]:8080");
    if (where.ss_family == AF_INET6)
        flags |= LEV_OPT_BIND_IPV6ONLY;
    server->listener = evconnlistener_new_bind(slu_loop_base(server->loop), on_accept, server,
                                               flags, -1, any, length);
    if (!server->listener ||
        getsockname(evconnlistener_get_fd(server->listener), any, &bound) != 0 ||
        !name_address(any, server->address)) {
        char words[128];

        return slu_fault_set(fault, SLU_FAULT_CONFIG, address, "this address cannot be used: %s",
                             strerror_r(errno, words, sizeof(words)));
    }
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    server->listening = true;
    return true;
}

bool slu_server_new(struct slu_loop *loop, const struct slu_server_conf *conf,
                    const struct slu_server_handler *handler, void *user,
                    struct slu_server **ret_server, struct slu_fault *fault)
{
    struct slu_server *server = slu_mem_new(sizeof(*server));

    if (!server)
        return slu_fault_memory(fault);
    server->loop = loop;
    server->handler = handler;
    server->user = user;
    server->tls = conf->tls ? slu_tls_ref(conf->tls) : NULL;
    set_limits(server, &conf->limits);
    TAILQ_INIT(&server->all);
    TAILQ_INIT(&server->due);
    for (int kind = 0; kind < DEADLINES; kind++)
        TAILQ_INIT(&server->timed[kind]);
    slu_buf_init(&server->head, 0);
    slu_timer_init(&server->tick, loop, on_tick, server);
    slu_timer_init(&server->backoff, loop, on_backoff_over, server);
    server->turn = event_new(slu_loop_base(loop), -1, 0, on_turn, server);
    if (!server->turn)
        slu_fault_memory(fault);
    if (!server->turn || !open_listener(server, conf->address, fault)) {
        slu_server_free(server);
        return false;
    }
    *ret_server = server;
    return true;
}

static void close_listener(struct slu_server *server)
{
    if (server->listener)
        evconnlistener_free(slu_take(server->listener));
    server->listening = false;
}

void slu_server_drain(struct slu_server *server)
{
    struct slu_talk *talk, *next;

    server->draining = true;
    close_listener(server);
    for (talk = TAILQ_FIRST(&server->all); talk; talk = next) {
        next = TAILQ_NEXT(talk, all);
        if (talk->phase == IDLE && !talk->served)
            set_deadline(talk, D_LINGER); /* its first request may be on its way */
        else if (talk->phase == IDLE)
            advance(talk);
    }
}

uint32_t slu_server_busy(const struct slu_server *server)
{
    return server->count;
}

/* Whoever still owes a release keeps the talk, which then has no server any more. */
static void abandon(struct slu_talk *talk)
{
    const struct slu_server_handler *handler = talk->server->handler;
    void *user = talk->server->user;
    enum phase was = talk->phase;

    slu_must(!talk->running);
    talk->running = true;
    unlink_talk(talk);
    talk->phase = GONE;
    if (was == JUDGE || was == BODY || was == WORK || was == WRITE)
        handler->gone(talk, user);
    talk->running = false;
    if (talk->released || was == IDLE || was == HEAD || was == DISCARD || was == LINGER)
        talk_free(talk);
}

void slu_server_free(struct slu_server *server)
{
    struct slu_talk *talk;

    if (!server)
        return;
    close_listener(server);
    while ((talk = TAILQ_FIRST(&server->all)))
        abandon(talk);
    slu_timer_done(&server->tick);
    slu_timer_done(&server->backoff);
    if (server->turn)
        event_free(server->turn);
    while (server->spare_count > 0)
        slu_arena_done(&server->spare[--server->spare_count]);
    slu_buf_done(&server->head);
    slu_tls_free(server->tls);
    slu_mem_free(server);
}

const char *slu_server_address(const struct slu_server *server)
{
    return server->address;
}

/* The owner's side of a talk */

const struct slu_request *slu_talk_request(const struct slu_talk *talk)
{
    return &talk->reader.request;
}

struct slu_arena *slu_talk_arena(struct slu_talk *talk)
{
    return &talk->arena;
}

struct slu_str slu_talk_peer(const struct slu_talk *talk)
{
    return slu_str_of(talk->peer);
}

bool slu_talk_has_body(const struct slu_talk *talk)
{
    return talk->reader.framing != SLU_HTTP1_NO_BODY;
}

uint64_t slu_talk_began_us(const struct slu_talk *talk)
{
    return talk->began_us;
}

uint64_t slu_talk_bytes_in(const struct slu_talk *talk)
{
    return talk->reader.total;
}

uint64_t slu_talk_bytes_out(const struct slu_talk *talk)
{
    return talk->bytes_out;
}

void slu_talk_set_user(struct slu_talk *talk, void *user)
{
    talk->user = user;
}

void *slu_talk_user(const struct slu_talk *talk)
{
    return talk->user;
}

void slu_talk_want_body(struct slu_talk *talk, uint32_t most)
{
    slu_must(talk->phase == JUDGE || talk->phase == GONE);
    talk->wanted = true;
    talk->body_most = most ? most : UINT32_MAX;
    make_due(talk);
}

static struct slu_str date_now(struct slu_server *server)
{
    int64_t now = slu_clock_real_s();

    if (now != server->date_s) {
        slu_time_imf(now, server->date);
        server->date_s = now;
    }
    return (struct slu_str){server->date, sizeof(server->date)};
}

/* The answer comes before the body was read: is there so much of it, or such doubt whether it
 * comes at all, that the connection had better end? */
static bool body_in_the_way(const struct slu_talk *talk)
{
    const struct slu_http1 *reader = &talk->reader;

    if (talk->whole || talk->refused || reader->framing == SLU_HTTP1_NO_BODY)
        return false;
    return (reader->expects_continue && !talk->invited) ||
           (reader->framing == SLU_HTTP1_LENGTH && reader->length > LINGER_BYTES);
}

static bool has_content(const struct slu_talk *talk, const struct slu_response *response)
{
    return response->body.n > 0 && response->status != 204 && response->status != 304 &&
           !slu_str_is(talk->reader.request.method, "HEAD");
}

static bool send_answer(struct slu_talk *talk, const struct slu_response *response)
{
    struct slu_buf *buf = &talk->server->head;
    struct slu_str pieces[2];
    unsigned count = 1;
    struct slu_http1_answer answer = {
        .date = date_now(talk->server),
        .close = talk->close,
        .keep_old = talk->reader.old,
    };

    slu_buf_clear(buf);
    if (!slu_http1_write_response(buf, response, &answer))
        return false;
    if (has_content(talk, response)) {
        if (response->body.n <= COPIED_MOST)
            slu_buf_add(buf, response->body);
        else
            pieces[count++] = response->body;
    }
    if (buf->failed)
        return false;
    pieces[0] = slu_buf_str(buf);
    talk->bytes_out += pieces[0].n + (count > 1 ? pieces[1].n : 0);
    talk->flushed = slu_conn_write(talk->conn, pieces, count);
    return true;
}

void slu_talk_answer(struct slu_talk *talk, const struct slu_response *response, bool close)
{
    slu_must(!talk->answered);
    talk->answered = true;
    if (talk->phase == GONE || talk->caller_left)
        return;
    slu_must(talk->phase == JUDGE || talk->phase == BODY || talk->phase == WORK);
    if (close || talk->server->draining || body_in_the_way(talk))
        talk->close = true;
    if (!send_answer(talk, response))
        talk->caller_left = true; /* no memory for an answer: the connection ends without one */
    make_due(talk);
}

void slu_talk_release(struct slu_talk *talk)
{
    slu_must(!talk->released);
    talk->released = true;
    if (talk->server)
        make_due(talk);
    else if (!talk->running)
        talk_free(talk);
}
