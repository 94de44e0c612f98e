/*
 * sdk-hmac-sha256: the AK/SK signature of Huawei Cloud and Open Telekom Cloud, in the plain form
 * "Access=…" that Huawei documents (API sign guide, devg-apisign) and all official SDKs send.
 *
 *   string to sign = "SDK-HMAC-SHA256" \n X-Sdk-Date \n hex(sha256(canonical request))
 *   key            = the secret key as it is: no date, region or service in it
 *
 * Where the official signers differ (node core 3.1.211, go-v3 0.1.98, python core 3.1.211,
 * chnsz/golangsdk, otc-api-sign-sdk), verification takes them all: go-v3 signs no host and no
 * content-type; golangsdk and otc-api-sign-sdk add the token after signing. X-Sdk-Date is the one
 * field that the guide wants signed. A repeated field is a line for each value (go).
 */
#include "codec/time.h"
#include "sign/sign_internal.h"

static const struct slu_form form = {
    .word = SLU_STR_INIT("SDK-HMAC-SHA256"),
    .key_name = SLU_STR_INIT("Access"),
    .comma = SLU_STR_INIT(", "),
    .end_slash = true,
    .join_repeated = false,
};

#define DATE   SLU_STR("X-Sdk-Date")
#define DIGEST SLU_STR("X-Sdk-Content-Sha256")
#define TOKEN  SLU_STR("X-Security-Token")

/* All that is sent is signed, but for what the wire itself sets. */
static bool collect(struct slu_arena *arena, const struct slu_request *request,
                    struct slu_fields *fields, struct slu_fault *fault)
{
    if (!slu_fields_init(&form, arena, fields, request, fault) ||
        !slu_fields_add(arena, fields, SLU_STR("host"), request->host, fault))
        return false;
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct slu_header *header = &request->headers.items[i];

        if (slu_str_eq_nocase(header->name, SLU_STR("authorization")) ||
            slu_str_eq_nocase(header->name, SLU_STR("host")) ||
            slu_str_eq_nocase(header->name, SLU_STR("content-length")))
            continue;
        if (!slu_fields_add(arena, fields, header->name, header->value, fault))
            return false;
    }
    return true;
}

static bool sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                 struct slu_str nonce, struct slu_request *request, struct slu_sign_trace *trace,
                 struct slu_fault *fault)
{
    char *date = slu_arena_get(arena, SLU_TIME_BASIC);
    struct slu_fields fields;
    struct slu_str digest;

    (void)nonce;
    if (!date)
        return slu_fault_memory(fault);
    slu_time_basic(unix_s, date);
    if (!slu_sign_field(arena, request, DATE, (struct slu_str){date, SLU_TIME_BASIC}, fault))
        return false;
    if (seal->security_token.n &&
        !slu_sign_field(arena, request, TOKEN, seal->security_token, fault))
        return false;
    if (!slu_field_count(request, DIGEST, &digest) &&
        !slu_body_digest(arena, request->body, &digest, fault))
        return false;
    return collect(arena, request, &fields, fault) &&
           slu_form_sign(&form, seal->keys, seal->access_key, arena, request, &fields, digest,
                         (struct slu_str){date, SLU_TIME_BASIC}, trace, fault);
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
        !slu_field_once(request, TOKEN, &claim->security_token, fault))
        return false;
    if (date.n != SLU_TIME_BASIC || !slu_time_to_unix(date, &claim->unix_s))
        return slu_refuse(fault, "time",
                          "X-Sdk-Date is missing or not of the form "
                          "YYYYMMDDThhmmssZ");
    claim->access_key = read.access_key;
    return true;
}

static bool verify(struct slu_seal *seal, struct slu_arena *arena,
                   const struct slu_request *request, struct slu_fault *fault)
{
    struct slu_authorization read;
    struct slu_str date, digest = SLU_STR_NONE;

    if (!slu_form_read(&form, request, &read, fault) ||
        !slu_field_once(request, DATE, &date, fault))
        return false;
    if (!slu_list_has(read.signed_names, DATE))
        return slu_refuse(fault, "unsigned", "X-Sdk-Date must be signed");
    return slu_digest_received(arena, request, DIGEST, &digest, fault) &&
           slu_form_check(&form, seal->keys, arena, request, &read, digest, date, fault);
}

static const struct slu_vector_member members[] = {{"project_id", "X-Project-Id"}, {NULL, NULL}};

const struct slu_scheme slu_scheme_sdk_hmac_sha256 = {
    .has_nonce = false,
    .members = members,
    .open = slu_hmac_open,
    .close = slu_hmac_close,
    .sign = sign,
    .bears = bears,
    .claim = claim_of,
    .verify = verify,
};
