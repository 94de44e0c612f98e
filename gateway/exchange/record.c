/*
 * The journal's part in the life of a request: a write is recorded before anything is sent, and its
 * end before it is answered. A key (key.c) binds the record: the same request with the same key
 * gets the first answer again.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"

enum { WAIT_MS = 5000, AGAIN_MS = 200, SETTLE_MOST = 5 };

/* Letters */

static void letter_arrives(struct slu_journal_reply *reply, void *user)
{
    struct slu_exchange *x = user;

    x->letter = NULL;
    x->told = reply;
    slu_exchange_resume(x);
}

static struct slu_letter *letter_new(struct slu_exchange *x, bool begins)
{
    return slu_letter_new(x->station->worker, begins, letter_arrives, x);
}

void slu_record_leave(struct slu_exchange *x)
{
    slu_letter_leave(&x->letter);
    slu_journal_reply_free(x->told);
    x->told = NULL;
    slu_timer_done(&x->timer);
}

static void patience_ends(void *argument)
{
    struct slu_exchange *x = argument;

    x->out_of_patience = true;
    slu_exchange_resume(x);
}

static bool set_patience(struct slu_exchange *x, uint32_t ms)
{
    slu_timer_done(&x->timer);
    slu_timer_init(&x->timer, x->station->worker->loop, patience_ends, x);
    return slu_timer_set(&x->timer, ms);
}

/* What is not handed over is nobody's. */
static void drop_letter(struct slu_exchange *x)
{
    slu_mem_free(slu_take(x->letter));
}

static bool write_letter(struct slu_exchange *x, bool begins)
{
    x->letter = letter_new(x, begins);
    if (x->letter && set_patience(x, WAIT_MS))
        return true;
    drop_letter(x);
    return false;
}

struct slu_letter *slu_record_ask(struct slu_exchange *x)
{
    x->asks = write_letter(x, false);
    if (!x->asks)
        slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    return x->letter;
}

enum slu_step slu_record_unasked(struct slu_exchange *x)
{
    drop_letter(x);
    return slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "", "the journal cannot be read now");
}

/* The record */

static struct slu_str targets_of(struct slu_exchange *x)
{
    struct slu_str names = SLU_STR("");

    if (x->target)
        return x->target->name;
    for (size_t i = 0; x->several && i < slu_several_count(x); i++)
        names = slu_arena_printf(x->arena, "%.*s%s%.*s", SLU_FMT(names), i ? "\n" : "",
                                 SLU_FMT(slu_several_part(x, i).target));
    return names;
}

static struct slu_str scope_of(struct slu_exchange *x)
{
    if (x->door)
        return slu_arena_printf(
            x->arena, "door %.*s %.*s %s %zu %.*s", SLU_FMT(slu_table_dialect(x->door->table)),
            SLU_FMT(x->target->name), slu_operation_name(x->operation), x->match->step,
            SLU_FMT(x->flow_log_id.p ? x->flow_log_id : SLU_STR("")));
    return slu_arena_printf(x->arena, "%.*s %.*s", SLU_FMT(x->request->method),
                            SLU_FMT(x->request->path));
}

/* What the body does not say, for whoever takes the write up after a crash; none for most. Who
 * does not wait for the answer hears of the final state. */
static struct slu_str wishes_of(struct slu_exchange *x)
{
    struct slu_value *wishes;
    struct slu_str text;
    uint32_t wait_s = x->prefers_async ? x->station->catalog->limits.wait_most_s : x->wait_s;

    if (!x->lenient && !x->replace && !x->prefers_wait && !x->prefers_async)
        return SLU_STR_NONE;
    wishes = slu_value_new(x->arena, SLU_OBJECT);
    slu_value_put(wishes, SLU_STR("lenient"), slu_value_bool(x->arena, x->lenient));
    slu_value_put(wishes, SLU_STR("replace"), slu_value_bool(x->arena, x->replace));
    if (x->prefers_wait || x->prefers_async)
        slu_value_put(wishes, SLU_STR("wait"), slu_value_int(x->arena, wait_s));
    text = slu_record_text(x->arena, wishes);
    x->arena->failed = x->arena->failed || !text.p;
    return text;
}

struct slu_record slu_record_of(struct slu_exchange *x)
{
    return (struct slu_record){
        .id = x->id,
        .caller = x->caller->name,
        .scope = scope_of(x),
        .key = x->key,
        .digest = x->digest.p ? x->digest : SLU_STR(""),
        .targets = targets_of(x),
        .operation = slu_str_of(slu_operation_name(x->operation)),
        .flow_log_id = x->flow_log_id,
        .request = x->request_text.p ? x->request_text : SLU_STR("null"),
        .wishes = wishes_of(x),
        .attempts = 1, /* from here on it may have been sent */
        .state = SLU_RECORD_RUNNING,
        .created_ms = slu_clock_real_ms(),
        .updated_ms = slu_clock_real_ms(),
    };
}

bool slu_record_token(struct slu_exchange *x, struct slu_job *job)
{
    if (!x->key.n || x->key_is_request || !x->caller || job->token.n ||
        (x->several && slu_several_undoes(x)))
        return true;
    return slu_fence_bind_token(
        job, slu_arena_printf(x->arena, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s", SLU_FMT(x->caller->name),
                              SLU_FMT(scope_of(x)), SLU_FMT(x->key), SLU_FMT(x->digest),
                              SLU_FMT(job->target->name)));
}

/* Whether the flow log can be sent at all: what is not valid is not recorded. */
static bool try_create(struct slu_exchange *x)
{
    struct slu_job *job = x->job, *trial;

    if (!job || job->operation != SLU_OP_CREATE || job->target->memory)
        return true;
    trial = slu_job_new(x->station, x->arena, job->target, job->operation, &x->mistakes,
                        &x->trial_losses);
    if (!trial)
        return slu_fault_memory(&x->fault);
    slu_losses_init(&x->trial_losses, x->arena, x->lenient);
    trial->request_id = x->id;
    trial->dry_run = trial->trial = true;
    trial->canonical = job->canonical;
    trial->token = job->token;
    trial->over = slu_job_ignore;
    slu_job_start(trial);
    slu_job_done(trial);
    x->entry.token = slu_fence_token(trial, SLU_OP_CREATE);
    x->entry.fingerprint = trial->fingerprint;
    if (trial->fault.kind != SLU_FAULT_NONE)
        slu_fault_set(&x->fault, trial->fault.kind, trial->fault.place, "%s", trial->fault.words);
    return trial->fault.kind == SLU_FAULT_NONE;
}

static bool is_journalled(const struct slu_exchange *x)
{
    return x->station->worker->gateway->journal && x->has_operation &&
           slu_operation_writes(x->operation) && !x->dry_run && x->caller;
}

static enum slu_step begin(struct slu_exchange *x)
{
    struct slu_journal *journal = x->station->worker->gateway->journal;
    struct slu_record record;
    struct slu_fault why = {0};

    if ((x->door && !slu_record_native_key(x)) || (x->job && !slu_record_token(x, x->job)))
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    if (!try_create(x))
        return slu_exchange_fail(x, SLU_FAULT_INTERNAL, "", "the flow log cannot be sent");
    record = slu_record_of(x);
    record.token = x->entry.token;
    record.fingerprint = x->entry.fingerprint;
    x->entry.ours_us = slu_clock_mono_us();
    if (x->arena->failed || !write_letter(x, true))
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    if (slu_journal_begin(journal, &record, slu_letter_answered, x->letter, &why))
        return STEP_WAIT;
    drop_letter(x);
    return slu_exchange_fail(x, why.kind, "",
                             "the write cannot be recorded, so nothing was sent: %s", why.words);
}

static enum slu_step answer_again(struct slu_exchange *x, const struct slu_record *first)
{
    x->replayed = true;
    x->response.status = (int)first->status;
    x->response.body = slu_arena_str(x->arena, first->body);
    x->replayed_headers = slu_arena_str(x->arena, first->headers);
    return STEP_REPLY;
}

/* The first answer again, or why not. */
static enum slu_step repeat(struct slu_exchange *x, const struct slu_record *first)
{
    bool runs = first->state == SLU_RECORD_RUNNING;

    if (!slu_str_eq(first->digest, x->digest))
        return slu_exchange_fail(x, SLU_FAULT_KEY_REUSED, "idempotency-key",
                                 "another request was sent with this Idempotency-Key before; use a "
                                 "new key, or send the same request");
    x->operation_id = slu_arena_str(x->arena, first->id);
    x->handed_on = runs && x->prefers_async;
    if (x->handed_on) {
        x->document = slu_operation_document(x->arena, first);
        return STEP_REPLY;
    }
    if (runs)
        return slu_exchange_fail(x, SLU_FAULT_IN_PROGRESS, "idempotency-key",
                                 "the first request with this Idempotency-Key is still running: "
                                 "operation %.*s",
                                 SLU_FMT(first->id));
    return answer_again(x, first);
}

/* The same at a door, in kinds that every cloud has words for. What was settled after a crash has
 * no answer in the dialect: it is made anew, from how the flow log is now. */
static enum slu_step repeat_at_door(struct slu_exchange *x, const struct slu_record *first)
{
    if (!slu_str_eq(first->digest, x->digest)) {
        x->door_word = "reused";
        return slu_exchange_fail(x, SLU_FAULT_CONFLICT, "reused",
                                 "another request was sent with this token or Idempotency-Key "
                                 "before");
    }
    if (first->state == SLU_RECORD_RUNNING) {
        x->job->outcome.retry_after_ms = 1000;
        return slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "",
                                 "the same request is still under way; try again in a moment");
    }
    if (first->headers.n)
        return answer_again(x, first);
    if (first->state != SLU_RECORD_SUCCEEDED || !first->flow_log_id.n)
        return slu_exchange_fail(
            x, SLU_FAULT_UPSTREAM_ERROR, "",
            "what the first request with this token or key came to is not known; "
            "look whether the flow log is there");
    if (x->operation == SLU_OP_DELETE)
        return STEP_REPLY;
    x->job->operation = x->job->asking = SLU_OP_GET;
    x->job->id = slu_arena_str(x->arena, first->flow_log_id);
    return STEP_WORK;
}

static enum slu_step again(struct slu_exchange *x, const struct slu_record *first)
{
    return x->door ? repeat_at_door(x, first) : repeat(x, first);
}

static enum slu_step not_recorded(struct slu_exchange *x, const struct slu_fault *why)
{
    return slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "",
                             "the write cannot be recorded, so nothing was sent: %s", why->words);
}

/* What a key is bound to can be told as long as the journal can be read. */
static enum slu_step look_for_key(struct slu_exchange *x)
{
    struct slu_fault why = x->told->fault, ignored = {0};
    struct slu_record record = slu_record_of(x);

    x->unrecorded = slu_arena_get(x->arena, sizeof(why));
    slu_record_leave(x);
    if (!x->key.p || !x->unrecorded || !record.scope.p || !write_letter(x, false))
        return not_recorded(x, &why);
    *x->unrecorded = why;
    if (slu_journal_find(x->station->worker->gateway->journal, record.caller, record.scope,
                         record.key, slu_letter_answered, x->letter, &ignored))
        return STEP_WAIT;
    drop_letter(x);
    return not_recorded(x, &why);
}

static enum slu_step begun(struct slu_exchange *x)
{
    const struct slu_journal_reply *told = x->told;

    if (x->unrecorded)
        return told->outcome == SLU_JOURNAL_DONE && told->count == 1
                   ? again(x, &told->records[0])
                   : not_recorded(x, x->unrecorded);

    switch (told->outcome) {
    case SLU_JOURNAL_DONE:
        x->recorded = true;
        x->operation_id = x->id;
        if (x->gone)
            return slu_exchange_fail(x, SLU_FAULT_TIMEOUT, "", "the caller left");
        return x->prefers_async && slu_exchange_hand_on(x) ? STEP_REPLY : STEP_WORK;
    case SLU_JOURNAL_EXISTS:
        slu_must(told->count == 1);
        return again(x, &told->records[0]);
    case SLU_JOURNAL_NONE:
    case SLU_JOURNAL_FAILED:
        break;
    }
    return look_for_key(x);
}

enum slu_step slu_record_begin(struct slu_exchange *x)
{
    enum slu_step next;

    if (!x->asks && !is_journalled(x))
        return STEP_WORK;
    if (x->told) {
        next = x->asks ? slu_operations_told(x) : begun(x);
        if (next != STEP_WAIT)
            slu_record_leave(x);
        return next;
    }
    if (x->letter && (x->out_of_patience || x->station->worker->ending)) {
        slu_record_leave(x);
        return slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "", "the journal takes too long%s",
                                 x->asks ? "" : ", so nothing was sent");
    }
    return x->letter ? STEP_WAIT : begin(x);
}

/* A delete that finds nothing */

bool slu_record_asks_removal(struct slu_exchange *x)
{
    struct slu_journal *journal = x->station->worker->gateway->journal;
    struct slu_fault ignored = {0};

    if (x->letter && !x->out_of_patience && !x->station->worker->ending)
        return true;
    if (x->letter || x->told) {
        x->removed_before = x->told && x->told->outcome == SLU_JOURNAL_DONE;
        slu_record_leave(x);
        return false;
    }
    if (!x->recorded || x->door || x->asked_removal || !slu_removals_doubt(x->job))
        return false;
    x->asked_removal = true;
    x->out_of_patience = false;
    if (!write_letter(x, false))
        return false;
    if (slu_journal_removed(journal, scope_of(x), x->id, slu_letter_answered, x->letter, &ignored))
        return true;
    drop_letter(x);
    return false;
}

/* The end */

bool slu_job_may_have_acted(const struct slu_job *job)
{
    return job->unknown || (job->acted && job->fault.kind != SLU_FAULT_NONE && !job->looking &&
                            job->result.sent == SLU_SENT_PERHAPS);
}

/* Nobody knows whether a write took effect. */
static bool is_unknown(const struct slu_exchange *x)
{
    for (size_t i = 0; i < x->job_count; i++)
        if (slu_job_may_have_acted(x->jobs[i]))
            return true;
    if (x->several)
        return slu_several_unseen(x);
    return x->recovered && !x->job_count; /* nobody could look */
}

/* A look was not made, or not to its end. */
static bool could_not_look(const struct slu_job *job)
{
    if (job->target->memory || job->decided)
        return false;
    if (job->resumes && (job->act == SLU_OP_GET || job->fault.kind == SLU_FAULT_MEMORY))
        return slu_find_may_pass(job->fault.kind);
    return slu_job_may_have_acted(job) && slu_find_possible(job);
}

bool slu_record_is_undecided(const struct slu_exchange *x)
{
    for (size_t i = 0; i < x->job_count; i++)
        if (could_not_look(x->jobs[i]))
            return true;
    return false;
}

/* Without an effect, and worth another try or a mended request: the key is not bound. */
static bool binds_nothing(const struct slu_exchange *x)
{
    bool acted = false, refused = false;

    if (x->key_is_request)
        return true;
    if (x->several && x->fault.kind == SLU_FAULT_NONE)
        return slu_several_is_open(x);
    for (size_t i = 0; i < x->job_count; i++) {
        acted = acted || x->jobs[i]->acted;
        refused = refused || x->jobs[i]->outcome.kind != SLU_FAULT_NONE;
    }
    if (acted || x->fault.kind == SLU_FAULT_NONE || is_unknown(x))
        return false;
    return !refused || slu_fault_retryable(x);
}

/* All of it is over and well, whatever became of the answer. */
static bool is_done(const struct slu_exchange *x)
{
    for (size_t i = 0; i < x->job_count; i++)
        if (!x->jobs[i]->ended || slu_job_failed(x->jobs[i]))
            return false;
    return x->job_count > 0;
}

/* Of several targets, each has to have it. */
static enum slu_record_state state_of(const struct slu_exchange *x)
{
    bool some_failed = x->several && slu_several_failed(x);

    if (!some_failed && (x->fault.kind == SLU_FAULT_NONE || is_done(x)))
        return SLU_RECORD_SUCCEEDED;
    return is_unknown(x) || slu_record_is_undecided(x) ? SLU_RECORD_UNKNOWN : SLU_RECORD_FAILED;
}

static struct slu_str headers_text(struct slu_exchange *x)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_str text;

    for (size_t i = 0; i < x->response.headers.count; i++) {
        const struct slu_header *header = &x->response.headers.items[i];

        if (x->door || !slu_str_is(header->name, "x-request-id"))
            slu_value_put(document, header->name, slu_value_string(x->arena, header->value));
    }
    text = slu_record_text(x->arena, document);
    return text.p ? text : SLU_STR("{}");
}

bool slu_record_withdraws(const struct slu_exchange *x)
{
    const struct slu_job *job = x->recorded && !x->detached ? x->job : NULL;

    return job && job->ended && !job->writes && !job->acted && !slu_mistakes_none(&x->mistakes);
}

/* A door's write whose client is gone has no answer in the dialect. Told apart by having no head
 * fields, which is not the empty object. */
static bool has_no_answer(const struct slu_exchange *x)
{
    return x->detached && !x->route;
}

static struct slu_record end_of(struct slu_exchange *x)
{
    struct slu_record record = slu_progress_record(x, state_of(x));

    record.flow_log_id = x->flow_log_id;
    record.status = x->response.status;
    record.headers = has_no_answer(x) ? SLU_STR("") : headers_text(x);
    record.body = x->response.body.p ? x->response.body : SLU_STR("");
    if (!record.parts.p && x->noted.p)
        record.parts = SLU_STR("[]"); /* no memory; but not what it was on the way */
    return record;
}

/* What the journal never takes is told short, so that the operation ends. */
static bool hand_over(struct slu_exchange *x, slu_journal_done_fn *done, struct slu_fault *fault)
{
    struct slu_journal *journal = x->station->worker->gateway->journal;
    struct slu_record record;

    if (slu_record_withdraws(x))
        return slu_journal_withdraw(journal, x->id, done, x->letter, fault);
    record = end_of(x);
    if (slu_journal_settle(journal, &record, binds_nothing(x), done, x->letter, fault))
        return true;
    if (fault->kind == SLU_FAULT_MEMORY || fault->kind == SLU_FAULT_UNAVAILABLE)
        return false;
    slu_log(SLU_LOG_WARN, "journal", "the answer of operation %.*s is not kept: %s", SLU_FMT(x->id),
            fault->words);
    *fault = (struct slu_fault){0};
    record.body = slu_progress_short_answer(x);
    if (x->door)
        record.headers = SLU_STR("");
    return slu_journal_settle(journal, &record, binds_nothing(x), done, x->letter, fault);
}

/* Without memory for a letter the end is recorded all the same. */
static void settle(struct slu_exchange *x, struct slu_fault *fault)
{
    bool waits = write_letter(x, false);

    x->settled = hand_over(x, waits ? slu_letter_answered : slu_letter_unread, fault);
    if (x->settled)
        return;
    drop_letter(x);
    slu_log(SLU_LOG_ERROR, "journal", "the end of operation %.*s is not recorded: %s",
            SLU_FMT(x->id), fault->words);
}

/* The gateway ends while the cloud still has the write: it stays open, and the next to start looks
 * what became of it. */
static bool is_cut_short(const struct slu_exchange *x)
{
    if (!x->station->worker->ending || !x->gone || x->settling)
        return false;
    for (size_t i = 0; i < x->job_count; i++)
        if (x->jobs[i]->started)
            return true;
    return false;
}

/* There was no memory or no room to hand the end over: that passes. A caller does not wait for
 * ever. */
static bool settle_later(struct slu_exchange *x, enum slu_fault_kind why)
{
    bool passes = why == SLU_FAULT_MEMORY || why == SLU_FAULT_UNAVAILABLE;

    return passes && (x->settling < SETTLE_MOST || x->detached) && !x->station->worker->ending &&
           set_patience(x, AGAIN_MS);
}

/* What the caller hears is on the disk, or the disk has had its time. */
enum slu_step slu_record_end(struct slu_exchange *x)
{
    struct slu_fault fault = {0};

    if (!x->recorded || x->entry.lost)
        return STEP_CLOSE;
    if (is_cut_short(x) || slu_revisit_later(x)) {
        slu_record_leave(x);
        return STEP_CLOSE;
    }
    if (!x->letter && !x->told && !x->settled) {
        x->settling++;
        x->out_of_patience = false;
        settle(x, &fault);
        if (settle_later(x, fault.kind))
            return STEP_WAIT;
    }
    if (x->letter && !x->out_of_patience && !x->station->worker->ending)
        return STEP_WAIT;
    if (x->told && x->told->outcome == SLU_JOURNAL_FAILED)
        slu_log(SLU_LOG_ERROR, "journal", "the end of operation %.*s is not recorded: %s",
                SLU_FMT(x->id), x->told->fault.words);
    if (x->told && x->told->outcome == SLU_JOURNAL_NONE)
        slu_log(SLU_LOG_WARN, "journal",
                "operation %.*s was taken over by another process meanwhile, whose word stands: "
                "this one has answered %d",
                SLU_FMT(x->id), x->response.status);
    slu_record_leave(x);
    return STEP_CLOSE;
}

/* The head fields of an answer that is given again. */
bool slu_record_replay(struct slu_exchange *x)
{
    struct slu_mistakes unread;
    struct slu_value *headers;
    bool good;

    slu_mistakes_init(&unread, x->arena);
    headers = slu_json_read(x->arena, x->replayed_headers, (struct slu_json_limits){0}, &unread);
    good = headers != NULL;
    if (headers)
        slu_value_each (header, headers)
            good =
                good && slu_headers_add(x->arena, &x->response.headers, header->name, header->text);
    return good && slu_headers_add(x->arena, &x->response.headers, SLU_STR("idempotent-replayed"),
                                   SLU_STR("true"));
}
