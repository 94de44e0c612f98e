/*
 * Seals: one signing scheme is one file behind this interface. Signing is a pure function of bytes,
 * key, time and nonce; the verifying twin serves the doors. Nothing here does I/O or asks the
 * clock.
 */
#ifndef SLU_SIGN_SIGN_H
#define SLU_SIGN_SIGN_H

#include "base/secret.h"
#include "codec/message.h"

struct slu_scheme; /* static, one a scheme */

const struct slu_scheme *slu_scheme_find(struct slu_str name); /* NULL when unknown */
const char *slu_scheme_name(const struct slu_scheme *scheme);
/* All names, for messages: NULL-terminated. */
const char *const *slu_scheme_names(void);

/*
 * A credential made ready for one thread: keeps keyed contexts. Wiped when freed.
 *
 * Two kinds. A scheme with keys signs by itself. A scheme with a token (slu_scheme_fetches) first
 * needs a message of its own: slu_seal_ask() describes it, whoever holds the wire sends it,
 * slu_seal_answer() reads the reply, and slu_seal_arm() puts the token into the seals of all
 * threads. slu_sign() of a seal that was never armed is SLU_FAULT_CREDENTIALS.
 */
struct slu_seal;

/* All texts are copied; what a scheme does not need may be empty. */
struct slu_seal_conf {
    struct slu_str access_key;           /* or the user's name */
    const struct slu_secret *secret_key; /* or the password */
    struct slu_str security_token;
    struct slu_str region, service; /* of schemes whose key is bound to them */
    struct slu_str domain, project; /* of a user; what a token is for */
};

bool slu_scheme_fetches(const struct slu_scheme *scheme);
/* False for a scheme that only signs: no door can offer it. */
bool slu_scheme_verifies(const struct slu_scheme *scheme);
/* The request that fetches: method, path, query, headers, body. Scheme, host and what stands before
 * the path are the caller's. The body holds the secret, so it is never logged and not kept. CONFIG
 * when the credential is not complete. */
SLU_NODISCARD bool slu_seal_ask(const struct slu_seal *seal, struct slu_arena *arena,
                                struct slu_request *ret_request, struct slu_fault *fault);
struct slu_token {
    struct slu_str text;
    int64_t until_s; /* valid until then, Unix time */
};
/* The fault is CREDENTIALS when the credential is refused, else UPSTREAM_… (or MEMORY); the
 * vendor's words are not repeated. Texts in the arena. */
SLU_NODISCARD bool slu_seal_answer(const struct slu_seal *seal, struct slu_arena *arena,
                                   const struct slu_response *response, struct slu_token *ret_token,
                                   struct slu_fault *fault);
/* Copies the token, in place of one from before; false on no memory. Whether it is still good is
 * for the one who keeps it. */
SLU_NODISCARD bool slu_seal_arm(struct slu_seal *seal, const struct slu_token *token);

SLU_NODISCARD struct slu_seal *slu_seal_new(const struct slu_scheme *scheme,
                                            const struct slu_seal_conf *conf);
void slu_seal_free(struct slu_seal *seal);
SLU_AUTO_DEFINE(slu_seal)
struct slu_str slu_seal_access_key(const struct slu_seal *seal);

/* What a person needs when a cloud only says that a signature is wrong. Texts in the arena. */
struct slu_sign_trace {
    struct slu_str canonical_request, string_to_sign, authorization;
};

/*
 * Signs: appends the scheme's fields (date, nonce, digest, token, Authorization) to
 * request->headers. Every field present before is treated as the scheme's rules say (signed or left
 * alone). `nonce` is used by schemes that have one. `trace` may be NULL. Texts are in the arena.
 */
SLU_NODISCARD bool slu_sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                            struct slu_str nonce, struct slu_request *request,
                            struct slu_sign_trace *trace, struct slu_fault *fault);

/* What a received request says about its signature, before any key is known. */
struct slu_claim {
    const struct slu_scheme *scheme;
    struct slu_str access_key;
    struct slu_str nonce;          /* empty when the scheme has none; a nonce serves once */
    struct slu_str security_token; /* empty when none was sent */
    int64_t unix_s;
};

/* Reads Authorization and the date; false with SLU_FAULT_UNAUTHENTICATED when there is no signature
 * of a scheme in `schemes` (NULL-terminated list, as a door's table allows), or it is malformed;
 * the place is "signature", or "time" for a date that is missing or unreadable. Texts are slices
 * of the request or lie in the arena. */
SLU_NODISCARD bool slu_claim_read(struct slu_arena *arena, const struct slu_request *request,
                                  const struct slu_scheme *const *schemes,
                                  struct slu_claim *ret_claim, struct slu_fault *fault);
/*
 * Verifies: signature (compared in constant time), that everything that must be signed is, that the
 * body's digest is the body's, and that the claimed time is within `skew_s` of `now_s`. The fault
 * is SLU_FAULT_UNAUTHENTICATED and its `place` is one stable word that tables map to the dialect's
 * own code: "signature", "time", "unsigned" (a field that must be signed is not), "digest",
 * "token".
 */
SLU_NODISCARD bool slu_verify(struct slu_seal *seal, struct slu_arena *arena,
                              const struct slu_claim *claim, const struct slu_request *request,
                              int64_t now_s, int64_t skew_s, struct slu_fault *fault);

#endif
