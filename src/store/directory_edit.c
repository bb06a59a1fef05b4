#include "store/directory_private.h"
#include "base/codec.h"
#include <errno.h>

/* Every change is one synced transaction: names are made keys before it, what must hold is looked at inside it, so
 * that two verbs at once cannot contradict each other. */
struct edit {
        struct directory *d;
        struct arena m;
        struct buf *why;
        struct str a, b, domain; /* keys or normal forms; domain of a */
        struct str key, value;
        bool yes;
};

static struct edit edit_of(struct directory *d, struct buf *why)
{
        struct edit e = { .d = d, .why = why, .a = S(""), .b = S(""), .domain = S("") };

        arena_init(&e.m, 64 * 1024);
        return e;
}

static int refuse(struct edit *e, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct edit *e, int error, const char *format, ...)
{
        va_list args;

        buf_clear(e->why); /* a transaction may be run again */
        va_start(args, format);
        buf_vprintf(e->why, format, args);
        va_end(args);
        return error;
}

static int run(struct edit *e, const char *name, int (*fn)(struct db *db, void *e))
{
        int rc = db_transact(e->d->db, name, fn, e, DB_SYNC);

        if (rc < 0 && !e->why->n)
                buf_printf(e->why, "%s", strerror(-rc));
        arena_finish(&e->m);
        e->d->said++;
        return rc;
}

static int stop(struct edit *e, int rc)
{
        arena_finish(&e->m);
        return rc;
}

/* ---- names ---- */

static bool domain_name(struct edit *e, struct str text, struct str *out)
{
        if (domain_valid(text) && domain_normal(&e->m, text, out) && str_find(*out, '.') != STR_NONE)
                return true;
        refuse(e, -EINVAL, PRS ": not a domain name", STR(text));
        return false;
}

static bool address_name(struct edit *e, struct str text, struct str *key, struct str *domain)
{
        struct str local;
        struct path p;

        if (address_parse(&e->m, text, &p) && !p.literal && address_key(&e->m, &p, key)) {
                address_split(*key, &local, domain);
                return true;
        }
        refuse(e, -EINVAL, PRS ": not a mail address", STR(text));
        return false;
}

static bool target_name(struct edit *e, struct str text, struct str *out)
{
        struct path p;

        if (address_parse(&e->m, text, &p) && address_normal(&e->m, &p, out))
                return true;
        refuse(e, -EINVAL, PRS ": not a mail address", STR(text));
        return false;
}

/* An account is a folder of this name. */
static bool account_name_fits(struct str key)
{
        return key.n <= 200 && key.p[0] != '.' && key.p[0] != '"' && str_find(key, '/') == STR_NONE;
}

/* ---- what must hold; in the transaction ---- */

/* 1: it is there, 0: not, or -errno */
static int there(struct db *db, unsigned statement, struct str name)
{
        struct db_row q = db_query(db, statement);
        bool found;
        int rc;

        db_bind_text(&q, 1, name);
        found = db_next(&q);
        rc = db_end(&q);
        return rc < 0 ? rc : found;
}

static int must_be(struct edit *e, struct db *db, unsigned statement, struct str name, const char *what)
{
        int rc = there(db, statement, name);

        return rc == 0 ? refuse(e, -ENOENT, PRS ": no such %s", STR(name), what) : rc < 0 ? rc : 0;
}

/* e->domain is one of ours and has addresses of its own */
static int must_be_our_domain(struct edit *e, struct db *db)
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
                return refuse(e, -ENOENT, PRS " is no domain here (pail domain add " PRS ")", STR(e->domain),
                              STR(e->domain));
        if (other.n)
                return refuse(e, -EINVAL, PRS " is another name of " PRS ": use that", STR(e->domain),
                              STR(other));
        return 0;
}

static int must_be_free(struct edit *e, struct db *db, bool alias_may_stand)
{
        static const struct {
                unsigned statement;
                const char *what;
        } kinds[] = {
                {GET_ACCOUNT, "an account"},
                { GET_LIST,   "a list"    },
                { GET_ALIAS,  "an alias"  }
        };

        for (size_t i = 0; i < 3; i++) {
                int rc = alias_may_stand && kinds[i].statement == GET_ALIAS
                             ? 0
                             : there(db, kinds[i].statement, e->a);

                if (rc < 0)
                        return rc;
                if (rc > 0)
                        return refuse(e, -EEXIST, PRS " exists already: it is %s", STR(e->a), kinds[i].what);
        }
        return 0;
}

static int exec(struct db *db, unsigned statement, struct str a, struct str b, struct str c)
{
        struct db_row q = db_query(db, statement);

        db_bind_text(&q, 1, a);
        if (b.p)
                db_bind_text(&q, 2, b);
        if (c.p)
                db_bind_text(&q, 3, c);
        return db_exec(&q);
}
#define NONE ((struct str){ NULL, 0 })

/* ---- domains ---- */

static int add_domain(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = there(db, GET_DOMAIN, e->a);

        if (rc > 0)
                return refuse(e, -EEXIST, PRS " is a domain here already", STR(e->a));
        if (rc == 0 && e->b.n) {
                e->domain = e->b;
                rc = must_be_our_domain(e, db);
        }
        return rc < 0 ? rc : exec(db, PUT_DOMAIN, e->a, e->b, NONE);
}

int directory_add_domain(struct directory *d, struct str domain, struct str alias_of, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!domain_name(&e, domain, &e.a) || (alias_of.n && !domain_name(&e, alias_of, &e.b)))
                return stop(&e, -EINVAL);
        return run(&e, "add domain", add_domain);
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
                return refuse(e, -ENOTEMPTY, PRS " is in use by " PRS, STR(e->a), STR(user));
        rc = rc < 0 ? rc : must_be(e, db, GET_DOMAIN, e->a, "domain");
        return rc < 0 ? rc : exec(db, DROP_DOMAIN, e->a, NONE, NONE);
}

int directory_remove_domain(struct directory *d, struct str domain, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return domain_name(&e, domain, &e.a) ? run(&e, "remove domain", remove_domain) : stop(&e, -EINVAL);
}

static int set_catch_all(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be_our_domain(e, db);

        if (rc == 0 && e->b.n)
                rc = must_be(e, db, GET_ACCOUNT, e->b, "account");
        return rc < 0 ? rc : exec(db, SET_CATCH_ALL, e->b, e->domain, NONE);
}

int directory_set_catch_all(struct directory *d, struct str domain, struct str account, struct buf *why)
{
        struct edit e = edit_of(d, why);
        struct str unused;

        if (!domain_name(&e, domain, &e.domain) || (account.n && !address_name(&e, account, &e.b, &unused)))
                return stop(&e, -EINVAL);
        return run(&e, "set catch-all", set_catch_all);
}

/* ---- accounts ---- */

static int add_account(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be_our_domain(e, db);

        rc = rc < 0 ? rc : must_be_free(e, db, false);
        return rc < 0 ? rc : exec(db, PUT_ACCOUNT, e->a, e->domain, NONE);
}

int directory_add_account(struct directory *d, struct str name, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, name, &e.a, &e.domain))
                return stop(&e, -EINVAL);
        if (!account_name_fits(e.a))
                return stop(&e, refuse(&e, -EINVAL,
                                       PRS ": an account's name has no slash, no quotes, no leading dot and "
                                           "at most 200 characters",
                                       STR(name)));
        return run(&e, "add account", add_account);
}

static int remove_account(struct db *db, void *arg)
{
        static const unsigned with_it[] = { DROP_ALIASES_TO, DROP_MEMBERS_TO, DROP_LOGINS_OF,
                                            DROP_GRANTS_OF,  CLEAR_CATCH_ALL, DROP_ACCOUNT };
        struct edit *e = arg;
        int rc = must_be(e, db, GET_ACCOUNT, e->a, "account");

        for (size_t i = 0; rc == 0 && i < sizeof(with_it) / sizeof(with_it[0]); i++)
                rc = exec(db, with_it[i], e->a, NONE, NONE);
        return rc;
}

int directory_remove_account(struct directory *d, struct str name, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return address_name(&e, name, &e.a, &e.domain) ? run(&e, "remove account", remove_account)
                                                       : stop(&e, -EINVAL);
}

static bool forward_addresses(struct edit *e, struct str value, struct str *out)
{
        struct str list = S(""), one, normal;
        unsigned n = 0;

        while (value.n) {
                str_cut(&value, ' ', &one);
                if (!one.n)
                        continue;
                if (!target_name(e, one, &normal))
                        return false;
                if (++n > 20) {
                        refuse(e, -EINVAL, "forward-to: at most 20 addresses; make it a list");
                        return false;
                }
                list = arena_printf(&e->m, PRS "%s" PRS, STR(list), list.n ? " " : "", STR(normal));
        }
        *out = list;
        return true;
}

static bool yes_or_no(struct edit *e, struct str key, struct str value, bool *out)
{
        *out = str_ieq(value, S("yes"));
        if (*out || str_ieq(value, S("no")))
                return true;
        refuse(e, -EINVAL, PRS ": " PRS " is neither yes nor no", STR(key), STR(value));
        return false;
}

/* 0, 500M, 2g */
static bool octets(struct edit *e, struct str value, uint64_t *out)
{
        struct scan a = scan_of(value);
        uint64_t n = scan_number(&a, (uint64_t)1 << 40);
        struct str unit = scan_rest(&a);
        unsigned shift = str_ieq(unit, S("k"))   ? 10
                         : str_ieq(unit, S("m")) ? 20
                         : str_ieq(unit, S("g")) ? 30
                                                 : 0;

        *out = n << shift;
        if (!a.bad && (shift || !unit.n) && n <= ((uint64_t)1 << 62) >> shift)
                return true;
        refuse(e, -EINVAL, "quota: " PRS " is not a size like 500M", STR(value));
        return false;
}

static bool text(struct edit *e, struct str key, struct str value, struct str *out)
{
        *out = value;
        if (value.n <= 200 && !str_has_control(value) && utf8_valid(value))
                return true;
        refuse(e, -EINVAL, PRS ": at most 200 characters, no control characters", STR(key));
        return false;
}

static bool apply(struct edit *e, struct account_entry *t, struct str key, struct str value)
{
        if (str_eq(key, S("quota")))
                return octets(e, value, &t->quota);
        if (str_eq(key, S("disabled")))
                return yes_or_no(e, key, value, &t->disabled);
        if (str_eq(key, S("moved-to"))) {
                t->moved_to = S("");
                return !value.n || target_name(e, value, &t->moved_to);
        }
        if (str_eq(key, S("forward-to")))
                return forward_addresses(e, value, &t->forward_to);
        if (str_eq(key, S("keep-copy")))
                return yes_or_no(e, key, value, &t->keep_copy);
        if (str_eq(key, S("real-name")))
                return text(e, key, value, &t->real_name);
        if (str_eq(key, S("language")))
                return text(e, key, value, &t->language);
        refuse(e, -EINVAL,
               PRS ": there are quota, disabled, moved-to, forward-to, keep-copy, real-name, language",
               STR(key));
        return false;
}

static int set_account(struct db *db, void *arg)
{
        struct edit *e = arg;
        struct account_entry t = { 0 };
        struct db_row q = db_query(db, GET_ACCOUNT);
        bool found;
        int rc;

        db_bind_text(&q, 1, e->a);
        found = db_next(&q);
        if (found)
                t = (struct account_entry){
                        .quota = db_u64(&q, 1),
                        .disabled = db_u64(&q, 2) != 0,
                        .moved_to = arena_str(&e->m, db_text(&q, 3)),
                        .forward_to = arena_str(&e->m, db_text(&q, 4)),
                        .keep_copy = db_u64(&q, 5) != 0,
                        .real_name = arena_str(&e->m, db_text(&q, 6)),
                        .language = arena_str(&e->m, db_text(&q, 7)),
                };
        rc = db_end(&q);
        if (rc < 0)
                return rc;
        if (!found)
                return refuse(e, -ENOENT, PRS ": no such account", STR(e->a));
        if (!apply(e, &t, e->key, e->value))
                return -EINVAL;
        q = db_query(db, SET_ACCOUNT);
        db_bind_u64(&q, 1, t.quota);
        db_bind_u64(&q, 2, t.disabled);
        db_bind_text(&q, 3, t.moved_to);
        db_bind_text(&q, 4, t.forward_to);
        db_bind_u64(&q, 5, t.keep_copy);
        db_bind_text(&q, 6, t.real_name);
        db_bind_text(&q, 7, t.language);
        db_bind_text(&q, 8, e->a);
        return db_exec(&q);
}

int directory_set_account(struct directory *d, struct str name, struct str key, struct str value,
                          struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, name, &e.a, &e.domain))
                return stop(&e, -EINVAL);
        if (value.n > 8000)
                return stop(&e, refuse(&e, -EINVAL, PRS ": too long", STR(key)));
        e.key = key;
        e.value = str_trim(value);
        return run(&e, "set account", set_account);
}

/* ---- sign-in names ---- */

static int add_login(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be(e, db, GET_ACCOUNT, e->a, "account");

        rc = rc < 0 ? rc : there(db, GET_LOGIN, e->b);
        if (rc > 0)
                return refuse(e, -EEXIST, PRS " is a sign-in name already", STR(e->b));
        return rc < 0 ? rc : exec(db, PUT_LOGIN, e->b, e->a, NONE);
}

int directory_add_login(struct directory *d, struct str account, struct str login, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, account, &e.a, &e.domain))
                return stop(&e, -EINVAL);
        if (!login.n || login.n > LOCAL_MAX || str_find(login, '@') != STR_NONE ||
            str_find(login, ' ') != STR_NONE || str_has_control(login) || !utf8_valid(login))
                return stop(&e, refuse(&e, -EINVAL,
                                       PRS ": a sign-in name is one word of at most 64 characters without @",
                                       STR(login)));
        e.b = arena_lower(&e.m, login);
        return run(&e, "add login", add_login);
}

static int remove_login(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = exec(db, DROP_LOGIN, e->b, e->a, NONE);

        return rc == 0 && !db_changes(db)
                   ? refuse(e, -ENOENT, PRS ": no sign-in name of " PRS, STR(e->b), STR(e->a))
                   : rc;
}

int directory_remove_login(struct directory *d, struct str account, struct str login, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, account, &e.a, &e.domain))
                return stop(&e, -EINVAL);
        e.b = arena_lower(&e.m, str_sub(login, 0, LOCAL_MAX + 1));
        return run(&e, "remove login", remove_login);
}

/* ---- aliases, lists, grants ---- */

static int add_alias(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be_our_domain(e, db);

        rc = rc < 0 ? rc : must_be_free(e, db, true);
        return rc < 0 ? rc : exec(db, PUT_ALIAS, e->a, e->b, e->domain);
}

int directory_add_alias(struct directory *d, struct str address, struct str target, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, address, &e.a, &e.domain) || !target_name(&e, target, &e.b))
                return stop(&e, -EINVAL);
        return run(&e, "add alias", add_alias);
}

static int remove_alias(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc =
            e->b.n ? exec(db, DROP_ALIAS, e->a, e->b, NONE) : exec(db, DROP_ALIASES_OF, e->a, NONE, NONE);

        return rc == 0 && !db_changes(db) ? refuse(e, -ENOENT, PRS ": no such alias", STR(e->a)) : rc;
}

int directory_remove_alias(struct directory *d, struct str address, struct str target, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, address, &e.a, &e.domain) || (target.n && !target_name(&e, target, &e.b)))
                return stop(&e, -EINVAL);
        return run(&e, "remove alias", remove_alias);
}

static int add_list(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be_our_domain(e, db);

        rc = rc < 0 ? rc : must_be_free(e, db, false);
        return rc < 0 ? rc : exec(db, PUT_LIST, e->a, e->domain, NONE);
}

int directory_add_list(struct directory *d, struct str address, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return address_name(&e, address, &e.a, &e.domain) ? run(&e, "add list", add_list) : stop(&e, -EINVAL);
}

static int remove_list(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be(e, db, GET_LIST, e->a, "list");

        rc = rc < 0 ? rc : exec(db, DROP_MEMBERS_OF, e->a, NONE, NONE);
        return rc < 0 ? rc : exec(db, DROP_LIST, e->a, NONE, NONE);
}

int directory_remove_list(struct directory *d, struct str address, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return address_name(&e, address, &e.a, &e.domain) ? run(&e, "remove list", remove_list)
                                                          : stop(&e, -EINVAL);
}

static int add_member(struct db *db, void *arg)
{
        struct edit *e = arg;
        struct db_row q;
        uint64_t members = 0;
        bool found;
        int rc = must_be(e, db, GET_LIST, e->a, "list");

        if (rc < 0)
                return rc;
        q = db_query(db, MEMBERS_OF_LIST);
        db_bind_text(&q, 1, e->a);
        if (db_next(&q))
                members = db_u64(&q, 0);
        rc = db_end(&q);
        if (rc == 0 && members >= DIRECTORY_ACTIONS)
                return refuse(e, -E2BIG, PRS ": a list has at most %d members", STR(e->a), DIRECTORY_ACTIONS);
        if (rc < 0)
                return rc;
        q = db_query(db, GET_MEMBER);
        db_bind_text(&q, 1, e->a);
        db_bind_text(&q, 2, e->b);
        found = db_next(&q);
        rc = db_end(&q);
        if (rc == 0 && found)
                return refuse(e, -EEXIST, PRS " is a member already", STR(e->b));
        return rc < 0 ? rc : exec(db, PUT_MEMBER, e->a, e->b, NONE);
}

int directory_add_member(struct directory *d, struct str list, struct str member, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, list, &e.a, &e.domain) || !target_name(&e, member, &e.b))
                return stop(&e, -EINVAL);
        return run(&e, "add member", add_member);
}

static int remove_member(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = exec(db, DROP_MEMBER, e->a, e->b, NONE);

        return rc == 0 && !db_changes(db)
                   ? refuse(e, -ENOENT, PRS " is no member of " PRS, STR(e->b), STR(e->a))
                   : rc;
}

int directory_remove_member(struct directory *d, struct str list, struct str member, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!address_name(&e, list, &e.a, &e.domain) || !target_name(&e, member, &e.b))
                return stop(&e, -EINVAL);
        return run(&e, "remove member", remove_member);
}

static int grant(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = must_be(e, db, GET_ACCOUNT, e->a, "account");

        rc = rc < 0 ? rc : exec(db, e->yes ? PUT_GRANT : DROP_GRANT, e->a, e->b, NONE);
        return rc == 0 && !e->yes && !db_changes(db) ? refuse(e, -ENOENT, PRS " was not granted", STR(e->b))
                                                     : rc;
}

int directory_grant(struct directory *d, struct str account, struct str address, bool yes, struct buf *why)
{
        struct edit e = edit_of(d, why);
        struct str domain;

        e.yes = yes;
        if (!address_name(&e, account, &e.a, &e.domain))
                return stop(&e, -EINVAL);
        if (address.n && address.p[0] == '@') {
                if (!domain_name(&e, str_from_at(address, 1), &domain))
                        return stop(&e, -EINVAL);
                e.b = arena_printf(&e.m, "@" PRS, STR(domain));
        } else if (!address_name(&e, address, &e.b, &domain)) {
                return stop(&e, -EINVAL);
        }
        return run(&e, "grant", grant);
}
