#include "proto/ftp/ftp.h"
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* xferlog(5), a line a transfer:
 *
 *   time          seconds host    octets  path         type flag way  access user  service method id end
 *   Thu Feb  7 13:31:16 2002 2 192.0.2.1 1474560 /bootdisk.img b    _    o    a      jill@ ftp     0      *  c
 *
 * Lines gather for a moment, and while a worker thread writes: one call takes many. Each call writes whole lines behind what is there, so
 * that the processes share the file. */
enum { GATHERED_MOST = 4 << 20, ENOUGH = 64 << 10, LINE_ROOM = PATH_MOST + 1024 };
#define MOMENT (100 * MSECOND)

struct xferlog {
        int fd;
        struct buf lines; /* to be written */
        bool writing;     /* a fiber does */
        bool closing;
        struct waitlist hurry; /* it does not wait for more */
        struct waitlist idle;
        unsigned long dropped;
};

int xferlog_open(struct xferlog **out, const char *path)
{
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
        struct xferlog *x;

        if (fd < 0)
                return -errno;
        tzset(); /* now: the sandbox has no /etc/localtime */
        x = mem_new(struct xferlog);
        x->fd = fd;
        buf_init(&x->lines, GATHERED_MOST);
        *out = x;
        return 0;
}

struct batch {
        int fd;
        struct str lines;
};

static int write_batch(void *arg)
{
        struct batch *b = arg;

        while (b->lines.n) {
                ssize_t n = write(b->fd, b->lines.p, b->lines.n);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        b->lines = str_from_at(b->lines, (size_t)n);
        }
        return 0;
}

static void write_gathered(struct xferlog *x)
{
        while (x->lines.n) {
                struct buf taken = x->lines;
                struct batch b = { x->fd, buf_str(&taken) };
                int rc;

                buf_init(&x->lines, GATHERED_MOST);
                rc = offload(QUICK, write_batch, &b);
                if (rc < 0)
                        log_warn("xferlog", "error=%d", -rc);
                buf_free(&taken);
        }
        if (x->dropped)
                log_warn("xferlog", "dropped=%lu", x->dropped);
        x->dropped = 0;
}

static void writer(void *arg)
{
        struct xferlog *x = arg;
        nsec until = now() + MOMENT;

        while (!x->closing && x->lines.n < ENOUGH && wait_on(&x->hurry, "more for the xferlog", until) == 0)
                ;
        write_gathered(x);
        x->writing = false;
        wake_all(&x->idle);
}

/* A path or name is one word there: what would break it up is an underscore, as wu-ftpd has it. */
static void put_word(struct buf *b, struct str s)
{
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                buf_u8(b, c <= ' ' || c == 127 ? '_' : c);
        }
        if (!s.n)
                buf_u8(b, '*');
}

void xferlog_note(struct xferlog *x, const struct xferlog_entry *e)
{
        time_t wall = (time_t)(wall_usec() / 1000000);
        struct buf *b = &x->lines;
        char date[32];
        struct tm tm;

        if (b->max - b->n < LINE_ROOM + e->path.n + e->name.n) {
                x->dropped++;
                return;
        }
        localtime_r(&wall, &tm);
        strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
        buf_printf(b, "%s %lld %s %llu ", date, (long long)((e->took + SECOND / 2) / SECOND), e->host,
                   (unsigned long long)e->octets);
        put_word(b, e->path);
        buf_printf(b, " %c _ %c %c ", e->text ? 'a' : 'b', e->upload ? 'i' : 'o', e->anonymous ? 'a' : 'r');
        put_word(b, e->name);
        buf_printf(b, " ftp 0 * %c\n", e->complete ? 'c' : 'i');
        if (!x->writing && fiber_spawn("xferlog", writer, x) == 0)
                x->writing = true;
        if (b->n >= ENOUGH)
                wake_all(&x->hurry);
}

void xferlog_close(struct xferlog **at)
{
        struct xferlog *x = *at;

        *at = NULL;
        if (!x)
                return;
        x->closing = true;
        wake_all(&x->hurry);
        while (x->writing && wait_on(&x->idle, "the xferlog", NEVER) == 0)
                ;
        write_gathered(x);
        close(x->fd);
        buf_free(&x->lines);
        mem_free(x);
}
