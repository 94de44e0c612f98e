/*
 * What the files of the transport on libcurl share. curl.c has the multi handle, its sockets and
 * timer on the loop; curl_call.c carries one call as one transfer; curl_reply.c takes the reply as
 * curl hands it over.
 */
#ifndef SLU_NET_CURL_INTERNAL_H
#define SLU_NET_CURL_INTERNAL_H

#include "net/upstream_internal.h"

#include <curl/curl.h>

enum { SLU_CURL_SOCKET_BUCKETS = 64 };

struct slu_curl_watch; /* a socket of libcurl on the loop: curl.c */

enum slu_curl_head { SLU_CURL_HEAD_STATUS, SLU_CURL_HEAD_FIELDS, SLU_CURL_HEAD_DONE };

/* One easy handle. */
struct slu_curl_transfer {
    TAILQ_ENTRY(slu_curl_transfer) link;
    struct slu_curl_side *side;
    struct slu_call *call;
    CURL *easy;
    struct curl_slist *fields, *resolve;
    struct slu_lookup lookup;
    struct slu_timer patience; /* for the name */
    struct slu_addresses addresses;
    struct slu_arena_text body; /* of the reply, in the call's arena */
    uint64_t length;            /* that it announces; 0: it does not */
    enum slu_curl_head head;
    unsigned attempts, interim, lengths;
    bool encoded;   /* the reply has a Transfer-Encoding */
    bool added;     /* to the multi handle */
    bool connected; /* the socket curl uses for it carries requests */
    bool pushes;    /* this one brings the addresses into curl's cache */
    size_t written; /* of the request's body */
    uint64_t taken; /* bytes of the reply, head and body */
    char error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(slu_curl_transfers, slu_curl_transfer);

/* What an upstream has on this transport. */
struct slu_curl_side {
    struct slu_upstream *upstream;
    CURLM *multi;
    CURLSH *share; /* TLS sessions: an easy handle has its own otherwise */
    struct slu_timer timer;
    struct slu_curl_watch *sockets[SLU_CURL_SOCKET_BUCKETS];
    unsigned open, idle;
    char *name; /* the host that curl will look up: the proxy's or the upstream's; NULL: none */
    unsigned name_port;
    struct slu_addresses pushed; /* what curl's cache holds for it */
    struct slu_curl_transfers spare, busy;
    unsigned spare_count;
};

/* curl.c */

/* The authorities trusted where the configuration names no file. */
extern const char slu_curl_system_bundle[];
/* CURLOPT_OPENSOCKETFUNCTION with the transfer, CURLOPT_CLOSESOCKETFUNCTION with the side. */
curl_socket_t slu_curl_on_open(void *argument, curlsocktype purpose, struct curl_sockaddr *address);
int slu_curl_on_close(void *argument, curl_socket_t fd);

/* curl_call.c */

/* The transport's start() and abort(), see struct slu_transport_table. */
void slu_curl_start(struct slu_call *call);
void slu_curl_abort(struct slu_call *call);
/* NULL for an easy handle of curl's own. */
struct slu_curl_transfer *slu_curl_transfer_of(CURL *easy);
/* Ends the calls whose transfers curl is done with. */
void slu_curl_finish_transfers(struct slu_curl_side *side);
/* A spare one, in no list any more. */
void slu_curl_free_transfer(struct slu_curl_transfer *transfer);

/* curl_reply.c */

/* CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION with the transfer. What they refuse stands in
 * the call's fault before curl is told to stop. */
size_t slu_curl_on_header(char *text, size_t size, size_t count, void *argument);
size_t slu_curl_on_body(char *text, size_t size, size_t count, void *argument);

#endif
