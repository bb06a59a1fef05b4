#include "base/codec.h"
#include "store/directory_edit.h"
#include <errno.h>

/* An account is a folder of this name. */
static bool account_name_fits(struct str key)
{
        return key.n <= 200 && key.p[0] != '.' && key.p[0] != '"' && str_find(key, '/') == STR_NONE;
}

/* ---- accounts ---- */

static int add_account(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_our_domain(e, db);

        rc = rc < 0 ? rc : edit_free(e, db, false);
        return rc < 0 ? rc : edit_exec(db, PUT_ACCOUNT, e->a, e->domain, NONE);
}

int directory_add_account(struct directory *d, struct str name, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, name, &e.a, &e.domain))
                return edit_stop(&e, -EINVAL);
        if (!account_name_fits(e.a))
                return edit_stop(
                    &e, edit_refuse(&e, -EINVAL,
                                    PRS ": an account's name has no slash, no quotes, no leading dot and "
                                        "at most 200 characters",
                                    STR(name)));
        return edit_run(&e, "add account", add_account);
}

static int remove_account(struct db *db, void *arg)
{
        static const unsigned with_it[] = { DROP_ALIASES_TO, DROP_MEMBERS_TO, DROP_LOGINS_OF,
                                            DROP_GRANTS_OF,  CLEAR_CATCH_ALL, DROP_ACCOUNT };
        struct edit *e = arg;
        int rc = edit_must_be(e, db, GET_ACCOUNT, e->a, "account");

        for (size_t i = 0; rc == 0 && i < sizeof(with_it) / sizeof(with_it[0]); i++)
                rc = edit_exec(db, with_it[i], e->a, NONE, NONE);
        return rc;
}

int directory_remove_account(struct directory *d, struct str name, struct buf *why)
{
        struct edit e = edit_of(d, why);

        return edit_address(&e, name, &e.a, &e.domain) ? edit_run(&e, "remove account", remove_account)
                                                       : edit_stop(&e, -EINVAL);
}

static bool forward_addresses(struct edit *e, struct str value, struct str *out)
{
        struct str list = S(""), one, normal;
        unsigned n = 0;

        while (value.n) {
                str_cut(&value, ' ', &one);
                if (!one.n)
                        continue;
                if (!edit_target(e, one, &normal))
                        return false;
                if (++n > 20) {
                        edit_refuse(e, -EINVAL, "forward-to: at most 20 addresses; make it a list");
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
        edit_refuse(e, -EINVAL, PRS ": " PRS " is neither yes nor no", STR(key), STR(value));
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
        edit_refuse(e, -EINVAL, "quota: " PRS " is not a size like 500M", STR(value));
        return false;
}

static bool text(struct edit *e, struct str key, struct str value, struct str *out)
{
        *out = value;
        if (value.n <= 200 && !str_has_control(value) && utf8_valid(value))
                return true;
        edit_refuse(e, -EINVAL, PRS ": at most 200 characters, no control characters", STR(key));
        return false;
}

static bool capabilities(struct edit *e, struct str key, struct str value, struct str *out)
{
        *out = value;
        if (value.n <= 1000 && !str_has_control(value) && ascii_only(value))
                return true;
        edit_refuse(e, -EINVAL, PRS ": at most 1000 characters, as in COMPRESS=DEFLATE NOTIFY", STR(key));
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
                return !value.n || edit_target(e, value, &t->moved_to);
        }
        if (str_eq(key, S("forward-to")))
                return forward_addresses(e, value, &t->forward_to);
        if (str_eq(key, S("keep-copy")))
                return yes_or_no(e, key, value, &t->keep_copy);
        if (str_eq(key, S("real-name")))
                return text(e, key, value, &t->real_name);
        if (str_eq(key, S("language")))
                return text(e, key, value, &t->language);
        if (str_eq(key, S("imap-disable")))
                return capabilities(e, key, value, &t->imap_disable);
        edit_refuse(e, -EINVAL,
                    PRS ": there are quota, disabled, moved-to, forward-to, keep-copy, real-name, language, "
                        "imap-disable",
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
                        .imap_disable = arena_str(&e->m, db_text(&q, 8)),
                };
        rc = db_end(&q);
        if (rc < 0)
                return rc;
        if (!found)
                return edit_refuse(e, -ENOENT, PRS ": no such account", STR(e->a));
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
        db_bind_text(&q, 8, t.imap_disable);
        db_bind_text(&q, 9, e->a);
        return db_exec(&q);
}

int directory_set_account(struct directory *d, struct str name, struct str key, struct str value,
                          struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, name, &e.a, &e.domain))
                return edit_stop(&e, -EINVAL);
        if (value.n > 8000)
                return edit_stop(&e, edit_refuse(&e, -EINVAL, PRS ": too long", STR(key)));
        e.key = key;
        e.value = str_trim(value);
        return edit_run(&e, "set account", set_account);
}

/* ---- sign-in names ---- */

static int add_login(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_must_be(e, db, GET_ACCOUNT, e->a, "account");

        rc = rc < 0 ? rc : edit_there(db, GET_LOGIN, e->b);
        if (rc > 0)
                return edit_refuse(e, -EEXIST, PRS " is a sign-in name already", STR(e->b));
        return rc < 0 ? rc : edit_exec(db, PUT_LOGIN, e->b, e->a, NONE);
}

int directory_add_login(struct directory *d, struct str account, struct str login, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, account, &e.a, &e.domain))
                return edit_stop(&e, -EINVAL);
        if (!login.n || login.n > LOCAL_MAX || str_find(login, '@') != STR_NONE ||
            str_find(login, ' ') != STR_NONE || str_has_control(login) || !utf8_valid(login))
                return edit_stop(
                    &e, edit_refuse(&e, -EINVAL,
                                    PRS ": a sign-in name is one word of at most 64 characters without @",
                                    STR(login)));
        e.b = arena_lower(&e.m, login);
        return edit_run(&e, "add login", add_login);
}

static int remove_login(struct db *db, void *arg)
{
        struct edit *e = arg;
        int rc = edit_exec(db, DROP_LOGIN, e->b, e->a, NONE);

        return rc == 0 && !db_changes(db)
                   ? edit_refuse(e, -ENOENT, PRS ": no sign-in name of " PRS, STR(e->b), STR(e->a))
                   : rc;
}

int directory_remove_login(struct directory *d, struct str account, struct str login, struct buf *why)
{
        struct edit e = edit_of(d, why);

        if (!edit_address(&e, account, &e.a, &e.domain))
                return edit_stop(&e, -EINVAL);
        e.b = arena_lower(&e.m, str_sub(login, 0, LOCAL_MAX + 1));
        return edit_run(&e, "remove login", remove_login);
}
