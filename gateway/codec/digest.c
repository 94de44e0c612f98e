/*
 * SHA-256 and HMAC. EVP looks an algorithm up by name each time unless it was fetched before
 * (OpenSSL's crypto(7), "Performance"), so each is fetched once and kept until the process ends.
 * The contexts of plain digests are one a thread.
 */
#include "codec/digest.h"

#include "codec/text.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdatomic.h>

static _Atomic(EVP_MD *) sha256_method;
static _Atomic(EVP_MAC *) hmac_method;

/* Two threads may fetch at once; the second gives its own back. A failure is tried again by the
 * next caller. */
static EVP_MD *sha256(void)
{
    EVP_MD *known = atomic_load_explicit(&sha256_method, memory_order_acquire), *mine;

    if (known)
        return known;
    mine = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (mine && !atomic_compare_exchange_strong(&sha256_method, &known, mine)) {
        EVP_MD_free(mine);
        return known;
    }
    return mine;
}

static EVP_MAC *hmac_algorithm(void)
{
    EVP_MAC *known = atomic_load_explicit(&hmac_method, memory_order_acquire), *mine;

    if (known)
        return known;
    mine = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mine && !atomic_compare_exchange_strong(&hmac_method, &known, mine)) {
        EVP_MAC_free(mine);
        return known;
    }
    return mine;
}

static _Thread_local EVP_MD_CTX *thread_context;
static pthread_key_t context_key;
static bool context_key_made;
static pthread_once_t context_once = PTHREAD_ONCE_INIT;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void make_context_key(void)
{
    context_key_made = pthread_key_create(&context_key, free_context) == 0;
}

/* The key's only purpose is that a thread that ends frees its context. */
static EVP_MD_CTX *context_of_thread(void)
{
    EVP_MD_CTX *context = thread_context;

    if (context)
        return context;
    pthread_once(&context_once, make_context_key);
    if (!context_key_made || !(context = EVP_MD_CTX_new()))
        return NULL;
    if (pthread_setspecific(context_key, context) != 0) {
        EVP_MD_CTX_free(context);
        return NULL;
    }
    thread_context = context;
    return context;
}

bool slu_sha256(struct slu_str bytes, unsigned char digest[SLU_SHA256_SIZE])
{
    EVP_MD_CTX *context = context_of_thread();
    const EVP_MD *method = sha256();

    return context && method && EVP_DigestInit_ex2(context, method, NULL) &&
           EVP_DigestUpdate(context, bytes.p, bytes.n) && EVP_DigestFinal_ex(context, digest, NULL);
}

bool slu_sha256_hex(struct slu_str bytes, char hex[SLU_SHA256_HEX])
{
    unsigned char digest[SLU_SHA256_SIZE];

    if (!slu_sha256(bytes, digest))
        return false;
    slu_hex_write(hex, digest, sizeof(digest));
    return true;
}

struct slu_hmac {
    EVP_MAC_CTX *context; /* holds the key; OpenSSL cleanses it when freed */
};

static bool begin(EVP_MAC_CTX *context, char *method, struct slu_str key)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, method, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_init(context, (const unsigned char *)(key.p ? key.p : ""), key.n, params);
}

static struct slu_hmac *new_hmac(char *method, struct slu_str key)
{
    slu_auto(slu_hmac) *hmac = slu_mem_new(sizeof(*hmac));
    EVP_MAC *algorithm = hmac_algorithm();

    if (!hmac || !algorithm)
        return NULL;
    hmac->context = EVP_MAC_CTX_new(algorithm);
    if (!hmac->context || !begin(hmac->context, method, key))
        return NULL;
    return slu_take(hmac);
}

struct slu_hmac *slu_hmac_new(struct slu_str key)
{
    char method[] = "SHA256";

    return new_hmac(method, key);
}

struct slu_hmac *slu_hmac_sha1_new(struct slu_str key)
{
    char method[] = "SHA1";

    return new_hmac(method, key);
}

void slu_hmac_free(struct slu_hmac *hmac)
{
    if (!hmac)
        return;
    EVP_MAC_CTX_free(hmac->context);
    slu_mem_free(hmac);
}

static bool digest_of(struct slu_hmac *hmac, struct slu_str bytes, unsigned char *digest,
                      size_t size)
{
    size_t length;

    /* Without a key: back to the state behind the key (EVP_MAC_init(3)). */
    return EVP_MAC_init(hmac->context, NULL, 0, NULL) &&
           EVP_MAC_update(hmac->context, (const unsigned char *)bytes.p, bytes.n) &&
           EVP_MAC_final(hmac->context, digest, &length, size) && length == size;
}

bool slu_hmac_sha256(struct slu_hmac *hmac, struct slu_str bytes,
                     unsigned char digest[SLU_SHA256_SIZE])
{
    return digest_of(hmac, bytes, digest, SLU_SHA256_SIZE);
}

bool slu_hmac_sha1(struct slu_hmac *hmac, struct slu_str bytes, unsigned char digest[SLU_SHA1_SIZE])
{
    return digest_of(hmac, bytes, digest, SLU_SHA1_SIZE);
}
