/*
 * The client role, inward: what a cloud's answer means. A success is read by the rows and completed
 * with what was sent and what the table knows; anything else goes to errors.c.
 */
#include "mapping/errors_internal.h"

#include "codec/time.h"

enum { MS_A_SECOND = 1000 };

struct reader {
    struct slu_run run;
    const struct slu_response *response;
    const struct slu_value *sent;
    struct slu_vars *vars;
    struct slu_value *body; /* NULL: no document */
    struct slu_str why;     /* then: what is wrong with it */
    struct slu_str root;    /* in XML: the root's name */
    struct slu_outcome *outcome;
    struct slu_fault *fault;
};

/* ---- hints ---- */

static uint32_t milliseconds(uint64_t number, uint32_t unit_ms)
{
    uint64_t ms;

    if (__builtin_mul_overflow(number, (uint64_t)unit_ms, &ms) || ms > UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)ms;
}

static uint32_t scaled(struct slu_str text, uint32_t unit_ms)
{
    uint64_t number;

    return slu_str_to_u64(text, &number) ? milliseconds(number, unit_ms) : 0;
}

/* Counted from the reply's own Date: its clock need not be ours. What is over is no hint. */
static uint32_t until_date(struct slu_str text, const struct slu_response *response)
{
    struct slu_str date = slu_headers_value(&response->headers, SLU_STR("date"));
    int64_t now_s = response->received_s, at_s;

    if (!now_s || !slu_time_http(text, now_s, &at_s))
        return 0;
    if (!slu_time_date(date, response->received_s, &now_s))
        now_s = response->received_s;
    return at_s > now_s ? milliseconds((uint64_t)(at_s - now_s), MS_A_SECOND) : 0;
}

/* RFC 9110 §10.2.3: seconds or a date. The table's own header is finer. */
static uint32_t retry_after(const struct slu_table *table, const struct slu_response *response)
{
    struct slu_str text = slu_headers_value(&response->headers, SLU_STR("retry-after"));
    uint32_t ms = 0;

    if (table->retry_header.p)
        ms = scaled(slu_headers_value(&response->headers, table->retry_header),
                    table->retry_unit_ms);
    if (!ms)
        ms = scaled(text, MS_A_SECOND);
    return ms ? ms : until_date(text, response);
}

static struct slu_str request_id(struct reader *reader)
{
    const struct slu_table *table = reader->run.table;

    for (size_t i = 0; i < table->request_id_header_count; i++) {
        struct slu_str value =
            slu_headers_value(&reader->response->headers, table->request_id_headers[i]);

        if (value.n)
            return slu_plain_text(reader->run.arena, value, SLU_VENDOR_WORD);
    }
    for (size_t i = 0; reader->body && i < table->request_id_member_count; i++) {
        const struct slu_value *value = slu_path_get(&table->request_id_members[i], reader->body);

        if (slu_value_is(value, SLU_STRING) && value->text.n)
            return slu_plain_text(reader->run.arena, value->text, SLU_VENDOR_WORD);
    }
    return SLU_STR("");
}

/* ---- outcomes that are no success ---- */

static void unreadable(struct reader *reader, struct slu_str words)
{
    struct slu_outcome *outcome = reader->outcome;

    outcome->kind = SLU_FAULT_UPSTREAM_UNREADABLE;
    outcome->retry = SLU_RETRY_NO;
    outcome->flow_log = outcome->flow_logs = NULL;
    outcome->words = words;
}

static bool finish_error(struct reader *reader)
{
    slu_errors_read(reader->run.table, reader->run.operation, reader->response->status,
                    reader->body, reader->run.arena, reader->outcome);
    return !reader->run.arena->failed || slu_fault_memory(reader->fault);
}

static bool is_something(const struct slu_value *value)
{
    return value && value->kind != SLU_NULL && (value->kind != SLU_STRING || value->text.n) &&
           ((value->kind != SLU_ARRAY && value->kind != SLU_OBJECT) || value->count);
}

static bool fails_anyway(const struct reader *reader)
{
    const struct slu_step *step = reader->run.step;

    for (size_t i = 0; reader->body && i < step->fail_if_count; i++) {
        const struct slu_fail_if *item = &step->fail_if[i];
        const struct slu_value *value = slu_path_get(&item->path, reader->body);

        if (item->value ? value && slu_constant_equal(item->value, value, reader->run.texts)
                        : is_something(value))
            return true;
    }
    return false;
}

/* ---- success ---- */

static bool was_lost(const struct slu_losses *losses, struct slu_str pointer)
{
    for (const struct slu_loss *loss = losses->first; loss; loss = loss->next)
        if (loss->direction == SLU_REQUEST && slu_str_eq(loss->pointer, pointer))
            return true;
    return false;
}

/* Does what was sent hold now? Of an update also a null, for it clears; but the patch of an object
 * is not the object, unless the whole flow log is told as it was meant to be: that one has an id.
 */
static bool holds(const struct slu_run *run, const struct slu_slot *slot,
                  const struct slu_value *value, bool whole)
{
    if (run->operation != SLU_OP_UPDATE)
        return value->kind != SLU_NULL;
    return whole || slot->member->type != SLU_MEMBER_TEXTS || !slu_table_in_parts(run->table);
}

/* A reply that only confirms is completed with what was sent, but for what was left out of it. */
static void echo(struct reader *reader)
{
    struct slu_run sent = reader->run;
    struct slu_run *run = &reader->run;
    bool whole;

    memset(sent.slots, 0, sizeof(sent.slots));
    slu_run_spread(&sent, reader->sent, NULL);
    whole = sent.slots[slu_slot_find(run->table, SLU_STR("/id"))];
    for (uint8_t i = 0; i < run->table->slot_count; i++) {
        const struct slu_slot *slot = &run->table->slots[i];
        const struct slu_value *value = sent.slots[i];

        if (run->slots[i] || !value || !holds(run, slot, value, whole) || slot->inner ||
            !slot->member->translated || !slot->member->in_reply || run->rows->lacking >> i & 1 ||
            slu_run_lacks(run, i, sent.slots) || was_lost(run->losses, slot->pointer))
            continue;
        run->slots[i] = slu_value_share(run->arena, value);
    }
}

static void set_text(struct reader *reader, const char *pointer, struct slu_str text)
{
    uint8_t slot = slu_slot_find(reader->run.table, slu_str_of(pointer));

    if (!reader->run.slots[slot] && text.p)
        reader->run.slots[slot] = slu_value_string(reader->run.arena, text);
}

static void add_defaults(struct slu_run *run)
{
    const struct slu_rows *rows = &run->table->plans[run->operation].rows[SLU_REQUEST];

    for (size_t i = 0; run->operation == SLU_OP_CREATE && i < rows->count; i++) {
        const struct slu_row *row = rows->writing[i];

        if (slu_row_default(run, row) && !run->slots[row->slot])
            run->slots[row->slot] = slu_value_share(run->arena, row->fallback);
    }
}

static void complete(struct reader *reader)
{
    struct slu_run *run = &reader->run;
    const struct slu_step *step = run->step;

    if (step->echo) {
        echo(reader);
        add_defaults(run);
    }
    if (run->operation != SLU_OP_CREATE)
        set_text(reader, "/id", slu_vars_get(reader->vars, SLU_STR("id")));
    slu_run_assume(run);
    slu_run_fill_lacking(run);
}

/* A create must name the new flow log, and an answer about one must be about the one asked for. */
static bool check_id(struct reader *reader, const struct slu_value *flow_log)
{
    const struct slu_value *id = slu_value_member(flow_log, "id");
    struct slu_str asked = slu_vars_get(reader->vars, SLU_STR("id"));

    if (!slu_value_is(id, SLU_STRING) || id->text.n == 0) {
        unreadable(reader, SLU_STR("the cloud's answer names no id of the flow log"));
        return false;
    }
    if (reader->run.operation != SLU_OP_CREATE && asked.p && !slu_str_eq(asked, id->text)) {
        unreadable(reader, SLU_STR("the cloud's answer is about another flow log"));
        return false;
    }
    return true;
}

static bool is_last(const struct reader *reader, size_t step)
{
    return step + 1 == reader->run.table->plans[reader->run.operation].step_count;
}

static void read_flow_log(struct reader *reader, bool last)
{
    struct slu_run *run = &reader->run;
    const struct slu_value *place = slu_path_get(&run->step->gives_at, reader->body);

    if (!place && run->step->absent != SLU_FAULT_NONE) {
        reader->outcome->kind = run->step->absent;
        reader->outcome->retry = slu_fault_info(run->step->absent)->retry;
        reader->outcome->words = slu_str_of(slu_fault_info(run->step->absent)->title);
        return;
    }
    if (!slu_run_read_slots(run, reader->body)) {
        unreadable(reader,
                   slu_arena_printf(run->arena, "the cloud's answer has no flow log at %.*s",
                                    SLU_FMT(run->step->gives_at.pointer)));
        return;
    }
    complete(reader);
    reader->outcome->flow_log = slu_run_assemble(run);
    if (last && !run->arena->failed)
        (void)check_id(reader, reader->outcome->flow_log);
}

static void read_list(struct reader *reader)
{
    struct slu_run *run = &reader->run;
    struct slu_str why;
    bool nothing;

    reader->outcome->flow_logs = slu_run_read_document(run, reader->body, &nothing);
    if (!reader->outcome->flow_logs && !run->arena->failed)
        unreadable(reader, slu_arena_printf(run->arena,
                                            "the cloud's answer has no list of flow logs at %.*s",
                                            SLU_FMT(run->step->gives_at.pointer)));
    else if (reader->outcome->flow_logs && !slu_page_read(run, reader->body, reader->outcome, &why))
        unreadable(reader, why);
}

/* Without a document only the echo and what the table assumes can be told. */
static void read_nothing(struct reader *reader)
{
    struct slu_run *run = &reader->run;

    memset(run->slots, 0, sizeof(run->slots));
    if (!run->step->echo && run->step->assume_count == 0)
        return;
    complete(reader);
    reader->outcome->flow_log = slu_run_assemble(run);
}

static void capture(struct reader *reader)
{
    const struct slu_step *step = reader->run.step;

    for (size_t i = 0; i < step->capture_count; i++) {
        const struct slu_capture *item = &step->capture[i];
        struct slu_str text = SLU_STR_NONE;
        const struct slu_value *value =
            reader->body && !item->header.p ? slu_path_get(&item->member, reader->body) : NULL;

        if (item->header.p)
            text = slu_headers_value(&reader->response->headers, item->header);
        else if (slu_value_is(value, SLU_STRING) || slu_value_is(value, SLU_NUMBER))
            text = value->text;
        if (text.n == 0 || !slu_vars_set(reader->vars, item->name, text)) {
            unreadable(reader, slu_arena_printf(reader->run.arena,
                                                "the cloud's answer lacks %.*s, which the next "
                                                "call needs",
                                                SLU_FMT(item->name)));
            return;
        }
    }
}

static bool finish_success(struct reader *reader, size_t step)
{
    struct slu_run *run = &reader->run;

    if (run->step->gives && !reader->body)
        unreadable(reader, reader->why);
    else if (reader->body && run->xml && !slu_str_eq_nocase(reader->root, run->step->xml_root))
        unreadable(reader, slu_arena_printf(run->arena, "the cloud's answer is a %.*s, not a %.*s",
                                            SLU_FMT(reader->root), SLU_FMT(run->step->xml_root)));
    else if (run->step->each)
        read_list(reader);
    else if (run->step->gives)
        read_flow_log(reader, is_last(reader, step));
    else
        read_nothing(reader);
    if (reader->outcome->kind == SLU_FAULT_NONE)
        capture(reader);
    return !run->arena->failed || slu_fault_memory(reader->fault);
}

/* ---- */

static void read_body(struct reader *reader)
{
    if (reader->response->body.n)
        reader->body =
            slu_reply_parse(&reader->run, reader->response->body, &reader->root, &reader->why);
    else
        reader->why = SLU_STR("the cloud's answer is empty");
}

static bool is_success(const struct slu_step *step, int status)
{
    for (size_t i = 0; i < step->status_count; i++)
        if (step->status[i] == status)
            return true;
    return false;
}

bool slu_table_read_reply(const struct slu_table *table, enum slu_operation operation, size_t step,
                          const struct slu_response *response, const struct slu_value *sent,
                          struct slu_vars *vars, struct slu_arena *arena, struct slu_losses *losses,
                          struct slu_outcome *ret_outcome, struct slu_fault *fault)
{
    struct slu_mistakes mistakes;
    struct reader reader = {.response = response, .sent = sent, .vars = vars, .fault = fault};

    slu_must(step < slu_table_steps(table, operation));
    *ret_outcome = (struct slu_outcome){.kind = SLU_FAULT_NONE};
    slu_mistakes_init(&mistakes, arena);
    slu_run_init(&reader.run, table, operation, SLU_REPLY, &table->plans[operation].steps[step],
                 vars, arena, losses, &mistakes);
    reader.outcome = ret_outcome;
    read_body(&reader);
    if (arena->failed)
        return slu_fault_memory(fault);
    ret_outcome->vendor_request_id = request_id(&reader);
    ret_outcome->retry_after_ms = retry_after(table, response);
    if (is_success(reader.run.step, response->status) && !fails_anyway(&reader))
        return finish_success(&reader, step);
    return finish_error(&reader);
}
