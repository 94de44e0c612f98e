/* A document's text in the arena, without the heap. */
#include "codec/json.h"
#include "mapping/table_internal.h"

/* At most this many bytes when every byte of text needs `each`. */
static size_t bound(const struct slu_value *value, size_t each)
{
    size_t size = 8 + (value->name.n + value->text.n) * each;

    slu_value_each (child, value)
        size += bound(child, each) + 4;
    return size;
}

static bool write_within(struct slu_arena *arena, const struct slu_value *value, size_t size,
                         struct slu_str *ret_text)
{
    struct slu_buf out = {.p = slu_arena_get(arena, size), .size = size, .limit = size};

    if (!out.p)
        return false;
    slu_json_write(&out, value); /* full at `limit`, so it never grows on the heap */
    *ret_text = slu_buf_str(&out);
    return !out.failed;
}

/* Escapes are rare: first room for a few, then room for the worst ("\u001f", six for one). */
struct slu_str slu_json_text(struct slu_arena *arena, const struct slu_value *value)
{
    struct slu_str text = SLU_STR_NONE;

    if (write_within(arena, value, bound(value, 1) + 64, &text) || arena->failed)
        return arena->failed ? SLU_STR_NONE : text;
    return write_within(arena, value, bound(value, 6), &text) ? text : SLU_STR_NONE;
}
