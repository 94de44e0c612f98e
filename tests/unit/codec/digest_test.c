/* SHA-256 (FIPS 180-2 appendix B) and HMAC-SHA256 (RFC 4231 §4), alone and from many threads. */
#include "test.h"

#include "codec/digest.h"
#include "codec/text.h"

#include <pthread.h>

static void sha256_vectors(void **state)
{
    static const char *const rows[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SLU_SHA256_HEX];

    (void)state;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < SLU_COUNT(rows); i++) {
            assert_true(slu_sha256_hex(slu_str_of(rows[i][0]), hex));
            assert_memory_equal(hex, rows[i][1], SLU_SHA256_HEX);
        }
    assert_true(slu_sha256_hex(SLU_STR_NONE, hex));
    assert_memory_equal(hex, rows[0][1], SLU_SHA256_HEX);
}

static void hmac_vectors(void **state)
{
    static const struct {
        char key_byte;
        size_t key_length;
        const char *key, *text, *hex;
    } rows[] = {
        {0x0b, 20, NULL, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, 4, "Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {(char)0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        /* no key and no text, computed with Python's hmac */
        {0, 0, "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        unsigned char digest[SLU_SHA256_SIZE];
        char key[200], hex[SLU_SHA256_HEX];
        struct slu_hmac *hmac;

        memset(key, rows[i].key_byte, sizeof(key));
        if (rows[i].key)
            memcpy(key, rows[i].key, rows[i].key_length);
        hmac = slu_hmac_new((struct slu_str){key, rows[i].key_length});
        assert_non_null(hmac);
        for (int round = 0; round < 3; round++) {
            assert_true(slu_hmac_sha256(hmac, slu_str_of(rows[i].text), digest));
            slu_hex_write(hex, digest, sizeof(digest));
            assert_memory_equal(hex, rows[i].hex, SLU_SHA256_HEX);
            assert_true(slu_hmac_sha256(hmac, SLU_STR("something between"), digest));
        }
        slu_hmac_free(hmac);
    }
    slu_hmac_free(NULL);
}

/* RFC 2202 §3, cases 1, 2 and 6. */
static void hmac_sha1_vectors(void **state)
{
    static const struct {
        char key_byte;
        size_t key_length;
        const char *key, *text, *hex;
    } rows[] = {
        {0x0b, 20, NULL, "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
        {0, 4, "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        {(char)0xaa, 80, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
         "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    };

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        unsigned char digest[SLU_SHA1_SIZE];
        char key[100], hex[2 * SLU_SHA1_SIZE];
        struct slu_hmac *hmac;

        memset(key, rows[i].key_byte, sizeof(key));
        if (rows[i].key)
            memcpy(key, rows[i].key, rows[i].key_length);
        hmac = slu_hmac_sha1_new((struct slu_str){key, rows[i].key_length});
        assert_non_null(hmac);
        for (int round = 0; round < 2; round++) {
            assert_true(slu_hmac_sha1(hmac, slu_str_of(rows[i].text), digest));
            slu_hex_write(hex, digest, sizeof(digest));
            assert_memory_equal(hex, rows[i].hex, sizeof(hex));
        }
        slu_hmac_free(hmac);
    }
}

/* cmocka's assertions belong to the main thread, so the threads only answer. */
static void *hash_often(void *context)
{
    const char *expected = context;
    char hex[SLU_SHA256_HEX];

    for (int i = 0; i < 1000; i++)
        if (!slu_sha256_hex(SLU_STR("abc"), hex) || memcmp(hex, expected, sizeof(hex)) != 0)
            return NULL;
    return context;
}

static void threads_do_not_disturb_each_other(void **state)
{
    static char expected[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, expected), 0);
    for (size_t i = 0; i < SLU_COUNT(threads); i++) {
        void *good = NULL;

        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
}

static bool build(void *context)
{
    slu_auto(slu_hmac) *hmac = slu_hmac_new(SLU_STR("key"));

    (void)context;
    return hmac != NULL;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    assert_int_equal(test_every_allocation(build, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_disturb_each_other), /* first: they fetch at once */
        cmocka_unit_test(sha256_vectors),
        cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(hmac_sha1_vectors),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
