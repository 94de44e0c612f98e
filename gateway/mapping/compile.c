/* The compiler's helpers, and the head and transport of a table. What passed the shape check is
 * read here without further questions about types. */
#include "codec/json.h"
#include "codec/shape.h"
#include "codec/text.h"
#include "mapping/table_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool slu_table_wrong(struct slu_compile *compile, struct slu_str pointer, const char *format, ...)
{
    char words[400];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return slu_mistake(compile->mistakes, SLU_FAULT_CONFIG, pointer, "%s", words);
}

struct slu_str slu_table_at(struct slu_compile *compile, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return slu_arena_str(compile->arena, slu_str_of(text));
}

/* Zeroed; at least one element, so that NULL only means that memory is out. */
void *slu_table_array(struct slu_compile *compile, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count + 1, size, &bytes))
        return NULL;
    return slu_arena_zero(compile->arena, bytes);
}

struct slu_value *slu_table_value(struct slu_compile *compile, const json_t *json)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    struct slu_str kept = slu_arena_str(compile->arena, slu_str_of(text));

    free(text);
    if (!kept.p)
        return NULL;
    return slu_json_read(compile->arena, kept, (struct slu_json_limits){.depth = 64},
                         compile->mistakes);
}

uint8_t slu_table_slot(struct slu_compile *compile, struct slu_str pointer, struct slu_str at)
{
    uint8_t slot = slu_slot_find(compile->table, pointer);
    const char *names[SLU_SLOTS_MOST], *near;

    if (slot != SLU_NO_SLOT)
        return slot;
    for (size_t i = 0; i < compile->table->slot_count; i++)
        names[i] = compile->table->slots[i].pointer.p;
    near = slu_nearest(pointer, names, compile->table->slot_count);
    slu_table_wrong(compile, at, "%.*s is no canonical member%s%s%s", SLU_FMT(pointer),
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return SLU_NO_SLOT;
}

static void check_condition(struct slu_compile *compile, const struct slu_condition *item,
                            struct slu_str at)
{
    const struct slu_member *member = compile->table->slots[item->slot].member;
    bool good = item->value->kind == SLU_NULL || slu_member_takes(member, item->value) ||
                (item->value->kind == SLU_STRING && slu_str_is(item->value->text, "*"));

    if (item->value->kind == SLU_ARRAY) {
        good = item->value->count > 0;
        slu_value_each (one, item->value)
            good = good && slu_member_takes(member, one);
    }
    if (!good)
        slu_table_wrong(compile, at, "is no value that this member can have");
}

const struct slu_condition *slu_table_conditions(struct slu_compile *compile, const json_t *map,
                                                 struct slu_str at, size_t *ret_count)
{
    struct slu_condition *list =
        slu_table_array(compile, json_object_size(map), sizeof(struct slu_condition));
    const char *name;
    json_t *value;

    *ret_count = 0;
    if (!list)
        return NULL;
    json_object_foreach((json_t *)map, name, value)
    {
        struct slu_str place = slu_pointer_member(compile->arena, at, slu_str_of(name));
        struct slu_condition *item = &list[*ret_count];

        item->slot = slu_table_slot(compile, slu_str_of(name), place);
        item->value = slu_table_value(compile, value);
        if (item->slot == SLU_NO_SLOT || !item->value)
            continue;
        check_condition(compile, item, place);
        (*ret_count)++;
    }
    return list;
}

struct slu_path slu_table_path(struct slu_compile *compile, struct slu_str pointer,
                               struct slu_str at)
{
    struct slu_path path = {.count = 0, .pointer = SLU_STR("")};

    if (!slu_path_read(compile->arena, pointer, &path) && !compile->arena->failed)
        slu_table_wrong(compile, at,
                        "is no JSON Pointer: it must be empty or begin with \"/\" (RFC 6901)");
    return path;
}

const struct slu_str *slu_table_texts(struct slu_compile *compile, const json_t *list,
                                      size_t *ret_count)
{
    size_t size = json_is_array(list) ? json_array_size(list) : list != NULL;
    struct slu_str *texts = slu_table_array(compile, size, sizeof(struct slu_str));

    *ret_count = texts ? size : 0;
    for (size_t i = 0; i < *ret_count; i++)
        texts[i] = slu_ours_text(json_is_array(list) ? json_array_get(list, i) : list);
    return texts;
}

uint32_t slu_table_operations(struct slu_compile *compile, const json_t *list,
                              struct slu_str pointer)
{
    uint32_t bits = 0;

    (void)compile;
    (void)pointer;
    if (!list)
        return (1u << SLU_OP_COUNT) - 1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        enum slu_operation operation;

        if (slu_operation_of(slu_ours_text(json_array_get(list, i)), &operation))
            bits |= 1u << operation;
    }
    return bits;
}

const struct slu_envelope *slu_table_envelope(struct slu_compile *compile, const json_t *map,
                                              struct slu_str at, size_t *ret_count)
{
    struct slu_envelope *list =
        slu_table_array(compile, json_object_size(map), sizeof(struct slu_envelope));
    const char *name;
    json_t *value;

    *ret_count = 0;
    if (!list)
        return NULL;
    json_object_foreach((json_t *)map, name, value)
    {
        struct slu_str place = slu_pointer_member(compile->arena, at, slu_str_of(name));
        struct slu_envelope *item = &list[(*ret_count)++];

        item->path = slu_table_path(compile, slu_str_of(name), place);
        if (item->path.count == 0)
            slu_table_wrong(compile, place, "must be a pointer to a member");
        if (json_is_string(value))
            item->template =
                slu_template_compile(compile, slu_ours_text(value), SLU_STR_NONE, place);
        else
            item->constant = slu_table_value(compile, value);
    }
    return list;
}

static void compile_parameters(struct slu_compile *compile, const json_t *map)
{
    struct slu_table *table = compile->table;
    size_t size = json_object_size(map);
    const char *name;
    json_t *value;

    table->parameters = slu_table_array(compile, size, sizeof(struct slu_table_parameter));
    table->parameter_rules = slu_table_array(compile, size, sizeof(struct slu_parameter));
    if (!table->parameters || !table->parameter_rules)
        return;
    json_object_foreach((json_t *)map, name, value)
    {
        struct slu_table_parameter *parameter = &table->parameters[table->parameter_count];
        struct slu_parameter *rule = &table->parameter_rules[table->parameter_count++];
        struct slu_str at =
            slu_pointer_member(compile->arena, SLU_STR("/transport/parameters"), slu_str_of(name));

        parameter->name = slu_str_of(name);
        parameter->required = slu_ours_bool(value, "required", false);
        parameter->help = slu_ours_str(value, "help");
        parameter->member = slu_ours_str(value, "member");
        rule->slot = SLU_NO_SLOT;
        if (parameter->member.p)
            rule->slot = slu_table_slot(compile, parameter->member,
                                        slu_pointer_member(compile->arena, at, SLU_STR("member")));
        rule->limits =
            slu_limits_compile(compile, json_object_get(value, "limits"),
                               slu_pointer_member(compile->arena, at, SLU_STR("limits")));
    }
}

static void compile_scope(struct slu_compile *compile, const json_t *json,
                          struct slu_signing *signing, struct slu_str at)
{
    signing->region = slu_template_compile(compile, slu_ours_str(json, "region"), SLU_STR_NONE, at);
    signing->service =
        slu_template_compile(compile, slu_ours_str(json, "service"), SLU_STR_NONE, at);
    signing->project =
        slu_template_compile(compile, slu_ours_str(json, "project"), SLU_STR_NONE, at);
}

static void compile_signing(struct slu_compile *compile, const json_t *list)
{
    struct slu_table *table = compile->table;
    size_t size = json_array_size(list);

    table->signing = slu_table_array(compile, size, sizeof(struct slu_signing));
    table->schemes = slu_table_array(compile, size, sizeof(struct slu_str));
    if (!table->signing || !table->schemes)
        return;
    for (size_t i = 0; i < size; i++) {
        const json_t *item = json_array_get(list, i);
        struct slu_signing *signing = &table->signing[i];

        signing->name = slu_ours_str(item, "scheme");
        signing->headers = json_object_get(item, "headers");
        signing->query = json_object_get(item, "query");
        signing->own = slu_table_texts(compile, json_object_get(item, "own"), &signing->own_count);
        compile_scope(compile, json_object_get(item, "scope"), signing,
                      slu_table_at(compile, "/transport/signing/%zu/scope", i));
        signing->reply = slu_ours_str(item, "reply");
        if (signing->reply.p && !slu_reply_named(table, signing->reply).p)
            slu_table_wrong(compile, slu_table_at(compile, "/transport/signing/%zu/reply", i),
                            "is not in the transport's list of replies");
        if (slu_table_scheme_index(table, signing->name) >= 0)
            slu_table_wrong(compile, slu_table_at(compile, "/transport/signing/%zu/scheme", i),
                            "stands in the list already");
        table->schemes[i] = signing->name;
        table->scheme_count++;
    }
}

static void compile_request_id(struct slu_compile *compile, const json_t *json)
{
    struct slu_table *table = compile->table;
    size_t count;
    const struct slu_str *members;

    table->request_id_headers =
        slu_table_texts(compile, json_object_get(json, "headers"), &table->request_id_header_count);
    members = slu_table_texts(compile, json_object_get(json, "members"), &count);
    table->request_id_members = slu_table_array(compile, count, sizeof(struct slu_path));
    if (!members || !table->request_id_members)
        return;
    for (size_t i = 0; i < count; i++)
        table->request_id_members[table->request_id_member_count++] = slu_table_path(
            compile, members[i], slu_table_at(compile, "/transport/request_id/members/%zu", i));
}

static void compile_transport(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;
    const json_t *transport = json_object_get(table->source, "transport");
    const json_t *retry = json_object_get(transport, "retry_after");

    table->form = slu_str_is(slu_ours_str(transport, "request"), "form");
    table->flat = table->form || slu_str_is(slu_ours_str(transport, "request"), "query");
    slu_table_compile_encoding(compile);
    compile_parameters(compile, json_object_get(transport, "parameters"));
    table->headers = slu_named_compile(compile, json_object_get(transport, "headers"), SLU_STR_NONE,
                                       false, SLU_STR("/transport/headers"));
    compile_signing(compile, json_object_get(transport, "signing"));
    compile_request_id(compile, json_object_get(transport, "request_id"));
    slu_table_compile_refusals(compile);
    table->retry_header = slu_ours_str(retry, "header");
    table->retry_unit_ms = slu_str_is(slu_ours_str(retry, "unit"), "s") ? 1000 : 1;
}

static void compile_clients(struct slu_compile *compile, const json_t *json)
{
    struct slu_table *table = compile->table;
    size_t count = json_array_size(json);

    table->clients = slu_table_array(compile, count, sizeof(*table->clients));
    for (size_t i = 0; table->clients && i < count; i++) {
        const json_t *client = json_array_get(json, i);

        table->clients[table->client_count++] =
            (struct slu_table_client){slu_ours_str(client, "name"), slu_ours_str(client, "how")};
    }
}

void slu_table_compile(struct slu_compile *compile)
{
    struct slu_table *table = compile->table;

    table->dialect = slu_ours_str(table->source, "dialect");
    table->title = slu_ours_str(table->source, "title");
    table->api_version = slu_ours_str(table->source, "api_version");
    slu_table_slots(table);
    compile_clients(compile, json_object_get(table->source, "clients"));
    compile_transport(compile);
    slu_table_compile_enums(compile);
    slu_table_compile_rows(compile);
    slu_table_compile_lacks(compile);
    slu_table_compile_operations(compile);
    slu_table_compile_errors(compile);
    slu_table_compile_cases(compile);
}
