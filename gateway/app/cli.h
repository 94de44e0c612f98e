/*
 * The command line: commands and their options stand in one table, from which parsing, "did you
 * mean" and every help text come. A command is one function that gets what was read and answers
 * the process's exit code: 0, 1 for mistakes, 2 for a wrong use of the command line.
 */
#ifndef SLU_APP_CLI_H
#define SLU_APP_CLI_H

#include "base/buf.h"
#include "base/fault.h"

struct slu_table;

enum { SLU_CLI_DONE, SLU_CLI_MISTAKES, SLU_CLI_USAGE };

/* What was given; NULL where it was not. The texts are the process's own. */
struct slu_cli {
    const char *config, *mappings;
    const char *from, *to, *operation, *side;
    const char *listen, *port, *access_key, *secret_key_file;
    const char *lenient; /* a flag: not NULL */
    const char **parameters;
    size_t parameter_count;
    const char **words;
    size_t word_count;
};

/* Runs what the arguments say. */
int slu_cli_run(int argc, char **argv);

/* ---- the commands */

int slu_cli_serve(const struct slu_cli *cli);
int slu_cli_check(const struct slu_cli *cli);
int slu_cli_explain(const struct slu_cli *cli);
int slu_cli_map(const struct slu_cli *cli);
int slu_cli_sandbox(const struct slu_cli *cli);

/* ---- what they share */

/* One line each to standard error, "PLACE: what"; answers SLU_CLI_MISTAKES. */
int slu_cli_mistakes(const struct slu_mistakes *mistakes);
/* "sluice: …" to standard error; the second one adds where help is. Answer the exit code. */
int slu_cli_fail(const char *format, ...) SLU_PRINTF(1, 2);
int slu_cli_misuse(const char *format, ...) SLU_PRINTF(1, 2);
/* To standard output; answers the exit code. */
int slu_cli_print(const struct slu_buf *out);
/* The file, or standard input when it is "-". False when it said why to standard error. */
SLU_NODISCARD bool slu_cli_read(const char *file, struct slu_buf *text);
/* The table of a dialect, by the command's --mappings or the usual places (`beside`: the
 * configuration file, or NULL). NULL with mistakes. */
SLU_NODISCARD struct slu_table *slu_cli_table(const char *mappings, const char *beside,
                                              struct slu_str dialect,
                                              struct slu_mistakes *mistakes);

#endif
