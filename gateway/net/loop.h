/*
 * One thread's event loop (libevent, without locks), its timers, and the one door through which
 * other threads may speak to it. Everything else in net/ belongs to the thread of its loop.
 */
#ifndef SLU_NET_LOOP_H
#define SLU_NET_LOOP_H

#include "base/mem.h"

#include <stdint.h>

struct event_base;
struct slu_loop;
typedef void slu_loop_fn(void *argument);

SLU_NODISCARD struct slu_loop *slu_loop_new(void);
void slu_loop_free(struct slu_loop *loop);
SLU_AUTO_DEFINE(slu_loop)
struct event_base *slu_loop_base(struct slu_loop *loop);

/* Runs until slu_loop_stop(). */
void slu_loop_run(struct slu_loop *loop);
/* These from any thread. A posted function runs on the loop's thread, soon, in order; false on no
 * memory. */
void slu_loop_stop(struct slu_loop *loop);
SLU_NODISCARD bool slu_loop_post(struct slu_loop *loop, slu_loop_fn *fn, void *argument);
/* The same from the caller's storage, which cannot fail. It is the loop's until `fn` is called or
 * the loop is freed. */
struct slu_post {
    slu_loop_fn *fn;
    void *argument;
    struct slu_post *next; /* the loop's */
    bool on_heap;          /* the loop's */
};
void slu_loop_send(struct slu_loop *loop, struct slu_post *post);
/* Runs what was posted and has not run yet: for the end, when the loop turns no more. */
void slu_loop_run_posted(struct slu_loop *loop);
/* Called at the end of every turn of the loop, before it sleeps (to flush what a turn gathered). */
void slu_loop_each_turn(struct slu_loop *loop, slu_loop_fn *fn, void *argument);
/* The monotonic clock, read at most once a turn where that is exact enough (about 1 ms). */
uint64_t slu_loop_now_us(const struct slu_loop *loop);

/* A one-shot timer in the caller's storage. Setting a running timer moves it. */
struct slu_timer {
    struct slu_loop *loop;
    slu_loop_fn *fn;
    void *argument;
    void *event; /* libevent's, made on first use */
};
void slu_timer_init(struct slu_timer *timer, struct slu_loop *loop, slu_loop_fn *fn,
                    void *argument);
SLU_NODISCARD bool slu_timer_set(struct slu_timer *timer, uint32_t ms);
void slu_timer_stop(struct slu_timer *timer);
void slu_timer_done(struct slu_timer *timer);

#endif
