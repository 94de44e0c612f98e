/*
 * keystone-password: a token of OpenStack's Keystone v3 in place of a signature, as Open Telekom
 * Cloud and Huawei Cloud take it beside their keys (Identity API v3, "Password authentication with
 * scoped authorization"; POST /v3/auth/tokens).
 *
 * The token is asked for with a user's name, domain and password, scoped to one project, comes in
 * X-Subject-Token and goes out as X-Auth-Token. Nothing is computed over the request, so there is
 * nothing that a door could verify. The service's catalogue, which the reply would hold, is left
 * out (nocatalog).
 */
#include "codec/json.h"
#include "codec/text.h"
#include "codec/time.h"
#include "sign/sign_internal.h"

#define PLACE "credentials"

struct keys {
    struct slu_secret *password, *token; /* no token: not armed */
};

static bool open_keys(struct slu_seal *seal, struct slu_str secret_key)
{
    struct keys *keys = slu_mem_new(sizeof(*keys));

    seal->keys = keys; /* close() frees what is there when this fails */
    if (!keys)
        return false;
    keys->password = slu_secret_new(secret_key);
    return keys->password != NULL;
}

static void close_keys(struct slu_seal *seal)
{
    struct keys *keys = seal->keys;

    if (!keys)
        return;
    slu_secret_free(keys->password);
    slu_secret_free(keys->token);
    slu_mem_free(keys);
}

/* ---- asking */

static struct slu_value *object_with(struct slu_arena *arena, struct slu_str name,
                                     struct slu_value *value)
{
    struct slu_value *object = slu_value_new(arena, SLU_OBJECT);

    slu_value_put(object, name, value);
    return object;
}

static struct slu_value *identity_of(const struct slu_seal *seal, struct slu_arena *arena)
{
    const struct keys *keys = seal->keys;
    struct slu_value *identity = slu_value_new(arena, SLU_OBJECT);
    struct slu_value *methods = slu_value_new(arena, SLU_ARRAY);
    struct slu_value *user =
        object_with(arena, SLU_STR("name"), slu_value_string(arena, seal->access_key));

    slu_value_put(user, SLU_STR("password"),
                  slu_value_string(arena, slu_secret_reveal(keys->password)));
    slu_value_put(user, SLU_STR("domain"),
                  object_with(arena, SLU_STR("name"), slu_value_string(arena, seal->domain)));
    slu_value_append(methods, slu_value_string(arena, SLU_STR("password")));
    slu_value_put(identity, SLU_STR("methods"), methods);
    slu_value_put(identity, SLU_STR("password"), object_with(arena, SLU_STR("user"), user));
    return identity;
}

static struct slu_value *question_of(const struct slu_seal *seal, struct slu_arena *arena)
{
    struct slu_value *auth = object_with(arena, SLU_STR("identity"), identity_of(seal, arena));
    struct slu_value *project =
        object_with(arena, SLU_STR("id"), slu_value_string(arena, seal->project));

    slu_value_put(auth, SLU_STR("scope"), object_with(arena, SLU_STR("project"), project));
    return object_with(arena, SLU_STR("auth"), auth);
}

static bool write_body(const struct slu_value *question, struct slu_arena *arena,
                       struct slu_str *ret_body)
{
    struct slu_buf out;

    slu_buf_init(&out, 0);
    slu_json_write(&out, question);
    *ret_body = out.failed ? SLU_STR_NONE : slu_arena_str(arena, slu_buf_str(&out));
    slu_wipe(out.p, out.n);
    slu_buf_done(&out);
    return ret_body->p != NULL;
}

static bool ask(const struct slu_seal *seal, struct slu_arena *arena,
                struct slu_request *ret_request, struct slu_fault *fault)
{
    const struct keys *keys = seal->keys;
    struct slu_request request = {.method = SLU_STR("POST"),
                                  .path = SLU_STR("/v3/auth/tokens"),
                                  .query = SLU_STR("nocatalog=1")};
    struct slu_value *question;

    if (!seal->access_key.n || !seal->domain.n || !seal->project.n ||
        !slu_utf8_valid(slu_secret_reveal(keys->password)) || !slu_utf8_valid(seal->access_key))
        return slu_fault_set(fault, SLU_FAULT_CONFIG, PLACE,
                             "a token needs the user's name, domain and password, as UTF-8, and "
                             "the project that it is for");
    question = question_of(seal, arena);
    if (arena->failed || !question || !write_body(question, arena, &request.body) ||
        !slu_headers_add(arena, &request.headers, SLU_STR("Content-Type"),
                         SLU_STR("application/json")) ||
        !slu_headers_add(arena, &request.headers, SLU_STR("Accept"), SLU_STR("application/json")))
        return slu_fault_memory(fault);
    *ret_request = request;
    return true;
}

/* ---- the answer */

static bool refused(int status, struct slu_fault *fault)
{
    enum slu_fault_kind kind = status == 401 || status == 403   ? SLU_FAULT_CREDENTIALS
                               : status == 429 || status == 503 ? SLU_FAULT_UPSTREAM_UNAVAILABLE
                               : status >= 500                  ? SLU_FAULT_UPSTREAM_ERROR
                               : status >= 400                  ? SLU_FAULT_UPSTREAM_REFUSED
                                                                : SLU_FAULT_UPSTREAM_UNREADABLE;

    if (kind == SLU_FAULT_CREDENTIALS)
        return slu_fault_set(fault, kind, PLACE,
                             "the identity service refused the user, the password or the project "
                             "(HTTP %d)",
                             status);
    return slu_fault_set(fault, kind, PLACE,
                         "the identity service gave no token: it answered with HTTP %d", status);
}

static bool unreadable(struct slu_fault *fault, const char *why)
{
    return slu_fault_set(fault, SLU_FAULT_UPSTREAM_UNREADABLE, PLACE,
                         "the identity service's answer cannot be read: %s", why);
}

/* "2015-11-09T01:42:57.527363Z"; the fraction is left out, so the moment is never too late. */
static bool read_end(struct slu_arena *arena, struct slu_str text, int64_t *ret_until_s)
{
    char whole[SLU_TIME_EXTENDED];
    struct slu_str read;

    if (!slu_time_read(arena, SLU_STR("YYYY-MM-DDThh:mm:ss[.f]Z"), text, &read))
        return false;
    memcpy(whole, read.p, SLU_TIME_EXTENDED - 1);
    whole[SLU_TIME_EXTENDED - 1] = 'Z';
    return slu_time_to_unix((struct slu_str){whole, SLU_TIME_EXTENDED}, ret_until_s);
}

static bool token_valid(struct slu_str token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~')
            return false;
    return token.n > 0;
}

static bool answer(struct slu_arena *arena, const struct slu_response *response,
                   struct slu_token *ret_token, struct slu_fault *fault)
{
    struct slu_str text = slu_headers_value(&response->headers, SLU_STR("X-Subject-Token"));
    const struct slu_value *body, *end;
    struct slu_mistakes mistakes;
    int64_t until_s;

    if (response->status != 201)
        return refused(response->status, fault);
    if (slu_headers_count(&response->headers, SLU_STR("X-Subject-Token")) != 1 ||
        !token_valid(text))
        return unreadable(fault, "there is not exactly one X-Subject-Token");
    slu_mistakes_init(&mistakes, arena);
    body = slu_json_read(arena, response->body, (struct slu_json_limits){0}, &mistakes);
    end = slu_value_member(slu_value_member(body, "token"), "expires_at");
    if (arena->failed || mistakes.failed)
        return slu_fault_memory(fault);
    if (!slu_value_is(end, SLU_STRING) || !read_end(arena, end->text, &until_s))
        return arena->failed ? slu_fault_memory(fault)
                             : unreadable(fault, "/token/expires_at is missing or no time");
    text = slu_arena_str(arena, text);
    if (!text.p)
        return slu_fault_memory(fault);
    *ret_token = (struct slu_token){text, until_s};
    return true;
}

static bool arm(struct slu_seal *seal, const struct slu_token *token)
{
    struct keys *keys = seal->keys;
    struct slu_secret *copy = slu_secret_new(token->text);

    if (!copy)
        return false;
    slu_secret_free(keys->token);
    keys->token = copy;
    return true;
}

/* The trace stays empty: a token is as good as the password. */
static bool sign(struct slu_seal *seal, struct slu_arena *arena, int64_t unix_s,
                 struct slu_str nonce, struct slu_request *request, struct slu_sign_trace *trace,
                 struct slu_fault *fault)
{
    const struct keys *keys = seal->keys;

    (void)unix_s;
    (void)nonce;
    if (trace)
        *trace = (struct slu_sign_trace){SLU_STR_NONE, SLU_STR_NONE, SLU_STR_NONE};
    if (!keys->token)
        return slu_fault_set(fault, SLU_FAULT_CREDENTIALS, PLACE, "there is no token yet");
    return slu_sign_field(arena, request, SLU_STR("X-Auth-Token"), slu_secret_reveal(keys->token),
                          fault);
}

const struct slu_scheme slu_scheme_keystone_password = {
    .open = open_keys,
    .close = close_keys,
    .sign = sign,
    .ask = ask,
    .answer = answer,
    .arm = arm,
};
