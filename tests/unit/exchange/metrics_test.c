/* Metrics: Prometheus text that parses, buckets that add up, slots that are bounded. */
#include "test.h"

#include "exchange/metrics.h"

#include <stdio.h>

static void writes_what_was_counted(void **state)
{
    struct slu_metrics *metrics = slu_metrics_new();
    struct slu_slot *slot = slu_metrics_slot(metrics, SLU_STR("otc"));
    struct slu_journal_health health = {
        .writable = true, .commits = 5, .writes = 21, .reads = 4, .largest = 9, .failures = 2};
    slu_auto(slu_guards) *guards = slu_guards_new();
    struct slu_gauges gauges = {
        .in_flight = 3, .connections = 7, .journal = &health, .guards = guards};
    struct slu_buf text;

    (void)state;
    assert_ptr_equal(slot, slu_metrics_slot(metrics, SLU_STR("otc")));
    slu_count(&slot->requests[SLU_OP_CREATE][SLU_FAULT_NONE], 2);
    slu_count(&slot->requests[SLU_OP_GET][SLU_FAULT_NOT_FOUND], 1);
    slu_histogram_add(&slot->total, 10);
    slu_histogram_add(&slot->total, 11);
    slu_histogram_add(&slot->total, 99000000);
    slu_buf_init(&text, 0);
    slu_metrics_write(metrics, &gauges, &text);
    slu_buf_byte(&text, '\0');
    assert_non_null(strstr(
        text.p, "sluice_requests_total{target=\"otc\",operation=\"create\",code=\"ok\"} 2\n"));
    assert_non_null(strstr(text.p, "operation=\"get\",code=\"not_found\"} 1\n"));
    assert_non_null(
        strstr(text.p, "sluice_request_seconds_bucket{target=\"otc\",le=\"1e-05\"} 1\n"));
    assert_non_null(
        strstr(text.p, "sluice_request_seconds_bucket{target=\"otc\",le=\"2.5e-05\"} 2\n"));
    assert_non_null(
        strstr(text.p, "sluice_request_seconds_bucket{target=\"otc\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text.p, "sluice_request_seconds_count{target=\"otc\"} 3\n"));
    assert_non_null(strstr(text.p, "sluice_requests_in_flight 3\n"));
    assert_non_null(strstr(text.p, "sluice_connections 7\n"));
    slu_buf_done(&text);
    slu_metrics_free(metrics);
}

static void tells_the_clocks_of_targets(void **state)
{
    struct slu_metrics *metrics = slu_metrics_new();
    slu_auto(slu_guards) *guards = slu_guards_new();
    struct slu_gauges gauges = {.guards = guards};
    struct slu_target targets[] = {{.name = SLU_STR("behind")}, {.name = SLU_STR("silent")}};
    struct slu_guard *behind = slu_guards_take(guards, &targets[0]);
    struct slu_guard *silent = slu_guards_take(guards, &targets[1]);
    struct slu_buf text;

    (void)state;
    slu_skew_see(behind->skew, SLU_STR("Sun, 06 Nov 1994 08:49:37 GMT"), 784112377, 784112378);
    slu_skew_see(behind->skew, SLU_STR("yesterday"), 784112378, 784112379);
    assert_true(slu_skew_correct(behind->skew, SLU_STR("Sun, 06 Nov 1994 08:49:38 GMT"), 784112379,
                                 784112379, 0));
    slu_buf_init(&text, 0);
    slu_metrics_write(metrics, &gauges, &text);
    slu_buf_byte(&text, '\0');
    assert_non_null(strstr(text.p, "\nsluice_target_clock_skew_seconds{target=\"behind\"} -600\n"));
    assert_non_null(
        strstr(text.p, "\nsluice_target_clock_applied_seconds{target=\"behind\"} -600\n"));
    assert_non_null(
        strstr(text.p, "\nsluice_target_clock_corrections_total{target=\"behind\"} 1\n"));
    assert_non_null(strstr(text.p, "\nsluice_target_dates_absurd_total{target=\"behind\"} 1\n"));
    assert_null(strstr(text.p, "sluice_target_clock_skew_seconds{target=\"silent\"}"));
    slu_buf_done(&text);
    slu_guards_give(guards, silent);
    slu_guards_give(guards, behind);
    slu_metrics_free(metrics);
}

/* The longest name that the configuration takes is told whole, and once. */
static void a_long_name_has_one_slot(void **state)
{
    struct slu_metrics *metrics = slu_metrics_new();
    char name[SLU_NAME_MOST + 1];
    struct slu_slot *slot;

    (void)state;
    memset(name, 'n', SLU_NAME_MOST);
    name[SLU_NAME_MOST] = '\0';
    slot = slu_metrics_slot(metrics, slu_str_of(name));
    assert_ptr_equal(slot, slu_metrics_slot(metrics, slu_str_of(name)));
    assert_string_equal(slot->name, name);
    slu_metrics_free(metrics);
}

static void writes_what_protects(void **state)
{
    slu_auto(slu_guards) *guards = slu_guards_new();
    slu_auto(slu_budget) *bodies = slu_budget_new(1000);
    struct slu_metrics *metrics = slu_metrics_new();
    struct slu_target target = {.name = SLU_STR("otc"),
                                .scheme = SLU_STR("https"),
                                .host = SLU_STR("x"),
                                .max_in_flight = 1,
                                .breaker = {50, 10, 1, 0, 5000}};
    struct slu_gauges gauges = {.bodies = bodies, .guards = guards, .now_us = 1};
    struct slu_guard *guard = slu_guards_take(guards, &target);
    struct slu_buf text;

    (void)state;
    assert_true(slu_budget_take(bodies, 700));
    assert_false(slu_budget_take(bodies, 700));
    slu_buf_init(&text, 0);
    slu_metrics_write(metrics, &gauges, &text);
    slu_buf_byte(&text, '\0');
    assert_non_null(strstr(text.p, "\nsluice_body_memory_bytes 700\n"));
    assert_non_null(strstr(text.p, "\nsluice_body_memory_limit_bytes 1000\n"));
    assert_non_null(strstr(text.p, "\nsluice_body_memory_refused_total 1\n"));
    assert_null(strstr(text.p, "sluice_target_clock_skew_seconds{"));
    assert_non_null(strstr(text.p,
                           "# TYPE sluice_target_breaker_state gauge\n"
                           "sluice_target_breaker_state{target=\"otc\",state=\"closed\"} 1\n"
                           "sluice_target_breaker_state{target=\"otc\",state=\"open\"} 0\n"));
    slu_skew_see(guard->skew, SLU_STR("Thu, 01 Jan 1970 00:59:00 GMT"), 3600, 3600);
    slu_buf_clear(&text);
    slu_metrics_write(metrics, &gauges, &text);
    slu_buf_byte(&text, '\0');
    assert_non_null(strstr(text.p, "\nsluice_target_clock_skew_seconds{target=\"otc\"} -59\n"));
    slu_buf_done(&text);
    slu_budget_give(bodies, 700);
    slu_guards_give(guards, guard);
    slu_metrics_free(metrics);
}

static void slots_are_bounded(void **state)
{
    struct slu_metrics *metrics = slu_metrics_new();
    struct slu_slot *none = slu_metrics_slot(metrics, SLU_STR_NONE), *last = NULL;

    (void)state;
    for (int i = 0; i < 600; i++) {
        char name[16];

        snprintf(name, sizeof(name), "t%d", i);
        last = slu_metrics_slot(metrics, slu_str_of(name));
    }
    assert_ptr_equal(last, none);
    slu_metrics_free(metrics);
}

static bool make(void *context)
{
    struct slu_metrics *metrics = slu_metrics_new();
    bool good;

    (void)context;
    if (!metrics)
        return false;
    good = slu_metrics_slot(metrics, SLU_STR("a")) != slu_metrics_slot(metrics, SLU_STR_NONE);
    slu_metrics_free(metrics);
    return good;
}

static void survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(test_every_allocation(make, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_was_counted),
        cmocka_unit_test(tells_the_clocks_of_targets),
        cmocka_unit_test(a_long_name_has_one_slot),
        cmocka_unit_test(writes_what_protects),
        cmocka_unit_test(slots_are_bounded),
        cmocka_unit_test(survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
