/*
 * The JSON Schema of one member of a request: what the model says of it, narrowed by every row that
 * carries it and by what stands in `cannot`. Null is always allowed here, since it says "nothing"
 * in a create; json_schema.c takes it away where a value is required.
 *
 * Patterns are written so that ECMAScript (with its Unicode flag, as ajv has it) and Python read
 * them alike: no escape but \xHH.
 */
#include "mapping/json_schema_internal.h"

#include "codec/build.h"

bool slu_row_has(const struct slu_row *row, uint8_t slot)
{
    for (size_t i = 0; i < row->slot_count; i++)
        if (row->slots[i] == slot)
            return true;
    return false;
}

/* ---- narrowing ---- */

static void bound(struct slu_schema *schema, struct slu_value *object, const char *name,
                  int64_t number, bool rise)
{
    struct slu_value *there = slu_value_find(object, slu_str_of(name));
    int64_t old;

    if (there && slu_value_to_int(there, &old) && (rise ? old >= number : old <= number))
        return;
    if (object)
        slu_value_set(object, slu_str_of(name), slu_value_int(schema->arena, number));
}

void slu_schema_least(struct slu_schema *schema, struct slu_value *object, const char *name,
                      int64_t number)
{
    bound(schema, object, name, number, true);
}

void slu_schema_most(struct slu_schema *schema, struct slu_value *object, const char *name,
                     int64_t number)
{
    bound(schema, object, name, number, false);
}

void slu_schema_also(struct slu_schema *schema, struct slu_value *object, const char *name,
                     struct slu_value *value)
{
    struct slu_value *all;

    if (object && slu_value_find(object, slu_str_of(name))) {
        all = slu_value_member(object, "allOf");
        if (!all)
            all = slu_put_array(schema->arena, object, "allOf");
        object = all ? slu_add_object(schema->arena, all) : NULL;
    }
    slu_value_put(object, slu_str_of(name), value);
}

static void add_pattern(struct slu_schema *schema, struct slu_value *object, struct slu_str pattern)
{
    slu_schema_also(schema, object, "pattern", slu_value_string(schema->arena, pattern));
}

/* A text in which the pattern is found is refused; what is no text is another rule's business. */
static void add_refusal(struct slu_schema *schema, struct slu_value *object, struct slu_str pattern)
{
    struct slu_value *refused = slu_value_new(schema->arena, SLU_OBJECT);

    slu_put_text(schema->arena, refused, "type", "string");
    slu_put_str(schema->arena, refused, "pattern", pattern);
    slu_schema_also(schema, object, "not", refused);
}

/* ---- patterns ---- */

static void write_char(struct slu_buf *out, unsigned c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        slu_buf_byte(out, (char)c);
    else
        slu_buf_printf(out, "\\x%02x", c);
}

static bool in_set(const struct slu_charset *set, unsigned c)
{
    return c < 256 && set->bits[c >> 6] >> (c & 63) & 1;
}

/* "[A-Za-z0-9]" from the bits. */
static void write_set(struct slu_buf *out, const struct slu_charset *set)
{
    slu_buf_byte(out, '[');
    for (unsigned c = 0; c < 256; c++) {
        unsigned last = c;

        if (!in_set(set, c))
            continue;
        while (in_set(set, last + 1))
            last++;
        write_char(out, c);
        if (last > c + 1)
            slu_buf_byte(out, '-');
        if (last > c)
            write_char(out, last);
        c = last;
    }
    slu_buf_byte(out, ']');
}

/* "^(?:one|other)". */
static void write_beginnings(struct slu_buf *out, const struct slu_str *texts, size_t count)
{
    slu_buf_lit(out, "^(?:");
    for (size_t i = 0; i < count; i++) {
        if (i)
            slu_buf_byte(out, '|');
        for (size_t k = 0; k < texts[i].n; k++)
            write_char(out, (unsigned char)texts[i].p[k]);
    }
    slu_buf_byte(out, ')');
}

/* What was written, as the object's pattern (or as what is refused); the buffer is empty again. */
static void use_pattern(struct slu_schema *schema, struct slu_value *object, struct slu_buf *out,
                        bool refused)
{
    struct slu_str pattern = slu_arena_str(schema->arena, slu_buf_str(out));

    if (out->failed)
        schema->arena->failed = true;
    else if (refused)
        add_refusal(schema, object, pattern);
    else
        add_pattern(schema, object, pattern);
    slu_buf_clear(out);
}

static void limit_sets(struct slu_schema *schema, struct slu_value *object,
                       const struct slu_limits *limits, struct slu_buf *out)
{
    if (limits->chars) {
        slu_buf_byte(out, '^');
        write_set(out, limits->chars);
        slu_buf_lit(out, "*$");
        use_pattern(schema, object, out, false);
    }
    if (limits->not_chars) {
        write_set(out, limits->not_chars);
        use_pattern(schema, object, out, true);
    }
    if (limits->first) {
        slu_buf_lit(out, "^(?:$|");
        write_set(out, limits->first);
        slu_buf_byte(out, ')');
        use_pattern(schema, object, out, false);
    }
    if (limits->last) {
        slu_buf_lit(out, "(?:^|");
        write_set(out, limits->last);
        slu_buf_lit(out, ")$");
        use_pattern(schema, object, out, false);
    }
}

static void limit_form(struct slu_schema *schema, struct slu_value *object,
                       const struct slu_limits *limits, struct slu_buf *out)
{
    if (limits->prefix_count) {
        write_beginnings(out, limits->prefix, limits->prefix_count);
        use_pattern(schema, object, out, false);
    }
    if (limits->not_prefix_count) {
        write_beginnings(out, limits->not_prefix, limits->not_prefix_count);
        use_pattern(schema, object, out, true);
    }
    if (limits->format == SLU_FORMAT_UUID)
        add_pattern(schema, object,
                    SLU_STR("^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-"
                            "[0-9A-Fa-f]{12}$"));
    if (limits->format == SLU_FORMAT_HEX32)
        add_pattern(schema, object, SLU_STR("^[0-9A-Fa-f]{32}$"));
}

static void limit_text(struct slu_schema *schema, struct slu_value *object,
                       const struct slu_limits *limits)
{
    struct slu_buf out;

    slu_buf_init(&out, 0);
    if (limits->has_min)
        slu_schema_least(schema, object, "minLength", limits->min);
    if (limits->has_max)
        slu_schema_most(schema, object, "maxLength", limits->max);
    limit_sets(schema, object, limits, &out);
    limit_form(schema, object, limits, &out);
    slu_buf_done(&out);
}

static void limit_integer(struct slu_schema *schema, struct slu_value *object,
                          const struct slu_limits *limits)
{
    struct slu_value *list;

    if (limits->has_min)
        slu_schema_least(schema, object, "minimum", limits->min);
    if (limits->has_max)
        slu_schema_most(schema, object, "maximum", limits->max);
    if (limits->one_of_count == 0)
        return;
    list = slu_value_new(schema->arena, SLU_ARRAY);
    for (size_t i = 0; i < limits->one_of_count; i++)
        slu_value_append(list, slu_value_int(schema->arena, limits->one_of[i]));
    slu_value_append(list, slu_value_new(schema->arena, SLU_NULL));
    slu_schema_also(schema, object, "enum", list);
}

static void limit(struct slu_schema *schema, struct slu_value *object,
                  const struct slu_member *member, const struct slu_limits *limits)
{
    if (!limits)
        return;
    if (member->type == SLU_MEMBER_INTEGER) {
        limit_integer(schema, object, limits);
    } else if (member->type == SLU_MEMBER_TEXTS) {
        if (limits->has_most)
            slu_schema_most(schema, object, "maxProperties", limits->most);
        if (limits->key)
            limit_text(schema, slu_value_member(object, "propertyNames"), limits->key);
        if (limits->value)
            limit_text(schema, slu_value_member(object, "additionalProperties"), limits->value);
    } else if (member->type == SLU_MEMBER_TEXT || member->type == SLU_MEMBER_WORD) {
        limit_text(schema, object, limits);
    }
}

/* ---- the model ---- */

static const char *const types[] = {
    [SLU_MEMBER_TEXT] = "string",   [SLU_MEMBER_WORD] = "string", [SLU_MEMBER_INTEGER] = "integer",
    [SLU_MEMBER_BOOL] = "boolean",  [SLU_MEMBER_TIME] = "string", [SLU_MEMBER_TEXTS] = "object",
    [SLU_MEMBER_OBJECT] = "object",
};

static void put_type(struct slu_schema *schema, struct slu_value *object, const char *type)
{
    struct slu_value *list = slu_put_array(schema->arena, object, "type");

    slu_add_text(schema->arena, list, type);
    slu_add_text(schema->arena, list, "null");
}

/* "Aggregation interval" for "/aggregation_interval". */
static void put_title(struct slu_schema *schema, struct slu_value *object,
                      const struct slu_member *member)
{
    const char *name = strrchr(member->pointer, '/') + 1;
    size_t length = strlen(name);
    char *title = slu_arena_get(schema->arena, length + 1);

    if (!title)
        return;
    for (size_t i = 0; i < length; i++)
        title[i] = name[i] == '_' ? ' ' : name[i];
    if (title[0] >= 'a' && title[0] <= 'z')
        title[0] = (char)(title[0] - 'a' + 'A');
    slu_put_str(schema->arena, object, "title", (struct slu_str){title, length});
}

static void put_tags(struct slu_schema *schema, struct slu_value *object)
{
    struct slu_value *names = slu_put_object(schema->arena, object, "propertyNames");
    struct slu_value *values = slu_put_object(schema->arena, object, "additionalProperties");

    slu_put_int(schema->arena, object, "maxProperties", SLU_TAGS_MOST);
    slu_put_int(schema->arena, names, "minLength", 1);
    slu_put_int(schema->arena, names, "maxLength", SLU_TAG_KEY_MOST);
    add_refusal(schema, names, SLU_STR(SLU_CONTROL_PATTERN));
    if (schema->operation == SLU_OP_UPDATE)
        put_type(schema, values, "string");
    else
        slu_put_text(schema->arena, values, "type", "string");
    slu_put_int(schema->arena, values, "maxLength", SLU_TAG_VALUE_MOST);
    add_refusal(schema, values, SLU_STR(SLU_CONTROL_PATTERN));
}

static void put_model(struct slu_schema *schema, struct slu_value *object,
                      const struct slu_member *member)
{
    put_type(schema, object, types[member->type]);
    if (member->type == SLU_MEMBER_INTEGER) {
        slu_put_int(schema->arena, object, "minimum", member->min);
        slu_put_int(schema->arena, object, "maximum", member->max ? member->max : INT32_MAX);
    } else if (member->type == SLU_MEMBER_TEXTS) {
        put_tags(schema, object);
    } else if (member->type == SLU_MEMBER_TEXT) {
        slu_put_int(schema->arena, object, "minLength", member->min);
        if (member->max)
            slu_put_int(schema->arena, object, "maxLength", member->max);
        add_refusal(schema, object, SLU_STR(SLU_CONTROL_PATTERN));
        if (strcmp(member->pointer, "/name") == 0)
            add_pattern(schema, object, SLU_STR(SLU_NAME_PATTERN));
    }
}

/* ---- rows and `cannot` ---- */

static bool row_takes_word(const struct slu_row *row, const struct slu_value *word)
{
    if (row->codec == SLU_CODEC_CONST)
        return slu_value_equal(row->canonical, word);
    if (row->codec != SLU_CODEC_ENUM)
        return true;
    for (size_t i = 0; i < row->words->count; i++)
        if (row->words->pairs[i].write && slu_value_equal(row->words->pairs[i].canonical, word))
            return true;
    return false;
}

/* The entry of `cannot` that always speaks about this value; those with a condition are rules of
 * the whole document. */
static const struct slu_lack *lack_of(const struct slu_rows *rows, uint8_t slot,
                                      const struct slu_value *value)
{
    for (size_t i = 0; i < rows->lack_count; i++) {
        const struct slu_lack *lack = rows->lacks[i];

        if (lack->slot == slot && lack->when_count == 0 &&
            (lack->word_count == 0 || slu_value_listed(lack->words, lack->word_count, value)))
            return lack;
    }
    return NULL;
}

bool slu_schema_takes_word(const struct slu_rows *rows, uint8_t slot, const struct slu_value *word)
{
    const struct slu_lack *lack;

    if (!rows)
        return true;
    lack = lack_of(rows, slot, word);
    if (lack)
        return slu_value_listed(lack->unless, lack->unless_count, word);
    for (size_t i = 0; i < rows->count; i++)
        if (slu_row_has(rows->writing[i], slot) && !row_takes_word(rows->writing[i], word))
            return false;
    return rows->covered >> slot & 1;
}

/* The words (or the two bools) that pass, and null. */
static struct slu_value *taken_words(struct slu_schema *schema, uint8_t slot)
{
    const struct slu_member *member = &schema->members[slot];
    struct slu_value *list = slu_value_new(schema->arena, SLU_ARRAY);

    for (int truth = 0; member->type == SLU_MEMBER_BOOL && truth < 2; truth++) {
        struct slu_value word = {.kind = SLU_BOOL, .truth = truth};

        if (slu_schema_takes_word(schema->rows, slot, &word))
            slu_value_append(list, slu_value_bool(schema->arena, truth));
    }
    for (size_t i = 0; member->words && member->words[i]; i++) {
        struct slu_value word = {.kind = SLU_STRING, .text = slu_str_of(member->words[i])};

        if (slu_schema_takes_word(schema->rows, slot, &word))
            slu_add_str(schema->arena, list, word.text);
    }
    slu_value_append(list, slu_value_new(schema->arena, SLU_NULL));
    return list;
}

static bool by_words(const struct slu_member *member)
{
    return member->type == SLU_MEMBER_WORD || member->type == SLU_MEMBER_BOOL;
}

static const struct slu_lack *whole_lack(const struct slu_rows *rows, uint8_t slot)
{
    for (size_t i = 0; i < rows->lack_count; i++)
        if (rows->lacks[i]->slot == slot && rows->lacks[i]->word_count == 0 &&
            rows->lacks[i]->when_count == 0)
            return rows->lacks[i];
    return NULL;
}

bool slu_schema_sends(const struct slu_schema *schema, uint8_t slot)
{
    const struct slu_member *member = &schema->members[slot];
    const struct slu_lack *lack;

    if (!schema->rows || !member->translated || (schema->rows->covered >> slot & 1) ||
        schema->table->slots[slot].inner)
        return true;
    lack = whole_lack(schema->rows, slot);
    return lack && lack->unless_count > 0;
}

/* A member without a row: null, and what asks for what the cloud does anyway. */
static void put_lacking(struct slu_schema *schema, struct slu_value *object, uint8_t slot)
{
    const struct slu_lack *lack = whole_lack(schema->rows, slot);
    struct slu_value *list = slu_value_new(schema->arena, SLU_ARRAY);

    for (size_t i = 0; lack && i < lack->unless_count; i++)
        slu_value_append(list, slu_value_share(schema->arena, lack->unless[i]));
    slu_value_append(list, slu_value_new(schema->arena, SLU_NULL));
    slu_value_put(object, SLU_STR("enum"), list);
    if (lack)
        slu_put_str(schema->arena, object, "description", lack->reason);
}

/* A const's value, or what a target's own parameter says. */
static void put_fixed(struct slu_schema *schema, struct slu_value *object,
                      const struct slu_row *row)
{
    struct slu_value *list = slu_value_new(schema->arena, SLU_ARRAY);
    struct slu_str value = SLU_STR_NONE;

    if (row->codec == SLU_CODEC_PARAMETER) {
        if (schema->target->parameters)
            value = slu_vars_get(schema->target->parameters, row->parameter);
        if (!value.p)
            return;
        slu_add_str(schema->arena, list, value);
    } else {
        slu_value_append(list, slu_value_share(schema->arena, row->canonical));
    }
    slu_value_append(list, slu_value_new(schema->arena, SLU_NULL));
    slu_schema_also(schema, object, "enum", list);
}

/* A part of a join may not hold what ends it: the character behind it in the pattern. */
static void put_join(struct slu_schema *schema, struct slu_value *object, const struct slu_row *row,
                     uint8_t slot)
{
    for (size_t i = 0; i < row->pattern.count; i++) {
        const struct slu_piece *piece = &row->pattern.pieces[i];
        struct slu_buf out;
        size_t part = piece->variable ? (size_t)(piece->text.p[0] - '0') : 0;

        if (!piece->variable || row->slots[part] != slot)
            continue;
        slu_schema_least(schema, object, "minLength", 1);
        if (i + 1 == row->pattern.count)
            continue;
        slu_buf_init(&out, 0);
        for (size_t k = 0; k < piece[1].text.n; k++)
            write_char(&out, (unsigned char)piece[1].text.p[k]);
        use_pattern(schema, object, &out, true);
        slu_buf_done(&out);
    }
}

/* Names that other members have in the same list. */
static void put_taken_keys(struct slu_schema *schema, struct slu_value *object,
                           const struct slu_row *row)
{
    struct slu_value *names = slu_value_member(object, "propertyNames");

    for (size_t i = 0; row->shared && i < schema->rows->count; i++) {
        const struct slu_row *other = schema->rows->writing[i];
        struct slu_value *refused;

        if (!other->one.p || !slu_rows_share(row, other))
            continue;
        refused = slu_value_new(schema->arena, SLU_OBJECT);
        slu_put_str(schema->arena, refused, "const", other->one);
        slu_schema_also(schema, names, "not", refused);
    }
}

static void put_row(struct slu_schema *schema, struct slu_value *object, const struct slu_row *row,
                    uint8_t slot)
{
    const struct slu_member *member = &schema->members[slot];

    switch (row->codec) {
    case SLU_CODEC_SCALE:
        slu_schema_also(schema, object, "multipleOf", slu_value_int(schema->arena, row->factor));
        break;
    case SLU_CODEC_CONST:
    case SLU_CODEC_PARAMETER:
        if (!by_words(member))
            put_fixed(schema, object, row);
        break;
    case SLU_CODEC_JOIN:
        put_join(schema, object, row, slot);
        break;
    case SLU_CODEC_COPY:
    case SLU_CODEC_ENUM:
    case SLU_CODEC_BOOL_TEXT:
    case SLU_CODEC_KV_LIST:
    case SLU_CODEC_INDEXED:
    case SLU_CODEC_WRAP:
    case SLU_CODEC_TIME:
    case SLU_CODEC_PREFIX:
    case SLU_CODEC_COUNT:
        break;
    }
    if (member->type == SLU_MEMBER_TEXTS)
        put_taken_keys(schema, object, row);
    limit(schema, object, member, row->limits);
    if (schema->operation == SLU_OP_CREATE && row->fallback && row->default_if_count == 0 &&
        !slu_value_member(object, "default"))
        slu_value_put(object, SLU_STR("default"), slu_value_share(schema->arena, row->fallback));
}

/* Values of a member with a row that the cloud lacks all the same. */
static void put_lacked(struct slu_schema *schema, struct slu_value *object, uint8_t slot)
{
    for (size_t i = 0; i < schema->rows->lack_count; i++) {
        const struct slu_lack *lack = schema->rows->lacks[i];
        struct slu_value *refused, *list;

        if (lack->slot != slot || lack->word_count == 0 || lack->when_count)
            continue;
        refused = slu_value_new(schema->arena, SLU_OBJECT);
        list = slu_put_array(schema->arena, refused, "enum");
        for (size_t k = 0; k < lack->word_count; k++)
            if (!slu_value_listed(lack->unless, lack->unless_count, lack->words[k]))
                slu_value_append(list, slu_value_share(schema->arena, lack->words[k]));
        if (list && list->count)
            slu_schema_also(schema, object, "not", refused);
    }
}

struct slu_value *slu_schema_member(struct slu_schema *schema, uint8_t slot)
{
    const struct slu_member *member = &schema->members[slot];
    struct slu_value *object = slu_value_new(schema->arena, SLU_OBJECT);
    bool mapped = schema->rows && member->translated;
    const struct slu_rows *rows = schema->rows;

    put_title(schema, object, member);
    if (mapped && !(rows->covered >> slot & 1) && !schema->table->slots[slot].inner) {
        put_lacking(schema, object, slot);
        return object;
    }
    slu_put_text(schema->arena, object, "description", member->help);
    put_model(schema, object, member);
    if (by_words(member))
        slu_value_put(object, SLU_STR("enum"), taken_words(schema, slot));
    else if (mapped)
        put_lacked(schema, object, slot);
    for (size_t i = 0; mapped && i < rows->count; i++)
        if (slu_row_has(rows->writing[i], slot))
            put_row(schema, object, rows->writing[i], slot);
    return object;
}
