/* mappings/schema.json (for editors) and the loader's own shapes say the same: at every level the
 * same members, the same of them required, the same closed lists of words. */
#include "test.h"

#include "codec/shape.h"
#include "mapping/table_internal.h"

#include <stdio.h>

static json_t *schema;
static unsigned levels;

static const json_t *resolve(const json_t *node)
{
    const char *ref = json_string_value(json_object_get(node, "$ref"));

    if (!ref)
        return node;
    assert_memory_equal(ref, "#/$defs/", 8);
    node = json_object_get(json_object_get(schema, "$defs"), ref + 8);
    if (!node)
        fail_msg("%s is not defined", ref);
    return resolve(node);
}

/* The alternative of the node that has the keyword, or NULL. */
static const json_t *with(const json_t *node, const char *keyword)
{
    const json_t *list;

    node = resolve(node);
    if (json_object_get(node, keyword))
        return node;
    list = json_object_get(node, "anyOf");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *found = with(json_array_get(list, i), keyword);

        if (found)
            return found;
    }
    return NULL;
}

static bool in_list(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)) &&
            strcmp(json_string_value(json_array_get(list, i)), word) == 0)
            return true;
    return false;
}

static void compare(const struct slu_shape *shape, const json_t *node, const char *path);

static void compare_object(const struct slu_shape *shape, const json_t *node, const char *path)
{
    const json_t *properties = json_object_get(node, "properties");
    const json_t *required = json_object_get(node, "required");
    size_t count = 0;
    char inner[400];

    assert_true(json_is_false(json_object_get(node, "additionalProperties")));
    for (const struct slu_shape_member *member = shape->members; member->name; member++, count++) {
        const json_t *child = json_object_get(properties, member->name);

        snprintf(inner, sizeof(inner), "%s/%s", path, member->name);
        if (!child)
            fail_msg("%s is not in the schema", inner);
        if (in_list(required, member->name) != member->required)
            fail_msg("%s: required in one and not in the other", inner);
        if (member->shape)
            compare(member->shape, child, inner);
    }
    count += json_object_get(properties, "comment") != NULL;
    count += json_object_get(properties, "$schema") != NULL;
    if (count != json_object_size(properties))
        fail_msg("%s: the schema has members that the loader does not know", path);
    levels++;
}

static void compare_words(const struct slu_shape *shape, const json_t *node, const char *path)
{
    const json_t *list = json_object_get(with(node, "enum"), "enum");
    size_t count = 0;

    for (; shape->words[count]; count++)
        if (!in_list(list, shape->words[count]))
            fail_msg("%s: the schema lacks the word %s", path, shape->words[count]);
    if (count != json_array_size(list))
        fail_msg("%s: the schema has more words", path);
}

static void compare(const struct slu_shape *shape, const json_t *node, const char *path)
{
    const json_t *found;
    char inner[400];

    snprintf(inner, sizeof(inner), "%s/*", path);
    if (shape->type & SLU_SHAPE_OBJECT) {
        found = with(node, "properties");
        if (!found)
            fail_msg("%s is no object in the schema", path);
        compare_object(shape, found, path);
    }
    if (shape->type & SLU_SHAPE_ARRAY && shape->of) {
        found = with(node, "items");
        if (!found)
            fail_msg("%s is no array in the schema", path);
        if (!json_is_boolean(json_object_get(found, "items")))
            compare(shape->of, json_object_get(found, "items"), inner);
    }
    if (shape->type & SLU_SHAPE_MAP && shape->of) {
        found = with(node, "additionalProperties");
        if (!found)
            fail_msg("%s is no map in the schema", path);
        compare(shape->of, json_object_get(found, "additionalProperties"), inner);
    }
    if (shape->words)
        compare_words(shape, node, path);
}

static void schema_and_shapes_agree(void **state)
{
    struct slu_str text = test_file("mappings/schema.json");
    json_error_t why;

    (void)state;
    schema = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (!schema)
        fail_msg("mappings/schema.json:%d: %s", why.line, why.text);
    compare(&slu_table_shape, schema, "");
    assert_true(levels >= 20);
    json_decref(schema);
    slu_mem_free((char *)text.p);
}

/* Words that the shapes leave to the compiler, because it knows better hints. */
static void codes_are_listed(void **state)
{
    struct slu_str text = test_file("mappings/schema.json");
    const json_t *list;

    (void)state;
    schema = json_loadb(text.p, text.n, 0, NULL);
    list = json_object_get(
        json_object_get(
            json_object_get(
                json_object_get(json_object_get(json_object_get(schema, "properties"), "errors"),
                                "items"),
                "properties"),
            "is"),
        "enum");
    for (int i = 1; i < SLU_FAULT_KIND_COUNT; i++)
        if (!in_list(list, slu_fault_info((enum slu_fault_kind)i)->code))
            fail_msg("the schema lacks the code %s", slu_fault_info((enum slu_fault_kind)i)->code);
    assert_int_equal(json_array_size(list), SLU_FAULT_KIND_COUNT - 1);
    json_decref(schema);
    slu_mem_free((char *)text.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_and_shapes_agree),
        cmocka_unit_test(codes_are_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
