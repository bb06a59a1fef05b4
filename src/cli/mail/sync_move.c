/* Letters that lie in another mailbox here than at the server: a letter that is lost in one and fresh in the other was moved. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"

#include <stdlib.h>

enum { SET_MOST = 4000 };

struct lost { /* a row without its letter here */
        uint32_t letter, box, row;
};

static int by_letter(const void *pa, const void *pb)
{
        const struct lost *a = pa, *b = pb;
        int d = a->letter < b->letter ? -1 : a->letter > b->letter;

        return d ? d : a->row < b->row ? -1 : a->row > b->row;
}

struct moving {
        struct work *w;
        struct box *to;
        struct row *rows; /* by `there` of the source; what they become */
        size_t n;
};

static void moved(void *context, uint32_t from, uint32_t to)
{
        struct moving *m = context;

        for (size_t i = 0; i < m->n; i++)
                if (m->rows[i].there == from && m->rows[i].letter) {
                        m->rows[i].there = to;
                        m->rows[i].letter = 0; /* told; put back by move_some */
                }
}

static int by_row(const void *pa, const void *pb)
{
        const struct row *a = pa, *b = pb;

        return a->there < b->there ? -1 : a->there > b->there;
}

/* These rows of `from` are letters of `to` now. The server tells the new uids, or they pair up later. */
static int move_some(struct work *w, struct box *from, struct box *to, struct row *rows, size_t n)
{
        struct moving m = { w, to, rows, n };
        struct imap_opened now = { 0 };
        uint32_t *uids = mem_array(n + 1, sizeof *uids), *letters = mem_array(n + 1, sizeof *letters);
        size_t told = 0;
        int rc = imap_client_select(w->imap, from->folder, &now, &w->answer);

        if (rc == 0 && (now.uidvalidity != from->validity || now.read_only))
                n = 0; /* these numbers mean nothing any more */
        qsort(rows, n, sizeof *rows, by_row);
        for (size_t i = 0; i < n; i++) {
                uids[i] = rows[i].there;
                letters[i] = rows[i].letter;
        }
        for (size_t at = 0; at < n && rc == 0;) {
                struct buf auto_buf set = { 0 };

                buf_init(&set, SET_MOST + 32);
                uid_set(&set, uids, n, &at, SET_MOST);
                rc = imap_client_copy(w->imap, set.p, to->folder, true, moved, &m, &w->answer);
        }
        if (rc == 0)
                rc = state_rows(w, from, NULL, 0, uids, n);
        for (size_t i = 0; i < n && rc == 0; i++) {
                if (rows[i].letter)
                        continue; /* not told */
                rows[told] = rows[i];
                rows[told++].letter = letters[i];
        }
        if (rc == 0 && to->validity)
                rc = state_rows(w, to, rows, told, NULL, 0);
        if (rc == 0)
                w->result->moved += (unsigned)n;
        else if (!w->why->n)
                work_failed(w, rc, *w->answer.text ? w->answer.text : to->path);
        mem_free(uids);
        mem_free(letters);
        return rc;
}

static int moves_to(struct work *w, uint32_t target, const struct lost *lost, size_t n)
{
        struct box *to = &w->boxes[target];
        struct row *rows = mem_array(to->fresh_n + 1, sizeof *rows);
        int rc = 0;

        for (uint32_t source = 0; source < w->n && rc == 0; source++) {
                struct box *from = &w->boxes[source];
                size_t many = 0;

                for (size_t i = 0; i < to->fresh_n && source != target && from->lost_n; i++) {
                        const struct placed *p = &to->here.list[to->fresh[i]];
                        struct lost key = { p->letter, 0, 0 };
                        size_t low = 0, high = n;

                        while (low < high) {
                                size_t middle = low + (high - low) / 2;

                                if (by_letter(&lost[middle], &key) < 0)
                                        low = middle + 1;
                                else
                                        high = middle;
                        }
                        if (low < n && lost[low].letter == p->letter && lost[low].box == source)
                                rows[many++] = (struct row){ from->rows[lost[low].row].there, p->uid,
                                                             p->letter, from->rows[lost[low].row].flags, 0 };
                }
                if (many)
                        rc = move_some(w, from, to, rows, many);
                if (many && rc == 0)
                        rc = box_scan(w, from);
                if (many && rc == 0)
                        rc = box_scan(w, to);
                if (many)
                        break; /* the numbers of rows are others now */
        }
        mem_free(rows);
        return rc;
}

static size_t all_lost(struct work *w, struct lost **list)
{
        size_t n = 0, room = 0;

        for (size_t i = 0; i < w->n; i++)
                room += w->boxes[i].lost_n;
        *list = mem_array(room + 1, sizeof **list);
        for (uint32_t i = 0; i < w->n; i++)
                for (size_t k = 0; k < w->boxes[i].lost_n; k++)
                        (*list)[n++] = (struct lost){ w->boxes[i].rows[w->boxes[i].lost[k]].letter, i,
                                                      w->boxes[i].lost[k] };
        qsort(*list, n, sizeof **list, by_letter);
        return n;
}

/* Until none is found: each round makes what is lost fewer. */
int box_moves(struct work *w)
{
        unsigned before;
        int rc = 0;

        do {
                before = w->result->moved;
                for (uint32_t target = 0; target < w->n && rc == 0; target++) {
                        struct lost *lost;
                        size_t n = all_lost(w, &lost);

                        if (n && w->boxes[target].fresh_n)
                                rc = moves_to(w, target, lost, n);
                        mem_free(lost);
                }
        } while (rc == 0 && w->result->moved != before);
        return rc;
}
