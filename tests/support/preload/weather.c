/*
 * Bad weather around a program that knows nothing of it, which is preloaded into it:
 *
 *   WEATHER_DISK   the folder whose disk it is
 *   WEATHER_STALL  while this file exists, what writes below the folder does not come back
 *   WEATHER_CLOCK  a file with the seconds by which the clock is ahead; the monotonic one is not
 *   WEATHER_DNS    the port on 127.0.0.1 of the only name server there is
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The function that would have been called. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The disk */

static int lies_on_disk(int fd)
{
    const char *disk = getenv("WEATHER_DISK");
    char link[64], path[PATH_MAX];
    size_t length = disk ? strlen(disk) : 0;
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = length ? readlink(link, path, sizeof(path)) : -1;
    return n > 0 && (size_t)n > length && memcmp(path, disk, length) == 0;
}

static void wait_for_disk(int fd)
{
    static const struct timespec step = {0, 5000000};
    const char *stall = getenv("WEATHER_STALL");

    while (stall && access(stall, F_OK) == 0 && lies_on_disk(fd))
        nanosleep(&step, NULL);
}

int fsync(int fd)
{
    wait_for_disk(fd);
    return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    wait_for_disk(fd);
    return NEXT(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length)
{
    wait_for_disk(fd);
    return NEXT(ftruncate64)(fd, length);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    wait_for_disk(fd);
    return NEXT(pwrite64)(fd, from, n, at);
}

/* The clock */

static long ahead_s(void)
{
    const char *name = getenv("WEATHER_CLOCK");
    int before = errno, fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = "";
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    errno = before;
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    long failed = syscall(SYS_clock_gettime, clock, ret_time);

    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret_time->tv_sec += ahead_s();
    return (int)failed;
}

time_t time(time_t *ret_time)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

/* Names */

FILE *fopen(const char *restrict path, const char *restrict mode)
{
    static char only[] = "nameserver 127.0.0.1\n";

    if (getenv("WEATHER_DNS") && strcmp(path, "/etc/resolv.conf") == 0)
        return fmemopen(only, strlen(only), "r");
    return NEXT(fopen)(path, mode);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_in *asked = (const void *)address;
    const char *port = getenv("WEATHER_DNS");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (!port || asked->sin_family != AF_INET || asked->sin_port != htons(53))
        return NEXT(connect)(fd, address, length);
    to.sin_port = htons((unsigned short)strtoul(port, NULL, 10));
    return NEXT(connect)(fd, (const struct sockaddr *)&to, sizeof(to));
}
