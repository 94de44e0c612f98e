/* A budget of memory: one counter. */
#include "base/budget.h"

#include <stdatomic.h>

struct slu_budget {
    uint64_t most;
    _Atomic uint64_t used, refused;
};

struct slu_budget *slu_budget_new(uint64_t most_bytes)
{
    struct slu_budget *budget = slu_mem_new(sizeof(*budget));

    if (budget)
        budget->most = most_bytes;
    return budget;
}

void slu_budget_free(struct slu_budget *budget)
{
    if (!budget)
        return;
    slu_must(!atomic_load_explicit(&budget->used, memory_order_relaxed));
    slu_mem_free(budget);
}

bool slu_budget_take(struct slu_budget *budget, uint64_t bytes)
{
    return slu_budget_take_below(budget, bytes, budget->most);
}

bool slu_budget_take_below(struct slu_budget *budget, uint64_t bytes, uint64_t most)
{
    uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);

    while (bytes <= most && used <= most - bytes)
        if (atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    atomic_fetch_add_explicit(&budget->refused, 1, memory_order_relaxed);
    return false;
}

void slu_budget_insist(struct slu_budget *budget, uint64_t bytes)
{
    atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
}

void slu_budget_give(struct slu_budget *budget, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);

    slu_must(before >= bytes);
}

struct slu_budget_view slu_budget_look(const struct slu_budget *budget)
{
    return (struct slu_budget_view){
        .most_bytes = budget->most,
        .used_bytes = atomic_load_explicit(&budget->used, memory_order_relaxed),
        .refused = atomic_load_explicit(&budget->refused, memory_order_relaxed),
    };
}
