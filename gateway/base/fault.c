/* The table of kinds, and the two ways to record what went wrong. */
#include "base/fault.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

static const struct slu_fault_info kinds[] = {
#define SLU_FAULT_ROW(name, code, status, retry, title)                                            \
    [SLU_FAULT_##name] = {code, status, SLU_RETRY_##retry, title},
    SLU_FAULT_KINDS(SLU_FAULT_ROW)
#undef SLU_FAULT_ROW
};

const struct slu_fault_info *slu_fault_info(enum slu_fault_kind kind)
{
    slu_must((size_t)kind < SLU_COUNT(kinds));
    return &kinds[kind];
}

enum slu_fault_kind slu_fault_kind_of(struct slu_str code)
{
    for (size_t i = 1; i < SLU_COUNT(kinds); i++)
        if (slu_str_is(code, kinds[i].code))
            return (enum slu_fault_kind)i;
    return SLU_FAULT_NONE;
}

/* `length` is what snprintf answered for this storage. Where it had to cut, it is made to cut
 * between two characters, so that valid UTF-8 stays valid. */
static void cut(char *text, size_t size, int length)
{
    size_t at = size - 1;

    if (length >= 0 && (size_t)length < size)
        return;
    while (at && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
        at--;
    if (at && (unsigned char)text[at - 1] >= 0xc0)
        text[at - 1] = '\0';
}

bool slu_fault_set(struct slu_fault *fault, enum slu_fault_kind kind, const char *place,
                   const char *format, ...)
{
    va_list args;

    if (!fault || fault->kind != SLU_FAULT_NONE)
        return false;
    fault->kind = kind;
    cut(fault->place, sizeof(fault->place),
        snprintf(fault->place, sizeof(fault->place), "%s", place ? place : ""));
    va_start(args, format);
    cut(fault->words, sizeof(fault->words),
        vsnprintf(fault->words, sizeof(fault->words), format, args));
    va_end(args);
    return false;
}

bool slu_fault_memory(struct slu_fault *fault)
{
    return slu_fault_set(fault, SLU_FAULT_MEMORY, "",
                         "the memory that one request may use is spent; send less, or try later");
}

void slu_mistakes_init(struct slu_mistakes *mistakes, struct slu_arena *arena)
{
    *mistakes = (struct slu_mistakes){.arena = arena};
    mistakes->end = &mistakes->first;
}

bool slu_mistake(struct slu_mistakes *mistakes, enum slu_fault_kind kind, struct slu_str pointer,
                 const char *format, ...)
{
    struct slu_mistake *mistake;
    char words[1024];
    va_list args;

    mistakes->count++;
    if (mistakes->count > SLU_MISTAKES_KEPT)
        return false;
    va_start(args, format);
    cut(words, sizeof(words), vsnprintf(words, sizeof(words), format, args));
    va_end(args);
    mistake = slu_arena_zero(mistakes->arena, sizeof(*mistake));
    if (!mistake) {
        mistakes->failed = true;
        return false;
    }
    mistake->kind = kind;
    mistake->pointer = slu_arena_str(mistakes->arena, pointer);
    mistake->detail = slu_arena_str(mistakes->arena, slu_str_of(words));
    if (mistakes->arena->failed)
        mistakes->failed = true;
    *mistakes->end = mistake;
    mistakes->end = &mistake->next;
    return false;
}
