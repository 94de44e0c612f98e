/* Writes that must not overlap, where replicas share the journal: the lock is taken before anything
 * is asked of the cloud, prolonged, and given back however the write ends. A SQLite file that calls
 * itself shared stands for the store, and locks of the test's own for the other replicas. */
#include "journal_world.h"
#include "script.h"

#include <sqlite3.h>

#define A_ROUTER "/v1/targets/router/flow-logs/" ANY_UUID
#define RENAMED  "{\"name\":\"renamed\"}"

enum { LEASE_MS = 1000 };

static struct {
    struct script script;
    bool renamed;
    struct slu_store_engine engine;
} now;

static const struct slu_str name = SLU_STR_INIT("router " ANY_UUID), other = SLU_STR_INIT("other");

static int answer(struct script *script, const struct peer_end *end, FILE *body)
{
    (void)script;
    now.renamed |= strcmp(end->method, "PUT") == 0;
    fprintf(body,
            "{\"flow_log\":{\"id\":\"" ANY_UUID "\",\"name\":\"%s\",\"project_id\":\"" PROJECT
            "\",\"resource_type\":\"attachment\",\"resource_id\":\"" ANY_UUID
            "\",\"log_group_id\":\"" ANY_UUID "\",\"log_stream_id\":\"" ANY_UUID
            "\",\"log_store_type\":\"LTS\",\"log_aggregation_interval\":600,\"created_at\":"
            "\"2020-03-11T15:13:31Z\",\"updated_at\":\"2022-03-11T15:13:31Z\",\"state\":"
            "\"available\",\"enabled\":true,\"description\":\"\"},\"request_id\":\"915a14a6\"}",
            now.renamed ? "renamed" : "edge");
    return 200;
}

static int begin(void **state)
{
    static struct journal_world both;
    struct slu_journal_options options;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct world *world = &both.world;

    place_init(&both.place);
    world_make(world);
    memset(&now, 0, sizeof(now));
    now.engine = slu_store_sqlite;
    now.engine.shared = true;
    options = options_of(&both.place);
    options.lease_ms = LEASE_MS;
    world->gateway.journal = slu_store_journal_new(&now.engine, &options, &fault);
    assert_non_null(world->gateway.journal);
    assert_true(becomes_writable(world->gateway.journal, true));
    script_start(&now.script, answer, NULL);
    world_point(world, world_target(world, "router"), now.script.peer->port);
    world_target(world, "router")->total_timeout_ms = 700;
    world_begin_anew(world);
    *state = &both;
    return 0;
}

static int end(void **state)
{
    struct journal_world *both = *state;

    now.script.holds = false;
    if (both->world.worker.loop)
        journal_world_end_gateway(&both->world);
    script_stop(&now.script);
    place_done(&both->place);
    return world_stop(state);
}

/* NULL: not even a connection could be served. */
static const struct answer *rename_it(struct world *world)
{
    static struct answer told;
    int fd = dial(world, FRONT_REST);
    bool good;

    now.renamed = false;
    say_method(fd, "PATCH", A_ROUTER, "", RENAMED);
    good = hear(fd, &told);
    close(fd);
    return good ? &told : NULL;
}

static bool is_free(struct slu_journal *journal)
{
    struct call call;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_journal_reply *reply;
    bool got;

    call_init(&call);
    assert_true(slu_journal_lock(journal, name, other, 60000, call_done, &call, &fault));
    reply = call_wait(&call);
    got = reply->outcome == SLU_JOURNAL_DONE;
    if (got)
        slu_journal_unlock(journal, reply);
    else
        slu_journal_reply_free(reply);
    return got;
}

static void comes_free(struct slu_journal *journal)
{
    for (int i = 0; i < 500; i++, usleep(10000))
        if (is_free(journal))
            return;
    fail_msg("the lock is never given back");
}

/* When the lock ends; 0: there is none. */
static int64_t ends_ms(const struct journal_world *both)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *ask = NULL;
    int64_t ms = 0;

    assert_int_equal(sqlite3_open(both->place.store, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT lease_until_ms FROM locks", -1, &ask, NULL),
                     SQLITE_OK);
    if (sqlite3_step(ask) == SQLITE_ROW)
        ms = sqlite3_column_int64(ask, 0);
    sqlite3_finalize(ask);
    sqlite3_close(db);
    return ms;
}

static void it_is_given_back(void **state)
{
    struct world *world = *state;

    told(world, rename_it(world), 200);
    assert_true(now.renamed);
    comes_free(world->gateway.journal);
    told(world, rename_it(world), 200);
}

static void another_one_has_it(void **state)
{
    struct world *world = *state;
    struct slu_journal *journal = world->gateway.journal;
    const struct slu_value *problem;
    struct slu_journal_reply *granted;
    int fd;

    granted = DO(SLU_JOURNAL_DONE, slu_journal_lock(journal, name, other, 60000, CALL));
    problem = told(world, rename_it(world), 409);
    assert_str(text_of(problem, "code"), "busy");
    fd = dial(world, FRONT_REST); /* one who does not wait for it */
    say_method(fd, "PATCH", A_ROUTER, "", RENAMED);
    usleep(100000);
    close(fd);
    comes_to_count(world, "status=running", 0);
    assert_int_equal(now.script.count, 0); /* not even a look */
    slu_journal_unlock(journal, granted);
    told(world, rename_it(world), 200);
}

/* Held for as long as the write lasts. */
static void it_is_prolonged(void **state)
{
    struct journal_world *both = *state;
    struct world *world = &both->world;
    static struct answer answer;
    int64_t first_ms;
    int fd = dial(world, FRONT_REST);

    world_target(world, "router")->total_timeout_ms = 20000;
    now.script.holds = true;
    say_method(fd, "PATCH", A_ROUTER, "", RENAMED);
    assert_true(reaches(&now.script.held, 1));
    first_ms = ends_ms(both);
    assert_true(first_ms > slu_clock_real_ms());
    for (int i = 0; ends_ms(both) == first_ms; i++, usleep(50000))
        assert_true(i < 100);
    assert_false(is_free(world->gateway.journal));
    now.script.holds = false;
    assert_true(hear(fd, &answer));
    told(world, &answer, 200);
    close(fd);
    comes_free(world->gateway.journal);
}

static void the_worker_ends_meanwhile(void **state)
{
    struct journal_world *both = *state;
    struct world *world = &both->world;
    int fd = dial(world, FRONT_REST);

    now.script.holds = true;
    say_method(fd, "PATCH", A_ROUTER, "", RENAMED);
    assert_true(reaches(&now.script.held, 1));
    assert_true(ends_ms(both) > 0);
    journal_world_end_gateway(world);
    close(fd);
    assert_int_equal(ends_ms(both), 0);
}

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

static bool fails_once(struct world *world, unsigned long n)
{
    struct failing failing = {.at = n};
    const struct answer *answer;

    world_on_loop(world, begin_failing, &failing);
    answer = rename_it(world);
    world_on_loop(world, end_failing, &failing);
    if (answer && answer->status != 200)
        assert_int_equal(answer->status, 503);
    comes_to_count(world, "status=running", 0);
    comes_free(world->gateway.journal);
    slu_arena_reset(&world->arena);
    return failing.asked >= n;
}

static void every_allocation_fails(void **state)
{
    struct world *world = *state;
    unsigned long n = 1;

    told(world, rename_it(world), 200);
    while (fails_once(world, n))
        n++;
    assert_true(n > 1);
}

#define SHARED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARED(it_is_given_back),          SHARED(another_one_has_it),     SHARED(it_is_prolonged),
        SHARED(the_worker_ends_meanwhile), SHARED(every_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
