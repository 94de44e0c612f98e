/*
 * Deletes of ours that took effect, or may have. The caller may not have heard of the end, or the
 * cloud's answer was lost: a repeat that finds nothing is then the success that it was. What is
 * made again under an old id is forgotten here.
 */
#include "exchange/exchange_internal.h"

static const uint64_t remembered_us = UINT64_C(3600) * 1000 * 1000;

static struct slu_turns *memory_of(const struct slu_job *job)
{
    return job->station->worker->gateway->turns;
}

static struct slu_str key_of(const struct slu_job *job, struct slu_str id)
{
    return slu_arena_printf(job->arena, "gone %.*s %.*s", SLU_FMT(job->target->name), SLU_FMT(id));
}

static bool know(const struct slu_job *job, struct slu_str id)
{
    uint64_t now = slu_job_now_us(job), since = now > remembered_us ? now - remembered_us : 0;
    struct slu_str key = key_of(job, id);

    return key.p && slu_str_is(slu_turns_seen(memory_of(job), key, since, job->arena), "gone");
}

static void tell(const struct slu_job *job, struct slu_str id, const char *word)
{
    struct slu_str key = key_of(job, id);

    if (key.p)
        slu_turns_tell(memory_of(job), key, slu_job_now_us(job), slu_str_of(word));
}

void slu_removals_note(const struct slu_job *job)
{
    /* sent, and not seen to act when it was looked for: it may still be on its way */
    bool late = job->operation == SLU_OP_DELETE && job->resumes;

    if ((!job->acted && !late) || !job->id.p)
        return;
    if (job->operation == SLU_OP_DELETE)
        tell(job, job->id, "gone");
    else if (job->successor)
        tell(job, job->old_id, "gone");
    else if (job->operation == SLU_OP_CREATE && know(job, job->id))
        tell(job, job->id, "there");
}

bool slu_removals_doubt(const struct slu_job *job)
{
    return job && job->operation == SLU_OP_DELETE && job->fault.kind == SLU_FAULT_NOT_FOUND &&
           !job->acted && job->id.p;
}

bool slu_removals_know(const struct slu_job *job)
{
    return job->id.p && know(job, job->id);
}
