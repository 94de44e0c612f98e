/* What the tests of net/ share: turning a loop until something is so, and certificates made by
 * certs/make.sh in a folder that goes when the program ends. */
#ifndef SLU_NET_SUPPORT_H
#define SLU_NET_SUPPORT_H

#include "net/loop.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef bool until_fn(void *context);

struct until {
    struct slu_loop *loop;
    struct slu_timer timer;
    until_fn *fn;
    void *context;
    unsigned left;
    bool reached;
};

static inline void until_tick(void *argument)
{
    struct until *until = argument;

    until->reached = until->fn && until->fn(until->context);
    if (until->reached || --until->left == 0)
        slu_loop_stop(until->loop);
    else if (!slu_timer_set(&until->timer, 2))
        abort();
}

/* Turns the loop until fn() is true; false when that did not happen in about so many ms. */
static inline bool run_until(struct slu_loop *loop, until_fn *fn, void *context, unsigned ms)
{
    struct until until = {.loop = loop, .fn = fn, .context = context, .left = ms / 2 + 1};

    slu_timer_init(&until.timer, loop, until_tick, &until);
    if (!slu_timer_set(&until.timer, 0))
        abort();
    slu_loop_run(loop);
    slu_timer_done(&until.timer);
    return until.reached;
}

static inline void run_for(struct slu_loop *loop, unsigned ms)
{
    run_until(loop, NULL, NULL, ms);
}

static char certs_folder[64];

static inline void certs_remove(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", certs_folder);
    if (certs_folder[0] && system(command) != 0)
        perror("rm");
}

/* The path of a file that certs/make.sh makes, like "ca.pem", with "expired/" or "other/" before it
 * for a set whose server certificate has ended, or from another authority. */
static inline const char *cert(const char *name)
{
    static char paths[32][128];
    static unsigned next;
    char *path = paths[next++ % SLU_COUNT(paths)];

    if (!certs_folder[0]) {
        char command[512];

        snprintf(certs_folder, sizeof(certs_folder), "/tmp/slu-certs-XXXXXX");
        if (!mkdtemp(certs_folder))
            abort();
        atexit(certs_remove);
        snprintf(command, sizeof(command),
                 "cd '%s' && certs/make.sh --dir '%s' >/dev/null && "
                 "certs/make.sh --dir '%s/expired' --expired >/dev/null && "
                 "certs/make.sh --dir '%s/other' >/dev/null",
                 SLU_SOURCE_DIR, certs_folder, certs_folder, certs_folder);
        if (system(command) != 0)
            fail_msg("certs/make.sh failed");
    }
    snprintf(path, sizeof(paths[0]), "%s/%s", certs_folder, name);
    return path;
}

#endif
