/*
 * The clouds' side: one origin as seen by one thread. Behind this interface are two transports, our
 * own HTTP/1.1 client on the loop and libcurl's multi socket interface (egress proxy, HTTP/2).
 * Connections are kept alive and bounded; nothing is ever sent twice without a word: what was sent
 * is told exactly.
 */
#ifndef SLU_NET_UPSTREAM_H
#define SLU_NET_UPSTREAM_H

#include "codec/message.h"
#include "net/loop.h"
#include "net/tls.h"

struct slu_resolver; /* asynchronous name look-up with a cache, one per loop */
SLU_NODISCARD struct slu_resolver *slu_resolver_new(struct slu_loop *loop);
void slu_resolver_free(struct slu_resolver *resolver);
SLU_AUTO_DEFINE(slu_resolver)

enum slu_transport { SLU_TRANSPORT_OWN, SLU_TRANSPORT_CURL };

struct slu_upstream_conf {
    enum slu_transport transport;
    const char *host; /* name or address, without brackets */
    uint16_t port;
    bool https;
    const char *ca;                /* PEM file, or NULL for the system store */
    const char *certificate, *key; /* client certificate, or NULL */
    const char *proxy;             /* "http://host:port", curl only, or NULL */
    struct slu_tls *tls;           /* for the own transport when https; counted by the upstream */
    uint32_t connect_timeout_ms;   /* name, TCP and TLS together; default 3000 */
    uint32_t max_connections;      /* per thread; default 256; beyond it calls wait in order */
    uint32_t max_waiting;          /* default 1024; beyond it a call fails at once (UNAVAILABLE) */
    uint32_t idle_ms;              /* a kept connection is dropped after this; default 30000 */
    uint32_t age_ms;               /* an older connection is not kept; default 300000 */
    uint32_t reply_bytes;          /* most bytes of head and body together; default 1 MiB */
};

struct slu_upstream;
SLU_NODISCARD bool slu_upstream_new(struct slu_loop *loop, struct slu_resolver *resolver,
                                    const struct slu_upstream_conf *conf,
                                    struct slu_upstream **ret_upstream, struct slu_fault *fault);
void slu_upstream_free(struct slu_upstream *upstream); /* calls under way are dropped silently */
SLU_AUTO_DEFINE(slu_upstream)

/* How far a call got: what decides whether a write may be repeated. */
enum slu_sent {
    SLU_SENT_NOTHING, /* not one byte of the request left this machine's hands */
    SLU_SENT_PERHAPS, /* some or all of it may have arrived */
    SLU_SENT_ANSWERED /* a whole final reply came back */
};

struct slu_call_result {
    enum slu_sent sent;
    struct slu_response
        response;           /* when ANSWERED; texts in the arena given to slu_upstream_send() */
    struct slu_fault fault; /* otherwise: UPSTREAM_UNREACHABLE, _TIMEOUT, _BROKEN, _UNREADABLE,
                               UNAVAILABLE, MEMORY */
    bool reused;            /* went over a kept connection */
    uint64_t wait_us, name_us, connect_us, tls_us, first_byte_us,
        total_us; /* spans; 0 = did not happen */
    uint64_t bytes_out, bytes_in;
};

struct slu_call;
typedef void slu_call_fn(const struct slu_call_result *result, void *user);

/*
 * Sends; `done` is called exactly once, later (never before this returns), unless cancelled. Host
 * and Content-Length are added here (Content-Length: 0 for POST, PUT, PATCH without body); nothing
 * else is. The request's texts must live until then. `timeout_ms` bounds everything from now. NULL
 * on no memory.
 */
SLU_NODISCARD struct slu_call *slu_upstream_send(struct slu_upstream *upstream,
                                                 const struct slu_request *request,
                                                 struct slu_arena *arena, uint32_t timeout_ms,
                                                 slu_call_fn *done, void *user);
/* `done` will not be called; the connection is closed unless the call had none yet. */
void slu_call_cancel(struct slu_call *call);

struct slu_upstream_counts {
    uint32_t open, idle, in_flight, waiting;
};
struct slu_upstream_counts slu_upstream_counts(const struct slu_upstream *upstream);

#endif
