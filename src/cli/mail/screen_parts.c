/* A letter's parts. They are opened by $PAIL_OPEN, else by xdg-open where there is a desktop, else by less; text and letters are shown here. A file
 * that is opened lies in a folder of this run, which goes at its end. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/home.h"
#include "cli/shell.h"
#include "cli/terminal.h"
#include "run/offload.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_SHOWN_MOST = 16 << 20 };

struct parts {
        const struct letter *letter;
        size_t at, top;
};

/* ---- files of this run ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        (void)st;
        (void)kind;
        (void)ftw;
        (void)remove(path);
        return 0;
}

void temporary_remove(struct screen *s)
{
        if (s->temporary[0])
                (void)nftw(s->temporary, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        s->temporary[0] = 0;
}

static bool temporary_folder(struct screen *s)
{
        if (s->temporary[0])
                return true;
        snprintf(s->temporary, sizeof s->temporary, "/tmp/pail-parts-XXXXXX");
        if (mkdtemp(s->temporary)) /* 0700 */
                return true;
        s->temporary[0] = 0;
        say_bad(s, "/tmp: %s", strerror(errno));
        return false;
}

bool temporary_file(struct screen *s, struct str name, struct str bytes, struct buf *path)
{
        FILE *f;
        int fd;

        if (!temporary_folder(s))
                return false;
        buf_printf(path, "%s/" PRS, s->temporary, STR(name));
        buf_u8(path, 0);
        fd = path->full ? -1 : open(path->p, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
        f = fd >= 0 ? fdopen(fd, "we") : NULL;
        if (f && fwrite(bytes.p ? bytes.p : "", 1, bytes.n, f) == bytes.n && fclose(f) == 0)
                return true;
        say_bad(s, "%s: %s", s->temporary, strerror(errno));
        return false;
}

/* ---- programs ---- */

struct running {
        const char *command;
        char *argument;
};

static int run(void *arg)
{
        struct running *r = arg;

        return shell_run(r->command, r->argument, NULL);
}

void run_away(struct screen *s, const char *command, char *argument, bool read_it)
{
        struct buf auto_buf answer = { 0 };
        struct running r = { command, argument };
        int status;

        term_away();
        status = offload(LONG, run, &r);
        term_back();
        buf_init(&answer, 4096);
        if (read_it)
                (void)terminal_ask("Press Enter to go on. ", true, &answer);
        if (status)
                say_bad(s, "The command ended with an error.");
}

/* less without what the person's own settings let through to the terminal. */
static const char *opener(void)
{
        const char *own = getenv("PAIL_OPEN"), *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

        if (own && *own)
                return own;
        if ((x && *x) || (wayland && *wayland))
                return "xdg-open";
        return "LESS= LESSOPEN= LESSSECURE=1 less --";
}

/* ---- opened, saved ---- */

static const struct letter_part *chosen(struct screen *s)
{
        struct parts *p = s->parts;

        return p->at < p->letter->part_count ? &p->letter->parts[p->at] : NULL;
}

static void show_inside(struct screen *s, const struct letter_part *part, struct str bytes)
{
        struct buf auto_buf raw = { 0 };
        struct letter *l;

        buf_init(&raw, bytes.n + 1024);
        if (!part->letter) /* a letter of nothing but this text */
                buf_printf(&raw, "Content-Type: %s\r\n\r\n", "text/plain; charset=utf-8");
        buf_puts(&raw, bytes);
        if (letter_parse(&l, buf_str(&raw), 0) == 0)
                letter_show(s, l, part->letter ? "a letter inside" : "a part");
}

static enum done open_part(struct screen *s)
{
        const struct letter_part *part = chosen(s);
        struct buf auto_buf bytes = { 0 }, name = { 0 }, path = { 0 };
        const char *own = getenv("PAIL_OPEN");

        if (!part)
                return STAY;
        buf_init(&bytes, s->parts->letter->raw.n + 64);
        buf_init(&name, 1024);
        buf_init(&path, 4096);
        if (letter_part_bytes(s->parts->letter, part->number, &bytes) < 0) {
                say_bad(s, "This part cannot be decoded.");
                return STAY;
        }
        if (part->letter ||
            (str_istarts(part->type, S("text/")) && !(own && *own) && bytes.n <= TEXT_SHOWN_MOST)) {
                show_inside(s, part, buf_str(&bytes));
                return STAY;
        }
        letter_file_name(part, &name);
        if (temporary_file(s, buf_str(&name), buf_str(&bytes), &path))
                run_away(s, opener(), path.p, false);
        return STAY;
}

static enum done save_parts(struct screen *s, bool all)
{
        const struct letter *l = s->parts->letter;
        struct buf auto_buf typed = { 0 }, folder = { 0 }, path = { 0 };
        unsigned saved = 0;
        int rc = 0;

        if (!chosen(s))
                return STAY;
        buf_init(&typed, 2000);
        buf_init(&path, 8192);
        buf_puts(&typed, s->saved_in ? str_of(s->saved_in) : S("."));
        if (!ask_line(s, all ? "Save all attachments in folder: " : "Save in folder: ", &typed, complete_file,
                      ASK_OFFERED) ||
            !typed.n)
                return STAY;
        if (!home_expand(&folder, buf_str(&typed))) {
                say_bad(s, "The name of the folder is too long.");
                return STAY;
        }
        for (size_t i = 0; i < l->part_count && rc == 0; i++) {
                if (all ? !l->parts[i].attachment : i != s->parts->at)
                        continue;
                buf_clear(&path);
                rc = letter_save_part(l, l->parts[i].number, folder.p, &path);
                saved += rc == 0;
        }
        if (rc < 0) {
                say_bad(s, PRS ": %s", STR(buf_str(&typed)), strerror(-rc));
                return STAY;
        }
        keep_string(&s->saved_in, buf_str(&typed));
        if (saved == 1)
                say(s, "Saved: " PRS, STR(buf_str(&path)));
        else
                say(s, "%u files saved in " PRS, saved, STR(buf_str(&typed)));
        return STAY;
}

static enum done save_one(struct screen *s)
{
        return save_parts(s, false);
}

static enum done save_all(struct screen *s)
{
        return save_parts(s, true);
}

static enum done pipe_part(struct screen *s)
{
        const struct letter_part *part = chosen(s);
        struct buf auto_buf typed = { 0 }, command = { 0 }, bytes = { 0 }, name = { 0 }, path = { 0 };

        if (!part)
                return STAY;
        buf_init(&typed, 1500);
        buf_init(&command, 2000);
        buf_init(&bytes, s->parts->letter->raw.n + 64);
        buf_init(&name, 1024);
        buf_init(&path, 4096);
        letter_file_name(part, &name);
        if (ask_line(s, "Pipe to command: ", &typed, complete_file, 0) && typed.n &&
            letter_part_bytes(s->parts->letter, part->number, &bytes) == 0 &&
            temporary_file(s, buf_str(&name), buf_str(&bytes), &path)) {
                buf_printf(&command, "(" PRS ") <", STR(buf_str(&typed)));
                buf_u8(&command, 0);
                run_away(s, command.p, path.p, true);
        }
        return STAY;
}

/* ---- the page ---- */

static enum done down(struct screen *s)
{
        if (s->parts->at + 1 < s->parts->letter->part_count)
                s->parts->at++;
        return STAY;
}

static enum done up(struct screen *s)
{
        s->parts->at -= s->parts->at > 0;
        return STAY;
}

static enum done leave(struct screen *s)
{
        (void)s;
        return LEAVE;
}

static const struct key parts_keys[] = {
        { 'q', "q", "Back", "back to the letter", leave },
        { '\n', "Enter", "Open", "show text and letters here; other parts: $PAIL_OPEN, xdg-open or less",
          open_part },
        { 'o', NULL, NULL, NULL, open_part },
        { 's', "s", "Save", "save; never over another file", save_one },
        { 'S', "S", "Save all", "save all attachments", save_all },
        { '|', "|", "Pipe", "give it to a command", pipe_part },
        { 'j', "j", NULL, "next", down },
        { KEY_CODE | KEY_DOWN, NULL, NULL, NULL, down },
        { 'k', "k", NULL, "the one before", up },
        { KEY_CODE | KEY_UP, NULL, NULL, NULL, up },
        { 0 },
};
static const struct keys keys = { "Parts of a letter", { parts_keys, NULL } };

static void draw(struct screen *s)
{
        struct parts *p = s->parts;
        unsigned room = term_room();

        if (p->at < p->top)
                p->top = p->at;
        if (p->at >= p->top + room)
                p->top = p->at - room + 1;
        draw_help(&keys);
        for (unsigned y = 0; y < room; y++) {
                const struct letter_part *part =
                    p->top + y < p->letter->part_count ? &p->letter->parts[p->top + y] : NULL;
                enum look look = part && p->top + y == p->at ? LOOK_CURSOR : LOOK_PLAIN;

                if (part)
                        draw_printf((int)y + 1, 0, term_columns(), look, "%4zu %c %-28.*s %10llu  " PRS,
                                    p->top + y + 1, part->attachment ? '@' : ' ', STR(part->type),
                                    (unsigned long long)part->size, STR(part->name));
                else
                        draw_text((int)y + 1, 0, term_columns(), S(""), look);
        }
        draw_bar(S("Parts: type, bytes as they travel, name"));
        draw_message(s);
        term_show();
}

enum done parts_page(struct screen *s, const struct letter *l)
{
        struct parts p = { .letter = l }, *before = s->parts;
        enum done done = STAY;

        s->parts = &p;
        while (done == STAY && !s->ended) {
                draw(s);
                done = screen_do(s, &keys, screen_key(s));
        }
        s->parts = before;
        return STAY;
}
