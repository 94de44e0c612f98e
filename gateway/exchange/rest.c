/*
 * The callers' own API: who asks, for which target, with which wishes; the body as a canonical flow
 * log; and the answers. What happens between is exchange.c's and the same for all.
 */
#include "exchange/rest.h"

#include "codec/json.h"
#include "codec/params.h"
#include "codec/text.h"
#include "model/flow_log.h"

/* Wishes: query parameters and Prefer */

static size_t count_names(const char *const *names)
{
    size_t count = 0;

    while (names[count])
        count++;
    return count;
}

/* Which request a schema shall be about. */
static bool read_operation(struct slu_exchange *x, struct slu_str value)
{
    if (slu_operation_of(value, &x->operation) &&
        (x->operation == SLU_OP_CREATE || x->operation == SLU_OP_UPDATE))
        return true;
    slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "operation", "operation takes create or update");
    return false;
}

static bool read_parameter(struct slu_exchange *x, const struct slu_param *param)
{
    const char *const *known = x->route->parameters;
    size_t count = count_names(known);
    const char *near = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!slu_str_is(param->name, known[i]))
            continue;
        if (slu_str_is(param->name, "operation"))
            return read_operation(x, param->value);
        if (slu_str_is(param->value, "true") || slu_str_is(param->value, "false")) {
            x->dry_run = slu_str_is(param->value, "true");
            return true;
        }
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, known[i], "%s takes true or false", known[i]);
        return false;
    }
    slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "there is no query parameter %.*s here%s%s%s",
                      SLU_FMT(param->name), near ? "; did you mean " : "", near ? near : "",
                      near ? "?" : "");
    return false;
}

static bool read_query(struct slu_exchange *x)
{
    struct slu_params params = {0};

    if (!slu_params_read(x->arena, x->request->query, true, 32, &params, &x->fault)) {
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "the query string cannot be read");
        return false;
    }
    for (size_t i = 0; i < params.count; i++) {
        for (size_t j = 0; j < i; j++)
            if (slu_str_eq(params.items[i].name, params.items[j].name)) {
                slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "%.*s is given twice",
                                  SLU_FMT(params.items[i].name));
                return false;
            }
        if (!read_parameter(x, &params.items[i]))
            return false;
    }
    return true;
}

/* One preference (RFC 7240 §2); unknown ones are to be ignored. */
static bool read_preference(struct slu_exchange *x, struct slu_str text)
{
    struct slu_str rest = text, name, value;
    uint64_t seconds;

    rest = slu_str_trim(slu_str_cut(&rest, ';')); /* parameters of a preference: none are known */
    name = slu_str_trim(slu_str_cut(&rest, '='));
    value = slu_str_trim(rest);
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = (struct slu_str){value.p + 1, value.n - 2};
    if (slu_str_eq_nocase(name, SLU_STR("handling"))) {
        if (!slu_str_is(value, "lenient") && !slu_str_is(value, "strict"))
            return slu_fault_set(&x->fault, SLU_FAULT_BAD_PARAMETER, "prefer",
                                 "handling is strict or lenient");
        x->lenient = slu_str_is(value, "lenient");
    } else if (slu_str_eq_nocase(name, SLU_STR("wait"))) {
        if (!slu_str_to_u64(value, &seconds))
            return slu_fault_set(&x->fault, SLU_FAULT_BAD_PARAMETER, "prefer",
                                 "wait takes a whole number of seconds");
        x->prefers_wait = true;
        x->wait_s = seconds < x->station->catalog->limits.wait_most_s
                        ? (uint32_t)seconds
                        : x->station->catalog->limits.wait_most_s;
    }
    return true;
}

static bool read_preferences(struct slu_exchange *x)
{
    const struct slu_headers *headers = &x->request->headers;

    for (size_t i = 0; i < headers->count; i++) {
        struct slu_str rest = headers->items[i].value;

        if (!slu_str_eq_nocase(headers->items[i].name, SLU_STR("prefer")))
            continue;
        while (rest.p)
            if (!read_preference(x, slu_str_trim(slu_str_cut(&rest, ','))))
                return false;
    }
    x->losses.lenient = x->lenient;
    return true;
}

/* Admission */

/* RFC 6750 §2.1: "Bearer" SP token; the scheme's case does not matter. */
static bool authenticate(struct slu_exchange *x)
{
    struct slu_str value = slu_headers_value(&x->request->headers, SLU_STR("authorization"));
    struct slu_str scheme = slu_str_cut(&value, ' ');

    if (slu_headers_count(&x->request->headers, SLU_STR("authorization")) == 1 &&
        slu_str_eq_nocase(scheme, SLU_STR("bearer")) && value.n)
        x->caller = slu_catalog_caller(x->station->catalog, slu_str_trim(value));
    if (x->caller)
        return true;
    slu_exchange_fail(x, SLU_FAULT_UNAUTHENTICATED, "",
                      scheme.n ? "the key is not known here; send Authorization: Bearer <key>"
                               : "send your key as Authorization: Bearer <key>");
    return false;
}

static bool find_target(struct slu_exchange *x, struct slu_str name)
{
    const struct slu_target *target = slu_catalog_target(x->station->catalog, name);

    if (!target || !slu_caller_may_use(x->caller, name)) {
        slu_exchange_fail(x, target ? SLU_FAULT_FORBIDDEN : SLU_FAULT_NOT_FOUND, "",
                          target ? "this caller may not use the target %.*s"
                                 : "there is no target %.*s; GET /v1/targets lists them",
                          SLU_FMT(name));
        return false;
    }
    x->target = target;
    return true;
}

static bool may(struct slu_exchange *x)
{
    if (x->route->writes ? x->caller->write : x->caller->read)
        return true;
    slu_exchange_fail(x, SLU_FAULT_FORBIDDEN, "", "this caller has no right to %s",
                      x->route->writes ? "write" : "read");
    return false;
}

enum slu_step slu_rest_admit(struct slu_exchange *x)
{
    struct slu_str captures[SLU_CAPTURES_MOST] = {0};
    struct slu_str allow;

    slu_trace_read(x);
    x->route =
        slu_route_find(x->arena, x->request->method, x->request->path, captures, &allow, &x->fault);
    if (!x->route) {
        if (allow.n && !slu_headers_add(x->arena, &x->response.headers, SLU_STR("allow"), allow))
            slu_fault_memory(&x->fault);
        return slu_exchange_fail(x, SLU_FAULT_NOT_FOUND, "", "there is nothing here");
    }
    x->operation = x->asking = x->route->operation;
    x->has_operation = x->route->has_operation;
    if (!x->route->open && !authenticate(x))
        return STEP_REPLY;
    if (strstr(x->route->path, "{dialect}"))
        x->dialect = captures[0];
    else if (captures[0].n && !find_target(x, captures[0]))
        return STEP_REPLY;
    if ((x->caller && !x->route->harmless && !may(x)) || !read_query(x))
        return STEP_REPLY;
    if (!read_preferences(x))
        return slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "prefer", "Prefer cannot be read");
    x->flow_log_id = captures[1];
    return x->route->admit(x);
}

/* application/json, with nothing behind it but parameters. */
static bool is_json(struct slu_str type)
{
    return slu_str_eq_nocase(slu_str_trim(slu_str_cut(&type, ';')), SLU_STR("application/json"));
}

enum slu_step slu_rest_write(struct slu_exchange *x)
{
    if (!is_json(slu_headers_value(&x->request->headers, SLU_STR("content-type"))))
        return slu_exchange_fail(x, SLU_FAULT_MEDIA_TYPE, "content-type",
                                 "send the flow log as Content-Type: application/json");
    if (slu_headers_find(&x->request->headers, SLU_STR("content-encoding")))
        return slu_exchange_fail(x, SLU_FAULT_MEDIA_TYPE, "content-encoding",
                                 "send the flow log without Content-Encoding");
    slu_talk_want_body(x->talk, x->station->catalog->limits.body_bytes);
    return STEP_RECEIVE;
}

enum slu_step slu_rest_read(struct slu_exchange *x)
{
    return x->target->memory ? STEP_IMITATE : STEP_TRANSLATE;
}

/* The body */

enum slu_step slu_rest_understand(struct slu_exchange *x)
{
    struct slu_json_limits limits = {0};

    x->canonical = slu_json_read(x->arena, x->request->body, limits, &x->mistakes);
    if (!x->canonical)
        return slu_exchange_fail(x, SLU_FAULT_BAD_JSON, "",
                                 "the body is not valid JSON; see errors");
    if (x->route->understand)
        return x->route->understand(x);
    if (!slu_value_is(x->canonical, SLU_OBJECT)) {
        slu_mistake(&x->mistakes, SLU_FAULT_INVALID, SLU_STR_NONE,
                    "a flow log is an object, not %s", slu_kind_name(x->canonical->kind));
        return slu_exchange_fail(x, SLU_FAULT_INVALID, "", "the flow log is not valid; see errors");
    }
    /* Mistakes of the model and of the target are told together: translate looks at them again. */
    (void)slu_flow_log_check(x->canonical, &x->mistakes);
    (void)slu_aliases_resolve(x->target, x->canonical, x->arena, &x->mistakes);
    if (!x->target->memory)
        return STEP_TRANSLATE;
    if (!slu_mistakes_none(&x->mistakes))
        return slu_exchange_fail(x, SLU_FAULT_INVALID, "", "the flow log is not valid; see errors");
    return STEP_IMITATE;
}

/* Answers */

static void put_text(struct slu_exchange *x, struct slu_value *object, struct slu_str name,
                     struct slu_str text)
{
    slu_value_put(object, name, slu_value_string(x->arena, text));
}

/* Moves one member, if it is there. */
static void move_member(struct slu_value *from, struct slu_str name, struct slu_value *to)
{
    struct slu_value *member = slu_value_find(from, name);

    if (member && slu_value_remove(from, member))
        slu_value_put(to, name, member);
}

/* The flow log as a caller sees it: members in the model's order, what was lost last. */
static struct slu_value *flow_log_document(struct slu_exchange *x)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    size_t count;
    const struct slu_str *order = slu_flow_log_order(&count);

    if (!document)
        return NULL;
    if (x->flow_log && x->flow_log_id.p)
        slu_value_set(x->flow_log, SLU_STR("id"), slu_value_string(x->arena, x->flow_log_id));
    if (x->flow_log)
        slu_value_set(x->flow_log, SLU_STR("target"), slu_value_string(x->arena, x->target->name));
    for (size_t i = 0; i < count; i++)
        move_member(x->flow_log, order[i], document);
    slu_value_put(document, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
    return document;
}

static struct slu_value *native_url(struct slu_exchange *x)
{
    const struct slu_request *native = &x->native;

    return slu_value_string(
        x->arena, slu_arena_printf(x->arena, "%.*s://%.*s%.*s%s%.*s", SLU_FMT(native->scheme),
                                   SLU_FMT(native->host), SLU_FMT(native->path),
                                   native->query.n ? "?" : "", SLU_FMT(native->query)));
}

/* What would be sent. It is shown before it is signed, so there is no secret in it. */
static struct slu_value *native_document(struct slu_exchange *x)
{
    struct slu_value *shown = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_value *headers = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_mistakes unread;
    struct slu_value *body = NULL;

    if (!shown || !headers)
        return NULL;
    put_text(x, shown, SLU_STR("method"), x->native.method);
    slu_value_put(shown, SLU_STR("url"), native_url(x));
    put_text(x, headers, SLU_STR("host"), x->native.host);
    for (size_t i = 0; i < x->native.headers.count; i++)
        put_text(x, headers, x->native.headers.items[i].name, x->native.headers.items[i].value);
    slu_value_put(shown, SLU_STR("headers"), headers);
    slu_mistakes_init(&unread, x->arena);
    if (x->native.body.n)
        body = slu_json_read(x->arena, x->native.body, (struct slu_json_limits){0}, &unread);
    if (!body)
        body = x->native.body.n ? slu_value_string(x->arena, x->native.body)
                                : slu_value_new(x->arena, SLU_NULL);
    slu_value_put(shown, SLU_STR("body"), body);
    put_text(x, shown, SLU_STR("signing"),
             slu_str_of(slu_scheme_name(x->target->credentials.scheme)));
    return shown;
}

static void reply_dry_run(struct slu_exchange *x)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);

    if (document) {
        slu_value_put(document, SLU_STR("dry_run"), slu_value_bool(x->arena, true));
        put_text(x, document, SLU_STR("target"), x->target->name);
        slu_value_put(document, SLU_STR("request"),
                      x->target->memory ? slu_value_new(x->arena, SLU_NULL) : native_document(x));
        slu_value_put(document, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
    }
    slu_respond(x->arena, &x->response, 200, document, "application/json");
}

static void add_location(struct slu_exchange *x)
{
    struct slu_buf path;
    bool good;

    slu_buf_init(&path, 2048);
    slu_buf_lit(&path, "/v1/targets/");
    slu_percent_encode(&path, x->target->name);
    slu_buf_lit(&path, "/flow-logs/");
    slu_percent_encode(&path, x->flow_log_id);
    good = !path.failed && slu_headers_add(x->arena, &x->response.headers, SLU_STR("location"),
                                           slu_arena_str(x->arena, slu_buf_str(&path)));
    slu_buf_done(&path);
    if (!good)
        slu_log(SLU_LOG_DEBUG, "location", "no memory for the Location of %.*s", SLU_FMT(x->id));
}

static void add_preferences_applied(struct slu_exchange *x)
{
    struct slu_str text;

    if (!x->lenient && !x->prefers_wait)
        return;
    if (x->lenient && x->prefers_wait)
        text = slu_arena_printf(x->arena, "handling=lenient, wait=%u", x->wait_s);
    else if (x->lenient)
        text = SLU_STR("handling=lenient");
    else
        text = slu_arena_printf(x->arena, "wait=%u", x->wait_s);
    if (!slu_headers_add(x->arena, &x->response.headers, SLU_STR("preference-applied"), text))
        slu_log(SLU_LOG_DEBUG, "prefer", "no memory for Preference-Applied of %.*s",
                SLU_FMT(x->id));
}

void slu_rest_reply(struct slu_exchange *x)
{
    if (x->id.p && !slu_headers_add(x->arena, &x->response.headers, SLU_STR("x-request-id"), x->id))
        slu_fault_memory(&x->fault);
    if (x->fault.kind != SLU_FAULT_NONE) {
        slu_problem_reply(x);
        return;
    }
    if (x->has_operation && slu_operation_writes(x->operation))
        add_preferences_applied(x);
    if (x->dry_run) {
        reply_dry_run(x);
        return;
    }
    if (x->operation == SLU_OP_CREATE && x->has_operation)
        add_location(x);
    slu_respond(x->arena, &x->response, x->route->status,
                x->has_operation ? flow_log_document(x) : x->document, "application/json");
}

/* The routes that need no cloud */

enum slu_step slu_rest_openapi(struct slu_exchange *x)
{
    x->document = slu_openapi(x->arena);
    return STEP_REPLY;
}

static struct slu_value *target_document(struct slu_exchange *x, const struct slu_target *target)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_value *operations = slu_value_new(x->arena, SLU_ARRAY);

    if (!document || !operations)
        return NULL;
    put_text(x, document, SLU_STR("name"), target->name);
    put_text(x, document, SLU_STR("dialect"), target->dialect);
    if (target->table)
        put_text(x, document, SLU_STR("title"), slu_table_title(target->table));
    for (int i = 0; i < SLU_OP_COUNT; i++) {
        enum slu_operation operation = (enum slu_operation)i;
        bool routed = operation == SLU_OP_CREATE || operation == SLU_OP_GET;

        if (routed && (target->memory || slu_table_serves(target->table, operation)))
            slu_value_append(operations,
                             slu_value_string(x->arena, slu_str_of(slu_operation_name(operation))));
    }
    slu_value_put(document, SLU_STR("operations"), operations);
    return document;
}

enum slu_step slu_rest_targets(struct slu_exchange *x)
{
    const struct slu_catalog *catalog = x->station->catalog;
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY);

    x->document = slu_value_new(x->arena, SLU_OBJECT);
    if (x->document && list) {
        for (size_t i = 0; i < catalog->target_count; i++)
            if (slu_caller_may_use(x->caller, catalog->targets[i].name))
                slu_value_append(list, target_document(x, &catalog->targets[i]));
        slu_value_put(x->document, SLU_STR("targets"), list);
    }
    return STEP_REPLY;
}

enum slu_step slu_rest_target(struct slu_exchange *x)
{
    x->document = target_document(x, x->target);
    return STEP_REPLY;
}
