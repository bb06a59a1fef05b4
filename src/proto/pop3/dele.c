#include "proto/pop3/pop3.h"
#include "base/mem.h"
#include "run/log.h"

#include <errno.h>

enum { FLUSH_SECONDS = 60 };

/* DELE msg -- RFC 1939 §5: a mark, no more */
int pop3_dele(struct session *s, struct scan *a)
{
        struct pop3 *p = pop3_of(s);
        struct placed *m;
        uint32_t number;
        int rc;

        if (!pop3_numbers(a, &number, NULL))
                return pop3_no(s, "give one number: DELE message");
        m = pop3_message(s, number, &rc);
        if (!m)
                return rc;
        if (!p->marks)
                p->marks = mem_array((p->view.count + 7) / 8, 1);
        p->marks[(number - 1) / 8] |= (uint8_t)(1 << (number - 1) % 8);
        p->marked++;
        p->marked_octets += m->size;
        if (number > p->last)
                p->last = number;
        return pop3_ok(s, "message %u deleted", number);
}

/* RSET -- RFC 1939 §5, and RFC 1225 for LAST */
int pop3_rset(struct session *s, struct scan *a)
{
        struct pop3 *p = pop3_of(s);

        (void)a;
        pop3_unmark(p);
        p->last = 0;
        return pop3_ok(s, "%u messages (%llu octets)", pop3_count(p), (unsigned long long)pop3_octets(p));
}

/* All that is marked, or, on any error, none of it. */
static int expunge(struct session *s)
{
        struct pop3 *p = pop3_of(s);
        struct account *account = NULL;
        struct mailbox_view today;
        uint32_t *uids = arena_array(&s->command, uint32_t, p->marked);
        size_t n = 0;
        int rc = account_get(s->server->accounts, s->account, &account);

        for (uint32_t i = 0; i < p->view.count; i++)
                if (pop3_marked(p, i))
                        uids[n++] = p->list[i].uid;
        if (rc == 0)
                rc = account_view(account, INBOX, &today);
        if (rc == 0 && (today.mailbox != p->view.mailbox || today.uidvalidity != p->view.uidvalidity))
                rc = -ESTALE; /* another mailbox by now: these uids name other letters */
        if (rc == 0)
                rc = account_expunge(account, &p->view, uids, n);
        account_put(&account);
        return rc;
}

/* QUIT -- RFC 1939 §6. What was asked for before, the letters above all, is on its way before anything is removed: a
 * peer that is gone by then has not said QUIT to us. */
int pop3_quit(struct session *s, struct scan *a)
{
        struct pop3 *p = pop3_of(s);
        int rc;

        (void)a;
        s->ending = true;
        if (s->state != POP3_TRANSACTION || !p->marked)
                return pop3_ok(s, "POP3 server signing off");
        if (conn_flush(s->conn, in_seconds(FLUSH_SECONDS)) < 0 || !conn_ok(s->conn))
                return OK;
        if (pop3_list_open(s) < 0)
                return OK;
        rc = expunge(s);
        if (rc < 0) {
                log_warn("trouble", "session=%s protocol=pop3 account=%s why=\"%s\" removed=0", s->id,
                         log_str(s->account), strerror(-rc));
                return pop3_sorry(s, "[SYS/TEMP] nothing was removed, try again later; goodbye");
        }
        log_event("removed", "session=%s protocol=pop3 account=%s letters=%u", s->id, log_str(s->account),
                  p->marked);
        return pop3_ok(s, "POP3 server signing off");
}
