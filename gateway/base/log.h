/*
 * The process's own log: one JSON object a line on standard error. Below exchange/ only debug and
 * trace are used (a fault travels up instead). Requests have their own access line, see exchange/.
 */
#ifndef SLU_BASE_LOG_H
#define SLU_BASE_LOG_H

#include "base/mem.h"
#include "base/str.h"

enum slu_log_level { SLU_LOG_ERROR, SLU_LOG_WARN, SLU_LOG_INFO, SLU_LOG_DEBUG, SLU_LOG_TRACE };

void slu_log_set(enum slu_log_level most);
bool slu_log_wants(enum slu_log_level level);
/* "error", "warn", "info", "debug", "trace". */
bool slu_log_level_of(struct slu_str word, enum slu_log_level *ret_level);

/* {"time":…,"level":…,"event":EVENT,"message":…}; one write(2) a line, so that threads do not mix.
 */
void slu_log(enum slu_log_level level, const char *event, const char *format, ...) SLU_PRINTF(3, 4);

#endif
