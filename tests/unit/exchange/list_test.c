/* Lists of a thousand flow logs on clouds of each paging style, complete and without doubles, also
 * while flow logs come and go. */
#include "script.h"

enum { MOST = 1200, PAGES = 400 };

/* A cloud's rows, by number, in its order. */
struct rows {
    unsigned numbers[MOST], count;
};

struct model {
    struct script script;
    struct rows rows;
    bool generous; /* more rows than were asked for */
};

static struct model model;

static void fill(unsigned count)
{
    model.rows.count = 0;
    for (unsigned i = 0; i < count; i++)
        model.rows.numbers[model.rows.count++] = i;
}

static unsigned place_of(unsigned number)
{
    unsigned at = 0;

    while (at < model.rows.count && model.rows.numbers[at] != number)
        at++;
    return at;
}

static void drop(unsigned number)
{
    unsigned at = place_of(number);

    assert_true(at < model.rows.count);
    memmove(&model.rows.numbers[at], &model.rows.numbers[at + 1],
            (--model.rows.count - at) * sizeof(unsigned));
}

static void insert(unsigned at, unsigned number)
{
    memmove(&model.rows.numbers[at + 1], &model.rows.numbers[at],
            (model.rows.count++ - at) * sizeof(unsigned));
    model.rows.numbers[at] = number;
}

/* The fake clouds */

static unsigned parameter(const struct peer_end *end, const char *name, unsigned otherwise)
{
    char key[64];
    const char *at;

    snprintf(key, sizeof(key), "%s=", name);
    at = strstr(end->target, key);
    if (!at)
        at = strstr(end->body, key);
    return at ? (unsigned)strtoul(at + strlen(key), NULL, 10) : otherwise;
}

/* Behind the row that the marker names. A cloud that does not know it any more goes by order. */
static unsigned behind_marker(const struct peer_end *end)
{
    const char *marker = strstr(end->target, "marker=");
    unsigned number, at = 0;

    if (!marker)
        return 0;
    number = (unsigned)strtoul(marker + strlen("marker=00000000-0000-0000-0000-"), NULL, 10);
    while (at < model.rows.count && model.rows.numbers[at] <= number)
        at++;
    return at;
}

static void tell_net(FILE *body, unsigned number)
{
    fprintf(body,
            "{\"id\":\"00000000-0000-0000-0000-%012u\",\"tenant_id\":\"" PROJECT
            "\",\"admin_state\":%s,\"status\":\"%s\",\"created_at\":\"2019-01-14T11:03:02\","
            "\"updated_at\":\"2019-01-14T11:03:02\",\"name\":\"log-%u\",\"description\":\"%s\","
            "\"resource_type\":\"vpc\",\"resource_id\":\"" ANY_UUID
            "\",\"traffic_type\":\"%s\",\"log_group_id\":\"" ANY_UUID
            "\",\"log_topic_id\":\"" ANY_UUID "\"}",
            number, "true", number % 7 ? "ACTIVE" : "ODD", number, "rejected at the edge",
            number % 10 ? "all" : "reject");
}

static int tell_markers(struct script *script, const struct peer_end *end, FILE *body)
{
    unsigned limit = parameter(end, "limit", 2000), at = behind_marker(end), told = 0;

    (void)script;
    limit += model.generous ? 2 : 0;
    fputs("{\"flow_logs\":[", body);
    for (; at < model.rows.count && told < limit; at++, told++) {
        fputs(told ? "," : "", body);
        tell_net(body, model.rows.numbers[at]);
    }
    fputs("]}", body);
    return 200;
}

static int tell_numbers(struct script *script, const struct peer_end *end, FILE *body)
{
    unsigned size = parameter(end, "PageSize", 20), page = parameter(end, "PageNumber", 1);
    unsigned at = (page - 1) * size, told = 0;

    (void)script;
    fprintf(body,
            "{\"RequestId\":\"r\",\"Success\":\"true\",\"PageNumber\":\"%u\",\"PageSize\":\"%u\","
            "\"TotalCount\":\"%u\",\"FlowLogs\":{\"FlowLog\":[",
            page, size, model.rows.count);
    for (; at < model.rows.count && told < size; at++, told++)
        fprintf(body,
                "%s{\"FlowLogId\":\"fl-%u\",\"FlowLogName\":\"log-%u\",\"Status\":\"Active\","
                "\"ResourceType\":\"VPC\",\"ResourceId\":\"vpc-1\",\"TrafficType\":\"All\","
                "\"ProjectName\":\"p\",\"LogStoreName\":\"s\",\"RegionId\":\"" DOOR_REGION
                "\",\"AggregationInterval\":10,\"CreationTime\":\"2019-01-14T11:03:02Z\"}",
                told ? "," : "", model.rows.numbers[at], model.rows.numbers[at]);
    fputs("]}}", body);
    return 200;
}

/* The world */

static void point_all(struct world *world)
{
    struct slu_catalog *catalog = world->gateway.catalog;
    struct slu_target *ali = world_target(world, "ali");

    world_point(world, world_target(world, "net"), model.script.peer->port);
    ali->memory = false;
    world_cloud_target(catalog, ali, catalog->tables[0], model.script.peer->port);
    ali->credentials.scheme = slu_scheme_find(SLU_STR("acs3-hmac-sha256"));
    ali->credentials.scheme_index = slu_table_scheme_index(ali->table, SLU_STR("acs3-hmac-sha256"));
    assert_true(slu_vars_set(&ali->parameters, SLU_STR("region"), SLU_STR(DOOR_REGION)));
    catalog->limits.request_bytes = 6 << 20;
    for (size_t i = 0; i < catalog->target_count; i++)
        catalog->targets[i].reply_bytes = 4 << 20;
    world_begin_anew(world);
}

static int begin(void **state)
{
    world_start(state);
    memset(&model, 0, sizeof(model));
    script_start(&model.script, tell_markers, NULL);
    point_all(*state);
    return 0;
}

static int end(void **state)
{
    world_end_worker(*state);
    script_stop(&model.script);
    return world_stop(state);
}

/* Walks */

struct walk {
    unsigned met[MOST * 2], pages, rows;
    void (*between)(unsigned page); /* after this one */
};

static void count_row(struct walk *walk, const struct slu_value *row)
{
    struct slu_str id = text_of(row, "id");
    const char *digits = memchr(id.p, '-', id.n);
    uint64_t number;
    struct slu_str rest = {digits + 1, id.n - (size_t)(digits + 1 - id.p)};

    while ((digits = memchr(rest.p, '-', rest.n)))
        rest = (struct slu_str){digits + 1, rest.n - (size_t)(digits + 1 - rest.p)};
    while (rest.n > 1 && *rest.p == '0')
        rest = (struct slu_str){rest.p + 1, rest.n - 1};
    assert_true(slu_str_to_u64(rest, &number) && number < SLU_COUNT(walk->met));
    walk->met[number]++;
    walk->rows++;
}

/* The losses of a page name rows of this page. */
static void check_losses(const struct slu_value *document)
{
    uint32_t rows = slu_value_member(document, "flow_logs")->count;
    const struct slu_value *losses = slu_value_member(document, "loss");

    slu_value_each (loss, losses) {
        struct slu_str rest = text_of(loss, "pointer"), word;
        uint64_t number;

        (void)slu_str_cut(&rest, '/');
        word = slu_str_cut(&rest, '/');
        assert_str(word, "flow_logs");
        assert_true(slu_str_to_u64(slu_str_cut(&rest, '/'), &number) && number < rows);
    }
}

static void walk(struct world *world, const char *target, const char *query, struct walk *walk)
{
    char path[16384];
    const struct slu_value *next;
    bool more;

    memset(walk->met, 0, sizeof(walk->met));
    walk->pages = walk->rows = 0;
    snprintf(path, sizeof(path), "/v1/targets/%s/flow-logs?%s", target, query);
    do {
        struct slu_value *document =
            heard(world, talk_once(world, PORTAL_KEY, path, "", NULL), 200);
        struct slu_value *list = slu_value_member(document, "flow_logs");

        slu_value_each (row, list)
            count_row(walk, row);
        check_losses(document);
        walk->pages++;
        assert_true(walk->pages < PAGES);
        next = slu_value_member(document, "next_page_token");
        if (next->kind == SLU_STRING)
            snprintf(path, sizeof(path), "/v1/targets/%s/flow-logs?%s&page_token=%.*s", target,
                     query, SLU_FMT(next->text));
        more = next->kind == SLU_STRING;
        slu_arena_reset(&world->arena);
        if (walk->between)
            walk->between(walk->pages);
    } while (more);
}

/* All from `from` to before `to`, each so many times. */
static void met(const struct walk *walk, unsigned from, unsigned to, unsigned times)
{
    for (unsigned i = from; i < to; i++)
        if (walk->met[i] != times)
            fail_msg("row %u was met %u times", i, walk->met[i]);
}

static const struct {
    const char *target;
    script_fn *cloud;
} styles[] = {{"net", tell_markers}, {"ali", tell_numbers}};

static void a_thousand(void **state)
{
    static const char *const sizes[] = {"page_size=7", "page_size=100", "page_size=50"};
    static struct walk all;

    fill(1000);
    for (size_t s = 0; s < SLU_COUNT(styles); s++)
        for (size_t i = 0; i < SLU_COUNT(sizes); i++) {
            model.script.answer = styles[s].cloud;
            walk(*state, styles[s].target, sizes[i], &all);
            met(&all, 0, 1000, 1);
        }
}

static void at_once(void **state)
{
    static struct walk all;

    fill(1000);
    model.script.answer = tell_markers;
    walk(*state, "net", "page_size=1000", &all);
    met(&all, 0, 1000, 1);
    assert_int_equal(all.pages, 2); /* a full page may be the last one: nobody said */
}

/* A walk needs the memory of its result and of one page, not of all that it reads. */
static void memory_of_the_result(void **state)
{
    struct world *world = *state;
    static struct walk all;
    uint32_t bytes = 512 << 10;

    model.script.answer = tell_numbers;
    fill(1000);
    for (;; bytes += 256 << 10) {
        world->gateway.catalog->limits.request_bytes = bytes;
        world_begin_anew(world);
        if (talk_once(world, PORTAL_KEY, "/v1/targets/ali/flow-logs?page_size=1000", "", NULL)
                ->status == 200)
            break;
    }
    assert_true(bytes <= 6 << 20);
    fill(MOST);
    walk(world, "ali", "page_size=100&name=log-7", &all); /* read all, keep one */
    assert_int_equal(all.rows, 1);
}

/* Others hold all of the common budget but for so much, which is a little more each time: at first
 * the reply finds no room, then what becomes of it. */
static void every_rest_of_the_common_budget(void **state)
{
    struct world *world = *state;
    const uint64_t most = 3 << 20;
    struct slu_budget *bodies = slu_budget_new(most);
    const struct answer *answer;
    unsigned refused = 0;

    assert_non_null(bodies);
    slu_budget_free(world->gateway.bodies); /* nobody has asked anything yet */
    world->gateway.bodies = bodies;

    model.script.answer = tell_numbers;
    fill(1000);
    for (uint64_t rest = 0;; rest += 16 << 10) {
        assert_true(rest <= most);
        slu_budget_insist(bodies, most - rest);
        answer = talk_once(world, PORTAL_KEY, "/v1/targets/ali/flow-logs?page_size=1000", "", NULL);
        slu_budget_give(bodies, most - rest);
        if (answer->status == 200)
            break;
        assert_int_equal(answer->status, 503);
        assert_true(head_has(answer, "retry-after: 1\r\n"));
        assert_str(text_of(read_json(world, slu_arena_str(&world->arena, answer->body)), "code"),
                   "unavailable");
        refused++;
    }
    assert_true(refused > 10);
}

static void more_than_was_asked_for(void **state)
{
    static struct walk all;

    fill(100);
    model.script.answer = tell_markers;
    model.generous = true;
    walk(*state, "net", "page_size=3", &all);
    met(&all, 0, 100, 1);
    assert_true(all.pages >= 34);
}

/* A filter that the cloud does not know is applied here: pages are short, not wrong. */
static void filtered_here(void **state)
{
    static struct walk some;

    fill(1000);
    model.script.answer = tell_markers;
    walk(*state, "net", "page_size=10&traffic_type=reject", &some);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(some.met[i], i % 10 == 0);
    walk(*state, "net", "page_size=10&name=nobody", &some);
    assert_int_equal(some.rows, 0);
    assert_true(some.pages <= 1000 / 10 / 20 + 1);
}

/* Rows come and go */

static unsigned page_rows;

/* Removed: one told, the last one told, and one not told yet. */
static void remove_some(unsigned page)
{
    unsigned last = page * page_rows - 1;

    if (page != 3)
        return;
    drop(5);
    drop(last);
    drop(last + 100);
}

static void rows_go(void **state)
{
    static struct walk seen = {.between = remove_some};

    page_rows = 20;
    for (size_t s = 0; s < SLU_COUNT(styles); s++) {
        fill(300);
        model.script.answer = styles[s].cloud;
        walk(*state, styles[s].target, "page_size=20", &seen);
        for (unsigned i = 0; i < 300; i++)
            if (i != 159) /* one that went before it was told */
                assert_true(seen.met[i] >= 1);
        assert_int_equal(seen.met[159], 0);
        assert_true(seen.rows <= 300); /* the row behind the last one may be told twice */
        if (s == 0)
            met(&seen, 0, 159, 1);
    }
}

/* Those told go, and no others: the place is found exactly, however many they are. */
static unsigned first_gone, gone;

static void remove_told(unsigned page)
{
    for (unsigned i = 0; page == 3 && i < gone; i++)
        drop(first_gone + i);
}

static void told_rows_go(void **state)
{
    static const struct {
        unsigned first, count;
    } rows[] = {{0, 1}, {59, 1}, {40, 20}, {0, 59}, {0, 60}, {10, 25}, {30, 30}};
    static struct walk seen = {.between = remove_told};

    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        fill(300);
        first_gone = rows[i].first;
        gone = rows[i].count;
        model.script.answer = tell_numbers;
        walk(*state, "ali", "page_size=20", &seen);
        met(&seen, 0, 300, 1);
    }
}

/* New ones at the head push all others down. */
static void add_at_the_head(unsigned page)
{
    for (unsigned i = 0; page == 2 && i < 7; i++)
        insert(0, 1300 + i);
}

static void rows_come(void **state)
{
    static struct walk seen = {.between = add_at_the_head};

    fill(300);
    model.script.answer = tell_numbers;
    walk(*state, "ali", "page_size=20", &seen);
    met(&seen, 0, 300, 1);
}

static void delete_each_page(unsigned page)
{
    (void)page;
    while (model.rows.count && model.rows.count % page_rows != 0)
        drop(model.rows.numbers[0]);
    for (unsigned i = 0; i < page_rows && model.rows.count; i++)
        drop(model.rows.numbers[0]);
}

static void each_page_is_deleted(void **state)
{
    static struct walk seen = {.between = delete_each_page};

    page_rows = 20;
    for (size_t s = 0; s < SLU_COUNT(styles); s++) {
        fill(200);
        model.script.answer = styles[s].cloud;
        walk(*state, styles[s].target, "page_size=20", &seen);
        met(&seen, 0, 200, 1);
    }
}

/* The memory cloud, which knows no pages */

static void make_in_memory(struct world *world, unsigned number)
{
    char body[512];

    snprintf(body, sizeof(body),
             "{\"name\":\"log-%u\",\"resource_type\":\"vpc\",\"resource_id\":\"vpc-%u\","
             "\"destination\":{\"type\":\"sls\",\"group\":\"g\",\"stream\":\"s\"}}",
             number, number);
    heard(world, talk_once(world, PORTAL_KEY, "/v1/targets/memory/flow-logs", "", body), 201);
}

static void without_pages(void **state)
{
    struct world *world = *state;
    char path[4096] = "/v1/targets/memory/flow-logs?page_size=4";
    const struct slu_value *next;
    unsigned rows = 0;

    for (unsigned i = 0; i < 20; i++)
        make_in_memory(world, i);
    do {
        struct slu_value *document =
            heard(world, talk_once(world, PORTAL_KEY, path, "", NULL), 200);
        struct slu_value *list = slu_value_member(document, "flow_logs");
        char last[256];

        slu_value_each (row, list)
            rows++;
        snprintf(last, sizeof(last), "/v1/targets/memory/flow-logs/%.*s",
                 SLU_FMT(text_of(list->last, "id")));
        heard(world, talk_method(world, "DELETE", last, "", NULL), 204); /* the marker itself */
        next = slu_value_member(document, "next_page_token");
        if (next->kind == SLU_STRING)
            snprintf(path, sizeof(path), "/v1/targets/memory/flow-logs?page_size=4&page_token=%.*s",
                     SLU_FMT(next->text));
    } while (next->kind == SLU_STRING);
    assert_int_equal(rows, 20);
}

/* Tokens */

static void tokens_are_ours(void **state)
{
    struct world *world = *state;
    char token[8192], path[9000];
    struct slu_value *document;
    const struct {
        const char *key, *path;
        int status;
    } rows[] = {
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=5&page_token=%s", 200},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_token=%s", 200},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=6&page_token=%s", 400},
        {READER_KEY, NET_FLOW_LOGS "?page_size=5&page_token=%s", 400},
        {PORTAL_KEY, "/v1/targets/ali/flow-logs?page_size=5&page_token=%s", 400},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=5&name=a&page_token=%s", 400},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=5&page_token=%s00", 400},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=5&page_token=00%s", 400},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=5&page_token=", 400},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=0", 400},
        {PORTAL_KEY, NET_FLOW_LOGS "?page_size=1001", 400},
    };

    fill(100);
    document =
        heard(world, talk_once(world, PORTAL_KEY, NET_FLOW_LOGS "?page_size=5", "", NULL), 200);
    snprintf(token, sizeof(token), "%.*s", SLU_FMT(text_of(document, "next_page_token")));
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        const char *at = strstr(rows[i].path, "%s");

        snprintf(path, sizeof(path), "%.*s%s%s",
                 (int)(at ? (size_t)(at - rows[i].path) : strlen(rows[i].path)), rows[i].path,
                 at ? token : "", at ? at + 2 : "");
        heard(world, talk_once(world, rows[i].key, path, "", NULL), rows[i].status);
    }
    for (size_t i = 0; i < strlen(token); i += 7) {
        char kept = token[i];

        token[i] = kept == '0' ? '1' : '0';
        snprintf(path, sizeof(path), NET_FLOW_LOGS "?page_size=5&page_token=%s", token);
        heard(world, talk_once(world, PORTAL_KEY, path, "", NULL), 400);
        token[i] = kept;
    }
}

#define OF_LISTS(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_LISTS(a_thousand),
        OF_LISTS(at_once),
        OF_LISTS(memory_of_the_result),
        OF_LISTS(every_rest_of_the_common_budget),
        OF_LISTS(more_than_was_asked_for),
        OF_LISTS(filtered_here),
        OF_LISTS(rows_go),
        OF_LISTS(told_rows_go),
        OF_LISTS(rows_come),
        OF_LISTS(each_page_is_deleted),
        OF_LISTS(without_pages),
        OF_LISTS(tokens_are_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
