#include "proto/imap/append.h"
#include "store/body.h"

enum { PIECE = 64 * 1024, SILENCE_SECONDS = 300 };

/* The least rate of those who send us letters holds here too (settings data-min-rate): nobody may drip for days. */
struct pace {
        nsec window;
        uint64_t came;
};

static bool too_slow(struct pace *w, const struct settings *t, size_t came)
{
        nsec at = now();

        w->came += came;
        if (!t->data_min_rate || at < w->window)
                return false;
        if (w->came <
            (uint64_t)t->data_min_rate * (uint64_t)((at - w->window) / SECOND + t->data_rate_window))
                return true;
        w->window = at + t->data_rate_window * SECOND;
        w->came = 0;
        return false;
}

/* What is still to come of the literal would be taken for commands: so this is the end of the conversation. */
static bool hang_up(struct append *p, const char *why)
{
        struct session *s = p->session;

        if (conn_ok(s->conn)) {
                imap_say(s, "BYE %s", why);
                (void)conn_flush(s->conn, in_seconds(10));
        }
        conn_fail(s->conn);
        s->ending = true;
        p->rc = FAIL;
        return false;
}

/* To its end, also when there is no place for it any more: *error then says why. */
static bool receive(struct append *p, const struct imap_literal *l, struct stage *to, bool *nul, int *error)
{
        struct session *s = p->session;
        struct pace pace = { .window = in_seconds(s->server->settings->data_rate_window) };
        uint64_t n = l->n;

        while (n) {
                struct str piece =
                    conn_some(s->conn, n < PIECE ? (size_t)n : PIECE, in_seconds(SILENCE_SECONDS));

                if (!piece.n)
                        return hang_up(p, "the literal was cut off");
                n -= piece.n;
                if (!l->binary && !*nul)
                        *nul = str_find(piece, '\0') != STR_NONE;
                if (*error == 0 && !*nul)
                        *error = stage_put(to, piece);
                if (n && too_slow(&pace, s->server->settings, piece.n))
                        return hang_up(p, "[UNAVAILABLE] that is too slow");
        }
        return true;
}

/* literal = "{" number64 ["+"] "}" CRLF *CHAR8; literal8 = "~{" number64 ["+"] "}" CRLF *OCTET -- RFC 9051 §9, RFC 3516 */
bool append_literal(struct append *p, struct scan *a, struct stage *to, bool binary, bool whole)
{
        struct session *s = p->session;
        struct imap_literal l;
        bool nul = false;
        int error = 0;

        /* RFC 9051 Appendix B: what BINARY gives APPEND is not in IMAP4rev2 */
        if (!imap_literal_head(a, &l) || (binary && !l.binary) ||
            (l.binary && !binary && !imap_can(s, CAP_BINARY))) {
                scan_fail(a, binary ? "a literal8 is missing: ~{n}" : "a literal is missing: {n}");
                p->rc = imap_syntax(append_refuses(p), a);
                return false;
        }
        if (!imap_literal_allowed(s, a, &l)) {
                p->rc = imap_syntax(append_refuses(p), a);
                return false;
        }
        if (!append_fits(p, to, l.n))
                return false;
        if (p->earlier && (!l.plus || l.n > BODY_INLINE_MAX))
                p->earlier(p); /* they need not wait for this one */
        imap_literal_go(s, &l);
        if (!receive(p, &l, to, &nul, &error))
                return false;
        if (!conn_input_waits(s->conn))
                append_release(p);
        imap_literal_done(s, a);
        if (a->bad)
                p->rc = conn_ok(s->conn) ? imap_syntax(append_refuses(p), a) : FAIL;
        else if (error)
                p->rc = imap_trouble(append_refuses(p), error);
        else if (nul)
                p->rc =
                    imap_no(append_refuses(p), "[CANNOT] there is a NUL in that literal; send it as ~{n}");
        else if (whole && !l.n)
                p->rc = imap_no(append_refuses(p), "cancelled: nothing was appended");
        else
                return true;
        return false;
}
