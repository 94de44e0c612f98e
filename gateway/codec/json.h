/*
 * JSON documents in flight (RFC 8259), read strictly into struct slu_value and written back.
 *
 * The reader takes exactly one value with nothing but white space around it. It refuses: invalid
 * UTF-8 (also overlong forms, surrogates), unpaired \u surrogates, \u0000, control characters in
 * strings, a byte order mark, depth or nodes beyond the limits, and anything outside the grammar.
 * Duplicate members are mistakes too: each is recorded with its pointer and reading goes on, so
 * that all are told at once. Text without escapes is a slice of `text`, which must outlive the
 * tree.
 */
#ifndef SLU_CODEC_JSON_H
#define SLU_CODEC_JSON_H

#include "base/buf.h"
#include "base/fault.h"
#include "codec/value.h"

struct slu_json_limits {
    uint32_t depth; /* 0 = 32 */
    uint32_t nodes; /* 0 = 20000 */
};

/* NULL on mistakes: the first that ends the reading has the pointer reached so far, and in its
 * words line and column. Kind SLU_FAULT_BAD_JSON; SLU_FAULT_MEMORY when the arena is spent. */
SLU_NODISCARD struct slu_value *slu_json_read(struct slu_arena *arena, struct slu_str text,
                                              struct slu_json_limits limits,
                                              struct slu_mistakes *mistakes);

/* Compact, members in order; only what JSON requires is escaped. */
void slu_json_write(struct slu_buf *out, const struct slu_value *value);
/* Compact, the members of every object sorted by name as bytes, numbers as they are: two documents
 * whose text is the same so are equal. False when the arena is spent. */
SLU_NODISCARD bool slu_json_write_sorted(struct slu_arena *arena, struct slu_buf *out,
                                         const struct slu_value *value);
/* For people: indented by two blanks, one member a line, short arrays on one line. */
void slu_json_write_pretty(struct slu_buf *out, const struct slu_value *value);
/* One string with its quotes. */
void slu_json_write_string(struct slu_buf *out, struct slu_str text);

/* RFC 6901 building: pointer + "/" + escaped name. Empty with NULL pointer when the arena is spent.
 */
struct slu_str slu_pointer_member(struct slu_arena *arena, struct slu_str pointer,
                                  struct slu_str name);
struct slu_str slu_pointer_item(struct slu_arena *arena, struct slu_str pointer, size_t index);

#endif
