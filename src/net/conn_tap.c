#include "net/conn_private.h"
#include "base/mem.h"

enum { TAP_LINE_MOST = 8192 }; /* longer output lines are shown cut */

/* Bodies are counted, and told before the next line of either side. */
static void tell_bodies(struct conn_watched *w)
{
        uint64_t in = w->in, out = w->out;

        w->in = w->out = 0;
        if (in)
                w->tap->line(w->tap, 'C', (struct str){ NULL, 0 }, in);
        if (out)
                w->tap->line(w->tap, 'S', (struct str){ NULL, 0 }, out);
}

static void tell(struct conn *c, char from, struct str line)
{
        tell_bodies(c->watched);
        c->watched->tap->line(c->watched->tap, from, line, 0);
}

/* Told a moment later: only who knows the verb knows what may be seen of it (conn_hide). */
void tap_in(struct conn *c, struct str line)
{
        struct conn_watched *w = c->watched;

        w->heard = line;
        w->shown = c->secret ? 0 : line.n;
        w->hearing = true;
}

void tap_heard(struct conn *c)
{
        struct conn_watched *w = c->watched;
        struct buf auto_buf part = { 0 };

        if (!w->hearing)
                return;
        w->hearing = false;
        if (w->shown == w->heard.n) {
                tell(c, 'C', w->heard);
                return;
        }
        buf_init(&part, w->shown + 4);
        buf_puts(&part, str_sub(w->heard, 0, w->shown));
        buf_puts(&part, S("****"));
        tell(c, 'C', buf_str(&part));
}

void conn_hide(struct conn *c, size_t shown)
{
        if (c->watched && shown < c->watched->shown)
                c->watched->shown = shown;
}

void conn_told(struct conn *c)
{
        if (c->watched)
                tap_heard(c);
}

/* Output comes in pieces; the tap gets lines. */
void tap_out(struct conn *c, struct str text)
{
        struct buf *b = &c->watched->line;
        struct str part;
        bool whole;

        tap_heard(c);
        while (text.n > 0) {
                whole = str_cut(&text, '\n', &part);
                buf_puts(b, str_sub(part, 0, b->max - b->n));
                if (!whole)
                        return;
                if (b->n > 0 && b->p[b->n - 1] == '\r')
                        b->n--;
                tell(c, 'S', c->secret ? S("****") : buf_str(b));
                buf_clear(b);
        }
}

void tap_body_in(struct conn *c, size_t n)
{
        tap_heard(c);
        c->watched->in += n;
}

void tap_body_out(struct conn *c, size_t n)
{
        tap_heard(c);
        c->watched->out += n;
}

void tap_unread(struct conn *c, size_t n)
{
        c->watched->in -= n < c->watched->in ? n : c->watched->in;
}

void conn_secret(struct conn *c, bool on)
{
        c->secret = on;
}

void conn_set_tap(struct conn *c, struct conn_tap *tap)
{
        if (!tap) {
                tap_free(c);
                return;
        }
        if (!c->watched) {
                c->watched = mem_new(struct conn_watched);
                buf_init(&c->watched->line, TAP_LINE_MOST);
        }
        c->watched->tap = tap;
}

void tap_free(struct conn *c)
{
        if (!c->watched)
                return;
        tap_heard(c);
        tell_bodies(c->watched);
        buf_free(&c->watched->line);
        mem_free(c->watched);
        c->watched = NULL;
}

bool conn_has_tap(const struct conn *c)
{
        return c->watched != NULL;
}
