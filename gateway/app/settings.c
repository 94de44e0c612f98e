/* The table of settings and what is made from it. */
#include "app/settings.h"

#include "app/config.h"
#include "cloud/breaker.h"
#include "cloud/memory.h"
#include "cloud/retry.h"
#include "model/flow_log.h"

#define TEXT   .type = SLU_SHAPE_STRING, .min = 1
#define NUMBER .type = SLU_SHAPE_INT
#define TRUTH  .type = SLU_SHAPE_BOOL
#define OBJECT .type = SLU_SHAPE_OBJECT
#define MAP    .type = SLU_SHAPE_MAP
#define LIST   .type = SLU_SHAPE_ARRAY
#define SECRET .type = SLU_SHAPE_OBJECT, .members = secret, .check = one_source
#define KEY                                                                                        \
    .type = SLU_SHAPE_OBJECT | SLU_SHAPE_STRING, .min = 1, .members = secret, .check = one_source
#define MILLION INT64_C(1000000)

/* A secret has exactly one source. Its text is never quoted. */
static bool one_source(const json_t *value, struct slu_str pointer, struct slu_mistakes *mistakes)
{
    static const char *const names[] = {"env", "file", "value"};
    size_t sources = 0;

    if (!json_is_object(value))
        return true;
    for (size_t i = 0; i < SLU_COUNT(names); i++)
        sources += json_object_get(value, names[i]) != NULL;
    if (sources == 1)
        return true;
    return slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                       "a secret needs exactly one source: {\"env\": NAME}, {\"file\": PATH} or, "
                       "for tests, {\"value\": TEXT}; this one has %s",
                       sources ? "several" : "none");
}

/* clang-format off */
static const char *const access_words[] = {"read", "write", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", "trace", NULL};
static const char *const transport_words[] = {"own", "curl", NULL};
static const char *const reply_words[] = {"json", "xml", NULL};

static const struct slu_shape access_word = {.type = SLU_SHAPE_STRING, .words = access_words};

static const struct slu_setting secret[] = {
    {.name = "env", TEXT, .help = "name of the environment variable that holds it; the variable is wiped after the start and still serves a reload"},
    {.name = "file", TEXT, .help = "file that holds it, less one trailing newline; read again on a reload"},
    {.name = "value", TEXT, .help = "the secret itself; for tests only"},
    {.name = NULL},
};

static const struct slu_setting tls[] = {
    {.name = "certificate", TEXT, .required = true, .help = "PEM file: the certificate and its chain"},
    {.name = "key", TEXT, .required = true, .help = "PEM file: the private key"},
    {.name = "client_ca", TEXT, .fallback = "none", .help = "PEM file: callers must show a certificate signed by one of these"},
    {.name = NULL},
};

static const struct slu_setting listener[] = {
    {.name = "address", TEXT, .required = true, .restart = true, .help = "host:port; the host is an IP address (IPv6 in brackets) or localhost, port 0 lets the system pick one"},
    {.name = "tls", OBJECT, .members = tls, .restart = true, .fallback = "none: plain HTTP", .help = "serve HTTPS"},
    {.name = NULL},
};

static const struct slu_setting admin[] = {
    {.name = "address", TEXT, .required = true, .restart = true, .help = "host:port, as in listen; keep it on a private address"},
    {.name = NULL},
};

const struct slu_setting slu_settings_store[] = {
    {.name = "sqlite", TEXT, .restart = true, .help = "file of the journal, for one process; made when it is not there"},
    {.name = "postgresql", KEY, .restart = true, .help = "libpq's connection string, for several replicas, as a text or a secret; the tables are made when they are not there"},
    {.name = "retention_s", NUMBER, .min = 60, .max = 366 * 24 * 3600, .restart = true, .unit = "s", .number = 604800, .help = "how long an operation that has ended can be looked up, and its Idempotency-Key is bound"},
    {.name = "look_for_s", NUMBER, .min = 0, .max = 7 * 24 * 3600, .unit = "s", .number = 3600, .help = "how long the end of a write is looked for again and again while the cloud cannot be asked; then it is told as unknown"},
    {.name = NULL},
};

static const struct slu_setting caller[] = {
    {.name = "name", TEXT, .max = 64, .required = true, .help = "for logs and doors: letters, digits, \".\", \"_\", \"-\""},
    {.name = "key_sha256", .type = SLU_SHAPE_STRING, .fallback = "none: the caller can only use doors", .help = "SHA-256 of the bearer key, 64 hexadecimal digits: printf %s KEY | sha256sum"},
    {.name = "targets", LIST, .min = 1, .of = &slu_shape_text, .required = true, .help = "names of the targets this caller may use; \"*\" is every target"},
    {.name = "access", LIST, .min = 1, .of = &access_word, .required = true, .help = "\"read\", \"write\" or both"},
    {.name = NULL},
};

static const struct slu_setting credentials[] = {
    {.name = "scheme", TEXT, .required = true, .help = "signing scheme, one of those the dialect takes; a scheme with keys has the next three members, a scheme with a token those behind them"},
    {.name = "access_key", SECRET, .help = "a secret, see below. Required of a scheme with keys"},
    {.name = "secret_key", SECRET, .help = "a secret, see below. Required of a scheme with keys"},
    {.name = "security_token", SECRET, .fallback = "none", .help = "a secret, see below; of temporary credentials"},
    {.name = "endpoint", TEXT, .help = "https://host[:port][/path] of the identity service that gives the token, without the version; http:// as for the target's endpoint. Required of a scheme with a token"},
    {.name = "user", TEXT, .help = "the user's name. Required of a scheme with a token"},
    {.name = "domain", TEXT, .help = "name of the user's domain. Required of a scheme with a token"},
    {.name = "password", SECRET, .help = "a secret, see below. Required of a scheme with a token"},
    {.name = "project", TEXT, .fallback = "the target's parameter, where the dialect has one", .help = "id of the project that the token is for"},
    {.name = NULL},
};

static const struct slu_setting client_certificate[] = {
    {.name = "certificate", TEXT, .required = true, .help = "PEM file: the certificate and its chain"},
    {.name = "key", TEXT, .required = true, .help = "PEM file: the private key"},
    {.name = NULL},
};

const struct slu_setting slu_settings_breaker[] = {
    {.name = "failure_percent", NUMBER, .min = 0, .max = 100, .number = 50, .unit = "%", .help = "it opens when so many of the calls in the window failed: no connection, no answer in time, a broken or unreadable one, 502, 503, 504. 0: never. What the cloud refuses or throttles is no failure"},
    {.name = "window_s", NUMBER, .min = 1, .max = SLU_BREAKER_WINDOW_MOST, .number = 10, .unit = "s", .help = "the last seconds that are weighed"},
    {.name = "least_calls", NUMBER, .min = 1, .max = MILLION, .number = 20, .unit = "calls", .help = "fewer in the window say nothing"},
    {.name = "slow_ms", NUMBER, .min = 0, .max = MILLION, .number = 10000, .unit = "ms", .help = "a call that took this long counts as failed. 0: none does"},
    {.name = "open_ms", NUMBER, .min = 1, .max = 60000, .number = 5000, .unit = "ms", .help = "how long calls are refused before one is let through to probe; doubled, up to a minute, each time a probe fails, and jittered"},
    {.name = NULL},
};

const struct slu_setting slu_settings_target[] = {
    {.name = "dialect", TEXT, .required = true, .help = "the API it speaks, by the name of its mapping table; \"memory\" is the built-in memory cloud, which has no endpoint, credentials or parameters"},
    {.name = "endpoint", TEXT, .help = "https://host[:port][/path]; the path precedes the table's paths; http:// for loopback hosts only, unless insecure. Required but for memory"},
    {.name = "parameters", MAP, .of = &slu_shape_text, .help = "what the dialect needs beside the endpoint (a project, a region, …), as its table says"},
    {.name = "credentials", OBJECT, .members = credentials, .help = "how requests are signed. Required but for memory"},
    {.name = "resources", MAP, .alias = SLU_SETTING_RESOURCE, .help = "alias -> the resource it stands for here, in canonical members"},
    {.name = "destinations", MAP, .alias = SLU_SETTING_DESTINATION, .help = "alias -> the log destination it stands for here, in canonical members"},
    {.name = "connect_timeout_ms", NUMBER, .min = 1, .max = MILLION, .number = 3000, .unit = "ms", .help = "for name look-up, TCP and TLS together"},
    {.name = "timeout_ms", NUMBER, .min = 1, .max = MILLION, .number = 15000, .unit = "ms", .help = "for one attempt"},
    {.name = "total_timeout_ms", NUMBER, .min = 1, .max = MILLION, .number = 12000, .unit = "ms", .help = "for one operation on this target: all its calls, looks and pauses"},
    {.name = "max_in_flight", NUMBER, .min = 1, .max = 65535, .number = 64, .help = "requests to this target at the same time, all workers together"},
    {.name = "queue", NUMBER, .min = 0, .max = 65535, .number = 1024, .unit = "requests", .help = "how many may wait for one of those places; beyond it they are refused at once, as unavailable"},
    {.name = "rate_per_s", NUMBER, .min = 0, .max = 100000, .number = 0, .unit = "requests a second", .help = "the rate that is kept to; set it below the cloud's own. 0: any"},
    {.name = "burst", NUMBER, .min = 1, .max = 100000, .fallback = "a second's worth of rate_per_s", .unit = "requests", .help = "so many may go at once after a rest; needs rate_per_s"},
    {.name = "retries", NUMBER, .min = 0, .max = SLU_RETRY_MOST - 1, .number = SLU_RETRY_MOST - 1, .help = "how often a call is repeated where that is harmless; all repetitions together stay below a tenth of the calls"},
    {.name = "breaker", OBJECT, .members = slu_settings_breaker, .help = "calls to a target that fails are refused at once instead"},
    {.name = "reply_bytes", NUMBER, .min = 1024, .max = 64 << 20, .number = 1 << 20, .unit = "bytes", .help = "the largest reply that is read, head and body together"},
    {.name = "transport", .type = SLU_SHAPE_STRING, .words = transport_words, .fallback = "own, or curl where a proxy is set", .help = "the HTTP client: own (HTTP/1.1) or curl (proxies, HTTP/2)"},
    {.name = "proxy", TEXT, .fallback = "none; the environment's proxies are not used", .help = "http://host:port of an egress proxy; needs the transport curl"},
    {.name = "ca", TEXT, .fallback = "the system's store", .help = "PEM file: certificates that the cloud's certificate must lead to"},
    {.name = "client_certificate", OBJECT, .members = client_certificate, .fallback = "none", .help = "shown to the cloud"},
    {.name = "insecure", TRUTH, .fallback = "false", .help = "allow http:// to hosts beyond this machine; certificates are always checked"},
    {.name = "reply", .type = SLU_SHAPE_STRING, .words = reply_words, .help = "encoding that replies are asked for in; absent: the one that the dialect prefers"},
    {.name = "settle_ms", NUMBER, .min = 0, .max = MILLION, .number = 400, .unit = "ms", .help = "memory only: how long a change (creating, updating, deleting) goes on behind its reply"},
    {.name = "quota", NUMBER, .min = 1, .max = SLU_MEMORY_MOST, .number = SLU_MEMORY_MOST, .unit = "flow logs", .help = "memory only: how many there may be; more are refused as a cloud refuses them"},
    {.name = NULL},
};

static const struct slu_setting door_key[] = {
    {.name = "caller", TEXT, .required = true, .help = "name of the caller as whom these credentials act"},
    {.name = "access_key", KEY, .required = true, .help = "as text, or a secret, see below"},
    {.name = "secret_key", SECRET, .required = true, .help = "a secret, see below"},
    {.name = "security_token", SECRET, .fallback = "none", .help = "a secret, see below; then clients must send it"},
    {.name = NULL},
};

static const struct slu_setting door[] = {
    {.name = "dialect", TEXT, .required = true, .help = "the API its clients speak, by the name of its mapping table"},
    {.name = "address", TEXT, .required = true, .restart = true, .help = "host:port, as in listen"},
    {.name = "tls", OBJECT, .members = tls, .restart = true, .fallback = "none: plain HTTP", .help = "as in listen"},
    {.name = "target", TEXT, .required = true, .help = "name of the target that gets the requests"},
    {.name = "credentials", LIST, .min = 1, .members = door_key, .required = true, .help = "the keys with which its clients sign"},
    {.name = "parameters", MAP, .of = &slu_shape_text, .fallback = "none: whatever the client names", .help = "parameters of the dialect; a request that names others is refused"},
    {.name = "resources", MAP, .alias = SLU_SETTING_RESOURCE, .help = "alias -> what its clients call the resource"},
    {.name = "destinations", MAP, .alias = SLU_SETTING_DESTINATION, .help = "alias -> what its clients call the log destination"},
    {.name = NULL},
};

const struct slu_setting slu_settings_limits[] = {
    {.name = "body_bytes", NUMBER, .min = 64, .max = 16 << 20, .number = 65536, .unit = "bytes", .restart = true, .help = "the largest body of a caller's request"},
    {.name = "body_memory_bytes", NUMBER, .min = 65536, .max = INT64_C(1) << 36, .number = 64 << 20, .unit = "bytes", .restart = true, .help = "memory for all requests together: their bodies, by the length announced, and what each needs beyond its first 64 KiB (replies, what becomes of them, answers). Beyond it requests are refused at once, as unavailable; a write that was recorded or sent is counted and goes on. At least body_bytes; keep it well above twice request_bytes"},
    {.name = "connections", NUMBER, .min = 0, .max = MILLION, .restart = true, .fallback = "0: a little less than half of the descriptor limit", .help = "callers' connections, all workers together"},
    {.name = "request_bytes", NUMBER, .min = 65536, .max = 256 << 20, .number = 6 << 20, .unit = "bytes", .restart = true, .help = "memory that one request may use; keep it above four times reply_bytes"},
    {.name = "head_timeout_ms", NUMBER, .min = 10, .max = MILLION, .number = 10000, .unit = "ms", .restart = true, .help = "until a request's head is complete"},
    {.name = "body_timeout_ms", NUMBER, .min = 10, .max = MILLION, .number = 20000, .unit = "ms", .restart = true, .help = "until a request's body is complete"},
    {.name = "idle_timeout_ms", NUMBER, .min = 10, .max = 10 * MILLION, .number = 75000, .unit = "ms", .restart = true, .help = "between two requests on a connection"},
    {.name = "write_timeout_ms", NUMBER, .min = 10, .max = MILLION, .number = 20000, .unit = "ms", .restart = true, .help = "without progress while an answer is written"},
    {.name = "wait_most_s", NUMBER, .min = 0, .max = 3600, .number = 60, .unit = "s", .help = "the longest Prefer: wait that is honoured"},
    {.name = NULL},
};

const struct slu_setting slu_settings_log[] = {
    {.name = "level", .type = SLU_SHAPE_STRING, .words = level_words, .fallback = "info", .help = "the least urgent messages that are written to standard error"},
    {.name = "access", TRUTH, .number = 1, .fallback = "true", .help = "write one line a request to standard output"},
    {.name = NULL},
};

const struct slu_setting slu_settings[] = {
    {.name = "listen", LIST, .members = listener, .restart = true, .fallback = "none: doors only", .help = "where the REST API is served"},
    {.name = "admin", OBJECT, .members = admin, .restart = true, .fallback = "none", .help = "where /healthz, /readyz and /metrics are served, without a key"},
    {.name = "mappings", TEXT, .fallback = "\"mappings\" beside this file, else in the current directory, else ../share/sluice/mappings beside the program", .help = "directory of mapping tables; every *.json in it but schema.json is loaded, and must be right"},
    {.name = "store", OBJECT, .members = slu_settings_store, .fallback = "none", .restart = true, .help = "the journal of writes: each is recorded before it is sent; without it no Idempotency-Key and no /v1/operations"},
    {.name = "callers", LIST, .members = caller, .fallback = "none", .help = "who may call"},
    {.name = "targets", MAP, .members = slu_settings_target, .required = true, .help = "name -> a cloud that flow logs go to; names are letters, digits, \".\", \"_\", \"-\", at most 64"},
    {.name = "doors", LIST, .members = door, .fallback = "none", .help = "addresses at which clouds' own clients are served"},
    {.name = "workers", NUMBER, .min = 1, .max = 256, .restart = true, .fallback = "the number of CPUs, at most 64", .help = "threads that serve"},
    {.name = "limits", OBJECT, .members = slu_settings_limits, .help = "bounds of what callers may ask"},
    {.name = "log", OBJECT, .members = slu_settings_log, .help = "JSON lines"},
    {.name = NULL},
};
/* clang-format on */

static const struct slu_setting *find(const struct slu_setting *settings, const char *name)
{
    while (settings->name && strcmp(settings->name, name) != 0)
        settings++;
    slu_must(settings->name);
    return settings;
}

int64_t slu_setting_number(const struct slu_setting *settings, const json_t *object,
                           const char *name)
{
    return slu_ours_int(object, name, find(settings, name)->number);
}

bool slu_setting_truth(const struct slu_setting *settings, const json_t *object, const char *name)
{
    return slu_ours_bool(object, name, find(settings, name)->number != 0);
}

/* ---- the shape */

static size_t count_settings(const struct slu_setting *settings)
{
    size_t count = 0;

    while (settings[count].name)
        count++;
    return count;
}

static bool build_shape(struct slu_arena *arena, const struct slu_setting *setting,
                        struct slu_shape *ret_shape);

static const struct slu_shape_member *build_members(struct slu_arena *arena,
                                                    const struct slu_setting *settings)
{
    size_t count = count_settings(settings);
    struct slu_shape_member *members = slu_arena_zero(arena, (count + 1) * sizeof(*members));
    struct slu_shape *shapes = slu_arena_zero(arena, (count + 1) * sizeof(*shapes));

    if (!members || !shapes)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct slu_shape_member){settings[i].name, settings[i].required, &shapes[i]};
        if (!build_shape(arena, &settings[i], &shapes[i]))
            return NULL;
    }
    return members;
}

/* The last name of a member of the canonical flow log that an alias may have, or NULL. A resource's
 * own members stand at the top of a flow log, a destination's under "/destination". */
static const char *alias_member(const struct slu_member *member, enum slu_setting_alias alias)
{
    static const char *const resource[] = {"/resource_type", "/resource_id", "/parent_id"};
    static const struct slu_str destination = SLU_STR_INIT("/destination/");

    if (alias == SLU_SETTING_DESTINATION)
        return member->translated && member->in_request &&
                       slu_str_starts(slu_str_of(member->pointer), destination)
                   ? member->pointer + destination.n
                   : NULL;
    for (size_t i = 0; i < SLU_COUNT(resource); i++)
        if (strcmp(member->pointer, resource[i]) == 0)
            return member->pointer + 1;
    return NULL;
}

static bool alias_requires(const char *name)
{
    return strcmp(name, "type") == 0 || strcmp(name, "resource_type") == 0 ||
           strcmp(name, "resource_id") == 0;
}

static const struct slu_shape_member *alias_members(struct slu_arena *arena,
                                                    enum slu_setting_alias alias)
{
    size_t count, used = 0;
    const struct slu_member *all = slu_flow_log_members(&count);
    struct slu_shape_member *members = slu_arena_zero(arena, (count + 1) * sizeof(*members));
    struct slu_shape *shapes = slu_arena_zero(arena, (count + 1) * sizeof(*shapes));

    if (!members || !shapes)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name = alias_member(&all[i], alias);

        if (!name)
            continue;
        shapes[used] = (struct slu_shape){.type = SLU_SHAPE_STRING,
                                          .min = all[i].min ? all[i].min : 1,
                                          .max = all[i].max,
                                          .words = all[i].words};
        members[used] = (struct slu_shape_member){name, alias_requires(name), &shapes[used]};
        used++;
    }
    return members;
}

static bool build_shape(struct slu_arena *arena, const struct slu_setting *setting,
                        struct slu_shape *ret_shape)
{
    const struct slu_shape_member *members = NULL;
    struct slu_shape *of = NULL;

    *ret_shape = (struct slu_shape){.type = setting->type,
                                    .of = setting->of,
                                    .min = setting->min,
                                    .max = setting->max,
                                    .words = setting->words,
                                    .check = setting->check};
    if (setting->alias != SLU_SETTING_PLAIN)
        members = alias_members(arena, setting->alias);
    else if (setting->members)
        members = build_members(arena, setting->members);
    else
        return true;
    if (setting->type & SLU_SHAPE_OBJECT) {
        ret_shape->members = members;
        return members;
    }
    of = slu_arena_zero(arena, sizeof(*of));
    if (!of || !members)
        return false;
    *of = (struct slu_shape){.type = SLU_SHAPE_OBJECT, .members = members};
    ret_shape->of = of;
    return true;
}

const struct slu_shape *slu_settings_shape(struct slu_arena *arena)
{
    static const struct slu_setting top = {OBJECT, .members = slu_settings};
    struct slu_shape *shape = slu_arena_zero(arena, sizeof(*shape));

    return shape && build_shape(arena, &top, shape) ? shape : NULL;
}

/* ---- the help */

static const char *type_word(const struct slu_setting *setting)
{
    if (setting->words)
        return "word";
    if (setting->type & SLU_SHAPE_STRING)
        return setting->members ? "text or object" : "text";
    if (setting->type & SLU_SHAPE_INT)
        return "integer";
    if (setting->type & SLU_SHAPE_BOOL)
        return "true or false";
    return setting->type & SLU_SHAPE_ARRAY ? "list" : "object";
}

/* The text, broken between words so that a line has at most 76 columns. */
static void add_wrapped(struct slu_buf *out, struct slu_str text)
{
    size_t column = 0;

    while (text.p) {
        struct slu_str word = slu_str_cut(&text, ' ');

        if (column && column + 1 + word.n > 70) {
            slu_buf_byte(out, '\n');
            column = 0;
        }
        slu_buf_printf(out, "%s%.*s", column ? " " : "      ", SLU_FMT(word));
        column += word.n + (column ? 1 : 0);
    }
    slu_buf_byte(out, '\n');
}

static void add_default(struct slu_buf *out, const struct slu_setting *setting)
{
    if (setting->required)
        slu_buf_lit(out, "; required");
    else if (setting->fallback)
        slu_buf_printf(out, "; default %s", setting->fallback);
    else if (setting->type & (SLU_SHAPE_INT | SLU_SHAPE_BOOL))
        slu_buf_printf(out, "; default %lld", (long long)setting->number);
}

static void add_facts(struct slu_buf *out, const struct slu_setting *setting, bool restart)
{
    slu_buf_printf(out, "      [%s", type_word(setting));
    for (size_t i = 0; setting->words && setting->words[i]; i++)
        slu_buf_printf(out, "%s%s", i ? " | " : ": ", setting->words[i]);
    if (setting->unit)
        slu_buf_printf(out, ", %s", setting->unit);
    if ((setting->type & SLU_SHAPE_INT) && setting->max)
        slu_buf_printf(out, ", %lld to %lld", (long long)setting->min, (long long)setting->max);
    add_default(out, setting);
    slu_buf_printf(out, "; %s]\n", restart ? "needs a restart" : "taken over by a reload");
}

/* What stands in something that needs a restart needs one too. */
static void add_settings(struct slu_buf *out, const struct slu_setting *settings, const char *path,
                         bool restart)
{
    for (; settings->name; settings++) {
        char name[160];

        snprintf(name, sizeof(name), "%s%s%s", path, settings->name,
                 settings->type & SLU_SHAPE_ARRAY ? "[]"
                 : settings->type & SLU_SHAPE_MAP ? ".NAME"
                                                  : "");
        slu_buf_printf(out, "  %s\n", name);
        add_wrapped(out, slu_str_of(settings->help));
        add_facts(out, settings, restart || settings->restart);
        if (settings->members && settings->members != secret) {
            char below[170];

            snprintf(below, sizeof(below), "%s.", name);
            add_settings(out, settings->members, below, restart || settings->restart);
        }
    }
}

void slu_config_help(struct slu_buf *out)
{
    slu_buf_lit(
        out,
        "The configuration file is one JSON object, checked whole at start: an unknown member, a\n"
        "wrong type or a name that leads nowhere is a mistake, and all mistakes are told at once.\n"
        "Members named \"comment\" and \"$schema\" are allowed in every object and ignored.\n"
        "Relative file names are relative to the current directory of the process.\n"
        "SIGHUP reads the file again; when it has a mistake, the old configuration stays.\n"
        "[] stands for every item of a list, NAME for every name of an object.\n\n"
        "Members:\n\n");
    add_settings(out, slu_settings, "", false);
    slu_buf_lit(out, "\nA secret has exactly one of:\n\n");
    add_settings(out, secret, "", false);
}
