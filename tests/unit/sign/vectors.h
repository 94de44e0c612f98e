/* The vector files of the schemes as requests, for the tests of this folder. */
#ifndef TEST_SIGN_VECTORS_H
#define TEST_SIGN_VECTORS_H

#include "test.h"

#include "codec/params.h"
#include "codec/time.h"
#include "sign/sign.h"

#include <jansson.h>
#include <stdio.h>

enum { ARENA = 8 << 20 };

static const char *const schemes[] = {"sdk-hmac-sha256", "acs3-hmac-sha256", "rpc-hmac-sha1",
                                      "aws4-hmac-sha256"};

enum { VECTORS = 12 + 10 + 10 + 12 };

static inline json_t *vectors_of(const char *scheme)
{
    char path[128];
    struct slu_str text;
    json_error_t why;
    json_t *vectors;

    snprintf(path, sizeof(path), "tests/vectors/%s/vectors.json", scheme);
    text = test_file(path);
    vectors = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    slu_mem_free((char *)text.p);
    if (!vectors)
        fail_msg("%s: line %d: %s", path, why.line, why.text);
    return vectors;
}

/* A string member; empty when it is null or absent. */
static inline struct slu_str text_in(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value)
               ? (struct slu_str){json_string_value(value), json_string_length(value)}
               : SLU_STR_NONE;
}

static inline void add_pair(struct slu_buf *query, const char *name, const json_t *value)
{
    if (query->n)
        slu_buf_byte(query, '&');
    slu_percent_encode(query, slu_str_of(name));
    slu_buf_byte(query, '=');
    slu_percent_encode(query, slu_str_of(json_string_value(value)));
}

static inline struct slu_str params_of(json_t *vector, const char *member, struct slu_arena *arena)
{
    json_t *query = json_object_get(vector, member), *value;
    struct slu_buf text;
    struct slu_str wire;
    const char *name;
    size_t i;

    slu_buf_init(&text, 0);
    json_array_foreach(query, i, value)
        add_pair(&text, json_string_value(json_array_get(value, 0)), json_array_get(value, 1));
    json_object_foreach(query, name, value) add_pair(&text, name, value);
    wire = slu_arena_str(arena, slu_buf_str(&text));
    slu_buf_done(&text);
    return wire;
}

/* What a caller hands to the signer. False on no memory. */
static inline bool request_of(json_t *vector, struct slu_arena *arena, struct slu_request *request)
{
    struct slu_str project = text_in(vector, "project_id");
    const char *name;
    json_t *value;

    *request = (struct slu_request){
        .method = text_in(vector, "method"),
        .scheme = SLU_STR("https"),
        .host = text_in(vector, "host"),
        .path = text_in(vector, "path"),
        .query = params_of(vector, "query", arena),
        .body = text_in(vector, "body"),
    };
    if (!request->body.p && !(request->body = params_of(vector, "form", arena)).p)
        return false;
    json_object_foreach(json_object_get(vector, "headers"), name, value)
    {
        if (strcmp(name, "host") != 0 &&
            !slu_headers_add(arena, &request->headers, slu_str_of(name),
                             slu_str_of(json_string_value(value))))
            return false;
    }
    return request->query.p && (!project.n || slu_headers_add(arena, &request->headers,
                                                              SLU_STR("X-Project-Id"), project));
}

static inline int64_t unix_of(const json_t *vector)
{
    int64_t unix_s = 0;

    assert_true(slu_time_to_unix(text_in(vector, "date"), &unix_s));
    return unix_s;
}

static inline struct slu_seal *seal_with(const char *scheme, struct slu_str access_key,
                                         struct slu_str secret_key, struct slu_str token)
{
    slu_auto(slu_secret) *secret = slu_secret_new(secret_key);

    struct slu_seal_conf conf = {.access_key = access_key,
                                 .secret_key = secret,
                                 .security_token = token,
                                 .region = SLU_STR("us-east-1"),
                                 .service = SLU_STR("ec2")};

    return secret ? slu_seal_new(slu_scheme_find(slu_str_of(scheme)), &conf) : NULL;
}

static inline struct slu_seal *seal_of(const char *scheme, const json_t *vector)
{
    slu_auto(slu_secret) *secret = slu_secret_new(text_in(vector, "secret_key"));
    struct slu_seal_conf conf = {.access_key = text_in(vector, "access_key"),
                                 .secret_key = secret,
                                 .security_token = text_in(vector, "security_token"),
                                 .region = text_in(vector, "region"),
                                 .service = text_in(vector, "service")};

    return secret ? slu_seal_new(slu_scheme_find(slu_str_of(scheme)), &conf) : NULL;
}

/* The door's part: claim, then verify at a time. */
static inline bool received(struct slu_seal *seal, struct slu_arena *arena,
                            const struct slu_request *request, int64_t now_s,
                            struct slu_claim *claim, struct slu_fault *fault)
{
    const struct slu_scheme *all[SLU_COUNT(schemes) + 1] = {NULL};

    for (size_t i = 0; i < SLU_COUNT(schemes); i++)
        all[i] = slu_scheme_find(slu_str_of(schemes[i]));
    return slu_claim_read(arena, request, all, claim, fault) &&
           slu_verify(seal, arena, claim, request, now_s, 900, fault);
}

#endif
