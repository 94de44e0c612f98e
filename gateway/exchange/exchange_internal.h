/*
 * What the files of exchange/ share: the life of one request, the worker it lives on, and the
 * pieces that answer it. Nobody outside this folder includes this.
 */
#ifndef SLU_EXCHANGE_INTERNAL_H
#define SLU_EXCHANGE_INTERNAL_H

#include "base/budget.h"
#include "cloud/catalog.h"
#include "cloud/faults.h"
#include "cloud/memory.h"
#include "cloud/nonces.h"
#include "cloud/tokens.h"
#include "codec/params.h"
#include "exchange/job.h"
#include "exchange/metrics.h"
#include "exchange/turns.h"
#include "net/server.h"
#include "net/upstream.h"
#include "store/journal.h"

#include <pthread.h>
#include <stdlib.h>

/* worker.c: one thread */

/* What one worker keeps ready for one catalog: seals and connections. Lives as long as an exchange
 * of that catalog does. */
struct slu_station {
    struct slu_worker *worker;
    struct slu_catalog *catalog;
    unsigned references;
    struct slu_seal **seals;         /* by target; made at once */
    struct slu_upstream **upstreams; /* by target; made at once, NULL for memory */
    struct slu_fetching **fetching;  /* by target; NULL where the scheme needs no token */
    struct slu_door_seals *doors;    /* by door */
    struct slu_tls *tls;             /* client side, system store; made when a target needs it */
    struct slu_slot **slots;         /* metrics, by target */
    struct slu_guard **guards;       /* by target; NULL for memory */
    struct slu_station *next;        /* among the retired */
};

/* How a target's tokens are fetched, and which one this thread's seal has. */
struct slu_fetching {
    struct slu_upstream *upstream;
    struct slu_tokens_key key;
    uint64_t generation; /* 0: none yet */
};

/* The verifying seals of one door: [key * schemes + scheme]. */
struct slu_door_seals {
    struct slu_seal **seals;
    const struct slu_scheme **schemes; /* NULL-terminated, the table's */
    size_t scheme_count;
};

/* One listener as one worker has it. */
struct slu_front {
    struct slu_worker *worker;
    const char *address;
    bool is_door;
    size_t door; /* index in the catalog */
    struct slu_server *server;
};

struct slu_worker {
    struct slu_gateway *gateway;
    unsigned index;
    pthread_t thread;
    bool started;
    struct slu_loop *loop;
    struct slu_resolver *resolver;
    struct slu_station *station; /* of the catalog now in force */
    struct slu_station *retired; /* nobody's any more; freed at the end of the turn */
    struct slu_exchange *exchanges;
    struct slu_front *fronts;
    size_t front_count;
    struct slu_buf access; /* access lines of this turn */
    char id_prefix[17];    /* random; request ids and nonces are prefix + counter */
    uint64_t id_count;
    struct drand48_data dice; /* spreads pauses; nothing that has to be secret */
    uint32_t in_flight;       /* exchanges */
    _Atomic uint32_t shown_in_flight,
        shown_connections; /* of the last turn, for the admin listener */
    struct slu_timer drain_timer;
    uint64_t drain_until_us;
    bool draining;
    bool ending; /* the loop turns no more: nothing is waited for */
    bool ended;
    struct slu_recovery *recovery; /* of the first worker, where there is a journal */
    struct slu_revisit *revisits;  /* revisit.c */
    unsigned revisit_count, revisiting;
};

struct slu_gateway {
    struct slu_catalog *catalog;  /* the main thread's; others take it by slu_gateway_catalog() */
    pthread_mutex_t catalog_lock; /* held while the pointer is read elsewhere, or changes */
    struct slu_memory *memory;
    struct slu_faults *faults; /* of the memory cloud, on request */
    struct slu_metrics *metrics;
    struct slu_turns *turns;
    struct slu_claims *claims;
    struct slu_tokens *tokens;
    struct slu_nonces *nonces;
    struct slu_journal *journal; /* NULL: none is kept */
    struct slu_guards *guards;
    struct slu_budget *bodies;  /* memory of all bodies and replies under way */
    unsigned char page_key[32]; /* authenticates page tokens; random, of this process */
    struct slu_worker *workers;
    unsigned worker_count;
    struct slu_tls **front_tls; /* by listener, then by door; NULL without TLS */
    struct slu_server *admin;
    struct slu_loop *loop; /* of the admin listener's thread */
    _Atomic bool draining;
    _Atomic bool access_direct; /* standard output is a file: writing never waits */
    _Atomic unsigned running;   /* worker threads */
    pthread_t admin_thread;
    bool admin_started;
};

/* The catalog now in force, with a reference of the caller's; from any thread. */
SLU_NODISCARD struct slu_catalog *slu_gateway_catalog(struct slu_gateway *gateway);

SLU_NODISCARD bool slu_worker_init(struct slu_worker *worker, struct slu_gateway *gateway,
                                   unsigned index, struct slu_fault *fault);
/* Waits for its thread, and ends what is under way; the loop may still be written to. */
void slu_worker_end(struct slu_worker *worker);
void slu_worker_done(struct slu_worker *worker); /* after slu_worker_end() */
SLU_NODISCARD bool slu_worker_start(struct slu_worker *worker);
/* From the main thread. */
SLU_NODISCARD bool slu_worker_adopt(struct slu_worker *worker, struct slu_catalog *catalog);
void slu_worker_drain(struct slu_worker *worker);
SLU_NODISCARD struct slu_station *
slu_station_new(struct slu_worker *worker, struct slu_catalog *catalog, struct slu_fault *fault);
void slu_station_unref(struct slu_station *station);
/* 32 characters, never twice in the fleet: for requests and nonces. NULL pointer on no memory. */
struct slu_str slu_worker_fresh_id(struct slu_worker *worker, struct slu_arena *arena);

/* gateway.c: what all workers share; false on no memory. Both for the gateway and for tests. */
SLU_NODISCARD bool slu_gateway_share(struct slu_gateway *gateway);
void slu_gateway_unshare(struct slu_gateway *gateway);
/* Within which a signature's time and a nonce are taken: what the clouds themselves allow. */
enum { SLU_SKEW_S = 15 * 60 };

/* exchange.c: the life of one request */

/* What a request's memory, and that of a page of a list, may be without asking the common budget:
 * beyond what requests usually need, so that the budget is for those that need much. */
enum { SLU_OWN_BYTES = 65536 };
/* Where it is spent: the words, and when to come again. */
extern const char slu_memory_is_spent[];
enum { SLU_SPENT_MS = 1000 };

enum slu_step {
    STEP_ADMIT,
    STEP_RECEIVE,
    STEP_UNDERSTAND,
    STEP_RECORD,
    STEP_WORK,
    STEP_REPLY,
    STEP_SETTLE,
    STEP_CLOSE,
    STEP_DONE,
    STEP_COUNT,
    STEP_WAIT = STEP_COUNT
};

struct slu_letter;
struct slu_recovery;
struct slu_revisit;
struct slu_route;
struct slu_list_ask;
struct slu_several;

struct slu_exchange {
    struct slu_exchange *next, **back; /* in the worker's list */
    struct slu_station *station;
    struct slu_talk *talk;   /* NULL: nobody waits */
    struct slu_arena *arena; /* the talk's, or its own; this struct lies in it */
    const struct slu_request *request;
    const struct slu_door *door; /* NULL on the REST side */
    enum slu_step step;
    bool resuming; /* slu_exchange_resume() is on the stack */
    bool body_is_here, gone, answered, written;
    uint64_t body_bytes; /* taken from the budget of bodies */

    /* what is wanted */
    struct slu_str id; /* of this request */
    struct slu_str trace_id,
        trace_flags; /* of the caller's traceparent; empty when there is none */
    const struct slu_route *route;
    const struct slu_caller *caller;
    const struct slu_target *target;
    enum slu_operation operation;
    bool has_operation;
    struct slu_str flow_log_id;
    struct slu_str dialect; /* that is asked about */
    bool dry_run, lenient, prefers_wait, prefers_async, replace;
    uint32_t wait_s;
    uint64_t caller_until_us; /* so long the caller waits, if he has said so; else 0 */
    struct slu_match *match;  /* of a door, from its first step on */
    const char *door_word;    /* why a door refuses, in the tables' words */
    struct slu_value *canonical;
    struct slu_params query;  /* decoded, each name once */
    struct slu_list_ask *ask; /* of a list */
    struct slu_several *several;

    /* what is done about it */
    struct slu_job **jobs; /* one for each target; `job` is the first, where there is but one */
    size_t job_count, jobs_left;
    struct slu_job *job;
    struct slu_losses losses;
    struct slu_mistakes mistakes;
    struct slu_fault fault;
    struct slu_value *flow_log; /* canonical, as the cloud last told; of a list the array */
    struct slu_value *document; /* the answer's body, when a step has made it */
    struct slu_response response;

    /* the journal, see record.c */
    struct slu_str key, digest, request_text; /* of the canonical request */
    bool key_is_request;                      /* it binds only as long as the write is under way */
    struct slu_str operation_id;
    struct slu_entry entry;         /* of this operation, for its jobs */
    struct slu_letter *letter;      /* on its way */
    struct slu_journal_reply *told; /* what came, until it is used */
    struct slu_timer timer;
    struct slu_losses trial_losses;
    struct slu_fault *unrecorded; /* why it could not be begun; its key is looked for */
    struct slu_str noted;         /* how far it is, as last told */
    struct slu_timer watch;
    uint32_t watch_ms; /* until it is looked at again; 0: not watched */
    size_t jobs_over;
    bool recorded, replayed, out_of_patience, watched, asks;
    bool asked_removal, removed_before;
    unsigned settling; /* how often handing the end over was tried */
    bool settled;      /* it was handed over */
    bool detached;     /* nobody waits for this one: */
    bool recovered;    /* a crash had left it open, or a look that could not be made */
    bool handed_on;    /* its work goes on, in another one or without its caller */
    bool puts_off;     /* its end is looked for later, by: */
    struct slu_revisit *revisit;
    int told_early; /* the status of that answer, where its own end is not told any more */
    struct slu_str replayed_headers;

    /* what is told about it */
    uint64_t began_us, step_began_us, spans_us[STEP_COUNT];
    int cloud_status;  /* of the last native reply */
    char ended_by;     /* '-' as meant, 'C' caller, 'U' upstream, 'G' gateway refused */
    char ended_letter; /* of the step that decided it */
};

extern const struct slu_server_handler slu_exchange_handler; /* user: struct slu_front */
void slu_exchange_resume(struct slu_exchange *x);
/* One that nobody waits for: it begins at its work. In an arena of its own; NULL on no memory. */
struct slu_exchange *slu_exchange_without_caller(struct slu_worker *worker);
/* When the loop turns no more and all callers are gone: what still waits for a cloud is told and
 * given back. */
void slu_exchange_end_all(struct slu_worker *worker);
struct slu_str slu_step_name(enum slu_step step);
/* The gateway's own time so far: all steps but those in which others are waited for. */
uint64_t slu_exchange_own_us(const struct slu_exchange *x);
/* A job of this exchange for the target; NULL on no memory (the fault is set). `own`: with mistakes
 * and losses of its own, where there are several. */
SLU_NODISCARD struct slu_job *slu_exchange_job(struct slu_exchange *x,
                                               const struct slu_target *target,
                                               enum slu_operation operation, bool own);
/* Starts one, in addition to those under way. */
void slu_exchange_start(struct slu_exchange *x, struct slu_job *job);
/* The one job of this exchange: made, and to be started by the step WORK. */
enum slu_step slu_exchange_work(struct slu_exchange *x, struct slu_job *job);
/* Lets the body come, if the memory for bodies allows; false with the fault set. */
SLU_NODISCARD bool slu_exchange_want_body(struct slu_exchange *x);
/* What all jobs together have spent on the wire. */
struct slu_job_spent slu_exchange_spent(const struct slu_exchange *x);
/* Ends the road here: records the fault unless there is one, and goes to REPLY. */
enum slu_step slu_exchange_fail(struct slu_exchange *x, enum slu_fault_kind kind, const char *place,
                                const char *format, ...) SLU_PRINTF(4, 5);

/* rest.c, routes.c: the callers' own API */

enum slu_step slu_rest_admit(struct slu_exchange *x);
enum slu_step slu_rest_understand(struct slu_exchange *x);
/* All jobs are over: true when more have been started. */
bool slu_rest_worked(struct slu_exchange *x);
/* Makes x->response from what the exchange has come to. */
void slu_rest_reply(struct slu_exchange *x);

struct slu_route {
    const char *method, *path; /* "{name}" is one segment */
    enum slu_step (*admit)(struct slu_exchange *x);
    enum slu_step (*understand)(struct slu_exchange *x); /* of a route that takes a body */
    void (*reply_with)(
        struct slu_exchange *x);   /* where success is no single flow log or document */
    bool filters;                  /* query parameters that are not listed name members */
    bool open;                     /* needs no key */
    bool harmless;                 /* needs a key, but no right: nothing of a cloud is touched */
    bool writes;                   /* needs the caller's right to write, and a body */
    const char *const *parameters; /* known query parameters, NULL-terminated */
    const char *summary;
    const char *body, *reply; /* schemas of the request's and the success's body */
    int status;               /* of success */
    enum slu_operation operation;
    bool has_operation;
};
const struct slu_route *slu_routes(size_t *ret_count);
enum { SLU_CAPTURES_MOST = 4 };
/* The route for path and method; NULL: 404, or 405 with `ret_allow` set. Captures are decoded. */
const struct slu_route *slu_route_find(struct slu_arena *arena, struct slu_str method,
                                       struct slu_str path,
                                       struct slu_str captures[SLU_CAPTURES_MOST],
                                       struct slu_str *ret_allow, struct slu_fault *fault);

/* door.c: the clouds' own clients */

enum slu_step slu_door_understand(struct slu_exchange *x);
void slu_door_reply(struct slu_exchange *x);

/* door_alias.c: what the two sides of a door call the same thing */

/* Is the target a cloud of another dialect than the door's? */
bool slu_door_is_foreign(const struct slu_exchange *x);
/* The request, x->canonical, in the target's terms; false with the fault set. */
SLU_NODISCARD bool slu_door_carry_over(struct slu_exchange *x);
/* Has the door names for anything, so that answers have to be told in its terms? */
bool slu_door_retells(const struct slu_exchange *x);
/* A flow log of the target in the door's terms; NULL on no memory. */
struct slu_value *slu_door_retell(const struct slu_exchange *x, struct slu_arena *arena,
                                  const struct slu_value *flow_log);
/* What the cloud may filter by, so that nothing is missed that the door's filters let pass. */
SLU_NODISCARD bool slu_door_filters(struct slu_exchange *x, const struct slu_page *page,
                                    const struct slu_filter **ret_filters, size_t *ret_count);
/* What door and target do not share is left out of the answer and told as lost. */
void slu_door_leave_out(struct slu_exchange *x);
/* The response header that tells what was lost; true when there is nothing to tell. */
SLU_NODISCARD bool slu_door_tell_losses(struct slu_exchange *x);

/* door_page.c: pages of a list, as the door's client counts them */

/* Fills job->list; false with the fault set. */
SLU_NODISCARD bool slu_door_list(struct slu_exchange *x, struct slu_job *job);
/* What the reply tells of the page; false with the fault set. */
SLU_NODISCARD bool slu_door_told_list(struct slu_exchange *x);

/* letter.c: questions to the journal */

/* On the worker's thread. The reply is the callee's. */
typedef void slu_letter_fn(struct slu_journal_reply *reply, void *user);
/* For one command, handed over with slu_letter_answered() and the letter as its user. What
 * `binds` (a begin, a lock) and is done when nobody waits any more is taken back. NULL on no
 * memory; freed when it has arrived, and by slu_mem_free() when the journal did not take the
 * command. */
struct slu_letter *slu_letter_new(struct slu_worker *worker, bool binds, slu_letter_fn *arrives,
                                  void *user);
void slu_letter_answered(struct slu_journal_reply *reply, void *letter);
/* For a command whose answer nobody reads; the user is none. */
void slu_letter_unread(struct slu_journal_reply *reply, void *user);
/* Stops waiting; sets the pointer to NULL. */
void slu_letter_leave(struct slu_letter **letter);

/* key.c: what makes two writes the same one */

/* Reads Idempotency-Key; false with the fault set. */
bool slu_record_read_key(struct slu_exchange *x);
/* Of the request as the caller sent it, before aliases are put in place. */
SLU_NODISCARD bool slu_record_digest(struct slu_exchange *x);
/* Key and digest of a door's write; false on no memory. */
SLU_NODISCARD bool slu_record_native_key(struct slu_exchange *x);
bool slu_record_key_is_request(const struct slu_record *record);

/* record.c: the journal's part */

enum slu_step slu_record_begin(struct slu_exchange *x); /* the step RECORD */
enum slu_step slu_record_end(struct slu_exchange *x);   /* the step SETTLE */
bool slu_record_replay(struct slu_exchange *x);
/* Nobody knows whether the write took effect, since nobody could look; a later look may tell. */
bool slu_record_is_undecided(const struct slu_exchange *x);
/* As it is when it begins; texts are the exchange's. */
struct slu_record slu_record_of(struct slu_exchange *x);
/* The cloud's idempotency token of the job, where the caller gave a key: the same on every replica
 * and after a restart, also when the key is free again. What undoes is not given one, since a cloud
 * that remembers a token would tell again what is gone. False on no memory. */
SLU_NODISCARD bool slu_record_token(struct slu_exchange *x, struct slu_job *job);
/* For questions to the journal: the letter to hand over, or NULL with the fault set; and when the
 * journal did not take it. The step RECORD waits for the answer. */
struct slu_letter *slu_record_ask(struct slu_exchange *x);
enum slu_step slu_record_unasked(struct slu_exchange *x);
/* The job was a delete that found nothing: true while the journal is asked whether one was sent
 * before, which x->removed_before tells then. */
bool slu_record_asks_removal(struct slu_exchange *x);
/* It was refused by the target's table after all, and nothing was sent: it leaves no operation. */
bool slu_record_withdraws(const struct slu_exchange *x);
/* A write of the job may have taken effect, and nobody knows. */
bool slu_job_may_have_acted(const struct slu_job *job);

/* progress.c: what an operation tells of itself beside its answer */

/* One target's part in a write. */
struct slu_part {
    struct slu_str target;
    enum slu_record_state state;
    const struct slu_job *jobs[2]; /* NULL: none (more) */
};
enum slu_record_state slu_job_state(const struct slu_job *job);
/* What the record's parts say was made on this target in place of another one, or none. */
struct slu_str slu_progress_made(const struct slu_value *parts, struct slu_str target);
/* How far it is, for a note or the end; texts are the exchange's, and none when there is nothing or
 * no memory. */
struct slu_record slu_progress_record(struct slu_exchange *x, enum slu_record_state state);
/* Jobs are under way: notes how far, when that is worth it. */
void slu_progress_watch(struct slu_exchange *x);
/* What is kept of an answer that the journal does not take. */
struct slu_str slu_progress_short_answer(struct slu_exchange *x);
/* As JSON; a NULL pointer on no memory. */
struct slu_str slu_record_text(struct slu_arena *arena, const struct slu_value *document);
/* operations.c: a record as callers see it; NULL on no memory. */
struct slu_value *slu_operation_document(struct slu_arena *arena, const struct slu_record *record);

/* several.c: has any target failed; does nothing stand of it, so that all may be tried again; and
 * is there a part that nobody can look for? */
bool slu_several_failed(const struct slu_exchange *x);
bool slu_several_is_open(const struct slu_exchange *x);
bool slu_several_unseen(const struct slu_exchange *x);
size_t slu_several_count(const struct slu_exchange *x);
struct slu_part slu_several_part(const struct slu_exchange *x, size_t i);
/* Each target's end without the flow log. */
struct slu_value *slu_several_ends(struct slu_exchange *x);
bool slu_several_undoes(const struct slu_exchange *x);     /* what was made, when another fails */
enum slu_step slu_operations_told(struct slu_exchange *x); /* operations.c */
void slu_record_leave(struct slu_exchange *x);

/* recover.c: writes that a crash has left open; on the first worker */
SLU_NODISCARD bool slu_recovery_begin(struct slu_worker *worker);
/* Prefer: respond-async: the recorded write goes on in an exchange of its own. False on no memory:
 * then the caller waits after all. */
SLU_NODISCARD bool slu_exchange_hand_on(struct slu_exchange *x);
/* What is recorded of a door's write, whose client is gone. */
void slu_recovered_reply(struct slu_exchange *x);
/* Looks for what the record tells, as after a crash; false on no memory. */
SLU_NODISCARD bool slu_recovery_resume(struct slu_worker *worker, const struct slu_record *record,
                                       struct slu_revisit *revisit);
void slu_recovery_end(struct slu_worker *worker);  /* on its thread, or after it */
void slu_recovery_free(struct slu_worker *worker); /* when nothing is posted to its loop any more */

/* revisit.c: looks that could not be made are made again */

/* Before the answer, which tells it: is the write's end to be looked for later? */
void slu_revisit_plan(struct slu_exchange *x);
/* In place of settling: false when it cannot be put off, or not any more. */
bool slu_revisit_later(struct slu_exchange *x);
void slu_revisit_over(struct slu_exchange *x);
void slu_revisits_free(struct slu_worker *worker); /* when nothing is posted to its loop any more */

/* claims.c: which operation of this process a flow log belongs to */
SLU_NODISCARD struct slu_claims *slu_claims_new(void);
void slu_claims_free(struct slu_claims *claims);
/* The job has made or found it. False, and nothing is noted, when it is another operation's. */
bool slu_claims_take(struct slu_job *job, struct slu_str id);
bool slu_claims_free_for(const struct slu_job *job, struct slu_str id);
/* A create is sent; its answer is there, and what it made is claimed, or nobody can tell. */
void slu_claims_begin(struct slu_job *job);
void slu_claims_end(struct slu_job *job);
/* Is a create under way which a look of this one could be mistaken about? */
bool slu_claims_wait(struct slu_job *job);

/* trace.c: traceparent, carried on */

/* Takes the caller's traceparent, when it is valid. */
void slu_trace_read(struct slu_exchange *x);
/* Adds it to the native request with a span of our own, made from `fresh` (32 digits). */
SLU_NODISCARD bool slu_trace_continue(struct slu_job *job, struct slu_arena *arena,
                                      struct slu_str fresh);

/* problem.c, access.c, openapi.c */

/* RFC 9457 for the exchange's fault and mistakes; sets status, headers and body of x->response. */
void slu_problem_reply(struct slu_exchange *x);
/* The same without an exchange, for the admin listener; and with what is wrong in a document. */
void slu_problem_plain(struct slu_arena *arena, const struct slu_fault *fault,
                       struct slu_response *ret_response);
void slu_problem_told(struct slu_arena *arena, const struct slu_fault *fault,
                      const struct slu_mistakes *mistakes, struct slu_response *ret_response);
/* A response with this document as its body; a last-resort text when memory is spent. */
void slu_respond(struct slu_arena *arena, struct slu_response *response, int status,
                 const struct slu_value *document, const char *type);
bool slu_fault_retryable(const struct slu_exchange *x);
/* Retry-After (RFC 9110 §10.2.3), where the fault is worth another try; false on no memory. */
SLU_NODISCARD bool slu_problem_retry_after(struct slu_exchange *x);
bool slu_job_retryable(const struct slu_job *job);
/* The members of a problem, for a place in another document; NULL on no memory. */
struct slu_value *slu_problem_of(struct slu_arena *arena, const struct slu_fault *fault);
struct slu_value *slu_problem_of_job(struct slu_arena *arena, const struct slu_job *job);

void slu_access_line(struct slu_exchange *x);
void slu_access_flush(void *worker);

struct slu_value *slu_openapi(struct slu_arena *arena);

/* admin.c */

extern const struct slu_server_handler slu_admin_handler; /* user: struct slu_gateway */

#endif
