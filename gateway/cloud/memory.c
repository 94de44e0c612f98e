/*
 * The memory cloud: canonical documents, each in an arena of its own, in the order of their making.
 * Two tables of chains find them: by cloud and id, and by cloud and content (for duplicates).
 */
#include "cloud/memory.h"

#include "codec/merge.h"
#include "codec/time.h"

#include <pthread.h>
#include <sys/queue.h>

enum { CHAINS = 8192 }; /* a power of two */

struct entry {
    TAILQ_ENTRY(entry) in_cloud;
    LIST_ENTRY(entry) by_id, by_content;
    struct cloud *cloud;
    struct slu_arena arena; /* `id` and `flow_log` */
    struct slu_str id;
    struct slu_value *flow_log; /* without what shown() adds */
    bool enabled;
    const char *during; /* the status until `settled_ms` */
    bool going;         /* not there any more from then on */
    int64_t created_ms, updated_ms, settled_ms;
};

struct cloud {
    struct cloud *next;
    TAILQ_HEAD(, entry) entries;
    size_t count;
    size_t name_length;
    char name[];
};

LIST_HEAD(chain, entry);

struct slu_memory {
    pthread_mutex_t lock;
    struct cloud *clouds; /* few */
    struct chain by_id[CHAINS], by_content[CHAINS];
};

struct slu_memory *slu_memory_new(void)
{
    struct slu_memory *memory = slu_mem_new(sizeof(*memory));

    if (!memory)
        return NULL;
    slu_must(pthread_mutex_init(&memory->lock, NULL) == 0);
    return memory;
}

static void entry_free(struct entry *entry)
{
    if (!entry)
        return;
    slu_arena_done(&entry->arena);
    slu_mem_free(entry);
}

void slu_memory_free(struct slu_memory *memory)
{
    if (!memory)
        return;
    while (memory->clouds) {
        struct cloud *cloud = memory->clouds;
        struct entry *entry;

        while ((entry = TAILQ_FIRST(&cloud->entries))) {
            TAILQ_REMOVE(&cloud->entries, entry, in_cloud);
            entry_free(entry);
        }
        memory->clouds = cloud->next;
        slu_mem_free(cloud);
    }
    pthread_mutex_destroy(&memory->lock);
    slu_mem_free(memory);
}

static struct cloud *find_cloud(struct slu_memory *memory, struct slu_str name)
{
    struct cloud *cloud = memory->clouds;

    while (cloud && !slu_str_eq((struct slu_str){cloud->name, cloud->name_length}, name))
        cloud = cloud->next;
    return cloud;
}

static struct cloud *make_cloud(struct slu_memory *memory, struct slu_str name)
{
    struct cloud *cloud = find_cloud(memory, name);

    if (cloud || !(cloud = slu_mem_new(sizeof(*cloud) + name.n)))
        return cloud;
    memcpy(cloud->name, name.p, name.n);
    cloud->name_length = name.n;
    TAILQ_INIT(&cloud->entries);
    cloud->next = memory->clouds;
    memory->clouds = cloud;
    return cloud;
}

/* Finding */

/* FNV-1a (draft-eastlake-fnv, 64 bits). */
static uint64_t hash_text(uint64_t hash, struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_of_cloud(const struct cloud *cloud)
{
    return hash_text(0xcbf29ce484222325u, (struct slu_str){cloud->name, cloud->name_length});
}

/* What makes two flow logs the same content to a cloud: where, what, and whereto. */
static const struct slu_str content[] = {SLU_STR_INIT("resource_type"), SLU_STR_INIT("resource_id"),
                                         SLU_STR_INIT("traffic_type"), SLU_STR_INIT("destination")};

static bool same_content(const struct slu_value *a, const struct slu_value *b)
{
    for (size_t i = 0; i < SLU_COUNT(content); i++) {
        const struct slu_value *left = slu_value_find(a, content[i]);
        const struct slu_value *right = slu_value_find(b, content[i]);

        if (left != right && !(left && right && slu_value_equal(left, right)))
            return false;
    }
    return true;
}

/* Members of an object count in any order. */
static uint64_t hash_of_content(const struct cloud *cloud, const struct slu_value *flow_log)
{
    uint64_t hash = hash_of_cloud(cloud), sum = 0;

    for (size_t i = 0; i < SLU_COUNT(content); i++) {
        const struct slu_value *value = slu_value_find(flow_log, content[i]);

        if (!slu_value_is(value, SLU_OBJECT)) {
            hash = hash_text(hash, value ? value->text : SLU_STR_NONE);
            continue;
        }
        slu_value_each (member, value)
            sum += hash_text(hash_text(0, member->name), member->text);
    }
    return hash ^ sum;
}

static struct chain *chain_of_id(struct slu_memory *memory, const struct cloud *cloud,
                                 struct slu_str id)
{
    return &memory->by_id[hash_text(hash_of_cloud(cloud), id) % CHAINS];
}

static struct chain *chain_of_content(struct slu_memory *memory, const struct cloud *cloud,
                                      const struct slu_value *flow_log)
{
    return &memory->by_content[hash_of_content(cloud, flow_log) % CHAINS];
}

static void link_entry(struct slu_memory *memory, struct entry *entry)
{
    TAILQ_INSERT_TAIL(&entry->cloud->entries, entry, in_cloud);
    LIST_INSERT_HEAD(chain_of_id(memory, entry->cloud, entry->id), entry, by_id);
    LIST_INSERT_HEAD(chain_of_content(memory, entry->cloud, entry->flow_log), entry, by_content);
    entry->cloud->count++;
}

static void drop_entry(struct entry *entry)
{
    TAILQ_REMOVE(&entry->cloud->entries, entry, in_cloud);
    LIST_REMOVE(entry, by_id);
    LIST_REMOVE(entry, by_content);
    entry->cloud->count--;
    entry_free(entry);
}

static bool is_settled(const struct entry *entry, const struct slu_memory_call *call)
{
    return call->now_ms >= entry->settled_ms;
}

/* What has gone by now is dropped when somebody looks. */
static bool has_gone(const struct entry *entry, const struct slu_memory_call *call)
{
    return entry->going && is_settled(entry, call);
}

static struct entry *find_entry(struct slu_memory *memory, const struct slu_memory_call *call,
                                struct slu_str id, struct slu_fault *fault)
{
    const struct cloud *cloud = find_cloud(memory, call->cloud);
    struct entry *entry = NULL;

    if (cloud)
        LIST_FOREACH(entry, chain_of_id(memory, cloud, id), by_id)
    if (entry->cloud == cloud && slu_str_eq(entry->id, id))
        break;
    if (entry && has_gone(entry, call)) {
        drop_entry(entry);
        entry = NULL;
    }
    if (!entry)
        slu_fault_set(fault, SLU_FAULT_NOT_FOUND, "", "there is no flow log %.*s", SLU_FMT(id));
    return entry;
}

/* Another one with this content, than `but`. */
static const struct entry *find_double(struct slu_memory *memory,
                                       const struct slu_memory_call *call,
                                       const struct cloud *cloud, const struct slu_value *flow_log,
                                       const struct entry *but)
{
    const struct entry *entry;

    LIST_FOREACH(entry, chain_of_content(memory, cloud, flow_log), by_content)
    if (entry != but && entry->cloud == cloud && !has_gone(entry, call) &&
        same_content(entry->flow_log, flow_log))
        break;
    return entry;
}

static bool refuse_double(const struct entry *entry, struct slu_fault *fault)
{
    return slu_fault_set(fault, SLU_FAULT_CONFLICT, "",
                         "a flow log with the same resource, filter and destination exists: %.*s",
                         SLU_FMT(entry->id));
}

static void drop_gone(struct cloud *cloud, const struct slu_memory_call *call)
{
    struct entry *entry = TAILQ_FIRST(&cloud->entries);

    while (entry) {
        struct entry *next = TAILQ_NEXT(entry, in_cloud);

        if (has_gone(entry, call))
            drop_entry(entry);
        entry = next;
    }
}

static bool within_quota(struct cloud *cloud, const struct slu_memory_call *call,
                         struct slu_fault *fault)
{
    uint32_t most = call->nature.most && call->nature.most < SLU_MEMORY_MOST ? call->nature.most
                                                                             : SLU_MEMORY_MOST;

    if (cloud->count >= most)
        drop_gone(cloud, call);
    return cloud->count < most ||
           slu_fault_set(fault, SLU_FAULT_QUOTA, "",
                         "the quota of %u flow logs is used up; delete some", most);
}

/* Showing */

static void put_time(struct slu_value *flow_log, struct slu_arena *arena, struct slu_str name,
                     int64_t ms)
{
    char text[SLU_TIME_EXTENDED];
    struct slu_str copy;

    slu_time_extended(ms / 1000, text);
    copy = slu_arena_str(arena, (struct slu_str){text, sizeof(text)});
    slu_value_set(flow_log, name, slu_value_string(arena, copy));
}

static const char *status_of(const struct entry *entry, const struct slu_memory_call *call)
{
    if (!is_settled(entry, call))
        return entry->during;
    return entry->enabled ? "active" : "disabled";
}

/* The entry as it is at this moment, in the caller's arena. */
static struct slu_value *shown(const struct entry *entry, const struct slu_memory_call *call,
                               struct slu_fault *fault)
{
    struct slu_arena *arena = call->arena;
    struct slu_value *copy = slu_value_copy(arena, entry->flow_log);
    struct slu_str id = slu_arena_str(arena, entry->id);

    if (copy) {
        slu_value_set(copy, SLU_STR("id"), slu_value_string(arena, id));
        slu_value_set(copy, SLU_STR("enabled"), slu_value_bool(arena, entry->enabled));
        slu_value_set(copy, SLU_STR("status"),
                      slu_value_string(arena, slu_str_of(status_of(entry, call))));
        put_time(copy, arena, SLU_STR("created_at"), entry->created_ms);
        put_time(copy, arena, SLU_STR("updated_at"), entry->updated_ms);
    }
    if (!copy || arena->failed) {
        slu_fault_memory(fault);
        return NULL;
    }
    return copy;
}

/* Keeping */

/* Enough for a copy of the value: each piece that an arena gives is rounded up by less than 16. */
static size_t bytes_of(const struct slu_value *value)
{
    size_t bytes = sizeof(*value) + value->name.n + value->text.n + (size_t)3 * 16;

    slu_value_each (child, value)
        bytes += bytes_of(child);
    return bytes;
}

/* The document that an entry keeps, with its id, in an arena of just the size. */
static bool keep(struct slu_arena *ret_arena, const struct slu_value *flow_log, struct slu_str id,
                 struct slu_str *ret_id, struct slu_value **ret_copy)
{
    struct slu_value *enabled, *copy;

    slu_arena_init(ret_arena, bytes_of(flow_log) + id.n + 16);
    *ret_id = slu_arena_str(ret_arena, id);
    *ret_copy = copy = slu_value_copy(ret_arena, flow_log);
    if (!copy || ret_arena->failed) {
        slu_arena_done(ret_arena);
        return false;
    }
    enabled = slu_value_member(copy, "enabled");
    if (enabled)
        slu_value_remove(copy, enabled);
    return true;
}

/* False only when the flow log says so. */
static bool wish_of(const struct slu_value *flow_log, bool otherwise)
{
    const struct slu_value *enabled = slu_value_member(flow_log, "enabled");

    return slu_value_is(enabled, SLU_BOOL) ? enabled->truth : otherwise;
}

static struct entry *entry_new(struct cloud *cloud, const struct slu_memory_call *call,
                               const struct slu_value *flow_log, struct slu_str id)
{
    struct entry *entry = slu_mem_new(sizeof(*entry));

    if (!entry)
        return NULL;
    if (!keep(&entry->arena, flow_log, id, &entry->id, &entry->flow_log)) {
        entry_free(entry);
        return NULL;
    }
    entry->cloud = cloud;
    entry->enabled = wish_of(flow_log, true);
    entry->during = "creating";
    entry->created_ms = entry->updated_ms = call->now_ms;
    entry->settled_ms = call->now_ms + call->nature.settle_ms;
    return entry;
}

/* The calls; the lock is held */

static struct slu_value *create(struct slu_memory *memory, const struct slu_memory_call *call,
                                const struct slu_value *flow_log, struct slu_str id,
                                struct slu_fault *fault)
{
    struct cloud *cloud = make_cloud(memory, call->cloud);
    const struct entry *twin = cloud ? find_double(memory, call, cloud, flow_log, NULL) : NULL;
    struct slu_value *answer;
    struct entry *entry;

    if (twin)
        refuse_double(twin, fault);
    if (!cloud || twin || !within_quota(cloud, call, fault)) {
        slu_fault_memory(fault); /* unless there is another reason */
        return NULL;
    }
    entry = entry_new(cloud, call, flow_log, id);
    answer = entry ? shown(entry, call, fault) : NULL;
    if (answer) {
        link_entry(memory, entry);
        return answer;
    }
    entry_free(entry);
    slu_fault_memory(fault);
    return NULL;
}

/* An entry that may be changed now. */
static struct entry *find_idle(struct slu_memory *memory, const struct slu_memory_call *call,
                               struct slu_str id, struct slu_fault *fault)
{
    struct entry *entry = find_entry(memory, call, id, fault);

    if (!entry || is_settled(entry, call))
        return entry;
    slu_fault_set(fault, SLU_FAULT_BUSY, "", "the flow log %.*s is %s; wait until that is over",
                  SLU_FMT(id), entry->during);
    return NULL;
}

static void begin_change(struct entry *entry, const struct slu_memory_call *call,
                         const char *during)
{
    entry->during = during;
    entry->updated_ms = call->now_ms;
    entry->settled_ms = call->now_ms + call->nature.settle_ms;
}

/* Puts the merged document in the old one's place, unless there is no memory to show it. */
static struct slu_value *replace(struct slu_memory *memory, struct entry *entry,
                                 const struct slu_memory_call *call, const struct slu_value *merged,
                                 struct slu_fault *fault)
{
    struct entry changed = *entry;
    struct slu_value *answer = NULL;

    changed.enabled = wish_of(merged, entry->enabled);
    begin_change(&changed, call, "updating");
    if (keep(&changed.arena, merged, entry->id, &changed.id, &changed.flow_log)) {
        answer = shown(&changed, call, fault);
        if (!answer)
            slu_arena_done(&changed.arena);
    }
    if (!answer) {
        slu_fault_memory(fault);
        return NULL;
    }
    LIST_REMOVE(entry, by_id); /* the id moves, too */
    LIST_REMOVE(entry, by_content);
    slu_arena_done(&entry->arena);
    entry->arena = changed.arena;
    entry->id = changed.id;
    entry->flow_log = changed.flow_log;
    entry->enabled = changed.enabled;
    begin_change(entry, call, "updating");
    LIST_INSERT_HEAD(chain_of_id(memory, entry->cloud, entry->id), entry, by_id);
    LIST_INSERT_HEAD(chain_of_content(memory, entry->cloud, entry->flow_log), entry, by_content);
    return answer;
}

static struct slu_value *update(struct slu_memory *memory, const struct slu_memory_call *call,
                                struct slu_str id, const struct slu_value *patch,
                                struct slu_fault *fault)
{
    struct entry *entry = find_idle(memory, call, id, fault);
    const struct entry *twin;
    struct slu_value *merged;

    if (!entry)
        return NULL;
    merged = slu_merge(call->arena, entry->flow_log, patch);
    if (!merged) {
        slu_fault_memory(fault);
        return NULL;
    }
    if (wish_of(merged, entry->enabled) == entry->enabled) {
        struct slu_value *same = slu_value_member(merged, "enabled");

        if (same)
            slu_value_remove(merged, same);
        if (slu_value_equal(merged, entry->flow_log))
            return shown(entry, call, fault);
    }
    twin = find_double(memory, call, entry->cloud, merged, entry);
    if (twin) {
        refuse_double(twin, fault);
        return NULL;
    }
    return replace(memory, entry, call, merged, fault);
}

static struct slu_value *change_wish(struct slu_memory *memory, const struct slu_memory_call *call,
                                     struct slu_str id, bool enabled, struct slu_fault *fault)
{
    struct entry *entry = find_idle(memory, call, id, fault);
    struct slu_value *answer;
    struct entry before;

    if (!entry)
        return NULL;
    before = *entry;
    if (entry->enabled != enabled) {
        entry->enabled = enabled;
        begin_change(entry, call, "updating");
    }
    answer = shown(entry, call, fault);
    if (!answer)
        *entry = before;
    return answer;
}

static bool take_away(struct slu_memory *memory, const struct slu_memory_call *call,
                      struct slu_str id, struct slu_fault *fault)
{
    struct entry *entry = find_idle(memory, call, id, fault);

    if (!entry)
        return false;
    begin_change(entry, call, "deleting");
    entry->going = true;
    if (has_gone(entry, call))
        drop_entry(entry);
    return true;
}

/* The calls, from outside */

struct slu_value *slu_memory_create(struct slu_memory *memory, const struct slu_memory_call *call,
                                    const struct slu_value *flow_log, struct slu_str id,
                                    struct slu_fault *fault)
{
    struct slu_value *answer;

    pthread_mutex_lock(&memory->lock);
    answer = create(memory, call, flow_log, id, fault);
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

struct slu_value *slu_memory_get(struct slu_memory *memory, const struct slu_memory_call *call,
                                 struct slu_str id, struct slu_fault *fault)
{
    struct slu_value *answer = NULL;
    const struct entry *entry;

    pthread_mutex_lock(&memory->lock);
    entry = find_entry(memory, call, id, fault);
    if (entry)
        answer = shown(entry, call, fault);
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

struct slu_value *slu_memory_list(struct slu_memory *memory, const struct slu_memory_call *call,
                                  struct slu_fault *fault)
{
    struct slu_value *list = slu_value_new(call->arena, SLU_ARRAY);
    struct cloud *cloud;
    const struct entry *entry;

    pthread_mutex_lock(&memory->lock);
    cloud = find_cloud(memory, call->cloud);
    if (cloud) {
        drop_gone(cloud, call);
        TAILQ_FOREACH(entry, &cloud->entries, in_cloud)
        {
            slu_value_append(list, shown(entry, call, fault));
            if (call->arena->failed)
                break;
        }
    }
    pthread_mutex_unlock(&memory->lock);
    if (!list || call->arena->failed) {
        slu_fault_memory(fault);
        return NULL;
    }
    return list;
}

struct slu_value *slu_memory_update(struct slu_memory *memory, const struct slu_memory_call *call,
                                    struct slu_str id, const struct slu_value *patch,
                                    struct slu_fault *fault)
{
    struct slu_value *answer;

    pthread_mutex_lock(&memory->lock);
    answer = update(memory, call, id, patch, fault);
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

struct slu_value *slu_memory_switch(struct slu_memory *memory, const struct slu_memory_call *call,
                                    struct slu_str id, bool enabled, struct slu_fault *fault)
{
    struct slu_value *answer;

    pthread_mutex_lock(&memory->lock);
    answer = change_wish(memory, call, id, enabled, fault);
    pthread_mutex_unlock(&memory->lock);
    return answer;
}

bool slu_memory_delete(struct slu_memory *memory, const struct slu_memory_call *call,
                       struct slu_str id, struct slu_fault *fault)
{
    bool good;

    pthread_mutex_lock(&memory->lock);
    good = take_away(memory, call, id, fault);
    pthread_mutex_unlock(&memory->lock);
    return good;
}
