/*
 * The documents of replies as bytes: JSON or XML, chosen by the client, by its signing scheme or by
 * the table, and read as whatever came. XML knows neither numbers nor lists of one, so a tree that
 * was XML is brought into the form that the table's pointers and codecs expect, once, before anyone
 * looks at it; its values are text, as in a list of parameters.
 */
#include "codec/json.h"
#include "codec/shape.h"
#include "codec/xml.h"
#include "mapping/errors_internal.h"

enum { REPLY_NODES = 200000 };

/* ---- compiling ---- */

static struct slu_str fixed_text(struct slu_compile *compile, const json_t *json,
                                 const char *member, struct slu_str action)
{
    struct slu_str at = slu_table_at(compile, "/transport/xml/%s", member);
    struct slu_template template =
        slu_template_compile(compile, slu_ours_str(json, member), action, at);

    if (!template.fixed)
        slu_table_wrong(compile, at, "may hold {api_version} and in the root {action} only");
    return template.text.p ? template.text : SLU_STR("");
}

static void need_name(struct slu_compile *compile, struct slu_str name, struct slu_str at)
{
    if (!slu_xml_name_valid(name))
        slu_table_wrong(compile, at, "%.*s is no name of an XML element", SLU_FMT(name));
}

struct slu_str slu_encoding_root(struct slu_compile *compile, struct slu_str action)
{
    const json_t *transport = json_object_get(compile->table->source, "transport");
    struct slu_str root;

    if (!compile->table->xml)
        return SLU_STR_NONE;
    root = fixed_text(compile, json_object_get(transport, "xml"), "root", action);
    need_name(compile, root, SLU_STR("/transport/xml/root"));
    return root;
}

void slu_table_compile_encoding(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *transport = json_object_get(table->source, "transport");
    const json_t *xml = json_object_get(transport, "xml");

    table->replies =
        slu_table_texts(compile, json_object_get(transport, "reply"), &table->reply_count);
    for (size_t i = 0; i < table->reply_count; i++) {
        table->xml |= slu_str_is(table->replies[i], "xml");
        for (size_t k = 0; k < i; k++)
            if (slu_str_eq(table->replies[i], table->replies[k]))
                slu_table_wrong(compile, slu_table_at(compile, "/transport/reply/%zu", i),
                                "stands in the list already");
    }
    if (table->xml != (xml != NULL))
        slu_table_wrong(compile, SLU_STR("/transport/xml"),
                        xml ? "has no meaning without \"xml\" in \"reply\""
                            : "is missing: replies in XML need a \"root\" and an \"error_root\"");
    if (!table->xml)
        return;
    table->xml_space = fixed_text(compile, xml, "namespace", SLU_STR_NONE);
    table->xml_error_root = slu_ours_str(xml, "error_root");
    need_name(compile, table->xml_error_root, SLU_STR("/transport/xml/error_root"));
    table->xml_type = slu_ours_str(xml, "type");
    if (!table->xml_type.p)
        table->xml_type = SLU_STR("text/xml;charset=UTF-8");
}

/* ---- proving: what replies are made of can be said in XML ---- */

static void prove_path(struct slu_compile *compile, const struct slu_path *path, struct slu_str at)
{
    for (size_t i = 0; i < path->count; i++)
        if (!slu_index_step(path->steps[i]))
            need_name(compile, path->steps[i], at);
}

static void prove_row(struct slu_compile *compile, const struct slu_row *row)
{
    const struct slu_table *table = compile->table;
    struct slu_str at = slu_table_at(compile, "/fields/%zu/n", row->index);

    if (!row->replies || !row->has_n)
        return;
    prove_path(compile, &row->n, at);
    if (row->codec == SLU_CODEC_COPY && row->slot != SLU_NO_SLOT &&
        table->slots[row->slot].member->type == SLU_MEMBER_TEXTS)
        slu_table_wrong(compile, at,
                        "names of an object's members need not be names of XML: use "
                        "kv_list");
}

void slu_table_prove_encoding(struct slu_compile *compile)
{
    const struct slu_table *table = compile->table;

    if (!table->xml)
        return;
    for (size_t i = 0; i < table->row_count; i++)
        prove_row(compile, &table->rows[i]);
    for (size_t i = 0; i < table->shape_count; i++) {
        struct slu_str at = slu_table_at(compile, "/error_shapes/%zu", i);

        prove_path(compile, &table->shapes[i].code, at);
        prove_path(compile, &table->shapes[i].message, at);
        prove_path(compile, &table->shapes[i].request_id, at);
    }
    for (int i = 0; i < SLU_OP_COUNT; i++)
        for (size_t k = 0; k < table->plans[i].step_count; k++) {
            const struct slu_step *step = &table->plans[i].steps[k];
            struct slu_str at = slu_table_at(compile, "/operations/%s/steps/%zu/reply",
                                             slu_operation_name((enum slu_operation)i), k);

            prove_path(compile, &step->gives_at, at);
            for (size_t n = 0; n < step->envelope_count; n++)
                prove_path(compile, &step->envelope[n].path, at);
        }
}

/* ---- which? ---- */

size_t slu_table_replies(const struct slu_table *table, const struct slu_str **ret_names)
{
    *ret_names = table->replies;
    return table->reply_count;
}

struct slu_str slu_reply_named(const struct slu_table *table, struct slu_str name)
{
    for (size_t i = 0; i < table->reply_count; i++)
        if (slu_str_eq_nocase(table->replies[i], name))
            return table->replies[i];
    return SLU_STR_NONE;
}

struct slu_str slu_reply_variable(const struct slu_run *run, struct slu_str name)
{
    bool upper = slu_str_is(name, "REPLY");
    struct slu_str asked, reply;

    if (!upper && !slu_str_is(name, "reply"))
        return SLU_STR_NONE;
    asked = slu_vars_get(run->vars, SLU_STR("reply"));
    reply = slu_reply_named(run->table, asked);
    if (!reply.p)
        reply = run->table->replies[0];
    if (!upper)
        return reply;
    return slu_str_is(reply, "xml") ? SLU_STR("XML") : SLU_STR("JSON");
}

void slu_run_speak(struct slu_run *run, bool xml)
{
    run->xml = xml;
    run->texts = xml || run->flat;
}

/* ---- reading ---- */

/* A document in XML begins with "<", perhaps behind a byte order mark and blanks; one in JSON never
 * does. */
static bool is_xml(struct slu_str body)
{
    if (slu_str_starts(body, SLU_STR("\xef\xbb\xbf")))
        return true;
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] != ' ' && body.p[i] != '\t' && body.p[i] != '\r' && body.p[i] != '\n')
            return body.p[i] == '<';
    return false;
}

struct slu_value *slu_reply_parse(struct slu_run *run, struct slu_str body,
                                  struct slu_str *ret_root, struct slu_str *ret_why)
{
    struct slu_arena *arena = run->arena;
    struct slu_mistakes mistakes;
    struct slu_value *root;

    slu_mistakes_init(&mistakes, arena);
    if (run->table->xml)
        slu_run_speak(run, is_xml(body));
    root = run->xml ? slu_xml_read(arena, body, (struct slu_xml_limits){.nodes = REPLY_NODES},
                                   ret_root, &mistakes)
                    : slu_json_read(arena, body, (struct slu_json_limits){.nodes = REPLY_NODES},
                                    &mistakes);
    if (!root)
        *ret_why = slu_arena_printf(
            arena, "the cloud's answer is not %s: %.*s", run->xml ? "XML" : "JSON",
            SLU_FMT(mistakes.first ? mistakes.first->detail : SLU_STR("out of memory")));
    if (root && run->xml)
        slu_run_shape(run, root);
    if (!root || root->kind == SLU_OBJECT)
        return root;
    *ret_why = run->xml ? SLU_STR("the cloud's answer is a mere text in XML")
                        : SLU_STR("the cloud's answer is no JSON object");
    return NULL;
}

/* ---- the form that the table expects ---- */

static bool is_blank(const struct slu_value *value)
{
    return value->kind == SLU_STRING && slu_str_trim(value->text).n == 0;
}

/* An empty element is an empty list, or an object without members, where one is expected; anything
 * alone is a list of one. */
static void shape(struct slu_arena *arena, struct slu_value *node, enum slu_kind kind)
{
    struct slu_value *only;

    if (node->kind == kind)
        return;
    if (is_blank(node)) {
        node->kind = kind;
        node->text = SLU_STR_NONE;
    } else if (kind == SLU_ARRAY) {
        only = slu_value_new(arena, node->kind);
        if (!only)
            return;
        *only = *node;
        only->next = NULL;
        only->name = SLU_STR_NONE;
        node->kind = SLU_ARRAY;
        node->text = SLU_STR_NONE;
        node->first = node->last = only;
        node->count = 1;
    }
}

/* Walks down as far as the document goes. Where a list is expected at the end and the element
 * around it is there, an absent list is an empty one. */
static struct slu_value *shape_path(struct slu_arena *arena, const struct slu_path *path,
                                    struct slu_value *at, bool list)
{
    struct slu_value *next;

    for (size_t i = 0; at && i < path->count; i++) {
        bool index = slu_index_step(path->steps[i]);

        shape(arena, at, index ? SLU_ARRAY : SLU_OBJECT);
        next = index ? slu_value_item(at, 0) : slu_value_find(at, path->steps[i]);
        if (!next && list && i > 0 && i + 1 == path->count && at->kind == SLU_OBJECT) {
            next = slu_value_new(arena, SLU_ARRAY);
            slu_value_put(at, path->steps[i], next);
        }
        at = next;
    }
    if (at && list)
        shape(arena, at, SLU_ARRAY);
    return at;
}

static void shape_flow_log(struct slu_run *run, struct slu_value *flow_log)
{
    shape(run->arena, flow_log, SLU_OBJECT);
    for (size_t i = 0; i < run->rows->count; i++) {
        const struct slu_row *row = run->rows->writing[i];

        if (row->has_n &&
            (row->n.count > 1 || row->codec == SLU_CODEC_KV_LIST || row->codec == SLU_CODEC_WRAP))
            (void)shape_path(run->arena, &row->n, flow_log,
                             row->codec == SLU_CODEC_KV_LIST || row->codec == SLU_CODEC_WRAP);
    }
}

static void shape_around(struct slu_run *run, struct slu_value *root)
{
    const struct slu_table *table = run->table;
    const struct slu_step *step = run->step;

    for (size_t i = 0; i < table->shape_count; i++) {
        (void)shape_path(run->arena, &table->shapes[i].code, root, false);
        (void)shape_path(run->arena, &table->shapes[i].message, root, false);
        (void)shape_path(run->arena, &table->shapes[i].request_id, root, false);
    }
    for (size_t i = 0; i < table->request_id_member_count; i++)
        (void)shape_path(run->arena, &table->request_id_members[i], root, false);
    for (size_t i = 0; i < step->fail_if_count; i++)
        (void)shape_path(run->arena, &step->fail_if[i].path, root, false);
    for (size_t i = 0; i < step->capture_count; i++)
        (void)shape_path(run->arena, &step->capture[i].member, root, false);
    for (size_t i = 0; i < step->envelope_count; i++)
        (void)shape_path(run->arena, &step->envelope[i].path, root, false);
}

/* A list that is not there at all is empty too: the root's name has said that this is the reply. */
static void shape_list(struct slu_run *run, struct slu_value *root)
{
    const struct slu_path *path = &run->step->gives_at;
    struct slu_value *list = shape_path(run->arena, path, root, true);

    if (!list)
        (void)slu_run_place(run->arena, path, root, slu_value_new(run->arena, SLU_ARRAY));
    else
        slu_value_each (item, list)
            shape_flow_log(run, item);
}

void slu_run_shape(struct slu_run *run, struct slu_value *root)
{
    struct slu_value *flow_log;

    shape(run->arena, root, SLU_OBJECT);
    shape_around(run, root);
    if (run->step->each) {
        shape_list(run, root);
    } else if (run->step->gives) {
        flow_log = shape_path(run->arena, &run->step->gives_at, root, false);
        if (flow_log)
            shape_flow_log(run, flow_log);
    }
}

/* ---- writing ---- */

static bool write_xml(struct slu_run *run, const struct slu_value *body,
                      struct slu_response *response, struct slu_fault *fault)
{
    const struct slu_table *table = run->table;
    struct slu_str root = run->step ? run->step->xml_root : table->xml_error_root;
    struct slu_buf out;
    bool good;

    slu_buf_init(&out, 0);
    good = slu_xml_write(&out, body, root, run->step ? table->xml_space : SLU_STR_NONE);
    if (!good && !out.failed)
        slu_fault_set(fault, SLU_FAULT_INTERNAL, "",
                      "the answer holds a name or a character that XML cannot hold; ask for JSON");
    if (good && !out.failed)
        response->body = slu_arena_str(run->arena, slu_buf_str(&out));
    good &= !out.failed;
    slu_buf_done(&out);
    return (good && !run->arena->failed) || slu_fault_memory(fault);
}

bool slu_reply_write(struct slu_run *run, const struct slu_value *body,
                     struct slu_response *response, struct slu_fault *fault)
{
    struct slu_str type = run->xml ? run->table->xml_type : SLU_STR("application/json");

    if (!run->xml)
        response->body = slu_json_text(run->arena, body);
    else if (!write_xml(run, body, response, fault))
        return false;
    return slu_headers_add(run->arena, &response->headers, SLU_STR("content-type"), type) ||
           slu_fault_memory(fault);
}
