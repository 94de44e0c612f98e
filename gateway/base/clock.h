/*
 * Time and randomness from the system. Layers without I/O get both passed in; only net, exchange
 * and app ask here.
 */
#ifndef SLU_BASE_CLOCK_H
#define SLU_BASE_CLOCK_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

int64_t slu_clock_real_s(void);   /* Unix time, seconds */
int64_t slu_clock_real_ms(void);  /* Unix time, milliseconds */
uint64_t slu_clock_mono_us(void); /* never goes back; for spans */
/* Bytes from the kernel's generator; false when it cannot give any. */
SLU_NODISCARD bool slu_random(void *bytes, size_t count);

#endif
