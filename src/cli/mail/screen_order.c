/* Which order was chosen for which folder: a line each in the file mail-orders beside the copies, "reverse-threads<TAB>ADDRESS<TAB>FOLDER". The last one
 * chosen stands last; of very many the first go. */
#include "base/mem.h"
#include "cli/home.h"
#include "cli/mail/screen_inside.h"
#include "run/offload.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "mail-orders"
#define REVERSE   S("reverse-")
enum { FILE_MOST = 256 * 1024, KEPT_MOST = 64 * 1024 };

static const char *const names[] = {
        [VIEW_ARRIVED] = "received", [VIEW_THREADS] = "threads", [VIEW_DATE] = "date",
        [VIEW_FROM] = "from",        [VIEW_SUBJECT] = "subject", [VIEW_SIZE] = "size"
};

const char *order_name(enum view_order o)
{
        return names[o];
}

struct orders {
        struct buf text;
        bool write;
};

static int read_or_write(void *arg)
{
        struct orders *o = arg;
        int folder = home_open(HOME_DATA, NULL, o->write), rc = folder;

        if (folder >= 0) {
                rc = o->write ? home_write(folder, FILE_NAME, buf_str(&o->text))
                              : home_read(folder, FILE_NAME, &o->text);
                close(folder);
        }
        return rc;
}

/* The line's order, if it is of this folder. */
static bool line_is(struct str line, const char *address, struct str path, struct str *order)
{
        struct str who;

        str_cut(&line, '\t', order);
        str_cut(&line, '\t', &who);
        return str_ieq(who, str_of(address)) && str_eq(line, path);
}

void order_known(struct screen *s, struct str path, enum view_order *order, bool *backwards)
{
        struct orders o = { .write = false };
        struct str rest, line, said;

        *order = VIEW_ARRIVED;
        *backwards = false;
        buf_init(&o.text, FILE_MOST);
        if (offload(QUICK, read_or_write, &o) < 0)
                buf_clear(&o.text);
        for (rest = buf_str(&o.text); rest.n;) {
                str_cut(&rest, '\n', &line);
                if (!line_is(line, s->mail->login->address, path, &said))
                        continue;
                *backwards = str_starts(said, REVERSE);
                if (*backwards)
                        said = str_from_at(said, REVERSE.n);
                for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                        if (str_eq(said, str_of(names[i])))
                                *order = (enum view_order)i;
        }
        buf_free(&o.text);
}

void order_keep(struct screen *s)
{
        struct orders before = { .write = false }, o = { .write = true };
        struct str rest, line, said;

        if (str_has_control(str_of(s->path)))
                return;
        buf_init(&before.text, FILE_MOST);
        buf_init(&o.text, FILE_MOST);
        if (offload(QUICK, read_or_write, &before) < 0)
                buf_clear(&before.text);
        for (rest = buf_str(&before.text); rest.n;) {
                bool first = rest.n > KEPT_MOST;

                str_cut(&rest, '\n', &line);
                if (!first && !line_is(line, s->mail->login->address, str_of(s->path), &said))
                        buf_printf(&o.text, PRS "\n", STR(line));
        }
        if (s->order != VIEW_ARRIVED || s->backwards)
                buf_printf(&o.text, "%s%s\t%s\t%s\n", s->backwards ? "reverse-" : "", names[s->order],
                           s->mail->login->address, s->path);
        if (!o.text.full)
                (void)offload(QUICK, read_or_write,
                              &o); /* where nothing can be written it is not remembered */
        buf_free(&before.text);
        buf_free(&o.text);
}
