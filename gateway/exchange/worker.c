/*
 * One worker: a thread with its loop, its listeners (SO_REUSEPORT), and a station for the catalog
 * in force: seals and connections that belong to this thread alone.
 */
#include "exchange/exchange_internal.h"

#include "base/clock.h"
#include "codec/text.h"

#include <signal.h>
#include <sys/resource.h>

enum { DRAIN_MOST_S = 30, DRAIN_LOOK_MS = 50 };

/* Stations */

static void station_free(struct slu_station *station)
{
    struct slu_catalog *catalog = station->catalog;

    for (size_t i = 0; i < catalog->target_count; i++) {
        if (station->upstreams)
            slu_upstream_free(station->upstreams[i]);
        if (station->guards)
            slu_guards_give(station->worker->gateway->guards, station->guards[i]);
        if (station->seals)
            slu_seal_free(station->seals[i]);
        if (station->fetching && station->fetching[i]) {
            slu_upstream_free(station->fetching[i]->upstream);
            slu_mem_free(station->fetching[i]);
        }
    }
    slu_mem_free(station->fetching);
    slu_mem_free(station->guards);
    for (size_t i = 0; station->doors && i < catalog->door_count; i++) {
        struct slu_door_seals *door = &station->doors[i];

        for (size_t j = 0; door->seals && j < catalog->doors[i].key_count * door->scheme_count; j++)
            slu_seal_free(door->seals[j]);
        slu_mem_free(door->seals);
        slu_mem_free(door->schemes);
    }
    slu_mem_free(station->doors);
    slu_mem_free(station->seals);
    slu_mem_free(station->upstreams);
    slu_mem_free(station->slots);
    slu_tls_free(station->tls);
    slu_catalog_free(catalog);
    slu_mem_free(station);
}

void slu_station_unref(struct slu_station *station)
{
    if (!station || --station->references)
        return;
    /* Not now: a connection of it may be on the stack. */
    station->next = station->worker->retired;
    station->worker->retired = station;
}

static void free_retired(struct slu_worker *worker)
{
    while (worker->retired) {
        struct slu_station *station = worker->retired;

        worker->retired = station->next;
        station_free(station);
    }
}

static bool client_tls(struct slu_station *station, const struct slu_target *target,
                       struct slu_tls **ret_tls, struct slu_fault *fault)
{
    struct slu_tls_client_conf conf = {target->ca, target->client_certificate, target->client_key};

    if (conf.ca || conf.certificate)
        return slu_tls_client_new(&conf, ret_tls, fault);
    if (!station->tls && !slu_tls_client_new(&conf, &station->tls, fault))
        return false;
    *ret_tls = slu_tls_ref(station->tls);
    return true;
}

/* Where a target's calls go, or those for its tokens. */
struct origin {
    const char *host;
    uint16_t port;
    bool https;
};

static bool make_upstream(struct slu_station *station, const struct slu_target *target,
                          struct origin origin, struct slu_upstream **ret_upstream,
                          struct slu_fault *fault)
{
    struct slu_tls *tls = NULL;
    struct slu_upstream_conf conf = {
        .transport = target->curl || target->proxy ? SLU_TRANSPORT_CURL : SLU_TRANSPORT_OWN,
        .host = origin.host,
        .port = origin.port,
        .https = origin.https,
        .ca = target->ca,
        .certificate = target->client_certificate,
        .key = target->client_key,
        .proxy = target->proxy,
        .connect_timeout_ms = target->connect_timeout_ms,
        .max_connections = target->max_in_flight, /* of all workers: the guard counts them */
        .reply_bytes = target->reply_bytes,
    };
    bool good;

    if (origin.https && conf.transport == SLU_TRANSPORT_OWN &&
        !client_tls(station, target, &tls, fault))
        return false;
    conf.tls = tls;
    good = slu_upstream_new(station->worker->loop, station->worker->resolver, &conf, ret_upstream,
                            fault);
    slu_tls_free(tls);
    return good;
}

static bool equip_fetching(struct slu_station *station, size_t i, struct slu_fault *fault)
{
    const struct slu_target *target = &station->catalog->targets[i];
    const struct slu_token_endpoint *token = &target->credentials.token;
    struct slu_fetching *fetching = slu_mem_new(sizeof(*fetching));

    station->fetching[i] = fetching;
    if (!fetching || !slu_tokens_key_of(station->worker->gateway->tokens, target, &fetching->key))
        return slu_fault_memory(fault);
    return make_upstream(station, target,
                         (struct origin){token->dns_host, token->port, token->https},
                         &fetching->upstream, fault);
}

static bool equip_target(struct slu_station *station, size_t i, struct slu_fault *fault)
{
    const struct slu_target *target = &station->catalog->targets[i];
    const struct slu_credentials *keys = &target->credentials;
    struct slu_seal_conf conf = slu_credentials_conf(keys);

    station->slots[i] = slu_metrics_slot(station->worker->gateway->metrics, target->name);
    if (target->memory)
        return true;
    station->guards[i] = slu_guards_take(station->worker->gateway->guards, target);
    if (!station->guards[i])
        return slu_fault_memory(fault);
    station->seals[i] = slu_seal_new(keys->scheme, &conf);
    if (!station->seals[i])
        return slu_fault_memory(fault);
    if (!make_upstream(station, target,
                       (struct origin){target->dns_host, target->port, target->https},
                       &station->upstreams[i], fault))
        return false;
    return !slu_scheme_fetches(keys->scheme) || equip_fetching(station, i, fault);
}

static bool equip_door(struct slu_station *station, size_t i, struct slu_fault *fault)
{
    const struct slu_door *door = &station->catalog->doors[i];
    struct slu_door_seals *seals = &station->doors[i];
    const struct slu_str *names;
    size_t count = slu_table_schemes(door->table, &names);

    seals->schemes = slu_mem_array(count + 1, sizeof(*seals->schemes));
    seals->seals = slu_mem_array(door->key_count * count, sizeof(struct slu_seal *));
    if (!seals->schemes || !seals->seals)
        return slu_fault_memory(fault);
    for (size_t s = 0; s < count; s++) {
        const struct slu_scheme *scheme = slu_scheme_find(names[s]);

        if (scheme && slu_scheme_verifies(scheme))
            seals->schemes[seals->scheme_count++] = scheme;
    }
    for (size_t k = 0; k < door->key_count; k++)
        for (size_t s = 0; s < seals->scheme_count; s++) {
            const struct slu_door_key *key = &door->keys[k];
            const struct slu_scope *scope = &door->scopes[slu_table_scheme_index(
                door->table, slu_str_of(slu_scheme_name(seals->schemes[s])))];
            struct slu_seal_conf conf = {.access_key = slu_secret_reveal(key->access_key),
                                         .secret_key = key->secret_key,
                                         .security_token = slu_secret_reveal(key->security_token),
                                         .region = scope->region,
                                         .service = scope->service};
            struct slu_seal *seal = slu_seal_new(seals->schemes[s], &conf);

            if (!seal)
                return slu_fault_memory(fault);
            seals->seals[k * seals->scheme_count + s] = seal;
        }
    return true;
}

struct slu_station *slu_station_new(struct slu_worker *worker, struct slu_catalog *catalog,
                                    struct slu_fault *fault)
{
    struct slu_station *station = slu_mem_new(sizeof(*station));
    bool good;

    if (!station) {
        slu_fault_memory(fault);
        return NULL;
    }
    station->worker = worker;
    station->catalog = slu_catalog_ref(catalog);
    station->references = 1;
    station->seals = slu_mem_array(catalog->target_count, sizeof(struct slu_seal *));
    station->upstreams = slu_mem_array(catalog->target_count, sizeof(struct slu_upstream *));
    station->guards = slu_mem_array(catalog->target_count, sizeof(struct slu_guard *));
    station->fetching = slu_mem_array(catalog->target_count, sizeof(struct slu_fetching *));
    station->slots = slu_mem_array(catalog->target_count, sizeof(struct slu_slot *));
    station->doors = slu_mem_array(catalog->door_count, sizeof(*station->doors));
    good = station->seals && station->upstreams && station->slots && station->doors &&
           station->fetching && station->guards;
    if (!good)
        slu_fault_memory(fault);
    for (size_t i = 0; good && i < catalog->target_count; i++)
        good = equip_target(station, i, fault);
    for (size_t i = 0; good && i < catalog->door_count; i++)
        good = equip_door(station, i, fault);
    if (!good) {
        station_free(station);
        return NULL;
    }
    return station;
}

/* Listeners */

static uint32_t connections_each(const struct slu_worker *worker, const struct slu_catalog *catalog)
{
    struct rlimit files = {1024, 1024};
    uint64_t most = catalog->limits.connections;

    if (!most) {
        getrlimit(RLIMIT_NOFILE, &files);
        most = files.rlim_cur > 1u << 20 ? 1u << 19 : files.rlim_cur * 9 / 20;
    }
    most /= (uint64_t)catalog->workers * (worker->front_count ? worker->front_count : 1);
    return most < 8 ? 8 : (uint32_t)most;
}

static bool open_front(struct slu_worker *worker, struct slu_front *front, size_t index,
                       struct slu_fault *fault)
{
    struct slu_gateway *gateway = worker->gateway;
    const struct slu_limits *limits = &gateway->catalog->limits;
    struct slu_server_conf conf = {
        .address = front->address,
        .tls = gateway->front_tls[index],
        .limits = {.head_bytes = 16384,
                   .head_fields = 100,
                   .body_bytes = limits->body_bytes,
                   .connections = connections_each(worker, gateway->catalog),
                   .head_timeout_ms = limits->head_timeout_ms,
                   .body_timeout_ms = limits->body_timeout_ms,
                   .idle_timeout_ms = limits->idle_timeout_ms,
                   .write_timeout_ms = limits->write_timeout_ms,
                   .arena_bytes = limits->request_bytes},
    };

    if (worker->index) /* port 0 became a port at the first worker */
        conf.address = slu_server_address(gateway->workers[0].fronts[index].server);
    return slu_server_new(worker->loop, &conf, &slu_exchange_handler, front, &front->server, fault);
}

static bool open_fronts(struct slu_worker *worker, struct slu_fault *fault)
{
    const struct slu_catalog *catalog = worker->gateway->catalog;

    worker->front_count = catalog->listener_count + catalog->door_count;
    worker->fronts = slu_mem_array(worker->front_count, sizeof(*worker->fronts));
    if (!worker->fronts) {
        worker->front_count = 0;
        return slu_fault_memory(fault);
    }
    for (size_t i = 0; i < worker->front_count; i++) {
        struct slu_front *front = &worker->fronts[i];

        front->worker = worker;
        front->is_door = i >= catalog->listener_count;
        front->door = front->is_door ? i - catalog->listener_count : 0;
        front->address = front->is_door ? catalog->doors[front->door].listener.address
                                        : catalog->listeners[i].address;
        if (!open_front(worker, front, i, fault))
            return false;
    }
    return true;
}

/* The thread */

static void end_of_turn(void *argument)
{
    struct slu_worker *worker = argument;
    uint32_t connections = 0;

    for (size_t i = 0; i < worker->front_count; i++)
        connections += slu_server_busy(worker->fronts[i].server);
    worker->shown_connections = connections;
    worker->shown_in_flight = worker->in_flight;
    free_retired(worker);
    slu_access_flush(worker);
}

static void look_whether_drained(void *argument)
{
    struct slu_worker *worker = argument;
    uint32_t busy = worker->in_flight;

    for (size_t i = 0; i < worker->front_count; i++)
        busy += slu_server_busy(worker->fronts[i].server);
    if (busy == 0 || slu_clock_mono_us() > worker->drain_until_us ||
        !slu_timer_set(&worker->drain_timer, DRAIN_LOOK_MS))
        slu_loop_stop(worker->loop);
}

bool slu_worker_init(struct slu_worker *worker, struct slu_gateway *gateway, unsigned index,
                     struct slu_fault *fault)
{
    unsigned char random[8];
    unsigned short dice[3];

    worker->gateway = gateway;
    worker->index = index;
    worker->loop = slu_loop_new();
    slu_buf_init(&worker->access, 0);
    if (!worker->loop || !slu_random(random, sizeof(random)) || !slu_random(dice, sizeof(dice)))
        return slu_fault_memory(fault);
    (void)seed48_r(dice, &worker->dice);
    slu_hex_write(worker->id_prefix, random, sizeof(random));
    slu_timer_init(&worker->drain_timer, worker->loop, look_whether_drained, worker);
    worker->resolver = slu_resolver_new(worker->loop);
    if (!worker->resolver)
        return slu_fault_memory(fault);
    worker->station = slu_station_new(worker, gateway->catalog, fault);
    if (!worker->station || !open_fronts(worker, fault))
        return false;
    slu_loop_each_turn(worker->loop, end_of_turn, worker);
    return slu_recovery_begin(worker) || slu_fault_memory(fault);
}

static void *run(void *argument)
{
    struct slu_worker *worker = argument;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    slu_loop_run(worker->loop);
    slu_access_flush(worker);
    worker->gateway->running--;
    return NULL;
}

bool slu_worker_start(struct slu_worker *worker)
{
    worker->gateway->running++;
    worker->started = pthread_create(&worker->thread, NULL, run, worker) == 0;
    if (!worker->started)
        worker->gateway->running--;
    return worker->started;
}

void slu_worker_end(struct slu_worker *worker)
{
    if (worker->ended)
        return;
    worker->ended = true;
    if (worker->started)
        pthread_join(worker->thread, NULL);
    for (size_t i = 0; i < worker->front_count; i++)
        slu_server_free(worker->fronts[i].server);
    slu_mem_free(worker->fronts);
    worker->fronts = NULL;
    worker->front_count = 0;
    slu_exchange_end_all(worker);
    slu_recovery_end(worker);
}

void slu_worker_done(struct slu_worker *worker)
{
    slu_worker_end(worker);
    if (worker->loop)
        slu_loop_run_posted(worker->loop); /* notes to those who have ended free themselves */
    slu_recovery_free(worker);
    slu_revisits_free(worker);
    slu_access_flush(worker);
    if (worker->loop)
        slu_timer_done(&worker->drain_timer);
    slu_station_unref(worker->station);
    free_retired(worker);
    slu_resolver_free(worker->resolver);
    slu_loop_free(worker->loop);
    slu_buf_done(&worker->access);
}

/* From the main thread */

struct adoption {
    struct slu_worker *worker;
    struct slu_catalog *catalog;
};

static void adopt(void *argument)
{
    struct adoption *adoption = argument;
    struct slu_worker *worker = adoption->worker;
    struct slu_fault fault = {0};
    struct slu_station *station = slu_station_new(worker, adoption->catalog, &fault);

    if (station) {
        slu_station_unref(worker->station);
        worker->station = station;
    } else {
        slu_log(SLU_LOG_ERROR, "reload", "worker %u keeps the old configuration: %s", worker->index,
                fault.words);
    }
    slu_catalog_free(adoption->catalog);
    slu_mem_free(adoption);
}

bool slu_worker_adopt(struct slu_worker *worker, struct slu_catalog *catalog)
{
    struct adoption *adoption = slu_mem_new(sizeof(*adoption));

    if (!adoption)
        return false;
    adoption->worker = worker;
    adoption->catalog = slu_catalog_ref(catalog);
    if (slu_loop_post(worker->loop, adopt, adoption))
        return true;
    slu_catalog_free(adoption->catalog);
    slu_mem_free(adoption);
    return false;
}

static void drain(void *argument)
{
    struct slu_worker *worker = argument;

    worker->draining = true;
    worker->drain_until_us = slu_clock_mono_us() + DRAIN_MOST_S * 1000000ull;
    for (size_t i = 0; i < worker->front_count; i++)
        slu_server_drain(worker->fronts[i].server);
    look_whether_drained(worker);
}

void slu_worker_drain(struct slu_worker *worker)
{
    if (!slu_loop_post(worker->loop, drain, worker))
        slu_loop_stop(worker->loop);
}
