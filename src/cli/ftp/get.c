/* get, reget, newer, mget, fget. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { ARENA_MOST = 256 * 1024 * 1024, UNIQUE_MOST = 1000, LIST_MOST = 16 * 1024 * 1024 };

/* What a remote name is called here: its last part, as the person wants names to be. */
static struct str name_here(struct console *c, const char *remote, struct arena *a)
{
        return name_across(c, local_base(remote), true, a);
}

/* runique: NAME.1, NAME.2, ... */
static const char *unique(struct console *c, const char *name, struct arena *a)
{
        struct stat st;
        struct str s = str_of(name);

        for (unsigned i = 1; i < UNIQUE_MOST && fstatat(c->folder, s.p, &st, AT_SYMLINK_NOFOLLOW) == 0; i++)
                s = arena_printf(a, "%s.%u", name, i);
        return s.p;
}

static int get_one(struct console *c, const char *remote, const char *local, bool resume, struct arena *a)
{
        struct fetch f = {
                .site = c->site, .remote = remote, .dir = -1, .resume = resume, .keep_time = c->preserve
        };
        struct stat st;

        f.name = local ? local : name_here(c, remote, a).p;
        if (!local && (*c->map.in || *c->trans.in) && !name_allowed(str_of(f.name)))
                return say_fail(c, EX_DATAERR, f.name, "no file here may have this name");
        if (local && local[0] != '|' && fstatat(c->folder, local, &st, 0) == 0 && S_ISDIR(st.st_mode))
                f.name = arena_printf(a, "%s/" PRS, local, STR(name_here(c, remote, a))).p;
        if (c->unique_local && f.name[0] != '|' && strcmp(f.name, "-") != 0)
                f.name = unique(c, f.name, a);
        return fetch_file(&f);
}

static int get(struct console *c, int argc, char **argv, bool resume)
{
        struct arena auto_arena a = { 0 };

        arena_init(&a, ARENA_MOST);
        return get_one(c, argv[1], argc > 2 ? argv[2] : NULL, resume, &a);
}

int do_get(struct console *c, int argc, char **argv)
{
        return get(c, argc, argv, false);
}

int do_reget(struct console *c, int argc, char **argv)
{
        return get(c, argc, argv, true);
}

/* Only if it is newer there, or not here. */
int do_newer(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        const char *local;
        struct stat st;
        int64_t there;

        arena_init(&a, ARENA_MOST);
        local = argc > 2 ? argv[2] : name_here(c, argv[1], &a).p;
        if (fstatat(c->folder, local, &st, 0) == 0) {
                if (!fetch_time(c->site, argv[1], &there))
                        return say_fail(c, EX_UNAVAILABLE, argv[1],
                                        "the server does not say when it was changed");
                if (there <= st.st_mtim.tv_sec) {
                        if (c->verbose) {
                                fputs("Local file \"", c->out);
                                put_safe(c->out, local);
                                fputs("\" is newer than remote file\n", c->out);
                        }
                        return EX_OK;
                }
        }
        return get_one(c, argv[1], local, false, &a);
}

/* "mget NAME [y/n/a/q]? ": 'y' or 'n' by Enter as `enter` says; once 'a', always yes. Ctrl-C is 'q'. */
static char ask_each(struct console *c, bool *all, const char *verb, const char *name, char enter)
{
        struct buf auto_buf question = { 0 }, auto_buf answer = { 0 };

        if (!c->ask || !c->prompts || *all)
                return 'y';
        buf_init(&question, LINE_MOST);
        buf_init(&answer, 8 * 1024);
        buf_printf(&question, "%s ", verb);
        terminal_safe(&question, str_of(name));
        buf_puts(&question, S(" [y/n/a/q]? "));
        buf_u8(&question, 0);
        for (;;) {
                struct str word;
                char letter;

                if (!terminal_ask(question.p, true, &answer))
                        return 'q';
                word = str_trim(buf_str(&answer));
                letter = word.n ? chr_lower(word.p[0]) : enter;
                *all = letter == 'a' || letter == 'p'; /* BSD: p turns the questions off */
                if (*all)
                        return 'y';
                if (letter == 'y' || letter == 'n' || letter == 'q')
                        return letter;
        }
}

int for_each_name(struct console *c, const struct str *list, size_t n, const char *verb, char enter,
                  int (*one)(struct console *c, const char *name, bool resume, struct arena *a), bool resume,
                  struct arena *a)
{
        bool all = false;
        int code = EX_OK;

        for (size_t i = 0; i < n && !c->stopped && c->site->client; i++) {
                const char *name = arena_str(a, list[i]).p;
                char letter = ask_each(c, &all, verb, name, enter);
                int rc = EX_OK;

                if (letter == 'q')
                        break;
                if (letter == 'y')
                        rc = one(c, name, resume, a);
                code = code ? code : rc;
        }
        return code;
}

static int get_named(struct console *c, const char *name, bool resume, struct arena *a)
{
        if (!name_allowed(local_base(name)))
                return say_fail(c, EX_DATAERR, name, "no file here may have this name");
        return get_one(c, name, NULL, resume, a);
}

int do_mget(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        bool resume = argc > 2 && !strcmp(argv[1], "-c");
        struct str *names;
        size_t n;
        int rc;

        arena_init(&a, ARENA_MOST);
        argc -= resume;
        argv += resume;
        rc = remote_names(c->site, argc - 1, argv + 1, true, &a, &names, &n);
        return rc && !n ? rc : for_each_name(c, names, n, "mget", 'y', get_named, resume, &a);
}

/* fget FILE: the names stand in a file here, one a line. */
int do_fget(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        struct buf auto_buf text = { 0 };
        struct str all, name;
        int fd = openat(c->folder, argv[1], O_RDONLY | O_CLOEXEC), code = EX_OK;
        char *room;
        ssize_t n;

        (void)argc;
        if (fd < 0)
                return say_errno(c, -errno, argv[1]);
        arena_init(&a, ARENA_MOST);
        buf_init(&text, LIST_MOST);
        while ((room = buf_room(&text, 64 * 1024)) && (n = read(fd, room, 64 * 1024)) > 0)
                buf_added(&text, (size_t)n);
        close(fd);
        for (all = buf_str(&text); all.n && !c->stopped;) {
                str_cut(&all, '\n', &name);
                if (str_ends(name, S("\r")))
                        name.n--;
                if (name.n) {
                        int rc = for_each_name(c, &name, 1, "get", 'y', get_named, false, &a);

                        code = code ? code : rc;
                }
        }
        return code;
}
