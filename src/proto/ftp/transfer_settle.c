#include "proto/ftp/transfer.h"
#include "run/log.h"

#include <errno.h>

static bool plain_file(const struct transfer *t)
{
        return t->asked.what != WHAT_LISTING;
}

static int say_complete(struct transfer *t)
{
        struct session *s = t->s;

        if (t->partial)
                return ftp_reply(s, "226 Directory sent, but not all of it: it is too deep or too large.");
        if (!plain_file(t))
                return ftp_reply(s, "226 Directory send OK.");
        if (t->asked.what == WHAT_STORE && t->asked.how == UPLOAD_UNIQUE)
                return ftp_reply(s, "226 Transfer complete, unique file name: " PRS,
                                 STR(ftp_shown(&s->command, transfer_name(t), false)));
        return ftp_reply(s, "226 Transfer complete.");
}

static int say_cut(struct transfer *t)
{
        if (t->aborted)
                return ftp_reply(t->s, "426 Transfer aborted; data connection closed.");
        if (t->error == -ETIMEDOUT)
                return ftp_reply(t->s, "426 Nothing moved for %ld seconds; data connection closed.",
                                 (long)(t->patience / SECOND));
        return ftp_reply(t->s, "426 Connection closed; transfer aborted.");
}

/* RFC 959 §5.4 has 551 for pages alone. */
static int say_malformed(struct transfer *t)
{
        const char *why = t->coder ? coder_why(t->coder) : NULL;

        if (!why)
                why = "";
        if (t->coding.structure == STRUCTURE_PAGE)
                return ftp_reply(t->s, "551 Page type unknown: %s", why);
        return ftp_reply(t->s, "451 The data breaks the rules of its coding: %s", why);
}

int transfer_restart_reply(struct session *s)
{
        return ftp_reply(s, "554 Requested action not taken: invalid REST parameter.");
}

static int say_end(struct transfer *t)
{
        struct session *s = t->s;
        const char *why;

        switch (t->end) {
        case END_COMPLETE: return say_complete(t);
        case END_CUT: return say_cut(t);
        case END_MALFORMED: return say_malformed(t);
        case END_RESTART: return transfer_restart_reply(s);
        case END_SHORT: return ftp_reply(s, "451 The file became shorter while it was sent.");
        case END_TROUBLE: return ftp_trouble(s, t->asked.path, t->error);
        case END_NO_DATA:
                why = ftp_text(ftp_of(s), t->why);
                if (t->error == -EPROTO)
                        return ftp_reply(s, "522 Can't open data connection: %s.", why);
                return ftp_reply(s, "425 Can't open data connection: %s.", why);
        }
        return FAIL;
}

/* --- the logs ------------------------------------------------------------------------------------------------ */

static const char *deed(const struct transfer *t)
{
        static const char *const stores[] = {
                [UPLOAD_NEW] = "stored",
                [UPLOAD_UNIQUE] = "stored",
                [UPLOAD_APPEND] = "appended",
                [UPLOAD_RESUME] = "resumed",
        };

        if (t->asked.what == WHAT_STORE)
                return stores[t->asked.how];
        return t->asked.what == WHAT_RETRIEVE ? "retrieved" : "listed";
}

static void note(const struct transfer *t)
{
        static const char *const ends[] = { "complete", "no-data", "cut",    "malformed",
                                            "restart",  "short",   "trouble" };
        const struct session *s = t->s;
        const struct ftp *p = ftp_of(t->s);
        nsec took = now() - t->began;
        struct addr_text peer = session_peer(s);
        struct xferlog_entry e = {
                .took = took,
                .host = peer.z,
                .octets = t->done,
                .path = t->asked.path,
                .name = p->anonymous ? str_of(p->name) : s->account,
                .text = t->coding.type == TYPE_ASCII || t->coding.type == TYPE_EBCDIC,
                .upload = t->asked.what == WHAT_STORE,
                .anonymous = p->anonymous,
                .complete = t->end == END_COMPLETE,
        };

        log_event("file", "session=%s account=%s how=%s path=%s octets=%llu seconds=%.3f end=%s error=%d",
                  s->id, log_str(s->account), deed(t), log_str(t->asked.path), (unsigned long long)t->done,
                  (double)took / 1e9, ends[t->end], -t->error);
        if (s->server->xferlog && plain_file(t))
                xferlog_note(s->server->xferlog, &e);
}

/* --- the end ------------------------------------------------------------------------------------------------- */

/* RFC 959 §4.1.3, ABOR: 426 for the transfer, then 226 for the command itself. */
static void answer_aborts(struct transfer *t)
{
        while (t->aborts > 0) {
                t->aborts--;
                if (t->end == END_COMPLETE)
                        ftp_reply(t->s, "226 The transfer was complete before ABOR came.");
                else
                        ftp_reply(t->s, "226 ABOR command successful.");
        }
}

int transfer_settle(struct session *s)
{
        struct ftp *p = ftp_of(s);
        struct transfer *t = p->transfer;
        int rc;

        transfer_tell_marks(t);
        rc = say_end(t);
        answer_aborts(t);
        note(t);
        if (t->end == END_COMPLETE && transfer_keeps(t)) {
                p->kept = t->stream;
                t->stream = NULL;
        }
        p->transfer = NULL;
        transfer_free(&t);
        return rc;
}
