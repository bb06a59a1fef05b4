/* What a file is called on the other side when nobody says so: case, ntrans and nmap, as BSD's ftp has them. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include <sysexits.h>

enum { PARTS = 10, MAPPED_MOST = 4096 };

/* Only a name that has capitals and no small letters: README, but not Makefile. */
static struct str small(struct str name, struct arena *a)
{
        for (size_t i = 0; i < name.n; i++)
                if (name.p[i] >= 'a' && name.p[i] <= 'z')
                        return name;
        return arena_lower(a, name);
}

/* ntrans: each letter of `in` becomes the one at its place in `out`; without one there it goes. */
static struct str translated(const struct between *t, struct str name, struct arena *a)
{
        struct buf auto_buf out = { 0 };

        buf_init(&out, MAPPED_MOST);
        for (size_t i = 0; i < name.n; i++) {
                size_t at = str_find(str_of(t->in), name.p[i]);

                if (at == STR_NONE)
                        buf_u8(&out, (uint8_t)name.p[i]);
                else if (at < strlen(t->out))
                        buf_u8(&out, (uint8_t)t->out[at]);
        }
        return out.full ? name : arena_str(a, buf_str(&out));
}

/* The pattern's $1 to $9: each reaches to the letter that follows it in the pattern. \$ is a dollar. What does not fit ends it; the parts
 * behind are empty. $0 is all. */
static void take_parts(const char *p, struct str name, struct str part[static PARTS])
{
        size_t at = 0;

        for (int i = 0; i < PARTS; i++)
                part[i] = S("");
        part[0] = name;
        while (*p && at < name.n) {
                if (p[0] == '$' && p[1] >= '1' && p[1] <= '9') {
                        size_t from = at;
                        int which = p[1] - '0';

                        p += 2;
                        while (at < name.n && (!*p || name.p[at] != *p))
                                at++;
                        part[which] = str_sub(name, from, at - from);
                        continue;
                }
                if (*p == '\\' && p[1])
                        p++;
                if (*p++ != name.p[at++])
                        return;
        }
}

/* Up to one of these letters; where it ended. */
static const char *fill(const char *p, const char *until, const struct str part[static PARTS],
                        struct buf *out)
{
        for (; *p && str_find(str_of(until), *p) == STR_NONE; p++) {
                if (p[0] == '$' && p[1] >= '0' && p[1] <= '9') {
                        buf_puts(out, part[p[1] - '0']);
                        p++;
                        continue;
                }
                if (*p == '\\' && p[1])
                        p++;
                buf_u8(out, (uint8_t)*p);
        }
        return p;
}

/* nmap: [A,B] is A, or B where A is empty. */
static struct str mapped(const struct between *m, struct str name, struct arena *a)
{
        struct buf auto_buf out = { 0 };
        struct str part[PARTS];
        const char *p = m->out;

        buf_init(&out, MAPPED_MOST);
        take_parts(m->in, name, part);
        while (*(p = fill(p, "[", part, &out))) {
                struct buf auto_buf first = { 0 }, auto_buf second = { 0 };

                buf_init(&first, MAPPED_MOST);
                buf_init(&second, MAPPED_MOST);
                p = fill(p + 1, ",]", part, &first);
                if (*p == ',')
                        p = fill(p + 1, "]", part, &second);
                buf_puts(&out, buf_str(first.n ? &first : &second));
                p += *p == ']';
        }
        return out.n && !out.full ? arena_str(a, buf_str(&out)) : name;
}

struct str name_across(const struct console *c, struct str name, bool fetched, struct arena *a)
{
        name = arena_str(a, name);
        if (fetched && c->case_down)
                name = small(name, a);
        if (*c->trans.in)
                name = translated(&c->trans, name, a);
        if (*c->map.in)
                name = mapped(&c->map, name, a);
        return name;
}

static int set(struct console *c, struct between *b, const char *what, struct str in, struct str out)
{
        if (in.n >= NAME_ROOM || out.n >= NAME_ROOM)
                return say_fail(c, EX_USAGE, what, "too long");
        mem_copy(b->in, NAME_ROOM - 1, in);
        mem_copy(b->out, NAME_ROOM - 1, out);
        b->in[in.n] = b->out[out.n] = 0;
        fprintf(c->out, "%s %s.\n", what, in.n ? "on" : "off");
        return EX_OK;
}

int do_ntrans(struct console *c, int argc, char **argv)
{
        return set(c, &c->trans, "Ntrans", str_of(argc > 1 ? argv[1] : ""), str_of(argc > 2 ? argv[2] : ""));
}

/* The line as it stands: its backslashes are ours, and the second pattern may have blanks. */
int do_nmap(struct console *c, int argc, char **argv)
{
        struct str out = c->rest, in;

        (void)argv;
        str_cut(&out, ' ', &in);
        out = str_trim(out);
        if (argc > 1 && !out.n)
                return say_fail(c, EX_USAGE, "nmap", "to what? nmap PATTERN PATTERN");
        return set(c, &c->map, "Nmap", in, out);
}
