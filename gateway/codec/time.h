/*
 * Points in time between the clouds' spellings and RFC 3339 in UTC. A spelling is a pattern of
 * YYYY MM DD hh mm ss, each once, an optional fraction "[.f]" behind ss (any number of digits on
 * reading; on writing the digits that the moment has, often none) and literal characters. All times
 * are UTC.
 */
#ifndef SLU_CODEC_TIME_H
#define SLU_CODEC_TIME_H

#include "base/arena.h"
#include "base/str.h"

/* Canonical form: YYYY-MM-DDThh:mm:ss[.fraction]Z. The fraction's digits are kept as written.
 * False when the text does not follow the pattern or names no real moment (month 13, 25 h;
 * a leap second 23:59:60 is allowed). */
SLU_NODISCARD bool slu_time_read(struct slu_arena *arena, struct slu_str pattern,
                                 struct slu_str text, struct slu_str *ret_rfc3339);
/* Back: false when the canonical text is not valid, or has a fraction that is not zero where the
 * pattern has no room for one (nothing is cut in silence). */
SLU_NODISCARD bool slu_time_write(struct slu_arena *arena, struct slu_str pattern,
                                  struct slu_str rfc3339, struct slu_str *ret_text);
bool slu_time_pattern_valid(struct slu_str pattern);

/* Unix seconds as "YYYY-MM-DDThh:mm:ssZ" (20) and "YYYYMMDDThhmmssZ" (16); no NUL is written.
 * Beyond the years 0000 to 9999 the nearest moment that has such a form is written. */
enum { SLU_TIME_EXTENDED = 20, SLU_TIME_BASIC = 16, SLU_TIME_IMF = 29 };
void slu_time_extended(int64_t unix_s, char out[SLU_TIME_EXTENDED]);
void slu_time_basic(int64_t unix_s, char out[SLU_TIME_BASIC]);
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7). */
void slu_time_imf(int64_t unix_s, char out[SLU_TIME_IMF]);
/* Either of the first two forms back to Unix seconds. */
SLU_NODISCARD bool slu_time_to_unix(struct slu_str text, int64_t *ret_unix_s);
/* An HTTP-date in any of its three forms (RFC 9110 §5.6.7); the day of the week must be right.
 * `now_s` decides the century of the form that has two digits for the year. */
SLU_NODISCARD bool slu_time_http(struct slu_str text, int64_t now_s, int64_t *ret_unix_s);
/* The Date of a message that came at `now_s` by this machine's clock. One that is more than a day
 * away says nothing, as if it were none. */
SLU_NODISCARD bool slu_time_date(struct slu_str text, int64_t now_s, int64_t *ret_unix_s);

#endif
