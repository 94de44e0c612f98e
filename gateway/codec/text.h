/* Small encodings of text: hexadecimal, Base64, UTF-8, and the nearest known word. */
#ifndef SLU_CODEC_TEXT_H
#define SLU_CODEC_TEXT_H

#include "base/arena.h"
#include "base/str.h"

/* Lower case; `out` has room for 2 * count characters, no NUL is written. */
void slu_hex_write(char *out, const void *bytes, size_t count);
/* Exactly 2 * count hexadecimal digits of either case. */
bool slu_hex_read(struct slu_str text, void *bytes, size_t count);
/* 0 to 15, or -1. */
int slu_hex_digit(char c);
/* RFC 4648 §4 with padding. Empty with NULL pointer when the arena is spent. */
struct slu_str slu_base64_write(struct slu_arena *arena, struct slu_str bytes);

bool slu_utf8_valid(struct slu_str text);    /* RFC 3629; NUL is allowed here */
size_t slu_utf8_length(struct slu_str text); /* characters of valid UTF-8 */

/* The bytes of the character that begins at `text`; 0 when it is invalid or nothing is left. */
size_t slu_utf8_next(const char *text, const char *end);
/* Writes one character (up to 4 bytes) and answers its length; the code is no surrogate. */
size_t slu_utf8_put(char *out, uint32_t code);

/* The candidate nearest to the word, for "did you mean": by edits (case does not count), at most a
 * third of the word's length away; NULL when none is near or the word has more than 64 bytes. */
const char *slu_nearest(struct slu_str word, const char *const *candidates, size_t count);

#endif
