/*
 * The journal: every write is recorded before its first byte leaves and settled after its end, so
 * that a crash at any point leaves something to go on from. One contract, two engines: SQLite (a
 * file of this process alone) and PostgreSQL (shared by several replicas).
 *
 * One store thread does all I/O. A caller hands over a command, which is copied, and gets `done`
 * called ON THE STORE THREAD later, exactly once, with a reply that it then owns; `done` posts and
 * returns. Commands that queue up meanwhile are executed in one transaction and committed together,
 * so `done` with success means: on the disk. Commands that are under way at the same time may be
 * executed in any order, except those of one operation.
 *
 * When the store cannot be written, slu_journal_begin and slu_journal_lock fail at once; notes and
 * claims wait a little (`patience_ms`) for it to come back; what tells the end of something
 * (settle, withdraw, unlock) waits until it is recorded or the journal is closed. Reads go on as
 * long as the engine can. The thread tries again by itself, for ever. While the engine does not
 * come back (a stalled disk), what is under way and what was queued waits with it; after five
 * seconds begins, locks and reads are not taken any more.
 *
 * Who owns what: each process has an owner's name, drawn when the journal is made, and a lease in
 * the store, which the store thread renews. A record belongs to the owner that began or claimed it;
 * a note or settle by another owner, or under another claim (what was lost may have come back), has
 * no effect and is told (NONE). The store's clock counts, not the replicas'. A process that has
 * just reached the store claims nothing of an owner whose lease ended less than a lease ago: it may
 * have been the store that was away. A SQLite file belongs to one process at a time (a lock beside
 * it), so there all other owners are dead.
 */
#ifndef SLU_STORE_JOURNAL_H
#define SLU_STORE_JOURNAL_H

#include "base/fault.h"

struct slu_journal;

enum { SLU_OPERATION_ID = 32 }; /* hexadecimal digits of an operation's id */

enum slu_record_state {
    SLU_RECORD_RUNNING,
    SLU_RECORD_SUCCEEDED,
    SLU_RECORD_FAILED,
    SLU_RECORD_UNKNOWN,
    SLU_RECORD_STATES
};
const char *slu_record_state_name(enum slu_record_state state); /* "running", … */
SLU_NODISCARD bool slu_record_state_of(struct slu_str word, enum slu_record_state *ret_state);

/* One write. A text with a NULL pointer is none, which is not the empty text. UTF-8 without NUL. */
struct slu_record {
    struct slu_str id;          /* 32 hex digits; ids that grow with time keep the store compact */
    struct slu_str caller;      /* its name */
    struct slu_str scope;       /* method and path */
    struct slu_str key;         /* Idempotency-Key, or none; none again once it was unbound */
    struct slu_str digest;      /* SHA-256 of the canonical request */
    struct slu_str targets;     /* names, one a line, no newline at the end */
    struct slu_str operation;   /* its word */
    struct slu_str flow_log_id; /* as soon as it is known */
    struct slu_str request;     /* canonical JSON */
    struct slu_str wishes;      /* JSON, what else the request asked for */
    struct slu_str token;       /* the cloud's own idempotency token, as sent last */
    struct slu_str fingerprint; /* SHA-256 of the native write that was sent last, unsigned */
    struct slu_str parts;       /* JSON, one part a target */
    struct slu_str upstream;    /* JSON, the clouds' request ids, one a native write */
    int64_t attempts;           /* native writes; while it runs one more than was sent, perhaps */
    enum slu_record_state state;
    int64_t status; /* the answer: HTTP status, header fields as JSON, body */
    struct slu_str headers;
    struct slu_str body;
    int64_t created_ms, updated_ms; /* by the caller's clock; of what was claimed, when */
    int64_t begun_ms;               /* by the store's: as created_ms, and not given by the caller */
    int64_t expires_ms;             /* by the store's: settled and pruned after this; else 0 */
    struct slu_str owner;
    struct slu_str claim; /* by which it became ours; none: it was begun */
};

enum slu_journal_outcome {
    SLU_JOURNAL_DONE,   /* recorded, found, granted */
    SLU_JOURNAL_EXISTS, /* begin: the key is bound; `records` is what it is bound to */
    SLU_JOURNAL_NONE,   /* get: no such; note, settle: not ours any more; lock: held by another */
    SLU_JOURNAL_FAILED, /* `fault` */
};

struct slu_journal_reply {
    enum slu_journal_outcome outcome;
    struct slu_fault fault;
    const struct slu_record *records; /* they live as long as the reply */
    size_t count;
    bool more; /* a list goes on */
};

/* The reply is the callee's. */
typedef void slu_journal_done_fn(struct slu_journal_reply *reply, void *user);
void slu_journal_reply_free(struct slu_journal_reply *reply);

enum { SLU_JOURNAL_RETENTION_S = 7 * 24 * 3600 };

/* Zero members take their defaults. One of the two texts is given. */
struct slu_journal_options {
    struct slu_str sqlite;     /* path of the file, made when it is not there */
    struct slu_str postgresql; /* connection string; its secrets never reach a fault */
    int64_t retention_ms;      /* of settled operations; 7 days; negative: none, for tests */
    int64_t lease_ms;          /* after which a dead owner's operations are claimed; 10 s */
    int64_t patience_ms;       /* 2 s */
    int64_t chores_ms;         /* between two steps of pruning; 10 s */
    size_t most_queued;        /* commands that begin or read; 8192 */
};

/* Starts the thread, which opens the store: whether that worked is told by slu_journal_health().
 * Commands handed over before wait for the first attempt. NULL for wrong options, on no memory or
 * no thread. */
SLU_NODISCARD struct slu_journal *slu_journal_new(const struct slu_journal_options *options,
                                                  struct slu_fault *fault);
/* What is queued is executed if the store lets it within the patience, and failed otherwise; every
 * `done` has been called when this returns. Nobody may hand over commands any more. The lease is
 * given back, so that what was left running can be claimed at once. */
void slu_journal_free(struct slu_journal *journal);
SLU_AUTO_DEFINE(slu_journal)

struct slu_str slu_journal_owner(const struct slu_journal *journal);
uint32_t slu_journal_lease_ms(const struct slu_journal *journal);
/* Can other processes work on the same store? */
bool slu_journal_is_shared(const struct slu_journal *journal);
/* Is what was ours at this time (slu_clock_mono_us(), when a begin, note or lock that was DONE was
 * handed over) ours since then without a gap, and for a third of the lease to come? At once, from
 * any thread; no I/O. True is certain, by this process's clock; false says nothing: a note tells.
 */
bool slu_journal_holds(const struct slu_journal *journal, uint64_t at_us);

/*
 * The commands. Each answers false, with a fault and without ever calling `done`, when the queue is
 * full or the engine does not come back (503 with a time to wait), when a text is not valid, or on
 * no memory.
 */

/* Records a new operation as running and ours. EXISTS when the same caller, scope and key are bound
 * already; atomic, also between replicas. Nothing may be sent before DONE. After FAILED nothing may
 * be sent, and whatever may have been recorded ends as failed, with no attempts, no answer and its
 * key free: somebody may have met it meanwhile. */
SLU_NODISCARD bool slu_journal_begin(struct slu_journal *journal, const struct slu_record *record,
                                     slu_journal_done_fn *done, void *user,
                                     struct slu_fault *fault);
/* For whoever has stopped waiting when DONE arrives (a stalled disk): ends what was begun and not
 * sent in the same way; unlocks what was locked. Cannot fail; the reply is the journal's. */
void slu_journal_take_back(struct slu_journal *journal, struct slu_journal_reply *done);
/* Before a further native write is sent: attempts and updated_ms, and those of token, fingerprint,
 * flow_log_id, parts, upstream that are given. NONE: the operation is not ours, send nothing. */
SLU_NODISCARD bool slu_journal_note(struct slu_journal *journal, const struct slu_record *record,
                                    slu_journal_done_fn *done, void *user, struct slu_fault *fault);
/* The end: state (not running) and answer, attempts and updated_ms, and those of token,
 * fingerprint, flow_log_id, parts, upstream that are given. `unbind` frees the key, for a failure
 * without effect that may be tried again; the operation stays readable. An operation that ended
 * unknown may be settled once more. */
SLU_NODISCARD bool slu_journal_settle(struct slu_journal *journal, const struct slu_record *record,
                                      bool unbind, slu_journal_done_fn *done, void *user,
                                      struct slu_fault *fault);
/* Takes out a running operation of ours of which nothing was sent, as if it had never begun. */
SLU_NODISCARD bool slu_journal_withdraw(struct slu_journal *journal, struct slu_str id,
                                        slu_journal_done_fn *done, void *user,
                                        struct slu_fault *fault);
/* What the key is bound to, as a begin would tell it, also while the store cannot be written. */
SLU_NODISCARD bool slu_journal_find(struct slu_journal *journal, struct slu_str caller,
                                    struct slu_str scope, struct slu_str key,
                                    slu_journal_done_fn *done, void *user, struct slu_fault *fault);
/* One operation; of any caller when that is none. */
SLU_NODISCARD bool slu_journal_get(struct slu_journal *journal, struct slu_str id,
                                   struct slu_str caller, slu_journal_done_fn *done, void *user,
                                   struct slu_fault *fault);

/* Has a delete of this scope, of any caller but not the operation `id`, had an effect, or may it
 * have? DONE or NONE. A failure counts unless its status says that the delete was refused: its
 * effect may have come late. */
SLU_NODISCARD bool slu_journal_removed(struct slu_journal *journal, struct slu_str scope,
                                       struct slu_str id, slu_journal_done_fn *done, void *user,
                                       struct slu_fault *fault);

enum { SLU_JOURNAL_PAGE = 1000 };

struct slu_journal_filter {
    struct slu_str caller;                   /* whose they are */
    struct slu_str state, target, operation; /* none: any */
    int64_t before_ms;        /* those after this one on a page: its created_ms … */
    struct slu_str before_id; /* … and id; none: the first page */
    size_t most;              /* 1 to SLU_JOURNAL_PAGE */
};

/* Newest first. Filters that hardly anything matches read all that the caller has. */
SLU_NODISCARD bool slu_journal_list(struct slu_journal *journal,
                                    const struct slu_journal_filter *filter,
                                    slu_journal_done_fn *done, void *user, struct slu_fault *fault);
/* Up to `most` unsettled operations whose owner's lease has ended become ours, each by exactly one
 * replica, the oldest first. They are `updated_ms` - `begun_ms` old. */
SLU_NODISCARD bool slu_journal_claim(struct slu_journal *journal, size_t most,
                                     slu_journal_done_fn *done, void *user,
                                     struct slu_fault *fault);
/* A name for one holder (an operation's id) among all replicas: until unlock, until `hold_ms` are
 * over, or until the holder's process has lost its lease. NONE while another holds it; the same
 * holder of the same process may lock again, which prolongs. Nobody queues here: try again. After
 * FAILED it is not held, or is given back. */
SLU_NODISCARD bool slu_journal_lock(struct slu_journal *journal, struct slu_str name,
                                    struct slu_str holder, int64_t hold_ms,
                                    slu_journal_done_fn *done, void *user, struct slu_fault *fault);
/* By the reply that was DONE, which is the journal's then. Cannot fail; what another holds by now
 * stays held. Whoever locks the name afterwards through this journal comes after it. */
void slu_journal_unlock(struct slu_journal *journal, struct slu_journal_reply *granted);

/* How it is, at once, from any thread; no I/O. */
struct slu_journal_health {
    bool writable;          /* false before the first opening, too */
    bool readable;          /* the engine is open */
    struct slu_fault fault; /* the last one, also when all is well again */
    uint64_t commits;       /* transactions that wrote */
    uint64_t writes;        /* commands in them */
    uint64_t reads;
    uint64_t largest;   /* writes in one commit */
    uint64_t failures;  /* transactions that the engine did not take, and failed openings */
    uint64_t pruned;    /* operations */
    uint64_t queued;    /* now */
    int64_t stalled_ms; /* how long the present transaction, or opening, takes already */
};
void slu_journal_health(struct slu_journal *journal, struct slu_journal_health *ret_health);

#endif
