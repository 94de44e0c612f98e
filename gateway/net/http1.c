/*
 * The one reader of HTTP/1.1 messages (RFC 9112), as states.
 *
 * A head is first looked for, line by line, without understanding it: only the end of lines, bare
 * LF and the limits matter. When it is whole it is copied to the arena and read once, by
 * http1_head.c, which also decides where the message ends. Bodies follow as a few small states.
 */
#include "net/http1_internal.h"

enum {
    CHUNK_LINE_MOST = 512, /* one chunk size with its extensions */
    CHUNK_DIGITS_MOST = 8, /* 4 GiB - 1 */
    EXTENSIONS_MOST = 4096 /* all chunk extensions and trailers of one message */
};

enum state {
    READ_HEAD,
    BEGIN_BODY,
    READ_LENGTH,
    READ_CHUNK_SIZE,
    READ_CHUNK,
    READ_CHUNK_END,
    READ_TRAILERS,
    READ_UNTIL_CLOSE,
    WHOLE
};

/* The search for the head's end */

static int too_long(const struct slu_http1 *r, struct slu_fault *fault)
{
    if (r->lines == 0)
        return slu_http1_refuse(r, SLU_FAULT_URI_TOO_LONG, "the first line is too long", fault);
    return slu_http1_refuse(r, SLU_FAULT_HEADERS_TOO_LARGE, "the head is too large", fault);
}

static size_t head_limit(const struct slu_http1 *r)
{
    if (r->lines == 0 && r->limits.line_bytes && r->limits.line_bytes < r->limits.head_bytes)
        return r->limits.line_bytes;
    return r->limits.head_bytes;
}

/* GO_ON with *ret_end when the empty line was found. */
static int find_head_end(struct slu_http1 *r, struct slu_str input, size_t *ret_end,
                         struct slu_fault *fault)
{
    while (r->scanned < input.n) {
        const char *lf = memchr(input.p + r->scanned, '\n', input.n - r->scanned);
        size_t end = lf ? (size_t)(lf - input.p) + 1 : input.n + 1;

        if (end > head_limit(r))
            return too_long(r, fault);
        if (!lf) {
            r->scanned = input.n;
            break;
        }
        if (end - r->line_start < 2 || input.p[end - 2] != '\r')
            return slu_http1_bad(r, "a line ends without CR", fault);
        r->scanned = end;
        r->lines++;
        if (end - r->line_start == 2) {
            *ret_end = end;
            return SLU_HTTP1_GO_ON;
        }
        r->line_start = end;
    }
    return SLU_HTTP1_MORE;
}

static void use(struct slu_http1 *r, struct slu_str *input, size_t count)
{
    input->p += count;
    input->n -= count;
    r->total += count;
}

static void restart_head(struct slu_http1 *r)
{
    r->scanned = r->line_start = r->lines = 0;
    r->state = READ_HEAD;
}

/* RFC 9112 §2.2: one empty line before a request is forgiven. */
static int skip_blank_line(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    if (r->scanned || input->n == 0 || input->p[0] != '\r')
        return SLU_HTTP1_GO_ON;
    if (input->n == 1)
        return SLU_HTTP1_MORE;
    if (input->p[1] != '\n' || r->blank_seen || r->side == SLU_HTTP1_RESPONSES)
        return slu_http1_bad(r, "there is no first line", fault);
    r->blank_seen = true;
    use(r, input, 2);
    return skip_blank_line(r, input, fault); /* to refuse a second one */
}

static int check_total(const struct slu_http1 *r, struct slu_fault *fault)
{
    if (r->limits.total_bytes && r->total > r->limits.total_bytes)
        return slu_http1_refuse(r, SLU_FAULT_TOO_LARGE, "the message is too large", fault);
    return SLU_HTTP1_GO_ON;
}

static int read_head(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    struct slu_str head;
    size_t end = 0;
    int result = skip_blank_line(r, input, fault);

    if (result == SLU_HTTP1_GO_ON)
        result = find_head_end(r, *input, &end, fault);
    if (result != SLU_HTTP1_GO_ON)
        return result;
    if (r->lines == 1)
        return slu_http1_bad(r, "there is no first line", fault);
    head = slu_arena_str(r->arena, slu_http1_part(*input, 0, end));
    if (!head.p) {
        slu_fault_memory(fault);
        return SLU_HTTP1_FAILED;
    }
    use(r, input, end);
    result = check_total(r, fault);
    if (result == SLU_HTTP1_GO_ON)
        result = slu_http1_understand_head(r, head, fault);
    if (result != SLU_HTTP1_GO_ON)
        return result;
    if (r->side == SLU_HTTP1_RESPONSES && r->response.status < 200) {
        restart_head(r);
        return SLU_HTTP1_GO_ON;
    }
    r->state = BEGIN_BODY;
    return SLU_HTTP1_HEAD;
}

/* Bodies */

static int begin_body(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    (void)input;
    switch (r->framing) {
    case SLU_HTTP1_NO_BODY:
        r->state = WHOLE;
        return SLU_HTTP1_GO_ON;
    case SLU_HTTP1_LENGTH:
        if (r->length > r->body_most)
            return slu_http1_refuse(r, SLU_FAULT_TOO_LARGE, "the body is too large", fault);
        r->left = r->length;
        r->state = READ_LENGTH;
        return SLU_HTTP1_GO_ON;
    case SLU_HTTP1_CHUNKED:
        r->state = READ_CHUNK_SIZE;
        return SLU_HTTP1_GO_ON;
    case SLU_HTTP1_UNTIL_CLOSE:
        r->left = UINT64_MAX;
        r->state = READ_UNTIL_CLOSE;
        return SLU_HTTP1_GO_ON;
    }
    return SLU_HTTP1_GO_ON;
}

/* Takes what is there of the r->left bytes to come. */
static int take_payload(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    size_t n = input->n < r->left ? input->n : (size_t)r->left;

    if (n > r->body_most - r->body_seen)
        return slu_http1_refuse(r, SLU_FAULT_TOO_LARGE, "the body is too large", fault);
    if (!r->discard && n &&
        !slu_arena_append(r->arena, &r->body, (struct slu_str){input->p, n},
                          r->framing == SLU_HTTP1_LENGTH ? (size_t)r->length : 0)) {
        slu_fault_memory(fault);
        return SLU_HTTP1_FAILED;
    }
    r->body_seen += n;
    r->left -= n;
    use(r, input, n);
    return check_total(r, fault);
}

static int read_payload(struct slu_http1 *r, struct slu_str *input, enum state next,
                        struct slu_fault *fault)
{
    int result = take_payload(r, input, fault);

    if (result != SLU_HTTP1_GO_ON)
        return result;
    if (r->left)
        return SLU_HTTP1_MORE;
    r->state = next;
    return SLU_HTTP1_GO_ON;
}

static int read_length(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    return read_payload(r, input, WHOLE, fault);
}

static int read_chunk(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    return read_payload(r, input, READ_CHUNK_END, fault);
}

static int read_until_close(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    return read_payload(r, input, WHOLE, fault);
}

/* A whole line of at most `most` bytes from the input, without its CRLF. */
static int take_line(struct slu_http1 *r, struct slu_str *input, size_t most,
                     struct slu_str *ret_line, struct slu_fault *fault)
{
    const char *lf = input->n ? memchr(input->p, '\n', input->n) : NULL;
    size_t end = lf ? (size_t)(lf - input->p) + 1 : input->n + 1;

    if (end > most)
        return slu_http1_refuse(r, SLU_FAULT_BAD_REQUEST,
                                "a line of the body's framing is too long", fault);
    if (!lf)
        return SLU_HTTP1_MORE;
    if (end < 2 || input->p[end - 2] != '\r')
        return slu_http1_bad(r, "a line ends without CR", fault);
    *ret_line = slu_http1_part(*input, 0, end - 2);
    use(r, input, end);
    return check_total(r, fault);
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : slu_ascii_lower(c) - 'a' + 10;
}

/* RFC 9112 §7.1: 1*HEXDIG, then nothing or ";" and extensions, which mean nothing to us. */
static int read_chunk_size(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    struct slu_str line = SLU_STR_NONE;
    size_t i = 0;
    uint64_t size = 0;
    int result = take_line(r, input, CHUNK_LINE_MOST, &line, fault);

    if (result != SLU_HTTP1_GO_ON)
        return result;
    while (i < line.n && slu_http1_is(line.p[i], SLU_HTTP1_HEX) && i <= CHUNK_DIGITS_MOST)
        size = size * 16 + (uint64_t)digit(line.p[i++]);
    if (i == 0 || i > CHUNK_DIGITS_MOST || (i < line.n && line.p[i] != ';') ||
        !slu_http1_all(slu_http1_part(line, i, line.n), SLU_HTTP1_VALUE))
        return slu_http1_bad(r, "a chunk's size is not valid", fault);
    r->framing_used += (uint32_t)(line.n - i);
    if (r->framing_used > EXTENSIONS_MOST)
        return slu_http1_bad(r, "too many chunk extensions", fault);
    if (size > r->body_most - r->body_seen)
        return slu_http1_refuse(r, SLU_FAULT_TOO_LARGE, "the body is too large", fault);
    r->left = size;
    r->state = size ? READ_CHUNK : READ_TRAILERS;
    return SLU_HTTP1_GO_ON;
}

static int read_chunk_end(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    if (input->n && (input->p[0] != '\r' || (input->n > 1 && input->p[1] != '\n')))
        return slu_http1_bad(r, "a chunk does not end where its size says", fault);
    if (input->n < 2)
        return SLU_HTTP1_MORE;
    use(r, input, 2);
    r->state = READ_CHUNK_SIZE;
    return check_total(r, fault);
}

/* Trailers are checked and dropped: nothing here may come from them (RFC 9110 §6.5.1). */
static int read_trailers(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    struct slu_header field;
    struct slu_str line = SLU_STR_NONE;
    const char *at = input->p;
    int result = take_line(r, input, EXTENSIONS_MOST - r->framing_used + 2, &line, fault);

    if (result != SLU_HTTP1_GO_ON)
        return result;
    if (line.n == 0) {
        r->state = WHOLE;
        return SLU_HTTP1_GO_ON;
    }
    r->framing_used += (uint32_t)line.n;
    if (++r->trailer_fields > r->limits.head_fields)
        return slu_http1_refuse(r, SLU_FAULT_HEADERS_TOO_LARGE, "too many trailer fields", fault);
    if (!slu_http1_read_field(&at, &field))
        return slu_http1_bad(r, "a trailer field is not valid", fault);
    return SLU_HTTP1_GO_ON;
}

static int whole(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    (void)input;
    (void)fault;
    r->request.body = r->response.body = (struct slu_str){r->body.p, r->body.n};
    return SLU_HTTP1_DONE;
}

/* The reader */

typedef int step_fn(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault);

static step_fn *const steps[] = {
    [READ_HEAD] = read_head,
    [BEGIN_BODY] = begin_body,
    [READ_LENGTH] = read_length,
    [READ_CHUNK_SIZE] = read_chunk_size,
    [READ_CHUNK] = read_chunk,
    [READ_CHUNK_END] = read_chunk_end,
    [READ_TRAILERS] = read_trailers,
    [READ_UNTIL_CLOSE] = read_until_close,
    [WHOLE] = whole,
};

void slu_http1_init(struct slu_http1 *reader, enum slu_http1_side side,
                    const struct slu_http1_limits *limits)
{
    *reader = (struct slu_http1){.side = side, .limits = *limits};
}

void slu_http1_begin(struct slu_http1 *reader, struct slu_arena *arena, bool answers_head)
{
    struct slu_http1_limits limits = reader->limits;
    enum slu_http1_side side = reader->side;

    *reader = (struct slu_http1){
        .side = side,
        .limits = limits,
        .arena = arena,
        .answers_head = answers_head,
        .body_most = limits.body_bytes,
    };
}

enum slu_http1_result slu_http1_read(struct slu_http1 *reader, struct slu_str *input,
                                     struct slu_fault *fault)
{
    int result;

    do {
        result = steps[reader->state](reader, input, fault);
    } while (result == SLU_HTTP1_GO_ON);
    return (enum slu_http1_result)result;
}

enum slu_http1_result slu_http1_eof(struct slu_http1 *reader, struct slu_str rest,
                                    struct slu_fault *fault)
{
    if (reader->state == READ_UNTIL_CLOSE || reader->state == WHOLE ||
        (reader->state == BEGIN_BODY &&
         (reader->framing == SLU_HTTP1_NO_BODY || reader->framing == SLU_HTTP1_UNTIL_CLOSE)))
        return (enum slu_http1_result)whole(reader, &rest, fault);
    if (reader->state == READ_HEAD && rest.n == 0 && reader->interim == 0)
        return SLU_HTTP1_MORE;
    slu_fault_set(fault,
                  reader->side == SLU_HTTP1_REQUESTS ? SLU_FAULT_BAD_REQUEST
                                                     : SLU_FAULT_UPSTREAM_BROKEN,
                  "", "the connection ended within the message");
    return SLU_HTTP1_FAILED;
}

void slu_http1_limit_body(struct slu_http1 *reader, uint32_t most)
{
    if (most < reader->body_most)
        reader->body_most = most;
}

void slu_http1_discard(struct slu_http1 *reader)
{
    reader->discard = true;
    reader->body.n = 0;
}
