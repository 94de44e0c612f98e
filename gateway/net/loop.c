/*
 * The loop: libevent turned one turn at a time, so that something may be done after each. Other
 * threads speak through an eventfd and a queue behind a mutex; nothing else here is locked.
 */
#include "net/loop.h"

#include "base/clock.h"
#include "base/log.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct chore {
    slu_loop_fn *fn;
    void *argument;
};

struct chores {
    struct chore *items;
    size_t count, size;
};

struct slu_loop {
    struct event_base *base;
    struct event *wake;
    int wake_fd;
    atomic_bool stopping;
    pthread_mutex_t lock;
    struct slu_post *posted, **posted_end; /* under the lock */
    struct chores each_turn;
    uint64_t now_us; /* 0: not read in this turn */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* libevent's messages may quote what a peer sent: cut, and never above debug. */
static void log_libevent(int severity, const char *words)
{
    (void)severity;
    slu_log(SLU_LOG_DEBUG, "libevent", "%.200s", words);
}

/* A peer that left is an error of a write, not the end of the process: OpenSSL writes without
 * MSG_NOSIGNAL. */
static void prepare_process(void)
{
    event_set_log_callback(log_libevent);
    signal(SIGPIPE, SIG_IGN);
}

static bool chores_add(struct chores *chores, slu_loop_fn *fn, void *argument)
{
    if (chores->count == chores->size) {
        size_t size = chores->size ? chores->size * 2 : 8;
        struct chore *grown = slu_mem_resize(chores->items, size * sizeof(*grown));

        if (!grown)
            return false;
        chores->items = grown;
        chores->size = size;
    }
    chores->items[chores->count++] = (struct chore){fn, argument};
    return true;
}

/* All that is there now; what these post comes later. */
static struct slu_post *take_posted(struct slu_loop *loop)
{
    struct slu_post *posted;

    pthread_mutex_lock(&loop->lock);
    posted = slu_take(loop->posted);
    loop->posted_end = &loop->posted;
    pthread_mutex_unlock(&loop->lock);
    return posted;
}

void slu_loop_run_posted(struct slu_loop *loop)
{
    struct slu_post *post, *next;

    for (post = take_posted(loop); post; post = next) {
        struct slu_post now = *post; /* a sent one may be gone after its call */

        next = now.next;
        if (now.on_heap)
            slu_mem_free(post);
        now.fn(now.argument);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
    uint64_t ignored;

    (void)what;
    if (read(fd, &ignored, sizeof(ignored)) < 0)
        return; /* another turn emptied it */
    slu_loop_run_posted(argument);
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

struct slu_loop *slu_loop_new(void)
{
    slu_auto(slu_loop) *loop = slu_mem_new(sizeof(*loop));

    if (!loop)
        return NULL;
    pthread_once(&once, prepare_process);
    loop->posted_end = &loop->posted;
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->base = base_new();
    if (loop->wake_fd < 0 || !loop->base)
        return NULL;
    loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->wake || event_add(loop->wake, NULL) != 0)
        return NULL;
    return slu_take(loop);
}

static void drop_posted(struct slu_loop *loop)
{
    struct slu_post *post, *next;

    for (post = loop->posted; post; post = next) {
        next = post->next;
        if (post->on_heap)
            slu_mem_free(post);
    }
}

void slu_loop_free(struct slu_loop *loop)
{
    if (!loop)
        return;
    if (loop->wake)
        event_free(loop->wake);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
    drop_posted(loop);
    slu_mem_free(loop->each_turn.items);
    slu_mem_free(loop);
}

struct event_base *slu_loop_base(struct slu_loop *loop)
{
    return loop->base;
}

void slu_loop_run(struct slu_loop *loop)
{
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
        loop->now_us = 0;
        event_base_loop(loop->base, EVLOOP_ONCE);
        for (size_t i = 0; i < loop->each_turn.count; i++)
            loop->each_turn.items[i].fn(loop->each_turn.items[i].argument);
    }
    atomic_store_explicit(&loop->stopping, false, memory_order_release);
}

static void wake(struct slu_loop *loop)
{
    uint64_t one = 1;

    if (write(loop->wake_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: the loop is awake already */
}

void slu_loop_stop(struct slu_loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    wake(loop);
}

static void enqueue(struct slu_loop *loop, struct slu_post *post)
{
    bool first;

    post->next = NULL;
    pthread_mutex_lock(&loop->lock);
    first = !loop->posted;
    *loop->posted_end = post;
    loop->posted_end = &post->next;
    pthread_mutex_unlock(&loop->lock);
    if (first)
        wake(loop);
}

void slu_loop_send(struct slu_loop *loop, struct slu_post *post)
{
    post->on_heap = false;
    enqueue(loop, post);
}

bool slu_loop_post(struct slu_loop *loop, slu_loop_fn *fn, void *argument)
{
    struct slu_post *post = slu_mem_new(sizeof(*post));

    if (!post)
        return false;
    *post = (struct slu_post){.fn = fn, .argument = argument, .on_heap = true};
    enqueue(loop, post);
    return true;
}

void slu_loop_each_turn(struct slu_loop *loop, slu_loop_fn *fn, void *argument)
{
    slu_must(chores_add(&loop->each_turn, fn, argument));
}

uint64_t slu_loop_now_us(const struct slu_loop *loop)
{
    struct slu_loop *cache = (struct slu_loop *)loop; /* the cache is no part of its state */

    if (!cache->now_us)
        cache->now_us = slu_clock_mono_us();
    return cache->now_us;
}

/* Timers */

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
    struct slu_timer *timer = argument;

    (void)fd;
    (void)what;
    timer->fn(timer->argument);
}

void slu_timer_init(struct slu_timer *timer, struct slu_loop *loop, slu_loop_fn *fn, void *argument)
{
    *timer = (struct slu_timer){.loop = loop, .fn = fn, .argument = argument};
}

bool slu_timer_set(struct slu_timer *timer, uint32_t ms)
{
    struct timeval after = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

    if (!timer->event)
        timer->event = evtimer_new(timer->loop->base, on_timer, timer);
    return timer->event && event_add(timer->event, &after) == 0;
}

void slu_timer_stop(struct slu_timer *timer)
{
    if (timer->event)
        event_del(timer->event);
}

void slu_timer_done(struct slu_timer *timer)
{
    if (timer->event)
        event_free(timer->event);
    timer->event = NULL;
}
