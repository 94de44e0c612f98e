/*
 * The deadlines of talks: lists in order of their time, looked at by one coarse timer, so that a
 * request sets none of libevent's timers. Here too is what else time does to a talk: a body that
 * comes too slowly ends, an idle connection gives its memory back. What a deadline means to the
 * request is talk.c's.
 */
#include "net/server_internal.h"

enum {
    BODY_RATE = 256,     /* bytes a second, after a quarter of the body's time */
    LINGER_MS = 1000,    /* an unread body, or a last answer */
    REST_AFTER_MS = 1000 /* an idle connection gives its memory back */
};

/* Setting one */

static uint32_t deadline_ms(const struct slu_server *server, enum slu_deadline deadline)
{
    switch (deadline) {
    case SLU_DEADLINE_NONE:
    case SLU_DEADLINES:
        break;
    case SLU_DEADLINE_IDLE:
        return server->limits.idle_timeout_ms;
    case SLU_DEADLINE_HEAD:
        return server->limits.head_timeout_ms;
    case SLU_DEADLINE_BODY:
        return server->limits.body_timeout_ms;
    case SLU_DEADLINE_WRITE:
        return server->limits.write_timeout_ms;
    case SLU_DEADLINE_LINGER:
        return LINGER_MS;
    }
    return 0;
}

/* Of one kind all last equally long, so each list is in order of its ends. */
void slu_talk_set_deadline(struct slu_talk *talk, enum slu_deadline deadline)
{
    struct slu_server *server = talk->server;

    if (talk->deadline != SLU_DEADLINE_NONE)
        TAILQ_REMOVE(&server->timed[talk->deadline], talk, timed);
    talk->deadline = deadline;
    if (deadline == SLU_DEADLINE_NONE)
        return;
    talk->expires_us =
        slu_loop_now_us(server->loop) + (uint64_t)deadline_ms(server, deadline) * 1000;
    TAILQ_INSERT_TAIL(&server->timed[deadline], talk, timed);
    if (!server->ticking)
        server->ticking = slu_timer_set(&server->tick, server->tick_ms);
}

/* The tick */

/* A caller that reads slowly, but reads, has not let the write's deadline pass. */
static bool still_reads(struct slu_talk *talk)
{
    size_t before = talk->unread;

    talk->unread = slu_conn_unacknowledged(talk->conn);
    return talk->unread < before;
}

static void expire(struct slu_talk *talk)
{
    enum slu_deadline which = talk->deadline;

    slu_talk_set_deadline(talk, SLU_DEADLINE_NONE);
    if (which == SLU_DEADLINE_WRITE && still_reads(talk)) {
        slu_talk_set_deadline(talk, SLU_DEADLINE_WRITE);
        return;
    }
    if (which == SLU_DEADLINE_BODY || (which == SLU_DEADLINE_HEAD && talk->phase == SLU_TALK_HEAD))
        talk->late = true;
    else
        talk->caller_left = true;
    slu_talk_advance(talk);
}

static bool too_slow(const struct slu_talk *talk, uint64_t now)
{
    uint64_t took_us = now - talk->body_began_us;
    uint64_t grace_us = (uint64_t)talk->server->limits.body_timeout_ms * 1000 / 4;

    return took_us > grace_us + talk->reader.body_seen * 1000000 / BODY_RATE;
}

static void expire_slow_bodies(struct slu_server *server, uint64_t now)
{
    struct slu_talk *talk, *next;

    for (talk = TAILQ_FIRST(&server->timed[SLU_DEADLINE_BODY]); talk; talk = next) {
        next = TAILQ_NEXT(talk, timed);
        if (too_slow(talk, now))
            expire(talk);
    }
}

/* Many idle connections cost little: after a while they hold no buffers. */
static void rest_idle(struct slu_server *server, uint64_t now)
{
    uint64_t before = (uint64_t)server->limits.idle_timeout_ms * 1000;
    struct slu_talk *talk;

    TAILQ_FOREACH_REVERSE(talk, &server->timed[SLU_DEADLINE_IDLE], slu_talks, timed)
    {
        if (talk->rested)
            break;
        if (now + before < talk->expires_us + (uint64_t)REST_AFTER_MS * 1000)
            continue;
        slu_conn_rest(talk->conn);
        slu_arena_done(&talk->arena);
        talk->rested = true;
    }
}

void slu_server_on_tick(void *argument)
{
    struct slu_server *server = argument;
    uint64_t now = slu_loop_now_us(server->loop);

    for (int kind = SLU_DEADLINE_IDLE; kind < SLU_DEADLINES; kind++) {
        struct slu_talk *talk;

        while ((talk = TAILQ_FIRST(&server->timed[kind])) && talk->expires_us <= now)
            expire(talk);
    }
    expire_slow_bodies(server, now);
    rest_idle(server, now);
    server->ticking = server->count > 0 && slu_timer_set(&server->tick, server->tick_ms);
}
