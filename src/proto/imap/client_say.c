/* Commands on their way out: tags, strings, sets, flags. */
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include "store/account.h"
#include <assert.h>
#include <errno.h>

void client_begin(struct imap_client *c)
{
        assert(c->tag - c->oldest + 1 < AHEAD_MOST);
        c->tag++;
        c->results[c->tag % AHEAD_MOST].done = false;
        conn_printf(c->conn, "a%u ", c->tag);
}

/* RFC 7888: a literal of up to 4096 octets need not wait with LITERAL-, of any size with LITERAL+. NUL is in none. */
static int put_literal(struct imap_client *c, struct str s, struct imap_answer *answer)
{
        bool at_once =
            c->offers & IMAP_HAS_LITERAL_PLUS || (c->offers & IMAP_HAS_LITERAL_MINUS && s.n <= 4096);
        int rc = 1;

        conn_printf(c->conn, at_once ? "{%zu+}\r\n" : "{%zu}\r\n", s.n);
        if (!at_once)
                rc = client_go_on(c, NULL, answer);
        if (rc < 0)
                return rc;
        if (rc == 0)
                return client_ours(answer, client_break(c, -EPROTO), "an answer to half a command");
        conn_put(c->conn, s);
        return 0;
}

/* string = quoted / literal; 8 bits are quoted only after ENABLE UTF8=ACCEPT (RFC 6855 §3). */
int client_put_string(struct imap_client *c, struct str s, struct imap_answer *answer)
{
        bool quotable = s.n <= 1000;

        for (size_t i = 0; i < s.n; i++) {
                unsigned char ch = (unsigned char)s.p[i];

                if (!ch)
                        return client_break(c, -EINVAL);
                if (ch < 32 || ch == 127 || (ch > 127 && !c->utf8))
                        quotable = false;
        }
        if (!quotable)
                return put_literal(c, s, answer);
        conn_put(c->conn, S("\""));
        while (s.n) {
                size_t n = 0;

                while (n < s.n && s.p[n] != '"' && s.p[n] != '\\')
                        n++;
                conn_put(c->conn, str_sub(s, 0, n));
                if (n < s.n)
                        conn_printf(c->conn, "\\%c", s.p[n++]);
                s = str_from_at(s, n);
        }
        conn_put(c->conn, S("\""));
        return 0;
}

/* ---- sets: sequence-set (RFC 9051 §9) of uids ---- */

static bool set_number(struct str s, uint32_t *n)
{
        uint64_t v;

        *n = 0;
        if (str_eq(s, S("*")))
                return true;
        if (!str_u64(s, &v) || !v || v > UINT32_MAX)
                return false;
        *n = (uint32_t)v;
        return true;
}

bool set_next(struct str *set, uint32_t *first, uint32_t *last, bool *bad)
{
        struct str range, from;
        bool ranged;

        if (!set->n || *bad)
                return false;
        if (!str_cut(set, ',', &range))
                *set = S("");
        else if (!set->n)
                *bad = true;
        ranged = str_cut(&range, ':', &from);
        *bad = *bad || !set_number(from, first) || (ranged && !set_number(range, last));
        if (*bad)
                return false;
        if (!ranged)
                *last = *first;
        if (*first > *last && *last) { /* "4:2" is "2:4" */
                uint32_t x = *first;

                *first = *last;
                *last = x;
        }
        return true;
}

bool set_valid(const char *set)
{
        struct str rest = str_of(set);
        uint32_t first, last;
        bool bad = !rest.n;

        while (set_next(&rest, &first, &last, &bad))
                ;
        return !bad;
}

static struct str next_part(struct str *left)
{
        struct str part = str_sub(*left, 0, PART_MOST);
        size_t comma = left->n > PART_MOST ? str_rfind(part, ',') : STR_NONE;

        if (comma != STR_NONE)
                part.n = comma;
        *left = str_from_at(*left, part.n + (comma != STR_NONE));
        return part;
}

int client_by_parts(struct imap_client *c, const char *set, const struct client_ask *ask,
                    struct imap_answer *answer,
                    int (*put)(struct imap_client *c, void *context, struct str part), void *context)
{
        struct str left = str_of(set);
        /* who waits for a "+" has nothing else on its way */
        unsigned most = c->offers & (IMAP_HAS_LITERAL_PLUS | IMAP_HAS_LITERAL_MINUS) ? 2 : 1, ahead = 0;
        int rc = 0, first = 0;

        if (!set_valid(set))
                return client_ours(answer, -EINVAL, "that is no set of uids");
        while (left.n || ahead) {
                while (left.n && ahead < most && !first) {
                        struct str part = next_part(&left);

                        client_begin(c);
                        rc = put(c, context, part);
                        if (rc < 0)
                                return rc;
                        conn_put(c->conn, S("\r\n"));
                        ahead++;
                }
                rc = client_finish(c, ask, answer);
                if (c->broken)
                        return rc;
                ahead--;
                if (!first)
                        first = rc;
                if (first && !ahead)
                        break;
                c->result = first; /* what comes of the one ahead is of no interest */
        }
        return first;
}

/* "(\Seen work)"; a keyword that is no atom is left out. */
void client_put_flags(struct imap_client *c, uint64_t flags, struct str keywords)
{
        static const struct {
                const char *name;
                uint64_t flag;
        } names[] = {
                { "\\Seen", FLAG_SEEN },       { "\\Answered", FLAG_ANSWERED }, { "\\Flagged", FLAG_FLAGGED },
                { "\\Deleted", FLAG_DELETED }, { "\\Draft", FLAG_DRAFT },
        };
        const char *blank = "";
        struct str word;

        conn_put(c->conn, S("("));
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (flags & names[i].flag) {
                        conn_printf(c->conn, "%s%s", blank, names[i].name);
                        blank = " ";
                }
        while (keywords.n) {
                bool atom = true;

                str_cut(&keywords, ' ', &word);
                for (size_t i = 0; i < word.n; i++)
                        atom = atom && word.p[i] > ' ' && word.p[i] < 127 &&
                               str_find(S("(){%*\"\\]"), word.p[i]) == STR_NONE;
                if (!atom || !word.n)
                        continue;
                conn_printf(c->conn, "%s" PRS, blank, STR(word));
                blank = " ";
        }
        conn_put(c->conn, S(")"));
}
