/* The table of commands, the reading of arguments, and the help made from the table. */
#include "app/cli.h"

#include "app/config.h"
#include "app/tables.h"
#include "codec/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum kind { VALUE, FLAG, REPEATED };

struct option {
    const char *name;
    const char *value; /* what stands for it in the help; NULL for a flag */
    enum kind kind;
    size_t at; /* in struct slu_cli */
    const char *help;
};

struct command {
    const char *name;
    const char *words; /* arguments beside the options, for the help */
    size_t least, most;
    int (*run)(const struct slu_cli *cli);
    const char *summary;
    const char *details;
    const struct option *options;
};

#define AT(member) offsetof(struct slu_cli, member)

/* clang-format off */
static const struct option no_options[] = {{.name = NULL}};
static const struct option serve_options[] = {
    {"config", "FILE", VALUE, AT(config), "the configuration; --help-config describes it"},
    {.name = NULL},
};
static const struct option check_options[] = {
    {"config", "FILE", VALUE, AT(config), "check this configuration, with its secrets and files"},
    {"mappings", "DIR", VALUE, AT(mappings), "the directory of mapping tables, instead of the usual one"},
    {.name = NULL},
};
static const struct option explain_options[] = {
    {"config", "FILE", VALUE, AT(config), "the configuration that names the targets"},
    {"mappings", "DIR", VALUE, AT(mappings), "the directory of mapping tables, instead of the usual one"},
    {.name = NULL},
};
static const struct option map_options[] = {
    {"from", "NAME", VALUE, AT(from), "a dialect, or canonical"},
    {"to", "NAME", VALUE, AT(to), "a dialect, or canonical"},
    {"operation", "OP", VALUE, AT(operation), "create, get, list, update, enable, disable or delete"},
    {"side", "SIDE", VALUE, AT(side), "request (the default) or reply"},
    {"lenient", NULL, FLAG, AT(lenient), "leave out what cannot be carried and list it under loss, instead of refusing"},
    {"parameter", "NAME=VALUE", REPEATED, AT(parameters), "a parameter of the dialect, id, …; may be repeated"},
    {"mappings", "DIR", VALUE, AT(mappings), "the directory of mapping tables, instead of the usual one"},
    {.name = NULL},
};
static const struct option sandbox_options[] = {
    {"listen", "HOST", VALUE, AT(listen), "address to listen on; default 127.0.0.1"},
    {"port", "BASE", VALUE, AT(port), "port of the first door; default 9001. The admin listener has the port before it"},
    {"config", "FILE", VALUE, AT(config), "members of this file stand in place of what the sandbox would set (workers, limits, log, listen with callers, …)"},
    {"mappings", "DIR", VALUE, AT(mappings), "the directory of mapping tables, instead of the usual one"},
    {"access-key", "KEY", VALUE, AT(access_key), "the access key of the doors; default \"sandbox\""},
    {"secret-key-file", "FILE", VALUE, AT(secret_key_file), "file with the secret key of the doors; default is the text \"sandbox-secret\""},
    {.name = NULL},
};
/* clang-format on */

static int run_version(const struct slu_cli *cli)
{
    struct slu_buf out;
    int code;

    (void)cli;
    slu_buf_init(&out, 0);
    slu_buf_lit(&out, "sluice " SLU_VERSION "\n");
    code = slu_cli_print(&out);
    slu_buf_done(&out);
    return code;
}

static const struct command commands[] = {
    {"serve", "", 0, 0, slu_cli_serve, "run the gateway",
     "Runs until SIGTERM or SIGINT, which let requests in flight end; a second one ends at once.\n"
     "SIGHUP reads the configuration again; when it has a mistake, the old one stays. When "
     "requests\n"
     "are accepted, one line {\"event\":\"ready\",…} is written to standard error.\n",
     serve_options},
    {"check", "[FILE...]", 0, 1000, slu_cli_check, "check configuration and mapping tables",
     "Checks the configuration (--config), the tables of its directory, and the table FILEs, and\n"
     "runs the tables' own cases both ways. Every mistake is told as FILE: POINTER: what. Without\n"
     "--config, --mappings and FILE it checks the tables of the usual directory. Exit code 0 when\n"
     "all is right, 1 when there are mistakes.\n",
     check_options},
    {"explain", "TARGET|DIALECT OPERATION | sign SCHEME FILE", 2, 3, slu_cli_explain,
     "print a compiled table, or how a signature comes about",
     "Prints, for one operation, the native calls and every row as the gateway will run it. "
     "TARGET\n"
     "is a target of the configuration (--config).\n"
     "With the word sign: FILE (\"-\": standard input) holds a JSON array of requests with key, "
     "date\n"
     "and nonce; canonical request, string to sign and authorization of each are printed, one\n"
     "JSON line a request. FILE holds secret keys; use ones that may be seen.\n",
     explain_options},
    {"map", "[FILE|-]", 0, 1, slu_cli_map, "translate a document, offline",
     "Reads a JSON document from FILE or standard input, takes it from one dialect to another (or\n"
     "from or to the canonical form), and prints {\"document\":…,\"loss\":[…]}. Nothing is sent.\n"
     "Documents of a parameter-style API are flat objects of strings; a list's reply is "
     "canonically\n"
     "an array. What cannot be carried, or what only the first dialect knows, is a mistake (exit\n"
     "code 1), unless --lenient is given; in replies it is always listed under loss.\n",
     map_options},
    {"sandbox", "", 0, 0, slu_cli_sandbox, "play every cloud there is a table for",
     "Serves, for each mapping table in the order of their names, a door over a memory cloud of "
     "its\n"
     "own: it verifies signatures, keeps flow logs as long as the process lives, and answers in\n"
     "the cloud's own shapes. The doors' keys are fixed and public, so it listens on loopback "
     "only,\n"
     "unless --access-key and --secret-key-file give it others. When it starts it says, on "
     "standard\n"
     "error, how each cloud's clients are pointed at its door, and how a fault is ordered: the "
     "admin\n"
     "listener takes POST, GET and DELETE /sandbox/faults.\n",
     sandbox_options},
    {"version", "", 0, 0, run_version, "say which version this is", "", no_options},
};

/* ---- help */

static void help_command(struct slu_buf *out, const struct command *command)
{
    slu_buf_printf(out, "sluice %s%s%s%s\n", command->name,
                   command->options->name ? " [OPTIONS]" : "", command->words[0] ? " " : "",
                   command->words);
    slu_buf_printf(out, "  %s\n", command->summary);
    if (command->details[0])
        slu_buf_byte(out, '\n');
    for (struct slu_str rest = slu_str_of(command->details); rest.n;) {
        struct slu_str line = slu_str_cut(&rest, '\n');

        slu_buf_printf(out, "  %.*s\n", SLU_FMT(line));
    }
    if (command->options->name)
        slu_buf_byte(out, '\n');
    for (const struct option *option = command->options; option->name; option++) {
        char head[64];

        snprintf(head, sizeof(head), "--%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        slu_buf_printf(out, "  %-24s %s\n", head, option->help);
    }
}

static void help_all(struct slu_buf *out)
{
    slu_buf_lit(out, "sluice: one REST API for VPC flow logs on any cloud\n\n"
                     "Usage: sluice COMMAND [OPTIONS] [ARGUMENTS]\n\n");
    for (size_t i = 0; i < SLU_COUNT(commands); i++) {
        help_command(out, &commands[i]);
        slu_buf_byte(out, '\n');
    }
    slu_buf_lit(out,
                "  --help         this text; behind a command, that command's\n"
                "  --help-config  every member of the configuration file\n"
                "  --version      the same as version\n\n"
                "An option's value follows it or an equals sign (--config FILE, --config=FILE);"
                " -- ends the options.\n"
                "Exit codes: 0 all is right, 1 mistakes or a failure, 2 wrong use.\n");
}

/* Prints the help that was asked for: all, one command's, or the settings'. */
static int print_help(const struct command *command, bool settings)
{
    struct slu_buf out;
    int code;

    slu_buf_init(&out, 0);
    if (settings)
        slu_config_help(&out);
    else if (command)
        help_command(&out, command);
    else
        help_all(&out);
    code = slu_cli_print(&out);
    slu_buf_done(&out);
    return code;
}

/* ---- arguments */

static const char *near_option(const struct command *command, struct slu_str word)
{
    const char *names[16] = {"help", "help-config"};
    size_t count = 2;

    for (const struct option *option = command->options; option->name; option++)
        names[count++] = option->name;
    return slu_nearest(word, names, count);
}

static int unknown_option(const struct command *command, struct slu_str name)
{
    const char *near = near_option(command, name);

    return slu_cli_misuse("%s has no option --%.*s%s%s%s", command->name, SLU_FMT(name),
                          near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

static const struct option *find_option(const struct command *command, struct slu_str name)
{
    for (const struct option *option = command->options; option->name; option++)
        if (slu_str_is(name, option->name))
            return option;
    return NULL;
}

/* The text of an option as it stands in argv[*at], and its value there or in the next argument. */
static int read_option(const struct command *command, int argc, char **argv, int *at,
                       struct slu_cli *cli)
{
    struct slu_str rest = slu_str_of(argv[*at] + 2);
    struct slu_str name = slu_str_cut(&rest, '=');
    const struct option *option = find_option(command, name);
    const char **held;
    const char *value = rest.p;

    if (!option)
        return unknown_option(command, name);
    if (option->kind == FLAG && value)
        return slu_cli_misuse("--%s takes no value", option->name);
    if (option->kind == FLAG)
        value = option->name;
    else if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value)
        return slu_cli_misuse("--%s needs a value: %s", option->name, option->value);
    if (option->kind == REPEATED) {
        cli->parameters[cli->parameter_count++] = value;
        return SLU_CLI_DONE;
    }
    held = (const char **)((char *)cli + option->at);
    if (*held)
        return slu_cli_misuse("--%s was given twice", option->name);
    *held = value;
    return SLU_CLI_DONE;
}

static int read_arguments(const struct command *command, int argc, char **argv, struct slu_cli *cli)
{
    bool options = true;

    for (int i = 2; i < argc; i++) {
        int code;

        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (!options || argv[i][0] != '-' || argv[i][1] == '\0') {
            cli->words[cli->word_count++] = argv[i];
        } else if (argv[i][1] != '-') {
            return slu_cli_misuse("options are long ones: what is %s?", argv[i]);
        } else if ((code = read_option(command, argc, argv, &i, cli)) != SLU_CLI_DONE) {
            return code;
        }
    }
    if (cli->word_count < command->least || cli->word_count > command->most)
        return slu_cli_misuse("%s takes %s", command->name,
                              command->words[0] ? command->words : "no arguments beside options");
    return SLU_CLI_DONE;
}

/* Help is given wherever it is asked for, before anything else is looked at. */
static bool asks_help(int argc, char **argv, bool *ret_settings)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        *ret_settings = strcmp(argv[i], "--help-config") == 0;
        if (*ret_settings || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < SLU_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *names[SLU_COUNT(commands)];
    const char *near;

    for (size_t i = 0; i < SLU_COUNT(commands); i++)
        names[i] = commands[i].name;
    near = slu_nearest(slu_str_of(word), names, SLU_COUNT(names));
    return slu_cli_misuse("there is no command \"%s\"%s%s%s", word, near ? "; did you mean \"" : "",
                          near ? near : "", near ? "\"?" : "");
}

int slu_cli_run(int argc, char **argv)
{
    struct slu_cli cli = {.word_count = 0};
    const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
    bool settings = false;
    int code;

    if (asks_help(argc, argv, &settings))
        return print_help(command, settings);
    if (argc < 2)
        return slu_cli_misuse("a command is needed");
    if (strcmp(argv[1], "--version") == 0)
        return run_version(NULL);
    if (!command)
        return unknown_command(argv[1]);
    cli.words = slu_mem_array((size_t)argc, sizeof(*cli.words));
    cli.parameters = slu_mem_array((size_t)argc, sizeof(*cli.parameters));
    if (!cli.words || !cli.parameters)
        code = slu_cli_fail("out of memory");
    else if ((code = read_arguments(command, argc, argv, &cli)) == SLU_CLI_DONE)
        code = command->run(&cli);
    slu_mem_free(cli.words);
    slu_mem_free(cli.parameters);
    return code;
}

/* ---- what the commands share */

int slu_cli_mistakes(const struct slu_mistakes *mistakes)
{
    size_t told = 0;

    for (const struct slu_mistake *one = mistakes->first; one; one = one->next, told++)
        fprintf(stderr, "%.*s%s%.*s\n", SLU_FMT(one->pointer), one->pointer.n ? ": " : "",
                SLU_FMT(one->detail));
    if (mistakes->count > told)
        fprintf(stderr, "and %zu more\n", mistakes->count - told);
    if (mistakes->failed)
        fprintf(stderr, "sluice: out of memory\n");
    return SLU_CLI_MISTAKES;
}

int slu_cli_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "sluice: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return SLU_CLI_MISTAKES;
}

int slu_cli_misuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "sluice: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " (see sluice --help)\n");
    va_end(args);
    return SLU_CLI_USAGE;
}

int slu_cli_print(const struct slu_buf *out)
{
    if (out->failed)
        return slu_cli_fail("out of memory");
    if ((out->n && fwrite(out->p, 1, out->n, stdout) != out->n) || fflush(stdout) != 0)
        return slu_cli_fail("cannot write to standard output: %s", strerror(errno));
    return SLU_CLI_DONE;
}

static bool read_stream(FILE *stream, const char *name, struct slu_buf *text)
{
    enum { PIECE = 65536 };
    size_t got = 1;

    while (got) {
        if (!slu_buf_reserve(text, PIECE)) {
            slu_cli_fail("%s: it is too large", name);
            return false;
        }
        got = fread(text->p + text->n, 1, PIECE, stream);
        text->n += got;
        if (ferror(stream)) {
            slu_cli_fail("%s: %s", name, strerror(errno));
            return false;
        }
    }
    return true;
}

bool slu_cli_read(const char *file, struct slu_buf *text)
{
    FILE *stream;
    bool read;

    if (strcmp(file, "-") == 0)
        return read_stream(stdin, "standard input", text);
    stream = fopen(file, "rbe");
    if (!stream) {
        slu_cli_fail("%s: %s", file, strerror(errno));
        return false;
    }
    read = read_stream(stream, file, text);
    fclose(stream);
    return read;
}

struct slu_table *slu_cli_table(const char *mappings, const char *beside, struct slu_str dialect,
                                struct slu_mistakes *mistakes)
{
    struct slu_table_files files;
    const char *directory =
        slu_tables_directory(mistakes->arena, mappings, beside, "--mappings", mistakes);
    const char *names[64];
    const char *near;
    size_t count = 0;

    if (!directory || !slu_tables_list(mistakes->arena, directory, "--mappings", &files, mistakes))
        return NULL;
    for (size_t i = 0; i < files.count; i++) {
        struct slu_str stem = slu_arena_str(mistakes->arena, slu_tables_stem(files.paths[i]));

        if (slu_str_eq(stem, dialect))
            return slu_config_table(files.paths[i], mistakes);
        if (stem.p && count < SLU_COUNT(names))
            names[count++] = stem.p;
    }
    near = count ? slu_nearest(dialect, names, count) : NULL;
    slu_mistake(mistakes, SLU_FAULT_CONFIG, SLU_STR(""),
                "%s: there is no mapping table \"%.*s\"%s%s%s", directory, SLU_FMT(dialect),
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}
