/*
 * rpc-hmac-sha1: Alibaba Cloud's older signature (SignatureVersion 1.0), borne by parameters
 * instead of header fields (@alicloud/pop-core 1.8.0, @alicloud/openapi-core 1.0.8; vendor page
 * "RPC mechanism").
 *
 *   string to sign = METHOD & %2F & encode(name=value pairs, encoded, sorted, joined by "&")
 *   Signature      = base64(hmac-sha1(secret key + "&", string to sign))
 *
 * Signed are all parameters of query and form together, but Signature itself; no field, no host and
 * no path. So whatever else could carry meaning is refused when a request is verified: a path
 * beside "/", a body that is no form, and a parameter that is given twice.
 *
 * The scheme's own parameters go into the form where the body is one, else into the query. Query
 * and form are written anew with them: what is sent is then encoded exactly as it is signed.
 */
#include "codec/params.h"
#include "codec/text.h"
#include "codec/time.h"
#include "sign/sign_internal.h"

enum { MOST_PARAMS = 1000 };

#define METHOD_NAME SLU_STR("HMAC-SHA1")
#define VERSION     SLU_STR("1.0")

/* The scheme's own parameters, in the order in which they are sent. */
enum own { KEY, METHOD, VERSION_OF, NONCE, TIME, TOKEN, SIGNATURE, OWN_COUNT };

static const struct slu_str own_names[OWN_COUNT] = {
    [KEY] = SLU_STR_INIT("AccessKeyId"),
    [METHOD] = SLU_STR_INIT("SignatureMethod"),
    [VERSION_OF] = SLU_STR_INIT("SignatureVersion"),
    [NONCE] = SLU_STR_INIT("SignatureNonce"),
    [TIME] = SLU_STR_INIT("Timestamp"),
    [TOKEN] = SLU_STR_INIT("SecurityToken"),
    [SIGNATURE] = SLU_STR_INIT("Signature"),
};

static enum own own_of(struct slu_str name)
{
    unsigned i = 0;

    while (i < OWN_COUNT && !slu_str_eq(own_names[i], name))
        i++;
    return (enum own)i;
}

static bool open_keys(struct slu_seal *seal, struct slu_str secret_key)
{
    char *key = slu_mem_new(secret_key.n + 1);

    if (!key)
        return false;
    if (secret_key.n)
        memcpy(key, secret_key.p, secret_key.n);
    key[secret_key.n] = '&';
    seal->keys = slu_hmac_sha1_new((struct slu_str){key, secret_key.n + 1});
    slu_wipe(key, secret_key.n + 1);
    slu_mem_free(key);
    return seal->keys != NULL;
}

/* ---- the signature over a list of parameters */

static struct slu_str canonical_query(struct slu_arena *arena, const struct slu_params *params)
{
    size_t size = 2 * params->count + 1;
    struct slu_buf out = {0};

    for (size_t i = 0; i < params->count; i++)
        size += 3 * (params->items[i].name.n + params->items[i].value.n);
    out = (struct slu_buf){.p = slu_arena_get(arena, size), .size = size, .limit = size};
    if (!out.p)
        return SLU_STR_NONE;
    slu_params_write(&out, params);
    slu_must(!out.failed);
    return slu_buf_str(&out);
}

static struct slu_str string_to_sign(struct slu_arena *arena, struct slu_str method,
                                     struct slu_str canonical)
{
    size_t size = method.n + 5 + canonical.n;
    struct slu_buf out = {0};

    for (size_t i = 0; i < canonical.n; i++)
        if (canonical.p[i] == '%' || canonical.p[i] == '&' || canonical.p[i] == '=')
            size += 2;
    out = (struct slu_buf){.p = slu_arena_get(arena, size), .size = size, .limit = size};
    if (!out.p)
        return SLU_STR_NONE;
    slu_buf_add(&out, method);
    slu_buf_lit(&out, "&%2F&");
    slu_percent_encode(&out, canonical);
    slu_must(!out.failed);
    return slu_buf_str(&out);
}

/* Sorts the parameters. The trace's authorization is the signature. */
static bool make(struct slu_seal *seal, struct slu_arena *arena, struct slu_str method,
                 struct slu_params *params, struct slu_sign_trace *made, struct slu_fault *fault)
{
    unsigned char mac[SLU_SHA1_SIZE];

    slu_params_sort(params);
    made->canonical_request = canonical_query(arena, params);
    if (!made->canonical_request.p)
        return slu_fault_memory(fault);
    made->string_to_sign = string_to_sign(arena, method, made->canonical_request);
    if (!made->string_to_sign.p || !slu_hmac_sha1(seal->keys, made->string_to_sign, mac))
        return slu_fault_memory(fault);
    made->authorization = slu_base64_write(arena, (struct slu_str){(const char *)mac, sizeof(mac)});
    return made->authorization.p ? true : slu_fault_memory(fault);
}

static bool has_double(const struct slu_params *sorted)
{
    for (size_t i = 1; i < sorted->count; i++)
        if (slu_str_eq(sorted->items[i - 1].name, sorted->items[i].name))
            return true;
    return false;
}

/* ---- signing */

/* Query and form as lists, without the scheme's own parameters, with room for them in each. */
struct parts {
    struct slu_params query, form;
    bool is_form;
};

static bool read_others(struct slu_arena *arena, struct slu_str text, bool plus_is_blank,
                        struct slu_params *ret_params, struct slu_fault *fault)
{
    struct slu_params all = {0}, kept = {0};

    if (!slu_params_read(arena, text, plus_is_blank, MOST_PARAMS, &all, fault))
        return false;
    kept.items = slu_arena_get(arena, (all.count + OWN_COUNT) * sizeof(*kept.items));
    if (!kept.items)
        return slu_fault_memory(fault);
    for (size_t i = 0; i < all.count; i++)
        if (own_of(all.items[i].name) == OWN_COUNT)
            kept.items[kept.count++] = all.items[i];
    *ret_params = kept;
    return true;
}

/* A "+" of a query is itself, as doors read it; that of a form is a blank. */
static bool read_parts(struct slu_arena *arena, const struct slu_request *request,
                       struct parts *parts, struct slu_fault *fault)
{
    parts->is_form = slu_request_is_form(request);
    return read_others(arena, request->query, false, &parts->query, fault) &&
           read_others(arena, parts->is_form ? request->body : SLU_STR_NONE, true, &parts->form,
                       fault);
}

static bool join(struct slu_arena *arena, const struct slu_params *a, const struct slu_params *b,
                 struct slu_params *ret_all, struct slu_fault *fault)
{
    size_t size = sizeof(*a->items);
    struct slu_params all = {slu_arena_get(arena, (a->count + b->count + 1) * size),
                             a->count + b->count};

    if (!all.items)
        return slu_fault_memory(fault);
    if (a->count)
        memcpy(all.items, a->items, a->count * size);
    if (b->count)
        memcpy(all.items + a->count, b->items, b->count * size);
    *ret_all = all;
    return true;
}

static void add_own(struct slu_params *params, enum own name, struct slu_str value)
{
    slu_must(params->items);
    params->items[params->count++] = (struct slu_param){own_names[name], value, false};
}

static void add_all(struct slu_params *params, const struct slu_seal *seal, struct slu_str nonce,
                    struct slu_str date)
{
    add_own(params, KEY, seal->access_key);
    add_own(params, METHOD, METHOD_NAME);
    add_own(params, VERSION_OF, VERSION);
    add_own(params, NONCE, nonce);
    add_own(params, TIME, date);
    if (seal->security_token.n)
        add_own(params, TOKEN, seal->security_token);
}

static bool write_parts(struct slu_arena *arena, struct slu_request *request,
                        const struct parts *parts, struct slu_fault *fault)
{
    struct slu_str query = canonical_query(arena, &parts->query);
    struct slu_str form = parts->is_form ? canonical_query(arena, &parts->form) : request->body;

    if (!query.p || (parts->is_form && !form.p))
        return slu_fault_memory(fault);
    request->query = query;
    request->body = form;
    return true;
}

static bool sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                 struct slu_str nonce, struct slu_request *request, struct slu_sign_trace *trace,
                 struct slu_fault *fault)
{
    char *date = slu_arena_get(arena, SLU_TIME_EXTENDED);
    struct slu_sign_trace made;
    struct slu_params *bearer, all;
    struct parts parts = {.is_form = false};

    if (!date)
        return slu_fault_memory(fault);
    slu_time_extended(unix_s, date);
    if (!read_parts(arena, request, &parts, fault))
        return false;
    bearer = parts.is_form ? &parts.form : &parts.query;
    add_all(bearer, seal, nonce, (struct slu_str){date, SLU_TIME_EXTENDED});
    if (!join(arena, &parts.query, &parts.form, &all, fault) ||
        !make(seal, arena, request->method, &all, &made, fault))
        return false;
    if (has_double(&all))
        return slu_fault_set(fault, SLU_FAULT_BAD_REQUEST, "query",
                             "a parameter is given twice, which this scheme cannot sign");
    add_own(bearer, SIGNATURE, made.authorization);
    if (trace)
        *trace = made;
    return write_parts(arena, request, &parts, fault);
}

/* ---- verifying */

/* All parameters of the request but the scheme's own values, which come apart. */
struct received {
    struct slu_params all; /* without Signature; in the order received */
    struct slu_str own[OWN_COUNT];
};

static bool has_signature(struct slu_str text)
{
    while (text.p) {
        struct slu_str piece = slu_str_cut(&text, '&');

        if (slu_str_starts(piece, SLU_STR("Signature=")))
            return true;
    }
    return false;
}

static bool bears(const struct slu_request *request)
{
    return has_signature(request->query) ||
           (slu_request_is_form(request) && has_signature(request->body));
}

static bool take_own(struct received *received, struct slu_fault *fault)
{
    size_t kept = 0;

    for (size_t i = 0; i < received->all.count; i++) {
        struct slu_param *param = &received->all.items[i];
        enum own own = own_of(param->name);

        if (own != OWN_COUNT) {
            if (received->own[own].p)
                return slu_refuse(fault, "signature", "a parameter is given twice");
            /* A NULL pointer stands for absence. */
            received->own[own] = param->value.p ? param->value : SLU_STR("");
        }
        if (own != SIGNATURE)
            received->all.items[kept++] = *param;
    }
    received->all.count = kept;
    return true;
}

static bool receive(struct slu_arena *arena, const struct slu_request *request,
                    struct received *received, struct slu_fault *fault)
{
    struct slu_str body = slu_request_is_form(request) ? request->body : SLU_STR_NONE;
    struct slu_params query = {0}, form = {0};
    struct slu_fault why = {0};

    *received = (struct received){0};
    if (!slu_params_read(arena, request->query, false, MOST_PARAMS, &query, &why) ||
        !slu_params_read(arena, body, true, MOST_PARAMS, &form, &why) ||
        !join(arena, &query, &form, &received->all, &why)) {
        if (why.kind == SLU_FAULT_MEMORY)
            return slu_fault_memory(fault);
        return slu_refuse(fault, "signature", "the query or the form cannot be read");
    }
    return take_own(received, fault);
}

static bool claim_of(struct slu_arena *arena, const struct slu_request *request,
                     struct slu_claim *claim, struct slu_fault *fault)
{
    struct received received;

    if (!receive(arena, request, &received, fault))
        return false;
    if (!slu_str_eq(received.own[METHOD], METHOD_NAME) ||
        !slu_str_eq(received.own[VERSION_OF], VERSION))
        return slu_refuse(fault, "signature",
                          "SignatureMethod must be HMAC-SHA1 and SignatureVersion 1.0");
    if (!received.own[KEY].n || !received.own[NONCE].n)
        return slu_refuse(fault, "signature", "AccessKeyId or SignatureNonce is missing");
    if (received.own[TIME].n != SLU_TIME_EXTENDED ||
        !slu_time_to_unix(received.own[TIME], &claim->unix_s))
        return slu_refuse(fault, "time",
                          "Timestamp is missing or not of the form YYYY-MM-DDThh:mm:ssZ");
    claim->access_key = received.own[KEY];
    claim->nonce = received.own[NONCE];
    claim->security_token = received.own[TOKEN];
    return true;
}

static bool verify(struct slu_seal *seal, struct slu_arena *arena,
                   const struct slu_request *request, struct slu_fault *fault)
{
    struct received received;
    struct slu_sign_trace made = {.authorization = SLU_STR_NONE};

    if (!slu_str_is(request->path, "/"))
        return slu_refuse(fault, "unsigned", "the path must be /, since it is not signed");
    if (request->body.n && !slu_request_is_form(request))
        return slu_refuse(fault, "unsigned",
                          "a body must be a form (application/x-www-form-urlencoded), since "
                          "nothing else is signed");
    if (!receive(arena, request, &received, fault) ||
        !make(seal, arena, request->method, &received.all, &made, fault))
        return false;
    if (!slu_equal_secretly(made.authorization, received.own[SIGNATURE]))
        return slu_refuse(fault, "signature", "the signature is not right");
    if (has_double(&received.all))
        return slu_refuse(fault, "signature", "a parameter is given twice");
    return true;
}

const struct slu_scheme slu_scheme_rpc_hmac_sha1 = {
    .has_nonce = true,
    .open = open_keys,
    .close = slu_hmac_close,
    .sign = sign,
    .bears = bears,
    .claim = claim_of,
    .verify = verify,
};
