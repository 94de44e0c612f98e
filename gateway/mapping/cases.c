/* The table's own examples, run both ways. */
#include "codec/json.h"
#include "mapping/table_internal.h"

enum { CASE_BYTES = 4 * 1024 * 1024, SHOWN = 200 };

static struct slu_str shown(struct slu_arena *arena, const struct slu_value *value)
{
    struct slu_str text = slu_json_text(arena, value);

    if (text.n > SHOWN)
        text.n = SHOWN;
    return text;
}

/* The first difference between two documents, in words. */
static struct slu_str difference(struct slu_arena *arena, const struct slu_value *is,
                                 const struct slu_value *should, struct slu_str pointer)
{
    if (!is || !should)
        return slu_arena_printf(arena, "%.*s is %s", SLU_FMT(pointer),
                                is ? "there, but not expected" : "missing");
    if (is->kind == SLU_OBJECT && should->kind == SLU_OBJECT) {
        slu_value_each (child, should)
            if (!slu_value_equal(slu_value_find(is, child->name), child))
                return difference(arena, slu_value_find(is, child->name), child,
                                  slu_pointer_member(arena, pointer, child->name));
        slu_value_each (child, is)
            if (!slu_value_find(should, child->name))
                return difference(arena, child, NULL,
                                  slu_pointer_member(arena, pointer, child->name));
    }
    if (is->kind == SLU_ARRAY && should->kind == SLU_ARRAY && is->count == should->count)
        for (uint32_t i = 0; i < is->count; i++)
            if (!slu_value_equal(slu_value_item(is, i), slu_value_item(should, i)))
                return difference(arena, slu_value_item(is, i), slu_value_item(should, i),
                                  slu_pointer_item(arena, pointer, i));
    return slu_arena_printf(arena, "%.*s is %.*s, but should be %.*s", SLU_FMT(pointer),
                            SLU_FMT(shown(arena, is)), SLU_FMT(shown(arena, should)));
}

struct trial {
    const struct slu_table *table;
    const struct slu_case *example;
    struct slu_arena *arena;
    struct slu_mistakes *mistakes; /* the caller's */
    struct slu_str at;
};

static bool told(const struct trial *trial, const char *way, const struct slu_mistakes *inner)
{
    for (const struct slu_mistake *mistake = inner->first; mistake; mistake = mistake->next)
        slu_mistake(trial->mistakes, SLU_FAULT_CONFIG, trial->at, "%s \"%.*s\": %.*s %.*s", way,
                    SLU_FMT(trial->example->name), SLU_FMT(mistake->pointer),
                    SLU_FMT(mistake->detail));
    return false;
}

static bool compare(const struct trial *trial, const char *way, const struct slu_value *is,
                    const struct slu_value *should, const struct slu_losses *losses)
{
    if (!slu_value_equal(is, should))
        return slu_mistake(trial->mistakes, SLU_FAULT_CONFIG, trial->at, "%s \"%.*s\": %.*s", way,
                           SLU_FMT(trial->example->name),
                           SLU_FMT(difference(trial->arena, is, should, SLU_STR(""))));
    if (losses->first)
        return slu_mistake(trial->mistakes, SLU_FAULT_CONFIG, trial->at,
                           "%s \"%.*s\" loses %.*s: %.*s", way, SLU_FMT(trial->example->name),
                           SLU_FMT(losses->first->pointer), SLU_FMT(losses->first->reason));
    return true;
}

static bool run(const struct trial *trial, bool writing)
{
    const struct slu_case *example = trial->example;
    const char *way = writing ? "writing" : "reading";
    struct slu_mistakes inner;
    struct slu_losses losses;
    struct slu_value *is;

    slu_mistakes_init(&inner, trial->arena);
    slu_losses_init(&losses, trial->arena, false);
    is = writing ? slu_table_to_native(trial->table, example->operation, example->side,
                                       example->canonical, &example->vars, trial->arena, &losses,
                                       &inner)
                 : slu_table_to_canonical(trial->table, example->operation, example->side,
                                          example->native, &example->vars, trial->arena, &losses,
                                          &inner);
    if (!is)
        return told(trial, way, &inner);
    return compare(trial, way, is, writing ? example->native : example->canonical, &losses);
}

static bool prove(const struct trial *trial)
{
    bool good = true;

    if (trial->example->read)
        good &= run(trial, false);
    if (trial->example->write)
        good &= run(trial, true);
    return good;
}

bool slu_table_prove_cases(const struct slu_table *table, struct slu_mistakes *mistakes)
{
    struct slu_arena arena;
    bool good = true;

    slu_arena_init(&arena, CASE_BYTES);
    for (size_t i = 0; i < table->case_count; i++) {
        struct trial trial = {table, &table->cases[i], &arena, mistakes, SLU_STR_NONE};

        trial.at = slu_arena_printf(&arena, "/cases/%zu", i);
        good &= prove(&trial);
        if (arena.failed)
            good = slu_mistake(mistakes, SLU_FAULT_MEMORY, trial.at, "out of memory");
        slu_arena_reset(&arena);
    }
    slu_arena_done(&arena);
    return good;
}
