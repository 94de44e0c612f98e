/* Names: the cache, shared and bounded queries, cancelling, against a small DNS server in the test.
 */
#include "peer.h"

struct world {
    struct slu_loop *loop;
    struct slu_resolver *resolver;
    struct dns dns;
    unsigned wanted, ended;
    struct slu_addresses addresses; /* of the newest answer */
    struct slu_fault fault;
};

static int setup(void **state)
{
    static struct world world;

    world = (struct world){.wanted = 1};
    world.loop = slu_loop_new();
    world.resolver = dns_resolver(&world.dns, world.loop);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    slu_resolver_free(world->resolver);
    slu_loop_free(world->loop);
    dns_stop(&world->dns);
    return 0;
}

static void take(const struct slu_addresses *addresses, const struct slu_fault *fault, void *user)
{
    struct world *world = user;

    assert_true(!addresses == !!fault);
    world->addresses = addresses ? *addresses : (struct slu_addresses){0};
    world->fault = fault ? *fault : (struct slu_fault){0};
    if (++world->ended == world->wanted)
        slu_loop_stop(world->loop);
}

static void look_up(struct world *world, const char *host)
{
    struct slu_lookup lookup = {0};

    world->ended = 0;
    slu_lookup_start(&lookup, world->resolver, host, take, world);
    assert_int_equal(world->ended, 0);
    slu_loop_run(world->loop);
    assert_int_equal(world->ended, 1);
}

static void addresses_are_answered_without_a_query(void **state)
{
    struct world *world = *state;

    look_up(world, "192.0.2.7");
    assert_int_equal(world->addresses.count, 1);
    assert_int_equal(world->addresses.items[0].as.v4.sin_addr.s_addr, htonl(0xc0000207));
    look_up(world, "2001:db8::1");
    assert_int_equal(world->addresses.items[0].as.any.sa_family, AF_INET6);
    assert_int_equal(slu_resolver_asked(world->resolver), 0);
}

static void hosts_of_the_file_are_known(void **state)
{
    struct world *world = *state;

    look_up(world, "localhost");
    assert_true(world->addresses.count >= 1);
    assert_int_equal(world->dns.questions, 0);
}

static void answers_are_kept(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < 3; i++) {
        look_up(world, i == 1 ? "A1.Test" : "a1.test");
        assert_int_equal(world->addresses.count, 1);
        assert_int_equal(world->addresses.items[0].as.v4.sin_addr.s_addr, htonl(0x7f000001));
    }
    look_up(world, "t1.test"); /* a TTL of 0 is taken for 5 s */
    look_up(world, "t1.test");
    assert_int_equal(slu_resolver_asked(world->resolver), 2);
    assert_int_equal(world->dns.questions, 4); /* A and AAAA each */
}

static void many_addresses_are_cut(void **state)
{
    struct world *world = *state;

    look_up(world, "m1.test");
    assert_int_equal(world->addresses.count, SLU_ADDRESSES_MOST);
}

static void unknown_names_are_remembered_for_two_seconds(void **state)
{
    struct world *world = *state;

    look_up(world, "n1.test");
    assert_int_equal(world->fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
    assert_non_null(strstr(world->fault.words, "n1.test"));
    look_up(world, "n1.test");
    assert_int_equal(slu_resolver_asked(world->resolver), 1);
    run_for(world->loop, 2050);
    look_up(world, "n1.test");
    assert_int_equal(slu_resolver_asked(world->resolver), 2);
}

static void what_is_doubted_is_asked_again_after_two_seconds(void **state)
{
    struct world *world = *state;

    slu_lookup_doubt(world->resolver, "a4.test"); /* nobody knows it */
    look_up(world, "a4.test");
    slu_lookup_doubt(world->resolver, "A4.test");
    look_up(world, "a4.test");
    assert_int_equal(slu_resolver_asked(world->resolver), 1);
    run_for(world->loop, 2050);
    look_up(world, "a4.test");
    assert_int_equal(slu_resolver_asked(world->resolver), 2);
    run_for(world->loop, 2050);
    look_up(world, "a4.test"); /* nobody has doubted that */
    assert_int_equal(slu_resolver_asked(world->resolver), 2);
    slu_lookup_doubt(world->resolver, "a4.test"); /* at once: it is old enough */
    look_up(world, "a4.test");
    assert_int_equal(slu_resolver_asked(world->resolver), 3);
    look_up(world, "192.0.2.7");
    slu_lookup_doubt(world->resolver, "192.0.2.7");
    look_up(world, "192.0.2.7");
    assert_int_equal(slu_resolver_asked(world->resolver), 3);
}

static void one_query_answers_all_who_ask(void **state)
{
    struct world *world = *state;
    struct slu_lookup lookups[20] = {0};

    world->wanted = 19;
    for (size_t i = 0; i < SLU_COUNT(lookups); i++)
        slu_lookup_start(&lookups[i], world->resolver, "a2.test", take, world);
    slu_lookup_cancel(&lookups[7]);
    slu_loop_run(world->loop);
    assert_int_equal(world->ended, 19);
    assert_int_equal(slu_resolver_asked(world->resolver), 1);
}

static void queries_are_bounded(void **state)
{
    struct world *world = *state;
    static struct slu_lookup lookups[600];
    static char names[600][16];

    memset(lookups, 0, sizeof(lookups));
    world->wanted = 600;
    for (size_t i = 0; i < SLU_COUNT(lookups); i++) {
        snprintf(names[i], sizeof(names[i]), "a%zu.test", i + 100);
        slu_lookup_start(&lookups[i], world->resolver, names[i], take, world);
    }
    assert_int_equal(slu_resolver_asked(world->resolver), 512);
    slu_loop_run(world->loop);
    assert_int_equal(world->ended, 600);
    assert_int_equal(world->fault.kind, SLU_FAULT_NONE);
    assert_int_equal(slu_resolver_asked(world->resolver), 600);
}

static void a_silent_server_can_be_left(void **state)
{
    struct world *world = *state;
    struct slu_lookup lookups[3] = {0};

    for (size_t i = 0; i < SLU_COUNT(lookups); i++)
        slu_lookup_start(&lookups[i], world->resolver, "s1.test", take, world);
    run_for(world->loop, 50);
    assert_int_equal(world->ended, 0);
    for (size_t i = 0; i < SLU_COUNT(lookups); i++) {
        slu_lookup_cancel(&lookups[i]);
        slu_lookup_cancel(&lookups[i]);
    }
    look_up(world, "a3.test");
    assert_int_equal(world->addresses.count, 1);
    /* The query for s1 is still open when the resolver is freed. */
}

static void a_ready_answer_can_be_cancelled(void **state)
{
    struct world *world = *state;
    struct slu_lookup lookup = {0};

    slu_lookup_start(&lookup, world->resolver, "192.0.2.7", take, world);
    slu_lookup_cancel(&lookup);
    run_for(world->loop, 5);
    assert_int_equal(world->ended, 0);
}

/* More names than the cache holds: the old ones make room. */
static void the_cache_is_bounded(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < 1100; i++) {
        char host[32];

        snprintf(host, sizeof(host), "10.1.%u.%u", i / 256, i % 256);
        look_up(world, host);
        assert_int_equal(world->addresses.count, 1);
    }
}

static bool build_and_ask(void *context)
{
    struct world world = {.wanted = 1};
    struct slu_lookup lookup = {0};
    bool good;

    world.loop = slu_loop_new();
    world.resolver = world.loop ? slu_resolver_new(world.loop) : NULL;
    good = world.resolver && slu_resolver_use_servers(world.resolver, context);
    if (good) {
        slu_lookup_start(&lookup, world.resolver, "a1.test", take, &world);
        slu_loop_run(world.loop);
        good = world.fault.kind == SLU_FAULT_NONE;
        assert_int_equal(world.addresses.count, good);
    }
    slu_resolver_free(world.resolver);
    slu_loop_free(world.loop);
    return good;
}

/* A query whose socket cannot be watched ends by c-ares' own time-outs, so this takes a while. */
static void every_allocation_may_fail(void **state)
{
    struct world *world = *state;
    char server[32];

    snprintf(server, sizeof(server), "127.0.0.1:%u", world->dns.port);
    assert_true(test_every_allocation(build_and_ask, server) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses_are_answered_without_a_query, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_of_the_file_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(many_addresses_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_names_are_remembered_for_two_seconds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_doubted_is_asked_again_after_two_seconds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_query_answers_all_who_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(queries_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_server_can_be_left, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ready_answer_can_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cache_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
