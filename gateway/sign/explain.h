/*
 * What a signer does, shown: requests with key, date and nonce in, canonical requests and
 * signatures out. For people whose cloud only says that a signature is wrong, and for checking this
 * signer against vectors made by others.
 */
#ifndef SLU_SIGN_EXPLAIN_H
#define SLU_SIGN_EXPLAIN_H

#include "base/buf.h"
#include "sign/sign.h"

/*
 * `text` is a JSON array of requests in the form of the files tests/vectors/<scheme>/vectors.json:
 * name, method, host, path, access_key, secret_key and date are needed, nonce where the scheme has
 * one, region and service where its key is bound to them; query (array of pairs or object,
 * decoded), headers, body (or form, like query), security_token and the scheme's own members
 * (project_id; action, version) may be absent or null. Other members are ignored.
 *
 * `out` gets a line of JSON for each request that could be signed: name, canonical_request,
 * string_to_sign, authorization (the signature itself where parameters bear it), headers_added (all
 * that `headers` did not have), and query and body where signing changed them. False when there
 * were mistakes; a scheme that computes no signature is one. Memory is taken from their arena.
 */
SLU_NODISCARD bool slu_sign_explain(const struct slu_scheme *scheme, struct slu_str text,
                                    struct slu_buf *out, struct slu_mistakes *mistakes);

#endif
