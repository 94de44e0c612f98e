/*
 * A caller's header bytes against claim and verification: no crash, and nothing that was not signed
 * with the key is ever taken. Input: lines of "name: value", then an empty line, then the body; the
 * first line is "METHOD path query".
 */
#include "sign/sign.h"

enum { NOW = 1767225600 };

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

static struct slu_seal *seal(const char *scheme)
{
    slu_auto(slu_secret) *secret = slu_secret_new(SLU_STR("a key that no input was signed with"));

    struct slu_seal_conf conf = {.access_key = SLU_STR("AK"), .secret_key = secret};

    return slu_seal_new(slu_scheme_find(slu_str_of(scheme)), &conf);
}

static void check(struct slu_seal *const seals[2], const struct slu_scheme *const both[],
                  struct slu_arena *arena, struct slu_request *request)
{
    struct slu_fault fault = {0};
    struct slu_claim claim;

    if (slu_claim_read(arena, request, both, &claim, &fault)) {
        struct slu_seal *own = seals[claim.scheme == both[1]];

        slu_must(claim.access_key.n > 0);
        slu_must(!slu_verify(own, arena, &claim, request, claim.unix_s, 900, &fault));
    }
    slu_must(fault.kind == SLU_FAULT_UNAUTHENTICATED || fault.kind == SLU_FAULT_MEMORY);
    /* What the signer takes must pass its own check, whatever the request holds. */
    for (size_t i = 0; i < 2; i++) {
        fault = (struct slu_fault){0};
        if (slu_headers_count(&request->headers, SLU_STR("authorization")) > 1 ||
            !slu_sign(seals[i], arena, NOW, SLU_STR("n"), request, NULL, &fault) ||
            !slu_claim_read(arena, request, both, &claim, &fault))
            continue;
        if (!slu_verify(seals[i], arena, &claim, request, NOW, 900, &fault))
            slu_must(fault.kind != SLU_FAULT_NONE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct slu_seal *seals[2];
    const struct slu_scheme *const both[] = {slu_scheme_find(SLU_STR("sdk-hmac-sha256")),
                                             slu_scheme_find(SLU_STR("acs3-hmac-sha256")), NULL};
    struct slu_arena arena;
    struct slu_request request;

    if (!seals[0]) {
        seals[0] = seal("sdk-hmac-sha256");
        seals[1] = seal("acs3-hmac-sha256");
    }
    slu_arena_init(&arena, 1 << 18);
    request = read_request(&arena, (struct slu_str){(const char *)data, size});
    check(seals, both, &arena, &request);
    slu_arena_done(&arena);
    return 0;
}
