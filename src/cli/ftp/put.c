/* put, reput, append, mput, mdelete. */
#include "cli/ftp/ftp.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { ARENA_MOST = 256 * 1024 * 1024 };

static int put(struct console *c, const char *local, const char *remote, enum ftp_moves move, bool resume,
               struct arena *a)
{
        struct store p = {
                .site = c->site, .local = local, .move = move, .resume = resume, .keep_time = c->preserve
        };

        if (!remote && (!strcmp(local, "-") || local[0] == '|'))
                return say_fail(c, EX_USAGE, local, "what is it to be called there?");
        p.remote = remote ? remote : name_across(c, local_base(local), false, a).p;
        if (str_ends(str_of(p.remote), S("/")))
                p.remote =
                    arena_printf(a, "%s" PRS, p.remote, STR(name_across(c, local_base(local), false, a))).p;
        if (move == FTP_PUT && c->unique_remote)
                p.move = FTP_PUT_UNIQUE;
        return store_file(&p);
}

static int put_words(struct console *c, int argc, char **argv, enum ftp_moves move, bool resume)
{
        struct arena auto_arena a = { 0 };

        arena_init(&a, ARENA_MOST);
        return put(c, argv[1], argc > 2 ? argv[2] : NULL, move, resume, &a);
}

int do_put(struct console *c, int argc, char **argv)
{
        return put_words(c, argc, argv, FTP_PUT, false);
}

int do_reput(struct console *c, int argc, char **argv)
{
        return put_words(c, argc, argv, FTP_PUT, true);
}

int do_append(struct console *c, int argc, char **argv)
{
        return put_words(c, argc, argv, FTP_APPEND, false);
}

static int put_named(struct console *c, const char *name, bool resume, struct arena *a)
{
        return put(c, name, NULL, FTP_PUT, resume, a);
}

int do_mput(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        struct str *names = NULL;
        size_t n = 0;
        int code;

        arena_init(&a, ARENA_MOST);
        code = local_names(c, argc - 1, argv + 1, &a, &names, &n);
        return code ? code : for_each_name(c, names, n, "mput", 'y', put_named, false, &a);
}

static int delete_named(struct console *c, const char *name, bool resume, struct arena *a)
{
        (void)resume;
        (void)a;
        return site_ask(c->site, NULL, "DELE %s", name);
}

int do_mdelete(struct console *c, int argc, char **argv)
{
        struct arena auto_arena a = { 0 };
        struct str *names = NULL;
        size_t n = 0;
        int code, rc;

        arena_init(&a, ARENA_MOST);
        code = remote_names(c->site, argc - 1, argv + 1, true, &a, &names, &n);
        rc = for_each_name(c, names, n, "mdelete", 'n', delete_named, false, &a);
        return code ? code : rc;
}
