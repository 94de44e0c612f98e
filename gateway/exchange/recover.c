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

enum { EVERY_MS = 2000, AT_ONCE = 16 };

struct slu_recovery {
    struct slu_worker *worker;
    struct slu_timer timer;
    bool asking;
};

/* A record as an exchange */

static struct slu_value *request_of(struct slu_exchange *x, const struct slu_record *record)
{
    struct slu_mistakes unread;

    slu_mistakes_init(&unread, x->arena);
    return slu_json_read(x->arena, slu_arena_str(x->arena, record->request),
                         (struct slu_json_limits){0}, &unread);
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
    job->resumes = x->recovered;
    job->attempt_began_s = record->created_ms / 1000;
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
    return slu_several_take_up(x, rest, record->created_ms / 1000);
}

static void take_up(struct slu_exchange *x, const struct slu_record *record)
{
    enum slu_operation operation;

    x->id = x->operation_id = slu_arena_str(x->arena, record->id);
    x->flow_log_id =
        record->flow_log_id.n ? slu_arena_str(x->arena, record->flow_log_id) : SLU_STR_NONE;
    x->caller = caller_of(x->station->catalog, record->caller);
    x->recorded = x->detached = true;
    find_route(x, record->scope);
    if (!slu_operation_of(record->operation, &operation))
        operation = SLU_OP_CREATE;
    x->operation = operation;
    x->has_operation = true;
    x->canonical = request_of(x, record);
    if (!add_jobs(x, record))
        slu_fault_set(&x->fault, SLU_FAULT_MEMORY, "", "no memory to look for it");
}

void slu_recovered_reply(struct slu_exchange *x)
{
    x->response.status =
        x->fault.kind == SLU_FAULT_NONE ? 200 : slu_fault_info(x->fault.kind)->status;
}

static void resume_all(struct slu_worker *worker, const struct slu_journal_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++) {
        const struct slu_record *record = &reply->records[i];
        struct slu_exchange *x = slu_exchange_without_caller(worker);

        if (!x)
            return; /* the lease ends, and someone claims it again */
        slu_log(SLU_LOG_INFO, "recover", "operation %.*s (%.*s on %.*s) was not settled: looking",
                SLU_FMT(record->id), SLU_FMT(record->operation), SLU_FMT(record->targets));
        x->recovered = true;
        take_up(x, record);
        slu_exchange_resume(x);
    }
}

/* The same for a write whose caller does not wait: all that the request said goes along. */
bool slu_exchange_hand_on(struct slu_exchange *x)
{
    struct slu_exchange *other = slu_exchange_without_caller(x->station->worker);
    struct slu_record record;

    if (!other)
        return false;
    record = slu_record_of(x);
    other->lenient = x->lenient;
    other->replace = x->replace;
    other->prefers_wait = true; /* its end is the final state */
    other->wait_s = x->station->catalog->limits.wait_most_s;
    slu_losses_init(&other->losses, other->arena, x->lenient);
    take_up(other, &record);
    if (other->job && x->job && x->job->if_match.p)
        other->job->if_match = slu_arena_str(other->arena, x->job->if_match);
    x->handed_on = true;
    x->recorded = false; /* the other one settles it */
    slu_exchange_resume(other);
    return true;
}

/* Claiming */

struct letter {
    struct slu_recovery *recovery;
    struct slu_journal_reply *reply;
};

static void claimed(void *argument)
{
    struct letter *letter = argument;
    struct slu_recovery *recovery = letter->recovery;

    recovery->asking = false;
    if (letter->reply->outcome == SLU_JOURNAL_DONE && !recovery->worker->ending)
        resume_all(recovery->worker, letter->reply);
    slu_journal_reply_free(letter->reply);
    slu_mem_free(letter);
}

/* On the store's thread. */
static void journal_answers(struct slu_journal_reply *reply, void *user)
{
    struct letter *letter = user;

    letter->reply = reply;
    if (slu_loop_post(letter->recovery->worker->loop, claimed, letter))
        return;
    slu_journal_reply_free(reply);
    slu_mem_free(letter);
}

static void claim(void *argument)
{
    struct slu_recovery *recovery = argument;
    struct slu_fault fault = {0};
    struct letter *letter = recovery->asking ? NULL : slu_mem_new(sizeof(*letter));

    if (letter) {
        letter->recovery = recovery;
        recovery->asking = slu_journal_claim(recovery->worker->gateway->journal, AT_ONCE,
                                             journal_answers, letter, &fault);
        if (!recovery->asking)
            slu_mem_free(letter);
    }
    if (!slu_timer_set(&recovery->timer, EVERY_MS))
        slu_log(SLU_LOG_ERROR, "recover", "no memory: unsettled writes wait for the next start");
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
    worker->recovery = recovery;
    slu_timer_init(&recovery->timer, worker->loop, claim, recovery);
    return slu_timer_set(&recovery->timer, 1);
}

void slu_recovery_end(struct slu_worker *worker)
{
    if (worker->recovery)
        slu_timer_done(&worker->recovery->timer);
}

void slu_recovery_free(struct slu_worker *worker)
{
    slu_mem_free(worker->recovery);
    worker->recovery = NULL;
}
