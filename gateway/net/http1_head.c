/*
 * The head of an HTTP/1.1 message, read once when it is whole, field by field, by one table of
 * character classes. Then one function, frame(), decides where the message ends; what could be
 * understood in two ways is refused. Finding the head's end and reading bodies is http1.c's.
 */
#include "net/http1_internal.h"

enum { INTERIM_MOST = 8 }; /* 1xx responses before the final one */

/* Character classes */

#define ALNUM(c)                                                                                   \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define IS_HEX(c)                                                                                  \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define UNRESERVED(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define SUB_DELIM(c)                                                                               \
    ((c) == '!' || (c) == '$' || ((c) >= '&' && (c) <= ',') || (c) == ';' || (c) == '=')
#define IS_TOKEN(c)                                                                                \
    (ALNUM(c) || (c) == '!' || ((c) >= '#' && (c) <= '\'') || (c) == '*' || (c) == '+' ||          \
     (c) == '-' || (c) == '.' || ((c) >= '^' && (c) <= '`') || (c) == '|' || (c) == '~')
#define IS_PATH(c) (UNRESERVED(c) || SUB_DELIM(c) || (c) == ':' || (c) == '@' || (c) == '/')
/* Beyond RFC 3986 what the URL standard of the WHATWG lets a browser leave bare in a query. */
#define IS_QUERY(c)                                                                                \
    (IS_PATH(c) || (c) == '?' || (c) == '[' || (c) == ']' || (c) == '{' || (c) == '}' ||           \
     (c) == '|' || (c) == '^' || (c) == '`')
#define CLASS(c)                                                                                   \
    (uint8_t)((IS_TOKEN(c) ? SLU_HTTP1_TOKEN : 0) |                                                \
              ((c) == '\t' || ((c) >= ' ' && (c) != 0x7f) ? SLU_HTTP1_VALUE : 0) |                 \
              (IS_PATH(c) ? SLU_HTTP1_PATH : 0) | (IS_QUERY(c) ? SLU_HTTP1_QUERY : 0) |            \
              (UNRESERVED(c) ? SLU_HTTP1_HOST : 0) | (IS_HEX(c) ? SLU_HTTP1_HEX : 0))
#define CLASSES4(c)  CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASSES16(c) CLASSES4(c), CLASSES4((c) + 4), CLASSES4((c) + 8), CLASSES4((c) + 12)
#define CLASSES64(c) CLASSES16(c), CLASSES16((c) + 16), CLASSES16((c) + 32), CLASSES16((c) + 48)

const uint8_t slu_http1_classes[256] = {CLASSES64(0), CLASSES64(64), CLASSES64(128),
                                        CLASSES64(192)};

bool slu_http1_all(struct slu_str text, int class)
{
    for (size_t i = 0; i < text.n; i++)
        if (!slu_http1_is(text.p[i], class))
            return false;
    return true;
}

/* Refusals */

/* A reply that breaks a rule is unreadable, whichever rule it is. */
int slu_http1_refuse(const struct slu_http1 *r, enum slu_fault_kind kind, const char *words,
                     struct slu_fault *fault)
{
    if (r->side == SLU_HTTP1_RESPONSES && kind != SLU_FAULT_MEMORY)
        kind = SLU_FAULT_UPSTREAM_UNREADABLE;
    slu_fault_set(fault, kind, "", "%s", words);
    return SLU_HTTP1_FAILED;
}

int slu_http1_bad(const struct slu_http1 *r, const char *words, struct slu_fault *fault)
{
    return slu_http1_refuse(r, SLU_FAULT_BAD_REQUEST, words, fault);
}

/* The target of a request */

/* "." and "..", also written as %2e: a proxy and the server behind it may disagree on them. */
static bool dot_segment(struct slu_str segment)
{
    size_t dots = 0, i = 0;

    while (i < segment.n) {
        if (segment.p[i] == '.')
            i += 1;
        else if (segment.n - i >= 3 && segment.p[i] == '%' && segment.p[i + 1] == '2' &&
                 slu_ascii_lower(segment.p[i + 2]) == 'e')
            i += 3;
        else
            return false;
        dots++;
    }
    return dots == 1 || dots == 2;
}

bool slu_http1_coded(struct slu_str text, int class)
{
    for (size_t i = 0; i < text.n; i++) {
        if (slu_http1_is(text.p[i], class))
            continue;
        if (text.p[i] != '%' || text.n - i < 3 || !slu_http1_is(text.p[i + 1], SLU_HTTP1_HEX) ||
            !slu_http1_is(text.p[i + 2], SLU_HTTP1_HEX))
            return false;
        i += 2;
    }
    return true;
}

static bool path_valid(struct slu_str path)
{
    struct slu_str rest = path;

    if (path.n == 0 || path.p[0] != '/' || !slu_http1_coded(path, SLU_HTTP1_PATH))
        return false;
    while (rest.p)
        if (dot_segment(slu_str_cut(&rest, '/')))
            return false;
    return true;
}

static bool port_valid(struct slu_str port)
{
    uint64_t number;

    return port.n >= 1 && port.n <= 5 && slu_str_to_u64(port, &number) && number <= 65535;
}

static bool address_valid(struct slu_str address) /* what stands in brackets */
{
    for (size_t i = 0; i < address.n; i++)
        if (!slu_http1_is(address.p[i], SLU_HTTP1_HEX) && address.p[i] != ':' &&
            address.p[i] != '.')
            return false;
    return address.n >= 2;
}

bool slu_http1_host_valid(struct slu_str host)
{
    struct slu_str name;

    if (host.n && host.p[0] == '[') {
        host = slu_http1_part(host, 1, host.n);
        name = slu_str_cut(&host, ']');
        if (!host.p || !address_valid(name) || (host.n && host.p[0] != ':'))
            return false;
        return host.n == 0 || port_valid(slu_http1_part(host, 1, host.n));
    }
    name = slu_str_cut(&host, ':');
    return name.n > 0 && slu_http1_all(name, SLU_HTTP1_HOST) && (!host.p || port_valid(host));
}

/* RFC 9112 §3.2.2: "http://authority/path". Leaves the origin-form in *target. */
static bool absolute_form(struct slu_str *target, struct slu_str *ret_authority)
{
    struct slu_str rest = *target;
    size_t end = 0;

    if (rest.n > 7 && slu_str_eq_nocase(slu_http1_part(rest, 0, 7), SLU_STR("http://")))
        rest = slu_http1_part(rest, 7, rest.n);
    else if (rest.n > 8 && slu_str_eq_nocase(slu_http1_part(rest, 0, 8), SLU_STR("https://")))
        rest = slu_http1_part(rest, 8, rest.n);
    else
        return false;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    *ret_authority = slu_http1_part(rest, 0, end);
    *target = slu_http1_part(rest, end, rest.n);
    return slu_http1_host_valid(*ret_authority);
}

static int read_target(struct slu_http1 *r, struct slu_str target, struct slu_str *ret_authority,
                       struct slu_fault *fault)
{
    struct slu_request *request = &r->request;

    *ret_authority = SLU_STR_NONE;
    if (slu_str_is(request->method, "CONNECT") ||
        (slu_str_is(target, "*") && slu_str_is(request->method, "OPTIONS")))
        return slu_http1_refuse(r, SLU_FAULT_NOT_IMPLEMENTED, "this form of target is not served",
                                fault);
    if (target.n && target.p[0] != '/' && !absolute_form(&target, ret_authority))
        return slu_http1_bad(r, "the request target is neither a path nor a URL", fault);
    request->path = slu_str_cut(&target, '?');
    request->query = target;
    if (ret_authority->p && request->path.n == 0)
        request->path = SLU_STR("/");
    if (!path_valid(request->path))
        return slu_http1_bad(r, "the path is not valid", fault);
    if (!slu_http1_coded(request->query, SLU_HTTP1_QUERY))
        return slu_http1_bad(r, "the query is not valid", fault);
    return SLU_HTTP1_GO_ON;
}

/* Start lines */

static bool version_shaped(struct slu_str text)
{
    return text.n == 8 && memcmp(text.p, "HTTP/", 5) == 0 && text.p[5] >= '0' && text.p[5] <= '9' &&
           text.p[6] == '.' && text.p[7] >= '0' && text.p[7] <= '9';
}

static int read_version(struct slu_http1 *r, struct slu_str text, struct slu_fault *fault)
{
    if (!version_shaped(text))
        return slu_http1_bad(r, "the protocol version is not valid", fault);
    if (text.p[5] != '1' || text.p[7] > '1')
        return slu_http1_refuse(r, SLU_FAULT_HTTP_VERSION, "only HTTP/1.0 and HTTP/1.1 are served",
                                fault);
    r->old = text.p[7] == '0';
    return SLU_HTTP1_GO_ON;
}

static bool upper_case(struct slu_str method)
{
    for (size_t i = 0; i < method.n; i++)
        if (method.p[i] >= 'a' && method.p[i] <= 'z')
            return false;
    return true;
}

static int request_line(struct slu_http1 *r, struct slu_str line, struct slu_str *ret_authority,
                        struct slu_fault *fault)
{
    struct slu_str method = slu_str_cut(&line, ' ');
    struct slu_str target = slu_str_cut(&line, ' ');
    int result;

    if (!line.p)
        return slu_http1_bad(r, "the request line has not three parts", fault);
    if (method.n == 0 || !slu_http1_all(method, SLU_HTTP1_TOKEN))
        return slu_http1_bad(r, "the method is not a token", fault);
    result = read_version(r, line, fault);
    if (result != SLU_HTTP1_GO_ON)
        return result;
    if (!upper_case(method)) /* methods are case-sensitive, RFC 9110 §9.1 */
        return slu_http1_refuse(r, SLU_FAULT_NOT_IMPLEMENTED, "this method is not known", fault);
    r->request.method = method;
    return read_target(r, target, ret_authority, fault);
}

/* The blank after the status belongs to the grammar, but RFC 9112 §4 is often read otherwise when
 * there is no reason; nothing depends on it. */
static int status_line(struct slu_http1 *r, struct slu_str line, struct slu_fault *fault)
{
    struct slu_str version = slu_str_cut(&line, ' ');
    struct slu_str status = slu_str_cut(&line, ' ');
    uint64_t number;
    int result = read_version(r, version, fault);

    if (result != SLU_HTTP1_GO_ON)
        return result;
    if (status.n != 3 || !slu_str_to_u64(status, &number) || number < 100 || number > 599)
        return slu_http1_bad(r, "the status is not valid", fault);
    if (!slu_http1_all(line, SLU_HTTP1_VALUE))
        return slu_http1_bad(r, "the reason holds a control character", fault);
    r->response.status = (int)number;
    return SLU_HTTP1_GO_ON;
}

/* Fields */

/* What the framing and the connection's fate depend on. */
struct facts {
    struct slu_str authority; /* of an absolute-form target */
    struct slu_str host, length, coding, expect;
    unsigned hosts, lengths, codings, expects;
    bool close, keep_alive, encoded;
};

/* One line at *at, which ends in CRLF (the head's search made sure). */
bool slu_http1_read_field(const char **at, struct slu_header *ret_field)
{
    const char *c = *at, *start = c;

    while (slu_http1_is(*c, SLU_HTTP1_TOKEN))
        c++;
    ret_field->name = (struct slu_str){start, (size_t)(c - start)};
    if (c == start || *c != ':')
        return false;
    c++;
    while (*c == ' ' || *c == '\t')
        c++;
    start = c;
    while (slu_http1_is(*c, SLU_HTTP1_VALUE))
        c++;
    *at = c + 2;
    if (c[0] != '\r' || c[1] != '\n')
        return false;
    while (c > start && (c[-1] == ' ' || c[-1] == '\t'))
        c--;
    ret_field->value = (struct slu_str){start, (size_t)(c - start)};
    return true;
}

static void note_connection(struct facts *facts, struct slu_str list)
{
    while (list.p) {
        struct slu_str option = slu_str_trim(slu_str_cut(&list, ','));

        if (slu_str_eq_nocase(option, SLU_STR("close")))
            facts->close = true;
        else if (slu_str_eq_nocase(option, SLU_STR("keep-alive")))
            facts->keep_alive = true;
    }
}

static bool named(const struct slu_header *field, const char *name)
{
    return slu_str_eq_nocase(field->name, slu_str_of(name));
}

/* True when the field stays among the message's own (a request's Host and Content-Length do not,
 * see codec/message.h). */
static bool note(struct slu_http1 *r, struct facts *facts, const struct slu_header *field)
{
    bool request = r->side == SLU_HTTP1_REQUESTS;

    switch (field->name.n) { /* most fields are told apart by length alone */
    case sizeof("host") - 1:
        if (!request || !named(field, "host"))
            return true;
        facts->hosts++;
        facts->host = field->value;
        return false;
    case sizeof("content-length") - 1:
        if (!named(field, "content-length"))
            return true;
        facts->lengths++;
        facts->length = field->value;
        return !request;
    case sizeof("transfer-encoding") - 1:
        if (named(field, "transfer-encoding")) {
            facts->codings++;
            facts->coding = field->value;
        }
        return true;
    case sizeof("connection") - 1:
        if (named(field, "connection"))
            note_connection(facts, field->value);
        return true;
    case sizeof("expect") - 1:
        if (named(field, "expect")) {
            facts->expects++;
            facts->expect = field->value;
        }
        return true;
    case sizeof("content-encoding") - 1:
        if (named(field, "content-encoding") &&
            !slu_str_eq_nocase(field->value, SLU_STR("identity")))
            facts->encoded = true;
        return true;
    }
    return true;
}

static int read_fields(struct slu_http1 *r, const char *at, const char *end, struct facts *facts,
                       struct slu_fault *fault)
{
    struct slu_headers *headers =
        r->side == SLU_HTTP1_REQUESTS ? &r->request.headers : &r->response.headers;
    size_t most = r->lines - 2; /* without the start line and the empty one */

    if (most > r->limits.head_fields)
        return slu_http1_refuse(r, SLU_FAULT_HEADERS_TOO_LARGE, "too many header fields", fault);
    *headers = (struct slu_headers){.size = most};
    if (most && !(headers->items = slu_arena_get(r->arena, most * sizeof(*headers->items)))) {
        slu_fault_memory(fault);
        return SLU_HTTP1_FAILED;
    }
    while (at < end) {
        struct slu_header field;

        if (!slu_http1_read_field(&at, &field))
            return slu_http1_bad(r, "a header field is not valid", fault);
        if (note(r, facts, &field)) {
            slu_must(headers->count < most);
            headers->items[headers->count++] = field;
        }
    }
    return SLU_HTTP1_GO_ON;
}

/* Framing */

static int frame_length(struct slu_http1 *r, struct slu_str text, struct slu_fault *fault)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return slu_http1_bad(r, "Content-Length is not a number", fault);
    if (text.n == 0)
        return slu_http1_bad(r, "Content-Length is empty", fault);
    if (!slu_str_to_u64(text, &r->length))
        r->length = UINT64_MAX; /* no limit lets it through */
    r->framing = r->length ? SLU_HTTP1_LENGTH : SLU_HTTP1_NO_BODY;
    return SLU_HTTP1_GO_ON;
}

static int frame_coding(struct slu_http1 *r, struct slu_str coding, struct slu_fault *fault)
{
    if (r->old)
        return slu_http1_bad(r, "HTTP/1.0 has no Transfer-Encoding", fault);
    if (coding.n == 0)
        return slu_http1_bad(r, "Transfer-Encoding is empty", fault);
    if (!slu_str_eq_nocase(coding, SLU_STR("chunked")))
        return slu_http1_refuse(r, SLU_FAULT_NOT_IMPLEMENTED,
                                "the only transfer coding served is chunked", fault);
    r->framing = SLU_HTTP1_CHUNKED;
    return SLU_HTTP1_GO_ON;
}

/* RFC 9112 §6.3, and stricter: what two readers could understand differently is refused. */
static int frame(struct slu_http1 *r, const struct facts *facts, struct slu_fault *fault)
{
    int result = SLU_HTTP1_GO_ON;
    int status = r->response.status;

    r->keep = !facts->close && (!r->old || facts->keep_alive);
    r->framing = SLU_HTTP1_NO_BODY;
    r->length = 0;
    if (facts->lengths > 1 || facts->codings > 1)
        return slu_http1_bad(r, "the length of the body is given twice", fault);
    if (facts->lengths && facts->codings)
        return slu_http1_bad(r, "both Content-Length and Transfer-Encoding are given", fault);
    if (facts->lengths)
        result = frame_length(r, facts->length, fault);
    else if (facts->codings)
        result = frame_coding(r, facts->coding, fault);
    else if (r->side == SLU_HTTP1_RESPONSES)
        r->framing = SLU_HTTP1_UNTIL_CLOSE;
    if (result != SLU_HTTP1_GO_ON || r->side == SLU_HTTP1_REQUESTS)
        return result;
    if (r->answers_head || status < 200 || status == 204 || status == 304)
        r->framing = SLU_HTTP1_NO_BODY;
    r->keep = r->keep && r->framing != SLU_HTTP1_UNTIL_CLOSE;
    return SLU_HTTP1_GO_ON;
}

static int check_request(struct slu_http1 *r, const struct facts *facts, struct slu_fault *fault)
{
    if (facts->hosts != 1)
        return slu_http1_bad(r, facts->hosts ? "Host is given twice" : "Host is missing", fault);
    if (!slu_http1_host_valid(facts->host))
        return slu_http1_bad(r, "Host is not valid", fault);
    if (facts->authority.p && !slu_str_eq_nocase(facts->authority, facts->host))
        return slu_http1_bad(r, "Host is not the host of the request target", fault);
    r->request.host = facts->host;
    r->expects_continue = false;
    if (facts->expects && !r->old) { /* RFC 9110 §10.1.1: ignored from HTTP/1.0 */
        if (facts->expects > 1 || !slu_str_eq_nocase(facts->expect, SLU_STR("100-continue")))
            return slu_http1_refuse(r, SLU_FAULT_EXPECTATION,
                                    "the only expectation met is 100-continue", fault);
        r->expects_continue = r->framing != SLU_HTTP1_NO_BODY;
    }
    return SLU_HTTP1_GO_ON;
}

static int check_response(struct slu_http1 *r, const struct facts *facts, struct slu_fault *fault)
{
    if (r->response.status == 101)
        return slu_http1_bad(r, "the protocol was switched, which nobody asked for", fault);
    if (r->response.status < 200)
        return ++r->interim > INTERIM_MOST ? slu_http1_bad(r, "too many interim responses", fault)
                                           : SLU_HTTP1_GO_ON;
    if (facts->encoded)
        return slu_http1_bad(r, "the content is encoded, which nobody asked for", fault);
    return SLU_HTTP1_GO_ON;
}

int slu_http1_understand_head(struct slu_http1 *r, struct slu_str head, struct slu_fault *fault)
{
    struct facts facts = {0};
    const char *first = memchr(head.p, '\n', head.n);
    struct slu_str line = {head.p, (size_t)(first - head.p) - 1};
    int result = r->side == SLU_HTTP1_REQUESTS ? request_line(r, line, &facts.authority, fault)
                                               : status_line(r, line, fault);

    if (result == SLU_HTTP1_GO_ON)
        result = read_fields(r, first + 1, head.p + head.n - 2, &facts, fault);
    if (result == SLU_HTTP1_GO_ON)
        result = frame(r, &facts, fault);
    if (result == SLU_HTTP1_GO_ON)
        result = r->side == SLU_HTTP1_REQUESTS ? check_request(r, &facts, fault)
                                               : check_response(r, &facts, fault);
    return result;
}
