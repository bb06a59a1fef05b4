#include "proto/imap/alter.h"

static int expunge(struct session *s, const struct uid_range *uids, size_t n)
{
        struct uid_list gone = { 0 };
        struct access x;
        int rc;

        if (imap_of(s)->selected.read_only)
                return imap_no(s, "[READ-ONLY] this mailbox is open for reading only");
        if (!imap_selected_open(s, RIGHT_EXPUNGE, &x, &rc))
                return rc;
        rc = conn_ok(s->conn) ? change_expunge(&x, uids, n, true, &gone) : 0;
        rc = rc ? imap_trouble(s, rc) : alter_removed(s, &x, gone.n > 0, "EXPUNGE completed");
        access_close(&x);
        uid_list_free(&gone);
        return rc;
}

/* EXPUNGE -- RFC 9051 §6.4.3; UID EXPUNGE set -- §6.4.9 */
int imap_expunge(struct session *s, struct scan *a)
{
        static const struct uid_range all = { 1, UINT32_MAX };
        struct imap *p = imap_of(s);
        struct uid_list uids = { 0 };
        struct imap_set set;
        int rc;

        if (p->uid)
                imap_set(s, a, &set);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!p->uid)
                return expunge(s, &all, 1);
        if (!imap_resolve(s, &set, true, &uids))
                return FAIL;
        rc = expunge(s, uids.ranges, uids.n);
        uid_list_free(&uids);
        return rc;
}
