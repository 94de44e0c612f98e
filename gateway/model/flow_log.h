/*
 * The canonical flow log: its members in one table (from which the checks, the JSON Schema in
 * openapi.json and the proofs about mapping tables are made), and the checks of what callers send.
 *
 * Absent, null and value are three things. In a create request null says "nothing", as absent does.
 */
#ifndef SLU_MODEL_FLOW_LOG_H
#define SLU_MODEL_FLOW_LOG_H

#include "base/fault.h"
#include "codec/value.h"
#include "model/operation.h"

enum slu_member_type {
    SLU_MEMBER_TEXT,
    SLU_MEMBER_WORD, /* text out of a closed list */
    SLU_MEMBER_INTEGER,
    SLU_MEMBER_BOOL,
    SLU_MEMBER_TIME,   /* RFC 3339, UTC, Z */
    SLU_MEMBER_TEXTS,  /* object of strings */
    SLU_MEMBER_OBJECT, /* has members of its own in the table, or is free (native) */
};

/* Of tags, whatever the cloud: how many, and characters of a name and a value. */
enum { SLU_TAGS_MOST = 100, SLU_TAG_KEY_MOST = 128, SLU_TAG_VALUE_MOST = 256 };
/* What the check of a name's letters and of control characters (Unicode's category Cc) takes and
 * refuses, as patterns for schemas. */
#define SLU_NAME_PATTERN    "^[A-Za-z][A-Za-z0-9._-]*$"
#define SLU_CONTROL_PATTERN "[\\x00-\\x1f\\x7f-\\x9f]"

struct slu_member {
    const char *pointer; /* "/destination/group" */
    enum slu_member_type type;
    const char *const *words; /* NULL-terminated; of a WORD */
    bool in_request, in_reply;
    bool translated; /* false: the gateway's own (target, resource_alias, destination/alias, native)
                      */
    uint32_t min, max; /* characters of a text in a request, value of an integer; max 0 = none */
    const char *help;
};

const struct slu_member *slu_flow_log_members(size_t *ret_count);
/* The names of the outermost members, in the order in which a reply shows them. */
const struct slu_str *slu_flow_log_order(size_t *ret_count);
const struct slu_member *slu_flow_log_member(struct slu_str pointer); /* NULL when there is none */

/*
 * Checks a create request's body completely: types, words, unknown members (with the nearest known
 * name), the name's letters, either resource_alias or resource_type and resource_id, either
 * destination.alias or a typed destination, control characters. All mistakes at once, kind
 * SLU_FAULT_INVALID. What the target needs or lacks is its table's business.
 */
bool slu_flow_log_check(const struct slu_value *document, struct slu_mistakes *mistakes);
/* The same for a merge patch (RFC 7396): nothing is required, and null clears a member or a tag. */
bool slu_flow_log_check_patch(const struct slu_value *patch, struct slu_mistakes *mistakes);

/* A name that travels: what one target (or door) calls a resource or a destination. */
struct slu_alias {
    struct slu_str name;
    const struct slu_value
        *members; /* {"resource_type", "resource_id", …} or {"type", "group", …} */
};

#endif
