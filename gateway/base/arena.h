/*
 * Memory with one lifetime: a request's, or a loaded table's. Taken piece by piece, given back all
 * at once. A budget bounds it: when it is spent, slu_arena_get() answers NULL and `failed` stays
 * set, so that a builder may append ten times and look once.
 */
#ifndef SLU_BASE_ARENA_H
#define SLU_BASE_ARENA_H

#include "base/budget.h"
#include "base/str.h"

struct slu_arena_block;

/* Caller's storage; the members are private to arena.c and the inline fast path below. */
struct slu_arena {
    struct slu_arena_block *blocks; /* newest first */
    char *at, *end;                 /* free part of the newest block */
    size_t used, budget;            /* bytes taken from the heap; the most there may be */
    struct slu_budget *common;      /* asked too, beyond `share` bytes; or NULL */
    size_t share, charged;          /* charged: held of the common budget */
    bool failed;
    bool refused; /* failed because the common budget is spent: in a while there may be room */
    bool insists, yields;
};

void slu_arena_init(struct slu_arena *arena, size_t budget);
/* Everything given out becomes invalid; one block is kept for the next use. */
void slu_arena_reset(struct slu_arena *arena);
void slu_arena_done(struct slu_arena *arena);

/*
 * A budget common to many arenas, which outlives them: from now on what this one takes beyond
 * `share` bytes is taken from it too, and given back by reset and done. Where it does not suffice
 * the arena fails and is `refused`, unless it never could suffice for this arena alone.
 */
void slu_arena_share(struct slu_arena *arena, struct slu_budget *common, size_t share);
/* From now on the common budget is charged, but no longer asked. */
void slu_arena_insist(struct slu_arena *arena);
/* While it yields, it leaves half of the common budget to those that do not: who has only begun to
 * gather cannot keep those who are nearly done from ending. */
void slu_arena_yield(struct slu_arena *arena, bool yields);

/* One more piece of memory beyond a budget that is spent, so that this can be told: `failed` is
 * cleared, unless the heap is at its end too. */
void slu_arena_reserve(struct slu_arena *arena, size_t bytes);

SLU_NODISCARD void *slu_arena_slow(struct slu_arena *arena, size_t size);

/* `size` bytes aligned for any object, not zeroed; NULL when the budget or the heap is exhausted.
 */
SLU_NODISCARD static inline void *slu_arena_get(struct slu_arena *arena, size_t size)
{
    size_t rounded = ((size ? size : 1) + 15) & ~(size_t)15; /* NULL always means failure */

    if (__builtin_expect(rounded >= size && rounded <= (size_t)(arena->end - arena->at), 1)) {
        void *piece = arena->at;

        arena->at += rounded;
        return piece;
    }
    return slu_arena_slow(arena, size);
}

SLU_NODISCARD void *slu_arena_zero(struct slu_arena *arena, size_t size);
/* A copy of the text. On failure the empty text with a NULL pointer (and arena->failed is set). */
struct slu_str slu_arena_str(struct slu_arena *arena, struct slu_str text);
struct slu_str slu_arena_printf(struct slu_arena *arena, const char *format, ...) SLU_PRINTF(2, 3);
/* A and B joined. */
struct slu_str slu_arena_join(struct slu_arena *arena, struct slu_str a, struct slu_str b);

/* A text that comes piece by piece; zeroed to begin with. */
struct slu_arena_text {
    char *p;
    size_t n, size; /* the text; the room there is for it */
};
/* `whole`: how long it will be; 0 where nobody knows, then room is doubled. */
SLU_NODISCARD bool slu_arena_append(struct slu_arena *arena, struct slu_arena_text *text,
                                    struct slu_str piece, size_t whole);

#endif
