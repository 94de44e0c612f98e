/* Problem documents: which mistake decides, each member blamed once, when a repetition is harmless.
 */
#include "test.h"

#include "exchange/exchange_internal.h"

#include "codec/json.h"

static struct slu_exchange *exchange(struct slu_arena *arena)
{
    struct slu_exchange *x;

    slu_arena_init(arena, 1 << 20);
    x = slu_arena_zero(arena, sizeof(*x));
    assert_non_null(x);
    x->arena = arena;
    x->id = SLU_STR("r-1");
    slu_losses_init(&x->losses, arena, false);
    slu_mistakes_init(&x->mistakes, arena);
    return x;
}

static struct slu_value *body(struct slu_exchange *x)
{
    struct slu_mistakes mistakes;
    struct slu_value *value;

    slu_mistakes_init(&mistakes, x->arena);
    value = slu_json_read(x->arena, x->response.body, (struct slu_json_limits){0}, &mistakes);
    assert_non_null(value);
    return value;
}

static void worst_mistake_decides(void **state)
{
    struct slu_arena arena;
    struct slu_exchange *x = exchange(&arena);
    struct slu_value *problem, *errors;

    (void)state;
    slu_mistake(&x->mistakes, SLU_FAULT_UNSUPPORTED, SLU_STR("/index"), "no index");
    slu_mistake(&x->mistakes, SLU_FAULT_INVALID, SLU_STR("/name"), "too short");
    slu_mistake(&x->mistakes, SLU_FAULT_INVALID, SLU_STR("/name"), "said again");
    slu_fault_set(&x->fault, SLU_FAULT_UNSUPPORTED, "", "see errors");
    slu_problem_reply(x);
    assert_int_equal(x->response.status, 422);
    problem = body(x);
    assert_str(slu_value_member(problem, "code")->text, "invalid_flow_log");
    assert_false(slu_value_member(problem, "retryable")->truth);
    errors = slu_value_member(problem, "errors");
    assert_int_equal(errors->count, 2);
    assert_str(slu_value_member(slu_value_item(errors, 0), "pointer")->text, "/index");
    assert_str(slu_value_member(slu_value_item(errors, 1), "detail")->text, "too short");
    slu_arena_done(&arena);
}

static void json_is_400(void **state)
{
    struct slu_arena arena;
    struct slu_exchange *x = exchange(&arena);

    (void)state;
    slu_mistake(&x->mistakes, SLU_FAULT_BAD_JSON, SLU_STR("/a"), "doubled");
    slu_mistake(&x->mistakes, SLU_FAULT_BAD_JSON, SLU_STR("/a"), "doubled again");
    slu_fault_set(&x->fault, SLU_FAULT_BAD_JSON, "", "see errors");
    slu_problem_reply(x);
    assert_int_equal(x->response.status, 400);
    assert_int_equal(slu_value_member(body(x), "errors")->count, 2);
    assert_str(slu_headers_value(&x->response.headers, SLU_STR("content-type")),
               "application/problem+json");
    slu_arena_done(&arena);
}

static void unauthenticated_names_the_scheme(void **state)
{
    struct slu_arena arena;
    struct slu_exchange *x = exchange(&arena);

    (void)state;
    slu_fault_set(&x->fault, SLU_FAULT_UNAUTHENTICATED, "", "who are you");
    slu_problem_reply(x);
    assert_int_equal(x->response.status, 401);
    assert_str(slu_headers_value(&x->response.headers, SLU_STR("www-authenticate")),
               "Bearer realm=\"sluice\"");
    slu_arena_done(&arena);
}

static const struct {
    enum slu_operation asking;
    enum slu_sent sent;
    enum slu_fault_kind kind;
    bool retryable;
} ends[] = {
    {SLU_OP_CREATE, SLU_SENT_NOTHING, SLU_FAULT_UPSTREAM_UNREACHABLE, true},
    {SLU_OP_CREATE, SLU_SENT_PERHAPS, SLU_FAULT_UPSTREAM_TIMEOUT, false},
    {SLU_OP_CREATE, SLU_SENT_PERHAPS, SLU_FAULT_UPSTREAM_BROKEN, false},
    {SLU_OP_GET, SLU_SENT_PERHAPS, SLU_FAULT_UPSTREAM_TIMEOUT, true},
};

static void repeats_only_what_is_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(ends); i++) {
        struct slu_arena arena;
        struct slu_exchange *x = exchange(&arena);

        x->has_operation = true;
        x->operation = ends[i].asking;
        x->job = slu_arena_zero(&arena, sizeof(*x->job));
        assert_non_null(x->job);
        x->job->spent.calls = 1;
        x->job->result.sent = ends[i].sent;
        x->job->acted = slu_operation_writes(ends[i].asking) && ends[i].sent == SLU_SENT_PERHAPS;
        x->fault.kind = x->job->fault.kind = ends[i].kind;
        assert_int_equal(slu_fault_retryable(x), ends[i].retryable);
        slu_arena_done(&arena);
    }
}

static void spent_memory_still_answers(void **state)
{
    struct slu_arena arena;
    struct slu_exchange *x = exchange(&arena);

    (void)state;
    arena.failed = true;
    slu_fault_set(&x->fault, SLU_FAULT_INVALID, "", "whatever");
    slu_problem_reply(x);
    assert_int_equal(x->response.status, 503);
    assert_true(x->response.body.n > 0);
    slu_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worst_mistake_decides),
        cmocka_unit_test(json_is_400),
        cmocka_unit_test(unauthenticated_names_the_scheme),
        cmocka_unit_test(repeats_only_what_is_harmless),
        cmocka_unit_test(spent_memory_still_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
