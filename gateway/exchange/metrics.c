/* Counters and their text form (Prometheus exposition format 0.0.4). */
#include "exchange/metrics.h"

#include <pthread.h>

enum { SLOTS_MOST = 512 };

/* Upper bounds in microseconds. */
static const uint64_t bounds_us[SLU_BUCKETS] = {
    10, 25, 50, 100, 250, 500, 1000, 5000, 25000, 100000, 500000, 1000000, 5000000, 15000000};

struct slu_metrics {
    pthread_mutex_t lock; /* for making slots */
    _Atomic size_t count;
    struct slu_slot *slots[SLOTS_MOST];
    _Atomic uint64_t dropped, reloads_good, reloads_bad;
};

static bool add_slot(struct slu_metrics *metrics, struct slu_str name)
{
    struct slu_slot *slot = slu_mem_new(sizeof(*slot));
    size_t n = name.n < sizeof(slot->name) - 1 ? name.n : sizeof(slot->name) - 1;

    if (!slot)
        return false;
    if (n)
        memcpy(slot->name, name.p, n);
    metrics->slots[metrics->count] = slot;
    metrics->count++;
    return true;
}

struct slu_metrics *slu_metrics_new(void)
{
    struct slu_metrics *metrics = slu_mem_new(sizeof(*metrics));

    if (!metrics)
        return NULL;
    slu_must(pthread_mutex_init(&metrics->lock, NULL) == 0);
    if (!add_slot(metrics, SLU_STR_NONE)) {
        slu_metrics_free(metrics);
        return NULL;
    }
    return metrics;
}

void slu_metrics_free(struct slu_metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->count; i++)
        slu_mem_free(metrics->slots[i]);
    pthread_mutex_destroy(&metrics->lock);
    slu_mem_free(metrics);
}

struct slu_slot *slu_metrics_slot(struct slu_metrics *metrics, struct slu_str target)
{
    struct slu_slot *slot = metrics->slots[0];

    if (target.n == 0)
        return slot;
    pthread_mutex_lock(&metrics->lock);
    for (size_t i = 1; i < metrics->count; i++)
        if (slu_str_is(target, metrics->slots[i]->name))
            slot = metrics->slots[i];
    if (slot == metrics->slots[0] && metrics->count < SLOTS_MOST && add_slot(metrics, target))
        slot = metrics->slots[metrics->count - 1];
    pthread_mutex_unlock(&metrics->lock);
    return slot;
}

void slu_histogram_add(struct slu_histogram *histogram, uint64_t us)
{
    size_t i = 0;

    while (i < SLU_BUCKETS && us > bounds_us[i])
        i++;
    slu_count(&histogram->buckets[i], 1);
    slu_count(&histogram->sum_us, us);
}

_Atomic uint64_t *slu_metrics_dropped(struct slu_metrics *metrics)
{
    return &metrics->dropped;
}

_Atomic uint64_t *slu_metrics_reloads(struct slu_metrics *metrics, bool good)
{
    return good ? &metrics->reloads_good : &metrics->reloads_bad;
}

static void head(struct slu_buf *out, const char *name, const char *type, const char *help)
{
    slu_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_requests(const struct slu_metrics *metrics, struct slu_buf *out)
{
    head(out, "sluice_requests_total", "counter",
         "Requests answered, by target, operation and canonical code (ok on success).");
    for (size_t s = 0; s < metrics->count; s++)
        for (size_t o = 0; o <= SLU_OP_COUNT; o++)
            for (size_t k = 0; k < SLU_FAULT_KIND_COUNT; k++) {
                uint64_t n = metrics->slots[s]->requests[o][k];

                if (n == 0)
                    continue;
                slu_buf_printf(
                    out, "sluice_requests_total{target=\"%s\",operation=\"%s\",code=\"%s\"} %llu\n",
                    metrics->slots[s]->name,
                    o == SLU_OP_COUNT ? "" : slu_operation_name((enum slu_operation)o),
                    k == 0 ? "ok" : slu_fault_info((enum slu_fault_kind)k)->code,
                    (unsigned long long)n);
            }
}

static void write_histogram(const struct slu_histogram *histogram, const char *name,
                            const char *target, struct slu_buf *out)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= SLU_BUCKETS; i++) {
        sum += histogram->buckets[i];
        slu_buf_printf(out, "%s_bucket{target=\"%s\",le=\"", name, target);
        if (i < SLU_BUCKETS)
            slu_buf_printf(out, "%g", (double)bounds_us[i] / 1e6);
        else
            slu_buf_lit(out, "+Inf");
        slu_buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    slu_buf_printf(out, "%s_sum{target=\"%s\"} %.6f\n", name, target,
                   (double)histogram->sum_us / 1e6);
    slu_buf_printf(out, "%s_count{target=\"%s\"} %llu\n", name, target, (unsigned long long)sum);
}

static const struct {
    const char *name, *help;
    size_t offset;
} histograms[] = {
    {"sluice_request_seconds", "From the request's first byte to the answer's last.",
     offsetof(struct slu_slot, total)},
    {"sluice_cloud_seconds", "Time spent waiting for the cloud.", offsetof(struct slu_slot, cloud)},
    {"sluice_own_seconds", "Time spent in the gateway itself.", offsetof(struct slu_slot, own)},
};

static const struct {
    const char *name, *help;
    size_t offset;
} counters[] = {
    {"sluice_cloud_calls_total", "Native calls sent to the cloud.",
     offsetof(struct slu_slot, calls)},
    {"sluice_cloud_calls_reused_total", "Of these, over a kept connection.",
     offsetof(struct slu_slot, reused)},
    {"sluice_cloud_sent_bytes_total", "Bytes sent to the cloud.",
     offsetof(struct slu_slot, bytes_out)},
    {"sluice_cloud_received_bytes_total", "Bytes received from the cloud.",
     offsetof(struct slu_slot, bytes_in)},
};

static void write_slots(const struct slu_metrics *metrics, struct slu_buf *out)
{
    for (size_t h = 0; h < SLU_COUNT(histograms); h++) {
        head(out, histograms[h].name, "histogram", histograms[h].help);
        for (size_t s = 0; s < metrics->count; s++)
            write_histogram((const void *)((const char *)metrics->slots[s] + histograms[h].offset),
                            histograms[h].name, metrics->slots[s]->name, out);
    }
    for (size_t c = 0; c < SLU_COUNT(counters); c++) {
        head(out, counters[c].name, "counter", counters[c].help);
        for (size_t s = 1; s < metrics->count; s++) {
            const _Atomic uint64_t *counter =
                (const void *)((const char *)metrics->slots[s] + counters[c].offset);

            slu_buf_printf(out, "%s{target=\"%s\"} %llu\n", counters[c].name,
                           metrics->slots[s]->name, (unsigned long long)*counter);
        }
    }
}

static void write_number(struct slu_buf *out, const char *name, const char *type, const char *help,
                         uint64_t number)
{
    head(out, name, type, help);
    slu_buf_printf(out, "%s %llu\n", name, (unsigned long long)number);
}

static void write_bodies(const struct slu_budget *bodies, struct slu_buf *out)
{
    struct slu_budget_view view = slu_budget_look(bodies);

    write_number(out, "sluice_body_memory_bytes", "gauge",
                 "Memory that bodies, replies and what becomes of them hold, of body_memory_bytes.",
                 view.used_bytes);
    write_number(out, "sluice_body_memory_limit_bytes", "gauge", "That limit.", view.most_bytes);
    write_number(out, "sluice_body_memory_refused_total", "counter",
                 "What did not fit into it and was refused.", view.refused);
}

static void write_journal(const struct slu_journal_health *journal, struct slu_buf *out)
{
    write_number(out, "sluice_journal_writable", "gauge",
                 "1 while writes can be recorded; while it is 0 they are refused.",
                 journal->writable);
    write_number(out, "sluice_journal_commits_total", "counter",
                 "Transactions of the journal that wrote.", journal->commits);
    write_number(out, "sluice_journal_writes_total", "counter", "Records written in them.",
                 journal->writes);
    write_number(out, "sluice_journal_reads_total", "counter", "Questions to the journal.",
                 journal->reads);
    write_number(out, "sluice_journal_largest_group", "gauge",
                 "The most records that one transaction wrote.", journal->largest);
    write_number(out, "sluice_journal_queued", "gauge", "Commands that wait for the journal.",
                 journal->queued);
    write_number(out, "sluice_journal_failures_total", "counter",
                 "Transactions that the store did not take, and failed openings.",
                 journal->failures);
    write_number(out, "sluice_journal_pruned_total", "counter",
                 "Operations removed after their retention.", journal->pruned);
}

void slu_metrics_write(const struct slu_metrics *metrics, const struct slu_gauges *gauges,
                       struct slu_buf *out)
{
    head(out, "sluice_build_info", "gauge", "The version that runs.");
    slu_buf_printf(out, "sluice_build_info{version=\"%s\"} 1\n", SLU_VERSION);
    head(out, "sluice_requests_in_flight", "gauge", "Requests being worked on.");
    slu_buf_printf(out, "sluice_requests_in_flight %llu\n", (unsigned long long)gauges->in_flight);
    head(out, "sluice_connections", "gauge", "Open connections of callers.");
    slu_buf_printf(out, "sluice_connections %llu\n", (unsigned long long)gauges->connections);
    head(out, "sluice_access_lines_dropped_total", "counter",
         "Access lines lost because standard output did not take them in time.");
    slu_buf_printf(out, "sluice_access_lines_dropped_total %llu\n",
                   (unsigned long long)metrics->dropped);
    head(out, "sluice_reloads_total", "counter", "Reloads of the configuration.");
    slu_buf_printf(out, "sluice_reloads_total{result=\"taken\"} %llu\n",
                   (unsigned long long)metrics->reloads_good);
    slu_buf_printf(out, "sluice_reloads_total{result=\"refused\"} %llu\n",
                   (unsigned long long)metrics->reloads_bad);
    if (gauges->bodies)
        write_bodies(gauges->bodies, out);
    if (gauges->journal)
        write_journal(gauges->journal, out);
    if (gauges->guards)
        slu_metrics_write_guards(gauges, out);
    write_requests(metrics, out);
    write_slots(metrics, out);
}
