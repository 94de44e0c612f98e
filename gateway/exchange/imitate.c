/*
 * The memory cloud as a target: the acts of a job without a wire. In front of it may stand a door,
 * whose dialect says how such a cloud behaves; and faults may have been ordered, which a door's
 * client sees on its own connection, and the REST side as the upstream client would tell them.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/text.h"

static const struct slu_poll memory_poll = {
    .with = SLU_OP_GET, .first_ms = 100, .every_ms = 200, .limit_ms = 60000};

const struct slu_poll *slu_imitate_poll(void)
{
    return &memory_poll;
}

static struct slu_str new_id(struct slu_job *job)
{
    unsigned char random[16];
    struct slu_str id;

    if (!slu_random(random, sizeof(random)))
        return SLU_STR_NONE;
    if (job->like)
        return slu_table_make_id(job->like, random, job->arena);
    id = slu_arena_printf(job->arena, "fl-");
    for (size_t i = 0; i < 8 && id.p; i++)
        id = slu_arena_printf(job->arena, "%.*s%02x", SLU_FMT(id), random[i]);
    return id;
}

/* A write that is over with its reply in the dialect is so here; without a dialect none is. */
static struct slu_memory_nature nature_of(const struct slu_job *job)
{
    bool goes_on = !job->like || slu_table_poll(job->like, job->asking);

    return (struct slu_memory_nature){goes_on ? job->target->settle_ms : 0, job->target->quota};
}

static void carry_out(struct slu_job *job)
{
    struct slu_memory *memory = job->station->worker->gateway->memory;
    struct slu_memory_call call = {job->target->name, job->arena, slu_clock_real_ms(),
                                   nature_of(job)};
    struct slu_fault *fault = &job->fault;

    switch (job->asking) {
    case SLU_OP_CREATE:
        job->flow_log = slu_memory_create(memory, &call, job->document, new_id(job), fault);
        break;
    case SLU_OP_GET:
        job->flow_log = slu_memory_get(memory, &call, job->id, fault);
        break;
    case SLU_OP_LIST:
        job->outcome.flow_logs = slu_memory_list(memory, &call, fault);
        break;
    case SLU_OP_UPDATE:
        job->flow_log = slu_memory_update(memory, &call, job->id, job->document, fault);
        break;
    case SLU_OP_ENABLE:
    case SLU_OP_DISABLE:
        job->flow_log =
            slu_memory_switch(memory, &call, job->id, job->asking == SLU_OP_ENABLE, fault);
        break;
    case SLU_OP_DELETE:
        if (slu_memory_delete(memory, &call, job->id, fault))
            job->flow_log = NULL;
        break;
    case SLU_OP_COUNT:
        slu_must(false);
    }
}

static enum slu_job_step end_act(struct slu_job *job)
{
    if (job->fault.kind == SLU_FAULT_NOT_FOUND && slu_programme_hopes_for_nothing(job)) {
        job->fault = (struct slu_fault){0};
        job->flow_log = NULL;
    }
    if (job->fault.kind != SLU_FAULT_NONE)
        return slu_job_fail(job, 'U', job->fault.kind, "%s", job->fault.words);
    job->acted |= slu_operation_writes(job->asking);
    return job->asking == SLU_OP_LIST ? slu_list_take(job) : slu_programme_after(job);
}

/* Faults on request */

/* What the gateway looks at by itself is no call of a door's client. */
static bool is_clients_call(const struct slu_job *job)
{
    return !job->like || job->asking == job->operation || slu_operation_writes(job->asking);
}

/* The call as the client made it: a switch may be carried out as a change. */
static enum slu_operation called(const struct slu_job *job)
{
    return job->like && slu_operation_writes(job->asking) ? job->operation : job->asking;
}

static void take_order(struct slu_job *job)
{
    struct slu_faults *faults = job->station->worker->gateway->faults;

    job->order = (struct slu_faults_order){.trouble = SLU_TROUBLE_NONE};
    if (!is_clients_call(job) ||
        !slu_faults_take(faults, job->target->name, called(job), &job->order))
        return;
    job->spent.calls++; /* one that failed, as far as the caller is told */
    job->result.sent = SLU_SENT_ANSWERED;
}

static bool lets_act(enum slu_trouble trouble)
{
    return trouble == SLU_TROUBLE_NONE || trouble == SLU_TROUBLE_SLOW ||
           trouble == SLU_TROUBLE_LOST_REPLY || trouble == SLU_TROUBLE_CUT_REPLY;
}

static uint32_t patience_ms(const struct slu_job *job)
{
    return job->target->total_timeout_ms < job->target->timeout_ms ? job->target->total_timeout_ms
                                                                   : job->target->timeout_ms;
}

/* No client of a door waits here: how long is too long is that client's to say. */
static bool takes_too_long(const struct slu_job *job)
{
    return !job->like && job->order.delay_ms > patience_ms(job);
}

/* The reply did not come, or not whole: the words are those of a wire. */
static enum slu_job_step no_reply(struct slu_job *job, enum slu_fault_kind kind, const char *words)
{
    job->fault = (struct slu_fault){0}; /* what the cloud said is not known */
    if (job->like) {
        job->breaks = job->order.trouble;
        return slu_job_fail(job, 'U', kind, "%s", words);
    }
    job->result = (struct slu_call_result){.sent = SLU_SENT_PERHAPS};
    slu_fault_set(&job->result.fault, kind, "", "%s", words);
    return JOB_NORMALISE;
}

static enum slu_job_step refuse(struct slu_job *job)
{
    job->outcome.kind = job->order.code;
    job->outcome.retry = slu_fault_info(job->order.code)->retry;
    job->outcome.retry_after_ms = job->order.retry_after_s * 1000;
    return slu_job_fail(job, 'U', job->order.code, "this was ordered of the memory cloud");
}

static enum slu_job_step end_trouble(struct slu_job *job)
{
    if (takes_too_long(job))
        return no_reply(job, SLU_FAULT_UPSTREAM_TIMEOUT, "the memory cloud did not answer in time");
    switch (job->order.trouble) {
    case SLU_TROUBLE_LOST_REPLY:
        return no_reply(job, SLU_FAULT_UPSTREAM_BROKEN,
                        "the connection ended without an answer, as was ordered");
    case SLU_TROUBLE_RESET:
        return no_reply(job, SLU_FAULT_UPSTREAM_BROKEN, "the connection was reset, as was ordered");
    case SLU_TROUBLE_CUT_REPLY:
        if (!job->like)
            return no_reply(job, SLU_FAULT_UPSTREAM_BROKEN,
                            "the connection was reset in the middle of the answer, as was ordered");
        job->breaks = job->order.trouble; /* once the answer is written */
        return end_act(job);
    case SLU_TROUBLE_THROTTLED:
    case SLU_TROUBLE_ERROR:
        return refuse(job);
    case SLU_TROUBLE_NONE:
    case SLU_TROUBLE_SLOW:
    case SLU_TROUBLE_COUNT:
        break;
    }
    return end_act(job);
}

/* The delay is running, or over. */
static enum slu_job_step delay(struct slu_job *job)
{
    if (job->looking && slu_settle_unheard(job))
        return JOB_PLAN;
    if (job->left && (!slu_operation_writes(job->asking) || job->station->worker->ending)) {
        slu_timer_stop(&job->timer);
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    }
    if (!job->timer_ready)
        return JOB_WAIT;
    job->timer_ready = job->delayed = false;
    return end_trouble(job);
}

enum slu_job_step slu_imitate(struct slu_job *job)
{
    uint32_t delay_ms;

    if (job->dry_run)
        return JOB_PLAN;
    if (job->delayed)
        return delay(job);
    job->timer_ready = false; /* of a look's pause before */
    take_order(job);
    job->writes += slu_operation_writes(job->asking);
    if (lets_act(job->order.trouble))
        carry_out(job);
    if (!job->order.delay_ms)
        return end_trouble(job);
    delay_ms = takes_too_long(job) ? patience_ms(job) : job->order.delay_ms;
    job->delayed = true;
    return slu_timer_set(&job->timer, delay_ms) ? JOB_WAIT : slu_job_out_of_memory(job);
}
