/* The process: builds the workers, answers signals, ends in order. */
#include "exchange/gateway.h"

#include "base/clock.h"
#include "codec/json.h"
#include "exchange/exchange_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct slu_catalog *slu_gateway_catalog(struct slu_gateway *gateway)
{
    struct slu_catalog *catalog;

    pthread_mutex_lock(&gateway->catalog_lock);
    catalog = slu_catalog_ref(gateway->catalog);
    pthread_mutex_unlock(&gateway->catalog_lock);
    return catalog;
}

/* Building */

static bool make_tls(const struct slu_listener *listener, struct slu_tls **ret_tls,
                     struct slu_fault *fault)
{
    struct slu_tls_server_conf conf = {listener->certificate, listener->key, listener->client_ca};

    return !listener->certificate || slu_tls_server_new(&conf, ret_tls, fault);
}

static bool make_front_tls(struct slu_gateway *gateway, struct slu_fault *fault)
{
    const struct slu_catalog *catalog = gateway->catalog;
    size_t count = catalog->listener_count + catalog->door_count;

    gateway->front_tls = slu_mem_array(count, sizeof(struct slu_tls *));
    if (!gateway->front_tls)
        return slu_fault_memory(fault);
    for (size_t i = 0; i < count; i++) {
        const struct slu_listener *listener =
            i < catalog->listener_count ? &catalog->listeners[i]
                                        : &catalog->doors[i - catalog->listener_count].listener;

        if (!make_tls(listener, &gateway->front_tls[i], fault))
            return false;
    }
    return true;
}

static bool make_admin(struct slu_gateway *gateway, struct slu_fault *fault)
{
    struct slu_server_conf conf = {
        .address = gateway->catalog->admin.address,
        .limits = {.head_bytes = 8192,
                   .head_fields = 64,
                   .body_bytes = 4096,
                   .connections = 64,
                   .head_timeout_ms = 5000,
                   .body_timeout_ms = 5000,
                   .idle_timeout_ms = 60000,
                   .write_timeout_ms = 5000,
                   .arena_bytes = 1 << 20},
    };

    if (!conf.address)
        return true;
    gateway->loop = slu_loop_new();
    if (!gateway->loop)
        return slu_fault_memory(fault);
    return slu_server_new(gateway->loop, &conf, &slu_admin_handler, gateway, &gateway->admin,
                          fault);
}

bool slu_gateway_share(struct slu_gateway *gateway)
{
    unsigned char tokens[SLU_TOKENS_SECRET], nonces[SLU_NONCES_SECRET];

    if (!slu_random(tokens, sizeof(tokens)) || !slu_random(nonces, sizeof(nonces)) ||
        !slu_random(gateway->page_key, sizeof(gateway->page_key)))
        return false;
    gateway->memory = slu_memory_new();
    gateway->faults = slu_faults_new();
    gateway->metrics = slu_metrics_new();
    gateway->turns = slu_turns_new();
    gateway->claims = slu_claims_new();
    gateway->guards = slu_guards_new();
    gateway->bodies = slu_budget_new(gateway->catalog->limits.body_memory_bytes
                                         ? gateway->catalog->limits.body_memory_bytes
                                         : UINT64_MAX);
    gateway->tokens = slu_tokens_new(tokens);
    gateway->nonces = slu_nonces_new(nonces, SLU_NONCES_MOST, SLU_SKEW_S);
    slu_wipe(tokens, sizeof(tokens));
    slu_wipe(nonces, sizeof(nonces));
    return gateway->memory && gateway->faults && gateway->metrics && gateway->turns &&
           gateway->claims && gateway->guards && gateway->bodies && gateway->tokens &&
           gateway->nonces;
}

void slu_gateway_unshare(struct slu_gateway *gateway)
{
    slu_guards_free(gateway->guards);
    slu_budget_free(gateway->bodies);
    slu_nonces_free(gateway->nonces);
    slu_tokens_free(gateway->tokens);
    slu_turns_free(gateway->turns);
    slu_claims_free(gateway->claims);
    slu_metrics_free(gateway->metrics);
    slu_memory_free(gateway->memory);
    slu_faults_free(gateway->faults);
}

/* A file that somebody has made stays as it is. */
static void tell_who_may_read(struct slu_str path)
{
    char *name = slu_mem_text(path.p, path.n);
    struct stat file;

    if (name && stat(name, &file) == 0 && file.st_mode & 0077)
        slu_log(SLU_LOG_WARN, "journal",
                "%s has mode %04o: others than its owner may read or write what was done where; "
                "chmod 600 it, its -wal and its -shm",
                name, file.st_mode & 07777);
    slu_mem_free(name);
}

static bool make_journal(struct slu_gateway *gateway, struct slu_fault *fault)
{
    const struct slu_store *store = &gateway->catalog->store;
    struct slu_journal_options options = {
        .sqlite = store->sqlite,
        .postgresql = slu_secret_reveal(store->postgresql),
        .retention_ms = (int64_t)store->retention_s * 1000,
    };

    if (!store->sqlite.n && !store->postgresql)
        return true;
    if (store->sqlite.n)
        tell_who_may_read(store->sqlite);
    gateway->journal = slu_journal_new(&options, fault);
    return gateway->journal != NULL;
}

static bool build(struct slu_gateway *gateway, struct slu_fault *fault)
{
    struct stat out;

    gateway->access_direct = fstat(STDOUT_FILENO, &out) == 0 &&
                             (S_ISREG(out.st_mode) || S_ISCHR(out.st_mode)) &&
                             !isatty(STDOUT_FILENO);
    gateway->workers = slu_mem_array(gateway->catalog->workers, sizeof(*gateway->workers));
    if (!slu_gateway_share(gateway) || !gateway->workers)
        return slu_fault_memory(fault);
    if (!make_journal(gateway, fault) || !make_front_tls(gateway, fault) ||
        !make_admin(gateway, fault))
        return false;
    for (unsigned i = 0; i < gateway->catalog->workers; i++) {
        gateway->worker_count++;
        if (!slu_worker_init(&gateway->workers[i], gateway, i, fault))
            return false;
    }
    return true;
}

static void *run_admin(void *argument)
{
    struct slu_gateway *gateway = argument;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    slu_loop_run(gateway->loop);
    return NULL;
}

static bool start(struct slu_gateway *gateway, struct slu_fault *fault)
{
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (!slu_worker_start(&gateway->workers[i]))
            return slu_fault_set(fault, SLU_FAULT_INTERNAL, "", "cannot start a thread");
    if (gateway->loop)
        gateway->admin_started =
            pthread_create(&gateway->admin_thread, NULL, run_admin, gateway) == 0;
    return !gateway->loop || gateway->admin_started ||
           slu_fault_set(fault, SLU_FAULT_INTERNAL, "", "cannot start a thread");
}

static void tear_down(struct slu_gateway *gateway)
{
    size_t fronts = gateway->catalog->listener_count + gateway->catalog->door_count;

    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (gateway->workers[i].started)
            slu_loop_stop(gateway->workers[i].loop);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slu_worker_end(&gateway->workers[i]);
    if (gateway->admin_started) { /* it looks at the journal */
        slu_loop_stop(gateway->loop);
        pthread_join(gateway->admin_thread, NULL);
    }
    slu_journal_free(slu_take(gateway->journal)); /* last letters go to loops that are there */
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slu_worker_done(&gateway->workers[i]);
    slu_server_free(gateway->admin);
    slu_loop_free(gateway->loop);
    for (size_t i = 0; gateway->front_tls && i < fronts; i++)
        slu_tls_free(gateway->front_tls[i]);
    slu_mem_free(gateway->front_tls);
    slu_mem_free(gateway->workers);
    slu_gateway_unshare(gateway);
    slu_catalog_free(gateway->catalog);
}

/* Telling */

static void tell_ready(const struct slu_gateway *gateway)
{
    const struct slu_catalog *catalog = gateway->catalog;
    const struct slu_worker *worker = &gateway->workers[0];
    struct slu_buf line;
    ssize_t written;

    slu_buf_init(&line, 0);
    slu_buf_printf(&line,
                   "{\"event\":\"ready\",\"version\":\"%s\",\"pid\":%d,\"workers\":%u,\"listen\":[",
                   SLU_VERSION, (int)getpid(), gateway->worker_count);
    for (size_t i = 0; i < catalog->listener_count; i++)
        slu_buf_printf(&line, "%s\"%s\"", i ? "," : "",
                       slu_server_address(worker->fronts[i].server));
    slu_buf_lit(&line, "],\"doors\":[");
    for (size_t i = 0; i < catalog->door_count; i++)
        slu_buf_printf(&line, "%s{\"dialect\":\"%.*s\",\"address\":\"%s\"}", i ? "," : "",
                       SLU_FMT(slu_table_dialect(catalog->doors[i].table)),
                       slu_server_address(worker->fronts[catalog->listener_count + i].server));
    slu_buf_lit(&line, "],\"admin\":");
    if (gateway->admin)
        slu_buf_printf(&line, "\"%s\"}\n", slu_server_address(gateway->admin));
    else
        slu_buf_lit(&line, "null}\n");
    written = line.failed ? 0 : write(STDERR_FILENO, line.p, line.n);
    (void)written; /* nobody is left to tell */
    slu_buf_done(&line);
}

/* Signals */

static bool same_text(const char *a, const char *b)
{
    return slu_str_eq(slu_str_of(a), slu_str_of(b)) && !a == !b;
}

static bool same_listener(const struct slu_listener *a, const struct slu_listener *b)
{
    return same_text(a->address, b->address) && same_text(a->certificate, b->certificate) &&
           same_text(a->key, b->key) && same_text(a->client_ca, b->client_ca);
}

/* What a running process cannot change: threads, listeners and their limits. */
static bool can_be_taken_over(const struct slu_catalog *old, const struct slu_catalog *new)
{
    bool same = old->workers == new->workers && old->listener_count == new->listener_count &&
                old->door_count == new->door_count &&same_listener(&old->admin, &new->admin) &&
                memcmp(&old->limits, &new->limits, sizeof(old->limits)) == 0;

    for (size_t i = 0; same && i < old->listener_count; i++)
        same = same_listener(&old->listeners[i], &new->listeners[i]);
    for (size_t i = 0; same && i < old->door_count; i++)
        same = same_listener(&old->doors[i].listener, &new->doors[i].listener);
    return same;
}

static void tell_mistakes(const struct slu_mistakes *mistakes)
{
    for (const struct slu_mistake *m = mistakes->first; m; m = m->next)
        slu_log(SLU_LOG_ERROR, "reload", "%.*s: %.*s", SLU_FMT(m->pointer), SLU_FMT(m->detail));
}

static void take_over(struct slu_gateway *gateway, struct slu_catalog *catalog)
{
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (!slu_worker_adopt(&gateway->workers[i], catalog))
            slu_log(SLU_LOG_ERROR, "reload", "worker %u keeps the old configuration: no memory", i);
    slu_log_set(catalog->log_level);
    pthread_mutex_lock(&gateway->catalog_lock);
    slu_catalog_free(gateway->catalog);
    gateway->catalog = catalog;
    pthread_mutex_unlock(&gateway->catalog_lock);
    slu_log(SLU_LOG_INFO, "reload", "the new configuration is in force");
}

static void reload(struct slu_gateway *gateway, slu_gateway_reload_fn *load, void *user)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_catalog *catalog;
    bool taken;

    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    catalog = load ? load(user, &mistakes) : NULL;
    taken = catalog && can_be_taken_over(gateway->catalog, catalog);
    if (taken) {
        take_over(gateway, catalog);
    } else {
        tell_mistakes(&mistakes);
        slu_log(SLU_LOG_ERROR, "reload", "the configuration stays as it was%s",
                catalog
                    ? ": workers, limits, listen, admin and where the doors listen need a restart"
                    : "");
        slu_catalog_free(catalog);
    }
    slu_count(slu_metrics_reloads(gateway->metrics, taken), 1);
    slu_arena_done(&arena);
}

static void await_end(struct slu_gateway *gateway, const sigset_t *signals)
{
    struct timespec look = {0, 50 * 1000000};

    gateway->draining = true;
    slu_log(SLU_LOG_INFO, "drain", "ending: no new connections, requests in flight go on");
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slu_worker_drain(&gateway->workers[i]);
    while (gateway->running) {
        int again = sigtimedwait(signals, NULL, &look);

        if (again == SIGTERM || again == SIGINT)
            return; /* told twice: end now */
    }
}

/* One line when the store stops being writable, and one when it is again. */
static void tell_store(struct slu_gateway *gateway, bool *store_fails)
{
    struct slu_journal_health health;

    slu_journal_health(gateway->journal, &health);
    if (health.writable && *store_fails)
        slu_log(SLU_LOG_INFO, "journal", "the store can be written again");
    else if (!health.writable && !*store_fails && health.fault.kind != SLU_FAULT_NONE)
        slu_log(SLU_LOG_ERROR, "journal",
                "the store cannot be written, so writes are refused until it can: %s%s%s",
                health.fault.place, health.fault.place[0] ? ": " : "", health.fault.words);
    else
        return;
    *store_fails = !health.writable;
}

/* The next signal; meanwhile the store is watched. */
static int next_signal(struct slu_gateway *gateway, const sigset_t *signals, bool *store_fails)
{
    struct timespec look = {0, 200 * 1000000};
    int got;

    if (!gateway->journal)
        return sigwaitinfo(signals, NULL);
    while ((got = sigtimedwait(signals, NULL, &look)) < 0)
        tell_store(gateway, store_fails);
    return got;
}

static void serve(struct slu_gateway *gateway, const sigset_t *signals, slu_gateway_reload_fn *load,
                  void *user)
{
    bool store_fails = false;

    tell_ready(gateway);
    for (;;) {
        int got = next_signal(gateway, signals, &store_fails);

        if (got == SIGHUP)
            reload(gateway, load, user);
        if (got == SIGTERM || got == SIGINT) {
            await_end(gateway, signals);
            return;
        }
    }
}

int slu_gateway_run(struct slu_catalog *catalog, slu_gateway_reload_fn *load, void *user)
{
    struct slu_gateway gateway = {.catalog = catalog, .catalog_lock = PTHREAD_MUTEX_INITIALIZER};
    struct slu_fault fault = {0};
    sigset_t signals;
    bool good;

    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    slu_log_set(catalog->log_level);
    good = build(&gateway, &fault) && start(&gateway, &fault);
    if (good)
        serve(&gateway, &signals, load, user);
    else
        slu_log(SLU_LOG_ERROR, "start", "%s%s%s", fault.place, fault.place[0] ? ": " : "",
                fault.words);
    tear_down(&gateway);
    return good ? 0 : 1;
}
