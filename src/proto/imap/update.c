/* What others change in the selected mailbox, as the client is told of it. The map holds what the client believes; a letter that
 * has gone stays in it (`held`) until EXPUNGE or VANISHED may be said (RFC 9051 §7.5.1), so that its numbers never slip. */
#include "proto/imap/selected.h"
#include "base/mem.h"
#include "run/fiber.h"
#include "run/log.h"

#include <errno.h>

enum {
        VANISHED_RANGES = 500, /* a line of some 8 KB */
        ON_FLAGS = RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE,
        ALTERS = ON_FLAGS | RIGHT_EXPUNGE,
};

void imap_piece(struct session *s, struct buf *b)
{
        if (b->n < PIECE)
                return;
        conn_put(s->conn, buf_str(b));
        buf_clear(b);
        fiber_yield_if_due();
}

void imap_mailbox_lost(struct session *s)
{
        if (s->running && str_eq(str_of(s->running->verb), S("DELETE"))) { /* who removes it knows */
                imap_unselect(s);
                imap_say(s, "OK [CLOSED] the selected mailbox has been removed");
                return;
        }
        imap_say(s, "BYE the selected mailbox has gone, or its numbers are not what they were");
        s->ending = true;
}

/* --- opening it -------------------------------------------------------------------------------------------------- */

bool imap_selected_open(struct session *s, unsigned needs, struct access *x, int *rc)
{
        struct imap_selected *sel = &imap_of(s)->selected;

        *rc = OK;
        if (sel->read_only && needs & ALTERS) {
                *x = (struct access){ 0 };
                *rc = imap_no(s, "[READ-ONLY] this mailbox is open for reading only");
                return false;
        }
        *rc = imap_open_again(s, &sel->key, needs | RIGHT_READ, x);
        if (!*rc)
                return true;
        if (*rc == -ESTALE || *rc == -ENOENT) {
                imap_mailbox_lost(s);
                *rc = OK;
        } else {
                *rc = imap_trouble(s, *rc);
        }
        return false;
}

void imap_unselect(struct session *s)
{
        struct imap *p = imap_of(s);
        struct imap_selected *sel = &p->selected;

        if (!sel->key.owner)
                return;
        imap_contexts_end(s);
        access_forget(&sel->key);
        mem_free((char *)sel->path.p);
        seqmap_free(&sel->map);
        uid_list_free(&sel->saved);
        uid_list_free(&sel->held);
        *sel = (struct imap_selected){ 0 };
        p->keywords = NULL;
        arena_reset(&p->awake); /* or who selects without a pause would fill it */
        if (s->state == IMAP_SELECTED)
                s->state = IMAP_SIGNED_IN;
        notify_selected_changed(s);
}

void imap_enable(struct session *s, unsigned enabled)
{
        if (enabled & ENABLED_CONDSTORE)
                imap_use_condstore(s);
        imap_of(s)->enabled |= enabled;
}

void imap_use_condstore(struct session *s)
{
        struct imap *p = imap_of(s);

        if (p->enabled & ENABLED_CONDSTORE)
                return;
        p->enabled |= ENABLED_CONDSTORE;
        if (p->selected.key.owner)
                imap_say(s, "OK [HIGHESTMODSEQ %llu] from now on with MODSEQ",
                         (unsigned long long)p->selected.highest);
}

/* --- what has gone ----------------------------------------------------------------------------------------------- */

void imap_say_vanished(struct session *s, const char *earlier, const struct uid_list *uids)
{
        struct buf b auto_buf;

        buf_init(&b, 64 * 1024);
        for (size_t i = 0; i < uids->n; i += VANISHED_RANGES) {
                size_t n = uids->n - i < VANISHED_RANGES ? uids->n - i : VANISHED_RANGES;

                buf_printf(&b, "* VANISHED %s", earlier);
                put_uids(&b, &(struct uid_list){ uids->ranges + i, n, n });
                buf_puts(&b, S("\r\n"));
                imap_piece(s, &b);
        }
        conn_put(s->conn, buf_str(&b));
}

/* From the last to the first, so that each number is right when it is read. */
static void say_expunged(struct session *s, const struct uid_list *seqs)
{
        struct buf b auto_buf;

        buf_init(&b, 64 * 1024);
        for (size_t i = seqs->n; i-- > 0;)
                for (uint32_t seq = seqs->ranges[i].last; seq >= seqs->ranges[i].first; seq--) {
                        buf_printf(&b, "* %u EXPUNGE\r\n", seq);
                        imap_piece(s, &b);
                }
        conn_put(s->conn, buf_str(&b));
}

static void only_present(const struct seqmap *m, struct uid_list *l)
{
        struct uid_list there = { 0 };

        if (!l->n)
                return;
        imap_present(m, l, &there);
        uid_list_free(l);
        *l = there;
}

/* All that is held, told and forgotten. */
static void tell_gone(struct session *s, struct access *x)
{
        struct imap *p = imap_of(s);
        struct imap_selected *sel = &p->selected;
        struct uid_list gone = sel->held, seqs = { 0 };

        imap_contexts_update(s, x, NULL, &gone);
        sel->held = (struct uid_list){ 0 };
        seqmap_remove(&sel->map, &gone, &seqs);
        only_present(&sel->map, &sel->saved);
        if (p->enabled & (ENABLED_QRESYNC | ENABLED_UIDONLY))
                imap_say_vanished(s, "", &gone);
        else
                say_expunged(s, &seqs);
        uid_list_free(&gone);
        uid_list_free(&seqs);
}

static void hold(struct imap_selected *sel, const struct uid_list *gone)
{
        struct uid_list here = { 0 }, all = { 0 };

        imap_present(&sel->map, gone, &here);
        uid_list_union(&sel->held, &here, &all);
        uid_list_free(&here);
        uid_list_free(&sel->held);
        sel->held = all;
}

/* --- news -------------------------------------------------------------------------------------------------------- */

struct news {
        struct placed_list changed;
        struct uid_list gone, fresh; /* fresh: new letters */
        struct mailbox_status now;
        uint64_t bits; /* flags among `changed` */
};

/* RFC 3501 §2.3.2: \Recent is one session's. Who tells it while a command runs takes it from the others; a bell only notes
 * that it is to be taken, so that a thousand idle sessions do not write. */
static void extend_recent(struct session *s, struct access *x, const struct news *news)
{
        struct imap *p = imap_of(s);
        struct imap_selected *sel = &p->selected;
        struct mailbox_status taken = news->now;
        uint32_t from;

        if (p->enabled & ENABLED_REV2)
                return;
        sel->recent_due = imap_writable(s) && !s->running;
        if (imap_writable(s) && s->running && change_select(x, true, &taken))
                taken = news->now;
        from = taken.recent_from > sel->uidnext ? taken.recent_from : sel->uidnext;
        if (from >= news->now.view.uidnext)
                return;
        if (!imap_recent(s))
                sel->recent_from = from;
        else if (from > sel->recent_until)
                return; /* some between belong to another session: one range is all we keep */
        sel->recent_until = news->now.view.uidnext;
}

static void take_due(struct session *s, struct access *x)
{
        struct imap_selected *sel = &imap_of(s)->selected;
        struct mailbox_status status;

        if (!sel->recent_due || !s->running || !imap_writable(s))
                return;
        sel->recent_due = false;
        if (change_select(x, true, &status))
                sel->recent_due = true;
}

static void tell_new(struct session *s, struct access *x, struct news *news)
{
        struct imap_selected *sel = &imap_of(s)->selected;

        for (size_t i = 0; i < news->changed.n; i++) {
                const struct placed *m = &news->changed.list[i];

                news->bits |= m->flags;
                if (m->uid < sel->uidnext || m->uid <= seqmap_last(&sel->map))
                        continue;
                seqmap_add(&sel->map, m->uid);
                uid_list_add(&news->fresh, m->uid, m->uid);
        }
        if (!news->fresh.n)
                return;
        extend_recent(s, x, news);
        imap_say(s, "%u EXISTS", sel->map.count);
        if (!(imap_of(s)->enabled & ENABLED_REV2))
                imap_say(s, "%u RECENT", imap_recent(s));
}

/* Flags of letters that were known before. */
static void tell_flags(struct session *s, struct access *x, struct news *news, uint32_t below)
{
        size_t n = news->changed.n;

        while (n && news->changed.list[n - 1].uid >= below)
                n--;
        if (n)
                imap_say_changed(s, x, news->changed.list, n, imap_of(s)->selected.own_modseq);
}

/* EXPUNGE and the like tell what they did even where NOTIFY wants to hear of nothing. */
static bool removes(const struct session *s)
{
        static const char *const verbs[] = { "EXPUNGE", "MOVE", "REPLACE" };

        for (unsigned i = 0; s->running && i < sizeof(verbs) / sizeof(*verbs); i++)
                if (str_eq(str_of(s->running->verb), str_of(verbs[i])))
                        return true;
        return false;
}

static void tell(struct session *s, struct access *x, struct news *news, unsigned events, bool expunge,
                 bool asked)
{
        struct imap *p = imap_of(s);
        struct imap_selected *sel = &p->selected;
        uint32_t known = sel->uidnext;
        uint64_t was = sel->highest;
        bool gone;

        hold(sel, &news->gone);
        gone = sel->held.n && expunge;
        if (gone)
                tell_gone(s, x);
        tell_new(s, x, news);
        if (news->bits & ~sel->keywords & ~(uint64_t)255 ||
            (asked && imap_keywords(s, x)->bits & ~sel->keywords))
                imap_say_flags(s, x);
        if (events & EVENT_FLAGS)
                tell_flags(s, x, news, known);
        else if (news->changed.n && news->changed.list[0].uid < known)
                sel->behind = true;
        if (news->changed.n)
                imap_contexts_update(s, x, &news->changed, NULL);
        if (news->fresh.n && notify_selected_items(p).n &&
            imap_fetch_new(s, x, notify_selected_items(p), &news->fresh))
                log_warn("notify-fetch-failed", "session=%s", s->id);
        sel->uidnext = news->now.view.uidnext;
        sel->modseq = news->now.view.modseq;
        /* RFC 7162 §3.2: never beyond what has been told */
        if (!sel->held.n && !sel->behind && news->now.highest > sel->highest)
                sel->highest = news->now.highest;
        if (p->enabled & ENABLED_QRESYNC && gone && sel->highest > was && !sel->held.n && !sel->behind)
                imap_say(s, "OK [HIGHESTMODSEQ %llu] all is told", (unsigned long long)sel->highest);
}

/* RFC 4314 §5.2: shared flags; \Seen is everybody's own, but for the owner. */
bool imap_writable(const struct session *s)
{
        const struct imap_selected *sel = &((const struct imap *)s)->selected;
        bool own = str_eq(str_of(sel->key.owner), s->account);

        return !sel->read_only && sel->rights & (RIGHT_INSERT | RIGHT_EXPUNGE | RIGHT_WRITE | RIGHT_DELETE |
                                                 (own ? RIGHT_SEEN : 0));
}

/* Somebody gave or took them while the mailbox is selected (RFC 3501 §7.1, READ-ONLY and READ-WRITE). */
static void tell_rights(struct session *s, struct access *x)
{
        struct imap_selected *sel = &imap_of(s)->selected;
        bool was = imap_writable(s);

        if (sel->rights == x->rights)
                return;
        sel->rights = x->rights;
        if (sel->read_only)
                return;
        imap_say_flags(s, x);
        if (was != imap_writable(s))
                imap_say(s, "OK [%s] your rights are others now", was ? "READ-ONLY" : "READ-WRITE");
}

static void look(struct session *s, struct access *x, unsigned events, bool expunge, bool asked)
{
        struct imap_selected *sel = &imap_of(s)->selected;
        struct news news = { 0 };
        uint64_t stamp = change_stamp(x);
        int rc;

        if (stamp == sel->stamp && !(sel->held.n && expunge) && !sel->recent_due)
                return;
        rc = change_since(x, sel->uidnext, sel->modseq, &news.changed, &news.gone, &news.now);
        if (!rc) {
                sel->stamp = stamp;
                tell_rights(s, x);
                tell(s, x, &news, events, expunge, asked);
                take_due(s, x);
        } else if (rc == -ESTALE || rc == -ENOENT) {
                imap_mailbox_lost(s);
        } /* else: the next time */
        placed_list_free(&news.changed);
        uid_list_free(&news.gone);
        uid_list_free(&news.fresh);
}

/* RFC 7162 §6: a client takes the highest MODSEQ that a command told for what it knows, unless it is told otherwise. While something
 * older has not been told, it must be: each time, also if nothing is new. */
static void say_behind(struct session *s, unsigned events)
{
        const struct imap *p = imap_of(s);
        const struct imap_selected *sel = &p->selected;

        if (!(p->enabled & ENABLED_QRESYNC) || !sel->key.owner || !s->running || s->ending)
                return;
        if (sel->held.n || sel->behind || !events)
                imap_say(s, "OK [HIGHESTMODSEQ %llu] not all that is older has been told yet",
                         (unsigned long long)sel->highest);
}

void imap_updates(struct session *s, struct access *x, bool expunge)
{
        struct imap *p = imap_of(s);
        unsigned events = notify_selected_events(p);
        bool own = removes(s), asked = x != NULL;
        struct access here = { 0 };
        int rc = 0;

        if (!p->selected.key.owner || s->ending)
                return;
        if (!events && !own) {
                say_behind(s, events);
                return;
        }
        if (!x) {
                x = &here;
                rc = imap_open_again(s, &p->selected.key, RIGHT_READ, x);
        }
        if (!rc)
                look(s, x, events, expunge, asked);
        else if (rc == -ESTALE || rc == -ENOENT || rc == -EACCES)
                imap_mailbox_lost(s);
        access_close(&here);
        say_behind(s, events);
}
