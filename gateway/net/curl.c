/*
 * The transport on libcurl: its multi socket interface on the loop, for egress proxies and HTTP/2.
 * One multi handle per upstream; transfers (easy handles with everything that never changes set)
 * are kept and used again.
 *
 * What libcurl 7.88 does on its own and must not do here, each stopped where it would happen: it
 * repeats a request on a kept connection that died (on_prerequest, no seek function), takes proxies
 * from the environment, adds header fields that nobody signed, accepts replies of two lengths, and
 * starts a thread per look-up (names come from our resolver through CURLOPT_RESOLVE).
 */
#include "net/upstream_internal.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum {
    SOCKET_BUCKETS = 64,
    SPARE_MOST = 64,
    BODY_KEPT = 65536, /* a spare transfer keeps a body buffer up to this size */
    FIELDS_MOST = 100,
    INTERIM_MOST = 16, /* 1xx replies before the final one */
};

static const char system_bundle[] = "/etc/ssl/certs/ca-certificates.crt";

/* A socket of libcurl on the loop. */
struct watch {
    struct watch *next;
    struct side *side;
    struct event *event;
    curl_socket_t fd;
    short what; /* what the event waits for */
    bool idle;  /* no transfer uses it */
};

enum head_state { HEAD_STATUS, HEAD_FIELDS, HEAD_DONE };

/* One easy handle. */
struct transfer {
    TAILQ_ENTRY(transfer) link;
    struct side *side;
    struct slu_call *call;
    CURL *easy;
    struct curl_slist *fields, *resolve;
    struct slu_lookup lookup;
    struct slu_timer patience; /* for the name */
    struct slu_addresses addresses;
    struct slu_buf body;
    enum head_state head;
    unsigned attempts, interim, lengths;
    bool encoded;   /* the reply has a Transfer-Encoding */
    bool added;     /* to the multi handle */
    bool connected; /* the socket curl uses for it carries requests */
    bool pushes;    /* this one brings the addresses into curl's cache */
    size_t written; /* of the request's body */
    uint64_t taken; /* bytes of the reply, head and body */
    char error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(transfers, transfer);

/* What an upstream has on this transport. */
struct side {
    struct slu_upstream *upstream;
    CURLM *multi;
    CURLSH *share; /* TLS sessions: an easy handle has its own otherwise */
    struct slu_timer timer;
    struct watch *sockets[SOCKET_BUCKETS];
    unsigned open, idle;
    char *name; /* the host that curl will look up: the proxy's or the upstream's; NULL: none */
    unsigned name_port;
    struct slu_addresses pushed; /* what curl's cache holds for it */
    struct transfers spare, busy;
    unsigned spare_count;
};

/* Sockets and the timer */

static struct watch **find_watch(struct side *side, curl_socket_t fd)
{
    struct watch **at = &side->sockets[(unsigned)fd % SOCKET_BUCKETS];

    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    return at;
}

static struct watch *add_watch(struct side *side, curl_socket_t fd)
{
    struct watch **bucket = &side->sockets[(unsigned)fd % SOCKET_BUCKETS];
    struct watch *watch = slu_mem_new(sizeof(*watch));

    if (watch) {
        *watch = (struct watch){.next = *bucket, .side = side, .fd = fd};
        *bucket = watch;
        side->open++;
    }
    return watch;
}

static void set_idle(struct watch *watch, bool idle)
{
    if (watch->idle != idle)
        watch->side->idle += idle ? 1u : -1u;
    watch->idle = idle;
}

static void drop_watch(struct watch **at)
{
    struct watch *watch = *at;

    *at = watch->next;
    set_idle(watch, false);
    watch->side->open--;
    if (watch->event)
        event_free(watch->event);
    slu_mem_free(watch);
}

static void finish_transfers(struct side *side);

static void act(struct side *side, curl_socket_t fd, int mask)
{
    int running;

    curl_multi_socket_action(side->multi, fd, mask, &running);
    finish_transfers(side);
}

static void on_event(evutil_socket_t fd, short what, void *argument)
{
    struct watch *watch = argument;

    if (watch->idle) { /* the peer left: curl notices at the next use; until then be quiet */
        event_del(watch->event);
        watch->what = 0;
        return;
    }
    act(watch->side, fd,
        (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void watch_for(struct watch *watch, short what)
{
    struct event_base *base = slu_loop_base(watch->side->upstream->loop);

    if (watch->event && watch->what == what)
        return;
    watch->what = 0;
    if (!watch->event)
        watch->event = event_new(base, watch->fd, what, on_event, watch);
    else if (event_del(watch->event) != 0 ||
             event_assign(watch->event, base, watch->fd, what, on_event, watch) != 0)
        return;
    if (watch->event && event_add(watch->event, NULL) == 0)
        watch->what = what;
}

static struct transfer *transfer_of(CURL *easy)
{
    char *private = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    return (struct transfer *)(void *)private;
}

/*
 * After a transfer the event of a kept connection stays as it is. Only there: on_close() is told of
 * the end of connections that carried a request, while a socket that was still connecting is closed
 * without it (7.88), and an event left on it would shadow the next socket of that number.
 */
static void leave_socket(struct side *side, CURL *easy, curl_socket_t fd)
{
    struct watch **at = find_watch(side, fd);
    const struct transfer *transfer = transfer_of(easy); /* NULL for a handle of curl's own */

    if (*at && transfer && transfer->connected)
        set_idle(*at, true);
    else if (*at)
        drop_watch(at);
}

/* CURLMOPT_SOCKETFUNCTION. A socket that cannot be watched, for lack of memory, is no error here:
 * curl would give up all transfers for good, whereas so this one runs into its time limit. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *argument, void *of_socket)
{
    struct side *side = argument;
    struct watch *watch;

    (void)of_socket;
    if (what == CURL_POLL_REMOVE) {
        leave_socket(side, easy, fd);
        return 0;
    }
    watch = *find_watch(side, fd);
    if (!watch)
        watch = add_watch(side, fd);
    if (watch) {
        set_idle(watch, false);
        watch_for(watch, (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
                                 (what & CURL_POLL_OUT ? EV_WRITE : 0)));
    }
    return 0;
}

static curl_socket_t on_open(void *argument, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = argument;

    (void)purpose;
    transfer->connected = false;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_close(void *argument, curl_socket_t fd)
{
    struct watch **at = find_watch(argument, fd);

    if (*at)
        drop_watch(at);
    return close(fd);
}

/* CURLMOPT_TIMERFUNCTION: sets the timer, even for zero, and no more. What is said of memory in
 * on_socket() holds here too. */
static int on_timer_wish(CURLM *multi, long ms, void *argument)
{
    struct side *side = argument;

    (void)multi;
    if (ms < 0 || !slu_timer_set(&side->timer, (uint32_t)ms))
        slu_timer_stop(&side->timer);
    return 0;
}

static void on_timer(void *argument)
{
    act(argument, CURL_SOCKET_TIMEOUT, 0);
}

/* The reply, as curl hands it over */

/* Records why the reply is refused; the callback then tells curl to stop. */
static bool refuse(struct transfer *transfer, const char *why)
{
    return slu_fault_set(&transfer->call->result.fault, SLU_FAULT_UPSTREAM_UNREADABLE, "", "%s: %s",
                         transfer->side->upstream->where, why);
}

static bool count_in(struct transfer *transfer, size_t count)
{
    transfer->taken += count;
    if (transfer->taken > transfer->side->upstream->conf.reply_bytes)
        return refuse(transfer, "the reply is larger than the limit");
    return true;
}

/* curl decides the framing; what could be framed in two ways is refused, as in our own client. */
static bool judge_field(struct transfer *transfer, struct slu_str name, struct slu_str value)
{
    uint64_t length;

    if (slu_str_eq_nocase(name, SLU_STR("content-length"))) {
        if (++transfer->lengths > 1 || !slu_str_to_u64(value, &length))
            return refuse(transfer, "the reply's Content-Length is not one number");
    } else if (slu_str_eq_nocase(name, SLU_STR("transfer-encoding"))) {
        if (transfer->encoded || !slu_str_eq_nocase(value, SLU_STR("chunked")))
            return refuse(transfer, "the reply's Transfer-Encoding is not chunked");
        transfer->encoded = true;
    } else if (slu_str_eq_nocase(name, SLU_STR("content-encoding"))) {
        if (!slu_str_eq_nocase(value, SLU_STR("identity")))
            return refuse(transfer, "the reply has a Content-Encoding nobody asked for");
    }
    return true;
}

static bool take_field(struct transfer *transfer, struct slu_str line)
{
    struct slu_call *call = transfer->call;
    struct slu_headers *headers = &call->result.response.headers;
    struct slu_str name = slu_str_cut(&line, ':'), value = slu_str_trim(line);

    if (!line.p || !slu_token_valid(name) || !slu_field_value_valid(value))
        return refuse(transfer, "a header field of the reply is not valid");
    if (headers->count >= FIELDS_MOST)
        return refuse(transfer, "the reply has too many header fields");
    if (!judge_field(transfer, name, value))
        return false;
    name = slu_arena_str(call->arena, name);
    value = slu_arena_str(call->arena, value);
    if (call->arena->failed || !slu_headers_add(call->arena, headers, name, value))
        return slu_fault_memory(&call->result.fault);
    return true;
}

static bool end_head(struct transfer *transfer)
{
    struct slu_response *response = &transfer->call->result.response;

    if (response->status >= 100 && response->status < 200) {
        if (response->status == 101 || ++transfer->interim > INTERIM_MOST)
            return refuse(transfer, "the reply has interim answers nobody asked for");
        response->headers = (struct slu_headers){0};
        transfer->lengths = 0;
        transfer->encoded = false;
        transfer->head = HEAD_STATUS;
        return true;
    }
    if (transfer->lengths && transfer->encoded)
        return refuse(transfer, "the reply has both Content-Length and Transfer-Encoding");
    transfer->head = HEAD_DONE;
    return true;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static bool take_status(struct transfer *transfer, struct slu_str line)
{
    struct slu_str version = slu_str_cut(&line, ' '), code = {line.p, line.n < 3 ? line.n : 3};
    uint64_t status;

    if (!slu_str_starts(version, SLU_STR("HTTP/")) || !slu_str_to_u64(code, &status) ||
        status < 100 || status > 599 || (line.n > 3 && line.p[3] != ' '))
        return refuse(transfer, "the reply's status line is not valid");
    transfer->call->result.response.status = (int)status;
    transfer->head = HEAD_FIELDS;
    return true;
}

static bool take_line(struct transfer *transfer, struct slu_str line)
{
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    switch (transfer->head) {
    case HEAD_STATUS:
        return take_status(transfer, line);
    case HEAD_FIELDS:
        return line.n ? take_field(transfer, line) : end_head(transfer);
    case HEAD_DONE: /* trailers */
        return true;
    }
    return false;
}

static size_t on_header(char *text, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    size_t n = size * count;

    if (!count_in(transfer, n) || !take_line(transfer, (struct slu_str){text, n}))
        return n ? 0 : 1;
    return n;
}

static size_t on_body(char *text, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    size_t n = size * count;

    if (!count_in(transfer, n))
        return n ? 0 : 1;
    slu_buf_add(&transfer->body, (struct slu_str){text, n});
    if (transfer->body.failed) {
        slu_fault_memory(&transfer->call->result.fault);
        return 0;
    }
    return n;
}

/* The request's body. There is no seek function: curl cannot send it a second time. */
static size_t on_read(char *to, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    struct slu_str body = transfer->call->request->body;
    size_t n = size * count, left = body.n - transfer->written;

    if (n > left)
        n = left;
    if (n)
        memcpy(to, body.p + transfer->written, n);
    transfer->written += n;
    return n;
}

/* True when surely nothing was handed over. Over TLS curl counts a record only when it is written
 * whole, so there any attempt counts. */
static bool nothing_left(const struct transfer *transfer)
{
    long bytes = 0;

    if (!transfer->attempts)
        return true;
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return !transfer->side->upstream->conf.https && bytes == 0;
}

/* Called before each attempt to send, so also before the one that curl makes unasked when a kept
 * connection died: reads may be repeated, writes only when nothing had left. */
static int on_prerequest(void *argument, char *to, char *from, int to_port, int from_port)
{
    struct transfer *transfer = argument;

    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    if (transfer->attempts && !slu_call_is_read(transfer->call) && !nothing_left(transfer)) {
        slu_fault_set(&transfer->call->result.fault, SLU_FAULT_UPSTREAM_BROKEN, "",
                      "%s: the connection broke after the request was sent",
                      transfer->side->upstream->where);
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->attempts++;
    transfer->connected = true;
    transfer->call->result.sent = SLU_SENT_PERHAPS;
    if (transfer->pushes)
        transfer->side->pushed = transfer->addresses;
    return CURL_PREREQFUNC_OK;
}

/* Transfers */

static void set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prerequest);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->side);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
}

/* False when one of the settings that safety rests on is not known to this libcurl. */
static bool set_rules(CURL *easy, const struct slu_upstream_conf *conf)
{
    bool good = true;

    good &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PROXY, conf->proxy ? conf->proxy : "") == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, conf->https ? 1L : 0L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, -1L) == CURLE_OK;
    good &=
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(conf->idle_ms + 999) / 1000) == CURLE_OK;
    return good;
}

/* Without CAPATH NULL Debian's build reads the whole CA directory for every connection. */
static bool set_tls(CURL *easy, const struct slu_upstream_conf *conf)
{
    const char *ca = conf->ca ? conf->ca : system_bundle;
    bool good = true;

    good &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_CAINFO, ca) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) == CURLE_OK;
    good &= curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, ca) == CURLE_OK;
    if (conf->certificate)
        good &= curl_easy_setopt(easy, CURLOPT_SSLCERT, conf->certificate) == CURLE_OK;
    if (conf->key)
        good &= curl_easy_setopt(easy, CURLOPT_SSLKEY, conf->key) == CURLE_OK;
    return good;
}

static void free_transfer(struct transfer *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    slu_timer_done(&transfer->patience);
    slu_buf_done(&transfer->body);
    slu_mem_free(transfer);
}

static void on_patience(void *argument);

static struct transfer *new_transfer(struct side *side)
{
    const struct slu_upstream_conf *conf = &side->upstream->conf;
    struct transfer *transfer = slu_mem_new(sizeof(*transfer));

    if (!transfer)
        return NULL;
    transfer->side = side;
    slu_timer_init(&transfer->patience, side->upstream->loop, on_patience, transfer);
    slu_buf_init(&transfer->body, conf->reply_bytes);
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !set_rules(transfer->easy, conf) || !set_tls(transfer->easy, conf) ||
        curl_easy_setopt(transfer->easy, CURLOPT_SHARE, side->share) != CURLE_OK) {
        free_transfer(transfer);
        return NULL;
    }
    set_callbacks(transfer);
    return transfer;
}

static struct transfer *take_transfer(struct side *side)
{
    struct transfer *transfer = TAILQ_FIRST(&side->spare);

    if (transfer) {
        TAILQ_REMOVE(&side->spare, transfer, link);
        side->spare_count--;
    } else {
        transfer = new_transfer(side);
    }
    if (transfer)
        TAILQ_INSERT_TAIL(&side->busy, transfer, link);
    return transfer;
}

/* Parts the call and its transfer, which may then be used again. */
static void release(struct transfer *transfer)
{
    struct side *side = transfer->side;

    if (transfer->added)
        curl_multi_remove_handle(side->multi, transfer->easy);
    slu_lookup_cancel(&transfer->lookup);
    slu_timer_stop(&transfer->patience);
    curl_easy_setopt(transfer->easy, CURLOPT_RESOLVE, NULL);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(transfer->fields);
    curl_slist_free_all(transfer->resolve);
    transfer->fields = transfer->resolve = NULL;
    transfer->call->carrier = NULL;
    transfer->call = NULL;
    transfer->added = transfer->connected = transfer->pushes = transfer->encoded = false;
    transfer->attempts = transfer->interim = transfer->lengths = 0;
    transfer->head = HEAD_STATUS;
    transfer->written = 0;
    transfer->taken = 0;
    transfer->error[0] = '\0';
    slu_buf_clear(&transfer->body);
    TAILQ_REMOVE(&side->busy, transfer, link);
    if (side->spare_count >= SPARE_MOST || transfer->body.size > BODY_KEPT) {
        free_transfer(transfer);
        return;
    }
    TAILQ_INSERT_HEAD(&side->spare, transfer, link);
    side->spare_count++;
}

/* How a transfer ended */

static uint64_t span(CURL *easy, CURLINFO from, CURLINFO to)
{
    curl_off_t began = 0, ended = 0;

    curl_easy_getinfo(easy, from, &began);
    curl_easy_getinfo(easy, to, &ended);
    return ended > began ? (uint64_t)(ended - began) : 0;
}

static void take_figures(struct transfer *transfer)
{
    struct slu_call_result *result = &transfer->call->result;
    CURL *easy = transfer->easy;
    long connects = 0, head = 0;
    curl_off_t body = 0;

    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &head);
    curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &body);
    result->reused = connects == 0 && transfer->attempts > 0;
    result->bytes_out = (uint64_t)head + (uint64_t)body;
    result->bytes_in = transfer->taken;
    if (connects) {
        result->connect_us = span(easy, CURLINFO_NAMELOOKUP_TIME_T, CURLINFO_CONNECT_TIME_T);
        if (transfer->side->upstream->conf.https)
            result->tls_us = span(easy, CURLINFO_CONNECT_TIME_T, CURLINFO_APPCONNECT_TIME_T);
    }
    result->first_byte_us = span(easy, CURLINFO_PRETRANSFER_TIME_T, CURLINFO_STARTTRANSFER_TIME_T);
}

static bool is_tls_fault(CURLcode code)
{
    switch ((int)code) { /* libcurl's list, not one of ours */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return true;
    default:
        return false;
    }
}

/* Words for an attempt of which nothing left. curl's own text (a certificate's fault, a proxy's
 * refusal) is of before the request and holds nothing of it. */
static void fail_unsent(struct slu_call *call, CURLcode code, int number, const char *text,
                        bool late)
{
    if (late)
        slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREACHABLE, "no connection within %u ms",
                      call->upstream->conf.connect_timeout_ms);
    else if (is_tls_fault(code))
        slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREACHABLE, "TLS: %s",
                      text[0] ? text : curl_easy_strerror(code));
    else
        slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREACHABLE, "%s",
                      number    ? strerrordesc_np(number)
                      : text[0] ? text
                                : curl_easy_strerror(code));
}

/* Words for one that had begun. */
static void fail_sent(struct slu_call *call, CURLcode code)
{
    switch ((int)code) { /* libcurl's list, not one of ours */
    case CURLE_OPERATION_TIMEDOUT:
        slu_call_fail(call, SLU_FAULT_UPSTREAM_TIMEOUT, "no whole answer within %u ms",
                      call->timeout_ms);
        break;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_SSL_CONNECT_ERROR:
        slu_call_fail(call, SLU_FAULT_UPSTREAM_BROKEN, "the connection broke: %s",
                      curl_easy_strerror(code));
        break;
    case CURLE_OUT_OF_MEMORY: /* also what libcurl 7.88 says to a header line over its own limit */
        slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREADABLE,
                      "the reply cannot be read: a header line is too long, or memory is spent");
        break;
    default:
        slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREADABLE, "the reply cannot be read: %s",
                      curl_easy_strerror(code));
    }
}

static void fail(struct transfer *transfer, CURLcode code)
{
    struct slu_call *call = transfer->call;
    bool unsent = nothing_left(transfer), late = code == CURLE_OPERATION_TIMEDOUT;
    char text[CURL_ERROR_SIZE];
    long number = 0;

    memcpy(text, transfer->error, sizeof(text));
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    call->result.sent = unsent ? SLU_SENT_NOTHING : SLU_SENT_PERHAPS;
    release(transfer);
    if (call->result.fault.kind != SLU_FAULT_NONE) {
        slu_call_finish(call);
    } else if (code == CURLE_OUT_OF_MEMORY && unsent) {
        slu_fault_memory(&call->result.fault);
        slu_call_finish(call);
    } else if (unsent && !(late && slu_call_left_ms(call) <= 1)) {
        fail_unsent(call, code, (int)number, text, late);
    } else {
        fail_sent(call, code);
    }
}

static void succeed(struct transfer *transfer)
{
    struct slu_call *call = transfer->call;
    struct slu_response *response = &call->result.response;

    if (transfer->body.n)
        response->body = slu_arena_str(call->arena, slu_buf_str(&transfer->body));
    if (call->arena->failed) {
        slu_fault_memory(&call->result.fault);
        *response = (struct slu_response){0};
    } else {
        call->result.sent = SLU_SENT_ANSWERED;
    }
    release(transfer);
    slu_call_finish(call);
}

static void finish_transfers(struct side *side)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(side->multi, &left))) {
        CURLcode code = message->data.result;
        struct transfer *transfer = transfer_of(message->easy_handle);

        take_figures(transfer);
        if (code == CURLE_OK && transfer->head == HEAD_DONE)
            succeed(transfer);
        else
            fail(transfer, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code);
    }
}

/* Beginning a transfer */

static bool add_text(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = text ? curl_slist_append(*list, text) : NULL;

    if (longer)
        *list = longer;
    return longer != NULL;
}

/* "Name: value", or "Name;" for an empty value, which is how curl wants it said. */
static bool add_field(struct transfer *transfer, struct slu_str name, struct slu_str value)
{
    struct slu_str line = slu_arena_printf(transfer->call->arena, value.n ? "%.*s: %.*s" : "%.*s;",
                                           (int)name.n, name.p, (int)value.n, value.p);

    return add_text(&transfer->fields, line.p);
}

/* All fields said aloud, and curl's own ones switched off unless the request has them. */
static bool set_fields(struct transfer *transfer)
{
    static const struct {
        struct slu_str name;
        const char *off;
    } own[] = {
        {SLU_STR_INIT("accept"), "Accept:"},
        {SLU_STR_INIT("content-type"), "Content-Type:"},
        {SLU_STR_INIT("user-agent"), "User-Agent:"},
        {SLU_STR_INIT("expect"), "Expect:"},
    };
    const struct slu_request *request = transfer->call->request;
    bool good = add_field(transfer, SLU_STR("Host"), request->host);

    for (size_t i = 0; i < request->headers.count && good; i++)
        good = add_field(transfer, request->headers.items[i].name, request->headers.items[i].value);
    for (size_t i = 0; i < SLU_COUNT(own) && good; i++) {
        if (!slu_headers_find(&request->headers, own[i].name))
            good = add_text(&transfer->fields, own[i].off);
    }
    return good &&
           curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->fields) == CURLE_OK;
}

static bool set_method(struct transfer *transfer)
{
    const struct slu_request *request = transfer->call->request;
    struct slu_str method = slu_arena_str(transfer->call->arena, request->method);
    bool head = slu_str_is(method, "HEAD") && !request->body.n;
    CURL *easy = transfer->easy;
    bool good = method.p && curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;

    if (head)
        good = good && curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (slu_call_needs_length(transfer->call))
        good = good && curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n) ==
                   CURLE_OK;
    return good &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, head ? NULL : method.p) == CURLE_OK;
}

static bool set_url(struct transfer *transfer)
{
    const struct slu_request *request = transfer->call->request;
    const struct slu_upstream *upstream = transfer->side->upstream;
    struct slu_str url = slu_arena_printf(
        transfer->call->arena, "%s://%s%.*s%s%.*s", upstream->conf.https ? "https" : "http",
        upstream->where, (int)request->path.n, request->path.p, request->query.n ? "?" : "",
        (int)request->query.n, request->query.p ? request->query.p : "");

    return url.p && curl_easy_setopt(transfer->easy, CURLOPT_URL, url.p) == CURLE_OK;
}

/* Both limits always: an endless row of 1xx ends by them alone. */
static bool set_limits(struct transfer *transfer)
{
    const struct slu_call *call = transfer->call;
    uint64_t gone_ms = (slu_loop_now_us(call->upstream->loop) - call->started_us) / 1000;
    uint32_t connect = call->upstream->conf.connect_timeout_ms;

    connect = gone_ms < connect ? connect - (uint32_t)gone_ms : 1;
    return curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long)slu_call_left_ms(call)) ==
               CURLE_OK;
}

static void launch(struct transfer *transfer)
{
    struct slu_call *call = transfer->call;

    if (set_method(transfer) && set_url(transfer) && set_fields(transfer) && set_limits(transfer) &&
        curl_multi_add_handle(transfer->side->multi, transfer->easy) == CURLM_OK) {
        transfer->added = true;
        return;
    }
    release(transfer);
    slu_fault_memory(&call->result.fault);
    slu_call_finish(call);
}

/* "host:port:192.0.2.1,[2001:db8::1]". */
static bool set_addresses(struct transfer *transfer)
{
    struct slu_buf text;
    bool good;

    slu_buf_init(&text, 0);
    slu_buf_printf(&text, "%s:%u:", transfer->side->name, transfer->side->name_port);
    for (unsigned i = 0; i < transfer->addresses.count; i++) {
        const struct slu_address *address = &transfer->addresses.items[i];
        bool v6 = address->as.any.sa_family == AF_INET6;
        char words[INET6_ADDRSTRLEN] = "";

        inet_ntop(address->as.any.sa_family,
                  v6 ? (const void *)&address->as.v6.sin6_addr : &address->as.v4.sin_addr, words,
                  sizeof(words));
        slu_buf_printf(&text, v6 ? "%s[%s]" : "%s%s", i ? "," : "", words);
    }
    slu_buf_byte(&text, '\0');
    good = !text.failed && add_text(&transfer->resolve, text.p) &&
           curl_easy_setopt(transfer->easy, CURLOPT_RESOLVE, transfer->resolve) == CURLE_OK;
    slu_buf_done(&text);
    transfer->pushes = true;
    return good;
}

static bool same_addresses(const struct slu_addresses *a, const struct slu_addresses *b)
{
    return a->count == b->count && memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0;
}

static void on_addresses(const struct slu_addresses *addresses, const struct slu_fault *fault,
                         void *user)
{
    struct transfer *transfer = user;
    struct slu_call *call = transfer->call;

    slu_timer_stop(&transfer->patience);
    call->result.name_us = slu_loop_now_us(call->upstream->loop) - call->started_us;
    if (addresses)
        transfer->addresses = *addresses;
    if (addresses &&
        (same_addresses(addresses, &transfer->side->pushed) || set_addresses(transfer))) {
        launch(transfer);
        return;
    }
    if (fault)
        call->result.fault = *fault;
    else
        slu_fault_memory(&call->result.fault);
    release(transfer);
    slu_call_finish(call);
}

static void on_patience(void *argument)
{
    struct transfer *transfer = argument;
    struct slu_call *call = transfer->call;

    release(transfer);
    slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREACHABLE, "the name was not resolved within %u ms",
                  call->upstream->conf.connect_timeout_ms);
}

static void curl_start(struct slu_call *call)
{
    struct side *side = call->upstream->carriers;
    struct transfer *transfer = take_transfer(side);

    if (transfer) {
        transfer->call = call;
        call->carrier = transfer;
    }
    if (transfer && !side->name) {
        launch(transfer);
    } else if (transfer &&
               slu_timer_set(&transfer->patience, call->upstream->conf.connect_timeout_ms)) {
        slu_lookup_start(&transfer->lookup, call->upstream->resolver, side->name, on_addresses,
                         transfer);
    } else {
        if (transfer)
            release(transfer);
        slu_fault_memory(&call->result.fault);
        slu_call_finish(call);
    }
}

static void curl_abort(struct slu_call *call)
{
    struct transfer *transfer = call->carrier;

    if (nothing_left(transfer))
        call->result.sent = SLU_SENT_NOTHING;
    take_figures(transfer);
    release(transfer);
}

static struct slu_upstream_counts curl_counts(const struct slu_upstream *upstream)
{
    const struct side *side = upstream->carriers;

    return (struct slu_upstream_counts){.open = side->open, .idle = side->idle};
}

/* Opening and closing */

static void start_library(void)
{
    slu_must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

/* The name that curl will need; none when it is an address. */
static bool take_name(struct side *side, const char *host, unsigned port)
{
    struct in6_addr ignored;
    size_t length = strlen(host);

    if (host[0] == '[' || inet_pton(AF_INET, host, &ignored) == 1 ||
        inet_pton(AF_INET6, host, &ignored) == 1)
        return true;
    side->name = slu_mem_text(host, length);
    side->name_port = port;
    return side->name != NULL;
}

/* The proxy's text may hold a password and is never quoted. */
static bool take_proxy_name(struct side *side, const char *proxy, struct slu_fault *fault)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    uint64_t number = 0;
    bool good;

    good = url && curl_url_set(url, CURLUPART_URL, proxy, 0) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
           curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
           (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
           slu_str_to_u64(slu_str_of(port), &number);
    if (!good)
        slu_fault_set(fault, SLU_FAULT_CONFIG, "proxy", "not of the form http://host:port");
    else if (!take_name(side, host, (unsigned)number))
        good = slu_fault_memory(fault);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return good;
}

/* curl reads the files when it connects; that they can be read is better known at once. */
static bool check_files(const struct slu_upstream_conf *conf, struct slu_fault *fault)
{
    const char *files[] = {conf->https ? (conf->ca ? conf->ca : system_bundle) : NULL,
                           conf->certificate, conf->key};

    for (size_t i = 0; i < SLU_COUNT(files); i++) {
        if (files[i] && access(files[i], R_OK) != 0)
            return slu_fault_set(fault, SLU_FAULT_CONFIG, files[i], "%s", strerrordesc_np(errno));
    }
    return true;
}

static bool set_multi(struct side *side)
{
    long most = (long)side->upstream->conf.max_connections;
    CURLM *multi = side->multi;

    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, side) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wish) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, side) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, most) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, most) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, most) == CURLM_OK &&
           curl_share_setopt(side->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ==
               CURLSHE_OK;
}

static bool curl_open(struct slu_upstream *upstream, struct slu_fault *fault)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct slu_upstream_conf *conf = &upstream->conf;
    struct side *side = slu_mem_new(sizeof(*side));

    if (!side)
        return slu_fault_memory(fault);
    upstream->carriers = side; /* closed with the upstream, however far this gets */
    side->upstream = upstream;
    TAILQ_INIT(&side->spare);
    TAILQ_INIT(&side->busy);
    slu_timer_init(&side->timer, upstream->loop, on_timer, side);
    pthread_once(&once, start_library);
    if (!check_files(conf, fault))
        return false;
    if (conf->proxy ? !take_proxy_name(side, conf->proxy, fault)
                    : !take_name(side, conf->host, conf->port))
        return slu_fault_memory(fault);
    side->multi = curl_multi_init();
    side->share = curl_share_init();
    if (!side->multi || !side->share || !set_multi(side))
        return slu_fault_memory(fault);
    return true;
}

static void curl_close(struct slu_upstream *upstream)
{
    struct side *side = upstream->carriers;
    struct transfer *transfer;

    slu_must(TAILQ_EMPTY(&side->busy));
    while ((transfer = TAILQ_FIRST(&side->spare))) {
        TAILQ_REMOVE(&side->spare, transfer, link);
        free_transfer(transfer);
    }
    if (side->multi)
        curl_multi_cleanup(side->multi);
    if (side->share)
        curl_share_cleanup(side->share);
    for (size_t i = 0; i < SOCKET_BUCKETS; i++) {
        while (side->sockets[i])
            drop_watch(&side->sockets[i]);
    }
    slu_timer_done(&side->timer);
    slu_mem_free(side->name);
    slu_mem_free(side);
    upstream->carriers = NULL;
}

const struct slu_transport_table slu_transport_curl = {
    .open = curl_open,
    .close = curl_close,
    .start = curl_start,
    .abort = curl_abort,
    .counts = curl_counts,
};
