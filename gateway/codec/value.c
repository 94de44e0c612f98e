/* The tree of a document in flight: building, finding, comparing. Owns nothing; the arena does. */
#include "codec/value.h"

#include "codec/value_internal.h"

#include <stdlib.h>

/* Up to here members are compared one by one, beyond it they are sorted first. */
enum { FEW_MEMBERS = 32 };

struct slu_value *slu_value_new(struct slu_arena *arena, enum slu_kind kind)
{
    struct slu_value *value = slu_arena_get(arena, sizeof(*value));

    if (value)
        *value = (struct slu_value){.kind = kind};
    return value;
}

struct slu_value *slu_value_string(struct slu_arena *arena, struct slu_str text)
{
    struct slu_value *value = slu_value_new(arena, SLU_STRING);

    if (value)
        value->text = text;
    return value;
}

struct slu_value *slu_value_number(struct slu_arena *arena, struct slu_str digits)
{
    struct slu_value *value;

    if (!slu_number_valid(digits)) {
        arena->failed = true;
        return NULL;
    }
    value = slu_value_new(arena, SLU_NUMBER);
    if (value)
        value->text = digits;
    return value;
}

struct slu_value *slu_value_int(struct slu_arena *arena, int64_t number)
{
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    struct slu_value *value = slu_value_new(arena, SLU_NUMBER);
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        digits[--at] = '-';
    if (!value)
        return NULL;
    value->text = slu_arena_str(arena, (struct slu_str){digits + at, sizeof(digits) - at});
    return value->text.p ? value : NULL;
}

struct slu_value *slu_value_bool(struct slu_arena *arena, bool truth)
{
    struct slu_value *value = slu_value_new(arena, SLU_BOOL);

    if (value)
        value->truth = truth;
    return value;
}

static void link_last(struct slu_value *parent, struct slu_value *child)
{
    slu_must(!child->next);
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

static bool copy_text(struct slu_arena *arena, struct slu_str text, struct slu_str *ret_text)
{
    if (text.n == 0)
        return true;
    *ret_text = slu_arena_str(arena, text);
    return ret_text->p != NULL;
}

struct slu_value *slu_value_copy(struct slu_arena *arena, const struct slu_value *value)
{
    struct slu_value *copy;

    if (!value)
        return NULL;
    copy = slu_value_new(arena, value->kind);
    if (!copy)
        return NULL;
    copy->truth = value->truth;
    if (!copy_text(arena, value->name, &copy->name) || !copy_text(arena, value->text, &copy->text))
        return NULL;
    slu_value_each (child, value) {
        struct slu_value *twin = slu_value_copy(arena, child);

        if (!twin)
            return NULL;
        link_last(copy, twin);
    }
    return copy;
}

void slu_value_append(struct slu_value *array, struct slu_value *child)
{
    if (!array || !child)
        return;
    slu_must(array->kind == SLU_ARRAY);
    link_last(array, child);
}

void slu_value_put(struct slu_value *object, struct slu_str name, struct slu_value *child)
{
    if (!object || !child)
        return;
    slu_must(object->kind == SLU_OBJECT);
    child->name = name;
    link_last(object, child);
}

/* The pointer that points to the child, so that it can be exchanged; NULL when there is none. */
static struct slu_value **link_of(struct slu_value *parent, const struct slu_value *child,
                                  struct slu_value **ret_before)
{
    struct slu_value **link = &parent->first;

    *ret_before = NULL;
    while (*link && *link != child) {
        *ret_before = *link;
        link = &(*link)->next;
    }
    return *link ? link : NULL;
}

void slu_value_set(struct slu_value *object, struct slu_str name, struct slu_value *child)
{
    struct slu_value *old, *before, **link;

    if (!object || !child)
        return;
    old = slu_value_find(object, name);
    if (!old) {
        slu_value_put(object, name, child);
        return;
    }
    if (old == child)
        return;
    slu_must(!child->next);
    link = link_of(object, old, &before);
    slu_must(link);
    child->name = name;
    child->next = old->next;
    *link = child;
    if (object->last == old)
        object->last = child;
    old->next = NULL;
}

bool slu_value_remove(struct slu_value *parent, struct slu_value *child)
{
    struct slu_value *before, **link;

    if (!parent || !child)
        return false;
    link = link_of(parent, child, &before);
    if (!link)
        return false;
    *link = child->next;
    if (parent->last == child)
        parent->last = before;
    child->next = NULL;
    parent->count--;
    return true;
}

struct slu_value *slu_value_find(const struct slu_value *object, struct slu_str name)
{
    if (!object || object->kind != SLU_OBJECT)
        return NULL;
    slu_value_each (child, object)
        if (slu_str_eq(child->name, name))
            return child;
    return NULL;
}

struct slu_value *slu_value_item(const struct slu_value *array, size_t index)
{
    struct slu_value *child;

    if (!array || array->kind != SLU_ARRAY || index >= array->count)
        return NULL;
    for (child = array->first; index; index--)
        child = child->next;
    return child;
}

static int by_name(const void *a, const void *b)
{
    const struct slu_value *const *left = a, *const *right = b;

    return slu_str_cmp((*left)->name, (*right)->name);
}

static void list_sorted(const struct slu_value *object, const struct slu_value **list)
{
    size_t at = 0;

    slu_value_each (child, object)
        list[at++] = child;
    qsort(list, at, sizeof(const struct slu_value *), by_name);
}

/* A bit per name, so that only names that might be equal are compared. */
static uint64_t name_bit(struct slu_str name)
{
    unsigned mix = (unsigned)name.n;

    if (name.n)
        mix = mix * 31 + (unsigned char)name.p[0] * 7 + (unsigned char)name.p[name.n - 1] * 3 +
              (unsigned char)name.p[name.n / 2];
    return UINT64_C(1) << (mix & 63);
}

static void few_duplicates(const struct slu_value *object, slu_duplicate_fn *found, void *context)
{
    uint64_t seen = 0;

    slu_value_each (child, object) {
        uint64_t bit = name_bit(child->name);

        if (seen & bit && slu_value_find(object, child->name) != child)
            found(context, child->name);
        seen |= bit;
    }
}

bool slu_value_duplicates(struct slu_arena *arena, const struct slu_value *object,
                          slu_duplicate_fn *found, void *context)
{
    const struct slu_value **list;

    if (object->count <= FEW_MEMBERS) {
        few_duplicates(object, found, context);
        return true;
    }
    list = slu_arena_get(arena, object->count * sizeof(const struct slu_value *));
    if (!list)
        return false;
    list_sorted(object, list);
    for (size_t i = 1; i < object->count; i++)
        if (slu_str_eq(list[i - 1]->name, list[i]->name))
            found(context, list[i]->name);
    return true;
}

static bool same_number(struct slu_str a, struct slu_str b)
{
    if (slu_str_is(a, "-0"))
        a = SLU_STR("0");
    if (slu_str_is(b, "-0"))
        b = SLU_STR("0");
    return slu_str_eq(a, b);
}

static bool same_items(const struct slu_value *a, const struct slu_value *b)
{
    const struct slu_value *other = b->first;

    slu_value_each (child, a) {
        if (!slu_value_equal(child, other))
            return false;
        other = other->next;
    }
    return true;
}

/* Members are mostly in the same order: the search begins behind the last match. */
static bool same_members(const struct slu_value *a, const struct slu_value *b)
{
    const struct slu_value *next = b->first;

    slu_value_each (child, a) {
        const struct slu_value *other =
            next && slu_str_eq(next->name, child->name) ? next : slu_value_find(b, child->name);

        if (!other || !slu_value_equal(child, other))
            return false;
        next = other->next;
    }
    return true;
}

static bool same_sorted(const struct slu_value *a, const struct slu_value *b,
                        const struct slu_value **list)
{
    const struct slu_value **other = list + a->count;

    list_sorted(a, list);
    list_sorted(b, other);
    for (size_t i = 0; i < a->count; i++)
        if (!slu_str_eq(list[i]->name, other[i]->name) || !slu_value_equal(list[i], other[i]))
            return false;
    return true;
}

static bool same_many_members(const struct slu_value *a, const struct slu_value *b)
{
    const struct slu_value **list =
        slu_mem_array((size_t)a->count + b->count, sizeof(const struct slu_value *));
    bool same = list ? same_sorted(a, b, list) : same_members(a, b);

    slu_mem_free(list);
    return same;
}

bool slu_value_equal(const struct slu_value *a, const struct slu_value *b)
{
    if (!a || !b)
        return a == b;
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case SLU_NULL:
        return true;
    case SLU_BOOL:
        return a->truth == b->truth;
    case SLU_NUMBER:
        return same_number(a->text, b->text);
    case SLU_STRING:
        return slu_str_eq(a->text, b->text);
    case SLU_ARRAY:
        return same_items(a, b);
    case SLU_OBJECT:
        return a->count <= FEW_MEMBERS ? same_members(a, b) : same_many_members(a, b);
    }
    return false;
}

bool slu_value_to_int(const struct slu_value *value, int64_t *ret_number)
{
    bool negative;
    struct slu_str digits;
    uint64_t number;

    if (!slu_value_is(value, SLU_NUMBER))
        return false;
    digits = value->text;
    negative = slu_str_starts(digits, SLU_STR("-"));
    if (negative) {
        digits.p++;
        digits.n--;
    }
    if (!slu_str_to_u64(digits, &number) || number > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

const char *slu_kind_name(enum slu_kind kind)
{
    switch (kind) {
    case SLU_NULL:
        return "null";
    case SLU_BOOL:
        return "bool";
    case SLU_NUMBER:
        return "number";
    case SLU_STRING:
        return "string";
    case SLU_ARRAY:
        return "array";
    case SLU_OBJECT:
        return "object";
    }
    return "unknown";
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

size_t slu_number_scan(const char *start, const char *end)
{
    const char *at = start, *digits;

    if (at < end && *at == '-')
        at++;
    digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return 0;
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits)
            return 0;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = skip_digits(at, end);
        if (at == digits)
            return 0;
    }
    return (size_t)(at - start);
}

bool slu_number_valid(struct slu_str text)
{
    return text.n && slu_number_scan(text.p, text.p + text.n) == text.n;
}
