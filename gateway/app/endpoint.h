/*
 * Addresses as people write them into the configuration: a cloud's endpoint (an absolute URL) and
 * an address to listen on. Read strictly, because what is lenient here is sent to a cloud with a
 * signature. Reasons never quote the text: it may hold a password.
 */
#ifndef SLU_APP_ENDPOINT_H
#define SLU_APP_ENDPOINT_H

#include "base/arena.h"

struct slu_endpoint {
    bool https;
    struct slu_str scheme; /* "http", "https" */
    struct slu_str host;   /* the Host field: with port where it is not the default one */
    const char *dns_host;  /* lower case, without brackets and port */
    uint16_t port;
    struct slu_str base_path; /* "" or "/prefix" */
    bool loopback;            /* localhost, 127.0.0.0/8, ::1 */
};

/* False with a reason for a person (a constant text). Texts lie in the arena. */
SLU_NODISCARD bool slu_endpoint_read(struct slu_arena *arena, struct slu_str url,
                                     struct slu_endpoint *ret_endpoint, const char **ret_why);

struct slu_address {
    const char *text; /* "127.0.0.1:8080", "[::1]:8080": numeric always */
    uint16_t port;    /* 0: the system picks one */
    bool loopback;
};

/* "host:port" with a numeric host, or localhost (which becomes 127.0.0.1). */
SLU_NODISCARD bool slu_address_read(struct slu_arena *arena, struct slu_str text,
                                    struct slu_address *ret_address, const char **ret_why);

#endif
