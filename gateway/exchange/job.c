/*
 * The life of a job, told once: see job.h. Each step does one thing and returns the step that comes
 * next, or WAIT. Callbacks of net/ store what they learned and resume. One function moves, and
 * checks that the table allows the move.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"
#include "codec/merge.h"
#include "codec/text.h"

#include <stdarg.h>
#include <stdio.h>

static enum slu_job_step translate(struct slu_job *job);
static enum slu_job_step sign(struct slu_job *job);
static enum slu_job_step send(struct slu_job *job);
static enum slu_job_step normalise(struct slu_job *job);
static enum slu_job_step over(struct slu_job *job);

#define TO(step) (1u << JOB_##step)

static const struct {
    struct slu_str name;
    char letter; /* in the access line */
    bool waits;  /* for others */
    enum slu_job_step (*run)(struct slu_job *job);
    unsigned next; /* the steps that may follow */
} life[] = {
    /* clang-format off */
    [JOB_PLAN]      = {SLU_STR_INIT("plan"),      'D', false, slu_programme_next, TO(TURN) | TO(IMITATE) | TO(FIND) | TO(OVER)},
    [JOB_TURN]      = {SLU_STR_INIT("turn"),      'Q', true,  slu_serial_turn,    TO(LOCK) | TO(FETCH) | TO(OVER)},
    [JOB_LOCK]      = {SLU_STR_INIT("lock"),      'H', true,  slu_serial_lock,    TO(FETCH) | TO(OVER)},
    [JOB_FETCH]     = {SLU_STR_INIT("fetch"),     'F', true,  slu_fetch,          TO(TRANSLATE) | TO(OVER)},
    [JOB_TRANSLATE] = {SLU_STR_INIT("translate"), 'T', false, translate,          TO(ADMIT) | TO(OVER)},
    [JOB_ADMIT]     = {SLU_STR_INIT("queue"),     'X', true,  slu_attempt_admit,  TO(FENCE) | TO(SIGN) | TO(PLAN) | TO(OVER)},
    [JOB_FENCE]     = {SLU_STR_INIT("fence"),     'K', true,  slu_fence,          TO(SIGN) | TO(OVER)},
    [JOB_SIGN]      = {SLU_STR_INIT("sign"),      'S', false, sign,               TO(SEND) | TO(TRANSLATE) | TO(PLAN) | TO(OVER)},
    [JOB_SEND]      = {SLU_STR_INIT("send"),      'C', true,  send,               TO(NORMALISE) | TO(PLAN) | TO(OVER)},
    [JOB_NORMALISE] = {SLU_STR_INIT("normalise"), 'N', false, normalise,          TO(TRANSLATE) | TO(FETCH) | TO(SETTLE) | TO(PAUSE) | TO(PLAN) | TO(OVER)},
    [JOB_IMITATE]   = {SLU_STR_INIT("imitate"),   'M', true,  slu_imitate,   TO(NORMALISE) | TO(SETTLE) | TO(PLAN) | TO(OVER)},
    [JOB_SETTLE]    = {SLU_STR_INIT("settle"),    'P', true,  slu_settle,         TO(FETCH) | TO(IMITATE) | TO(SETTLE) | TO(PLAN) | TO(OVER)},
    [JOB_PAUSE]     = {SLU_STR_INIT("pause"),     'Y', true,  slu_attempt_pause,  TO(FETCH) | TO(FIND) | TO(OVER)},
    [JOB_FIND]      = {SLU_STR_INIT("find"),      'Z', true,  slu_find,           TO(FETCH) | TO(PAUSE) | TO(SETTLE) | TO(PLAN) | TO(OVER)},
    [JOB_OVER]      = {SLU_STR_INIT("over"),      'D', false, over,               0},
    /* clang-format on */
};

struct slu_str slu_job_step_name(enum slu_job_step step)
{
    return life[step].name;
}

bool slu_job_step_waits(enum slu_job_step step)
{
    return life[step].waits;
}

bool slu_job_failed(const struct slu_job *job)
{
    return job->fault.kind != SLU_FAULT_NONE || !slu_mistakes_none(job->mistakes);
}

/* Beginning, moving, ending */

static void timer_fired(void *argument)
{
    struct slu_job *job = argument;

    job->timer_ready = true;
    slu_job_resume(job);
}

struct slu_job *slu_job_new(struct slu_station *station, struct slu_arena *arena,
                            const struct slu_target *target, enum slu_operation operation,
                            struct slu_mistakes *mistakes, struct slu_losses *losses)
{
    struct slu_job *job = slu_arena_zero(arena, sizeof(*job));

    if (!job)
        return NULL;
    job->station = station;
    job->arena = arena;
    job->target = target;
    job->operation = job->asking = operation;
    job->mistakes = mistakes;
    job->losses = losses;
    job->ended_by = '-';
    job->ended_letter = '-';
    slu_timer_init(&job->timer, station->worker->loop, timer_fired, job);
    return job;
}

uint64_t slu_job_now_us(const struct slu_job *job)
{
    return slu_loop_now_us(job->station->worker->loop);
}

static void decide(struct slu_job *job, char who)
{
    if (job->ended_by != '-')
        return;
    job->ended_by = who;
    job->ended_letter = life[job->step].letter;
}

enum slu_job_step slu_job_fail(struct slu_job *job, char who, enum slu_fault_kind kind,
                               const char *format, ...)
{
    char words[sizeof(job->fault.words)];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    slu_fault_set(&job->fault, kind, "", "%s", words);
    decide(job, who);
    return JOB_OVER;
}

enum slu_job_step slu_job_out_of_memory(struct slu_job *job)
{
    slu_fault_memory(&job->fault);
    decide(job, 'G');
    return JOB_OVER;
}

static void trace_move(struct slu_job *job)
{
    uint64_t now = slu_clock_mono_us();

    job->spans_us[job->step] += now - job->step_began_us;
    job->step_began_us = now;
}

void slu_job_resume(struct slu_job *job)
{
    enum slu_job_step next;

    if (job->resuming || job->ended)
        return; /* a callback inside a step: the loop below will see what it stored */
    job->resuming = true;
    while ((next = life[job->step].run(job)) != JOB_WAIT) {
        slu_must(life[job->step].next & (1u << next));
        trace_move(job);
        job->step = next;
        if (next == JOB_OVER)
            break;
    }
    if (job->step == JOB_OVER) {
        life[JOB_OVER].run(job);
        return;
    }
    trace_move(job);
    job->resuming = false;
}

void slu_job_start(struct slu_job *job)
{
    job->started = true;
    job->step = JOB_PLAN;
    job->step_began_us = slu_clock_mono_us();
    slu_attempt_clock(job);
    slu_job_resume(job);
}

void slu_job_ignore(struct slu_job *job, void *user)
{
    (void)job;
    (void)user;
}

void slu_job_leave(struct slu_job *job)
{
    job->left = true;
    if (job->started)
        slu_job_resume(job);
}

/* Lets go of the world around; what was learned stays. */
static void let_go(struct slu_job *job)
{
    if (job->call)
        slu_call_cancel(job->call);
    job->call = NULL;
    slu_timer_done(&job->timer);
    slu_fetch_leave(job);
    slu_attempt_leave(job);
    slu_fence_leave(job);
    slu_find_leave(job);
    slu_claims_end(job);
    slu_serial_leave(job);
    slu_turn_end(job->look_turn);
    job->look_turn = NULL;
}

void slu_job_done(struct slu_job *job)
{
    let_go(job);
    if (job->paging) /* a refusal's words lie in it */
        slu_arena_done(&job->page_arena);
    job->paging = false;
}

/* Where the memory common to all requests did not suffice, there may be room in a while. */
static void tell_refused(struct slu_job *job)
{
    bool refused = job->arena->refused || (job->paging && job->page_arena.refused);

    if (job->fault.kind != SLU_FAULT_MEMORY || !refused)
        return;
    job->fault = (struct slu_fault){0};
    slu_fault_set(&job->fault, SLU_FAULT_UNAVAILABLE, "", "%s", slu_memory_is_spent);
    job->outcome = (struct slu_outcome){.retry_after_ms = SLU_SPENT_MS};
    job->ended_by = 'G';
}

/* A fault of a later act is told behind what stands already. */
static void tell_what_stands(struct slu_job *job)
{
    struct slu_fault why = job->fault;

    slu_programme_end(job);
    if (why.kind == SLU_FAULT_NONE || !job->done)
        return;
    job->fault = (struct slu_fault){0};
    slu_fault_set(&job->fault, why.kind, why.place, "%s, but: %s", job->done,
                  why.words[0] ? why.words : slu_fault_info(why.kind)->title);
}

static enum slu_job_step over(struct slu_job *job)
{
    job->ended = true;
    let_go(job);
    slu_resume_tell(job);
    tell_refused(job);
    tell_what_stands(job);
    slu_removals_note(job);
    job->over(job, job->user);
    return JOB_WAIT;
}

/* The caller left: what only serves the answer ends here, but not a change that is half done. */
static bool may_leave(const struct slu_job *job)
{
    if (!job->left || job->station->worker->ending)
        return job->left;
    return !slu_operation_writes(job->asking) && !(job->acted && slu_settle_must(job));
}

/* The native request */

static size_t target_index(const struct slu_job *job)
{
    return (size_t)(job->target - job->station->catalog->targets);
}

/* One native page of a list has an arena of its own, so that a long walk needs no more memory than
 * its result. */
static struct slu_arena *act_arena(struct slu_job *job)
{
    return job->paging ? &job->page_arena : job->arena;
}

/* A parameter that the target leaves to the flow log, for the calls that do not carry the member.
 */
static bool fill_given(struct slu_job *job)
{
    const struct slu_table_parameter *all;
    size_t count = slu_table_parameters(job->target->table, &all);
    bool good = true;

    for (size_t i = 0; i < count; i++) {
        const struct slu_value *value;
        struct slu_path path;

        if (!all[i].member.n || slu_vars_get(job->vars, all[i].name).p)
            continue;
        if (!slu_path_read(job->arena, all[i].member, &path))
            return false;
        value = slu_path_get(&path, job->canonical);
        if (slu_value_is(value, SLU_STRING))
            good = good && slu_vars_set(job->vars, all[i].name, value->text);
    }
    return good;
}

/* The native operation's vars: the target's parameters and what is known of the flow log. */
static bool fill_vars(struct slu_job *job)
{
    const struct slu_vars *given = &job->target->parameters;
    bool good = true;

    if (!job->vars) {
        job->vars = slu_arena_zero(job->arena, sizeof(*job->vars));
        if (!job->vars)
            return false;
        for (size_t i = 0; i < given->count; i++)
            good = good && slu_vars_set(job->vars, given->names[i], given->values[i]);
        good = good && slu_vars_set(job->vars, SLU_STR("host"), job->target->host) &&
               slu_vars_set(job->vars, SLU_STR("request_id"), job->request_id) &&
               slu_vars_set(job->vars, SLU_STR("token"),
                            job->token.n ? job->token : job->request_id) &&
               (!job->target->reply.n ||
                slu_vars_set(job->vars, SLU_STR("reply"), job->target->reply)) &&
               fill_given(job);
    }
    job->vars->page = job->asking == SLU_OP_LIST ? &job->page : NULL;
    if (!job->id.p && job->dry_run) /* the cloud would have given it before */
        return good && slu_vars_set(job->vars, SLU_STR("id"), SLU_STR("{id}"));
    return good && (!job->id.p || slu_vars_set(job->vars, SLU_STR("id"), job->id));
}

static bool complete_native(struct slu_job *job)
{
    struct slu_arena *arena = act_arena(job);
    const struct slu_target *target = job->target;

    job->native.scheme = target->scheme;
    job->native.host = target->host;
    if (target->base_path.n)
        job->native.path = slu_arena_join(arena, target->base_path, job->native.path);
    return !arena->failed;
}

static enum slu_job_step translate(struct slu_job *job)
{
    const struct slu_target *target = job->target;
    struct slu_arena *arena = act_arena(job);
    bool good;

    if (!slu_table_serves(target->table, job->asking))
        return slu_job_fail(job, 'G', SLU_FAULT_NOT_IMPLEMENTED,
                            "the target's dialect has no operation %s",
                            slu_operation_name(job->asking));
    if (!fill_vars(job))
        return slu_job_out_of_memory(job);
    job->native = (struct slu_request){0};
    good = slu_table_write_request(target->table, job->asking, job->native_step,
                                   target->credentials.scheme_index,
                                   job->looking ? NULL : job->document, job->vars, arena,
                                   job->losses, job->mistakes, &job->native);
    if (arena->failed || job->arena->failed)
        return slu_job_out_of_memory(job);
    if (!good || !slu_mistakes_none(job->mistakes))
        return slu_job_fail(job, 'G', SLU_FAULT_INVALID,
                            "the flow log cannot be sent to this target as it is; see errors");
    return complete_native(job) ? JOB_ADMIT : slu_job_out_of_memory(job);
}

/* Further steps of the act that have something to say; false: it was the last. */
static bool next_native_step(struct slu_job *job)
{
    const struct slu_table *table = job->target->table;
    size_t count = slu_table_steps(table, job->asking);

    while (++job->native_step < count)
        if (slu_table_step_needed(table, job->asking, job->native_step, job->document))
            return true;
    return false;
}

static void put_text(struct slu_arena *arena, struct slu_value *object, struct slu_str name,
                     struct slu_str text)
{
    slu_value_put(object, name, slu_value_string(arena, text));
}

static struct slu_value *shown_body(struct slu_job *job)
{
    struct slu_mistakes unread;
    struct slu_value *body = NULL;

    slu_mistakes_init(&unread, job->arena);
    if (!job->native.body.n)
        return slu_value_new(job->arena, SLU_NULL);
    body = slu_json_read(job->arena, job->native.body, (struct slu_json_limits){0}, &unread);
    return body ? body : slu_value_string(job->arena, job->native.body);
}

/* What would be sent. It is shown before it is signed, so there is no secret in it. */
static void show(struct slu_job *job)
{
    struct slu_arena *arena = job->arena;
    const struct slu_request *native = &job->native;
    struct slu_value *one = slu_value_new(arena, SLU_OBJECT);
    struct slu_value *headers = slu_value_new(arena, SLU_OBJECT);

    if (!job->shown)
        job->shown = slu_value_new(arena, SLU_ARRAY);
    if (!one || !headers || !job->shown)
        return;
    put_text(arena, one, SLU_STR("method"), native->method);
    put_text(arena, one, SLU_STR("url"),
             slu_arena_printf(arena, "%.*s://%.*s%.*s%s%.*s", SLU_FMT(native->scheme),
                              SLU_FMT(native->host), SLU_FMT(native->path),
                              native->query.n ? "?" : "", SLU_FMT(native->query)));
    put_text(arena, headers, SLU_STR("host"), native->host);
    for (size_t i = 0; i < native->headers.count; i++)
        put_text(arena, headers, native->headers.items[i].name, native->headers.items[i].value);
    slu_value_put(one, SLU_STR("headers"), headers);
    slu_value_put(one, SLU_STR("body"), shown_body(job));
    put_text(arena, one, SLU_STR("signing"),
             slu_str_of(slu_scheme_name(job->target->credentials.scheme)));
    slu_value_append(job->shown, one);
}

static enum slu_job_step sign(struct slu_job *job)
{
    struct slu_seal *seal = job->station->seals[target_index(job)];
    struct slu_arena *arena = act_arena(job);
    struct slu_str fresh;

    if (job->dry_run) { /* nothing is sent, so nothing is signed */
        if (!job->trial)
            show(job);
        else if (!job->fingerprint.n)
            slu_fence_print(job);
        if (job->arena->failed)
            return slu_job_out_of_memory(job);
        return next_native_step(job) ? JOB_TRANSLATE : JOB_PLAN;
    }
    fresh = slu_worker_fresh_id(job->station->worker, arena);
    if (!fresh.p)
        return slu_job_out_of_memory(job);
    if (!slu_sign(seal, arena, slu_attempt_time(job), fresh, &job->native, NULL, &job->fault)) {
        decide(job, 'G');
        return JOB_OVER;
    }
    return slu_trace_continue(job, arena, fresh) ? JOB_SEND : slu_job_out_of_memory(job);
}

/* On the wire */

static void cloud_answered(const struct slu_call_result *result, void *user)
{
    struct slu_job *job = user;

    slu_arena_yield(act_arena(job), false);
    job->result = *result;
    job->call = NULL;
    job->call_is_back = true;
    slu_job_resume(job);
}

static void count_call(struct slu_job *job)
{
    struct slu_slot *slot = job->station->slots[target_index(job)];

    job->spent.calls++;
    job->spent.cloud_us += job->result.total_us;
    job->spent.bytes_out += job->result.bytes_out;
    job->spent.bytes_in += job->result.bytes_in;
    slu_count(&slot->calls, 1);
    slu_count(&slot->reused, job->result.reused);
    slu_count(&slot->bytes_out, job->result.bytes_out);
    slu_count(&slot->bytes_in, job->result.bytes_in);
    slu_histogram_add(&slot->cloud, job->result.total_us);
}

/* Of one attempt; all together end with the operation's time. */
static uint32_t call_timeout_ms(struct slu_job *job)
{
    uint64_t now = slu_job_now_us(job), until = slu_attempt_call_until_us(job);
    uint64_t left = until > now ? (until - now) / 1000 + 1 : 1, most = job->target->timeout_ms;

    job->hurried = job->caller_until_us && until <= job->caller_until_us && left < most;
    return (uint32_t)(left < most || !most ? left : most);
}

static enum slu_job_step send(struct slu_job *job)
{
    struct slu_upstream *upstream = job->station->upstreams[target_index(job)];

    if (job->call_is_back) {
        job->call_is_back = false;
        count_call(job);
        return JOB_NORMALISE;
    }
    if (job->looking && slu_settle_unheard(job))
        return JOB_PLAN; /* nothing is left to do, and with the job its call ends */
    if (may_leave(job))
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (job->call)
        return JOB_WAIT;
    slu_attempt_begin(job);
    slu_arena_yield(act_arena(job), true); /* while the reply arrives */
    job->call = slu_upstream_send(upstream, &job->native, act_arena(job), call_timeout_ms(job),
                                  cloud_answered, job);
    return job->call ? JOB_WAIT : slu_job_out_of_memory(job);
}

/* The reply */

/* What the last attempt ended with, should no other one be better. */
static bool keep_why(struct slu_job *job, enum slu_fault_kind kind, const char *words)
{
    job->why = (struct slu_fault){0};
    slu_fault_set(&job->why, kind, "", "%s", words);
    return true;
}

/* The call brought no whole reply: the fault says why, and whether the cloud may have acted. */
static enum slu_job_step no_answer(struct slu_job *job)
{
    const struct slu_fault *why = &job->result.fault;
    bool perhaps = slu_operation_writes(job->asking) && job->result.sent == SLU_SENT_PERHAPS;

    if (keep_why(job, why->kind, why->words) && slu_attempt_failed(job) == JOB_PAUSE)
        return JOB_PAUSE;
    perhaps |= job->perhaps; /* in an attempt before */
    if (slu_settle_optional(job))
        return JOB_PLAN;
    if (slu_settle_late(job))
        return slu_settle_give_up(job);
    if (job->looking)
        return slu_job_fail(job, 'U', why->kind, "looking at the flow log %.*s failed: %s",
                            SLU_FMT(job->id), why->words);
    job->acted |= perhaps;
    return slu_job_fail(
        job, 'U', why->kind, "%s%s", why->words,
        perhaps ? "; the request may have reached the cloud and taken effect: look whether the "
                  "flow log is there before you repeat it"
                : "");
}

/* What a bare confirmation is completed with: the flow log as it was meant to be. Its status was
 * that of before the change; what it is now the table assumes, or nobody knows. */
static const struct slu_value *meant(struct slu_job *job)
{
    struct slu_value *merged, *status;

    if (!job->before || job->looking || !slu_operation_writes(job->asking) ||
        job->asking == SLU_OP_CREATE) /* a successor is none of what was before */
        return job->looking ? NULL : job->document;
    merged = slu_merge(job->arena, job->before, job->document);
    status = slu_value_member(merged, "status");
    if (status)
        slu_value_remove(merged, status);
    return merged;
}

/* A write that the cloud called a success has taken effect, whether its answer can be read or not.
 */
static bool says_success(const struct slu_job *job)
{
    return slu_operation_writes(job->asking) && job->cloud_status / 100 == 2;
}

static enum slu_job_step refused(struct slu_job *job, bool unread)
{
    bool gone_by_us = job->asking == SLU_OP_DELETE && job->unsure; /* in an attempt before */

    if (job->outcome.kind == SLU_FAULT_CREDENTIALS && job->cloud_status == 401 &&
        slu_fetch_again(job)) {
        slu_attempt_tell(job);
        return JOB_FETCH;
    }
    if (job->outcome.kind == SLU_FAULT_NOT_FOUND &&
        (gone_by_us || slu_programme_hopes_for_nothing(job))) {
        job->flow_log = NULL;
        job->outcome = (struct slu_outcome){.vendor_request_id = job->outcome.vendor_request_id};
        return slu_programme_after(job);
    }
    if (keep_why(job, job->outcome.kind,
                 slu_arena_printf(job->arena, "%.*s", SLU_FMT(job->outcome.words)).p) &&
        slu_attempt_failed(job) == JOB_PAUSE)
        return JOB_PAUSE;
    if (slu_settle_optional(job)) {
        bool unseen = job->outcome.kind == SLU_FAULT_NOT_FOUND;

        job->outcome = (struct slu_outcome){.vendor_request_id = job->outcome.vendor_request_id};
        return unseen ? slu_settle_unseen(job) : JOB_PLAN;
    }
    return slu_job_fail(job, 'U', job->outcome.kind, "%.*s%s", SLU_FMT(job->outcome.words),
                        unread || job->perhaps ? "; the change may have taken effect all the same"
                                               : "");
}

/* A write of ours can be asked about at the cloud by the id that it gave it. */
static void keep_request_id(struct slu_job *job)
{
    struct slu_str id = job->outcome.vendor_request_id;

    if (!id.n || !slu_operation_writes(job->asking))
        return;
    if (job->request_id_count == SLU_JOB_REQUEST_IDS) {
        memmove(job->request_ids, job->request_ids + 1, sizeof(id) * (SLU_JOB_REQUEST_IDS - 1));
        job->request_id_count--;
    }
    job->request_ids[job->request_id_count++] = id;
}

static enum slu_job_step normalise(struct slu_job *job)
{
    bool unread;

    if (job->result.sent != SLU_SENT_ANSWERED)
        return no_answer(job);
    job->cloud_status = job->result.response.status;
    job->result.response.received_s = slu_clock_real_s();
    if (!slu_table_read_reply(job->target->table, job->asking, job->native_step,
                              &job->result.response, meant(job), job->vars, act_arena(job),
                              job->paging ? &job->page_losses : job->losses, &job->outcome,
                              &job->fault)) {
        job->acted |= says_success(job);
        decide(job, 'U');
        return JOB_OVER;
    }
    keep_request_id(job);
    unread = job->outcome.kind == SLU_FAULT_UPSTREAM_UNREADABLE && says_success(job);
    job->acted |= unread;
    if (job->outcome.kind != SLU_FAULT_NONE)
        return refused(job, unread);
    slu_attempt_good(job);
    job->acted |= slu_operation_writes(job->asking);
    if (next_native_step(job)) {
        job->done = "a part of the change was made";
        return JOB_TRANSLATE;
    }
    if (job->asking == SLU_OP_LIST)
        return slu_list_take(job);
    if (job->outcome.flow_log || !slu_operation_writes(job->asking))
        job->flow_log = job->outcome.flow_log;
    return slu_programme_after(job);
}
