/*
 * The server role: which call a received request is, what it says, and the answer in the dialect's
 * own words. A request fits a step by method, path and action; templates then yield the variables.
 */
#include "codec/json.h"
#include "mapping/errors_internal.h"

enum { PARAMS_MOST = 512 };

struct visit {
    const struct slu_table *table;
    const struct slu_request *request;
    int scheme; /* that signed the request; -1: any may have */
    struct slu_arena *arena;
    struct slu_params query; /* of the URL; when the dialect speaks in parameters, of a form too */
    struct slu_value *flat;  /* then: the same as a document */
};

/* ---- parameters ---- */

static bool join_params(struct visit *visit, const struct slu_params *form, struct slu_fault *fault)
{
    struct slu_params all = {.count = 0};
    size_t size = sizeof(struct slu_param);
    struct slu_mistakes mistakes;

    slu_mistakes_init(&mistakes, visit->arena);
    all.items = slu_arena_get(visit->arena, (visit->query.count + form->count + 1) * size);
    if (!all.items)
        return slu_fault_memory(fault);
    for (size_t i = 0; i < visit->query.count; i++)
        all.items[all.count++] = visit->query.items[i];
    for (size_t i = 0; i < form->count; i++)
        all.items[all.count++] = form->items[i];
    visit->query = all;
    visit->flat = slu_params_to_value(visit->arena, &all, &mistakes);
    if (visit->arena->failed)
        return slu_fault_memory(fault);
    if (mistakes.first)
        return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter",
                             "the parameter %.*s is given twice", SLU_FMT(mistakes.first->pointer));
    return visit->flat || slu_fault_memory(fault);
}

static bool read_params(struct visit *visit, struct slu_fault *fault)
{
    struct slu_params form = {.count = 0};
    struct slu_fault inner = {.kind = SLU_FAULT_NONE};

    if (!slu_params_read(visit->arena, visit->request->query, false, PARAMS_MOST, &visit->query,
                         &inner) ||
        (visit->table->flat && slu_request_is_form(visit->request) &&
         !slu_params_read(visit->arena, visit->request->body, true, PARAMS_MOST, &form, &inner)))
        return visit->arena->failed
                   ? slu_fault_memory(fault)
                   : slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter", "%s", inner.words);
    return !visit->table->flat || join_params(visit, &form, fault);
}

/* A parameter of the URL (or form) by name; false when it is absent. */
static bool find_param(const struct visit *visit, struct slu_str name, struct slu_str *ret_value)
{
    const struct slu_param *param;
    const struct slu_value *value;

    if (visit->flat) {
        value = slu_value_find(visit->flat, name);
        if (value)
            *ret_value = value->text;
        return value;
    }
    param = slu_params_find(&visit->query, name);
    if (param)
        *ret_value = param->value;
    return param;
}

static bool find_header(const struct visit *visit, struct slu_str name, struct slu_str *ret_value)
{
    const struct slu_header *header = slu_headers_find(&visit->request->headers, name);

    if (header)
        *ret_value = header->value;
    return header;
}

/* ---- does a step fit? ---- */

static bool method_fits(const struct slu_step *step, struct slu_str method)
{
    if (slu_str_eq(step->method, method))
        return true;
    for (size_t i = 0; i < step->also_count; i++)
        if (slu_str_eq(step->also[i], method))
            return true;
    return false;
}

static bool action_in(const struct visit *visit, const struct slu_named_templates *named,
                      bool header, struct slu_str *ret_action)
{
    for (size_t i = 0; i < named->count; i++)
        if (named->items[i].action &&
            (header ? find_header(visit, named->items[i].name, ret_action)
                    : find_param(visit, named->items[i].name, ret_action)))
            return true;
    return false;
}

static bool may_speak(const struct visit *visit, size_t scheme)
{
    return visit->scheme < 0 || (size_t)visit->scheme == scheme;
}

/* The first scheme that may speak and names a call; -1: none does. */
static int naming_scheme(const struct visit *visit, const struct slu_step *step,
                         struct slu_str *ret_action)
{
    for (size_t i = 0; i < visit->table->scheme_count; i++)
        if (may_speak(visit, i) && (action_in(visit, &step->scheme_headers[i], true, ret_action) ||
                                    action_in(visit, &step->scheme_query[i], false, ret_action)))
            return (int)i;
    return -1;
}

/* The call's name stands where the signing scheme, or the call itself, puts {action}. */
static bool action_fits(const struct visit *visit, const struct slu_step *step)
{
    struct slu_str action;

    if (step->action.n == 0)
        return true;
    if (naming_scheme(visit, step, &action) >= 0)
        return slu_str_eq(action, step->action);
    if (action_in(visit, &visit->table->headers, true, &action) ||
        action_in(visit, &step->headers, true, &action) ||
        action_in(visit, &step->query, false, &action))
        return slu_str_eq(action, step->action);
    return false;
}

bool slu_parameter_fault(struct slu_fault *fault, struct slu_str name, const char *words)
{
    return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, "parameter", "%.*s %s", SLU_FMT(name),
                         words);
}

/* Takes the variables of one list of templates; what was received must agree with constants. */
static bool take_named(const struct visit *visit, const struct slu_named_templates *named,
                       bool header, struct slu_vars *vars, struct slu_fault *fault)
{
    for (size_t i = 0; i < named->count; i++) {
        const struct slu_named_template *item = &named->items[i];
        struct slu_str value;

        if (item->action || item->reply || (item->template.fixed && !item->checked) ||
            !(header ? find_header(visit, item->name, &value)
                     : find_param(visit, item->name, &value)))
            continue;
        if (!slu_template_match(visit->arena, &item->template, value, false, vars))
            return slu_parameter_fault(fault, item->name,
                                       "has a value that does not fit this call");
    }
    return true;
}

/* ---- the encoding of the answer ---- */

/* In one text, or in a list of them as Accept is (RFC 9110 §12.5.1; weights are not looked at). */
static struct slu_str reply_in(const struct visit *visit, const struct slu_named_template *item,
                               struct slu_str text)
{
    struct slu_str reply = SLU_STR_NONE;

    while (text.n && !reply.p) {
        struct slu_str one = slu_str_cut(&text, ',');
        struct slu_vars found = {.count = 0};

        one = slu_str_trim(slu_str_cut(&one, ';'));
        if (slu_template_match(visit->arena, &item->template, one, false, &found))
            for (size_t i = 0; i < found.count && !reply.p; i++)
                reply = slu_reply_named(visit->table, found.values[i]);
    }
    return reply;
}

static const struct slu_named_template *asking(const struct slu_named_templates *named)
{
    for (size_t i = 0; i < named->count; i++)
        if (named->items[i].reply)
            return &named->items[i];
    return NULL;
}

enum asked { NOT_ASKED, ASKED, ASKED_FOR_OTHER };

/* A header may list many types, or none of ours, which leaves the choice to us. */
static enum asked ask(const struct visit *visit, const struct slu_named_templates *named,
                      bool header, struct slu_str *ret_reply, struct slu_str *ret_name)
{
    const struct slu_named_template *item = asking(named);
    struct slu_str value, reply;

    if (!item ||
        !(header ? find_header(visit, item->name, &value) : find_param(visit, item->name, &value)))
        return NOT_ASKED;
    *ret_name = item->name;
    reply = reply_in(visit, item, value);
    if (reply.p) {
        *ret_reply = reply;
        return ASKED;
    }
    return header ? NOT_ASKED : ASKED_FOR_OTHER;
}

/* A scheme that has a place for it decides alone; otherwise the call, and the headers of all. */
static bool take_reply(const struct visit *visit, const struct slu_step *step,
                       struct slu_vars *vars, struct slu_fault *fault)
{
    const struct slu_table *table = visit->table;
    struct slu_str action = SLU_STR_NONE, name = SLU_STR_NONE, reply = table->replies[0];
    int scheme = visit->scheme >= 0 ? visit->scheme : naming_scheme(visit, step, &action);
    enum asked asked = NOT_ASKED;
    bool decides = false;

    if (!table->asks_reply)
        return true;
    if (scheme >= 0) {
        decides = asking(&step->scheme_query[scheme]) || asking(&step->scheme_headers[scheme]);
        reply = table->signing[scheme].reply.p ? table->signing[scheme].reply : reply;
        asked = ask(visit, &step->scheme_query[scheme], false, &reply, &name);
        if (asked == NOT_ASKED)
            asked = ask(visit, &step->scheme_headers[scheme], true, &reply, &name);
    }
    for (size_t i = 0; scheme < 0 && asked == NOT_ASKED && i < table->scheme_count; i++)
        asked = ask(visit, &step->scheme_query[i], false, &reply, &name);
    if (!decides && asked == NOT_ASKED) {
        asked = ask(visit, &step->query, false, &reply, &name);
        if (asked == NOT_ASKED)
            asked = ask(visit, &step->headers, true, &reply, &name);
        if (asked == NOT_ASKED)
            asked = ask(visit, &table->headers, true, &reply, &name);
    }
    if (!slu_vars_set(vars, SLU_STR("reply"), reply))
        return slu_parameter_fault(fault, SLU_STR("the request"), "has too many values");
    return asked != ASKED_FOR_OTHER ||
           slu_parameter_fault(fault, name, "asks for an encoding that is not spoken here");
}

static bool wants_id(const struct slu_step *step)
{
    for (size_t i = 0; i < step->query.count; i++)
        for (size_t k = 0; k < step->query.items[i].template.count; k++) {
            const struct slu_piece *piece = &step->query.items[i].template.pieces[k];

            if (piece->variable && slu_str_is(piece->text, "id"))
                return true;
        }
    return false;
}

/* Several ids ask for a list. */
static bool names_more_ids(const struct visit *visit, const struct slu_step *step)
{
    for (size_t i = 0; step->filters && i < visit->query.count; i++)
        if (slu_filters_name_id(step->filters, visit->query.items[i].name) &&
            !slu_step_fills(visit->table, step, visit->query.items[i].name))
            return true;
    return false;
}

static struct slu_str name_of_id(const struct slu_step *step)
{
    for (size_t i = 0; i < step->query.count; i++)
        if (slu_str_is(step->query.items[i].template.text, "{id}"))
            return step->query.items[i].name;
    return SLU_STR("the id");
}

/* A parameter that nothing reads is refused by name: a filter that is ignored in silence would
 * answer another question than was asked. In a parameter list that is a document, those that
 * nothing knows are the document's own. */
static bool all_known(const struct visit *visit, const struct slu_step *step,
                      struct slu_fault *fault)
{
    if (visit->flat) {
        if (step->takes)
            return true;
        slu_value_each (child, visit->flat)
            if (!slu_step_knows(visit->table, step, child->name))
                return slu_parameter_fault(fault, child->name, "is not known to this call here");
        return true;
    }
    for (size_t i = 0; i < visit->query.count; i++) {
        struct slu_str name = visit->query.items[i].name;

        if (!slu_step_knows(visit->table, step, name))
            return slu_parameter_fault(fault, name, "is not known to this call here");
        if (slu_params_find(&visit->query, name) != &visit->query.items[i] &&
            !(step->filters && slu_filters_repeat(step->filters, name)))
            return slu_parameter_fault(fault, name, "is given twice");
    }
    return true;
}

/* The variables of a step that fits; a fault in "parameter" when one is missing or wrong. */
static bool take_variables(const struct visit *visit, const struct slu_step *step,
                           struct slu_vars *vars, struct slu_fault *fault)
{
    const struct slu_table *table = visit->table;

    if (!take_named(visit, &step->query, false, vars, fault) ||
        !take_named(visit, &step->headers, true, vars, fault) ||
        !take_named(visit, &table->headers, true, vars, fault))
        return false;
    for (size_t i = 0; i < table->scheme_count; i++)
        if (may_speak(visit, i) &&
            (!take_named(visit, &step->scheme_query[i], false, vars, fault) ||
             !take_named(visit, &step->scheme_headers[i], true, vars, fault)))
            return false;
    if (!take_reply(visit, step, vars, fault))
        return false;
    if (wants_id(step) && !slu_vars_get(vars, SLU_STR("id")).p)
        return slu_parameter_fault(fault, name_of_id(step), "is missing");
    return true;
}

/* ---- which call? ---- */

struct search {
    bool path, method; /* one fitted so far */
    struct slu_fault first;
    bool found;
    struct slu_match match;
};

static bool token_fits(const struct visit *visit, enum slu_operation operation,
                       const struct slu_vars *vars, struct slu_fault *fault)
{
    const struct slu_idempotency *token = slu_table_token(visit->table, operation);

    if (!token || slu_vars_get(vars, SLU_STR("token")).n <= token->most)
        return true;
    return slu_parameter_fault(fault, token->name, "is longer than it may be");
}

static void try_step(const struct visit *visit, enum slu_operation operation, size_t index,
                     struct search *search)
{
    const struct slu_step *step = &visit->table->plans[operation].steps[index];
    struct slu_vars vars = {.count = 0};

    if (!slu_template_match(visit->arena, &step->path, visit->request->path, true, &vars))
        return;
    if (!action_fits(visit, step) || (wants_id(step) && names_more_ids(visit, step)))
        return;
    search->path = true;
    if (!method_fits(step, visit->request->method))
        return;
    search->method = true;
    if (!take_variables(visit, step, &vars, &search->first))
        return;
    search->found = token_fits(visit, operation, &vars, &search->first);
    search->match = (struct slu_match){.operation = operation, .step = index, .vars = vars};
}

static bool search_steps(const struct visit *visit, struct search *search, struct slu_fault *fault)
{
    for (int i = 0; i < SLU_OP_COUNT && !search->found; i++)
        for (size_t k = 0;
             k < visit->table->plans[i].step_count + visit->table->plans[i].view_count &&
             !search->found;
             k++)
            try_step(visit, (enum slu_operation)i, k, search);
    if (visit->arena->failed)
        return slu_fault_memory(fault);
    if (search->found)
        return true;
    if (search->method)
        return slu_fault_set(fault, search->first.kind, search->first.place, "%s",
                             search->first.words);
    if (search->path)
        return slu_fault_set(fault, SLU_FAULT_METHOD_NOT_ALLOWED, "method",
                             "this call is not made with %.*s", SLU_FMT(visit->request->method));
    return slu_fault_set(fault, SLU_FAULT_NOT_FOUND, "route", "there is no such call here");
}

static bool read_body(const struct visit *visit, struct slu_match *match, struct slu_fault *fault)
{
    struct slu_mistakes mistakes;

    slu_mistakes_init(&mistakes, visit->arena);
    match->native = slu_json_read(visit->arena, visit->request->body,
                                  (struct slu_json_limits){.nodes = 0}, &mistakes);
    if (slu_value_is(match->native, SLU_OBJECT))
        return true;
    if (visit->arena->failed)
        return slu_fault_memory(fault);
    if (match->native)
        return slu_fault_set(fault, SLU_FAULT_BAD_JSON, "body", "the body must be an object");
    return slu_fault_set(fault, SLU_FAULT_BAD_JSON, "body", "%.*s",
                         SLU_FMT(mistakes.first ? mistakes.first->detail : SLU_STR("no JSON")));
}

/* A body beside the call's parameters, or of a call without a document: nobody would read it. */
static bool no_other_body(const struct visit *visit, const struct slu_step *step,
                          struct slu_fault *fault)
{
    bool read = visit->table->flat ? slu_request_is_form(visit->request) : step->takes;

    return read || slu_str_trim(visit->request->body).n == 0 ||
           slu_fault_set(fault, SLU_FAULT_BAD_REQUEST, "body", "%s",
                         visit->table->flat ? "the body must be a form" : "this call has no body");
}

void slu_table_take_reply(const struct slu_table *table, const struct slu_request *request,
                          struct slu_arena *arena, struct slu_vars *vars)
{
    struct visit visit = {.table = table, .request = request, .scheme = -1, .arena = arena};
    struct slu_fault ignored = {.kind = SLU_FAULT_NONE};

    if (!table->asks_reply || !read_params(&visit, &ignored))
        return;
    for (int i = 0; i < SLU_OP_COUNT; i++)
        if (table->plans[i].step_count) {
            (void)take_reply(&visit, &table->plans[i].steps[0], vars, &ignored);
            return;
        }
}

bool slu_table_match(const struct slu_table *table, const struct slu_request *request, int scheme,
                     struct slu_arena *arena, struct slu_match *ret_match, struct slu_fault *fault)
{
    struct visit visit = {.table = table, .request = request, .scheme = scheme, .arena = arena};
    struct search search = {.found = false};
    const struct slu_step *step;
    const struct slu_rows *rows;

    if (!read_params(&visit, fault) || !search_steps(&visit, &search, fault))
        return false;
    step = &table->plans[search.match.operation].steps[search.match.step];
    rows = &table->plans[search.match.operation].rows[SLU_REQUEST];
    if (!no_other_body(&visit, step, fault) ||
        (visit.flat && !slu_refusals_take(table, step, rows, visit.flat, fault)) ||
        !all_known(&visit, step, fault) ||
        !slu_page_take(table, step, &visit.query, arena, &search.match.vars, fault) ||
        (step->view && !slu_view_take(step->view, &visit.query, arena, &search.match.vars, fault)))
        return false;
    if (step->takes && table->flat)
        search.match.native = visit.flat;
    else if (step->takes && !read_body(&visit, &search.match, fault))
        return false;
    *ret_match = search.match;
    return true;
}

bool slu_table_read_request(const struct slu_table *table, const struct slu_match *match,
                            struct slu_arena *arena, struct slu_mistakes *mistakes,
                            struct slu_value **ret_canonical)
{
    const struct slu_step *step = &table->plans[match->operation].steps[match->step];
    size_t before = mistakes->count;
    struct slu_losses losses;
    struct slu_run run;

    *ret_canonical = NULL;
    if (!match->native)
        return true;
    slu_losses_init(&losses, arena, false);
    slu_run_init(&run, table, match->operation, SLU_REQUEST, step, &match->vars, arena, &losses,
                 mistakes);
    if (slu_run_read_slots(&run, match->native))
        *ret_canonical = slu_run_assemble(&run);
    if (!*ret_canonical && mistakes->count == before)
        return slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
    return *ret_canonical;
}

/* ---- the answer ---- */

/* Body text and head of an answer; a NULL body is no memory. */
bool slu_response_seal(struct slu_run *run, const struct slu_value *body,
                       struct slu_response *response, struct slu_response *ret_response,
                       struct slu_fault *fault)
{
    const struct slu_table *table = run->table;
    struct slu_str id = slu_vars_get(run->vars, SLU_STR("request_id"));

    if (run->mistakes->first && !run->arena->failed)
        return slu_fault_set(fault, SLU_FAULT_INTERNAL, "", "%.*s %.*s",
                             SLU_FMT(run->mistakes->first->pointer),
                             SLU_FMT(run->mistakes->first->detail));
    if (!body || run->arena->failed)
        return slu_fault_memory(fault);
    if (!slu_reply_write(run, body, response, fault))
        return false;
    if ((table->request_id_header_count && id.p &&
         !slu_headers_add(run->arena, &response->headers, table->request_id_headers[0], id)) ||
        run->arena->failed)
        return slu_fault_memory(fault);
    *ret_response = *response;
    return true;
}

/* An answer without any document, such as 204. */
static bool seal_empty(struct slu_run *run, struct slu_response *response,
                       struct slu_response *ret_response, struct slu_fault *fault)
{
    struct slu_str id = slu_vars_get(run->vars, SLU_STR("request_id"));

    if (run->table->request_id_header_count && id.p &&
        !slu_headers_add(run->arena, &response->headers, run->table->request_id_headers[0], id))
        return slu_fault_memory(fault);
    response->body = SLU_STR("");
    *ret_response = *response;
    return true;
}

/* The flow log is there, but not among those that were asked for. */
static bool seal_absence(struct slu_run *run, struct slu_response *response,
                         struct slu_response *ret_response, struct slu_fault *fault)
{
    if (run->step->absent == SLU_FAULT_NONE)
        return slu_fault_set(fault, SLU_FAULT_NOT_FOUND, "", "no flow log fits what was asked for");
    response->status = run->step->status[0];
    return slu_response_seal(run, slu_run_absence(run), response, ret_response, fault);
}

bool slu_table_write_reply(const struct slu_table *table, enum slu_operation operation, size_t step,
                           const struct slu_value *canonical, const struct slu_vars *vars,
                           struct slu_arena *arena, struct slu_losses *losses,
                           struct slu_response *ret_response, struct slu_fault *fault)
{
    struct slu_response response = {.status = 0};
    struct slu_mistakes mistakes;
    struct slu_run run;

    slu_must(step < table->plans[operation].step_count + table->plans[operation].view_count);
    slu_mistakes_init(&mistakes, arena);
    slu_run_init(&run, table, operation, SLU_REPLY, &table->plans[operation].steps[step], vars,
                 arena, losses, &mistakes);
    if (operation == SLU_OP_GET && canonical && !slu_page_holds(vars, canonical))
        return seal_absence(&run, &response, ret_response, fault);
    response.status = run.step->status[0];
    if (!run.step->gives && run.step->envelope_count == 0)
        return seal_empty(&run, &response, ret_response, fault);
    return slu_response_seal(&run,
                             run.step->view ? slu_view_document(&run, canonical)
                                            : slu_run_write_document(&run, canonical),
                             &response, ret_response, fault);
}
