#include "base/mem.h"
#include "store/search_inside.h"
#include <errno.h>

/* Of a letter that lies in a file, only headers and texts are read; of all of them together so much. */
#define TEXTS_MAX ((size_t)64 * 1024 * 1024)

void reading_init(struct reading *r, struct account *a)
{
        *r = (struct reading){ .a = a };
        buf_init(&r->bytes, (size_t)SLICE_BYTES * 2 + MIME_PACKED_MAX + BODY_INLINE_MAX);
}

void reading_free(struct reading *r)
{
        buf_free(&r->bytes);
}

/* From the row that q stands on. */
static bool take_row(struct reading *r, struct db_row *q)
{
        struct reading_item *item = &r->items[r->count++];
        struct str mime = db_blob(q, 3);

        *item = (struct reading_item){ .letter = (uint32_t)db_u64(q, 0),
                                       .size = (uint32_t)db_u64(q, 1),
                                       .received = db_u64(q, 2),
                                       .body = db_u64(q, 4),
                                       .file = db_null(q, 5),
                                       .mime = r->bytes.n,
                                       .mime_n = mime.n };
        buf_puts(&r->bytes, mime);
        item->text = r->bytes.n;
        if (!item->file)
                buf_puts(&r->bytes, db_blob(q, 5));
        item->text_n = r->bytes.n - item->text;
        return r->count < SLICE_LETTERS && r->bytes.n < SLICE_BYTES;
}

static int read_range(struct db *d, struct reading *r)
{
        struct db_row q = db_query(d, LETTER_TEXT);
        bool room = true;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, r->from);
        db_bind_u64(&q, 3, r->to);
        while (room && db_next(&q))
                room = take_row(r, &q);
        r->more = !room;
        return db_end(&q);
}

static int read_list(struct db *d, struct reading *r)
{
        size_t at = r->at;
        bool room = true;
        int rc = 0;

        while (!rc && room && at < r->n) {
                struct db_row q = db_query(d, LETTER_TEXT);

                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, r->letters[at]);
                db_bind_u64(&q, 3, r->letters[at]);
                if (db_next(&q))
                        room = take_row(r, &q);
                rc = db_end(&q);
                at++;
        }
        r->more = at < r->n;
        return rc;
}

static int read_slice(struct db *d, void *arg)
{
        struct reading *r = arg;

        r->count = 0;
        buf_clear(&r->bytes);
        return r->letters ? read_list(d, r) : read_range(d, r);
}

int reading_some(struct reading *r)
{
        int rc = db_transact(r->a->db, "read texts", read_slice, r, DB_READ);
        uint32_t last;

        if (rc || !r->count) {
                r->more = false;
                if (!rc && r->letters)
                        r->at = r->n;
                return rc;
        }
        last = r->items[r->count - 1].letter;
        if (!r->letters && last < UINT32_MAX)
                r->from = last + 1;
        while (r->letters && r->at < r->n && r->letters[r->at] <= last)
                r->at++;
        return 0;
}

/* Bytes [*from, *to) of the letter, if they are wanted, behind those that were; their new offsets. */
static int take(struct reading *r, const char *name, struct buf *room, uint64_t *from, uint64_t *to,
                bool wanted)
{
        uint64_t n = *to > *from ? *to - *from : 0;
        size_t at = room->n;
        int rc = 0;

        if (wanted && n > TEXTS_MAX - at)
                n = TEXTS_MAX - at;
        if (wanted && n)
                rc = body_read(account_bodies(r->a), name, *from, (size_t)n, room);
        *from = at;
        *to = room->n;
        return rc;
}

/* What text_fields and text_of_body look at: headers of messages, and leaves that are text. */
static int read_texts(struct reading *r, uint64_t body, struct mime *m, struct buf *room)
{
        char name[24];
        int rc = 0;

        if (account_bodies(r->a) < 0)
                return account_bodies(r->a);
        body_name(body, name);
        for (uint32_t i = 0; i < m->count && !rc; i++) {
                struct mime_part *p = &m->parts[i];
                bool text =
                    p->kind == MIME_LEAF && (str_eq(p->type, S("text")) || str_eq(p->type, S("message")));
                uint64_t body_at = p->body;

                rc = take(r, name, room, &p->header, &body_at,
                          i == 0 || m->parts[p->parent].kind == MIME_MESSAGE);
                if (!rc)
                        rc = take(r, name, room, &p->body, &p->end, text);
                if (!rc && p->body != body_at)
                        rc = -EBADMSG;
        }
        return rc;
}

bool reading_letter(struct reading *r, size_t i, struct mime *m, struct buf *room, struct str *letter)
{
        const struct reading_item *item = &r->items[i];

        if (!mime_unpack(m, str_sub(buf_str(&r->bytes), item->mime, item->mime_n)))
                return false;
        *letter = str_sub(buf_str(&r->bytes), item->text, item->text_n);
        if (!item->file)
                return true;
        buf_free(room);
        buf_init(room, TEXTS_MAX);
        if (read_texts(r, item->body, m, room))
                return false;
        *letter = buf_str(room);
        return true;
}
