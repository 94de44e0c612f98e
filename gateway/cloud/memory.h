/*
 * The built-in memory cloud: keeps flow logs in canonical form, for the sandbox and for tests of
 * portals. It behaves as a cloud does: a new flow log may be "creating" for a while, the same
 * content twice is a conflict, what is not there is not found. State lives as long as the process.
 *
 * Shared by all threads (a mutex guards it; no call does I/O). Time and ids are passed in.
 */
#ifndef SLU_CLOUD_MEMORY_H
#define SLU_CLOUD_MEMORY_H

#include "base/fault.h"
#include "codec/value.h"

struct slu_memory;

enum { SLU_MEMORY_MOST = 10000 }; /* flow logs; then the quota is used up */

SLU_NODISCARD struct slu_memory *slu_memory_new(void);
void slu_memory_free(struct slu_memory *memory);
SLU_AUTO_DEFINE(slu_memory)

struct slu_memory_call {
    struct slu_str cloud;    /* the target's name: each has flow logs of its own */
    struct slu_arena *arena; /* for what is answered */
    int64_t now_ms;
};

/* Keeps a copy under `id`; settled after `settle_ms` (0: at once). Answers it as it now is. */
SLU_NODISCARD struct slu_value *slu_memory_create(struct slu_memory *memory,
                                                  const struct slu_memory_call *call,
                                                  const struct slu_value *flow_log,
                                                  struct slu_str id, uint32_t settle_ms,
                                                  struct slu_fault *fault);
SLU_NODISCARD struct slu_value *slu_memory_get(struct slu_memory *memory,
                                               const struct slu_memory_call *call,
                                               struct slu_str id, struct slu_fault *fault);
/* All of that cloud, oldest first, as an array. */
SLU_NODISCARD struct slu_value *slu_memory_list(struct slu_memory *memory,
                                                const struct slu_memory_call *call,
                                                struct slu_fault *fault);
SLU_NODISCARD bool slu_memory_delete(struct slu_memory *memory, const struct slu_memory_call *call,
                                     struct slu_str id, struct slu_fault *fault);

#endif
