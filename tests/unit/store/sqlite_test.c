/* What can happen to a journal's file: no database, damaged, moved, read-only, another process's,
 * no room on the disk. Each is a clear fault, and the journal comes back by itself. */
#include "store_support.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct slu_journal *open_quickly(const struct place *place)
{
    struct slu_journal_options options = options_of(place);

    options.lease_ms = 300; /* so that it is noticed soon when nothing is written */
    options.patience_ms = 300;
    return journal_with(&options);
}

/* Waits until a first attempt at opening has failed. */
static void fails_to_open(struct slu_journal *journal, const char *place, const char *words)
{
    struct slu_journal_health health = {.failures = 0};

    for (int i = 0; i < PATIENCE_S * 100 && !health.failures; i++) {
        usleep(10000);
        slu_journal_health(journal, &health);
    }
    assert_true(health.failures > 0);
    assert_false(health.writable);
    assert_fault(journal, place, words);
}

static void refuses_writes(struct slu_journal *journal)
{
    struct id id = id_of(90, 1);
    struct slu_record record = record_of(&id, "refused");
    struct slu_journal_reply *reply =
        DO(SLU_JOURNAL_FAILED, slu_journal_begin(journal, &record, CALL));

    assert_int_equal(reply->fault.kind, SLU_FAULT_UNAVAILABLE);
    slu_journal_reply_free(reply);
}

static void takes_writes(struct slu_journal *journal, uint64_t number)
{
    struct id id = id_of(91, number);
    struct slu_record record = record_of(&id, NULL);

    assert_true(becomes_writable(journal, true));
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
}

static void write_file(const char *path, off_t at, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char junk[4096];

    memset(junk, 'x', sizeof(junk));
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, at, SEEK_SET), at);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
    close(fd);
}

static void test_no_database(void **state)
{
    struct place place;
    struct slu_journal *journal;

    (void)state;
    place_init(&place);
    write_file(place.store, 0, 4);
    journal = open_quickly(&place);
    fails_to_open(journal, place.store, "not a database; move the file away");
    refuses_writes(journal);
    shell("mv %s %s.bad", place.store, place.store);
    takes_writes(journal, 1);
    slu_journal_free(journal);
    place_done(&place);
}

static void test_damaged(void **state)
{
    struct place place;
    struct slu_journal *journal;

    (void)state;
    place_init(&place);
    journal = open_quickly(&place);
    for (uint64_t i = 0; i < 300; i++)
        takes_writes(journal, i);
    slu_journal_free(journal);
    shell("cp %s %s.good", place.store, place.store);
    write_file(place.store, 4096 * 2L, 20);
    journal = open_quickly(&place);
    fails_to_open(journal, place.store, "move the file away or put a good copy in its place");
    refuses_writes(journal);
    shell("rm -f %s-wal %s-shm; mv %s.good %s", place.store, place.store, place.store, place.store);
    takes_writes(journal, 1000);
    slu_journal_free(journal);
    place_done(&place);
}

static void test_moved_while_open(void **state)
{
    struct place place;
    struct slu_journal *journal;

    (void)state;
    place_init(&place);
    journal = open_quickly(&place);
    takes_writes(journal, 1);
    shell("mv %s %s.gone", place.store, place.store);
    assert_true(becomes_writable(journal, true));
    for (int i = 0; i < 1000; i++) {
        struct slu_journal_health health;

        slu_journal_health(journal, &health);
        if (health.failures)
            break;
        usleep(10000);
    }
    assert_fault(journal, place.store, "was moved or removed");
    takes_writes(journal, 2);
    assert_int_equal(access(place.store, R_OK), 0);
    slu_journal_free(journal);
    place_done(&place);
}

static unsigned mode_of(const char *path, const char *suffix)
{
    char name[256];
    struct stat found;

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    assert_int_equal(stat(name, &found), 0);
    return found.st_mode & 0777;
}

/* Whatever the umask says, a file that is made is for its owner only; one that is there is kept as
 * it is. */
static void test_modes(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    struct place place;
    struct slu_journal *journal;
    mode_t before = umask(0);

    (void)state;
    place_init(&place);
    journal = open_quickly(&place);
    takes_writes(journal, 1);
    for (size_t i = 0; i < SLU_COUNT(suffixes); i++)
        assert_int_equal(mode_of(place.store, suffixes[i]), 0600);
    slu_journal_free(journal);
    assert_int_equal(chmod(place.store, 0640), 0);
    journal = open_quickly(&place);
    takes_writes(journal, 2);
    assert_int_equal(mode_of(place.store, ""), 0640);
    slu_journal_free(journal);
    umask(before);
    place_done(&place);
}

static void test_another_process(void **state)
{
    struct place place;
    struct slu_journal *first, *second;

    (void)state;
    place_init(&place);
    first = open_quickly(&place);
    takes_writes(first, 1);
    second = open_quickly(&place);
    fails_to_open(second, place.store, "another process has this journal");
    takes_writes(first, 2);
    slu_journal_free(first);
    takes_writes(second, 3);
    slu_journal_free(second);
    place_done(&place);
}

/* A tool that holds a transaction open: writes fail after a while, reads go on. */
static void test_busy(void **state)
{
    struct place place;
    struct slu_journal *journal;
    struct id id = id_of(93, 1);
    struct slu_record record = record_of(&id, NULL);
    sqlite3 *tool;

    (void)state;
    place_init(&place);
    journal = open_quickly(&place);
    takes_writes(journal, 1);
    assert_int_equal(sqlite3_open(place.store, &tool), SQLITE_OK);
    sqlite3_busy_timeout(tool, 5000);
    assert_int_equal(sqlite3_exec(tool, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    DONE(SLU_JOURNAL_FAILED, slu_journal_begin(journal, &record, CALL));
    assert_fault(journal, place.store, "database is locked");
    assert_true(becomes_writable(journal, false));
    id = id_of(91, 1);
    DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    assert_int_equal(sqlite3_exec(tool, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(tool);
    takes_writes(journal, 2);
    slu_journal_free(journal);
    place_done(&place);
}

/* For a process that may not write the directory; root becomes nobody for a while. */
static void test_read_only(void **state)
{
    struct place place;
    struct slu_journal *journal;
    bool root = getuid() == 0;

    (void)state;
    place_init(&place);
    if (root)
        assert_int_equal(chown(place.dir, 65534, 65534), 0);
    assert_int_equal(chmod(place.dir, 0555), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    journal = open_quickly(&place);
    fails_to_open(journal, place.store, "let the gateway write the file and its directory");
    refuses_writes(journal);
    assert_int_equal(chmod(place.dir, 0755), 0);
    takes_writes(journal, 1);
    slu_journal_free(journal);

    assert_int_equal(chmod(place.dir, 0555),
                     0); /* the file is there now, but neither log nor lock */
    shell("chmod 0755 %s; rm -f %s.lock; chmod 0555 %s", place.dir, place.store, place.dir);
    journal = open_quickly(&place);
    fails_to_open(journal, place.store, "let the gateway write the file and its directory");
    refuses_writes(journal);
    assert_int_equal(chmod(place.dir, 0755), 0);
    takes_writes(journal, 2);
    slu_journal_free(journal);
    if (root)
        assert_int_equal(seteuid(0), 0);
    place_done(&place);
}

/* ---- no room */

/* Begins until the disk is full: large ones, then small ones. Answers how many were recorded. */
static uint64_t fill(struct slu_journal *journal)
{
    uint64_t begun = 0;
    size_t size = 100000;
    char *text = slu_mem_new(size);

    assert_non_null(text);
    memset(text, 'x', size);
    for (; size > 0; size /= 100)
        for (bool taken = true; taken;) {
            struct id id = id_of(92, begun);
            struct slu_record record = record_of(&id, NULL);
            struct slu_fault fault;
            struct call call;
            struct slu_journal_reply *reply;

            assert_true(begun < 5000);
            call_init(&call);
            record.request = (struct slu_str){text, size};
            assert_true(slu_journal_begin(journal, &record, call_done, &call, &fault));
            reply = call_wait(&call);
            taken = reply->outcome == SLU_JOURNAL_DONE;
            begun += taken;
            slu_journal_reply_free(reply);
        }
    slu_mem_free(text);
    return begun;
}

/* While there is no room: writes are refused, what was settled waits, reads go on. `make_room` is
 * a shell command or NULL for a limit of this process. */
static void when_full(struct slu_journal *journal, const char *make_room, bool reads)
{
    struct slu_fault fault;
    struct call settled;
    uint64_t begun = fill(journal);
    struct id first = id_of(92, 0);
    struct slu_record record = {.id = slu_str_of(first.text),
                                .state = SLU_RECORD_SUCCEEDED,
                                .attempts = 1,
                                .body = SLU_STR("kept until there is room")};
    struct rlimit limit;

    assert_true(begun > 0);
    assert_true(becomes_writable(journal, false));
    call_init(&settled);
    assert_true(slu_journal_settle(journal, &record, false, call_done, &settled, &fault));
    if (reads)
        DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    usleep(500000);
    assert_int_equal(settled.ended, 0);
    if (make_room) {
        shell("%s", make_room);
    } else {
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    slu_journal_reply_free(want(&settled, true, &fault, SLU_JOURNAL_DONE));
    takes_writes(journal, 1);
    for (uint64_t i = 0; i < begun; i++) {
        struct id id = id_of(92, i);

        DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, slu_str_of(id.text), SLU_STR_NONE, CALL));
    }
    print_message("%llu operations before the disk was full, all there\n",
                  (unsigned long long)begun);
}

static void test_file_limit(void **state)
{
    struct place place;
    struct slu_journal *journal;
    struct rlimit limit;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    place_init(&place);
    journal = open_quickly(&place);
    takes_writes(journal, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 1 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    when_full(journal, NULL, false);
    slu_journal_free(journal);
    place_done(&place);
}

/* A file system of its own, where this process may mount one (root does). */
static void test_disk_full(void **state)
{
    struct place place;
    struct slu_journal *journal;
    char room[128];

    (void)state;
    place_init(&place);
    if (mount("none", place.dir, "tmpfs", 0, "size=1m") != 0) {
        assert_true(getuid() != 0 || errno == EPERM);
        print_message("no file system can be mounted here; the file limit above stands for it\n");
        place_done(&place);
        return;
    }
    journal = open_quickly(&place);
    takes_writes(journal, 0);
    snprintf(room, sizeof(room), "mount -o remount,size=16m %s", place.dir);
    when_full(journal, room, true);
    slu_journal_free(journal);
    assert_int_equal(umount(place.dir), 0);
    place_done(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_database),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_moved_while_open), cmocka_unit_test(test_modes),
        cmocka_unit_test(test_another_process),  cmocka_unit_test(test_busy),
        cmocka_unit_test(test_read_only),        cmocka_unit_test(test_file_limit),
        cmocka_unit_test(test_disk_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
