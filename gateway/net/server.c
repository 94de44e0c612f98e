/*
 * The callers' side: the listener, the limits, and the list of talks from accept to drain. What
 * happens on one connection is talk.c's, their deadlines are deadlines.c's.
 */
#include "net/server_internal.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>

enum { BACKOFF_MS = 100 }; /* of the listener when accept() fails */

/* Talks in need of a turn */

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
    struct slu_server *server = argument;
    struct slu_talk *talk;

    (void)fd;
    (void)what;
    while ((talk = TAILQ_FIRST(&server->due))) {
        TAILQ_REMOVE(&server->due, talk, due);
        talk->is_due = false;
        slu_talk_advance(talk);
    }
}

/* The listener */

void slu_server_listen_again(struct slu_server *server)
{
    if (server->listening || server->backing_off || !server->listener ||
        server->count >= server->limits.connections)
        return;
    server->listening = evconnlistener_enable(server->listener) == 0;
}

static void stop_listening(struct slu_server *server)
{
    evconnlistener_disable(server->listener);
    server->listening = false;
}

static void on_backoff_over(void *argument)
{
    struct slu_server *server = argument;

    server->backing_off = false;
    slu_server_listen_again(server);
}

/* Without this the listener would spin at the limit of descriptors: the connection that cannot be
 * accepted keeps the socket readable. */
static void on_accept_error(struct evconnlistener *listener, void *argument)
{
    struct slu_server *server = argument;
    int error = errno;

    (void)listener;
    slu_log(SLU_LOG_DEBUG, "accept", "accept fails with error %d, resting for %d ms", error,
            (int)BACKOFF_MS);
    if (!slu_timer_set(&server->backoff, BACKOFF_MS))
        return;
    server->backing_off = true;
    stop_listening(server);
}

static bool name_address(const struct sockaddr *address, char name[SLU_SERVER_ADDRESS_MOST])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

        if (!inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)))
            return false;
        snprintf(name, SLU_SERVER_ADDRESS_MOST, "[%s]:%u", host, ntohs(v6->sin6_port));
        return true;
    }
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

        if (!inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)))
            return false;
        snprintf(name, SLU_SERVER_ADDRESS_MOST, "%s:%u", host, ntohs(v4->sin_port));
        return true;
    }
    return false;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *argument)
{
    struct slu_server *server = argument;
    struct slu_talk *talk = slu_talk_new(server, fd);

    (void)listener;
    (void)length;
    if (!talk)
        return;
    if (!name_address(address, talk->peer))
        talk->peer[0] = '\0';
    TAILQ_INSERT_TAIL(&server->all, talk, all);
    slu_talk_set_deadline(talk, SLU_DEADLINE_HEAD);
    if (++server->count >= server->limits.connections)
        stop_listening(server);
}

/* The server */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static uint32_t less(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void set_limits(struct slu_server *server, const struct slu_server_limits *given)
{
    struct slu_server_limits *limits = &server->limits;
    uint32_t shortest;

    *limits = *given;
    limits->head_bytes = or_default(given->head_bytes, 16384);
    limits->head_fields = or_default(given->head_fields, 100);
    limits->body_bytes = or_default(given->body_bytes, 65536);
    limits->connections = or_default(given->connections, 1024);
    limits->head_timeout_ms = or_default(given->head_timeout_ms, 10000);
    limits->body_timeout_ms = or_default(given->body_timeout_ms, 20000);
    limits->idle_timeout_ms = or_default(given->idle_timeout_ms, 75000);
    limits->write_timeout_ms = or_default(given->write_timeout_ms, 20000);
    if (limits->arena_bytes == 0)
        limits->arena_bytes = (size_t)1 << 20;
    shortest = less(less(limits->head_timeout_ms, limits->body_timeout_ms),
                    less(limits->idle_timeout_ms, limits->write_timeout_ms));
    server->tick_ms = shortest / 8 < 10 ? 10 : less(shortest / 8, 250);
}

/* libevent's own reader of addresses knows no port 0. */
static bool read_address(struct slu_str text, struct sockaddr_storage *ret_address, int *ret_length)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
    char host[INET6_ADDRSTRLEN] = "";
    uint64_t port;
    bool brackets = text.n && text.p[0] == '[';
    struct slu_str rest = {text.p + brackets, text.n - brackets};
    struct slu_str name = slu_str_cut(&rest, brackets ? ']' : ':');

    if (brackets && slu_str_cut(&rest, ':').n)
        return false;
    if (name.n >= sizeof(host) || !slu_str_to_u64(rest, &port) || port > UINT16_MAX)
        return false;
    memcpy(host, name.p, name.n);
    memset(ret_address, 0, sizeof(*ret_address));
    if (brackets) {
        *ret_length = sizeof(*v6);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
    }
    *ret_length = sizeof(*v4);
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

static bool open_listener(struct slu_server *server, const char *address, struct slu_fault *fault)
{
    unsigned flags =
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT;
    struct sockaddr_storage where;
    struct sockaddr *any = (struct sockaddr *)&where;
    int length;
    socklen_t bound = sizeof(where);

    if (!read_address(slu_str_of(address), &where, &length))
        return slu_fault_set(fault, SLU_FAULT_CONFIG, address,
                             "this is no address with a port, like 127.0.0.1:8080 or [::1]:8080");
    if (where.ss_family == AF_INET6)
        flags |= LEV_OPT_BIND_IPV6ONLY;
    server->listener = evconnlistener_new_bind(slu_loop_base(server->loop), on_accept, server,
                                               flags, -1, any, length);
    if (!server->listener ||
        getsockname(evconnlistener_get_fd(server->listener), any, &bound) != 0 ||
        !name_address(any, server->address)) {
        char words[128];

        return slu_fault_set(fault, SLU_FAULT_CONFIG, address, "this address cannot be used: %s",
                             strerror_r(errno, words, sizeof(words)));
    }
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    server->listening = true;
    return true;
}

bool slu_server_new(struct slu_loop *loop, const struct slu_server_conf *conf,
                    const struct slu_server_handler *handler, void *user,
                    struct slu_server **ret_server, struct slu_fault *fault)
{
    struct slu_server *server = slu_mem_new(sizeof(*server));

    if (!server)
        return slu_fault_memory(fault);
    server->loop = loop;
    server->handler = handler;
    server->user = user;
    server->tls = conf->tls ? slu_tls_ref(conf->tls) : NULL;
    set_limits(server, &conf->limits);
    TAILQ_INIT(&server->all);
    TAILQ_INIT(&server->due);
    for (int kind = 0; kind < SLU_DEADLINES; kind++)
        TAILQ_INIT(&server->timed[kind]);
    slu_buf_init(&server->head, 0);
    slu_timer_init(&server->tick, loop, slu_server_on_tick, server);
    slu_timer_init(&server->backoff, loop, on_backoff_over, server);
    server->turn = event_new(slu_loop_base(loop), -1, 0, on_turn, server);
    if (!server->turn)
        slu_fault_memory(fault);
    if (!server->turn || !open_listener(server, conf->address, fault)) {
        slu_server_free(server);
        return false;
    }
    *ret_server = server;
    return true;
}

static void close_listener(struct slu_server *server)
{
    if (server->listener)
        evconnlistener_free(slu_take(server->listener));
    server->listening = false;
}

void slu_server_drain(struct slu_server *server)
{
    struct slu_talk *talk, *next;

    server->draining = true;
    close_listener(server);
    for (talk = TAILQ_FIRST(&server->all); talk; talk = next) {
        next = TAILQ_NEXT(talk, all);
        if (talk->phase == SLU_TALK_IDLE && !talk->served) /* its first request may be on its way */
            slu_talk_set_deadline(talk, SLU_DEADLINE_LINGER);
        else if (talk->phase == SLU_TALK_IDLE)
            slu_talk_advance(talk);
    }
}

uint32_t slu_server_busy(const struct slu_server *server)
{
    return server->count;
}

void slu_server_free(struct slu_server *server)
{
    struct slu_talk *talk;

    if (!server)
        return;
    close_listener(server);
    while ((talk = TAILQ_FIRST(&server->all)))
        slu_talk_abandon(talk);
    slu_timer_done(&server->tick);
    slu_timer_done(&server->backoff);
    if (server->turn)
        event_free(server->turn);
    while (server->spare_count > 0)
        slu_arena_done(&server->spare[--server->spare_count]);
    slu_buf_done(&server->head);
    slu_tls_free(server->tls);
    slu_mem_free(server);
}

const char *slu_server_address(const struct slu_server *server)
{
    return server->address;
}
