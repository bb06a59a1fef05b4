#include "store/outbox_inside.h"
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"
#include <errno.h>

struct reading {
        struct outbox *outbox;
        struct arena *arena;
        struct outbox_letter *list;
        size_t n, room;
        uint64_t letter;
        struct buf *text;
};

static int read_recipients(struct db *d, struct reading *r, struct outbox_letter *l)
{
        struct db_row q = db_query(d, RECIPIENTS);
        struct buf lines;
        int rc;

        buf_init(&lines, (size_t)64 * 1024 * 1024);
        l->waiting = 0;
        db_bind_u64(&q, 1, l->id);
        while (db_next(&q)) {
                struct str address = db_text(&q, 0), reason = db_text(&q, 1);

                buf_printf(&lines, "%s" PRS " (" PRS ")", l->waiting ? "\n" : "", STR(address), STR(reason));
                l->waiting++;
        }
        rc = db_end(&q);
        l->recipients = arena_str(r->arena, buf_str(&lines));
        buf_free(&lines);
        return rc;
}

static int read_all(struct db *d, void *arg)
{
        struct reading *r = arg;
        struct db_row q = db_query(d, LETTERS);
        int rc;

        r->n = 0;
        while (db_next(&q)) {
                if (r->n == r->room) {
                        r->room = r->room ? 2 * r->room : 16;
                        r->list = mem_grow(r->list, r->room, sizeof *r->list);
                }
                r->list[r->n++] = (struct outbox_letter){ .id = db_u64(&q, 0),
                                                          .sender = arena_str(r->arena, db_text(&q, 1)),
                                                          .received = (int64_t)db_u64(&q, 2),
                                                          .size = db_u64(&q, 3) };
        }
        rc = db_end(&q);
        for (size_t k = 0; rc >= 0 && k < r->n; k++)
                rc = read_recipients(d, r, &r->list[k]);
        return rc;
}

int outbox_list(struct outbox *o, struct arena *a, struct outbox_letter **list, size_t *n)
{
        struct reading r = { .outbox = o, .arena = a };
        int rc = db_transact(o->db, "outbox list", read_all, &r, DB_READ);

        *n = rc < 0 ? 0 : r.n;
        *list = arena_array(a, struct outbox_letter, *n);
        for (size_t k = 0; k < *n; k++)
                (*list)[k] = r.list[k];
        mem_free(r.list);
        return rc;
}

static int read_one(struct db *d, void *arg)
{
        struct reading *r = arg;
        struct db_row q = db_query(d, LETTER);
        bool found, in_file = false;
        size_t before = r->text->n;
        char name[24];
        int rc;

        r->text->n = before;
        db_bind_u64(&q, 1, r->letter);
        found = db_next(&q);
        if (found) {
                *r->list = (struct outbox_letter){ .id = r->letter,
                                                   .sender = arena_str(r->arena, db_text(&q, 0)),
                                                   .received = (int64_t)db_u64(&q, 1),
                                                   .size = db_u64(&q, 2) };
                in_file = db_null(&q, 3);
                if (!in_file)
                        buf_puts(r->text, db_blob(&q, 3));
        }
        rc = db_end(&q);
        if (rc < 0 || !found)
                return rc < 0 ? rc : -ENOENT;
        rc = read_recipients(d, r, r->list);
        body_name(r->letter, name);
        if (rc >= 0 && in_file)
                rc = body_read(r->outbox->bodies, name, 0, (size_t)r->list->size, r->text);
        return rc >= 0 && r->text->full ? -EFBIG : rc;
}

int outbox_show(struct outbox *o, uint64_t id, struct arena *a, struct outbox_letter *letter,
                struct buf *text)
{
        struct reading r = { .outbox = o, .arena = a, .list = letter, .letter = id, .text = text };
        int rc = db_transact(o->db, "outbox show", read_one, &r, DB_READ);

        return rc < 0 ? rc : 0;
}

struct removal {
        struct outbox *outbox;
        uint64_t letter;
        int kind;
};

static int remove_letter(struct db *d, void *arg)
{
        struct removal *r = arg;
        struct db_row q;
        int rc;

        r->kind = outbox_letter_kind(d, r->letter);
        if (r->kind <= 0)
                return r->kind ? r->kind : -ENOENT;
        q = db_query(d, RECIPIENTS_DROP);
        db_bind_u64(&q, 1, r->letter);
        rc = db_exec(&q);
        if (rc < 0)
                return rc;
        q = db_query(d, LETTER_DROP);
        db_bind_u64(&q, 1, r->letter);
        return db_exec(&q);
}

static int drop_body(void *arg)
{
        struct removal *r = arg;

        return body_drop(r->outbox->bodies, r->letter);
}

int outbox_remove(struct outbox *o, uint64_t id)
{
        struct removal r = { o, id, 0 };
        int rc = db_transact(o->db, "outbox remove", remove_letter, &r, DB_SYNC);

        if (rc >= 0 && r.kind == 2 && offload(LONG, drop_body, &r) < 0)
                log_warn("outbox-body", "letter=%llu what=\"its body goes at the next start\"",
                         (unsigned long long)id);
        return rc;
}

struct checking {
        struct outbox *outbox;
        struct buf *out;
        unsigned wrong;
};

static void complain(struct checking *c, const char *what, uint64_t letter)
{
        c->wrong++;
        buf_printf(c->out, "letter %llu: %s\n", (unsigned long long)letter, what);
}

static int check_orphan(struct outbox *o, uint64_t letter, void *arg)
{
        struct checking *c = arg;
        int kind = outbox_letter_kind(o->db, letter);

        if (kind == 0 || kind == 1)
                complain(c, "a body lies there without its letter", letter);
        return kind < 0 ? kind : 0;
}

static int check_bodies(struct db *d, struct checking *c)
{
        struct db_row q = db_query(d, LETTERS);
        uint64_t size;
        char name[24];
        int rc;

        while (db_next(&q)) {
                uint64_t letter = db_u64(&q, 0);

                if (outbox_letter_kind(d, letter) != 2)
                        continue;
                body_name(letter, name);
                rc = body_size(c->outbox->bodies, name, &size);
                if (rc < 0)
                        complain(c, rc == -ENOENT ? "its body is missing" : "its body cannot be read",
                                 letter);
                else if (size != db_u64(&q, 3))
                        complain(c, "its body has another size", letter);
        }
        return db_end(&q);
}

static int check_list(struct db *d, struct checking *c, enum outbox_statement s, const char *what)
{
        struct db_row q = db_query(d, s);

        while (db_next(&q))
                complain(c, what, db_u64(&q, 0));
        return db_end(&q);
}

static int check_all(struct db *d, void *arg)
{
        struct checking *c = arg;
        struct db_row q = db_query(d, INTEGRITY);
        int rc;

        c->wrong = 0;
        while (db_next(&q))
                if (!str_eq(db_text(&q, 0), S("ok"))) {
                        c->wrong++;
                        buf_printf(c->out, "outbox.db: " PRS "\n", STR(db_text(&q, 0)));
                }
        rc = db_end(&q);
        if (rc >= 0)
                rc = check_list(d, c, LOST_RECIPIENTS, "recipients without their letter");
        if (rc >= 0)
                rc = check_list(d, c, LETTERS_WITHOUT, "it has no recipients");
        if (rc >= 0)
                rc = check_bodies(d, c);
        return rc >= 0 ? outbox_each_body(c->outbox, check_orphan, c) : rc;
}

int outbox_check(struct outbox *o, struct buf *out, unsigned *wrong)
{
        struct checking c = { o, out, 0 };
        int rc = db_transact(o->db, "outbox check", check_all, &c, DB_READ);

        *wrong += c.wrong;
        return rc < 0 ? rc : 0;
}
