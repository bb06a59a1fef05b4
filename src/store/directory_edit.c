#include "store/directory_edit.h"
#include <errno.h>

struct edit edit_of(struct directory *d, struct buf *why)
{
        struct edit e = { .d = d, .why = why, .a = S(""), .b = S(""), .domain = S("") };

        arena_init(&e.m, 64 * 1024);
        return e;
}

int edit_refuse(struct edit *e, int error, const char *format, ...)
{
        va_list args;

        buf_clear(e->why); /* a transaction may be run again */
        va_start(args, format);
        buf_vprintf(e->why, format, args);
        va_end(args);
        return error;
}

int edit_run(struct edit *e, const char *name, int (*fn)(struct db *db, void *e))
{
        int rc = db_transact(e->d->db, name, fn, e, DB_SYNC);

        if (rc < 0 && !e->why->n)
                buf_printf(e->why, "%s", strerror(-rc));
        arena_finish(&e->m);
        e->d->said++;
        return rc;
}

int edit_stop(struct edit *e, int rc)
{
        arena_finish(&e->m);
        return rc;
}

/* ---- names ---- */

bool edit_domain(struct edit *e, struct str text, struct str *out)
{
        if (domain_valid(text) && domain_normal(&e->m, text, out) && str_find(*out, '.') != STR_NONE)
                return true;
        edit_refuse(e, -EINVAL, PRS ": not a domain name", STR(text));
        return false;
}

bool edit_address(struct edit *e, struct str text, struct str *key, struct str *domain)
{
        struct str local;
        struct path p;

        if (address_parse(&e->m, text, &p) && !p.literal && p.local.n <= LOCAL_MAX &&
            address_key(&e->m, &p, key)) {
                address_split(*key, &local, domain);
                return true;
        }
        edit_refuse(e, -EINVAL, PRS ": not a mail address", STR(text));
        return false;
}

bool edit_target(struct edit *e, struct str text, struct str *out)
{
        struct path p;

        if (address_parse(&e->m, text, &p) && address_normal(&e->m, &p, out))
                return true;
        edit_refuse(e, -EINVAL, PRS ": not a mail address", STR(text));
        return false;
}

/* ---- what must hold; in the transaction ---- */

int edit_there(struct db *db, unsigned statement, struct str name)
{
        struct db_row q = db_query(db, statement);
        bool found;
        int rc;

        db_bind_text(&q, 1, name);
        found = db_next(&q);
        rc = db_end(&q);
        return rc < 0 ? rc : found;
}

int edit_must_be(struct edit *e, struct db *db, unsigned statement, struct str name, const char *what)
{
        int rc = edit_there(db, statement, name);

        return rc == 0 ? edit_refuse(e, -ENOENT, PRS ": no such %s", STR(name), what) : rc < 0 ? rc : 0;
}

int edit_our_domain(struct edit *e, struct db *db)
{
        struct db_row q = db_query(db, GET_DOMAIN);
        struct str other = S("");
        bool found;
        int rc;

        db_bind_text(&q, 1, e->domain);
        found = db_next(&q);
        if (found)
                other = arena_str(&e->m, db_text(&q, 0));
        rc = db_end(&q);
        if (rc < 0)
                return rc;
        if (!found)
                return edit_refuse(e, -ENOENT, PRS " is no domain here (pail domain add " PRS ")",
                                   STR(e->domain), STR(e->domain));
        if (other.n)
                return edit_refuse(e, -EINVAL, PRS " is another name of " PRS ": use that", STR(e->domain),
                                   STR(other));
        return 0;
}

int edit_free(struct edit *e, struct db *db, bool alias_may_stand)
{
        static const struct {
                unsigned statement;
                const char *what;
        } kinds[] = { { GET_ACCOUNT, "an account" }, { GET_LIST, "a list" }, { GET_ALIAS, "an alias" } };

        for (size_t i = 0; i < 3; i++) {
                int rc = alias_may_stand && kinds[i].statement == GET_ALIAS
                             ? 0
                             : edit_there(db, kinds[i].statement, e->a);

                if (rc < 0)
                        return rc;
                if (rc > 0)
                        return edit_refuse(e, -EEXIST, PRS " exists already: it is %s", STR(e->a),
                                           kinds[i].what);
        }
        return 0;
}

int edit_exec(struct db *db, unsigned statement, struct str a, struct str b, struct str c)
{
        struct db_row q = db_query(db, statement);

        db_bind_text(&q, 1, a);
        if (b.p)
                db_bind_text(&q, 2, b);
        if (c.p)
                db_bind_text(&q, 3, c);
        return db_exec(&q);
}

/* ---- domains ---- */

static int add_domain(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_there(db, GET_DOMAIN, e->a);

        if (rc > 0)
                return edit_refuse(e, -EEXIST, PRS " is a domain here already", STR(e->a));
        if (rc == 0 && e->b.n) {
                e->domain = e->b;
                rc = edit_our_domain(e, db);
        }
        return rc < 0 ? rc : edit_exec(db, PUT_DOMAIN, e->a, e->b, NONE);
}

int directory_add_domain(struct directory *d, struct str domain, struct str alias_of, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_domain(&e, domain, &e.a) || (alias_of.n && !edit_domain(&e, alias_of, &e.b)))
                return edit_stop(&e, -EINVAL);
        return edit_run(&e, "add domain", add_domain);
}

static int remove_domain(struct db *db, void *arg)
{
        struct edit *e = arg;
        struct db_row q = db_query(db, USES_OF_DOMAIN);
        struct str user = S("");
        int rc;

        db_bind_text(&q, 1, e->a);
        if (db_next(&q))
                user = arena_str(&e->m, db_text(&q, 0));
        rc = db_end(&q);
        if (rc == 0 && user.n)
                return edit_refuse(e, -ENOTEMPTY, PRS " is in use by " PRS, STR(e->a), STR(user));
        rc = rc < 0 ? rc : edit_must_be(e, db, GET_DOMAIN, e->a, "domain");
        return rc < 0 ? rc : edit_exec(db, DROP_DOMAIN, e->a, NONE, NONE);
}

int directory_remove_domain(struct directory *d, struct str domain, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return edit_domain(&e, domain, &e.a) ? edit_run(&e, "remove domain", remove_domain)
                                             : edit_stop(&e, -EINVAL);
}

static int set_catch_all(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_our_domain(e, db);

        if (rc == 0 && e->b.n)
                rc = edit_must_be(e, db, GET_ACCOUNT, e->b, "account");
        return rc < 0 ? rc : edit_exec(db, SET_CATCH_ALL, e->b, e->domain, NONE);
}

int directory_set_catch_all(struct directory *d, struct str domain, struct str account, struct buf *why)
{
        struct edit e = edit_of(d, why);
        struct str unused;

        if (!edit_domain(&e, domain, &e.domain) || (account.n && !edit_address(&e, account, &e.b, &unused)))
                return edit_stop(&e, -EINVAL);
        return edit_run(&e, "set catch-all", set_catch_all);
}
