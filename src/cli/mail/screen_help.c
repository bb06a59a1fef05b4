/* What the keys do, from the tables themselves. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"

#include <stdio.h>

static const char more[] =
    "\nEverywhere:\n"
    "  Ctrl-L       draw anew\n"
    "  Ctrl-Z       stop; the shell's fg goes on\n"
    "  Ctrl-C       leave the program, after a question\n"
    "  Ctrl-G       give up a question\n"
    "  Tab          in a question: complete a folder, a file, an address\n"
    "\nMarks before a letter: * tagged  ! flagged  D deleted  N new  r answered  d draft  @ attachments\n";

static void write_help(struct buf *out, const struct keys *k)
{
        buf_printf(out, "%s\n\n", k->title);
        for (const struct key *const *table = k->tables; *table; table++)
                for (const struct key *key = *table; key->code; key++)
                        if (key->help)
                                buf_printf(out, "  %-14s %s\n", key->shown, key->help);
        buf_puts(out, str_of(more));
}

void help_page(struct screen *s, const struct keys *k)
{
        struct buf auto_buf text = { 0 };
        struct lines l = { 0 };
        unsigned width = 0;
        size_t top = 0;
        int key = KEY_NONE;

        buf_init(&text, 64 * 1024);
        write_help(&text, k);
        while (key != 'q' && key != KEY_ENDED && key != KEY_CTRL('g')) {
                unsigned room = term_room();

                if (width != term_columns())
                        lines_text(&l, buf_str(&text), width = term_columns());
                if (top + room > l.n)
                        top = l.n > room ? l.n - room : 0;
                draw_text(0, 0, width, S("q:Back  Space:More  -:Page up"), LOOK_BAR);
                for (unsigned y = 0; y < room; y++)
                        lines_draw(&l, top + y, (int)y + 1, width);
                draw_bar(S("Help"));
                draw_message(s);
                term_show();
                key = screen_key(s);
                if (key == ' ' || key == 'z' || key == (KEY_CODE | KEY_NPAGE))
                        top += room;
                else if (key == '-' || key == 'Z' || key == (KEY_CODE | KEY_PPAGE))
                        top -= top < room ? top : room;
                else if (key == 'j' || key == '\n' || key == (KEY_CODE | KEY_DOWN))
                        top++;
                else if (key == 'k' || key == (KEY_CODE | KEY_UP))
                        top -= top > 0;
        }
        lines_free(&l);
}
