/* The journal that several replicas share: a server that dies, is down or does not answer; two
 * processes that claim the same orphans; passwords that stay out of faults. */
#include "store_support.h"

#include <fcntl.h>
#include <stdatomic.h>

static int setup(void **state)
{
    static struct place place;

    postgres_init(&place);
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    place_done(*state);
    return 0;
}

/* ---- a server that is killed under load */

enum { WRITERS = 4 };

struct writer {
    struct place *place;
    struct slu_journal *journal;
    uint64_t number;
    atomic_bool *stop;
    uint64_t begun, settled, failed, wrong;
};

/* One command to its end; false when it ended with a fault. Each ends exactly once. */
static bool ended_well(struct writer *writer, bool handed, struct call *call)
{
    struct slu_journal_reply *reply;
    bool good;

    slu_must(handed);
    reply = call_wait(call);
    good = reply->outcome == SLU_JOURNAL_DONE;
    if (reply->outcome == SLU_JOURNAL_NONE || reply->outcome == SLU_JOURNAL_EXISTS ||
        call->ended != 1)
        writer->wrong++;
    slu_journal_reply_free(reply);
    writer->failed += !good;
    return good;
}

static void *write_on(void *context)
{
    struct writer *writer = context;

    for (uint64_t i = 0; !atomic_load(writer->stop); i++) {
        struct id id = id_of(writer->number, i);
        struct slu_record record = record_of(&id, id.text);
        struct slu_fault fault;
        struct call call;

        call_init(&call);
        if (!ended_well(writer,
                        slu_journal_begin(writer->journal, &record, call_done, &call, &fault),
                        &call)) {
            usleep(1000);
            continue;
        }
        writer->begun++;
        record.state = SLU_RECORD_SUCCEEDED;
        call_init(&call);
        if (ended_well(
                writer,
                slu_journal_settle(writer->journal, &record, false, call_done, &call, &fault),
                &call))
            writer->settled++;
    }
    return NULL;
}

static long long ask(const struct place *place, const char *sql)
{
    return postgres_ask(place->store, sql);
}

static void test_server_killed(void **state)
{
    struct place *place = *state;
    struct writer writers[WRITERS], sum = {.begun = 0};
    struct slu_journal *journal;
    struct slu_journal_health health;
    pthread_t threads[WRITERS];
    atomic_bool stop = false;

    postgres_database(place);
    journal = journal_open(place);
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){place, journal, 20 + i, &stop, 0, 0, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
    }
    for (int round = 0; round < 3; round++) {
        usleep(300000);
        postgres_stop(place, round == 1 ? SIGQUIT : SIGKILL);
        if (round == 2)
            usleep(3000000); /* longer than the patience */
        postgres_start(place);
        assert_true(becomes_writable(journal, true));
    }
    usleep(300000);
    atomic_store(&stop, true);
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        sum.begun += writers[i].begun;
        sum.settled += writers[i].settled;
        sum.failed += writers[i].failed;
        sum.wrong += writers[i].wrong;
    }
    slu_journal_health(journal, &health);
    slu_journal_free(journal);
    assert_int_equal(sum.wrong, 0);
    assert_true(sum.failed > 0 && health.failures > 0);
    assert_true(sum.begun > 20);
    assert_int_equal(sum.settled, sum.begun); /* those wait until they are recorded */
    assert_int_equal(ask(place, "SELECT count(*) FROM operations WHERE state = 'succeeded'"),
                     sum.settled);
    /* what a failed begin may have recorded was taken out again */
    assert_int_equal(ask(place, "SELECT count(*) FROM operations WHERE state = 'running'"), 0);
    print_message("3 kills: %llu begun and settled, %llu refused with a fault, none lost\n",
                  (unsigned long long)sum.begun, (unsigned long long)sum.failed);
}

static void test_server_down_at_start(void **state)
{
    struct place *place = *state;
    struct slu_journal_options options;
    struct slu_journal *journal;
    struct slu_journal_reply *reply;
    struct id id = id_of(30, 1);
    struct slu_record record = record_of(&id, "k");

    postgres_database(place);
    postgres_stop(place, SIGQUIT);
    options = options_of(place);
    journal = journal_with(&options);
    reply = DO(SLU_JOURNAL_FAILED, slu_journal_begin(journal, &record, CALL));
    assert_non_null(strstr(reply->fault.place, place->dir));
    assert_non_null(strstr(reply->fault.words, "the server cannot be reached"));
    slu_journal_reply_free(reply);
    reply = DO(SLU_JOURNAL_FAILED, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    slu_journal_reply_free(reply);
    postgres_start(place);
    assert_true(becomes_writable(journal, true));
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    slu_journal_free(journal);
}

/* A server that stops answering is told as a store that cannot be written, and what waits for it
 * is done when it answers again. */
static void test_server_stalls(void **state)
{
    struct place *place = *state;
    struct slu_journal *journal;
    struct slu_journal_options options;
    struct slu_fault fault;
    struct id id = id_of(31, 1);
    struct slu_record record = record_of(&id, "k");
    struct call call;
    pid_t backend;

    postgres_database(place);
    options = options_of(place);
    options.chores_ms = 3600000;
    journal = journal_with(&options);
    assert_true(becomes_writable(journal, true));
    backend = (pid_t)ask(place, "SELECT pid FROM pg_stat_activity WHERE"
                                " application_name = 'sluice' AND datname = current_database()");
    assert_true(backend > 1);
    assert_int_equal(kill(backend, SIGSTOP), 0);
    call_init(&call);
    assert_true(slu_journal_begin(journal, &record, call_done, &call, &fault));
    assert_true(becomes_writable(journal, false));
    assert_fault(journal, "postgresql", "its disk or its server does not answer");
    assert_int_equal(call.ended, 0);
    assert_int_equal(kill(backend, SIGCONT), 0);
    slu_journal_reply_free(want(&call, true, &fault, SLU_JOURNAL_DONE));
    assert_true(becomes_writable(journal, true));
    slu_journal_free(journal);
}

/* ---- several replicas */

enum { ORPHANS = 1000 };

/* Begins, and then waits to be killed. */
static void leave_orphans(const struct slu_journal_options *options, int out)
{
    struct slu_journal *journal = journal_with(options);

    for (uint64_t i = 0; i < ORPHANS; i++) {
        struct id id = id_of(40, i);
        struct slu_record record = record_of(&id, NULL);

        DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    }
    slu_must(write(out, "!", 1) == 1);
    pause();
}

/* Claims a few at a time and tells each, until nothing has come for a while. */
static void adopt(const struct slu_journal_options *options, int out)
{
    struct slu_journal *journal = journal_with(options);
    int idle = 0;

    while (idle < 30) {
        struct slu_journal_reply *reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 7, CALL));

        for (size_t i = 0; i < reply->count; i++)
            slu_must(write(out, reply->records[i].id.p, SLU_OPERATION_ID) == SLU_OPERATION_ID);
        idle = reply->count ? 0 : idle + 1;
        if (!reply->count)
            usleep(100000);
        slu_journal_reply_free(reply);
    }
}

static pid_t start(void (*body)(const struct slu_journal_options *, int),
                   const struct slu_journal_options *options, const int ends[2])
{
    pid_t pid = fork();

    if (pid == 0) {
        close(ends[0]);
        body(options, ends[1]);
        _exit(0);
    }
    return pid;
}

/* A holder is an operation, which another process may have claimed meanwhile. */
static void test_two_lock(void **state)
{
    struct place *place = *state;
    struct slu_journal *one, *two;
    struct slu_journal_reply *granted;
    struct slu_str name = SLU_STR("net fl-1"), holder = SLU_STR("a");

    postgres_database(place);
    one = journal_open(place);
    two = journal_open(place);
    assert_true(slu_journal_is_shared(one));
    granted = DO(SLU_JOURNAL_DONE, slu_journal_lock(one, name, holder, 1, CALL));
    usleep(5000); /* its time is over */
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(two, name, holder, 60000, CALL));
    slu_journal_unlock(one, granted);
    DONE(SLU_JOURNAL_NONE, slu_journal_lock(one, name, holder, 60000, CALL));
    slu_journal_free(two); /* its lease is given back */
    granted = DO(SLU_JOURNAL_DONE, slu_journal_lock(one, name, holder, 60000, CALL));
    two = journal_open(place);
    DONE(SLU_JOURNAL_NONE, slu_journal_lock(two, name, holder, 60000, CALL));
    slu_journal_unlock(one, granted);
    slu_journal_free(one);
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(two, name, holder, 60000, CALL));
    slu_journal_free(two);
}

static void test_two_claim(void **state)
{
    struct place *place = *state;
    struct slu_journal_options options;
    static unsigned claimed[ORPHANS];
    char id[SLU_OPERATION_ID + 1] = "";
    int ends[2], status;
    pid_t dead, first, second;

    postgres_database(place);
    options = options_of(place);
    options.lease_ms = 1500;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    dead = start(leave_orphans, &options, ends);
    assert_int_equal(read(ends[0], id, 1), 1);
    first = start(adopt, &options, ends);
    second = start(adopt, &options, ends);
    usleep(700000);
    assert_int_equal(ask(place, "SELECT count(*) FROM operations WHERE claim IS NOT NULL"), 0);
    kill(dead, SIGKILL);
    waitpid(dead, NULL, 0);
    close(ends[1]);
    while (read(ends[0], id, SLU_OPERATION_ID) == SLU_OPERATION_ID)
        claimed[strtoul(id + 16, NULL, 16)]++;
    close(ends[0]);
    assert_int_equal(waitpid(first, &status, 0), first);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < ORPHANS; i++)
        if (claimed[i] != 1)
            fail_msg("orphan %zu was claimed %u times", i, claimed[i]);
    print_message("%d orphans, %lld owners, each claimed once\n", ORPHANS,
                  ask(place, "SELECT count(DISTINCT owner) FROM operations"));
    assert_int_equal(ask(place, "SELECT count(DISTINCT owner) FROM operations"), 2);
}

/* The store was away for longer than a lease: whoever is back first claims nothing of those who
 * live and only could not say so. */
static void test_back_first(void **state)
{
    struct place *place = *state;
    struct slu_journal_options options;
    struct slu_journal *journal;
    struct id id = id_of(41, 1);
    struct slu_record record = record_of(&id, NULL);
    struct slu_journal_reply *reply;
    uint64_t began = slu_clock_mono_us();

    postgres_database(place);
    options = options_of(place);
    options.lease_ms = 1500;
    journal = journal_with(&options);
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    ask(place, "UPDATE operations SET owner = 'other'");
    ask(place, "INSERT INTO owners VALUES ('other',"
               " CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))");
    reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 10, CALL));
    assert_int_equal(reply->count, 0);
    while (!reply->count) {
        slu_journal_reply_free(reply);
        usleep(50000);
        reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 10, CALL));
    }
    slu_journal_reply_free(reply);
    assert_in_range(slu_clock_mono_us() - began, 1500000, 4000000);
    slu_journal_free(journal);
}

/* The same keys from two replicas at once, in opposite order. */
struct rival {
    struct slu_journal *journal;
    uint64_t number;
    unsigned begun, existed;
};

static void *compete(void *context)
{
    enum { KEYS = 500 };
    struct rival *rival = context;
    static struct call calls[2][KEYS];
    struct call *own = calls[rival->number & 1];
    struct slu_fault fault;

    for (unsigned i = 0; i < KEYS; i++) {
        struct id id = id_of(rival->number, i);
        char key[16];
        struct slu_record record;

        snprintf(key, sizeof(key), "%u", rival->number & 1 ? i : KEYS - 1 - i);
        record = record_of(&id, key);
        call_init(&own[i]);
        slu_must(slu_journal_begin(rival->journal, &record, call_done, &own[i], &fault));
    }
    for (unsigned i = 0; i < KEYS; i++) {
        struct slu_journal_reply *reply = call_wait(&own[i]);

        rival->begun += reply->outcome == SLU_JOURNAL_DONE;
        rival->existed += reply->outcome == SLU_JOURNAL_EXISTS;
        slu_journal_reply_free(reply);
    }
    return NULL;
}

static void test_rivals(void **state)
{
    struct place *place = *state;
    struct slu_journal_reply *granted;
    struct rival rivals[2];
    pthread_t threads[2];
    struct slu_journal *journals[2];
    struct slu_str name = SLU_STR("vpc");

    postgres_database(place);
    for (size_t i = 0; i < 2; i++)
        journals[i] = journal_open(place);
    for (size_t i = 0; i < 2; i++) {
        rivals[i] = (struct rival){journals[i], 50 + i, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, compete, &rivals[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rivals[0].begun + rivals[1].begun, 500);
    assert_int_equal(rivals[0].existed + rivals[1].existed, 500);
    granted = DO(SLU_JOURNAL_DONE, slu_journal_lock(journals[0], name, SLU_STR("a"), 60000, CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_lock(journals[1], name, SLU_STR("b"), 60000, CALL));
    slu_journal_unlock(journals[0], granted);
    DONE(SLU_JOURNAL_NONE, slu_journal_get(journals[0], name, SLU_STR_NONE, CALL)); /* after it */
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journals[1], name, SLU_STR("b"), 60000, CALL));
    for (size_t i = 0; i < 2; i++)
        slu_journal_free(journals[i]);
}

/* ---- connection strings */

static void test_secrets(void **state)
{
    static const struct {
        const char *string, *words;
    } rows[] = {
        {"host=%s user=nobody_here password=hunter2 dbname=postgres",
         "the server cannot be reached"},
        {"host=%s pasword=hunter2", "the connection string cannot be read"},
        {"postgresql://user:hunter2@[::1", "the connection string cannot be read"},
        {"host=%s user=postgres password=hunter2 dbname=hunter2", "cannot be reached"},
        {"host=/nowhere/hunter2 password=hunter2", "cannot be reached"},
    };
    struct place *place = *state;

    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_journal_options options = {.chores_ms = 100};
        struct slu_journal_health health = {.failures = 0};
        struct slu_buf string;
        struct slu_journal *journal;
        const char *hole = strstr(rows[i].string, "%s");

        slu_buf_init(&string, 0);
        slu_buf_add(&string, (struct slu_str){rows[i].string, hole ? (size_t)(hole - rows[i].string)
                                                                   : strlen(rows[i].string)});
        slu_buf_add(&string, slu_str_of(hole ? place->dir : ""));
        slu_buf_add(&string, slu_str_of(hole ? hole + 2 : ""));
        options.postgresql = slu_buf_str(&string);
        journal = journal_with(&options);
        slu_buf_done(&string);
        for (int j = 0; j < 1000 && !health.failures; j++) {
            usleep(10000);
            slu_journal_health(journal, &health);
        }
        if (!strstr(health.fault.words, rows[i].words) || strstr(health.fault.words, "hunter2") ||
            strstr(health.fault.place, "hunter2"))
            fail_msg("row %zu: %s: %s", i, health.fault.place, health.fault.words);
        slu_journal_free(journal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_killed), cmocka_unit_test(test_server_down_at_start),
        cmocka_unit_test(test_server_stalls), cmocka_unit_test(test_two_claim),
        cmocka_unit_test(test_back_first),    cmocka_unit_test(test_rivals),
        cmocka_unit_test(test_secrets),       cmocka_unit_test(test_two_lock),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
