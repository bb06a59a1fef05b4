#include "store/directory_edit.h"
#include <errno.h>

/* ---- aliases, lists, grants ---- */

static int add_alias(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_our_domain(e, db);

        rc = rc < 0 ? rc : edit_free(e, db, true);
        return rc < 0 ? rc : edit_exec(db, PUT_ALIAS, e->a, e->b, e->domain);
}

int directory_add_alias(struct directory *d, struct str address, struct str target, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, address, &e.a, &e.domain) || !edit_target(&e, target, &e.b))
                return edit_stop(&e, -EINVAL);
        return edit_run(&e, "add alias", add_alias);
}

static int remove_alias(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = e->b.n ? edit_exec(db, DROP_ALIAS, e->a, e->b, NONE)
                        : edit_exec(db, DROP_ALIASES_OF, e->a, NONE, NONE);

        return rc == 0 && !db_changes(db) ? edit_refuse(e, -ENOENT, PRS ": no such alias", STR(e->a)) : rc;
}

int directory_remove_alias(struct directory *d, struct str address, struct str target, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, address, &e.a, &e.domain) || (target.n && !edit_target(&e, target, &e.b)))
                return edit_stop(&e, -EINVAL);
        return edit_run(&e, "remove alias", remove_alias);
}

static int add_list(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_our_domain(e, db);

        rc = rc < 0 ? rc : edit_free(e, db, false);
        return rc < 0 ? rc : edit_exec(db, PUT_LIST, e->a, e->domain, NONE);
}

int directory_add_list(struct directory *d, struct str address, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return edit_address(&e, address, &e.a, &e.domain) ? edit_run(&e, "add list", add_list)
                                                          : edit_stop(&e, -EINVAL);
}

static int remove_list(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_must_be(e, db, GET_LIST, e->a, "list");

        rc = rc < 0 ? rc : edit_exec(db, DROP_MEMBERS_OF, e->a, NONE, NONE);
        return rc < 0 ? rc : edit_exec(db, DROP_LIST, e->a, NONE, NONE);
}

int directory_remove_list(struct directory *d, struct str address, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return edit_address(&e, address, &e.a, &e.domain) ? edit_run(&e, "remove list", remove_list)
                                                          : edit_stop(&e, -EINVAL);
}

/* What a list is now, with one thing changed. */
static int set_list(struct db *db, void *arg)
{
        struct edit *e = arg;
        struct db_row q;
        struct str title, owner;
        uint64_t size, moderated;
        int rc = edit_must_be(e, db, GET_LIST, e->a, "list");

        if (rc < 0)
                return rc;
        q = db_query(db, GET_LIST);
        db_bind_text(&q, 1, e->a);
        if (!db_next(&q))
                return db_end(&q);
        title = arena_str(&e->m, db_text(&q, 1));
        owner = arena_str(&e->m, db_text(&q, 2));
        size = db_u64(&q, 3);
        moderated = db_u64(&q, 4);
        rc = db_end(&q);
        if (rc < 0)
                return rc;
        if (str_eq(e->key, S("title")))
                title = e->value;
        else if (str_eq(e->key, S("owner")))
                owner = e->b.n ? e->b : S("");
        else if (str_eq(e->key, S("moderated")) && (str_eq(e->value, S("yes")) || str_eq(e->value, S("no"))))
                moderated = str_eq(e->value, S("yes"));
        else if (!str_eq(e->key, S("max-size")) || !str_u64(e->value, &size))
                return edit_refuse(e, -EINVAL,
                                   PRS " " PRS
                                       ": a list has title, owner, max-size (octets) and moderated (yes, no)",
                                   STR(e->key), STR(e->value));
        q = db_query(db, SET_LIST);
        db_bind_text(&q, 1, title);
        db_bind_text(&q, 2, owner);
        db_bind_u64(&q, 3, size);
        db_bind_u64(&q, 4, moderated);
        db_bind_text(&q, 5, e->a);
        return db_exec(&q);
}

int directory_set_list(struct directory *d, struct str address, struct str key, struct str value,
                       struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, address, &e.a, &e.domain))
                return edit_stop(&e, -EINVAL);
        if (value.n > 200 || str_has_control(value))
                return edit_stop(&e, edit_refuse(&e, -EINVAL, PRS ": too long, or not text", STR(key)));
        if (str_eq(key, S("owner")) && value.n && !edit_target(&e, value, &e.b))
                return edit_stop(&e, -EINVAL);
        e.key = key;
        e.value = str_trim(value);
        return edit_run(&e, "set list", set_list);
}

static int add_member(struct db *db, void *arg)
{
        struct edit *e = arg;
        struct db_row q;
        uint64_t members = 0;
        bool found;
        int rc = edit_must_be(e, db, GET_LIST, e->a, "list");

        if (rc < 0)
                return rc;
        q = db_query(db, MEMBERS_OF_LIST);
        db_bind_text(&q, 1, e->a);
        if (db_next(&q))
                members = db_u64(&q, 0);
        rc = db_end(&q);
        if (rc == 0 && members >= DIRECTORY_ACTIONS)
                return edit_refuse(e, -E2BIG, PRS ": a list has at most %d members", STR(e->a),
                                   DIRECTORY_ACTIONS);
        if (rc < 0)
                return rc;
        q = db_query(db, GET_MEMBER);
        db_bind_text(&q, 1, e->a);
        db_bind_text(&q, 2, e->b);
        found = db_next(&q);
        rc = db_end(&q);
        if (rc == 0 && found)
                return edit_refuse(e, -EEXIST, PRS " is a member already", STR(e->b));
        return rc < 0 ? rc : edit_exec(db, PUT_MEMBER, e->a, e->b, NONE);
}

int directory_add_member(struct directory *d, struct str list, struct str member, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, list, &e.a, &e.domain) || !edit_target(&e, member, &e.b))
                return edit_stop(&e, -EINVAL);
        return edit_run(&e, "add member", add_member);
}

static int remove_member(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_exec(db, DROP_MEMBER, e->a, e->b, NONE);

        return rc == 0 && !db_changes(db)
                   ? edit_refuse(e, -ENOENT, PRS " is no member of " PRS, STR(e->b), STR(e->a))
                   : rc;
}

int directory_remove_member(struct directory *d, struct str list, struct str member, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, list, &e.a, &e.domain) || !edit_target(&e, member, &e.b))
                return edit_stop(&e, -EINVAL);
        return edit_run(&e, "remove member", remove_member);
}

static int grant(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_must_be(e, db, GET_ACCOUNT, e->a, "account");

        rc = rc < 0 ? rc : edit_exec(db, e->yes ? PUT_GRANT : DROP_GRANT, e->a, e->b, NONE);
        return rc == 0 && !e->yes && !db_changes(db)
                   ? edit_refuse(e, -ENOENT, PRS " was not granted", STR(e->b))
                   : rc;
}

int directory_grant(struct directory *d, struct str account, struct str address, bool yes, struct buf *why)
{
        struct edit e = edit_of(d, why);
        struct str domain;

        e.yes = yes;
        if (!edit_address(&e, account, &e.a, &e.domain))
                return edit_stop(&e, -EINVAL);
        if (address.n && address.p[0] == '@') {
                if (!edit_domain(&e, str_from_at(address, 1), &domain))
                        return edit_stop(&e, -EINVAL);
                e.b = arena_printf(&e.m, "@" PRS, STR(domain));
        } else if (!edit_address(&e, address, &e.b, &domain)) {
                return edit_stop(&e, -EINVAL);
        }
        return edit_run(&e, "grant", grant);
}
