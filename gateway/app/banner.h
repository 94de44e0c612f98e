/* What the sandbox says when it starts: where its doors are, how clients of each cloud are pointed
 * at them, and how a fault is ordered. For people; the ready line behind it is for programs. */
#ifndef SLU_APP_BANNER_H
#define SLU_APP_BANNER_H

#include "base/buf.h"
#include "cloud/catalog.h"

/* `secret`: the doors' secret key where everyone may see it; NULL: it is not shown. */
void slu_banner_write(const struct slu_catalog *catalog, const char *secret, struct slu_buf *out);

#endif
