/* The admin listener: alive, ready, metrics, and the memory cloud's faults on request. No key; it
 * is meant for addresses that only operators reach. */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"

/* Answers */

static void answer(struct slu_talk *talk, int status, const char *type, struct slu_str body)
{
    struct slu_response response = {.status = status, .body = body};

    if (!slu_headers_add(slu_talk_arena(talk), &response.headers, SLU_STR("content-type"),
                         slu_str_of(type)))
        response.status = 503;
    slu_talk_answer(talk, &response, false);
}

static void answer_document(struct slu_talk *talk, int status, const struct slu_value *document)
{
    struct slu_response response = {0};

    slu_respond(slu_talk_arena(talk), &response, status, document, "application/json");
    slu_talk_answer(talk, &response, false);
}

static void answer_fault(struct slu_talk *talk, const struct slu_fault *fault)
{
    struct slu_response response = {0};

    slu_problem_plain(slu_talk_arena(talk), fault, &response);
    slu_talk_answer(talk, &response, false);
}

static void refuse(struct slu_talk *talk, enum slu_fault_kind kind, const char *words)
{
    struct slu_fault fault = {0};

    slu_fault_set(&fault, kind, "", "%s", words);
    answer_fault(talk, &fault);
}

/* RFC 9110 §15.5.6 asks for the list of those that are allowed. */
static void refuse_method(struct slu_talk *talk, struct slu_str allowed)
{
    struct slu_response response = {0};
    struct slu_fault fault = {0};

    slu_fault_set(&fault, SLU_FAULT_METHOD_NOT_ALLOWED, "", "use %.*s", SLU_FMT(allowed));
    if (!slu_headers_add(slu_talk_arena(talk), &response.headers, SLU_STR("allow"), allowed))
        fault = (struct slu_fault){.kind = SLU_FAULT_MEMORY};
    slu_problem_plain(slu_talk_arena(talk), &fault, &response);
    slu_talk_answer(talk, &response, false);
}

/* Alive, ready, metrics */

static void healthz(struct slu_talk *talk, struct slu_gateway *gateway)
{
    (void)gateway;
    answer(talk, 200, "application/json", SLU_STR("{\"status\":\"alive\"}"));
}

/* Writes are refused until the store is back; reads go on. */
static void refuse_store(struct slu_talk *talk, const struct slu_fault *fault)
{
    struct slu_arena *arena = slu_talk_arena(talk);
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);
    struct slu_str why = fault->kind == SLU_FAULT_NONE
                             ? SLU_STR("it has not been opened yet")
                             : slu_arena_printf(arena, "%s: %s", fault->place, fault->words);

    slu_value_put(document, SLU_STR("status"),
                  slu_value_string(arena, SLU_STR("store_not_writable")));
    slu_value_put(document, SLU_STR("detail"), slu_value_string(arena, why));
    answer_document(talk, 503, document);
}

static void readyz(struct slu_talk *talk, struct slu_gateway *gateway)
{
    struct slu_journal_health health = {.writable = true};

    if (gateway->journal)
        slu_journal_health(gateway->journal, &health);
    if (gateway->draining)
        answer(talk, 503, "application/json", SLU_STR("{\"status\":\"draining\"}"));
    else if (!health.writable)
        refuse_store(talk, &health.fault);
    else
        answer(talk, 200, "application/json", SLU_STR("{\"status\":\"ready\"}"));
}

static void metrics(struct slu_talk *talk, struct slu_gateway *gateway)
{
    struct slu_journal_health health;
    struct slu_gauges gauges = {
        .bodies = gateway->bodies, .guards = gateway->guards, .now_us = slu_clock_mono_us()};
    struct slu_buf text;

    if (gateway->journal) {
        slu_journal_health(gateway->journal, &health);
        gauges.journal = &health;
    }
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        gauges.in_flight += gateway->workers[i].shown_in_flight;
        gauges.connections += gateway->workers[i].shown_connections;
    }
    slu_buf_init(&text, 0);
    slu_metrics_write(gateway->metrics, &gauges, &text);
    if (text.failed)
        refuse(talk, SLU_FAULT_MEMORY, "no memory for the metrics");
    else
        answer(talk, 200, "text/plain; version=0.0.4; charset=utf-8", slu_buf_str(&text));
    slu_buf_done(&text);
}

/* Faults on request */

static void list_faults(struct slu_talk *talk, struct slu_gateway *gateway)
{
    struct slu_arena *arena = slu_talk_arena(talk);
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);
    struct slu_fault fault = {0};

    slu_value_put(document, SLU_STR("faults"), slu_faults_list(gateway->faults, arena, &fault));
    answer_document(talk, 200, document);
}

static void clear_faults(struct slu_talk *talk, struct slu_gateway *gateway)
{
    struct slu_arena *arena = slu_talk_arena(talk);
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);
    size_t count = slu_faults_clear(gateway->faults);

    slu_value_put(document, SLU_STR("cleared"), slu_value_int(arena, (int64_t)count));
    answer_document(talk, 200, document);
}

/* A fault of a real cloud cannot be ordered. */
static bool judge_target(struct slu_gateway *gateway, struct slu_str name,
                         struct slu_mistakes *mistakes, struct slu_fault *fault)
{
    struct slu_catalog *catalog = slu_gateway_catalog(gateway);
    const struct slu_target *target = slu_catalog_target(catalog, name);
    bool good = target && target->memory;

    if (!target)
        slu_fault_set(fault, SLU_FAULT_NOT_FOUND, "", "there is no target %.*s", SLU_FMT(name));
    else if (!good)
        slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR("/target"),
                    "%.*s is a real cloud; faults can be ordered of the memory cloud only",
                    SLU_FMT(name));
    slu_catalog_free(catalog);
    return good;
}

static bool read_order(struct slu_talk *talk, struct slu_gateway *gateway,
                       struct slu_faults_order *order, struct slu_mistakes *mistakes,
                       struct slu_fault *fault)
{
    struct slu_value *document = slu_json_read(slu_talk_arena(talk), slu_talk_request(talk)->body,
                                               (struct slu_json_limits){0}, mistakes);

    if (!document)
        return slu_fault_set(fault, SLU_FAULT_BAD_JSON, "",
                             "the body is not valid JSON; see errors");
    if (slu_faults_read(document, order, mistakes) &&
        judge_target(gateway, order->target, mistakes, fault))
        return slu_faults_add(gateway->faults, order, fault);
    return slu_fault_set(fault, SLU_FAULT_INVALID, "", "the order is not valid; see errors");
}

static void order_fault(struct slu_talk *talk, struct slu_gateway *gateway)
{
    struct slu_arena *arena = slu_talk_arena(talk);
    struct slu_response response = {0};
    struct slu_faults_order order;
    struct slu_mistakes mistakes;
    struct slu_fault fault = {0};

    slu_mistakes_init(&mistakes, arena);
    if (read_order(talk, gateway, &order, &mistakes, &fault)) {
        answer_document(talk, 201, slu_faults_order_value(arena, &order));
        return;
    }
    slu_problem_told(arena, &fault, &mistakes, &response);
    slu_talk_answer(talk, &response, false);
}

/* Routes */

static const struct route {
    const char *method, *path;
    void (*run)(struct slu_talk *talk, struct slu_gateway *gateway);
    bool has_body;
} routes[] = {
    {"GET", "/healthz", healthz, false},
    {"GET", "/readyz", readyz, false},
    {"GET", "/metrics", metrics, false},
    {"GET", "/sandbox/faults", list_faults, false},
    {"POST", "/sandbox/faults", order_fault, true},
    {"DELETE", "/sandbox/faults", clear_faults, false},
};

/* HEAD is GET; the server leaves the body out. */
static bool method_fits(const struct route *route, struct slu_str method)
{
    return slu_str_is(method, route->method) ||
           (slu_str_is(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

static const struct route *find_route(struct slu_talk *talk, struct slu_str *ret_allowed)
{
    const struct slu_request *request = slu_talk_request(talk);

    *ret_allowed = SLU_STR_NONE;
    for (size_t i = 0; i < SLU_COUNT(routes); i++) {
        if (!slu_str_is(request->path, routes[i].path))
            continue;
        if (method_fits(&routes[i], request->method))
            return &routes[i];
        *ret_allowed = slu_arena_printf(slu_talk_arena(talk), "%.*s%s%s%s", SLU_FMT(*ret_allowed),
                                        ret_allowed->n ? ", " : "", routes[i].method,
                                        strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
    return NULL;
}

/* A page in somebody's browser can send anything but this type without asking first. */
static bool is_json(const struct slu_request *request)
{
    struct slu_str type = slu_headers_value(&request->headers, SLU_STR("content-type"));

    return slu_str_eq_nocase(slu_str_trim(slu_str_cut(&type, ';')), SLU_STR("application/json"));
}

static void on_head(struct slu_talk *talk, void *user)
{
    struct slu_str allowed;
    const struct route *route = find_route(talk, &allowed);

    if (!route && allowed.n)
        refuse_method(talk, allowed);
    else if (!route)
        refuse(talk, SLU_FAULT_NOT_FOUND,
               "there are /healthz, /readyz, /metrics and /sandbox/faults");
    else if (!route->has_body)
        route->run(talk, user);
    else if (!is_json(slu_talk_request(talk)))
        refuse(talk, SLU_FAULT_MEDIA_TYPE, "send the order as Content-Type: application/json");
    else
        slu_talk_want_body(talk, 0);
}

static void on_body(struct slu_talk *talk, void *user)
{
    struct slu_str allowed;
    const struct route *route = find_route(talk, &allowed);

    slu_must(route); /* it was there at the head */
    route->run(talk, user);
}

static void on_refused(struct slu_talk *talk, const struct slu_fault *fault, void *user)
{
    (void)user;
    answer_fault(talk, fault);
}

static void on_over(struct slu_talk *talk, void *user)
{
    (void)user;
    slu_talk_release(talk);
}

const struct slu_server_handler slu_admin_handler = {on_head, on_body, on_refused, on_over,
                                                     on_over};
