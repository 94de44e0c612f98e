/*
 * Names to addresses: c-ares on the loop, with a cache. Questions for one name share one query,
 * queries are bounded, and an answer is always delivered from the loop. What a name resolved to is
 * kept for its TTL within 5 to 300 s, that it did not, or that nobody is there, for 2 s.
 *
 * c-ares reads /etc/resolv.conf and /etc/hosts, repeats a query by itself and sorts the addresses
 * (RFC 6724). It has no deadline for the whole: whoever asks brings one and cancels.
 */
#include "net/upstream_internal.h"

#include <ares.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <pthread.h>

enum {
    BUCKETS = 64,
    NAMES_MOST = 1024,
    QUERIES_MOST = 512, /* names of which nothing is heard must not keep others waiting */
    TRY_MS = 1000,      /* the first try; c-ares doubles it for each further one */
    TRIES = 3,
    TTL_LEAST_S = 5,
    TTL_MOST_S = 300,
    TTL_FAILED_S = 2,
};

TAILQ_HEAD(lookups, slu_lookup);

/* A name in the cache. */
struct slu_name {
    struct slu_name *next; /* in its bucket */
    TAILQ_ENTRY(slu_name) queued;
    struct slu_resolver *resolver;
    struct lookups waiting;
    unsigned ready; /* look-ups on the way to their asker */
    bool asking, in_queue;
    int status; /* of c-ares; ARES_SUCCESS: addresses hold */
    uint64_t told_us, good_until_us;
    struct slu_addresses addresses;
    char host[];
};

/* A socket of c-ares on the loop. */
struct watch {
    struct watch *next;
    struct slu_resolver *resolver;
    struct event *event;
    ares_socket_t fd;
};

struct slu_resolver {
    struct slu_loop *loop;
    ares_channel channel;
    struct watch *watches;
    struct slu_timer retry; /* c-ares' own timeouts */
    struct event *delivery; /* activated when `ready` is not empty */
    struct lookups ready;   /* with their answer, or without a name: no memory */
    unsigned ready_count, name_count, asking, asked;
    bool closing;
    TAILQ_HEAD(names, slu_name) queue; /* names whose query waits for its turn */
    struct slu_name *buckets[BUCKETS];
};

static bool library_good;

static void library_start(void)
{
    library_good = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
}

/* When c-ares wants to be called again. */
static void set_retry(struct slu_resolver *resolver)
{
    struct timeval room, *wait = ares_timeout(resolver->channel, NULL, &room);

    if (!wait)
        slu_timer_stop(&resolver->retry);
    else if (!slu_timer_set(&resolver->retry,
                            (uint32_t)(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1)))
        ares_cancel(resolver->channel);
}

static void on_retry(void *argument)
{
    struct slu_resolver *resolver = argument;

    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_retry(resolver);
}

static void on_socket(evutil_socket_t fd, short what, void *argument)
{
    struct slu_resolver *resolver = argument;

    ares_process_fd(resolver->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    set_retry(resolver);
}

static struct watch **find_watch(struct slu_resolver *resolver, ares_socket_t fd)
{
    struct watch **at = &resolver->watches;

    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    return at;
}

static void drop_watch(struct watch **at)
{
    struct watch *watch = *at;

    *at = watch->next;
    if (watch->event)
        event_free(watch->event);
    slu_mem_free(watch);
}

/* c-ares tells which sockets it wants watched. One that cannot be, for lack of memory, runs into
 * c-ares' timeout. */
static void on_socket_state(void *argument, ares_socket_t fd, int readable, int writable)
{
    struct slu_resolver *resolver = argument;
    struct watch **at = find_watch(resolver, fd), *watch;
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

    if (*at)
        drop_watch(at);
    if (!readable && !writable)
        return;
    watch = slu_mem_new(sizeof(*watch));
    if (!watch)
        return;
    *watch = (struct watch){.next = resolver->watches, .resolver = resolver, .fd = fd};
    resolver->watches = watch;
    watch->event = event_new(slu_loop_base(resolver->loop), fd, what, on_socket, resolver);
    if (watch->event)
        event_add(watch->event, NULL);
}

static void make_ready(struct slu_resolver *resolver, struct slu_lookup *lookup)
{
    lookup->ready = true;
    TAILQ_INSERT_TAIL(&resolver->ready, lookup, link);
    resolver->ready_count++;
    if (lookup->name)
        lookup->name->ready++;
    event_active(resolver->delivery, EV_TIMEOUT, 0);
}

static void take_ready(struct slu_lookup *lookup)
{
    struct slu_resolver *resolver = lookup->resolver;

    slu_must(resolver); /* it is ready once */
    TAILQ_REMOVE(&resolver->ready, lookup, link);
    resolver->ready_count--;
    if (lookup->name)
        lookup->name->ready--;
    lookup->resolver = NULL;
}

static void deliver(struct slu_lookup *lookup)
{
    struct slu_name *name = lookup->name;
    struct slu_fault fault = {0};

    take_ready(lookup);
    if (!name || name->status == ARES_ENOMEM) {
        slu_fault_memory(&fault);
        lookup->fn(NULL, &fault, lookup->user);
        return;
    }
    name->ready++; /* the asker reads in it */
    if (name->status != ARES_SUCCESS)
        slu_fault_set(&fault, SLU_FAULT_UPSTREAM_UNREACHABLE, "",
                      "the name %s cannot be resolved: %s", name->host,
                      ares_strerror(name->status));
    lookup->fn(fault.kind == SLU_FAULT_NONE ? &name->addresses : NULL,
               fault.kind == SLU_FAULT_NONE ? NULL : &fault, lookup->user);
    name->ready--;
}

static void ask_next(struct slu_resolver *resolver);

/* Only what was ready at the beginning: an asker who asks again at once must not hold the loop. */
static void on_delivery(evutil_socket_t fd, short what, void *argument)
{
    struct slu_resolver *resolver = argument;
    unsigned count = resolver->ready_count;

    (void)fd;
    (void)what;
    ask_next(resolver);
    while (count-- && !TAILQ_EMPTY(&resolver->ready))
        deliver(TAILQ_FIRST(&resolver->ready));
}

static void answer(struct slu_name *name)
{
    struct slu_lookup *lookup;

    while ((lookup = TAILQ_FIRST(&name->waiting))) {
        TAILQ_REMOVE(&name->waiting, lookup, link);
        make_ready(name->resolver, lookup);
    }
}

static void keep(struct slu_name *name, int status, int ttl_s)
{
    name->status = status;
    name->told_us = slu_loop_now_us(name->resolver->loop);
    name->good_until_us = name->told_us + (uint64_t)ttl_s * 1000000;
}

/* The addresses of an answer and how long they hold: the shortest TTL of any record in it. */
static void take_addresses(struct slu_name *name, const struct ares_addrinfo *found)
{
    int ttl = TTL_MOST_S;

    name->addresses.count = 0;
    for (const struct ares_addrinfo_cname *alias = found->cnames; alias; alias = alias->next)
        ttl = alias->ttl < ttl ? alias->ttl : ttl;
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        struct slu_address *to = &name->addresses.items[name->addresses.count];

        ttl = node->ai_ttl < ttl ? node->ai_ttl : ttl;
        if (name->addresses.count == SLU_ADDRESSES_MOST || node->ai_addrlen > sizeof(to->as))
            continue;
        to->length = node->ai_addrlen;
        memcpy(&to->as, node->ai_addr, node->ai_addrlen);
        name->addresses.count++;
    }
    if (name->addresses.count)
        keep(name, ARES_SUCCESS, ttl < TTL_LEAST_S ? TTL_LEAST_S : ttl);
    else
        keep(name, ARES_ENODATA, TTL_FAILED_S);
}

/* The next query is started by the delivery, since c-ares may call this before it returns from a
 * question and a chain of questions would then be a deep one. */
static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *found)
{
    struct slu_name *name = argument;

    (void)timeouts;
    name->asking = false;
    name->resolver->asking--;
    if (status == ARES_SUCCESS && found)
        take_addresses(name, found);
    else
        keep(name, status == ARES_SUCCESS ? ARES_ENODATA : status, TTL_FAILED_S);
    if (found)
        ares_freeaddrinfo(found);
    if (name->resolver->closing)
        return;
    answer(name);
    if (!TAILQ_EMPTY(&name->resolver->queue))
        event_active(name->resolver->delivery, EV_TIMEOUT, 0);
}

static void ask(struct slu_name *name)
{
    static const struct ares_addrinfo_hints stream = {.ai_family = AF_UNSPEC,
                                                      .ai_socktype = SOCK_STREAM};
    struct slu_resolver *resolver = name->resolver;

    name->asking = true;
    resolver->asking++;
    resolver->asked++;
    ares_getaddrinfo(resolver->channel, name->host, NULL, &stream, on_answer, name);
    set_retry(resolver);
}

static void ask_next(struct slu_resolver *resolver)
{
    while (resolver->asking < QUERIES_MOST && !TAILQ_EMPTY(&resolver->queue)) {
        struct slu_name *name = TAILQ_FIRST(&resolver->queue);

        TAILQ_REMOVE(&resolver->queue, name, queued);
        name->in_queue = false;
        ask(name);
    }
}

static struct slu_name **bucket_of(struct slu_resolver *resolver, const char *host)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (const char *at = host; *at; at++)
        hash = (hash ^ (unsigned char)slu_ascii_lower(*at)) * 16777619u;
    return &resolver->buckets[hash % BUCKETS];
}

static bool in_use(const struct slu_name *name)
{
    return name->asking || name->in_queue || name->ready || !TAILQ_EMPTY(&name->waiting);
}

/* Forgets the names nobody needs at the moment: all that ran out, or simply all. */
static void forget(struct slu_resolver *resolver, bool all)
{
    uint64_t now = slu_loop_now_us(resolver->loop);

    for (size_t i = 0; i < BUCKETS; i++) {
        struct slu_name **at = &resolver->buckets[i];

        while (*at) {
            struct slu_name *name = *at;

            if (in_use(name) || (!all && name->good_until_us > now)) {
                at = &name->next;
                continue;
            }
            *at = name->next;
            slu_mem_free(name);
            resolver->name_count--;
        }
    }
}

/* Addresses written as such are names that hold for ever. */
static void take_numeric(struct slu_name *name)
{
    struct slu_address *to = &name->addresses.items[0];

    if (inet_pton(AF_INET, name->host, &to->as.v4.sin_addr) == 1) {
        to->as.v4.sin_family = AF_INET;
        to->length = sizeof(to->as.v4);
    } else if (inet_pton(AF_INET6, name->host, &to->as.v6.sin6_addr) == 1) {
        to->as.v6.sin6_family = AF_INET6;
        to->length = sizeof(to->as.v6);
    } else {
        return;
    }
    name->addresses.count = 1;
    name->good_until_us = UINT64_MAX;
}

static struct slu_name *find_known(struct slu_resolver *resolver, const char *host)
{
    struct slu_name *name = *bucket_of(resolver, host);

    while (name && !slu_str_eq_nocase(slu_str_of(name->host), slu_str_of(host)))
        name = name->next;
    return name;
}

static struct slu_name *find_name(struct slu_resolver *resolver, const char *host)
{
    struct slu_name **bucket = bucket_of(resolver, host), *name = find_known(resolver, host);
    size_t length = strlen(host);

    if (name)
        return name;
    if (resolver->name_count >= NAMES_MOST)
        forget(resolver, false);
    if (resolver->name_count >= NAMES_MOST)
        forget(resolver, true);
    name = resolver->name_count < NAMES_MOST ? slu_mem_new(sizeof(*name) + length + 1) : NULL;
    if (!name)
        return NULL;
    name->resolver = resolver;
    memcpy(name->host, host, length + 1);
    TAILQ_INIT(&name->waiting);
    take_numeric(name);
    name->next = *bucket;
    *bucket = name;
    resolver->name_count++;
    return name;
}

void slu_lookup_start(struct slu_lookup *lookup, struct slu_resolver *resolver, const char *host,
                      slu_lookup_fn *fn, void *user)
{
    struct slu_name *name = find_name(resolver, host);

    slu_must(!lookup->resolver);
    *lookup = (struct slu_lookup){.resolver = resolver, .name = name, .fn = fn, .user = user};
    if (!name || (!name->asking && name->good_until_us > slu_loop_now_us(resolver->loop))) {
        make_ready(resolver, lookup);
        return;
    }
    TAILQ_INSERT_TAIL(&name->waiting, lookup, link);
    if (!name->asking && !name->in_queue) {
        name->in_queue = true;
        TAILQ_INSERT_TAIL(&resolver->queue, name, queued);
        ask_next(resolver);
    }
}

void slu_lookup_cancel(struct slu_lookup *lookup)
{
    if (!lookup->resolver)
        return;
    if (lookup->ready) {
        take_ready(lookup);
        return;
    }
    TAILQ_REMOVE(&lookup->name->waiting, lookup, link);
    lookup->resolver = NULL;
}

void slu_lookup_doubt(struct slu_resolver *resolver, const char *host)
{
    struct slu_name *name = find_known(resolver, host);
    uint64_t soon_us = name ? name->told_us + TTL_FAILED_S * 1000000 : 0;

    if (name && name->good_until_us != UINT64_MAX && name->good_until_us > soon_us)
        name->good_until_us = soon_us;
}

bool slu_resolver_use_servers(struct slu_resolver *resolver, const char *servers)
{
    return ares_set_servers_ports_csv(resolver->channel, servers) == ARES_SUCCESS;
}

unsigned slu_resolver_asked(const struct slu_resolver *resolver)
{
    return resolver->asked;
}

static bool open_channel(struct slu_resolver *resolver)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char files_then_servers[] = "fb";
    struct ares_options options = {.timeout = TRY_MS,
                                   .tries = TRIES,
                                   .lookups = files_then_servers,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = resolver};

    pthread_once(&once, library_start);
    return library_good &&
           ares_init_options(&resolver->channel, &options,
                             ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                 ARES_OPT_SOCK_STATE_CB) == ARES_SUCCESS;
}

struct slu_resolver *slu_resolver_new(struct slu_loop *loop)
{
    slu_auto(slu_resolver) *resolver = slu_mem_new(sizeof(*resolver));

    if (!resolver)
        return NULL;
    resolver->loop = loop;
    TAILQ_INIT(&resolver->ready);
    TAILQ_INIT(&resolver->queue);
    slu_timer_init(&resolver->retry, loop, on_retry, resolver);
    resolver->delivery = event_new(slu_loop_base(loop), -1, 0, on_delivery, resolver);
    if (!resolver->delivery || !open_channel(resolver))
        return NULL;
    return slu_take(resolver);
}

void slu_resolver_free(struct slu_resolver *resolver)
{
    if (!resolver)
        return;
    resolver->closing = true;
    if (resolver->channel)
        ares_destroy(resolver->channel);
    while (resolver->watches)
        drop_watch(&resolver->watches);
    slu_timer_done(&resolver->retry);
    if (resolver->delivery)
        event_free(resolver->delivery);
    for (size_t i = 0; i < BUCKETS; i++) {
        while (resolver->buckets[i]) {
            struct slu_name *name = resolver->buckets[i];

            resolver->buckets[i] = name->next;
            slu_mem_free(name);
        }
    }
    slu_mem_free(resolver);
}
