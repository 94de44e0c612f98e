/* Limits of a cloud on canonical values: compiled once, sets of characters as bit maps. */
#include "mapping/table_internal.h"

#include "codec/json.h"
#include "codec/shape.h"
#include "codec/text.h"

#include <stdio.h>

static void add_char(struct slu_charset *set, unsigned char c)
{
    set->bits[c >> 6] |= UINT64_C(1) << (c & 63);
}

static bool has_char(const struct slu_charset *set, char c)
{
    unsigned char byte = (unsigned char)c;

    return set->bits[byte >> 6] >> (byte & 63) & 1;
}

/* "A-Za-z0-9._-": ranges, and a "-" at either end stands for itself. ASCII only. */
static const struct slu_charset *compile_set(struct slu_compile *compile, const json_t *json,
                                             const char *name, struct slu_str *ret_text,
                                             struct slu_str at)
{
    struct slu_str text = slu_ours_str(json, name);
    struct slu_charset *set;

    *ret_text = text;
    if (!text.p)
        return NULL;
    set = slu_table_array(compile, 1, sizeof(*set));
    for (size_t i = 0; set && i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i], last = c;

        if (i + 2 < text.n && text.p[i + 1] == '-') {
            last = (unsigned char)text.p[i + 2];
            i += 2;
        }
        if (c > 127 || last > 127 || last < c) {
            slu_table_wrong(compile, slu_pointer_member(compile->arena, at, slu_str_of(name)),
                            "must be ASCII characters and rising ranges such as A-Z");
            return set;
        }
        for (unsigned n = c; n <= last; n++)
            add_char(set, (unsigned char)n);
    }
    return set;
}

static void compile_text(struct slu_compile *compile, const json_t *json, struct slu_limits *limits,
                         struct slu_str at)
{
    struct slu_str format = slu_ours_str(json, "format");

    limits->chars = compile_set(compile, json, "chars", &limits->chars_text, at);
    limits->not_chars = compile_set(compile, json, "not_chars", &limits->not_chars_text, at);
    limits->first = compile_set(compile, json, "first", &limits->first_text, at);
    limits->last = compile_set(compile, json, "last", &limits->last_text, at);
    limits->prefix =
        slu_table_texts(compile, json_object_get(json, "prefix"), &limits->prefix_count);
    limits->not_prefix =
        slu_table_texts(compile, json_object_get(json, "not_prefix"), &limits->not_prefix_count);
    if (slu_str_is(format, "uuid"))
        limits->format = SLU_FORMAT_UUID;
    else if (slu_str_is(format, "hex32"))
        limits->format = SLU_FORMAT_HEX32;
}

static void compile_numbers(struct slu_compile *compile, const json_t *json,
                            struct slu_limits *limits)
{
    const json_t *list = json_object_get(json, "one_of"), *item;
    size_t i;
    int64_t *numbers;

    limits->has_min = json_object_get(json, "min");
    limits->has_max = json_object_get(json, "max");
    limits->has_most = json_object_get(json, "most");
    limits->min = slu_ours_int(json, "min", 0);
    limits->max = slu_ours_int(json, "max", 0);
    limits->most = slu_ours_int(json, "most", 0);
    numbers = slu_table_array(compile, json_array_size(list), sizeof(*numbers));
    if (!numbers)
        return;
    json_array_foreach(list, i, item) numbers[limits->one_of_count++] = json_integer_value(item);
    limits->one_of = numbers;
}

const struct slu_limits *slu_limits_compile(struct slu_compile *compile, const json_t *json,
                                            struct slu_str at)
{
    struct slu_limits *limits;
    const json_t *key = json_object_get(json, "key"), *value = json_object_get(json, "value");

    if (!json)
        return NULL;
    limits = slu_table_array(compile, 1, sizeof(*limits));
    if (!limits)
        return NULL;
    compile_numbers(compile, json, limits);
    compile_text(compile, json, limits, at);
    if (limits->has_min && limits->has_max && limits->min > limits->max)
        slu_table_wrong(compile, at, "min is above max");
    if (key)
        limits->key = slu_limits_compile(compile, key,
                                         slu_pointer_member(compile->arena, at, SLU_STR("key")));
    if (value)
        limits->value = slu_limits_compile(
            compile, value, slu_pointer_member(compile->arena, at, SLU_STR("value")));
    return limits;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 9562 §4: 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(struct slu_str text)
{
    if (text.n != 36)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

        if (hyphen ? text.p[i] != '-' : !is_hex(text.p[i]))
            return false;
    }
    return true;
}

static bool is_hex32(struct slu_str text)
{
    if (text.n != 32)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!is_hex(text.p[i]))
            return false;
    return true;
}

struct slu_check {
    const struct slu_limits *limits;
    struct slu_str pointer;
    enum slu_fault_kind kind;
    struct slu_mistakes *mistakes;
    bool good;
};

/* One mistake a value: the first limit it breaks. */
#define WRONG(check, ...)                                                                          \
    ((check)->good = (check)->good &&                                                              \
                     slu_mistake((check)->mistakes, (check)->kind, (check)->pointer, __VA_ARGS__))

static void check_set(struct slu_check *check, struct slu_str text)
{
    const struct slu_limits *limits = check->limits;

    for (size_t i = 0; i < text.n; i++)
        if ((limits->chars && !has_char(limits->chars, text.p[i])) ||
            (limits->not_chars && has_char(limits->not_chars, text.p[i]))) {
            if (limits->chars && !has_char(limits->chars, text.p[i]))
                WRONG(check, "may only hold the characters %.*s", SLU_FMT(limits->chars_text));
            else
                WRONG(check, "must not hold any of the characters %.*s",
                      SLU_FMT(limits->not_chars_text));
            break;
        }
    if (limits->first && text.n && !has_char(limits->first, text.p[0]))
        WRONG(check, "must begin with one of the characters %.*s", SLU_FMT(limits->first_text));
    if (limits->last && text.n && !has_char(limits->last, text.p[text.n - 1]))
        WRONG(check, "must end with one of the characters %.*s", SLU_FMT(limits->last_text));
}

static void check_prefixes(struct slu_check *check, struct slu_str text)
{
    const struct slu_limits *limits = check->limits;
    bool found = limits->prefix_count == 0;

    for (size_t i = 0; i < limits->prefix_count; i++)
        found |= slu_str_starts(text, limits->prefix[i]);
    if (!found)
        WRONG(check, "must begin with \"%.*s\"%s", SLU_FMT(limits->prefix[0]),
              limits->prefix_count > 1 ? " or another known beginning" : "");
    for (size_t i = 0; i < limits->not_prefix_count; i++)
        if (slu_str_starts(text, limits->not_prefix[i]))
            WRONG(check, "must not begin with \"%.*s\"", SLU_FMT(limits->not_prefix[i]));
}

static void check_length(struct slu_check *check, struct slu_str text)
{
    const struct slu_limits *limits = check->limits;
    size_t length;

    if (!limits->has_min && !limits->has_max)
        return;
    length = slu_utf8_length(text);
    if (limits->has_min && length < (uint64_t)limits->min)
        WRONG(check, "must have at least %lld characters on this target", (long long)limits->min);
    if (limits->has_max && length > (uint64_t)limits->max)
        WRONG(check, "may have at most %lld characters on this target", (long long)limits->max);
}

static void check_text(struct slu_check *check, struct slu_str text)
{
    check_length(check, text);
    check_set(check, text);
    check_prefixes(check, text);
    if (check->limits->format == SLU_FORMAT_UUID && !is_uuid(text))
        WRONG(check, "must be a UUID (8-4-4-4-12 hexadecimal digits)");
    if (check->limits->format == SLU_FORMAT_HEX32 && !is_hex32(text))
        WRONG(check, "must be 32 hexadecimal digits");
}

static void wrong_choice(struct slu_check *check)
{
    char list[200] = "";
    size_t used = 0;

    for (size_t i = 0; i < check->limits->one_of_count && used + 24 < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%lld", i ? ", " : "",
                                 (long long)check->limits->one_of[i]);
    WRONG(check, "must be one of %s on this target", list);
}

static void check_integer(struct slu_check *check, int64_t number)
{
    const struct slu_limits *limits = check->limits;
    bool found = limits->one_of_count == 0;

    if (limits->has_min && number < limits->min)
        WRONG(check, "must be at least %lld on this target", (long long)limits->min);
    if (limits->has_max && number > limits->max)
        WRONG(check, "must be at most %lld on this target", (long long)limits->max);
    for (size_t i = 0; i < limits->one_of_count; i++)
        found |= limits->one_of[i] == number;
    if (!found)
        wrong_choice(check);
}

static void check_texts(struct slu_check *check, const struct slu_value *object)
{
    const struct slu_limits *limits = check->limits;

    if (limits->has_most && object->count > (uint64_t)limits->most)
        WRONG(check, "may have at most %lld members on this target", (long long)limits->most);
    slu_value_each (child, object) {
        struct slu_check inner = *check;

        inner.good = true;
        inner.pointer = slu_pointer_member(check->mistakes->arena, check->pointer, child->name);
        inner.limits = limits->key;
        if (limits->key)
            check_text(&inner, child->name);
        inner.limits = limits->value;
        if (limits->value && child->kind == SLU_STRING)
            check_text(&inner, child->text);
        check->good &= inner.good;
    }
}

bool slu_limits_check(const struct slu_limits *limits, const struct slu_value *value,
                      struct slu_str pointer, enum slu_fault_kind kind,
                      struct slu_mistakes *mistakes)
{
    struct slu_check check = {limits, pointer, kind, mistakes, true};
    int64_t number;

    if (value->kind == SLU_STRING)
        check_text(&check, value->text);
    else if (value->kind == SLU_OBJECT)
        check_texts(&check, value);
    else if (slu_value_to_int(value, &number))
        check_integer(&check, number);
    return check.good;
}
