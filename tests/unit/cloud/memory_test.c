/* The memory cloud: states over time, conflicts, separate clouds, and no leak when memory ends. */
#include "test.h"

#include "cloud/memory.h"

#include "codec/json.h"

struct world {
    struct slu_memory *memory;
    struct slu_arena arena;
    struct slu_fault fault;
};

static int setup(void **state)
{
    static struct world world;

    world = (struct world){.memory = slu_memory_new()};
    slu_arena_init(&world.arena, 1 << 20);
    *state = &world;
    return world.memory ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *world = *state;

    slu_memory_free(world->memory);
    slu_arena_done(&world->arena);
    return 0;
}

static struct slu_value *document(struct world *world, const char *text)
{
    struct slu_mistakes mistakes;
    struct slu_value *value;

    slu_mistakes_init(&mistakes, &world->arena);
    value = slu_json_read(&world->arena, slu_str_of(text), (struct slu_json_limits){0}, &mistakes);
    assert_non_null(value);
    return value;
}

static struct slu_memory_call call_at(struct world *world, const char *cloud, int64_t now_ms)
{
    return (struct slu_memory_call){slu_str_of(cloud), &world->arena, now_ms};
}

static const char edge[] =
    "{\"name\":\"edge\",\"resource_type\":\"vpc\",\"resource_id\":\"v-1\","
    "\"traffic_type\":\"all\",\"destination\":{\"type\":\"lts\",\"group\":\"g\"}}";

static void settles_after_its_time(void **state)
{
    struct world *world = *state;
    struct slu_memory_call early = call_at(world, "a", 1000), late = call_at(world, "a", 1400);
    struct slu_value *made = slu_memory_create(world->memory, &early, document(world, edge),
                                               SLU_STR("id-1"), 400, &world->fault);
    struct slu_value *seen;

    assert_non_null(made);
    assert_str(slu_value_member(made, "status")->text, "creating");
    assert_str(slu_value_member(made, "id")->text, "id-1");
    assert_str(slu_value_member(made, "created_at")->text, "1970-01-01T00:00:01Z");
    seen = slu_memory_get(world->memory, &late, SLU_STR("id-1"), &world->fault);
    assert_non_null(seen);
    assert_str(slu_value_member(seen, "status")->text, "active");
    assert_str(slu_value_member(seen, "name")->text, "edge");
}

static void refuses_the_same_content_twice(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = call_at(world, "a", 0), other = call_at(world, "b", 0);

    assert_non_null(slu_memory_create(world->memory, &call, document(world, edge), SLU_STR("1"), 0,
                                      &world->fault));
    assert_null(slu_memory_create(world->memory, &call, document(world, edge), SLU_STR("2"), 0,
                                  &world->fault));
    assert_int_equal(world->fault.kind, SLU_FAULT_CONFLICT);
    world->fault = (struct slu_fault){0};
    assert_non_null(slu_memory_create(world->memory, &other, document(world, edge), SLU_STR("1"), 0,
                                      &world->fault));
}

static void keeps_clouds_apart_and_deletes(void **state)
{
    struct world *world = *state;
    struct slu_memory_call a = call_at(world, "a", 0), b = call_at(world, "b", 0);

    assert_non_null(slu_memory_create(world->memory, &a, document(world, edge), SLU_STR("1"), 0,
                                      &world->fault));
    assert_null(slu_memory_get(world->memory, &b, SLU_STR("1"), &world->fault));
    assert_int_equal(world->fault.kind, SLU_FAULT_NOT_FOUND);
    assert_int_equal(slu_memory_list(world->memory, &a, &world->fault)->count, 1);
    assert_int_equal(slu_memory_list(world->memory, &b, &world->fault)->count, 0);
    assert_true(slu_memory_delete(world->memory, &a, SLU_STR("1"), &world->fault));
    assert_int_equal(slu_memory_list(world->memory, &a, &world->fault)->count, 0);
    world->fault = (struct slu_fault){0};
    assert_false(slu_memory_delete(world->memory, &a, SLU_STR("1"), &world->fault));
    assert_int_equal(world->fault.kind, SLU_FAULT_NOT_FOUND);
    assert_non_null(slu_memory_create(world->memory, &a, document(world, edge), SLU_STR("2"), 0,
                                      &world->fault));
}

static bool create_and_look(void *context)
{
    struct world world = {.memory = slu_memory_new()};
    struct slu_memory_call call;
    struct slu_mistakes mistakes;
    struct slu_value *flow_log;
    bool good = false;

    (void)context;
    if (!world.memory)
        return false;
    slu_arena_init(&world.arena, 1 << 20);
    slu_mistakes_init(&mistakes, &world.arena);
    call = call_at(&world, "a", 0);
    flow_log =
        slu_json_read(&world.arena, slu_str_of(edge), (struct slu_json_limits){0}, &mistakes);
    if (flow_log && slu_memory_create(world.memory, &call, flow_log, SLU_STR("1"), 0, &world.fault))
        good = slu_memory_list(world.memory, &call, &world.fault) != NULL;
    slu_memory_free(world.memory);
    slu_arena_done(&world.arena);
    return good;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(test_every_allocation(create_and_look, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(settles_after_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_the_same_content_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_clouds_apart_and_deletes, setup, teardown),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
