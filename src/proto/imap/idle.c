/* IDLE (RFC 2177, RFC 9051 §6.3.13) is a state, not a waiting handler: the tag is kept, bells are listened to, and the session may
 * park at once. A bell makes imap_serve call imap_bell, which tells what is new. */
#include "proto/imap/selected.h"
#include "base/mem.h"

/* What is told without a command: of the selected mailbox, and of others where NOTIFY asked for them. */
static void tell(struct session *s)
{
        struct imap *p = imap_of(s);
        bool idling = s->state == IMAP_IDLING, expunge = idling;

        if (p->selected.key.owner && (idling || notify_selected_bells(p, &expunge)))
                imap_updates(s, NULL, expunge || idling);
        if (p->notify && !s->ending)
                notify_bell(s);
}

/* IDLE */
int imap_idle(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);

        (void)a;
        p->idle_tag = mem_string(p->tag);
        s->state = IMAP_IDLING;
        notify_selected_changed(s); /* listen first, then look */
        conn_put(s->conn, S("+ idling\r\n"));
        tell(s);
        if (s->server->settings->park_after_ms >= 0)
                conn_park_after(s->conn, 0);
        return OK;
}

int imap_done(struct session *s, struct str line)
{
        struct imap *p = imap_of(s);

        p->tag = arena_str(&s->command, str_of(p->idle_tag));
        mem_free(p->idle_tag);
        p->idle_tag = NULL;
        s->state = p->selected.key.owner ? IMAP_SELECTED : IMAP_SIGNED_IN;
        session_parking(s, true);
        if (!str_ieq(line, S("DONE"))) {
                notify_selected_changed(s);
                return imap_bad(s, "nothing but DONE ends IDLE");
        }
        if (p->selected.key.owner)
                imap_updates(s, NULL, true);
        notify_selected_changed(s);
        return imap_ok(s, "IDLE completed");
}

void imap_bell(struct session *s)
{
        struct imap *p = imap_of(s);

        if (s->ending || !(s->state == IMAP_IDLING || p->notify))
                return;
        if (watch_rang(p->watch)) {
                watch_heard(p->watch); /* first: what changes while we look rings anew */
                tell(s);
        } else if (p->notify) {
                notify_bell(s);
        }
        arena_reset(&s->command);
}
