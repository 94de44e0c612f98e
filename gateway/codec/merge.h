/*
 * JSON Merge Patch (RFC 7396) on documents in flight: null removes, an object merges, anything else
 * replaces.
 */
#ifndef SLU_CODEC_MERGE_H
#define SLU_CODEC_MERGE_H

#include "codec/value.h"

/* A new document; neither argument is changed. A NULL or non-object target counts as empty. NULL
 * when the arena is spent. */
SLU_NODISCARD struct slu_value *slu_merge(struct slu_arena *arena, const struct slu_value *target,
                                          const struct slu_value *patch);
/* What of the patch would change the target: members that already hold are left out. A null holds
 * where the member is null or absent. Never NULL but when the arena is spent. */
SLU_NODISCARD struct slu_value *slu_merge_changes(struct slu_arena *arena,
                                                  const struct slu_value *target,
                                                  const struct slu_value *patch);

#endif
