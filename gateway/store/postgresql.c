/*
 * The journal in PostgreSQL through libpq, never blocking but in poll(), which has a deadline (and
 * in the look-up of the server's name, where libpq offers nothing else). A transaction is one
 * pipeline: all its statements leave at once and the answers are read behind one another
 * (https://www.postgresql.org/docs/15/libpq-pipeline-mode.html).
 *
 * The connection string may hold a password: libpq's words about the string itself are not passed
 * on, and words that contain the password are not either.
 */
#include "store/journal_internal.h"

#include "base/clock.h"
#include "base/secret.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>

enum { CONNECT_MS = 3000, ANSWER_MS = 15000 };

struct postgresql {
    PGconn *connection;
    char place[128];
    char *secrets[2]; /* passwords in the connection string */
};

/* Replicas that start together migrate one after the other; claims are made one after the other. */
#define LOCK_MIGRATION "SELECT pg_advisory_xact_lock(7596833141337601)"
#define LOCK_CLAIM     "SELECT pg_advisory_xact_lock(7596833141337602)"

static const char begin_name[] = "slu_begin", commit_name[] = "slu_commit",
                  claims_name[] = "slu_claims";

/* ---- faults */

static bool mentions_secret(const struct postgresql *p, const char *words)
{
    for (size_t i = 0; i < SLU_COUNT(p->secrets); i++)
        if (p->secrets[i] && p->secrets[i][0] && strstr(words, p->secrets[i]))
            return true;
    return false;
}

/* libpq's words on one line. */
static bool complain(const struct postgresql *p, struct slu_fault *fault, const char *doing,
                     const char *words)
{
    char line[256];
    size_t n = 0;

    if (!words || mentions_secret(p, words))
        words = "its words are not repeated here, since they hold the password";
    for (; *words && n < sizeof(line) - 1; words++)
        if (*words != '\n')
            line[n++] = *words;
        else if (n && words[1])
            line[n++] = ' ';
    line[n] = '\0';
    return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, p->place, "%s: %s; it is tried again", doing,
                         line[0] ? line : "no reason was given");
}

/* ---- waiting */

/* Until the connection's socket has one of the events; false after the deadline. */
static bool await(struct postgresql *p, short events, uint64_t deadline_us)
{
    struct pollfd watched = {PQsocket(p->connection), events, 0};
    uint64_t now_us = slu_clock_mono_us();

    return now_us < deadline_us && watched.fd >= 0 &&
           poll(&watched, 1, (int)((deadline_us - now_us) / 1000 + 1)) >= 0;
}

/* The next answer, or NULL between two statements; false when the connection is of no use any more.
 * What libpq has still to send is sent meanwhile, else both sides could wait for each other. */
static bool next_result(struct postgresql *p, uint64_t deadline_us, PGresult **ret_result)
{
    while (PQisBusy(p->connection)) {
        int unsent = PQflush(p->connection);

        if (unsent < 0)
            return false;
        if (!PQisBusy(p->connection))
            break;
        if (!await(p, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline_us) ||
            !PQconsumeInput(p->connection))
            return false;
    }
    *ret_result = PQgetResult(p->connection);
    return *ret_result || PQstatus(p->connection) == CONNECTION_OK;
}

/* Outside the pipeline: one text of statements, its last answer. NULL with a fault. */
static PGresult *ask(struct postgresql *p, const char *sql, struct slu_fault *fault)
{
    uint64_t deadline_us = slu_clock_mono_us() + (uint64_t)ANSWER_MS * 1000;
    PGresult *last = NULL, *result = NULL;
    bool good = PQsendQuery(p->connection, sql) == 1;

    while (good && (good = next_result(p, deadline_us, &result)) && result) {
        ExecStatusType status = PQresultStatus(result);

        good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
        PQclear(last);
        last = result;
    }
    if (good && last)
        return last;
    complain(p, fault, "the journal cannot be made ready",
             last && PQresultErrorMessage(last)[0] ? PQresultErrorMessage(last)
                                                   : PQerrorMessage(p->connection));
    PQclear(last);
    return NULL;
}

static bool execute(struct postgresql *p, const char *sql, struct slu_fault *fault)
{
    PGresult *result = ask(p, sql, fault);

    PQclear(result);
    return result != NULL;
}

/* ---- opening */

static bool keep_secret(struct postgresql *p, size_t at, const char *value)
{
    return !value || (p->secrets[at] = slu_mem_text(value, strlen(value)));
}

/* The place for faults, and what must not be in them. */
static bool read_string(struct postgresql *p, const char *string, struct slu_fault *fault)
{
    const char *host = "", *port = "5432", *database = "";
    PQconninfoOption *options = PQconninfoParse(string, NULL);
    bool good = true;

    snprintf(p->place, sizeof(p->place), "postgresql");
    if (!options)
        return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, p->place,
                             "the connection string cannot be read: it is \"keyword=value …\" or a "
                             "postgresql:// address, see libpq's manual");
    for (PQconninfoOption *option = options; option->keyword; option++) {
        const char *value = option->val;

        if (strcmp(option->keyword, "password") == 0)
            good = good && keep_secret(p, 0, value);
        else if (strcmp(option->keyword, "sslpassword") == 0)
            good = good && keep_secret(p, 1, value);
        else if (value && strcmp(option->keyword, "host") == 0)
            host = value;
        else if (value && strcmp(option->keyword, "port") == 0)
            port = value;
        else if (value && strcmp(option->keyword, "dbname") == 0)
            database = value;
    }
    snprintf(p->place, sizeof(p->place), "postgresql %.60s:%.20s/%.30s", host, port, database);
    if (mentions_secret(p, p->place))
        snprintf(p->place, sizeof(p->place), "postgresql");
    PQconninfoFree(options);
    return good || slu_fault_memory(fault);
}

/* What the string does not say is ours before it, what must be so is ours behind it. A dead peer
 * is noticed within ten seconds; of several hosts the one that can be written is taken. */
/* libpq would print the server's notices on standard error, between our own lines. */
static void overhear(void *nobody, const PGresult *notice)
{
    (void)nobody;
    (void)notice;
}

static bool connect(struct postgresql *p, const char *string, struct slu_fault *fault)
{
    static const char *const names[] = {
        "target_session_attrs",      "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
        "fallback_application_name", "dbname",           "client_encoding", NULL};
    const char *const values[] = {"read-write", "10000", "5", "2", "sluice", string, "UTF8", NULL};
    uint64_t deadline_us = slu_clock_mono_us() + (uint64_t)CONNECT_MS * 1000;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    p->connection = PQconnectStartParams(names, values, 1);
    if (!p->connection)
        return slu_fault_memory(fault);
    PQsetNoticeReceiver(p->connection, overhear, NULL);
    while (PQstatus(p->connection) != CONNECTION_BAD && state != PGRES_POLLING_OK) {
        if (!await(p, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_us))
            return complain(p, fault, "the server cannot be reached", "it did not answer in time");
        state = PQconnectPoll(p->connection);
        if (state == PGRES_POLLING_FAILED)
            break;
    }
    return (state == PGRES_POLLING_OK && PQsetnonblocking(p->connection, 1) == 0) ||
           complain(p, fault, "the server cannot be reached", PQerrorMessage(p->connection));
}

static bool read_version(struct postgresql *p, int64_t *ret_version, struct slu_fault *fault)
{
    PGresult *result = ask(p, "SELECT coalesce(max(version), 0) FROM schema_version", fault);
    uint64_t version = 0;
    bool good = result && slu_str_to_u64(slu_str_of(PQgetvalue(result, 0, 0)), &version);

    PQclear(result);
    *ret_version = (int64_t)version;
    return good;
}

/* All steps that are missing in one transaction: PostgreSQL takes back changes of the schema, too.
 */
static bool add_steps(struct postgresql *p, const char *const *migrations, struct slu_fault *fault)
{
    size_t known = slu_store_versions(migrations);
    struct slu_buf script;
    int64_t version;
    bool good;

    if (!read_version(p, &version, fault))
        return false;
    if (version > (int64_t)known)
        return slu_store_newer(fault, p->place, version, known);
    if (version == (int64_t)known)
        return true;
    slu_buf_init(&script, 0);
    for (; version < (int64_t)known; version++) {
        slu_store_sql(&script, &slu_store_postgresql, migrations[version]);
        script.n -= script.n > 0; /* its NUL */
        slu_buf_printf(&script, "; INSERT INTO schema_version VALUES (%" PRId64 ");", version + 1);
    }
    slu_buf_byte(&script, '\0');
    good = script.failed ? slu_fault_memory(fault) : execute(p, script.p, fault);
    slu_buf_done(&script);
    return good;
}

static bool migrate(struct postgresql *p, const char *const *migrations, struct slu_fault *fault)
{
    return execute(p,
                   "BEGIN; SET LOCAL client_min_messages = warning; " LOCK_MIGRATION
                   "; CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)",
                   fault) &&
           add_steps(p, migrations, fault) && execute(p, "COMMIT", fault);
}

static bool prepare_one(struct postgresql *p, const char *name, const char *sql,
                        struct slu_fault *fault)
{
    uint64_t deadline_us = slu_clock_mono_us() + (uint64_t)ANSWER_MS * 1000;
    PGresult *result = NULL;
    bool good = PQsendPrepare(p->connection, name, sql, 0, NULL) == 1;

    while (good && (good = next_result(p, deadline_us, &result)) && result) {
        good = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return good ||
           complain(p, fault, "the journal cannot be made ready", PQerrorMessage(p->connection));
}

static bool prepare(struct postgresql *p, struct slu_fault *fault)
{
    struct slu_buf own;
    bool good = prepare_one(p, begin_name, "BEGIN", fault) &&
                prepare_one(p, commit_name, "COMMIT", fault) &&
                prepare_one(p, claims_name, LOCK_CLAIM, fault);
    char name[16];

    slu_buf_init(&own, 0);
    for (int i = 0; good && i < SLU_STORE_VERBS; i++) {
        snprintf(name, sizeof(name), "slu_%d", i);
        slu_buf_clear(&own);
        slu_store_sql(&own, &slu_store_postgresql, slu_store_verbs[i].sql);
        good = own.failed ? slu_fault_memory(fault) : prepare_one(p, name, own.p, fault);
    }
    slu_buf_done(&own);
    return good;
}

/* A server that was told to answer before its log is on the disk is told otherwise; one that waits
 * for its standbys as well is left alone. */
static bool settings(struct postgresql *p, struct slu_fault *fault)
{
    return execute(p,
                   "SELECT set_config('synchronous_commit', 'on', false)"
                   " WHERE current_setting('synchronous_commit') = 'off';"
                   "SET statement_timeout = '10s'; SET lock_timeout = '5s';"
                   "SET idle_in_transaction_session_timeout = '30s';"
                   "SET default_transaction_isolation = 'read committed'",
                   fault);
}

static void postgresql_close(void *state)
{
    struct postgresql *p = state;

    if (!p)
        return;
    PQfinish(p->connection);
    for (size_t i = 0; i < SLU_COUNT(p->secrets); i++) {
        if (p->secrets[i])
            slu_wipe(p->secrets[i], strlen(p->secrets[i]));
        slu_mem_free(p->secrets[i]);
    }
    slu_mem_free(p);
}

static bool postgresql_open(const struct slu_journal_options *options,
                            const char *const *migrations, void **ret_state,
                            struct slu_fault *fault)
{
    struct postgresql *p = slu_mem_new(sizeof(*p));
    char *string = slu_mem_text(options->postgresql.p, options->postgresql.n);
    bool good = p && string;

    if (good) {
        good = read_string(p, string, fault) && connect(p, string, fault) && settings(p, fault) &&
               migrate(p, migrations, fault) && prepare(p, fault) &&
               (PQenterPipelineMode(p->connection) == 1 || slu_fault_memory(fault));
    } else {
        slu_fault_memory(fault);
    }
    slu_mem_free(string);
    if (good)
        *ret_state = p;
    else
        postgresql_close(p);
    return good;
}

/* ---- running */

static bool send_command(struct postgresql *p, const struct slu_store_command *command)
{
    const char *values[SLU_STORE_PARAMS];
    char numbers[SLU_STORE_PARAMS][24], name[16];

    for (size_t i = 0; i < command->params; i++) {
        const struct slu_store_param *param = &command->param[i];

        switch (param->kind) {
        case SLU_STORE_NULL:
            values[i] = NULL;
            break;
        case SLU_STORE_TEXT:
            values[i] = param->text.p;
            break;
        case SLU_STORE_NUMBER:
            snprintf(numbers[i], sizeof(numbers[i]), "%" PRId64, param->number);
            values[i] = numbers[i];
            break;
        }
    }
    snprintf(name, sizeof(name), "slu_%d", (int)command->verb);
    return (command->verb != SLU_STORE_CLAIM ||
            PQsendQueryPrepared(p->connection, claims_name, 0, NULL, NULL, NULL, 0)) &&
           PQsendQueryPrepared(p->connection, name, (int)command->params, values, NULL, NULL, 0);
}

static bool send_all(struct postgresql *p, struct slu_store_command **batch, size_t count)
{
    bool good = PQsendQueryPrepared(p->connection, begin_name, 0, NULL, NULL, NULL, 0) == 1;

    for (size_t i = 0; good && i < count; i++)
        good = send_command(p, batch[i]);
    return good && PQsendQueryPrepared(p->connection, commit_name, 0, NULL, NULL, NULL, 0) &&
           PQpipelineSync(p->connection) && PQflush(p->connection) >= 0;
}

/* What an error of the server means for the transaction (PostgreSQL manual, appendix A). */
static enum slu_store_end end_of(const char *state)
{
    static const struct {
        const char *head;
        enum slu_store_end end;
    } rows[] = {
        {"08", SLU_STORE_LOST},    /* connection */
        {"57", SLU_STORE_LOST},    /* shutting down, or it took too long */
        {"58", SLU_STORE_LOST},    /* system error */
        {"XX", SLU_STORE_LOST},    /* internal, damaged data */
        {"25006", SLU_STORE_LOST}, /* read only: has become a standby */
        {"42", SLU_STORE_LOST},    /* somebody took a table away, or the right to it */
        {"26", SLU_STORE_LOST},    /* prepared statements are gone: a pooler between us */
        {"53", SLU_STORE_FAILED},  /* disk full, no memory, too many connections */
    };

    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        if (strncmp(state, rows[i].head, strlen(rows[i].head)) == 0)
            return rows[i].end;
    return SLU_STORE_REFUSED;
}

static enum slu_store_end take_rows(PGresult *result, struct slu_store_command *command,
                                    struct slu_fault *fault)
{
    struct slu_str cells[SLU_STORE_COLUMNS];
    int count = PQnfields(result);

    slu_must(count <= SLU_STORE_COLUMNS);
    for (int row = 0; row < PQntuples(result); row++) {
        for (int i = 0; i < count; i++)
            cells[i] = PQgetisnull(result, row, i)
                           ? SLU_STR_NONE
                           : (struct slu_str){PQgetvalue(result, row, i),
                                              (size_t)PQgetlength(result, row, i)};
        if (!slu_store_row(command, cells, (size_t)count)) {
            slu_fault_set(fault, command->reply.fault.kind, command->reply.fault.place, "%s",
                          command->reply.fault.words);
            return SLU_STORE_REFUSED;
        }
    }
    return SLU_STORE_COMMITTED;
}

/* The answer of one statement; `command` is NULL for those that frame the transaction. */
static enum slu_store_end read_answer(struct postgresql *p, struct slu_store_command *command,
                                      uint64_t deadline_us, struct slu_fault *fault)
{
    enum slu_store_end end = SLU_STORE_COMMITTED;
    PGresult *result = NULL;

    while (next_result(p, deadline_us, &result)) {
        ExecStatusType status = result ? PQresultStatus(result) : PGRES_EMPTY_QUERY;

        if (!result)
            return end;
        if (status == PGRES_TUPLES_OK && command && end == SLU_STORE_COMMITTED) {
            end = take_rows(result, command, fault);
        } else if (status == PGRES_FATAL_ERROR) {
            const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

            end = state ? end_of(state) : SLU_STORE_LOST;
            complain(p, fault, "the journal cannot be written", PQresultErrorMessage(result));
        } else if (status == PGRES_PIPELINE_ABORTED) {
            end = SLU_STORE_REFUSED; /* the statement before told why */
        } else if (status == PGRES_COMMAND_OK && !command &&
                   strcmp(PQcmdStatus(result), "ROLLBACK") == 0) {
            end = SLU_STORE_REFUSED;
        }
        PQclear(result);
    }
    complain(p, fault, "the connection was lost", PQerrorMessage(p->connection));
    return SLU_STORE_LOST;
}

/* The worst end of two: the first statement that failed says why, those behind it were aborted. */
static enum slu_store_end worse(enum slu_store_end a, enum slu_store_end b)
{
    return b > a ? b : a;
}

/* The sync point behind a transaction. */
static enum slu_store_end read_sync(struct postgresql *p, uint64_t deadline_us,
                                    struct slu_fault *fault)
{
    PGresult *result = NULL;
    bool reached = false;

    while (!reached && next_result(p, deadline_us, &result)) {
        reached = result && PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
    }
    if (reached)
        return SLU_STORE_COMMITTED;
    complain(p, fault, "the connection was lost", PQerrorMessage(p->connection));
    return SLU_STORE_LOST;
}

static enum slu_store_end roll_back(struct postgresql *p, uint64_t deadline_us)
{
    struct slu_fault ignored = {.kind = SLU_FAULT_NONE};

    if (PQtransactionStatus(p->connection) == PQTRANS_IDLE)
        return SLU_STORE_COMMITTED;
    if (!PQsendQueryParams(p->connection, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0) ||
        !PQpipelineSync(p->connection) ||
        read_answer(p, NULL, deadline_us, &ignored) == SLU_STORE_LOST)
        return SLU_STORE_LOST;
    return read_sync(p, deadline_us, &ignored);
}

static enum slu_store_end postgresql_run(void *state, struct slu_store_command **batch,
                                         size_t count, struct slu_fault *fault)
{
    struct postgresql *p = state;
    uint64_t deadline_us = slu_clock_mono_us() + (uint64_t)ANSWER_MS * 1000;
    enum slu_store_end end;

    if (!send_all(p, batch, count)) {
        complain(p, fault, "the connection was lost", PQerrorMessage(p->connection));
        return SLU_STORE_LOST;
    }
    end = read_answer(p, NULL, deadline_us, fault);
    for (size_t i = 0; end != SLU_STORE_LOST && i < count; i++) {
        slu_store_restart(batch[i]);
        if (batch[i]->verb == SLU_STORE_CLAIM)
            end = worse(end, read_answer(p, NULL, deadline_us, fault));
        end = worse(end, read_answer(p, batch[i], deadline_us, fault));
    }
    if (end != SLU_STORE_LOST)
        end = worse(end, read_answer(p, NULL, deadline_us, fault));
    if (end != SLU_STORE_LOST)
        end = worse(end, read_sync(p, deadline_us, fault));
    if (end != SLU_STORE_LOST && end != SLU_STORE_COMMITTED)
        end = worse(end, roll_back(p, deadline_us));
    return end;
}

const struct slu_store_engine slu_store_postgresql = {
    .name = "postgresql",
    .now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    .skip_locked = "FOR UPDATE OF operations SKIP LOCKED",
    .find = "strpos",
    .identity = "TEXT COLLATE \"C\"",
    .told = "RETURNING 1",
    .param = '$',
    .shared = true,
    .open = postgresql_open,
    .close = postgresql_close,
    .run = postgresql_run,
};
