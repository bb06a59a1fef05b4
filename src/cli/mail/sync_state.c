/* sync.db: what both sides last agreed on. It may be removed: then all letters pair up anew. */
#include "cli/mail/sync_inside.h"
#include "base/mem.h"
#include "cli/home.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

/* Letters known by their UIDL. told 0: all that is known of it (schema 1). */
#define SCHEMA_2_UIDL                                                                            \
        "CREATE TABLE uidl(uidl TEXT NOT NULL, told INTEGER NOT NULL, octets INTEGER NOT NULL, " \
        "identity INTEGER NOT NULL, PRIMARY KEY(uidl, told, octets, identity)) WITHOUT ROWID;"

static const char schema[] =
    "CREATE TABLE box(id INTEGER PRIMARY KEY, path TEXT NOT NULL, wire TEXT NOT NULL, mailbox INTEGER NOT "
    "NULL, "
    "validity INTEGER NOT NULL, uidnext INTEGER NOT NULL, highest INTEGER NOT NULL, "
    "filing INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE letter(box INTEGER NOT NULL, there INTEGER NOT NULL, here INTEGER NOT NULL, "
    "letter INTEGER NOT NULL, flags INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0, "
    "PRIMARY KEY(box, there)) WITHOUT ROWID;" SCHEMA_2_UIDL
    "CREATE TABLE last(here INTEGER NOT NULL, filing INTEGER NOT NULL DEFAULT 0);";

static const char schema_2[] = "ALTER TABLE box ADD COLUMN filing INTEGER NOT NULL DEFAULT 0;"
                               "ALTER TABLE letter ADD COLUMN told INTEGER NOT NULL DEFAULT 0;"
                               "ALTER TABLE last ADD COLUMN filing INTEGER NOT NULL DEFAULT 0;" SCHEMA_2_UIDL
                               "INSERT INTO uidl(uidl, told, octets, identity) SELECT uidl, 0, 0, 0 FROM pop;"
                               "DROP TABLE pop;";
static const char *const migrations[] = { [1] = schema_2 };

static const char *const statements[STATE_STATEMENTS] = {
        [STATE_BOXES] =
            "SELECT id, path, wire, mailbox, validity, uidnext, highest, filing FROM box ORDER BY id",
        [STATE_ROWS] = "SELECT box, there, here, letter, flags, told FROM letter ORDER BY box, there",
        [STATE_ADD_BOX] = "INSERT INTO box(path, wire, mailbox, validity, uidnext, highest, filing) "
                          "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        [STATE_SET_BOX] = "UPDATE box SET path = ?1, wire = ?2, mailbox = ?3, validity = ?4, uidnext = ?5, "
                          "highest = ?6, filing = ?7 WHERE id = ?8",
        [STATE_DROP_BOX] = "DELETE FROM box WHERE id = ?1",
        [STATE_DROP_ROWS] = "DELETE FROM letter WHERE box = ?1",
        [STATE_PUT_ROW] = "INSERT OR REPLACE INTO letter(box, there, here, letter, flags, told) "
                          "VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        [STATE_DROP_ROW] = "DELETE FROM letter WHERE box = ?1 AND there = ?2",
        [STATE_UIDLS] = "SELECT uidl, told, octets, identity FROM uidl ORDER BY uidl, told",
        [STATE_PUT_UIDL] = "INSERT OR IGNORE INTO uidl(uidl, told, octets, identity) VALUES(?1, ?2, ?3, ?4)",
        [STATE_LAST] = "SELECT here, filing FROM last",
        [STATE_NO_LAST] = "DELETE FROM last",
        [STATE_PUT_LAST] = "INSERT INTO last(here, filing) VALUES(?1, ?2)",
};
static const struct db_store store = { .name = "sync",
                                       .version = 2,
                                       .schema = schema,
                                       .migrations = migrations,
                                       .statements = statements,
                                       .statement_count = STATE_STATEMENTS,
                                       .page_size = 4096 };

/* One process at a time: the lock is beside the file. */
int state_open(struct work *w)
{
        struct buf auto_buf path = { 0 }, below = { 0 };
        int rc;

        buf_init(&below, 1024);
        buf_printf(&below, "mail/" PRS "/sync.lock", STR(copy_name(w->copy)));
        if (!buf_u8(&below, 0) || !home_path(&path, HOME_DATA, below.p))
                return work_failed(w, -ENAMETOOLONG, "sync.db");
        w->lock = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (w->lock < 0)
                return work_failed(w, -errno, "sync.lock");
        if (flock(w->lock, LOCK_EX | LOCK_NB) < 0) {
                close(w->lock);
                w->lock = -1;
                return work_failed(w, -EBUSY, "another pail mail keeps this copy in step");
        }
        path.n -= sizeof "lock"; /* with its NUL */
        buf_puts(&path, S("db"));
        buf_u8(&path, 0);
        rc = path.full ? -ENAMETOOLONG : db_open(&w->db, &store, path.p, DB_CREATE, NULL);
        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

void state_close(struct work *w)
{
        state_forget_boxes(w);
        if (w->db)
                db_close(&w->db);
        if (w->lock >= 0)
                close(w->lock);
        w->lock = -1;
}

void box_free(struct box *b)
{
        mem_free(b->path);
        mem_free(b->wire);
        mem_free(b->rows);
        mem_free(b->fresh);
        mem_free(b->lost);
        placed_list_free(&b->here);
}

void state_forget_boxes(struct work *w)
{
        for (size_t i = 0; i < w->n; i++)
                box_free(&w->boxes[i]);
        mem_free(w->boxes);
        w->boxes = NULL;
        w->n = w->room = 0;
}

static void add_row(struct box *b, struct row r)
{
        if (b->n == b->room) {
                b->room = b->room ? b->room * 2 : 64;
                b->rows = mem_grow(b->rows, b->room, sizeof *b->rows);
        }
        b->rows[b->n++] = r;
}

/* Both by box: one query for all of them. */
static int read_rows(struct db *d, struct work *w)
{
        struct db_row q = db_query(d, STATE_ROWS);
        size_t at = 0;

        while (db_next(&q)) {
                uint64_t box = db_u64(&q, 0);

                while (at < w->n && w->boxes[at].id < box)
                        at++;
                if (at < w->n && w->boxes[at].id == box)
                        add_row(&w->boxes[at],
                                (struct row){ (uint32_t)db_u64(&q, 1), (uint32_t)db_u64(&q, 2),
                                              (uint32_t)db_u64(&q, 3), db_u64(&q, 4), db_u64(&q, 5) });
        }
        return db_end(&q);
}

static int read_boxes(struct db *d, void *arg)
{
        struct work *w = arg;
        struct db_row q = db_query(d, STATE_BOXES);
        int rc;

        state_forget_boxes(w); /* it may run again */
        while (db_next(&q)) {
                if (w->n == w->room) {
                        w->room = w->room ? 2 * w->room : 64;
                        w->boxes = mem_grow(w->boxes, w->room, sizeof *w->boxes);
                }
                w->boxes[w->n++] = (struct box){ .id = db_u64(&q, 0),
                                                 .path = mem_string(db_text(&q, 1)),
                                                 .wire = mem_string(db_text(&q, 2)),
                                                 .mailbox = (uint32_t)db_u64(&q, 3),
                                                 .validity = (uint32_t)db_u64(&q, 4),
                                                 .uidnext = (uint32_t)db_u64(&q, 5),
                                                 .highest = db_u64(&q, 6),
                                                 .filing = db_u64(&q, 7) };
        }
        rc = db_end(&q);
        return rc ? rc : read_rows(d, w);
}

int state_boxes(struct work *w)
{
        int rc = db_transact(w->db, "read boxes", read_boxes, w, DB_READ | DB_LONG);

        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

static int write_box(struct db *d, struct box *b)
{
        struct db_row q = db_query(d, b->id ? STATE_SET_BOX : STATE_ADD_BOX);
        int rc;

        db_bind_text(&q, 1, str_of(b->path));
        db_bind_text(&q, 2, str_of(b->wire));
        db_bind_u64(&q, 3, b->mailbox);
        db_bind_u64(&q, 4, b->validity);
        db_bind_u64(&q, 5, b->uidnext);
        db_bind_u64(&q, 6, b->highest);
        db_bind_u64(&q, 7, b->filing);
        if (b->id)
                db_bind_u64(&q, 8, b->id);
        rc = db_exec(&q);
        if (rc == 0 && !b->id)
                b->id = db_last_id(d);
        return rc;
}

struct writing {
        struct box *boxes;
        size_t n;
        uint64_t *ids; /* as they were: it may run again */
        bool all;      /* else those that have changed */
};

static int write_boxes(struct db *d, void *arg)
{
        struct writing *g = arg;
        int rc = 0;

        for (size_t i = 0; i < g->n && rc == 0; i++) {
                g->boxes[i].id = g->ids[i];
                if (g->all || g->boxes[i].changed)
                        rc = write_box(d, &g->boxes[i]);
        }
        return rc;
}

static int put_boxes(struct work *w, struct writing *g, enum db_how how)
{
        int rc;

        g->ids = mem_array(g->n + 1, sizeof *g->ids);
        for (size_t i = 0; i < g->n; i++)
                g->ids[i] = g->boxes[i].id;
        rc = db_transact(w->db, "boxes", write_boxes, g, how);
        for (size_t i = 0; i < g->n; i++) {
                if (rc < 0)
                        g->boxes[i].id = g->ids[i];
                else
                        g->boxes[i].changed = false;
        }
        mem_free(g->ids);
        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

int state_box(struct work *w, struct box *b)
{
        return put_boxes(w, &(struct writing){ .boxes = b, .n = 1, .all = true }, DB_WRITE);
}

int state_changed_boxes(struct work *w)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->boxes[i].changed)
                        return put_boxes(w, &(struct writing){ .boxes = w->boxes, .n = w->n },
                                         DB_WRITE | DB_LONG);
        return 0;
}

uint64_t state_number(void)
{
        uint64_t n;

        randombytes_buf(&n, sizeof n);
        return n >> 1 | 1; /* the account takes none of 0 or over INT64_MAX */
}

int state_filing(struct work *w, struct box *b)
{
        int rc;

        if (b->filing)
                return 0;
        b->filing = state_number();
        rc = put_boxes(w, &(struct writing){ .boxes = b, .n = 1, .all = true }, DB_SYNC);
        if (rc < 0)
                b->filing = 0;
        return rc;
}

static int drop_rows(struct db *d, void *arg)
{
        struct db_row q = db_query(d, STATE_DROP_ROWS);

        db_bind_u64(&q, 1, ((struct box *)arg)->id);
        return db_exec(&q);
}

int state_drop_rows(struct work *w, struct box *b)
{
        int rc = b->id ? db_transact(w->db, "drop rows", drop_rows, b, DB_WRITE) : 0;

        b->n = 0;
        b->filing = 0; /* its uids were those */
        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

static int drop_box(struct db *d, void *arg)
{
        struct db_row q = db_query(d, STATE_DROP_BOX);
        int rc;

        db_bind_u64(&q, 1, ((struct box *)arg)->id);
        rc = db_exec(&q);
        return rc ? rc : drop_rows(d, arg);
}

int state_drop_box(struct work *w, struct box *b)
{
        int rc = b->id ? db_transact(w->db, "drop box", drop_box, b, DB_WRITE) : 0;

        b->id = 0;
        b->n = 0;
        return rc < 0 ? work_failed(w, rc, "sync.db") : 0;
}

/* ---- rows ---- */

static int by_there(const void *pa, const void *pb)
{
        const struct row *a = pa, *b = pb;

        return a->there < b->there ? -1 : a->there > b->there;
}

struct row *row_there(struct box *b, uint32_t there)
{
        struct row key = { .there = there };

        return b->n ? bsearch(&key, b->rows, b->n, sizeof *b->rows, by_there) : NULL;
}

struct changes {
        struct box *b;
        const struct row *put;
        const uint32_t *drop;
        size_t put_n, drop_n;
};

static int write_rows(struct db *d, void *arg)
{
        struct changes *c = arg;
        int rc = 0;

        for (size_t i = 0; i < c->drop_n && rc == 0; i++) {
                struct db_row q = db_query(d, STATE_DROP_ROW);

                db_bind_u64(&q, 1, c->b->id);
                db_bind_u64(&q, 2, c->drop[i]);
                rc = db_exec(&q);
        }
        for (size_t i = 0; i < c->put_n && rc == 0; i++) {
                struct db_row q = db_query(d, STATE_PUT_ROW);

                db_bind_u64(&q, 1, c->b->id);
                db_bind_u64(&q, 2, c->put[i].there);
                db_bind_u64(&q, 3, c->put[i].here);
                db_bind_u64(&q, 4, c->put[i].letter);
                db_bind_u64(&q, 5, c->put[i].flags);
                db_bind_u64(&q, 6, c->put[i].told);
                rc = db_exec(&q);
        }
        return rc;
}

int state_rows(struct work *w, struct box *b, const struct row *put, size_t put_n, const uint32_t *drop,
               size_t drop_n)
{
        struct changes c = { b, put, drop, put_n, drop_n };
        bool sorted = true;
        size_t kept = 0;
        int rc = put_n + drop_n ? db_transact(w->db, "rows", write_rows, &c, DB_WRITE | DB_LONG) : 0;

        if (rc < 0)
                return work_failed(w, rc, "sync.db");
        for (size_t i = 0; i < drop_n; i++) {
                struct row *r = row_there(b, drop[i]);

                if (r)
                        r->here = 0;
        }
        for (size_t i = 0; i < b->n && drop_n; i++)
                if (b->rows[i].here)
                        b->rows[kept++] = b->rows[i];
        if (drop_n)
                b->n = kept;
        kept = b->n;
        for (size_t i = 0; i < put_n; i++) {
                struct row key = put[i],
                           *r = kept ? bsearch(&key, b->rows, kept, sizeof key, by_there) : NULL;

                if (r) {
                        *r = put[i];
                        continue;
                }
                sorted &= !b->n || b->rows[b->n - 1].there < put[i].there;
                add_row(b, put[i]);
        }
        if (!sorted)
                qsort(b->rows, b->n, sizeof *b->rows, by_there);
        return 0;
}
