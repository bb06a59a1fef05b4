/* LIST, LSUB -- RFC 9051 §6.3.9, RFC 3501 §6.3.9; RFC 5258 and what was built upon it: 5819 (STATUS), 6154 (SPECIAL-USE), 8440
 * (MYRIGHTS), 9590 (METADATA). Names are gathered, chosen on a worker thread (list_names.c), and said. */
#include "proto/imap/list.h"
#include "base/mem.h"
#include "proto/imap/imap.h"
#include "proto/imap/metadata.h"
#include "proto/imap/status.h"
#include "run/log.h"
#include "run/offload.h"

#include <errno.h>

enum {
        PATTERNS_MOST = 64,
        NAME_BYTES_MOST = 32 << 20, /* of all names gathered */
};
enum list_return {
        RETURN_SUBSCRIBED = 1,
        RETURN_CHILDREN = 2,
        RETURN_SPECIAL = 4,
        RETURN_STATUS = 8,
        RETURN_MYRIGHTS = 16,
        RETURN_METADATA = 32,
};

struct list {
        struct session *s;
        struct arena names; /* of what was gathered */
        size_t bytes;
        bool extended, lsub;
        struct str reference;
        struct pattern *patterns;
        size_t used; /* of PATTERN_MOST */
        struct list_query query;
        unsigned returns, items; /* enum list_return; of STATUS */
        struct metadata_query metadata;
        struct list_names found;
        struct buf out;
};

/* --- the grammar --- */

static void select_options(struct list *l, struct scan *a)
{
        static const struct {
                struct str name;
                unsigned bit;
        } options[] = { { S("SUBSCRIBED"), SELECT_SUBSCRIBED },
                        { S("REMOTE"), SELECT_REMOTE },
                        { S("RECURSIVEMATCH"), SELECT_RECURSIVE },
                        { S("SPECIAL-USE"), SELECT_SPECIAL } };

        scan_char(a, '(');
        if (!imap_can_rev2(l->s, CAP_LIST_EXTENDED))
                scan_fail(a, "there are no selection options");
        while (!a->bad && scan_peek(a) != ')') {
                struct str word = imap_atom(a);
                size_t i = 0;

                while (i < sizeof options / sizeof options[0] && !str_ieq(options[i].name, word))
                        i++;
                if (i == sizeof options / sizeof options[0] ||
                    (options[i].bit == SELECT_SPECIAL && !imap_can_rev2(l->s, CAP_SPECIAL_USE)))
                        scan_fail(a, "there is no such selection option");
                else
                        l->query.select |= options[i].bit;
                if (scan_peek(a) != ')')
                        imap_sp(a);
        }
        scan_char(a, ')');
        if (l->query.select & SELECT_RECURSIVE && !(l->query.select & (SELECT_SUBSCRIBED | SELECT_SPECIAL)))
                scan_fail(a, "RECURSIVEMATCH needs another selection option");
        if (l->query.select & SELECT_SUBSCRIBED)
                l->returns |= RETURN_SUBSCRIBED;
}

static void return_option(struct list *l, struct scan *a)
{
        struct session *s = l->s;
        struct str word = imap_atom(a);

        if (str_ieq(word, S("SUBSCRIBED"))) {
                l->returns |= RETURN_SUBSCRIBED;
        } else if (str_ieq(word, S("CHILDREN"))) {
                l->returns |= RETURN_CHILDREN;
        } else if (str_ieq(word, S("SPECIAL-USE")) && imap_can_rev2(s, CAP_SPECIAL_USE)) {
                l->returns |= RETURN_SPECIAL;
        } else if (str_ieq(word, S("STATUS")) && imap_can_rev2(s, CAP_LIST_STATUS)) {
                imap_sp(a);
                imap_status_items(s, a, &l->items);
                l->returns |= RETURN_STATUS;
        } else if (str_ieq(word, S("MYRIGHTS")) && imap_can(s, CAP_LIST_MYRIGHTS)) {
                l->returns |= RETURN_MYRIGHTS;
        } else if (str_ieq(word, S("METADATA")) && imap_can(s, CAP_LIST_METADATA)) {
                imap_sp(a);
                l->metadata = metadata_query();
                if (metadata_options(s, a, &l->metadata))
                        imap_sp(a);
                metadata_entries(s, a, &l->metadata);
                l->returns |= RETURN_METADATA;
        } else {
                scan_fail(a, "there is no such return option");
        }
}

static void return_options(struct list *l, struct scan *a)
{
        if (!imap_can_rev2(l->s, CAP_LIST_EXTENDED))
                scan_fail(a, "there are no return options");
        scan_word(a, S("RETURN"));
        imap_sp(a);
        scan_char(a, '(');
        while (!a->bad && scan_peek(a) != ')') {
                return_option(l, a);
                if (scan_peek(a) != ')')
                        imap_sp(a);
        }
        scan_char(a, ')');
        l->extended = true;
}

/* What is longer than a name can be matches none: it is left out (RFC 9051 §6.3.9). */
static void add_pattern(struct list *l, struct scan *a, struct str text)
{
        struct session *s = l->s;
        struct str whole = arena_printf(&s->command, PRS PRS, STR(l->reference), STR(text));

        if (a->bad || (!text.n && (l->extended || l->lsub)))
                return;
        if (!l->patterns)
                l->patterns = arena_array(&s->command, struct pattern, PATTERNS_MOST);
        if (l->query.n == PATTERNS_MOST ||
            !pattern_make(&s->command, whole, &l->used, &l->patterns[l->query.n]))
                scan_fail(a, "[LIMIT] that is more to look for than this server does at once");
        else
                l->query.n++;
}

static void patterns(struct list *l, struct scan *a)
{
        if (l->lsub || scan_peek(a) != '(') {
                struct str text = imap_list_mailbox(l->s, a);

                if (scan_try(a, ' '))
                        return_options(l, a);
                add_pattern(l, a, text);
                return;
        }
        if (!imap_can(l->s, CAP_LIST_EXTENDED)) /* RFC 9051 Appendix C: not in IMAP4rev2 */
                scan_fail(a, "one pattern at a time");
        l->extended = true;
        scan_char(a, '(');
        do
                add_pattern(l, a, imap_list_mailbox(l->s, a));
        while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
        if (scan_try(a, ' '))
                return_options(l, a);
}

/* --- gathering --- */

static bool reaches(const struct list *l, struct str prefix)
{
        for (size_t i = 0; i < l->query.n; i++)
                if (pattern_reaches(&l->patterns[i], prefix))
                        return true;
        return false;
}

static int add_name(struct list *l, struct list_name *name)
{
        l->bytes += name->name.n + 64;
        return l->bytes > NAME_BYTES_MOST || !names_add(&l->found, name) ? -ENOBUFS : 0;
}

static int add_mailbox(struct list *l, struct str owner, struct str prefix, const struct mailbox_entry *e)
{
        struct list_name name = {
                .name = arena_printf(&l->names, PRS PRS, STR(prefix), STR(e->path)),
                .owner = owner,
                .role =
                    prefix.n ? S("") : arena_str(&l->names, e->role), /* somebody else's Sent is not ours */
                .rights = e->rights,
                .bits = NAME_EXISTS | (e->bits & MAILBOX_NOSELECT ? NAME_NOSELECT : 0u),
        };

        name.path = str_from_at(name.name, prefix.n);
        return add_name(l, &name);
}

static int gather_account(struct list *l, struct str owner, struct str prefix)
{
        struct session *s = l->s;
        struct arena m auto_arena;
        struct mailbox_entry *list;
        struct account *acc;
        size_t n = 0;
        int rc = account_get(s->server->accounts, owner, &acc);

        arena_init(&m, 64 << 20);
        if (!rc)
                rc = mailbox_all(acc, s->account, &m, &list, &n);
        account_put(&acc);
        owner = arena_str(&l->names, owner);
        for (size_t i = 0; i < n && !rc; i++)
                rc = add_mailbox(l, owner, prefix, &list[i]);
        return rc;
}

/* Others' mailboxes: only accounts that show something are opened, and of those only what a pattern can reach. One that cannot be opened is left
 * out, the others are not its fault. */
static int gather_others(struct list *l)
{
        struct session *s = l->s;
        struct str *owners = NULL;
        size_t n = 0;
        int rc = 0;

        if (s->server->sharing && (reaches(l, S("user")) || reaches(l, S("shared"))))
                rc = sharing_owners(s->server->sharing, s->account, &l->names, &owners, &n);
        for (size_t i = 0; i < n && !rc; i++) {
                struct str prefix = imap_name_of(s, owners[i], S(""));

                if (!imap_owner_exists(s, owners[i]))
                        continue;
                if (!reaches(l, prefix) && !reaches(l, str_sub(prefix, 0, prefix.n - 1)) &&
                    !reaches(l, str_starts(prefix, S(IMAP_OTHERS)) ? S("user") : S("shared")))
                        continue;
                rc = gather_account(l, owners[i], prefix);
                if (rc == -ENOENT || rc == -EBADMSG || rc == -EIO)
                        rc = 0;
        }
        return rc;
}

static int gather_subscriptions(struct list *l)
{
        struct session *s = l->s;
        auto_arena struct arena m = { 0 };
        struct account *own;
        struct str *names = NULL;
        size_t n = 0;
        int rc;

        if (!(l->returns & RETURN_SUBSCRIBED) && !l->lsub)
                return 0;
        arena_init(&m, 64 << 20);
        rc = account_get(s->server->accounts, s->account, &own);
        if (!rc)
                rc = mailbox_subscriptions(own, &m, &names, &n);
        account_put(&own);
        for (size_t i = 0; i < n && !rc; i++)
                rc = add_name(l, &(struct list_name){ .name = arena_str(&l->names, names[i]),
                                                      .bits = NAME_SUBSCRIBED });
        return rc;
}

static int choose(void *arg)
{
        struct list *l = arg;

        names_choose(&l->found, &l->query);
        return 0;
}

/* --- saying --- */

static void put_attribute(struct list *l, const char **space, struct str attribute)
{
        buf_printf(&l->out, "%s" PRS, *space, STR(attribute));
        *space = " ";
}

static void put_attributes(struct list *l, const struct list_name *name)
{
        const char *space = "";
        bool exists = name->bits & NAME_EXISTS;

        buf_puts(&l->out, S("("));
        if (!exists && !l->lsub)
                put_attribute(l, &space, l->extended ? S("\\NonExistent") : S("\\Noselect"));
        else if (l->lsub ? !(name->bits & NAME_SELECTED)
                         : name->bits & NAME_NOSELECT ||
                               (l->returns & RETURN_STATUS && !(name->rights & RIGHT_READ)))
                put_attribute(l, &space, S("\\Noselect"));
        if (!l->lsub && (exists || name->bits & NAME_CHILDREN) &&
            (l->returns & RETURN_CHILDREN || imap_can_rev2(l->s, CAP_CHILDREN)))
                put_attribute(l, &space,
                              name->bits & NAME_CHILDREN ? S("\\HasChildren") : S("\\HasNoChildren"));
        if (!l->lsub && l->returns & RETURN_SUBSCRIBED && name->bits & NAME_SUBSCRIBED)
                put_attribute(l, &space, S("\\Subscribed"));
        if (!l->lsub && imap_can_rev2(l->s, CAP_SPECIAL_USE) && role_attribute(name->role).n)
                put_attribute(l, &space, role_attribute(name->role));
        buf_puts(&l->out, S(")"));
}

/* RFC 9051 §6.3.9.6: which selection options something below has met. */
static void put_childinfo(struct list *l, const struct list_name *name)
{
        unsigned select = l->query.select;

        if (!(select & SELECT_RECURSIVE && name->bits & NAME_CHILD_SELECTED))
                return;
        buf_puts(&l->out, S(" (\"CHILDINFO\" ("));
        if (select & SELECT_SUBSCRIBED)
                buf_puts(&l->out, S("\"SUBSCRIBED\""));
        if (select & SELECT_SPECIAL)
                buf_printf(&l->out, "%s\"SPECIAL-USE\"", select & SELECT_SUBSCRIBED ? " " : "");
        buf_puts(&l->out, S("))"));
}

/* What else was asked for about a mailbox. It may have gone since, or not be his to read: then that part is missing. */
static void put_more(struct list *l, const struct list_name *name)
{
        struct session *s = l->s;
        struct access x;

        if (!(name->bits & NAME_EXISTS))
                return;
        if (l->returns & RETURN_MYRIGHTS)
                put_myrights(&l->out, s, name->name, name->rights);
        if (l->returns & RETURN_STATUS && name->rights & RIGHT_READ && !(name->bits & NAME_NOSELECT) &&
            !access_open(&x, s->server->accounts, s->account, name->owner, name->path, RIGHT_READ)) {
                if (put_status(&l->out, s, &x, name->name, l->items))
                        log_warn("status", "session=%s mailbox=%s", s->id, log_str(name->name));
                access_close(&x);
        }
        if (l->returns & RETURN_METADATA && metadata_visible(name->rights) &&
            !access_open(&x, s->server->accounts, s->account, name->owner, name->path, 0)) {
                if (put_metadata(&l->out, s, x.account, x.reader_number, x.mailbox, name->name, &l->metadata))
                        log_warn("metadata", "session=%s mailbox=%s", s->id, log_str(name->name));
                access_close(&x);
        }
}

static void say(struct list *l)
{
        struct session *s = l->s;

        for (size_t i = 0; i < l->found.n && conn_ok(s->conn); i++) {
                const struct list_name *name = &l->found.list[i];

                if (!(name->bits & NAME_SHOWN))
                        continue;
                buf_puts(&l->out, l->lsub ? S("* LSUB ") : S("* LIST "));
                put_attributes(l, name);
                buf_puts(&l->out, S(" \"/\" "));
                put_mailbox(&l->out, name->name, imap_mode(s));
                put_childinfo(l, name);
                buf_puts(&l->out, S("\r\n"));
                put_more(l, name);
                conn_put(s->conn, buf_str(&l->out));
                buf_clear(&l->out);
        }
}

/* LIST "" "": the delimiter, and the root of the reference. */
static int say_root(struct list *l)
{
        struct str root = str_starts(l->reference, S(IMAP_OTHERS))   ? S(IMAP_OTHERS)
                          : str_starts(l->reference, S(IMAP_SHARED)) ? S(IMAP_SHARED)
                                                                     : S("");

        imap_say(l->s, "LIST (\\Noselect) \"/\" \"" PRS "\"", STR(root));
        return imap_ok(l->s, "that is all");
}

static int carry_out(struct list *l)
{
        struct session *s = l->s;
        int rc = gather_account(l, s->account, S(""));

        if (!rc)
                rc = gather_others(l);
        if (!rc)
                rc = gather_subscriptions(l);
        if (rc)
                return imap_trouble(s, rc);
        l->query.patterns = l->patterns;
        (void)offload(QUICK, choose, l);
        say(l);
        return imap_ok(s, "that is all");
}

static int list(struct session *s, struct scan *a, bool lsub)
{
        struct list l = { .s = s, .lsub = lsub, .query.select = lsub ? SELECT_LSUB : 0u };
        bool root;
        int rc;

        if (!lsub && scan_peek(a) == '(') {
                l.extended = true;
                select_options(&l, a);
                imap_sp(a);
        }
        l.reference = imap_mailbox(s, a);
        imap_sp(a);
        root = !lsub && !l.extended && str_eq(str_from_at(a->s, a->at), S("\"\""));
        patterns(&l, a);
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (root)
                return say_root(&l);
        arena_init(&l.names, 128 << 20); /* more than NAME_BYTES_MOST and NAMES_MOST allow */
        l.found.m = &l.names;
        buf_init(&l.out, 256 << 20);
        rc = carry_out(&l);
        buf_free(&l.out);
        list_names_free(&l.found);
        arena_finish(&l.names);
        return rc;
}

int imap_list(struct session *s, struct scan *a)
{
        return list(s, a, false);
}

int imap_lsub(struct session *s, struct scan *a)
{
        return list(s, a, true);
}
