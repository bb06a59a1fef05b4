#include "proto/ftp/commands.h"
#include "proto/ftp/transfer.h"

static int store(struct session *s, struct scan *a, enum upload_how how)
{
        struct ftp_asked asked = { .what = WHAT_STORE, .how = how };
        int rc = FAIL;

        if (how == UPLOAD_UNIQUE && scan_end(a))
                asked.path = path_join(&s->command, ftp_where(ftp_of(s)), S("file"));
        else
                asked.path = ftp_path(s, a, false, &rc);
        return asked.path.p ? ftp_transfer_start(s, &asked) : rc;
}

/* RETR SP pathname -- RFC 959 §4.1.3 */
int ftp_retr(struct session *s, struct scan *a)
{
        struct ftp_asked asked = { .what = WHAT_RETRIEVE };
        int rc;

        asked.path = ftp_path(s, a, false, &rc);
        return asked.path.p ? ftp_transfer_start(s, &asked) : rc;
}

/* STOR SP pathname */
int ftp_stor(struct session *s, struct scan *a)
{
        return store(s, a, UPLOAD_NEW);
}

/* STOU [SP pathname] -- RFC 1123 §4.1.2.9; a name is a wish that many clients send */
int ftp_stou(struct session *s, struct scan *a)
{
        return store(s, a, UPLOAD_UNIQUE);
}

/* APPE SP pathname */
int ftp_appe(struct session *s, struct scan *a)
{
        return store(s, a, UPLOAD_APPEND);
}

/* ABOR -- RFC 959 §4.1.3. With a transfer: 426 and 226 come when it has ended. Without: a data connection that is open is closed (§3.2). */
int ftp_abor(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        struct transfer *t = p->transfer;

        (void)a;
        if (!t && p->kept) {
                ftp_kept_end(p);
                return ftp_reply(s, "226 ABOR command successful.");
        }
        if (!t)
                return ftp_reply(s, "225 No transfer to abort.");
        t->aborts++;
        ftp_transfer_abort(s);
        return OK;
}
