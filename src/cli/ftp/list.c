/* ls, dir, nlist, mls, mdir, mlsd: listings as they come, to the screen, a file or a program; and as JSON. */
#include "cli/ftp/ftp.h"
#include "cli/json.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { KEPT_MOST = 256 * 1024 * 1024, ARENA_MOST = 512 * 1024 * 1024 };

struct listing {
        struct console *console;
        bool kept; /* for a file or a program */
        struct buf text;
};

static void came(void *context, struct str line)
{
        struct listing *l = context;

        if (l->kept) {
                buf_puts(&l->text, line);
                buf_u8(&l->text, '\n');
        } else {
                put_line(l->console, line);
        }
}

static int once_or_again(struct site *s, struct listing *l, const char *command, const char *path)
{
        struct ftp_answer answer = { 0 };
        int rc = ftp_client_listing(s->client, command, path, came, l, &answer);

        if (site_lost(rc, &answer) && !s->console->stopped && site_again(s) == EX_OK) {
                buf_clear(&l->text);
                rc = ftp_client_listing(s->client, command, path, came, l, &answer);
        }
        return rc < 0 ? site_failed(s, rc, &answer, *path ? path : command) : EX_OK;
}

static int hand_over(struct console *c, struct listing *l, const char *to)
{
        int fd, pid = -1, rc;

        if (to[0] == '|') {
                rc = program_begin(c, to + 1, true, &fd, &pid);
                if (rc < 0)
                        return say_errno(c, rc, to);
        } else {
                fd = openat(c->folder, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
                if (fd < 0)
                        return say_errno(c, -errno, to);
        }
        rc = local_write_all(fd, l->text.p ? l->text.p : "", l->text.n);
        close(fd);
        if (pid >= 0) {
                program_end(pid);
                c->stopped = false;
        }
        return rc < 0 && rc != -EPIPE ? say_errno(c, rc, to) : EX_OK;
}

static int list(struct console *c, const char *command, int n, char **paths, const char *to)
{
        static char here[] = "", *only_here[] = { here };
        struct listing l = { .console = c, .kept = to && strcmp(to, "-") != 0 };
        int code = EX_OK, rc;

        buf_init(&l.text, KEPT_MOST);
        if (!n) {
                n = 1;
                paths = only_here;
        }
        for (int i = 0; i < n && !c->stopped && c->site->client; i++) {
                rc = once_or_again(c->site, &l, command, paths[i]);
                code = code ? code : rc;
        }
        if (l.text.full)
                code = say_fail(c, EX_DATAERR, command, "a listing without end");
        if (l.kept && !c->stopped && (l.text.n || !code)) {
                rc = hand_over(c, &l, to);
                code = code ? code : rc;
        }
        buf_free(&l.text);
        return code;
}

/* ls [-options] [remote [local]]: options are the server's. */
static int one(struct console *c, const char *command, int argc, char **argv)
{
        struct buf auto_buf path = { 0 };
        char *paths[1];
        const char *to = NULL;
        int at = 1;

        buf_init(&path, PATH_ROOM);
        for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++)
                buf_printf(&path, "%s%s", path.n ? " " : "", argv[at]);
        if (at < argc && argv[at][0] != '|')
                buf_printf(&path, "%s%s", path.n ? " " : "", argv[at++]);
        if (at < argc)
                to = argv[at++];
        if (at < argc)
                return say_fail(c, EX_USAGE, argv[0],
                                "one remote name and one here at most; mls and mdir take more");
        buf_u8(&path, 0);
        if (path.full)
                return say_fail(c, EX_USAGE, argv[0], "the name is too long");
        paths[0] = path.p;
        return list(c, command, 1, paths, to);
}

int do_ls(struct console *c, int argc, char **argv)
{
        return one(c, "LIST", argc, argv);
}

int do_nlist(struct console *c, int argc, char **argv)
{
        return one(c, "NLST", argc, argv);
}

int do_mlsd(struct console *c, int argc, char **argv)
{
        return one(c, "MLSD", argc, argv);
}

/* mls, mdir: remote names, the last word a place here ("-": the screen) if there are several */
int do_mls(struct console *c, int argc, char **argv)
{
        const char *to = argc > 2 ? argv[argc - 1] : NULL;

        return list(c, argv[0][1] == 'd' ? "LIST" : "NLST", argc - 1 - (to != NULL), argv + 1, to);
}

/* ---- JSON ---- */

static const char *kind_word(enum ftp_entry_kind kind)
{
        return kind == FTP_ENTRY_FILE     ? "file"
               : kind == FTP_ENTRY_FOLDER ? "folder"
               : kind == FTP_ENTRY_LINK   ? "link"
                                          : "other";
}

static void put_entry(struct json *j, const struct ftp_entry *e)
{
        char when[32];
        struct tm tm;
        time_t t = (time_t)e->modified;

        json_open(j, NULL, '{');
        json_str(j, "name", e->name);
        json_str(j, "kind", str_of(kind_word(e->kind)));
        if (e->size != UINT64_MAX)
                json_number(j, "size", e->size);
        if (e->modified != INT64_MIN && gmtime_r(&t, &tm)) {
                strftime(when, sizeof(when), e->modified_exact ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M",
                         &tm);
                json_str(j, "modified", str_of(when));
        }
        if (e->mode >= 0) {
                snprintf(when, sizeof(when), "%04o", (unsigned)e->mode & 07777);
                json_str(j, "mode", str_of(when));
        }
        if (e->target.n)
                json_str(j, "target", e->target);
        json_close(j, '}');
}

int list_json(struct console *c, const char *path)
{
        struct arena auto_arena a = { 0 };
        struct json j = { .to = c->out };
        struct ftp_answer answer = { 0 };
        struct ftp_entry *list_of = NULL;
        size_t n = 0, unsafe = 0;
        int rc;

        arena_init(&a, ARENA_MOST);
        rc = ftp_client_entries(c->site->client, path, &a, &list_of, &n, &unsafe, &answer);
        if (rc < 0)
                return site_failed(c->site, rc, &answer, path);
        json_open(&j, NULL, '[');
        for (size_t i = 0; i < n; i++)
                put_entry(&j, &list_of[i]);
        json_close(&j, ']');
        if (unsafe)
                fprintf(stderr, "pail ftp: %zu names are left out: no file can be called so\n", unsafe);
        return EX_OK;
}
