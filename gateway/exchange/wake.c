/* Wakes: two may hold one, the job and the posted note; the last one frees it. */
#include "exchange/wake.h"

#include <pthread.h>

struct slu_wake {
    struct slu_loop *loop;
    slu_loop_fn *fn; /* NULL: done */
    void *argument;
    pthread_mutex_t lock;
    bool posted;
};

bool slu_wake_init(struct slu_wake **wake, struct slu_loop *loop, slu_loop_fn *fn, void *argument)
{
    if (*wake)
        return true;
    *wake = slu_mem_new(sizeof(**wake));
    if (!*wake)
        return false;
    (*wake)->loop = loop;
    (*wake)->fn = fn;
    (*wake)->argument = argument;
    slu_must(pthread_mutex_init(&(*wake)->lock, NULL) == 0);
    return true;
}

static void wake_free(struct slu_wake *wake)
{
    pthread_mutex_destroy(&wake->lock);
    slu_mem_free(wake);
}

static void arrive(void *argument)
{
    struct slu_wake *wake = argument;
    slu_loop_fn *fn = wake->fn; /* changed on this thread alone */

    pthread_mutex_lock(&wake->lock);
    wake->posted = false;
    pthread_mutex_unlock(&wake->lock);
    if (fn)
        fn(wake->argument);
    else
        wake_free(wake);
}

void slu_wake_call(void *argument)
{
    struct slu_wake *wake = argument;

    pthread_mutex_lock(&wake->lock);
    if (!wake->posted)
        wake->posted = slu_loop_post(wake->loop, arrive, wake);
    pthread_mutex_unlock(&wake->lock);
}

void slu_wake_done(struct slu_wake **place)
{
    struct slu_wake *wake = *place;
    bool posted;

    *place = NULL;
    if (!wake)
        return;
    pthread_mutex_lock(&wake->lock);
    posted = wake->posted;
    wake->fn = NULL;
    pthread_mutex_unlock(&wake->lock);
    if (!posted)
        wake_free(wake);
}
