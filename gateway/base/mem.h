/*
 * Heap memory and ownership: the only door to malloc, scope cleanup, and the assertion for our own
 * mistakes. Everything that can outlive a request is allocated here; request memory is
 * base/arena.h.
 *
 * A NULL return means out of memory; callers turn it into a fault. Tests make the n-th allocation
 * fail with slu_mem_fail_at().
 */
#ifndef SLU_BASE_MEM_H
#define SLU_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define SLU_NODISCARD          __attribute__((warn_unused_result))
#define SLU_PRINTF(text, args) __attribute__((format(printf, text, args)))

/* Zeroed memory, or NULL. */
SLU_NODISCARD void *slu_mem_new(size_t size);
SLU_NODISCARD void *slu_mem_array(size_t count, size_t size);
/* Grows or shrinks; on NULL the old block is untouched. New bytes are not zeroed. */
SLU_NODISCARD void *slu_mem_resize(void *block, size_t size);
SLU_NODISCARD char *slu_mem_text(const char *text, size_t length); /* NUL-terminated copy */
void slu_mem_free(void *block);
/* For a process that serves: freed memory of up to `bytes` a thread is kept for the next request,
 * instead of being given to the system and asked for again, page by page. */
void slu_mem_keep(int bytes);

/* Tests only: the n-th allocation from now on (1 = the next) fails once; 0 switches it off.
 * Returns how many allocations were asked for since the last call. Per thread. */
unsigned long slu_mem_fail_at(unsigned long n);

/* slu_auto(slu_thing) *t = NULL;  — t is freed with slu_thing_free at every exit, unless taken. */
#define slu_auto(type) __attribute__((cleanup(type##_auto_free))) struct type
#define SLU_AUTO_DEFINE(type)                                                                      \
    static inline void type##_auto_free(struct type **held)                                        \
    {                                                                                              \
        type##_free(*held);                                                                        \
    }
/* The value of a pointer, which becomes NULL: ownership moves to the reader. */
#define slu_take(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(pointer) slu_taken = (pointer);                                                 \
        (pointer) = NULL;                                                                          \
        slu_taken;                                                                                 \
    })

/* Our own mistakes end the process, in release builds too, naming the place. */
#define slu_must(condition)                                                                        \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            slu_must_failed(#condition, __FILE__, __LINE__);                                       \
    } while (0)
__attribute__((noreturn)) void slu_must_failed(const char *condition, const char *file, int line);

#define SLU_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
