/*
 * A secret: bytes that are never printed, compared in constant time and wiped when freed. The type
 * is opaque so that no format string can reach it; whoever needs the bytes says so with
 * slu_secret_reveal(), which is easy to search for.
 */
#ifndef SLU_BASE_SECRET_H
#define SLU_BASE_SECRET_H

#include "base/mem.h"
#include "base/str.h"

struct slu_secret;

SLU_NODISCARD struct slu_secret *slu_secret_new(struct slu_str bytes);
void slu_secret_free(struct slu_secret *secret);
SLU_AUTO_DEFINE(slu_secret)
struct slu_str slu_secret_reveal(const struct slu_secret *secret);
/* Overwrites memory in a way the compiler keeps. */
void slu_wipe(void *bytes, size_t count);
/* The time does not depend on where the texts differ, only on their lengths. */
bool slu_equal_secretly(struct slu_str a, struct slu_str b);

#endif
