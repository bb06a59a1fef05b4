/* Flags of letters that both sides have: brought together bit by bit. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum { SET_MOST = 8000 };

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

struct flagging { /* per bit: the letters that get it, and those that lose it */
        uint32_t *uids[2][64];
        size_t n[2][64], room[2][64];
};

static void flag_note(struct flagging *f, uint32_t uid, uint64_t from, uint64_t to)
{
        for (unsigned bit = 0; bit < 64; bit++) {
                uint64_t one = (uint64_t)1 << bit;
                unsigned how = to & one ? 0 : 1;

                if (!((from ^ to) & one))
                        continue;
                if (f->n[how][bit] == f->room[how][bit]) {
                        f->room[how][bit] = f->room[how][bit] ? f->room[how][bit] * 2 : 64;
                        f->uids[how][bit] = mem_grow(f->uids[how][bit], f->room[how][bit], sizeof(uint32_t));
                }
                f->uids[how][bit][f->n[how][bit]++] = uid;
        }
}

static void flag_free(struct flagging *f)
{
        for (unsigned how = 0; how < 2; how++)
                for (unsigned bit = 0; bit < 64; bit++)
                        mem_free(f->uids[how][bit]);
        mem_free(f);
}

static int flag_here(struct work *w, struct box *b, struct flagging *f)
{
        struct access x = { 0 };
        int rc = 0;

        for (unsigned k = 0; k < 128 && rc == 0; k++) {
                unsigned how = k / 64, bit = k % 64;
                struct uid_list list = { 0 };
                struct flags_change change = { .how = how ? FLAGS_REMOVE : FLAGS_ADD,
                                               .flags = (uint64_t)1 << bit,
                                               .unchanged_since = UINT64_MAX };

                if (!f->n[how][bit])
                        continue;
                qsort(f->uids[how][bit], f->n[how][bit], sizeof(uint32_t), by_number);
                for (size_t i = 0; i < f->n[how][bit]; i++)
                        uid_list_add(&list, f->uids[how][bit][i], f->uids[how][bit][i]);
                change.uids = list.ranges;
                change.n = list.n;
                rc = copy_access(w->copy, &x, str_of(b->path), RIGHTS_ALL);
                if (rc == 0)
                        rc = change_flags(&x, &change);
                access_close(&x);
                placed_list_free(&change.changed);
                uid_list_free(&change.modified);
                uid_list_free(&list);
        }
        return rc < 0 ? work_failed(w, rc, b->path) : 0;
}

static int flag_there(struct work *w, struct box *b, struct flagging *f)
{
        struct keyword_list known = { 0 };
        struct arena auto_arena a;
        struct access x = { 0 };
        int rc = copy_access(w->copy, &x, str_of(b->path), RIGHT_READ);

        arena_init(&a, 1 << 20);
        if (rc == 0)
                rc = change_keywords(&x, &a, &known);
        access_close(&x);
        if (rc < 0)
                return work_failed(w, rc, b->path);
        for (unsigned k = 0; k < 128 && rc == 0; k++) {
                unsigned how = k / 64, bit = k % 64;

                if (bit >= 8 && !known.names[bit].n)
                        continue;
                for (size_t at = 0; at < f->n[how][bit] && rc == 0;) {
                        struct buf auto_buf set = { 0 };

                        buf_init(&set, SET_MOST + 32);
                        uid_set(&set, f->uids[how][bit], f->n[how][bit], &at, SET_MOST);
                        rc = imap_client_store(w->imap, set.p, how ? IMAP_REMOVE : IMAP_ADD,
                                               bit < 8 ? (uint64_t)1 << bit : 0,
                                               bit < 8 ? S("") : known.names[bit], &w->answer);
                }
        }
        return rc == -EREMOTEIO || rc == 0
                   ? 0
                   : work_answer(w, rc, b); /* what it does not let us keep we keep alone */
}

static const struct placed *placed_at(const struct box *b, uint32_t uid)
{
        size_t low = 0, high = b->here.n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (b->here.list[middle].uid < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < b->here.n && b->here.list[low].uid == uid ? &b->here.list[low] : NULL;
}

/* Bit by bit: what was changed here goes there, else what was changed there comes here. */
int box_flags(struct work *w, struct box *b, const struct mark *marks, size_t count, bool read_only)
{
        struct flagging *here = mem_new(struct flagging), *there = mem_new(struct flagging);
        struct row *changed = mem_array(b->n + 1, sizeof *changed);
        size_t at = 0, n = 0;
        int rc;

        for (size_t i = 0; i < b->n; i++) {
                struct row r = b->rows[i];
                const struct placed *p = placed_at(b, r.here);
                uint64_t theirs = r.flags, ours, mine, merged;

                while (at < count && marks[at].uid < r.there)
                        at++;
                if (at < count && marks[at].uid == r.there)
                        theirs = marks[at].flags;
                if (!p)
                        continue;
                ours = p->flags;
                mine = ours ^ r.flags;
                if (read_only)
                        mine = 0;
                merged = (ours & mine) | (theirs & ~mine);
                flag_note(here, r.here, ours, merged);
                flag_note(there, r.there, theirs, merged);
                w->result->flags_here += merged != ours;
                w->result->flags_there += merged != theirs;
                if (merged == r.flags && theirs == r.flags)
                        continue;
                r.flags = merged;
                changed[n++] = r;
        }
        rc = flag_there(w, b, there);
        if (rc == 0)
                rc = flag_here(w, b, here);
        if (rc == 0)
                rc = state_rows(w, b, changed, n, NULL, 0);
        flag_free(here);
        flag_free(there);
        mem_free(changed);
        return rc;
}
