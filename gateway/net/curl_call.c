/*
 * One call as a transfer of libcurl: its options, its header fields and addresses, what it came to,
 * and the words for its faults. The sockets it runs on are curl.c's, the reply is curl_reply.c's.
 */
#include "net/curl_internal.h"

#include <arpa/inet.h>

enum { SPARE_MOST = 64 };

/* What curl asks while it sends */

/* The request's body. There is no seek function: curl cannot send it a second time. */
static size_t on_read(char *to, size_t size, size_t count, void *argument)
{
    struct slu_curl_transfer *transfer = argument;
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
static bool nothing_left(const struct slu_curl_transfer *transfer)
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
    struct slu_curl_transfer *transfer = argument;

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

struct slu_curl_transfer *slu_curl_transfer_of(CURL *easy)
{
    char *private = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    return (struct slu_curl_transfer *)(void *)private;
}

static void set_callbacks(struct slu_curl_transfer *transfer)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, slu_curl_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, slu_curl_on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prerequest);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, slu_curl_on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, slu_curl_on_close);
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
    good &= curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)(conf->age_ms + 999) / 1000) ==
            CURLE_OK;
    return good;
}

/* Without CAPATH NULL Debian's build reads the whole CA directory for every connection. */
static bool set_tls(CURL *easy, const struct slu_upstream_conf *conf)
{
    const char *ca = conf->ca ? conf->ca : slu_curl_system_bundle;
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

void slu_curl_free_transfer(struct slu_curl_transfer *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    slu_timer_done(&transfer->patience);
    slu_mem_free(transfer);
}

static void on_patience(void *argument);

static struct slu_curl_transfer *new_transfer(struct slu_curl_side *side)
{
    const struct slu_upstream_conf *conf = &side->upstream->conf;
    struct slu_curl_transfer *transfer = slu_mem_new(sizeof(*transfer));

    if (!transfer)
        return NULL;
    transfer->side = side;
    slu_timer_init(&transfer->patience, side->upstream->loop, on_patience, transfer);
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !set_rules(transfer->easy, conf) || !set_tls(transfer->easy, conf) ||
        curl_easy_setopt(transfer->easy, CURLOPT_SHARE, side->share) != CURLE_OK) {
        slu_curl_free_transfer(transfer);
        return NULL;
    }
    set_callbacks(transfer);
    return transfer;
}

static struct slu_curl_transfer *take_transfer(struct slu_curl_side *side)
{
    struct slu_curl_transfer *transfer = TAILQ_FIRST(&side->spare);

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
static void release(struct slu_curl_transfer *transfer)
{
    struct slu_curl_side *side = transfer->side;

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
    transfer->head = SLU_CURL_HEAD_STATUS;
    transfer->written = 0;
    transfer->taken = 0;
    transfer->error[0] = '\0';
    transfer->body = (struct slu_arena_text){0};
    transfer->length = 0;
    TAILQ_REMOVE(&side->busy, transfer, link);
    if (side->spare_count >= SPARE_MOST) {
        slu_curl_free_transfer(transfer);
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

static void take_figures(struct slu_curl_transfer *transfer)
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

static void fail(struct slu_curl_transfer *transfer, CURLcode code)
{
    struct slu_call *call = transfer->call;
    bool unsent = nothing_left(transfer), late = code == CURLE_OPERATION_TIMEDOUT;
    char text[CURL_ERROR_SIZE];
    long number = 0;

    memcpy(text, transfer->error, sizeof(text));
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    call->result.sent = unsent ? SLU_SENT_NOTHING : SLU_SENT_PERHAPS;
    if (unsent && transfer->side->name)
        slu_lookup_doubt(call->upstream->resolver, transfer->side->name);
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

static void succeed(struct slu_curl_transfer *transfer)
{
    struct slu_call *call = transfer->call;
    struct slu_response *response = &call->result.response;

    response->body = (struct slu_str){transfer->body.p, transfer->body.n};
    if (call->arena->failed) {
        slu_fault_memory(&call->result.fault);
        *response = (struct slu_response){0};
    } else {
        call->result.sent = SLU_SENT_ANSWERED;
    }
    release(transfer);
    slu_call_finish(call);
}

void slu_curl_finish_transfers(struct slu_curl_side *side)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(side->multi, &left))) {
        CURLcode code = message->data.result;
        struct slu_curl_transfer *transfer = slu_curl_transfer_of(message->easy_handle);

        take_figures(transfer);
        if (code == CURLE_OK && transfer->head == SLU_CURL_HEAD_DONE)
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
static bool add_field(struct slu_curl_transfer *transfer, struct slu_str name, struct slu_str value)
{
    struct slu_str line = slu_arena_printf(transfer->call->arena, value.n ? "%.*s: %.*s" : "%.*s;",
                                           (int)name.n, name.p, (int)value.n, value.p);

    return add_text(&transfer->fields, line.p);
}

/* All fields said aloud, and curl's own ones switched off unless the request has them. */
static bool set_fields(struct slu_curl_transfer *transfer)
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

static bool set_method(struct slu_curl_transfer *transfer)
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

static bool set_url(struct slu_curl_transfer *transfer)
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
static bool set_limits(struct slu_curl_transfer *transfer)
{
    const struct slu_call *call = transfer->call;
    uint64_t gone_ms = (slu_loop_now_us(call->upstream->loop) - call->started_us) / 1000;
    uint32_t connect = call->upstream->conf.connect_timeout_ms;

    connect = gone_ms < connect ? connect - (uint32_t)gone_ms : 1;
    return curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long)slu_call_left_ms(call)) ==
               CURLE_OK;
}

static void launch(struct slu_curl_transfer *transfer)
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
static bool set_addresses(struct slu_curl_transfer *transfer)
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
    struct slu_curl_transfer *transfer = user;
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
    struct slu_curl_transfer *transfer = argument;
    struct slu_call *call = transfer->call;

    release(transfer);
    slu_call_fail(call, SLU_FAULT_UPSTREAM_UNREACHABLE, "the name was not resolved within %u ms",
                  call->upstream->conf.connect_timeout_ms);
}

void slu_curl_start(struct slu_call *call)
{
    struct slu_curl_side *side = call->upstream->carriers;
    struct slu_curl_transfer *transfer = take_transfer(side);

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

void slu_curl_abort(struct slu_call *call)
{
    struct slu_curl_transfer *transfer = call->carrier;

    if (nothing_left(transfer))
        call->result.sent = SLU_SENT_NOTHING;
    take_figures(transfer);
    release(transfer);
}
