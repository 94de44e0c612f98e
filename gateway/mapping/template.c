/* Templates: text with {names}, taken apart at load, filled in or matched at run. */
#include "codec/json.h"
#include "codec/shape.h"
#include "mapping/table_internal.h"

/* One variable's value within the words of a table: a name from the language or a parameter. */
static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* {action} and {api_version} are known at load, so they become text. */
static struct slu_str known_at_load(const struct slu_compile *compile, struct slu_str name,
                                    struct slu_str action)
{
    if (slu_str_is(name, "action"))
        return action;
    if (slu_str_is(name, "api_version"))
        return compile->table->api_version;
    return SLU_STR_NONE;
}

static size_t braces(struct slu_str text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '{';
    return count;
}

/* The piece at the beginning of `rest`, which is moved behind it. */
static bool next_piece(struct slu_str *rest, struct slu_piece *ret_piece)
{
    const char *open = rest->n ? memchr(rest->p, '{', rest->n) : NULL;
    size_t n = 1;

    if (open != rest->p) {
        n = open ? (size_t)(open - rest->p) : rest->n;
        *ret_piece = (struct slu_piece){false, {rest->p, n}};
        rest->p += n;
        rest->n -= n;
        return !memchr(ret_piece->text.p, '}', n);
    }
    while (n < rest->n && name_char(rest->p[n]))
        n++;
    if (n == 1 || n >= rest->n || rest->p[n] != '}')
        return false;
    *ret_piece = (struct slu_piece){true, {rest->p + 1, n - 1}};
    rest->p += n + 1;
    rest->n -= n + 1;
    return true;
}

static void add_literal(struct slu_compile *compile, struct slu_piece *pieces, size_t *count,
                        struct slu_str text)
{
    if (text.n == 0)
        return;
    if (*count && !pieces[*count - 1].variable)
        pieces[*count - 1].text = slu_arena_join(compile->arena, pieces[*count - 1].text, text);
    else
        pieces[(*count)++] = (struct slu_piece){false, text};
}

struct slu_template slu_template_compile(struct slu_compile *compile, struct slu_str text,
                                         struct slu_str action, struct slu_str at)
{
    struct slu_piece *pieces =
        slu_table_array(compile, 2 * braces(text) + 1, sizeof(struct slu_piece));
    struct slu_template template = {.text = text, .pieces = pieces, .fixed = true};
    struct slu_str rest = text;

    while (pieces && rest.n) {
        struct slu_piece piece;

        if (!next_piece(&rest, &piece)) {
            slu_table_wrong(compile, at,
                            "is no template: a name in braces, such as {id}, is "
                            "letters, digits and '_'");
            break;
        }
        if (piece.variable) {
            struct slu_str known = known_at_load(compile, piece.text, action);

            if (known.p) {
                add_literal(compile, pieces, &template.count, known);
                continue;
            }
            if (template.count && pieces[template.count - 1].variable)
                slu_table_wrong(compile, at, "has two names side by side; nothing parts them");
            template.fixed = false;
            pieces[template.count++] = piece;
        } else {
            add_literal(compile, pieces, &template.count, piece.text);
        }
    }
    if (template.fixed)
        template.text = template.count ? pieces[0].text : SLU_STR("");
    return template;
}

static bool asks_reply(const struct slu_template *template)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].variable && (slu_str_is(template->pieces[i].text, "reply") ||
                                             slu_str_is(template->pieces[i].text, "REPLY")))
            return true;
    return false;
}

struct slu_named_templates slu_named_compile(struct slu_compile *compile, const json_t *map,
                                             struct slu_str action, bool checked, struct slu_str at)
{
    size_t size = json_object_size(map);
    struct slu_named_template *items =
        slu_table_array(compile, size, sizeof(struct slu_named_template));
    struct slu_named_templates named = {items, 0};
    const char *name;
    json_t *value;

    if (!items)
        return named;
    json_object_foreach((json_t *)map, name, value)
    {
        struct slu_named_template *item = &items[named.count++];
        struct slu_str place = slu_pointer_member(compile->arena, at, slu_str_of(name));

        item->name = slu_str_of(name);
        item->template = slu_template_compile(compile, slu_ours_text(value), action, place);
        item->action = slu_str_is(slu_ours_text(value), "{action}");
        item->checked = checked && !item->action;
        item->reply = asks_reply(&item->template);
        compile->table->asks_reply |= item->reply;
    }
    return named;
}

struct slu_str slu_run_variable(const struct slu_run *run, struct slu_str name)
{
    struct slu_str value = slu_vars_get(run->vars, name);

    if (value.p)
        return value;
    for (size_t i = 0; i < run->table->parameter_count; i++) {
        uint8_t slot = run->table->parameter_rules[i].slot;

        if (slot != SLU_NO_SLOT && slu_str_eq(run->table->parameters[i].name, name) &&
            slu_value_is(run->slots[slot], SLU_STRING))
            return run->slots[slot]->text;
    }
    return slu_reply_variable(run, name);
}

/* The values of a template's variables, looked up once: `most` is bounded by SLU_VARS_MOST. */
static bool values_of(const struct slu_run *run, const struct slu_template *template,
                      struct slu_str values[SLU_VARS_MOST], size_t *ret_size,
                      struct slu_str *ret_missing)
{
    size_t size = 0;

    if (template->count > SLU_VARS_MOST)
        return false;
    for (size_t i = 0; i < template->count; i++) {
        const struct slu_piece *piece = &template->pieces[i];

        values[i] = piece->variable ? slu_run_variable(run, piece->text) : piece->text;
        if (!values[i].p) {
            *ret_missing = piece->text;
            return false;
        }
        size += values[i].n * (piece->variable ? 3 : 1);
    }
    *ret_size = size;
    return true;
}

struct slu_str slu_template_expand(struct slu_run *run, const struct slu_template *template,
                                   enum slu_expand how, struct slu_str *ret_missing)
{
    struct slu_str values[SLU_VARS_MOST];
    struct slu_buf out = {0};
    size_t size;

    *ret_missing = SLU_STR_NONE;
    if (template->fixed)
        return template->text.p ? template->text : SLU_STR("");
    if (!values_of(run, template, values, &size, ret_missing))
        return SLU_STR_NONE;
    if (template->count == 1 && how == SLU_EXPAND_PLAIN)
        return values[0];
    out.p = slu_arena_get(run->arena, size + 1);
    if (!out.p)
        return SLU_STR_NONE;
    out.size = out.limit = size + 1; /* never grows: the bound is exact */
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].variable && how == SLU_EXPAND_PERCENT)
            slu_percent_encode(&out, values[i]);
        else
            slu_buf_add(&out, values[i]);
    return slu_buf_str(&out);
}

/* How far a variable reaches: to the next literal, and within a path never beyond a "/". */
static size_t reach(struct slu_str text, const struct slu_piece *next, bool percent)
{
    for (size_t i = 0; i < text.n; i++) {
        struct slu_str rest = {text.p + i, text.n - i};

        if (next && slu_str_starts(rest, next->text))
            return i;
        if (percent && text.p[i] == '/')
            return i;
    }
    return text.n;
}

static bool take_variable(struct slu_arena *arena, const struct slu_piece *piece,
                          struct slu_str text, bool percent, struct slu_vars *vars)
{
    if (text.n == 0)
        return false;
    if (percent && !slu_percent_decode(arena, text, false, &text))
        return false;
    return slu_vars_set(vars, piece->text, text);
}

bool slu_template_match(struct slu_arena *arena, const struct slu_template *template,
                        struct slu_str text, bool percent, struct slu_vars *vars)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct slu_piece *piece = &template->pieces[i];
        size_t n;

        if (piece->variable) {
            n = reach(text, i + 1 < template->count ? piece + 1 : NULL, percent);
            if (!take_variable(arena, piece, (struct slu_str){text.p, n}, percent, vars))
                return false;
        } else {
            n = piece->text.n;
            if (!slu_str_starts(text, piece->text))
                return false;
        }
        text.p += n;
        text.n -= n;
    }
    return text.n == 0;
}
