/* Connected; a pass: folders on both sides, moves between them, and then one mailbox after another. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "cli/reach.h"

#include <errno.h>

#define DIAL_PATIENCE (30 * SECOND)

/* ---- connected ---- */

static int open_once(struct work *w, struct known *k, bool *again)
{
        struct login *l = w->login;
        struct tls_found found = { 0 };
        struct imap_client_how how = {
                .host = l->incoming.host, .tls = l->incoming.tls, .want = &k->want, .found = &found
        };
        struct conn *conn;
        int rc = reach(l->incoming.host, l->incoming.port, now() + DIAL_PATIENCE, &conn, w->why);

        if (rc < 0)
                return rc;
        buf_clear(w->why); /* of addresses that did not answer */
        rc = imap_client_open(&w->imap, conn, &how, &w->answer);
        if (rc < 0) {
                *again = rc == -EACCES && known_asked(k, &found);
                if (!*again)
                        work_failed(w, rc,
                                    *w->answer.text ? w->answer.text : "the server does not speak IMAP");
        }
        return rc;
}

/* Refused, the password is asked for again where somebody is there; the server may have hung up then: that is for the next time. */
static int sign_in(struct work *w, const char *password)
{
        struct login *l = w->login;
        int rc = imap_client_login(w->imap, l->incoming.user, password, &w->answer);

        while (rc == -EREMOTEIO && login_refused(l, w->answer.code, w->answer.text) &&
               login_password(l, &password))
                rc = imap_client_login(w->imap, l->incoming.user, password, &w->answer);
        if (rc == 0)
                login_accepted(l);
        return rc == 0 ? 0
                       : work_failed(w, rc == -EREMOTEIO ? -EACCES : rc,
                                     *w->answer.text ? w->answer.text : "the server does not let us in");
}

int imap_begin(struct work *w)
{
        struct login *l = w->login;
        const char *password;
        struct known k;
        bool again = false;
        int rc;

        work_state(w, SYNC_CONNECTING, "%s", l->incoming.host);
        if (!login_password(l, &password))
                return work_failed(w, -EACCES, "there is no password");
        known_want(&k, l->incoming.host, l->incoming.port, KNOWN_ASK, l->ca);
        rc = open_once(w, &k, &again);
        if (again)
                rc = open_once(w, &k, &again);
        if (rc < 0)
                return rc;
        return sign_in(w, password);
}

/* ---- a pass ---- */

static bool is_wanted(const struct box *b, const struct str *only, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(str_of(b->path), only[i]))
                        return true;
        return !n;
}

/* Empty on both sides, as STATUS says and the account does: there is nothing to select. */
static bool is_empty(const struct box *b)
{
        return box_status(b) && !b->folder->count && !b->n && !b->here.n && !b->filing;
}

/* Mailboxes without letters and rows need no look. */
static int scan_all(struct work *w)
{
        struct mailbox_numbers *list;
        struct arena auto_arena a;
        size_t n, at;
        int rc;

        arena_init(&a, 64 << 20);
        rc = change_numbers(copy_account(w->copy), &a, &list, &n);
        if (rc < 0)
                return work_failed(w, rc, "the folders here cannot be read");
        for (size_t i = 0; i < w->n && rc == 0; i++) {
                struct box *b = &w->boxes[i];
                size_t low = 0, high = n;

                while (low < high) {
                        at = low + (high - low) / 2;
                        if (list[at].mailbox < b->mailbox)
                                low = at + 1;
                        else
                                high = at;
                }
                if (b->n || low == n || list[low].mailbox != b->mailbox || list[low].count)
                        rc = box_scan(w, b);
        }
        return rc;
}

/* What STATUS told of those that are empty is written at once. */
static int note_empty(struct work *w)
{
        for (size_t i = 0; i < w->n; i++) {
                struct box *b = &w->boxes[i];
                const struct imap_folder *f = b->folder;

                if (!is_empty(b) ||
                    (b->validity == f->uidvalidity && b->uidnext == f->uidnext && b->highest == f->highest))
                        continue;
                b->validity = f->uidvalidity;
                b->uidnext = f->uidnext;
                b->highest = f->highest;
                b->changed = true;
        }
        return state_changed_boxes(w);
}

int imap_pass(struct work *w, const struct str *only, size_t n)
{
        int rc;

        state_forget_boxes(w);
        rc = state_boxes(w);
        if (rc == 0)
                rc = imap_pair_folders(w);
        if (rc == 0)
                rc = scan_all(w);
        if (rc == 0)
                rc = box_moves(w);
        if (rc == 0)
                rc = note_empty(w);
        for (size_t i = 0; i < w->n && rc == 0; i++)
                if (is_wanted(&w->boxes[i], only, n) && !is_empty(&w->boxes[i]))
                        rc = box_sync(w, &w->boxes[i]);
        return rc;
}
