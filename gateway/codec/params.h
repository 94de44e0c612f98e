/*
 * Percent-encoding, and query strings and forms as lists of pairs. One encoding serves all clouds
 * (RFC 3986 unreserved characters stay, everything else becomes %XX in upper case, per UTF-8 byte):
 * it is valid on the wire and the form that every signing scheme here signs.
 */
#ifndef SLU_CODEC_PARAMS_H
#define SLU_CODEC_PARAMS_H

#include "base/buf.h"
#include "base/fault.h"
#include "codec/value.h"

void slu_percent_encode(struct slu_buf *out, struct slu_str text);
/* Decoded text, a slice of the input where nothing had to change. False on a broken percent code, a
 * decoded NUL, invalid UTF-8, or no memory. `plus_is_blank`: as forms have it. */
SLU_NODISCARD bool slu_percent_decode(struct slu_arena *arena, struct slu_str text,
                                      bool plus_is_blank, struct slu_str *ret_text);

struct slu_param {
    struct slu_str name, value; /* decoded */
    bool bare;                  /* written without "=" */
};

struct slu_params {
    struct slu_param *items;
    size_t count;
};

/* In order, repeated names kept, empty pieces ("&&") skipped. At most `most` pairs. */
SLU_NODISCARD bool slu_params_read(struct slu_arena *arena, struct slu_str text, bool plus_is_blank,
                                   size_t most, struct slu_params *ret_params,
                                   struct slu_fault *fault);
/* By name as bytes, then by value; stable. */
void slu_params_sort(struct slu_params *params);
/* The same in the order of the encoded names and values: what has to be written as %XX comes before
 * all that may stand for itself. */
void slu_params_sort_encoded(struct slu_params *params);
/* name=value joined by "&", both encoded; always with "=". */
void slu_params_write(struct slu_buf *out, const struct slu_params *params);
const struct slu_param *slu_params_find(const struct slu_params *params, struct slu_str name);

/* A flat object as pairs and back. Numbers and bools go out as they are written in JSON, and come
 * back as strings; anything else is refused. A repeated name is a mistake at that pointer. */
SLU_NODISCARD bool slu_params_from_value(struct slu_arena *arena, const struct slu_value *object,
                                         struct slu_params *ret_params);
SLU_NODISCARD struct slu_value *slu_params_to_value(struct slu_arena *arena,
                                                    const struct slu_params *params,
                                                    struct slu_mistakes *mistakes);

#endif
