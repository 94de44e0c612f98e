/*
 * Nonces that doors have seen, one place for the whole process: a signature with a nonce serves
 * once. Thread-safe, bounded, and asks no clock.
 *
 * Only a keyed digest of 64 bits is kept of each, until the signature would be refused for its time
 * anyway. A fresh nonce is taken for one seen before once in 2^64 / entries.
 */
#ifndef SLU_CLOUD_NONCES_H
#define SLU_CLOUD_NONCES_H

#include "base/mem.h"
#include "base/str.h"

struct slu_nonces;

enum { SLU_NONCES_SECRET = 16, SLU_NONCES_MOST = 1000000 };

/* `secret` is random and of this process, so that nobody can choose digests that collide. At most
 * `most` nonces (a little more, by rounding) are kept; memory is taken as they come, 16 to 64 bytes
 * for each. `skew_s` is the window of slu_verify(). */
SLU_NODISCARD struct slu_nonces *slu_nonces_new(const unsigned char secret[SLU_NONCES_SECRET],
                                                size_t most, int64_t skew_s);
void slu_nonces_free(struct slu_nonces *nonces);
SLU_AUTO_DEFINE(slu_nonces)

enum slu_nonce {
    SLU_NONCE_NEW,
    SLU_NONCE_SEEN, /* a replay, or a client that does not change its nonce */
    SLU_NONCE_FULL, /* no room (or no memory): the request is refused as busy, not let through */
};

/* To be asked after the signature was verified, so that nobody fills the place without a key. */
SLU_NODISCARD enum slu_nonce slu_nonces_take(struct slu_nonces *nonces, struct slu_str door,
                                             struct slu_str access_key, struct slu_str nonce,
                                             int64_t unix_s, int64_t now_s);

#endif
