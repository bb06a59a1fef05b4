#include "store/disk_trace.h"
#include "base/mem.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int trace_fd = -1;
static char root[TRACE_PATH];
static size_t root_size;
static atomic_ulong recorded;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

bool trace_on(void)
{
        return trace_fd >= 0;
}

void trace_lock(void)
{
        pthread_mutex_lock(&order);
}

void trace_unlock(void)
{
        pthread_mutex_unlock(&order);
}

bool trace_full_path(const char *full, char path[static TRACE_PATH])
{
        struct str s = str_of(full);

        if (!str_starts(s, str_from(root, root_size)) || s.n - root_size > TRACE_PATH - 1)
                return false;
        if (s.n > root_size && s.p[root_size] != '/')
                return false;
        s = str_from_at(s, root_size + 1);
        if (!s.n) /* the root itself */
                s = S(".");
        mem_copy(path, TRACE_PATH, s);
        path[s.n] = 0;
        return true;
}

bool trace_path(int fd, const char *name, char path[static TRACE_PATH])
{
        char link[40], full[TRACE_PATH];
        ssize_t n;

        if (name && name[0] == '/')
                return trace_full_path(name, path);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, full, sizeof full);
        if (n <= 0 || (size_t)n + (name ? strlen(name) : 0) + 2 > sizeof full)
                return false;
        full[n] = 0;
        if (str_ends(str_of(full), S(" (deleted)")))
                return false;
        if (name)
                snprintf(full + n, sizeof full - (size_t)n, "/%s", name);
        return trace_full_path(full, path);
}

void trace_put(enum trace_kind kind, const char *path, const char *to, uint64_t at, const struct iovec *v,
               int n)
{
        struct trace_head head = {
                TRACE_MAGIC, (uint16_t)kind, (uint16_t)strlen(path), (uint16_t)strlen(to), 0, 0, at
        };
        struct iovec *all = mem_array((size_t)n + 3, sizeof *all);
        size_t size = 0;

        for (int i = 0; i < n; i++) {
                all[3 + i] = v[i];
                size += v[i].iov_len;
        }
        head.data = (uint32_t)size;
        all[0] = (struct iovec){ &head, sizeof head };
        all[1] = (struct iovec){ (void *)path, head.path };
        all[2] = (struct iovec){ (void *)to, head.to };
        size += sizeof head + head.path + head.to;
        if (writev(trace_fd, all, n + 3) !=
            (ssize_t)size) /* one call: whole, also among processes (O_APPEND) */
                mem_die("the trace cannot be written");
        mem_free(all);
        atomic_fetch_add(&recorded, 1);
}

void disk_record(const char *root_path, const char *trace)
{
        static char real[PATH_MAX];

        if (trace_fd >= 0)
                close(trace_fd);
        trace_fd = -1;
        if (!root_path)
                return;
        if (!realpath(root_path, real) || strlen(real) >= sizeof root)
                mem_die("the folder to be recorded is not there");
        root_size = strlen(real);
        mem_copy(root, sizeof root, str_of(real));
        atomic_store(&recorded, 0);
        trace_fd = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (trace_fd < 0)
                mem_die("the trace cannot be made");
        disk_vfs_register();
}

uint64_t disk_recorded(void)
{
        return atomic_load(&recorded);
}
