/* What the readers of codec/ share about trees. */
#ifndef SLU_CODEC_VALUE_INTERNAL_H
#define SLU_CODEC_VALUE_INTERNAL_H

#include "codec/value.h"

typedef void slu_duplicate_fn(void *context, struct slu_str name);

/* Calls `found` for every member whose name an earlier member has. Never quadratic, whatever the
 * names are. False when the arena is spent, which only large objects ask. */
SLU_NODISCARD bool slu_value_duplicates(struct slu_arena *arena, const struct slu_value *object,
                                        slu_duplicate_fn *found, void *context);

#endif
