/* A mailbox on both sides: what has changed where since the last time, and how it is made good. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYWORDS_MOST = 56, SET_MOST = 8000, GUARD_LEAST = 20, MARKS_MOST = 8000000 };

/* ---- here ---- */

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static int by_here(const void *pa, const void *pb, void *context)
{
        const struct row *rows = context;
        uint32_t a = rows[*(const uint32_t *)pa].here, b = rows[*(const uint32_t *)pb].here;

        return a < b ? -1 : a > b;
}

/* Which letters here have no row, which rows no letter. */
static void compare(struct box *b)
{
        uint32_t *order = mem_array(b->n + 1, sizeof *order);
        size_t at = 0;

        mem_free(b->fresh);
        mem_free(b->lost);
        b->fresh = mem_array(b->here.n + 1, sizeof *b->fresh);
        b->lost = mem_array(b->n + 1, sizeof *b->lost);
        b->fresh_n = b->lost_n = 0;
        for (size_t i = 0; i < b->n; i++)
                order[i] = (uint32_t)i;
        qsort_r(order, b->n, sizeof *order, by_here, b->rows);
        for (size_t i = 0; i < b->here.n; i++) {
                for (; at < b->n && b->rows[order[at]].here < b->here.list[i].uid; at++)
                        b->lost[b->lost_n++] = order[at];
                if (at < b->n && b->rows[order[at]].here == b->here.list[i].uid)
                        at++;
                else
                        b->fresh[b->fresh_n++] = (uint32_t)i;
        }
        for (; at < b->n; at++)
                b->lost[b->lost_n++] = order[at];
        qsort(b->lost, b->lost_n, sizeof *b->lost, by_number);
        mem_free(order);
}

int box_scan(struct work *w, struct box *b)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct access x = { 0 };
        int rc = copy_access(w->copy, &x, str_of(b->path), RIGHT_READ);

        placed_list_free(&b->here);
        if (rc == 0)
                rc = change_list(&x, &all, 1, 0, &b->here);
        access_close(&x);
        if (rc < 0)
                return work_failed(w, rc, b->path);
        compare(b);
        return 0;
}

/* ---- there ---- */

struct there { /* what the server told */
        struct mark *list;
        size_t n, room;
        struct uid_range *gone;
        size_t gone_n;
        struct uid_list present;
        char *names
            [KEYWORDS_MOST]; /* keywords in the order seen; bit 8 + i in the marks until they are translated */
        unsigned name_n;
        bool endless;
};

static void there_free(struct there *t)
{
        for (unsigned i = 0; i < t->name_n; i++)
                mem_free(t->names[i]);
        mem_free(t->list);
        mem_free(t->gone);
        uid_list_free(&t->present);
}

static uint64_t name_bits(struct there *t, struct str names)
{
        uint64_t bits = 0;
        struct str name;

        while (names.n) {
                unsigned i = 0;

                str_cut(&names, ' ', &name);
                if (!name.n || name.n > KEYWORD_NAME_MOST)
                        continue;
                while (i < t->name_n && !str_ieq(str_of(t->names[i]), name))
                        i++;
                if (i == t->name_n && i < KEYWORDS_MOST)
                        t->names[t->name_n++] = mem_string(name);
                if (i < KEYWORDS_MOST)
                        bits |= (uint64_t)1 << (8 + i);
        }
        return bits;
}

static void each(void *context, const struct imap_marks *f)
{
        struct there *t = context;

        if (t->n == MARKS_MOST) {
                t->endless = true;
                return;
        }
        if (t->n == t->room) {
                t->room = t->room ? t->room * 2 : 256;
                t->list = mem_grow(t->list, t->room, sizeof *t->list);
        }
        t->list[t->n++] = (struct mark){ f->uid, f->size, (f->flags & 0xff) | name_bits(t, f->keywords),
                                         (uint64_t)f->size << 32 | (uint32_t)f->received };
}

static void vanished(void *context, uint32_t first, uint32_t last)
{
        struct there *t = context;

        if (t->gone_n == MARKS_MOST) {
                t->endless = true;
                return;
        }
        t->gone = mem_grow(t->gone, t->gone_n + 1, sizeof *t->gone);
        t->gone[t->gone_n++] = (struct uid_range){ first, last };
}

static void present(void *context, uint32_t first, uint32_t last)
{
        uid_list_add(&((struct there *)context)->present, first, last);
}

/* Names become bits here. */
static int translate(struct work *w, struct box *b, struct there *t)
{
        unsigned bit[KEYWORDS_MOST];
        struct access x = { 0 };
        int rc;

        if (!t->name_n)
                return 0;
        rc = copy_access(w->copy, &x, str_of(b->path), RIGHTS_ALL);
        for (unsigned i = 0; i < t->name_n && rc == 0; i++)
                if (change_keyword(&x, str_of(t->names[i]), &bit[i]) < 0)
                        bit[i] = 64; /* no more of them here: it stays there as it is */
        access_close(&x);
        for (size_t n = 0; n < t->n && rc == 0; n++) {
                uint64_t flags = t->list[n].flags & 0xff;

                for (unsigned i = 0; i < t->name_n; i++)
                        if (t->list[n].flags >> (8 + i) & 1 && bit[i] < 64)
                                flags |= (uint64_t)1 << bit[i];
                t->list[n].flags = flags;
        }
        return rc < 0 ? work_failed(w, rc, b->path) : 0;
}

static int by_uid(const void *pa, const void *pb)
{
        const struct mark *a = pa, *b = pb;

        return a->uid < b->uid ? -1 : a->uid > b->uid;
}

/* A server may tell of a letter twice: nobody may take it for two. */
static void tell_once(struct there *t)
{
        size_t kept = 0;

        for (size_t i = 0; i < t->n; i++)
                if (i + 1 == t->n || t->list[i].uid != t->list[i + 1].uid)
                        t->list[kept++] = t->list[i];
        t->n = kept;
}

/* All marks, or those changed since; which rows have gone. *all: the list is of everything there. */
static int look_there(struct work *w, struct box *b, const struct imap_opened *now, struct there *t,
                      bool *all)
{
        unsigned offers = imap_client_offers(w->imap);
        /* numbers that run backwards are of a server that has forgotten some (RFC 9051 §2.3.1.1 forbids it) */
        bool forgot = now->highest < b->highest || (now->uidnext && now->uidnext < b->uidnext);
        bool since = b->highest && now->highest && b->n && !forgot;
        bool told = since && offers & IMAP_HAS_QRESYNC;
        int rc;

        *all = !since;
        if (!now->count)
                return 0;
        rc = imap_client_flags(w->imap, 1, UINT32_MAX, since ? b->highest : 0, true, each,
                               told ? vanished : NULL, t, &w->answer);
        if (rc == 0 && since && !told)
                rc = imap_client_uids(w->imap, present, t, &w->answer);
        if (rc < 0)
                return work_answer(w, rc, b);
        if (t->endless)
                return work_failed(w, -EPROTO, "the server's list of letters does not end");
        if (t->n)
                qsort(t->list, t->n, sizeof *t->list, by_uid);
        tell_once(t);
        return translate(w, b, t);
}

static bool is_told_gone(const struct there *t, uint32_t uid)
{
        for (size_t i = 0; i < t->gone_n; i++)
                if (t->gone[i].first <= uid && uid <= t->gone[i].last)
                        return true;
        return false;
}

/* Of the rows, those that are not there any more. */
static size_t find_gone(struct box *b, const struct imap_opened *now, const struct there *t, bool all,
                        uint32_t *gone)
{
        size_t n = 0, at = 0;

        for (size_t i = 0; i < b->n; i++) {
                uint32_t uid = b->rows[i].there;
                bool here;

                if (!now->count) {
                        here = false;
                } else if (all) {
                        while (at < t->n && t->list[at].uid < uid)
                                at++;
                        here = at < t->n && t->list[at].uid == uid;
                } else if (t->present.n) {
                        here = uid_list_has(&t->present, uid);
                } else {
                        here = !is_told_gone(t, uid);
                }
                if (!here)
                        gone[n++] = uid;
        }
        return n;
}

/* ---- removed ---- */

bool box_loses_much(struct work *w, const struct box *b, size_t n, const char *where)
{
        char question[512];

        if (b->n < GUARD_LEAST || n * 2 <= b->n)
                return false;
        snprintf(question, sizeof question, "%zu of %zu letters of %.200s have gone %s. Remove them %s too?",
                 n, b->n, b->path, where, strcmp(where, "here") == 0 ? "at the server" : "here");
        return !w->says || !w->says->ask || !w->says->ask(w->says->context, question);
}

static int remove_here(struct work *w, struct box *b, const uint32_t *gone, size_t n)
{
        uint32_t *uids = mem_array(n + 1, sizeof *uids);
        struct uid_list list = { 0 }, removed = { 0 };
        struct access x = { 0 };
        int rc;

        for (size_t i = 0; i < n; i++)
                uids[i] = row_there(b, gone[i])->here;
        qsort(uids, n, sizeof *uids, by_number);
        for (size_t i = 0; i < n && uids[i] != NOWHERE; i++)
                uid_list_add(&list, uids[i], uids[i]);
        rc = copy_access(w->copy, &x, str_of(b->path), RIGHTS_ALL);
        if (rc == 0)
                rc = change_expunge(&x, list.ranges, list.n, false, &removed);
        access_close(&x);
        w->result->removed_here += (unsigned)uid_list_count(&removed);
        uid_list_free(&list);
        uid_list_free(&removed);
        mem_free(uids);
        return rc < 0 ? work_failed(w, rc, b->path) : state_rows(w, b, NULL, 0, gone, n);
}

static int remove_there(struct work *w, struct box *b)
{
        uint32_t *uids = mem_array(b->lost_n + 1, sizeof *uids);
        int rc = 0;

        for (size_t i = 0; i < b->lost_n; i++)
                uids[i] = b->rows[b->lost[i]].there;
        for (size_t at = 0; at < b->lost_n && rc == 0;) {
                struct buf auto_buf set = { 0 };

                buf_init(&set, SET_MOST + 32);
                uid_set(&set, uids, b->lost_n, &at, SET_MOST);
                rc = imap_client_store(w->imap, set.p, IMAP_ADD, FLAG_DELETED, S(""), &w->answer);
                if (rc == 0)
                        rc = imap_client_expunge(w->imap, set.p, &w->answer);
        }
        if (rc == -EOPNOTSUPP)
                rc = 0; /* without UIDPLUS others would go along: the rows stay, and it is tried again */
        else if (rc < 0)
                rc = work_answer(w, rc, b);
        else if ((rc = state_rows(w, b, NULL, 0, uids, b->lost_n)) == 0)
                w->result->removed_there += (unsigned)b->lost_n;
        mem_free(uids);
        b->lost_n = 0;
        return rc;
}

/* What has gone here since the last time goes there. */
static int remove_lost(struct work *w, struct box *b, const struct imap_opened *now)
{
        if (now->read_only)
                b->lost_n = 0;
        if (!b->lost_n)
                return 0;
        if (box_loses_much(w, b, b->lost_n, "here"))
                return work_failed(w, -EACCES,
                                   "more than half of the letters have gone here: nothing was removed");
        return remove_there(w, b);
}

/* ---- all of it ---- */

/* Marks of letters without a row, to the front of the list. */
static size_t find_new(struct box *b, const struct there *t, struct mark *list)
{
        size_t n = 0;

        for (size_t i = 0; i < t->n; i++)
                if (!row_there(b, t->list[i].uid))
                        list[n++] = t->list[i];
        return n;
}

static int exchange(struct work *w, struct box *b, const struct imap_opened *now, struct there *t)
{
        uint32_t *gone = mem_array(b->n + 1, sizeof *gone);
        struct mark *fresh = NULL;
        size_t n;
        bool all = false;
        int rc = look_there(w, b, now, t, &all);

        if (rc == 0)
                rc = box_recheck(w, b, t->list, t->n);
        n = rc == 0 ? find_gone(b, now, t, all, gone) : 0;
        if (n && box_loses_much(w, b, n, "at the server"))
                rc = work_failed(
                    w, -EACCES, "more than half of the letters have gone at the server: nothing was removed");
        if (rc == 0 && n) {
                rc = remove_here(w, b, gone, n);
                if (rc == 0)
                        rc = box_scan(w, b);
        }
        mem_free(gone);
        if (rc == 0)
                rc = remove_lost(w, b, now);
        if (rc == 0)
                rc = box_flags(w, b, t->list, t->n, now->read_only);
        if (rc < 0)
                return rc;
        fresh = mem_array(t->n + 1, sizeof *fresh);
        n = find_new(b, t, fresh);
        if (n && b->fresh_n)
                rc = box_pair(w, b, fresh, &n);
        if (rc == 0 && n)
                rc = box_fetch(w, b, fresh, n);
        if (rc == 0 && n)
                rc = remove_lost(w, b, now); /* those that box_fetch found */
        if (rc == 0 && b->fresh_n && !now->read_only)
                rc = box_send(w, b);
        mem_free(fresh);
        return rc;
}

/* Nothing has changed on either side since the last time: STATUS says so, which came with the folders, and what lies here. */
static bool is_in_step(const struct box *b)
{
        const struct imap_folder *f = b->folder;
        size_t at = 0;

        if (b->filing || !box_status(b) || !f->highest || f->highest != b->highest ||
            f->uidvalidity != b->validity || f->uidnext != b->uidnext || f->count != b->n || b->fresh_n ||
            b->lost_n || b->here.n != b->n)
                return false;
        for (size_t i = 0; i < b->n; i++) { /* mostly in one order here and there */
                while (at < b->here.n && b->here.list[at].uid < b->rows[i].here)
                        at++;
                if (at == b->here.n || b->here.list[at].uid != b->rows[i].here ||
                    b->here.list[at].flags != b->rows[i].flags)
                        return false;
        }
        return true;
}

int box_sync(struct work *w, struct box *b)
{
        struct imap_opened now = { 0 };
        struct there t = { 0 };
        int rc;

        if (is_in_step(b))
                return 0;
        work_state(w, SYNC_WORKING, "%s", b->path);
        rc = imap_client_select(w->imap, b->folder, &now, &w->answer);
        if (rc < 0)
                return work_answer(w, rc, b);
        if (now.uidvalidity != b->validity) {
                rc = state_drop_rows(w, b);
                b->highest = 0;
                b->validity = now.uidvalidity;
                if (rc == 0)
                        rc = state_box(w, b);
                if (rc == 0)
                        rc = box_scan(w, b);
        }
        if (rc == 0)
                rc = exchange(w, b, &now, &t);
        there_free(&t);
        if (rc < 0)
                return rc;
        b->uidnext = now.uidnext;
        b->highest = now.highest;
        b->filing = 0; /* all that was filed has a row */
        w->result->mailboxes++;
        return state_box(w, b);
}
