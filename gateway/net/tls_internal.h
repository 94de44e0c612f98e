/* What a connection needs of a TLS context. */
#ifndef SLU_NET_TLS_INTERNAL_H
#define SLU_NET_TLS_INTERNAL_H

#include "net/tls.h"

#include <openssl/ssl.h>

/* The context lives as long as somebody holds a count on `tls`. */
SSL_CTX *slu_tls_context(const struct slu_tls *tls);

/* On the connecting side: told of each session the peer gives; it takes over the session's count.
 * The hook lives as long as the SSL. */
struct slu_tls_hook {
    void (*keep)(void *owner, SSL_SESSION *session);
    void *owner;
};
SLU_NODISCARD bool slu_tls_set_hook(SSL *ssl, struct slu_tls_hook *hook);

#endif
