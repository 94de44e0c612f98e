/*
 * The clouds' side, common to both transports: calls with their deadline, the queue before the
 * connections, limits and delivery. A transport (client.c, curl.c) carries one call at a time per
 * connection and tells how it ended.
 *
 * Every result is delivered from an event of its own, so `done` stands on no frame of ours but the
 * delivery's and may send, cancel and free whatever it likes.
 */
#include "net/upstream_internal.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>

enum { SPARE_MOST = 256 };

static const struct slu_transport_table *table_of(enum slu_transport transport)
{
    switch (transport) {
    case SLU_TRANSPORT_OWN:
        return &slu_transport_own;
    case SLU_TRANSPORT_CURL:
        return &slu_transport_curl;
    }
    return NULL;
}

bool slu_call_is_read(const struct slu_call *call)
{
    return slu_str_is(call->request->method, "GET") || slu_str_is(call->request->method, "HEAD");
}

bool slu_call_needs_length(const struct slu_call *call)
{
    const struct slu_request *request = call->request;

    return request->body.n > 0 || slu_str_is(request->method, "POST") ||
           slu_str_is(request->method, "PUT") || slu_str_is(request->method, "PATCH");
}

uint32_t slu_call_left_ms(const struct slu_call *call)
{
    uint64_t gone = (slu_loop_now_us(call->upstream->loop) - call->began_us) / 1000;

    return gone < call->timeout_ms ? call->timeout_ms - (uint32_t)gone : 1;
}

static void wake(struct slu_upstream *upstream)
{
    event_active(upstream->turn, EV_TIMEOUT, 0);
}

static struct slu_call_list *list_of(struct slu_call *call)
{
    switch (call->state) {
    case SLU_CALL_WAITING:
        return &call->upstream->waiting;
    case SLU_CALL_UNDERWAY:
        return &call->upstream->underway;
    case SLU_CALL_FINISHED:
        return &call->upstream->finished;
    }
    return NULL;
}

static void leave_list(struct slu_call *call)
{
    struct slu_upstream *upstream = call->upstream;

    TAILQ_REMOVE(list_of(call), call, link);
    if (call->state == SLU_CALL_WAITING)
        upstream->waiting_count--;
    if (call->state == SLU_CALL_UNDERWAY)
        upstream->underway_count--;
    if (call->state == SLU_CALL_FINISHED)
        upstream->finished_count--;
}

static void enter(struct slu_call *call, enum slu_call_state state)
{
    struct slu_upstream *upstream = call->upstream;

    call->state = state;
    TAILQ_INSERT_TAIL(list_of(call), call, link);
    if (state == SLU_CALL_WAITING)
        upstream->waiting_count++;
    if (state == SLU_CALL_UNDERWAY)
        upstream->underway_count++;
    if (state == SLU_CALL_FINISHED)
        upstream->finished_count++;
}

void slu_call_finish(struct slu_call *call)
{
    slu_must(call->state != SLU_CALL_FINISHED && !call->carrier);
    slu_timer_stop(&call->deadline);
    call->result.total_us = slu_loop_now_us(call->upstream->loop) - call->began_us;
    leave_list(call);
    enter(call, SLU_CALL_FINISHED);
    wake(call->upstream);
}

void slu_call_fail(struct slu_call *call, enum slu_fault_kind kind, const char *words, ...)
{
    char text[400];
    va_list args;

    va_start(args, words);
    vsnprintf(text, sizeof(text), words, args);
    va_end(args);
    slu_fault_set(&call->result.fault, kind, "", "%s: %s", call->upstream->where, text);
    slu_call_finish(call);
}

static void on_deadline(void *argument)
{
    struct slu_call *call = argument;
    bool waiting = call->state == SLU_CALL_WAITING;

    if (!waiting)
        call->upstream->transport->abort(call);
    slu_call_fail(call, SLU_FAULT_UPSTREAM_TIMEOUT,
                  waiting ? "no connection became free within %u ms"
                          : "no whole answer within %u ms",
                  call->timeout_ms);
}

static void start(struct slu_call *call)
{
    call->started_us = slu_loop_now_us(call->upstream->loop);
    call->result.wait_us = call->started_us - call->began_us;
    enter(call, SLU_CALL_UNDERWAY);
    call->upstream->transport->start(call);
}

static void start_waiting(struct slu_upstream *upstream)
{
    while (upstream->underway_count < upstream->conf.max_connections &&
           !TAILQ_EMPTY(&upstream->waiting)) {
        struct slu_call *call = TAILQ_FIRST(&upstream->waiting);

        leave_list(call);
        start(call);
    }
}

static void free_call(struct slu_call *call)
{
    slu_timer_done(&call->deadline);
    slu_mem_free(call);
}

/* Back among the spare ones; its timer keeps its event. */
static void recycle(struct slu_call *call)
{
    struct slu_upstream *upstream = call->upstream;

    if (upstream->spare_count >= SPARE_MOST) {
        free_call(call);
        return;
    }
    TAILQ_INSERT_HEAD(&upstream->spare, call, link);
    upstream->spare_count++;
}

static void destroy(struct slu_upstream *upstream);

/* Starts what waited and delivers what ended, both bounded by what there was at the beginning. */
static void on_turn(evutil_socket_t fd, short what, void *argument)
{
    struct slu_upstream *upstream = argument;
    uint32_t count = upstream->finished_count;
    struct slu_call *call;

    (void)fd;
    (void)what;
    start_waiting(upstream);
    upstream->delivering = true;
    while (count-- && !upstream->doomed && (call = TAILQ_FIRST(&upstream->finished))) {
        struct slu_call_result result = call->result;
        slu_call_fn *done = call->done;
        void *user = call->user;

        leave_list(call);
        recycle(call);
        done(&result, user);
    }
    upstream->delivering = false;
    if (upstream->doomed)
        destroy(upstream);
    else if (!TAILQ_EMPTY(&upstream->finished))
        wake(upstream);
}

static struct slu_call *take_call(struct slu_upstream *upstream)
{
    struct slu_call *call = TAILQ_FIRST(&upstream->spare);

    if (call) {
        TAILQ_REMOVE(&upstream->spare, call, link);
        upstream->spare_count--;
        return call;
    }
    call = slu_mem_new(sizeof(*call));
    if (call) {
        call->upstream = upstream;
        slu_timer_init(&call->deadline, upstream->loop, on_deadline, call);
    }
    return call;
}

struct slu_call *slu_upstream_send(struct slu_upstream *upstream, const struct slu_request *request,
                                   struct slu_arena *arena, uint32_t timeout_ms, slu_call_fn *done,
                                   void *user)
{
    struct slu_call *call = take_call(upstream);

    if (!call)
        return NULL;
    if (!slu_timer_set(&call->deadline, timeout_ms)) {
        recycle(call);
        return NULL;
    }
    call->request = request;
    call->arena = arena;
    call->done = done;
    call->user = user;
    call->timeout_ms = timeout_ms;
    call->began_us = slu_loop_now_us(upstream->loop);
    call->result = (struct slu_call_result){.sent = SLU_SENT_NOTHING};
    call->carrier = NULL;
    call->fresh = call->repeated = false;
    if (upstream->underway_count < upstream->conf.max_connections &&
        TAILQ_EMPTY(&upstream->waiting)) {
        start(call);
        return call;
    }
    enter(call, SLU_CALL_WAITING);
    if (upstream->waiting_count > upstream->conf.max_waiting)
        slu_call_fail(call, SLU_FAULT_UNAVAILABLE, "%u calls wait for a connection already",
                      upstream->conf.max_waiting);
    return call;
}

void slu_call_cancel(struct slu_call *call)
{
    struct slu_upstream *upstream = call->upstream;

    if (call->state == SLU_CALL_UNDERWAY)
        upstream->transport->abort(call);
    slu_timer_stop(&call->deadline);
    leave_list(call);
    recycle(call);
    if (!TAILQ_EMPTY(&upstream->waiting))
        wake(upstream);
}

struct slu_upstream_counts slu_upstream_counts(const struct slu_upstream *upstream)
{
    struct slu_upstream_counts counts = upstream->transport->counts(upstream);

    counts.in_flight = upstream->underway_count;
    counts.waiting = upstream->waiting_count;
    return counts;
}

static bool copy_text(const char **text)
{
    if (*text)
        *text = slu_mem_text(*text, strlen(*text));
    return *text != NULL;
}

/* All five are copied even when one fails, so that none of them is the caller's any more. */
static bool copy_texts(struct slu_upstream_conf *conf)
{
    const char **texts[] = {&conf->host, &conf->ca, &conf->certificate, &conf->key, &conf->proxy};
    bool good = true;

    for (size_t i = 0; i < SLU_COUNT(texts); i++) {
        bool wanted = *texts[i] != NULL;

        good = copy_text(texts[i]) == wanted && good;
    }
    return good;
}

static void set_defaults(struct slu_upstream_conf *conf)
{
    const struct {
        uint32_t *setting, otherwise;
    } defaults[] = {
        {&conf->connect_timeout_ms, 3000}, {&conf->max_connections, 256},
        {&conf->max_waiting, 1024},        {&conf->idle_ms, 30000},
        {&conf->reply_bytes, 1048576},     {&conf->age_ms, 300000},
    };

    for (size_t i = 0; i < SLU_COUNT(defaults); i++) {
        if (!*defaults[i].setting)
            *defaults[i].setting = defaults[i].otherwise;
    }
}

static char *join_where(const struct slu_upstream_conf *conf)
{
    size_t size = strlen(conf->host) + sizeof("[]:65535");
    char *where = slu_mem_new(size);

    if (where)
        snprintf(where, size, strchr(conf->host, ':') ? "[%s]:%u" : "%s:%u", conf->host,
                 conf->port);
    return where;
}

static bool build(struct slu_upstream *upstream, struct slu_fault *fault)
{
    if (!copy_texts(&upstream->conf))
        return slu_fault_memory(fault);
    set_defaults(&upstream->conf);
    upstream->where = join_where(&upstream->conf);
    upstream->turn = event_new(slu_loop_base(upstream->loop), -1, 0, on_turn, upstream);
    if (!upstream->where || !upstream->turn)
        return slu_fault_memory(fault);
    upstream->transport = table_of(upstream->conf.transport);
    slu_must(upstream->transport);
    return upstream->transport->open(upstream, fault);
}

bool slu_upstream_new(struct slu_loop *loop, struct slu_resolver *resolver,
                      const struct slu_upstream_conf *conf, struct slu_upstream **ret_upstream,
                      struct slu_fault *fault)
{
    struct slu_upstream *upstream = slu_mem_new(sizeof(*upstream));

    if (!upstream)
        return slu_fault_memory(fault);
    upstream->loop = loop;
    upstream->resolver = resolver;
    upstream->conf = *conf;
    if (conf->tls)
        upstream->conf.tls = slu_tls_ref(conf->tls);
    TAILQ_INIT(&upstream->waiting);
    TAILQ_INIT(&upstream->underway);
    TAILQ_INIT(&upstream->finished);
    TAILQ_INIT(&upstream->spare);
    if (!build(upstream, fault)) {
        slu_upstream_free(upstream);
        return false;
    }
    *ret_upstream = upstream;
    return true;
}

static void drop_calls(struct slu_upstream *upstream, struct slu_call_list *list)
{
    struct slu_call *call;

    while ((call = TAILQ_FIRST(list))) {
        if (list == &upstream->underway)
            upstream->transport->abort(call);
        TAILQ_REMOVE(list, call, link);
        free_call(call);
    }
}

static void destroy(struct slu_upstream *upstream)
{
    if (upstream->turn)
        event_free(upstream->turn);
    slu_tls_free(upstream->conf.tls);
    slu_mem_free((void *)upstream->conf.host);
    slu_mem_free((void *)upstream->conf.ca);
    slu_mem_free((void *)upstream->conf.certificate);
    slu_mem_free((void *)upstream->conf.key);
    slu_mem_free((void *)upstream->conf.proxy);
    slu_mem_free(upstream->where);
    slu_mem_free(upstream);
}

void slu_upstream_free(struct slu_upstream *upstream)
{
    if (!upstream)
        return;
    drop_calls(upstream, &upstream->waiting);
    drop_calls(upstream, &upstream->underway);
    drop_calls(upstream, &upstream->finished);
    drop_calls(upstream, &upstream->spare);
    if (upstream->carriers)
        upstream->transport->close(upstream);
    if (upstream->delivering)
        upstream->doomed = true; /* on_turn() still stands on it */
    else
        destroy(upstream);
}
