/* Tokens: the question, the answers, and what goes out with a request. */
#include "test.h"

#include "codec/json.h"
#include "sign/sign.h"

#include <stdio.h>

enum { ARENA = 1 << 20, END = 1447033377 /* 2015-11-09T01:42:57Z */ };

static const struct slu_scheme *scheme(void)
{
    return slu_scheme_find(SLU_STR("keystone-password"));
}

static struct slu_seal *seal_with(const char *domain, const char *password, const char *project)
{
    slu_auto(slu_secret) *secret = slu_secret_new(slu_str_of(password));
    struct slu_seal_conf conf = {.access_key = SLU_STR("o\"brien"),
                                 .secret_key = secret,
                                 .domain = slu_str_of(domain),
                                 .project = slu_str_of(project)};

    return secret ? slu_seal_new(scheme(), &conf) : NULL;
}

static void test_kind(void **state)
{
    (void)state;
    assert_true(slu_scheme_fetches(scheme()));
    assert_false(slu_scheme_verifies(scheme()));
    for (const char *const *name = slu_scheme_names(); *name; name++) {
        const struct slu_scheme *other = slu_scheme_find(slu_str_of(*name));

        assert_int_equal(slu_scheme_fetches(other), !slu_scheme_verifies(other));
    }
}

static void test_ask(void **state)
{
    slu_auto(slu_seal) *seal = seal_with("OTC-EU-DE-1", "p\\w\xc3\xa4", "05c4");
    struct slu_fault fault = {0};
    struct slu_request request;
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, ARENA);
    assert_true(slu_seal_ask(seal, &arena, &request, &fault));
    assert_str(request.method, "POST");
    assert_str(request.path, "/v3/auth/tokens");
    assert_str(request.query, "nocatalog=1");
    assert_int_equal(request.headers.count, 2);
    assert_str(slu_headers_value(&request.headers, SLU_STR("content-type")), "application/json");
    assert_str(request.body,
               "{\"auth\":{\"identity\":{\"methods\":[\"password\"],\"password\":{\"user\":{"
               "\"name\":\"o\\\"brien\",\"password\":\"p\\\\w\xc3\xa4\",\"domain\":{\"name\":"
               "\"OTC-EU-DE-1\"}}}},\"scope\":{\"project\":{\"id\":\"05c4\"}}}}");
    slu_arena_done(&arena);
}

static void test_incomplete(void **state)
{
    static const struct {
        const char *domain, *password, *project;
    } rows[] = {{"", "p", "x"}, {"d", "p", ""}, {"d", "\xff", "x"}};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        slu_auto(slu_seal) *seal = seal_with(rows[i].domain, rows[i].password, rows[i].project);
        struct slu_fault fault = {0};
        struct slu_request request;
        struct slu_arena arena;

        slu_arena_init(&arena, ARENA);
        assert_false(slu_seal_ask(seal, &arena, &request, &fault));
        assert_int_equal(fault.kind, SLU_FAULT_CONFIG);
        slu_arena_done(&arena);
    }
}

#define GOOD "{\"token\":{\"expires_at\":\"2015-11-09T01:42:57.999999Z\"}}"

static const struct {
    int status;
    const char *token, *second, *body;
    enum slu_fault_kind kind;
} answers[] = {
    {201, "gAAAA-_=", NULL, GOOD, SLU_FAULT_NONE},
    {201, "MII+/==", NULL, "{\"token\":{\"expires_at\":\"2015-11-09T01:42:57Z\",\"a\":[1]}}",
     SLU_FAULT_NONE},
    {200, "t", NULL, GOOD, SLU_FAULT_UPSTREAM_UNREADABLE},
    {302, "t", NULL, GOOD, SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, NULL, NULL, GOOD, SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "", NULL, GOOD, SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "a b", NULL, GOOD, SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "a", "b", GOOD, SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "t", NULL, "", SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "t", NULL, "[]", SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "t", NULL, "{\"token\":null}", SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "t", NULL, "{\"token\":{\"expires_at\":1}}", SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "t", NULL, "{\"token\":{\"expires_at\":\"tomorrow\"}}", SLU_FAULT_UPSTREAM_UNREADABLE},
    {201, "t", NULL, "{\"token\":{\"expires_at\":\"2015-13-09T01:42:57Z\"}}",
     SLU_FAULT_UPSTREAM_UNREADABLE},
    {400, "t", NULL, GOOD, SLU_FAULT_UPSTREAM_REFUSED},
    {401, NULL, NULL, "{\"error\":{\"message\":\"o'brien\"}}", SLU_FAULT_CREDENTIALS},
    {403, NULL, NULL, "", SLU_FAULT_CREDENTIALS},
    {404, NULL, NULL, "", SLU_FAULT_UPSTREAM_REFUSED},
    {429, NULL, NULL, "", SLU_FAULT_UPSTREAM_UNAVAILABLE},
    {500, NULL, NULL, "", SLU_FAULT_UPSTREAM_ERROR},
    {503, NULL, NULL, "", SLU_FAULT_UPSTREAM_UNAVAILABLE},
};

static void test_answers(void **state)
{
    slu_auto(slu_seal) *seal = seal_with("d", "hidden", "x");

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(answers); i++) {
        struct slu_response response = {.status = answers[i].status,
                                        .body = slu_str_of(answers[i].body)};
        struct slu_str name = SLU_STR("x-subject-token");
        struct slu_token token = {0};
        struct slu_fault fault = {0};
        struct slu_arena arena;

        slu_arena_init(&arena, ARENA);
        if (answers[i].token)
            assert_true(
                slu_headers_add(&arena, &response.headers, name, slu_str_of(answers[i].token)));
        if (answers[i].second)
            assert_true(
                slu_headers_add(&arena, &response.headers, name, slu_str_of(answers[i].second)));
        assert_int_equal(slu_seal_answer(seal, &arena, &response, &token, &fault),
                         answers[i].kind == SLU_FAULT_NONE);
        if (fault.kind != answers[i].kind)
            fail_msg("answer %zu: %s", i, fault.words);
        assert_null(strstr(fault.words, "brien"));
        if (answers[i].kind == SLU_FAULT_NONE) {
            assert_str(token.text, answers[i].token);
            assert_int_equal(token.until_s, END);
        }
        slu_arena_done(&arena);
    }
}

static void test_sign(void **state)
{
    slu_auto(slu_seal) *seal = seal_with("d", "hidden", "x");
    struct slu_request request = {.method = SLU_STR("GET"), .path = SLU_STR("/")};
    struct slu_sign_trace trace = {SLU_STR("x"), SLU_STR("x"), SLU_STR("x")};
    struct slu_token first = {SLU_STR("first"), 1}, second = {SLU_STR("second"), 2};
    struct slu_fault fault = {0};
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, ARENA);
    assert_false(slu_sign(seal, &arena, 0, SLU_STR(""), &request, &trace, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_CREDENTIALS);
    assert_int_equal(request.headers.count, 0);
    fault = (struct slu_fault){0};
    assert_true(slu_seal_arm(seal, &first));
    assert_true(slu_sign(seal, &arena, 0, SLU_STR(""), &request, &trace, &fault));
    assert_str(slu_headers_value(&request.headers, SLU_STR("X-Auth-Token")), "first");
    assert_true(slu_seal_arm(seal, &second));
    assert_true(slu_sign(seal, &arena, 0, SLU_STR(""), &request, NULL, &fault));
    assert_int_equal(request.headers.count, 1);
    assert_str(slu_headers_value(&request.headers, SLU_STR("X-Auth-Token")), "second");
    assert_int_equal(trace.authorization.n + trace.string_to_sign.n + trace.canonical_request.n, 0);
    slu_arena_done(&arena);
}

static bool whole_way(void *context)
{
    slu_auto(slu_seal) *seal = seal_with("d", "hidden", "x");
    struct slu_response response = {.status = 201, .body = SLU_STR(GOOD)};
    struct slu_request request;
    struct slu_fault fault = {0};
    struct slu_token token;
    struct slu_arena arena;
    bool good;

    (void)context;
    slu_arena_init(&arena, ARENA);
    good = seal &&
           slu_headers_add(&arena, &response.headers, SLU_STR("X-Subject-Token"), SLU_STR("t"));
    if (good) {
        good = slu_seal_ask(seal, &arena, &request, &fault) &&
               slu_seal_answer(seal, &arena, &response, &token, &fault) &&
               (slu_seal_arm(seal, &token) || slu_fault_memory(&fault)) &&
               slu_sign(seal, &arena, 0, SLU_STR(""), &request, NULL, &fault);
        assert_int_equal(fault.kind, good ? SLU_FAULT_NONE : SLU_FAULT_MEMORY);
    }
    slu_arena_done(&arena);
    return good;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(whole_way, NULL) > 3);
}

/* The same with an arena that is spent a little later each time. */
static void test_budgets(void **state)
{
    slu_auto(slu_seal) *seal = seal_with("d", "hidden", "x");
    bool good = false;

    (void)state;
    for (size_t budget = 0; !good; budget += 16) {
        struct slu_header field = {SLU_STR("X-Subject-Token"), SLU_STR("t")};
        struct slu_response response = {
            .status = 201, .headers = {&field, 1, 1}, .body = SLU_STR(GOOD)};
        struct slu_request request;
        struct slu_fault fault = {0};
        struct slu_token token;
        struct slu_arena arena;

        assert_true(budget < 100000);
        slu_arena_init(&arena, budget);
        good = slu_seal_ask(seal, &arena, &request, &fault) &&
               slu_seal_answer(seal, &arena, &response, &token, &fault);
        assert_int_equal(fault.kind, good ? SLU_FAULT_NONE : SLU_FAULT_MEMORY);
        slu_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kind),       cmocka_unit_test(test_ask),
        cmocka_unit_test(test_incomplete), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_sign),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_budgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
