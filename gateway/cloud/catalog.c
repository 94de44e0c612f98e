/* The catalog's counting and its look-ups. Filling it is app/config.c's business. */
#include "cloud/catalog.h"

#include "codec/digest.h"
#include "codec/json.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { CATALOG_BYTES = 64 << 20 };

struct slu_catalog *slu_catalog_new(void)
{
    struct slu_catalog *catalog = slu_mem_new(sizeof(*catalog));

    if (!catalog)
        return NULL;
    slu_arena_init(&catalog->arena, CATALOG_BYTES);
    atomic_init(&catalog->references, 1);
    return catalog;
}

struct slu_catalog *slu_catalog_ref(const struct slu_catalog *catalog)
{
    struct slu_catalog *counted = (struct slu_catalog *)catalog; /* the count alone is not sealed */
    unsigned before = atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);

    slu_must(before > 0);
    return counted;
}

static void wipe_keys(const struct slu_door *door)
{
    for (size_t i = 0; i < door->key_count; i++) {
        slu_secret_free(door->keys[i].access_key);
        slu_secret_free(door->keys[i].secret_key);
        slu_secret_free(door->keys[i].security_token);
    }
}

static void release(struct slu_catalog *catalog)
{
    for (size_t i = 0; i < catalog->target_count; i++) {
        slu_secret_free(catalog->targets[i].credentials.access_key);
        slu_secret_free(catalog->targets[i].credentials.secret_key);
        slu_secret_free(catalog->targets[i].credentials.security_token);
    }
    slu_secret_free(catalog->store.postgresql);
    for (size_t i = 0; i < catalog->door_count; i++)
        wipe_keys(&catalog->doors[i]);
    for (size_t i = 0; i < catalog->table_count; i++)
        slu_table_free(catalog->tables[i]);
    slu_arena_done(&catalog->arena);
    slu_mem_free(catalog);
}

void slu_catalog_free(struct slu_catalog *catalog)
{
    unsigned before;

    if (!catalog)
        return;
    before = atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel);
    slu_must(before > 0);
    if (before == 1)
        release(catalog);
}

static int by_name(const void *name, const void *target)
{
    return slu_str_cmp(*(const struct slu_str *)name, ((const struct slu_target *)target)->name);
}

const struct slu_target *slu_catalog_target(const struct slu_catalog *catalog, struct slu_str name)
{
    if (!catalog->target_count)
        return NULL;
    return bsearch(&name, catalog->targets, catalog->target_count, sizeof(*catalog->targets),
                   by_name);
}

const struct slu_table *slu_catalog_table(const struct slu_catalog *catalog, struct slu_str dialect)
{
    for (size_t i = 0; i < catalog->table_count; i++)
        if (slu_str_eq(slu_table_dialect(catalog->tables[i]), dialect))
            return catalog->tables[i];
    return NULL;
}

/* All digests are looked at, whichever fits, and the choice is made without a branch: the time says
 * nothing about which caller it was or how near a guess came. */
const struct slu_caller *slu_catalog_caller(const struct slu_catalog *catalog, struct slu_str key)
{
    unsigned char digest[SLU_SHA256_SIZE];
    size_t found = 0; /* position + 1 */

    if (!slu_sha256(key, digest))
        return NULL;
    for (size_t i = 0; i < catalog->caller_count; i++) {
        const struct slu_caller *caller = &catalog->callers[i];
        bool same =
            slu_equal_secretly((struct slu_str){(const char *)digest, sizeof(digest)},
                               (struct slu_str){(const char *)caller->key_sha256, sizeof(digest)});
        size_t mask = (size_t)0 - (size_t)(same & caller->has_key);

        found = (found & ~mask) | ((i + 1) & mask);
    }
    slu_wipe(digest, sizeof(digest));
    return found ? &catalog->callers[found - 1] : NULL;
}

bool slu_caller_may_use(const struct slu_caller *caller, struct slu_str target)
{
    for (size_t i = 0; i < caller->target_count; i++)
        if (slu_str_is(caller->targets[i], "*") || slu_str_eq(caller->targets[i], target))
            return true;
    return false;
}

const struct slu_alias *slu_alias_find(const struct slu_alias *aliases, size_t count,
                                       struct slu_str name)
{
    for (size_t i = 0; i < count; i++)
        if (slu_str_eq(aliases[i].name, name))
            return &aliases[i];
    return NULL;
}

static bool says_no_more(const struct slu_value *members, const struct slu_alias *alias)
{
    slu_value_each (member, members)
        if (member->kind != SLU_NULL && !slu_value_find(alias->members, member->name))
            return false;
    return true;
}

static bool alias_fits(const struct slu_alias *alias, const struct slu_value *members, bool whole)
{
    slu_value_each (member, alias->members) {
        const struct slu_value *said = slu_value_find(members, member->name);

        if (!said || !slu_value_equal(said, member))
            return false;
    }
    return alias->members->count && (!whole || says_no_more(members, alias));
}

enum slu_alias_fit slu_alias_carry(struct slu_aliases from, struct slu_aliases to,
                                   const struct slu_value *members, bool whole,
                                   const struct slu_alias **ret_from,
                                   const struct slu_alias **ret_to)
{
    enum slu_alias_fit best = SLU_ALIAS_NONE;
    uint32_t most = 0;

    for (size_t i = 0; i < from.count; i++) {
        const struct slu_alias *alias = &from.items[i];
        const struct slu_alias *there = slu_alias_find(to.items, to.count, alias->name);
        enum slu_alias_fit fit = there ? SLU_ALIAS_FOUND : SLU_ALIAS_ALONE;

        if (!alias_fits(alias, members, whole) || fit < best ||
            (fit == best && alias->members->count <= most))
            continue;
        best = fit;
        most = alias->members->count;
        *ret_from = alias;
        *ret_to = there;
    }
    return best;
}

static bool unknown_alias(const struct slu_alias *aliases, size_t count, struct slu_str name,
                          const char *pointer, struct slu_mistakes *mistakes)
{
    struct slu_buf names;
    bool told;

    slu_buf_init(&names, 600);
    for (size_t i = 0; i < count; i++)
        slu_buf_printf(&names, "%s%.*s", i ? ", " : "", SLU_FMT(aliases[i].name));
    told =
        slu_mistake(mistakes, SLU_FAULT_INVALID, slu_str_of(pointer),
                    "the target has no alias \"%.*s\"; it has %.*s", SLU_FMT(name),
                    SLU_FMT(count && names.n ? slu_buf_str(&names) : SLU_STR("no such aliases")));
    slu_buf_done(&names);
    return told;
}

/* An alias fills what the flow log leaves open; where both say something they must agree. */
static bool fill(const struct slu_alias *alias, struct slu_value *flow_log, struct slu_arena *arena,
                 struct slu_mistakes *mistakes)
{
    slu_value_each (member, alias->members) {
        struct slu_value *given = slu_value_find(flow_log, member->name);
        struct slu_value *copy;

        if (slu_value_is(given, SLU_STRING)) {
            if (!slu_value_equal(given, member))
                return slu_mistake(mistakes, SLU_FAULT_INVALID,
                                   slu_pointer_member(mistakes->arena, SLU_STR_NONE, member->name),
                                   "the alias \"%.*s\" says something else here; leave one out",
                                   SLU_FMT(alias->name));
            continue;
        }
        copy = slu_value_copy(arena, member);
        if (!copy)
            return slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR_NONE, "out of memory");
        slu_value_set(flow_log, member->name, copy);
    }
    return true;
}

static bool resolve_resource(const struct slu_target *target, struct slu_value *flow_log,
                             struct slu_arena *arena, struct slu_mistakes *mistakes)
{
    struct slu_value *name = slu_value_member(flow_log, "resource_alias");
    const struct slu_alias *alias;

    if (!name)
        return true;
    if (slu_value_is(name, SLU_STRING)) {
        alias = slu_alias_find(target->resources, target->resource_count, name->text);
        if (!alias)
            return unknown_alias(target->resources, target->resource_count, name->text,
                                 "/resource_alias", mistakes);
        if (!fill(alias, flow_log, arena, mistakes))
            return false;
    }
    slu_value_remove(flow_log, name);
    return true;
}

static bool resolve_destination(const struct slu_target *target, struct slu_value *flow_log,
                                struct slu_arena *arena, struct slu_mistakes *mistakes)
{
    struct slu_value *destination = slu_value_member(flow_log, "destination");
    struct slu_value *name = slu_value_member(destination, "alias");
    const struct slu_alias *alias;
    struct slu_value *copy;

    if (!name)
        return true;
    if (!slu_value_is(name, SLU_STRING)) {
        slu_value_remove(destination, name);
        return true;
    }
    alias = slu_alias_find(target->destinations, target->destination_count, name->text);
    if (!alias)
        return unknown_alias(target->destinations, target->destination_count, name->text,
                             "/destination/alias", mistakes);
    copy = slu_value_copy(arena, alias->members);
    if (!copy)
        return slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR_NONE, "out of memory");
    slu_value_set(flow_log, SLU_STR("destination"), copy);
    return true;
}

bool slu_aliases_resolve(const struct slu_target *target, struct slu_value *flow_log,
                         struct slu_arena *arena, struct slu_mistakes *mistakes)
{
    bool resource = resolve_resource(target, flow_log, arena, mistakes);
    bool destination = resolve_destination(target, flow_log, arena, mistakes);

    return resource && destination;
}

struct slu_seal_conf slu_credentials_conf(const struct slu_credentials *credentials)
{
    return (struct slu_seal_conf){
        .access_key = slu_secret_reveal(credentials->access_key),
        .secret_key = credentials->secret_key,
        .security_token = slu_secret_reveal(credentials->security_token),
        .region = credentials->region,
        .service = credentials->service,
        .domain = credentials->domain,
        .project = credentials->project,
    };
}
