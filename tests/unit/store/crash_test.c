/* kill -9 at random moments of begins, notes and settles: what was acknowledged is there, what was
 * not is there whole or not at all, and the store is intact. */
#include "store_support.h"

#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>

enum { THREADS = 6, MOMENTS = 50, MOMENTS_POSTGRESQL = 20, MOST_ACKS = 200000 };

/* What a child tells: a letter ('B' begun, 'S' settled) and the operation. One write each, shorter
 * than PIPE_BUF, so that none is cut. */
struct ack {
    char what;
    char id[SLU_OPERATION_ID];
};

struct worker {
    struct slu_journal *journal;
    uint64_t number;
    int out;
};

static void tell(const struct worker *worker, char what, const struct id *id)
{
    struct ack ack = {.what = what};

    memcpy(ack.id, id->text, sizeof(ack.id));
    slu_must(write(worker->out, &ack, sizeof(ack)) == sizeof(ack));
}

static void *work(void *context)
{
    struct worker *worker = context;

    for (uint64_t i = 0;; i++) {
        struct id id = id_of(worker->number, i);
        char key[SLU_OPERATION_ID + 8];
        struct slu_record record;

        snprintf(key, sizeof(key), "key-%s", id.text);
        record = record_of(&id, key);
        DONE(SLU_JOURNAL_DONE, slu_journal_begin(worker->journal, &record, CALL));
        tell(worker, 'B', &id);
        record.attempts = 1;
        DONE(SLU_JOURNAL_DONE, slu_journal_note(worker->journal, &record, CALL));
        record.state = SLU_RECORD_SUCCEEDED;
        record.status = 201;
        record.body = record.id;
        DONE(SLU_JOURNAL_DONE, slu_journal_settle(worker->journal, &record, false, CALL));
        tell(worker, 'S', &id);
    }
    return NULL;
}

static pid_t start_child(const struct place *place, uint64_t round, int *ret_in)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        struct slu_journal *journal = journal_open(place);
        struct worker workers[THREADS];
        pthread_t thread;

        for (uint64_t i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){journal, round * THREADS + i, ends[1]};
            slu_must(pthread_create(&thread, NULL, work, &workers[i]) == 0);
        }
        pthread_join(thread, NULL);
        _exit(1);
    }
    close(ends[1]);
    *ret_in = ends[0];
    return pid;
}

/* Reads what the child tells until it is dead; kills it at a random moment behind its first word.
 */
static size_t watch(pid_t pid, int in, struct ack *acks)
{
    struct pollfd readable = {in, POLLIN, 0};
    size_t count = 0;
    uint64_t until_us = 0;
    uint16_t random = 0;
    ssize_t got = 1;

    assert_true(slu_random(&random, sizeof(random)));
    while (got > 0) {
        uint64_t now_us = slu_clock_mono_us();

        if (until_us && now_us >= until_us)
            kill(pid, SIGKILL);
        if (poll(&readable, 1, 1) == 1 && (got = read(in, &acks[count], sizeof(*acks))) > 0) {
            assert_int_equal(got, sizeof(*acks));
            assert_true(++count < MOST_ACKS);
            if (!until_us)
                until_us = now_us + random; /* up to 66 ms */
        }
    }
    close(in);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return count;
}

static void check_sqlite(const struct place *place)
{
    sqlite3 *db;
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_open(place->store, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void check_record(const struct slu_record *record)
{
    if (record->state == SLU_RECORD_SUCCEEDED) {
        assert_true(slu_str_eq(record->body, record->id));
        assert_int_equal(record->status, 201);
        assert_int_equal(record->attempts, 1);
    } else {
        assert_int_equal(record->state, SLU_RECORD_RUNNING);
        assert_int_equal(record->status, 0);
        assert_null(record->body.p);
    }
    assert_str(record->request, "{\"name\":\"edge\"}");
}

/* Everything that was told is there, and all that is there is whole; what runs still is claimed and
 * settled, so that the next round finds nothing of this one. */
static void check_journal(const struct place *place, const struct ack *acks, size_t count)
{
    struct slu_journal *journal = journal_open(place);
    struct slu_journal_reply *reply;
    bool more = true;

    for (size_t i = 0; i < count; i++) {
        struct slu_str id = {acks[i].id, SLU_OPERATION_ID};

        reply = DO(SLU_JOURNAL_DONE, slu_journal_get(journal, id, SLU_STR_NONE, CALL));
        check_record(reply->records);
        if (acks[i].what == 'S')
            assert_int_equal(reply->records->state, SLU_RECORD_SUCCEEDED);
        slu_journal_reply_free(reply);
    }
    while (more) {
        reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 100, CALL));
        for (size_t i = 0; i < reply->count; i++) {
            struct slu_record record = reply->records[i];

            check_record(&record);
            record.state = SLU_RECORD_FAILED;
            DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, true, CALL));
        }
        more = reply->count > 0;
        slu_journal_reply_free(reply);
    }
    slu_journal_free(journal);
}

static void kill_often(struct place *place, unsigned moments)
{
    struct ack *acks = slu_mem_array(MOST_ACKS, sizeof(*acks));
    size_t told = 0;

    assert_non_null(acks);
    for (unsigned i = 1; i <= moments; i++) {
        int in;
        pid_t pid = start_child(place, i, &in);
        size_t count = watch(pid, in, acks);

        told += count;
        if (!place->postgresql)
            check_sqlite(place);
        else /* the server ends the killed client's session a moment later */
            assert_int_equal(postgres_ask(place->store, "DELETE FROM owners"), 0);
        check_journal(place, acks, count);
    }
    slu_mem_free(acks);
    assert_true(told > moments);
    print_message("%u kills, %zu acknowledged writes, none lost\n", moments, told);
}

static void test_sqlite(void **state)
{
    struct place place;

    (void)state;
    place_init(&place);
    kill_often(&place, MOMENTS);
    place_done(&place);
}

static void test_postgresql(void **state)
{
    struct place place;

    (void)state;
    postgres_init(&place);
    postgres_database(&place);
    kill_often(&place, MOMENTS_POSTGRESQL);
    place_done(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite),
        cmocka_unit_test(test_postgresql),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
