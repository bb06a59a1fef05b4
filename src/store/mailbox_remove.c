/* Removing mailboxes, and giving them other names. */
#include "base/mem.h"
#include "store/mailbox_inside.h"
#include <errno.h>

enum { SLICE = 4096 }; /* letters that go in one transaction */

struct remove_job {
        struct account *a;
        struct reader_name reader;
        struct str path;
        uint32_t mailbox;
        struct mailbox_view view;
        struct identifiers named;
};

/* A name that may go from where it is: it is there, one may know of it, and it is not INBOX (RFC 4314 §4). */
static int may_take_away(struct db *d, const struct reader_name *reader, struct str path,
                         struct mailbox_walk *w)
{
        unsigned rights = 0;
        int rc = mailbox_walk(d, path, w);

        if (!rc && w->rest.n)
                rc = -ENOENT;
        if (!rc)
                rc = acl_rights(d, reader, w->mailbox, &rights);
        if (!rc && !(rights & RIGHT_LOOKUP))
                rc = -ENOENT;
        if (!rc && !(rights & RIGHT_DELETE_MAILBOX))
                rc = -EACCES;
        return rc || w->mailbox != MAILBOX_INBOX ? rc : -EPERM;
}

/* What must hold; and where its letters are. */
static int may_delete(struct db *d, struct remove_job *j, struct mailbox_row *row)
{
        struct mailbox_walk w;
        int rc = may_take_away(d, &j->reader, j->path, &w);

        if (!rc)
                rc = mailbox_row(d, w.mailbox, row);
        if (!rc && !row->selectable && mailbox_has_children(d, w.mailbox, &rc))
                rc = -ENOTEMPTY;
        j->mailbox = w.mailbox;
        return rc;
}

static int look(struct db *d, void *arg)
{
        struct remove_job *j = arg;
        struct mailbox_row row;
        struct db_row q;
        int rc = may_delete(d, j, &row);

        if (rc)
                return rc;
        q = db_query(d, MAILBOX_VIEW);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, j->mailbox);
        rc = -EBADMSG;
        if (db_next(&q)) {
                j->view = (struct mailbox_view){
                        .mailbox = j->mailbox,
                        .uidvalidity = (uint32_t)db_u64(&q, 0),
                        .uidnext = (uint32_t)db_u64(&q, 1),
                        .count = (uint32_t)db_u64(&q, 2),
                        .modseq = db_u64(&q, 4),
                };
                rc = 0;
        }
        return db_end(&q) ? db_end(&q) : rc;
}

static int add_gone(struct db *d, uint32_t mailbox, uint64_t modseq)
{
        struct db_row q = db_query(d, GONE_ADD);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, modseq);
        db_bind_u64(&q, 3, mailbox);
        db_bind_u64(&q, 4, 0);
        db_bind_u64(&q, 5, 0);
        db_bind_u64(&q, 6, 0);
        db_bind_u64(&q, 7, (uint64_t)(wall_usec() / 1000000));
        db_bind_null(&q, 8);
        return db_exec(&q);
}

/* All rows that name it, except those of its letters: there are none any more. */
static int drop_rows(struct db *d, uint32_t mailbox)
{
        static const unsigned statements[] = { ACL_DROP,     ANNOTATION_DROP, SEEN_FORGET,
                                               VISIT_FORGET, COUNTER_DROP,    MAILBOX_DROP };
        int rc = 0;

        for (size_t i = 0; i < sizeof statements / sizeof statements[0] && !rc; i++)
                rc = mailbox_statement(d, statements[i], mailbox, UINT64_MAX);
        return rc;
}

static int adopt(struct db *d, uint32_t from, uint32_t to, uint64_t modseq)
{
        struct db_row q = db_query(d, MAILBOX_ADOPT);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, from);
        db_bind_u64(&q, 3, to);
        db_bind_u64(&q, 4, modseq);
        return db_exec(&q);
}

/* What lies below it hangs from then on under a name of its own, with a number of its own. */
static int leave_name(struct db *d, uint32_t mailbox, uint64_t modseq, uint32_t parent, struct str name)
{
        uint32_t fresh = 0;
        int rc = mailbox_statement(d, MAILBOX_DROP, mailbox, UINT64_MAX); /* two of a name cannot be */

        if (!rc)
                rc = mailbox_insert(d, modseq, parent, name, false, &fresh);
        if (!rc)
                rc = acl_copy(d, mailbox, fresh);
        return rc ? rc : adopt(d, mailbox, fresh, modseq);
}

/* -EAGAIN: letters have come meanwhile. */
static int drop(struct db *d, void *arg)
{
        struct remove_job *j = arg;
        uint32_t looked_at = j->mailbox;
        size_t slash = str_rfind(j->path, '/');
        struct str name = slash == STR_NONE ? j->path : str_from_at(j->path, slash + 1);
        struct counter all, own;
        struct mailbox_row row;
        bool children = false;
        int rc = mailbox_begin(d, &all);

        if (!rc)
                rc = may_delete(d, j, &row);
        if (!rc)
                rc = counter_read(d, j->mailbox, &own);
        if (!rc && (own.count || j->mailbox != looked_at))
                rc = -EAGAIN;
        if (!rc)
                rc = acl_identifiers(d, j->mailbox, &j->named);
        if (!rc)
                children = mailbox_has_children(d, j->mailbox, &rc);
        if (!rc && children)
                rc = leave_name(d, j->mailbox, all.modseq, row.parent, name);
        if (!rc)
                rc = drop_rows(d, j->mailbox);
        if (!rc)
                rc = add_gone(d, j->mailbox, all.modseq);
        return rc ? rc : counter_write(d, &all);
}

/* In slices, so that others get their turn. */
static int drop_letters(struct remove_job *j)
{
        uint32_t *uids = mem_array(SLICE, sizeof *uids);
        struct placed *list = NULL;
        size_t n = 0;
        int rc = account_list(j->a, &j->view, &list, &n);

        for (size_t i = 0; i < n && !rc;) {
                size_t k = 0;

                while (i < n && k < SLICE)
                        uids[k++] = list[i++].uid;
                rc = account_expunge(j->a, &j->view, uids, k);
        }
        account_list_free(&list);
        mem_free(uids);
        return rc;
}

int mailbox_delete(struct account *a, struct str reader, struct str path)
{
        struct arena m auto_arena;
        struct remove_job j = { .a = a, .reader = reader_of(a, reader), .path = path };
        nsec deadline = in_seconds(60);
        int rc;

        arena_init(&m, 64 * 1024 * 1024);
        j.named.m = &m;
        if (!mailbox_path_valid(path))
                return -ENOENT;
        do {
                rc = db_transact(a->db, "look at mailbox", look, &j, DB_READ);
                if (!rc && j.view.count)
                        rc = drop_letters(&j);
                if (!rc)
                        rc = account_change(a, "delete mailbox", NULL, drop, &j, DB_SYNC);
        } while ((rc == -EAGAIN || rc == -ESTALE) && now() < deadline);
        if (!rc)
                (void)acl_tell(a, &j.named);
        return rc;
}

struct rename_job {
        struct reader_name reader;
        struct str from, to;
};

/* Is `mailbox` that one, or below it? */
static int below(struct db *d, uint32_t mailbox, uint32_t that, bool *is)
{
        struct mailbox_row row;
        int rc = 0;

        *is = false;
        for (unsigned depth = 0; mailbox && !rc && depth <= MAILBOX_DEPTH_MAX; depth++) {
                if (mailbox == that) {
                        *is = true;
                        return 0;
                }
                rc = mailbox_row(d, mailbox, &row);
                mailbox = row.parent;
        }
        return rc;
}

/* Its name becomes so long, in bytes and names: may all that lies below it stand there? */
static int fits_below(struct db *d, uint32_t mailbox, size_t bytes, unsigned names)
{
        struct arena m auto_arena;
        struct tree_row *rows;
        size_t n;
        int rc;

        arena_init(&m, 16 * 1024 * 1024);
        rc = mailbox_tree(d, &m, &rows, &n);
        for (size_t i = 0; i < n && !rc; i++) {
                const struct tree_row *row = &rows[i];
                size_t length = bytes;
                unsigned depth = names;

                while (row && row->mailbox != mailbox && depth <= MAILBOX_DEPTH_MAX) {
                        length += 1 + row->name.n;
                        depth++;
                        row = tree_find(rows, n, row->parent);
                }
                if (row && row->mailbox == mailbox &&
                    (length > MAILBOX_PATH_MAX || depth > MAILBOX_DEPTH_MAX))
                        rc = -EINVAL;
        }
        return rc;
}

static int may_rename(struct db *d, struct rename_job *j, uint32_t *mailbox)
{
        struct mailbox_walk w;
        unsigned names = 1;
        int rc = may_take_away(d, &j->reader, j->from, &w);

        for (size_t i = 0; i < j->to.n; i++)
                names += j->to.p[i] == '/';
        *mailbox = w.mailbox;
        return rc ? rc : fits_below(d, w.mailbox, j->to.n, names);
}

/* Somebody is there already: said only to who may see it. */
static int taken(struct db *d, const struct rename_job *j, uint32_t mailbox)
{
        unsigned rights;
        int rc = acl_rights(d, &j->reader, mailbox, &rights);

        return rc ? rc : rights & RIGHT_LOOKUP ? -EEXIST : -EACCES;
}

static int move_name(struct db *d, uint32_t mailbox, uint32_t parent, struct str name, uint64_t modseq)
{
        struct db_row q = db_query(d, MAILBOX_MOVE);

        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        db_bind_u64(&q, 3, parent);
        db_bind_text(&q, 4, name);
        db_bind_u64(&q, 5, modseq);
        return db_exec(&q);
}

static int rename_it(struct db *d, void *arg)
{
        struct rename_job *j = arg;
        struct mailbox_walk w;
        struct counter all;
        uint32_t mailbox;
        bool inside;
        int rc = mailbox_begin(d, &all);

        if (!rc)
                rc = may_rename(d, j, &mailbox);
        if (!rc)
                rc = mailbox_walk(d, j->to, &w);
        if (!rc && !w.rest.n)
                return taken(d, j, w.mailbox);
        if (!rc)
                rc = below(d, w.mailbox, mailbox, &inside);
        if (!rc && inside)
                rc = -EINVAL;
        if (!rc)
                rc = mailbox_make(d, &j->reader, all.modseq, &w, false);
        if (!rc)
                rc = move_name(d, mailbox, w.mailbox, mailbox_first_name(&w.rest, !w.mailbox), all.modseq);
        return rc ? rc : counter_write(d, &all);
}

int mailbox_rename(struct account *a, struct str reader, struct str from, struct str to)
{
        struct rename_job j = { reader_of(a, reader), from, to };

        if (!mailbox_path_valid(to))
                return -EINVAL;
        if (!mailbox_path_valid(from))
                return -ENOENT;
        if (str_ieq(from, INBOX))
                return mailbox_rename_inbox(a, reader, to);
        return account_change(a, "rename mailbox", NULL, rename_it, &j, DB_SYNC);
}
