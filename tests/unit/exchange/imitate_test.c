/* Faults ordered of the memory cloud, as callers of the REST side see them: what is answered,
 * whether the cloud acted, and callers who leave while an answer is delayed. Doors: tests/cases. */
#include "world.h"

#define MEMORY_FLOW_LOGS "/v1/targets/memory/flow-logs"

static void order(struct world *world, enum slu_trouble trouble, enum slu_operation operation,
                  enum slu_fault_kind code, uint32_t delay_ms)
{
    struct slu_faults_order wanted = {SLU_STR("memory"),
                                      operation,
                                      trouble,
                                      code,
                                      delay_ms,
                                      trouble == SLU_TROUBLE_THROTTLED ? 7 : 0,
                                      1,
                                      0};
    struct slu_fault fault = {0};

    assert_true(slu_faults_add(world->gateway.faults, &wanted, &fault));
}

static const struct answer *create(struct world *world)
{
    return talk_once(world, PORTAL_KEY, MEMORY_FLOW_LOGS, "", net_flow_log);
}

/* The flow logs that the cloud has: the same content twice is a conflict, so one at the most. */
static size_t kept(struct world *world)
{
    struct slu_memory_call call = {SLU_STR("memory"), &world->arena, INT64_MAX / 2, {0, 0}};
    struct slu_fault fault = {0};

    return slu_memory_list(world->gateway.memory, &call, &fault)->count;
}

static const struct {
    enum slu_trouble trouble;
    enum slu_fault_kind code;
    uint32_t delay_ms;
    int status;
    const char *said; /* the code; NULL: success */
    bool retryable, acted;
    const char *head;
} ends[] = {
    {SLU_TROUBLE_SLOW, SLU_FAULT_NONE, 20, 201, NULL, false, true, ""},
    {SLU_TROUBLE_SLOW, SLU_FAULT_NONE, 20000, 504, "upstream_timeout", false, true, ""},
    {SLU_TROUBLE_LOST_REPLY, SLU_FAULT_NONE, 0, 502, "upstream_connection_broken", false, true, ""},
    {SLU_TROUBLE_CUT_REPLY, SLU_FAULT_NONE, 0, 502, "upstream_connection_broken", false, true, ""},
    {SLU_TROUBLE_RESET, SLU_FAULT_NONE, 0, 502, "upstream_connection_broken", false, false, ""},
    {SLU_TROUBLE_RESET, SLU_FAULT_NONE, 20, 502, "upstream_connection_broken", false, false, ""},
    {SLU_TROUBLE_THROTTLED, SLU_FAULT_THROTTLED, 0, 429, "throttled", true, false,
     "retry-after: 7\r\n"},
    {SLU_TROUBLE_ERROR, SLU_FAULT_QUOTA, 0, 409, "quota_exceeded", false, false, ""},
    {SLU_TROUBLE_ERROR, SLU_FAULT_RESOURCE_NOT_FOUND, 20, 422, "resource_not_found", false, false,
     ""},
};

static void each_is_told_as_a_clouds_fault(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(ends); i++) {
        const struct answer *answer;
        struct slu_value *told;

        world_begin_anew(world);
        ((struct slu_target *)slu_catalog_target(world->gateway.catalog, SLU_STR("memory")))
            ->timeout_ms = 300;
        order(world, ends[i].trouble, SLU_OP_CREATE, ends[i].code, ends[i].delay_ms);
        answer = create(world);
        told = read_json(world, answer->body);
        assert_int_equal(answer->status, ends[i].status);
        assert_non_null(strcasestr(answer->text, ends[i].head));
        if (ends[i].said) {
            assert_str(text_of(told, "code"), ends[i].said);
            assert_int_equal(slu_value_member(told, "retryable")->truth, ends[i].retryable);
        }
        assert_int_equal(kept(world), ends[i].acted);
        assert_int_equal(create(world)->status, ends[i].acted ? 409 : 201); /* once only */
    }
}

/* The caller leaves at once; whoever looks finds what the cloud did. */
static void leave_during_a_delay(struct world *world, const char *body)
{
    int fd = dial(world, FRONT_REST);

    order(world, SLU_TROUBLE_SLOW, body ? SLU_OP_CREATE : SLU_OP_GET, SLU_FAULT_NONE,
          body ? 200 : 5000);
    ask(fd, PORTAL_KEY, body ? MEMORY_FLOW_LOGS : MEMORY_FLOW_LOGS "/fl-none", "", body);
    usleep(50000);
    close(fd);
}

static void one_who_leaves_ends_a_read(void **state)
{
    struct world *world = *state;

    leave_during_a_delay(world, NULL);
    assert_str(text_of(world_line(world, 0), "end"), "CM"); /* long before the delay is over */
}

static void one_who_leaves_does_not_undo_a_write(void **state)
{
    struct world *world = *state;

    leave_during_a_delay(world, net_flow_log);
    world_line_text(world, 0);
    assert_int_equal(kept(world), 1);
}

/* The worker ends while an answer is delayed: nothing is waited for, nothing is kept. */
static void a_delay_does_not_keep_a_worker(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);

    order(world, SLU_TROUBLE_SLOW, SLU_OP_CREATE, SLU_FAULT_NONE, 5000);
    ask(fd, PORTAL_KEY, MEMORY_FLOW_LOGS, "", net_flow_log);
    usleep(50000);
    world_end_worker(world);
    close(fd);
    assert_int_equal(kept(world), 1);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_start, world_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(each_is_told_as_a_clouds_fault),
        IN_WORLD(one_who_leaves_ends_a_read),
        IN_WORLD(one_who_leaves_does_not_undo_a_write),
        IN_WORLD(a_delay_does_not_keep_a_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
