/* Helpers of the unit tests. */
#include "test.h"

#include "base/mem.h"

#include <stdio.h>

void test_assert_str(struct slu_str actual, const char *expected, const char *what,
                     const char *file, int line)
{
    if (slu_str_is(actual, expected))
        return;
    print_error("%s:%d: %s\n  is       [%.*s]\n  expected [%s]\n", file, line, what,
                SLU_FMT(actual), expected);
    _fail(file, line);
}

struct slu_str test_file(const char *path)
{
    char whole[1024];
    struct slu_buf text;
    FILE *file;
    size_t got;

    snprintf(whole, sizeof(whole), "%s%s%s", path[0] == '/' ? "" : SLU_SOURCE_DIR,
             path[0] == '/' ? "" : "/", path);
    file = fopen(whole, "rb");
    if (!file)
        fail_msg("cannot open %s", whole);
    slu_buf_init(&text, 0);
    do {
        assert_true(slu_buf_reserve(&text, 65537));
        got = fread(text.p + text.n, 1, 65536, file);
        text.n += got;
    } while (got);
    fclose(file);
    text.p[text.n] = '\0';
    return slu_buf_str(&text);
}

unsigned long test_every_allocation(test_body_fn *body, void *context)
{
    for (unsigned long n = 1; n < 100000; n++) {
        bool good;

        slu_mem_fail_at(n);
        good = body(context);
        if (slu_mem_fail_at(0) < n) { /* it asked for fewer: nothing failed */
            assert_true(good);
            return n - 1;
        }
    }
    fail_msg("still failing after 100000 allocations");
    return 0;
}
