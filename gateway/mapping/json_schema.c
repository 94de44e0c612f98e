/*
 * The JSON Schema of what one target takes: the members (json_schema_member.c), which of them are
 * needed, what stands in place of what, and the conditions between them. It is made from the same
 * rows that translate, so that it accepts what a strict request is accepted with, and nothing else.
 *
 * A schema sees values, not spellings: 600.0 is the integer 600 to it, which the gateway refuses.
 */
#include "mapping/json_schema_internal.h"

#include "codec/build.h"
#include "codec/json.h"

/* An alias family: the names that may stand in place of other members. */
struct family {
    uint8_t slot;                    /* of the alias itself */
    const struct slu_alias **usable; /* those whose values the table takes */
    size_t count;
    bool open; /* any name may stand */
};

struct assembly {
    struct slu_schema schema;
    struct family resources, destinations;
    uint8_t destination, native;
    struct slu_value *root;
};

static uint8_t slot_at(const struct slu_schema *schema, const char *pointer)
{
    for (uint8_t i = 0; i < schema->count; i++)
        if (strcmp(schema->members[i].pointer, pointer) == 0)
            return i;
    return SLU_NO_SLOT;
}

static const char *name_of(const struct slu_schema *schema, uint8_t slot)
{
    return strrchr(schema->members[slot].pointer, '/') + 1;
}

static bool is_inside(const struct slu_schema *schema, uint8_t slot, uint8_t outer)
{
    size_t length = strlen(schema->members[outer].pointer);

    return strncmp(schema->members[slot].pointer, schema->members[outer].pointer, length) == 0 &&
           schema->members[slot].pointer[length] == '/';
}

static bool is_top(const struct slu_schema *schema, uint8_t slot)
{
    return strchr(schema->members[slot].pointer + 1, '/') == NULL;
}

/* ---- conditions ---- */

static struct slu_value *new_object(struct assembly *a)
{
    return slu_value_new(a->schema.arena, SLU_OBJECT);
}

static struct slu_value *one_member(struct assembly *a, const char *name, struct slu_value *inner)
{
    struct slu_value *object = new_object(a);

    slu_put_text(a->schema.arena, object, "type", "object");
    slu_add_text(a->schema.arena, slu_put_array(a->schema.arena, object, "required"), name);
    slu_value_put(slu_put_object(a->schema.arena, object, "properties"), slu_str_of(name), inner);
    return object;
}

/* The member is there and is like this. */
static struct slu_value *is_like(struct assembly *a, uint8_t slot, struct slu_value *inner)
{
    struct slu_value *object = one_member(a, name_of(&a->schema, slot), inner);

    if (is_inside(&a->schema, slot, a->destination))
        object = one_member(a, name_of(&a->schema, a->destination), object);
    return object;
}

static struct slu_value *of_type(struct assembly *a, const char *type)
{
    struct slu_value *object = new_object(a);

    slu_put_text(a->schema.arena, object, "type", type);
    return object;
}

static struct slu_value *no_null(struct assembly *a)
{
    struct slu_value *object = new_object(a);

    slu_value_put(object, SLU_STR("not"), of_type(a, "null"));
    return object;
}

static struct slu_value *equals(struct assembly *a, uint8_t slot, const struct slu_value *value)
{
    struct slu_value *object = new_object(a);

    slu_value_put(object, SLU_STR("const"), slu_value_share(a->schema.arena, value));
    return is_like(a, slot, object);
}

/* The family in which an alias may give this member, or NULL. */
static const struct family *family_of(const struct assembly *a, uint8_t slot)
{
    if (is_inside(&a->schema, slot, a->destination))
        return &a->destinations;
    return is_top(&a->schema, slot) ? &a->resources : NULL;
}

/* "One of the aliases that give this member (this value, unless NULL)"; NULL when there is none. */
static struct slu_value *by_alias(struct assembly *a, uint8_t slot, const struct slu_value *value)
{
    const struct family *family = family_of(a, slot);
    struct slu_value *object = new_object(a), *names;

    names = slu_put_array(a->schema.arena, object, "enum");
    for (size_t i = 0; family && names && i < family->count; i++) {
        const struct slu_value *given =
            slu_value_find(family->usable[i]->members, slu_str_of(name_of(&a->schema, slot)));

        if (given && (!value || slu_value_equal(given, value)))
            slu_add_str(a->schema.arena, names, family->usable[i]->name);
    }
    return family && names && names->count ? is_like(a, family->slot, object) : NULL;
}

/* Either the one or, if there is one, the other. */
static struct slu_value *either(struct assembly *a, struct slu_value *one, struct slu_value *other)
{
    struct slu_value *object, *list;

    if (!other)
        return one;
    object = new_object(a);
    list = slu_put_array(a->schema.arena, object, "anyOf");
    slu_value_append(list, one);
    slu_value_append(list, other);
    return object;
}

/* The row that assumes a value for the member when a create names none. */
static const struct slu_row *default_of(const struct assembly *a, uint8_t slot)
{
    const struct slu_rows *rows = a->schema.rows;

    for (size_t i = 0; a->schema.operation == SLU_OP_CREATE && i < rows->count; i++)
        if (rows->writing[i]->fallback && rows->writing[i]->slot == slot)
            return rows->writing[i];
    return NULL;
}

static struct slu_value *negation(struct assembly *a, struct slu_value *rule)
{
    struct slu_value *object = new_object(a);

    slu_value_put(object, SLU_STR("not"), rule);
    return object;
}

static struct slu_value *all_hold(struct assembly *a, const struct slu_condition *conditions,
                                  size_t count);

static struct slu_value *is_given(struct assembly *a, uint8_t slot)
{
    return either(a, is_like(a, slot, no_null(a)), by_alias(a, slot, NULL));
}

/* Absent, and this value is assumed. */
static struct slu_value *is_assumed(struct assembly *a, uint8_t slot, const struct slu_value *value)
{
    const struct slu_row *row = default_of(a, slot);
    struct slu_value *absent, *both, *list;

    if (!row || (value && !slu_value_equal(row->fallback, value)))
        return NULL;
    absent = negation(a, is_given(a, slot));
    if (row->default_if_count == 0)
        return absent;
    both = new_object(a);
    list = slu_put_array(a->schema.arena, both, "allOf");
    slu_value_append(list, absent);
    slu_value_append(list, all_hold(a, row->default_if, row->default_if_count));
    return both;
}

/* The member has this value (any, for NULL): said, by an alias, or because it is assumed. */
static struct slu_value *has_value(struct assembly *a, uint8_t slot, const struct slu_value *value)
{
    struct slu_value *said =
        value ? either(a, equals(a, slot, value), by_alias(a, slot, value)) : is_given(a, slot);

    return either(a, said, is_assumed(a, slot, value));
}

/* One condition of the table: a value, one of a list, null for none, "*" for any. */
static struct slu_value *holds(struct assembly *a, const struct slu_condition *condition)
{
    const struct slu_value *wanted = condition->value;
    struct slu_value *any, *list;

    if (wanted->kind == SLU_NULL)
        return negation(a, has_value(a, condition->slot, NULL));
    if (wanted->kind == SLU_STRING && slu_str_is(wanted->text, "*"))
        return has_value(a, condition->slot, NULL);
    if (wanted->kind != SLU_ARRAY)
        return has_value(a, condition->slot, wanted);
    any = new_object(a);
    list = slu_put_array(a->schema.arena, any, "anyOf");
    slu_value_each (item, wanted)
        slu_value_append(list, has_value(a, condition->slot, item));
    return any;
}

static struct slu_value *all_hold(struct assembly *a, const struct slu_condition *conditions,
                                  size_t count)
{
    struct slu_value *object = new_object(a);
    struct slu_value *list = slu_put_array(a->schema.arena, object, "allOf");

    for (size_t i = 0; i < count; i++)
        slu_value_append(list, holds(a, &conditions[i]));
    return object;
}

/* Another rule for the whole document. */
static void add_rule(struct assembly *a, struct slu_value *rule)
{
    struct slu_value *all = slu_value_member(a->root, "allOf");

    if (!all)
        all = slu_put_array(a->schema.arena, a->root, "allOf");
    slu_value_append(all, rule);
}

static void add_if(struct assembly *a, struct slu_value *condition, struct slu_value *then)
{
    struct slu_value *rule = new_object(a);

    slu_value_put(rule, SLU_STR("if"), condition);
    slu_value_put(rule, SLU_STR("then"), then);
    add_rule(a, rule);
}

/* ---- aliases ---- */

static bool blames(const struct slu_mistakes *mistakes, const struct slu_alias *alias,
                   bool destination)
{
    for (const struct slu_mistake *m = mistakes->first; m; m = m->next) {
        if (destination && slu_str_starts(m->pointer, SLU_STR("/destination")))
            return true;
        slu_value_each (member, alias->members)
            if (m->pointer.n == member->name.n + 1 && slu_str_ends(m->pointer, member->name))
                return true;
    }
    return mistakes->failed;
}

/* What the alias stands for, written as the table writes it: does it take its members? */
static bool is_usable(struct assembly *a, const struct slu_alias *alias, bool destination)
{
    struct slu_arena *arena = a->schema.arena;
    const struct slu_table *table = a->schema.table;
    const struct slu_step *step =
        table ? slu_table_main_step(table, SLU_OP_CREATE, SLU_REQUEST) : NULL;
    struct slu_value *members = slu_value_share(arena, alias->members), *document = members;
    struct slu_mistakes mistakes;
    struct slu_losses losses;
    struct slu_run run;

    if (!step || !members)
        return true;
    if (destination) {
        document = slu_value_new(arena, SLU_OBJECT);
        slu_value_put(document, SLU_STR("destination"), members);
    }
    slu_mistakes_init(&mistakes, arena);
    slu_losses_init(&losses, arena, false);
    slu_run_init(&run, table, SLU_OP_CREATE, SLU_REQUEST, step, a->schema.target->parameters, arena,
                 &losses, &mistakes);
    run.native = slu_value_new(arena, SLU_OBJECT);
    if (run.native && document)
        slu_run_write(&run, document);
    return !blames(&mistakes, alias, destination);
}

static void find_usable(struct assembly *a, struct family *family, const char *pointer,
                        const struct slu_alias *aliases, size_t count)
{
    family->slot = slot_at(&a->schema, pointer);
    family->open = a->schema.target->any_alias;
    family->usable = slu_arena_get(a->schema.arena, (count + 1) * sizeof(*family->usable));
    for (size_t i = 0; family->usable && i < count; i++)
        if (is_usable(a, &aliases[i], family == &a->destinations))
            family->usable[family->count++] = &aliases[i];
}

static bool has_aliases(const struct family *family)
{
    return family->open || family->count > 0;
}

static struct slu_value *alias_schema(struct assembly *a, const struct family *family)
{
    struct slu_value *object = slu_schema_member(&a->schema, family->slot), *names;

    if (!object || family->open)
        return object;
    names = slu_value_new(a->schema.arena, SLU_ARRAY);
    for (size_t i = 0; i < family->count; i++)
        slu_add_str(a->schema.arena, names, family->usable[i]->name);
    slu_value_append(names, slu_value_new(a->schema.arena, SLU_NULL));
    slu_value_put(object, SLU_STR("enum"), names);
    return object;
}

/* ---- native members ---- */

static struct slu_value *refused(struct assembly *a)
{
    return slu_value_bool(a->schema.arena, false);
}

/* The place of a row, in the tree of what may not be named. */
static void refuse_place(struct assembly *a, struct slu_value *native, const struct slu_path *path)
{
    struct slu_value *at = native;

    for (size_t i = 0; at && at->kind == SLU_OBJECT && i < path->count; i++) {
        struct slu_value *properties = slu_value_member(at, "properties");
        struct slu_value *next = slu_value_find(properties, path->steps[i]);

        if (!properties)
            properties = slu_put_object(a->schema.arena, at, "properties");
        if (i + 1 == path->count) {
            if (!next)
                slu_value_put(properties, path->steps[i], refused(a));
            return;
        }
        if (!next) {
            next = of_type(a, "object");
            slu_value_put(properties, path->steps[i], next);
        }
        at = next;
    }
}

/* "^Tag\\x2e": what the names of a member begin with. */
static struct slu_str begins_with(struct assembly *a, struct slu_str prefix)
{
    struct slu_str pattern = SLU_STR("^");

    for (size_t i = 0; i < prefix.n; i++) {
        char c = prefix.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        pattern = slu_arena_printf(a->schema.arena, plain ? "%.*s%c" : "%.*s\\x%02x",
                                   SLU_FMT(pattern), (unsigned char)c);
    }
    return pattern;
}

static void set_pattern(struct assembly *a, struct slu_value *native, struct slu_str pattern,
                        struct slu_value *rule)
{
    struct slu_value *patterns = slu_value_member(native, "patternProperties");

    if (!patterns)
        patterns = slu_put_object(a->schema.arena, native, "patternProperties");
    if (patterns)
        slu_value_set(patterns, pattern, rule);
}

/* "Tag.1.Key": the numbers that slu_indexed_number() knows. */
static void refuse_indexed(struct assembly *a, struct slu_value *native, struct slu_str prefix)
{
    set_pattern(a, native,
                slu_arena_join(a->schema.arena, begins_with(a, prefix),
                               SLU_STR("\\.(?:[1-9][0-9]{0,2}|1000)\\.")),
                refused(a));
}

/* The values of a refused parameter that mean nothing, in every spelling that becomes their text.
 */
static struct slu_value *let_through(struct assembly *a, const struct slu_refusal *refusal)
{
    struct slu_value *object = new_object(a), *list;

    if (refusal->unless_count == 0)
        return refused(a);
    list = slu_put_array(a->schema.arena, object, "enum");
    for (size_t i = 0; i < refusal->unless_count; i++) {
        struct slu_str text = refusal->unless[i];

        slu_add_str(a->schema.arena, list, text);
        if (slu_str_is(text, "true") || slu_str_is(text, "false"))
            slu_value_append(list, slu_value_bool(a->schema.arena, text.n == 4));
        else if (slu_number_valid(text))
            slu_value_append(list, slu_value_number(a->schema.arena, text));
    }
    return object;
}

/* Parameters that the table refuses by name. */
static void refuse_unserved(struct assembly *a, struct slu_value *native)
{
    struct slu_value *properties = slu_value_member(native, "properties");

    for (size_t i = 0; i < a->schema.table->refusal_count; i++) {
        const struct slu_refusal *refusal = &a->schema.table->refusals[i];

        if (refusal->star)
            set_pattern(a, native, begins_with(a, refusal->name), let_through(a, refusal));
        else if (properties && !slu_value_find(properties, refusal->name))
            slu_value_put(properties, refusal->name, let_through(a, refusal));
    }
}

static void refuse_named(struct assembly *a, struct slu_value *native, struct slu_str name)
{
    struct slu_path path = {.steps = &name, .count = 1};

    refuse_place(a, native, &path);
}

/* What templates and signing schemes fill in the parameters of these calls. */
static void refuse_filled(struct assembly *a, struct slu_value *native)
{
    const struct slu_table *table = a->schema.table;
    const struct slu_plan *plan = &table->plans[a->schema.operation];

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct slu_step *step = &plan->steps[i];

        for (size_t k = 0; step->takes && k < step->query.count; k++)
            refuse_named(a, native, step->query.items[k].name);
        for (size_t s = 0; step->takes && s < table->scheme_count; s++) {
            for (size_t k = 0; k < step->scheme_query[s].count; k++)
                refuse_named(a, native, step->scheme_query[s].items[k].name);
            for (size_t k = 0; k < table->signing[s].own_count; k++)
                refuse_named(a, native, table->signing[s].own[k]);
        }
    }
}

static struct slu_value *native_schema(struct assembly *a)
{
    const struct slu_table *table = a->schema.table;
    struct slu_value *native = slu_schema_member(&a->schema, a->native), *values, *types;

    for (size_t i = 0; table && native && i < table->row_count; i++) {
        const struct slu_row *row = &table->rows[i];

        if (!row->has_n || !row->requests || !(row->operations >> a->schema.operation & 1))
            continue;
        refuse_place(a, native, &row->n);
        if (row->codec == SLU_CODEC_INDEXED)
            refuse_indexed(a, native, row->n.steps[row->n.count - 1]);
    }
    if (!table || !table->flat || !native)
        return native;
    refuse_filled(a, native);
    refuse_unserved(a, native);
    values = slu_put_object(a->schema.arena, native, "additionalProperties");
    types = slu_put_array(a->schema.arena, values, "type");
    slu_add_text(a->schema.arena, types, "string");
    slu_add_text(a->schema.arena, types, "number");
    slu_add_text(a->schema.arena, types, "boolean");
    return native;
}

/* ---- what is required ---- */

static bool uses(const struct slu_template *template, struct slu_str name)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].variable && slu_str_eq(template->pieces[i].text, name))
            return true;
    return false;
}

static bool any_uses(const struct slu_named_templates *named, struct slu_str name)
{
    for (size_t i = 0; i < named->count; i++)
        if (uses(&named->items[i].template, name))
            return true;
    return false;
}

static bool step_needs(const struct slu_table *table, const struct slu_step *step,
                       const struct slu_table_parameter *parameter)
{
    bool used = any_uses(&table->headers, parameter->name) ||
                any_uses(&step->headers, parameter->name) ||
                any_uses(&step->query, parameter->name);

    for (size_t i = 0; i < table->scheme_count; i++)
        used = used || any_uses(&step->scheme_headers[i], parameter->name) ||
               any_uses(&step->scheme_query[i], parameter->name);
    return uses(&step->path, parameter->name) || (used && parameter->required);
}

/* Does the call's form need the member, since the target's parameters do not give it? */
static bool is_needed(const struct assembly *a, uint8_t slot)
{
    const struct slu_table *table = a->schema.table;
    const struct slu_plan *plan = &table->plans[a->schema.operation];

    for (size_t i = 0; i < table->parameter_count; i++) {
        if (table->parameter_rules[i].slot != slot ||
            (a->schema.target->parameters &&
             slu_vars_get(a->schema.target->parameters, table->parameters[i].name).p))
            continue;
        for (size_t k = 0; k < plan->step_count; k++)
            if (step_needs(table, &plan->steps[k], &table->parameters[i]))
                return true;
    }
    return false;
}

static bool is_required(const struct assembly *a, uint8_t slot)
{
    const struct slu_rows *rows = a->schema.rows;

    if (a->schema.operation != SLU_OP_CREATE)
        return false;
    if (slot == a->destination || strcmp(a->schema.members[slot].pointer, "/resource_type") == 0 ||
        strcmp(a->schema.members[slot].pointer, "/resource_id") == 0 ||
        strcmp(a->schema.members[slot].pointer, "/destination/type") == 0)
        return true;
    if (!rows || default_of(a, slot))
        return false; /* what is assumed only sometimes is a rule of its own */
    for (size_t i = 0; i < rows->count; i++)
        if (rows->writing[i]->required && slu_row_has(rows->writing[i], slot))
            return true;
    return is_needed(a, slot);
}

/* Null says nothing, so it is no value for what is required. */
static void forbid_null(struct assembly *a, struct slu_value *object)
{
    struct slu_value *type = slu_value_member(object, "type");
    struct slu_value *words = slu_value_member(object, "enum");

    if (slu_value_is(type, SLU_ARRAY) && type->first) /* none where memory ran out */
        slu_value_set(object, SLU_STR("type"), slu_value_share(a->schema.arena, type->first));
    for (struct slu_value *word = words ? words->first : NULL; word; word = word->next)
        if (word->kind == SLU_NULL) {
            slu_value_remove(words, word);
            return;
        }
}

static void require(struct assembly *a, struct slu_value *object, uint8_t slot)
{
    struct slu_value *list = slu_value_member(object, "required");
    struct slu_value *properties = slu_value_member(object, "properties");

    if (!list)
        list = slu_put_array(a->schema.arena, object, "required");
    slu_add_text(a->schema.arena, list, name_of(&a->schema, slot));
    forbid_null(a, slu_value_find(properties, slu_str_of(name_of(&a->schema, slot))));
}

/* One of two ways to say a thing: these members, and none of those. */
struct way {
    struct slu_value *object, *required, *properties;
};

static struct way new_way(struct assembly *a, struct slu_value *ways, const char *title)
{
    struct way way = {.object = slu_add_object(a->schema.arena, ways)};

    slu_put_text(a->schema.arena, way.object, "title", title);
    way.required = slu_put_array(a->schema.arena, way.object, "required");
    way.properties = slu_put_object(a->schema.arena, way.object, "properties");
    return way;
}

static void way_needs(struct assembly *a, struct way *way, uint8_t slot)
{
    slu_add_text(a->schema.arena, way->required, name_of(&a->schema, slot));
    slu_value_put(way->properties, slu_str_of(name_of(&a->schema, slot)), no_null(a));
}

static void way_bars(struct assembly *a, struct way *way, uint8_t slot)
{
    slu_value_put(way->properties, slu_str_of(name_of(&a->schema, slot)), of_type(a, "null"));
}

static bool in_place_of(const struct assembly *a, const struct family *family, uint8_t slot)
{
    const char *pointer = a->schema.members[slot].pointer;

    if (slot == family->slot || !a->schema.members[slot].in_request)
        return false;
    if (family == &a->destinations)
        return is_inside(&a->schema, slot, a->destination);
    return strcmp(pointer, "/resource_type") == 0 || strcmp(pointer, "/resource_id") == 0;
}

/* Either the members themselves or an alias. */
static void put_ways(struct assembly *a, struct slu_value *object, const struct family *family)
{
    struct slu_value *ways = slu_put_array(a->schema.arena, object, "oneOf");
    struct way plain = new_way(a, ways, "by its own members");
    struct way alias = new_way(a, ways, "by an alias");

    for (uint8_t i = 0; i < a->schema.count; i++) {
        if (!in_place_of(a, family, i))
            continue;
        if (is_required(a, i))
            way_needs(a, &plain, i);
        way_bars(a, &alias, i);
    }
    way_bars(a, &plain, family->slot);
    way_needs(a, &alias, family->slot);
}

/* ---- the whole ---- */

static void put_required(struct assembly *a)
{
    struct slu_value *destination =
        slu_value_member(slu_value_member(a->root, "properties"), "destination");

    for (uint8_t i = 0; i < a->schema.count; i++) {
        bool inner = is_inside(&a->schema, i, a->destination);
        const struct family *family = inner ? &a->destinations : &a->resources;

        if (!is_required(a, i) || (in_place_of(a, family, i) && has_aliases(family)))
            continue;
        if (inner || !by_alias(a, i, NULL))
            require(a, inner ? destination : a->root, i);
        else
            add_rule(a, is_given(a, i));
    }
    if (a->schema.operation != SLU_OP_CREATE)
        return;
    if (has_aliases(&a->resources))
        put_ways(a, a->root, &a->resources);
    if (has_aliases(&a->destinations))
        put_ways(a, destination, &a->destinations);
}

/* Words that can only be said beside certain others. */
static void put_word_rules(struct assembly *a, const struct slu_row *row)
{
    for (size_t i = 0; row->words && row->words->conditional && i < row->words->count; i++) {
        const struct slu_pair *pair = &row->words->pairs[i];
        struct slu_value *ways = new_object(a), *list;
        bool free = false;

        if (!pair->write || pair->when_count == 0)
            continue;
        list = slu_put_array(a->schema.arena, ways, "anyOf");
        for (size_t k = 0; list && k < row->words->count; k++) {
            const struct slu_pair *other = &row->words->pairs[k];

            if (!other->write || !slu_value_equal(other->canonical, pair->canonical))
                continue;
            free = free || other->when_count == 0;
            slu_value_append(list, all_hold(a, other->when, other->when_count));
        }
        if (!free)
            add_if(a, has_value(a, row->slot, pair->canonical), ways);
    }
}

/* The parts of a join go together or not at all. */
static void put_join_rule(struct assembly *a, const struct slu_row *row)
{
    struct slu_value *any = new_object(a), *all = new_object(a);
    struct slu_value *some = slu_put_array(a->schema.arena, any, "anyOf");
    struct slu_value *each = slu_put_array(a->schema.arena, all, "allOf");

    for (size_t i = 0; i < row->slot_count; i++) {
        slu_value_append(some, is_given(a, row->slots[i]));
        slu_value_append(each, is_given(a, row->slots[i]));
    }
    add_if(a, any, all);
}

/* What is required under a condition, or assumed only under one. */
static void put_needs(struct assembly *a, const struct slu_row *row)
{
    for (size_t i = 0; i < row->slot_count; i++) {
        const struct slu_row *assumed = default_of(a, row->slots[i]);

        if (row->required_if_count)
            add_if(a, all_hold(a, row->required_if, row->required_if_count),
                   has_value(a, row->slots[i], NULL));
        if (row->required && assumed && assumed->default_if_count)
            add_rule(a, has_value(a, row->slots[i], NULL));
    }
}

/* A member, or some of its words, that the cloud lacks under a condition. */
static void put_lack_rule(struct assembly *a, const struct slu_lack *lack)
{
    struct slu_value *refused = new_object(a), *list = NULL;

    if (!(a->schema.rows->covered >> lack->slot & 1))
        return; /* the cloud never has it */
    for (size_t i = 0; i < lack->word_count; i++) {
        if (slu_value_listed(lack->unless, lack->unless_count, lack->words[i]))
            continue;
        if (!list)
            list = slu_put_array(a->schema.arena, refused, "enum");
        slu_value_append(list, slu_value_share(a->schema.arena, lack->words[i]));
    }
    if (lack->word_count && !list)
        return;
    if (lack->word_count == 0) {
        list =
            slu_put_array(a->schema.arena, slu_put_object(a->schema.arena, refused, "not"), "enum");
        slu_value_append(list, slu_value_new(a->schema.arena, SLU_NULL));
        for (size_t i = 0; i < lack->unless_count; i++)
            slu_value_append(list, slu_value_share(a->schema.arena, lack->unless[i]));
    }
    add_if(a, all_hold(a, lack->when, lack->when_count),
           negation(a, is_like(a, lack->slot, refused)));
}

static void put_rules(struct assembly *a)
{
    const struct slu_rows *rows = a->schema.rows;

    for (size_t i = 0; rows && i < rows->count; i++) {
        const struct slu_row *row = rows->writing[i];

        put_word_rules(a, row);
        if (row->codec == SLU_CODEC_JOIN)
            put_join_rule(a, row);
        if (a->schema.operation == SLU_OP_CREATE)
            put_needs(a, row);
    }
    for (size_t i = 0; rows && i < rows->lack_count; i++)
        if (rows->lacks[i]->when_count)
            put_lack_rule(a, rows->lacks[i]);
}

/* An alias may give the parent too; then the request says the same, or nothing. */
static void put_parents(struct assembly *a)
{
    uint8_t parent = slot_at(&a->schema, "/parent_id");

    for (size_t i = 0; i < a->resources.count; i++) {
        const struct slu_alias *alias = a->resources.usable[i];
        struct slu_value *given = slu_value_member(alias->members, "parent_id");
        struct slu_value *then = new_object(a), *one, *list;
        struct slu_value name = {.kind = SLU_STRING, .text = alias->name};

        if (!given)
            continue;
        one = slu_put_object(a->schema.arena, slu_put_object(a->schema.arena, then, "properties"),
                             name_of(&a->schema, parent));
        list = slu_put_array(a->schema.arena, one, "enum");
        slu_value_append(list, slu_value_share(a->schema.arena, given));
        slu_value_append(list, slu_value_new(a->schema.arena, SLU_NULL));
        add_if(a, equals(a, a->resources.slot, &name), then);
    }
}

/* ---- changes ---- */

/* Every row that carries the member says how it is cleared. Where one call sets and another clears,
 * tags are cleared one by one, which is for whoever knows them. */
static bool is_clearable(const struct assembly *a, uint8_t slot)
{
    const struct slu_rows *rows = a->schema.rows;
    bool each =
        a->schema.members[slot].type == SLU_MEMBER_TEXTS && slu_table_in_parts(a->schema.table);

    for (size_t i = 0; i < rows->count; i++)
        if (slu_row_has(rows->writing[i], slot) && !each &&
            !slu_row_clears(a->schema.table, rows->writing[i]))
            return false;
    return true;
}

/* What calls of their own switch. */
static struct slu_value *switch_schema(struct assembly *a, uint8_t slot)
{
    struct slu_value *object = of_type(a, "boolean");

    slu_put_text(a->schema.arena, object, "description", a->schema.members[slot].help);
    return object;
}

/* Nothing in it would be nothing to change. */
static struct slu_value *not_empty(struct assembly *a, struct slu_value *object)
{
    forbid_null(a, object);
    slu_put_int(a->schema.arena, object, "minProperties", 1);
    return object;
}

/* What an update may say of a member, or NULL when it cannot be changed. */
static struct slu_value *change_schema(struct assembly *a, uint8_t slot)
{
    const struct slu_table *table = a->schema.table;
    struct slu_value *object;

    if (slot == a->resources.slot || slot == a->destinations.slot)
        return NULL;
    if (!table)
        return slu_schema_member(&a->schema, slot);
    if (slot == a->native)
        return slu_table_main_step(table, SLU_OP_UPDATE, SLU_REQUEST)
                   ? not_empty(a, native_schema(a))
                   : NULL;
    if (!(a->schema.rows->covered >> slot & 1))
        return slu_table_mutable(table, table->slots[slot].pointer) ? switch_schema(a, slot) : NULL;
    object = slu_schema_member(&a->schema, slot);
    if (a->schema.members[slot].type == SLU_MEMBER_TEXTS && slu_table_in_parts(table))
        return not_empty(a, object); /* its members are cleared by their names */
    if (!is_clearable(a, slot))
        forbid_null(a, object);
    return object;
}

/* What starts enabled on the cloud can be made and then be switched off. */
static struct slu_value *enabled_schema(struct assembly *a, uint8_t slot)
{
    struct slu_value *object = slu_schema_member(&a->schema, slot);
    struct slu_value *words = slu_value_member(object, "enum");

    if (!words || a->schema.rows->covered >> slot & 1 ||
        !slu_table_serves(a->schema.table, SLU_OP_DISABLE))
        return object;
    slu_value_append(words, slu_value_bool(a->schema.arena, false));
    slu_value_set(object, SLU_STR("description"),
                  slu_value_string(a->schema.arena, slu_str_of(a->schema.members[slot].help)));
    return object;
}

static struct slu_value *member_schema(struct assembly *a, uint8_t slot)
{
    if (a->schema.table && a->schema.operation == SLU_OP_CREATE &&
        strcmp(a->schema.members[slot].pointer, "/enabled") == 0)
        return enabled_schema(a, slot);
    if (a->schema.operation == SLU_OP_UPDATE)
        return slot == a->destination ? of_type(a, "object") : change_schema(a, slot);
    if (slot == a->resources.slot)
        return alias_schema(a, &a->resources);
    if (slot == a->destinations.slot)
        return alias_schema(a, &a->destinations);
    return slot == a->native ? native_schema(a) : slu_schema_member(&a->schema, slot);
}

/* A destination of which nothing can be changed. */
static bool says_nothing(const struct assembly *a, const struct slu_value *object)
{
    const struct slu_value *properties = slu_value_member(object, "properties");

    return a->schema.operation == SLU_OP_UPDATE && properties && properties->count == 0;
}

static void put_members(struct assembly *a, struct slu_value *object, uint8_t outer)
{
    struct slu_value *properties = slu_put_object(a->schema.arena, object, "properties");

    for (uint8_t i = 0; i < a->schema.count; i++) {
        bool here = outer == SLU_NO_SLOT ? is_top(&a->schema, i) : is_inside(&a->schema, i, outer);
        struct slu_value *one;

        if (!here || !a->schema.members[i].in_request)
            continue;
        one = member_schema(a, i);
        if (one && i == a->destination)
            put_members(a, one, i);
        if (one && !says_nothing(a, one))
            slu_value_put(properties, slu_str_of(name_of(&a->schema, i)), one);
    }
    slu_put_bool(a->schema.arena, object, "additionalProperties", false);
}

static void put_head(struct assembly *a)
{
    struct slu_arena *arena = a->schema.arena;
    struct slu_str title = a->schema.table ? a->schema.table->title : SLU_STR_NONE;
    const char *what =
        a->schema.operation == SLU_OP_UPDATE ? "Changes of a flow log" : "A flow log";

    slu_put_text(arena, a->root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    if (a->schema.target->name.n)
        slu_put_str(arena, a->root, "title",
                    slu_arena_printf(arena, "%s on %.*s%s%.*s%s", what,
                                     SLU_FMT(a->schema.target->name), title.n ? " (" : "",
                                     SLU_FMT(title), title.n ? ")" : ""));
    slu_put_text(arena, a->root, "type", "object");
}

struct slu_value *slu_table_json_schema(const struct slu_table *table, enum slu_operation operation,
                                        const struct slu_schema_for *target,
                                        struct slu_arena *arena)
{
    struct assembly a = {
        .schema = {.arena = arena,
                   .table = table,
                   .rows = table ? &table->plans[operation].rows[SLU_REQUEST] : NULL,
                   .operation = operation,
                   .target = target}};
    size_t count;

    a.schema.members = slu_flow_log_members(&count);
    a.schema.count = (uint8_t)count;
    a.destination = slot_at(&a.schema, "/destination");
    a.native = slot_at(&a.schema, "/native");
    find_usable(&a, &a.resources, "/resource_alias", target->resources, target->resource_count);
    find_usable(&a, &a.destinations, "/destination/alias", target->destinations,
                target->destination_count);
    a.root = slu_value_new(arena, SLU_OBJECT);
    if (!a.root)
        return NULL;
    put_head(&a);
    put_members(&a, a.root, SLU_NO_SLOT);
    put_required(&a);
    put_rules(&a);
    if (operation == SLU_OP_CREATE)
        put_parents(&a);
    return arena->failed ? NULL : a.root;
}
