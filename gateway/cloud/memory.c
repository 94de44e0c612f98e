/* The memory cloud: a list of canonical documents, each in an arena of its own. */
#include "cloud/memory.h"

#include "codec/time.h"

#include <pthread.h>

struct entry {
    struct entry *next;
    struct slu_arena arena;
    struct slu_str cloud, id;
    struct slu_value *flow_log; /* without status and times */
    int64_t created_ms, settled_ms;
};

struct slu_memory {
    pthread_mutex_t lock;
    struct entry *first, **end;
    size_t count;
};

enum { ENTRY_BYTES = 1 << 20 };

struct slu_memory *slu_memory_new(void)
{
    struct slu_memory *memory = slu_mem_new(sizeof(*memory));

    if (!memory)
        return NULL;
    slu_must(pthread_mutex_init(&memory->lock, NULL) == 0);
    memory->end = &memory->first;
    return memory;
}

static void entry_free(struct entry *entry)
{
    slu_arena_done(&entry->arena);
    slu_mem_free(entry);
}

void slu_memory_free(struct slu_memory *memory)
{
    if (!memory)
        return;
    while (memory->first) {
        struct entry *next = memory->first->next;

        entry_free(memory->first);
        memory->first = next;
    }
    pthread_mutex_destroy(&memory->lock);
    slu_mem_free(memory);
}

static void put_time(struct slu_value *flow_log, struct slu_arena *arena, struct slu_str name,
                     int64_t ms)
{
    char text[SLU_TIME_EXTENDED];
    struct slu_str copy;

    slu_time_extended(ms / 1000, text);
    copy = slu_arena_str(arena, (struct slu_str){text, sizeof(text)});
    slu_value_set(flow_log, name, slu_value_string(arena, copy));
}

/* The entry as it is at this moment, in the caller's arena. */
static struct slu_value *shown(const struct entry *entry, const struct slu_memory_call *call,
                               struct slu_fault *fault)
{
    struct slu_arena *arena = call->arena;
    struct slu_value *copy = slu_value_copy(arena, entry->flow_log);
    bool settled = call->now_ms >= entry->settled_ms;
    struct slu_str id = slu_arena_str(arena, entry->id);

    if (copy) {
        slu_value_set(copy, SLU_STR("id"), slu_value_string(arena, id));
        slu_value_set(copy, SLU_STR("enabled"), slu_value_bool(arena, true));
        slu_value_set(copy, SLU_STR("status"),
                      slu_value_string(arena, settled ? SLU_STR("active") : SLU_STR("creating")));
        put_time(copy, arena, SLU_STR("created_at"), entry->created_ms);
        put_time(copy, arena, SLU_STR("updated_at"), entry->created_ms);
    }
    if (!copy || arena->failed) {
        slu_fault_memory(fault);
        return NULL;
    }
    return copy;
}

static bool same_member(const struct slu_value *a, const struct slu_value *b, struct slu_str name)
{
    const struct slu_value *left = slu_value_find(a, name), *right = slu_value_find(b, name);

    return (!left && !right) || (left && right && slu_value_equal(left, right));
}

/* What makes two flow logs the same content to a cloud: where, what, and whereto. */
static bool same_content(const struct slu_value *a, const struct slu_value *b)
{
    return same_member(a, b, SLU_STR("resource_type")) &&
           same_member(a, b, SLU_STR("resource_id")) &&
           same_member(a, b, SLU_STR("traffic_type")) && same_member(a, b, SLU_STR("destination"));
}

static bool admit(const struct slu_memory *memory, const struct slu_memory_call *call,
                  const struct slu_value *flow_log, struct slu_fault *fault)
{
    if (memory->count >= SLU_MEMORY_MOST)
        return slu_fault_set(fault, SLU_FAULT_QUOTA, "",
                             "the memory cloud holds %d flow logs; delete some", SLU_MEMORY_MOST);
    for (const struct entry *at = memory->first; at; at = at->next)
        if (slu_str_eq(at->cloud, call->cloud) && same_content(at->flow_log, flow_log))
            return slu_fault_set(
                fault, SLU_FAULT_CONFLICT, "",
                "a flow log with the same resource, filter and destination exists: %.*s",
                SLU_FMT(at->id));
    return true;
}

static struct entry *entry_new(const struct slu_memory_call *call, const struct slu_value *flow_log,
                               struct slu_str id, uint32_t settle_ms)
{
    struct entry *entry = slu_mem_new(sizeof(*entry));

    if (!entry)
        return NULL;
    slu_arena_init(&entry->arena, ENTRY_BYTES);
    entry->cloud = slu_arena_str(&entry->arena, call->cloud);
    entry->id = slu_arena_str(&entry->arena, id);
    entry->flow_log = slu_value_copy(&entry->arena, flow_log);
    entry->created_ms = call->now_ms;
    entry->settled_ms = call->now_ms + settle_ms;
    if (!entry->flow_log || entry->arena.failed) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

struct slu_value *slu_memory_create(struct slu_memory *memory, const struct slu_memory_call *call,
                                    const struct slu_value *flow_log, struct slu_str id,
                                    uint32_t settle_ms, struct slu_fault *fault)
{
    struct slu_value *answer = NULL;
    struct entry *entry;

    pthread_mutex_lock(&memory->lock);
    if (admit(memory, call, flow_log, fault)) {
        entry = entry_new(call, flow_log, id, settle_ms);
        answer = entry ? shown(entry, call, fault) : NULL;
        if (answer) {
            *memory->end = entry;
            memory->end = &entry->next;
            memory->count++;
        } else {
            slu_fault_memory(fault);
            if (entry)
                entry_free(entry);
        }
    }
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

/* The link that points to the entry, or to NULL; the lock is held. */
static struct entry **link_of(struct slu_memory *memory, const struct slu_memory_call *call,
                              struct slu_str id)
{
    struct entry **link = &memory->first;

    while (*link && !(slu_str_eq((*link)->cloud, call->cloud) && slu_str_eq((*link)->id, id)))
        link = &(*link)->next;
    return link;
}

static void not_found(struct slu_str id, struct slu_fault *fault)
{
    slu_fault_set(fault, SLU_FAULT_NOT_FOUND, "", "there is no flow log %.*s", SLU_FMT(id));
}

struct slu_value *slu_memory_get(struct slu_memory *memory, const struct slu_memory_call *call,
                                 struct slu_str id, struct slu_fault *fault)
{
    struct slu_value *answer = NULL;
    struct entry *entry;

    pthread_mutex_lock(&memory->lock);
    entry = *link_of(memory, call, id);
    if (entry)
        answer = shown(entry, call, fault);
    else
        not_found(id, fault);
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

struct slu_value *slu_memory_list(struct slu_memory *memory, const struct slu_memory_call *call,
                                  struct slu_fault *fault)
{
    struct slu_value *list = slu_value_new(call->arena, SLU_ARRAY);
    bool complete = list != NULL;

    pthread_mutex_lock(&memory->lock);
    for (const struct entry *at = memory->first; at && complete; at = at->next) {
        struct slu_value *one;

        if (!slu_str_eq(at->cloud, call->cloud))
            continue;
        one = shown(at, call, fault);
        complete = one != NULL;
        slu_value_append(list, one);
    }
    pthread_mutex_unlock(&memory->lock);
    if (!complete) {
        slu_fault_memory(fault);
        return NULL;
    }
    return list;
}

bool slu_memory_delete(struct slu_memory *memory, const struct slu_memory_call *call,
                       struct slu_str id, struct slu_fault *fault)
{
    struct entry **link, *entry;

    pthread_mutex_lock(&memory->lock);
    link = link_of(memory, call, id);
    entry = *link;
    if (entry) {
        *link = entry->next;
        if (memory->end == &entry->next)
            memory->end = link;
        memory->count--;
        entry_free(entry);
    } else {
        not_found(id, fault);
    }
    pthread_mutex_unlock(&memory->lock);
    return entry != NULL;
}
