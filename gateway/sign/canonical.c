/*
 * The canonical request that a family of schemes hashes, and the signature over it:
 *
 *   METHOD \n path \n query \n "name:value\n" for each signed field \n names \n digest
 *
 * It is written once, into one piece of the arena big enough for the worst case. Path and query are
 * decoded and encoded again, so that what a client left bare on the wire (the vendors' own SDKs do:
 * "! ' ( ) *") has one form on both sides; one scheme encodes the path of the wire as it is.
 */
#include "codec/params.h"
#include "codec/text.h"
#include "sign/sign_internal.h"

enum { MOST_PARAMS = 1000 };

bool slu_fields_init(const struct slu_form *form, struct slu_arena *arena,
                     struct slu_fields *fields, const struct slu_request *request,
                     struct slu_fault *fault)
{
    size_t size = request->headers.count + 2;

    *fields = (struct slu_fields){.size = size, .keep_order = form->keep_order};
    fields->items = slu_arena_get(arena, size * sizeof(*fields->items));
    return fields->items ? true : slu_fault_memory(fault);
}

static bool has_upper(struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != slu_ascii_lower(text.p[i]))
            return true;
    }
    return false;
}

static struct slu_str lowered(struct slu_arena *arena, struct slu_str name)
{
    char *lower;

    if (!has_upper(name))
        return name;
    lower = slu_arena_get(arena, name.n);
    if (!lower)
        return SLU_STR_NONE;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = slu_ascii_lower(name.p[i]);
    return (struct slu_str){lower, name.n};
}

static bool after(const struct slu_header *a, const struct slu_header *b, bool keep_order)
{
    int order = slu_str_cmp(a->name, b->name);

    return order ? order > 0 : !keep_order && slu_str_cmp(a->value, b->value) > 0;
}

bool slu_fields_add(struct slu_arena *arena, struct slu_fields *fields, struct slu_str name,
                    struct slu_str value, struct slu_fault *fault)
{
    struct slu_header field = {lowered(arena, name), slu_str_trim(value)};
    size_t at = fields->count;

    if (name.n && !field.name.p)
        return slu_fault_memory(fault);
    slu_must(fields->count < fields->size);
    for (; at > 0 && after(&fields->items[at - 1], &field, fields->keep_order); at--)
        fields->items[at] = fields->items[at - 1];
    fields->items[at] = field;
    fields->count++;
    return true;
}

bool slu_field_of_family(struct slu_str name, struct slu_str head)
{
    return name.n > head.n && slu_str_eq_nocase((struct slu_str){name.p, head.n}, head);
}

bool slu_fields_collect(const struct slu_form *form, struct slu_str head, struct slu_arena *arena,
                        const struct slu_request *request, struct slu_fields *fields,
                        struct slu_fault *fault)
{
    if (!slu_fields_init(form, arena, fields, request, fault) ||
        !slu_fields_add(arena, fields, SLU_STR("host"), request->host, fault))
        return false;
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct slu_header *header = &request->headers.items[i];

        if ((slu_field_of_family(header->name, head) ||
             slu_str_eq_nocase(header->name, SLU_STR("content-type"))) &&
            !slu_fields_add(arena, fields, header->name, header->value, fault))
            return false;
    }
    return true;
}

/* Every field of one name. Host and Content-Length are no fields of a request in this house: they
 * stand for themselves. */
static bool add_named(struct slu_arena *arena, struct slu_fields *fields,
                      const struct slu_request *request, struct slu_str name,
                      struct slu_fault *fault)
{
    size_t before = fields->count;

    if (slu_str_is(name, "host"))
        return slu_fields_add(arena, fields, name, request->host, fault);
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct slu_header *header = &request->headers.items[i];

        if (slu_str_eq_nocase(header->name, name) &&
            !slu_fields_add(arena, fields, name, header->value, fault))
            return false;
    }
    if (fields->count == before && slu_str_is(name, "content-length")) {
        struct slu_str length = slu_arena_printf(arena, "%zu", request->body.n);

        return length.p ? slu_fields_add(arena, fields, name, length, fault)
                        : slu_fault_memory(fault);
    }
    if (fields->count == before)
        return slu_refuse(fault, "signature", "a field named as signed was not sent");
    return true;
}

bool slu_fields_named(const struct slu_form *form, struct slu_arena *arena,
                      struct slu_fields *fields, const struct slu_request *request,
                      struct slu_str list, struct slu_fault *fault)
{
    struct slu_str last = SLU_STR_NONE;

    if (!slu_fields_init(form, arena, fields, request, fault))
        return false;
    while (list.p) {
        struct slu_str name = slu_str_cut(&list, ';');

        /* Ascending also means that no name comes twice, so the fields have room. */
        if (has_upper(name) || slu_str_cmp(last, name) >= 0)
            return slu_refuse(fault, "signature",
                              "the names of the signed fields are not in lower case and sorted");
        if (!add_named(arena, fields, request, name, fault))
            return false;
        last = name;
    }
    return true;
}

bool slu_list_has(struct slu_str list, struct slu_str name)
{
    while (list.p) {
        if (slu_str_eq_nocase(slu_str_cut(&list, ';'), name))
            return true;
    }
    return false;
}

static void write_path(struct slu_buf *out, struct slu_str decoded, bool end_slash)
{
    struct slu_str rest = decoded;

    while (rest.p) {
        slu_percent_encode(out, slu_str_cut(&rest, '/'));
        if (rest.p)
            slu_buf_byte(out, '/');
    }
    if (!decoded.n || (end_slash && !slu_str_ends(decoded, SLU_STR("/"))))
        slu_buf_byte(out, '/');
}

/* The segments of the wire's path that count: empty ones and "." do not, ".." takes the one before
 * it away (RFC 3986 §5.2.4, and empty ones as the vendor's SDKs do). Answers how many. */
static size_t cut_path(struct slu_str path, struct slu_str *segments)
{
    size_t count = 0;

    while (path.p) {
        struct slu_str segment = slu_str_cut(&path, '/');

        if (slu_str_is(segment, ".."))
            count -= count > 0;
        else if (segment.n && !slu_str_is(segment, "."))
            segments[count++] = segment;
    }
    return count;
}

static bool write_wire_path(struct slu_buf *out, struct slu_arena *arena, struct slu_str path)
{
    struct slu_str *segments;
    size_t count;

    if (path.n <= 1) {
        slu_buf_byte(out, '/');
        return true;
    }
    segments = slu_arena_get(arena, (path.n / 2 + 1) * sizeof(*segments));
    if (!segments)
        return false;
    count = cut_path(path, segments);
    for (size_t i = 0; i < count; i++) {
        slu_buf_byte(out, '/');
        slu_percent_encode(out, segments[i]);
    }
    if (!count || slu_str_ends(path, SLU_STR("/")))
        slu_buf_byte(out, '/');
    return true;
}

static void write_value(struct slu_buf *out, struct slu_str value, bool one_blank)
{
    bool was_blank = false;

    if (!one_blank) {
        slu_buf_add(out, value);
        return;
    }
    for (size_t i = 0; i < value.n; i++) {
        bool blank = value.p[i] == ' ' || value.p[i] == '\t';

        if (!blank || !was_blank)
            slu_buf_byte(out, blank ? ' ' : value.p[i]);
        was_blank = blank;
    }
}

/* Both parts end with their own newline. */
static struct slu_str write_fields(struct slu_buf *out, const struct slu_form *form,
                                   const struct slu_fields *fields)
{
    struct slu_str last = SLU_STR_NONE;
    size_t names;

    for (size_t i = 0; i < fields->count; i++) {
        const struct slu_header *field = &fields->items[i];

        if (form->join_repeated && i && slu_str_eq(field->name, last)) {
            out->p[out->n - 1] = ',';
        } else {
            slu_buf_add(out, field->name);
            slu_buf_byte(out, ':');
        }
        write_value(out, field->value, form->one_blank);
        slu_buf_byte(out, '\n');
        last = field->name;
    }
    slu_buf_byte(out, '\n');
    names = out->n;
    for (size_t i = 0; i < fields->count; i++) {
        if (i && slu_str_eq(fields->items[i].name, fields->items[i - 1].name))
            continue;
        if (i)
            slu_buf_byte(out, ';');
        slu_buf_add(out, fields->items[i].name);
    }
    slu_buf_byte(out, '\n');
    return (struct slu_str){out->p + names, out->n - names - 1};
}

/* An encoded byte takes three; the separators of the parts are counted with room to spare. */
static size_t most_bytes(const struct slu_request *request, const struct slu_params *params,
                         const struct slu_fields *fields, struct slu_str digest)
{
    size_t most = request->method.n + 3 * request->path.n + 3 * request->query.n +
                  2 * params->count + digest.n + 16;

    for (size_t i = 0; i < fields->count; i++)
        most += 2 * fields->items[i].name.n + fields->items[i].value.n + 4;
    return most;
}

static bool write_request(const struct slu_form *form, struct slu_arena *arena,
                          const struct slu_request *request, const struct slu_fields *fields,
                          struct slu_str digest, struct slu_made *made, struct slu_fault *fault)
{
    struct slu_params params = {0};
    struct slu_str path;
    struct slu_buf out = {0};

    /* Servers of two families decode "+" in a query as a blank (Go's and Java's query readers). */
    if (request->query.n &&
        !slu_params_read(arena, request->query, !form->wire_query, MOST_PARAMS, &params, fault))
        return false;
    if ((form->wire_path && request->path.n && request->path.p[0] != '/') ||
        !slu_percent_decode(arena, request->path, false, &path))
        return arena->failed
                   ? slu_fault_memory(fault)
                   : slu_fault_set(fault, SLU_FAULT_BAD_REQUEST, "path",
                                   "the path does not begin with / or is not valid percent-encoded "
                                   "UTF-8");
    if (form->wire_query)
        slu_params_sort_encoded(&params);
    else
        slu_params_sort(&params);
    out.size = out.limit = most_bytes(request, &params, fields, digest);
    out.p = slu_arena_get(arena, out.size); /* never grows: the limit is its size */
    if (!out.p)
        return slu_fault_memory(fault);
    slu_buf_add(&out, request->method);
    slu_buf_byte(&out, '\n');
    if (!form->wire_path)
        write_path(&out, path, form->end_slash);
    else if (!write_wire_path(&out, arena, request->path))
        return slu_fault_memory(fault);
    slu_buf_byte(&out, '\n');
    slu_params_write(&out, &params);
    slu_buf_byte(&out, '\n');
    made->signed_names = write_fields(&out, form, fields);
    slu_buf_add(&out, digest);
    slu_must(!out.failed);
    made->canonical_request = slu_buf_str(&out);
    return true;
}

static bool write_to_sign(const struct slu_form *form, struct slu_arena *arena,
                          struct slu_str middle, struct slu_made *made)
{
    size_t size = form->word.n + middle.n + SLU_SHA256_HEX + 2;
    struct slu_buf out = {.p = slu_arena_get(arena, size), .size = size, .limit = size};

    if (!out.p)
        return false;
    slu_buf_add(&out, form->word);
    slu_buf_byte(&out, '\n');
    slu_buf_add(&out, middle);
    if (middle.n)
        slu_buf_byte(&out, '\n');
    if (!slu_sha256_hex(made->canonical_request, out.p + out.n))
        return false;
    out.n += SLU_SHA256_HEX;
    made->string_to_sign = slu_buf_str(&out);
    return true;
}

bool slu_form_make(const struct slu_form *form, struct slu_hmac *hmac, struct slu_arena *arena,
                   const struct slu_request *request, const struct slu_fields *fields,
                   struct slu_str digest, struct slu_str middle, struct slu_made *ret_made,
                   struct slu_fault *fault)
{
    unsigned char mac[SLU_SHA256_SIZE];

    if (!write_request(form, arena, request, fields, digest, ret_made, fault))
        return false;
    if (!write_to_sign(form, arena, middle, ret_made) ||
        !slu_hmac_sha256(hmac, ret_made->string_to_sign, mac))
        return slu_fault_memory(fault);
    slu_hex_write(ret_made->signature, mac, sizeof(mac));
    return true;
}
