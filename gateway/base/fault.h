/*
 * What went wrong, told once: the kind (with its HTTP status and public code), the place and the
 * words. A fault is for the outside world's mistakes; our own are slu_must().
 *
 * Kinds are the one list of canonical errors: callers see `code`, mapping tables name it, metrics
 * count it. Codes are stable; a kind is never renamed, only added.
 */
#ifndef SLU_BASE_FAULT_H
#define SLU_BASE_FAULT_H

#include "base/mem.h"
#include "base/str.h"

struct slu_arena;

enum slu_retry { SLU_RETRY_NO, SLU_RETRY_YES, SLU_RETRY_AFTER }; /* after: wait first, then again */

/* name, code, HTTP status, retryable, title */
#define SLU_FAULT_KINDS(X)                                                                         \
    X(NONE, "none", 200, NO, "No error")                                                           \
    X(BAD_REQUEST, "bad_request", 400, NO, "The request is not valid HTTP")                        \
    X(BAD_JSON, "bad_json", 400, NO, "The body is not valid JSON")                                 \
    X(BAD_PARAMETER, "bad_parameter", 400, NO, "A query parameter or header is not valid")         \
    X(UNAUTHENTICATED, "unauthenticated", 401, NO, "A valid key is needed")                        \
    X(FORBIDDEN, "forbidden", 403, NO, "This caller may not do this")                              \
    X(NOT_FOUND, "not_found", 404, NO, "There is no such thing")                                   \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, NO, "This method is not served here")         \
    X(TIMEOUT, "request_timeout", 408, YES, "The request did not arrive in time")                  \
    X(CONFLICT, "conflict", 409, NO, "This would collide with what is there already")              \
    X(BUSY, "busy", 409, AFTER, "The flow log is in a state that does not allow this now")         \
    X(IN_PROGRESS, "operation_in_progress", 409, AFTER,                                            \
      "The first request with this Idempotency-Key is still running")                              \
    X(QUOTA, "quota_exceeded", 409, NO, "The cloud's quota is used up")                            \
    X(PRECONDITION, "precondition_failed", 412, NO, "The flow log has changed meanwhile")          \
    X(TOO_LARGE, "too_large", 413, NO, "The request is too large")                                 \
    X(URI_TOO_LONG, "uri_too_long", 414, NO, "The request target is too long")                     \
    X(MEDIA_TYPE, "unsupported_media_type", 415, NO, "The body's media type is not served here")   \
    X(EXPECTATION, "expectation_failed", 417, NO, "The expectation cannot be met")                 \
    X(INVALID, "invalid_flow_log", 422, NO, "The flow log is not valid")                           \
    X(UNSUPPORTED, "unsupported_by_target", 422, NO, "The target cannot carry this")               \
    X(KEY_REUSED, "idempotency_key_reused", 422, NO,                                               \
      "This Idempotency-Key belongs to another request")                                           \
    X(RESOURCE_NOT_FOUND, "resource_not_found", 422, NO, "The cloud does not know the resource")   \
    X(DESTINATION_NOT_FOUND, "destination_not_found", 422, NO,                                     \
      "The cloud does not know the log destination")                                               \
    X(THROTTLED, "throttled", 429, AFTER, "Too many requests")                                     \
    X(HEADERS_TOO_LARGE, "headers_too_large", 431, NO,                                             \
      "The request's header fields are too large")                                                 \
    X(INTERNAL, "internal", 500, NO, "An error inside the gateway")                                \
    X(NOT_IMPLEMENTED, "not_implemented", 501, NO, "This is not served")                           \
    X(UPSTREAM_ERROR, "upstream_error", 502, NO, "The cloud answered with an error")               \
    X(UPSTREAM_REFUSED, "upstream_refused", 502, NO, "The cloud refused the gateway's request")    \
    X(CREDENTIALS, "upstream_credentials_refused", 502, NO,                                        \
      "The cloud refused the gateway's credentials")                                               \
    X(UPSTREAM_DENIED, "upstream_denied", 502, NO,                                                 \
      "The gateway's credentials have no right to do this on the cloud")                           \
    X(UPSTREAM_UNREADABLE, "upstream_unreadable", 502, NO, "The cloud's answer cannot be read")    \
    X(UPSTREAM_BROKEN, "upstream_connection_broken", 502, NO,                                      \
      "The connection to the cloud broke before the answer was complete")                          \
    X(UPSTREAM_FAILED, "upstream_failed_state", 502, NO, "The flow log ended in a failed state")   \
    X(UNAVAILABLE, "unavailable", 503, AFTER, "The gateway cannot serve this now")                 \
    X(UPSTREAM_UNREACHABLE, "upstream_unreachable", 503, YES, "The cloud cannot be reached")       \
    X(UPSTREAM_UNAVAILABLE, "upstream_unavailable", 503, AFTER,                                    \
      "The cloud says that it is unavailable")                                                     \
    X(UPSTREAM_TIMEOUT, "upstream_timeout", 504, NO, "The cloud did not answer in time")           \
    X(HTTP_VERSION, "http_version_not_supported", 505, NO, "Only HTTP/1.0 and 1.1 are served")     \
    X(CONFIG, "configuration", 500, NO, "The configuration is not valid")                          \
    X(MEMORY, "out_of_memory", 503, AFTER, "Not enough memory for this request")

enum slu_fault_kind {
#define SLU_FAULT_ENUM(name, code, status, retry, title) SLU_FAULT_##name,
    SLU_FAULT_KINDS(SLU_FAULT_ENUM)
#undef SLU_FAULT_ENUM
        SLU_FAULT_KIND_COUNT
};

struct slu_fault_info {
    const char *code;
    int status; /* HTTP */
    enum slu_retry retry;
    const char *title;
};

const struct slu_fault_info *slu_fault_info(enum slu_fault_kind kind);
/* SLU_FAULT_NONE when no kind has this code. */
enum slu_fault_kind slu_fault_kind_of(struct slu_str code);

/* Caller's storage, zeroed to begin with. Text is cut at the sizes below, never overrun. */
struct slu_fault {
    enum slu_fault_kind kind;
    char place[128]; /* JSON pointer, "file:line", header or target name; may be empty */
    char words[512]; /* a sentence for a person: what and what to do; no secrets */
};

/* Records the fault unless one is recorded already: the first wins. Returns false, so that callers
 * can `return slu_fault_set(...)`. A NULL fault is allowed. */
bool slu_fault_set(struct slu_fault *fault, enum slu_fault_kind kind, const char *place,
                   const char *format, ...) SLU_PRINTF(4, 5);
/* The common one: out of memory or over the request's budget. */
bool slu_fault_memory(struct slu_fault *fault);

/*
 * Mistakes found in one document, all of them: a list in an arena, each with code, JSON Pointer and
 * a sentence. Used by the JSON reader, the checks of flow logs, tables and configuration.
 */
struct slu_mistake {
    struct slu_mistake *next;
    enum slu_fault_kind kind;
    struct slu_str pointer; /* RFC 6901; "" is the whole document */
    struct slu_str detail;
};

struct slu_mistakes {
    struct slu_arena *arena;
    struct slu_mistake *first, **end;
    size_t count; /* also counts those beyond the limit, which are not kept */
    bool failed;  /* out of memory while recording */
};

enum { SLU_MISTAKES_KEPT = 100 };

void slu_mistakes_init(struct slu_mistakes *mistakes, struct slu_arena *arena);
/* Copies pointer and text into the arena. Returns false, as slu_fault_set does. */
bool slu_mistake(struct slu_mistakes *mistakes, enum slu_fault_kind kind, struct slu_str pointer,
                 const char *format, ...) SLU_PRINTF(4, 5);
static inline bool slu_mistakes_none(const struct slu_mistakes *mistakes)
{
    return mistakes->count == 0 && !mistakes->failed;
}

#endif
