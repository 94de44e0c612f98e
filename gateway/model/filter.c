/*
 * Exact filters by canonical member: which members there are to filter by, their values out of a
 * query string, and the comparison with a flow log. What cannot be compared exactly (points in
 * time, whole objects) or is not the cloud's own (target, native) is no filter.
 */
#include "model/filter.h"

#include "codec/json.h"
#include "codec/text.h"
#include "model/flow_log.h"

#include <stdio.h>

enum { NAME_MOST = 64, NAMES_MOST = 64 };

#define TAGS SLU_STR("/tags/")

static bool is_filter(const struct slu_member *member)
{
    switch (member->type) {
    case SLU_MEMBER_TEXT:
    case SLU_MEMBER_WORD:
    case SLU_MEMBER_INTEGER:
    case SLU_MEMBER_BOOL:
    case SLU_MEMBER_TEXTS:
        return member->translated && member->in_reply;
    case SLU_MEMBER_TIME:
    case SLU_MEMBER_OBJECT:
        break;
    }
    return false;
}

const struct slu_member *slu_filter_member(struct slu_str pointer)
{
    bool tag = slu_str_starts(pointer, TAGS) && pointer.n > TAGS.n;
    const struct slu_member *member = slu_flow_log_member(tag ? SLU_STR("/tags") : pointer);

    if (!member || !is_filter(member) || tag != (member->type == SLU_MEMBER_TEXTS))
        return NULL;
    return member;
}

/* ---- reading ---- */

/* The names there are, as callers write them. */
static size_t filter_names(char names[NAMES_MOST][NAME_MOST])
{
    size_t members, count = 0;
    const struct slu_member *member = slu_flow_log_members(&members);

    slu_must(members <= NAMES_MOST);
    for (; members--; member++) {
        if (!is_filter(member))
            continue;
        snprintf(names[count], NAME_MOST, "%s%s", member->pointer + 1,
                 member->type == SLU_MEMBER_TEXTS ? ".KEY" : "");
        for (char *slash = names[count]; *slash; slash++)
            if (*slash == '/')
                *slash = '.';
        count++;
    }
    return count;
}

static bool unknown(struct slu_str name, struct slu_fault *fault)
{
    char names[NAMES_MOST][NAME_MOST], list[NAMES_MOST * NAME_MOST], place[NAME_MOST];
    const char *candidates[NAMES_MOST], *near;
    size_t count = filter_names(names), at = 0;

    for (size_t i = 0; i < count; i++) {
        candidates[i] = names[i];
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "", names[i]);
    }
    near = slu_nearest(name, candidates, count);
    snprintf(place, sizeof(place), "%.*s", SLU_FMT(name));
    return slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, place,
                         "there is no filter of this name%s%s%s; there are: %s",
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

/* "destination.group" is /destination/group; what follows "tags." is a key as it is. */
static struct slu_str pointer_of(struct slu_arena *arena, struct slu_str name)
{
    struct slu_str rest = name, pointer = SLU_STR("");

    if (slu_str_starts(name, SLU_STR("tags.")) && name.n > 5)
        return slu_pointer_member(arena, SLU_STR("/tags"),
                                  (struct slu_str){name.p + 5, name.n - 5});
    while (rest.p)
        pointer = slu_pointer_member(arena, pointer, slu_str_cut(&rest, '.'));
    return pointer;
}

static struct slu_value *read_word(struct slu_arena *arena, const struct slu_member *member,
                                   struct slu_str value, const char *place, struct slu_fault *fault)
{
    char list[256];
    size_t at = 0;

    for (size_t i = 0; member->words[i]; i++) {
        if (slu_str_is(value, member->words[i]))
            return slu_value_string(arena, value);
        at +=
            (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "", member->words[i]);
        slu_must(at < sizeof(list));
    }
    slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, place, "must be one of: %s", list);
    return NULL;
}

static struct slu_value *read_integer(struct slu_arena *arena, const struct slu_member *member,
                                      struct slu_str value, const char *place,
                                      struct slu_fault *fault)
{
    uint64_t number;

    if (slu_str_to_u64(value, &number) && number <= INT64_MAX && number >= member->min)
        return slu_value_int(arena, (int64_t)number);
    slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, place, "must be an integer from %u, in digits",
                  member->min);
    return NULL;
}

static struct slu_value *read_bool(struct slu_arena *arena, struct slu_str value, const char *place,
                                   struct slu_fault *fault)
{
    if (slu_str_is(value, "true") || slu_str_is(value, "false"))
        return slu_value_bool(arena, slu_str_is(value, "true"));
    slu_fault_set(fault, SLU_FAULT_BAD_PARAMETER, place, "must be true or false");
    return NULL;
}

static struct slu_value *read_value(struct slu_arena *arena, const struct slu_member *member,
                                    struct slu_str value, const char *place,
                                    struct slu_fault *fault)
{
    switch (member->type) {
    case SLU_MEMBER_TEXT:
    case SLU_MEMBER_TEXTS:
        return slu_value_string(arena, value);
    case SLU_MEMBER_WORD:
        return read_word(arena, member, value, place, fault);
    case SLU_MEMBER_INTEGER:
        return read_integer(arena, member, value, place, fault);
    case SLU_MEMBER_BOOL:
        return read_bool(arena, value, place, fault);
    case SLU_MEMBER_TIME:
    case SLU_MEMBER_OBJECT:
        break;
    }
    return NULL;
}

bool slu_filter_read(struct slu_arena *arena, struct slu_str name, struct slu_str value,
                     struct slu_filter *ret_filter, struct slu_fault *fault)
{
    struct slu_str pointer = pointer_of(arena, name);
    const struct slu_member *member = pointer.p ? slu_filter_member(pointer) : NULL;
    const struct slu_value **any = slu_arena_get(arena, sizeof(const struct slu_value *));
    char place[2 * NAME_MOST];

    if (!pointer.p || !any)
        return slu_fault_memory(fault);
    if (!member)
        return unknown(name, fault);
    snprintf(place, sizeof(place), "%.*s", SLU_FMT(name));
    any[0] = read_value(arena, member, value, place, fault);
    if (!any[0])
        return arena->failed ? slu_fault_memory(fault) : false;
    *ret_filter = (struct slu_filter){.pointer = pointer, .any = any, .count = 1};
    return true;
}

/* ---- comparing ---- */

/* Is this the name that a step of a pointer says (RFC 6901: "~1" is "/", "~0" is "~")? */
static bool step_names(struct slu_str step, struct slu_str name)
{
    size_t at = 0;

    for (size_t i = 0; i < step.n; i++, at++) {
        char c = step.p[i];

        if (c == '~' && i + 1 < step.n)
            c = step.p[++i] == '1' ? '/' : '~';
        if (at >= name.n || name.p[at] != c)
            return false;
    }
    return at == name.n;
}

/* Without an arena, unlike slu_path_read(): a filter is looked at once for every flow log. */
static const struct slu_value *member_at(const struct slu_value *value, struct slu_str pointer)
{
    struct slu_str rest = pointer;

    (void)slu_str_cut(&rest, '/');
    while (value && rest.p) {
        struct slu_str step = slu_str_cut(&rest, '/');
        const struct slu_value *found = NULL;

        if (value->kind != SLU_OBJECT)
            return NULL;
        slu_value_each (child, value)
            if (step_names(step, child->name)) {
                found = child;
                break;
            }
        value = found;
    }
    return value;
}

static bool passes(const struct slu_filter *filter, const struct slu_value *flow_log)
{
    const struct slu_value *value = member_at(flow_log, filter->pointer);

    if (!value || value->kind == SLU_NULL)
        return false;
    for (size_t i = 0; i < filter->count; i++)
        if (slu_value_equal(value, filter->any[i]))
            return true;
    return false;
}

bool slu_filters_pass(const struct slu_filter *filters, size_t count,
                      const struct slu_value *flow_log)
{
    for (size_t i = 0; i < count; i++)
        if (!passes(&filters[i], flow_log))
            return false;
    return true;
}
