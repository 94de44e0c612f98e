/*
 * What the files of the HTTP/1.1 messages share: the character classes, the ways to refuse, and
 * what http1_head.c understands of a head. http1.c moves the reader from state to state and reads
 * bodies, http1_write.c puts heads together.
 */
#ifndef SLU_NET_HTTP1_INTERNAL_H
#define SLU_NET_HTTP1_INTERNAL_H

#include "net/http1.h"

#include <stdint.h>

/* A step's answer beside enum slu_http1_result: the state moved, go on. */
enum { SLU_HTTP1_GO_ON = SLU_HTTP1_FAILED + 1 };

/* Character classes, to be joined; one table says to which of them a byte belongs. */
enum {
    SLU_HTTP1_TOKEN = 1,
    SLU_HTTP1_VALUE = 2,
    SLU_HTTP1_PATH = 4,
    SLU_HTTP1_QUERY = 8,
    SLU_HTTP1_HOST = 16,
    SLU_HTTP1_HEX = 32
};
extern const uint8_t slu_http1_classes[256];

static inline bool slu_http1_is(char c, int class)
{
    return (slu_http1_classes[(uint8_t)c] & class) != 0;
}

static inline struct slu_str slu_http1_part(struct slu_str s, size_t from, size_t to)
{
    return (struct slu_str){s.p + from, to - from};
}

bool slu_http1_all(struct slu_str text, int class);
/* Each character is of the class or percent-encoded. */
bool slu_http1_coded(struct slu_str text, int class);

/* Both set the fault and answer SLU_HTTP1_FAILED. A reply that breaks a rule is unreadable,
 * whichever rule it is; bad() refuses with BAD_REQUEST otherwise. */
int slu_http1_refuse(const struct slu_http1 *r, enum slu_fault_kind kind, const char *words,
                     struct slu_fault *fault);
int slu_http1_bad(const struct slu_http1 *r, const char *words, struct slu_fault *fault);

/* One field line at *at, which ends in CRLF (whoever found the line made sure); *at moves behind
 * it. Also reads trailers. */
bool slu_http1_read_field(const char **at, struct slu_header *ret_field);
/* Reads a whole head, which lies in the arena and ends in its empty line, into the reader's public
 * members: start line, fields, framing, the connection's fate. GO_ON or FAILED. */
int slu_http1_understand_head(struct slu_http1 *r, struct slu_str head, struct slu_fault *fault);

#endif
