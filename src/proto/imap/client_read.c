/* Responses as they come: a cursor that goes on behind literals (RFC 9051 §4, §7). The first failure sticks in c->in. */
#include "proto/imap/client_inside.h"
#include "run/fiber.h"
#include <errno.h>

int client_break(struct imap_client *c, int rc)
{
        if (!c->broken) {
                c->broken = rc;
                conn_fail(c->conn);
        }
        return c->broken;
}

static int line_in(struct imap_client *c, nsec deadline)
{
        struct str line;

        c->in = scan_of(S(""));
        while (!c->broken) {
                switch (conn_line(c->conn, &line, c->budget, deadline)) {
                case GOT_LINE:
                case GOT_BARE:
                        /* a line that is only part of one counts for more, so that there is no end of them */
                        c->budget -= line.n + 16 < c->budget ? line.n + 16 : c->budget;
                        c->in = scan_of(line);
                        return 0;
                case GOT_CALLED:
                        if (c->idling)
                                return -ECANCELED;
                        break;
                case GOT_QUIET: break;
                case GOT_LONG: return client_break(c, -EPROTO);
                case GOT_LATE: return c->idling ? -ETIMEDOUT : client_break(c, -ETIMEDOUT);
                default:
                        return client_break(c, conn_stopping(c->conn) || fiber_cancelled() ? -ECANCELED
                                                                                           : -ECONNRESET);
                }
        }
        return c->broken;
}

int client_next(struct imap_client *c, nsec deadline)
{
        c->budget = LINE_MOST;
        c->passed = 0;
        return line_in(c, deadline);
}

void client_line_goes_on(struct imap_client *c)
{
        bool bad = c->in.bad;
        int rc;

        c->idling = false; /* in the middle of a response nobody stops */
        rc = line_in(c, now() + c->how.patience);
        if (rc < 0 || bad)
                scan_fail(&c->in, "a line that breaks off");
}

static bool ends_atom(unsigned char ch)
{
        return ch <= ' ' || ch == '(' || ch == ')' || ch == '"' || ch == 127;
}

/* Of letters, digits and such; what stands in brackets belongs to it: BODY[HEADER.FIELDS (TO)]<0>. */
struct str client_atom(struct imap_client *c)
{
        struct str rest = c->in.bad ? S("") : str_from_at(c->in.s, c->in.at);
        size_t n = 0, close;

        while (n < rest.n && !ends_atom((unsigned char)rest.p[n])) {
                if (rest.p[n] == '[') {
                        close = str_find(str_from_at(rest, n), ']');
                        if (close == STR_NONE)
                                break;
                        n += close;
                }
                n++;
        }
        if (!n)
                scan_fail(&c->in, "a word expected");
        c->in.at += n;
        return str_sub(rest, 0, n);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; "\" before any character is borne. */
static void quoted(struct imap_client *c, struct buf *out)
{
        scan_char(&c->in, '"');
        while (!scan_try(&c->in, '"')) {
                struct str part = scan_until(&c->in, "\"\\");

                if (out)
                        buf_puts(out, part);
                if (scan_try(&c->in, '\\') && !scan_end(&c->in)) {
                        if (out)
                                buf_u8(out, (uint8_t)scan_peek(&c->in));
                        c->in.at++;
                } else if (scan_end(&c->in)) {
                        scan_fail(&c->in, "a string without end");
                        return;
                }
        }
}

/* literal = ["~"] "{" number64 ["+"] "}" CRLF */
bool client_literal(struct imap_client *c, uint64_t *n)
{
        struct scan a = c->in;

        scan_try(&a, '~');
        if (a.bad || !scan_try(&a, '{'))
                return false;
        *n = scan_number(&a, INT64_MAX);
        scan_try(&a, '+');
        scan_char(&a, '}');
        if (!scan_end(&a) || a.bad) {
                scan_fail(&c->in, "a literal's length");
                return false;
        }
        c->in = a;
        return true;
}

struct str client_piece(struct imap_client *c, uint64_t most, nsec *window, size_t *came)
{
        struct str got;

        for (;;) {
                if (c->broken)
                        return S("");
                if (!*window || now() >= *window) {
                        if (*window && *came < 1024) {
                                client_break(c, -ETIMEDOUT);
                                return S("");
                        }
                        *window = now() + c->how.patience;
                        *came = 0;
                }
                got = conn_some(c->conn, most < 65536 ? (size_t)most : 65536, *window);
                *came += got.n;
                if (got.n)
                        return got;
                if (!conn_late(c->conn)) {
                        client_break(c,
                                     conn_stopping(c->conn) || fiber_cancelled() ? -ECANCELED : -ECONNRESET);
                        return S("");
                }
        }
}

static void literal(struct imap_client *c, uint64_t n, struct buf *out)
{
        nsec window = 0;
        size_t came = 0;

        if (n > PASS_MOST - c->passed) {
                client_break(c, -EPROTO);
                scan_fail(&c->in, "a literal of that size");
                return;
        }
        c->passed += (size_t)n;
        while (n) {
                struct str piece = client_piece(c, n, &window, &came);

                if (!piece.n)
                        break;
                if (out)
                        buf_puts(out, piece);
                n -= piece.n;
        }
        client_line_goes_on(c);
}

void client_pass(struct imap_client *c, uint64_t n)
{
        literal(c, n, NULL);
}

void client_string(struct imap_client *c, struct buf *out)
{
        struct str atom;
        uint64_t n;

        if (out)
                buf_clear(out);
        if (scan_peek(&c->in) == '"') {
                quoted(c, out);
        } else if (client_literal(c, &n)) {
                literal(c, n, out);
        } else {
                atom = client_atom(c);
                if (out && !str_ieq(atom, S("NIL")))
                        buf_puts(out, atom);
        }
}

void client_skip(struct imap_client *c)
{
        size_t depth = 0;

        do {
                while (depth && scan_try(&c->in, ' '))
                        ;
                if (scan_try(&c->in, '('))
                        depth++;
                else if (depth && scan_try(&c->in, ')'))
                        depth--;
                else
                        client_string(c, NULL);
        } while (depth && !c->in.bad);
}

/* Nothing of it is understood, but where it ends: a literal's length ends a line, and so does nothing else that looks so. */
void client_skip_rest(struct imap_client *c)
{
        for (;;) {
                struct str rest = c->in.bad ? S("") : scan_rest(&c->in);
                size_t at = str_rfind(rest, '{');
                uint64_t n;

                if (at == STR_NONE || at + 1 == rest.n)
                        return;
                c->in = scan_of(str_from_at(rest, at));
                if (!client_literal(c, &n)) {
                        bool too_long =
                            rest.p[at + 1] >= '0' && rest.p[at + 1] <= '9' && str_ends(rest, S("}"));

                        c->in = scan_of(S(""));
                        if (too_long)
                                scan_fail(&c->in, "a literal of that size");
                        return;
                }
                client_pass(c, n);
        }
}
