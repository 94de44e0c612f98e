/* Rows and lacks: each is compiled alone; prove.c looks at how they fit together. */
#include "codec/json.h"
#include "codec/shape.h"
#include "codec/text.h"
#include "codec/time.h"
#include "mapping/table_internal.h"

/* Which further members a codec needs (1) or may have (2). */
enum { NEEDS = 1, MAY = 2 };
static const struct {
    const char *name;
    unsigned char by[SLU_CODEC_COUNT];
} further[] = {
    /* clang-format off */
    {"enum",      {[SLU_CODEC_ENUM] = NEEDS, [SLU_CODEC_PREFIX] = NEEDS}},
    {"factor",    {[SLU_CODEC_SCALE] = NEEDS}},
    {"true",      {[SLU_CODEC_BOOL_TEXT] = NEEDS}},
    {"false",     {[SLU_CODEC_BOOL_TEXT] = NEEDS}},
    {"key",       {[SLU_CODEC_KV_LIST] = NEEDS, [SLU_CODEC_INDEXED] = NEEDS}},
    {"value",     {[SLU_CODEC_KV_LIST] = NEEDS, [SLU_CODEC_INDEXED] = NEEDS}},
    {"one",       {[SLU_CODEC_KV_LIST] = MAY, [SLU_CODEC_INDEXED] = MAY}},
    {"with",      {[SLU_CODEC_CONST] = MAY}},
    {"pattern",   {[SLU_CODEC_JOIN] = NEEDS}},
    {"format",    {[SLU_CODEC_TIME] = NEEDS}},
    {"canonical", {[SLU_CODEC_CONST] = MAY}},
    {"native",    {[SLU_CODEC_CONST] = MAY}},
    {"parameter", {[SLU_CODEC_PARAMETER] = NEEDS}},
    /* clang-format on */
};

/* The canonical types a codec can carry, as bits of enum slu_member_type. */
#define TYPE(name) (1u << SLU_MEMBER_##name)
static const unsigned carries[SLU_CODEC_COUNT] = {
    [SLU_CODEC_COPY] =
        TYPE(TEXT) | TYPE(WORD) | TYPE(INTEGER) | TYPE(BOOL) | TYPE(TIME) | TYPE(TEXTS),
    [SLU_CODEC_ENUM] = TYPE(WORD) | TYPE(BOOL),
    [SLU_CODEC_PREFIX] = TYPE(WORD),
    [SLU_CODEC_SCALE] = TYPE(INTEGER),
    [SLU_CODEC_BOOL_TEXT] = TYPE(BOOL),
    [SLU_CODEC_KV_LIST] = TYPE(TEXTS),
    [SLU_CODEC_INDEXED] = TYPE(TEXTS),
    [SLU_CODEC_WRAP] = TYPE(TEXT) | TYPE(WORD) | TYPE(INTEGER) | TYPE(BOOL) | TYPE(TIME),
    [SLU_CODEC_JOIN] = TYPE(TEXT),
    [SLU_CODEC_TIME] = TYPE(TIME),
    [SLU_CODEC_CONST] = TYPE(TEXT) | TYPE(WORD) | TYPE(INTEGER) | TYPE(BOOL),
    [SLU_CODEC_PARAMETER] = TYPE(TEXT),
};

static struct slu_str inside(struct slu_compile *compile, struct slu_str at, const char *name)
{
    return slu_pointer_member(compile->arena, at, slu_str_of(name));
}

static void check_further(struct slu_compile *compile, const json_t *json,
                          const struct slu_row *row, struct slu_str at)
{
    for (size_t i = 0; i < SLU_COUNT(further); i++) {
        bool there = json_object_get(json, further[i].name);
        unsigned rule = further[i].by[row->codec];

        if (there && rule == 0)
            slu_table_wrong(compile, inside(compile, at, further[i].name),
                            "has no meaning for the codec %s", slu_codec_name(row->codec));
        else if (!there && rule == NEEDS)
            slu_table_wrong(compile, at, "the codec %s needs the member \"%s\"",
                            slu_codec_name(row->codec), further[i].name);
    }
}

static void compile_direction(const json_t *json, bool *ret_requests, bool *ret_replies)
{
    struct slu_str direction = slu_ours_str(json, "direction");

    *ret_requests = !slu_str_is(direction, "reply");
    *ret_replies = !slu_str_is(direction, "request");
}

static void add_slot(struct slu_compile *compile, struct slu_row *row, struct slu_str pointer,
                     struct slu_str at)
{
    uint8_t slot = slu_table_slot(compile, pointer, at);
    const struct slu_member *member;

    if (slot == SLU_NO_SLOT)
        return;
    member = compile->table->slots[slot].member;
    if (!member->translated)
        slu_table_wrong(compile, at, "is the gateway's own and not translated");
    else if (!((row->one.p ? TYPE(TEXT) : carries[row->codec]) >> member->type & 1))
        slu_table_wrong(compile, at, "the codec %s cannot carry a member of this type",
                        slu_codec_name(row->codec));
    if (row->requests && !row->replies && !member->in_request)
        slu_table_wrong(compile, at, "is never part of a request");
    row->slots[row->slot_count++] = slot;
    row->slot = slot;
}

static void compile_canonical(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                              struct slu_str at)
{
    const json_t *c = json_object_get(json, "c");
    struct slu_str place = inside(compile, at, "c");
    size_t size = json_array_size(c);

    row->slot = SLU_NO_SLOT;
    if (json_is_array(c) != (row->codec == SLU_CODEC_JOIN) && c)
        slu_table_wrong(compile, place, "is a list for the codec join, and one pointer for others");
    else if (json_is_array(c) && (size < 2 || size > SLU_PARTS_MOST))
        slu_table_wrong(compile, place, "must have 2 to %d parts", SLU_PARTS_MOST);
    else if (json_is_array(c))
        for (size_t i = 0; i < size; i++)
            add_slot(compile, row, slu_ours_text(json_array_get(c, i)), place);
    else if (c)
        add_slot(compile, row, slu_ours_text(c), place);
    else if (row->codec != SLU_CODEC_CONST && row->codec != SLU_CODEC_PARAMETER)
        slu_table_wrong(compile, at, "needs the member \"c\"");
}

static void compile_native(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                           struct slu_str at)
{
    const json_t *n = json_object_get(json, "n");

    row->has_n = n;
    if (n) {
        row->n = slu_table_path(compile, slu_ours_text(n), inside(compile, at, "n"));
        if (row->n.count == 0)
            slu_table_wrong(compile, inside(compile, at, "n"), "must be a pointer to a member");
        for (size_t i = 0; i < row->n.count; i++)
            if (slu_index_step(row->n.steps[i]) && !slu_str_is(row->n.steps[i], "0"))
                slu_table_wrong(compile, inside(compile, at, "n"),
                                "may enter a list at position 0 only");
    } else if (row->codec != SLU_CODEC_CONST && row->codec != SLU_CODEC_PARAMETER) {
        slu_table_wrong(compile, at, "needs the member \"n\"");
    }
}

static void compile_enum(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                         struct slu_str at)
{
    struct slu_table *table = compile->table;
    struct slu_str name = slu_ours_str(json, "enum");
    const char **names = slu_table_array(compile, table->enum_count, sizeof(const char *));
    const char *near;

    for (size_t i = 0; names && i < table->enum_count; i++) {
        names[i] = table->enums[i].name.p;
        if (slu_str_eq(table->enums[i].name, name))
            row->words = &table->enums[i];
    }
    if (row->words || !names || !name.p)
        return;
    near = slu_nearest(name, names, table->enum_count);
    slu_table_wrong(compile, inside(compile, at, "enum"), "there is no enum of this name%s%s%s",
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Every part once, in any order, and nothing else in braces. */
static void compile_pattern(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                            struct slu_str at)
{
    struct slu_str place = inside(compile, at, "pattern");
    size_t found = 0;

    row->pattern =
        slu_template_compile(compile, slu_ours_str(json, "pattern"), SLU_STR_NONE, place);
    for (size_t i = 0; i < row->slot_count; i++) {
        size_t times = 0;

        row->digits[i] = slu_table_at(compile, "%zu", i);
        for (size_t k = 0; k < row->pattern.count; k++)
            times += row->pattern.pieces[k].variable &&
                     slu_str_eq(row->pattern.pieces[k].text, row->digits[i]);
        if (times != 1)
            slu_table_wrong(compile, place, "must hold {%zu} exactly once", i);
    }
    for (size_t k = 0; k < row->pattern.count; k++)
        found += row->pattern.pieces[k].variable;
    if (found != row->slot_count)
        slu_table_wrong(compile, place, "holds a name in braces that is no part's number");
}

/* How a text may begin says one word only, so it must be texts, and other rows write the text. */
static void compile_prefix(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                           struct slu_str at)
{
    compile_enum(compile, json, row, at);
    if (!row->derived)
        slu_table_wrong(compile, at, "the codec prefix never writes: it must be \"derived\"");
    for (size_t i = 0; row->words && i < row->words->count; i++)
        if (row->words->pairs[i].native->kind != SLU_STRING || row->words->pairs[i].when_count)
            slu_table_wrong(compile, inside(compile, at, "enum"),
                            "pair %zu is no beginning of a text, or has a condition", i);
}

static void compile_const(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                          struct slu_str at)
{
    const json_t *canonical = json_object_get(json, "canonical");
    const json_t *native = json_object_get(json, "native");
    struct slu_str with = slu_ours_str(json, "with");

    if (!canonical != (row->slot == SLU_NO_SLOT))
        slu_table_wrong(compile, at, "\"c\" and \"canonical\" go together");
    if (!native != !row->has_n)
        slu_table_wrong(compile, at, "\"n\" and \"native\" go together");
    if (with.p)
        row->with = slu_table_path(compile, with, inside(compile, at, "with"));
    if (with.p && (!row->has_n || canonical || row->with.count == 0))
        slu_table_wrong(compile, inside(compile, at, "with"),
                        "must be a pointer to a member, beside \"n\" alone");
    if (!canonical && !native)
        slu_table_wrong(compile, at, "a constant needs \"c\" or \"n\"");
    if (canonical)
        row->canonical = slu_table_value(compile, canonical);
    if (native)
        row->native = slu_table_value(compile, native);
    if (row->canonical && row->slot != SLU_NO_SLOT &&
        !slu_member_takes(compile->table->slots[row->slot].member, row->canonical))
        slu_table_wrong(compile, inside(compile, at, "canonical"),
                        "is no value that this member can have");
}

static void compile_parameter(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                              struct slu_str at)
{
    bool found = false;

    row->parameter = slu_ours_str(json, "parameter");
    for (size_t i = 0; i < compile->table->parameter_count; i++)
        found |= slu_str_eq(compile->table->parameters[i].name, row->parameter);
    if (!found && row->parameter.p)
        slu_table_wrong(compile, inside(compile, at, "parameter"),
                        "is not among the transport's parameters");
    if (row->has_n == (row->slot != SLU_NO_SLOT))
        slu_table_wrong(compile, at, "needs either \"c\" or \"n\"");
    if (row->has_n && row->requests)
        slu_table_wrong(compile, at,
                        "a native member that repeats a parameter is one of replies: "
                        "say \"direction\": \"reply\"");
}

static void compile_codec(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                          struct slu_str at)
{
    row->factor = slu_ours_int(json, "factor", 1);
    row->yes = slu_ours_str(json, "true");
    row->no = slu_ours_str(json, "false");
    row->key = slu_ours_str(json, "key");
    row->value = slu_ours_str(json, "value");
    row->format = slu_ours_str(json, "format");
    if (row->codec == SLU_CODEC_ENUM)
        compile_enum(compile, json, row, at);
    else if (row->codec == SLU_CODEC_PREFIX)
        compile_prefix(compile, json, row, at);
    else if (row->codec == SLU_CODEC_JOIN)
        compile_pattern(compile, json, row, at);
    else if (row->codec == SLU_CODEC_CONST)
        compile_const(compile, json, row, at);
    else if (row->codec == SLU_CODEC_PARAMETER)
        compile_parameter(compile, json, row, at);
    else if (row->codec == SLU_CODEC_TIME && row->format.p && !slu_time_pattern_valid(row->format))
        slu_table_wrong(compile, inside(compile, at, "format"),
                        "must hold YYYY MM DD hh mm ss once each, perhaps [.f], and other "
                        "characters as they are");
    if ((row->codec == SLU_CODEC_BOOL_TEXT && slu_str_eq(row->yes, row->no)) ||
        ((row->codec == SLU_CODEC_KV_LIST || row->codec == SLU_CODEC_INDEXED) &&
         slu_str_eq(row->key, row->value)))
        slu_table_wrong(compile, at, "the two words must differ");
}

/* A canonical value that the row's member can have, or NULL. */
static const struct slu_value *stand_in(struct slu_compile *compile, const json_t *json,
                                        const struct slu_row *row, const char *name,
                                        struct slu_str at)
{
    const json_t *given = json_object_get(json, name);
    const struct slu_value *value = given ? slu_table_value(compile, given) : NULL;

    if (!value)
        return NULL;
    if (row->slot == SLU_NO_SLOT || row->codec == SLU_CODEC_JOIN)
        slu_table_wrong(compile, inside(compile, at, name), "needs one canonical member");
    else if (!slu_member_takes(compile->table->slots[row->slot].member, value))
        slu_table_wrong(compile, inside(compile, at, name),
                        "is no value that this member can have");
    return value;
}

static void compile_rules(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                          struct slu_str at)
{
    row->limits =
        slu_limits_compile(compile, json_object_get(json, "limits"), inside(compile, at, "limits"));
    row->required_if =
        slu_table_conditions(compile, json_object_get(json, "required_if"),
                             inside(compile, at, "required_if"), &row->required_if_count);
    row->default_if =
        slu_table_conditions(compile, json_object_get(json, "default_if"),
                             inside(compile, at, "default_if"), &row->default_if_count);
    row->fallback = stand_in(compile, json, row, "default", at);
    row->absent = stand_in(compile, json, row, "absent", at);
    if (row->default_if_count && !row->fallback)
        slu_table_wrong(compile, inside(compile, at, "default_if"), "needs the member \"default\"");
    if (row->absent && !slu_codec_is_single(row->codec))
        slu_table_wrong(compile, inside(compile, at, "absent"), "has no meaning for the codec %s",
                        slu_codec_name(row->codec));
}

/* How a null in an update is said. What the limits take is a value, and could not be told from it.
 */
static void compile_clear(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                          struct slu_str at)
{
    struct slu_str place = inside(compile, at, "clear");
    struct slu_mistakes refused;

    row->clear_never = slu_ours_str(json, "never");
    if (!json || row->clear_never.p)
        return;
    row->clear = slu_table_value(compile, json);
    slu_mistakes_init(&refused, compile->arena);
    if (!row->clear)
        return;
    if (!row->is_mutable || !row->requests || !row->has_n || row->slot_count != 1 || row->derived ||
        row->one.p || row->codec == SLU_CODEC_INDEXED || row->codec == SLU_CODEC_CONST)
        slu_table_wrong(compile, place,
                        "has a meaning for a row of one member that an update may change");
    else if (compile->table->flat && row->clear->kind == SLU_NULL)
        slu_table_wrong(compile, place, "cannot be null in a list of parameters");
    else if (row->codec == SLU_CODEC_COPY && row->clear->kind == SLU_STRING &&
             compile->table->slots[row->slot].member->type == SLU_MEMBER_TEXT &&
             (!row->limits ||
              slu_limits_check(row->limits, row->clear, place, SLU_FAULT_CONFIG, &refused)))
        slu_table_wrong(compile, place, "is a value that the limits take");
}

static void compile_row(struct slu_compile *compile, const json_t *json, struct slu_row *row,
                        struct slu_str at)
{
    struct slu_str codec = slu_ours_str(json, "codec");

    if (codec.p && !slu_codec_of(codec, &row->codec))
        return;
    compile_direction(json, &row->requests, &row->replies);
    row->operations = slu_table_operations(compile, json_object_get(json, "operations"), at);
    row->named = json_object_get(json, "operations");
    row->required = slu_ours_bool(json, "required", false);
    row->is_mutable = slu_ours_bool(json, "mutable", false);
    row->derived = slu_ours_bool(json, "derived", false);
    row->one = slu_ours_str(json, "one");
    check_further(compile, json, row, at);
    compile_canonical(compile, json, row, at);
    compile_native(compile, json, row, at);
    compile_codec(compile, json, row, at);
    compile_rules(compile, json, row, at);
    compile_clear(compile, json_object_get(json, "clear"), row, at);
    if (row->derived && (row->codec == SLU_CODEC_INDEXED || row->one.p ||
                         row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER))
        slu_table_wrong(compile, inside(compile, at, "derived"), "has no meaning for the codec %s",
                        slu_codec_name(row->codec));
}

void slu_table_compile_rows(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *list = json_object_get(table->source, "fields");
    size_t size = json_array_size(list);

    table->rows = slu_table_array(compile, size, sizeof(struct slu_row));
    if (!table->rows)
        return;
    for (size_t i = 0; i < size; i++) {
        table->rows[i].index = i;
        compile_row(compile, json_array_get(list, i), &table->rows[i],
                    slu_table_at(compile, "/fields/%zu", i));
        table->row_count++;
    }
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; k < size; k++)
            table->rows[i].shared |= slu_rows_share(&table->rows[i], &table->rows[k]);
}

static const struct slu_value *const *values_of(struct slu_compile *compile, const json_t *list,
                                                const struct slu_member *member, struct slu_str at,
                                                size_t *ret_count)
{
    size_t size = json_array_size(list);
    const struct slu_value **values =
        slu_table_array(compile, size, sizeof(const struct slu_value *));

    *ret_count = 0;
    for (size_t i = 0; values && i < size; i++) {
        struct slu_value *value = slu_table_value(compile, json_array_get(list, i));

        if (!value)
            break;
        if (!slu_member_takes(member, value))
            slu_table_wrong(compile, at, "item %zu is no value that this member can have", i);
        values[(*ret_count)++] = value;
    }
    return values;
}

static void compile_lack(struct slu_compile *compile, const json_t *json, struct slu_lack *lack,
                         struct slu_str at)
{
    const struct slu_member *member;

    lack->slot = slu_table_slot(compile, slu_ours_str(json, "c"), inside(compile, at, "c"));
    if (lack->slot == SLU_NO_SLOT)
        return;
    member = compile->table->slots[lack->slot].member;
    if (!member->translated)
        slu_table_wrong(compile, inside(compile, at, "c"),
                        "is the gateway's own and not translated");
    lack->reason = slu_ours_str(json, "reason");
    compile_direction(json, &lack->requests, &lack->replies);
    lack->operations = slu_table_operations(compile, json_object_get(json, "operations"), at);
    lack->words = values_of(compile, json_object_get(json, "words"), member,
                            inside(compile, at, "words"), &lack->word_count);
    lack->unless = values_of(compile, json_object_get(json, "unless"), member,
                             inside(compile, at, "unless"), &lack->unless_count);
    lack->when = slu_table_conditions(compile, json_object_get(json, "when"),
                                      inside(compile, at, "when"), &lack->when_count);
}

void slu_table_compile_lacks(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *list = json_object_get(table->source, "cannot");
    size_t size = json_array_size(list);

    table->lacks = slu_table_array(compile, size, sizeof(struct slu_lack));
    if (!table->lacks)
        return;
    for (size_t i = 0; i < size; i++) {
        compile_lack(compile, json_array_get(list, i), &table->lacks[i],
                     slu_table_at(compile, "/cannot/%zu", i));
        table->lack_count++;
    }
}
