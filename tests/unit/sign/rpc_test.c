/*
 * The signature that parameters bear: the wire of the official SDKs is taken as it is, and whatever
 * is not signed may not carry meaning.
 */
#include "vectors.h"

#define RPC "rpc-hmac-sha1"

enum { NOW = 1767225600 };

struct world {
    struct slu_arena arena;
    struct slu_request request;
    struct slu_seal *seal;
    struct slu_claim claim;
    struct slu_fault fault;
};

static void begin(struct world *w, const char *query, const char *form)
{
    *w = (struct world){.request = {.method = SLU_STR("POST"),
                                    .scheme = SLU_STR("https"),
                                    .host = SLU_STR("vpc.example.com"),
                                    .path = SLU_STR("/"),
                                    .query = slu_str_of(query),
                                    .body = slu_str_of(form)}};
    slu_arena_init(&w->arena, ARENA);
    w->seal = seal_with(RPC, SLU_STR("AK"), SLU_STR("SK"), SLU_STR(""));
    if (form)
        assert_true(slu_headers_add(&w->arena, &w->request.headers, SLU_STR("Content-Type"),
                                    SLU_STR("application/x-www-form-urlencoded;charset=utf-8")));
}

static void end(struct world *w)
{
    slu_seal_free(w->seal);
    slu_arena_done(&w->arena);
}

static bool signs(struct world *w)
{
    w->fault = (struct slu_fault){0};
    return slu_sign(w->seal, &w->arena, NOW, SLU_STR("nonce"), &w->request, NULL, &w->fault);
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

static void test_sdk_wire(void **state)
{
    json_t *vectors = vectors_of(RPC), *vector;
    size_t i;

    (void)state;
    json_array_foreach(vectors, i, vector)
    {
        json_t *expect = json_object_get(vector, "expect");
        struct slu_str url = text_in(expect, "sdk_wire_url"), query = url;
        struct slu_arena arena;
        struct slu_request request;
        struct slu_claim claim;
        struct slu_fault fault = {0};
        struct slu_seal *seal = seal_of(RPC, vector);

        slu_arena_init(&arena, ARENA);
        assert_true(request_of(vector, &arena, &request));
        slu_str_cut(&query, '?');
        request.query = query;
        request.body = text_in(expect, "sdk_wire_body");
        if (!received(seal, &arena, &request, unix_of(vector), &claim, &fault))
            fail_msg("%s: %s", json_string_value(json_object_get(vector, "name")), fault.words);
        slu_seal_free(seal);
        slu_arena_done(&arena);
    }
    assert_int_equal(i, 10);
    json_decref(vectors);
}

/* Where the scheme's parameters go, and how the others are written. */
static void test_places(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "b=1%20+&a", NULL);
    assert_true(signs(&w));
    assert_true(slu_str_starts(w.request.query,
                               SLU_STR("b=1%20%2B&a=&AccessKeyId=AK&SignatureMethod=HMAC-SHA1&"
                                       "SignatureVersion=1.0&SignatureNonce=nonce&Timestamp="
                                       "2026-01-01T00%3A00%3A00Z&Signature=")));
    assert_int_equal(w.request.body.n, 0);
    assert_true(takes(&w));
    assert_str(w.claim.access_key, "AK");
    assert_str(w.claim.nonce, "nonce");
    end(&w);

    begin(&w, "a=1", "b=2+");
    assert_true(signs(&w));
    assert_str(w.request.query, "a=1");
    assert_true(slu_str_starts(w.request.body, SLU_STR("b=2%20&AccessKeyId=AK&")));
    assert_true(takes(&w));
    end(&w);

    begin(&w, "Signature=old&a=1&SecurityToken=x", "Timestamp=y"); /* a retry */
    assert_true(signs(&w));
    assert_str(w.request.query, "a=1");
    assert_true(takes(&w));
    end(&w);
}

static void test_unsigned(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "a=1", NULL);
    assert_true(signs(&w));
    assert_true(takes(&w));
    w.request.path = SLU_STR("/other");
    refused(&w, "unsigned");
    w.request.path = SLU_STR("");
    refused(&w, "unsigned");
    w.request.path = SLU_STR("/");
    w.request.body = SLU_STR("b=2");
    refused(&w, "unsigned");
    assert_true(slu_headers_add(&w.arena, &w.request.headers, SLU_STR("Content-Type"),
                                SLU_STR("application/json")));
    refused(&w, "unsigned");
    w.request.headers.items[0].value = SLU_STR("application/x-www-form-urlencoded");
    refused(&w, "signature");
    end(&w);
}

static void test_doubles(void **state)
{
    static const struct {
        const char *query, *form;
    } doubled[] = {{"a=1&a=1", NULL}, {"a=1", "a=1"}, {"", "a=1&%61=2"}, {"a&b=1&a=", NULL}};
    static const char *const added[] = {
        "&a=1",           "&Signature=x",          "&AccessKeyId=AK",
        "&%54imestamp=x", "&SignatureNonce=other", "&SecurityToken=x"};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(doubled); i++) {
        struct world w;

        begin(&w, doubled[i].query, doubled[i].form);
        assert_false(signs(&w));
        assert_int_equal(w.fault.kind, SLU_FAULT_BAD_REQUEST);
        end(&w);
    }
    for (size_t i = 0; i < 2 * SLU_COUNT(added); i++) {
        struct slu_str piece = slu_str_of(added[i / 2]);
        struct world w;

        begin(&w, "a=1", "b=2");
        assert_true(signs(&w));
        if (i % 2)
            w.request.query = slu_arena_join(&w.arena, w.request.query, piece);
        else
            w.request.body = slu_arena_join(&w.arena, w.request.body, piece);
        refused(&w, "signature");
        end(&w);
    }
}

static void test_constants(void **state)
{
    static const struct {
        const char *from, *to, *word;
    } changes[] = {
        {"SignatureMethod=HMAC-SHA1", "SignatureMethod=HMAC-SHA0", "signature"},
        {"SignatureVersion=1.0", "SignatureVersion=2.0", "signature"},
        {"SignatureNonce=nonce", "SignatureNonce=", "signature"},
        {"AccessKeyId=AK", "AccessKeyId=", "signature"},
        {"T00%3A00%3A00Z", "T00%3A00%3A00", "time"},
        {"Timestamp", "Timestomp", "time"},
        {"a=1", "a=%zz", "signature"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(changes); i++) {
        struct slu_str head, tail;
        const char *at;
        struct world w;

        begin(&w, "a=1", NULL);
        assert_true(signs(&w));
        at = memmem(w.request.query.p, w.request.query.n, changes[i].from, strlen(changes[i].from));
        assert_non_null(at);
        head = (struct slu_str){w.request.query.p, (size_t)(at - w.request.query.p)};
        tail = (struct slu_str){at + strlen(changes[i].from),
                                w.request.query.n - head.n - strlen(changes[i].from)};
        head = slu_arena_join(&w.arena, head, slu_str_of(changes[i].to));
        w.request.query = slu_arena_join(&w.arena, head, tail);
        refused(&w, changes[i].word);
        end(&w);
    }
}

/* The method is signed, the host is not. */
static void test_method(void **state)
{
    struct world w;

    (void)state;
    begin(&w, "a=1", NULL);
    assert_true(signs(&w));
    w.request.host = SLU_STR("elsewhere");
    assert_true(takes(&w));
    w.request.method = SLU_STR("GET");
    refused(&w, "signature");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sdk_wire),  cmocka_unit_test(test_places),
        cmocka_unit_test(test_unsigned),  cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_constants), cmocka_unit_test(test_method),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
