/*
 * Transactions whose end is not known: the connection breaks behind the commit, before the answer.
 * An engine in front of SQLite's does that when it is told to, and stays away as long as it is told
 * to. Back within the patience, the command is executed again with the same answer; back later, it
 * has failed and nothing of it is left that would be taken for running.
 */
#include "store_support.h"

#include <stdatomic.h>

static struct {
    atomic_int break_verb; /* the next transaction with this verb is committed and then lost */
    atomic_int away_ms;    /* how long the engine cannot be opened then */
    atomic_uint_fast64_t back_us;
} trouble;

static bool open_later(const struct slu_journal_options *options, const char *const *migrations,
                       void **ret_state, struct slu_fault *fault)
{
    if (slu_clock_mono_us() < trouble.back_us)
        return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, "trouble", "away");
    return slu_store_sqlite.open(options, migrations, ret_state, fault);
}

static void close_it(void *state)
{
    slu_store_sqlite.close(state);
}

static enum slu_store_end run_and_break(void *state, struct slu_store_command **batch, size_t count,
                                        struct slu_fault *fault)
{
    enum slu_store_end end = slu_store_sqlite.run(state, batch, count, fault);
    bool breaks = false;

    for (size_t i = 0; i < count; i++)
        breaks |= (int)batch[i]->verb == trouble.break_verb;
    if (!breaks)
        return end;
    trouble.break_verb = -1;
    trouble.back_us = slu_clock_mono_us() + (uint64_t)trouble.away_ms * 1000;
    slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, "trouble", "the answer was lost");
    return SLU_STORE_LOST;
}

static const struct slu_store_engine engine = {
    .name = "trouble", .open = open_later, .close = close_it, .run = run_and_break};

static struct place place;

static struct slu_journal *fresh(void)
{
    struct slu_journal_options options;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_journal *journal;

    trouble.break_verb = -1;
    trouble.back_us = 0;
    snprintf(place.store, sizeof(place.store), "%s/journal%d.db", place.dir, ++place.databases);
    options = options_of(&place);
    options.patience_ms = 1000;
    journal = slu_store_journal_new(&engine, &options, &fault);
    assert_non_null(journal);
    assert_true(becomes_writable(journal, true));
    return journal;
}

static void expect_trouble(int verb, int away_ms)
{
    trouble.away_ms = away_ms;
    trouble.break_verb = verb;
}

static void test_soon_back(void **state)
{
    struct slu_journal *journal = fresh();
    struct id id = id_of(1, 1), free_id = id_of(1, 2);
    struct slu_record record = record_of(&free_id, NULL);

    (void)state;
    expect_trouble(SLU_STORE_BEGIN_FREE, 100);
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    record = record_of(&id, "k");
    expect_trouble(SLU_STORE_BEGIN, 100);
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    expect_trouble(SLU_STORE_NOTE, 100);
    record.attempts = 1;
    DONE(SLU_JOURNAL_DONE, slu_journal_note(journal, &record, CALL));
    expect_trouble(SLU_STORE_SETTLE, 1500); /* waits as long as it takes */
    record.state = SLU_RECORD_SUCCEEDED;
    DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, false, CALL));
    expect_trouble(SLU_STORE_LOCK, 100);
    assert_true(becomes_writable(journal, true));
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journal, SLU_STR("vpc"), SLU_STR("a"), 60000, CALL));
    slu_journal_free(journal);
}

/* It is told as failed without an attempt, and its key is free. */
static void is_abandoned(struct slu_journal *journal, struct slu_str operation)
{
    struct slu_journal_reply *reply =
        DO(SLU_JOURNAL_DONE, slu_journal_get(journal, operation, SLU_STR_NONE, CALL));
    const struct slu_record *record = &reply->records[0];

    assert_int_equal(record->state, SLU_RECORD_FAILED);
    assert_int_equal(record->attempts, 0);
    assert_null(record->key.p);
    assert_true(record->expires_ms > 0);
    slu_journal_reply_free(reply);
}

static void test_begin_failed(void **state)
{
    struct slu_journal *journal = fresh();
    struct id id = id_of(2, 1), other = id_of(2, 2);
    struct slu_record record = record_of(&id, "k");

    (void)state;
    record.attempts = 1; /* as it is once it may be sent */
    expect_trouble(SLU_STORE_BEGIN, 1500);
    DONE(SLU_JOURNAL_FAILED, slu_journal_begin(journal, &record, CALL));
    assert_true(becomes_writable(journal, true));
    usleep(200000);
    is_abandoned(journal, record.id);
    record = record_of(&other, "k"); /* the key is free */
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    slu_journal_free(journal);
}

/* Begun, but nobody waits any more: no memory is needed to take it out again. */
static void test_taken_back(void **state)
{
    struct slu_journal *journal = fresh();
    struct id id = id_of(4, 1), other = id_of(4, 2);
    struct slu_record record = record_of(&id, "k");
    struct slu_journal_reply *begun;

    (void)state;
    record.attempts = 1;
    begun = DO(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    slu_mem_fail_at(1);
    slu_journal_take_back(journal, begun);
    assert_int_equal(slu_mem_fail_at(0), 0);
    is_abandoned(journal, record.id);
    record = record_of(&other, "k"); /* the key is free */
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    slu_journal_free(journal);
}

/* A lease that could not be renewed in time is not certain any more, and what was ours before the
 * gap has to be asked for. */
static void test_a_gap_in_the_lease(void **state)
{
    struct slu_journal *journal;
    struct slu_journal_options options;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    uint64_t before_us, late_us;

    (void)state;
    trouble.break_verb = -1;
    trouble.back_us = 0;
    snprintf(place.store, sizeof(place.store), "%s/journal%d.db", place.dir, ++place.databases);
    options = options_of(&place);
    options.lease_ms = 600;
    before_us = slu_clock_mono_us();
    journal = slu_store_journal_new(&engine, &options, &fault);
    assert_non_null(journal);
    assert_true(becomes_writable(journal, true));
    assert_false(slu_journal_holds(journal, before_us)); /* there was none yet */
    before_us = slu_clock_mono_us();
    for (int i = 0; i < 120; i++) { /* over two leases, renewed in time */
        assert_true(slu_journal_holds(journal, before_us));
        usleep(10000);
    }
    expect_trouble(SLU_STORE_RENEW, 1500);
    assert_true(becomes_writable(journal, false));
    for (int i = 0; slu_journal_holds(journal, before_us); i++, usleep(10000))
        assert_true(i < 45); /* a third is left by then */
    assert_false(becomes_writable(journal, true) && slu_journal_holds(journal, before_us));
    late_us = slu_clock_mono_us();
    assert_true(slu_journal_holds(journal, late_us));
    slu_journal_free(journal);
}

static void test_claim_failed(void **state)
{
    struct slu_journal *journal = fresh();
    struct slu_journal_options options = options_of(&place);
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_journal_reply *reply;

    (void)state;
    options.patience_ms = 1000;
    for (uint64_t i = 0; i < 5; i++) {
        struct id id = id_of(3, i);
        struct slu_record record = record_of(&id, NULL);

        DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    }
    slu_journal_free(journal);
    journal = slu_store_journal_new(&engine, &options, &fault);
    assert_non_null(journal);
    assert_true(becomes_writable(journal, true));
    expect_trouble(SLU_STORE_CLAIM, 100);
    reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 2, CALL));
    assert_int_equal(reply->count, 2); /* the same two again */
    slu_journal_reply_free(reply);
    expect_trouble(SLU_STORE_CLAIM, 1500);
    DONE(SLU_JOURNAL_FAILED, slu_journal_claim(journal, 2, CALL));
    assert_true(becomes_writable(journal, true));
    usleep(200000);
    reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 10, CALL));
    assert_int_equal(reply->count, 3); /* those that were in doubt, too */
    slu_journal_reply_free(reply);
    slu_journal_free(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soon_back),    cmocka_unit_test(test_begin_failed),
        cmocka_unit_test(test_taken_back),   cmocka_unit_test(test_a_gap_in_the_lease),
        cmocka_unit_test(test_claim_failed),
    };
    int failed;

    place_init(&place);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    place_done(&place);
    return failed;
}
