/*
 * The configuration file becomes a catalog. Settings stand in one table (key, type, default, unit,
 * reloadable, help), from which the checks, `--help-config` and the documentation come.
 */
#ifndef SLU_APP_CONFIG_H
#define SLU_APP_CONFIG_H

#include "cloud/catalog.h"

#include <jansson.h>

/*
 * Reads and checks the whole file and all tables of its directory; every mistake is recorded, and
 * its `pointer` begins with the file it is in: "sluice.json: /targets/x/endpoint". Where a file
 * cannot be read at all the pointer is empty and the words begin with the file's name.
 *
 * Secrets are read from files and environment; the environment's are kept (and wiped from the
 * environment) so that a reload still has them. No message quotes one. NULL with mistakes.
 */
SLU_NODISCARD struct slu_catalog *slu_config_load(const char *file, struct slu_mistakes *mistakes);
/* The same from a tree (sandbox). `name` stands for the file in messages. */
SLU_NODISCARD struct slu_catalog *slu_config_from(const json_t *root, const char *name,
                                                  struct slu_mistakes *mistakes);
/* One mapping table, its mistakes told with the file as above. NULL with mistakes. */
SLU_NODISCARD struct slu_table *slu_config_table(const char *file, struct slu_mistakes *mistakes);
/* Hands the mistakes of one file on, with its name before each pointer. */
void slu_config_hand_on(struct slu_mistakes *to, const struct slu_mistakes *found,
                        const char *file);
/* Every setting with type, default, unit, whether a reload takes it over, and help. */
void slu_config_help(struct slu_buf *out);

#endif
