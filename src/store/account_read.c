/* Looking: at a mailbox, its placements, letters' bytes and facts. Each call is one read transaction. */
#include "base/mem.h"
#include "store/account_inside.h"
#include <errno.h>
#include <stdlib.h>

/* INBOX in any case (RFC 9051 §5.1); other names from the top, one by one. What is only a name holds no letters: not found. */
int mailbox_find(struct db *d, struct str path, uint32_t *mailbox)
{
        struct str name;
        uint32_t parent = 0;
        bool selectable = true;

        if (!path.n || str_ieq(path, INBOX)) {
                *mailbox = MAILBOX_INBOX;
                return 0;
        }
        while (path.n) {
                struct db_row q = db_query(d, MAILBOX_FIND);
                uint32_t found = 0;

                str_cut(&path, '/', &name);
                if (!parent && str_ieq(name, INBOX))
                        name = INBOX;
                db_bind_u64(&q, 1, ACCOUNT_ID);
                db_bind_u64(&q, 2, parent);
                db_bind_text(&q, 3, name);
                if (db_next(&q)) {
                        found = (uint32_t)db_u64(&q, 0);
                        selectable = db_u64(&q, 1) != 0;
                }
                if (db_end(&q))
                        return db_end(&q);
                if (!found)
                        return -ENOENT;
                parent = found;
        }
        if (!selectable)
                return -ENOENT;
        *mailbox = parent;
        return 0;
}

static int view_by_number(struct db *d, uint32_t mailbox, struct mailbox_view *v)
{
        struct db_row q = db_query(d, MAILBOX_VIEW);
        int rc = -ENOENT;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        if (db_next(&q)) {
                *v = (struct mailbox_view){
                        .mailbox = mailbox,
                        .uidvalidity = (uint32_t)db_u64(&q, 0),
                        .uidnext = (uint32_t)db_u64(&q, 1),
                        .count = (uint32_t)db_u64(&q, 2),
                        .octets = db_u64(&q, 3),
                        .modseq = db_u64(&q, 4),
                };
                rc = 0;
        }
        return db_end(&q) ? db_end(&q) : rc;
}

struct view_job {
        struct str name;
        struct mailbox_view *out;
};

static int view(struct db *d, void *arg)
{
        struct view_job *j = arg;
        uint32_t mailbox;
        int rc = mailbox_find(d, j->name, &mailbox);

        return rc ? rc : view_by_number(d, mailbox, j->out);
}

int account_view(struct account *a, struct str mailbox, struct mailbox_view *out)
{
        struct view_job j = { mailbox, out };

        *out = (struct mailbox_view){ 0 };
        return db_transact(a->db, "view mailbox", view, &j, DB_READ);
}

struct list_job {
        const struct mailbox_view *view;
        struct placed *list;
        size_t n, room;
        uint64_t jumped, forgotten;
};

static void list_add(struct list_job *j, const struct placed *p)
{
        if (j->n == j->room) {
                j->room = j->room ? j->room * 2 : 64;
                j->list = mem_grow(j->list, j->room, sizeof *j->list);
        }
        j->list[j->n++] = *p;
}

static int list_pages(struct db *d, struct list_job *j)
{
        struct db_row q = db_query(d, PAGE_RANGE);
        struct str data;
        struct placed p;
        int rc = 0;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, place_of(j->view->mailbox, 0));
        db_bind_u64(&q, 3, place_of(j->view->mailbox, j->view->uidnext - 1));
        while (db_next(&q) && !rc) {
                data = db_blob(&q, 1);
                if (data.n != PAGE_PLACED * sizeof p)
                        rc = -EBADMSG;
                for (size_t at = 0; at < data.n && !rc; at += sizeof p) {
                        mem_copy((char *)&p, sizeof p, str_sub(data, at, sizeof p));
                        if (p.letter && p.uid < j->view->uidnext)
                                list_add(j, &p);
                }
        }
        return db_end(&q) ? db_end(&q) : rc;
}

static int by_uid(const void *a, const void *b)
{
        uint32_t x = ((const struct placed *)a)->uid, y = ((const struct placed *)b)->uid;

        return (x > y) - (x < y);
}

static int one_gone(void *context, uint32_t uid, uint32_t letter, uint64_t modseq)
{
        struct list_job *j = context;

        (void)letter;
        if (uid < j->view->uidnext)
                list_add(j, &(struct placed){ .uid = uid, .modseq = modseq });
        return 0;
}

static int list_gone(struct db *d, struct list_job *j)
{
        size_t there = j->n;
        int rc = gone_since(d, j->view->mailbox, j->view->modseq, one_gone, j);

        if (!rc && j->n > there)
                qsort(j->list, j->n, sizeof *j->list, by_uid);
        return rc;
}

static int list(struct db *d, void *arg)
{
        struct list_job *j = arg;
        struct mailbox_view current;
        uint64_t jumped = 0, forgotten = 0;
        struct db_row q;
        int rc = view_by_number(d, j->view->mailbox, &current);

        j->n = 0;
        if (rc)
                return rc == -ENOENT ? -ESTALE : rc;
        q = db_query(d, ACCOUNT_READ);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q)) {
                jumped = db_u64(&q, 2);
                forgotten = db_u64(&q, 3);
        }
        rc = db_end(&q);
        if (rc)
                return rc;
        if (current.uidvalidity != j->view->uidvalidity || j->view->modseq > current.modseq ||
            j->view->uidnext > current.uidnext || j->view->modseq < jumped || j->view->modseq < forgotten)
                return -ESTALE;
        if (current.count) { /* room for all at once */
                j->room = current.count;
                j->list = mem_grow(j->list, j->room, sizeof *j->list);
        }
        rc = list_pages(d, j);
        return rc ? rc : list_gone(d, j);
}

int account_list(struct account *a, const struct mailbox_view *v, struct placed **out, size_t *n)
{
        struct list_job j = { .view = v };
        int rc = v->uidnext ? db_transact(a->db, "list mailbox", list, &j, DB_READ) : -EINVAL;

        if (rc)
                account_list_free(&j.list);
        *out = j.list;
        *n = rc ? 0 : j.n;
        return rc;
}

void account_list_free(struct placed **list)
{
        mem_free(*list);
        *list = NULL;
}

/* Where a letter's bytes lie: almost always under its own number. */
static int body_number(struct db *d, uint32_t letter, uint64_t *body)
{
        struct db_row q = db_query(d, LETTER_BODY);
        int rc = -ENOENT;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, letter);
        if (db_next(&q)) {
                *body = db_u64(&q, 0);
                rc = 0;
        }
        return db_end(&q) ? db_end(&q) : rc;
}

static int read_file(struct account *a, uint64_t body, uint64_t from, size_t n, struct buf *out)
{
        char name[24];
        int dir = account_bodies(a), rc;

        if (dir < 0)
                return dir == -ENOENT ? -EBADMSG : dir;
        body_name(body, name);
        rc = body_read(dir, name, from, n, out);
        if (rc == -ENOENT && !atomic_load(&a->doomed))
                rc = -EBADMSG; /* the row says that it is there, and it is not on its way out */
        return rc;
}

/* -ENOENT: no such body; -EFBIG: does not fit, and out is as it was. */
static int read_body(struct account *a, struct db *d, uint64_t body, uint64_t from, size_t n, struct buf *out)
{
        struct db_row q = db_query(d, BODY_READ);
        size_t before = out->n;
        bool file = false;
        int rc = -ENOENT;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, body);
        if (db_next(&q)) {
                rc = 0;
                file = db_null(&q, 0);
                if (!file &&
                    !buf_puts(out, str_sub(db_blob(&q, 0), (size_t)(from < SIZE_MAX ? from : SIZE_MAX), n)))
                        rc = -EFBIG;
        }
        if (db_end(&q))
                rc = db_end(&q);
        if (!rc && file)
                rc = read_file(a, body, from, n, out);
        if (rc == -EFBIG) {
                out->n = before;
                out->full = false;
        }
        return rc;
}

static int read_letter(struct account *a, struct db *d, uint32_t letter, uint64_t from, size_t n,
                       struct buf *out)
{
        uint64_t body = 0;
        int rc = read_body(a, d, letter, from, n, out);

        if (rc != -ENOENT)
                return rc;
        rc = body_number(d, letter, &body);
        if (!rc && body == letter)
                rc = -EBADMSG; /* the letter is there, its body is not */
        return rc ? rc : read_body(a, d, body, from, n, out);
}

struct read_job {
        struct account *a;
        const uint32_t *letters;
        size_t n, enough, done, from_n;
        struct buf *out;
        size_t *ends;
};

static int read_many(struct db *d, void *arg)
{
        struct read_job *j = arg;
        int rc = 0;

        j->done = 0;
        j->out->n = j->from_n;
        while (j->done < j->n && !rc) {
                size_t before = j->out->n;

                rc = read_letter(j->a, d, j->letters[j->done], 0, SIZE_MAX, j->out);
                if (!rc && j->done && j->out->n > j->enough) {
                        j->out->n = before; /* beyond what was asked for */
                        break;
                }
                if (rc && j->done)
                        return 0; /* the next call will say it */
                if (!rc)
                        j->ends[j->done++] = j->out->n;
        }
        return rc;
}

int account_read(struct account *a, const uint32_t *letters, size_t n, size_t enough, struct buf *out,
                 size_t *ends, size_t *done)
{
        struct read_job j = { a, letters, n, enough, 0, out->n, out, ends };
        int rc;

        *done = 0;
        if (out->full)
                return -EFBIG;
        rc = db_transact(a->db, "read letters", read_many, &j, DB_READ);
        *done = rc ? 0 : j.done;
        return rc;
}

struct range_job {
        struct account *a;
        uint32_t letter;
        uint64_t from;
        size_t n, from_n;
        struct buf *out;
};

static int read_range(struct db *d, void *arg)
{
        struct range_job *j = arg;

        j->out->n = j->from_n;
        return read_letter(j->a, d, j->letter, j->from, j->n, j->out);
}

int letter_read(struct account *a, uint32_t letter, uint64_t from, size_t n, struct buf *out)
{
        struct range_job j = { a, letter, from, n, out->n, out };

        return out->full ? -EFBIG : db_transact(a->db, "read letter", read_range, &j, DB_READ);
}

struct facts_job {
        uint32_t letter;
        struct buf *mime, *envelope;
};

static int facts(struct db *d, void *arg)
{
        struct facts_job *j = arg;
        struct db_row q = db_query(d, LETTER_FACTS);
        int rc = -ENOENT;

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->letter);
        if (db_next(&q))
                rc = buf_puts(j->mime, db_blob(&q, 0)) && buf_puts(j->envelope, db_blob(&q, 1)) ? 0 : -EFBIG;
        return db_end(&q) ? db_end(&q) : rc;
}

int letter_facts(struct account *a, uint32_t letter, struct buf *mime, struct buf *envelope)
{
        struct facts_job j = { letter, mime, envelope };

        return db_transact(a->db, "letter facts", facts, &j, DB_READ);
}

struct usage_job {
        uint64_t octets, letters;
};

static int usage(struct db *d, void *arg)
{
        struct usage_job *j = arg;
        struct counter c;
        int rc = counter_read(d, 0, &c);

        *j = rc ? (struct usage_job){ 0 } : (struct usage_job){ c.octets, c.count };
        return rc;
}

int account_usage(struct account *a, uint64_t *octets, uint64_t *letters)
{
        struct usage_job j = { 0 };
        int rc = db_transact(a->db, "usage", usage, &j, DB_READ);

        *octets = j.octets;
        *letters = j.letters;
        return rc;
}
