/* The memory cloud as a target: the acts of a job without a wire. */
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

static uint32_t settle_ms(const struct slu_job *job)
{
    if (job->like && !slu_table_poll(job->like, SLU_OP_CREATE))
        return 0; /* this dialect's create is over with its reply */
    return job->target->settle_ms;
}

static void carry_out(struct slu_job *job)
{
    struct slu_memory *memory = job->station->worker->gateway->memory;
    struct slu_memory_call call = {job->target->name, job->arena, slu_clock_real_ms()};

    if (job->asking == SLU_OP_CREATE)
        job->flow_log = slu_memory_create(memory, &call, job->document, new_id(job), settle_ms(job),
                                          &job->fault);
    else if (job->asking == SLU_OP_GET)
        job->flow_log = slu_memory_get(memory, &call, job->id, &job->fault);
    else if (job->asking == SLU_OP_LIST)
        job->outcome.flow_logs = slu_memory_list(memory, &call, &job->fault);
    else if (job->asking != SLU_OP_DELETE)
        slu_fault_set(&job->fault, SLU_FAULT_NOT_IMPLEMENTED, "",
                      "the memory cloud has no operation %s", slu_operation_name(job->asking));
    else if (slu_memory_delete(memory, &call, job->id, &job->fault))
        job->flow_log = NULL;
}

enum slu_job_step slu_imitate(struct slu_job *job)
{
    if (job->dry_run)
        return JOB_PLAN;
    carry_out(job);
    if (job->fault.kind == SLU_FAULT_NOT_FOUND && slu_programme_hopes_for_nothing(job)) {
        job->fault = (struct slu_fault){0};
        job->flow_log = NULL;
    }
    if (job->fault.kind != SLU_FAULT_NONE)
        return slu_job_fail(job, 'U', job->fault.kind, "%s", job->fault.words);
    job->acted |= slu_operation_writes(job->asking);
    return job->asking == SLU_OP_LIST ? slu_list_take(job) : slu_programme_after(job);
}
