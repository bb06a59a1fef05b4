/* Without a prompt: pail ftp get URL... [LOCAL], put LOCAL... URL, mirror FROM TO, ls [--json] URL. One failure ends nothing, but is the exit
 * code. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include <errno.h>
#include <sysexits.h>

enum { ARENA_MOST = 16 * 1024 * 1024 };

static bool same_place(const struct where *a, const struct where *b)
{
        return !strcmp(a->host, b->host) && a->port == b->port && a->tls_said == b->tls_said &&
               a->tls == b->tls && a->has_user == b->has_user && (!a->has_user || !strcmp(a->user, b->user));
}

/* Open, if it is not already; *path: what stands behind the host. */
static int go_to(struct console *c, const char *url, struct where *last, struct arena *a, const char **path)
{
        struct buf auto_buf macros = { 0 };
        struct where *w = mem_new(struct where);
        const char *why = "";
        int rc = EX_OK;

        if (!bookmark_find(url, w) && !where_parse(str_of(url), w, &why)) {
                mem_free(w);
                return say_fail(c, EX_USAGE, url, why);
        }
        *path = arena_str(a, str_of(w->path)).p;
        if (w->type == 'a' || w->type == 'i')
                c->coding.type = w->type == 'a' ? TYPE_ASCII : TYPE_IMAGE;
        if (c->site->client && same_place(w, last)) {
                ftp_client_coding(c->site->client, &c->coding);
        } else {
                if (c->site->client)
                        site_close(c->site);
                *last = *w;
                c->site->where = *w;
                *c->site->where.path = 0;
                buf_init(&macros, LINE_MOST);
                if (c->auto_login)
                        netrc_find(c->netrc, &c->site->where, &macros);
                rc = site_open(c->site, true);
        }
        mem_free(w);
        return rc;
}

static int get(struct console *c, int argc, char **argv, struct where *last, struct arena *a)
{
        bool resume = argc > 1 && !strcmp(argv[1], "-c");
        const char *to = NULL, *path, *name;
        int code = EX_OK, rc, first = resume ? 2 : 1;

        if (argc - first > 1 && !where_is_url(argv[argc - 1]))
                to = argv[--argc];
        if (argc - first < 1 || (to && argc - first > 1 && !str_ends(str_of(to), S("/"))))
                return -1;
        for (int i = first; i < argc && !c->stopped; i++) {
                rc = go_to(c, argv[i], last, a, &path);
                if (rc == EX_OK && (!*path || str_ends(str_of(path), S("/"))))
                        rc = say_fail(c, EX_USAGE, argv[i], "a directory; ls and mirror take these");
                if (rc == EX_OK) {
                        name = local_base(path).p;
                        if (to)
                                name =
                                    str_ends(str_of(to), S("/")) ? arena_printf(a, "%s%s", to, name).p : to;
                        rc = fetch_file(&(struct fetch){ .site = c->site,
                                                         .remote = path,
                                                         .dir = -1,
                                                         .name = name,
                                                         .resume = resume,
                                                         .keep_time = c->preserve });
                }
                code = code ? code : rc;
        }
        return code;
}

static int put(struct console *c, int argc, char **argv, struct where *last, struct arena *a)
{
        bool resume = argc > 1 && !strcmp(argv[1], "-c"), folder;
        const char *path;
        int first = resume ? 2 : 1, code;

        if (argc - first < 2)
                return -1;
        code = go_to(c, argv[argc - 1], last, a, &path);
        if (code)
                return code;
        folder = !*path || str_ends(str_of(path), S("/"));
        if (!folder && argc - first > 2)
                return say_fail(c, EX_USAGE, argv[argc - 1],
                                "several files need a directory: a URL that ends with /");
        for (int i = first; i < argc - 1 && !c->stopped; i++) {
                struct str base = local_base(argv[i]);
                int rc;

                if (folder && (!strcmp(argv[i], "-") || argv[i][0] == '|'))
                        rc = say_fail(c, EX_USAGE, argv[i], "what is it to be called there?");
                else
                        rc = store_file(&(struct store){
                            .site = c->site,
                            .local = argv[i],
                            .remote = folder ? arena_printf(a, "%s" PRS, path, STR(base)).p : path,
                            .move = FTP_PUT,
                            .resume = resume,
                            .keep_time = c->preserve });
                code = code ? code : rc;
        }
        return code;
}

static int list(struct console *c, int argc, char **argv, struct where *last, struct arena *a)
{
        bool json = argc > 1 && !strcmp(argv[1], "--json");
        static char ls[] = "ls";
        char *words[2] = { ls, NULL };
        const char *path;
        int rc;

        if (argc != (json ? 3 : 2))
                return -1;
        rc = go_to(c, argv[argc - 1], last, a, &path);
        if (rc)
                return rc;
        if (json)
                return list_json(c, path);
        words[1] = (char *)path;
        return do_ls(c, *path ? 2 : 1, words);
}

/* The last two words are from where and to where; the one that is a URL says which way. */
static int tree(struct console *c, int argc, char **argv, struct where *last, struct arena *a)
{
        static char reverse[] = "-R", here[] = ".";
        char **words = arena_array(a, char *, (size_t)argc + 3);
        const char *path;
        bool up;
        int n = 0, rc;

        if (argc < 3)
                return -1;
        up = where_is_url(argv[argc - 1]);
        if (up == where_is_url(argv[argc - 2]))
                return say_fail(c, EX_USAGE, "mirror", "FROM or TO is a URL, and the other a directory here");
        rc = go_to(c, argv[up ? argc - 1 : argc - 2], last, a, &path);
        if (rc)
                return rc;
        for (int i = 0; i < argc - 2; i++)
                words[n++] = argv[i];
        if (up)
                words[n++] = reverse;
        words[n++] = up ? argv[argc - 2] : *path ? (char *)path : here;
        words[n++] = up ? *path ? (char *)path : here : argv[argc - 1];
        return do_mirror(c, n, words);
}

/* -1: usage */
int once(struct console *c, int argc, char **argv)
{
        static const struct {
                const char *name;
                int (*run)(struct console *c, int argc, char **argv, struct where *last, struct arena *a);
        } words[] = { { "get", get }, { "put", put }, { "ls", list }, { "mirror", tree } };
        struct arena auto_arena a = { 0 };
        struct where *last;
        int rc = -1;

        arena_init(&a, ARENA_MOST);
        last = mem_new(struct where);
        terminal_on_interrupt(console_stop, c);
        for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (!strcmp(words[i].name, argv[0]))
                        rc = words[i].run(c, argc, argv, last, &a);
        mem_free(last);
        return c->stopped ? EX_STOPPED : rc;
}

bool once_is(const char *word)
{
        return !strcmp(word, "get") || !strcmp(word, "put") || !strcmp(word, "ls") || !strcmp(word, "mirror");
}
