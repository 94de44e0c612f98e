/* Tokens of targets: fetched once for all who wait, by whom, and what becomes of those who wait. */
#include "script.h"

enum { CALLERS = 24 };

#define ONE NET_FLOW_LOGS "/" ANY_UUID

struct identity {
    struct script script;
    int status;
    const char *expires;
    atomic_uint fetched;
};

static int give_token(struct script *script, const struct peer_end *end, FILE *body)
{
    struct identity *identity = script->user;

    (void)end;
    fprintf(body, "{\"token\":{\"expires_at\":\"%s\"}}", identity->expires);
    identity->fetched++;
    return identity->status;
}

static void needs_tokens(struct world *world, struct identity *identity)
{
    struct slu_target *target = world_target(world, "net");
    struct slu_credentials *keys = &target->credentials;

    identity->status = 201;
    identity->expires = "2999-01-01T00:00:00Z";
    identity->fetched = 0;
    script_start(&identity->script, give_token, identity);
    identity->script.headers = "x-subject-token: the-token\r\n";
    keys->scheme = slu_scheme_find(SLU_STR("keystone-password"));
    keys->scheme_index = slu_table_scheme_index(target->table, SLU_STR("keystone-password"));
    keys->domain = SLU_STR("OTC-EU-DE-1");
    keys->project = SLU_STR(PROJECT);
    keys->token = (struct slu_token_endpoint){
        .scheme = SLU_STR("http"),
        .host = slu_arena_printf(&world->gateway.catalog->arena, "127.0.0.1:%u",
                                 identity->script.peer->port),
        .dns_host = "127.0.0.1",
        .port = identity->script.peer->port,
        .base_path = SLU_STR("")};
    world_begin_anew(world);
}

static struct identity the_identity;

static int begin(void **state)
{
    world_start(state);
    needs_tokens(*state, &the_identity);
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;

    the_identity.script.holds = false;
    if (world->worker.loop)
        world_end_worker(world);
    script_stop(&the_identity.script);
    return world_stop(state);
}

static void ask_all(struct world *world, int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = dial(world, FRONT_REST);
        ask(fds[i], PORTAL_KEY, ONE, "", NULL);
    }
}

static void hear_all(struct world *world, const int *fds, size_t count, int status)
{
    static struct answer answer;

    for (size_t i = 0; i < count; i++) {
        assert_true(hear(fds[i], &answer));
        heard(world, &answer, status);
        close(fds[i]);
    }
}

static void once_for_all_who_wait(void **state)
{
    struct world *world = *state;
    int fds[CALLERS];

    the_identity.script.holds = true;
    ask_all(world, fds, CALLERS);
    assert_true(reaches(&the_identity.script.held, 1));
    usleep(100000);
    the_identity.script.holds = false;
    hear_all(world, fds, CALLERS, 200);
    assert_int_equal(the_identity.fetched, 1);
    heard(world, talk_once(world, PORTAL_KEY, ONE, "", NULL), 200);
    assert_int_equal(the_identity.fetched, 1);
}

static const struct {
    int status;
    const char *expires;
    int told;
} failures[] = {
    {401, "", 502},                     /* refused: not tried again for a while */
    {500, "", 502},                     /* not refused, but not tried by each who waits */
    {201, "2001-01-01T00:00:00Z", 502}, /* has ended already */
    {201, "soon", 502},
};

static void all_who_wait_fail_alike(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(failures); i++) {
        int fds[CALLERS];

        slu_tokens_free(world->gateway.tokens);
        world->gateway.tokens =
            slu_tokens_new((const unsigned char *)"0123456789abcdef0123456789abcdef");
        the_identity.fetched = 0;
        the_identity.status = failures[i].status;
        the_identity.expires = failures[i].expires;
        the_identity.script.holds = true;
        ask_all(world, fds, CALLERS);
        assert_true(reaches(&the_identity.script.held, 1));
        usleep(100000);
        the_identity.script.holds = false;
        hear_all(world, fds, CALLERS, failures[i].told);
        assert_int_equal(the_identity.fetched, 1);
    }
    assert_int_equal(world->cloud.peer->requests, 0);
}

/* The one who fetches leaves: another one fetches, and only one. */
static void who_fetches_may_leave(void **state)
{
    struct world *world = *state;
    int first = dial(world, FRONT_REST), fds[CALLERS];

    the_identity.script.holds = true;
    ask(first, PORTAL_KEY, ONE, "", NULL);
    assert_true(reaches(&the_identity.script.held, 1));
    ask_all(world, fds, CALLERS);
    usleep(100000);
    close(first);
    assert_true(reaches(&the_identity.script.held, 2));
    close(fds[CALLERS - 1]); /* one who waits */
    usleep(50000);
    the_identity.script.holds = false;
    hear_all(world, fds, CALLERS - 1, 200);
    assert_int_equal(the_identity.fetched, 2); /* that of the one who left was answered too */
}

static int refuse_first(struct script *script, const struct peer_end *end, FILE *body)
{
    (void)end;
    fputs(script->count == 1 ? "{\"code\":\"VPC.0101\",\"message\":\"no\"}" : NET_REPLY, body);
    return script->count == 1 ? 401 : 200;
}

static int refuse_always(struct script *script, const struct peer_end *end, FILE *body)
{
    (void)script;
    (void)end;
    fputs("{}", body);
    return 401;
}

static void a_refusal_renews_once(void **state)
{
    struct world *world = *state;
    struct script cloud;

    script_start(&cloud, refuse_first, NULL);
    world_point(world, world_target(world, "net"), cloud.peer->port);
    world_begin_anew(world);
    heard(world, talk_once(world, PORTAL_KEY, ONE, "", NULL), 200);
    assert_int_equal(the_identity.fetched, 2);
    assert_int_equal(cloud.count, 2);
    cloud.answer = refuse_always;
    cloud.count = 0;
    heard(world, talk_once(world, PORTAL_KEY, ONE, "", NULL), 502);
    assert_int_equal(cloud.count, 2);
    assert_int_equal(the_identity.fetched, 3);
    world_end_worker(world);
    script_stop(&cloud);
}

/* What cannot be sent, or is not to be sent, needs no token. */
static void no_token_for_nothing(void **state)
{
    struct world *world = *state;

    heard(world, talk_once(world, PORTAL_KEY, NET_FLOW_LOGS "?dry_run=true", "", net_flow_log),
          200);
    heard(world, talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, "", "{\"name\":1}"), 422);
    assert_int_equal(the_identity.fetched, 0);
}

static void worker_ends_meanwhile(void **state)
{
    struct world *world = *state;
    int fds[4];

    the_identity.script.holds = true;
    ask_all(world, fds, 4);
    assert_true(reaches(&the_identity.script.held, 1));
    usleep(50000);
    world_end_worker(world);
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
}

#define WITH_TOKENS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TOKENS(once_for_all_who_wait), WITH_TOKENS(all_who_wait_fail_alike),
        WITH_TOKENS(who_fetches_may_leave), WITH_TOKENS(a_refusal_renews_once),
        WITH_TOKENS(no_token_for_nothing),  WITH_TOKENS(worker_ends_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
