/* `map`: a document from a file, from one dialect (or the canonical form) to another, offline. */
#include "app/cli.h"
#include "codec/json.h"
#include "mapping/table.h"

enum { ARENA_BYTES = 256 << 20, INPUT_BYTES = 16 << 20 };

struct map {
    const struct slu_cli *cli;
    struct slu_table *from, *to; /* NULL: canonical */
    struct slu_translation translation;
    struct slu_vars vars;
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_losses losses;
};

static int answer(struct map *map, struct slu_value *document)
{
    struct slu_value *whole = slu_value_new(&map->arena, SLU_OBJECT);
    struct slu_buf out;
    int code;

    slu_value_put(whole, SLU_STR("document"), document);
    slu_value_put(whole, SLU_STR("loss"), slu_losses_value(&map->arena, &map->losses));
    if (!whole || map->arena.failed)
        return slu_cli_fail("the document needs too much memory");
    slu_buf_init(&out, 0);
    slu_json_write_pretty(&out, whole);
    if (out.n && out.p[out.n - 1] != '\n')
        slu_buf_byte(&out, '\n');
    code = slu_cli_print(&out);
    slu_buf_done(&out);
    return code;
}

static int read_and_translate(struct map *map)
{
    const char *file = map->cli->word_count ? map->cli->words[0] : "-";
    struct slu_value *document = NULL;
    struct slu_buf text;
    int code = SLU_CLI_MISTAKES;

    slu_buf_init(&text, INPUT_BYTES);
    if (slu_cli_read(file, &text)) {
        document = slu_json_read(&map->arena, slu_buf_str(&text), (struct slu_json_limits){0},
                                 &map->mistakes);
        if (document)
            document = slu_translate(&map->translation, document, &map->arena, &map->losses,
                                     &map->mistakes);
        code = document && slu_mistakes_none(&map->mistakes) ? answer(map, document)
                                                             : slu_cli_mistakes(&map->mistakes);
    }
    slu_buf_done(&text);
    return code;
}

/* ---- what the command line said */

static int read_vars(struct map *map)
{
    for (size_t i = 0; i < map->cli->parameter_count; i++) {
        struct slu_str value = slu_str_of(map->cli->parameters[i]);
        struct slu_str name = slu_str_cut(&value, '=');

        if (!name.n || !value.p)
            return slu_cli_misuse("--parameter needs NAME=VALUE");
        if (!slu_vars_set(&map->vars, name, value))
            return slu_cli_misuse("there are too many parameters");
    }
    return SLU_CLI_DONE;
}

static int read_options(struct map *map)
{
    const struct slu_cli *cli = map->cli;

    if (!cli->from || !cli->to || !cli->operation)
        return slu_cli_misuse("map needs --from, --to and --operation");
    if (!slu_operation_of(slu_str_of(cli->operation), &map->translation.operation))
        return slu_cli_misuse("\"%s\" is no operation (create, get, list, update, enable, disable, "
                              "delete)",
                              cli->operation);
    if (cli->side && strcmp(cli->side, "request") != 0 && strcmp(cli->side, "reply") != 0)
        return slu_cli_misuse("--side is request or reply");
    map->translation.side = cli->side && strcmp(cli->side, "reply") == 0 ? SLU_REPLY : SLU_REQUEST;
    return read_vars(map);
}

/* True with a NULL table for the canonical form. */
static bool find_table(struct map *map, const char *name, struct slu_table **ret_table)
{
    if (strcmp(name, "canonical") == 0)
        return true;
    *ret_table = slu_cli_table(map->cli->mappings, NULL, slu_str_of(name), &map->mistakes);
    if (*ret_table && !slu_table_serves(*ret_table, map->translation.operation))
        return slu_mistake(&map->mistakes, SLU_FAULT_CONFIG, slu_str_of(name),
                           "this dialect has no operation \"%s\"", map->cli->operation);
    return *ret_table;
}

static int find_tables(struct map *map)
{
    bool same = strcmp(map->cli->from, map->cli->to) == 0;
    bool good = find_table(map, map->cli->from, &map->from);

    if (same)
        map->to = map->from;
    else
        good = find_table(map, map->cli->to, &map->to) && good;
    map->translation.from = map->from;
    map->translation.to = map->to;
    map->translation.vars = &map->vars;
    return good ? SLU_CLI_DONE : slu_cli_mistakes(&map->mistakes);
}

int slu_cli_map(const struct slu_cli *cli)
{
    struct map map = {.cli = cli};
    int code;

    slu_arena_init(&map.arena, ARENA_BYTES);
    slu_mistakes_init(&map.mistakes, &map.arena);
    slu_losses_init(&map.losses, &map.arena, cli->lenient != NULL);
    code = read_options(&map);
    if (code == SLU_CLI_DONE)
        code = find_tables(&map);
    if (code == SLU_CLI_DONE)
        code = read_and_translate(&map);
    if (map.to != map.from)
        slu_table_free(map.to);
    slu_table_free(map.from);
    slu_arena_done(&map.arena);
    return code;
}
