/*
 * Secrets of the configuration: read from their source, checked, and never quoted. What came from
 * the environment is kept by the process, so that the environment can be wiped after the start and
 * a reload still has it.
 *
 * For the main thread only.
 */
#ifndef SLU_APP_SECRETS_H
#define SLU_APP_SECRETS_H

#include "base/fault.h"
#include "base/secret.h"

#include <jansson.h>

/*
 * Reads {"env"}, {"file"} or {"value"}, or a plain string. NULL with a mistake recorded at
 * `pointer`; NULL without one when `source` has not the shape of a secret, which whoever checked
 * the shape has told. `in_header`: it will stand in a header field, so it may hold neither blanks
 * nor characters outside ASCII.
 */
SLU_NODISCARD struct slu_secret *slu_secret_read(const json_t *source, struct slu_str pointer,
                                                 bool in_header, struct slu_mistakes *mistakes);
/* Overwrites and removes every environment variable that a secret was read from. */
void slu_secrets_wipe_environment(void);
/* Forgets what was kept; at the end of the process, and between tests. */
void slu_secrets_forget(void);

#endif
