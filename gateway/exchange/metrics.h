/*
 * Counters of the whole process, rendered in Prometheus' text format. Labels are bounded: targets
 * of the configuration, operations, and the canonical error codes; none has a character that would
 * have to be escaped, for the configuration takes no such name. Counting is one relaxed atomic
 * addition.
 */
#ifndef SLU_EXCHANGE_METRICS_H
#define SLU_EXCHANGE_METRICS_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/fault.h"
#include "cloud/guards.h"
#include "model/operation.h"
#include "store/journal.h"

#include <stdatomic.h>

enum { SLU_BUCKETS = 14 };

struct slu_histogram {
    _Atomic uint64_t buckets[SLU_BUCKETS + 1]; /* the last is +Inf */
    _Atomic uint64_t sum_us;
};

/* One target's counters; slot 0 is for requests that reached no target. */
struct slu_slot {
    char name[SLU_NAME_MOST + 1];
    _Atomic uint64_t
        requests[SLU_OP_COUNT + 1][SLU_FAULT_KIND_COUNT]; /* [SLU_OP_COUNT]: no operation */
    struct slu_histogram total, cloud, own;
    _Atomic uint64_t calls, reused, bytes_out, bytes_in;
};

struct slu_metrics;

SLU_NODISCARD struct slu_metrics *slu_metrics_new(void);
void slu_metrics_free(struct slu_metrics *metrics);
/* The target's slot, made on first use; slot 0 when there are too many targets. Any thread. */
struct slu_slot *slu_metrics_slot(struct slu_metrics *metrics, struct slu_str target);
void slu_histogram_add(struct slu_histogram *histogram, uint64_t us);
static inline void slu_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}
_Atomic uint64_t *slu_metrics_dropped(struct slu_metrics *metrics); /* access lines */
_Atomic uint64_t *slu_metrics_reloads(struct slu_metrics *metrics, bool good);

struct slu_gauges {
    uint64_t in_flight, connections;
    const struct slu_journal_health *journal; /* NULL: none is kept */
    const struct slu_budget *bodies;          /* NULL: not told; so with: */
    struct slu_guards *guards;
    uint64_t now_us; /* monotonic */
};
void slu_metrics_write(const struct slu_metrics *metrics, const struct slu_gauges *gauges,
                       struct slu_buf *out);
/* metrics_guards.c: what protects each target, by the guards' own counters. */
void slu_metrics_write_guards(const struct slu_gauges *gauges, struct slu_buf *out);

#endif
