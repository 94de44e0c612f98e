/*
 * The journal in a SQLite file: write-ahead log, synchronous FULL, so that a committed transaction
 * is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous). The file belongs to one
 * process at a time: a lock on "<path>.lock", which the kernel releases when the process dies, says
 * so. SQLite's own tools may read the file meanwhile.
 */
#include "store/journal_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pages are written whole, each by two calls; an operation is some two kilobytes. */
enum { BUSY_MS = 2000, WAL_BYTES = 64 << 20, PAGE_BYTES = 8192 };

struct sqlite {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *verbs[SLU_STORE_VERBS], *quick[SLU_STORE_VERBS];
    int lock_fd;
    bool read_only;
    struct stat file; /* as it was opened */
};

/* ---- faults */

/* What SQLite says, with errno where it comes from the system, and what to do. */
static bool complain(const struct sqlite *s, struct slu_fault *fault, const char *doing)
{
    int code = sqlite3_errcode(s->db);
    int system = sqlite3_system_errno(s->db);
    bool system_tells = system && ((code & 255) == SQLITE_IOERR ||
                                   (code & 255) == SQLITE_CANTOPEN || (code & 255) == SQLITE_FULL);
    const char *advice = "it is tried again";
    char reason[96] = "";

    switch (code & 255) {
    case SQLITE_FULL:
        advice = "make room on the disk; it is tried again";
        break;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        advice = "move the file away or put a good copy in its place; it is tried again";
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        advice = "let the gateway write the file and its directory; it is tried again";
        break;
    }
    if (system_tells)
        snprintf(reason, sizeof(reason), " (%s)", strerrordesc_np(system));
    return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, s->path, "%s: %s%s; %s", doing,
                         sqlite3_errmsg(s->db), reason, advice);
}

static bool complain_of_system(const struct sqlite *s, struct slu_fault *fault, const char *doing,
                               int error)
{
    return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, s->path,
                         "%s: %s; let the gateway write the file and its directory; it is tried "
                         "again",
                         doing, strerrordesc_np(error));
}

/* ---- opening */

static bool execute(struct sqlite *s, const char *sql, struct slu_fault *fault)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           complain(s, fault, "the journal cannot be made ready");
}

/* The number that a statement answers; `fallback` when it answers no row. */
static bool ask(struct sqlite *s, const char *sql, int64_t fallback, int64_t *ret_number,
                struct slu_fault *fault)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);

    *ret_number = fallback;
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ||
           complain(s, fault, "the journal cannot be read");
}

static bool execute_translated(struct sqlite *s, const char *sql, struct slu_fault *fault)
{
    struct slu_buf own;
    bool good;

    slu_buf_init(&own, 0);
    slu_store_sql(&own, &slu_store_sqlite, sql);
    good = own.failed ? slu_fault_memory(fault) : execute(s, own.p, fault);
    slu_buf_done(&own);
    return good;
}

/* Each step with its number in one transaction. */
static bool migrate(struct sqlite *s, const char *const *migrations, struct slu_fault *fault)
{
    size_t known = slu_store_versions(migrations);
    int64_t version;
    char note[96];

    if (!execute(s, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)", fault) ||
        !ask(s, "SELECT max(version) FROM schema_version", 0, &version, fault))
        return false;
    if (version > (int64_t)known)
        return slu_store_newer(fault, s->path, version, known);
    for (; version < (int64_t)known; version++) {
        snprintf(note, sizeof(note), "INSERT INTO schema_version VALUES (%lld)",
                 (long long)version + 1);
        if (!execute(s, "BEGIN IMMEDIATE", fault))
            return false;
        if (!execute_translated(s, migrations[version], fault) || !execute(s, note, fault) ||
            !execute(s, "COMMIT", fault)) {
            sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
            return false;
        }
    }
    return true;
}

/* The file may be damaged in a way that only shows when the page is needed. */
static bool check_whole(struct sqlite *s, struct slu_fault *fault)
{
    sqlite3_stmt *statement = NULL;
    bool good = false;

    if (sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *words = (const char *)sqlite3_column_text(statement, 0);

        good = words && strcmp(words, "ok") == 0;
        if (!good)
            slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, s->path,
                          "the journal is damaged: %.200s; move the file away or put a good copy "
                          "in its place; it is tried again",
                          words ? words : "");
    } else {
        complain(s, fault, "the journal cannot be read");
    }
    sqlite3_finalize(statement);
    return good;
}

static bool prepare_one(struct sqlite *s, const char *sql, sqlite3_stmt **ret_statement,
                        struct slu_fault *fault)
{
    struct slu_buf own;
    bool good;

    slu_buf_init(&own, 0);
    slu_store_sql(&own, &slu_store_sqlite, sql);
    good = own.failed ? slu_fault_memory(fault)
                      : sqlite3_prepare_v3(s->db, own.p, (int)own.n, SQLITE_PREPARE_PERSISTENT,
                                           ret_statement, NULL) == SQLITE_OK ||
                            complain(s, fault, "the journal cannot be read");
    slu_buf_done(&own);
    return good;
}

static bool prepare(struct sqlite *s, struct slu_fault *fault)
{
    for (size_t i = 0; i < SLU_STORE_VERBS; i++) {
        const struct slu_store_verb_info *verb = &slu_store_verbs[i];

        if (s->read_only && verb->writes)
            continue;
        if (!prepare_one(s, verb->sql, &s->verbs[i], fault) ||
            (verb->quick && !prepare_one(s, verb->quick, &s->quick[i], fault)))
            return false;
    }
    return true;
}

static void tell_now(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    sqlite3_result_int64(context, slu_clock_real_ms());
}

static bool connect(struct sqlite *s, int flags, struct slu_fault *fault)
{
    if (sqlite3_open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK)
        return s->db ? complain(s, fault, "the journal cannot be opened") : slu_fault_memory(fault);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    return sqlite3_create_function(s->db, "slu_now", 0, SQLITE_UTF8, NULL, tell_now, NULL, NULL) ==
               SQLITE_OK ||
           complain(s, fault, "the journal cannot be opened");
}

static bool lock(struct sqlite *s, struct slu_fault *fault)
{
    struct slu_buf name;
    int error = 0;

    slu_buf_init(&name, 0);
    slu_buf_printf(&name, "%s.lock", s->path);
    slu_buf_byte(&name, '\0');
    if (name.failed) {
        slu_buf_done(&name);
        return slu_fault_memory(fault);
    }
    s->lock_fd = open(name.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        error = errno;
    slu_buf_done(&name);
    if (error == EWOULDBLOCK)
        return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, s->path,
                             "another process has this journal; stop it, or give each its own file "
                             "or all of them PostgreSQL; it is tried again");
    return !error || complain_of_system(s, fault, "the journal cannot be opened", error);
}

/* What flows where is nobody else's business: made here, since SQLite would make it as the umask
 * says. Its -wal and -shm take the file's mode. That of a file which is there is its owner's. */
static bool make_private(const struct sqlite *s, struct slu_fault *fault)
{
    int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno == EEXIST ||
           complain_of_system(s, fault, "the journal cannot be made", errno);
}

static bool open_for_writing(struct sqlite *s, const char *const *migrations,
                             struct slu_fault *fault)
{
    char page[64], limit[64];

    snprintf(page, sizeof(page), "PRAGMA page_size = %d", (int)PAGE_BYTES); /* of a new file */
    snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d", (int)WAL_BYTES);
    return lock(s, fault) && make_private(s, fault) && connect(s, SQLITE_OPEN_READWRITE, fault) &&
           execute(s, page, fault) && execute(s, "PRAGMA journal_mode = WAL", fault) &&
           execute(s, "PRAGMA synchronous = FULL", fault) && execute(s, limit, fault) &&
           check_whole(s, fault) && migrate(s, migrations, fault) &&
           /* no other process has the file, so all other owners are dead */
           execute(s, "DELETE FROM owners", fault) && prepare(s, fault);
}

static void disconnect(struct sqlite *s)
{
    for (size_t i = 0; i < SLU_STORE_VERBS; i++) {
        sqlite3_finalize(s->verbs[i]);
        sqlite3_finalize(s->quick[i]);
        s->verbs[i] = s->quick[i] = NULL;
    }
    sqlite3_close_v2(s->db);
    s->db = NULL;
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = -1;
}

static void sqlite_close(void *state)
{
    struct sqlite *s = state;

    if (!s)
        return;
    disconnect(s);
    slu_mem_free(s->path);
    slu_mem_free(s);
}

/* Where nothing can be written, what is there may still be read. */
static bool open_for_reading(struct sqlite *s)
{
    struct slu_fault ignored = {.kind = SLU_FAULT_NONE};
    int64_t version;

    disconnect(s);
    s->read_only = true;
    return connect(s, SQLITE_OPEN_READONLY, &ignored) &&
           ask(s, "SELECT max(version) FROM schema_version", 0, &version, &ignored) &&
           prepare(s, &ignored);
}

static bool sqlite_open(const struct slu_journal_options *options, const char *const *migrations,
                        void **ret_state, struct slu_fault *fault)
{
    struct sqlite *s = slu_mem_new(sizeof(*s));

    if (!s)
        return slu_fault_memory(fault);
    s->lock_fd = -1;
    s->path = slu_mem_text(options->sqlite.p, options->sqlite.n);
    if (!s->path) {
        sqlite_close(s);
        return slu_fault_memory(fault);
    }
    if (open_for_writing(s, migrations, fault) && stat(s->path, &s->file) == 0) {
        *ret_state = s;
        return true;
    }
    slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, s->path, "the journal's file has gone");
    if (open_for_reading(s))
        *ret_state = s;
    else
        sqlite_close(s);
    return false;
}

/* ---- running */

static enum slu_store_end end_of(struct sqlite *s, int code, struct slu_fault *fault)
{
    complain(s, fault, "the journal cannot be written");
    switch (code & 255) {
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return SLU_STORE_FAILED;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_PROTOCOL:
        return SLU_STORE_LOST;
    }
    return SLU_STORE_REFUSED;
}

static int bind(sqlite3_stmt *statement, const struct slu_store_command *command)
{
    int code = SQLITE_OK;

    for (int i = 0; code == SQLITE_OK && i < (int)command->params; i++) {
        const struct slu_store_param *param = &command->param[i];

        switch (param->kind) {
        case SLU_STORE_NULL:
            code = sqlite3_bind_null(statement, i + 1);
            break;
        case SLU_STORE_TEXT:
            code = sqlite3_bind_text(statement, i + 1, param->text.p, (int)param->text.n,
                                     SQLITE_STATIC);
            break;
        case SLU_STORE_NUMBER:
            code = sqlite3_bind_int64(statement, i + 1, param->number);
            break;
        }
    }
    return code;
}

/* A row that the command takes. False when it has no memory for it, or SQLite has none. */
static bool take_row(sqlite3_stmt *statement, struct slu_store_command *command)
{
    struct slu_str cells[SLU_STORE_COLUMNS];
    int count = sqlite3_column_count(statement);

    slu_must(count <= SLU_STORE_COLUMNS);
    for (int i = 0; i < count; i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);

        if (!text && sqlite3_column_type(statement, i) != SQLITE_NULL)
            return slu_fault_memory(&command->reply.fault);
        cells[i] = (struct slu_str){text, (size_t)sqlite3_column_bytes(statement, i)};
    }
    return slu_store_row(command, cells, (size_t)count);
}

/* One statement with the command's parameters; `counts` when it answers no rows but changes some.
 */
static enum slu_store_end run_statement(struct sqlite *s, sqlite3_stmt *statement,
                                        struct slu_store_command *command, bool counts,
                                        struct slu_fault *fault)
{
    enum slu_store_end end = SLU_STORE_COMMITTED;
    int code = bind(statement, command);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW && !take_row(statement, command))
            break;
    }
    if (command->reply.fault.kind != SLU_FAULT_NONE) {
        slu_fault_set(fault, command->reply.fault.kind, command->reply.fault.place, "%s",
                      command->reply.fault.words);
        end = SLU_STORE_REFUSED;
    } else if (code != SQLITE_DONE) {
        end = end_of(s, code, fault);
    } else if (counts) {
        slu_store_rows(command, (size_t)sqlite3_changes(s->db));
    }
    sqlite3_reset(statement);
    return end;
}

static enum slu_store_end run_one(struct sqlite *s, struct slu_store_command *command,
                                  struct slu_fault *fault)
{
    const struct slu_store_verb_info *verb = &slu_store_verbs[command->verb];
    enum slu_store_end end = SLU_STORE_COMMITTED;

    slu_store_restart(command);
    if (verb->quick)
        end = run_statement(s, s->quick[command->verb], command, true, fault);
    if (end == SLU_STORE_COMMITTED && !command->reply.count)
        end =
            run_statement(s, s->verbs[command->verb], command, verb->writes && !verb->rows, fault);
    return end;
}

/* Somebody may have moved the file away or put another in its place: SQLite would go on writing to
 * what no path leads to any more. */
static bool file_is_there(struct sqlite *s, struct slu_fault *fault)
{
    struct stat now;

    if (stat(s->path, &now) == 0 && now.st_ino == s->file.st_ino && now.st_dev == s->file.st_dev)
        return true;
    return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, s->path,
                         "the journal's file was moved or removed while it was open; it is opened "
                         "again");
}

static enum slu_store_end run_transaction(struct sqlite *s, struct slu_store_command **batch,
                                          size_t count, bool writes, struct slu_fault *fault)
{
    enum slu_store_end end = SLU_STORE_COMMITTED;
    int code = sqlite3_exec(s->db, writes ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return end_of(s, code, fault);
    for (size_t i = 0; end == SLU_STORE_COMMITTED && i < count; i++)
        end = run_one(s, batch[i], fault);
    if (end == SLU_STORE_COMMITTED) {
        code = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
        if (code != SQLITE_OK)
            end = end_of(s, code, fault);
    }
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return end;
}

static enum slu_store_end sqlite_run(void *state, struct slu_store_command **batch, size_t count,
                                     struct slu_fault *fault)
{
    struct sqlite *s = state;
    bool writes = false;

    for (size_t i = 0; i < count; i++)
        writes |= slu_store_verbs[batch[i]->verb].writes;
    slu_must(!writes || !s->read_only);
    if (writes && !file_is_there(s, fault))
        return SLU_STORE_LOST;
    return run_transaction(s, batch, count, writes, fault);
}

const struct slu_store_engine slu_store_sqlite = {
    .name = "sqlite",
    .now = "slu_now()",
    .skip_locked = "",
    .find = "instr",
    .identity = "TEXT",
    .told = "", /* RETURNING costs as much as the rest of a small statement */
    .param = '?',
    .open = sqlite_open,
    .close = sqlite_close,
    .run = sqlite_run,
};
