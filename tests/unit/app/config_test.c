/* Configurations: the design's own example, a table of broken ones, secrets, memory. */
#include "test.h"

#include "app/config.h"
#include "app/secrets.h"
#include "app/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/sluice-config-test-XXXXXX";

/* ---- a configuration in which everything occurs; ' stands for " and # for the test's folder */

static const char example[] =
    "{'$schema':'x','listen':[{'address':'127.0.0.1:8080'},"
    "  {'address':'0.0.0.0:8443','tls':{'certificate':'#/pem','key':'#/pem','client_ca':'#/pem'}}],"
    " 'admin':{'address':'127.0.0.1:9090'},'store':{'sqlite':'/var/lib/sluice/journal.db'},"
    " 'callers':[{'name':'portal','key_sha256':"
    "  '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8',"
    "  'targets':['*'],'access':['read','write']},"
    "  {'name':'reader','targets':['otc-prod'],'access':['read']}],"
    " 'targets':{"
    "  'otc-prod':{'dialect':'otc-vpc','endpoint':'https://vpc.eu-de.otc.t-systems.com',"
    "   'parameters':{'project_id':'b2782e6708b8475c993e6064bc456bf8'},"
    "   'credentials':{'scheme':'sdk-hmac-sha256','access_key':{'file':'#/ak'},"
    "                  'secret_key':{'file':'#/sk'}},"
    "   'resources':{'prod-vpc':{'resource_type':'vpc',"
    "                'resource_id':'05c4052d-8d14-488f-aa00-19fea5a25fde'}},"
    "   'destinations':{'security':{'type':'lts','group':'05c4052d-8d14-488f-aa00-19fea5a25fdd',"
    "                   'stream':'a9d7dee7-37d2-4cba-a208-a016252aaa63'}},"
    "   'connect_timeout_ms':3000,'timeout_ms':15000,'max_in_flight':64,"
    "   'queue':5,'rate_per_s':9,'retries':1,'breaker':{'failure_percent':0}},"
    "  'otc-router':{'dialect':'otc-er','endpoint':'https://er.eu-de.otc.t-systems.com:8443/pre/',"
    "   'parameters':{'project_id':'0605767a9980d5762fbcc00b3537e757',"
    "                 'er_id':'a43c55e9-4911-4030-90e1-5c2bf6ae6fe2'},"
    "   'credentials':{'scheme':'sdk-hmac-sha256','access_key':{'env':'TEST_AK'},"
    "                  'secret_key':{'env':'TEST_SK'}}},"
    "  'ali-prod':{'dialect':'alibaba-vpc','endpoint':'https://vpc.aliyuncs.com',"
    "   'parameters':{'region':'cn-qingdao'},"
    "   'credentials':{'scheme':'acs3-hmac-sha256','access_key':{'env':'TEST_AK'},"
    "     'secret_key':{'env':'TEST_SK'},'security_token':{'env':'TEST_STS'}},"
    "   'proxy':'http://127.0.0.1:3128','ca':'#/pem',"
    "   'client_certificate':{'certificate':'#/pem','key':'#/pem'}},"
    "  'otc-user':{'dialect':'otc-vpc','endpoint':'https://vpc.eu-de.otc.t-systems.com',"
    "   'parameters':{'project_id':'b2782e6708b8475c993e6064bc456bf8'},"
    "   'credentials':{'scheme':'keystone-password','user':'a user','domain':'OTC-EU-DE-1',"
    "     'endpoint':'https://iam.eu-de.otc.t-systems.com:8443/pre/',"
    "     'password':{'env':'TEST_SK'}}},"
    "  'memory':{'dialect':'memory','settle_ms':0,'quota':7}},"
    " 'doors':[{'dialect':'alibaba-vpc','address':'127.0.0.1:8081','target':'otc-prod',"
    "   'credentials':[{'caller':'portal','access_key':'SLUICEKEY1',"
    "                   'secret_key':{'env':'TEST_DOOR'}}],"
    "   'resources':{'prod-vpc':{'resource_type':'vpc','resource_id':'vpc-m5e8vhz2t21sel1nq'}},"
    "   'destinations':{'security':{'type':'sls','group':'flow-project',"
    "                   'stream':'flow-store'}}}],"
    " 'limits':{'body_bytes':1000},'log':{'level':'debug','access':false}}";

static const char secret_text[] = "Th1sMustNeverBeSeen";

static void write_file(const char *name, const char *text, size_t length)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static void set_environment(void)
{
    setenv("TEST_AK", "ENVAK", 1);
    setenv("TEST_SK", secret_text, 1);
    setenv("TEST_STS", "ENVSTS", 1);
    setenv("TEST_DOOR", "door-secret", 1);
}

static int begin(void **state)
{
    static const char *const files[][2] = {
        {"ak", "FILEAK\n"},        {"sk", "Th1sMustNeverBeSeen\r\n"}, {"pem", "x"},
        {"empty", "\n"},           {"two-lines", "abc\n\n"},          {"blank", "a b"},
        {"unicode", "k\xc3\xa4y"},
    };

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < SLU_COUNT(files); i++)
        write_file(files[i][0], files[i][1], strlen(files[i][1]));
    return 0;
}

static int end(void **state)
{
    char command[300];

    (void)state;
    slu_secrets_forget();
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

/* Text with ' for " and # for the folder, as a tree. */
static json_t *tree(const char *text)
{
    struct slu_buf out;
    json_error_t error;
    json_t *root;

    slu_buf_init(&out, 0);
    for (; *text; text++)
        if (*text == '#')
            slu_buf_printf(&out, "%s", folder);
        else
            slu_buf_byte(&out, *text == '\'' ? '"' : *text);
    root = json_loadb(out.p, out.n, JSON_DECODE_ANY, &error);
    if (!root)
        fail_msg("%s at %d in %.*s", error.text, error.position, SLU_FMT(slu_buf_str(&out)));
    slu_buf_done(&out);
    return root;
}

static json_t *good(void)
{
    json_t *root = tree(example);

    json_object_set_new(root, "mappings", json_string(SLU_SOURCE_DIR "/mappings"));
    return root;
}

/* Sets (or with NULL takes out) what stands at the pointer; an array may grow by one. */
static void change(json_t *root, const char *pointer, const char *text)
{
    struct slu_str rest = slu_str_of(pointer + 1);
    json_t *place = root;
    char step[64];

    for (;;) {
        struct slu_str piece = slu_str_cut(&rest, '/');
        uint64_t index = 0;

        snprintf(step, sizeof(step), "%.*s", SLU_FMT(piece));
        if (json_is_array(place))
            assert_true(slu_str_to_u64(piece, &index));
        if (rest.p)
            place =
                json_is_array(place) ? json_array_get(place, index) : json_object_get(place, step);
        else if (!text)
            json_is_array(place) ? json_array_remove(place, index) : json_object_del(place, step);
        else if (json_is_array(place))
            index < json_array_size(place) ? json_array_set_new(place, index, tree(text))
                                           : json_array_append_new(place, tree(text));
        else
            assert_int_equal(json_object_set_new(place, step, tree(text)), 0);
        if (!rest.p)
            return;
        assert_non_null(place);
    }
}

/* ---- the example */

static struct slu_catalog *load(json_t *root, struct slu_mistakes *mistakes)
{
    slu_log_set(SLU_LOG_ERROR); /* the warning about the store is not looked at here */
    return slu_config_from(root, "test.json", mistakes);
}

static void tell(const struct slu_mistakes *mistakes)
{
    for (const struct slu_mistake *one = mistakes->first; one; one = one->next)
        print_error("  %.*s: %.*s\n", SLU_FMT(one->pointer), SLU_FMT(one->detail));
}

static void check_targets(const struct slu_catalog *catalog)
{
    const struct slu_target *otc = slu_catalog_target(catalog, SLU_STR("otc-prod"));
    const struct slu_target *router = slu_catalog_target(catalog, SLU_STR("otc-router"));
    const struct slu_target *ali = slu_catalog_target(catalog, SLU_STR("ali-prod"));
    const struct slu_target *memory = slu_catalog_target(catalog, SLU_STR("memory"));

    assert_int_equal(catalog->target_count, 5);
    assert_str(slu_table_dialect(otc->table), "otc-vpc");
    assert_str(slu_secret_reveal(otc->credentials.access_key), "FILEAK");
    assert_str(slu_secret_reveal(otc->credentials.secret_key), secret_text);
    assert_null(otc->credentials.security_token);
    assert_string_equal(slu_scheme_name(otc->credentials.scheme), "sdk-hmac-sha256");
    assert_int_equal(otc->credentials.scheme_index, 0);
    assert_str(slu_vars_get(&otc->parameters, SLU_STR("project_id")),
               "b2782e6708b8475c993e6064bc456bf8");
    assert_int_equal(otc->resource_count, 1);
    assert_str(slu_value_member(otc->destinations[0].members, "stream")->text,
               "a9d7dee7-37d2-4cba-a208-a016252aaa63");
    assert_int_equal(otc->timeout_ms, 15000);
    assert_int_equal(otc->total_timeout_ms, 12000);
    assert_false(otc->curl);
    assert_str(router->host, "er.eu-de.otc.t-systems.com:8443");
    assert_str(router->base_path, "/pre");
    assert_int_equal(router->port, 8443);
    assert_str(slu_secret_reveal(ali->credentials.security_token), "ENVSTS");
    assert_str(ali->reply, "json");
    assert_true(ali->curl);
    assert_string_equal(ali->proxy, "http://127.0.0.1:3128");
    assert_true(memory->memory);
    assert_int_equal(memory->settle_ms, 0);
    assert_int_equal(memory->quota, 7);
    assert_int_equal(ali->settle_ms, 400);
}

static void check_guards(const struct slu_catalog *catalog)
{
    const struct slu_target *otc = slu_catalog_target(catalog, SLU_STR("otc-prod"));
    const struct slu_target *ali = slu_catalog_target(catalog, SLU_STR("ali-prod"));

    assert_int_equal(otc->queue, 5);
    assert_int_equal(otc->rate_per_s, 9);
    assert_int_equal(otc->burst, 9);
    assert_int_equal(otc->retries, 1);
    assert_int_equal(otc->breaker.failure_percent, 0);
    assert_int_equal(otc->breaker.window_s, 10);
    assert_int_equal(ali->max_in_flight, 64);
    assert_int_equal(ali->queue, 1024);
    assert_int_equal(ali->rate_per_s, 0);
    assert_int_equal(ali->retries, 2);
    assert_int_equal(ali->breaker.failure_percent, 50);
    assert_int_equal(ali->breaker.least_calls, 20);
    assert_int_equal(ali->breaker.slow_ms, 10000);
    assert_int_equal(ali->breaker.open_ms, 5000);
    assert_int_equal(catalog->limits.body_memory_bytes, 64 << 20);
}

static void check_user(const struct slu_catalog *catalog)
{
    const struct slu_target *target = slu_catalog_target(catalog, SLU_STR("otc-user"));
    const struct slu_credentials *user = &target->credentials;
    struct slu_seal_conf conf = slu_credentials_conf(user);

    assert_string_equal(slu_scheme_name(user->scheme), "keystone-password");
    assert_int_equal(user->scheme_index, 1);
    assert_str(conf.access_key, "a user");
    assert_str(slu_secret_reveal(conf.secret_key), secret_text);
    assert_str(conf.domain, "OTC-EU-DE-1");
    assert_str(conf.project, "b2782e6708b8475c993e6064bc456bf8"); /* as the table says */
    assert_int_equal(conf.region.n + conf.service.n + conf.security_token.n, 0);
    assert_true(user->token.https);
    assert_str(user->token.scheme, "https");
    assert_str(user->token.host, "iam.eu-de.otc.t-systems.com:8443");
    assert_string_equal(user->token.dns_host, "iam.eu-de.otc.t-systems.com");
    assert_int_equal(user->token.port, 8443);
    assert_str(user->token.base_path, "/pre");
    assert_null(slu_catalog_target(catalog, SLU_STR("otc-prod"))->credentials.token.dns_host);
}

static void test_example(void **state)
{
    slu_auto(slu_catalog) *catalog = NULL;
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    json_t *root = good();

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    set_environment();
    catalog = load(root, &mistakes);
    json_decref(root); /* the catalog has its own copies */
    tell(&mistakes);
    assert_non_null(catalog);
    check_targets(catalog);
    check_guards(catalog);
    check_user(catalog);
    assert_int_equal(catalog->listener_count, 2);
    assert_string_equal(catalog->listeners[0].address, "127.0.0.1:8080");
    assert_null(catalog->listeners[0].certificate);
    assert_non_null(catalog->listeners[1].client_ca);
    assert_string_equal(catalog->admin.address, "127.0.0.1:9090");
    assert_int_equal(catalog->caller_count, 2);
    assert_ptr_equal(slu_catalog_caller(catalog, SLU_STR("password")), &catalog->callers[0]);
    assert_true(catalog->callers[1].read && !catalog->callers[1].write);
    assert_int_equal(catalog->door_count, 1);
    assert_ptr_equal(catalog->doors[0].target, slu_catalog_target(catalog, SLU_STR("otc-prod")));
    assert_ptr_equal(catalog->doors[0].keys[0].caller, &catalog->callers[0]);
    assert_str(slu_secret_reveal(catalog->doors[0].keys[0].access_key), "SLUICEKEY1");
    assert_int_equal(catalog->limits.body_bytes, 1000);
    assert_int_equal(catalog->limits.idle_timeout_ms, 75000);
    assert_int_equal(catalog->log_level, SLU_LOG_DEBUG);
    assert_false(catalog->access_log);
    assert_true(catalog->workers >= 1 && catalog->workers <= 64);
    slu_arena_done(&arena);
}

static void test_environment_is_wiped_and_kept(void **state)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    json_t *root = good();
    char *before;

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    set_environment();
    before = getenv("TEST_SK");
    for (int turn = 0; turn < 2; turn++) {
        struct slu_catalog *catalog = load(root, &mistakes);

        assert_non_null(catalog);
        assert_null(getenv("TEST_SK"));
        assert_str(slu_secret_reveal(
                       slu_catalog_target(catalog, SLU_STR("ali-prod"))->credentials.secret_key),
                   secret_text);
        slu_catalog_free(catalog);
    }
    for (size_t i = 0; i < strlen(secret_text); i++)
        assert_int_equal(before[i], 0); /* setenv's copy, which unsetenv leaves where it is */
    slu_secrets_forget();
    assert_null(load(root, &mistakes)); /* now they are gone */
    json_decref(root);
    slu_arena_done(&arena);
}

/* ---- broken ones */

#define NET  "/targets/otc-prod"
#define USER "/targets/otc-user"
#define DOOR "/doors/0"

static const struct {
    const char *at, *value; /* NULL: taken out */
    const char *told;       /* pointer of the mistake */
    const char *word;       /* that its words must hold, or NULL */
} broken[] = {
    /* the top */
    {"/lisen", "[]", "/lisen", "listen"},
    {"/listen", "{}", "/listen", NULL},
    {"/targets", NULL, "", "targets"},
    {"/targets", "[]", "/targets", NULL},
    {"/workers", "0", "/workers", NULL},
    {"/workers", "257", "/workers", NULL},
    {"/workers", "'4'", "/workers", NULL},
    {"/store/sqlit", "'x'", "/store/sqlit", "sqlite"},
    {"/store", "'x'", "/store", NULL},
    {"/log/level", "'verbose'", "/log/level", "warn"},
    {"/log/access", "'yes'", "/log/access", NULL},
    {"/limits/body_bytes", "1", "/limits/body_bytes", NULL},
    {"/limits/body_byte", "1", "/limits/body_byte", "body_bytes"},
    {"/limits/connections", "-1", "/limits/connections", NULL},
    {"/mappings", "'#/nowhere'", "/mappings", "nowhere"},
    {"/mappings", "'#/ak'", "/mappings", NULL},
    /* listeners */
    {"/listen/0/address", "'nonsense'", "/listen/0/address", NULL},
    {"/listen/0/address", "'gateway.example:80'", "/listen/0/address", NULL},
    {"/listen/0/address", NULL, "/listen/0", "address"},
    {"/listen/0/adress", "'x'", "/listen/0/adress", "address"},
    {"/listen/0", "'127.0.0.1:80'", "/listen/0", NULL},
    {"/listen/1/tls/key", "'#/nowhere'", "/listen/1/tls/key", "nowhere"},
    {"/listen/1/tls/key", "'#'", "/listen/1/tls/key", "regular"},
    {"/listen/1/tls/key", NULL, "/listen/1/tls", "key"},
    {"/listen/2", "{'address':'localhost:8080'}", "/listen/2/address", "/listen/0/address"},
    {"/admin/address", "'127.0.0.1:8080'", "/admin/address", "/listen/0/address"},
    {DOOR "/address", "'127.0.0.1:9090'", DOOR "/address", "/admin/address"},
    /* callers */
    {"/callers/0/name", NULL, "/callers/0", "name"},
    {"/callers/0/name", "'a b'", "/callers/0/name", NULL},
    {"/callers/0/name", "'reader'", "/callers/1/name", NULL},
    {"/callers/0/key_sha256", "'abc'", "/callers/0/key_sha256", "sha256sum"},
    {"/callers/1/key_sha256", "'5E884898DA28047151D0E56F8DC6292773603D0D6AABBDD62A11EF721D1542D8'",
     "/callers/1/key_sha256", "portal"},
    {"/callers/0/targets/1", "'otc-prd'", "/callers/0/targets/1", "otc-prod"},
    {"/callers/0/targets", "[]", "/callers/0/targets", NULL},
    {"/callers/0/targets", "[1]", "/callers/0/targets/0", NULL},
    {"/callers/0/access", "['admin']", "/callers/0/access/0", NULL},
    {"/callers/0/access", "[]", "/callers/0/access", NULL},
    {"/callers/0/acess", "['read']", "/callers/0/acess", "access"},
    /* targets */
    {"/targets/a b", "{'dialect':'memory'}", "/targets/a b", NULL},
    {"/targets/a~1b", "{'dialect':'memory'}", "/targets/a~01b", NULL},
    {"/targets/x", "'memory'", "/targets/x", NULL},
    {NET "/dialect", NULL, NET, "dialect"},
    {NET "/dialect", "'otc-vps'", NET "/dialect", "otc-vpc"},
    {NET "/dialect", "'memry'", NET "/dialect", "memory"},
    {NET "/endpont", "'x'", NET "/endpont", "endpoint"},
    {NET "/endpoint", NULL, NET "/endpoint", "missing"},
    {NET "/endpoint", "5", NET "/endpoint", NULL},
    {NET "/endpoint", "'vpc.example'", NET "/endpoint", "https://"},
    {NET "/endpoint", "'http://vpc.example'", NET "/endpoint", "insecure"},
    {NET "/endpoint", "'https://u:Th1sMustNeverBeSeen@vpc.example'", NET "/endpoint", NULL},
    {NET "/parameters", NULL, NET "/parameters", "project_id"},
    {NET "/parameters/project_id", "'../x'", NET "/parameters/project_id", NULL},
    {NET "/parameters/project_id", "5", NET "/parameters/project_id", NULL},
    {NET "/parameters/project", "'x'", NET "/parameters/project", NULL},
    {NET "/parameters/projectid", "'x'", NET "/parameters/projectid", "project_id"},
    {NET "/timeout_ms", "'1000'", NET "/timeout_ms", NULL},
    {NET "/timeout_ms", "-1", NET "/timeout_ms", NULL},
    {NET "/timeout_ms", "1.5", NET "/timeout_ms", NULL},
    {NET "/max_in_flight", "0", NET "/max_in_flight", NULL},
    {NET "/burst", "0", NET "/burst", NULL},
    {"/targets/ali-prod/burst", "5", "/targets/ali-prod/burst", "rate_per_s"},
    {NET "/retries", "3", NET "/retries", NULL},
    {NET "/breaker/window_s", "61", NET "/breaker/window_s", NULL},
    {NET "/breaker/failure_percent", "101", NET "/breaker/failure_percent", NULL},
    {NET "/breaker/windows_s", "1", NET "/breaker/windows_s", "window_s"},
    {"/targets/memory/breaker", "{}", "/targets/memory/breaker", "memory"},
    {"/targets/memory/queue", "1", "/targets/memory/queue", "memory"},
    {"/limits/body_memory_bytes", "65535", "/limits/body_memory_bytes", NULL},
    {"/limits", "{'body_bytes':65537,'body_memory_bytes':65536}", "/limits/body_memory_bytes",
     "65537"},
    {NET "/settle_ms", "1", NET "/settle_ms", "memory"},
    {NET "/quota", "1", NET "/quota", "memory"},
    {"/targets/memory/quota", "0", "/targets/memory/quota", "1"},
    {NET "/transport", "'udp'", NET "/transport", "curl"},
    {NET "/insecure", "1", NET "/insecure", NULL},
    {NET "/reply", "'xml'", NET "/reply", "it answers in json"},
    {NET "/ca", "'#/nowhere'", NET "/ca", "nowhere"},
    {NET "/client_certificate", "{'certificate':'#/pem'}", NET "/client_certificate", "key"},
    {NET "/proxy", "'https://127.0.0.1:3128'", NET "/proxy", NULL},
    {NET "/proxy", "'http://u:Th1sMustNeverBeSeen@127.0.0.1:1'", NET "/proxy", NULL},
    {NET "/proxy", "'http://127.0.0.1:3128/x'", NET "/proxy", NULL},
    {"/targets/ali-prod/transport", "'own'", "/targets/ali-prod/transport", "proxy"},
    {"/targets/memory/endpoint", "'https://x'", "/targets/memory/endpoint", NULL},
    {"/targets/memory/credentials", "{}", "/targets/memory/credentials", NULL},
    {"/targets/memory/parameters", "{}", "/targets/memory/parameters", NULL},
    /* credentials */
    {NET "/credentials", NULL, NET "/credentials", "missing"},
    {NET "/credentials/scheme", "'acs3-hmac-sha256'", NET "/credentials/scheme", "sdk-hmac-sha256"},
    {NET "/credentials/scheme", "'md5'", NET "/credentials/scheme", "sdk-hmac-sha256"},
    {NET "/credentials/scheme", NULL, NET "/credentials", "scheme"},
    {NET "/credentials/user", "'u'", NET "/credentials/user", "sdk-hmac-sha256"},
    {NET "/credentials/endpoint", "'https://iam.example'", NET "/credentials/endpoint",
     "sdk-hmac-sha256"},
    {USER "/credentials/user", NULL, USER "/credentials", "user"},
    {USER "/credentials/domain", NULL, USER "/credentials", "domain"},
    {USER "/credentials/password", NULL, USER "/credentials", "password"},
    {USER "/credentials/endpoint", NULL, USER "/credentials", "endpoint"},
    {USER "/credentials/access_key", "{'env':'TEST_AK'}", USER "/credentials/access_key",
     "keystone-password"},
    {USER "/credentials/security_token", "{'env':'TEST_STS'}", USER "/credentials/security_token",
     "keystone-password"},
    {USER "/credentials/user", "''", USER "/credentials/user", NULL},
    {USER "/credentials/project", "1", USER "/credentials/project", NULL},
    {USER "/credentials/password", "'Th1sMustNeverBeSeen'", USER "/credentials/password", NULL},
    {USER "/credentials/password", "{'env':'NOT_SET_AT_ALL'}", USER "/credentials/password", NULL},
    {USER "/credentials/endpoint", "'http://iam.example'", USER "/credentials/endpoint",
     "password"},
    {USER "/credentials/endpoint", "'https://iam.example/v3'", USER "/credentials/endpoint", "/v3"},
    {USER "/credentials/endpoint", "'https://u:Th1sMustNeverBeSeen@iam'",
     USER "/credentials/endpoint", "user information"},
    {USER "/parameters", NULL, USER "/parameters", "project_id"},
    {NET "/credentials/secret_key", NULL, NET "/credentials", "secret_key"},
    {NET "/credentials/secret_key", "'Th1sMustNeverBeSeen'", NET "/credentials/secret_key", NULL},
    {NET "/credentials/secret_key", "{}", NET "/credentials/secret_key", "none"},
    {NET "/credentials/secret_key", "{'value':'Th1sMustNeverBeSeen','env':'TEST_SK'}",
     NET "/credentials/secret_key", "several"},
    {NET "/credentials/secret_key", "{'vlaue':'Th1sMustNeverBeSeen'}",
     NET "/credentials/secret_key/vlaue", "value"},
    {NET "/credentials/secret_key", "{'value':''}", NET "/credentials/secret_key/value", NULL},
    {NET "/credentials/secret_key", "{'value':'Th1sMustNeverBeSeen\\n'}",
     NET "/credentials/secret_key", "control"},
    {NET "/credentials/secret_key", "{'env':'NOT_SET_AT_ALL'}", NET "/credentials/secret_key",
     "NOT_SET_AT_ALL"},
    {NET "/credentials/secret_key", "{'env':'A=B'}", NET "/credentials/secret_key", NULL},
    {NET "/credentials/secret_key", "{'file':'#/nowhere'}", NET "/credentials/secret_key",
     "nowhere"},
    {NET "/credentials/secret_key", "{'file':'#'}", NET "/credentials/secret_key", "regular"},
    {NET "/credentials/secret_key", "{'file':'/dev/zero'}", NET "/credentials/secret_key",
     "regular"},
    {NET "/credentials/secret_key", "{'file':'#/empty'}", NET "/credentials/secret_key", "empty"},
    {NET "/credentials/secret_key", "{'file':'#/two-lines'}", NET "/credentials/secret_key",
     "line end"},
    {NET "/credentials/access_key", "{'file':'#/blank'}", NET "/credentials/access_key", "blank"},
    {NET "/credentials/access_key", "{'file':'#/unicode'}", NET "/credentials/access_key", "ASCII"},
    {NET "/credentials/security_token", "{'value':'a\\tb'}", NET "/credentials/security_token",
     "control"},
    /* aliases */
    {NET "/resources/x", "{'resource_type':'vpc'}", NET "/resources/x", "resource_id"},
    {NET "/resources/x", "{'resource_type':'vcp','resource_id':'x'}",
     NET "/resources/x/resource_type", "vpc"},
    {NET "/resources/x", "{'resource_type':'vpc','resource_id':'x','name':'y'}",
     NET "/resources/x/name", NULL},
    {NET "/resources/", "{'resource_type':'vpc','resource_id':'x'}", NET "/resources/", NULL},
    {NET "/destinations/x", "{'type':'lts','topic':'x'}", NET "/destinations/x/topic", NULL},
    {NET "/destinations/x", "{'type':'lts','alias':'security'}", NET "/destinations/x/alias", NULL},
    {NET "/destinations/x", "{'group':'g'}", NET "/destinations/x", "type"},
    {NET "/destinations/x", "'security'", NET "/destinations/x", NULL},
    /* doors */
    {DOOR "/dialect", "'otc'", DOOR "/dialect", NULL},
    {DOOR "/dialect", "'memory'", DOOR "/dialect", "target"},
    {DOOR "/target", "'otc-prd'", DOOR "/target", "otc-prod"},
    {DOOR "/credentials", "[]", DOOR "/credentials", NULL},
    {DOOR "/credentials", NULL, DOOR, "credentials"},
    {DOOR "/credentials/0/caller", "'portl'", DOOR "/credentials/0/caller", "portal"},
    {DOOR "/credentials/0/access_key", "'two words'", DOOR "/credentials/0/access_key", NULL},
    {DOOR "/credentials/0/secret_key", "'Th1sMustNeverBeSeen'", DOOR "/credentials/0/secret_key",
     NULL},
    {DOOR "/credentials/1",
     "{'caller':'reader','access_key':{'value':'SLUICEKEY1'},'secret_key':{'value':'x'}}",
     DOOR "/credentials/1/access_key", "already"},
    {DOOR "/parameters", "{'regoin':'x'}", DOOR "/parameters/regoin", "region"},
    {DOOR "/resources/prod-vpc/resource_id", NULL, DOOR "/resources/prod-vpc", "resource_id"},
    {DOOR "/resources/again", "{'resource_id':'vpc-m5e8vhz2t21sel1nq','resource_type':'vpc'}",
     DOOR "/resources", "prod-vpc"},
};

static const struct slu_mistake *find(const struct slu_mistakes *mistakes, const char *pointer)
{
    char place[300];

    snprintf(place, sizeof(place), "test.json%s%s", pointer[0] ? ": " : "", pointer);
    for (const struct slu_mistake *one = mistakes->first; one; one = one->next)
        if (slu_str_is(one->pointer, place))
            return one;
    return NULL;
}

static bool holds(struct slu_str text, const char *word)
{
    return memmem(text.p, text.n, word, strlen(word)) != NULL;
}

static void test_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(broken); i++) {
        struct slu_mistakes mistakes;
        struct slu_arena arena;
        const struct slu_mistake *found;
        json_t *root = good();

        slu_arena_init(&arena, 1 << 20);
        slu_mistakes_init(&mistakes, &arena);
        set_environment();
        change(root, broken[i].at, broken[i].value);
        assert_null(load(root, &mistakes));
        found = find(&mistakes, broken[i].told);
        if (!found || (broken[i].word && !holds(found->detail, broken[i].word))) {
            tell(&mistakes);
            fail_msg("%s = %s: not told at %s", broken[i].at,
                     broken[i].value ? broken[i].value : "(absent)", broken[i].told);
        }
        for (const struct slu_mistake *one = mistakes.first; one; one = one->next)
            if (holds(one->detail, secret_text) || holds(one->pointer, secret_text))
                fail_msg("%s: a secret is quoted: %.*s", broken[i].at, SLU_FMT(one->detail));
        json_decref(root);
        slu_arena_done(&arena);
    }
}

static void test_every_mistake_at_once(void **state)
{
    static const char *const at[] = {"/lisen",      NET "/endpont", "/callers/0/nmae",
                                     DOOR "/targt", "/limits/x",    NET "/resources/prod-vpc/y"};
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    json_t *root = good();

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    set_environment();
    for (size_t i = 0; i < SLU_COUNT(at); i++)
        change(root, at[i], "'x'");
    change(root, NET "/endpoint", "'ftp://x'");
    change(root, NET "/credentials/scheme", "'x'");
    change(root, DOOR "/target", "'x'");
    assert_null(load(root, &mistakes));
    for (size_t i = 0; i < SLU_COUNT(at); i++)
        assert_non_null(find(&mistakes, at[i]));
    assert_non_null(find(&mistakes, NET "/endpoint"));
    assert_non_null(find(&mistakes, NET "/credentials/scheme"));
    assert_non_null(find(&mistakes, DOOR "/target"));
    assert_int_equal(mistakes.count, SLU_COUNT(at) + 3); /* and nothing twice */
    json_decref(root);
    slu_arena_done(&arena);
}

/* ---- good ones */

static const struct {
    const char *at, *value;
} fine[] = {
    {"/store", NULL},
    {"/admin", NULL},
    {"/callers", NULL}, /* with the doors */
    {"/comment", "'anything'"},
    {NET "/endpoint", "'http://localhost:9001/prefix'"},
    {NET "/transport", "'curl'"},
    {NET "/reply", "'json'"},
    {"/targets/ali-prod/reply", "'xml'"},
    {"/targets/ali-prod/credentials/scheme", "'rpc-hmac-sha1'"},
    {NET "/resources/x", "{'resource_type':'vpc','resource_id':'x','parent_id':'p'}"},
    {NET "/credentials/secret_key", "{'value':'with blank'}"},
    {"/targets/otc-router/parameters/er_id", NULL},
    {DOOR "/parameters", "{'region':'cn-qingdao'}"},
    {DOOR "/tls", "{'certificate':'#/pem','key':'#/pem'}"},
    {DOOR "/address", "'[::1]:0'"},
    {DOOR "/credentials/0/security_token", "{'value':'t'}"},
};

static void test_fine(void **state)
{
    (void)state;
    for (size_t i = 0; i < SLU_COUNT(fine); i++) {
        struct slu_mistakes mistakes;
        struct slu_arena arena;
        struct slu_catalog *catalog;
        json_t *root = good();

        slu_arena_init(&arena, 1 << 20);
        slu_mistakes_init(&mistakes, &arena);
        set_environment();
        change(root, fine[i].at, fine[i].value);
        if (strcmp(fine[i].at, "/callers") == 0)
            change(root, "/doors", NULL);
        catalog = load(root, &mistakes);
        tell(&mistakes);
        if (!catalog)
            fail_msg("%s = %s was refused", fine[i].at, fine[i].value);
        slu_catalog_free(catalog);
        json_decref(root);
        slu_arena_done(&arena);
    }
}

static void test_nothing_to_serve(void **state)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    json_t *root = tree("{'targets':{}}");

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    json_object_set_new(root, "mappings", json_string(SLU_SOURCE_DIR "/mappings"));
    assert_null(load(root, &mistakes));
    assert_int_equal(mistakes.count, 1);
    assert_true(holds(mistakes.first->detail, "nothing to serve"));
    json_decref(root);
    slu_arena_done(&arena);
}

/* ---- files */

static void assert_file_refused(const char *text, const char *word)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    char path[256];

    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    snprintf(path, sizeof(path), "%s/gateway.json", folder);
    write_file("gateway.json", text, strlen(text));
    assert_null(slu_config_load(path, &mistakes));
    assert_int_equal(mistakes.count, 1);
    assert_true(holds(mistakes.first->detail, word) || holds(mistakes.first->pointer, word));
    assert_false(holds(mistakes.first->detail, secret_text));
    slu_arena_done(&arena);
}

static void test_files(void **state)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;

    (void)state;
    assert_file_refused("", "gateway.json");
    assert_file_refused("[]", "gateway.json");
    assert_file_refused("{\"a\":{\"value\":\"Th1sMustNeverBeSeen\" \"x\"}}", "gateway.json");
    assert_file_refused("{\"a\":{\"value\":\"Th1sMustNeverBeSeen", "gateway.json");
    assert_file_refused("{\"targets\":{},\"targets\":{}}", "gateway.json");
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    assert_null(slu_config_load("/nonexistent/gateway.json", &mistakes));
    assert_int_equal(mistakes.count, 1);
    assert_true(holds(mistakes.first->detail, "/nonexistent/gateway.json"));
    slu_arena_done(&arena);
}

static void test_tables_beside_the_file(void **state)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    char path[256];

    (void)state;
    snprintf(path, sizeof(path), "mkdir -p %s/mappings", folder);
    assert_int_equal(system(path), 0);
    write_file("mappings/broken.json", "{}", 2);
    write_file("mappings/schema.json", "not read", 8);
    write_file("gateway.json", "{}", 2);
    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    snprintf(path, sizeof(path), "%s/gateway.json", folder);
    assert_null(slu_config_load(path, &mistakes));
    /* A table that no target uses is still a mistake, told with its own file. */
    assert_true(holds(mistakes.first->pointer, "/mappings/broken.json"));
    for (const struct slu_mistake *one = mistakes.first; one; one = one->next)
        assert_false(holds(one->pointer, "schema.json"));
    slu_arena_done(&arena);
    snprintf(path, sizeof(path), "rm -r %s/mappings", folder);
    assert_int_equal(system(path), 0);
}

/* ---- memory */

static bool load_once(void *context)
{
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    struct slu_catalog *catalog;
    bool loaded;

    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    set_environment();
    catalog = load(context, &mistakes);
    loaded = catalog != NULL;
    assert_true(loaded || mistakes.count || mistakes.failed);
    slu_catalog_free(catalog);
    slu_arena_done(&arena);
    slu_secrets_forget();
    return loaded;
}

static void test_no_memory(void **state)
{
    json_t *root = good();

    (void)state;
    assert_true(test_every_allocation(load_once, root) > 20);
    json_decref(root);
}

/* ---- the help */

static void test_help_tells_every_setting(void **state)
{
    static const char *const words[] = {"listen[].address",  "targets.NAME.timeout_ms",
                                        "default 15000",     "doors[].credentials[]",
                                        "store.retention_s", "callers[].key_sha256",
                                        "limits.body_bytes", "current directory"};
    struct slu_buf out;

    (void)state;
    slu_buf_init(&out, 0);
    slu_config_help(&out);
    for (size_t i = 0; i < SLU_COUNT(words); i++)
        if (!holds(slu_buf_str(&out), words[i]))
            fail_msg("%s is not in the help", words[i]);
    for (const struct slu_setting *row = slu_settings; row->name; row++)
        assert_true(holds(slu_buf_str(&out), row->help) || strlen(row->help) > 60);
    slu_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),   cmocka_unit_test(test_environment_is_wiped_and_kept),
        cmocka_unit_test(test_broken),    cmocka_unit_test(test_every_mistake_at_once),
        cmocka_unit_test(test_fine),      cmocka_unit_test(test_nothing_to_serve),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_tables_beside_the_file),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_help_tells_every_setting),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
