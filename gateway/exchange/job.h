/*
 * A job: one canonical operation carried out on one target, whatever number of native calls that
 * takes. An exchange has one job, or one for each of several targets. What a job does is a
 * programme of acts (programme.c); an act is one operation of the target's table with its steps,
 * and what follows it until it is over.
 *
 *   plan        which act comes next, if any
 *   turn        where the table says so, only one write at a time touches a flow log
 *   lock        the same between replicas
 *   fetch       the target's scheme needs a token, and there is none that is good
 *   translate   the target's table makes the native request
 *   admit       the target's guards let it through
 *   fence       a write is still ours: by the lease, or by a note in the journal
 *   sign        the target's seal is put on it; it carries its time, so it is never used again
 *   send        the cloud has it; we wait
 *   normalise   its reply becomes the canonical answer, or the canonical error
 *   imitate     in place of turn to normalise when the target is the memory cloud
 *   settle      an asynchronous change is looked at again until it or the patience is over
 *   pause       an attempt has failed, and the same is worth another
 *   find        a write of unknown end is looked for before it is repeated
 *   over        told to the exchange
 *
 * Only exchange/ includes this. A job lives in its exchange's arena and on one worker's thread.
 */
#ifndef SLU_EXCHANGE_JOB_H
#define SLU_EXCHANGE_JOB_H

#include "cloud/faults.h"
#include "cloud/guards.h"
#include "cloud/tokens.h"
#include "exchange/wake.h"
#include "net/upstream.h"

struct slu_exchange;
struct slu_journal_reply;
struct slu_letter;
struct slu_lock;
struct slu_station;
struct slu_turn;

enum slu_job_step {
    JOB_PLAN,
    JOB_TURN,
    JOB_LOCK,
    JOB_FETCH,
    JOB_TRANSLATE,
    JOB_ADMIT,
    JOB_FENCE,
    JOB_SIGN,
    JOB_SEND,
    JOB_NORMALISE,
    JOB_IMITATE,
    JOB_SETTLE,
    JOB_PAUSE,
    JOB_FIND,
    JOB_OVER,
    JOB_STEP_COUNT,
    JOB_WAIT = JOB_STEP_COUNT
};

/*
 * Which part of the target's list is wanted. Rows are canonical flow logs that pass the filters.
 * The walk begins at `position` (the target's own; empty: at the beginning) and leaves out what
 * stands before: `skip` rows, or all rows up to and with the one whose id is `after`.
 */
struct slu_list_wish {
    const struct slu_filter *filters;
    size_t filter_count;
    /* how the caller is told of a row, where that is not as the cloud tells it: rows are filtered
     * and kept as they are told; NULL on no memory */
    struct slu_value *(*told)(void *user, struct slu_arena *arena, const struct slu_value *row);
    void *told_user;
    const struct slu_filter *sent; /* with `told`: what the cloud may filter by meanwhile */
    size_t sent_count;
    uint32_t size;           /* most rows; 0: all */
    struct slu_str position; /* of the target's own paging */
    uint32_t begin; /* rows at the head of that native page which were told before, up to `last` */
    uint64_t skip;
    struct slu_str after;
    bool total;     /* count what passes, to the end of the list */
    bool fill;      /* walk until the page is full, and not only as long as it pays */
    uint32_t width; /* of the native pages, where their numbers depend on it; 0: as it suits */
    /* what the page before ended with, so that a list that moved meanwhile is noticed */
    struct slu_str last;
    bool knows_total;
    uint64_t last_total;
};

/* What became of it; beside the rows in slu_job.flow_log, an array. */
struct slu_list_end {
    struct slu_str next; /* where to go on; the list is at its end where this is empty and: */
    uint32_t begin;      /* rows of that native page which are told by now */
    uint32_t width;      /* of the native pages walked */
    bool has_total;
    uint64_t total;
    struct slu_str last; /* id of the last row that was taken of the last native page */
    bool knows_native_total;
    uint64_t native_total;
    bool found_after; /* `after` was met */
    bool more;        /* further rows were seen */
    /* the walk's own */
    uint64_t passed;     /* rows that passed the filters */
    uint64_t before;     /* rows on the pages before the one at which it was seen that it moved */
    bool rewound, again; /* an earlier page is read once more, since the list has moved */
};

enum { SLU_JOB_REQUEST_IDS = 8 };

/* What the jobs of an exchange know and tell of their operation's record in the journal. */
struct slu_entry {
    struct slu_exchange *x;
    struct slu_str claim;
    uint64_t ours_us; /* when the last begin or note that was done was handed over; 0: a claim */
    int64_t attempts; /* native writes of a life before this one */
    struct slu_value *upstream;        /* and what the clouds called them; or NULL */
    struct slu_str token, fingerprint; /* of the last native write */
    bool lost;                         /* another process goes on with it, and settles it */
};

struct slu_job_spent { /* on the wire */
    uint32_t calls;
    uint64_t cloud_us, bytes_out, bytes_in;
};

struct slu_job {
    struct slu_station *station;
    struct slu_arena *arena;
    const struct slu_target *target;
    const struct slu_table *like; /* the door's table: how the memory cloud behaves; or NULL */
    struct slu_str request_id, trace_id, trace_flags;
    void (*over)(struct slu_job *job, void *user); /* once, perhaps before start() returns */
    void *user;

    /* what is wanted */
    enum slu_operation operation;
    struct slu_str id;           /* of the flow log */
    struct slu_value *canonical; /* create: the flow log; update: a merge patch, enabled with it */
    struct slu_list_wish list;
    struct slu_str if_match; /* the header's value, or empty */
    bool dry_run;            /* gather requests in `shown`, send nothing */
    bool trial;              /* a dry run of which the end alone is wanted */
    bool replace;            /* an update may make a new flow log in place of this one */
    bool resumes;            /* was under way when the gateway ended: looked for, not sent again */
    bool noted;              /* there, what was made in place of another one: `successor_id` */
    bool verify;             /* a delete looks whether the flow log is gone */
    bool settles;            /* wait for the final state, at most patience_ms */
    uint32_t patience_ms;
    uint64_t caller_until_us; /* so long a caller waits who has said so; 0: as it takes */
    bool whole; /* where the cloud only confirms a write, look at the flow log for the answer */
    struct slu_str token;    /* the caller's idempotency token for the cloud; empty: one of ours */
    struct slu_entry *entry; /* the exchange's; NULL: nothing is recorded */
    bool follows;            /* other writes of the operation were sent before */

    /* what is being done about it */
    enum slu_job_step step;
    bool resuming, started, ended, left, call_is_back, timer_ready;
    size_t phase;
    enum slu_operation act;     /* the operation of the act under way */
    enum slu_operation asking;  /* the native operation: a look while the act settles */
    struct slu_value *document; /* of the act */
    size_t native_step;
    bool looking; /* the act is over; `asking` is the look at what it made */
    struct slu_vars *vars;
    struct slu_page page;
    struct slu_arena page_arena; /* of one native page of a list */
    struct slu_losses page_losses;
    bool paging;    /* page_arena is in use */
    uint32_t pages; /* native pages read */
    struct slu_request native;
    struct slu_call *call;
    struct slu_call_result result;
    struct slu_timer timer;
    uint64_t settle_until_us; /* 0: not begun */
    uint64_t pause_began_us;
    uint64_t look_began_us;
    bool pausing, saw; /* saw: what another job looked at was used */
    struct slu_turn *turn, *look_turn;
    struct slu_str serial; /* what the turn is for */
    struct slu_lock *lock; /* NULL: never asked for */
    bool has_turn, has_look, renewed;
    struct slu_tokens_turn *token_turn; /* NULL: never in the queue; context NULL: not now */
    struct slu_wake *token_wake;
    bool fetching, token_ready;
    uint64_t token_generation;
    struct slu_value *before;      /* the flow log as it was when a change began */
    struct slu_value *changes;     /* what of the merge patch is not so yet */
    struct slu_faults_order order; /* memory: what goes wrong with this act, on request */
    bool delayed;                  /* its delay is running */
    enum slu_trouble breaks;       /* how the connection of a door's client ends; NONE: as always */
    bool switch_off;               /* what is made has to be switched off afterwards */
    bool replacing;
    struct slu_value *successor; /* the new flow log, while the old one is removed */
    struct slu_str successor_id;
    uint64_t step_began_us;
    uint64_t spans_us[JOB_STEP_COUNT];

    /* the journal: fence.c */
    struct slu_letter *letter;
    struct slu_journal_reply *told;
    uint64_t noted_us, note_until_us;
    bool notes_later;           /* the store could not be written */
    struct slu_str fingerprint; /* of the native write under way */

    /* attempts: attempt.c, find.c */
    bool unknown;      /* it may have taken effect, and looking for it could not decide */
    bool decided;      /* a look was made, and a later one would say the same */
    unsigned made;     /* of the native call under way */
    uint64_t end_us;   /* of the whole operation, settling included */
    uint64_t until_us; /* after this nothing is sent again, and nothing looked for */
    int64_t sent_s;
    int64_t attempt_began_us; /* on the monotonic clock; before it was 0, after a restart */
    int64_t date_s;           /* of a look for another job: the last reply's Date; 0: none */
    struct slu_breaker_pass pass;
    struct slu_limit_turn place;
    struct slu_wake *place_wake;
    bool passed, admitting, admit_ready, clock_corrected, looks_for, finding;
    _Atomic uint32_t *wish; /* claims.c; NULL: no create is under way */
    bool hurried;           /* the call ends with the caller's time, and not with the target's */
    bool perhaps;           /* some attempt of this call may have taken effect */
    bool unsure;            /* some attempt of this act was: `perhaps`, before a look */
    bool futile;            /* the last one's answer would be the same again */
    struct slu_fault why;   /* of the last attempt */
    struct slu_outcome why_outcome;
    unsigned writes; /* native writes begun, by all acts and attempts */
    struct slu_str request_ids[SLU_JOB_REQUEST_IDS]; /* the cloud's own, of the latest of them */
    size_t request_id_count;
    struct slu_job *search;
    uint64_t find_until_us; /* 0: not looked yet */
    uint64_t latest_us;     /* of a look for another job: when that one must end; 0: none */

    /* what came of it */
    struct slu_fault fault;
    struct slu_mistakes *mistakes; /* the exchange's, or the job's own */
    struct slu_losses *losses;
    struct slu_outcome outcome; /* of the last native reply */
    struct slu_value *flow_log; /* canonical, as the cloud last told; of a list the array */
    struct slu_list_end list_end;
    struct slu_str old_id; /* replaced: the flow log that was there before */
    const char *done;      /* what has taken effect, for a person; or NULL */
    bool acted;            /* a write took effect, or may have */
    bool unchanged;        /* an update found everything as it was wished */
    int cloud_status;
    struct slu_job_spent spent;
    struct slu_value *shown; /* dry run: array of native requests */
    char ended_by;           /* '-', 'C', 'U', 'G' as in the access line */
    char ended_letter;       /* of the step that decided it */
};

/* NULL on no memory. `mistakes` and `losses` as above. */
SLU_NODISCARD struct slu_job *slu_job_new(struct slu_station *station, struct slu_arena *arena,
                                          const struct slu_target *target,
                                          enum slu_operation operation,
                                          struct slu_mistakes *mistakes, struct slu_losses *losses);
void slu_job_start(struct slu_job *job);
void slu_job_resume(struct slu_job *job);
/* The caller left: reads end, writes that may have reached the cloud go on to their end, but do not
 * wait for a final state that nobody hears of. */
void slu_job_leave(struct slu_job *job);
/* For `over`, where nothing follows. */
void slu_job_ignore(struct slu_job *job, void *user);
/* Gives back what is not the arena's; after over() was called, or before start(). */
void slu_job_done(struct slu_job *job);
/* The clock of deadlines: that of the loop, which stands during a turn. */
uint64_t slu_job_now_us(const struct slu_job *job);
struct slu_str slu_job_step_name(enum slu_job_step step);
/* The steps in which others are waited for. */
bool slu_job_step_waits(enum slu_job_step step);
bool slu_job_failed(const struct slu_job *job);
/* Ends the job with this fault (the first wins). */
enum slu_job_step slu_job_fail(struct slu_job *job, char who, enum slu_fault_kind kind,
                               const char *format, ...) SLU_PRINTF(4, 5);
enum slu_job_step slu_job_out_of_memory(struct slu_job *job);

/* serial.c: writes that must not overlap, in this process and between replicas */

enum slu_job_step slu_serial_turn(struct slu_job *job); /* the steps TURN */
enum slu_job_step slu_serial_lock(struct slu_job *job); /* and LOCK */
/* Is the lock, if one was needed, certainly held for as long as a call takes? */
bool slu_serial_holds(const struct slu_job *job);
void slu_serial_leave(struct slu_job *job);

/* attempt.c */

/* The operation begins: from now on it has the target's total time, or as long as its settling may
 * take where that is longer. What has begun to change something is finished within it; nothing is
 * repeated or looked for beyond the total time, nor beyond the caller's. */
void slu_attempt_clock(struct slu_job *job);
/* Until when the next call may be begun, and when it must have ended. */
uint64_t slu_attempt_begin_until_us(const struct slu_job *job);
uint64_t slu_attempt_call_until_us(const struct slu_job *job);
enum slu_job_step slu_attempt_admit(struct slu_job *job);
void slu_attempt_begin(struct slu_job *job);
/* 32 bits, for what is spread and need not be secret. */
uint32_t slu_attempt_random(const struct slu_job *job);
/* The clock that a signature is made with. */
int64_t slu_attempt_time(const struct slu_job *job);
/* A job that was under way before this process took it up: it has been so for this long. */
void slu_attempt_resume(struct slu_job *job, int64_t age_ms);
/* How long the first attempt of the write is ago. */
int64_t slu_attempt_age_s(const struct slu_job *job);
/* The call is back: the guards hear what that says about the target, whatever it says about the
 * request, and the place is free. */
void slu_attempt_tell(struct slu_job *job);
/* It is back, and well. */
void slu_attempt_good(struct slu_job *job);
/* The attempt failed as result and outcome say: JOB_PAUSE, or JOB_OVER when that was the last. */
enum slu_job_step slu_attempt_failed(struct slu_job *job);
enum slu_job_step slu_attempt_pause(struct slu_job *job);
/* A look has found that no attempt took effect: JOB_PAUSE before the next one, or JOB_OVER. */
enum slu_job_step slu_attempt_again(struct slu_job *job);
void slu_attempt_leave(struct slu_job *job);

/* fence.c: a native write leaves only while its operation is ours */

enum slu_job_step slu_fence(struct slu_job *job); /* the step FENCE */
void slu_fence_leave(struct slu_job *job);
/* Sets the native request's fingerprint: of what is sent, before it is signed; none on no memory.
 */
void slu_fence_print(struct slu_job *job);
/* The idempotency token that a native request for this operation carries, or none. */
struct slu_str slu_fence_token(const struct slu_job *job, enum slu_operation operation);
/* Sets job->token to a digest of the text, as long as the target takes it; not where it takes none.
 * False on no memory. */
SLU_NODISCARD bool slu_fence_bind_token(struct slu_job *job, struct slu_str text);
/* For the record: the write leaves now. */
void slu_fence_sending(struct slu_job *job);

/* find.c */

bool slu_find_possible(const struct slu_job *job);
/* Of a look that failed: it may do better later. A refusal is not asked for again and again. */
bool slu_find_may_pass(enum slu_fault_kind kind);
/* What the write has at this pointer; NULL: nothing. */
const struct slu_value *slu_find_wanted(struct slu_job *job, struct slu_str pointer);
enum slu_job_step slu_find(struct slu_job *job);
/* What a write of this kind did is not to be seen: JOB_PAUSE before the next look while the cloud
 * may not show it yet, JOB_PLAN when it would, JOB_OVER without time to wait for that. */
enum slu_job_step slu_find_wait(struct slu_job *job, enum slu_operation operation);
/* Is it on its way to be deleted? */
bool slu_find_is_going(const struct slu_value *flow_log);
void slu_find_leave(struct slu_job *job);

/*
 * resume.c: a write that was under way when the gateway ended. It is `unknown` what it did until a
 * look has decided that.
 */

/* In place of sending the create. */
enum slu_job_step slu_resume_create(struct slu_job *job);
/* A delete was looked at. */
enum slu_job_step slu_resume_delete(struct slu_job *job);
/* A change is not seen to have acted: as slu_find_wait(), and what is told when it would be. */
enum slu_job_step slu_resume_wait(struct slu_job *job);
enum slu_job_step slu_resume_refuse(struct slu_job *job);
/* The new flow log was noted: it stands, and the old one has to go. */
void slu_resume_noted(struct slu_job *job);
/* The flow log that was to be changed, or replaced, is gone. */
enum slu_job_step slu_resume_gone(struct slu_job *job);
/* The record does not say what was asked for. */
enum slu_job_step slu_resume_unreadable(struct slu_job *job);
/* The job is over: where nobody knows what it did, the fault says so. */
void slu_resume_tell(struct slu_job *job);

/* programme.c: the acts of each operation */

/* Prepares the next act; JOB_OVER when there is none. */
enum slu_job_step slu_programme_next(struct slu_job *job);
/* The act has taken effect: what that means for the job. Also for a look that found nothing. */
enum slu_job_step slu_programme_after(struct slu_job *job);
/* The job is over: what its acts came to as a whole. */
void slu_programme_end(struct slu_job *job);
/* A reply of NOT_FOUND is what this act hoped for. */
bool slu_programme_hopes_for_nothing(const struct slu_job *job);
/* Do further acts follow that change the flow log? */
bool slu_programme_goes_on(const struct slu_job *job);
/* Is this one of the statuses in which a change is still under way? */
bool slu_status_moves(const struct slu_value *flow_log);

/* list.c: walking the pages of a target's list */

/* Prepares the next native page; false when the walk is at its end. */
bool slu_list_ask(struct slu_job *job);
/* Takes the rows of a native page. */
enum slu_job_step slu_list_take(struct slu_job *job);

/* imitate.c: the memory cloud as a target */
enum slu_job_step slu_imitate(struct slu_job *job);
const struct slu_poll *slu_imitate_poll(void);

/* settle.c: the wait for a final state */
enum slu_job_step slu_settle(struct slu_job *job);
/* Is a wait for the end of this act wanted, and is there anything to wait for? */
bool slu_settle_wanted(const struct slu_job *job);
/* The caller left: what was done is done, and nobody waits for what becomes of it. */
bool slu_settle_unheard(const struct slu_job *job);
/* Does what comes next depend on the end of this act? */
bool slu_settle_must(const struct slu_job *job);
/* A look has come to its end: others who wait may use what it saw. */
void slu_settle_looked(struct slu_job *job);
/* The look was only for a fuller answer: it failed, and what is known has to do. */
bool slu_settle_optional(const struct slu_job *job);
/* The cloud does not show yet what was made: looks again in a while. */
enum slu_job_step slu_settle_unseen(struct slu_job *job);
/* There was no time for the look's answer: what is known has to do, where nothing depends on it. */
bool slu_settle_late(const struct slu_job *job);
enum slu_job_step slu_settle_give_up(struct slu_job *job);
/* How the end of the act is waited for; NULL: it is over with its reply. */
const struct slu_poll *slu_settle_poll(const struct slu_job *job);

/* fetch.c: tokens */
enum slu_job_step slu_fetch(struct slu_job *job);
/* The job ends, or needs no token any more. */
void slu_fetch_leave(struct slu_job *job);
/* The cloud refused the token: true when a new one is worth one more try. */
bool slu_fetch_again(struct slu_job *job);

/*
 * removals.c: flow logs that were removed in this last hour by a delete of ours, whoever heard of
 * its end; so that a repeat of it succeeds. The journal, where there is one, knows of them longer.
 */
/* A delete found nothing, and it was not this one that removed it. */
bool slu_removals_doubt(const struct slu_job *job);
void slu_removals_note(const struct slu_job *job);
bool slu_removals_know(const struct slu_job *job);

/* etag.c */
enum { SLU_ETAG_SIZE = 34 };
/* A strong entity tag of the flow log as told, with its quotes; empty on no memory. */
struct slu_str slu_etag(struct slu_arena *arena, const struct slu_value *flow_log);
/* RFC 9110 §13.1.1: does the If-Match list have this tag (or is it "*")? */
bool slu_etag_matches(struct slu_str if_match, struct slu_str tag);

#endif
