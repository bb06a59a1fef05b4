/* Names: what can be one, and where it leads. */
#include "base/codec.h"
#include "mail/nfc.h"
#include "store/mailbox_inside.h"
#include <errno.h>

/* Controls of all kinds (C0, DEL, C1, U+2028, U+2029: RFC 5198 §2, RFC 9051 §5.1), the wildcards of LIST, and U+FFFD, which stands
 * for what somebody could not read. The text is valid UTF-8. */
static bool name_characters(struct str s)
{
        static const struct str bad[] = { S("\xe2\x80\xa8"), S("\xe2\x80\xa9"), S("\xef\xbf\xbd") };

        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];

                if (c < 32 || c == 127 || c == '%' || c == '*')
                        return false;
                if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
                        return false;
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                if (str_search(s, bad[i]) != STR_NONE)
                        return false;
        return true;
}

bool mailbox_path_valid(struct str path)
{
        struct str rest = path, name;
        unsigned depth = 0;
        bool more;

        if (!path.n || path.n > MAILBOX_PATH_MAX || !utf8_valid(path) || !utf8_is_nfc(path) ||
            !name_characters(path))
                return false;
        do {
                more = str_cut(&rest, '/', &name);
                if (!name.n || name.n > MAILBOX_NAME_MAX || str_eq(name, S(".")) || str_eq(name, S("..")))
                        return false;
                if (!depth && (str_eq(name, S("user")) || str_eq(name, S("shared"))))
                        return false;
                if (++depth > MAILBOX_DEPTH_MAX)
                        return false;
        } while (more);
        return true;
}

struct str mailbox_first_name(struct str *rest, bool top)
{
        struct str name;

        str_cut(rest, '/', &name);
        return top && str_ieq(name, INBOX) ? INBOX : name;
}

int mailbox_child(struct db *d, uint32_t parent, struct str name, uint32_t *mailbox)
{
        struct db_row q = db_query(d, MAILBOX_FIND);

        *mailbox = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, parent);
        db_bind_text(&q, 3, name);
        if (db_next(&q))
                *mailbox = (uint32_t)db_u64(&q, 0);
        return db_end(&q);
}

int mailbox_walk(struct db *d, struct str path, struct mailbox_walk *w)
{
        *w = (struct mailbox_walk){ .rest = path };
        while (w->rest.n) {
                struct str behind = w->rest;
                struct str name = mailbox_first_name(&behind, !w->mailbox);
                uint32_t child;
                int rc = mailbox_child(d, w->mailbox, name, &child);

                if (rc || !child)
                        return rc;
                w->parent = w->mailbox;
                w->mailbox = child;
                w->rest = behind;
        }
        return 0;
}

int mailbox_row(struct db *d, uint32_t mailbox, struct mailbox_row *row)
{
        struct db_row q = db_query(d, MAILBOX_ROW);
        int rc = -ENOENT;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        if (db_next(&q)) {
                *row = (struct mailbox_row){
                        .mailbox = mailbox,
                        .parent = (uint32_t)db_u64(&q, 0),
                        .uidvalidity = (uint32_t)db_u64(&q, 1),
                        .selectable = db_u64(&q, 2) != 0,
                        .has_role = db_text(&q, 3).n != 0,
                };
                rc = 0;
        }
        return db_end(&q) ? db_end(&q) : rc;
}

bool mailbox_has_children(struct db *d, uint32_t mailbox, int *rc)
{
        struct db_row q = db_query(d, MAILBOX_CHILD);
        bool any;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        any = db_next(&q);
        *rc = db_end(&q);
        return any;
}

struct str mailbox_id(uint32_t mailbox, char room[static 12])
{
        static const char digits[] = "0123456789abcdef";
        size_t at = 12;

        do
                room[--at] = digits[mailbox & 15];
        while (mailbox >>= 4);
        room[--at] = 'F';
        return str_from(room + at, 12 - at);
}
