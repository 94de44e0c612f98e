/*
 * The fence: a native write leaves only while its operation is certainly ours. A process that has
 * lost its lease, and with it what it was doing, may be the last to hear of it; whoever has claimed
 * the operation has looked on the cloud already, and would not see what is sent afterwards.
 *
 * The rule: what was ours by the journal's word stays ours as long as the lease has been held since
 * then without a gap, which is known without I/O (slu_journal_holds()). The begin is the word for a
 * job's first write. Every further one (a repetition, a next act, an undo), and a first one that
 * the lease does not cover any more, is noted in the journal before it is sent.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/digest.h"
#include "codec/text.h"

enum {
    WAIT_MS = 5000, /* for a journal that stands still; its own patience is shorter */
    AGAIN_MS = 200,
    HALF_DONE_MS = 30000,
};

/* What is told of a write */

void slu_fence_print(struct slu_job *job)
{
    const struct slu_request *native = &job->native;
    char *hex = slu_arena_get(job->arena, SLU_SHA256_HEX);
    struct slu_str text = slu_arena_printf(
        job->arena, "%.*s\n%.*s\n%.*s\n%.*s\n%.*s", SLU_FMT(native->method), SLU_FMT(native->host),
        SLU_FMT(native->path), SLU_FMT(native->query), SLU_FMT(native->body));

    job->fingerprint = hex && text.p && slu_sha256_hex(text, hex)
                           ? (struct slu_str){hex, SLU_SHA256_HEX}
                           : SLU_STR_NONE;
}

struct slu_str slu_fence_token(const struct slu_job *job, enum slu_operation operation)
{
    if (job->target->memory || !slu_table_token(job->target->table, operation))
        return SLU_STR_NONE;
    return job->token.n ? job->token : job->request_id;
}

bool slu_fence_bind_token(struct slu_job *job, struct slu_str text)
{
    const struct slu_table *table = job->target->table;
    const struct slu_idempotency *place = NULL;
    unsigned char digest[SLU_SHA256_SIZE];
    char *hex = slu_arena_get(job->arena, SLU_SHA256_HEX);

    if (!hex || !text.p || !slu_sha256(text, digest))
        return false;
    if (!job->target->memory && !(place = slu_table_token(table, job->operation)))
        place = slu_table_token(table, SLU_OP_CREATE); /* of a replacement */
    if (!place)
        return true;
    slu_hex_write(hex, digest, sizeof(digest));
    job->token = (struct slu_str){hex, SLU_SHA256_HEX < place->most ? SLU_SHA256_HEX : place->most};
    return true;
}

void slu_fence_sending(struct slu_job *job)
{
    if (!job->entry)
        return;
    job->entry->token = slu_fence_token(job, job->asking);
    job->entry->fingerprint = job->fingerprint;
    job->follows = true;
}

/* The note */

static bool is_ours(const struct slu_job *job)
{
    return slu_journal_holds(job->station->worker->gateway->journal, job->entry->ours_us) &&
           slu_serial_holds(job);
}

/* What was sent before, and may have acted, is not taken back by what is not sent now. */
static enum slu_job_step refuse(struct slu_job *job, const char *why)
{
    const char *before = job->made ? job->why.words : "";

    job->unknown |= job->perhaps;
    job->outcome = (struct slu_outcome){.retry_after_ms = 1000};
    return slu_job_fail(job, 'G', SLU_FAULT_UNAVAILABLE, "%s, so it was not sent%s%s%s%s%s", why,
                        job->made ? " again" : "", before[0] ? " (before: " : "", before,
                        before[0] ? ")" : "",
                        job->perhaps ? "; what was sent may have taken effect" : "");
}

static void told(struct slu_journal_reply *reply, void *user)
{
    struct slu_job *job = user;

    job->letter = NULL;
    job->told = reply;
    slu_job_resume(job);
}

/* What is half done, or to be undone, waits for a store that cannot be written as long as its act
 * may take: what it leaves behind otherwise somebody has to clean up. */
static enum slu_job_step not_noted(struct slu_job *job, const char *why)
{
    bool half_done = job->done || job->verify;
    uint64_t now = slu_job_now_us(job);
    uint64_t least_us = (uint64_t)(SLU_RETRY_LEAST_MS + AGAIN_MS) * 1000;

    if (!half_done || now >= job->note_until_us || now + least_us >= job->until_us)
        return refuse(job, why);
    job->notes_later = true;
    job->timer_ready = false;
    return slu_timer_set(&job->timer, AGAIN_MS) ? JOB_WAIT : slu_job_out_of_memory(job);
}

static enum slu_job_step note(struct slu_job *job)
{
    struct slu_record record = slu_progress_record(job->entry->x, SLU_RECORD_RUNNING);
    struct slu_fault fault = {0};

    record.attempts++;
    record.token = slu_fence_token(job, job->asking);
    record.fingerprint = job->fingerprint;
    job->entry->x->noted = record.parts;
    job->noted_us = slu_clock_mono_us();
    job->timer_ready = job->notes_later = false;
    job->letter = slu_letter_new(job->station->worker, false, told, job);
    if (!record.parts.p || !job->letter || !slu_timer_set(&job->timer, WAIT_MS)) {
        slu_mem_free(slu_take(job->letter));
        return slu_job_out_of_memory(job);
    }
    if (slu_journal_note(job->station->worker->gateway->journal, &record, slu_letter_answered,
                         job->letter, &fault))
        return JOB_WAIT;
    slu_mem_free(slu_take(job->letter));
    return not_noted(job, fault.words);
}

static enum slu_job_step noted(struct slu_job *job)
{
    struct slu_entry *entry = job->entry;
    enum slu_journal_outcome outcome = job->told->outcome;
    struct slu_fault fault = job->told->fault;

    slu_timer_stop(&job->timer);
    slu_journal_reply_free(slu_take(job->told));
    if (outcome == SLU_JOURNAL_NONE) {
        entry->lost = true;
        return refuse(job, "another gateway has taken the write over and finishes it");
    }
    if (outcome != SLU_JOURNAL_DONE)
        return not_noted(job, fault.words);
    if (entry->ours_us < job->noted_us)
        entry->ours_us = job->noted_us;
    return is_ours(job) ? JOB_SIGN
                        : not_noted(job, "the lease or the lock in the journal is about to end");
}

enum slu_job_step slu_fence(struct slu_job *job)
{
    if (job->told)
        return noted(job);
    if (job->left && (!job->acted || job->station->worker->ending))
        return slu_job_fail(job, 'C', SLU_FAULT_TIMEOUT, "the caller left");
    if (job->letter && !job->timer_ready)
        return JOB_WAIT;
    if (job->letter) {
        slu_letter_leave(&job->letter);
        return not_noted(job, "the journal takes too long");
    }
    if (job->notes_later)
        return job->timer_ready ? note(job) : JOB_WAIT;
    slu_fence_print(job);
    job->note_until_us = slu_job_now_us(job) + (uint64_t)HALF_DONE_MS * 1000;
    return !job->follows && is_ours(job) ? JOB_SIGN : note(job);
}

void slu_fence_leave(struct slu_job *job)
{
    slu_letter_leave(&job->letter);
    slu_journal_reply_free(slu_take(job->told));
}
