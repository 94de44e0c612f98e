/*
 * Queries and forms: what is read is written and read again alike; sorting keeps every pair and
 * orders them; percent-encoding any bytes and decoding them gives the bytes or a refusal that is
 * right.
 */
#include "base/arena.h"
#include "codec/params.h"
#include "codec/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_same(const struct slu_params *a, const struct slu_params *b)
{
    if (a->count != b->count)
        abort();
    for (size_t i = 0; i < a->count; i++)
        if (!slu_str_eq(a->items[i].name, b->items[i].name) ||
            !slu_str_eq(a->items[i].value, b->items[i].value))
            abort();
}

/* Written pairs always have "=", so nothing is skipped on the way back. */
static void must_survive_writing(struct slu_arena *arena, const struct slu_params *params)
{
    struct slu_params again;
    struct slu_buf text;

    slu_buf_init(&text, 0);
    slu_params_write(&text, params);
    if (!slu_params_read(arena, slu_buf_str(&text), true, params->count, &again, NULL))
        abort();
    must_be_same(params, &again);
    if (!slu_params_read(arena, slu_buf_str(&text), false, params->count, &again, NULL))
        abort();
    must_be_same(params, &again);
    slu_buf_done(&text);
}

static void must_sort(struct slu_params *params)
{
    slu_params_sort(params);
    for (size_t i = 1; i < params->count; i++) {
        const struct slu_param *a = &params->items[i - 1], *b = &params->items[i];
        int order = slu_str_cmp(a->name, b->name);

        if (order > 0 || (order == 0 && slu_str_cmp(a->value, b->value) > 0))
            abort();
    }
}

static void must_become_an_object(struct slu_arena *arena, const struct slu_params *params)
{
    struct slu_params again;
    struct slu_mistakes mistakes;
    struct slu_value *object;

    slu_mistakes_init(&mistakes, arena);
    object = slu_params_to_value(arena, params, &mistakes);
    if ((object == NULL) == slu_mistakes_none(&mistakes))
        abort();
    if (!object)
        return;
    if (!slu_params_from_value(arena, object, &again))
        abort();
    must_be_same(params, &again);
}

static void must_code(struct slu_arena *arena, struct slu_str bytes)
{
    bool text = (!bytes.n || !memchr(bytes.p, '\0', bytes.n)) && slu_utf8_valid(bytes);
    struct slu_str decoded;
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_percent_encode(&out, bytes);
    if (slu_percent_decode(arena, slu_buf_str(&out), true, &decoded) != text)
        abort();
    if (text && !slu_str_eq(decoded, bytes))
        abort();
    slu_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_str text = {(const char *)data, size};
    struct slu_fault fault = {0};
    struct slu_params params;
    struct slu_arena arena;

    slu_arena_init(&arena, 64 << 20);
    must_code(&arena, text);
    if (slu_params_read(&arena, text, size % 2, 1000, &params, &fault)) {
        must_survive_writing(&arena, &params);
        must_become_an_object(&arena, &params);
        must_sort(&params);
        must_survive_writing(&arena, &params);
    } else if (fault.kind == SLU_FAULT_NONE) {
        abort();
    }
    slu_arena_done(&arena);
    return 0;
}
