#include "proto/imap/notify.h"
#include "base/mem.h"
#include "proto/imap/fetch.h"

#include <errno.h>

#define SUPPORTED                                                                                    \
        "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange " \
        "ServerMetadataChange"

static const struct str event_names[] = { S("MessageNew"),          S("MessageExpunge"),
                                          S("FlagChange"),          S("MailboxName"),
                                          S("SubscriptionChange"),  S("MailboxMetadataChange"),
                                          S("ServerMetadataChange") };

/* --- what is kept ------------------------------------------------------------------------------------------------ */

void notify_notes_free(struct notify_notes *l)
{
        for (size_t i = 0; i < l->n; i++)
                mem_free(l->list[i].entry);
        mem_free(l->list);
        *l = (struct notify_notes){ 0 };
}

void notify_box_free(struct notify_box *b)
{
        mem_free(b->path);
        notify_notes_free(&b->notes);
}

static void free_account(struct notify_account *a)
{
        watch_stop(&a->watch);
        for (size_t i = 0; i < a->n; i++)
                notify_box_free(&a->boxes[i]);
        mem_free(a->boxes);
        mem_free(a->owner);
        notify_notes_free(&a->notes);
}

static void free_group(struct notify_group *g)
{
        for (size_t i = 0; i < g->n; i++) {
                mem_free(g->names[i].owner);
                mem_free(g->names[i].path);
        }
        mem_free(g->names);
}

static void notify_free(struct notify *n)
{
        if (!n)
                return;
        for (size_t i = 0; i < n->group_count; i++)
                free_group(&n->groups[i]);
        for (size_t i = 0; i < n->account_count; i++)
                free_account(&n->accounts[i]);
        for (size_t i = 0; i < n->subscribed_count; i++)
                mem_free(n->subscribed[i]);
        mem_free(n->groups);
        mem_free(n->accounts);
        mem_free(n->subscribed);
        mem_free(n->items);
        mem_free(n);
}

void imap_notify_forget(struct session *s)
{
        notify_free(imap_of(s)->notify);
        imap_of(s)->notify = NULL;
}

/* --- the selected mailbox ---------------------------------------------------------------------------------------- */

unsigned notify_selected_events(const struct imap *p)
{
        return p->notify ? p->notify->selected : EVENTS_OF_LETTERS;
}

bool notify_selected_bells(const struct imap *p, bool *expunge)
{
        *expunge = p->notify && !p->notify->delayed;
        return p->notify && p->notify->selected;
}

struct str notify_selected_items(const struct imap *p)
{
        return p->notify && p->notify->items ? str_of(p->notify->items) : S("");
}

void notify_selected_changed(struct session *s)
{
        struct imap *p = imap_of(s);
        const char *owner = p->selected.key.owner;
        bool want = owner && (s->state == IMAP_IDLING || (p->notify && p->notify->selected));

        watch_stop(&p->watch);
        p->watch = NULL;
        if (want && s->server->watchers)
                watch_start(&p->watch, s, str_of(owner));
}

/* --- the command ------------------------------------------------------------------------------------------------- */

struct reading {
        struct session *s;
        struct notify *n;
        bool status;
        bool selected;   /* a group for the selected mailbox has come */
        bool unknown;    /* an event that there is not: NO [BADEVENT] */
        bool incomplete; /* MessageNew without MessageExpunge, ...: BAD (§5) */
        bool misplaced;  /* other events than of letters for the selected mailbox: BAD (§6.1) */
        size_t names;
};

/* MessageNew's items are kept as they came, and read again when they are wanted. */
static void new_items(struct reading *r, struct scan *a, bool selected)
{
        struct fetch_items items;
        const char *line = a->s.p;
        struct scan ahead = *a;
        size_t from;

        if (!scan_try(&ahead, ' ') || scan_peek(&ahead) != '(')
                return;
        *a = ahead;
        from = a->at;
        fetch_items(r->s, a, &items);
        if (a->bad)
                return;
        if (!selected)
                scan_fail(a, "only SELECTED may say what to fetch of new messages");
        else if (a->s.p != line || a->at - from > NOTIFY_ITEMS_MOST)
                scan_fail(a, "[LIMIT] too much to fetch of new messages");
        else if (items.seen)
                scan_fail(a, "what is fetched of new messages may not mark them \\Seen");
        if (a->bad)
                return;
        mem_free(r->n->items);
        r->n->items = mem_string(str_sub(a->s, from, a->at - from));
}

static unsigned event(struct reading *r, struct scan *a, bool selected)
{
        struct str name = imap_atom(a);

        for (unsigned i = 0; i < sizeof(event_names) / sizeof(*event_names); i++)
                if (str_ieq(name, event_names[i])) {
                        if (i == 0)
                                new_items(r, a, selected);
                        return 1u << i;
                }
        r->unknown |= !a->bad;
        return 0;
}

/* "(" event *(SP event) ")" / "NONE" */
static unsigned events(struct reading *r, struct scan *a, bool selected)
{
        unsigned all = 0, pair;

        if (scan_try_word(a, S("NONE")))
                return 0;
        scan_char(a, '(');
        do
                all |= event(r, a, selected);
        while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
        pair = all & (EVENT_NEW | EVENT_EXPUNGE);
        r->incomplete |= pair == EVENT_NEW || pair == EVENT_EXPUNGE || (all & EVENT_FLAGS && !pair);
        r->misplaced |= selected && all & ~(unsigned)EVENTS_OF_LETTERS;
        return all;
}

static void one_name(struct reading *r, struct scan *a, struct notify_group *g)
{
        struct str name = imap_mailbox(r->s, a), owner, path;

        if (a->bad)
                return;
        if (++r->names > NOTIFY_NAMES_MOST) {
                scan_fail(a, "[NOTIFICATIONOVERFLOW] too many mailboxes are named");
                return;
        }
        if (!imap_locate(r->s, name, &owner, &path)) /* as if there were none: §3.1 */
                return;
        g->names = mem_grow(g->names, g->n + 1, sizeof *g->names);
        g->names[g->n++] = (struct notify_name){ mem_string(owner), mem_string(path) };
}

static void names(struct reading *r, struct scan *a, struct notify_group *g)
{
        imap_sp(a);
        if (!scan_try(a, '(')) {
                one_name(r, a, g);
                return;
        }
        do
                one_name(r, a, g);
        while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
}

static void filter(struct reading *r, struct scan *a, struct notify_group *g)
{
        static const struct str words[] = { S("INBOXES"), S("PERSONAL"), S("SUBSCRIBED"), S("SUBTREE"),
                                            S("MAILBOXES") };

        for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (scan_try_word(a, words[i])) {
                        g->filter = (enum notify_filter)i;
                        if (i >= FILTER_SUBTREE)
                                names(r, a, g);
                        return;
                }
        scan_fail(a, "no such way to name mailboxes");
}

/* event-group = "(" filter-mailboxes SP events ")" */
static void group(struct reading *r, struct scan *a)
{
        struct notify *n = r->n;
        bool delayed;

        scan_char(a, '(');
        delayed = scan_try_word(a, S("SELECTED-DELAYED"));
        if (delayed || scan_try_word(a, S("SELECTED"))) {
                if (r->selected)
                        scan_fail(a, "the selected mailbox is named twice");
                r->selected = true;
                n->delayed = delayed;
                imap_sp(a);
                n->selected = events(r, a, true);
        } else {
                struct notify_group *g;

                if (n->group_count == NOTIFY_GROUPS_MOST) {
                        scan_fail(a, "[NOTIFICATIONOVERFLOW] too many groups of events");
                        return;
                }
                n->groups = mem_grow(n->groups, n->group_count + 1, sizeof *n->groups);
                g = &n->groups[n->group_count++];
                *g = (struct notify_group){ 0 };
                filter(r, a, g);
                imap_sp(a);
                g->events = events(r, a, false);
                n->events |= g->events;
        }
        scan_char(a, ')');
}

/* "SET" [SP "STATUS"] SP event-groups */
static void set(struct reading *r, struct scan *a)
{
        imap_sp(a);
        if (scan_try_word(a, S("STATUS"))) {
                r->status = true;
                imap_sp(a);
        }
        do
                group(r, a);
        while (!a->bad && scan_try(a, ' '));
}

/* What was read becomes what is. The selected mailbox first: an implied NOOP (§3.1). */
static int begin(struct session *s, struct reading *r)
{
        struct imap *p = imap_of(s);
        struct notify *n = r->n;
        int rc;

        imap_notify_forget(s);
        p->notify = n;
        r->n = NULL;
        notify_selected_changed(s);
        rc = notify_begin(s, n);
        for (size_t i = 0; i < n->account_count && !rc; i++)
                rc = notify_look(s, n, &n->accounts[i], false, r->status);
        if (!rc)
                return imap_ok(s, "NOTIFY completed");
        imap_notify_forget(s);
        notify_selected_changed(s);
        if (rc == -E2BIG)
                return imap_no(s, "[NOTIFICATIONOVERFLOW] that is too much to watch");
        return imap_trouble(s, rc);
}

/* NOTIFY SET [STATUS] (filter (events)) ... or NOTIFY NONE -- RFC 5465 §3.1 */
int imap_notify(struct session *s, struct scan *a)
{
        struct reading r = { .s = s, .n = mem_new(struct notify) };
        bool none = scan_try_word(a, S("NONE"));
        int rc;

        if (!none) {
                scan_word(a, S("SET"));
                set(&r, a);
        }
        if (!imap_end(s, a)) {
                rc = imap_syntax(s, a);
        } else if (none) {
                imap_notify_forget(s); /* and a client that polls must hear of its mailbox: RFC 9051 §5.2 */
                notify_selected_changed(s);
                rc = imap_ok(s, "NOTIFY completed");
        } else if (r.unknown) {
                rc = imap_no(s, "[BADEVENT (" SUPPORTED ")] there is no such event here");
        } else if (r.incomplete) {
                rc = imap_bad(s, "MessageNew, MessageExpunge: both or none; FlagChange only with them");
        } else if (r.misplaced) {
                rc = imap_bad(s, "of the selected mailbox only what happens to messages is told");
        } else {
                rc = begin(s, &r);
        }
        notify_free(r.n);
        return rc;
}

/* --- bells ------------------------------------------------------------------------------------------------------- */

void notify_bell(struct session *s)
{
        struct notify *n = imap_of(s)->notify;
        int rc = 0;

        for (size_t i = 0; i < n->account_count && rc != -E2BIG; i++) {
                struct notify_account *a = &n->accounts[i];

                bool rang = watch_rang(a->watch);

                if (!rang && a->looked)
                        continue;
                watch_heard(a->watch);
                rc = notify_look(s, n, a, rang, false);
        }
        if (rc != -E2BIG)
                return;
        imap_notify_forget(s); /* §5.8 */
        notify_selected_changed(s);
        imap_say(s, "OK [NOTIFICATIONOVERFLOW] there is too much to watch: from now on as after NOTIFY NONE");
}
