/* Merge patches. Patches come out of the JSON reader, whose depth is bounded, so recursion is too.
 */
#include "codec/merge.h"

struct slu_value *slu_merge(struct slu_arena *arena, const struct slu_value *target,
                            const struct slu_value *patch)
{
    struct slu_value *merged;

    if (!slu_value_is(patch, SLU_OBJECT))
        return slu_value_copy(arena, patch);
    merged = slu_value_is(target, SLU_OBJECT) ? slu_value_copy(arena, target)
                                              : slu_value_new(arena, SLU_OBJECT);
    slu_value_each (wish, patch) {
        struct slu_value *old = slu_value_find(merged, wish->name), *made;

        if (!merged)
            break;
        if (wish->kind == SLU_NULL) {
            if (old)
                slu_value_remove(merged, old);
            continue;
        }
        made = slu_merge(arena, old, wish);
        if (made)
            slu_value_set(merged, slu_arena_str(arena, wish->name), made);
    }
    return arena->failed ? NULL : merged;
}

static bool holds(const struct slu_value *there, const struct slu_value *wish)
{
    if (wish->kind == SLU_NULL)
        return !there || there->kind == SLU_NULL;
    return there && slu_value_equal(there, wish);
}

struct slu_value *slu_merge_changes(struct slu_arena *arena, const struct slu_value *target,
                                    const struct slu_value *patch)
{
    struct slu_value *changes = slu_value_new(arena, SLU_OBJECT);

    slu_value_each (wish, patch) {
        const struct slu_value *there = slu_value_find(target, wish->name);
        struct slu_value *change;

        if (wish->kind == SLU_OBJECT && slu_value_is(there, SLU_OBJECT)) {
            change = slu_merge_changes(arena, there, wish);
            if (change && change->count == 0)
                continue;
        } else if (holds(there, wish)) {
            continue;
        } else {
            change = slu_value_copy(arena, wish);
        }
        if (changes && change)
            slu_value_put(changes, slu_arena_str(arena, wish->name), change);
    }
    return arena->failed ? NULL : changes;
}
