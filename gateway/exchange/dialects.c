/*
 * What can be done, said from the tables: the dialects and their capabilities, the JSON Schema of
 * what a target takes, and translations that send nothing. No cloud is asked.
 */
#include "exchange/rest.h"

#include "codec/build.h"
#include "codec/json.h"
#include "codec/text.h"

/* ---- dialects ---- */

static void add_dialects(struct slu_exchange *x)
{
    const struct slu_catalog *catalog = x->station->catalog;
    struct slu_value *list = slu_put_array(x->arena, x->document, "dialects");

    for (size_t i = 0; i < catalog->table_count; i++) {
        struct slu_value *one = slu_table_summary(catalog->tables[i], x->arena);

        if (one)
            slu_put_str(x->arena, one, "href",
                        slu_arena_printf(x->arena, "/v1/dialects/%.*s",
                                         SLU_FMT(slu_table_dialect(catalog->tables[i]))));
        slu_value_append(list, one);
    }
}

/* {"/name": {"<dialect>": {"create": "required", …}, …}, …} */
static void add_matrix(struct slu_exchange *x)
{
    static const char *const parts[] = {"create", "update", "reply"};
    const struct slu_catalog *catalog = x->station->catalog;
    struct slu_value *matrix = slu_put_object(x->arena, x->document, "members");
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    for (size_t i = 0; i < count; i++) {
        struct slu_value *row;

        if (!members[i].translated)
            continue;
        row = slu_put_object(x->arena, matrix, members[i].pointer);
        for (size_t k = 0; k < catalog->table_count; k++) {
            struct slu_value *cell = slu_value_new(x->arena, SLU_OBJECT);

            slu_value_put(row, slu_table_dialect(catalog->tables[k]), cell);
            for (size_t p = 0; p < SLU_COUNT(parts); p++) {
                const char *how =
                    slu_table_carries(catalog->tables[k], slu_str_of(members[i].pointer), parts[p]);

                if (how)
                    slu_put_text(x->arena, cell, parts[p], how);
            }
        }
    }
}

enum slu_step slu_rest_dialects(struct slu_exchange *x)
{
    x->document = slu_value_new(x->arena, SLU_OBJECT);
    if (x->document) {
        add_dialects(x);
        add_matrix(x);
    }
    return STEP_REPLY;
}

/* The dialects there are, as a sentence has them. */
static struct slu_str names_of(struct slu_exchange *x)
{
    const struct slu_catalog *catalog = x->station->catalog;
    struct slu_str names = SLU_STR("");

    for (size_t i = 0; i < catalog->table_count; i++)
        names = slu_arena_printf(x->arena, "%.*s%s%.*s", SLU_FMT(names), i ? ", " : "",
                                 SLU_FMT(slu_table_dialect(catalog->tables[i])));
    return names;
}

enum slu_step slu_rest_dialect(struct slu_exchange *x)
{
    const struct slu_table *table = slu_catalog_table(x->station->catalog, x->dialect);

    if (!table)
        return slu_exchange_fail(x, SLU_FAULT_NOT_FOUND, "",
                                 "there is no dialect %.*s; there are %.*s", SLU_FMT(x->dialect),
                                 SLU_FMT(names_of(x)));
    x->document = slu_table_describe(table, x->arena);
    return STEP_REPLY;
}

/* ---- what a target takes ---- */

static void put_aliases(struct slu_exchange *x, struct slu_value *object, const char *name,
                        const struct slu_alias *aliases, size_t count)
{
    struct slu_value *list = slu_put_array(x->arena, object, name);

    for (size_t i = 0; i < count; i++)
        slu_add_str(x->arena, list, aliases[i].name);
}

/* Names of targets have no character that a path would have to escape. */
void slu_rest_abilities(struct slu_exchange *x, const struct slu_target *target,
                        struct slu_value *document)
{
    struct slu_value *links;

    put_aliases(x, document, "resources", target->resources, target->resource_count);
    put_aliases(x, document, "destinations", target->destinations, target->destination_count);
    links = slu_put_object(x->arena, document, "links");
    slu_put_str(x->arena, links, "schema",
                slu_arena_printf(x->arena, "/v1/targets/%.*s/schema", SLU_FMT(target->name)));
    if (target->table)
        slu_put_str(x->arena, links, "dialect",
                    slu_arena_printf(x->arena, "/v1/dialects/%.*s", SLU_FMT(target->dialect)));
}

/* Which request it shall be about: a create, unless the query says update. */
static bool read_which(struct slu_exchange *x, enum slu_operation *ret_operation)
{
    const struct slu_param *asked = slu_params_find(&x->query, SLU_STR("operation"));

    *ret_operation = SLU_OP_CREATE;
    if (!asked || (slu_operation_of(asked->value, ret_operation) &&
                   (*ret_operation == SLU_OP_CREATE || *ret_operation == SLU_OP_UPDATE)))
        return true;
    slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "operation takes create or update");
    return false;
}

enum slu_step slu_rest_schema(struct slu_exchange *x)
{
    const struct slu_target *target = x->target;
    enum slu_operation operation;
    const struct slu_schema_for whose = {.name = target->name,
                                         .parameters = &target->parameters,
                                         .resources = target->resources,
                                         .destinations = target->destinations,
                                         .resource_count = target->resource_count,
                                         .destination_count = target->destination_count};

    if (!read_which(x, &operation))
        return STEP_REPLY;
    x->document = slu_table_json_schema(target->table, operation, &whose, x->arena);
    return STEP_REPLY;
}

/* ---- translations ---- */

static bool wrong(struct slu_exchange *x, const char *pointer, const char *words)
{
    return slu_mistake(&x->mistakes, SLU_FAULT_BAD_PARAMETER, slu_str_of(pointer), "%s", words);
}

/* A text member; empty with a mistake when it is missing or something else. */
static struct slu_str text_of(struct slu_exchange *x, const char *name)
{
    const struct slu_value *value = slu_value_find(x->canonical, slu_str_of(name));
    struct slu_str pointer = slu_arena_printf(x->arena, "/%s", name);

    if (slu_value_is(value, SLU_STRING))
        return value->text;
    slu_mistake(&x->mistakes, SLU_FAULT_BAD_PARAMETER, pointer,
                value ? "must be a string" : "is required");
    return SLU_STR_NONE;
}

/* The table of a dialect; NULL with success for the canonical form. */
static bool read_dialect(struct slu_exchange *x, const char *name,
                         const struct slu_table **ret_table)
{
    struct slu_str dialect = text_of(x, name);

    if (!dialect.p || slu_str_is(dialect, "canonical"))
        return dialect.p;
    *ret_table = slu_catalog_table(x->station->catalog, dialect);
    return *ret_table || slu_mistake(&x->mistakes, SLU_FAULT_BAD_PARAMETER,
                                     slu_arena_printf(x->arena, "/%s", name),
                                     "there is no dialect \"%.*s\"; there are canonical, %.*s",
                                     SLU_FMT(dialect), SLU_FMT(names_of(x)));
}

static bool read_side(struct slu_exchange *x, struct slu_translation *t)
{
    const struct slu_value *side = slu_value_member(x->canonical, "side");

    t->side =
        slu_value_is(side, SLU_STRING) && slu_str_is(side->text, "reply") ? SLU_REPLY : SLU_REQUEST;
    if (!side || t->side == SLU_REPLY ||
        (side->kind == SLU_STRING && slu_str_is(side->text, "request")))
        return true;
    return wrong(x, "/side", "must be \"request\" or \"reply\"");
}

static bool read_operation(struct slu_exchange *x, struct slu_translation *t)
{
    struct slu_str name = text_of(x, "operation");

    if (!name.p || slu_operation_of(name, &t->operation))
        return name.p;
    return wrong(x, "/operation",
                 "must be one of: create, get, list, update, enable, disable, delete");
}

static bool read_parameters(struct slu_exchange *x, struct slu_vars *vars)
{
    const struct slu_value *parameters = slu_value_member(x->canonical, "parameters");

    if (parameters && parameters->kind != SLU_OBJECT)
        return wrong(x, "/parameters", "must be an object of strings");
    for (struct slu_value *one = parameters ? parameters->first : NULL; one; one = one->next) {
        if (one->kind != SLU_STRING)
            return wrong(x, "/parameters", "must be an object of strings");
        if (!slu_vars_set(vars, one->name, one->text))
            return wrong(x, "/parameters", "has too many members");
    }
    return true;
}

static void read_leniency(struct slu_exchange *x)
{
    const struct slu_value *lenient = slu_value_member(x->canonical, "lenient");

    if (slu_value_is(lenient, SLU_BOOL))
        x->lenient = x->losses.lenient = lenient->truth;
    else if (lenient)
        wrong(x, "/lenient", "must be true or false");
}

static void refuse_unknown(struct slu_exchange *x)
{
    static const char *const known[] = {"from", "to",         "operation", "document",
                                        "side", "parameters", "lenient"};

    slu_value_each (member, x->canonical) {
        bool found = false;
        const char *near = slu_nearest(member->name, known, SLU_COUNT(known));

        for (size_t i = 0; i < SLU_COUNT(known); i++)
            found = found || slu_str_is(member->name, known[i]);
        if (!found)
            slu_mistake(&x->mistakes, SLU_FAULT_BAD_PARAMETER,
                        slu_pointer_member(x->arena, SLU_STR(""), member->name),
                        near ? "is not known; did you mean '%s'?" : "is not known%s",
                        near ? near : "");
    }
}

static bool read_order(struct slu_exchange *x, struct slu_translation *t, struct slu_vars *vars)
{
    (void)read_dialect(x, "from", &t->from);
    (void)read_dialect(x, "to", &t->to);
    (void)read_operation(x, t);
    (void)read_side(x, t);
    (void)read_parameters(x, vars);
    read_leniency(x);
    refuse_unknown(x);
    if (!slu_value_member(x->canonical, "document"))
        wrong(x, "/document", "is required");
    return slu_mistakes_none(&x->mistakes);
}

/* A dialect without the operation, or without such a document in it. */
static bool serves(struct slu_exchange *x, const struct slu_translation *t, const char *pointer,
                   const struct slu_table *table)
{
    if (!table || slu_table_has_document(table, t->operation, t->side))
        return true;
    return slu_mistake(&x->mistakes, SLU_FAULT_UNSUPPORTED, slu_str_of(pointer),
                       "%.*s has no document in the %s of %s", SLU_FMT(slu_table_dialect(table)),
                       t->side == SLU_REQUEST ? "request" : "reply",
                       slu_operation_name(t->operation));
}

enum slu_step slu_rest_translate(struct slu_exchange *x)
{
    struct slu_vars *vars = slu_arena_zero(x->arena, sizeof(*vars));
    struct slu_translation t = {.vars = vars};
    struct slu_value *document;
    bool from, to;

    if (!vars)
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "out of memory");
    if (!slu_rest_body(x, "the order"))
        return STEP_REPLY;
    if (!read_order(x, &t, vars))
        return slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "",
                                 "the order for a translation is not valid; see errors");
    from = serves(x, &t, "/from", t.from);
    to = serves(x, &t, "/to", t.to);
    if (!from || !to)
        return slu_exchange_fail(x, SLU_FAULT_UNSUPPORTED, "",
                                 "there is no such document; see errors");
    document = slu_translate(&t, slu_value_member(x->canonical, "document"), x->arena, &x->losses,
                             &x->mistakes);
    if (!document)
        return slu_exchange_fail(x, SLU_FAULT_UNSUPPORTED, "",
                                 "the document cannot be translated; see errors");
    x->document = slu_value_new(x->arena, SLU_OBJECT);
    slu_value_put(x->document, SLU_STR("document"), document);
    slu_value_put(x->document, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
    return STEP_REPLY;
}
