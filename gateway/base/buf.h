/*
 * A growing run of bytes that remembers failure: append as often as you like, look at `failed`
 * once. The bytes live on the heap until slu_buf_done(); a limit bounds them.
 */
#ifndef SLU_BASE_BUF_H
#define SLU_BASE_BUF_H

#include "base/mem.h"
#include "base/str.h"

struct slu_buf {
    char *p;
    size_t n, size; /* bytes in use; bytes allocated */
    size_t limit;   /* 0 = none */
    bool failed;    /* out of memory or over the limit; nothing is appended any more */
};

void slu_buf_init(struct slu_buf *buf, size_t limit);
void slu_buf_done(struct slu_buf *buf);
static inline void slu_buf_clear(struct slu_buf *buf)
{
    buf->n = 0;
    buf->failed = false;
}

/* Room for `more` bytes behind n; false and `failed` when there is none. */
bool slu_buf_reserve(struct slu_buf *buf, size_t more);

static inline void slu_buf_add(struct slu_buf *buf, struct slu_str text)
{
    if (text.n && (buf->size - buf->n >= text.n || slu_buf_reserve(buf, text.n)) && !buf->failed) {
        memcpy(buf->p + buf->n, text.p, text.n);
        buf->n += text.n;
    }
}

static inline void slu_buf_byte(struct slu_buf *buf, char c)
{
    if ((buf->size > buf->n || slu_buf_reserve(buf, 1)) && !buf->failed)
        buf->p[buf->n++] = c;
}

#define slu_buf_lit(buf, literal) slu_buf_add((buf), SLU_STR(literal))
void slu_buf_printf(struct slu_buf *buf, const char *format, ...) SLU_PRINTF(2, 3);
void slu_buf_u64(struct slu_buf *buf, uint64_t number);
/* Drops the first `count` bytes. */
void slu_buf_drop(struct slu_buf *buf, size_t count);

static inline struct slu_str slu_buf_str(const struct slu_buf *buf)
{
    return (struct slu_str){buf->p, buf->n};
}

#endif
