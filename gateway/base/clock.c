/* System clocks and the kernel's random generator. */
#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static struct timespec now(clockid_t clock)
{
    struct timespec t = {0, 0};

    slu_must(clock_gettime(clock, &t) == 0);
    return t;
}

/* The second is known without asking the timer: some milliseconds late, at a tenth of the cost. */
int64_t slu_clock_real_s(void)
{
    return now(CLOCK_REALTIME_COARSE).tv_sec;
}

int64_t slu_clock_real_ms(void)
{
    struct timespec t = now(CLOCK_REALTIME);

    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t slu_clock_mono_us(void)
{
    struct timespec t = now(CLOCK_MONOTONIC);

    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool slu_random(void *bytes, size_t count)
{
    char *at = bytes;

    while (count) {
        ssize_t got = getrandom(at, count, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        count -= (size_t)got;
    }
    return true;
}
