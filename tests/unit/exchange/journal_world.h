/* A world whose gateway keeps a journal: a SQLite file in a directory of its own. */
#ifndef JOURNAL_WORLD_H
#define JOURNAL_WORLD_H

#include "world.h"

#include "../store/store_support.h"

#include <sqlite3.h>

struct journal_world {
    struct world world; /* first: its helpers take the same state */
    struct place place;
};

static inline int journal_world_start(void **state)
{
    static struct journal_world both;

    place_init(&both.place);
    world_make(&both.world);
    both.world.gateway.journal = journal_open(&both.place);
    assert_true(slu_worker_start(&both.world.worker));
    *state = &both;
    return 0;
}

/* In the order in which a gateway ends: the journal's last letters go to a loop that is there. */
static inline void journal_world_end_gateway(struct world *world)
{
    slu_loop_stop(world->worker.loop);
    slu_worker_end(&world->worker);
    slu_journal_free(world->gateway.journal);
    world->gateway.journal = NULL;
    slu_worker_done(&world->worker);
    memset(&world->worker, 0, sizeof(world->worker));
}

static inline int journal_world_stop(void **state)
{
    struct journal_world *both = *state;

    if (both->world.worker.loop)
        journal_world_end_gateway(&both->world);
    place_done(&both->place);
    return world_stop(state);
}

/* Done to the file behind the journal's back. */
static inline void journal_sql(struct world *world, const char *sql)
{
    struct journal_world *both = (struct journal_world *)world;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(both->place.store, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

#define IN_A_JOURNAL_WORLD(test)                                                                   \
    cmocka_unit_test_setup_teardown(test, journal_world_start, journal_world_stop)

static inline struct slu_value *told(struct world *world, const struct answer *answer, int status)
{
    if (answer->status != status)
        print_error("%s\n", answer->text);
    assert_int_equal(answer->status, status);
    return read_json(world, answer->body);
}

static inline const struct answer *create_with(struct world *world, const char *key,
                                               const char *body)
{
    char more[512];

    snprintf(more, sizeof(more), "idempotency-key: %s\r\n", key);
    return talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, more, body);
}

static inline size_t count_of(struct world *world, const char *query)
{
    char path[256];
    struct slu_value *page;

    snprintf(path, sizeof(path), "/v1/operations?page_size=200&%s", query);
    page = told(world, talk_once(world, PORTAL_KEY, path, "", NULL), 200);
    return slu_value_find(page, SLU_STR("operations"))->count;
}

static inline void comes_to_count(struct world *world, const char *query, size_t count)
{
    for (int i = 0; i < 1000 && count_of(world, query) != count; i++)
        usleep(10000);
    assert_int_equal(count_of(world, query), count);
}

#endif
