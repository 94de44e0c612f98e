/*
 * What a connection is inside: its state, its buffers, and the table of transport functions that
 * hides whether bytes go to a socket or through OpenSSL. conn.c tells everything once (buffers,
 * events, the order of callbacks) and knows plain TCP; conn_tls.c is the TLS transport with its
 * handshake and calls back what conn.c offers it here.
 */
#ifndef SLU_NET_CONN_INTERNAL_H
#define SLU_NET_CONN_INTERNAL_H

#include "net/conn.h"

#include "net/tls_internal.h"

#include <event2/event.h>
#include <event2/event_struct.h>

/* In one direction only. */
enum slu_conn_state { SLU_CONN_CONNECTING, SLU_CONN_HANDSHAKE, SLU_CONN_OPEN, SLU_CONN_OVER };

/* What a transport's read or write came to, where no bytes moved. */
enum { SLU_CONN_WAIT = -1, SLU_CONN_END = -2, SLU_CONN_BROKEN = -3 };

struct slu_conn_transport {
    /* Bytes moved (> 0), WAIT, END (reading only) or BROKEN with conn->fault set. */
    ssize_t (*read)(struct slu_conn *conn, void *bytes, size_t room);
    ssize_t (*write)(struct slu_conn *conn, const struct slu_str *pieces, unsigned count);
    void (*end)(struct slu_conn *conn); /* tells the peer that no more is written */
    bool hoards;                        /* may hold bytes the socket does not show as readable */
};

struct slu_conn {
    struct slu_loop *loop;
    const struct slu_conn_transport *transport;
    const struct slu_conn_events *events;
    void *user;
    int fd;
    enum slu_conn_state state;
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

/* Offered by conn.c to the transports. */

/* Sets the connection's fault, unreachable or broken by its state, and answers BROKEN. */
ssize_t slu_conn_fail(struct slu_conn *conn, const char *words);
void slu_conn_set_reading(struct slu_conn *conn, bool on);
/* Tries again, handshake or write, when the socket is writable. */
void slu_conn_await_room(struct slu_conn *conn);
/* The owner hears that the connection is over and may free it: conn->freed says so after this. */
void slu_conn_tell_closed(struct slu_conn *conn, const struct slu_fault *fault);
/* After the handshake, or at once with plain TCP; the owner may free the connection here too. */
void slu_conn_become_open(struct slu_conn *conn);

/* Offered by conn_tls.c to conn.c. */

/* Make the connection one through TLS, accepted or about to connect; the handshake comes later.
 * False: free it. */
SLU_NODISCARD bool slu_conn_serve_tls(struct slu_conn *conn, struct slu_tls *context);
SLU_NODISCARD bool slu_conn_prepare_tls(struct slu_conn *conn, const struct slu_conn_peer *peer);
/* Goes on with the handshake as far as it gets. */
void slu_conn_shake_hands(struct slu_conn *conn);
/* Says good-bye where the connection is sound and frees what TLS needed; nothing without TLS. The
 * socket is still open. */
void slu_conn_done_tls(struct slu_conn *conn);

#endif
