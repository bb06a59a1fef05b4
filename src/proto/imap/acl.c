/* Access control lists: RFC 4314. What the rights mean is store/access.h's business. */
#include "proto/imap/imap.h"

#include <errno.h>

/* For clients of RFC 2086: 'c' where k or x is there, 'd' where t or e is (RFC 4314 §2.1.1). */
static void put_rights(struct buf *b, unsigned rights)
{
        char room[16];

        if (!rights)
                buf_puts(b, S("\"\""));
        buf_puts(b, rights_text(rights, room));
        if (rights & (RIGHT_CREATE | RIGHT_DELETE_MAILBOX))
                buf_puts(b, S("c"));
        if (rights & (RIGHT_DELETE | RIGHT_EXPUNGE))
                buf_puts(b, S("d"));
}

void put_myrights(struct buf *b, struct session *s, struct str name, unsigned rights)
{
        buf_puts(b, S("* MYRIGHTS "));
        put_mailbox(b, name, imap_mode(s));
        buf_puts(b, S(" "));
        put_rights(b, rights);
        buf_puts(b, S("\r\n"));
}

/* Whom is it about? An account's name or another name it signs in with, "anyone", "$domain", with '-' before it. */
static bool canonical(struct session *s, struct str given, struct str *out)
{
        bool minus = str_starts(given, S("-"));
        struct str bare = arena_lower(&s->command, str_from_at(given, minus)), account;
        struct str domain = str_from_at(bare, 1);

        *out = arena_lower(&s->command, given);
        if (str_eq(bare, S("anyone")))
                return true;
        if (str_starts(bare, S("$")))
                return domain.n && directory_is_local(s->server->directory, domain);
        if (!bare.n || directory_signin(s->server->directory, &s->command, bare, &account))
                return false;
        *out = minus ? arena_printf(&s->command, "-" PRS, STR(account)) : account;
        return true;
}

static int change(struct session *s, struct str name, struct str identifier, enum acl_how how,
                  unsigned rights, bool grants)
{
        struct access x;
        struct str whom;
        bool known = canonical(s, identifier, &whom);
        int rc = imap_open(s, name, RIGHT_ADMIN, &x);

        if (!rc && !known && grants) {
                access_close(&x);
                return imap_no(s, "[CANNOT] nobody here has that name");
        }
        if (!rc)
                rc = mailbox_set_acl(&x, s->server->sharing, whom, how, rights);
        access_close(&x);
        if (rc == -EPERM)
                return imap_no(s, "[CANNOT] the owner has all rights, always");
        if (rc == -EINVAL)
                return imap_no(s, "[CANNOT] nobody can have that name");
        if (rc == -EMLINK)
                return imap_no(s, "[LIMIT] the list is full");
        return rc ? imap_trouble(s, rc) : imap_ok(s, "done");
}

/* SETACL -- RFC 4314 §3.1 */
int imap_setacl(struct session *s, struct scan *a)
{
        struct str name = imap_mailbox(s, a), identifier, text;
        enum acl_how how = ACL_SET;
        unsigned rights = 0;

        imap_sp(a);
        identifier = imap_astring(s, a);
        imap_sp(a);
        text = imap_astring(s, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (str_starts(text, S("+")) || str_starts(text, S("-"))) {
                how = text.p[0] == '+' ? ACL_ADD : ACL_REMOVE;
                text = str_from_at(text, 1);
        }
        if (!rights_parse(text, &rights))
                return imap_bad(s, "the rights are lrswipkxtea");
        return change(s, name, identifier, how, rights, how != ACL_REMOVE && rights);
}

/* DELETEACL -- RFC 4314 §3.2 */
int imap_deleteacl(struct session *s, struct scan *a)
{
        struct str name = imap_mailbox(s, a), identifier;

        imap_sp(a);
        identifier = imap_astring(s, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        return change(s, name, identifier, ACL_SET, 0, false);
}

/* GETACL -- RFC 4314 §3.3 */
int imap_getacl(struct session *s, struct scan *a)
{
        struct buf b auto_buf;
        struct str name = imap_mailbox(s, a);
        struct acl_entry *list = NULL;
        struct access x;
        size_t n = 0;
        int rc;

        buf_init(&b, 1024 * 1024);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = imap_open(s, name, RIGHT_ADMIN, &x);
        if (!rc)
                rc = mailbox_acl(&x, &s->command, &list, &n);
        access_close(&x);
        if (rc)
                return imap_trouble(s, rc);
        buf_puts(&b, S("* ACL "));
        put_mailbox(&b, name, imap_mode(s));
        for (size_t i = 0; i < n; i++) {
                buf_puts(&b, S(" "));
                put_astring(&b, list[i].identifier, imap_mode(s));
                buf_puts(&b, S(" "));
                put_rights(&b, list[i].rights);
        }
        buf_puts(&b, S("\r\n"));
        conn_put(s->conn, buf_str(&b));
        return imap_ok(s, "that is the list");
}

/* LISTRIGHTS -- RFC 4314 §3.4. The identifier comes back as it was given; that nobody has the name is not told. */
int imap_listrights(struct session *s, struct scan *a)
{
        struct buf b auto_buf;
        struct str name = imap_mailbox(s, a), identifier, whom;
        struct access x;
        bool owner = false;
        int rc;

        buf_init(&b, 16384);
        imap_sp(a);
        identifier = imap_astring(s, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = imap_open(s, name, RIGHT_ADMIN, &x);
        if (!rc)
                owner = canonical(s, identifier, &whom) && str_eq(whom, x.owner);
        access_close(&x);
        if (rc)
                return imap_trouble(s, rc);
        buf_puts(&b, S("* LISTRIGHTS "));
        put_mailbox(&b, name, imap_mode(s));
        buf_puts(&b, S(" "));
        put_astring(&b, identifier, imap_mode(s));
        buf_puts(&b, owner ? S(" lrswipkxteacd\r\n") : S(" \"\" l r s w i p k x t e a c d\r\n"));
        conn_put(s->conn, buf_str(&b));
        return imap_ok(s, "those are the rights that can be granted");
}

/* MYRIGHTS -- RFC 4314 §3.5 */
int imap_myrights(struct session *s, struct scan *a)
{
        struct buf b auto_buf;
        struct str name = imap_mailbox(s, a);
        struct access x;
        int rc;

        buf_init(&b, 16384);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = imap_open(s, name, 0, &x);
        if (!rc)
                put_myrights(&b, s, name, x.rights);
        access_close(&x);
        if (rc)
                return imap_trouble(s, rc);
        conn_put(s->conn, buf_str(&b));
        return imap_ok(s, "those are your rights");
}
