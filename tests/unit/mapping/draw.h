/*
 * Chance for the tests of laws: numbers, texts, times and values, drawn from one seed so that what
 * failed can be drawn again. What is drawn "within" limits is as a mapping table's limits want it.
 */
#ifndef SLU_TEST_DRAW_H
#define SLU_TEST_DRAW_H

#include "codec/json.h"
#include "mapping/table_internal.h"

enum { DRAW_TEXT_MOST = 1200, DRAW_TRIES = 20 };

struct draw {
    uint64_t state; /* never 0 */
    struct slu_arena *arena;
    bool xml; /* nothing that XML cannot hold */
};

static inline uint64_t draw_bits(struct draw *draw) /* xorshift64* */
{
    draw->state ^= draw->state >> 12;
    draw->state ^= draw->state << 25;
    draw->state ^= draw->state >> 27;
    return draw->state * UINT64_C(2685821657736338717);
}

static inline uint32_t draw_below(struct draw *draw, uint32_t bound)
{
    return (uint32_t)((draw_bits(draw) >> 32) % bound);
}

static inline bool draw_one_in(struct draw *draw, uint32_t n)
{
    return draw_below(draw, n) == 0;
}

/* Characters of one to four bytes, and those that are special to JSON, URLs and patterns; the last
 * one is none of XML's. */
static const char *const draw_pieces[] = {"a",
                                          "Z",
                                          "0",
                                          "-",
                                          "_",
                                          ".",
                                          "/",
                                          ":",
                                          "\"",
                                          "\\",
                                          "%",
                                          "+",
                                          " ",
                                          "~",
                                          "\xc3\xa9",
                                          "\xe4\xb8\xad",
                                          "\xf0\x9f\x8c\xa9",
                                          "<",
                                          "&",
                                          "=",
                                          "{",
                                          "}",
                                          "\n",
                                          "\x01"};

static inline const char *draw_piece(struct draw *draw)
{
    return draw_pieces[draw_below(draw, (uint32_t)SLU_COUNT(draw_pieces) - draw->xml)];
}

static inline struct slu_str draw_text(struct draw *draw, uint32_t least, uint32_t most)
{
    char text[DRAW_TEXT_MOST];
    size_t n = 0;
    uint32_t count = least + draw_below(draw, most - least + 1);

    for (uint32_t i = 0; i < count && n + 4 < sizeof(text); i++) {
        const char *piece = draw_piece(draw);
        size_t size = strlen(piece);

        memcpy(text + n, piece, size);
        n += size;
    }
    return slu_arena_str(draw->arena, (struct slu_str){text, n});
}

static inline struct slu_str draw_uuid(struct draw *draw)
{
    return slu_arena_printf(draw->arena, "%08x-%04x-%04x-%04x-%012llx",
                            draw_below(draw, UINT32_MAX), draw_below(draw, 65536),
                            draw_below(draw, 65536), draw_below(draw, 65536),
                            (unsigned long long)(draw_bits(draw) >> 16));
}

static inline struct slu_str draw_hex32(struct draw *draw)
{
    return slu_arena_printf(draw->arena, "%016llx%016llX", (unsigned long long)draw_bits(draw),
                            (unsigned long long)draw_bits(draw));
}

/* One character out of the sets that hold for this place; 0 when there is none. */
static inline char draw_char(struct draw *draw, const struct slu_charset *chars,
                             const struct slu_charset *place, const struct slu_charset *never)
{
    for (int tries = 0; tries < 400; tries++) {
        unsigned c = 32 + draw_below(draw, 95);

        if ((!chars || chars->bits[c >> 6] >> (c & 63) & 1) &&
            (!place || place->bits[c >> 6] >> (c & 63) & 1) &&
            !(never && never->bits[c >> 6] >> (c & 63) & 1))
            return (char)c;
    }
    return 0;
}

/* Characters of a text: mostly a few, now and then the fewest or the most. */
static inline uint32_t draw_length(struct draw *draw, const struct slu_limits *limits)
{
    uint32_t least = limits && limits->has_min ? (uint32_t)limits->min : 0;
    uint32_t most = limits && limits->has_max ? (uint32_t)limits->max : least + 12;

    if (most > 300)
        most = 300;
    if (draw_one_in(draw, 20))
        return most;
    if (draw_one_in(draw, 10))
        return least;
    return least + draw_below(draw, most - least < 8 ? most - least + 1 : 9);
}

static inline struct slu_str draw_once(struct draw *draw, const struct slu_limits *limits)
{
    char text[DRAW_TEXT_MOST];
    size_t n = 0, used = 0;
    uint32_t count = draw_length(draw, limits);

    if (limits->prefix_count) {
        struct slu_str head = limits->prefix[draw_below(draw, (uint32_t)limits->prefix_count)];

        memcpy(text, head.p, head.n);
        used = n = head.n; /* prefixes are ASCII */
    }
    for (; used < count; used++) {
        const char *piece = draw_piece(draw);
        bool ends = used == 0 || used + 1 == count;

        if (!limits->chars && !ends && !limits->not_chars && draw_one_in(draw, 3)) {
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
            continue;
        }
        text[n] = draw_char(draw, limits->chars,
                            used == 0           ? limits->first
                            : used + 1 == count ? limits->last
                                                : NULL,
                            limits->not_chars);
        n += text[n] != 0;
    }
    return slu_arena_str(draw->arena, (struct slu_str){text, n});
}

/* Text that the limits take (NULL: any text). */
static inline struct slu_str draw_within(struct draw *draw, const struct slu_limits *limits)
{
    struct slu_value value = {.kind = SLU_STRING};
    struct slu_mistakes ignored;

    if (!limits)
        return draw_text(draw, 0, 8);
    if (limits->format == SLU_FORMAT_UUID)
        return draw_uuid(draw);
    if (limits->format == SLU_FORMAT_HEX32)
        return draw_hex32(draw);
    for (int tries = 0; tries < DRAW_TRIES; tries++) {
        slu_mistakes_init(&ignored, draw->arena);
        value.text = draw_once(draw, limits);
        if (slu_limits_check(limits, &value, SLU_STR(""), SLU_FAULT_INVALID, &ignored))
            break;
    }
    return value.text;
}

static inline int64_t draw_integer_within(struct draw *draw, const struct slu_limits *limits,
                                          int64_t factor)
{
    int64_t least = limits && limits->has_min ? limits->min : 0;
    int64_t most = limits && limits->has_max ? limits->max : least + 100000;
    int64_t units = most / factor - (least + factor - 1) / factor + 1;

    if (limits && limits->one_of_count)
        return limits->one_of[draw_below(draw, (uint32_t)limits->one_of_count)];
    return ((least + factor - 1) / factor + (int64_t)draw_below(draw, (uint32_t)units)) * factor;
}

/* Has the row's spelling of times room for a fraction? */
static inline bool draw_takes_fraction(const struct slu_row *row)
{
    return row->codec != SLU_CODEC_TIME || memmem(row->format.p, row->format.n, "[.f]", 4);
}

/* RFC 3339 in UTC, any day of four centuries, the last of February with them. */
static inline struct slu_str draw_time(struct draw *draw, bool fraction)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t year = 1800 + draw_below(draw, 400), month = draw_below(draw, 12);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    uint32_t day = 1 + draw_below(draw, days[month] + (month == 1 && leap));

    if (draw_one_in(draw, 10))
        day = days[month] + (month == 1 && leap);
    fraction = fraction && draw_one_in(draw, 3);
    return slu_arena_printf(draw->arena, "%04u-%02u-%02uT%02u:%02u:%02u%s%.*sZ", year, month + 1,
                            day, draw_below(draw, 24), draw_below(draw, 60), draw_below(draw, 60),
                            fraction ? "." : "", fraction ? 1 + (int)draw_below(draw, 9) : 0,
                            "250000017");
}

/* An object of strings: usually a few, now and then as many as the limits take. */
static inline struct slu_value *draw_tags_within(struct draw *draw, const struct slu_limits *limits)
{
    struct slu_value *tags = slu_value_new(draw->arena, SLU_OBJECT);
    uint32_t most = limits && limits->has_most ? (uint32_t)limits->most : 12;
    uint32_t count = draw_one_in(draw, 40) ? most : draw_below(draw, most < 4 ? most + 1 : 5);

    for (uint32_t i = 0; i < count; i++)
        slu_value_set(
            tags, draw_within(draw, limits ? limits->key : NULL),
            slu_value_string(draw->arena, draw_within(draw, limits ? limits->value : NULL)));
    return tags;
}

/* Anything JSON can say, small. */
static inline struct slu_value *draw_anything(struct draw *draw, int depth)
{
    static const char *const numbers[] = {"0",   "-1",   "-0",
                                          "1e3", "0.10", "12345678901234567890123"};
    struct slu_value *value;

    switch (draw_below(draw, depth ? 7 : 5)) {
    case 0:
        return slu_value_new(draw->arena, SLU_NULL);
    case 1:
        return slu_value_bool(draw->arena, draw_one_in(draw, 2));
    case 2:
        return slu_value_number(draw->arena,
                                slu_str_of(numbers[draw_below(draw, SLU_COUNT(numbers))]));
    case 3:
    case 4:
        return slu_value_string(draw->arena, draw_text(draw, 0, 6));
    case 5:
        value = slu_value_new(draw->arena, SLU_ARRAY);
        for (uint32_t i = draw_below(draw, 3); i; i--)
            slu_value_append(value, draw_anything(draw, depth - 1));
        return value;
    default:
        value = slu_value_new(draw->arena, SLU_OBJECT);
        for (uint32_t i = draw_below(draw, 3); i; i--)
            slu_value_set(value, draw_text(draw, 0, 3), draw_anything(draw, depth - 1));
        return value;
    }
}

#endif
