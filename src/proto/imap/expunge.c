#include "proto/imap/alter.h"

/* Only UID EXPUNGE is limited, and only by what it would remove (RFC 9738 §3.1). */
static int limit(struct session *s, struct access *x, struct uid_list *uids, uint32_t *lowest)
{
        struct placed_list there = { 0 };
        struct uid_list marked = { 0 };
        int rc;

        if (alter_most(s) <= 0)
                return 0;
        rc = change_list(x, uids->ranges, uids->n, 0, &there);
        for (size_t i = 0; i < there.n && !rc; i++)
                if (there.list[i].flags & FLAG_DELETED)
                        uid_list_add(&marked, there.list[i].uid, there.list[i].uid);
        placed_list_free(&there);
        *lowest = alter_limit(s, &marked);
        uid_list_free(uids);
        *uids = marked;
        return rc;
}

/* uids: empty without UID */
static int expunge(struct session *s, struct uid_list *uids)
{
        static const struct uid_range all = { 1, UINT32_MAX };
        const bool uid = imap_of(s)->uid;
        struct uid_list gone = { 0 };
        uint32_t lowest = 0;
        struct access x;
        int rc;

        if (!imap_selected_open(s, RIGHT_EXPUNGE, &x, &rc))
                return rc;
        if (uid)
                rc = limit(s, &x, uids, &lowest);
        if (!rc && conn_ok(s->conn))
                rc = change_expunge(&x, uid ? uids->ranges : &all, uid ? uids->n : 1, true, &gone);
        rc = rc ? imap_trouble(s, rc) : alter_removed(s, &x, gone.n > 0, lowest, "EXPUNGE completed");
        access_close(&x);
        uid_list_free(&gone);
        return rc;
}

/* EXPUNGE -- RFC 9051 §6.4.3; UID EXPUNGE set -- §6.4.9 */
int imap_expunge(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);
        struct uid_list uids = { 0 };
        struct imap_set set;
        int rc;

        if (p->uid && !imap_can_rev2(s, CAP_UIDPLUS))
                return imap_bad(s, "there is no such command");
        if (p->uid)
                imap_set(s, a, &set);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (p->uid && !imap_resolve(s, &set, true, &uids))
                return FAIL;
        rc = expunge(s, &uids);
        uid_list_free(&uids);
        return rc;
}
