/* The client role, outward: one native call as an HTTP request. */
#include "codec/json.h"
#include "mapping/table_internal.h"

struct writer {
    struct slu_run *run;
    struct slu_request *request;
    struct slu_params params;
    size_t room; /* of params */
};

/* A variable without a value is a mistake where the call cannot do without it. */
static void missing(struct slu_run *run, struct slu_str name, bool needed)
{
    for (size_t i = 0; i < run->table->parameter_count; i++) {
        const struct slu_table_parameter *parameter = &run->table->parameters[i];

        if (!slu_str_eq(parameter->name, name))
            continue;
        if (parameter->required || needed)
            slu_mistake(run->mistakes, SLU_FAULT_INVALID, parameter->member,
                        "is needed: the target's parameters do not give %.*s", SLU_FMT(name));
        return;
    }
    if (needed || slu_str_is(name, "id"))
        slu_mistake(run->mistakes, SLU_FAULT_INVALID, SLU_STR(""), "%.*s has no value here",
                    SLU_FMT(name));
}

static void add_headers(struct slu_run *run, const struct slu_named_templates *named,
                        struct slu_request *request)
{
    for (size_t i = 0; i < named->count; i++) {
        const struct slu_named_template *item = &named->items[i];
        struct slu_str name;
        struct slu_str text = slu_template_expand(run, &item->template, SLU_EXPAND_PLAIN, &name);

        if (!text.p && name.p)
            missing(run, name, false);
        else if (text.p && !slu_headers_set(run->arena, &request->headers, item->name, text) &&
                 !run->arena->failed)
            slu_mistake(run->mistakes, SLU_FAULT_INVALID, SLU_STR(""),
                        "the header %.*s would hold a character that no header can hold",
                        SLU_FMT(item->name));
    }
}

static void add_param(struct writer *writer, struct slu_str name, struct slu_str value)
{
    slu_must(writer->params.count < writer->room);
    writer->params.items[writer->params.count++] = (struct slu_param){.name = name, .value = value};
}

static void add_params(struct writer *writer, const struct slu_named_templates *named)
{
    for (size_t i = 0; i < named->count; i++) {
        struct slu_str name;
        struct slu_str text =
            slu_template_expand(writer->run, &named->items[i].template, SLU_EXPAND_PLAIN, &name);

        if (text.p)
            add_param(writer, named->items[i].name, text);
        else if (name.p)
            missing(writer->run, name, false);
    }
}

static struct slu_str params_text(struct slu_arena *arena, const struct slu_params *params)
{
    struct slu_buf out = {0};
    size_t size = 1;

    for (size_t i = 0; i < params->count; i++)
        size += 3 * (params->items[i].name.n + params->items[i].value.n) + 2;
    out.p = slu_arena_get(arena, size);
    if (!out.p)
        return SLU_STR_NONE;
    out.size = out.limit = size; /* an upper bound, so it never grows on the heap */
    slu_params_write(&out, params);
    return slu_buf_str(&out);
}

/* Parameters travel in the URL, or as a form where the dialect has it so. */
static void send_params(struct slu_run *run, const struct slu_params *params,
                        struct slu_request *request)
{
    struct slu_str text = params_text(run->arena, params);

    if (!run->table->form || !slu_str_is(request->method, "POST")) {
        request->query = text;
        return;
    }
    request->body = text;
    if (!slu_headers_find(&request->headers, SLU_STR("content-type")) &&
        !slu_headers_add(run->arena, &request->headers, SLU_STR("content-type"),
                         SLU_STR("application/x-www-form-urlencoded; charset=utf-8")))
        run->arena->failed = true;
}

/* Templates of the call and the scheme, the page, then the document when it is a list of
 * parameters. */
static void write_params(struct slu_run *run, int scheme, const struct slu_value *document,
                         struct slu_request *request)
{
    struct writer writer = {.run = run, .request = request};
    struct slu_params page;
    const struct slu_named_templates *more = scheme >= 0 ? &run->step->scheme_query[scheme] : NULL;

    if (!slu_page_write(run, &page))
        return;
    writer.room = run->step->query.count + (more ? more->count : 0) + page.count +
                  (document ? document->count : 0);
    writer.params.items = slu_arena_get(run->arena, (writer.room + 1) * sizeof(struct slu_param));
    if (!writer.params.items)
        return;
    add_params(&writer, &run->step->query);
    if (more)
        add_params(&writer, more);
    for (size_t i = 0; i < page.count; i++)
        add_param(&writer, page.items[i].name, page.items[i].value);
    if (document)
        slu_value_each (child, document)
            add_param(&writer, child->name, child->text);
    if (writer.params.count)
        send_params(run, &writer.params, request);
}

/* The document of the step, without what templates write beside it. */
static struct slu_value *write_document(struct slu_run *run, const struct slu_value *canonical)
{
    struct slu_value *root = slu_value_new(run->arena, SLU_OBJECT);

    if (!root)
        return NULL;
    run->native = slu_run_enter(run->arena, &run->step->takes_at, root);
    if (!run->native)
        return NULL;
    slu_run_write(run, canonical);
    return root;
}

static void write_body(struct slu_run *run, const struct slu_value *document,
                       struct slu_request *request)
{
    request->body = slu_json_text(run->arena, document);
    if (!slu_headers_find(&request->headers, SLU_STR("content-type")) &&
        !slu_headers_add(run->arena, &request->headers, SLU_STR("content-type"),
                         SLU_STR("application/json")))
        run->arena->failed = true;
}

static void write_head(struct slu_run *run, int scheme, struct slu_request *request)
{
    struct slu_str name;

    request->method = run->step->method;
    request->path = slu_template_expand(run, &run->step->path, SLU_EXPAND_PERCENT, &name);
    if (!request->path.p && name.p)
        missing(run, name, true);
    add_headers(run, &run->table->headers, request);
    add_headers(run, &run->step->headers, request);
    if (scheme >= 0)
        add_headers(run, &run->step->scheme_headers[scheme], request);
}

bool slu_table_write_request(const struct slu_table *table, enum slu_operation operation,
                             size_t step, int scheme, const struct slu_value *canonical,
                             const struct slu_vars *vars, struct slu_arena *arena,
                             struct slu_losses *losses, struct slu_mistakes *mistakes,
                             struct slu_request *ret_request)
{
    struct slu_request request = {.body = SLU_STR("")};
    size_t before = mistakes->count;
    struct slu_value *document = NULL;
    struct slu_run run;

    if (step >= slu_table_steps(table, operation))
        return slu_mistake(mistakes, SLU_FAULT_NOT_IMPLEMENTED, SLU_STR(""),
                           "%.*s has no call for %s", SLU_FMT(table->dialect),
                           slu_operation_name(operation));
    slu_must(scheme < (int)table->scheme_count);
    slu_run_init(&run, table, operation, SLU_REQUEST, &table->plans[operation].steps[step], vars,
                 arena, losses, mistakes);
    if (run.step->takes)
        document = write_document(&run, canonical);
    else
        slu_run_spread(&run, canonical, NULL);
    write_head(&run, scheme, &request);
    write_params(&run, scheme, run.flat ? document : NULL, &request);
    if (document && !run.flat)
        write_body(&run, document, &request);
    if (arena->failed && mistakes->count == before)
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
    if (mistakes->count != before || mistakes->failed || arena->failed)
        return false;
    *ret_request = request;
    return true;
}
