/* The admin listener: alive, ready, metrics. No key; it is meant for addresses that only operators
 * reach. */
#include "exchange/exchange_internal.h"

static void answer_text(struct slu_talk *talk, int status, struct slu_str type, struct slu_str body)
{
    struct slu_response response = {.status = status, .body = body};

    if (!slu_headers_add(slu_talk_arena(talk), &response.headers, SLU_STR("content-type"), type))
        response.status = 503;
    slu_talk_answer(talk, &response, false);
}

static void answer_fault(struct slu_talk *talk, enum slu_fault_kind kind, const char *words)
{
    struct slu_response response = {0};
    struct slu_fault fault = {0};

    slu_fault_set(&fault, kind, "", "%s", words);
    if (kind == SLU_FAULT_METHOD_NOT_ALLOWED && /* RFC 9110 §15.5.6 asks for it */
        !slu_headers_add(slu_talk_arena(talk), &response.headers, SLU_STR("allow"),
                         SLU_STR("GET, HEAD")))
        fault = (struct slu_fault){.kind = SLU_FAULT_MEMORY};
    slu_problem_plain(slu_talk_arena(talk), &fault, &response);
    slu_talk_answer(talk, &response, false);
}

static void answer_metrics(struct slu_talk *talk, const struct slu_gateway *gateway)
{
    struct slu_gauges gauges = {0};
    struct slu_buf text;

    for (unsigned i = 0; i < gateway->worker_count; i++) {
        gauges.in_flight += gateway->workers[i].shown_in_flight;
        gauges.connections += gateway->workers[i].shown_connections;
    }
    slu_buf_init(&text, 0);
    slu_metrics_write(gateway->metrics, &gauges, &text);
    if (text.failed)
        answer_fault(talk, SLU_FAULT_MEMORY, "no memory for the metrics");
    else
        answer_text(talk, 200, SLU_STR("text/plain; version=0.0.4; charset=utf-8"),
                    slu_buf_str(&text));
    slu_buf_done(&text);
}

static void on_head(struct slu_talk *talk, void *user)
{
    const struct slu_gateway *gateway = user;
    const struct slu_request *request = slu_talk_request(talk);
    struct slu_str json = SLU_STR("application/json");

    if (!slu_str_is(request->method, "GET") && !slu_str_is(request->method, "HEAD"))
        answer_fault(talk, SLU_FAULT_METHOD_NOT_ALLOWED, "use GET");
    else if (slu_str_is(request->path, "/healthz"))
        answer_text(talk, 200, json, SLU_STR("{\"status\":\"alive\"}"));
    else if (slu_str_is(request->path, "/readyz") && gateway->draining)
        answer_text(talk, 503, json, SLU_STR("{\"status\":\"draining\"}"));
    else if (slu_str_is(request->path, "/readyz"))
        answer_text(talk, 200, json, SLU_STR("{\"status\":\"ready\"}"));
    else if (slu_str_is(request->path, "/metrics"))
        answer_metrics(talk, gateway);
    else
        answer_fault(talk, SLU_FAULT_NOT_FOUND, "there are /healthz, /readyz and /metrics");
}

static void on_body(struct slu_talk *talk, void *user)
{
    (void)talk;
    (void)user;
}

static void on_refused(struct slu_talk *talk, const struct slu_fault *fault, void *user)
{
    (void)user;
    answer_fault(talk, fault->kind, fault->words);
}

static void on_over(struct slu_talk *talk, void *user)
{
    (void)user;
    slu_talk_release(talk);
}

const struct slu_server_handler slu_admin_handler = {on_head, on_body, on_refused, on_over,
                                                     on_over};
