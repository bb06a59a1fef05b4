#include "base/mem.h"
#include "proto/imap/imap.h"
#include "run/log.h"

#include <errno.h>
#include <stdio.h>

/* What others have done in the selected mailbox is told before the tagged reply, in one place for all commands. */
static void tell_updates(struct session *s)
{
        struct imap *p = imap_of(s);
        const struct command *c = s->running;

        if (p->selected.key.owner && c && !(c->needs & NO_UPDATES))
                imap_updates(s, NULL, !(c->needs & NO_EXPUNGE) || p->uid);
}

static void __attribute__((format(printf, 3, 0)))
tagged(struct session *s, struct str status, const char *format, va_list args)
{
        struct imap *p = imap_of(s);

        if (!s->conn)
                return;
        conn_put(s->conn, p->tag.n ? p->tag : S("*"));
        conn_put(s->conn, status);
        conn_vprintf(s->conn, imap_text(p, format), args);
        conn_put(s->conn, S("\r\n"));
}

int imap_ok(struct session *s, const char *format, ...)
{
        va_list args;

        tell_updates(s);
        va_start(args, format);
        tagged(s, S(" OK "), format, args);
        va_end(args);
        return OK;
}

int imap_no(struct session *s, const char *format, ...)
{
        va_list args;

        tell_updates(s);
        va_start(args, format);
        tagged(s, S(" NO "), format, args);
        va_end(args);
        return OK;
}

int imap_bad(struct session *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        tagged(s, S(" BAD "), format, args);
        va_end(args);
        return FAIL;
}

void imap_say(struct session *s, const char *format, ...)
{
        va_list args;

        if (!s->conn)
                return;
        conn_put(s->conn, S("* "));
        va_start(args, format);
        conn_vprintf(s->conn, format, args);
        va_end(args);
        conn_put(s->conn, S("\r\n"));
}

int imap_syntax(struct session *s, struct scan *a)
{
        const char *why = a->bad && a->why ? a->why : "something stands behind the command";

        if (*why == '[')
                return imap_no(s, "%s", why);
        if (s->running && s->running->synopsis)
                return imap_bad(s, "%s; this is how: %s", why, s->running->synopsis);
        return imap_bad(s, "%s", why);
}

/* RFC 5530 */
int imap_trouble(struct session *s, int error)
{
        switch (-error) {
        case ENOENT: return imap_no(s, "[NONEXISTENT] there is no such mailbox");
        case EACCES: return imap_no(s, "[NOPERM] you have not the right to do that");
        case EPERM: return imap_no(s, "[CANNOT] that cannot be done to this mailbox");
        case EEXIST: return imap_no(s, "[ALREADYEXISTS] there is such a mailbox already");
        case EINVAL: return imap_no(s, "[CANNOT] no mailbox can have that name");
        case ENAMETOOLONG: return imap_no(s, "[CANNOT] that name is too long");
        case ENOTEMPTY: return imap_no(s, "[HASCHILDREN] there are mailboxes below it");
        case EBUSY: return imap_no(s, "[USEATTR] another mailbox has that use already");
        case EDQUOT: return imap_no(s, "[OVERQUOTA] the account is full");
        case E2BIG: return imap_no(s, "[TOOBIG] that is too long");
        case EFBIG: return imap_no(s, "[TOOBIG] the letter is too long");
        case EOVERFLOW: return imap_no(s, "[LIMIT] there are no more numbers in this mailbox");
        case ENOBUFS: return imap_no(s, "[LIMIT] that is more than fits here");
        case ENOSPC: return imap_no(s, "[UNAVAILABLE] the disk is full, try again later");
        case EBADMSG: return imap_no(s, "[CORRUPTION] the mailbox is damaged; the postmaster can tell more");
        case ECANCELED: return imap_no(s, "[UNAVAILABLE] given up");
        case ETIMEDOUT: return imap_no(s, "[INUSE] the account is busy, try again later");
        case ESTALE: return imap_no(s, "[NONEXISTENT] the mailbox has gone");
        default:
                log_warn("imap-failed", "session=%s command=%s why=\"%s\"", s->id,
                         s->running ? s->running->verb : "-", strerrordesc_np(-error));
                return imap_no(s, "[UNAVAILABLE] that does not work just now, try again later");
        }
}
