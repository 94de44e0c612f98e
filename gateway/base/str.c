/* Text helpers that do not allocate. */
#include "base/str.h"

bool slu_str_eq_nocase(struct slu_str a, struct slu_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (slu_ascii_lower(a.p[i]) != slu_ascii_lower(b.p[i]))
            return false;
    return true;
}

int slu_str_cmp(struct slu_str a, struct slu_str b)
{
    size_t shared = a.n < b.n ? a.n : b.n;
    int order = shared ? memcmp(a.p, b.p, shared) : 0;

    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool slu_str_starts(struct slu_str s, struct slu_str head)
{
    return s.n >= head.n && (head.n == 0 || memcmp(s.p, head.p, head.n) == 0);
}

bool slu_str_ends(struct slu_str s, struct slu_str tail)
{
    return s.n >= tail.n && (tail.n == 0 || memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slu_str slu_str_trim(struct slu_str s)
{
    while (s.n && blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct slu_str slu_str_cut(struct slu_str *s, char at)
{
    const char *found = s->n ? memchr(s->p, at, s->n) : NULL;
    struct slu_str head = *s;

    if (!found) {
        *s = SLU_STR_NONE;
        return head;
    }
    head.n = (size_t)(found - s->p);
    s->p = found + 1;
    s->n -= head.n + 1;
    return head;
}

bool slu_str_to_u64(struct slu_str s, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(s.p[i] - '0'), &number))
            return false;
    }
    *ret_number = number;
    return true;
}

uint64_t slu_str_hash(uint64_t before, struct slu_str text)
{
    uint64_t hash = before;

    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * UINT64_C(1099511628211);
    return hash;
}
