/* A target's clock: measured by every Date, corrected once it matters, deaf to absurd ones. */
#include "test.h"

#include "cloud/skew.h"
#include "codec/time.h"

#include <pthread.h>

enum { NOW = 1767225600, DAY = 86400 };

static char text[SLU_TIME_IMF];

static struct slu_str date(int64_t unix_s)
{
    slu_time_imf(unix_s, text);
    return (struct slu_str){text, sizeof(text)};
}

/* The Date is cut to seconds and written at some moment between sending and receiving. */
static void test_measured(void **state)
{
    static const struct {
        int64_t date_s, took_s, skew_s;
    } all[] = {
        {NOW, 0, 0},         {NOW - 1, 0, 0},         {NOW - 2, 0, -1},
        {NOW + 1, 0, 1},     {NOW + 600, 0, 600},     {NOW - 600, 0, -599},
        {NOW + 5, 10, 0},    {NOW + 12, 10, 2},       {NOW - 3, 10, -2},
        {NOW + DAY, 0, DAY}, {NOW - DAY, 0, 1 - DAY}, {NOW - DAY - 1, 0, -DAY},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(all); i++) {
        slu_auto(slu_skew) *skew = slu_skew_new();

        assert_non_null(skew);
        assert_false(slu_skew_look(skew).seen);
        slu_skew_see(skew, date(all[i].date_s), NOW, NOW + all[i].took_s);
        assert_true(slu_skew_look(skew).seen);
        assert_int_equal(slu_skew_look(skew).measured_s, all[i].skew_s);
        assert_int_equal(slu_skew_offset_s(skew), 0); /* seeing corrects nothing */
    }
}

static void test_absurd(void **state)
{
    static const char *const all[] = {
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Sun, 06 Nov 9999 08:49:37 GMT",
        "Thu, 32 Jan 2026 00:00:00 GMT",
        "Wed, 01 Jan 2026 00:00:00 GMT", /* a Thursday */
        "Thu, 01 Jan 2026 00:00:00 CET",
        "2026-01-01T00:00:00Z",
        "0",
        "x",
    };
    slu_auto(slu_skew) *skew = slu_skew_new();

    (void)state;
    assert_non_null(skew);
    for (size_t i = 0; i < SLU_COUNT(all); i++) {
        slu_skew_see(skew, slu_str_of(all[i]), NOW, NOW);
        assert_false(slu_skew_correct(skew, slu_str_of(all[i]), NOW, NOW, 0));
    }
    slu_skew_see(skew, SLU_STR_NONE, NOW, NOW); /* a reply without a Date is none */
    assert_false(slu_skew_correct(skew, SLU_STR_NONE, NOW, NOW, 0));
    assert_int_equal(slu_skew_look(skew).absurd, 2 * SLU_COUNT(all));
    assert_false(slu_skew_look(skew).seen);
    assert_int_equal(slu_skew_offset_s(skew), 0);
}

static void test_corrected(void **state)
{
    slu_auto(slu_skew) *skew = slu_skew_new();
    int64_t offset;

    (void)state;
    assert_non_null(skew);
    assert_false(slu_skew_correct(skew, date(NOW + 239), NOW, NOW, 0)); /* it was not the time */
    assert_int_equal(slu_skew_offset_s(skew), 0);
    assert_true(slu_skew_correct(skew, date(NOW + 1200), NOW, NOW, 0));
    offset = slu_skew_offset_s(skew);
    assert_int_equal(offset, 1200);
    /* Refused again with the right time: it is the key. */
    assert_false(slu_skew_correct(skew, date(NOW + 1201), NOW, NOW + 1, offset));
    /* Another one that was signed before the correction may try as well, and counts no more. */
    assert_true(slu_skew_correct(skew, date(NOW + 1200), NOW, NOW, 0));
    assert_int_equal(slu_skew_look(skew).corrected, 1);
    /* This machine's clock was put right: the next refusal takes the correction back. */
    assert_true(slu_skew_correct(skew, date(NOW + 3), NOW, NOW, offset));
    assert_int_equal(slu_skew_offset_s(skew), 0);
    assert_int_equal(slu_skew_look(skew).corrected, 2);
    assert_true(slu_skew_correct(skew, date(NOW - 1200), NOW, NOW, 0));
    assert_int_equal(slu_skew_look(skew).applied_s, -1199);
}

/* Parsing once a second is enough. */
static void test_once_a_second(void **state)
{
    slu_auto(slu_skew) *skew = slu_skew_new();

    (void)state;
    assert_non_null(skew);
    slu_skew_see(skew, date(NOW + 9), NOW, NOW);
    slu_skew_see(skew, date(NOW + 5), NOW, NOW);
    assert_int_equal(slu_skew_look(skew).measured_s, 9);
    slu_skew_see(skew, date(NOW + 6), NOW, NOW + 1);
    assert_int_equal(slu_skew_look(skew).measured_s, 5);
}

static void *see_and_correct(void *context)
{
    char mine[SLU_TIME_IMF];

    for (int64_t i = 0; i < 20000; i++) {
        struct slu_str told = {mine, sizeof(mine)};

        slu_time_imf(NOW + i + 600, mine);
        slu_skew_see(context, told, NOW + i, NOW + i);
        (void)!slu_skew_correct(context, told, NOW + i, NOW + i, slu_skew_offset_s(context));
    }
    return NULL;
}

static void test_threads(void **state)
{
    slu_auto(slu_skew) *skew = slu_skew_new();
    pthread_t threads[4];

    (void)state;
    assert_non_null(skew);
    for (size_t i = 0; i < SLU_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, see_and_correct, skew), 0);
    for (size_t i = 0; i < SLU_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(slu_skew_look(skew).applied_s, 600);
    assert_int_equal(slu_skew_look(skew).corrected, 1);
}

static bool make_one(void *context)
{
    slu_auto(slu_skew) *skew = slu_skew_new();

    (void)context;
    return skew;
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(test_every_allocation(make_one, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measured),  cmocka_unit_test(test_absurd),
        cmocka_unit_test(test_corrected), cmocka_unit_test(test_once_a_second),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
