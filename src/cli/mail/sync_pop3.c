/* POP3: what is new comes into INBOX. A UIDL is noted when its letter is durable here; a kill in between leaves letters behind the last noted uid,
 * which are known by size and header when they come again. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "cli/reach.h"
#include "mail/header.h"
#include "store/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, HEADER_MOST = 64 * 1024, UNNOTED_MOST = 1000 };
#define DIAL_PATIENCE (30 * SECOND)

struct unnoted { /* letters here that came when we were killed */
        uint32_t size;
        uint64_t identity;
};
struct popping {
        struct work *w;
        struct pop3_client *client;
        struct pop3_answer answer;
        struct unnoted *unnoted;
        size_t unnoted_n;
        struct stage *stages[BATCH];
        struct filing filings[BATCH];
        struct str uidls[BATCH];
        size_t n, known; /* known: uidls only, of letters that were here */
        uint32_t last_here;
        struct stage *open;
        struct buf head;
        const struct pop3_entry *entry;
};

static int said(struct popping *p, int rc)
{
        return work_failed(p->w, rc, *p->answer.text ? p->answer.text : "the server does not speak POP3");
}

static int open_once(struct popping *p, struct known *k, bool *again)
{
        struct login *l = p->w->login;
        struct tls_found found = { 0 };
        struct pop3_client_how how = {
                .host = l->incoming.host, .tls = l->incoming.tls, .want = &k->want, .found = &found
        };
        struct conn *conn;
        int rc = reach(l->incoming.host, l->incoming.port, now() + DIAL_PATIENCE, &conn, p->w->why);

        if (rc < 0)
                return rc;
        buf_clear(p->w->why); /* of addresses that did not answer */
        rc = pop3_client_open(&p->client, conn, &how, &p->answer);
        if (rc < 0) {
                *again = rc == -EACCES && known_asked(k, &found);
                if (!*again)
                        said(p, rc);
        }
        return rc;
}

static int begin(struct popping *p)
{
        struct login *l = p->w->login;
        const char *password;
        struct known k;
        bool again = false;
        int rc;

        work_state(p->w, SYNC_CONNECTING, "%s", l->incoming.host);
        if (!login_password(l, &password))
                return work_failed(p->w, -EACCES, "there is no password");
        known_want(&k, l->incoming.host, l->incoming.port, KNOWN_ASK, NULL);
        rc = open_once(p, &k, &again);
        if (again)
                rc = open_once(p, &k, &again);
        if (rc < 0)
                return rc;
        rc = pop3_client_login(p->client, l->incoming.user, password, &p->answer);
        return rc < 0 ? said(p, rc) : 0;
}

/* ---- letters ---- */

static int look_unnoted(struct popping *p)
{
        struct uid_range range = { 0, UINT32_MAX };
        struct placed_list list = { 0 };
        struct access x = { 0 };
        int rc = state_last_here(p->w, &p->last_here);

        range.first = p->last_here + 1;
        if (rc == 0)
                rc = copy_access(p->w->copy, &x, INBOX, RIGHT_READ);
        if (rc == 0)
                rc = change_list(&x, &range, 1, 0, &list);
        access_close(&x);
        p->unnoted = mem_array(UNNOTED_MOST, sizeof *p->unnoted);
        for (size_t i = 0; i < list.n && p->unnoted_n < UNNOTED_MOST && rc == 0; i++) {
                struct unnoted *u = &p->unnoted[p->unnoted_n++];

                u->size = list.list[i].size;
                rc = letter_identity_here(p->w, list.list[i].letter, &u->identity);
        }
        placed_list_free(&list);
        return rc < 0 ? work_failed(p->w, rc, "INBOX") : 0;
}

static bool is_here(struct popping *p, uint64_t size)
{
        struct str head = buf_str(&p->head);
        uint64_t identity = p->unnoted_n ? letter_identity(str_sub(head, 0, header_size(head))) : 0;

        for (size_t i = 0; i < p->unnoted_n && identity; i++)
                if (p->unnoted[i].size == size && p->unnoted[i].identity == identity) {
                        p->unnoted[i] = p->unnoted[--p->unnoted_n];
                        return true;
                }
        return false;
}

static void forget(struct popping *p)
{
        for (size_t i = 0; i < p->n; i++)
                if (p->stages[i])
                        stage_free(&p->stages[i]);
        if (p->open)
                stage_free(&p->open);
        p->n = 0;
}

/* Filed durably, then noted. */
static int file_batch(struct popping *p)
{
        struct filing list[BATCH];
        struct access x = { 0 };
        size_t n = 0;
        int rc = 0;

        for (size_t i = 0; i < p->n; i++)
                if (p->stages[i])
                        list[n++] = p->filings[i];
        if (n) {
                rc = copy_access(p->w->copy, &x, INBOX, RIGHTS_ALL);
                if (rc == 0)
                        rc = change_append(&x, list, n, UINT64_MAX);
                access_close(&x);
        }
        if (rc == 0 && n)
                p->last_here = list[n - 1].uid;
        if (rc < 0)
                work_failed(p->w, rc, "INBOX");
        else if (p->n)
                rc = state_put_uidls(p->w, p->uidls, p->n, p->last_here);
        if (rc == 0)
                p->w->result->fetched += (unsigned)n;
        if (rc == 0 && n)
                work_state(p->w, SYNC_WORKING, "INBOX: %u letters", p->w->result->fetched);
        forget(p);
        return rc;
}

static int letter_begin(void *context, const struct pop3_entry *e)
{
        struct popping *p = context;
        int rc = p->n == BATCH ? file_batch(p) : 0;

        if (p->open)
                stage_free(&p->open);
        if (rc < 0)
                return rc;
        p->entry = e;
        p->open = stage_new(copy_accounts(p->w->copy));
        buf_clear(&p->head);
        return 0;
}

static int letter_piece(void *context, struct str bytes)
{
        struct popping *p = context;

        if (p->head.n < HEADER_MOST)
                buf_puts(&p->head, str_sub(bytes, 0, HEADER_MOST - p->head.n));
        return p->open ? stage_put(p->open, bytes) : 0;
}

static int letter_end(void *context)
{
        struct popping *p = context;
        struct filing *f = &p->filings[p->n];
        int rc;

        if (!p->open)
                return 0;
        *f = (struct filing){ .staged_dir = -1, .received = wall_usec() };
        rc = stage_finish(p->open, f);
        if (rc < 0)
                return work_failed(p->w, rc, "INBOX");
        p->uidls[p->n] = p->entry->uidl;
        p->w->result->octets += stage_size(p->open);
        if (is_here(p, stage_size(p->open)))
                stage_free(&p->open); /* leaves NULL */
        p->stages[p->n++] = p->open;
        p->open = NULL;
        return 0;
}

static int by_text(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Those not noted yet; with `noted` the others. */
static size_t choose(const struct pop3_entry *all, size_t n, const struct str *known, size_t known_n,
                     bool noted, struct pop3_entry *out)
{
        size_t count = 0;

        for (size_t i = 0; i < n; i++) {
                bool is = known_n && bsearch(&all[i].uidl, known, known_n, sizeof *known, by_text);

                if (all[i].uidl.n && is == noted)
                        out[count++] = all[i];
        }
        return count;
}

static int exchange(struct popping *p, struct arena *a)
{
        struct pop3_take take = { letter_begin, letter_piece, letter_end, p, false };
        struct pop3_entry *all, *some;
        struct str *known;
        size_t n, known_n, count;
        int rc = pop3_client_list(p->client, a, &all, &n, &p->answer);

        if (rc < 0)
                return said(p, rc);
        for (size_t i = 0; i < n; i++)
                if (!all[i].uidl.n)
                        return work_failed(p->w, -EOPNOTSUPP,
                                           "the server has no UIDL: nobody could say which letters are new");
        rc = state_uidls(p->w, a, &known, &known_n);
        if (rc < 0)
                return rc;
        some = arena_array(a, struct pop3_entry, n + 1);
        count = choose(all, n, known, known_n, false, some);
        if (count)
                rc = look_unnoted(p);
        if (rc == 0 && count) {
                rc = pop3_client_letters(p->client, some, count, &take, &p->answer);
                if (rc < 0)
                        said(p, rc);
        }
        if (p->n) {
                int filed = file_batch(p);

                rc = rc ? rc : filed;
        }
        if (rc == 0 && !p->w->login->keep) {
                rc = state_uidls(p->w, a, &known, &known_n);
                count = rc == 0 ? choose(all, n, known, known_n, true, some) : 0;
                if (count) {
                        rc = pop3_client_delete(p->client, some, count, &p->answer);
                        if (rc < 0)
                                said(p, rc);
                        p->w->result->removed_there += (unsigned)count;
                }
        }
        return rc;
}

int pop3_sync(struct work *w)
{
        struct popping *p = mem_new(struct popping);
        struct arena auto_arena a;
        int rc;

        arena_init(&a, 256 << 20);
        p->w = w;
        buf_init(&p->head, HEADER_MOST);
        rc = begin(p);
        if (rc == 0)
                rc = exchange(p, &a);
        if (rc == 0)
                rc = pop3_client_quit(&p->client, &p->answer) < 0 ? said(p, -EREMOTEIO) : 0;
        else if (p->client)
                pop3_client_drop(&p->client);
        if (w->result->fetched && w->says && w->says->arrived)
                w->says->arrived(w->says->context, INBOX, w->result->fetched);
        forget(p);
        mem_free(p->unnoted);
        buf_free(&p->head);
        mem_free(p);
        return rc;
}
