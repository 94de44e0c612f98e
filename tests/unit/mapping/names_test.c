/* What a door onto another cloud asks its table: native names, what goes without saying, and
 * whether an answer tells all. */
#include "tree.h"

#include "mapping/table.h"

static struct slu_table *load(const char *dialect)
{
    struct slu_table *table;

    table = slu_table_load(
        slu_arena_printf(&arena, "%s/mappings/%s.json", SLU_SOURCE_DIR, dialect).p, &mistakes);
    assert_non_null(table);
    return table;
}

static void test_native_names(void **state)
{
    static const struct {
        const char *dialect;
        enum slu_operation operation;
        const char *pointer, *name; /* NULL: there is none */
    } cases[] = {
        {"alibaba-vpc", SLU_OP_CREATE, "/resource_id", "ResourceId"},
        {"alibaba-vpc", SLU_OP_CREATE, "/destination", "ProjectName"},
        {"alibaba-vpc", SLU_OP_CREATE, "/destination/stream", "LogStoreName"},
        {"alibaba-vpc", SLU_OP_CREATE, "/tags/team", "Tag"},
        {"alibaba-vpc", SLU_OP_CREATE, "/native/IpVersion", "IpVersion"},
        {"alibaba-vpc", SLU_OP_CREATE, "/index", NULL},
        {"alibaba-vpc", SLU_OP_DISABLE, "/enabled", NULL},
        {"alibaba-vpc", SLU_OP_GET, "", NULL},
        {"otc-vpc", SLU_OP_UPDATE, "/enabled", "admin_state"},
        {"otc-er", SLU_OP_CREATE, "/destination/stream", "log_stream_id"},
        {"aws-ec2", SLU_OP_UPDATE, "/tags", "Tag"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        slu_auto(slu_table) *table = load(cases[i].dialect);
        struct slu_str name =
            slu_table_native_name(table, cases[i].operation, slu_str_of(cases[i].pointer), &arena);

        assert_int_equal(name.p != NULL, cases[i].name != NULL);
        if (cases[i].name)
            assert_str(name, cases[i].name);
    }
}

static void test_what_goes_without_saying(void **state)
{
    static const struct {
        const char *dialect, *said, *meant;
    } cases[] = {
        {"otc-er", "{}", "{\"traffic_type\":\"all\",\"enabled\":true}"},
        {"otc-er", "{\"traffic_type\":\"reject\",\"enabled\":false}",
         "{\"traffic_type\":\"reject\",\"enabled\":false}"},
        {"otc-vpc", "{\"name\":\"a\"}", "{\"name\":\"a\",\"enabled\":true}"},
        {"aws-ec2", "{\"resource_type\":\"vpc\"}", "{\"resource_type\":\"vpc\",\"enabled\":true}"},
        {"aws-ec2", "{\"resource_type\":\"router\"}",
         "{\"resource_type\":\"router\",\"traffic_type\":\"all\",\"enabled\":true}"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        slu_auto(slu_table) *table = load(cases[i].dialect);
        struct slu_value *said = tree(cases[i].said);

        slu_table_imply(table, said, &arena);
        assert_true(slu_value_equal(said, tree(cases[i].meant)));
    }
}

static void test_tells(void **state)
{
    slu_auto(slu_table) *net = load("otc-vpc");
    slu_auto(slu_table) *ali = load("alibaba-vpc");

    (void)state;
    assert_true(slu_table_tells(net, SLU_OP_CREATE));
    assert_true(slu_table_tells(net, SLU_OP_UPDATE));
    assert_false(slu_table_tells(net, SLU_OP_DELETE));
    assert_true(slu_table_tells(ali, SLU_OP_GET));
    assert_false(slu_table_tells(ali, SLU_OP_CREATE));
    assert_false(slu_table_tells(ali, SLU_OP_UPDATE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_native_names, begin, end),
        cmocka_unit_test_setup_teardown(test_what_goes_without_saying, begin, end),
        cmocka_unit_test_setup_teardown(test_tells, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
