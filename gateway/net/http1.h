/*
 * HTTP/1.1 messages on the wire (RFC 9112): one strict, incremental reader for both directions and
 * the writers of heads. Internal to net/. Nothing here knows a socket or a clock.
 *
 * What was read is the same however the bytes were cut on their way. The reader copies a message
 * into the arena it was begun with; nothing points into the input.
 */
#ifndef SLU_NET_HTTP1_H
#define SLU_NET_HTTP1_H

#include "base/buf.h"
#include "codec/message.h"

enum slu_http1_side { SLU_HTTP1_REQUESTS, SLU_HTTP1_RESPONSES };

struct slu_http1_limits {
    uint32_t line_bytes;  /* the request line; beyond it URI_TOO_LONG. 0 = head_bytes */
    uint32_t head_bytes;  /* one head, start line and final empty line included */
    uint32_t head_fields; /* fields of one head, or of the trailers */
    uint32_t body_bytes;  /* payload */
    uint32_t
        total_bytes; /* one message as it came, 1xx heads and chunk framing included; 0 = none */
};

enum slu_http1_result {
    SLU_HTTP1_MORE,  /* all of the input was used (or what there is is not enough): feed more */
    SLU_HTTP1_HEAD,  /* the head (of a final response) is there: look at it, then go on reading */
    SLU_HTTP1_DONE,  /* the message is whole; what is left of the input is the next one's */
    SLU_HTTP1_FAILED /* the fault says why; the connection cannot be used any more */
};

enum slu_http1_framing {
    SLU_HTTP1_NO_BODY,
    SLU_HTTP1_LENGTH,
    SLU_HTTP1_CHUNKED,
    SLU_HTTP1_UNTIL_CLOSE /* responses only */
};

/* The owner's storage. From HEAD on the public members are valid; the others are the reader's. */
struct slu_http1 {
    /* Public, read only. */
    struct slu_request request;   /* REQUESTS: scheme is left to the owner; body at DONE */
    struct slu_response response; /* RESPONSES: body at DONE */
    enum slu_http1_framing framing;
    uint64_t length;       /* with LENGTH: as announced */
    bool keep;             /* the peer lets the connection go on after this message */
    bool old;              /* HTTP/1.0 */
    bool expects_continue; /* "Expect: 100-continue" and a body follows */
    uint64_t body_seen;    /* payload bytes read so far, discarded ones included */

    enum slu_http1_side side;
    struct slu_http1_limits limits;
    struct slu_arena *arena;
    int state;
    bool answers_head, discard, blank_seen;
    unsigned interim;      /* 1xx responses seen */
    size_t scanned;        /* bytes of the unfinished head looked at */
    size_t line_start;     /* in them: where the unfinished line begins */
    size_t lines;          /* whole lines of the head so far */
    uint32_t body_most;    /* payload bytes wanted of this message */
    uint64_t left;         /* payload bytes to come in this body or chunk */
    uint64_t total;        /* bytes consumed for this message */
    uint32_t framing_used; /* bytes of chunk extensions and trailers so far */
    uint32_t trailer_fields;
    struct slu_arena_text body;
};

void slu_http1_init(struct slu_http1 *reader, enum slu_http1_side side,
                    const struct slu_http1_limits *limits);
/* The next message goes into this arena. `answers_head` (RESPONSES): it answers a HEAD request and
 * has no body. */
void slu_http1_begin(struct slu_http1 *reader, struct slu_arena *arena, bool answers_head);
/*
 * Reads on. *input loses what was used; an unfinished line stays in it and must be offered again,
 * with more behind it. Call again after HEAD, also with an empty input: a message without body is
 * DONE then. Faults: BAD_REQUEST, HEADERS_TOO_LARGE, URI_TOO_LONG, TOO_LARGE, HTTP_VERSION,
 * NOT_IMPLEMENTED, EXPECTATION and MEMORY for requests (request.method and path may be filled);
 * UPSTREAM_UNREADABLE and MEMORY for responses.
 */
SLU_NODISCARD enum slu_http1_result slu_http1_read(struct slu_http1 *reader, struct slu_str *input,
                                                   struct slu_fault *fault);
/* The peer ended its side: DONE for a response that lasts until then; MORE when no byte of a
 * message had been read (`rest` is what is left of the input); else FAILED with BAD_REQUEST or
 * UPSTREAM_BROKEN. */
SLU_NODISCARD enum slu_http1_result slu_http1_eof(struct slu_http1 *reader, struct slu_str rest,
                                                  struct slu_fault *fault);
/* Between HEAD and the body: at most so many bytes are read (never more than the limit). */
void slu_http1_limit_body(struct slu_http1 *reader, uint32_t most);
/* Between HEAD and DONE: what is still to come is read, bounded and checked, but not kept. */
void slu_http1_discard(struct slu_http1 *reader);

/*
 * Writers append to `out`; the body goes behind it or as a piece of its own. The request's path,
 * query, host and method are checked once more: false when one of them could break the head, or
 * when `out` failed. Host is added, and Content-Length when there is a body or `tell_length`.
 */
SLU_NODISCARD bool slu_http1_write_request(struct slu_buf *out, const struct slu_request *request,
                                           bool tell_length);
struct slu_http1_answer {
    struct slu_str date; /* IMF-fixdate */
    bool close;          /* say "Connection: close" */
    bool keep_old;       /* say "Connection: keep-alive" (to HTTP/1.0) */
};
/* Date, Content-Length (not with 204 and 304) and Connection are added. */
SLU_NODISCARD bool slu_http1_write_response(struct slu_buf *out,
                                            const struct slu_response *response,
                                            const struct slu_http1_answer *answer);
const char *slu_http1_reason(int status);
/* "name", "name:port", "192.0.2.1", "[2001:db8::1]:443"; no user information. */
bool slu_http1_host_valid(struct slu_str host);

#endif
