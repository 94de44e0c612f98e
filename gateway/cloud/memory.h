/*
 * The built-in memory cloud: keeps flow logs in canonical form, for the sandbox and for tests of
 * portals. It behaves as a cloud does: a change may go on for a while behind its reply (creating,
 * updating, deleting), another one meanwhile is refused (BUSY), the same content twice is a
 * conflict (CONFLICT), more than the quota is refused (QUOTA), and what is not there is not found
 * (NOT_FOUND). State lives as long as the process.
 *
 * Shared by all threads (a mutex guards it; no call does I/O). Time and ids are passed in.
 */
#ifndef SLU_CLOUD_MEMORY_H
#define SLU_CLOUD_MEMORY_H

#include "base/fault.h"
#include "codec/value.h"

struct slu_memory;

enum { SLU_MEMORY_MOST = 10000 }; /* flow logs of one cloud, whatever its quota */

SLU_NODISCARD struct slu_memory *slu_memory_new(void);
void slu_memory_free(struct slu_memory *memory);
SLU_AUTO_DEFINE(slu_memory)

/* How the cloud that is played does the call. */
struct slu_memory_nature {
    uint32_t settle_ms; /* how long the change goes on behind its reply; 0: not at all */
    uint32_t most;      /* the quota; 0: SLU_MEMORY_MOST */
};

struct slu_memory_call {
    struct slu_str cloud;    /* the target's name: each has flow logs of its own */
    struct slu_arena *arena; /* for what is answered */
    int64_t now_ms;
    struct slu_memory_nature nature;
};

/* All answer the flow log as it is then; NULL with a fault. Nothing has changed then. */

/* Keeps a copy under `id`. It is enabled unless the flow log says otherwise. */
SLU_NODISCARD struct slu_value *slu_memory_create(struct slu_memory *memory,
                                                  const struct slu_memory_call *call,
                                                  const struct slu_value *flow_log,
                                                  struct slu_str id, struct slu_fault *fault);
SLU_NODISCARD struct slu_value *slu_memory_get(struct slu_memory *memory,
                                               const struct slu_memory_call *call,
                                               struct slu_str id, struct slu_fault *fault);
/* All of that cloud, oldest first, as an array. */
SLU_NODISCARD struct slu_value *slu_memory_list(struct slu_memory *memory,
                                                const struct slu_memory_call *call,
                                                struct slu_fault *fault);
/* A merge patch (RFC 7396); `enabled` in it switches. One that changes nothing is over at once. */
SLU_NODISCARD struct slu_value *slu_memory_update(struct slu_memory *memory,
                                                  const struct slu_memory_call *call,
                                                  struct slu_str id, const struct slu_value *patch,
                                                  struct slu_fault *fault);
SLU_NODISCARD struct slu_value *slu_memory_switch(struct slu_memory *memory,
                                                  const struct slu_memory_call *call,
                                                  struct slu_str id, bool enabled,
                                                  struct slu_fault *fault);
/* It is "deleting" for as long as a change goes on; then it is not there any more. */
SLU_NODISCARD bool slu_memory_delete(struct slu_memory *memory, const struct slu_memory_call *call,
                                     struct slu_str id, struct slu_fault *fault);

#endif
