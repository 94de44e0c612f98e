/*
 * Canonical to native: the rows write one after the other, then the table's `cannot` speaks for
 * what no row took, then the caller's native members are passed through where no row stands.
 *
 * A node that is written but says nothing of its own (a null, a constant, a word for "something
 * else") is marked: in a reply, a native member kept from the original speaks before it.
 */
#include "mapping/table_internal.h"

#include "codec/json.h"

enum { INDEXED_MOST = 1000 };

static bool creating(const struct slu_run *run)
{
    return run->operation == SLU_OP_CREATE && run->side == SLU_REQUEST;
}

static const struct slu_slot *slot_of(const struct slu_run *run, const struct slu_row *row)
{
    return &run->table->slots[row->slot];
}

static void invalid(struct slu_run *run, struct slu_str pointer, const struct slu_value *value,
                    const char *words)
{
    if (run->side == SLU_REQUEST)
        slu_mistake(run->mistakes, SLU_FAULT_INVALID, pointer, "%s", words);
    else
        slu_run_lose(run, pointer, value, slu_str_of(words));
}

/* A native value at the row's place. */
static void put(struct slu_run *run, const struct slu_row *row, struct slu_value *value)
{
    if (value && !slu_run_place(run->arena, &row->n, run->native, value) && !run->arena->failed)
        slu_mistake(run->mistakes, SLU_FAULT_INTERNAL, row->n.pointer,
                    "two rows of the mapping table write this place");
}

static void put_weak(struct slu_run *run, const struct slu_row *row, struct slu_value *value)
{
    if (value)
        value->marked = true;
    put(run, row, value);
}

/* ---- what the cloud lacks ---- */

bool slu_value_listed(const struct slu_value *const *values, size_t count,
                      const struct slu_value *value)
{
    for (size_t i = 0; i < count; i++)
        if (slu_value_equal(values[i], value))
            return true;
    return false;
}

/* The entry of `cannot` that speaks about this value of the slot, or NULL. */
static const struct slu_lack *lack_of(const struct slu_run *run, uint8_t slot,
                                      const struct slu_value *value)
{
    for (size_t i = 0; i < run->rows->lack_count; i++) {
        const struct slu_lack *lack = run->rows->lacks[i];

        if (lack->slot == slot &&
            (lack->word_count == 0 || slu_value_listed(lack->words, lack->word_count, value)) &&
            slu_conditions_hold(lack->when, lack->when_count, run->slots))
            return lack;
    }
    return NULL;
}

bool slu_table_does_anyway(const struct slu_table *table, const struct slu_value *whole,
                           struct slu_str pointer, const struct slu_value *value,
                           struct slu_arena *arena)
{
    uint8_t slot = slu_slot_find(table, pointer);
    const struct slu_lack *lack;
    struct slu_mistakes mistakes;
    struct slu_losses losses;
    struct slu_run run;

    if (slot == SLU_NO_SLOT || !slu_table_serves(table, SLU_OP_UPDATE))
        return false;
    slu_mistakes_init(&mistakes, arena);
    slu_losses_init(&losses, arena, true);
    slu_run_init(&run, table, SLU_OP_UPDATE, SLU_REQUEST, &table->plans[SLU_OP_UPDATE].steps[0],
                 NULL, arena, &losses, &mistakes);
    slu_run_spread(&run, whole, &mistakes);
    lack = lack_of(&run, slot, value);
    return lack && slu_value_listed(lack->unless, lack->unless_count, value);
}

/* A create without a member that the cloud insists on would be another request than the caller's:
 * it is refused even where losses are allowed. */
static void refuse_row(struct slu_run *run, const struct slu_row *row,
                       const struct slu_value *value, struct slu_str reason)
{
    struct slu_str pointer = slot_of(run, row)->pointer;

    if (creating(run) && row->required)
        slu_mistake(run->mistakes, SLU_FAULT_UNSUPPORTED, pointer, "%.*s", SLU_FMT(reason));
    else
        slu_run_refuse(run, pointer, value, reason);
}

/* Refuses what the table says the cloud lacks although it has a row: a word, or the member where a
 * condition holds. */
static bool word_lacks(struct slu_run *run, const struct slu_row *row,
                       const struct slu_value *value)
{
    for (size_t i = 0; i < run->rows->lack_count; i++) {
        const struct slu_lack *lack = run->rows->lacks[i];
        bool whole = lack->when_count && lack->word_count == 0;

        if (lack->slot != row->slot ||
            !(whole || slu_value_listed(lack->words, lack->word_count, value)) ||
            !slu_conditions_hold(lack->when, lack->when_count, run->slots))
            continue;
        if (!slu_value_listed(lack->unless, lack->unless_count, value))
            refuse_row(run, row, value, lack->reason);
        return true;
    }
    return false;
}

/* ---- rows ---- */

static void miss(struct slu_run *run, const struct slu_row *row, uint8_t slot)
{
    struct slu_str pointer = run->table->slots[slot].pointer;

    if (!creating(run))
        return;
    if (row->required)
        invalid(run, pointer, NULL, "is required by this target");
    else if (row->required_if_count &&
             slu_conditions_hold(row->required_if, row->required_if_count, run->slots))
        invalid(run, pointer, NULL, "is required by this target, as the rest of the request is");
}

bool slu_run_clearing(const struct slu_run *run)
{
    return run->side == SLU_REQUEST && run->step->carries == SLU_CARRIES_NULLS;
}

/* Only what is set travels here. */
static bool setting(const struct slu_run *run)
{
    return run->side == SLU_REQUEST && run->step->carries == SLU_CARRIES_VALUES;
}

const struct slu_value *slu_row_clears(const struct slu_table *table, const struct slu_row *row)
{
    static const struct slu_value text = {.kind = SLU_STRING, .text = {"", 0}};
    static const struct slu_value list = {.kind = SLU_ARRAY};
    bool least = row->limits && row->limits->has_min && row->limits->min > 0;

    if (row->clear || row->clear_never.p || row->derived)
        return row->clear;
    if (row->one.p)
        return slu_table_in_parts(table) ? &text : NULL; /* its key alone */
    if (row->codec == SLU_CODEC_COPY && !least &&
        table->slots[row->slot].member->type == SLU_MEMBER_TEXT)
        return &text;
    return row->codec == SLU_CODEC_KV_LIST && !slu_table_in_parts(table) ? &list : NULL;
}

static struct slu_str why_never(const struct slu_run *run, const struct slu_row *row)
{
    if (row->clear_never.p)
        return row->clear_never;
    if (slot_of(run, row)->member->type == SLU_MEMBER_TEXTS && slu_table_in_parts(run->table))
        return SLU_STR("is cleared on this target by naming each of its members with null");
    return SLU_STR("cannot be cleared on this target");
}

/* Null in an update clears: possible where the table says how, or the cloud takes an empty text or
 * list. A call that only sets judges it and leaves it to the one that clears. */
static void clear(struct slu_run *run, const struct slu_row *row, const struct slu_value *null)
{
    const struct slu_value *native = slu_row_clears(run->table, row);

    if (!native)
        slu_run_refuse(run, slot_of(run, row)->pointer, null, why_never(run, row));
    else if (!setting(run))
        put(run, row, slu_value_share(run->arena, native));
}

/* The members of an object of strings that are set, or those that are null: in an update it is a
 * merge patch too. NULL: there are none. */
static struct slu_value *part_of(struct slu_run *run, const struct slu_value *value, bool nulls)
{
    struct slu_value *part = slu_value_new(run->arena, SLU_OBJECT);

    slu_value_each (child, value)
        if ((child->kind == SLU_NULL) == nulls)
            slu_value_put(part, child->name, slu_value_share(run->arena, child));
    return part && part->count ? part : NULL;
}

static bool is_patch(const struct slu_run *run, const struct slu_row *row,
                     const struct slu_value *value)
{
    return run->operation == SLU_OP_UPDATE && run->side == SLU_REQUEST &&
           value->kind == SLU_OBJECT && slot_of(run, row)->member->type == SLU_MEMBER_TEXTS;
}

/* What is beyond the cloud's limits cannot be carried: refused, or left out where losses are
 * allowed and the cloud does not insist on the member. */
static bool within_limits(struct slu_run *run, const struct slu_row *row,
                          const struct slu_value *value)
{
    struct slu_str pointer = slot_of(run, row)->pointer;
    struct slu_mistakes found;

    slu_mistakes_init(&found, run->arena);
    if (slu_limits_check(row->limits, value, pointer, SLU_FAULT_UNSUPPORTED, &found))
        return true;
    if (run->losses->lenient && found.first && !(creating(run) && row->required)) {
        slu_run_lose(run, pointer, value, found.first->detail);
        return false;
    }
    for (const struct slu_mistake *one = found.first; one; one = one->next)
        slu_mistake(run->mistakes, one->kind, one->pointer, "%.*s", SLU_FMT(one->detail));
    return false;
}

/* Is the value one that the member can have, and the cloud takes? */
static bool sound(struct slu_run *run, const struct slu_row *row, const struct slu_value *value)
{
    if (!slu_member_takes(slot_of(run, row)->member, value)) {
        invalid(run, slot_of(run, row)->pointer, value, "is of a kind that this member is not");
        return false;
    }
    return !row->limits || run->side != SLU_REQUEST || within_limits(run, row, value);
}

/* What this call says of an object of strings; all of it is judged. */
static const struct slu_value *patch_for(struct slu_run *run, const struct slu_row *row,
                                         const struct slu_value *value)
{
    const struct slu_value *set = part_of(run, value, false), *removed = part_of(run, value, true);
    bool whole = run->step->carries == SLU_CARRIES_ALL;

    if (removed && whole) {
        slu_run_refuse(run, slot_of(run, row)->pointer, value,
                       SLU_STR("is replaced as a whole on this target: name what shall stay"));
        return NULL;
    }
    if (set && !sound(run, row, set))
        set = NULL;
    else if (whole)
        return value;
    return slu_run_clearing(run) ? removed : set;
}

/* The value a row has to say; NULL when there is none or all is said. */
static const struct slu_value *value_for(struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *value = run->slots[row->slot];

    if (!value) {
        miss(run, row, row->slot);
        return NULL;
    }
    if (value->kind == SLU_NULL) {
        if (row->derived || slu_run_null_here(run, row->slot))
            return NULL;
        if (run->side == SLU_REQUEST)
            clear(run, row, value);
        else if (!run->flat)
            put_weak(run, row, slu_value_new(run->arena, SLU_NULL));
        return NULL;
    }
    if (word_lacks(run, row, value))
        return NULL;
    if (is_patch(run, row, value))
        return patch_for(run, row, value);
    return sound(run, row, value) ? value : NULL;
}

/* A word that only means "something else" is what the cloud's own word, kept aside, says better. */
static bool kept_aside(const struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *value = run->slots[row->slot];
    const struct slu_value *native = run->slots[run->table->native_slot], *kept;

    if (!value || !native || run->side == SLU_REQUEST || !row->words || !row->words->otherwise ||
        !slu_value_equal(row->words->otherwise, value))
        return false;
    kept = slu_path_get(&row->n, native);
    return slu_value_is(kept, SLU_STRING) &&
           !slu_words_read(row->words, kept, run->texts, run->slots);
}

static void check_derived(struct slu_run *run, const struct slu_row *row,
                          const struct slu_value *value)
{
    const struct slu_value *native = slu_path_get(&row->n, run->native), *back = NULL;
    struct slu_str why;

    if (native)
        back = slu_codec_to_canonical(run, row, native, &why);
    if (!back || !slu_value_equal(back, value))
        slu_run_refuse(run, slot_of(run, row)->pointer, value,
                       SLU_STR("does not agree with what the other members say on this target"));
}

static void write_single(struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *value = kept_aside(run, row) ? NULL : value_for(run, row);
    struct slu_value *native;
    struct slu_str why;

    if (!value)
        return;
    if (row->derived) {
        check_derived(run, row, value);
        return;
    }
    native = slu_codec_to_native(run, row, value, &why);
    if (!native)
        refuse_row(run, row, value, why);
    else if (!slu_run_clearing(run) || is_patch(run, row, value))
        put(run, row, native);
}

/* ---- lists of keys and values; several rows may write one ---- */

/* A key that another row takes out of the list cannot be said here as well. */
static bool key_is_free(struct slu_run *run, const struct slu_row *row,
                        const struct slu_value *child)
{
    if (!slu_key_taken(run, row, child->name))
        return true;
    slu_run_refuse(run, slu_pointer_member(run->arena, slot_of(run, row)->pointer, child->name),
                   child, SLU_STR("is what another member of the flow log says on this target"));
    return false;
}

static void add_pair(struct slu_run *run, const struct slu_row *row, struct slu_str key,
                     const struct slu_str *text)
{
    struct slu_value *list = slu_path_get(&row->n, run->native);
    struct slu_value *item = slu_value_new(run->arena, SLU_OBJECT);

    slu_value_put(item, row->key, slu_value_string(run->arena, key));
    if (text)
        slu_value_put(item, row->value, slu_value_string(run->arena, *text));
    if (!list) {
        list = slu_value_new(run->arena, SLU_ARRAY);
        put(run, row, list);
    }
    slu_value_append(list, item);
}

/* Behind the pairs that are there already. */
static void add_indexed(struct slu_run *run, const struct slu_row *row, struct slu_str key,
                        const struct slu_str *text)
{
    struct slu_str prefix = row->n.steps[row->n.count - 1], rest;
    size_t number = 0;

    slu_value_each (child, run->native) {
        size_t other = slu_indexed_number(prefix, child->name, &rest);

        number = other > number ? other : number;
    }
    number++;
    slu_value_put(
        run->native,
        slu_arena_printf(run->arena, "%.*s.%zu.%.*s", SLU_FMT(prefix), number, SLU_FMT(row->key)),
        slu_value_string(run->arena, key));
    if (text)
        slu_value_put(run->native,
                      slu_arena_printf(run->arena, "%.*s.%zu.%.*s", SLU_FMT(prefix), number,
                                       SLU_FMT(row->value)),
                      slu_value_string(run->arena, *text));
}

static void add_key(struct slu_run *run, const struct slu_row *row, struct slu_str key,
                    const struct slu_value *value)
{
    const struct slu_str *text = value->kind == SLU_NULL ? NULL : &value->text;

    if (row->codec == SLU_CODEC_INDEXED)
        add_indexed(run, row, key, text);
    else
        add_pair(run, row, key, text);
}

/* The row's own key. Without it there is nothing to take out of the list, so a null is as if it
 * were absent, but in an update whose one call names what goes. */
static void write_one(struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *given = run->slots[row->slot], *value;
    bool null = slu_value_is(given, SLU_NULL);

    if (null && run->side == SLU_REPLY)
        return;
    if (null && !slu_row_clears(run->table, row)) {
        slu_run_refuse(run, slot_of(run, row)->pointer, given, why_never(run, row));
        return;
    }
    value = null ? given : value_for(run, row);
    if (value && (run->operation != SLU_OP_UPDATE || null == slu_run_clearing(run)))
        add_key(run, row, row->one, value);
}

/* What is left of a list of which other rows have written their parts. */
static void write_rest(struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *given = run->slots[row->slot], *value;
    bool begun = slu_path_get(&row->n, run->native);

    if (slu_value_is(given, SLU_NULL) && run->side == SLU_REPLY && begun)
        return;
    value = value_for(run, row);
    if (!value)
        return;
    if (!begun)
        put(run, row, slu_value_new(run->arena, SLU_ARRAY));
    slu_value_each (child, value)
        if (key_is_free(run, row, child))
            add_key(run, row, child->name, child);
}

static void write_indexed(struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *value = value_for(run, row);

    if (value && value->count > INDEXED_MOST) {
        slu_run_refuse(run, slot_of(run, row)->pointer, value, SLU_STR("has too many members"));
        return;
    }
    if (value && value->count == 0 && !creating(run))
        slu_run_refuse(run, slot_of(run, row)->pointer, value,
                       SLU_STR("cannot be cleared on this target"));
    for (const struct slu_value *child = value ? value->first : NULL; child; child = child->next)
        if (key_is_free(run, row, child))
            add_key(run, row, child->name, child);
}

/* A join that is not sent: each of its parts is told, or missed. */
static void leave_join(struct slu_run *run, const struct slu_row *row)
{
    for (size_t i = 0; i < row->slot_count; i++) {
        struct slu_str pointer = run->table->slots[row->slots[i]].pointer;
        const struct slu_value *value = run->slots[row->slots[i]];

        if (!value || value->kind == SLU_NULL)
            miss(run, row, row->slots[i]);
        else if (value->kind != SLU_STRING)
            invalid(run, pointer, value, "is no text");
        else
            slu_run_refuse(run, pointer, value,
                           SLU_STR("can only be sent together with the members it is joined with"));
    }
}

/* The texts of all parts, or false when one is missing or cannot be said. */
static bool join_parts(struct slu_run *run, const struct slu_row *row, struct slu_vars *ret_parts)
{
    size_t there = 0, nulls = 0, given = 0;

    *ret_parts = (struct slu_vars){.count = row->slot_count};
    for (size_t i = 0; i < row->slot_count; i++) {
        const struct slu_value *value = run->slots[row->slots[i]];

        ret_parts->names[i] = row->digits[i];
        nulls += slu_value_is(value, SLU_NULL);
        given += value != NULL;
        if (!value || value->kind != SLU_STRING)
            continue;
        ret_parts->values[i] = value->text;
        there++;
    }
    if (there == row->slot_count)
        return true;
    if (nulls && nulls == given && run->side == SLU_REPLY)
        put_weak(run, row, slu_value_new(run->arena, SLU_NULL));
    leave_join(run, row);
    return false;
}

static void write_join(struct slu_run *run, const struct slu_row *row)
{
    struct slu_vars parts;
    struct slu_str text, missing, back[SLU_PARTS_MOST];
    struct slu_run inner = *run;
    bool same;

    if (!join_parts(run, row, &parts))
        return;
    inner.vars = &parts;
    text = slu_template_expand(&inner, &row->pattern, SLU_EXPAND_PLAIN, &missing);
    same = text.p && slu_join_read(row, text, back);
    for (size_t i = 0; same && i < row->slot_count; i++)
        same = slu_str_eq(back[i], parts.values[i]);
    if (!same) {
        for (size_t i = 0; i < row->slot_count; i++)
            slu_run_refuse(run, run->table->slots[row->slots[i]].pointer, run->slots[row->slots[i]],
                           SLU_STR("holds a character that ends it in the target's form"));
    } else if (row->derived) {
        const struct slu_value *native = slu_path_get(&row->n, run->native);

        if (!slu_value_is(native, SLU_STRING) || !slu_str_eq(native->text, text))
            slu_run_refuse(run, run->table->slots[row->slots[0]].pointer, run->slots[row->slots[0]],
                           SLU_STR("does not agree with what the other members say"));
    } else if (!slu_run_clearing(run)) {
        put(run, row, slu_value_string(run->arena, text));
    }
}

/* Does anything stand at the place, or in the list that begins there? */
static bool stands(const struct slu_run *run, const struct slu_path *path)
{
    struct slu_str rest;

    if (path->count == 0 || slu_path_get(path, run->native))
        return true;
    if (path->count == 1)
        slu_value_each (child, run->native)
            if (slu_indexed_number(path->steps[0], child->name, &rest))
                return true;
    return false;
}

static void write_const(struct slu_run *run, const struct slu_row *row)
{
    const struct slu_value *given = row->slot == SLU_NO_SLOT ? NULL : run->slots[row->slot];
    struct slu_value *native;

    if (!given && row->slot != SLU_NO_SLOT)
        miss(run, row, row->slot);
    if (given && given->kind != SLU_NULL && !slu_value_equal(given, row->canonical)) {
        if (!word_lacks(run, row, given))
            refuse_row(run, row, given,
                       SLU_STR("the target has one fixed value here, another one"));
        return;
    }
    if (!row->has_n || row->derived || !stands(run, &row->with))
        return;
    native = slu_value_share(run->arena, row->native);
    if (native && run->flat && native->kind != SLU_STRING) {
        native->text = native->kind == SLU_NUMBER ? native->text
                       : native->truth            ? SLU_STR("true")
                                                  : SLU_STR("false");
        native->kind = SLU_STRING;
    }
    put_weak(run, row, native);
}

static void write_parameter(struct slu_run *run, const struct slu_row *row)
{
    struct slu_str value = slu_run_variable(run, row->parameter);
    const struct slu_value *given = row->slot == SLU_NO_SLOT ? NULL : run->slots[row->slot];

    if (row->has_n && value.p)
        put_weak(run, row, slu_value_string(run->arena, value));
    if (!given || given->kind == SLU_NULL)
        return;
    if (given->kind != SLU_STRING)
        invalid(run, slot_of(run, row)->pointer, given, "is no text");
    else if ((!value.p || !slu_str_eq(value, given->text)) && run->side == SLU_REQUEST)
        slu_mistake(run->mistakes, SLU_FAULT_UNSUPPORTED, slot_of(run, row)->pointer,
                    "differs from what the target is configured with");
    else if (!value.p || !slu_str_eq(value, given->text))
        slu_run_lose(run, slot_of(run, row)->pointer, given,
                     SLU_STR("differs from what the target is configured with"));
}

static void write_row(struct slu_run *run, const struct slu_row *row)
{
    if (row->one.p) {
        write_one(run, row);
        return;
    }
    switch (row->codec) {
    case SLU_CODEC_COPY:
    case SLU_CODEC_ENUM:
    case SLU_CODEC_PREFIX:
    case SLU_CODEC_SCALE:
    case SLU_CODEC_BOOL_TEXT:
    case SLU_CODEC_WRAP:
    case SLU_CODEC_TIME:
        write_single(run, row);
        break;
    case SLU_CODEC_KV_LIST:
        if (row->shared)
            write_rest(run, row);
        else
            write_single(run, row);
        break;
    case SLU_CODEC_INDEXED:
        write_indexed(run, row);
        break;
    case SLU_CODEC_JOIN:
        write_join(run, row);
        break;
    case SLU_CODEC_CONST:
        write_const(run, row);
        break;
    case SLU_CODEC_PARAMETER:
        write_parameter(run, row);
        break;
    case SLU_CODEC_COUNT:
        break;
    }
}

/* ---- members that no row took ---- */

/* The member, or one inside it, is given at creation and not changed by this call. */
static bool is_fixed(const struct slu_run *run, uint8_t index)
{
    bool fixed = run->rows->fixed >> index & 1;

    for (uint8_t i = 0; !fixed && i < run->table->slot_count; i++)
        fixed = run->table->slots[i].parent == index && run->rows->fixed >> i & 1;
    return fixed;
}

static void leave(struct slu_run *run, uint8_t index)
{
    const struct slu_slot *slot = &run->table->slots[index];
    const struct slu_value *value = run->slots[index];
    const struct slu_lack *lack = lack_of(run, index, value);

    if (lack && slu_value_listed(lack->unless, lack->unless_count, value))
        return;
    if (lack)
        slu_run_refuse(run, slot->pointer, value, lack->reason);
    else if (run->side == SLU_REQUEST && is_fixed(run, index))
        slu_run_refuse(run, slot->pointer, value,
                       SLU_STR("is immutable here: make a new flow log"));
    else if (run->side == SLU_REQUEST && !slot->member->in_request)
        invalid(run, slot->pointer, value, "is told by the cloud and cannot be sent");
    else if (run->side == SLU_REQUEST || !run->step->echo)
        slu_run_refuse(run, slot->pointer, value, SLU_STR("has no place on this target"));
}

/* An object that the table lacks as a whole is told once, not by each of its members. */
static bool told_with_parent(const struct slu_run *run, const struct slu_slot *slot)
{
    return slot->parent != SLU_NO_SLOT &&
           lack_of(run, slot->parent, run->slots[slot->parent]) != NULL;
}

static void look_for_rest(struct slu_run *run)
{
    if (run->side == SLU_REQUEST && run->operation != SLU_OP_CREATE &&
        run->operation != SLU_OP_UPDATE)
        return;
    for (uint8_t i = 0; i < run->table->slot_count; i++) {
        const struct slu_slot *slot = &run->table->slots[i];
        const struct slu_value *value = run->slots[i];

        if (!value || !slot->member->translated || run->rows->covered >> i & 1)
            continue;
        if (value->kind == SLU_NULL && (run->side == SLU_REPLY || creating(run)))
            continue;
        if (slot->inner ? value->kind != SLU_OBJECT || (value->count && lack_of(run, i, value))
                        : !told_with_parent(run, slot))
            leave(run, i);
    }
}

/* ---- native members passed through ---- */

bool slu_step_fills(const struct slu_table *table, const struct slu_step *step, struct slu_str name)
{
    for (size_t i = 0; i < step->query.count; i++)
        if (slu_str_eq(step->query.items[i].name, name))
            return true;
    for (size_t i = 0; i < table->scheme_count; i++) {
        for (size_t k = 0; k < step->scheme_query[i].count; k++)
            if (slu_str_eq(step->scheme_query[i].items[k].name, name))
                return true;
        for (size_t k = 0; k < table->signing[i].own_count; k++)
            if (slu_str_eq(table->signing[i].own[k], name))
                return true;
    }
    return false;
}

bool slu_step_knows(const struct slu_table *table, const struct slu_step *step, struct slu_str name)
{
    return slu_step_fills(table, step, name) || slu_page_knows(step, name) ||
           (step->view && slu_view_knows(step->view, name));
}

size_t slu_indexed_number(struct slu_str prefix, struct slu_str name, struct slu_str *ret_rest)
{
    struct slu_str rest = name, digits;
    uint64_t number;

    if (!slu_str_starts(name, prefix) || name.n <= prefix.n || name.p[prefix.n] != '.')
        return 0;
    rest.p += prefix.n + 1;
    rest.n -= prefix.n + 1;
    digits = slu_str_cut(&rest, '.');
    if (!slu_str_to_u64(digits, &number) || digits.p[0] == '0' || number > INDEXED_MOST || !rest.p)
        return 0;
    *ret_rest = rest;
    return (size_t)number;
}

enum claim { FREE, AROUND, TAKEN };

static bool inside(struct slu_str pointer, struct slu_str outer)
{
    return pointer.n > outer.n && slu_str_starts(pointer, outer) && pointer.p[outer.n] == '/';
}

/* A row has its place to itself. In a reply it gives way where it has read something there that it
 * could not say: a null, or a word for "something else". */
static bool row_claims(const struct slu_run *run, const struct slu_row *row)
{
    if (!row->has_n || !(row->operations >> run->operation & 1))
        return false;
    if (run->side == SLU_REQUEST)
        return row->requests;
    for (size_t i = 0; i < row->slot_count; i++)
        if (run->slots[row->slots[i]])
            return false;
    return row->replies && !row->derived && row->slot_count > 0;
}

static bool envelope_claims(const struct slu_run *run, struct slu_str pointer)
{
    struct slu_str place;

    if (run->side == SLU_REQUEST || run->step->each || run->step->envelope_count == 0)
        return false;
    place = slu_arena_join(run->arena, run->step->gives_at.pointer, pointer);
    for (size_t i = 0; i < run->step->envelope_count; i++)
        if (slu_str_eq(place, run->step->envelope[i].path.pointer) ||
            inside(place, run->step->envelope[i].path.pointer) ||
            inside(run->step->envelope[i].path.pointer, place))
            return true;
    return false;
}

/* Does a row or template of this call stand at, in or around the place? */
static enum claim claim_of(const struct slu_run *run, struct slu_str pointer, struct slu_str name)
{
    enum claim claim = FREE;

    for (size_t i = 0; i < run->table->row_count; i++) {
        const struct slu_row *row = &run->table->rows[i];
        struct slu_str rest;

        if (!row_claims(run, row))
            continue;
        if (slu_str_eq(pointer, row->n.pointer) || inside(pointer, row->n.pointer))
            return TAKEN;
        if (row->codec == SLU_CODEC_INDEXED &&
            slu_indexed_number(row->n.steps[row->n.count - 1], name, &rest))
            return TAKEN;
        if (inside(row->n.pointer, pointer) && run->side == SLU_REQUEST)
            claim = AROUND;
    }
    if (envelope_claims(run, pointer))
        return TAKEN;
    return run->flat && slu_step_knows(run->table, run->step, name) ? TAKEN : claim;
}

static void merge(struct slu_run *run, struct slu_value *into, const struct slu_value *from,
                  struct slu_str pointer);

static void collide(struct slu_run *run, struct slu_str pointer, const struct slu_value *value)
{
    slu_run_refuse(run, slu_arena_join(run->arena, SLU_STR("/native"), pointer), value,
                   SLU_STR("another member of the flow log stands at this place"));
}

static void pass_flat(struct slu_run *run, struct slu_value *into, const struct slu_value *value,
                      struct slu_str pointer)
{
    const struct slu_refusal *refusal =
        slu_refusal_of(run->table, run->step, run->rows, value->name);
    struct slu_str text = value->text;

    if (value->kind == SLU_ARRAY || value->kind == SLU_OBJECT || value->kind == SLU_NULL) {
        slu_run_refuse(run, slu_arena_join(run->arena, SLU_STR("/native"), pointer), value,
                       SLU_STR("must be a text: the target's parameters are a flat list"));
        return;
    }
    if (value->kind == SLU_BOOL)
        text = value->truth ? SLU_STR("true") : SLU_STR("false");
    if (refusal && slu_refusal_lets(refusal, text))
        return;
    if (refusal)
        slu_run_refuse(run, slu_arena_join(run->arena, SLU_STR("/native"), pointer), value,
                       refusal->reason);
    else
        slu_value_put(into, value->name, slu_value_string(run->arena, text));
}

static void pass_new(struct slu_run *run, struct slu_value *into, const struct slu_value *value,
                     struct slu_str pointer)
{
    enum claim claim = claim_of(run, pointer, value->name);
    struct slu_value *made;

    if (claim == TAKEN || (claim == AROUND && value->kind != SLU_OBJECT)) {
        collide(run, pointer, value);
    } else if (claim == AROUND) {
        made = slu_value_new(run->arena, SLU_OBJECT);
        slu_value_put(into, value->name, made);
        if (made)
            merge(run, made, value, pointer);
    } else if (run->flat) {
        pass_flat(run, into, value, pointer);
    } else {
        slu_value_put(into, value->name, slu_value_share(run->arena, value));
    }
}

static void merge(struct slu_run *run, struct slu_value *into, const struct slu_value *from,
                  struct slu_str pointer)
{
    slu_value_each (child, from) {
        struct slu_value *there = slu_value_find(into, child->name);
        struct slu_str place = slu_pointer_member(run->arena, pointer, child->name);

        if (!there)
            pass_new(run, into, child, place);
        else if (there->kind == SLU_OBJECT && child->kind == SLU_OBJECT && !there->marked)
            merge(run, there, child, place);
        else if (run->side == SLU_REPLY && there->marked)
            slu_value_set(into, child->name, slu_value_share(run->arena, child));
        else if (run->side == SLU_REQUEST || !slu_value_equal(there, child))
            collide(run, place, child);
    }
}

static void pass_native(struct slu_run *run)
{
    const struct slu_value *native = run->slots[run->table->native_slot];

    if (!native || native->kind == SLU_NULL)
        return;
    if (native->kind == SLU_OBJECT)
        merge(run, run->native, native, SLU_STR(""));
    else
        invalid(run, SLU_STR("/native"), native, "must be an object");
}

/* ---- one flow log ---- */

/* What the request means before the rows look: nulls say nothing, defaults stand in, and a switch
 * knows its position. */
static void prepare(struct slu_run *run)
{
    static const struct slu_value on = {.kind = SLU_BOOL, .truth = true}, off = {.kind = SLU_BOOL};

    if (run->side == SLU_REPLY)
        return;
    if (run->operation == SLU_OP_ENABLE || run->operation == SLU_OP_DISABLE)
        run->slots[slu_slot_find(run->table, SLU_STR("/enabled"))] =
            run->operation == SLU_OP_ENABLE ? &on : &off;
    if (!creating(run))
        return;
    for (uint8_t i = 0; i < run->table->slot_count; i++)
        if (slu_value_is(run->slots[i], SLU_NULL))
            run->slots[i] = NULL;
    for (size_t i = 0; i < run->rows->count; i++) {
        const struct slu_row *row = run->rows->writing[i];

        if (slu_row_default(run, row) && !run->slots[row->slot])
            run->slots[row->slot] = row->fallback;
    }
}

/* An update without anything to change is not sent: what a cloud makes of it is not told. */
static void require_something(struct slu_run *run, size_t mistakes_before)
{
    if (run->operation != SLU_OP_UPDATE || run->side != SLU_REQUEST || run->arena->failed ||
        run->mistakes->count != mistakes_before)
        return;
    slu_value_each (child, run->native)
        if (!child->marked)
            return;
    slu_mistake(run->mistakes, SLU_FAULT_UNSUPPORTED, SLU_STR(""),
                "names nothing that can be changed on this target");
}

void slu_run_write(struct slu_run *run, const struct slu_value *canonical)
{
    size_t before = run->mistakes->count;

    memset(run->slots, 0, sizeof(run->slots));
    slu_run_spread(run, canonical, run->mistakes);
    prepare(run);
    for (size_t i = 0; i < run->rows->count; i++)
        write_row(run, run->rows->writing[i]);
    look_for_rest(run);
    if (!slu_run_clearing(run))
        pass_native(run);
    require_something(run, before);
}

/* ---- whole documents ---- */

static struct slu_value *envelope_value(struct slu_run *run, const struct slu_envelope *envelope)
{
    const struct slu_template *template = &envelope->template;
    struct slu_str text, missing;
    bool number;

    if (envelope->constant)
        return slu_value_share(run->arena, envelope->constant);
    text = slu_template_expand(run, template, SLU_EXPAND_PLAIN, &missing);
    if (!text.p)
        return NULL;
    if (template->count == 1 && template->pieces->variable &&
        slu_page_var(template->pieces->text, &number) && number)
        return slu_value_number(run->arena, text);
    return slu_value_string(run->arena, text);
}

void slu_run_envelope(struct slu_run *run, const struct slu_envelope *envelope, size_t count,
                      struct slu_value *root)
{
    for (size_t i = 0; i < count; i++) {
        struct slu_value *value = envelope_value(run, &envelope[i]);

        if (value && !slu_run_place(run->arena, &envelope[i].path, root, value) &&
            !run->arena->failed)
            slu_mistake(run->mistakes, SLU_FAULT_INTERNAL, envelope[i].path.pointer,
                        "two members of the mapping table write this place");
    }
}

void slu_run_surround(struct slu_run *run, uint32_t count, struct slu_value *root)
{
    struct slu_vars vars;
    struct slu_run around;

    if (run->step->envelope_count == 0)
        return;
    vars = *run->vars;
    around = *run;
    around.vars = &vars;
    if (slu_page_vars(run, count, &vars))
        slu_run_envelope(&around, run->step->envelope, run->step->envelope_count, root);
    else
        slu_mistake(run->mistakes, SLU_FAULT_INTERNAL, SLU_STR(""), "has too many variables");
}

static void write_items(struct slu_run *run, const struct slu_value *canonical,
                        struct slu_value *list)
{
    size_t index = 0;

    slu_value_each (flow_log, canonical) {
        run->native = slu_value_new(run->arena, SLU_OBJECT);
        if (!run->native)
            return;
        run->prefix = slu_pointer_item(run->arena, SLU_STR(""), index++);
        slu_value_append(list, run->native);
        slu_run_write(run, flow_log);
    }
    run->prefix = SLU_STR_NONE;
}

static struct slu_value *write_list(struct slu_run *run, const struct slu_value *canonical)
{
    struct slu_value *root = slu_value_new(run->arena, SLU_OBJECT);
    struct slu_value *list = slu_value_new(run->arena, SLU_ARRAY);

    if (!root || !list || !slu_run_place(run->arena, &run->step->gives_at, root, list))
        return NULL;
    if (canonical && canonical->kind != SLU_ARRAY) {
        invalid(run, SLU_STR(""), canonical, "a list of flow logs is an array");
        return NULL;
    }
    if (canonical)
        write_items(run, canonical, list);
    slu_run_surround(run, list->count, root);
    return run->arena->failed ? NULL : root;
}

/* Members of a parameter list that templates fill; those without a value are left out here. */
static void write_templates(struct slu_run *run, struct slu_value *root)
{
    struct slu_str missing;

    for (size_t i = 0; i < run->step->query.count; i++) {
        const struct slu_named_template *item = &run->step->query.items[i];
        struct slu_str text = slu_template_expand(run, &item->template, SLU_EXPAND_PLAIN, &missing);

        if (text.p)
            slu_value_put(root, item->name, slu_value_string(run->arena, text));
    }
}

struct slu_value *slu_run_write_document(struct slu_run *run, const struct slu_value *canonical)
{
    const struct slu_step *step = run->step;
    bool there = run->side == SLU_REQUEST ? step->takes : step->gives;
    struct slu_value *root;

    if (run->side == SLU_REPLY && step->each)
        return write_list(run, canonical);
    root = slu_value_new(run->arena, SLU_OBJECT);
    if (there && root) {
        run->native = slu_run_enter(
            run->arena, run->side == SLU_REQUEST ? &step->takes_at : &step->gives_at, root);
        if (!run->native)
            return NULL;
        slu_run_write(run, canonical);
    }
    if (root && run->side == SLU_REPLY)
        slu_run_surround(run, there, root);
    else if (root && run->flat)
        write_templates(run, root);
    return run->arena->failed ? NULL : root;
}
