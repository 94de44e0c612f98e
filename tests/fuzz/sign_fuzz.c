/*
 * A caller's bytes against claim and verification of every scheme: no crash, and nothing that was
 * not signed with the key is ever taken. And a cloud's bytes as the answer to a question for a
 * token. Input: lines of "name: value", then an empty line, then the body; the first line is
 * "METHOD path query".
 */
#include "sign/sign.h"

enum { NOW = 1767225600, MOST = 16 };

static const struct slu_scheme *schemes[MOST + 1]; /* those that verify; ends with NULL */
static struct slu_seal *seals[MOST];
static struct slu_seal *fetching;

static struct slu_request read_request(struct slu_arena *arena, struct slu_str text)
{
    struct slu_str line = slu_str_cut(&text, '\n');
    struct slu_request request = {.scheme = SLU_STR("https"), .host = SLU_STR("vpc.example.com")};

    request.method = slu_str_cut(&line, ' ');
    request.path = slu_str_cut(&line, ' ');
    request.query = line;
    while (text.p && request.headers.count < 100) {
        struct slu_str value = slu_str_cut(&text, '\n'), name;

        if (!value.n)
            break;
        name = slu_str_cut(&value, ':');
        if (!slu_headers_add(arena, &request.headers, name, slu_str_trim(value)))
            continue;
    }
    request.body = text;
    return request;
}

static struct slu_seal *seal(const struct slu_scheme *scheme)
{
    slu_auto(slu_secret) *secret = slu_secret_new(SLU_STR("a key that no input was signed with"));
    struct slu_seal_conf conf = {.access_key = SLU_STR("AK"),
                                 .secret_key = secret,
                                 .region = SLU_STR("us-east-1"),
                                 .service = SLU_STR("ec2"),
                                 .domain = SLU_STR("D"),
                                 .project = SLU_STR("P")};

    return slu_seal_new(scheme, &conf);
}

static void begin(void)
{
    size_t count = 0;

    for (const char *const *name = slu_scheme_names(); *name; name++) {
        const struct slu_scheme *scheme = slu_scheme_find(slu_str_of(*name));

        if (slu_scheme_fetches(scheme)) {
            fetching = seal(scheme);
            continue;
        }
        slu_must(count < MOST);
        seals[count] = seal(scheme);
        schemes[count++] = scheme;
    }
}

static struct slu_seal *seal_of(const struct slu_scheme *scheme)
{
    size_t at = 0;

    while (schemes[at] != scheme)
        at++;
    return seals[at];
}

static void check_received(struct slu_arena *arena, const struct slu_request *request,
                           const struct slu_scheme *only)
{
    const struct slu_scheme *const one[] = {only, NULL};
    struct slu_fault fault = {0};
    struct slu_claim claim;

    if (slu_claim_read(arena, request, only ? one : schemes, &claim, &fault)) {
        slu_must(claim.access_key.n > 0);
        slu_must(
            !slu_verify(seal_of(claim.scheme), arena, &claim, request, claim.unix_s, 900, &fault));
    }
    slu_must(fault.kind == SLU_FAULT_UNAUTHENTICATED || fault.kind == SLU_FAULT_MEMORY);
}

/* What the signer takes must pass its own check, whatever the request holds, or be refused. */
static void check_signed(struct slu_arena *arena, struct slu_request request, size_t i)
{
    const struct slu_scheme *const one[] = {schemes[i], NULL};
    struct slu_fault fault = {0};
    struct slu_claim claim;

    if (slu_headers_count(&request.headers, SLU_STR("authorization")) > 1 ||
        !slu_sign(seals[i], arena, NOW, SLU_STR("n"), &request, NULL, &fault) ||
        !slu_claim_read(arena, &request, one, &claim, &fault))
        return;
    if (!slu_verify(seals[i], arena, &claim, &request, NOW, 900, &fault))
        slu_must(fault.kind != SLU_FAULT_NONE);
}

static void check_answer(struct slu_arena *arena, const struct slu_request *request)
{
    struct slu_response response = {
        .status = 201, .headers = request->headers, .body = request->body};
    struct slu_fault fault = {0};
    struct slu_token token;

    if (slu_seal_answer(fetching, arena, &response, &token, &fault))
        slu_must(token.text.n && slu_field_value_valid(token.text));
    else
        slu_must(fault.kind != SLU_FAULT_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_arena arena;
    struct slu_request request;

    if (!schemes[0])
        begin();
    slu_arena_init(&arena, 1 << 20);
    request = read_request(&arena, (struct slu_str){(const char *)data, size});
    check_received(&arena, &request, NULL);
    for (size_t i = 0; schemes[i]; i++)
        check_received(&arena, &request, schemes[i]);
    check_answer(&arena, &request);
    for (size_t i = 0; schemes[i]; i++) /* may change the fields in place */
        check_signed(&arena, request, i);
    slu_arena_done(&arena);
    return 0;
}
