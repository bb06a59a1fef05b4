/* macdef, $, source: lines kept under a name. $1 is the first word behind it, $i makes it run once for each. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

enum { MACRO_MOST = 256 * 1024, DEPTH_MOST = 16 };

static struct macro *find(struct console *c, const char *name)
{
        for (struct macro *m = c->macros; m; m = m->next)
                if (!strcmp(m->name, name))
                        return m;
        return NULL;
}

static void define(struct console *c, const char *name, struct str text)
{
        struct macro *m = find(c, name);

        if (!m) {
                m = mem_new(struct macro);
                m->name = mem_string(str_of(name));
                m->next = c->macros;
                c->macros = m;
        }
        mem_free(m->text);
        m->text = mem_string(text);
}

/* macdef NAME: the lines that follow, to an empty one */
int do_macdef(struct console *c, int argc, char **argv)
{
        struct buf auto_buf text = { 0 };
        const char *line;

        (void)argc;
        if (!c->prompt)
                return say_fail(c, EX_USAGE, argv[1], "only where lines can follow");
        if (c->prompts)
                fputs("Enter macro line by line, terminating it with an empty line\n", c->out);
        buf_init(&text, MACRO_MOST);
        while ((line = prompt_line(c->prompt, NULL)) && *line)
                buf_printf(&text, "%s\n", line);
        if (text.full)
                return say_fail(c, EX_USAGE, argv[1], "too long");
        define(c, argv[1], buf_str(&text));
        return EX_OK;
}

/* $1, $2 ..., $i (word number i), \$ and \\ */
static bool fill(struct str line, int argc, char **argv, int i, struct buf *out)
{
        bool loops = false;

        for (size_t at = 0; at < line.n; at++) {
                char c = line.p[at], next = at + 1 < line.n ? line.p[at + 1] : 0;

                if (c == '\\' && next) {
                        if (next != '$') /* others are for the words' own quoting */
                                buf_u8(out, '\\');
                        buf_u8(out, (uint8_t)next);
                        at++;
                } else if (c == '$' && next >= '1' && next <= '9') {
                        int n = next - '0';

                        buf_puts(out, str_of(n < argc ? argv[n] : ""));
                        at++;
                } else if (c == '$' && next == 'i') {
                        loops = true;
                        buf_puts(out, str_of(i < argc ? argv[i] : ""));
                        at++;
                } else {
                        buf_u8(out, (uint8_t)c);
                }
        }
        buf_u8(out, 0);
        return loops;
}

static int run_once(struct console *c, struct str text, int argc, char **argv, int i, bool *loops)
{
        struct str line;
        int code = EX_OK;

        while (text.n && !c->stopped && !c->ended) {
                struct buf auto_buf filled = { 0 };
                int rc;

                str_cut(&text, '\n', &line);
                buf_init(&filled, LINE_MOST);
                *loops |= fill(line, argc, argv, i, &filled);
                rc = filled.full ? say_fail(c, EX_USAGE, "macro", "a line is too long")
                                 : console_line(c, filled.p);
                code = code ? code : rc;
        }
        return code;
}

static int run(struct console *c, const char *text, int argc, char **argv)
{
        char *copy; /* it may define itself anew */
        bool loops = false;
        int code = EX_OK, i = 1;

        if (c->depth >= DEPTH_MOST)
                return say_fail(c, EX_USAGE, argv[0], "macros inside each other go too deep");
        c->depth++;
        copy = mem_string(str_of(text));
        do {
                int rc = run_once(c, str_of(copy), argc, argv, i, &loops);

                code = i == 1 ? rc : code ? code : rc;
        } while (loops && ++i < argc && !c->stopped && !c->ended);
        mem_free(copy);
        c->depth--;
        return code;
}

/* $NAME or $ NAME, with words */
int do_macro(struct console *c, int argc, char **argv)
{
        struct macro *m = find(c, argv[1]);

        return m ? run(c, m->text, argc - 1, argv + 1) : say_fail(c, EX_USAGE, argv[1], "no such macro");
}

/* source FILE */
int do_source(struct console *c, int argc, char **argv)
{
        struct buf auto_buf text = { 0 };
        int fd = openat(c->folder, argv[1], O_RDONLY | O_CLOEXEC);
        char *room;
        ssize_t n = 0;

        if (fd < 0)
                return say_errno(c, -errno, argv[1]);
        buf_init(&text, MACRO_MOST);
        while ((room = buf_room(&text, 4096)) && (n = read(fd, room, 4096)) > 0)
                buf_added(&text, (size_t)n);
        close(fd);
        buf_u8(&text, 0);
        return text.full ? say_fail(c, EX_USAGE, argv[1], "too long") : run(c, text.p, argc - 1, argv + 1);
}

/* "macdef NAME\nlines\n\n" as .netrc has them; `init` runs at once. */
void run_netrc_macros(struct console *c, struct str text)
{
        char *words[] = { (char *)"init", NULL };
        struct macro *m;

        while (text.n) {
                struct str line, name;
                char key[NAME_ROOM];
                size_t end;

                str_cut(&text, '\n', &line);
                if (!str_starts(line, S("macdef")))
                        continue;
                name = str_trim(str_from_at(line, 6));
                end = str_search(text, S("\n\n"));
                end = end == STR_NONE ? text.n : end + 1;
                if (name.n && name.n < sizeof(key)) {
                        mem_copy(key, sizeof(key), name);
                        key[name.n] = 0;
                        define(c, key, str_sub(text, 0, end));
                }
                text = str_from_at(text, end);
        }
        m = find(c, "init");
        if (m && c->site->logged_in)
                run(c, m->text, 1, words);
}
