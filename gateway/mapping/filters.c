/*
 * Filters of a list in the cloud's own parameters. A table says which canonical members the cloud
 * can filter by, and in which of two ways: a parameter of its own for each, or numbered pairs of a
 * name and values. Values are translated with the words of the row that reads the member in the
 * list's reply. The client role sends a filter only where no flow log can get lost by it; whatever
 * it does not send the caller applies. The server role understands a filter or refuses it.
 */
#include "codec/json.h"
#include "codec/shape.h"
#include "mapping/table_internal.h"

#define AT "/operations/list/filters"

enum { WORDS_MOST = 8 /* native words for one canonical one */ };

static const struct slu_str tag_pointer = SLU_STR_INIT("/tags/{key}");

/* ---- compiling ---- */

/* The row whose words translate the member's values; texts of other rows go as they are. */
static const struct slu_row *row_for(const struct slu_table *table, uint8_t slot)
{
    const struct slu_rows *rows = &table->plans[SLU_OP_LIST].rows[SLU_REPLY];

    for (size_t i = 0; i < rows->count; i++) {
        const struct slu_row *row = rows->reading[i];

        if (row->slot == slot &&
            (row->codec == SLU_CODEC_COPY || row->codec == SLU_CODEC_ENUM ||
             row->codec == SLU_CODEC_SCALE || row->codec == SLU_CODEC_BOOL_TEXT))
            return row;
    }
    return NULL;
}

static void compile_only(struct slu_compile *compile, const json_t *list,
                         struct slu_filter_name *name, struct slu_str at)
{
    size_t size = json_array_size(list);
    const struct slu_value **only =
        slu_table_array(compile, size, sizeof(const struct slu_value *));

    name->only = only;
    for (size_t i = 0; only && i < size; i++) {
        const struct slu_value *value = slu_table_value(compile, json_array_get(list, i));

        if (!value)
            return;
        if (name->slot != SLU_NO_SLOT && !name->tag &&
            !slu_member_takes(compile->table->slots[name->slot].member, value))
            slu_table_wrong(compile, slu_table_at(compile, "%.*s/only/%zu", SLU_FMT(at), i),
                            "is no value that this member can have");
        only[name->only_count++] = value;
    }
}

static void compile_name(struct slu_compile *compile, const char *pointer, const json_t *json,
                         struct slu_filter_name *name, struct slu_str at)
{
    struct slu_str text = json_is_string(json) ? slu_ours_text(json) : slu_ours_str(json, "name");
    struct slu_str member = slu_str_of(pointer);

    name->pointer = member;
    name->tag = slu_str_eq(member, tag_pointer);
    name->slot = slu_table_slot(compile, name->tag ? SLU_STR("/tags") : member, at);
    name->name = slu_template_compile(compile, text, SLU_STR(""), at);
    name->row = name->slot == SLU_NO_SLOT || name->tag ? NULL : row_for(compile->table, name->slot);
    if (json_is_object(json))
        compile_only(compile, json_object_get(json, "only"), name, at);
}

static void compile_way(struct slu_compile *compile, const json_t *json, struct slu_filter_way *way,
                        struct slu_str at)
{
    const json_t *members = json_object_get(json, "members");
    struct slu_str name = slu_ours_str(json, "name"), value = slu_ours_str(json, "value");
    const char *pointer;
    json_t *item;

    way->numbered = name.p || value.p;
    way->repeat = slu_ours_bool(json, "repeat", false);
    way->unsafe = slu_ours_str(json, "unsafe");
    if (way->numbered) {
        way->name = slu_template_compile(compile, name, SLU_STR(""),
                                         slu_table_at(compile, "%.*s/name", SLU_FMT(at)));
        way->value = slu_template_compile(compile, value, SLU_STR(""),
                                          slu_table_at(compile, "%.*s/value", SLU_FMT(at)));
    }
    way->members =
        slu_table_array(compile, json_object_size(members), sizeof(struct slu_filter_name));
    if (!way->members)
        return;
    at = slu_table_at(compile, "%.*s/members", SLU_FMT(at));
    json_object_foreach((json_t *)members, pointer, item)
    {
        compile_name(compile, pointer, item, &way->members[way->count++],
                     slu_pointer_member(compile->arena, at, slu_str_of(pointer)));
    }
}

const struct slu_filters *slu_filters_compile(struct slu_compile *compile, const json_t *list)
{
    struct slu_filters *filters = slu_table_array(compile, 1, sizeof(*filters));
    size_t size = json_array_size(list);

    if (!filters)
        return NULL;
    filters->ways = slu_table_array(compile, size, sizeof(struct slu_filter_way));
    for (size_t i = 0; filters->ways && i < size; i++)
        compile_way(compile, json_array_get(list, i), &filters->ways[filters->count++],
                    slu_table_at(compile, AT "/%zu", i));
    return filters;
}

/* ---- proving ---- */

static size_t times_in(const struct slu_template *template, const char *name)
{
    size_t times = 0;

    for (size_t i = 0; i < template->count; i++)
        times += template->pieces[i].variable && slu_str_is(template->pieces[i].text, name);
    return times;
}

static size_t variables_in(const struct slu_template *template)
{
    size_t count = 0;

    for (size_t i = 0; i < template->count; i++)
        count += template->pieces[i].variable;
    return count;
}

static void prove_pairs(struct slu_compile *compile, const struct slu_filter_way *way,
                        struct slu_str at)
{
    size_t many = times_in(&way->value, "m");

    if (times_in(&way->name, "n") != 1 || variables_in(&way->name) != 1)
        slu_table_wrong(compile, slu_table_at(compile, "%.*s/name", SLU_FMT(at)),
                        "must hold {n} once and no other name");
    if (times_in(&way->value, "n") != 1 || many > 1 || variables_in(&way->value) != 1 + many)
        slu_table_wrong(compile, slu_table_at(compile, "%.*s/value", SLU_FMT(at)),
                        "must hold {n} once, perhaps {m} once, and no other name");
    if (way->repeat)
        slu_table_wrong(compile, slu_table_at(compile, "%.*s/repeat", SLU_FMT(at)),
                        "has no meaning for numbered pairs");
}

static bool is_known(const struct slu_compile *compile, const struct slu_step *list,
                     struct slu_str name)
{
    const struct slu_paging *paging = list->paging;

    return slu_step_fills(compile->table, list, name) ||
           (paging && (slu_str_eq(paging->position, name) ||
                       (paging->size.p && slu_str_eq(paging->size, name))));
}

static void prove_name(struct slu_compile *compile, const struct slu_step *list,
                       const struct slu_filter_way *way, const struct slu_filter_name *name,
                       struct slu_str at)
{
    const struct slu_table *table = compile->table;
    size_t many = way->numbered ? 0 : times_in(&name->name, "m");

    if (name->slot == SLU_NO_SLOT)
        return;
    if (!slu_filter_member(name->pointer))
        slu_table_wrong(compile, at, "is no member that a flow log can be filtered by%s",
                        slu_str_is(name->pointer, "/tags") ? "; a tag is /tags/{key}" : "");
    else if (!(table->plans[SLU_OP_LIST].rows[SLU_REPLY].covered >> name->slot & 1))
        slu_table_wrong(compile, at, "no row reads this member in the reply of list");
    if (times_in(&name->name, "key") != name->tag || many > 1 ||
        variables_in(&name->name) != name->tag + many)
        slu_table_wrong(compile, at,
                        "may hold {key} once for a tag, {m} once where it is a parameter, and no "
                        "other name");
    if (!way->numbered && name->name.fixed && is_known(compile, list, name->name.text))
        slu_table_wrong(compile, at, "a template or the paging of the call uses this parameter");
}

/* Each name means one member. */
static void prove_distinct(struct slu_compile *compile, const struct slu_filter_way *way,
                           struct slu_str at)
{
    for (size_t i = 0; i < way->count; i++)
        for (size_t k = 0; k < i; k++)
            if (slu_str_eq(way->members[i].name.text, way->members[k].name.text))
                slu_table_wrong(compile,
                                slu_pointer_member(compile->arena, at, way->members[i].pointer),
                                "has the name of another filter");
}

void slu_filters_prove(struct slu_compile *compile, const struct slu_step *list)
{
    for (size_t i = 0; i < list->filters->count; i++) {
        const struct slu_filter_way *way = &list->filters->ways[i];
        struct slu_str at = slu_table_at(compile, AT "/%zu", i);

        if (way->numbered)
            prove_pairs(compile, way, at);
        at = slu_table_at(compile, "%.*s/members", SLU_FMT(at));
        for (size_t k = 0; k < way->count; k++)
            prove_name(compile, list, way, &way->members[k],
                       slu_pointer_member(compile->arena, at, way->members[k].pointer));
        prove_distinct(compile, way, at);
    }
}

/* ---- the client role ---- */

struct sending {
    struct slu_run run; /* with variables of its own: n, m and key */
    struct slu_vars vars;
    const struct slu_filter_way *way;
    const struct slu_filter_name *name;
    struct slu_params *params;
    size_t room, number; /* of the pair */
    struct slu_str words[SLU_FILTERS_MOST * WORDS_MOST];
    size_t count;
};

size_t slu_filters_room(const struct slu_page *page)
{
    return page->filter_count * (1 + SLU_FILTERS_MOST * WORDS_MOST);
}

static bool has_any(struct slu_str text, struct slu_str chars)
{
    for (size_t i = 0; i < text.n; i++)
        if (chars.n && memchr(chars.p, text.p[i], chars.n))
            return true;
    return false;
}

/* Spellings of one word count once: the cloud writes one of them. */
static bool add_word(struct sending *sending, struct slu_str word)
{
    if (word.n == 0 || has_any(word, sending->way->unsafe))
        return false;
    for (size_t i = 0; i < sending->count; i++)
        if (slu_str_eq_nocase(sending->words[i], word))
            return true;
    if (sending->count == SLU_COUNT(sending->words))
        return false;
    sending->words[sending->count++] = word;
    return true;
}

static struct slu_str word_of(const struct slu_value *word)
{
    if (word->kind == SLU_BOOL)
        return word->truth ? SLU_STR("true") : SLU_STR("false");
    return word->text;
}

/* All native words that read as this canonical one: with fewer, flow logs would be missing. */
static bool add_enum(struct sending *sending, const struct slu_enumeration *words,
                     const struct slu_value *value)
{
    bool found = false;

    if (words->otherwise && slu_value_equal(words->otherwise, value))
        return false;
    for (int only_read = 0; only_read < 2; only_read++)
        for (size_t i = 0; i < words->count; i++) {
            const struct slu_pair *pair = &words->pairs[i];

            if (!pair->read || pair->write == only_read ||
                !slu_word_equal(pair->canonical, value, false))
                continue;
            if (!add_word(sending, word_of(pair->native)))
                return false;
            found = true;
        }
    return found;
}

/* Some clouds answer a filter beyond their limits with an error; nothing there can equal it. */
static bool within_limits(struct slu_run *run, uint8_t slot, const struct slu_value *value)
{
    struct slu_mistakes mistakes;
    bool good = true;

    slu_mistakes_init(&mistakes, run->arena);
    for (size_t i = 0; i < run->table->row_count; i++) {
        const struct slu_row *row = &run->table->rows[i];

        if (row->slot == slot && row->limits)
            good &= slu_limits_check(row->limits, value, SLU_STR(""), SLU_FAULT_INVALID, &mistakes);
    }
    return good;
}

static bool add_value(struct sending *sending, const struct slu_value *value)
{
    const struct slu_filter_name *name = sending->name;
    const struct slu_value *native = value;
    bool allowed = name->only_count == 0;
    struct slu_str why;

    for (size_t i = 0; i < name->only_count; i++)
        allowed |= slu_value_equal(name->only[i], value);
    if (!allowed || (!name->tag && !within_limits(&sending->run, name->slot, value)))
        return false;
    if (name->row && name->row->codec == SLU_CODEC_ENUM)
        return add_enum(sending, name->row->words, value);
    if (name->row)
        native = slu_codec_to_native(&sending->run, name->row, value, &why);
    return native && add_word(sending, word_of(native));
}

static bool set_number(struct sending *sending, const char *name, size_t number)
{
    return slu_vars_set(&sending->vars, slu_str_of(name),
                        slu_arena_printf(sending->run.arena, "%zu", number));
}

static void add_param(struct sending *sending, const struct slu_template *name,
                      struct slu_str value)
{
    struct slu_str missing;
    struct slu_str text = slu_template_expand(&sending->run, name, SLU_EXPAND_PLAIN, &missing);

    slu_must(sending->params->count < sending->room);
    if (text.p)
        sending->params->items[sending->params->count++] =
            (struct slu_param){.name = text, .value = value};
}

static bool takes_many(const struct slu_filter_way *way, const struct slu_filter_name *name)
{
    return way->repeat || times_in(way->numbered ? &way->value : &name->name, "m");
}

static void send_words(struct sending *sending)
{
    const struct slu_template *each =
        sending->way->numbered ? &sending->way->value : &sending->name->name;
    struct slu_str missing;

    if (sending->way->numbered && set_number(sending, "n", sending->number++))
        add_param(
            sending, &sending->way->name,
            slu_template_expand(&sending->run, &sending->name->name, SLU_EXPAND_PLAIN, &missing));
    for (size_t i = 0; i < sending->count; i++)
        if (set_number(sending, "m", i + 1))
            add_param(sending, each, sending->words[i]);
}

/* The key of a tag, out of the filter's pointer. */
static bool set_key(struct sending *sending, const struct slu_filter *filter)
{
    struct slu_path path;

    return slu_path_read(sending->run.arena, filter->pointer, &path) && path.count == 2 &&
           path.steps[1].n && !has_any(path.steps[1], sending->way->unsafe) &&
           slu_vars_set(&sending->vars, SLU_STR("key"), path.steps[1]);
}

static bool is_about(const struct slu_filter_name *name, const struct slu_filter *filter)
{
    return name->tag ? slu_str_starts(filter->pointer, SLU_STR("/tags/"))
                     : slu_str_eq(name->pointer, filter->pointer);
}

/* All values of the filter, or it is not sent. */
static bool send_by(struct sending *sending, const struct slu_filter *filter)
{
    sending->count = 0;
    if (sending->name->tag && !set_key(sending, filter))
        return false;
    for (size_t i = 0; i < filter->count; i++)
        if (!add_value(sending, filter->any[i]))
            return false;
    if (sending->count == 0 || (sending->count > 1 && !takes_many(sending->way, sending->name)))
        return false;
    send_words(sending);
    return true;
}

/* A parameter of its own says one filter: two of them would be taken for either. */
static void send_way(struct sending *sending, const struct slu_page *page, bool *sent)
{
    for (size_t i = 0; i < sending->way->count; i++) {
        bool taken = false;

        sending->name = &sending->way->members[i];
        for (size_t k = 0; k < page->filter_count; k++) {
            if (sent[k] || taken || !is_about(sending->name, &page->filters[k]))
                continue;
            sent[k] = send_by(sending, &page->filters[k]);
            taken = sent[k] && !sending->way->numbered && !sending->name->tag;
        }
    }
}

void slu_filters_write(struct slu_run *run, const struct slu_filters *filters,
                       struct slu_params *params, size_t room)
{
    const struct slu_page *page = run->vars->page;
    struct sending *sending = slu_arena_zero(run->arena, sizeof(*sending));
    bool sent[SLU_FILTERS_MOST] = {false};

    slu_must(page->filter_count <= SLU_FILTERS_MOST);
    if (!sending)
        return;
    sending->run = *run;
    sending->run.vars = &sending->vars;
    sending->run.texts = true; /* every value is text */
    sending->params = params;
    sending->room = room;
    for (size_t i = 0; i < filters->count; i++) {
        sending->way = &filters->ways[i];
        sending->number = 1;
        send_way(sending, page, sent);
    }
}

/* ---- the server role ---- */

/* "1", "2" …, as the one who writes numbered parameters spells them. */
static bool is_number(const struct slu_vars *vars, const char *name)
{
    struct slu_str text = slu_vars_get(vars, slu_str_of(name));
    uint64_t number;

    return !text.p || (slu_str_to_u64(text, &number) && text.p[0] != '0');
}

/* Is the parameter's name made from this template? */
static bool fits(const struct slu_template *template, struct slu_str name,
                 struct slu_vars *ret_vars)
{
    *ret_vars = (struct slu_vars){.count = 0};
    return slu_template_match(NULL, template, name, false, ret_vars) && is_number(ret_vars, "n") &&
           is_number(ret_vars, "m");
}

/* A name that is written out goes before one with {key}: one of the tags may be a member. */
static const struct slu_filter_name *name_in(const struct slu_filter_way *way, struct slu_str name,
                                             struct slu_vars *ret_vars)
{
    for (int fixed = 1; fixed >= 0; fixed--)
        for (size_t i = 0; i < way->count; i++)
            if (way->members[i].name.fixed == (fixed == 1) &&
                fits(&way->members[i].name, name, ret_vars))
                return &way->members[i];
    return NULL;
}

static bool way_knows(const struct slu_filter_way *way, struct slu_str name)
{
    struct slu_vars vars;

    return way->numbered ? fits(&way->name, name, &vars) || fits(&way->value, name, &vars)
                         : name_in(way, name, &vars) != NULL;
}

bool slu_filters_know(const struct slu_filters *filters, struct slu_str name)
{
    for (size_t i = 0; i < filters->count; i++)
        if (way_knows(&filters->ways[i], name))
            return true;
    return false;
}

bool slu_filters_repeat(const struct slu_filters *filters, struct slu_str name)
{
    for (size_t i = 0; i < filters->count; i++)
        if (filters->ways[i].repeat && way_knows(&filters->ways[i], name))
            return true;
    return false;
}

bool slu_filters_name_id(const struct slu_filters *filters, struct slu_str name)
{
    struct slu_vars vars;

    for (size_t i = 0; i < filters->count; i++) {
        const struct slu_filter_name *found =
            filters->ways[i].numbered ? NULL : name_in(&filters->ways[i], name, &vars);

        if (found && slu_str_is(found->pointer, "/id"))
            return true;
    }
    return false;
}

struct taking {
    struct slu_run run; /* of texts */
    const struct slu_params *given;
    struct slu_filter filters[SLU_FILTERS_MOST];
    const void *owners[SLU_FILTERS_MOST]; /* the name, or the pair's first parameter */
    size_t count;
    struct slu_fault *fault;
};

static bool too_many(struct taking *taking)
{
    return slu_fault_set(taking->fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                         "more than %d filters in one request", SLU_FILTERS_MOST);
}

/* The filter that the value belongs to, made when it is the first. */
static struct slu_filter *filter_for(struct taking *taking, const struct slu_filter_name *name,
                                     const void *owner, struct slu_str key)
{
    struct slu_str pointer = name->pointer;
    struct slu_filter *filter;

    if (name->tag)
        pointer = slu_pointer_member(taking->run.arena, SLU_STR("/tags"), key);
    for (size_t i = 0; i < taking->count; i++)
        if (taking->owners[i] == owner && slu_str_eq(taking->filters[i].pointer, pointer))
            return &taking->filters[i];
    if (taking->count == SLU_FILTERS_MOST) {
        too_many(taking);
        return NULL;
    }
    filter = &taking->filters[taking->count];
    filter->pointer = pointer;
    taking->owners[taking->count++] = owner;
    return filter;
}

/* Grows by one; lists are short. */
static bool add_any(struct taking *taking, struct slu_filter *filter, const struct slu_value *value)
{
    const struct slu_value **any =
        slu_arena_get(taking->run.arena, (filter->count + 1) * sizeof(const struct slu_value *));

    if (!any || !value)
        return slu_fault_memory(taking->fault);
    for (size_t i = 0; i < filter->count; i++)
        any[i] = filter->any[i];
    any[filter->count++] = value;
    filter->any = any;
    return true;
}

static bool is_allowed(const struct slu_filter_name *name, const struct slu_value *value)
{
    for (size_t i = 0; i < name->only_count; i++)
        if (slu_value_equal(name->only[i], value))
            return true;
    return name->only_count == 0;
}

/* All canonical words that are said with the native one. */
static bool take_enum(struct taking *taking, const struct slu_filter_name *name,
                      struct slu_filter *filter, const struct slu_param *param)
{
    const struct slu_enumeration *words = name->row->words;
    struct slu_value native = {.kind = SLU_STRING, .text = param->value};
    bool found = false;

    for (size_t i = 0; i < words->count; i++) {
        const struct slu_pair *pair = &words->pairs[i];

        if (!slu_word_equal(pair->native, &native, true) || !is_allowed(name, pair->canonical))
            continue;
        if (!add_any(taking, filter, pair->canonical))
            return false;
        found = true;
    }
    return found || slu_parameter_fault(taking->fault, param->name,
                                        "has a word that is not known to this call here");
}

static bool take_value(struct taking *taking, const struct slu_filter_way *way,
                       const struct slu_filter_name *name, struct slu_filter *filter,
                       const struct slu_param *param)
{
    struct slu_value native = {.kind = SLU_STRING, .text = param->value};
    struct slu_str why;
    struct slu_value *value;

    if (param->value.n == 0)
        return slu_parameter_fault(taking->fault, param->name, "is given without a value");
    if (has_any(param->value, way->unsafe))
        return slu_fault_set(taking->fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                             "%.*s: only whole values are compared here, none with one of %.*s",
                             SLU_FMT(param->name), SLU_FMT(way->unsafe));
    if (name->row && name->row->codec == SLU_CODEC_ENUM)
        return take_enum(taking, name, filter, param);
    value = name->row ? slu_codec_to_canonical(&taking->run, name->row, &native, &why)
                      : slu_value_string(taking->run.arena, param->value);
    if (!value && !taking->run.arena->failed)
        return slu_parameter_fault(taking->fault, param->name, "has a value that none can have");
    if (value && !is_allowed(name, value))
        return slu_parameter_fault(taking->fault, param->name,
                                   "has a word that is not known to this call here");
    return add_any(taking, filter, value);
}

/* A parameter for each filter. What a template of the call takes is no filter. */
static bool take_plain(struct taking *taking, const struct slu_filter_way *way)
{
    for (size_t i = 0; i < taking->given->count; i++) {
        const struct slu_param *param = &taking->given->items[i];
        const struct slu_filter_name *name;
        struct slu_filter *filter;
        struct slu_vars vars;

        if (slu_step_fills(taking->run.table, taking->run.step, param->name))
            continue;
        name = name_in(way, param->name, &vars);
        if (!name)
            continue;
        filter = filter_for(taking, name, name, slu_vars_get(&vars, SLU_STR("key")));
        if (!filter || !take_value(taking, way, name, filter, param))
            return false;
    }
    return true;
}

/* The values of the pair with this number. */
static bool take_values(struct taking *taking, const struct slu_filter_way *way,
                        const struct slu_filter_name *name, const struct slu_param *named,
                        struct slu_str number, struct slu_str key)
{
    struct slu_filter *filter = filter_for(taking, name, named, key);
    size_t before = filter ? filter->count : 0;

    for (size_t i = 0; filter && i < taking->given->count; i++) {
        struct slu_vars vars;

        if (fits(&way->value, taking->given->items[i].name, &vars) &&
            slu_str_eq(slu_vars_get(&vars, SLU_STR("n")), number) &&
            !take_value(taking, way, name, filter, &taking->given->items[i]))
            return false;
    }
    if (filter && filter->count == before)
        return slu_parameter_fault(taking->fault, named->name, "is given without a value");
    return filter != NULL;
}

static bool has_name(const struct taking *taking, const struct slu_filter_way *way,
                     struct slu_str number)
{
    for (size_t i = 0; i < taking->given->count; i++) {
        struct slu_vars vars;

        if (fits(&way->name, taking->given->items[i].name, &vars) &&
            slu_str_eq(slu_vars_get(&vars, SLU_STR("n")), number))
            return true;
    }
    return false;
}

/* Numbered pairs of a name and values. */
static bool take_pairs(struct taking *taking, const struct slu_filter_way *way)
{
    for (size_t i = 0; i < taking->given->count; i++) {
        const struct slu_param *param = &taking->given->items[i];
        const struct slu_filter_name *name;
        struct slu_vars pair, vars;

        if (fits(&way->value, param->name, &pair) &&
            !has_name(taking, way, slu_vars_get(&pair, SLU_STR("n"))))
            return slu_parameter_fault(taking->fault, param->name, "is given without a name");
        if (!fits(&way->name, param->name, &pair))
            continue;
        name = name_in(way, param->value, &vars);
        if (!name)
            return slu_fault_set(taking->fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                                 "%.*s: there is no filter %.*s here", SLU_FMT(param->name),
                                 SLU_FMT(param->value));
        if (!take_values(taking, way, name, param, slu_vars_get(&pair, SLU_STR("n")),
                         slu_vars_get(&vars, SLU_STR("key"))))
            return false;
    }
    return true;
}

bool slu_filters_read(struct slu_run *run, const struct slu_filters *filters,
                      const struct slu_params *given, struct slu_page *page,
                      struct slu_fault *fault)
{
    struct taking *taking = slu_arena_zero(run->arena, sizeof(*taking));

    if (!taking)
        return slu_fault_memory(fault);
    taking->run = *run;
    taking->run.texts = true; /* every value is text */
    taking->given = given;
    taking->fault = fault;
    for (size_t i = 0; i < filters->count; i++)
        if (!(filters->ways[i].numbered ? take_pairs(taking, &filters->ways[i])
                                        : take_plain(taking, &filters->ways[i])))
            return false;
    page->filters = taking->filters;
    page->filter_count = taking->count;
    return !run->arena->failed || slu_fault_memory(fault);
}
