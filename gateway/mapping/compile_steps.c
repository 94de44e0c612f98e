/* Operations with their steps, errors and cases. */
#include "codec/json.h"
#include "codec/shape.h"
#include "codec/text.h"
#include "mapping/table_internal.h"

static struct slu_str inside(struct slu_compile *compile, struct slu_str at, const char *name)
{
    return slu_pointer_member(compile->arena, at, slu_str_of(name));
}

static enum slu_fault_kind kind_of(struct slu_compile *compile, struct slu_str code,
                                   struct slu_str at)
{
    const char *codes[SLU_FAULT_KIND_COUNT], *near;
    enum slu_fault_kind kind = slu_fault_kind_of(code);

    if (kind != SLU_FAULT_NONE)
        return kind;
    for (size_t i = 0; i < SLU_FAULT_KIND_COUNT; i++)
        codes[i] = slu_fault_info((enum slu_fault_kind)i)->code;
    near = slu_nearest(code, codes, SLU_FAULT_KIND_COUNT);
    slu_table_wrong(compile, at, "is no canonical code%s%s%s", near ? "; did you mean '" : "",
                    near ? near : "", near ? "'?" : "");
    return SLU_FAULT_NONE;
}

/* ---- a step ---- */

static void compile_reply(struct slu_compile *compile, const json_t *json, struct slu_step *step,
                          struct slu_str at)
{
    const json_t *list = json_object_get(json, "status");
    const json_t *each = json_object_get(json, "each"), *where = json_object_get(json, "at");
    struct slu_str absent = slu_ours_str(json, "absent");
    int *status = slu_table_array(compile, json_array_size(list), sizeof(int));

    for (size_t i = 0; status && i < json_array_size(list); i++)
        status[step->status_count++] = (int)json_integer_value(json_array_get(list, i));
    step->status = status;
    if (each && where)
        slu_table_wrong(compile, inside(compile, at, "each"), "stands in place of \"at\"");
    step->each = each;
    step->gives = each || where;
    if (step->gives)
        step->gives_at = slu_table_path(compile, slu_ours_text(each ? each : where),
                                        inside(compile, at, each ? "each" : "at"));
    if (each && step->gives_at.count == 0)
        slu_table_wrong(compile, inside(compile, at, "each"), "must be a pointer to a member");
    for (size_t i = 0; i < step->gives_at.count; i++)
        if (slu_index_step(step->gives_at.steps[i]) && !slu_str_is(step->gives_at.steps[i], "0"))
            slu_table_wrong(compile, inside(compile, at, each ? "each" : "at"),
                            "may enter a list at position 0 only");
    if (absent.p)
        step->absent = kind_of(compile, absent, inside(compile, at, "absent"));
    step->echo = slu_ours_bool(json, "echo", false);
    step->envelope = slu_table_envelope(compile, json_object_get(json, "envelope"),
                                        inside(compile, at, "envelope"), &step->envelope_count);
    step->assume = slu_table_conditions(compile, json_object_get(json, "assume"),
                                        inside(compile, at, "assume"), &step->assume_count);
}

static void compile_fail_if(struct slu_compile *compile, const json_t *list, struct slu_step *step,
                            struct slu_str at)
{
    size_t size = json_array_size(list);
    struct slu_fail_if *items = slu_table_array(compile, size, sizeof(struct slu_fail_if));

    for (size_t i = 0; items && i < size; i++) {
        struct slu_str place = slu_table_at(compile, "%.*s/fail_if/%zu", SLU_FMT(at), i);
        const json_t *pair = json_array_get(list, i);

        if (!json_is_string(json_array_get(pair, 0))) {
            slu_table_wrong(compile, place, "must be [pointer, value] or [pointer]");
            continue;
        }
        items[step->fail_if_count].path =
            slu_table_path(compile, slu_ours_text(json_array_get(pair, 0)), place);
        if (json_array_size(pair) > 1)
            items[step->fail_if_count].value = slu_table_value(compile, json_array_get(pair, 1));
        step->fail_if_count++;
    }
    step->fail_if = items;
}

static void compile_capture(struct slu_compile *compile, const json_t *map, struct slu_step *step,
                            struct slu_str at)
{
    struct slu_capture *items =
        slu_table_array(compile, json_object_size(map), sizeof(struct slu_capture));
    const char *name;
    json_t *value;

    step->capture = items;
    if (!items)
        return;
    json_object_foreach((json_t *)map, name, value)
    {
        struct slu_str place = inside(compile, inside(compile, at, "capture"), name);
        struct slu_capture *item = &items[step->capture_count++];
        struct slu_str member = slu_ours_str(value, "member");

        item->name = slu_str_of(name);
        item->header = slu_ours_str(value, "header");
        if (!member.p == !item->header.p)
            slu_table_wrong(compile, place, "needs either \"member\" or \"header\"");
        if (member.p)
            item->member = slu_table_path(compile, member, place);
    }
}

static void compile_schemes(struct slu_compile *compile, struct slu_step *step)
{
    struct slu_table *table = compile->table;
    size_t size = sizeof(struct slu_named_templates);

    step->scheme_query = slu_table_array(compile, table->scheme_count, size);
    step->scheme_headers = slu_table_array(compile, table->scheme_count, size);
    for (size_t i = 0; step->scheme_query && step->scheme_headers && i < table->scheme_count; i++) {
        struct slu_str at = slu_table_at(compile, "/transport/signing/%zu", i);

        step->scheme_query[i] = slu_named_compile(compile, table->signing[i].query, step->action,
                                                  true, inside(compile, at, "query"));
        step->scheme_headers[i] = slu_named_compile(
            compile, table->signing[i].headers, step->action, true, inside(compile, at, "headers"));
    }
}

static void compile_step(struct slu_compile *compile, const json_t *json, struct slu_step *step,
                         struct slu_str at)
{
    const json_t *takes = json_object_get(json, "request");
    const json_t *reply = json_object_get(json, "reply");
    struct slu_str carries = slu_ours_str(json, "carries");

    step->method = slu_ours_str(json, "method");
    step->also = slu_table_texts(compile, json_object_get(json, "also"), &step->also_count);
    step->action = slu_ours_str(json, "action");
    step->path = slu_template_compile(compile, slu_ours_str(json, "path"), step->action,
                                      inside(compile, at, "path"));
    if (!slu_str_starts(step->path.text, SLU_STR("/")))
        slu_table_wrong(compile, inside(compile, at, "path"), "must begin with \"/\"");
    step->query = slu_named_compile(compile, json_object_get(json, "query"), step->action, true,
                                    inside(compile, at, "query"));
    step->headers = slu_named_compile(compile, json_object_get(json, "headers"), step->action, true,
                                      inside(compile, at, "headers"));
    compile_schemes(compile, step);
    step->xml_root = slu_encoding_root(compile, step->action);
    step->takes = takes;
    step->carries = slu_str_is(carries, "values")  ? SLU_CARRIES_VALUES
                    : slu_str_is(carries, "nulls") ? SLU_CARRIES_NULLS
                                                   : SLU_CARRIES_ALL;
    if (takes)
        step->takes_at =
            slu_table_path(compile, slu_ours_str(takes, "at"), inside(compile, at, "request"));
    if (compile->table->flat && step->takes_at.count)
        slu_table_wrong(compile, inside(compile, at, "request"),
                        "a list of parameters has no members inside: \"at\" must be \"\"");
    compile_reply(compile, reply, step, inside(compile, at, "reply"));
    compile_fail_if(compile, json_object_get(reply, "fail_if"), step, inside(compile, at, "reply"));
    compile_capture(compile, json_object_get(json, "capture"), step, at);
}

/* ---- the rows of one operation and side ---- */

static bool takes_part(const struct slu_row *row, enum slu_operation operation, enum slu_side side)
{
    bool fixed_value = row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER;

    if (!(row->operations >> operation & 1) ||
        !(side == SLU_REQUEST ? row->requests : row->replies))
        return false;
    if (side == SLU_REPLY || operation == SLU_OP_CREATE || row->is_mutable)
        return true;
    return row->named && (fixed_value || operation != SLU_OP_UPDATE);
}

static uint32_t bits_of(const struct slu_row *row)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < row->slot_count; i++)
        bits |= 1u << row->slots[i];
    return bits;
}

/* What is taken out of a list is written before its rest. Derived rows and constants beside others
 * look at what was written, and conditional words at what was read: they go last. */
static int turn_of(const struct slu_row *row)
{
    return row->derived || row->with.count ? 2 : row->one.p == NULL;
}

static void order_rows(struct slu_compile *compile, struct slu_rows *rows,
                       enum slu_operation operation, enum slu_side side)
{
    const struct slu_table *table = compile->table;
    size_t size = sizeof(const struct slu_row *), write = 0, read = 0;

    rows->writing = slu_table_array(compile, table->row_count, size);
    rows->reading = slu_table_array(compile, table->row_count, size);
    for (int turn = 0; rows->writing && rows->reading && turn < 3; turn++)
        for (size_t i = 0; i < table->row_count; i++) {
            const struct slu_row *row = &table->rows[i];

            if (!takes_part(row, operation, side))
                continue;
            if (turn_of(row) == turn)
                rows->writing[write++] = row;
            if ((row->words && row->words->conditional) == turn - 1)
                rows->reading[read++] = row;
        }
    rows->count = write;
}

static void compile_rows(struct slu_compile *compile, struct slu_rows *rows,
                         enum slu_operation operation, enum slu_side side)
{
    const struct slu_table *table = compile->table;

    order_rows(compile, rows, operation, side);
    if (rows->count > SLU_ROWS_MOST)
        slu_table_wrong(compile, SLU_STR("/fields"), "more than %d rows meet in one document",
                        SLU_ROWS_MOST);
    for (size_t i = 0; i < rows->count; i++)
        rows->covered |= bits_of(rows->writing[i]);
    for (size_t i = 0; i < table->row_count; i++)
        if (table->rows[i].requests && table->rows[i].operations >> operation & 1)
            rows->fixed |= bits_of(&table->rows[i]);
    rows->fixed &= ~rows->covered;
    rows->lacks = slu_table_array(compile, table->lack_count, sizeof(const struct slu_lack *));
    for (size_t i = 0; rows->lacks && i < table->lack_count; i++) {
        const struct slu_lack *lack = &table->lacks[i];

        if (lack->slot == SLU_NO_SLOT || !(lack->operations >> operation & 1) ||
            !(side == SLU_REQUEST ? lack->requests : lack->replies))
            continue;
        rows->lacks[rows->lack_count++] = lack;
        if (lack->when_count && lack->word_count == 0)
            rows->lacking_when |= 1u << lack->slot;
    }
}

/* Top-level members of replies that no row reads and the cloud lacks as a whole. */
static void find_lacking(const struct slu_table *table, struct slu_rows *rows)
{
    uint32_t covered = rows->covered;

    for (size_t i = 0; i < table->slot_count; i++)
        if (covered >> i & 1 && table->slots[i].parent != SLU_NO_SLOT)
            covered |= 1u << table->slots[i].parent;
    for (size_t i = 0; i < rows->lack_count; i++) {
        const struct slu_lack *lack = rows->lacks[i];
        const struct slu_slot *slot = &table->slots[lack->slot];

        if (lack->word_count == 0 && lack->when_count == 0 && slot->parent == SLU_NO_SLOT &&
            slot->member->in_reply && !(covered >> lack->slot & 1))
            rows->lacking |= 1u << lack->slot;
    }
}

/* ---- an operation ---- */

static void compile_poll(struct slu_compile *compile, const json_t *json, struct slu_plan *plan)
{
    struct slu_poll *poll = &plan->poll;

    plan->has_poll = json;
    if (!json)
        return;
    (void)slu_operation_of(slu_ours_str(json, "resource"), &poll->with);
    poll->done = slu_table_texts(compile, json_object_get(json, "done"), &poll->done_count);
    poll->failed = slu_table_texts(compile, json_object_get(json, "failed"), &poll->failed_count);
    poll->first_ms = (uint32_t)slu_ours_int(json, "first_ms", 0);
    poll->every_ms = (uint32_t)slu_ours_int(json, "every_ms", 1000);
    poll->limit_ms = (uint32_t)slu_ours_int(json, "limit_ms", 60000);
}

/* The token is a template like the others of the first call, whose only name is {token}. */
static void add_token(struct slu_compile *compile, struct slu_named_templates *named,
                      struct slu_str name)
{
    struct slu_named_template *items =
        slu_table_array(compile, named->count + 1, sizeof(struct slu_named_template));

    if (!items)
        return;
    if (named->count)
        memcpy(items, named->items, named->count * sizeof(*items));
    items[named->count].name = name;
    items[named->count].template =
        slu_template_compile(compile, SLU_STR("{token}"), SLU_STR_NONE, SLU_STR("/token"));
    *named = (struct slu_named_templates){items, named->count + 1};
}

static void compile_token(struct slu_compile *compile, const json_t *json, struct slu_plan *plan,
                          struct slu_str at)
{
    struct slu_str header = slu_ours_str(json, "header"), query = slu_ours_str(json, "query");

    if (!json || plan->step_count == 0)
        return;
    if (!header.p == !query.p)
        slu_table_wrong(compile, at, "needs either \"header\" or \"query\"");
    plan->token.parameter = query.p;
    plan->token.name = query.p ? query : header;
    plan->token.most = (uint32_t)slu_ours_int(json, "max", 0);
    if (plan->token.name.p)
        add_token(compile, query.p ? &plan->steps[0].query : &plan->steps[0].headers,
                  plan->token.name);
}

static void compile_recovery(struct slu_compile *compile, const json_t *json, struct slu_plan *plan)
{
    const json_t *find_by = json_object_get(json, "find_by");
    const json_t *undo = json_object_get(json, "undo");

    plan->find_by.operation = plan->undo = SLU_OP_COUNT;
    (void)slu_operation_of(slu_ours_str(find_by, "operation"), &plan->find_by.operation);
    plan->find_by.match =
        slu_table_texts(compile, json_object_get(find_by, "match"), &plan->find_by.match_count);
    plan->find_by.visible_after_ms = (uint32_t)slu_ours_int(find_by, "visible_after_ms", 2000);
    plan->find_by.never = slu_ours_str(find_by, "never");
    (void)slu_operation_of(slu_ours_str(undo, "operation"), &plan->undo);
    plan->undo_never = slu_ours_str(undo, "never");
    plan->serialize_by = slu_ours_str(json, "serialize_by");
}

static void compile_views(struct slu_compile *compile, const json_t *list,
                          enum slu_operation operation)
{
    struct slu_plan *plan = &compile->table->plans[operation];

    if (list && operation != SLU_OP_LIST)
        slu_table_wrong(
            compile, slu_table_at(compile, "/operations/%s/views", slu_operation_name(operation)),
            "only a list has views");
    for (size_t i = 0; operation == SLU_OP_LIST && i < json_array_size(list); i++) {
        struct slu_step *step = &plan->steps[plan->step_count + i];
        struct slu_str at = slu_table_at(compile, "/operations/list/views/%zu", i);

        compile_step(compile, json_array_get(list, i), step, at);
        step->view = slu_view_compile(compile, json_array_get(list, i), step, at);
        plan->view_count++;
    }
}

static void compile_operation(struct slu_compile *compile, const json_t *json,
                              enum slu_operation operation)
{
    struct slu_plan *plan = &compile->table->plans[operation];
    const json_t *steps = json_object_get(json, "steps");
    size_t size = json_array_size(steps), views = json_array_size(json_object_get(json, "views"));

    plan->served = true;
    plan->steps = slu_table_array(compile, size + views, sizeof(struct slu_step));
    if (!plan->steps)
        return;
    for (size_t i = 0; i < size; i++) {
        compile_step(
            compile, json_array_get(steps, i), &plan->steps[i],
            slu_table_at(compile, "/operations/%s/steps/%zu", slu_operation_name(operation), i));
        plan->step_count++;
    }
    compile_rows(compile, &plan->rows[SLU_REQUEST], operation, SLU_REQUEST);
    compile_rows(compile, &plan->rows[SLU_REPLY], operation, SLU_REPLY);
    find_lacking(compile->table, &plan->rows[SLU_REPLY]);
    compile_views(compile, json_object_get(json, "views"), operation);
    compile_poll(compile, json_object_get(json, "poll"), plan);
    compile_recovery(compile, json, plan);
    compile_token(compile, json_object_get(json, "token"), plan,
                  slu_table_at(compile, "/operations/%s/token", slu_operation_name(operation)));
}

void slu_table_compile_operations(struct slu_compile *compile)
{
    const json_t *map = json_object_get(compile->table->source, "operations");

    for (int i = 0; i < SLU_OP_COUNT; i++) {
        const json_t *json = json_object_get(map, slu_operation_name((enum slu_operation)i));

        if (json)
            compile_operation(compile, json, (enum slu_operation)i);
    }
    slu_table_compile_paging(compile);
}

/* ---- errors ---- */

static struct slu_path optional_path(struct slu_compile *compile, const json_t *json,
                                     const char *name, struct slu_str at, bool *ret_there)
{
    struct slu_str pointer = slu_ours_str(json, name);

    *ret_there = pointer.p != NULL;
    if (!pointer.p)
        return (struct slu_path){.count = 0};
    return slu_table_path(compile, pointer, inside(compile, at, name));
}

static void compile_shapes(struct slu_compile *compile, const json_t *list)
{
    struct slu_table *table = compile->table;
    size_t size = json_array_size(list);

    table->shapes = slu_table_array(compile, size, sizeof(struct slu_error_shape));
    for (size_t i = 0; table->shapes && i < size; i++) {
        struct slu_error_shape *shape = &table->shapes[table->shape_count++];
        const json_t *json = json_array_get(list, i);
        struct slu_str at = slu_table_at(compile, "/error_shapes/%zu", i);

        shape->code = optional_path(compile, json, "code", at, &shape->has_code);
        shape->message = optional_path(compile, json, "message", at, &shape->has_message);
        shape->request_id = optional_path(compile, json, "request_id", at, &shape->has_request_id);
        shape->envelope =
            slu_table_envelope(compile, json_object_get(json, "envelope"),
                               inside(compile, at, "envelope"), &shape->envelope_count);
    }
}

static void compile_status(struct slu_compile *compile, const json_t *json,
                           struct slu_error_row *row, struct slu_str at)
{
    struct slu_str text = slu_ours_text(json);

    if (!json)
        return;
    if (json_is_integer(json) && json_integer_value(json) >= 100 && json_integer_value(json) < 600)
        row->status = (int)json_integer_value(json);
    else if (slu_str_is(text, "4xx") || slu_str_is(text, "5xx"))
        row->status_x = text.p[0] - '0';
    else
        slu_table_wrong(compile, at, "must be an HTTP status, \"4xx\" or \"5xx\"");
}

static struct slu_starred compile_starred(struct slu_compile *compile, const json_t *json,
                                          const char *name, struct slu_str at)
{
    struct slu_starred starred = {.text = slu_ours_str(json, name)};

    starred.there = starred.text.p;
    starred.last = slu_str_ends(starred.text, SLU_STR("*"));
    starred.text.n -= starred.last;
    starred.first = slu_str_starts(starred.text, SLU_STR("*"));
    if (starred.first)
        starred.text = (struct slu_str){starred.text.p + 1, starred.text.n - 1};
    if (starred.text.n && memchr(starred.text.p, '*', starred.text.n))
        slu_table_wrong(compile, inside(compile, at, name),
                        "a \"*\" may stand at the beginning or the end only");
    return starred;
}

static void check_doors(struct slu_compile *compile, const struct slu_error_row *row,
                        struct slu_str at)
{
    static const char *const doors[] = {"signature", "unsigned", "digest", "time",   "token",
                                        "nonce",     "key",      "route",  "method", "parameter",
                                        "scope",     "body",     "reused"};

    for (size_t i = 0; i < row->door_count; i++) {
        size_t k = 0;

        while (k < SLU_COUNT(doors) && !slu_str_is(row->doors[i], doors[k]))
            k++;
        if (k == SLU_COUNT(doors))
            slu_table_wrong(compile, at,
                            "must be one of signature, unsigned, digest, time, token, "
                            "nonce, key, route, method, parameter, scope, body");
    }
}

static void compile_error(struct slu_compile *compile, const json_t *json,
                          struct slu_error_row *row, struct slu_str at)
{
    struct slu_str retry = slu_ours_str(json, "retry");

    row->code = compile_starred(compile, json, "code", at);
    row->text = compile_starred(compile, json, "text", at);
    compile_status(compile, json_object_get(json, "status"), row, inside(compile, at, "status"));
    row->operations = slu_table_operations(compile, json_object_get(json, "operations"), at);
    row->named = json_object_get(json, "operations");
    row->is = kind_of(compile, slu_ours_str(json, "is"), inside(compile, at, "is"));
    row->retry = slu_fault_info(row->is)->retry;
    if (retry.p)
        row->retry = slu_str_is(retry, "no")    ? SLU_RETRY_NO
                     : slu_str_is(retry, "yes") ? SLU_RETRY_YES
                                                : SLU_RETRY_AFTER;
    row->pointer = slu_ours_str(json, "pointer");
    if (row->pointer.p)
        (void)slu_table_slot(compile, row->pointer, inside(compile, at, "pointer"));
    row->pass = slu_str_is(slu_ours_str(json, "message"), "pass");
    row->doors = slu_table_texts(compile, json_object_get(json, "door"), &row->door_count);
    check_doors(compile, row, inside(compile, at, "door"));
}

void slu_table_compile_errors(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *list = json_object_get(table->source, "errors");
    size_t size = json_array_size(list);

    compile_shapes(compile, json_object_get(table->source, "error_shapes"));
    table->errors = slu_table_array(compile, size, sizeof(struct slu_error_row));
    for (size_t i = 0; table->errors && i < size; i++)
        compile_error(compile, json_array_get(list, i), &table->errors[table->error_count++],
                      slu_table_at(compile, "/errors/%zu", i));
}

/* ---- cases ---- */

static void compile_case(struct slu_compile *compile, const json_t *json, struct slu_case *example,
                         struct slu_str at)
{
    struct slu_str only = slu_ours_str(json, "only");
    const json_t *vars = json_object_get(json, "vars");
    const char *name;
    json_t *value;

    example->name = slu_ours_str(json, "name");
    (void)slu_operation_of(slu_ours_str(json, "operation"), &example->operation);
    example->side = slu_str_is(slu_ours_str(json, "side"), "reply") ? SLU_REPLY : SLU_REQUEST;
    example->canonical = slu_table_value(compile, json_object_get(json, "canonical"));
    example->native = slu_table_value(compile, json_object_get(json, "native"));
    example->read = !slu_str_is(only, "write");
    example->write = !slu_str_is(only, "read");
    json_object_foreach(
        (json_t *)vars, name,
        value) if (!slu_vars_set(&example->vars, slu_str_of(name), slu_ours_text(value)))
        slu_table_wrong(compile, inside(compile, at, "vars"), "has more than %d members",
                        SLU_VARS_MOST);
}

void slu_table_compile_cases(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *list = json_object_get(table->source, "cases");
    size_t size = json_array_size(list);

    table->cases = slu_table_array(compile, size, sizeof(struct slu_case));
    for (size_t i = 0; table->cases && i < size; i++)
        compile_case(compile, json_array_get(list, i), &table->cases[table->case_count++],
                     slu_table_at(compile, "/cases/%zu", i));
}
