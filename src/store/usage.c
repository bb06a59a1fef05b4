#include "store/usage.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A file an account, of two numbers: each writer has his own 8 bytes, so nobody waits for anybody. */
struct usage {
        int dir;
};

int usage_open(struct usage **out, int folder)
{
        *out = mem_new(struct usage);
        (*out)->dir = folder;
        return 0;
}

void usage_close(struct usage **u)
{
        if (*u)
                close((*u)->dir);
        mem_free(*u);
        *u = NULL;
}

static int number_open(const struct usage *u, struct str account, int flags)
{
        char name[256];

        if (!account.n || account.n >= sizeof name || account.p[0] == '.' ||
            str_find(account, '/') != STR_NONE || str_find(account, 0) != STR_NONE)
                return -1;
        snprintf(name, sizeof name, PRS, STR(account));
        return openat(u->dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void usage_set(struct usage *u, struct str account, enum usage_of what, uint64_t octets)
{
        int fd = number_open(u, account, O_WRONLY | O_CREAT);

        if (fd < 0)
                return;
        /* A hint: if it cannot be written, the other role goes by the one before. */
        if (pwrite(fd, &octets, sizeof octets, (off_t)(what * sizeof octets)) != sizeof octets)
                errno = 0;
        close(fd);
}

uint64_t usage_get(struct usage *u, struct str account, enum usage_of what)
{
        int fd = number_open(u, account, O_RDONLY);
        uint64_t octets = 0;

        if (fd < 0)
                return 0;
        if (pread(fd, &octets, sizeof octets, (off_t)(what * sizeof octets)) != sizeof octets)
                octets = 0;
        close(fd);
        return octets;
}
