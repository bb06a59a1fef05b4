/* pail check, the mailboxes: a tree of names that can be, with numbers that were given out. */
#include "store/account_check_inside.h"
#include "store/mailbox_inside.h"
#include <errno.h>

/* How far from the top; 0: nowhere below it. */
static unsigned depth_of(const struct tree_row *row, struct tree_row *rows, size_t n)
{
        unsigned depth = 1;

        while (row->parent && depth <= MAILBOX_DEPTH_MAX) {
                row = tree_find(rows, n, row->parent);
                if (!row)
                        return 0;
                depth++;
        }
        return row->parent ? 0 : depth;
}

static int check_row(struct check *c, struct db *d, struct arena *m, const struct tree_row *row,
                     uint64_t next)
{
        struct str name = row->parent ? arena_printf(m, "x/" PRS, STR(row->name)) : row->name;
        struct counter count = { 0 };
        int rc = row->selectable ? 0 : counter_read(d, row->mailbox, &count);

        if (!mailbox_path_valid(name) || str_find(row->name, '/') != STR_NONE)
                check_complain(c, "mailbox %u has a name that cannot be", row->mailbox);
        if (row->mailbox >= next)
                check_complain(c, PRS ": mailbox %u was not yet given out", STR(row->name), row->mailbox);
        if (count.count)
                check_complain(c, PRS ": is only a name and holds %llu letters", STR(row->name),
                               (unsigned long long)count.count);
        if (row->created > c->all.modseq || row->changed > c->all.modseq)
                check_complain(c, PRS ": its modseq was not yet given out", STR(row->name));
        return rc == -ENOENT ? 0 : rc; /* that one is complained of elsewhere */
}

static int check_rights(struct check *c, struct db *d, struct tree_row *rows, size_t n)
{
        struct db_row q = db_query(d, ACL_ALL);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        while (db_next(&q)) {
                uint32_t mailbox = (uint32_t)db_u64(&q, 0);

                if (mailbox && !tree_find(rows, n, mailbox))
                        check_complain(c, "rights of " PRS " name mailbox %u, which is not there",
                                       STR(db_text(&q, 1)), mailbox);
        }
        return db_end(&q);
}

int check_names(struct check *c, struct db *d)
{
        struct arena m auto_arena;
        struct tree_row *rows;
        struct db_row q = db_query(d, NUMBERS_READ);
        uint64_t next = 0;
        size_t n = 0;
        int rc;

        arena_init(&m, SIZE_MAX);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        if (db_next(&q))
                next = db_u64(&q, 0);
        rc = db_end(&q);
        if (!rc)
                rc = mailbox_tree(d, &m, &rows, &n);
        for (size_t i = 0; i < n && !rc; i++) {
                if (!depth_of(&rows[i], rows, n))
                        check_complain(c, PRS ": hangs from nothing", STR(rows[i].name));
                rc = check_row(c, d, &m, &rows[i], next);
        }
        return rc ? rc : check_rights(c, d, rows, n);
}
