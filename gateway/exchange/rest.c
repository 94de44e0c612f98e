/*
 * The callers' own API: who asks, for which target, with which wishes; the body as a canonical flow
 * log; and the answers. What happens between is exchange.c's and the same for all.
 */
#include "exchange/rest.h"

#include "base/clock.h"
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

static bool read_truth(struct slu_exchange *x, const struct slu_param *param, bool *ret_truth)
{
    *ret_truth = slu_str_is(param->value, "true");
    if (*ret_truth || slu_str_is(param->value, "false"))
        return true;
    slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "%.*s takes true or false",
                      SLU_FMT(param->name));
    return false;
}

/* Parameters that mean the same on every route; the others are read by who needs them. */
static bool read_parameter(struct slu_exchange *x, const struct slu_param *param)
{
    const char *const *known = x->route->parameters;
    size_t count = count_names(known);
    struct slu_str names = SLU_STR("none");

    if (slu_str_is(param->name, "dry_run") && count && slu_str_is(slu_str_of(known[0]), "dry_run"))
        return read_truth(x, param, &x->dry_run);
    for (size_t i = 0; i < count; i++) {
        if (slu_str_is(param->name, known[i]))
            return !slu_str_is(param->name, "replace") || read_truth(x, param, &x->replace);
        names = slu_arena_printf(x->arena, "%.*s%s%s", SLU_FMT(i ? names : SLU_STR("")),
                                 i ? ", " : "", known[i]);
    }
    if (x->route->filters)
        return true;
    slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "",
                      "there is no query parameter %.*s here; known are: %.*s",
                      SLU_FMT(param->name), SLU_FMT(names));
    return false;
}

static bool read_query(struct slu_exchange *x)
{
    struct slu_params *params = &x->query;

    if (!slu_params_read(x->arena, x->request->query, true, 32, params, &x->fault)) {
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "the query string cannot be read");
        return false;
    }
    for (size_t i = 0; i < params->count; i++) {
        if (slu_params_find(params, params->items[i].name) != &params->items[i]) {
            slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "%.*s is given twice",
                              SLU_FMT(params->items[i].name));
            return false;
        }
        if (!read_parameter(x, &params->items[i]))
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
    } else if (slu_str_eq_nocase(name, SLU_STR("respond-async"))) {
        x->prefers_async = true; /* where there is a journal; else nobody could ask for the end */
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
    x->operation = x->route->operation;
    x->has_operation = x->route->has_operation;
    if (!x->route->open && !authenticate(x))
        return STEP_REPLY;
    if (strstr(x->route->path, "{dialect}"))
        x->dialect = captures[0];
    else if (strstr(x->route->path, "{operation}"))
        x->operation_id = captures[0];
    else if (captures[0].n && !find_target(x, captures[0]))
        return STEP_REPLY;
    if ((x->caller && !x->route->harmless && !may(x)) || !read_query(x))
        return STEP_REPLY;
    if (!read_preferences(x))
        return slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "prefer", "Prefer cannot be read");
    if (!slu_record_read_key(x))
        return STEP_REPLY;
    x->flow_log_id = captures[1];
    return x->route->admit(x);
}

/* The media type with nothing behind it but parameters. */
static bool is_type(struct slu_str field, const char *type)
{
    return slu_str_eq_nocase(slu_str_trim(slu_str_cut(&field, ';')), slu_str_of(type));
}

static bool is_json(const struct slu_exchange *x)
{
    struct slu_str type = slu_headers_value(&x->request->headers, SLU_STR("content-type"));

    return is_type(type, "application/json") || (slu_str_is(x->request->method, "PATCH") &&
                                                 is_type(type, "application/merge-patch+json"));
}

enum slu_step slu_rest_write(struct slu_exchange *x)
{
    if (!is_json(x))
        return slu_exchange_fail(
            x, SLU_FAULT_MEDIA_TYPE, "content-type", "send the body as Content-Type: %s",
            slu_str_is(x->request->method, "PATCH") ? "application/merge-patch+json"
                                                    : "application/json");
    if (slu_headers_find(&x->request->headers, SLU_STR("content-encoding")))
        return slu_exchange_fail(x, SLU_FAULT_MEDIA_TYPE, "content-encoding",
                                 "send the body without Content-Encoding");
    return slu_exchange_want_body(x) ? STEP_RECEIVE : STEP_REPLY;
}

static struct slu_job *single(struct slu_exchange *x)
{
    return slu_exchange_job(x, x->target, x->operation, false);
}

/* Several If-Match fields are one list (RFC 9110 §5.3); one without a tag is there too, and never
 * holds. */
static struct slu_str if_match(struct slu_exchange *x)
{
    const struct slu_headers *headers = &x->request->headers;
    struct slu_str all = SLU_STR_NONE;

    for (size_t i = 0; i < headers->count; i++)
        if (slu_str_eq_nocase(headers->items[i].name, SLU_STR("if-match")))
            all = slu_arena_printf(x->arena, "%.*s%s%.*s", SLU_FMT(all), all.p ? ", " : "",
                                   SLU_FMT(headers->items[i].value));
    return all;
}

enum slu_step slu_rest_read(struct slu_exchange *x)
{
    return slu_exchange_work(x, single(x));
}

/* As it was sent, for the journal. */
static bool remember_request(struct slu_exchange *x)
{
    if (!x->station->worker->gateway->journal || slu_record_digest(x))
        return true;
    return slu_fault_memory(&x->fault);
}

enum slu_step slu_rest_remove(struct slu_exchange *x)
{
    struct slu_job *job = remember_request(x) ? single(x) : NULL;

    if (job)
        job->if_match = if_match(x);
    return slu_exchange_work(x, job);
}

/* The body */

bool slu_rest_body(struct slu_exchange *x, const char *what)
{
    x->canonical =
        slu_json_read(x->arena, x->request->body, (struct slu_json_limits){0}, &x->mistakes);
    if (!x->canonical) {
        slu_exchange_fail(x, SLU_FAULT_BAD_JSON, "", "the body is not valid JSON; see errors");
        return false;
    }
    if (slu_value_is(x->canonical, SLU_OBJECT))
        return !x->has_operation || remember_request(x);
    slu_mistake(&x->mistakes, SLU_FAULT_INVALID, SLU_STR_NONE, "%s is an object, not %s", what,
                slu_kind_name(x->canonical->kind));
    slu_exchange_fail(x, SLU_FAULT_INVALID, "", "%s is not valid; see errors", what);
    return false;
}

/* The table looks at the same document: a cloud's mistakes are told together with the model's. The
 * memory cloud has no table. */
static enum slu_step judged(struct slu_exchange *x, struct slu_job *job, const char *what)
{
    if (x->target->memory && !slu_mistakes_none(&x->mistakes))
        return slu_exchange_fail(x, SLU_FAULT_INVALID, "", "%s is not valid; see errors", what);
    return slu_exchange_work(x, job);
}

enum slu_step slu_rest_understand(struct slu_exchange *x)
{
    return x->route->understand(x);
}

enum slu_step slu_rest_understand_create(struct slu_exchange *x)
{
    struct slu_job *job;

    if (!slu_rest_body(x, "the flow log"))
        return STEP_REPLY;
    (void)slu_flow_log_check(x->canonical, &x->mistakes);
    (void)slu_aliases_resolve(x->target, x->canonical, x->arena, &x->mistakes);
    job = single(x);
    if (job)
        job->canonical = x->canonical;
    return judged(x, job, "the flow log");
}

enum slu_step slu_rest_understand_change(struct slu_exchange *x)
{
    struct slu_job *job;

    if (!slu_rest_body(x, "the patch"))
        return STEP_REPLY;
    (void)slu_flow_log_check_patch(x->canonical, &x->mistakes);
    (void)slu_aliases_resolve(x->target, x->canonical, x->arena, &x->mistakes);
    if (!slu_mistakes_none(&x->mistakes))
        return slu_exchange_fail(x, SLU_FAULT_INVALID, "", "the patch is not valid; see errors");
    job = single(x);
    if (job) {
        job->canonical = x->canonical;
        job->if_match = if_match(x);
    }
    return slu_exchange_work(x, job);
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

struct slu_value *slu_rest_flow_log(struct slu_arena *arena, struct slu_value *flow_log,
                                    const struct slu_target *target)
{
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);
    size_t count;
    const struct slu_str *order = slu_flow_log_order(&count);

    if (!document || !flow_log)
        return document;
    slu_value_set(flow_log, SLU_STR("target"), slu_value_string(arena, target->name));
    for (size_t i = 0; i < count; i++)
        move_member(flow_log, order[i], document);
    return document;
}

/* The flow log as a caller sees it: members in the model's order, what was lost last. */
static struct slu_value *flow_log_document(struct slu_exchange *x)
{
    struct slu_value *document;

    if (x->flow_log && x->flow_log_id.p)
        slu_value_set(x->flow_log, SLU_STR("id"), slu_value_string(x->arena, x->flow_log_id));
    document = slu_rest_flow_log(x->arena, x->flow_log, x->target);
    if (document && x->job->old_id.p)
        put_text(x, document, SLU_STR("replaced"), x->job->old_id);
    slu_value_put(document, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
    return document;
}

struct slu_value *slu_rest_dry_run(struct slu_arena *arena, const struct slu_job *job)
{
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);
    struct slu_value *shown = job->shown ? job->shown : slu_value_new(arena, SLU_ARRAY);
    struct slu_value *first = slu_value_item(shown, 0);

    slu_value_put(document, SLU_STR("dry_run"), slu_value_bool(arena, true));
    slu_value_put(document, SLU_STR("target"), slu_value_string(arena, job->target->name));
    slu_value_put(document, SLU_STR("request"),
                  first ? slu_value_copy(arena, first) : slu_value_new(arena, SLU_NULL));
    slu_value_put(document, SLU_STR("requests"), shown);
    slu_value_put(document, SLU_STR("loss"), slu_losses_value(arena, job->losses));
    return document;
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

/* What was there when it was read; of a change only where nothing had to be changed, since a reply
 * to a change need not be the whole truth. */
static bool add_etag(struct slu_exchange *x)
{
    bool read = x->operation == SLU_OP_GET || (x->operation == SLU_OP_UPDATE && x->job->unchanged);
    struct slu_str tag;

    if (!read || !x->flow_log)
        return true;
    tag = slu_etag(x->arena, x->flow_log);
    return tag.p && slu_headers_add(x->arena, &x->response.headers, SLU_STR("etag"), tag);
}

/* Gone at once: nothing to tell. On its way: as the cloud told it. */
static void reply_removed(struct slu_exchange *x)
{
    if (x->flow_log) {
        slu_respond(x->arena, &x->response, 202, flow_log_document(x), "application/json");
        return;
    }
    x->response.status = 204;
}

static void reply_flow_log(struct slu_exchange *x)
{
    bool made = x->operation == SLU_OP_CREATE || x->job->old_id.p;

    if (x->operation == SLU_OP_DELETE) {
        reply_removed(x);
        return;
    }
    if (made)
        add_location(x);
    if (!add_etag(x))
        slu_log(SLU_LOG_DEBUG, "etag", "no memory for the ETag of %.*s", SLU_FMT(x->id));
    slu_respond(x->arena, &x->response, x->route->status, flow_log_document(x), "application/json");
}

/* A repeat of our own delete, the end of which the caller may not have heard. */
static void forgive_repeat(struct slu_exchange *x)
{
    if (x->fault.kind != SLU_FAULT_NOT_FOUND || !slu_removals_doubt(x->job) ||
        !(x->removed_before || slu_removals_know(x->job)))
        return;
    x->fault = (struct slu_fault){0};
    x->flow_log = NULL;
    x->ended_by = x->ended_letter = '-';
}

/* Where the write can be looked up; and of an answer that is given again its own fields. */
static bool add_operation(struct slu_exchange *x)
{
    if (x->handed_on)
        return true;
    if (x->replayed)
        return slu_record_replay(x);
    return !x->recorded || slu_record_withdraws(x) ||
           slu_headers_add(
               x->arena, &x->response.headers, SLU_STR("operation-location"),
               slu_arena_printf(x->arena, "/v1/operations/%.*s", SLU_FMT(x->operation_id)));
}

/* 202: the operation has begun, and where to ask for its end. */
static void reply_handed_on(struct slu_exchange *x)
{
    struct slu_record record = slu_record_of(x);
    struct slu_value *document =
        x->document ? x->document : slu_operation_document(x->arena, &record);
    struct slu_str at = slu_arena_printf(x->arena, "/v1/operations/%.*s", SLU_FMT(x->operation_id));
    struct slu_headers *headers = &x->response.headers;

    if (!slu_headers_add(x->arena, headers, SLU_STR("location"), at) ||
        !slu_headers_add(x->arena, headers, SLU_STR("operation-location"), at) ||
        !slu_headers_add(x->arena, headers, SLU_STR("preference-applied"),
                         x->prefers_async ? SLU_STR("respond-async")
                                          : slu_arena_printf(x->arena, "wait=%u", x->wait_s)))
        document = NULL;
    slu_respond(x->arena, &x->response, 202, document, "application/json");
}

void slu_rest_reply(struct slu_exchange *x)
{
    if (x->id.p && !slu_headers_add(x->arena, &x->response.headers, SLU_STR("x-request-id"), x->id))
        slu_fault_memory(&x->fault);
    forgive_repeat(x);
    if (!add_operation(x))
        slu_fault_memory(&x->fault);
    if (x->replayed)
        return;
    if (x->fault.kind != SLU_FAULT_NONE) {
        slu_problem_reply(x);
        return;
    }
    if (x->handed_on) {
        reply_handed_on(x);
        return;
    }
    if (x->has_operation && slu_operation_writes(x->operation))
        add_preferences_applied(x);
    if (x->route->reply_with)
        x->route->reply_with(x);
    else if (x->dry_run)
        slu_respond(x->arena, &x->response, 200, slu_rest_dry_run(x->arena, x->job),
                    "application/json");
    else if (x->has_operation)
        reply_flow_log(x);
    else
        slu_respond(x->arena, &x->response, x->route->status, x->document, "application/json");
}

/* The routes that need no cloud */

enum slu_step slu_rest_openapi(struct slu_exchange *x)
{
    x->document = slu_openapi(x->arena);
    return STEP_REPLY;
}

/* What the latest calls say: "closed" is well, "open" is left alone for a while, "half_open" is
 * tried again. */
static struct slu_value *health_document(struct slu_exchange *x, const struct slu_target *target)
{
    const struct slu_guard *guard = x->station->guards[target - x->station->catalog->targets];
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_breaker_view view;

    if (!guard || !document)
        return guard ? NULL : slu_value_new(x->arena, SLU_NULL);
    view = slu_breaker_look(guard->breaker, slu_clock_mono_us());
    put_text(x, document, SLU_STR("breaker"), slu_str_of(slu_breaker_state_name(view.state)));
    slu_value_put(document, SLU_STR("calls"), slu_value_int(x->arena, (int64_t)view.calls));
    slu_value_put(document, SLU_STR("failed"), slu_value_int(x->arena, (int64_t)view.failed));
    return document;
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

        if (target->memory || slu_table_serves(target->table, operation))
            slu_value_append(operations,
                             slu_value_string(x->arena, slu_str_of(slu_operation_name(operation))));
    }
    slu_value_put(document, SLU_STR("operations"), operations);
    slu_value_put(document, SLU_STR("health"), health_document(x, target));
    slu_rest_abilities(x, target, document);
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
