/* A cloud's own client at a door of the world: it signs, knocks and reads the answer. */
#ifndef KNOCK_H
#define KNOCK_H

#include "world.h"

#include "base/clock.h"

/* What a cloud's client sends. */
struct wish {
    size_t front;
    const char *method, *path, *query, *action, *body;
    const char *token;        /* of idempotency, in a header */
    const char *key, *secret; /* NULL: the portal's */
    int64_t age_s;
    const char *spoil; /* replaced by 'x' once it is signed */
    bool bare;         /* not signed at all */
};

#define ALI_CREATE                                                                                 \
    "FlowLogName=edge&Description=at%20the%20edge&ResourceType=VPC&ResourceId=vpc-m5e0123456789"   \
    "abcdefgh&TrafficType=All&ProjectName=flowlog-project&LogStoreName=flowlog_store"
#define OTC_PATH "/v1/" PROJECT "/fl/flow_logs"
#define OTC_CREATE                                                                                 \
    "{\"flow_log\":{\"name\":\"edge-reject\",\"resource_type\":\"vpc\",\"resource_id\":"           \
    "\"" ANY_UUID "\",\"traffic_type\":\"reject\",\"log_group_id\":\"" ANY_UUID "\","              \
    "\"log_topic_id\":\"" ANY_UUID "\"}}"

#define ALI(said, wanted)                                                                          \
    .front = FRONT_ALIBABA, .method = "POST", .path = "/", .query = said, .action = wanted
#define ALI_GOOD         ALI("RegionId=" DOOR_REGION "&" ALI_CREATE, "CreateFlowLog")
#define OTC(verb, where) .front = FRONT_OTC, .method = verb, .path = where
#define OTC_GOOD         OTC("POST", OTC_PATH), .body = OTC_CREATE

static inline void add_field(struct slu_arena *arena, struct slu_request *request, const char *name,
                             const char *value)
{
    assert_true(slu_headers_add(arena, &request->headers, slu_str_of(name), slu_str_of(value)));
}

static inline struct slu_request request_of_wish(struct slu_arena *arena, const struct wish *wish)
{
    struct slu_request request = {.method = slu_str_of(wish->method),
                                  .scheme = SLU_STR("http"),
                                  .host = SLU_STR("door.test"),
                                  .path = slu_str_of(wish->path),
                                  .query = slu_str_of(wish->query ? wish->query : ""),
                                  .body = slu_str_of(wish->body ? wish->body : "")};

    if (wish->action) {
        add_field(arena, &request, "x-acs-action", wish->action);
        add_field(arena, &request, "x-acs-version", "2016-04-28");
    }
    if (wish->token)
        add_field(arena, &request, "x-client-token", wish->token);
    if (wish->body)
        add_field(arena, &request, "content-type", "application/json");
    return request;
}

static inline void seal_wish(struct slu_arena *arena, const struct wish *wish,
                             struct slu_request *request)
{
    struct slu_str scheme = wish->action ? SLU_STR("acs3-hmac-sha256") : SLU_STR("sdk-hmac-sha256");
    struct slu_secret *made = secret(wish->secret ? wish->secret : DOOR_SECRET);
    struct slu_seal_conf conf = {.access_key = slu_str_of(wish->key ? wish->key : DOOR_KEY),
                                 .secret_key = made};
    struct slu_seal *seal = slu_seal_new(slu_scheme_find(scheme), &conf);
    struct slu_fault fault = {0};
    static unsigned nonce;

    assert_non_null(seal);
    assert_true(slu_sign(seal, arena, slu_clock_real_s() - wish->age_s,
                         slu_arena_printf(arena, "nonce-%u", nonce++), request, NULL, &fault));
    slu_seal_free(seal);
    slu_secret_free(made);
}

static inline struct slu_str wire_of(const struct slu_request *request, struct slu_buf *wire)
{
    slu_buf_printf(wire, "%.*s %.*s%s%.*s HTTP/1.1\r\nhost: %.*s\r\n", SLU_FMT(request->method),
                   SLU_FMT(request->path), request->query.n ? "?" : "", SLU_FMT(request->query),
                   SLU_FMT(request->host));
    for (size_t i = 0; i < request->headers.count; i++)
        slu_buf_printf(wire, "%.*s: %.*s\r\n", SLU_FMT(request->headers.items[i].name),
                       SLU_FMT(request->headers.items[i].value));
    slu_buf_printf(wire, "content-length: %zu\r\n\r\n%.*s", request->body.n,
                   SLU_FMT(request->body));
    assert_false(wire->failed);
    return slu_buf_str(wire);
}

/* The connection on which the answer will come. */
static inline int begin_knock(struct world *world, const struct wish *wish)
{
    struct slu_request request = request_of_wish(&world->arena, wish);
    struct slu_buf wire;
    struct slu_str text;
    int fd = dial(world, wish->front);

    if (!wish->bare)
        seal_wish(&world->arena, wish, &request);
    slu_buf_init(&wire, 0);
    text = wire_of(&request, &wire);
    if (wish->spoil) {
        char *at = memmem(wire.p, wire.n, wish->spoil, strlen(wish->spoil));

        assert_non_null(at);
        *at = 'x';
    }
    say_bytes(fd, text.p, text.n);
    slu_buf_done(&wire);
    return fd;
}

/* False when the connection ended without an answer. */
static inline bool knocks(struct world *world, const struct wish *wish, struct answer *answer)
{
    int fd = begin_knock(world, wish);
    bool heard = hear(fd, answer);

    close(fd);
    return heard;
}

static inline const struct answer *knock(struct world *world, const struct wish *wish)
{
    static struct answer answer;

    assert_true(knocks(world, wish, &answer));
    return &answer;
}

static inline struct slu_value *document_of(struct world *world, const struct wish *wish,
                                            int status)
{
    const struct answer *answer = knock(world, wish);

    if (answer->status != status)
        print_error("%s\n", answer->text);
    assert_int_equal(answer->status, status);
    return read_json(world, slu_arena_str(&world->arena, answer->body));
}

#endif
