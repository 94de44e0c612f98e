/*
 * A talk is a connection with the request it carries at the moment; it lives through the phases
 * below, again and again while the connection is kept:
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
 * One function, slu_talk_advance(), moves a talk; a phase answers whether it moved. What the owner
 * calls (answer, want body, release) is noted and acted on by slu_talk_advance(), so that no
 * callback ever comes from inside a call. Who accepts the connection is server.c, who tells that
 * time is over deadlines.c.
 */
#include "net/server_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>
#include <unistd.h>

enum {
    LINGER_BYTES = 65536, /* the most that is read only to be dropped */
    COPIED_MOST = 16384,  /* a body up to this size is copied behind its head */
    LINE_MOST = 8192      /* request line; RFC 9112 §3 recommends at least 8000 */
};

/* What the connection and the owner say */

static void make_due(struct slu_talk *talk)
{
    if (talk->is_due || talk->running || !talk->server)
        return;
    talk->is_due = true;
    TAILQ_INSERT_TAIL(&talk->server->due, talk, due);
    event_active(talk->server->turn, EV_TIMEOUT, 0);
}

static void on_readable(struct slu_conn *conn, void *argument)
{
    (void)conn;
    slu_talk_advance(argument);
}

static void on_drained(struct slu_conn *conn, void *argument)
{
    struct slu_talk *talk = argument;

    (void)conn;
    talk->flushed = talk->answered;
    slu_talk_advance(talk);
}

/* The end of the caller's side is taken as leaving, whether it still reads or not: so does a proxy
 * with abortonclose, and nobody can tell the two apart. */
static void on_closed(struct slu_conn *conn, const struct slu_fault *fault, void *argument)
{
    struct slu_talk *talk = argument;

    (void)conn;
    (void)fault;
    talk->caller_left = true;
    slu_talk_advance(talk);
}

static const struct slu_conn_events conn_events = {
    .readable = on_readable,
    .drained = on_drained,
    .closed = on_closed,
};

/* Making and ending talks */

struct slu_talk *slu_talk_new(struct slu_server *server, int fd)
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

static void drop_conn(struct slu_talk *talk)
{
    if (!talk->conn)
        return;
    slu_talk_set_deadline(talk, SLU_DEADLINE_NONE);
    slu_conn_free(slu_take(talk->conn));
    talk->server->count--;
    slu_server_listen_again(talk->server);
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

/* Whoever still owes a release keeps the talk, which then has no server any more. */
void slu_talk_abandon(struct slu_talk *talk)
{
    const struct slu_server_handler *handler = talk->server->handler;
    void *user = talk->server->user;
    enum slu_talk_phase was = talk->phase;

    slu_must(!talk->running);
    talk->running = true;
    unlink_talk(talk);
    talk->phase = SLU_TALK_GONE;
    if (was == SLU_TALK_JUDGE || was == SLU_TALK_BODY || was == SLU_TALK_WORK ||
        was == SLU_TALK_WRITE)
        handler->gone(talk, user);
    talk->running = false;
    if (talk->released || was == SLU_TALK_IDLE || was == SLU_TALK_HEAD || was == SLU_TALK_DISCARD ||
        was == SLU_TALK_LINGER)
        talk_free(talk);
}

/* Phases */

enum move { STAY, MOVED, ENDED };

static enum move go_on(struct slu_talk *talk, enum slu_talk_phase phase, enum slu_deadline deadline)
{
    talk->phase = phase;
    slu_talk_set_deadline(talk, deadline);
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
    go_on(talk, SLU_TALK_WORK, SLU_DEADLINE_NONE);
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
    if (!talk->arena.blocks || server->spare_count == SLU_SERVER_SPARE_MOST)
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
    if (talk->deadline == SLU_DEADLINE_HEAD) { /* since accept: the first byte does not extend it */
        talk->phase = SLU_TALK_HEAD;
        return MOVED;
    }
    return go_on(talk, SLU_TALK_HEAD, SLU_DEADLINE_HEAD);
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
    go_on(talk, SLU_TALK_JUDGE, SLU_DEADLINE_NONE);
    server->handler->head(talk, server->user);
    return MOVED;
}

static enum move begin_write(struct slu_talk *talk)
{
    if (!talk->flushed)
        talk->unread = slu_conn_unacknowledged(talk->conn);
    return go_on(talk, SLU_TALK_WRITE, talk->flushed ? SLU_DEADLINE_NONE : SLU_DEADLINE_WRITE);
}

static enum move judge(struct slu_talk *talk)
{
    if (talk->answered)
        return begin_write(talk);
    if (!talk->wanted)
        return STAY;
    slu_http1_limit_body(&talk->reader, talk->body_most);
    talk->body_began_us = slu_loop_now_us(talk->server->loop);
    return go_on(talk, SLU_TALK_BODY, SLU_DEADLINE_BODY);
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
    go_on(talk, SLU_TALK_WORK, SLU_DEADLINE_NONE);
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
    go_on(talk, SLU_TALK_WRITTEN, SLU_DEADLINE_NONE);
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
    return go_on(talk, SLU_TALK_LINGER, SLU_DEADLINE_LINGER);
}

static enum move begin_idle(struct slu_talk *talk)
{
    talk->served = true;
    return go_on(talk, SLU_TALK_IDLE, SLU_DEADLINE_IDLE);
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
    return go_on(talk, SLU_TALK_DISCARD, SLU_DEADLINE_LINGER);
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
    [SLU_TALK_IDLE] = idle,       [SLU_TALK_HEAD] = head,       [SLU_TALK_JUDGE] = judge,
    [SLU_TALK_BODY] = body,       [SLU_TALK_WORK] = work,       [SLU_TALK_WRITE] = write_answer,
    [SLU_TALK_WRITTEN] = written, [SLU_TALK_DISCARD] = discard, [SLU_TALK_LINGER] = linger,
    [SLU_TALK_GONE] = gone,
};

/* The caller left: the owner hears of it when it still owes an answer. */
static enum move leave(struct slu_talk *talk)
{
    struct slu_server *server = talk->server;
    enum slu_talk_phase was = talk->phase;

    if (was == SLU_TALK_IDLE || was == SLU_TALK_HEAD || was == SLU_TALK_DISCARD ||
        was == SLU_TALK_LINGER)
        return ENDED;
    drop_conn(talk);
    talk->phase = SLU_TALK_GONE;
    if (was != SLU_TALK_WRITTEN)
        server->handler->gone(talk, server->user);
    return MOVED;
}

void slu_talk_advance(struct slu_talk *talk)
{
    enum move move;

    if (talk->running)
        return;
    talk->running = true;
    do {
        move = talk->caller_left && talk->phase != SLU_TALK_GONE ? leave(talk)
                                                                 : phases[talk->phase](talk);
    } while (move == MOVED);
    talk->running = false;
    if (move == ENDED) {
        unlink_talk(talk);
        talk_free(talk);
    }
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

uint64_t slu_talk_announced(const struct slu_talk *talk)
{
    switch (talk->reader.framing) {
    case SLU_HTTP1_NO_BODY:
        return 0;
    case SLU_HTTP1_LENGTH:
        return talk->reader.length;
    case SLU_HTTP1_CHUNKED:
    case SLU_HTTP1_UNTIL_CLOSE:
        break;
    }
    return UINT64_MAX;
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
    slu_must(talk->phase == SLU_TALK_JUDGE || talk->phase == SLU_TALK_GONE);
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

/* `whole` false: half of the body, or of the head where there is none. */
static bool send_answer(struct slu_talk *talk, const struct slu_response *response, bool whole)
{
    struct slu_buf *buf = &talk->server->head;
    struct slu_str pieces[2] = {SLU_STR_NONE, response->body};
    unsigned count = 1;
    struct slu_http1_answer answer = {
        .date = date_now(talk->server),
        .close = talk->close,
        .keep_old = talk->reader.old,
    };

    slu_buf_clear(buf);
    if (!slu_http1_write_response(buf, response, &answer))
        return false;
    pieces[1].n /= whole ? 1 : 2;
    if (has_content(talk, response)) {
        if (pieces[1].n <= COPIED_MOST)
            slu_buf_add(buf, pieces[1]);
        else
            count++;
    } else if (!whole) {
        buf->n /= 2;
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
    if (talk->phase == SLU_TALK_GONE || talk->caller_left)
        return;
    slu_must(talk->phase == SLU_TALK_JUDGE || talk->phase == SLU_TALK_BODY ||
             talk->phase == SLU_TALK_WORK);
    if (close || talk->server->draining || body_in_the_way(talk))
        talk->close = true;
    if (!send_answer(talk, response, true))
        talk->caller_left = true; /* no memory for an answer: the connection ends without one */
    make_due(talk);
}

/* With a linger time of zero, close() resets the connection and drops what was not sent
 * (socket(7)).
 */
static void reset_at_close(struct slu_talk *talk)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (setsockopt(slu_conn_fd(talk->conn), SOL_SOCKET, SO_LINGER, &none, sizeof(none)) != 0)
        slu_log(SLU_LOG_DEBUG, "abort", "the connection ends without a reset");
}

void slu_talk_abort(struct slu_talk *talk, const struct slu_response *half, bool reset)
{
    slu_must(!talk->answered);
    talk->answered = true;
    if (talk->phase == SLU_TALK_GONE || talk->caller_left)
        return;
    slu_must(talk->phase == SLU_TALK_JUDGE || talk->phase == SLU_TALK_BODY ||
             talk->phase == SLU_TALK_WORK);
    if (half)
        (void)!send_answer(talk, half, false); /* without memory nothing is sent: an end like any */
    if (reset)
        reset_at_close(talk);
    talk->caller_left = true;
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
