/*
 * The lists of several targets as one, page by page. Each target has a job of its own; one that
 * fails is told beside the rows of the others.
 */
#include "exchange/rest.h"

enum { LISTS_AT_ONCE = 16 }; /* targets on one page: what a page token has room for */

/* The targets that the parameter names, or all that the caller may use. */
static bool is_wanted(const struct slu_exchange *x, const struct slu_target *target)
{
    const struct slu_param *named = slu_params_find(&x->query, SLU_STR("targets"));
    struct slu_str rest = named ? named->value : SLU_STR_NONE;

    if (!slu_caller_may_use(x->caller, target->name))
        return false;
    while (rest.p)
        if (slu_str_eq(slu_str_trim(slu_str_cut(&rest, ',')), target->name))
            return true;
    return !named;
}

static bool all_known(struct slu_exchange *x)
{
    const struct slu_param *named = slu_params_find(&x->query, SLU_STR("targets"));
    struct slu_str rest = named ? named->value : SLU_STR_NONE;

    while (rest.p) {
        struct slu_str name = slu_str_trim(slu_str_cut(&rest, ','));

        if (slu_catalog_target(x->station->catalog, name) && slu_caller_may_use(x->caller, name))
            continue;
        slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "targets",
                          "there is no target %.*s for this caller; GET /v1/targets lists them",
                          SLU_FMT(name));
        return false;
    }
    return true;
}

static const struct slu_place *place_of(const struct slu_list_ask *ask,
                                        const struct slu_target *target)
{
    for (size_t i = 0; ask->places && i < ask->place_count; i++)
        if (slu_str_eq(ask->places[i].target, target->name))
            return &ask->places[i];
    return NULL;
}

static bool places_stand(struct slu_exchange *x)
{
    for (size_t i = 0; i < x->ask->place_count; i++)
        if (!slu_catalog_target(x->station->catalog, x->ask->places[i].target)) {
            slu_exchange_fail(x, SLU_FAULT_BAD_PARAMETER, "page_token",
                              "page_token goes on with the target %.*s, which is not there any "
                              "more; begin at the first page",
                              SLU_FMT(x->ask->places[i].target));
            return false;
        }
    return true;
}

/* Which targets this page is of, in their order: those whose lists the token goes on with, and as
 * many further ones as the page has room for. Those from ask->waiting on have their turn later. */
static size_t choose(const struct slu_exchange *x, const struct slu_target **chosen)
{
    const struct slu_catalog *catalog = x->station->catalog;
    size_t most = x->ask->size < LISTS_AT_ONCE ? x->ask->size : LISTS_AT_ONCE, count = 0;
    bool begins = !x->ask->places;

    for (size_t i = 0; i < catalog->target_count; i++) {
        const struct slu_target *target = &catalog->targets[i];
        const struct slu_place *place = place_of(x->ask, target);

        begins = begins || (place && !slu_place_goes_on(place));
        if (!is_wanted(x, target) || !(begins || place))
            continue;
        if (count == most) {
            x->ask->waiting = target->name;
            break;
        }
        chosen[count++] = target;
    }
    return count;
}

enum slu_step slu_rest_list_several(struct slu_exchange *x)
{
    const struct slu_target *chosen[LISTS_AT_ONCE];
    size_t count;

    if (!slu_list_ask_read(x, &x->ask) || !all_known(x) || !places_stand(x))
        return STEP_REPLY;
    count = choose(x, chosen);
    for (size_t i = 0; i < count; i++) {
        struct slu_job *job = slu_exchange_job(x, chosen[i], SLU_OP_LIST, true);

        if (!job)
            return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
        slu_list_ask_apply(x->ask, place_of(x->ask, chosen[i]), (uint32_t)(x->ask->size / count),
                           job);
    }
    return STEP_RECORD;
}

static struct slu_value *list_error(struct slu_exchange *x, const struct slu_job *job)
{
    struct slu_value *error = slu_problem_of_job(x->arena, job);

    slu_value_set(error, SLU_STR("target"), slu_value_string(x->arena, job->target->name));
    return error;
}

/* Pointers of losses name the place in the merged list. */
static void merge_losses(struct slu_exchange *x, const struct slu_job *job, uint32_t offset)
{
    for (const struct slu_loss *loss = job->losses->first; loss; loss = loss->next) {
        struct slu_str rest = loss->pointer, number;
        unsigned long long place;
        uint64_t at;

        (void)slu_str_cut(&rest, '/');
        (void)slu_str_cut(&rest, '/');
        number = slu_str_cut(&rest, '/');
        if (!slu_str_to_u64(number, &at))
            continue;
        place = at + offset;
        slu_losses_add(&x->losses,
                       slu_arena_printf(x->arena, "/flow_logs/%llu/%.*s", place, SLU_FMT(rest)),
                       loss->value, loss->reason, loss->direction);
    }
}

void slu_rest_reply_lists(struct slu_exchange *x)
{
    struct slu_value *document = slu_value_new(x->arena, SLU_OBJECT);
    struct slu_value *list = slu_value_new(x->arena, SLU_ARRAY);
    struct slu_value *errors = slu_value_new(x->arena, SLU_ARRAY);
    struct slu_place places[LISTS_AT_ONCE + 1];
    struct slu_str token;
    size_t count = 0;

    for (size_t i = 0; i < x->job_count; i++) {
        struct slu_job *job = x->jobs[i];

        if (slu_job_failed(job)) {
            slu_value_append(errors, list_error(x, job));
            continue;
        }
        merge_losses(x, job, list ? list->count : 0);
        if (job->flow_log)
            slu_value_each (row, job->flow_log)
                slu_value_append(list, slu_rest_flow_log(x->arena, row, job->target));
        places[count] = slu_place_after(job);
        count += slu_place_goes_on(&places[count]);
    }
    if (x->ask->waiting.p)
        places[count++] = (struct slu_place){.target = x->ask->waiting};
    token = count ? slu_page_token(x, x->ask, places, count) : SLU_STR_NONE;
    if (x->fault.kind != SLU_FAULT_NONE) {
        slu_problem_reply(x);
        return;
    }
    slu_value_put(document, SLU_STR("flow_logs"), list);
    slu_value_put(document, SLU_STR("next_page_token"),
                  count ? (token.p ? slu_value_string(x->arena, token) : NULL)
                        : slu_value_new(x->arena, SLU_NULL));
    slu_value_put(document, SLU_STR("errors"), errors);
    slu_value_put(document, SLU_STR("loss"), slu_losses_value(x->arena, &x->losses));
    slu_respond(x->arena, &x->response, count && !token.p ? 503 : 200,
                count && !token.p ? NULL : document, "application/json");
}
