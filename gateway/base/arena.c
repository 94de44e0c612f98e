/* Arena blocks: a list of heap blocks, each as large as all before it together, up to a limit; big
 * pieces get their own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_BLOCK = 16384, LARGEST_BLOCK = 262144, FIRST_TEXT = 8192 };

struct slu_arena_block {
    struct slu_arena_block *older;
    size_t size; /* of data */
    _Alignas(16) char data[];
};

/* The common budget */

void slu_arena_share(struct slu_arena *arena, struct slu_budget *common, size_t share)
{
    slu_must(!arena->charged || arena->common == common);
    arena->common = common;
    arena->share = share;
    arena->insists = arena->yields = false;
}

void slu_arena_insist(struct slu_arena *arena)
{
    arena->insists = true;
}

void slu_arena_yield(struct slu_arena *arena, bool yields)
{
    arena->yields = yields;
}

static size_t owed(const struct slu_arena *arena, size_t used)
{
    return arena->common && used > arena->share ? used - arena->share : 0;
}

static bool pay(struct slu_arena *arena, size_t more)
{
    size_t sum = owed(arena, arena->used + more);
    size_t due = sum > arena->charged ? sum - arena->charged : 0;
    uint64_t most;

    if (!due)
        return true;
    most = slu_budget_look(arena->common).most_bytes;
    if (arena->yields)
        most /= 2;
    if (arena->insists) {
        slu_budget_insist(arena->common, due);
    } else if (!slu_budget_take_below(arena->common, due, most)) {
        arena->refused = sum <= most;
        return false;
    }
    arena->charged += due;
    return true;
}

static void pay_back(struct slu_arena *arena)
{
    size_t sum = owed(arena, arena->used);

    if (arena->charged <= sum)
        return;
    slu_budget_give(arena->common, arena->charged - sum);
    arena->charged = sum;
}

/* Blocks */

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
    arena->failed = arena->refused = false;
    arena->used = 0;
    arena->at = arena->end = NULL;
    if (keep) {
        keep->older = NULL;
        arena->used = keep->size;
        arena->at = keep->data;
        arena->end = keep->data + keep->size;
    }
    pay_back(arena);
}

void slu_arena_done(struct slu_arena *arena)
{
    free_older(arena, NULL);
    arena->used = 0;
    pay_back(arena);
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
    block = pay(arena, want) ? slu_mem_resize(NULL, sizeof(*block) + want) : NULL;
    if (!block) {
        pay_back(arena);
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

bool slu_arena_append(struct slu_arena *arena, struct slu_arena_text *text, struct slu_str piece,
                      size_t whole)
{
    size_t need = text->n + piece.n;
    size_t size = whole ? whole : text->size ? text->size * 2 : FIRST_TEXT;
    char *p = text->p;

    if (need > text->size) {
        if (size < need)
            size = need;
        p = slu_arena_get(arena, size);
        if (!p)
            return false;
        if (text->n)
            memcpy(p, text->p, text->n);
        text->size = size;
    }
    if (piece.n)
        memcpy(p + text->n, piece.p, piece.n);
    text->p = p;
    text->n = need;
    return true;
}
