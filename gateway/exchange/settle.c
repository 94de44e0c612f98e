/*
 * The wait for a final state. However many callers wait for one flow log, and on whichever workers,
 * one of them looks at a time and the others use what it saw.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"

enum {
    PATIENCE_MS = 30000,  /* where the caller named none, but a further act must wait */
    LAST_LOOK_MS = 500,   /* the last look begins so long before the patience ends … */
    LEAST_PAUSE_MS = 100, /* … and so long after the one before */
};

/* A delete that has to be seen, on a cloud whose delete is over with its reply. */
static const struct slu_poll gone_poll = {
    .with = SLU_OP_GET, .first_ms = 100, .every_ms = 1000, .limit_ms = 15000};

/* A look for a fuller answer; what was just made may take a moment to be seen. */
static const struct slu_poll look_poll = {
    .with = SLU_OP_GET, .first_ms = 0, .every_ms = 500, .limit_ms = 5000};

static bool must_wait(const struct slu_job *job)
{
    return slu_programme_goes_on(job) || (job->verify && job->act == SLU_OP_DELETE);
}

/* The cloud only confirms the act, and the answer needs the flow log. */
static bool may_look(const struct slu_job *job)
{
    return job->whole && !job->target->memory && slu_operation_writes(job->act) &&
           job->act != SLU_OP_DELETE && !slu_table_tells(job->target->table, job->act);
}

static bool only_looks(const struct slu_job *job)
{
    return may_look(job) && !job->settles && !must_wait(job);
}

bool slu_settle_unheard(const struct slu_job *job)
{
    return job->left && job->acted && slu_operation_writes(job->act) && !must_wait(job) &&
           !job->station->worker->ending;
}

bool slu_settle_must(const struct slu_job *job)
{
    return must_wait(job);
}

bool slu_settle_optional(const struct slu_job *job)
{
    return job->looking && job->like && slu_operation_writes(job->act) &&
           job->act != SLU_OP_DELETE && !must_wait(job);
}

const struct slu_poll *slu_settle_poll(const struct slu_job *job)
{
    enum slu_operation act = job->act == SLU_OP_GET ? job->operation : job->act;
    const struct slu_poll *poll;

    if (job->target->memory)
        return slu_imitate_poll();
    if (only_looks(job))
        return &look_poll;
    poll = slu_table_poll(job->target->table, act);
    if (!poll && may_look(job))
        return &look_poll;
    return poll || act != SLU_OP_DELETE || !job->verify ? poll : &gone_poll;
}

static bool is_over(const struct slu_job *job, const struct slu_poll *poll)
{
    const struct slu_value *status = slu_value_member(job->flow_log, "status");

    if (job->act == SLU_OP_DELETE)
        return job->looking && !job->flow_log;
    if (poll == &look_poll)
        return job->looking;
    if (job->act == SLU_OP_GET || job->target->memory)
        return !slu_status_moves(job->flow_log);
    for (size_t i = 0; slu_value_is(status, SLU_STRING) && i < poll->done_count; i++)
        if (slu_str_eq(status->text, poll->done[i]))
            return true;
    return false;
}

bool slu_settle_wanted(const struct slu_job *job)
{
    const struct slu_poll *poll = slu_settle_poll(job);

    return poll && slu_operation_writes(job->operation) &&
           (job->settles || must_wait(job) || poll == &look_poll) && !is_over(job, poll);
}

/* One looks */

static struct slu_str look_key(struct slu_job *job)
{
    return slu_arena_printf(job->arena, "look %.*s %.*s", SLU_FMT(job->target->name),
                            SLU_FMT(job->id));
}

static void look_is_ours(void *argument)
{
    struct slu_job *job = argument;

    job->has_look = true;
    slu_job_resume(job);
}

void slu_settle_looked(struct slu_job *job)
{
    struct slu_buf text;

    if (!job->look_turn)
        return;
    slu_buf_init(&text, 0);
    if (job->flow_log)
        slu_json_write(&text, job->flow_log);
    else
        slu_buf_lit(&text, "null");
    if (!text.failed && !job->saw)
        slu_turns_tell(job->station->worker->gateway->turns, look_key(job), job->look_began_us,
                       slu_buf_str(&text));
    slu_buf_done(&text);
    slu_turn_end(job->look_turn);
    job->look_turn = NULL;
    job->has_look = false;
}

/* What another job saw, with a look that began after this one's pause did. */
static bool use_what_was_seen(struct slu_job *job)
{
    struct slu_turns *turns = job->station->worker->gateway->turns;
    struct slu_str text = slu_turns_seen(turns, look_key(job), job->pause_began_us, job->arena);
    struct slu_mistakes mistakes;
    struct slu_value *seen;

    if (!text.p)
        return false;
    slu_mistakes_init(&mistakes, job->arena);
    seen = slu_json_read(job->arena, text, (struct slu_json_limits){0}, &mistakes);
    if (!seen || (seen->kind == SLU_NULL && job->act != SLU_OP_DELETE))
        return false;
    job->flow_log = seen->kind == SLU_NULL ? NULL : seen;
    return true;
}

/* Another job is looking: that is waited for as long as the patience lasts. */
static enum slu_job_step wait_for_look(struct slu_job *job)
{
    uint64_t now = slu_clock_mono_us();
    uint64_t left = job->settle_until_us > now ? job->settle_until_us - now : 0;

    return slu_timer_set(&job->timer, (uint32_t)(left / 1000) + 1) ? JOB_WAIT
                                                                   : slu_job_out_of_memory(job);
}

static enum slu_job_step look(struct slu_job *job)
{
    struct slu_worker *worker = job->station->worker;
    bool now = false;

    job->asking = SLU_OP_GET;
    job->native_step = 0;
    job->looking = true;
    if (job->target->memory)
        return JOB_IMITATE;
    if (!job->look_turn) {
        struct slu_str key = look_key(job);

        job->look_turn =
            key.p ? slu_turn_ask(worker->gateway->turns, worker->loop, key, look_is_ours, job, &now)
                  : NULL;
        if (!job->look_turn)
            return slu_job_out_of_memory(job);
        job->has_look = now;
    }
    job->timer_ready = false;
    if (!job->has_look)
        return wait_for_look(job);
    slu_timer_stop(&job->timer);
    job->saw = use_what_was_seen(job);
    job->look_began_us = slu_clock_mono_us();
    return job->saw ? slu_programme_after(job) : JOB_FETCH;
}

enum slu_job_step slu_settle_unseen(struct slu_job *job)
{
    slu_turn_end(job->look_turn);
    job->look_turn = NULL;
    job->has_look = job->pausing = job->timer_ready = false;
    return JOB_SETTLE;
}

/* The patience is over: where nothing else depends on it the transitional status is the answer. */
static enum slu_job_step give_up(struct slu_job *job)
{
    const struct slu_value *status = slu_value_member(job->flow_log, "status");
    struct slu_str word = slu_value_is(status, SLU_STRING) ? status->text : SLU_STR("not over");

    if (!must_wait(job))
        return JOB_PLAN;
    if (job->act == SLU_OP_GET)
        return slu_job_fail(job, 'U', SLU_FAULT_BUSY,
                            "the flow log %.*s is still %.*s, so it was not changed",
                            SLU_FMT(job->id), SLU_FMT(word));
    return slu_job_fail(job, 'U', SLU_FAULT_UPSTREAM_TIMEOUT, "it is still %.*s%s", SLU_FMT(word),
                        job->act == SLU_OP_DELETE ? "" : "; the rest was not sent");
}

/* The patience ended before the look did, or there is nobody to hear of it. */
enum slu_job_step slu_settle_give_up(struct slu_job *job)
{
    slu_turn_end(job->look_turn);
    job->look_turn = NULL;
    job->has_look = job->timer_ready = job->pausing = false;
    return give_up(job);
}

bool slu_settle_late(const struct slu_job *job)
{
    return job->looking && slu_job_now_us(job) >= job->settle_until_us;
}

/* When the patience ends: where something is half done, with the operation's time, and else with
 * the caller's. */
static uint64_t patience_ends_us(const struct slu_job *job, const struct slu_poll *poll)
{
    uint64_t now = slu_job_now_us(job), patience = job->settles ? job->patience_ms : 0, end;
    bool must = must_wait(job) || poll == &look_poll;
    bool own = (must && job->acted) || !job->caller_until_us;
    uint64_t most = own ? job->end_us : job->caller_until_us;

    if (must && patience < PATIENCE_MS)
        patience = PATIENCE_MS;
    end = now + 1000 * (patience < poll->limit_ms ? patience : poll->limit_ms);
    return end < most ? end : most;
}

/* Until the last look has to begin. */
static uint64_t room_us(const struct slu_job *job, uint64_t now)
{
    uint64_t kept = job->target->memory ? 0 : LAST_LOOK_MS * 1000;

    return now + kept < job->settle_until_us ? job->settle_until_us - kept - now : 0;
}

/* Waits a while, then looks at the flow log; ends when the patience does. */
enum slu_job_step slu_settle(struct slu_job *job)
{
    const struct slu_poll *poll = slu_settle_poll(job);
    uint64_t now = slu_clock_mono_us(), pause, room;
    bool first = job->settle_until_us == 0;

    if (slu_settle_unheard(job))
        return slu_settle_give_up(job);
    if (job->left && (!job->acted || job->station->worker->ending))
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (job->look_turn && !job->has_look)
        return job->timer_ready ? slu_settle_give_up(job) : JOB_WAIT;
    if (job->timer_ready || job->has_look)
        return look(job);
    if (job->pausing)
        return JOB_WAIT;
    if (first)
        job->settle_until_us = patience_ends_us(job, poll);
    room = room_us(job, now);
    if (room <= (first || job->target->memory ? 0 : LEAST_PAUSE_MS * 1000))
        return give_up(job);
    pause = (uint64_t)(first ? poll->first_ms : poll->every_ms) * 1000;
    if (pause > room)
        pause = room;
    job->pause_began_us = now;
    job->pausing = true;
    return slu_timer_set(&job->timer, (uint32_t)(pause / 1000) + 1) ? JOB_WAIT
                                                                    : slu_job_out_of_memory(job);
}
