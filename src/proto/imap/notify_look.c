/* The mailboxes of an account as they are now, beside what was told last (RFC 5465 §5). A bell says only that something was
 * committed there: names and rights are read in one call, numbers in another, and what is different is told. */
#include "proto/imap/notify.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

struct look {
        struct session *s;
        struct notify *n;
        struct notify_account *a;
        struct account *account;
        struct arena m;
        struct mailbox_entry *entries; /* in order of number */
        size_t count;
        struct mailbox_numbers *numbers;
        size_t numbers_count;
        struct str *subscribed; /* names; of the account that is looked at, if it is one's own */
        size_t subscribed_count;
        struct notify_box *boxes; /* as they are now */
        size_t n_boxes;
        bool own, tell, status;
};

/* --- reading what is there --------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
        uint32_t x = ((const struct mailbox_entry *)a)->mailbox,
                 y = ((const struct mailbox_entry *)b)->mailbox;

        return (x > y) - (x < y);
}

static const struct mailbox_numbers *numbers_of(const struct look *l, uint32_t mailbox)
{
        size_t low = 0, high = l->numbers_count;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (l->numbers[middle].mailbox < mailbox)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < l->numbers_count && l->numbers[low].mailbox == mailbox ? &l->numbers[low] : NULL;
}

static int read_account(struct look *l)
{
        int rc = mailbox_all(l->account, l->s->account, &l->m, &l->entries, &l->count);

        if (!rc)
                rc = change_numbers(l->account, &l->m, &l->numbers, &l->numbers_count);
        if (!rc && l->own)
                rc = mailbox_subscriptions(l->account, &l->m, &l->subscribed, &l->subscribed_count);
        if (!rc)
                notify_sort(l->subscribed, l->subscribed_count);
        if (!rc && l->count)
                qsort(l->entries, l->count, sizeof *l->entries, by_number);
        return rc;
}

static int by_entry(const void *a, const void *b)
{
        return str_cmp(str_of(((const struct notify_note *)a)->entry),
                       str_of(((const struct notify_note *)b)->entry));
}

static int read_notes(struct look *l, uint32_t reader_number, uint32_t mailbox, struct notify_notes *out)
{
        struct arena m auto_arena;
        struct annotation *list;
        size_t n;
        int rc;

        arena_init(&m, SIZE_MAX); /* what the store bounds, one mailbox at a time */
        rc = mailbox_annotations(l->account, reader_number, mailbox, &m, &list, &n);
        *out = (struct notify_notes){ 0 };
        if (rc || !n)
                return rc;
        out->list = mem_array(n, sizeof *out->list);
        for (out->n = 0; out->n < n; out->n++)
                out->list[out->n] =
                    (struct notify_note){ mem_string(list[out->n].entry), str_hash(list[out->n].value) };
        qsort(out->list, n, sizeof *out->list, by_entry);
        return 0;
}

/* The reader's own numbers, where he is not the owner: his \Seen. */
static int precise(struct look *l, const struct mailbox_entry *e, struct notify_box *b)
{
        struct mailbox_status status;
        struct access x;
        int rc =
            access_open(&x, l->s->server->accounts, l->s->account, str_of(l->a->owner), e->path, RIGHT_READ);

        if (!rc)
                rc = change_status(&x, false, &status);
        if (!rc)
                b->unseen = status.unseen;
        if (!rc && b->events & EVENT_METADATA)
                rc = read_notes(l, x.reader_number, e->mailbox, &b->notes);
        access_close(&x);
        return rc == -ENOENT || rc == -EACCES || rc == -ESTALE ? 0 : rc; /* gone meanwhile: the next bell */
}

static const struct notify_box *known(const struct look *l, uint32_t mailbox)
{
        size_t low = 0, high = l->a->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (l->a->boxes[middle].mailbox < mailbox)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < l->a->n && l->a->boxes[low].mailbox == mailbox ? &l->a->boxes[low] : NULL;
}

static int read_box(struct look *l, const struct mailbox_entry *e, unsigned events, struct notify_box *b)
{
        const struct mailbox_numbers *now = numbers_of(l, e->mailbox);
        const struct notify_box *was = known(l, e->mailbox);

        *b = (struct notify_box){ .mailbox = e->mailbox,
                                  .uidvalidity = e->uidvalidity,
                                  .path = mem_string(e->path),
                                  .events = events,
                                  .bits = e->bits & ~(unsigned)MAILBOX_SUBSCRIBED,
                                  .readable = e->rights & RIGHT_READ && !(e->bits & MAILBOX_NOSELECT) };
        if (now) {
                b->uidnext = now->uidnext;
                b->count = now->count;
                b->unseen = now->unseen;
                b->highest = now->highest;
        }
        if (l->own)
                return events & EVENT_METADATA ? read_notes(l, 0, e->mailbox, &b->notes) : 0;
        if (!b->readable)
                return 0;
        if (was && was->readable && !(events & EVENT_METADATA) && was->highest == b->highest &&
            was->uidnext == b->uidnext && was->count == b->count && !(events & EVENT_FLAGS)) {
                b->unseen = was->unseen;
                return 0;
        }
        return precise(l, e, b);
}

/* Those that were told last, in order. */
static struct str *told_names(struct look *l)
{
        struct str *names = arena_array(&l->m, struct str, l->n->subscribed_count + 1);

        for (size_t i = 0; i < l->n->subscribed_count; i++)
                names[i] = str_of(l->n->subscribed[i]);
        return names;
}

static int read_boxes(struct look *l)
{
        struct str owner = str_of(l->a->owner);
        const struct str *subscribed = l->subscribed;
        size_t subscribed_count = l->subscribed_count;
        int rc = 0;

        if (!l->own) { /* as the own account had them when it was looked at last */
                subscribed = told_names(l);
                subscribed_count = l->n->subscribed_count;
        }
        l->boxes = mem_array(l->count + 1, sizeof *l->boxes);
        for (size_t i = 0; i < l->count && !rc; i++) {
                const struct mailbox_entry *e = &l->entries[i];
                unsigned events =
                    notify_events(l->n, l->s, &l->m, owner, e->path, subscribed, subscribed_count);

                fiber_yield_if_due();
                if (!events)
                        continue;
                if (l->n_boxes == NOTIFY_BOXES_MOST)
                        return -E2BIG;
                rc = read_box(l, e, events, &l->boxes[l->n_boxes++]);
        }
        return rc;
}

/* --- what is different ------------------------------------------------------------------------------------------- */

static struct str name_of(struct look *l, const char *path)
{
        return notify_name(l->s, &l->m, str_of(l->a->owner), str_of(path));
}

static void tell_list(struct look *l, const struct notify_box *b, struct str old)
{
        struct str name = name_of(l, b->path);
        bool subscribed = l->own && notify_named(name, l->subscribed, l->subscribed_count);
        struct str attributes =
            arena_printf(&l->m, "%s%s%s%s", b->bits & MAILBOX_NOSELECT ? "\\Noselect " : "",
                         b->readable || b->bits & MAILBOX_NOSELECT ? "" : "\\NoAccess ",
                         b->bits & MAILBOX_CHILDREN ? "\\HasChildren" : "\\HasNoChildren",
                         subscribed ? " \\Subscribed" : "");

        notify_tell_list(l->s, name, attributes.p, old);
}

static struct str last_name(const char *path)
{
        struct str p = str_of(path);
        size_t at = str_rfind(p, '/');

        return at == STR_NONE ? p : str_from_at(p, at + 1);
}

/* Renamed along with the one it lies in: that is told of that one only (§5.4). */
static bool moved_along(const struct look *l, const struct notify_box *was, const struct notify_box *now)
{
        for (size_t i = 0; i < l->count; i++) {
                const struct notify_box *parent_was;

                if (l->entries[i].mailbox != now->mailbox)
                        continue;
                parent_was = known(l, l->entries[i].parent);
                return parent_was && str_eq(last_name(was->path), last_name(now->path)) &&
                       notify_below(str_of(was->path), str_of(parent_was->path));
        }
        return false;
}

static void tell_letters(struct look *l, const struct notify_box *was, const struct notify_box *now)
{
        const struct imap_selected *sel = &imap_of(l->s)->selected;
        bool modseq = imap_of(l->s)->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC);
        bool selected = sel->key.owner && sel->key.mailbox == now->mailbox &&
                        str_eq(str_of(sel->key.owner), str_of(l->a->owner));
        unsigned what = 0;

        if (selected || !now->readable || !(now->events & EVENTS_OF_LETTERS))
                return;
        if (!was || !was->readable || was->uidvalidity != now->uidvalidity) {
                what = STATUS_ALL;
        } else {
                if (now->events & (EVENT_NEW | EVENT_EXPUNGE) &&
                    (was->uidnext != now->uidnext || was->count != now->count))
                        what |= STATUS_LETTERS;
                if (now->events & EVENT_FLAGS &&
                    (was->unseen != now->unseen || (modseq && was->highest != now->highest)))
                        what |= STATUS_FLAGS;
        }
        if (what)
                notify_tell_status(l->s, name_of(l, now->path), now, what);
}

static void tell_box(struct look *l, const struct notify_box *was, const struct notify_box *now)
{
        bool renamed = was && !str_eq(str_of(was->path), str_of(now->path));

        if (now->events & EVENT_NAME && (!was || was->bits != now->bits))
                tell_list(l, now, renamed ? name_of(l, was->path) : S(""));
        else if (now->events & EVENT_NAME && renamed && !moved_along(l, was, now))
                tell_list(l, now, name_of(l, was->path));
        else if (was && was->readable != now->readable && now->events & EVENTS_OF_LETTERS) /* §5.9 */
                tell_list(l, now, S(""));
        tell_letters(l, was, now);
        if (now->events & EVENT_METADATA && was && was->events & EVENT_METADATA)
                notify_tell_notes(l->s, name_of(l, now->path), &was->notes, &now->notes);
}

/* No longer watched: gone, or not to be seen any more, or it has another name now. Not if it was only unsubscribed. */
static void tell_gone(struct look *l, const struct notify_box *was)
{
        if (!(was->events & EVENT_NAME) && !(was->readable && was->events & EVENTS_OF_LETTERS))
                return;
        for (size_t i = 0; i < l->count; i++)
                if (l->entries[i].mailbox == was->mailbox && str_eq(l->entries[i].path, str_of(was->path)))
                        return;
        notify_tell_list(l->s, name_of(l, was->path), "\\NonExistent", S(""));
}

/* Both in order of number. */
static void compare(struct look *l)
{
        size_t i = 0, k = 0;

        while (i < l->a->n || k < l->n_boxes) {
                const struct notify_box *was = i < l->a->n ? &l->a->boxes[i] : NULL;
                const struct notify_box *now = k < l->n_boxes ? &l->boxes[k] : NULL;

                if (now && (!was || now->mailbox < was->mailbox)) {
                        tell_box(l, NULL, now);
                        k++;
                } else if (was && (!now || was->mailbox < now->mailbox)) {
                        tell_gone(l, was);
                        i++;
                } else {
                        tell_box(l, was, now);
                        i++;
                        k++;
                }
        }
}

/* Said at NOTIFY SET: STATUS where it was asked for, and which mailboxes cannot be looked into (§3.1). */
static void tell_first(struct look *l)
{
        for (size_t i = 0; i < l->n_boxes; i++) {
                const struct notify_box *b = &l->boxes[i];

                if (!(b->events & EVENTS_OF_LETTERS) || b->bits & MAILBOX_NOSELECT)
                        continue;
                if (!b->readable)
                        notify_tell_list(l->s, name_of(l, b->path), "\\NoAccess", S(""));
                else if (l->status)
                        tell_letters(l, NULL, b);
        }
}

/* --- subscriptions, annotations of the account ------------------------------------------------------------------- */

static void tell_subscription(struct look *l, struct str name, bool yes)
{
        struct str owner, path;
        bool there = false;
        unsigned bits = 0;

        fiber_yield_if_due();
        if (!imap_locate(l->s, name, &owner, &path))
                return;
        if (!(notify_events(l->n, l->s, &l->m, owner, path, l->subscribed, l->subscribed_count) &
              EVENT_SUBSCRIPTION))
                return;
        for (size_t i = 0; i < l->count && str_eq(owner, str_of(l->a->owner)); i++)
                if (str_eq(l->entries[i].path, path)) {
                        there = true;
                        bits = l->entries[i].bits;
                }
        if (!str_eq(owner, str_of(l->a->owner))) {
                struct access x;

                there = imap_owner_exists(l->s, owner) &&
                        !access_open(&x, l->s->server->accounts, l->s->account, owner, path, 0);
                if (there)
                        access_close(&x);
        }
        notify_tell_list(l->s, name,
                         arena_printf(&l->m, "%s%s",
                                      !there                    ? "\\NonExistent"
                                      : bits & MAILBOX_CHILDREN ? "\\HasChildren"
                                                                : "\\HasNoChildren",
                                      yes ? " \\Subscribed" : "")
                             .p,
                         S(""));
}

static int look_at_subscriptions(struct look *l)
{
        struct notify *n = l->n;
        const struct str *told = told_names(l);
        bool same = true;

        for (size_t i = 0; i < n->subscribed_count; i++)
                if (!notify_named(told[i], l->subscribed, l->subscribed_count)) {
                        same = false;
                        if (l->tell)
                                tell_subscription(l, told[i], false);
                }
        for (size_t i = 0; i < l->subscribed_count; i++)
                if (!notify_named(l->subscribed[i], told, n->subscribed_count)) {
                        same = false;
                        if (l->tell)
                                tell_subscription(l, l->subscribed[i], true);
                }
        if (same)
                return 0;
        for (size_t i = 0; i < n->subscribed_count; i++)
                mem_free(n->subscribed[i]);
        mem_free(n->subscribed);
        n->subscribed = mem_array(l->subscribed_count + 1, sizeof *n->subscribed);
        for (n->subscribed_count = 0; n->subscribed_count < l->subscribed_count; n->subscribed_count++)
                n->subscribed[n->subscribed_count] = mem_string(l->subscribed[n->subscribed_count]);
        if (!notify_wants_subscribed(n))
                return 0;
        for (size_t i = 0; i < n->account_count; i++) /* what is watched there may be something else now */
                n->accounts[i].looked = false;
        return notify_need_subscribed(l->s, n);
}

static int look_at_server(struct look *l)
{
        struct notify_notes now;
        int rc = read_notes(l, 0, 0, &now);

        if (rc)
                return rc;
        if (l->tell)
                notify_tell_notes(l->s, S(""), &l->a->notes, &now);
        notify_notes_free(&l->a->notes);
        l->a->notes = now;
        return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static int look(struct look *l)
{
        int rc = read_account(l);

        if (!rc)
                rc = read_boxes(l);
        if (rc)
                return rc;
        if (l->tell)
                compare(l);
        else
                tell_first(l);
        if (l->own && l->n->events & EVENT_SERVER_METADATA)
                rc = look_at_server(l);
        if (!rc && l->own && (notify_wants_subscribed(l->n) || l->n->events & EVENT_SUBSCRIPTION))
                rc = look_at_subscriptions(l);
        return rc;
}

int notify_look(struct session *s, struct notify *n, struct notify_account *a, bool tell, bool status)
{
        struct look l = { .s = s, .n = n, .a = a, .tell = tell, .status = status };
        struct notify_box *old = a->boxes;
        size_t old_n = a->n, at = (size_t)(a - n->accounts);
        int rc;

        l.own = str_eq(str_of(a->owner), s->account);
        rc = imap_owner_exists(s, str_of(a->owner))
                 ? account_get(s->server->accounts, str_of(a->owner), &l.account)
                 : -ENOENT;
        if (rc == -ENOENT) {
                a->looked = true;
                return 0; /* as if there were nothing */
        }
        arena_init(&l.m, SIZE_MAX); /* what the store bounds: 10,000 mailboxes */
        if (!rc)
                rc = look(&l);
        account_put(&l.account);
        arena_finish(&l.m);
        if (rc) { /* what was told last stays */
                old = l.boxes;
                old_n = l.n_boxes;
        } else {
                a = &n->accounts[at]; /* the list may have moved */
                a->looked = true;
                a->boxes = mem_grow(l.boxes, l.n_boxes + !l.n_boxes, sizeof *l.boxes);
                a->n = l.n_boxes;
        }
        for (size_t i = 0; i < old_n; i++)
                notify_box_free(&old[i]);
        mem_free(old);
        return rc;
}
