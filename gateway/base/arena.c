/* Arena blocks: a list of heap blocks, each as large as all before it together, up to a limit; big
 * pieces get their own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_BLOCK = 16384, LARGEST_BLOCK = 262144 };

struct slu_arena_block {
    struct slu_arena_block *older;
    size_t size; /* of data */
    _Alignas(16) char data[];
};

void slu_arena_init(struct slu_arena *arena, size_t budget)
{
    *arena = (struct slu_arena){.budget = budget};
}

static void free_older(struct slu_arena *arena, struct slu_arena_block *keep)
{
    struct slu_arena_block *block = arena->blocks;

    while (block) {
        struct slu_arena_block *older = block->older;

        if (block != keep)
            slu_mem_free(block);
        block = older;
    }
}

static struct slu_arena_block *oldest(struct slu_arena *arena)
{
    struct slu_arena_block *block = arena->blocks;

    while (block && block->older)
        block = block->older;
    return block;
}

void slu_arena_reset(struct slu_arena *arena)
{
    struct slu_arena_block *keep = oldest(arena);

    if (keep && keep->size > LARGEST_BLOCK)
        keep = NULL;
    free_older(arena, keep);
    arena->blocks = keep;
    arena->failed = false;
    arena->used = 0;
    arena->at = arena->end = NULL;
    if (keep) {
        keep->older = NULL;
        arena->used = keep->size;
        arena->at = keep->data;
        arena->end = keep->data + keep->size;
    }
}

void slu_arena_done(struct slu_arena *arena)
{
    free_older(arena, NULL);
    *arena = (struct slu_arena){.budget = arena->budget};
}

void slu_arena_reserve(struct slu_arena *arena, size_t bytes)
{
    struct slu_arena_block *block = slu_mem_resize(NULL, sizeof(*block) + bytes);

    arena->failed = !block;
    if (!block)
        return;
    block->older = arena->blocks;
    block->size = bytes;
    arena->blocks = block;
    arena->used += bytes;
    arena->at = block->data;
    arena->end = block->data + bytes;
}

void *slu_arena_slow(struct slu_arena *arena, size_t size)
{
    size_t want = arena->used < FIRST_BLOCK     ? FIRST_BLOCK
                  : arena->used < LARGEST_BLOCK ? arena->used
                                                : LARGEST_BLOCK;
    size_t rounded = ((size ? size : 1) + 15) & ~(size_t)15;
    struct slu_arena_block *block;

    if (rounded < size || rounded > arena->budget || arena->used > arena->budget - rounded) {
        arena->failed = true;
        return NULL;
    }
    if (want > arena->budget - arena->used)
        want = arena->budget - arena->used;
    if (want < rounded)
        want = rounded;
    block = slu_mem_resize(NULL, sizeof(*block) + want);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    block->older = arena->blocks;
    block->size = want;
    arena->blocks = block;
    arena->used += want;
    arena->at = block->data + rounded;
    arena->end = block->data + want;
    return block->data;
}

void *slu_arena_zero(struct slu_arena *arena, size_t size)
{
    void *piece = slu_arena_get(arena, size);

    return piece ? memset(piece, 0, size) : NULL;
}

struct slu_str slu_arena_str(struct slu_arena *arena, struct slu_str text)
{
    return slu_arena_join(arena, text, SLU_STR_NONE);
}

struct slu_str slu_arena_join(struct slu_arena *arena, struct slu_str a, struct slu_str b)
{
    char *piece = slu_arena_get(arena, a.n + b.n + 1);

    if (!piece)
        return SLU_STR_NONE;
    if (a.n)
        memcpy(piece, a.p, a.n);
    if (b.n)
        memcpy(piece + a.n, b.p, b.n);
    piece[a.n + b.n] = '\0';
    return (struct slu_str){piece, a.n + b.n};
}

struct slu_str slu_arena_printf(struct slu_arena *arena, const char *format, ...)
{
    va_list args;
    char *piece;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !(piece = slu_arena_get(arena, (size_t)length + 1)))
        return SLU_STR_NONE;
    va_start(args, format);
    vsnprintf(piece, (size_t)length + 1, format, args);
    va_end(args);
    return (struct slu_str){piece, (size_t)length};
}
