/* Two connections that talk to each other over loopback, plain and with TLS, on one loop. */
#include "net/conn.h"

#include "net/tls_internal.h"
#include "net_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

enum { PATIENCE_MS = 5000, LARGE = 3 << 20 };

/* One end, and what it heard. */
struct end {
    struct slu_conn *conn;
    struct slu_buf in;
    struct slu_fault fault;
    bool ready, drained, closed, clean;
    bool lazy;                                    /* does not consume */
    bool free_ready, free_readable, free_drained; /* frees in that callback */
};

struct pair {
    struct slu_loop *loop;
    struct slu_tls *server_tls, *client_tls;
    struct sockaddr_in address;
    int listener;
    struct end caller, callee;
    const char *host;
};

static void drop(struct end *end)
{
    slu_conn_free(slu_take(end->conn));
}

static void on_ready(struct slu_conn *conn, void *user)
{
    struct end *end = user;

    assert_ptr_equal(conn, end->conn);
    assert_false(end->ready);
    end->ready = true;
    if (end->free_ready)
        drop(end);
}

static void on_readable(struct slu_conn *conn, void *user)
{
    struct end *end = user;
    struct slu_str input = slu_conn_input(conn);

    assert_true(input.n > 0);
    if (end->lazy)
        return;
    slu_buf_add(&end->in, input);
    slu_conn_consume(conn, input.n);
    if (end->free_readable)
        drop(end);
}

static void on_drained(struct slu_conn *conn, void *user)
{
    struct end *end = user;

    assert_int_equal(slu_conn_pending(conn), 0);
    end->drained = true;
    if (end->free_drained)
        drop(end);
}

static void on_closed(struct slu_conn *conn, const struct slu_fault *fault, void *user)
{
    struct end *end = user;

    (void)conn;
    assert_false(end->closed);
    end->closed = true;
    end->clean = !fault;
    if (fault)
        end->fault = *fault;
    if (fault)
        drop(end);
}

static const struct slu_conn_events events = {on_ready, on_readable, on_drained, on_closed};

static struct pair pair_new(bool tls)
{
    struct slu_tls_server_conf server = {cert("server.pem"), cert("server.key"), NULL};
    struct slu_tls_client_conf client = {.ca = cert("ca.pem")};
    struct pair p = {.loop = slu_loop_new(), .host = "localhost"};
    struct slu_fault fault = {0};
    socklen_t length = sizeof(p.address);

    assert_non_null(p.loop);
    p.address.sin_family = AF_INET;
    p.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p.listener, (struct sockaddr *)&p.address, sizeof(p.address)), 0);
    assert_int_equal(listen(p.listener, 8), 0);
    assert_int_equal(getsockname(p.listener, (struct sockaddr *)&p.address, &length), 0);
    if (tls) {
        assert_true(slu_tls_server_new(&server, &p.server_tls, &fault));
        assert_true(slu_tls_client_new(&client, &p.client_tls, &fault));
    }
    return p;
}

static void pair_hang_up(struct pair *p)
{
    drop(&p->caller);
    drop(&p->callee);
    slu_buf_done(&p->caller.in);
    slu_buf_done(&p->callee.in);
    p->caller = p->callee = (struct end){0};
}

static void pair_done(struct pair *p)
{
    pair_hang_up(p);
    close(p->listener);
    slu_tls_free(p->server_tls);
    slu_tls_free(p->client_tls);
    slu_loop_free(p->loop);
}

static bool pair_call(struct pair *p, SSL_SESSION *session)
{
    struct slu_conn_peer peer = {.address = (struct sockaddr *)&p->address,
                                 .length = sizeof(p->address),
                                 .tls = p->client_tls,
                                 .host = p->host,
                                 .session = session};
    struct slu_fault fault = {0};
    int fd;

    p->caller.conn = slu_conn_connect(p->loop, &peer, &events, &p->caller, &fault);
    if (!p->caller.conn) {
        assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
        return false;
    }
    fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd >= 0);
    p->callee.conn = slu_conn_accept(p->loop, fd, p->server_tls, &events, &p->callee);
    return p->callee.conn != NULL;
}

static bool is_up(void *context)
{
    struct pair *p = context;

    return (p->caller.ready || p->caller.closed) &&
           (p->callee.ready || p->callee.closed || !p->server_tls);
}

static void connect_pair(struct pair *p, SSL_SESSION *session)
{
    assert_true(pair_call(p, session));
    assert_true(run_until(p->loop, is_up, p, PATIENCE_MS));
}

static bool caller_closed(void *context)
{
    return ((struct pair *)context)->caller.closed;
}

static bool callee_closed(void *context)
{
    return ((struct pair *)context)->callee.closed;
}

static bool both_got_large(void *context)
{
    struct pair *p = context;

    return p->caller.in.n >= LARGE && p->callee.in.n >= LARGE;
}

static bool all_arrived(void *context)
{
    return slu_conn_unacknowledged(((struct pair *)context)->caller.conn) == 0;
}

/* More than the sockets hold, both ways at once, in two pieces. */
static void talk_at_length(struct pair *p)
{
    char *text = malloc(LARGE);
    struct slu_str pieces[2] = {{text, 1000}, {text + 1000, LARGE - 1000}};
    bool all;

    for (size_t i = 0; i < LARGE; i++)
        text[i] = (char)(i * 7 + i / 1000);
    connect_pair(p, NULL);
    assert_true(p->caller.ready);
    all = slu_conn_write(p->caller.conn, pieces, 2);
    slu_conn_write(p->callee.conn, pieces, 2);
    assert_true(run_until(p->loop, both_got_large, p, PATIENCE_MS));
    run_for(p->loop, 10);
    assert_true(all || p->caller.drained);
    assert_int_equal(p->caller.in.n, LARGE);
    assert_memory_equal(p->caller.in.p, text, LARGE);
    assert_memory_equal(p->callee.in.p, text, LARGE);
    assert_int_equal(slu_conn_bytes_out(p->caller.conn), LARGE);
    assert_int_equal(slu_conn_bytes_in(p->caller.conn), LARGE);
    assert_true(run_until(p->loop, all_arrived, p, PATIENCE_MS));
    assert_true(slu_conn_connected_us(p->caller.conn) > 0);
    assert_true(slu_conn_ready_us(p->caller.conn) >= slu_conn_connected_us(p->caller.conn));
    slu_conn_rest(p->caller.conn);
    free(text);
    pair_hang_up(p);
}

static void only_version(struct pair *p, int version)
{
    assert_int_equal(SSL_CTX_set_min_proto_version(slu_tls_context(p->server_tls), version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(slu_tls_context(p->server_tls), version), 1);
}

static void test_at_length(void **state)
{
    struct pair p = pair_new(false);

    (void)state;
    talk_at_length(&p);
    pair_done(&p);
}

static void test_at_length_tls(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(versions); i++) {
        struct pair p = pair_new(true);

        only_version(&p, versions[i]);
        talk_at_length(&p);
        pair_done(&p);
    }
}

static void test_old_tls_refused(void **state)
{
    struct pair p = pair_new(true);

    (void)state;
    SSL_CTX_set_security_level(slu_tls_context(p.server_tls), 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(slu_tls_context(p.server_tls), TLS1_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(slu_tls_context(p.server_tls), TLS1_1_VERSION),
                     1);
    connect_pair(&p, NULL);
    assert_false(p.caller.ready);
    assert_int_equal(p.caller.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
    pair_done(&p);
}

/* An end that does not consume is not read beyond its limit, and goes on where it stopped. */
static void test_input_limit(void **state)
{
    static char text[200000];
    struct slu_str piece = {text, sizeof(text)};

    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct pair p = pair_new(tls);
        struct slu_str input;

        connect_pair(&p, NULL);
        p.callee.lazy = true;
        slu_conn_limit_input(p.callee.conn, 5000);
        slu_conn_write(p.caller.conn, &piece, 1);
        run_for(p.loop, 50);
        input = slu_conn_input(p.callee.conn);
        assert_int_equal(input.n, 5000);
        slu_conn_consume(p.callee.conn, 1);
        run_for(p.loop, 20);
        assert_int_equal(slu_conn_input(p.callee.conn).n, 5000);
        p.callee.lazy = false;
        slu_conn_consume(p.callee.conn, 4999);
        run_for(p.loop, 100);
        assert_int_equal(slu_conn_bytes_in(p.callee.conn), sizeof(text));
        assert_int_equal(p.callee.in.n, sizeof(text) - 5000);
        pair_done(&p);
    }
}

static bool caller_got_reply(void *context)
{
    return slu_str_is(slu_buf_str(&((struct pair *)context)->caller.in), "reply");
}

/* One side ends; the other is told, and can still answer. */
static void test_half_close(void **state)
{
    struct slu_str request = SLU_STR("request"), reply = SLU_STR("reply");

    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct pair p = pair_new(tls);

        connect_pair(&p, NULL);
        slu_conn_write(p.caller.conn, &request, 1);
        slu_conn_end_output(p.caller.conn);
        assert_true(run_until(p.loop, callee_closed, &p, PATIENCE_MS));
        assert_true(p.callee.clean);
        assert_str(slu_buf_str(&p.callee.in), "request");
        assert_true(slu_conn_write(p.callee.conn, &reply, 1));
        assert_true(run_until(p.loop, caller_got_reply, &p, PATIENCE_MS));
        assert_false(p.caller.closed);
        drop(&p.callee);
        assert_true(run_until(p.loop, caller_closed, &p, PATIENCE_MS));
        assert_true(p.caller.clean);
        pair_done(&p);
    }
}

static void test_refused(void **state)
{
    struct pair p = pair_new(false);
    struct slu_conn_peer peer = {.address = (struct sockaddr *)&p.address,
                                 .length = sizeof(p.address)};
    struct slu_fault fault = {0};

    (void)state;
    close(p.listener);
    p.listener = open("/dev/null", O_RDONLY | O_CLOEXEC);
    p.caller.conn = slu_conn_connect(p.loop, &peer, &events, &p.caller, &fault);
    if (p.caller.conn) {
        assert_true(run_until(p.loop, caller_closed, &p, PATIENCE_MS));
        fault = p.caller.fault;
    }
    assert_int_equal(fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
    assert_true(strstr(fault.words, "refused") != NULL);
    pair_done(&p);
}

static void abort_connection(struct slu_conn *conn)
{
    struct linger abrupt = {1, 0};

    assert_int_equal(setsockopt(slu_conn_fd(conn), SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt)),
                     0);
}

static void test_broken(void **state)
{
    struct slu_str piece = SLU_STR("hello");

    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct pair p = pair_new(tls);

        connect_pair(&p, NULL);
        abort_connection(p.callee.conn);
        drop(&p.callee);
        assert_true(run_until(p.loop, caller_closed, &p, PATIENCE_MS));
        if (!tls) /* with TLS the close_notify comes before the reset, or does not */
            assert_int_equal(p.caller.fault.kind, SLU_FAULT_UPSTREAM_BROKEN);
        pair_hang_up(&p);

        connect_pair(&p, NULL); /* found out while writing */
        abort_connection(p.callee.conn);
        shutdown(slu_conn_fd(p.callee.conn), SHUT_RD);
        drop(&p.callee);
        usleep(20000);
        for (int i = 0; i < 3; i++)
            slu_conn_write(p.caller.conn, &piece, 1);
        assert_false(p.caller.closed); /* never from inside the call */
        assert_true(run_until(p.loop, caller_closed, &p, PATIENCE_MS));
        pair_done(&p);
    }
}

/* An end of TCP without TLS's own end could be an attacker's work (RFC 8446 §6.1). */
static void test_truncated(void **state)
{
    struct pair p = pair_new(true);

    (void)state;
    connect_pair(&p, NULL);
    run_for(p.loop, 10);
    assert_int_equal(shutdown(slu_conn_fd(p.callee.conn), SHUT_WR), 0);
    assert_true(run_until(p.loop, caller_closed, &p, PATIENCE_MS));
    assert_false(p.caller.clean);
    assert_int_equal(p.caller.fault.kind, SLU_FAULT_UPSTREAM_BROKEN);
    pair_done(&p);
}

static bool caller_gone(void *context)
{
    return !((struct pair *)context)->caller.conn;
}

static void test_free_inside_callbacks(void **state)
{
    static char text[1 << 20];
    struct slu_str piece = {text, sizeof(text)};

    (void)state;
    for (int tls = 0; tls < 2; tls++)
        for (int which = 0; which < 3; which++) {
            struct pair p = pair_new(tls);

            p.caller.free_ready = which == 0;
            p.caller.free_readable = which == 1;
            p.caller.free_drained = which == 2;
            assert_true(pair_call(&p, NULL));
            if (which > 0) {
                assert_true(run_until(p.loop, is_up, &p, PATIENCE_MS));
                if (which == 2)
                    while (slu_conn_write(p.caller.conn, &piece, 1))
                        ;
                slu_conn_write(p.callee.conn, &piece, 1);
            }
            assert_true(run_until(p.loop, caller_gone, &p, PATIENCE_MS));
            pair_done(&p);
        }
}

/* Names */

static void test_names(void **state)
{
    static const struct {
        const char *host;
        bool good;
    } rows[] = {
        {"localhost", true},  {"127.0.0.1", true},    {"::1", true},
        {"gateway", true},    {"LOCALHOST", true},    {"wrong.example", false},
        {"127.0.0.2", false}, {"::2", false},         {"localhost.example", false},
        {"ocalhost", false},  {"a.localhost", false},
    };
    struct pair p = pair_new(true);

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        p.host = rows[i].host;
        connect_pair(&p, NULL);
        assert_int_equal(p.caller.ready, rows[i].good);
        if (!rows[i].good) {
            assert_int_equal(p.caller.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
            assert_true(strstr(p.caller.fault.words, "mismatch") != NULL);
        }
        pair_hang_up(&p);
    }
    pair_done(&p);
}

static void test_untrusted(void **state)
{
    struct slu_tls_client_conf other = {.ca = cert("other/ca.pem")}, none = {0};
    struct slu_tls_server_conf expired = {cert("expired/server.pem"), cert("expired/server.key"),
                                          NULL};
    struct slu_tls_client_conf expired_ca = {.ca = cert("expired/ca.pem")};
    const struct slu_tls_client_conf *clients[] = {&other, &none, &expired_ca};
    struct slu_fault fault = {0};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(clients); i++) {
        struct pair p = pair_new(true);

        slu_tls_free(p.client_tls);
        assert_true(slu_tls_client_new(clients[i], &p.client_tls, &fault));
        if (clients[i] == &expired_ca) {
            slu_tls_free(p.server_tls);
            assert_true(slu_tls_server_new(&expired, &p.server_tls, &fault));
        }
        connect_pair(&p, NULL);
        assert_false(p.caller.ready);
        assert_int_equal(p.caller.fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
        assert_true(strstr(p.caller.fault.words, i == 2 ? "expired" : "certificate") != NULL);
        pair_done(&p);
    }
}

static void test_client_certificate(void **state)
{
    struct slu_tls_server_conf asking = {cert("server.pem"), cert("server.key"), cert("ca.pem")};
    struct slu_tls_client_conf shown[] = {
        {cert("ca.pem"), cert("client.pem"), cert("client.key")},
        {cert("ca.pem"), NULL, NULL},
        {cert("ca.pem"), cert("other/client.pem"), cert("other/client.key")},
        {cert("ca.pem"), cert("server.pem"), cert("server.key")}, /* not for clients */
    };
    struct slu_fault fault = {0};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(shown); i++) {
        struct pair p = pair_new(true);

        slu_tls_free(p.client_tls);
        slu_tls_free(p.server_tls);
        assert_true(slu_tls_server_new(&asking, &p.server_tls, &fault));
        assert_true(slu_tls_client_new(&shown[i], &p.client_tls, &fault));
        connect_pair(&p, NULL);
        assert_int_equal(p.callee.ready, i == 0);
        if (i > 0) { /* in TLS 1.3 the caller hears of it when it thinks itself ready */
            assert_true(run_until(p.loop, caller_closed, &p, PATIENCE_MS));
            assert_false(p.caller.clean);
        }
        pair_done(&p);
    }
}

static void test_resumption(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(versions); i++) {
        struct pair p = pair_new(true);
        SSL_SESSION *session;

        only_version(&p, versions[i]);
        connect_pair(&p, NULL);
        assert_false(slu_conn_resumed(p.caller.conn));
        run_for(p.loop, 20);
        session = slu_conn_take_session(p.caller.conn);
        assert_non_null(session);
        assert_null(slu_conn_take_session(p.caller.conn));
        pair_hang_up(&p);
        connect_pair(&p, session);
        assert_true(p.caller.ready);
        assert_true(slu_conn_resumed(p.caller.conn));
        pair_hang_up(&p);
        p.host = "wrong.example"; /* a session is no way around the name */
        connect_pair(&p, session);
        assert_false(p.caller.ready);
        SSL_SESSION_free(session);
        pair_done(&p);
    }
}

static void test_no_tls_spoken(void **state)
{
    struct slu_str text = SLU_STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    struct pair p = pair_new(true);
    struct slu_tls *client = slu_take(p.client_tls);

    (void)state;
    assert_true(pair_call(&p, NULL));
    slu_conn_write(p.caller.conn, &text, 1);
    assert_true(run_until(p.loop, callee_closed, &p, PATIENCE_MS));
    assert_false(p.callee.clean);
    slu_tls_free(client);
    pair_done(&p);
}

/* Written before it is connected, and with any allocation failing. */
static bool exchange_words(void *context)
{
    struct slu_str words[] = {SLU_STR("re"), SLU_STR("ply")};
    struct pair *p = context;
    bool good = pair_call(p, NULL);

    if (good) {
        slu_conn_write(p->caller.conn, words, 2);
        slu_conn_write(p->callee.conn, words, 2);
        good = run_until(p->loop, caller_got_reply, p, p->caller.fault.kind ? 2 : 300);
    }
    pair_hang_up(p);
    return good;
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct pair p = pair_new(tls);

        assert_true(test_every_allocation(exchange_words, &p) > 2);
        pair_done(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_length),
        cmocka_unit_test(test_at_length_tls),
        cmocka_unit_test(test_old_tls_refused),
        cmocka_unit_test(test_input_limit),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_free_inside_callbacks),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_untrusted),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_no_tls_spoken),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
