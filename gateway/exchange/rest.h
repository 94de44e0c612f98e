/* The REST routes' own steps, named in routes.c. Each answers the step that follows ADMIT. */
#ifndef SLU_EXCHANGE_REST_H
#define SLU_EXCHANGE_REST_H

#include "exchange/exchange_internal.h"

enum slu_step slu_rest_openapi(struct slu_exchange *x);
enum slu_step slu_rest_targets(struct slu_exchange *x);
enum slu_step slu_rest_target(struct slu_exchange *x);
enum slu_step slu_rest_write(struct slu_exchange *x);
enum slu_step slu_rest_read(struct slu_exchange *x);

#endif
