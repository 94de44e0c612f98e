/*
 * The message reader, both ways. The first byte of the input chooses the side and where the rest is
 * cut; read whole and read in pieces it must come to the same, byte for byte, and never read or
 * keep a byte outside of what it was given.
 */
#include "net/http1.h"

#include <stdlib.h>

enum { BUDGET = 1 << 18 };

static const struct slu_http1_limits limits = {.line_bytes = 512,
                                               .head_bytes = 2048,
                                               .head_fields = 20,
                                               .body_bytes = 1024,
                                               .total_bytes = 8192};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell_str(struct slu_buf *out, struct slu_str text)
{
    slu_buf_u64(out, text.n);
    slu_buf_byte(out, ':');
    slu_buf_add(out, text);
}

static void tell(struct slu_buf *out, const struct slu_http1 *r)
{
    const struct slu_headers *headers =
        r->side == SLU_HTTP1_REQUESTS ? &r->request.headers : &r->response.headers;

    tell_str(out, r->request.method);
    tell_str(out, r->request.path);
    tell_str(out, r->request.query);
    tell_str(out, r->request.host);
    slu_buf_u64(out, (uint64_t)r->response.status);
    for (size_t i = 0; i < headers->count; i++) {
        slu_must(slu_token_valid(headers->items[i].name));
        slu_must(slu_field_value_valid(headers->items[i].value));
        tell_str(out, headers->items[i].name);
        tell_str(out, headers->items[i].value);
    }
    tell_str(out, r->request.body);
    tell_str(out, r->response.body);
    slu_buf_printf(out, "%d %d %d\n", r->keep, r->framing, r->expects_continue);
    slu_must(r->request.body.n <= limits.body_bytes && r->response.body.n <= limits.body_bytes);
}

/* What a reader understood can be written and read again. */
static void write_back(const struct slu_http1 *r)
{
    struct slu_buf head;

    slu_buf_init(&head, 0);
    if (r->side == SLU_HTTP1_REQUESTS)
        slu_must(slu_http1_write_request(&head, &r->request, false));
    slu_buf_done(&head);
}

struct reading {
    struct slu_http1 reader;
    struct slu_arena arena;
    struct slu_buf out;
};

static bool read_on(struct reading *reading, struct slu_str *input)
{
    struct slu_fault fault = {0};

    for (;;) {
        size_t before = input->n;

        switch (slu_http1_read(&reading->reader, input, &fault)) {
        case SLU_HTTP1_MORE:
            return true;
        case SLU_HTTP1_HEAD:
            slu_must(input->n < before);
            break;
        case SLU_HTTP1_DONE:
            tell(&reading->out, &reading->reader);
            write_back(&reading->reader);
            slu_arena_reset(&reading->arena);
            slu_http1_begin(&reading->reader, &reading->arena, false);
            break;
        case SLU_HTTP1_FAILED:
            slu_buf_printf(&reading->out, "!%d %s", fault.kind, fault.words);
            return false;
        }
    }
}

/* Each piece is a block of its own, so that the sanitizer sees a byte read beyond it. */
static struct slu_buf read_all(enum slu_http1_side side, bool head, struct slu_str bytes,
                               size_t step)
{
    struct reading reading = {0};
    size_t used = 0, given = 0;
    bool alive = true;
    struct slu_str rest = SLU_STR_NONE;
    struct slu_fault fault = {0};
    char *copy = NULL;

    slu_buf_init(&reading.out, 0);
    slu_arena_init(&reading.arena, BUDGET);
    slu_http1_init(&reading.reader, side, &limits);
    slu_http1_begin(&reading.reader, &reading.arena, head);
    while (alive && given < bytes.n) {
        given = bytes.n - given > step ? given + step : bytes.n;
        free(copy);
        copy = malloc(given - used);
        slu_must(copy);
        memcpy(copy, bytes.p + used, given - used);
        rest = (struct slu_str){copy, given - used};
        alive = read_on(&reading, &rest);
        used = given - rest.n;
    }
    if (alive)
        slu_buf_printf(&reading.out, "end %d %d", (int)slu_http1_eof(&reading.reader, rest, &fault),
                       (int)fault.kind);
    slu_arena_done(&reading.arena);
    free(copy);
    return reading.out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 3, 5, 8, 13, 64, 700};
    struct slu_buf whole, cut;
    struct slu_str bytes;
    enum slu_http1_side side;

    if (size == 0)
        return 0;
    side = data[0] & 1 ? SLU_HTTP1_RESPONSES : SLU_HTTP1_REQUESTS;
    bytes = (struct slu_str){(const char *)data + 1, size - 1};
    whole = read_all(side, data[0] & 2, bytes, SIZE_MAX);
    cut = read_all(side, data[0] & 2, bytes, steps[(data[0] >> 2) % SLU_COUNT(steps)]);
    slu_must(!whole.failed && !cut.failed);
    slu_must(slu_str_eq(slu_buf_str(&whole), slu_buf_str(&cut)));
    slu_buf_done(&whole);
    slu_buf_done(&cut);
    return 0;
}
