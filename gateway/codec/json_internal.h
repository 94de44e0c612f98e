/* What the reader and the writer of JSON share. */
#ifndef SLU_CODEC_JSON_INTERNAL_H
#define SLU_CODEC_JSON_INTERNAL_H

#include <stdint.h>
#include <string.h>

/* Eight bytes at once: a bit is set in each byte that is a control character, a quote, a backslash
 * or no ASCII, and perhaps above the first such byte, where a borrow came through. */
static inline uint64_t slu_json_special(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return ((word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones) |
            word) &
           ones * 0x80;
}

#endif
