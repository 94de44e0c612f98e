/*
 * The codecs that carry one value for one value, each a pair of functions that undo each other.
 * Answers are new nodes whose texts are slices of the document or of the table. NULL with a reason
 * means that the value cannot be said; NULL without one, that the arena is spent.
 */
#include "mapping/table_internal.h"

#include "codec/time.h"

enum { KEYS_MOST = 500 }; /* duplicates are looked for one by one */

#define RFC3339             SLU_STR("YYYY-MM-DDThh:mm:ss[.f]Z")
#define WHY(ret_why, words) (*(ret_why) = SLU_STR(words), NULL)

typedef struct slu_value *convert_fn(struct slu_run *run, const struct slu_row *row,
                                     const struct slu_value *value, struct slu_str *ret_why);

static const struct slu_member *member_of(const struct slu_run *run, const struct slu_row *row)
{
    return run->table->slots[row->slot].member;
}

static bool is_known_word(const struct slu_member *member, struct slu_str text)
{
    for (size_t i = 0; member->words[i]; i++)
        if (slu_str_is(text, member->words[i]))
            return true;
    return false;
}

static bool all_texts(const struct slu_value *object)
{
    slu_value_each (child, object)
        if (child->kind != SLU_STRING)
            return false;
    return true;
}

bool slu_member_takes(const struct slu_member *member, const struct slu_value *value)
{
    int64_t number;

    switch (member->type) {
    case SLU_MEMBER_TEXT:
    case SLU_MEMBER_TIME:
        return value->kind == SLU_STRING;
    case SLU_MEMBER_WORD:
        return value->kind == SLU_STRING && is_known_word(member, value->text);
    case SLU_MEMBER_INTEGER:
        return slu_value_to_int(value, &number);
    case SLU_MEMBER_BOOL:
        return value->kind == SLU_BOOL;
    case SLU_MEMBER_TEXTS:
        return value->kind == SLU_OBJECT && all_texts(value);
    case SLU_MEMBER_OBJECT:
        return value->kind == SLU_OBJECT;
    }
    return false;
}

/* ---- parameter lists and XML: everything is text ---- */

static struct slu_value *to_flat(struct slu_arena *arena, const struct slu_value *value)
{
    if (value->kind == SLU_BOOL)
        return slu_value_string(arena, value->truth ? SLU_STR("true") : SLU_STR("false"));
    if (value->kind == SLU_NUMBER && slu_str_is(value->text, "-0"))
        return slu_value_string(arena, SLU_STR("0")); /* the one spelling that is read back */
    return slu_value_string(arena, value->text);
}

/* Only the one spelling that is written: no sign but "-", no leading zero. */
static bool plain_digits(struct slu_str text)
{
    size_t start = text.n && text.p[0] == '-';

    if (text.n == start || (text.p[start] == '0' && text.n > 1))
        return false;
    for (size_t i = start; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return true;
}

static struct slu_value *integer_text(struct slu_arena *arena, struct slu_str text,
                                      struct slu_str *ret_why)
{
    struct slu_value *number;
    int64_t fits;

    if (!plain_digits(text))
        return WHY(ret_why, "is no integer in plain digits");
    number = slu_value_number(arena, text);
    if (number && !slu_value_to_int(number, &fits))
        return WHY(ret_why, "is an integer of more than 64 bits");
    return number;
}

static struct slu_value *from_flat(struct slu_arena *arena, const struct slu_member *member,
                                   const struct slu_value *value, struct slu_str *ret_why)
{
    if (value->kind != SLU_STRING)
        return WHY(ret_why, "is no text");
    if (member->type == SLU_MEMBER_INTEGER)
        return integer_text(arena, value->text, ret_why);
    if (member->type != SLU_MEMBER_BOOL)
        return slu_value_string(arena, value->text);
    if (slu_str_is(value->text, "true") || slu_str_is(value->text, "false"))
        return slu_value_bool(arena, value->text.n == 4);
    return WHY(ret_why, "is neither true nor false");
}

/* ---- copy ---- */

static struct slu_value *copy_to_native(struct slu_run *run, const struct slu_row *row,
                                        const struct slu_value *value, struct slu_str *ret_why)
{
    (void)row;
    (void)ret_why;
    return run->texts ? to_flat(run->arena, value) : slu_value_share(run->arena, value);
}

static struct slu_value *copy_to_canonical(struct slu_run *run, const struct slu_row *row,
                                           const struct slu_value *value, struct slu_str *ret_why)
{
    const struct slu_member *member = member_of(run, row);
    struct slu_str text;
    struct slu_value *copy = run->texts ? from_flat(run->arena, member, value, ret_why)
                                        : slu_value_share(run->arena, value);

    if (!copy)
        return NULL;
    if (!slu_member_takes(member, copy))
        return WHY(ret_why, "is of a kind or a word that this member does not have");
    if (member->type == SLU_MEMBER_TIME && !slu_time_read(run->arena, RFC3339, copy->text, &text))
        return WHY(ret_why, "is no point in time by RFC 3339 in UTC");
    return copy;
}

/* ---- enum ---- */

static struct slu_value *enum_to_native(struct slu_run *run, const struct slu_row *row,
                                        const struct slu_value *value, struct slu_str *ret_why)
{
    const struct slu_pair *pair = slu_words_write(row->words, value, run->texts, run->slots);

    if (!pair)
        return WHY(ret_why, "the target has no word for this value");
    return run->texts ? to_flat(run->arena, pair->native)
                      : slu_value_share(run->arena, pair->native);
}

static struct slu_value *enum_to_canonical(struct slu_run *run, const struct slu_row *row,
                                           const struct slu_value *value, struct slu_str *ret_why)
{
    const struct slu_pair *pair = slu_words_read(row->words, value, run->texts, run->slots);

    if (!pair)
        return WHY(ret_why, "is a word that the mapping table does not know");
    return slu_value_share(run->arena, pair->canonical);
}

/* ---- prefix: another row writes the text, this one only knows what its beginning says ---- */

static struct slu_value *prefix_to_native(struct slu_run *run, const struct slu_row *row,
                                          const struct slu_value *value, struct slu_str *ret_why)
{
    (void)run;
    (void)row;
    (void)value;
    return WHY(ret_why, "is only told by how another member begins");
}

static struct slu_value *prefix_to_canonical(struct slu_run *run, const struct slu_row *row,
                                             const struct slu_value *value, struct slu_str *ret_why)
{
    const struct slu_pair *pair =
        value->kind == SLU_STRING ? slu_words_begin(row->words, value->text) : NULL;

    if (!pair)
        return WHY(ret_why, "begins with nothing that the mapping table knows");
    return slu_value_share(run->arena, pair->canonical);
}

/* ---- scale ---- */

static struct slu_value *scale_to_native(struct slu_run *run, const struct slu_row *row,
                                         const struct slu_value *value, struct slu_str *ret_why)
{
    struct slu_value *number;
    int64_t canonical;

    if (!slu_value_to_int(value, &canonical) || canonical % row->factor)
        return WHY(ret_why, "the target counts in a larger unit, which does not divide this value");
    number = slu_value_int(run->arena, canonical / row->factor);
    return number && run->texts ? to_flat(run->arena, number) : number;
}

static struct slu_value *scale_to_canonical(struct slu_run *run, const struct slu_row *row,
                                            const struct slu_value *value, struct slu_str *ret_why)
{
    const struct slu_value *number =
        run->texts ? from_flat(run->arena, member_of(run, row), value, ret_why) : value;
    int64_t native, canonical;

    if (!number)
        return NULL;
    if (!slu_value_to_int(number, &native) ||
        __builtin_mul_overflow(native, row->factor, &canonical))
        return WHY(ret_why, "is no integer that fits");
    return slu_value_int(run->arena, canonical);
}

/* ---- bool_text ---- */

static struct slu_value *bool_to_native(struct slu_run *run, const struct slu_row *row,
                                        const struct slu_value *value, struct slu_str *ret_why)
{
    (void)ret_why;
    return slu_value_string(run->arena, value->truth ? row->yes : row->no);
}

static struct slu_value *bool_to_canonical(struct slu_run *run, const struct slu_row *row,
                                           const struct slu_value *value, struct slu_str *ret_why)
{
    bool truth = slu_value_is(value, SLU_STRING) && slu_str_eq(value->text, row->yes);

    if (!truth && !(value->kind == SLU_STRING && slu_str_eq(value->text, row->no)))
        return WHY(ret_why, "is neither of the two words for true and false");
    return slu_value_bool(run->arena, truth);
}

/* ---- kv_list ---- */

static struct slu_value *list_to_native(struct slu_run *run, const struct slu_row *row,
                                        const struct slu_value *value, struct slu_str *ret_why)
{
    struct slu_value *list = slu_value_new(run->arena, SLU_ARRAY);

    (void)ret_why;
    slu_value_each (child, value) {
        struct slu_value *item = slu_value_new(run->arena, SLU_OBJECT);

        slu_value_put(item, row->key, slu_value_string(run->arena, child->name));
        if (child->kind != SLU_NULL)
            slu_value_put(item, row->value, slu_value_string(run->arena, child->text));
        slu_value_append(list, item);
    }
    return list;
}

static struct slu_value *list_to_canonical(struct slu_run *run, const struct slu_row *row,
                                           const struct slu_value *value, struct slu_str *ret_why)
{
    struct slu_value *object = slu_value_new(run->arena, SLU_OBJECT);
    bool removed = slu_run_clearing(run);

    if (value->kind != SLU_ARRAY || value->count > KEYS_MOST)
        return WHY(ret_why, "is no list of keys and values, or a very long one");
    slu_value_each (item, value) {
        const struct slu_value *key = slu_value_find(item, row->key);
        const struct slu_value *text = slu_value_find(item, row->value);

        if (!slu_value_is(key, SLU_STRING) ||
            (removed ? text != NULL : !slu_value_is(text, SLU_STRING)) ||
            item->count != (removed ? 1 : 2))
            return removed ? WHY(ret_why, "has an item that is not just a key")
                           : WHY(ret_why, "has an item that is not just a key and a value");
        if (slu_key_taken(run, row, key->text))
            continue;
        if (slu_value_find(object, key->text))
            return WHY(ret_why, "has a key twice");
        slu_value_put(object, key->text,
                      removed ? slu_value_new(run->arena, SLU_NULL)
                              : slu_value_string(run->arena, text->text));
    }
    return object;
}

/* ---- wrap ---- */

static struct slu_value *wrap_to_native(struct slu_run *run, const struct slu_row *row,
                                        const struct slu_value *value, struct slu_str *ret_why)
{
    struct slu_value *list = slu_value_new(run->arena, SLU_ARRAY);

    slu_value_append(list, copy_to_native(run, row, value, ret_why));
    return list;
}

static struct slu_value *wrap_to_canonical(struct slu_run *run, const struct slu_row *row,
                                           const struct slu_value *value, struct slu_str *ret_why)
{
    if (value->kind != SLU_ARRAY || value->count != 1)
        return WHY(ret_why, "is no list of exactly one value");
    return copy_to_canonical(run, row, value->first, ret_why);
}

/* ---- time ---- */

static struct slu_value *time_to_native(struct slu_run *run, const struct slu_row *row,
                                        const struct slu_value *value, struct slu_str *ret_why)
{
    struct slu_str text;

    if (!slu_time_write(run->arena, row->format, value->text, &text))
        return WHY(ret_why, "is no point in time that the target's format can hold");
    return slu_value_string(run->arena, text);
}

static struct slu_value *time_to_canonical(struct slu_run *run, const struct slu_row *row,
                                           const struct slu_value *value, struct slu_str *ret_why)
{
    struct slu_str text;

    if (value->kind != SLU_STRING || !slu_time_read(run->arena, row->format, value->text, &text))
        return WHY(ret_why, "is no point in time in the expected format");
    return slu_value_string(run->arena, text);
}

/* ---- join: the parts are several members, so read.c and write.c call these ---- */

bool slu_join_read(const struct slu_row *row, struct slu_str text,
                   struct slu_str parts[SLU_PARTS_MOST])
{
    struct slu_vars vars = {.count = 0};

    if (!slu_template_match(NULL, &row->pattern, text, false, &vars))
        return false;
    for (size_t i = 0; i < row->slot_count; i++) {
        char digit = (char)('0' + i);

        parts[i] = slu_vars_get(&vars, (struct slu_str){&digit, 1});
        if (!parts[i].p)
            return false;
    }
    return true;
}

static const struct {
    const char *name;
    convert_fn *to_native, *to_canonical; /* NULL: not one value for one */
} codecs[SLU_CODEC_COUNT] = {
    /* clang-format off */
    [SLU_CODEC_COPY]      = {"copy", copy_to_native, copy_to_canonical},
    [SLU_CODEC_ENUM]      = {"enum", enum_to_native, enum_to_canonical},
    [SLU_CODEC_PREFIX]    = {"prefix", prefix_to_native, prefix_to_canonical},
    [SLU_CODEC_SCALE]     = {"scale", scale_to_native, scale_to_canonical},
    [SLU_CODEC_BOOL_TEXT] = {"bool_text", bool_to_native, bool_to_canonical},
    [SLU_CODEC_KV_LIST]   = {"kv_list", list_to_native, list_to_canonical},
    [SLU_CODEC_INDEXED]   = {"indexed", NULL, NULL},
    [SLU_CODEC_WRAP]      = {"wrap", wrap_to_native, wrap_to_canonical},
    [SLU_CODEC_JOIN]      = {"join", NULL, NULL},
    [SLU_CODEC_TIME]      = {"time", time_to_native, time_to_canonical},
    [SLU_CODEC_CONST]     = {"const", NULL, NULL},
    [SLU_CODEC_PARAMETER] = {"parameter", NULL, NULL},
    /* clang-format on */
};

const char *slu_codec_name(enum slu_codec codec)
{
    slu_must((size_t)codec < SLU_CODEC_COUNT);
    return codecs[codec].name;
}

bool slu_codec_of(struct slu_str name, enum slu_codec *ret_codec)
{
    for (size_t i = 0; i < SLU_CODEC_COUNT; i++)
        if (slu_str_is(name, codecs[i].name)) {
            *ret_codec = (enum slu_codec)i;
            return true;
        }
    return false;
}

bool slu_codec_is_single(enum slu_codec codec)
{
    return codecs[codec].to_canonical != NULL;
}

struct slu_value *slu_codec_to_native(struct slu_run *run, const struct slu_row *row,
                                      const struct slu_value *value, struct slu_str *ret_why)
{
    *ret_why = SLU_STR_NONE;
    return codecs[row->codec].to_native(run, row, value, ret_why);
}

struct slu_value *slu_codec_to_canonical(struct slu_run *run, const struct slu_row *row,
                                         const struct slu_value *value, struct slu_str *ret_why)
{
    *ret_why = SLU_STR_NONE;
    return codecs[row->codec].to_canonical(run, row, value, ret_why);
}
