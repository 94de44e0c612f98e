/*
 * The server role: a cloud's own client calls us. Its signature is verified against the door's
 * keys, its request read by the dialect's table into canonical form and put into the target's terms
 * (door_alias.c, door_page.c), and every answer, also every error, is told in the door's terms and
 * written in the dialect's own shapes.
 *
 * A door plays its dialect's sense of time: where that is over with its reply and the target's is
 * not, the client waits for the end; where the dialect goes on behind its reply, the true status is
 * told. A status that the dialect has no word for is left out.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/json.h"
#include "codec/text.h"

enum { PATIENCE_MS = 30000, RESERVE_BYTES = 16384 };

static enum slu_step refuse(struct slu_exchange *x, enum slu_fault_kind kind, const char *word,
                            const char *words)
{
    x->door_word = word;
    return slu_exchange_fail(x, kind, word ? word : "", "%s", words);
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

/* A signature with a nonce serves once. */
static bool nonce_is_new(struct slu_exchange *x, const struct slu_claim *claim, int64_t now,
                         enum slu_step *ret_next)
{
    struct slu_nonces *nonces = x->station->worker->gateway->nonces;
    struct slu_str door =
        slu_arena_printf(x->arena, "%.*s %.*s", SLU_FMT(slu_table_dialect(x->door->table)),
                         SLU_FMT(x->target->name));

    if (!claim->nonce.n)
        return true;
    switch (door.p
                ? slu_nonces_take(nonces, door, claim->access_key, claim->nonce, claim->unix_s, now)
                : SLU_NONCE_FULL) {
    case SLU_NONCE_NEW:
        return true;
    case SLU_NONCE_SEEN:
        *ret_next = refuse(x, SLU_FAULT_UNAUTHENTICATED, "nonce",
                           "a request with this nonce was served before");
        return false;
    case SLU_NONCE_FULL:
        break;
    }
    *ret_next = refuse(x, SLU_FAULT_UNAVAILABLE, NULL, "there is no room for more nonces now");
    return false;
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
    if (!nonce_is_new(x, &claim, now, ret_next))
        return false;
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

/* The client's idempotency token goes on to the cloud, bound to who gave it where: two callers may
 * well choose the same. False on no memory. */
static bool pass_token(struct slu_exchange *x, struct slu_job *job)
{
    struct slu_str token = slu_vars_get(&x->match->vars, SLU_STR("token"));

    return !token.n ||
           slu_fence_bind_token(
               job, slu_arena_printf(x->arena, "%.*s\n%.*s\n%.*s", SLU_FMT(x->caller->name),
                                     SLU_FMT(slu_table_dialect(x->door->table)), SLU_FMT(token)));
}

static void play_time(struct slu_exchange *x, struct slu_job *job)
{
    const struct slu_table *table = x->door->table;

    job->like = table;
    if (!slu_door_is_foreign(x) || !slu_operation_writes(x->operation))
        return;
    job->whole = slu_table_tells(table, x->operation);
    if (slu_table_poll(table, x->operation))
        return;
    job->settles = true;
    job->patience_ms = PATIENCE_MS;
}

static enum slu_step start_work(struct slu_exchange *x)
{
    struct slu_job *job;

    if (!slu_door_carry_over(x))
        return STEP_REPLY;
    if (!complete_switch(x))
        return refuse(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    job = slu_exchange_job(x, x->target, x->operation, false);
    if (job) {
        job->canonical = x->canonical;
        play_time(x, job);
        if (!pass_token(x, job))
            return refuse(x, SLU_FAULT_MEMORY, "", "no memory for this request");
        if (x->operation == SLU_OP_LIST && !slu_door_list(x, job))
            return STEP_REPLY;
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
    return start_work(x);
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
    if (!slu_record_read_key(x))
        return STEP_REPLY;
    if (!parameters_agree(x))
        return refuse(x, SLU_FAULT_BAD_PARAMETER, "scope",
                      "the request names a region, project or router that is not served here");
    if (!complete_vars(x))
        return refuse(x, SLU_FAULT_MEMORY, "", "too many values in one request");
    if (!may(x))
        return refuse(x, SLU_FAULT_FORBIDDEN, "", "this access key may not do this");
    return read_request(x);
}

/* The request's memory is spent, but that too is said in the dialect's words. */
static void tell_no_memory(struct slu_exchange *x)
{
    x->door_word = NULL; /* no reason to blame the request */
    if (x->arena->failed)
        slu_arena_reserve(x->arena, RESERVE_BYTES);
    if (x->operation != SLU_OP_LIST || !x->job)
        return;
    x->fault = (struct slu_fault){0};
    slu_fault_set(&x->fault, SLU_FAULT_MEMORY, "",
                  "the list is too large to be told at once; ask for smaller pages");
}

static void reply_error(struct slu_exchange *x)
{
    struct slu_fault ignored = {0};

    if (x->fault.kind == SLU_FAULT_MEMORY)
        tell_no_memory(x);
    if (has_match(x) && !slu_vars_get(&x->match->vars, SLU_STR("reply")).p)
        slu_table_take_reply(x->door->table, x->request, x->arena, &x->match->vars);
    if (!has_match(x) || !complete_vars(x) ||
        !slu_table_write_error(x->door->table, x->operation, x->fault.kind, x->door_word,
                               slu_arena_str(x->arena, slu_str_of(x->fault.words)), &x->match->vars,
                               x->arena, &x->response, &ignored) ||
        !slu_problem_retry_after(x))
        slu_problem_plain(x->arena, &x->fault, &x->response);
}

/* What the job found wrong with the request, in the words of the door's dialect. */
static void tell_mistakes(struct slu_exchange *x)
{
    enum slu_fault_kind kind = SLU_FAULT_UNSUPPORTED;
    struct slu_buf words;

    slu_buf_init(&words, sizeof(x->fault.words) - 1);
    for (const struct slu_mistake *one = x->mistakes.first; one; one = one->next) {
        struct slu_str name =
            slu_table_native_name(x->door->table, x->operation, one->pointer, x->arena);

        if (one->kind != SLU_FAULT_UNSUPPORTED)
            kind = one->kind;
        slu_buf_printf(&words, "%s%.*s%s%.*s", words.n ? "; " : "",
                       SLU_FMT(name.p ? name : SLU_STR("")), name.n ? ": " : "",
                       SLU_FMT(one->detail));
    }
    x->fault = (struct slu_fault){0};
    slu_fault_set(&x->fault, kind, "", "%.*s", SLU_FMT(slu_buf_str(&words)));
    slu_buf_done(&words);
}

/* What went wrong beyond the door is told without the words, names and ids of the other side. */
static void tell_upstream(struct slu_exchange *x)
{
    const struct slu_job *job = x->job;
    enum slu_fault_kind kind = x->fault.kind;
    struct slu_str name =
        slu_table_native_name(x->door->table, x->operation, job->outcome.pointer, x->arena);

    x->fault = (struct slu_fault){0};
    slu_fault_set(&x->fault, kind, "", "%s%s%.*s%s%s", job->done ? job->done : "",
                  job->done ? ", but: " : "", SLU_FMT(name.p ? name : SLU_STR("")),
                  name.n ? ": " : "", slu_fault_info(kind)->title);
}

static void tell_fault(struct slu_exchange *x)
{
    const struct slu_job *job = x->job;

    if (!job || x->target->memory || job->fault.kind == SLU_FAULT_NONE)
        return;
    if (job->fault.kind == SLU_FAULT_INVALID && x->mistakes.first)
        tell_mistakes(x);
    else if (job->ended_by == 'U' && (slu_door_is_foreign(x) || !job->outcome.kind))
        tell_upstream(x);
}

static bool write_success(struct slu_exchange *x)
{
    if (x->operation == SLU_OP_LIST && !slu_door_told_list(x))
        return false;
    if (x->operation != SLU_OP_LIST && x->flow_log && slu_door_retells(x)) {
        x->flow_log = slu_door_retell(x, x->arena, x->flow_log);
        if (!x->flow_log)
            return slu_fault_memory(&x->fault);
    }
    slu_door_leave_out(x);
    if (!slu_table_write_reply(x->door->table, x->operation, x->match->step, x->flow_log,
                               &x->match->vars, x->arena, &x->losses, &x->response, &x->fault)) {
        slu_fault_set(&x->fault, SLU_FAULT_INTERNAL, "", "the answer cannot be written");
        x->door_word = x->fault.place[0] ? x->fault.place : x->door_word;
        return false;
    }
    return slu_door_tell_losses(x) || slu_fault_memory(&x->fault);
}

void slu_door_reply(struct slu_exchange *x)
{
    if (x->replayed && slu_record_replay(x))
        return;
    if (x->replayed)
        slu_fault_memory(&x->fault);
    if (x->fault.kind != SLU_FAULT_NONE)
        tell_fault(x);
    if (x->fault.kind != SLU_FAULT_NONE || !write_success(x))
        reply_error(x);
}
