/* Arena: alignment, growth, budget, reuse. */
#include "test.h"

#include "base/arena.h"

static void pieces_are_aligned_and_apart(void **state)
{
    struct slu_arena arena;
    char *last = NULL;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    for (size_t size = 0; size < 300; size++) {
        char *piece = slu_arena_get(&arena, size);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % 16, 0);
        assert_ptr_not_equal(piece, last);
        memset(piece, 0x5a, size);
        last = piece;
    }
    assert_false(arena.failed);
    slu_arena_done(&arena);
}

static void a_reserve_goes_beyond_the_budget(void **state)
{
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, 1000);
    assert_null(slu_arena_get(&arena, 1001));
    slu_arena_reserve(&arena, 2000);
    assert_false(arena.failed);
    memset(slu_arena_get(&arena, 2000), 0x5a, 2000);
    assert_null(slu_arena_get(&arena, 1)); /* the budget is what it was */
    assert_true(arena.failed);
    slu_arena_reset(&arena);
    assert_false(arena.failed);
    slu_arena_done(&arena);
}

/* Beyond its share an arena holds of the common budget what it has of the heap. */
static void a_common_budget_is_held_and_given_back(void **state)
{
    slu_auto(slu_budget) *common = slu_budget_new(200000);
    struct slu_arena arena, other;

    (void)state;
    assert_non_null(common);
    slu_arena_init(&arena, 1 << 20);
    slu_arena_init(&other, 1 << 20);
    slu_arena_share(&arena, common, 20000);
    slu_arena_share(&other, common, 0);
    assert_non_null(slu_arena_get(&arena, 1000));
    assert_int_equal(slu_budget_look(common).used_bytes, 0);
    assert_non_null(slu_arena_get(&arena, 100000));
    assert_int_equal(slu_budget_look(common).used_bytes, arena.used - 20000);
    assert_non_null(slu_arena_get(&other, 80000));
    assert_int_equal(slu_budget_look(common).used_bytes, arena.used + other.used - 20000);
    assert_null(slu_arena_get(&other, 80000));
    assert_true(other.failed && other.refused);
    slu_arena_reset(&arena);
    assert_int_equal(slu_budget_look(common).used_bytes, other.used);
    slu_arena_reset(&other);
    assert_false(other.failed || other.refused);
    assert_null(slu_arena_get(&other, 200001)); /* never, however long one waits */
    assert_true(other.failed && !other.refused);
    slu_arena_done(&other);
    slu_arena_done(&arena);
    assert_int_equal(slu_budget_look(common).used_bytes, 0);
}

static void who_yields_leaves_half(void **state)
{
    slu_auto(slu_budget) *common = slu_budget_new(100000);
    struct slu_arena arena;

    (void)state;
    assert_non_null(common);
    slu_arena_init(&arena, 1 << 20);
    slu_arena_share(&arena, common, 0);
    slu_arena_yield(&arena, true);
    assert_non_null(slu_arena_get(&arena, 30000));
    assert_null(slu_arena_get(&arena, 30000)); /* never while it yields */
    assert_false(arena.refused);
    slu_arena_yield(&arena, false);
    assert_non_null(slu_arena_get(&arena, 30000));
    slu_arena_done(&arena);
    slu_budget_insist(common, 40000);
    slu_arena_share(&arena, common, 0);
    slu_arena_yield(&arena, true);
    assert_null(slu_arena_get(&arena, 30000));
    assert_true(arena.refused);
    slu_arena_done(&arena);
    slu_budget_give(common, 40000);
}

static void who_insists_is_counted_only(void **state)
{
    slu_auto(slu_budget) *common = slu_budget_new(1000);
    struct slu_arena arena;

    (void)state;
    assert_non_null(common);
    slu_arena_init(&arena, 1 << 20);
    slu_arena_share(&arena, common, 0);
    assert_null(slu_arena_get(&arena, 1));
    slu_arena_reset(&arena);
    slu_arena_insist(&arena);
    assert_non_null(slu_arena_get(&arena, 100000));
    assert_false(arena.failed || arena.refused);
    assert_int_equal(slu_budget_look(common).used_bytes, arena.used);
    assert_null(slu_arena_get(&arena, 1 << 20)); /* its own budget stays */
    slu_arena_done(&arena);
    assert_int_equal(slu_budget_look(common).used_bytes, 0);
}

static void a_text_comes_piece_by_piece(void **state)
{
    struct slu_arena_text text = {0}, known = {0};
    struct slu_arena arena;
    char piece[1000];

    (void)state;
    slu_arena_init(&arena, 300000);
    assert_true(slu_arena_append(&arena, &known, SLU_STR("ab"), 5));
    assert_int_equal(known.size, 5);
    assert_true(slu_arena_append(&arena, &known, SLU_STR("cdefg"), 5)); /* longer than was said */
    assert_str(((struct slu_str){known.p, known.n}), "abcdefg");
    for (unsigned i = 0; i < 50; i++) {
        memset(piece, 'a' + i % 26, sizeof(piece));
        assert_true(slu_arena_append(&arena, &text, (struct slu_str){piece, sizeof(piece)}, 0));
    }
    assert_int_equal(text.n, 50 * sizeof(piece));
    for (size_t i = 0; i < text.n; i++)
        assert_int_equal(text.p[i], 'a' + i / sizeof(piece) % 26);
    known = text;
    while (slu_arena_append(&arena, &text, (struct slu_str){piece, sizeof(piece)}, 0))
        known.n += sizeof(piece);
    assert_true(arena.failed);
    assert_int_equal(text.n, known.n);
    slu_arena_done(&arena);
}

static void zero_is_zero_after_reuse(void **state)
{
    struct slu_arena arena;
    unsigned char *piece;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    piece = slu_arena_get(&arena, 100);
    memset(piece, 0xff, 100);
    slu_arena_reset(&arena);
    piece = slu_arena_zero(&arena, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(piece[i], 0);
    slu_arena_done(&arena);
}

static void budget_is_kept_and_failure_remembered(void **state)
{
    struct slu_arena arena;
    size_t got = 0;

    (void)state;
    slu_arena_init(&arena, 100000);
    while (slu_arena_get(&arena, 1000))
        got += 1000;
    assert_true(got >= 80000 && got <= 100000);
    assert_true(arena.used <= 100000);
    assert_true(arena.failed);
    slu_arena_reset(&arena);
    assert_false(arena.failed);
    assert_non_null(slu_arena_get(&arena, 1000));
    slu_arena_done(&arena);
}

static void impossible_sizes_fail(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2, 100001};
    struct slu_arena arena;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(sizes); i++) {
        slu_arena_init(&arena, 100000);
        assert_null(slu_arena_get(&arena, sizes[i]));
        assert_true(arena.failed);
        slu_arena_done(&arena);
    }
}

static void big_pieces_come_and_go(void **state)
{
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, 4 << 20);
    assert_non_null(slu_arena_get(&arena, 1 << 20));
    assert_non_null(slu_arena_get(&arena, 10));
    slu_arena_reset(&arena);
    assert_int_equal(arena.used, 0); /* a huge first block is not kept */
    assert_non_null(slu_arena_get(&arena, 10));
    slu_arena_reset(&arena);
    assert_true(arena.used > 0);
    slu_arena_done(&arena);
    assert_int_equal(arena.used, 0);
}

static void text_is_copied(void **state)
{
    struct slu_arena arena;
    char source[] = "abc";
    struct slu_str copy;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    copy = slu_arena_str(&arena, slu_str_of(source));
    source[0] = 'x';
    assert_str(copy, "abc");
    assert_int_equal(copy.p[3], '\0');
    assert_str(slu_arena_join(&arena, copy, SLU_STR("def")), "abcdef");
    assert_str(slu_arena_join(&arena, SLU_STR_NONE, SLU_STR_NONE), "");
    assert_non_null(slu_arena_str(&arena, SLU_STR_NONE).p);
    assert_str(slu_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    assert_str(slu_arena_printf(&arena, "%*d", 5000, 1).n == 5000 ? SLU_STR("ok") : SLU_STR(""),
               "ok");
    slu_arena_done(&arena);
}

static bool build(void *context)
{
    slu_auto(slu_budget) *common = slu_budget_new(1 << 20);
    struct slu_arena arena;
    bool good;

    (void)context;
    if (!common)
        return false;
    slu_arena_init(&arena, 1 << 20);
    slu_arena_share(&arena, common, 0);
    for (int i = 0; i < 100; i++) {
        struct slu_str text = slu_arena_printf(&arena, "%*d", 1000, i);

        assert_true(text.p || arena.failed);
    }
    good = !arena.failed;
    assert_false(arena.refused);
    assert_int_equal(slu_budget_look(common).used_bytes, arena.used);
    slu_arena_done(&arena);
    return good;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(test_every_allocation(build, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(a_reserve_goes_beyond_the_budget),
        cmocka_unit_test(a_common_budget_is_held_and_given_back),
        cmocka_unit_test(who_yields_leaves_half),
        cmocka_unit_test(who_insists_is_counted_only),
        cmocka_unit_test(a_text_comes_piece_by_piece),
        cmocka_unit_test(zero_is_zero_after_reuse),
        cmocka_unit_test(budget_is_kept_and_failure_remembered),
        cmocka_unit_test(impossible_sizes_fail),
        cmocka_unit_test(big_pieces_come_and_go),
        cmocka_unit_test(text_is_copied),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
