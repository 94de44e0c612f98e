/*
 * One attempt of a native call and what follows when it fails: admission by the target's guards
 * (how many at once, how fast, whether it is there at all), a pause and the same again, or a look
 * at what a write of unknown end has done. The rules are cloud/retry.h's; this file carries them
 * out.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/time.h"

enum { WOKEN_MOST_MS = 1000 }; /* should a wake be lost for want of memory */

static struct slu_guard *guard_of(const struct slu_job *job)
{
    return job->station->guards[job->target - job->station->catalog->targets];
}

/* 32 bits: mrand48(3) draws from all of them. */
uint32_t slu_attempt_random(const struct slu_job *job)
{
    long word = 0;

    (void)mrand48_r(&job->station->worker->dice, &word);
    return (uint32_t)word;
}

static uint64_t sooner(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* A look while an act settles has its own time: the one for attempts may be over by then. */
static uint64_t until_us(const struct slu_job *job)
{
    uint64_t look = slu_job_now_us(job) + (uint64_t)job->target->timeout_ms * 1000;

    return job->looking ? sooner(look, job->settle_until_us) : job->until_us;
}

/* What has begun is finished: a first attempt may come after the caller's time. */
uint64_t slu_attempt_begin_until_us(const struct slu_job *job)
{
    bool goes_on = job->acted && job->made == 0 && slu_operation_writes(job->asking);

    return goes_on ? job->end_us : until_us(job);
}

/* A write that was sent is not abandoned for the sake of the caller's time. */
uint64_t slu_attempt_call_until_us(const struct slu_job *job)
{
    return slu_operation_writes(job->asking) ? job->end_us : until_us(job);
}

void slu_attempt_clock(struct slu_job *job)
{
    uint64_t now = slu_job_now_us(job), total = job->target->total_timeout_ms;
    uint64_t patience = job->settles ? now + (uint64_t)job->patience_ms * 1000 : 0;

    job->until_us = total ? now + total * 1000 : UINT64_MAX;
    if (job->latest_us)
        job->until_us = sooner(job->until_us, job->latest_us);
    job->end_us = patience > job->until_us ? patience : job->until_us;
    if (job->caller_until_us)
        job->until_us = sooner(job->until_us, job->caller_until_us);
}

/* Admission */

/* Where a note would be lost the timer ends the wait. */
static void woken(void *argument)
{
    struct slu_job *job = argument;

    job->admit_ready = true;
    slu_job_resume(job);
}

static enum slu_job_step refuse(struct slu_job *job, uint32_t after_ms, const char *why)
{
    if (job->made == 0) {
        job->outcome.retry_after_ms = after_ms;
        return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE, "%s; nothing was sent", why);
    }
    job->outcome = job->why_outcome;
    job->unknown |= job->perhaps;
    return slu_job_fail(job, 'U', job->why.kind, "%s; it was not repeated: %s%s", job->why.words,
                        why, job->perhaps ? "; the change may have taken effect all the same" : "");
}

static bool wait_admission(struct slu_job *job, uint32_t ms)
{
    job->timer_ready = false;
    job->admitting = true;
    return slu_timer_set(&job->timer, ms ? ms : 1);
}

static enum slu_job_step next_step(const struct slu_job *job)
{
    return job->entry && slu_operation_writes(job->asking) ? JOB_FENCE : JOB_SIGN;
}

/* A place is there: is the target? Asked last, so that a probe does not wait. */
static enum slu_job_step pass_breaker(struct slu_job *job, struct slu_guard *guard)
{
    uint32_t after_ms = 0;

    job->passed = slu_breaker_admit(guard->breaker, slu_job_now_us(job), &job->pass, &after_ms);
    if (job->passed)
        return next_step(job);
    return refuse(job, after_ms,
                  "the target has failed too often of late and is left alone for a while");
}

enum slu_job_step slu_attempt_admit(struct slu_job *job)
{
    struct slu_guard *guard = guard_of(job);
    uint32_t wait_ms = 0;

    if (job->dry_run || !guard)
        return next_step(job);
    if (job->left && (!job->acted || job->station->worker->ending))
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (job->admitting && !job->timer_ready && !job->admit_ready)
        return JOB_WAIT;
    job->admitting = job->timer_ready = job->admit_ready = false;
    if (!slu_wake_init(&job->place_wake, job->station->worker->loop, woken, job))
        return slu_job_out_of_memory(job);
    job->place.wake = slu_wake_call;
    job->place.context = job->place_wake;
    switch (slu_limit_take(guard->limit, &job->place, slu_job_now_us(job),
                           slu_attempt_begin_until_us(job), &wait_ms)) {
    case SLU_LIMIT_GO:
        slu_timer_stop(&job->timer);
        return pass_breaker(job, guard);
    case SLU_LIMIT_PAUSE:
        return wait_admission(job, wait_ms) ? JOB_WAIT : slu_job_out_of_memory(job);
    case SLU_LIMIT_WAIT:
        return wait_admission(job, WOKEN_MOST_MS) ? JOB_WAIT : slu_job_out_of_memory(job);
    case SLU_LIMIT_FULL:
        return refuse(job, wait_ms, "too many requests wait for this target already");
    case SLU_LIMIT_LATE:
        if (slu_settle_late(job))
            return slu_settle_give_up(job);
        break;
    }
    return refuse(job, wait_ms, "the target could not be asked in time");
}

/* The place in the queue and the breaker's pass are given back. */
static void give_back(struct slu_job *job, enum slu_breaker_end end)
{
    struct slu_guard *guard = guard_of(job);

    if (!guard)
        return;
    if (job->place.context) {
        slu_limit_leave(guard->limit, &job->place);
        slu_wake_done(&job->place_wake);
        job->place = (struct slu_limit_turn){0};
    }
    if (job->passed)
        slu_breaker_tell(guard->breaker, job->pass, end, job->result.total_us, slu_job_now_us(job),
                         slu_attempt_random(job));
    job->passed = job->admitting = false;
}

void slu_attempt_leave(struct slu_job *job)
{
    if (!job->target->memory)
        give_back(job, SLU_BREAKER_NEITHER);
}

static void see_date(struct slu_job *job, struct slu_guard *guard, int64_t now_s)
{
    struct slu_str date = slu_headers_value(&job->result.response.headers, SLU_STR("date"));

    slu_skew_see(guard->skew, date, job->sent_s, now_s);
    if (job->latest_us && !slu_time_date(date, now_s, &job->date_s))
        job->date_s = 0;
}

void slu_attempt_tell(struct slu_job *job)
{
    bool answered = job->result.sent == SLU_SENT_ANSWERED;
    struct slu_guard *guard = guard_of(job);

    if (!guard)
        return;
    if (job->hurried && !answered && job->result.fault.kind == SLU_FAULT_UPSTREAM_TIMEOUT) {
        give_back(job, SLU_BREAKER_NEITHER); /* it might have answered in time */
        return;
    }
    if (answered)
        see_date(job, guard, slu_clock_real_s());
    give_back(job,
              slu_breaker_end_of(answered, answered ? job->outcome.kind : job->result.fault.kind,
                                 answered ? job->result.response.status : 0));
}

void slu_attempt_good(struct slu_job *job)
{
    slu_attempt_tell(job);
    job->made = 0;
    job->perhaps = false;
}

void slu_attempt_begin(struct slu_job *job)
{
    struct slu_guard *guard = guard_of(job);

    job->sent_s = slu_clock_real_s();
    if (guard && job->made == 0)
        slu_retry_budget_earn(guard->retries);
    job->made++;
    if (!slu_operation_writes(job->asking))
        return;
    job->writes++;
    job->find_until_us = 0;
    slu_claims_begin(job);
    slu_fence_sending(job);
    if (job->made == 1)
        slu_attempt_resume(job, 0);
}

void slu_attempt_resume(struct slu_job *job, int64_t age_ms)
{
    job->attempt_began_us = (int64_t)slu_clock_mono_us() - age_ms * 1000;
}

int64_t slu_attempt_age_s(const struct slu_job *job)
{
    return ((int64_t)slu_clock_mono_us() - job->attempt_began_us) / 1000000;
}

int64_t slu_attempt_time(const struct slu_job *job)
{
    const struct slu_guard *guard = guard_of(job);

    return slu_clock_real_s() + (guard ? slu_skew_offset_s(guard->skew) : 0);
}

/* After a failure */

static bool has_token(const struct slu_job *job)
{
    return job->asking == SLU_OP_CREATE && slu_table_token(job->target->table, SLU_OP_CREATE);
}

static struct slu_attempt attempt_of(const struct slu_job *job)
{
    bool answered = job->result.sent == SLU_SENT_ANSWERED;
    uint64_t now = slu_job_now_us(job), until = until_us(job);

    return (struct slu_attempt){
        .writes = slu_operation_writes(job->asking),
        .has_token = has_token(job),
        .reach = answered                               ? SLU_REACH_ANSWERED
                 : job->result.sent == SLU_SENT_NOTHING ? SLU_REACH_NOTHING
                                                        : SLU_REACH_PERHAPS,
        .kind = answered ? job->outcome.kind : job->result.fault.kind,
        .status = answered ? job->result.response.status : 0,
        .retry = job->outcome.retry,
        .listed = job->outcome.listed,
        .retry_after_ms = answered ? job->outcome.retry_after_ms : 0,
        .made = job->made,
        .most = job->target->retries + 1,
        .left_ms = until > now ? (until - now) / 1000 : 0,
    };
}

/* Refused for the time of its signature, which the reply's Date explains: once. */
static bool clock_is_corrected(struct slu_job *job)
{
    struct slu_guard *guard = guard_of(job);
    bool refused =
        job->result.sent == SLU_SENT_ANSWERED && job->outcome.kind == SLU_FAULT_CREDENTIALS;

    if (!refused || job->clock_corrected || !guard)
        return false;
    job->clock_corrected = slu_skew_correct(
        guard->skew, slu_headers_value(&job->result.response.headers, SLU_STR("date")), job->sent_s,
        slu_clock_real_s(), slu_skew_offset_s(guard->skew));
    return job->clock_corrected;
}

static enum slu_job_step pause_for(struct slu_job *job, uint32_t delay_ms)
{
    job->pausing = true;
    job->timer_ready = false;
    return slu_timer_set(&job->timer, delay_ms ? delay_ms : 1) ? JOB_PAUSE
                                                               : slu_job_out_of_memory(job);
}

/* Where the last attempt ends the row, an earlier one may have taken effect all the same: its
 * repetition may have met just that, as a conflict. */
static bool must_look(struct slu_job *job, const struct slu_retry_verdict *verdict,
                      const struct slu_attempt *attempt)
{
    bool wanted =
        verdict->act == SLU_RETRY_LOOK || (job->perhaps && attempt->left_ms >= SLU_RETRY_LEAST_MS);

    return wanted && slu_find_possible(job);
}

enum slu_job_step slu_attempt_failed(struct slu_job *job)
{
    struct slu_retry_verdict verdict;
    struct slu_attempt attempt;

    if (!guard_of(job))
        return JOB_OVER;
    attempt = attempt_of(job);
    slu_attempt_tell(job);
    slu_claims_end(job);
    if (job->left && !job->acted && !attempt.writes)
        return JOB_OVER;
    attempt.clock_corrected = clock_is_corrected(job);
    verdict = slu_retry_decide(&attempt, guard_of(job)->retries, slu_job_now_us(job),
                               slu_attempt_random(job));
    job->perhaps |= verdict.perhaps || verdict.act == SLU_RETRY_LOOK;
    job->unsure |= job->perhaps;
    job->acted |= job->perhaps;
    job->futile = verdict.why == SLU_RETRY_FUTILE;
    job->why_outcome = job->outcome;
    job->looks_for = false;
    if (verdict.act == SLU_RETRY_AGAIN) /* what did nothing is not sent again for nobody */
        return job->left && !job->acted ? JOB_OVER : pause_for(job, verdict.delay_ms);
    job->looks_for = must_look(job, &verdict, &attempt);
    job->unknown |= !job->looks_for && job->perhaps;
    return job->looks_for ? pause_for(job, verdict.delay_ms) : JOB_OVER;
}

enum slu_job_step slu_attempt_again(struct slu_job *job)
{
    uint64_t now = slu_job_now_us(job);
    struct slu_attempt attempt = {
        .writes = true,
        .reach = SLU_REACH_NOTHING,
        .kind = SLU_FAULT_UPSTREAM_UNREACHABLE,
        .made = job->made,
        .most = job->target->retries + 1,
        .retry_after_ms = job->why_outcome.retry_after_ms,
        .left_ms = job->until_us > now ? (job->until_us - now) / 1000 : 0,
    };
    struct slu_retry_verdict verdict;

    if (job->futile)
        return JOB_OVER;
    verdict = slu_retry_decide(&attempt, guard_of(job)->retries, now, slu_attempt_random(job));
    job->looks_for = false;
    return verdict.act == SLU_RETRY_AGAIN ? pause_for(job, verdict.delay_ms) : JOB_OVER;
}

/* The pause before the next attempt, or before a look. */
enum slu_job_step slu_attempt_pause(struct slu_job *job)
{
    if (job->left && (!job->acted || job->station->worker->ending))
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (!job->timer_ready)
        return JOB_WAIT;
    job->timer_ready = job->pausing = false;
    job->outcome = (struct slu_outcome){.kind = SLU_FAULT_NONE};
    return job->looks_for ? JOB_FIND : JOB_FETCH;
}
