#include "base/mem.h"
#include "cli/terminal.h"
#include "cli/watch.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>

/* An escaped octet becomes eight at most. */
enum {
        HELD_MOST = 16 * 1024,
        DIALOG_MOST = 8 * 1024 * 1024,
        DIALOGS_MOST = 64 * 1024 * 1024,
        WATCHED_MOST = 4096,
        LINE_MOST = 8 * TAP_TEXT_MOST + 1024
};

/* ---- conversations ---- */

static struct watched *find(struct watching *w, struct str id)
{
        struct watched *c = w->list;

        while (c && !str_eq(str_of(c->id), id))
                c = c->next;
        return c;
}

static void forget(struct watching *w, struct watched *c)
{
        struct watched **at = &w->list;

        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
        w->dialogs -= c->dialog.n;
        buf_free(&c->held);
        buf_free(&c->dialog);
        mem_free(c);
        w->count--;
}

/* Where the end of some was lost, or there are too many: the one that was silent for longest is forgotten. */
static void make_room(struct watching *w)
{
        struct watched *oldest = w->list;

        if (w->count < WATCHED_MOST)
                return;
        for (struct watched *c = w->list; c; c = c->next)
                if (c->heard < oldest->heard)
                        oldest = c;
        forget(w, oldest);
}

/* With the lowest number that is free. */
static struct watched *begin(struct watching *w, const struct tap_record *r)
{
        struct watched **at, *c;
        unsigned number = 1;

        make_room(w);
        for (at = &w->list; *at && (*at)->number == number; at = &(*at)->next)
                number++;
        c = mem_new(struct watched);
        mem_copy(c->id, sizeof(c->id) - 1, str_sub(r->session, 0, sizeof(c->id) - 1));
        c->number = number;
        c->begun = r->what == TAP_BEGIN;
        c->process = r->process;
        c->ftp = str_istarts(r->protocol, S("ftp"));
        c->ours = !w->wanted.account.n;
        c->next = *at;
        *at = c;
        w->count++;
        buf_init(&c->held, HELD_MOST);
        buf_init(&c->dialog, DIALOG_MOST);
        return c;
}

/* ---- as text ---- */

static void put_who(struct buf *out, const struct watched *c, char who)
{
        if (c->number > 1)
                buf_printf(out, "%c%u", who, c->number);
        else
                buf_u8(out, (uint8_t)who);
}

static void put_begin(struct buf *out, const struct watched *c, const struct tap_record *r)
{
        buf_printf(out, "# %u: " PRS " %s %s", c->number, STR(r->protocol), r->outgoing ? "to" : "from",
                   addr_text(r->peer).z);
        if (r->peer.port)
                buf_printf(out, ", port %u", r->peer.port);
        buf_printf(out, ", session " PRS, STR(r->session));
        if (r->account.n)
                buf_printf(out, ", " PRS, STR(r->account));
        buf_puts(out, c->begun ? S("\n") : S(", under way already\n"));
}

static void put_text(struct buf *out, const struct watched *c, const struct tap_record *r)
{
        switch (r->what) {
        case TAP_LINE:
                put_who(out, c, r->from);
                buf_puts(out, S(": "));
                terminal_safe(out, r->text);
                buf_puts(out, r->cut ? S(" ...\n") : S("\n"));
                break;
        case TAP_BODY:
                buf_puts(out, S("# "));
                put_who(out, c, r->from);
                buf_printf(out, ": %llu octets\n", (unsigned long long)r->number);
                break;
        case TAP_TLS: buf_printf(out, "# %u: " PRS "\n", c->number, STR(r->text)); break;
        case TAP_DATA:
                buf_printf(out, "# %u: data connection " PRS, c->number, STR(r->text));
                if (!str_starts(r->text, S("opened")) && !str_starts(r->text, S("used")))
                        buf_printf(out, ", %llu octets from the %s", (unsigned long long)r->number,
                                   r->from == 'S' ? "server" : "client");
                buf_u8(out, '\n');
                break;
        case TAP_END: buf_printf(out, "# %u: closed\n", c->number); break;
        case TAP_BEGIN:
        case TAP_LOST:
        case TAP_GONE:
        case TAP_BACK: break;
        }
}

/* ---- as JSON, a line a record ---- */

static void json_address(struct json *j, const char *key, struct addr a)
{
        if (a.family)
                json_str(j, key, str_of(addr_text(a).z));
}

static void print_json(const struct tap_record *r)
{
        static const char *const names[] = {
                [TAP_BEGIN] = "begin", [TAP_LINE] = "line", [TAP_BODY] = "body",
                [TAP_TLS] = "tls",     [TAP_DATA] = "data", [TAP_END] = "end",
                [TAP_LOST] = "lost",   [TAP_GONE] = "gone", [TAP_BACK] = "back",
        };
        struct json j = { .to = stdout }; /* at depth 0 all stands on one line */
        time_t seconds = (time_t)(r->at / 1000000);
        char when[64];
        struct tm tm;

        gmtime_r(&seconds, &tm);
        snprintf(when, sizeof(when), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(r->at % 1000000));
        fputc('{', stdout);
        json_str(&j, "time", str_of(when));
        json_str(&j, "what", str_of(names[r->what]));
        if (r->process)
                json_number(&j, "process", r->process);
        if (r->session.n) {
                json_str(&j, "session", r->session);
                json_str(&j, "protocol", r->protocol);
                json_address(&j, "peer", r->peer);
                json_address(&j, "local", r->local);
                if (r->account.n)
                        json_str(&j, "account", r->account);
                json_bool(&j, "outgoing", r->outgoing);
        }
        if (r->what == TAP_LINE || r->what == TAP_BODY || r->what == TAP_DATA)
                json_str(&j, "from", str_from(&r->from, 1));
        if (r->text.n || r->what == TAP_LINE)
                json_str(&j, r->session.n ? "text" : "role", r->text);
        if (r->cut)
                json_bool(&j, "cut", true);
        if (r->what == TAP_BODY || r->what == TAP_DATA || r->what == TAP_LOST)
                json_number(&j, r->what == TAP_LOST ? "lines" : "octets", r->number);
        fputs("}\n", stdout);
}

/* ---- a record ---- */

static void write_out(struct watching *w, const struct watched *c)
{
        w->failed = dialog_write(w, c);
        w->finished = true;
        if (w->failed < 0)
                fprintf(stderr, "pail watch: %s: %s\n", w->save, strerrordesc_np(-w->failed));
        else if (!w->json)
                printf("# %u is in %s\n", c->number, w->save);
}

static void lost(struct watching *w, const struct tap_record *r)
{
        if (w->json)
                print_json(r);
        else
                printf("# %llu lines lost\n", (unsigned long long)r->number);
        for (struct watched *c = w->list; c; c = c->next)
                c->begun = false; /* none of them is whole any more */
}

/* A role has ended, or another one runs in its place. */
static void role_changed(struct watching *w, const struct tap_record *r)
{
        struct watched *c = w->list, *next;

        if (w->json)
                print_json(r);
        else if (r->what == TAP_GONE)
                printf("# the role " PRS " has ended\n", STR(r->text));
        else
                printf("# the role " PRS " runs again and is watched\n", STR(r->text));
        for (; c && r->what == TAP_GONE; c = next) {
                next = c->next;
                if (c->process != r->process)
                        continue;
                if (!w->json && c->ours)
                        printf("# %u: broken off\n", c->number);
                forget(w, c);
        }
}

/* Until it is known whose conversation it is, its text waits. JSON does not: it says who has signed in, or nobody. */
static void print(struct watching *w, struct watched *c, const struct tap_record *r, bool fresh)
{
        if (w->json) {
                print_json(r);
                return;
        }
        buf_init(&w->line, LINE_MOST);
        if (fresh)
                put_begin(&w->line, c, r);
        put_text(&w->line, c, r);
        if (!c->ours) {
                buf_puts(&c->held, buf_str(&w->line));
        } else {
                if (c->held.n)
                        fwrite(c->held.p, 1, c->held.n, stdout);
                if (c->held.full)
                        printf("# %u: more was said before the sign-in than is kept\n", c->number);
                buf_free(&c->held);
                fwrite(w->line.p ? w->line.p : "", 1, w->line.n, stdout);
        }
        buf_free(&w->line);
}

/* What would need too much memory is not kept. */
static void keep(struct watching *w, struct watched *c, const struct tap_record *r)
{
        size_t before = c->dialog.n;

        dialog_record(c, r);
        w->dialogs += c->dialog.n - before;
        if (w->dialogs <= DIALOGS_MOST)
                return;
        w->dialogs -= c->dialog.n;
        buf_free(&c->dialog);
        c->begun = false;
}

void watch_record(struct watching *w, const struct tap_record *r)
{
        struct watched *c;
        bool fresh = false;

        if (r->what == TAP_LOST) {
                lost(w, r);
                return;
        }
        if (r->what == TAP_GONE || r->what == TAP_BACK) {
                role_changed(w, r);
                return;
        }
        c = find(w, r->session);
        if (!c && r->what == TAP_END)
                return;
        if (!c) {
                c = begin(w, r);
                fresh = true;
        }
        c->heard = ++w->records;
        c->ours = c->ours || (r->account.n && str_ieq(r->account, w->wanted.account));
        if (w->save && c->begun)
                keep(w, c, r);
        print(w, c, r, fresh);
        if (r->what != TAP_END)
                return;
        if (w->save && c->begun && c->ours)
                write_out(w, c);
        forget(w, c);
}

/* Interrupted: what is whole so far is kept. */
int watch_finish(struct watching *w)
{
        struct watched *c = w->list;

        while (c && !(c->begun && c->ours))
                c = c->next;
        if (w->save && !w->finished && c)
                write_out(w, c);
        else if (w->save && !w->finished)
                fprintf(stderr, "pail watch: %s: no conversation was seen from its beginning\n", w->save);
        while (w->list)
                forget(w, w->list);
        return w->failed;
}
