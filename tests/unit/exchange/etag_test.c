/* Entity tags: equal for equal documents, and the comparisons of If-Match. */
#include "test.h"

#include "exchange/exchange_internal.h"

#define TAG "\"0123456789abcdef0123456789abcdef\""

static const struct {
    const char *field;
    bool matches;
} fields[] = {
    {"*", true},
    {" * ", true},
    {TAG, true},
    {"\"a\", " TAG, true},
    {"\"a\"," TAG " , W/\"b\"", true},
    {"W/" TAG, false}, /* weak tags never match */
    {"\"0123456789ABCDEF0123456789ABCDEF\"", false},
    {"0123456789abcdef0123456789abcdef", false},
    {"\"a\", *", false},
    {"", false},
    {",,", false},
};

static void matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(fields); i++)
        if (slu_etag_matches(slu_str_of(fields[i].field), SLU_STR(TAG)) != fields[i].matches)
            fail_msg("If-Match: %s", fields[i].field);
}

static struct slu_str tag_of(struct slu_arena *arena, const char *name)
{
    struct slu_value *flow_log = slu_value_new(arena, SLU_OBJECT);

    slu_value_put(flow_log, SLU_STR("name"), slu_value_string(arena, slu_str_of(name)));
    return flow_log ? slu_etag(arena, flow_log) : SLU_STR_NONE;
}

static void tells_documents_apart(void **state)
{
    struct slu_arena arena;
    struct slu_str tag;

    (void)state;
    slu_arena_init(&arena, 1 << 16);
    tag = tag_of(&arena, "a");
    assert_int_equal(tag.n, SLU_ETAG_SIZE);
    assert_true(tag.p[0] == '"' && tag.p[SLU_ETAG_SIZE - 1] == '"');
    assert_true(slu_str_eq(tag, tag_of(&arena, "a")));
    assert_false(slu_str_eq(tag, tag_of(&arena, "b")));
    slu_arena_done(&arena);
}

static void without_memory(void **state)
{
    bool good = false;

    (void)state;
    for (unsigned long n = 1; !good; n++) {
        struct slu_arena arena;

        slu_arena_init(&arena, 1 << 16);
        slu_mem_fail_at(n);
        good = tag_of(&arena, "a").p != NULL;
        if (slu_mem_fail_at(0) < n)
            assert_true(good);
        slu_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(matches),
                                       cmocka_unit_test(tells_documents_apart),
                                       cmocka_unit_test(without_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
