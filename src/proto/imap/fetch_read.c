#include "base/mem.h"
#include "proto/imap/fetch.h"
#include "run/offload.h"

#include <errno.h>

/* Slices of letters, made ready as far as can be on worker threads. Three ways, by what the items need:
 *
 *   only placements       written from the list
 *   facts                 written where the database row is read (change_facts)
 *   bytes                 facts if need be, then the letters' bytes, then written in one go
 *
 * What does not fit these (large, or with header fields that must be read from the letter) is named as `alone`. */
enum {
        ENOUGH = 192 * 1024, /* a slice is sent when it holds so much */
        LIST_MOST = 4096,    /* placements in memory */
        RANGES_MOST = 4096,
        FACTS_AT_ONCE = 512,
        BYTES_AT_ONCE = 64,
        FACTS_MOST = 128 * 1024, /* packed structures held while bytes are read */
        FAILURES_MOST = 16,      /* in a row: then it is not the letters' fault */
};

struct fetch_reader {
        struct fetch *f;
        struct fetch_uids at_uid;
        struct placed_list list;
        size_t at;         /* in list */
        size_t careful;    /* so many letters are read one by one, looking for the one that cannot be read */
        unsigned failures; /* in a row */
        bool over;
        bool full; /* the slice takes no more */
        struct fetch_writer writer;
        struct fetch_slice *slice;
        /* of the call that runs */
        size_t next; /* index of the first letter that has not been looked at */
        unsigned damaged;
        uint32_t letters[FACTS_AT_ONCE];
        size_t ends[BYTES_AT_ONCE];
        struct fetch_facts facts[BYTES_AT_ONCE];
        size_t mime_at[BYTES_AT_ONCE];
        size_t index[BYTES_AT_ONCE]; /* in list, from `at` */
        struct buf mime, bytes;
        size_t n, seen; /* letters to write; how far in the list they reach */
};

struct fetch_reader *fetch_reader_new(struct fetch *f)
{
        struct fetch_reader *r = mem_new(struct fetch_reader);

        r->f = f;
        fetch_writer_init(&r->writer, f->mode);
        buf_init(&r->mime, FACTS_MOST + MIME_PACKED_MAX);
        buf_init(&r->bytes, ENOUGH + FETCH_WHOLE_MOST);
        return r;
}

void fetch_reader_free(struct fetch_reader *r)
{
        fetch_writer_finish(&r->writer);
        placed_list_free(&r->list);
        buf_free(&r->mime);
        buf_free(&r->bytes);
        mem_free(r);
}

bool fetch_uids_next(const struct uid_list *l, struct fetch_uids *at, struct uid_list *out, uint64_t most)
{
        out->n = 0;
        while (at->range < l->n && most && out->n < RANGES_MOST) {
                struct uid_range r = l->ranges[at->range];

                if (at->uid)
                        r.first = at->uid;
                at->uid = 0;
                if (r.last - r.first >= most) {
                        r.last = r.first + (uint32_t)most - 1;
                        at->uid = r.last + 1;
                } else {
                        at->range++;
                }
                most -= r.last - r.first + 1;
                uid_list_add(out, r.first, r.last);
        }
        return out->n > 0;
}

static void trouble(struct fetch_reader *r, int rc)
{
        r->f->trouble = rc;
        if (++r->failures >= FAILURES_MOST)
                r->over = true;
}

/* The next placements; false: there are no more. */
static bool next_list(struct fetch_reader *r)
{
        struct fetch *f = r->f;
        struct uid_list uids = { 0 };
        uint64_t wanted;
        int rc;

        r->at = 0;
        for (;;) {
                placed_list_free(&r->list);
                if (r->over || !fetch_uids_next(&f->uids, &r->at_uid, &uids, LIST_MOST))
                        break;
                wanted = uid_list_count(&uids);
                rc = change_list(f->x, uids.ranges, uids.n, f->since, &r->list);
                if (rc < 0) {
                        f->trouble = rc;
                        r->over = true;
                        break;
                }
                if (!f->since)
                        f->missing += wanted - r->list.n;
                if (r->list.n)
                        break;
        }
        uid_list_free(&uids);
        return r->list.n > 0;
}

static void alone(struct fetch_reader *r, const struct placed *p)
{
        r->slice->has_alone = true;
        r->slice->alone = *p;
}

/* What put_letter could not do; false: it is for `alone`. */
static bool judge(struct fetch_reader *r, enum fetch_made made, const struct placed *p)
{
        struct buf *out = &r->slice->out;

        if (out->full) {
                out->full = false;
                made = FETCH_NEEDS_BYTES;
        }
        switch (made) {
        case FETCH_MADE: r->slice->letters++; return true;
        case FETCH_NEEDS_BYTES: alone(r, p); return false;
        case FETCH_DAMAGED:
        case FETCH_UNREAD: r->damaged++; return true;
        }
        return true;
}

static bool write_one(struct fetch_reader *r, const struct placed *p, const struct fetch_facts *facts,
                      struct fetch_source *source)
{
        struct buf *out = &r->slice->out;
        size_t before = out->n;
        enum fetch_made made;

        made = put_letter(r->f, &r->writer, p, facts, source);
        if (out->full)
                out->n = before;
        return judge(r, made, p);
}

static void from_placements(struct fetch_reader *r)
{
        while (r->at < r->list.n && r->slice->out.n < ENOUGH)
                if (!write_one(r, &r->list.list[r->at++], NULL, NULL))
                        return;
}

/* --- facts: on the worker thread, row by row --- */
static bool written_from_facts(void *context, size_t index, const struct letter_facts_row *row)
{
        struct fetch_reader *r = context;
        struct fetch_facts facts = { true, row->thread, row->received, row->mime };

        return write_one(r, &r->list.list[r->at + index], &facts, NULL) && r->slice->out.n < ENOUGH;
}

/* After a call for n letters that failed: the next ones are for one letter each, so that only those that cannot be read are
 * left out. */
static void failed(struct fetch_reader *r, size_t n, int rc)
{
        if (n > 1) {
                r->careful = n;
                return;
        }
        r->at++;
        if (rc == -ENOENT)
                r->f->missing++;
        else
                trouble(r, rc);
}

static size_t letters_next(struct fetch_reader *r, size_t most)
{
        size_t n = r->list.n - r->at;

        n = n < most ? n : most;
        if (r->careful) {
                r->careful--;
                n = 1;
        }
        for (size_t i = 0; i < n; i++)
                r->letters[i] = r->list.list[r->at + i].letter;
        return n;
}

static void from_facts(struct fetch_reader *r)
{
        size_t n = letters_next(r, FACTS_AT_ONCE), done = 0, before = r->slice->out.n;
        uint32_t told = r->slice->letters;
        int rc;

        r->damaged = 0;
        rc = change_facts(r->f->x, r->letters, n, written_from_facts, r, &done);
        if (rc < 0) {
                r->slice->out.n = before;
                r->slice->letters = told;
                r->slice->has_alone = false;
                failed(r, n, rc);
                return;
        }
        if (r->damaged)
                r->f->trouble = -EBADMSG;
        r->failures = 0;
        r->at += done;
}

/* --- bytes --- */

static bool kept_facts(void *context, size_t index, const struct letter_facts_row *row)
{
        struct fetch_reader *r = context;

        r->facts[index] = (struct fetch_facts){ true, row->thread, row->received, { NULL, row->mime.n } };
        r->mime_at[index] = r->mime.n;
        buf_puts(&r->mime, row->mime);
        return r->mime.n < FACTS_MOST;
}

/* Facts of the r->n letters; those that have gone are left out. */
static int read_facts(struct fetch_reader *r)
{
        size_t n = r->n;
        int rc;

        buf_clear(&r->mime);
        r->n = 0;
        for (size_t i = 0; i < n; i++)
                r->facts[i].there = false;
        rc = change_facts(r->f->x, r->letters, n, kept_facts, r, &r->seen);
        if (rc < 0)
                return rc;
        for (size_t i = 0; i < r->seen; i++) {
                if (!r->facts[i].there) {
                        r->f->missing++;
                        continue;
                }
                r->facts[r->n] = r->facts[i];
                r->facts[r->n].mime.p = r->mime.p + r->mime_at[i];
                r->letters[r->n] = r->letters[i];
                r->index[r->n++] = i;
        }
        return 0;
}

/* On a worker thread. */
static int write_letters(void *arg)
{
        struct fetch_reader *r = arg;
        struct fetch_source source = { .whole = true };
        size_t from = 0;

        for (r->next = 0; r->next < r->n && !r->slice->has_alone; r->next++) {
                source.bytes = str_sub(buf_str(&r->bytes), from, r->ends[r->next] - from);
                from = r->ends[r->next];
                write_one(r, &r->list.list[r->at + r->index[r->next]],
                          r->f->items.facts ? &r->facts[r->next] : NULL, &source);
        }
        return 0;
}

/* How many of the next letters can be held whole, with their answers. */
static size_t fitting(const struct fetch_reader *r, size_t n)
{
        uint64_t cost = r->slice->out.n;
        size_t fit = 0;

        for (; fit < n; fit++) {
                const struct placed *p = &r->list.list[r->at + fit];

                cost += 2048 + r->f->items.labels + (uint64_t)p->size * r->f->items.sections;
                if (p->size > FETCH_WHOLE_MOST || cost > FETCH_SLICE_MOST / 2)
                        break;
        }
        return fit;
}

static void read_and_write(struct fetch_reader *r)
{
        size_t done = 0, all = r->n;
        int rc;

        buf_clear(&r->bytes);
        rc = account_read(r->f->x->account, r->letters, r->n, ENOUGH, &r->bytes, r->ends, &done);
        if (rc < 0) { /* that is the first one's; the others are asked for again */
                r->at += r->index[0];
                if (rc == -EFBIG)
                        alone(r, &r->list.list[r->at++]);
                else
                        failed(r, 1, rc);
                return;
        }
        r->n = done;
        r->damaged = 0;
        offload(QUICK, write_letters, r);
        r->at += r->next < all ? r->index[r->next] : r->seen;
        r->failures = 0;
        if (r->damaged)
                r->f->trouble = -EBADMSG;
}

static void from_bytes(struct fetch_reader *r)
{
        size_t most = letters_next(r, BYTES_AT_ONCE);
        int rc = 0;

        r->n = r->seen = fitting(r, most);
        if (!r->n && r->slice->out.n && r->list.list[r->at].size <= FETCH_WHOLE_MOST) {
                r->full = true;
        } else if (!r->n) {
                alone(r, &r->list.list[r->at++]);
        } else {
                for (size_t i = 0; i < r->n; i++)
                        r->index[i] = i;
                if (r->f->items.facts)
                        rc = read_facts(r);
                if (rc < 0)
                        failed(r, most, rc);
                else if (!r->n)
                        r->at += r->seen;
                else
                        read_and_write(r);
        }
}

bool fetch_next(struct fetch_reader *r, struct fetch_slice *slice)
{
        const struct fetch_items *items = &r->f->items;
        bool more = true;

        buf_clear(&slice->out);
        slice->has_alone = false;
        slice->letters = 0;
        r->slice = slice;
        r->writer.out.b = &slice->out;
        r->full = false;
        while (!slice->has_alone && !r->full && slice->out.n < ENOUGH) {
                if (r->over || (r->at >= r->list.n && !next_list(r))) {
                        more = false;
                        break;
                }
                if (items->bytes)
                        from_bytes(r);
                else if (items->facts)
                        from_facts(r);
                else
                        from_placements(r);
        }
        r->f->unknown_cte = r->f->unknown_cte || r->writer.unknown_cte;
        return more;
}

/* --- one letter, for those in pieces --- */
struct one {
        struct buf *room;
        struct fetch_facts *out;
};

static bool kept_one(void *context, size_t index, const struct letter_facts_row *row)
{
        struct one *o = context;

        (void)index;
        buf_clear(o->room);
        buf_puts(o->room, row->mime);
        *o->out = (struct fetch_facts){ true, row->thread, row->received, S("") };
        return true;
}

int fetch_facts_of(struct access *x, uint32_t letter, struct buf *room, struct fetch_facts *out)
{
        struct one o = { room, out };
        size_t done = 0;
        int rc;

        *out = (struct fetch_facts){ 0 };
        rc = change_facts(x, &letter, 1, kept_one, &o, &done);
        out->mime = buf_str(room);
        return rc < 0 ? rc : !out->there ? -ENOENT : room->full ? -EBADMSG : 0;
}
