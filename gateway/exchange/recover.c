/*
 * After a crash: writes that were recorded and not settled are claimed, each by one replica, looked
 * for on their clouds, and settled as what they came to. A write that took effect is answered as it
 * would have been; one that did not is not sent again by itself, but its Idempotency-Key is free,
 * so that the caller's repetition sends it. What was half done is finished (a switch after a
 * create) or undone (the policy "all").
 *
 * Each is an exchange without a caller: it begins at its work and ends when it is settled.
 */
#include "exchange/rest.h"

#include "base/clock.h"
#include "codec/json.h"

enum { EVERY_MS = 2000, AGAIN_MS = 200, AT_ONCE = 64, TRIES_MOST = 25 };

struct slu_recovery {
    struct slu_worker *worker;
    struct slu_timer timer;
    struct slu_post answer;
    bool asking;
    struct slu_journal_reply *told;    /* on its way from the store's thread */
    struct slu_journal_reply *claimed; /* ours, and from `next` on not begun yet */
    size_t next;
    unsigned tries; /* to begin the next one */
};

/* A record as an exchange */

/* What the journal has as JSON; NULL where there is none, or it cannot be read. */
static struct slu_value *read_back(struct slu_exchange *x, struct slu_str text)
{
    struct slu_mistakes unread;

    if (!text.n)
        return NULL;
    slu_mistakes_init(&unread, x->arena);
    return slu_json_read(x->arena, slu_arena_str(x->arena, text), (struct slu_json_limits){0},
                         &unread);
}

static bool is_true(const struct slu_value *document, const char *name)
{
    const struct slu_value *value = slu_value_find(document, slu_str_of(name));

    return slu_value_is(value, SLU_BOOL) && value->truth;
}

static void read_wishes(struct slu_exchange *x, const struct slu_record *record)
{
    const struct slu_value *wishes = read_back(x, record->wishes);
    int64_t wait_s;

    x->lenient = is_true(wishes, "lenient");
    x->replace = is_true(wishes, "replace");
    x->prefers_wait = slu_value_to_int(slu_value_member(wishes, "wait"), &wait_s);
    if (x->prefers_wait)
        x->wait_s = (uint32_t)wait_s;
    slu_losses_init(&x->losses, x->arena, x->lenient);
}

static const struct slu_caller *caller_of(const struct slu_catalog *catalog, struct slu_str name)
{
    for (size_t i = 0; i < catalog->caller_count; i++)
        if (slu_str_eq(catalog->callers[i].name, name))
            return &catalog->callers[i];
    return NULL;
}

/* The route that the write came by; none for a door's, whose client is gone. */
static void find_route(struct slu_exchange *x, struct slu_str scope)
{
    struct slu_request *request = slu_arena_zero(x->arena, sizeof(*request));
    struct slu_str captures[SLU_CAPTURES_MOST] = {0}, allow;
    struct slu_fault ignored = {0};

    if (!request)
        return;
    request->path = slu_arena_str(x->arena, scope);
    request->method = slu_str_cut(&request->path, ' ');
    x->request = request;
    x->route = slu_route_find(x->arena, request->method, request->path, captures, &allow, &ignored);
}

/* By the store's clock: that of whoever has begun it may be another one than ours. */
static int64_t age_ms(const struct slu_record *record)
{
    return record->begun_ms ? record->updated_ms - record->begun_ms : 0;
}

static bool add_job(struct slu_exchange *x, struct slu_str name, bool own,
                    const struct slu_record *record)
{
    const struct slu_target *target = slu_catalog_target(x->station->catalog, name);
    struct slu_job *job;

    if (!target)
        return slu_fault_set(&x->fault, SLU_FAULT_NOT_FOUND, "",
                             "the target %.*s is not configured any more: look there for the flow "
                             "log",
                             SLU_FMT(name));
    job = slu_exchange_job(x, target, x->operation, own);
    if (!job)
        return false;
    job->canonical = slu_value_copy(x->arena, x->canonical);
    if (job->canonical)
        (void)slu_aliases_resolve(target, job->canonical, x->arena, job->mistakes);
    job->resumes = job->unknown = x->recovered;
    job->successor_id = slu_progress_made(read_back(x, record->parts), name);
    job->noted = job->successor_id.p != NULL;
    slu_attempt_resume(job, age_ms(record));
    if (!own) {
        x->job = job;
        x->target = target;
    }
    return true;
}

static bool add_jobs(struct slu_exchange *x, const struct slu_record *record)
{
    struct slu_str rest = record->targets;

    if (!memchr(record->targets.p, '\n', record->targets.n) &&
        !slu_value_member(x->canonical, "targets"))
        return add_job(x, record->targets, false, record);
    return slu_several_take_up(x, rest, age_ms(record));
}

/* What was sent before the crash counts, and each further write is noted. */
static void read_entry(struct slu_exchange *x, const struct slu_record *record)
{
    if (!x->recovered)
        return;
    x->entry.claim = slu_arena_str(x->arena, record->claim);
    x->entry.attempts = record->attempts;
    x->entry.upstream = read_back(x, record->upstream);
}

/* False for want of memory. */
static bool take_up(struct slu_exchange *x, const struct slu_record *record)
{
    enum slu_operation operation;

    x->id = x->operation_id = slu_arena_str(x->arena, record->id);
    x->flow_log_id =
        record->flow_log_id.n ? slu_arena_str(x->arena, record->flow_log_id) : SLU_STR_NONE;
    x->caller = caller_of(x->station->catalog, record->caller);
    x->recorded = x->detached = true;
    x->key_is_request = slu_record_key_is_request(record);
    x->key = record->key.n ? slu_arena_str(x->arena, record->key) : SLU_STR_NONE;
    x->digest = slu_arena_str(x->arena, record->digest);
    read_entry(x, record);
    find_route(x, record->scope);
    if (!slu_operation_of(record->operation, &operation))
        operation = SLU_OP_CREATE;
    x->operation = operation;
    x->has_operation = true;
    x->canonical = read_back(x, record->request);
    read_wishes(x, record);
    return (add_jobs(x, record) || x->fault.kind == SLU_FAULT_NOT_FOUND) && !x->arena->failed;
}

void slu_recovered_reply(struct slu_exchange *x)
{
    x->response.status =
        x->fault.kind == SLU_FAULT_NONE ? 200 : slu_fault_info(x->fault.kind)->status;
}

/* There was no memory to take it up: its jobs are not begun, and the record stays as it is. */
static void drop(struct slu_exchange *x)
{
    x->recorded = false;
    x->step = STEP_REPLY;
    slu_fault_memory(&x->fault);
    slu_exchange_resume(x);
}

bool slu_recovery_resume(struct slu_worker *worker, const struct slu_record *record,
                         struct slu_revisit *revisit)
{
    struct slu_exchange *x = slu_exchange_without_caller(worker);

    if (!x)
        return false;
    x->recovered = true;
    if (!take_up(x, record)) {
        drop(x);
        return false;
    }
    x->revisit = revisit;
    slu_exchange_resume(x);
    return true;
}

/* There was none again and again, perhaps since it is more than a request may have. */
static void give_up(struct slu_exchange *x)
{
    x->job = NULL;
    x->several = NULL;
    x->job_count = 0;
    slu_fault_set(&x->fault, SLU_FAULT_MEMORY, "", "no memory to look for it");
}

/* The same for a write whose caller does not wait. */
bool slu_exchange_hand_on(struct slu_exchange *x)
{
    struct slu_exchange *other = slu_exchange_without_caller(x->station->worker);
    struct slu_record record;

    if (!other)
        return false;
    record = slu_record_of(x);
    if (x->arena->failed || !take_up(other, &record)) {
        drop(other);
        return false;
    }
    if (other->job && x->job && x->job->if_match.p)
        other->job->if_match = slu_arena_str(other->arena, x->job->if_match);
    other->entry.ours_us = x->entry.ours_us;
    x->handed_on = true;
    x->recorded = false; /* the other one settles it */
    slu_exchange_resume(other);
    return true;
}

/* Claiming */

/* False for want of memory: it is tried again, since the lease does not end while this process
 * lives. */
static bool resume(struct slu_recovery *recovery, const struct slu_record *record)
{
    struct slu_exchange *x = slu_exchange_without_caller(recovery->worker);
    bool last = ++recovery->tries == TRIES_MOST;

    if (!x)
        return false;
    x->recovered = true;
    if (!take_up(x, record)) {
        if (!last) {
            drop(x);
            return false;
        }
        give_up(x);
    }
    slu_log(SLU_LOG_INFO, "recover", "operation %.*s (%.*s on %.*s) was not settled: looking",
            SLU_FMT(record->id), SLU_FMT(record->operation), SLU_FMT(record->targets));
    slu_exchange_resume(x);
    return true;
}

static void resume_all(struct slu_recovery *recovery)
{
    while (recovery->next < recovery->claimed->count) {
        if (!resume(recovery, &recovery->claimed->records[recovery->next]))
            return;
        recovery->next++;
        recovery->tries = 0;
    }
    slu_journal_reply_free(slu_take(recovery->claimed));
}

static void look_later(struct slu_recovery *recovery)
{
    if (!slu_timer_set(&recovery->timer, recovery->claimed ? AGAIN_MS : EVERY_MS))
        slu_log(SLU_LOG_ERROR, "recover", "no memory: unsettled writes wait for the next start");
}

static void claimed(void *argument)
{
    struct slu_recovery *recovery = argument;
    bool good = recovery->told->outcome == SLU_JOURNAL_DONE && !recovery->worker->ending;

    recovery->asking = false;
    if (!good) {
        slu_journal_reply_free(slu_take(recovery->told));
        return;
    }
    recovery->claimed = slu_take(recovery->told);
    recovery->next = 0;
    resume_all(recovery);
    look_later(recovery);
}

/* On the store's thread. */
static void journal_answers(struct slu_journal_reply *reply, void *user)
{
    struct slu_recovery *recovery = user;

    recovery->told = reply;
    slu_loop_send(recovery->worker->loop, &recovery->answer);
}

static void claim(struct slu_recovery *recovery)
{
    struct slu_fault fault = {0};

    recovery->asking = slu_journal_claim(recovery->worker->gateway->journal, AT_ONCE,
                                         journal_answers, recovery, &fault);
}

static void look_around(void *argument)
{
    struct slu_recovery *recovery = argument;

    if (recovery->claimed)
        resume_all(recovery);
    else if (!recovery->asking)
        claim(recovery);
    look_later(recovery);
}

bool slu_recovery_begin(struct slu_worker *worker)
{
    struct slu_recovery *recovery;

    if (!worker->gateway->journal || worker->index != 0)
        return true;
    recovery = slu_mem_new(sizeof(*recovery));
    if (!recovery)
        return false;
    recovery->worker = worker;
    recovery->answer.fn = claimed;
    recovery->answer.argument = recovery;
    worker->recovery = recovery;
    slu_timer_init(&recovery->timer, worker->loop, look_around, recovery);
    return slu_timer_set(&recovery->timer, 1);
}

void slu_recovery_end(struct slu_worker *worker)
{
    if (worker->recovery)
        slu_timer_done(&worker->recovery->timer);
}

void slu_recovery_free(struct slu_worker *worker)
{
    if (worker->recovery)
        slu_journal_reply_free(worker->recovery->claimed);
    slu_mem_free(slu_take(worker->recovery));
}
