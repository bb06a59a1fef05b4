/* What the mail role writes down of each letter (store/history.h), for pail trace: a line when it is accepted or refused, put into a
 * buffer that is written later. */
#include "proto/smtp/smtp.h"
#include "run/log.h"
#include "store/history.h"

#include <inttypes.h>

enum {
        VALUE_MOST = 500,
        ACTIONS_MOST = 4000
}; /* quoted, a value may be twice as long, and a line is at most 8 KB */

struct str smtp_letter_id(struct smtp *s)
{
        return arena_printf(&s->session.command, "%s.%u", s->session.id, s->letters + 1);
}

static void put(struct buf *line, struct str key, struct str value)
{
        buf_puts(line, S(" "));
        buf_puts(line, key);
        buf_puts(line, S("="));
        buf_puts(line, str_of(log_str(str_sub(value, 0, VALUE_MOST))));
}

static void put_who(struct buf *line, struct smtp *s)
{
        const struct session *session = &s->session;
        const struct letter *l = &s->letter;

        put(line, S("letter"), smtp_letter_id(s));
        if (l->message_id.n)
                put(line, S("message-id"), l->message_id);
        put(line, S("from"), arena_printf(&s->session.command, "<" PRS ">", STR(l->sender)));
        put(line, S("peer"), str_of(session_peer(session).z));
        if (session->account.n)
                put(line, S("user"), session->account);
}

/* "file=jill@hill.com send=bob@hamburger.edu hold=...": what was decided. */
static void put_actions(struct buf *line, size_t from, const struct action *actions, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                const struct action *a = &actions[i];
                bool file = a->kind == ACTION_FILE;

                if (a->kind == ACTION_DISCARD || a->kind == ACTION_RECEIPT)
                        continue;
                if (line->n - from > ACTIONS_MOST) {
                        buf_printf(line, " more=%u", count - i);
                        return;
                }
                put(line,
                    file                     ? S("file")
                    : a->flags & ACTION_HELD ? S("hold")
                                             : S("send"),
                    file ? a->account : a->address);
        }
}

void smtp_note_accepted(struct smtp *s, uint64_t size)
{
        struct history *h = s->session.server->history;
        const struct letter *l = &s->letter;
        struct buf *line;
        size_t from;

        if (!h)
                return;
        line = history_begin(h, S("accepted"));
        from = line->n;
        put_who(line, s);
        put(line, S("helo"), str_of(s->helo));
        buf_printf(line, " size=%" PRIu64, size);
        put_actions(line, from, l->actions, l->count);
        for (unsigned i = 0; i < l->list_count; i++) {
                put(line, S("list"), l->lists[i].address);
                put_actions(line, from, l->lists[i].actions, l->lists[i].count);
        }
        history_event_end(h);
}

void smtp_note_refused(struct smtp *s, struct str reply)
{
        struct history *h = s->session.server->history;
        struct buf *line;

        if (!h || !(s->session.state & (SMTP_MAIL | SMTP_RCPT | SMTP_CHUNKS)))
                return;
        line = history_begin(h, S("refused"));
        put_who(line, s);
        put(line, S("answer"), reply);
        history_event_end(h);
}
