/*
 * The reply, as libcurl hands it over: lines of a head, then pieces of the body. curl decides the
 * framing; what breaks a rule or a limit, or could be framed in two ways, is refused here.
 */
#include "net/curl_internal.h"

enum {
    FIELDS_MOST = 100,
    INTERIM_MOST = 16 /* 1xx replies before the final one */
};

/* Records why the reply is refused; the callback then tells curl to stop. */
static bool refuse(struct slu_curl_transfer *transfer, const char *why)
{
    return slu_fault_set(&transfer->call->result.fault, SLU_FAULT_UPSTREAM_UNREADABLE, "", "%s: %s",
                         transfer->side->upstream->where, why);
}

static bool count_in(struct slu_curl_transfer *transfer, size_t count)
{
    transfer->taken += count;
    if (transfer->taken > transfer->side->upstream->conf.reply_bytes)
        return refuse(transfer, "the reply is larger than the limit");
    return true;
}

/* curl decides the framing; what could be framed in two ways is refused, as in our own client. */
static bool judge_field(struct slu_curl_transfer *transfer, struct slu_str name,
                        struct slu_str value)
{
    if (slu_str_eq_nocase(name, SLU_STR("content-length"))) {
        if (++transfer->lengths > 1 || !slu_str_to_u64(value, &transfer->length))
            return refuse(transfer, "the reply's Content-Length is not one number");
        if (transfer->length > transfer->side->upstream->conf.reply_bytes)
            return refuse(transfer, "the reply is larger than the limit");
    } else if (slu_str_eq_nocase(name, SLU_STR("transfer-encoding"))) {
        if (transfer->encoded || !slu_str_eq_nocase(value, SLU_STR("chunked")))
            return refuse(transfer, "the reply's Transfer-Encoding is not chunked");
        transfer->encoded = true;
    } else if (slu_str_eq_nocase(name, SLU_STR("content-encoding"))) {
        if (!slu_str_eq_nocase(value, SLU_STR("identity")))
            return refuse(transfer, "the reply has a Content-Encoding nobody asked for");
    }
    return true;
}

static bool take_field(struct slu_curl_transfer *transfer, struct slu_str line)
{
    struct slu_call *call = transfer->call;
    struct slu_headers *headers = &call->result.response.headers;
    struct slu_str name = slu_str_cut(&line, ':'), value = slu_str_trim(line);

    if (!line.p || !slu_token_valid(name) || !slu_field_value_valid(value))
        return refuse(transfer, "a header field of the reply is not valid");
    if (headers->count >= FIELDS_MOST)
        return refuse(transfer, "the reply has too many header fields");
    if (!judge_field(transfer, name, value))
        return false;
    name = slu_arena_str(call->arena, name);
    value = slu_arena_str(call->arena, value);
    if (call->arena->failed || !slu_headers_add(call->arena, headers, name, value))
        return slu_fault_memory(&call->result.fault);
    return true;
}

static bool end_head(struct slu_curl_transfer *transfer)
{
    struct slu_response *response = &transfer->call->result.response;

    if (response->status >= 100 && response->status < 200) {
        if (response->status == 101 || ++transfer->interim > INTERIM_MOST)
            return refuse(transfer, "the reply has interim answers nobody asked for");
        response->headers = (struct slu_headers){0};
        transfer->lengths = 0;
        transfer->length = 0;
        transfer->encoded = false;
        transfer->head = SLU_CURL_HEAD_STATUS;
        return true;
    }
    if (transfer->lengths && transfer->encoded)
        return refuse(transfer, "the reply has both Content-Length and Transfer-Encoding");
    transfer->head = SLU_CURL_HEAD_DONE;
    return true;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static bool take_status(struct slu_curl_transfer *transfer, struct slu_str line)
{
    struct slu_str version = slu_str_cut(&line, ' '), code = {line.p, line.n < 3 ? line.n : 3};
    uint64_t status;

    if (!slu_str_starts(version, SLU_STR("HTTP/")) || !slu_str_to_u64(code, &status) ||
        status < 100 || status > 599 || (line.n > 3 && line.p[3] != ' '))
        return refuse(transfer, "the reply's status line is not valid");
    transfer->call->result.response.status = (int)status;
    transfer->head = SLU_CURL_HEAD_FIELDS;
    return true;
}

static bool take_line(struct slu_curl_transfer *transfer, struct slu_str line)
{
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    switch (transfer->head) {
    case SLU_CURL_HEAD_STATUS:
        return take_status(transfer, line);
    case SLU_CURL_HEAD_FIELDS:
        return line.n ? take_field(transfer, line) : end_head(transfer);
    case SLU_CURL_HEAD_DONE: /* trailers */
        return true;
    }
    return false;
}

size_t slu_curl_on_header(char *text, size_t size, size_t count, void *argument)
{
    struct slu_curl_transfer *transfer = argument;
    size_t n = size * count;

    if (!count_in(transfer, n) || !take_line(transfer, (struct slu_str){text, n}))
        return n ? 0 : 1;
    return n;
}

size_t slu_curl_on_body(char *text, size_t size, size_t count, void *argument)
{
    struct slu_curl_transfer *transfer = argument;
    size_t n = size * count;

    if (!count_in(transfer, n))
        return n ? 0 : 1;
    if (!slu_arena_append(transfer->call->arena, &transfer->body, (struct slu_str){text, n},
                          (size_t)transfer->length)) {
        slu_fault_memory(&transfer->call->result.fault);
        return n ? 0 : 1;
    }
    return n;
}
