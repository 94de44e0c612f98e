/*
 * What a table can do, as documents: the capability matrix. Everything is read from the compiled
 * rows and the table's own head, so that it cannot say anything else than what the table does.
 */
#include "mapping/table_internal.h"

#include "codec/build.h"
#include "codec/shape.h"
#include "mapping/json_schema_internal.h"

/* The three documents a member may stand in; a reply is whatever the cloud tells of a flow log. */
enum part { PART_CREATE, PART_UPDATE, PART_REPLY, PART_COUNT };

static const char *const parts[PART_COUNT] = {"create", "update", "reply"};

struct describer {
    struct slu_arena *arena;
    const struct slu_table *table;
    struct slu_mistakes unheard; /* of our own data, which was checked when it was loaded */
};

/* ---- how a member is carried ---- */

static const struct slu_rows *rows_of(const struct slu_table *table, enum part part)
{
    static const enum slu_operation of[PART_COUNT] = {
        [PART_CREATE] = SLU_OP_CREATE, [PART_UPDATE] = SLU_OP_UPDATE, [PART_REPLY] = SLU_OP_GET};
    enum slu_operation operation = of[part];

    if (part == PART_REPLY && !table->plans[operation].served)
        operation = SLU_OP_LIST;
    return table->plans[operation].served
               ? &table->plans[operation].rows[part == PART_REPLY ? SLU_REPLY : SLU_REQUEST]
               : NULL;
}

static bool is_known(const struct slu_member *member, enum part part)
{
    return member->translated && (part == PART_REPLY ? member->in_reply : member->in_request);
}

/* What an update does not carry, but calls of their own switch. */
static bool is_switch(const struct slu_table *table, uint8_t slot, enum part part)
{
    const struct slu_rows *rows = rows_of(table, part);

    return part == PART_UPDATE && !(rows && rows->covered >> slot & 1) &&
           slu_table_mutable(table, table->slots[slot].pointer);
}

static const struct slu_row *row_of(const struct slu_rows *rows, uint8_t slot)
{
    for (size_t i = 0; rows && i < rows->count; i++)
        if (slu_row_has(rows->writing[i], slot))
            return rows->writing[i];
    return NULL;
}

static bool any_inside(const struct slu_table *table, const struct slu_rows *rows, uint8_t slot)
{
    for (uint8_t i = 0; rows && i < table->slot_count; i++)
        if (table->slots[i].parent == slot && rows->covered >> i & 1)
            return true;
    return false;
}

static bool has_lack(const struct slu_rows *rows, uint8_t slot, bool with_words)
{
    for (size_t i = 0; rows && i < rows->lack_count; i++)
        if (rows->lacks[i]->slot == slot && (rows->lacks[i]->word_count > 0) == with_words)
            return true;
    return false;
}

static bool is_required(const struct slu_rows *rows, uint8_t slot)
{
    for (size_t i = 0; rows && i < rows->count; i++)
        if (rows->writing[i]->required && slu_row_has(rows->writing[i], slot))
            return true;
    return false;
}

/* The cloud has the member, but no change of it. */
static bool is_immutable(const struct slu_table *table, const struct slu_rows *rows, uint8_t slot,
                         enum part part)
{
    const struct slu_rows *created = rows_of(table, PART_CREATE);

    if (part != PART_UPDATE || is_switch(table, slot, part))
        return false;
    return rows ? rows->fixed >> slot & 1 : created && created->covered >> slot & 1;
}

static const char *carried(const struct slu_table *table, uint8_t slot, enum part part)
{
    const struct slu_rows *rows = rows_of(table, part);

    if (is_switch(table, slot, part))
        return "sent";
    if (!rows || !((rows->covered >> slot & 1) || any_inside(table, rows, slot)))
        return is_immutable(table, rows, slot, part) ? "immutable" : "cannot";
    if (part == PART_CREATE && is_required(rows, slot))
        return has_lack(rows, slot, true) ? "required, partly" : "required";
    if (has_lack(rows, slot, true))
        return "partly";
    return part == PART_REPLY ? "told" : "sent";
}

const char *slu_table_carries(const struct slu_table *table, struct slu_str pointer,
                              const char *part)
{
    uint8_t slot = slu_slot_find(table, pointer);

    for (int i = 0; slot != SLU_NO_SLOT && i < PART_COUNT; i++)
        if (strcmp(part, parts[i]) == 0 && is_known(table->slots[slot].member, (enum part)i))
            return carried(table, slot, (enum part)i);
    return NULL;
}

/* ---- our own data as documents ---- */

static struct slu_value *from_ours(struct describer *d, const json_t *json)
{
    struct slu_compile compile = {.arena = d->arena, .mistakes = &d->unheard};

    return json ? slu_table_value(&compile, json) : NULL;
}

static void put_ours(struct describer *d, struct slu_value *object, const json_t *from,
                     const char *name)
{
    const json_t *json = json_object_get(from, name);

    if (json)
        slu_value_put(object, slu_str_of(name), from_ours(d, json));
}

/* ---- members ---- */

static void put_words(struct describer *d, struct slu_value *object, const struct slu_rows *rows,
                      uint8_t slot)
{
    const struct slu_member *member = d->table->slots[slot].member;
    struct slu_value *list;

    if (!member->words || !(rows->covered >> slot & 1))
        return;
    list = slu_put_array(d->arena, object, "words");
    for (size_t i = 0; member->words[i]; i++) {
        struct slu_value word = {.kind = SLU_STRING, .text = slu_str_of(member->words[i])};

        if (slu_schema_takes_word(rows, slot, &word))
            slu_add_str(d->arena, list, word.text);
    }
}

static void put_values(struct describer *d, struct slu_value *object, const char *name,
                       const struct slu_value *const *values, size_t count)
{
    struct slu_value *list;

    if (count == 0)
        return;
    list = slu_put_array(d->arena, object, name);
    for (size_t i = 0; i < count; i++)
        slu_value_append(list, slu_value_share(d->arena, values[i]));
}

static void put_conditions(struct describer *d, struct slu_value *object, const char *name,
                           const struct slu_condition *conditions, size_t count)
{
    struct slu_value *map;

    if (count == 0)
        return;
    map = slu_put_object(d->arena, object, name);
    for (size_t i = 0; i < count; i++)
        slu_value_put(map, d->table->slots[conditions[i].slot].pointer,
                      slu_value_share(d->arena, conditions[i].value));
}

static void put_lacks(struct describer *d, struct slu_value *object, const struct slu_rows *rows,
                      uint8_t slot)
{
    struct slu_value *list = NULL;

    for (size_t i = 0; i < rows->lack_count; i++) {
        const struct slu_lack *lack = rows->lacks[i];
        struct slu_value *one;

        if (lack->slot != slot && lack->slot != d->table->slots[slot].parent)
            continue;
        if (!list)
            list = slu_put_array(d->arena, object, "cannot");
        one = slu_add_object(d->arena, list);
        slu_put_str(d->arena, one, "reason", lack->reason);
        put_values(d, one, "words", lack->words, lack->word_count);
        put_values(d, one, "unless", lack->unless, lack->unless_count);
        put_conditions(d, one, "when", lack->when, lack->when_count);
    }
}

static void put_row(struct describer *d, struct slu_value *object, const struct slu_row *row,
                    enum part part)
{
    const json_t *fields = json_object_get(d->table->source, "fields");
    const json_t *field = json_array_get(fields, row->index);

    if (row->has_n)
        slu_put_str(d->arena, object, "native", row->n.pointer);
    if (row->parameter.n)
        slu_put_str(d->arena, object, "parameter", row->parameter);
    if (row->canonical)
        slu_value_put(object, SLU_STR("always"), slu_value_share(d->arena, row->canonical));
    if (part == PART_REPLY)
        return;
    put_ours(d, object, field, "limits");
    if (part == PART_CREATE) {
        put_ours(d, object, field, "default");
        put_conditions(d, object, "required_if", row->required_if, row->required_if_count);
    } else {
        slu_put_bool(d->arena, object, "clearable", slu_row_clears(d->table, row) != NULL);
    }
}

static void put_part(struct describer *d, struct slu_value *member, uint8_t slot, enum part part)
{
    const struct slu_rows *rows = rows_of(d->table, part);
    const struct slu_row *row = row_of(rows, slot);
    struct slu_value *object = slu_put_object(d->arena, member, parts[part]);

    slu_put_text(d->arena, object, "carried", carried(d->table, slot, part));
    if (rows) {
        put_words(d, object, rows, slot);
        put_lacks(d, object, rows, slot);
    }
    if (row)
        put_row(d, object, row, part);
}

static void put_members(struct describer *d, struct slu_value *root)
{
    struct slu_value *members = slu_put_object(d->arena, root, "members");

    for (uint8_t i = 0; i < d->table->slot_count; i++) {
        const struct slu_slot *slot = &d->table->slots[i];
        struct slu_value *member;

        if (!slot->member->translated)
            continue;
        member = slu_value_new(d->arena, SLU_OBJECT);
        slu_value_put(members, slot->pointer, member);
        slu_put_text(d->arena, member, "help", slot->member->help);
        for (int part = 0; part < PART_COUNT; part++)
            if (is_known(slot->member, (enum part)part))
                put_part(d, member, i, (enum part)part);
    }
}

/* ---- operations ---- */

static void put_paging(struct describer *d, struct slu_value *object)
{
    const struct slu_paging *paging = slu_table_paging(d->table);
    struct slu_value *one;

    if (!paging) {
        slu_put_null(d->arena, object, "paging");
        return;
    }
    one = slu_put_object(d->arena, object, "paging");
    slu_put_text(d->arena, one, "style", slu_paging_style_name(paging->style));
    if (paging->max)
        slu_put_int(d->arena, one, "max", paging->max);
    if (paging->usual)
        slu_put_int(d->arena, one, "default", paging->usual);
}

/* The members by which the cloud itself can filter; by others the gateway does. */
static void put_filters(struct describer *d, struct slu_value *object)
{
    const struct slu_plan *plan = &d->table->plans[SLU_OP_LIST];
    const struct slu_filters *filters = plan->step_count ? plan->steps[0].filters : NULL;
    struct slu_value *list = slu_put_array(d->arena, object, "filters");

    for (size_t i = 0; filters && i < filters->count; i++)
        for (size_t k = 0; k < filters->ways[i].count; k++)
            slu_add_str(d->arena, list, filters->ways[i].members[k].pointer);
}

static void put_list(struct describer *d, struct slu_value *object)
{
    put_paging(d, object);
    put_filters(d, object);
}

static void put_poll(struct describer *d, struct slu_value *object, const struct slu_poll *poll)
{
    struct slu_value *one = slu_put_object(d->arena, object, "poll"), *done;

    done = slu_put_array(d->arena, one, "done");
    for (size_t i = 0; i < poll->done_count; i++)
        slu_add_str(d->arena, done, poll->done[i]);
    slu_put_int(d->arena, one, "every_ms", poll->every_ms);
    slu_put_int(d->arena, one, "limit_ms", poll->limit_ms);
}

static void put_write(struct describer *d, struct slu_value *object, enum slu_operation operation)
{
    const struct slu_poll *poll = slu_table_poll(d->table, operation);
    struct slu_str never, serial = slu_table_serialize_by(d->table, operation);
    enum slu_operation undo = slu_table_undo(d->table, operation, &never);

    slu_put_bool(d->arena, object, "asynchronous", poll != NULL);
    if (poll)
        put_poll(d, object, poll);
    slu_put_bool(d->arena, object, "idempotency_token",
                 slu_table_token(d->table, operation) != NULL);
    if (undo != SLU_OP_COUNT)
        slu_put_text(d->arena, object, "undo", slu_operation_name(undo));
    else
        slu_put_null(d->arena, object, "undo");
    if (never.n)
        slu_put_str(d->arena, object, "no_undo", never);
    if (serial.n)
        slu_put_str(d->arena, object, "serialised_by", serial);
}

static void put_operations(struct describer *d, struct slu_value *root)
{
    struct slu_value *all = slu_put_object(d->arena, root, "operations");

    for (int i = 0; i < SLU_OP_COUNT; i++) {
        enum slu_operation operation = (enum slu_operation)i;
        struct slu_value *one;

        if (!slu_table_serves(d->table, operation))
            continue;
        one = slu_put_object(d->arena, all, slu_operation_name(operation));
        slu_put_int(d->arena, one, "calls", (int64_t)slu_table_steps(d->table, operation));
        if (operation == SLU_OP_LIST)
            put_list(d, one);
        if (slu_operation_writes(operation))
            put_write(d, one, operation);
    }
}

/* ---- the head, parameters, errors ---- */

static void put_parameters(struct describer *d, struct slu_value *root)
{
    const json_t *transport = json_object_get(d->table->source, "transport");
    const json_t *rules = json_object_get(transport, "parameters");
    struct slu_value *all = slu_put_object(d->arena, root, "parameters");

    for (size_t i = 0; i < d->table->parameter_count; i++) {
        const struct slu_table_parameter *parameter = &d->table->parameters[i];
        struct slu_value *one = slu_value_new(d->arena, SLU_OBJECT);
        const json_t *rule = json_object_getn(rules, parameter->name.p, parameter->name.n);

        slu_value_put(all, parameter->name, one);
        slu_put_bool(d->arena, one, "required", parameter->required);
        if (parameter->member.n)
            slu_put_str(d->arena, one, "member", parameter->member);
        if (parameter->help.n)
            slu_put_str(d->arena, one, "help", parameter->help);
        put_ours(d, one, rule, "limits");
    }
}

/* Each canonical code that a vendor's code can mean, once. */
static void put_errors(struct describer *d, struct slu_value *root)
{
    struct slu_value *list = slu_put_array(d->arena, root, "errors");
    bool told[SLU_FAULT_KIND_COUNT] = {false};

    for (size_t i = 0; i < d->table->error_count; i++) {
        enum slu_fault_kind is = d->table->errors[i].is;

        if (!told[is])
            slu_add_text(d->arena, list, slu_fault_info(is)->code);
        told[is] = true;
    }
}

static void put_signing(struct describer *d, struct slu_value *root)
{
    const struct slu_str *names;
    size_t count = slu_table_schemes(d->table, &names);
    struct slu_value *list = slu_put_array(d->arena, root, "signing");

    for (size_t i = 0; i < count; i++)
        slu_add_str(d->arena, list, names[i]);
}

struct slu_value *slu_table_summary(const struct slu_table *table, struct slu_arena *arena)
{
    struct slu_value *root = slu_value_new(arena, SLU_OBJECT), *list;

    slu_put_str(arena, root, "dialect", table->dialect);
    slu_put_str(arena, root, "title", table->title);
    slu_put_str(arena, root, "api_version", table->api_version);
    slu_put_int(arena, root, "version", slu_ours_int(table->source, "version", 0));
    list = slu_put_array(arena, root, "operations");
    for (int i = 0; i < SLU_OP_COUNT; i++)
        if (table->plans[i].served)
            slu_add_text(arena, list, slu_operation_name((enum slu_operation)i));
    return arena->failed ? NULL : root;
}

struct slu_value *slu_table_describe(const struct slu_table *table, struct slu_arena *arena)
{
    struct describer d = {.arena = arena, .table = table};
    const json_t *transport = json_object_get(table->source, "transport");
    struct slu_value *root = slu_value_new(arena, SLU_OBJECT);

    slu_mistakes_init(&d.unheard, arena);
    slu_put_str(arena, root, "dialect", table->dialect);
    slu_put_str(arena, root, "title", table->title);
    slu_put_str(arena, root, "api_version", table->api_version);
    put_ours(&d, root, table->source, "version");
    put_ours(&d, root, table->source, "valid");
    put_ours(&d, root, table->source, "sources");
    put_ours(&d, root, transport, "endpoint");
    put_ours(&d, root, transport, "request");
    put_ours(&d, root, transport, "reply");
    put_signing(&d, root);
    put_parameters(&d, root);
    put_operations(&d, root);
    put_members(&d, root);
    put_errors(&d, root);
    return arena->failed || d.unheard.failed ? NULL : root;
}
