/*
 * Walking the pages of a target's list. Each native page is read into an arena of its own and what
 * is wanted of it is copied, so a walk needs the memory of its result and of one page.
 *
 * Lists move while they are walked. After a marker nothing is doubled or lost, whatever comes and
 * goes, as long as the cloud still knows the row it names. Numbered pages shift: when their total
 * has changed since the page before, the walk looks for the last row it has taken (one page back
 * where rows went, in this page where rows came) and goes on behind it.
 */
#include "exchange/exchange_internal.h"

enum {
    PAGE_BYTES = 64 << 20, /* budget of one native page; replies are bounded by reply_bytes */
    PAGES_EMPTY = 20,      /* native pages read for one page of ours when little passes */
    PAGES_MOST = 2000,
    WIDTH = 100 /* where neither the table nor the caller says how wide a page is */
};

static const struct slu_paging *paging_of(const struct slu_job *job)
{
    return job->target->memory ? NULL : slu_table_paging(job->target->table);
}

static uint32_t have(const struct slu_job *job)
{
    return job->flow_log ? job->flow_log->count : 0;
}

static uint32_t at_most(uint32_t wish, uint32_t max)
{
    return max && (wish == 0 || wish > max) ? max : wish;
}

/* Pages that have numbers keep their width from first to last. */
static uint32_t width_of(const struct slu_job *job, const struct slu_paging *paging)
{
    const struct slu_list_wish *wish = &job->list;
    bool window = wish->fill && (wish->skip || wish->after.n || wish->total);

    if (paging->style == SLU_PAGING_PAGE && job->list_end.width)
        return job->list_end.width;
    if (paging->style == SLU_PAGING_PAGE && wish->width)
        return wish->width;
    if (!wish->size || window || paging->style == SLU_PAGING_PAGE)
        return at_most(window || !wish->size ? 0 : wish->size, paging->max     ? paging->max
                                                               : paging->usual ? paging->usual
                                                                               : WIDTH);
    return at_most(wish->size - have(job), paging->max);
}

/* With numbers one can go straight to a row, as long as every row counts. */
static void jump(struct slu_job *job, const struct slu_paging *paging, uint32_t width)
{
    struct slu_list_wish *wish = &job->list;

    if (paging->style != SLU_PAGING_PAGE || wish->position.n || wish->filter_count || !width ||
        wish->skip < width)
        return;
    wish->position =
        slu_arena_printf(job->arena, "%llu", (unsigned long long)(wish->skip / width + 1));
    wish->skip %= width;
}

static bool begin(struct slu_job *job)
{
    const struct slu_paging *paging = paging_of(job);

    if (!job->flow_log)
        job->flow_log = slu_value_new(job->arena, SLU_ARRAY);
    if (paging) {
        job->list_end.width = width_of(job, paging);
        jump(job, paging, job->list_end.width);
    }
    if (!job->target->memory && !job->dry_run) {
        slu_arena_init(&job->page_arena, PAGE_BYTES);
        job->paging = true;
    }
    job->list_end.next = job->list.position;
    job->list_end.last = job->list.last;
    job->list_end.knows_native_total = job->list.knows_total;
    job->list_end.native_total = job->list.last_total;
    return !job->arena->failed;
}

/* The page is full, or as full as is worth the calls. */
static bool is_enough(const struct slu_job *job)
{
    const struct slu_list_wish *wish = &job->list;
    const struct slu_list_end *end = &job->list_end;
    uint32_t rows = have(job);

    if (job->dry_run || !end->next.n || job->pages >= PAGES_MOST)
        return true;
    if (end->again) /* a page was looked at only to see how the list has moved */
        return false;
    if (!wish->size)
        return false;
    if (wish->fill)
        return rows >= wish->size && (!wish->total || end->has_total);
    return rows >= wish->size || (rows && rows + end->width > wish->size) ||
           rows * 2 >= wish->size || job->pages >= PAGES_EMPTY;
}

bool slu_list_ask(struct slu_job *job)
{
    const struct slu_paging *paging = paging_of(job);

    if (job->pages == 0) {
        if (!begin(job))
            return !slu_fault_memory(&job->fault) && false;
    } else if (job->target->memory || is_enough(job)) {
        return false;
    } else if (job->paging) {
        slu_arena_reset(&job->page_arena);
    }
    job->pages++;
    job->list_end.again = false;
    slu_losses_init(&job->page_losses, job->paging ? &job->page_arena : job->arena, true);
    job->page = (struct slu_page){.position = job->list_end.next,
                                  .size = paging ? width_of(job, paging) : 0,
                                  .filters = job->list.told ? job->list.sent : job->list.filters,
                                  .filter_count = job->list.told ? job->list.sent_count
                                                                 : job->list.filter_count};
    return true;
}

/* Taking rows */

static struct slu_str id_of(const struct slu_value *row)
{
    const struct slu_value *id = slu_value_member(row, "id");

    return slu_value_is(id, SLU_STRING) ? id->text : SLU_STR("");
}

/* Position behind the row with this id; 0 when it is not on the page. */
static uint32_t behind(const struct slu_value *rows, struct slu_str id)
{
    uint32_t at = 0;

    if (!id.n)
        return 0;
    slu_value_each (row, rows) {
        at++;
        if (slu_str_eq(id_of(row), id))
            return at;
    }
    return 0;
}

/* What was lost in reading the row, told by its place in our list. */
static void take_losses(struct slu_job *job, uint32_t at)
{
    struct slu_str head = slu_arena_printf(&job->page_arena, "/%u/", at);

    for (const struct slu_loss *loss = job->page_losses.first; loss && head.p; loss = loss->next)
        if (slu_str_starts(loss->pointer, head))
            slu_losses_add(job->losses,
                           slu_arena_printf(job->arena, "/flow_logs/%u/%.*s", have(job),
                                            (int)(loss->pointer.n - head.n),
                                            loss->pointer.p + head.n),
                           loss->value ? slu_value_copy(job->arena, loss->value) : NULL,
                           loss->reason, SLU_REPLY);
}

static void take_row(struct slu_job *job, const struct slu_value *row, uint32_t at)
{
    struct slu_list_wish *wish = &job->list;
    bool passes;

    if (wish->told)
        row = wish->told(wish->told_user, job->paging ? &job->page_arena : job->arena, row);
    if (!row) {
        job->arena->failed = true;
        return;
    }
    passes = slu_filters_pass(wish->filters, wish->filter_count, row);
    job->list_end.passed += passes;
    if (wish->after.n && !job->list_end.found_after) {
        job->list_end.found_after = slu_str_eq(id_of(row), wish->after);
        return;
    }
    if (!passes)
        return;
    if (wish->skip) {
        wish->skip--;
        return;
    }
    if (wish->size && have(job) >= wish->size) {
        if (!job->list_end.more)
            job->list_end.cut_at = at;
        job->list_end.more = true;
        return;
    }
    if (job->paging && job->page_losses.count)
        take_losses(job, at);
    slu_value_append(job->flow_log, slu_value_copy(job->arena, row));
}

/*
 * How many rows of this page were on the page before, when pages have numbers and the total has
 * changed. Where rows went, rows not yet taken may stand on the page before: then that one is asked
 * for (ret_back pages back) and this one is not taken.
 */
static uint32_t moved(struct slu_job *job, const struct slu_value *rows, uint32_t *ret_back)
{
    struct slu_list_end *end = &job->list_end;
    uint64_t total = job->outcome.total, page = 1, gone;
    uint32_t found = behind(rows, end->last);

    *ret_back = 0;
    if (!end->knows_native_total || !job->outcome.has_total || end->native_total == total)
        return end->rewound ? found : 0;
    if (found || total > end->native_total || !end->width)
        return found;
    gone = end->native_total - total;
    if (end->rewound) /* the last row itself went: what stood behind it moved up by as many */
        return gone < end->width ? end->width - (uint32_t)gone : 0;
    if (!slu_str_to_u64(job->page.position, &page) || page < 2)
        return 0;
    *ret_back = (uint32_t)((gone + end->width - 1) / end->width);
    if (*ret_back >= page)
        *ret_back = (uint32_t)page - 1;
    return 0;
}

/* False: the page is only a sign that an earlier one has to be read again. */
static bool go_back(struct slu_job *job, uint32_t back)
{
    struct slu_list_end *end = &job->list_end;
    uint64_t page;

    if (!back || !slu_str_to_u64(job->page.position, &page))
        return true;
    end->rewound = end->again = true;
    end->next = slu_arena_printf(job->arena, "%llu", (unsigned long long)(page - back));
    return false;
}

static void take_rows(struct slu_job *job, const struct slu_value *rows, uint32_t skip)
{
    struct slu_str last = SLU_STR_NONE;
    uint32_t at = 0;

    slu_value_each (row, rows) {
        last = id_of(row);
        if (at >= skip)
            take_row(job, row, at);
        at++;
    }
    if (last.n)
        job->list_end.last = slu_arena_str(job->arena, last);
}

/* What the native reply says of the list as a whole. */
static void note_end(struct slu_job *job)
{
    struct slu_list_end *end = &job->list_end;

    end->next = slu_arena_str(job->arena, job->outcome.next);
    end->knows_native_total = job->outcome.has_total;
    end->native_total = job->outcome.total;
    end->rewound = false;
    if (end->more && !job->list.fill) { /* a cloud may tell more than it was asked for */
        end->next =
            job->page.position.n ? slu_arena_str(job->arena, job->page.position) : SLU_STR("");
        end->begin = end->cut_at;
    }
    if (job->outcome.has_total && !job->list.filter_count) {
        end->has_total = true;
        end->total = job->outcome.total;
    } else if (!end->next.n) {
        end->has_total = true;
        end->total = end->passed;
    }
}

/* All in one piece: the memory cloud's, or a cloud's that knows no pages. */
static void take_whole(struct slu_job *job, const struct slu_value *rows)
{
    struct slu_list_end *end = &job->list_end;
    uint32_t told = behind(rows, job->list.position); /* what a former page ended with */

    if (!told && job->list.begin) /* that one went: what stood behind it moved up */
        told = job->list.begin - 1;
    take_rows(job, rows, told);
    end->has_total = true;
    end->total = end->passed;
    end->next = SLU_STR("");
    if (!end->more || !have(job))
        return;
    end->next = slu_arena_str(job->arena, id_of(job->flow_log->last));
    end->begin = behind(rows, end->next);
}

enum slu_job_step slu_list_take(struct slu_job *job)
{
    const struct slu_value *rows = job->outcome.flow_logs;
    const struct slu_paging *paging = paging_of(job);
    uint32_t skip = 0, back = 0;

    if (!rows || !paging) {
        take_whole(job, rows ? rows : job->flow_log);
    } else {
        if (paging->style == SLU_PAGING_PAGE)
            skip = moved(job, rows, &back);
        if (!go_back(job, back))
            return job->arena->failed ? slu_job_out_of_memory(job) : JOB_PLAN;
        take_rows(job, rows, job->pages == 1 && job->list.begin > skip ? job->list.begin : skip);
        note_end(job);
    }
    /* nothing of the outcome may outlive the page's arena */
    job->outcome.flow_logs = NULL;
    job->outcome.next = SLU_STR("");
    job->outcome.vendor_request_id = slu_arena_str(job->arena, job->outcome.vendor_request_id);
    return job->arena->failed ? slu_job_out_of_memory(job) : JOB_PLAN;
}
