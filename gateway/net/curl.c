/*
 * The transport on libcurl: its multi socket interface on the loop, for egress proxies and HTTP/2.
 * One multi handle per upstream; transfers (easy handles with everything that never changes set)
 * are kept and used again. Here are the handle, its sockets and its timer; one call's transfer is
 * curl_call.c's, the reply curl_reply.c's.
 *
 * What libcurl 7.88 does on its own and must not do here, each stopped where it would happen: it
 * repeats a request on a kept connection that died (on_prerequest, no seek function), takes proxies
 * from the environment, adds header fields that nobody signed, accepts replies of two lengths, and
 * starts a thread per look-up (names come from our resolver through CURLOPT_RESOLVE).
 */
#include "net/curl_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <unistd.h>

const char slu_curl_system_bundle[] = "/etc/ssl/certs/ca-certificates.crt";

/* A socket of libcurl on the loop. */
struct slu_curl_watch {
    struct slu_curl_watch *next;
    struct slu_curl_side *side;
    struct event *event;
    curl_socket_t fd;
    short what; /* what the event waits for */
    bool idle;  /* no transfer uses it */
};

/* Sockets and the timer */

static struct slu_curl_watch **find_watch(struct slu_curl_side *side, curl_socket_t fd)
{
    struct slu_curl_watch **at = &side->sockets[(unsigned)fd % SLU_CURL_SOCKET_BUCKETS];

    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    return at;
}

static struct slu_curl_watch *add_watch(struct slu_curl_side *side, curl_socket_t fd)
{
    struct slu_curl_watch **bucket = &side->sockets[(unsigned)fd % SLU_CURL_SOCKET_BUCKETS];
    struct slu_curl_watch *watch = slu_mem_new(sizeof(*watch));

    if (watch) {
        *watch = (struct slu_curl_watch){.next = *bucket, .side = side, .fd = fd};
        *bucket = watch;
        side->open++;
    }
    return watch;
}

static void set_idle(struct slu_curl_watch *watch, bool idle)
{
    if (watch->idle != idle)
        watch->side->idle += idle ? 1u : -1u;
    watch->idle = idle;
}

static void drop_watch(struct slu_curl_watch **at)
{
    struct slu_curl_watch *watch = *at;

    *at = watch->next;
    set_idle(watch, false);
    watch->side->open--;
    if (watch->event)
        event_free(watch->event);
    slu_mem_free(watch);
}

static void act(struct slu_curl_side *side, curl_socket_t fd, int mask)
{
    int running;

    curl_multi_socket_action(side->multi, fd, mask, &running);
    slu_curl_finish_transfers(side);
}

static void on_event(evutil_socket_t fd, short what, void *argument)
{
    struct slu_curl_watch *watch = argument;

    if (watch->idle) { /* the peer left: curl notices at the next use; until then be quiet */
        event_del(watch->event);
        watch->what = 0;
        return;
    }
    act(watch->side, fd,
        (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void watch_for(struct slu_curl_watch *watch, short what)
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

/*
 * After a transfer the event of a kept connection stays as it is. Only there: on_close() is told of
 * the end of connections that carried a request, while a socket that was still connecting is closed
 * without it (7.88), and an event left on it would shadow the next socket of that number.
 */
static void leave_socket(struct slu_curl_side *side, CURL *easy, curl_socket_t fd)
{
    struct slu_curl_watch **at = find_watch(side, fd);
    const struct slu_curl_transfer *transfer =
        slu_curl_transfer_of(easy); /* NULL for a handle of curl's own */

    if (*at && transfer && transfer->connected)
        set_idle(*at, true);
    else if (*at)
        drop_watch(at);
}

/* CURLMOPT_SOCKETFUNCTION. A socket that cannot be watched, for lack of memory, is no error here:
 * curl would give up all transfers for good, whereas so this one runs into its time limit. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *argument, void *of_socket)
{
    struct slu_curl_side *side = argument;
    struct slu_curl_watch *watch;

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

curl_socket_t slu_curl_on_open(void *argument, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct slu_curl_transfer *transfer = argument;

    (void)purpose;
    transfer->connected = false;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int slu_curl_on_close(void *argument, curl_socket_t fd)
{
    struct slu_curl_watch **at = find_watch(argument, fd);

    if (*at)
        drop_watch(at);
    return close(fd);
}

/* CURLMOPT_TIMERFUNCTION: sets the timer, even for zero, and no more. What is said of memory in
 * on_socket() holds here too. */
static int on_timer_wish(CURLM *multi, long ms, void *argument)
{
    struct slu_curl_side *side = argument;

    (void)multi;
    if (ms < 0 || !slu_timer_set(&side->timer, (uint32_t)ms))
        slu_timer_stop(&side->timer);
    return 0;
}

static void on_timer(void *argument)
{
    act(argument, CURL_SOCKET_TIMEOUT, 0);
}

static struct slu_upstream_counts curl_counts(const struct slu_upstream *upstream)
{
    const struct slu_curl_side *side = upstream->carriers;

    return (struct slu_upstream_counts){.open = side->open, .idle = side->idle};
}

/* Opening and closing */

static void start_library(void)
{
    slu_must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

/* The name that curl will need; none when it is an address. */
static bool take_name(struct slu_curl_side *side, const char *host, unsigned port)
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
static bool take_proxy_name(struct slu_curl_side *side, const char *proxy, struct slu_fault *fault)
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
    const char *files[] = {conf->https ? (conf->ca ? conf->ca : slu_curl_system_bundle) : NULL,
                           conf->certificate, conf->key};

    for (size_t i = 0; i < SLU_COUNT(files); i++) {
        if (files[i] && access(files[i], R_OK) != 0)
            return slu_fault_set(fault, SLU_FAULT_CONFIG, files[i], "%s", strerrordesc_np(errno));
    }
    return true;
}

static bool set_multi(struct slu_curl_side *side)
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
    struct slu_curl_side *side = slu_mem_new(sizeof(*side));

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
    struct slu_curl_side *side = upstream->carriers;
    struct slu_curl_transfer *transfer;

    slu_must(TAILQ_EMPTY(&side->busy));
    while ((transfer = TAILQ_FIRST(&side->spare))) {
        TAILQ_REMOVE(&side->spare, transfer, link);
        slu_curl_free_transfer(transfer);
    }
    if (side->multi)
        curl_multi_cleanup(side->multi);
    if (side->share)
        curl_share_cleanup(side->share);
    for (size_t i = 0; i < SLU_CURL_SOCKET_BUCKETS; i++) {
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
    .start = slu_curl_start,
    .abort = slu_curl_abort,
    .counts = curl_counts,
};
