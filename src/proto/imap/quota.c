/* Quota: RFC 9208. An account has one, in octets (store/directory.h); the root of a mailbox bears its owner's name. */
#include "proto/imap/imap.h"

#include <errno.h>

enum { UNIT = 1024, RESOURCES_MOST = 16 };

/* "* QUOTA root (STORAGE used limit)"; nothing is limited: "()". */
static int put_quota(struct buf *b, struct session *s, struct account *acc, struct str owner)
{
        struct account_entry e;
        uint64_t octets, quota = 0;
        int rc = directory_account(s->server->directory, &s->command, owner, &e);

        if (rc && rc != -ENOENT)
                return rc;
        if (!rc)
                quota = imap_quota(s, &e);
        rc = account_taken(acc, &octets);
        if (rc)
                return rc;
        buf_puts(b, S("* QUOTA "));
        put_astring(b, owner, imap_mode(s));
        if (quota)
                buf_printf(b, " (STORAGE %llu %llu)\r\n", (unsigned long long)((octets + UNIT - 1) / UNIT),
                           (unsigned long long)(quota / UNIT));
        else
                buf_puts(b, S(" ()\r\n"));
        return 0;
}

static int tell_quota(struct session *s, struct buf *b, struct str owner)
{
        struct account *acc;
        int rc = account_get(s->server->accounts, owner, &acc);

        if (!rc)
                rc = put_quota(b, s, acc, owner);
        account_put(&acc);
        return rc;
}

/* GETQUOTA -- RFC 9208 §4.1.1. Only one's own: what others may know of theirs, GETQUOTAROOT tells. */
int imap_getquota(struct session *s, struct scan *a)
{
        struct buf b auto_buf;
        struct str root = imap_astring(s, a);
        int rc;

        buf_init(&b, 4096);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (root.n && !str_eq(root, s->account))
                return imap_no(s, "[NONEXISTENT] there is no such quota root");
        rc = tell_quota(s, &b, s->account);
        if (rc)
                return imap_trouble(s, rc);
        conn_put(s->conn, buf_str(&b));
        return imap_ok(s, "that is the quota");
}

/* GETQUOTAROOT -- RFC 9208 §4.1.2; the mailbox need not be there, if it would be one's own. */
int imap_getquotaroot(struct session *s, struct scan *a)
{
        struct buf b auto_buf;
        struct str name = imap_mailbox(s, a), owner, path;
        struct access x = { 0 };
        int rc = 0;

        buf_init(&b, 16384);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (!imap_locate(s, name, &owner, &path))
                return imap_trouble(s, -ENOENT);
        if (!str_eq(owner, s->account)) {
                rc = imap_open(s, name, RIGHT_READ, &x);
                access_close(&x);
        }
        if (rc)
                return imap_trouble(s, rc);
        buf_puts(&b, S("* QUOTAROOT "));
        put_mailbox(&b, name, imap_mode(s));
        buf_puts(&b, S(" "));
        put_astring(&b, owner, imap_mode(s));
        buf_puts(&b, S("\r\n"));
        rc = tell_quota(s, &b, owner);
        if (rc)
                return imap_trouble(s, rc);
        conn_put(s->conn, buf_str(&b));
        return imap_ok(s, "that is the quota");
}

/* SETQUOTA -- RFC 9208 §4.1.3; QUOTASET is not announced. */
int imap_setquota(struct session *s, struct scan *a)
{
        unsigned n = 0;

        (void)imap_astring(s, a);
        imap_sp(a);
        scan_char(a, '(');
        while (!a->bad && scan_peek(a) != ')' && n++ < RESOURCES_MOST) {
                if (n > 1)
                        imap_sp(a);
                (void)imap_atom(a);
                imap_sp(a);
                (void)imap_number64(a);
        }
        scan_char(a, ')');
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        return imap_no(s, "[NOPERM] only the administrator sets quotas");
}
