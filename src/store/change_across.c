/* COPY into another account, in slices, and then placed there all at once (change_unplaced.c). Long bodies are linked,
 * the others copied with their rows. The two accounts are never locked together. */
#include "base/mem.h"
#include "store/account_filing.h"
#include <errno.h>

enum { SLICE = 128, SLICE_OCTETS = 4 * 1024 * 1024, SLICE_MAX = 16 * 1024 * 1024 };

struct across {
        struct access *from;
        struct unplaced u;
        size_t done;
        /* of a slice */
        struct filing filings[SLICE];
        char names[SLICE][24];
        struct span {
                size_t envelope, envelope_n, text, text_n;
        } spans[SLICE];
        size_t n;
        struct buf bytes;
};

/* Envelope and text of a letter; long ones stay where they are. */
static int fetch_one(struct across *c, struct db *d, uint32_t letter)
{
        struct span *s = &c->spans[c->n];
        struct filing *f = &c->filings[c->n];
        struct db_row q = db_query(d, LETTER_WHOLE);
        int rc = -EBADMSG;

        *f = (struct filing){ .staged_dir = -1 };
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        if (db_next(&q)) {
                f->received = (int64_t)db_u64(&q, 1);
                *s = (struct span){ c->bytes.n, db_blob(&q, 2).n, 0, 0 };
                buf_puts(&c->bytes, db_blob(&q, 2));
                s->text = c->bytes.n;
                rc = 0;
                if (db_null(&q, 3)) {
                        body_name(db_u64(&q, 0), c->names[c->n]);
                        f->staged_dir = account_bodies(c->from->account);
                        f->staged_name = c->names[c->n];
                        rc = f->staged_dir < 0 ? f->staged_dir : 0;
                } else {
                        s->text_n = db_blob(&q, 3).n;
                        buf_puts(&c->bytes, db_blob(&q, 3));
                }
        }
        if (db_end(&q))
                rc = db_end(&q);
        return rc ? rc : c->bytes.full ? -EFBIG : 0;
}

static int fetch(struct db *d, void *arg)
{
        struct across *c = arg;
        int rc = 0;

        buf_clear(&c->bytes);
        for (c->n = 0; !rc && c->n < SLICE && c->done + c->n < c->u.list.n && c->bytes.n < SLICE_OCTETS;
             c->n++)
                rc = fetch_one(c, d, c->u.list.list[c->done + c->n].letter);
        return rc;
}

static int file_slice(struct across *c)
{
        struct filing_job j = {
                .a = c->u.to->account, .list = c->filings, .n = c->n, .room = UINT64_MAX, .unplaced = true
        };
        int rc = db_transact(c->from->account->db, "read letters to copy", fetch, c, DB_READ);

        for (size_t i = 0; i < c->n && !rc; i++) {
                c->filings[i].envelope =
                    str_sub(buf_str(&c->bytes), c->spans[i].envelope, c->spans[i].envelope_n);
                c->filings[i].text = str_sub(buf_str(&c->bytes), c->spans[i].text, c->spans[i].text_n);
        }
        if (rc)
                return rc;
        j.n = c->n;
        rc = filing_do(&j, "copy letters", filing_run, DB_WRITE);
        for (size_t i = 0; i < c->n && !rc; i++)
                c->u.list.list[c->done + i].letter = c->filings[i].letter;
        c->u.linked |= j.linked;
        c->done += c->n;
        return rc;
}

/* The same names have other bits there. A keyword that finds no place any more, or that may not be made there, stays behind. */
static int map_keywords(struct across *c)
{
        struct placed_list *l = &c->u.list;
        uint64_t used = 0, to[64] = { 0 };
        auto_arena struct arena m = { 0 };
        struct keyword_list k;
        int rc;

        for (size_t i = 0; i < l->n; i++)
                used |= l->list[i].flags & ~(uint64_t)255;
        if (!used)
                return 0;
        arena_init(&m, 1 << 20);
        rc = change_keywords(c->from, &m, &k);
        for (uint64_t rest = used & k.bits; rest && !rc; rest &= rest - 1) {
                unsigned from = (unsigned)__builtin_ctzll(rest), bit;

                rc = change_keyword(c->u.to, k.names[from], &bit);
                if (!rc)
                        to[from] = (uint64_t)1 << bit;
                else if (rc == -ENOSPC || rc == -EACCES)
                        rc = 0;
        }
        for (size_t i = 0; i < l->n && !rc; i++) {
                uint64_t flags = l->list[i].flags & 255;

                for (uint64_t rest = l->list[i].flags & ~(uint64_t)255; rest; rest &= rest - 1)
                        flags |= to[__builtin_ctzll(rest)];
                l->list[i].flags = flags;
        }
        return rc;
}

int copy_across(struct access *from, const struct uid_range *uids, size_t n, struct access *to, uint64_t room,
                struct copied *out)
{
        struct across *c = mem_new(struct across);
        int rc;

        c->from = from;
        c->u.to = to;
        buf_init(&c->bytes, SLICE_MAX);
        rc = change_list(from, uids, n, 0, &c->u.list);
        for (size_t i = 0; i < c->u.list.n && !rc; i++) {
                if (c->u.list.list[i].size > room)
                        rc = -EDQUOT;
                room -= c->u.list.list[i].size;
        }
        if (!rc)
                rc = map_keywords(c);
        while (!rc && c->done < c->u.list.n)
                rc = file_slice(c);
        if (!rc && c->u.list.n)
                rc = unplaced_place(&c->u);
        for (size_t i = 0; i < c->u.list.n && !rc; i++)
                uid_list_add(&out->from, c->u.list.list[i].uid, c->u.list.list[i].uid);
        if (!rc && c->u.list.n)
                uid_list_add(&out->to, c->u.first, c->u.first + (uint32_t)c->u.list.n - 1);
        placed_list_free(&c->u.list);
        buf_free(&c->bytes);
        mem_free(c);
        return rc;
}
