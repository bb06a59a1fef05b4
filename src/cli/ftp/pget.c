/* pget: one file in segments, each by a connection of its own. What is there when one of them fails for good is cut to where it has no hole,
 * so that reget goes on. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "run/fiber.h"
#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { SEGMENTS = 4, SEGMENTS_MOST = 16, LEAST = 256 * 1024 };

struct segments;
struct segment {
        struct segments *all;
        struct site own, *site; /* the first has the console's */
        uint64_t from, at, end;
        int code;
        bool over;
};
struct segments {
        struct console *console, helpers;
        const char *remote;
        int fd;
        unsigned n, running;
        uint64_t size;
        struct segment part[SEGMENTS_MOST];
        struct shown_transfer shown;
        struct waitlist over;
};

static void moved(void *context, uint64_t bytes)
{
        struct segment *g = context;
        struct segments *x = g->all;
        uint64_t sum = 0;

        g->at = bytes < g->end ? bytes : g->end;
        for (unsigned i = 0; i < x->n; i++)
                sum += x->part[i].at - x->part[i].from;
        shown_at(&x->shown, sum);
}

static void fetch(struct segment *g)
{
        struct segments *x = g->all;
        struct console *c = x->console;
        unsigned tries = c->tries;

        while (g->at < g->end && !c->stopped) {
                struct ftp_transfer *t = mem_new(struct ftp_transfer);
                uint64_t before = g->at;
                int rc;

                *t = (struct ftp_transfer){ .move = FTP_GET,
                                            .remote = x->remote,
                                            .file = x->fd,
                                            .progress = moved,
                                            .context = g,
                                            .offset = g->at,
                                            .most = g->end == x->size ? 0 : g->end - g->at,
                                            .rate = c->rate_most ? &c->rate : NULL };
                rc = ftp_client_transfer(g->site->client, t);
                g->at = before + t->bytes < g->end ? before + t->bytes : g->end;
                if (rc == 0 && g->at < g->end) /* shorter than SIZE said */
                        g->code = say_fail(c, EX_DATAERR, x->remote, "the file has become shorter");
                if (rc < 0 && g->at < g->end && !site_lost(rc, &t->answer) && t->answer.code != 426)
                        g->code = site_failed(g->site, rc, &t->answer, x->remote);
                if (rc < 0 && !g->code && g->at < g->end) {
                        tries = g->at > before ? c->tries : tries;
                        if (!tries-- || site_again(g->site) != EX_OK)
                                g->code = c->stopped ? EX_STOPPED : EX_UNAVAILABLE;
                }
                mem_free(t);
                if (g->code)
                        return;
        }
        if (g->at < g->end)
                g->code = EX_STOPPED;
}

static void segment_fiber(void *arg)
{
        struct segment *g = arg;

        site_init(&g->own, &g->all->helpers);
        g->site = &g->own;
        g->code = site_like(&g->own, g->all->console->site);
        if (g->code == EX_OK)
                fetch(g);
        site_close(&g->own);
        g->over = true;
        g->all->running--;
        wake_all(&g->all->over);
}

static void divide(struct segments *x)
{
        uint64_t each = x->size / x->n;

        for (unsigned i = 0; i < x->n; i++) {
                struct segment *g = &x->part[i];

                g->all = x;
                g->from = g->at = i * each;
                g->end = i + 1 == x->n ? x->size : (i + 1) * each;
        }
}

/* Those whose connection could not be made are done by the first, when it has done its own. */
static int run(struct segments *x)
{
        struct segment *first = &x->part[0];
        int code = EX_OK;

        for (unsigned i = 1; i < x->n; i++)
                if (fiber_spawn("ftp segment", segment_fiber, &x->part[i]) == 0)
                        x->running++;
                else
                        x->part[i].code = EX_OSERR;
        first->site = x->console->site;
        fetch(first);
        while (x->running)
                if (wait_on(&x->over, "segments", NEVER) < 0) { /* we are cancelled; so are they */
                        console_stop(&x->helpers);
                        fiber_yield();
                }
        for (unsigned i = 0; i < x->n && !x->console->stopped; i++) {
                struct segment *g = &x->part[i];

                if (i && g->code && g->code != EX_DATAERR && !first->code && x->console->site->client) {
                        g->code = EX_OK;
                        g->site = x->console->site;
                        fetch(g);
                }
        }
        for (unsigned i = 0; i < x->n; i++)
                code = code ? code : x->part[i].code;
        return code;
}

static uint64_t without_hole(const struct segments *x)
{
        unsigned i = 0;

        while (i + 1 < x->n && x->part[i].at == x->part[i].end)
                i++;
        return x->part[i].at;
}

static int begin(struct console *c, struct segments *x, int dir, const char *name)
{
        char part[NAME_ROOM];
        uint64_t have;
        nsec begun = now();
        int code, rc;

        x->fd = local_part(dir, name, part, true, &have);
        if (x->fd < 0)
                return say_errno(c, x->fd, name);
        console_copy(&x->helpers, c, c->out);
        x->helpers.verbose = false;
        x->helpers.mute = !c->debug; /* what they cannot do the first does, and says why not */
        c->helpers = &x->helpers;
        shown_begin(&x->shown, c, name, 0, x->size);
        code = run(x);
        shown_end(&x->shown);
        c->helpers = NULL;
        if (code == EX_OK && c->preserve) {
                struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
                int64_t seconds;

                if (fetch_time(c->site, x->remote, &seconds)) {
                        times[1].tv_sec = seconds;
                        (void)futimens(x->fd, times);
                }
        }
        if (code == EX_OK && (rc = local_whole(dir, part, name)) < 0)
                code = say_errno(c, rc, name);
        if (code && ftruncate(x->fd, (off_t)without_hole(x)) < 0)
                unlinkat(dir, part, 0);
        close(x->fd);
        close(x->helpers.folder);
        if (code == EX_OK && c->verbose)
                say_sum(c, x->size, now() - begun, true);
        return code;
}

int pget(struct site *s, const char *remote, const char *local, unsigned n)
{
        struct console *c = s->console;
        struct segments *x;
        const char *name;
        uint64_t size;
        int dir, code;

        if (!coding_plain(&c->coding) || !(ftp_client_offers(s->client) & FTP_HAS_REST) ||
            !fetch_size(s, remote, &size) || size < LEAST)
                return fetch_file(&(struct fetch){
                    .site = s, .remote = remote, .dir = -1, .name = local, .keep_time = c->preserve });
        dir = local_parent(c->folder, local, &name);
        if (dir < 0)
                return say_errno(c, dir, local);
        x = mem_new(struct segments);
        x->console = c;
        x->remote = remote;
        x->size = size;
        x->n = n && n <= SEGMENTS_MOST ? n : SEGMENTS;
        if (x->n > size / (LEAST / 4))
                x->n = 1;
        divide(x);
        if (c->verbose) {
                say_names(c, local, remote);
                fprintf(c->out, " in %u segments\n", x->n);
        }
        code = begin(c, x, dir, name);
        close(dir);
        mem_free(x);
        return code;
}

/* pget [-n SEGMENTS] REMOTE [LOCAL] */
int do_pget(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        uint64_t n = SEGMENTS;

        arena_init(&a, LINE_MOST);
        if (argc > 2 && !strcmp(argv[1], "-n")) {
                if (!str_u64(str_of(argv[2]), &n) || !n || n > SEGMENTS_MOST)
                        return say_fail(c, EX_USAGE, argv[2], "1 to 16 segments");
                argc -= 2;
                argv += 2;
        }
        if (argc < 2 || argc > 3)
                return say_fail(c, EX_USAGE, "pget", "[-n SEGMENTS] REMOTE [LOCAL]");
        return pget(c->site, argv[1], argc > 2 ? argv[2] : arena_str(&a, local_base(argv[1])).p, (unsigned)n);
}
