/* Endpoints and listening addresses: what is read, and what is refused. */
#include "test.h"

#include "app/endpoint.h"

static const struct {
    const char *url;
    bool https;
    const char *host, *dns;
    unsigned port;
    const char *path;
    bool loopback;
} good[] = {
    {"https://vpc.example", true, "vpc.example", "vpc.example", 443, "", false},
    {"https://vpc.example/", true, "vpc.example", "vpc.example", 443, "", false},
    {"HTTPS://VPC.Example:443/a/b", true, "vpc.example", "vpc.example", 443, "/a/b", false},
    {"https://vpc.example:8443/a/", true, "vpc.example:8443", "vpc.example", 8443, "/a", false},
    {"http://localhost:80", false, "localhost", "localhost", 80, "", true},
    {"http://localhost:443", false, "localhost:443", "localhost", 443, "", true},
    {"http://127.0.0.1:9001", false, "127.0.0.1:9001", "127.0.0.1", 9001, "", true},
    {"http://127.255.0.9", false, "127.255.0.9", "127.255.0.9", 80, "", true},
    {"http://128.0.0.1", false, "128.0.0.1", "128.0.0.1", 80, "", false},
    {"http://[::1]:7000/x", false, "[::1]:7000", "::1", 7000, "/x", true},
    {"https://[2001:DB8::2]", true, "[2001:db8::2]", "2001:db8::2", 443, "", false},
    {"http://[::ffff:127.0.0.1]", false, "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", 80, "", false},
    {"https://a_b-c.d1/%7Ex;v=1", true, "a_b-c.d1", "a_b-c.d1", 443, "/%7Ex;v=1", false},
    {"https://localhost.example", true, "localhost.example", "localhost.example", 443, "", false},
    {"https://1.2.3.4.example", true, "1.2.3.4.example", "1.2.3.4.example", 443, "", false},
    {"https://deadbeef", true, "deadbeef", "deadbeef", 443, "", false},
    {"https://h:65535", true, "h:65535", "h", 65535, "", false},
};

static const char *const bad[] = {
    "",
    "vpc.example",
    "//vpc.example",
    "/path",
    "ftp://vpc.example",
    "https:/vpc.example",
    "https:vpc.example",
    "https://",
    "https:///path",
    "https://:443",
    "https://?x",
    "https://#x",
    /* user information, query, fragment */
    "https://user@vpc.example",
    "https://user:password@vpc.example",
    "https://@vpc.example",
    "https://vpc.example?x=1",
    "https://vpc.example/?",
    "https://vpc.example#f",
    "https://vpc.example/a#",
    /* ports */
    "https://vpc.example:",
    "https://vpc.example:0",
    "https://vpc.example:65536",
    "https://vpc.example:443x",
    "https://vpc.example:+443",
    "https://vpc.example:0443",
    "https://vpc.example:99999999999999999999",
    "https://vpc.example:443:443",
    /* hosts */
    "https://vpc..example",
    "https://.example",
    "https://vpc.example.",
    "https://-a.example",
    "https://a-.example",
    "https://vpc example",
    "https://vpc\texample",
    "https://vpc%2eexample",
    "https://vpc\\example",
    "https://vpc.example\\@evil",
    "https://vpc,example",
    "https://*",
    "https://v\xc3\xb6pc.example",
    "https://vpc.example\n",
    " https://vpc.example",
    /* numbers that resolvers take for IPv4 addresses */
    "https://127.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0177.0.0.1",
    "https://127.0.0.0x1",
    "https://256.0.0.1",
    "https://1.2.3.4.5",
    "https://127.0.0.1.",
    /* IPv6 */
    "https://::1",
    "https://[::1",
    "https://[]",
    "https://[::1]x",
    "https://[::1%25eth0]",
    "https://[127.0.0.1]",
    "https://[vpc.example]",
    "https://[::1]:",
    "https://[::g]",
    /* paths */
    "https://h/a//b",
    "https://h//",
    "https://h/./a",
    "https://h/a/..",
    "https://h/%",
    "https://h/%4",
    "https://h/%zz",
    "https://h/a\\b",
    "https://h/a b",
    "https://h/{id}",
    "https://h/\"",
};

static void test_good(void **state)
{
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < SLU_COUNT(good); i++) {
        struct slu_endpoint endpoint;
        const char *why = NULL;

        if (!slu_endpoint_read(&arena, slu_str_of(good[i].url), &endpoint, &why))
            fail_msg("%s: %s", good[i].url, why);
        assert_int_equal(endpoint.https, good[i].https);
        assert_str(endpoint.scheme, good[i].https ? "https" : "http");
        assert_str(endpoint.host, good[i].host);
        assert_string_equal(endpoint.dns_host, good[i].dns);
        assert_int_equal(endpoint.port, good[i].port);
        assert_str(endpoint.base_path, good[i].path);
        assert_int_equal(endpoint.loopback, good[i].loopback);
    }
    slu_arena_done(&arena);
}

static void test_bad(void **state)
{
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < SLU_COUNT(bad); i++) {
        struct slu_endpoint endpoint;
        const char *why = NULL;

        if (slu_endpoint_read(&arena, slu_str_of(bad[i]), &endpoint, &why))
            fail_msg("[%s] was taken", bad[i]);
        assert_non_null(why);
    }
    slu_arena_done(&arena);
}

static void test_nul_and_length(void **state)
{
    struct slu_arena arena;
    struct slu_endpoint endpoint;
    const char *why;
    char name[300] = "https://";

    (void)state;
    slu_arena_init(&arena, 1 << 16);
    assert_false(slu_endpoint_read(&arena, SLU_STR("https://vpc\0.example"), &endpoint, &why));
    assert_false(slu_endpoint_read(&arena, SLU_STR("https://vpc.example/a\0b"), &endpoint, &why));
    memset(name + 8, 'a', 63);
    assert_true(slu_endpoint_read(&arena, slu_str_of(name), &endpoint, &why));
    name[8 + 63] = 'a';
    assert_false(slu_endpoint_read(&arena, slu_str_of(name), &endpoint, &why));
    for (size_t i = 0; i < 254; i++)
        name[8 + i] = i % 2 ? '.' : 'a';
    assert_false(slu_endpoint_read(&arena, slu_str_of(name), &endpoint, &why));
    name[8 + 253] = '\0';
    assert_true(slu_endpoint_read(&arena, slu_str_of(name), &endpoint, &why));
    slu_arena_done(&arena);
}

static const struct {
    const char *text, *address; /* NULL: refused */
    bool loopback;
} addresses[] = {
    {"127.0.0.1:8080", "127.0.0.1:8080", true},
    {"localhost:8080", "127.0.0.1:8080", true},
    {"LOCALHOST:1", "127.0.0.1:1", true},
    {"0.0.0.0:0", "0.0.0.0:0", false},
    {"[::1]:8080", "[::1]:8080", true},
    {"[::]:443", "[::]:443", false},
    {"", NULL, false},
    {"8080", NULL, false},
    {":8080", NULL, false},
    {"127.0.0.1", NULL, false},
    {"127.0.0.1:", NULL, false},
    {"127.0.0.1:65536", NULL, false},
    {"127.0.0.1:-1", NULL, false},
    {"127.0.0.1:80 ", NULL, false},
    {"::1:8080", NULL, false},
    {"[::1]", NULL, false},
    {"[::1]8080", NULL, false},
    {"gateway.example:8080", NULL, false},
    {"127.1:8080", NULL, false},
    {"http://127.0.0.1:80", NULL, false},
    {"*:80", NULL, false},
};

static void test_addresses(void **state)
{
    struct slu_arena arena;

    (void)state;
    slu_arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < SLU_COUNT(addresses); i++) {
        struct slu_address address;
        const char *why = NULL;
        bool taken = slu_address_read(&arena, slu_str_of(addresses[i].text), &address, &why);

        if (taken != (addresses[i].address != NULL))
            fail_msg("[%s]: %s", addresses[i].text, taken ? "taken" : why);
        if (!taken)
            continue;
        assert_string_equal(address.text, addresses[i].address);
        assert_int_equal(address.loopback, addresses[i].loopback);
    }
    slu_arena_done(&arena);
}

static bool read_both(void *context)
{
    struct slu_arena arena;
    struct slu_endpoint endpoint;
    struct slu_address address;
    const char *why;
    bool read;

    (void)context;
    slu_arena_init(&arena, 1 << 16);
    read = slu_endpoint_read(&arena, SLU_STR("https://vpc.example:8443/a"), &endpoint, &why) &&
           slu_address_read(&arena, SLU_STR("127.0.0.1:80"), &address, &why);
    slu_arena_done(&arena);
    return read;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(read_both, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),           cmocka_unit_test(test_bad),
        cmocka_unit_test(test_nul_and_length), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
