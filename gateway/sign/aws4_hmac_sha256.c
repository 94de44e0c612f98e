/*
 * aws4-hmac-sha256: Amazon Web Services' Signature Version 4 in the Authorization field (AWS IAM
 * User Guide, "Create a signed AWS API request"; @smithy/signature-v4 5.7.5, botocore 1.43.11).
 *
 *   string to sign = "AWS4-HMAC-SHA256" \n X-Amz-Date \n scope \n hex(sha256(canonical request))
 *   scope          = YYYYMMDD/region/service/aws4_request
 *   key            = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, YYYYMMDD), region), service),
 * "aws4_request")
 *
 * Signed are host, content-type when it is sent, and every x-amz-* field; what a proxy may touch is
 * not. X-Amz-Content-Sha256 is honoured where it is sent and not added: only one service wants it.
 * A signature in the query (a presigned URL) is known and refused.
 */
#include "codec/time.h"
#include "sign/sign_internal.h"

static const struct slu_form form = {
    .word = SLU_STR_INIT("AWS4-HMAC-SHA256"),
    .key_name = SLU_STR_INIT("Credential"),
    .comma = SLU_STR_INIT(", "),
    .join_repeated = true,
    .keep_order = true,
    .one_blank = true,
    .wire_path = true,
    .wire_query = true,
};

#define DATE         SLU_STR("X-Amz-Date")
#define DIGEST       SLU_STR("X-Amz-Content-Sha256")
#define TOKEN        SLU_STR("X-Amz-Security-Token")
#define CONTENT_TYPE SLU_STR("content-type")
#define FAMILY       SLU_STR("x-amz-")
#define HOST         SLU_STR("host")
#define END          SLU_STR("aws4_request")

enum { DAY = 8 }; /* YYYYMMDD */

/* ---- the derived key: kept for the last day, region and service it was asked for */

struct keys {
    char *secret; /* "AWS4" and the secret key */
    size_t size;
    struct slu_hmac *hmac;
    struct slu_str scope; /* that hmac is for; the text is `scope_text` */
    char scope_text[256];
};

static bool open_keys(struct slu_seal *seal, struct slu_str secret_key)
{
    struct keys *keys = slu_mem_new(sizeof(*keys));

    seal->keys = keys; /* close() frees what is there when this fails */
    if (!keys)
        return false;
    keys->size = 4 + secret_key.n;
    keys->secret = slu_mem_new(keys->size);
    if (!keys->secret)
        return false;
    memcpy(keys->secret, "AWS4", 4);
    if (secret_key.n)
        memcpy(keys->secret + 4, secret_key.p, secret_key.n);
    return true;
}

static void close_keys(struct slu_seal *seal)
{
    struct keys *keys = seal->keys;

    if (!keys)
        return;
    if (keys->secret)
        slu_wipe(keys->secret, keys->size);
    slu_mem_free(keys->secret);
    slu_hmac_free(keys->hmac);
    slu_mem_free(keys);
}

/* The text's HMAC under the key, in place of the key. */
static bool step(unsigned char key[SLU_SHA256_SIZE], struct slu_str text)
{
    slu_auto(slu_hmac) *hmac = slu_hmac_new((struct slu_str){(const char *)key, SLU_SHA256_SIZE});

    return hmac && slu_hmac_sha256(hmac, text, key);
}

static struct slu_hmac *derive(const struct keys *keys, struct slu_str scope)
{
    slu_auto(slu_hmac) *first = slu_hmac_new((struct slu_str){keys->secret, keys->size});
    unsigned char key[SLU_SHA256_SIZE];
    struct slu_hmac *hmac = NULL;
    bool good = first && slu_hmac_sha256(first, slu_str_cut(&scope, '/'), key);

    while (good && scope.p)
        good = step(key, slu_str_cut(&scope, '/'));
    if (good)
        hmac = slu_hmac_new((struct slu_str){(const char *)key, sizeof(key)});
    slu_wipe(key, sizeof(key));
    return hmac;
}

/* A scope too long to be kept is refused where it is read. NULL on no memory. */
static struct slu_hmac *key_for(struct keys *keys, struct slu_str scope)
{
    struct slu_hmac *hmac;

    if (keys->hmac && slu_str_eq(keys->scope, scope))
        return keys->hmac;
    hmac = derive(keys, scope);
    if (!hmac)
        return NULL;
    slu_hmac_free(keys->hmac);
    keys->hmac = hmac;
    slu_must(scope.p && scope.n <= sizeof(keys->scope_text));
    memcpy(keys->scope_text, scope.p, scope.n);
    keys->scope = (struct slu_str){keys->scope_text, scope.n};
    return hmac;
}

/* ---- what is signed */

/* Credential and the two lines between the word and the digest; scope is a slice of the first. */
struct bound {
    struct slu_str credential, scope, middle;
};

static bool bind(const struct slu_seal *seal, struct slu_arena *arena, struct slu_str date,
                 struct bound *bound, struct slu_fault *fault)
{
    struct slu_str credential, scope;

    if (!seal->region.n || !seal->service.n || DAY + seal->region.n + seal->service.n + 15 > 256 ||
        memchr(seal->region.p, '/', seal->region.n) ||
        memchr(seal->service.p, '/', seal->service.n))
        return slu_fault_set(fault, SLU_FAULT_CONFIG, "credentials",
                             "this scheme needs the region and the service that its key is for");
    credential =
        slu_arena_printf(arena, "%.*s/%.*s/%.*s/%.*s/aws4_request", SLU_FMT(seal->access_key), DAY,
                         date.p, SLU_FMT(seal->region), SLU_FMT(seal->service));
    if (!credential.p)
        return slu_fault_memory(fault);
    scope = (struct slu_str){credential.p + seal->access_key.n + 1,
                             credential.n - seal->access_key.n - 1};
    *bound = (struct bound){credential, scope,
                            slu_arena_printf(arena, "%.*s\n%.*s", SLU_FMT(date), SLU_FMT(scope))};
    return bound->middle.p ? true : slu_fault_memory(fault);
}

static bool sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                 struct slu_str nonce, struct slu_request *request, struct slu_sign_trace *trace,
                 struct slu_fault *fault)
{
    struct slu_str date = {slu_arena_get(arena, SLU_TIME_BASIC), SLU_TIME_BASIC}, digest;
    struct slu_hmac *hmac;
    struct slu_fields fields;
    struct bound bound = {.scope = SLU_STR_NONE};

    (void)nonce;
    if (!date.p)
        return slu_fault_memory(fault);
    slu_time_basic(unix_s, (char *)date.p);
    if (!bind(seal, arena, date, &bound, fault) ||
        !slu_sign_field(arena, request, DATE, date, fault) ||
        (seal->security_token.n &&
         !slu_sign_field(arena, request, TOKEN, seal->security_token, fault)) ||
        (!slu_field_count(request, DIGEST, &digest) &&
         !slu_body_digest(arena, request->body, &digest, fault)) ||
        !slu_fields_collect(&form, FAMILY, arena, request, &fields, fault))
        return false;
    hmac = key_for(seal->keys, bound.scope);
    return hmac ? slu_form_sign(&form, hmac, bound.credential, arena, request, &fields, digest,
                                bound.middle, trace, fault)
                : slu_fault_memory(fault);
}

/* ---- what is received */

static bool is_presigned(const struct slu_request *request)
{
    struct slu_str query = request->query;

    while (query.p) {
        struct slu_str piece = slu_str_cut(&query, '&');

        if (slu_str_starts(piece, SLU_STR("X-Amz-Signature=")) ||
            slu_str_starts(piece, SLU_STR("X-Amz-Algorithm=")))
            return true;
    }
    return false;
}

static bool bears(const struct slu_request *request)
{
    return slu_form_bears(&form, request) || is_presigned(request);
}

struct credential {
    struct slu_str access_key, scope, day, region, service;
};

/* "KEY/YYYYMMDD/region/service/aws4_request"; slices of the text. */
static bool read_credential(struct slu_str text, struct credential *ret_credential,
                            struct slu_fault *fault)
{
    struct slu_str rest = text;
    struct credential credential = {.access_key = slu_str_cut(&rest, '/')};

    credential.scope = rest;
    credential.day = slu_str_cut(&rest, '/');
    credential.region = slu_str_cut(&rest, '/');
    credential.service = slu_str_cut(&rest, '/');
    if (!credential.access_key.n || credential.day.n != DAY || !credential.region.n ||
        !credential.service.n || !slu_str_eq(rest, END) ||
        credential.scope.n > sizeof(((struct keys *)NULL)->scope_text))
        return slu_refuse(fault, "signature",
                          "the Credential is not of the form "
                          "KEY/YYYYMMDD/region/service/aws4_request");
    *ret_credential = credential;
    return true;
}

static bool claim_of(struct slu_arena *arena, const struct slu_request *request,
                     struct slu_claim *claim, struct slu_fault *fault)
{
    struct slu_authorization read = {.access_key = SLU_STR_NONE};
    struct credential credential = {.day = SLU_STR_NONE};
    struct slu_str date;

    (void)arena;
    if (is_presigned(request))
        return slu_refuse(fault, "signature",
                          "a signature in the query (a presigned URL) is not taken here; send it "
                          "in the Authorization field");
    if (!slu_form_read(&form, request, &read, fault) ||
        !read_credential(read.access_key, &credential, fault) ||
        !slu_field_once(request, DATE, &date, fault) ||
        !slu_field_once(request, TOKEN, &claim->security_token, fault))
        return false;
    if (date.n != SLU_TIME_BASIC || !slu_time_to_unix(date, &claim->unix_s))
        return slu_refuse(fault, "time",
                          "X-Amz-Date is missing or not of the form YYYYMMDDThhmmssZ");
    if (credential.day.n != DAY || memcmp(credential.day.p, date.p, DAY) != 0)
        return slu_refuse(fault, "signature",
                          "the day of the Credential is not the day of X-Amz-Date");
    claim->access_key = credential.access_key;
    return true;
}

static bool all_signed(const struct slu_request *request, struct slu_str list,
                       struct slu_fault *fault)
{
    if (!slu_list_has(list, HOST))
        return slu_refuse(fault, "unsigned", "host must be signed");
    for (size_t i = 0; i < request->headers.count; i++) {
        struct slu_str name = request->headers.items[i].name;

        if ((slu_field_of_family(name, FAMILY) || slu_str_eq_nocase(name, CONTENT_TYPE)) &&
            !slu_list_has(list, name))
            return slu_refuse(fault, "unsigned",
                              "content-type and every x-amz- field must be signed");
    }
    return true;
}

/* A seal that is bound to no region (or service) takes each that the key itself was derived for. */
static bool scope_fits(const struct slu_seal *seal, const struct credential *credential,
                       struct slu_fault *fault)
{
    if (seal->region.n && !slu_str_eq(seal->region, credential->region))
        return slu_refuse(fault, "signature", "the Credential is for another region");
    if (seal->service.n && !slu_str_eq(seal->service, credential->service))
        return slu_refuse(fault, "signature", "the Credential is for another service");
    return true;
}

static bool verify(struct slu_seal *seal, struct slu_arena *arena,
                   const struct slu_request *request, struct slu_fault *fault)
{
    struct slu_str date = SLU_STR_NONE, digest = SLU_STR_NONE, middle;
    struct slu_authorization read = {.access_key = SLU_STR_NONE};
    struct credential credential = {.day = SLU_STR_NONE};
    struct slu_hmac *hmac;

    if (!slu_form_read(&form, request, &read, fault) ||
        !read_credential(read.access_key, &credential, fault) ||
        !slu_field_once(request, DATE, &date, fault) || !scope_fits(seal, &credential, fault) ||
        !all_signed(request, read.signed_names, fault) ||
        !slu_digest_received(arena, request, DIGEST, &digest, fault))
        return false;
    middle = slu_arena_printf(arena, "%.*s\n%.*s", SLU_FMT(date), SLU_FMT(credential.scope));
    hmac = key_for(seal->keys, credential.scope);
    if (!middle.p || !hmac)
        return slu_fault_memory(fault);
    return slu_form_check(&form, hmac, arena, request, &read, digest, middle, fault);
}

const struct slu_scheme slu_scheme_aws4_hmac_sha256 = {
    .open = open_keys,
    .close = close_keys,
    .sign = sign,
    .bears = bears,
    .claim = claim_of,
    .verify = verify,
};
