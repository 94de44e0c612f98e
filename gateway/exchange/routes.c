/* The routes of the REST API in one table: the dispatcher, the Allow header and openapi.json come
 * from it. */
#include "exchange/exchange_internal.h"

#include "codec/params.h"
#include "exchange/rest.h"

/* "dry_run" comes first where it is known. */
static const char *const of_write[] = {"dry_run", NULL};
static const char *const of_change[] = {"dry_run", "replace", NULL};
static const char *const of_list[] = {"page_size", "page_token", NULL};
static const char *const of_all[] = {"page_size", "page_token", "targets", NULL};
static const char *const of_schema[] = {"operation", NULL};
static const char *const of_operations[] = {"page_size", "page_token", "status",
                                            "target",    "operation",  NULL};
static const char *const of_nothing[] = {NULL};

static const struct slu_route routes[] = {
    {.method = "GET",
     .path = "/openapi.json",
     .admit = slu_rest_openapi,
     .open = true,
     .parameters = of_nothing,
     .summary = "This description",
     .reply = "object",
     .status = 200},
    {.method = "GET",
     .path = "/v1/targets",
     .admit = slu_rest_targets,
     .parameters = of_nothing,
     .summary = "The targets this caller may use",
     .reply = "targets",
     .status = 200},
    {.method = "GET",
     .path = "/v1/targets/{target}",
     .admit = slu_rest_target,
     .parameters = of_nothing,
     .summary = "One target and what it can do",
     .reply = "target",
     .status = 200},
    {.method = "GET",
     .path = "/v1/targets/{target}/schema",
     .admit = slu_rest_schema,
     .harmless = true,
     .parameters = of_schema,
     .summary = "JSON Schema of what this target takes",
     .reply = "object",
     .status = 200},
    {.method = "GET",
     .path = "/v1/dialects",
     .admit = slu_rest_dialects,
     .harmless = true,
     .parameters = of_nothing,
     .summary = "The clouds' APIs that are known, and which member each carries",
     .reply = "dialects",
     .status = 200},
    {.method = "GET",
     .path = "/v1/dialects/{dialect}",
     .admit = slu_rest_dialect,
     .harmless = true,
     .parameters = of_nothing,
     .summary = "Everything that one of them can and cannot do",
     .reply = "dialect",
     .status = 200},
    {.method = "POST",
     .path = "/v1/translate",
     .admit = slu_rest_write,
     .understand = slu_rest_translate,
     .harmless = true,
     .parameters = of_nothing,
     .summary = "Translate a document between two dialects; nothing is sent",
     .body = "translation",
     .reply = "translated",
     .status = 200},
    {.method = "POST",
     .path = "/v1/targets/{target}/flow-logs",
     .admit = slu_rest_write,
     .understand = slu_rest_understand_create,
     .writes = true,
     .parameters = of_write,
     .summary = "Create a flow log",
     .body = "flow_log_request",
     .reply = "flow_log_reply",
     .status = 201,
     .operation = SLU_OP_CREATE,
     .has_operation = true},
    {.method = "GET",
     .path = "/v1/targets/{target}/flow-logs",
     .admit = slu_rest_list,
     .reply_with = slu_rest_reply_list,
     .filters = true,
     .parameters = of_list,
     .summary = "List flow logs, filtered by members",
     .reply = "flow_logs",
     .status = 200,
     .operation = SLU_OP_LIST,
     .has_operation = true},
    {.method = "GET",
     .path = "/v1/targets/{target}/flow-logs/{id}",
     .admit = slu_rest_read,
     .parameters = of_nothing,
     .summary = "Read a flow log",
     .reply = "flow_log_reply",
     .status = 200,
     .operation = SLU_OP_GET,
     .has_operation = true},
    {.method = "PATCH",
     .path = "/v1/targets/{target}/flow-logs/{id}",
     .admit = slu_rest_write,
     .understand = slu_rest_understand_change,
     .writes = true,
     .parameters = of_change,
     .summary = "Change what the merge patch names; enabled switches",
     .body = "flow_log_patch",
     .reply = "flow_log_reply",
     .status = 200,
     .operation = SLU_OP_UPDATE,
     .has_operation = true},
    {.method = "DELETE",
     .path = "/v1/targets/{target}/flow-logs/{id}",
     .admit = slu_rest_remove,
     .writes = true,
     .parameters = of_write,
     .summary = "Delete a flow log",
     .reply = "nothing",
     .status = 204,
     .operation = SLU_OP_DELETE,
     .has_operation = true},
    {.method = "POST",
     .path = "/v1/flow-logs",
     .admit = slu_rest_write,
     .understand = slu_rest_understand_several,
     .reply_with = slu_rest_reply_several,
     .writes = true,
     .parameters = of_write,
     .summary = "Create the same flow log on several targets",
     .body = "several_request",
     .reply = "several",
     .status = 201,
     .operation = SLU_OP_CREATE,
     .has_operation = true},
    {.method = "GET",
     .path = "/v1/flow-logs",
     .admit = slu_rest_list_several,
     .reply_with = slu_rest_reply_lists,
     .filters = true,
     .parameters = of_all,
     .summary = "List the flow logs of all targets",
     .reply = "flow_logs",
     .status = 200,
     .operation = SLU_OP_LIST,
     .has_operation = true},
    {.method = "GET",
     .path = "/v1/operations",
     .admit = slu_rest_operations,
     .harmless = true,
     .parameters = of_operations,
     .summary = "The caller's own writes, newest first",
     .reply = "operations",
     .status = 200},
    {.method = "GET",
     .path = "/v1/operations/{operation}",
     .admit = slu_rest_operation,
     .harmless = true,
     .parameters = of_nothing,
     .summary = "A write in progress or done",
     .reply = "operation",
     .status = 200},
};

const struct slu_route *slu_routes(size_t *ret_count)
{
    *ret_count = SLU_COUNT(routes);
    return routes;
}

/* One segment of a path: decoded, and nothing that could climb or hide. */
static bool read_segment(struct slu_arena *arena, struct slu_str raw, struct slu_str *ret_text)
{
    return slu_percent_decode(arena, raw, false, ret_text) && ret_text->n > 0 &&
           ret_text->n <= 256 && !slu_str_is(*ret_text, ".") && !slu_str_is(*ret_text, "..");
}

static bool path_fits(struct slu_arena *arena, const char *pattern, struct slu_str path,
                      struct slu_str captures[SLU_CAPTURES_MOST])
{
    struct slu_str rest = slu_str_of(pattern);
    size_t captured = 0;

    while (rest.p && path.p) {
        struct slu_str want = slu_str_cut(&rest, '/'), have = slu_str_cut(&path, '/');

        if (want.n && want.p[0] == '{') {
            slu_must(captured < SLU_CAPTURES_MOST);
            if (!read_segment(arena, have, &captures[captured++]))
                return false;
        } else if (!slu_str_eq(want, have)) {
            return false;
        }
    }
    return !rest.p && !path.p;
}

/* HEAD is served wherever GET is; the server leaves the body out. */
static bool method_fits(const struct slu_route *route, struct slu_str method)
{
    return slu_str_is(method, route->method) ||
           (slu_str_is(method, "HEAD") && slu_str_is(SLU_STR("GET"), route->method));
}

static void add_allowed(struct slu_arena *arena, const struct slu_route *route,
                        struct slu_str *allow)
{
    *allow =
        slu_arena_printf(arena, "%.*s%s%s%s", SLU_FMT(*allow), allow->n ? ", " : "", route->method,
                         slu_str_is(SLU_STR("GET"), route->method) ? ", HEAD" : "");
}

const struct slu_route *slu_route_find(struct slu_arena *arena, struct slu_str method,
                                       struct slu_str path,
                                       struct slu_str captures[SLU_CAPTURES_MOST],
                                       struct slu_str *ret_allow, struct slu_fault *fault)
{
    *ret_allow = SLU_STR_NONE;
    for (size_t i = 0; i < SLU_COUNT(routes); i++) {
        if (!path_fits(arena, routes[i].path, path, captures))
            continue;
        if (method_fits(&routes[i], method))
            return &routes[i];
        add_allowed(arena, &routes[i], ret_allow);
    }
    if (ret_allow->n)
        slu_fault_set(fault, SLU_FAULT_METHOD_NOT_ALLOWED, "", "%.*s is not served here; use %.*s",
                      SLU_FMT(method), SLU_FMT(*ret_allow));
    else
        slu_fault_set(fault, SLU_FAULT_NOT_FOUND, "",
                      "there is nothing at this path; GET /openapi.json lists what there is");
    return NULL;
}
