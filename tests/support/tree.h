/* For the tests of codec and of what stands on it: each test has an arena and a list of mistakes of
 * its own (with begin and end as its setup and teardown), and trees are written as JSON. */
#ifndef SLU_TREE_H
#define SLU_TREE_H

#include "test.h"

#include "base/arena.h"
#include "codec/json.h"

static struct slu_arena arena;
static struct slu_mistakes mistakes;

static inline int begin(void **state)
{
    (void)state;
    slu_arena_init(&arena, 16 << 20);
    slu_mistakes_init(&mistakes, &arena);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    slu_arena_done(&arena);
    return 0;
}

static inline struct slu_value *tree(const char *text)
{
    struct slu_mistakes found;
    struct slu_value *root;

    slu_mistakes_init(&found, &arena);
    root = slu_json_read(&arena, slu_str_of(text), (struct slu_json_limits){0}, &found);
    if (!root)
        fail_msg("no JSON: %s", text);
    return root;
}

#endif
