/*
 * What makes two writes the same one: an Idempotency-Key of the caller's
 * (draft-ietf-httpapi-idempotency-key-header), or at a door also the idempotency token of its
 * dialect. A door's create without either is the same as an equal one for as long as that is under
 * way: a client that repeats it too soon is told to wait, and does not get two.
 */
#include "exchange/exchange_internal.h"

#include "codec/digest.h"
#include "codec/json.h"
#include "codec/text.h"

enum { KEY_MOST = 255 };

/* RFC 8941 §3.3.3: a string in quotes of printable ASCII, with \" and \\ alone escaped. */
static bool read_string(struct slu_arena *arena, struct slu_str field, struct slu_str *ret_text)
{
    char *text = slu_arena_get(arena, field.n + 1);
    size_t n = 0;

    if (!text || field.n < 2 || field.p[0] != '"' || field.p[field.n - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < field.n; i++) {
        char c = field.p[i];

        if (c == '\\') {
            if (++i + 1 >= field.n || (field.p[i] != '"' && field.p[i] != '\\'))
                return false;
            c = field.p[i];
        } else if (c == '"' || c < 0x20 || c > 0x7e) {
            return false;
        }
        text[n++] = c;
    }
    *ret_text = (struct slu_str){text, n};
    return n > 0 && n <= KEY_MOST;
}

static bool refuse_key(struct slu_exchange *x, enum slu_fault_kind kind, const char *words)
{
    slu_exchange_fail(x, kind, "idempotency-key", "%s", words);
    return false;
}

bool slu_record_read_key(struct slu_exchange *x)
{
    const struct slu_headers *headers = &x->request->headers;
    struct slu_str name = SLU_STR("idempotency-key");
    size_t count = slu_headers_count(headers, name);

    if (!count)
        return true;
    if (!x->has_operation || !slu_operation_writes(x->operation))
        return true; /* reads need none */
    if (count > 1)
        return refuse_key(x, SLU_FAULT_BAD_PARAMETER, "Idempotency-Key is given twice");
    if (!read_string(x->arena, slu_headers_value(headers, name), &x->key))
        return refuse_key(x, SLU_FAULT_BAD_PARAMETER,
                          "Idempotency-Key is one string in quotes, of 1 to 255 printable ASCII "
                          "characters: Idempotency-Key: \"8e03978e-40d5\"");
    if (!x->station->worker->gateway->journal)
        return refuse_key(x, SLU_FAULT_NOT_IMPLEMENTED,
                          "this gateway keeps no journal, so it cannot honour an Idempotency-Key; "
                          "configure \"store\"");
    return true;
}

/* What makes the same body another request. */
static void add_wishes(const struct slu_exchange *x, struct slu_buf *text)
{
    const struct slu_headers *headers = &x->request->headers;

    slu_buf_printf(text, "%s%s", x->lenient ? "\nlenient" : "", x->replace ? "\nreplace" : "");
    for (size_t i = 0; i < headers->count; i++)
        if (slu_str_eq_nocase(headers->items[i].name, SLU_STR("if-match")))
            slu_buf_printf(text, "\nif-match %.*s", SLU_FMT(headers->items[i].value));
}

bool slu_record_digest(struct slu_exchange *x)
{
    char *hex = slu_arena_get(x->arena, SLU_SHA256_HEX);
    struct slu_buf text;
    bool good;

    slu_buf_init(&text, 0);
    good = hex && (!x->canonical || slu_json_write_sorted(x->arena, &text, x->canonical));
    if (good && !text.failed)
        x->request_text = slu_arena_str(x->arena, slu_buf_str(&text));
    if (good && (x->key.p || x->door)) { /* without a key nothing is compared */
        add_wishes(x, &text);
        good = !text.failed && slu_sha256_hex(slu_buf_str(&text), hex);
        x->digest = (struct slu_str){hex, SLU_SHA256_HEX};
    }
    slu_buf_done(&text);
    return good && x->request_text.p;
}

/* What a door's client wants, in the target's terms: aliases of the door are carried already. */
static bool digest_native(struct slu_exchange *x)
{
    struct slu_value *said = x->canonical;
    bool good;

    x->canonical = x->job ? x->job->canonical : NULL;
    good = slu_record_digest(x);
    x->canonical = said;
    return good;
}

/* As hexadecimal digits, since the journal takes no bytes that are not UTF-8. */
static struct slu_str key_of(struct slu_exchange *x, const char *kind, struct slu_str text)
{
    char *hex = slu_arena_get(x->arena, SLU_SHA256_HEX);

    if (!hex || !slu_sha256_hex(text, hex))
        return SLU_STR_NONE;
    return slu_arena_printf(x->arena, "%s %.*s", kind, SLU_SHA256_HEX, hex);
}

static const char of_request[] = "request";

bool slu_record_native_key(struct slu_exchange *x)
{
    struct slu_str token = slu_vars_get(&x->match->vars, SLU_STR("token"));

    if (!digest_native(x))
        return false;
    if (x->key.p) { /* the header's goes before the dialect's own */
        x->key = slu_arena_printf(x->arena, "key %.*s", SLU_FMT(x->key));
        return x->key.p != NULL;
    }
    if (x->operation != SLU_OP_CREATE)
        return true; /* a change or a delete does no harm twice */
    x->key_is_request = !token.n;
    x->key = token.n ? key_of(x, "token", token) : key_of(x, of_request, x->digest);
    return x->key.p != NULL;
}

bool slu_record_key_is_request(const struct slu_record *record)
{
    return slu_str_starts(record->scope, SLU_STR("door ")) && record->key.n &&
           slu_str_starts(record->key, slu_str_of(of_request));
}
