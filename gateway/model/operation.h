/* The operations on a flow log, in the canonical words that routes, tables and logs share. */
#ifndef SLU_MODEL_OPERATION_H
#define SLU_MODEL_OPERATION_H

#include "base/str.h"

enum slu_operation {
    SLU_OP_CREATE,
    SLU_OP_GET,
    SLU_OP_LIST,
    SLU_OP_UPDATE,
    SLU_OP_ENABLE,
    SLU_OP_DISABLE,
    SLU_OP_DELETE,
    SLU_OP_COUNT
};

/* A document travels in the request or in the reply of an operation. */
enum slu_side { SLU_REQUEST, SLU_REPLY };

const char *slu_operation_name(enum slu_operation operation); /* "create", "get", … */
bool slu_operation_of(struct slu_str name, enum slu_operation *ret_operation);
bool slu_operation_writes(enum slu_operation operation); /* false for get and list */

#endif
