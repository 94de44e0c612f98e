/*
 * The server role: a cloud's own client calls us. Its signature is verified against the door's
 * keys, its request read by the dialect's table into canonical form, and every answer, also every
 * error, is written in the dialect's own shapes.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"

static enum slu_step refuse(struct slu_exchange *x, enum slu_fault_kind kind, const char *word,
                            const char *words)
{
    x->door_word = word;
    return slu_exchange_fail(x, kind, word, "%s", words);
}

static size_t door_index(const struct slu_exchange *x)
{
    return (size_t)(x->door - x->station->catalog->doors);
}

/* The key that the claim names; all are compared, in constant time. */
static const struct slu_door_key *find_key(const struct slu_exchange *x, struct slu_str access_key,
                                           size_t *ret_index)
{
    const struct slu_door_key *found = NULL;

    for (size_t i = 0; i < x->door->key_count; i++) {
        if (!slu_equal_secretly(slu_secret_reveal(x->door->keys[i].access_key), access_key))
            continue;
        found = &x->door->keys[i];
        *ret_index = i;
    }
    return found;
}

static size_t scheme_position(const struct slu_door_seals *seals, const struct slu_scheme *scheme)
{
    size_t at = 0;

    while (seals->schemes[at] != scheme)
        at++;
    return at;
}

/* The fault of a failed verification: its place is the tables' word for it. */
static enum slu_step refuse_signature(struct slu_exchange *x)
{
    static const char *const words[] = {"signature", "time",  "unsigned",
                                        "digest",    "token", "nonce"};

    if (x->fault.kind == SLU_FAULT_MEMORY)
        return slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory to look at the signature");
    x->door_word = "signature";
    for (size_t i = 0; i < SLU_COUNT(words); i++)
        if (slu_str_is(slu_str_of(x->fault.place), words[i]))
            x->door_word = words[i];
    return slu_exchange_fail(x, SLU_FAULT_UNAUTHENTICATED, x->door_word,
                             "the signature is not valid");
}

/* `ret_scheme` is the signature's place in the table's list. */
static bool verify(struct slu_exchange *x, int *ret_scheme, enum slu_step *ret_next)
{
    const struct slu_door_seals *seals = &x->station->doors[door_index(x)];
    const struct slu_door_key *key;
    struct slu_claim claim = {0};
    int64_t now = slu_clock_real_s();
    size_t at = 0;

    if (!slu_claim_read(x->arena, x->request, seals->schemes, &claim, &x->fault)) {
        *ret_next = refuse_signature(x);
        return false;
    }
    key = find_key(x, claim.access_key, &at);
    if (!key) {
        *ret_next = refuse(x, SLU_FAULT_UNAUTHENTICATED, "key", "the access key is not known here");
        return false;
    }
    if (!slu_verify(seals->seals[at * seals->scheme_count + scheme_position(seals, claim.scheme)],
                    x->arena, &claim, x->request, now, SLU_SKEW_S, &x->fault)) {
        *ret_next = refuse_signature(x);
        return false;
    }
    x->caller = key->caller;
    *ret_scheme = slu_table_scheme_index(x->door->table, slu_str_of(slu_scheme_name(claim.scheme)));
    return true;
}

/* What the door is configured for (a region, a project) the request must name, if it names any. */
static bool parameters_agree(const struct slu_exchange *x)
{
    const struct slu_vars *configured = &x->door->parameters;

    for (size_t i = 0; i < configured->count; i++) {
        struct slu_str said = slu_vars_get(&x->match->vars, configured->names[i]);

        if (said.p && !slu_str_eq(said, configured->values[i]))
            return false;
    }
    return true;
}

static bool may(const struct slu_exchange *x)
{
    bool writes = slu_operation_writes(x->operation);

    return slu_caller_may_use(x->caller, x->target->name) &&
           (writes ? x->caller->write : x->caller->read);
}

/* Also for errors that come before the request was read. */
static bool has_match(struct slu_exchange *x)
{
    if (!x->match)
        x->match = slu_arena_zero(x->arena, sizeof(*x->match));
    return x->match != NULL;
}

static bool complete_vars(struct slu_exchange *x)
{
    const struct slu_vars *configured = &x->door->parameters;
    bool good = slu_vars_set(&x->match->vars, SLU_STR("request_id"), x->id) &&
                slu_vars_set(&x->match->vars, SLU_STR("host"), x->request->host);

    for (size_t i = 0; i < configured->count && good; i++)
        good = slu_vars_set(&x->match->vars, configured->names[i], configured->values[i]);
    return good;
}

/* A switch is a patch of one member, whether the request has a document or not. */
static bool complete_switch(struct slu_exchange *x)
{
    if (x->operation != SLU_OP_ENABLE && x->operation != SLU_OP_DISABLE)
        return true;
    if (!x->canonical)
        x->canonical = slu_value_new(x->arena, SLU_OBJECT);
    if (x->canonical)
        slu_value_set(x->canonical, SLU_STR("enabled"),
                      slu_value_bool(x->arena, x->operation == SLU_OP_ENABLE));
    return !x->arena->failed;
}

static enum slu_step start_work(struct slu_exchange *x)
{
    struct slu_job *job;

    if (!complete_switch(x))
        return refuse(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    job = slu_exchange_job(x, x->target, x->operation, false);
    if (job) {
        job->like = x->door->table;
        job->canonical = x->canonical;
    }
    return slu_exchange_work(x, job);
}

static enum slu_step read_request(struct slu_exchange *x)
{
    if (x->match->native &&
        !slu_table_read_request(x->door->table, x->match, x->arena, &x->mistakes, &x->canonical)) {
        const struct slu_mistake *first = x->mistakes.first;

        x->door_word = "parameter";
        return slu_exchange_fail(
            x, SLU_FAULT_INVALID, "parameter", "%.*s: %.*s",
            SLU_FMT(first ? first->pointer : SLU_STR("")),
            SLU_FMT(first ? first->detail : SLU_STR("the request cannot be read")));
    }
    x->flow_log_id = slu_vars_get(&x->match->vars, SLU_STR("id"));
    if (x->target->memory || slu_str_eq(x->target->dialect, slu_table_dialect(x->door->table)))
        return start_work(x);
    return refuse(x, SLU_FAULT_NOT_IMPLEMENTED, "parameter",
                  "a door onto a cloud of another dialect is not served yet");
}

enum slu_step slu_door_understand(struct slu_exchange *x)
{
    enum slu_step next;
    int scheme;

    x->target = x->door->target;
    if (!has_match(x))
        return refuse(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    if (!verify(x, &scheme, &next))
        return next;
    if (!slu_table_match(x->door->table, x->request, scheme, x->arena, x->match, &x->fault)) {
        x->door_word = x->fault.place[0] ? x->fault.place : "route";
        return slu_exchange_fail(x, SLU_FAULT_BAD_REQUEST, x->door_word, "no such call");
    }
    x->operation = x->match->operation;
    x->has_operation = true;
    if (!parameters_agree(x))
        return refuse(x, SLU_FAULT_BAD_PARAMETER, "parameter",
                      "the request names a region, project or router that is not served here");
    if (!complete_vars(x))
        return refuse(x, SLU_FAULT_MEMORY, "", "too many values in one request");
    if (!may(x))
        return refuse(x, SLU_FAULT_FORBIDDEN, "", "this access key may not do this");
    return read_request(x);
}

/* When to come again (RFC 9110 §10.2.3), where the target told it. */
static bool put_retry_after(struct slu_exchange *x)
{
    uint32_t after_ms = x->job ? x->job->outcome.retry_after_ms : 0;

    return !after_ms || slu_headers_add(x->arena, &x->response.headers, SLU_STR("Retry-After"),
                                        slu_arena_printf(x->arena, "%u",
                                                         after_ms / 1000 + (after_ms % 1000 != 0)));
}

static void reply_error(struct slu_exchange *x)
{
    struct slu_fault ignored = {0};

    if (has_match(x) && !slu_vars_get(&x->match->vars, SLU_STR("reply")).p)
        slu_table_take_reply(x->door->table, x->request, x->arena, &x->match->vars);
    if (!has_match(x) || !complete_vars(x) ||
        !slu_table_write_error(x->door->table, x->operation, x->fault.kind, x->door_word,
                               slu_arena_str(x->arena, slu_str_of(x->fault.words)), &x->match->vars,
                               x->arena, &x->response, &ignored) ||
        !put_retry_after(x))
        slu_problem_plain(x->arena, &x->fault, &x->response);
}

void slu_door_reply(struct slu_exchange *x)
{
    if (x->fault.kind == SLU_FAULT_NONE &&
        !slu_table_write_reply(x->door->table, x->operation, x->match->step, x->flow_log,
                               &x->match->vars, x->arena, &x->losses, &x->response, &x->fault)) {
        slu_fault_set(&x->fault, SLU_FAULT_INTERNAL, "", "the answer cannot be written");
        x->door_word = x->fault.place[0] ? x->fault.place : x->door_word;
    }
    if (x->fault.kind != SLU_FAULT_NONE)
        reply_error(x);
}
