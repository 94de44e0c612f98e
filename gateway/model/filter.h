/*
 * Exact filters of a list, by canonical member: what a caller asks for in a query string, a cloud's
 * client in its own parameters. A table sends those that its cloud can apply; the gateway applies
 * them all, so that a filter is never ignored.
 */
#ifndef SLU_MODEL_FILTER_H
#define SLU_MODEL_FILTER_H

#include "base/fault.h"
#include "codec/value.h"

/* The member equals one of the values. Values have the member's own kind (enabled=true is a bool).
 */
struct slu_filter {
    struct slu_str pointer; /* "/destination/group", "/tags/cost-centre" */
    const struct slu_value *const *any;
    size_t count;
};

enum { SLU_FILTERS_MOST = 16 };

struct slu_member;
/* The member that a filter with this pointer compares; NULL when there is no such filter. */
const struct slu_member *slu_filter_member(struct slu_str pointer);

/*
 * One query parameter as a filter: members joined by dots ("destination.group", "tags.KEY"). False
 * with `fault` (BAD_PARAMETER, place = the name): no such member (the words list the names there
 * are), a member that cannot be filtered by, or a value that the member can never have.
 */
SLU_NODISCARD bool slu_filter_read(struct slu_arena *arena, struct slu_str name,
                                   struct slu_str value, struct slu_filter *ret_filter,
                                   struct slu_fault *fault);
/* Does the flow log pass all of them? An absent or null member passes none. */
bool slu_filters_pass(const struct slu_filter *filters, size_t count,
                      const struct slu_value *flow_log);

#endif
