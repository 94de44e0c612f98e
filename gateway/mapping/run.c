/* What reading and writing share: slots of canonical members, losses, places in a document. */
#include "mapping/table_internal.h"

#include "codec/json.h"
#include "codec/text.h"

static size_t bucket_of(struct slu_str name, bool inside)
{
    size_t mix = name.n + (inside ? 61 : 0);

    if (name.n)
        mix += (size_t)(unsigned char)name.p[0] * 7 + (size_t)(unsigned char)name.p[name.n - 1] * 3;
    return mix % SLU_NAME_BUCKETS;
}

/* The slot of a name within its object; two objects may use one name. */
static uint8_t slot_under(const struct slu_table *table, struct slu_str name, uint8_t parent)
{
    size_t at = bucket_of(name, parent != SLU_NO_SLOT);

    for (; table->buckets[at]; at = (at + 1) % SLU_NAME_BUCKETS) {
        uint8_t slot = (uint8_t)(table->buckets[at] - 1);

        if (table->slots[slot].parent == parent && slu_str_eq(table->slots[slot].name, name))
            return slot;
    }
    return SLU_NO_SLOT;
}

static void add_slot(struct slu_table *table, const struct slu_member *member)
{
    uint8_t index = (uint8_t)table->slot_count++;
    struct slu_slot *slot = &table->slots[index];
    struct slu_str pointer = slu_str_of(member->pointer);
    const char *last = strrchr(member->pointer, '/');
    size_t at;

    *slot = (struct slu_slot){.member = member, .pointer = pointer, .parent = SLU_NO_SLOT};
    slot->name = slu_str_of(last + 1);
    slot->inner = member->type == SLU_MEMBER_OBJECT && member->translated;
    for (uint8_t i = 0; last != member->pointer && i < index; i++)
        if (slu_str_eq(table->slots[i].pointer,
                       (struct slu_str){pointer.p, (size_t)(last - member->pointer)}))
            slot->parent = i;
    at = bucket_of(slot->name, slot->parent != SLU_NO_SLOT);
    while (table->buckets[at])
        at = (at + 1) % SLU_NAME_BUCKETS;
    table->buckets[at] = (uint8_t)(index + 1);
    if (slu_str_is(pointer, "/native"))
        table->native_slot = index;
}

void slu_table_slots(struct slu_table *table)
{
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    slu_must(count <= SLU_SLOTS_MOST);
    for (size_t i = 0; i < count; i++)
        add_slot(table, &members[i]);
}

uint8_t slu_slot_find(const struct slu_table *table, struct slu_str pointer)
{
    for (uint8_t i = 0; i < table->slot_count; i++)
        if (slu_str_eq(table->slots[i].pointer, pointer))
            return i;
    return SLU_NO_SLOT;
}

struct slu_value *slu_value_share(struct slu_arena *arena, const struct slu_value *value)
{
    struct slu_value *copy = slu_value_new(arena, value->kind);

    if (!copy)
        return NULL;
    copy->truth = value->truth;
    copy->text = value->text;
    slu_value_each (child, value) {
        struct slu_value *twin = slu_value_share(arena, child);

        if (!twin)
            return NULL;
        if (value->kind == SLU_OBJECT)
            slu_value_put(copy, child->name, twin);
        else
            slu_value_append(copy, twin);
    }
    return copy;
}

void slu_run_init(struct slu_run *run, const struct slu_table *table, enum slu_operation operation,
                  enum slu_side side, const struct slu_step *step, const struct slu_vars *vars,
                  struct slu_arena *arena, struct slu_losses *losses, struct slu_mistakes *mistakes)
{
    static const struct slu_vars none;

    *run = (struct slu_run){
        .table = table,
        .operation = operation,
        .side = side,
        .step = step,
        .rows = &table->plans[operation].rows[side],
        .flat = table->flat && side == SLU_REQUEST,
        .texts = table->flat && side == SLU_REQUEST,
        .vars = vars ? vars : &none,
        .arena = arena,
        .losses = losses,
        .mistakes = mistakes,
    };
    if (table->xml && side == SLU_REPLY)
        slu_run_speak(run, slu_str_is(slu_reply_variable(run, SLU_STR("reply")), "xml"));
}

static void unknown(const struct slu_run *run, struct slu_str parent, struct slu_str name,
                    struct slu_mistakes *mistakes)
{
    struct slu_str pointer = slu_pointer_member(mistakes->arena, parent, name);
    const char *names[SLU_SLOTS_MOST], *near;
    size_t count = 0;

    for (size_t i = 0; i < run->table->slot_count; i++) {
        const struct slu_slot *slot = &run->table->slots[i];
        bool top = slot->parent == SLU_NO_SLOT;

        if (top ? parent.n == 0 : slu_str_eq(run->table->slots[slot->parent].pointer, parent))
            names[count++] = slot->name.p;
    }
    near = slu_nearest(name, names, count);
    slu_mistake(mistakes, SLU_FAULT_INVALID, pointer,
                near ? "is not known; did you mean '%s'?" : "is not known%s", near ? near : "");
}

static void spread(struct slu_run *run, const struct slu_value *object, uint8_t parent,
                   struct slu_mistakes *mistakes)
{
    slu_value_each (child, object) {
        uint8_t slot = slot_under(run->table, child->name, parent);

        if (slot == SLU_NO_SLOT) {
            if (mistakes)
                unknown(run,
                        parent == SLU_NO_SLOT ? SLU_STR("") : run->table->slots[parent].pointer,
                        child->name, mistakes);
            continue;
        }
        run->slots[slot] = child;
        if (run->table->slots[slot].inner && child->kind == SLU_OBJECT)
            spread(run, child, slot, mistakes);
    }
}

void slu_run_spread(struct slu_run *run, const struct slu_value *canonical,
                    struct slu_mistakes *mistakes)
{
    if (!canonical)
        return;
    if (canonical->kind == SLU_OBJECT)
        spread(run, canonical, SLU_NO_SLOT, mistakes);
    else if (mistakes)
        slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR(""), "a flow log is an object, not %s",
                    slu_kind_name(canonical->kind));
}

struct slu_value *slu_run_assemble(struct slu_run *run)
{
    struct slu_value *document = slu_value_new(run->arena, SLU_OBJECT);
    struct slu_value *inner[SLU_SLOTS_MOST] = {NULL};

    for (uint8_t i = 0; document && i < run->table->slot_count; i++) {
        const struct slu_slot *slot = &run->table->slots[i];
        struct slu_value *value = (struct slu_value *)run->slots[i], *into = document;

        if (!value)
            continue;
        if (slot->parent != SLU_NO_SLOT) {
            into = inner[slot->parent];
            if (!into) {
                into = inner[slot->parent] = slu_value_new(run->arena, SLU_OBJECT);
                slu_value_set(document, run->table->slots[slot->parent].name, into);
            }
        }
        slu_value_put(into, slot->name, value);
    }
    return run->arena->failed ? NULL : document;
}

const struct slu_value *slu_row_default(const struct slu_run *run, const struct slu_row *row)
{
    bool holds = slu_conditions_hold(row->default_if, row->default_if_count, run->slots);

    return row->fallback && holds ? row->fallback : NULL;
}

bool slu_run_lacks(const struct slu_run *run, uint8_t slot, const struct slu_value *const *slots)
{
    if (!(run->rows->lacking_when >> slot & 1))
        return false;
    for (size_t i = 0; i < run->rows->lack_count; i++) {
        const struct slu_lack *lack = run->rows->lacks[i];

        if (lack->slot == slot && lack->when_count && lack->word_count == 0 &&
            slu_conditions_hold(lack->when, lack->when_count, slots))
            return true;
    }
    return false;
}

bool slu_run_null_here(const struct slu_run *run, uint8_t slot)
{
    return run->side == SLU_REPLY && run->rows->lacking_when >> slot & 1 &&
           run->table->slots[slot].parent == SLU_NO_SLOT &&
           run->table->slots[slot].member->in_reply && slu_run_lacks(run, slot, run->slots);
}

void slu_losses_init(struct slu_losses *losses, struct slu_arena *arena, bool lenient)
{
    *losses = (struct slu_losses){.arena = arena, .lenient = lenient};
}

/* The calls of one operation judge the same document: what one has told, the next need not. */
static bool told_before(const struct slu_run *run, struct slu_str pointer, struct slu_str reason)
{
    if (run->side != SLU_REQUEST)
        return false;
    for (const struct slu_loss *loss = run->losses->first; loss; loss = loss->next)
        if (loss->direction == SLU_REQUEST && slu_str_eq(loss->pointer, pointer) &&
            slu_str_eq(loss->reason, reason))
            return true;
    return false;
}

void slu_losses_add(struct slu_losses *losses, struct slu_str pointer,
                    const struct slu_value *value, struct slu_str reason, enum slu_side direction)
{
    struct slu_loss *loss = slu_arena_get(losses->arena, sizeof(*loss));

    if (!loss)
        return;
    *loss = (struct slu_loss){.pointer = pointer,
                              .value = value,
                              .reason = slu_arena_str(losses->arena, reason),
                              .direction = direction};
    if (!losses->end)
        losses->end = &losses->first;
    *losses->end = loss;
    losses->end = &loss->next;
    losses->count++;
}

void slu_run_lose(struct slu_run *run, struct slu_str pointer, const struct slu_value *value,
                  struct slu_str reason)
{
    if (told_before(run, pointer, reason))
        return;
    if (run->prefix.n)
        pointer = slu_arena_join(run->losses->arena, run->prefix, pointer);
    slu_losses_add(run->losses, pointer, value, reason, run->side);
}

void slu_run_refuse(struct slu_run *run, struct slu_str pointer, const struct slu_value *value,
                    struct slu_str reason)
{
    if (run->arena->failed)
        return;
    if (run->side == SLU_REQUEST && !run->losses->lenient)
        slu_mistake(run->mistakes, SLU_FAULT_UNSUPPORTED, pointer, "%.*s", SLU_FMT(reason));
    else
        slu_run_lose(run, pointer, value, reason);
}

struct slu_value *slu_losses_value(struct slu_arena *arena, const struct slu_losses *losses)
{
    struct slu_value *list = slu_value_new(arena, SLU_ARRAY);

    for (const struct slu_loss *loss = losses->first; list && loss; loss = loss->next) {
        struct slu_value *item = slu_value_new(arena, SLU_OBJECT);
        struct slu_value *value =
            loss->value ? slu_value_share(arena, loss->value) : slu_value_new(arena, SLU_NULL);
        struct slu_str direction =
            loss->direction == SLU_REQUEST ? SLU_STR("request") : SLU_STR("reply");

        slu_value_put(item, SLU_STR("pointer"), slu_value_string(arena, loss->pointer));
        slu_value_put(item, SLU_STR("value"), value);
        slu_value_put(item, SLU_STR("reason"), slu_value_string(arena, loss->reason));
        slu_value_put(item, SLU_STR("direction"), slu_value_string(arena, direction));
        slu_value_append(list, item);
    }
    return arena->failed ? NULL : list;
}

bool slu_rows_share(const struct slu_row *a, const struct slu_row *b)
{
    return a != b && (a->codec == SLU_CODEC_KV_LIST || a->codec == SLU_CODEC_INDEXED) &&
           a->codec == b->codec && slu_str_eq(a->n.pointer, b->n.pointer) &&
           slu_str_eq(a->key, b->key) && slu_str_eq(a->value, b->value) &&
           !slu_str_eq(a->one, b->one);
}

bool slu_key_taken(const struct slu_run *run, const struct slu_row *row, struct slu_str key)
{
    for (size_t i = 0; row->shared && !row->one.p && i < run->rows->count; i++) {
        const struct slu_row *other = run->rows->writing[i];

        if (other->one.p && slu_str_eq(other->one, key) && slu_rows_share(row, other))
            return true;
    }
    return false;
}

bool slu_index_step(struct slu_str step)
{
    uint64_t number;

    return slu_str_to_u64(step, &number) && (step.n == 1 || step.p[0] != '0');
}

/* The child at a step, made when it is missing: an array when the step behind it is a position. */
static struct slu_value *descend(struct slu_arena *arena, struct slu_value *at, struct slu_str step,
                                 enum slu_kind kind)
{
    struct slu_value *next = at->kind == SLU_ARRAY ? at->first : slu_value_find(at, step);

    if (next)
        return next->kind == kind ? next : NULL;
    next = slu_value_new(arena, kind);
    if (at->kind == SLU_ARRAY)
        slu_value_append(at, next);
    else if (at->kind == SLU_OBJECT)
        slu_value_put(at, step, next);
    else
        return NULL;
    return next;
}

static enum slu_kind kind_before(const struct slu_path *path, size_t step)
{
    return step < path->count && slu_index_step(path->steps[step]) ? SLU_ARRAY : SLU_OBJECT;
}

struct slu_value *slu_run_enter(struct slu_arena *arena, const struct slu_path *path,
                                struct slu_value *root)
{
    struct slu_value *at = root;

    for (size_t i = 0; at && i < path->count; i++)
        at = descend(arena, at, path->steps[i], kind_before(path, i + 1));
    return at;
}

bool slu_run_place(struct slu_arena *arena, const struct slu_path *path, struct slu_value *root,
                   struct slu_value *value)
{
    struct slu_value *at = root;

    if (!value || path->count == 0)
        return false;
    for (size_t i = 0; at && i + 1 < path->count; i++)
        at = descend(arena, at, path->steps[i], kind_before(path, i + 1));
    if (!at)
        return false;
    if (at->kind == SLU_ARRAY && at->count == 0)
        slu_value_append(at, value);
    else if (at->kind == SLU_OBJECT)
        slu_value_put(at, path->steps[path->count - 1], value);
    else
        return false;
    return true;
}

bool slu_vars_set(struct slu_vars *vars, struct slu_str name, struct slu_str value)
{
    size_t i = 0;

    while (i < vars->count && !slu_str_eq(vars->names[i], name))
        i++;
    if (i == SLU_VARS_MOST)
        return false;
    vars->names[i] = name;
    vars->values[i] = value;
    if (i == vars->count)
        vars->count++;
    return true;
}

struct slu_str slu_vars_get(const struct slu_vars *vars, struct slu_str name)
{
    for (size_t i = 0; i < vars->count; i++)
        if (slu_str_eq(vars->names[i], name))
            return vars->values[i].p ? vars->values[i] : SLU_STR("");
    return SLU_STR_NONE;
}
