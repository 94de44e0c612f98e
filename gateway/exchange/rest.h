/* The REST routes' own steps, named in routes.c. Each answers the step that follows ADMIT. */
#ifndef SLU_EXCHANGE_REST_H
#define SLU_EXCHANGE_REST_H

#include "exchange/exchange_internal.h"

enum slu_step slu_rest_openapi(struct slu_exchange *x);
enum slu_step slu_rest_targets(struct slu_exchange *x);
enum slu_step slu_rest_target(struct slu_exchange *x);
enum slu_step slu_rest_write(struct slu_exchange *x);
enum slu_step slu_rest_read(struct slu_exchange *x);

/* dialects.c: what can be done */
enum slu_step slu_rest_dialects(struct slu_exchange *x);
enum slu_step slu_rest_dialect(struct slu_exchange *x);
enum slu_step slu_rest_schema(struct slu_exchange *x);
/* Takes the body of a translation. */
enum slu_step slu_rest_translate(struct slu_exchange *x);

#endif
