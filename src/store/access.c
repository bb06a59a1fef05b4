#include "store/access.h"
#include "base/mem.h"
#include "store/mailbox_inside.h"
#include <errno.h>

static const char letters[] = "lrswipkxtea"; /* bit by bit */

bool rights_parse(struct str s, unsigned *rights)
{
        *rights = 0;
        for (size_t i = 0; i < s.n; i++) {
                size_t at = str_find(str_of(letters), s.p[i]);

                if (s.p[i] == 'c')
                        *rights |= RIGHT_CREATE | RIGHT_DELETE_MAILBOX;
                else if (s.p[i] == 'd')
                        *rights |= RIGHT_DELETE | RIGHT_EXPUNGE;
                else if (at != STR_NONE)
                        *rights |= 1u << at;
                else
                        return false;
        }
        return true;
}

struct str rights_text(unsigned rights, char room[static 16])
{
        size_t n = 0;

        for (unsigned bit = 0; letters[bit]; bit++)
                if (rights & 1u << bit)
                        room[n++] = letters[bit];
        room[n] = 0;
        return str_from(room, n);
}

struct reader_name reader_of(struct account *a, struct str reader)
{
        size_t at = str_rfind(reader, '@');

        return (struct reader_name){
                .name = reader,
                .domain = at == STR_NONE ? S("") : str_from_at(reader, at + 1),
                .owner = str_eq(reader, account_name(a)),
        };
}

bool acl_fits(const struct reader_name *r, struct str identifier, bool *minus)
{
        *minus = str_starts(identifier, S("-"));
        if (*minus)
                identifier = str_from_at(identifier, 1);
        if (str_starts(identifier, S("$")))
                return r->domain.n && str_eq(str_from_at(identifier, 1), r->domain);
        return str_eq(identifier, S("anyone")) || str_eq(identifier, r->name);
}

/* What one identifier lets him do, another one forbids (RFC 4314 §2). */
int acl_rights(struct db *d, const struct reader_name *r, uint32_t mailbox, unsigned *rights)
{
        unsigned given = 0, taken = 0;
        struct db_row q;
        int rc;

        *rights = r->owner ? RIGHTS_ALL : 0;
        if (r->owner)
                return 0;
        q = db_query(d, ACL_OF);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_u64(&q, 2, mailbox);
        while (db_next(&q)) {
                bool minus;

                if (acl_fits(r, db_text(&q, 0), &minus))
                        *(minus ? &taken : &given) |= (unsigned)db_u64(&q, 1);
        }
        rc = db_end(&q);
        *rights = rc ? 0 : given & ~taken & RIGHTS_ALL;
        return rc;
}

struct open_job {
        struct reader_name reader;
        struct str path; /* or */
        const struct access_key *key;
        bool top; /* or neither: the account itself */
        unsigned needs;
        struct access *x;
};

/* Where letters cannot be, no right on letters is of use: whatever is asked of such an access is denied. */
#define ON_LETTERS \
        (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST | RIGHT_DELETE | RIGHT_EXPUNGE)

static int find(struct db *d, const struct open_job *j, struct mailbox_row *row)
{
        struct mailbox_walk w;
        int rc;

        if (j->top) {
                *row = (struct mailbox_row){ .selectable = false };
                return 0;
        }
        if (j->key) {
                rc = mailbox_row(d, j->key->mailbox, row);
                if (!rc && (row->uidvalidity != j->key->uidvalidity || !row->selectable))
                        rc = -ENOENT;
                return rc;
        }
        rc = j->path.n ? mailbox_walk(d, j->path, &w) : -ENOENT;
        if (rc || w.rest.n)
                return rc ? rc : -ENOENT;
        return mailbox_row(d, w.mailbox, row);
}

static int look(struct db *d, void *arg)
{
        struct open_job *j = arg;
        struct access *x = j->x;
        struct mailbox_row row;
        struct db_row q;
        int rc = find(d, j, &row);

        if (!rc)
                rc = acl_rights(d, &j->reader, row.mailbox, &x->rights);
        if (rc)
                return rc;
        if (!(x->rights & RIGHT_LOOKUP) || (!row.selectable && (j->needs & ON_LETTERS)))
                return -ENOENT;
        if (j->needs & ~x->rights)
                return -EACCES;
        if (!row.selectable)
                x->rights &= ~(unsigned)ON_LETTERS;
        x->mailbox = row.mailbox;
        x->uidvalidity = row.uidvalidity;
        x->reader_number = 0;
        if (j->reader.owner)
                return 0;
        q = db_query(d, READER_FIND);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, j->reader.name);
        if (db_next(&q))
                x->reader_number = (uint32_t)db_u64(&q, 0);
        return db_end(&q);
}

static int number_reader(struct db *d, void *arg)
{
        struct open_job *j = arg;
        struct db_row q;
        int rc = account_writes(d);

        if (rc)
                return rc;
        q = db_query(d, READER_ADD);
        db_bind_u64(&q, 1, ACCOUNT_ID);
        db_bind_text(&q, 2, j->reader.name);
        rc = db_exec(&q);
        return rc ? rc : look(d, arg);
}

static int open_it(struct accounts *set, struct str owner, struct open_job *j)
{
        struct access *x = j->x;
        struct str reader = x->reader;
        int rc;

        rc = account_get(set, owner, &x->account);
        if (rc)
                return rc;
        x->owner = account_name(x->account);
        j->reader = reader_of(x->account, reader);
        rc = db_transact(x->account->db, "open access", look, j, DB_READ);
        if (!rc && !j->reader.owner && !x->reader_number)
                rc = account_change(x->account, "number reader", NULL, number_reader, j, DB_WRITE);
        if (rc)
                access_close(x);
        return rc;
}

int access_open(struct access *x, struct accounts *set, struct str reader, struct str owner, struct str path,
                unsigned needs)
{
        struct open_job j = { .path = path, .needs = needs, .x = x };

        *x = (struct access){ .reader = reader };
        return open_it(set, owner, &j);
}

int access_open_top(struct access *x, struct accounts *set, struct str reader, struct str owner,
                    unsigned needs)
{
        struct open_job j = { .top = true, .needs = needs, .x = x };

        *x = (struct access){ .reader = reader };
        return open_it(set, owner, &j);
}

int access_again(struct access *x, struct accounts *set, struct str reader, const struct access_key *key,
                 unsigned needs)
{
        struct open_job j = { .key = key, .needs = needs, .x = x };
        int rc;

        *x = (struct access){ .reader = reader };
        rc = open_it(set, str_of(key->owner), &j);
        return rc == -ENOENT ? -ESTALE : rc;
}

void access_close(struct access *x)
{
        account_put(&x->account);
        *x = (struct access){ 0 };
}

void access_keep(const struct access *x, struct access_key *key)
{
        access_forget(key);
        *key = (struct access_key){ mem_string(x->owner), x->mailbox, x->uidvalidity };
}

void access_forget(struct access_key *key)
{
        mem_free(key->owner);
        *key = (struct access_key){ 0 };
}
