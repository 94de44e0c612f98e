/*
 * What an operation tells of itself beside its answer: each target's part and the clouds' own ids
 * of what was sent to them. It is recorded with the end. While a write lasts it is noted when a
 * part of several has ended and, less and less often, how far one is that takes long; a short one
 * costs no commit.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/build.h"
#include "codec/json.h"

enum { FIRST_MS = 1000, LAST_MS = 10000 };

struct slu_str slu_record_text(struct slu_arena *arena, const struct slu_value *document)
{
    struct slu_str text = SLU_STR_NONE;
    struct slu_buf out;

    if (!document || arena->failed)
        return SLU_STR_NONE;
    slu_buf_init(&out, 0);
    slu_json_write(&out, document);
    if (!out.failed)
        text = slu_arena_str(arena, slu_buf_str(&out));
    slu_buf_done(&out);
    return text;
}

enum slu_record_state slu_job_state(const struct slu_job *job)
{
    if (!job->ended)
        return SLU_RECORD_RUNNING;
    if (!slu_job_failed(job))
        return SLU_RECORD_SUCCEEDED;
    return slu_job_may_have_acted(job) ? SLU_RECORD_UNKNOWN : SLU_RECORD_FAILED;
}

/* The parts: one for each target, with the jobs that belong to it. */
static size_t count_parts(const struct slu_exchange *x)
{
    return x->several ? slu_several_count(x) : x->job != NULL;
}

static struct slu_part part_of(const struct slu_exchange *x, size_t i)
{
    if (x->several)
        return slu_several_part(x, i);
    return (struct slu_part){x->job->target->name, slu_job_state(x->job), {x->job, NULL}};
}

static void put_part(struct slu_arena *arena, struct slu_value *list, const struct slu_part *part)
{
    struct slu_value *document = slu_add_object(arena, list);
    const struct slu_job *first = part->jobs[0];
    int64_t attempts = 0;

    slu_put_str(arena, document, "target", part->target);
    slu_put_text(arena, document, "status", slu_record_state_name(part->state));
    for (size_t i = 0; i < SLU_COUNT(part->jobs) && part->jobs[i]; i++) {
        const struct slu_job *job = part->jobs[i];

        attempts += job->writes;
        if (!job->ended && job->started)
            slu_put_str(arena, document, "step", slu_job_step_name(job->step));
    }
    if (!first)
        return;
    if (first->id.p)
        slu_put_str(arena, document, "flow_log_id", first->id);
    if (first->successor_id.p) /* in place of one that may still be there */
        slu_put_str(arena, document, "made", first->successor_id);
    if (attempts || !first->resumes) /* those before a crash are not counted here */
        slu_put_int(arena, document, "attempts", attempts);
}

struct slu_str slu_progress_made(const struct slu_value *parts, struct slu_str target)
{
    if (slu_value_is(parts, SLU_ARRAY))
        slu_value_each (part, parts) {
            const struct slu_value *name = slu_value_member(part, "target");
            const struct slu_value *made = slu_value_member(part, "made");

            if (slu_value_is(name, SLU_STRING) && slu_str_eq(name->text, target) &&
                slu_value_is(made, SLU_STRING))
                return made->text;
        }
    return SLU_STR_NONE;
}

static struct slu_str parts(struct slu_exchange *x, enum slu_record_state state)
{
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY);
    size_t count = count_parts(x);

    for (size_t i = 0; i < count; i++) {
        struct slu_part part = part_of(x, i);

        if (!x->several && state != SLU_RECORD_RUNNING)
            part.state = state; /* a fault may have been forgiven */
        put_part(x->arena, list, &part);
    }
    return count ? slu_record_text(x->arena, list) : SLU_STR_NONE;
}

/* With those of a life before a crash. */
static struct slu_str upstream(struct slu_exchange *x)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);

    for (size_t i = 0; i < count_parts(x); i++) {
        struct slu_part part = part_of(x, i);
        const struct slu_value *before = slu_value_find(x->entry.upstream, part.target);
        struct slu_value *ids = before ? slu_value_copy(x->arena, before) : NULL;

        for (size_t k = 0; k < SLU_COUNT(part.jobs) && part.jobs[k]; k++)
            for (size_t n = 0; n < part.jobs[k]->request_id_count; n++) {
                if (!ids && !(ids = slu_value_new(x->arena, SLU_ARRAY)))
                    return SLU_STR_NONE;
                slu_add_str(x->arena, ids, part.jobs[k]->request_ids[n]);
            }
        slu_value_put(document, part.target, ids);
    }
    return slu_value_is(document, SLU_OBJECT) && document->count
               ? slu_record_text(x->arena, document)
               : SLU_STR_NONE;
}

struct slu_record slu_progress_record(struct slu_exchange *x, enum slu_record_state state)
{
    struct slu_record record = {.id = x->id,
                                .claim = x->entry.claim,
                                .attempts = x->entry.attempts,
                                .updated_ms = slu_clock_real_ms(),
                                .token = x->entry.token,
                                .fingerprint = x->entry.fingerprint,
                                .flow_log_id = x->job ? x->job->id : SLU_STR_NONE,
                                .state = state,
                                .parts = parts(x, state),
                                .upstream = upstream(x)};

    for (size_t i = 0; i < x->job_count; i++)
        record.attempts += x->jobs[i]->writes;
    return record;
}

/* Notes */

/* One that is lost is made up for by the next one, or by the end. */
static void note(struct slu_exchange *x)
{
    struct slu_record record = slu_progress_record(x, SLU_RECORD_RUNNING);
    struct slu_fault fault = {0};

    if (!record.parts.p || slu_str_eq(record.parts, x->noted))
        return;
    x->noted = record.parts;
    record.attempts += record.attempts == 0; /* the first one may leave at any time */
    if (!slu_journal_note(x->station->worker->gateway->journal, &record, slu_letter_unread, NULL,
                          &fault))
        slu_log(SLU_LOG_DEBUG, "journal", "how far operation %.*s is cannot be noted: %s",
                SLU_FMT(x->id), fault.words);
}

static void set_watch(struct slu_exchange *x, uint32_t ms)
{
    x->watch_ms = ms;
    if (!slu_timer_set(&x->watch, ms))
        slu_log(SLU_LOG_DEBUG, "journal", "no memory to look how far operation %.*s is",
                SLU_FMT(x->id));
}

static void look_again(void *argument)
{
    struct slu_exchange *x = argument;

    if (x->step != STEP_WORK)
        return;
    note(x);
    set_watch(x, 2 * x->watch_ms < LAST_MS ? 2 * x->watch_ms : LAST_MS);
}

void slu_progress_watch(struct slu_exchange *x)
{
    size_t over = 0;

    if (!x->recorded || x->station->worker->ending)
        return;
    for (size_t i = 0; i < x->job_count; i++)
        over += x->jobs[i]->ended;
    if (x->several && over > x->jobs_over)
        note(x);
    x->jobs_over = over;
    if (x->watch_ms)
        return;
    slu_timer_init(&x->watch, x->station->worker->loop, look_again, x);
    set_watch(x, FIRST_MS);
}

/* Too large */

static struct slu_value *short_document(struct slu_exchange *x, struct slu_fault *why)
{
    struct slu_value *document;

    if (x->fault.kind != SLU_FAULT_NONE) {
        slu_fault_set(why, x->fault.kind, "", "%.*s", (int)sizeof(why->words) - 1, x->fault.words);
        return slu_problem_of(x->arena, why);
    }
    document = slu_value_new(x->arena, SLU_OBJECT);
    if (x->several)
        slu_value_put(document, SLU_STR("results"), slu_several_ends(x));
    if (x->target)
        slu_put_str(x->arena, document, "target", x->target->name);
    if (x->flow_log_id.p)
        slu_put_str(x->arena, document, "id", x->flow_log_id);
    slu_put_text(x->arena, document, "detail",
                 "the answer was larger than the journal keeps: read the flow log by its id");
    return document;
}

struct slu_str slu_progress_short_answer(struct slu_exchange *x)
{
    struct slu_fault why = {0};
    struct slu_str text;

    if (x->door)
        return SLU_STR("");
    if (x->arena->failed)
        slu_arena_reserve(x->arena, 64 << 10);
    text = slu_record_text(x->arena, short_document(x, &why));
    return text.p ? text
                  : SLU_STR("{\"detail\":\"the answer was larger than the journal keeps: look on "
                            "the targets for the flow log\"}");
}
