/* Small encodings of text; the UTF-8 rules of every reader stand here once. */
#include "codec/text.h"

static const char lower_digits[] = "0123456789abcdef";

void slu_hex_write(char *out, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < count; i++) {
        *out++ = lower_digits[at[i] >> 4];
        *out++ = lower_digits[at[i] & 15];
    }
}

int slu_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = slu_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool slu_hex_read(struct slu_str text, void *bytes, size_t count)
{
    unsigned char *out = bytes;

    if (text.n % 2 || text.n / 2 != count)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (slu_hex_digit(text.p[i]) < 0)
            return false;
    for (size_t i = 0; i < text.n; i += 2)
        out[i / 2] = (unsigned char)(slu_hex_digit(text.p[i]) * 16 + slu_hex_digit(text.p[i + 1]));
    return true;
}

static char base64_digit(unsigned bits)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return digits[bits & 63];
}

struct slu_str slu_base64_write(struct slu_arena *arena, struct slu_str bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.p;
    size_t n = bytes.n / 3 * 4 + (bytes.n % 3 ? 4 : 0);
    char *out = bytes.n > SIZE_MAX / 2 ? NULL : slu_arena_get(arena, n + 1);
    char *at = out;

    if (!out)
        return SLU_STR_NONE;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned triple = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                          (left > 2 ? in[i + 2] : 0u);

        *at++ = base64_digit(triple >> 18);
        *at++ = base64_digit(triple >> 12);
        *at++ = left > 1 ? base64_digit(triple >> 6) : '=';
        *at++ = left > 2 ? base64_digit(triple) : '=';
    }
    return (struct slu_str){out, n};
}

static bool tail(const unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((p[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* RFC 3629 §4: the second byte's range depends on the first, which shuts out overlong forms,
 * surrogates and what lies beyond U+10FFFF. */
size_t slu_utf8_next(const char *text, const char *end)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = (size_t)(end - text);

    if (left == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return left >= 2 && tail(p + 1, 1) ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        if (left < 3 || !tail(p + 1, 2) || (p[0] == 0xe0 && p[1] < 0xa0) ||
            (p[0] == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if (left < 4 || !tail(p + 1, 3) || (p[0] == 0xf0 && p[1] < 0x90) ||
            (p[0] == 0xf4 && p[1] > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

bool slu_utf8_valid(struct slu_str text)
{
    size_t at = 0;

    while (at < text.n) {
        size_t bytes = slu_utf8_next(text.p + at, text.p + text.n);

        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

size_t slu_utf8_length(struct slu_str text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.n; i++)
        count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return count;
}

size_t slu_utf8_put(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

enum { LONGEST_WORD = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two words: insert, delete, exchange, swap of neighbours (optimal string alignment).
 * Three rows are enough, since a swap looks two rows back. */
static size_t edits(struct slu_str a, struct slu_str b)
{
    size_t rows[3][LONGEST_WORD + 1];

    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        char c = slu_ascii_lower(a.p[i - 1]);

        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char d = slu_ascii_lower(b.p[j - 1]);

            now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (c != d));
            if (i > 1 && j > 1 && c == slu_ascii_lower(b.p[j - 2]) &&
                d == slu_ascii_lower(a.p[i - 2]))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[a.n % 3][b.n];
}

const char *slu_nearest(struct slu_str word, const char *const *candidates, size_t count)
{
    size_t nearest = word.n / 3 + 1; /* too far */
    const char *found = NULL;

    if (word.n > LONGEST_WORD)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct slu_str candidate = slu_str_of(candidates[i]);
        size_t distance;

        if (candidate.n > LONGEST_WORD)
            continue;
        distance = edits(word, candidate);
        if (distance < nearest) {
            nearest = distance;
            found = candidates[i];
        }
    }
    return found;
}
