/*
 * The schema and the statements, one a verb, in SQL that SQLite (3.35 or later) and PostgreSQL (12
 * or later) both speak, but for a few words that each engine gives.
 *
 * Each statement may be executed twice with the same effect and the same answer, since after a lost
 * connection nobody knows whether the transaction was committed.
 */
#include "store/journal_internal.h"

/* Step 1: operations and whose they are. The running ones have an index of their own, which stays
 * small however many are kept. Step 2: locks. Step 3: wishes. Step 4: when, by the store's clock.
 * Step 5: deletes by what they were of; by a column that never changes. */
const char *const slu_store_migrations[] = {
    "CREATE TABLE operations ("
    " id @ID PRIMARY KEY, caller @ID NOT NULL, scope @ID NOT NULL, idempotency_key @ID,"
    " digest TEXT, targets TEXT, operation TEXT, flow_log_id TEXT, request TEXT, token TEXT,"
    " fingerprint TEXT, parts TEXT, upstream TEXT, headers TEXT, body TEXT, owner @ID NOT NULL,"
    " claim @ID, state TEXT NOT NULL, attempts BIGINT NOT NULL, status BIGINT NOT NULL DEFAULT 0,"
    " created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL,"
    " expires_ms BIGINT NOT NULL DEFAULT 0);"
    "CREATE UNIQUE INDEX operations_key ON operations (caller, scope, idempotency_key)"
    " WHERE idempotency_key IS NOT NULL;"
    "CREATE INDEX operations_list ON operations (caller, created_ms, id);"
    "CREATE INDEX operations_running ON operations (created_ms) WHERE state = 'running';"
    "CREATE INDEX operations_expired ON operations (expires_ms) WHERE expires_ms <> 0;"
    "CREATE TABLE owners (owner @ID PRIMARY KEY, lease_until_ms BIGINT NOT NULL)",

    "CREATE TABLE locks (name @ID PRIMARY KEY, holder @ID NOT NULL, owner @ID NOT NULL,"
    " lease_until_ms BIGINT NOT NULL)",

    "ALTER TABLE operations ADD COLUMN wishes TEXT",

    "ALTER TABLE operations ADD COLUMN begun_ms BIGINT NOT NULL DEFAULT 0;"
    "UPDATE operations SET begun_ms = created_ms WHERE state = 'running'",

    "CREATE INDEX operations_deletes ON operations (scope) WHERE operation = 'delete'",
    NULL,
};

size_t slu_store_versions(const char *const *migrations)
{
    size_t count = 0;

    while (migrations[count])
        count++;
    return count;
}

bool slu_store_newer(struct slu_fault *fault, const char *place, int64_t found, size_t known)
{
    return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, place,
                         "the journal has schema version %lld, this program knows up to %zu; start "
                         "the program that made it, or a later one",
                         (long long)found, known);
}

/* The parameters are those that command.c fills in, in its order. */
#define INSERT                                                                                     \
    "INSERT INTO operations (id, caller, scope, idempotency_key, digest, targets, operation,"      \
    " flow_log_id, request, wishes, token, fingerprint, parts, upstream, owner, attempts,"         \
    " created_ms, updated_ms, state, begun_ms)"                                                    \
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,"    \
    " 'running', @NOW) "
#define KEY "(caller, scope, idempotency_key) WHERE idempotency_key IS NOT NULL"
#define DEAD_FOR(table, ms)                                                                        \
    "NOT EXISTS (SELECT 1 FROM owners WHERE owners.owner = " table                                 \
    ".owner AND owners.lease_until_ms > @NOW - " ms ")"
#define DEAD(table) DEAD_FOR(table, "0")

#define CLAIM(param) "COALESCE(claim, '') = COALESCE(CAST(" param " AS TEXT), '')"

/* A column that an index has is named only where it changes: the index is written anew for it. */
#define SETTLE(more)                                                                               \
    "UPDATE operations SET attempts = $3, updated_ms = $4, state = $5, status = $6,"               \
    " headers = $7, body = $8, flow_log_id = COALESCE($9, flow_log_id),"                           \
    " parts = COALESCE($10, parts), upstream = COALESCE($11, upstream),"                           \
    " token = COALESCE($13, token), fingerprint = COALESCE($14, fingerprint),"                     \
    " expires_ms = @NOW + $12" more " WHERE id = $1 AND owner = $2 AND " CLAIM(                    \
        "$15") " AND (state IN ('running', 'unknown') OR state = $5 AND updated_ms = $4) @TOLD"

/* clang-format off */
const struct slu_store_verb_info slu_store_verbs[SLU_STORE_VERBS] = {
    /* An update that changes nothing makes RETURNING give the row that is in the way. */
    [SLU_STORE_BEGIN] = {"begin",
        INSERT "ON CONFLICT " KEY " DO UPDATE SET caller = excluded.caller RETURNING @COLUMNS",
        true, true, SLU_STORE_AT_ONCE, 0,
        INSERT "ON CONFLICT " KEY " DO NOTHING"},
    [SLU_STORE_BEGIN_FREE] = {"begin",
        INSERT "ON CONFLICT (id) DO UPDATE SET caller = excluded.caller RETURNING @COLUMNS",
        true, true, SLU_STORE_AT_ONCE, 0,
        INSERT "ON CONFLICT (id) DO NOTHING"},
    [SLU_STORE_NOTE] = {"note",
        "UPDATE operations SET attempts = $3, updated_ms = $4, token = COALESCE($5, token),"
        " fingerprint = COALESCE($6, fingerprint), flow_log_id = COALESCE($7, flow_log_id),"
        " parts = COALESCE($8, parts), upstream = COALESCE($9, upstream)"
        " WHERE id = $1 AND owner = $2 AND " CLAIM("$10") " AND state = 'running' @TOLD",
        true, false, SLU_STORE_PATIENT, 2, NULL},
    [SLU_STORE_SETTLE] = {"settle", SETTLE(""), true, false, SLU_STORE_KEPT, 2, NULL},
    [SLU_STORE_SETTLE_FREE] = {"settle", SETTLE(", idempotency_key = NULL"),
        true, false, SLU_STORE_KEPT, 2, NULL},
    /* Somebody may have been told where to ask for it. */
    [SLU_STORE_ABANDON] = {"abandon",
        "UPDATE operations SET state = 'failed', attempts = 0, idempotency_key = NULL,"
        " expires_ms = @NOW + $3 WHERE id = $1 AND owner = $2 AND state = 'running' @TOLD",
        true, false, SLU_STORE_KEPT, 2, NULL},
    [SLU_STORE_DISCARD] = {"discard",
        "DELETE FROM operations WHERE id = $1 AND owner = $2 AND state = 'running' @TOLD",
        true, false, SLU_STORE_KEPT, 2, NULL},
    [SLU_STORE_DISOWN] = {"disown",
        "UPDATE operations SET owner = '' WHERE claim = $1 AND owner = $2 AND state = 'running'"
        " @TOLD",
        true, false, SLU_STORE_KEPT, 2, NULL},
    [SLU_STORE_LOCK] = {"lock",
        "INSERT INTO locks (name, holder, owner, lease_until_ms) VALUES ($1, $2, $3, @NOW + $4)"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, owner = excluded.owner,"
        " lease_until_ms = excluded.lease_until_ms"
        " WHERE locks.holder = excluded.holder AND locks.owner = excluded.owner"
        " OR locks.lease_until_ms <= @NOW OR " DEAD("locks")
        " @TOLD",
        true, false, SLU_STORE_AT_ONCE, 1, NULL},
    [SLU_STORE_UNLOCK] = {"unlock",
        "DELETE FROM locks WHERE name = $1 AND holder = $2 AND owner = $3 @TOLD",
        true, false, SLU_STORE_KEPT, 1, NULL},
    /* The claim's own number finds again what a transaction of unknown end may have claimed. An
     * owner whose lease has just ended has $4 to renew it. */
    [SLU_STORE_CLAIM] = {"claim",
        "WITH due (due_id) AS MATERIALIZED (SELECT id FROM operations WHERE state = 'running'"
        " AND (claim = $2 OR owner <> $1 AND " DEAD_FOR("operations", "$4") ")"
        " ORDER BY CASE WHEN claim = $2 THEN 0 ELSE 1 END, created_ms LIMIT $3 @SKIP)"
        " UPDATE operations SET owner = $1, claim = $2, updated_ms = @NOW FROM due"
        " WHERE id = due_id"
        " RETURNING @COLUMNS",
        true, true, SLU_STORE_PATIENT, 3, NULL},
    [SLU_STORE_RENEW] = {"renew",
        "INSERT INTO owners (owner, lease_until_ms) VALUES ($1, @NOW + $2)"
        " ON CONFLICT (owner) DO UPDATE SET lease_until_ms = excluded.lease_until_ms"
        " @TOLD",
        true, false, SLU_STORE_PATIENT, 2, NULL},
    [SLU_STORE_PRUNE] = {"prune",
        "WITH old (old_id) AS MATERIALIZED (SELECT id FROM operations"
        " WHERE expires_ms <> 0 AND expires_ms <= @NOW ORDER BY expires_ms LIMIT $1 @SKIP)"
        " DELETE FROM operations WHERE id IN (SELECT old_id FROM old) @TOLD",
        true, false, SLU_STORE_PATIENT, 3, NULL},
    [SLU_STORE_PRUNE_OWNERS] = {"prune owners",
        "DELETE FROM owners WHERE lease_until_ms <= @NOW - $1 @TOLD",
        true, false, SLU_STORE_PATIENT, 3, NULL},
    [SLU_STORE_PRUNE_LOCKS] = {"prune locks",
        "DELETE FROM locks WHERE lease_until_ms <= @NOW - $1 @TOLD",
        true, false, SLU_STORE_PATIENT, 3, NULL},
    [SLU_STORE_LEAVE] = {"leave",
        "DELETE FROM owners WHERE owner = $1 @TOLD",
        true, false, SLU_STORE_PATIENT, 3, NULL},
    [SLU_STORE_GET] = {"get",
        "SELECT @COLUMNS FROM operations"
        " WHERE id = $1 AND (CAST($2 AS TEXT) IS NULL OR caller = $2)",
        false, true, SLU_STORE_AT_ONCE, 4, NULL},
    [SLU_STORE_FIND] = {"find",
        "SELECT @COLUMNS FROM operations"
        " WHERE caller = $1 AND scope = $2 AND idempotency_key = $3",
        false, true, SLU_STORE_AT_ONCE, 4, NULL},
    /* What ended as a definite refusal has removed nothing, nor what never began. */
    [SLU_STORE_REMOVED] = {"removed",
        "SELECT 1 FROM operations WHERE operation = 'delete' AND scope = $1 AND id <> $2"
        " AND (state <> 'failed' OR status >= 500) LIMIT 1",
        false, false, SLU_STORE_AT_ONCE, 4, NULL},
    [SLU_STORE_LIST] = {"list",
        "SELECT @COLUMNS FROM operations WHERE caller = $1"
        " AND (CAST($2 AS TEXT) IS NULL OR state = $2)"
        " AND (CAST($3 AS TEXT) IS NULL OR @FIND(targets, CAST($3 AS TEXT)) > 0)"
        " AND (CAST($4 AS TEXT) IS NULL OR operation = $4)"
        " AND created_ms <= $5 AND (created_ms < $5 OR id < $6)"
        " ORDER BY created_ms DESC, id DESC LIMIT $7",
        false, true, SLU_STORE_AT_ONCE, 4, NULL},
};
/* clang-format on */

static const char columns[] =
#define COLUMN(member, column) #column ", "
    SLU_STORE_TEXTS(COLUMN) SLU_STORE_NUMBERS(COLUMN) "state";
#undef COLUMN

void slu_store_sql(struct slu_buf *out, const struct slu_store_engine *engine, const char *sql)
{
    const struct {
        const char *word, *means;
    } words[] = {
        {"@COLUMNS", columns},   {"@NOW", engine->now},     {"@SKIP", engine->skip_locked},
        {"@FIND", engine->find}, {"@ID", engine->identity}, {"@TOLD", engine->told},
    };

    while (*sql) {
        size_t i = 0;

        while (i < SLU_COUNT(words) && strncmp(sql, words[i].word, strlen(words[i].word)) != 0)
            i++;
        if (i < SLU_COUNT(words)) {
            slu_buf_add(out, slu_str_of(words[i].means));
            sql += strlen(words[i].word);
        } else {
            slu_buf_byte(out, *sql == '$' ? engine->param : *sql);
            sql++;
        }
    }
    slu_buf_byte(out, '\0');
}
