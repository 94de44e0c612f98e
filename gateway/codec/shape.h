/*
 * The shape of JSON that is ours (mapping tables, configuration), read with jansson and checked
 * against static tables: every mistake is recorded with its JSON Pointer and a hint, so that a
 * person can mend them all at once. What passed slu_shape_check() may be read with the getters
 * below without further questions about types.
 *
 * Messages from outside are never read here: see codec/json.h.
 *
 *   static const struct slu_shape port = {.type = SLU_SHAPE_INT, .min = 1, .max = 65535};
 *   static const struct slu_shape_member members[] = {
 *       {.name = "host", .required = true, .shape = &slu_shape_text},
 *       {.name = "port", .shape = &port},
 *       {NULL},
 *   };
 *   static const struct slu_shape listener = {.type = SLU_SHAPE_OBJECT, .members = members};
 */
#ifndef SLU_CODEC_SHAPE_H
#define SLU_CODEC_SHAPE_H

#include "base/fault.h"

#include <jansson.h>

/* Bits: a shape may allow several, e.g. SLU_SHAPE_STRING | SLU_SHAPE_OBJECT. OBJECT and MAP exclude
 * each other. */
enum slu_shape_type {
    SLU_SHAPE_STRING = 1,
    SLU_SHAPE_INT = 2,
    SLU_SHAPE_BOOL = 4,
    SLU_SHAPE_OBJECT = 8, /* exactly the `members` */
    SLU_SHAPE_MAP = 16,   /* any names, every value like `of` */
    SLU_SHAPE_ARRAY = 32, /* every item like `of` */
    SLU_SHAPE_NULL = 64,
    SLU_SHAPE_ANY = 128, /* whatever JSON can say */
};

struct slu_shape;

/* A list of members ends with a row whose name is NULL. */
struct slu_shape_member {
    const char *name;
    bool required;
    const struct slu_shape *shape; /* NULL: anything */
};

struct slu_shape {
    unsigned type;                          /* bits of slu_shape_type */
    const struct slu_shape_member *members; /* of an OBJECT */
    const struct slu_shape *of;             /* of a MAP or ARRAY; NULL: anything */
    /* Inclusive: the value of an INT, the characters of a STRING, the items of an ARRAY, the
     * members of a MAP. Both 0: no bounds; max 0 above a min of 1 or more: no upper bound. */
    int64_t min, max;
    const char *const *words; /* the only strings allowed, ended by NULL; NULL: any string */
    /* What a table cannot say; called when everything above was right here (deeper mistakes do not
     * matter). Records its mistakes and answers false when there were any. */
    bool (*check)(const json_t *value, struct slu_str pointer, struct slu_mistakes *mistakes);
};

/* The commonest shapes: any string, a string with at least one character, a bool, anything. */
extern const struct slu_shape slu_shape_string, slu_shape_text, slu_shape_bool, slu_shape_any;

/*
 * True when the value has the shape; every mistake is recorded otherwise, as SLU_FAULT_CONFIG. The
 * pointer is where the value stands in its document ("" at the top). Members named "$schema" and
 * "comment" are allowed in every OBJECT (not in a MAP, where every name is data).
 */
SLU_NODISCARD bool slu_shape_check(const struct slu_shape *shape, const json_t *value,
                                   struct slu_str pointer, struct slu_mistakes *mistakes);

/*
 * Reads a file of ours: an object at the top, no duplicate members, no NUL. NULL on mistakes, which
 * say "FILE:LINE:COLUMN: what" (or "FILE: why" when it cannot be read). Free with json_decref.
 */
SLU_NODISCARD json_t *slu_ours_read(const char *file, struct slu_mistakes *mistakes);

/* A member, or the fallback when it is absent, null or of another type. The text lives as long as
 * the document. */
struct slu_str slu_ours_str(const json_t *object, const char *name); /* else SLU_STR_NONE */
int64_t slu_ours_int(const json_t *object, const char *name, int64_t fallback);
bool slu_ours_bool(const json_t *object, const char *name, bool fallback);
/* As text of its own, NUL-terminated, of any jansson string. */
struct slu_str slu_ours_text(const json_t *string);

#endif
