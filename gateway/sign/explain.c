/* The explanation of signatures: a vector file in, one line for each request out. */
#include "sign/explain.h"

#include "codec/json.h"
#include "codec/params.h"
#include "codec/time.h"
#include "sign/sign_internal.h"

/* One request of the file on its way through. */
struct reader {
    const struct slu_scheme *scheme;
    struct slu_mistakes *mistakes;
    struct slu_arena *arena;
    const struct slu_value *item;
    struct slu_str pointer; /* of the item */
};

static bool wrong(struct reader *r, struct slu_str pointer, const char *why)
{
    return slu_mistake(r->mistakes, SLU_FAULT_BAD_PARAMETER, pointer, "%s", why);
}

static struct slu_str pointer_to(struct reader *r, const char *name)
{
    return slu_pointer_member(r->arena, r->pointer, slu_str_of(name));
}

/* A member's text; empty with a NULL pointer when it is absent or null. */
static struct slu_str text_of(struct reader *r, const char *name, bool needed)
{
    const struct slu_value *value = slu_value_find(r->item, slu_str_of(name));

    if (slu_value_is(value, SLU_STRING))
        return value->text;
    if (needed && !value)
        wrong(r, pointer_to(r, name), "is missing");
    else if (value && (needed || value->kind != SLU_NULL))
        wrong(r, pointer_to(r, name), "must be a string");
    return SLU_STR_NONE;
}

static struct slu_str needed_text(struct reader *r, const char *name)
{
    struct slu_str text = text_of(r, name, true);

    if (text.p && !text.n)
        wrong(r, pointer_to(r, name), "must not be empty");
    return text;
}

static void write_pair(struct slu_buf *query, struct slu_str name, struct slu_str value)
{
    if (query->n)
        slu_buf_byte(query, '&');
    slu_percent_encode(query, name);
    slu_buf_byte(query, '=');
    slu_percent_encode(query, value);
}

static void read_pairs(struct reader *r, struct slu_str pointer, const struct slu_value *pairs,
                       struct slu_buf *query)
{
    size_t i = 0;

    slu_value_each (pair, pairs) {
        bool good = pair->kind == SLU_ARRAY && pair->count == 2 &&
                    pair->first->kind == SLU_STRING && pair->last->kind == SLU_STRING;

        if (good)
            write_pair(query, pair->first->text, pair->last->text);
        else
            wrong(r, slu_pointer_item(r->arena, pointer, i), "must be an array of two strings");
        i++;
    }
}

static void read_members(struct reader *r, struct slu_str pointer, const struct slu_value *members,
                         struct slu_buf *query)
{
    slu_value_each (member, members) {
        if (member->kind == SLU_STRING)
            write_pair(query, member->name, member->text);
        else
            wrong(r, slu_pointer_member(r->arena, pointer, member->name), "must be a string");
    }
}

static struct slu_str read_params(struct reader *r, const char *name)
{
    const struct slu_value *query = slu_value_find(r->item, slu_str_of(name));
    struct slu_str pointer = pointer_to(r, name);
    struct slu_str wire = SLU_STR_NONE;
    struct slu_buf text;

    if (!query || query->kind == SLU_NULL)
        return SLU_STR_NONE;
    slu_buf_init(&text, 0);
    if (query->kind == SLU_ARRAY)
        read_pairs(r, pointer, query, &text);
    else if (query->kind == SLU_OBJECT)
        read_members(r, pointer, query, &text);
    else
        wrong(r, pointer, "must be an array of pairs or an object of strings");
    if (text.n)
        wire = slu_arena_str(r->arena, slu_buf_str(&text));
    if (text.failed)
        r->mistakes->failed = true;
    slu_buf_done(&text);
    return wire;
}

static void add_header(struct reader *r, struct slu_request *request, struct slu_str pointer,
                       struct slu_str name, struct slu_str value)
{
    if (slu_str_eq_nocase(name, SLU_STR("host"))) {
        if (!slu_str_eq(value, request->host))
            wrong(r, pointer, "is not the member host");
    } else if (!slu_headers_add(r->arena, &request->headers, name, slu_str_trim(value))) {
        wrong(r, pointer, "is not a header field");
    }
}

static void read_headers(struct reader *r, struct slu_request *request)
{
    const struct slu_value *headers = slu_value_member(r->item, "headers");
    struct slu_str pointer = pointer_to(r, "headers");

    if (!headers || headers->kind == SLU_NULL)
        return;
    if (headers->kind != SLU_OBJECT) {
        wrong(r, pointer, "must be an object of strings");
        return;
    }
    slu_value_each (member, headers) {
        struct slu_str place = slu_pointer_member(r->arena, pointer, member->name);

        if (member->kind == SLU_STRING)
            add_header(r, request, place, member->name, member->text);
        else
            wrong(r, place, "must be a string");
    }
}

/* Members that stand for header fields, unless the file has the field itself. */
static void read_scheme_members(struct reader *r, struct slu_request *request)
{
    const struct slu_vector_member *member = r->scheme->members;

    for (; member && member->member; member++) {
        struct slu_str value = text_of(r, member->member, false);
        struct slu_str name = slu_str_of(member->header);

        if (value.p && !slu_headers_find(&request->headers, name))
            add_header(r, request, pointer_to(r, member->member), name, value);
    }
}

static bool is_upper_token(struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] >= 'a' && text.p[i] <= 'z')
            return false;
    }
    return slu_token_valid(text);
}

static void read_request(struct reader *r, struct slu_request *request)
{
    request->method = needed_text(r, "method");
    if (request->method.n && !is_upper_token(request->method))
        wrong(r, pointer_to(r, "method"), "must be a method in upper case");
    request->host = needed_text(r, "host");
    if (request->host.n && !slu_field_value_valid(request->host))
        wrong(r, pointer_to(r, "host"), "is not a host");
    request->path = needed_text(r, "path");
    if (request->path.n && *request->path.p != '/')
        wrong(r, pointer_to(r, "path"), "must begin with /");
    request->scheme = SLU_STR("https");
    request->query = read_params(r, "query");
    request->body = text_of(r, "body", false);
    if (!request->body.p)
        request->body = read_params(r, "form");
    read_headers(r, request);
    read_scheme_members(r, request);
}

static bool was_given(const struct slu_value *headers, struct slu_str name, struct slu_str value)
{
    if (!slu_value_is(headers, SLU_OBJECT))
        return false;
    slu_value_each (member, headers) {
        if (slu_str_eq_nocase(member->name, name) && slu_str_eq(slu_str_trim(member->text), value))
            return true;
    }
    return false;
}

static void write_member(struct slu_buf *out, const char *name, struct slu_str value)
{
    if (out->n && out->p[out->n - 1] != '{')
        slu_buf_byte(out, ',');
    slu_json_write_string(out, slu_str_of(name));
    slu_buf_byte(out, ':');
    slu_json_write_string(out, value);
}

static void write_added(struct reader *r, const struct slu_request *request, struct slu_buf *out)
{
    const struct slu_value *given = slu_value_member(r->item, "headers");
    const char *comma = "";

    slu_buf_lit(out, ",\"headers_added\":{");
    for (size_t i = 0; i <= request->headers.count; i++) {
        /* The host, which is no field here, comes last. */
        struct slu_header header = i < request->headers.count
                                       ? request->headers.items[i]
                                       : (struct slu_header){SLU_STR("host"), request->host};

        if (was_given(given, header.name, header.value))
            continue;
        slu_buf_add(out, slu_str_of(comma));
        slu_json_write_string(out, header.name);
        slu_buf_byte(out, ':');
        slu_json_write_string(out, header.value);
        comma = ",";
    }
    slu_buf_byte(out, '}');
}

static void write_line(struct reader *r, struct slu_str name, const struct slu_request *given,
                       const struct slu_request *request, const struct slu_sign_trace *trace,
                       struct slu_buf *out)
{
    slu_buf_byte(out, '{');
    write_member(out, "name", name);
    write_member(out, "canonical_request", trace->canonical_request);
    write_member(out, "string_to_sign", trace->string_to_sign);
    write_member(out, "authorization", trace->authorization);
    write_added(r, request, out);
    if (!slu_str_eq(given->query, request->query))
        write_member(out, "query", request->query);
    if (!slu_str_eq(given->body, request->body))
        write_member(out, "body", request->body);
    slu_buf_lit(out, "}\n");
}

static struct slu_seal *read_seal(struct reader *r)
{
    struct slu_str access_key = needed_text(r, "access_key");
    struct slu_str secret_key = needed_text(r, "secret_key");
    struct slu_str token = text_of(r, "security_token", false);
    slu_auto(slu_secret) *secret = slu_secret_new(secret_key);
    struct slu_seal_conf conf = {.access_key = access_key,
                                 .secret_key = secret,
                                 .security_token = token,
                                 .region = text_of(r, "region", false),
                                 .service = text_of(r, "service", false)};
    struct slu_seal *seal = secret ? slu_seal_new(r->scheme, &conf) : NULL;

    if (!seal)
        r->mistakes->failed = true;
    return seal;
}

static void explain_one(struct reader *r, struct slu_buf *out)
{
    size_t before = r->mistakes->count;
    struct slu_str name = text_of(r, "name", true);
    struct slu_str date = needed_text(r, "date");
    struct slu_str nonce = r->scheme->has_nonce ? needed_text(r, "nonce") : SLU_STR_NONE;
    slu_auto(slu_seal) *seal = read_seal(r);
    struct slu_sign_trace trace;
    struct slu_request request = {0}, given;
    struct slu_fault fault = {0};
    int64_t unix_s = 0;

    if (date.n && !slu_time_to_unix(date, &unix_s))
        wrong(r, pointer_to(r, "date"),
              "must be of the form YYYYMMDDThhmmssZ or YYYY-MM-DDThh:mm:ssZ");
    read_request(r, &request);
    if (r->mistakes->failed || r->arena->failed || r->mistakes->count != before)
        return;
    given = request;
    if (slu_sign(seal, r->arena, unix_s, nonce, &request, &trace, &fault))
        write_line(r, name, &given, &request, &trace, out);
    else
        slu_mistake(r->mistakes, fault.kind, r->pointer, "%s", fault.words);
}

bool slu_sign_explain(const struct slu_scheme *scheme, struct slu_str text, struct slu_buf *out,
                      struct slu_mistakes *mistakes)
{
    struct slu_arena *arena = mistakes->arena;
    struct slu_value *requests =
        slu_json_read(arena, text, (struct slu_json_limits){.nodes = 1000000}, mistakes);
    struct reader r = {.scheme = scheme, .mistakes = mistakes, .arena = arena};
    size_t i = 0;

    if (slu_scheme_fetches(scheme))
        return wrong(&r, SLU_STR_NONE,
                     "this scheme computes no signature: it sends a token that it was given");
    if (!requests)
        return false;
    if (requests->kind != SLU_ARRAY)
        return wrong(&r, SLU_STR_NONE, "must be an array of requests");
    slu_value_each (item, requests) {
        r.item = item;
        r.pointer = slu_pointer_item(arena, SLU_STR_NONE, i++);
        if (item->kind == SLU_OBJECT)
            explain_one(&r, out);
        else
            wrong(&r, r.pointer, "must be an object");
        if (arena->failed || out->failed)
            mistakes->failed = true;
    }
    return slu_mistakes_none(mistakes);
}
