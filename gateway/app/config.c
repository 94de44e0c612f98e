/*
 * A configuration file becomes a catalog, in this order: the shape of the whole file, the mapping
 * tables, then target by target, caller by caller, door by door what a shape cannot say. Nothing
 * stops at the first mistake.
 */
#include "app/config_internal.h"

#include "app/secrets.h"
#include "app/settings.h"
#include "base/log.h"
#include "codec/json.h"
#include "codec/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_BYTES = 64 << 20, WORKERS_MOST = 64 };

/* ---- tools of all parts */

struct slu_spot slu_spot_member(struct slu_load *load, struct slu_spot spot, const char *name)
{
    return (struct slu_spot){json_object_get(spot.value, name),
                             slu_pointer_member(&load->scratch, spot.pointer, slu_str_of(name))};
}

struct slu_spot slu_spot_item(struct slu_load *load, struct slu_spot spot, size_t index)
{
    return (struct slu_spot){json_array_get(spot.value, index),
                             slu_pointer_item(&load->scratch, spot.pointer, index)};
}

bool slu_load_mistake(struct slu_load *load, struct slu_spot spot, const char *format, ...)
{
    char words[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return slu_mistake(&load->found, SLU_FAULT_CONFIG, spot.pointer, "%s", words);
}

const char *slu_load_hint(struct slu_load *load, struct slu_str word, const char *const *names,
                          size_t count)
{
    const char *near = count ? slu_nearest(word, names, count) : NULL;
    struct slu_str hint = SLU_STR_NONE;

    if (near)
        hint = slu_arena_printf(&load->scratch, "; did you mean \"%s\"?", near);
    return hint.p ? hint.p : "";
}

struct slu_str slu_load_str(struct slu_load *load, struct slu_spot object, const char *name)
{
    struct slu_str text = slu_ours_str(object.value, name);

    return text.p ? slu_arena_str(&load->catalog->arena, text) : SLU_STR_NONE;
}

const char *slu_load_text(struct slu_load *load, struct slu_spot object, const char *name)
{
    return slu_load_str(load, object, name).p;
}

const char *slu_load_file(struct slu_load *load, struct slu_spot object, const char *name)
{
    const char *path = slu_load_text(load, object, name);
    struct stat facts;
    int fd;

    if (!path)
        return NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        slu_load_mistake(load, slu_spot_member(load, object, name),
                         "the file %.200s cannot be read: %s", path, strerror(errno));
    else if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode))
        slu_load_mistake(load, slu_spot_member(load, object, name), "%.200s is no regular file",
                         path);
    if (fd >= 0)
        close(fd);
    return path;
}

bool slu_load_name(struct slu_load *load, struct slu_str name, struct slu_spot spot)
{
    bool good = name.n > 0 && name.n <= SLU_NAME_MOST && name.p[0] != '.' && name.p[0] != '-';

    for (size_t i = 0; i < name.n; i++) {
        char c = slu_ascii_lower(name.p[i]);

        good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                        c == '-');
    }
    return good || slu_load_mistake(load, spot,
                                    "a name has 1 to 64 letters, digits, \".\", \"_\" or \"-\", "
                                    "and begins with a letter, a digit or \"_\"");
}

const struct slu_table *slu_load_dialect(struct slu_load *load, struct slu_spot spot,
                                         bool memory_too)
{
    struct slu_str dialect = slu_ours_str(spot.value, "dialect");
    const char *names[64];
    const struct slu_table *table;
    size_t count = 0;

    if (!dialect.p || (memory_too && slu_str_is(dialect, "memory")))
        return NULL;
    table = slu_catalog_table(load->catalog, dialect);
    if (table)
        return table;
    for (size_t i = 0; i < load->files.count; i++)
        if (slu_str_eq(slu_tables_stem(load->files.paths[i]), dialect))
            return NULL; /* its own mistakes are told */
    for (size_t i = 0; i < load->catalog->table_count && count < SLU_COUNT(names) - 1; i++)
        names[count++] = slu_table_dialect(load->catalog->tables[i]).p;
    if (memory_too)
        names[count++] = "memory";
    slu_load_mistake(load, slu_spot_member(load, spot, "dialect"),
                     "there is no mapping table \"%.*s\"%s", SLU_FMT(dialect),
                     slu_load_hint(load, dialect, names, count));
    return NULL;
}

/* ---- listeners */

static void remember_address(struct slu_load *load, struct slu_spot spot,
                             const struct slu_address *address)
{
    for (size_t i = 0; i < load->address_count && address->port; i++)
        if (strcmp(load->addresses[i].text, address->text) == 0) {
            slu_load_mistake(load, spot, "this address is used already, at %.*s",
                             SLU_FMT(load->address_pointers[i]));
            return;
        }
    slu_must(load->address_count < load->address_room);
    load->addresses[load->address_count] = *address;
    load->address_pointers[load->address_count++] = spot.pointer;
}

void slu_load_listener(struct slu_load *load, struct slu_spot spot, struct slu_listener *listener)
{
    struct slu_spot tls = slu_spot_member(load, spot, "tls");
    struct slu_spot where = slu_spot_member(load, spot, "address");
    struct slu_address address;
    const char *why;

    listener->certificate = slu_load_file(load, tls, "certificate");
    listener->key = slu_load_file(load, tls, "key");
    listener->client_ca = slu_load_file(load, tls, "client_ca");
    if (!json_string_length(where.value))
        return;
    if (!slu_address_read(&load->catalog->arena, slu_ours_text(where.value), &address, &why)) {
        slu_load_mistake(load, where, "%s", why);
        return;
    }
    listener->address = address.text;
    remember_address(load, where, &address);
}

static bool room_for_addresses(struct slu_load *load)
{
    load->address_room = json_array_size(json_object_get(load->root, "listen")) +
                         json_array_size(json_object_get(load->root, "doors")) + 1;
    load->addresses = slu_arena_zero(&load->scratch, load->address_room * sizeof(*load->addresses));
    load->address_pointers =
        slu_arena_zero(&load->scratch, load->address_room * sizeof(*load->address_pointers));
    return load->addresses && load->address_pointers;
}

static void load_listeners(struct slu_load *load, struct slu_spot top)
{
    struct slu_spot listen = slu_spot_member(load, top, "listen");
    size_t count = json_array_size(listen.value);
    struct slu_listener *listeners =
        slu_arena_zero(&load->catalog->arena, (count + 1) * sizeof(*listeners));

    if (!listeners || !room_for_addresses(load))
        return;
    for (size_t i = 0; i < count; i++)
        slu_load_listener(load, slu_spot_item(load, listen, i), &listeners[i]);
    load->catalog->listeners = listeners;
    load->catalog->listener_count = count;
    slu_load_listener(load, slu_spot_member(load, top, "admin"), &load->catalog->admin);
    if (!count && !json_array_size(json_object_get(load->root, "doors")))
        slu_load_mistake(load, top,
                         "there is nothing to serve: neither \"listen\" nor \"doors\" names an "
                         "address");
}

/* ---- the mapping tables */

void slu_config_hand_on(struct slu_mistakes *to, const struct slu_mistakes *found, const char *file)
{
    struct slu_str name = slu_str_of(file);
    size_t kept = 0;

    for (const struct slu_mistake *one = found->first; one; one = one->next, kept++) {
        struct slu_str place =
            one->pointer.n
                ? slu_arena_printf(to->arena, "%.*s: %.*s", SLU_FMT(name), SLU_FMT(one->pointer))
                : name;

        slu_mistake(to, one->kind, place, "%.*s", SLU_FMT(one->detail));
    }
    to->count += found->count - kept;
    to->failed = to->failed || found->failed || to->arena->failed;
}

struct slu_table *slu_config_table(const char *file, struct slu_mistakes *mistakes)
{
    struct slu_mistakes found;
    struct slu_table *table;

    slu_mistakes_init(&found, mistakes->arena);
    table = slu_table_load(file, &found);
    /* A file that could not be read at all has told its name itself. */
    if (found.count == 1 && found.first && slu_str_starts(found.first->detail, slu_str_of(file)))
        slu_mistake(mistakes, found.first->kind, SLU_STR_NONE, "%.*s",
                    SLU_FMT(found.first->detail));
    else
        slu_config_hand_on(mistakes, &found, file);
    if (table && !slu_mistakes_none(&found)) {
        slu_table_free(table);
        return NULL;
    }
    if (!table && slu_mistakes_none(&found))
        slu_mistake(mistakes, SLU_FAULT_MEMORY, slu_str_of(file), "out of memory");
    return table;
}

static bool reserved(struct slu_str dialect)
{
    return slu_str_is(dialect, "memory") || slu_str_is(dialect, "canonical");
}

static void load_table(struct slu_load *load, const char *file, struct slu_mistakes *mistakes)
{
    slu_auto(slu_table) *table = slu_config_table(file, mistakes);
    struct slu_str dialect;

    if (!table)
        return;
    dialect = slu_table_dialect(table);
    if (reserved(dialect))
        slu_mistake(mistakes, SLU_FAULT_CONFIG, slu_str_of(file), "the dialect's name is reserved");
    else if (slu_catalog_table(load->catalog, dialect))
        slu_mistake(mistakes, SLU_FAULT_CONFIG, slu_str_of(file),
                    "another file has a table for this dialect already");
    else
        load->catalog->tables[load->catalog->table_count++] = slu_take(table);
}

static void load_tables(struct slu_load *load, const char *name, struct slu_mistakes *mistakes)
{
    const char *directory = slu_tables_directory(
        &load->scratch, json_string_value(json_object_get(load->root, "mappings")), name,
        "/mappings", &load->found);

    if (!directory ||
        !slu_tables_list(&load->scratch, directory, "/mappings", &load->files, &load->found))
        return;
    load->catalog->tables = slu_arena_zero(
        &load->catalog->arena, (load->files.count + 1) * sizeof(*load->catalog->tables));
    for (size_t i = 0; load->catalog->tables && i < load->files.count; i++)
        load_table(load, load->files.paths[i], mistakes);
}

/* ---- the process */

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return count < 1 ? 1 : count > WORKERS_MOST ? WORKERS_MOST : (uint32_t)count;
}

static uint32_t limit(const json_t *limits, const char *name)
{
    return (uint32_t)slu_setting_number(slu_settings_limits, limits, name);
}

static void load_store(struct slu_load *load, struct slu_spot top)
{
    struct slu_spot spot = slu_spot_member(load, top, "store");
    struct slu_spot postgresql = slu_spot_member(load, spot, "postgresql");
    struct slu_store *store = &load->catalog->store;

    if (!spot.value)
        return;
    store->sqlite = slu_load_str(load, spot, "sqlite");
    store->retention_s =
        (uint32_t)slu_setting_number(slu_settings_store, spot.value, "retention_s");
    store->look_for_s = (uint32_t)slu_setting_number(slu_settings_store, spot.value, "look_for_s");
    if (postgresql.value)
        store->postgresql =
            slu_secret_read(postgresql.value, postgresql.pointer, false, &load->found);
    if (!store->sqlite.n == !postgresql.value)
        slu_load_mistake(load, spot, "a store is {\"sqlite\": FILE} or {\"postgresql\": CONNINFO}");
}

static void load_process(struct slu_load *load)
{
    const json_t *limits = json_object_get(load->root, "limits");
    const json_t *log = json_object_get(load->root, "log");
    struct slu_catalog *catalog = load->catalog;

    catalog->limits = (struct slu_limits){
        .body_bytes = limit(limits, "body_bytes"),
        .connections = limit(limits, "connections"),
        .request_bytes = limit(limits, "request_bytes"),
        .head_timeout_ms = limit(limits, "head_timeout_ms"),
        .body_timeout_ms = limit(limits, "body_timeout_ms"),
        .idle_timeout_ms = limit(limits, "idle_timeout_ms"),
        .write_timeout_ms = limit(limits, "write_timeout_ms"),
        .wait_most_s = limit(limits, "wait_most_s"),
        .body_memory_bytes =
            (uint64_t)slu_setting_number(slu_settings_limits, limits, "body_memory_bytes"),
    };
    if (catalog->limits.body_memory_bytes < catalog->limits.body_bytes)
        slu_load_mistake(load, (struct slu_spot){.pointer = SLU_STR("/limits/body_memory_bytes")},
                         "there must be room for one body: limits.body_bytes is %u",
                         catalog->limits.body_bytes);
    catalog->workers = (uint32_t)slu_ours_int(load->root, "workers", count_cpus());
    catalog->log_level = SLU_LOG_INFO;
    if (json_string_length(json_object_get(log, "level")) &&
        !slu_log_level_of(slu_ours_str(log, "level"), &catalog->log_level))
        catalog->log_level = SLU_LOG_INFO; /* the shape check has told it */
    catalog->access_log = slu_setting_truth(slu_settings_log, log, "access");
}

/* ---- the whole */

static void load_all(struct slu_load *load, const char *name, struct slu_mistakes *mistakes)
{
    struct slu_spot top = {load->root, SLU_STR("")};
    const struct slu_shape *shape = slu_settings_shape(&load->scratch);

    if (!shape)
        return; /* the arena remembers */
    (void)!slu_shape_check(shape, load->root, top.pointer, &load->found);
    load_tables(load, name, mistakes);
    load_process(load);
    load_store(load, top);
    load_listeners(load, top);
    slu_load_targets(load, top);
    slu_load_callers(load, top);
    slu_load_doors(load, top);
}

struct slu_catalog *slu_config_from(const json_t *root, const char *name,
                                    struct slu_mistakes *mistakes)
{
    slu_auto(slu_catalog) *catalog = slu_catalog_new();
    struct slu_load load = {.catalog = catalog, .root = (json_t *)root};
    bool good, memory;

    if (!catalog) {
        slu_mistake(mistakes, SLU_FAULT_MEMORY, slu_str_of(name), "out of memory");
        return NULL;
    }
    slu_arena_init(&load.scratch, SCRATCH_BYTES);
    slu_mistakes_init(&load.found, &load.scratch);
    load_all(&load, name, mistakes);
    slu_secrets_wipe_environment();
    memory = catalog->arena.failed || load.scratch.failed || load.found.failed;
    slu_config_hand_on(mistakes, &load.found, name);
    slu_arena_done(&load.scratch);
    if (memory)
        slu_mistake(mistakes, SLU_FAULT_MEMORY, slu_str_of(name), "out of memory");
    good = slu_mistakes_none(mistakes);
    return good ? slu_take(catalog) : NULL;
}

struct slu_catalog *slu_config_load(const char *file, struct slu_mistakes *mistakes)
{
    json_t *root = slu_ours_read(file, mistakes);
    struct slu_catalog *catalog = NULL;

    if (root)
        catalog = slu_config_from(root, file, mistakes);
    json_decref(root);
    return catalog;
}
