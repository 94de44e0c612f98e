/*
 * The list of schemes, the seal's life, and the dispatch to the scheme. What is the same for every
 * scheme is checked here: whose key it is, the time window and the security token.
 */
#include "sign/sign_internal.h"

#define OBJECT(object, name) &object,
#define NAME(object, name)   name,

static const struct slu_scheme *const schemes[] = {SLU_SCHEMES(OBJECT)};
static const char *const names[] = {SLU_SCHEMES(NAME) NULL};

const struct slu_scheme *slu_scheme_find(struct slu_str name)
{
    for (size_t i = 0; i < SLU_COUNT(schemes); i++) {
        if (slu_str_is(name, names[i]))
            return schemes[i];
    }
    return NULL;
}

const char *slu_scheme_name(const struct slu_scheme *scheme)
{
    size_t i = 0;

    while (schemes[i] != scheme) {
        i++;
        slu_must(i < SLU_COUNT(schemes));
    }
    return names[i];
}

const char *const *slu_scheme_names(void)
{
    return names;
}

/* Copies into the seal's piece of memory, behind what is there. */
static struct slu_str keep(struct slu_seal *seal, struct slu_str text)
{
    char *at = seal->text + seal->text_size;

    if (text.n)
        memcpy(at, text.p, text.n);
    seal->text_size += text.n;
    return (struct slu_str){at, text.n};
}

struct slu_seal *slu_seal_new(const struct slu_scheme *scheme, const struct slu_seal_conf *conf)
{
    slu_auto(slu_seal) *seal = slu_mem_new(sizeof(*seal));

    if (!seal)
        return NULL;
    seal->scheme = scheme;
    seal->text = slu_mem_new(conf->access_key.n + conf->security_token.n + conf->region.n +
                             conf->service.n + conf->domain.n + conf->project.n + 1);
    if (!seal->text)
        return NULL;
    seal->access_key = keep(seal, conf->access_key);
    seal->security_token = keep(seal, conf->security_token);
    seal->region = keep(seal, conf->region);
    seal->service = keep(seal, conf->service);
    seal->domain = keep(seal, conf->domain);
    seal->project = keep(seal, conf->project);
    if (!scheme->open(seal, slu_secret_reveal(conf->secret_key)))
        return NULL;
    return slu_take(seal);
}

void slu_seal_free(struct slu_seal *seal)
{
    if (!seal)
        return;
    seal->scheme->close(seal);
    slu_wipe(seal->text, seal->text_size);
    slu_mem_free(seal->text);
    slu_mem_free(seal);
}

bool slu_scheme_fetches(const struct slu_scheme *scheme)
{
    return scheme->ask != NULL;
}

bool slu_scheme_verifies(const struct slu_scheme *scheme)
{
    return scheme->claim != NULL;
}

bool slu_seal_ask(const struct slu_seal *seal, struct slu_arena *arena,
                  struct slu_request *ret_request, struct slu_fault *fault)
{
    slu_must(seal->scheme->ask);
    return seal->scheme->ask(seal, arena, ret_request, fault);
}

bool slu_seal_answer(const struct slu_seal *seal, struct slu_arena *arena,
                     const struct slu_response *response, struct slu_token *ret_token,
                     struct slu_fault *fault)
{
    slu_must(seal->scheme->answer);
    return seal->scheme->answer(arena, response, ret_token, fault);
}

bool slu_seal_arm(struct slu_seal *seal, const struct slu_token *token)
{
    slu_must(seal->scheme->arm);
    return seal->scheme->arm(seal, token);
}

struct slu_str slu_seal_access_key(const struct slu_seal *seal)
{
    return seal->access_key;
}

bool slu_hmac_open(struct slu_seal *seal, struct slu_str secret_key)
{
    seal->keys = slu_hmac_new(secret_key);
    return seal->keys != NULL;
}

void slu_hmac_close(struct slu_seal *seal)
{
    slu_hmac_free(seal->keys);
}

bool slu_sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s, struct slu_str nonce,
              struct slu_request *request, struct slu_sign_trace *trace, struct slu_fault *fault)
{
    return seal->scheme->sign(seal, arena, unix_s, nonce, request, trace, fault);
}

bool slu_claim_read(struct slu_arena *arena, const struct slu_request *request,
                    const struct slu_scheme *const *allowed, struct slu_claim *ret_claim,
                    struct slu_fault *fault)
{
    for (; *allowed; allowed++) {
        struct slu_claim claim = {.scheme = *allowed};

        if (!claim.scheme->claim || !claim.scheme->bears(request))
            continue;
        if (!claim.scheme->claim(arena, request, &claim, fault))
            return false;
        *ret_claim = claim;
        return true;
    }
    return slu_refuse(fault, "signature", "the request has no signature of a kind served here");
}

/* The token comes last: who cannot sign learns nothing about it. */
static bool token_fits(const struct slu_seal *seal, const struct slu_claim *claim,
                       struct slu_fault *fault)
{
    if (slu_equal_secretly(seal->security_token, claim->security_token))
        return true;
    if (!seal->security_token.n)
        return slu_refuse(fault, "token", "this access key is used without a security token");
    return slu_refuse(fault, "token", "the security token is not the one of this access key");
}

bool slu_verify(struct slu_seal *seal, struct slu_arena *arena, const struct slu_claim *claim,
                const struct slu_request *request, int64_t now_s, int64_t skew_s,
                struct slu_fault *fault)
{
    int64_t apart_s = claim->unix_s < now_s ? now_s - claim->unix_s : claim->unix_s - now_s;

    if (claim->scheme != seal->scheme || !slu_str_eq(claim->access_key, seal->access_key))
        return slu_refuse(fault, "signature", "the signature was made with another key");
    if (apart_s > skew_s)
        return slu_refuse(fault, "time", "the signature's time is too far from the time here");
    return seal->scheme->verify(seal, arena, request, fault) && token_fits(seal, claim, fault);
}

bool slu_refuse(struct slu_fault *fault, const char *word, const char *why)
{
    return slu_fault_set(fault, SLU_FAULT_UNAUTHENTICATED, word, "%s", why);
}

bool slu_sign_field(struct slu_arena *arena, struct slu_request *request, struct slu_str name,
                    struct slu_str value, struct slu_fault *fault)
{
    struct slu_str own = slu_arena_str(arena, value);

    if (own.p && slu_headers_set(arena, &request->headers, name, own))
        return true;
    if (arena->failed)
        return slu_fault_memory(fault);
    return slu_fault_set(fault, SLU_FAULT_CONFIG, "credentials",
                         "the access key, security token or nonce holds a character that no header "
                         "field can carry");
}

size_t slu_field_count(const struct slu_request *request, struct slu_str name,
                       struct slu_str *ret_value)
{
    size_t count = 0;

    *ret_value = SLU_STR_NONE;
    for (size_t i = 0; i < request->headers.count; i++) {
        const struct slu_header *header = &request->headers.items[i];

        if (slu_str_eq_nocase(header->name, name)) {
            *ret_value = header->value;
            count++;
        }
    }
    return count;
}

bool slu_field_once(const struct slu_request *request, struct slu_str name,
                    struct slu_str *ret_value, struct slu_fault *fault)
{
    if (slu_field_count(request, name, ret_value) <= 1)
        return true;
    return slu_refuse(fault, "signature", "a field of the signature was sent more than once");
}

bool slu_body_digest(struct slu_arena *arena, struct slu_str body, struct slu_str *ret_hex,
                     struct slu_fault *fault)
{
    char *hex;

    if (!body.n) {
        *ret_hex = SLU_STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        return true;
    }
    hex = slu_arena_get(arena, SLU_SHA256_HEX);
    if (!hex || !slu_sha256_hex(body, hex))
        return slu_fault_memory(fault);
    *ret_hex = (struct slu_str){hex, SLU_SHA256_HEX};
    return true;
}

bool slu_digest_received(struct slu_arena *arena, const struct slu_request *request,
                         struct slu_str name, struct slu_str *ret_digest, struct slu_fault *fault)
{
    struct slu_str body = SLU_STR_NONE, sent = SLU_STR_NONE;
    size_t count = slu_field_count(request, name, &sent);

    if (!slu_body_digest(arena, request->body, &body, fault))
        return false;
    if (count > 1)
        return slu_refuse(fault, "digest", "the body's digest was sent more than once");
    if (count && !slu_str_eq(sent, body) &&
        (request->body.n || !slu_str_is(sent, "UNSIGNED-PAYLOAD")))
        return slu_refuse(fault, "digest",
                          "the digest that was sent is not the SHA-256 of the body");
    *ret_digest = count ? sent : body;
    return true;
}
