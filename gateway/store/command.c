/*
 * Commands: one allocation with everything in it, checked and copied when it is handed over, and
 * the reply that it turns into.
 */
#include "store/journal_internal.h"

#include "base/clock.h"
#include "codec/text.h"

/* A reply holds at most this; a page that would be larger ends earlier. */
enum { REPLY_BUDGET = 64 << 20 };

static const char *const state_names[SLU_RECORD_STATES] = {
    [SLU_RECORD_RUNNING] = "running",
    [SLU_RECORD_SUCCEEDED] = "succeeded",
    [SLU_RECORD_FAILED] = "failed",
    [SLU_RECORD_UNKNOWN] = "unknown",
};

const char *slu_record_state_name(enum slu_record_state state)
{
    return state_names[state];
}

bool slu_record_state_of(struct slu_str word, enum slu_record_state *ret_state)
{
    for (size_t i = 0; i < SLU_COUNT(state_names); i++)
        if (slu_str_is(word, state_names[i])) {
            *ret_state = (enum slu_record_state)i;
            return true;
        }
    return false;
}

/* ---- making */

static struct slu_store_param text(struct slu_str value)
{
    return value.p ? (struct slu_store_param){.kind = SLU_STORE_TEXT, .text = value}
                   : (struct slu_store_param){.kind = SLU_STORE_NULL};
}

static struct slu_store_param number(int64_t value)
{
    return (struct slu_store_param){.kind = SLU_STORE_NUMBER, .number = value};
}

/* The room that the texts need; false when one is not valid. */
static bool measure(const struct slu_store_param *params, size_t count, size_t *ret_size,
                    struct slu_fault *fault)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        struct slu_str value = params[i].text;

        if (params[i].kind != SLU_STORE_TEXT)
            continue;
        if (value.n > SLU_STORE_MOST_TEXT - size)
            return slu_fault_set(fault, SLU_FAULT_TOO_LARGE, "store",
                                 "an operation of more than %d bytes is not kept",
                                 (int)SLU_STORE_MOST_TEXT);
        if (value.n && (memchr(value.p, '\0', value.n) || !slu_utf8_valid(value)))
            return slu_fault_set(fault, SLU_FAULT_INTERNAL, "store",
                                 "a text for the journal is not UTF-8 without NUL");
        size += value.n + 1;
    }
    *ret_size = size;
    return true;
}

struct slu_store_command *slu_store_command_new(enum slu_store_verb verb,
                                                const struct slu_store_param *params, size_t count,
                                                struct slu_fault *fault)
{
    struct slu_store_command *command;
    size_t size = 0;
    char *at;

    slu_must(count <= SLU_STORE_PARAMS);
    if (!measure(params, count, &size, fault))
        return NULL;
    command = slu_mem_new(sizeof(*command) + size);
    if (!command) {
        slu_fault_memory(fault);
        return NULL;
    }
    command->verb = verb;
    command->size = sizeof(*command) + size;
    command->params = count;
    slu_arena_init(&command->arena, REPLY_BUDGET);
    at = command->texts;
    for (size_t i = 0; i < count; i++) {
        command->param[i] = params[i];
        if (params[i].kind != SLU_STORE_TEXT)
            continue;
        command->param[i].text.p = at;
        if (params[i].text.n)
            memcpy(at, params[i].text.p, params[i].text.n);
        at += params[i].text.n + 1; /* the NUL is there: the memory was zeroed */
    }
    return command;
}

void slu_store_command_free(struct slu_store_command *command)
{
    if (!command)
        return;
    slu_store_command_free(command->undo);
    slu_arena_done(&command->arena);
    slu_mem_free(command);
}

void slu_journal_reply_free(struct slu_journal_reply *reply)
{
    slu_store_command_free((struct slu_store_command *)reply);
}

/* Every name between two newlines, so that one can be found as a whole. */
static bool fence(struct slu_buf *out, struct slu_str names, struct slu_fault *fault)
{
    if (!names.p)
        return true;
    slu_buf_byte(out, '\n');
    slu_buf_add(out, names);
    slu_buf_byte(out, '\n');
    return !out->failed || slu_fault_memory(fault);
}

/* The command with the one that takes it back, or neither. */
static struct slu_store_command *with_undo(struct slu_store_command *command,
                                           enum slu_store_verb verb,
                                           const struct slu_store_param *params, size_t count,
                                           struct slu_fault *fault)
{
    if (command && !(command->undo = slu_store_command_new(verb, params, count, fault)))
        slu_store_command_free(slu_take(command));
    return command;
}

struct slu_store_command *slu_store_begin(struct slu_str owner, const struct slu_record *record,
                                          int64_t retention_ms, struct slu_fault *fault)
{
    enum slu_store_verb verb = record->key.p ? SLU_STORE_BEGIN : SLU_STORE_BEGIN_FREE;
    const struct slu_store_param undo[] = {text(record->id), text(owner), number(retention_ms)};
    struct slu_store_command *command = NULL;
    struct slu_buf targets;

    slu_must(record->id.n == SLU_OPERATION_ID && record->caller.p && record->scope.p);
    slu_buf_init(&targets, 0);
    if (fence(&targets, record->targets, fault)) {
        const struct slu_store_param params[] = {
            text(record->id),         text(record->caller),       text(record->scope),
            text(record->key),        text(record->digest),       text(slu_buf_str(&targets)),
            text(record->operation),  text(record->flow_log_id),  text(record->request),
            text(record->wishes),     text(record->token),        text(record->fingerprint),
            text(record->parts),      text(record->upstream),     text(owner),
            number(record->attempts), number(record->created_ms), number(record->created_ms)};

        command = slu_store_command_new(verb, params, SLU_COUNT(params), fault);
    }
    slu_buf_done(&targets);
    return with_undo(command, SLU_STORE_ABANDON, undo, SLU_COUNT(undo), fault);
}

struct slu_store_command *slu_store_note(struct slu_str owner, const struct slu_record *record,
                                         struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(record->id),          text(owner),
                                             number(record->attempts),  number(record->updated_ms),
                                             text(record->token),       text(record->fingerprint),
                                             text(record->flow_log_id), text(record->parts),
                                             text(record->upstream),    text(record->claim)};

    return slu_store_command_new(SLU_STORE_NOTE, params, SLU_COUNT(params), fault);
}

struct slu_store_command *slu_store_settle(struct slu_str owner, const struct slu_record *record,
                                           bool unbind, int64_t retention_ms,
                                           struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(record->id),
                                             text(owner),
                                             number(record->attempts),
                                             number(record->updated_ms),
                                             text(slu_str_of(slu_record_state_name(record->state))),
                                             number(record->status),
                                             text(record->headers),
                                             text(record->body),
                                             text(record->flow_log_id),
                                             text(record->parts),
                                             text(record->upstream),
                                             number(retention_ms),
                                             text(record->token),
                                             text(record->fingerprint),
                                             text(record->claim)};

    slu_must(record->state != SLU_RECORD_RUNNING);
    return slu_store_command_new(unbind ? SLU_STORE_SETTLE_FREE : SLU_STORE_SETTLE, params,
                                 SLU_COUNT(params), fault);
}

struct slu_store_command *slu_store_discard(struct slu_str owner, struct slu_str id,
                                            struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(id), text(owner)};

    return slu_store_command_new(SLU_STORE_DISCARD, params, SLU_COUNT(params), fault);
}

struct slu_store_command *slu_store_find(struct slu_str caller, struct slu_str scope,
                                         struct slu_str key, struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(caller), text(scope), text(key)};

    slu_must(caller.p && scope.p && key.p);
    return slu_store_command_new(SLU_STORE_FIND, params, SLU_COUNT(params), fault);
}

struct slu_store_command *slu_store_get(struct slu_str id, struct slu_str caller,
                                        struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(id), text(caller)};

    return slu_store_command_new(SLU_STORE_GET, params, SLU_COUNT(params), fault);
}

struct slu_store_command *slu_store_removed(struct slu_str scope, struct slu_str id,
                                            struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(scope), text(id)};

    return slu_store_command_new(SLU_STORE_REMOVED, params, SLU_COUNT(params), fault);
}

struct slu_store_command *slu_store_list(const struct slu_journal_filter *filter,
                                         struct slu_fault *fault)
{
    bool first = !filter->before_id.p;
    struct slu_store_command *command = NULL;
    struct slu_buf target;

    slu_must(filter->caller.p && filter->most > 0 && filter->most <= SLU_JOURNAL_PAGE);
    slu_buf_init(&target, 0);
    if (fence(&target, filter->target, fault)) {
        const struct slu_store_param params[] = {
            text(filter->caller),
            text(filter->state),
            text(slu_buf_str(&target)),
            text(filter->operation),
            number(first ? INT64_MAX : filter->before_ms),
            text(first ? SLU_STR("") : filter->before_id),
            number((int64_t)filter->most + 1)}; /* one more tells whether the list goes on */

        command = slu_store_command_new(SLU_STORE_LIST, params, SLU_COUNT(params), fault);
    }
    slu_buf_done(&target);
    if (command)
        command->most = filter->most;
    return command;
}

struct slu_store_command *slu_store_claim(struct slu_str owner, size_t most,
                                          struct slu_fault *fault)
{
    unsigned char bytes[16];
    char digits[2 * sizeof(bytes)];
    struct slu_str claim = {digits, sizeof(digits)};
    struct slu_store_param params[SLU_STORE_CLAIM_GRACE + 1];

    if (!slu_random(bytes, sizeof(bytes))) {
        slu_fault_set(fault, SLU_FAULT_INTERNAL, "store", "the kernel gives no random bytes");
        return NULL;
    }
    slu_hex_write(digits, bytes, sizeof(bytes));
    params[0] = text(owner);
    params[1] = text(claim);
    params[2] = number((int64_t)most);
    params[SLU_STORE_CLAIM_GRACE] = number(0); /* set when it is executed */
    return with_undo(slu_store_command_new(SLU_STORE_CLAIM, params, SLU_COUNT(params), fault),
                     SLU_STORE_DISOWN, (const struct slu_store_param[]){text(claim), text(owner)},
                     2, fault);
}

struct slu_store_command *slu_store_lock(struct slu_str owner, struct slu_str name,
                                         struct slu_str holder, int64_t hold_ms,
                                         struct slu_fault *fault)
{
    const struct slu_store_param params[] = {text(name), text(holder), text(owner),
                                             number(hold_ms)};

    struct slu_store_command *command =
        slu_store_command_new(SLU_STORE_LOCK, params, SLU_COUNT(params), fault);

    return with_undo(command, SLU_STORE_UNLOCK, params, 3, fault);
}

/* ---- the reply */

void slu_store_restart(struct slu_store_command *command)
{
    slu_arena_reset(&command->arena);
    command->reply.records = NULL;
    command->reply.count = 0;
    command->reply.more = false;
    command->room = 0;
    command->reply.fault = (struct slu_fault){.kind = SLU_FAULT_NONE};
}

static struct slu_record *next_record(struct slu_store_command *command)
{
    struct slu_journal_reply *reply = &command->reply;

    if (reply->count == command->room) {
        size_t room = command->room ? 2 * command->room : command->most ? command->most + 1 : 1;
        struct slu_record *more = slu_arena_get(&command->arena, room * sizeof(*more));

        if (!more)
            return NULL;
        if (reply->count)
            memcpy(more, reply->records, reply->count * sizeof(*more));
        reply->records = more;
        command->room = room;
    }
    return (struct slu_record *)&reply->records[reply->count];
}

static struct slu_str keep(struct slu_arena *arena, struct slu_str cell)
{
    char *copy = cell.p ? slu_arena_get(arena, cell.n + 1) : NULL;

    if (!copy)
        return SLU_STR_NONE;
    if (cell.n)
        memcpy(copy, cell.p, cell.n);
    copy[cell.n] = '\0';
    return (struct slu_str){copy, cell.n};
}

/* What the engine wrote itself; it was a number when it went in. */
static int64_t number_of(struct slu_str cell)
{
    bool negative = cell.n && cell.p[0] == '-';
    uint64_t amount = 0;

    if (!slu_str_to_u64((struct slu_str){cell.p + negative, cell.n - negative}, &amount))
        return 0;
    return negative ? -(int64_t)amount : (int64_t)amount;
}

/* Without the newlines of fence(). */
static struct slu_str unfence(struct slu_str names)
{
    return names.n >= 2 ? (struct slu_str){names.p + 1, names.n - 2} : names;
}

static bool is_own_begin(const struct slu_store_command *command, struct slu_str id)
{
    return (command->verb == SLU_STORE_BEGIN || command->verb == SLU_STORE_BEGIN_FREE) &&
           slu_str_eq(command->param[0].text, id);
}

bool slu_store_row(struct slu_store_command *command, const struct slu_str *cells, size_t count)
{
    struct slu_record *record;
    size_t at = 0;

    if (!slu_store_verbs[command->verb].rows || is_own_begin(command, cells[0])) {
        command->reply.count++;
        return true;
    }
    slu_must(count == SLU_STORE_COLUMNS);
    if (command->reply.more || !(record = next_record(command)))
        return command->reply.more || slu_fault_memory(&command->reply.fault);
#define TEXT(member, column)   record->member = keep(&command->arena, cells[at++]);
#define NUMBER(member, column) record->member = number_of(cells[at++]);
    SLU_STORE_TEXTS(TEXT)
    SLU_STORE_NUMBERS(NUMBER)
#undef TEXT
#undef NUMBER
    record->targets = unfence(record->targets);
    if (!slu_record_state_of(cells[at], &record->state))
        return slu_fault_set(&command->reply.fault, SLU_FAULT_INTERNAL, "store",
                             "an operation has a state that is not known: \"%.*s\"",
                             SLU_FMT(cells[at]));
    if (command->arena.failed) { /* a page ends where its memory does */
        command->reply.more = command->verb == SLU_STORE_LIST && command->reply.count > 0;
        return command->reply.more || slu_fault_memory(&command->reply.fault);
    }
    command->reply.count++;
    return true;
}

void slu_store_rows(struct slu_store_command *command, size_t count)
{
    command->reply.count += count;
}

void slu_store_conclude(struct slu_store_command *command)
{
    struct slu_journal_reply *reply = &command->reply;

    command->affected = reply->count;
    if (command->verb == SLU_STORE_LIST && reply->count > command->most) {
        reply->count = command->most;
        reply->more = true;
    }
    if ((command->verb == SLU_STORE_BEGIN || command->verb == SLU_STORE_BEGIN_FREE) &&
        reply->records)
        reply->outcome = SLU_JOURNAL_EXISTS;
    else if (reply->count || command->verb == SLU_STORE_LIST || command->verb == SLU_STORE_CLAIM)
        reply->outcome = SLU_JOURNAL_DONE;
    else
        reply->outcome = SLU_JOURNAL_NONE;
    if (!slu_store_verbs[command->verb].rows || !reply->records)
        reply->count = 0;
}
