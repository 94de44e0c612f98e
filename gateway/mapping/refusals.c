/*
 * Parameters that a dialect has and this gateway does not serve, such as the second of many
 * resources in one call: a table lists them with the reason, so that they are refused in words of
 * their own instead of being passed on, or ignored.
 */
#include "codec/json.h"
#include "codec/shape.h"
#include "mapping/table_internal.h"

void slu_table_compile_refusals(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *transport = json_object_get(table->source, "transport");
    const json_t *list = json_object_get(transport, "refuse"), *item;
    size_t i;

    if (list && !table->flat)
        slu_table_wrong(compile, SLU_STR("/transport/refuse"),
                        "has a meaning for lists of parameters only");
    table->refusals = slu_table_array(compile, json_array_size(list), sizeof(struct slu_refusal));
    if (!table->refusals)
        return;
    json_array_foreach(list, i, item)
    {
        struct slu_refusal *refusal = &table->refusals[table->refusal_count++];

        refusal->name = slu_ours_str(item, "parameter");
        refusal->star = slu_str_ends(refusal->name, SLU_STR("*"));
        refusal->name.n -= refusal->star;
        refusal->reason = slu_ours_str(item, "reason");
        refusal->unless =
            slu_table_texts(compile, json_object_get(item, "unless"), &refusal->unless_count);
    }
}

/* Does a row of the call stand at this parameter? */
static bool row_at(const struct slu_rows *rows, struct slu_str name)
{
    for (size_t i = 0; i < rows->count; i++)
        if (rows->writing[i]->has_n && slu_str_eq(rows->writing[i]->n.steps[0], name))
            return true;
    return false;
}

const struct slu_refusal *slu_refusal_of(const struct slu_table *table, const struct slu_step *step,
                                         const struct slu_rows *rows, struct slu_str name)
{
    for (size_t i = 0; i < table->refusal_count; i++) {
        const struct slu_refusal *refusal = &table->refusals[i];

        if ((refusal->star ? slu_str_starts(name, refusal->name)
                           : slu_str_eq(name, refusal->name)) &&
            !slu_step_knows(table, step, name) && !row_at(rows, name))
            return refusal;
    }
    return NULL;
}

bool slu_refusal_lets(const struct slu_refusal *refusal, struct slu_str value)
{
    for (size_t i = 0; i < refusal->unless_count; i++)
        if (slu_str_eq(refusal->unless[i], value))
            return true;
    return false;
}

bool slu_refusals_take(const struct slu_table *table, const struct slu_step *step,
                       const struct slu_rows *rows, struct slu_value *parameters,
                       struct slu_fault *fault)
{
    struct slu_value *next;

    for (struct slu_value *child = parameters->first; child; child = next) {
        const struct slu_refusal *refusal = slu_refusal_of(table, step, rows, child->name);

        next = child->next;
        if (refusal && !slu_refusal_lets(refusal, child->text))
            return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter", "%.*s: %.*s",
                                 SLU_FMT(child->name), SLU_FMT(refusal->reason));
        if (refusal)
            (void)slu_value_remove(parameters, child);
    }
    return true;
}
