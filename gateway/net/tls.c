/*
 * TLS contexts (OpenSSL 3.0): what both sides are willing to speak. The system's store of
 * certificate authorities is read once in the process's life and shared, because reading it costs
 * more than a handshake does.
 */
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>

struct slu_tls {
    SSL_CTX *context;
    atomic_uint references;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static X509_STORE *system_store; /* NULL: it could not be read */
static int hook_index;

static void prepare_process(void)
{
    X509_STORE *store = X509_STORE_new();

    hook_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (store && X509_STORE_set_default_paths(store) != 1) {
        X509_STORE_free(store);
        store = NULL;
    }
    system_store = store;
    ERR_clear_error();
}

/* OpenSSL's words name the cause (no such file, bad PEM, key mismatch), never the key. */
static bool refuse(struct slu_fault *fault, const char *file, const char *what)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;

    ERR_clear_error();
    return slu_fault_set(fault, SLU_FAULT_CONFIG, file, "%s: %s", what,
                         reason ? reason : "it cannot be used");
}

/* A key with a passphrase would make OpenSSL ask the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    /* RFC 9325 §4.2: forward secrecy and AEAD. */
    if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static struct slu_tls *tls_new(const SSL_METHOD *method, struct slu_fault *fault)
{
    struct slu_tls *tls = slu_mem_new(sizeof(*tls));

    pthread_once(&once, prepare_process);
    ERR_clear_error();
    if (tls && !(tls->context = context_new(method)))
        slu_mem_free(slu_take(tls));
    if (!tls) {
        slu_fault_memory(fault);
        return NULL;
    }
    atomic_init(&tls->references, 1);
    return tls;
}

static bool use_certificate(SSL_CTX *context, const char *certificate, const char *key,
                            struct slu_fault *fault)
{
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return refuse(fault, certificate, "the certificate cannot be read");
    if (!key)
        return slu_fault_set(fault, SLU_FAULT_CONFIG, certificate,
                             "the certificate has no key beside it");
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return refuse(fault, key, "the key cannot be read or does not belong to the certificate");
    if (SSL_CTX_check_private_key(context) != 1)
        return refuse(fault, key, "the key does not belong to the certificate");
    return true;
}

static bool ask_for_clients(SSL_CTX *context, const char *ca, struct slu_fault *fault)
{
    STACK_OF(X509_NAME) * names;

    if (SSL_CTX_load_verify_file(context, ca) != 1)
        return refuse(fault, ca, "the certificate authorities cannot be read");
    names = SSL_load_client_CA_file(ca);
    if (!names)
        return refuse(fault, ca, "the certificate authorities cannot be read");
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return true;
}

bool slu_tls_server_new(const struct slu_tls_server_conf *conf, struct slu_tls **ret_tls,
                        struct slu_fault *fault)
{
    slu_auto(slu_tls) *tls = tls_new(TLS_server_method(), fault);

    if (!tls || !use_certificate(tls->context, conf->certificate, conf->key, fault))
        return false;
    if (conf->client_ca && !ask_for_clients(tls->context, conf->client_ca, fault))
        return false;
    /* Sessions are resumed by tickets alone: nothing is kept here for a client that left. */
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls->context, 1);
    SSL_CTX_set_session_id_context(tls->context, (const unsigned char *)"sluice", 6);
    *ret_tls = slu_take(tls);
    return true;
}

/* Answers 1 when the session's count was taken over. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct slu_tls_hook *hook = SSL_get_ex_data(ssl, hook_index);

    if (!hook)
        return 0;
    hook->keep(hook->owner, session);
    return 1;
}

static bool trust(SSL_CTX *context, const char *ca, struct slu_fault *fault)
{
    if (ca) {
        if (SSL_CTX_load_verify_file(context, ca) != 1)
            return refuse(fault, ca, "the certificate authorities cannot be read");
        return true;
    }
    if (!system_store)
        return slu_fault_set(fault, SLU_FAULT_CONFIG, "",
                             "the system's certificate authorities cannot be read");
    SSL_CTX_set1_cert_store(context, system_store);
    return true;
}

bool slu_tls_client_new(const struct slu_tls_client_conf *conf, struct slu_tls **ret_tls,
                        struct slu_fault *fault)
{
    slu_auto(slu_tls) *tls = tls_new(TLS_client_method(), fault);

    if (!tls || !trust(tls->context, conf->ca, fault))
        return false;
    if (conf->certificate && !use_certificate(tls->context, conf->certificate, conf->key, fault))
        return false;
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(tls->context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->context, on_new_session);
    *ret_tls = slu_take(tls);
    return true;
}

struct slu_tls *slu_tls_ref(struct slu_tls *tls)
{
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void slu_tls_free(struct slu_tls *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(tls->context);
    slu_mem_free(tls);
}

SSL_CTX *slu_tls_context(const struct slu_tls *tls)
{
    return tls->context;
}

bool slu_tls_set_hook(SSL *ssl, struct slu_tls_hook *hook)
{
    return SSL_set_ex_data(ssl, hook_index, hook) == 1;
}
