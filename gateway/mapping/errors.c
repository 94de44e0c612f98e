/* Errors, both ways: a vendor's code and status become a canonical kind, and a kind becomes the
 * vendor's own body. */
#include "mapping/errors_internal.h"

#include "codec/json.h"

/* The length of the control character at text.p[i] in bytes, or 0: C0, DEL, and C1 as UTF-8; and
 * what is no character at all, U+FFFE and U+FFFF. */
static size_t control_at(struct slu_str text, size_t i)
{
    unsigned char c = (unsigned char)text.p[i];

    if (c < 0x20 || c == 0x7f)
        return 1;
    if (c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0)
        return 2;
    if (c == 0xef && i + 2 < text.n && (unsigned char)text.p[i + 1] == 0xbf &&
        (unsigned char)text.p[i + 2] >= 0xbe)
        return 3;
    return 0;
}

struct slu_str slu_plain_text(struct slu_arena *arena, struct slu_str text, size_t most)
{
    char *out = slu_arena_get(arena, text.n + 1);
    size_t n = 0, characters = 0;

    for (size_t i = 0; out && i < text.n; i++) {
        size_t control = control_at(text, i);

        if (((unsigned char)text.p[i] & 0xc0) != 0x80 && characters++ == most)
            break;
        out[n++] = control ? ' ' : text.p[i];
        i += control ? control - 1 : 0;
    }
    return out ? (struct slu_str){out, n} : SLU_STR("");
}

/* ---- reading ---- */

struct said {
    struct slu_str code, message, request_id;
    bool has_code;
};

static bool scalar_at(const struct slu_path *path, bool there, const struct slu_value *body,
                      struct slu_str *ret_text)
{
    const struct slu_value *value = there ? slu_path_get(path, body) : NULL;

    if (!slu_value_is(value, SLU_STRING) && !slu_value_is(value, SLU_NUMBER))
        return false;
    *ret_text = value->text;
    return true;
}

/* The first shape whose code is there. */
static void read_shapes(const struct slu_table *table, const struct slu_value *body,
                        struct said *said)
{
    for (size_t i = 0; body && i < table->shape_count; i++) {
        const struct slu_error_shape *shape = &table->shapes[i];

        if (!scalar_at(&shape->code, shape->has_code, body, &said->code))
            continue;
        said->has_code = true;
        (void)scalar_at(&shape->message, shape->has_message, body, &said->message);
        (void)scalar_at(&shape->request_id, shape->has_request_id, body, &said->request_id);
        return;
    }
}

static bool starred_fits(const struct slu_starred *starred, struct slu_str text, bool there)
{
    if (!starred->there)
        return true;
    if (!there)
        return false;
    if (starred->first && starred->last)
        return starred->text.n == 0 ||
               memmem(text.p ? text.p : "", text.n, starred->text.p, starred->text.n);
    if (starred->first)
        return slu_str_ends(text, starred->text);
    if (starred->last)
        return slu_str_starts(text, starred->text);
    return slu_str_eq(text, starred->text);
}

static bool row_fits(const struct slu_error_row *row, enum slu_operation operation, int status,
                     const struct said *said)
{
    return row->operations >> operation & 1 && (row->status == 0 || row->status == status) &&
           (row->status_x == 0 || row->status_x == status / 100) &&
           starred_fits(&row->code, said->code, said->has_code) &&
           starred_fits(&row->text, said->message, said->message.p != NULL);
}

static enum slu_fault_kind kind_by_status(int status)
{
    static const struct {
        int status;
        enum slu_fault_kind kind;
    } known[] = {
        {401, SLU_FAULT_CREDENTIALS},
        {403, SLU_FAULT_UPSTREAM_DENIED},
        {404, SLU_FAULT_NOT_FOUND},
        {408, SLU_FAULT_UPSTREAM_TIMEOUT},
        {409, SLU_FAULT_CONFLICT},
        {429, SLU_FAULT_THROTTLED},
        {503, SLU_FAULT_UPSTREAM_UNAVAILABLE},
        {504, SLU_FAULT_UPSTREAM_TIMEOUT},
    };

    for (size_t i = 0; i < SLU_COUNT(known); i++)
        if (known[i].status == status)
            return known[i].kind;
    if (status >= 400 && status < 500)
        return SLU_FAULT_UPSTREAM_REFUSED;
    if (status >= 500 && status < 600)
        return SLU_FAULT_UPSTREAM_ERROR;
    return SLU_FAULT_UPSTREAM_UNREADABLE;
}

static struct slu_str words_of(struct slu_arena *arena, const struct slu_outcome *outcome,
                               int status)
{
    const char *title = slu_fault_info(outcome->kind)->title;

    if (outcome->vendor_message.n)
        return outcome->vendor_message;
    if (outcome->vendor_code.n)
        return slu_arena_printf(arena, "%s (the cloud says %.*s, status %d)", title,
                                SLU_FMT(outcome->vendor_code), status);
    return slu_arena_printf(arena, "%s (status %d)", title, status);
}

void slu_errors_read(const struct slu_table *table, enum slu_operation operation, int status,
                     const struct slu_value *body, struct slu_arena *arena,
                     struct slu_outcome *outcome)
{
    struct said said = {.has_code = false};
    const struct slu_error_row *row = NULL;

    read_shapes(table, body, &said);
    for (size_t i = 0; i < table->error_count && !row; i++)
        if (row_fits(&table->errors[i], operation, status, &said))
            row = &table->errors[i];
    outcome->listed = row != NULL;
    outcome->kind = row ? row->is : kind_by_status(status);
    outcome->retry = row ? row->retry : slu_fault_info(outcome->kind)->retry;
    if (row && row->pointer.p)
        outcome->pointer = row->pointer;
    if (said.has_code)
        outcome->vendor_code = slu_plain_text(arena, said.code, SLU_VENDOR_WORD);
    if (row && row->pass && said.message.p)
        outcome->vendor_message = slu_plain_text(arena, said.message, SLU_VENDOR_MESSAGE);
    if (said.request_id.n && outcome->vendor_request_id.n == 0)
        outcome->vendor_request_id = slu_plain_text(arena, said.request_id, SLU_VENDOR_WORD);
    outcome->words = words_of(arena, outcome, status);
}

/* ---- writing ---- */

static bool for_door(const struct slu_error_row *row, const char *word)
{
    for (size_t i = 0; i < row->door_count; i++)
        if (slu_str_is(row->doors[i], word))
            return true;
    return false;
}

static bool has_star(const struct slu_starred *starred)
{
    return starred->first || starred->last;
}

static bool can_say(const struct slu_error_row *row)
{
    return row->code.there && !has_star(&row->code) && !has_star(&row->text);
}

/* The door's word, then the kind for this operation by name, then the kind at all. */
static const struct slu_error_row *choose(const struct slu_table *table,
                                          enum slu_operation operation, enum slu_fault_kind kind,
                                          const char *door)
{
    bool known = (size_t)operation < SLU_OP_COUNT;
    const struct slu_error_row *any = NULL;

    for (size_t i = 0; door && i < table->error_count; i++)
        if (can_say(&table->errors[i]) && for_door(&table->errors[i], door))
            return &table->errors[i];
    for (size_t i = 0; i < table->error_count; i++) {
        const struct slu_error_row *row = &table->errors[i];

        if (!can_say(row) || row->is != kind)
            continue;
        if (known && row->operations >> operation & 1)
            return row;
        if (!any)
            any = row;
    }
    return any;
}

static int status_of(const struct slu_error_row *row, enum slu_fault_kind kind)
{
    if (!row)
        return slu_fault_info(kind)->status < 400 ? 500 : slu_fault_info(kind)->status;
    if (row->status)
        return row->status;
    return row->status_x ? row->status_x * 100 : 400;
}

static void put_text(struct slu_run *run, const struct slu_path *path, bool there,
                     struct slu_str text, struct slu_value *root)
{
    if (there && !slu_run_place(run->arena, path, root, slu_value_string(run->arena, text)))
        run->arena->failed |= root == NULL;
}

/* The first shape, its envelope included. */
static struct slu_value *error_body(struct slu_run *run, struct slu_str code,
                                    struct slu_str message)
{
    const struct slu_error_shape *shape = &run->table->shapes[0];
    struct slu_str id = slu_vars_get(run->vars, SLU_STR("request_id"));
    struct slu_value *root = slu_value_new(run->arena, SLU_OBJECT);

    if (!root)
        return NULL;
    if (run->xml) /* words may quote what a client sent */
        message = slu_plain_text(run->arena, message, SLU_VENDOR_MESSAGE);
    put_text(run, &shape->request_id, shape->has_request_id && id.p, id, root);
    put_text(run, &shape->code, shape->has_code, code, root);
    put_text(run, &shape->message, shape->has_message, message, root);
    slu_run_envelope(run, shape->envelope, shape->envelope_count, root);
    return root;
}

/* Where "nothing there" is a success in this dialect, it is said that way. */
static const struct slu_step *says_by_absence(const struct slu_table *table,
                                              enum slu_operation operation,
                                              enum slu_fault_kind kind, const char *door)
{
    const struct slu_step *step;

    if (door || !slu_table_serves(table, operation))
        return NULL;
    step = slu_table_main_step(table, operation, SLU_REPLY);
    return step && step->gives && step->absent == kind && kind != SLU_FAULT_NONE ? step : NULL;
}

/* The envelope, and an empty list where the flow log would stand in one. */
struct slu_value *slu_run_absence(struct slu_run *run)
{
    struct slu_value *root = slu_value_new(run->arena, SLU_OBJECT), *at = root;
    struct slu_path list = run->step->gives_at;

    if (list.count && slu_index_step(list.steps[list.count - 1])) {
        list.count--;
        if (!slu_run_place(run->arena, &list, at, slu_value_new(run->arena, SLU_ARRAY)))
            return NULL;
    }
    slu_run_surround(run, 0, root);
    return root;
}

bool slu_table_write_error(const struct slu_table *table, enum slu_operation operation,
                           enum slu_fault_kind kind, const char *door_word, struct slu_str message,
                           const struct slu_vars *vars, struct slu_arena *arena,
                           struct slu_response *ret_response, struct slu_fault *fault)
{
    const struct slu_step *silent = says_by_absence(table, operation, kind, door_word);
    const struct slu_error_row *row = choose(table, operation, kind, door_word);
    struct slu_str code = row ? row->code.text : slu_str_of(slu_fault_info(kind)->code);
    enum slu_operation run_as =
        (size_t)operation < SLU_OP_COUNT ? operation : SLU_OP_GET; /* only for templates */
    struct slu_response response = {.status = silent ? silent->status[0] : status_of(row, kind)};
    struct slu_mistakes mistakes;
    struct slu_losses losses;
    struct slu_value *body;
    struct slu_run run;

    if (row && row->text.there)
        message = row->text.text;
    slu_mistakes_init(&mistakes, arena);
    slu_losses_init(&losses, arena, true);
    slu_run_init(&run, table, run_as, SLU_REPLY, silent, vars, arena, &losses, &mistakes);
    body = silent ? slu_run_absence(&run) : error_body(&run, code, message);
    return slu_response_seal(&run, body, &response, ret_response, fault);
}
