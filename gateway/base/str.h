/*
 * Text as pointer and length. Never NUL-terminated by promise, never owned: it points into a
 * message, an arena or a constant that lives longer. The empty text may have a NULL pointer.
 */
#ifndef SLU_BASE_STR_H
#define SLU_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slu_str {
    const char *p;
    size_t n;
};

/* For constants: SLU_STR("text"). SLU_STR_INIT in static tables. For printf: "%.*s", SLU_FMT(s). */
#define SLU_STR(literal) ((struct slu_str){"" literal, sizeof(literal) - 1})
#define SLU_STR_INIT(literal)                                                                      \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define SLU_STR_NONE ((struct slu_str){NULL, 0})
#define SLU_FMT(s)   (int)((s).n > 4096 ? 4096 : (s).n), ((s).p ? (s).p : "")

static inline struct slu_str slu_str_of(const char *text)
{
    return (struct slu_str){text, text ? strlen(text) : 0};
}

static inline bool slu_str_eq(struct slu_str a, struct slu_str b)
{
    return a.n == b.n &&
           (a.n == 0 || (a.p && b.p && a.p[0] == b.p[0] && memcmp(a.p, b.p, a.n) == 0));
}

static inline bool slu_str_is(struct slu_str a, const char *text)
{
    return slu_str_eq(a, slu_str_of(text));
}

/* ASCII letters only, as HTTP and vendor words need it; independent of the locale. */
bool slu_str_eq_nocase(struct slu_str a, struct slu_str b);
/* Byte order, shorter first when one is the head of the other. For sorting. */
int slu_str_cmp(struct slu_str a, struct slu_str b);
bool slu_str_starts(struct slu_str s, struct slu_str head);
bool slu_str_ends(struct slu_str s, struct slu_str tail);
/* Without blanks and tabs (HTTP's OWS) at both ends. */
struct slu_str slu_str_trim(struct slu_str s);
/* Cuts s at the first `at`: the part before is returned, s becomes the rest (NULL pointer when
 * there was no `at`, so that an empty rest and no rest differ). */
struct slu_str slu_str_cut(struct slu_str *s, char at);
/* Decimal digits only, the whole text, no sign, no blank; false on overflow or anything else. */
bool slu_str_to_u64(struct slu_str s, uint64_t *ret_number);

/* FNV-1a, for tables of our own: the hash of what came before, or SLU_STR_BASIS, and this text. */
#define SLU_STR_BASIS UINT64_C(1469598103934665603)
uint64_t slu_str_hash(uint64_t before, struct slu_str text);

static inline char slu_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#endif
