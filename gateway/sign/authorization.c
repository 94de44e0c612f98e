/*
 * The Authorization field of the family: "WORD Key=…, SignedHeaders=a;b;c, Signature=hex". Written
 * as the official clients write it, and read as strictly: these three members in this order, one
 * blank at most after a comma, 64 lower-case digits.
 */
#include "sign/sign_internal.h"

static struct slu_str write_authorization(const struct slu_form *form, struct slu_str key,
                                          struct slu_arena *arena, const struct slu_made *made)
{
    size_t size = form->word.n + form->key_name.n + key.n + 2 * form->comma.n +
                  made->signed_names.n + SLU_SHA256_HEX + sizeof(" =SignedHeaders=Signature=");
    struct slu_buf out = {.p = slu_arena_get(arena, size), .size = size, .limit = size};

    if (!out.p)
        return SLU_STR_NONE;
    slu_buf_add(&out, form->word);
    slu_buf_byte(&out, ' ');
    slu_buf_add(&out, form->key_name);
    slu_buf_byte(&out, '=');
    slu_buf_add(&out, key);
    slu_buf_add(&out, form->comma);
    slu_buf_lit(&out, "SignedHeaders=");
    slu_buf_add(&out, made->signed_names);
    slu_buf_add(&out, form->comma);
    slu_buf_lit(&out, "Signature=");
    slu_buf_add(&out, (struct slu_str){made->signature, SLU_SHA256_HEX});
    slu_must(!out.failed);
    return slu_buf_str(&out);
}

bool slu_form_sign(const struct slu_form *form, struct slu_hmac *hmac, struct slu_str key,
                   struct slu_arena *arena, struct slu_request *request,
                   const struct slu_fields *fields, struct slu_str digest, struct slu_str middle,
                   struct slu_sign_trace *trace, struct slu_fault *fault)
{
    struct slu_made made;
    struct slu_str authorization;

    if (!slu_form_make(form, hmac, arena, request, fields, digest, middle, &made, fault))
        return false;
    authorization = write_authorization(form, key, arena, &made);
    if (!authorization.p)
        return slu_fault_memory(fault);
    if (!slu_sign_field(arena, request, SLU_STR("Authorization"), authorization, fault))
        return false;
    if (trace)
        *trace =
            (struct slu_sign_trace){made.canonical_request, made.string_to_sign, authorization};
    return true;
}

/* Drops "WORD " and answers whether it was there. */
static bool skip_word(const struct slu_form *form, struct slu_str *text)
{
    if (!slu_str_starts(*text, form->word) || text->n == form->word.n ||
        text->p[form->word.n] != ' ')
        return false;
    text->p += form->word.n + 1;
    text->n -= form->word.n + 1;
    return true;
}

bool slu_form_bears(const struct slu_form *form, const struct slu_request *request)
{
    for (size_t i = 0; i < request->headers.count; i++) {
        struct slu_str value = request->headers.items[i].value;

        if (slu_str_eq_nocase(request->headers.items[i].name, SLU_STR("authorization")) &&
            skip_word(form, &value))
            return true;
    }
    return false;
}

/* Cuts "NAME=value" up to the next comma or the end. */
static bool read_member(struct slu_str *rest, struct slu_str name, struct slu_str *ret_value)
{
    struct slu_str member = slu_str_cut(rest, ',');

    if (!slu_str_starts(member, name) || member.n < name.n + 2 || member.p[name.n] != '=')
        return false;
    *ret_value = (struct slu_str){member.p + name.n + 1, member.n - name.n - 1};
    for (size_t i = 0; i < ret_value->n; i++) {
        if (ret_value->p[i] <= ' ' || ret_value->p[i] > '~')
            return false;
    }
    if (rest->n && *rest->p == ' ') {
        rest->p++;
        rest->n--;
    }
    return true;
}

static bool is_digest(struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return text.n == SLU_SHA256_HEX;
}

bool slu_form_read(const struct slu_form *form, const struct slu_request *request,
                   struct slu_authorization *ret_read, struct slu_fault *fault)
{
    struct slu_authorization read;
    struct slu_str text;

    if (!slu_field_once(request, SLU_STR("authorization"), &text, fault))
        return false;
    if (!skip_word(form, &text) || !read_member(&text, form->key_name, &read.access_key) ||
        !read_member(&text, SLU_STR("SignedHeaders"), &read.signed_names) ||
        !read_member(&text, SLU_STR("Signature"), &read.signature) || text.p ||
        !is_digest(read.signature))
        return slu_refuse(fault, "signature", "the Authorization field is malformed");
    *ret_read = read;
    return true;
}

bool slu_form_check(const struct slu_form *form, struct slu_hmac *hmac, struct slu_arena *arena,
                    const struct slu_request *request, const struct slu_authorization *read,
                    struct slu_str digest, struct slu_str middle, struct slu_fault *fault)
{
    struct slu_fault why = {0};
    struct slu_fields fields;
    struct slu_made made;

    if (!slu_fields_named(form, arena, &fields, request, read->signed_names, fault))
        return false;
    if (!slu_form_make(form, hmac, arena, request, &fields, digest, middle, &made, &why)) {
        if (why.kind == SLU_FAULT_MEMORY)
            return slu_fault_memory(fault);
        return slu_refuse(fault, "signature", "the path or the query cannot be read");
    }
    if (!slu_equal_secretly((struct slu_str){made.signature, SLU_SHA256_HEX}, read->signature))
        return slu_refuse(fault, "signature", "the signature is not right");
    return true;
}
