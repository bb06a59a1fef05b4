/* The outbox for people: what waits and why, and what they want done about it. */
#include "store/outbox_inside.h"
#include "base/mem.h"
#include "run/log.h"
#include "run/offload.h"
#include <errno.h>

enum { FEW = 20000 }; /* recipients of a domain: some milliseconds a page */

struct reading {
        struct outbox *outbox;
        struct arena *arena;
        const struct outbox_filter *filter;
        uint64_t after; /* pages begin behind this letter */
        struct outbox_letter *list;
        size_t n, most;
        struct outbox_attempt *attempts;
        struct buf *text;
};

static bool in(struct str text, struct str needle)
{
        return !needle.n || str_search(text, needle) != STR_NONE;
}

/* One recipient's row: address, state, attempts, next, reason. */
static bool recipient_fits(const struct outbox_filter *f, struct db_row *q)
{
        struct str address = db_text(q, 1);
        size_t at = str_rfind(address, '@');

        return (!f->state || f->state == db_u64(q, 2)) &&
               (!f->recipient.n || str_ieq(address, f->recipient)) &&
               (!f->domain.n || (at != STR_NONE && str_ieq(str_from_at(address, at + 1), f->domain))) &&
               in(db_text(q, 5), f->reason);
}

static const char *const states[] = {
        [RECIPIENT_QUEUED] = "queued", [RECIPIENT_HELD] = "held", [RECIPIENT_CONDEMNED] = "to be bounced"
};

/* Fills in what the recipients say; true: one of them fits. */
static int read_recipients(struct db *d, struct reading *r, struct outbox_letter *l, bool *fits)
{
        struct db_row q = db_query(d, RECIPIENTS);
        auto_buf struct buf lines = { 0 };
        int rc;

        buf_init(&lines, (size_t)64 * 1024 * 1024);
        *fits = false;
        db_bind_u64(&q, 1, l->id);
        while (db_next(&q)) {
                uint64_t state = db_u64(&q, 2), next = db_u64(&q, 4);

                buf_printf(&lines, "%s" PRS " (%s", lines.n ? "\n" : "", STR(db_text(&q, 1)),
                           state < sizeof(states) / sizeof(*states) && states[state] ? states[state] : "?");
                if (db_u64(&q, 3))
                        buf_printf(&lines, ", %llu attempt%s", (unsigned long long)db_u64(&q, 3),
                                   db_u64(&q, 3) == 1 ? "" : "s");
                if (db_text(&q, 5).n)
                        buf_printf(&lines, ": " PRS, STR(db_text(&q, 5)));
                buf_puts(&lines, S(")"));
                if (state == RECIPIENT_QUEUED && (!l->waiting || (int64_t)next < l->next))
                        l->next = (int64_t)next;
                l->waiting++;
                *fits |= recipient_fits(r->filter, &q);
        }
        rc = db_end(&q);
        if (*fits) /* what does not takes no memory: there may be a million of them */
                l->recipients = arena_str(r->arena, buf_str(&lines));
        return rc;
}

static bool letter_fits(const struct outbox_filter *f, struct db_row *q)
{
        return (!f->letter || f->letter == db_u64(q, 0)) &&
               (!f->sender.n || str_ieq(f->sender, db_text(q, 1))) &&
               (!f->before || (int64_t)db_u64(q, 2) < f->before);
}

/* The letters behind `after` that the filter may let through, in their order. Those of a domain that has few are found by its
 * recipients, or it would take a walk over a million others; those of one that has many are soon come upon. What is held has an index. */
static struct db_row letters_behind(struct db *d, const struct outbox_filter *f, uint64_t after)
{
        enum outbox_statement which = f->state == RECIPIENT_HELD ? LETTERS_HELD : LETTERS;
        struct db_row q;

        if (f->domain.n) {
                which = LETTERS_TO;
                q = db_query(d, RECIPIENTS_TO);
                db_bind_text(&q, 1, f->domain);
                db_bind_u64(&q, 2, FEW);
                if (db_next(&q) && db_u64(&q, 0) < FEW)
                        which = LETTERS_TO_FEW;
                if (db_end(&q) < 0)
                        which = LETTERS_TO; /* says so itself */
        }
        q = db_query(d, which);
        db_bind_u64(&q, 1, f->letter > after ? f->letter - 1 : after);
        if (f->domain.n)
                db_bind_text(&q, 2, f->domain);
        return q;
}

static int read_page(struct db *d, void *arg)
{
        struct reading *r = arg;
        struct db_row q = letters_behind(d, r->filter, r->after);
        bool fits;
        int rc = 0;

        r->n = 0;
        while (r->n < r->most && rc >= 0 && db_next(&q)) {
                struct outbox_letter *l = &r->list[r->n];

                if (r->filter->letter && db_u64(&q, 0) > r->filter->letter)
                        break;
                if (!letter_fits(r->filter, &q))
                        continue;
                *l = (struct outbox_letter){ .id = db_u64(&q, 0),
                                             .received = (int64_t)db_u64(&q, 2),
                                             .size = db_u64(&q, 3) };
                rc = read_recipients(d, r, l, &fits);
                if (fits)
                        l->sender = arena_str(r->arena, db_text(&q, 1));
                r->n += fits;
        }
        if (rc < 0) {
                (void)!db_end(&q);
                return rc;
        }
        return db_end(&q);
}

int outbox_list(struct outbox *o, const struct outbox_filter *f, uint64_t after, struct arena *a,
                struct outbox_letter *list, size_t *n)
{
        struct reading r = { .outbox = o, .arena = a, .filter = f, .after = after, .list = list, .most = *n };
        int rc = db_transact(o->db, "outbox list", read_page, &r, DB_READ | DB_LONG);

        *n = rc < 0 ? 0 : r.n;
        return rc < 0 ? rc : 0;
}

static int read_attempts(struct db *d, struct reading *r)
{
        struct db_row q = db_query(d, ATTEMPTS);
        size_t room = 0;

        db_bind_u64(&q, 1, r->list->id);
        for (r->n = 0; db_next(&q); r->n++) {
                if (r->n == room) {
                        struct outbox_attempt *old = r->attempts;

                        room = room ? 2 * room : 8;
                        r->attempts = arena_array(r->arena, struct outbox_attempt, room);
                        for (size_t i = 0; i < r->n; i++)
                                r->attempts[i] = old[i];
                }
                r->attempts[r->n] =
                    (struct outbox_attempt){ (int64_t)db_u64(&q, 0), arena_str(r->arena, db_text(&q, 1)),
                                             arena_str(r->arena, db_text(&q, 2)),
                                             arena_str(r->arena, db_text(&q, 3)) };
        }
        return db_end(&q);
}

static int read_one(struct db *d, void *arg)
{
        struct reading *r = arg;
        struct outbox_letter *l = r->list;
        struct db_row q = db_query(d, LETTER);
        size_t before = r->text->n;
        bool found, in_file = false, fits;
        char name[24];
        int rc;

        r->text->n = before;
        db_bind_u64(&q, 1, l->id);
        found = db_next(&q);
        if (found) {
                *l = (struct outbox_letter){ .id = l->id,
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
        rc = read_recipients(d, r, l, &fits);
        if (rc >= 0)
                rc = read_attempts(d, r);
        body_name(l->id, name);
        if (rc >= 0 && in_file)
                rc = body_read(r->outbox->bodies, name, 0, (size_t)l->size, r->text);
        return rc >= 0 && r->text->full ? -EFBIG : rc;
}

int outbox_show(struct outbox *o, uint64_t id, struct arena *a, struct outbox_letter *letter,
                struct outbox_attempt **attempts, size_t *n, struct buf *text)
{
        static const struct outbox_filter any;
        struct reading r = { .outbox = o, .arena = a, .filter = &any, .list = letter, .text = text };
        int rc;

        *letter = (struct outbox_letter){ .id = id };
        rc = db_transact(o->db, "outbox show", read_one, &r, DB_READ);
        *attempts = r.attempts;
        *n = rc < 0 ? 0 : r.n;
        return rc < 0 ? rc : 0;
}

/* ---- orders ---- */

enum { SLICE = 1000 }; /* letters a transaction */

struct ordering {
        struct outbox *outbox;
        enum outbox_order what;
        const struct outbox_filter *filter;
        uint64_t after, done;
        uint64_t letters[SLICE], files[SLICE]; /* of the slice; whose bodies go */
        size_t n, file_count;
};

static int slice_letters(struct db *d, struct ordering *g)
{
        struct db_row q = letters_behind(d, g->filter, g->after);

        for (g->n = 0; g->n < SLICE && db_next(&q);) {
                if (g->filter->letter && db_u64(&q, 0) > g->filter->letter)
                        break;
                if (letter_fits(g->filter, &q))
                        g->letters[g->n++] = db_u64(&q, 0);
        }
        return db_end(&q);
}

static int order_row(struct db *d, const struct ordering *g, uint64_t letter, uint32_t number)
{
        static const uint8_t state[] = { [ORDER_RETRY] = RECIPIENT_QUEUED,
                                         [ORDER_HOLD] = RECIPIENT_HELD,
                                         [ORDER_RELEASE] = RECIPIENT_QUEUED,
                                         [ORDER_BOUNCE] = RECIPIENT_CONDEMNED };
        struct db_row q = db_query(d, g->what == ORDER_REMOVE ? RECIPIENT_DROP : ORDER_STATE);

        db_bind_u64(&q, 1, letter);
        db_bind_u64(&q, 2, number);
        if (g->what != ORDER_REMOVE)
                db_bind_u64(&q, 3, state[g->what]);
        return db_exec(&q);
}

/* What is held is not retried: it is released. */
static bool order_fits(const struct ordering *g, struct db_row *q)
{
        return recipient_fits(g->filter, q) && (g->what != ORDER_RETRY || db_u64(q, 2) == RECIPIENT_QUEUED) &&
               (g->what != ORDER_RELEASE || db_u64(q, 2) == RECIPIENT_HELD);
}

static int order_letter(struct db *d, struct ordering *g, uint64_t letter)
{
        uint32_t numbers[64];
        uint32_t from = 0; /* a row that was looked at is not looked at again */
        size_t n = 64;
        int rc = 0;

        while (n == 64 && rc >= 0) {
                struct db_row q = db_query(d, RECIPIENTS);

                db_bind_u64(&q, 1, letter);
                for (n = 0; n < 64 && db_next(&q);)
                        if (db_u64(&q, 0) >= from && order_fits(g, &q))
                                numbers[n++] = (uint32_t)db_u64(&q, 0);
                rc = db_end(&q);
                for (size_t i = 0; i < n && rc >= 0; i++) {
                        rc = order_row(d, g, letter, numbers[i]);
                        from = numbers[i] + 1;
                        g->done++;
                }
        }
        return rc;
}

static int order_slice(struct db *d, void *arg)
{
        struct ordering *g = arg;
        uint64_t done = g->done;
        int rc = slice_letters(d, g);

        g->file_count = 0;
        for (size_t i = 0; i < g->n && rc >= 0; i++) {
                rc = order_letter(d, g, g->letters[i]);
                if (rc >= 0 && g->what == ORDER_REMOVE) {
                        rc = outbox_letter_end(d, g->letters[i]);
                        if (rc == 1)
                                g->files[g->file_count++] = g->letters[i];
                } else if (rc >= 0) {
                        struct db_row q = db_query(d, DESTINATIONS_RETRY);

                        db_bind_u64(&q, 1, g->letters[i]);
                        rc = db_exec(&q);
                }
        }
        if (rc < 0)
                g->done = done;
        return rc < 0 ? rc : 0;
}

static int drop_files(void *arg)
{
        struct ordering *g = arg;

        for (size_t i = 0; i < g->file_count; i++)
                if (body_drop(g->outbox->bodies, g->files[i]) < 0)
                        log_warn("outbox-body", "letter=%llu what=\"its body goes at the next start\"",
                                 (unsigned long long)g->files[i]);
        return 0;
}

int outbox_order(struct outbox *o, enum outbox_order what, const struct outbox_filter *f, uint64_t *n)
{
        struct ordering *g = mem_new(struct ordering);
        int rc;

        *g = (struct ordering){ .outbox = o, .what = what, .filter = f };
        do {
                rc = db_transact(o->db, "outbox order", order_slice, g, DB_SYNC | DB_LONG);
                if (rc >= 0 && g->file_count)
                        offload(LONG, drop_files, g);
                if (g->n)
                        g->after = g->letters[g->n - 1];
        } while (rc >= 0 && g->n == SLICE);
        *n = g->done;
        if (g->done && o->put)
                o->put(o->put_context);
        mem_free(g);
        return rc < 0 ? rc : 0;
}

struct counting {
        struct outbox_numbers *out;
};

static int count(struct db *d, void *arg)
{
        struct outbox_numbers *n = ((struct counting *)arg)->out;
        struct db_row q = db_query(d, NUMBERS);

        db_bind_u64(&q, 1, (uint64_t)NEVER);
        if (db_next(&q))
                *n = (struct outbox_numbers){ db_u64(&q, 0), db_u64(&q, 1), db_u64(&q, 2), db_u64(&q, 3),
                                              (int64_t)db_u64(&q, 4) };
        return db_end(&q);
}

int outbox_numbers(struct outbox *o, struct outbox_numbers *n)
{
        struct counting c = { n };
        int rc = db_transact(o->db, "outbox numbers", count, &c, DB_READ | DB_LONG);

        return rc < 0 ? rc : 0;
}

/* ---- lists ---- */

struct bouncing {
        struct str list, member;
        int64_t at;
        struct arena *arena;
        struct outbox_bounce *rows;
        size_t n;
};

static int note_bounce(struct db *d, void *arg)
{
        const struct bouncing *b = arg;
        struct db_row q = db_query(d, BOUNCED);

        db_bind_text(&q, 1, b->list);
        db_bind_text(&q, 2, b->member);
        db_bind_u64(&q, 3, (uint64_t)b->at);
        return db_exec(&q);
}

int outbox_bounced(struct outbox *o, struct str list, struct str member, int64_t at)
{
        struct bouncing b = { .list = list, .member = member, .at = at };

        return db_transact(o->db, "outbox bounced", note_bounce, &b, DB_WRITE);
}

static int read_bounces(struct db *d, void *arg)
{
        struct bouncing *b = arg;
        struct db_row q = db_query(d, BOUNCES);
        size_t room = 0;

        db_bind_text(&q, 1, b->list);
        for (b->n = 0; db_next(&q); b->n++) {
                if (b->n == room) {
                        struct outbox_bounce *old = b->rows;

                        room = room ? 2 * room : 16;
                        b->rows = arena_array(b->arena, struct outbox_bounce, room);
                        for (size_t i = 0; i < b->n; i++)
                                b->rows[i] = old[i];
                }
                b->rows[b->n] = (struct outbox_bounce){ arena_str(b->arena, db_text(&q, 0)), db_u64(&q, 1),
                                                        (int64_t)db_u64(&q, 2) };
        }
        return db_end(&q);
}

int outbox_bounces(struct outbox *o, struct str list, struct arena *a, struct outbox_bounce **rows, size_t *n)
{
        struct bouncing b = { .list = list, .arena = a };
        int rc = db_transact(o->db, "outbox bounces", read_bounces, &b, DB_READ);

        *rows = b.rows;
        *n = rc < 0 ? 0 : b.n;
        return rc < 0 ? rc : 0;
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

        db_bind_u64(&q, 1, 0);
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
                rc = check_list(d, c, LOST_DESTINATIONS, "a recipient has no destination");
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
