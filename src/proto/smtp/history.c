/* What the mail role writes down of each letter (store/history.h), for pail trace: a line when it is accepted or refused, put into a
 * buffer that is written later. */
#include "proto/smtp/smtp.h"
#include "run/log.h"
#include "store/history.h"

#include <inttypes.h>

enum { LINE_MOST = 6000 }; /* store/history.c reads lines of 8 KB */

struct str smtp_letter_id(struct smtp *s)
{
        return arena_printf(&s->session.command, "%s.%u", s->session.id, s->letters + 1);
}

static void put_who(struct buf *line, struct smtp *s)
{
        const struct session *session = &s->session;
        const struct letter *l = &s->letter;

        buf_printf(line, "letter=" PRS " message-id=%s from=%s peer=%s", STR(smtp_letter_id(s)),
                   log_str(l->message_id),
                   log_str(arena_printf(&s->session.command, "<" PRS ">", STR(l->sender))),
                   session_peer(session).z);
        if (session->account.n)
                buf_printf(line, " user=%s", log_str(session->account));
}

/* "file=jill@hill.com send=bob@hamburger.edu hold=...": what was decided. */
static void put_actions(struct buf *line, const struct action *actions, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                const struct action *a = &actions[i];
                bool file = a->kind == ACTION_FILE;

                if (a->kind == ACTION_DISCARD)
                        continue;
                if (line->n > LINE_MOST - 1000) {
                        buf_printf(line, " more=%u", count - i);
                        return;
                }
                buf_printf(line, " %s=%s",
                           file                     ? "file"
                           : a->flags & ACTION_HELD ? "hold"
                                                    : "send",
                           log_str(str_sub(file ? a->account : a->address, 0, 300)));
        }
}

void smtp_note_accepted(struct smtp *s, uint64_t size)
{
        const struct letter *l = &s->letter;
        auto_buf struct buf line = { 0 };
        if (!s->session.server->history)
                return;
        buf_init(&line, LINE_MOST);
        put_who(&line, s);
        buf_printf(&line, " helo=%s size=%" PRIu64, log_str(str_of(s->helo)), size);
        put_actions(&line, l->actions, l->count);
        for (unsigned i = 0; i < l->list_count; i++) {
                buf_printf(&line, " list=%s", log_str(l->lists[i].address));
                put_actions(&line, l->lists[i].actions, l->lists[i].count);
        }
        history_note(s->session.server->history, "event=accepted " PRS, STR(buf_str(&line)));
}

void smtp_note_refused(struct smtp *s, struct str reply)
{
        auto_buf struct buf line = { 0 };

        if (!s->session.server->history || !(s->session.state & (SMTP_MAIL | SMTP_RCPT | SMTP_CHUNKS)))
                return;
        buf_init(&line, LINE_MOST);
        put_who(&line, s);
        buf_printf(&line, " answer=%s", log_str(str_sub(reply, 0, 1000)));
        history_note(s->session.server->history, "event=refused " PRS, STR(buf_str(&line)));
}
