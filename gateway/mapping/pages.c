/*
 * One page of a list in requests and replies. The client role asks a cloud for a page and reads
 * where the next one begins; the server role reads what a cloud's client asks for and tells it of
 * the page that it gets. Nothing here walks from page to page, and nothing cuts a list: both are
 * the caller's. Filters stand in filters.c.
 */
#include "mapping/table_internal.h"

static const struct {
    const char *name;
    bool number;
} told[] = {
    {"count", true}, {"count_text", false}, {"page_size", true}, {"page_size_text", false},
    {"total", true}, {"total_text", false}, {"page", true},      {"page_text", false},
    {"next", false},
};

bool slu_page_var(struct slu_str name, bool *ret_number)
{
    for (size_t i = 0; i < SLU_COUNT(told); i++)
        if (slu_str_is(name, told[i].name)) {
            *ret_number = told[i].number;
            return true;
        }
    return false;
}

/* ---- the client role ---- */

static const struct slu_page everything;

static const struct slu_page *page_of(const struct slu_run *run)
{
    return run->vars->page ? run->vars->page : &everything;
}

/* The size that the cloud is asked for; 0: none. */
static uint32_t size_asked(const struct slu_run *run)
{
    const struct slu_paging *paging = run->step->paging;
    uint32_t size = page_of(run)->size;

    if (!run->vars->page || !paging->size.p)
        return 0;
    if (size == 0)
        return paging->sized ? paging->max : 0;
    if (paging->max && size > paging->max)
        size = paging->max;
    return size < paging->min ? paging->min : size;
}

static void add(struct slu_params *params, struct slu_str name, struct slu_str value)
{
    params->items[params->count++] = (struct slu_param){.name = name, .value = value};
}

bool slu_page_write(struct slu_run *run, struct slu_params *ret_params)
{
    const struct slu_page *page = run->vars->page;
    const struct slu_step *step = run->step;
    struct slu_params params = {.count = 0};
    size_t room;

    *ret_params = params;
    if (!page || !step->each)
        return true;
    room = 2 + slu_filters_room(page);
    params.items = slu_arena_get(run->arena, room * sizeof(struct slu_param));
    if (!params.items)
        return false;
    if (step->paging && size_asked(run))
        add(&params, step->paging->size, slu_arena_printf(run->arena, "%u", size_asked(run)));
    if (step->paging && page->position.n)
        add(&params, step->paging->position, page->position);
    if (step->filters)
        slu_filters_write(run, step->filters, &params, room);
    *ret_params = params;
    return !run->arena->failed;
}

/* A number, or its digits as text. */
static bool number_at(const struct slu_path *path, const struct slu_value *body,
                      uint64_t *ret_number)
{
    const struct slu_value *value = path->count ? slu_path_get(path, body) : NULL;

    return (slu_value_is(value, SLU_NUMBER) || slu_value_is(value, SLU_STRING)) &&
           slu_str_to_u64(value->text, ret_number);
}

static struct slu_str text_at(const struct slu_path *path, const struct slu_value *body)
{
    const struct slu_value *value = slu_path_get(path, body);

    if (slu_value_is(value, SLU_STRING) || slu_value_is(value, SLU_NUMBER))
        return value->text;
    return SLU_STR("");
}

/* Without a word of the cloud the next marker is the last flow log's id, unless the page is not
 * full: then it is the last one. */
static bool read_marker(struct slu_run *run, const struct slu_value *body,
                        struct slu_outcome *outcome, struct slu_str *ret_why)
{
    const struct slu_paging *paging = run->step->paging;
    const struct slu_value *list = outcome->flow_logs, *id;
    uint32_t size = size_asked(run) ? size_asked(run) : paging->usual;

    if (list->count == 0)
        return true;
    if (paging->next.count) {
        outcome->next = text_at(&paging->next, body);
        return true;
    }
    if (size && list->count < size)
        return true;
    id = slu_value_member(list->last, "id");
    if (!slu_value_is(id, SLU_STRING) || id->text.n == 0) {
        *ret_why = SLU_STR("the last flow log of the cloud's page has no id to go on from");
        return false;
    }
    outcome->next = id->text;
    return true;
}

/* A page that holds more than was thought to fit on it may be all there is. */
static bool read_number(struct slu_run *run, const struct slu_value *body,
                        struct slu_outcome *outcome, struct slu_str *ret_why)
{
    const struct slu_paging *paging = run->step->paging;
    uint32_t size = size_asked(run) ? size_asked(run) : paging->usual;
    uint32_t count = outcome->flow_logs->count;
    uint64_t number = 1, is, before;

    if (page_of(run)->position.n &&
        (!slu_str_to_u64(page_of(run)->position, &number) || number == 0 || number > UINT32_MAX)) {
        *ret_why = SLU_STR("the page that was asked for is no number");
        return false;
    }
    if (number_at(&paging->page, body, &is) && is != number) {
        *ret_why = SLU_STR("the cloud answered with another page than was asked for");
        return false;
    }
    before = (number - 1) * size;
    if (count == 0 ||
        (outcome->has_total && size ? before + (count > size ? count : size) >= outcome->total
                                    : count < size))
        return true;
    outcome->next = slu_arena_printf(run->arena, "%llu", (unsigned long long)number + 1);
    return true;
}

bool slu_page_read(struct slu_run *run, const struct slu_value *body, struct slu_outcome *outcome,
                   struct slu_str *ret_why)
{
    const struct slu_paging *paging = run->step->paging;
    bool good = true;

    if (!paging)
        return true;
    outcome->has_total = number_at(&paging->total, body, &outcome->total);
    switch (paging->style) {
    case SLU_PAGING_MARKER:
        good = read_marker(run, body, outcome, ret_why);
        break;
    case SLU_PAGING_PAGE:
        good = read_number(run, body, outcome, ret_why);
        break;
    case SLU_PAGING_TOKEN:
        outcome->next = text_at(&paging->next, body);
        break;
    }
    if (good && outcome->next.n && slu_str_eq(outcome->next, page_of(run)->position)) {
        *ret_why = SLU_STR("the cloud's list does not move on: it names the same page again");
        return false;
    }
    if (outcome->next.n)
        outcome->next = slu_arena_str(run->arena, outcome->next);
    return good;
}

/* ---- the server role: what is asked ---- */

bool slu_page_knows(const struct slu_step *step, struct slu_str name)
{
    const struct slu_paging *paging = step->paging;

    return (paging && (slu_str_eq(paging->position, name) ||
                       (paging->size.p && slu_str_eq(paging->size, name)))) ||
           (step->filters && slu_filters_know(step->filters, name));
}

static bool take_size(const struct slu_paging *paging, struct slu_str value, struct slu_page *page,
                      struct slu_fault *fault)
{
    uint64_t size;

    if (!slu_str_to_u64(value, &size) || size == 0)
        return slu_parameter_fault(fault, paging->size, "must be a number of flow logs, from 1");
    if (size < paging->min || (paging->max && size > paging->max && !paging->cut))
        return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter", "%.*s is %s %u",
                             SLU_FMT(paging->size), size < paging->min ? "at least" : "at most",
                             size < paging->min ? paging->min : paging->max);
    if (paging->max && size > paging->max)
        size = paging->max;
    page->size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    return true;
}

/* The first page has the empty position, also where it has a number. */
static bool take_position(const struct slu_paging *paging, struct slu_str value,
                          struct slu_arena *arena, struct slu_page *page, struct slu_fault *fault)
{
    uint64_t number;

    if (paging->style != SLU_PAGING_PAGE) {
        page->position = value;
        return true;
    }
    if (!slu_str_to_u64(value, &number) || number == 0 || number > UINT32_MAX)
        return slu_parameter_fault(fault, paging->position, "must be a page's number, from 1");
    if (number > 1)
        page->position = slu_arena_printf(arena, "%llu", (unsigned long long)number);
    return !arena->failed || slu_fault_memory(fault);
}

/* Whoever names a position without a size means pages of the cloud's usual size; whoever names
 * neither gets everything. */
static bool take_paging(const struct slu_paging *paging, const struct slu_params *given,
                        struct slu_arena *arena, struct slu_page *page, bool *ret_any,
                        struct slu_fault *fault)
{
    const struct slu_param *size = paging->size.p ? slu_params_find(given, paging->size) : NULL;
    const struct slu_param *position = slu_params_find(given, paging->position);

    *ret_any = size || position;
    if (size && !take_size(paging, size->value, page, fault))
        return false;
    if (!size && position)
        page->size = paging->usual;
    return !position || take_position(paging, position->value, arena, page, fault);
}

bool slu_page_take(const struct slu_table *table, const struct slu_step *step,
                   const struct slu_params *given, struct slu_arena *arena, struct slu_vars *vars,
                   struct slu_fault *fault)
{
    struct slu_page *page;
    struct slu_run run;
    bool any = false;

    if (!step->paging && !step->filters)
        return true;
    page = slu_arena_zero(arena, sizeof(*page));
    if (!page)
        return slu_fault_memory(fault);
    if (step->paging && !take_paging(step->paging, given, arena, page, &any, fault))
        return false;
    slu_run_init(&run, table, SLU_OP_LIST, SLU_REQUEST, step, vars, arena, NULL, NULL);
    if (step->filters && !slu_filters_read(&run, step->filters, given, page, fault))
        return false;
    if (any || page->filter_count)
        vars->page = page;
    return true;
}

/* ---- the server role: what is told ---- */

bool slu_page_holds(const struct slu_vars *vars, const struct slu_value *flow_log)
{
    const struct slu_page *page = vars ? vars->page : NULL;

    return !page ||
           (page->position.n == 0 && slu_filters_pass(page->filters, page->filter_count, flow_log));
}

static bool set(struct slu_vars *vars, const char *name, struct slu_str value)
{
    return !value.p || slu_vars_set(vars, slu_str_of(name), value);
}

static bool set_both(struct slu_vars *vars, const char *name, const char *as_text,
                     struct slu_str value)
{
    return set(vars, name, value) && set(vars, as_text, value);
}

static struct slu_str digits(const struct slu_run *run, uint64_t number)
{
    return slu_arena_printf(run->arena, "%llu", (unsigned long long)number);
}

/* Of one page that is all there is the count is the total; otherwise it must have been told. */
static struct slu_str total_of(const struct slu_run *run, uint32_t count)
{
    const struct slu_page *page = page_of(run);

    if (page->has_total)
        return digits(run, page->total);
    return page->position.n == 0 && page->next.n == 0 ? digits(run, count) : SLU_STR_NONE;
}

bool slu_page_vars(const struct slu_run *run, uint32_t count, struct slu_vars *vars)
{
    const struct slu_page *page = page_of(run);
    const struct slu_paging *paging = run->step->paging;
    uint32_t usual = paging ? paging->usual : 0;
    bool numbered = paging && paging->style == SLU_PAGING_PAGE && page->position.n;

    if (!page->size && count > usual)
        usual = count; /* who asked for no page gets all, on one page that holds them */
    return set_both(vars, "count", "count_text", digits(run, count)) &&
           set_both(vars, "page_size", "page_size_text",
                    digits(run, page->size ? page->size : usual)) &&
           set_both(vars, "page", "page_text", numbered ? page->position : SLU_STR("1")) &&
           set_both(vars, "total", "total_text", total_of(run, count)) &&
           set(vars, "next", page->next.n ? page->next : SLU_STR_NONE);
}
