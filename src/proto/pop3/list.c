#include "proto/pop3/pop3.h"
#include "base/mem.h"
#include "run/log.h"

#include <errno.h>
#include <string.h>

/* --- the frozen list ----------------------------------------------------------------------------------------- */

int pop3_trouble(struct session *s, int error)
{
        log_warn("trouble", "session=%s protocol=pop3 account=%s why=\"%s\"", s->id, log_str(s->account),
                 strerror(-error));
        switch (error) {
        case -ENOENT:
        case -ESTALE: /* the numbers we gave out mean nothing any more */
                s->ending = true;
                return pop3_sorry(s, "[SYS/TEMP] the mailbox was rebuilt meanwhile; sign in again");
        case -EBADMSG: return pop3_sorry(s, "[SYS/PERM] the mailbox is damaged; its keeper must mend it");
        default: return pop3_sorry(s, "[SYS/TEMP] the mailbox cannot be used just now, try again later");
        }
}

static int build(struct pop3 *p)
{
        struct session *s = &p->session;
        struct account *account = NULL;
        size_t n = 0;
        int rc = account_get(s->server->accounts, s->account, &account);

        if (rc == 0)
                rc = account_list(account, &p->view, &p->list, &n);
        account_put(&account);
        if (rc == 0 && n != p->view.count) {
                account_list_free(&p->list);
                rc = -ESTALE;
        }
        return rc;
}

int pop3_list_open(struct session *s)
{
        struct pop3 *p = pop3_of(s);
        int rc = p->list || !p->view.count ? 0 : build(p);

        if (rc < 0)
                pop3_trouble(s, rc);
        return rc;
}

bool pop3_marked(const struct pop3 *p, uint32_t index)
{
        return p->marks && p->marks[index / 8] >> index % 8 & 1;
}

void pop3_unmark(struct pop3 *p)
{
        mem_free(p->marks);
        p->marks = NULL;
        p->marked = 0;
        p->marked_octets = 0;
}

uint32_t pop3_count(const struct pop3 *p)
{
        return p->view.count - p->marked;
}

uint64_t pop3_octets(const struct pop3 *p)
{
        return p->view.octets > p->marked_octets ? p->view.octets - p->marked_octets : 0;
}

bool pop3_numbers(struct scan *a, uint32_t *first, uint32_t *second)
{
        *first = (uint32_t)scan_number(a, UINT32_MAX);
        if (second) {
                scan_space(a);
                *second = (uint32_t)scan_number(a, UINT32_MAX);
        }
        scan_spaces(a);
        return scan_done(a);
}

int pop3_gone(struct session *s, uint32_t number)
{
        return pop3_sorry(s, "message %u was removed by another session", number);
}

struct placed *pop3_message(struct session *s, uint32_t number, int *rc)
{
        struct pop3 *p = pop3_of(s);

        if (number == 0 || number > p->view.count) {
                *rc = pop3_no(s, "no such message, there are %u", p->view.count);
        } else if (pop3_marked(p, number - 1)) {
                *rc = pop3_no(s, "message %u is deleted already", number);
        } else if (pop3_list_open(s) < 0) {
                *rc = OK; /* it was said what is wrong, and it is not theirs */
        } else if (!p->list[number - 1].letter) {
                *rc = pop3_gone(s, number);
        } else {
                return &p->list[number - 1];
        }
        return NULL;
}

/* --- the commands -------------------------------------------------------------------------------------------- */

/* STAT -- RFC 1939 §5: what stood here at sign-in without what is marked, whether or not others have removed some */
int pop3_stat(struct session *s, struct scan *a)
{
        struct pop3 *p = pop3_of(s);

        (void)a;
        return pop3_ok(s, "%u %llu", pop3_count(p), (unsigned long long)pop3_octets(p));
}

static bool shown(const struct pop3 *p, uint32_t index)
{
        return p->list[index].letter && !pop3_marked(p, index);
}

static int list_all(struct session *s)
{
        struct pop3 *p = pop3_of(s);
        unsigned long long octets = 0;
        uint32_t n = 0;

        if (pop3_list_open(s) < 0)
                return OK;
        for (uint32_t i = 0; i < p->view.count; i++)
                if (shown(p, i)) {
                        octets += p->list[i].size;
                        n++;
                }
        pop3_ok(s, "%u messages (%llu octets)", n, octets);
        for (uint32_t i = 0; i < p->view.count && conn_ok(s->conn); i++)
                if (shown(p, i))
                        conn_printf(s->conn, "%u %u\r\n", i + 1, p->list[i].size);
        conn_put(s->conn, S(".\r\n"));
        return OK;
}

/* LIST [msg] -- RFC 1939 §5 */
int pop3_list(struct session *s, struct scan *a)
{
        struct placed *m;
        uint32_t number;
        int rc;

        if (scan_end(a))
                return list_all(s);
        if (!pop3_numbers(a, &number, NULL))
                return pop3_no(s, "give one number or none: LIST [message]");
        m = pop3_message(s, number, &rc);
        return m ? pop3_ok(s, "%u %u", number, m->size) : rc;
}

/* A unique-id: the mailbox's validity and the uid, which is never given twice. */
static int uidl_all(struct session *s)
{
        struct pop3 *p = pop3_of(s);

        if (pop3_list_open(s) < 0)
                return OK;
        pop3_ok(s, "unique-ids follow");
        for (uint32_t i = 0; i < p->view.count && conn_ok(s->conn); i++)
                if (shown(p, i))
                        conn_printf(s->conn, "%u %x.%x\r\n", i + 1, p->view.uidvalidity, p->list[i].uid);
        conn_put(s->conn, S(".\r\n"));
        return OK;
}

/* UIDL [msg] -- RFC 1939 §7 */
int pop3_uidl(struct session *s, struct scan *a)
{
        struct placed *m;
        uint32_t number;
        int rc;

        if (scan_end(a))
                return uidl_all(s);
        if (!pop3_numbers(a, &number, NULL))
                return pop3_no(s, "give one number or none: UIDL [message]");
        m = pop3_message(s, number, &rc);
        return m ? pop3_ok(s, "%u %x.%x", number, pop3_of(s)->view.uidvalidity, m->uid) : rc;
}

/* LAST -- RFC 1081, RFC 1225: the highest number accessed in this session */
int pop3_last(struct session *s, struct scan *a)
{
        (void)a;
        return pop3_ok(s, "%u", pop3_of(s)->last);
}
