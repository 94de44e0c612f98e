/* JSON Pointers (RFC 6901): split once, then followed many times; and built, for mistakes. */
#include "codec/json.h"

#include <stdio.h>

/* "~0" is "~" and "~1" is "/"; anything else behind "~" is no pointer (RFC 6901 §3). */
static bool decode_step(struct slu_arena *arena, struct slu_str text, struct slu_str *ret_step)
{
    char *out;
    size_t n = 0;

    if (text.n == 0 || !memchr(text.p, '~', text.n)) {
        *ret_step = text;
        return true;
    }
    out = slu_arena_get(arena, text.n);
    if (!out)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '~') {
            i++;
            if (i == text.n || (text.p[i] != '0' && text.p[i] != '1'))
                return false;
            c = text.p[i] == '1' ? '/' : '~';
        }
        out[n++] = c;
    }
    *ret_step = (struct slu_str){out, n};
    return true;
}

static size_t count_steps(struct slu_str pointer)
{
    size_t count = 0;

    for (size_t i = 0; i < pointer.n; i++)
        count += pointer.p[i] == '/';
    return count;
}

bool slu_path_read(struct slu_arena *arena, struct slu_str pointer, struct slu_path *ret_path)
{
    struct slu_path path = {.count = count_steps(pointer)};
    struct slu_str rest;

    if (pointer.n && pointer.p[0] != '/')
        return false;
    path.pointer = slu_arena_str(arena, pointer);
    if (!path.pointer.p)
        return false;
    if (path.count) {
        path.steps = slu_arena_get(arena, path.count * sizeof(*path.steps));
        if (!path.steps)
            return false;
        rest = (struct slu_str){path.pointer.p + 1, path.pointer.n - 1};
        for (size_t i = 0; i < path.count; i++)
            if (!decode_step(arena, slu_str_cut(&rest, '/'), &path.steps[i]))
                return false;
    }
    *ret_path = path;
    return true;
}

static struct slu_value *enter_array(const struct slu_value *array, struct slu_str step)
{
    uint64_t index;

    if (step.n > 1 && step.p[0] == '0')
        return NULL;
    return slu_str_to_u64(step, &index) ? slu_value_item(array, index) : NULL;
}

struct slu_value *slu_path_get(const struct slu_path *path, const struct slu_value *root)
{
    const struct slu_value *at = root;

    for (size_t i = 0; at && i < path->count; i++)
        at = at->kind == SLU_ARRAY ? enter_array(at, path->steps[i])
                                   : slu_value_find(at, path->steps[i]);
    return (struct slu_value *)at;
}

/* The root is held by others, so its content is exchanged and not the node. */
static void replace_root(struct slu_value *root, const struct slu_value *value)
{
    struct slu_str name = root->name;
    struct slu_value *next = root->next;

    *root = *value;
    root->name = name;
    root->next = next;
}

bool slu_path_put(struct slu_arena *arena, const struct slu_path *path, struct slu_value *root,
                  struct slu_value *value)
{
    struct slu_value *at = root;

    if (!root || !value)
        return false;
    if (path->count == 0) {
        replace_root(root, value);
        return true;
    }
    for (size_t i = 0; i + 1 < path->count; i++) {
        struct slu_value *next = slu_value_find(at, path->steps[i]);

        if (at->kind != SLU_OBJECT)
            return false;
        if (!next) {
            next = slu_value_new(arena, SLU_OBJECT);
            if (!next)
                return false;
            slu_value_put(at, path->steps[i], next);
        }
        at = next;
    }
    if (at->kind != SLU_OBJECT)
        return false;
    slu_value_set(at, path->steps[path->count - 1], value);
    return true;
}

struct slu_str slu_pointer_member(struct slu_arena *arena, struct slu_str pointer,
                                  struct slu_str name)
{
    size_t extra = 1, n = pointer.n;
    char *out;

    for (size_t i = 0; i < name.n; i++)
        extra += name.p[i] == '~' || name.p[i] == '/';
    out = slu_arena_get(arena, pointer.n + name.n + extra);
    if (!out)
        return SLU_STR_NONE;
    if (pointer.n)
        memcpy(out, pointer.p, pointer.n);
    out[n++] = '/';
    for (size_t i = 0; i < name.n; i++) {
        bool special = name.p[i] == '~' || name.p[i] == '/';

        out[n++] = special ? '~' : name.p[i];
        if (special)
            out[n++] = name.p[i] == '/' ? '1' : '0';
    }
    return (struct slu_str){out, n};
}

struct slu_str slu_pointer_item(struct slu_arena *arena, struct slu_str pointer, size_t index)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%zu", index);

    return slu_pointer_member(arena, pointer, (struct slu_str){digits, (size_t)n});
}
