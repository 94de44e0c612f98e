/*
 * The program's door. Before anything is read, the process makes sure that its memory, where
 * secrets will lie, is never written to a core file and cannot be looked at by a neighbour, and
 * that a broken pipe is an error of one write and not the end.
 */
#include "app/cli.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static bool harden(void)
{
    struct rlimit none = {0, 0};

    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

int main(int argc, char **argv)
{
    if (!harden())
        return slu_cli_fail("core files cannot be switched off; refusing to handle secrets");
    return slu_cli_run(argc, argv);
}
