/*
 * TLS under a connection: the transport through OpenSSL, the handshake, and whether the peer is who
 * it should be. Contexts are tls.c's, buffers and callbacks conn.c's.
 */
#include "net/conn_internal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { HOST_MOST = 253 /* RFC 1035 §2.3.4 */ };

/* The transport */

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
    return slu_conn_fail(conn, words);
}

static ssize_t tls_read(struct slu_conn *conn, void *bytes, size_t room)
{
    size_t got;

    ERR_clear_error();
    conn->read_wants_write = false;
    if (SSL_read_ex(conn->ssl, bytes, room, &got) == 1)
        return (ssize_t)got;
    switch (SSL_get_error(conn->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return SLU_CONN_WAIT;
    case SSL_ERROR_WANT_WRITE:
        conn->read_wants_write = true;
        return SLU_CONN_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return SLU_CONN_END;
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
        return SLU_CONN_WAIT;
    case SSL_ERROR_WANT_WRITE:
        return SLU_CONN_WAIT;
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

static const struct slu_conn_transport tls = {tls_read, tls_write, tls_end, true};

static void keep_session(void *owner, SSL_SESSION *session)
{
    struct slu_conn *conn = owner;

    SSL_SESSION_free(conn->session);
    conn->session = session;
}

/* Making and ending */

static bool use_tls(struct slu_conn *conn, struct slu_tls *context)
{
    conn->transport = &tls;
    conn->tls = slu_tls_ref(context);
    conn->ssl = SSL_new(slu_tls_context(context));
    return conn->ssl && SSL_set_fd(conn->ssl, conn->fd) == 1;
}

bool slu_conn_serve_tls(struct slu_conn *conn, struct slu_tls *context)
{
    if (!use_tls(conn, context))
        return false;
    SSL_set_accept_state(conn->ssl);
    return true;
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

bool slu_conn_prepare_tls(struct slu_conn *conn, const struct slu_conn_peer *peer)
{
    if (!use_tls(conn, peer->tls) || !peer->host || !expect_name(conn->ssl, peer->host))
        return false;
    SSL_set_connect_state(conn->ssl);
    conn->hook = (struct slu_tls_hook){keep_session, conn};
    if (peer->session)
        SSL_set_session(conn->ssl, peer->session); /* a refusal means a full handshake */
    return slu_tls_set_hook(conn->ssl, &conn->hook);
}

void slu_conn_done_tls(struct slu_conn *conn)
{
    if (conn->ssl) {
        ERR_clear_error();
        if (conn->state != SLU_CONN_HANDSHAKE && conn->state != SLU_CONN_CONNECTING &&
            conn->fault.kind == 0)
            SSL_shutdown(conn->ssl);
        ERR_clear_error();
        SSL_free(conn->ssl);
    }
    SSL_SESSION_free(conn->session);
    slu_tls_free(conn->tls);
}

/* The handshake */

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
        slu_conn_become_open(conn);
        return;
    }
    slu_conn_fail(conn, "TLS: the session resumed belongs to another name");
    slu_conn_tell_closed(conn, &conn->fault);
}

void slu_conn_shake_hands(struct slu_conn *conn)
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
        slu_conn_set_reading(conn, true);
        return;
    case SSL_ERROR_WANT_WRITE:
        slu_conn_await_room(conn);
        return;
    }
    fail_tls(conn);
    slu_conn_tell_closed(conn, &conn->fault);
}

/* Sessions */

struct ssl_session_st *slu_conn_take_session(struct slu_conn *conn)
{
    return slu_take(conn->session);
}

bool slu_conn_resumed(const struct slu_conn *conn)
{
    return conn->ssl && SSL_session_reused(conn->ssl);
}
