/*
 * What the files of store/ share: a command as it waits in the queue, the table of verbs, and the
 * interface of an engine.
 */
#ifndef SLU_STORE_JOURNAL_INTERNAL_H
#define SLU_STORE_JOURNAL_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/journal.h"

/* The columns of an operation in the order of every SELECT and RETURNING: those with text, those
 * with a number, and the state. */
#define SLU_STORE_TEXTS(X)                                                                         \
    X(id, id)                                                                                      \
    X(caller, caller)                                                                              \
    X(scope, scope)                                                                                \
    X(key, idempotency_key)                                                                        \
    X(digest, digest)                                                                              \
    X(targets, targets)                                                                            \
    X(operation, operation)                                                                        \
    X(flow_log_id, flow_log_id)                                                                    \
    X(request, request)                                                                            \
    X(wishes, wishes)                                                                              \
    X(token, token)                                                                                \
    X(fingerprint, fingerprint)                                                                    \
    X(parts, parts)                                                                                \
    X(upstream, upstream)                                                                          \
    X(headers, headers)                                                                            \
    X(body, body)                                                                                  \
    X(owner, owner)                                                                                \
    X(claim, claim)
#define SLU_STORE_NUMBERS(X)                                                                       \
    X(attempts, attempts)                                                                          \
    X(status, status)                                                                              \
    X(created_ms, created_ms)                                                                      \
    X(updated_ms, updated_ms)                                                                      \
    X(begun_ms, begun_ms)                                                                          \
    X(expires_ms, expires_ms)

enum {
#define SLU_STORE_ONE(member, column) +1
    SLU_STORE_COLUMNS = 1 SLU_STORE_TEXTS(SLU_STORE_ONE) SLU_STORE_NUMBERS(SLU_STORE_ONE),
#undef SLU_STORE_ONE
    SLU_STORE_PARAMS = 20
};

enum slu_store_verb {
    SLU_STORE_BEGIN,      /* with a key */
    SLU_STORE_BEGIN_FREE, /* without */
    SLU_STORE_NOTE,
    SLU_STORE_SETTLE,
    SLU_STORE_SETTLE_FREE, /* the key becomes free again */
    SLU_STORE_ABANDON,     /* what a failed begin may have left */
    SLU_STORE_DISCARD,     /* what was withdrawn */
    SLU_STORE_DISOWN,      /* what a failed claim may have made ours */
    SLU_STORE_LOCK,
    SLU_STORE_UNLOCK,
    SLU_STORE_CLAIM,
    SLU_STORE_RENEW, /* the owner's lease */
    SLU_STORE_PRUNE, /* operations; then owners and locks that nobody needs */
    SLU_STORE_PRUNE_OWNERS,
    SLU_STORE_PRUNE_LOCKS,
    SLU_STORE_LEAVE, /* gives the owner's lease back */
    SLU_STORE_GET,
    SLU_STORE_FIND,
    SLU_STORE_REMOVED,
    SLU_STORE_LIST,
    SLU_STORE_VERBS
};

enum { SLU_STORE_CLAIM_GRACE = 3 }; /* a claim's parameter, in milliseconds */

/* What becomes of a command while the store cannot be written. */
enum slu_store_wait { SLU_STORE_AT_ONCE, SLU_STORE_PATIENT, SLU_STORE_KEPT };

struct slu_store_verb_info {
    const char *name;
    const char *sql; /* see slu_store_sql() */
    bool writes;
    bool rows; /* answers whole operations, not only how many there were */
    enum slu_store_wait wait;
    unsigned rank; /* the order within a transaction, so that replicas lock in the same order */
    /* For an engine that counts the rows it changes, tried first: the same where it changes one. */
    const char *quick;
};
extern const struct slu_store_verb_info slu_store_verbs[SLU_STORE_VERBS];

enum slu_store_kind { SLU_STORE_NULL, SLU_STORE_TEXT, SLU_STORE_NUMBER };

struct slu_store_param {
    enum slu_store_kind kind;
    struct slu_str text; /* NUL-terminated */
    int64_t number;
};

struct slu_store_command {
    struct slu_journal_reply reply; /* first: the callee frees the command by it */
    enum slu_store_verb verb;
    bool tried; /* a transaction with it was begun, so it may have been committed */
    uint64_t number, until_us;
    size_t most; /* of a list */
    slu_journal_done_fn *done;
    void *user;
    struct slu_store_command *next;
    /* What takes a begin, claim or lock back, also one that failed and may have been committed all
     * the same; made with it, so that there is no failing then. */
    struct slu_store_command *undo;
    struct slu_arena arena; /* the reply's records */
    size_t room;            /* records there is room for */
    size_t affected;        /* rows of the answer, also of verbs that answer none */
    size_t size;
    size_t params;
    struct slu_store_param param[SLU_STORE_PARAMS];
    char texts[];
};

/* One row of the answer. Called by engines, `cells` as the engine has them: text, NULL for none.
 * False, with the reply's fault, when there is no memory for it. */
SLU_NODISCARD bool slu_store_row(struct slu_store_command *command, const struct slu_str *cells,
                                 size_t count);
/* Rows of which nothing but the number is known. */
void slu_store_rows(struct slu_store_command *command, size_t count);
/* Forgets the rows: before the command is executed, and executed again. */
void slu_store_restart(struct slu_store_command *command);
/* Outcome and records, when the rows are complete and committed. */
void slu_store_conclude(struct slu_store_command *command);

/* How a transaction ended. */
enum slu_store_end {
    SLU_STORE_COMMITTED,
    SLU_STORE_REFUSED, /* because of one of the commands; the engine is well */
    SLU_STORE_FAILED,  /* cannot be written now; can be read */
    SLU_STORE_LOST,    /* has to be opened again; whether it was committed is not known */
};

struct slu_store_engine {
    const char *name;
    /* Words of its SQL: see slu_store_sql(). */
    const char *now, *skip_locked, *find, *identity, *told;
    char param;
    bool shared; /* several processes may have it open */
    /* Opens, and makes or migrates the schema. `ret_state` may be set when it fails: then reading
     * may work, and close is called all the same. */
    bool (*open)(const struct slu_journal_options *options, const char *const *migrations,
                 void **ret_state, struct slu_fault *fault);
    void (*close)(void *state);
    enum slu_store_end (*run)(void *state, struct slu_store_command **batch, size_t count,
                              struct slu_fault *fault);
};
extern const struct slu_store_engine slu_store_sqlite, slu_store_postgresql;

/* slu_journal_new() with an engine of one's own: tests put theirs before a real one. */
SLU_NODISCARD struct slu_journal *slu_store_journal_new(const struct slu_store_engine *engine,
                                                        const struct slu_journal_options *options,
                                                        struct slu_fault *fault);

/*
 * A statement in an engine's own words. In `sql` stand for: $1, $2 … parameters, @COLUMNS the
 * columns of an operation, @NOW the store's clock in Unix milliseconds, @SKIP the clause that
 * passes over locked rows, @FIND the function that finds a text in another, @ID the type of texts
 * that are compared byte by byte.
 */
void slu_store_sql(struct slu_buf *out, const struct slu_store_engine *engine, const char *sql);
/* The schema, from nothing: step by step, each one script; ended by NULL. Steps are only added. */
extern const char *const slu_store_migrations[];
size_t slu_store_versions(const char *const *migrations);
/* The fault of a schema of a later program. */
bool slu_store_newer(struct slu_fault *fault, const char *place, int64_t found, size_t known);

/* Makes a command; its texts are checked and copied. */
enum { SLU_STORE_MOST_TEXT = 8 << 20 };
SLU_NODISCARD struct slu_store_command *slu_store_command_new(enum slu_store_verb verb,
                                                              const struct slu_store_param *params,
                                                              size_t count,
                                                              struct slu_fault *fault);
void slu_store_command_free(struct slu_store_command *command);
SLU_AUTO_DEFINE(slu_store_command)

/* The commands of the interface, before they are handed over. */
SLU_NODISCARD struct slu_store_command *slu_store_begin(struct slu_str owner,
                                                        const struct slu_record *record,
                                                        int64_t retention_ms,
                                                        struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *
slu_store_note(struct slu_str owner, const struct slu_record *record, struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_settle(struct slu_str owner,
                                                         const struct slu_record *record,
                                                         bool unbind, int64_t retention_ms,
                                                         struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_discard(struct slu_str owner, struct slu_str id,
                                                          struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_find(struct slu_str caller, struct slu_str scope,
                                                       struct slu_str key, struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_get(struct slu_str id, struct slu_str caller,
                                                      struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_removed(struct slu_str scope, struct slu_str id,
                                                          struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_list(const struct slu_journal_filter *filter,
                                                       struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_claim(struct slu_str owner, size_t most,
                                                        struct slu_fault *fault);
SLU_NODISCARD struct slu_store_command *slu_store_lock(struct slu_str owner, struct slu_str name,
                                                       struct slu_str holder, int64_t hold_ms,
                                                       struct slu_fault *fault);

#endif
