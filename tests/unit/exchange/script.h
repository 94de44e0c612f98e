/*
 * A fake cloud whose answers a test works out, request by request, and which keeps what it was
 * asked; and targets of the world that point at it.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "world.h"

struct script;
/* Writes the body; answers the status. One request at a time. */
typedef int script_fn(struct script *script, const struct peer_end *end, FILE *body);

struct script {
    struct peer *peer;
    script_fn *answer;
    void *user;
    const char *headers; /* further fields, each with its line end */
    pthread_mutex_t lock;
    atomic_bool holds; /* requests wait before they are answered */
    atomic_uint held;
    unsigned count;
    char calls[64][192]; /* method and target, without its query */
};

static inline void script_note(struct script *script, const struct peer_end *end)
{
    unsigned at = script->count++;

    if (at < SLU_COUNT(script->calls))
        snprintf(script->calls[at], sizeof(script->calls[at]), "%s %.*s", end->method,
                 (int)strcspn(end->target, "?"), end->target);
}

static inline bool script_answer(struct script *script, struct peer_end *end)
{
    char *text = NULL, head[512];
    size_t n = 0;
    FILE *body = open_memstream(&text, &n);
    bool good;
    int status;

    script->held++;
    while (script->holds && !end->peer->stopping)
        usleep(1000);
    script->held--;
    pthread_mutex_lock(&script->lock);
    script_note(script, end);
    status = script->answer(script, end, body);
    snprintf(head, sizeof(head),
             "HTTP/1.1 %d Said\r\ncontent-type: application/json\r\n%scontent-length: ", status,
             script->headers ? script->headers : "");
    pthread_mutex_unlock(&script->lock);
    fclose(body);
    snprintf(head + strlen(head), sizeof(head) - strlen(head), "%zu\r\n\r\n", n);
    good = peer_say(end, head) && peer_write(end, text, n);
    free(text);
    return good;
}

static inline void script_serve(struct peer_end *end)
{
    struct script *script = (struct script *)end->peer->script;

    while (peer_request(end))
        if (!script_answer(script, end))
            return;
}

static inline void script_start(struct script *script, script_fn *answer, void *user)
{
    memset(script, 0, sizeof(*script));
    script->answer = answer;
    script->user = user;
    pthread_mutex_init(&script->lock, NULL);
    script->peer = peer_start(script_serve, script, NULL);
}

static inline void script_stop(struct script *script)
{
    peer_stop(script->peer);
    pthread_mutex_destroy(&script->lock);
}

static inline struct slu_target *world_target(struct world *world, const char *name)
{
    struct slu_catalog *catalog = world->gateway.catalog;

    for (size_t i = 0; i < catalog->target_count; i++)
        if (slu_str_is(catalog->targets[i].name, name))
            return &catalog->targets[i];
    fail_msg("no target %s", name);
    return NULL;
}

/* The target's calls go to this port; before the worker is begun anew. */
static inline void world_point(struct world *world, struct slu_target *target, uint16_t port)
{
    target->port = port;
    target->host = slu_arena_printf(&world->gateway.catalog->arena, "127.0.0.1:%u", port);
}

/* A request with any method. */
static inline void say_method(int fd, const char *method, const char *path, const char *more,
                              const char *body)
{
    char text[8192];
    int n = snprintf(text, sizeof(text),
                     "%s %s HTTP/1.1\r\nhost: sluice.test\r\nauthorization: Bearer " PORTAL_KEY
                     "\r\n%s",
                     method, path, more);

    if (body)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "content-type: application/%sjson\r\ncontent-length: %zu\r\n\r\n%s",
                      strcmp(method, "PATCH") ? "" : "merge-patch+", strlen(body), body);
    else
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
    say_bytes(fd, text, (size_t)n);
}

static inline const struct answer *talk_method(struct world *world, const char *method,
                                               const char *path, const char *more, const char *body)
{
    static struct answer answer;
    int fd = dial(world, FRONT_REST);

    say_method(fd, method, path, more, body);
    assert_true(hear(fd, &answer));
    close(fd);
    return &answer;
}

/* The document of an answer with this status. */
static inline struct slu_value *heard(struct world *world, const struct answer *answer, int status)
{
    if (answer->status != status)
        print_error("%s\n", answer->text);
    assert_int_equal(answer->status, status);
    return answer->body.n ? read_json(world, answer->body) : NULL;
}

#endif
