#include "proto/imap/alter.h"

#include <errno.h>

enum { SET_MOST = 16 << 20 }; /* of the text of a set: 1,000,000 numbers that do not follow one another */

static void put_line(struct session *s, struct str before, struct str code, const char *english)
{
        conn_put(s->conn, before);
        if (code.n) {
                conn_put(s->conn, S("["));
                conn_put(s->conn, code);
                conn_put(s->conn, S("] "));
        }
        conn_put(s->conn, str_of(imap_text(imap_of(s), english)));
        conn_put(s->conn, S("\r\n"));
}

int alter_ok(struct session *s, struct str code, const char *english)
{
        if (!code.n)
                return imap_ok(s, "%s", imap_text(imap_of(s), english));
        imap_updates(s, NULL, !(s->running->needs & NO_EXPUNGE) || imap_of(s)->uid);
        conn_put(s->conn, imap_of(s)->tag);
        put_line(s, S(" OK "), code, english);
        return OK;
}

void alter_say(struct session *s, struct str code, const char *english)
{
        put_line(s, S("* OK "), code, english);
}

void put_copyuid(struct buf *b, const struct copied *c)
{
        buf_printf(b, "COPYUID %u ", c->uidvalidity);
        put_uids(b, &c->from);
        buf_puts(b, S(" "));
        put_uids(b, &c->to);
}

void put_appenduid(struct buf *b, uint32_t uidvalidity, const struct uid_list *uids)
{
        buf_printf(b, "APPENDUID %u ", uidvalidity);
        put_uids(b, uids);
}

int alter_removed(struct session *s, struct access *x, bool any, const char *english)
{
        const struct imap *p = imap_of(s);

        imap_updates(s, x, true); /* first: HIGHESTMODSEQ promises that all up to it has been told */
        if (any && p->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC))
                return imap_ok(s, "[HIGHESTMODSEQ %llu] %s", (unsigned long long)p->selected.highest,
                               imap_text(p, english));
        return imap_ok(s, "%s", imap_text(p, english));
}

static bool known_bit(const struct keyword_list *k, struct str name, uint64_t *bit)
{
        for (uint64_t rest = k->bits; rest; rest &= rest - 1) {
                unsigned at = (unsigned)__builtin_ctzll(rest);

                if (str_ieq(k->names[at], name)) {
                        *bit = (uint64_t)1 << at;
                        return true;
                }
        }
        return false;
}

int alter_bits(struct session *s, struct access *x, const struct keyword_list *known,
               const struct imap_flags *f, bool make, uint64_t *bits)
{
        struct keyword_list *read;
        unsigned made;
        uint64_t bit;
        int rc;

        *bits = f->system;
        if (f->n && !known) {
                known = read = arena_new(&s->command, struct keyword_list);
                rc = change_keywords(x, &s->command, read);
                if (rc)
                        return rc;
        }
        for (unsigned i = 0; i < f->n; i++) {
                if (known_bit(known, f->keywords[i], &bit)) {
                        *bits |= bit;
                        continue;
                }
                rc = make ? change_keyword(x, f->keywords[i], &made) : -EACCES;
                if (!rc)
                        *bits |= (uint64_t)1 << made;
                else if (rc != -EACCES)
                        return rc;
        }
        return 0;
}
