/* TLS contexts: good and bad files. What they then do on the wire is in conn_test.c. */
#include "net/tls_internal.h"

#include "net_support.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_bad_servers(void **state)
{
    const char *junk = cert("junk.pem");
    const struct {
        struct slu_tls_server_conf conf;
        const char *place;
    } rows[] = {
        {{cert("missing.pem"), cert("server.key"), NULL}, cert("missing.pem")},
        {{junk, cert("server.key"), NULL}, junk},
        {{cert("server.pem"), junk, NULL}, junk},
        {{cert("server.pem"), NULL, NULL}, cert("server.pem")},
        {{cert("server.pem"), cert("missing.key"), NULL}, cert("missing.key")},
        {{cert("server.pem"), cert("client.key"), NULL}, cert("client.key")},
    };

    (void)state;
    write_file(junk, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IHdvcmRz\n-----END PRIVATE KEY-----\n");
    for (size_t i = 0; i < SLU_COUNT(rows); i++) {
        struct slu_tls *tls = NULL;
        struct slu_fault fault = {0};

        assert_false(slu_tls_server_new(&rows[i].conf, &tls, &fault));
        assert_null(tls);
        assert_int_equal(fault.kind, SLU_FAULT_CONFIG);
        assert_string_equal(fault.place, rows[i].place);
        assert_null(strstr(fault.words, "c2Vj"));
        assert_null(strstr(fault.words, "secret"));
    }
}

static void test_bad_authorities(void **state)
{
    struct slu_tls_server_conf server = {cert("server.pem"), cert("server.key"),
                                         cert("missing.pem")};
    struct slu_tls_client_conf client = {.ca = cert("server.key")};
    struct slu_tls *tls = NULL;
    struct slu_fault fault = {0};

    (void)state;
    assert_false(slu_tls_server_new(&server, &tls, &fault));
    assert_string_equal(fault.place, server.client_ca);
    fault = (struct slu_fault){0};
    assert_false(slu_tls_client_new(&client, &tls, &fault));
    assert_string_equal(fault.place, client.ca);
    client = (struct slu_tls_client_conf){cert("ca.pem"), cert("client.pem"), cert("server.key")};
    fault = (struct slu_fault){0};
    assert_false(slu_tls_client_new(&client, &tls, &fault));
    assert_string_equal(fault.place, client.key);
}

static void test_good(void **state)
{
    struct slu_tls_server_conf server = {cert("server.pem"), cert("server.key"), cert("ca.pem")};
    struct slu_tls_client_conf client = {cert("ca.pem"), cert("client.pem"), cert("client.key")};
    struct slu_tls_client_conf system = {0};
    struct slu_tls *tls = NULL, *second = NULL;
    struct slu_fault fault = {0};

    (void)state;
    assert_true(slu_tls_server_new(&server, &tls, &fault));
    assert_int_equal(SSL_CTX_get_min_proto_version(slu_tls_context(tls)), TLS1_2_VERSION);
    assert_true(SSL_CTX_get_options(slu_tls_context(tls)) & SSL_OP_NO_RENEGOTIATION);
    assert_true(SSL_CTX_get_options(slu_tls_context(tls)) & SSL_OP_NO_COMPRESSION);
    assert_ptr_equal(slu_tls_ref(tls), tls);
    slu_tls_free(tls);
    assert_non_null(slu_tls_context(tls)); /* one count is left */
    slu_tls_free(tls);
    assert_true(slu_tls_client_new(&client, &tls, &fault));
    slu_tls_free(tls);
    assert_true(slu_tls_client_new(&system, &tls, &fault));
    assert_true(slu_tls_client_new(&system, &second, &fault));
    assert_ptr_equal(SSL_CTX_get_cert_store(slu_tls_context(tls)),
                     SSL_CTX_get_cert_store(slu_tls_context(second))); /* read once */
    slu_tls_free(tls);
    slu_tls_free(second);
    slu_tls_free(NULL);
}

static bool make_context(void *context)
{
    struct slu_tls_client_conf client = {.ca = context};
    struct slu_tls *tls = NULL;
    struct slu_fault fault = {0};
    bool made = slu_tls_client_new(&client, &tls, &fault);

    assert_true(made || fault.kind == SLU_FAULT_MEMORY);
    slu_tls_free(tls);
    return made;
}

static void test_no_memory(void **state)
{
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s", cert("ca.pem"));
    assert_true(test_every_allocation(make_context, path) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_servers),
        cmocka_unit_test(test_bad_authorities),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
