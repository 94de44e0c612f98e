/*
 * Our own HTTP/1.1 client: the connections of one upstream. A link is a connection and what it is
 * doing: looking up the name, connecting (one address after the other), carrying a call, or idle.
 *
 *     NAME -> CONNECT -> BUSY -> IDLE -> BUSY ...
 *
 * The link used last is taken first, so that those not needed grow old and are dropped. How much of
 * a request left is told by the connection's count of bytes; that alone decides what may be sent
 * again.
 */
#include "net/conn.h"
#include "net/http1.h"
#include "net/upstream_internal.h"

#include <openssl/ssl.h>

enum {
    HEAD_MOST = 16384,
    FIELDS_MOST = 100,
    INPUT_MOST = 65536, /* more than a head, so that no unfinished line stops the reading */
    ONE_BUFFER = 16384, /* a body up to this size is sent from one buffer with its head */
    SPARE_MOST = 64,
};

enum link_state { LINK_NAME, LINK_CONNECT, LINK_BUSY, LINK_IDLE };

struct link {
    TAILQ_ENTRY(link) link;
    struct side *side;
    struct slu_call *call; /* NULL when idle */
    struct slu_conn *conn;
    enum link_state state;
    struct slu_timer patience; /* for the name, then for one address */
    struct slu_lookup lookup;
    struct slu_addresses addresses;
    unsigned next; /* the address to try after this one */
    uint64_t connect_by_us, dialled_us, asked_us, idle_since_us;
    struct slu_fault fault; /* why the last address failed */
    struct slu_http1 reader;
    uint64_t out_before, in_before; /* the connection's counts when this call began */
    bool reused;
};
TAILQ_HEAD(links, link);

/* What an upstream has on this transport. */
struct side {
    struct slu_upstream *upstream;
    struct links busy, idle, spare; /* idle: the newest first */
    unsigned open, idle_count, spare_count;
    struct slu_timer sweep;
    bool sweeping;
    SSL_SESSION *session; /* the newest */
    struct slu_buf out;
};

static void own_start(struct slu_call *call);

/* Links */

static void free_link(struct link *link)
{
    slu_timer_done(&link->patience);
    slu_mem_free(link);
}

static void keep_session(struct link *link)
{
    SSL_SESSION *session = slu_conn_take_session(link->conn);

    if (!session)
        return;
    SSL_SESSION_free(link->side->session);
    link->side->session = session;
}

/* Closes the connection and parts link and call. */
static void drop_link(struct link *link)
{
    struct side *side = link->side;

    if (link->conn) {
        if (side->upstream->conf.https)
            keep_session(link);
        slu_conn_free(link->conn);
    }
    slu_lookup_cancel(&link->lookup);
    slu_timer_stop(&link->patience);
    TAILQ_REMOVE(link->state == LINK_IDLE ? &side->idle : &side->busy, link, link);
    if (link->state == LINK_IDLE)
        side->idle_count--;
    side->open--;
    if (link->call)
        link->call->carrier = NULL;
    link->call = NULL;
    link->conn = NULL;
    if (side->spare_count >= SPARE_MOST) {
        free_link(link);
        return;
    }
    TAILQ_INSERT_HEAD(&side->spare, link, link);
    side->spare_count++;
}

static void on_patience(void *argument);

static struct link *take_link(struct side *side)
{
    struct link *link = TAILQ_FIRST(&side->spare);

    if (link) {
        TAILQ_REMOVE(&side->spare, link, link);
        side->spare_count--;
    } else {
        const struct slu_http1_limits limits = {.head_bytes = HEAD_MOST,
                                                .head_fields = FIELDS_MOST,
                                                .body_bytes = side->upstream->conf.reply_bytes,
                                                .total_bytes = side->upstream->conf.reply_bytes};

        link = slu_mem_new(sizeof(*link));
        if (!link)
            return NULL;
        link->side = side;
        slu_timer_init(&link->patience, side->upstream->loop, on_patience, link);
        slu_http1_init(&link->reader, SLU_HTTP1_RESPONSES, &limits);
    }
    TAILQ_INSERT_TAIL(&side->busy, link, link);
    side->open++;
    return link;
}

/* Drops what was idle too long; the others give their buffers back. */
static void on_sweep(void *argument)
{
    struct side *side = argument;
    uint64_t now = slu_loop_now_us(side->upstream->loop);
    uint64_t age = (uint64_t)side->upstream->conf.idle_ms * 1000;
    struct link *link;

    side->sweeping = false;
    while ((link = TAILQ_LAST(&side->idle, links)) && now - link->idle_since_us >= age)
        drop_link(link);
    if (!link)
        return;
    side->sweeping =
        slu_timer_set(&side->sweep, (uint32_t)((link->idle_since_us + age - now) / 1000 + 1));
    TAILQ_FOREACH(link, &side->idle, link)
    {
        slu_conn_rest(link->conn);
    }
}

/* Without memory for the timer the connection is not kept: it could stay for ever. */
static void make_idle(struct link *link)
{
    struct side *side = link->side;

    if (side->upstream->conf.https)
        keep_session(link);
    if (!side->sweeping)
        side->sweeping = slu_timer_set(&side->sweep, side->upstream->conf.idle_ms);
    if (!side->sweeping) {
        drop_link(link);
        return;
    }
    link->call->carrier = NULL;
    link->call = NULL;
    TAILQ_REMOVE(&side->busy, link, link);
    TAILQ_INSERT_HEAD(&side->idle, link, link);
    side->idle_count++;
    link->state = LINK_IDLE;
    link->idle_since_us = slu_loop_now_us(side->upstream->loop);
}

/* How a call ends */

static void take_figures(struct link *link)
{
    struct slu_call_result *result = &link->call->result;

    if (link->state != LINK_BUSY)
        return;
    result->reused = link->reused;
    result->bytes_out = slu_conn_bytes_out(link->conn) - link->out_before;
    result->bytes_in = slu_conn_bytes_in(link->conn) - link->in_before;
    result->sent = result->bytes_out || link->call->repeated ? SLU_SENT_PERHAPS : SLU_SENT_NOTHING;
}

static void fail(struct link *link, const struct slu_fault *fault)
{
    struct slu_call *call = link->call;
    struct slu_fault copy = *fault; /* it may lie in the link */

    take_figures(link);
    drop_link(link);
    if (copy.kind == SLU_FAULT_MEMORY) {
        call->result.fault = copy;
        slu_call_finish(call);
    } else {
        slu_call_fail(call, copy.kind, "%s", copy.words);
    }
}

/* It would go on to where the name once led. */
static bool is_old(const struct link *link)
{
    const struct slu_upstream *upstream = link->side->upstream;

    return slu_loop_now_us(upstream->loop) - slu_conn_connected_us(link->conn) >=
           (uint64_t)upstream->conf.age_ms * 1000;
}

/* The reply is whole. The connection is kept when both sides are at the end of a message and agree
 * to go on. */
static void succeed(struct link *link, bool at_end)
{
    struct slu_call *call = link->call;

    take_figures(link);
    call->result.sent = SLU_SENT_ANSWERED;
    call->result.response = link->reader.response;
    if (at_end && link->reader.keep && !slu_conn_pending(link->conn) && !is_old(link))
        make_idle(link);
    else
        drop_link(link);
    slu_call_finish(call);
}

/*
 * A kept connection may have been closed by the peer while the request was on its way. Nothing
 * left: any call goes again. Something left and not one byte came back: reads go again, once. Only
 * kept connections: on a new one it is the peer's answer, and the caller decides.
 */
static bool may_go_again(const struct link *link)
{
    const struct slu_call *call = link->call;

    if (!link->reused || call->result.bytes_in)
        return false;
    return call->result.sent == SLU_SENT_NOTHING || (slu_call_is_read(call) && !call->repeated);
}

static void break_off(struct link *link, const struct slu_fault *fault)
{
    struct slu_call *call = link->call;

    take_figures(link);
    if (!may_go_again(link)) {
        fail(link, fault);
        return;
    }
    call->fresh = true;
    call->repeated = call->result.sent != SLU_SENT_NOTHING;
    drop_link(link);
    own_start(call);
}

/* Sending and receiving */

/* The head, and behind it a body that is small enough to be copied. */
static bool write_out(struct link *link, struct slu_fault *fault)
{
    const struct slu_call *call = link->call;
    struct slu_buf *out = &link->side->out;

    slu_buf_clear(out);
    if (!slu_http1_write_request(out, call->request, slu_call_needs_length(call)) && !out->failed)
        return slu_fault_set(fault, SLU_FAULT_INTERNAL, "",
                             "the request has parts that no head can hold");
    if (call->request->body.n <= ONE_BUFFER)
        slu_buf_add(out, call->request->body);
    return out->failed ? slu_fault_memory(fault) : true;
}

static void send_request(struct link *link)
{
    struct slu_call *call = link->call;
    struct slu_fault fault = {0};
    struct slu_str pieces[2];

    link->state = LINK_BUSY;
    link->out_before = slu_conn_bytes_out(link->conn);
    link->in_before = slu_conn_bytes_in(link->conn);
    link->asked_us = slu_loop_now_us(call->upstream->loop);
    if (!write_out(link, &fault)) {
        fail(link, &fault);
        return;
    }
    slu_http1_begin(&link->reader, call->arena, slu_str_is(call->request->method, "HEAD"));
    pieces[0] = slu_buf_str(&link->side->out);
    pieces[1] = call->request->body;
    (void)slu_conn_write(link->conn, pieces, call->request->body.n <= ONE_BUFFER ? 1 : 2);
}

static bool judge_head(const struct slu_http1 *reader, struct slu_fault *fault)
{
    struct slu_str encoding =
        slu_headers_value(&reader->response.headers, SLU_STR("content-encoding"));

    if (encoding.n && !slu_str_eq_nocase(encoding, SLU_STR("identity")))
        return slu_fault_set(fault, SLU_FAULT_UPSTREAM_UNREADABLE, "",
                             "the reply has a Content-Encoding nobody asked for");
    return true;
}

static void read_reply(struct link *link)
{
    struct slu_str input = slu_conn_input(link->conn);
    size_t before = input.n;
    struct slu_fault fault = {0};

    if (!link->call->result.first_byte_us)
        link->call->result.first_byte_us =
            slu_loop_now_us(link->side->upstream->loop) - link->asked_us;
    for (;;) {
        switch (slu_http1_read(&link->reader, &input, &fault)) {
        case SLU_HTTP1_MORE:
            slu_conn_consume(link->conn, before - input.n);
            return;
        case SLU_HTTP1_HEAD:
            if (judge_head(&link->reader, &fault))
                continue;
            fail(link, &fault);
            return;
        case SLU_HTTP1_DONE:
            slu_conn_consume(link->conn, before - input.n);
            succeed(link, input.n == 0);
            return;
        case SLU_HTTP1_FAILED:
            fail(link, &fault);
            return;
        }
    }
}

/* Bytes on an idle connection belong to nothing that was asked. */
static void on_readable(struct slu_conn *conn, void *user)
{
    struct link *link = user;

    (void)conn;
    if (link->state == LINK_IDLE)
        drop_link(link);
    else
        read_reply(link);
}

/* The peer ended its side in order: that may be the end of a reply. */
static void end_reply(struct link *link)
{
    struct slu_fault fault = {0};

    switch (slu_http1_eof(&link->reader, slu_conn_input(link->conn), &fault)) {
    case SLU_HTTP1_DONE:
        succeed(link, false);
        return;
    case SLU_HTTP1_MORE:
    case SLU_HTTP1_HEAD:
        slu_fault_set(&fault, SLU_FAULT_UPSTREAM_BROKEN, "",
                      "the connection was closed before an answer came");
        break_off(link, &fault);
        return;
    case SLU_HTTP1_FAILED:
        break_off(link, &fault);
        return;
    }
}

/* Connecting */

static void dial(struct link *link);

static void on_ready(struct slu_conn *conn, void *user)
{
    struct link *link = user;
    struct slu_call_result *result = &link->call->result;

    slu_timer_stop(&link->patience);
    result->connect_us = slu_conn_connected_us(conn) - link->dialled_us;
    if (link->side->upstream->conf.https)
        result->tls_us = slu_conn_ready_us(conn) - slu_conn_connected_us(conn);
    send_request(link);
}

static void on_closed(struct slu_conn *conn, const struct slu_fault *fault, void *user)
{
    static const struct slu_fault silent = {.kind = SLU_FAULT_UPSTREAM_UNREACHABLE,
                                            .words = "the connection was closed at once"};
    struct link *link = user;

    (void)conn;
    switch (link->state) {
    case LINK_NAME:
        break;
    case LINK_CONNECT:
        link->fault = fault ? *fault : silent;
        dial(link);
        break;
    case LINK_BUSY:
        if (fault)
            break_off(link, fault);
        else
            end_reply(link);
        break;
    case LINK_IDLE:
        drop_link(link);
        break;
    }
}

static const struct slu_conn_events events = {
    .ready = on_ready,
    .readable = on_readable,
    .closed = on_closed,
};

static struct slu_conn *connect_to(struct link *link, struct slu_address *address)
{
    const struct slu_upstream *upstream = link->side->upstream;
    struct slu_conn_peer peer = {.address = &address->as.any,
                                 .length = address->length,
                                 .tls = upstream->conf.https ? upstream->conf.tls : NULL,
                                 .host = upstream->conf.host,
                                 .session = link->side->session};

    if (address->as.any.sa_family == AF_INET6)
        address->as.v6.sin6_port = htons(upstream->conf.port);
    else
        address->as.v4.sin_port = htons(upstream->conf.port);
    link->fault = (struct slu_fault){0};
    return slu_conn_connect(upstream->loop, &peer, &events, link, &link->fault);
}

static void set_late(struct link *link)
{
    link->fault = (struct slu_fault){0};
    slu_fault_set(&link->fault, SLU_FAULT_UPSTREAM_UNREACHABLE, "",
                  link->state == LINK_NAME ? "the name was not resolved within %u ms"
                                           : "no connection within %u ms",
                  link->side->upstream->conf.connect_timeout_ms);
}

/* The next address, with an equal share of the time that is left, so that one which does not answer
 * leaves room for the others. */
static void dial(struct link *link)
{
    uint64_t now = slu_loop_now_us(link->side->upstream->loop);
    struct slu_conn *conn = NULL;

    slu_conn_free(slu_take(link->conn));
    while (link->next < link->addresses.count && now < link->connect_by_us && !conn) {
        uint64_t share =
            (link->connect_by_us - now) / (link->addresses.count - link->next) / 1000 + 1;

        if (!slu_timer_set(&link->patience, (uint32_t)share)) {
            slu_fault_memory(&link->fault);
            break;
        }
        conn = connect_to(link, &link->addresses.items[link->next++]);
    }
    if (!conn) {
        if (link->fault.kind == SLU_FAULT_NONE)
            set_late(link);
        slu_lookup_doubt(link->side->upstream->resolver, link->side->upstream->conf.host);
        fail(link, &link->fault);
        return;
    }
    slu_conn_limit_input(conn, INPUT_MOST);
    link->conn = conn;
    link->dialled_us = now;
}

static void on_patience(void *argument)
{
    struct link *link = argument;

    set_late(link);
    if (link->state == LINK_NAME)
        fail(link, &link->fault);
    else
        dial(link);
}

static void on_addresses(const struct slu_addresses *addresses, const struct slu_fault *fault,
                         void *user)
{
    struct link *link = user;

    link->call->result.name_us =
        slu_loop_now_us(link->side->upstream->loop) - link->call->started_us;
    if (fault) {
        fail(link, fault);
        return;
    }
    link->addresses = *addresses;
    link->next = 0;
    link->state = LINK_CONNECT;
    dial(link);
}

/* The transport */

static void reuse(struct link *link, struct slu_call *call)
{
    struct side *side = link->side;

    TAILQ_REMOVE(&side->idle, link, link);
    TAILQ_INSERT_TAIL(&side->busy, link, link);
    side->idle_count--;
    link->call = call;
    call->carrier = link;
    link->reused = true;
    send_request(link);
}

static void open_link(struct side *side, struct slu_call *call)
{
    uint32_t ms = side->upstream->conf.connect_timeout_ms;
    struct link *link = take_link(side);

    if (link) {
        link->state = LINK_NAME;
        link->reused = false;
        link->call = call;
        call->carrier = link;
        link->connect_by_us = slu_loop_now_us(side->upstream->loop) + (uint64_t)ms * 1000;
    }
    if (link && slu_timer_set(&link->patience, ms)) {
        slu_lookup_start(&link->lookup, side->upstream->resolver, side->upstream->conf.host,
                         on_addresses, link);
        return;
    }
    if (link)
        drop_link(link);
    slu_fault_memory(&call->result.fault);
    slu_call_finish(call);
}

static void own_start(struct slu_call *call)
{
    struct side *side = call->upstream->carriers;

    if (!call->fresh && !TAILQ_EMPTY(&side->idle)) {
        reuse(TAILQ_FIRST(&side->idle), call);
        return;
    }
    if (side->open >= side->upstream->conf.max_connections && !TAILQ_EMPTY(&side->idle))
        drop_link(TAILQ_LAST(&side->idle, links));
    open_link(side, call);
}

static void own_abort(struct slu_call *call)
{
    take_figures(call->carrier);
    drop_link(call->carrier);
}

static struct slu_upstream_counts own_counts(const struct slu_upstream *upstream)
{
    const struct side *side = upstream->carriers;

    return (struct slu_upstream_counts){.open = side->open, .idle = side->idle_count};
}

static bool own_open(struct slu_upstream *upstream, struct slu_fault *fault)
{
    const struct slu_upstream_conf *conf = &upstream->conf;
    const struct slu_tls_client_conf tls = {conf->ca, conf->certificate, conf->key};
    struct side *side;

    if (conf->proxy)
        return slu_fault_set(fault, SLU_FAULT_CONFIG, "proxy", "only transport \"curl\" uses one");
    if (conf->https && !conf->tls && !slu_tls_client_new(&tls, &upstream->conf.tls, fault))
        return false;
    side = slu_mem_new(sizeof(*side));
    if (!side)
        return slu_fault_memory(fault);
    side->upstream = upstream;
    TAILQ_INIT(&side->busy);
    TAILQ_INIT(&side->idle);
    TAILQ_INIT(&side->spare);
    slu_timer_init(&side->sweep, upstream->loop, on_sweep, side);
    slu_buf_init(&side->out, 0);
    upstream->carriers = side;
    return true;
}

static void own_close(struct slu_upstream *upstream)
{
    struct side *side = upstream->carriers;
    struct link *link;

    slu_must(TAILQ_EMPTY(&side->busy));
    while ((link = TAILQ_FIRST(&side->idle)))
        drop_link(link);
    while ((link = TAILQ_FIRST(&side->spare))) {
        TAILQ_REMOVE(&side->spare, link, link);
        free_link(link);
    }
    slu_timer_done(&side->sweep);
    SSL_SESSION_free(side->session);
    slu_buf_done(&side->out);
    slu_mem_free(side);
    upstream->carriers = NULL;
}

const struct slu_transport_table slu_transport_own = {
    .open = own_open,
    .close = own_close,
    .start = own_start,
    .abort = own_abort,
    .counts = own_counts,
};
