/* The explanation: the vector files in, their own expectations out; mistakes with their places. */
#include "sign/explain.h"

#include "vectors.h"

static json_t *line_of(struct slu_str *rest)
{
    struct slu_str line = slu_str_cut(rest, '\n');
    json_error_t why;
    json_t *object = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &why);

    if (!object)
        fail_msg("%s: %.*s", why.text, SLU_FMT(line));
    return object;
}

static void check_line(json_t *vector, json_t *line)
{
    static const char *const same[] = {"canonical_request", "string_to_sign", "authorization",
                                       "headers_added"};
    json_t *expect = json_object_get(vector, "expect");

    assert_true(json_equal(json_object_get(vector, "name"), json_object_get(line, "name")));
    assert_true(json_object_size(line) >= 5);
    assert_true(json_is_string(json_object_get(line, "string_to_sign")));
    for (size_t i = 0; i < SLU_COUNT(same); i++) {
        if (json_object_get(expect, same[i]) &&
            !json_equal(json_object_get(expect, same[i]), json_object_get(line, same[i])))
            fail_msg("%s of %s differs", same[i], json_string_value(json_object_get(line, "name")));
    }
}

static void test_vectors(void **state)
{
    size_t seen = 0;

    (void)state;
    for (size_t s = 0; s < SLU_COUNT(schemes); s++) {
        json_t *vectors = vectors_of(schemes[s]), *vector;
        char path[128];
        struct slu_mistakes mistakes;
        struct slu_arena arena;
        struct slu_str text, rest;
        struct slu_buf out;
        size_t i;

        snprintf(path, sizeof(path), "tests/vectors/%s/vectors.json", schemes[s]);
        text = test_file(path);
        slu_arena_init(&arena, ARENA);
        slu_mistakes_init(&mistakes, &arena);
        slu_buf_init(&out, 0);
        assert_true(
            slu_sign_explain(slu_scheme_find(slu_str_of(schemes[s])), text, &out, &mistakes));
        rest = slu_buf_str(&out);
        json_array_foreach(vectors, i, vector)
        {
            json_t *line = line_of(&rest);

            check_line(vector, line);
            json_decref(line);
            seen++;
        }
        assert_int_equal(rest.n, 0);
        slu_buf_done(&out);
        slu_arena_done(&arena);
        slu_mem_free((char *)text.p);
        json_decref(vectors);
    }
    assert_int_equal(seen, VECTORS);
}

#define HEAD                                                                                       \
    "{\"name\":\"n\",\"method\":\"GET\",\"host\":\"h\",\"path\":\"/\",\"access_key\":\"AK\","      \
    "\"secret_key\":\"SK\""
#define DATE "\"date\":\"20260101T000000Z\""

static const struct {
    const char *scheme, *text, *pointer;
} wrongs[] = {
    {"sdk-hmac-sha256", "{}", ""},
    {"sdk-hmac-sha256", "[1]", "/0"},
    {"sdk-hmac-sha256", "[" HEAD "}]", "/0/date"},
    {"sdk-hmac-sha256", "[" HEAD ",\"date\":\"yesterday\"}]", "/0/date"},
    {"sdk-hmac-sha256", "[" HEAD ",\"date\":null}]", "/0/date"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE "}," HEAD ",\"date\":7}]", "/1/date"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"query\":\"a=b\"}]", "/0/query"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"query\":[[\"a\",\"b\"],[\"a\"]]}]", "/0/query/1"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"query\":[[\"a\",1]]}]", "/0/query/0"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"query\":{\"a/b\":1}}]", "/0/query/a~1b"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"headers\":[]}]", "/0/headers"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"headers\":{\"x\":1}}]", "/0/headers/x"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"headers\":{\"x y\":\"\"}}]", "/0/headers/x y"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"headers\":{\"x\":\"a\\r\\nb\"}}]", "/0/headers/x"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"headers\":{\"Host\":\"i\"}}]", "/0/headers/Host"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"body\":{}}]", "/0/body"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"security_token\":1}]", "/0/security_token"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"security_token\":\"\\n\"}]", "/0"},
    {"sdk-hmac-sha256", "[" HEAD "," DATE ",\"project_id\":false}]", "/0/project_id"},
    {"sdk-hmac-sha256",
     "[{\"name\":\"n\",\"method\":\"get\",\"host\":\"h\",\"path\":\"/\",\"access_key\":\"AK\","
     "\"secret_key\":\"SK\"," DATE "}]",
     "/0/method"},
    {"sdk-hmac-sha256",
     "[{\"name\":\"n\",\"method\":\"GET\",\"host\":\"\",\"path\":\"/\",\"access_key\":\"AK\","
     "\"secret_key\":\"SK\"," DATE "}]",
     "/0/host"},
    {"sdk-hmac-sha256",
     "[{\"name\":\"n\",\"method\":\"GET\",\"host\":\"h\",\"path\":\"x\",\"access_key\":\"AK\","
     "\"secret_key\":\"SK\"," DATE "}]",
     "/0/path"},
    {"sdk-hmac-sha256",
     "[{\"name\":\"n\",\"method\":\"GET\",\"host\":\"h\",\"path\":\"/%zz\",\"access_key\":\"AK\","
     "\"secret_key\":\"SK\"," DATE "}]",
     "/0"},
    {"sdk-hmac-sha256",
     "[{\"name\":\"n\",\"method\":\"GET\",\"host\":\"h\",\"path\":\"/\",\"access_key\":\"AK\"," DATE
     "}]",
     "/0/secret_key"},
    {"rpc-hmac-sha1", "[" HEAD "," DATE ",\"nonce\":\"n\",\"form\":1}]", "/0/form"},
    {"aws4-hmac-sha256", "[" HEAD "," DATE ",\"service\":\"s\"}]", "/0"},
    {"aws4-hmac-sha256", "[" HEAD "," DATE ",\"region\":1,\"service\":\"s\"}]", "/0/region"},
    {"keystone-password", "[]", ""},
    {"acs3-hmac-sha256", "[" HEAD "," DATE "}]", "/0/nonce"},
    {"acs3-hmac-sha256", "[" HEAD "," DATE ",\"nonce\":\"n\",\"action\":1}]", "/0/action"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(wrongs); i++) {
        struct slu_mistakes mistakes;
        struct slu_arena arena;
        struct slu_buf out;

        slu_arena_init(&arena, ARENA);
        slu_mistakes_init(&mistakes, &arena);
        slu_buf_init(&out, 0);
        if (slu_sign_explain(slu_scheme_find(slu_str_of(wrongs[i].scheme)),
                             slu_str_of(wrongs[i].text), &out, &mistakes))
            fail_msg("taken: %s", wrongs[i].text);
        assert_false(mistakes.failed);
        if (mistakes.count != 1)
            fail_msg("%zu mistakes in %s", mistakes.count, wrongs[i].text);
        assert_str(mistakes.first->pointer, wrongs[i].pointer);
        slu_buf_done(&out);
        slu_arena_done(&arena);
    }
}

/* All mistakes at once, the good requests signed, members that stand for fields. */
static void test_mixed(void **state)
{
    const struct slu_scheme *scheme = slu_scheme_find(SLU_STR("acs3-hmac-sha256"));
    const char *text = "[{},{\"name\":\"n\",\"method\":\"GET\",\"host\":\"h\",\"path\":\"/\","
                       "\"access_key\":\"AK\",\"secret_key\":\"SK\",\"nonce\":\"1\"," DATE
                       ",\"action\":\"Do\",\"version\":\"2\",\"headers\":{\"X-Acs-Version\":\"3\"},"
                       "\"other\":[{}]}]";
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    struct slu_str rest;
    struct slu_buf out;
    json_t *line, *added;

    (void)state;
    slu_arena_init(&arena, ARENA);
    slu_mistakes_init(&mistakes, &arena);
    slu_buf_init(&out, 0);
    assert_false(slu_sign_explain(scheme, slu_str_of(text), &out, &mistakes));
    assert_int_equal(mistakes.count, 8);
    rest = slu_buf_str(&out);
    line = line_of(&rest);
    added = json_object_get(line, "headers_added");
    assert_string_equal(json_string_value(json_object_get(added, "x-acs-action")), "Do");
    assert_string_equal(json_string_value(json_object_get(added, "host")), "h");
    assert_null(json_object_get(added, "x-acs-version"));
    assert_null(json_object_get(added, "X-Acs-Version"));
    assert_non_null(strstr(json_string_value(json_object_get(line, "canonical_request")),
                           "\nx-acs-version:3\n"));
    json_decref(line);
    slu_buf_done(&out);
    slu_arena_done(&arena);
}

static bool explain(void *context)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    struct slu_buf out;
    bool good;

    slu_arena_init(&arena, ARENA);
    slu_mistakes_init(&mistakes, &arena);
    slu_buf_init(&out, 0);
    good = slu_sign_explain(slu_scheme_find(SLU_STR("sdk-hmac-sha256")), *(struct slu_str *)context,
                            &out, &mistakes);
    slu_buf_done(&out);
    slu_arena_done(&arena);
    return good;
}

static void test_memory(void **state)
{
    struct slu_str text = test_file("tests/vectors/sdk-hmac-sha256/vectors.json");

    (void)state;
    assert_true(test_every_allocation(explain, &text) > 20);
    slu_mem_free((char *)text.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
