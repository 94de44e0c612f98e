/*
 * How far a write has come, noted in the journal before an act that takes away what the acts before
 * it could be found by. A write that is not ours any more, since another gateway has claimed it,
 * does not go on.
 *
 * The journal answers on its own thread by a note to the job's loop. It is on the heap, since the
 * job may have ended when it arrives.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"

enum { WAIT_MS = 5000 };

struct slu_note {
    struct slu_loop *loop;
    struct slu_post post;
    struct slu_job *job; /* NULL: nobody waits any more */
    bool arrived;
    struct slu_journal_reply *reply;
};

static void note_free(struct slu_note *note)
{
    slu_journal_reply_free(note->reply);
    slu_mem_free(note);
}

static void arrive(void *argument)
{
    struct slu_note *note = argument;

    note->arrived = true;
    if (note->job)
        slu_job_resume(note->job);
    else
        note_free(note);
}

/* On the store's thread. */
static void journal_answers(struct slu_journal_reply *reply, void *user)
{
    struct slu_note *note = user;

    note->reply = reply;
    slu_loop_send(note->loop, &note->post);
}

void slu_note_leave(struct slu_job *job)
{
    struct slu_note *note = slu_take(job->note);

    if (!note)
        return;
    if (note->arrived)
        note_free(note);
    else
        note->job = NULL;
}

struct slu_str slu_note_made(const struct slu_value *parts, struct slu_str target)
{
    if (slu_value_is(parts, SLU_ARRAY))
        slu_value_each (part, parts) {
            const struct slu_value *name = slu_value_member(part, "target");
            const struct slu_value *made = slu_value_member(part, "made");

            if (slu_value_is(name, SLU_STRING) && slu_str_eq(name->text, target) &&
                slu_value_is(made, SLU_STRING))
                return made->text;
        }
    return SLU_STR_NONE;
}

static enum slu_job_step hand_over(struct slu_job *job)
{
    struct slu_worker *worker = job->station->worker;
    struct slu_record record = {.id = job->request_id,
                                .attempts = job->writes + job->resumes,
                                .updated_ms = slu_clock_real_ms(),
                                .parts = slu_progress_part(job)};
    struct slu_fault fault = {0};

    job->timer_ready = false;
    job->note = record.parts.p ? slu_mem_new(sizeof(*job->note)) : NULL;
    if (!job->note || !slu_timer_set(&job->timer, WAIT_MS)) {
        slu_mem_free(slu_take(job->note));
        return slu_job_out_of_memory(job);
    }
    *job->note = (struct slu_note){.loop = worker->loop, .job = job};
    job->note->post = (struct slu_post){.fn = arrive, .argument = job->note};
    if (slu_journal_note(worker->gateway->journal, &record, journal_answers, job->note, &fault))
        return JOB_WAIT;
    slu_mem_free(slu_take(job->note));
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                        "the journal cannot take that it was made, so nothing more was sent: %s",
                        fault.words);
}

static enum slu_job_step judge(struct slu_job *job)
{
    const struct slu_journal_reply *reply = job->note->reply;

    slu_timer_stop(&job->timer);
    job->timer_ready = false;
    if (reply->outcome == SLU_JOURNAL_DONE) {
        slu_note_leave(job);
        return JOB_PLAN;
    }
    if (reply->outcome == SLU_JOURNAL_FAILED)
        return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                            "the journal could not take that it was made, so nothing more was "
                            "sent: %s",
                            reply->fault.words);
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                        "another gateway has taken the write over and finishes it");
}

enum slu_job_step slu_note(struct slu_job *job)
{
    if (!job->note)
        return hand_over(job);
    if (job->note->arrived)
        return judge(job);
    if (job->timer_ready || (job->left && job->station->worker->ending))
        return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                            "the journal takes too long to take that it was made, so nothing more "
                            "was sent");
    return JOB_WAIT;
}
