/*
 * Lists as callers ask for them: page_size, page_token and filters; and the tokens, which doors of
 * dialects with tokens give too. A token is the hexadecimal text of a JSON document and of its
 * HMAC. It says where each target's list goes on; it is good for one caller, one set of targets,
 * filters and page size (at a door the client may change that one), and for an hour.
 */
#include "exchange/rest.h"

#include "base/clock.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "codec/text.h"

enum { USUAL = 100, MOST = 1000, LIFE_S = 3600, SEAL_BYTES = 16, TOKEN_MOST = 12000 };

static void add_query(const struct slu_exchange *x, struct slu_buf *out)
{
    slu_buf_byte(out, '\n');
    slu_buf_add(out, x->request->path);
    slu_buf_byte(out, '\n');
    for (size_t i = 0; i < x->query.count; i++) {
        const struct slu_param *param = &x->query.items[i];

        if (slu_str_is(param->name, "page_token") || slu_str_is(param->name, "page_size"))
            continue;
        slu_percent_encode(out, param->name);
        slu_buf_byte(out, '=');
        slu_percent_encode(out, param->value);
        slu_buf_byte(out, '&');
    }
}

/* At a door: its dialect and target, and the filters as they were understood. */
static void add_door(const struct slu_exchange *x, struct slu_buf *out)
{
    const struct slu_page *page = x->match->vars.page;

    slu_buf_printf(out, " at a door\n%.*s\n%.*s\n", SLU_FMT(slu_table_dialect(x->door->table)),
                   SLU_FMT(x->target->name));
    for (size_t i = 0; page && i < page->filter_count; i++) {
        slu_percent_encode(out, page->filters[i].pointer);
        for (size_t k = 0; k < page->filters[i].count; k++) {
            slu_buf_byte(out, '=');
            slu_json_write(out, page->filters[i].any[k]);
        }
        slu_buf_byte(out, '&');
    }
}

/* What a token is bound to, besides the page size: who asked what of whom. */
static struct slu_str binding(struct slu_exchange *x)
{
    struct slu_str text;
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_buf_add(&out, x->caller->name);
    if (x->door)
        add_door(x, &out);
    else
        add_query(x, &out);
    text = out.failed ? SLU_STR_NONE : slu_arena_str(x->arena, slu_buf_str(&out));
    slu_buf_done(&out);
    return text;
}

/* HMAC over the document and what it is bound to. */
static bool seal(struct slu_exchange *x, struct slu_str document,
                 unsigned char digest[SLU_SHA256_SIZE])
{
    const struct slu_gateway *gateway = x->station->worker->gateway;
    struct slu_str key = {(const char *)gateway->page_key, sizeof(gateway->page_key)};
    struct slu_str bound = binding(x);
    slu_auto(slu_hmac) *hmac = slu_hmac_new(key);
    struct slu_str whole = slu_arena_join(x->arena, document, bound);

    return hmac && bound.p && whole.p && slu_hmac_sha256(hmac, whole, digest);
}

/* Writing */

static void put_text(struct slu_arena *arena, struct slu_value *object, struct slu_str name,
                     struct slu_str text)
{
    slu_value_put(object, name, slu_value_string(arena, text));
}

static struct slu_value *place_document(struct slu_arena *arena, const struct slu_place *place)
{
    struct slu_value *document = slu_value_new(arena, SLU_OBJECT);

    if (!document)
        return NULL;
    put_text(arena, document, SLU_STR("t"), place->target);
    put_text(arena, document, SLU_STR("p"), place->position);
    if (place->last.n)
        put_text(arena, document, SLU_STR("l"), place->last);
    if (place->begin)
        slu_value_put(document, SLU_STR("b"), slu_value_int(arena, place->begin));
    if (place->width)
        slu_value_put(document, SLU_STR("w"), slu_value_int(arena, place->width));
    if (place->knows_total)
        slu_value_put(document, SLU_STR("n"), slu_value_int(arena, (int64_t)place->total));
    return document;
}

static struct slu_str write_hex(struct slu_arena *arena, struct slu_str document,
                                const unsigned char digest[SLU_SHA256_SIZE])
{
    size_t n = 2 * (document.n + SEAL_BYTES);
    char *text = slu_arena_get(arena, n);

    if (!text)
        return SLU_STR_NONE;
    slu_hex_write(text, digest, SEAL_BYTES);
    slu_hex_write(text + 2 * SEAL_BYTES, document.p, document.n);
    return (struct slu_str){text, n};
}

struct slu_str slu_page_token(struct slu_exchange *x, const struct slu_list_ask *ask,
                              const struct slu_place *places, size_t count)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY);
    unsigned char digest[SLU_SHA256_SIZE];
    struct slu_str text = SLU_STR_NONE;
    struct slu_buf out;

    for (size_t i = 0; i < count; i++)
        slu_value_append(list, place_document(x->arena, &places[i]));
    slu_value_put(document, SLU_STR("u"), slu_value_int(x->arena, slu_clock_real_s() + LIFE_S));
    slu_value_put(document, SLU_STR("s"), slu_value_int(x->arena, ask->size));
    slu_value_put(document, SLU_STR("at"), list);
    if (x->arena->failed)
        return SLU_STR_NONE;
    slu_buf_init(&out, 0);
    slu_json_write(&out, document);
    if (2 * (out.n + SEAL_BYTES) > TOKEN_MOST)
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "targets",
                          "the places in so many lists do not fit into a page_token; name fewer "
                          "targets at once");
    else if (!out.failed && seal(x, slu_buf_str(&out), digest))
        text = write_hex(x->arena, slu_buf_str(&out), digest);
    slu_buf_done(&out);
    return text;
}

/* Reading */

static bool refuse(struct slu_exchange *x, const char *words)
{
    struct slu_str name =
        x->door ? slu_table_paging(x->door->table)->position : SLU_STR("page_token");

    x->door_word = "parameter";
    slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "page_token", "%.*s %s", SLU_FMT(name), words);
    return false;
}

static bool open_token(struct slu_exchange *x, struct slu_str token, struct slu_str *ret_document)
{
    unsigned char digest[SLU_SHA256_SIZE];
    size_t n = token.n / 2;
    char *bytes = token.n <= TOKEN_MOST ? slu_arena_get(x->arena, n + 1) : NULL;

    if (!bytes || n <= SEAL_BYTES || token.n % 2 || !slu_hex_read(token, bytes, n))
        return refuse(x, "is not one of ours; take it as the page before gave it");
    *ret_document = (struct slu_str){bytes + SEAL_BYTES, n - SEAL_BYTES};
    if (!seal(x, *ret_document, digest))
        return refuse(x, "cannot be read for want of memory");
    if (!slu_equal_secretly((struct slu_str){bytes, SEAL_BYTES},
                            (struct slu_str){(const char *)digest, SEAL_BYTES}))
        return refuse(x, "does not belong to this caller, path and filters, or was changed, or is "
                         "from before a restart; begin at the first page");
    return true;
}

static struct slu_str text_at(const struct slu_value *document, const char *name)
{
    const struct slu_value *value = slu_value_find(document, slu_str_of(name));

    return slu_value_is(value, SLU_STRING) ? value->text : SLU_STR("");
}

static int64_t number_at(const struct slu_value *document, const char *name, int64_t none)
{
    const struct slu_value *value = slu_value_find(document, slu_str_of(name));
    int64_t number;

    return value && slu_value_to_int(value, &number) ? number : none;
}

static bool read_places(struct slu_exchange *x, const struct slu_value *list,
                        struct slu_list_ask *ask)
{
    size_t count = list ? list->count : 0;

    ask->places = slu_arena_zero(x->arena, (count + 1) * sizeof(*ask->places));
    if (!ask->places)
        return !slu_fault_memory(&x->fault) && false;
    if (list)
        slu_value_each (item, list) {
            struct slu_place *place = &ask->places[ask->place_count++];
            int64_t total = number_at(item, "n", -1);

            *place = (struct slu_place){.target = text_at(item, "t"),
                                        .position = text_at(item, "p"),
                                        .last = text_at(item, "l"),
                                        .begin = (uint32_t)number_at(item, "b", 0),
                                        .width = (uint32_t)number_at(item, "w", 0),
                                        .knows_total = total >= 0,
                                        .total = total >= 0 ? (uint64_t)total : 0};
        }
    return true;
}

static bool read_token(struct slu_exchange *x, struct slu_str token, bool has_size,
                       struct slu_list_ask *ask)
{
    struct slu_mistakes mistakes;
    struct slu_value *document;
    struct slu_str text;
    int64_t size;

    if (!open_token(x, token, &text))
        return false;
    slu_mistakes_init(&mistakes, x->arena);
    document = slu_json_read(x->arena, text, (struct slu_json_limits){0}, &mistakes);
    if (!document)
        return refuse(x, "cannot be read");
    if (number_at(document, "u", 0) < slu_clock_real_s())
        return refuse(x, "has expired; begin at the first page");
    size = number_at(document, "s", 0);
    if (has_size && size != (int64_t)ask->size)
        return refuse(x, "was made for another page_size; keep it or leave it out");
    ask->size = (uint32_t)size;
    return read_places(x, slu_value_member(document, "at"), ask);
}

bool slu_list_ask_resume(struct slu_exchange *x, struct slu_str token, struct slu_list_ask *ask)
{
    return read_token(x, token, false, ask);
}

static bool read_size(struct slu_exchange *x, struct slu_str value, uint32_t *ret_size)
{
    uint64_t size;

    if (!slu_str_to_u64(value, &size) || size < 1 || size > MOST) {
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "page_size",
                          "page_size is a number from 1 to %d", MOST);
        return false;
    }
    *ret_size = (uint32_t)size;
    return true;
}

static bool is_known(const struct slu_route *route, struct slu_str name)
{
    for (const char *const *known = route->parameters; *known; known++)
        if (slu_str_is(name, *known))
            return true;
    return false;
}

static bool read_filters(struct slu_exchange *x, struct slu_list_ask *ask)
{
    for (size_t i = 0; i < x->query.count; i++) {
        const struct slu_param *param = &x->query.items[i];

        if (is_known(x->route, param->name))
            continue;
        if (ask->filter_count == SLU_FILTERS_MOST) {
            slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "there are more than %d filters",
                              SLU_FILTERS_MOST);
            return false;
        }
        if (!slu_filter_read(x->arena, param->name, param->value,
                             &ask->filters[ask->filter_count++], &x->fault)) {
            slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "", "a filter cannot be read");
            return false;
        }
    }
    return true;
}

bool slu_list_ask_read(struct slu_exchange *x, struct slu_list_ask **ret_ask)
{
    struct slu_list_ask *ask = slu_arena_zero(x->arena, sizeof(*ask));
    const struct slu_param *size = slu_params_find(&x->query, SLU_STR("page_size"));
    const struct slu_param *token = slu_params_find(&x->query, SLU_STR("page_token"));

    if (!ask)
        return !slu_fault_memory(&x->fault) && false;
    ask->size = USUAL;
    *ret_ask = ask;
    return (!size || read_size(x, size->value, &ask->size)) && read_filters(x, ask) &&
           (!token || read_token(x, token->value, size != NULL, ask));
}

void slu_list_ask_apply(const struct slu_list_ask *ask, const struct slu_place *place,
                        uint32_t size, struct slu_job *job)
{
    job->list = (struct slu_list_wish){
        .filters = ask->filters, .filter_count = ask->filter_count, .size = size};
    if (!place)
        return;
    job->list.position = place->position;
    job->list.begin = place->begin;
    job->list.last = place->last;
    job->list.width = place->width;
    job->list.knows_total = place->knows_total;
    job->list.last_total = place->total;
}

bool slu_place_goes_on(const struct slu_place *place)
{
    return place->position.n || place->begin;
}

struct slu_place slu_place_after(const struct slu_job *job)
{
    const struct slu_list_end *end = &job->list_end;
    const struct slu_paging *paging =
        job->target->memory ? NULL : slu_table_paging(job->target->table);
    struct slu_place place = {
        .target = job->target->name, .position = end->next, .begin = end->begin};

    if (end->begin)
        place.last = end->last;
    if (!paging || paging->style != SLU_PAGING_PAGE)
        return place;
    place.last = end->last;
    place.width = end->width;
    place.knows_total = end->knows_native_total;
    place.total = end->native_total;
    return place;
}

/* The list of one target */

enum slu_step slu_rest_list(struct slu_exchange *x)
{
    struct slu_job *job;

    if (!slu_list_ask_read(x, &x->ask))
        return STEP_REPLY;
    job = slu_exchange_job(x, x->target, SLU_OP_LIST, false);
    if (job)
        slu_list_ask_apply(x->ask, x->ask->place_count ? x->ask->places : NULL, x->ask->size, job);
    return slu_exchange_work(x, job);
}

/* False: there is no token although there should be one. */
static bool next_token(struct slu_exchange *x, struct slu_value **ret_next)
{
    struct slu_place place = slu_place_after(x->job);
    struct slu_str token;

    *ret_next = NULL;
    if (slu_place_goes_on(&place)) {
        token = slu_page_token(x, x->ask, &place, 1);
        if (token.p)
            *ret_next = slu_value_string(x->arena, token);
    } else {
        *ret_next = slu_value_new(x->arena, SLU_NULL);
    }
    return *ret_next || slu_fault_memory(&x->fault);
}

void slu_rest_reply_list(struct slu_exchange *x)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY), *next;

    if (!next_token(x, &next)) {
        slu_problem_reply(x);
        return;
    }
    if (x->flow_log)
        slu_value_each (row, x->flow_log)
            slu_value_append(list, slu_rest_flow_log(x->arena, row, x->target));
    slu_value_put(document, SLU_STR("flow_logs"), list);
    slu_value_put(document, SLU_STR("next_page_token"), next);
    slu_value_put(document, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
    slu_respond(x->arena, &x->response, x->route->status, document, "application/json");
}
