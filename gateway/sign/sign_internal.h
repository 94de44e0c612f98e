/*
 * What the files of this folder share; nobody outside includes it.
 *
 * A scheme is a struct slu_scheme: a name in SLU_SCHEMES below and a file with its functions. The
 * interface asks for no more than every known scheme has:
 *
 *  - What a scheme keeps beside the texts of a credential is its own (`keys`): a keyed HMAC, or the
 *    secret and the HMAC of the day it last signed for, since open() sees the secret and sign() the
 *    time.
 *  - bears() looks at the whole request, so that a signature may travel in the query or a form, and
 *    two schemes may share the first word of Authorization.
 *  - sign() may change every part of the request; a token adds one field and is done.
 *  - A scheme that only signs has no bears(), claim() and verify(); no door offers it.
 *  - A scheme whose token has to be fetched has ask(), answer() and arm(); the others have none.
 *
 * The family of schemes that hash a canonical request of six lines and put an HMAC of it into
 * Authorization shares struct slu_form and what follows it.
 */
#ifndef SLU_SIGN_SIGN_INTERNAL_H
#define SLU_SIGN_SIGN_INTERNAL_H

#include "base/buf.h"
#include "codec/digest.h"
#include "sign/sign.h"

/* object, name in configurations and tables */
#define SLU_SCHEMES(X)                                                                             \
    X(slu_scheme_sdk_hmac_sha256, "sdk-hmac-sha256")                                               \
    X(slu_scheme_acs3_hmac_sha256, "acs3-hmac-sha256")                                             \
    X(slu_scheme_rpc_hmac_sha1, "rpc-hmac-sha1")                                                   \
    X(slu_scheme_aws4_hmac_sha256, "aws4-hmac-sha256")                                             \
    X(slu_scheme_keystone_password, "keystone-password")

#define SLU_SCHEME_DECLARE(object, name) extern const struct slu_scheme object;
SLU_SCHEMES(SLU_SCHEME_DECLARE)
#undef SLU_SCHEME_DECLARE

/* A member of a vector file that stands for a header field (explain.h). */
struct slu_vector_member {
    const char *member, *header;
};

struct slu_scheme {
    bool has_nonce;
    const struct slu_vector_member *members; /* ends with a NULL member; or NULL */
    /* Makes seal->keys; false on no memory. close() frees them and takes NULL. */
    bool (*open)(struct slu_seal *seal, struct slu_str secret_key);
    void (*close)(struct slu_seal *seal);
    bool (*sign)(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                 struct slu_str nonce, struct slu_request *request, struct slu_sign_trace *trace,
                 struct slu_fault *fault);
    bool (*bears)(const struct slu_request *request);
    /* All members but `scheme`. */
    bool (*claim)(struct slu_arena *arena, const struct slu_request *request,
                  struct slu_claim *claim, struct slu_fault *fault);
    /* Everything but the time window and the token, which scheme.c checks for all. */
    bool (*verify)(struct slu_seal *seal, struct slu_arena *arena,
                   const struct slu_request *request, struct slu_fault *fault);
    bool (*ask)(const struct slu_seal *seal, struct slu_arena *arena,
                struct slu_request *ret_request, struct slu_fault *fault);
    bool (*answer)(struct slu_arena *arena, const struct slu_response *response,
                   struct slu_token *ret_token, struct slu_fault *fault);
    bool (*arm)(struct slu_seal *seal, const struct slu_token *token);
};

struct slu_seal {
    const struct slu_scheme *scheme;
    char *text; /* the texts below */
    size_t text_size;
    struct slu_str access_key, security_token, region, service, domain, project;
    void *keys;
};

/* ---- for every scheme */

/* Refuses what a caller sent; `word` as in sign.h. */
bool slu_refuse(struct slu_fault *fault, const char *word, const char *why);
/* Puts a field of the scheme's own in place of one of that name, so that a request can be signed
 * again. The value is copied: a request may outlive the seal and the caller's nonce. */
SLU_NODISCARD bool slu_sign_field(struct slu_arena *arena, struct slu_request *request,
                                  struct slu_str name, struct slu_str value,
                                  struct slu_fault *fault);
/* The last field of that name and how many there are. */
size_t slu_field_count(const struct slu_request *request, struct slu_str name,
                       struct slu_str *ret_value);
/* The same for a field that a caller may send once at most; false when there are more. */
SLU_NODISCARD bool slu_field_once(const struct slu_request *request, struct slu_str name,
                                  struct slu_str *ret_value, struct slu_fault *fault);
/* Lower-case hexadecimal SHA-256, in the arena or constant. */
SLU_NODISCARD bool slu_body_digest(struct slu_arena *arena, struct slu_str body,
                                   struct slu_str *ret_hex, struct slu_fault *fault);
/* What ends the canonical request as received: the digest that the field `name` says, which must be
 * the body's, or without such a field the body's own. SDKs send UNSIGNED-PAYLOAD with bodies that
 * they do not hash. A door acts on the body, so one that nobody vouches for is refused; without a
 * body there is nothing to leave unsigned. */
SLU_NODISCARD bool slu_digest_received(struct slu_arena *arena, const struct slu_request *request,
                                       struct slu_str name, struct slu_str *ret_digest,
                                       struct slu_fault *fault);
/* For open and close: seal->keys is one HMAC under the secret as it is. */
bool slu_hmac_open(struct slu_seal *seal, struct slu_str secret_key);
void slu_hmac_close(struct slu_seal *seal);

/* ---- the fields that are signed */

/* Sorted by name, then by value (or as received, where the form says so); names are in lower case.
 */
struct slu_fields {
    struct slu_header *items;
    size_t count, size;
    bool keep_order;
};

struct slu_form;

/* Room for every field of the request and for the two that the wire adds. */
SLU_NODISCARD bool slu_fields_init(const struct slu_form *form, struct slu_arena *arena,
                                   struct slu_fields *fields, const struct slu_request *request,
                                   struct slu_fault *fault);
SLU_NODISCARD bool slu_fields_add(struct slu_arena *arena, struct slu_fields *fields,
                                  struct slu_str name, struct slu_str value,
                                  struct slu_fault *fault);
/* Is it a field of the family whose names begin so ("x-…-")? */
bool slu_field_of_family(struct slu_str name, struct slu_str head);
/* What schemes sign that have a family of fields: host, content-type when it is sent, the family.
 */
SLU_NODISCARD bool slu_fields_collect(const struct slu_form *form, struct slu_str head,
                                      struct slu_arena *arena, const struct slu_request *request,
                                      struct slu_fields *fields, struct slu_fault *fault);
/* The fields of a list "a;b;c" as a caller sent it: lower case, ascending, each of them present. */
SLU_NODISCARD bool slu_fields_named(const struct slu_form *form, struct slu_arena *arena,
                                    struct slu_fields *fields, const struct slu_request *request,
                                    struct slu_str list, struct slu_fault *fault);
bool slu_list_has(struct slu_str list, struct slu_str name);

/* ---- canonical request, string to sign, Authorization */

struct slu_form {
    struct slu_str word;     /* begins Authorization and the string to sign */
    struct slu_str key_name; /* what the access key is called in Authorization */
    struct slu_str comma;    /* between its members, as official clients write it */
    bool end_slash;          /* the canonical path ends in "/" */
    bool join_repeated; /* a repeated field is one line of values joined by ","; or a line each */
    bool keep_order;    /* of the values of a repeated field; or they are sorted */
    bool one_blank;     /* a run of blanks within a value counts as one */
    bool wire_path;     /* the path as it is on the wire without dot segments and empty pieces,
                         * encoded once more; or decoded and encoded */
    bool wire_query;    /* "+" is itself, and parameters are sorted as they are encoded; or "+" is
                         * a blank, and they are sorted as they are decoded */
};

struct slu_made {
    struct slu_str canonical_request, string_to_sign;
    struct slu_str signed_names; /* slice of canonical_request */
    char signature[SLU_SHA256_HEX];
};

/* `digest` ends the canonical request; `middle`, when not empty, is what stands between the string
 * to sign's first and last line. A path or query that cannot be decoded is SLU_FAULT_BAD_REQUEST.
 */
SLU_NODISCARD bool slu_form_make(const struct slu_form *form, struct slu_hmac *hmac,
                                 struct slu_arena *arena, const struct slu_request *request,
                                 const struct slu_fields *fields, struct slu_str digest,
                                 struct slu_str middle, struct slu_made *ret_made,
                                 struct slu_fault *fault);
/* make, and Authorization into the request; `key` is what it says of the key. */
SLU_NODISCARD bool slu_form_sign(const struct slu_form *form, struct slu_hmac *hmac,
                                 struct slu_str key, struct slu_arena *arena,
                                 struct slu_request *request, const struct slu_fields *fields,
                                 struct slu_str digest, struct slu_str middle,
                                 struct slu_sign_trace *trace, struct slu_fault *fault);

/* Slices of the field. */
struct slu_authorization {
    struct slu_str access_key, signed_names, signature;
};

bool slu_form_bears(const struct slu_form *form, const struct slu_request *request);
SLU_NODISCARD bool slu_form_read(const struct slu_form *form, const struct slu_request *request,
                                 struct slu_authorization *ret_read, struct slu_fault *fault);
/* Makes the signature again from the fields that the caller named, and compares. */
SLU_NODISCARD bool slu_form_check(const struct slu_form *form, struct slu_hmac *hmac,
                                  struct slu_arena *arena, const struct slu_request *request,
                                  const struct slu_authorization *read, struct slu_str digest,
                                  struct slu_str middle, struct slu_fault *fault);

#endif
