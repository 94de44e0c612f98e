/*
 * Looking before repeating: a write of unknown end is looked for on the cloud, as its table's
 * `find_by` says, by a job of its own that only reads. What is found is the write's success; where
 * nothing is found, also after the cloud's delay in showing new things, the write may be sent
 * again.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/merge.h"
#include "codec/time.h"

enum { EVERY_MS = 500 };

bool slu_find_possible(const struct slu_job *job)
{
    const struct slu_find_by *find = slu_table_find_by(job->target->table, job->asking);

    return find && find->operation != SLU_OP_COUNT;
}

bool slu_find_may_pass(enum slu_fault_kind kind)
{
    return kind == SLU_FAULT_UPSTREAM_UNREACHABLE || kind == SLU_FAULT_UPSTREAM_TIMEOUT ||
           kind == SLU_FAULT_UPSTREAM_BROKEN || kind == SLU_FAULT_UPSTREAM_UNREADABLE ||
           kind == SLU_FAULT_UPSTREAM_UNAVAILABLE || kind == SLU_FAULT_UPSTREAM_ERROR ||
           kind == SLU_FAULT_THROTTLED || kind == SLU_FAULT_UNAVAILABLE ||
           kind == SLU_FAULT_MEMORY || kind == SLU_FAULT_BUSY;
}

/* What is looked for: the members that the table names, as the write had them. */
const struct slu_value *slu_find_wanted(struct slu_job *job, struct slu_str pointer)
{
    struct slu_path path;

    if (slu_str_is(pointer, "/id"))
        return job->id.p ? slu_value_string(job->arena, job->id) : NULL;
    if (!slu_path_read(job->arena, pointer, &path))
        return NULL;
    return slu_path_get(&path, job->document);
}

static bool add_filter(struct slu_job *job, struct slu_job *sub, struct slu_filter *filters,
                       struct slu_str pointer)
{
    const struct slu_value *value = slu_find_wanted(job, pointer);
    const struct slu_value **any = slu_arena_get(job->arena, sizeof(*any));

    if (!any)
        return false;
    if (!value || value->kind == SLU_NULL)
        return true; /* the write did not name it: it is not compared */
    *any = value;
    filters[sub->list.filter_count++] = (struct slu_filter){pointer, any, 1};
    return true;
}

static void found_out(struct slu_job *sub, void *user)
{
    struct slu_job *job = user;

    job->finding = false;
    job->spent.calls += sub->spent.calls;
    slu_job_resume(job);
}

static struct slu_job *search_new(struct slu_job *job, const struct slu_find_by *find)
{
    struct slu_filter *filters =
        slu_arena_get(job->arena, sizeof(*filters) * (find->match_count + 1));
    struct slu_losses *losses = slu_arena_get(job->arena, sizeof(*losses));
    struct slu_mistakes *mistakes = slu_arena_get(job->arena, sizeof(*mistakes));
    struct slu_job *sub = NULL;

    if (filters && losses && mistakes) {
        slu_losses_init(losses, job->arena, true);
        slu_mistakes_init(mistakes, job->arena);
        sub = slu_job_new(job->station, job->arena, job->target, find->operation, mistakes, losses);
    }
    if (!sub)
        return NULL;
    sub->request_id = job->request_id;
    sub->id = job->id;
    sub->over = found_out;
    sub->user = job;
    sub->latest_us = job->until_us;
    sub->caller_until_us = job->caller_until_us;
    sub->list.filters = filters;
    for (size_t i = 0; i < find->match_count && i < SLU_FILTERS_MOST; i++)
        if (!add_filter(job, sub, filters, find->match[i]))
            return NULL;
    return sub;
}

/* Is it as young as the attempt? By the clock of the cloud, which the look's Date tells, since ours
 * may be another one, or have been; and clouds tell whole seconds. */
static bool is_young(const struct slu_job *job, const struct slu_value *row)
{
    const struct slu_value *created = slu_value_member(row, "created_at");
    int64_t unix_s, now_s = job->search->date_s ? job->search->date_s : slu_attempt_time(job);

    if (!slu_value_is(created, SLU_STRING) || !slu_time_to_unix(created->text, &unix_s))
        return true; /* the cloud does not tell */
    return unix_s + 1 >= now_s - slu_attempt_age_s(job);
}

static struct slu_str id_of(const struct slu_value *row)
{
    const struct slu_value *id = slu_value_member(row, "id");

    return slu_value_is(id, SLU_STRING) ? id->text : SLU_STR_NONE;
}

/* The one that is to be replaced may look the same. */
static bool is_predecessor(const struct slu_job *job, const struct slu_value *row)
{
    return job->old_id.p && slu_str_eq(id_of(row), job->old_id);
}

/* The rows that may be what a create has made, and nobody else's. */
static struct slu_value *young_rows(const struct slu_job *job, uint32_t *ret_count)
{
    struct slu_value *last = NULL;

    *ret_count = 0;
    if (job->search->flow_log)
        slu_value_each (row, job->search->flow_log)
            if (is_young(job, row) && !is_predecessor(job, row) &&
                slu_claims_free_for(job, id_of(row))) {
                last = row;
                (*ret_count)++;
            }
    return last;
}

/* An update has taken effect when what it changed is so. */
static bool holds(struct slu_job *job, const struct slu_value *there)
{
    struct slu_value *open = slu_merge_changes(job->arena, there, job->document);

    return open && open->count == 0;
}

static enum slu_job_step took_effect(struct slu_job *job, struct slu_value *flow_log)
{
    job->outcome = (struct slu_outcome){.kind = SLU_FAULT_NONE};
    job->result.sent = SLU_SENT_ANSWERED; /* as good as */
    job->acted = true;
    job->made = 0;
    job->perhaps = job->unknown = false;
    if (flow_log)
        job->flow_log = flow_log;
    return slu_programme_after(job);
}

/* Nothing was done, as far as it is shown: once more, if it may be. */
static enum slu_job_step again(struct slu_job *job)
{
    enum slu_job_step next = slu_attempt_again(job);

    if (next == JOB_OVER)
        return next;
    job->acted = job->done != NULL;
    job->perhaps = false;
    job->find_until_us = 0; /* what is sent again may take as long to be shown */
    return next;
}

/* What the last attempt came to is the end. */
static enum slu_job_step not_there(struct slu_job *job)
{
    job->acted = job->done != NULL;
    job->perhaps = job->unknown = false;
    job->outcome = job->why_outcome;
    return slu_job_fail(job, 'U', job->why.kind, "%s; it was looked for and had no effect",
                        job->why.words);
}

static enum slu_job_step unknown(struct slu_job *job, const char *why)
{
    job->unknown = true;
    job->outcome = job->why_outcome;
    if (job->resumes)
        return slu_job_fail(job, 'U', job->why.kind, "%s", why);
    return slu_job_fail(job, 'U', job->why.kind,
                        "%s; it may have taken effect, which could not be found out: %s. Look for "
                        "it before you repeat it",
                        job->why.words, why);
}

enum slu_job_step slu_find_wait(struct slu_job *job, enum slu_operation operation)
{
    const struct slu_find_by *find =
        job->target->memory ? NULL : slu_table_find_by(job->target->table, operation);
    uint64_t now = slu_clock_mono_us();

    if (!job->find_until_us)
        job->find_until_us = now + (find ? (uint64_t)find->visible_after_ms * 1000 : 0);
    if (now >= job->find_until_us && !slu_claims_wait(job))
        return JOB_PLAN;
    if (now + EVERY_MS * 1000 > job->until_us)
        return unknown(job, slu_claims_wait(job)
                                ? "another create of the same is still under way, and there is no "
                                  "time to wait for its end"
                                : "it is not shown yet, and there is no time to look longer");
    job->pausing = true;
    job->timer_ready = false;
    return slu_timer_set(&job->timer, EVERY_MS) ? JOB_PAUSE : slu_job_out_of_memory(job);
}

/* A create is not sent again before it would be shown. A change or a delete does no harm twice:
 * only the last word about it waits. */
static enum slu_job_step not_shown(struct slu_job *job)
{
    enum slu_job_step next = job->asking == SLU_OP_CREATE ? JOB_OVER : again(job);

    if (next != JOB_OVER)
        return next;
    next = slu_find_wait(job, job->asking);
    job->looks_for = next == JOB_PAUSE;
    if (next != JOB_PLAN)
        return next;
    next = job->asking == SLU_OP_CREATE ? again(job) : JOB_OVER;
    return next != JOB_OVER ? next : not_there(job);
}

bool slu_find_is_going(const struct slu_value *flow_log)
{
    const struct slu_value *status = slu_value_member(flow_log, "status");

    return slu_value_is(status, SLU_STRING) && slu_str_is(status->text, "deleting");
}

/* What a delete wanted gone; what is going counts as gone. The reply is a flow log, or a list. */
static bool still_there(const struct slu_value *reply)
{
    const struct slu_value *row = slu_value_is(reply, SLU_ARRAY) ? reply->first : reply;

    return row && !slu_find_is_going(row);
}

static enum slu_job_step judge(struct slu_job *job, const struct slu_find_by *find)
{
    const struct slu_job *search = job->search;
    bool gone = search->fault.kind == SLU_FAULT_NOT_FOUND;
    struct slu_value *row = search->flow_log;
    uint32_t count = 0;

    if (search->fault.kind != SLU_FAULT_NONE && !gone) {
        job->decided = !slu_find_may_pass(search->fault.kind);
        return unknown(job, search->fault.words);
    }
    if (find->operation == SLU_OP_LIST)
        row = young_rows(job, &count);
    else
        count = row && !gone;
    if (job->asking == SLU_OP_DELETE)
        return still_there(search->flow_log) ? not_shown(job) : took_effect(job, NULL);
    if (job->asking != SLU_OP_CREATE)
        return count && holds(job, row) ? took_effect(job, row) : not_shown(job);
    job->decided = count > 1;
    if (count > 1)
        return unknown(job, "there are several flow logs that could be it");
    if (!count || slu_claims_wait(job) || !slu_claims_take(job, id_of(row)))
        return not_shown(job);
    return took_effect(job, row);
}

/* The next look is another job. */
static enum slu_job_step end_search(struct slu_job *job, const struct slu_find_by *find)
{
    enum slu_job_step next = judge(job, find);

    slu_find_leave(job);
    return next;
}

enum slu_job_step slu_find(struct slu_job *job)
{
    const struct slu_find_by *find = slu_table_find_by(job->target->table, job->asking);

    if (job->left && job->station->worker->ending) {
        if (job->finding)
            slu_job_leave(job->search);
        return unknown(job, "the gateway ends");
    }
    if (job->finding)
        return JOB_WAIT;
    if (job->search)
        return end_search(job, find);
    job->search = search_new(job, find);
    if (!job->search)
        return slu_job_out_of_memory(job);
    job->finding = true;
    slu_job_start(job->search);
    return job->finding ? JOB_WAIT : end_search(job, find);
}

void slu_find_leave(struct slu_job *job)
{
    if (job->search)
        slu_job_done(job->search);
    job->search = NULL;
}
