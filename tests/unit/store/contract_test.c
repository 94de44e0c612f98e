/* The whole contract of store/journal.h, the same tests against both engines. */
#include "store_support.h"

#include <stdatomic.h>

/* A journal over a store of its own. */
static struct slu_journal *fresh(void **state)
{
    struct place *place = *state;

    if (place->postgresql)
        postgres_database(place);
    else
        snprintf(place->store, sizeof(place->store), "%s/journal%d.db", place->dir,
                 ++place->databases);
    return journal_open(place);
}

static void begin(struct slu_journal *journal, const struct id *id, const char *key)
{
    struct slu_record record = record_of(id, key);

    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
}

static void test_begin_and_get(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct id id = id_of(1, 2);
    struct slu_record record = record_of(&id, "key \xc3\xa4");
    struct slu_journal_reply *reply;

    record.targets = SLU_STR("one\ntwo");
    record.parts = SLU_STR("");
    record.wishes = SLU_STR("{\"lenient\":true}");
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    reply = DO(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR("portal"), CALL));
    assert_int_equal(reply->count, 1);
    assert_str(reply->records->id, id.text);
    assert_str(reply->records->key, "key \xc3\xa4");
    assert_str(reply->records->targets, "one\ntwo");
    assert_str(reply->records->request, "{\"name\":\"edge\"}");
    assert_str(reply->records->wishes, "{\"lenient\":true}");
    assert_str(reply->records->scope, "POST /v1/targets/one/flow-logs");
    assert_true(slu_str_eq(reply->records->owner, slu_journal_owner(journal)));
    assert_int_equal(reply->records->state, SLU_RECORD_RUNNING);
    assert_int_equal(reply->records->created_ms, 1000);
    assert_int_equal(reply->records->expires_ms, 0);
    assert_non_null(reply->records->parts.p); /* empty is not none */
    assert_int_equal(reply->records->parts.n, 0);
    assert_null(reply->records->body.p);
    slu_journal_reply_free(reply);
    DONE(SLU_JOURNAL_NONE, slu_journal_get(journal, record.id, SLU_STR("other"), CALL));
    DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_get(journal, SLU_STR("none"), SLU_STR_NONE, CALL));
    slu_journal_free(journal);
}

static void test_same_key(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct id first = id_of(1, 1), second = id_of(1, 2), third = id_of(1, 3);
    struct slu_record record = record_of(&second, "k");
    struct slu_journal_reply *reply;

    begin(journal, &first, "k");
    reply = DO(SLU_JOURNAL_EXISTS, slu_journal_begin(journal, &record, CALL));
    assert_int_equal(reply->count, 1);
    assert_str(reply->records->id, first.text);
    slu_journal_reply_free(reply);
    DONE(SLU_JOURNAL_NONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    record.caller = SLU_STR("other");
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    record = record_of(&third, "k");
    record.scope = SLU_STR("DELETE /v1/targets/one/flow-logs/7");
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    slu_journal_free(journal);
}

static void test_no_key(void **state)
{
    struct slu_journal *journal = fresh(state);

    for (uint64_t i = 0; i < 3; i++) {
        struct id id = id_of(2, i);

        begin(journal, &id, NULL);
        begin(journal, &id, NULL); /* executed again after a lost connection: the same */
    }
    slu_journal_free(journal);
}

static void test_note_and_settle(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct id id = id_of(3, 1);
    struct slu_record record = record_of(&id, "k");
    struct slu_journal_reply *reply;

    begin(journal, &id, "k");
    record = (struct slu_record){.id = record.id,
                                 .attempts = 1,
                                 .updated_ms = 2000,
                                 .token = SLU_STR("t"),
                                 .fingerprint = SLU_STR("f"),
                                 .upstream = SLU_STR("[\"r1\"]")};
    DONE(SLU_JOURNAL_DONE, slu_journal_note(journal, &record, CALL));
    record.token = record.fingerprint = SLU_STR_NONE;
    record.parts = SLU_STR("[{}]");
    record.attempts = 2;
    DONE(SLU_JOURNAL_DONE, slu_journal_note(journal, &record, CALL));
    record = (struct slu_record){.id = record.id,
                                 .attempts = 2,
                                 .updated_ms = 3000,
                                 .state = SLU_RECORD_SUCCEEDED,
                                 .status = 201,
                                 .headers = SLU_STR("{\"location\":\"/x\"}"),
                                 .body = SLU_STR("{\"id\":\"fl\"}"),
                                 .flow_log_id = SLU_STR("fl"),
                                 .fingerprint = SLU_STR("f2")};
    DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, false, CALL));
    DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, false, CALL)); /* the same again */
    record.updated_ms = 3001;
    DONE(SLU_JOURNAL_NONE, slu_journal_settle(journal, &record, false, CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_note(journal, &record, CALL));
    reply = DO(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    assert_str(reply->records->token, "t");
    assert_str(reply->records->fingerprint, "f2");
    assert_str(reply->records->parts, "[{}]");
    assert_str(reply->records->upstream, "[\"r1\"]");
    assert_str(reply->records->flow_log_id, "fl");
    assert_str(reply->records->body, "{\"id\":\"fl\"}");
    assert_str(reply->records->headers, "{\"location\":\"/x\"}");
    assert_int_equal(reply->records->attempts, 2);
    assert_int_equal(reply->records->status, 201);
    assert_int_equal(reply->records->state, SLU_RECORD_SUCCEEDED);
    assert_int_equal(reply->records->updated_ms, 3000);
    assert_true(reply->records->expires_ms > slu_clock_real_ms() + 6 * 24 * 3600 * 1000LL);
    slu_journal_reply_free(reply);
    slu_journal_free(journal);
}

static void settle(struct slu_journal *journal, const struct id *id, enum slu_record_state ended,
                   bool unbind)
{
    struct slu_record record = {.id = slu_str_of(id->text),
                                .state = ended,
                                .attempts = 1,
                                .updated_ms = 5000 + (int64_t)ended};

    DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, unbind, CALL));
}

static void test_unbind_and_unknown(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct id first = id_of(4, 1), second = id_of(4, 2);
    struct slu_journal_reply *reply;

    begin(journal, &first, "k");
    settle(journal, &first, SLU_RECORD_FAILED, true);
    reply =
        DO(SLU_JOURNAL_DONE, slu_journal_get(journal, slu_str_of(first.text), SLU_STR_NONE, CALL));
    assert_null(reply->records->key.p);
    assert_int_equal(reply->records->state, SLU_RECORD_FAILED);
    slu_journal_reply_free(reply);
    begin(journal, &second, "k");
    settle(journal, &second, SLU_RECORD_UNKNOWN, false);
    settle(journal, &second, SLU_RECORD_SUCCEEDED, false);
    slu_journal_free(journal);
}

static void test_withdraw(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct id first = id_of(5, 1), second = id_of(5, 2);
    struct slu_str id = slu_str_of(first.text);

    begin(journal, &first, "k");
    DONE(SLU_JOURNAL_DONE, slu_journal_withdraw(journal, id, CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_withdraw(journal, id, CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_get(journal, id, SLU_STR_NONE, CALL));
    begin(journal, &second, "k"); /* the key is free */
    settle(journal, &second, SLU_RECORD_SUCCEEDED, false);
    DONE(SLU_JOURNAL_NONE, slu_journal_withdraw(journal, slu_str_of(second.text), CALL));
    DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, slu_str_of(second.text), SLU_STR_NONE, CALL));
    slu_journal_free(journal);
}

static void test_find(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_str portal = SLU_STR("portal"), scope = SLU_STR("POST /v1/targets/one/flow-logs");
    struct id first = id_of(6, 1), second = id_of(6, 2);
    struct slu_journal_reply *reply;

    begin(journal, &first, "k");
    begin(journal, &second, NULL);
    reply = DO(SLU_JOURNAL_DONE, slu_journal_find(journal, portal, scope, SLU_STR("k"), CALL));
    assert_int_equal(reply->count, 1);
    assert_str(reply->records->id, first.text);
    slu_journal_reply_free(reply);
    DONE(SLU_JOURNAL_NONE, slu_journal_find(journal, portal, scope, SLU_STR("K"), CALL));
    DONE(SLU_JOURNAL_NONE,
         slu_journal_find(journal, portal, SLU_STR("POST /"), SLU_STR("k"), CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_find(journal, SLU_STR("other"), scope, SLU_STR("k"), CALL));
    settle(journal, &first, SLU_RECORD_FAILED, true);
    DONE(SLU_JOURNAL_NONE, slu_journal_find(journal, portal, scope, SLU_STR("k"), CALL));
    slu_journal_free(journal);
}

/* Texts of every size, quotes, characters of four bytes, and what is refused. */
static void test_texts(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct id id = id_of(5, 1);
    struct slu_record record = record_of(&id, "'; DROP TABLE operations; --");
    struct slu_journal_reply *reply;
    size_t size = 1 << 20;
    char *large = slu_mem_new(size);

    assert_non_null(large);
    memset(large, 'x', size);
    record.request = (struct slu_str){large, size};
    record.flow_log_id = SLU_STR("\xf0\x9f\x9a\xb0 %s $1 \\ \"");
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    reply = DO(SLU_JOURNAL_DONE, slu_journal_get(journal, record.id, SLU_STR_NONE, CALL));
    assert_true(slu_str_eq(reply->records->request, record.request));
    assert_true(slu_str_eq(reply->records->flow_log_id, record.flow_log_id));
    assert_true(slu_str_eq(reply->records->key, record.key));
    slu_journal_reply_free(reply);
    slu_mem_free(large);

    record.request = SLU_STR("a\0b");
    assert_false(slu_journal_begin(journal, &record, call_done, NULL, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_INTERNAL);
    record.request = SLU_STR("\xff");
    fault.kind = SLU_FAULT_NONE;
    assert_false(slu_journal_begin(journal, &record, call_done, NULL, &fault));
    size = (size_t)SLU_STORE_MOST_TEXT + 1;
    large = slu_mem_new(size);
    assert_non_null(large);
    memset(large, 'x', size);
    record.request = (struct slu_str){large, size};
    fault.kind = SLU_FAULT_NONE;
    assert_false(slu_journal_begin(journal, &record, call_done, NULL, &fault));
    assert_int_equal(fault.kind, SLU_FAULT_TOO_LARGE);
    slu_mem_free(large);
    slu_journal_free(journal);
}

static void fill(struct slu_journal *journal)
{
    for (uint64_t i = 0; i < 30; i++) {
        struct id id = id_of(6, i);
        struct slu_record record = record_of(&id, NULL);

        record.created_ms = (int64_t)(100 + i / 3); /* three at a time */
        record.targets = i % 2 ? SLU_STR("one") : SLU_STR("one\ntwo");
        record.operation = i % 5 ? SLU_STR("create") : SLU_STR("delete");
        record.caller = i == 29 ? SLU_STR("other") : SLU_STR("portal");
        DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
        if (i < 10)
            settle(journal, &id, SLU_RECORD_SUCCEEDED, false);
    }
}

static void test_list(void **state)
{
    static const struct {
        struct slu_journal_filter filter;
        size_t found;
    } rows[] = {
        {{.caller = SLU_STR_INIT("portal")}, 29},
        {{.caller = SLU_STR_INIT("other")}, 1},
        {{.caller = SLU_STR_INIT("nobody")}, 0},
        {{.caller = SLU_STR_INIT("portal"), .state = SLU_STR_INIT("succeeded")}, 10},
        {{.caller = SLU_STR_INIT("portal"), .state = SLU_STR_INIT("running")}, 19},
        {{.caller = SLU_STR_INIT("portal"), .target = SLU_STR_INIT("two")}, 15},
        {{.caller = SLU_STR_INIT("portal"), .target = SLU_STR_INIT("tw")}, 0},
        {{.caller = SLU_STR_INIT("portal"), .operation = SLU_STR_INIT("delete")}, 6},
        {{.caller = SLU_STR_INIT("portal"),
          .operation = SLU_STR_INIT("delete"),
          .target = SLU_STR_INIT("two"),
          .state = SLU_STR_INIT("succeeded")},
         1},
    };
    struct slu_journal *journal = fresh(state);

    fill(journal);
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_journal_filter filter = rows[i].filter;
        struct slu_journal_reply *reply;

        filter.most = SLU_JOURNAL_PAGE;
        reply = DO(SLU_JOURNAL_DONE, slu_journal_list(journal, &filter, CALL));
        if (reply->count != rows[i].found)
            fail_msg("row %zu: %zu found, expected %zu", i, reply->count, rows[i].found);
        assert_false(reply->more);
        slu_journal_reply_free(reply);
    }
    slu_journal_free(journal);
}

/* Every page size gives each operation once, the newest first. */
static void test_pages(void **state)
{
    struct slu_journal *journal = fresh(state);

    fill(journal);
    for (size_t most = 1; most < 31; most += 4) {
        struct slu_journal_filter filter = {.caller = SLU_STR("portal"), .most = most};
        char expected[SLU_OPERATION_ID + 1];
        bool more = true;
        uint64_t next = 28;

        while (more) {
            struct slu_journal_reply *reply =
                DO(SLU_JOURNAL_DONE, slu_journal_list(journal, &filter, CALL));

            assert_true(reply->count > 0 && reply->count <= most);
            for (size_t i = 0; i < reply->count; i++) {
                struct id id = id_of(6, next--);

                assert_str(reply->records[i].id, id.text);
                memcpy(expected, id.text, sizeof(expected));
            }
            more = reply->more;
            filter.before_ms = reply->records[reply->count - 1].created_ms;
            filter.before_id = slu_str_of(expected);
            slu_journal_reply_free(reply);
        }
        assert_int_equal(next, UINT64_MAX);
    }
    slu_journal_free(journal);
}

static void test_locks(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_str name = SLU_STR("vpc-1"), a = SLU_STR("a"), b = SLU_STR("b");
    struct slu_journal_reply *granted;

    granted = DO(SLU_JOURNAL_DONE, slu_journal_lock(journal, name, a, 60000, CALL));
    DONE(SLU_JOURNAL_NONE, slu_journal_lock(journal, name, b, 60000, CALL));
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journal, name, a, 60000, CALL));
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journal, SLU_STR("vpc-2"), b, 60000, CALL));
    slu_journal_unlock(journal, granted);
    granted = DO(SLU_JOURNAL_DONE, slu_journal_lock(journal, name, b, 1, CALL));
    usleep(5000); /* its time is over */
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journal, name, a, 60000, CALL));
    slu_mem_fail_at(1);
    slu_journal_unlock(journal, granted); /* of what is held by another now */
    assert_int_equal(slu_mem_fail_at(0), 0);
    DONE(SLU_JOURNAL_NONE, slu_journal_lock(journal, name, b, 60000, CALL));
    slu_journal_free(journal);
}

/* Those of an owner who has gone are claimed, those of a living one are not. */
static void test_claim(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_record record;
    struct slu_journal_reply *reply;
    struct id id;

    for (uint64_t i = 0; i < 10; i++) {
        id = id_of(7, i);
        begin(journal, &id, NULL);
        if (i < 3)
            settle(journal, &id, SLU_RECORD_SUCCEEDED, false);
    }
    reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 100, CALL));
    assert_int_equal(reply->count, 0);
    slu_journal_reply_free(reply);
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journal, SLU_STR("vpc"), SLU_STR("a"), 60000, CALL));
    slu_journal_free(journal);

    journal = journal_open(*state);
    DONE(SLU_JOURNAL_DONE, /* of a dead owner */
         slu_journal_lock(journal, SLU_STR("vpc"), SLU_STR("b"), 60000, CALL));
    record = (struct slu_record){.id = slu_str_of(id.text), .attempts = 1};
    DONE(SLU_JOURNAL_NONE, slu_journal_note(journal, &record, CALL)); /* not ours yet */
    reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 5, CALL));
    assert_int_equal(reply->count, 5);
    for (size_t i = 0; i < 5; i++) { /* how old it is tells the store, whatever created_ms says */
        const struct slu_record *claimed = &reply->records[i];

        assert_int_equal(claimed->created_ms, 1000);
        assert_true(claimed->begun_ms > 1000000 && claimed->updated_ms >= claimed->begun_ms &&
                    claimed->updated_ms < claimed->begun_ms + 60000);
    }
    record.id = reply->records->id; /* as who began it, and as who has claimed it */
    record.updated_ms = 2000;
    DONE(SLU_JOURNAL_NONE, slu_journal_note(journal, &record, CALL));
    record.claim = reply->records->claim;
    DONE(SLU_JOURNAL_DONE, slu_journal_note(journal, &record, CALL));
    record.claim = SLU_STR_NONE;
    record.state = SLU_RECORD_FAILED;
    DONE(SLU_JOURNAL_NONE, slu_journal_settle(journal, &record, true, CALL));
    slu_journal_reply_free(reply);
    reply = DO(SLU_JOURNAL_DONE, slu_journal_claim(journal, 5, CALL));
    assert_int_equal(reply->count, 2);
    assert_true(slu_str_eq(reply->records->owner, slu_journal_owner(journal)));
    record = (struct slu_record){
        .id = slu_str_of(id.text), .claim = reply->records->claim, .attempts = 1};
    DONE(SLU_JOURNAL_DONE, slu_journal_note(journal, &record, CALL));
    slu_journal_reply_free(reply);
    slu_journal_free(journal);
}

static void test_prune(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_journal_options options = options_of(*state);
    struct slu_journal_health health = {.pruned = 0};
    struct id id;

    id = id_of(8, 9999);
    begin(journal, &id, NULL);
    slu_journal_free(journal);
    options.retention_ms = -1;
    options.chores_ms = 50;
    journal = journal_with(&options);
    for (uint64_t i = 0; i < 250; i++) {
        id = id_of(8, i);
        begin(journal, &id, NULL);
        settle(journal, &id, SLU_RECORD_SUCCEEDED, false);
    }
    for (int i = 0; i < 1000 && health.pruned < 250; i++) {
        usleep(10000);
        slu_journal_health(journal, &health);
    }
    assert_int_equal(health.pruned, 250);
    DONE(SLU_JOURNAL_NONE, slu_journal_get(journal, slu_str_of(id.text), SLU_STR_NONE, CALL));
    id = id_of(8, 9999); /* what is not settled stays, however old */
    DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, slu_str_of(id.text), SLU_STR_NONE, CALL));
    slu_journal_free(journal);
}

/* ---- many at once */

enum { THREADS = 8, BEGINS = 1000, KEYS = 2000 };

struct storm {
    struct slu_journal *journal;
    unsigned thread;
    atomic_uint *begun; /* one a key */
    atomic_uint *ended;
    unsigned keys[BEGINS];
};

struct drop {
    struct storm *storm;
    unsigned key;
};

static void count_begun(struct slu_journal_reply *reply, void *user)
{
    struct drop *drop = user;

    if (reply->outcome == SLU_JOURNAL_DONE)
        atomic_fetch_add(&drop->storm->begun[drop->key], 1);
    else
        slu_must(reply->outcome == SLU_JOURNAL_EXISTS && reply->count == 1);
    atomic_fetch_add(drop->storm->ended, 1);
    slu_mem_free(drop);
    slu_journal_reply_free(reply);
}

static void *rain(void *context)
{
    struct storm *storm = context;

    for (unsigned i = 0; i < BEGINS; i++) {
        struct id id = id_of(100 + storm->thread, i);
        struct drop *drop = slu_mem_new(sizeof(*drop));
        struct slu_record record;
        struct slu_fault fault = {.kind = SLU_FAULT_NONE};
        char key[16];

        slu_must(drop != NULL);
        *drop = (struct drop){storm, (i * 7 + storm->thread * 250) % KEYS};
        snprintf(key, sizeof(key), "%u", drop->key);
        record = record_of(&id, key);
        slu_must(slu_journal_begin(storm->journal, &record, count_begun, drop, &fault));
    }
    return NULL;
}

static void test_colliding_keys(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_journal_health health;
    static atomic_uint begun[KEYS];
    static struct storm storms[THREADS];
    atomic_uint ended = 0;
    pthread_t threads[THREADS];
    unsigned once = 0;

    memset(begun, 0, sizeof(begun));
    for (unsigned i = 0; i < THREADS; i++) {
        storms[i] =
            (struct storm){.journal = journal, .thread = i, .begun = begun, .ended = &ended};
        assert_int_equal(pthread_create(&threads[i], NULL, rain, &storms[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PATIENCE_S * 100 && ended < THREADS * BEGINS; i++)
        usleep(10000);
    assert_int_equal(ended, THREADS * BEGINS);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_true(begun[i] <= 1);
        once += begun[i];
    }
    assert_true(once >= KEYS / 2);
    slu_journal_health(journal, &health);
    assert_int_equal(health.writes, THREADS * BEGINS);
    assert_int_equal(health.queued, 0);
    assert_true(health.commits < health.writes / 4); /* they were grouped */
    assert_true(health.largest > 4 && health.largest <= 1024);
    print_message("%u begins of 8 threads, %u keys bound once each, %llu commits, largest %llu\n",
                  THREADS * BEGINS, once, (unsigned long long)health.commits,
                  (unsigned long long)health.largest);
    slu_journal_free(journal);
}

static void test_queue_full(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct slu_journal_options options = options_of(*state);
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct call calls[400];
    size_t taken = 0, full = 0;

    slu_journal_free(journal);
    options.most_queued = 4;
    journal = journal_with(&options);
    for (size_t i = 0; i < SLU_COUNT(calls); i++) {
        struct id id = id_of(9, i);
        struct slu_record record = record_of(&id, NULL);

        call_init(&calls[taken]);
        if (slu_journal_begin(journal, &record, call_done, &calls[taken], &fault))
            taken++;
        else
            full++;
    }
    assert_true(taken >= 4 && full > 0);
    assert_int_equal(fault.kind, SLU_FAULT_UNAVAILABLE);
    slu_journal_free(journal); /* all that were taken end */
    for (size_t i = 0; i < taken; i++) {
        assert_int_equal(calls[i].ended, 1);
        assert_int_equal(calls[i].reply->outcome, SLU_JOURNAL_DONE);
        slu_journal_reply_free(calls[i].reply);
    }
}

/* A command that the engine refuses fails alone: those in its transaction are committed. */
static void test_one_guilty(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct id id = id_of(10, 1), others[20];
    struct slu_record record = record_of(&id, "a");
    struct call calls[21];
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    begin(journal, &id, "a");
    record = record_of(&id, "b"); /* the same id under another key */
    for (size_t i = 0; i < SLU_COUNT(calls); i++) {
        struct slu_record other;

        call_init(&calls[i]);
        if (i < 20) {
            others[i] = id_of(10, 100 + i);
            other = record_of(&others[i], NULL);
        }
        assert_true(
            slu_journal_begin(journal, i < 20 ? &other : &record, call_done, &calls[i], &fault));
    }
    for (size_t i = 0; i < SLU_COUNT(calls); i++)
        slu_journal_reply_free(
            want(&calls[i], true, &fault, i < 20 ? SLU_JOURNAL_DONE : SLU_JOURNAL_FAILED));
    DONE(SLU_JOURNAL_DONE, slu_journal_get(journal, slu_str_of(id.text), SLU_STR_NONE, CALL));
    slu_journal_free(journal);
}

/* A write of one flow log, by an operation that ended like this. */
static void write_once(struct slu_journal *journal, const struct id *id, const char *operation,
                       enum slu_record_state state, int64_t status)
{
    struct slu_record record = record_of(id, NULL);

    record.operation = slu_str_of(operation);
    record.scope = record.id;
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    record.state = state;
    record.status = status;
    if (state != SLU_RECORD_RUNNING)
        DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, true, CALL));
}

static void test_removed(void **state)
{
    static const struct {
        const char *operation;
        enum slu_record_state state;
        int64_t status;
        bool removed;
    } rows[] = {
        {"update", SLU_RECORD_SUCCEEDED, 200, false}, {"delete", SLU_RECORD_FAILED, 0, false},
        {"delete", SLU_RECORD_FAILED, 403, false},    {"delete", SLU_RECORD_FAILED, 404, false},
        {"delete", SLU_RECORD_FAILED, 503, true},     {"delete", SLU_RECORD_UNKNOWN, 502, true},
        {"delete", SLU_RECORD_SUCCEEDED, 204, true},  {"delete", SLU_RECORD_RUNNING, 0, true},
    };
    struct slu_journal *journal = fresh(state);
    struct id other = id_of(14, 0);
    struct slu_str me = slu_str_of(other.text);

    for (uint64_t i = 0; i < SLU_COUNT(rows); i++) {
        struct id id = id_of(13, i);
        struct slu_str scope = slu_str_of(id.text); /* each has one of its own */

        write_once(journal, &id, rows[i].operation, rows[i].state, rows[i].status);
        DONE(rows[i].removed ? SLU_JOURNAL_DONE : SLU_JOURNAL_NONE,
             slu_journal_removed(journal, scope, me, CALL));
        DONE(SLU_JOURNAL_NONE, slu_journal_removed(journal, scope, scope, CALL));
    }
    DONE(SLU_JOURNAL_NONE, slu_journal_removed(journal, SLU_STR("none"), me, CALL));
    slu_journal_free(journal);
}

/* The same store with one step of the schema less, then with all, then with one more. */
static void test_migrations(void **state)
{
    const char *earlier[] = {slu_store_migrations[0], NULL}, *later[16] = {NULL};
    size_t known = slu_store_versions(slu_store_migrations);
    char words[80];
    struct place *place = *state;
    const struct slu_store_engine *engine =
        place->postgresql ? &slu_store_postgresql : &slu_store_sqlite;
    struct slu_journal *journal = fresh(state);
    struct slu_journal_options options;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct id id = id_of(11, 1);
    void *opened = NULL;

    slu_journal_free(journal);
    if (place->postgresql)
        postgres_database(place);
    else
        snprintf(place->store, sizeof(place->store), "%s/old.db", place->dir);
    options = options_of(place);
    /* the first program made the first step; statements about later ones cannot be prepared */
    assert_false(engine->open(&options, earlier, &opened, &fault));
    assert_non_null(strstr(fault.words, "wishes"));
    engine->close(slu_take(opened));

    journal = journal_open(place);
    begin(journal, &id, "k");
    DONE(SLU_JOURNAL_DONE, slu_journal_lock(journal, SLU_STR("vpc"), SLU_STR("a"), 60000, CALL));
    slu_journal_free(journal);

    assert_true(known + 1 < SLU_COUNT(later));
    memcpy(later, slu_store_migrations, known * sizeof(*later));
    later[known] = "ALTER TABLE locks ADD COLUMN reason TEXT";
    fault.kind = SLU_FAULT_NONE;
    assert_true(engine->open(&options, later, &opened, &fault));
    engine->close(slu_take(opened));

    journal = journal_with(&options); /* this program does not know the last step */
    for (int i = 0; i < 1000; i++) {
        struct slu_journal_health health;

        slu_journal_health(journal, &health);
        if (health.failures)
            break;
        usleep(10000);
    }
    snprintf(words, sizeof(words), "schema version %zu, this program knows up to %zu", known + 1,
             known);
    assert_fault(journal, place->postgresql ? "postgresql" : "old.db", words);
    assert_true(becomes_writable(journal, false));
    slu_journal_free(journal);
}

/* ---- every allocation of ours */

struct body {
    const struct place *place;
    uint64_t round;
};

static bool one_of_each(void *context)
{
    struct body *body = context;
    const struct slu_store_engine *engine =
        body->place->postgresql ? &slu_store_postgresql : &slu_store_sqlite;
    struct slu_journal_options options = options_of(body->place);
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct id id = id_of(12, body->round++);
    struct slu_record record = record_of(&id, "k");
    struct slu_journal_filter filter = {
        .caller = SLU_STR("portal"), .most = 10, .target = SLU_STR("one")};
    struct slu_str owner = SLU_STR("0123456789abcdef0123456789abcdef");
    struct slu_store_command *commands[6] = {NULL};
    void *opened = NULL;
    bool good = engine->open(&options, slu_store_migrations, &opened, &fault) &&
                (commands[0] = slu_store_begin(owner, &record, 1000, &fault)) &&
                (commands[1] = slu_store_note(owner, &record, &fault)) &&
                (commands[2] = slu_store_claim(SLU_STR("other"), 2, &fault)) &&
                (commands[3] = slu_store_get(record.id, SLU_STR_NONE, &fault)) &&
                (commands[4] = slu_store_list(&filter, &fault)) &&
                (commands[5] = slu_store_removed(record.scope, owner, &fault)) &&
                engine->run(opened, commands, SLU_COUNT(commands), &fault) == SLU_STORE_COMMITTED;

    for (size_t i = 0; i < SLU_COUNT(commands); i++)
        slu_store_command_free(commands[i]);
    engine->close(opened);
    return good;
}

static bool open_and_close(void *context)
{
    struct body *body = context;
    struct slu_journal_options options = options_of(body->place);
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_journal *journal = slu_journal_new(&options, &fault);

    slu_journal_free(journal);
    assert_true(journal || fault.kind == SLU_FAULT_MEMORY);
    return journal != NULL;
}

static void test_memory(void **state)
{
    struct slu_journal *journal = fresh(state);
    struct body body = {.place = *state};
    unsigned long tried;

    slu_journal_free(journal);
    tried = test_every_allocation(one_of_each, &body);
    assert_true(tried > 10);
    print_message("%lu allocations failed, one at a time\n", tried);
    assert_true(test_every_allocation(open_and_close, &body) > 5);
}

/* ---- the two engines */

static int sqlite_setup(void **state)
{
    static struct place place;

    place_init(&place);
    *state = &place;
    return 0;
}

static int postgresql_setup(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_and_get),
        cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_no_key),
        cmocka_unit_test(test_note_and_settle),
        cmocka_unit_test(test_unbind_and_unknown),
        cmocka_unit_test(test_withdraw),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_colliding_keys),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_one_guilty),
        cmocka_unit_test(test_migrations),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests_name("sqlite", tests, sqlite_setup, teardown) +
           cmocka_run_group_tests_name("postgresql", tests, postgresql_setup, teardown);
}
