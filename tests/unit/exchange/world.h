/*
 * A whole gateway in one test: a catalog made by hand, one worker on a thread of its own, a fake
 * cloud that waits, fails or resets as it is told, callers on blocking sockets, and the access
 * lines caught on their way to standard output.
 */
#ifndef WORLD_H
#define WORLD_H

#include "../net/peer.h"

#include "exchange/exchange_internal.h"

#include "codec/digest.h"
#include "codec/json.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define PORTAL_KEY    "key-of-the-portal"
#define READER_KEY    "key-of-the-reader"
#define STRANGER_KEY  "key-of-the-stranger"
#define PROJECT       "b2782e6708b8475c993e6064bc456bf8"
#define ROUTER        "a43c55e9-4911-4030-90e1-5c2bf6ae6fe2"
#define ANY_UUID      "05c4052d-8d14-488f-aa00-19fea5a25fde"
#define CLOUD_KEY     "CLOUDACCESSKEY"
#define CLOUD_SECRET  "cloud-secret-never-shown"
#define DOOR_KEY      "DOORKEYPORTAL"
#define DOOR_READER   "DOORKEYREADER"
#define DOOR_SECRET   "door-secret-never-shown"
#define DOOR_REGION   "cn-qingdao"
#define NET_FLOW_LOGS "/v1/targets/net/flow-logs"

#define OTHER_UUID   "a9d7dee7-37d2-4cba-a208-a016252aaa63"
#define ALI_EDGE     "{\"resource_type\":\"vpc\",\"resource_id\":\"vpc-m5e0123456789abcdefgh\"}"
#define NET_EDGE     "{\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID "\"}"
#define ROUTER_EDGE  "{\"resource_type\":\"router_attachment\",\"resource_id\":\"" ANY_UUID "\"}"
#define ALI_SECURITY "{\"type\":\"sls\",\"group\":\"flowlog-project\",\"stream\":\"flowlog_store\"}"
#define NET_SECURITY "{\"type\":\"lts\",\"group\":\"" ANY_UUID "\",\"stream\":\"" ANY_UUID "\"}"

static const char net_flow_log[] =
    "{\"name\":\"edge-reject\",\"description\":\"rejected at the edge\",\"resource_type\":\"vpc\","
    "\"resource_id\":\"" ANY_UUID
    "\",\"traffic_type\":\"reject\",\"destination\":{\"type\":\"lts\","
    "\"group\":\"" ANY_UUID "\",\"stream\":\"" ANY_UUID "\"}}";
static const char router_flow_log[] =
    "{\"name\":\"edge-router\",\"resource_type\":\"router_attachment\",\"resource_id\":\"" ANY_UUID
    "\",\"destination\":{\"type\":\"lts\",\"group\":\"" ANY_UUID "\",\"stream\":\"" ANY_UUID "\"}}";

#define NET_REPLY                                                                                  \
    "{\"flow_log\":{\"id\":\"" ANY_UUID "\",\"tenant_id\":\"" PROJECT "\",\"admin_state\":true,"   \
    "\"status\":\"ACTIVE\",\"created_at\":\"2019-01-14T11:03:02\",\"updated_at\":"                 \
    "\"2019-01-14T11:03:02\",\"name\":\"edge-reject\",\"description\":\"rejected at the edge\","   \
    "\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID "\",\"traffic_type\":\"reject\","      \
    "\"log_group_id\":\"" ANY_UUID "\",\"log_topic_id\":\"" ANY_UUID "\"}}"
#define ROUTER_REPLY(state)                                                                        \
    "{\"flow_log\":{\"id\":\"" ANY_UUID "\",\"name\":\"edge-router\",\"project_id\":\"" PROJECT    \
    "\",\"resource_type\":\"attachment\",\"resource_id\":\"" ANY_UUID "\",\"log_group_id\":"       \
    "\"" ANY_UUID "\",\"log_stream_id\":\"" ANY_UUID "\",\"log_store_type\":\"LTS\","              \
    "\"log_aggregation_interval\":600,\"created_at\":\"2020-03-11T15:13:31Z\",\"updated_at\":"     \
    "\"2022-03-11T15:13:31Z\",\"state\":\"" state                                                  \
    "\",\"enabled\":true,\"description\":\"\"},\"request_id\":\"915a14a6\"}"

/* The fake cloud */

enum cloud_way { CLOUD_ANSWERS, CLOUD_CLOSES, CLOUD_RESETS, CLOUD_HOLDS };

struct cloud {
    struct peer *peer;
    atomic_int way;
    atomic_uint held; /* requests that wait for cloud_let_go() */
    atomic_uint left; /* of those, how many lost their connection while they waited */
    atomic_int post_status, get_status;
    const char *_Atomic post, *_Atomic get;
    const char *_Atomic second_get; /* from the second on, or NULL */
    atomic_uint looks;
};

static inline void cloud_hold(struct peer_end *end, struct cloud *cloud)
{
    struct pollfd in = {.fd = end->fd, .events = POLLIN | POLLRDHUP};

    cloud->held++;
    while (!end->peer->stopping && cloud->way == CLOUD_HOLDS) {
        if (poll(&in, 1, 10) == 0)
            continue;
        cloud->left++;
        break;
    }
}

static inline const char *cloud_body(struct cloud *cloud, bool post)
{
    if (post)
        return cloud->post;
    return cloud->looks++ && cloud->second_get ? cloud->second_get : cloud->get;
}

static inline void cloud_serve(struct peer_end *end)
{
    struct cloud *cloud = (struct cloud *)end->peer->script;

    while (peer_request(end)) {
        bool post = strcmp(end->method, "POST") == 0;
        int way = cloud->way;
        const char *body;
        char text[4096];

        if (way == CLOUD_RESETS) {
            peer_reset(end);
            return;
        }
        if (way == CLOUD_HOLDS)
            cloud_hold(end, cloud);
        body = cloud_body(cloud, post);
        snprintf(text, sizeof(text),
                 "HTTP/1.1 %d Said\r\ncontent-type: application/json\r\nx-request-id: cloud-77\r\n"
                 "%scontent-length: %zu\r\n\r\n%s",
                 post ? cloud->post_status : cloud->get_status,
                 way == CLOUD_CLOSES ? "connection: close\r\n" : "", strlen(body), body);
        if (!peer_say(end, text) || way == CLOUD_CLOSES)
            return;
    }
}

static inline void cloud_start(struct cloud *cloud)
{
    *cloud = (struct cloud){0};
    cloud->way = CLOUD_ANSWERS;
    cloud->post_status = 201;
    cloud->get_status = 200;
    cloud->post = cloud->get = NET_REPLY;
    cloud->peer = peer_start(cloud_serve, cloud, NULL);
}

/* Waits up to five seconds for a count that another thread raises. */
static inline bool reaches(atomic_uint *count, unsigned wanted)
{
    for (int i = 0; i < 5000 && *count < wanted; i++)
        usleep(1000);
    return *count >= wanted;
}

/* The catalog */

enum { WORLD_TARGETS = 5, WORLD_CALLERS = 3, WORLD_DOORS = 6 };
enum {
    FRONT_REST,
    FRONT_ALIBABA,
    FRONT_OTC,
    FRONT_NET,
    FRONT_ALIBABA_NET,
    FRONT_OTC_ROUTER,
    FRONT_ROUTER
};

static inline struct slu_secret *secret(const char *text)
{
    struct slu_secret *made = slu_secret_new(slu_str_of(text));

    assert_non_null(made);
    return made;
}

static inline struct slu_table *world_table(struct slu_catalog *catalog, const char *file)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_table *table;

    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    table = slu_table_load(file, &mistakes);
    slu_arena_done(&arena);
    assert_non_null(table);
    catalog->tables[catalog->table_count++] = table;
    return table;
}

static inline void world_cloud_target(struct slu_catalog *catalog, struct slu_target *target,
                                      const struct slu_table *table, uint16_t port)
{
    target->table = table;
    target->dialect = slu_table_dialect(table);
    assert_true(slu_vars_set(&target->parameters, SLU_STR("project_id"), SLU_STR(PROJECT)));
    if (slu_str_is(target->dialect, "otc-er"))
        assert_true(slu_vars_set(&target->parameters, SLU_STR("er_id"), SLU_STR(ROUTER)));
    target->credentials =
        (struct slu_credentials){.scheme = slu_scheme_find(SLU_STR("sdk-hmac-sha256")),
                                 .access_key = secret(CLOUD_KEY),
                                 .secret_key = secret(CLOUD_SECRET)};
    target->scheme = SLU_STR("http");
    target->host = slu_arena_printf(&catalog->arena, "127.0.0.1:%u", port);
    target->dns_host = "127.0.0.1";
    target->port = port;
}

static inline void world_targets(struct slu_catalog *catalog, uint16_t port)
{
    static const char *const names[WORLD_TARGETS] = {"ali", "memory", "net", "otc", "router"};

    catalog->targets = slu_arena_zero(&catalog->arena, sizeof(struct slu_target) * WORLD_TARGETS);
    catalog->target_count = WORLD_TARGETS;
    for (size_t i = 0; i < WORLD_TARGETS; i++) {
        struct slu_target *target = &catalog->targets[i];

        target->name = slu_str_of(names[i]);
        target->base_path = SLU_STR("");
        target->connect_timeout_ms = 2000;
        target->timeout_ms = target->total_timeout_ms = 8000;
        target->max_in_flight = 64;
        target->reply_bytes = 1 << 20;
        target->dialect = SLU_STR("memory");
        target->memory = i != 2 && i != 4;
        target->credentials.scheme_index = -1;
    }
    world_cloud_target(catalog, &catalog->targets[2], catalog->tables[1], port);
    world_cloud_target(catalog, &catalog->targets[4], catalog->tables[2], port);
}

static inline void world_callers(struct slu_catalog *catalog)
{
    static const struct {
        const char *name, *key;
        bool write;
        struct slu_str targets;
    } callers[WORLD_CALLERS] = {
        {"portal", PORTAL_KEY, true, SLU_STR_INIT("*")},
        {"reader", READER_KEY, false, SLU_STR_INIT("*")},
        {"stranger", STRANGER_KEY, true, SLU_STR_INIT("memory")},
    };

    catalog->callers = slu_arena_zero(&catalog->arena, sizeof(struct slu_caller) * WORLD_CALLERS);
    catalog->caller_count = WORLD_CALLERS;
    for (size_t i = 0; i < WORLD_CALLERS; i++) {
        struct slu_caller *caller = &catalog->callers[i];

        caller->name = slu_str_of(callers[i].name);
        assert_true(slu_sha256(slu_str_of(callers[i].key), caller->key_sha256));
        caller->has_key = caller->read = true;
        caller->write = callers[i].write;
        caller->targets = &callers[i].targets;
        caller->target_count = 1;
    }
}

static inline const struct slu_alias *world_alias(struct slu_catalog *catalog, const char *name,
                                                  const char *members)
{
    struct slu_alias *alias = slu_arena_zero(&catalog->arena, sizeof(*alias));
    struct slu_mistakes mistakes;

    slu_mistakes_init(&mistakes, &catalog->arena);
    alias->name = slu_str_of(name);
    alias->members =
        slu_json_read(&catalog->arena, slu_str_of(members), (struct slu_json_limits){0}, &mistakes);
    assert_non_null(alias->members);
    return alias;
}

/* Whatever these are called, both sides of the doors between the clouds mean the same by it. */
static inline void world_aliases(struct slu_catalog *catalog)
{
    struct slu_door *doors = catalog->doors;
    struct slu_target *net = &catalog->targets[2], *router = &catalog->targets[4];

    doors[3].resources = world_alias(catalog, "edge", ALI_EDGE);
    doors[3].destinations = world_alias(catalog, "security", ALI_SECURITY);
    doors[4].resources = world_alias(catalog, "edge", NET_EDGE);
    doors[4].destinations = world_alias(catalog, "security", NET_SECURITY);
    net->resources = world_alias(catalog, "edge", NET_EDGE);
    net->destinations = world_alias(catalog, "security", NET_SECURITY);
    router->resources = world_alias(catalog, "edge", ROUTER_EDGE);
    router->destinations = world_alias(catalog, "security", NET_SECURITY);
    doors[3].resource_count = doors[3].destination_count = 1;
    doors[4].resource_count = doors[4].destination_count = 1;
    net->resource_count = net->destination_count = 1;
    router->resource_count = router->destination_count = 1;
}

/* An Alibaba door and an OTC door onto memory, an OTC door onto the fake cloud, and doors onto
 * clouds of another dialect. */
static inline void world_doors(struct slu_catalog *catalog)
{
    static const size_t target[WORLD_DOORS] = {0, 3, 2, 2, 4, 4},
                        table[WORLD_DOORS] = {0, 1, 1, 0, 1, 2};

    catalog->doors = slu_arena_zero(&catalog->arena, sizeof(struct slu_door) * WORLD_DOORS);
    catalog->door_count = WORLD_DOORS;
    for (size_t i = 0; i < WORLD_DOORS; i++) {
        struct slu_door *door = &catalog->doors[i];
        struct slu_door_key *keys = slu_arena_zero(&catalog->arena, 2 * sizeof(*keys));

        door->listener.address = "127.0.0.1:0";
        door->table = catalog->tables[table[i]];
        door->target = &catalog->targets[target[i]];
        door->scopes = slu_arena_zero(&catalog->arena, 8 * sizeof(*door->scopes)); /* no scheme's */
        assert_true(slu_vars_set(&door->parameters,
                                 table[i] ? SLU_STR("project_id") : SLU_STR("region"),
                                 table[i] ? SLU_STR(PROJECT) : SLU_STR(DOOR_REGION)));
        for (size_t k = 0; k < 2; k++) {
            keys[k].caller = &catalog->callers[k];
            keys[k].access_key = secret(k ? DOOR_READER : DOOR_KEY);
            keys[k].secret_key = secret(DOOR_SECRET);
        }
        door->keys = keys;
        door->key_count = 2;
    }
    world_aliases(catalog);
}

static inline struct slu_catalog *world_catalog(uint16_t port)
{
    static const struct slu_listener listener = {.address = "127.0.0.1:0"};
    struct slu_catalog *catalog = slu_catalog_new();

    assert_non_null(catalog);
    catalog->tables = slu_arena_zero(&catalog->arena, 3 * sizeof(struct slu_table *));
    world_table(catalog, SLU_SOURCE_DIR "/mappings/alibaba-vpc.json");
    world_table(catalog, SLU_SOURCE_DIR "/mappings/otc-vpc.json");
    world_table(catalog, SLU_SOURCE_DIR "/mappings/otc-er.json");
    catalog->listeners = &listener;
    catalog->listener_count = 1;
    world_targets(catalog, port);
    world_callers(catalog);
    world_doors(catalog);
    catalog->limits =
        (struct slu_limits){65536, 256, 1 << 20, 5000, 5000, 10000, 5000, 60, 64 << 20};
    catalog->workers = 1;
    catalog->access_log = true;
    return catalog;
}

/* The gateway */

struct world {
    struct cloud cloud;
    struct slu_gateway gateway;
    struct slu_worker worker;
    struct slu_tls *no_tls[1 + WORLD_DOORS];
    struct slu_arena arena; /* for documents that the test reads */
    int out, stdout_before; /* where access lines go; -1: they are not caught */
};

static inline void world_catch_lines(struct world *world)
{
    world->out = memfd_create("access", MFD_CLOEXEC);
    assert_true(world->out >= 0);
    fflush(stdout);
    world->stdout_before = dup(STDOUT_FILENO);
    assert_int_equal(dup2(world->out, STDOUT_FILENO), STDOUT_FILENO);
}

/* Without its thread: worker_test.c starts that itself. */
static inline void world_make(struct world *world)
{
    struct slu_fault fault = {0};

    memset(world, 0, sizeof(*world));
    slu_log_set(SLU_LOG_ERROR);
    slu_arena_init(&world->arena, 16 << 20);
    cloud_start(&world->cloud);
    world->gateway.catalog = world_catalog(world->cloud.peer->port);
    assert_true(slu_gateway_share(&world->gateway));
    world->gateway.workers = &world->worker;
    world->gateway.worker_count = 1;
    world->gateway.front_tls = world->no_tls;
    world->gateway.access_direct = true;
    assert_true(slu_worker_init(&world->worker, &world->gateway, 0, &fault));
    world_catch_lines(world);
}

static inline void world_end_worker(struct world *world)
{
    if (world->worker.started)
        slu_loop_stop(world->worker.loop);
    slu_worker_done(&world->worker);
    memset(&world->worker, 0, sizeof(world->worker));
}

/* A fresh worker and an empty memory cloud: nothing is kept from what was before. */
static inline void world_begin_anew(struct world *world)
{
    struct slu_fault fault = {0};

    world_end_worker(world);
    slu_memory_free(world->gateway.memory);
    world->gateway.memory = slu_memory_new();
    assert_true(slu_worker_init(&world->worker, &world->gateway, 0, &fault));
    assert_true(slu_worker_start(&world->worker));
}

static inline int world_start(void **state)
{
    static struct world world;

    world_make(&world);
    assert_true(slu_worker_start(&world.worker));
    *state = &world;
    return 0;
}

static inline int world_stop(void **state)
{
    struct world *world = *state;

    if (world->worker.loop)
        world_end_worker(world);
    fflush(stdout);
    dup2(world->stdout_before, STDOUT_FILENO);
    close(world->stdout_before);
    close(world->out);
    peer_stop(world->cloud.peer);
    slu_gateway_unshare(&world->gateway);
    slu_catalog_free(world->gateway.catalog);
    slu_arena_done(&world->arena);
    return 0;
}

/* What was posted has run when this returns. */
static inline void posted_is_over(void *argument)
{
    atomic_uint *count = argument;

    (*count)++;
}

static inline void world_on_loop(struct world *world, slu_loop_fn *fn, void *argument)
{
    atomic_uint over = 0;

    assert_true(slu_loop_post(world->worker.loop, fn, argument));
    assert_true(slu_loop_post(world->worker.loop, posted_is_over, &over));
    assert_true(reaches(&over, 1));
}

/* Callers */

enum { ANSWER_MOST = 2 << 20 };
struct answer {
    int status;
    struct slu_str head, body;
    char text[ANSWER_MOST];
};

static inline uint16_t port_of(const struct slu_server *server)
{
    return (uint16_t)strtoul(strrchr(slu_server_address(server), ':') + 1, NULL, 10);
}

static inline int dial_port(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    to.sin_port = htons(port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline int dial(struct world *world, size_t front)
{
    return dial_port(port_of(world->worker.fronts[front].server));
}

static inline void say_bytes(int fd, const char *text, size_t n)
{
    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* A request of the REST side; body NULL: a GET. */
static inline void ask(int fd, const char *key, const char *path, const char *more,
                       const char *body)
{
    char text[32768];
    int n = snprintf(text, sizeof(text),
                     "%s %s HTTP/1.1\r\nhost: sluice.test\r\nauthorization: Bearer %s\r\n%s",
                     body ? "POST" : "GET", path, key, more);

    if (body)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "content-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                      strlen(body), body);
    else
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
    say_bytes(fd, text, (size_t)n);
}

/* One answer; false when the connection ended, or nothing came, before it was whole. */
static inline bool hear(int fd, struct answer *answer)
{
    size_t n = 0;

    *answer = (struct answer){0};
    for (;;) {
        ssize_t got = recv(fd, answer->text + n, sizeof(answer->text) - 1 - n, 0);
        const char *body;

        if (got <= 0)
            return false;
        n += (size_t)got;
        answer->text[n] = '\0';
        body = strstr(answer->text, "\r\n\r\n");
        if (!body)
            continue;
        answer->head = (struct slu_str){answer->text, (size_t)(body + 2 - answer->text)};
        answer->body = (struct slu_str){body + 4, n - answer->head.n - 2};
        if (answer->body.n >= peer_length(answer->text))
            break;
    }
    answer->status = (int)strtol(answer->text + 9, NULL, 10);
    return true;
}

static inline bool head_has(const struct answer *answer, const char *text)
{
    return memmem(answer->head.p, answer->head.n, text, strlen(text)) != NULL;
}

static inline const struct answer *talk_once(struct world *world, const char *key, const char *path,
                                             const char *more, const char *body)
{
    static struct answer answer;
    int fd = dial(world, FRONT_REST);

    ask(fd, key, path, more, body);
    assert_true(hear(fd, &answer));
    close(fd);
    return &answer;
}

/* Documents and access lines */

static inline struct slu_value *read_json(struct world *world, struct slu_str text)
{
    struct slu_mistakes mistakes;
    struct slu_value *value;

    slu_mistakes_init(&mistakes, &world->arena);
    value =
        slu_json_read(&world->arena, text, (struct slu_json_limits){.nodes = 1 << 20}, &mistakes);
    if (!value)
        print_error("not JSON: %.*s\n", SLU_FMT(text));
    assert_non_null(value);
    return value;
}

static inline struct slu_str text_of(const struct slu_value *object, const char *name)
{
    const struct slu_value *member = slu_value_find(object, slu_str_of(name));

    if (!slu_value_is(member, SLU_STRING))
        print_error("no text: %s\n", name);
    assert_true(slu_value_is(member, SLU_STRING));
    return member->text;
}

static inline int64_t number_of(const struct slu_value *object, const char *name)
{
    int64_t number = -1;

    if (!slu_value_to_int(slu_value_find(object, slu_str_of(name)), &number))
        fail_msg("no number: %s", name);
    return number;
}

/* The whole of what was logged; in the world's arena. */
static inline struct slu_str world_lines(struct world *world)
{
    struct stat file;
    char *text;

    assert_int_equal(fstat(world->out, &file), 0);
    text = slu_arena_get(&world->arena, (size_t)file.st_size + 1);
    assert_non_null(text);
    return (struct slu_str){text, (size_t)pread(world->out, text, (size_t)file.st_size, 0)};
}

/* The access line of this number, from 0; waits until it is there. */
static inline struct slu_str world_line_text(struct world *world, size_t number)
{
    for (int i = 0; i < 2000; i++) {
        struct slu_str rest = world_lines(world);

        for (size_t at = 0; rest.n; at++) {
            const char *end = memchr(rest.p, '\n', rest.n);
            size_t n = end ? (size_t)(end - rest.p) : rest.n;

            if (end && at == number)
                return (struct slu_str){rest.p, n};
            rest = (struct slu_str){rest.p + n + (end ? 1 : 0), rest.n - n - (end ? 1 : 0)};
        }
        usleep(5000);
    }
    fail_msg("there is no access line %zu", number);
    return SLU_STR_NONE;
}

static inline struct slu_value *world_line(struct world *world, size_t number)
{
    return read_json(world, world_line_text(world, number));
}

#endif
