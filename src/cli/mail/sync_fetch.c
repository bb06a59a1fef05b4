/* Letters that come and go. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "store/stage.h"

#include <errno.h>
#include <stdlib.h>

enum { BATCH_LETTERS = 64, BATCH_BYTES = 8 << 20, SET_MOST = 4000 };

void uid_set(struct buf *out, const uint32_t *uids, size_t n, size_t *at, size_t most)
{
        bool first = true;

        for (; *at < n && out->n < most; first = false) {
                size_t end = *at + 1;

                while (end < n && uids[end] == uids[end - 1] + 1)
                        end++;
                buf_printf(out, "%s%u", first ? "" : ",", uids[*at]);
                if (end > *at + 1)
                        buf_printf(out, ":%u", uids[end - 1]);
                *at = end;
        }
        buf_u8(out, 0);
        out->n--;
}

/* ---- they come ---- */

struct fetching {
        struct work *w;
        struct box *b;
        const struct mark *marks;
        size_t mark_n;
        bool *came; /* of each mark: a server may send a letter twice */
        struct stage *stages[BATCH_LETTERS];
        struct filing filings[BATCH_LETTERS];
        uint32_t there[BATCH_LETTERS];
        size_t n, bytes, done;
        bool unwritten, gone; /* letters that may be filed without a row; letters that were here already */
        struct stage *open;   /* the letter that comes just now */
        uint32_t uid;
        struct letter_sum sum;
        int64_t received;
};

static const struct mark *mark_of(const struct fetching *f, uint32_t uid)
{
        size_t low = 0, high = f->mark_n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (f->marks[middle].uid < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < f->mark_n && f->marks[low].uid == uid ? &f->marks[low] : NULL;
}

static void forget(struct fetching *f)
{
        for (size_t i = 0; i < f->n; i++)
                stage_free(&f->stages[i]);
        if (f->open)
                stage_free(&f->open);
        f->n = f->bytes = 0;
}

/* A duplicate is a letter that came before we were killed, and that a person has moved or removed since: the next box_scan finds it lost. */
static struct row row_of(const struct fetching *f, size_t i)
{
        const struct filing *filing = &f->filings[i];
        const struct mark *mark = mark_of(f, f->there[i]);
        uint32_t here = filing->duplicate ? NOWHERE : filing->uid;

        return (struct row){ f->there[i], here, filing->letter, filing->flags, mark ? mark->told : 0 };
}

/* One transaction, then their rows; sync_inside.h says what a kill in between leaves. */
static int file_batch(struct fetching *f)
{
        struct access x = { 0 };
        struct row rows[BATCH_LETTERS];
        size_t came = 0;
        int rc = f->n ? state_filing(f->w, f->b) : 0;

        if (rc < 0 || !f->n)
                return rc;
        for (size_t i = 0; i < f->n; i++)
                f->filings[i].segment = f->b->filing;
        rc = copy_access(f->w->copy, &x, str_of(f->b->path), RIGHTS_ALL);
        if (rc == 0)
                rc = change_append(&x, f->filings, f->n, UINT64_MAX);
        access_close(&x);
        for (size_t i = 0; i < f->n && rc == 0; i++) {
                rows[i] = row_of(f, i);
                f->gone |= f->filings[i].duplicate;
                came += !f->filings[i].duplicate;
        }
        if (rc < 0)
                work_failed(f->w, rc, f->b->path);
        else
                rc = state_rows(f->w, f->b, rows, f->n, NULL, 0);
        f->unwritten |= rc < 0;
        if (rc == 0) {
                f->done += came;
                f->w->result->fetched += (unsigned)came;
                f->w->result->octets += f->bytes;
                work_state(f->w, SYNC_WORKING, "%s: %zu of %zu letters", f->b->path, f->done, f->mark_n);
        }
        forget(f);
        return rc;
}

static int letter_begin(void *context, const struct imap_marks *m, uint64_t size)
{
        struct fetching *f = context;
        const struct mark *mark;
        int rc = 0;

        if (f->n == BATCH_LETTERS || f->bytes + size > BATCH_BYTES)
                rc = file_batch(f);
        if (rc < 0)
                return rc;
        if (f->open)
                stage_free(&f->open);
        f->uid = 0;
        mark = mark_of(f, m->uid);
        if (!mark || f->came[mark - f->marks])
                return 0; /* nobody asked for it */
        f->uid = m->uid;
        f->received = m->received;
        f->sum = (struct letter_sum){ 0 };
        f->open = stage_new(copy_accounts(f->w->copy));
        return 0;
}

static int letter_piece(void *context, struct str bytes)
{
        struct fetching *f = context;

        letter_sum_add(&f->sum, bytes);
        return f->open ? stage_put(f->open, bytes) : 0;
}

static int letter_end(void *context)
{
        struct fetching *f = context;
        const struct mark *mark = f->uid ? mark_of(f, f->uid) : NULL;
        struct filing *filing = &f->filings[f->n];
        int rc;

        if (!f->open || !mark)
                return 0;
        *filing = (struct filing){ .sequence = f->uid,
                                   .number = letter_sum_end(&f->sum),
                                   .staged_dir = -1,
                                   .flags = mark->flags,
                                   .received = f->received ? f->received * 1000000 : wall_usec() };
        rc = stage_finish(f->open, filing);
        if (rc < 0)
                return work_failed(f->w, rc, f->b->path);
        f->bytes += stage_size(f->open);
        f->there[f->n] = f->uid;
        f->came[mark - f->marks] = true;
        f->stages[f->n++] = f->open;
        f->open = NULL;
        return 0;
}

int box_fetch(struct work *w, struct box *b, const struct mark *marks, size_t n)
{
        struct fetching *f = mem_new(struct fetching);
        struct imap_take take = { letter_begin, letter_piece, letter_end, f, false };
        uint32_t *uids = mem_array(n + 1, sizeof *uids);
        bool killed = b->filing; /* before all had rows */
        int rc = 0;

        f->w = w;
        f->b = b;
        f->marks = marks;
        f->mark_n = n;
        f->came = mem_array(n + 1, sizeof *f->came);
        for (size_t i = 0; i < n; i++)
                uids[i] = marks[i].uid;
        for (size_t at = 0; at < n && rc == 0;) {
                struct buf auto_buf set = { 0 };

                buf_init(&set, SET_MOST + 32);
                uid_set(&set, uids, n, &at, SET_MOST);
                rc = imap_client_letters(w->imap, set.p, &take, &w->answer);
                if (rc < 0 && !w->why->n)
                        work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
        }
        if (f->n) { /* what came whole stays, also where the connection broke */
                int filed = file_batch(f);

                rc = rc ? rc : filed;
        }
        if (rc < 0 && !f->unwritten && !killed && b->filing) { /* all that is here has rows */
                b->filing = 0;
                (void)state_box(w, b); /* rc says what was first */
        }
        if (rc == 0 && f->gone)
                rc = box_scan(w, b);
        if (f->done && w->says && w->says->arrived)
                w->says->arrived(w->says->context, str_of(b->path), (unsigned)f->done);
        forget(f);
        mem_free(f->came);
        mem_free(uids);
        mem_free(f);
        return rc;
}

/* ---- they go ---- */

struct sending_letter {
        struct account *account;
        uint32_t letter;
};

static int read_here(void *context, uint64_t at, size_t n, struct buf *out)
{
        struct sending_letter *s = context;

        return letter_read(s->account, s->letter, at, n, out);
}

static void keywords_of(const struct keyword_list *known, uint64_t flags, struct buf *out)
{
        for (unsigned bit = 8; bit < 64; bit++)
                if (flags >> bit & 1 && known->names[bit].n)
                        buf_printf(out, "%s" PRS, out->n ? " " : "", STR(known->names[bit]));
}

static int send_one(struct work *w, struct box *b, const struct placed *p, const struct keyword_list *known)
{
        struct sending_letter s = { copy_account(w->copy), p->letter };
        struct buf auto_buf names = { 0 };
        struct imap_append l = { .flags = p->flags & 0xff,
                                 .size = p->size,
                                 .received = p->saved,
                                 .read = read_here,
                                 .context = &s };
        struct row row = { 0, p->uid, p->letter, p->flags, 0 };
        int rc;

        buf_init(&names, 64 * (KEYWORD_NAME_MOST + 1));
        keywords_of(known, p->flags, &names);
        l.keywords = buf_str(&names);
        rc = imap_client_append(w->imap, b->folder, &l, &row.there, &w->answer);
        if (rc < 0)
                return work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
        w->result->sent++;
        return row.there ? state_rows(w, b, &row, 1, NULL, 0) : 0; /* not told: they pair up the next time */
}

int box_send(struct work *w, struct box *b)
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
        for (size_t i = 0; i < b->fresh_n && rc == 0; i++)
                rc = send_one(w, b, &b->here.list[b->fresh[i]], &known);
        b->fresh_n = 0;
        return rc;
}
