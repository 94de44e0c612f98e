/* Header fields of a message: added only when they cannot break out of their line. */
#include "codec/message.h"

#include "codec/alnum_internal.h"

enum { FIRST_FIELDS = 16 };

static const bool token_bytes[256] = {
    SLU_ALNUM_ROWS, ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true,
    ['\''] = true,  ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['^'] = true,
    ['_'] = true,   ['`'] = true, ['|'] = true, ['~'] = true,
};

bool slu_token_valid(struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!token_bytes[(unsigned char)text.p[i]])
            return false;
    return text.n > 0;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

bool slu_field_value_valid(struct slu_str text)
{
    unsigned char bad = 0;

    for (size_t i = 0; i < text.n;
         i++) { /* without a way out, so that it runs on many bytes at once */
        unsigned char c = (unsigned char)text.p[i];

        bad |= (unsigned char)(((c < 0x20) & (c != '\t')) | (c == 0x7f));
    }
    return !bad && (text.n == 0 || (!blank(text.p[0]) && !blank(text.p[text.n - 1])));
}

static bool grow(struct slu_arena *arena, struct slu_headers *headers)
{
    size_t size = headers->size ? headers->size * 2 : FIRST_FIELDS;
    struct slu_header *items = slu_arena_get(arena, size * sizeof(*items));

    if (!items)
        return false;
    if (headers->count)
        memcpy(items, headers->items, headers->count * sizeof(*items));
    headers->items = items;
    headers->size = size;
    return true;
}

bool slu_headers_add(struct slu_arena *arena, struct slu_headers *headers, struct slu_str name,
                     struct slu_str value)
{
    value = slu_str_trim(value);
    if (!slu_token_valid(name) || !slu_field_value_valid(value))
        return false;
    if (headers->count == headers->size && !grow(arena, headers))
        return false;
    headers->items[headers->count++] = (struct slu_header){name, value};
    return true;
}

bool slu_headers_set(struct slu_arena *arena, struct slu_headers *headers, struct slu_str name,
                     struct slu_str value)
{
    struct slu_header *old = (struct slu_header *)slu_headers_find(headers, name);

    if (!old)
        return slu_headers_add(arena, headers, name, value);
    value = slu_str_trim(value);
    if (!slu_field_value_valid(value))
        return false;
    *old = (struct slu_header){name, value};
    return true;
}

const struct slu_header *slu_headers_find(const struct slu_headers *headers, struct slu_str name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (slu_str_eq_nocase(headers->items[i].name, name))
            return &headers->items[i];
    return NULL;
}

size_t slu_headers_count(const struct slu_headers *headers, struct slu_str name)
{
    size_t count = 0;

    for (size_t i = 0; i < headers->count; i++)
        count += slu_str_eq_nocase(headers->items[i].name, name);
    return count;
}

struct slu_str slu_headers_value(const struct slu_headers *headers, struct slu_str name)
{
    const struct slu_header *found = slu_headers_find(headers, name);

    return found ? found->value : SLU_STR_NONE;
}

bool slu_request_is_form(const struct slu_request *request)
{
    struct slu_str type = slu_headers_value(&request->headers, SLU_STR("content-type"));

    return slu_str_eq_nocase(slu_str_trim(slu_str_cut(&type, ';')),
                             SLU_STR("application/x-www-form-urlencoded"));
}
