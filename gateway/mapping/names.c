/*
 * What a door onto another cloud has to know of its own dialect: how its clients call a canonical
 * member, what a request means without a word, and whether an answer tells the whole flow log.
 */
#include "mapping/table_internal.h"

static bool row_speaks(const struct slu_row *row, enum slu_operation operation)
{
    return row->has_n && row->n.count && row->requests && row->operations >> operation & 1;
}

/* Does the row write the member at this pointer, or a part of it? */
static bool row_is_about(const struct slu_table *table, const struct slu_row *row,
                         struct slu_str pointer)
{
    for (size_t i = 0; i < row->slot_count; i++) {
        struct slu_str known = table->slots[row->slots[i]].pointer;
        bool outer = slu_str_starts(known, pointer) && known.n > pointer.n && pointer.n &&
                     known.p[pointer.n] == '/';

        if (slu_str_eq(known, pointer) || outer)
            return true;
    }
    return false;
}

static struct slu_str last_step(struct slu_str pointer)
{
    for (size_t i = pointer.n; i > 0; i--)
        if (pointer.p[i - 1] == '/')
            return (struct slu_str){pointer.p + i, pointer.n - i};
    return pointer;
}

static struct slu_str without_last(struct slu_str pointer)
{
    struct slu_str last = last_step(pointer);

    return last.n < pointer.n ? (struct slu_str){pointer.p, pointer.n - last.n - 1} : SLU_STR("");
}

struct slu_str slu_table_native_name(const struct slu_table *table, enum slu_operation operation,
                                     struct slu_str pointer, struct slu_arena *arena)
{
    static const struct slu_str native = SLU_STR_INIT("/native/");

    if (slu_str_starts(pointer, native))
        return slu_arena_str(arena, (struct slu_str){pointer.p + native.n, pointer.n - native.n});
    for (; pointer.n; pointer = without_last(pointer)) /* a tag by its key: all the tags */
        for (size_t i = 0; i < table->row_count; i++) {
            const struct slu_row *row = &table->rows[i];

            if (row_speaks(row, operation) && row_is_about(table, row, pointer))
                return slu_arena_str(arena, row->n.steps[0]);
        }
    return SLU_STR_NONE;
}

void slu_table_imply(const struct slu_table *table, struct slu_value *canonical,
                     struct slu_arena *arena)
{
    const struct slu_step *step = slu_table_main_step(table, SLU_OP_CREATE, SLU_REQUEST);
    struct slu_run run;

    if (!step)
        return;
    slu_run_init(&run, table, SLU_OP_CREATE, SLU_REQUEST, step, NULL, arena, NULL, NULL);
    memset(run.slots, 0, sizeof(run.slots));
    slu_run_spread(&run, canonical, NULL);
    for (size_t i = 0; i < run.rows->lack_count; i++) {
        const struct slu_lack *lack = run.rows->lacks[i];
        const struct slu_slot *slot = &table->slots[lack->slot];

        if (lack->unless_count == 1 && lack->word_count == 0 && slot->parent == SLU_NO_SLOT &&
            !run.slots[lack->slot] && slu_conditions_hold(lack->when, lack->when_count, run.slots))
            slu_value_set(canonical, slot->name, slu_value_copy(arena, lack->unless[0]));
    }
}

bool slu_table_tells(const struct slu_table *table, enum slu_operation operation)
{
    const struct slu_step *step = slu_table_main_step(table, operation, SLU_REPLY);

    return step && step->gives && !step->echo;
}
