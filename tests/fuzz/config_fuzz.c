/*
 * Any JSON as a configuration, over the project's own mapping tables: either a catalog or mistakes,
 * and what a catalog says about itself holds. The text "hidden-in-a-secret" never comes out.
 */
#include "app/config.h"
#include "app/secrets.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char hidden[] = "hidden-in-a-secret";

static void must_hold(const struct slu_catalog *catalog)
{
    for (size_t i = 0; i < catalog->target_count; i++) {
        const struct slu_target *target = &catalog->targets[i];

        if (slu_catalog_target(catalog, target->name) != target)
            abort();
        if (!target->memory && (!target->table || !target->credentials.scheme || !target->port ||
                                !target->credentials.access_key || !target->dns_host))
            abort();
    }
    for (size_t i = 0; i < catalog->door_count; i++)
        if (!catalog->doors[i].table || !catalog->doors[i].target || !catalog->doors[i].key_count ||
            !catalog->doors[i].keys[0].caller || !catalog->doors[i].listener.address)
            abort();
    for (size_t i = 0; i < catalog->listener_count; i++)
        if (!catalog->listeners[i].address)
            abort();
    if (!catalog->workers || !catalog->limits.request_bytes)
        abort();
}

/* The secrets of targets are replaced by the hidden text, which the input may not have elsewhere:
 * messages do quote names. */
static json_t *read_input(const uint8_t *data, size_t size)
{
    json_error_t error;
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
    const char *name;
    json_t *target;

    if (!json_is_object(root) || memmem(data, size, hidden, sizeof(hidden) - 1)) {
        json_decref(root);
        return NULL;
    }
    json_object_set_new(root, "mappings", json_string(SLU_SOURCE_DIR "/mappings"));
    json_object_foreach(json_object_get(root, "targets"), name, target)
    {
        json_t *secret = json_object_get(json_object_get(target, "credentials"), "secret_key");

        if (json_object_get(secret, "value"))
            json_object_set_new(secret, "value", json_string(hidden));
    }
    return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = read_input(data, size);
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_catalog *catalog;

    if (!root)
        return 0;
    slu_log_set(SLU_LOG_ERROR);
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    catalog = slu_config_from(root, "fuzz.json", &mistakes);
    if (!catalog == slu_mistakes_none(&mistakes))
        abort();
    if (catalog)
        must_hold(catalog);
    for (const struct slu_mistake *one = mistakes.first; one; one = one->next)
        if (memmem(one->detail.p, one->detail.n, hidden, sizeof(hidden) - 1))
            abort();
    slu_catalog_free(catalog);
    slu_secrets_forget();
    slu_arena_done(&arena);
    json_decref(root);
    return 0;
}
