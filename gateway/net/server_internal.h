/*
 * What the files of the callers' side share. server.c listens, accepts and drains; talk.c carries
 * one connection from request to request through its phases; deadlines.c keeps the time of all of
 * them.
 */
#ifndef SLU_NET_SERVER_INTERNAL_H
#define SLU_NET_SERVER_INTERNAL_H

#include "net/server.h"

#include "codec/time.h"
#include "net/conn.h"
#include "net/http1.h"

#include <sys/queue.h>

struct event;
struct evconnlistener;

enum {
    SLU_SERVER_ADDRESS_MOST = 64, /* an address with its port, as text */
    SLU_SERVER_SPARE_MOST = 32
};

/* talk.c tells what each of them is. */
enum slu_talk_phase {
    SLU_TALK_IDLE,
    SLU_TALK_HEAD,
    SLU_TALK_JUDGE,
    SLU_TALK_BODY,
    SLU_TALK_WORK,
    SLU_TALK_WRITE,
    SLU_TALK_WRITTEN,
    SLU_TALK_DISCARD,
    SLU_TALK_LINGER,
    SLU_TALK_GONE
};

/* All of one kind last equally long. */
enum slu_deadline {
    SLU_DEADLINE_NONE,
    SLU_DEADLINE_IDLE,
    SLU_DEADLINE_HEAD,
    SLU_DEADLINE_BODY,
    SLU_DEADLINE_WRITE,
    SLU_DEADLINE_LINGER,
    SLU_DEADLINES
};

TAILQ_HEAD(slu_talks, slu_talk);

struct slu_talk {
    struct slu_server *server; /* NULL: it was freed; only the release is awaited */
    struct slu_conn *conn;     /* NULL: gone */
    TAILQ_ENTRY(slu_talk) all;
    TAILQ_ENTRY(slu_talk) due;
    TAILQ_ENTRY(slu_talk) timed;
    enum slu_talk_phase phase;
    enum slu_deadline deadline;
    uint64_t expires_us; /* of the deadline */
    bool running, is_due;
    bool wanted, answered, flushed, released; /* what the owner asked for; output is written */
    bool whole;                               /* the request was read to its end */
    bool invited;                             /* the body: 100 was sent, or needless */
    bool late;                                /* the head's or body's deadline has passed */
    bool close;                               /* after this answer */
    bool refused, rested, served, caller_left;
    uint32_t body_most;
    size_t dropped; /* bytes read only to be dropped */
    size_t unread;  /* bytes of the answer that had not arrived when last looked at */
    uint64_t began_us, body_began_us, bytes_out;
    void *user;
    struct slu_http1 reader;
    struct slu_arena arena;
    struct slu_fault fault;
    char peer[SLU_SERVER_ADDRESS_MOST];
};

struct slu_server {
    struct slu_loop *loop;
    const struct slu_server_handler *handler;
    void *user;
    struct slu_tls *tls;
    struct slu_server_limits limits;
    struct evconnlistener *listener;
    struct event *turn; /* activated when a talk is due */
    struct slu_timer tick, backoff;
    uint32_t tick_ms;
    bool ticking, draining, listening, backing_off;
    uint32_t count;
    struct slu_talks all, due, timed[SLU_DEADLINES];
    struct slu_buf head; /* where answers are put together */
    /* Request memory between two requests, the warmest last. */
    struct slu_arena spare[SLU_SERVER_SPARE_MOST];
    unsigned spare_count;
    int64_t date_s;
    char date[SLU_TIME_IMF];
    char address[SLU_SERVER_ADDRESS_MOST];
};

/* server.c: takes connections again when there is room for them. */
void slu_server_listen_again(struct slu_server *server);

/* talk.c: a talk on an accepted socket, not yet in the server's list. On no memory the
 * socket is closed, and this is NULL. */
struct slu_talk *slu_talk_new(struct slu_server *server, int fd);
/* Moves the talk as far as it goes, which may free it. Does nothing when this talk is being moved.
 */
void slu_talk_advance(struct slu_talk *talk);
/* The server goes away. Whoever still owes a release keeps the talk, which then has no server any
 * more. */
void slu_talk_abandon(struct slu_talk *talk);

/* deadlines.c: the talk's one deadline, in place of the one before, from now on. */
void slu_talk_set_deadline(struct slu_talk *talk, enum slu_deadline deadline);
/* The tick of the slu_server that `argument` is; sets itself again while there are talks. */
void slu_server_on_tick(void *argument);

#endif
