/* What patterns stand for, there and here: `*`, `?` and `[a-z]` in any part of a path there, in the last one here. */
#include "cli/ftp/ftp.h"
#include "proto/ftp/glob.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { NAMES_MOST = 200 * 1000 };

struct names_found {
        struct site *site;
        struct arena *arena;
        struct str *list;
        size_t n, room;
        bool files, too_many;
        int code;
};

static void add(struct names_found *f, struct str name)
{
        if (f->n >= NAMES_MOST) {
                f->too_many = true;
                return;
        }
        if (f->n == f->room) {
                struct str *old = f->list;

                f->room = f->room ? 2 * f->room : 64;
                f->list = arena_array(f->arena, struct str, f->room);
                for (size_t i = 0; i < f->n; i++)
                        f->list[i] = old[i];
        }
        f->list[f->n++] = name;
}

/* `done` is settled, ends with '/' or is empty; `rest` has the parts behind it. */
static void expand(struct names_found *f, struct str done, struct str rest)
{
        struct ftp_answer answer = { 0 };
        struct ftp_entry *entries;
        size_t n = 0, unsafe = 0;
        struct str part, next = rest;
        bool more = str_cut(&next, '/', &part);
        int rc;

        if (!glob_is_pattern(part)) {
                struct str path = arena_printf(f->arena, PRS PRS "%s", STR(done), STR(part), more ? "/" : "");

                if (more)
                        expand(f, path, next);
                else
                        add(f, path);
                return;
        }
        f->site->hush++;
        rc = ftp_client_entries(f->site->client, done.n ? arena_str(f->arena, done).p : "", f->arena,
                                &entries, &n, &unsafe, &answer);
        f->site->hush--;
        if (rc < 0) {
                if (!f->code)
                        f->code = site_failed(f->site, rc, &answer, done.n ? done.p : "listing");
                return;
        }
        for (size_t i = 0; i < n && !f->too_many && !f->code && !f->site->console->stopped; i++) {
                struct str path;

                if (!glob_matches(part, entries[i].name, false) ||
                    (more ? entries[i].kind == FTP_ENTRY_FILE
                          : f->files && entries[i].kind == FTP_ENTRY_FOLDER))
                        continue;
                path = arena_printf(f->arena, PRS PRS "%s", STR(done), STR(entries[i].name), more ? "/" : "");
                if (more)
                        expand(f, path, next);
                else
                        add(f, path);
        }
}

int remote_names(struct site *s, int n, char **patterns, bool files, struct arena *a, struct str **names,
                 size_t *count)
{
        struct names_found f = { .site = s, .arena = a, .files = files };

        for (int i = 0; i < n && !f.code; i++) {
                size_t before = f.n;

                if (s->console->glob && glob_is_pattern(str_of(patterns[i])))
                        expand(&f, S(""), str_of(patterns[i]));
                else
                        add(&f, str_of(patterns[i]));
                if (!f.code && f.n == before)
                        f.code = say_fail(s->console, EX_NOINPUT, patterns[i], "no name there is like this");
        }
        if (f.too_many)
                f.code = say_fail(s->console, EX_UNAVAILABLE, "names", "too many");
        *names = f.list;
        *count = f.n;
        return f.code;
}

static int by_name(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

int local_names(struct console *c, int n, char **patterns, struct arena *a, struct str **names, size_t *count)
{
        struct names_found f = { .arena = a };

        for (int i = 0; i < n; i++) {
                const char *pattern;
                size_t before = f.n;
                struct dirent *e;
                int fd;
                DIR *dir;

                if (!c->glob || !glob_is_pattern(local_base(patterns[i]))) {
                        add(&f, str_of(patterns[i]));
                        continue;
                }
                fd = local_parent(c->folder, patterns[i], &pattern);
                dir = fd < 0 ? NULL : fdopendir(fd);
                if (!dir) {
                        if (fd >= 0)
                                close(fd);
                        return say_errno(c, fd < 0 ? fd : -errno, patterns[i]);
                }
                while ((e = readdir(dir)) && !f.too_many)
                        if (e->d_type != DT_DIR && glob_matches(str_of(pattern), str_of(e->d_name), false))
                                add(&f, arena_printf(a, "%.*s%s", (int)(pattern - patterns[i]), patterns[i],
                                                     e->d_name));
                closedir(dir);
                if (f.n == before)
                        return say_fail(c, EX_NOINPUT, patterns[i], "no file here is like this");
                qsort(f.list + before, f.n - before, sizeof(*f.list), by_name);
        }
        *names = f.list;
        *count = f.n;
        return f.too_many ? say_fail(c, EX_UNAVAILABLE, "names", "too many") : EX_OK;
}
