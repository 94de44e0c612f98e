/*
 * The writers of HTTP/1.1 heads: a request's, a response's, and the reasons that stand behind a
 * status. What is written here is checked by the classes that the reader reads by.
 */
#include "net/http1_internal.h"

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
    if (request->method.n == 0 || !slu_http1_all(request->method, SLU_HTTP1_TOKEN) ||
        request->path.n == 0 || request->path.p[0] != '/' ||
        !slu_http1_coded(request->path, SLU_HTTP1_PATH) ||
        !slu_http1_coded(request->query, SLU_HTTP1_QUERY) || !slu_http1_host_valid(request->host))
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
