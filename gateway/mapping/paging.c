/*
 * How a cloud cuts its list into pages: what a table says about it, the proof that it fits
 * together, and what a door makes of a request for a page. A door answers the first page when that
 * is all there is; it never cuts a list short.
 */
#include "codec/shape.h"
#include "mapping/table_internal.h"

#define AT "/operations/list/paging"

static const struct {
    const char *style, *first; /* the style's word, and how the first page is asked for */
} styles[] = {
    [SLU_PAGING_MARKER] = {"marker", "no marker"},
    [SLU_PAGING_PAGE] = {"page", "page 1"},
    [SLU_PAGING_TOKEN] = {"token", "no token"},
};

const char *slu_paging_style_name(enum slu_paging_style style)
{
    slu_must((size_t)style < SLU_COUNT(styles));
    return styles[style].style;
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
        struct slu_str name = slu_ours_str(json, styles[i].style);

        if (i == (size_t)paging->style)
            paging->position = name;
        else if (name.p)
            slu_table_wrong(compile, slu_table_at(compile, AT "/request/%s", styles[i].style),
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
        if (slu_str_is(slu_ours_str(json, "style"), styles[i].style))
            paging->style = (enum slu_paging_style)i;
    compile_request(compile, json_object_get(json, "request"), paging);
    paging->next = path_of(compile, reply, "next");
    paging->total = path_of(compile, reply, "total");
    paging->page = path_of(compile, reply, "page");
    paging->max = (uint32_t)slu_ours_int(json, "max", 0);
    paging->usual = (uint32_t)slu_ours_int(json, "default", 0);
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

void slu_table_compile_paging(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *operations = json_object_get(table->source, "operations");
    const json_t *json = json_object_get(json_object_get(operations, "list"), "paging");
    struct slu_step *list = giving_step(table, SLU_OP_LIST), *get = giving_step(table, SLU_OP_GET);

    for (int i = 0; i < SLU_OP_COUNT; i++) {
        const char *name = slu_operation_name((enum slu_operation)i);

        if (i != SLU_OP_LIST && json_object_get(json_object_get(operations, name), "paging"))
            slu_table_wrong(compile, slu_table_at(compile, "/operations/%s/paging", name),
                            "only a list has pages");
    }
    if (!json)
        return;
    if (!list || !list->each) {
        slu_table_wrong(compile, SLU_STR(AT), "no step of this operation answers with a list");
        return;
    }
    list->paging = table->paging = compile_paging(compile, json);
    if (get && same_call(get, list))
        get->paging = table->paging;
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

    if (path->count && slu_pointers_overlap(path->pointer, list))
        slu_table_wrong(compile, slu_table_at(compile, AT "/reply/%s", name),
                        "stands where the flow logs are");
}

void slu_table_prove_paging(struct slu_compile *compile)
{
    const struct slu_paging *paging = compile->table->paging;

    if (!paging)
        return;
    prove_request(compile, paging);
    prove_apart(compile, &paging->next, "next");
    prove_apart(compile, &paging->total, "total");
    prove_apart(compile, &paging->page, "page");
    if (paging->style == SLU_PAGING_TOKEN && !paging->next.count)
        slu_table_wrong(compile, SLU_STR(AT), "the style token needs \"next\" in the reply");
    if (paging->style == SLU_PAGING_PAGE && paging->next.count)
        slu_table_wrong(compile, SLU_STR(AT "/reply/next"), "has no meaning for the style page");
    if (paging->style != SLU_PAGING_PAGE && paging->page.count)
        slu_table_wrong(compile, SLU_STR(AT "/reply/page"), "has no meaning for the style %s",
                        slu_paging_style_name(paging->style));
    if (paging->max && paging->usual > paging->max)
        slu_table_wrong(compile, SLU_STR(AT "/default"), "is above max");
}

const struct slu_paging *slu_table_paging(const struct slu_table *table)
{
    return table->paging;
}

/* ---- at a door ---- */

static bool refuse(struct slu_fault *fault, struct slu_str name, const char *words)
{
    return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter", "%.*s %s", SLU_FMT(name),
                         words);
}

static bool take_position(const struct slu_paging *paging, struct slu_str value,
                          struct slu_fault *fault)
{
    bool first = value.n == 0;
    uint64_t page;

    if (paging->style == SLU_PAGING_PAGE) {
        if (!slu_str_to_u64(value, &page) || page == 0)
            return refuse(fault, paging->position, "must be a page's number, from 1");
        first = page == 1;
    }
    if (first)
        return true;
    return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                         "%.*s: this door does not page yet, it answers the whole list at once "
                         "(%s)",
                         SLU_FMT(paging->position), styles[paging->style].first);
}

static bool read_size(const struct slu_paging *paging, struct slu_str value, uint64_t *ret_size,
                      struct slu_fault *fault)
{
    if (!slu_str_to_u64(value, ret_size))
        return refuse(fault, paging->size, "must be a number of flow logs");
    if (paging->max && *ret_size > paging->max)
        return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter", "%.*s is at most %u",
                             SLU_FMT(paging->size), paging->max);
    return true;
}

bool slu_paging_take(const struct slu_paging *paging, const struct slu_str *size,
                     const struct slu_str *position, struct slu_vars *vars, struct slu_arena *arena,
                     struct slu_fault *fault)
{
    uint64_t number = paging->usual;
    struct slu_str text;

    if ((position && !take_position(paging, *position, fault)) ||
        (size && !read_size(paging, *size, &number, fault)))
        return false;
    if (!size && (!position || paging->usual == 0))
        return true;
    text = slu_arena_printf(arena, "%llu", (unsigned long long)number);
    if (!text.p)
        return slu_fault_memory(fault);
    return slu_vars_set(vars, SLU_STR("page_size"), text) ||
           slu_fault_set(fault, SLU_FAULT_BAD_REQUEST, "parameter",
                         "the request has too many values");
}

bool slu_paging_fits(const struct slu_run *run, const struct slu_value *canonical,
                     struct slu_fault *fault)
{
    const struct slu_paging *paging = run->step->paging;
    struct slu_str asked = slu_vars_get(run->vars, SLU_STR("page_size"));
    uint32_t count = run->step->each ? (canonical ? canonical->count : 0) : 1;
    uint64_t size;

    if (!paging || !slu_str_to_u64(asked, &size) || count <= size)
        return true;
    return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                         "%.*s: there are %u flow logs and this door does not page yet: ask for a "
                         "page that holds them all, or for no page",
                         SLU_FMT(paging->size.p ? paging->size : paging->position), count);
}

/* A request that asked for no page gets all flow logs, on one page that holds them. */
uint32_t slu_paging_told(const struct slu_run *run, uint32_t count)
{
    uint32_t usual = run->step->paging ? run->step->paging->usual : 0;

    return count > usual ? count : usual;
}
