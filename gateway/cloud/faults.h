/*
 * Faults on request: whoever builds on the memory cloud orders what shall go wrong (through the
 * admin listener), and the calls of that target take what was ordered, each order as often as it
 * says. Only the memory cloud asks here; no real cloud's call is ever touched.
 *
 * Shared by all threads: a mutex guards it; no call does I/O.
 */
#ifndef SLU_CLOUD_FAULTS_H
#define SLU_CLOUD_FAULTS_H

#include "base/fault.h"
#include "codec/value.h"
#include "model/operation.h"

struct slu_faults;

/* What is done to a call. The first three let the cloud do what it was asked to do. */
enum slu_trouble {
    SLU_TROUBLE_NONE,
    SLU_TROUBLE_SLOW,       /* answered after the delay */
    SLU_TROUBLE_LOST_REPLY, /* done, but the connection ends without an answer */
    SLU_TROUBLE_CUT_REPLY,  /* done, but the connection is reset in the middle of the answer */
    SLU_TROUBLE_RESET,      /* not done; the connection is reset */
    SLU_TROUBLE_THROTTLED,  /* not done; too many requests */
    SLU_TROUBLE_ERROR,      /* not done; whatever `code` is */
    SLU_TROUBLE_COUNT
};

enum {
    SLU_FAULTS_MOST = 1000,            /* orders at a time */
    SLU_FAULTS_DELAY_MOST_MS = 300000, /* longer than any client waits */
    SLU_FAULTS_COUNT_MOST = 1000000
};

struct slu_faults_order {
    struct slu_str target;
    enum slu_operation operation; /* SLU_OP_COUNT: any */
    enum slu_trouble trouble;
    enum slu_fault_kind code; /* of an ERROR and of THROTTLED, else NONE */
    uint32_t delay_ms;        /* before the end of the call, whichever it is */
    uint32_t retry_after_s;   /* told with THROTTLED; 0: not told */
    uint32_t count;           /* calls that it is done to */
    uint32_t after;           /* calls that pass before the first of them */
};

SLU_NODISCARD struct slu_faults *slu_faults_new(void);
void slu_faults_free(struct slu_faults *faults);
SLU_AUTO_DEFINE(slu_faults)

/*
 * Reads an order:
 *   {"target": "memory", "fault": "slow" | "lost_reply" | "cut_reply" | "reset" | "throttled" |
 *    "error", "operation": "create", "code": "not_found", "delay_ms": 500, "retry_after_s": 1,
 *    "count": 1, "after": 0}
 * Only `target` and `fault` must be there, with `slow` the delay and with `error` the code. False
 * with mistakes (INVALID, pointers into the document), all at once. The texts are those of the
 * document. Whether there is such a target is the caller's to know.
 */
SLU_NODISCARD bool slu_faults_read(const struct slu_value *document,
                                   struct slu_faults_order *ret_order,
                                   struct slu_mistakes *mistakes);
/* An order as a document of the same form, `count` and `after` being what is still to come. */
SLU_NODISCARD struct slu_value *slu_faults_order_value(struct slu_arena *arena,
                                                       const struct slu_faults_order *order);

/* Keeps a copy. Faults: QUOTA, MEMORY. */
SLU_NODISCARD bool slu_faults_add(struct slu_faults *faults, const struct slu_faults_order *order,
                                  struct slu_fault *fault);
/* What shall go wrong with this call: the first order that is for it, once less afterwards. Every
 * other order that is for it and still lets calls pass counts this one. False: nothing. The target
 * in `ret_order` is the caller's. */
SLU_NODISCARD bool slu_faults_take(struct slu_faults *faults, struct slu_str target,
                                   enum slu_operation operation,
                                   struct slu_faults_order *ret_order);
/* All that is still to come, in the order in which it was asked for, as an array. */
SLU_NODISCARD struct slu_value *slu_faults_list(struct slu_faults *faults, struct slu_arena *arena,
                                                struct slu_fault *fault);
/* Nothing is to come any more; how many orders there were. */
size_t slu_faults_clear(struct slu_faults *faults);

#endif
