/* `check`: the configuration and every table, all mistakes, and one line for each good table. */
#include "app/cli.h"
#include "app/config.h"
#include "app/secrets.h"
#include "app/tables.h"
#include "codec/shape.h"

enum { ARENA_BYTES = 128 << 20 };

struct check {
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_buf lines; /* printed when there are no mistakes */
};

/* Rows and cases as they stand in the file; the compiled table keeps neither. */
static void describe(struct check *check, const char *file, const struct slu_table *table)
{
    json_t *root = slu_ours_read(file, &check->mistakes);
    const json_t *cases = json_object_get(root, "cases");
    size_t total = json_array_size(cases), one_way = 0;
    struct slu_buf *lines = &check->lines;

    for (size_t i = 0; i < total; i++)
        one_way += json_object_get(json_array_get(cases, i), "only") != NULL;
    slu_buf_printf(lines, "%.*s: %.*s;", SLU_FMT(slu_table_dialect(table)),
                   SLU_FMT(slu_table_title(table)));
    for (int operation = 0; operation < SLU_OP_COUNT; operation++)
        if (slu_table_serves(table, (enum slu_operation)operation))
            slu_buf_printf(lines, " %s", slu_operation_name((enum slu_operation)operation));
    slu_buf_printf(lines, "; %zu rows; %zu cases proven both ways",
                   json_array_size(json_object_get(root, "fields")), total - one_way);
    if (one_way)
        slu_buf_printf(lines, ", %zu one way", one_way);
    slu_buf_byte(lines, '\n');
    json_decref(root);
}

/* `told`: the mistakes of loading are known already. */
static void check_table(struct check *check, const char *file, bool told)
{
    struct slu_mistakes loading, proving;
    struct slu_table *table;

    slu_mistakes_init(&loading, &check->arena);
    slu_mistakes_init(&proving, &check->arena);
    table = slu_config_table(file, told ? &loading : &check->mistakes);
    if (!table)
        return;
    (void)!slu_table_prove_cases(table, &proving);
    slu_config_hand_on(&check->mistakes, &proving, file);
    describe(check, file, table);
    slu_table_free(table);
}

static void check_directory(struct check *check, const char *mappings, const char *beside,
                            bool told)
{
    struct slu_mistakes elsewhere = {0};
    struct slu_mistakes *to = told ? &elsewhere : &check->mistakes;
    struct slu_table_files files;
    const char *directory;

    slu_mistakes_init(&elsewhere, &check->arena);
    directory = slu_tables_directory(&check->arena, mappings, beside, "--mappings", to);
    if (!directory || !slu_tables_list(&check->arena, directory, "--mappings", &files, to))
        return;
    if (!files.count)
        slu_buf_printf(&check->lines, "%s: there are no mapping tables\n", directory);
    for (size_t i = 0; i < files.count; i++)
        check_table(check, files.paths[i], told);
}

static void check_config(struct check *check, const struct slu_cli *cli)
{
    json_t *root = slu_ours_read(cli->config, &check->mistakes);
    struct slu_catalog *catalog;

    if (!root)
        return;
    if (cli->mappings)
        json_object_set_new(root, "mappings", json_string(cli->mappings));
    catalog = slu_config_from(root, cli->config, &check->mistakes);
    if (catalog)
        slu_buf_printf(&check->lines, "%s: %zu targets, %zu callers, %zu listeners, %zu doors\n",
                       cli->config, catalog->target_count, catalog->caller_count,
                       catalog->listener_count, catalog->door_count);
    slu_catalog_free(catalog);
    check_directory(check, json_string_value(json_object_get(root, "mappings")), cli->config, true);
    json_decref(root);
    slu_secrets_forget();
}

int slu_cli_check(const struct slu_cli *cli)
{
    struct check check;
    int code;

    slu_arena_init(&check.arena, ARENA_BYTES);
    slu_mistakes_init(&check.mistakes, &check.arena);
    slu_buf_init(&check.lines, 0);
    if (cli->config)
        check_config(&check, cli);
    else if (cli->mappings || !cli->word_count)
        check_directory(&check, cli->mappings, NULL, false);
    for (size_t i = 0; i < cli->word_count; i++)
        check_table(&check, cli->words[i], false);
    code = slu_mistakes_none(&check.mistakes) ? slu_cli_print(&check.lines)
                                              : slu_cli_mistakes(&check.mistakes);
    slu_buf_done(&check.lines);
    slu_arena_done(&check.arena);
    return code;
}
