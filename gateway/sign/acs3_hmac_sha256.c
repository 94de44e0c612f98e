/*
 * acs3-hmac-sha256: Alibaba Cloud's signature "V3", the default of its SDK (@alicloud/openapi-core
 * 1.0.8; vendor page "V3 request body and signature mechanism").
 *
 *   string to sign = "ACS3-HMAC-SHA256" \n hex(sha256(canonical request))
 *   key            = the secret key as it is
 *
 * Signed are host, content-type when it is sent, and every x-acs-* field; the SDK joins a repeated
 * one with commas. Everything else (accept, user-agent) stays unsigned. The caller has set
 * x-acs-action and x-acs-version.
 */
#include "codec/time.h"
#include "sign/sign_internal.h"

static const struct slu_form form = {
    .word = SLU_STR_INIT("ACS3-HMAC-SHA256"),
    .key_name = SLU_STR_INIT("Credential"),
    .comma = SLU_STR_INIT(","),
    .end_slash = false,
    .join_repeated = true,
};

#define DATE         SLU_STR("x-acs-date")
#define NONCE        SLU_STR("x-acs-signature-nonce")
#define DIGEST       SLU_STR("x-acs-content-sha256")
#define TOKEN        SLU_STR("x-acs-security-token")
#define CONTENT_TYPE SLU_STR("content-type")
#define FAMILY       SLU_STR("x-acs-")
#define HOST         SLU_STR("host")

static bool sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                 struct slu_str nonce, struct slu_request *request, struct slu_sign_trace *trace,
                 struct slu_fault *fault)
{
    char *date = slu_arena_get(arena, SLU_TIME_EXTENDED);
    struct slu_fields fields;
    struct slu_str digest;

    if (!date)
        return slu_fault_memory(fault);
    slu_time_extended(unix_s, date);
    if (!slu_body_digest(arena, request->body, &digest, fault) ||
        !slu_sign_field(arena, request, DATE, (struct slu_str){date, SLU_TIME_EXTENDED}, fault) ||
        !slu_sign_field(arena, request, NONCE, nonce, fault) ||
        !slu_sign_field(arena, request, DIGEST, digest, fault))
        return false;
    if (seal->security_token.n &&
        !slu_sign_field(arena, request, TOKEN, seal->security_token, fault))
        return false;
    return slu_fields_collect(&form, FAMILY, arena, request, &fields, fault) &&
           slu_form_sign(&form, seal->keys, seal->access_key, arena, request, &fields, digest,
                         SLU_STR_NONE, trace, fault);
}

static bool bears(const struct slu_request *request)
{
    return slu_form_bears(&form, request);
}

static bool claim_of(struct slu_arena *arena, const struct slu_request *request,
                     struct slu_claim *claim, struct slu_fault *fault)
{
    struct slu_authorization read;
    struct slu_str date;

    (void)arena;
    if (!slu_form_read(&form, request, &read, fault) ||
        !slu_field_once(request, DATE, &date, fault) ||
        !slu_field_once(request, NONCE, &claim->nonce, fault) ||
        !slu_field_once(request, TOKEN, &claim->security_token, fault))
        return false;
    if (date.n != SLU_TIME_EXTENDED || !slu_time_to_unix(date, &claim->unix_s))
        return slu_refuse(fault, "time",
                          "x-acs-date is missing or not of the form "
                          "YYYY-MM-DDThh:mm:ssZ");
    if (!claim->nonce.n)
        return slu_refuse(fault, "signature", "x-acs-signature-nonce is missing");
    claim->access_key = read.access_key;
    return true;
}

static bool all_signed(const struct slu_request *request, struct slu_str list,
                       struct slu_fault *fault)
{
    if (!slu_list_has(list, HOST))
        return slu_refuse(fault, "unsigned", "host must be signed");
    for (size_t i = 0; i < request->headers.count; i++) {
        struct slu_str name = request->headers.items[i].name;

        if (slu_field_of_family(name, FAMILY) && !slu_list_has(list, name))
            return slu_refuse(fault, "unsigned", "every x-acs- field must be signed");
        if (request->body.n && slu_str_eq_nocase(name, CONTENT_TYPE) && !slu_list_has(list, name))
            return slu_refuse(fault, "unsigned", "content-type must be signed with a body");
    }
    return true;
}

static bool verify(struct slu_seal *seal, struct slu_arena *arena,
                   const struct slu_request *request, struct slu_fault *fault)
{
    struct slu_authorization read;
    struct slu_str digest, sent;

    if (!slu_form_read(&form, request, &read, fault) ||
        !all_signed(request, read.signed_names, fault) ||
        !slu_body_digest(arena, request->body, &digest, fault))
        return false;
    if (slu_field_count(request, DIGEST, &sent) != 1 || !slu_str_eq(sent, digest))
        return slu_refuse(fault, "digest", "x-acs-content-sha256 is not the SHA-256 of the body");
    return slu_form_check(&form, seal->keys, arena, request, &read, digest, SLU_STR_NONE, fault);
}

static const struct slu_vector_member members[] = {
    {"action", "x-acs-action"}, {"version", "x-acs-version"}, {NULL, NULL}};

const struct slu_scheme slu_scheme_acs3_hmac_sha256 = {
    .has_nonce = true,
    .members = members,
    .open = slu_hmac_open,
    .close = slu_hmac_close,
    .sign = sign,
    .bears = bears,
    .claim = claim_of,
    .verify = verify,
};
