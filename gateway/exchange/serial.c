/*
 * Writes that must not overlap: where a table says `serialize_by`, the whole job is one write, from
 * the look before the change to its end. It waits for its turn among the jobs of this process and
 * then, where replicas share the journal, for a lock there, which only who has the turn asks for. A
 * job holds one lock at most and has no place at a target yet while it waits, so nobody waits in a
 * circle and no other flow log is held up.
 *
 * The lock ends with the job, at the latest with the lease of this process.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"

enum {
    TURN_MOST_MS = 30000, /* then it is better to be told that others are changing this */
    ANSWER_MS = 5000,
    HOLD_LEASES = 6,    /* in leases: so long a lock is asked for, */
    PROLONG_LEASES = 2, /* prolonged after this time, */
    SPARE_LEASES = 2,   /* and so much must be left when something is sent */
    PAUSE_FIRST_MS = 10,
    PAUSE_LAST_MS = 160,
};

struct slu_lock {
    struct slu_str name;
    struct slu_letter *letter;                /* it is asked for, or prolonged */
    struct slu_journal_reply *told, *granted; /* granted: it is held, and given back by this */
    struct slu_timer timer;
    uint64_t until_us;           /* the wait for it ends */
    uint64_t asked_us, since_us; /* when the last question, and the last granted one, was sent */
    uint32_t pause_ms;
    bool pausing, ready;
};

/* The turn */

static void turn_is_there(void *argument)
{
    struct slu_job *job = argument;

    job->has_turn = true;
    job->timer_ready = false;
    slu_timer_stop(&job->timer);
    slu_job_resume(job);
}

/* The value at the pointer, in what the job is about; empty: nothing to take turns for. */
static struct slu_str turn_value(struct slu_job *job, struct slu_str pointer)
{
    const struct slu_value *value;
    struct slu_path path;

    if (slu_str_is(pointer, "/id"))
        return job->id;
    if (!pointer.n || !slu_path_read(job->arena, pointer, &path))
        return SLU_STR_NONE;
    value = slu_path_get(&path, job->canonical);
    return slu_value_is(value, SLU_STRING) ? value->text : SLU_STR_NONE;
}

static enum slu_job_step busy(struct slu_job *job)
{
    return slu_job_fail(job, 'G', SLU_FAULT_BUSY,
                        "other changes that must not overlap with this one are still under way; "
                        "nothing was sent");
}

static uint32_t turn_timeout_ms(const struct slu_job *job)
{
    uint64_t now = slu_job_now_us(job), left = job->until_us > now ? job->until_us - now : 0;

    return left / 1000 < TURN_MOST_MS ? (uint32_t)(left / 1000) + 1 : TURN_MOST_MS;
}

static enum slu_job_step wait_for_turn(struct slu_job *job)
{
    if (job->left)
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    return job->timer_ready ? busy(job) : JOB_WAIT;
}

static enum slu_job_step take_lock(const struct slu_job *job)
{
    const struct slu_journal *journal = job->station->worker->gateway->journal;
    bool shared = journal && slu_journal_is_shared(journal);

    return shared && !(job->lock && job->lock->granted) ? JOB_LOCK : JOB_FETCH;
}

enum slu_job_step slu_serial_turn(struct slu_job *job)
{
    struct slu_worker *worker = job->station->worker;
    struct slu_str value, key;
    bool now;

    if (job->has_turn)
        return take_lock(job);
    if (job->dry_run || !slu_operation_writes(job->operation))
        return JOB_FETCH;
    if (job->turn)
        return wait_for_turn(job);
    value = turn_value(job, slu_table_serialize_by(job->target->table, job->operation));
    if (!value.n)
        return JOB_FETCH;
    key =
        slu_arena_printf(job->arena, "write %.*s %.*s", SLU_FMT(job->target->name), SLU_FMT(value));
    job->turn =
        key.p ? slu_turn_ask(worker->gateway->turns, worker->loop, key, turn_is_there, job, &now)
              : NULL;
    if (!job->turn)
        return slu_job_out_of_memory(job);
    job->serial = value;
    job->has_turn = now;
    if (!now && !slu_timer_set(&job->timer, turn_timeout_ms(job)))
        return slu_job_out_of_memory(job);
    return now ? take_lock(job) : JOB_WAIT;
}

/* The lock */

static uint32_t leases_ms(const struct slu_job *job, uint32_t count)
{
    return count * slu_journal_lease_ms(job->station->worker->gateway->journal);
}

/* A recovered write that nobody could look at may have acted. */
static enum slu_job_step refuse(struct slu_job *job, const char *why)
{
    job->unknown |= job->resumes;
    job->outcome.retry_after_ms = 1000;
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE,
                        "the lock that keeps apart writes of several gateways cannot be had, so "
                        "nothing was sent: %s",
                        why);
}

static void told(struct slu_journal_reply *reply, void *user)
{
    struct slu_job *job = user;
    struct slu_lock *lock = job->lock;

    lock->letter = NULL;
    if (!lock->granted) {
        lock->told = reply;
        slu_job_resume(job);
        return;
    }
    /* without the lock nothing more is sent */
    lock->since_us = reply->outcome == SLU_JOURNAL_DONE ? lock->asked_us : 0;
    slu_journal_reply_free(reply);
}

/* False with the fault set, when the journal does not take the question. */
static bool ask(struct slu_job *job, struct slu_fault *fault)
{
    struct slu_worker *worker = job->station->worker;
    struct slu_lock *lock = job->lock;

    lock->letter = slu_letter_new(worker, true, told, job);
    if (!lock->letter)
        return slu_fault_memory(fault);
    lock->asked_us = slu_clock_mono_us();
    if (slu_journal_lock(worker->gateway->journal, lock->name, job->request_id,
                         leases_ms(job, HOLD_LEASES), slu_letter_answered, lock->letter, fault))
        return true;
    slu_mem_free(slu_take(lock->letter));
    return false;
}

static bool wait_ms(struct slu_lock *lock, uint32_t ms)
{
    lock->ready = false;
    return slu_timer_set(&lock->timer, ms);
}

static void timer_fired(void *argument)
{
    struct slu_job *job = argument;
    struct slu_lock *lock = job->lock;
    struct slu_fault fault = {0};

    lock->ready = true;
    if (!lock->granted) {
        slu_job_resume(job);
        return;
    }
    if (!lock->letter)
        (void)ask(job, &fault);
    (void)wait_ms(lock, leases_ms(job, PROLONG_LEASES));
}

static struct slu_lock *lock_new(struct slu_job *job)
{
    struct slu_lock *lock = slu_arena_zero(job->arena, sizeof(*lock));
    uint64_t now = slu_clock_mono_us();

    if (!lock)
        return NULL;
    lock->name =
        slu_arena_printf(job->arena, "%.*s %.*s", SLU_FMT(job->target->name), SLU_FMT(job->serial));
    lock->until_us = now + (uint64_t)TURN_MOST_MS * 1000;
    if (job->until_us < lock->until_us && !job->resumes)
        lock->until_us = job->until_us;
    lock->pause_ms = PAUSE_FIRST_MS;
    slu_timer_init(&lock->timer, job->station->worker->loop, timer_fired, job);
    return lock->name.p ? lock : NULL;
}

/* Another one has it. A random part of the pause, so that not all ask at once. */
static enum slu_job_step pause(struct slu_job *job, struct slu_lock *lock)
{
    uint64_t now = slu_clock_mono_us();
    uint32_t ms = lock->pause_ms / 2 + slu_attempt_random(job) % (lock->pause_ms / 2 + 1);

    if (now >= lock->until_us) {
        job->unknown |= job->resumes;
        return busy(job);
    }
    if (lock->pause_ms < PAUSE_LAST_MS)
        lock->pause_ms *= 2;
    lock->pausing = true;
    return wait_ms(lock, ms) ? JOB_WAIT : slu_job_out_of_memory(job);
}

static enum slu_job_step judge(struct slu_job *job, struct slu_lock *lock)
{
    enum slu_journal_outcome outcome = lock->told->outcome;
    struct slu_fault fault = lock->told->fault;

    if (outcome == SLU_JOURNAL_DONE)
        lock->granted = slu_take(lock->told);
    slu_journal_reply_free(slu_take(lock->told));
    if (outcome == SLU_JOURNAL_NONE)
        return pause(job, lock);
    if (outcome != SLU_JOURNAL_DONE)
        return refuse(job, fault.words);
    lock->since_us = lock->asked_us;
    return wait_ms(lock, leases_ms(job, PROLONG_LEASES)) ? JOB_FETCH : slu_job_out_of_memory(job);
}

enum slu_job_step slu_serial_lock(struct slu_job *job)
{
    struct slu_fault fault = {0};
    struct slu_lock *lock;

    if (!job->lock && !(job->lock = lock_new(job)))
        return slu_job_out_of_memory(job);
    lock = job->lock;
    if (lock->told)
        return judge(job, lock);
    if (job->left)
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (lock->letter)
        return lock->ready ? refuse(job, "the journal takes too long") : JOB_WAIT;
    if (lock->pausing && !lock->ready)
        return JOB_WAIT;
    lock->pausing = false;
    if (!wait_ms(lock, ANSWER_MS))
        return slu_job_out_of_memory(job);
    return ask(job, &fault) ? JOB_WAIT : refuse(job, fault.words);
}

bool slu_serial_holds(const struct slu_job *job)
{
    const struct slu_lock *lock = job->lock;

    return !lock || (slu_clock_mono_us() + (uint64_t)leases_ms(job, SPARE_LEASES) * 1000 <
                         lock->since_us + (uint64_t)leases_ms(job, HOLD_LEASES) * 1000 &&
                     slu_journal_holds(job->station->worker->gateway->journal, lock->since_us));
}

static void unlock(struct slu_job *job, struct slu_lock *lock)
{
    slu_letter_leave(&lock->letter);
    slu_timer_done(&lock->timer);
    if (lock->told && lock->told->outcome == SLU_JOURNAL_DONE)
        lock->granted = slu_take(lock->told);
    slu_journal_reply_free(slu_take(lock->told));
    if (lock->granted)
        slu_journal_unlock(job->station->worker->gateway->journal, slu_take(lock->granted));
}

void slu_serial_leave(struct slu_job *job)
{
    if (job->lock)
        unlock(job, job->lock);
    slu_turn_end(slu_take(job->turn));
}
