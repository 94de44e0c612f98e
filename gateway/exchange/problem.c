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

    *response = (struct slu_response){503, {&type, 1, 1}, body};
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
static void judge_mistakes(struct slu_exchange *x)
{
    bool json = false, invalid = false, unsupported = false;

    for (const struct slu_mistake *m = x->mistakes.first; m; m = m->next) {
        json |= m->kind == SLU_FAULT_BAD_JSON;
        invalid |= m->kind == SLU_FAULT_INVALID;
        unsupported |= m->kind == SLU_FAULT_UNSUPPORTED;
    }
    if (json)
        x->fault.kind = SLU_FAULT_BAD_JSON;
    else if (invalid)
        x->fault.kind = SLU_FAULT_INVALID;
    else if (unsupported)
        x->fault.kind = SLU_FAULT_UNSUPPORTED;
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

static void put_errors(struct slu_exchange *x, struct slu_value *problem)
{
    struct slu_value *errors = errors_of(x->arena, &x->mistakes);

    if (errors && !errors->count && x->outcome.pointer.n) {
        struct slu_value *one = slu_value_new(x->arena, SLU_OBJECT);

        if (one) {
            put_text(x->arena, one, SLU_STR("pointer"), x->outcome.pointer);
            put_text(x->arena, one, SLU_STR("code"),
                     slu_str_of(slu_fault_info(x->fault.kind)->code));
            put_text(x->arena, one, SLU_STR("detail"), slu_str_of(x->fault.words));
            slu_value_append(errors, one);
        }
    }
    if (errors && errors->count)
        slu_value_put(problem, SLU_STR("errors"), errors);
}

static void put_upstream(struct slu_exchange *x, struct slu_value *problem)
{
    struct slu_value *upstream;

    if (!x->cloud_status || !(upstream = slu_value_new(x->arena, SLU_OBJECT)))
        return;
    put_text(x->arena, upstream, SLU_STR("target"), x->target->name);
    slu_value_put(upstream, SLU_STR("status"), slu_value_int(x->arena, x->cloud_status));
    if (x->outcome.vendor_code.n)
        put_text(x->arena, upstream, SLU_STR("code"), x->outcome.vendor_code);
    if (x->outcome.vendor_message.n)
        put_text(x->arena, upstream, SLU_STR("message"), x->outcome.vendor_message);
    if (x->outcome.vendor_request_id.n)
        put_text(x->arena, upstream, SLU_STR("request_id"), x->outcome.vendor_request_id);
    slu_value_put(problem, SLU_STR("upstream"), upstream);
}

/* Retryable: sending the same again may succeed and cannot do harm. */
bool slu_fault_retryable(const struct slu_exchange *x)
{
    bool write = x->has_operation && slu_operation_writes(x->operation);

    if (x->has_operation && x->asking != x->operation)
        return false; /* the write was answered: to send it again would be a second one */
    if (x->calls && x->result.sent != SLU_SENT_ANSWERED)
        return !write || x->result.sent == SLU_SENT_NOTHING;
    if (x->outcome.kind != SLU_FAULT_NONE)
        return x->outcome.retry != SLU_RETRY_NO;
    return slu_fault_info(x->fault.kind)->retry != SLU_RETRY_NO;
}

static bool put_headers(struct slu_exchange *x)
{
    struct slu_headers *headers = &x->response.headers;
    uint32_t after_ms = x->outcome.retry_after_ms;

    if (x->fault.kind == SLU_FAULT_UNAUTHENTICATED &&
        !slu_headers_add(x->arena, headers, SLU_STR("www-authenticate"),
                         SLU_STR("Bearer realm=\"sluice\"")))
        return false;
    if (!after_ms && slu_fault_info(x->fault.kind)->retry == SLU_RETRY_AFTER && !x->calls)
        after_ms = 1000;
    return !after_ms || slu_headers_add(x->arena, headers, SLU_STR("retry-after"),
                                        slu_arena_printf(x->arena, "%u",
                                                         after_ms / 1000 + (after_ms % 1000 != 0)));
}

void slu_problem_reply(struct slu_exchange *x)
{
    struct slu_value *problem;

    judge_mistakes(x);
    problem = document(x->arena, &x->fault, slu_fault_retryable(x));
    if (problem) {
        if (x->id.p)
            put_text(x->arena, problem, SLU_STR("instance"),
                     slu_arena_printf(x->arena, "urn:sluice:request:%.*s", SLU_FMT(x->id)));
        put_errors(x, problem);
        put_upstream(x, problem);
        if (x->losses.count)
            slu_value_put(problem, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
        if (slu_operation_writes(x->operation) && x->flow_log_id.p)
            put_text(x->arena, problem, SLU_STR("flow_log_id"), x->flow_log_id);
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
