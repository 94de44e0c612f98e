/*
 * Writes of unknown end for which nobody could look: the cloud was not to be reached, or had no
 * time for it. That decides nothing. Such a write stays open in the journal, and ours, and is
 * looked for again as after a crash, with growing pauses, until a look decides or the store's
 * `look_for_s` have passed; only then it is told as unknown. Between two looks nothing is kept of
 * it but its id.
 */
#include "exchange/exchange_internal.h"

#include <stdio.h>

enum { FIRST_MS = 1000, MOST_MS = 60000, FULL_MS = 1000, KEPT_MOST = 4096, AT_ONCE = 16 };

struct slu_revisit {
    struct slu_revisit *next; /* of its worker */
    struct slu_worker *worker;
    struct slu_timer timer;
    uint64_t since_us;
    int64_t began_us; /* its first attempt, as slu_job.attempt_began_us */
    uint32_t pause_ms;
    struct slu_post answer; /* the journal's, with the record */
    struct slu_journal_reply *told;
    char id[SLU_OPERATION_ID];
};

static void forget(struct slu_revisit *revisit)
{
    struct slu_worker *worker = revisit->worker;
    struct slu_revisit **at = &worker->revisits;

    while (*at != revisit)
        at = &(*at)->next;
    *at = revisit->next;
    worker->revisit_count--;
    slu_timer_done(&revisit->timer);
    slu_journal_reply_free(revisit->told);
    slu_mem_free(revisit);
}

void slu_revisits_free(struct slu_worker *worker)
{
    while (worker->revisits)
        forget(worker->revisits);
}

/* The spread lets those that were put off together come one after the other. */
static bool set_pause(struct slu_revisit *revisit, uint32_t ms)
{
    long word = 0;

    (void)lrand48_r(&revisit->worker->dice, &word);
    return slu_timer_set(&revisit->timer, ms + (uint32_t)(word % (long)(ms / 4 + 1)));
}

/* Looking */

static bool is_ours(const struct slu_revisit *revisit)
{
    const struct slu_journal_reply *told = revisit->told;

    return told->outcome == SLU_JOURNAL_DONE && told->count == 1 &&
           told->records[0].state == SLU_RECORD_RUNNING &&
           slu_str_eq(told->records[0].owner, slu_journal_owner(revisit->worker->gateway->journal));
}

/* The record as one that was claimed just now: as old as it is. */
static bool resume(struct slu_revisit *revisit)
{
    struct slu_record record = revisit->told->records[0];
    int64_t now_us = (int64_t)slu_loop_now_us(revisit->worker->loop);

    record.updated_ms = record.begun_ms + (now_us - revisit->began_us) / 1000;
    return slu_recovery_resume(revisit->worker, &record, revisit);
}

static void look(struct slu_revisit *revisit)
{
    if (is_ours(revisit)) {
        revisit->worker->revisiting++;
        if (resume(revisit))
            return;
        revisit->worker->revisiting--;
    } else if (revisit->told->outcome != SLU_JOURNAL_FAILED) { /* settled, or another's by now */
        forget(revisit);
        return;
    }
    slu_journal_reply_free(slu_take(revisit->told));
    if (!set_pause(revisit, revisit->pause_ms))
        forget(revisit);
}

static void record_is_there(void *argument)
{
    struct slu_revisit *revisit = argument;

    if (!revisit->worker->ending)
        look(revisit);
}

/* On the store's thread. */
static void journal_answers(struct slu_journal_reply *reply, void *user)
{
    struct slu_revisit *revisit = user;

    revisit->told = reply;
    slu_loop_send(revisit->worker->loop, &revisit->answer);
}

static void is_due(void *argument)
{
    struct slu_revisit *revisit = argument;
    struct slu_fault ignored = {0};
    bool asks = false;

    if (revisit->worker->revisiting < AT_ONCE)
        asks = slu_journal_get(revisit->worker->gateway->journal,
                               (struct slu_str){revisit->id, SLU_OPERATION_ID}, SLU_STR_NONE,
                               journal_answers, revisit, &ignored);
    if (!asks && !set_pause(revisit, FULL_MS))
        forget(revisit); /* the next start looks */
}

/* Putting off */

static int64_t first_attempt_us(const struct slu_exchange *x)
{
    int64_t first = (int64_t)slu_loop_now_us(x->station->worker->loop);

    for (size_t i = 0; i < x->job_count; i++)
        if ((x->jobs[i]->writes || x->jobs[i]->resumes) && x->jobs[i]->attempt_began_us < first)
            first = x->jobs[i]->attempt_began_us;
    return first;
}

static struct slu_revisit *revisit_new(struct slu_exchange *x)
{
    struct slu_worker *worker = x->station->worker;
    struct slu_revisit *revisit =
        worker->revisit_count < KEPT_MOST ? slu_mem_new(sizeof(*revisit)) : NULL;

    if (!revisit)
        return NULL;
    revisit->worker = worker;
    revisit->pause_ms = FIRST_MS / 2;
    revisit->since_us = slu_loop_now_us(worker->loop);
    revisit->began_us = first_attempt_us(x);
    memcpy(revisit->id, x->id.p, SLU_OPERATION_ID);
    revisit->answer.fn = record_is_there;
    revisit->answer.argument = revisit;
    slu_timer_init(&revisit->timer, worker->loop, is_due, revisit);
    revisit->next = worker->revisits;
    worker->revisits = revisit;
    worker->revisit_count++;
    worker->revisiting++; /* until its exchange is over */
    return revisit;
}

static bool is_patient(const struct slu_exchange *x)
{
    uint64_t most_us = x->station->catalog->store.look_for_s * UINT64_C(1000000);

    return slu_loop_now_us(x->station->worker->loop) - x->revisit->since_us < most_us;
}

void slu_revisit_plan(struct slu_exchange *x)
{
    bool wanted = x->recorded && x->id.n == SLU_OPERATION_ID && slu_record_is_undecided(x);
    size_t n = strlen(x->fault.words);

    if (wanted && !x->revisit)
        x->revisit = revisit_new(x);
    x->puts_off = wanted && x->revisit && is_patient(x);
    if (x->puts_off && x->fault.kind != SLU_FAULT_NONE)
        snprintf(x->fault.words + n, sizeof(x->fault.words) - n,
                 "; the gateway goes on looking for it, see its operation");
}

bool slu_revisit_later(struct slu_exchange *x)
{
    struct slu_revisit *revisit = x->revisit;
    uint32_t pause_ms;

    if (!x->puts_off || !revisit)
        return false;
    pause_ms = revisit->pause_ms * 2 < MOST_MS ? revisit->pause_ms * 2 : MOST_MS;
    if (!set_pause(revisit, pause_ms))
        return false;
    slu_log(SLU_LOG_INFO, "recover", "operation %.*s could not be looked for: again in %u s",
            SLU_FMT(x->id), pause_ms / 1000);
    slu_journal_reply_free(slu_take(revisit->told));
    revisit->pause_ms = pause_ms;
    revisit->worker->revisiting--;
    x->revisit = NULL;
    return true;
}

void slu_revisit_over(struct slu_exchange *x)
{
    if (!x->revisit)
        return;
    x->revisit->worker->revisiting--;
    forget(slu_take(x->revisit));
}
