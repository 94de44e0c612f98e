/*
 * One budget for memory that many requests hold together, over all threads: what does not fit is
 * refused at once. Thread-safe, without a lock.
 */
#ifndef SLU_BASE_BUDGET_H
#define SLU_BASE_BUDGET_H

#include "base/mem.h"

#include <stdint.h>

struct slu_budget;

SLU_NODISCARD struct slu_budget *slu_budget_new(uint64_t most_bytes);
/* All must have been given back. */
void slu_budget_free(struct slu_budget *budget);
SLU_AUTO_DEFINE(slu_budget)

/* False, and nothing is taken, when it does not fit. */
SLU_NODISCARD bool slu_budget_take(struct slu_budget *budget, uint64_t bytes);
/* The same where no more than `most` bytes of the budget may be in use afterwards. */
SLU_NODISCARD bool slu_budget_take_below(struct slu_budget *budget, uint64_t bytes, uint64_t most);
/* Takes it whether it fits or not, so that others are refused first. */
void slu_budget_insist(struct slu_budget *budget, uint64_t bytes);
void slu_budget_give(struct slu_budget *budget, uint64_t bytes);

struct slu_budget_view {
    uint64_t most_bytes;
    uint64_t used_bytes; /* more than `most_bytes` where somebody insisted */
    uint64_t refused;    /* ever */
};
struct slu_budget_view slu_budget_look(const struct slu_budget *budget);

#endif
