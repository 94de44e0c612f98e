/*
 * Views: further calls by which a dialect's clients look at the same flow logs, in another shape.
 * A view answers with the members of a list within each flow log (its tags) as one list over all of
 * them. Only the server role has views: whoever calls the cloud reads the list itself.
 */
#include "codec/json.h"
#include "codec/shape.h"
#include "mapping/table_internal.h"

enum { WISHES_MOST = 16 };

/* What a request asks of the items: in each place one of these texts. */
struct slu_view_wish {
    struct {
        const struct slu_path *path;
        struct slu_str number; /* of the pair */
        const struct slu_str *any;
        size_t count;
    } of[WISHES_MOST];
    size_t count;
};

/* ---- compiling ---- */

static void compile_filters(struct slu_compile *compile, const json_t *json, struct slu_view *view,
                            struct slu_str at)
{
    const json_t *members = json_object_get(json, "members");
    const char *name;
    json_t *pointer;

    view->name = slu_template_compile(compile, slu_ours_str(json, "name"), SLU_STR(""),
                                      slu_table_at(compile, "%.*s/name", SLU_FMT(at)));
    view->value = slu_template_compile(compile, slu_ours_str(json, "value"), SLU_STR(""),
                                       slu_table_at(compile, "%.*s/value", SLU_FMT(at)));
    view->unsafe = slu_ours_str(json, "unsafe");
    view->filters =
        slu_table_array(compile, json_object_size(members), sizeof(struct slu_view_filter));
    if (!view->filters)
        return;
    json_object_foreach((json_t *)members, name, pointer)
    {
        struct slu_view_filter *filter = &view->filters[view->filter_count++];

        filter->name = slu_str_of(name);
        filter->path = slu_table_path(compile, slu_ours_text(pointer),
                                      slu_table_at(compile, "%.*s/members/%s", SLU_FMT(at), name));
    }
}

/* The list within a flow log, which a row of the list's reply must write. */
static void prove_list(struct slu_compile *compile, const struct slu_view *view, struct slu_str at)
{
    const struct slu_rows *rows = &compile->table->plans[SLU_OP_LIST].rows[SLU_REPLY];

    for (size_t i = 0; i < rows->count; i++)
        if (rows->writing[i]->codec == SLU_CODEC_KV_LIST &&
            slu_str_eq(rows->writing[i]->n.pointer, view->of.pointer))
            return;
    slu_table_wrong(compile, slu_table_at(compile, "%.*s/of", SLU_FMT(at)),
                    "is no list of keys and values in the reply of list");
}

const struct slu_view *slu_view_compile(struct slu_compile *compile, const json_t *json,
                                        const struct slu_step *step, struct slu_str at)
{
    struct slu_view *view = slu_table_array(compile, 1, sizeof(*view));

    if (!view)
        return NULL;
    view->of = slu_table_path(compile, slu_ours_str(json, "of"),
                              slu_table_at(compile, "%.*s/of", SLU_FMT(at)));
    view->item =
        slu_table_envelope(compile, json_object_get(json, "item"),
                           slu_table_at(compile, "%.*s/item", SLU_FMT(at)), &view->item_count);
    if (json_object_get(json, "filters"))
        compile_filters(compile, json_object_get(json, "filters"), view,
                        slu_table_at(compile, "%.*s/filters", SLU_FMT(at)));
    if (!step->each)
        slu_table_wrong(compile, slu_table_at(compile, "%.*s/reply", SLU_FMT(at)),
                        "needs \"each\": where the items are");
    prove_list(compile, view, at);
    return view;
}

/* ---- what a request asks for ---- */

static bool numbered(const struct slu_template *template, struct slu_str name,
                     struct slu_str *ret_number)
{
    struct slu_vars vars = {.count = 0};
    uint64_t number;

    if (!template->count || !slu_template_match(NULL, template, name, false, &vars))
        return false;
    *ret_number = slu_vars_get(&vars, SLU_STR("n"));
    return slu_str_to_u64(*ret_number, &number);
}

bool slu_view_knows(const struct slu_view *view, struct slu_str name)
{
    struct slu_str number;

    return numbered(&view->name, name, &number) || numbered(&view->value, name, &number);
}

static bool add_wish(const struct slu_view *view, const struct slu_param *param,
                     struct slu_str number, struct slu_view_wish *wish, struct slu_fault *fault)
{
    for (size_t i = 0; i < view->filter_count; i++) {
        if (!slu_str_eq(view->filters[i].name, param->value))
            continue;
        if (wish->count == WISHES_MOST)
            return slu_parameter_fault(fault, param->name, "is one filter too many");
        wish->of[wish->count].path = &view->filters[i].path;
        wish->of[wish->count++].number = number;
        return true;
    }
    return slu_parameter_fault(fault, param->name,
                               "names a filter that is not known to this call "
                               "here");
}

static bool add_value(const struct slu_view *view, const struct slu_param *param,
                      struct slu_str number, struct slu_arena *arena, struct slu_view_wish *wish,
                      struct slu_fault *fault)
{
    for (size_t i = 0; i < param->value.n; i++)
        if (view->unsafe.n && memchr(view->unsafe.p, param->value.p[i], view->unsafe.n))
            return slu_parameter_fault(fault, param->name,
                                       "has a character that means more than itself: only whole "
                                       "values are compared here");
    for (size_t i = 0; i < wish->count; i++) {
        size_t count = wish->of[i].count;
        struct slu_str *any;

        if (!slu_str_eq(wish->of[i].number, number))
            continue;
        any = slu_arena_get(arena, (count + 1) * sizeof(*any));
        if (!any)
            return slu_fault_memory(fault);
        if (count)
            memcpy(any, wish->of[i].any, count * sizeof(*any));
        any[count] = param->value;
        wish->of[i].any = any;
        wish->of[i].count++;
        return true;
    }
    return slu_parameter_fault(fault, param->name, "is the value of no filter");
}

bool slu_view_take(const struct slu_view *view, const struct slu_params *given,
                   struct slu_arena *arena, struct slu_vars *vars, struct slu_fault *fault)
{
    struct slu_view_wish *wish = slu_arena_zero(arena, sizeof(*wish));
    struct slu_str number;

    if (!wish)
        return slu_fault_memory(fault);
    for (size_t i = 0; i < given->count; i++)
        if (numbered(&view->name, given->items[i].name, &number) &&
            !add_wish(view, &given->items[i], number, wish, fault))
            return false;
    for (size_t i = 0; i < given->count; i++)
        if (numbered(&view->value, given->items[i].name, &number) &&
            !add_value(view, &given->items[i], number, arena, wish, fault))
            return false;
    for (size_t i = 0; i < wish->count; i++)
        if (wish->of[i].count == 0)
            return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                                 "the filter %.*s has no value", SLU_FMT(wish->of[i].number));
    vars->view = wish;
    return true;
}

/* ---- the answer ---- */

static bool is_wanted(const struct slu_view_wish *wish, const struct slu_value *item)
{
    for (size_t i = 0; wish && i < wish->count; i++) {
        const struct slu_value *value = slu_path_get(wish->of[i].path, item);
        bool found = false;

        for (size_t k = 0; slu_value_is(value, SLU_STRING) && k < wish->of[i].count; k++)
            found |= slu_str_eq(value->text, wish->of[i].any[k]);
        if (!found)
            return false;
    }
    return true;
}

/* The items of one flow log, as the list itself would write it. */
static void add_items(struct slu_run *run, const struct slu_value *flow_log,
                      struct slu_value *items)
{
    const struct slu_view *view = run->step->view;
    const struct slu_value *id = slu_value_member(flow_log, "id"), *list;
    struct slu_vars vars = *run->vars;
    struct slu_run one = *run;

    one.step = slu_table_main_step(run->table, SLU_OP_LIST, SLU_REPLY);
    one.vars = &vars;
    one.native = slu_value_new(run->arena, SLU_OBJECT);
    if (!one.native || !slu_value_is(id, SLU_STRING) ||
        !slu_vars_set(&vars, SLU_STR("id"), id->text))
        return;
    slu_run_write(&one, flow_log);
    list = slu_path_get(&view->of, one.native);
    for (const struct slu_value *own = slu_value_is(list, SLU_ARRAY) ? list->first : NULL; own;
         own = own->next) {
        struct slu_value *item = slu_value_share(run->arena, own);

        if (!item)
            return;
        slu_run_envelope(&one, view->item, view->item_count, item);
        if (is_wanted(run->vars->view, item))
            slu_value_append(items, item);
    }
}

struct slu_value *slu_view_document(struct slu_run *run, const struct slu_value *canonical)
{
    struct slu_value *root = slu_value_new(run->arena, SLU_OBJECT);
    struct slu_value *items = slu_value_new(run->arena, SLU_ARRAY);

    if (!root || !items || !slu_run_place(run->arena, &run->step->gives_at, root, items))
        return NULL;
    for (const struct slu_value *flow_log = canonical ? canonical->first : NULL; flow_log;
         flow_log = flow_log->next)
        add_items(run, flow_log, items);
    slu_run_surround(run, items->count, root);
    return run->arena->failed ? NULL : root;
}
