/* The message reader: one table of messages and what they are, each fed whole and byte by byte. */
#include "net/http1.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET = 1 << 20 };

static const struct slu_http1_limits limits = {
    .line_bytes = 256, .head_bytes = 1024, .head_fields = 10, .body_bytes = 64};

struct reading {
    struct slu_http1 reader;
    struct slu_arena arena;
    struct slu_buf out; /* what was read, in words */
    bool answers_head;
};

static void begin(struct reading *reading)
{
    slu_arena_reset(&reading->arena);
    slu_http1_begin(&reading->reader, &reading->arena, reading->answers_head);
}

static void tell_fields(struct slu_buf *out, const struct slu_headers *headers)
{
    slu_buf_lit(out, " {");
    for (size_t i = 0; i < headers->count; i++)
        slu_buf_printf(out, "%s%.*s=%.*s", i ? "," : "", SLU_FMT(headers->items[i].name),
                       SLU_FMT(headers->items[i].value));
    slu_buf_lit(out, "}");
}

static void tell(struct reading *reading)
{
    struct slu_http1 *r = &reading->reader;
    struct slu_buf *out = &reading->out;

    if (r->side == SLU_HTTP1_REQUESTS)
        slu_buf_printf(out, "%.*s %.*s%s%.*s %.*s", SLU_FMT(r->request.method),
                       SLU_FMT(r->request.path), r->request.query.p ? "?" : "",
                       SLU_FMT(r->request.query), SLU_FMT(r->request.host));
    else
        slu_buf_printf(out, "%d", r->response.status);
    tell_fields(out, r->side == SLU_HTTP1_REQUESTS ? &r->request.headers : &r->response.headers);
    slu_buf_printf(out, " [%.*s]%s%s;", SLU_FMT(r->request.body), r->keep ? "" : " close",
                   r->expects_continue ? " expects" : "");
}

static void tell_fault(struct reading *reading, const struct slu_fault *fault)
{
    slu_buf_printf(&reading->out, "!%s", slu_fault_info(fault->kind)->code);
    assert_true(fault->words[0] != '\0');
}

/* True while more may come. */
static bool read_on(struct reading *reading, struct slu_str *input)
{
    struct slu_fault fault = {0};

    for (;;) {
        switch (slu_http1_read(&reading->reader, input, &fault)) {
        case SLU_HTTP1_MORE:
            return true;
        case SLU_HTTP1_HEAD:
            break;
        case SLU_HTTP1_DONE:
            tell(reading);
            begin(reading);
            break;
        case SLU_HTTP1_FAILED:
            tell_fault(reading, &fault);
            return false;
        }
    }
}

static void read_end(struct reading *reading, struct slu_str rest)
{
    struct slu_fault fault = {0};

    switch (slu_http1_eof(&reading->reader, rest, &fault)) {
    case SLU_HTTP1_DONE:
        tell(reading);
        break;
    case SLU_HTTP1_FAILED:
        slu_buf_lit(&reading->out, "cut");
        tell_fault(reading, &fault);
        break;
    case SLU_HTTP1_MORE:
    case SLU_HTTP1_HEAD:
        break;
    }
}

/* Feeds `step` bytes at a time. Each time the bytes lie elsewhere, so that a pointer kept into the
 * input is a use after free. */
static void read_all(struct reading *reading, struct slu_str bytes, size_t step)
{
    size_t used = 0, given = 0;
    bool alive = true;
    char *copy = NULL;
    struct slu_str rest = SLU_STR_NONE;

    while (alive && given < bytes.n) {
        given = bytes.n - given > step ? given + step : bytes.n;
        free(copy);
        copy = malloc(given - used);
        assert_non_null(copy);
        memcpy(copy, bytes.p + used, given - used);
        rest = (struct slu_str){copy, given - used};
        alive = read_on(reading, &rest);
        used = given - rest.n;
    }
    if (alive)
        read_end(reading, rest);
    free(copy);
}

static struct slu_buf describe(enum slu_http1_side side, bool answers_head, struct slu_str bytes,
                               size_t step)
{
    struct reading reading = {.answers_head = answers_head};

    slu_buf_init(&reading.out, 0);
    slu_arena_init(&reading.arena, BUDGET);
    slu_http1_init(&reading.reader, side, &limits);
    begin(&reading);
    read_all(&reading, bytes, step);
    slu_arena_done(&reading.arena);
    assert_false(reading.out.failed);
    return reading.out;
}

struct message {
    struct slu_str bytes;
    const char *expected;
};

static void check(enum slu_http1_side side, bool answers_head, const struct message *message)
{
    static const size_t steps[] = {SIZE_MAX, 1, 2, 7};

    for (size_t i = 0; i < SLU_COUNT(steps); i++) {
        struct slu_buf got = describe(side, answers_head, message->bytes, steps[i]);

        if (!slu_str_is(slu_buf_str(&got), message->expected))
            fail_msg("%.*s\nin steps of %zd\nis       %.*s\nexpected %s", SLU_FMT(message->bytes),
                     (ssize_t)steps[i], SLU_FMT(slu_buf_str(&got)), message->expected);
        slu_buf_done(&got);
    }
}

/* clang-format off */
#define M(text) SLU_STR_INIT(text)
#define L "GET / HTTP/1.1\r\n"
#define P "POST / HTTP/1.1\r\nHost: h\r\n"
#define H "Host: h\r\n"
#define TE "Transfer-Encoding: chunked\r\n"
#define BAD "!bad_request"
#define HUNDRED "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static const struct message requests[] = {
    /* the first line */
    {M(""), ""},
    {M("\r\n"), ""},
    {M(L H "\r\n"), "GET / h {} [];"},
    {M("\r\n" L H "\r\n"), "GET / h {} [];"},
    {M("\r\n\r\n" L H "\r\n"), BAD},
    {M("\n" L H "\r\n"), BAD},
    {M("\rX" L H "\r\n"), BAD},
    {M(L H "\r\n\r\n" L H "\r\n"), "GET / h {} [];GET / h {} [];"},
    {M(" " L H "\r\n"), BAD},
    {M("GET  / HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /  HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET / HTTP/1.1 \r\n" H "\r\n"), BAD},
    {M("GET\t/\tHTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /\r\n" H "\r\n"), BAD},
    {M("GET\r\n\r\n"), BAD},
    {M("GET / HTTP/1.1\n" H "\r\n"), BAD},
    {M("GET / HTTP/1.1\r" H "\r\n\r\n"), BAD},
    {M("G\0T / HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("G(T / HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("get / HTTP/1.1\r\n" H "\r\n"), "!not_implemented"},
    {M("M-SEARCH / HTTP/1.1\r\n" H "\r\n"), "M-SEARCH / h {} [];"},
    {M("GET / HTTP/1.2\r\n" H "\r\n"), "!http_version_not_supported"},
    {M("GET / HTTP/2.0\r\n" H "\r\n"), "!http_version_not_supported"},
    {M("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "!http_version_not_supported"},
    {M("GET / HTTP/0.9\r\n" H "\r\n"), "!http_version_not_supported"},
    {M("GET / http/1.1\r\n" H "\r\n"), BAD},
    {M("GET / HTTP/1.10\r\n" H "\r\n"), BAD},
    {M("GET / HTTP/11\r\n" H "\r\n"), BAD},
    {M("GET / HTTP/1.\r\n" H "\r\n"), BAD},
    {M("GET / HTTP/+1.1\r\n" H "\r\n"), BAD},
    {M("GET / XTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET / HTTP/1.0\r\n" H "\r\n"), "GET / h {} [] close;"},
    {M("GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n"), "GET / h {Connection=keep-alive} [];"},
    {M("GET /" HUNDRED HUNDRED HUNDRED " HTTP/1.1\r\n" H "\r\n"), "!uri_too_long"},
    {M(HUNDRED HUNDRED HUNDRED), "!uri_too_long"},
    /* the target */
    {M("GET /a/b;c=1/d@e:f?x=1&y=%20?/ HTTP/1.1\r\n" H "\r\n"), "GET /a/b;c=1/d@e:f?x=1&y=%20?/ h {} [];"},
    {M("GET /? HTTP/1.1\r\n" H "\r\n"), "GET /? h {} [];"},
    {M("GET //a//b HTTP/1.1\r\n" H "\r\n"), "GET //a//b h {} [];"},
    {M("GET /a%2fb HTTP/1.1\r\n" H "\r\n"), "GET /a%2fb h {} [];"},
    {M("GET /?[{a|b}]^` HTTP/1.1\r\n" H "\r\n"), "GET /?[{a|b}]^` h {} [];"},
    {M("GET /[ HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a\\b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a#b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /?a#b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /\"a HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /<a> HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a\x7f HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a\x01 HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a\0b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /% HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /%2 HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /%2g HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /?%zz HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /. HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /.. HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a/../b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a/./b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a/.%2e HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET /a/... HTTP/1.1\r\n" H "\r\n"), "GET /a/... h {} [];"},
    {M("GET /a/.well-known HTTP/1.1\r\n" H "\r\n"), "GET /a/.well-known h {} [];"},
    {M("GET /?../.. HTTP/1.1\r\n" H "\r\n"), "GET /?../.. h {} [];"},
    {M("GET a HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET * HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "!not_implemented"},
    {M("CONNECT h:443 HTTP/1.1\r\n" H "\r\n"), "!not_implemented"},
    {M("GET http://h/a?b HTTP/1.1\r\n" H "\r\n"), "GET /a?b h {} [];"},
    {M("GET HTTPS://H/a HTTP/1.1\r\n" H "\r\n"), "GET /a h {} [];"},
    {M("GET http://h HTTP/1.1\r\n" H "\r\n"), "GET / h {} [];"},
    {M("GET http://h?q HTTP/1.1\r\n" H "\r\n"), "GET /?q h {} [];"},
    {M("GET http://other/a HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET http://u@h/a HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET http:///a HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET ftp://h/a HTTP/1.1\r\n" H "\r\n"), BAD},
    {M("GET http://h/../a HTTP/1.1\r\n" H "\r\n"), BAD},
    /* Host */
    {M(L "\r\n"), BAD},
    {M("GET / HTTP/1.0\r\n\r\n"), BAD},
    {M(L H H "\r\n"), BAD},
    {M(L H "hOST: h\r\n\r\n"), BAD},
    {M(L "Host:\r\n\r\n"), BAD},
    {M(L "Host: a b\r\n\r\n"), BAD},
    {M(L "Host: a,b\r\n\r\n"), BAD},
    {M(L "Host: u@h\r\n\r\n"), BAD},
    {M(L "Host: h/\r\n\r\n"), BAD},
    {M(L "Host: h:\r\n\r\n"), BAD},
    {M(L "Host: h:x\r\n\r\n"), BAD},
    {M(L "Host: h:65536\r\n\r\n"), BAD},
    {M(L "Host: :80\r\n\r\n"), BAD},
    {M(L "Host: h:65535\r\n\r\n"), "GET / h:65535 {} [];"},
    {M(L "Host: [::1]:80\r\n\r\n"), "GET / [::1]:80 {} [];"},
    {M(L "Host: [::ffff:192.0.2.1]\r\n\r\n"), "GET / [::ffff:192.0.2.1] {} [];"},
    {M(L "Host: [::1\r\n\r\n"), BAD},
    {M(L "Host: [::1]x\r\n\r\n"), BAD},
    {M(L "Host: [g]\r\n\r\n"), BAD},
    /* fields */
    {M(L H "A:1\r\nb: 2 \r\nC:\t 3\t4 \t\r\nd:\r\n\r\n"), "GET / h {A=1,b=2,C=3\t4,d=} [];"},
    {M(L H "a: \xc3\xa4\r\n\r\n"), "GET / h {a=\xc3\xa4} [];"},
    {M(L H "a : 1\r\n\r\n"), BAD},
    {M(L H "a\t: 1\r\n\r\n"), BAD},
    {M(L H ": 1\r\n\r\n"), BAD},
    {M(L H "a\r\n\r\n"), BAD},
    {M(L H "a b: 1\r\n\r\n"), BAD},
    {M(L H "a(: 1\r\n\r\n"), BAD},
    {M(L H "\xc3\xa4: 1\r\n\r\n"), BAD},
    {M(L H "a: 1\r\n b\r\n\r\n"), BAD},
    {M(L H "a: 1\r\n\tb\r\n\r\n"), BAD},
    {M(L " a: 1\r\n" H "\r\n"), BAD},
    {M(L H "a: 1\n\r\n"), BAD},
    {M(L H "a: 1\n\n"), BAD},
    {M(L H "a: 1\r\n\n"), BAD},
    {M(L H "a: 1\rb\r\n\r\n"), BAD},
    {M(L H "a: 1\r\r\n\r\n"), BAD},
    {M(L H "a: 1\0\r\n\r\n"), BAD},
    {M(L H "a: 1\x7f\r\n\r\n"), BAD},
    {M(L H "a: \x1b\r\n\r\n"), BAD},
    {M(L H "1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n7: \r\n8: \r\n9: \r\n\r\n"), "GET / h {1=,2=,3=,4=,5=,6=,7=,8=,9=} [];"},
    {M(L H "1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n7: \r\n8: \r\n9: \r\n0: \r\n\r\n"), "!headers_too_large"},
    {M(L H "a: " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\r\n\r\n"), "!headers_too_large"},
    {M(L H "a: " HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED), "!headers_too_large"},
    {M(L H "a: 1\r\n"), "cut" BAD},
    {M("GET"), "cut" BAD},
    /* Connection */
    {M(L H "Connection: close\r\n\r\n"), "GET / h {Connection=close} [] close;"},
    {M(L H "Connection: te, Close\r\n\r\n"), "GET / h {Connection=te, Close} [] close;"},
    {M(L H "Connection: closed\r\n\r\n"), "GET / h {Connection=closed} [];"},
    {M(L H "Connection: a\r\nConnection: close\r\n\r\n"), "GET / h {Connection=a,Connection=close} [] close;"},
    {M("GET / HTTP/1.0\r\n" H "Connection: keep-alive, close\r\n\r\n"), "GET / h {Connection=keep-alive, close} [] close;"},
    /* Content-Length */
    {M(P "Content-Length: 3\r\n\r\nabc"), "POST / h {} [abc];"},
    {M(P "Content-Length: 0\r\n\r\n"), "POST / h {} [];"},
    {M(P "Content-Length: 003\r\n\r\nabc"), "POST / h {} [abc];"},
    {M(P "Content-Length: 3\r\n\r\nabc" L H "\r\n"), "POST / h {} [abc];GET / h {} [];"},
    {M(L H "Content-Length: 1\r\n\r\nx"), "GET / h {} [x];"},
    {M(P "Content-Length: 3\r\n\r\nab"), "cut" BAD},
    {M(P "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), BAD},
    {M(P "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"), BAD},
    {M(P "Content-Length: 3, 3\r\n\r\nabc"), BAD},
    {M(P "Content-Length: +3\r\n\r\nabc"), BAD},
    {M(P "Content-Length: -0\r\n\r\n"), BAD},
    {M(P "Content-Length: 0x3\r\n\r\nabc"), BAD},
    {M(P "Content-Length: 3 4\r\n\r\nabc"), BAD},
    {M(P "Content-Length: 3.0\r\n\r\nabc"), BAD},
    {M(P "Content-Length:\r\n\r\nabc"), BAD},
    {M(P "Content-Length: a\r\n\r\nabc"), BAD},
    {M(P "Content-Length : 3\r\n\r\nabc"), BAD},
    {M(P "Content-Length: 65\r\n\r\n"), "!too_large"},
    {M(P "Content-Length: 18446744073709551616\r\n\r\n"), "!too_large"},
    {M(P "Content-Length: 18446744073709551619\r\n\r\nabc"), "!too_large"},
    /* Transfer-Encoding */
    {M(P TE "\r\n3\r\nabc\r\n0\r\n\r\n"), "POST / h {Transfer-Encoding=chunked} [abc];"},
    {M(P "Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "POST / h {Transfer-Encoding=CHUNKED} [abc];"},
    {M(P TE "\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0000\r\n\r\n" L H "\r\n"), "POST / h {Transfer-Encoding=chunked} [abc0123456789];GET / h {} [];"},
    {M(P TE "\r\n0\r\n\r\n"), "POST / h {Transfer-Encoding=chunked} [];"},
    {M(P TE "Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P "Content-Length: 0\r\n" TE "\r\n0\r\n\r\n"), BAD},
    {M(P TE TE "\r\n0\r\n\r\n"), BAD},
    {M(P "Transfer-Encoding: identity\r\n\r\n"), "!not_implemented"},
    {M(P "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "!not_implemented"},
    {M(P "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), "!not_implemented"},
    {M(P "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "!not_implemented"},
    {M(P "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), "!not_implemented"},
    {M(P "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), "!not_implemented"},
    {M(P "Transfer-Encoding:\r\n\r\n"), BAD},
    {M(P "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n"), BAD},
    {M("POST / HTTP/1.0\r\n" H TE "\r\n0\r\n\r\n"), BAD},
    /* chunks */
    {M(P TE "\r\n3;a=b;c=\"d\"\r\nabc\r\n0;x\r\n\r\n"), "POST / h {Transfer-Encoding=chunked} [abc];"},
    {M(P TE "\r\n3 ;a\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3;a\rb\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3;a\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3;a\0\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n+3\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n-3\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n0x3\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n 3\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3 \r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3g\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n;a\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n000000003\r\nabc\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\nFFFFFFFFFFFFFFFF\r\n"), BAD},
    {M(P TE "\r\nFFFFFFFF\r\n"), "!too_large"},
    {M(P TE "\r\n41\r\n"), "!too_large"},
    {M(P TE "\r\n40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n1\r\na\r\n0\r\n\r\n"), "!too_large"},
    {M(P TE "\r\n40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n0\r\n\r\n"), "POST / h {Transfer-Encoding=chunked} [0123456789012345678901234567890123456789012345678901234567890123];"},
    {M(P TE "\r\n3\r\nabcd\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3\r\nabc0\r\n\r\n"), BAD},
    {M(P TE "\r\n3\r\nabc\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3\r\nabc\rX0\r\n\r\n"), BAD},
    {M(P TE "\r\n3\r\nabc\r\n\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n3\r\nabc\r\n"), "cut" BAD},
    {M(P TE "\r\n3\r\nabc\r\n0\r\n"), "cut" BAD},
    {M(P TE "\r\n1;" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED "\r\na\r\n0\r\n\r\n"), BAD},
    {M(P TE "\r\n1;" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED), BAD},
    /* trailers */
    {M(P TE "\r\n0\r\na: b\r\nContent-Length: 9\r\n\r\n"), "POST / h {Transfer-Encoding=chunked} [];"},
    {M(P TE "\r\n0\r\nHost: x\r\n\r\n" L H "\r\n"), "POST / h {Transfer-Encoding=chunked} [];GET / h {} [];"},
    {M(P TE "\r\n0\r\na b\r\n\r\n"), BAD},
    {M(P TE "\r\n0\r\na: b\n\r\n"), BAD},
    {M(P TE "\r\n0\r\na: b\r\n c\r\n\r\n"), BAD},
    {M(P TE "\r\n0\r\na: \0\r\n\r\n"), BAD},
    {M(P TE "\r\n0\r\n\n"), BAD},
    {M(P TE "\r\n0\r\n1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n7: \r\n8: \r\n9: \r\n0: \r\na: \r\n\r\n"), "!headers_too_large"},
    /* Expect */
    {M(P "Expect: 100-continue\r\nContent-Length: 1\r\n\r\na"), "POST / h {Expect=100-continue} [a] expects;"},
    {M(P "Expect: 100-Continue\r\n" TE "\r\n0\r\n\r\n"), "POST / h {Expect=100-Continue,Transfer-Encoding=chunked} [] expects;"},
    {M(P "Expect: 100-continue\r\n\r\n"), "POST / h {Expect=100-continue} [];"},
    {M(P "Expect: nonsense\r\n\r\n"), "!expectation_failed"},
    {M(P "Expect: 100-continue, x\r\n\r\n"), "!expectation_failed"},
    {M(P "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), "!expectation_failed"},
    {M("POST / HTTP/1.0\r\n" H "Expect: x\r\n\r\n"), "POST / h {Expect=x} [] close;"},
};

#define R "HTTP/1.1 200 OK\r\n"
#define UNREADABLE "!upstream_unreadable"
#define CUT "cut!upstream_connection_broken"
#define GO "HTTP/1.1 100 Continue\r\n\r\n"

static const struct message responses[] = {
    {M(""), ""},
    {M(R "Content-Length: 2\r\n\r\nok"), "200 {Content-Length=2} [ok];"},
    {M(R "Content-Length: 0\r\n\r\n"), "200 {Content-Length=0} [];"},
    {M("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "200 {Content-Length=0} [];"},
    {M("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), "200 {Content-Length=0} [];"},
    {M("HTTP/1.1 404 Not \xe4 Found\r\nContent-Length: 0\r\n\r\n"), "404 {Content-Length=0} [];"},
    {M(R "Host: x\r\nContent-Length: 0\r\n\r\n"), "200 {Host=x,Content-Length=0} [];"},
    {M("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), "200 {Content-Length=0} [] close;"},
    {M("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"), "200 {Connection=keep-alive,Content-Length=0} [];"},
    {M(R "Connection: close\r\nContent-Length: 2\r\n\r\nok"), "200 {Connection=close,Content-Length=2} [ok] close;"},
    {M(R "\r\nuntil the end"), "200 {} [until the end] close;"},
    {M(R "\r\n"), "200 {} [] close;"},
    {M(R "\r\n" HUNDRED), UNREADABLE},
    {M(R TE "\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n"), "200 {Transfer-Encoding=chunked} [ok];"},
    {M("HTTP/1.1 204 No Content\r\n\r\n" R "Content-Length: 0\r\n\r\n"), "204 {} [];200 {Content-Length=0} [];"},
    {M("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"), "304 {Content-Length=99} [];"},
    {M(GO R "Content-Length: 2\r\n\r\nok"), "200 {Content-Length=2} [ok];"},
    {M("HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 5\r\n\r\n" R "Content-Length: 2\r\n\r\nok"), "200 {Content-Length=2} [ok];"},
    {M(GO GO GO GO GO GO GO GO R "Content-Length: 0\r\n\r\n"), "200 {Content-Length=0} [];"},
    {M(GO GO GO GO GO GO GO GO GO R "Content-Length: 0\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), UNREADABLE},
    {M(R "Content-Encoding: identity\r\nContent-Length: 0\r\n\r\n"), "200 {Content-Encoding=identity,Content-Length=0} [];"},
    {M(R "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"), UNREADABLE},
    {M(R "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"), UNREADABLE},
    {M(R "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), UNREADABLE},
    {M(R "Content-Length: 2\r\n" TE "\r\n2\r\nok\r\n0\r\n\r\n"), UNREADABLE},
    {M(R "Content-Length: -1\r\n\r\n"), UNREADABLE},
    {M(R "Content-Length: 65\r\n\r\n"), UNREADABLE},
    {M(R "Transfer-Encoding: gzip\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.0 200 OK\r\n" TE "\r\n0\r\n\r\n"), UNREADABLE},
    {M(R "a: b\r\n c\r\nContent-Length: 0\r\n\r\n"), UNREADABLE},
    {M(R "a: b\nContent-Length: 0\r\n\r\n"), UNREADABLE},
    {M(R "a: b\rContent-Length: 0\r\n\r\n"), UNREADABLE},
    {M(R "a b\r\n\r\n"), UNREADABLE},
    {M("\r\n" R "\r\n"), UNREADABLE},
    {M("HTTP/2 200 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1  200 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 20 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 2000 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 +20 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 099 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 600 OK\r\n\r\n"), UNREADABLE},
    {M("HTTP/1.1 200 O\x01K\r\n\r\n"), UNREADABLE},
    {M("ICY 200 OK\r\n\r\n"), UNREADABLE},
    {M("<html>\r\n\r\n"), UNREADABLE},
    {M(HUNDRED HUNDRED HUNDRED), UNREADABLE},
    {M(R "Content-Length: 3\r\n\r\nok"), CUT},
    {M(R TE "\r\n2\r\nok\r\n"), CUT},
    {M(R), CUT},
    {M(GO), CUT},
};

static const struct message head_answers[] = {
    {M(R "Content-Length: 500\r\n\r\n" R "\r\n"), "200 {Content-Length=500} [];200 {} [];"},
    {M(R TE "\r\n"), "200 {Transfer-Encoding=chunked} [];"},
    {M(R "\r\n"), "200 {} [];"},
};
/* clang-format on */

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(requests); i++)
        check(SLU_HTTP1_REQUESTS, false, &requests[i]);
}

static void test_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(responses); i++)
        check(SLU_HTTP1_RESPONSES, false, &responses[i]);
    for (size_t i = 0; i < SLU_COUNT(head_answers); i++)
        check(SLU_HTTP1_RESPONSES, true, &head_answers[i]);
}

/* The two limits that count over a whole message. */
static void test_long_framing(void **state)
{
    static const char line[] = "1;01234567890123456789012345678901234567890123456789\r\na\r\n";
    struct slu_http1_limits wide = {
        .head_bytes = 1024, .head_fields = 1000, .body_bytes = 1 << 20, .total_bytes = 3000};
    struct slu_buf text;
    struct slu_buf got;

    (void)state;
    slu_buf_init(&text, 0);
    slu_buf_lit(&text, P TE "\r\n");
    for (int i = 0; i < 63; i++)
        slu_buf_add(&text, slu_str_of(line));
    slu_buf_lit(&text, "0\r\n\r\n");
    got = describe(SLU_HTTP1_REQUESTS, false, slu_buf_str(&text), 13);
    assert_true(slu_str_ends(slu_buf_str(&got), SLU_STR("];"))); /* 63 * 51 bytes of extensions */
    slu_buf_done(&got);
    text.n -= 5;
    for (int i = 0; i < 20; i++)
        slu_buf_add(&text, slu_str_of(line));
    got = describe(SLU_HTTP1_REQUESTS, false, slu_buf_str(&text), 13);
    assert_str(slu_buf_str(&got), "!too_large"); /* the body's limit is 64 */
    slu_buf_done(&got);

    for (size_t step = 1; step < 4000; step = step * 3 + 1) {
        struct reading reading = {0};

        slu_buf_init(&reading.out, 0);
        slu_arena_init(&reading.arena, BUDGET);
        slu_http1_init(&reading.reader, SLU_HTTP1_REQUESTS, &wide);
        begin(&reading);
        read_all(&reading, slu_buf_str(&text), step);
        assert_str(slu_buf_str(&reading.out), "!too_large");
        slu_buf_done(&reading.out);
        slu_arena_done(&reading.arena);
    }
    slu_buf_done(&text);
}

/* What the owner of the reader does between head and body. */
static void test_between_head_and_body(void **state)
{
    struct slu_str input = SLU_STR(P "Content-Length: 10\r\n\r\n0123456789rest");
    struct slu_str again = input;
    struct slu_fault fault = {0};
    struct slu_arena arena;
    struct slu_http1 reader;

    (void)state;
    slu_arena_init(&arena, BUDGET);
    slu_http1_init(&reader, SLU_HTTP1_REQUESTS, &limits);
    slu_http1_begin(&reader, &arena, false);
    assert_int_equal(slu_http1_read(&reader, &input, &fault), SLU_HTTP1_HEAD);
    assert_int_equal(reader.framing, SLU_HTTP1_LENGTH);
    assert_int_equal(reader.length, 10);
    slu_http1_limit_body(&reader, 9);
    assert_int_equal(slu_http1_read(&reader, &input, &fault), SLU_HTTP1_FAILED);
    assert_int_equal(fault.kind, SLU_FAULT_TOO_LARGE);

    input = again; /* the narrow limit was for that message only */
    slu_http1_begin(&reader, &arena, false);
    assert_int_equal(slu_http1_read(&reader, &input, &fault), SLU_HTTP1_HEAD);
    slu_http1_discard(&reader);
    assert_int_equal(slu_http1_read(&reader, &input, &fault), SLU_HTTP1_DONE);
    assert_int_equal(reader.body_seen, 10);
    assert_int_equal(reader.request.body.n, 0);
    assert_str(input, "rest");
    slu_arena_done(&arena);
}

/* A body larger than the first piece of memory, then one larger than the budget. */
static void test_memory(void **state)
{
    struct slu_http1_limits wide = {.head_bytes = 1024, .head_fields = 10, .body_bytes = 1 << 20};
    static char body[100000];
    struct slu_str head = SLU_STR(P "Content-Length: 100000\r\n\r\n");
    struct slu_http1 reader;
    size_t budgets[] = {BUDGET, 60000, 100};

    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)i;
    for (size_t i = 0; i < SLU_COUNT(budgets); i++) {
        struct slu_str input = head;
        struct slu_fault fault = {0};
        struct slu_arena arena;
        enum slu_http1_result result;

        slu_arena_init(&arena, budgets[i]);
        slu_http1_init(&reader, SLU_HTTP1_REQUESTS, &wide);
        slu_http1_begin(&reader, &arena, false);
        result = slu_http1_read(&reader, &input, &fault);
        if (result == SLU_HTTP1_HEAD)
            for (size_t at = 0; at < sizeof(body) && result != SLU_HTTP1_FAILED; at += 1000) {
                input = (struct slu_str){body + at, 1000};
                result = slu_http1_read(&reader, &input, &fault);
            }
        if (i == 0) {
            assert_int_equal(result, SLU_HTTP1_DONE);
            assert_int_equal(reader.request.body.n, sizeof(body));
            assert_memory_equal(reader.request.body.p, body, sizeof(body));
        } else {
            assert_int_equal(result, SLU_HTTP1_FAILED);
            assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
        }
        slu_arena_done(&arena);
    }
}

static void test_writers(void **state)
{
    struct slu_header fields[] = {{SLU_STR("A"), SLU_STR("1")}, {SLU_STR("b"), SLU_STR("")}};
    struct slu_request request = {.method = SLU_STR("POST"),
                                  .host = SLU_STR("h:1"),
                                  .path = SLU_STR("/p"),
                                  .query = SLU_STR("q=1"),
                                  .headers = {fields, 2, 2},
                                  .body = SLU_STR("body")};
    struct slu_response response = {
        .status = 201, .headers = {fields, 1, 1}, .body = SLU_STR("body")};
    struct slu_http1_answer answer = {.date = SLU_STR("D")};
    struct slu_buf out;

    (void)state;
    slu_buf_init(&out, 0);
    assert_true(slu_http1_write_request(&out, &request, false));
    assert_str(slu_buf_str(&out), "POST /p?q=1 HTTP/1.1\r\nHost: h:1\r\nA: 1\r\nb: \r\n"
                                  "Content-Length: 4\r\n\r\n");
    slu_buf_clear(&out);
    request =
        (struct slu_request){.method = SLU_STR("PUT"), .host = SLU_STR("h"), .path = SLU_STR("/")};
    assert_true(slu_http1_write_request(&out, &request, true));
    assert_str(slu_buf_str(&out), "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    slu_buf_clear(&out);
    request.path = SLU_STR("/a b");
    assert_false(slu_http1_write_request(&out, &request, true));
    request.path = SLU_STR("/a\r\nX: y");
    assert_false(slu_http1_write_request(&out, &request, true));
    request.path = SLU_STR("/a?b"); /* a "?" of the path would begin the query */
    assert_false(slu_http1_write_request(&out, &request, true));
    request.path = SLU_STR("/");
    request.host = SLU_STR("h\r\nX: y");
    assert_false(slu_http1_write_request(&out, &request, true));

    slu_buf_clear(&out);
    assert_true(slu_http1_write_response(&out, &response, &answer));
    assert_str(slu_buf_str(&out),
               "HTTP/1.1 201 Created\r\nDate: D\r\nA: 1\r\nContent-Length: 4\r\n\r\n");
    slu_buf_clear(&out);
    answer.close = true;
    response.status = 204;
    assert_true(slu_http1_write_response(&out, &response, &answer));
    assert_str(slu_buf_str(&out),
               "HTTP/1.1 204 No Content\r\nDate: D\r\nA: 1\r\nConnection: close\r\n\r\n");
    slu_buf_done(&out);
}

static bool read_with_failures(void *context)
{
    struct slu_str input = SLU_STR(P "A: b\r\n" TE "\r\n3\r\nabc\r\n0\r\n\r\n");
    struct slu_fault fault = {0};
    struct slu_arena arena;
    struct slu_http1 reader;
    enum slu_http1_result result;

    (void)context;
    slu_arena_init(&arena, BUDGET);
    slu_http1_init(&reader, SLU_HTTP1_REQUESTS, &limits);
    slu_http1_begin(&reader, &arena, false);
    do {
        result = slu_http1_read(&reader, &input, &fault);
    } while (result == SLU_HTTP1_HEAD);
    slu_arena_done(&arena);
    assert_true(result == SLU_HTTP1_DONE || fault.kind == SLU_FAULT_MEMORY);
    return result == SLU_HTTP1_DONE;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(read_with_failures, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_responses),
        cmocka_unit_test(test_long_framing), cmocka_unit_test(test_between_head_and_body),
        cmocka_unit_test(test_memory),       cmocka_unit_test(test_writers),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
