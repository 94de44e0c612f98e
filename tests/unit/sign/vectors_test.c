/*
 * Every vector of the official signers in both directions: what we sign is what they sign, what
 * they sign is taken, and nothing of it can be changed unnoticed.
 */
#include "vectors.h"

#include <strings.h>

struct made {
    struct slu_arena arena;
    struct slu_request request;
    struct slu_sign_trace trace;
    struct slu_seal *seal;
    int64_t unix_s;
};

static void made_init(struct made *made, const char *scheme, json_t *vector)
{
    struct slu_fault fault = {0};

    slu_arena_init(&made->arena, ARENA);
    made->unix_s = unix_of(vector);
    made->seal = seal_of(scheme, vector);
    assert_non_null(made->seal);
    assert_true(request_of(vector, &made->arena, &made->request));
    if (!slu_sign(made->seal, &made->arena, made->unix_s, text_in(vector, "nonce"), &made->request,
                  &made->trace, &fault))
        fail_msg("%s: %s", json_string_value(json_object_get(vector, "name")), fault.words);
}

static void made_done(struct made *made)
{
    slu_seal_free(made->seal);
    slu_arena_done(&made->arena);
}

typedef void each_fn(const char *scheme, json_t *vector, struct made *made);

static void each_vector(each_fn *body, size_t expected)
{
    size_t seen = 0;

    for (size_t s = 0; s < SLU_COUNT(schemes); s++) {
        json_t *vectors = vectors_of(schemes[s]), *vector;
        size_t i;

        json_array_foreach(vectors, i, vector)
        {
            struct made made = {0};

            made_init(&made, schemes[s], vector);
            body(schemes[s], vector, &made);
            made_done(&made);
            seen++;
        }
        json_decref(vectors);
    }
    assert_int_equal(seen, expected);
}

static const char *either(const json_t *object, const char *name, const char *other)
{
    const json_t *value = json_object_get(object, name);

    return json_string_value(value ? value : json_object_get(object, other));
}

static void check_signed(const char *scheme, json_t *vector, struct made *made)
{
    json_t *expect = json_object_get(vector, "expect"), *value;
    const char *name;

    (void)scheme;
    assert_str(made->trace.canonical_request,
               either(expect, "canonical_request", "canonical_query"));
    if (json_object_get(expect, "string_to_sign"))
        assert_str(made->trace.string_to_sign,
                   json_string_value(json_object_get(expect, "string_to_sign")));
    assert_str(made->trace.authorization, either(expect, "authorization", "signature"));
    json_object_foreach(json_object_get(expect, "headers_added"), name, value)
    {
        if (strcasecmp(name, "host") == 0) {
            assert_str(made->request.host, json_string_value(value));
            continue;
        }
        assert_int_equal(slu_headers_count(&made->request.headers, slu_str_of(name)), 1);
        assert_str(slu_headers_value(&made->request.headers, slu_str_of(name)),
                   json_string_value(value));
    }
}

static void test_sign(void **state)
{
    (void)state;
    each_vector(check_signed, VECTORS);
}

/* A retry signs the same request again: the fields are replaced, not doubled. */
static void check_signed_again(const char *scheme, json_t *vector, struct made *made)
{
    struct slu_fault fault = {0};
    size_t fields = made->request.headers.count;

    assert_true(slu_sign(made->seal, &made->arena, made->unix_s + 7, SLU_STR("another"),
                         &made->request, NULL, &fault));
    assert_int_equal(made->request.headers.count, fields);
    assert_true(slu_sign(made->seal, &made->arena, made->unix_s, text_in(vector, "nonce"),
                         &made->request, &made->trace, &fault));
    check_signed(scheme, vector, made);
}

static void test_sign_again(void **state)
{
    (void)state;
    each_vector(check_signed_again, VECTORS);
}

static void check_verified(const char *scheme, json_t *vector, struct made *made)
{
    struct slu_fault fault = {0};
    struct slu_claim claim = {0};

    if (!received(made->seal, &made->arena, &made->request, made->unix_s, &claim, &fault))
        fail_msg("%s: %s %s", json_string_value(json_object_get(vector, "name")), fault.place,
                 fault.words);
    assert_ptr_equal(claim.scheme, slu_scheme_find(slu_str_of(scheme)));
    assert_true(slu_str_eq(claim.access_key, text_in(vector, "access_key")));
    assert_true(slu_str_eq(claim.nonce, text_in(vector, "nonce")));
    assert_true(slu_str_eq(claim.security_token, text_in(vector, "security_token")));
    assert_int_equal(claim.unix_s, made->unix_s);
}

static void test_verify(void **state)
{
    (void)state;
    each_vector(check_verified, VECTORS);
}

/* The request with every text in writable memory of its own. */
static struct slu_request writable(struct slu_arena *arena, const struct slu_request *request)
{
    struct slu_request copy = *request;

    copy.method = slu_arena_str(arena, request->method);
    copy.host = slu_arena_str(arena, request->host);
    copy.path = slu_arena_str(arena, request->path);
    copy.query = slu_arena_str(arena, request->query);
    copy.body = slu_arena_str(arena, request->body);
    copy.headers.items = slu_arena_get(arena, copy.headers.count * sizeof(struct slu_header));
    for (size_t i = 0; i < copy.headers.count; i++) {
        copy.headers.items[i].name = slu_arena_str(arena, request->headers.items[i].name);
        copy.headers.items[i].value = slu_arena_str(arena, request->headers.items[i].value);
    }
    return copy;
}

static bool taken(struct made *made, const struct slu_request *request, struct slu_fault *fault)
{
    struct slu_claim claim;
    struct slu_arena arena;
    bool good;

    *fault = (struct slu_fault){0};
    slu_arena_init(&arena, ARENA);
    good = received(made->seal, &arena, request, made->unix_s, &claim, fault);
    slu_arena_done(&arena);
    return good;
}

/* Changes each byte of one text of the request in three ways; `may` says whether that must be
 * refused or must not matter. */
static void change_bytes(struct made *made, const struct slu_request *request, struct slu_str text,
                         bool may, const char *what)
{
    static const char flips[] = {0x01, 0x02, 0x10};
    struct slu_fault fault;

    for (size_t i = 0; i < text.n * sizeof(flips); i++) {
        char *at = (char *)text.p + i / sizeof(flips);
        char was = *at;

        *at = (char)(was ^ flips[i % sizeof(flips)]);
        if (taken(made, request, &fault) != may)
            fail_msg("%s: byte %zu, %c for %c: %s", what, i / sizeof(flips), *at, was,
                     may ? fault.words : "was taken");
        if (!may)
            assert_int_equal(fault.kind, SLU_FAULT_UNAUTHENTICATED);
        *at = was;
    }
}

/* Where parameters bear the signature, the only field that matters says that there are some. */
static bool is_covered(const char *scheme, struct slu_str name, struct slu_str authorization)
{
    char item[128];
    size_t n = 0;

    if (strcmp(scheme, "rpc-hmac-sha1") == 0)
        return slu_str_eq_nocase(name, SLU_STR("content-type"));
    for (; n < name.n && n < sizeof(item) - 1; n++)
        item[n] = slu_ascii_lower(name.p[n]);
    return slu_str_is(name, "Authorization") || memmem(authorization.p, authorization.n, item, n);
}

static void check_changes(const char *scheme, json_t *vector, struct made *made)
{
    struct slu_request copy = writable(&made->arena, &made->request);
    struct slu_fault fault;
    bool by_fields = strcmp(scheme, "rpc-hmac-sha1") != 0;
    size_t covered = 0;

    (void)vector;
    assert_true(taken(made, &copy, &fault));
    change_bytes(made, &copy, copy.method, false, "method");
    change_bytes(made, &copy, copy.host, !by_fields, "host");
    change_bytes(made, &copy, copy.path, false, "path");
    change_bytes(made, &copy, copy.query, false, "query");
    change_bytes(made, &copy, copy.body, false, "body");
    for (size_t i = 0; i < copy.headers.count; i++) {
        struct slu_header *header = &copy.headers.items[i];
        bool matters = is_covered(scheme, header->name, made->trace.authorization);

        covered += matters;
        change_bytes(made, &copy, header->value, !matters, "field value");
        change_bytes(made, &copy, header->name, !matters, "field name");
    }
    assert_true(!by_fields || covered >= 2);
    assert_true(taken(made, &copy, &fault));
}

static void test_changes(void **state)
{
    (void)state;
    each_vector(check_changes, VECTORS);
}

static void check_pieces(const char *scheme, json_t *vector, struct made *made)
{
    struct slu_request copy = writable(&made->arena, &made->request);
    struct slu_fault fault;

    (void)vector;
    copy.query =
        slu_arena_join(&made->arena, copy.query, copy.query.n ? SLU_STR("&zz=1") : SLU_STR("zz=1"));
    assert_false(taken(made, &copy, &fault));
    copy = writable(&made->arena, &made->request);
    copy.body = slu_arena_join(&made->arena, copy.body, SLU_STR(" "));
    assert_false(taken(made, &copy, &fault));
    copy = writable(&made->arena, &made->request);
    copy.path = slu_arena_join(&made->arena, copy.path, SLU_STR("x"));
    assert_false(taken(made, &copy, &fault));
    for (size_t i = 0; i < made->request.headers.count; i++) {
        bool matters =
            is_covered(scheme, made->request.headers.items[i].name, made->trace.authorization);

        copy = writable(&made->arena, &made->request);
        copy.headers.items[i] = copy.headers.items[--copy.headers.count];
        assert_int_equal(taken(made, &copy, &fault), !matters);
    }
}

/* Something added to query, body or path, or a field taken away. */
static void test_pieces(void **state)
{
    (void)state;
    each_vector(check_pieces, VECTORS);
}

struct whole_way {
    const char *scheme;
    json_t *vector;
};

static bool whole_way(void *context)
{
    struct whole_way *way = context;
    slu_auto(slu_seal) *seal = seal_of(way->scheme, way->vector);
    struct slu_request request;
    struct slu_fault fault = {0};
    struct slu_claim claim;
    struct slu_arena arena;
    bool good;

    slu_arena_init(&arena, ARENA);
    good = seal && request_of(way->vector, &arena, &request);
    if (good) {
        good = slu_sign(seal, &arena, unix_of(way->vector), text_in(way->vector, "nonce"), &request,
                        NULL, &fault) &&
               received(seal, &arena, &request, unix_of(way->vector), &claim, &fault);
        assert_int_equal(fault.kind, good ? SLU_FAULT_NONE : SLU_FAULT_MEMORY);
    }
    slu_arena_done(&arena);
    return good;
}

static void check_memory(const char *scheme, json_t *vector, struct made *made)
{
    struct whole_way way = {scheme, vector};

    (void)made;
    assert_true(test_every_allocation(whole_way, &way) > 3);
}

static void test_memory(void **state)
{
    (void)state;
    each_vector(check_memory, VECTORS);
}

/* The same with an arena that is spent a little later each time. */
static void check_budgets(const char *scheme, json_t *vector, struct made *made)
{
    bool good = false;

    (void)scheme;
    for (size_t budget = 0; !good; budget += 16) {
        struct slu_fault fault = {0};
        struct slu_request request;
        struct slu_claim claim;
        struct slu_arena arena;

        assert_true(budget < 100000 && request_of(vector, &made->arena, &request));
        slu_arena_init(&arena, budget);
        good = slu_sign(made->seal, &arena, made->unix_s, text_in(vector, "nonce"), &request, NULL,
                        &fault) &&
               received(made->seal, &arena, &request, made->unix_s, &claim, &fault);
        assert_int_equal(fault.kind, good ? SLU_FAULT_NONE : SLU_FAULT_MEMORY);
        slu_arena_done(&arena);
    }
}

static void test_budgets(void **state)
{
    (void)state;
    each_vector(check_budgets, VECTORS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign),    cmocka_unit_test(test_sign_again),
        cmocka_unit_test(test_verify),  cmocka_unit_test(test_changes),
        cmocka_unit_test(test_pieces),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_budgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
