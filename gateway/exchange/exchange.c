/*
 * The life of a request, told once.
 *
 *   admit       who asks, for what, with which right: judged at the head
 *   receive     the body arrives (or the wait for it ends)
 *   understand  the body becomes a canonical flow log: checked, aliases put in place; at a door
 *               the signature is verified and the native request read first
 *   translate   the target's table makes the native request
 *   sign        the target's seal is put on it; it carries its time, so it is never used again
 *   send        the cloud has it; we wait
 *   normalise   its reply becomes the canonical answer, or the canonical error
 *   settle      an asynchronous create is looked at again until it or the caller's wait is over
 *   imitate     in place of translate to normalise when the target is the memory cloud
 *   reply       the only step the caller hears
 *   close       the answer leaves
 *   done        the one exit: told in the access line, given back
 *
 * Each step does one thing and returns the step that comes next, or WAIT. Callbacks of net/ store
 * what they learned and resume. A caller who leaves walks the same road: reads are dropped, writes
 * that may have reached the cloud are followed to their end, so that the log says what became of
 * them, unless the worker itself has to end first.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/text.h"

#include <stdarg.h>
#include <stdio.h>

static enum slu_step admit(struct slu_exchange *x);
static enum slu_step receive(struct slu_exchange *x);
static enum slu_step understand(struct slu_exchange *x);
static enum slu_step translate(struct slu_exchange *x);
static enum slu_step sign(struct slu_exchange *x);
static enum slu_step await_cloud(struct slu_exchange *x);
static enum slu_step normalise(struct slu_exchange *x);
static enum slu_step settle(struct slu_exchange *x);
static enum slu_step imitate(struct slu_exchange *x);
static enum slu_step reply(struct slu_exchange *x);
static enum slu_step close_talk(struct slu_exchange *x);
static enum slu_step done(struct slu_exchange *x);

#define TO(step) (1u << STEP_##step)

static const struct {
    struct slu_str name;
    char letter; /* in the access line */
    enum slu_step (*run)(struct slu_exchange *x);
    unsigned next; /* the steps that may follow */
} life[] = {
    /* clang-format off */
    [STEP_ADMIT]      = {SLU_STR_INIT("admit"),      'A', admit,       TO(RECEIVE) | TO(TRANSLATE) | TO(IMITATE) | TO(REPLY)},
    [STEP_RECEIVE]    = {SLU_STR_INIT("receive"),    'B', receive,     TO(UNDERSTAND) | TO(REPLY) | TO(DONE)},
    [STEP_UNDERSTAND] = {SLU_STR_INIT("understand"), 'U', understand,  TO(TRANSLATE) | TO(IMITATE) | TO(REPLY)},
    [STEP_TRANSLATE]  = {SLU_STR_INIT("translate"),  'T', translate,   TO(SIGN) | TO(REPLY)},
    [STEP_SIGN]       = {SLU_STR_INIT("sign"),       'S', sign,        TO(SEND) | TO(REPLY)},
    [STEP_SEND]       = {SLU_STR_INIT("send"),       'C', await_cloud, TO(NORMALISE) | TO(REPLY) | TO(DONE)},
    [STEP_NORMALISE]  = {SLU_STR_INIT("normalise"),  'N', normalise,   TO(TRANSLATE) | TO(SETTLE) | TO(REPLY)},
    [STEP_SETTLE]     = {SLU_STR_INIT("settle"),     'P', settle,      TO(TRANSLATE) | TO(IMITATE) | TO(REPLY) | TO(DONE)},
    [STEP_IMITATE]    = {SLU_STR_INIT("imitate"),    'M', imitate,     TO(SETTLE) | TO(REPLY)},
    [STEP_REPLY]      = {SLU_STR_INIT("reply"),      'R', reply,       TO(CLOSE) | TO(DONE)},
    [STEP_CLOSE]      = {SLU_STR_INIT("close"),      'L', close_talk,  TO(DONE)},
    [STEP_DONE]       = {SLU_STR_INIT("done"),       'D', done,        0},
    /* clang-format on */
};

struct slu_str slu_step_name(enum slu_step step)
{
    return life[step].name;
}

char slu_step_letter(enum slu_step step)
{
    return life[step].letter;
}

/* Moving */

static void trace_move(struct slu_exchange *x)
{
    uint64_t now = slu_clock_mono_us();

    x->spans_us[x->step] += now - x->step_began_us;
    x->step_began_us = now;
}

void slu_exchange_resume(struct slu_exchange *x)
{
    enum slu_step next;

    if (x->resuming)
        return; /* a callback inside a step: the loop below will see what it stored */
    x->resuming = true;
    while ((next = life[x->step].run(x)) != STEP_WAIT) {
        slu_must(life[x->step].next & (1u << next));
        trace_move(x);
        x->step = next;
        if (next == STEP_DONE) {
            life[STEP_DONE].run(x); /* x is gone after this */
            return;
        }
    }
    trace_move(x);
    x->resuming = false;
}

static void decide(struct slu_exchange *x, char who)
{
    if (x->ended_by != '-')
        return;
    x->ended_by = who;
    x->ended_in = x->step;
}

enum slu_step slu_exchange_fail(struct slu_exchange *x, enum slu_fault_kind kind, const char *place,
                                const char *format, ...)
{
    char words[sizeof(x->fault.words)];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    slu_fault_set(&x->fault, kind, place, "%s", words);
    decide(x, 'G');
    return STEP_REPLY;
}

/* A step could not go on because the request's memory is spent. */
static enum slu_step out_of_memory(struct slu_exchange *x)
{
    slu_fault_memory(&x->fault);
    decide(x, 'G');
    return STEP_REPLY;
}

/* The worker's random prefix and a counter: never twice in the fleet, and cheap. For requests and
 * nonces. */
static struct slu_str fresh_id(struct slu_worker *worker, struct slu_arena *arena)
{
    enum { PREFIX = sizeof(worker->id_prefix) - 1, COUNTER = 8 };
    uint64_t count = ++worker->id_count;
    unsigned char bytes[COUNTER];
    char *text = slu_arena_get(arena, PREFIX + 2 * COUNTER);

    if (!text)
        return SLU_STR_NONE;
    for (size_t i = 0; i < COUNTER; i++)
        bytes[i] = (unsigned char)(count >> (8 * (COUNTER - 1 - i)));
    memcpy(text, worker->id_prefix, PREFIX);
    slu_hex_write(text + PREFIX, bytes, COUNTER);
    return (struct slu_str){text, PREFIX + 2 * COUNTER};
}

/* The steps */

static enum slu_step admit(struct slu_exchange *x)
{
    if (x->fault.kind != SLU_FAULT_NONE) { /* the parser refused the message */
        decide(x, 'G');
        return STEP_REPLY;
    }
    if (!x->door)
        return slu_rest_admit(x);
    slu_talk_want_body(x->talk, 0); /* the signature covers it */
    return STEP_RECEIVE;
}

static enum slu_step receive(struct slu_exchange *x)
{
    if (x->gone) {
        decide(x, 'C');
        return STEP_DONE;
    }
    if (x->fault.kind != SLU_FAULT_NONE) {
        decide(x, 'G');
        return STEP_REPLY;
    }
    return x->body_is_here ? STEP_UNDERSTAND : STEP_WAIT;
}

static enum slu_step understand(struct slu_exchange *x)
{
    return x->door ? slu_door_understand(x) : slu_rest_understand(x);
}

static size_t target_index(const struct slu_exchange *x)
{
    return (size_t)(x->target - x->station->catalog->targets);
}

/* The native operation's vars: the target's parameters and what is known of the flow log. */
static bool fill_vars(struct slu_exchange *x)
{
    const struct slu_vars *given = &x->target->parameters;
    bool good = true;

    if (x->vars)
        return true;
    x->vars = slu_arena_get(x->arena, sizeof(*x->vars));
    if (!x->vars)
        return false;
    x->vars->count = 0;
    for (size_t i = 0; i < given->count; i++)
        good = good && slu_vars_set(x->vars, given->names[i], given->values[i]);
    return good && slu_vars_set(x->vars, SLU_STR("host"), x->target->host) &&
           slu_vars_set(x->vars, SLU_STR("request_id"), x->id);
}

static enum slu_step translate(struct slu_exchange *x)
{
    const struct slu_target *target = x->target;
    bool good;

    if (!slu_table_serves(target->table, x->asking))
        return slu_exchange_fail(x, SLU_FAULT_NOT_IMPLEMENTED, "",
                                 "the target's dialect has no operation %s",
                                 slu_operation_name(x->asking));
    if (!fill_vars(x) ||
        (x->flow_log_id.p && !slu_vars_set(x->vars, SLU_STR("id"), x->flow_log_id)))
        return out_of_memory(x);
    x->native = (struct slu_request){0};
    good = slu_table_write_request(target->table, x->asking, x->native_step,
                                   target->credentials.scheme_index, x->canonical, x->vars,
                                   x->arena, &x->losses, &x->mistakes, &x->native);
    if (x->arena->failed)
        return out_of_memory(x);
    if (!good || !slu_mistakes_none(&x->mistakes))
        return slu_exchange_fail(x, SLU_FAULT_INVALID, "",
                                 "the flow log cannot be sent to this target as it is; see errors");
    x->native.scheme = target->scheme;
    x->native.host = target->host;
    if (target->base_path.n)
        x->native.path = slu_arena_join(x->arena, target->base_path, x->native.path);
    if (x->arena->failed)
        return out_of_memory(x);
    return STEP_SIGN;
}

static enum slu_step sign(struct slu_exchange *x)
{
    struct slu_seal *seal = x->station->seals[target_index(x)];
    struct slu_str fresh;

    if (x->dry_run)
        return STEP_SEND; /* nothing is sent, so nothing is signed */
    fresh = fresh_id(x->station->worker, x->arena);
    if (!fresh.p)
        return out_of_memory(x);
    if (!slu_sign(seal, x->arena, slu_clock_real_s(), fresh, &x->native, NULL, &x->fault)) {
        decide(x, 'G');
        return STEP_REPLY;
    }
    return slu_trace_continue(x, fresh) ? STEP_SEND : out_of_memory(x);
}

static void cloud_answered(const struct slu_call_result *result, void *user)
{
    struct slu_exchange *x = user;

    x->result = *result;
    x->call = NULL;
    x->call_is_back = true;
    slu_exchange_resume(x);
}

static void count_call(struct slu_exchange *x)
{
    struct slu_slot *slot = x->station->slots[target_index(x)];

    x->calls++;
    x->cloud_us += x->result.total_us;
    x->cloud_bytes_out += x->result.bytes_out;
    x->cloud_bytes_in += x->result.bytes_in;
    slu_count(&slot->calls, 1);
    slu_count(&slot->reused, x->result.reused);
    slu_count(&slot->bytes_out, x->result.bytes_out);
    slu_count(&slot->bytes_in, x->result.bytes_in);
    slu_histogram_add(&slot->cloud, x->result.total_us);
}

static uint32_t call_timeout_ms(const struct slu_exchange *x)
{
    uint32_t most = x->target->total_timeout_ms;

    return most && most < x->target->timeout_ms ? most : x->target->timeout_ms;
}

static enum slu_step await_cloud(struct slu_exchange *x)
{
    struct slu_upstream *upstream = x->station->upstreams[target_index(x)];

    if (x->dry_run)
        return STEP_REPLY;
    if (x->call_is_back) {
        x->call_is_back = false;
        count_call(x);
        return STEP_NORMALISE;
    }
    if (x->gone && (!slu_operation_writes(x->asking) || x->station->worker->ending)) {
        decide(x, 'C');
        if (x->call)
            slu_call_cancel(x->call);
        x->call = NULL;
        return STEP_DONE;
    }
    if (x->call)
        return STEP_WAIT;
    x->call =
        slu_upstream_send(upstream, &x->native, x->arena, call_timeout_ms(x), cloud_answered, x);
    return x->call ? STEP_WAIT : out_of_memory(x);
}

/* The call brought no whole reply: the fault says why, and whether the cloud may have acted. */
static enum slu_step no_answer(struct slu_exchange *x)
{
    const struct slu_fault *why = &x->result.fault;

    if (x->asking != x->operation)
        slu_fault_set(&x->fault, why->kind, "",
                      "the flow log %.*s was made, but looking at it failed: %s",
                      SLU_FMT(x->flow_log_id), why->words);
    else if (slu_operation_writes(x->asking) && x->result.sent == SLU_SENT_PERHAPS)
        slu_fault_set(
            &x->fault, why->kind, "",
            "%s; the request may have reached the cloud and taken effect: look whether the "
            "flow log is there before you repeat it",
            why->words);
    else
        slu_fault_set(&x->fault, why->kind, "", "%s", why->words);
    decide(x, 'U');
    return STEP_REPLY;
}

static bool status_is_one_of(const struct slu_value *flow_log, const struct slu_str *words,
                             size_t count)
{
    const struct slu_value *status = slu_value_member(flow_log, "status");

    for (size_t i = 0; i < count && slu_value_is(status, SLU_STRING); i++)
        if (slu_str_eq(status->text, words[i]))
            return true;
    return false;
}

/* After a create's reply (or a look at what it made): is it over, has it failed, or do we look
 * again? */
static enum slu_step judge_state(struct slu_exchange *x, const struct slu_poll *poll)
{
    static const struct slu_str failed_word = SLU_STR_INIT("failed");
    const struct slu_str *failed = poll ? poll->failed : &failed_word;
    size_t failed_count = poll ? poll->failed_count : 1;
    const struct slu_value *id = slu_value_member(x->flow_log, "id");

    if (slu_value_is(id, SLU_STRING))
        x->flow_log_id = id->text;
    if (status_is_one_of(x->flow_log, failed, failed_count)) {
        decide(x, 'U');
        return slu_exchange_fail(x, SLU_FAULT_UPSTREAM_FAILED, "",
                                 "the cloud made the flow log %.*s but says that it failed",
                                 SLU_FMT(x->flow_log_id));
    }
    if (!poll || !x->prefers_wait || status_is_one_of(x->flow_log, poll->done, poll->done_count))
        return STEP_REPLY;
    return STEP_SETTLE;
}

static enum slu_step normalise(struct slu_exchange *x)
{
    const struct slu_table *table = x->target->table;

    if (x->result.sent != SLU_SENT_ANSWERED)
        return no_answer(x);
    x->cloud_status = x->result.response.status;
    if (!slu_table_read_reply(table, x->asking, x->native_step, &x->result.response, x->canonical,
                              x->vars, x->arena, &x->losses, &x->outcome, &x->fault)) {
        decide(x, 'U');
        return STEP_REPLY;
    }
    if (x->outcome.kind != SLU_FAULT_NONE) {
        decide(x, 'U');
        slu_fault_set(&x->fault, x->outcome.kind, "", "%.*s", SLU_FMT(x->outcome.words));
        return STEP_REPLY;
    }
    if (x->native_step + 1 < slu_table_steps(table, x->asking)) {
        x->native_step++;
        return STEP_TRANSLATE;
    }
    x->flow_log = x->outcome.flow_log ? x->outcome.flow_log : x->outcome.flow_logs;
    if (x->operation != SLU_OP_CREATE)
        return STEP_REPLY;
    return judge_state(x, slu_table_poll(table, SLU_OP_CREATE));
}

static void settle_timer_fired(void *argument)
{
    struct slu_exchange *x = argument;

    x->timer_ready = true;
    slu_exchange_resume(x);
}

static const struct slu_poll memory_poll = {
    .with = SLU_OP_GET, .first_ms = 100, .every_ms = 200, .limit_ms = 60000};

/* Waits a while, then looks at the flow log; ends when the caller's patience does. */
static enum slu_step settle(struct slu_exchange *x)
{
    const struct slu_poll *poll =
        x->target->memory ? &memory_poll : slu_table_poll(x->target->table, SLU_OP_CREATE);
    uint64_t now = slu_clock_mono_us();
    bool first = x->poll_until_us == 0;
    uint64_t pause_us = (uint64_t)(first ? poll->first_ms : poll->every_ms) * 1000;

    if (x->gone) {
        slu_timer_stop(&x->timer);
        decide(x, 'C');
        return STEP_DONE;
    }
    if (x->timer_ready) {
        x->timer_ready = false;
        x->asking = poll->with;
        x->native_step = 0;
        return x->target->memory ? STEP_IMITATE : STEP_TRANSLATE;
    }
    if (first)
        x->poll_until_us = now + 1000 * (x->wait_s * 1000ull < poll->limit_ms ? x->wait_s * 1000ull
                                                                              : poll->limit_ms);
    if (now >= x->poll_until_us)
        return STEP_REPLY; /* the transitional status is the answer */
    if (pause_us > x->poll_until_us - now)
        pause_us = x->poll_until_us - now;
    return slu_timer_set(&x->timer, (uint32_t)(pause_us / 1000) + 1) ? STEP_WAIT : out_of_memory(x);
}

static struct slu_str new_id(struct slu_exchange *x)
{
    unsigned char random[16];
    struct slu_str id;

    if (!slu_random(random, sizeof(random)))
        return SLU_STR_NONE;
    if (x->door)
        return slu_table_make_id(x->door->table, random, x->arena);
    id = slu_arena_printf(x->arena, "fl-");
    for (size_t i = 0; i < 8 && id.p; i++)
        id = slu_arena_printf(x->arena, "%.*s%02x", SLU_FMT(id), random[i]);
    return id;
}

static uint32_t memory_settle_ms(const struct slu_exchange *x)
{
    if (x->door && !slu_table_poll(x->door->table, SLU_OP_CREATE))
        return 0; /* this dialect's create is over with its reply */
    return x->target->settle_ms;
}

static void imitate_operation(struct slu_exchange *x)
{
    struct slu_memory *memory = x->station->worker->gateway->memory;
    struct slu_memory_call call = {x->target->name, x->arena, slu_clock_real_ms()};

    if (x->asking == SLU_OP_CREATE)
        x->flow_log = slu_memory_create(memory, &call, x->canonical, new_id(x), memory_settle_ms(x),
                                        &x->fault);
    else if (x->asking == SLU_OP_GET)
        x->flow_log = slu_memory_get(memory, &call, x->flow_log_id, &x->fault);
    else if (x->asking == SLU_OP_LIST)
        x->flow_log = slu_memory_list(memory, &call, &x->fault);
    else if (x->asking != SLU_OP_DELETE)
        slu_fault_set(&x->fault, SLU_FAULT_NOT_IMPLEMENTED, "",
                      "the memory cloud has no operation %s", slu_operation_name(x->asking));
    else if (slu_memory_delete(memory, &call, x->flow_log_id, &x->fault))
        x->flow_log = NULL;
}

static enum slu_step imitate(struct slu_exchange *x)
{
    static const struct slu_str over = SLU_STR_INIT("active");
    struct slu_poll poll = memory_poll;

    if (x->dry_run)
        return STEP_REPLY;
    imitate_operation(x);
    if (x->fault.kind != SLU_FAULT_NONE) {
        decide(x, 'U');
        return STEP_REPLY;
    }
    if (x->operation != SLU_OP_CREATE)
        return STEP_REPLY;
    poll.done = &over;
    poll.done_count = 1;
    return judge_state(x, &poll);
}

static enum slu_step reply(struct slu_exchange *x)
{
    if (x->gone) {
        decide(x, 'C');
        return STEP_DONE;
    }
    if (x->door)
        slu_door_reply(x);
    else
        slu_rest_reply(x);
    x->answered = true;
    return STEP_CLOSE;
}

static enum slu_step close_talk(struct slu_exchange *x)
{
    if (x->answered) {
        x->answered = false;
        slu_talk_answer(x->talk, &x->response, x->station->worker->draining);
    }
    if (x->gone)
        decide(x, 'C');
    return x->written || x->gone ? STEP_DONE : STEP_WAIT;
}

/* The steps in which others are waited for. */
static const unsigned waits = TO(RECEIVE) | TO(SEND) | TO(SETTLE) | TO(CLOSE);

uint64_t slu_exchange_own_us(const struct slu_exchange *x)
{
    uint64_t own = 0;

    for (size_t i = 0; i < STEP_COUNT; i++)
        own += waits & (1u << i) ? 0 : x->spans_us[i];
    return own;
}

static void count_request(struct slu_exchange *x)
{
    struct slu_slot *slot =
        x->target ? x->station->slots[target_index(x)]
                  : slu_metrics_slot(x->station->worker->gateway->metrics, SLU_STR_NONE);
    size_t operation = x->has_operation ? (size_t)x->operation : SLU_OP_COUNT;

    slu_count(&slot->requests[operation][x->fault.kind], 1);
    slu_histogram_add(&slot->total, x->step_began_us - x->began_us);
    slu_histogram_add(&slot->own, slu_exchange_own_us(x));
}

static void link_exchange(struct slu_exchange *x, struct slu_worker *worker)
{
    x->next = worker->exchanges;
    x->back = &worker->exchanges;
    if (x->next)
        x->next->back = &x->next;
    worker->exchanges = x;
}

static void unlink_exchange(struct slu_exchange *x)
{
    *x->back = x->next;
    if (x->next)
        x->next->back = x->back;
}

void slu_exchange_end_all(struct slu_worker *worker)
{
    worker->ending = true;
    while (worker->exchanges) {
        slu_must(worker->exchanges->gone);
        slu_exchange_resume(worker->exchanges);
    }
}

static enum slu_step done(struct slu_exchange *x)
{
    struct slu_station *station = x->station;
    struct slu_talk *talk = x->talk;

    count_request(x);
    slu_access_line(x);
    slu_timer_done(&x->timer);
    unlink_exchange(x);
    slu_talk_set_user(talk, NULL);
    station->worker->in_flight--;
    slu_talk_release(talk); /* x is gone: it lay in the talk's arena */
    slu_station_unref(station);
    return STEP_WAIT;
}

/* What net/ tells us */

/* There is no memory even for an exchange. */
static void answer_without_exchange(struct slu_talk *talk)
{
    struct slu_response response = {0};

    slu_respond(slu_talk_arena(talk), &response, 503, NULL, "");
    slu_talk_answer(talk, &response, true);
}

static struct slu_exchange *begin(struct slu_talk *talk, struct slu_front *front)
{
    struct slu_worker *worker = front->worker;
    struct slu_arena *arena = slu_talk_arena(talk);
    struct slu_exchange *x = slu_arena_zero(arena, sizeof(*x));

    if (!x)
        return NULL;
    x->station = worker->station;
    x->station->references++;
    worker->in_flight++;
    x->talk = talk;
    x->arena = arena;
    x->request = slu_talk_request(talk);
    x->door = front->is_door ? &x->station->catalog->doors[front->door] : NULL;
    x->began_us = slu_talk_began_us(talk);
    x->step_began_us = slu_clock_mono_us();
    x->ended_by = '-';
    x->ended_in = STEP_DONE;
    x->id = fresh_id(worker, arena);
    slu_losses_init(&x->losses, arena, false);
    slu_mistakes_init(&x->mistakes, arena);
    slu_timer_init(&x->timer, worker->loop, settle_timer_fired, x);
    slu_talk_set_user(talk, x);
    link_exchange(x, worker);
    return x;
}

static void on_head(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = begin(talk, user);

    if (!x) {
        answer_without_exchange(talk);
        return;
    }
    slu_exchange_resume(x);
}

static void on_body(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    (void)user;
    if (!x)
        return;
    x->body_is_here = true;
    slu_exchange_resume(x);
}

static void on_refused(struct slu_talk *talk, const struct slu_fault *fault, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    if (!x)
        x = begin(talk, user);
    if (!x) {
        answer_without_exchange(talk);
        return;
    }
    slu_fault_set(&x->fault, fault->kind, fault->place, "%s", fault->words);
    slu_exchange_resume(x);
}

static void on_gone(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    (void)user;
    if (!x) {
        slu_talk_release(talk);
        return;
    }
    x->gone = true;
    slu_exchange_resume(x);
}

static void on_written(struct slu_talk *talk, void *user)
{
    struct slu_exchange *x = slu_talk_user(talk);

    (void)user;
    if (!x) {
        slu_talk_release(talk);
        return;
    }
    x->written = true;
    slu_exchange_resume(x);
}

const struct slu_server_handler slu_exchange_handler = {on_head, on_body, on_refused, on_gone,
                                                        on_written};
