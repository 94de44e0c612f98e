/* Faults and lists of mistakes. */
#include "test.h"

#include "base/arena.h"
#include "base/fault.h"

#include <stdio.h>

static void kinds_are_whole(void **state)
{
    (void)state;
    for (int kind = 0; kind < SLU_FAULT_KIND_COUNT; kind++) {
        const struct slu_fault_info *info = slu_fault_info((enum slu_fault_kind)kind);

        assert_non_null(info->code);
        assert_true(strlen(info->title) > 0);
        assert_true(info->status >= 200 && info->status < 600);
        assert_int_equal(slu_fault_kind_of(slu_str_of(info->code)), kind);
    }
    assert_int_equal(slu_fault_kind_of(SLU_STR("no_such_code")), SLU_FAULT_NONE);
    assert_int_equal(slu_fault_kind_of(SLU_STR_NONE), SLU_FAULT_NONE);
}

static void first_fault_wins(void **state)
{
    struct slu_fault fault = {0};

    (void)state;
    assert_false(slu_fault_set(&fault, SLU_FAULT_INVALID, "/name", "is %d", 1));
    assert_false(slu_fault_set(&fault, SLU_FAULT_MEMORY, "/other", "second"));
    assert_int_equal(fault.kind, SLU_FAULT_INVALID);
    assert_string_equal(fault.place, "/name");
    assert_string_equal(fault.words, "is 1");
    assert_false(slu_fault_set(NULL, SLU_FAULT_INVALID, NULL, "nobody listens"));
    fault = (struct slu_fault){0};
    assert_false(slu_fault_memory(&fault));
    assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
}

/* 600 times "é", with and without a byte before: cut, but never within a character. */
static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    for (int before = 0; before < 2; before++) {
        struct slu_fault fault = {0};
        char text[1300];
        size_t n = 0;

        if (before)
            text[n++] = 'x';
        for (int i = 0; i < 600; i++) {
            text[n++] = '\xc3';
            text[n++] = '\xa9';
        }
        text[n] = '\0';
        slu_fault_set(&fault, SLU_FAULT_INVALID, text, "%s", text);
        assert_int_equal(strlen(fault.place) % 2, before);
        assert_int_equal(strlen(fault.words) % 2, before);
        assert_true(strlen(fault.words) > sizeof(fault.words) - 4);
        assert_true(strlen(fault.place) > sizeof(fault.place) - 4);
    }
}

static void mistakes_are_kept_in_order_up_to_a_number(void **state)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    size_t kept = 0;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    assert_true(slu_mistakes_none(&mistakes));
    for (int i = 0; i < SLU_MISTAKES_KEPT + 5; i++)
        assert_false(slu_mistake(&mistakes, SLU_FAULT_INVALID, SLU_STR("/a"), "nr %d", i));
    assert_false(slu_mistakes_none(&mistakes));
    assert_int_equal(mistakes.count, SLU_MISTAKES_KEPT + 5);
    for (const struct slu_mistake *at = mistakes.first; at; at = at->next) {
        char words[32];

        snprintf(words, sizeof(words), "nr %zu", kept++);
        assert_str(at->detail, words);
        assert_str(at->pointer, "/a");
    }
    assert_int_equal(kept, SLU_MISTAKES_KEPT);
    slu_arena_done(&arena);
}

static void mistakes_without_memory_are_not_none(void **state)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;

    (void)state;
    slu_arena_init(&arena, 0);
    slu_mistakes_init(&mistakes, &arena);
    slu_mistake(&mistakes, SLU_FAULT_INVALID, SLU_STR(""), "x");
    assert_true(mistakes.failed);
    assert_false(slu_mistakes_none(&mistakes));
    slu_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_whole),
        cmocka_unit_test(first_fault_wins),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(mistakes_are_kept_in_order_up_to_a_number),
        cmocka_unit_test(mistakes_without_memory_are_not_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
