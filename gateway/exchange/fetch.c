/*
 * Tokens: a target whose scheme needs one gets it here. cloud/tokens.h says who fetches; this file
 * sends the message, and keeps each thread's seal armed with the token that is in force.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/time.h"

enum { LOOK_AGAIN_MS = 1000 }; /* should a wake be lost for want of memory */

/* Where a wake would be lost the timer ends the wait. */
static void woken(void *argument)
{
    struct slu_job *job = argument;

    job->token_ready = true;
    slu_job_resume(job);
}

/* The request's body holds the secret, and is needed no more. */
static void forget(struct slu_job *job)
{
    if (job->native.body.n)
        slu_wipe((void *)(uintptr_t)job->native.body.p, job->native.body.n);
    job->native = (struct slu_request){0};
}

static bool queued(const struct slu_job *job)
{
    return job->token_turn && job->token_turn->context;
}

void slu_fetch_leave(struct slu_job *job)
{
    if (!queued(job))
        return;
    if (job->fetching)
        forget(job);
    job->fetching = false;
    slu_tokens_leave(job->station->worker->gateway->tokens, job->token_turn);
    slu_wake_done(&job->token_wake);
    *job->token_turn = (struct slu_tokens_turn){0};
}

/* A place in the queue is kept until it has come to its end: who was woken may have been told to
 * fetch, or why the one who fetched has failed. */
static bool queue_up(struct slu_job *job)
{
    if (!job->token_turn)
        job->token_turn = slu_arena_zero(job->arena, sizeof(*job->token_turn));
    if (!job->token_turn ||
        !slu_wake_init(&job->token_wake, job->station->worker->loop, woken, job))
        return false;
    job->token_turn->wake = slu_wake_call;
    job->token_turn->context = job->token_wake;
    return true;
}

static struct slu_fetching *fetching_of(const struct slu_job *job)
{
    return job->station->fetching[job->target - job->station->catalog->targets];
}

static struct slu_seal *seal_of(const struct slu_job *job)
{
    return job->station->seals[job->target - job->station->catalog->targets];
}

/* The message */

static void iam_answered(const struct slu_call_result *result, void *user)
{
    struct slu_job *job = user;

    job->result = *result;
    job->call = NULL;
    job->call_is_back = true;
    slu_job_resume(job);
}

/* Of the fetch, or of the wait for another's. */
static uint32_t timeout_ms(const struct slu_job *job, uint32_t most)
{
    uint64_t now = slu_job_now_us(job), until = slu_attempt_begin_until_us(job);
    uint64_t left = until > now ? (until - now) / 1000 + 1 : 1;

    return left < most ? (uint32_t)left : most;
}

static bool ask(struct slu_job *job, struct slu_fault *fault)
{
    const struct slu_token_endpoint *endpoint = &job->target->credentials.token;

    job->native = (struct slu_request){0};
    if (!slu_seal_ask(seal_of(job), job->arena, &job->native, fault))
        return false;
    job->native.scheme = endpoint->scheme;
    job->native.host = endpoint->host;
    if (endpoint->base_path.n)
        job->native.path = slu_arena_join(job->arena, endpoint->base_path, job->native.path);
    job->call = slu_upstream_send(fetching_of(job)->upstream, &job->native, job->arena,
                                  timeout_ms(job, job->target->timeout_ms), iam_answered, job);
    return job->call || slu_fault_memory(fault);
}

/* Tokens are kept by the clock that does not jump. */
static int64_t steady_s(void)
{
    return (int64_t)(slu_clock_mono_us() / 1000000);
}

/* The time by which the token's end is told: the Date of the reply, or else ours. */
static int64_t clock_there_s(const struct slu_response *response)
{
    struct slu_str date = slu_headers_value(&response->headers, SLU_STR("date"));
    int64_t now_s = slu_clock_real_s(), date_s;

    return slu_time_date(date, now_s, &date_s) ? date_s : now_s;
}

/* False, and all who wait are told why, when the answer brought no token. */
static bool take_reply(struct slu_job *job, struct slu_fault *fault)
{
    struct slu_tokens *tokens = job->station->worker->gateway->tokens;
    struct slu_token token;
    bool read = false, good = false;

    forget(job);
    if (job->result.sent != SLU_SENT_ANSWERED)
        slu_fault_set(fault, job->result.fault.kind, "", "fetching a token: %s",
                      job->result.fault.words);
    else
        read = slu_seal_answer(seal_of(job), job->arena, &job->result.response, &token, fault);
    if (read) {
        token.until_s -= clock_there_s(&job->result.response) - steady_s();
        good = slu_tokens_put(tokens, job->token_turn, &token, steady_s(), fault);
    } else {
        slu_tokens_fail(tokens, job->token_turn, steady_s(), fault);
    }
    slu_wake_done(&job->token_wake);
    *job->token_turn = (struct slu_tokens_turn){0};
    return good;
}

/* The step */

static enum slu_job_step wait_for_other(struct slu_job *job)
{
    if (slu_job_now_us(job) >= slu_attempt_begin_until_us(job)) {
        slu_fetch_leave(job);
        return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                            "a token for the target could not be had in time; nothing was sent");
    }
    return slu_timer_set(&job->timer, timeout_ms(job, LOOK_AGAIN_MS)) ? JOB_WAIT
                                                                      : slu_job_out_of_memory(job);
}

static enum slu_job_step have(struct slu_job *job, const struct slu_token *token)
{
    struct slu_fetching *fetching = fetching_of(job);
    bool good = !token->text.p || slu_seal_arm(seal_of(job), token);

    slu_timer_stop(&job->timer);
    job->timer_ready = false;
    if (token->text.p)
        slu_wipe((void *)(uintptr_t)token->text.p, token->text.n);
    if (!good)
        return slu_job_out_of_memory(job);
    fetching->generation = job->token_generation;
    return JOB_TRANSLATE;
}

/* `failed`: this job's own fetch brought none, for this reason; then it does not try once more, but
 * an older token may serve. */
static enum slu_job_step take(struct slu_job *job, const struct slu_fault *failed)
{
    struct slu_tokens *tokens = job->station->worker->gateway->tokens;
    struct slu_fetching *fetching = fetching_of(job);
    struct slu_token token = {.text = SLU_STR_NONE};
    struct slu_fault fault = {0};

    if (!queue_up(job))
        return slu_job_out_of_memory(job);
    switch (slu_tokens_take(tokens, &fetching->key, steady_s(), fetching->generation,
                            job->token_turn, job->arena, &token, &job->token_generation, &fault)) {
    case SLU_TOKENS_HAVE:
        slu_fetch_leave(job);
        return have(job, &token);
    case SLU_TOKENS_FETCH:
        if (failed)
            break;
        job->fetching = ask(job, &fault);
        if (job->fetching)
            return JOB_WAIT;
        forget(job);
        slu_tokens_fail(tokens, job->token_turn, steady_s(), &fault);
        break;
    case SLU_TOKENS_WAIT:
        if (failed)
            break;
        return wait_for_other(job);
    case SLU_TOKENS_FAILED:
        break;
    }
    slu_fetch_leave(job);
    return slu_job_fail(job, 'U', failed ? failed->kind : fault.kind, "%s",
                        failed ? failed->words : fault.words);
}

static enum slu_job_step fetched(struct slu_job *job)
{
    struct slu_fault fault = {0};
    bool good;

    job->call_is_back = job->fetching = false;
    job->spent.calls++;
    good = take_reply(job, &fault);
    return take(job, good ? NULL : &fault);
}

enum slu_job_step slu_fetch(struct slu_job *job)
{
    if (job->dry_run || !fetching_of(job) || !slu_mistakes_none(job->mistakes))
        return JOB_TRANSLATE; /* which tells the mistakes: no token is needed for that */
    if (job->call_is_back)
        return fetched(job);
    if (job->left && (!job->acted || job->station->worker->ending))
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (job->fetching)
        return JOB_WAIT;
    if (queued(job) && !job->token_ready && !job->timer_ready)
        return JOB_WAIT;
    job->token_ready = job->timer_ready = false;
    return take(job, NULL);
}

/* Once a job: a second refusal is about the credential and not about its age. */
bool slu_fetch_again(struct slu_job *job)
{
    struct slu_fetching *fetching = fetching_of(job);

    if (!fetching || job->renewed)
        return false;
    slu_tokens_refuse(job->station->worker->gateway->tokens, &fetching->key, job->token_generation);
    job->renewed = true;
    return true;
}
