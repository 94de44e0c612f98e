/*
 * The access line: one JSON object a request on standard output. Lines of one turn of the loop are
 * gathered and written together; a reader that is too slow loses lines (counted), it never stops a
 * loop.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"
#include "codec/params.h"
#include "codec/text.h"
#include "codec/time.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

enum { GATHERED_MOST = 1 << 20 };

/* A member's name, with the comma before it and the colon behind. */
#define KEY(name) SLU_STR(",\"" name "\":")

static inline void add_text(struct slu_buf *line, struct slu_str key, struct slu_str text)
{
    if (!text.n)
        return;
    slu_buf_add(line, key);
    slu_json_write_string(line, text);
}

static inline void add_number(struct slu_buf *line, struct slu_str key, uint64_t number)
{
    slu_buf_add(line, key);
    slu_buf_u64(line, number);
}

#define ADD_TEXT(line, name, text)     add_text((line), KEY(name), (text))
#define ADD_NUMBER(line, name, number) add_number((line), KEY(name), (number))

static void add_time(struct slu_buf *line)
{
    char text[SLU_TIME_EXTENDED];
    int64_t ms = slu_clock_real_ms();
    char fraction[4] = {'.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10),
                        (char)('0' + ms % 10)};

    slu_time_extended(ms / 1000, text);
    slu_buf_lit(line, "{\"time\":\"");
    slu_buf_add(line, (struct slu_str){text, SLU_TIME_EXTENDED - 1});
    slu_buf_add(line, (struct slu_str){fraction, sizeof(fraction)});
    slu_buf_lit(line, "Z\"");
}

/* A message that the parser refused may hold any bytes, but JSON is UTF-8 (RFC 8259 §8.1). */
static void add_unchecked(struct slu_buf *line, struct slu_str key, struct slu_str text)
{
    if (slu_utf8_valid(text)) {
        add_text(line, key, text);
        return;
    }
    slu_buf_add(line, key);
    slu_buf_byte(line, '"');
    slu_percent_encode(line, text);
    slu_buf_byte(line, '"');
}

/* Request targets may hold anything that HTTP allows, so they are escaped like any text; queries
 * are left out, since at a door they may carry keys. */
static void add_first_line(const struct slu_exchange *x, struct slu_buf *line)
{
    if (x->fault.kind == SLU_FAULT_NONE) {
        ADD_TEXT(line, "method", x->request->method);
        ADD_TEXT(line, "path", x->request->path);
        return;
    }
    add_unchecked(line, KEY("method"), x->request->method);
    add_unchecked(line, KEY("path"), x->request->path);
}

/* Has an earlier job of this exchange the same target? */
static bool is_named(const struct slu_exchange *x, size_t job)
{
    for (size_t i = 0; i < job; i++)
        if (x->jobs[i]->target == x->jobs[job]->target)
            return true;
    return false;
}

static void add_targets(const struct slu_exchange *x, struct slu_buf *line)
{
    bool first = true;

    if (x->target) {
        ADD_TEXT(line, "target", x->target->name);
        ADD_TEXT(line, "dialect", x->target->dialect);
        return;
    }
    for (size_t i = 0; i < x->job_count; i++) {
        if (is_named(x, i))
            continue;
        slu_buf_add(line, first ? SLU_STR(",\"targets\":[") : SLU_STR(","));
        slu_json_write_string(line, x->jobs[i]->target->name);
        first = false;
    }
    if (!first)
        slu_buf_byte(line, ']');
}

static void add_request(struct slu_exchange *x, struct slu_buf *line)
{
    ADD_TEXT(line, "event", SLU_STR("request"));
    ADD_TEXT(line, "request_id", x->id);
    ADD_TEXT(line, "trace_id", x->trace_id);
    if (x->recovered)
        slu_buf_lit(line, ",\"recovered\":true");
    if (x->talk)
        ADD_TEXT(line, "peer", slu_talk_peer(x->talk));
    if (x->request)
        add_first_line(x, line);
    if (x->door)
        ADD_TEXT(line, "door", slu_table_dialect(x->door->table));
    if (x->caller)
        ADD_TEXT(line, "caller", x->caller->name);
    add_targets(x, line);
    if (x->has_operation)
        ADD_TEXT(line, "operation", slu_str_of(slu_operation_name(x->operation)));
    ADD_TEXT(line, "flow_log_id", x->flow_log_id);
    if (x->dry_run)
        slu_buf_lit(line, ",\"dry_run\":true");
}

/* The wire's spans are those of the last call. */
static void add_last_call(const struct slu_job *job, struct slu_buf *line)
{
    ADD_NUMBER(line, "status", (uint64_t)job->cloud_status);
    ADD_TEXT(line, "code", job->outcome.vendor_code);
    ADD_TEXT(line, "request_id", job->outcome.vendor_request_id);
    ADD_NUMBER(line, "name_us", job->result.name_us);
    ADD_NUMBER(line, "connect_us", job->result.connect_us);
    ADD_NUMBER(line, "tls_us", job->result.tls_us);
    ADD_NUMBER(line, "first_byte_us", job->result.first_byte_us);
    slu_buf_lit(line, ",\"reused\":");
    slu_buf_add(line, job->result.reused ? SLU_STR("true") : SLU_STR("false"));
}

static void add_cloud(struct slu_exchange *x, struct slu_buf *line)
{
    struct slu_job_spent spent = slu_exchange_spent(x);

    if (!spent.calls)
        return;
    slu_buf_add(line, KEY("cloud"));
    slu_buf_lit(line, "{\"calls\":");
    slu_buf_u64(line, spent.calls);
    ADD_NUMBER(line, "us", spent.cloud_us);
    ADD_NUMBER(line, "bytes_out", spent.bytes_out);
    ADD_NUMBER(line, "bytes_in", spent.bytes_in);
    if (x->job)
        add_last_call(x->job, line);
    slu_buf_byte(line, '}');
}

static void add_span(struct slu_buf *line, struct slu_str name, uint64_t us, bool *first)
{
    if (!us)
        return;
    slu_buf_add(line, *first ? SLU_STR("\"") : SLU_STR(",\""));
    slu_buf_add(line, name);
    slu_buf_lit(line, "\":");
    slu_buf_u64(line, us);
    *first = false;
}

/* A job's steps stand in place of the step in which it was waited for; with several at once only
 * that step has a meaning. */
static void add_spans(struct slu_exchange *x, struct slu_buf *line)
{
    bool first = true;

    ADD_NUMBER(line, "total_us", x->step_began_us - x->began_us);
    ADD_NUMBER(line, "own_us", slu_exchange_own_us(x));
    slu_buf_lit(line, ",\"steps_us\":{");
    for (size_t i = 0; i < STEP_DONE; i++)
        if (i != STEP_WORK || !x->job)
            add_span(line, slu_step_name((enum slu_step)i), x->spans_us[i], &first);
    for (size_t i = 0; x->job && i < JOB_OVER; i++)
        add_span(line, slu_job_step_name((enum slu_job_step)i), x->job->spans_us[i], &first);
    slu_buf_byte(line, '}');
}

static int told_status(const struct slu_exchange *x)
{
    return x->told_early ? x->told_early : x->response.status;
}

void slu_access_line(struct slu_exchange *x)
{
    struct slu_worker *worker = x->station->worker;
    struct slu_buf *line = &worker->access;
    char end[2] = {x->ended_by, x->ended_by == '-' ? '-' : x->ended_letter};

    if (!x->station->catalog->access_log)
        return;
    if (line->n > GATHERED_MOST) {
        slu_count(slu_metrics_dropped(worker->gateway->metrics), 1);
        return;
    }
    add_time(line);
    add_request(x, line);
    ADD_NUMBER(line, "status", x->written ? (uint64_t)told_status(x) : 0);
    if (x->fault.kind != SLU_FAULT_NONE)
        ADD_TEXT(line, "code", slu_str_of(slu_fault_info(x->fault.kind)->code));
    if (x->talk) {
        ADD_NUMBER(line, "bytes_in", slu_talk_bytes_in(x->talk));
        ADD_NUMBER(line, "bytes_out", slu_talk_bytes_out(x->talk));
    }
    if (x->losses.count)
        ADD_NUMBER(line, "losses", x->losses.count);
    add_cloud(x, line);
    add_spans(x, line);
    ADD_TEXT(line, "end", ((struct slu_str){end, sizeof(end)}));
    slu_buf_lit(line, "}\n");
    if (line->failed)
        slu_buf_clear(line);
}

/* Whole lines that a pipe takes at once (POSIX: writes up to PIPE_BUF do not mix and, when poll
 * says so, do not wait). */
static size_t piece(const struct slu_buf *gathered)
{
    size_t most = gathered->n < PIPE_BUF ? gathered->n : PIPE_BUF;

    if (most == gathered->n)
        return most;
    for (size_t at = most; at > 0; at--)
        if (gathered->p[at - 1] == '\n')
            return at;
    return most;
}

void slu_access_flush(void *argument)
{
    struct slu_worker *worker = argument;
    struct slu_buf *gathered = &worker->access;
    bool direct = worker->gateway->access_direct;

    while (gathered->n) {
        struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
        ssize_t written;

        if (!direct && poll(&out, 1, 0) != 1)
            return; /* the next turn tries again */
        written = write(STDOUT_FILENO, gathered->p, direct ? gathered->n : piece(gathered));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            slu_buf_clear(gathered); /* nobody reads, or the disk is full */
            slu_count(slu_metrics_dropped(worker->gateway->metrics), 1);
            return;
        }
        slu_buf_drop(gathered, (size_t)written);
    }
}
