/* What protects the targets, for metrics: one row a series, with the counters that cloud/guards
 * keeps. They outlive reloads as the guards do; a target that is no more is told no more. */
#include "exchange/metrics.h"

#include <stddef.h>

static const int64_t untold = INT64_MIN; /* of a series that is left out */

/* One target's, all as one type. */
struct facts {
    int64_t skew_s, correction_s, corrected, unusable;
    int64_t closed, open, half_open, opened, refused;
    int64_t granted, denied;
    int64_t in_flight, waiting, full, late;
};

static const struct {
    const char *name, *type, *help; /* help: of the first row of a name */
    const char *label;
    size_t offset;
} rows[] = {
    {"sluice_target_clock_skew_seconds", "gauge",
     "How far the target's clock is ahead, by the Date of its last reply.", "",
     offsetof(struct facts, skew_s)},
    {"sluice_target_clock_applied_seconds", "gauge",
     "What is added to the clock in signatures, since one was refused for its time.", "",
     offsetof(struct facts, correction_s)},
    {"sluice_target_clock_corrections_total", "counter", "How often that was changed.", "",
     offsetof(struct facts, corrected)},
    {"sluice_target_dates_absurd_total", "counter",
     "Replies whose Date is none, or more than a day away.", "", offsetof(struct facts, unusable)},
    {"sluice_target_breaker_state", "gauge", "1 for the state that the target's breaker is in.",
     ",state=\"closed\"", offsetof(struct facts, closed)},
    {"sluice_target_breaker_state", NULL, NULL, ",state=\"open\"", offsetof(struct facts, open)},
    {"sluice_target_breaker_state", NULL, NULL, ",state=\"half_open\"",
     offsetof(struct facts, half_open)},
    {"sluice_target_breaker_opened_total", "counter", "How often the breaker opened.", "",
     offsetof(struct facts, opened)},
    {"sluice_target_breaker_refused_total", "counter", "Calls that it refused.", "",
     offsetof(struct facts, refused)},
    {"sluice_target_retries_total", "counter", "Repetitions of calls.", "",
     offsetof(struct facts, granted)},
    {"sluice_target_retries_denied_total", "counter",
     "Repetitions that were not made because their budget was spent.", "",
     offsetof(struct facts, denied)},
    {"sluice_target_in_flight", "gauge", "Calls that have one of the target's places.", "",
     offsetof(struct facts, in_flight)},
    {"sluice_target_waiting", "gauge", "Calls that wait for one.", "",
     offsetof(struct facts, waiting)},
    {"sluice_target_refused_total", "counter",
     "Calls refused because the queue was full, or their turn would have come too late.",
     ",reason=\"full\"", offsetof(struct facts, full)},
    {"sluice_target_refused_total", NULL, NULL, ",reason=\"late\"", offsetof(struct facts, late)},
};

static struct facts facts_of(struct slu_guard *guard, uint64_t now_us)
{
    struct slu_breaker_view breaker = slu_breaker_look(guard->breaker, now_us);
    struct slu_retry_counts retries = slu_retry_budget_counts(guard->retries);
    struct slu_limit_counts limit = slu_limit_look(guard->limit);
    struct slu_skew_view skew = slu_skew_look(guard->skew);

    return (struct facts){
        .skew_s = skew.seen ? skew.measured_s : untold,
        .correction_s = skew.applied_s,
        .corrected = (int64_t)skew.corrected,
        .unusable = (int64_t)skew.absurd,
        .closed = breaker.state == SLU_BREAKER_CLOSED,
        .open = breaker.state == SLU_BREAKER_OPEN,
        .half_open = breaker.state == SLU_BREAKER_HALF_OPEN,
        .opened = (int64_t)breaker.opened,
        .refused = (int64_t)breaker.refused,
        .granted = (int64_t)retries.granted,
        .denied = (int64_t)retries.refused,
        .in_flight = limit.in_flight,
        .waiting = limit.waiting,
        .full = (int64_t)limit.full,
        .late = (int64_t)limit.late,
    };
}

/* All lines of a name stand together, so the rows are gathered apart. */
struct gathering {
    uint64_t now_us;
    struct slu_buf lines[SLU_COUNT(rows)];
};

static void gather(struct slu_guard *guard, void *user)
{
    struct gathering *all = user;
    struct facts facts = facts_of(guard, all->now_us);

    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        int64_t value = *(const int64_t *)(const void *)((const char *)&facts + rows[i].offset);

        if (value != untold)
            slu_buf_printf(&all->lines[i], "%s{target=\"%.*s\"%s} %lld\n", rows[i].name,
                           SLU_FMT(guard->name), rows[i].label, (long long)value);
    }
}

void slu_metrics_write_guards(const struct slu_gauges *gauges, struct slu_buf *out)
{
    struct gathering all = {.now_us = gauges->now_us};

    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        slu_buf_init(&all.lines[i], 0);
    slu_guards_each(gauges->guards, gather, &all);
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        if (rows[i].help)
            slu_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help,
                           rows[i].name, rows[i].type);
        slu_buf_add(out, slu_buf_str(&all.lines[i]));
        out->failed |= all.lines[i].failed;
        slu_buf_done(&all.lines[i]);
    }
}
