/*
 * One non-blocking connection, plain TCP or TLS, on a loop: what the callers' side (accept) and the
 * clouds' side (connect) share. Internal to net/.
 *
 * Reading is always on (one persistent event; no epoll_ctl per message) unless paused or the input
 * is full. A write goes straight to the socket; what did not fit is kept and sent when there is
 * room. Callbacks come from the loop only, never from inside a call made here, so a caller may
 * write, consume and even free from each of them.
 */
#ifndef SLU_NET_CONN_H
#define SLU_NET_CONN_H

#include "base/buf.h"
#include "base/fault.h"
#include "net/loop.h"
#include "net/tls.h"

#include <sys/socket.h>

struct slu_conn;
struct ssl_session_st;

/* `user` is what the connection was made with. After slu_conn_free() none of them comes. */
struct slu_conn_events {
    /* Once: connected, and with TLS the handshake is done and the peer's name verified. Not for an
     * accepted plain connection, which is ready from the start; may be NULL. */
    void (*ready)(struct slu_conn *conn, void *user);
    /* New bytes stand at the end of slu_conn_input(). Those not consumed stay. */
    void (*readable)(struct slu_conn *conn, void *user);
    /* Everything written so far is with the kernel. Only after a slu_conn_write() that answered
     * false; may be NULL. */
    void (*drained)(struct slu_conn *conn, void *user);
    /* Once and last: the peer ended its side (fault is NULL; with TLS only after its close_notify,
     * anything else is a truncation and a fault), or the connection failed. Bytes read before still
     * stand in slu_conn_input(). The owner frees. Faults: UPSTREAM_UNREACHABLE before `ready`
     * (refused, no route, TLS, wrong name), UPSTREAM_BROKEN after it. After a clean end the other
     * direction still works: slu_conn_write() may be called. */
    void (*closed)(struct slu_conn *conn, const struct slu_fault *fault, void *user);
};

/* Whom to connect to. Everything is copied or counted. */
struct slu_conn_peer {
    const struct sockaddr *address;
    socklen_t length;
    struct slu_tls *tls; /* a client context, or NULL for plain TCP */
    const char *host;    /* with TLS: sent as SNI (names only) and verified (name or address) */
    struct ssl_session_st *session; /* with TLS: to resume, or NULL */
};

/* Starts to connect. NULL with a fault (MEMORY, or UPSTREAM_UNREACHABLE when the kernel says so at
 * once). */
SLU_NODISCARD struct slu_conn *slu_conn_connect(struct slu_loop *loop,
                                                const struct slu_conn_peer *peer,
                                                const struct slu_conn_events *events, void *user,
                                                struct slu_fault *fault);
/* Takes an accepted socket (closed here on failure too); `tls` is a server context or NULL. NULL on
 * no memory. */
SLU_NODISCARD struct slu_conn *slu_conn_accept(struct slu_loop *loop, int fd, struct slu_tls *tls,
                                               const struct slu_conn_events *events, void *user);
/* Closes at once (with TLS a close_notify is tried). May be called inside any callback. */
void slu_conn_free(struct slu_conn *conn);

/* Bytes received and not consumed. The text moves when more is read and when it is consumed. */
struct slu_str slu_conn_input(const struct slu_conn *conn);
void slu_conn_consume(struct slu_conn *conn, size_t count);
/* The most bytes kept unconsumed (default 16384, at least 4096); at the limit reading rests until
 * some are consumed. */
void slu_conn_limit_input(struct slu_conn *conn, size_t most);
/* Nothing is going on: gives the empty buffers back. */
void slu_conn_rest(struct slu_conn *conn);

/*
 * Sends the pieces in order, with one system call where the socket takes them; the rest is copied.
 * True when all of it is with the kernel. False: it will be sent later and `drained` follows, or
 * the connection is broken (or out of memory) and `closed` follows.
 */
bool slu_conn_write(struct slu_conn *conn, const struct slu_str *pieces, unsigned count);
/* Payload bytes written before but not yet with the kernel. */
size_t slu_conn_pending(const struct slu_conn *conn);
/* Bytes on their way that the peer has not acknowledged: pending ones and those in the kernel. The
 * kernel calls a socket writable only when a good part of its buffer is free, so a slow reader's
 * progress shows here long before it shows as an event. */
size_t slu_conn_unacknowledged(const struct slu_conn *conn);
/* After what is pending: close_notify, then FIN. Reading goes on. */
void slu_conn_end_output(struct slu_conn *conn);

/* Payload bytes since the beginning. bytes_out counts what left this process's hands and, with TLS,
 * also the record that was tried and may have left in part: it never says less than what the peer
 * may have seen. */
uint64_t slu_conn_bytes_in(const struct slu_conn *conn);
uint64_t slu_conn_bytes_out(const struct slu_conn *conn);
/* When TCP was established and when `ready` was reached, on slu_loop_now_us()'s clock; 0 = not yet.
 */
uint64_t slu_conn_connected_us(const struct slu_conn *conn);
uint64_t slu_conn_ready_us(const struct slu_conn *conn);
/* TLS, connecting side: the newest session the peer gave (TLS 1.3 sends it after the handshake, so
 * ask when the connection becomes idle or ends), once; NULL when there is none. The caller owns
 * one count: SSL_SESSION_free(). */
struct ssl_session_st *slu_conn_take_session(struct slu_conn *conn);
bool slu_conn_resumed(const struct slu_conn *conn);
int slu_conn_fd(const struct slu_conn *conn);
void *slu_conn_user(const struct slu_conn *conn);
void slu_conn_set_user(struct slu_conn *conn, void *user);

#endif
