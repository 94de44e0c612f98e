/* Nonces: seen once, forgotten when their time is over, bounded, and taken by one thread only. */
#include "test.h"

#include "cloud/nonces.h"
#include "cloud/nonces_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { NOW = 1767225600, SKEW = 900 };

static const unsigned char secret[SLU_NONCES_SECRET] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                        8, 9, 10, 11, 12, 13, 14, 15};

static enum slu_nonce take(struct slu_nonces *nonces, const char *nonce, int64_t unix_s,
                           int64_t now_s)
{
    return slu_nonces_take(nonces, SLU_STR("door"), SLU_STR("AK"), slu_str_of(nonce), unix_s,
                           now_s);
}

static enum slu_nonce take_number(struct slu_nonces *nonces, unsigned number, int64_t unix_s,
                                  int64_t now_s)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    return take(nonces, text, unix_s, now_s);
}

/* The reference implementation's vectors_sip64 (github.com/veorq/SipHash, vectors.h): key 00 to 0f,
 * input 00, 01, 02 …; 15 bytes are also the example of the paper's appendix A. */
static void test_digest(void **state)
{
    static const struct {
        size_t length;
        uint64_t digest;
    } rows[] = {{0, UINT64_C(0x726fdb47dd0e0e31)},
                {1, UINT64_C(0x74f839c593dc67fd)},
                {15, UINT64_C(0xa129ca6149be45e5)}};
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    char input[16];

    (void)state;
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (char)i;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_str text = {input, rows[i].length};

        assert_true(slu_nonces_digest(key, &text, 1) == rows[i].digest);
    }
}

static void test_parts(void **state)
{
    char longer[600];
    struct slu_str all[][3] = {
        {SLU_STR("a"), SLU_STR("b"), SLU_STR("c")},  {SLU_STR("ab"), SLU_STR(""), SLU_STR("c")},
        {SLU_STR("a"), SLU_STR("bc"), SLU_STR("")},  {SLU_STR(""), SLU_STR("ab"), SLU_STR("c")},
        {SLU_STR("a"), SLU_STR("b"), {longer, 255}}, {SLU_STR("a"), SLU_STR("b"), {longer, 256}},
        {SLU_STR("a"), SLU_STR("b"), {longer, 512}}, {SLU_STR("a"), {longer, 8}, {longer, 248}},
    };
    slu_auto(slu_nonces) *nonces = slu_nonces_new(secret, 1000, SKEW);

    (void)state;
    memset(longer, 0, sizeof(longer));
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < SLU_COUNT(all); i++)
            assert_int_equal(slu_nonces_take(nonces, all[i][0], all[i][1], all[i][2], NOW, NOW),
                             round ? SLU_NONCE_SEEN : SLU_NONCE_NEW);
}

static void test_window(void **state)
{
    static const int64_t signed_at[] = {NOW - SKEW, NOW - 1, NOW, NOW + SKEW};

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(signed_at); i++) {
        slu_auto(slu_nonces) *nonces = slu_nonces_new(secret, 1000, SKEW);

        assert_int_equal(take(nonces, "n", signed_at[i], NOW), SLU_NONCE_NEW);
        assert_int_equal(take(nonces, "n", signed_at[i], NOW), SLU_NONCE_SEEN);
        assert_int_equal(take(nonces, "n", signed_at[i], signed_at[i] + SKEW), SLU_NONCE_SEEN);
        assert_int_equal(take(nonces, "n", signed_at[i] + SKEW + 1, signed_at[i] + SKEW + 1),
                         SLU_NONCE_NEW);
    }
    slu_nonces_free(NULL);
}

/* Full is said, not let through; room comes with time, and what still counts is not forgotten. */
static void test_full(void **state)
{
    enum { MOST = 6400, MORE = 64 * 200 };
    slu_auto(slu_nonces) *nonces = slu_nonces_new(secret, MOST, SKEW);
    unsigned taken = 0, full = 0;

    (void)state;
    for (unsigned i = 0; i < MORE; i++) {
        enum slu_nonce answer = take_number(nonces, i, NOW, NOW);

        assert_int_not_equal(answer, SLU_NONCE_SEEN);
        taken += answer == SLU_NONCE_NEW;
        full += answer == SLU_NONCE_FULL;
    }
    assert_int_equal(taken, MOST);
    assert_int_equal(full, MORE - MOST);
    for (unsigned i = 0; i < 3200; i++)
        assert_int_equal(take_number(nonces, i, NOW, NOW), SLU_NONCE_SEEN);
    for (unsigned i = 0; i < 3200; i++)
        assert_int_equal(take_number(nonces, MORE + i, NOW + SKEW + 1, NOW + SKEW + 1),
                         SLU_NONCE_NEW);
    for (unsigned i = 0; i < 3200; i++)
        assert_int_equal(take_number(nonces, MORE + i, NOW + SKEW + 1, NOW + SKEW + 2),
                         SLU_NONCE_SEEN);
}

/* Traffic over hours: entries come and end, and the place does not fill up. */
static void test_long(void **state)
{
    slu_auto(slu_nonces) *nonces = slu_nonces_new(secret, 20000, SKEW);
    unsigned number = 0;

    (void)state;
    for (int64_t now_s = NOW; now_s < NOW + 20000; now_s++) {
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(take_number(nonces, number++, now_s, now_s), SLU_NONCE_NEW);
        assert_int_equal(take_number(nonces, number - 5, now_s, now_s), SLU_NONCE_SEEN);
    }
}

enum { THREADS = 8, EACH = 20000 };

static struct slu_nonces *shared;
static atomic_uint won;

static void *contend(void *context)
{
    for (unsigned i = 0; i < EACH; i++)
        if (take_number(shared, i, NOW, NOW) == SLU_NONCE_NEW)
            atomic_fetch_add(&won, 1);
    return context;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    shared = slu_nonces_new(secret, SLU_NONCES_MOST, SKEW);
    assert_non_null(shared);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&won), EACH);
    slu_nonces_free(shared);
}

static bool whole_way(void *context)
{
    slu_auto(slu_nonces) *nonces = slu_nonces_new(secret, 10000, SKEW);

    (void)context;
    if (!nonces)
        return false;
    for (unsigned i = 0; i < 5000; i++) {
        enum slu_nonce answer = take_number(nonces, i, NOW, NOW);

        if (answer != SLU_NONCE_NEW) { /* and after it the nonce is still good */
            assert_int_equal(answer, SLU_NONCE_FULL);
            assert_int_equal(take_number(nonces, i, NOW, NOW), SLU_NONCE_NEW);
            return false;
        }
    }
    return true;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(whole_way, NULL) > 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest), cmocka_unit_test(test_parts), cmocka_unit_test(test_window),
        cmocka_unit_test(test_full),   cmocka_unit_test(test_long),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
