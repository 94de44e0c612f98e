/*
 * The connection. A small table of transport functions hides whether bytes go to a socket or
 * through OpenSSL (conn_tls.c); everything else (buffers, events, the order of callbacks) is told
 * once, here.
 *
 * A connection lives through its states in one direction: connecting, handshake, open, over. The
 * owner may free it in any callback: `depth` counts our own frames that still stand on it, and the
 * memory goes when the last one returns.
 */
#include "net/conn_internal.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    INPUT_FIRST = 4096,
    INPUT_DEFAULT = 16384,
    OUTPUT_KEPT = 16384, /* an output buffer larger than this is given back when drained */
    PIECES_MOST = 8
};

static void on_readable(evutil_socket_t fd, short what, void *argument);
static void on_writable(evutil_socket_t fd, short what, void *argument);

/* Faults */

ssize_t slu_conn_fail(struct slu_conn *conn, const char *words)
{
    slu_fault_set(&conn->fault,
                  conn->state >= SLU_CONN_OPEN ? SLU_FAULT_UPSTREAM_BROKEN
                                               : SLU_FAULT_UPSTREAM_UNREACHABLE,
                  "", "%s", words);
    return SLU_CONN_BROKEN;
}

static ssize_t fail_errno(struct slu_conn *conn, int error)
{
    char words[128];

    return slu_conn_fail(conn, strerror_r(error, words, sizeof(words)));
}

/* Plain TCP */

static ssize_t plain_read(struct slu_conn *conn, void *bytes, size_t room)
{
    ssize_t got = recv(conn->fd, bytes, room, 0);

    if (got > 0)
        return got;
    if (got == 0)
        return SLU_CONN_END;
    if (errno == EAGAIN || errno == EINTR)
        return SLU_CONN_WAIT;
    return fail_errno(conn, errno);
}

static ssize_t plain_write(struct slu_conn *conn, const struct slu_str *pieces, unsigned count)
{
    struct iovec vector[PIECES_MOST];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    ssize_t sent;

    for (unsigned i = 0; i < count; i++)
        vector[i] = (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].n};
    sent = count == 1 ? send(conn->fd, pieces[0].p, pieces[0].n, MSG_NOSIGNAL)
                      : sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EINTR)
        return SLU_CONN_WAIT;
    return fail_errno(conn, errno);
}

static void plain_end(struct slu_conn *conn)
{
    shutdown(conn->fd, SHUT_WR);
}

static const struct slu_conn_transport plain = {plain_read, plain_write, plain_end, false};

/* Events */

void slu_conn_set_reading(struct slu_conn *conn, bool on)
{
    if (on == conn->reading)
        return;
    conn->reading = on;
    if (on)
        slu_must(event_add(&conn->read_event, NULL) == 0);
    else
        event_del(&conn->read_event);
}

void slu_conn_await_room(struct slu_conn *conn)
{
    if (!event_pending(&conn->write_event, EV_WRITE, NULL))
        slu_must(event_add(&conn->write_event, NULL) == 0);
}

/* Tells the owner from the loop what was found out inside one of its calls. */
static void tell_later(struct slu_conn *conn)
{
    event_active(&conn->read_event, EV_TIMEOUT, 0);
}

static void enter(struct slu_conn *conn)
{
    conn->depth++;
}

/* False when the connection is gone. */
static bool leave(struct slu_conn *conn)
{
    slu_must(conn->depth > 0);
    if (--conn->depth > 0 || !conn->freed)
        return !conn->freed;
    slu_mem_free(conn);
    return false;
}

void slu_conn_tell_closed(struct slu_conn *conn, const struct slu_fault *fault)
{
    conn->state = SLU_CONN_OVER;
    conn->read_wants_write = conn->write_wants_read = false;
    slu_conn_set_reading(conn, false);
    if (fault)
        event_del(&conn->write_event);
    conn->events->closed(conn, fault, conn->user);
}

/* Making and ending */

static struct slu_conn *conn_new(struct slu_loop *loop, int fd,
                                 const struct slu_conn_events *events, void *user)
{
    struct slu_conn *conn = slu_mem_new(sizeof(*conn));
    int on = 1;

    if (!conn) {
        close(fd);
        return NULL;
    }
    conn->loop = loop;
    conn->fd = fd;
    conn->events = events;
    conn->user = user;
    conn->transport = &plain;
    conn->input_most = INPUT_DEFAULT;
    slu_buf_init(&conn->output, 0);
    event_assign(&conn->read_event, slu_loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable,
                 conn);
    event_assign(&conn->write_event, slu_loop_base(loop), fd, EV_WRITE, on_writable, conn);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return conn;
}

struct slu_conn *slu_conn_accept(struct slu_loop *loop, int fd, struct slu_tls *context,
                                 const struct slu_conn_events *events, void *user)
{
    struct slu_conn *conn = conn_new(loop, fd, events, user);

    if (!conn)
        return NULL;
    conn->state = context ? SLU_CONN_HANDSHAKE : SLU_CONN_OPEN;
    conn->connected_us = slu_loop_now_us(loop);
    if (context && !slu_conn_serve_tls(conn, context)) {
        slu_conn_free(conn);
        return NULL;
    }
    if (!context)
        conn->ready_us = conn->connected_us;
    slu_conn_set_reading(conn, true);
    return conn;
}

struct slu_conn *slu_conn_connect(struct slu_loop *loop, const struct slu_conn_peer *peer,
                                  const struct slu_conn_events *events, void *user,
                                  struct slu_fault *fault)
{
    int fd = socket(peer->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct slu_conn *conn;

    if (fd < 0) {
        slu_fault_set(fault, SLU_FAULT_UPSTREAM_UNREACHABLE, "", "no socket could be made");
        return NULL;
    }
    conn = conn_new(loop, fd, events, user);
    if (!conn || (peer->tls && !slu_conn_prepare_tls(conn, peer))) {
        slu_conn_free(conn);
        slu_fault_memory(fault);
        return NULL;
    }
    if (connect(fd, peer->address, peer->length) != 0 && errno != EINPROGRESS) {
        fail_errno(conn, errno);
        slu_fault_set(fault, conn->fault.kind, "", "%s", conn->fault.words);
        slu_conn_free(conn);
        return NULL;
    }
    slu_conn_await_room(conn);
    return conn;
}

void slu_conn_free(struct slu_conn *conn)
{
    if (!conn || conn->freed)
        return;
    conn->freed = true;
    event_del(&conn->read_event);
    event_del(&conn->write_event);
    slu_conn_done_tls(conn);
    close(conn->fd);
    slu_mem_free(conn->input);
    slu_buf_done(&conn->output);
    conn->input = NULL;
    if (conn->depth == 0)
        slu_mem_free(conn);
}

/* Reading */

struct slu_str slu_conn_input(const struct slu_conn *conn)
{
    return (struct slu_str){conn->input + conn->input_at, conn->input_n - conn->input_at};
}

/* Reads on when the owner made room (and asks OpenSSL, which may hold more). */
static void read_again(struct slu_conn *conn)
{
    if (!conn->resting || conn->state != SLU_CONN_OPEN)
        return;
    conn->resting = false;
    slu_conn_set_reading(conn, true);
    if (conn->transport->hoards)
        tell_later(conn);
}

void slu_conn_consume(struct slu_conn *conn, size_t count)
{
    slu_must(count <= conn->input_n - conn->input_at);
    conn->input_at += count;
    if (conn->input_at == conn->input_n)
        conn->input_at = conn->input_n = 0;
    if (conn->resting && count)
        read_again(conn);
}

void slu_conn_limit_input(struct slu_conn *conn, size_t most)
{
    conn->input_most = most < INPUT_FIRST ? INPUT_FIRST : most;
}

void slu_conn_rest(struct slu_conn *conn)
{
    if (conn->input_n == 0 && conn->depth == 0) {
        slu_mem_free(conn->input);
        conn->input = NULL;
        conn->input_size = 0;
    }
    if (slu_conn_pending(conn) == 0)
        slu_buf_done(&conn->output);
}

/* Room at the end of the input; false when it is full, or there is no memory (conn->fault). */
static bool make_room(struct slu_conn *conn)
{
    size_t size = conn->input_size ? conn->input_size * 2 : INPUT_FIRST;
    char *grown;

    if (conn->input_at) {
        conn->input_n -= conn->input_at;
        memmove(conn->input, conn->input + conn->input_at, conn->input_n);
        conn->input_at = 0;
    }
    if (conn->input_n < conn->input_size)
        return true;
    if (conn->input_size >= conn->input_most)
        return false;
    if (size > conn->input_most)
        size = conn->input_most;
    grown = slu_mem_resize(conn->input, size);
    if (!grown) {
        slu_fault_memory(&conn->fault);
        return false;
    }
    conn->input = grown;
    conn->input_size = size;
    return true;
}

/* Reads what is there: once from a socket (which calls again), until it is empty from OpenSSL
 * (which does not). Answers what ended it: WAIT, END or BROKEN. */
static ssize_t fill(struct slu_conn *conn, bool *ret_grew)
{
    ssize_t got;

    *ret_grew = false;
    do {
        if (conn->input_n == conn->input_size && !make_room(conn)) {
            if (conn->fault.kind)
                return SLU_CONN_BROKEN;
            conn->resting = true;
            slu_conn_set_reading(conn, false);
            return SLU_CONN_WAIT;
        }
        got = conn->transport->read(conn, conn->input + conn->input_n,
                                    conn->input_size - conn->input_n);
        if (got > 0) {
            conn->input_n += (size_t)got;
            conn->bytes_in += (uint64_t)got;
            *ret_grew = true;
        }
    } while (got > 0 && conn->transport->hoards);
    return got > 0 ? SLU_CONN_WAIT : got;
}

static void read_open(struct slu_conn *conn)
{
    bool grew;
    ssize_t ended = fill(conn, &grew);

    if (conn->read_wants_write)
        slu_conn_await_room(conn);
    if (grew)
        conn->events->readable(conn, conn->user);
    if (conn->freed || ended == SLU_CONN_WAIT)
        return;
    slu_conn_tell_closed(conn, ended == SLU_CONN_BROKEN ? &conn->fault : NULL);
}

/* Becoming open */

void slu_conn_become_open(struct slu_conn *conn)
{
    conn->state = SLU_CONN_OPEN;
    conn->ready_us = slu_loop_now_us(conn->loop);
    slu_conn_set_reading(conn, true);
    if (slu_conn_pending(conn))
        slu_conn_await_room(conn);
    if (conn->events->ready)
        conn->events->ready(conn, conn->user);
    if (!conn->freed && conn->state == SLU_CONN_OPEN && conn->transport->hoards)
        read_open(conn); /* the peer's last flight may have brought data with it */
}

static void finish_connect(struct slu_conn *conn)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error) {
        fail_errno(conn, error);
        slu_conn_tell_closed(conn, &conn->fault);
        return;
    }
    conn->connected_us = slu_loop_now_us(conn->loop);
    if (!conn->ssl) {
        slu_conn_become_open(conn);
        return;
    }
    conn->state = SLU_CONN_HANDSHAKE;
    slu_conn_shake_hands(conn);
}

/* Writing */

size_t slu_conn_pending(const struct slu_conn *conn)
{
    return conn->output.n - conn->output_at;
}

size_t slu_conn_unacknowledged(const struct slu_conn *conn)
{
    int queued = 0;

    if (ioctl(conn->fd, SIOCOUTQ, &queued) != 0 || queued < 0)
        queued = 0;
    return slu_conn_pending(conn) + (size_t)queued;
}

/* Writes the pieces as far as they go; what is left of them stands in place. False when broken. */
static bool write_pieces(struct slu_conn *conn, struct slu_str *pieces, unsigned count)
{
    unsigned i = 0;

    while (i < count) {
        ssize_t sent;

        if (pieces[i].n == 0) {
            i++;
            continue;
        }
        sent = conn->transport->write(conn, pieces + i, count - i);
        if (sent < 0)
            return sent == SLU_CONN_WAIT;
        conn->bytes_out += (uint64_t)sent;
        for (; sent > 0; i += pieces[i].n == 0) {
            size_t part = (size_t)sent < pieces[i].n ? (size_t)sent : pieces[i].n;

            pieces[i].p += part;
            pieces[i].n -= part;
            sent -= (ssize_t)part;
        }
    }
    return true;
}

static void end_if_written(struct slu_conn *conn)
{
    if (conn->ending && !conn->ended && slu_conn_pending(conn) == 0) {
        conn->ended = true;
        conn->transport->end(conn);
    }
}

static void flush(struct slu_conn *conn)
{
    struct slu_str piece = {conn->output.p + conn->output_at, slu_conn_pending(conn)};
    bool alive = write_pieces(conn, &piece, 1);

    conn->output_at = conn->output.n - piece.n;
    if (!alive) {
        slu_conn_tell_closed(conn, &conn->fault);
        return;
    }
    if (piece.n) {
        if (!conn->write_wants_read)
            slu_conn_await_room(conn);
        return;
    }
    slu_buf_clear(&conn->output);
    conn->output_at = 0;
    if (conn->output.size > OUTPUT_KEPT)
        slu_buf_done(&conn->output);
    end_if_written(conn);
    if (conn->waiting && conn->events->drained) {
        conn->waiting = false;
        conn->events->drained(conn, conn->user);
    }
}

/* Two small pieces make one record, and a retry must find the same bytes in one place. */
static void gather(struct slu_conn *conn, const struct slu_str *pieces, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        slu_buf_add(&conn->output, pieces[i]);
}

static bool write_now(struct slu_conn *conn, const struct slu_str *pieces, unsigned count)
{
    struct slu_str rest[PIECES_MOST];

    memcpy(rest, pieces, count * sizeof(*rest));
    if (!write_pieces(conn, rest, count))
        return false;
    gather(conn, rest, count);
    return true;
}

static bool write_gathered(struct slu_conn *conn, const struct slu_str *pieces, unsigned count)
{
    struct slu_str all;
    bool alive;

    gather(conn, pieces, count);
    if (conn->output.failed)
        return true;
    all = (struct slu_str){conn->output.p, conn->output.n};
    alive = write_pieces(conn, &all, 1);
    conn->output_at = conn->output.n - all.n;
    if (all.n == 0) {
        slu_buf_clear(&conn->output);
        conn->output_at = 0;
    }
    return alive;
}

bool slu_conn_write(struct slu_conn *conn, const struct slu_str *pieces, unsigned count)
{
    bool alive = true;

    slu_must(count <= PIECES_MOST && !conn->ending);
    if (conn->fault.kind)
        return false;
    if (slu_conn_pending(conn) || conn->state == SLU_CONN_CONNECTING ||
        conn->state == SLU_CONN_HANDSHAKE)
        gather(conn, pieces, count);
    else if (conn->transport->hoards && count > 1)
        alive = write_gathered(conn, pieces, count);
    else
        alive = write_now(conn, pieces, count);
    if (conn->output.failed)
        slu_fault_memory(&conn->fault);
    if (!alive || conn->output.failed) {
        tell_later(conn);
        return false;
    }
    if (slu_conn_pending(conn) == 0)
        return true;
    conn->waiting = true;
    if (!conn->write_wants_read)
        slu_conn_await_room(conn);
    return false;
}

void slu_conn_end_output(struct slu_conn *conn)
{
    conn->ending = true;
    if (conn->fault.kind == 0)
        end_if_written(conn);
}

/* What the loop says */

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct slu_conn *conn = argument;

    (void)fd;
    (void)what;
    enter(conn);
    if (conn->state != SLU_CONN_OVER && conn->fault.kind)
        slu_conn_tell_closed(conn, &conn->fault);
    else if (conn->state == SLU_CONN_HANDSHAKE)
        slu_conn_shake_hands(conn);
    else if (conn->state == SLU_CONN_OPEN) {
        if (conn->write_wants_read)
            flush(conn);
        if (!conn->freed && conn->state == SLU_CONN_OPEN)
            read_open(conn);
    }
    leave(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    struct slu_conn *conn = argument;

    (void)fd;
    (void)what;
    enter(conn);
    if (conn->state == SLU_CONN_CONNECTING)
        finish_connect(conn);
    else if (conn->state == SLU_CONN_HANDSHAKE)
        slu_conn_shake_hands(conn);
    else {
        if (slu_conn_pending(conn))
            flush(conn);
        if (!conn->freed && conn->state == SLU_CONN_OPEN && conn->read_wants_write)
            read_open(conn);
    }
    leave(conn);
}

/* Looking at it */

uint64_t slu_conn_bytes_in(const struct slu_conn *conn)
{
    return conn->bytes_in;
}

uint64_t slu_conn_bytes_out(const struct slu_conn *conn)
{
    return conn->bytes_out + conn->tried;
}

uint64_t slu_conn_connected_us(const struct slu_conn *conn)
{
    return conn->connected_us;
}

uint64_t slu_conn_ready_us(const struct slu_conn *conn)
{
    return conn->ready_us;
}

int slu_conn_fd(const struct slu_conn *conn)
{
    return conn->fd;
}

void *slu_conn_user(const struct slu_conn *conn)
{
    return conn->user;
}

void slu_conn_set_user(struct slu_conn *conn, void *user)
{
    conn->user = user;
}
