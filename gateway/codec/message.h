/*
 * An HTTP message as values: what words make, seals sign and wires carry. Text is borrowed: it must
 * live as long as the message (in practice: the same arena). Nothing here knows a socket.
 *
 * Field names and values were checked where they came from outside (net) and are checked again
 * where they are added (slu_headers_add), so that no CR, LF or NUL can get into a head.
 */
#ifndef SLU_CODEC_MESSAGE_H
#define SLU_CODEC_MESSAGE_H

#include "base/arena.h"
#include "base/fault.h"

struct slu_header {
    struct slu_str name, value; /* value trimmed of outer blanks */
};

struct slu_headers {
    struct slu_header *items; /* in the arena given to slu_headers_add() */
    size_t count, size;
};

struct slu_request {
    struct slu_str method;      /* upper case */
    struct slu_str scheme;      /* "http" or "https" */
    struct slu_str host;        /* as in the Host field: with port where the URL has one */
    struct slu_str path;        /* as on the wire: percent-encoded, begins with "/" */
    struct slu_str query;       /* as on the wire, without "?"; empty when there is none */
    struct slu_headers headers; /* without host and content-length, which the wire adds */
    struct slu_str body;
};

/* Does Content-Type say that the body is application/x-www-form-urlencoded? */
bool slu_request_is_form(const struct slu_request *request);

struct slu_response {
    int status;
    struct slu_headers headers;
    struct slu_str body;
    int64_t
        received_s; /* this machine's clock when it came; 0: not told, then its dates say nothing */
};

/* False when the name is no token or the value holds a control character (RFC 9110 §5), or on no
 * memory. Does not look for a field of the same name. */
SLU_NODISCARD bool slu_headers_add(struct slu_arena *arena, struct slu_headers *headers,
                                   struct slu_str name, struct slu_str value);
/* Replaces the first field of that name, or adds it. */
SLU_NODISCARD bool slu_headers_set(struct slu_arena *arena, struct slu_headers *headers,
                                   struct slu_str name, struct slu_str value);
/* The first field of that name (any case), or NULL. */
const struct slu_header *slu_headers_find(const struct slu_headers *headers, struct slu_str name);
/* How many fields have that name. */
size_t slu_headers_count(const struct slu_headers *headers, struct slu_str name);
/* Its value, or the empty text with a NULL pointer. */
struct slu_str slu_headers_value(const struct slu_headers *headers, struct slu_str name);

bool slu_token_valid(struct slu_str text);       /* RFC 9110 §5.6.2, at least one character */
bool slu_field_value_valid(struct slu_str text); /* VCHAR, obs-text, SP, HTAB; no blank outside */

#endif
