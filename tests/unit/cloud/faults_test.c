/* Orders of faults: read with every mistake told, taken as often as ordered, also by threads. */
#include "test.h"

#include "cloud/faults.h"

#include "codec/json.h"

#include <pthread.h>
#include <stdatomic.h>

struct world {
    struct slu_faults *faults;
    struct slu_arena arena;
    struct slu_fault fault;
};

static int setup(void **state)
{
    static struct world world;

    world = (struct world){.faults = slu_faults_new()};
    slu_arena_init(&world.arena, 8 << 20);
    *state = &world;
    return world.faults ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *world = *state;

    slu_faults_free(world->faults);
    slu_arena_done(&world->arena);
    return 0;
}

static struct slu_value *document(struct slu_arena *arena, const char *text)
{
    struct slu_mistakes mistakes;

    slu_mistakes_init(&mistakes, arena);
    return slu_json_read(arena, slu_str_of(text), (struct slu_json_limits){0}, &mistakes);
}

static struct slu_faults_order order_of(struct world *world, const char *text)
{
    struct slu_faults_order order = {0};
    struct slu_mistakes mistakes;

    slu_mistakes_init(&mistakes, &world->arena);
    if (!slu_faults_read(document(&world->arena, text), &order, &mistakes))
        fail_msg("%s: %.*s", text, SLU_FMT(mistakes.first->detail));
    return order;
}

static void want(struct world *world, const char *text)
{
    struct slu_faults_order order = order_of(world, text);

    assert_true(slu_faults_add(world->faults, &order, &world->fault));
}

static enum slu_trouble taken(struct world *world, const char *target, enum slu_operation operation)
{
    struct slu_faults_order order = {0};

    return slu_faults_take(world->faults, slu_str_of(target), operation, &order) ? order.trouble
                                                                                 : SLU_TROUBLE_NONE;
}

/* Each order is read, and told again in full. */
static const struct {
    const char *order, *told;
} orders[] = {
    {"{\"target\":\"m\",\"fault\":\"slow\",\"delay_ms\":5}",
     "{\"target\":\"m\",\"operation\":\"any\",\"fault\":\"slow\",\"delay_ms\":5,\"count\":1,"
     "\"after\":0}"},
    {"{\"target\":\"m\",\"fault\":\"lost_reply\",\"operation\":\"create\",\"count\":3,\"after\":2}",
     "{\"target\":\"m\",\"operation\":\"create\",\"fault\":\"lost_reply\",\"delay_ms\":0,\"count\":"
     "3,"
     "\"after\":2}"},
    {"{\"target\":\"m\",\"fault\":\"cut_reply\",\"operation\":\"any\"}",
     "{\"target\":\"m\",\"operation\":\"any\",\"fault\":\"cut_reply\",\"delay_ms\":0,\"count\":1,"
     "\"after\":0}"},
    {"{\"target\":\"m\",\"fault\":\"reset\",\"operation\":\"list\",\"delay_ms\":300000}",
     "{\"target\":\"m\",\"operation\":\"list\",\"fault\":\"reset\",\"delay_ms\":300000,\"count\":1,"
     "\"after\":0}"},
    {"{\"target\":\"m\",\"fault\":\"throttled\"}",
     "{\"target\":\"m\",\"operation\":\"any\",\"fault\":\"throttled\",\"delay_ms\":0,"
     "\"retry_after_s\":1,\"count\":1,\"after\":0}"},
    {"{\"target\":\"m\",\"fault\":\"throttled\",\"retry_after_s\":7}",
     "{\"target\":\"m\",\"operation\":\"any\",\"fault\":\"throttled\",\"delay_ms\":0,"
     "\"retry_after_s\":7,\"count\":1,\"after\":0}"},
    {"{\"target\":\"m\",\"fault\":\"error\",\"code\":\"resource_not_found\"}",
     "{\"target\":\"m\",\"operation\":\"any\",\"fault\":\"error\",\"code\":\"resource_not_found\","
     "\"delay_ms\":0,\"count\":1,\"after\":0}"},
};

static void reads_orders_and_tells_them(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(orders); i++) {
        struct slu_faults_order order = order_of(world, orders[i].order);
        struct slu_buf out;

        slu_buf_init(&out, 0);
        slu_json_write(&out, slu_faults_order_value(&world->arena, &order));
        assert_str(slu_buf_str(&out), orders[i].told);
        slu_buf_done(&out);
    }
}

static const struct {
    const char *order, *pointers; /* of all mistakes, in order */
} refused[] = {
    {"[]", ";"},
    {"{}", "/target;/fault;"},
    {"{\"target\":1,\"fault\":null}", "/target;/fault;"},
    {"{\"target\":\"\",\"fault\":\"reset\"}", "/target;"},
    {"{\"target\":\"m\",\"fault\":\"slwo\",\"operation\":\"craete\"}", "/fault;/operation;"},
    {"{\"target\":\"m\",\"fault\":\"none\"}", "/fault;"},
    {"{\"target\":\"m\",\"fault\":\"slow\"}", "/delay_ms;"},
    {"{\"target\":\"m\",\"fault\":\"slow\",\"delay_ms\":0}", "/delay_ms;"},
    {"{\"target\":\"m\",\"fault\":\"slow\",\"delay_ms\":300001}", "/delay_ms;"},
    {"{\"target\":\"m\",\"fault\":\"reset\",\"count\":0,\"after\":-1}", "/count;/after;"},
    {"{\"target\":\"m\",\"fault\":\"reset\",\"count\":1.5,\"after\":\"1\"}", "/count;/after;"},
    {"{\"target\":\"m\",\"fault\":\"error\"}", "/code;"},
    {"{\"target\":\"m\",\"fault\":\"error\",\"code\":\"none\"}", "/code;"},
    {"{\"target\":\"m\",\"fault\":\"error\",\"code\":\"not_fuond\"}", "/code;"},
    {"{\"target\":\"m\",\"fault\":\"reset\",\"code\":\"not_found\",\"retry_after_s\":1}",
     "/code;/retry_after_s;"},
    {"{\"target\":\"m\",\"fault\":\"reset\",\"delay\":1,\"x/y\":2}", "/delay;/x~1y;"},
};

static void refuses_with_every_mistake(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(refused); i++) {
        struct slu_faults_order order = {.count = 77};
        struct slu_mistakes mistakes;
        struct slu_buf pointers;

        slu_buf_init(&pointers, 0);
        slu_mistakes_init(&mistakes, &world->arena);
        assert_false(slu_faults_read(document(&world->arena, refused[i].order), &order, &mistakes));
        for (const struct slu_mistake *one = mistakes.first; one; one = one->next) {
            assert_int_equal(one->kind, SLU_FAULT_INVALID);
            slu_buf_printf(&pointers, "%.*s;", SLU_FMT(one->pointer));
        }
        assert_str(slu_buf_str(&pointers), refused[i].pointers);
        assert_int_equal(order.count, 77); /* written on success only */
        slu_buf_done(&pointers);
    }
}

static void each_is_taken_as_often_as_ordered(void **state)
{
    struct world *world = *state;

    want(world, "{\"target\":\"m\",\"fault\":\"reset\",\"count\":2}");
    assert_int_equal(taken(world, "other", SLU_OP_GET), SLU_TROUBLE_NONE);
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_RESET);
    assert_int_equal(taken(world, "m", SLU_OP_CREATE), SLU_TROUBLE_RESET);
    assert_int_equal(taken(world, "m", SLU_OP_CREATE), SLU_TROUBLE_NONE);
}

static void only_its_operation_takes_it(void **state)
{
    struct world *world = *state;

    want(world, "{\"target\":\"m\",\"fault\":\"lost_reply\",\"operation\":\"delete\"}");
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_NONE);
    assert_int_equal(taken(world, "m", SLU_OP_DELETE), SLU_TROUBLE_LOST_REPLY);
    assert_int_equal(taken(world, "m", SLU_OP_DELETE), SLU_TROUBLE_NONE);
}

/* `after` counts every call that the order is for, also those that another order takes. */
static void some_pass_before(void **state)
{
    struct world *world = *state;

    want(world, "{\"target\":\"m\",\"fault\":\"reset\"}");
    want(world, "{\"target\":\"m\",\"fault\":\"throttled\",\"after\":2}");
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_RESET);
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_NONE);
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_THROTTLED);
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_NONE);
}

static void tells_what_is_to_come_and_forgets_it(void **state)
{
    struct world *world = *state;
    struct slu_value *list;

    want(world, "{\"target\":\"m\",\"fault\":\"reset\",\"count\":3,\"after\":1}");
    want(world, "{\"target\":\"n\",\"fault\":\"throttled\"}");
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_NONE);
    assert_int_equal(taken(world, "m", SLU_OP_GET), SLU_TROUBLE_RESET);
    list = slu_faults_list(world->faults, &world->arena, &world->fault);
    assert_non_null(list);
    assert_int_equal(list->count, 2);
    assert_str(slu_value_member(list->first, "count")->text, "2");
    assert_str(slu_value_member(list->first, "after")->text, "0");
    assert_str(slu_value_member(list->last, "target")->text, "n");
    assert_int_equal(slu_faults_clear(world->faults), 2);
    assert_int_equal(taken(world, "n", SLU_OP_GET), SLU_TROUBLE_NONE);
    assert_int_equal(slu_faults_list(world->faults, &world->arena, &world->fault)->count, 0);
}

static void there_is_a_most(void **state)
{
    struct world *world = *state;
    struct slu_faults_order order = order_of(world, "{\"target\":\"m\",\"fault\":\"reset\"}");

    for (int i = 0; i < SLU_FAULTS_MOST; i++)
        assert_true(slu_faults_add(world->faults, &order, &world->fault));
    assert_false(slu_faults_add(world->faults, &order, &world->fault));
    assert_int_equal(world->fault.kind, SLU_FAULT_QUOTA);
}

enum { THREADS = 4, ROUNDS = 500 };

struct race {
    struct slu_faults *faults;
    atomic_uint taken;
};

static void *take_many(void *argument)
{
    struct race *race = argument;
    struct slu_faults_order order;
    struct slu_faults_order more = {
        SLU_STR_INIT("m"), SLU_OP_COUNT, SLU_TROUBLE_RESET, SLU_FAULT_NONE, 0, 0, 1, 0};

    for (int i = 0; i < ROUNDS; i++) {
        race->taken += slu_faults_take(race->faults, SLU_STR("m"), SLU_OP_GET, &order);
        if (!slu_faults_add(race->faults, &more, NULL))
            return NULL;
        race->taken += slu_faults_take(race->faults, SLU_STR("m"), SLU_OP_GET, &order);
    }
    return race;
}

static void threads_take_each_once(void **state)
{
    struct world *world = *state;
    struct race race = {.faults = world->faults};
    pthread_t threads[THREADS];

    want(world, "{\"target\":\"m\",\"fault\":\"reset\",\"count\":1000}");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &race), 0);
    for (int i = 0; i < THREADS; i++) {
        void *end;

        pthread_join(threads[i], &end);
        assert_non_null(end);
    }
    while (taken(world, "m", SLU_OP_GET) != SLU_TROUBLE_NONE)
        race.taken++;
    assert_int_equal(race.taken, 1000 + THREADS * ROUNDS);
}

static bool order_take_and_list(void *context)
{
    slu_auto(slu_faults) *faults = slu_faults_new();
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_faults_order order, got;
    struct slu_fault fault = {0};
    bool good = false;

    (void)context;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    if (faults &&
        slu_faults_read(document(&arena, "{\"target\":\"m\",\"fault\":\"reset\",\"count\":2}"),
                        &order, &mistakes) &&
        slu_faults_add(faults, &order, &fault) &&
        slu_faults_take(faults, SLU_STR("m"), SLU_OP_GET, &got))
        good = slu_faults_list(faults, &arena, &fault) != NULL;
    slu_arena_done(&arena);
    return good;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(test_every_allocation(order_take_and_list, NULL) > 2);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(reads_orders_and_tells_them),
        IN_WORLD(refuses_with_every_mistake),
        IN_WORLD(each_is_taken_as_often_as_ordered),
        IN_WORLD(only_its_operation_takes_it),
        IN_WORLD(some_pass_before),
        IN_WORLD(tells_what_is_to_come_and_forgets_it),
        IN_WORLD(there_is_a_most),
        IN_WORLD(threads_take_each_once),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
