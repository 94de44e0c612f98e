/* Entity tags of flow logs: a digest of the canonical document as the cloud told it. */
#include "exchange/exchange_internal.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "codec/text.h"

enum { DIGEST_BYTES = (SLU_ETAG_SIZE - 2) / 2 };

struct slu_str slu_etag(struct slu_arena *arena, const struct slu_value *flow_log)
{
    unsigned char digest[SLU_SHA256_SIZE];
    char *tag = slu_arena_get(arena, SLU_ETAG_SIZE);
    struct slu_buf text;
    bool good;

    slu_buf_init(&text, 0);
    slu_json_write(&text, flow_log);
    good = tag && !text.failed && slu_sha256(slu_buf_str(&text), digest);
    slu_buf_done(&text);
    if (!good)
        return SLU_STR_NONE;
    tag[0] = tag[SLU_ETAG_SIZE - 1] = '"';
    slu_hex_write(tag + 1, digest, DIGEST_BYTES);
    return (struct slu_str){tag, SLU_ETAG_SIZE};
}

/* Strong comparison: a weak tag never matches (RFC 9110 §13.1.1). */
bool slu_etag_matches(struct slu_str if_match, struct slu_str tag)
{
    struct slu_str rest = if_match;

    if (slu_str_is(slu_str_trim(if_match), "*"))
        return true;
    while (rest.p)
        if (slu_str_eq(slu_str_trim(slu_str_cut(&rest, ',')), tag))
            return true;
    return false;
}
