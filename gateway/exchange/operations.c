/*
 * Operations: what the journal knows of a caller's writes, one or all of them, newest first. The
 * answer that the caller got, or would have got, tells the flow log or the error.
 */
#include "exchange/rest.h"

#include "codec/build.h"
#include "codec/json.h"
#include "codec/text.h"
#include "codec/time.h"

enum { USUAL = 50, MOST = 200 };

static bool has_journal(struct slu_exchange *x)
{
    if (x->station->worker->gateway->journal)
        return true;
    slu_exchange_fail(x, SLU_FAULT_NOT_IMPLEMENTED, "",
                      "this gateway keeps no journal of writes; configure \"store\"");
    return false;
}

enum slu_step slu_rest_operation(struct slu_exchange *x)
{
    struct slu_letter *letter = has_journal(x) ? slu_record_ask(x) : NULL;

    if (!letter)
        return STEP_REPLY;
    if (slu_journal_get(x->station->worker->gateway->journal, x->operation_id, x->caller->name,
                        slu_letter_answered, letter, &x->fault))
        return STEP_RECORD;
    return slu_record_unasked(x);
}

/* Where a page of the list goes on: "<created_ms>-<id>", as the page before told. */
static bool read_place(struct slu_exchange *x, struct slu_str token,
                       struct slu_journal_filter *filter)
{
    struct slu_str rest = token, created = slu_str_cut(&rest, '-');
    uint64_t ms;

    if (!slu_str_to_u64(created, &ms) || ms > INT64_MAX || rest.n != SLU_OPERATION_ID) {
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "page_token",
                          "page_token is not one of ours; take next_page_token as it is");
        return false;
    }
    filter->before_ms = (int64_t)ms;
    filter->before_id = rest;
    return true;
}

static bool read_size(struct slu_exchange *x, struct slu_str value, size_t *ret_size)
{
    uint64_t size;

    if (!slu_str_to_u64(value, &size) || size < 1 || size > MOST) {
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "page_size",
                          "page_size is a number from 1 to %d", MOST);
        return false;
    }
    *ret_size = (size_t)size;
    return true;
}

static bool read_words(struct slu_exchange *x, struct slu_journal_filter *filter)
{
    enum slu_record_state state;
    enum slu_operation operation;

    if (filter->state.p && !slu_record_state_of(filter->state, &state))
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "status",
                          "status is running, succeeded, failed or unknown");
    else if (filter->operation.p &&
             (!slu_operation_of(filter->operation, &operation) || !slu_operation_writes(operation)))
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "operation",
                          "operation is create, update or delete");
    else
        return true;
    return false;
}

static struct slu_str parameter(const struct slu_exchange *x, struct slu_str name)
{
    const struct slu_param *param = slu_params_find(&x->query, name);

    return param ? param->value : SLU_STR_NONE;
}

enum slu_step slu_rest_operations(struct slu_exchange *x)
{
    struct slu_journal_filter filter = {.caller = x->caller->name,
                                        .state = parameter(x, SLU_STR("status")),
                                        .target = parameter(x, SLU_STR("target")),
                                        .operation = parameter(x, SLU_STR("operation")),
                                        .most = USUAL};
    struct slu_str size = parameter(x, SLU_STR("page_size"));
    struct slu_str token = parameter(x, SLU_STR("page_token"));
    struct slu_letter *letter;

    if (!has_journal(x) || !read_words(x, &filter) ||
        (size.p && !read_size(x, size, &filter.most)) ||
        (token.p && !read_place(x, token, &filter)))
        return STEP_REPLY;
    letter = slu_record_ask(x);
    if (!letter)
        return STEP_REPLY;
    if (slu_journal_list(x->station->worker->gateway->journal, &filter, slu_letter_answered, letter,
                         &x->fault))
        return STEP_RECORD;
    return slu_record_unasked(x);
}

/* Answers */

static void put_text(struct slu_arena *arena, struct slu_value *object, struct slu_str name,
                     struct slu_str text)
{
    slu_value_put(object, name, slu_value_string(arena, slu_arena_str(arena, text)));
}

static void put_time(struct slu_arena *arena, struct slu_value *object, struct slu_str name,
                     int64_t ms)
{
    char text[SLU_TIME_EXTENDED];

    slu_time_extended(ms / 1000, text);
    put_text(arena, object, name, (struct slu_str){text, sizeof(text)});
}

/* NULL: there is none, or none that can be read. */
static struct slu_value *read_text(struct slu_arena *arena, struct slu_str text)
{
    struct slu_mistakes unread;

    slu_mistakes_init(&unread, arena);
    return text.n ? slu_json_read(arena, slu_arena_str(arena, text), (struct slu_json_limits){0},
                                  &unread)
                  : NULL;
}

static void put_targets(struct slu_arena *arena, struct slu_value *document, struct slu_str names)
{
    struct slu_value *list = slu_value_new(arena, SLU_ARRAY);
    struct slu_str rest = names;
    size_t count = 0;

    while (rest.p) {
        struct slu_str name = slu_str_cut(&rest, '\n');

        slu_value_append(list, slu_value_string(arena, slu_arena_str(arena, name)));
        count++;
    }
    if (count == 1)
        put_text(arena, document, SLU_STR("target"), names);
    else
        slu_value_put(document, SLU_STR("targets"), list);
}

/* A flow log, results of several targets, or an error. A door's answer is in its client's words and
 * not repeated here. */
static void put_answer(struct slu_arena *arena, struct slu_value *document,
                       const struct slu_record *record)
{
    struct slu_value *answer =
        slu_str_starts(record->scope, SLU_STR("door ")) ? NULL : read_text(arena, record->body);
    struct slu_value *results = slu_value_member(answer, "results");

    if (!slu_value_is(answer, SLU_OBJECT))
        return;
    if (results && slu_value_remove(answer, results))
        slu_value_put(document, SLU_STR("results"), results);
    else
        slu_value_put(document, record->status < 300 ? SLU_STR("flow_log") : SLU_STR("error"),
                      answer);
}

/* What was recorded too late for whoever wanted it, and so never begun, has no answer. */
static void put_end(struct slu_arena *arena, struct slu_value *document,
                    const struct slu_record *record)
{
    struct slu_fault fault = {0};

    if (record->state != SLU_RECORD_FAILED || record->attempts || record->headers.p) {
        slu_value_put(document, SLU_STR("http_status"), slu_value_int(arena, record->status));
        put_answer(arena, document, record);
        return;
    }
    slu_fault_set(&fault, SLU_FAULT_UNAVAILABLE, "",
                  "the write was recorded too late, so nothing was sent: send it again");
    slu_value_put(document, SLU_STR("http_status"),
                  slu_value_int(arena, slu_fault_info(fault.kind)->status));
    slu_value_put(document, SLU_STR("error"), slu_problem_of(arena, &fault));
}

/* Before the first note there is but one thing to tell of a part. */
static struct slu_value *first_parts(struct slu_arena *arena, const struct slu_record *record)
{
    struct slu_value *list = slu_value_new(arena, SLU_ARRAY);
    struct slu_str rest = record->targets;

    while (rest.p) {
        struct slu_str name = slu_arena_str(arena, slu_str_cut(&rest, '\n'));
        struct slu_value *part = slu_add_object(arena, list);

        slu_put_str(arena, part, "target", name);
        slu_put_text(arena, part, "status", slu_record_state_name(record->state));
    }
    return list;
}

static void put_progress(struct slu_arena *arena, struct slu_value *document,
                         const struct slu_value *parts)
{
    struct slu_value *progress = slu_put_object(arena, document, "progress");
    int64_t done = 0, count = 0;

    if (parts)
        slu_value_each (part, parts) {
            const struct slu_value *status = slu_value_member(part, "status");

            count++;
            done += !(slu_value_is(status, SLU_STRING) && slu_str_is(status->text, "running"));
        }
    slu_put_int(arena, progress, "done", done);
    slu_put_int(arena, progress, "of", count);
}

static void put_parts(struct slu_arena *arena, struct slu_value *document,
                      const struct slu_record *record)
{
    struct slu_value *parts = read_text(arena, record->parts);
    const struct slu_value *upstream = read_text(arena, record->upstream);
    bool running = record->state == SLU_RECORD_RUNNING;

    if (!slu_value_is(parts, SLU_ARRAY))
        parts = running || !memchr(record->targets.p, '\n', record->targets.n)
                    ? first_parts(arena, record)
                    : NULL;
    if (running)
        put_progress(arena, document, parts);
    if (!parts)
        return;
    slu_value_each (part, parts) {
        const struct slu_value *name = slu_value_member(part, "target");
        const struct slu_value *ids =
            slu_value_is(name, SLU_STRING) ? slu_value_find(upstream, name->text) : NULL;

        if (ids)
            slu_value_put(part, SLU_STR("upstream_request_ids"), slu_value_copy(arena, ids));
    }
    slu_value_put(document, SLU_STR("parts"), parts);
}

struct slu_value *slu_operation_document(struct slu_arena *arena, const struct slu_record *record)
{
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);

    if (!document)
        return NULL;
    put_text(arena, document, SLU_STR("id"), record->id);
    put_text(arena, document, SLU_STR("status"), slu_str_of(slu_record_state_name(record->state)));
    put_text(arena, document, SLU_STR("operation"), record->operation);
    put_targets(arena, document, record->targets);
    if (record->flow_log_id.n)
        put_text(arena, document, SLU_STR("flow_log_id"), record->flow_log_id);
    slu_value_put(document, SLU_STR("attempts"), slu_value_int(arena, record->attempts));
    put_time(arena, document, SLU_STR("created_at"), record->created_ms);
    put_time(arena, document, SLU_STR("updated_at"), record->updated_ms);
    put_parts(arena, document, record);
    if (record->state != SLU_RECORD_RUNNING)
        put_end(arena, document, record);
    return document;
}

static void list_document(struct slu_exchange *x, const struct slu_journal_reply *told)
{
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY);
    const struct slu_record *last = told->count ? &told->records[told->count - 1] : NULL;

    x->document = slu_value_new(x->arena, SLU_OBJECT);
    for (size_t i = 0; i < told->count; i++)
        slu_value_append(list, slu_operation_document(x->arena, &told->records[i]));
    slu_value_put(x->document, SLU_STR("operations"), list);
    slu_value_put(x->document, SLU_STR("next_page_token"),
                  told->more && last
                      ? slu_value_string(x->arena, slu_arena_printf(x->arena, "%lld-%.*s",
                                                                    (long long)last->created_ms,
                                                                    SLU_FMT(last->id)))
                      : slu_value_new(x->arena, SLU_NULL));
}

enum slu_step slu_operations_told(struct slu_exchange *x)
{
    const struct slu_journal_reply *told = x->told;

    if (told->outcome == SLU_JOURNAL_FAILED)
        return slu_exchange_fail(x, SLU_FAULT_UNAVAILABLE, "", "the journal cannot be read: %s",
                                 told->fault.words);
    if (!x->operation_id.p)
        list_document(x, told);
    else if (told->outcome == SLU_JOURNAL_DONE && told->count == 1)
        x->document = slu_operation_document(x->arena, &told->records[0]);
    else
        return slu_exchange_fail(x, SLU_FAULT_NOT_FOUND, "",
                                 "there is no operation %.*s of this caller",
                                 SLU_FMT(x->operation_id));
    return STEP_REPLY;
}
