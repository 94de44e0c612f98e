/*
 * The queue and the store thread. What comes in while a transaction is under way is executed in the
 * next one, all together: the more writers, the larger the groups, and the disk is waited for once
 * a group (as PostgreSQL's and MySQL's group commit do).
 *
 * The thread goes round: open when it is time to, try whether a store that could not be written can
 * be again, give up on those who have waited long enough, add the chores that are due (the lease,
 * pruning), execute what can be. A transaction that one of its commands spoils is executed again
 * command by command, so that only the guilty fails.
 */
#include "store/journal.h"

#include "base/clock.h"
#include "base/secret.h"
#include "codec/text.h"
#include "store/journal_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    GROUP = 1024,          /* commands in a transaction */
    PRUNED_AT_ONCE = 100,  /* operations in a step of pruning */
    OWNER_KEPT_MS = 60000, /* a lease that has ended longer ago is no use to anybody */
    RETRY_FIRST_US = 50000,
    RETRY_LAST_US = 2000000,
    STALLED_MS = 5000, /* an engine that takes longer is told as a stalled disk */
};

/* What the thread does by itself; the commands are made with the journal and used again. */
enum chore { CHORE_RENEW, CHORE_PRUNE, CHORE_OWNERS, CHORE_LOCKS, CHORE_LEAVE, CHORES };

struct list {
    struct slu_store_command *first, **end;
    size_t count;
};

struct slu_journal {
    const struct slu_store_engine *engine;
    const char *const *migrations;
    struct slu_journal_options options;
    char *place; /* the store's path or connection string, owned */
    char owner[SLU_OPERATION_ID];
    struct slu_store_command *chores[CHORES];
    pthread_t thread;

    pthread_mutex_t lock; /* of everything down to the next blank line */
    pthread_cond_t wake;
    struct list queue;
    bool asleep, stopping;
    struct slu_fault last;

    atomic_bool writable, readable;
    atomic_uint_fast64_t commits, writes, reads, largest, failures, pruned, queued;
    atomic_uint_fast64_t began_us; /* when the engine was called; 0: it has come back */
    /* The lease: certainly held without a gap from … until; 0: never yet. */
    atomic_uint_fast64_t held_since_us, held_until_us;

    /* the thread's own */
    void *state;     /* of the engine, when it is open */
    bool complete;   /* the engine was opened well, not just for reading */
    bool tried;      /* the first attempt at opening is over */
    uint64_t now_us; /* of this round */
    uint64_t retry_us, backoff_us, renew_us, prune_us, give_up_us;
    uint64_t writable_us; /* since when it is */
    uint64_t numbered;
    struct list waiting; /* taken from the queue, not executed yet */
    struct slu_store_command *group[GROUP + CHORES];
    size_t grouped;
};

/* ---- lists */

static void list_init(struct list *list)
{
    *list = (struct list){.end = &list->first};
}

static void list_add(struct list *list, struct slu_store_command *command)
{
    command->next = NULL;
    *list->end = command;
    list->end = &command->next;
    list->count++;
}

/* All of `from` behind `to`. */
static void list_move(struct list *to, struct list *from)
{
    if (!from->first)
        return;
    *to->end = from->first;
    to->end = from->end;
    to->count += from->count;
    list_init(from);
}

/* ---- the ends of a command */

static bool is_chore(const struct slu_store_command *command)
{
    return !command->done;
}

static void conclude(struct slu_journal *journal, struct slu_store_command *command)
{
    slu_store_conclude(command);
    if (command->verb == SLU_STORE_PRUNE)
        atomic_fetch_add_explicit(&journal->pruned, command->affected, memory_order_relaxed);
    if (is_chore(command))
        return;
    atomic_fetch_sub_explicit(&journal->queued, 1, memory_order_relaxed);
    command->done(&command->reply, command->user);
}

/* Nobody waits for this one. */
static void forget(struct slu_journal_reply *reply, void *user)
{
    (void)user;
    slu_journal_reply_free(reply);
}

static void fail(struct slu_journal *journal, struct slu_store_command *command,
                 const struct slu_fault *why)
{
    struct slu_store_command *undo = slu_take(command->undo);

    if (is_chore(command)) {
        slu_store_command_free(undo);
        return;
    }
    if (undo && command->tried) {
        undo->done = forget;
        atomic_fetch_add_explicit(&journal->queued, 1, memory_order_relaxed);
        list_add(&journal->waiting, undo);
    } else {
        slu_store_command_free(undo);
    }
    slu_store_restart(command);
    command->reply.outcome = SLU_JOURNAL_FAILED;
    command->reply.fault = *why;
    atomic_fetch_sub_explicit(&journal->queued, 1, memory_order_relaxed);
    command->done(&command->reply, command->user);
}

/* ---- trouble */

static void remember(struct slu_journal *journal, const struct slu_fault *fault)
{
    pthread_mutex_lock(&journal->lock);
    journal->last = *fault;
    pthread_mutex_unlock(&journal->lock);
    atomic_fetch_add_explicit(&journal->failures, 1, memory_order_relaxed);
}

static struct slu_fault why_not(struct slu_journal *journal)
{
    struct slu_fault why;

    pthread_mutex_lock(&journal->lock);
    why = journal->last;
    pthread_mutex_unlock(&journal->lock);
    if (why.kind == SLU_FAULT_NONE)
        slu_fault_set(&why, SLU_FAULT_UNAVAILABLE, journal->engine->name,
                      "the journal is not open yet");
    return why;
}

/* When to try again: twice as late each time, and not all replicas at once. */
static void back_off(struct slu_journal *journal)
{
    uint16_t spread = 0;

    if (!slu_random(&spread, sizeof(spread)))
        spread = 0; /* then all at once */
    journal->retry_us = slu_clock_mono_us() + journal->backoff_us / 2 +
                        journal->backoff_us / 2 * spread / UINT16_MAX;
    journal->backoff_us *= 2;
    if (journal->backoff_us > RETRY_LAST_US)
        journal->backoff_us = RETRY_LAST_US;
}

static void close_engine(struct slu_journal *journal)
{
    atomic_store(&journal->readable, false);
    journal->complete = false;
    journal->engine->close(slu_take(journal->state));
}

static void not_writable(struct slu_journal *journal, bool lost, const struct slu_fault *fault)
{
    atomic_store(&journal->writable, false);
    remember(journal, fault);
    if (lost)
        close_engine(journal);
    back_off(journal);
}

static void open_engine(struct slu_journal *journal)
{
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    close_engine(journal);
    atomic_store(&journal->began_us, slu_clock_mono_us());
    journal->complete =
        journal->engine->open(&journal->options, journal->migrations, &journal->state, &fault);
    atomic_store(&journal->began_us, 0);
    atomic_store(&journal->readable, journal->state != NULL);
    journal->tried = true;
    if (!journal->complete) {
        remember(journal, &fault);
        back_off(journal);
    }
}

/* ---- executing */

static int by_rank(const void *a, const void *b)
{
    const struct slu_store_command *x = *(struct slu_store_command *const *)a;
    const struct slu_store_command *y = *(struct slu_store_command *const *)b;
    unsigned rank = slu_store_verbs[x->verb].rank;
    size_t from = rank == 0 ? 1 : 0, to = rank == 0 ? 4 : rank == 1 ? 1 : 0;
    int order = 0;

    if (rank != slu_store_verbs[y->verb].rank)
        return rank < slu_store_verbs[y->verb].rank ? -1 : 1;
    /* begins by caller, scope and key, locks by name */
    for (size_t i = from; !order && i < to; i++)
        order = slu_str_cmp(x->param[i].text, y->param[i].text);
    return order ? order : x->number < y->number ? -1 : 1;
}

static void count_commit(struct slu_journal *journal, struct slu_store_command **batch,
                         size_t count)
{
    uint64_t writes = 0, reads = 0;

    for (size_t i = 0; i < count; i++)
        if (slu_store_verbs[batch[i]->verb].writes)
            writes += !is_chore(batch[i]);
        else
            reads++;
    atomic_fetch_add_explicit(&journal->reads, reads, memory_order_relaxed);
    if (!writes)
        return;
    journal->backoff_us = RETRY_FIRST_US;
    atomic_fetch_add_explicit(&journal->commits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&journal->writes, writes, memory_order_relaxed);
    if (writes > atomic_load_explicit(&journal->largest, memory_order_relaxed))
        atomic_store_explicit(&journal->largest, writes, memory_order_relaxed);
}

static enum slu_store_end run(struct slu_journal *journal, struct slu_store_command **batch,
                              size_t count, struct slu_fault *fault)
{
    enum slu_store_end end;

    for (size_t i = 0; i < count; i++)
        batch[i]->tried = true;
    atomic_store(&journal->began_us, slu_clock_mono_us());
    end = journal->engine->run(journal->state, batch, count, fault);
    atomic_store(&journal->began_us, 0);
    return end;
}

/* Those that were not executed wait again, before those that came later. */
static void put_back(struct slu_journal *journal, struct slu_store_command **batch, size_t count)
{
    struct list again;

    list_init(&again);
    for (size_t i = 0; i < count; i++)
        if (!is_chore(batch[i]))
            list_add(&again, batch[i]);
    list_move(&again, &journal->waiting);
    list_move(&journal->waiting, &again);
}

/* The engine took it back, unless only its answer could not be kept. */
static void refuse(struct slu_journal *journal, struct slu_store_command *command,
                   const struct slu_fault *fault)
{
    if (fault->kind == SLU_FAULT_UNAVAILABLE)
        slu_store_command_free(slu_take(command->undo));
    remember(journal, fault);
    fail(journal, command, fault);
}

/* One transaction, or one for each command when one of them is to blame. False when the store is
 * no good any more. */
static bool execute(struct slu_journal *journal, struct slu_store_command **batch, size_t count)
{
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};
    enum slu_store_end end = run(journal, batch, count, &fault);
    size_t i;

    switch (end) {
    case SLU_STORE_COMMITTED:
        count_commit(journal, batch, count);
        for (i = 0; i < count; i++)
            conclude(journal, batch[i]);
        return true;
    case SLU_STORE_REFUSED:
        if (count == 1) {
            refuse(journal, batch[0], &fault);
            return true;
        }
        for (i = 0; i < count; i++)
            if (!execute(journal, batch + i, 1)) {
                put_back(journal, batch + i + 1, count - i - 1);
                return false;
            }
        return true;
    case SLU_STORE_FAILED:
    case SLU_STORE_LOST:
        break;
    }
    put_back(journal, batch, count);
    not_writable(journal, end == SLU_STORE_LOST, &fault);
    return false;
}

/* It was renewed by a command that was sent at this time, so by the store's clock it ends no
 * earlier. What comes later than the old one's end leaves a gap in which others may have claimed.
 * Set in this order, since slu_journal_holds() reads in the other one. */
static void note_lease(struct slu_journal *journal, uint64_t sent_us)
{
    uint64_t now_us = slu_clock_mono_us();

    if (now_us >= atomic_load(&journal->held_until_us))
        atomic_store(&journal->held_since_us, now_us);
    atomic_store(&journal->held_until_us, sent_us + (uint64_t)journal->options.lease_ms * 1000);
}

/* The lease first: with it a store shows that it can be written, and only who has a lease may
 * begin or claim. A store that takes nothing else (a disk with a few bytes left) is tried less and
 * less often. */
static void renew(struct slu_journal *journal)
{
    struct slu_store_command *lease = journal->chores[CHORE_RENEW];
    uint64_t sent_us = slu_clock_mono_us();
    struct slu_fault why;

    lease->affected = 0;
    if (!execute(journal, &lease, 1))
        return;
    if (!lease->affected) {
        why = why_not(journal);
        not_writable(journal, true, &why);
        return;
    }
    note_lease(journal, sent_us);
    journal->renew_us = journal->now_us + (uint64_t)journal->options.lease_ms * 1000 / 3;
    if (atomic_exchange(&journal->writable, true))
        journal->backoff_us = RETRY_FIRST_US;
    else
        journal->writable_us = slu_clock_mono_us();
}

/* ---- a round of the thread */

static bool can_run(const struct slu_journal *journal, const struct slu_store_command *command)
{
    return slu_store_verbs[command->verb].writes ? atomic_load(&journal->writable)
                                                 : journal->state != NULL;
}

static bool has_waited_enough(const struct slu_journal *journal,
                              const struct slu_store_command *command)
{
    if (!journal->tried)
        return false;
    if (journal->give_up_us && journal->now_us >= journal->give_up_us)
        return true;
    switch (slu_store_verbs[command->verb].wait) {
    case SLU_STORE_AT_ONCE:
        return !command->tried || journal->now_us >= command->until_us;
    case SLU_STORE_PATIENT:
        return journal->now_us >= command->until_us;
    case SLU_STORE_KEPT:
        break;
    }
    return false;
}

/* When the store was away for all, the leases of the living have ended, too: who is back first
 * leaves the others as much time as a lease is long. */
static void allow_grace(const struct slu_journal *journal, struct slu_store_command *command)
{
    uint64_t lease_us = (uint64_t)journal->options.lease_ms * 1000;
    bool long_back = slu_clock_mono_us() - journal->writable_us >= lease_us;

    if (command->verb == SLU_STORE_CLAIM)
        command->param[SLU_STORE_CLAIM_GRACE].number = long_back ? 0 : journal->options.lease_ms;
}

/* Those that can be executed come into the group; those that have waited enough fail. */
static void sort_out(struct slu_journal *journal)
{
    struct slu_store_command *command = journal->waiting.first, *next;
    struct slu_fault why = {.kind = SLU_FAULT_NONE};
    struct list kept;

    list_init(&kept);
    list_init(&journal->waiting); /* what fails may add to it */
    journal->grouped = 0;
    for (; command; command = next) {
        next = command->next;
        if (!command->number)
            command->number = ++journal->numbered;
        if (can_run(journal, command) && journal->grouped < GROUP) {
            allow_grace(journal, command);
            journal->group[journal->grouped++] = command;
        } else if (!can_run(journal, command) && has_waited_enough(journal, command)) {
            if (why.kind == SLU_FAULT_NONE)
                why = why_not(journal);
            fail(journal, command, &why);
        } else {
            list_add(&kept, command);
        }
    }
    list_move(&kept, &journal->waiting);
    list_move(&journal->waiting, &kept);
}

/* Into the group, in small steps: the next one soon when there was much to do. */
static void add_chores(struct slu_journal *journal)
{
    bool much = journal->chores[CHORE_PRUNE]->affected == PRUNED_AT_ONCE;

    if (!atomic_load(&journal->writable) || journal->now_us < journal->prune_us)
        return;
    for (int i = CHORE_PRUNE; i <= CHORE_LOCKS; i++)
        journal->group[journal->grouped++] = journal->chores[i];
    journal->prune_us =
        journal->now_us + (much ? 20000 : (uint64_t)journal->options.chores_ms * 1000);
}

static uint64_t next_alarm(const struct slu_journal *journal)
{
    uint64_t at = journal->prune_us;

    if (!atomic_load(&journal->writable))
        at = journal->retry_us;
    else if (journal->renew_us < at)
        at = journal->renew_us;
    if (journal->waiting.first && at > journal->now_us + 20000)
        at = journal->now_us + 20000; /* somebody's patience may end */
    return at;
}

/* Takes what has come in; sleeps when there is nothing to do. */
static void collect(struct slu_journal *journal)
{
    uint64_t alarm_us = next_alarm(journal);
    bool idle = !journal->waiting.first || !journal->state || !atomic_load(&journal->writable);
    struct timespec at = {(time_t)(alarm_us / 1000000), (long)(alarm_us % 1000000) * 1000};

    pthread_mutex_lock(&journal->lock);
    journal->asleep = true;
    while (idle && !journal->queue.first && (!journal->stopping || journal->waiting.first) &&
           pthread_cond_timedwait(&journal->wake, &journal->lock, &at) == 0)
        continue;
    journal->asleep = false;
    if (journal->stopping && !journal->give_up_us)
        journal->give_up_us = slu_clock_mono_us() + (uint64_t)journal->options.patience_ms * 1000;
    list_move(&journal->waiting, &journal->queue);
    pthread_mutex_unlock(&journal->lock);
    journal->now_us = slu_clock_mono_us();
}

static void go_round(struct slu_journal *journal)
{
    bool due = journal->now_us >= journal->retry_us;

    if (!journal->complete && due)
        open_engine(journal);
    if (journal->complete && (atomic_load(&journal->writable) ? journal->now_us >= journal->renew_us
                                                              : due || !journal->renew_us))
        renew(journal);
    sort_out(journal);
    add_chores(journal);
    if (!journal->grouped)
        return;
    qsort(journal->group, journal->grouped, sizeof(*journal->group), by_rank);
    execute(journal, journal->group, journal->grouped);
}

static void *live(void *context)
{
    struct slu_journal *journal = context;

    journal->now_us = slu_clock_mono_us();
    while (!journal->give_up_us || journal->waiting.first) {
        go_round(journal);
        collect(journal);
    }
    if (atomic_load(&journal->writable))
        execute(journal, &journal->chores[CHORE_LEAVE], 1);
    close_engine(journal);
    return NULL;
}

/* ---- from outside */

static bool make_chores(struct slu_journal *journal, struct slu_fault *fault)
{
    struct slu_store_param owner = {SLU_STORE_TEXT, slu_journal_owner(journal), 0};
    struct slu_store_param lease = {SLU_STORE_NUMBER, SLU_STR_NONE, journal->options.lease_ms};
    struct slu_store_param step = {SLU_STORE_NUMBER, SLU_STR_NONE, PRUNED_AT_ONCE};
    struct slu_store_param kept = {SLU_STORE_NUMBER, SLU_STR_NONE, OWNER_KEPT_MS};
    const struct {
        enum slu_store_verb verb;
        size_t count;
        struct slu_store_param params[2];
    } rows[CHORES] = {
        [CHORE_RENEW] = {SLU_STORE_RENEW, 2, {owner, lease}},
        [CHORE_PRUNE] = {SLU_STORE_PRUNE, 1, {step}},
        [CHORE_OWNERS] = {SLU_STORE_PRUNE_OWNERS, 1, {kept}},
        [CHORE_LOCKS] = {SLU_STORE_PRUNE_LOCKS, 1, {kept}},
        [CHORE_LEAVE] = {SLU_STORE_LEAVE, 1, {owner}},
    };

    for (size_t i = 0; i < CHORES; i++)
        if (!(journal->chores[i] =
                  slu_store_command_new(rows[i].verb, rows[i].params, rows[i].count, fault)))
            return false;
    return true;
}

static bool set_up(struct slu_journal *journal, const struct slu_journal_options *options,
                   struct slu_fault *fault)
{
    struct slu_journal_options *own = &journal->options;
    struct slu_str place = options->sqlite.n ? options->sqlite : options->postgresql;
    unsigned char random[SLU_OPERATION_ID / 2];

    if (!options->sqlite.n == !options->postgresql.n || memchr(place.p, '\0', place.n))
        return slu_fault_set(fault, SLU_FAULT_CONFIG, "/store",
                             "one of \"sqlite\" (a path) and \"postgresql\" (a connection string)");
    if (!slu_random(random, sizeof(random)))
        return slu_fault_set(fault, SLU_FAULT_INTERNAL, "store",
                             "the kernel gives no random bytes");
    slu_hex_write(journal->owner, random, sizeof(random));
    *own = *options;
    journal->migrations = slu_store_migrations;
    journal->backoff_us = RETRY_FIRST_US;
    if (!own->retention_ms)
        own->retention_ms = (int64_t)SLU_JOURNAL_RETENTION_S * 1000;
    if (!own->lease_ms)
        own->lease_ms = 10000;
    if (!own->patience_ms)
        own->patience_ms = 2000;
    if (!own->chores_ms)
        own->chores_ms = 10000;
    if (!own->most_queued)
        own->most_queued = 8192;
    journal->place = slu_mem_text(place.p, place.n);
    *(options->sqlite.n ? &own->sqlite : &own->postgresql) =
        (struct slu_str){journal->place, place.n};
    return journal->place ? make_chores(journal, fault) : slu_fault_memory(fault);
}

static void free_parts(struct slu_journal *journal)
{
    for (size_t i = 0; i < CHORES; i++)
        slu_store_command_free(journal->chores[i]);
    if (journal->place)
        slu_wipe(journal->place, strlen(journal->place));
    slu_mem_free(journal->place);
    pthread_mutex_destroy(&journal->lock);
    pthread_cond_destroy(&journal->wake);
    slu_mem_free(journal);
}

struct slu_journal *slu_journal_new(const struct slu_journal_options *options,
                                    struct slu_fault *fault)
{
    return slu_store_journal_new(options->sqlite.n ? &slu_store_sqlite : &slu_store_postgresql,
                                 options, fault);
}

struct slu_journal *slu_store_journal_new(const struct slu_store_engine *engine,
                                          const struct slu_journal_options *options,
                                          struct slu_fault *fault)
{
    struct slu_journal *journal = slu_mem_new(sizeof(*journal));
    pthread_condattr_t monotonic;

    if (!journal) {
        slu_fault_memory(fault);
        return NULL;
    }
    journal->engine = engine;
    list_init(&journal->queue);
    list_init(&journal->waiting);
    pthread_condattr_init(&monotonic); /* none of these four can fail on Linux */
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->wake, &monotonic);
    pthread_mutex_init(&journal->lock, NULL);
    if (!set_up(journal, options, fault)) {
        free_parts(journal);
        return NULL;
    }
    if (pthread_create(&journal->thread, NULL, live, journal) != 0) {
        slu_fault_set(fault, SLU_FAULT_INTERNAL, "store", "the store thread cannot be started");
        free_parts(journal);
        return NULL;
    }
    return journal;
}

void slu_journal_free(struct slu_journal *journal)
{
    if (!journal)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->stopping = true;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    free_parts(journal);
}

struct slu_str slu_journal_owner(const struct slu_journal *journal)
{
    return (struct slu_str){journal->owner, sizeof(journal->owner)};
}

uint32_t slu_journal_lease_ms(const struct slu_journal *journal)
{
    return (uint32_t)journal->options.lease_ms;
}

bool slu_journal_is_shared(const struct slu_journal *journal)
{
    return journal->engine->shared;
}

bool slu_journal_holds(const struct slu_journal *journal, uint64_t at_us)
{
    uint64_t until_us = atomic_load(&journal->held_until_us);
    uint64_t left_us = (uint64_t)journal->options.lease_ms * 1000 / 3;

    return at_us >= atomic_load(&journal->held_since_us) &&
           slu_clock_mono_us() + left_us < until_us;
}

static void enqueue(struct slu_journal *journal, struct slu_store_command *command)
{
    bool wakes;

    pthread_mutex_lock(&journal->lock);
    slu_must(!journal->stopping);
    list_add(&journal->queue, command);
    wakes = journal->asleep;
    journal->asleep = false;
    pthread_mutex_unlock(&journal->lock);
    if (wakes)
        pthread_cond_signal(&journal->wake);
}

/* How long the engine has been at what it does now. */
static int64_t busy_ms(struct slu_journal *journal)
{
    uint64_t began_us = atomic_load(&journal->began_us), now_us = slu_clock_mono_us();

    return began_us && now_us > began_us ? (int64_t)((now_us - began_us) / 1000) : 0;
}

/* False, with a fault, while the engine does not come back. */
static bool is_moving(struct slu_journal *journal, struct slu_fault *fault)
{
    int64_t ms = busy_ms(journal);

    return ms < STALLED_MS ||
           slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, journal->engine->name,
                         "what the journal does has taken %lld ms and is not over: its disk or its "
                         "server does not answer",
                         (long long)ms);
}

/* Into the queue, unless it is full: what begins or reads finds it full earlier than what tells the
 * end of something. */
static bool hand_over(struct slu_journal *journal, struct slu_store_command *command,
                      slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    size_t most = journal->options.most_queued;

    if (!command)
        return false;
    if (slu_store_verbs[command->verb].wait == SLU_STORE_AT_ONCE && !is_moving(journal, fault)) {
        slu_store_command_free(command);
        return false;
    }
    if (slu_store_verbs[command->verb].wait != SLU_STORE_AT_ONCE)
        most *= 2;
    if (atomic_fetch_add_explicit(&journal->queued, 1, memory_order_relaxed) >= most) {
        atomic_fetch_sub_explicit(&journal->queued, 1, memory_order_relaxed);
        slu_store_command_free(command);
        return slu_fault_set(fault, SLU_FAULT_UNAVAILABLE, journal->engine->name,
                             "the journal has %zu commands to do already; try again later", most);
    }
    command->done = done;
    command->user = user;
    command->until_us = slu_clock_mono_us() + (uint64_t)journal->options.patience_ms * 1000;
    enqueue(journal, command);
    return true;
}

bool slu_journal_begin(struct slu_journal *journal, const struct slu_record *record,
                       slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    return hand_over(
        journal,
        slu_store_begin(slu_journal_owner(journal), record, journal->options.retention_ms, fault),
        done, user, fault);
}

void slu_journal_take_back(struct slu_journal *journal, struct slu_journal_reply *done)
{
    struct slu_store_command *command = (struct slu_store_command *)done;
    struct slu_store_command *undo = slu_take(command->undo);

    slu_must(undo && done->outcome == SLU_JOURNAL_DONE);
    undo->done = forget;
    atomic_fetch_add_explicit(&journal->queued, 1, memory_order_relaxed);
    enqueue(journal, undo);
    slu_journal_reply_free(done);
}

bool slu_journal_note(struct slu_journal *journal, const struct slu_record *record,
                      slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    return hand_over(journal, slu_store_note(slu_journal_owner(journal), record, fault), done, user,
                     fault);
}

bool slu_journal_settle(struct slu_journal *journal, const struct slu_record *record, bool unbind,
                        slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    return hand_over(journal,
                     slu_store_settle(slu_journal_owner(journal), record, unbind,
                                      journal->options.retention_ms, fault),
                     done, user, fault);
}

bool slu_journal_withdraw(struct slu_journal *journal, struct slu_str id, slu_journal_done_fn *done,
                          void *user, struct slu_fault *fault)
{
    return hand_over(journal, slu_store_discard(slu_journal_owner(journal), id, fault), done, user,
                     fault);
}

bool slu_journal_find(struct slu_journal *journal, struct slu_str caller, struct slu_str scope,
                      struct slu_str key, slu_journal_done_fn *done, void *user,
                      struct slu_fault *fault)
{
    return hand_over(journal, slu_store_find(caller, scope, key, fault), done, user, fault);
}

bool slu_journal_get(struct slu_journal *journal, struct slu_str id, struct slu_str caller,
                     slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    return hand_over(journal, slu_store_get(id, caller, fault), done, user, fault);
}

bool slu_journal_removed(struct slu_journal *journal, struct slu_str scope, struct slu_str id,
                         slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    return hand_over(journal, slu_store_removed(scope, id, fault), done, user, fault);
}

bool slu_journal_list(struct slu_journal *journal, const struct slu_journal_filter *filter,
                      slu_journal_done_fn *done, void *user, struct slu_fault *fault)
{
    return hand_over(journal, slu_store_list(filter, fault), done, user, fault);
}

bool slu_journal_claim(struct slu_journal *journal, size_t most, slu_journal_done_fn *done,
                       void *user, struct slu_fault *fault)
{
    return hand_over(journal, slu_store_claim(slu_journal_owner(journal), most, fault), done, user,
                     fault);
}

bool slu_journal_lock(struct slu_journal *journal, struct slu_str name, struct slu_str holder,
                      int64_t hold_ms, slu_journal_done_fn *done, void *user,
                      struct slu_fault *fault)
{
    return hand_over(journal,
                     slu_store_lock(slu_journal_owner(journal), name, holder, hold_ms, fault), done,
                     user, fault);
}

void slu_journal_unlock(struct slu_journal *journal, struct slu_journal_reply *granted)
{
    slu_journal_take_back(journal, granted);
}

void slu_journal_health(struct slu_journal *journal, struct slu_journal_health *ret_health)
{
    struct slu_fault stalled = {.kind = SLU_FAULT_NONE};

    pthread_mutex_lock(&journal->lock);
    *ret_health = (struct slu_journal_health){.fault = journal->last};
    pthread_mutex_unlock(&journal->lock);
    ret_health->writable = atomic_load(&journal->writable);
    ret_health->readable = atomic_load(&journal->readable);
    ret_health->commits = atomic_load(&journal->commits);
    ret_health->writes = atomic_load(&journal->writes);
    ret_health->reads = atomic_load(&journal->reads);
    ret_health->largest = atomic_load(&journal->largest);
    ret_health->failures = atomic_load(&journal->failures);
    ret_health->pruned = atomic_load(&journal->pruned);
    ret_health->queued = atomic_load(&journal->queued);
    ret_health->stalled_ms = busy_ms(journal);
    if (!is_moving(journal, &stalled)) {
        ret_health->writable = false;
        ret_health->fault = stalled;
    }
}
