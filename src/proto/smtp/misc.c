#include "proto/smtp/smtp.h"

/* RSET -- RFC 5321 §4.1.1.5 */
int smtp_rset(struct session *s, struct scan *a)
{
        (void)a;
        letter_reset(smtp_of(s));
        return smtp_reply(s, "250 2.0.0 Reset state");
}

/* NOOP [ SP String ] -- RFC 5321 §4.1.1.9 */
int smtp_noop(struct session *s, struct scan *a)
{
        (void)a;
        return smtp_reply(s, "250 2.0.0 OK");
}

/* QUIT -- RFC 5321 §4.1.1.10 */
int smtp_quit(struct session *s, struct scan *a)
{
        (void)a;
        s->ending = true;
        return smtp_reply(s, "221 2.0.0 %s closing connection", s->host);
}

/* SEND FROM:<reverse-path> -- RFC 821 §3.4: to the recipient's terminal, which here is a session that waits for news
 * (IMAP's IDLE). As long as no protocol here has that, nobody can ever be reached. */
int smtp_send(struct session *s, struct scan *a)
{
        struct path from;

        if (!scan_try_word(a, S("FROM:")))
                return smtp_reply(s, "501 5.5.4 Syntax: SEND FROM:<address>");
        from = scan_reverse_path(a, &s->command);
        if (!scan_done(a))
                return smtp_reply(s, "501 5.1.7 Bad sender address");
        return smtp_reply(
            s, "450 4.2.1 <" PRS ">... Nobody is at a terminal here to be sent to; MAIL reaches the mailbox",
            STR(from.text));
}

/* TURN -- RFC 821 §3.8, and why not: RFC 2821 appendix F.1 */
int smtp_turn(struct session *s, struct scan *a)
{
        (void)a;
        return smtp_reply(s, "502 5.5.1 TURN is not done: nobody could know that you are who you say");
}
