/*
 * Walking the pages of a target's list. Each native page is read into an arena of its own and what
 * is wanted of it is copied, so a walk needs the memory of its result and of one page.
 *
 * Lists move while they are walked. After a marker nothing is doubled or lost, whatever comes and
 * goes, as long as the cloud still knows the row it names. Numbered pages shift: when their total
 * has changed since the page before, the walk looks for the last row it has taken (as far back as
 * rows went, in this page where rows came) and goes on behind it. Was that row itself removed, so
 * many rows as went are read once more, so that none is lost; there may be doubles when some of
 * them stood behind it, or when a whole page of rows came at once. What comes and goes in equal
 * number is not noticed.
 *
 * A list without pages is cut into pages here. Its marker is several ids, of which the last that is
 * still there counts.
 */
#include "exchange/exchange_internal.h"

enum {
    PAGE_BYTES = 64 << 20, /* budget of one native page; replies are bounded by reply_bytes */
    PAGES_EMPTY = 20,      /* native pages read for one page of ours when little passes */
    PAGES_MOST = 2000,
    WIDTH = 100, /* where neither the table nor the caller says how wide a page is */
    MARKS = 8    /* ids that mark a place in a list without pages */
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
static uint32_t wanted_width(const struct slu_job *job, const struct slu_paging *paging)
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

static uint32_t width_of(const struct slu_job *job, const struct slu_paging *paging)
{
    uint32_t width = wanted_width(job, paging);

    return width < paging->min ? paging->min : width;
}

/* With numbers one can go straight to a row, as long as every row counts. */
static void jump(struct slu_job *job, const struct slu_paging *paging, uint32_t width)
{
    struct slu_list_wish *wish = &job->list;
    unsigned long long number;

    if (paging->style != SLU_PAGING_PAGE || wish->position.n || wish->filter_count || !width ||
        wish->skip < width)
        return;
    number = wish->skip / width + 1;
    wish->position = slu_arena_printf(job->arena, "%llu", number);
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
        slu_arena_share(&job->page_arena, job->station->worker->gateway->bodies, SLU_OWN_BYTES);
        if (job->arena->insists)
            slu_arena_insist(&job->page_arena);
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
    } else {
        bool over = job->target->memory || is_enough(job);

        if (job->paging)
            slu_arena_reset(&job->page_arena);
        if (over)
            return false;
    }
    job->pages++;
    job->list_end.again = false;
    job->list_end.begin = 0;
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
        job->list_end.more = true;
        return;
    }
    if (job->paging && job->page_losses.count)
        take_losses(job, at);
    slu_value_append(job->flow_log, slu_value_copy(job->arena, row));
}

/*
 * How many rows of this page were taken before, when pages have numbers and the total has changed.
 * Where rows went, rows not yet taken may stand on an earlier page: then that one is asked for
 * (*ret_back is its number) and this one is not taken.
 */
static uint32_t moved(struct slu_job *job, const struct slu_value *rows, uint64_t *ret_back)
{
    struct slu_list_end *end = &job->list_end;
    uint64_t total = job->outcome.total, page = 1, start;
    uint32_t found = behind(rows, end->last);

    *ret_back = 0;
    if (!end->knows_native_total || !job->outcome.has_total || end->native_total == total)
        return end->rewound ? found : 0;
    if (found || total > end->native_total || !end->width)
        return found;
    if (!slu_str_to_u64(job->page.position, &page))
        page = 1;
    if (!end->rewound)
        end->before = (page - 1) * end->width;
    start = end->native_total - total; /* so many went; from here on nothing has been taken */
    start = end->before > start ? end->before - start : 0;
    if (start / end->width + 1 < page)
        *ret_back = start / end->width + 1;
    return start / end->width + 1 == page ? (uint32_t)(start % end->width) : 0;
}

/* The page is only a sign that an earlier one has to be read again. */
static void go_back(struct slu_job *job, uint64_t page)
{
    struct slu_list_end *end = &job->list_end;

    end->rewound = end->again = true;
    end->next = slu_arena_printf(job->arena, "%llu", (unsigned long long)page);
}

/* The first page of ours began in the middle of this native one. */
static uint32_t taken_before(const struct slu_job *job, const struct slu_value *rows)
{
    uint32_t found = behind(rows, job->list.last);

    return found ? found : job->list.begin - 1; /* at the least that row has gone */
}

static void take_rows(struct slu_job *job, const struct slu_value *rows, uint32_t skip)
{
    struct slu_list_end *end = &job->list_end;
    struct slu_str last = SLU_STR_NONE;
    uint32_t at = 0;

    slu_value_each (row, rows) {
        if (at >= skip)
            take_row(job, row, at);
        if (end->more && !job->list.fill)
            break; /* the next page of ours goes on with this row */
        last = id_of(row);
        at++;
    }
    end->begin = end->more ? at : 0;
    if (last.n)
        end->last = slu_arena_str(job->arena, last);
}

/* What the native reply says of the list as a whole. */
static void note_end(struct slu_job *job)
{
    struct slu_list_end *end = &job->list_end;

    end->next = slu_arena_str(job->arena, job->outcome.next);
    end->knows_native_total = job->outcome.has_total;
    end->native_total = job->outcome.total;
    end->rewound = false;
    if (job->outcome.has_total && !job->list.filter_count) {
        end->has_total = true;
        end->total = job->outcome.total;
    } else if (!end->next.n) {
        end->has_total = true;
        end->total = end->passed;
    }
}

/* More was on the native page than found room: the next page of ours begins on it too. */
static void note_cut(struct slu_job *job)
{
    if (!job->list_end.more || job->list.fill)
        return;
    job->list_end.next =
        job->page.position.n ? slu_arena_str(job->arena, job->page.position) : SLU_STR("");
    job->list_end.has_total = false;
}

/* Lists without pages */

static uint32_t behind_marks(const struct slu_value *rows, struct slu_str marks)
{
    uint32_t most = 0;

    while (marks.n) {
        uint32_t at = behind(rows, slu_str_cut(&marks, '\n'));

        most = at > most ? at : most;
    }
    return most;
}

static void add_mark(struct slu_str marks[MARKS], struct slu_str id)
{
    memmove(marks, marks + 1, (MARKS - 1) * sizeof(marks[0]));
    marks[MARKS - 1] = id;
}

/* The ids of the last rows told, of this page of ours and the ones before. */
static struct slu_str marks_of(struct slu_job *job)
{
    struct slu_str marks[MARKS] = {0}, before = job->list.position, text = SLU_STR("");

    while (before.n)
        add_mark(marks, slu_str_cut(&before, '\n'));
    slu_value_each (row, job->flow_log)
        add_mark(marks, id_of(row));
    for (size_t i = 0; i < MARKS; i++)
        if (marks[i].n)
            text = slu_arena_printf(job->arena, "%.*s%s%.*s", SLU_FMT(text), text.n ? "\n" : "",
                                    SLU_FMT(marks[i]));
    return text;
}

/* All in one piece: the memory cloud's, or a cloud's that knows no pages. */
static void take_whole(struct slu_job *job, const struct slu_value *rows)
{
    struct slu_list_end *end = &job->list_end;

    take_rows(job, rows, behind_marks(rows, job->list.position));
    end->begin = 0;
    end->has_total = !job->list.position.n && (job->list.fill || !end->more);
    end->total = end->passed;
    end->next = end->more && have(job) ? marks_of(job) : SLU_STR("");
}

static void take_page(struct slu_job *job, const struct slu_value *rows, uint32_t skip)
{
    take_rows(job, rows, skip);
    note_end(job);
    note_cut(job);
}

enum slu_job_step slu_list_take(struct slu_job *job)
{
    const struct slu_value *rows = job->outcome.flow_logs;
    const struct slu_paging *paging = paging_of(job);
    uint32_t skip = 0;
    uint64_t back = 0;

    if (!rows || !paging) {
        take_whole(job, rows ? rows : job->flow_log);
    } else {
        if (job->pages == 1 && job->list.begin)
            skip = taken_before(job, rows);
        else if (paging->style == SLU_PAGING_PAGE)
            skip = moved(job, rows, &back);
        if (back)
            go_back(job, back);
        else
            take_page(job, rows, skip);
    }
    /* nothing of the outcome may outlive the page's arena */
    job->outcome.flow_logs = NULL;
    job->outcome.next = SLU_STR("");
    job->outcome.vendor_request_id = slu_arena_str(job->arena, job->outcome.vendor_request_id);
    return job->arena->failed ? slu_job_out_of_memory(job) : JOB_PLAN;
}
