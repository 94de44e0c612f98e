/*
 * Distributed tracing, carried on: a caller's traceparent (W3C Trace Context, level 1) goes to the
 * cloud with a span of our own as the parent, and its trace id into the access line. What is not
 * exactly of that form is ignored, as the recommendation asks.
 */
#include "exchange/exchange_internal.h"

/* version "-" trace-id "-" parent-id "-" flags, in lower-case digits */
enum {
    VERSION = 2,
    TRACE = 32,
    PARENT = 16,
    FLAGS = 2,
    WHOLE = VERSION + TRACE + PARENT + FLAGS + 3
};

static bool take_digits(struct slu_str *text, size_t count, bool may_be_zero,
                        struct slu_str *ret_digits)
{
    bool zero = true;

    *ret_digits = slu_str_cut(text, '-');
    for (size_t i = 0; i < ret_digits->n; i++) {
        char c = ret_digits->p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        zero = zero && c == '0';
    }
    return ret_digits->n == count && (may_be_zero || !zero);
}

void slu_trace_read(struct slu_exchange *x)
{
    const struct slu_headers *headers = &x->request->headers;
    struct slu_str rest = slu_headers_value(headers, SLU_STR("traceparent"));
    struct slu_str version, trace, parent, flags;

    if (rest.n != WHOLE || slu_headers_count(headers, SLU_STR("traceparent")) != 1)
        return;
    if (take_digits(&rest, VERSION, true, &version) && slu_str_is(version, "00") &&
        take_digits(&rest, TRACE, false, &trace) && take_digits(&rest, PARENT, false, &parent) &&
        take_digits(&rest, FLAGS, true, &flags) && !rest.p) {
        x->trace_id = trace;
        x->trace_flags = flags;
    }
}

/* The span: half of the worker's random prefix and half of its counter. Added behind the signature,
 * since proxies on the way may change it. */
bool slu_trace_continue(struct slu_job *job, struct slu_arena *arena, struct slu_str fresh)
{
    struct slu_str head = {fresh.p, PARENT / 2},
                   tail = {fresh.p + fresh.n - PARENT / 2, PARENT / 2};

    if (!job->trace_id.n)
        return true;
    return slu_headers_add(arena, &job->native.headers, SLU_STR("traceparent"),
                           slu_arena_printf(arena, "00-%.*s-%.*s%.*s-%.*s", SLU_FMT(job->trace_id),
                                            SLU_FMT(head), SLU_FMT(tail),
                                            SLU_FMT(job->trace_flags)));
}
