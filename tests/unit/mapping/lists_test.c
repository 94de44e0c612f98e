/*
 * Lists: pages and filters, both roles of every table.
 *
 * tests/golden/<dialect>/pages.json lists pages, each with its source:
 *   page       size, position, filters {canonical pointer: [values]}; next and total of a reply
 *   query      the parameters by which a client of that cloud asks for this page; written by the
 *              client role and read by the server role
 *   reply, ids the answer to it (a document, or the text of one in XML) and the flow logs in it;
 *              read by the client role and written by the server role
 *   only       "write" (canonical to native) or "read", where one way is all there is
 *   refused    how the words begin with which the server role refuses the query
 *   vars
 *
 * And without a socket: a thousand flow logs walked page by page, the client role of each table
 * against the server role of the same, and each table as a door in front of each other one.
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TABLES_MOST = 32, PATH_MOST = 600, LOGS = 1000 };

static struct slu_table *tables[TABLES_MOST];
static size_t table_count;
static struct slu_arena all, arena; /* of the program; of one call */

static const struct slu_table *table_of(const char *dialect)
{
    for (size_t i = 0; i < table_count; i++)
        if (slu_str_is(slu_table_dialect(tables[i]), dialect))
            return tables[i];
    fail_msg("%s is not loaded", dialect);
    return NULL;
}

static void load(const char *folder, const char *name)
{
    struct slu_mistakes mistakes;
    struct slu_table *table;
    char path[PATH_MOST];

    slu_mistakes_init(&mistakes, &all);
    snprintf(path, sizeof(path), "%s/%s/%s", SLU_SOURCE_DIR, folder, name);
    table = slu_table_load(path, &mistakes);
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        print_error("%.*s: %.*s\n", SLU_FMT(m->pointer), SLU_FMT(m->detail));
    assert_non_null(table);
    assert_true(table_count < TABLES_MOST);
    tables[table_count++] = table;
    assert_non_null(slu_table_paging(table));
}

static void load_folder(const char *folder)
{
    struct dirent **entries;
    char path[PATH_MOST];
    int count;

    snprintf(path, sizeof(path), "%s/%s", SLU_SOURCE_DIR, folder);
    count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        struct slu_str name = slu_str_of(entries[i]->d_name);

        if (slu_str_ends(name, SLU_STR(".json")) && !slu_str_is(name, "schema.json"))
            load(folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static int set_up(void **state)
{
    (void)state;
    slu_arena_init(&all, 256 << 20);
    slu_arena_init(&arena, 64 << 20);
    load_folder("mappings");
    load_folder("tests/unit/mapping/data");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    while (table_count)
        slu_table_free(tables[--table_count]);
    slu_arena_done(&arena);
    slu_arena_done(&all);
    return 0;
}

static const struct slu_vars vars_given = {
    .names = {SLU_STR_INIT("project_id"), SLU_STR_INIT("er_id"), SLU_STR_INIT("region"),
              SLU_STR_INIT("request_id"), SLU_STR_INIT("account"), SLU_STR_INIT("zone")},
    .values = {SLU_STR_INIT("b2782e6708b8475c993e6064bc456bf8"),
               SLU_STR_INIT("a43c55e9-4911-4030-90e1-5c2bf6ae6fe2"), SLU_STR_INIT("cn-hangzhou"),
               SLU_STR_INIT("r-1"), SLU_STR_INIT("a-1"), SLU_STR_INIT("z1")},
    .count = 6};

/* ---- one message each ---- */

static struct slu_request ask(const struct slu_table *table, const struct slu_page *page)
{
    struct slu_vars vars = vars_given;
    struct slu_request request;
    struct slu_mistakes mistakes;
    struct slu_losses losses;

    vars.page = page;
    slu_mistakes_init(&mistakes, &arena);
    slu_losses_init(&losses, &arena, false);
    if (!slu_table_write_request(table, SLU_OP_LIST, 0, 0, NULL, &vars, &arena, &losses, &mistakes,
                                 &request))
        fail_msg("%.*s: %.*s", SLU_FMT(slu_table_dialect(table)),
                 SLU_FMT(mistakes.first ? mistakes.first->detail : SLU_STR("?")));
    return request;
}

static struct slu_response answer(const struct slu_table *table, const struct slu_value *flow_logs,
                                  const struct slu_page *page)
{
    struct slu_vars vars = vars_given;
    struct slu_response response;
    struct slu_losses losses;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    vars.page = page;
    slu_losses_init(&losses, &arena, true);
    if (!slu_table_write_reply(table, SLU_OP_LIST, 0, flow_logs, &vars, &arena, &losses, &response,
                               &fault))
        fail_msg("%.*s: %s", SLU_FMT(slu_table_dialect(table)), fault.words);
    return response;
}

static struct slu_outcome hear(const struct slu_table *table, const struct slu_response *response,
                               const struct slu_page *page)
{
    struct slu_vars vars = vars_given;
    struct slu_outcome outcome;
    struct slu_losses losses;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    vars.page = page;
    slu_losses_init(&losses, &arena, true);
    if (!slu_table_read_reply(table, SLU_OP_LIST, 0, response, NULL, &vars, &arena, &losses,
                              &outcome, &fault))
        fail_msg("%.*s: %s", SLU_FMT(slu_table_dialect(table)), fault.words);
    return outcome;
}

/* ---- pages as JSON ---- */

static struct slu_value *parse(struct slu_arena *into, struct slu_str text)
{
    struct slu_mistakes mistakes;
    struct slu_value *value;

    slu_mistakes_init(&mistakes, into);
    value = slu_json_read(into, text, (struct slu_json_limits){.nodes = 200000}, &mistakes);
    if (!value)
        fail_msg("%.*s: %.*s", SLU_FMT(text),
                 SLU_FMT(mistakes.first ? mistakes.first->detail : SLU_STR("no memory")));
    return value;
}

static struct slu_str text_at(const struct slu_value *object, const char *name)
{
    const struct slu_value *value = slu_value_find(object, slu_str_of(name));

    return value ? value->text : SLU_STR_NONE;
}

static uint64_t number_at(const struct slu_value *object, const char *name)
{
    uint64_t number = 0;

    (void)slu_str_to_u64(text_at(object, name), &number);
    return number;
}

/* {"size", "position", "filters", "next", "total"} */
static struct slu_page page_from(const struct slu_value *json)
{
    static struct slu_filter filters[SLU_FILTERS_MOST];
    const struct slu_value *list = slu_value_find(json, SLU_STR("filters"));
    struct slu_page page = {.position = text_at(json, "position"),
                            .size = (uint32_t)number_at(json, "size"),
                            .next = text_at(json, "next"),
                            .has_total = slu_value_find(json, SLU_STR("total")),
                            .total = number_at(json, "total"),
                            .filters = filters};

    if (!list)
        return page;
    slu_value_each (filter, list) {
        const struct slu_value **any = slu_arena_get(&arena, 64 * sizeof(*any));
        size_t count = 0;

        assert_true(page.filter_count < SLU_FILTERS_MOST && filter->count <= 64);
        assert_non_null(slu_filter_member(filter->name));
        slu_value_each (value, filter)
            any[count++] = value;
        filters[page.filter_count++] = (struct slu_filter){filter->name, any, count};
    }
    return page;
}

/* What was asked for, as JSON; filters are sorted by the one who wrote them. */
static struct slu_value *page_to(const struct slu_page *page)
{
    struct slu_value *json = slu_value_new(&arena, SLU_OBJECT);
    struct slu_value *filters = slu_value_new(&arena, SLU_OBJECT);

    if (page && page->size)
        slu_value_put(json, SLU_STR("size"), slu_value_int(&arena, page->size));
    if (page && page->position.n)
        slu_value_put(json, SLU_STR("position"), slu_value_string(&arena, page->position));
    for (size_t i = 0; page && i < page->filter_count; i++) {
        struct slu_value *list = slu_value_new(&arena, SLU_ARRAY);

        for (size_t k = 0; k < page->filters[i].count; k++)
            slu_value_append(list, slu_value_share(&arena, page->filters[i].any[k]));
        slu_value_put(filters, page->filters[i].pointer, list);
    }
    if (filters->count)
        slu_value_put(json, SLU_STR("filters"), filters);
    return json;
}

/* In the query, or in a form. */
static struct slu_str params_of(const struct slu_table *table, const struct slu_page *page)
{
    struct slu_request request = ask(table, page);

    return request.body.n ? request.body : request.query;
}

static bool take(const struct slu_table *table, const struct slu_page *like, struct slu_str query,
                 struct slu_match *ret_match, struct slu_fault *fault)
{
    struct slu_request request = ask(table, like);

    *(request.body.n ? &request.body : &request.query) = query;
    *fault = (struct slu_fault){.kind = SLU_FAULT_NONE};
    return slu_table_match(table, &request, 0, &arena, ret_match, fault);
}

/* ---- documented pages ---- */

static unsigned wrong;

static void differ(const char *path, const struct slu_value *row, struct slu_str is,
                   struct slu_str should)
{
    print_error("%s: %.*s\n  is       %.*s\n  expected %.*s\n", path, SLU_FMT(text_at(row, "name")),
                SLU_FMT(is), SLU_FMT(should));
    wrong++;
}

static void check_query(const struct slu_table *table, const char *path,
                        const struct slu_value *row)
{
    const struct slu_value *asked = slu_value_find(row, SLU_STR("page"));
    struct slu_str query = text_at(row, "query"), refused = text_at(row, "refused");
    struct slu_str only = text_at(row, "only"), is;
    struct slu_page page = page_from(asked);
    struct slu_match match;
    struct slu_fault fault;

    if (!query.p)
        return;
    is = params_of(table, &page);
    if (!refused.p && !slu_str_is(only, "read") && !slu_str_eq(is, query))
        differ(path, row, is, query);
    if (slu_str_is(only, "write"))
        return;
    if (!take(table, NULL, query, &match, &fault)) {
        assert_string_equal(fault.place, "parameter");
        if (!refused.p || !slu_str_starts(slu_str_of(fault.words), refused))
            differ(path, row, slu_str_of(fault.words), refused.p ? refused : query);
    } else if (refused.p || match.operation != SLU_OP_LIST ||
               !slu_value_equal(page_to(match.vars.page), asked)) {
        differ(path, row, slu_json_text(&arena, page_to(match.vars.page)),
               refused.p ? refused : slu_json_text(&arena, asked));
    }
}

static void check_ids(const char *path, const struct slu_value *row, const struct slu_value *ids,
                      const struct slu_outcome *outcome)
{
    struct slu_value *is = slu_value_new(&arena, SLU_ARRAY);

    if (!outcome->flow_logs) {
        differ(path, row, outcome->words, SLU_STR("flow logs"));
        return;
    }
    slu_value_each (flow_log, outcome->flow_logs)
        slu_value_append(is, slu_value_share(&arena, slu_value_member(flow_log, "id")));
    if (!slu_value_equal(is, ids))
        differ(path, row, slu_json_text(&arena, is), slu_json_text(&arena, ids));
}

static void check_reply(const struct slu_table *table, const char *path,
                        const struct slu_value *row)
{
    const struct slu_value *reply = slu_value_find(row, SLU_STR("reply"));
    struct slu_page page = page_from(slu_value_find(row, SLU_STR("page")));
    struct slu_response response = {.status = 200}, written;
    struct slu_outcome outcome;

    if (!reply)
        return;
    assert_true(slu_headers_add(&arena, &response.headers, SLU_STR("content-type"),
                                reply->kind == SLU_STRING ? SLU_STR("text/xml")
                                                          : SLU_STR("application/json")));
    response.body = reply->kind == SLU_STRING ? reply->text : slu_json_text(&arena, reply);
    outcome = hear(table, &response, &page);
    check_ids(path, row, slu_value_find(row, SLU_STR("ids")), &outcome);
    if (!slu_str_eq(outcome.next, page.next) || outcome.has_total != page.has_total ||
        (page.has_total && outcome.total != page.total))
        differ(path, row,
               slu_arena_printf(&arena, "next \"%.*s\" total %llu", SLU_FMT(outcome.next),
                                (unsigned long long)outcome.total),
               slu_arena_printf(&arena, "next \"%.*s\" total %llu", SLU_FMT(page.next),
                                (unsigned long long)page.total));
    if (slu_str_is(text_at(row, "only"), "read") || !outcome.flow_logs)
        return;
    written = answer(table, outcome.flow_logs, &page);
    if (reply->kind == SLU_STRING ? !slu_str_eq(written.body, reply->text)
                                  : !slu_value_equal(parse(&arena, written.body), reply))
        differ(path, row, written.body, response.body);
}

static void documented_pages_hold_both_ways(void **state)
{
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        char path[PATH_MOST];
        struct slu_str text;

        snprintf(path, sizeof(path), "%s/tests/golden/%.*s/pages.json", SLU_SOURCE_DIR,
                 SLU_FMT(slu_table_dialect(tables[i])));
        if (access(path, R_OK) != 0) {
            print_message("%.*s has no documented pages\n", SLU_FMT(slu_table_dialect(tables[i])));
            continue;
        }
        text = test_file(path);
        slu_value_each (row, parse(&all, text)) {
            slu_arena_reset(&arena);
            assert_true(text_at(row, "source").n > 0);
            check_query(tables[i], path, row);
            check_reply(tables[i], path, row);
            count++;
        }
        slu_mem_free((char *)text.p);
    }
    print_message("%u pages\n", count);
    assert_true(count > 0);
    assert_int_equal(wrong, 0);
}

/* ---- what fictional clouds show ---- */

static const struct {
    const char *dialect, *filters, *query; /* without the templates' own parameters */
    bool only_written;                     /* the query says less than the filters, or more */
} said[] = {
    {"nimbus", "{\"/id\": [\"nl-1\", \"nl-2\"]}", "ids.1=nl-1&ids.2=nl-2", false},
    {"nimbus", "{\"/enabled\": [true]}", "on=true", false},
    {"nimbus", "{\"/enabled\": [true, false]}", "", true},
    {"nimbus", "{\"/aggregation_interval\": [600]}", "minutes=10", false},
    {"nimbus", "{\"/aggregation_interval\": [90]}", "", true},
    {"nimbus", "{\"/index\": [false]}", "indexed=Off", false},
    {"nimbus", "{\"/name\": [\"a b\", \"c&d\"]}", "f.1.k=title&f.1.v.1=a%20b&f.1.v.2=c%26d", false},
    {"nimbus", "{\"/name\": [\"ab\", \"c*d\"]}", "", true},
    {"nimbus", "{\"/name\": [\"\"]}", "", true},
    {"nimbus", "{\"/name\": [\"a\"]}", "", true}, /* no name has one character there */
    {"nimbus", "{\"/status\": [\"failed\"]}", "f.1.k=state&f.1.v.1=BROKEN", false},
    {"nimbus", "{\"/status\": [\"disabled\"]}", "f.1.k=state&f.1.v.1=READY", true},
    {"nimbus", "{\"/status\": [\"active\", \"disabled\"]}", "f.1.k=state&f.1.v.1=READY", true},
    {"nimbus", "{\"/status\": [\"deleted\"]}", "", true},
    {"nimbus", "{\"/status\": [\"unknown\"]}", "", true},
    {"nimbus", "{\"/resource_type\": [\"interface\"]}", "f.1.k=kind&f.1.v.1=NIC", false},
    {"nimbus", "{\"/resource_type\": [\"subnet\"]}", "", true},
    {"nimbus", "{\"/resource_id\": [\"n-1\"]}", "f.1.k=watched&f.1.v.1=n-1", false},
    {"nimbus", "{\"/traffic_type\": [\"accept\"]}", "f.1.k=filter&f.1.v.1=PASSED", false},
    {"nimbus", "{\"/traffic_type\": [\"all\"]}", "", true},
    {"nimbus", "{\"/tags/a~1b\": [\"x\"], \"/tags/:\": [\"y\"]}",
     "f.1.k=tag%3Aa%2Fb&f.1.v.1=x&f.2.k=tag%3A%3A&f.2.v.1=y", false},
    {"nimbus", "{\"/tags/a*\": [\"x\"]}", "", true},
    {"nimbus", "{\"/description\": [\"x\"], \"/enabled\": [false]}", "on=false", true},
    {"cirrus", "{\"/name\": [\"a\"]}", "Title=a", false},
    {"cirrus", "{\"/enabled\": [false]}", "State=Down", false},
    {"cirrus", "{\"/enabled\": [true]}", "", true}, /* Up or Starting: two words, one place */
    {"cirrus", "{\"/aggregation_interval\": [120]}", "Period=2", false},
    {"cirrus", "{\"/tags/k\": [\"v\"]}", "Tag.1.Key=k&Tag.1.Value=v", false},
    {"cirrus", "{\"/tags/k\": [\"v\", \"w\"]}", "", true},
};

static void filters_are_said_where_nothing_gets_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(said); i++) {
        const struct slu_table *table = table_of(said[i].dialect);
        struct slu_value *json;
        struct slu_page page;
        struct slu_str bare, query;
        struct slu_match match;
        struct slu_fault fault;

        slu_arena_reset(&arena);
        json = slu_value_new(&arena, SLU_OBJECT);
        slu_value_put(json, SLU_STR("filters"), parse(&arena, slu_str_of(said[i].filters)));
        page = page_from(json);
        bare = params_of(table, &(struct slu_page){.size = 0});
        query = params_of(table, &page);
        if (!slu_str_starts(query, bare) || !slu_str_ends(query, slu_str_of(said[i].query)) ||
            query.n > bare.n + 1 + strlen(said[i].query))
            fail_msg("%s: %.*s", said[i].filters, SLU_FMT(query));
        if (said[i].only_written)
            continue;
        if (!take(table, &page, query, &match, &fault))
            fail_msg("%.*s: %s", SLU_FMT(query), fault.words);
        if (!slu_value_equal(page_to(match.vars.page), json))
            fail_msg("%.*s: %.*s", SLU_FMT(query),
                     SLU_FMT(slu_json_text(&arena, page_to(match.vars.page))));
    }
}

static const struct {
    const char *dialect, *query, *told; /* the page as JSON, or the words of the refusal */
} read_as[] = {
    {"nimbus", "f.1.k=state&f.1.v.1=READY",
     "{\"filters\":{\"/status\":[\"disabled\",\"active\"]}}"},
    {"nimbus", "f.1.k=state&f.1.v.1=GOING",
     "{\"filters\":{\"/status\":[\"deleting\",\"deleted\"]}}"},
    {"nimbus", "f.7.v.9=nic&f.7.k=kind&n=4",
     "{\"size\":4,\"filters\":{\"/resource_type\":[\"interface\"]}}"},
    {"nimbus", "ids.2=nl-1", "{\"filters\":{\"/id\":[\"nl-1\"]}}"},
    {"nimbus", "ids.0=nl-1", "ids.0 is not known to this call here"},
    {"nimbus", "ids.01=nl-1", "ids.01 is not known"},
    {"nimbus", "ids=nl-1", "ids is not known"},
    {"nimbus", "ids.1=", "ids.1 is given without a value"},
    {"nimbus", "ids.1=a&ids.1=b", "ids.1 is given twice"},
    {"nimbus", "on=1", "on has a value that none can have"},
    {"nimbus", "minutes=ten", "minutes has a value that none can have"},
    {"nimbus", "indexed=on", "indexed has a value that none can have"},
    {"nimbus", "f.1.k=state", "f.1.k is given without a value"},
    {"nimbus", "f.1.v.1=READY", "f.1.v.1 is given without a name"},
    {"nimbus", "f.1.k=state&f.2.v.1=READY", "f.1.k is given without a value"},
    {"nimbus", "f.1.k=colour&f.1.v.1=red", "f.1.k: there is no filter colour here"},
    {"nimbus", "f.1.k=state&f.1.v.1=ready", "f.1.v.1 has a word that is not known"},
    {"nimbus", "f.1.k=filter&f.1.v.1=ALL", "f.1.v.1 has a word that is not known"},
    {"nimbus", "f.1.k=title&f.1.v.1=a?", "f.1.v.1: only whole values are compared here"},
    {"nimbus", "f.1.k=tag:&f.1.v.1=x", "f.1.k: there is no filter tag: here"},
    {"nimbus", "f.x.k=state&f.x.v.1=READY", "f.x.k is not known"},
    {"nimbus",
     "f.1.k=tag:1&f.1.v.1=x&f.2.k=tag:2&f.2.v.1=x&f.3.k=tag:3&f.3.v.1=x&f.4.k=tag:4&f.4.v.1=x&"
     "f.5.k=tag:5&f.5.v.1=x&f.6.k=tag:6&f.6.v.1=x&f.7.k=tag:7&f.7.v.1=x&f.8.k=tag:8&f.8.v.1=x&"
     "f.9.k=tag:9&f.9.v.1=x&f.10.k=tag:a&f.10.v.1=x&f.11.k=tag:b&f.11.v.1=x&f.12.k=tag:c&"
     "f.12.v.1=x&f.13.k=tag:d&f.13.v.1=x&f.14.k=tag:e&f.14.v.1=x&f.15.k=tag:f&f.15.v.1=x&"
     "f.16.k=tag:g&f.16.v.1=x&f.17.k=tag:h&f.17.v.1=x",
     "more than 16 filters in one request"},
    {"cirrus", "Call=ShowLogs&Zone=z1&State=Starting&Page=2",
     "{\"size\":3,\"position\":\"2\",\"filters\":{\"/enabled\":[true]}}"},
    {"cirrus", "Call=ShowLogs&Zone=z1&Tag.1.Key=a", "Tag.1.Key is given without a value"},
    {"cirrus", "Call=ShowLogs&Title=a&Title=b", "the parameter /Title is given twice"},
};

static void doors_understand_filters_or_refuse_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(read_as); i++) {
        struct slu_match match;
        struct slu_fault fault;
        struct slu_str told;

        slu_arena_reset(&arena);
        if (take(table_of(read_as[i].dialect), NULL, slu_str_of(read_as[i].query), &match, &fault))
            told = slu_json_text(&arena, page_to(match.vars.page));
        else
            told = slu_str_of(fault.words);
        if (!slu_str_starts(told, slu_str_of(read_as[i].told)))
            fail_msg("%s: %.*s", read_as[i].query, SLU_FMT(told));
    }
}

/* A single flow log by the list's own call: what does not pass the filters is not there. */
static void a_single_one_passes_filters_too(void **state)
{
    const struct slu_table *cirrus = table_of("cirrus");
    static const struct {
        const char *query, *body;
    } rows[] = {
        {"Call=ShowLogs&Zone=z1&Id=5&Title=a",
         "{\"Logs\":[{\"Id\":\"5\",\"Title\":\"a\",\"Zone\":\"z1\"}],"
         "\"Count\":1}"},
        {"Call=ShowLogs&Zone=z1&Id=5&Title=b", "{\"Logs\":[],\"Count\":0}"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_value *flow_log;
        struct slu_response response;
        struct slu_losses losses;
        struct slu_match match;
        struct slu_fault fault;

        slu_arena_reset(&arena);
        slu_losses_init(&losses, &arena, true);
        flow_log = parse(&arena, SLU_STR("{\"id\":\"5\",\"name\":\"a\"}"));
        assert_true(take(cirrus, NULL, slu_str_of(rows[i].query), &match, &fault));
        assert_int_equal(match.operation, SLU_OP_GET);
        assert_true(slu_table_write_reply(cirrus, SLU_OP_GET, match.step, flow_log, &match.vars,
                                          &arena, &losses, &response, &fault));
        assert_str(response.body, rows[i].body);
    }
}

static void lists_that_do_not_move_on_are_unreadable(void **state)
{
    static const struct {
        const char *dialect, *position, *body, *words;
    } rows[] = {
        {"otc-er", "5", "{\"flow_logs\":[{\"id\":\"9\"}],\"page_info\":{\"next_marker\":\"5\"}}",
         "does not move on"},
        {"otc-vpc", "9", "{\"flow_logs\":[{\"id\":\"8\"},{\"id\":\"9\"}]}", "does not move on"},
        {"otc-vpc", "", "{\"flow_logs\":[{\"id\":\"8\"},{}]}", "no id to go on from"},
        {"alibaba-vpc", "2", "{\"PageNumber\":\"1\",\"FlowLogs\":{\"FlowLog\":[]}}",
         "another page than was asked for"},
        {"nimbus", "t", "{\"Data\":{\"Logs\":[],\"Next\":\"t\"}}", "does not move on"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_page page = {.size = 2, .position = slu_str_of(rows[i].position)};
        struct slu_response response = {.status = 200, .body = slu_str_of(rows[i].body)};
        struct slu_outcome outcome;

        slu_arena_reset(&arena);
        outcome = hear(table_of(rows[i].dialect), &response, &page);
        assert_int_equal(outcome.kind, SLU_FAULT_UPSTREAM_UNREADABLE);
        assert_null(outcome.flow_logs);
        assert_non_null(strstr(outcome.words.p, rows[i].words));
    }
}

/* ---- a thousand flow logs, page by page ---- */

struct cloud {
    const struct slu_table *table;
    const struct slu_value *logs[LOGS];
    size_t count;
    unsigned calls;
};

static void fill(struct cloud *cloud, const struct slu_table *table, size_t count)
{
    cloud->table = table;
    cloud->count = count;
    for (size_t i = 0; i < count; i++)
        cloud->logs[i] = parse(
            &all,
            slu_arena_printf(&all,
                             "{\"id\":\"00000000-0000-4000-8000-%012zu\",\"name\":\"log-%zu\","
                             "\"description\":\"%s\",\"status\":\"active\","
                             "\"enabled\":true}",
                             i, i, i % 3 ? "odd" : "third"));
}

/* Where the page begins among the flow logs that pass; each style has its own positions. */
static size_t begin_of(const struct cloud *cloud, const struct slu_page *page,
                       const struct slu_value **passing, size_t count)
{
    uint64_t number = 0;

    if (page->position.n == 0)
        return 0;
    switch (slu_table_paging(cloud->table)->style) {
    case SLU_PAGING_MARKER:
        for (size_t i = 0; i < count; i++)
            if (slu_str_eq(slu_value_member(passing[i], "id")->text, page->position))
                return i + 1;
        fail_msg("the marker %.*s names none", SLU_FMT(page->position));
        break;
    case SLU_PAGING_PAGE:
        assert_true(slu_str_to_u64(page->position, &number));
        return (size_t)(number - 1) * page->size;
    case SLU_PAGING_TOKEN:
        assert_true(slu_str_to_u64(page->position, &number));
        break;
    }
    return (size_t)number;
}

static struct slu_str position_after(const struct cloud *cloud, const struct slu_page *page,
                                     const struct slu_value *last, size_t end)
{
    uint64_t number = 1;

    if (slu_table_paging(cloud->table)->style == SLU_PAGING_MARKER)
        return slu_value_member(last, "id")->text;
    if (slu_table_paging(cloud->table)->style == SLU_PAGING_TOKEN)
        return slu_arena_printf(&arena, "%zu", end);
    if (page->position.n)
        assert_true(slu_str_to_u64(page->position, &number));
    return slu_arena_printf(&arena, "%llu", (unsigned long long)number + 1);
}

/* What the caller of the server role does: passes, cuts, and tells. */
static struct slu_response serve(struct cloud *cloud, const struct slu_request *request)
{
    const struct slu_value *passing[LOGS];
    struct slu_value *list = slu_value_new(&arena, SLU_ARRAY);
    struct slu_page told = {.size = 0};
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    struct slu_match match;
    size_t count = 0, end;

    cloud->calls++;
    if (!slu_table_match(cloud->table, request, 0, &arena, &match, &fault))
        fail_msg("%.*s: %s", SLU_FMT(request->query), fault.words);
    assert_int_equal(match.operation, SLU_OP_LIST);
    if (match.vars.page)
        told = *match.vars.page;
    for (size_t i = 0; i < cloud->count; i++)
        if (slu_filters_pass(told.filters, told.filter_count, cloud->logs[i]))
            passing[count++] = cloud->logs[i];
    end = begin_of(cloud, &told, passing, count);
    for (uint32_t i = 0; (told.size == 0 || i < told.size) && end < count; i++)
        slu_value_append(list, slu_value_share(&arena, passing[end++]));
    if (end < count)
        told.next = position_after(cloud, &told, passing[end - 1], end);
    told.has_total = true;
    told.total = count;
    return answer(cloud->table, list, &told);
}

/* What the caller of the client role does; the ids come in order and none twice, or it fails. */
static size_t walk(struct cloud *cloud, const struct slu_page *wish,
                   const struct slu_value **ret_logs)
{
    struct slu_page page = *wish;
    size_t count = 0;

    do {
        struct slu_request request;
        struct slu_response response;
        struct slu_outcome outcome;

        slu_arena_reset(&arena);
        request = ask(cloud->table, &page);
        response = serve(cloud, &request);
        outcome = hear(cloud->table, &response, &page);
        if (!outcome.flow_logs)
            fail_msg("%.*s", SLU_FMT(outcome.words));
        slu_value_each (flow_log, outcome.flow_logs) {
            if (!slu_filters_pass(page.filters, page.filter_count, flow_log))
                continue;
            assert_true(count < LOGS);
            ret_logs[count++] = slu_value_copy(&all, flow_log);
        }
        page.position = slu_arena_str(&all, outcome.next);
        assert_true(cloud->calls <= LOGS + 1);
    } while (page.position.n);
    return count;
}

static void assert_same(const struct cloud *cloud, const struct slu_value *const *logs,
                        size_t count)
{
    assert_int_equal(count, cloud->count);
    for (size_t i = 0; i < count; i++)
        if (!slu_value_equal(slu_value_member(logs[i], "id"),
                             slu_value_member(cloud->logs[i], "id")))
            fail_msg("number %zu is %.*s", i, SLU_FMT(slu_value_member(logs[i], "id")->text));
}

static void walks_are_complete(void **state)
{
    static const uint32_t sizes[] = {0, 7, 50, 333, 1000, 5000};
    static const size_t counts[] = {0, 1, 50, 100, LOGS};
    static struct cloud cloud;
    static const struct slu_value *logs[LOGS];

    (void)state;
    for (size_t t = 0; t < table_count; t++)
        for (size_t c = 0; c < SLU_COUNT(counts); c++)
            for (size_t s = 0; s < SLU_COUNT(sizes); s++) {
                struct slu_page page = {.size = sizes[s]};

                slu_arena_reset(&all);
                cloud.calls = 0;
                fill(&cloud, tables[t], counts[c]);
                assert_same(&cloud, logs, walk(&cloud, &page, logs));
            }
}

/* Only those that pass, whether the cloud could apply the filter or not. */
static void walks_with_filters_are_complete(void **state)
{
    static struct cloud cloud;
    static const struct slu_value *logs[LOGS];
    const struct slu_value third = {.kind = SLU_STRING, .text = SLU_STR("third")};
    const struct slu_value *any[] = {&third};
    struct slu_filter filter = {SLU_STR("/description"), any, 1};
    struct slu_page page = {.size = 9, .filters = &filter, .filter_count = 1};

    (void)state;
    for (size_t t = 0; t < table_count; t++) {
        if (!(tables[t]->plans[SLU_OP_LIST].rows[SLU_REPLY].covered >>
                  slu_slot_find(tables[t], filter.pointer) &
              1))
            continue; /* has no descriptions */
        slu_arena_reset(&all);
        cloud.calls = 0;
        fill(&cloud, tables[t], LOGS);
        assert_int_equal(walk(&cloud, &page, logs), (LOGS + 2) / 3);
    }
}

static void doors_in_front_of_other_clouds_are_complete(void **state)
{
    static struct cloud cloud, door;
    static const struct slu_value *logs[LOGS];

    (void)state;
    for (size_t t = 0; t < table_count; t++)
        for (size_t d = 0; d < table_count; d++) {
            struct slu_page behind = {.size = 100}, before = {.size = 40};

            slu_arena_reset(&all);
            cloud.calls = door.calls = 0;
            fill(&cloud, tables[t], LOGS);
            door.table = tables[d];
            door.count = walk(&cloud, &behind, door.logs);
            assert_same(&cloud, logs, walk(&door, &before, logs));
        }
}

/* ---- the law: a filter that is sent is read back with every value that was asked for ---- */

static struct {
    unsigned asked, sent;
} law;

static void one_filter(const struct slu_table *table, struct slu_str pointer,
                       const struct slu_value *value)
{
    const struct slu_value *any[] = {value};
    struct slu_filter filter = {pointer, any, 1};
    struct slu_page page = {.filters = &filter, .filter_count = 1};
    struct slu_str query = params_of(table, &page);
    struct slu_match match;
    struct slu_fault fault;
    bool found = false;

    law.asked++;
    if (slu_str_eq(query, params_of(table, &(struct slu_page){.size = 0})))
        return;
    law.sent++;
    if (!take(table, &page, query, &match, &fault))
        fail_msg("%.*s: %.*s: %s", SLU_FMT(slu_table_dialect(table)), SLU_FMT(query), fault.words);
    if (match.operation == SLU_OP_GET) {
        assert_str(pointer, "/id");
        assert_true(slu_str_eq(slu_vars_get(&match.vars, SLU_STR("id")), value->text));
        return;
    }
    assert_int_equal(match.vars.page->filter_count, 1);
    assert_true(slu_str_eq(match.vars.page->filters[0].pointer, pointer));
    for (size_t i = 0; i < match.vars.page->filters[0].count; i++)
        found |= slu_value_equal(match.vars.page->filters[0].any[i], value);
    if (!found)
        fail_msg("%.*s: %.*s is not read back", SLU_FMT(slu_table_dialect(table)), SLU_FMT(query));
}

static void each_value(const struct slu_table *table, const struct slu_member *member,
                       struct slu_str pointer)
{
    static const char *const texts[] = {"a",
                                        "edge-1",
                                        "a b&c=d",
                                        "\xc3\xa4*?",
                                        "",
                                        "vpc-1",
                                        "00000000-0000-4000-8000-000000000001"};

    for (size_t i = 0; i < SLU_COUNT(texts) && !member->words; i++)
        if (member->type == SLU_MEMBER_TEXT || member->type == SLU_MEMBER_TEXTS)
            one_filter(table, pointer, slu_value_string(&arena, slu_str_of(texts[i])));
    for (size_t i = 0; member->words && member->words[i]; i++)
        one_filter(table, pointer, slu_value_string(&arena, slu_str_of(member->words[i])));
    for (int i = 0; i < 2 && member->type == SLU_MEMBER_BOOL; i++)
        one_filter(table, pointer, slu_value_bool(&arena, i == 1));
    for (int i = 1; i <= 1200 && member->type == SLU_MEMBER_INTEGER; i += 59)
        one_filter(table, pointer, slu_value_int(&arena, i));
}

static void what_is_sent_is_read_back(void **state)
{
    static const char *const keys[] = {"/tags/team", "/tags/a~1b~0c", "/tags/Filter.1.Name",
                                       "/tags/1", "/tags/:"};
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    (void)state;
    for (size_t t = 0; t < table_count; t++) {
        slu_arena_reset(&arena);
        for (size_t i = 0; i < count; i++)
            if (slu_filter_member(slu_str_of(members[i].pointer)))
                each_value(tables[t], &members[i], slu_str_of(members[i].pointer));
        for (size_t i = 0; i < SLU_COUNT(keys); i++)
            each_value(tables[t], slu_filter_member(slu_str_of(keys[i])), slu_str_of(keys[i]));
    }
    print_message("%u filters asked for, %u sent\n", law.asked, law.sent);
    assert_true(law.sent > 100 && law.sent < law.asked);
}

/* ---- memory ---- */

static bool list_once(void *context)
{
    const struct slu_table *nimbus = context;
    const struct slu_value name = {.kind = SLU_STRING, .text = SLU_STR("edge")};
    const struct slu_value *any[] = {&name, &name};
    struct slu_filter filters[] = {{SLU_STR("/name"), any, 2}, {SLU_STR("/tags/a"), any, 1}};
    struct slu_page page = {.size = 3, .filters = filters, .filter_count = 2};
    struct slu_vars vars = vars_given;
    struct slu_arena small;
    struct slu_request request = {.body = SLU_STR("")};
    struct slu_mistakes mistakes;
    struct slu_losses losses;
    struct slu_match match;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    bool good;

    vars.page = &page;
    slu_arena_init(&small, 1 << 20);
    slu_mistakes_init(&mistakes, &small);
    slu_losses_init(&losses, &small, false);
    good = slu_table_write_request(nimbus, SLU_OP_LIST, 0, 0, NULL, &vars, &small, &losses,
                                   &mistakes, &request) &&
           slu_table_match(nimbus, &request, 0, &small, &match, &fault);
    if (good)
        assert_int_equal(match.vars.page->filter_count, 2);
    else if (!mistakes.count && !mistakes.failed)
        assert_int_equal(fault.kind, SLU_FAULT_MEMORY);
    slu_arena_done(&small);
    return good;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    test_every_allocation(list_once, (void *)(uintptr_t)table_of("nimbus"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_pages_hold_both_ways),
        cmocka_unit_test(filters_are_said_where_nothing_gets_lost),
        cmocka_unit_test(doors_understand_filters_or_refuse_them),
        cmocka_unit_test(a_single_one_passes_filters_too),
        cmocka_unit_test(lists_that_do_not_move_on_are_unreadable),
        cmocka_unit_test(walks_are_complete),
        cmocka_unit_test(walks_with_filters_are_complete),
        cmocka_unit_test(doors_in_front_of_other_clouds_are_complete),
        cmocka_unit_test(what_is_sent_is_read_back),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
