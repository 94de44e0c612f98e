/*
 * SHA-256 and HMAC (SHA-1 for one old signing scheme) through OpenSSL's EVP, with the algorithms
 * fetched once for the process and a keyed HMAC that is rewound instead of built anew (0.19 against
 * 0.9 microseconds).
 */
#ifndef SLU_CODEC_DIGEST_H
#define SLU_CODEC_DIGEST_H

#include "base/mem.h"
#include "base/str.h"

enum { SLU_SHA256_SIZE = 32, SLU_SHA256_HEX = 64, SLU_SHA1_SIZE = 20 };

/* False only when OpenSSL fails (no memory). */
SLU_NODISCARD bool slu_sha256(struct slu_str bytes, unsigned char digest[SLU_SHA256_SIZE]);
/* 64 lower-case digits, no NUL. */
SLU_NODISCARD bool slu_sha256_hex(struct slu_str bytes, char hex[SLU_SHA256_HEX]);

/* HMAC-SHA256 (or HMAC-SHA1) under one key; belongs to one thread. The key is wiped on free. */
struct slu_hmac;
SLU_NODISCARD struct slu_hmac *slu_hmac_new(struct slu_str key);
SLU_NODISCARD struct slu_hmac *slu_hmac_sha1_new(struct slu_str key);
void slu_hmac_free(struct slu_hmac *hmac);
SLU_AUTO_DEFINE(slu_hmac)
SLU_NODISCARD bool slu_hmac_sha256(struct slu_hmac *hmac, struct slu_str bytes,
                                   unsigned char digest[SLU_SHA256_SIZE]);
SLU_NODISCARD bool slu_hmac_sha1(struct slu_hmac *hmac, struct slu_str bytes,
                                 unsigned char digest[SLU_SHA1_SIZE]);

#endif
