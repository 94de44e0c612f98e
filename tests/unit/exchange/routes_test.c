/* Paths to routes: captures decoded, what could climb refused, Allow told; openapi.json has them
 * all. */
#include "test.h"

#include "exchange/exchange_internal.h"

static const struct {
    const char *method, *path;
    const char *route; /* NULL: none */
    const char *first, *second;
    const char *allow;
} table[] = {
    {"GET", "/v1/targets", "/v1/targets", NULL, NULL, NULL},
    {"HEAD", "/v1/targets", "/v1/targets", NULL, NULL, NULL},
    {"GET", "/v1/targets/otc-prod", "/v1/targets/{target}", "otc-prod", NULL, NULL},
    {"POST", "/v1/targets/a/flow-logs", "/v1/targets/{target}/flow-logs", "a", NULL, NULL},
    {"GET", "/v1/targets/a/flow-logs/fl%2d1", "/v1/targets/{target}/flow-logs/{id}", "a", "fl-1",
     NULL},
    {"GET", "/v1/targets/a/flow-logs/x%2Fy", "/v1/targets/{target}/flow-logs/{id}", "a", "x/y",
     NULL},
    {"GET", "/v1/targets/a/flow-logs/%2e%2e", NULL, NULL, NULL, NULL},
    {"GET", "/v1/targets/a/flow-logs/.", NULL, NULL, NULL, NULL},
    {"GET", "/v1/targets/a/flow-logs/%00", NULL, NULL, NULL, NULL},
    {"GET", "/v1/targets/a/flow-logs/%ff", NULL, NULL, NULL, NULL},
    {"GET", "/v1/targets/a/flow-logs/", NULL, NULL, NULL, NULL},
    {"GET", "/v1/targets//flow-logs/x", NULL, NULL, NULL, NULL},
    {"GET", "/v1/targets/", NULL, NULL, NULL, NULL},
    {"GET", "/v1//targets", NULL, NULL, NULL, NULL},
    {"GET", "/V1/targets", NULL, NULL, NULL, NULL},
    {"GET", "/", NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/targets", NULL, NULL, NULL, "GET, HEAD"},
    {"PUT", "/v1/targets/a/flow-logs", NULL, NULL, NULL, "POST, GET, HEAD"},
    {"PATCH", "/v1/targets/a/flow-logs/x", "/v1/targets/{target}/flow-logs/{id}", "a", "x", NULL},
    {"DELETE", "/v1/targets/a/flow-logs/x", "/v1/targets/{target}/flow-logs/{id}", "a", "x", NULL},
    {"get", "/v1/targets", NULL, NULL, NULL, "GET, HEAD"},
};

static void finds_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(table); i++) {
        struct slu_str captures[SLU_CAPTURES_MOST] = {0}, allow;
        struct slu_fault fault = {0};
        const struct slu_route *route;
        struct slu_arena arena;

        slu_arena_init(&arena, 1 << 16);
        route = slu_route_find(&arena, slu_str_of(table[i].method), slu_str_of(table[i].path),
                               captures, &allow, &fault);
        if (!table[i].route) {
            assert_null(route);
            assert_int_equal(fault.kind,
                             table[i].allow ? SLU_FAULT_METHOD_NOT_ALLOWED : SLU_FAULT_NOT_FOUND);
        } else {
            assert_non_null(route);
            assert_string_equal(route->path, table[i].route);
        }
        if (table[i].first)
            assert_str(captures[0], table[i].first);
        if (table[i].second)
            assert_str(captures[1], table[i].second);
        if (table[i].allow)
            assert_str(allow, table[i].allow);
        slu_arena_done(&arena);
    }
}

static void openapi_has_every_route(void **state)
{
    size_t count;
    const struct slu_route *routes = slu_routes(&count);
    struct slu_arena arena;
    struct slu_value *document, *paths;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    document = slu_openapi(&arena);
    assert_non_null(document);
    assert_false(arena.failed);
    paths = slu_value_member(document, "paths");
    for (size_t i = 0; i < count; i++) {
        struct slu_value *path = slu_value_find(paths, slu_str_of(routes[i].path));
        bool found = false;

        assert_non_null(path);
        slu_value_each (operation, path)
            found = found || slu_str_eq_nocase(operation->name, slu_str_of(routes[i].method));
        assert_true(found);
    }
    slu_arena_done(&arena);
}

static bool describe(void *context)
{
    struct slu_arena arena;
    bool good;

    (void)context;
    slu_arena_init(&arena, 1 << 20);
    good = slu_openapi(&arena) != NULL && !arena.failed;
    slu_arena_done(&arena);
    return good;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(test_every_allocation(describe, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_routes),
        cmocka_unit_test(openapi_has_every_route),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
