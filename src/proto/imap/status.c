/* STATUS -- RFC 9051 §6.3.11, RFC 7162 §3.1.2.1, RFC 7889, RFC 8438, RFC 8474, RFC 9208 §4.1.4 */
#include "proto/imap/status.h"
#include "proto/imap/capability.h"

enum item {
        MESSAGES,
        RECENT,
        UIDNEXT,
        UIDVALIDITY,
        UNSEEN,
        DELETED,
        SIZE,
        HIGHESTMODSEQ,
        APPENDLIMIT,
        MAILBOXID,
        DELETED_STORAGE,
        ITEMS
};

static const struct {
        struct str name;
        enum imap_capability needs;
} items_known[ITEMS] = {
        [MESSAGES] = { S("MESSAGES"), CAPABILITIES },
        [RECENT] = { S("RECENT"), CAPABILITIES },
        [UIDNEXT] = { S("UIDNEXT"), CAPABILITIES },
        [UIDVALIDITY] = { S("UIDVALIDITY"), CAPABILITIES },
        [UNSEEN] = { S("UNSEEN"), CAPABILITIES },
        [DELETED] = { S("DELETED"), CAPABILITIES },
        [SIZE] = { S("SIZE"), CAP_STATUS_SIZE },
        [HIGHESTMODSEQ] = { S("HIGHESTMODSEQ"), CAP_CONDSTORE },
        [APPENDLIMIT] = { S("APPENDLIMIT"), CAP_APPENDLIMIT },
        [MAILBOXID] = { S("MAILBOXID"), CAP_OBJECTID },
        [DELETED_STORAGE] = { S("DELETED-STORAGE"), CAP_QUOTA },
};

static bool known(const struct session *s, unsigned item)
{
        enum imap_capability needs = items_known[item].needs;

        return needs == CAPABILITIES || imap_can(s, needs) ||
               (needs == CAP_STATUS_SIZE && imap_can_rev2(s, needs));
}

static bool item_char(unsigned char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
}

void imap_status_items(struct session *s, struct scan *a, unsigned *items)
{
        *items = 0;
        scan_char(a, '(');
        do {
                struct str word = scan_while(a, item_char);
                unsigned i = 0;

                while (i < ITEMS && !str_ieq(items_known[i].name, word))
                        i++;
                if (i == ITEMS || !known(s, i))
                        scan_fail(a, "STATUS knows nothing of that name");
                else
                        *items |= 1u << i;
        } while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
}

static void put_item(struct buf *b, struct session *s, const struct mailbox_status *st, enum item i)
{
        char room[12];

        switch (i) {
        case MESSAGES: buf_printf(b, "%u", st->view.count); break;
        case RECENT: buf_printf(b, "%u", st->recent); break;
        case UIDNEXT: buf_printf(b, "%u", st->view.uidnext); break;
        case UIDVALIDITY: buf_printf(b, "%u", st->view.uidvalidity); break;
        case UNSEEN: buf_printf(b, "%u", st->unseen); break;
        case DELETED: buf_printf(b, "%u", st->deleted); break;
        case SIZE: buf_printf(b, "%llu", (unsigned long long)st->view.octets); break;
        case HIGHESTMODSEQ: buf_printf(b, "%llu", (unsigned long long)st->highest); break;
        case APPENDLIMIT: buf_printf(b, "%ld", imap_append_limit(s)); break;
        case MAILBOXID: buf_printf(b, "(" PRS ")", STR(mailbox_id(st->view.mailbox, room))); break;
        case DELETED_STORAGE: buf_printf(b, "%llu", (unsigned long long)st->deleted_octets); break;
        case ITEMS: break;
        }
}

int put_status(struct buf *b, struct session *s, struct access *x, struct str name, unsigned items)
{
        struct mailbox_status st;
        const char *space = "";
        int rc = change_status(x, false, &st);

        if (rc)
                return rc;
        buf_puts(b, S("* STATUS "));
        put_mailbox(b, name, imap_mode(s));
        buf_puts(b, S(" ("));
        for (unsigned i = 0; i < ITEMS; i++) {
                if (!(items & 1u << i))
                        continue;
                buf_printf(b, "%s" PRS " ", space, STR(items_known[i].name));
                put_item(b, s, &st, i);
                space = " ";
        }
        buf_puts(b, S(")\r\n"));
        return 0;
}

unsigned imap_status_default(const struct session *s)
{
        bool modseqs = ((const struct imap *)s)->enabled & ENABLED_CONDSTORE;

        return 1u << MESSAGES | 1u << UIDNEXT | 1u << UIDVALIDITY | (modseqs ? 1u << HIGHESTMODSEQ : 0u);
}

int imap_status(struct session *s, struct scan *a)
{
        struct buf b auto_buf;
        struct access x;
        struct str name;
        unsigned items;
        int rc;

        buf_init(&b, 16384);
        name = imap_mailbox(s, a);
        imap_sp(a);
        imap_status_items(s, a, &items);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        rc = imap_open(s, name, RIGHT_READ, &x);
        if (!rc)
                rc = put_status(&b, s, &x, name, items);
        access_close(&x);
        if (rc)
                return imap_trouble(s, rc);
        if (items & 1u << HIGHESTMODSEQ)
                imap_use_condstore(s);
        conn_put(s->conn, buf_str(&b));
        return imap_ok(s, "that is how it stands");
}
