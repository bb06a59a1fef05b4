/* Letters that come and go, and pairs: letters that are on both sides already without a row that says so. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "mail/header.h"
#include "mail/thread.h"
#include "store/stage.h"

#include <errno.h>
#include <stdlib.h>

enum {
        BATCH_LETTERS = 64,
        BATCH_BYTES = 8 << 20,
        SET_MOST = 4000,
        HEADER_MOST = 256 * 1024,
        PAIR_MOST = 500
};

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

/* ---- who is who ---- */

uint64_t letter_identity(struct str header)
{
        static const char *const fields[] = { "Message-ID", "Date", "From", "Subject" };
        struct arena auto_arena a;
        struct buf auto_buf all = { 0 };
        struct field f;

        arena_init(&a, 4 << 20);
        buf_init(&all, 1 << 20);
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
                if (header_find(header, str_of(fields[i]), &f))
                        buf_puts(&all, str_trim(header_unfold(&a, str_sub(f.value, 0, 8192))));
                buf_puts(&all, S("\n"));
        }
        if (all.n > sizeof fields / sizeof *fields)
                return thread_hash(buf_str(&all));
        header = str_trim(header);
        return header.n ? thread_hash(header) : 0;
}

int letter_identity_here(struct work *w, uint32_t letter, uint64_t *identity)
{
        struct buf auto_buf head = { 0 };
        int rc;

        buf_init(&head, HEADER_MOST);
        rc = letter_read(copy_account(w->copy), letter, 0, HEADER_MOST, &head);
        *identity = rc == 0 ? letter_identity(str_sub(buf_str(&head), 0, header_size(buf_str(&head)))) : 0;
        return rc;
}

struct candidate { /* there */
        struct mark *mark;
        uint64_t identity;
};
struct heads {
        struct candidate *list;
        size_t n;
        struct buf text;
        uint32_t uid;
};

static int head_begin(void *context, const struct imap_marks *f, uint64_t size)
{
        struct heads *h = context;

        (void)size;
        buf_clear(&h->text);
        h->uid = f->uid;
        return 0;
}

static int head_piece(void *context, struct str bytes)
{
        struct heads *h = context;

        buf_puts(&h->text, str_sub(bytes, 0, HEADER_MOST - h->text.n));
        return 0;
}

static int head_end(void *context)
{
        struct heads *h = context;

        for (size_t i = 0; i < h->n; i++)
                if (h->list[i].mark->uid == h->uid)
                        h->list[i].identity = letter_identity(buf_str(&h->text));
        return 0;
}

static int read_heads(struct work *w, struct heads *h)
{
        struct imap_take take = { head_begin, head_piece, head_end, h, true };
        uint32_t *uids = mem_array(h->n + 1, sizeof *uids);
        int rc = 0;

        for (size_t i = 0; i < h->n; i++)
                uids[i] = h->list[i].mark->uid;
        for (size_t at = 0; at < h->n && rc == 0;) {
                struct buf auto_buf set = { 0 };
                size_t most = at + PAIR_MOST < h->n ? at + PAIR_MOST : h->n;

                buf_init(&set, SET_MOST + 32);
                uid_set(&set, uids, most, &at, SET_MOST);
                rc = imap_client_letters(w->imap, set.p, &take, &w->answer);
        }
        mem_free(uids);
        return rc;
}

static int by_size(const void *pa, const void *pb)
{
        const struct candidate *a = pa, *b = pb;
        int d = a->mark->size < b->mark->size ? -1 : a->mark->size > b->mark->size;

        return d ? d : a->mark->uid < b->mark->uid ? -1 : a->mark->uid > b->mark->uid;
}

/* The first candidate of that size. */
static size_t find_size(const struct heads *h, uint32_t size)
{
        size_t low = 0, high = h->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (h->list[middle].mark->size < size)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static int numbers(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

/* Only marks whose size a fresh letter has are worth a look. */
static void gather(const struct box *b, struct mark *marks, size_t n, struct heads *h)
{
        uint32_t *sizes = mem_array(b->fresh_n + 1, sizeof *sizes);

        for (size_t i = 0; i < b->fresh_n; i++)
                sizes[i] = b->here.list[b->fresh[i]].size;
        qsort(sizes, b->fresh_n, sizeof *sizes, numbers);
        h->list = mem_array(n + 1, sizeof *h->list);
        for (size_t i = 0; i < n; i++)
                if (bsearch(&marks[i].size, sizes, b->fresh_n, sizeof *sizes, numbers))
                        h->list[h->n++] = (struct candidate){ .mark = &marks[i] };
        mem_free(sizes);
}

static int pair_up(struct work *w, struct box *b, struct heads *h, struct row *rows, size_t *n)
{
        size_t kept = 0;
        int rc = 0;

        qsort(h->list, h->n, sizeof *h->list, by_size);
        for (size_t i = 0; i < b->fresh_n && rc == 0; i++) {
                const struct placed *p = &b->here.list[b->fresh[i]];
                size_t at = find_size(h, p->size);
                uint64_t identity = 0;
                bool paired = false;

                if (at < h->n && h->list[at].mark->size == p->size)
                        rc = letter_identity_here(w, p->letter, &identity);
                for (; !paired && identity && at < h->n && h->list[at].mark->size == p->size; at++) {
                        struct mark *mark = h->list[at].mark;

                        if (!mark->uid || h->list[at].identity != identity)
                                continue;
                        rows[(*n)++] = (struct row){ mark->uid, p->uid, p->letter, mark->flags };
                        mark->uid = 0; /* taken */
                        paired = true;
                }
                if (!paired)
                        b->fresh[kept++] = b->fresh[i];
        }
        if (rc == 0)
                b->fresh_n = kept;
        return rc;
}

int box_pair(struct work *w, struct box *b, struct mark *marks, size_t *n)
{
        struct heads h = { 0 };
        struct row *rows = mem_array(b->fresh_n + 1, sizeof *rows);
        size_t paired = 0, kept = 0;
        int rc = 0;

        buf_init(&h.text, HEADER_MOST);
        gather(b, marks, *n, &h);
        if (h.n)
                rc = read_heads(w, &h);
        if (rc < 0)
                work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
        if (rc == 0 && h.n)
                rc = pair_up(w, b, &h, rows, &paired);
        if (rc == 0)
                rc = state_rows(w, b, rows, paired, NULL, 0);
        for (size_t i = 0; i < *n; i++)
                if (marks[i].uid)
                        marks[kept++] = marks[i];
        *n = kept;
        mem_free(h.list);
        mem_free(rows);
        buf_free(&h.text);
        return rc;
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
        struct stage *open; /* the letter that comes just now */
        uint32_t uid;
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

/* One transaction, then their rows. A kill in between leaves letters on both sides: they pair up. */
static int file_batch(struct fetching *f)
{
        struct access x = { 0 };
        struct row rows[BATCH_LETTERS];
        int rc;

        if (!f->n)
                return 0;
        rc = copy_access(f->w->copy, &x, str_of(f->b->path), RIGHTS_ALL);
        if (rc == 0)
                rc = change_append(&x, f->filings, f->n, UINT64_MAX);
        access_close(&x);
        for (size_t i = 0; i < f->n && rc == 0; i++)
                rows[i] =
                    (struct row){ f->there[i], f->filings[i].uid, f->filings[i].letter, f->filings[i].flags };
        if (rc < 0)
                work_failed(f->w, rc, f->b->path);
        else
                rc = state_rows(f->w, f->b, rows, f->n, NULL, 0);
        if (rc == 0) {
                f->done += f->n;
                f->w->result->fetched += (unsigned)f->n;
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
        f->open = stage_new(copy_accounts(f->w->copy));
        return 0;
}

static int letter_piece(void *context, struct str bytes)
{
        struct fetching *f = context;

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
        *filing = (struct filing){ .staged_dir = -1,
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
        struct row row = { 0, p->uid, p->letter, p->flags };
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
