/*
 * What tables tell about themselves, with two clouds that do not exist: the description, the JSON
 * Schema of a request and of a change, and translations; each also with too little memory. That a
 * schema takes what the gateway takes is proven from outside (tests/schemas).
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#define DATA SLU_SOURCE_DIR "/tests/unit/mapping/data/"

static struct slu_table *nimbus, *cirrus;
static struct slu_arena arena;
static struct slu_mistakes mistakes;

static int load_both(void **state)
{
    (void)state;
    slu_arena_init(&arena, 1 << 22);
    slu_mistakes_init(&mistakes, &arena);
    nimbus = slu_table_load(DATA "nimbus.json", &mistakes);
    cirrus = slu_table_load(DATA "cirrus.json", &mistakes);
    assert_non_null(nimbus);
    assert_non_null(cirrus);
    return 0;
}

static int free_both(void **state)
{
    (void)state;
    slu_table_free(nimbus);
    slu_table_free(cirrus);
    slu_arena_done(&arena);
    return 0;
}

static struct slu_value *json(const char *text)
{
    struct slu_value *value =
        slu_json_read(&arena, slu_str_of(text), (struct slu_json_limits){0}, &mistakes);

    assert_non_null(value);
    return value;
}

/* The node at a pointer, as JSON. */
static void expect(const struct slu_value *document, const char *pointer, const char *want)
{
    struct slu_path path;
    const struct slu_value *found;

    assert_true(slu_path_read(&arena, slu_str_of(pointer), &path));
    found = slu_path_get(&path, document);
    if (!found)
        print_error("there is nothing at %s\n", pointer);
    assert_non_null(found);
    assert_str(slu_json_text(&arena, found), want);
}

static void a_table_describes_itself(void **state)
{
    struct slu_value *said = slu_table_describe(nimbus, &arena);

    (void)state;
    assert_non_null(said);
    expect(said, "/dialect", "\"nimbus\"");
    expect(said, "/signing", "[\"key-a\",\"key-b\"]");
    expect(said, "/parameters/network",
           "{\"required\":false,\"member\":\"/parent_id\",\"help\":\"the network\","
           "\"limits\":{\"max\":40}}");
    expect(said, "/operations/create/idempotency_token", "true");
    expect(said, "/operations/create/calls", "2");
    expect(said, "/operations/create/serialised_by", "\"/resource_id\"");
    expect(said, "/operations/create/poll/done", "[\"active\",\"disabled\"]");
    expect(said, "/members/~1resource_type/create/words",
           "[\"interface\",\"vpc\",\"router_attachment\",\"router\"]");
    expect(said, "/members/~1destination~1arn/create/required_if",
           "{\"/destination/type\":\"s3\"}");
    expect(said, "/members/~1name/update/clearable", "false");
    expect(said, "/members/~1aggregation_interval/update/clearable", "true");
    expect(said, "/members/~1traffic_type/create/default", "\"all\"");
    expect(said, "/members/~1destination~1id/create/cannot/0/reason", "\"stores have names\"");
}

static void members_are_carried_somehow(void **state)
{
    static const struct {
        const char *pointer, *part, *how;
    } rows[] = {
        {"/name", "create", "required"},         {"/name", "update", "sent"},
        {"/resource_id", "update", "immutable"}, {"/resource_type", "create", "required, partly"},
        {"/destination/id", "create", "cannot"}, {"/status", "reply", "partly"},
        {"/description", "reply", "told"},       {"/status", "create", NULL},
        {"/resource_alias", "create", NULL},     {"/nothing", "create", NULL},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        const char *how = slu_table_carries(nimbus, slu_str_of(rows[i].pointer), rows[i].part);

        if (rows[i].how)
            assert_string_equal(how, rows[i].how);
        else
            assert_null(how);
    }
}

static struct slu_value *schema_of(const struct slu_table *table, enum slu_operation operation,
                                   const char *alias, struct slu_arena *into)
{
    struct slu_alias resource = {.name = SLU_STR("prod"), .members = alias ? json(alias) : NULL};
    struct slu_schema_for whose = {.name = SLU_STR("t"), .resources = &resource};

    whose.resource_count = alias != NULL;
    return slu_table_json_schema(table, operation, &whose, into);
}

static void a_schema_has_the_tables_limits(void **state)
{
    struct slu_value *schema = schema_of(nimbus, SLU_OP_CREATE, NULL, &arena);

    (void)state;
    expect(schema, "/additionalProperties", "false");
    expect(schema, "/required",
           "[\"name\",\"resource_type\",\"resource_id\",\"parent_id\",\"destination\"]");
    expect(schema, "/properties/name/maxLength", "30");
    expect(schema, "/properties/name/type", "\"string\"");
    expect(schema, "/properties/description/type", "[\"string\",\"null\"]");
    expect(schema, "/properties/aggregation_interval/enum", "[60,600,null]");
    expect(schema, "/properties/resource_alias/enum", "[null]");
    expect(schema, "/properties/resource_id/pattern", "\"^(?:n\\\\x2d|r\\\\x2d)\"");
    expect(schema, "/properties/tags/maxProperties", "5");
    expect(schema, "/properties/destination/properties/id/enum", "[null]");
    expect(schema, "/properties/destination/properties/id/description", "\"stores have names\"");
    expect(schema, "/properties/destination/required", "[\"type\"]");
    expect(schema, "/properties/native/properties/Watch",
           "{\"type\":\"object\",\"properties\":{\"Kind\":false,\"Ids\":false}}");
    assert_null(slu_value_member(schema, "oneOf"));
}

static void an_alias_is_another_way(void **state)
{
    struct slu_value *schema = schema_of(
        nimbus, SLU_OP_CREATE, "{\"resource_type\": \"vpc\", \"resource_id\": \"n-1\"}", &arena);

    (void)state;
    expect(schema, "/properties/resource_alias/enum", "[\"prod\",null]");
    expect(schema, "/required", "[\"name\",\"parent_id\",\"destination\"]");
    expect(schema, "/oneOf/1/required", "[\"resource_alias\"]");
    schema = schema_of(nimbus, SLU_OP_CREATE,
                       "{\"resource_type\": \"vpc\", \"resource_id\": \"x-1\"}", &arena);
    expect(schema, "/properties/resource_alias/enum", "[null]");
}

static void a_schema_of_changes_has_what_changes(void **state)
{
    struct slu_value *schema = schema_of(nimbus, SLU_OP_UPDATE, NULL, &arena);

    (void)state;
    assert_null(slu_value_member(schema, "required"));
    assert_null(slu_value_find(slu_value_member(schema, "properties"), SLU_STR("resource_id")));
    expect(schema, "/properties/name/type", "\"string\"");
    expect(schema, "/properties/description/type", "[\"string\",\"null\"]");
    schema = schema_of(cirrus, SLU_OP_UPDATE, NULL, &arena);
    expect(schema, "/properties/tags/additionalProperties/type", "[\"string\",\"null\"]");
    schema = schema_of(NULL, SLU_OP_CREATE, NULL, &arena);
    expect(schema, "/properties/name/pattern", "\"" SLU_NAME_PATTERN "\"");
}

static struct slu_value *translate(const char *text, struct slu_arena *into,
                                   struct slu_mistakes *found, bool lenient)
{
    const struct slu_translation order = {.from = cirrus, .to = nimbus, .operation = SLU_OP_CREATE};
    struct slu_losses losses;

    slu_losses_init(&losses, into, lenient);
    return slu_translate(&order, json(text), into, &losses, found);
}

#define FLAT                                                                                       \
    "{\"Title\":\"log\",\"What\":\"3\",\"Which\":\"n-1\",\"Topic\":"                               \
    "\"05c4052d-8d14-488f-aa00-19fea5a25fde\",\"Format\":\"true\",\"Odd\":\"1\"}"

/* The store of the one cloud is none of the other's, and neither is what only the one knows. */
static void what_does_not_travel_is_told(void **state)
{
    bool native = false, store = false;

    (void)state;
    slu_mistakes_init(&mistakes, &arena);
    assert_null(translate(FLAT, &arena, &mistakes, false));
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next) {
        native = native || slu_str_is(m->pointer, "/native/Odd");
        store = store || slu_str_is(m->pointer, "/destination/type");
    }
    assert_true(native && store);
    slu_mistakes_init(&mistakes, &arena);
    assert_true(slu_table_has_document(nimbus, SLU_OP_CREATE, SLU_REQUEST));
    assert_false(slu_table_has_document(nimbus, SLU_OP_GET, SLU_REQUEST));
}

/* With a budget that grows until everything fits, there is an answer or none, and never a part. */
static void memory_may_run_out(void **state)
{
    size_t done = 0, refused = 0;

    (void)state;
    for (size_t budget = 256; done < 4 && budget < 1 << 22; budget += budget / 4) {
        struct slu_arena own;
        struct slu_mistakes found;

        slu_arena_init(&own, budget);
        slu_mistakes_init(&found, &own);
        done = slu_table_describe(nimbus, &own) != NULL;
        done += schema_of(nimbus, SLU_OP_CREATE, "{\"resource_type\":\"vpc\"}", &own) != NULL;
        done += schema_of(cirrus, SLU_OP_UPDATE, NULL, &own) != NULL;
        done += slu_table_summary(cirrus, &own) != NULL;
        (void)translate(FLAT, &own, &found, true);
        refused += done < 4;
        slu_arena_done(&own);
    }
    assert_int_equal(done, 4);
    assert_true(refused > 3);
}

static bool everything(void *context)
{
    struct slu_arena own;
    struct slu_mistakes found;
    bool good;

    (void)context;
    slu_arena_init(&own, 1 << 22);
    slu_mistakes_init(&found, &own);
    good = slu_table_describe(nimbus, &own) != NULL;
    good = schema_of(nimbus, SLU_OP_CREATE, NULL, &own) != NULL && good;
    good = schema_of(cirrus, SLU_OP_UPDATE, NULL, &own) != NULL && good;
    slu_arena_done(&own);
    return good;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    assert_true(test_every_allocation(everything, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_describes_itself),
        cmocka_unit_test(members_are_carried_somehow),
        cmocka_unit_test(a_schema_has_the_tables_limits),
        cmocka_unit_test(an_alias_is_another_way),
        cmocka_unit_test(a_schema_of_changes_has_what_changes),
        cmocka_unit_test(what_does_not_travel_is_told),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(allocations_may_fail),
    };

    return cmocka_run_group_tests(tests, load_both, free_both);
}
