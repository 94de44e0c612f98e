/*
 * A mapping table: one cloud API ("dialect") as data, loaded from mappings/<dialect>.json, proven,
 * compiled and sealed. mappings/README.md describes the language. From the same rows come four
 * translations: request and reply, each in the client role (sluice calls the cloud) and in the
 * server role (a cloud's own client calls sluice).
 *
 * A table is immutable after loading and may be used by all threads. Everything produced lies in
 * the arena that is passed in. No I/O after loading.
 */
#ifndef SLU_MAPPING_TABLE_H
#define SLU_MAPPING_TABLE_H

#include "base/buf.h"
#include "base/fault.h"
#include "codec/message.h"
#include "codec/value.h"
#include "model/filter.h"
#include "model/flow_log.h"
#include "model/operation.h"

struct slu_table;

/* Every mistake is recorded: kind CONFIG, pointer into the file. NULL only with mistakes recorded.
 */
SLU_NODISCARD struct slu_table *slu_table_load(const char *file, struct slu_mistakes *mistakes);
void slu_table_free(struct slu_table *table);
SLU_AUTO_DEFINE(slu_table)

struct slu_str slu_table_dialect(const struct slu_table *table);
struct slu_str slu_table_title(const struct slu_table *table);

/* A client of this API, and how it is told where to find a door, as code or a command for people:
 * {url}, {address} (host and port), {access_key} and {secret_key} stand for the door's. */
struct slu_table_client {
    struct slu_str name, how;
};
size_t slu_table_clients(const struct slu_table *table,
                         const struct slu_table_client **ret_clients);
bool slu_table_serves(const struct slu_table *table, enum slu_operation operation);
/* Names of the signing schemes, in the table's order of preference. */
size_t slu_table_schemes(const struct slu_table *table, const struct slu_str **ret_names);
/* The scheme's position in that list, or -1. */
int slu_table_scheme_index(const struct slu_table *table, struct slu_str name);

struct slu_table_parameter {
    struct slu_str name;
    struct slu_str member; /* canonical pointer that may give it instead ("/parent_id"), or empty */
    bool required;
    struct slu_str help;
};
size_t slu_table_parameters(const struct slu_table *table,
                            const struct slu_table_parameter **ret_parameters);
/* Checks one configured value against the parameter's limits; records a mistake at `pointer`. */
bool slu_table_check_parameter(const struct slu_table *table, struct slu_str name,
                               struct slu_str value, struct slu_str pointer,
                               struct slu_mistakes *mistakes);

/*
 * One page of a list, as it is asked for and as it is told. A position is text whatever the style:
 * the id after which to go on, a page's number, or the cloud's own token; empty: the first page.
 */
struct slu_page {
    struct slu_str position;
    uint32_t size; /* flow logs on it; 0: as many as the cloud gives */
    const struct slu_filter *filters;
    size_t filter_count;
    /* told in a reply */
    struct slu_str next; /* empty: this was the last page */
    bool has_total;
    uint64_t total; /* of all pages */
};

/* Values for the {names} in the table's templates: target parameters, id, captured values; and of a
 * list the page. */
enum { SLU_VARS_MOST = 24 };
struct slu_vars {
    struct slu_str names[SLU_VARS_MOST], values[SLU_VARS_MOST];
    size_t count;
    const struct slu_page *page;      /* NULL: everything, without a word about pages */
    const struct slu_view_wish *view; /* what a request for a view of the list asks of it */
};
/* Sets or replaces; false when full. */
SLU_NODISCARD bool slu_vars_set(struct slu_vars *vars, struct slu_str name, struct slu_str value);
struct slu_str slu_vars_get(const struct slu_vars *vars, struct slu_str name); /* NULL p: absent */

/* What a target cannot carry. Strict: a mistake (UNSUPPORTED) in a request; lenient: an entry.
 * Losses on the way back are always entries. */
struct slu_loss {
    struct slu_loss *next;
    struct slu_str pointer; /* canonical */
    const struct slu_value *value;
    struct slu_str reason;
    enum slu_side direction;
};
struct slu_losses {
    struct slu_arena *arena;
    struct slu_loss *first, **end;
    size_t count;
    bool lenient;
};
void slu_losses_init(struct slu_losses *losses, struct slu_arena *arena, bool lenient);
/* Pointer and value are borrowed: they must live as long as the losses. */
void slu_losses_add(struct slu_losses *losses, struct slu_str pointer,
                    const struct slu_value *value, struct slu_str reason, enum slu_side direction);
/* [{pointer, value, reason, direction}] */
SLU_NODISCARD struct slu_value *slu_losses_value(struct slu_arena *arena,
                                                 const struct slu_losses *losses);

/* ---- documents: what `map`, golden pairs and the laws use
 * ------------------------------------------ */

/*
 * Canonical to native and back, for the document of one side of an operation. Native documents are
 * the whole body (envelope included), or the flat object of strings of a parameter-style API.
 * Values that cannot be carried become losses or mistakes as `losses` says. NULL with mistakes.
 * `vars` fills templates (id, region, request_id …); may be empty. Where an update takes two calls,
 * the variable {carries} says whose document it is, "values" or "nulls"; without it writing takes
 * the one that is needed, and reading the one with values.
 */
SLU_NODISCARD struct slu_value *
slu_table_to_native(const struct slu_table *table, enum slu_operation operation, enum slu_side side,
                    const struct slu_value *canonical, const struct slu_vars *vars,
                    struct slu_arena *arena, struct slu_losses *losses,
                    struct slu_mistakes *mistakes);
SLU_NODISCARD struct slu_value *
slu_table_to_canonical(const struct slu_table *table, enum slu_operation operation,
                       enum slu_side side, const struct slu_value *native,
                       const struct slu_vars *vars, struct slu_arena *arena,
                       struct slu_losses *losses, struct slu_mistakes *mistakes);

/* Has this side of the operation a document at all? */
bool slu_table_has_document(const struct slu_table *table, enum slu_operation operation,
                            enum slu_side side);

/* One document from one dialect to another (or the canonical form: NULL), without sending it. */
struct slu_translation {
    const struct slu_table *from, *to;
    enum slu_operation operation;
    enum slu_side side;
    const struct slu_vars *vars; /* may be NULL */
};
/*
 * NULL with mistakes: native pointers where the fault is in the native document, canonical ones
 * where it is in what that means. A canonical list is an array, or has one as `flow_logs`.
 */
SLU_NODISCARD struct slu_value *slu_translate(const struct slu_translation *translation,
                                              const struct slu_value *document,
                                              struct slu_arena *arena, struct slu_losses *losses,
                                              struct slu_mistakes *mistakes);

/* ---- client role: messages to and from the cloud
 * ---------------------------------------------------- */

/* How many native calls the operation takes. */
size_t slu_table_steps(const struct slu_table *table, enum slu_operation operation);
/* Would this canonical member travel in a request of this operation (so that a change of it needs
 * no other one)? */
bool slu_table_takes(const struct slu_table *table, enum slu_operation operation,
                     struct slu_str pointer);
/* Does the cloud do what this value of the member asks for anyway (`unless` of a `cannot` that an
 * update of the flow log `whole` meets), so that there is nothing to change? */
bool slu_table_does_anyway(const struct slu_table *table, const struct slu_value *whole,
                           struct slu_str pointer, const struct slu_value *value,
                           struct slu_arena *arena);
/* Could the operations of this table change the member once the flow log is there? */
bool slu_table_mutable(const struct slu_table *table, struct slu_str pointer);
/* Does an update that names this member (an object of strings) replace it as a whole? Then the
 * document must hold all that shall stay; otherwise it is a merge patch of it. */
bool slu_table_replaces(const struct slu_table *table, struct slu_str pointer);
/* Has the step something to say for this document? A step that carries only values, or only what is
 * cleared, is left out when there is none. */
bool slu_table_step_needed(const struct slu_table *table, enum slu_operation operation, size_t step,
                           const struct slu_value *canonical);
/* The encodings the cloud can answer in ("json", "xml"), preferred first; the var `reply` says
 * which is wanted, absent: the first. Replies are read as what they are, whatever was wanted. */
size_t slu_table_replies(const struct slu_table *table, const struct slu_str **ret_names);

/* What a signing scheme's key, or its token, is bound to; texts may be empty. */
struct slu_scope {
    struct slu_str region, service, project;
};
/* False when a variable of the table's `scope` has no value; that text is then empty. */
SLU_NODISCARD bool slu_table_scope(const struct slu_table *table, int scheme,
                                   const struct slu_vars *vars, struct slu_arena *arena,
                                   struct slu_scope *ret_scope);

/*
 * The native request of one step: method, path, query, headers of the table and of the signing
 * scheme `scheme` (index in slu_table_schemes), body. scheme/host and the endpoint's own path are
 * the caller's. `canonical` is the checked flow log, or NULL where the operation has none. Mistakes
 * are UNSUPPORTED or INVALID with canonical pointers, all at once.
 */
SLU_NODISCARD bool slu_table_write_request(const struct slu_table *table,
                                           enum slu_operation operation, size_t step, int scheme,
                                           const struct slu_value *canonical,
                                           const struct slu_vars *vars, struct slu_arena *arena,
                                           struct slu_losses *losses, struct slu_mistakes *mistakes,
                                           struct slu_request *ret_request);

/* What the cloud's reply means. Texts in the arena. */
struct slu_outcome {
    enum slu_fault_kind kind; /* NONE: success */
    enum slu_retry retry;
    bool listed;                 /* an error row knows this answer; else it is the status' kind */
    uint32_t retry_after_ms;     /* 0 = not told */
    struct slu_value *flow_log;  /* canonical, on success of create, get, update … */
    struct slu_value *flow_logs; /* array, on success of list */
    struct slu_str next;         /* of list: the next page's position; empty after the last */
    bool has_total;              /* of list: the cloud told how many there are */
    uint64_t total;
    struct slu_str vendor_code;    /* empty when none */
    struct slu_str vendor_message; /* empty unless the table calls it safe */
    struct slu_str vendor_request_id;
    struct slu_str pointer; /* canonical member that an error row blames, or empty */
    struct slu_str words;   /* for a person, when kind is not NONE */
};

/*
 * Reads a whole reply, success or error, also one that is no document at all. `sent` is the
 * canonical flow log of the request: tables that say `echo` complete a bare reply with it. Values
 * captured for later steps go into `vars`. Losses are entries with direction reply.
 */
SLU_NODISCARD bool slu_table_read_reply(const struct slu_table *table, enum slu_operation operation,
                                        size_t step, const struct slu_response *response,
                                        const struct slu_value *sent, struct slu_vars *vars,
                                        struct slu_arena *arena, struct slu_losses *losses,
                                        struct slu_outcome *ret_outcome, struct slu_fault *fault);

/* When is a write over: NULL when it is over with its reply. */
struct slu_poll {
    enum slu_operation with; /* SLU_OP_GET */
    uint32_t first_ms, every_ms, limit_ms;
    const struct slu_str *done, *failed; /* canonical statuses */
    size_t done_count, failed_count;
};
const struct slu_poll *slu_table_poll(const struct slu_table *table, enum slu_operation operation);

/* How to look up whether a write of unknown end took effect; NULL for reads. */
struct slu_find_by {
    enum slu_operation operation; /* SLU_OP_COUNT: never, `never` says why */
    const struct slu_str *match;  /* canonical pointers; what the request lacks is not compared */
    size_t match_count;
    uint32_t visible_after_ms; /* a look that finds nothing is repeated until then */
    struct slu_str never;
};
const struct slu_find_by *slu_table_find_by(const struct slu_table *table,
                                            enum slu_operation operation);
/* The operation that undoes this one, or SLU_OP_COUNT (then ret_never says why). */
enum slu_operation slu_table_undo(const struct slu_table *table, enum slu_operation operation,
                                  struct slu_str *ret_never);
/* What carries an idempotency token: the var `token`, where it is set, is sent there. */
struct slu_idempotency {
    struct slu_str name;
    bool parameter; /* else a header */
    uint32_t most;  /* bytes */
};
/* NULL: there is none. */
const struct slu_idempotency *slu_table_token(const struct slu_table *table,
                                              enum slu_operation operation);
/* Canonical pointer: writes with the same value there must not overlap; or empty. */
struct slu_str slu_table_serialize_by(const struct slu_table *table, enum slu_operation operation);

/* How the cloud cuts its list into pages. Nothing here walks them: that is the caller's. */
enum slu_paging_style {
    SLU_PAGING_MARKER, /* "what comes after this one": `next`, or else the last flow log's id */
    SLU_PAGING_PAGE,   /* numbered from 1 */
    SLU_PAGING_TOKEN,  /* whatever the reply before said is `next` */
};
struct slu_paging {
    enum slu_paging_style style;
    struct slu_str size, position;     /* the request's parameters; `size` may be NULL */
    struct slu_path next, total, page; /* in the reply, from its root; no steps: not told */
    uint32_t min, max, usual;          /* flow logs on a page; 0: not known */
    bool cut;                          /* a size above max is cut to it; else it is refused */
    bool sized;                        /* the cloud is always told a size */
};
/* NULL: nothing is known of pages. */
const struct slu_paging *slu_table_paging(const struct slu_table *table);

/* ---- server role: a cloud's own client calls us
 * ------------------------------------------------------ */

struct slu_match {
    enum slu_operation operation;
    size_t step;
    struct slu_vars vars;     /* from path, query, headers: the id, the parameters */
    struct slu_value *native; /* the request's document; NULL when the operation has none */
};
/* Which operation a received request is; reads its document (JSON body, or query and form). A
 * parameter of the URL or form that nothing reads is refused by name. `scheme` is the one that
 * signed it: what other schemes would say is not listened to, since nobody vouches for it; -1: any.
 * Its vars hold `reply`, the encoding that is asked for, and `token`. The fault's `place` is one of
 * the door words below. */
SLU_NODISCARD bool slu_table_match(const struct slu_table *table, const struct slu_request *request,
                                   int scheme, struct slu_arena *arena, struct slu_match *ret_match,
                                   struct slu_fault *fault);
/* Only the var `reply`, for answers to a request that did not get as far as a match. */
void slu_table_take_reply(const struct slu_table *table, const struct slu_request *request,
                          struct slu_arena *arena, struct slu_vars *vars);
/* The canonical request; unmapped members under `native`. Mistakes: INVALID with NATIVE pointers.
 */
SLU_NODISCARD bool slu_table_read_request(const struct slu_table *table,
                                          const struct slu_match *match, struct slu_arena *arena,
                                          struct slu_mistakes *mistakes,
                                          struct slu_value **ret_canonical);
/* The native reply of success: status, headers, body. `canonical` may be NULL (delete); for list it
 * is an array. `vars` are those of the match: more flow logs than fit on the page that was asked
 * for are a fault whose place is "parameter". */
SLU_NODISCARD bool
slu_table_write_reply(const struct slu_table *table, enum slu_operation operation, size_t step,
                      const struct slu_value *canonical, const struct slu_vars *vars,
                      struct slu_arena *arena, struct slu_losses *losses,
                      struct slu_response *ret_response, struct slu_fault *fault);
/*
 * The dialect's own error: the row marked with this door word, or the first that has this kind for
 * the operation, or the first that has the kind. Door words: "signature", "unsigned", "digest",
 * "time", "token", "nonce", "key" (unknown access key), "route" (no such call), "method",
 * "parameter", "scope" (another project, region or router), "body", "reused" (an idempotency token,
 * with another request).
 */
SLU_NODISCARD bool slu_table_write_error(const struct slu_table *table,
                                         enum slu_operation operation, enum slu_fault_kind kind,
                                         const char *door_word, struct slu_str message,
                                         const struct slu_vars *vars, struct slu_arena *arena,
                                         struct slu_response *ret_response,
                                         struct slu_fault *fault);

/*
 * What the dialect's own client calls the canonical member, without the place of the document. A
 * NULL pointer where the operation's request has no member for it.
 */
struct slu_str slu_table_native_name(const struct slu_table *table, enum slu_operation operation,
                                     struct slu_str pointer, struct slu_arena *arena);
/* Adds to a create what a request in this dialect means without a word, since its cloud does it
 * anyway (`cannot` with the one value `unless`): all traffic where there is no filter. */
void slu_table_imply(const struct slu_table *table, struct slu_value *canonical,
                     struct slu_arena *arena);
/* Does the reply of this operation tell the whole flow log, or only confirm? */
bool slu_table_tells(const struct slu_table *table, enum slu_operation operation);

/* An id of the shape this dialect's ids have (the limits of the row for /id), for the memory cloud.
 */
struct slu_str slu_table_make_id(const struct slu_table *table, const unsigned char random[16],
                                 struct slu_arena *arena);

/* ---- what a table can do, for programs
 * ---------------------------------------------------------------- */

/* Everything that the table says about the dialect but for its codes and cases: head, parameters,
 * operations, and of every canonical member how create, update and reply carry it. */
SLU_NODISCARD struct slu_value *slu_table_describe(const struct slu_table *table,
                                                   struct slu_arena *arena);
/* The same in short: the head and the operations' names. */
SLU_NODISCARD struct slu_value *slu_table_summary(const struct slu_table *table,
                                                  struct slu_arena *arena);
/* How the member at this pointer is carried in a "create", an "update" or a "reply": "required",
 * "sent", "told", "partly", "immutable" or "cannot"; NULL where the member does not belong there.
 */
const char *slu_table_carries(const struct slu_table *table, struct slu_str pointer,
                              const char *part);

/* Whose schema it is: what a configuration adds to its table. */
struct slu_schema_for {
    struct slu_str name;               /* of the target */
    const struct slu_vars *parameters; /* NULL: none */
    const struct slu_alias *resources, *destinations;
    size_t resource_count, destination_count;
    bool any_alias; /* the names are not known here: any may stand */
};
/*
 * JSON Schema 2020-12 of exactly what a strict create (or update: a merge patch) on such a target
 * takes; without a table what the model takes, as the memory cloud does.
 */
SLU_NODISCARD struct slu_value *slu_table_json_schema(const struct slu_table *table,
                                                      enum slu_operation operation,
                                                      const struct slu_schema_for *target,
                                                      struct slu_arena *arena);

/* ---- for people
 * --------------------------------------------------------------------------------------- */

/* The compiled plan of one operation, as text. */
void slu_table_explain(const struct slu_table *table, enum slu_operation operation,
                       struct slu_buf *out);
/* Runs the table's own cases both ways; every difference is a mistake. */
bool slu_table_prove_cases(const struct slu_table *table, struct slu_mistakes *mistakes);

#endif
