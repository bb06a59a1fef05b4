/* What NOTIFY says: LIST, STATUS, METADATA, unasked. */
#include "proto/imap/notify.h"

enum { LINE_MOST = 256 * 1024 };

/* RFC 5465 §5.4: old: its name before, empty: none */
void notify_tell_list(struct session *s, struct str name, const char *attributes, struct str old)
{
        struct buf b auto_buf;

        buf_init(&b, LINE_MOST);
        buf_printf(&b, "* LIST (%s) \"/\" ", attributes);
        put_mailbox(&b, name, imap_mode(s));
        if (old.n) {
                buf_puts(&b, S(" (\"OLDNAME\" ("));
                put_mailbox(&b, old, imap_mode(s));
                buf_puts(&b, S("))"));
        }
        buf_puts(&b, S("\r\n"));
        conn_put(s->conn, buf_str(&b));
}

/* §5.1 to §5.3 */
void notify_tell_status(struct session *s, struct str name, const struct notify_box *m, unsigned what)
{
        bool modseq = imap_of(s)->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC);
        const char *space = "";
        struct buf b auto_buf;

        buf_init(&b, LINE_MOST);
        buf_puts(&b, S("* STATUS "));
        put_mailbox(&b, name, imap_mode(s));
        buf_puts(&b, S(" ("));
        if (what & (STATUS_LETTERS | STATUS_ALL)) {
                buf_printf(&b, "MESSAGES %u UIDNEXT %u", m->count, m->uidnext);
                space = " ";
        }
        if (what & (STATUS_FLAGS | STATUS_ALL)) {
                buf_printf(&b, "%sUIDVALIDITY %u UNSEEN %u", space, m->uidvalidity, m->unseen);
                space = " ";
        }
        if (modseq || (what & STATUS_ALL && imap_can(s, CAP_CONDSTORE)))
                buf_printf(&b, "%sHIGHESTMODSEQ %llu", space, (unsigned long long)m->highest);
        buf_puts(&b, S(")\r\n"));
        conn_put(s->conn, buf_str(&b));
}

/* §5.6, §5.7: names only of what is new, different or gone. Both lists are in order of name. */
void notify_tell_notes(struct session *s, struct str name, const struct notify_notes *was,
                       const struct notify_notes *now)
{
        struct buf b auto_buf;
        bool any = false;
        size_t i = 0, k = 0;

        buf_init(&b, LINE_MOST);
        buf_puts(&b, S("* METADATA "));
        put_mailbox(&b, name, imap_mode(s));
        while (i < was->n || k < now->n) {
                int order = i == was->n   ? 1
                            : k == now->n ? -1
                                          : str_cmp(str_of(was->list[i].entry), str_of(now->list[k].entry));
                bool same = !order && was->list[i].value == now->list[k].value;

                if (!same) {
                        buf_puts(&b, S(" "));
                        put_astring(&b, str_of(order < 0 ? was->list[i].entry : now->list[k].entry),
                                    imap_mode(s));
                        any = true;
                }
                i += order <= 0;
                k += order >= 0;
        }
        buf_puts(&b, S("\r\n"));
        if (any && !b.full)
                conn_put(s->conn, buf_str(&b));
}
