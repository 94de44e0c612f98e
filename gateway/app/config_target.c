/* Targets: endpoint, parameters, credentials, aliases, and how the wire behaves. */
#include "app/config_internal.h"

#include "app/secrets.h"
#include "app/settings.h"
#include "codec/json.h"

#include <stdlib.h>

/* ---- parameters and aliases, which doors have too */

static const struct slu_table_parameter *find_parameter(const struct slu_table *table,
                                                        const char *name)
{
    const struct slu_table_parameter *all;
    size_t count = slu_table_parameters(table, &all);

    for (size_t i = 0; i < count; i++)
        if (slu_str_is(all[i].name, name))
            return &all[i];
    return NULL;
}

static void unknown_parameter(struct slu_load *load, const struct slu_table *table,
                              struct slu_spot spot, const char *name)
{
    const struct slu_table_parameter *all;
    size_t count = slu_table_parameters(table, &all);
    const char *names[SLU_VARS_MOST];
    size_t used = 0;

    for (size_t i = 0; i < count && used < SLU_COUNT(names); i++)
        names[used++] = slu_arena_str(&load->scratch, all[i].name).p;
    if (load->scratch.failed)
        return;
    slu_load_mistake(load, spot, "the dialect %.*s has no such parameter%s",
                     SLU_FMT(slu_table_dialect(table)),
                     slu_load_hint(load, slu_str_of(name), names, used));
}

static void missing_parameters(struct slu_load *load, const struct slu_table *table,
                               struct slu_spot spot)
{
    const struct slu_table_parameter *all;
    size_t count = slu_table_parameters(table, &all);

    for (size_t i = 0; i < count; i++) {
        struct slu_str name = slu_arena_str(&load->scratch, all[i].name);

        if (!name.p || !all[i].required || all[i].member.n || json_object_get(spot.value, name.p))
            continue;
        slu_load_mistake(load, spot, "the parameter \"%.*s\" is missing: %.*s", SLU_FMT(name),
                         SLU_FMT(all[i].help));
    }
}

void slu_load_parameters(struct slu_load *load, const struct slu_table *table, struct slu_spot spot,
                         bool complete, struct slu_vars *vars)
{
    const char *name;
    json_t *value;

    json_object_foreach(spot.value, name, value)
    {
        struct slu_spot here = slu_spot_member(load, spot, name);
        struct slu_str text = slu_arena_str(&load->catalog->arena, slu_ours_text(value));
        struct slu_str copy = slu_arena_str(&load->catalog->arena, slu_str_of(name));

        if (!find_parameter(table, name))
            unknown_parameter(load, table, here, name);
        else if (text.n && copy.n &&
                 slu_table_check_parameter(table, copy, text, here.pointer, &load->found) &&
                 !slu_vars_set(vars, copy, text))
            slu_load_mistake(load, here, "there are too many parameters");
    }
    if (complete)
        missing_parameters(load, table, spot);
}

static const struct slu_value *alias_members(struct slu_load *load, json_t *object)
{
    struct slu_arena *arena = &load->catalog->arena;
    struct slu_value *members = slu_value_new(arena, SLU_OBJECT);
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value) || strcmp(name, "comment") == 0 || strcmp(name, "$schema") == 0)
            continue;
        slu_value_put(members, slu_arena_str(arena, slu_str_of(name)),
                      slu_value_string(arena, slu_arena_str(arena, slu_ours_text(value))));
    }
    return members;
}

void slu_load_aliases(struct slu_load *load, struct slu_spot spot,
                      const struct slu_alias **ret_aliases, size_t *ret_count)
{
    size_t size = json_object_size(spot.value), count = 0;
    struct slu_alias *aliases =
        slu_arena_zero(&load->catalog->arena, (size + 1) * sizeof(*aliases));
    const char *name;
    json_t *value;

    if (!aliases)
        return;
    json_object_foreach(spot.value, name, value)
    {
        slu_load_name(load, slu_str_of(name), slu_spot_member(load, spot, name));
        aliases[count].name = slu_arena_str(&load->catalog->arena, slu_str_of(name));
        aliases[count++].members = alias_members(load, value);
    }
    *ret_aliases = aliases;
    *ret_count = count;
}

/* ---- one target */

/* An endpoint that is there; `what` would be sent in the clear over http://. */
static bool read_endpoint(struct slu_load *load, struct slu_spot target, struct slu_spot where,
                          const char *what, struct slu_endpoint *ret_endpoint)
{
    const char *why;

    if (!json_string_length(where.value))
        return false;
    if (!slu_endpoint_read(&load->catalog->arena, slu_ours_text(where.value), ret_endpoint, &why))
        return slu_load_mistake(load, where, "%s", why);
    if (!ret_endpoint->https && !ret_endpoint->loopback &&
        !json_is_true(json_object_get(target.value, "insecure")))
        slu_load_mistake(load, where,
                         "http:// would send %s in the clear; use https://, or say "
                         "\"insecure\": true",
                         what);
    return true;
}

static void load_endpoint(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot where = slu_spot_member(load, spot, "endpoint");
    struct slu_endpoint endpoint;

    if (!where.value)
        slu_load_mistake(load, where, "the endpoint is missing: https://host of the cloud's API");
    if (!read_endpoint(load, spot, where, "signed requests", &endpoint))
        return;
    target->https = endpoint.https;
    target->scheme = endpoint.scheme;
    target->host = endpoint.host;
    target->dns_host = endpoint.dns_host;
    target->port = endpoint.port;
    target->base_path = endpoint.base_path;
}

static void load_scheme(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot where = slu_spot_member(load, spot, "scheme");
    struct slu_str name = slu_ours_text(where.value);
    const struct slu_str *listed;
    struct slu_str words = SLU_STR("");
    size_t count;

    target->credentials.scheme_index = -1;
    if (!name.n || !target->table)
        return;
    target->credentials.scheme = slu_scheme_find(name);
    target->credentials.scheme_index = slu_table_scheme_index(target->table, name);
    if (target->credentials.scheme && target->credentials.scheme_index >= 0)
        return;
    count = slu_table_schemes(target->table, &listed);
    for (size_t i = 0; i < count; i++)
        words = slu_arena_printf(&load->scratch, "%.*s%s%.*s", SLU_FMT(words), i ? ", " : "",
                                 SLU_FMT(listed[i]));
    if (target->credentials.scheme_index < 0)
        slu_load_mistake(load, where, "the dialect %.*s does not take this scheme; it takes %.*s",
                         SLU_FMT(target->dialect), SLU_FMT(words));
    else
        slu_load_mistake(load, where, "this version cannot sign with the scheme %.*s",
                         SLU_FMT(name));
}

static struct slu_secret *load_secret(struct slu_load *load, struct slu_spot spot, const char *name,
                                      bool in_header)
{
    struct slu_spot where = slu_spot_member(load, spot, name);

    return where.value ? slu_secret_read(where.value, where.pointer, in_header, &load->found)
                       : NULL;
}

/* What a scheme with keys takes, and what one with a token. */
static const struct {
    const char *name;
    bool of_token, required;
} credential_members[] = {
    {"access_key", false, true}, {"secret_key", false, true}, {"security_token", false, false},
    {"endpoint", true, true},    {"user", true, true},        {"domain", true, true},
    {"password", true, true},    {"project", true, false},
};

static void check_members(struct slu_load *load, struct slu_spot where,
                          const struct slu_scheme *scheme)
{
    const char *name = slu_scheme_name(scheme);

    for (size_t i = 0; i < SLU_COUNT(credential_members); i++) {
        struct slu_spot member = slu_spot_member(load, where, credential_members[i].name);
        bool used = credential_members[i].of_token == slu_scheme_fetches(scheme);

        if (member.value && !used)
            slu_load_mistake(load, member, "the scheme %s has no %s", name,
                             credential_members[i].name);
        else if (!member.value && used && credential_members[i].required)
            slu_load_mistake(load, where, "the member \"%s\" is missing, which the scheme %s needs",
                             credential_members[i].name, name);
    }
}

static void load_token_endpoint(struct slu_load *load, struct slu_spot spot, struct slu_spot where,
                                struct slu_token_endpoint *token)
{
    struct slu_endpoint endpoint;

    if (!read_endpoint(load, spot, where, "the password", &endpoint))
        return;
    if (slu_str_ends(endpoint.base_path, SLU_STR("/v3")))
        slu_load_mistake(load, where, "leave the version /v3 out: it is added to this");
    *token = (struct slu_token_endpoint){endpoint.https,    endpoint.scheme, endpoint.host,
                                         endpoint.dns_host, endpoint.port,   endpoint.base_path};
}

static void load_user(struct slu_load *load, struct slu_spot spot, struct slu_spot where,
                      struct slu_credentials *credentials)
{
    struct slu_str user = slu_ours_str(where.value, "user");

    load_token_endpoint(load, spot, slu_spot_member(load, where, "endpoint"), &credentials->token);
    if (user.n && !(credentials->access_key = slu_secret_new(user)))
        load->found.failed = true;
    credentials->secret_key = load_secret(load, where, "password", false);
    credentials->domain = slu_load_str(load, where, "domain");
}

static void load_credentials(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot where = slu_spot_member(load, spot, "credentials");
    struct slu_credentials *credentials = &target->credentials;

    if (!where.value) {
        slu_load_mistake(load, where,
                         "the credentials are missing: {\"scheme\", \"access_key\", "
                         "\"secret_key\"}, or what a scheme with a token needs");
        return;
    }
    load_scheme(load, where, target);
    if (!credentials->scheme)
        return;
    check_members(load, where, credentials->scheme);
    if (slu_scheme_fetches(credentials->scheme)) {
        load_user(load, spot, where, credentials);
        return;
    }
    credentials->access_key = load_secret(load, where, "access_key", true);
    credentials->secret_key = load_secret(load, where, "secret_key", false);
    credentials->security_token = load_secret(load, where, "security_token", true);
}

/* What the key or the token is bound to: the table says it by the target's parameters, so it comes
 * behind them; a project that the credentials name goes first. */
static void load_scope(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot where = slu_spot_member(load, spot, "credentials");
    struct slu_credentials *credentials = &target->credentials;
    struct slu_str project = slu_load_str(load, where, "project");
    struct slu_scope scope = {SLU_STR_NONE, SLU_STR_NONE, SLU_STR_NONE};
    bool complete;

    if (credentials->scheme_index < 0 || !credentials->scheme)
        return;
    complete = slu_table_scope(target->table, credentials->scheme_index, &target->parameters,
                               &load->catalog->arena, &scope);
    credentials->region = scope.region;
    credentials->service = scope.service;
    credentials->project = project.n ? project : scope.project;
    if (load->found.count)
        return; /* a parameter that is missing was told */
    if (slu_scheme_fetches(credentials->scheme) && !credentials->project.n)
        slu_load_mistake(load, where, "the member \"project\" is missing: its id");
    else if (!complete && !project.n)
        slu_load_mistake(load, slu_spot_member(load, spot, "parameters"),
                         "the scheme %s is bound to a parameter that is missing",
                         slu_scheme_name(credentials->scheme));
}

static void load_proxy(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot where = slu_spot_member(load, spot, "proxy");
    struct slu_endpoint proxy;
    const char *why = "a proxy is http://host:port without a path";

    if (!json_string_length(where.value))
        return;
    if (!slu_endpoint_read(&load->scratch, slu_ours_text(where.value), &proxy, &why) ||
        proxy.https || proxy.base_path.n) {
        slu_load_mistake(load, where, "%s", why);
        return;
    }
    if (slu_str_is(slu_ours_str(spot.value, "transport"), "own")) {
        slu_load_mistake(load, slu_spot_member(load, spot, "transport"),
                         "a proxy needs the transport curl; leave \"transport\" out");
        return;
    }
    target->curl = true;
    target->proxy = slu_arena_printf(&load->catalog->arena, "http://%.*s%s", SLU_FMT(proxy.host),
                                     proxy.port == 80 ? ":80" : "")
                        .p;
}

static void load_wire(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot certificate = slu_spot_member(load, spot, "client_certificate");

    target->curl = slu_str_is(slu_ours_str(spot.value, "transport"), "curl");
    target->ca = slu_load_file(load, spot, "ca");
    target->client_certificate = slu_load_file(load, certificate, "certificate");
    target->client_key = slu_load_file(load, certificate, "key");
    load_proxy(load, spot, target);
}

/* The encoding of replies: absent, the dialect's first. */
static void load_reply(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    struct slu_spot where = slu_spot_member(load, spot, "reply");
    struct slu_str name = slu_ours_text(where.value), words = SLU_STR("");
    const struct slu_str *listed;
    size_t count;

    if (!target->table)
        return;
    count = slu_table_replies(target->table, &listed);
    target->reply = listed[0];
    if (!name.n)
        return;
    for (size_t i = 0; i < count; i++) {
        if (slu_str_eq(listed[i], name)) {
            target->reply = listed[i];
            return;
        }
        words = slu_arena_printf(&load->scratch, "%.*s%s%.*s", SLU_FMT(words), i ? ", " : "",
                                 SLU_FMT(listed[i]));
    }
    slu_load_mistake(load, where, "the dialect %.*s does not answer in %.*s; it answers in %.*s",
                     SLU_FMT(target->dialect), SLU_FMT(name), SLU_FMT(words));
}

static void load_cloud(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    static const char *const of_memory[] = {"settle_ms", "quota"};

    target->table = slu_load_dialect(load, spot, true);
    load_endpoint(load, spot, target);
    load_credentials(load, spot, target);
    load_wire(load, spot, target);
    load_reply(load, spot, target);
    if (target->table) {
        slu_load_parameters(load, target->table, slu_spot_member(load, spot, "parameters"), true,
                            &target->parameters);
        load_scope(load, spot, target);
    }
    for (size_t i = 0; i < SLU_COUNT(of_memory); i++) {
        struct slu_spot where = slu_spot_member(load, spot, of_memory[i]);

        if (where.value)
            slu_load_mistake(load, where, "only the memory cloud has this");
    }
}

/* The memory cloud is no one's API: what leads to a cloud would be ignored, so it is refused. */
static void load_memory(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    static const char *const foreign[] = {"endpoint",
                                          "credentials",
                                          "parameters",
                                          "transport",
                                          "proxy",
                                          "ca",
                                          "client_certificate",
                                          "connect_timeout_ms",
                                          "insecure",
                                          "reply",
                                          "queue",
                                          "rate_per_s",
                                          "burst",
                                          "retries",
                                          "breaker"};

    target->memory = true;
    target->credentials.scheme_index = -1;
    for (size_t i = 0; i < SLU_COUNT(foreign); i++) {
        struct slu_spot where = slu_spot_member(load, spot, foreign[i]);

        if (where.value)
            slu_load_mistake(load, where, "the memory cloud has no %s", foreign[i]);
    }
}

static uint32_t number(struct slu_spot spot, const char *name)
{
    return (uint32_t)slu_setting_number(slu_settings_target, spot.value, name);
}

static uint32_t of_breaker(const json_t *breaker, const char *name)
{
    return (uint32_t)slu_setting_number(slu_settings_breaker, breaker, name);
}

/* What keeps the callers from asking too much of it, and it from keeping them too long. */
static void load_guards(struct slu_load *load, struct slu_spot spot, struct slu_target *target)
{
    const json_t *breaker = json_object_get(spot.value, "breaker");
    struct slu_spot burst = slu_spot_member(load, spot, "burst");

    target->max_in_flight = number(spot, "max_in_flight");
    target->queue = number(spot, "queue");
    target->rate_per_s = number(spot, "rate_per_s");
    target->burst = burst.value ? number(spot, "burst") : target->rate_per_s;
    target->retries = number(spot, "retries");
    target->breaker = (struct slu_breaker_conf){
        .failure_percent = of_breaker(breaker, "failure_percent"),
        .window_s = of_breaker(breaker, "window_s"),
        .least_calls = of_breaker(breaker, "least_calls"),
        .slow_ms = of_breaker(breaker, "slow_ms"),
        .open_ms = of_breaker(breaker, "open_ms"),
    };
    if (burst.value && !target->rate_per_s)
        slu_load_mistake(load, burst, "without rate_per_s this has no effect");
}

static void load_target(struct slu_load *load, struct slu_spot spot, const char *name,
                        struct slu_target *target)
{
    struct slu_spot resources = slu_spot_member(load, spot, "resources");
    struct slu_spot destinations = slu_spot_member(load, spot, "destinations");

    slu_load_name(load, slu_str_of(name), spot);
    target->name = slu_arena_str(&load->catalog->arena, slu_str_of(name));
    target->dialect = slu_load_str(load, spot, "dialect");
    target->connect_timeout_ms = number(spot, "connect_timeout_ms");
    target->timeout_ms = number(spot, "timeout_ms");
    target->total_timeout_ms = number(spot, "total_timeout_ms");
    load_guards(load, spot, target);
    target->reply_bytes = number(spot, "reply_bytes");
    target->settle_ms = number(spot, "settle_ms");
    target->quota = number(spot, "quota");
    if (slu_str_is(target->dialect, "memory"))
        load_memory(load, spot, target);
    else
        load_cloud(load, spot, target);
    slu_load_aliases(load, resources, &target->resources, &target->resource_count);
    slu_load_aliases(load, destinations, &target->destinations, &target->destination_count);
}

static int by_name(const void *a, const void *b)
{
    return slu_str_cmp(((const struct slu_target *)a)->name, ((const struct slu_target *)b)->name);
}

void slu_load_targets(struct slu_load *load, struct slu_spot top)
{
    struct slu_spot spot = slu_spot_member(load, top, "targets");
    struct slu_catalog *catalog = load->catalog;
    const char *name;
    json_t *value;

    catalog->targets = slu_arena_zero(&catalog->arena, (json_object_size(spot.value) + 1) *
                                                           sizeof(*catalog->targets));
    if (!catalog->targets)
        return;
    json_object_foreach(spot.value, name, value)
    {
        struct slu_target *target = &catalog->targets[catalog->target_count++];

        load_target(load, slu_spot_member(load, spot, name), name, target);
    }
    qsort(catalog->targets, catalog->target_count, sizeof(*catalog->targets), by_name);
}
