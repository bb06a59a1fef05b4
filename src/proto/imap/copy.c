#include "proto/imap/alter.h"

#include <errno.h>

struct copy {
        bool move;
        struct str name; /* of the target */
        struct uid_list uids;
        struct copied done;
        uint32_t lowest; /* alter_limit */
        bool tell_uids;  /* not those of a mailbox he may not read (RFC 4315 §3) */
};

static int to_target(struct session *s, struct access *x, struct copy *c)
{
        struct access to;
        uint64_t room = 0;
        int rc = imap_open(s, c->name, RIGHT_INSERT, &to);

        if (!rc) {
                c->tell_uids = to.rights & RIGHT_READ && imap_can_rev2(s, CAP_UIDPLUS);
                rc = imap_room(s, to.account, to.owner, &room);
        } else if (rc == -ENOENT) {
                rc = -EXDEV; /* the target, not the source */
        }
        if (!rc && !conn_ok(s->conn))
                rc = -ECANCELED;
        if (!rc)
                rc = (c->move ? change_move : change_copy)(x, c->uids.ranges, c->uids.n, &to, room, &c->done);
        access_close(&to);
        return rc;
}

static int copied(struct session *s, struct access *x, const struct copy *c)
{
        struct buf code auto_buf;

        buf_init(&code, 32 << 20);
        if (!c->done.from.n)
                return imap_of(s)->uid ? imap_ok(s, "there were no such letters")
                                       : imap_no(s, "[EXPUNGEISSUED] these letters have gone");
        if (c->tell_uids)
                put_copyuid(&code, &c->done);
        if (!c->move)
                return alter_ok(s, buf_str(&code), "COPY completed");
        /* RFC 6851 §4.3: before the EXPUNGEs, so that the client can say which became which */
        alter_say(s, buf_str(&code), "they have moved");
        return alter_removed(s, x, true, c->lowest, "MOVE completed");
}

static int copy_or_move(struct session *s, struct scan *a, bool move)
{
        struct imap *p = imap_of(s);
        struct copy c = { .move = move };
        struct imap_set set;
        struct access x;
        int rc;

        imap_set(s, a, &set);
        imap_sp(a);
        c.name = imap_mailbox(s, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (move && p->selected.read_only)
                return imap_no(s, "[READ-ONLY] this mailbox is open for reading only");
        if (!imap_resolve(s, &set, p->uid, &c.uids))
                return FAIL;
        c.lowest = alter_limit(s, &c.uids);
        if (c.lowest && !move) { /* all or none */
                uid_list_free(&c.uids);
                return imap_no(s, "[MESSAGELIMIT %ld %u] COPY: too many at once", alter_most(s), c.lowest);
        }
        if (imap_selected_open(s, move ? RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE : RIGHT_READ, &x, &rc)) {
                rc = to_target(s, &x, &c);
                if (rc == -EXDEV)
                        rc = imap_no(s, "[TRYCREATE] there is no mailbox of that name");
                else
                        rc = rc ? imap_trouble(s, rc) : copied(s, &x, &c);
                access_close(&x);
        }
        copied_free(&c.done);
        uid_list_free(&c.uids);
        return rc;
}

/* COPY set mailbox -- RFC 9051 §6.4.7 */
int imap_copy(struct session *s, struct scan *a)
{
        return copy_or_move(s, a, false);
}

/* MOVE set mailbox -- RFC 9051 §6.4.8, RFC 6851 */
int imap_move(struct session *s, struct scan *a)
{
        return copy_or_move(s, a, true);
}
