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

long alter_most(const struct session *s)
{
        return imap_can(s, CAP_MESSAGELIMIT) ? s->server->settings->message_limit : 0;
}

uint32_t alter_limit(const struct session *s, struct uid_list *uids)
{
        long most = alter_most(s);
        uint64_t n = uid_list_count(uids), skip;
        size_t first = 0;

        if (most <= 0 || n <= (uint64_t)most)
                return 0;
        for (skip = n - (uint64_t)most; skip; first++) {
                struct uid_range *r = &uids->ranges[first];
                uint64_t here = (uint64_t)r->last - r->first + 1;

                if (here > skip) {
                        r->first += (uint32_t)skip;
                        break;
                }
                skip -= here;
        }
        for (size_t i = first; i < uids->n; i++)
                uids->ranges[i - first] = uids->ranges[i];
        uids->n -= first;
        return uids->ranges[0].first;
}

int alter_limited(struct session *s, struct str code, uint32_t lowest, const char *english)
{
        if (lowest && code.n)
                imap_say(s, "NO [MESSAGELIMIT %ld %u] not all of them", alter_most(s), lowest);
        else if (lowest)
                return imap_ok(s, "[MESSAGELIMIT %ld %u] completed for the last of them", alter_most(s),
                               lowest);
        return alter_ok(s, code, english);
}

int alter_removed(struct session *s, struct access *x, bool any, uint32_t lowest, const char *english)
{
        const struct imap *p = imap_of(s);
        struct buf code auto_buf;

        buf_init(&code, 64);
        imap_updates(s, x, true); /* first: HIGHESTMODSEQ promises that all up to it has been told */
        if (any && p->enabled & (ENABLED_CONDSTORE | ENABLED_QRESYNC))
                buf_printf(&code, "HIGHESTMODSEQ %llu", (unsigned long long)p->selected.highest);
        return alter_limited(s, buf_str(&code), lowest, english);
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
