/* Heap memory: thin wrappers that can be told to fail, so that every caller's failure path is run.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned long fail_at;
static _Thread_local unsigned long asked;

static bool refused(void)
{
    asked++;
    return fail_at != 0 && --fail_at == 0;
}

void *slu_mem_new(size_t size)
{
    return refused() ? NULL : calloc(1, size ? size : 1);
}

void *slu_mem_array(size_t count, size_t size)
{
    return refused() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *slu_mem_resize(void *block, size_t size)
{
    return refused() ? NULL : realloc(block, size ? size : 1);
}

char *slu_mem_text(const char *text, size_t length)
{
    char *copy;

    if (length == SIZE_MAX)
        return NULL;
    copy = slu_mem_new(length + 1);
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

void slu_mem_free(void *block)
{
    free(block);
}

/* A threshold that is set ends glibc's own adjusting of both (mallopt(3)). It is a wish: the
 * sanitizers' malloc knows none. */
void slu_mem_keep(int bytes)
{
    enum { LARGE_BLOCK = 1 << 20 }; /* from here on each is the system's own */

    (void)(mallopt(M_TRIM_THRESHOLD, bytes) && mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK));
}

unsigned long slu_mem_fail_at(unsigned long n)
{
    unsigned long before = asked;

    asked = 0;
    fail_at = n;
    return before;
}

void slu_must_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "sluice: broken assumption at %s:%d: %s\n", file, line, condition);
    abort();
}
