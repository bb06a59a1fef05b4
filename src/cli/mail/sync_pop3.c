/* POP3: what is new comes into INBOX. A UIDL is noted when its letter is durable here, with size and header: a server may give it again, to another
 * letter. What a kill in between leaves: sync_inside.h; where sync.db is lost, letters are known by size and header when they come again. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "cli/reach.h"
#include "mail/header.h"
#include "mail/thread.h"
#include "store/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, HEADER_MOST = 64 * 1024, UNNOTED_MOST = 1000 };
#define DIAL_PATIENCE (30 * SECOND)

struct unnoted { /* letters here that nothing is noted of */
        uint32_t size;
        uint64_t identity;
};
struct popping {
        struct work *w;
        struct pop3_client *client;
        struct pop3_answer answer;
        struct unnoted *unnoted;
        size_t unnoted_n;
        struct pop_state state;
        struct known_uidl *known;
        size_t known_n;
        struct pop_letter *letters;
        struct pop3_entry *some;     /* those that are fetched, or removed */
        size_t *place;               /* of each of them: which of letters it is */
        struct stage *stages[BATCH]; /* NULL: it is here */
        struct filing filings[BATCH];
        struct known_uidl notes[BATCH];
        size_t at[BATCH];
        size_t n;
        bool unwritten; /* letters may be filed without a note */
        struct stage *open;
        struct buf head;
        struct letter_sum sum;
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
        known_want(&k, l->incoming.host, l->incoming.port, KNOWN_ASK, l->ca);
        rc = open_once(p, &k, &again);
        if (again)
                rc = open_once(p, &k, &again);
        if (rc < 0)
                return rc;
        rc = pop3_client_login(p->client, l->incoming.user, password, &p->answer);
        while (rc == -EREMOTEIO && login_refused(l, p->answer.code, p->answer.text) &&
               login_password(l, &password))
                rc = pop3_client_login(p->client, l->incoming.user, password, &p->answer);
        if (rc == 0)
                login_accepted(l);
        return rc < 0 ? said(p, rc == -EREMOTEIO ? -EACCES : rc) : 0;
}

/* ---- letters ---- */

static int look_unnoted(struct popping *p)
{
        struct uid_range range = { 0, UINT32_MAX };
        struct placed_list list = { 0 };
        struct access x = { 0 };
        int rc;

        range.first = p->state.last_here + 1;
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

static bool is_here(struct popping *p, const struct known_uidl *note)
{
        size_t first = pop3_known(p->known, p->known_n, note->uidl, 0);

        for (size_t i = first;
             i < p->known_n && i - first < KNOWN_MOST && str_eq(p->known[i].uidl, note->uidl); i++)
                if (p->known[i].octets == note->octets && p->known[i].identity == note->identity)
                        return true; /* LIST told another size of it */
        for (size_t i = 0; i < p->unnoted_n && note->identity; i++)
                if (p->unnoted[i].size == note->octets && p->unnoted[i].identity == note->identity) {
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

static int begin_filing(struct popping *p)
{
        int rc;

        if (p->state.filing)
                return 0;
        p->state.filing = state_number();
        rc = state_put_uidls(p->w, NULL, 0, &p->state);
        if (rc < 0)
                p->state.filing = 0;
        return rc;
}

/* One transaction. Duplicates came before we were killed: a person has removed or moved them since. */
static int file_new(struct popping *p)
{
        struct filing list[BATCH];
        struct access x = { 0 };
        size_t n = 0;
        int rc;

        for (size_t i = 0; i < p->n; i++)
                if (p->stages[i])
                        list[n++] = p->filings[i];
        rc = n ? begin_filing(p) : 0;
        if (rc < 0 || !n)
                return rc;
        for (size_t i = 0; i < n; i++)
                list[i].segment = p->state.filing;
        rc = copy_access(p->w->copy, &x, INBOX, RIGHTS_ALL);
        if (rc == 0)
                rc = change_append(&x, list, n, UINT64_MAX);
        access_close(&x);
        if (rc < 0)
                return work_failed(p->w, rc, "INBOX");
        for (size_t i = 0; i < n; i++) {
                if (list[i].duplicate)
                        continue;
                p->state.last_here = list[i].uid;
                p->w->result->fetched++;
        }
        return 0;
}

/* Filed durably, then noted. */
static int file_batch(struct popping *p)
{
        int rc = file_new(p);

        if (rc == 0 && p->n)
                rc = state_put_uidls(p->w, p->notes, p->n, &p->state);
        p->unwritten |= rc < 0;
        for (size_t i = 0; i < p->n && rc == 0; i++)
                p->letters[p->at[i]].safe = true;
        if (rc == 0 && p->n)
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
        p->sum = (struct letter_sum){ 0 };
        buf_clear(&p->head);
        return 0;
}

static int letter_piece(void *context, struct str bytes)
{
        struct popping *p = context;

        letter_sum_add(&p->sum, bytes);
        if (p->head.n < HEADER_MOST)
                buf_puts(&p->head, str_sub(bytes, 0, HEADER_MOST - p->head.n));
        return p->open ? stage_put(p->open, bytes) : 0;
}

static int letter_end(void *context)
{
        struct popping *p = context;
        struct filing *f = &p->filings[p->n];
        struct known_uidl *note = &p->notes[p->n];
        struct str head = buf_str(&p->head);
        int rc;

        if (!p->open)
                return 0;
        *f = (struct filing){ .sequence = thread_hash(p->entry->uidl) >> 1,
                              .number = letter_sum_end(&p->sum),
                              .staged_dir = -1,
                              .received = wall_usec() };
        rc = stage_finish(p->open, f);
        if (rc < 0)
                return work_failed(p->w, rc, "INBOX");
        *note = (struct known_uidl){ p->entry->uidl, p->entry->size, stage_size(p->open),
                                     letter_identity(str_sub(head, 0, header_size(head))) };
        p->w->result->octets += stage_size(p->open);
        if (is_here(p, note))
                stage_free(&p->open); /* leaves NULL */
        p->at[p->n] = p->place[p->entry - p->some];
        p->stages[p->n++] = p->open;
        p->open = NULL;
        return 0;
}

/* Those that are to be fetched, or those that are safe. */
static size_t choose(struct popping *p, const struct pop3_entry *all, size_t n, bool safe)
{
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                if (safe ? p->letters[i].safe : p->letters[i].fetch) {
                        p->some[count] = all[i];
                        p->place[count++] = i;
                }
        return count;
}

static int fetch(struct popping *p, size_t count)
{
        struct pop3_take take = { letter_begin, letter_piece, letter_end, p, false };
        bool killed = p->state.filing; /* before all was noted */
        int rc = look_unnoted(p);

        if (rc == 0) {
                rc = pop3_client_letters(p->client, p->some, count, &take, &p->answer);
                if (rc < 0)
                        said(p, rc);
        }
        if (p->n) { /* what came whole stays, also where the connection broke */
                int filed = file_batch(p);

                rc = rc ? rc : filed;
        }
        if (p->state.filing && !p->unwritten && (rc == 0 || !killed)) { /* all that is here is noted */
                uint64_t filing = p->state.filing;

                p->state.filing = 0;
                if (state_put_uidls(p->w, NULL, 0, &p->state) < 0) {
                        p->state.filing = filing;
                        rc = rc ? rc : -EIO;
                }
        }
        return rc;
}

/* Nothing is removed but what is durable here, and was seen to be that in this session. */
static int remove_safe(struct popping *p, const struct pop3_entry *all, size_t n)
{
        size_t count = choose(p, all, n, true);
        int rc = count ? pop3_client_delete(p->client, p->some, count, &p->answer) : 0;

        if (rc < 0)
                return said(p, rc);
        p->w->result->removed_there += (unsigned)count;
        return 0;
}

static int exchange(struct popping *p, struct arena *a)
{
        struct pop3_entry *all;
        size_t n, count;
        int rc = pop3_client_list(p->client, a, &all, &n, &p->answer);

        if (rc < 0)
                return said(p, rc);
        for (size_t i = 0; i < n; i++)
                if (!all[i].uidl.n)
                        return work_failed(p->w, -EOPNOTSUPP,
                                           "the server has no UIDL: nobody could say which letters are new");
        rc = state_pop(p->w, &p->state);
        if (rc == 0)
                rc = state_uidls(p->w, a, &p->known, &p->known_n);
        if (rc < 0)
                return rc;
        p->letters = arena_array(a, struct pop_letter, n + 1);
        p->some = arena_array(a, struct pop3_entry, n + 1);
        p->place = arena_array(a, size_t, n + 1);
        rc = pop3_look(&(struct pop_asked){ p->w, p->client, &p->answer, a, all, n, p->known, p->known_n },
                       p->letters);
        count = rc == 0 ? choose(p, all, n, false) : 0;
        if (count)
                rc = fetch(p, count);
        if (rc == 0 && !p->w->login->keep)
                rc = remove_safe(p, all, n);
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
        w->pop_filing = p->state.filing;
        forget(p);
        mem_free(p->unnoted);
        buf_free(&p->head);
        mem_free(p);
        return rc;
}
