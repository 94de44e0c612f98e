/*
 * The catalog: configuration, credentials and compiled tables of one moment, sealed and counted.
 * Each request keeps the catalog it began with; a reload builds a new one beside it and swaps a
 * pointer.
 *
 * The structures are open, unlike elsewhere, because they are plain facts that never change after
 * sealing and are read on the hot path. Whoever fills them is app/config.c; nobody else writes.
 */
#ifndef SLU_CLOUD_CATALOG_H
#define SLU_CLOUD_CATALOG_H

#include "base/arena.h"
#include "base/log.h"
#include "base/secret.h"
#include "cloud/breaker.h"
#include "mapping/table.h"
#include "model/flow_log.h"
#include "sign/sign.h"

/* Of a target, a caller, an alias: letters, digits, ".", "_" and "-". */
enum { SLU_NAME_MOST = 64 };

struct slu_key_source { /* where a secret came from, for a reload; never its value */
    struct slu_str env, file;
};

/* Where a scheme that needs a token asks for it; taken apart like a target's endpoint. */
struct slu_token_endpoint {
    bool https;
    struct slu_str scheme, host;
    const char *dns_host; /* NULL: the scheme needs no token */
    uint16_t port;
    struct slu_str base_path;
};

struct slu_credentials {
    const struct slu_scheme *scheme;            /* NULL: the target needs none (memory) */
    int scheme_index;                           /* in the table's list */
    struct slu_secret *access_key, *secret_key; /* or a user's name and password */
    struct slu_secret *security_token;          /* may be NULL */
    struct slu_str region, service;             /* that the key is bound to; may be empty */
    struct slu_str domain, project;             /* of the user; that the token is for */
    struct slu_token_endpoint token;
};

struct slu_target {
    struct slu_str name;
    bool memory; /* the built-in memory cloud; then there is no table, no endpoint */
    const struct slu_table *table; /* owned by the catalog */
    struct slu_str dialect;
    struct slu_vars parameters;
    struct slu_credentials credentials;
    struct slu_str reply; /* the encoding that replies are asked for in; the table's var `reply` */

    /* endpoint, taken apart */
    bool https;
    struct slu_str scheme; /* "http", "https" */
    struct slu_str host;   /* Host field: with port where it is not the default one */
    const char *dns_host;  /* without brackets and port */
    uint16_t port;
    struct slu_str base_path; /* "" or "/prefix", goes before the table's paths */

    bool curl;                                                /* transport */
    const char *ca, *client_certificate, *client_key, *proxy; /* or NULL */
    uint32_t connect_timeout_ms, timeout_ms, total_timeout_ms;
    uint32_t max_in_flight, queue; /* all workers together */
    uint32_t rate_per_s, burst;    /* 0: any rate */
    uint32_t retries;              /* of one native call */
    struct slu_breaker_conf breaker;
    uint32_t reply_bytes;
    uint32_t settle_ms; /* memory: how long a change goes on behind its reply */
    uint32_t quota;     /* memory: how many flow logs there may be */
    const struct slu_alias *resources, *destinations;
    size_t resource_count, destination_count;
};

struct slu_caller {
    struct slu_str name;
    unsigned char key_sha256[32]; /* of the bearer key; doors' callers may have none */
    bool has_key;
    bool read, write;
    const struct slu_str *targets; /* names, or "*" */
    size_t target_count;
};

struct slu_door_key {
    const struct slu_caller *caller;
    struct slu_secret *access_key, *secret_key, *security_token;
};

struct slu_listener {
    const char *address;                       /* "127.0.0.1:8080" */
    const char *certificate, *key, *client_ca; /* NULL without TLS */
};

struct slu_door {
    struct slu_listener listener;
    const struct slu_table *table;
    const struct slu_target *target;
    struct slu_vars parameters;
    const struct slu_scope *scopes; /* one a scheme of the table; what is not configured is empty */
    const struct slu_door_key *keys;
    size_t key_count;
    const struct slu_alias *resources, *destinations;
    size_t resource_count, destination_count;
};

struct slu_limits {
    uint32_t body_bytes;    /* of a caller's request; default 65536 */
    uint32_t connections;   /* all workers together; 0 = a little less than half of RLIMIT_NOFILE */
    uint32_t request_bytes; /* memory one request may use */
    uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    uint32_t wait_most_s;       /* the longest Prefer: wait */
    uint64_t body_memory_bytes; /* all bodies and replies in flight together */
};

/* Where writes are journalled; both NULL: nowhere. Taken at the start, but for look_for_s. */
struct slu_store {
    struct slu_str sqlite;         /* a file */
    struct slu_secret *postgresql; /* a connection string */
    uint32_t retention_s;
    uint32_t look_for_s; /* while nobody can look */
};

struct slu_catalog {
    struct slu_arena arena; /* everything below lies here, but for tables and secrets */
    const struct slu_listener *listeners;
    size_t listener_count;
    struct slu_listener admin; /* address NULL: none */
    struct slu_table **tables;
    size_t table_count;
    struct slu_target *targets; /* sorted by name */
    size_t target_count;
    struct slu_caller *callers;
    size_t caller_count;
    struct slu_door *doors;
    size_t door_count;
    struct slu_store store;
    struct slu_limits limits;
    uint32_t workers; /* at least 1 */
    enum slu_log_level log_level;
    bool access_log;
    _Atomic unsigned references;
};

/* An empty catalog with one reference; its arena is ready. */
SLU_NODISCARD struct slu_catalog *slu_catalog_new(void);
struct slu_catalog *slu_catalog_ref(const struct slu_catalog *catalog);
/* Drops one reference; the last one frees tables, wipes secrets, frees the arena. */
void slu_catalog_free(struct slu_catalog *catalog);
SLU_AUTO_DEFINE(slu_catalog)

const struct slu_target *slu_catalog_target(const struct slu_catalog *catalog, struct slu_str name);
const struct slu_table *slu_catalog_table(const struct slu_catalog *catalog,
                                          struct slu_str dialect);
/* All that a seal of these credentials needs; it borrows their texts. */
struct slu_seal_conf slu_credentials_conf(const struct slu_credentials *credentials);
/* The caller with this bearer key, compared in constant time over all callers; NULL when none. */
const struct slu_caller *slu_catalog_caller(const struct slu_catalog *catalog, struct slu_str key);
bool slu_caller_may_use(const struct slu_caller *caller, struct slu_str target);
const struct slu_alias *slu_alias_find(const struct slu_alias *aliases, size_t count,
                                       struct slu_str name);

/*
 * Aliases backwards: the same thing by the name that both sides have for it. `from` knows these
 * members, `to` is where they are going.
 */
enum slu_alias_fit {
    SLU_ALIAS_NONE,  /* nothing at `from` has these members */
    SLU_ALIAS_ALONE, /* it has a name there (ret_from), but `to` knows no such name */
    SLU_ALIAS_FOUND
};
struct slu_aliases {
    const struct slu_alias *items;
    size_t count;
};
/* An alias fits when each of its members is said; `whole`: and nothing else is, but for nulls. Of
 * several that fit the one that says most. */
enum slu_alias_fit slu_alias_carry(struct slu_aliases from, struct slu_aliases to,
                                   const struct slu_value *members, bool whole,
                                   const struct slu_alias **ret_from,
                                   const struct slu_alias **ret_to);

/*
 * Puts resource_alias and destination.alias in place of what they stand for, in the document
 * itself. Unknown alias: a mistake (INVALID) that lists the names there are.
 */
bool slu_aliases_resolve(const struct slu_target *target, struct slu_value *flow_log,
                         struct slu_arena *arena, struct slu_mistakes *mistakes);

#endif
