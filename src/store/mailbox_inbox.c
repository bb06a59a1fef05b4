/* RENAME of INBOX: its letters move into a new mailbox, it stays, empty, and so does what lies below it (RFC 9051 §6.3.6). */
#include "store/mailbox_inside.h"
#include <errno.h>

static const struct uid_range every = { 1, UINT32_MAX };

int mailbox_rename_inbox(struct account *a, struct str reader, struct str to)
{
        const unsigned leave = RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE | RIGHT_DELETE_MAILBOX;
        struct access from, target;
        struct copied copied = { 0 };
        uint32_t mailbox;
        int rc = access_open(&from, a->set, reader, account_name(a), INBOX, leave);

        if (rc)
                return rc;
        rc = mailbox_create(a, reader, to, S(""), &mailbox);
        if (!rc) {
                rc = access_open(&target, a->set, reader, account_name(a), to, RIGHT_INSERT);
                if (!rc)
                        rc = change_move(&from, &every, 1, &target, UINT64_MAX, &copied);
                copied_free(&copied);
                access_close(&target);
        }
        access_close(&from);
        return rc;
}
