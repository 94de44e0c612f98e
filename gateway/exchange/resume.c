/*
 * What is different where a write was under way when the gateway ended: its first act is looked
 * for and not sent, as long as the cloud may not show it yet. What of it has taken effect is gone
 * on with; what has not is left to the caller, whose repetition sends it.
 */
#include "exchange/exchange_internal.h"

static const char *what(const struct slu_job *job)
{
    if (job->operation == SLU_OP_CREATE)
        return "the gateway ended while the flow log was being made";
    return job->operation == SLU_OP_DELETE ? "the gateway ended while the delete was under way"
                                           : "the gateway ended while the change was under way";
}

/* Not sent again, whatever a look finds. */
static void keep_why(struct slu_job *job)
{
    job->made = SLU_RETRY_MOST;
    slu_fault_set(&job->why, SLU_FAULT_UNAVAILABLE, "", "%s", what(job));
}

void slu_resume_tell(struct slu_job *job)
{
    struct slu_fault why = job->fault;

    if (!job->resumes || !job->unknown || why.kind == SLU_FAULT_NONE)
        return;
    job->fault = (struct slu_fault){0};
    slu_fault_set(&job->fault, why.kind, why.place,
                  "%s; it may have taken effect, which could not be found out: %s. Look for it "
                  "before you repeat it",
                  what(job), why.words);
}

enum slu_job_step slu_resume_unreadable(struct slu_job *job)
{
    job->decided = true;
    return slu_job_fail(job, 'G', SLU_FAULT_INTERNAL, "what was asked for cannot be read any more");
}

enum slu_job_step slu_resume_create(struct slu_job *job)
{
    keep_why(job);
    job->acted = job->unknown = !job->target->memory; /* which ended with the gateway */
    if (!job->target->memory && slu_find_possible(job))
        return JOB_FIND;
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE, "%s",
                        job->unknown ? "this cloud cannot be asked for it" : job->why.words);
}

enum slu_job_step slu_resume_wait(struct slu_job *job)
{
    keep_why(job);
    job->native_step = 0; /* of the next look */
    return slu_find_wait(job, job->operation);
}

enum slu_job_step slu_resume_refuse(struct slu_job *job)
{
    job->unknown = false;
    job->decided = true;
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                        "%s, and it has not%s taken effect: send it again", what(job),
                        job->operation == SLU_OP_DELETE ? "" : ", or not wholly,");
}

enum slu_job_step slu_resume_delete(struct slu_job *job)
{
    enum slu_job_step next;

    if (job->flow_log && !slu_find_is_going(job->flow_log)) {
        next = slu_resume_wait(job);
        return next == JOB_PLAN ? slu_resume_refuse(job) : next;
    }
    job->acted = true;
    job->unknown = false;
    job->act = SLU_OP_DELETE;
    return job->flow_log && slu_settle_wanted(job) ? JOB_SETTLE : JOB_PLAN;
}

void slu_resume_noted(struct slu_job *job)
{
    job->replacing = job->acted = true;
    job->old_id = job->id;
    job->id = job->successor_id;
    job->done = slu_arena_printf(job->arena,
                                 "the flow log %.*s was made in place of %.*s, whose delete may "
                                 "have been sent",
                                 SLU_FMT(job->id), SLU_FMT(job->old_id))
                    .p;
}

enum slu_job_step slu_resume_gone(struct slu_job *job)
{
    job->unknown = job->replace;
    return slu_job_fail(job, 'G', SLU_FAULT_NOT_FOUND, "the flow log %.*s is gone%s",
                        SLU_FMT(job->id),
                        job->replace ? ", and what was made in its place is not known" : "");
}
