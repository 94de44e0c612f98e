/* The guards of all targets: a short counted list behind one lock, the newest first. */
#include "cloud/guards.h"

#include "base/arena.h"

#include <pthread.h>

struct slu_guards {
    pthread_mutex_t lock;
    struct slu_guard *first;
};

struct slu_guards *slu_guards_new(void)
{
    struct slu_guards *guards = slu_mem_new(sizeof(*guards));

    if (guards)
        slu_must(pthread_mutex_init(&guards->lock, NULL) == 0);
    return guards;
}

void slu_guards_free(struct slu_guards *guards)
{
    if (!guards)
        return;
    slu_must(!guards->first);
    pthread_mutex_destroy(&guards->lock);
    slu_mem_free(guards);
}

/* Both texts in one block. */
static bool name_it(struct slu_guard *guard, const struct slu_target *target)
{
    size_t name_n = target->name.n, scheme_n = target->scheme.n, n = name_n + scheme_n;
    char *text = slu_mem_new(n + target->host.n + 1);

    if (!text)
        return false;
    memcpy(text, target->name.p, name_n);
    if (scheme_n)
        memcpy(text + name_n, target->scheme.p, scheme_n);
    if (target->host.n)
        memcpy(text + n, target->host.p, target->host.n);
    guard->name = (struct slu_str){text, name_n};
    guard->origin = (struct slu_str){text + name_n, scheme_n + target->host.n};
    return true;
}

static bool is_for(const struct slu_guard *guard, const struct slu_target *target)
{
    return slu_str_eq(guard->name, target->name) &&
           guard->origin.n == target->scheme.n + target->host.n &&
           slu_str_starts(guard->origin, target->scheme) &&
           slu_str_ends(guard->origin, target->host);
}

static void guard_free(struct slu_guard *guard)
{
    slu_breaker_free(guard->breaker);
    slu_limit_free(guard->limit);
    slu_retry_budget_free(guard->retries);
    slu_skew_free(guard->skew);
    slu_mem_free((void *)(uintptr_t)guard->name.p);
    slu_mem_free(guard);
}

static struct slu_limit_conf limit_conf(const struct slu_target *target)
{
    return (struct slu_limit_conf){target->max_in_flight, target->queue, target->rate_per_s,
                                   target->burst};
}

static struct slu_guard *guard_new(const struct slu_target *target)
{
    struct slu_guard *guard = slu_mem_new(sizeof(*guard));
    struct slu_limit_conf conf = limit_conf(target);

    if (!guard)
        return NULL;
    guard->breaker = slu_breaker_new(&target->breaker);
    guard->limit = slu_limit_new(&conf);
    guard->retries = slu_retry_budget_new();
    guard->skew = slu_skew_new();
    if (guard->breaker && guard->limit && guard->retries && guard->skew && name_it(guard, target))
        return guard;
    guard_free(guard);
    return NULL;
}

static struct slu_guard *find(struct slu_guards *guards, const struct slu_target *target)
{
    struct slu_guard *guard = guards->first;
    struct slu_limit_conf conf = limit_conf(target);

    while (guard && !is_for(guard, target))
        guard = guard->next;
    if (!guard)
        return NULL;
    slu_breaker_set(guard->breaker, &target->breaker);
    slu_limit_set(guard->limit, &conf);
    return guard;
}

struct slu_guard *slu_guards_take(struct slu_guards *guards, const struct slu_target *target)
{
    struct slu_guard *guard;

    pthread_mutex_lock(&guards->lock);
    guard = find(guards, target);
    if (!guard && (guard = guard_new(target))) {
        guard->next = guards->first;
        guards->first = guard;
    }
    if (guard)
        guard->references++;
    pthread_mutex_unlock(&guards->lock);
    return guard;
}

void slu_guards_give(struct slu_guards *guards, struct slu_guard *guard)
{
    struct slu_guard **at;

    if (!guard)
        return;
    pthread_mutex_lock(&guards->lock);
    if (--guard->references == 0) {
        for (at = &guards->first; *at != guard; at = &(*at)->next)
            ;
        *at = guard->next;
        guard_free(guard);
    }
    pthread_mutex_unlock(&guards->lock);
}

static bool is_newest(const struct slu_guards *guards, const struct slu_guard *guard)
{
    const struct slu_guard *at = guards->first;

    while (!slu_str_eq(at->name, guard->name))
        at = at->next;
    return at == guard;
}

void slu_guards_each(struct slu_guards *guards, void (*see)(struct slu_guard *guard, void *user),
                     void *user)
{
    pthread_mutex_lock(&guards->lock);
    for (struct slu_guard *guard = guards->first; guard; guard = guard->next)
        if (is_newest(guards, guard))
            see(guard, user);
    pthread_mutex_unlock(&guards->lock);
}
