/*
 * The connection. A small table of transport functions hides whether bytes go to a socket or
 * through OpenSSL; everything else (buffers, events, the order of callbacks) is told once.
 *
 * A connection lives through its states in one direction: connecting, handshake, open, over. The
 * owner may free it in any callback: `depth` counts our own frames that still stand on it, and the
 * memory goes when the last one returns.
 */
#include "net/conn.h"

#include "net/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    INPUT_FIRST = 4096,
    INPUT_DEFAULT = 16384,
    OUTPUT_KEPT = 16384, /* an output buffer larger than this is given back when drained */
    PIECES_MOST = 8,
    HOST_MOST = 253 /* RFC 1035 §2.3.4 */
};

enum state { CONNECTING, HANDSHAKE, OPEN, OVER };

/* What a transport's read or write came to, where no bytes moved. */
enum { WAIT = -1, END = -2, BROKEN = -3 };

struct transport {
    /* Bytes moved (> 0), WAIT, END (reading only) or BROKEN with conn->fault set. */
    ssize_t (*read)(struct slu_conn *conn, void *bytes, size_t room);
    ssize_t (*write)(struct slu_conn *conn, const struct slu_str *pieces, unsigned count);
    void (*end)(struct slu_conn *conn); /* tells the peer that no more is written */
    bool hoards;                        /* may hold bytes the socket does not show as readable */
};

struct slu_conn {
    struct slu_loop *loop;
    const struct transport *transport;
    const struct slu_conn_events *events;
    void *user;
    int fd;
    enum state state;
    unsigned depth;
    bool freed, resting, reading, ending, ended, waiting;
    bool read_wants_write, write_wants_read; /* TLS: the other direction must move first */
    struct event read_event, write_event;

    char *input;
    size_t input_at, input_n, input_size, input_most;
    struct slu_buf output; /* not yet written: from output_at */
    size_t output_at;
    size_t tried; /* TLS: bytes of a record that may have left in part */

    struct slu_tls *tls;
    SSL *ssl;
    struct slu_tls_hook hook;
    SSL_SESSION *session;
    struct slu_fault fault;
    uint64_t bytes_in, bytes_out, connected_us, ready_us;
};

static void on_readable(evutil_socket_t fd, short what, void *argument);
static void on_writable(evutil_socket_t fd, short what, void *argument);

/* Faults */

static ssize_t fail(struct slu_conn *conn, const char *words)
{
    slu_fault_set(&conn->fault,
                  conn->state >= OPEN ? SLU_FAULT_UPSTREAM_BROKEN : SLU_FAULT_UPSTREAM_UNREACHABLE,
                  "", "%s", words);
    return BROKEN;
}

static ssize_t fail_errno(struct slu_conn *conn, int error)
{
    char words[128];

    return fail(conn, strerror_r(error, words, sizeof(words)));
}

static ssize_t fail_tls(struct slu_conn *conn)
{
    long verdict = SSL_get_verify_result(conn->ssl);
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    char words[256];

    if (verdict != X509_V_OK)
        snprintf(words, sizeof(words), "TLS: the certificate is refused: %s",
                 X509_verify_cert_error_string(verdict));
    else
        snprintf(words, sizeof(words), "TLS: %s", reason ? reason : "the connection broke");
    ERR_clear_error();
    return fail(conn, words);
}

/* Plain TCP */

static ssize_t plain_read(struct slu_conn *conn, void *bytes, size_t room)
{
    ssize_t got = recv(conn->fd, bytes, room, 0);

    if (got > 0)
        return got;
    if (got == 0)
        return END;
    if (errno == EAGAIN || errno == EINTR)
        return WAIT;
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
        return WAIT;
    return fail_errno(conn, errno);
}

static void plain_end(struct slu_conn *conn)
{
    shutdown(conn->fd, SHUT_WR);
}

static const struct transport plain = {plain_read, plain_write, plain_end, false};

/* TLS */

static ssize_t tls_read(struct slu_conn *conn, void *bytes, size_t room)
{
    size_t got;

    ERR_clear_error();
    conn->read_wants_write = false;
    if (SSL_read_ex(conn->ssl, bytes, room, &got) == 1)
        return (ssize_t)got;
    switch (SSL_get_error(conn->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return WAIT;
    case SSL_ERROR_WANT_WRITE:
        conn->read_wants_write = true;
        return WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return END;
    }
    return fail_tls(conn);
}

/* One piece at a time: a record cannot be gathered. */
static ssize_t tls_write(struct slu_conn *conn, const struct slu_str *pieces, unsigned count)
{
    size_t sent;

    (void)count;
    ERR_clear_error();
    conn->write_wants_read = false;
    conn->tried = 0;
    if (SSL_write_ex(conn->ssl, pieces[0].p, pieces[0].n, &sent) == 1)
        return (ssize_t)sent;
    conn->tried = pieces[0].n;
    switch (SSL_get_error(conn->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        conn->write_wants_read = true;
        return WAIT;
    case SSL_ERROR_WANT_WRITE:
        return WAIT;
    }
    return fail_tls(conn);
}

static void tls_end(struct slu_conn *conn)
{
    ERR_clear_error();
    SSL_shutdown(conn->ssl);
    ERR_clear_error();
    shutdown(conn->fd, SHUT_WR);
}

static const struct transport tls = {tls_read, tls_write, tls_end, true};

static void keep_session(void *owner, SSL_SESSION *session)
{
    struct slu_conn *conn = owner;

    SSL_SESSION_free(conn->session);
    conn->session = session;
}

/* Events */

static void set_reading(struct slu_conn *conn, bool on)
{
    if (on == conn->reading)
        return;
    conn->reading = on;
    if (on)
        slu_must(event_add(&conn->read_event, NULL) == 0);
    else
        event_del(&conn->read_event);
}

static void await_room(struct slu_conn *conn)
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

static void tell_closed(struct slu_conn *conn, const struct slu_fault *fault)
{
    conn->state = OVER;
    conn->read_wants_write = conn->write_wants_read = false;
    set_reading(conn, false);
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

static bool use_tls(struct slu_conn *conn, struct slu_tls *context)
{
    conn->transport = &tls;
    conn->tls = slu_tls_ref(context);
    conn->ssl = SSL_new(slu_tls_context(context));
    return conn->ssl && SSL_set_fd(conn->ssl, conn->fd) == 1;
}

struct slu_conn *slu_conn_accept(struct slu_loop *loop, int fd, struct slu_tls *context,
                                 const struct slu_conn_events *events, void *user)
{
    struct slu_conn *conn = conn_new(loop, fd, events, user);

    if (!conn)
        return NULL;
    conn->state = context ? HANDSHAKE : OPEN;
    conn->connected_us = slu_loop_now_us(loop);
    if (context && !use_tls(conn, context)) {
        slu_conn_free(conn);
        return NULL;
    }
    if (context)
        SSL_set_accept_state(conn->ssl);
    else
        conn->ready_us = conn->connected_us;
    set_reading(conn, true);
    return conn;
}

/* RFC 6066 §3: an address is never sent as SNI; RFC 6125 §6: the name must stand in the
 * certificate. */
static bool expect_name(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char address[16];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return strlen(host) <= HOST_MOST && X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool prepare_tls(struct slu_conn *conn, const struct slu_conn_peer *peer)
{
    if (!use_tls(conn, peer->tls) || !peer->host || !expect_name(conn->ssl, peer->host))
        return false;
    SSL_set_connect_state(conn->ssl);
    conn->hook = (struct slu_tls_hook){keep_session, conn};
    if (peer->session)
        SSL_set_session(conn->ssl, peer->session); /* a refusal means a full handshake */
    return slu_tls_set_hook(conn->ssl, &conn->hook);
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
    if (!conn || (peer->tls && !prepare_tls(conn, peer))) {
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
    await_room(conn);
    return conn;
}

void slu_conn_free(struct slu_conn *conn)
{
    if (!conn || conn->freed)
        return;
    conn->freed = true;
    event_del(&conn->read_event);
    event_del(&conn->write_event);
    if (conn->ssl) {
        ERR_clear_error();
        if (conn->state != HANDSHAKE && conn->state != CONNECTING && conn->fault.kind == 0)
            SSL_shutdown(conn->ssl);
        ERR_clear_error();
        SSL_free(conn->ssl);
    }
    SSL_SESSION_free(conn->session);
    slu_tls_free(conn->tls);
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
    if (!conn->resting || conn->state != OPEN)
        return;
    conn->resting = false;
    set_reading(conn, true);
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
                return BROKEN;
            conn->resting = true;
            set_reading(conn, false);
            return WAIT;
        }
        got = conn->transport->read(conn, conn->input + conn->input_n,
                                    conn->input_size - conn->input_n);
        if (got > 0) {
            conn->input_n += (size_t)got;
            conn->bytes_in += (uint64_t)got;
            *ret_grew = true;
        }
    } while (got > 0 && conn->transport->hoards);
    return got > 0 ? WAIT : got;
}

static void read_open(struct slu_conn *conn)
{
    bool grew;
    ssize_t ended = fill(conn, &grew);

    if (conn->read_wants_write)
        await_room(conn);
    if (grew)
        conn->events->readable(conn, conn->user);
    if (conn->freed || ended == WAIT)
        return;
    tell_closed(conn, ended == BROKEN ? &conn->fault : NULL);
}

/* Becoming open */

static void become_open(struct slu_conn *conn)
{
    conn->state = OPEN;
    conn->ready_us = slu_loop_now_us(conn->loop);
    set_reading(conn, true);
    if (slu_conn_pending(conn))
        await_room(conn);
    if (conn->events->ready)
        conn->events->ready(conn, conn->user);
    if (!conn->freed && conn->state == OPEN && conn->transport->hoards)
        read_open(conn); /* the peer's last flight may have brought data with it */
}

/* OpenSSL verifies no name when a session is resumed: the certificate the session began with must
 * carry it. */
static bool resumed_name_holds(SSL *ssl)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *address;
    bool holds;

    if (!certificate)
        return false;
    if (host)
        return X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
               1;
    address = X509_VERIFY_PARAM_get1_ip_asc(param);
    holds = address && X509_check_ip_asc(certificate, address, 0) == 1;
    OPENSSL_free(address);
    return holds;
}

static void finish_handshake(struct slu_conn *conn)
{
    if (SSL_is_server(conn->ssl) || !SSL_session_reused(conn->ssl) ||
        resumed_name_holds(conn->ssl)) {
        become_open(conn);
        return;
    }
    fail(conn, "TLS: the session resumed belongs to another name");
    tell_closed(conn, &conn->fault);
}

static void shake_hands(struct slu_conn *conn)
{
    int result;

    ERR_clear_error();
    result = SSL_do_handshake(conn->ssl);
    if (result == 1) {
        finish_handshake(conn);
        return;
    }
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        set_reading(conn, true);
        return;
    case SSL_ERROR_WANT_WRITE:
        await_room(conn);
        return;
    }
    fail_tls(conn);
    tell_closed(conn, &conn->fault);
}

static void finish_connect(struct slu_conn *conn)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error) {
        fail_errno(conn, error);
        tell_closed(conn, &conn->fault);
        return;
    }
    conn->connected_us = slu_loop_now_us(conn->loop);
    if (!conn->ssl) {
        become_open(conn);
        return;
    }
    conn->state = HANDSHAKE;
    shake_hands(conn);
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
            return sent == WAIT;
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
        tell_closed(conn, &conn->fault);
        return;
    }
    if (piece.n) {
        if (!conn->write_wants_read)
            await_room(conn);
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
    if (slu_conn_pending(conn) || conn->state == CONNECTING || conn->state == HANDSHAKE)
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
        await_room(conn);
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
    if (conn->state != OVER && conn->fault.kind)
        tell_closed(conn, &conn->fault);
    else if (conn->state == HANDSHAKE)
        shake_hands(conn);
    else if (conn->state == OPEN) {
        if (conn->write_wants_read)
            flush(conn);
        if (!conn->freed && conn->state == OPEN)
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
    if (conn->state == CONNECTING)
        finish_connect(conn);
    else if (conn->state == HANDSHAKE)
        shake_hands(conn);
    else {
        if (slu_conn_pending(conn))
            flush(conn);
        if (!conn->freed && conn->state == OPEN && conn->read_wants_write)
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

struct ssl_session_st *slu_conn_take_session(struct slu_conn *conn)
{
    return slu_take(conn->session);
}

bool slu_conn_resumed(const struct slu_conn *conn)
{
    return conn->ssl && SSL_session_reused(conn->ssl);
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
