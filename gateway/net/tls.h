/*
 * TLS contexts for both sides: TLS 1.2 and 1.3 only, no renegotiation, no compression, sessions
 * resumed. A context is shared by all threads once it is made; it is counted.
 */
#ifndef SLU_NET_TLS_H
#define SLU_NET_TLS_H

#include "base/fault.h"

struct slu_tls;

struct slu_tls_server_conf {
    const char *certificate, *key; /* PEM files: chain, private key */
    const char *client_ca;         /* or NULL: no client certificates are asked for */
};
struct slu_tls_client_conf {
    const char *ca;                /* PEM file; NULL is the system store */
    const char *certificate, *key; /* or NULL */
};

/* Faults are SLU_FAULT_CONFIG with the file's name as the place; key bytes are never quoted. */
SLU_NODISCARD bool slu_tls_server_new(const struct slu_tls_server_conf *conf,
                                      struct slu_tls **ret_tls, struct slu_fault *fault);
SLU_NODISCARD bool slu_tls_client_new(const struct slu_tls_client_conf *conf,
                                      struct slu_tls **ret_tls, struct slu_fault *fault);
struct slu_tls *slu_tls_ref(struct slu_tls *tls);
void slu_tls_free(struct slu_tls *tls); /* drops one reference */
SLU_AUTO_DEFINE(slu_tls)

#endif
