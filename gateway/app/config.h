/*
 * The configuration file becomes a catalog. Settings stand in one table (key, type, default, unit,
 * reloadable, help), from which the checks, `--help-config` and the documentation come.
 */
#ifndef SLU_APP_CONFIG_H
#define SLU_APP_CONFIG_H

#include "cloud/catalog.h"

#include <jansson.h>

/*
 * Reads and checks the whole file and all tables it needs; every mistake is recorded with file and
 * pointer. Secrets are read from files and environment; the environment's are kept (wiped from the
 * environment, by the process's first load) so that a reload still has them. NULL with mistakes.
 */
SLU_NODISCARD struct slu_catalog *slu_config_load(const char *file, struct slu_mistakes *mistakes);
/* The same from a tree (sandbox). `name` stands for the file in messages. */
SLU_NODISCARD struct slu_catalog *slu_config_from(const json_t *root, const char *name,
                                                  struct slu_mistakes *mistakes);
/* Every setting with type, default, unit, whether a reload takes it over, and help. */
void slu_config_help(struct slu_buf *out);

#endif
