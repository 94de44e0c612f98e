/* The operations' words. */
#include "model/operation.h"

#include "base/mem.h"

static const char *const names[] = {
    [SLU_OP_CREATE] = "create", [SLU_OP_GET] = "get",       [SLU_OP_LIST] = "list",
    [SLU_OP_UPDATE] = "update", [SLU_OP_ENABLE] = "enable", [SLU_OP_DISABLE] = "disable",
    [SLU_OP_DELETE] = "delete",
};

const char *slu_operation_name(enum slu_operation operation)
{
    slu_must((size_t)operation < SLU_COUNT(names));
    return names[operation];
}

bool slu_operation_of(struct slu_str name, enum slu_operation *ret_operation)
{
    for (size_t i = 0; i < SLU_COUNT(names); i++)
        if (slu_str_is(name, names[i])) {
            *ret_operation = (enum slu_operation)i;
            return true;
        }
    return false;
}

bool slu_operation_writes(enum slu_operation operation)
{
    return operation != SLU_OP_GET && operation != SLU_OP_LIST;
}
