/*
 * Native to canonical: each row reads its place and marks it; what no row could read is the residue
 * and stays under "native", as it was written.
 */
#include "mapping/table_internal.h"

#include "codec/json.h"

enum { PAIRS_MOST = 500 };

static void clear_marks(struct slu_value *value)
{
    value->marked = false;
    slu_value_each (child, value)
        clear_marks(child);
}

static struct slu_str pointer_of(const struct slu_run *run, const struct slu_row *row)
{
    uint8_t slot = row->slot_count > 1 ? row->slots[0] : row->slot;

    return slot == SLU_NO_SLOT ? SLU_STR("") : run->table->slots[slot].pointer;
}

static void set_null(struct slu_run *run, uint8_t slot)
{
    if (slot != SLU_NO_SLOT && !run->slots[slot])
        run->slots[slot] = slu_value_new(run->arena, SLU_NULL);
}

static void stay(struct slu_run *run, struct slu_value *node)
{
    slu_must(run->unread_count < SLU_ROWS_MOST);
    run->unread[run->unread_count++] = node;
}

/* A value that the row cannot read: it stays under "native" and is told. Strictly read requests
 * make it a mistake that names the native place, since the one who reads it wrote that. */
static void unreadable(struct slu_run *run, const struct slu_row *row, const struct slu_value *node,
                       struct slu_str why)
{
    if (run->arena->failed)
        return;
    if (run->side == SLU_REQUEST && !run->losses->lenient) {
        slu_mistake(run->mistakes, SLU_FAULT_INVALID,
                    slu_arena_join(run->arena, run->base, row->n.pointer), "%.*s", SLU_FMT(why));
        return;
    }
    if (run->side == SLU_REPLY) {
        set_null(run, row->slot);
        for (size_t i = 0; row->slot_count > 1 && i < row->slot_count; i++)
            set_null(run, row->slots[i]);
    }
    slu_run_lose(run, pointer_of(run, row), node, why);
}

/* A native null: the same in a reply; in a create request it says nothing. */
static void read_null(struct slu_run *run, const struct slu_row *row, struct slu_value *node)
{
    node->marked = true;
    if (run->side == SLU_REQUEST && run->operation == SLU_OP_CREATE)
        return;
    if (row->slot_count > 1)
        for (size_t i = 0; i < row->slot_count; i++)
            set_null(run, row->slots[i]);
    else
        set_null(run, row->slot);
}

static bool something_else(struct slu_run *run, const struct slu_row *row, struct slu_value *node)
{
    const struct slu_value *otherwise = row->words ? row->words->otherwise : NULL;

    if (!otherwise || run->side == SLU_REQUEST || node->kind != SLU_STRING)
        return false;
    if (!row->derived) /* else the row it derives from says whether the word is known */
        stay(run, node);
    if (!run->slots[row->slot])
        run->slots[row->slot] = slu_value_share(run->arena, otherwise);
    return true;
}

/* Does the node say that the member is cleared? Empty text is a value where a call sets too. */
static bool is_cleared(const struct slu_run *run, const struct slu_row *row,
                       const struct slu_value *node)
{
    const struct slu_value *clear =
        slu_run_clearing(run) ? slu_row_clears(run->table, row) : row->clear;

    return clear && run->operation == SLU_OP_UPDATE && run->side == SLU_REQUEST &&
           slu_value_equal(clear, node);
}

/* A native member that is not there may stand for a value. */
static void read_absent(struct slu_run *run, const struct slu_row *row)
{
    bool whole = run->side == SLU_REPLY || run->operation == SLU_OP_CREATE;

    if (row->absent && whole && !run->slots[row->slot])
        run->slots[row->slot] = slu_value_share(run->arena, row->absent);
}

static void read_single(struct slu_run *run, const struct slu_row *row)
{
    struct slu_value *node = slu_path_get(&row->n, run->native), *value;
    struct slu_str why;

    if (!node) {
        read_absent(run, row);
        return;
    }
    if (node->kind == SLU_NULL || is_cleared(run, row, node)) {
        read_null(run, row, node);
        return;
    }
    value = slu_codec_to_canonical(run, row, node, &why);
    if (value && slu_run_clearing(run) && row->codec != SLU_CODEC_KV_LIST) {
        stay(run, node);
        unreadable(run, row, node, SLU_STR("is a value in a call that only clears"));
    } else if (value) {
        node->marked = true;
        if (!run->slots[row->slot] || run->slots[row->slot]->kind == SLU_NULL)
            run->slots[row->slot] = value;
    } else if (!something_else(run, row, node)) {
        stay(run, node);
        unreadable(run, row, node, why);
    }
}

static struct slu_str once_in_list(bool removed)
{
    return removed ? SLU_STR("must stand once in its list, without a value")
                   : SLU_STR("must stand once in its list, with just a value");
}

/* The one item of a list that has the row's key; the row for the rest reads the others. */
static void read_one(struct slu_run *run, const struct slu_row *row)
{
    struct slu_value *list = slu_path_get(&row->n, run->native), *found = NULL;
    bool removed = slu_run_clearing(run);
    const struct slu_value *text;
    size_t times = 0;

    if (!slu_value_is(list, SLU_ARRAY))
        return;
    slu_value_each (item, list) {
        const struct slu_value *key = slu_value_find(item, row->key);

        if (!slu_value_is(key, SLU_STRING) || !slu_str_eq(key->text, row->one))
            continue;
        found = item;
        times++;
    }
    if (times == 0)
        return;
    text = slu_value_find(found, row->value);
    if (times == 1 && (removed ? !text : slu_value_is(text, SLU_STRING)) &&
        found->count == (removed ? 1 : 2)) {
        found->marked = true;
        run->slots[row->slot] = removed ? slu_value_new(run->arena, SLU_NULL)
                                        : slu_value_string(run->arena, text->text);
    } else {
        stay(run, list);
        unreadable(run, row, found, once_in_list(removed));
    }
}

struct pairs {
    struct slu_value *keys[PAIRS_MOST], *values[PAIRS_MOST];
    size_t most;
    bool broken;
};

/* Sorts the members PREFIX.N.KEY and PREFIX.N.VALUE by N. */
static void gather(const struct slu_run *run, const struct slu_row *row, struct pairs *pairs)
{
    slu_value_each (child, run->native) {
        struct slu_str rest;
        size_t number = slu_indexed_number(row->n.steps[row->n.count - 1], child->name, &rest);
        struct slu_value **place;

        if (number == 0)
            continue;
        pairs->broken |= number > PAIRS_MOST || child->kind != SLU_STRING ||
                         (!slu_str_eq(rest, row->key) && !slu_str_eq(rest, row->value));
        if (pairs->broken)
            continue;
        place = slu_str_eq(rest, row->key) ? &pairs->keys[number - 1] : &pairs->values[number - 1];
        pairs->broken |= *place != NULL;
        *place = child;
        if (number > pairs->most)
            pairs->most = number;
    }
}

static void mark_pair(struct pairs *pairs, size_t index)
{
    pairs->keys[index]->marked = true;
    if (pairs->values[index])
        pairs->values[index]->marked = true;
}

/* A call that only clears names the keys alone. */
static struct slu_value *object_of(struct slu_run *run, const struct slu_row *row,
                                   struct pairs *pairs)
{
    struct slu_value *object = slu_value_new(run->arena, SLU_OBJECT);
    bool removed = slu_run_clearing(run);

    for (size_t i = 0; object && i < pairs->most; i++) {
        struct slu_value *key = pairs->keys[i], *value = pairs->values[i];

        if (!key || !value != removed || slu_value_find(object, key->text))
            return NULL;
        if (!slu_key_taken(run, row, key->text))
            slu_value_put(object, key->text,
                          removed ? slu_value_new(run->arena, SLU_NULL)
                                  : slu_value_string(run->arena, value->text));
    }
    for (size_t i = 0; i < pairs->most; i++)
        if (!slu_key_taken(run, row, pairs->keys[i]->text))
            mark_pair(pairs, i);
    return object;
}

/* The one pair that has the row's key. What is wrong with the list as a whole, the row for the rest
 * tells. */
static void read_one_indexed(struct slu_run *run, const struct slu_row *row, struct pairs *pairs)
{
    bool removed = slu_run_clearing(run);
    size_t at = 0, times = 0;

    for (size_t i = 0; i < pairs->most; i++)
        if (pairs->keys[i] && slu_str_eq(pairs->keys[i]->text, row->one)) {
            at = i;
            times++;
        }
    if (times == 0)
        return;
    if (times > 1 || !pairs->values[at] != removed) {
        unreadable(run, row, pairs->keys[at], once_in_list(removed));
        return;
    }
    mark_pair(pairs, at);
    run->slots[row->slot] = removed ? slu_value_new(run->arena, SLU_NULL)
                                    : slu_value_string(run->arena, pairs->values[at]->text);
}

static void read_indexed(struct slu_run *run, const struct slu_row *row)
{
    struct pairs pairs = {.most = 0};
    struct slu_value *object = NULL;

    gather(run, row, &pairs);
    if (!pairs.broken && pairs.most == 0)
        return;
    if (row->one.p) {
        read_one_indexed(run, row, &pairs);
        return;
    }
    if (!pairs.broken)
        object = object_of(run, row, &pairs);
    if (object && (object->count || !row->shared))
        run->slots[row->slot] = object;
    else if (!object)
        unreadable(
            run, row, NULL,
            slu_run_clearing(run)
                ? SLU_STR("must be keys alone, numbered from 1 without a gap, each once")
                : SLU_STR("must be pairs of key and value, numbered from 1 without a gap, each key "
                          "once"));
}

static void read_join(struct slu_run *run, const struct slu_row *row)
{
    struct slu_value *node = slu_path_get(&row->n, run->native);
    struct slu_str parts[SLU_PARTS_MOST];

    if (!node)
        return;
    if (node->kind == SLU_NULL) {
        read_null(run, row, node);
    } else if (node->kind == SLU_STRING && slu_join_read(row, node->text, parts)) {
        node->marked = true;
        for (size_t i = 0; i < row->slot_count; i++)
            run->slots[row->slots[i]] = slu_value_string(run->arena, parts[i]);
    } else {
        stay(run, node);
        unreadable(run, row, node, SLU_STR("does not follow the expected pattern"));
    }
}

static void read_const(struct slu_run *run, const struct slu_row *row)
{
    struct slu_value *node = row->has_n ? slu_path_get(&row->n, run->native) : NULL;

    if (node && !slu_constant_equal(row->native, node, run->texts)) {
        stay(run, node);
        if (row->slot != SLU_NO_SLOT || run->side == SLU_REQUEST)
            unreadable(run, row, node, SLU_STR("is not the one value that is expected here"));
        return;
    }
    if (node)
        node->marked = true;
    if (row->slot != SLU_NO_SLOT && !run->slots[row->slot])
        run->slots[row->slot] = slu_value_share(run->arena, row->canonical);
}

static void read_parameter(struct slu_run *run, const struct slu_row *row)
{
    struct slu_str value;

    if (row->slot == SLU_NO_SLOT || run->slots[row->slot])
        return;
    value = slu_vars_get(run->vars, row->parameter);
    if (value.p)
        run->slots[row->slot] = slu_value_string(run->arena, value);
}

static void read_row(struct slu_run *run, const struct slu_row *row)
{
    switch (row->codec) {
    case SLU_CODEC_COPY:
    case SLU_CODEC_ENUM:
    case SLU_CODEC_PREFIX:
    case SLU_CODEC_SCALE:
    case SLU_CODEC_BOOL_TEXT:
    case SLU_CODEC_WRAP:
    case SLU_CODEC_TIME:
        read_single(run, row);
        break;
    case SLU_CODEC_KV_LIST:
        if (row->one.p)
            read_one(run, row);
        else
            read_single(run, row);
        break;
    case SLU_CODEC_INDEXED:
        read_indexed(run, row);
        break;
    case SLU_CODEC_JOIN:
        read_join(run, row);
        break;
    case SLU_CODEC_CONST:
        read_const(run, row);
        break;
    case SLU_CODEC_PARAMETER:
        read_parameter(run, row);
        break;
    case SLU_CODEC_COUNT:
        break;
    }
}

/* ---- the residue ---- */

static bool all_read(const struct slu_value *value)
{
    if (value->marked)
        return true;
    if (value->count == 0)
        return false;
    slu_value_each (child, value)
        if (!all_read(child))
            return false;
    return true;
}

/* Objects keep what is left of them; arrays are whole or gone. */
static struct slu_value *residue(struct slu_arena *arena, const struct slu_value *value)
{
    struct slu_value *copy;

    if (value->kind != SLU_OBJECT)
        return slu_value_share(arena, value);
    copy = slu_value_new(arena, SLU_OBJECT);
    slu_value_each (child, value)
        if (!all_read(child))
            slu_value_put(copy, child->name, residue(arena, child));
    return copy;
}

static bool stays(const struct slu_run *run, const struct slu_value *node)
{
    for (size_t i = 0; i < run->unread_count; i++)
        if (run->unread[i] == node)
            return true;
    return false;
}

/* What nobody knows is not passed on with a call that only clears: no call would carry it. */
static void refuse_residue(struct slu_run *run, const struct slu_value *native)
{
    slu_value_each (child, native)
        if (!all_read(child) && !stays(run, child))
            slu_mistake(run->mistakes, SLU_FAULT_INVALID,
                        slu_pointer_member(run->arena, run->base, child->name),
                        "is not known to this call");
}

void slu_run_assume(struct slu_run *run)
{
    for (size_t i = 0; i < run->step->assume_count; i++)
        if (!run->slots[run->step->assume[i].slot])
            run->slots[run->step->assume[i].slot] =
                slu_value_share(run->arena, run->step->assume[i].value);
}

/* Members that the reply has none for because the cloud lacks them are null, which is different
 * from absent: nobody need wait for them. */
void slu_run_fill_lacking(struct slu_run *run)
{
    for (uint8_t i = 0; i < run->table->slot_count; i++)
        if (run->rows->lacking >> i & 1 || slu_run_null_here(run, i))
            set_null(run, i);
}

void slu_run_read(struct slu_run *run, struct slu_value *native)
{
    size_t before = run->mistakes->count;

    memset(run->slots, 0, sizeof(run->slots));
    run->unread_count = 0;
    run->native = native;
    for (size_t i = 0; i < run->rows->count; i++)
        read_row(run, run->rows->reading[i]);
    for (size_t i = 0; i < run->unread_count; i++)
        run->unread[i]->marked = false;
    native->marked = false;
    if (native->count && !all_read(native) && slu_run_clearing(run) &&
        run->mistakes->count == before)
        refuse_residue(run, native);
    else if (native->count && !all_read(native))
        run->slots[run->table->native_slot] = residue(run->arena, native);
    if (run->side == SLU_REPLY)
        slu_run_fill_lacking(run);
}

/* ---- whole documents ---- */

static void mark_known(struct slu_run *run, struct slu_value *root)
{
    const struct slu_step *step = run->step;

    if (run->side == SLU_REPLY)
        for (size_t i = 0; i < step->envelope_count; i++) {
            struct slu_value *node = slu_path_get(&step->envelope[i].path, root);

            if (node)
                node->marked = true;
        }
    else if (run->flat && root->kind == SLU_OBJECT)
        slu_value_each (child, root)
            child->marked = slu_step_knows(run->table, step, child->name);
}

static struct slu_value *read_list(struct slu_run *run, struct slu_value *list)
{
    struct slu_value *canonical = slu_value_new(run->arena, SLU_ARRAY);
    size_t index = 0;

    slu_value_each (item, list) {
        run->prefix = slu_pointer_item(run->arena, SLU_STR(""), index++);
        if (item->kind != SLU_OBJECT) {
            slu_mistake(run->mistakes, SLU_FAULT_INVALID,
                        slu_arena_join(run->arena, run->base, run->prefix),
                        "is %s where a flow log is expected", slu_kind_name(item->kind));
            continue;
        }
        slu_run_read(run, item);
        slu_value_append(canonical, slu_run_assemble(run));
    }
    run->prefix = SLU_STR_NONE;
    return run->arena->failed ? NULL : canonical;
}

/* Members of a JSON request beside the flow log: nobody reads them, so they are told. */
static void look_beside(struct slu_run *run, const struct slu_value *root)
{
    const struct slu_value *at = root;
    struct slu_str pointer = SLU_STR("");

    for (size_t i = 0; i < run->step->takes_at.count && at->kind == SLU_OBJECT; i++) {
        slu_value_each (child, at)
            if (!slu_str_eq(child->name, run->step->takes_at.steps[i]))
                slu_mistake(run->mistakes, SLU_FAULT_INVALID,
                            slu_pointer_member(run->arena, pointer, child->name),
                            "is not known to this call");
        at = slu_value_find(at, run->step->takes_at.steps[i]);
        pointer = slu_pointer_member(run->arena, pointer, run->step->takes_at.steps[i]);
        if (!at)
            return;
    }
}

static bool is_kind(struct slu_run *run, const struct slu_value *node, enum slu_kind kind)
{
    if (slu_value_is(node, kind))
        return true;
    if (node)
        slu_mistake(run->mistakes, SLU_FAULT_INVALID, run->base, "must be %s, not %s",
                    slu_kind_name(kind), slu_kind_name(node->kind));
    else
        slu_mistake(run->mistakes, SLU_FAULT_INVALID, run->base, "is missing");
    return false;
}

/* The node at the step's place, with everything that templates know marked. */
static struct slu_value *find_place(struct slu_run *run, const struct slu_value *native)
{
    const struct slu_path *path =
        run->side == SLU_REQUEST ? &run->step->takes_at : &run->step->gives_at;
    struct slu_value *root = (struct slu_value *)native; /* only marks are changed */

    clear_marks(root);
    mark_known(run, root);
    run->base = path->pointer;
    return slu_path_get(path, root);
}

/* Where one call sets and another clears, one that names nothing may mean everything. */
static bool says_nothing(const struct slu_run *run)
{
    for (size_t i = 0; i < run->table->slot_count; i++)
        if (run->slots[i])
            return false;
    return true;
}

static struct slu_str first_place(const struct slu_run *run)
{
    for (size_t i = 0; i < run->rows->count; i++)
        if (run->rows->writing[i]->has_n)
            return slu_arena_join(run->arena, run->base, run->rows->writing[i]->n.pointer);
    return run->base;
}

bool slu_run_read_slots(struct slu_run *run, const struct slu_value *native)
{
    struct slu_value *node = find_place(run, native);
    size_t before = run->mistakes->count;

    if (!is_kind(run, node, SLU_OBJECT))
        return false;
    if (run->side == SLU_REQUEST && !run->flat)
        look_beside(run, native);
    slu_run_read(run, node);
    if (run->side == SLU_REQUEST && run->step->carries != SLU_CARRIES_ALL &&
        run->mistakes->count == before && says_nothing(run))
        slu_mistake(run->mistakes, SLU_FAULT_INVALID, first_place(run),
                    "is missing: the call names nothing that is set or cleared");
    return run->mistakes->count == before && !run->arena->failed;
}

struct slu_value *slu_run_read_document(struct slu_run *run, const struct slu_value *native,
                                        bool *ret_nothing)
{
    struct slu_value *node = find_place(run, native), *list;
    size_t before = run->mistakes->count;

    *ret_nothing = !node && run->side == SLU_REPLY;
    if (*ret_nothing)
        return NULL;
    if (run->side == SLU_REQUEST || !run->step->each)
        return slu_run_read_slots(run, native) ? slu_run_assemble(run) : NULL;
    if (!is_kind(run, node, SLU_ARRAY))
        return NULL;
    list = read_list(run, node);
    return run->mistakes->count == before ? list : NULL;
}
