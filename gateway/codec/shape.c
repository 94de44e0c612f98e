/*
 * Checks of JSON that is ours against tables of members. It never quotes a string's value except
 * where a closed list of words was expected, since configuration may hold secrets.
 */
#include "codec/shape.h"

#include "codec/json.h"
#include "codec/text.h"

#include <errno.h>
#include <stdio.h>

const struct slu_shape slu_shape_string = {.type = SLU_SHAPE_STRING};
const struct slu_shape slu_shape_text = {.type = SLU_SHAPE_STRING, .min = 1};
const struct slu_shape slu_shape_bool = {.type = SLU_SHAPE_BOOL};
const struct slu_shape slu_shape_any = {.type = SLU_SHAPE_ANY};

struct words {
    char text[512];
    size_t n;
    size_t count;
};

/* "a, b, c"; what does not fit ends with "…". */
static void add_word(struct words *words, const char *word, const char *between)
{
    size_t left = sizeof(words->text) - words->n;
    int n = snprintf(words->text + words->n, left, "%s%s", words->count ? between : "", word);

    if (n > 0 && (size_t)n + 5 < left) {
        words->n += (size_t)n;
        words->count++;
        return;
    }
    if (left > 4 && !slu_str_ends((struct slu_str){words->text, words->n}, SLU_STR("…")))
        words->n += (size_t)snprintf(words->text + words->n, left, "…");
    else
        words->text[words->n] = '\0';
}

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return SLU_SHAPE_STRING;
    case JSON_INTEGER:
        return SLU_SHAPE_INT;
    case JSON_TRUE:
    case JSON_FALSE:
        return SLU_SHAPE_BOOL;
    case JSON_OBJECT:
        return SLU_SHAPE_OBJECT | SLU_SHAPE_MAP;
    case JSON_ARRAY:
        return SLU_SHAPE_ARRAY;
    case JSON_NULL:
        return SLU_SHAPE_NULL;
    case JSON_REAL:
        return 0;
    }
    return 0;
}

static const struct {
    unsigned types;
    const char *name;
} type_names[] = {
    {SLU_SHAPE_STRING, "a string"}, {SLU_SHAPE_INT, "an integer"},
    {SLU_SHAPE_BOOL, "a bool"},     {SLU_SHAPE_OBJECT | SLU_SHAPE_MAP, "an object"},
    {SLU_SHAPE_ARRAY, "an array"},  {SLU_SHAPE_NULL, "null"},
};

static void name_types(unsigned types, struct words *words)
{
    for (size_t i = 0; i < SLU_COUNT(type_names); i++)
        if (types & type_names[i].types)
            add_word(words, type_names[i].name, " or ");
    if (words->count == 0)
        add_word(words, "a number with a fraction", "");
}

static bool wrong_type(const struct slu_shape *shape, const json_t *value, struct slu_str pointer,
                       struct slu_mistakes *mistakes)
{
    struct words wanted = {.n = 0}, is = {.n = 0};

    name_types(shape->type, &wanted);
    name_types(type_of(value), &is);
    return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer, "expected %s, this is %s", wanted.text,
                       is.text);
}

static bool in_bounds(const struct slu_shape *shape, int64_t number)
{
    if (shape->min == 0 && shape->max == 0)
        return true;
    if (number < shape->min)
        return false;
    return shape->max == 0 ? shape->min >= 0 || number <= 0 : number <= shape->max;
}

static bool check_bounds(const struct slu_shape *shape, int64_t number, const char *what,
                         struct slu_str pointer, struct slu_mistakes *mistakes)
{
    if (in_bounds(shape, number))
        return true;
    if (shape->max == 0 && shape->min > 0)
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                           "expected at least %lld%s, this is %lld", (long long)shape->min, what,
                           (long long)number);
    return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer, "expected %lld to %lld%s, this is %lld",
                       (long long)shape->min, (long long)shape->max, what, (long long)number);
}

static size_t word_count(const char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return count;
}

static bool check_word(const struct slu_shape *shape, struct slu_str text, struct slu_str pointer,
                       struct slu_mistakes *mistakes)
{
    size_t count = word_count(shape->words);
    struct words known = {.n = 0};
    const char *near;

    for (size_t i = 0; i < count; i++)
        if (slu_str_is(text, shape->words[i]))
            return true;
    if (text.n > 64)
        text.n = 64;
    near = slu_nearest(text, shape->words, count);
    if (near)
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                           "\"%.*s\" is not known here; did you mean \"%s\"?", SLU_FMT(text), near);
    for (size_t i = 0; i < count; i++)
        add_word(&known, shape->words[i], ", ");
    return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                       "\"%.*s\" is not known here; the words are: %s", SLU_FMT(text), known.text);
}

static bool check_string(const struct slu_shape *shape, const json_t *value, struct slu_str pointer,
                         struct slu_mistakes *mistakes)
{
    struct slu_str text = slu_ours_text(value);

    if (shape->words)
        return check_word(shape, text, pointer, mistakes);
    return check_bounds(shape, (int64_t)slu_utf8_length(text), " characters", pointer, mistakes);
}

static const struct slu_shape_member *known_member(const struct slu_shape_member *members,
                                                   const char *name)
{
    for (; members && members->name; members++)
        if (strcmp(members->name, name) == 0)
            return members;
    return NULL;
}

static bool unknown_member(const struct slu_shape_member *members, const char *name,
                           struct slu_str pointer, struct slu_mistakes *mistakes)
{
    enum { MOST = 128 };
    const char *names[MOST];
    struct words known = {.n = 0};
    size_t count = 0;
    const char *near;

    for (; members && members->name && count < MOST; members++)
        names[count++] = members->name;
    near = slu_nearest(slu_str_of(name), names, count);
    if (near)
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                           "there is no member of this name; did you mean \"%s\"?", near);
    for (size_t i = 0; i < count; i++)
        add_word(&known, names[i], ", ");
    return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                       "there is no member of this name; the members are: %s",
                       count ? known.text : "none");
}

static bool check_missing(const struct slu_shape *shape, const json_t *object,
                          struct slu_str pointer, struct slu_mistakes *mistakes)
{
    const struct slu_shape_member *member = shape->members;
    bool whole = true;

    for (; member && member->name; member++)
        if (member->required && !json_object_get(object, member->name))
            whole = slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer, "the member \"%s\" is missing",
                                member->name);
    return whole;
}

static struct slu_str below(struct slu_mistakes *mistakes, struct slu_str pointer, const char *name)
{
    struct slu_str whole = slu_pointer_member(mistakes->arena, pointer, slu_str_of(name));

    if (!whole.p)
        mistakes->failed = true;
    return whole;
}

static bool always_allowed(const char *name)
{
    return strcmp(name, "$schema") == 0 || strcmp(name, "comment") == 0;
}

static bool check_object(const struct slu_shape *shape, const json_t *object,
                         struct slu_str pointer, struct slu_mistakes *mistakes)
{
    bool right = check_missing(shape, object, pointer, mistakes);
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        const struct slu_shape_member *member = known_member(shape->members, name);

        if (!member && !always_allowed(name))
            right = unknown_member(shape->members, name, below(mistakes, pointer, name), mistakes);
        else if (member && member->shape &&
                 !slu_shape_check(member->shape, value, below(mistakes, pointer, name), mistakes))
            right = false;
    }
    return right;
}

static bool check_map(const struct slu_shape *shape, const json_t *object, struct slu_str pointer,
                      struct slu_mistakes *mistakes)
{
    bool right =
        check_bounds(shape, (int64_t)json_object_size(object), " members", pointer, mistakes);
    const char *name;
    json_t *value;

    if (!shape->of)
        return right;
    json_object_foreach((json_t *)object, name, value)
    {
        if (!slu_shape_check(shape->of, value, below(mistakes, pointer, name), mistakes))
            right = false;
    }
    return right;
}

static bool check_array(const struct slu_shape *shape, const json_t *array, struct slu_str pointer,
                        struct slu_mistakes *mistakes)
{
    bool right = check_bounds(shape, (int64_t)json_array_size(array), " items", pointer, mistakes);

    for (size_t i = 0; shape->of && i < json_array_size(array); i++) {
        struct slu_str at = slu_pointer_item(mistakes->arena, pointer, i);

        if (!at.p)
            mistakes->failed = true;
        if (!slu_shape_check(shape->of, json_array_get(array, i), at, mistakes))
            right = false;
    }
    return right;
}

static bool check_by_type(const struct slu_shape *shape, const json_t *value,
                          struct slu_str pointer, struct slu_mistakes *mistakes)
{
    if (json_is_string(value))
        return check_string(shape, value, pointer, mistakes);
    if (json_is_integer(value))
        return check_bounds(shape, json_integer_value(value), "", pointer, mistakes);
    if (json_is_array(value))
        return check_array(shape, value, pointer, mistakes);
    if (!json_is_object(value))
        return true;
    return shape->type & SLU_SHAPE_OBJECT ? check_object(shape, value, pointer, mistakes)
                                          : check_map(shape, value, pointer, mistakes);
}

bool slu_shape_check(const struct slu_shape *shape, const json_t *value, struct slu_str pointer,
                     struct slu_mistakes *mistakes)
{
    if (!(shape->type & SLU_SHAPE_ANY)) {
        if (!(shape->type & type_of(value)))
            return wrong_type(shape, value, pointer, mistakes);
        if (!check_by_type(shape, value, pointer, mistakes))
            return false;
    }
    if (mistakes->failed)
        return false;
    return !shape->check || shape->check(value, pointer, mistakes);
}

/* jansson's words often end with "near 'text'", and that text may be a secret. A doubled member is
 * the exception: there it is the member's name. */
static void without_value(json_error_t *error)
{
    char *near = strstr(error->text, " near ");

    if (near && json_error_code(error) != json_error_duplicate_key)
        *near = '\0';
}

json_t *slu_ours_read(const char *file, struct slu_mistakes *mistakes)
{
    FILE *stream = fopen(file, "rbe");
    json_error_t error;
    json_t *root;

    if (!stream) {
        slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR(""), "%s: %s", file, strerror(errno));
        return NULL;
    }
    root = json_loadf(stream, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        without_value(&error);
        slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR(""), "%s:%d:%d: %s", file, error.line,
                    error.column, error.text);
    } else if (!json_is_object(root)) {
        slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR(""),
                    "%s:1:1: the file must hold one object, {…}", file);
        json_decref(root);
        root = NULL;
    }
    fclose(stream);
    return root;
}

struct slu_str slu_ours_text(const json_t *string)
{
    if (!json_is_string(string))
        return SLU_STR_NONE;
    return (struct slu_str){json_string_value(string), json_string_length(string)};
}

struct slu_str slu_ours_str(const json_t *object, const char *name)
{
    return slu_ours_text(json_object_get(object, name));
}

int64_t slu_ours_int(const json_t *object, const char *name, int64_t fallback)
{
    const json_t *member = json_object_get(object, name);

    return json_is_integer(member) ? json_integer_value(member) : fallback;
}

bool slu_ours_bool(const json_t *object, const char *name, bool fallback)
{
    const json_t *member = json_object_get(object, name);

    return json_is_boolean(member) ? json_is_true(member) : fallback;
}
