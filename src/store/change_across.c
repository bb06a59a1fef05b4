/* COPY into another account. The letters go there in slices, into no mailbox: `doomed` keeps them (STATES.md), so that a
 * crash leaves nothing that is seen and nothing that stays. When all are there, one synced transaction places them.
 * Long bodies are linked, the others copied with their rows. The two accounts are never locked together. */
#include "base/mem.h"
#include "base/time.h"
#include "run/offload.h"
#include "store/account_filing.h"
#include "store/disk.h"
#include <errno.h>
#include <stdlib.h>

enum { SLICE = 128, SLICE_OCTETS = 4 * 1024 * 1024, SLICE_MAX = 16 * 1024 * 1024 };

struct across {
        struct access *from, *to;
        struct placed_list list; /* as the reader sees them; letter: there, once it is filed */
        size_t done;
        /* of a slice */
        struct filing filings[SLICE];
        char names[SLICE][24];
        struct span {
                size_t envelope, envelope_n, text, text_n;
        } spans[SLICE];
        size_t n;
        struct buf bytes;
        bool linked;
        /* of the last transaction */
        struct counter all, dst;
        uint32_t *letters; /* ascending */
        uint32_t first;
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
        for (c->n = 0; !rc && c->n < SLICE && c->done + c->n < c->list.n && c->bytes.n < SLICE_OCTETS; c->n++)
                rc = fetch_one(c, d, c->list.list[c->done + c->n].letter);
        return rc;
}

static int file_slice(struct across *c)
{
        struct filing_job j = {
                .a = c->to->account, .list = c->filings, .n = c->n, .room = UINT64_MAX, .unplaced = true
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
                c->list.list[c->done + i].letter = c->filings[i].letter;
        c->linked |= j.linked;
        c->done += c->n;
        return rc;
}

static int by_number(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

/* Those of ours off a row of `doomed`. */
static int keep_row(struct across *c, struct db *d, uint64_t row, struct str letters, size_t *found)
{
        struct unpack u = unpack_of(letters);
        struct buf left auto_buf;
        struct db_row q;
        size_t before = *found;

        buf_init(&left, letters.n);
        while (!u.bad && !unpack_done(&u)) {
                uint32_t letter = unpack_u32(&u);

                if (bsearch(&letter, c->letters, c->list.n, sizeof letter, by_number))
                        ++*found;
                else
                        buf_u32(&left, letter);
        }
        if (u.bad || *found == before)
                return u.bad ? -EBADMSG : 0;
        q = db_query(d, left.n ? DOOMED_WRITE : DOOMED_DROP);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, row);
        if (left.n)
                db_bind_blob(&q, 3, buf_str(&left));
        return db_exec(&q);
}

/* -ETIMEDOUT: it took so long that they were removed. */
static int keep(struct across *c, struct db *d)
{
        struct buf letters auto_buf;
        uint64_t row = 0;
        size_t found = 0;
        bool more = true;
        int rc = 0;

        buf_init(&letters, 65536);
        while (more && !rc && found < c->list.n) {
                struct db_row q = db_query(d, DOOMED_NEXT);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, row);
                more = db_next(&q);
                buf_clear(&letters);
                if (more) {
                        row = db_u64(&q, 0);
                        buf_puts(&letters, db_blob(&q, 2));
                }
                rc = db_end(&q);
                if (!rc && more)
                        rc = keep_row(c, d, row, buf_str(&letters), &found);
        }
        return rc ? rc : found == c->list.n ? 0 : -ETIMEDOUT;
}

static int place(struct db *d, struct across *c)
{
        struct place_op *ops = mem_array(c->list.n, sizeof *ops);
        int rc;

        for (size_t i = 0; i < c->list.n; i++) {
                ops[i] = (struct place_op){ .letter = c->list.list[i].letter, .how = PLACE_MOVE };
                c->all.count++;
                c->all.octets += c->list.list[i].size;
        }
        c->first = (uint32_t)c->dst.uidnext;
        rc = place_all(d, c->to, &c->dst, c->all.modseq, c->list.list, c->list.n, ops);
        mem_free(ops);
        return rc;
}

static int finish(struct db *d, void *arg)
{
        struct across *c = arg;
        int rc = account_writes(d);

        if (!rc)
                rc = mailbox_current(d, c->to->mailbox, c->to->uidvalidity);
        if (!rc)
                rc = counter_read(d, 0, &c->all);
        if (!rc)
                rc = counter_read(d, c->to->mailbox, &c->dst);
        if (!rc)
                rc = counter_ahead(d, &c->all, 0, 1);
        if (!rc)
                rc = counter_ahead(d, &c->dst, c->list.n, 0);
        c->all.modseq++;
        if (!rc)
                rc = keep(c, d);
        if (!rc)
                rc = place(d, c);
        if (!rc)
                rc = counter_write(d, &c->dst);
        if (!rc)
                rc = counter_write(d, &c->all);
        if (!rc && c->linked) /* no letter without its body, also after a power cut */
                rc = disk_sync_dir(account_bodies(c->to->account));
        return rc;
}

static int finish_all(struct across *c)
{
        int rc, tries = 0;

        c->letters = mem_array(c->list.n, sizeof *c->letters);
        for (size_t i = 0; i < c->list.n; i++)
                c->letters[i] = c->list.list[i].letter;
        qsort(c->letters, c->list.n, sizeof *c->letters, by_number);
        while ((rc = account_change(c->to->account, "place copies", NULL, finish, c, DB_SYNC | DB_LONG)) ==
                   -ENOSR &&
               tries++ < RESERVE_TRIES) {
                rc = account_reserve(c->to->account, c->to->mailbox, c->list.n + UIDS_AHEAD);
                if (rc)
                        break;
        }
        mem_free(c->letters);
        return rc;
}

int copy_across(struct access *from, const struct uid_range *uids, size_t n, struct access *to, uint64_t room,
                struct copied *out)
{
        struct across *c = mem_new(struct across);
        int rc;

        c->from = from;
        c->to = to;
        buf_init(&c->bytes, SLICE_MAX);
        rc = change_list(from, uids, n, 0, &c->list);
        for (size_t i = 0; i < c->list.n && !rc; i++) {
                if (c->list.list[i].size > room)
                        rc = -EDQUOT;
                room -= c->list.list[i].size;
        }
        while (!rc && c->done < c->list.n)
                rc = file_slice(c);
        if (!rc && c->list.n)
                rc = finish_all(c);
        for (size_t i = 0; i < c->list.n && !rc; i++)
                uid_list_add(&out->from, c->list.list[i].uid, c->list.list[i].uid);
        if (!rc && c->list.n)
                uid_list_add(&out->to, c->first, c->first + (uint32_t)c->list.n - 1);
        placed_list_free(&c->list);
        buf_free(&c->bytes);
        mem_free(c);
        return rc;
}
