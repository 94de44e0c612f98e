/* What a gateway that is gone has left in the journal: how each kind of write is looked for, what
 * is finished and what is only told, and every allocation of it failing. */
#include "journal_world.h"
#include "script.h"

#include "codec/time.h"

#include <sqlite3.h>

#define OLD_UUID "25c4052d-8d14-488f-aa00-19fea5a25fd0"
#define NEW_UUID "35c4052d-8d14-488f-aa00-19fea5a25fd1"
#define NET_PATH "/v1/" PROJECT "/fl/flow_logs"

enum { ROWS = 4 };

struct row {
    const char *id; /* NULL: none */
    const char *name, *traffic;
    bool off, old;  /* old: made long ago */
    unsigned shows; /* from this look on, counted from 1, */
    unsigned hides; /* and until this one; 0: for ever */
};

static struct {
    struct script script;
    struct row rows[ROWS];
    unsigned looks;
    int write_status; /* of writes that fail; 0: they act */
} now;

static bool is_there(const struct row *row)
{
    return row->id && now.looks >= row->shows && (!row->hides || now.looks < row->hides);
}

static void tell_row(FILE *body, const struct row *row)
{
    char made[SLU_TIME_EXTENDED];

    slu_time_extended(row->old ? 0 : slu_clock_real_s(), made);
    fprintf(body,
            "{\"id\":\"%s\",\"tenant_id\":\"" PROJECT "\",\"admin_state\":%s,\"status\":\"%s\","
            "\"created_at\":\"%.19s\",\"updated_at\":\"%.19s\",\"name\":\"%s\",\"description\":"
            "\"rejected at the edge\",\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID
            "\",\"traffic_type\":\"%s\",\"log_group_id\":\"" ANY_UUID
            "\",\"log_topic_id\":\"" ANY_UUID "\"}",
            row->id, row->off ? "false" : "true", row->off ? "DOWN" : "ACTIVE", made, made,
            row->name ? row->name : "edge-reject", row->traffic ? row->traffic : "reject");
}

static void tell_rows(FILE *body)
{
    const char *comma = "";

    fputs("{\"flow_logs\":[", body);
    for (size_t i = 0; i < ROWS; i++)
        if (is_there(&now.rows[i])) {
            fputs(comma, body);
            tell_row(body, &now.rows[i]);
            comma = ",";
        }
    fputs("]}", body);
}

static struct row *row_of(const char *target)
{
    for (size_t i = 0; i < ROWS; i++)
        if (is_there(&now.rows[i]) && strstr(target, now.rows[i].id))
            return &now.rows[i];
    return NULL;
}

static int act(const struct peer_end *end, FILE *body)
{
    struct row *row = row_of(end->target);

    if (now.write_status) {
        fputs("{\"error_msg\":\"no\",\"error_code\":\"X.1\"}", body);
        return now.write_status;
    }
    if (strcmp(end->method, "POST") == 0) {
        row = &now.rows[ROWS - 1];
        *row = (struct row){.id = NEW_UUID, .traffic = strstr(end->body, "all") ? "all" : NULL};
    } else if (!row) {
        fputs("{\"code\":\"VPC.3002\",\"message\":\"no\"}", body);
        return 404;
    } else if (strcmp(end->method, "DELETE") == 0) {
        row->id = NULL;
        return 204;
    } else {
        row->off = strstr(end->body, "\"admin_state\":false") != NULL;
    }
    fputs("{\"flow_log\":", body);
    tell_row(body, row);
    fputs("}", body);
    return strcmp(end->method, "POST") == 0 ? 201 : 200;
}

static int answer(struct script *script, const struct peer_end *end, FILE *body)
{
    const struct row *row;

    (void)script;
    if (strcmp(end->method, "GET") != 0)
        return act(end, body);
    now.looks++;
    if (strcmp(end->target + strcspn(end->target, "?"), "") == 0 && strstr(end->target, "_logs/")) {
        row = row_of(end->target);
        if (!row) {
            fputs("{\"code\":\"VPC.3002\",\"message\":\"no\"}", body);
            return 404;
        }
        fputs("{\"flow_log\":", body);
        tell_row(body, row);
        fputs("}", body);
        return 200;
    }
    tell_rows(body);
    return 200;
}

/* The world */

static int begin(void **state)
{
    struct slu_fault fault = {0};
    struct journal_world *both;
    struct world *world;

    journal_world_start(state);
    both = *state;
    world = &both->world;
    memset(&now, 0, sizeof(now));
    script_start(&now.script, answer, NULL);
    world_point(world, world_target(world, "net"), now.script.peer->port);
    world_end_worker(world);
    assert_true(slu_worker_init(&world->worker, &world->gateway, 0, &fault));
    assert_true(slu_worker_start(&world->worker));
    return 0;
}

static int end(void **state)
{
    struct journal_world *both = *state;

    if (both->world.worker.loop)
        journal_world_end_gateway(&both->world);
    script_stop(&now.script);
    return journal_world_stop(state);
}

/* A write that another process has begun and not settled. */
static struct slu_str left_behind(struct world *world, struct slu_record some)
{
    static uint64_t number;
    struct id id = id_of(77, ++number);
    struct slu_record record = some;
    struct journal_world *both = (struct journal_world *)world;
    sqlite3 *db;

    record.id = slu_arena_str(&world->arena, slu_str_of(id.text));
    record.caller = SLU_STR("portal");
    record.scope = some.scope.p ? some.scope : SLU_STR("POST " NET_FLOW_LOGS);
    record.digest = SLU_STR("0b5d");
    record.targets = some.targets.p ? some.targets : SLU_STR("net");
    record.operation = some.operation.p ? some.operation : SLU_STR("create");
    record.request = some.request.p ? some.request : slu_str_of(net_flow_log);
    record.attempts = 1;
    record.created_ms = slu_clock_real_ms() - 500;
    DONE(SLU_JOURNAL_DONE, slu_journal_begin(world->gateway.journal, &record, CALL));
    assert_int_equal(sqlite3_open(both->place.store, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE operations SET owner = 'gone' WHERE state = 'running' "
                                  "AND created_ms = updated_ms",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    return record.id;
}

static void begin_recovery(void *argument)
{
    struct slu_worker *worker = argument;

    slu_recovery_end(worker);
    slu_recovery_free(worker);
    slu_must(slu_recovery_begin(worker));
}

/* The next claim is now. */
static void recover(struct world *world)
{
    world_on_loop(world, begin_recovery, &world->worker);
}

/* Waits for its end, without asking the worker. */
static enum slu_record_state state_of(struct world *world, struct slu_str id)
{
    enum slu_record_state state = SLU_RECORD_RUNNING;

    for (int i = 0; i < 2000 && state == SLU_RECORD_RUNNING; i++) {
        struct slu_journal_reply *reply =
            DO(SLU_JOURNAL_DONE, slu_journal_get(world->gateway.journal, id, SLU_STR_NONE, CALL));

        state = reply->records[0].state;
        slu_journal_reply_free(reply);
        usleep(5000);
    }
    assert_int_not_equal(state, SLU_RECORD_RUNNING);
    return state;
}

/* What the operation came to. */
static struct slu_value *end_of(struct world *world, struct slu_str id)
{
    char path[128];

    (void)state_of(world, id);
    snprintf(path, sizeof(path), "/v1/operations/%.*s", SLU_FMT(id));
    return told(world, talk_once(world, PORTAL_KEY, path, "", NULL), 200);
}

static inline bool says(const struct slu_value *document, const char *words)
{
    struct slu_str detail = text_of(slu_value_find(document, SLU_STR("error")), "detail");

    if (memmem(detail.p, detail.n, words, strlen(words)))
        return true;
    print_error("%.*s\n", SLU_FMT(detail));
    return false;
}

static void called(const char *const *calls)
{
    unsigned at = 0;

    for (unsigned i = 0; i < now.script.count; i++) {
        if (i && strcmp(now.script.calls[i], now.script.calls[i - 1]) == 0)
            continue;
        if (!calls[at] || strcmp(now.script.calls[i], calls[at]) != 0)
            print_error("call %u is %s\n", i, now.script.calls[i]);
        assert_non_null(calls[at]);
        assert_string_equal(now.script.calls[i], calls[at++]);
    }
    assert_null(calls[at]);
}

#define CALLED(...) called((const char *const[]){__VA_ARGS__, NULL})

/* Creates */

static void a_create_is_found(void **state)
{
    struct world *world = *state;
    struct slu_value *document;
    struct slu_str id;

    now.rows[0] = (struct row){.id = OLD_UUID, .old = true};
    now.rows[1] = (struct row){.id = NEW_UUID, .shows = 3};
    id = left_behind(world, (struct slu_record){.key = SLU_STR("k")});
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "succeeded");
    assert_int_equal(number_of(document, "http_status"), 201);
    assert_str(text_of(document, "flow_log_id"), NEW_UUID);
    CALLED("GET " NET_PATH);
}

/* Every allocation */

struct failing {
    struct slu_worker *worker;
    unsigned long at, asked;
};

static void begin_failing(void *argument)
{
    struct failing *failing = argument;

    begin_recovery(failing->worker);
    slu_mem_fail_at(failing->at);
}

static void end_failing(void *argument)
{
    ((struct failing *)argument)->asked = slu_mem_fail_at(0);
}

/* With the n-th allocation of the worker failing; false when it asked for fewer. Nothing is lost,
 * nothing is sent twice, and what could not be looked at is told as unknown. */
static bool recovers(struct world *world, unsigned long n)
{
    struct failing failing = {&world->worker, n, 0};
    struct slu_str id = left_behind(world, (struct slu_record){0});
    enum slu_record_state state;

    world_on_loop(world, begin_failing, &failing);
    state = state_of(world, id);
    world_on_loop(world, end_failing, &failing);
    if (state != SLU_RECORD_SUCCEEDED && state != SLU_RECORD_UNKNOWN)
        print_error("allocation %lu: %s\n", n, slu_record_state_name(state));
    assert_true(state == SLU_RECORD_SUCCEEDED || state == SLU_RECORD_UNKNOWN);
    return failing.asked >= n;
}

static void every_allocation_fails(void **state)
{
    struct world *world = *state;
    unsigned long n = 1;

    now.rows[0] = (struct row){.id = NEW_UUID};
    while (recovers(world, n))
        n++;
    assert_true(n > 1);
    CALLED("GET " NET_PATH);
    assert_int_equal(count_of(world, "status=running"), 0);
}

int main(void)
{
#define IN_A_CRASHED_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        IN_A_CRASHED_WORLD(a_create_is_found),
        IN_A_CRASHED_WORLD(every_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
