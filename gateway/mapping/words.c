/* Enumerations: compiled into two sorted lists, looked up by halves, with conditions on what else
 * is known about the flow log. */
#include "codec/json.h"
#include "codec/shape.h"
#include "mapping/table_internal.h"

#include <stdlib.h>

/* A word's text as a parameter list writes it. */
static struct slu_str word_text(const struct slu_value *word)
{
    if (word->kind == SLU_BOOL)
        return word->truth ? SLU_STR("true") : SLU_STR("false");
    return word->text;
}

/* "true" and true have the same text: lists are sorted by text, and kinds are looked at after. */
static int compare_texts(const struct slu_value *a, const struct slu_value *b)
{
    return slu_str_cmp(word_text(a), word_text(b));
}

static bool is_word(const struct slu_value *value)
{
    return value->kind == SLU_STRING || value->kind == SLU_BOOL;
}

bool slu_word_equal(const struct slu_value *word, const struct slu_value *value, bool flat)
{
    return is_word(word) && is_word(value) && (flat || word->kind == value->kind) &&
           compare_texts(word, value) == 0;
}

bool slu_constant_equal(const struct slu_value *constant, const struct slu_value *value, bool texts)
{
    if (constant->kind != SLU_NUMBER)
        return slu_word_equal(constant, value, texts);
    return texts ? slu_str_eq(constant->text, value->text) : slu_value_equal(constant, value);
}

static bool condition_holds(const struct slu_value *wanted, const struct slu_value *value)
{
    bool there = value && value->kind != SLU_NULL;

    if (wanted->kind == SLU_NULL)
        return !there;
    if (!there)
        return false;
    if (wanted->kind == SLU_ARRAY) {
        slu_value_each (item, wanted)
            if (slu_value_equal(item, value))
                return true;
        return false;
    }
    return slu_value_equal(wanted, value) ||
           (wanted->kind == SLU_STRING && slu_str_is(wanted->text, "*"));
}

bool slu_conditions_hold(const struct slu_condition *conditions, size_t count,
                         const struct slu_value *const *slots)
{
    for (size_t i = 0; i < count; i++)
        if (!condition_holds(conditions[i].value, slots[conditions[i].slot]))
            return false;
    return true;
}

/* The first pair in the sorted list whose word is not below the given one. */
static size_t first_not_below(const struct slu_pair *const *sorted, size_t count,
                              const struct slu_value *word, bool canonical)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct slu_pair *pair = sorted[middle];

        if (compare_texts(canonical ? pair->canonical : pair->native, word) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct slu_pair *slu_words_read(const struct slu_enumeration *words,
                                      const struct slu_value *native, bool flat,
                                      const struct slu_value *const *slots)
{
    const struct slu_pair *const *sorted = (const struct slu_pair *const *)words->by_native;
    size_t i;

    if (!is_word(native))
        return NULL;
    for (i = first_not_below(sorted, words->count, native, false); i < words->count; i++) {
        if (compare_texts(sorted[i]->native, native) != 0)
            return NULL;
        if (sorted[i]->read && slu_word_equal(sorted[i]->native, native, flat) &&
            slu_conditions_hold(sorted[i]->when, sorted[i]->when_count, slots))
            return sorted[i];
    }
    return NULL;
}

const struct slu_pair *slu_words_begin(const struct slu_enumeration *words, struct slu_str text)
{
    const struct slu_pair *longest = NULL;

    for (size_t i = 0; i < words->count; i++) {
        const struct slu_pair *pair = &words->pairs[i];

        if (pair->read && slu_str_starts(text, pair->native->text) &&
            (!longest || pair->native->text.n > longest->native->text.n))
            longest = pair;
    }
    return longest;
}

/* Would the native word, read back beside the document's other members, be the same again? Pairs
 * that are only said need not. */
static bool comes_back(const struct slu_enumeration *words, const struct slu_pair *pair, bool flat,
                       const struct slu_value *const *slots)
{
    const struct slu_pair *back;

    if (!slu_conditions_hold(pair->when, pair->when_count, slots))
        return false;
    if (!pair->read || !words->conditional)
        return true;
    back = slu_words_read(words, pair->native, flat, slots);
    return back && slu_word_equal(back->canonical, pair->canonical, false);
}

const struct slu_pair *slu_words_write(const struct slu_enumeration *words,
                                       const struct slu_value *canonical, bool flat,
                                       const struct slu_value *const *slots)
{
    const struct slu_pair *const *sorted = (const struct slu_pair *const *)words->by_canonical;
    size_t i;

    if (!is_word(canonical))
        return NULL;
    for (i = first_not_below(sorted, words->count, canonical, true); i < words->count; i++) {
        if (compare_texts(sorted[i]->canonical, canonical) != 0)
            return NULL;
        if (sorted[i]->write && slu_word_equal(sorted[i]->canonical, canonical, false) &&
            comes_back(words, sorted[i], flat, slots))
            return sorted[i];
    }
    return NULL;
}

static int by_canonical(const void *a, const void *b)
{
    const struct slu_pair *const *left = a, *const *right = b;
    int order = compare_texts((*left)->canonical, (*right)->canonical);

    return order ? order : ((*left)->order < (*right)->order ? -1 : 1);
}

static int by_native(const void *a, const void *b)
{
    const struct slu_pair *const *left = a, *const *right = b;
    int order = compare_texts((*left)->native, (*right)->native);

    return order ? order : ((*left)->order < (*right)->order ? -1 : 1);
}

static bool json_is_word(const json_t *value)
{
    return json_is_string(value) || json_is_boolean(value);
}

/* The third item: "read", "write" or {"when": {…}}. */
static void compile_mark(struct slu_compile *compile, const json_t *mark, struct slu_pair *pair,
                         struct slu_str at)
{
    const json_t *when = json_object_get(mark, "when");

    if (slu_str_is(slu_ours_text(mark), "read")) {
        pair->write = false;
    } else if (slu_str_is(slu_ours_text(mark), "write")) {
        pair->read = false;
    } else if (json_is_object(when) && json_object_size(mark) == 1 && json_object_size(when)) {
        struct slu_str place = slu_pointer_member(compile->arena, at, SLU_STR("when"));

        pair->when = slu_table_conditions(compile, when, place, &pair->when_count);
    } else {
        slu_table_wrong(compile, at, "must be \"read\", \"write\" or {\"when\": {pointer: value}}");
    }
}

static bool compile_pair(struct slu_compile *compile, const json_t *json, struct slu_pair *pair,
                         struct slu_str at)
{
    size_t size = json_array_size(json);

    if (size < 2 || size > 3 || !json_is_word(json_array_get(json, 0)) ||
        !json_is_word(json_array_get(json, 1)))
        return slu_table_wrong(compile, at,
                               "must be [canonical, native] (strings, true or false) and perhaps "
                               "\"read\", \"write\" or a condition");
    pair->canonical = slu_table_value(compile, json_array_get(json, 0));
    pair->native = slu_table_value(compile, json_array_get(json, 1));
    pair->read = pair->write = true;
    if (size == 3)
        compile_mark(compile, json_array_get(json, 2), pair,
                     slu_pointer_member(compile->arena, at, SLU_STR("2")));
    return pair->canonical && pair->native;
}

static void sort_pairs(struct slu_compile *compile, struct slu_enumeration *words)
{
    size_t size = sizeof(const struct slu_pair *);

    words->by_canonical = slu_table_array(compile, words->count, size);
    words->by_native = slu_table_array(compile, words->count, size);
    if (!words->by_canonical || !words->by_native) {
        words->count = 0;
        return;
    }
    for (size_t i = 0; i < words->count; i++) {
        words->by_canonical[i] = words->by_native[i] = &words->pairs[i];
        words->conditional |= words->pairs[i].when_count > 0;
    }
    qsort(words->by_canonical, words->count, size, by_canonical);
    qsort(words->by_native, words->count, size, by_native);
}

static void compile_enumeration(struct slu_compile *compile, const json_t *json,
                                struct slu_enumeration *words, struct slu_str at)
{
    const json_t *list = json_object_get(json, "pairs"), *otherwise, *item;
    size_t i, size = json_array_size(list);
    struct slu_pair *pairs = slu_table_array(compile, size, sizeof(struct slu_pair));

    if (!pairs)
        return;
    json_array_foreach(list, i, item)
    {
        struct slu_str place = slu_table_at(compile, "%.*s/pairs/%zu", SLU_FMT(at), i);

        pairs[words->count].order = i;
        if (compile_pair(compile, item, &pairs[words->count], place))
            words->count++;
    }
    words->pairs = pairs;
    otherwise = json_object_get(json, "otherwise");
    if (otherwise)
        words->otherwise = slu_table_value(compile, otherwise);
    sort_pairs(compile, words);
}

void slu_table_compile_enums(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *map = json_object_get(table->source, "enums");
    const char *name;
    json_t *value;

    table->enums = slu_table_array(compile, json_object_size(map), sizeof(struct slu_enumeration));
    if (!table->enums)
        return;
    json_object_foreach((json_t *)map, name, value)
    {
        struct slu_enumeration *words = &table->enums[table->enum_count++];

        words->name = slu_str_of(name);
        compile_enumeration(compile, value, words,
                            slu_pointer_member(compile->arena, SLU_STR("/enums"), words->name));
    }
}
