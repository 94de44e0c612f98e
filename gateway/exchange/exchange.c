/*
 * The life of a request, told once.
 *
 *   admit       who asks, for what, with which right: judged at the head
 *   receive     the body arrives (or the wait for it ends)
 *   understand  the body becomes a canonical flow log: checked, aliases put in place; at a door
 *               the signature is verified and the native request read first
 *   record      a write is in the journal before anything of it is sent
 *   work        its jobs are under way: one, or one for each of several targets (job.h)
 *   reply       the only step the caller hears
 *   settled     the write's end is in the journal
 *   close       the answer leaves
 *   done        the one exit: told in the access line, given back
 *
 * Each step does one thing and returns the step that comes next, or WAIT. Callbacks of net/ store
 * what they learned and resume. A caller who leaves walks the same road: reads are dropped, writes
 * that may have reached the cloud are followed to their end, so that the log says what became of
 * them, unless the worker itself has to end first.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/text.h"

#include <stdarg.h>
#include <stdio.h>

static enum slu_step admit(struct slu_exchange *x);
static enum slu_step receive(struct slu_exchange *x);
static enum slu_step understand(struct slu_exchange *x);
static enum slu_step record(struct slu_exchange *x);
static enum slu_step work(struct slu_exchange *x);
static enum slu_step reply(struct slu_exchange *x);
static enum slu_step close_talk(struct slu_exchange *x);
static enum slu_step done(struct slu_exchange *x);

enum { REFUSAL_BYTES = 16384 }; /* to tell that there is no memory */

#define TO(step) (1u << STEP_##step)

static const struct {
    struct slu_str name;
    char letter; /* in the access line */
    enum slu_step (*run)(struct slu_exchange *x);
    unsigned next; /* the steps that may follow */
} life[] = {
    /* clang-format off */
    [STEP_ADMIT]      = {SLU_STR_INIT("admit"),      'A', admit,      TO(RECEIVE) | TO(RECORD) | TO(REPLY)},
    [STEP_RECEIVE]    = {SLU_STR_INIT("receive"),    'B', receive,    TO(UNDERSTAND) | TO(REPLY) | TO(DONE)},
    [STEP_UNDERSTAND] = {SLU_STR_INIT("understand"), 'U', understand, TO(RECORD) | TO(REPLY)},
    [STEP_RECORD]     = {SLU_STR_INIT("record"),     'J', record,     TO(WORK) | TO(REPLY)},
    [STEP_WORK]       = {SLU_STR_INIT("work"),       'W', work,       TO(REPLY)},
    [STEP_REPLY]      = {SLU_STR_INIT("reply"),      'R', reply,      TO(SETTLE) | TO(DONE)},
    [STEP_SETTLE]     = {SLU_STR_INIT("settled"),    'E', slu_record_end, TO(CLOSE)},
    [STEP_CLOSE]      = {SLU_STR_INIT("close"),      'L', close_talk, TO(DONE)},
    [STEP_DONE]       = {SLU_STR_INIT("done"),       'D', done,       0},
    /* clang-format on */
};

struct slu_str slu_step_name(enum slu_step step)
{
    return life[step].name;
}

/* Moving */

static void trace_move(struct slu_exchange *x)
{
    uint64_t now = slu_clock_mono_us();

    x->spans_us[x->step] += now - x->step_began_us;
    x->step_began_us = now;
}

void slu_exchange_resume(struct slu_exchange *x)
{
    enum slu_step next;

    if (x->resuming)
        return; /* a callback inside a step: the loop below will see what it stored */
    x->resuming = true;
    while ((next = life[x->step].run(x)) != STEP_WAIT) {
        slu_must(life[x->step].next & (1u << next));
        trace_move(x);
        x->step = next;
        if (next == STEP_DONE) {
            life[STEP_DONE].run(x); /* x is gone after this */
            return;
        }
    }
    trace_move(x);
    x->resuming = false;
}

static void decide(struct slu_exchange *x, char who)
{
    if (x->ended_by != '-')
        return;
    x->ended_by = who;
    x->ended_letter = life[x->step].letter;
}

enum slu_step slu_exchange_fail(struct slu_exchange *x, enum slu_fault_kind kind, const char *place,
                                const char *format, ...)
{
    char words[sizeof(x->fault.words)];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    slu_fault_set(&x->fault, kind, place, "%s", words);
    decide(x, 'G');
    return STEP_REPLY;
}

/* The worker's random prefix and a counter: never twice in the fleet, and cheap. For requests and
 * nonces. */
struct slu_str slu_worker_fresh_id(struct slu_worker *worker, struct slu_arena *arena)
{
    enum { PREFIX = sizeof(worker->id_prefix) - 1, COUNTER = 8 };
    uint64_t count = ++worker->id_count;
    unsigned char bytes[COUNTER];
    char *text = slu_arena_get(arena, PREFIX + 2 * COUNTER);

    if (!text)
        return SLU_STR_NONE;
    for (size_t i = 0; i < COUNTER; i++)
        bytes[i] = (unsigned char)(count >> (8 * (COUNTER - 1 - i)));
    memcpy(text, worker->id_prefix, PREFIX);
    slu_hex_write(text + PREFIX, bytes, COUNTER);
    return (struct slu_str){text, PREFIX + 2 * COUNTER};
}

/* The steps */

static enum slu_step admit(struct slu_exchange *x)
{
    if (x->fault.kind != SLU_FAULT_NONE) { /* the parser refused the message */
        decide(x, 'G');
        return STEP_REPLY;
    }
    if (!x->door)
        return slu_rest_admit(x);
    if (!slu_exchange_want_body(x)) /* the signature covers it */
        return STEP_REPLY;
    return STEP_RECEIVE;
}

static enum slu_step receive(struct slu_exchange *x)
{
    if (x->gone) {
        decide(x, 'C');
        return STEP_DONE;
    }
    if (x->fault.kind != SLU_FAULT_NONE) {
        decide(x, 'G');
        return STEP_REPLY;
    }
    return x->body_is_here ? STEP_UNDERSTAND : STEP_WAIT;
}

static enum slu_step understand(struct slu_exchange *x)
{
    return x->door ? slu_door_understand(x) : slu_rest_understand(x);
}

/* Memory: what all requests together may hold is bounded. A body is paid for before it comes, by
 * the length that it announces; what else a request needs, beyond a share of its own, as it needs
 * it. A read is refused at any time. A write is refused until it is recorded and sent; from then on
 * it is only counted, for its end must be known. */

const char slu_memory_is_spent[] =
    "the memory for requests under way is used up; try again in a moment";

static struct slu_budget *bodies_of(const struct slu_exchange *x)
{
    return x->station->worker->gateway->bodies;
}

static void hold_body(struct slu_exchange *x, uint64_t bytes)
{
    x->body_bytes = bytes;
    slu_arena_share(x->arena, bodies_of(x), SLU_OWN_BYTES + (size_t)bytes);
}

bool slu_exchange_want_body(struct slu_exchange *x)
{
    uint64_t most = x->station->catalog->limits.body_bytes, bytes = slu_talk_announced(x->talk);

    if (bytes > most)
        bytes = most;
    if (!slu_budget_take(bodies_of(x), bytes)) {
        slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "", "%s", slu_memory_is_spent);
        return false;
    }
    hold_body(x, bytes);
    slu_talk_want_body(x->talk, (uint32_t)most);
    return true;
}

/* One that came in chunks was held as if it were the largest. */
static void hold_what_came(struct slu_exchange *x)
{
    uint64_t before = x->body_bytes, bytes = x->request->body.n;

    if (bytes >= before)
        return;
    hold_body(x, bytes);
    slu_budget_give(bodies_of(x), before - bytes);
}

static enum slu_step record(struct slu_exchange *x)
{
    if (x->has_operation && slu_operation_writes(x->operation))
        slu_arena_insist(x->arena);
    return slu_record_begin(x);
}

static void refuse_for_memory(struct slu_exchange *x)
{
    x->fault = (struct slu_fault){0};
    x->response = (struct slu_response){0};
    x->door_word = NULL;
    slu_mistakes_init(&x->mistakes, x->arena);
    slu_arena_reserve(x->arena, REFUSAL_BYTES);
    if (x->job)
        x->job->outcome = (struct slu_outcome){.retry_after_ms = SLU_SPENT_MS};
    slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "", "%s", slu_memory_is_spent);
}

/* Jobs */

static void job_is_over(struct slu_job *job, void *user)
{
    struct slu_exchange *x = user;

    (void)job;
    slu_must(x->jobs_left > 0);
    x->jobs_left--;
    slu_exchange_resume(x);
}

static bool keep_job(struct slu_exchange *x, struct slu_job *job)
{
    struct slu_job **jobs;

    if (x->job_count % 8 == 0) {
        jobs = slu_arena_get(x->arena, (x->job_count + 8) * sizeof(struct slu_job *));
        if (!jobs)
            return false;
        if (x->job_count)
            memcpy(jobs, x->jobs, x->job_count * sizeof(struct slu_job *));
        x->jobs = jobs;
    }
    x->jobs[x->job_count++] = job;
    return true;
}

/* A second at least, so that the cloud can be asked at all. */
static uint64_t caller_until_us(struct slu_exchange *x)
{
    uint64_t now = slu_loop_now_us(x->station->worker->loop);

    if (x->prefers_wait && !x->detached && !x->caller_until_us)
        x->caller_until_us = now + (x->wait_s ? x->wait_s : 1) * UINT64_C(1000000);
    return x->caller_until_us;
}

struct slu_job *slu_exchange_job(struct slu_exchange *x, const struct slu_target *target,
                                 enum slu_operation operation, bool own)
{
    struct slu_mistakes *mistakes = &x->mistakes;
    struct slu_losses *losses = &x->losses;
    struct slu_job *job;

    if (own) {
        mistakes = slu_arena_get(x->arena, sizeof(*mistakes));
        losses = slu_arena_get(x->arena, sizeof(*losses));
        if (mistakes)
            slu_mistakes_init(mistakes, x->arena);
        if (losses)
            slu_losses_init(losses, x->arena, x->lenient);
    }
    job = mistakes && losses
              ? slu_job_new(x->station, x->arena, target, operation, mistakes, losses)
              : NULL;
    if (!job || !keep_job(x, job)) {
        slu_fault_memory(&x->fault);
        return NULL;
    }
    job->request_id = x->id;
    job->trace_id = x->trace_id;
    job->trace_flags = x->trace_flags;
    job->dry_run = x->dry_run;
    job->replace = x->replace;
    job->settles = x->prefers_wait;
    job->patience_ms = x->wait_s * 1000;
    job->caller_until_us = caller_until_us(x);
    job->id = x->flow_log_id;
    job->over = job_is_over;
    job->user = x;
    return job;
}

void slu_exchange_start(struct slu_exchange *x, struct slu_job *job)
{
    x->jobs_left++;
    x->entry.x = x;
    if (x->recorded)
        job->entry = &x->entry;
    if (x->recorded && !slu_record_token(x, job))
        job->arena->failed = true; /* it ends with its first act */
    slu_job_start(job);
}

enum slu_step slu_exchange_work(struct slu_exchange *x, struct slu_job *job)
{
    if (!job) {
        decide(x, 'G');
        return STEP_REPLY;
    }
    x->job = job;
    return STEP_RECORD;
}

/* The one job's end is the exchange's. */
static void take_over(struct slu_exchange *x, const struct slu_job *job)
{
    x->flow_log = job->flow_log;
    x->flow_log_id = job->id;
    x->cloud_status = job->cloud_status;
    if (job->fault.kind != SLU_FAULT_NONE)
        slu_fault_set(&x->fault, job->fault.kind, job->fault.place, "%s", job->fault.words);
    if (x->ended_by == '-') {
        x->ended_by = job->ended_by;
        x->ended_letter = job->ended_letter;
    }
}

static void start_all(struct slu_exchange *x)
{
    size_t count = x->job_count; /* what has begun may make more */

    for (size_t i = 0; i < count; i++)
        if (!x->jobs[i]->started)
            slu_exchange_start(x, x->jobs[i]);
}

/* Prefer: wait. What ends with the caller's time by itself has more to tell: it is let do so. */
enum { GRACE_MS = 100 };

static void callers_time_ends(void *argument)
{
    struct slu_exchange *x = argument;

    x->out_of_patience = true;
    slu_exchange_resume(x);
}

static bool may_go_on(const struct slu_exchange *x)
{
    return x->recorded && x->caller_until_us && x->talk && !x->gone && !x->told_early;
}

static void watch_the_time(struct slu_exchange *x)
{
    uint64_t now = slu_loop_now_us(x->station->worker->loop);
    uint64_t left = x->caller_until_us > now ? x->caller_until_us - now : 0;

    if (!may_go_on(x) || x->watched)
        return;
    x->watched = true;
    slu_timer_init(&x->timer, x->station->worker->loop, callers_time_ends, x);
    if (!slu_timer_set(&x->timer, (uint32_t)(left / 1000) + GRACE_MS))
        slu_log(SLU_LOG_DEBUG, "wait", "no memory for the caller's time: the answer may come late");
}

/* The caller's time is over and a recorded write is not: he hears where to ask for its end, and it
 * goes on as if he had not waited. */
static void answer_early(struct slu_exchange *x)
{
    if (!x->out_of_patience || !may_go_on(x))
        return;
    x->handed_on = true;
    slu_rest_reply(x);
    x->handed_on = false;
    x->told_early = x->response.status;
    x->detached = true;
    slu_talk_answer(x->talk, &x->response, true);
    x->response = (struct slu_response){0};
}

static enum slu_step work(struct slu_exchange *x)
{
    start_all(x);
    watch_the_time(x);
    if (x->gone && (!x->detached || x->station->worker->ending))
        for (size_t i = 0; i < x->job_count; i++)
            if (!x->jobs[i]->left || x->station->worker->ending)
                slu_job_leave(x->jobs[i]);
    if (x->jobs_left || (!x->job && slu_rest_worked(x))) {
        slu_progress_watch(x);
        answer_early(x);
        return STEP_WAIT;
    }
    if (slu_record_asks_removal(x))
        return STEP_WAIT;
    if (x->job)
        take_over(x, x->job);
    return STEP_REPLY;
}

struct slu_job_spent slu_exchange_spent(const struct slu_exchange *x)
{
    struct slu_job_spent all = {0};

    for (size_t i = 0; i < x->job_count; i++) {
        const struct slu_job_spent *one = &x->jobs[i]->spent;

        all.calls += one->calls;
        all.cloud_us += one->cloud_us;
        all.bytes_out += one->bytes_out;
        all.bytes_in += one->bytes_in;
    }
    return all;
}

static void make_response(struct slu_exchange *x)
{
    if (x->detached && !x->route)
        slu_recovered_reply(x);
    else if (x->door)
        slu_door_reply(x);
    else
        slu_rest_reply(x);
}

static enum slu_step reply(struct slu_exchange *x)
{
    if (x->gone && !x->detached)
        decide(x, 'C');
    if (x->gone && !x->recorded)
        return STEP_DONE;
    slu_revisit_plan(x);
    make_response(x);
    if (x->arena->refused) {
        refuse_for_memory(x);
        make_response(x);
    }
    x->answered = true;
    return STEP_SETTLE;
}

/* At a door onto the memory cloud the connection may have been ordered to break. */
static void end_talk(struct slu_exchange *x)
{
    enum slu_trouble breaks = x->door && x->job ? x->job->breaks : SLU_TROUBLE_NONE;

    if (breaks == SLU_TROUBLE_NONE) {
        slu_talk_answer(x->talk, &x->response, x->station->worker->draining);
        return;
    }
    decide(x, 'U');
    slu_talk_abort(x->talk, breaks == SLU_TROUBLE_CUT_REPLY ? &x->response : NULL,
                   breaks != SLU_TROUBLE_LOST_REPLY);
}

static enum slu_step close_talk(struct slu_exchange *x)
{
    if (x->answered && !x->gone && !x->told_early)
        end_talk(x);
    x->answered = false;
    if (x->gone && !x->detached)
        decide(x, 'C');
    return x->written || x->gone ? STEP_DONE : STEP_WAIT;
}

/* The steps in which others are waited for. A job tells its own. */
static const unsigned waits = TO(RECEIVE) | TO(RECORD) | TO(WORK) | TO(SETTLE) | TO(CLOSE);

uint64_t slu_exchange_own_us(const struct slu_exchange *x)
{
    uint64_t own = 0;

    for (size_t i = 0; i < STEP_COUNT; i++)
        own += waits & (1u << i) ? 0 : x->spans_us[i];
    for (size_t i = 0; i < x->job_count; i++)
        for (size_t k = 0; k < JOB_STEP_COUNT; k++)
            own += slu_job_step_waits((enum slu_job_step)k) ? 0 : x->jobs[i]->spans_us[k];
    return own;
}

static void count_request(struct slu_exchange *x)
{
    struct slu_worker *worker = x->station->worker;
    struct slu_slot *slot = x->target ? x->station->slots[x->target - x->station->catalog->targets]
                                      : slu_metrics_slot(worker->gateway->metrics, SLU_STR_NONE);
    size_t operation = x->has_operation ? (size_t)x->operation : SLU_OP_COUNT;

    slu_count(&slot->requests[operation][x->fault.kind], 1);
    slu_histogram_add(&slot->total, x->step_began_us - x->began_us);
    slu_histogram_add(&slot->own, slu_exchange_own_us(x));
}

static void link_exchange(struct slu_exchange *x, struct slu_worker *worker)
{
    x->next = worker->exchanges;
    x->back = &worker->exchanges;
    if (x->next)
        x->next->back = &x->next;
    worker->exchanges = x;
}

static void unlink_exchange(struct slu_exchange *x)
{
    *x->back = x->next;
    if (x->next)
        x->next->back = x->back;
}

void slu_exchange_end_all(struct slu_worker *worker)
{
    worker->ending = true;
    while (worker->exchanges) {
        slu_must(worker->exchanges->gone);
        slu_exchange_resume(worker->exchanges);
    }
}

static void free_own_arena(struct slu_arena *arena)
{
    slu_arena_done(arena); /* and with it the exchange */
    slu_mem_free(arena);
}

static enum slu_step done(struct slu_exchange *x)
{
    struct slu_station *station = x->station;
    struct slu_talk *talk = x->talk;

    count_request(x);
    slu_access_line(x);
    for (size_t i = 0; i < x->job_count; i++)
        slu_job_done(x->jobs[i]);
    slu_record_leave(x);
    slu_timer_done(&x->watch);
    slu_revisit_over(x);
    slu_budget_give(bodies_of(x), x->body_bytes);
    unlink_exchange(x);
    station->worker->in_flight--;
    if (talk) {
        slu_talk_set_user(talk, NULL);
        slu_talk_release(talk); /* x is gone: it lay in the talk's arena */
    } else {
        free_own_arena(x->arena);
    }
    slu_station_unref(station);
    return STEP_WAIT;
}

/* What net/ tells us */

/* There is no memory even for an exchange. */
static void answer_without_exchange(struct slu_talk *talk)
{
    struct slu_response response = {0};

    slu_respond(slu_talk_arena(talk), &response, 503, NULL, "");
    slu_talk_answer(talk, &response, true);
}

static struct slu_exchange *exchange_new(struct slu_worker *worker, struct slu_arena *arena)
{
    struct slu_exchange *x = slu_arena_zero(arena, sizeof(*x));

    if (!x)
        return NULL;
    slu_arena_share(arena, worker->gateway->bodies, SLU_OWN_BYTES);
    x->station = worker->station;
    x->station->references++;
    worker->in_flight++;
    x->arena = arena;
    x->step_began_us = slu_clock_mono_us();
    x->ended_by = '-';
    x->ended_letter = '-';
    slu_losses_init(&x->losses, arena, false);
    slu_mistakes_init(&x->mistakes, arena);
    link_exchange(x, worker);
    return x;
}

struct slu_exchange *slu_exchange_without_caller(struct slu_worker *worker)
{
    struct slu_arena *arena = slu_mem_new(sizeof(*arena));
    struct slu_exchange *x;

    if (!arena)
        return NULL;
    slu_arena_init(arena, worker->station->catalog->limits.request_bytes);
    x = exchange_new(worker, arena);
    if (!x) {
        free_own_arena(arena);
        return NULL;
    }
    slu_arena_insist(arena);
    x->began_us = x->step_began_us;
    x->step = STEP_WORK;
    x->gone = true; /* there was a caller once */
    return x;
}

static struct slu_exchange *begin(struct slu_talk *talk, struct slu_front *front)
{
    struct slu_worker *worker = front->worker;
    struct slu_exchange *x = exchange_new(worker, slu_talk_arena(talk));

    if (!x)
        return NULL;
    x->talk = talk;
    x->request = slu_talk_request(talk);
    x->door = front->is_door ? &x->station->catalog->doors[front->door] : NULL;
    x->began_us = slu_talk_began_us(talk);
    x->id = slu_worker_fresh_id(worker, x->arena);
    slu_talk_set_user(talk, x);
    return x;
}

static void on_head(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = begin(talk, user);

    if (!x) {
        answer_without_exchange(talk);
        return;
    }
    slu_exchange_resume(x);
}

static void on_body(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    (void)user;
    if (!x)
        return;
    hold_what_came(x);
    x->body_is_here = true;
    slu_exchange_resume(x);
}

static void on_refused(struct slu_talk *talk, const struct slu_fault *fault, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    if (!x)
        x = begin(talk, user);
    if (!x) {
        answer_without_exchange(talk);
        return;
    }
    slu_fault_set(&x->fault, fault->kind, fault->place, "%s", fault->words);
    slu_exchange_resume(x);
}

static void on_gone(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    (void)user;
    if (!x) {
        slu_talk_release(talk);
        return;
    }
    x->gone = true;
    slu_exchange_resume(x);
}

static void on_written(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    (void)user;
    if (!x) {
        slu_talk_release(talk);
        return;
    }
    x->written = true;
    x->gone = x->gone || x->told_early; /* the talk will not say so any more */
    slu_exchange_resume(x);
}

const struct slu_server_handler slu_exchange_handler = {on_head, on_body, on_refused, on_gone,
                                                        on_written};
