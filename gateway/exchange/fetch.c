/* Tokens: a target whose scheme needs one gets it here, once for all who wait. */
#include "exchange/exchange_internal.h"

enum slu_job_step slu_fetch(struct slu_job *job)
{
    (void)job;
    return JOB_TRANSLATE;
}

bool slu_fetch_again(struct slu_job *job)
{
    (void)job;
    return false;
}
