/* The memory cloud: states over time, what is refused, changes, separate clouds, many flow logs,
 * many threads, and no leak when memory ends. Time is passed in. */
#include "test.h"

#include "cloud/memory.h"

#include "codec/json.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct world {
    struct slu_memory *memory;
    struct slu_arena arena;
    struct slu_fault fault;
};

static int setup(void **state)
{
    static struct world world;

    world = (struct world){.memory = slu_memory_new()};
    slu_arena_init(&world.arena, 64 << 20);
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
    return (struct slu_memory_call){slu_str_of(cloud), &world->arena, now_ms, {0, 0}};
}

static struct slu_memory_call slow_call(struct world *world, int64_t now_ms)
{
    return (struct slu_memory_call){SLU_STR("a"), &world->arena, now_ms, {400, 0}};
}

static const char edge[] =
    "{\"name\":\"edge\",\"description\":\"d\",\"resource_type\":\"vpc\",\"resource_id\":\"v-1\","
    "\"traffic_type\":\"all\",\"destination\":{\"type\":\"lts\",\"group\":\"g\"},"
    "\"tags\":{\"a\":\"1\",\"b\":\"2\"}}";
static const char other[] =
    "{\"name\":\"other\",\"resource_type\":\"vpc\",\"resource_id\":\"v-1\","
    "\"traffic_type\":\"reject\",\"destination\":{\"type\":\"lts\",\"group\":\"g\"}}";

static struct slu_value *make(struct world *world, const struct slu_memory_call *call,
                              const char *text, const char *id)
{
    return slu_memory_create(world->memory, call, document(world, text), slu_str_of(id),
                             &world->fault);
}

static const char *status(const struct slu_value *flow_log)
{
    return flow_log ? slu_value_member(flow_log, "status")->text.p : "(none)";
}

static struct slu_value *look(struct world *world, int64_t now_ms, const char *id)
{
    struct slu_memory_call call = call_at(world, "a", now_ms);

    world->fault = (struct slu_fault){0};
    return slu_memory_get(world->memory, &call, slu_str_of(id), &world->fault);
}

static struct slu_value *patched(struct world *world, const struct slu_memory_call *call,
                                 const char *text)
{
    world->fault = (struct slu_fault){0};
    return slu_memory_update(world->memory, call, SLU_STR("1"), document(world, text),
                             &world->fault);
}

static bool says(const struct slu_value *flow_log, const char *text)
{
    struct slu_buf out;
    bool found;

    slu_buf_init(&out, 0);
    slu_json_write(&out, flow_log);
    found = memmem(out.p, out.n, text, strlen(text)) != NULL;
    slu_buf_done(&out);
    return found;
}

static void settles_after_its_time(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = slow_call(world, 1000);
    struct slu_value *made = make(world, &call, edge, "1");

    assert_non_null(made);
    assert_string_equal(status(made), "creating");
    assert_str(slu_value_member(made, "id")->text, "1");
    assert_str(slu_value_member(made, "created_at")->text, "1970-01-01T00:00:01Z");
    assert_true(slu_value_member(made, "enabled")->truth);
    assert_string_equal(status(look(world, 1399, "1")), "creating");
    assert_string_equal(status(look(world, 1400, "1")), "active");
    assert_str(slu_value_member(look(world, 1400, "1"), "name")->text, "edge");
}

static void starts_disabled_when_told_so(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = call_at(world, "a", 0);

    assert_string_equal(status(make(world, &call, "{\"name\":\"n\",\"enabled\":false}", "1")),
                        "disabled");
}

/* Every write on a flow log whose change goes on is refused, and changes nothing. */
static void one_change_at_a_time(void **state)
{
    struct world *world = *state;
    struct slu_memory_call now = slow_call(world, 0), soon = slow_call(world, 399);
    struct slu_fault faults[4] = {{0}};

    assert_non_null(make(world, &now, edge, "1"));
    assert_null(
        slu_memory_update(world->memory, &soon, SLU_STR("1"), document(world, "{}"), &faults[0]));
    assert_null(slu_memory_switch(world->memory, &soon, SLU_STR("1"), false, &faults[1]));
    assert_null(slu_memory_switch(world->memory, &soon, SLU_STR("1"), true, &faults[2]));
    assert_false(slu_memory_delete(world->memory, &soon, SLU_STR("1"), &faults[3]));
    for (size_t i = 0; i < SLU_COUNT(faults); i++)
        assert_int_equal(faults[i].kind, SLU_FAULT_BUSY);
    assert_string_equal(status(look(world, 400, "1")), "active");
}

static void switches(void **state)
{
    struct world *world = *state;
    struct slu_memory_call first = call_at(world, "a", 0), later = slow_call(world, 5000),
                           last = call_at(world, "a", 9000);
    struct slu_value *seen;

    assert_non_null(make(world, &first, edge, "1"));
    seen = slu_memory_switch(world->memory, &later, SLU_STR("1"), false, &world->fault);
    assert_string_equal(status(seen), "updating");
    assert_false(slu_value_member(seen, "enabled")->truth);
    assert_string_equal(status(look(world, 5400, "1")), "disabled");
    assert_str(slu_value_member(look(world, 5400, "1"), "updated_at")->text,
               "1970-01-01T00:00:05Z");
    seen = slu_memory_switch(world->memory, &last, SLU_STR("1"), false, &world->fault);
    assert_string_equal(status(seen), "disabled"); /* it was already: nothing changes */
    assert_str(slu_value_member(seen, "updated_at")->text, "1970-01-01T00:00:05Z");
    seen = slu_memory_switch(world->memory, &last, SLU_STR("1"), true, &world->fault);
    assert_string_equal(status(seen), "active");
    assert_str(slu_value_member(seen, "updated_at")->text, "1970-01-01T00:00:09Z");
    assert_str(slu_value_member(seen, "created_at")->text, "1970-01-01T00:00:00Z");
}

static const struct {
    const char *patch;
    const char *there[3], *gone[2]; /* pieces of the document afterwards */
} patches[] = {
    {"{\"name\":\"new\"}", {"\"name\":\"new\"", "\"description\":\"d\"", "active"}, {"\"edge\""}},
    {"{\"description\":null}", {"\"name\":\"edge\""}, {"description"}},
    {"{\"tags\":{\"a\":null,\"c\":\"3\"}}", {"\"b\":\"2\"", "\"c\":\"3\""}, {"\"a\":\"1\""}},
    {"{\"tags\":null}", {"\"name\":\"edge\""}, {"\"tags\""}},
    {"{\"enabled\":false}", {"\"enabled\":false", "disabled", "\"name\":\"edge\""}, {"active"}},
    {"{\"enabled\":false,\"name\":\"new\"}", {"disabled", "\"name\":\"new\""}, {"active"}},
    {"{\"destination\":{\"stream\":\"s\"}}", {"\"group\":\"g\"", "\"stream\":\"s\""}, {NULL}},
};

static void patches_change_what_they_name(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(patches); i++) {
        struct slu_memory_call call = call_at(world, "a", 0), later = call_at(world, "a", 7000);
        struct slu_value *seen;

        assert_non_null(make(world, &call, edge, "1"));
        seen = patched(world, &later, patches[i].patch);
        assert_non_null(seen);
        assert_true(slu_value_equal(seen, look(world, 7000, "1")));
        assert_true(says(seen, "\"updated_at\":\"1970-01-01T00:00:07Z\""));
        for (size_t p = 0; p < 3 && patches[i].there[p]; p++)
            assert_true(says(seen, patches[i].there[p]));
        for (size_t p = 0; p < 2 && patches[i].gone[p]; p++)
            assert_false(says(seen, patches[i].gone[p]));
        assert_true(slu_memory_delete(world->memory, &later, SLU_STR("1"), &world->fault));
    }
}

static void a_patch_goes_on_behind_its_reply(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = call_at(world, "a", 0), later = slow_call(world, 5000);

    assert_non_null(make(world, &call, edge, "1"));
    assert_string_equal(status(patched(world, &later, "{\"name\":\"edge\"}")), "active");
    assert_string_equal(status(patched(world, &later, "{\"enabled\":true}")), "active");
    assert_string_equal(status(patched(world, &later, "{\"name\":\"new\"}")), "updating");
    assert_null(patched(world, &later, "{\"name\":\"newer\"}"));
    assert_int_equal(world->fault.kind, SLU_FAULT_BUSY);
    assert_string_equal(status(look(world, 5400, "1")), "active");
}

/* By its creation and by a change; but not with itself, with what has gone, or in another cloud. */
static void refuses_the_same_content_twice(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = call_at(world, "a", 0), b = call_at(world, "b", 0);

    assert_non_null(make(world, &call, edge, "1"));
    assert_null(make(world, &call, edge, "2"));
    assert_int_equal(world->fault.kind, SLU_FAULT_CONFLICT);
    world->fault = (struct slu_fault){0};
    assert_non_null(make(world, &b, edge, "1"));
    assert_non_null(make(world, &call, other, "2"));
    assert_null(patched(world, &call, "{\"traffic_type\":\"reject\"}"));
    assert_int_equal(world->fault.kind, SLU_FAULT_CONFLICT);
    assert_non_null(patched(world, &call, "{\"traffic_type\":\"accept\"}"));
    assert_non_null(make(world, &call, edge, "3")); /* what 1 was */
    assert_non_null(patched(world, &call, "{\"description\":\"mine\"}"));
}

static void goes_after_its_time(void **state)
{
    struct world *world = *state;
    struct slu_memory_call first = call_at(world, "a", 0), call = slow_call(world, 1000),
                           then = slow_call(world, 1400);

    assert_non_null(make(world, &first, edge, "1"));
    assert_true(slu_memory_delete(world->memory, &call, SLU_STR("1"), &world->fault));
    assert_string_equal(status(look(world, 1399, "1")), "deleting");
    assert_null(make(world, &call, edge, "2"));
    assert_int_equal(world->fault.kind, SLU_FAULT_CONFLICT);
    world->fault = (struct slu_fault){0};
    assert_int_equal(slu_memory_list(world->memory, &call, &world->fault)->count, 1);
    assert_non_null(make(world, &then, edge, "2"));
    assert_null(look(world, 1400, "1"));
    assert_int_equal(world->fault.kind, SLU_FAULT_NOT_FOUND);
    assert_int_equal(slu_memory_list(world->memory, &then, &world->fault)->count, 1);
}

static void keeps_clouds_apart_and_deletes(void **state)
{
    struct world *world = *state;
    struct slu_memory_call a = call_at(world, "a", 0), b = call_at(world, "b", 0);

    assert_non_null(make(world, &a, edge, "1"));
    assert_null(slu_memory_get(world->memory, &b, SLU_STR("1"), &world->fault));
    assert_int_equal(world->fault.kind, SLU_FAULT_NOT_FOUND);
    assert_int_equal(slu_memory_list(world->memory, &a, &world->fault)->count, 1);
    assert_int_equal(slu_memory_list(world->memory, &b, &world->fault)->count, 0);
    assert_true(slu_memory_delete(world->memory, &a, SLU_STR("1"), &world->fault));
    assert_int_equal(slu_memory_list(world->memory, &a, &world->fault)->count, 0);
    world->fault = (struct slu_fault){0};
    assert_false(slu_memory_delete(world->memory, &a, SLU_STR("1"), &world->fault));
    assert_int_equal(world->fault.kind, SLU_FAULT_NOT_FOUND);
    assert_non_null(make(world, &a, edge, "2"));
}

static const char *numbered(int number)
{
    static char text[256];

    snprintf(text, sizeof(text),
             "{\"name\":\"n\",\"resource_type\":\"vpc\",\"resource_id\":\"v-%d\"}", number);
    return text;
}

static void has_a_quota(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = slow_call(world, 0), later = slow_call(world, 400),
                           last = slow_call(world, 800);

    call.nature.most = later.nature.most = last.nature.most = 2;
    assert_non_null(make(world, &call, numbered(1), "1"));
    assert_non_null(make(world, &call, numbered(2), "2"));
    assert_null(make(world, &call, numbered(3), "3"));
    assert_int_equal(world->fault.kind, SLU_FAULT_QUOTA);
    assert_null(make(world, &call, numbered(2), "3"));
    world->fault = (struct slu_fault){0};
    assert_true(slu_memory_delete(world->memory, &later, SLU_STR("1"), &world->fault));
    assert_null(make(world, &later, numbered(3), "3")); /* what is being deleted counts */
    world->fault = (struct slu_fault){0};
    assert_non_null(make(world, &last, numbered(3), "3"));
}

/* Ten thousand are made, found and listed in the order of their making; a quadratic way through
 * them would take minutes here. */
static void holds_many(void **state)
{
    struct world *world = *state;
    struct slu_memory_call call = call_at(world, "a", 0);
    const struct slu_value *list;
    clock_t began = clock();
    int number = 0;

    for (int i = 0; i < SLU_MEMORY_MOST; i++) {
        char id[16];

        snprintf(id, sizeof(id), "%d", i);
        assert_non_null(make(world, &call, numbered(i), id));
        slu_arena_reset(&world->arena);
    }
    assert_null(make(world, &call, numbered(-1), "one more"));
    assert_int_equal(world->fault.kind, SLU_FAULT_QUOTA);
    for (int i = 0; i < SLU_MEMORY_MOST; i++) {
        char id[16];

        snprintf(id, sizeof(id), "%d", i);
        assert_non_null(look(world, 0, id));
        slu_arena_reset(&world->arena);
    }
    list = slu_memory_list(world->memory, &call, &world->fault);
    assert_non_null(list);
    assert_int_equal(list->count, SLU_MEMORY_MOST);
    slu_value_each (one, list) {
        char id[16];

        snprintf(id, sizeof(id), "%d", number++);
        assert_str(slu_value_member(one, "id")->text, id);
    }
    assert_true((clock() - began) / CLOCKS_PER_SEC < 20);
}

enum { THREADS = 4, ROUNDS = 200 };

struct race {
    struct slu_memory *memory;
    int number;
    bool good;
};

/* Each thread has flow logs of its own; all are in one cloud. */
static bool live_once(struct race *race, int round)
{
    struct slu_arena arena;
    struct slu_memory_call call = {SLU_STR_INIT("a"), &arena, round, {0, 0}};
    struct slu_fault fault = {0};
    struct slu_value *flow_log;
    struct slu_str id;
    bool good;

    slu_arena_init(&arena, 16 << 20);
    id = slu_arena_printf(&arena, "%d", race->number);
    flow_log = slu_value_new(&arena, SLU_OBJECT);
    slu_value_put(flow_log, SLU_STR("resource_id"), slu_value_string(&arena, id));
    good = slu_memory_create(race->memory, &call, flow_log, id, &fault) &&
           slu_memory_switch(race->memory, &call, id, false, &fault) &&
           slu_memory_update(race->memory, &call, id, flow_log, &fault) &&
           slu_memory_list(race->memory, &call, &fault) &&
           slu_memory_get(race->memory, &call, id, &fault) &&
           slu_memory_delete(race->memory, &call, id, &fault);
    slu_arena_done(&arena);
    return good;
}

static void *live(void *argument)
{
    struct race *race = argument;

    race->good = true;
    for (int i = 0; i < ROUNDS; i++)
        race->good = race->good && live_once(race, i);
    return NULL;
}

static void serves_threads(void **state)
{
    struct world *world = *state;
    struct race races[THREADS];
    pthread_t threads[THREADS];
    struct slu_memory_call call = call_at(world, "a", 0);

    for (int i = 0; i < THREADS; i++) {
        races[i] = (struct race){world->memory, i, false};
        assert_int_equal(pthread_create(&threads[i], NULL, live, &races[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(races[i].good);
    }
    assert_int_equal(slu_memory_list(world->memory, &call, &world->fault)->count, 0);
}

/* A life in which any allocation may fail; what fails has changed nothing. */
static bool whole_life(void *context)
{
    struct world world = {.memory = slu_memory_new()};
    struct slu_memory_call call;
    struct slu_mistakes mistakes;
    struct slu_value *flow_log, *patch;
    struct slu_str id = SLU_STR("1");
    bool good = false;

    (void)context;
    if (!world.memory)
        return false;
    slu_arena_init(&world.arena, 64 << 20);
    slu_mistakes_init(&mistakes, &world.arena);
    call = call_at(&world, "a", 0);
    flow_log =
        slu_json_read(&world.arena, slu_str_of(edge), (struct slu_json_limits){0}, &mistakes);
    patch = slu_json_read(&world.arena, SLU_STR("{\"name\":\"new\",\"tags\":{\"c\":\"3\"}}"),
                          (struct slu_json_limits){0}, &mistakes);
    if (flow_log && patch)
        good = slu_memory_create(world.memory, &call, flow_log, id, &world.fault) &&
               slu_memory_update(world.memory, &call, id, patch, &world.fault) &&
               slu_memory_switch(world.memory, &call, id, false, &world.fault) &&
               slu_memory_list(world.memory, &call, &world.fault);
    if (!good && flow_log && patch)
        assert_int_equal(world.fault.kind, SLU_FAULT_MEMORY);
    slu_memory_free(world.memory);
    slu_arena_done(&world.arena);
    return good;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(test_every_allocation(whole_life, NULL) > 3);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(settles_after_its_time),
        IN_WORLD(starts_disabled_when_told_so),
        IN_WORLD(one_change_at_a_time),
        IN_WORLD(switches),
        IN_WORLD(patches_change_what_they_name),
        IN_WORLD(a_patch_goes_on_behind_its_reply),
        IN_WORLD(refuses_the_same_content_twice),
        IN_WORLD(goes_after_its_time),
        IN_WORLD(keeps_clouds_apart_and_deletes),
        IN_WORLD(has_a_quota),
        IN_WORLD(holds_many),
        IN_WORLD(serves_threads),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
