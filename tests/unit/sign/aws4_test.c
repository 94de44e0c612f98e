/*
 * What is particular to aws4-hmac-sha256: the scope, fields and paths as its own test suite has
 * them (boto/botocore, tests/unit/auth/aws4_testsuite: service "service", key AKIDEXAMPLE), and
 * presigned URLs, which are refused.
 */
#include "vectors.h"

#define AWS  "aws4-hmac-sha256"
#define AUTH SLU_STR("Authorization")

enum { NOW = 1440938160 /* 2015-08-30T12:36:00Z */ };

struct world {
    struct slu_arena arena;
    struct slu_request request;
    struct slu_sign_trace trace;
    struct slu_seal *seal;
    struct slu_claim claim;
    struct slu_fault fault;
};

static struct slu_seal *seal_for(const char *region, const char *service)
{
    slu_auto(slu_secret) *secret =
        slu_secret_new(SLU_STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"));
    struct slu_seal_conf conf = {.access_key = SLU_STR("AKIDEXAMPLE"),
                                 .secret_key = secret,
                                 .region = slu_str_of(region),
                                 .service = slu_str_of(service)};

    return slu_seal_new(slu_scheme_find(SLU_STR(AWS)), &conf);
}

static void begin(struct world *w, const char *path, const char *query)
{
    *w = (struct world){.request = {.method = SLU_STR("GET"),
                                    .scheme = SLU_STR("https"),
                                    .host = SLU_STR("example.amazonaws.com"),
                                    .path = slu_str_of(path),
                                    .query = slu_str_of(query)}};
    slu_arena_init(&w->arena, ARENA);
    w->seal = seal_for("us-east-1", "service");
    assert_non_null(w->seal);
}

static void end(struct world *w)
{
    slu_seal_free(w->seal);
    slu_arena_done(&w->arena);
}

static void add(struct world *w, const char *name, const char *value)
{
    assert_true(
        slu_headers_add(&w->arena, &w->request.headers, slu_str_of(name), slu_str_of(value)));
}

static void signs(struct world *w)
{
    if (!slu_sign(w->seal, &w->arena, NOW, SLU_STR(""), &w->request, &w->trace, &w->fault))
        fail_msg("%s: %s", w->fault.place, w->fault.words);
}

static bool takes(struct world *w)
{
    w->fault = (struct slu_fault){0};
    return received(w->seal, &w->arena, &w->request, NOW, &w->claim, &w->fault);
}

static void refused(struct world *w, const char *word)
{
    assert_false(takes(w));
    assert_int_equal(w->fault.kind, SLU_FAULT_UNAUTHENTICATED);
    assert_string_equal(w->fault.place, word);
}

/* name: the case of the suite; the suite writes raw blanks and UTF-8 into its paths, here they are
 * as on the wire. */
static const struct {
    const char *name, *path, *query, *canonical_path, *canonical_query;
} rows[] = {
    {"get-vanilla", "/", "", "/", ""},
    {"get-vanilla-query-order-key-case", "/", "Param2=value2&Param1=value1", "/",
     "Param1=value1&Param2=value2"},
    {"get-vanilla-query-order-value", "/", "Param1=value2&Param1=value1", "/",
     "Param1=value1&Param1=value2"},
    {"get-vanilla-empty-query-key", "/", "Param1=value1", "/", "Param1=value1"},
    {"normalize-path/get-relative", "/example/..", "", "/", ""},
    {"normalize-path/get-relative-relative", "/example1/example2/../..", "", "/", ""},
    {"normalize-path/get-slash", "//", "", "/", ""},
    {"normalize-path/get-slash-dot-slash", "/./", "", "/", ""},
    {"normalize-path/get-slashes", "//example//", "", "/example/", ""},
    {"normalize-path/get-slash-pointless-dot", "/./example", "", "/example", ""},
    {"encoded once more", "/a%20b/%E1%88%B4", "", "/a%2520b/%25E1%2588%25B4", ""},
    {"beyond the root", "/../../a", "", "/a", ""},
    {"sorted as encoded", "/", "FlowLogId.2=a&FlowLogId.10=b&A%2F=2&A-=1&A=0", "/",
     "A=0&A%2F=2&A-=1&FlowLogId.10=b&FlowLogId.2=a"},
    {"a bare name, a plus", "/", "k&b=+", "/", "b=%2B&k="},
};

static void test_paths_and_queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_str rest;
        struct world w;

        begin(&w, rows[i].path, rows[i].query);
        signs(&w);
        rest = w.trace.canonical_request;
        assert_str(slu_str_cut(&rest, '\n'), "GET");
        assert_str(slu_str_cut(&rest, '\n'), rows[i].canonical_path);
        assert_str(slu_str_cut(&rest, '\n'), rows[i].canonical_query);
        assert_true(takes(&w));
        end(&w);
    }
}

/* The suite's get-vanilla, whose signature AWS publishes. */
static void test_published(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "/", "");
    signs(&w);
    assert_str(w.trace.authorization,
               "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
               "SignedHeaders=host;x-amz-date, "
               "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    end(&w);
}

/* get-header-value-order, -trim and -key-duplicate: values in order, blanks run together. */
static void test_fields(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "/", "");
    add(&w, "X-Amz-Meta", "value4 \t  with");
    add(&w, "x-amz-meta", "value1");
    add(&w, "User-Agent", "not signed");
    signs(&w);
    assert_str(w.trace.canonical_request,
               "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n"
               "x-amz-meta:value4 with,value1\n\nhost;x-amz-date;x-amz-meta\n"
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(takes(&w));
    add(&w, "X-Amz-Late", "1"); /* slipped in on the way */
    refused(&w, "unsigned");
    end(&w);

    begin(&w, "/", "");
    signs(&w);
    add(&w, "Content-Type", "application/x-www-form-urlencoded");
    refused(&w, "unsigned");
    end(&w);
}

static void test_digest(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "/", "");
    w.request.body = SLU_STR("a=1");
    add(&w, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
    signs(&w);
    refused(&w, "digest");
    w.request.body = SLU_STR("");
    assert_true(takes(&w));
    end(&w);
}

static void test_scope(void **state)
{
    static const struct {
        const char *region, *service;
        bool good;
    } seals[] = {{"us-east-1", "service", true}, {"", "", true},
                 {"", "service", true},          {"us-east-2", "service", false},
                 {"us-east-1", "ec2", false},    {"us-east", "service", false}};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(seals); i++) {
        struct world w;

        begin(&w, "/", "");
        signs(&w);
        slu_seal_free(w.seal);
        w.seal = seal_for(seals[i].region, seals[i].service);
        if (seals[i].good)
            assert_true(takes(&w));
        else
            refused(&w, "signature");
        end(&w);
    }
}

/* A seal that signs for nowhere, or for what no scope can hold, says so. */
static void test_unbound(void **state)
{
    static const char *const regions[] = {"", "us/east"};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(regions); i++) {
        struct world w;

        begin(&w, "/", "");
        slu_seal_free(w.seal);
        w.seal = seal_for(regions[i], "service");
        assert_false(slu_sign(w.seal, &w.arena, NOW, SLU_STR(""), &w.request, NULL, &w.fault));
        assert_int_equal(w.fault.kind, SLU_FAULT_CONFIG);
        end(&w);
    }
}

static void test_credential(void **state)
{
    static const char *const credentials[] = {
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request", /* the right one */
        "AKIDEXAMPLE/20150829/us-east-1/service/aws4_request",
        "AKIDEXAMPLE/2015083/us-east-1/service/aws4_request",
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4_reques",
        "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request/",
        "AKIDEXAMPLE/20150830/us-east-1/service",
        "AKIDEXAMPLE/20150830//service/aws4_request",
        "AKIDEXAMPLE/20150830/us-east-1//aws4_request",
        "/20150830/us-east-1/service/aws4_request",
        "A/B/20150830/us-east-1/service/aws4_request",
        "AKIDEXAMPLE",
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(credentials); i++) {
        struct slu_str text;
        struct world w;

        begin(&w, "/", "");
        signs(&w);
        text = w.trace.authorization;
        text = slu_arena_printf(&w.arena,
                                "AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=host;x-amz-date, "
                                "Signature=%.64s",
                                credentials[i], text.p + text.n - 64);
        assert_true(slu_headers_set(&w.arena, &w.request.headers, AUTH, text));
        if (i == 0)
            assert_true(takes(&w));
        else
            refused(&w, "signature");
        end(&w);
    }
}

/* The key is derived anew for another day and kept for the same. */
static void test_days(void **state)
{
    struct slu_str first;
    struct world w;

    (void)state;
    begin(&w, "/", "");
    signs(&w);
    first = w.trace.authorization;
    assert_true(
        slu_sign(w.seal, &w.arena, NOW + 86400, SLU_STR(""), &w.request, &w.trace, &w.fault));
    assert_true(received(w.seal, &w.arena, &w.request, NOW + 86400, &w.claim, &w.fault));
    signs(&w);
    assert_true(slu_str_eq(first, w.trace.authorization));
    assert_true(takes(&w));
    end(&w);
}

static void test_presigned(void **state)
{
    static const char *const queries[] = {
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A&X-Amz-Signature=b",
        "a=1&X-Amz-Signature=b"};

    (void)state;
    for (size_t i = 0; i < 2 * SLU_COUNT(queries); i++) {
        struct world w;

        begin(&w, "/", queries[i / 2]);
        if (i % 2)
            signs(&w); /* two signatures are no better than one */
        refused(&w, "signature");
        assert_non_null(strstr(w.fault.words, "presigned"));
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_and_queries),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_unbound),
        cmocka_unit_test(test_credential),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_presigned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
