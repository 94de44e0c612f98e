/*
 * What protects the targets from the callers and from each other, one set a target for the whole
 * process: it outlives reloads and is shared by all workers. A target is known by its name and
 * origin; one that a reload points elsewhere begins anew.
 */
#ifndef SLU_CLOUD_GUARDS_H
#define SLU_CLOUD_GUARDS_H

#include "cloud/breaker.h"
#include "cloud/catalog.h"
#include "cloud/limit.h"
#include "cloud/retry.h"
#include "cloud/skew.h"

struct slu_guards;

struct slu_guard { /* its parts are thread-safe each by itself */
    struct slu_str name;
    struct slu_breaker *breaker;
    struct slu_limit *limit;
    struct slu_retry_budget *retries;
    struct slu_skew *skew;
    /* private */
    struct slu_guard *next;
    unsigned references;
    struct slu_str origin;
};

SLU_NODISCARD struct slu_guards *slu_guards_new(void);
/* All must have been given back. */
void slu_guards_free(struct slu_guards *guards);
SLU_AUTO_DEFINE(slu_guards)

/* The target's guard, made on first use and set to the target's configuration; with a reference,
 * which a worker keeps as long as the catalog. NULL on no memory. Not for the memory cloud. */
SLU_NODISCARD struct slu_guard *slu_guards_take(struct slu_guards *guards,
                                                const struct slu_target *target);
/* NULL does nothing. */
void slu_guards_give(struct slu_guards *guards, struct slu_guard *guard);

/* Each target's guard, the newest of each name, for metrics; a lock is held meanwhile. */
void slu_guards_each(struct slu_guards *guards, void (*see)(struct slu_guard *guard, void *user),
                     void *user);

#endif
