/* SELECT (RFC 9051 §6.3.2), and which uids there are. */
#include "base/mem.h"
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include <errno.h>
#include <stdlib.h>

static bool number_after(struct str code, struct str word, uint64_t *n)
{
        return str_istarts(code, word) && str_u64(str_from_at(code, word.n), n);
}

void client_mailbox_code(struct imap_client *c, struct str code)
{
        uint64_t n;

        if (number_after(code, S("UIDVALIDITY "), &n) && n <= UINT32_MAX)
                c->now.uidvalidity = (uint32_t)n;
        else if (number_after(code, S("UIDNEXT "), &n) && n <= UINT32_MAX)
                c->now.uidnext = (uint32_t)n;
        else if (number_after(code, S("HIGHESTMODSEQ "), &n) && n <= INT64_MAX)
                c->now.highest = n;
        else if (str_ieq(code, S("NOMODSEQ")))
                c->now.highest = 0;
        else if (str_ieq(code, S("READ-ONLY")))
                c->now.read_only = true;
}

int imap_client_select(struct imap_client *c, const struct imap_folder *f, struct imap_opened *now,
                       struct imap_answer *answer)
{
        int rc;

        c->now = (struct imap_opened){ 0 };
        c->selected = true; /* what comes from now on is told of it */
        client_begin(c);
        conn_put(c->conn, S("SELECT "));
        rc = client_put_string(c, f->wire, answer);
        if (rc == 0) {
                if (c->offers & IMAP_HAS_CONDSTORE && !c->condstore)
                        conn_put(c->conn, S(" (CONDSTORE)"));
                conn_put(c->conn, S("\r\n"));
                rc = client_finish(c, NULL, answer);
        }
        c->selected = rc == 0;
        c->told = false;
        *now = c->now;
        return rc;
}

/* ---- uids ---- */

struct range {
        uint32_t first, last;
};
struct uids {
        struct range *list;
        size_t n, cap;
        bool disorder;
};

static void add(struct uids *u, uint32_t first, uint32_t last)
{
        if (u->n && first && first == u->list[u->n - 1].last + 1) {
                u->list[u->n - 1].last = last;
                return;
        }
        if (u->n == u->cap) {
                u->cap = u->cap ? 2 * u->cap : 256;
                u->list = mem_grow(u->list, u->cap, sizeof(*u->list));
        }
        u->disorder = u->disorder || (u->n && first <= u->list[u->n - 1].last);
        u->list[u->n++] = (struct range){ first, last };
}

/* ESEARCH (TAG "a5") UID ALL 1:5,7; nothing at all where there is none (RFC 4731 §3.1) */
static void read_esearch(struct imap_client *c, struct uids *u)
{
        if (scan_peek(&c->in) == '(')
                client_skip(c);
        while (!scan_end(&c->in)) {
                struct str name, set;
                uint32_t first, last;
                bool bad = false;

                if (!scan_try(&c->in, ' ') && scan_peek(&c->in) != 'U' && scan_peek(&c->in) != 'u')
                        return;
                name = client_atom(c);
                if (str_ieq(name, S("UID")))
                        continue;
                scan_space(&c->in);
                if (!str_ieq(name, S("ALL"))) {
                        client_skip(c);
                        continue;
                }
                set = client_atom(c);
                while (set_next(&set, &first, &last, &bad))
                        if (first && last)
                                add(u, first, last);
                if (bad)
                        scan_fail(&c->in, "ESEARCH");
        }
}

static bool heard_uids(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        struct uids *u = context;

        (void)number;
        if (str_ieq(word, S("ESEARCH"))) {
                read_esearch(c, u);
                return true;
        }
        if (!str_ieq(word, S("SEARCH")))
                return false;
        while (!c->in.bad && scan_peek(&c->in) >= '0' && scan_peek(&c->in) <= '9') {
                uint32_t uid = (uint32_t)scan_number(&c->in, UINT32_MAX);

                if (uid)
                        add(u, uid, uid);
                while (scan_try(&c->in, ' '))
                        ;
        }
        return true; /* "(MODSEQ 7)" may follow */
}

static int by_first(const void *a, const void *b)
{
        const struct range *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

/* Ascending and without overlaps, whatever came. */
static void tell(struct uids *u, void (*range)(void *context, uint32_t first, uint32_t last), void *context)
{
        uint64_t next = 1;

        if (u->disorder)
                qsort(u->list, u->n, sizeof(*u->list), by_first);
        for (size_t i = 0; i < u->n; i++) {
                uint64_t first = u->list[i].first > next ? u->list[i].first : next;

                if (first > u->list[i].last)
                        continue;
                range(context, (uint32_t)first, u->list[i].last);
                next = (uint64_t)u->list[i].last + 1;
        }
}

int client_search(struct imap_client *c, const char *what, struct imap_answer *answer,
                  void (*range)(void *context, uint32_t first, uint32_t last), void *context)
{
        struct uids u = { 0 };
        struct client_ask ask = { .context = &u, .hear = heard_uids };
        int rc = client_command(c, &ask, answer, "UID SEARCH %s%s",
                                c->offers & IMAP_HAS_ESEARCH ? "RETURN (ALL) " : "", what);

        if (rc == 0)
                tell(&u, range, context);
        mem_free(u.list);
        return rc;
}

int imap_client_uids(struct imap_client *c, void (*range)(void *context, uint32_t first, uint32_t last),
                     void *context, struct imap_answer *answer)
{
        return client_search(c, "ALL", answer, range, context);
}
