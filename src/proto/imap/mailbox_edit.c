/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: what each may do is the store's business (store/mailbox.h). */
#include "proto/imap/imap.h"
#include "proto/imap/list.h"

#include <errno.h>

/* A name that ends in '/' is a wish to make others below it (RFC 9051 §6.3.4): it means the name without. */
static struct str without_slash(struct str name)
{
        return name.n > 1 && str_ends(name, S("/")) ? str_sub(name, 0, name.n - 1) : name;
}

/* Whose it is, open. To one who is not let in, what is not there looks the same. */
static int open_owner(struct session *s, struct str name, struct account **acc, struct str *path)
{
        struct str owner;
        int rc;

        *acc = NULL;
        if (!imap_locate(s, name, &owner, path))
                return -EINVAL;
        if (!imap_owner_exists(s, owner))
                return -EACCES;
        rc = account_get(s->server->accounts, owner, acc);
        return rc == -ENOENT ? -EACCES : rc;
}

static int trouble(struct session *s, int rc)
{
        return rc == -EMLINK ? imap_no(s, "[LIMIT] there are too many already") : imap_trouble(s, rc);
}

/* The name was put into composed form: which one it is now (RFC 9051 §6.3.9.7). A program that has not enabled IMAP4rev2 could not
 * read it. */
static void tell_name(struct session *s, struct str given, struct str name)
{
        auto_buf struct buf b = { 0 };

        if (str_eq(given, name) || !(imap_of(s)->enabled & ENABLED_REV2))
                return;
        buf_init(&b, 16384);
        buf_puts(&b, S("* LIST () \"/\" "));
        put_mailbox(&b, name, imap_mode(s));
        buf_puts(&b, S(" (\"OLDNAME\" ("));
        put_mailbox(&b, given, imap_mode(s));
        buf_puts(&b, S("))\r\n"));
        conn_put(s->conn, buf_str(&b));
}

/* "(USE (\Sent))" -- RFC 6154 §3. A mailbox has one use here. */
static void create_parameters(struct session *s, struct scan *a, struct str *role, bool *unfit)
{
        unsigned n = 0;

        scan_char(a, '(');
        if (!imap_can(s, CAP_CREATE_SPECIAL_USE) || !scan_try_word(a, S("USE"))) {
                scan_fail(a, "the parameter is USE");
                return;
        }
        imap_sp(a);
        scan_char(a, '(');
        while (!a->bad && scan_peek(a) == '\\') {
                struct str attribute;

                scan_char(a, '\\');
                attribute = imap_atom(a);
                *role = role_of_attribute(arena_printf(&s->command, "\\" PRS, STR(attribute)));
                *unfit |= !role->n || n++;
                if (!scan_try(a, ' '))
                        break;
        }
        scan_char(a, ')');
        scan_char(a, ')');
}

/* CREATE -- RFC 9051 §6.3.4 */
int imap_create(struct session *s, struct scan *a)
{
        struct str given = without_slash(imap_mailbox_given(s, a)), name, path, role = S("");
        struct account *acc;
        uint32_t mailbox = 0;
        bool unfit = false;
        char room[12];
        int rc;

        if (scan_try(a, ' '))
                create_parameters(s, a, &role, &unfit);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (unfit)
                return imap_no(s, "[USEATTR] a mailbox has one use, of those that there are");
        name = imap_composed(s, given);
        rc = open_owner(s, name, &acc, &path);
        if (!rc)
                rc = mailbox_create(acc, s->account, path, role, &mailbox);
        account_put(&acc);
        if (rc)
                return trouble(s, rc);
        tell_name(s, given, name);
        if (imap_can(s, CAP_OBJECTID))
                return imap_ok(s, "[MAILBOXID (" PRS ")] made", STR(mailbox_id(mailbox, room)));
        return imap_ok(s, "made");
}

/* DELETE -- RFC 9051 §6.3.5. One that has others below it stays as a name. */
int imap_delete(struct session *s, struct scan *a)
{
        struct str name = imap_mailbox(s, a), path;
        struct account *acc;
        int rc;

        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = open_owner(s, name, &acc, &path);
        if (!rc)
                rc = mailbox_delete(acc, s->account, path);
        else if (rc == -EACCES || rc == -EINVAL)
                rc = -ENOENT;
        account_put(&acc);
        return rc ? trouble(s, rc) : imap_ok(s, "removed");
}

/* RENAME -- RFC 9051 §6.3.6 */
int imap_rename(struct session *s, struct scan *a)
{
        struct str from = imap_mailbox(s, a), given, to, owner, other, path, new_path;
        struct account *acc;
        int rc;

        imap_sp(a);
        given = without_slash(imap_mailbox_given(s, a));
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        to = imap_composed(s, given);
        if (!imap_locate(s, from, &owner, &path))
                return imap_trouble(s, -ENOENT);
        if (!imap_locate(s, to, &other, &new_path))
                return imap_trouble(s, -EINVAL);
        if (!str_eq(owner, other))
                return imap_no(s, "[CANNOT] a mailbox stays with its owner");
        if (!imap_owner_exists(s, owner))
                return imap_trouble(s, -ENOENT);
        rc = account_get(s->server->accounts, owner, &acc);
        if (!rc)
                rc = mailbox_rename(acc, s->account, path, new_path);
        account_put(&acc);
        if (rc)
                return trouble(s, rc);
        tell_name(s, given, to);
        return imap_ok(s, "renamed");
}

/* The one name under which LIST shows it: "user/jill/x" is "user/jill@hill.com/x". */
static struct str one_name(struct session *s, struct str name)
{
        struct str owner, path;

        if (!str_starts(name, S(IMAP_OTHERS)) && !str_starts(name, S(IMAP_SHARED)))
                return name;
        return imap_locate(s, name, &owner, &path) ? imap_name_of(s, owner, path) : name;
}

static int subscribe(struct session *s, struct scan *a, bool yes)
{
        struct str name = imap_mailbox(s, a);
        struct account *own;
        int rc;

        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = account_get(s->server->accounts, s->account, &own);
        if (!rc)
                rc = mailbox_subscribe(own, one_name(s, without_slash(name)), yes);
        account_put(&own);
        return rc ? trouble(s, rc) : imap_ok(s, "done");
}

/* SUBSCRIBE -- RFC 9051 §6.3.7 */
int imap_subscribe(struct session *s, struct scan *a)
{
        return subscribe(s, a, true);
}

/* UNSUBSCRIBE -- RFC 9051 §6.3.8 */
int imap_unsubscribe(struct session *s, struct scan *a)
{
        return subscribe(s, a, false);
}
