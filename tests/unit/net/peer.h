/*
 * A fake cloud for the tests of the clouds' side: a listener on loopback with a thread per
 * connection, plain or TLS, that counts what it got and answers by a script. Also the certificates,
 * made in the test, and a helper that runs one call to its end.
 */
#ifndef PEER_H
#define PEER_H

#include "test.h"

#include "base/clock.h"
#include "net/upstream.h"
#include "net/upstream_internal.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

struct peer;
struct peer_end {
    struct peer *peer;
    int fd;
    SSL *ssl;
    unsigned number; /* of the connection, from 0 */
    unsigned requests;
    char method[16];
    char target[1024], body[2048]; /* of the newest request, cut */
    pthread_t thread;
};
/* Serves one connection; the socket is closed when it returns. */
typedef void peer_serve_fn(struct peer_end *end);

enum { PEER_ENDS = 512, PEER_HEAD = 16384 };

struct peer {
    int listener;
    uint16_t port;
    peer_serve_fn *serve;
    const void *script;
    SSL_CTX *tls;
    atomic_uint connections, requests, posts, resumed, most_at_once, at_once;
    atomic_bool stopping;
    char last_head[PEER_HEAD]; /* of the newest request, NUL-terminated */
    char last_body[PEER_HEAD];
    pthread_mutex_t lock;
    struct peer_end ends[PEER_ENDS];
    pthread_t acceptor;
};

static inline ssize_t peer_read(struct peer_end *end, char *to, size_t size)
{
    return end->ssl ? SSL_read(end->ssl, to, (int)size) : recv(end->fd, to, size, 0);
}

static inline bool peer_write(struct peer_end *end, const char *text, size_t n)
{
    while (n) {
        ssize_t sent =
            end->ssl ? SSL_write(end->ssl, text, (int)n) : send(end->fd, text, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        text += sent;
        n -= (size_t)sent;
    }
    return true;
}

static inline bool peer_say(struct peer_end *end, const char *text)
{
    return peer_write(end, text, strlen(text));
}

/* Until the other side leaves or the test stops the peer. */
static inline void peer_hang(struct peer_end *end)
{
    char byte;

    while (!end->peer->stopping && recv(end->fd, &byte, 1, 0) > 0)
        ;
}

static inline void peer_reset(struct peer_end *end)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static inline size_t peer_length(const char *head)
{
    const char *field = strcasestr(head, "\r\ncontent-length:");

    return field ? strtoul(field + 17, NULL, 10) : 0;
}

static inline void peer_note(struct peer_end *end, const char *head, size_t n)
{
    struct peer *peer = end->peer;
    const char *body = strstr(head, "\r\n\r\n") + 4;

    pthread_mutex_lock(&peer->lock);
    snprintf(peer->last_head, sizeof(peer->last_head), "%.*s", (int)(body - head), head);
    snprintf(peer->last_body, sizeof(peer->last_body), "%.*s", (int)(n - (size_t)(body - head)),
             body);
    pthread_mutex_unlock(&peer->lock);
    snprintf(end->method, sizeof(end->method), "%.*s", (int)strcspn(head, " "), head);
    snprintf(end->target, sizeof(end->target), "%.*s",
             (int)strcspn(head + strlen(end->method) + 1, " "), head + strlen(end->method) + 1);
    snprintf(end->body, sizeof(end->body), "%.*s", (int)(n - (size_t)(body - head)), body);
    end->requests++;
    peer->requests++;
    if (strcmp(end->method, "POST") == 0)
        peer->posts++;
}

/* One whole request, head and body; false when the other side left. */
static inline bool peer_request(struct peer_end *end)
{
    char text[PEER_HEAD];
    size_t n = 0;

    for (;;) {
        ssize_t got = peer_read(end, text + n, sizeof(text) - 1 - n);
        const char *body;

        if (got <= 0)
            return false;
        n += (size_t)got;
        text[n] = '\0';
        body = strstr(text, "\r\n\r\n");
        if (body && n >= (size_t)(body + 4 - text) + peer_length(text))
            break;
    }
    peer_note(end, text, n);
    return true;
}

static inline bool peer_begin_tls(struct peer_end *end)
{
    if (!end->peer->tls)
        return true;
    end->ssl = SSL_new(end->peer->tls);
    SSL_set_fd(end->ssl, end->fd);
    if (SSL_accept(end->ssl) != 1) {
        ERR_clear_error();
        return false;
    }
    if (SSL_session_reused(end->ssl))
        end->peer->resumed++;
    return true;
}

static inline void *peer_run_end(void *argument)
{
    struct peer_end *end = argument;
    struct peer *peer = end->peer;
    unsigned now = ++peer->at_once;

    if (now > peer->most_at_once)
        peer->most_at_once = now;
    if (peer_begin_tls(end))
        peer->serve(end);
    pthread_mutex_lock(&peer->lock);
    peer->at_once--;
    if (end->ssl)
        SSL_free(end->ssl);
    ERR_clear_error();
    close(end->fd);
    end->fd = -1;
    pthread_mutex_unlock(&peer->lock);
    return NULL;
}

static inline void *peer_accept(void *argument)
{
    struct peer *peer = argument;

    while (!peer->stopping) {
        int fd = accept(peer->listener, NULL, NULL), one = 1;
        unsigned number = peer->connections;

        if (fd < 0 || number == PEER_ENDS) {
            if (fd >= 0)
                close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        peer->connections++;
        peer->ends[number] = (struct peer_end){.peer = peer, .fd = fd, .number = number};
        if (pthread_create(&peer->ends[number].thread, NULL, peer_run_end, &peer->ends[number]))
            abort();
    }
    return NULL;
}

static inline int peer_listen(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline struct peer *peer_start(peer_serve_fn *serve, const void *script, SSL_CTX *tls)
{
    struct peer *peer = slu_mem_new(sizeof(*peer));

    signal(SIGPIPE, SIG_IGN);
    assert_non_null(peer);
    peer->serve = serve;
    peer->script = script;
    peer->tls = tls;
    peer->listener = peer_listen(&peer->port);
    pthread_mutex_init(&peer->lock, NULL);
    assert_int_equal(pthread_create(&peer->acceptor, NULL, peer_accept, peer), 0);
    return peer;
}

static inline void peer_stop(struct peer *peer)
{
    peer->stopping = true;
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->acceptor, NULL);
    pthread_mutex_lock(&peer->lock);
    for (unsigned i = 0; i < peer->connections; i++) {
        if (peer->ends[i].fd >= 0)
            shutdown(peer->ends[i].fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&peer->lock);
    for (unsigned i = 0; i < peer->connections; i++)
        pthread_join(peer->ends[i].thread, NULL);
    close(peer->listener);
    pthread_mutex_destroy(&peer->lock);
    slu_mem_free(peer);
}

/* Scripts as data */

enum peer_then { THEN_KEEP, THEN_CLOSE, THEN_RESET, THEN_HANG, THEN_AGAIN, THEN_DRIP };

struct peer_script {
    const char *reply; /* to every request; NULL: none */
    enum peer_then then;
    const char *again; /* THEN_AGAIN: repeated without end; THEN_DRIP: a byte every 100 ms */
};

static inline bool peer_go_on(struct peer_end *end, const struct peer_script *script)
{
    switch (script->then) {
    case THEN_KEEP:
        return true;
    case THEN_CLOSE:
        return false;
    case THEN_RESET:
        peer_reset(end);
        return false;
    case THEN_HANG:
        peer_hang(end);
        return false;
    case THEN_AGAIN:
        while (!end->peer->stopping && peer_say(end, script->again))
            ;
        return false;
    case THEN_DRIP:
        while (!end->peer->stopping && peer_write(end, script->again, 1))
            usleep(100000);
        return false;
    }
    return false;
}

static inline void peer_serve_script(struct peer_end *end)
{
    const struct peer_script *script = end->peer->script;

    while (peer_request(end)) {
        if (script->reply && !peer_say(end, script->reply))
            return;
        if (!peer_go_on(end, script))
            return;
    }
}

/* One call to its end */

struct outcome {
    struct slu_loop *loop;
    struct slu_arena arena;
    struct slu_call_result result;
    unsigned wanted, ended;
    uint64_t took_ms;
};

static inline void outcome_take(const struct slu_call_result *result, void *user)
{
    struct outcome *outcome = user;

    outcome->result = *result;
    if (++outcome->ended >= outcome->wanted)
        slu_loop_stop(outcome->loop);
}

static inline struct slu_request request_of(const char *method, const char *path, const char *body)
{
    return (struct slu_request){.method = slu_str_of(method),
                                .scheme = SLU_STR("http"),
                                .host = SLU_STR("cloud.example"),
                                .path = slu_str_of(path),
                                .body = slu_str_of(body)};
}

/* Sends and waits; false when the call could not even begin. */
static inline bool call_once(struct slu_loop *loop, struct slu_upstream *upstream,
                             const struct slu_request *request, uint32_t timeout_ms,
                             struct outcome *outcome)
{
    uint64_t began = slu_clock_mono_us();

    *outcome = (struct outcome){.loop = loop, .wanted = 1};
    slu_arena_init(&outcome->arena, 8 << 20);
    if (!slu_upstream_send(upstream, request, &outcome->arena, timeout_ms, outcome_take, outcome))
        return false;
    assert_int_equal(outcome->ended, 0);
    slu_loop_run(loop);
    assert_int_equal(outcome->ended, 1);
    outcome->took_ms = (slu_clock_mono_us() - began) / 1000;
    return true;
}

static inline void stop_loop(void *argument)
{
    slu_loop_stop(argument);
}

/* Lets the loop turn for a while. */
static inline void run_for(struct slu_loop *loop, uint32_t ms)
{
    struct slu_timer timer;

    slu_timer_init(&timer, loop, stop_loop, loop);
    assert_true(slu_timer_set(&timer, ms));
    slu_loop_run(loop);
    slu_timer_done(&timer);
}

/* Names */

/* A DNS server on UDP that knows names under "test" by their first letter: a (one IPv4 address),
 * m (many), w (two wrong ones,
 * then 127.0.0.1), t (as a, TTL 0), n (does not exist), s (silence). */
struct dns {
    int fd;
    uint16_t port;
    atomic_uint questions;
    pthread_t thread;
};

enum { TYPE_A = 1, TYPE_AAAA = 28, NAME_ERROR = 3 };

static inline size_t put_address(unsigned char *to, unsigned char last, unsigned char ttl)
{
    const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 127, 0, 0, last};

    memcpy(to, record, sizeof(record));
    return sizeof(record);
}

/* Answers in place: the question stays, the header's flags and counts change. */
static inline size_t answer_question(unsigned char *text, size_t n)
{
    unsigned char first = text[13], type = text[n - 3], count = 0;
    size_t end = 12;

    while (end < n && text[end])
        end += text[end] + 1u;
    end += 5;
    type = text[end - 3];
    text[2] = 0x81;
    text[3] = (unsigned char)(0x80 | (first == 'n' ? NAME_ERROR : 0));
    memset(text + 6, 0, 6);
    if (type == TYPE_A && first != 'n')
        count = first == 'm' ? 12 : first == 'w' ? 3 : 1;
    for (unsigned char i = 0; i < count; i++)
        end += put_address(text + end, (unsigned char)(first == 'w' ? 3 - i : i + 1),
                           first == 't' ? 0 : 60);
    text[7] = count;
    return end;
}

static inline void *dns_run(void *argument)
{
    struct dns *dns = argument;

    for (;;) {
        unsigned char text[1500];
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        ssize_t n = recvfrom(dns->fd, text, 512, 0, (struct sockaddr *)&from, &length);

        if (n < 17)
            return NULL;
        dns->questions++;
        if (text[13] != 's')
            sendto(dns->fd, text, answer_question(text, (size_t)n), 0, (struct sockaddr *)&from,
                   length);
    }
}

static inline void dns_start(struct dns *dns)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dns->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(dns->fd, (struct sockaddr *)&address, &length), 0);
    dns->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&dns->thread, NULL, dns_run, dns), 0);
}

static inline void dns_stop(struct dns *dns)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    to.sin_port = htons(dns->port);
    assert_int_equal(sendto(dns->fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
    pthread_join(dns->thread, NULL);
    close(dns->fd);
}

/* Starts it, and answers a resolver that asks nobody else. */
static inline struct slu_resolver *dns_resolver(struct dns *dns, struct slu_loop *loop)
{
    struct slu_resolver *resolver = slu_resolver_new(loop);
    char server[32];

    dns_start(dns);
    snprintf(server, sizeof(server), "127.0.0.1:%u", dns->port);
    assert_true(slu_resolver_use_servers(resolver, server));
    return resolver;
}

/* Certificates */

struct made {
    EVP_PKEY *key;
    X509 *certificate;
};

static inline void made_free(struct made *made)
{
    EVP_PKEY_free(made->key);
    X509_free(made->certificate);
}

static inline void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Valid from `from_s` to `to_s` seconds from now; signed by `issuer`, or by itself when NULL. */
static inline struct made make_certificate(const char *names, const struct made *issuer,
                                           long from_s, long to_s)
{
    static long serial = 1;
    struct made made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509 *x = made.certificate;
    char name[32];

    assert_non_null(made.key);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), to_s);
    X509_set_pubkey(x, made.key);
    snprintf(name, sizeof(name), "%s %ld", issuer ? "peer" : "test ca", serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->certificate : x));
    if (issuer)
        add_extension(x, NID_subject_alt_name, names);
    else
        add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(x, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
    return made;
}

static inline void write_certificate(const struct made *made, const char *path)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    PEM_write_X509(file, made->certificate);
    fclose(file);
}

static inline SSL_CTX *make_server_tls(const struct made *made)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    assert_non_null(tls);
    assert_int_equal(SSL_CTX_use_certificate(tls, made->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, made->key), 1);
    SSL_CTX_set_session_id_context(tls, (const unsigned char *)"peer", 4);
    return tls;
}

#endif
