/* The journal in the life of a request: which keys are taken, what a digest covers, what is bound,
 * callers and workers that leave while the journal is asked, and every allocation failing. */
#include "journal_world.h"
#include "knock.h"

#define K64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define K255 K64 K64 K64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const char net_in_another_order[] =
    " {\"destination\" : {\"stream\":\"" ANY_UUID "\",\n\"group\":\"" ANY_UUID
    "\",\"type\":\"lts\"},\"traffic_type\":\"reject\",\"resource_id\":\"" ANY_UUID
    "\",\"resource_type\":\"vpc\",\"description\":\"rejected at the edge\","
    "\"name\":\"edge\\u002dreject\"}\n";
static const char net_renamed[] =
    "{\"name\":\"edge-other\",\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID
    "\",\"traffic_type\":\"reject\",\"destination\":{\"type\":\"lts\",\"group\":\"" ANY_UUID
    "\",\"stream\":\"" ANY_UUID "\"}}";

static const struct {
    const char *field;
    int status;
} keys[] = {
    {"idempotency-key: \"a\"", 201},
    {"Idempotency-Key:   \"blanks around\"  ", 201},
    {"idempotency-key: \"a \\\"b\\\" \\\\ c\"", 201},
    {"idempotency-key: \"" K255 "\"", 201},
    {"idempotency-key: \" \"", 201},
    {"idempotency-key: \"" K255 "x\"", 400},
    {"idempotency-key: \"\"", 400},
    {"idempotency-key:", 400},
    {"idempotency-key: a", 400},
    {"idempotency-key: \"", 400},
    {"idempotency-key: \"a", 400},
    {"idempotency-key: a\"", 400},
    {"idempotency-key: \"a\\\"", 400},
    {"idempotency-key: \"a\\b\"", 400},
    {"idempotency-key: \"a\"b\"", 400},
    {"idempotency-key: \"a\tb\"", 400},
    {"idempotency-key: \"\xc3\xa4\"", 400},
    {"idempotency-key: \"a\", \"b\"", 400},
    {"idempotency-key: \"a\";b", 400},
    {"idempotency-key: \"a\"\r\nidempotency-key: \"a\"", 400},
};

static void takes_keys(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < SLU_COUNT(keys); i++) {
        char more[1024];
        const struct answer *answer;

        snprintf(more, sizeof(more), "%s\r\n", keys[i].field);
        answer = talk_once(world, PORTAL_KEY, NET_FLOW_LOGS, more, net_flow_log);
        if (answer->status != keys[i].status)
            print_error("%s\n", keys[i].field);
        told(world, answer, keys[i].status);
    }
    assert_int_equal(world->cloud.peer->requests, 5);
}

/* The escapes mean what they stand for. */
static void a_key_is_what_it_says(void **state)
{
    struct world *world = *state;

    told(world, create_with(world, "\"a\\\\b\"", net_flow_log), 201);
    assert_true(head_has(create_with(world, "\"a\\\\b\"", net_flow_log), "idempotent-replayed"));
    assert_false(head_has(create_with(world, "\"a\\\"b\"", net_flow_log), "idempotent-replayed"));
    assert_int_equal(world->cloud.peer->requests, 2);
}

static void the_digest_is_of_what_is_meant(void **state)
{
    struct world *world = *state;
    struct slu_str first =
        slu_arena_str(&world->arena, create_with(world, "\"k\"", net_flow_log)->body);
    const struct answer *again = create_with(world, "\"k\"", net_in_another_order);

    told(world, again, 201);
    assert_true(slu_str_eq(first, again->body));
    assert_str(text_of(told(world, create_with(world, "\"k\"", net_renamed), 422), "code"),
               "idempotency_key_reused");
    told(world, create_with(world, "\"k\"\r\nprefer: handling=lenient", net_flow_log), 422);
    told(world, create_with(world, "\"k\"\r\nif-match: \"x\"", net_flow_log), 422);
    told(world, create_with(world, "\"k\"\r\nprefer: wait=1", net_flow_log), 201);
    assert_int_equal(world->cloud.peer->requests, 1);
}

static const struct {
    int cloud;
    const char *body;
    int status;
    bool bound;
} ends[] = {
    {201, NET_REPLY, 201, true},
    {409, "{\"code\":\"VPC.3004\",\"message\":\"there already\"}", 409, true},
    {403, "{\"code\":\"VPC.2201\",\"message\":\"not you\"}", 403, true},
    {429, "{\"error_code\":\"APIGW.0308\",\"error_msg\":\"slow down\"}", 429, false},
};

static void binds_what_is_definite(void **state)
{
    struct world *world = *state;

    world->gateway.catalog->targets[2].retries = 0;
    for (size_t i = 0; i < SLU_COUNT(ends); i++) {
        char key[16];
        const struct answer *again;

        snprintf(key, sizeof(key), "\"end-%zu\"", i);
        world->cloud.post_status = ends[i].cloud;
        world->cloud.post = ends[i].body;
        if (create_with(world, key, net_flow_log)->status == 201 && ends[i].cloud != 201)
            fail();
        world->cloud.post_status = 201;
        world->cloud.post = NET_REPLY;
        again = create_with(world, key, net_flow_log);
        if (ends[i].bound != head_has(again, "idempotent-replayed"))
            print_error("%d: %s\n", ends[i].cloud, again->text);
        assert_int_equal(ends[i].bound, head_has(again, "idempotent-replayed"));
    }
}

static void the_first_still_runs(void **state)
{
    struct world *world = *state;
    int fd = dial(world, FRONT_REST);
    static struct answer first;
    const struct answer *second;

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "idempotency-key: \"k\"\r\n", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    second = create_with(world, "\"k\"", net_flow_log);
    assert_str(text_of(told(world, second, 409), "code"), "operation_in_progress");
    assert_true(head_has(second, "retry-after: "));
    told(world, create_with(world, "\"k\"", net_renamed), 422);
    assert_int_equal(count_of(world, "status=running"), 1);
    world->cloud.way = CLOUD_ANSWERS;
    assert_true(hear(fd, &first));
    told(world, &first, 201);
    close(fd);
    assert_true(head_has(create_with(world, "\"k\"", net_flow_log), "idempotent-replayed"));
    assert_int_equal(world->cloud.peer->requests, 1);
}

/* Whenever it is: before the journal took it nothing is sent, and afterwards it goes to its end. */
static void callers_leave_at_any_moment(void **state)
{
    struct world *world = *state;
    enum { ROUNDS = 60 };

    for (unsigned i = 0; i < ROUNDS; i++) {
        char more[64];
        int fd = dial(world, FRONT_REST);

        snprintf(more, sizeof(more), "idempotency-key: \"leaves-%u\"\r\n", i);
        ask(fd, PORTAL_KEY, NET_FLOW_LOGS, more, net_flow_log);
        usleep(i * 100);
        close(fd);
    }
    comes_to_count(world, "status=running", 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[64];

        snprintf(key, sizeof(key), "\"leaves-%u\"", i);
        told(world, create_with(world, key, net_flow_log), 201);
    }
    assert_int_equal(count_of(world, "status=succeeded"), ROUNDS);
    assert_int_equal(world->cloud.peer->requests, ROUNDS); /* each once */
}

/* What was at the cloud when the gateway ended is not lost: the next one can claim it, or knows. */
static void the_worker_ends_meanwhile(void **state)
{
    struct journal_world *both = *state;
    struct world *world = &both->world;
    struct slu_journal_filter all = {.caller = SLU_STR("portal"), .most = 10};
    struct slu_journal_reply *reply;
    struct slu_journal *journal;
    int fd = dial(world, FRONT_REST);

    world->cloud.way = CLOUD_HOLDS;
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, "idempotency-key: \"k\"\r\n", net_flow_log);
    assert_true(reaches(&world->cloud.held, 1));
    journal_world_end_gateway(world);
    close(fd);
    journal = journal_open(&both->place);
    reply = DO(SLU_JOURNAL_DONE, slu_journal_list(journal, &all, CALL));
    assert_int_equal(reply->count, 1);
    assert_int_equal(reply->records[0].state, SLU_RECORD_RUNNING);
    assert_str(reply->records[0].key, "k");
    assert_str(reply->records[0].targets, "net");
    assert_int_equal(reply->records[0].digest.n, SLU_SHA256_HEX);
    slu_journal_reply_free(reply);
    slu_journal_free(journal);
}

/* At doors */

#define ROUTER_PATH "/v3/" PROJECT "/enterprise-router/" ROUTER "/flow-logs"
#define ROUTER_CREATE(name)                                                                        \
    "{\"flow_log\":{\"name\":\"" name "\",\"resource_type\":\"attachment\",\"resource_id\":"       \
    "\"" ANY_UUID "\",\"log_store_type\":\"LTS\",\"log_group_id\":\"" ANY_UUID                     \
    "\",\"log_stream_id\":\"" ANY_UUID "\"}}"

static const struct wish with_token = {.front = FRONT_ROUTER,
                                       .method = "POST",
                                       .path = ROUTER_PATH,
                                       .body = ROUTER_CREATE("edge-router"),
                                       .token = "the-clients-own"};

/* The same token with the same request gets the first answer again. */
static void a_token_is_a_key(void **state)
{
    struct world *world = *state;
    struct wish other = with_token;
    struct slu_str first;

    world->cloud.post = ROUTER_REPLY("available");
    first = slu_arena_str(&world->arena, knock(world, &with_token)->body);
    assert_true(slu_str_eq(first, knock(world, &with_token)->body));
    assert_true(head_has(knock(world, &with_token), "idempotent-replayed: true"));
    assert_int_equal(world->cloud.peer->requests, 1);
    other.body = ROUTER_CREATE("another");
    assert_str(text_of(document_of(world, &other, 400), "error_code"), "ER.04008503");
    assert_int_equal(world->cloud.peer->requests, 1);
    other.token = "another";
    document_of(world, &other, 202);
    assert_int_equal(world->cloud.peer->requests, 2);
}

/* Settled after a crash, when no client was there: its answer is made from what there is. */
static void a_token_after_a_crash(void **state)
{
    struct world *world = *state;
    struct slu_value *made;

    world->cloud.post = world->cloud.get = ROUTER_REPLY("available");
    document_of(world, &with_token, 202);
    journal_sql(world, "UPDATE operations SET body = '', headers = '', status = 200");
    made = document_of(world, &with_token, 202);
    assert_str(text_of(slu_value_find(made, SLU_STR("flow_log")), "id"), ANY_UUID);
    assert_int_equal(world->cloud.peer->posts, 1);
    journal_sql(world, "UPDATE operations SET state = 'unknown'");
    document_of(world, &with_token, 500);
    assert_int_equal(world->cloud.peer->posts, 1);
}

/* With a token or without: what is under way is not begun twice. */
static void the_first_still_runs_at_a_door(void **state)
{
    struct world *world = *state;
    struct wish bare = with_token;
    const struct wish *wishes[] = {&with_token, &bare};

    bare.token = NULL;
    world->cloud.post = ROUTER_REPLY("available");
    for (size_t i = 0; i < SLU_COUNT(wishes); i++) {
        const struct answer *second;
        static struct answer first;
        int fd;

        world->cloud.way = CLOUD_HOLDS;
        fd = begin_knock(world, wishes[i]);
        assert_true(reaches(&world->cloud.held, (unsigned)i + 1));
        second = knock(world, wishes[i]);
        assert_int_equal(second->status, 503);
        assert_true(head_has(second, "retry-after: 1"));
        world->cloud.way = CLOUD_ANSWERS;
        assert_true(hear(fd, &first));
        assert_int_equal(first.status, 202);
        close(fd);
    }
    assert_int_equal(world->cloud.peer->requests, 2);
    assert_int_equal(knock(world, &bare)->status, 202); /* over: it is another one */
    assert_int_equal(world->cloud.peer->requests, 3);
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

/* With the n-th allocation failing; false when nothing failed any more. Whatever became of it, the
 * same again ends well, and the cloud is asked once. */
static bool fails_once(struct world *world, unsigned long n)
{
    struct failing failing = {.at = n};
    static struct answer answer;
    char more[96], key[48];
    unsigned before = world->cloud.peer->requests;
    int fd;

    snprintf(key, sizeof(key), "\"fails-%lu\"", n);
    snprintf(more, sizeof(more), "idempotency-key: %s\r\n", key);
    world_on_loop(world, begin_failing, &failing);
    fd = dial(world, FRONT_REST);
    ask(fd, PORTAL_KEY, NET_FLOW_LOGS, more, net_flow_log);
    if (hear(fd, &answer) && answer.status != 201)
        assert_int_equal(answer.status, 503);
    world_on_loop(world, end_failing, &failing);
    close(fd);
    comes_to_count(world, "status=running", 0);
    if (create_with(world, key, net_flow_log)->status >= 500)
        assert_true(answer.status >= 500); /* a failure after the cloud acted stays known as one */
    if (world->cloud.peer->requests > before + 1)
        print_error("allocation %lu: sent %u times\n", n, world->cloud.peer->requests - before);
    assert_int_equal(world->cloud.peer->requests, before + 1);
    return failing.asked >= n;
}

static void every_allocation_fails(void **state)
{
    struct world *world = *state;
    unsigned long n = 1;

    told(world, create_with(world, "\"warm\"", net_flow_log), 201);
    while (fails_once(world, n))
        n++;
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_JOURNAL_WORLD(takes_keys),
        IN_A_JOURNAL_WORLD(a_key_is_what_it_says),
        IN_A_JOURNAL_WORLD(the_digest_is_of_what_is_meant),
        IN_A_JOURNAL_WORLD(binds_what_is_definite),
        IN_A_JOURNAL_WORLD(the_first_still_runs),
        IN_A_JOURNAL_WORLD(callers_leave_at_any_moment),
        IN_A_JOURNAL_WORLD(the_worker_ends_meanwhile),
        IN_A_JOURNAL_WORLD(a_token_is_a_key),
        IN_A_JOURNAL_WORLD(a_token_after_a_crash),
        IN_A_JOURNAL_WORLD(the_first_still_runs_at_a_door),
        IN_A_JOURNAL_WORLD(every_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
