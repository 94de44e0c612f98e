/* `explain`: a compiled table in words, or how a signature comes about. */
#include "sign/explain.h"

#include "app/cli.h"
#include "app/tables.h"
#include "codec/shape.h"
#include "codec/text.h"
#include "mapping/table.h"

enum { ARENA_BYTES = 64 << 20, INPUT_BYTES = 16 << 20 };

/* ---- signatures */

static int unknown_scheme(const char *word)
{
    const char *const *names = slu_scheme_names();
    const char *near;
    size_t count = 0;

    while (names[count])
        count++;
    near = slu_nearest(slu_str_of(word), names, count);
    return slu_cli_fail("there is no signing scheme \"%s\"%s%s%s", word,
                        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int explain_sign(const struct slu_cli *cli, struct slu_mistakes *mistakes,
                        struct slu_buf *out)
{
    const struct slu_scheme *scheme = slu_scheme_find(slu_str_of(cli->words[1]));
    struct slu_buf text;
    int code = SLU_CLI_MISTAKES;

    if (!scheme)
        return unknown_scheme(cli->words[1]);
    slu_buf_init(&text, INPUT_BYTES);
    if (slu_cli_read(cli->words[2], &text)) {
        bool good = slu_sign_explain(scheme, slu_buf_str(&text), out, mistakes);

        code = slu_cli_print(out);
        if (!good)
            code = slu_cli_mistakes(mistakes);
    }
    if (text.p)
        slu_wipe(text.p, text.n);
    slu_buf_done(&text);
    return code;
}

/* ---- tables */

/* The dialect of the target of that name in the configuration, else the name itself. Only the
 * names are read: no secret is needed to explain a table. */
static struct slu_str dialect_of(const json_t *root, const char *name)
{
    struct slu_str dialect =
        slu_ours_str(json_object_get(json_object_get(root, "targets"), name), "dialect");

    return dialect.n ? dialect : slu_str_of(name);
}

static struct slu_table *find_table(const struct slu_cli *cli, struct slu_mistakes *mistakes)
{
    json_t *root = cli->config ? slu_ours_read(cli->config, mistakes) : NULL;
    const char *mappings =
        cli->mappings ? cli->mappings : json_string_value(json_object_get(root, "mappings"));
    struct slu_table *table = NULL;
    struct slu_str dialect;

    if (cli->config && !root)
        return NULL;
    dialect = dialect_of(root, cli->words[0]);
    if (slu_str_is(dialect, "memory"))
        slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR(""),
                    "the memory cloud keeps canonical flow logs and has no table");
    else
        table = slu_cli_table(mappings, cli->config, dialect, mistakes);
    json_decref(root);
    return table;
}

static int explain_table(const struct slu_cli *cli, struct slu_mistakes *mistakes,
                         struct slu_buf *out)
{
    enum slu_operation operation;
    slu_auto(slu_table) *table = NULL;

    if (!slu_operation_of(slu_str_of(cli->words[1]), &operation))
        return slu_cli_misuse("\"%s\" is no operation (create, get, list, update, enable, disable, "
                              "delete)",
                              cli->words[1]);
    table = find_table(cli, mistakes);
    if (!table)
        return slu_cli_mistakes(mistakes);
    if (!slu_table_serves(table, operation))
        return slu_cli_fail("the dialect %.*s has no operation \"%s\"",
                            SLU_FMT(slu_table_dialect(table)), cli->words[1]);
    slu_table_explain(table, operation, out);
    return slu_cli_print(out);
}

int slu_cli_explain(const struct slu_cli *cli)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_buf out;
    bool sign = strcmp(cli->words[0], "sign") == 0;
    int code;

    if (cli->word_count != (sign ? 3 : 2))
        return slu_cli_misuse("explain takes TARGET|DIALECT OPERATION, or sign SCHEME FILE");
    slu_arena_init(&arena, ARENA_BYTES);
    slu_mistakes_init(&mistakes, &arena);
    slu_buf_init(&out, 0);
    code = sign ? explain_sign(cli, &mistakes, &out) : explain_table(cli, &mistakes, &out);
    slu_buf_done(&out);
    slu_arena_done(&arena);
    return code;
}
