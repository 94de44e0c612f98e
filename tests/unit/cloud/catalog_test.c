/* The catalog: counting, look-ups, keys, rights, aliases. */
#include "tree.h"

#include "cloud/catalog.h"
#include "codec/digest.h"

static void assert_json(const struct slu_value *value, const char *expected)
{
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_json_write(&out, value);
    if (!slu_value_equal(value, tree(expected)))
        assert_str(slu_buf_str(&out), expected);
    slu_buf_done(&out);
}

static void test_counted(void **state)
{
    struct slu_catalog *catalog = slu_catalog_new();
    struct slu_catalog *second;

    (void)state;
    assert_non_null(catalog);
    second = slu_catalog_ref(catalog);
    assert_ptr_equal(second, catalog);
    catalog->targets = slu_arena_zero(&catalog->arena, sizeof(*catalog->targets));
    catalog->targets[0].name = SLU_STR("one");
    catalog->targets[0].credentials.secret_key = slu_secret_new(SLU_STR("hidden"));
    catalog->target_count = 1;
    slu_catalog_free(catalog);
    assert_non_null(slu_catalog_target(second, SLU_STR("one"))); /* still there */
    slu_catalog_free(second); /* the leak checker watches the secret */
    slu_catalog_free(NULL);
}

static bool make_one(void *context)
{
    slu_auto(slu_catalog) *catalog = slu_catalog_new();

    (void)context;
    return catalog;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(make_one, NULL) >= 1);
}

static void test_targets_by_name(void **state)
{
    slu_auto(slu_catalog) *catalog = slu_catalog_new();
    static const char *const names[] = {"a", "ab", "b", "prod"};

    (void)state;
    assert_null(slu_catalog_target(catalog, SLU_STR("a")));
    catalog->targets = slu_arena_zero(&catalog->arena, 4 * sizeof(*catalog->targets));
    for (size_t i = 0; i < SLU_COUNT(names); i++)
        catalog->targets[i].name = slu_str_of(names[i]);
    catalog->target_count = SLU_COUNT(names);
    for (size_t i = 0; i < SLU_COUNT(names); i++)
        assert_ptr_equal(slu_catalog_target(catalog, slu_str_of(names[i])), &catalog->targets[i]);
    assert_null(slu_catalog_target(catalog, SLU_STR("")));
    assert_null(slu_catalog_target(catalog, SLU_STR("pro")));
    assert_null(slu_catalog_target(catalog, SLU_STR("prods")));
    assert_null(slu_catalog_table(catalog, SLU_STR("otc")));
}

static void test_callers_by_key(void **state)
{
    slu_auto(slu_catalog) *catalog = slu_catalog_new();
    static const char *const keys[] = {"first-key", NULL, "second-key"};

    (void)state;
    catalog->callers = slu_arena_zero(&catalog->arena, 3 * sizeof(*catalog->callers));
    catalog->caller_count = 3;
    for (size_t i = 0; i < SLU_COUNT(keys); i++)
        if ((catalog->callers[i].has_key = keys[i] != NULL))
            assert_true(slu_sha256(slu_str_of(keys[i]), catalog->callers[i].key_sha256));
    assert_ptr_equal(slu_catalog_caller(catalog, SLU_STR("first-key")), &catalog->callers[0]);
    assert_ptr_equal(slu_catalog_caller(catalog, SLU_STR("second-key")), &catalog->callers[2]);
    assert_null(slu_catalog_caller(catalog, SLU_STR("")));
    assert_null(slu_catalog_caller(catalog, SLU_STR("first-ke")));
    assert_null(slu_catalog_caller(catalog, SLU_STR("first-key ")));
    /* A digest that would fit is nothing while the caller has no key. */
    assert_true(slu_sha256(SLU_STR("ghost"), catalog->callers[1].key_sha256));
    assert_null(slu_catalog_caller(catalog, SLU_STR("ghost")));
    catalog->caller_count = 0;
    assert_null(slu_catalog_caller(catalog, SLU_STR("first-key")));
}

static void test_rights(void **state)
{
    static const struct slu_str two[] = {SLU_STR_INIT("a"), SLU_STR_INIT("b")};
    static const struct slu_str every[] = {SLU_STR_INIT("*")};
    struct slu_caller caller = {.targets = two, .target_count = 2};

    (void)state;
    assert_true(slu_caller_may_use(&caller, SLU_STR("b")));
    assert_false(slu_caller_may_use(&caller, SLU_STR("c")));
    assert_false(slu_caller_may_use(&caller, SLU_STR("*")));
    caller = (struct slu_caller){.targets = every, .target_count = 1};
    assert_true(slu_caller_may_use(&caller, SLU_STR("c")));
    caller.target_count = 0;
    assert_false(slu_caller_may_use(&caller, SLU_STR("c")));
}

static const struct {
    const char *given, *expected; /* NULL: refused */
    const char *pointer;
} aliases[] = {
    {"{\"resource_alias\":\"net\",\"name\":\"x\"}",
     "{\"name\":\"x\",\"resource_type\":\"vpc\",\"resource_id\":\"vpc-1\"}", NULL},
    {"{\"destination\":{\"alias\":\"sec\"}}",
     "{\"destination\":{\"type\":\"sls\",\"group\":\"g\"}}", NULL},
    {"{\"resource_alias\":\"net\",\"destination\":{\"alias\":\"sec\"}}",
     "{\"resource_type\":\"vpc\",\"resource_id\":\"vpc-1\",\"destination\":{\"type\":\"sls\","
     "\"group\":\"g\"}}",
     NULL},
    {"{\"resource_type\":\"vpc\",\"resource_id\":\"y\"}",
     "{\"resource_type\":\"vpc\",\"resource_id\":\"y\"}", NULL},
    {"{\"resource_alias\":null,\"destination\":{\"alias\":null,\"type\":\"lts\"}}",
     "{\"destination\":{\"type\":\"lts\"}}", NULL},
    {"{\"resource_alias\":\"router\",\"parent_id\":\"p-1\"}",
     "{\"parent_id\":\"p-1\",\"resource_type\":\"router_attachment\",\"resource_id\":\"att\"}",
     NULL},
    {"{\"resource_alias\":\"router\",\"parent_id\":null}",
     "{\"parent_id\":\"p-1\",\"resource_type\":\"router_attachment\",\"resource_id\":\"att\"}",
     NULL},
    {"{\"resource_alias\":\"router\",\"parent_id\":\"p-2\"}", NULL, "/parent_id"},
    {"{\"resource_alias\":\"nett\"}", NULL, "/resource_alias"},
    {"{\"resource_alias\":\"sec\"}", NULL, "/resource_alias"},
    {"{\"destination\":{\"alias\":\"net\"}}", NULL, "/destination/alias"},
    {"{\"destination\":null}", "{\"destination\":null}", NULL},
};

static void fill_target(struct slu_target *target, struct slu_alias *resources,
                        struct slu_alias *destinations)
{
    resources[0] = (struct slu_alias){
        SLU_STR("net"), tree("{\"resource_type\":\"vpc\",\"resource_id\":\"vpc-1\"}")};
    resources[1] = (struct slu_alias){
        SLU_STR("router"), tree("{\"resource_type\":\"router_attachment\",\"resource_id\":\"att\","
                                "\"parent_id\":\"p-1\"}")};
    destinations[0] =
        (struct slu_alias){SLU_STR("sec"), tree("{\"type\":\"sls\",\"group\":\"g\"}")};
    *target = (struct slu_target){.resources = resources,
                                  .resource_count = 2,
                                  .destinations = destinations,
                                  .destination_count = 1};
}

static void test_aliases(void **state)
{
    struct slu_alias resources[2], destinations[1];
    struct slu_target target;

    (void)state;
    fill_target(&target, resources, destinations);
    for (size_t i = 0; i < SLU_COUNT(aliases); i++) {
        struct slu_value *flow_log = tree(aliases[i].given);
        bool good;

        slu_mistakes_init(&mistakes, &arena);
        good = slu_aliases_resolve(&target, flow_log, &arena, &mistakes);
        assert_int_equal(good, aliases[i].expected != NULL);
        assert_int_equal(mistakes.count, good ? 0 : 1);
        if (good)
            assert_json(flow_log, aliases[i].expected);
        else
            assert_str(mistakes.first->pointer, aliases[i].pointer);
    }
    /* The catalog's own trees are only copied from. */
    assert_json(resources[0].members, "{\"resource_type\":\"vpc\",\"resource_id\":\"vpc-1\"}");
    assert_int_equal(resources[1].members->count, 3);
}

static void test_unknown_alias_names_the_others(void **state)
{
    struct slu_alias resources[2], destinations[1];
    struct slu_target target;

    (void)state;
    fill_target(&target, resources, destinations);
    slu_mistakes_init(&mistakes, &arena);
    assert_false(slu_aliases_resolve(
        &target, tree("{\"resource_alias\":\"x\",\"destination\":{\"alias\":\"y\"}}"), &arena,
        &mistakes));
    assert_int_equal(mistakes.count, 2);
    assert_int_equal(mistakes.first->kind, SLU_FAULT_INVALID);
    assert_str(mistakes.first->detail, "the target has no alias \"x\"; it has net, router");
    target.resource_count = target.destination_count = 0;
    slu_mistakes_init(&mistakes, &arena);
    assert_false(
        slu_aliases_resolve(&target, tree("{\"resource_alias\":\"x\"}"), &arena, &mistakes));
    assert_str(mistakes.first->detail, "the target has no alias \"x\"; it has no such aliases");
}

/* Backwards: from what is said to the name, and to what the name means on the other side. */
static void test_aliases_backwards(void **state)
{
    const struct slu_alias here[] = {
        {SLU_STR("wide"), tree("{\"type\":\"s3\"}")},
        {SLU_STR("security"), tree("{\"type\":\"s3\",\"arn\":\"a\"}")},
        {SLU_STR("twin"), tree("{\"type\":\"lts\"}")},
        {SLU_STR("alone"), tree("{\"type\":\"lts\",\"group\":\"g\"}")},
        {SLU_STR("nothing"), tree("{}")},
    };
    const struct slu_alias there[] = {{SLU_STR("security"), tree("{}")},
                                      {SLU_STR("wide"), tree("{}")},
                                      {SLU_STR("twin"), tree("{}")}};
    const struct slu_aliases from = {here, SLU_COUNT(here)}, to = {there, SLU_COUNT(there)};
    const struct {
        const char *said;
        bool whole;
        enum slu_alias_fit fit;
        const struct slu_alias *from, *to;
    } cases[] = {
        {"{\"type\":\"s3\",\"arn\":\"a\"}", true, SLU_ALIAS_FOUND, &here[1], &there[0]},
        {"{\"type\":\"s3\",\"arn\":\"a\",\"role\":\"r\"}", false, SLU_ALIAS_FOUND, &here[1],
         &there[0]},
        {"{\"type\":\"s3\",\"arn\":\"a\",\"role\":\"r\"}", true, SLU_ALIAS_NONE, NULL, NULL},
        {"{\"type\":\"s3\",\"arn\":null}", true, SLU_ALIAS_FOUND, &here[0], &there[1]},
        {"{\"type\":\"lts\",\"group\":\"g\"}", false, SLU_ALIAS_FOUND, &here[2], &there[2]},
        {"{\"type\":\"lts\",\"group\":\"g\"}", true, SLU_ALIAS_ALONE, &here[3], NULL},
        {"{\"type\":\"sls\"}", false, SLU_ALIAS_NONE, NULL, NULL},
        {"{}", true, SLU_ALIAS_NONE, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        const struct slu_alias *ret_from = NULL, *ret_to = NULL;

        assert_int_equal(
            slu_alias_carry(from, to, tree(cases[i].said), cases[i].whole, &ret_from, &ret_to),
            cases[i].fit);
        assert_ptr_equal(ret_from, cases[i].from);
        assert_ptr_equal(ret_to, cases[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_aliases_backwards, begin, end),
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_targets_by_name),
        cmocka_unit_test(test_callers_by_key),
        cmocka_unit_test(test_rights),
        cmocka_unit_test_setup_teardown(test_aliases, begin, end),
        cmocka_unit_test_setup_teardown(test_unknown_alias_names_the_others, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
