/*
 * What the files of the clouds' side share: the resolver's asking side, a call as both transports
 * see it, and the table of functions that a transport is. upstream.c owns calls, limits, the queue
 * and the deadline; a transport moves the bytes of one call at a time.
 */
#ifndef SLU_NET_UPSTREAM_INTERNAL_H
#define SLU_NET_UPSTREAM_INTERNAL_H

#include "net/upstream.h"

#include "base/buf.h"

#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct event;

/* Names: resolver.c */

enum { SLU_ADDRESSES_MOST = 8 };

struct slu_address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } as; /* port 0: whoever connects sets it */
};

struct slu_addresses {
    unsigned count;
    struct slu_address items[SLU_ADDRESSES_MOST]; /* the best first (RFC 6724) */
};

/* Exactly one of the two is given; both live only during the call. */
typedef void slu_lookup_fn(const struct slu_addresses *addresses, const struct slu_fault *fault,
                           void *user);

/* One question, in the asker's storage, zeroed to begin with. */
struct slu_lookup {
    TAILQ_ENTRY(slu_lookup) link;
    struct slu_resolver *resolver; /* NULL: not under way */
    struct slu_name *name;
    slu_lookup_fn *fn;
    void *user;
    bool ready;
};

/* `fn` is called once, from the loop, never before this returns. A host that is an address, and one
 * the cache knows, are answered in the same turn. Without a time limit: cancel it. */
void slu_lookup_start(struct slu_lookup *lookup, struct slu_resolver *resolver, const char *host,
                      slu_lookup_fn *fn, void *user);
/* `fn` will not be called; nothing happens when no question is under way. */
void slu_lookup_cancel(struct slu_lookup *lookup);
/* None of its addresses could be reached: it is asked for again before its time, but not more often
 * than every two seconds. */
void slu_lookup_doubt(struct slu_resolver *resolver, const char *host);
/* For tests: ask these servers ("127.0.0.1:5353"), and count the questions put to the network. */
SLU_NODISCARD bool slu_resolver_use_servers(struct slu_resolver *resolver, const char *servers);
unsigned slu_resolver_asked(const struct slu_resolver *resolver);

/* Calls: upstream.c */

enum slu_call_state {
    SLU_CALL_WAITING,  /* for a connection */
    SLU_CALL_UNDERWAY, /* the transport has it */
    SLU_CALL_FINISHED, /* the result waits for its delivery */
};

struct slu_call {
    TAILQ_ENTRY(slu_call) link; /* in the list of its state, or of the spare ones */
    struct slu_upstream *upstream;
    enum slu_call_state state;
    const struct slu_request *request;
    struct slu_arena *arena;
    slu_call_fn *done;
    void *user;
    struct slu_timer deadline;
    uint32_t timeout_ms;
    uint64_t began_us, started_us; /* asked for; given to the transport */
    struct slu_call_result result; /* `sent` is exact when the transport has let go of the call */
    void *carrier; /* the transport's: the connection or transfer that carries this call, or NULL */
    bool fresh;    /* own client: a kept connection failed this call; take a new one */
    bool repeated; /* own client: it was sent before, and reads are repeated once */
};
TAILQ_HEAD(slu_call_list, slu_call);

/* A transport. All but open() run on calls and never call `done`: they end a call with
 * slu_call_finish(), which may also happen inside start(). */
struct slu_transport_table {
    bool (*open)(struct slu_upstream *upstream, struct slu_fault *fault);
    void (*close)(struct slu_upstream *upstream); /* no call is under way any more */
    void (*start)(struct slu_call *call);
    void (*abort)(struct slu_call *call); /* drop its connection; the call goes elsewhere */
    struct slu_upstream_counts (*counts)(const struct slu_upstream *upstream);
};
extern const struct slu_transport_table slu_transport_own, slu_transport_curl;

struct slu_upstream {
    struct slu_loop *loop;
    struct slu_resolver *resolver;
    struct slu_upstream_conf conf; /* texts are owned copies, zeros replaced by defaults */
    char *where;                   /* "host:port" for fault words, brackets around an IPv6 host */
    const struct slu_transport_table *transport;
    void *carriers; /* the transport's own state */
    struct slu_call_list waiting, underway, finished, spare;
    uint32_t waiting_count, underway_count, finished_count, spare_count;
    struct event *turn; /* activated when something waits for delivery or may now start */
    bool delivering, doomed;
};

/* The transport is done with the call: with result.response when `sent` is ANSWERED, with a fault
 * otherwise. Delivery follows in the same turn of the loop. */
void slu_call_finish(struct slu_call *call);
/* Records the fault; `words` follow "host:port: " there. Then as slu_call_finish(). */
void slu_call_fail(struct slu_call *call, enum slu_fault_kind kind, const char *words, ...)
    SLU_PRINTF(3, 4);
/* What is left of the call's time, in ms, at least 1. */
uint32_t slu_call_left_ms(const struct slu_call *call);
/* GET and HEAD: asking twice does no harm (RFC 9110 §9.2.1). */
bool slu_call_is_read(const struct slu_call *call);
/* POST, PUT and PATCH always tell a length (RFC 9110 §8.6). */
bool slu_call_needs_length(const struct slu_call *call);

#endif
