/* Percent-encoding and lists of parameters (queries, forms). */
#include "codec/params.h"

#include "codec/alnum_internal.h"
#include "codec/json.h"
#include "codec/text.h"
#include "codec/value_internal.h"

#include <stdlib.h>

/* RFC 3986 §2.3 */
static const bool unreserved[256] = {
    SLU_ALNUM_ROWS, ['-'] = true, ['.'] = true, ['_'] = true, ['~'] = true,
};

static size_t unreserved_run(struct slu_str text, size_t from)
{
    size_t at = from;

    while (at < text.n && unreserved[(unsigned char)text.p[at]])
        at++;
    return at - from;
}

void slu_percent_encode(struct slu_buf *out, struct slu_str text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;

    while (at < text.n) {
        size_t run = unreserved_run(text, at);

        slu_buf_add(out, (struct slu_str){text.p + at, run});
        at += run;
        if (at < text.n) {
            unsigned char c = (unsigned char)text.p[at++];
            char code[3] = {'%', digits[c >> 4], digits[c & 15]};

            slu_buf_add(out, (struct slu_str){code, 3});
        }
    }
}

/* One character at *ret_at, which moves behind it; -1 when it is broken. */
static int decode_one(struct slu_str text, bool plus_is_blank, size_t *ret_at)
{
    size_t at = *ret_at;
    char c = text.p[at];
    int high, low;

    if (c != '%') {
        *ret_at = at + 1;
        return c == '+' && plus_is_blank ? ' ' : (unsigned char)c;
    }
    if (text.n - at < 3)
        return -1;
    high = slu_hex_digit(text.p[at + 1]);
    low = slu_hex_digit(text.p[at + 2]);
    *ret_at = at + 3;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool changes(struct slu_str text, bool plus_is_blank)
{
    return text.p &&
           (memchr(text.p, '%', text.n) || (plus_is_blank && memchr(text.p, '+', text.n)));
}

bool slu_percent_decode(struct slu_arena *arena, struct slu_str text, bool plus_is_blank,
                        struct slu_str *ret_text)
{
    struct slu_str decoded = text;

    if (changes(text, plus_is_blank)) {
        char *out = slu_arena_get(arena, text.n);
        size_t at = 0, n = 0;

        if (!out)
            return false;
        while (at < text.n) {
            int c = decode_one(text, plus_is_blank, &at);

            if (c < 0)
                return false;
            out[n++] = (char)c;
        }
        decoded = (struct slu_str){out, n};
    }
    if (decoded.p && (memchr(decoded.p, '\0', decoded.n) || !slu_utf8_valid(decoded)))
        return false;
    *ret_text = decoded;
    return true;
}

static size_t count_pieces(struct slu_str text)
{
    size_t count = 0;

    while (text.p) {
        struct slu_str piece = slu_str_cut(&text, '&');

        count += piece.n > 0;
    }
    return count;
}

static bool read_pair(struct slu_arena *arena, struct slu_str piece, bool plus_is_blank,
                      struct slu_param *ret_param, struct slu_fault *fault)
{
    struct slu_str value = piece, name = slu_str_cut(&value, '=');
    struct slu_param param = {.bare = !value.p};

    if (slu_percent_decode(arena, name, plus_is_blank, &param.name) &&
        slu_percent_decode(arena, value, plus_is_blank, &param.value)) {
        *ret_param = param;
        return true;
    }
    if (arena->failed)
        return slu_fault_memory(fault);
    return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "",
                         "a parameter is not valid percent-encoded UTF-8; write each byte that is "
                         "no letter, digit, \"-\", \".\", \"_\" or \"~\" as %%XX");
}

bool slu_params_read(struct slu_arena *arena, struct slu_str text, bool plus_is_blank, size_t most,
                     struct slu_params *ret_params, struct slu_fault *fault)
{
    size_t count = count_pieces(text);
    struct slu_params params = {0};

    if (count > most)
        return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "",
                             "there are %zu parameters, at most %zu are read", count, most);
    if (count && !(params.items = slu_arena_get(arena, count * sizeof(*params.items))))
        return slu_fault_memory(fault);
    while (text.p) {
        struct slu_str piece = slu_str_cut(&text, '&');

        if (piece.n == 0)
            continue;
        slu_must(params.count < count);
        if (!read_pair(arena, piece, plus_is_blank, &params.items[params.count], fault))
            return false;
        params.count++;
    }
    *ret_params = params;
    return true;
}

typedef int compare_fn(const void *a, const void *b);

static int by_bytes(const void *a, const void *b)
{
    const struct slu_param *left = a, *right = b;
    int order = slu_str_cmp(left->name, right->name);

    order = order ? order : slu_str_cmp(left->value, right->value);
    return order ? order : left->bare - right->bare;
}

/* "%" stands before every unreserved character, and hexadecimal digits of one case in the order of
 * what they say; so two texts compare by bytes but for one rank above the other. */
static int encoded_cmp(struct slu_str a, struct slu_str b)
{
    size_t at = 0, least = a.n < b.n ? a.n : b.n;
    unsigned char left, right;

    while (at < least && a.p[at] == b.p[at])
        at++;
    if (at == least)
        return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
    left = (unsigned char)a.p[at];
    right = (unsigned char)b.p[at];
    if (unreserved[left] != unreserved[right])
        return unreserved[left] ? 1 : -1;
    return left < right ? -1 : 1;
}

static int by_encoded(const void *a, const void *b)
{
    const struct slu_param *left = a, *right = b;
    int order = encoded_cmp(left->name, right->name);

    order = order ? order : encoded_cmp(left->value, right->value);
    return order ? order : left->bare - right->bare;
}

static void move_up(struct slu_params *params, size_t from, compare_fn *compare)
{
    struct slu_param moved = params->items[from];
    size_t to = from;

    while (to && compare(&params->items[to - 1], &moved) > 0) {
        params->items[to] = params->items[to - 1];
        to--;
    }
    params->items[to] = moved;
}

/* Lists are short and often sorted already; a long one must not cost its square. */
static void sort(struct slu_params *params, compare_fn *compare)
{
    enum { SHORT = 32 };

    if (params->count > SHORT) {
        qsort(params->items, params->count, sizeof(*params->items), compare);
        return;
    }
    for (size_t i = 1; i < params->count; i++)
        move_up(params, i, compare);
}

void slu_params_sort(struct slu_params *params)
{
    sort(params, by_bytes);
}

void slu_params_sort_encoded(struct slu_params *params)
{
    sort(params, by_encoded);
}

void slu_params_write(struct slu_buf *out, const struct slu_params *params)
{
    for (size_t i = 0; i < params->count; i++) {
        if (i)
            slu_buf_byte(out, '&');
        slu_percent_encode(out, params->items[i].name);
        slu_buf_byte(out, '=');
        slu_percent_encode(out, params->items[i].value);
    }
}

const struct slu_param *slu_params_find(const struct slu_params *params, struct slu_str name)
{
    for (size_t i = 0; i < params->count; i++)
        if (slu_str_eq(params->items[i].name, name))
            return &params->items[i];
    return NULL;
}

static bool flat_text(const struct slu_value *value, struct slu_str *ret_text)
{
    switch (value->kind) {
    case SLU_STRING:
    case SLU_NUMBER:
        *ret_text = value->text;
        return true;
    case SLU_BOOL:
        *ret_text = value->truth ? SLU_STR("true") : SLU_STR("false");
        return true;
    case SLU_NULL:
    case SLU_ARRAY:
    case SLU_OBJECT:
        return false;
    }
    return false;
}

bool slu_params_from_value(struct slu_arena *arena, const struct slu_value *object,
                           struct slu_params *ret_params)
{
    struct slu_params params = {0};

    if (!slu_value_is(object, SLU_OBJECT))
        return false;
    params.items = slu_arena_get(arena, object->count * sizeof(*params.items));
    if (!params.items)
        return false;
    slu_value_each (child, object) {
        struct slu_param *param = &params.items[params.count++];

        *param = (struct slu_param){.name = child->name};
        if (!flat_text(child, &param->value))
            return false;
    }
    *ret_params = params;
    return true;
}

static void repeated(void *context, struct slu_str name)
{
    struct slu_mistakes *mistakes = context;

    slu_mistake(mistakes, SLU_FAULT_BAD_PARAMETER,
                slu_pointer_member(mistakes->arena, SLU_STR(""), name),
                "the parameter \"%.*s\" is given more than once", SLU_FMT(name));
}

struct slu_value *slu_params_to_value(struct slu_arena *arena, const struct slu_params *params,
                                      struct slu_mistakes *mistakes)
{
    struct slu_value *object = slu_value_new(arena, SLU_OBJECT);
    size_t before = mistakes->count;

    for (size_t i = 0; i < params->count; i++)
        slu_value_put(object, params->items[i].name,
                      slu_value_string(arena, params->items[i].value));
    if (!object || arena->failed || !slu_value_duplicates(arena, object, repeated, mistakes)) {
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""),
                    "there is no memory for these parameters");
        return NULL;
    }
    return mistakes->count == before ? object : NULL;
}
