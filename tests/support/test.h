/* What every unit test includes: cmocka in the order it wants, and a few helpers. */
#ifndef SLU_TEST_H
#define SLU_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

/* Compares text with a NUL-terminated expectation; prints both. */
#define assert_str(actual, expected)                                                               \
    test_assert_str((actual), (expected), #actual, __FILE__, __LINE__)
void test_assert_str(struct slu_str actual, const char *expected, const char *what,
                     const char *file, int line);

/* The whole file, NUL-terminated behind its length; fails the test when unreadable. Free with
 * slu_mem_free. Paths are relative to the source tree (SLU_SOURCE_DIR). */
struct slu_str test_file(const char *path);

/* Runs `body` with the 1st, 2nd, 3rd … allocation failing until it gets through without one; body
 * answers true when it succeeded. Fails when it never does. Returns the failures tried. */
typedef bool test_body_fn(void *context);
unsigned long test_every_allocation(test_body_fn *body, void *context);

#endif
