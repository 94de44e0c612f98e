/*
 * The same flow log on several targets. Each target has a job of its own and an end of its own;
 * what one does to the others is the policy's business:
 *
 *   best_effort   every target is tried; what failed is told beside what was made
 *   all           nothing is sent before every target's table has taken the flow log; when one
 *                 fails afterwards, what was made is undone, and the undo is looked at
 *
 * Before the write is recorded every target's table is tried (a dry run, which never waits), so
 * that what cannot be sent at all leaves no operation behind and binds no key.
 *
 * After a crash each target's part is looked for. Where a part stands and another was not made,
 * `all` undoes what stands, and best_effort makes the rest; where nothing stands the caller may
 * send it again. A part whose target is not configured any more is told as unknown, and nothing is
 * undone for its sake.
 */
#include "exchange/rest.h"

#include "codec/json.h"
#include "model/flow_log.h"

enum { TARGETS_MOST = 64 };

enum several_phase { TRYING, MAKING, FINISHING, UNDOING };

struct slu_several {
    bool all; /* the policy */
    enum several_phase phase;
    struct slu_str names[TARGETS_MOST];
    const struct slu_target *targets[TARGETS_MOST]; /* NULL: not configured any more */
    size_t count;
    struct slu_job *makes[TARGETS_MOST], *undos[TARGETS_MOST]; /* NULL: there is none */
};

/* What is asked for */

static bool refuse(struct slu_exchange *x, struct slu_str pointer, const char *words)
{
    return slu_mistake(&x->mistakes, SLU_FAULT_INVALID, pointer, "%s", words);
}

static struct slu_value *taken(struct slu_value *document, const char *name)
{
    struct slu_value *member = slu_value_find(document, slu_str_of(name));

    if (member)
        slu_value_remove(document, member);
    return member;
}

static void add_target(struct slu_exchange *x, struct slu_several *several, size_t number,
                       const struct slu_value *name)
{
    struct slu_str at = slu_pointer_item(x->arena, SLU_STR("/targets"), number);
    const struct slu_target *target;

    if (!slu_value_is(name, SLU_STRING)) {
        refuse(x, at, "is the name of a target");
        return;
    }
    target = slu_catalog_target(x->station->catalog, name->text);
    if (!target || !slu_caller_may_use(x->caller, name->text)) {
        slu_mistake(&x->mistakes, target ? SLU_FAULT_FORBIDDEN : SLU_FAULT_INVALID, at,
                    target ? "this caller may not use the target %.*s"
                           : "there is no target %.*s; GET /v1/targets lists them",
                    SLU_FMT(name->text));
        return;
    }
    for (size_t i = 0; i < several->count; i++)
        if (several->targets[i] == target) {
            refuse(x, at, "names a target twice");
            return;
        }
    several->names[several->count] = target->name;
    several->targets[several->count++] = target;
}

static void read_targets(struct slu_exchange *x, struct slu_several *several,
                         const struct slu_value *list)
{
    size_t number = 0;

    if (!slu_value_is(list, SLU_ARRAY) || list->count == 0 || list->count > TARGETS_MOST) {
        refuse(x, SLU_STR("/targets"), "is a list of 1 to 64 names of targets");
        return;
    }
    slu_value_each (name, list)
        add_target(x, several, number++, name);
}

static void read_policy(struct slu_exchange *x, struct slu_several *several,
                        const struct slu_value *policy)
{
    if (!policy || policy->kind == SLU_NULL)
        return;
    several->all = slu_value_is(policy, SLU_STRING) && slu_str_is(policy->text, "all");
    if (!several->all &&
        !(slu_value_is(policy, SLU_STRING) && slu_str_is(policy->text, "best_effort")))
        refuse(x, SLU_STR("/policy"), "is best_effort or all");
}

/* One target's job: with a copy of its own, since aliases mean something else on each. */
static bool make_job(struct slu_exchange *x, struct slu_several *several, size_t i, bool dry_run)
{
    struct slu_job *job = slu_exchange_job(x, several->targets[i], SLU_OP_CREATE, true);

    if (!job)
        return false;
    several->makes[i] = job;
    job->dry_run = dry_run;
    job->trial = dry_run && !x->dry_run;
    job->canonical = slu_value_copy(x->arena, x->canonical);
    if (!job->canonical)
        return slu_fault_memory(&x->fault);
    (void)slu_aliases_resolve(job->target, job->canonical, x->arena, job->mistakes);
    return true;
}

static bool make_jobs(struct slu_exchange *x, bool dry_run)
{
    x->several->phase = dry_run ? TRYING : MAKING;
    for (size_t i = 0; i < x->several->count; i++)
        if (x->several->targets[i] && !make_job(x, x->several, i, dry_run))
            return false;
    return true;
}

/* NULL: its target is not configured any more. */
static bool failed(const struct slu_job *job)
{
    return !job || slu_job_failed(job);
}

static size_t count_failed(const struct slu_several *several)
{
    size_t count = 0;

    for (size_t i = 0; i < several->count; i++)
        count += failed(several->makes[i]);
    return count;
}

static bool try_all(struct slu_exchange *x)
{
    if (!make_jobs(x, true))
        return false;
    for (size_t i = 0; i < x->job_count; i++)
        slu_exchange_start(x, x->jobs[i]);
    slu_must(x->jobs_left == 0);
    return !x->arena->failed;
}

/* Nothing can be sent: to none, or with `all` to one of them. */
static bool is_refused(const struct slu_several *several)
{
    size_t count = count_failed(several);

    return count == several->count || (several->all && count > 0);
}

static void forget_trials(struct slu_exchange *x)
{
    for (size_t i = 0; i < x->job_count; i++)
        slu_job_done(x->jobs[i]);
    x->job_count = 0;
}

enum slu_step slu_rest_understand_several(struct slu_exchange *x)
{
    struct slu_several *several = slu_arena_zero(x->arena, sizeof(*several));

    if (!several)
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    x->several = several;
    if (!slu_rest_body(x, "the flow log"))
        return STEP_REPLY;
    read_targets(x, several, taken(x->canonical, "targets"));
    read_policy(x, several, taken(x->canonical, "policy"));
    (void)slu_flow_log_check(x->canonical, &x->mistakes);
    if (!slu_mistakes_none(&x->mistakes))
        return slu_exchange_fail(x, SLU_FAULT_INVALID, "", "the request is not valid; see errors");
    if (!try_all(x))
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    if (x->dry_run || is_refused(several))
        return STEP_REPLY;
    forget_trials(x);
    if (!make_jobs(x, false))
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    return STEP_RECORD;
}

/* From the record of it. */
bool slu_several_take_up(struct slu_exchange *x, struct slu_str names, int64_t age_ms)
{
    struct slu_several *several = slu_arena_zero(x->arena, sizeof(*several));
    struct slu_value *policy = taken(x->canonical, "policy");

    if (!several)
        return slu_fault_memory(&x->fault);
    x->several = several;
    (void)taken(x->canonical, "targets");
    several->all = slu_value_is(policy, SLU_STRING) && slu_str_is(policy->text, "all");
    while (names.p && several->count < TARGETS_MOST) {
        struct slu_str name = slu_arena_str(x->arena, slu_str_cut(&names, '\n'));

        several->names[several->count] = name;
        several->targets[several->count++] = slu_catalog_target(x->station->catalog, name);
    }
    if (!make_jobs(x, false))
        return false;
    for (size_t i = 0; i < x->job_count; i++) {
        x->jobs[i]->resumes = x->jobs[i]->unknown = x->recovered;
        slu_attempt_resume(x->jobs[i], age_ms);
    }
    return true;
}

/* What happens next */

bool slu_several_failed(const struct slu_exchange *x)
{
    return count_failed(x->several) > 0;
}

/* Whether a part that a crash has left open took effect, nobody can look. */
static bool is_beyond_sight(const struct slu_exchange *x, size_t i)
{
    return x->recovered && !x->several->targets[i];
}

bool slu_several_unseen(const struct slu_exchange *x)
{
    for (size_t i = 0; i < x->several->count; i++)
        if (is_beyond_sight(x, i))
            return true;
    return false;
}

bool slu_several_undoes(const struct slu_exchange *x)
{
    return x->several->all;
}

static enum slu_operation undo_of(const struct slu_target *target)
{
    struct slu_str never;

    return target->memory ? SLU_OP_DELETE : slu_table_undo(target->table, SLU_OP_CREATE, &never);
}

/* What stands of this target's part, and has to go. */
static bool stands(const struct slu_job *job)
{
    return job && job->acted && job->id.p;
}

static bool is_undone(const struct slu_several *several, size_t i)
{
    const struct slu_job *undo = several->undos[i];

    return several->phase == UNDOING && stands(several->makes[i]) && undo && !failed(undo);
}

bool slu_several_is_open(const struct slu_exchange *x)
{
    const struct slu_several *several = x->several;

    for (size_t i = 0; i < several->count; i++) {
        const struct slu_job *make = several->makes[i];

        if (!make || (!is_undone(several, i) && !(failed(make) && slu_job_retryable(make))))
            return false;
    }
    return count_failed(several) > 0;
}

size_t slu_several_count(const struct slu_exchange *x)
{
    return x->several->count;
}

/* What is being undone is under way again, and has failed when that is over. */
struct slu_part slu_several_part(const struct slu_exchange *x, size_t i)
{
    const struct slu_several *several = x->several;
    const struct slu_job *make = several->makes[i], *undo = several->undos[i];
    struct slu_part part = {several->names[i], SLU_RECORD_FAILED, {make, undo}};

    if (is_beyond_sight(x, i))
        part.state = SLU_RECORD_UNKNOWN;
    else if (undo && !undo->ended)
        part.state = SLU_RECORD_RUNNING;
    else if (make && !(several->phase == UNDOING && stands(make)))
        part.state = slu_job_state(make);
    return part;
}

static bool undo_all(struct slu_exchange *x)
{
    struct slu_several *several = x->several;
    bool any = false;

    several->phase = UNDOING;
    for (size_t i = 0; i < several->count; i++) {
        enum slu_operation undo;
        struct slu_job *job;

        if (!stands(several->makes[i]) || (undo = undo_of(several->targets[i])) == SLU_OP_COUNT)
            continue;
        job = slu_exchange_job(x, several->targets[i], undo, true);
        if (!job)
            continue; /* told as an undo that failed */
        several->undos[i] = job;
        job->id = several->makes[i]->id;
        job->verify = true;
        job->caller_until_us = 0; /* what is half done has time of its own */
        job->follows = true;
        any = true;
    }
    return any;
}

/* Looked for after a crash, and known not to be there. */
static bool was_not_made(const struct slu_job *make)
{
    return make && slu_job_failed(make) && !make->unknown && !make->acted &&
           slu_mistakes_none(make->mistakes);
}

static bool any_stands(const struct slu_several *several)
{
    for (size_t i = 0; i < several->count; i++)
        if (stands(several->makes[i]))
            return true;
    return false;
}

/* A part is there already, so the rest is made, too. What there is no memory for stays failed. */
static bool finish(struct slu_exchange *x)
{
    struct slu_several *several = x->several;
    size_t before = x->job_count;

    several->phase = FINISHING;
    for (size_t i = 0; any_stands(several) && i < several->count; i++) {
        struct slu_job *looked = several->makes[i];
        size_t kept = x->job_count;

        if (!was_not_made(looked) || make_job(x, several, i, false))
            continue;
        several->makes[i] = looked;
        x->fault = (struct slu_fault){0};
        x->job_count = kept;
    }
    return x->job_count > before;
}

/* The phase after MAKING, if there is one: its jobs are started. */
static bool next_phase(struct slu_exchange *x)
{
    struct slu_several *several = x->several;
    size_t before = x->job_count;
    bool more = false;

    if (several->phase == MAKING && !several->all && x->recovered)
        more = finish(x);
    else if (several->phase == MAKING && several->all && slu_several_failed(x) &&
             !slu_several_unseen(x))
        more = undo_all(x);
    for (size_t i = before; more && i < x->job_count; i++)
        slu_exchange_start(x, x->jobs[i]);
    return more;
}

/* Jobs of the memory cloud may be over before they were waited for: then the next phase is due. */
bool slu_rest_worked(struct slu_exchange *x)
{
    /* a worker that ends begins nothing: an undo cut short would be taken for a part that stands */
    while (x->several && !x->station->worker->ending && next_phase(x))
        if (x->jobs_left)
            return true;
    return false;
}

/* Answers to a create */

static const char *outcome_of(const struct slu_exchange *x, size_t i)
{
    const struct slu_several *several = x->several;
    const struct slu_job *make = several->makes[i];

    if (is_beyond_sight(x, i))
        return "unknown";
    if (several->phase == UNDOING && stands(make))
        return is_undone(several, i) ? "undone" : "undo_failed";
    return failed(make) ? "failed" : "created";
}

static void put_text(struct slu_arena *arena, struct slu_value *object, struct slu_str name,
                     struct slu_str text)
{
    slu_value_put(object, name, slu_value_string(arena, text));
}

static struct slu_value *made_document(struct slu_exchange *x, struct slu_job *job)
{
    struct slu_value *document;

    if (job->flow_log && job->id.p)
        slu_value_set(job->flow_log, SLU_STR("id"), slu_value_string(x->arena, job->id));
    document = slu_rest_flow_log(x->arena, job->flow_log, job->target);
    slu_value_put(document, SLU_STR("loss"), slu_losses_value(x->arena, job->losses));
    return document;
}

static struct slu_value *undo_error(struct slu_exchange *x, const struct slu_job *make,
                                    const struct slu_job *undo)
{
    struct slu_fault fault = {0};
    struct slu_str never = SLU_STR("there was no memory to undo it");

    if (undo)
        return slu_problem_of_job(x->arena, undo);
    if (!make->target->memory)
        (void)slu_table_undo(make->target->table, SLU_OP_CREATE, &never);
    slu_fault_set(&fault, SLU_FAULT_UNSUPPORTED, "", "it could not be undone: %.*s",
                  SLU_FMT(never));
    return slu_problem_of(x->arena, &fault);
}

static struct slu_value *gone_error(struct slu_exchange *x)
{
    struct slu_fault fault = {0};

    slu_fault_set(&fault, SLU_FAULT_NOT_FOUND, "",
                  x->recovered ? "the gateway ended while the write was under way, and the target "
                                 "is not configured any more: look there for the flow log"
                               : "the target is not configured any more; nothing was sent to it");
    return slu_problem_of(x->arena, &fault);
}

static struct slu_value *end_of(struct slu_exchange *x, size_t i)
{
    const struct slu_job *make = x->several->makes[i];
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);

    if (!document)
        return NULL;
    put_text(x->arena, document, SLU_STR("target"), x->several->names[i]);
    put_text(x->arena, document, SLU_STR("outcome"), slu_str_of(outcome_of(x, i)));
    if (make && make->id.p)
        put_text(x->arena, document, SLU_STR("id"), make->id);
    return document;
}

struct slu_value *slu_several_ends(struct slu_exchange *x)
{
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY);

    for (size_t i = 0; i < x->several->count; i++)
        slu_value_append(list, end_of(x, i));
    return list;
}

static struct slu_value *result(struct slu_exchange *x, size_t i)
{
    struct slu_several *several = x->several;
    struct slu_job *make = several->makes[i];
    const char *outcome = outcome_of(x, i);
    struct slu_value *document = end_of(x, i);

    if (!document)
        return NULL;
    if (!failed(make) && several->phase != UNDOING)
        slu_value_put(document, SLU_STR("flow_log"), made_document(x, make));
    if (slu_str_is(slu_str_of(outcome), "undo_failed"))
        slu_value_put(document, SLU_STR("error"), undo_error(x, make, several->undos[i]));
    else if (failed(make))
        slu_value_put(document, SLU_STR("error"),
                      make ? slu_problem_of_job(x->arena, make) : gone_error(x));
    return document;
}

/* What would be sent to each, or why not. */
static struct slu_value *trial(struct slu_exchange *x, const struct slu_job *job)
{
    struct slu_value *document =
        failed(job) ? slu_value_new(x->arena, SLU_OBJECT) : slu_rest_dry_run(x->arena, job);

    if (failed(job)) {
        put_text(x->arena, document, SLU_STR("target"), job->target->name);
        slu_value_put(document, SLU_STR("error"), slu_problem_of_job(x->arena, job));
    }
    return document;
}

/* `all` was refused before anything was sent: one problem that has each target's. */
static void reply_refused(struct slu_exchange *x, struct slu_value *results)
{
    struct slu_fault fault = {0};
    struct slu_value *problem;

    slu_fault_set(&fault, SLU_FAULT_UNSUPPORTED, "",
                  "not every target can take this flow log, so nothing was sent; see results");
    problem = slu_problem_of(x->arena, &fault);
    slu_value_put(problem, SLU_STR("results"), results);
    x->fault.kind = SLU_FAULT_UNSUPPORTED;
    slu_respond(x->arena, &x->response, slu_fault_info(fault.kind)->status, problem,
                "application/problem+json");
}

void slu_rest_reply_several(struct slu_exchange *x)
{
    const struct slu_several *several = x->several;
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_value *results = slu_value_new(x->arena, SLU_ARRAY);
    bool good = !slu_several_failed(x);
    bool tried = several->phase == TRYING && (x->dry_run || several->all);

    for (size_t i = 0; i < several->count; i++)
        slu_value_append(results, tried ? trial(x, several->makes[i]) : result(x, i));
    if (tried && !good) {
        reply_refused(x, results);
        return;
    }
    if (x->dry_run)
        slu_value_put(document, SLU_STR("dry_run"), slu_value_bool(x->arena, true));
    slu_value_put(document, SLU_STR("results"), results);
    slu_respond(x->arena, &x->response,
                x->dry_run ? 200
                : good     ? 201
                           : 207,
                document, "application/json");
}
