/*
 * The running gateway: worker threads with one loop each, the admin listener, signals. SIGHUP
 * reloads, SIGTERM and SIGINT drain and end, a second one ends at once.
 */
#ifndef SLU_EXCHANGE_GATEWAY_H
#define SLU_EXCHANGE_GATEWAY_H

#include "cloud/catalog.h"

/* Builds a new catalog, or answers NULL with mistakes recorded; then the old one stays. */
typedef struct slu_catalog *slu_gateway_reload_fn(void *user, struct slu_mistakes *mistakes);

/*
 * Serves until it is told to end; takes the caller's reference of the catalog. Prints one line
 * {"event":"ready",…} to standard error when it accepts requests. Answers the process's exit code:
 * 0 after an orderly end, 1 when it could not start (the reason is logged).
 */
int slu_gateway_run(struct slu_catalog *catalog, slu_gateway_reload_fn *reload, void *user);

#endif
