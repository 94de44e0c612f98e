/*
 * The one reader of HTTP/1.1 messages (RFC 9112) and the writers of heads.
 *
 * A head is first looked for, line by line, without understanding it: only the end of lines, bare
 * LF and the limits matter. When it is whole it is copied to the arena and read once, field by
 * field, by one table of character classes. Then one function, frame(), decides where the message
 * ends; what could be understood in two ways is refused. Bodies follow as a few small states.
 */
#include "net/http1.h"

#include <stdint.h>

enum {
    INTERIM_MOST = 8,       /* 1xx responses before the final one */
    CHUNK_LINE_MOST = 512,  /* one chunk size with its extensions */
    CHUNK_DIGITS_MOST = 8,  /* 4 GiB - 1 */
    EXTENSIONS_MOST = 4096, /* all chunk extensions and trailers of one message */
    FIRST_BODY = 8192       /* reserved before any byte of an announced body is there */
};

enum state {
    READ_HEAD,
    BEGIN_BODY,
    READ_LENGTH,
    READ_CHUNK_SIZE,
    READ_CHUNK,
    READ_CHUNK_END,
    READ_TRAILERS,
    READ_UNTIL_CLOSE,
    WHOLE
};

/* A step's answer beside enum slu_http1_result: the state moved, go on. */
enum { GO_ON = SLU_HTTP1_FAILED + 1 };

/* Character classes */

enum { TOKEN = 1, VALUE = 2, PATH = 4, QUERY = 8, HOST = 16, HEX = 32 };

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
    (uint8_t)((IS_TOKEN(c) ? TOKEN : 0) |                                                          \
              ((c) == '\t' || ((c) >= ' ' && (c) != 0x7f) ? VALUE : 0) | (IS_PATH(c) ? PATH : 0) | \
              (IS_QUERY(c) ? QUERY : 0) | (UNRESERVED(c) ? HOST : 0) | (IS_HEX(c) ? HEX : 0))
#define CLASSES4(c)  CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASSES16(c) CLASSES4(c), CLASSES4((c) + 4), CLASSES4((c) + 8), CLASSES4((c) + 12)
#define CLASSES64(c) CLASSES16(c), CLASSES16((c) + 16), CLASSES16((c) + 32), CLASSES16((c) + 48)

static const uint8_t classes[256] = {CLASSES64(0), CLASSES64(64), CLASSES64(128), CLASSES64(192)};

static bool is(char c, int class)
{
    return (classes[(uint8_t)c] & class) != 0;
}

static bool all(struct slu_str text, int class)
{
    for (size_t i = 0; i < text.n; i++)
        if (!is(text.p[i], class))
            return false;
    return true;
}

static struct slu_str part(struct slu_str s, size_t from, size_t to)
{
    return (struct slu_str){s.p + from, to - from};
}

/* Refusals */

/* A reply that breaks a rule is unreadable, whichever rule it is. */
static int refuse(const struct slu_http1 *r, enum slu_fault_kind kind, const char *words,
                  struct slu_fault *fault)
{
    if (r->side == SLU_HTTP1_RESPONSES && kind != SLU_FAULT_MEMORY)
        kind = SLU_FAULT_UPSTREAM_UNREADABLE;
    slu_fault_set(fault, kind, "", "%s", words);
    return SLU_HTTP1_FAILED;
}

static int bad(const struct slu_http1 *r, const char *words, struct slu_fault *fault)
{
    return refuse(r, SLU_FAULT_BAD_REQUEST, words, fault);
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

static bool coded(struct slu_str text, int class)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is(text.p[i], class))
            continue;
        if (text.p[i] != '%' || text.n - i < 3 || !is(text.p[i + 1], HEX) ||
            !is(text.p[i + 2], HEX))
            return false;
        i += 2;
    }
    return true;
}

static bool path_valid(struct slu_str path)
{
    struct slu_str rest = path;

    if (path.n == 0 || path.p[0] != '/' || !coded(path, PATH))
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
        if (!is(address.p[i], HEX) && address.p[i] != ':' && address.p[i] != '.')
            return false;
    return address.n >= 2;
}

bool slu_http1_host_valid(struct slu_str host)
{
    struct slu_str name;

    if (host.n && host.p[0] == '[') {
        host = part(host, 1, host.n);
        name = slu_str_cut(&host, ']');
        if (!host.p || !address_valid(name) || (host.n && host.p[0] != ':'))
            return false;
        return host.n == 0 || port_valid(part(host, 1, host.n));
    }
    name = slu_str_cut(&host, ':');
    return name.n > 0 && all(name, HOST) && (!host.p || port_valid(host));
}

/* RFC 9112 §3.2.2: "http://authority/path". Leaves the origin-form in *target. */
static bool absolute_form(struct slu_str *target, struct slu_str *ret_authority)
{
    struct slu_str rest = *target;
    size_t end = 0;

    if (rest.n > 7 && slu_str_eq_nocase(part(rest, 0, 7), SLU_STR("http://")))
        rest = part(rest, 7, rest.n);
    else if (rest.n > 8 && slu_str_eq_nocase(part(rest, 0, 8), SLU_STR("https://")))
        rest = part(rest, 8, rest.n);
    else
        return false;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    *ret_authority = part(rest, 0, end);
    *target = part(rest, end, rest.n);
    return slu_http1_host_valid(*ret_authority);
}

static int read_target(struct slu_http1 *r, struct slu_str target, struct slu_str *ret_authority,
                       struct slu_fault *fault)
{
    struct slu_request *request = &r->request;

    *ret_authority = SLU_STR_NONE;
    if (slu_str_is(request->method, "CONNECT") ||
        (slu_str_is(target, "*") && slu_str_is(request->method, "OPTIONS")))
        return refuse(r, SLU_FAULT_NOT_IMPLEMENTED, "this form of target is not served", fault);
    if (target.n && target.p[0] != '/' && !absolute_form(&target, ret_authority))
        return bad(r, "the request target is neither a path nor a URL", fault);
    request->path = slu_str_cut(&target, '?');
    request->query = target;
    if (ret_authority->p && request->path.n == 0)
        request->path = SLU_STR("/");
    if (!path_valid(request->path))
        return bad(r, "the path is not valid", fault);
    if (!coded(request->query, QUERY))
        return bad(r, "the query is not valid", fault);
    return GO_ON;
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
        return bad(r, "the protocol version is not valid", fault);
    if (text.p[5] != '1' || text.p[7] > '1')
        return refuse(r, SLU_FAULT_HTTP_VERSION, "only HTTP/1.0 and HTTP/1.1 are served", fault);
    r->old = text.p[7] == '0';
    return GO_ON;
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
        return bad(r, "the request line has not three parts", fault);
    if (method.n == 0 || !all(method, TOKEN))
        return bad(r, "the method is not a token", fault);
    result = read_version(r, line, fault);
    if (result != GO_ON)
        return result;
    if (!upper_case(method)) /* methods are case-sensitive, RFC 9110 §9.1 */
        return refuse(r, SLU_FAULT_NOT_IMPLEMENTED, "this method is not known", fault);
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

    if (result != GO_ON)
        return result;
    if (status.n != 3 || !slu_str_to_u64(status, &number) || number < 100 || number > 599)
        return bad(r, "the status is not valid", fault);
    if (!all(line, VALUE))
        return bad(r, "the reason holds a control character", fault);
    r->response.status = (int)number;
    return GO_ON;
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
static bool read_field(const char **at, struct slu_header *ret_field)
{
    const char *c = *at, *start = c;

    while (is(*c, TOKEN))
        c++;
    ret_field->name = (struct slu_str){start, (size_t)(c - start)};
    if (c == start || *c != ':')
        return false;
    c++;
    while (*c == ' ' || *c == '\t')
        c++;
    start = c;
    while (is(*c, VALUE))
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
        return refuse(r, SLU_FAULT_HEADERS_TOO_LARGE, "too many header fields", fault);
    *headers = (struct slu_headers){.size = most};
    if (most && !(headers->items = slu_arena_get(r->arena, most * sizeof(*headers->items)))) {
        slu_fault_memory(fault);
        return SLU_HTTP1_FAILED;
    }
    while (at < end) {
        struct slu_header field;

        if (!read_field(&at, &field))
            return bad(r, "a header field is not valid", fault);
        if (note(r, facts, &field)) {
            slu_must(headers->count < most);
            headers->items[headers->count++] = field;
        }
    }
    return GO_ON;
}

/* Framing */

static int frame_length(struct slu_http1 *r, struct slu_str text, struct slu_fault *fault)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return bad(r, "Content-Length is not a number", fault);
    if (text.n == 0)
        return bad(r, "Content-Length is empty", fault);
    if (!slu_str_to_u64(text, &r->length))
        r->length = UINT64_MAX; /* no limit lets it through */
    r->framing = r->length ? SLU_HTTP1_LENGTH : SLU_HTTP1_NO_BODY;
    return GO_ON;
}

static int frame_coding(struct slu_http1 *r, struct slu_str coding, struct slu_fault *fault)
{
    if (r->old)
        return bad(r, "HTTP/1.0 has no Transfer-Encoding", fault);
    if (coding.n == 0)
        return bad(r, "Transfer-Encoding is empty", fault);
    if (!slu_str_eq_nocase(coding, SLU_STR("chunked")))
        return refuse(r, SLU_FAULT_NOT_IMPLEMENTED, "the only transfer coding served is chunked",
                      fault);
    r->framing = SLU_HTTP1_CHUNKED;
    return GO_ON;
}

/* RFC 9112 §6.3, and stricter: what two readers could understand differently is refused. */
static int frame(struct slu_http1 *r, const struct facts *facts, struct slu_fault *fault)
{
    int result = GO_ON;
    int status = r->response.status;

    r->keep = !facts->close && (!r->old || facts->keep_alive);
    r->framing = SLU_HTTP1_NO_BODY;
    r->length = 0;
    if (facts->lengths > 1 || facts->codings > 1)
        return bad(r, "the length of the body is given twice", fault);
    if (facts->lengths && facts->codings)
        return bad(r, "both Content-Length and Transfer-Encoding are given", fault);
    if (facts->lengths)
        result = frame_length(r, facts->length, fault);
    else if (facts->codings)
        result = frame_coding(r, facts->coding, fault);
    else if (r->side == SLU_HTTP1_RESPONSES)
        r->framing = SLU_HTTP1_UNTIL_CLOSE;
    if (result != GO_ON || r->side == SLU_HTTP1_REQUESTS)
        return result;
    if (r->answers_head || status < 200 || status == 204 || status == 304)
        r->framing = SLU_HTTP1_NO_BODY;
    r->keep = r->keep && r->framing != SLU_HTTP1_UNTIL_CLOSE;
    return GO_ON;
}

static int check_request(struct slu_http1 *r, const struct facts *facts, struct slu_fault *fault)
{
    if (facts->hosts != 1)
        return bad(r, facts->hosts ? "Host is given twice" : "Host is missing", fault);
    if (!slu_http1_host_valid(facts->host))
        return bad(r, "Host is not valid", fault);
    if (facts->authority.p && !slu_str_eq_nocase(facts->authority, facts->host))
        return bad(r, "Host is not the host of the request target", fault);
    r->request.host = facts->host;
    r->expects_continue = false;
    if (facts->expects && !r->old) { /* RFC 9110 §10.1.1: ignored from HTTP/1.0 */
        if (facts->expects > 1 || !slu_str_eq_nocase(facts->expect, SLU_STR("100-continue")))
            return refuse(r, SLU_FAULT_EXPECTATION, "the only expectation met is 100-continue",
                          fault);
        r->expects_continue = r->framing != SLU_HTTP1_NO_BODY;
    }
    return GO_ON;
}

static int check_response(struct slu_http1 *r, const struct facts *facts, struct slu_fault *fault)
{
    if (r->response.status == 101)
        return bad(r, "the protocol was switched, which nobody asked for", fault);
    if (r->response.status < 200)
        return ++r->interim > INTERIM_MOST ? bad(r, "too many interim responses", fault) : GO_ON;
    if (facts->encoded)
        return bad(r, "the content is encoded, which nobody asked for", fault);
    return GO_ON;
}

static int understand_head(struct slu_http1 *r, struct slu_str head, struct slu_fault *fault)
{
    struct facts facts = {0};
    const char *first = memchr(head.p, '\n', head.n);
    struct slu_str line = {head.p, (size_t)(first - head.p) - 1};
    int result = r->side == SLU_HTTP1_REQUESTS ? request_line(r, line, &facts.authority, fault)
                                               : status_line(r, line, fault);

    if (result == GO_ON)
        result = read_fields(r, first + 1, head.p + head.n - 2, &facts, fault);
    if (result == GO_ON)
        result = frame(r, &facts, fault);
    if (result == GO_ON)
        result = r->side == SLU_HTTP1_REQUESTS ? check_request(r, &facts, fault)
                                               : check_response(r, &facts, fault);
    return result;
}

/* The search for the head's end */

static int too_long(const struct slu_http1 *r, struct slu_fault *fault)
{
    if (r->lines == 0)
        return refuse(r, SLU_FAULT_URI_TOO_LONG, "the first line is too long", fault);
    return refuse(r, SLU_FAULT_HEADERS_TOO_LARGE, "the head is too large", fault);
}

static size_t head_limit(const struct slu_http1 *r)
{
    if (r->lines == 0 && r->limits.line_bytes && r->limits.line_bytes < r->limits.head_bytes)
        return r->limits.line_bytes;
    return r->limits.head_bytes;
}

/* GO_ON with *ret_end when the empty line was found. */
static int find_head_end(struct slu_http1 *r, struct slu_str input, size_t *ret_end,
                         struct slu_fault *fault)
{
    while (r->scanned < input.n) {
        const char *lf = memchr(input.p + r->scanned, '\n', input.n - r->scanned);
        size_t end = lf ? (size_t)(lf - input.p) + 1 : input.n + 1;

        if (end > head_limit(r))
            return too_long(r, fault);
        if (!lf) {
            r->scanned = input.n;
            break;
        }
        if (end - r->line_start < 2 || input.p[end - 2] != '\r')
            return bad(r, "a line ends without CR", fault);
        r->scanned = end;
        r->lines++;
        if (end - r->line_start == 2) {
            *ret_end = end;
            return GO_ON;
        }
        r->line_start = end;
    }
    return SLU_HTTP1_MORE;
}

static void use(struct slu_http1 *r, struct slu_str *input, size_t count)
{
    input->p += count;
    input->n -= count;
    r->total += count;
}

static void restart_head(struct slu_http1 *r)
{
    r->scanned = r->line_start = r->lines = 0;
    r->state = READ_HEAD;
}

/* RFC 9112 §2.2: one empty line before a request is forgiven. */
static int skip_blank_line(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    if (r->scanned || input->n == 0 || input->p[0] != '\r')
        return GO_ON;
    if (input->n == 1)
        return SLU_HTTP1_MORE;
    if (input->p[1] != '\n' || r->blank_seen || r->side == SLU_HTTP1_RESPONSES)
        return bad(r, "there is no first line", fault);
    r->blank_seen = true;
    use(r, input, 2);
    return skip_blank_line(r, input, fault); /* to refuse a second one */
}

static int check_total(const struct slu_http1 *r, struct slu_fault *fault)
{
    if (r->limits.total_bytes && r->total > r->limits.total_bytes)
        return refuse(r, SLU_FAULT_TOO_LARGE, "the message is too large", fault);
    return GO_ON;
}

static int read_head(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    struct slu_str head;
    size_t end = 0;
    int result = skip_blank_line(r, input, fault);

    if (result == GO_ON)
        result = find_head_end(r, *input, &end, fault);
    if (result != GO_ON)
        return result;
    if (r->lines == 1)
        return bad(r, "there is no first line", fault);
    head = slu_arena_str(r->arena, part(*input, 0, end));
    if (!head.p) {
        slu_fault_memory(fault);
        return SLU_HTTP1_FAILED;
    }
    use(r, input, end);
    result = check_total(r, fault);
    if (result == GO_ON)
        result = understand_head(r, head, fault);
    if (result != GO_ON)
        return result;
    if (r->side == SLU_HTTP1_RESPONSES && r->response.status < 200) {
        restart_head(r);
        return GO_ON;
    }
    r->state = BEGIN_BODY;
    return SLU_HTTP1_HEAD;
}

/* Bodies */

static int begin_body(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    (void)input;
    switch (r->framing) {
    case SLU_HTTP1_NO_BODY:
        r->state = WHOLE;
        return GO_ON;
    case SLU_HTTP1_LENGTH:
        if (r->length > r->body_most)
            return refuse(r, SLU_FAULT_TOO_LARGE, "the body is too large", fault);
        r->left = r->length;
        r->state = READ_LENGTH;
        return GO_ON;
    case SLU_HTTP1_CHUNKED:
        r->state = READ_CHUNK_SIZE;
        return GO_ON;
    case SLU_HTTP1_UNTIL_CLOSE:
        r->left = UINT64_MAX;
        r->state = READ_UNTIL_CLOSE;
        return GO_ON;
    }
    return GO_ON;
}

static bool make_room(struct slu_http1 *r, size_t more)
{
    size_t need = r->body_n + more, size = r->body_size * 2;
    char *body;

    if (size < FIRST_BODY)
        size = FIRST_BODY;
    if (size < need)
        size = need;
    if (r->framing == SLU_HTTP1_LENGTH && size > r->length)
        size = (size_t)r->length;
    body = slu_arena_get(r->arena, size);
    if (!body)
        return false;
    if (r->body_n)
        memcpy(body, r->body, r->body_n);
    r->body = body;
    r->body_size = size;
    return true;
}

/* Takes what is there of the r->left bytes to come. */
static int take_payload(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    size_t n = input->n < r->left ? input->n : (size_t)r->left;

    if (n > r->body_most - r->body_seen)
        return refuse(r, SLU_FAULT_TOO_LARGE, "the body is too large", fault);
    if (!r->discard && n) {
        if (r->body_size - r->body_n < n && !make_room(r, n)) {
            slu_fault_memory(fault);
            return SLU_HTTP1_FAILED;
        }
        memcpy(r->body + r->body_n, input->p, n);
        r->body_n += n;
    }
    r->body_seen += n;
    r->left -= n;
    use(r, input, n);
    return check_total(r, fault);
}

static int read_payload(struct slu_http1 *r, struct slu_str *input, enum state next,
                        struct slu_fault *fault)
{
    int result = take_payload(r, input, fault);

    if (result != GO_ON)
        return result;
    if (r->left)
        return SLU_HTTP1_MORE;
    r->state = next;
    return GO_ON;
}

static int read_length(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    return read_payload(r, input, WHOLE, fault);
}

static int read_chunk(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    return read_payload(r, input, READ_CHUNK_END, fault);
}

static int read_until_close(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    return read_payload(r, input, WHOLE, fault);
}

/* A whole line of at most `most` bytes from the input, without its CRLF. */
static int take_line(struct slu_http1 *r, struct slu_str *input, size_t most,
                     struct slu_str *ret_line, struct slu_fault *fault)
{
    const char *lf = input->n ? memchr(input->p, '\n', input->n) : NULL;
    size_t end = lf ? (size_t)(lf - input->p) + 1 : input->n + 1;

    if (end > most)
        return refuse(r, SLU_FAULT_BAD_REQUEST, "a line of the body's framing is too long", fault);
    if (!lf)
        return SLU_HTTP1_MORE;
    if (end < 2 || input->p[end - 2] != '\r')
        return bad(r, "a line ends without CR", fault);
    *ret_line = part(*input, 0, end - 2);
    use(r, input, end);
    return check_total(r, fault);
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : slu_ascii_lower(c) - 'a' + 10;
}

/* RFC 9112 §7.1: 1*HEXDIG, then nothing or ";" and extensions, which mean nothing to us. */
static int read_chunk_size(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    struct slu_str line;
    size_t i = 0;
    uint64_t size = 0;
    int result = take_line(r, input, CHUNK_LINE_MOST, &line, fault);

    if (result != GO_ON)
        return result;
    while (i < line.n && is(line.p[i], HEX) && i <= CHUNK_DIGITS_MOST)
        size = size * 16 + (uint64_t)digit(line.p[i++]);
    if (i == 0 || i > CHUNK_DIGITS_MOST || (i < line.n && line.p[i] != ';') ||
        !all(part(line, i, line.n), VALUE))
        return bad(r, "a chunk's size is not valid", fault);
    r->framing_used += (uint32_t)(line.n - i);
    if (r->framing_used > EXTENSIONS_MOST)
        return bad(r, "too many chunk extensions", fault);
    if (size > r->body_most - r->body_seen)
        return refuse(r, SLU_FAULT_TOO_LARGE, "the body is too large", fault);
    r->left = size;
    r->state = size ? READ_CHUNK : READ_TRAILERS;
    return GO_ON;
}

static int read_chunk_end(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    if (input->n && (input->p[0] != '\r' || (input->n > 1 && input->p[1] != '\n')))
        return bad(r, "a chunk does not end where its size says", fault);
    if (input->n < 2)
        return SLU_HTTP1_MORE;
    use(r, input, 2);
    r->state = READ_CHUNK_SIZE;
    return check_total(r, fault);
}

/* Trailers are checked and dropped: nothing here may come from them (RFC 9110 §6.5.1). */
static int read_trailers(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    struct slu_header field;
    struct slu_str line;
    const char *at = input->p;
    int result = take_line(r, input, EXTENSIONS_MOST - r->framing_used + 2, &line, fault);

    if (result != GO_ON)
        return result;
    if (line.n == 0) {
        r->state = WHOLE;
        return GO_ON;
    }
    r->framing_used += (uint32_t)line.n;
    if (++r->trailer_fields > r->limits.head_fields)
        return refuse(r, SLU_FAULT_HEADERS_TOO_LARGE, "too many trailer fields", fault);
    if (!read_field(&at, &field))
        return bad(r, "a trailer field is not valid", fault);
    return GO_ON;
}

static int whole(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault)
{
    (void)input;
    (void)fault;
    r->request.body = r->response.body = (struct slu_str){r->body, r->body_n};
    return SLU_HTTP1_DONE;
}

/* The reader */

typedef int step_fn(struct slu_http1 *r, struct slu_str *input, struct slu_fault *fault);

static step_fn *const steps[] = {
    [READ_HEAD] = read_head,
    [BEGIN_BODY] = begin_body,
    [READ_LENGTH] = read_length,
    [READ_CHUNK_SIZE] = read_chunk_size,
    [READ_CHUNK] = read_chunk,
    [READ_CHUNK_END] = read_chunk_end,
    [READ_TRAILERS] = read_trailers,
    [READ_UNTIL_CLOSE] = read_until_close,
    [WHOLE] = whole,
};

void slu_http1_init(struct slu_http1 *reader, enum slu_http1_side side,
                    const struct slu_http1_limits *limits)
{
    *reader = (struct slu_http1){.side = side, .limits = *limits};
}

void slu_http1_begin(struct slu_http1 *reader, struct slu_arena *arena, bool answers_head)
{
    struct slu_http1_limits limits = reader->limits;
    enum slu_http1_side side = reader->side;

    *reader = (struct slu_http1){
        .side = side,
        .limits = limits,
        .arena = arena,
        .answers_head = answers_head,
        .body_most = limits.body_bytes,
    };
}

enum slu_http1_result slu_http1_read(struct slu_http1 *reader, struct slu_str *input,
                                     struct slu_fault *fault)
{
    int result;

    do {
        result = steps[reader->state](reader, input, fault);
    } while (result == GO_ON);
    return (enum slu_http1_result)result;
}

enum slu_http1_result slu_http1_eof(struct slu_http1 *reader, struct slu_str rest,
                                    struct slu_fault *fault)
{
    if (reader->state == READ_UNTIL_CLOSE || reader->state == WHOLE ||
        (reader->state == BEGIN_BODY &&
         (reader->framing == SLU_HTTP1_NO_BODY || reader->framing == SLU_HTTP1_UNTIL_CLOSE)))
        return (enum slu_http1_result)whole(reader, &rest, fault);
    if (reader->state == READ_HEAD && rest.n == 0 && reader->interim == 0)
        return SLU_HTTP1_MORE;
    slu_fault_set(fault,
                  reader->side == SLU_HTTP1_REQUESTS ? SLU_FAULT_BAD_REQUEST
                                                     : SLU_FAULT_UPSTREAM_BROKEN,
                  "", "the connection ended within the message");
    return SLU_HTTP1_FAILED;
}

void slu_http1_limit_body(struct slu_http1 *reader, uint32_t most)
{
    if (most < reader->body_most)
        reader->body_most = most;
}

void slu_http1_discard(struct slu_http1 *reader)
{
    reader->discard = true;
    reader->body_n = 0;
}

/* Writers */

static void put_fields(struct slu_buf *out, const struct slu_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        slu_buf_add(out, headers->items[i].name);
        slu_buf_lit(out, ": ");
        slu_buf_add(out, headers->items[i].value);
        slu_buf_lit(out, "\r\n");
    }
}

static void put_length(struct slu_buf *out, size_t length)
{
    slu_buf_lit(out, "Content-Length: ");
    slu_buf_u64(out, length);
    slu_buf_lit(out, "\r\n");
}

bool slu_http1_write_request(struct slu_buf *out, const struct slu_request *request,
                             bool tell_length)
{
    if (request->method.n == 0 || !all(request->method, TOKEN) || request->path.n == 0 ||
        request->path.p[0] != '/' || !coded(request->path, PATH) || !coded(request->query, QUERY) ||
        !slu_http1_host_valid(request->host))
        return false;
    slu_buf_add(out, request->method);
    slu_buf_lit(out, " ");
    slu_buf_add(out, request->path);
    if (request->query.n) {
        slu_buf_lit(out, "?");
        slu_buf_add(out, request->query);
    }
    slu_buf_lit(out, " HTTP/1.1\r\nHost: ");
    slu_buf_add(out, request->host);
    slu_buf_lit(out, "\r\n");
    put_fields(out, &request->headers);
    if (tell_length || request->body.n)
        put_length(out, request->body.n);
    slu_buf_lit(out, "\r\n");
    return !out->failed;
}

bool slu_http1_write_response(struct slu_buf *out, const struct slu_response *response,
                              const struct slu_http1_answer *answer)
{
    slu_buf_lit(out, "HTTP/1.1 ");
    slu_buf_u64(out, (uint64_t)response->status);
    slu_buf_lit(out, " ");
    slu_buf_add(out, slu_str_of(slu_http1_reason(response->status)));
    slu_buf_lit(out, "\r\nDate: ");
    slu_buf_add(out, answer->date);
    slu_buf_lit(out, "\r\n");
    put_fields(out, &response->headers);
    if (response->status != 204 && response->status != 304)
        put_length(out, response->body.n);
    if (answer->close)
        slu_buf_lit(out, "Connection: close\r\n");
    else if (answer->keep_old)
        slu_buf_lit(out, "Connection: keep-alive\r\n");
    slu_buf_lit(out, "\r\n");
    return !out->failed;
}

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    /* RFC 9110 §15, RFC 6585, RFC 4918 */
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {207, "Multi-Status"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *slu_http1_reason(int status)
{
    for (size_t i = 0; i < SLU_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unassigned";
}
