/* The sandbox's first words. */
#include "app/banner.h"

/* What may stand in a client's `how`. */
struct facts {
    struct slu_str url, address, access_key, secret_key;
};

static bool fill(struct slu_buf *out, struct slu_str *rest, const char *name, struct slu_str value)
{
    if (!slu_str_starts(*rest, slu_str_of(name)))
        return false;
    slu_buf_add(out, value);
    rest->p += strlen(name);
    rest->n -= strlen(name);
    return true;
}

static void write_how(struct slu_buf *out, struct slu_str how, const struct facts *facts)
{
    while (how.n) {
        if (fill(out, &how, "{url}", facts->url) || fill(out, &how, "{address}", facts->address) ||
            fill(out, &how, "{access_key}", facts->access_key) ||
            fill(out, &how, "{secret_key}", facts->secret_key))
            continue;
        slu_buf_byte(out, how.p[0]);
        how.p++;
        how.n--;
    }
}

static void write_door(struct slu_buf *out, const struct slu_door *door, const char *secret)
{
    struct slu_str dialect = slu_table_dialect(door->table), title = slu_table_title(door->table);
    const struct slu_table_client *clients;
    size_t count = slu_table_clients(door->table, &clients);
    struct slu_buf url;
    struct facts facts = {
        .address = slu_str_of(door->listener.address),
        .access_key = slu_secret_reveal(door->keys[0].access_key),
        .secret_key = secret ? slu_str_of(secret) : SLU_STR("<the secret key>"),
    };

    slu_buf_init(&url, 0);
    slu_buf_printf(&url, "http%s://%s", door->listener.certificate ? "s" : "",
                   door->listener.address);
    facts.url = slu_buf_str(&url);
    slu_buf_printf(out, "  %-14.*s %.*s   %.*s\n", SLU_FMT(dialect), SLU_FMT(facts.url),
                   SLU_FMT(title));
    for (size_t i = 0; i < count; i++) {
        slu_buf_printf(out, "      %.*s\n          ", SLU_FMT(clients[i].name));
        write_how(out, clients[i].how, &facts);
        slu_buf_byte(out, '\n');
    }
    out->failed = out->failed || url.failed;
    slu_buf_done(&url);
}

/* Faults can be ordered of a memory cloud alone. */
static const struct slu_target *memory_of(const struct slu_catalog *catalog)
{
    for (size_t i = 0; i < catalog->target_count; i++)
        if (catalog->targets[i].memory)
            return &catalog->targets[i];
    return NULL;
}

static void write_faults(struct slu_buf *out, const char *admin, const struct slu_target *memory)
{
    slu_buf_printf(out,
                   "\nTo try what your client does when things go wrong, order a fault (slow, "
                   "lost_reply, cut_reply,\nreset, throttled, error):\n"
                   "  curl --json '{\"target\":\"%.*s\",\"operation\":\"create\",\"fault\":"
                   "\"error\",\"code\":\"quota_exceeded\"}' http://%s/sandbox/faults\n"
                   "  curl http://%s/sandbox/faults            # what is still to come\n"
                   "  curl -X DELETE http://%s/sandbox/faults  # nothing any more\n\n",
                   SLU_FMT(memory->name), admin, admin, admin);
}

void slu_banner_write(const struct slu_catalog *catalog, const char *secret, struct slu_buf *out)
{
    const struct slu_target *memory = memory_of(catalog);

    slu_buf_lit(out, "The sandbox plays these clouds. What is made here is forgotten when it "
                     "ends.\n\n");
    for (size_t i = 0; i < catalog->door_count; i++)
        write_door(out, &catalog->doors[i], secret);
    if (memory && catalog->admin.address)
        write_faults(out, catalog->admin.address, memory);
}
