/* For nonces.c and its test, which holds the digest against the reference's vectors. */
#ifndef SLU_CLOUD_NONCES_INTERNAL_H
#define SLU_CLOUD_NONCES_INTERNAL_H

#include "base/str.h"

/* SipHash-2-4 of one text shorter than 256 bytes; several are absorbed one after the other. */
uint64_t slu_nonces_digest(const uint64_t secret[2], const struct slu_str *texts, size_t count);

#endif
