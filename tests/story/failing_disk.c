/* LD_PRELOADed by test_faults.py: syncs fail with EIO while the file $PAIL_FAULT-log (the intake's segments) or
 * $PAIL_FAULT-all (everything) exists. What was written stays written: as with a disk that answers an error late. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int exists(const char *what)
{
        const char *fault = getenv("PAIL_FAULT");
        char path[4096];

        if (!fault)
                return 0;
        snprintf(path, sizeof path, "%s-%s", fault, what);
        return access(path, F_OK) == 0;
}

static int fails(int fd)
{
        char link[64], path[4096] = "";
        int saved = errno, yes = exists("all");

        if (!yes && exists("log")) {
                snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                ssize_t n = readlink(link, path, sizeof path - 1);
                yes = n > 4 && (!memcmp(path + n - 4, ".log", 4) || !memcmp(path + n - 4, ".new", 4));
        }
        errno = yes ? EIO : saved;
        return yes;
}

int fdatasync(int fd)
{
        return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
        return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
        return fails(fd) ? -1 : (int)syscall(SYS_syncfs, fd);
}
