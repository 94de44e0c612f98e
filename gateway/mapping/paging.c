/*
 * How a cloud cuts its list into pages: what a table says about it, and the proof that it fits
 * together. What is made of it at run time is in pages.c.
 */
#include "codec/shape.h"
#include "mapping/table_internal.h"

#define AT "/operations/list/paging"

static const char *const styles[] = {
    [SLU_PAGING_MARKER] = "marker",
    [SLU_PAGING_PAGE] = "page",
    [SLU_PAGING_TOKEN] = "token",
};

const char *slu_paging_style_name(enum slu_paging_style style)
{
    slu_must((size_t)style < SLU_COUNT(styles));
    return styles[style];
}

/* ---- compiling ---- */

static struct slu_path path_of(struct slu_compile *compile, const json_t *json, const char *name)
{
    struct slu_str pointer = slu_ours_str(json, name);
    struct slu_str at = slu_table_at(compile, AT "/reply/%s", name);
    struct slu_path path = {.count = 0, .pointer = SLU_STR("")};

    if (!pointer.p)
        return path;
    path = slu_table_path(compile, pointer, at);
    if (path.count == 0)
        slu_table_wrong(compile, at, "must be a pointer to a member");
    return path;
}

/* A request says where it stands in the style's own word, and in no other. */
static void compile_request(struct slu_compile *compile, const json_t *json,
                            struct slu_paging *paging)
{
    paging->size = slu_ours_str(json, "size");
    for (size_t i = 0; i < SLU_COUNT(styles); i++) {
        struct slu_str name = slu_ours_str(json, styles[i]);

        if (i == (size_t)paging->style)
            paging->position = name;
        else if (name.p)
            slu_table_wrong(compile, slu_table_at(compile, AT "/request/%s", styles[i]),
                            "has no meaning for the style %s",
                            slu_paging_style_name(paging->style));
    }
}

static struct slu_paging *compile_paging(struct slu_compile *compile, const json_t *json)
{
    struct slu_paging *paging = slu_table_array(compile, 1, sizeof(*paging));
    const json_t *reply = json_object_get(json, "reply");

    if (!paging)
        return NULL;
    for (size_t i = 0; i < SLU_COUNT(styles); i++)
        if (slu_str_is(slu_ours_str(json, "style"), styles[i]))
            paging->style = (enum slu_paging_style)i;
    compile_request(compile, json_object_get(json, "request"), paging);
    paging->next = path_of(compile, reply, "next");
    paging->total = path_of(compile, reply, "total");
    paging->page = path_of(compile, reply, "page");
    paging->min = (uint32_t)slu_ours_int(json, "min", 0);
    paging->max = (uint32_t)slu_ours_int(json, "max", 0);
    paging->usual = (uint32_t)slu_ours_int(json, "default", 0);
    paging->cut = slu_str_is(slu_ours_str(json, "beyond"), "cut");
    paging->sized = slu_ours_bool(json, "sized", false);
    return paging;
}

/* The step that answers with flow logs. */
static struct slu_step *giving_step(struct slu_table *table, enum slu_operation operation)
{
    struct slu_plan *plan = &table->plans[operation];

    for (size_t i = plan->step_count; i-- > 0;)
        if (plan->steps[i].gives)
            return &plan->steps[i];
    return NULL;
}

/* Where one flow log is asked for with the list's own call, it may be asked for in pages too. */
static bool same_call(const struct slu_step *a, const struct slu_step *b)
{
    return slu_str_eq(a->method, b->method) && slu_str_eq(a->path.text, b->path.text) &&
           slu_str_eq(a->action, b->action);
}

/* Only a list has pages and filters. */
static void compile_nowhere_else(struct slu_compile *compile, const json_t *operations)
{
    static const char *const parts[] = {"paging", "filters"};

    for (int i = 0; i < SLU_OP_COUNT; i++) {
        const char *name = slu_operation_name((enum slu_operation)i);
        const json_t *json = json_object_get(operations, name);

        for (size_t k = 0; i != SLU_OP_LIST && k < SLU_COUNT(parts); k++)
            if (json_object_get(json, parts[k]))
                slu_table_wrong(compile, slu_table_at(compile, "/operations/%s/%s", name, parts[k]),
                                "only a list has %s", k == 0 ? "pages" : "filters");
    }
}

void slu_table_compile_paging(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *operations = json_object_get(table->source, "operations");
    const json_t *json = json_object_get(operations, "list");
    const json_t *paging = json_object_get(json, "paging"),
                 *filters = json_object_get(json, "filters");
    struct slu_step *list = giving_step(table, SLU_OP_LIST), *get = giving_step(table, SLU_OP_GET);

    compile_nowhere_else(compile, operations);
    if (!paging && !filters)
        return;
    if (!list || !list->each) {
        slu_table_wrong(compile, paging ? SLU_STR(AT) : SLU_STR("/operations/list/filters"),
                        "no step of this operation answers with a list");
        return;
    }
    if (paging)
        list->paging = table->paging = compile_paging(compile, paging);
    if (filters)
        list->filters = slu_filters_compile(compile, filters);
    if (get && same_call(get, list)) {
        get->paging = list->paging;
        get->filters = list->filters;
    }
}

/* ---- proving ---- */

static void prove_name(struct slu_compile *compile, const struct slu_step *step,
                       struct slu_str name, const char *member)
{
    if (name.p && slu_step_fills(compile->table, step, name))
        slu_table_wrong(compile, slu_table_at(compile, AT "/request/%s", member),
                        "a template of the call fills this parameter too");
}

static void prove_request(struct slu_compile *compile, const struct slu_paging *paging)
{
    const char *style = slu_paging_style_name(paging->style);

    if (!paging->position.p)
        slu_table_wrong(compile, SLU_STR(AT "/request"), "the style %s needs the member \"%s\"",
                        style, style);
    if (!paging->size.p && paging->style != SLU_PAGING_TOKEN)
        slu_table_wrong(compile, SLU_STR(AT "/request"), "the style %s needs the member \"size\"",
                        style);
    if (paging->size.p && slu_str_eq(paging->size, paging->position))
        slu_table_wrong(compile, slu_table_at(compile, AT "/request/%s", style),
                        "is the parameter of the page size already");
    for (int i = 0; i < SLU_OP_COUNT; i++)
        for (size_t k = 0; k < compile->table->plans[i].step_count; k++)
            if (compile->table->plans[i].steps[k].paging == paging) {
                prove_name(compile, &compile->table->plans[i].steps[k], paging->size, "size");
                prove_name(compile, &compile->table->plans[i].steps[k], paging->position, style);
            }
}

/* What tells of pages stands beside the flow logs, not among them. */
static void prove_apart(struct slu_compile *compile, const struct slu_path *path, const char *name)
{
    struct slu_str list = giving_step(compile->table, SLU_OP_LIST)->gives_at.pointer;

    if (slu_pointers_overlap(path->pointer, list))
        slu_table_wrong(compile, slu_table_at(compile, AT "/reply/%s", name),
                        "stands where the flow logs are");
}

/* What a client of the cloud reads, a server must have written. */
static void prove_written(struct slu_compile *compile, const struct slu_path *path,
                          const char *name)
{
    const struct slu_step *list = giving_step(compile->table, SLU_OP_LIST);

    slu_must(list); /* there is no paging without one */
    for (size_t i = 0; i < list->envelope_count; i++)
        if (slu_str_eq(list->envelope[i].path.pointer, path->pointer))
            return;
    slu_table_wrong(compile, slu_table_at(compile, AT "/reply/%s", name),
                    "no member of the reply's \"envelope\" writes this place");
}

static void prove_reply(struct slu_compile *compile, const struct slu_path *path, const char *name)
{
    if (path->count == 0)
        return;
    prove_apart(compile, path, name);
    prove_written(compile, path, name);
}

static void prove_sizes(struct slu_compile *compile, const struct slu_paging *paging)
{
    if (paging->max && paging->usual > paging->max)
        slu_table_wrong(compile, SLU_STR(AT "/default"), "is above max");
    if ((paging->max && paging->min > paging->max) ||
        (paging->usual && paging->min > paging->usual))
        slu_table_wrong(compile, SLU_STR(AT "/min"), "is above max or default");
    if (paging->cut && !paging->max)
        slu_table_wrong(compile, SLU_STR(AT "/beyond"), "has no meaning without \"max\"");
    if (paging->sized && (!paging->size.p || !paging->max))
        slu_table_wrong(compile, SLU_STR(AT "/sized"),
                        "needs \"max\" and the request's parameter \"size\"");
}

void slu_table_prove_paging(struct slu_compile *compile)
{
    const struct slu_paging *paging = compile->table->paging;
    const struct slu_step *list = giving_step(compile->table, SLU_OP_LIST);

    if (list && list->filters)
        slu_filters_prove(compile, list);
    if (!paging)
        return;
    prove_request(compile, paging);
    prove_reply(compile, &paging->next, "next");
    prove_reply(compile, &paging->total, "total");
    prove_reply(compile, &paging->page, "page");
    prove_sizes(compile, paging);
    if (paging->style == SLU_PAGING_TOKEN && !paging->next.count)
        slu_table_wrong(compile, SLU_STR(AT), "the style token needs \"next\" in the reply");
    if (paging->style == SLU_PAGING_PAGE && paging->next.count)
        slu_table_wrong(compile, SLU_STR(AT "/reply/next"), "has no meaning for the style page");
    if (paging->style != SLU_PAGING_PAGE && paging->page.count)
        slu_table_wrong(compile, SLU_STR(AT "/reply/page"), "has no meaning for the style %s",
                        slu_paging_style_name(paging->style));
}

const struct slu_paging *slu_table_paging(const struct slu_table *table)
{
    return table->paging;
}
