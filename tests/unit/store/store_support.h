/*
 * What the tests of the journal share: a call that can be waited for, records, a SQLite file in a
 * directory of its own, and a PostgreSQL server of the test's own (a temporary cluster under an
 * unprivileged user, a socket in its directory, no TCP).
 */
#ifndef SLU_STORE_SUPPORT_H
#define SLU_STORE_SUPPORT_H

#include "test.h"

#include "base/clock.h"
#include "store/journal.h"
#include "store/journal_internal.h"

#include <errno.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_S = 60 };

/* ---- calls */

struct call {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct slu_journal_reply *reply;
    int ended; /* how often done was called */
};

static inline void call_init(struct call *call)
{
    *call = (struct call){.reply = NULL};
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->wake, NULL);
}

static inline void call_done(struct slu_journal_reply *reply, void *user)
{
    struct call *call = user;

    pthread_mutex_lock(&call->lock);
    if (call->reply)
        slu_journal_reply_free(call->reply);
    call->reply = reply;
    call->ended++;
    pthread_cond_signal(&call->wake);
    pthread_mutex_unlock(&call->lock);
}

/* The caller frees the reply. */
static inline struct slu_journal_reply *call_wait(struct call *call)
{
    struct timespec until;
    struct slu_journal_reply *reply;
    int code = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&call->lock);
    while (!call->reply && code == 0)
        code = pthread_cond_timedwait(&call->wake, &call->lock, &until);
    reply = call->reply;
    call->reply = NULL;
    pthread_mutex_unlock(&call->lock);
    if (!reply)
        fail_msg("no answer from the journal in %d s", PATIENCE_S);
    return reply;
}

/* Waits for a call that was handed over, and wants this outcome. */
static inline struct slu_journal_reply *want(struct call *call, bool handed,
                                             const struct slu_fault *fault,
                                             enum slu_journal_outcome outcome)
{
    struct slu_journal_reply *reply;

    if (!handed)
        fail_msg("not taken: %s: %s", fault->place, fault->words);
    reply = call_wait(call);
    if (reply->outcome != outcome)
        fail_msg("outcome %d, expected %d: %s: %s", (int)reply->outcome, (int)outcome,
                 reply->fault.place, reply->fault.words);
    return reply;
}

/* DO(outcome, slu_journal_get(journal, id, caller, CALL)): the reply. */
#define CALL call_done, &the_call, &the_fault
#define DO(outcome, handed)                                                                        \
    __extension__({                                                                                \
        struct slu_fault the_fault = {.kind = SLU_FAULT_NONE};                                     \
        struct call the_call;                                                                      \
        call_init(&the_call);                                                                      \
        bool was_handed = (handed);                                                                \
        want(&the_call, was_handed, &the_fault, (outcome));                                        \
    })
#define DONE(outcome, handed) slu_journal_reply_free(DO(outcome, handed))

/* ---- records */

struct id {
    char text[SLU_OPERATION_ID + 1];
};

static inline struct id id_of(uint64_t high, uint64_t low)
{
    struct id id;

    snprintf(id.text, sizeof(id.text), "%016llx%016llx", (unsigned long long)high,
             (unsigned long long)low);
    return id;
}

static inline struct slu_record record_of(const struct id *id, const char *key)
{
    return (struct slu_record){
        .id = slu_str_of(id->text),
        .caller = SLU_STR("portal"),
        .scope = SLU_STR("POST /v1/targets/one/flow-logs"),
        .key = slu_str_of(key),
        .digest = SLU_STR("0b5d1f1e"),
        .targets = SLU_STR("one"),
        .operation = SLU_STR("create"),
        .request = SLU_STR("{\"name\":\"edge\"}"),
        .created_ms = 1000,
        .updated_ms = 1000,
    };
}

/* ---- places */

static inline void shell(const char *format, ...) SLU_PRINTF(1, 2);
static inline void shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

struct place {
    char dir[64];
    char store[160]; /* path or connection string */
    bool postgresql;
    pid_t server;
    int databases;
};

static inline void place_init(struct place *place)
{
    *place = (struct place){.dir = "/tmp/slu-store-XXXXXX"};
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->store, sizeof(place->store), "%s/journal.db", place->dir);
}

static inline void postgres_become(void)
{
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;

    if (user &&
        (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
}

static inline const char *postgres_tool(const char *name, char path[128])
{
    snprintf(path, 128, "/usr/lib/postgresql/15/bin/%s", name);
    return path;
}

static inline void postgres_initialise(const char *data)
{
    char tool[128];
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        postgres_become();
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        execl(postgres_tool("initdb", tool), "initdb", "-D", data, "-U", "postgres", "-A", "trust",
              "--no-locale", "-E", "UTF8", "--no-sync", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("initdb failed (package postgresql): %d", status);
}

/* One statement over a connection of the test's own; the first cell as a number. */
static inline long long postgres_ask(const char *string, const char *sql)
{
    PGconn *connection = PQconnectdb(string);
    PGresult *result = PQexec(connection, sql);
    long long number = -1;

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
        number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    else if (PQresultStatus(result) == PGRES_COMMAND_OK)
        number = 0;
    PQclear(result);
    PQfinish(connection);
    return number;
}

static inline void postgres_start(struct place *place)
{
    char tool[128], data[96], string[160];

    snprintf(data, sizeof(data), "%s/data", place->dir);
    snprintf(string, sizeof(string), "host=%s user=postgres dbname=postgres", place->dir);
    for (int i = 0; i < 600; i++) {
        int status;

        if (!place->server || waitpid(place->server, &status, WNOHANG) == place->server) {
            place->server = fork();
            if (place->server == 0) {
                postgres_become();
                prctl(PR_SET_PDEATHSIG, SIGQUIT);
                if (!freopen("/dev/null", "w", stderr))
                    _exit(126);
                execl(postgres_tool("postgres", tool), "postgres", "-D", data, "-k", place->dir,
                      "-c", "listen_addresses=", (char *)NULL);
                _exit(127);
            }
        }
        if (postgres_ask(string, "SELECT 1") == 1)
            return;
        usleep(100000);
    }
    fail_msg("the server does not start");
}

static inline void postgres_stop(struct place *place, int with)
{
    int status;

    if (place->server) {
        kill(place->server, with);
        waitpid(place->server, &status, 0);
    }
    place->server = 0;
}

/* A database of its own, empty. */
static inline void postgres_database(struct place *place)
{
    char string[160], sql[64];

    snprintf(string, sizeof(string), "host=%s user=postgres dbname=postgres", place->dir);
    snprintf(sql, sizeof(sql), "CREATE DATABASE journal%d", ++place->databases);
    assert_int_equal(postgres_ask(string, sql), 0);
    snprintf(place->store, sizeof(place->store), "host=%s user=postgres dbname=journal%d",
             place->dir, place->databases);
}

static inline void postgres_init(struct place *place)
{
    char data[96];

    place_init(place);
    place->postgresql = true;
    assert_int_equal(chmod(place->dir, 0755), 0);
    if (getuid() == 0)
        shell("chown postgres %s", place->dir);
    snprintf(data, sizeof(data), "%s/data", place->dir);
    postgres_initialise(data);
    postgres_start(place);
}

static inline void place_done(struct place *place)
{
    postgres_stop(place, SIGQUIT);
    shell("rm -rf %s", place->dir);
}

/* ---- journals */

static inline struct slu_journal_options options_of(const struct place *place)
{
    struct slu_journal_options options = {.chores_ms = 100};

    *(place->postgresql ? &options.postgresql : &options.sqlite) = slu_str_of(place->store);
    return options;
}

static inline bool becomes_writable(struct slu_journal *journal, bool wish)
{
    struct slu_journal_health health;

    for (int i = 0; i < PATIENCE_S * 100; i++) {
        slu_journal_health(journal, &health);
        if (health.writable == wish)
            return true;
        usleep(10000);
    }
    print_error("writable is %d: %s: %s\n", health.writable, health.fault.place,
                health.fault.words);
    return false;
}

static inline struct slu_journal *journal_with(const struct slu_journal_options *options)
{
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_journal *journal = slu_journal_new(options, &fault);

    if (!journal)
        fail_msg("%s: %s", fault.place, fault.words);
    return journal;
}

static inline struct slu_journal *journal_open(const struct place *place)
{
    struct slu_journal_options options = options_of(place);
    struct slu_journal *journal = journal_with(&options);

    assert_true(becomes_writable(journal, true));
    return journal;
}

/* A last fault that names the place and says the words. */
static inline void assert_fault(struct slu_journal *journal, const char *place, const char *words)
{
    struct slu_journal_health health;

    slu_journal_health(journal, &health);
    if (!strstr(health.fault.place, place) || !strstr(health.fault.words, words))
        fail_msg("the fault is \"%s: %s\", expected \"%s: %s\"", health.fault.place,
                 health.fault.words, place, words);
}

#endif
