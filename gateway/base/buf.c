/* Growing byte buffer; doubles, never shrinks. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { SMALLEST = 256 };

void slu_buf_init(struct slu_buf *buf, size_t limit)
{
    *buf = (struct slu_buf){.limit = limit};
}

void slu_buf_done(struct slu_buf *buf)
{
    slu_mem_free(buf->p);
    *buf = (struct slu_buf){.limit = buf->limit};
}

bool slu_buf_reserve(struct slu_buf *buf, size_t more)
{
    size_t need, size;
    char *grown;

    if (buf->failed)
        return false;
    if (buf->size - buf->n >= more)
        return true;
    if (__builtin_add_overflow(buf->n, more, &need) || (buf->limit && need > buf->limit)) {
        buf->failed = true;
        return false;
    }
    size = buf->size ? buf->size : SMALLEST;
    while (size < need)
        size = size > SIZE_MAX / 2 ? need : size * 2;
    if (buf->limit && size > buf->limit)
        size = buf->limit;
    grown = size == SIZE_MAX ? NULL : slu_mem_resize(buf->p, size + 1); /* printf's NUL */
    if (!grown) {
        buf->failed = true;
        return false;
    }
    buf->p = grown;
    buf->size = size;
    return true;
}

void slu_buf_printf(struct slu_buf *buf, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length <= 0 || !slu_buf_reserve(buf, (size_t)length))
        return;
    va_start(args, format);
    vsnprintf(buf->p + buf->n, (size_t)length + 1, format, args);
    va_end(args);
    buf->n += (size_t)length;
}

void slu_buf_u64(struct slu_buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    slu_buf_add(buf, (struct slu_str){digits + at, sizeof(digits) - at});
}

void slu_buf_drop(struct slu_buf *buf, size_t count)
{
    slu_must(count <= buf->n);
    buf->n -= count;
    if (count && buf->n)
        memmove(buf->p, buf->p + count, buf->n);
}
