/* Operations: what of a record is told, to whom, in which order and pages, and what is asked
 * wrongly. */
#include "journal_world.h"

/* A record put into the journal as a request would, settled when it has a status. */
static struct slu_record put(struct world *world, uint64_t number, struct slu_record some)
{
    static struct id ids[1000];
    struct slu_journal *journal = world->gateway.journal;
    struct slu_record record = some;

    ids[number] = id_of(number + 1, number);
    record.id = slu_str_of(ids[number].text);
    record.caller = some.caller.p ? some.caller : SLU_STR("portal");
    record.scope = some.scope.p ? some.scope : SLU_STR("POST " NET_FLOW_LOGS);
    record.targets = some.targets.p ? some.targets : SLU_STR("net");
    record.operation = some.operation.p ? some.operation : SLU_STR("create");
    record.request = SLU_STR("{}");
    record.digest = SLU_STR("0b5d");
    record.created_ms = record.updated_ms = some.created_ms ? some.created_ms : 1000000;
    record.attempts = 1;
    record.state = SLU_RECORD_RUNNING;
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(journal, &record, CALL));
    if (some.status) {
        record.state = some.state;
        record.headers = SLU_STR("{}");
        DONE(SLU_JOURNAL_DONE, slu_journal_settle(journal, &record, false, CALL));
    }
    return record;
}

static const struct answer *get(struct world *world, const char *key, struct slu_str id)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/operations/%.*s", SLU_FMT(id));
    return talk_once(world, key, path, "", NULL);
}

static void tells_a_record(void **state)
{
    struct world *world = *state;
    struct slu_record made = put(world, 0,
                                 (struct slu_record){.state = SLU_RECORD_SUCCEEDED,
                                                     .status = 201,
                                                     .flow_log_id = SLU_STR("fl-1"),
                                                     .body = SLU_STR("{\"id\":\"fl-1\"}"),
                                                     .created_ms = 1577934245678});
    struct slu_value *document = told(world, get(world, PORTAL_KEY, made.id), 200);

    assert_str(text_of(document, "id"), made.id.p);
    assert_str(text_of(document, "status"), "succeeded");
    assert_str(text_of(document, "operation"), "create");
    assert_str(text_of(document, "target"), "net");
    assert_str(text_of(document, "flow_log_id"), "fl-1");
    assert_str(text_of(document, "created_at"), "2020-01-02T03:04:05Z");
    assert_str(text_of(slu_value_find(document, SLU_STR("flow_log")), "id"), "fl-1");
    assert_null(slu_value_find(document, SLU_STR("error")));
    assert_null(slu_value_find(document, SLU_STR("request"))); /* what was asked is not told */
}

static void tells_how_it_stands(void **state)
{
    struct world *world = *state;
    struct slu_record running = put(world, 0, (struct slu_record){0});
    struct slu_record failed = put(world, 1,
                                   (struct slu_record){.state = SLU_RECORD_FAILED,
                                                       .status = 409,
                                                       .body = SLU_STR("{\"code\":\"conflict\"}")});
    struct slu_record unknown =
        put(world, 2,
            (struct slu_record){.state = SLU_RECORD_UNKNOWN, .status = 502, .body = SLU_STR("{")});
    struct slu_record door = put(world, 3,
                                 (struct slu_record){.state = SLU_RECORD_SUCCEEDED,
                                                     .status = 200,
                                                     .scope = SLU_STR("door otc-vpc create"),
                                                     .body = SLU_STR("{\"flow_log\":{}}")});
    struct slu_record several =
        put(world, 4,
            (struct slu_record){.state = SLU_RECORD_SUCCEEDED,
                                .status = 207,
                                .targets = SLU_STR("net\nmemory"),
                                .body = SLU_STR("{\"results\":[{\"target\":\"net\"}]}")});
    struct slu_value *document = told(world, get(world, PORTAL_KEY, running.id), 200);

    assert_str(text_of(document, "status"), "running");
    assert_null(slu_value_find(document, SLU_STR("http_status")));
    document = told(world, get(world, PORTAL_KEY, failed.id), 200);
    assert_str(text_of(slu_value_find(document, SLU_STR("error")), "code"), "conflict");
    document = told(world, get(world, PORTAL_KEY, unknown.id), 200);
    assert_str(text_of(document, "status"), "unknown");
    assert_null(slu_value_find(document, SLU_STR("error"))); /* the body could not be read */
    document = told(world, get(world, PORTAL_KEY, door.id), 200);
    assert_null(slu_value_find(document, SLU_STR("flow_log")));
    document = told(world, get(world, PORTAL_KEY, several.id), 200);
    assert_int_equal(slu_value_find(document, SLU_STR("targets"))->count, 2);
    assert_int_equal(slu_value_find(document, SLU_STR("results"))->count, 1);
    assert_null(slu_value_find(document, SLU_STR("target")));
}

/* Stored, or of what the record knows; texts that cannot be read are none. */
static void tells_parts(void **state)
{
    struct world *world = *state;
    static const char *const texts[] = {NULL, "[", "{}", "7"};
    struct slu_record record = put(world, 0, (struct slu_record){.targets = SLU_STR("net\nali")});
    struct slu_value *document, *part;

    for (size_t i = 0; i < SLU_COUNT(texts); i++) {
        struct slu_record note = {.id = record.id, .attempts = 1, .updated_ms = 2000000};

        note.parts = texts[i] ? slu_str_of(texts[i]) : SLU_STR_NONE;
        DONE(SLU_JOURNAL_DONE, slu_journal_note(world->gateway.journal, &note, CALL));
        document = told(world, get(world, PORTAL_KEY, record.id), 200);
        assert_int_equal(slu_value_find(document, SLU_STR("parts"))->count, 2);
        part = slu_value_item(slu_value_find(document, SLU_STR("parts")), 1);
        assert_str(text_of(part, "target"), "ali");
        assert_str(text_of(part, "status"), "running");
        document = slu_value_find(document, SLU_STR("progress"));
        assert_true(slu_str_is(slu_value_find(document, SLU_STR("done"))->text, "0"));
        assert_true(slu_str_is(slu_value_find(document, SLU_STR("of"))->text, "2"));
    }
    record.parts = SLU_STR("[{\"target\":\"net\",\"status\":\"failed\"},{\"status\":7},3]");
    record.upstream = SLU_STR("{\"net\":[\"id-1\"],\"ali\":[\"id-2\"]}");
    DONE(SLU_JOURNAL_DONE, slu_journal_note(world->gateway.journal, &record, CALL));
    document = told(world, get(world, PORTAL_KEY, record.id), 200);
    part = slu_value_item(slu_value_find(document, SLU_STR("parts")), 0);
    assert_str(text_of(part, "status"), "failed");
    part = slu_value_item(slu_value_find(part, SLU_STR("upstream_request_ids")), 0);
    assert_true(slu_str_is(part->text, "id-1"));
}

/* What the journal took and nobody waited for. */
static void tells_what_was_never_begun(void **state)
{
    struct world *world = *state;
    struct slu_record late = put(world, 0, (struct slu_record){0});
    struct slu_value *document, *error;

    journal_sql(world, "UPDATE operations SET state = 'failed', attempts = 0");
    document = told(world, get(world, PORTAL_KEY, late.id), 200);
    assert_str(text_of(document, "status"), "failed");
    assert_int_equal(number_of(document, "http_status"), 503);
    error = slu_value_find(document, SLU_STR("error"));
    assert_str(text_of(error, "code"), "unavailable");
    assert_true(slu_value_find(error, SLU_STR("retryable"))->truth);
}

static void tells_callers_their_own(void **state)
{
    struct world *world = *state;
    struct slu_record mine = put(world, 0, (struct slu_record){0});

    told(world, get(world, PORTAL_KEY, mine.id), 200);
    told(world, get(world, STRANGER_KEY, mine.id), 404);
    told(world, get(world, READER_KEY, mine.id), 404);
    told(world, get(world, "nobody", mine.id), 401);
    told(world, get(world, PORTAL_KEY, SLU_STR("00000000000000ff00000000000000ff")), 404);
    told(world, get(world, PORTAL_KEY, SLU_STR("%27%20OR%201%3D1")), 404);
}

/* Ten records, two for each time; the list is the same however it is cut. */
static void lists_in_pages(void **state)
{
    struct world *world = *state;
    enum { RECORDS = 10 };

    for (uint64_t i = 0; i < RECORDS; i++)
        put(world, i, (struct slu_record){.created_ms = 1000 * (int64_t)(1 + i / 2)});
    put(world, RECORDS, (struct slu_record){.caller = SLU_STR("stranger")});
    for (unsigned size = 1; size <= RECORDS + 1; size++) {
        char path[256] = "", token[64] = "";
        uint64_t next = RECORDS;

        do {
            struct slu_value *page, *more;

            snprintf(path, sizeof(path), "/v1/operations?page_size=%u%s", size, token);
            page = told(world, talk_once(world, PORTAL_KEY, path, "", NULL), 200);
            slu_value_each (row, slu_value_find(page, SLU_STR("operations")))
                assert_str(text_of(row, "id"), id_of(next, next - 1).text), next--;
            more = slu_value_find(page, SLU_STR("next_page_token"));
            token[0] = '\0';
            if (slu_value_is(more, SLU_STRING))
                snprintf(token, sizeof(token), "&page_token=%.*s", SLU_FMT(more->text));
        } while (token[0]);
        assert_int_equal(next, 0);
    }
}

static void lists_what_is_wanted(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *query;
        size_t count;
    } asks[] = {
        {"", 4},
        {"status=running", 2},
        {"status=failed", 1},
        {"status=unknown", 0},
        {"operation=delete", 1},
        {"operation=update", 0},
        {"target=net", 3},
        {"target=memory", 2},
        {"target=ne", 0},
        {"target=net&status=running", 1},
        {"target=memory&operation=delete&status=running", 1},
    };

    put(world, 0, (struct slu_record){0});
    put(world, 1, (struct slu_record){.state = SLU_RECORD_FAILED, .status = 409});
    put(world, 2,
        (struct slu_record){.targets = SLU_STR("memory"), .operation = SLU_STR("delete")});
    put(world, 3,
        (struct slu_record){
            .state = SLU_RECORD_SUCCEEDED, .status = 201, .targets = SLU_STR("net\nmemory")});
    for (size_t i = 0; i < SLU_COUNT(asks); i++) {
        size_t count = count_of(world, asks[i].query);

        if (count != asks[i].count)
            print_error("%s: %zu\n", asks[i].query, count);
        assert_int_equal(count, asks[i].count);
    }
}

static void refuses_wrong_questions(void **state)
{
    struct world *world = *state;
    static const char *const queries[] = {
        "status=done",
        "status=",
        "operation=get",
        "operation=list",
        "operation=x",
        "page_size=0",
        "page_size=201",
        "page_size=-1",
        "page_size=1e1",
        "page_token=",
        "page_token=1",
        "page_token=1-2",
        "page_token=-0123456789abcdef0123456789abcdef",
        "page_token=99999999999999999999-0123456789abcdef0123456789abcdef",
        "status=failed&status=failed",
        "colour=red",
    };

    for (size_t i = 0; i < SLU_COUNT(queries); i++) {
        char path[256];
        const struct answer *answer;

        snprintf(path, sizeof(path), "/v1/operations?%s", queries[i]);
        answer = talk_once(world, PORTAL_KEY, path, "", NULL);
        if (answer->status != 400)
            print_error("%s\n", path);
        assert_str(text_of(told(world, answer, 400), "code"), "bad_parameter");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_JOURNAL_WORLD(tells_a_record),
        IN_A_JOURNAL_WORLD(tells_how_it_stands),
        IN_A_JOURNAL_WORLD(tells_parts),
        IN_A_JOURNAL_WORLD(tells_what_was_never_begun),
        IN_A_JOURNAL_WORLD(tells_callers_their_own),
        IN_A_JOURNAL_WORLD(lists_in_pages),
        IN_A_JOURNAL_WORLD(lists_what_is_wanted),
        IN_A_JOURNAL_WORLD(refuses_wrong_questions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
