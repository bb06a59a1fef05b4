/* Bookmarks: names for places, a line `NAME URL` each in ~/.config/pail/ftp-bookmarks. Passwords are not kept: they belong to .netrc. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "cli/home.h"
#include "run/offload.h"
#include <sysexits.h>
#include <unistd.h>

#define FILE_NAME "ftp-bookmarks"
enum { FILE_MOST = 1024 * 1024 };

struct rows {
        struct buf *read;
        struct str write;
};

static int read_rows(void *arg)
{
        struct rows *r = arg;
        int folder = home_open(HOME_CONFIG, NULL, false), rc;

        if (folder < 0)
                return folder;
        rc = home_read(folder, FILE_NAME, r->read);
        close(folder);
        return rc;
}

static int write_rows(void *arg)
{
        struct rows *r = arg;
        int folder = home_open(HOME_CONFIG, NULL, true), rc;

        if (folder < 0)
                return folder;
        rc = home_write(folder, FILE_NAME, r->write);
        close(folder);
        return rc;
}

/* None yet: empty. */
static void read_all(struct buf *text)
{
        buf_init(text, FILE_MOST);
        if (offload(QUICK, read_rows, &(struct rows){ .read = text }) < 0)
                buf_clear(text);
}

static int write_all(struct console *c, struct str text)
{
        int rc = offload(QUICK, write_rows, &(struct rows){ .write = text });

        return rc < 0 ? say_errno(c, rc, FILE_NAME) : EX_OK;
}

bool bookmark_find(const char *name, struct where *w)
{
        struct buf auto_buf text = { 0 };
        struct str all, line, first;
        const char *why;

        read_all(&text);
        for (all = buf_str(&text); all.n;) {
                str_cut(&all, '\n', &line);
                str_cut(&line, ' ', &first);
                if (str_eq(first, str_of(name)))
                        return where_parse(str_trim(line), w, &why);
        }
        return false;
}

/* All rows but that of `name`, and a new one. *had: there was one. */
static void without(struct str all, const char *name, struct buf *out, bool *had)
{
        struct str line, rest, first;

        *had = false;
        while (all.n) {
                str_cut(&all, '\n', &line);
                rest = line;
                str_cut(&rest, ' ', &first);
                if (str_eq(first, str_of(name)))
                        *had = true;
                else if (line.n)
                        buf_printf(out, PRS "\n", STR(line));
        }
}

static int add(struct console *c, const char *name, const char *url, struct str all, struct buf *out)
{
        struct where *w = mem_new(struct where);
        const char *why = "";
        bool had, good;

        *w = c->site->where;
        snprintf(w->path, sizeof(w->path), "%s", c->site->folder);
        good = url ? where_parse(str_of(url), w, &why) : *w->host != 0;
        if (good) {
                without(all, name, out, &had);
                buf_printf(out, "%s ", name);
                where_url(w, out);
                buf_puts(out, S("\n"));
        }
        mem_free(w);
        return good ? EX_OK
                    : say_fail(c, EX_USAGE, url ? url : name, url ? why : "not connected: say which URL");
}

int do_bookmark(struct console *c, int argc, char **argv)
{
        struct buf auto_buf text = { 0 }, auto_buf out = { 0 };
        bool had = false;
        int rc;

        read_all(&text);
        buf_init(&out, FILE_MOST);
        if (argc < 2 || !strcmp(argv[1], "list")) {
                terminal_put(c->out, buf_str(&text));
                return EX_OK;
        }
        if (argc < 3 || (strcmp(argv[1], "add") != 0 && strcmp(argv[1], "remove") != 0))
                return say_fail(c, EX_USAGE, argv[1], "add NAME [URL], remove NAME or list");
        if (str_find(str_of(argv[2]), ' ') != STR_NONE || str_has_control(str_of(argv[2])))
                return say_fail(c, EX_USAGE, argv[2], "a name has no blanks");
        if (!strcmp(argv[1], "add")) {
                rc = add(c, argv[2], argc > 3 ? argv[3] : NULL, buf_str(&text), &out);
        } else {
                without(buf_str(&text), argv[2], &out, &had);
                rc = had ? EX_OK : say_fail(c, EX_USAGE, argv[2], "no such bookmark");
        }
        if (rc == EX_OK && out.full)
                rc = say_fail(c, EX_CANTCREAT, argv[2], "too many bookmarks");
        return rc ? rc : write_all(c, buf_str(&out));
}
