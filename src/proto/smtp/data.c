#include "proto/smtp/smtp.h"

/* DATA -- RFC 5321 §4.1.1.4. Only CRLF.CRLF ends it (§4.1.1.4 last paragraph); whatever else looked like an end to
 * others is remembered by the reader and judged when the true end has come. */
int smtp_data(struct session *session, struct scan *a)
{
        struct smtp *s = smtp_of(session);
        struct reception *r = &s->reception;
        enum dot_got got = DOT_MORE;
        struct str piece;
        size_t used;

        (void)a;
        if (session->state == SMTP_MAIL)
                return s->letter.refused ? smtp_reply(session, "554 5.5.1 No valid recipients")
                                         : smtp_reply(session, "503 5.5.1 DATA: need RCPT first");
        if (!reception_begin(s))
                return OK;
        smtp_reply(session, "354 Enter mail, end with \".\" on a line by itself");
        while (got == DOT_MORE) {
                piece = reception_some(s, SIZE_MAX);
                if (!piece.n)
                        break;
                got = dot_read(&r->r, piece, &used, r->fault ? NULL : &r->text);
                conn_unread(session->conn, piece.n - used);
                r->read -= piece.n - used;
                reception_took(s);
        }
        return reception_end(s);
}
