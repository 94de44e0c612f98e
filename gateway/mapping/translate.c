/*
 * One document from dialect to dialect, by way of the canonical form; nothing is sent. Members that
 * only the first dialect knows (they travel under `native`) have no meaning in the second, so they
 * are refused or listed as lost.
 */
#include "mapping/table_internal.h"

#include "codec/json.h"

bool slu_table_has_document(const struct slu_table *table, enum slu_operation operation,
                            enum slu_side side)
{
    return slu_table_serves(table, operation) && slu_table_main_step(table, operation, side);
}

/* Takes `native` out of a flow log. */
static void shed(struct slu_run *run, struct slu_value *flow_log, struct slu_str pointer)
{
    struct slu_value *native = slu_value_member(flow_log, "native");

    if (!native)
        return;
    pointer = slu_pointer_member(run->arena, pointer, SLU_STR("native"));
    if (slu_value_is(native, SLU_OBJECT))
        slu_value_each (member, native)
            slu_run_refuse(run, slu_pointer_member(run->arena, pointer, member->name), member,
                           SLU_STR("only the dialect it came from knows this member"));
    slu_value_remove(flow_log, native);
}

/* Of one flow log, or of each in a list. */
static void shed_native(const struct slu_translation *t, struct slu_value *canonical,
                        struct slu_arena *arena, struct slu_losses *losses,
                        struct slu_mistakes *mistakes)
{
    struct slu_run run;
    size_t index = 0;

    slu_run_init(&run, t->to, t->operation, t->side, NULL, t->vars, arena, losses, mistakes);
    if (canonical->kind != SLU_ARRAY) {
        shed(&run, canonical, SLU_STR(""));
        return;
    }
    slu_value_each (item, canonical)
        shed(&run, item, slu_pointer_item(arena, SLU_STR(""), index++));
}

/* A list may be given as callers get it: {"flow_logs": […]}. */
static const struct slu_value *list_of(const struct slu_translation *t,
                                       const struct slu_value *document)
{
    const struct slu_value *list = NULL;

    if (t->operation == SLU_OP_LIST && t->side == SLU_REPLY)
        list = slu_value_member(document, "flow_logs");
    return list ? list : document;
}

static bool check(const struct slu_translation *t, const struct slu_value *canonical,
                  struct slu_mistakes *mistakes)
{
    if (t->side == SLU_REPLY)
        return true;
    if (t->operation == SLU_OP_CREATE)
        return slu_flow_log_check(canonical, mistakes);
    return t->operation != SLU_OP_UPDATE || slu_flow_log_check_patch(canonical, mistakes);
}

struct slu_value *slu_translate(const struct slu_translation *t, const struct slu_value *document,
                                struct slu_arena *arena, struct slu_losses *losses,
                                struct slu_mistakes *mistakes)
{
    size_t before = mistakes->count;
    struct slu_value *canonical, *native;

    if (t->from)
        canonical = slu_table_to_canonical(t->from, t->operation, t->side, document, t->vars, arena,
                                           losses, mistakes);
    else
        canonical =
            check(t, document, mistakes) ? slu_value_copy(arena, list_of(t, document)) : NULL;
    if (!canonical || !t->to)
        return canonical;
    if (t->from && t->from != t->to)
        shed_native(t, canonical, arena, losses, mistakes);
    native = slu_table_to_native(t->to, t->operation, t->side, canonical, t->vars, arena, losses,
                                 mistakes);
    return mistakes->count == before ? native : NULL;
}
