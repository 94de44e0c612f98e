/* URLs of clouds and addresses to listen on, character by character. */
#include "app/endpoint.h"

#include <arpa/inet.h>

/* The host of a URL or address, before it is known to be good. */
struct place {
    struct slu_str host; /* without brackets */
    struct slu_str port; /* NULL pointer: none was written */
    bool bracketed;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    char lower = slu_ascii_lower(c);

    return is_digit(c) || (lower >= 'a' && lower <= 'z');
}

static bool is_hex(char c)
{
    char lower = slu_ascii_lower(c);

    return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

static bool refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return false;
}

/* "host", "host:port", "[v6]", "[v6]:port" (RFC 3986 §3.2.2). */
static bool split_place(struct slu_str text, struct place *ret_place, const char **ret_why)
{
    struct place place = {.port = SLU_STR_NONE};

    if (text.n && text.p[0] == '[') {
        const char *end = memchr(text.p, ']', text.n);
        struct slu_str rest;

        if (!end)
            return refuse(ret_why, "the bracket around the IPv6 address is not closed");
        place.bracketed = true;
        place.host = (struct slu_str){text.p + 1, (size_t)(end - text.p) - 1};
        rest = (struct slu_str){end + 1, text.n - (size_t)(end + 1 - text.p)};
        if (rest.n && rest.p[0] != ':')
            return refuse(ret_why, "only a port may follow the bracket");
        if (rest.n)
            place.port = (struct slu_str){rest.p + 1, rest.n - 1};
    } else {
        place.port = text;
        place.host = slu_str_cut(&place.port, ':');
        if (place.port.p && memchr(place.port.p, ':', place.port.n))
            return refuse(ret_why, "an IPv6 address must stand in brackets: [::1]");
    }
    *ret_place = place;
    return true;
}

static bool read_port(struct slu_str text, uint16_t *ret_port, const char **ret_why)
{
    uint64_t number;

    if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0') ||
        !slu_str_to_u64(text, &number) || number > 65535)
        return refuse(ret_why, "the port must be a number from 1 to 65535");
    *ret_port = (uint16_t)number;
    return true;
}

/* Resolvers read "127.1", "2130706433" and "0x7f.1" as IPv4 addresses: such a name could pass a
 * check of names and end somewhere else, so what looks like a number must be four plain ones. */
static bool looks_numeric(struct slu_str host)
{
    struct slu_str rest = host, last = host;

    while (rest.p)
        last = slu_str_cut(&rest, '.');
    if (last.n > 1 && last.p[0] == '0' && (last.p[1] == 'x' || last.p[1] == 'X'))
        last = (struct slu_str){last.p + 2, last.n - 2};
    else
        for (size_t i = 0; i < last.n; i++)
            if (!is_digit(last.p[i]))
                return false;
    for (size_t i = 0; i < last.n; i++)
        if (!is_hex(last.p[i]))
            return false;
    return true;
}

/* RFC 1123 §2.1, and the underscore, which container networks use. */
static bool name_valid(struct slu_str host)
{
    struct slu_str rest = host;

    if (host.n == 0 || host.n > 253)
        return false;
    while (rest.p) {
        struct slu_str label = slu_str_cut(&rest, '.');

        if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
                return false;
    }
    return true;
}

/* Lower case, NUL-terminated; NULL when the arena is spent. */
static const char *lower_copy(struct slu_arena *arena, struct slu_str text)
{
    char *copy = slu_arena_get(arena, text.n + 1);

    if (!copy)
        return NULL;
    for (size_t i = 0; i < text.n; i++)
        copy[i] = slu_ascii_lower(text.p[i]);
    copy[text.n] = '\0';
    return copy;
}

static bool read_host(struct slu_arena *arena, const struct place *place, const char **ret_host,
                      bool *ret_loopback, bool *ret_numeric, const char **ret_why)
{
    struct in6_addr six;
    struct in_addr four;
    const char *host;

    if (place->host.n == 0 || memchr(place->host.p, '\0', place->host.n))
        return refuse(ret_why, "the host is missing or no name");
    host = lower_copy(arena, place->host);
    if (!host)
        return refuse(ret_why, "out of memory");
    *ret_numeric = true;
    if (place->bracketed) {
        if (inet_pton(AF_INET6, host, &six) != 1)
            return refuse(ret_why, "what stands in brackets is no IPv6 address");
        *ret_loopback = IN6_IS_ADDR_LOOPBACK(&six);
    } else if (inet_pton(AF_INET, host, &four) == 1) {
        *ret_loopback = (ntohl(four.s_addr) >> 24) == 127;
    } else {
        if (!name_valid(place->host) || looks_numeric(place->host))
            return refuse(ret_why, "the host is neither a name of letters, digits, \"-\" and \".\" "
                                   "nor an IP address");
        *ret_numeric = false;
        *ret_loopback = slu_str_is(slu_str_of(host), "localhost");
    }
    *ret_host = host;
    return true;
}

/* RFC 3986 §3.3: pchar and "/", without dot segments and empty pieces. */
static bool path_valid(struct slu_str path)
{
    struct slu_str rest = path;

    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];

        if (c == '%') {
            if (i + 2 >= path.n || !is_hex(path.p[i + 1]) || !is_hex(path.p[i + 2]))
                return false;
            i += 2;
        } else if (!is_alnum(c) && (c == '\0' || !strchr("-._~!$&'()*+,;=:@/", c))) {
            return false;
        }
    }
    slu_str_cut(&rest, '/'); /* the empty piece before the first "/" */
    while (rest.p) {
        struct slu_str piece = slu_str_cut(&rest, '/');

        if (piece.n == 0 || slu_str_is(piece, ".") || slu_str_is(piece, ".."))
            return false;
    }
    return true;
}

static bool read_scheme(struct slu_str *url, struct slu_endpoint *endpoint)
{
    static const struct slu_str http = SLU_STR_INIT("http://"), https = SLU_STR_INIT("https://");
    struct slu_str head;

    endpoint->https =
        url->n >= https.n && slu_str_eq_nocase((struct slu_str){url->p, https.n}, https);
    head = endpoint->https ? https : http;
    if (url->n < head.n || !slu_str_eq_nocase((struct slu_str){url->p, head.n}, head))
        return false;
    endpoint->scheme = endpoint->https ? SLU_STR("https") : SLU_STR("http");
    *url = (struct slu_str){url->p + head.n, url->n - head.n};
    return true;
}

static bool check_parts(struct slu_str rest, struct slu_str authority, const char **ret_why)
{
    for (size_t i = 0; i < rest.n; i++)
        if ((unsigned char)rest.p[i] <= ' ' || (unsigned char)rest.p[i] >= 0x7f)
            return refuse(ret_why, "it holds a blank, a control character or a character outside "
                                   "ASCII");
    if (memchr(authority.p, '@', authority.n))
        return refuse(ret_why, "user information (name or password before \"@\") is not allowed; "
                               "keys belong into credentials");
    if (memchr(rest.p, '?', rest.n))
        return refuse(ret_why, "it may have no query");
    if (memchr(rest.p, '#', rest.n))
        return refuse(ret_why, "it may have no fragment");
    return true;
}

static bool finish(struct slu_arena *arena, const struct place *place, struct slu_str path,
                   struct slu_endpoint *endpoint, const char **ret_why)
{
    bool usual = endpoint->port == (endpoint->https ? 443 : 80);
    const char *open = place->bracketed ? "[" : "", *close = place->bracketed ? "]" : "";

    if (path.n && path.p[path.n - 1] == '/')
        path.n--;
    if (!path_valid(path))
        return refuse(ret_why, "its path holds an empty piece, a dot segment, a broken percent "
                               "code or a character that a URL may not have");
    endpoint->base_path = path.n ? slu_arena_str(arena, path) : SLU_STR("");
    endpoint->host = usual ? slu_arena_printf(arena, "%s%s%s", open, endpoint->dns_host, close)
                           : slu_arena_printf(arena, "%s%s%s:%u", open, endpoint->dns_host, close,
                                              (unsigned)endpoint->port);
    return arena->failed ? refuse(ret_why, "out of memory") : true;
}

bool slu_endpoint_read(struct slu_arena *arena, struct slu_str url,
                       struct slu_endpoint *ret_endpoint, const char **ret_why)
{
    struct slu_endpoint endpoint = {.port = 0};
    struct place place;
    size_t end = 0;
    bool numeric;

    if (!read_scheme(&url, &endpoint))
        return refuse(ret_why, "it must be an absolute URL that begins with https:// or http://");
    while (end < url.n && !memchr("/?#", url.p[end], 3))
        end++;
    if (url.n == 0)
        return refuse(ret_why, "the host is missing or no name");
    if (!check_parts(url, (struct slu_str){url.p, end}, ret_why) ||
        !split_place((struct slu_str){url.p, end}, &place, ret_why) ||
        !read_host(arena, &place, &endpoint.dns_host, &endpoint.loopback, &numeric, ret_why))
        return false;
    endpoint.port = endpoint.https ? 443 : 80;
    if (place.port.p && !read_port(place.port, &endpoint.port, ret_why))
        return false;
    if (endpoint.port == 0)
        return refuse(ret_why, "the port must be a number from 1 to 65535");
    if (!finish(arena, &place, (struct slu_str){url.p + end, url.n - end}, &endpoint, ret_why))
        return false;
    *ret_endpoint = endpoint;
    return true;
}

bool slu_address_read(struct slu_arena *arena, struct slu_str text, struct slu_address *ret_address,
                      const char **ret_why)
{
    struct slu_address address = {.port = 0};
    struct place place;
    const char *host;
    struct slu_str written;
    bool numeric;

    if (!split_place(text, &place, ret_why) ||
        !read_host(arena, &place, &host, &address.loopback, &numeric, ret_why))
        return false;
    if (!numeric && !address.loopback)
        return refuse(ret_why, "the host must be an IP address (or localhost): 127.0.0.1, "
                               "0.0.0.0, [::]");
    if (!place.port.p)
        return refuse(ret_why, "the port is missing: write host:port");
    if (!read_port(place.port, &address.port, ret_why))
        return false;
    written = slu_arena_printf(arena, "%s%s%s:%u", place.bracketed ? "[" : "",
                               numeric ? host : "127.0.0.1", place.bracketed ? "]" : "",
                               (unsigned)address.port);
    if (!written.p)
        return refuse(ret_why, "out of memory");
    address.text = written.p;
    *ret_address = address;
    return true;
}
