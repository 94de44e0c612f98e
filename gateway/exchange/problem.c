/* Errors as callers see them: RFC 9457 problem details, and the last resort when memory is spent.
 */
#include "exchange/exchange_internal.h"

#include "codec/json.h"

enum { USUAL_BYTES = 2048 }; /* of an answer: one allocation */

/* What is answered when there is no memory for an answer. Never called retryable: it may follow a
 * write. */
static void last_resort(struct slu_response *response)
{
    static struct slu_header type = {SLU_STR_INIT("content-type"),
                                     SLU_STR_INIT("application/problem+json")};
    static const struct slu_str body = SLU_STR_INIT(
        "{\"type\":\"urn:sluice:error:out_of_memory\",\"title\":\"Not enough memory for this "
        "request\",\"status\":503,\"detail\":\"the memory that one request may use is "
        "spent\",\"code\":\"out_of_memory\",\"retryable\":false}");

    *response = (struct slu_response){.status = 503, .headers = {&type, 1, 1}, .body = body};
}

void slu_respond(struct slu_arena *arena, struct slu_response *response, int status,
                 const struct slu_value *document, const char *type)
{
    struct slu_buf text;

    slu_buf_init(&text, 0);
    if (document && !arena->failed && slu_buf_reserve(&text, USUAL_BYTES))
        slu_json_write(&text, document);
    if (document && !arena->failed && !text.failed)
        response->body = slu_arena_str(arena, slu_buf_str(&text));
    slu_buf_done(&text);
    response->status = status;
    if (!document || arena->failed || !response->body.p ||
        !slu_headers_add(arena, &response->headers, SLU_STR("content-type"), slu_str_of(type)))
        last_resort(response);
}

static void put_text(struct slu_arena *arena, struct slu_value *object, struct slu_str name,
                     struct slu_str text)
{
    slu_value_put(object, name, slu_value_string(arena, text));
}

static struct slu_value *document(struct slu_arena *arena, const struct slu_fault *fault,
                                  bool retryable)
{
    const struct slu_fault_info *info = slu_fault_info(fault->kind);
    struct slu_value *problem = slu_value_new(arena, SLU_OBJECT);

    if (!problem)
        return NULL;
    put_text(arena, problem, SLU_STR("type"),
             slu_arena_printf(arena, "urn:sluice:error:%s", info->code));
    put_text(arena, problem, SLU_STR("title"), slu_str_of(info->title));
    slu_value_put(problem, SLU_STR("status"), slu_value_int(arena, info->status));
    put_text(arena, problem, SLU_STR("detail"),
             slu_arena_str(arena, slu_str_of(fault->words[0] ? fault->words : info->title)));
    put_text(arena, problem, SLU_STR("code"), slu_str_of(info->code));
    slu_value_put(problem, SLU_STR("retryable"), slu_value_bool(arena, retryable));
    return problem;
}

/* The mistakes decide the kind: bad JSON before a bad flow log before what the target lacks. */
static enum slu_fault_kind judge_mistakes(const struct slu_mistakes *mistakes,
                                          enum slu_fault_kind otherwise)
{
    static const enum slu_fault_kind order[] = {SLU_FAULT_BAD_JSON, SLU_FAULT_FORBIDDEN,
                                                SLU_FAULT_INVALID, SLU_FAULT_UNSUPPORTED};

    for (size_t i = 0; i < SLU_COUNT(order); i++)
        for (const struct slu_mistake *m = mistakes->first; m; m = m->next)
            if (m->kind == order[i])
                return order[i];
    return otherwise;
}

/* "/destination" for "/destination/alias"; empty for a member of the document itself. */
static struct slu_str parent_of(struct slu_str pointer)
{
    while (pointer.n && pointer.p[--pointer.n] != '/')
        ;
    return pointer;
}

static bool is_inside(struct slu_str pointer, struct slu_str outer)
{
    return pointer.n > outer.n && outer.n && slu_str_starts(pointer, outer) &&
           pointer.p[outer.n] == '/';
}

/* An alias that stands for nothing explains everything that it does not give. */
static bool is_missing_alias(struct slu_str blamed, struct slu_str pointer)
{
    if (slu_str_is(blamed, "/resource_alias"))
        return slu_str_starts(pointer, SLU_STR("/resource_"));
    return slu_str_ends(blamed, SLU_STR("/alias")) &&
           slu_str_eq(parent_of(blamed), parent_of(pointer));
}

/* A member is blamed once, and not for what is missing in it: who saw it first has the better
 * words. */
static bool told_before(const struct slu_mistakes *mistakes, const struct slu_mistake *mistake)
{
    for (const struct slu_mistake *m = mistakes->first; m != mistake; m = m->next) {
        struct slu_str pointer = mistake->pointer;

        if (m->kind == SLU_FAULT_BAD_JSON)
            continue;
        if (slu_str_eq(m->pointer, pointer) || is_inside(m->pointer, pointer) ||
            is_inside(pointer, m->pointer) || is_missing_alias(m->pointer, pointer))
            return true;
    }
    return false;
}

/* The mistakes as an array. */
static struct slu_value *errors_of(struct slu_arena *arena, const struct slu_mistakes *mistakes)
{
    struct slu_value *errors = slu_value_new(arena, SLU_ARRAY);

    for (const struct slu_mistake *m = mistakes->first; m && errors; m = m->next) {
        struct slu_value *one = slu_value_new(arena, SLU_OBJECT);

        if (!one || told_before(mistakes, m))
            continue;
        put_text(arena, one, SLU_STR("pointer"), m->pointer);
        put_text(arena, one, SLU_STR("code"), slu_str_of(slu_fault_info(m->kind)->code));
        put_text(arena, one, SLU_STR("detail"), m->detail);
        slu_value_append(errors, one);
    }
    return errors;
}

static struct slu_value *error_document(struct slu_arena *arena, struct slu_str pointer,
                                        enum slu_fault_kind kind, struct slu_str detail)
{
    struct slu_value *one = slu_value_new(arena, SLU_OBJECT);

    if (!one)
        return NULL;
    put_text(arena, one, SLU_STR("pointer"), pointer);
    put_text(arena, one, SLU_STR("code"), slu_str_of(slu_fault_info(kind)->code));
    put_text(arena, one, SLU_STR("detail"), detail);
    return one;
}

/* `job` may be NULL. */
static void put_errors(struct slu_arena *arena, const struct slu_mistakes *mistakes,
                       const struct slu_job *job, const struct slu_fault *fault,
                       struct slu_value *problem)
{
    struct slu_value *errors = slu_value_new(arena, SLU_ARRAY);

    for (const struct slu_mistake *m = mistakes->first; m && errors; m = m->next)
        if (!told_before(mistakes, m))
            slu_value_append(errors, error_document(arena, m->pointer, m->kind, m->detail));
    if (errors && !errors->count && job && job->outcome.pointer.n)
        slu_value_append(errors, error_document(arena, job->outcome.pointer, fault->kind,
                                                slu_arena_str(arena, slu_str_of(fault->words))));
    if (errors && errors->count)
        slu_value_put(problem, SLU_STR("errors"), errors);
}

static void put_upstream(struct slu_arena *arena, const struct slu_job *job,
                         struct slu_value *problem)
{
    struct slu_value *upstream;

    if (!job || !job->cloud_status || !(upstream = slu_value_new(arena, SLU_OBJECT)))
        return;
    put_text(arena, upstream, SLU_STR("target"), job->target->name);
    slu_value_put(upstream, SLU_STR("status"), slu_value_int(arena, job->cloud_status));
    if (job->outcome.vendor_code.n)
        put_text(arena, upstream, SLU_STR("code"), job->outcome.vendor_code);
    if (job->outcome.vendor_message.n)
        put_text(arena, upstream, SLU_STR("message"), job->outcome.vendor_message);
    if (job->outcome.vendor_request_id.n)
        put_text(arena, upstream, SLU_STR("request_id"), job->outcome.vendor_request_id);
    slu_value_put(problem, SLU_STR("upstream"), upstream);
}

/* Sending the same again may succeed and cannot do harm. */
bool slu_job_retryable(const struct slu_job *job)
{
    if (job->acted)
        return false; /* a write took effect, or may have: to send it again would be a second one */
    if (job->spent.calls && job->result.sent != SLU_SENT_ANSWERED)
        return true;
    if (job->outcome.kind != SLU_FAULT_NONE)
        return job->outcome.retry != SLU_RETRY_NO;
    return slu_fault_info(job->fault.kind)->retry != SLU_RETRY_NO;
}

bool slu_fault_retryable(const struct slu_exchange *x)
{
    if (x->job && x->job->fault.kind != SLU_FAULT_NONE)
        return slu_job_retryable(x->job);
    return slu_fault_info(x->fault.kind)->retry != SLU_RETRY_NO;
}

/* What the cloud told is passed on; a cloud that told nothing is not spoken for. */
bool slu_problem_retry_after(struct slu_exchange *x)
{
    uint32_t after_ms = x->job ? x->job->outcome.retry_after_ms : 0;
    bool called = x->job && x->job->spent.calls;

    if (!after_ms && slu_fault_info(x->fault.kind)->retry == SLU_RETRY_AFTER && !called)
        after_ms = 1000;
    return !after_ms || slu_headers_add(x->arena, &x->response.headers, SLU_STR("retry-after"),
                                        slu_arena_printf(x->arena, "%u",
                                                         after_ms / 1000 + (after_ms % 1000 != 0)));
}

static bool put_headers(struct slu_exchange *x)
{
    if (x->fault.kind == SLU_FAULT_UNAUTHENTICATED &&
        !slu_headers_add(x->arena, &x->response.headers, SLU_STR("www-authenticate"),
                         SLU_STR("Bearer realm=\"sluice\"")))
        return false;
    return slu_problem_retry_after(x);
}

/* What stands on the cloud although the whole did not succeed. */
static void put_what_stands(struct slu_exchange *x, struct slu_value *problem)
{
    if (!x->has_operation || !slu_operation_writes(x->operation) || !x->flow_log_id.p)
        return;
    put_text(x->arena, problem, SLU_STR("flow_log_id"), x->flow_log_id);
    if (x->job && x->job->acted && slu_value_is(x->flow_log, SLU_OBJECT))
        slu_value_put(problem, SLU_STR("flow_log"), slu_value_copy(x->arena, x->flow_log));
}

void slu_problem_reply(struct slu_exchange *x)
{
    struct slu_value *problem;

    x->fault.kind = judge_mistakes(&x->mistakes, x->fault.kind);
    problem = document(x->arena, &x->fault, slu_fault_retryable(x));
    if (problem) {
        if (x->id.p)
            put_text(x->arena, problem, SLU_STR("instance"),
                     slu_arena_printf(x->arena, "urn:sluice:request:%.*s", SLU_FMT(x->id)));
        put_errors(x->arena, &x->mistakes, x->job, &x->fault, problem);
        put_upstream(x->arena, x->job, problem);
        if (x->losses.count)
            slu_value_put(problem, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
        put_what_stands(x, problem);
    }
    if (!put_headers(x))
        problem = NULL;
    slu_respond(x->arena, &x->response, slu_fault_info(x->fault.kind)->status, problem,
                "application/problem+json");
}

void slu_problem_told(struct slu_arena *arena, const struct slu_fault *fault,
                      const struct slu_mistakes *mistakes, struct slu_response *ret_response)
{
    const struct slu_fault_info *info = slu_fault_info(fault->kind);
    struct slu_value *problem = document(arena, fault, info->retry != SLU_RETRY_NO);

    if (problem && mistakes->count)
        slu_value_put(problem, SLU_STR("errors"), errors_of(arena, mistakes));
    slu_respond(arena, ret_response, info->status, problem, "application/problem+json");
}

void slu_problem_plain(struct slu_arena *arena, const struct slu_fault *fault,
                       struct slu_response *ret_response)
{
    struct slu_mistakes none;

    slu_mistakes_init(&none, arena);
    slu_problem_told(arena, fault, &none, ret_response);
}

struct slu_value *slu_problem_of(struct slu_arena *arena, const struct slu_fault *fault)
{
    return document(arena, fault, slu_fault_info(fault->kind)->retry != SLU_RETRY_NO);
}

struct slu_value *slu_problem_of_job(struct slu_arena *arena, const struct slu_job *job)
{
    struct slu_fault fault = job->fault;
    struct slu_value *problem;

    fault.kind = judge_mistakes(job->mistakes, fault.kind);
    problem = document(arena, &fault, slu_job_retryable(job));
    if (!problem)
        return NULL;
    put_errors(arena, job->mistakes, job, &fault, problem);
    put_upstream(arena, job, problem);
    return problem;
}
