/* Callers, and the doors through which clouds' own clients come in. */
#include "app/config_internal.h"

#include "app/secrets.h"
#include "codec/text.h"

/* ---- names of what there is, for hints */

static const char *target_hint(struct slu_load *load, struct slu_str word)
{
    size_t count = load->catalog->target_count;
    const char **names = slu_arena_zero(&load->scratch, (count + 1) * sizeof(*names));

    if (!names)
        return "";
    for (size_t i = 0; i < count; i++)
        names[i] = load->catalog->targets[i].name.p ? load->catalog->targets[i].name.p : "";
    return slu_load_hint(load, word, names, count);
}

static const struct slu_caller *find_caller(const struct slu_catalog *catalog, struct slu_str name)
{
    for (size_t i = 0; i < catalog->caller_count; i++)
        if (slu_str_eq(catalog->callers[i].name, name))
            return &catalog->callers[i];
    return NULL;
}

static const char *caller_hint(struct slu_load *load, struct slu_str word)
{
    size_t count = load->catalog->caller_count;
    const char **names = slu_arena_zero(&load->scratch, (count + 1) * sizeof(*names));

    if (!names)
        return "";
    for (size_t i = 0; i < count; i++)
        names[i] = load->catalog->callers[i].name.p ? load->catalog->callers[i].name.p : "";
    return slu_load_hint(load, word, names, count);
}

/* ---- callers */

static void load_key(struct slu_load *load, struct slu_spot spot, struct slu_caller *caller)
{
    struct slu_spot where = slu_spot_member(load, spot, "key_sha256");

    if (!json_is_string(where.value))
        return;
    caller->has_key =
        slu_hex_read(slu_ours_text(where.value), caller->key_sha256, sizeof(caller->key_sha256));
    if (!caller->has_key)
        slu_load_mistake(load, where,
                         "this must be the SHA-256 of the key, as 64 hexadecimal digits: "
                         "printf %%s KEY | sha256sum");
    for (const struct slu_caller *other = load->catalog->callers; caller->has_key && other < caller;
         other++)
        if (other->has_key &&
            memcmp(other->key_sha256, caller->key_sha256, sizeof(caller->key_sha256)) == 0)
            slu_load_mistake(load, where, "the caller \"%.*s\" has the same key",
                             SLU_FMT(other->name));
}

static void load_rights(struct slu_load *load, struct slu_spot spot, struct slu_caller *caller)
{
    struct slu_spot access = slu_spot_member(load, spot, "access");
    struct slu_spot targets = slu_spot_member(load, spot, "targets");
    size_t count = json_array_size(targets.value);
    struct slu_str *names = slu_arena_zero(&load->catalog->arena, (count + 1) * sizeof(*names));

    for (size_t i = 0; i < json_array_size(access.value); i++) {
        struct slu_str word = slu_ours_text(json_array_get(access.value, i));

        caller->read = caller->read || slu_str_is(word, "read");
        caller->write = caller->write || slu_str_is(word, "write");
    }
    for (size_t i = 0; names && i < count; i++) {
        struct slu_spot where = slu_spot_item(load, targets, i);

        names[i] = slu_arena_str(&load->catalog->arena, slu_ours_text(where.value));
        if (!names[i].n || slu_str_is(names[i], "*") || slu_catalog_target(load->catalog, names[i]))
            continue;
        slu_load_mistake(load, where, "there is no target \"%.*s\"%s", SLU_FMT(names[i]),
                         target_hint(load, names[i]));
    }
    caller->targets = names;
    caller->target_count = names ? count : 0;
}

static void load_caller(struct slu_load *load, struct slu_spot spot, struct slu_caller *caller)
{
    struct slu_spot name = slu_spot_member(load, spot, "name");

    if (json_string_length(name.value)) {
        caller->name = slu_load_str(load, spot, "name");
        slu_load_name(load, caller->name, name);
    }
    for (const struct slu_caller *other = load->catalog->callers; caller->name.n && other < caller;
         other++)
        if (slu_str_eq(other->name, caller->name))
            slu_load_mistake(load, name, "another caller has this name");
    load_key(load, spot, caller);
    load_rights(load, spot, caller);
}

void slu_load_callers(struct slu_load *load, struct slu_spot top)
{
    struct slu_spot spot = slu_spot_member(load, top, "callers");
    struct slu_catalog *catalog = load->catalog;
    size_t count = json_array_size(spot.value);

    catalog->callers = slu_arena_zero(&catalog->arena, (count + 1) * sizeof(*catalog->callers));
    if (!catalog->callers)
        return;
    for (size_t i = 0; i < count; i++) {
        load_caller(load, slu_spot_item(load, spot, i), &catalog->callers[i]);
        catalog->caller_count++;
    }
}

/* ---- doors */

static void load_door_key(struct slu_load *load, struct slu_spot spot, struct slu_door_key *key)
{
    struct slu_spot caller = slu_spot_member(load, spot, "caller");
    struct slu_spot access = slu_spot_member(load, spot, "access_key");
    struct slu_spot secret = slu_spot_member(load, spot, "secret_key");
    struct slu_spot token = slu_spot_member(load, spot, "security_token");
    struct slu_str name = slu_ours_text(caller.value);

    if (name.n && !(key->caller = find_caller(load->catalog, name)))
        slu_load_mistake(load, caller, "there is no caller \"%.*s\"%s", SLU_FMT(name),
                         caller_hint(load, name));
    key->access_key = slu_secret_read(access.value, access.pointer, true, &load->found);
    key->secret_key = slu_secret_read(secret.value, secret.pointer, false, &load->found);
    key->security_token = slu_secret_read(token.value, token.pointer, true, &load->found);
}

static void load_door_keys(struct slu_load *load, struct slu_spot spot, struct slu_door *door)
{
    size_t count = json_array_size(spot.value);
    struct slu_door_key *keys = slu_arena_zero(&load->catalog->arena, (count + 1) * sizeof(*keys));

    if (!keys)
        return;
    door->keys = keys;
    for (size_t i = 0; i < count; i++) {
        struct slu_spot where = slu_spot_item(load, spot, i);
        struct slu_str access;

        load_door_key(load, where, &keys[i]);
        door->key_count++;
        access = slu_secret_reveal(keys[i].access_key);
        for (size_t j = 0; access.n && j < i; j++)
            if (slu_str_eq(slu_secret_reveal(keys[j].access_key), access))
                slu_load_mistake(load, slu_spot_member(load, where, "access_key"),
                                 "this door has the same access key already");
    }
}

/* What the door's parameters leave open, a client's own signature says. */
static void load_scopes(struct slu_load *load, struct slu_door *door)
{
    const struct slu_str *names;
    size_t count = slu_table_schemes(door->table, &names);
    struct slu_scope *scopes = slu_arena_zero(&load->catalog->arena, (count + 1) * sizeof(*scopes));

    for (size_t i = 0; scopes && i < count; i++)
        if (!slu_table_scope(door->table, (int)i, &door->parameters, &load->catalog->arena,
                             &scopes[i]))
            continue;
    door->scopes = scopes;
}

/* What a door's client says is looked up backwards: of two names for one thing none would be meant.
 */
static void load_aliases(struct slu_load *load, struct slu_spot spot,
                         const struct slu_alias **ret_aliases, size_t *ret_count)
{
    const struct slu_alias *aliases;

    slu_load_aliases(load, spot, ret_aliases, ret_count);
    aliases = *ret_aliases;
    for (size_t i = 0; i < *ret_count; i++)
        for (size_t j = 0; j < i; j++)
            if (aliases[i].members && aliases[j].members &&
                slu_value_equal(aliases[i].members, aliases[j].members))
                slu_load_mistake(
                    load, spot,
                    "\"%.*s\" and \"%.*s\" are the same to this door's clients, so which "
                    "of them is meant cannot be told; keep one",
                    SLU_FMT(aliases[j].name), SLU_FMT(aliases[i].name));
}

static void load_door(struct slu_load *load, struct slu_spot spot, struct slu_door *door)
{
    struct slu_spot target = slu_spot_member(load, spot, "target");
    struct slu_str name = slu_ours_text(target.value);

    slu_load_listener(load, spot, &door->listener);
    if (slu_str_is(slu_ours_str(spot.value, "dialect"), "memory"))
        slu_load_mistake(load, slu_spot_member(load, spot, "dialect"),
                         "a door speaks a cloud's dialect; memory can only be a target");
    else
        door->table = slu_load_dialect(load, spot, false);
    if (name.n && !(door->target = slu_catalog_target(load->catalog, name)))
        slu_load_mistake(load, target, "there is no target \"%.*s\"%s", SLU_FMT(name),
                         target_hint(load, name));
    load_door_keys(load, slu_spot_member(load, spot, "credentials"), door);
    if (door->table) {
        slu_load_parameters(load, door->table, slu_spot_member(load, spot, "parameters"), false,
                            &door->parameters);
        load_scopes(load, door);
    }
    load_aliases(load, slu_spot_member(load, spot, "resources"), &door->resources,
                 &door->resource_count);
    load_aliases(load, slu_spot_member(load, spot, "destinations"), &door->destinations,
                 &door->destination_count);
}

void slu_load_doors(struct slu_load *load, struct slu_spot top)
{
    struct slu_spot spot = slu_spot_member(load, top, "doors");
    struct slu_catalog *catalog = load->catalog;
    size_t count = json_array_size(spot.value);

    catalog->doors = slu_arena_zero(&catalog->arena, (count + 1) * sizeof(*catalog->doors));
    if (!catalog->doors || !load->addresses)
        return;
    for (size_t i = 0; i < count; i++)
        load_door(load, slu_spot_item(load, spot, i), &catalog->doors[catalog->door_count++]);
}
