/* Loading a table: read, check the shape, compile, prove, seal. Then it only answers. */
#include "codec/json.h"
#include "codec/shape.h"
#include "codec/text.h"
#include "mapping/table_internal.h"

enum { TABLE_BYTES = 16 * 1024 * 1024 };

void slu_table_free(struct slu_table *table)
{
    if (!table)
        return;
    json_decref(table->source);
    slu_arena_done(&table->arena);
    slu_mem_free(table);
}

/* The file's name without folders and ".json". */
static struct slu_str stem(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct slu_str name = slu_str_of(slash ? slash + 1 : file);

    if (slu_str_ends(name, SLU_STR(".json")))
        name.n -= strlen(".json");
    return name;
}

/* Takes the document. */
static struct slu_table *load(struct slu_str name, json_t *source, struct slu_mistakes *mistakes)
{
    struct slu_table *loaded = slu_mem_new(sizeof(*loaded));
    slu_auto(slu_table) *table = loaded;
    struct slu_compile compile = {table, NULL, mistakes};
    size_t before = mistakes->count;

    if (!table) {
        json_decref(source);
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
        return NULL;
    }
    slu_arena_init(&table->arena, TABLE_BYTES);
    table->source = source;
    compile.arena = &table->arena;
    if (!slu_shape_check(&slu_table_shape, source, SLU_STR(""), mistakes))
        return NULL;
    if (!slu_str_eq(slu_ours_str(source, "dialect"), name))
        slu_table_wrong(&compile, SLU_STR("/dialect"), "must be the file's name, \"%.*s\"",
                        SLU_FMT(name));
    slu_table_compile(&compile);
    if (mistakes->count == before && !table->arena.failed)
        slu_table_prove(&compile);
    if (mistakes->count == before && !table->arena.failed)
        slu_table_prove_cases(table, mistakes);
    if (table->arena.failed)
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
    if (mistakes->count != before || mistakes->failed)
        return NULL;
    return slu_take(table);
}

struct slu_table *slu_table_load(const char *file, struct slu_mistakes *mistakes)
{
    json_t *source = slu_ours_read(file, mistakes);

    return source ? load(stem(file), source, mistakes) : NULL;
}

struct slu_table *slu_table_load_text(struct slu_str name, struct slu_str text,
                                      struct slu_mistakes *mistakes)
{
    json_error_t why;
    json_t *source = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);

    if (json_is_object(source))
        return load(name, source, mistakes);
    slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR(""), "line %d: %s", why.line,
                source ? "a table is an object" : why.text);
    json_decref(source);
    return NULL;
}

struct slu_str slu_table_dialect(const struct slu_table *table)
{
    return table->dialect;
}

struct slu_str slu_table_title(const struct slu_table *table)
{
    return table->title;
}

size_t slu_table_clients(const struct slu_table *table, const struct slu_table_client **ret_clients)
{
    *ret_clients = table->clients;
    return table->client_count;
}

bool slu_table_serves(const struct slu_table *table, enum slu_operation operation)
{
    return (size_t)operation < SLU_OP_COUNT && table->plans[operation].served;
}

size_t slu_table_schemes(const struct slu_table *table, const struct slu_str **ret_names)
{
    *ret_names = table->schemes;
    return table->scheme_count;
}

int slu_table_scheme_index(const struct slu_table *table, struct slu_str name)
{
    for (size_t i = 0; i < table->scheme_count; i++)
        if (slu_str_eq(table->schemes[i], name))
            return (int)i;
    return -1;
}

size_t slu_table_parameters(const struct slu_table *table,
                            const struct slu_table_parameter **ret_parameters)
{
    *ret_parameters = table->parameters;
    return table->parameter_count;
}

bool slu_table_check_parameter(const struct slu_table *table, struct slu_str name,
                               struct slu_str value, struct slu_str pointer,
                               struct slu_mistakes *mistakes)
{
    const struct slu_value text = {.kind = SLU_STRING, .text = value};

    for (size_t i = 0; i < table->parameter_count; i++)
        if (slu_str_eq(table->parameters[i].name, name)) {
            if (value.n == 0)
                return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer, "must not be empty");
            return !table->parameter_rules[i].limits ||
                   slu_limits_check(table->parameter_rules[i].limits, &text, pointer,
                                    SLU_FAULT_CONFIG, mistakes);
        }
    return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                       "the dialect %.*s has no parameter of this name", SLU_FMT(table->dialect));
}

size_t slu_table_steps(const struct slu_table *table, enum slu_operation operation)
{
    return slu_table_serves(table, operation) ? table->plans[operation].step_count : 0;
}

bool slu_table_takes(const struct slu_table *table, enum slu_operation operation,
                     struct slu_str pointer)
{
    uint8_t slot = slu_slot_find(table, pointer);

    return slot != SLU_NO_SLOT && slu_table_serves(table, operation) &&
           slu_table_main_step(table, operation, SLU_REQUEST) &&
           table->plans[operation].rows[SLU_REQUEST].covered >> slot & 1;
}

bool slu_table_mutable(const struct slu_table *table, struct slu_str pointer)
{
    return slu_table_takes(table, SLU_OP_UPDATE, pointer) ||
           (slu_str_is(pointer, "/enabled") && slu_table_serves(table, SLU_OP_ENABLE) &&
            slu_table_serves(table, SLU_OP_DISABLE));
}

bool slu_table_in_parts(const struct slu_table *table)
{
    const struct slu_plan *plan = &table->plans[SLU_OP_UPDATE];

    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].carries != SLU_CARRIES_ALL)
            return true;
    return false;
}

bool slu_table_replaces(const struct slu_table *table, struct slu_str pointer)
{
    uint8_t slot = slu_slot_find(table, pointer);

    return slu_table_takes(table, SLU_OP_UPDATE, pointer) && !slu_table_in_parts(table) &&
           table->slots[slot].member->type == SLU_MEMBER_TEXTS;
}

/* Does the call that clears speak of this member? What no call could clear is left to the one that
 * sets, to be refused there. */
static bool has_part(const struct slu_table *table, const struct slu_row *row,
                     const struct slu_value *value, bool nulls)
{
    if (value->kind == SLU_NULL)
        return nulls == (slu_row_clears(table, row) != NULL);
    if (value->kind != SLU_OBJECT || table->slots[row->slot].member->type != SLU_MEMBER_TEXTS)
        return !nulls;
    slu_value_each (child, value)
        if ((child->kind == SLU_NULL) == nulls)
            return true;
    return false;
}

bool slu_table_step_needed(const struct slu_table *table, enum slu_operation operation, size_t step,
                           const struct slu_value *canonical)
{
    const struct slu_rows *rows = &table->plans[operation].rows[SLU_REQUEST];
    const struct slu_step *which;
    struct slu_run run;
    bool nulls;

    slu_must(step < slu_table_steps(table, operation));
    which = &table->plans[operation].steps[step];
    nulls = which->carries == SLU_CARRIES_NULLS;
    if (which->carries == SLU_CARRIES_ALL)
        return true;
    slu_run_init(&run, table, operation, SLU_REQUEST, NULL, NULL, NULL, NULL, NULL);
    slu_run_spread(&run, canonical, NULL);
    for (size_t i = 0; i < rows->count; i++)
        for (size_t k = 0; k < rows->writing[i]->slot_count; k++) {
            const struct slu_value *value = run.slots[rows->writing[i]->slots[k]];

            if (value && has_part(table, rows->writing[i], value, nulls))
                return true;
        }
    for (uint8_t i = 0; !nulls && i < table->slot_count; i++)
        if (run.slots[i] && !table->slots[i].inner && !(rows->covered >> i & 1))
            return true;
    return false;
}

const struct slu_poll *slu_table_poll(const struct slu_table *table, enum slu_operation operation)
{
    return table->plans[operation].has_poll ? &table->plans[operation].poll : NULL;
}

const struct slu_find_by *slu_table_find_by(const struct slu_table *table,
                                            enum slu_operation operation)
{
    return slu_table_serves(table, operation) && slu_operation_writes(operation)
               ? &table->plans[operation].find_by
               : NULL;
}

enum slu_operation slu_table_undo(const struct slu_table *table, enum slu_operation operation,
                                  struct slu_str *ret_never)
{
    *ret_never = table->plans[operation].undo_never;
    return slu_table_serves(table, operation) ? table->plans[operation].undo : SLU_OP_COUNT;
}

const struct slu_idempotency *slu_table_token(const struct slu_table *table,
                                              enum slu_operation operation)
{
    const struct slu_idempotency *token = &table->plans[operation].token;

    return token->name.p ? token : NULL;
}

bool slu_table_scope(const struct slu_table *table, int scheme, const struct slu_vars *vars,
                     struct slu_arena *arena, struct slu_scope *ret_scope)
{
    const struct slu_signing *signing = &table->signing[scheme];
    struct slu_str missing;
    struct slu_scope scope;
    struct slu_run run;

    slu_must(scheme >= 0 && (size_t)scheme < table->scheme_count);
    slu_run_init(&run, table, SLU_OP_GET, SLU_REQUEST, NULL, vars, arena, NULL, NULL);
    scope.region = slu_template_expand(&run, &signing->region, SLU_EXPAND_PLAIN, &missing);
    scope.service = slu_template_expand(&run, &signing->service, SLU_EXPAND_PLAIN, &missing);
    scope.project = slu_template_expand(&run, &signing->project, SLU_EXPAND_PLAIN, &missing);
    *ret_scope = scope;
    return scope.region.p && scope.service.p && scope.project.p;
}

struct slu_str slu_table_serialize_by(const struct slu_table *table, enum slu_operation operation)
{
    return table->plans[operation].serialize_by;
}

/* ---- ids ---- */

static const struct slu_limits *id_limits(const struct slu_table *table)
{
    for (size_t i = 0; i < table->row_count; i++) {
        const struct slu_row *row = &table->rows[i];

        if (row->slot != SLU_NO_SLOT && row->limits &&
            slu_str_is(table->slots[row->slot].pointer, "/id"))
            return row->limits;
    }
    return NULL;
}

/* RFC 9562 §5.4: version 4, variant 10. */
static struct slu_str make_uuid(const unsigned char random[16], struct slu_arena *arena)
{
    unsigned char b[16];

    memcpy(b, random, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    return slu_arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

struct slu_str slu_table_make_id(const struct slu_table *table, const unsigned char random[16],
                                 struct slu_arena *arena)
{
    const struct slu_limits *limits = id_limits(table);
    char hex[32];
    struct slu_str digits = {hex, sizeof(hex)};

    slu_hex_write(hex, random, 16);
    if (limits && limits->format == SLU_FORMAT_HEX32)
        return slu_arena_str(arena, digits);
    if (!limits || limits->prefix_count == 0)
        return make_uuid(random, arena);
    if (limits->has_max && limits->prefix[0].n + digits.n > (uint64_t)limits->max &&
        limits->prefix[0].n < (uint64_t)limits->max)
        digits.n = (size_t)limits->max - limits->prefix[0].n;
    return slu_arena_join(arena, limits->prefix[0], digits);
}

/* ---- documents ---- */

/* The step whose document an operation is about: the last that has one on this side. */
const struct slu_step *slu_table_main_step(const struct slu_table *table,
                                           enum slu_operation operation, enum slu_side side)
{
    const struct slu_plan *plan = &table->plans[operation];

    for (size_t i = plan->step_count; i-- > 0;)
        if (side == SLU_REQUEST ? plan->steps[i].takes
                                : plan->steps[i].gives || plan->steps[i].envelope_count)
            return &plan->steps[i];
    return NULL;
}

/* Of an update that takes two calls, the one that sets or the one that clears. */
static const struct slu_step *part_step(const struct slu_table *table,
                                        const struct slu_value *canonical,
                                        const struct slu_vars *vars, struct slu_mistakes *mistakes)
{
    const struct slu_plan *plan = &table->plans[SLU_OP_UPDATE];
    struct slu_str named = vars ? slu_vars_get(vars, SLU_STR("carries")) : SLU_STR_NONE;
    bool needed[SLU_CARRIES_NULLS + 1] = {false};
    enum slu_carries part;

    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].takes && slu_table_step_needed(table, SLU_OP_UPDATE, i, canonical))
            needed[plan->steps[i].carries] = true;
    if (!named.p && needed[SLU_CARRIES_VALUES] && needed[SLU_CARRIES_NULLS]) {
        slu_mistake(mistakes, SLU_FAULT_UNSUPPORTED, SLU_STR(""),
                    "takes two calls on %.*s, one that sets and one that clears: the variable "
                    "carries says whose document it shall be, \"values\" or \"nulls\"",
                    SLU_FMT(table->dialect));
        return NULL;
    }
    part = slu_str_is(named, "nulls") || (!named.p && needed[SLU_CARRIES_NULLS])
               ? SLU_CARRIES_NULLS
               : SLU_CARRIES_VALUES;
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].takes && plan->steps[i].carries == part)
            return &plan->steps[i];
    return NULL;
}

static const struct slu_step *find_step(const struct slu_table *table, enum slu_operation operation,
                                        enum slu_side side, const struct slu_value *canonical,
                                        const struct slu_vars *vars, struct slu_mistakes *mistakes)
{
    const struct slu_step *step =
        slu_table_serves(table, operation) ? slu_table_main_step(table, operation, side) : NULL;

    if (step && operation == SLU_OP_UPDATE && side == SLU_REQUEST && slu_table_in_parts(table))
        return part_step(table, canonical, vars, mistakes);
    if (!step)
        slu_mistake(mistakes, SLU_FAULT_NOT_IMPLEMENTED, SLU_STR(""),
                    "%.*s has no document in the %s of %s", SLU_FMT(table->dialect),
                    side == SLU_REQUEST ? "request" : "reply", slu_operation_name(operation));
    return step;
}

struct slu_value *slu_table_to_native(const struct slu_table *table, enum slu_operation operation,
                                      enum slu_side side, const struct slu_value *canonical,
                                      const struct slu_vars *vars, struct slu_arena *arena,
                                      struct slu_losses *losses, struct slu_mistakes *mistakes)
{
    const struct slu_step *step = find_step(table, operation, side, canonical, vars, mistakes);
    size_t before = mistakes->count;
    struct slu_run run;
    struct slu_value *native;

    if (!step)
        return NULL;
    slu_run_init(&run, table, operation, side, step, vars, arena, losses, mistakes);
    native = slu_run_write_document(&run, canonical);
    if (native && mistakes->count == before && !mistakes->failed)
        return native;
    if (mistakes->count == before)
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
    return NULL;
}

/* A document that was XML, as the table expects it; the caller's stays as it is. */
static const struct slu_value *shaped(struct slu_run *run, const struct slu_value *native)
{
    struct slu_value *copy = slu_value_share(run->arena, native);

    if (copy)
        slu_run_shape(run, copy);
    return copy;
}

struct slu_value *slu_table_to_canonical(const struct slu_table *table,
                                         enum slu_operation operation, enum slu_side side,
                                         const struct slu_value *native,
                                         const struct slu_vars *vars, struct slu_arena *arena,
                                         struct slu_losses *losses, struct slu_mistakes *mistakes)
{
    const struct slu_step *step = find_step(table, operation, side, NULL, vars, mistakes);
    size_t before = mistakes->count;
    struct slu_value *canonical;
    struct slu_run run;
    bool nothing;

    if (!step)
        return NULL;
    if (!native || native->kind != SLU_OBJECT) {
        slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR(""), "a native document is an object");
        return NULL;
    }
    slu_run_init(&run, table, operation, side, step, vars, arena, losses, mistakes);
    canonical = slu_run_read_document(&run, run.xml ? shaped(&run, native) : native, &nothing);
    if (nothing)
        slu_mistake(mistakes, SLU_FAULT_INVALID, run.base, "there is no flow log here");
    else if (!canonical && mistakes->count == before)
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
    return mistakes->count == before && !mistakes->failed ? canonical : NULL;
}
