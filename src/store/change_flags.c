/* Flags and keywords. */
#include "base/mem.h"
#include "store/change_inside.h"
#include <errno.h>

enum { KEYWORD_FIRST = 8, KEYWORDS = 64 };

uint64_t flags_allowed(const struct access *x)
{
        const uint64_t others = ~(uint64_t)(FLAG_SEEN | FLAG_DELETED);

        return (x->rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (x->rights & RIGHT_DELETE ? FLAG_DELETED : 0) |
               (x->rights & RIGHT_WRITE ? others : 0);
}

struct flags_job {
        const struct access *x;
        struct flags_change *c;
        struct db *d;
        struct counter all, box;
        struct seen_piece seen;
        uint64_t allowed;
        uint32_t first, last; /* that were changed */
};

static uint64_t wanted(const struct flags_job *j, uint64_t flags)
{
        uint64_t asked = j->c->flags & j->allowed;

        switch (j->c->how) {
        case FLAGS_ADD: return flags | asked;
        case FLAGS_REMOVE: return flags & ~asked;
        case FLAGS_SET:
        default: return (flags & ~j->allowed) | asked;
        }
}

/* The owner's flags lie in the page; another reader's \Seen lies apart. */
static int change_one(void *context, struct placed *p)
{
        struct flags_job *j = context;
        struct placed shown = *p;
        uint64_t flags, common;
        bool seen = p->flags & FLAG_SEEN;
        int rc = 0;

        if (p->modseq > j->c->unchanged_since) {
                uid_list_add(&j->c->modified, p->uid, p->uid);
                return PLACED_SAME;
        }
        if (j->x->reader_number)
                rc = seen_get(j->d, &j->seen, p->uid, &seen);
        shown.flags = (p->flags & ~(uint64_t)FLAG_SEEN) | (seen ? FLAG_SEEN : 0);
        flags = wanted(j, shown.flags);
        if (rc || flags == shown.flags) {
                placed_add(&j->c->changed, &shown);
                return rc;
        }
        if (!j->first)
                j->first = p->uid;
        j->last = p->uid;
        common = flags;
        if (j->x->reader_number) {
                common = (flags & ~(uint64_t)FLAG_SEEN) | (p->flags & FLAG_SEEN);
                rc = seen_set(j->d, &j->seen, p->uid, flags & FLAG_SEEN);
        }
        counter_lost(&j->box, p);
        p->flags = common;
        p->modseq = j->all.modseq + 1;
        counter_took(&j->box, p);
        shown.flags = flags;
        shown.modseq = p->modseq;
        placed_add(&j->c->changed, &shown);
        return rc ? rc : PLACED_CHANGED;
}

static int change_all(struct db *d, void *arg)
{
        struct flags_job *j = arg;
        int rc = account_writes(d);

        j->d = d;
        j->c->changed.n = j->c->modified.n = 0;
        j->first = j->last = 0;
        j->seen = (struct seen_piece){ .mailbox = j->x->mailbox, .reader = j->x->reader_number };
        if (!rc)
                rc = mailbox_current(d, j->x->mailbox, j->x->uidvalidity);
        if (!rc)
                rc = counter_read(d, 0, &j->all);
        if (!rc)
                rc = counter_read(d, j->x->mailbox, &j->box);
        if (!rc)
                rc = counter_ahead(d, &j->all, 0, 1);
        if (!rc)
                rc = pages_write(d, j->x->mailbox, j->c->uids, j->c->n, change_one, j);
        if (!rc)
                rc = seen_store(d, &j->seen);
        if (rc || !j->first)
                return rc;
        j->box.modseq = j->box.modsafe = ++j->all.modseq;
        ring_note(&j->box, j->all.modseq, j->first, j->last);
        rc = counter_write(d, &j->box);
        return rc ? rc : counter_write(d, &j->all);
}

int change_flags(struct access *x, struct flags_change *c)
{
        struct flags_job j = { .x = x, .c = c, .allowed = flags_allowed(x) };
        int rc;

        c->changed = (struct placed_list){ 0 };
        c->modified = (struct uid_list){ 0 };
        c->denied = c->flags & ~j.allowed;
        if (!j.allowed || (c->flags && !(c->flags & j.allowed) && c->how != FLAGS_SET))
                return -EACCES;
        rc = account_change(x->account, "change flags", NULL, change_all, &j, DB_WRITE);
        if (rc) {
                placed_list_free(&c->changed);
                uid_list_free(&c->modified);
        }
        return rc;
}

struct keyword_job {
        struct arena *a; /* NULL: only look for `name` */
        struct keyword_list *out;
        struct str name;
        unsigned bit; /* of name; 0: none */
        uint64_t bits;
};

static int read_keywords(struct db *d, void *arg)
{
        struct keyword_job *j = arg;
        struct db_row q = db_query(d, KEYWORD_ALL);

        j->bits = 0;
        j->bit = 0;
        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                uint64_t bit = db_u64(&q, 0);

                if (bit < KEYWORD_FIRST || bit >= KEYWORDS)
                        continue;
                j->bits |= (uint64_t)1 << bit;
                if (j->a)
                        j->out->names[bit] = arena_str(j->a, db_text(&q, 1));
                else if (str_ieq(db_text(&q, 1), j->name))
                        j->bit = (unsigned)bit;
        }
        return db_end(&q);
}

int change_keywords(struct access *x, struct arena *a, struct keyword_list *out)
{
        struct keyword_job j = { .a = a, .out = out };
        int rc;

        *out = (struct keyword_list){ 0 };
        rc = db_transact(x->account->db, "keywords", read_keywords, &j, DB_READ);
        out->bits = j.bits;
        return rc;
}

static int add_keyword(struct db *d, void *arg)
{
        struct keyword_job *j = arg;
        struct db_row q;
        int rc = account_writes(d);

        if (!rc)
                rc = read_keywords(d, j);
        if (rc || j->bit)
                return rc;
        for (j->bit = KEYWORD_FIRST; j->bit < KEYWORDS && j->bits >> j->bit & 1; j->bit++)
                ;
        if (j->bit == KEYWORDS)
                return -ENOSPC;
        q = db_query(d, KEYWORD_ADD);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->bit);
        db_bind_text(&q, 3, j->name);
        return db_exec(&q);
}

int change_keyword(struct access *x, struct str name, unsigned *bit)
{
        struct keyword_job j = { .name = name };
        int rc;

        if (!(x->rights & (RIGHT_WRITE | RIGHT_INSERT)))
                return -EACCES;
        if (name.n > KEYWORD_NAME_MOST)
                return -E2BIG;
        rc = db_transact(x->account->db, "find keyword", read_keywords, &j, DB_READ);
        if (!rc && !j.bit)
                rc = account_change(x->account, "add keyword", NULL, add_keyword, &j, DB_WRITE);
        *bit = j.bit;
        return rc;
}
