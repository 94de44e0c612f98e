/* Hexadecimal, Base64 (RFC 4648 §10), UTF-8 (every code point), the nearest word. */
#include "test.h"

#include "codec/text.h"

static void hexadecimal(void **state)
{
    unsigned char bytes[4] = {1, 1, 1, 1};
    char text[8];

    (void)state;
    slu_hex_write(text, "\x00\x9f\xa0\xff", 4);
    assert_memory_equal(text, "009fa0ff", 8);
    assert_true(slu_hex_read(SLU_STR("009FA0ff"), bytes, 4));
    assert_memory_equal(bytes, "\x00\x9f\xa0\xff", 4);
    assert_true(slu_hex_read(SLU_STR(""), bytes, 0));
    assert_false(slu_hex_read(SLU_STR("00"), bytes, 4));
    assert_false(slu_hex_read(SLU_STR("0011223"), bytes, 4));
    assert_false(slu_hex_read(SLU_STR("001122334"), bytes, 4));
    assert_false(slu_hex_read(SLU_STR("0011223g"), bytes, 4));
    assert_false(slu_hex_read(SLU_STR("0x112233"), bytes, 4));
    assert_false(slu_hex_read(SLU_STR("+1-1 1 1"), bytes, 4));
    assert_memory_equal(bytes, "\x00\x9f\xa0\xff", 4);
    for (int c = 0; c < 256; c++)
        assert_int_equal(slu_hex_digit((char)c) >= 0,
                         c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL);
}

static void base64(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbe", "+/++"},
    };
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < SLU_COUNT(rows); i++)
        assert_str(slu_base64_write(&arena, slu_str_of(rows[i][0])), rows[i][1]);
    slu_arena_done(&arena);
    slu_arena_init(&arena, 0);
    assert_null(slu_base64_write(&arena, SLU_STR("x")).p);
    slu_arena_done(&arena);
}

static void every_character_is_valid_alone(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[4];
        size_t n;

        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        n = slu_utf8_put(text, code);
        if (slu_utf8_next(text, text + n) != n || !slu_utf8_valid((struct slu_str){text, n}) ||
            slu_utf8_length((struct slu_str){text, n}) != 1 ||
            (n > 1 && slu_utf8_valid((struct slu_str){text, n - 1})))
            fail_msg("U+%04X", code);
    }
}

/* All sequences of up to four bytes where each byte stands for its class: what slu_utf8_put() can
 * make is valid, nothing else is. Counted against the number of such characters. */
static void nothing_else_is_valid(void **state)
{
    size_t two = 0, three = 0, four = 0;

    (void)state;
    for (unsigned lead = 0x80; lead < 0x100; lead++)
        for (unsigned second = 0; second < 0x100; second++) {
            char text[4] = {(char)lead, (char)second, '\xbf', '\x80'};

            two += slu_utf8_next(text, text + 2) == 2;
            three += slu_utf8_next(text, text + 3) == 3;
            four += slu_utf8_next(text, text + 4) == 4;
        }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, (0x10000 - 0x800 - 0x800) / 64);
    assert_int_equal(four, (0x110000 - 0x10000) / 64 / 64);
    assert_int_equal(slu_utf8_next("", ""), 0);
    assert_true(slu_utf8_valid(SLU_STR("a\0b")));
    assert_false(slu_utf8_valid(SLU_STR("\xe2\x82\xc2")));
    assert_int_equal(slu_utf8_length(SLU_STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
    assert_int_equal(slu_utf8_length(SLU_STR_NONE), 0);
}

static void nearest_word(void **state)
{
    static const char *const known[] = {"reject", "accept", "all", "aggregation_interval", "name"};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"reject", "reject"},
        {"REJECT", "reject"},
        {"rejcet", "reject"}, /* a swap is one edit */
        {"rejec", "reject"},
        {"rejects", "reject"},
        {"acept", "accept"},
        {"aggregation_intervall", "aggregation_interval"},
        {"aggregationInterval", "aggregation_interval"},
        {"nmae", "name"},
        {"al", NULL}, /* too short for an edit */
        {"xyz", NULL},
        {"drop", NULL},
        {"", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        const char *found = slu_nearest(slu_str_of(rows[i].word), known, SLU_COUNT(known));

        assert_str(slu_str_of(found ? found : "none"), rows[i].nearest ? rows[i].nearest : "none");
    }
    assert_null(slu_nearest(SLU_STR("name"), NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal),
        cmocka_unit_test(base64),
        cmocka_unit_test(every_character_is_valid_alone),
        cmocka_unit_test(nothing_else_is_valid),
        cmocka_unit_test(nearest_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
