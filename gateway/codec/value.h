/*
 * A document in flight: a small tree of JSON's six kinds. Nodes lie in the request's arena; text is
 * a slice of the message it came from (or of the arena where escapes had to be resolved); numbers
 * stay as they were written, so 0.10, 1e3 and 20-digit integers survive unchanged.
 *
 * Members keep their order. Nothing here is freed: the arena's end is the tree's end. Functions
 * that allocate answer NULL when the arena is spent (and arena->failed is set).
 */
#ifndef SLU_CODEC_VALUE_H
#define SLU_CODEC_VALUE_H

#include "base/arena.h"
#include "base/str.h"

enum slu_kind {
    SLU_NULL,
    SLU_BOOL,
    SLU_NUMBER,
    SLU_STRING,
    SLU_ARRAY,
    SLU_OBJECT,
};

struct slu_value {
    enum slu_kind kind;
    uint32_t count; /* children of an array or object */
    bool truth;     /* of a bool */
    bool marked;    /* free for the one who walks the tree, e.g. "a row has read this" */
    struct slu_str
        name; /* as a member of an object: decoded UTF-8; may hold any character but NUL */
    struct slu_str text;    /* string: decoded UTF-8; number: exactly as written (JSON grammar) */
    struct slu_value *next; /* the next sibling */
    struct slu_value *first, *last; /* children */
};

/* for each child of an array or object */
#define slu_value_each(child, parent)                                                              \
    for (struct slu_value *child = (parent)->first; child; child = child->next)

SLU_NODISCARD struct slu_value *slu_value_new(struct slu_arena *arena, enum slu_kind kind);
SLU_NODISCARD struct slu_value *slu_value_string(struct slu_arena *arena, struct slu_str text);
/* Digits that are no JSON number are refused like an arena that is spent (NULL, arena->failed), so
 * that they never get into a document; ask slu_number_valid() first where they come from outside.
 */
SLU_NODISCARD struct slu_value *slu_value_number(struct slu_arena *arena, struct slu_str digits);
SLU_NODISCARD struct slu_value *slu_value_int(struct slu_arena *arena, int64_t number);
SLU_NODISCARD struct slu_value *slu_value_bool(struct slu_arena *arena, bool truth);
/* With its texts, so that the copy needs nothing but its own arena. */
SLU_NODISCARD struct slu_value *slu_value_copy(struct slu_arena *arena,
                                               const struct slu_value *value);

/* Appends; a NULL parent or child (an allocation that failed before) is let through, so that a tree
 * can be built in one go and arena->failed looked at once. The child must not be in a tree yet.
 * put() does not look for a member of the same name; set() replaces it. */
void slu_value_append(struct slu_value *array, struct slu_value *child);
void slu_value_put(struct slu_value *object, struct slu_str name, struct slu_value *child);
void slu_value_set(struct slu_value *object, struct slu_str name, struct slu_value *child);
/* Takes the child out of its parent; false when it is not there. */
bool slu_value_remove(struct slu_value *parent, struct slu_value *child);

/* The member, or NULL when absent (or when `object` is NULL or no object). */
struct slu_value *slu_value_find(const struct slu_value *object, struct slu_str name);
#define slu_value_member(object, literal) slu_value_find((object), SLU_STR(literal))
/* By position from 0, or NULL. */
struct slu_value *slu_value_item(const struct slu_value *array, size_t index);

/*
 * A JSON Pointer (RFC 6901) split once, at load: the steps are decoded ("~1" is "/").
 * An array is entered by a decimal step without leading zero.
 */
struct slu_path {
    struct slu_str *steps;
    size_t count;
    struct slu_str pointer; /* as written */
};

/* False when the text is no pointer ("" is one; anything else begins with "/") or on no memory. The
 * pointer is copied. */
SLU_NODISCARD bool slu_path_read(struct slu_arena *arena, struct slu_str pointer,
                                 struct slu_path *ret_path);
/* The node, or NULL when absent. */
struct slu_value *slu_path_get(const struct slu_path *path, const struct slu_value *root);
/* Puts the value there, making objects on the way; replaces what is there. False when a step runs
 * into something that is no object, or on no memory. At the path "" the root takes the value's
 * content. */
SLU_NODISCARD bool slu_path_put(struct slu_arena *arena, const struct slu_path *path,
                                struct slu_value *root, struct slu_value *value);

/* Equal as documents: member order does not count, numbers compare as written, except that integers
 * in plain digits compare by value ("0" and "-0" are equal). */
bool slu_value_equal(const struct slu_value *a, const struct slu_value *b);
static inline bool slu_value_is(const struct slu_value *value, enum slu_kind kind)
{
    return value && value->kind == kind;
}

/* A number written as a plain integer that fits; false otherwise. */
SLU_NODISCARD bool slu_value_to_int(const struct slu_value *value, int64_t *ret_number);
/* The grammar of RFC 8259 §6, the whole text. */
bool slu_number_valid(struct slu_str text);
/* The bytes of the number that begins at `start`; 0 when there is none. */
size_t slu_number_scan(const char *start, const char *end);
const char *slu_kind_name(enum slu_kind kind); /* "object", "string", … */

#endif
