/*
 * The API's description (OpenAPI 3.1), made from the same tables that serve it: routes.c for the
 * paths, the model's members for the flow log, the list of faults for the errors.
 */
#include "exchange/exchange_internal.h"

#include "codec/build.h"

struct writer {
    struct slu_arena *arena;
};

static struct slu_value *object(struct writer *w)
{
    return slu_value_new(w->arena, SLU_OBJECT);
}

static void put_ref(struct writer *w, struct slu_value *parent, const char *schema)
{
    slu_value_put(
        parent, SLU_STR("$ref"),
        slu_value_string(w->arena, slu_arena_printf(w->arena, "#/components/schemas/%s", schema)));
}

static void put_words(struct writer *w, struct slu_value *parent, const char *const *words,
                      bool or_null)
{
    struct slu_value *list = slu_value_new(w->arena, SLU_ARRAY);

    for (; list && *words; words++)
        slu_value_append(list, slu_value_string(w->arena, slu_str_of(*words)));
    if (list && or_null)
        slu_value_append(list, slu_value_new(w->arena, SLU_NULL));
    slu_value_put(parent, SLU_STR("enum"), list);
}

/* Schemas */

static const char *const type_words[] = {
    [SLU_MEMBER_TEXT] = "string",   [SLU_MEMBER_WORD] = "string", [SLU_MEMBER_INTEGER] = "integer",
    [SLU_MEMBER_BOOL] = "boolean",  [SLU_MEMBER_TIME] = "string", [SLU_MEMBER_TEXTS] = "object",
    [SLU_MEMBER_OBJECT] = "object",
};

static void put_type(struct writer *w, struct slu_value *schema, const struct slu_member *member)
{
    struct slu_value *types = slu_value_new(w->arena, SLU_ARRAY);

    slu_value_append(types, slu_value_string(w->arena, slu_str_of(type_words[member->type])));
    slu_value_append(types, slu_value_string(w->arena, SLU_STR("null")));
    slu_value_put(schema, SLU_STR("type"), types);
    if (member->type == SLU_MEMBER_TIME)
        slu_put_text(w->arena, schema, "format", "date-time");
    if (member->type == SLU_MEMBER_TEXTS)
        slu_put_text(w->arena, slu_put_object(w->arena, schema, "additionalProperties"), "type",
                     "string");
    if (member->type == SLU_MEMBER_WORD)
        put_words(w, schema, member->words, true);
}

/* "/destination/group" goes into the properties of "destination", which came before it. */
static struct slu_value *properties_for(struct writer *w, struct slu_value *properties,
                                        struct slu_str pointer, struct slu_str *ret_name)
{
    struct slu_str rest = {pointer.p + 1, pointer.n - 1};
    struct slu_str head = slu_str_cut(&rest, '/');
    struct slu_value *parent;

    *ret_name = head;
    if (!rest.p)
        return properties;
    *ret_name = rest;
    parent = slu_value_find(properties, head);
    if (!parent)
        return NULL;
    if (!slu_value_member(parent, "properties"))
        slu_put_object(w->arena, parent, "properties");
    return slu_value_member(parent, "properties");
}

static struct slu_value *reply_schema(struct writer *w)
{
    struct slu_value *schema = object(w), *properties;
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    if (!schema)
        return NULL;
    slu_put_text(w->arena, schema, "type", "object");
    properties = slu_put_object(w->arena, schema, "properties");
    for (size_t i = 0; i < count && properties; i++) {
        struct slu_str name;
        struct slu_value *into =
            properties_for(w, properties, slu_str_of(members[i].pointer), &name);
        struct slu_value *one = object(w);

        if (!into || !one || !members[i].in_reply)
            continue;
        put_type(w, one, &members[i]);
        slu_put_text(w->arena, one, "description", members[i].help);
        slu_value_put(into, name, one);
    }
    return schema;
}

/* What every target takes at most; GET /v1/targets/{target}/schema says what one takes. */
static struct slu_value *request_schema(struct writer *w, enum slu_operation operation)
{
    static const struct slu_schema_for whose = {.any_alias = true};

    return slu_table_json_schema(NULL, operation, &whose, w->arena);
}

/* A flow log, and where it shall be. */
static struct slu_value *several_schema(struct writer *w)
{
    struct slu_value *schema = request_schema(w, SLU_OP_CREATE);
    struct slu_value *properties = slu_value_member(schema, "properties");
    struct slu_value *targets = slu_put_object(w->arena, properties, "targets");
    struct slu_value *policy = slu_put_object(w->arena, properties, "policy"), *words;

    slu_put_text(w->arena, targets, "type", "array");
    slu_put_int(w->arena, targets, "minItems", 1);
    slu_put_text(w->arena, slu_put_object(w->arena, targets, "items"), "type", "string");
    words = slu_put_array(w->arena, policy, "enum");
    slu_add_text(w->arena, words, "best_effort");
    slu_add_text(w->arena, words, "all");
    slu_put_text(w->arena, policy, "description",
                 "all: what was created is undone when one target fails; default best_effort");
    slu_add_text(w->arena, slu_value_member(schema, "required"), "targets");
    return schema;
}

static void put_required(struct writer *w, struct slu_value *schema, const char *const *names)
{
    struct slu_value *list = slu_value_new(w->arena, SLU_ARRAY);

    for (; list && *names; names++)
        slu_value_append(list, slu_value_string(w->arena, slu_str_of(*names)));
    slu_value_put(schema, SLU_STR("required"), list);
}

static void put_property(struct writer *w, struct slu_value *properties, const char *name,
                         const char *type, const char *help)
{
    struct slu_value *one = slu_put_object(w->arena, properties, name);

    if (*type) /* or it may be of several */
        slu_put_text(w->arena, one, "type", type);
    slu_put_text(w->arena, one, "description", help);
}

static void put_error_codes(struct writer *w, struct slu_value *schema)
{
    const char *codes[SLU_FAULT_KIND_COUNT + 1] = {0};

    for (int i = 1; i < SLU_FAULT_KIND_COUNT; i++)
        codes[i - 1] = slu_fault_info((enum slu_fault_kind)i)->code;
    put_words(w, schema, codes, false);
}

static struct slu_value *problem_schema(struct writer *w)
{
    static const char *const needed[] = {"type", "title",     "status", "detail",
                                         "code", "retryable", NULL};
    struct slu_value *schema = object(w), *properties, *errors;

    if (!schema)
        return NULL;
    slu_put_text(w->arena, schema, "type", "object");
    slu_put_text(w->arena, schema, "description", "RFC 9457 problem details");
    put_required(w, schema, needed);
    properties = slu_put_object(w->arena, schema, "properties");
    put_property(w, properties, "type", "string", "urn:sluice:error:<code>");
    put_property(w, properties, "title", "string", "What the code means");
    put_property(w, properties, "status", "integer", "The HTTP status");
    put_property(w, properties, "detail", "string", "What happened here, and what to do");
    put_property(w, properties, "code", "string", "Stable; one of these");
    put_error_codes(w, slu_value_member(properties, "code"));
    put_property(w, properties, "retryable", "boolean",
                 "The same request may succeed later and cannot do harm");
    put_property(w, properties, "instance", "string", "urn:sluice:request:<request id>");
    put_property(w, properties, "flow_log_id", "string",
                 "Of a flow log that stands although it failed");
    errors = slu_put_object(w->arena, properties, "errors");
    slu_put_text(w->arena, errors, "type", "array");
    put_ref(w, slu_put_object(w->arena, errors, "items"), "mistake");
    put_property(w, properties, "upstream", "object",
                 "What the cloud answered: target, status, code, message, request_id");
    put_property(w, properties, "loss", "array", "What could not be carried");
    return schema;
}

static struct slu_value *simple_schema(struct writer *w, const char *const (*members)[3])
{
    struct slu_value *schema = object(w), *properties;

    slu_put_text(w->arena, schema, "type", "object");
    properties = slu_put_object(w->arena, schema, "properties");
    for (; (*members)[0]; members++)
        put_property(w, properties, (*members)[0], (*members)[1], (*members)[2]);
    return schema;
}

/* clang-format off */
static const char *const dialects[][3] = {
    {"dialects", "array", "Each with dialect, title, api_version, version, operations, href"},
    {"members", "object", "Canonical pointer -> dialect -> how create, update and reply carry it: required, sent, told, partly, immutable or cannot"},
    {NULL, NULL, NULL}};
static const char *const dialect[][3] = {
    {"dialect", "string", "Its name"},
    {"title", "string", "For people"},
    {"api_version", "string", "Of the cloud's API"},
    {"version", "integer", "Of the mapping table"},
    {"valid", "object", "When the API looked like this: from, until"},
    {"sources", "object", "What the table was checked against"},
    {"endpoint", "string", "What an endpoint usually looks like"},
    {"request", "string", "How its requests are written"},
    {"reply", "array", "How its replies are written, preferred first"},
    {"signing", "array", "The signing schemes, preferred first"},
    {"parameters", "object", "What a target's parameters must or may give"},
    {"operations", "object", "Of each that it serves: calls, paging, asynchronous, idempotency_token, undo, serialised_by"},
    {"members", "object", "Canonical pointer -> how create, update and reply carry it: words, limits, cannot with the reason"},
    {"errors", "array", "The canonical codes that its errors become"},
    {NULL, NULL, NULL}};
static const char *const flow_logs[][3] = {
    {"flow_logs", "array", "Of this page, each as GET of one answers it"},
    {"next_page_token", "", "For the next page; null on the last"},
    {"loss", "array", "What of the clouds' answers could not be carried"},
    {"errors", "array", "Over several targets: those that failed, each with target, status, code, retryable"},
    {NULL, NULL, NULL}};
static const char *const several[][3] = {
    {"results", "array", "For each target: target, outcome (created, failed, undone, undo_failed; unknown: after a crash nobody could look), flow_log, id, error"},
    {NULL, NULL, NULL}};
static const char *const operations[][3] = {
    {"operations", "array", "The caller's own writes, newest first"},
    {"next_page_token", "", "For the next page; null on the last"},
    {NULL, NULL, NULL}};
static const char *const one_operation[][3] = {
    {"id", "string", "Its id; the Operation-Location of the write's answer ends with it"},
    {"status", "string", "unknown: looking at the cloud could not tell whether it took effect; error says what to check"},
    {"operation", "string", "create, update or delete"},
    {"target", "string", "Of a write to one target"},
    {"targets", "array", "Of a write to several"},
    {"flow_log_id", "string", "Of the flow log, as soon as it is known"},
    {"progress", "object", "While it is running: done, of (how many parts)"},
    {"parts", "array", "For each target, told anew when one of several has ended and, of a long write, now and then"},
    {"attempts", "integer", "Native writes sent; while it is running one more, perhaps"},
    {"created_at", "string", "When the write came"},
    {"updated_at", "string", "When something was last learned of it"},
    {"http_status", "integer", "Of the answer; absent while it is running"},
    {"flow_log", "object", "The answer, where it succeeded"},
    {"results", "array", "The answer of a write to several targets"},
    {"error", "object", "The answer, where it failed: a problem"},
    {NULL, NULL, NULL}};
static const char *const operation_part[][3] = {
    {"target", "string", "Whose part it is"},
    {"status", "string", "Of the part; what was made and is undone again has failed"},
    {"step", "string", "Where a running one is: plan, turn (another change goes first), fetch (a token), translate, queue (the target's limits), sign, send (the cloud has it), normalise, imitate, settle (the cloud works on it), pause (before another attempt), find (it is looked for), note (the journal hears of it)"},
    {"flow_log_id", "string", "Of the flow log, as soon as it is known"},
    {"made", "string", "Of the new flow log, while the one that it replaces is removed"},
    {"attempts", "integer", "Native writes that were begun; after a crash those since then"},
    {"upstream_request_ids", "array", "The cloud's own ids of the latest of them"},
    {NULL, NULL, NULL}};
static const char *const dry_run[][3] = {
    {"dry_run", "boolean", "true"},
    {"target", "string", "Whom it would be sent to"},
    {"request", "object", "The first native call: method, url, headers without secrets, body, signing"},
    {"requests", "array", "All of them, in order"},
    {"results", "array", "Of several targets, the same for each"},
    {"loss", "array", "What would be left out"},
    {NULL, NULL, NULL}};
static const char *const translation[][3] = {
    {"from", "string", "A dialect, or canonical"},
    {"to", "string", "A dialect, or canonical"},
    {"operation", "string", "create, get, list, update, enable, disable or delete"},
    {"side", "string", "request (the default) or reply"},
    {"document", "", "The body, or the flat parameters of a parameter-style API; a list's reply may be an array"},
    {"parameters", "object", "Values for the tables' templates, such as a region"},
    {"lenient", "boolean", "Leave out what cannot be carried and list it in loss, as Prefer: handling=lenient does"},
    {NULL, NULL, NULL}};
static const char *const translated[][3] = {
    {"document", "", "The same in the other dialect"},
    {"loss", "array", "What could not be carried: pointer, value, reason, direction"},
    {NULL, NULL, NULL}};
/* clang-format on */

static void put_operations(struct writer *w, struct slu_value *schemas)
{
    static const char *const states[] = {"running", "succeeded", "failed", "unknown", NULL};
    struct slu_value *one = simple_schema(w, one_operation), *list = simple_schema(w, operations);
    struct slu_value *part = simple_schema(w, operation_part);
    struct slu_value *members = slu_value_member(one, "properties");

    put_words(w, slu_value_member(members, "status"), states, false);
    put_words(w, slu_value_member(slu_value_member(part, "properties"), "status"), states, false);
    slu_value_put(slu_value_member(members, "parts"), SLU_STR("items"), part);
    slu_put_text(w->arena, slu_value_member(members, "created_at"), "format", "date-time");
    slu_put_text(w->arena, slu_value_member(members, "updated_at"), "format", "date-time");
    put_ref(w,
            slu_put_object(w->arena,
                           slu_value_member(slu_value_member(list, "properties"), "operations"),
                           "items"),
            "operation");
    slu_value_put(schemas, SLU_STR("operation"), one);
    slu_value_put(schemas, SLU_STR("operations"), list);
}

static void put_schemas(struct writer *w, struct slu_value *root)
{
    static const char *const mistake[][3] = {{"pointer", "string", "JSON Pointer into the body"},
                                             {"code", "string", "As in a problem"},
                                             {"detail", "string", "What is wrong and what to do"},
                                             {NULL, NULL, NULL}};
    static const char *const target[][3] = {
        {"name", "string", "As configured"},
        {"dialect", "string", "The mapping table it speaks by"},
        {"title", "string", "For people"},
        {"operations", "array", "What can be done with it"},
        {"resources", "array", "Names for resource_alias"},
        {"destinations", "array", "Names for the alias of a destination"},
        {"links", "object", "schema, and dialect if any"},
        {NULL, NULL, NULL}};
    struct slu_value *schemas =
        slu_put_object(w->arena, slu_put_object(w->arena, root, "components"), "schemas");
    struct slu_value *targets = slu_put_object(w->arena, schemas, "targets"), *list, *reply, *loss;

    slu_value_put(schemas, SLU_STR("flow_log_request"), request_schema(w, SLU_OP_CREATE));
    slu_value_put(schemas, SLU_STR("flow_log_patch"), request_schema(w, SLU_OP_UPDATE));
    reply = reply_schema(w);
    loss = slu_put_object(w->arena, slu_value_member(reply, "properties"), "loss");
    slu_put_text(w->arena, loss, "type", "array");
    slu_put_text(
        w->arena, loss, "description",
        "What could not be carried: pointer, value, reason, direction; empty when nothing was "
        "lost");
    slu_value_put(schemas, SLU_STR("flow_log_reply"), reply);
    slu_value_put(schemas, SLU_STR("problem"), problem_schema(w));
    slu_value_put(schemas, SLU_STR("mistake"), simple_schema(w, mistake));
    slu_value_put(schemas, SLU_STR("target"), simple_schema(w, target));
    slu_put_text(w->arena, slu_put_object(w->arena, schemas, "object"), "type", "object");
    slu_value_put(schemas, SLU_STR("dialects"), simple_schema(w, dialects));
    slu_value_put(schemas, SLU_STR("dialect"), simple_schema(w, dialect));
    slu_value_put(schemas, SLU_STR("several_request"), several_schema(w));
    slu_value_put(schemas, SLU_STR("flow_logs"), simple_schema(w, flow_logs));
    slu_value_put(schemas, SLU_STR("several"), simple_schema(w, several));
    slu_value_put(schemas, SLU_STR("dry_run"), simple_schema(w, dry_run));
    put_operations(w, schemas);
    slu_value_put(schemas, SLU_STR("translation"), simple_schema(w, translation));
    slu_value_put(schemas, SLU_STR("translated"), simple_schema(w, translated));
    slu_put_text(w->arena, targets, "type", "object");
    list = slu_put_object(w->arena, slu_put_object(w->arena, targets, "properties"), "targets");
    slu_put_text(w->arena, list, "type", "array");
    put_ref(w, slu_put_object(w->arena, list, "items"), "target");
}

/* Paths */

static void put_parameter(struct writer *w, struct slu_value *list, struct slu_str name,
                          const char *in, const char *type, const char *help)
{
    struct slu_value *one = object(w);

    slu_put_text(w->arena, one, "in", in);
    slu_value_put(one, SLU_STR("name"), slu_value_string(w->arena, name));
    slu_value_put(one, SLU_STR("required"),
                  slu_value_bool(w->arena, slu_str_is(SLU_STR("path"), in)));
    slu_put_text(w->arena, one, "description", help);
    slu_put_text(w->arena, slu_put_object(w->arena, one, "schema"), "type", type);
    slu_value_append(list, one);
}

static void put_query(struct writer *w, struct slu_value *list, const struct slu_route *route,
                      const char *name)
{
    static const struct {
        const char *name, *type, *help;
        const char *reply; /* of this route alone, or NULL */
    } known[] = {
        {"status", "string", "running, succeeded, failed or unknown", "operations"},
        {"target", "string", "Only writes to this target", "operations"},
        {"operation", "string", "create, update or delete", "operations"},
        {"page_size", "integer", "Operations on a page, 1 to 200", "operations"},
        {"dry_run", "boolean", "Answer what would be sent, and send nothing", NULL},
        {"operation", "string", "create (the default) or update, whose body is a merge patch",
         NULL},
        {"replace", "boolean",
         "Where the cloud changes nothing, make a new flow log and delete this one", NULL},
        {"page_size", "integer", "Flow logs on a page, 1 to 1000", NULL},
        {"page_token", "string", "next_page_token of the page before", NULL},
        {"targets", "string", "Names of targets, joined by commas; all of them by default", NULL},
    };

    for (size_t i = 0; i < SLU_COUNT(known); i++)
        if (strcmp(known[i].name, name) == 0 &&
            (!known[i].reply || strcmp(known[i].reply, route->reply) == 0)) {
            put_parameter(w, list, slu_str_of(name), "query", known[i].type, known[i].help);
            return;
        }
}

/* "destination.group" for "/destination/group". */
static struct slu_str dotted(struct slu_arena *arena, const char *pointer)
{
    size_t length = strlen(pointer + 1);
    char *name = slu_arena_get(arena, length + 1);

    for (size_t i = 0; name && i < length; i++)
        name[i] = pointer[i + 1] == '/' ? '.' : pointer[i + 1];
    return (struct slu_str){name, name ? length : 0};
}

/* Exact filters by member; tags as well, whose names are not known here (tags.KEY). */
static void put_filters(struct writer *w, struct slu_value *list)
{
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    for (size_t i = 0; i < count; i++) {
        if (slu_filter_member(slu_str_of(members[i].pointer)))
            put_parameter(w, list, dotted(w->arena, members[i].pointer), "query",
                          type_words[members[i].type],
                          "Only flow logs whose member has this value; tags as tags.KEY");
    }
}

static void put_write_headers(struct writer *w, struct slu_value *list)
{
    put_parameter(
        w, list, SLU_STR("Prefer"), "header", "string",
        "handling=lenient: leave out what the target cannot carry and list it in loss; "
        "wait=N: wait N seconds at most, also for the final state; respond-async: answer 202 at "
        "once, with the operation's place");
    put_parameter(w, list, SLU_STR("Idempotency-Key"), "header", "string",
                  "A string in quotes, of 1 to 255 characters: the same key with the same request "
                  "gets the first answer again, and nothing is done twice");
}

static void put_parameters(struct writer *w, struct slu_value *operation,
                           const struct slu_route *route)
{
    struct slu_value *list = slu_value_new(w->arena, SLU_ARRAY);
    struct slu_str rest = slu_str_of(route->path);

    while (rest.p && list) {
        struct slu_str piece = slu_str_cut(&rest, '/');

        if (piece.n > 2 && piece.p[0] == '{')
            put_parameter(w, list, (struct slu_str){piece.p + 1, piece.n - 2}, "path", "string",
                          "As the list of targets or an earlier answer gives it");
    }
    for (const char *const *name = route->parameters; list && *name; name++)
        put_query(w, list, route, *name);
    if (list && route->filters)
        put_filters(w, list);
    if (list && (strcmp(route->method, "PATCH") == 0 || strcmp(route->method, "DELETE") == 0))
        put_parameter(w, list, SLU_STR("If-Match"), "header", "string",
                      "The ETag of the flow log as it was read; 412 when it has changed since");
    if (list && route->writes)
        put_write_headers(w, list);
    slu_value_put(operation, SLU_STR("parameters"), list);
}

static void put_content(struct writer *w, struct slu_value *parent, const char *type,
                        const char *schema)
{
    struct slu_value *media =
        slu_put_object(w->arena, slu_put_object(w->arena, parent, "content"), type);

    put_ref(w, slu_put_object(w->arena, media, "schema"), schema);
}

static struct slu_value *put_reply(struct writer *w, struct slu_value *responses,
                                   const char *status, const char *says)
{
    struct slu_value *reply = object(w);

    slu_value_put(responses, slu_arena_str(w->arena, slu_str_of(status)), reply);
    slu_put_text(w->arena, reply, "description", says);
    return reply;
}

/* Where the flow log and what a dry run shows come with one status, it is one of the two. */
static void put_dry_run(struct writer *w, struct slu_value *responses,
                        const struct slu_route *route)
{
    struct slu_value *flow_log = object(w), *shown = object(w), *reply, *media, *any;

    reply = put_reply(w, responses, "200",
                      route->status == 200 ? "Done; with dry_run: what would be sent"
                                           : "With dry_run: what would be sent");
    if (route->status != 200) {
        put_content(w, reply, "application/json", "dry_run");
        return;
    }
    media =
        slu_put_object(w->arena, slu_put_object(w->arena, reply, "content"), "application/json");
    any = slu_value_new(w->arena, SLU_ARRAY);
    slu_value_put(slu_put_object(w->arena, media, "schema"), SLU_STR("anyOf"), any);
    put_ref(w, flow_log, route->reply);
    put_ref(w, shown, "dry_run");
    slu_value_append(any, flow_log);
    slu_value_append(any, shown);
}

/* A write that goes on: with respond-async, and a delete whose cloud only confirms it. */
static void put_going(struct writer *w, struct slu_value *responses, const struct slu_route *route)
{
    struct slu_value *running = object(w), *flow_log = object(w), *media, *any;
    struct slu_value *reply = put_reply(w, responses, "202", "It is going");

    if (route->status != 204) {
        put_content(w, reply, "application/json", "operation");
        return;
    }
    media =
        slu_put_object(w->arena, slu_put_object(w->arena, reply, "content"), "application/json");
    any = slu_value_new(w->arena, SLU_ARRAY);
    slu_value_put(slu_put_object(w->arena, media, "schema"), SLU_STR("anyOf"), any);
    put_ref(w, flow_log, "flow_log_reply");
    put_ref(w, running, "operation");
    slu_value_append(any, flow_log);
    slu_value_append(any, running);
}

static void put_write_replies(struct writer *w, struct slu_value *responses,
                              const struct slu_route *route)
{
    put_going(w, responses, route);
    put_content(w,
                put_reply(w, responses, "409",
                          "It would collide with what is there; or the first request with this "
                          "Idempotency-Key is still running (Retry-After)"),
                "application/problem+json", "problem");
    put_content(w,
                put_reply(w, responses, "422",
                          "It is not valid or not possible; or another request was sent with this "
                          "Idempotency-Key before"),
                "application/problem+json", "problem");
}

static void put_replies(struct writer *w, struct slu_value *operation,
                        const struct slu_route *route)
{
    struct slu_value *responses = slu_put_object(w->arena, operation, "responses"), *good;
    bool dry = route->parameters[0] && strcmp(route->parameters[0], "dry_run") == 0;
    char status[8] = {(char)('0' + route->status / 100), (char)('0' + route->status / 10 % 10),
                      (char)('0' + route->status % 10), 0};

    if (dry)
        put_dry_run(w, responses, route);
    if (!dry || route->status != 200) {
        good = put_reply(w, responses, status, route->summary);
        if (route->status != 204)
            put_content(w, good, "application/json", route->reply);
        if (strcmp(route->reply, "several") == 0)
            slu_value_put(responses, SLU_STR("207"), slu_value_copy(w->arena, good));
    }
    if (route->writes)
        put_write_replies(w, responses, route);
    put_content(w, put_reply(w, responses, "default", "What went wrong"),
                "application/problem+json", "problem");
}

/* Path items have methods in lower case. */
static const char *method_name(struct slu_arena *arena, const char *method)
{
    size_t length = strlen(method);
    char *name = slu_arena_get(arena, length + 1);

    for (size_t i = 0; name && i <= length; i++)
        name[i] = slu_ascii_lower(method[i]);
    return name ? name : "";
}

static void put_body(struct writer *w, struct slu_value *operation, const struct slu_route *route)
{
    struct slu_value *body = slu_put_object(w->arena, operation, "requestBody"), *media;

    slu_put_bool(w->arena, body, "required", true);
    put_content(w, body, "application/json", route->body);
    if (strcmp(route->method, "PATCH") != 0)
        return;
    media =
        slu_put_object(w->arena, slu_value_member(body, "content"), "application/merge-patch+json");
    put_ref(w, slu_put_object(w->arena, media, "schema"), route->body);
}

static void put_route(struct writer *w, struct slu_value *paths, const struct slu_route *route)
{
    struct slu_value *path = slu_value_find(paths, slu_str_of(route->path)), *operation;

    if (!path)
        path = slu_put_object(w->arena, paths, route->path);
    operation = slu_put_object(w->arena, path, method_name(w->arena, route->method));
    slu_put_text(w->arena, operation, "summary", route->summary);
    put_parameters(w, operation, route);
    if (route->open)
        slu_value_put(operation, SLU_STR("security"), slu_value_new(w->arena, SLU_ARRAY));
    if (route->body)
        put_body(w, operation, route);
    put_replies(w, operation, route);
}

static void put_security(struct writer *w, struct slu_value *root)
{
    struct slu_value *needs = slu_value_new(w->arena, SLU_ARRAY), *bearer = object(w);
    struct slu_value *components = slu_value_member(root, "components");
    struct slu_value *scheme =
        slu_put_object(w->arena, slu_put_object(w->arena, components, "securitySchemes"), "bearer");

    slu_value_put(bearer, SLU_STR("bearer"), slu_value_new(w->arena, SLU_ARRAY));
    slu_value_append(needs, bearer);
    slu_value_put(root, SLU_STR("security"), needs);
    slu_put_text(w->arena, scheme, "type", "http");
    slu_put_text(w->arena, scheme, "scheme", "bearer");
}

struct slu_value *slu_openapi(struct slu_arena *arena)
{
    struct writer w = {arena};
    struct slu_value *root = object(&w), *info, *paths;
    size_t count;
    const struct slu_route *routes = slu_routes(&count);

    if (!root)
        return NULL;
    slu_put_text(arena, root, "openapi", "3.1.0");
    info = slu_put_object(arena, root, "info");
    slu_put_text(arena, info, "title", "sluice");
    slu_put_text(arena, info, "summary", "One API for VPC flow logs on any cloud");
    slu_put_text(arena, info, "version", SLU_VERSION);
    paths = slu_put_object(arena, root, "paths");
    for (size_t i = 0; i < count && paths; i++)
        put_route(&w, paths, &routes[i]);
    put_schemas(&w, root);
    put_security(&w, root);
    return root;
}
