/* Points in time: patterns both ways, the calendar (held against libc's gmtime_r). */
#include "tree.h"

#include "codec/time.h"

#include <stdio.h>
#include <time.h>

#define Z    "YYYY-MM-DDThh:mm:ssZ"
#define BARE "YYYY-MM-DDThh:mm:ss"
#define FRAC "YYYY-MM-DDThh:mm:ss[.f]Z"
#define GAP  "YYYY-MM-DD hh:mm:ss"

static void reads(void **state)
{
    static const struct {
        const char *pattern, *text, *canonical;
    } rows[] = {
        {Z, "2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"},
        {BARE, "2024-01-02T03:04:05", "2024-01-02T03:04:05Z"},
        {GAP, "2024-01-02 03:04:05", "2024-01-02T03:04:05Z"},
        {FRAC, "2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"},
        {FRAC, "2024-01-02T03:04:05.0Z", "2024-01-02T03:04:05.0Z"},
        {FRAC, "2024-01-02T03:04:05.120Z", "2024-01-02T03:04:05.120Z"},
        {FRAC, "2024-01-02T03:04:05.123456789012Z", "2024-01-02T03:04:05.123456789012Z"},
        {"DD/MM/YYYY ss.mm.hh", "02/01/2024 05.04.03", "2024-01-02T03:04:05Z"},
        {"YYYYMMDDThhmmss[.f]Z", "20240102T030405.5Z", "2024-01-02T03:04:05.5Z"},
        {Z, "0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"},
        {Z, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
        {Z, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
        {Z, "2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_str pattern = slu_str_of(rows[i].pattern), text;

        assert_true(slu_time_pattern_valid(pattern));
        assert_true(slu_time_read(&arena, pattern, slu_str_of(rows[i].text), &text));
        assert_str(text, rows[i].canonical);
        /* and the way back is the same way */
        assert_true(slu_time_write(&arena, pattern, text, &text));
        assert_str(text, rows[i].text);
    }
}

static void refuses_what_the_pattern_does_not_say(void **state)
{
    static const struct {
        const char *pattern, *text;
    } rows[] = {
        {Z, "2016-12-31T23:58:60Z"},
        {Z, "2016-12-31T12:59:60Z"},
        {Z, "2016-12-31T23:59:61Z"},
        {Z, "1900-02-29T00:00:00Z"},
        {Z, "2023-02-29T00:00:00Z"},
        {Z, "2023-04-31T00:00:00Z"},
        {Z, "2023-06-31T00:00:00Z"},
        {Z, "2023-09-31T00:00:00Z"},
        {Z, "2023-11-31T00:00:00Z"},
        {Z, "2023-01-32T00:00:00Z"},
        {Z, "2023-00-01T00:00:00Z"},
        {Z, "2023-13-01T00:00:00Z"},
        {Z, "2023-01-00T00:00:00Z"},
        {Z, "2023-01-01T24:00:00Z"},
        {Z, "2023-01-01T25:00:00Z"},
        {Z, "2023-01-01T00:60:00Z"},
        {Z, "2023-01-01T00:00:00"},
        {Z, "2023-01-01T00:00:00z"},
        {Z, "2023-01-01t00:00:00Z"},
        {Z, "2023-01-01 00:00:00Z"},
        {Z, "2023-01-01T00:00:00+00:00"},
        {Z, "2023-01-01T00:00:00.5Z"},
        {Z, "2023-1-01T00:00:00Z"},
        {Z, "2023-01-01T00:00:00Z "},
        {Z, " 2023-01-01T00:00:00Z"},
        {Z, "-023-01-01T00:00:00Z"},
        {Z, "+023-01-01T00:00:00Z"},
        {Z, "202a-01-01T00:00:00Z"},
        {Z, ""},
        {FRAC, "2024-01-02T03:04:05.Z"},
        {FRAC, "2024-01-02T03:04:05,5Z"},
        {FRAC, "2024-01-02T03:04:05.5"},
        {GAP, "2024-01-02T03:04:05"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_str pattern = slu_str_of(rows[i].pattern), text = SLU_STR("untouched");

        assert_true(slu_time_pattern_valid(pattern));
        if (slu_time_read(&arena, pattern, slu_str_of(rows[i].text), &text))
            fail_msg("\"%s\" was read by %s", rows[i].text, rows[i].pattern);
        assert_str(text, "untouched");
    }
}

static void writes_cut_nothing_in_silence(void **state)
{
    static const struct {
        const char *pattern, *canonical, *text; /* NULL: refused */
    } rows[] = {
        {Z, "2024-01-02T03:04:05.000Z", "2024-01-02T03:04:05Z"},
        {GAP, "2024-01-02T03:04:05.0Z", "2024-01-02 03:04:05"},
        {Z, "2024-01-02T03:04:05.001Z", NULL},
        {BARE, "2024-01-02T03:04:05.1Z", NULL},
        {FRAC, "2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.1Z"},
        {Z, "2024-01-02T03:04:05", NULL},
        {Z, "2024-01-02T03:04:05+01:00", NULL},
        {Z, "2024-13-02T03:04:05Z", NULL},
        {Z, "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_str text = SLU_STR("refused");

        assert_int_equal(slu_time_write(&arena, slu_str_of(rows[i].pattern),
                                        slu_str_of(rows[i].canonical), &text),
                         rows[i].text != NULL);
        assert_str(text, rows[i].text ? rows[i].text : "refused");
    }
}

static void patterns_are_checked(void **state)
{
    static const char *const bad[] = {
        "",
        "YYYY-MM-DD",
        "YYYY-MM-DDThh:mm",
        "YYYY-MM-DDThh:mm:ss:ss",
        "YYYY-YYYY-MM-DDThh:mm:ss",
        "YY-MM-DDThh:mm:ss",
        "YYYY-MM-DDThh:mm:ss.f",
        "YYYY-MM-DD[.f]Thh:mm:ss",
        "YYYY-MM-DDThh:mm:ss[.f][.f]",
        "YYYY-MM-DDTHH:mm:ss",
        "YYYY-MM-DDThh:mm:ss\n",
        "YYYY-MM-DDThh:mm:ss\xc3\xa9",
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(bad); i++)
        if (slu_time_pattern_valid(slu_str_of(bad[i])))
            fail_msg("pattern %s is accepted", bad[i]);
    assert_false(slu_time_pattern_valid(SLU_STR("YYYY-MM-DDThh:mm:ss\0")));
}

static void assert_moment(int64_t unix_s)
{
    char extended[SLU_TIME_EXTENDED + 1] = {0}, basic[SLU_TIME_BASIC + 1] = {0},
                                      imf[SLU_TIME_IMF + 1] = {0}, expected[40];
    time_t moment = (time_t)unix_s;
    int64_t back = 0;
    struct tm tm;

    assert_non_null(gmtime_r(&moment, &tm));
    slu_time_extended(unix_s, extended);
    snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    assert_string_equal(extended, expected);
    slu_time_basic(unix_s, basic);
    strftime(expected, sizeof(expected), "%H%M%SZ", &tm);
    assert_string_equal(basic + 9, expected);
    slu_time_imf(unix_s, imf);
    strftime(expected, sizeof(expected), "%a, %d %b ", &tm); /* the tests' locale is C */
    assert_memory_equal(imf, expected, 12);
    assert_memory_equal(imf + 12, extended, 4);
    assert_true(slu_time_to_unix(slu_str_of(extended), &back));
    assert_int_equal(back, unix_s);
    assert_true(slu_time_to_unix(slu_str_of(basic), &back));
    assert_int_equal(back, unix_s);
}

static void calendar_agrees_with_libc(void **state)
{
    (void)state;
    for (int64_t at = INT64_C(-62167219200); at <= INT64_C(253402300799); at += 86400 * 13 + 4321)
        assert_moment(at);
    for (int64_t at = 951782400 - 3 * 86400; at < 951782400 + 3 * 86400; at += 3599)
        assert_moment(at); /* around 29 February 2000 */
    assert_moment(-1);
    assert_moment(0);
    assert_moment(86399);
    assert_moment(INT64_C(253402300799));
}

static void known_forms(void **state)
{
    char imf[SLU_TIME_IMF], extended[SLU_TIME_EXTENDED];
    int64_t unix_s = 0;

    (void)state;
    slu_time_imf(784111777, imf); /* RFC 9110 §5.6.7 */
    assert_str(((struct slu_str){imf, sizeof(imf)}), "Sun, 06 Nov 1994 08:49:37 GMT");
    slu_time_extended(INT64_MAX, extended);
    assert_str(((struct slu_str){extended, sizeof(extended)}), "9999-12-31T23:59:59Z");
    slu_time_extended(INT64_MIN, extended);
    assert_str(((struct slu_str){extended, sizeof(extended)}), "0000-01-01T00:00:00Z");
    assert_true(slu_time_to_unix(SLU_STR("2016-12-31T23:59:60Z"), &unix_s));
    assert_int_equal(unix_s, 1483228800);
    assert_false(slu_time_to_unix(SLU_STR("20161301T000000Z"), &unix_s));
    assert_false(slu_time_to_unix(SLU_STR("2016-12-31T23:59:59.1Z"), &unix_s));
    assert_false(slu_time_to_unix(SLU_STR_NONE, &unix_s));
}

static bool read_once(void *context)
{
    struct slu_arena mine;
    struct slu_str text;
    bool good;

    (void)context;
    slu_arena_init(&mine, 1 << 16);
    good = slu_time_read(&mine, SLU_STR(GAP), SLU_STR("2024-01-02 03:04:05"), &text);
    slu_arena_done(&mine);
    return good;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_int_equal(test_every_allocation(read_once, NULL), 1);
}

static const struct {
    const char *text;
    int64_t unix_s;
} http_dates[] = {
    /* the three of RFC 9110 §5.6.7 */
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
    {"Thu Feb 29 12:00:00 2024", 1709208000},
    {"Wednesday, 01-Jan-76 00:00:00 GMT", 3345062400}, /* fifty years ahead */
    {"Saturday, 01-Jan-77 00:00:00 GMT", 220924800},   /* more than that: in the past */
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
};
static const char *const no_http_dates[] = {
    "",
    "S",
    "Sun",
    "Mon, 06 Nov 1994 08:49:37 GMT", /* it was a Sunday */
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun,  6 Nov 1994 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT",
    "sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 24:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT",
    "Sun, +6 Nov 1994 08:49:37 GMT",
    "Sun, 06-Nov-94 08:49:37 GMT",
    "Sunday, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-9x 08:49:37 GMT",
    "Sunday Nov  6 08:49:37 1994",
    "Sun Nov 06 08:49 1994",
    "Thu, 29 Feb 2023 12:00:00 GMT",
};
static void test_the_date_of_a_message(void **state)
{
    enum { NOW = 784111777, DAY = 86400 };
    char text[SLU_TIME_IMF];
    int64_t unix_s;

    (void)state;
    for (int64_t away = -DAY; away <= DAY; away += DAY / 8) {
        slu_time_imf(NOW + away, text);
        assert_true(slu_time_date((struct slu_str){text, sizeof(text)}, NOW, &unix_s));
        assert_int_equal(unix_s, NOW + away);
    }
    for (int64_t away = -DAY - 1; away <= DAY + 1; away += 2 * DAY + 2) {
        slu_time_imf(NOW + away, text);
        assert_false(slu_time_date((struct slu_str){text, sizeof(text)}, NOW, &unix_s));
    }
    assert_false(slu_time_date(SLU_STR("1994-11-06T08:49:37Z"), NOW, &unix_s));
    assert_false(slu_time_date(SLU_STR_NONE, NOW, &unix_s));
}

static void test_http_dates(void **state)
{
    static const int64_t now = 1767225600; /* 2026-01-01 */
    int64_t unix_s;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(http_dates); i++) {
        if (!slu_time_http(slu_str_of(http_dates[i].text), now, &unix_s))
            fail_msg("refused: %s", http_dates[i].text);
        assert_int_equal(unix_s, http_dates[i].unix_s);
    }
    for (size_t i = 0; i < SLU_COUNT(no_http_dates); i++)
        if (slu_time_http(slu_str_of(no_http_dates[i]), now, &unix_s))
            fail_msg("taken: %s", no_http_dates[i]);
    assert_false(slu_time_http(SLU_STR_NONE, now, &unix_s));
    for (int64_t at = -5000000000; at < 250000000000; at += 86399 * 997) {
        char text[SLU_TIME_IMF];

        slu_time_imf(at, text);
        assert_true(slu_time_http((struct slu_str){text, sizeof(text)}, now, &unix_s));
        assert_int_equal(unix_s, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads, begin, end),
        cmocka_unit_test_setup_teardown(refuses_what_the_pattern_does_not_say, begin, end),
        cmocka_unit_test_setup_teardown(writes_cut_nothing_in_silence, begin, end),
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(calendar_agrees_with_libc),
        cmocka_unit_test(known_forms),
        cmocka_unit_test(survives_failing_allocations),
        cmocka_unit_test(test_http_dates),
        cmocka_unit_test(test_the_date_of_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
