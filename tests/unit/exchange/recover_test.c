/* What a gateway that is gone has left in the journal: how each kind of write is looked for, what
 * is finished and what is only told, and every allocation of it failing. */
#include "journal_world.h"
#include "script.h"

#include "codec/time.h"

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
    struct slu_table *table;
    struct row rows[ROWS];
    unsigned looks;
    int write_status; /* of writes that fail; 0: they act */
    atomic_bool holds_creates, holds_deletes;
    atomic_uint creates, deletes;
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

static void wait_while(const struct peer_end *end, atomic_uint *count, atomic_bool *holds)
{
    (*count)++;
    while (*holds && !end->peer->stopping)
        usleep(1000);
}

static int act(const struct peer_end *end, FILE *body)
{
    struct row *row = row_of(end->target);

    if (strcmp(end->method, "POST") == 0)
        wait_while(end, &now.creates, &now.holds_creates);
    if (strcmp(end->method, "DELETE") == 0)
        wait_while(end, &now.deletes, &now.holds_deletes);

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

/* The table, but that what was done is shown sooner. */
static struct slu_table *quick_table(struct world *world)
{
    struct journal_world *both = (struct journal_world *)world;
    struct slu_str text = test_file("mappings/otc-vpc.json");
    struct slu_mistakes mistakes;
    struct slu_table *table;
    char path[512], *at;
    FILE *file;

    while ((at = strstr(text.p, "\"visible_after_ms\": 2000")))
        memcpy(at, "\"visible_after_ms\":  600", 24);
    snprintf(path, sizeof(path), "%s/otc-vpc.json", both->place.dir);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fclose(file), 0);
    slu_mem_free((char *)text.p);
    slu_mistakes_init(&mistakes, &world->arena);
    table = slu_table_load(path, &mistakes);
    assert_non_null(table);
    return table;
}

/* A gateway that has not begun to work. What its forerunner had asked the journal is answered. */
static void begin_anew(struct world *world)
{
    struct slu_fault fault = {0};

    slu_loop_stop(world->worker.loop);
    slu_worker_end(&world->worker);
    DONE(SLU_JOURNAL_NONE,
         slu_journal_get(world->gateway.journal, SLU_STR("none"), SLU_STR_NONE, CALL));
    slu_worker_done(&world->worker);
    memset(&world->worker, 0, sizeof(world->worker));
    slu_claims_free(world->gateway.claims); /* nor what is kept in memory */
    world->gateway.claims = slu_claims_new();
    assert_non_null(world->gateway.claims);
    assert_true(slu_worker_init(&world->worker, &world->gateway, 0, &fault));
}

/* From here on it recovers. */
static void recover(struct world *world)
{
    assert_true(slu_worker_start(&world->worker));
}

static int begin(void **state)
{
    struct journal_world *both;

    journal_world_start(state);
    both = *state;
    memset(&now, 0, sizeof(now));
    script_start(&now.script, answer, NULL);
    now.table = quick_table(&both->world);
    world_target(&both->world, "net")->table = now.table;
    world_point(&both->world, world_target(&both->world, "net"), now.script.peer->port);
    begin_anew(&both->world);
    return 0;
}

static int end(void **state)
{
    struct journal_world *both = *state;

    if (both->world.worker.loop)
        journal_world_end_gateway(&both->world);
    script_stop(&now.script);
    slu_table_free(now.table);
    return journal_world_stop(state);
}

/* What is running is another process's, which is dead, or alive. */
static void disown_all(struct world *world, bool dead)
{
    journal_sql(world, dead ? "UPDATE operations SET owner = 'dead' WHERE state = 'running'"
                            : "UPDATE operations SET owner = 'alive' WHERE state = 'running';"
                              "INSERT INTO owners VALUES ('alive', 9000000000000)");
}

/* A write that another process has begun and not settled. */
static struct slu_str left_behind(struct world *world, struct slu_record some)
{
    static uint64_t number;
    struct id id = id_of(77, ++number);
    struct slu_record record = some;

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
    disown_all(world, true);
    return record.id;
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

static bool says(const struct slu_value *document, const char *words)
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
    now.rows[1] = (struct row){.id = NEW_UUID, .shows = 2};
    id = left_behind(world, (struct slu_record){.key = SLU_STR("k")});
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "succeeded");
    assert_int_equal(number_of(document, "http_status"), 201);
    assert_str(text_of(document, "flow_log_id"), NEW_UUID);
    CALLED("GET " NET_PATH);
}

#define ONE    NET_FLOW_LOGS "/" OLD_UUID
#define ONE_AT NET_PATH "/" OLD_UUID
#define NEW_AT NET_PATH "/" NEW_UUID

static void a_create_that_did_nothing(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, (struct slu_record){.key = SLU_STR("k")});
    struct slu_value *document;

    now.rows[0] = (struct row){.id = OLD_UUID, .old = true}; /* another one, as it is */
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    assert_true(says(document, "had no effect"));
    CALLED("GET " NET_PATH);
    told(world, create_with(world, "\"k\"", net_flow_log), 201); /* the key is free */
}

/* Deletes and changes */

static struct slu_record of_one(const char *operation, const char *method, const char *request)
{
    return (struct slu_record){.operation = slu_str_of(operation),
                               .scope = slu_str_of(method),
                               .flow_log_id = SLU_STR(OLD_UUID),
                               .key = SLU_STR("k"),
                               .request = slu_str_of(request)};
}

static struct slu_record a_delete(void)
{
    return of_one("delete", "DELETE " ONE, "null");
}

static struct slu_record a_change(const char *patch)
{
    return of_one("update", "PATCH " ONE, patch);
}

static void a_delete_is_seen_late(void **state)
{
    struct world *world = *state;
    struct slu_value *document;
    struct slu_str id = left_behind(world, a_delete());

    now.rows[0] = (struct row){.id = OLD_UUID, .old = true, .hides = 2};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "succeeded");
    assert_int_equal(number_of(document, "http_status"), 204);
    assert_int_equal(now.looks, 2);
    CALLED("GET " ONE_AT);
}

static void a_delete_that_did_nothing(void **state)
{
    struct world *world = *state;
    struct slu_value *document;
    struct slu_str id = left_behind(world, a_delete());
    uint64_t began = slu_clock_mono_us();

    now.rows[0] = (struct row){.id = OLD_UUID, .old = true};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    assert_true(says(document, "send it again"));
    assert_true(slu_clock_mono_us() - began >= 600000); /* what the table says it may take */
    CALLED("GET " ONE_AT);
}

/* Told as failed, for it was still there then; whoever repeats it later, at whichever gateway,
 * finds it gone. What the cloud refused is another matter. */
static void a_delete_came_very_late(void **state)
{
    struct world *world = *state;

    left_behind(world, a_delete());
    journal_sql(world, "UPDATE operations SET state = 'failed', status = 403, "
                       "idempotency_key = NULL");
    recover(world);
    told(world, talk_method(world, "DELETE", ONE, "idempotency-key: \"k\"\r\n", NULL), 404);
    journal_sql(world, "UPDATE operations SET status = 503");
    assert_int_equal(talk_method(world, "DELETE", ONE, "idempotency-key: \"l\"\r\n", NULL)->status,
                     204);
}

static void a_change_is_seen_late(void **state)
{
    struct world *world = *state;
    struct slu_value *document;
    struct slu_str id = left_behind(world, a_change("{\"name\":\"changed\",\"enabled\":false}"));

    now.rows[0] = (struct row){.id = OLD_UUID, .old = true, .hides = 2};
    now.rows[1] = (struct row){.id = OLD_UUID, .name = "changed", .off = true, .shows = 2};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "succeeded");
    assert_str(text_of(slu_value_find(document, SLU_STR("flow_log")), "name"), "changed");
    assert_int_equal(now.looks, 2);
    CALLED("GET " ONE_AT);
}

/* A part of it holds: what is missing is sent by whoever asked for it. */
static void a_change_that_is_half_done(void **state)
{
    struct world *world = *state;
    struct slu_value *document;
    struct slu_str id = left_behind(world, a_change("{\"name\":\"changed\",\"enabled\":false}"));

    now.rows[0] = (struct row){.id = OLD_UUID, .name = "changed"};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    assert_true(says(document, "not wholly"));
    CALLED("GET " ONE_AT);
}

/* What the target cannot carry was never asked of it. */
static void a_lenient_change(void **state)
{
    struct world *world = *state;
    struct slu_record record = a_change("{\"name\":\"changed\",\"tags\":{\"a\":\"b\"}}");
    struct slu_value *document;
    struct slu_str id;

    record.wishes = SLU_STR("{\"lenient\":true,\"replace\":false}");
    now.rows[0] = (struct row){.id = OLD_UUID, .name = "changed"};
    id = left_behind(world, record);
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "succeeded");
}

static void a_change_that_cannot_be_read(void **state)
{
    struct world *world = *state;
    struct slu_value *document;
    struct slu_str id = left_behind(world, a_change("{"));

    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "unknown");
    assert_true(says(document, "cannot be read any more"));
    assert_int_equal(now.script.count, 0);
}

/* Replacements */

static struct slu_record a_replacement(const char *parts)
{
    struct slu_record record = a_change("{\"traffic_type\":\"all\"}");

    record.wishes = SLU_STR("{\"lenient\":false,\"replace\":true}");
    if (parts)
        record.parts = slu_str_of(parts);
    return record;
}

#define MADE "[{\"target\":\"net\",\"made\":\"" NEW_UUID "\"}]"

/* The flow log there was, as young as what replaces it, and that one. */
static void both_stand(void)
{
    now.rows[0] = (struct row){.id = OLD_UUID};
    now.rows[1] = (struct row){.id = NEW_UUID, .traffic = "all"};
}

static void is_replaced(struct world *world, struct slu_str id)
{
    struct slu_value *document = end_of(world, id), *flow_log;

    assert_str(text_of(document, "status"), "succeeded");
    assert_int_equal(number_of(document, "http_status"), 200);
    flow_log = slu_value_find(document, SLU_STR("flow_log"));
    assert_str(text_of(flow_log, "id"), NEW_UUID);
    assert_str(text_of(flow_log, "replaced"), OLD_UUID);
    assert_str(text_of(document, "flow_log_id"), NEW_UUID);
    assert_null(now.rows[0].id);
    assert_non_null(now.rows[1].id);
}

static void a_replacement_is_finished(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(NULL));

    both_stand();
    recover(world);
    is_replaced(world, id);
    CALLED("GET " ONE_AT, "GET " NET_PATH, "DELETE " ONE_AT);
}

static void a_noted_replacement_is_finished(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(MADE));

    both_stand();
    recover(world);
    is_replaced(world, id);
    CALLED("GET " NEW_AT, "DELETE " ONE_AT);
}

static void a_replacement_was_finished(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(MADE));

    both_stand();
    now.rows[0].id = NULL;
    recover(world);
    is_replaced(world, id);
}

static void a_replacement_that_did_nothing(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(NULL));
    struct slu_value *document;

    now.rows[0] = (struct row){.id = OLD_UUID};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    assert_true(says(document, "had no effect"));
    assert_non_null(now.rows[0].id);
    CALLED("GET " ONE_AT, "GET " NET_PATH);
}

/* Somebody else has removed it: nobody can say what replaced it. */
static void what_was_to_be_replaced_is_gone(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(NULL));
    struct slu_value *document;

    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "unknown");
    assert_true(says(document, "in its place"));
}

static void what_replaced_it_is_gone(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(MADE));
    struct slu_value *document;

    now.rows[0] = (struct row){.id = OLD_UUID};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "unknown");
    assert_true(says(document, "was made in place of " OLD_UUID));
    assert_non_null(now.rows[0].id); /* nothing stands in its place */
    CALLED("GET " NEW_AT);
}

static void the_old_one_stays(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, a_replacement(MADE));
    struct slu_value *document;

    both_stand();
    now.write_status = 403;
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    assert_true(says(document, "was made in place of " OLD_UUID));
}

/* The note is in the journal before the old one is removed. */
static void a_replacement_is_noted(void **state)
{
    struct world *world = *state;
    static struct answer answer;
    struct slu_journal_filter all = {.caller = SLU_STR("portal"), .most = 1};
    struct slu_journal_reply *reply;
    int fd = dial(world, FRONT_REST);

    recover(world);
    now.rows[0] = (struct row){.id = OLD_UUID};
    now.holds_deletes = true;
    say_method(fd, "PATCH", ONE "?replace=true", "", "{\"traffic_type\":\"all\"}");
    assert_true(reaches(&now.deletes, 1));
    reply = DO(SLU_JOURNAL_DONE, slu_journal_list(world->gateway.journal, &all, CALL));
    assert_non_null(strstr(reply->records[0].parts.p, "\"made\":\"" NEW_UUID "\""));
    assert_str(reply->records[0].wishes, "{\"lenient\":false,\"replace\":true}");
    assert_int_equal(reply->records[0].state, SLU_RECORD_RUNNING);
    slu_journal_reply_free(reply);
    now.holds_deletes = false;
    assert_true(hear(fd, &answer));
    assert_str(text_of(told(world, &answer, 200), "replaced"), OLD_UUID);
    close(fd);
}

/* Another gateway has claimed the write meanwhile: this one removes nothing. */
static void a_replacement_that_is_not_ours_any_more(void **state)
{
    struct world *world = *state;
    static struct answer answer;
    int fd = dial(world, FRONT_REST);

    recover(world);
    now.rows[0] = (struct row){.id = OLD_UUID};
    now.holds_creates = true;
    say_method(fd, "PATCH", ONE "?replace=true", "", "{\"traffic_type\":\"all\"}");
    assert_true(reaches(&now.creates, 1));
    disown_all(world, false);
    now.holds_creates = false;
    assert_true(hear(fd, &answer));
    assert_true(strstr(answer.text, "which stands too") && strstr(answer.text, "taken the write"));
    assert_int_equal(answer.status, 503);
    assert_non_null(now.rows[0].id);
    close(fd);
}

/* At doors: a token stays bound to what it made, the request itself only while that is under way.
 */

static bool is_bound(struct world *world, struct slu_str id)
{
    struct slu_journal_reply *reply =
        DO(SLU_JOURNAL_DONE, slu_journal_get(world->gateway.journal, id, SLU_STR_NONE, CALL));
    bool bound = reply->records[0].key.p != NULL;

    slu_journal_reply_free(reply);
    return bound;
}

static void keys_of_doors(void **state)
{
    struct world *world = *state;
    struct slu_record record = {.scope = SLU_STR("door otc-vpc net create")};
    static const char *const keys[] = {"token 0b5d", "request 0b5d"};

    now.rows[0] = (struct row){.id = NEW_UUID};
    for (size_t i = 0; i < SLU_COUNT(keys); i++) {
        struct slu_value *document;
        struct slu_str id;

        record.key = slu_str_of(keys[i]);
        id = left_behind(world, record);
        begin_anew(world);
        recover(world);
        document = end_of(world, id);
        assert_str(text_of(document, "status"), "succeeded");
        assert_str(text_of(document, "flow_log_id"), NEW_UUID);
        assert_int_equal(is_bound(world, id), i == 0);
    }
}

/* Several targets; what the memory cloud had went with the gateway that is gone. */

static struct slu_record of_several(const char *policy, const char *targets)
{
    static char request[2048];

    snprintf(request, sizeof(request), "{\"targets\":[\"net\",\"memory\"],\"policy\":\"%s\",%s",
             policy, net_flow_log + 1);
    return (struct slu_record){.scope = SLU_STR("POST /v1/flow-logs"),
                               .key = SLU_STR("k"),
                               .targets = slu_str_of(targets),
                               .request = slu_str_of(request)};
}

static void ended(const struct slu_value *document, const char *net, const char *other)
{
    const struct slu_value *results = slu_value_find(document, SLU_STR("results"));

    assert_int_equal(results->count, 2);
    assert_str(text_of(slu_value_item(results, 0), "outcome"), net);
    assert_str(text_of(slu_value_item(results, 1), "outcome"), other);
}

static void best_effort_is_finished(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, of_several("best_effort", "net\nmemory"));
    struct slu_value *document;

    now.rows[0] = (struct row){.id = NEW_UUID};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "succeeded");
    assert_int_equal(number_of(document, "http_status"), 201);
    ended(document, "created", "created");
    CALLED("GET " NET_PATH);
    document =
        told(world, talk_once(world, PORTAL_KEY, "/v1/targets/memory/flow-logs", "", NULL), 200);
    assert_int_equal(slu_value_find(document, SLU_STR("flow_logs"))->count, 1);
}

static void nothing_of_best_effort_stands(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, of_several("best_effort", "net\nmemory"));
    struct slu_value *document;

    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    assert_int_equal(number_of(document, "http_status"), 207);
    ended(document, "failed", "failed");
    CALLED("GET " NET_PATH);
}

static void all_is_undone(void **state)
{
    struct world *world = *state;
    struct slu_str id = left_behind(world, of_several("all", "net\nmemory"));
    struct slu_value *document;

    now.rows[0] = (struct row){.id = NEW_UUID};
    recover(world);
    document = end_of(world, id);
    assert_str(text_of(document, "status"), "failed");
    ended(document, "undone", "failed");
    assert_null(now.rows[0].id);
}

static void a_target_is_gone(void **state)
{
    struct world *world = *state;
    static const char *const policies[] = {"best_effort", "all"};

    now.rows[0] = (struct row){.id = NEW_UUID};
    for (size_t i = 0; i < SLU_COUNT(policies); i++) {
        struct slu_record record = of_several(policies[i], "net\nnowhere");
        struct slu_value *document;
        struct slu_str id;

        record.key = slu_str_of(policies[i]);
        id = left_behind(world, record);
        begin_anew(world);
        recover(world);
        document = end_of(world, id);
        assert_str(text_of(document, "status"), "unknown");
        ended(document, "created", "unknown");
    }
    assert_non_null(now.rows[0].id);
}

/* Every allocation */

struct failing {
    unsigned long at, asked;
};

static void begin_failing(void *argument)
{
    slu_mem_fail_at(((struct failing *)argument)->at);
}

static void end_failing(void *argument)
{
    ((struct failing *)argument)->asked = slu_mem_fail_at(0);
}

/* With the n-th allocation of the worker failing; false when it asked for fewer. */
static bool recovers(struct world *world, unsigned long n, const struct slu_record *record,
                     enum slu_record_state *ret_state)
{
    struct failing failing = {n, 0};
    struct slu_str id = left_behind(world, *record);

    begin_anew(world);
    assert_true(slu_loop_post(world->worker.loop, begin_failing, &failing));
    recover(world);
    *ret_state = state_of(world, id);
    world_on_loop(world, end_failing, &failing);
    return failing.asked >= n;
}

/* Nothing is lost, and what could not be looked at is told as unknown. */
static void every_allocation_fails(void **state)
{
    struct world *world = *state;
    struct slu_record record = {0};
    enum slu_record_state end;
    unsigned long n = 1;

    now.rows[0] = (struct row){.id = NEW_UUID};
    for (bool more = true; more; n++) {
        more = recovers(world, n, &record, &end);
        assert_int_not_equal(end, SLU_RECORD_FAILED);
    }
    assert_true(n > 2);
    CALLED("GET " NET_PATH);
    assert_int_equal(count_of(world, "status=running"), 0);
}

/* Half done, whatever happens: never is none left, and two only where it does not say success. */
static void every_allocation_of_a_replacement_fails(void **state)
{
    struct world *world = *state;
    struct slu_record record = a_replacement(NULL);
    enum slu_record_state end;
    unsigned long n = 1;

    record.key = SLU_STR_NONE;
    for (bool more = true; more; n++) {
        both_stand();
        more = recovers(world, n, &record, &end);
        assert_non_null(now.rows[1].id);
        if (end == SLU_RECORD_SUCCEEDED)
            assert_null(now.rows[0].id);
    }
    assert_true(n > 2);
    assert_int_equal(end, SLU_RECORD_SUCCEEDED);
}

int main(void)
{
#define IN_A_CRASHED_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        IN_A_CRASHED_WORLD(a_create_is_found),
        IN_A_CRASHED_WORLD(a_create_that_did_nothing),
        IN_A_CRASHED_WORLD(a_delete_is_seen_late),
        IN_A_CRASHED_WORLD(a_delete_that_did_nothing),
        IN_A_CRASHED_WORLD(a_delete_came_very_late),
        IN_A_CRASHED_WORLD(a_change_is_seen_late),
        IN_A_CRASHED_WORLD(a_change_that_is_half_done),
        IN_A_CRASHED_WORLD(a_lenient_change),
        IN_A_CRASHED_WORLD(a_change_that_cannot_be_read),
        IN_A_CRASHED_WORLD(a_replacement_is_finished),
        IN_A_CRASHED_WORLD(a_noted_replacement_is_finished),
        IN_A_CRASHED_WORLD(a_replacement_was_finished),
        IN_A_CRASHED_WORLD(a_replacement_that_did_nothing),
        IN_A_CRASHED_WORLD(what_was_to_be_replaced_is_gone),
        IN_A_CRASHED_WORLD(what_replaced_it_is_gone),
        IN_A_CRASHED_WORLD(the_old_one_stays),
        IN_A_CRASHED_WORLD(a_replacement_is_noted),
        IN_A_CRASHED_WORLD(a_replacement_that_is_not_ours_any_more),
        IN_A_CRASHED_WORLD(keys_of_doors),
        IN_A_CRASHED_WORLD(best_effort_is_finished),
        IN_A_CRASHED_WORLD(nothing_of_best_effort_stands),
        IN_A_CRASHED_WORLD(all_is_undone),
        IN_A_CRASHED_WORLD(a_target_is_gone),
        IN_A_CRASHED_WORLD(every_allocation_fails),
        IN_A_CRASHED_WORLD(every_allocation_of_a_replacement_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
