/*
 * Pages of a list as a door's client counts them, whatever the target's own are. Where both speak
 * one dialect the cloud's pages are the client's, so that its promises hold. Elsewhere a marker is
 * looked for in the target's list and a page's number counted off from its beginning; a token of
 * ours holds the place in the target's own paging (pages.c).
 */
#include "exchange/rest.h"

static enum slu_paging_style style_of(const struct slu_table *table)
{
    const struct slu_paging *paging = slu_table_paging(table);

    return paging ? paging->style : SLU_PAGING_MARKER;
}

static bool is_native(const struct slu_exchange *x)
{
    return !x->target->memory && !slu_door_is_foreign(x);
}

static void list_after(const struct slu_exchange *x, const struct slu_page *page,
                       struct slu_list_wish *wish)
{
    wish->size = page->size;
    wish->fill = true;
    if (is_native(x))
        wish->position = page->position;
    else
        wish->after = page->position;
}

/* A cloud's own numbers count the rows that pass its filters; what is filtered here would make
 * holes in its pages, so then they are counted here too. */
static void list_number(const struct slu_exchange *x, const struct slu_page *page,
                        struct slu_list_wish *wish)
{
    uint64_t number = 1;

    wish->size = page->size;
    wish->fill = true;
    if (page->position.n && !slu_str_to_u64(page->position, &number))
        number = 1;
    if (is_native(x) && !page->filter_count) {
        wish->position = page->position;
        wish->width = page->size;
        return;
    }
    wish->skip = (number - 1) * page->size;
    wish->total = true;
}

static bool list_token(struct slu_exchange *x, const struct slu_page *page, struct slu_job *job)
{
    struct slu_list_ask *ask = slu_arena_zero(x->arena, sizeof(*ask));

    if (!ask)
        return slu_fault_memory(&x->fault);
    x->ask = ask;
    if (page->position.n && !slu_list_ask_resume(x, page->position, ask))
        return false;
    if (page->size)
        ask->size = page->size;
    slu_list_ask_apply(ask, ask->place_count ? ask->places : NULL, ask->size, job);
    return true;
}

static struct slu_value *retell(void *user, struct slu_arena *arena, const struct slu_value *row)
{
    return slu_door_retell(user, arena, row);
}

bool slu_door_list(struct slu_exchange *x, struct slu_job *job)
{
    static const struct slu_page everything;
    const struct slu_page *page = x->match->vars.page ? x->match->vars.page : &everything;

    switch (style_of(x->door->table)) {
    case SLU_PAGING_MARKER:
        list_after(x, page, &job->list);
        break;
    case SLU_PAGING_PAGE:
        list_number(x, page, &job->list);
        break;
    case SLU_PAGING_TOKEN:
        if (!list_token(x, page, job))
            return false;
        break;
    }
    job->list.filters = page->filters;
    job->list.filter_count = page->filter_count;
    if (!slu_door_retells(x))
        return true;
    job->list.told = retell;
    job->list.told_user = x;
    return slu_door_filters(x, page, &job->list.sent, &job->list.sent_count);
}

/* The reply */

static struct slu_str last_id(const struct slu_value *rows)
{
    const struct slu_value *id = rows && rows->last ? slu_value_member(rows->last, "id") : NULL;

    return slu_value_is(id, SLU_STRING) ? id->text : SLU_STR("");
}

/* Where this page ended although more is there, which the client would take for the end. */
static bool is_cut_short(const struct slu_exchange *x)
{
    const struct slu_job *job = x->job;
    uint32_t rows = x->flow_log ? x->flow_log->count : 0;

    if (style_of(x->door->table) == SLU_PAGING_TOKEN && job->list.size)
        return false;
    return job->list_end.next.n && !job->target->memory &&
           (!job->list.size || rows < job->list.size ||
            (job->list.total && !job->list_end.has_total));
}

static struct slu_str next_of(struct slu_exchange *x)
{
    const struct slu_list_end *end = &x->job->list_end;
    struct slu_place place;

    if (!x->job->list.size || !(end->next.n || end->begin || end->more))
        return SLU_STR("");
    switch (style_of(x->door->table)) {
    case SLU_PAGING_MARKER:
        return is_native(x) && !end->more ? end->next : last_id(x->flow_log);
    case SLU_PAGING_TOKEN:
        place = slu_place_after(x->job);
        return slu_page_token(x, x->ask, &place, 1);
    case SLU_PAGING_PAGE:
        break;
    }
    return end->next;
}

bool slu_door_told_list(struct slu_exchange *x)
{
    const struct slu_list_end *end = &x->job->list_end;
    struct slu_page *page;

    if (is_cut_short(x)) {
        slu_exchange_fail(x, SLU_FAULT_TOO_LARGE, "",
                          "the list is too long to be told at once; ask for smaller pages");
        return false;
    }
    if (!x->match->vars.page)
        return true;
    page = slu_arena_get(x->arena, sizeof(*page));
    if (!page)
        return slu_fault_memory(&x->fault);
    *page = *x->match->vars.page;
    page->next = next_of(x);
    page->has_total = end->has_total;
    page->total = end->total;
    x->match->vars.page = page;
    return page->next.p || slu_fault_memory(&x->fault);
}
