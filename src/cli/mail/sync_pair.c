/* Pairs: letters that are on both sides already without a row that says so; and rows whose letter is another one there now. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "mail/header.h"
#include "mail/thread.h"

#include <errno.h>
#include <stdlib.h>

enum { SET_MOST = 4000, HEADER_MOST = 256 * 1024, PAIR_MOST = 500 };

/* ---- who is who ---- */

static void mix(struct letter_sum *s, uint64_t word)
{
        s->sum = (s->sum ^ word) * 0x9e3779b97f4a7c15;
        s->sum ^= s->sum >> 32;
}

void letter_sum_add(struct letter_sum *s, struct str bytes)
{
        const unsigned char *p = (const unsigned char *)bytes.p;

        for (size_t i = 0; i < bytes.n;) {
                if (s->octets % 8 == 0 && bytes.n - i >= 8) { /* as a number: one load */
                        mix(s, p[i] | (uint64_t)p[i + 1] << 8 | (uint64_t)p[i + 2] << 16 |
                                   (uint64_t)p[i + 3] << 24 | (uint64_t)p[i + 4] << 32 |
                                   (uint64_t)p[i + 5] << 40 | (uint64_t)p[i + 6] << 48 |
                                   (uint64_t)p[i + 7] << 56);
                        s->octets += 8;
                        i += 8;
                        continue;
                }
                s->word |= (uint64_t)p[i++] << (s->octets++ % 8 * 8);
                if (s->octets % 8 == 0) {
                        mix(s, s->word);
                        s->word = 0;
                }
        }
}

uint32_t letter_sum_end(struct letter_sum *s)
{
        mix(s, s->word);
        mix(s, s->octets);
        return (uint32_t)(s->sum ^ s->sum >> 32);
}

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
                        rows[(*n)++] = (struct row){ mark->uid, p->uid, p->letter, mark->flags, mark->told };
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

/* ---- a uid given again ---- */

/* Of candidates with a row: those whose letter is the one that is here keep it and what was told now, the others are dropped. */
static int tell_apart(struct work *w, struct box *b, const struct heads *h, struct row *put, size_t *put_n,
                      uint32_t *drop, size_t *drop_n)
{
        for (size_t i = 0; i < h->n; i++) {
                const struct mark *mark = h->list[i].mark;
                const struct row *row = row_there(b, mark->uid);
                uint64_t identity = 0;
                int rc = row->letter ? letter_identity_here(w, row->letter, &identity) : -ENOENT;

                if (rc < 0 && rc != -ENOENT && rc != -EBADMSG)
                        return work_failed(w, rc, b->path);
                if (rc == 0 && identity == h->list[i].identity) {
                        put[*put_n] = *row;
                        put[(*put_n)++].told = mark->told;
                } else {
                        drop[(*drop_n)++] = mark->uid;
                }
        }
        return 0;
}

int box_recheck(struct work *w, struct box *b, const struct mark *marks, size_t n)
{
        struct mark *copies =
            mem_array(n + 1, sizeof *copies); /* heads are looked up in marks that may be written */
        struct row *put = mem_array(b->n + 1, sizeof *put);
        uint32_t *drop = mem_array(b->n + 1, sizeof *drop);
        struct heads h = { .list = mem_array(n + 1, sizeof *h.list) };
        size_t put_n = 0, drop_n = 0;
        int rc = 0;

        buf_init(&h.text, HEADER_MOST);
        for (size_t i = 0; i < n; i++) {
                const struct row *row = marks[i].told ? row_there(b, marks[i].uid) : NULL;

                if (!row || row->told == marks[i].told)
                        continue;
                if (!row->told) {
                        put[put_n] = *row;
                        put[put_n++].told = marks[i].told;
                        continue;
                }
                copies[h.n] = marks[i];
                h.list[h.n] = (struct candidate){ .mark = &copies[h.n] };
                h.n++;
        }
        if (h.n)
                rc = read_heads(w, &h);
        if (rc < 0)
                work_failed(w, rc, *w->answer.text ? w->answer.text : b->path);
        if (rc == 0)
                rc = tell_apart(w, b, &h, put, &put_n, drop, &drop_n);
        if (rc == 0)
                rc = state_rows(w, b, put, put_n, drop, drop_n);
        if (rc == 0 && drop_n)
                rc = box_scan(w, b);
        mem_free(h.list);
        mem_free(copies);
        mem_free(put);
        mem_free(drop);
        buf_free(&h.text);
        return rc;
}
