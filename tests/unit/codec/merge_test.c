/* Merge patches: the examples of RFC 7396 (appendix A, objects), and what of a patch changes
 * anything. */
#include "test.h"

#include "codec/json.h"
#include "codec/merge.h"

static struct slu_value *read_json(struct slu_arena *arena, const char *text)
{
    struct slu_mistakes mistakes;
    struct slu_value *value;

    slu_mistakes_init(&mistakes, arena);
    value = slu_json_read(arena, slu_str_of(text), (struct slu_json_limits){0}, &mistakes);
    assert_non_null(value);
    return value;
}

static const struct {
    const char *target, *patch, *merged, *changes;
} cases[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}", "{\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}", "{\"a\":null}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}", "{\"a\":null}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}",
     "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}", "{\"a\":1}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}",
     "{\"a\":{\"bb\":{\"ccc\":null}}}"},
    {"{\"a\":\"b\",\"t\":{\"x\":\"1\"}}", "{\"a\":\"b\",\"t\":{\"x\":\"1\"}}",
     "{\"a\":\"b\",\"t\":{\"x\":\"1\"}}", "{}"},
    {"{\"a\":null}", "{\"a\":null,\"b\":null}", "{}", "{}"},
};

static void merges_and_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(cases); i++) {
        struct slu_arena arena;
        struct slu_value *target, *patch;

        slu_arena_init(&arena, 1 << 16);
        target = read_json(&arena, cases[i].target);
        patch = read_json(&arena, cases[i].patch);
        assert_true(
            slu_value_equal(slu_merge(&arena, target, patch), read_json(&arena, cases[i].merged)));
        assert_true(slu_value_equal(slu_merge_changes(&arena, target, patch),
                                    read_json(&arena, cases[i].changes)));
        assert_true(slu_value_equal(target, read_json(&arena, cases[i].target)));
        slu_arena_done(&arena);
    }
}

static void memory_may_end(void **state)
{
    (void)state;
    for (size_t budget = 4096; budget < 32768; budget += 512) {
        struct slu_arena arena, small;
        struct slu_value *target, *patch, *merged, *changes;

        slu_arena_init(&arena, 1 << 16);
        slu_arena_init(&small, budget);
        target = read_json(&arena, "{\"a\":{\"b\":\"c\",\"d\":[1,2,3,4,5,6,7,8,9]}}");
        patch = read_json(&arena, "{\"a\":{\"b\":\"x\",\"e\":{\"f\":1}},\"g\":[1,2,3,4,5,6]}");
        merged = slu_merge(&small, target, patch);
        assert_true(merged || small.failed);
        changes = slu_merge_changes(&small, target, patch);
        assert_true(changes || small.failed);
        slu_arena_done(&small);
        slu_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_and_changes),
        cmocka_unit_test(memory_may_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
