#include "proto/smtp/smtp.h"

#include <inttypes.h>

struct chunk {
        uint64_t size;
        bool last;
};

/* chunk-size [ SP "LAST" ] -- RFC 3030 §2 */
static bool scan_chunk(struct scan *a, struct chunk *c)
{
        c->size = scan_number(a, UINT64_MAX);
        scan_spaces(a);
        c->last = scan_try_word(a, S("LAST"));
        scan_spaces(a);
        return scan_done(a);
}

/* A chunk that nobody wants must come off the wire all the same, up to a bound, in the time of one wait for data. */
static void throw_away(struct smtp *s, uint64_t size)
{
        const struct settings *t = s->session.server->settings;
        nsec deadline = in_seconds(t->smtp_data_timeout);

        if (size > 2 * (uint64_t)t->max_letter_size)
                s->session.ending = true;
        while (size && !s->session.ending) {
                struct str piece = conn_some(s->session.conn, size < 65536 ? size : 65536, deadline);

                size -= piece.n;
                if (!piece.n)
                        s->session.ending = true;
        }
}

/* A bare LF becomes CRLF where the settings say so; the CR before it may have come with the last chunk. */
static void put_mended(struct reception *r, struct str piece)
{
        for (size_t i = 0; i < piece.n; i++) {
                if (piece.p[i] == '\n' && r->last != '\r')
                        buf_u8(&r->text, '\r');
                buf_u8(&r->text, (uint8_t)piece.p[i]);
                r->last = piece.p[i];
        }
}

static void take(struct smtp *s, uint64_t size)
{
        struct reception *r = &s->reception;

        while (size) {
                /* mended, a piece may double */
                struct str piece = reception_some(s, size < 32768 ? size : 32768);

                if (!piece.n)
                        return;
                size -= piece.n;
                dot_look(&r->r, piece);
                if (r->r.mend_bare_lf && !r->fault)
                        put_mended(r, piece);
                else if (!r->fault)
                        buf_puts(&r->text, piece);
                reception_took(s);
        }
}

/* Everything about the chunk that needs no look at its bytes. True: answered, the chunk is gone. */
static bool unwanted(struct smtp *s, const struct chunk *c, int *rc)
{
        struct session *session = &s->session;

        if (session->state & (SMTP_RCPT | SMTP_CHUNKS) &&
            c->size <= 2 * (uint64_t)session->server->settings->max_letter_size)
                return false;
        throw_away(s, c->size);
        if (session->state & (SMTP_RCPT | SMTP_CHUNKS))
                *rc = smtp_refuse(session, "552 5.3.4 Letter far too large, closing connection");
        else if (conn_late(session->conn))
                *rc = smtp_reply(session, "421 4.4.2 %s the chunk does not come, closing connection",
                                 session->host);
        else if (session->state == SMTP_MAIL && s->letter.refused)
                *rc = smtp_reply(session, "554 5.5.1 No valid recipients");
        else if (session->state == SMTP_BROKEN)
                *rc = smtp_reply(session, "503 5.5.1 BDAT: an earlier chunk was refused");
        else
                *rc = smtp_reply(session, "503 5.5.1 BDAT: need MAIL and RCPT first");
        if (session->state == SMTP_BROKEN && c->last)
                letter_reset(s);
        return true;
}

/* BDAT -- RFC 3030 §2. A letter with a bare CR or LF is read to its true end, as with DATA; other faults are said at
 * once, and the chunks that may be under way already are thrown away until LAST or RSET. */
int smtp_bdat(struct session *session, struct scan *a)
{
        struct smtp *s = smtp_of(session);
        struct reception *r = &s->reception;
        struct chunk c;
        int rc = OK;

        if (!scan_chunk(a, &c))
                return smtp_reply(session, "501 5.5.4 Syntax: BDAT octets [LAST]");
        if (unwanted(s, &c, &rc))
                return rc;
        if (!r->active && !reception_begin(s)) {
                throw_away(s, c.size);
                session->state = SMTP_BROKEN;
        } else {
                session->state = SMTP_CHUNKS;
                take(s, c.size);
                if (!c.last && !r->fault)
                        return smtp_reply(session, "250 2.0.0 %" PRIu64 " octets received", c.size);
                dot_look_end(&r->r);
                rc = reception_end(s);
                session->state = SMTP_BROKEN;
        }
        if (c.last)
                letter_reset(s);
        return rc;
}
