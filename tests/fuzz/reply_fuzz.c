/*
 * A cloud's reply as our client reads it: whole, and cut in pieces, with what stays of an
 * unfinished line offered again, until the peer closes. Both readings must agree, whatever came,
 * and nothing may be kept beyond the limits.
 *
 * The first byte chooses the size of the pieces and whether the request was a HEAD.
 */
#include "net/http1.h"

#include <stdlib.h>

enum { REPLY_MOST = 4096, ARENA_MOST = 262144 };

struct reading {
    struct slu_arena arena;
    struct slu_http1 reader;
    struct slu_fault fault;
    bool whole;
};

/* As client.c: read until MORE, DONE or FAILED; after the last piece the peer closes. */
static void read_all(struct reading *reading, struct slu_str text, size_t piece, bool head)
{
    static const struct slu_http1_limits limits = {
        .head_bytes = 2048, .head_fields = 20, .body_bytes = REPLY_MOST, .total_bytes = REPLY_MOST};
    enum slu_http1_result result = SLU_HTTP1_MORE;
    struct slu_str input = {text.p, 0};
    size_t offered = 0;

    slu_arena_init(&reading->arena, ARENA_MOST);
    slu_http1_init(&reading->reader, SLU_HTTP1_RESPONSES, &limits);
    slu_http1_begin(&reading->reader, &reading->arena, head);
    while (offered < text.n && result != SLU_HTTP1_DONE && result != SLU_HTTP1_FAILED) {
        size_t more = text.n - offered < piece ? text.n - offered : piece;

        offered += more;
        input.n += more;
        do {
            result = slu_http1_read(&reading->reader, &input, &reading->fault);
        } while (result == SLU_HTTP1_HEAD);
        slu_must(input.p + input.n == text.p + offered);
    }
    if (result == SLU_HTTP1_MORE)
        result = slu_http1_eof(&reading->reader, input, &reading->fault);
    reading->whole = result == SLU_HTTP1_DONE;
}

static void check_response(const struct slu_response *response)
{
    slu_must(response->status >= 200 && response->status <= 599);
    slu_must(response->body.n <= REPLY_MOST && response->headers.count <= 20);
    for (size_t i = 0; i < response->headers.count; i++) {
        slu_must(slu_token_valid(response->headers.items[i].name));
        slu_must(slu_field_value_valid(response->headers.items[i].value));
    }
}

static void check_same(const struct slu_response *a, const struct slu_response *b)
{
    slu_must(a->status == b->status && a->headers.count == b->headers.count);
    slu_must(slu_str_eq(a->body, b->body));
    for (size_t i = 0; i < a->headers.count; i++) {
        slu_must(slu_str_eq(a->headers.items[i].name, b->headers.items[i].name));
        slu_must(slu_str_eq(a->headers.items[i].value, b->headers.items[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole = {0}, cut = {0};
    struct slu_str text;
    bool head;

    if (size == 0)
        return 0;
    text = (struct slu_str){(const char *)data + 1, size - 1};
    head = data[0] & 1;
    read_all(&whole, text, text.n + 1, head);
    read_all(&cut, text, (data[0] >> 1) % 16 + 1u, head);
    slu_must(whole.whole == cut.whole);
    slu_must(whole.whole ||
             (whole.fault.kind != SLU_FAULT_NONE) == (cut.fault.kind != SLU_FAULT_NONE));
    if (whole.whole) {
        check_response(&whole.reader.response);
        check_same(&whole.reader.response, &cut.reader.response);
        slu_must(whole.reader.keep == cut.reader.keep);
    }
    slu_arena_done(&whole.arena);
    slu_arena_done(&cut.arena);
    return 0;
}
