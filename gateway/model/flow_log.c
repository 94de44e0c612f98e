/*
 * The canonical flow log as one table of members, and the checks of create requests and patches
 * made from it. The letters of a name are those every known cloud takes; a target's own limits are
 * in its mapping table.
 */
#include "model/flow_log.h"

#include "codec/json.h"
#include "codec/text.h"

#include <pthread.h>
#include <stdio.h>

enum {
    ID_MOST = 256,
    DESCRIPTION_MOST = 1024,
    INTERVAL_MOST = INT32_MAX, /* what every client's integers hold exactly */
    SIBLINGS_MOST = 32,
};

static const char *const resource_types[] = {"interface",         "subnet", "vpc",
                                             "router_attachment", "router", NULL};
static const char *const traffic_types[] = {"all", "accept", "reject", NULL};
static const char *const destination_types[] = {
    "lts", "sls", "cloudwatch", "s3", "firehose", "storage_account", "cls", NULL};
static const char *const statuses[] = {"creating", "active", "updating", "disabled", "deleting",
                                       "deleted",  "failed", "unknown",  NULL};
static const char *const delivery_statuses[] = {"ok", "failed", "unknown", NULL};

/* clang-format off */
#define TEXT(at, request, reply, least, most, words) \
    {at, SLU_MEMBER_TEXT, NULL, request, reply, true, least, most, words}
#define WORD(at, list, request, words) {at, SLU_MEMBER_WORD, list, request, true, true, 0, 0, words}
#define OTHER(at, type, request, reply, translated, least, words) \
    {at, SLU_MEMBER_##type, NULL, request, reply, translated, least, 0, words}

static const struct slu_member members[] = {
    TEXT("/id", false, true, 0, ID_MOST, "the cloud's own id of the flow log"),
    OTHER("/target", TEXT, false, true, false, 0, "the configured target that holds the flow log"),
    TEXT("/name", true, true, 2, 64, "2 to 64 characters, a letter first, then letters, digits, '.', '_', '-'"),
    TEXT("/description", true, true, 0, DESCRIPTION_MOST, "free text"),
    WORD("/resource_type", resource_types, true, "what kind of thing is watched"),
    TEXT("/resource_id", true, true, 1, ID_MOST, "the cloud's own id of what is watched"),
    {"/resource_alias", SLU_MEMBER_TEXT, NULL, true, false, false, 1, ID_MOST,
     "in place of resource_type and resource_id: a name that the target's configuration resolves"},
    TEXT("/parent_id", true, true, 1, ID_MOST, "the router or VPC beside the id, where the cloud needs one"),
    WORD("/traffic_type", traffic_types, true, "which traffic is logged; null where the target has no filter"),
    OTHER("/destination", OBJECT, true, true, true, 0, "where the records go"),
    WORD("/destination/type", destination_types, true, "the kind of log store"),
    TEXT("/destination/group", true, true, 1, ID_MOST, "the outer part of a log store (log group, project)"),
    TEXT("/destination/stream", true, true, 1, ID_MOST, "the inner part of a log store (stream, topic, logstore)"),
    TEXT("/destination/arn", true, true, 1, ID_MOST, "the store's full resource name"),
    TEXT("/destination/id", true, true, 1, ID_MOST, "the store's id"),
    TEXT("/destination/role", true, true, 1, ID_MOST, "the role that the cloud takes for delivery"),
    {"/destination/alias", SLU_MEMBER_TEXT, NULL, true, false, false, 1, ID_MOST,
     "in place of the others: a name that the target's configuration resolves"},
    {"/aggregation_interval", SLU_MEMBER_INTEGER, NULL, true, true, true, 1, INTERVAL_MOST,
     "seconds over which records are gathered"},
    OTHER("/index", BOOL, true, true, true, 0, "whether the log store indexes the records"),
    OTHER("/enabled", BOOL, true, true, true, 0, "whether the flow log is wanted to run"),
    WORD("/status", statuses, false, "what the flow log is doing"),
    OTHER("/delivery", OBJECT, false, true, true, 0, "whether the records really arrive"),
    WORD("/delivery/status", delivery_statuses, false, "whether the records really arrive"),
    TEXT("/delivery/message", false, true, 0, DESCRIPTION_MOST, "the cloud's words about it"),
    OTHER("/tags", TEXTS, true, true, true, 0, "names and values to find the flow log by"),
    OTHER("/native", OBJECT, true, true, false, 0, "members of the cloud's own form that have no canonical one"),
    OTHER("/created_at", TIME, false, true, true, 0, "when it was made; RFC 3339 in UTC"),
    OTHER("/updated_at", TIME, false, true, true, 0, "when it was last changed; RFC 3339 in UTC"),
};
/* clang-format on */

/* What looking at the pointers again and again would find, worked out once: each member's own name
 * and the pointer of what it stands in. */
static struct {
    struct slu_str pointer, name, parent;
} places[SLU_COUNT(members)];
static struct slu_str order[SLU_COUNT(members)];
static size_t order_count;
static pthread_once_t worked_out = PTHREAD_ONCE_INIT;

static void work_out(void)
{
    for (size_t i = 0; i < SLU_COUNT(members); i++) {
        const char *slash = strrchr(members[i].pointer, '/');

        places[i].pointer = slu_str_of(members[i].pointer);
        places[i].name = slu_str_of(slash + 1);
        places[i].parent =
            (struct slu_str){members[i].pointer, (size_t)(slash - members[i].pointer)};
        if (places[i].parent.n == 0)
            order[order_count++] = places[i].name;
    }
}

const struct slu_str *slu_flow_log_order(size_t *ret_count)
{
    pthread_once(&worked_out, work_out);
    *ret_count = order_count;
    return order;
}

const struct slu_member *slu_flow_log_members(size_t *ret_count)
{
    *ret_count = SLU_COUNT(members);
    return members;
}

const struct slu_member *slu_flow_log_member(struct slu_str pointer)
{
    for (size_t i = 0; i < SLU_COUNT(members); i++)
        if (slu_str_is(pointer, members[i].pointer))
            return &members[i];
    return NULL;
}

static bool wrong(struct slu_mistakes *mistakes, struct slu_str pointer, const char *words)
{
    return slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "%s", words);
}

/* Unicode's category Cc: C0, DEL and C1 (two bytes C2 80..9F in UTF-8). */
static bool has_control(struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static void check_length(struct slu_str text, struct slu_str pointer, size_t least, size_t most,
                         struct slu_mistakes *mistakes)
{
    size_t length = slu_utf8_length(text);

    if (has_control(text))
        wrong(mistakes, pointer, "must not hold control characters");
    if (length < least || (most && length > most))
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer,
                    "must have %zu to %zu characters, but has %zu", least, most, length);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void check_name(struct slu_str name, struct slu_str pointer, struct slu_mistakes *mistakes)
{
    if (name.n && !is_letter(name.p[0]))
        wrong(mistakes, pointer, "must begin with a letter (A-Z, a-z)");
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')
            continue;
        wrong(mistakes, pointer, "may only hold letters (A-Z, a-z), digits, '.', '_' and '-'");
        return;
    }
}

static void check_text(const struct slu_value *value, const struct slu_member *member,
                       struct slu_str pointer, struct slu_mistakes *mistakes)
{
    check_length(value->text, pointer, member->min, member->max, mistakes);
    if (slu_str_is(pointer, "/name"))
        check_name(value->text, pointer, mistakes);
}

/* How many words there are; *ret_known tells whether the text is one of them. */
static size_t look_up(const char *const *words, struct slu_str text, bool *ret_known)
{
    size_t count = 0;

    *ret_known = false;
    for (; words[count]; count++)
        *ret_known = *ret_known ||
                     (text.n && text.p[0] == words[count][0] && slu_str_is(text, words[count]));
    return count;
}

static void check_word(const struct slu_value *value, const struct slu_member *member,
                       struct slu_str pointer, struct slu_mistakes *mistakes)
{
    char list[256] = "";
    size_t used = 0;
    const char *near;
    bool known;
    size_t count = look_up(member->words, value->text, &known);

    if (known)
        return;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
                                 member->words[i]);
    near = slu_nearest(value->text, member->words, count);
    if (near)
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "must be one of: %s; did you mean '%s'?",
                    list, near);
    else
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "must be one of: %s", list);
}

static void check_integer(const struct slu_value *value, const struct slu_member *member,
                          struct slu_str pointer, struct slu_mistakes *mistakes)
{
    int64_t number;

    if (!slu_value_to_int(value, &number))
        wrong(mistakes, pointer, "must be an integer of at most 64 bits");
    else if (number < (int64_t)member->min)
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "must be at least %u", member->min);
    else if (member->max && number > (int64_t)member->max)
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "must be at most %u", member->max);
}

static void check_tags(const struct slu_value *tags, struct slu_str pointer, bool patch,
                       struct slu_mistakes *mistakes)
{
    if (tags->count > SLU_TAGS_MOST)
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "must have at most %d members",
                    SLU_TAGS_MOST);
    slu_value_each (tag, tags) {
        struct slu_str at = slu_pointer_member(mistakes->arena, pointer, tag->name);

        check_length(tag->name, at, 1, SLU_TAG_KEY_MOST, mistakes);
        if (tag->kind == SLU_STRING)
            check_length(tag->text, at, 0, SLU_TAG_VALUE_MOST, mistakes);
        else if (!patch || tag->kind != SLU_NULL)
            slu_mistake(mistakes, SLU_FAULT_INVALID, at, "must be a string, not %s",
                        slu_kind_name(tag->kind));
    }
}

static enum slu_kind kind_of(enum slu_member_type type)
{
    switch (type) {
    case SLU_MEMBER_TEXT:
    case SLU_MEMBER_WORD:
    case SLU_MEMBER_TIME:
        return SLU_STRING;
    case SLU_MEMBER_INTEGER:
        return SLU_NUMBER;
    case SLU_MEMBER_BOOL:
        return SLU_BOOL;
    case SLU_MEMBER_TEXTS:
    case SLU_MEMBER_OBJECT:
        return SLU_OBJECT;
    }
    return SLU_NULL;
}

static void check_object(const struct slu_value *object, struct slu_str pointer, bool patch,
                         struct slu_mistakes *mistakes);

static void check_value(const struct slu_value *value, const struct slu_member *member,
                        struct slu_str pointer, bool patch, struct slu_mistakes *mistakes)
{
    if (value->kind != kind_of(member->type)) {
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "must be of type %s, not %s",
                    slu_kind_name(kind_of(member->type)), slu_kind_name(value->kind));
        return;
    }
    switch (member->type) {
    case SLU_MEMBER_TEXT:
        check_text(value, member, pointer, mistakes);
        break;
    case SLU_MEMBER_WORD:
        check_word(value, member, pointer, mistakes);
        break;
    case SLU_MEMBER_INTEGER:
        check_integer(value, member, pointer, mistakes);
        break;
    case SLU_MEMBER_TEXTS:
        check_tags(value, pointer, patch, mistakes);
        break;
    case SLU_MEMBER_OBJECT:
        if (member->translated)
            check_object(value, pointer, patch, mistakes);
        break;
    case SLU_MEMBER_BOOL:
    case SLU_MEMBER_TIME: /* the clouds tell times; requests have none */
        break;
    }
}

static void check_unknown(struct slu_str name, struct slu_str parent, struct slu_str pointer,
                          struct slu_mistakes *mistakes)
{
    const char *known[SIBLINGS_MOST], *near;
    size_t count = 0;

    for (size_t i = 0; i < SLU_COUNT(members); i++) {
        if (slu_str_eq(places[i].parent, parent) && members[i].in_request && count < SIBLINGS_MOST)
            known[count++] = places[i].name.p;
    }
    near = slu_nearest(name, known, count);
    if (near)
        slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "is not known; did you mean '%s'?", near);
    else
        wrong(mistakes, pointer, "is not known");
}

static const struct slu_member *find_child(struct slu_str parent, struct slu_str name)
{
    for (size_t i = 0; i < SLU_COUNT(members); i++)
        if (slu_str_eq(places[i].name, name) && slu_str_eq(places[i].parent, parent))
            return &members[i];
    return NULL;
}

static void check_object(const struct slu_value *object, struct slu_str pointer, bool patch,
                         struct slu_mistakes *mistakes)
{
    pthread_once(&worked_out, work_out);
    slu_value_each (child, object) {
        const struct slu_member *member = find_child(pointer, child->name);
        struct slu_str at;

        if (member) {
            at = places[member - members].pointer;
            if (!member->in_request)
                wrong(mistakes, at, "is told by the cloud and cannot be sent");
            else if (child->kind != SLU_NULL)
                check_value(child, member, at, patch, mistakes);
        } else {
            at = slu_pointer_member(mistakes->arena, pointer, child->name);
            check_unknown(child->name, pointer, at, mistakes);
        }
    }
}

/* NULL also when the member is null: in a create request that says "nothing". */
static const struct slu_value *given(const struct slu_value *object, const char *name)
{
    const struct slu_value *value = slu_value_find(object, slu_str_of(name));

    return slu_value_is(value, SLU_NULL) ? NULL : value;
}

static void check_resource(const struct slu_value *document, struct slu_mistakes *mistakes)
{
    bool alias = given(document, "resource_alias");

    for (int i = 0; i < 2; i++) {
        const char *name = i ? "resource_id" : "resource_type";
        bool there = given(document, name);
        struct slu_str pointer = slu_str_of(i ? "/resource_id" : "/resource_type");

        if (alias && there)
            wrong(mistakes, pointer,
                  "resource_alias stands in place of resource_type and resource_id");
        else if (!alias && !there)
            wrong(mistakes, pointer, "is required (or resource_alias in place of both)");
    }
}

static void check_destination(const struct slu_value *document, struct slu_mistakes *mistakes)
{
    const struct slu_value *destination = given(document, "destination");
    const struct slu_value *alias = given(destination, "alias");

    if (!destination) {
        wrong(mistakes, SLU_STR("/destination"), "is required");
        return;
    }
    if (destination->kind != SLU_OBJECT)
        return;
    if (!alias && !given(destination, "type"))
        wrong(mistakes, SLU_STR("/destination/type"), "is required (or an alias)");
    slu_value_each (child, destination) {
        if (alias && child != alias && child->kind != SLU_NULL)
            wrong(mistakes,
                  slu_pointer_member(mistakes->arena, SLU_STR("/destination"), child->name),
                  "an alias stands in place of the destination's other members");
    }
}

static bool check_top(const struct slu_value *document, struct slu_mistakes *mistakes)
{
    if (slu_value_is(document, SLU_OBJECT))
        return true;
    return slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR(""), "a flow log is an object, not %s",
                       document ? slu_kind_name(document->kind) : "nothing");
}

bool slu_flow_log_check(const struct slu_value *document, struct slu_mistakes *mistakes)
{
    size_t before = mistakes->count;

    if (!check_top(document, mistakes))
        return false;
    check_resource(document, mistakes);
    check_destination(document, mistakes);
    check_object(document, SLU_STR(""), false, mistakes);
    return mistakes->count == before && !mistakes->failed;
}

bool slu_flow_log_check_patch(const struct slu_value *patch, struct slu_mistakes *mistakes)
{
    size_t before = mistakes->count;

    if (!check_top(patch, mistakes))
        return false;
    check_object(patch, SLU_STR(""), true, mistakes);
    return mistakes->count == before && !mistakes->failed;
}
