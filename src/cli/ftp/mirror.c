/* mirror: a tree here as it is there, or there as it is here. */
#include "cli/ftp/mirror.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { PARALLEL = 8, PATTERNS_MOST = 64 };

const char *mirror_there(const struct mirror *m, const char *path, struct arena *a)
{
        bool slash = !*m->remote || str_ends(str_of(m->remote), S("/"));

        if (!*path)
                return m->remote;
        return arena_printf(a, "%s%s%s", m->remote, slash ? "" : "/", path).p;
}

int mirror_above(const struct mirror *m, const char *path, const char **name)
{
        struct str base = local_base(path);
        char *above = mem_string(str_from(path, (size_t)(base.p - path)));
        int fd = local_beneath(m->root, above, O_RDONLY | O_DIRECTORY);

        mem_free(above);
        *name = base.p;
        return fd;
}

/* Every step of a dry run is said; of others with -v or `debug`. */
void mirror_say(struct mirror *m, const char *what, const char *path)
{
        struct console *c = m->console;

        if (!m->how->dry_run && !m->how->verbose && !c->debug)
                return;
        progress_away();
        fprintf(c->out, "%s ", what);
        put_safe(c->out, path);
        fputc('\n', c->out);
}

void mirror_fail(struct mirror *m, int code)
{
        if (!m->code)
                m->code = code;
}

/* ---- deletion ---- */

static int remove_here(struct mirror *m, const struct gone *g)
{
        const char *name;
        int dir = mirror_above(m, g->path, &name), rc = dir;

        if (dir >= 0) {
                rc = unlinkat(dir, name, g->folder ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
                close(dir);
        }
        return rc < 0 ? say_errno(m->console, rc, g->path) : EX_OK;
}

static int remove_there(struct mirror *m, const struct gone *g)
{
        struct arena auto_arena a = { 0 };

        arena_init(&a, LINE_MOST);
        return site_ask(m->site, NULL, "%s %s", g->folder ? "RMD" : "DELE", mirror_there(m, g->path, &a));
}

static void remove_extra(struct mirror *m)
{
        bool may = !m->unseen && !m->console->stopped;

        if (m->gone && m->unseen && !m->console->stopped)
                say_fail(m->console, 0, "mirror", "nothing is deleted, since not everything could be seen");
        m->site->hush++;
        while (m->gone) {
                struct gone *g = m->gone;
                int rc = EX_OK;

                m->gone = g->next;
                may = may && !m->console->stopped && m->site->client;
                if (may) {
                        mirror_say(m, g->folder ? "rmdir" : "delete", g->path);
                        if (!m->how->dry_run)
                                rc = m->how->reverse ? remove_there(m, g) : remove_here(m, g);
                        m->removed += rc == EX_OK;
                        mirror_fail(m, rc);
                }
                mem_free(g->path);
                mem_free(g);
        }
        m->site->hush--;
}

/* ---- all of it ---- */

static void sum(struct mirror *m, nsec took)
{
        struct console *c = m->console;
        char size[32], time[32], rate[48];

        progress_away();
        fprintf(c->out, "%u %s (" PRS ")%s", m->files, m->files == 1 ? "file" : "files",
                STR(size_words(m->bytes, size)),
                m->how->dry_run   ? " would be moved"
                : m->how->reverse ? " sent"
                                  : " received");
        if (m->folders)
                fprintf(c->out, ", %u %s made", m->folders, m->folders == 1 ? "directory" : "directories");
        if (m->removed)
                fprintf(c->out, ", %u deleted", m->removed);
        if (m->failed)
                fprintf(c->out, ", %u failed", m->failed);
        if (m->links)
                fprintf(c->out, ", %u left out (links, devices)", m->links);
        if (!m->how->dry_run)
                fprintf(c->out, " in " PRS " (" PRS ")", STR(time_words(took, time)),
                        STR(rate_words(m->bytes, took, rate)));
        fputc('\n', c->out);
}

/* The root on this side; made if things come here. */
static int open_root(struct mirror *m, const char *local)
{
        struct console *c = m->console;

        if (!m->how->reverse && !m->how->dry_run && mkdirat(c->folder, local, 0777) < 0 && errno != EEXIST)
                return -errno;
        m->root = openat(c->folder, local, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        m->no_root = m->root < 0 && errno == ENOENT && m->how->dry_run && !m->how->reverse;
        return m->root < 0 && !m->no_root ? -errno : 0;
}

/* The root there: made if things go there and it is not. */
static int make_remote_root(struct mirror *m)
{
        struct ftp_answer answer;
        int rc;

        if (!m->how->reverse || m->how->dry_run || !*m->remote || !strcmp(m->remote, "/"))
                return EX_OK;
        m->site->hush++;
        rc = ftp_client_ask(m->site->client, &answer, "MKD %s", m->remote);
        m->site->hush--;
        (void)rc; /* there already: the listing will say */
        return EX_OK;
}

int mirror(struct site *s, const char *remote, const char *local, const struct mirror_how *how)
{
        struct console *c = s->console;
        struct mirror *m = mem_new(struct mirror);
        nsec begun = now();
        int rc, code;

        m->console = c;
        m->site = s;
        m->how = how;
        m->remote = remote;
        m->end = &m->first;
        rc = open_root(m, local);
        if (rc < 0) {
                mem_free(m);
                return say_errno(c, rc, local);
        }
        console_copy(&m->helpers, c, c->out);
        m->helpers.verbose = m->helpers.debug = false;
        m->helpers.mute = !c->debug;
        m->helpers.tries = 1;
        c->helpers = &m->helpers;
        mirror_fail(m, make_remote_root(m));
        shown_begin(&m->shown, c, "mirror", 0, UINT64_MAX);
        mirror_list(m);
        m->listed = true;
        wake_all(&m->changed);
        mirror_work(m);
        mirror_join(m);
        shown_end(&m->shown);
        remove_extra(m);
        c->helpers = NULL;
        if (c->verbose || m->failed || how->dry_run || how->verbose)
                sum(m, now() - begun);
        code = c->stopped ? EX_STOPPED : m->code;
        close(m->helpers.folder);
        if (m->root >= 0)
                close(m->root);
        mem_free(m);
        return code;
}

/* ---- the words ---- */

struct mirror_words {
        struct mirror_how how;
        const char *exclude[PATTERNS_MOST], *include[PATTERNS_MOST];
};

static bool is(const char *word, const char *s, const char *l)
{
        return !strcmp(word, s) || !strcmp(word, l);
}

/* How many words were taken; 0: no option of ours, or its value is missing. */
static int option(struct mirror_words *w, const char *word, const char *value)
{
        struct mirror_how *h = &w->how;
        uint64_t n;

        if (is(word, "-R", "--reverse"))
                return h->reverse = true, 1;
        if (is(word, "-e", "--delete"))
                return h->delete = true, 1;
        if (is(word, "-n", "--dry-run"))
                return h->dry_run = true, 1;
        if (is(word, "-v", "--verbose"))
                return h->verbose = true, 1;
        if (is(word, "-N", "--newer"))
                return h->newer = true, 1;
        if (is(word, "-r", "--flat"))
                return h->flat = true, 1;
        if (!strcmp(word, "--no-times"))
                return h->no_times = true, 1;
        if (is(word, "-P", "--parallel") && value && str_u64(str_of(value), &n) && n && n <= WORKERS_MOST)
                return h->parallel = (unsigned)n, 2;
        if (is(word, "-x", "--exclude") && value && h->excludes < PATTERNS_MOST)
                return w->exclude[h->excludes++] = value, 2;
        if (is(word, "-i", "--include") && value && h->includes < PATTERNS_MOST)
                return w->include[h->includes++] = value, 2;
        return 0;
}

/* Where it goes when that was not said: a tree of the same name, or, of "", ".", ".." and "/", where we are. */
static const char *base_or(const char *from, const char *here)
{
        struct str base = from ? local_base(from) : S("");

        return ftp_name_safe(base) ? base.p : here;
}

int do_mirror(struct console *c, int argc, char **argv)
{
        struct mirror_words *w = mem_new(struct mirror_words);
        const char *from = NULL, *to = NULL;
        int code = EX_OK;

        w->how.parallel = PARALLEL;
        w->how.exclude = w->exclude;
        w->how.include = w->include;
        for (int i = 1, n; i < argc && code == EX_OK; i += n) {
                n = 1;
                if (argv[i][0] == '-' && argv[i][1]) {
                        n = option(w, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
                        if (!n)
                                code = say_fail(c, EX_USAGE, argv[i],
                                                "no option of mirror, or without its value");
                } else if (to) {
                        code = say_fail(c, EX_USAGE, argv[i], "only FROM and TO");
                } else if (from) {
                        to = argv[i];
                } else {
                        from = argv[i];
                }
                if (!n)
                        break;
        }
        if (code == EX_OK && w->how.reverse)
                code = mirror(c->site, to ? to : base_or(from, ""), from ? from : ".", &w->how);
        else if (code == EX_OK)
                code = mirror(c->site, from ? from : "", to ? to : base_or(from, "."), &w->how);
        mem_free(w);
        return code;
}
