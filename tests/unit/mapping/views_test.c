/*
 * Views of a list: the calls by which a dialect's clients see the members of a list within each
 * flow log, at the door of a fictional cloud. The pairs of the real clouds are in tests/golden.
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#include <stdio.h>

static struct slu_arena arena;
static struct slu_mistakes mistakes;

static struct slu_table *load_text(const char *from, const char *to)
{
    struct slu_str text = test_file("tests/unit/mapping/data/cirrus.json");
    const char *at = strstr(text.p, from);
    struct slu_table *table;
    struct slu_buf changed;

    if (!at)
        fail_msg("no %s", from);
    slu_buf_init(&changed, 0);
    slu_buf_add(&changed, (struct slu_str){text.p, (size_t)(at - text.p)});
    slu_buf_add(&changed, slu_str_of(to));
    slu_buf_add(&changed, slu_str_of(at + strlen(from)));
    slu_mistakes_init(&mistakes, &arena);
    table = slu_table_load_text(SLU_STR("cirrus"), slu_buf_str(&changed), &mistakes);
    slu_buf_done(&changed);
    slu_mem_free((char *)text.p);
    return table;
}

#define PAGING "\"paging\": {\"style\": \"page\""
#define VIEW                                                                                       \
    "\"views\": [{\"method\": \"GET\", \"path\": \"/\", \"action\": \"ShowTags\","                 \
    "\"query\": {\"Zone\": \"{zone}\"}, \"reply\": {\"status\": [200], \"each\": \"/All\","        \
    "\"envelope\": {\"/Count\": \"{count}\"}}, \"of\": \"/Tags/Tag\","                             \
    "\"item\": {\"/Log\": \"{id}\", \"/In\": \"{zone}\"},"                                         \
    "\"filters\": {\"name\": \"F.{n}\", \"value\": \"F.{n}.V.{m}\", \"unsafe\": \"*\","            \
    "\"members\": {\"log\": \"/Log\", \"key\": \"/Key\"}}}], "

static struct slu_table *with_view(void)
{
    struct slu_table *table = load_text(PAGING, VIEW PAGING);

    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        print_error("%.*s: %.*s\n", SLU_FMT(m->pointer), SLU_FMT(m->detail));
    assert_non_null(table);
    return table;
}

static const struct slu_value *flow_logs(void)
{
    struct slu_mistakes found;

    slu_mistakes_init(&found, &arena);
    return slu_json_read(
        &arena,
        SLU_STR("[{\"id\":\"1\",\"tags\":{\"a\":\"x\",\"b\":\"\"}},{\"id\":\"2\"},"
                "{\"id\":\"3\",\"tags\":{\"a\":\"y\"}},{\"id\":\"4\",\"tags\":null}]"),
        (struct slu_json_limits){0}, &found);
}

static bool ask(const struct slu_table *table, const char *query, struct slu_arena *own,
                struct slu_response *ret_response, struct slu_fault *fault)
{
    struct slu_request request = {
        .method = SLU_STR("GET"), .path = SLU_STR("/"), .query = slu_str_of(query)};
    struct slu_losses losses;
    struct slu_match match;

    if (!slu_table_match(table, &request, -1, own, &match, fault))
        return false;
    assert_int_equal(match.operation, SLU_OP_LIST);
    assert_null(match.native);
    slu_losses_init(&losses, own, true);
    return slu_table_write_reply(table, match.operation, match.step, flow_logs(), &match.vars, own,
                                 &losses, ret_response, fault);
}

static const struct {
    const char *query, *body, *refused;
} asked[] = {
    {"Call=ShowTags&Version=v9&Zone=z",
     "{\"All\":[{\"Key\":\"a\",\"Value\":\"x\",\"Log\":\"1\",\"In\":\"z\"},"
     "{\"Key\":\"b\",\"Value\":\"\",\"Log\":\"1\",\"In\":\"z\"},"
     "{\"Key\":\"a\",\"Value\":\"y\",\"Log\":\"3\",\"In\":\"z\"}],\"Count\":3}",
     NULL},
    {"Call=ShowTags&Version=v9&Zone=z&F.1=key&F.1.V.1=b&F.1.V.2=c",
     "{\"All\":[{\"Key\":\"b\",\"Value\":\"\",\"Log\":\"1\",\"In\":\"z\"}],\"Count\":1}", NULL},
    {"Call=ShowTags&Version=v9&Zone=z&F.2.V.1=3&F.2=log&F.1=key&F.1.V.1=a",
     "{\"All\":[{\"Key\":\"a\",\"Value\":\"y\",\"Log\":\"3\",\"In\":\"z\"}],\"Count\":1}", NULL},
    {"Call=ShowTags&Version=v9&Zone=z&F.1=log&F.1.V.1=9", "{\"All\":[],\"Count\":0}", NULL},
    {"Call=ShowTags&Version=v9&Zone=z&F.1=value&F.1.V.1=x", NULL, "F.1 names a filter that is not"},
    {"Call=ShowTags&Version=v9&Zone=z&F.1=key", NULL, "the filter 1 has no value"},
    {"Call=ShowTags&Version=v9&Zone=z&F.1=key&F.2.V.1=x", NULL,
     "F.2.V.1 is the value of no filter"},
    {"Call=ShowTags&Version=v9&Zone=z&F.1=key&F.1.V.1=x*", NULL, "means more than itself"},
    {"Call=ShowTags&Version=v9&Zone=z&Size=5", NULL, "Size is not known to this call here"},
};

static void items_are_those_that_were_asked_for(void **state)
{
    struct slu_table *table = with_view();

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(asked); i++) {
        struct slu_response response = {0};
        struct slu_fault fault = {0};

        if (!ask(table, asked[i].query, &arena, &response, &fault)) {
            if (!asked[i].refused || !strstr(fault.words, asked[i].refused))
                fail_msg("%s: %s", asked[i].query, fault.words);
            assert_string_equal(fault.place, "parameter");
            continue;
        }
        assert_null(asked[i].refused);
        assert_str(response.body, asked[i].body);
    }
    slu_table_free(table);
}

static const struct {
    const char *from, *to, *told;
} wrong[] = {
    {"\"of\": \"/Tags/Tag\"", "\"of\": \"/Tags\"",
     "/operations/list/views/0/of: is no list of keys"},
    {"\"each\": \"/All\"", "\"at\": \"/All\"", "/operations/list/views/0/reply: needs \"each\""},
    {"\"/In\": \"{zone}\"", "\"In\": \"{zone}\"", "is no JSON Pointer"},
    {"\"Zone\": \"{zone}\"}, \"reply\"", "\"Zone\": \"{place}\"}, \"reply\"",
     "nothing gives the value of {place} here"},
};

static void views_are_proven(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(wrong); i++) {
        static char view[2000];
        const char *at = strstr(VIEW, wrong[i].from);
        bool told = false;

        assert_non_null(at);
        snprintf(view, sizeof(view), "%.*s%s%s%s", (int)(at - VIEW), VIEW, wrong[i].to,
                 at + strlen(wrong[i].from), PAGING);
        assert_null(load_text(PAGING, view));
        for (const struct slu_mistake *m = mistakes.first; m; m = m->next) {
            struct slu_str line =
                slu_arena_printf(&arena, "%.*s: %.*s", SLU_FMT(m->pointer), SLU_FMT(m->detail));

            told |= memmem(line.p, line.n, wrong[i].told, strlen(wrong[i].told)) != NULL;
        }
        if (!told)
            fail_msg("%s: not told", wrong[i].told);
    }
    assert_null(load_text("\"get\": {\"steps\"", "\"get\": {" VIEW "\"steps\""));
}

static void memory_may_end_at_every_step(void **state)
{
    struct slu_table *table = with_view();
    unsigned failures = 0;
    bool done = false;

    (void)state;
    for (size_t budget = 16; !done; budget += 16) {
        struct slu_response response = {0};
        struct slu_fault fault = {0};
        struct slu_arena own;

        slu_arena_init(&own, budget);
        done = ask(table, asked[2].query, &own, &response, &fault);
        if (!done && fault.kind != SLU_FAULT_MEMORY)
            fail_msg("%zu: %s", budget, fault.words);
        if (done)
            assert_str(response.body, asked[2].body);
        failures += !done;
        slu_arena_done(&own);
    }
    assert_true(failures > 20);
    slu_table_free(table);
}

static int set_up(void **state)
{
    (void)state;
    slu_arena_init(&arena, 1 << 22);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    slu_arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_those_that_were_asked_for),
        cmocka_unit_test(views_are_proven),
        cmocka_unit_test(memory_may_end_at_every_step),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
