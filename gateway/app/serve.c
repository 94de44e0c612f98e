/* `serve` and `sandbox`: a catalog, and the gateway that runs it. */
#include "app/banner.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/endpoint.h"
#include "app/secrets.h"
#include "app/tables.h"
#include "codec/shape.h"
#include "exchange/gateway.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 64 << 20, KEEP_BYTES = 64 << 20, FIRST_PORT = 9001 };

#define SANDBOX_SECRET "sandbox-secret" /* known to everyone */

/* Runs the gateway with what `load` builds, now and at each reload. `tell` speaks before it starts;
 * may be NULL. */
static int run(slu_gateway_reload_fn *load, const struct slu_cli *cli,
               void (*tell)(const struct slu_cli *cli, const struct slu_catalog *catalog))
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_catalog *catalog;
    int code = SLU_CLI_MISTAKES;

    slu_mem_keep(KEEP_BYTES);
    slu_arena_init(&arena, ARENA_BYTES);
    slu_mistakes_init(&mistakes, &arena);
    catalog = load((void *)cli, &mistakes);
    if (!catalog)
        slu_cli_mistakes(&mistakes);
    slu_arena_done(&arena);
    if (catalog && tell)
        tell(cli, catalog);
    if (catalog)
        code = slu_gateway_run(catalog, load, (void *)cli);
    slu_secrets_forget();
    return code;
}

static struct slu_catalog *load_file(void *user, struct slu_mistakes *mistakes)
{
    const struct slu_cli *cli = user;

    return slu_config_load(cli->config, mistakes);
}

int slu_cli_serve(const struct slu_cli *cli)
{
    if (!cli->config)
        return slu_cli_misuse("serve needs --config FILE");
    return run(load_file, cli, NULL);
}

/* ---- the sandbox: for each dialect a door and a memory cloud of that name behind it */

static json_t *sandbox_door(const struct slu_cli *cli, const char *host, int port,
                            struct slu_str dialect)
{
    const char *access = cli->access_key ? cli->access_key : "sandbox";
    json_t *secret = cli->secret_key_file ? json_pack("{s:s}", "file", cli->secret_key_file)
                                          : json_pack("{s:s}", "value", SANDBOX_SECRET);

    return json_pack("{s:s%, s:o, s:s%, s:[{s:s, s:{s:s}, s:o}]}", "dialect", dialect.p, dialect.n,
                     "address", json_sprintf("%s:%d", host, port), "target", dialect.p, dialect.n,
                     "credentials", "caller", "sandbox", "access_key", "value", access,
                     "secret_key", secret);
}

/* Members of the file stand in place of the sandbox's own. */
static bool lay_over(json_t *root, const char *file, struct slu_mistakes *mistakes)
{
    json_t *over = slu_ours_read(file, mistakes);
    bool good = over && json_object_update(root, over) == 0;

    json_decref(over);
    return good;
}

static json_t *sandbox_root(const struct slu_cli *cli, const char *host, int base,
                            const char *directory, const struct slu_table_files *files)
{
    json_t *doors = json_array(), *targets = json_object();

    for (size_t i = 0; i < files->count; i++) {
        struct slu_str dialect = slu_tables_stem(files->paths[i]);

        json_array_append_new(doors, sandbox_door(cli, host, base + (int)i, dialect));
        json_object_setn_new(targets, dialect.p, dialect.n,
                             json_pack("{s:s}", "dialect", "memory"));
    }
    return json_pack("{s:s, s:{s:o}, s:[{s:s, s:[s], s:[s, s]}], s:o, s:o}", "mappings", directory,
                     "admin", "address", json_sprintf("%s:%d", host, base - 1), "callers", "name",
                     "sandbox", "targets", "*", "access", "read", "write", "targets", targets,
                     "doors", doors);
}

static bool read_base(const struct slu_cli *cli, size_t doors, int *ret_base,
                      struct slu_mistakes *mistakes)
{
    uint64_t port = FIRST_PORT;

    if (cli->port &&
        (!slu_str_to_u64(slu_str_of(cli->port), &port) || port < 2 || port + doors > 65536))
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR("--port"),
                           "this must be a number from 2 that leaves room for %zu doors", doors);
    *ret_base = (int)port;
    return true;
}

/* The sandbox's own keys are known to everyone. */
static bool may_listen(const struct slu_cli *cli, const char *host, struct slu_mistakes *mistakes)
{
    struct slu_address address;
    const char *why;
    struct slu_str text = slu_arena_printf(mistakes->arena, "%s:1", host);

    if (!slu_address_read(mistakes->arena, text, &address, &why))
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR("--listen"), "%s", why);
    if (!address.loopback && !(cli->access_key && cli->secret_key_file))
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR("--listen"),
                           "beyond this machine the sandbox needs keys of its own: give "
                           "--access-key and --secret-key-file");
    return true;
}

static struct slu_catalog *load_sandbox(void *user, struct slu_mistakes *mistakes)
{
    const struct slu_cli *cli = user;
    const char *given = cli->listen ? cli->listen : "127.0.0.1";
    const char *host = strchr(given, ':') && given[0] != '['
                           ? slu_arena_printf(mistakes->arena, "[%s]", given).p
                           : given;
    const char *directory =
        slu_tables_directory(mistakes->arena, cli->mappings, cli->config, "--mappings", mistakes);
    struct slu_table_files files;
    struct slu_catalog *catalog = NULL;
    json_t *root;
    int base = 0;

    if (!directory || !host ||
        !slu_tables_list(mistakes->arena, directory, "--mappings", &files, mistakes) ||
        !read_base(cli, files.count, &base, mistakes) || !may_listen(cli, host, mistakes))
        return NULL;
    root = sandbox_root(cli, host, base, directory, &files);
    if (!root)
        slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR("sandbox"),
                    "a name or key given to the sandbox is no valid UTF-8");
    else if (!cli->config || lay_over(root, cli->config, mistakes))
        catalog = slu_config_from(root, cli->config ? cli->config : "sandbox", mistakes);
    json_decref(root);
    return catalog;
}

/* A secret key of the user's own is not shown. */
static void tell_doors(const struct slu_cli *cli, const struct slu_catalog *catalog)
{
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_banner_write(catalog, cli->secret_key_file || cli->config ? NULL : SANDBOX_SECRET, &out);
    if (!out.failed)
        fwrite(out.p, 1, out.n, stderr);
    slu_buf_done(&out);
}

int slu_cli_sandbox(const struct slu_cli *cli)
{
    return run(load_sandbox, cli, tell_doors);
}
