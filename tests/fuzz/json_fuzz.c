/*
 * The JSON reader against jansson on the same bytes: both accept or both refuse, but for the
 * differences named below. What is accepted is written, read again and must be equal.
 */
#include "base/arena.h"
#include "codec/json.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 200, NODES = 100000 };

/* Why jansson may refuse what we accept: it turns numbers into long long and double. */
static bool explained(const json_error_t *error)
{
    return json_error_code(error) == json_error_numeric_overflow;
}

/* Why we may refuse what jansson accepts: our limits, which are lower than its depth of 2048; and a
 * NUL byte behind a number or word, which jansson 2.14 loses (load.c: stream_unget() steps back to
 * it, and stream_get() takes it for the end of its buffer). */
static bool limited_or_nul(const struct slu_mistakes *mistakes)
{
    struct slu_str detail = mistakes->first ? mistakes->first->detail : SLU_STR_NONE;

    return detail.n && (memmem(detail.p, detail.n, "nested more than", 16) ||
                        memmem(detail.p, detail.n, "has more than", 13) ||
                        slu_str_ends(detail, SLU_STR("found the byte 0x00")));
}

static bool same(const struct slu_value *ours, const json_t *theirs);

static bool same_text(struct slu_str ours, const json_t *theirs)
{
    return slu_str_eq(ours,
                      (struct slu_str){json_string_value(theirs), json_string_length(theirs)});
}

static bool same_members(const struct slu_value *ours, const json_t *theirs)
{
    slu_value_each (child, ours) {
        const json_t *twin =
            json_object_getn(theirs, child->name.p ? child->name.p : "", child->name.n);

        if (!twin || !same(child, twin))
            return false;
    }
    return json_object_size(theirs) == ours->count;
}

static bool same_items(const struct slu_value *ours, const json_t *theirs)
{
    size_t at = 0;

    if (json_array_size(theirs) != ours->count)
        return false;
    slu_value_each (child, ours)
        if (!same(child, json_array_get(theirs, at++)))
            return false;
    return true;
}

static bool same_integer(const struct slu_value *ours, const json_t *theirs)
{
    int64_t number;

    return slu_value_to_int(ours, &number) && number == json_integer_value(theirs);
}

static bool same(const struct slu_value *ours, const json_t *theirs)
{
    switch (ours->kind) {
    case SLU_NULL:
        return json_is_null(theirs);
    case SLU_BOOL:
        return json_is_boolean(theirs) && json_is_true(theirs) == ours->truth;
    case SLU_NUMBER:
        return json_is_real(theirs) || (json_is_integer(theirs) && same_integer(ours, theirs));
    case SLU_STRING:
        return json_is_string(theirs) && same_text(ours->text, theirs);
    case SLU_ARRAY:
        return json_is_array(theirs) && same_items(ours, theirs);
    case SLU_OBJECT:
        return json_is_object(theirs) && same_members(ours, theirs);
    }
    return false;
}

static void must_survive_writing(struct slu_arena *arena, const struct slu_value *value,
                                 void (*write)(struct slu_buf *, const struct slu_value *))
{
    struct slu_mistakes mistakes;
    struct slu_value *again;
    struct slu_buf text;

    slu_buf_init(&text, 0);
    slu_mistakes_init(&mistakes, arena);
    write(&text, value);
    again =
        slu_json_read(arena, slu_buf_str(&text), (struct slu_json_limits){DEPTH, NODES}, &mistakes);
    if (!again || !slu_value_equal(value, again))
        abort();
    slu_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_str text = {(const char *)data, size};
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_value *ours;
    json_error_t error;
    json_t *theirs =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    slu_arena_init(&arena, 64 << 20);
    slu_mistakes_init(&mistakes, &arena);
    ours = slu_json_read(&arena, text, (struct slu_json_limits){DEPTH, NODES}, &mistakes);
    if ((ours == NULL) == slu_mistakes_none(&mistakes))
        abort();
    if (ours && !theirs && !explained(&error))
        abort();
    if (!ours && theirs && !limited_or_nul(&mistakes))
        abort();
    if (ours && theirs && !same(ours, theirs))
        abort();
    if (ours) {
        must_survive_writing(&arena, ours, slu_json_write);
        must_survive_writing(&arena, ours, slu_json_write_pretty);
    }
    json_decref(theirs);
    slu_arena_done(&arena);
    return 0;
}
