/*
 * What is different where a write was under way when the gateway ended: its first act is looked
 * for and not sent, as long as the cloud may not show it yet. What of it has taken effect is gone
 * on with; what has not is left to the caller, whose repetition sends it.
 */
#include "exchange/exchange_internal.h"

static void keep_why(struct slu_job *job, const char *words)
{
    job->made = SLU_RETRY_MOST; /* not sent again, whatever a look finds */
    slu_fault_set(&job->why, SLU_FAULT_UNAVAILABLE, "", "%s", words);
}

enum slu_job_step slu_resume_unreadable(struct slu_job *job)
{
    job->unknown = true;
    return slu_job_fail(job, 'G', SLU_FAULT_INTERNAL,
                        "the gateway ended while the write was under way, and what it was cannot "
                        "be read: look on the cloud for what it did");
}

enum slu_job_step slu_resume_create(struct slu_job *job)
{
    keep_why(job, "the gateway ended while the flow log was being made");
    job->acted = job->unknown = !job->target->memory; /* which ended with the gateway */
    if (!job->target->memory && slu_find_possible(job))
        return JOB_FIND;
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE, "%s", job->why.words);
}

static const char *what(const struct slu_job *job)
{
    return job->operation == SLU_OP_DELETE ? "the gateway ended while the delete was under way"
                                           : "the gateway ended while the change was under way";
}

enum slu_job_step slu_resume_wait(struct slu_job *job)
{
    keep_why(job, what(job));
    job->native_step = 0; /* of the next look */
    return slu_find_wait(job, job->operation);
}

enum slu_job_step slu_resume_refuse(struct slu_job *job)
{
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

enum slu_job_step slu_resume_replaced(struct slu_job *job)
{
    job->unknown = true;
    return slu_job_fail(job, 'G', SLU_FAULT_NOT_FOUND,
                        "the gateway ended while the flow log %.*s was being replaced, and it is "
                        "gone: look whether another one was made in its place",
                        SLU_FMT(job->id));
}
