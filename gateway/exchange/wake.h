/*
 * A call across threads to a job that may have ended when it arrives: whoever holds a lock of the
 * whole process may make it, and it does no more than post a note to the job's loop. One wake
 * serves any number of calls.
 */
#ifndef SLU_EXCHANGE_WAKE_H
#define SLU_EXCHANGE_WAKE_H

#include "net/loop.h"

struct slu_wake;

/* Keeps a wake that is there already. False on no memory. */
SLU_NODISCARD bool slu_wake_init(struct slu_wake **wake, struct slu_loop *loop, slu_loop_fn *fn,
                                 void *argument);
/* Any thread; `wake` is a struct slu_wake. Not after slu_wake_done(). */
void slu_wake_call(void *wake);
/* On the loop's thread: `fn` will not be called any more. Sets the pointer to NULL. */
void slu_wake_done(struct slu_wake **wake);

#endif
