/*
 * The API's description (OpenAPI 3.1), made from the same tables that serve it: routes.c for the
 * paths, the model's members for the flow log, the list of faults for the errors.
 */
#include "exchange/exchange_internal.h"

#include "model/flow_log.h"

/* Building in one arena: a NULL anywhere leaves arena->failed, looked at once by slu_respond(). */
struct writer {
    struct slu_arena *arena;
};

static struct slu_value *object(struct writer *w)
{
    return slu_value_new(w->arena, SLU_OBJECT);
}

static struct slu_value *put_object(struct writer *w, struct slu_value *parent, const char *name)
{
    struct slu_value *child = object(w);

    slu_value_put(parent, slu_str_of(name), child);
    return child;
}

static void put_text(struct writer *w, struct slu_value *parent, const char *name, const char *text)
{
    slu_value_put(parent, slu_str_of(name), slu_value_string(w->arena, slu_str_of(text)));
}

static void put_int(struct writer *w, struct slu_value *parent, const char *name, int64_t number)
{
    slu_value_put(parent, slu_str_of(name), slu_value_int(w->arena, number));
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
        put_text(w, schema, "format", "date-time");
    if (member->type == SLU_MEMBER_TEXTS)
        put_text(w, put_object(w, schema, "additionalProperties"), "type", "string");
    if (member->type == SLU_MEMBER_WORD)
        put_words(w, schema, member->words, true);
}

static void put_limits(struct writer *w, struct slu_value *schema, const struct slu_member *member)
{
    if (member->type == SLU_MEMBER_TEXT && member->max) {
        put_int(w, schema, "minLength", member->min);
        put_int(w, schema, "maxLength", member->max);
    }
    if (member->type == SLU_MEMBER_INTEGER) {
        put_int(w, schema, "minimum", member->min);
        if (member->max)
            put_int(w, schema, "maximum", member->max);
    }
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
        put_object(w, parent, "properties");
    return slu_value_member(parent, "properties");
}

static struct slu_value *flow_log_schema(struct writer *w, bool reply)
{
    struct slu_value *schema = object(w), *properties;
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    if (!schema)
        return NULL;
    put_text(w, schema, "type", "object");
    properties = put_object(w, schema, "properties");
    for (size_t i = 0; i < count && properties; i++) {
        struct slu_str name;
        struct slu_value *into =
            properties_for(w, properties, slu_str_of(members[i].pointer), &name);
        struct slu_value *one = object(w);

        if (!into || !one || !(reply ? members[i].in_reply : members[i].in_request))
            continue;
        put_type(w, one, &members[i]);
        if (!reply)
            put_limits(w, one, &members[i]);
        put_text(w, one, "description", members[i].help);
        slu_value_put(into, name, one);
    }
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
    struct slu_value *one = put_object(w, properties, name);

    put_text(w, one, "type", type);
    put_text(w, one, "description", help);
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
    put_text(w, schema, "type", "object");
    put_text(w, schema, "description", "RFC 9457 problem details");
    put_required(w, schema, needed);
    properties = put_object(w, schema, "properties");
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
    errors = put_object(w, properties, "errors");
    put_text(w, errors, "type", "array");
    put_ref(w, put_object(w, errors, "items"), "mistake");
    put_property(w, properties, "upstream", "object",
                 "What the cloud answered: target, status, code, message, request_id");
    put_property(w, properties, "loss", "array", "What could not be carried");
    return schema;
}

static struct slu_value *simple_schema(struct writer *w, const char *const (*members)[3])
{
    struct slu_value *schema = object(w), *properties;

    put_text(w, schema, "type", "object");
    properties = put_object(w, schema, "properties");
    for (; (*members)[0]; members++)
        put_property(w, properties, (*members)[0], (*members)[1], (*members)[2]);
    return schema;
}

static void put_schemas(struct writer *w, struct slu_value *root)
{
    static const char *const mistake[][3] = {{"pointer", "string", "JSON Pointer into the body"},
                                             {"code", "string", "As in a problem"},
                                             {"detail", "string", "What is wrong and what to do"},
                                             {NULL, NULL, NULL}};
    static const char *const target[][3] = {{"name", "string", "As configured"},
                                            {"dialect", "string", "The mapping table it speaks by"},
                                            {"title", "string", "For people"},
                                            {"operations", "array", "What can be done with it"},
                                            {NULL, NULL, NULL}};
    struct slu_value *schemas = put_object(w, put_object(w, root, "components"), "schemas");
    struct slu_value *targets = put_object(w, schemas, "targets"), *list, *reply, *loss;

    slu_value_put(schemas, SLU_STR("flow_log_request"), flow_log_schema(w, false));
    reply = flow_log_schema(w, true);
    loss = put_object(w, slu_value_member(reply, "properties"), "loss");
    put_text(w, loss, "type", "array");
    put_text(w, loss, "description",
             "What could not be carried: pointer, value, reason, direction; empty when nothing was "
             "lost");
    slu_value_put(schemas, SLU_STR("flow_log_reply"), reply);
    slu_value_put(schemas, SLU_STR("problem"), problem_schema(w));
    slu_value_put(schemas, SLU_STR("mistake"), simple_schema(w, mistake));
    slu_value_put(schemas, SLU_STR("target"), simple_schema(w, target));
    put_text(w, put_object(w, schemas, "object"), "type", "object");
    put_text(w, targets, "type", "object");
    list = put_object(w, put_object(w, targets, "properties"), "targets");
    put_text(w, list, "type", "array");
    put_ref(w, put_object(w, list, "items"), "target");
}

/* Paths */

static void put_parameter(struct writer *w, struct slu_value *list, struct slu_str name,
                          const char *in, const char *type, const char *help)
{
    struct slu_value *one = object(w);

    put_text(w, one, "in", in);
    slu_value_put(one, SLU_STR("name"), slu_value_string(w->arena, name));
    slu_value_put(one, SLU_STR("required"),
                  slu_value_bool(w->arena, slu_str_is(SLU_STR("path"), in)));
    put_text(w, one, "description", help);
    put_text(w, put_object(w, one, "schema"), "type", type);
    slu_value_append(list, one);
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
        put_parameter(w, list, slu_str_of(*name), "query", "boolean",
                      "Answer what would be sent, and send nothing");
    if (list && route->writes)
        put_parameter(
            w, list, SLU_STR("Prefer"), "header", "string",
            "handling=lenient: leave out what the target cannot carry and list it in loss; "
            "wait=N: wait up to N seconds for the final state");
    slu_value_put(operation, SLU_STR("parameters"), list);
}

static void put_content(struct writer *w, struct slu_value *parent, const char *type,
                        const char *schema)
{
    struct slu_value *media = put_object(w, put_object(w, parent, "content"), type);

    put_ref(w, put_object(w, media, "schema"), schema);
}

static void put_replies(struct writer *w, struct slu_value *operation,
                        const struct slu_route *route)
{
    struct slu_value *responses = put_object(w, operation, "responses"), *good, *bad;
    char status[8] = {(char)('0' + route->status / 100), (char)('0' + route->status / 10 % 10),
                      (char)('0' + route->status % 10), 0};

    good = object(w);
    slu_value_put(responses, slu_arena_str(w->arena, slu_str_of(status)), good);
    put_text(w, good, "description", route->summary);
    put_content(w, good, "application/json", route->reply);
    bad = put_object(w, responses, "default");
    put_text(w, bad, "description", "What went wrong");
    put_content(w, bad, "application/problem+json", "problem");
}

static void put_route(struct writer *w, struct slu_value *paths, const struct slu_route *route)
{
    struct slu_value *path = slu_value_find(paths, slu_str_of(route->path)), *operation, *body;

    if (!path)
        path = put_object(w, paths, route->path);
    operation = put_object(w, path, slu_str_is(SLU_STR("GET"), route->method) ? "get" : "post");
    put_text(w, operation, "summary", route->summary);
    put_parameters(w, operation, route);
    if (route->open)
        slu_value_put(operation, SLU_STR("security"), slu_value_new(w->arena, SLU_ARRAY));
    if (route->writes) {
        body = put_object(w, operation, "requestBody");
        slu_value_put(body, SLU_STR("required"), slu_value_bool(w->arena, true));
        put_content(w, body, "application/json", "flow_log_request");
    }
    put_replies(w, operation, route);
}

static void put_security(struct writer *w, struct slu_value *root)
{
    struct slu_value *needs = slu_value_new(w->arena, SLU_ARRAY), *bearer = object(w);
    struct slu_value *components = slu_value_member(root, "components");
    struct slu_value *scheme =
        put_object(w, put_object(w, components, "securitySchemes"), "bearer");

    slu_value_put(bearer, SLU_STR("bearer"), slu_value_new(w->arena, SLU_ARRAY));
    slu_value_append(needs, bearer);
    slu_value_put(root, SLU_STR("security"), needs);
    put_text(w, scheme, "type", "http");
    put_text(w, scheme, "scheme", "bearer");
}

struct slu_value *slu_openapi(struct slu_arena *arena)
{
    struct writer w = {arena};
    struct slu_value *root = object(&w), *info, *paths;
    size_t count;
    const struct slu_route *routes = slu_routes(&count);

    if (!root)
        return NULL;
    put_text(&w, root, "openapi", "3.1.0");
    info = put_object(&w, root, "info");
    put_text(&w, info, "title", "sluice");
    put_text(&w, info, "summary", "One API for VPC flow logs on any cloud");
    put_text(&w, info, "version", SLU_VERSION);
    paths = put_object(&w, root, "paths");
    for (size_t i = 0; i < count && paths; i++)
        put_route(&w, paths, &routes[i]);
    put_schemas(&w, root);
    put_security(&w, root);
    return root;
}
