/* The compiled plan of one operation as text, for people. */
#include "mapping/table_internal.h"

#include "codec/json.h"

static void add(struct slu_buf *out, struct slu_str text)
{
    slu_buf_add(out, text);
}

static void explain_canonical(const struct slu_table *table, const struct slu_row *row,
                              struct slu_buf *out)
{
    for (size_t i = 0; i < row->slot_count; i++) {
        if (i)
            slu_buf_lit(out, " + ");
        add(out, table->slots[row->slots[i]].pointer);
    }
    if (row->slot_count == 0)
        slu_buf_lit(out, "-");
}

static void explain_codec(const struct slu_row *row, struct slu_buf *out)
{
    slu_buf_printf(out, "  %s", slu_codec_name(row->codec));
    if (row->words)
        slu_buf_printf(out, " %.*s", SLU_FMT(row->words->name));
    if (row->codec == SLU_CODEC_SCALE)
        slu_buf_printf(out, " x %lld", (long long)row->factor);
    if (row->pattern.count)
        slu_buf_printf(out, " %.*s", SLU_FMT(row->pattern.text));
    if (row->format.n)
        slu_buf_printf(out, " %.*s", SLU_FMT(row->format));
    if (row->parameter.n)
        slu_buf_printf(out, " %.*s", SLU_FMT(row->parameter));
    if (row->canonical) {
        slu_buf_lit(out, " canonical ");
        slu_json_write(out, row->canonical);
    }
    if (row->native) {
        slu_buf_lit(out, " native ");
        slu_json_write(out, row->native);
    }
}

static void explain_row(const struct slu_table *table, const struct slu_row *row,
                        struct slu_buf *out)
{
    slu_buf_lit(out, "    ");
    explain_canonical(table, row, out);
    slu_buf_lit(out, " <-> ");
    add(out, row->has_n ? row->n.pointer : SLU_STR("-"));
    explain_codec(row, out);
    if (row->required)
        slu_buf_lit(out, ", required");
    if (row->required_if_count)
        slu_buf_lit(out, ", sometimes required");
    if (row->one.p)
        slu_buf_printf(out, ", the key %.*s", SLU_FMT(row->one));
    if (row->with.count)
        slu_buf_printf(out, ", with %.*s", SLU_FMT(row->with.pointer));
    if (row->derived)
        slu_buf_lit(out, ", derived");
    if (row->fallback) {
        slu_buf_printf(out, ", %sdefault ", row->default_if_count ? "sometimes " : "");
        slu_json_write(out, row->fallback);
    }
    if (row->absent) {
        slu_buf_lit(out, ", absent ");
        slu_json_write(out, row->absent);
    }
    if (row->limits)
        slu_buf_lit(out, ", limited");
    slu_buf_printf(out, "  (/fields/%zu)\n", row->index);
}

static void explain_lacks(const struct slu_table *table, const struct slu_rows *rows,
                          struct slu_buf *out)
{
    for (size_t i = 0; i < rows->lack_count; i++) {
        const struct slu_lack *lack = rows->lacks[i];

        slu_buf_printf(out, "    cannot %.*s", SLU_FMT(table->slots[lack->slot].pointer));
        for (size_t k = 0; k < lack->word_count; k++) {
            slu_buf_printf(out, "%s", k ? ", " : " ");
            slu_json_write(out, lack->words[k]);
        }
        for (size_t k = 0; k < lack->unless_count; k++) {
            slu_buf_printf(out, "%s", k ? ", " : " unless ");
            slu_json_write(out, lack->unless[k]);
        }
        for (size_t k = 0; k < lack->when_count; k++) {
            slu_buf_printf(out, "%s %.*s ", k ? "," : " when",
                           SLU_FMT(table->slots[lack->when[k].slot].pointer));
            slu_json_write(out, lack->when[k].value);
        }
        slu_buf_printf(out, ": %.*s\n", SLU_FMT(lack->reason));
    }
}

static void explain_side(const struct slu_table *table, enum slu_operation operation,
                         enum slu_side side, struct slu_buf *out)
{
    const struct slu_rows *rows = &table->plans[operation].rows[side];

    slu_buf_printf(out, "  %s rows\n", side == SLU_REQUEST ? "request" : "reply");
    for (size_t i = 0; i < rows->count; i++)
        explain_row(table, rows->writing[i], out);
    explain_lacks(table, rows, out);
}

static void explain_named(const char *what, const struct slu_named_templates *named,
                          struct slu_buf *out)
{
    for (size_t i = 0; i < named->count; i++)
        slu_buf_printf(out, "    %s %.*s: %.*s\n", what, SLU_FMT(named->items[i].name),
                       SLU_FMT(named->items[i].template.text));
}

static void explain_step(const struct slu_table *table, const struct slu_step *step, size_t index,
                         struct slu_buf *out)
{
    slu_buf_printf(out, "  step %zu: %.*s %.*s\n", index + 1, SLU_FMT(step->method),
                   SLU_FMT(step->path.text));
    if (step->action.n)
        slu_buf_printf(out, "    action %.*s\n", SLU_FMT(step->action));
    explain_named("query", &step->query, out);
    explain_named("header", &table->headers, out);
    explain_named("header", &step->headers, out);
    if (step->takes)
        slu_buf_printf(out, "    request document at \"%.*s\"%s\n", SLU_FMT(step->takes_at.pointer),
                       step->carries == SLU_CARRIES_VALUES  ? ", what is set"
                       : step->carries == SLU_CARRIES_NULLS ? ", what is cleared"
                                                            : "");
    slu_buf_lit(out, "    success");
    for (size_t i = 0; i < step->status_count; i++)
        slu_buf_printf(out, " %d", step->status[i]);
    if (step->gives)
        slu_buf_printf(out, ", %s at \"%.*s\"", step->each ? "flow logs" : "flow log",
                       SLU_FMT(step->gives_at.pointer));
    slu_buf_printf(out, "%s\n", step->echo ? ", completed with what was sent" : "");
    for (size_t i = 0; i < step->assume_count; i++) {
        slu_buf_printf(out, "    assume %.*s ",
                       SLU_FMT(table->slots[step->assume[i].slot].pointer));
        slu_json_write(out, step->assume[i].value);
        slu_buf_byte(out, '\n');
    }
    for (size_t i = 0; i < step->capture_count; i++)
        slu_buf_printf(out, "    capture {%.*s} from %.*s\n", SLU_FMT(step->capture[i].name),
                       SLU_FMT(step->capture[i].header.n ? step->capture[i].header
                                                         : step->capture[i].member.pointer));
}

static void explain_paging(const struct slu_paging *paging, struct slu_buf *out)
{
    slu_buf_printf(out, "  paged by %s: %.*s", slu_paging_style_name(paging->style),
                   SLU_FMT(paging->position));
    if (paging->size.p)
        slu_buf_printf(out, ", size %.*s", SLU_FMT(paging->size));
    if (paging->usual)
        slu_buf_printf(out, ", usually %u", paging->usual);
    if (paging->max)
        slu_buf_printf(out, ", at most %u", paging->max);
    if (paging->next.count)
        slu_buf_printf(out, ", next at \"%.*s\"", SLU_FMT(paging->next.pointer));
    else if (paging->style == SLU_PAGING_MARKER)
        slu_buf_lit(out, ", next is the last flow log's id");
    if (paging->total.count)
        slu_buf_printf(out, ", total at \"%.*s\"", SLU_FMT(paging->total.pointer));
    if (paging->page.count)
        slu_buf_printf(out, ", page at \"%.*s\"", SLU_FMT(paging->page.pointer));
    slu_buf_byte(out, '\n');
}

static void explain_filters(const struct slu_filters *filters, struct slu_buf *out)
{
    for (size_t i = 0; i < filters->count; i++) {
        const struct slu_filter_way *way = &filters->ways[i];

        if (way->numbered)
            slu_buf_printf(out, "  filters as %.*s, %.*s\n", SLU_FMT(way->name.text),
                           SLU_FMT(way->value.text));
        else
            slu_buf_printf(out, "  filters%s\n", way->repeat ? ", perhaps repeated" : "");
        for (size_t k = 0; k < way->count; k++)
            slu_buf_printf(out, "    %.*s <-> %.*s\n", SLU_FMT(way->members[k].pointer),
                           SLU_FMT(way->members[k].name.text));
    }
}

static void explain_after(const struct slu_plan *plan, struct slu_buf *out)
{
    if (plan->has_poll)
        slu_buf_printf(out, "  poll %s after %u ms, every %u ms, for %u ms\n",
                       slu_operation_name(plan->poll.with), plan->poll.first_ms,
                       plan->poll.every_ms, plan->poll.limit_ms);
    if (plan->find_by.operation != SLU_OP_COUNT) {
        slu_buf_printf(out, "  looked up with %s by", slu_operation_name(plan->find_by.operation));
        for (size_t i = 0; i < plan->find_by.match_count; i++)
            slu_buf_printf(out, " %.*s", SLU_FMT(plan->find_by.match[i]));
        slu_buf_byte(out, '\n');
    }
    if (plan->token.name.p)
        slu_buf_printf(out, "  token in the %s %.*s, at most %u\n",
                       plan->token.parameter ? "parameter" : "header", SLU_FMT(plan->token.name),
                       plan->token.most);
    if (plan->undo != SLU_OP_COUNT)
        slu_buf_printf(out, "  undone with %s\n", slu_operation_name(plan->undo));
}

void slu_table_explain(const struct slu_table *table, enum slu_operation operation,
                       struct slu_buf *out)
{
    const struct slu_plan *plan = &table->plans[operation];

    slu_buf_printf(out, "%.*s %s\n", SLU_FMT(table->dialect), slu_operation_name(operation));
    if (!plan->served) {
        slu_buf_lit(out, "  is not served by this dialect\n");
        return;
    }
    for (size_t i = 0; i < plan->step_count; i++)
        explain_step(table, &plan->steps[i], i, out);
    if (operation == SLU_OP_LIST && table->paging)
        explain_paging(table->paging, out);
    if (operation == SLU_OP_LIST)
        for (size_t i = 0; i < plan->step_count; i++)
            if (plan->steps[i].filters)
                explain_filters(plan->steps[i].filters, out);
    if (slu_table_main_step(table, operation, SLU_REQUEST))
        explain_side(table, operation, SLU_REQUEST, out);
    if (slu_table_main_step(table, operation, SLU_REPLY))
        explain_side(table, operation, SLU_REPLY, out);
    explain_after(plan, out);
}
