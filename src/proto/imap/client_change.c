/* What changes a mailbox or its letters: STORE, COPY, MOVE, EXPUNGE (RFC 9051 §6.4, RFC 4315, 6851), CREATE and the like (§6.3.4-6.3.8). */
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include "store/account.h"
#include <errno.h>

enum { PAIRS_MOST = 1000000 };

/* What we do ourselves is no news. */
static bool heard_own(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        (void)c;
        (void)context;
        (void)number;
        return str_ieq(word, S("FETCH")) || str_ieq(word, S("UIDFETCH"));
}

static bool heard_gone(struct imap_client *c, void *context, uint32_t number, struct str word)
{
        bool told = c->told, gone = str_ieq(word, S("EXPUNGE"));

        (void)context;
        (void)number;
        if (gone && c->now.count)
                c->now.count--;
        if (str_ieq(word, S("VANISHED"))) {
                client_heard_vanished(c);
                c->told = told;
                gone = true;
        }
        return gone;
}

/* ---- STORE ---- */

struct storing {
        enum imap_store how;
        uint64_t flags;
        struct str keywords;
};

static int put_store(struct imap_client *c, void *context, struct str part)
{
        static const char *const signs[] = { [IMAP_ADD] = "+", [IMAP_REMOVE] = "-", [IMAP_SET] = "" };
        const struct storing *s = context;

        conn_printf(c->conn, "UID STORE " PRS " %sFLAGS.SILENT ", STR(part), signs[s->how]);
        client_put_flags(c, s->flags, s->keywords);
        return 0;
}

int imap_client_store(struct imap_client *c, const char *set, enum imap_store how, uint64_t flags,
                      struct str keywords, struct imap_answer *answer)
{
        static const struct client_ask ask = { .hear = heard_own };
        struct storing s = { .how = how, .flags = flags, .keywords = keywords };

        return client_by_parts(c, set, &ask, answer, put_store, &s);
}

/* ---- EXPUNGE ---- */

static int put_expunge(struct imap_client *c, void *context, struct str part)
{
        (void)context;
        conn_printf(c->conn, "UID EXPUNGE " PRS, STR(part));
        return 0;
}

struct others {
        struct str set;
        bool there;
};

/* Is there a marked letter that is not of the set? */
static void look_for_others(void *context, uint32_t first, uint32_t last)
{
        struct others *o = context;
        uint64_t next = first;

        while (next <= last && !o->there) {
                struct str left = o->set;
                uint32_t from, to;
                bool bad = false, found = false;

                while (!found && set_next(&left, &from, &to, &bad))
                        found = from && to && next >= from && next <= to;
                o->there = !found;
                next = (uint64_t)to + 1;
        }
}

/* Without UIDPLUS only all that is marked can go: so it goes if that is the same. */
static int expunge_all(struct imap_client *c, const char *set, struct imap_answer *answer)
{
        static const struct client_ask ask = { .hear = heard_gone };
        struct others o = { .set = str_of(set) };
        int rc = set_valid(set) ? client_search(c, "DELETED", answer, look_for_others, &o)
                                : client_ours(answer, -EINVAL, "that is no set of uids");

        if (rc == 0 && o.there)
                rc = client_ours(answer, -EOPNOTSUPP,
                                 "other letters are marked as deleted there, and would go with these");
        return rc < 0 ? rc : client_command(c, &ask, answer, "EXPUNGE");
}

int imap_client_expunge(struct imap_client *c, const char *set, struct imap_answer *answer)
{
        static const struct client_ask ask = { .hear = heard_gone };

        if (!(c->offers & IMAP_HAS_UIDPLUS))
                return expunge_all(c, set, answer);
        return client_by_parts(c, set, &ask, answer, put_expunge, NULL);
}

/* ---- COPY, MOVE ---- */

struct copying {
        struct imap_client *c;
        const struct imap_folder *to;
        const char *verb;
        struct imap_answer *answer;
        struct str set;
        void (*copied)(void *context, uint32_t from, uint32_t to);
        void *context;
};

static int put_copy(struct imap_client *c, void *context, struct str part)
{
        const struct copying *x = context;

        conn_printf(c->conn, "UID %s " PRS " ", x->verb, STR(part));
        return client_put_string(c, x->to->wire, x->answer);
}

static bool asked(struct str set, uint32_t uid)
{
        uint32_t first, last;
        bool bad = false;

        while (set_next(&set, &first, &last, &bad))
                if (!first || !last || (uid >= first && uid <= last))
                        return true;
        return false;
}

/* COPYUID 38505 304,319:320 3956:3958: pair by pair, as long as both have some (RFC 4315 §3). */
static void heard_copyuid(struct imap_client *c, void *context, struct str code)
{
        struct copying *x = context;
        struct str word, from;
        uint32_t first = 0, last = 0, to = 0, to_last = 0;
        bool bad = false, more, to_more;

        (void)c;
        if (!str_istarts(code, S("COPYUID ")) || !x->copied)
                return;
        str_cut(&code, ' ', &word);
        str_cut(&code, ' ', &word);
        str_cut(&code, ' ', &from);
        more = set_next(&from, &first, &last, &bad) && first && last;
        to_more = set_next(&code, &to, &to_last, &bad) && to && to_last;
        for (unsigned n = 0; more && to_more && n < PAIRS_MOST; n++) {
                if (asked(x->set, first))
                        x->copied(x->context, first, to);
                more = first < last ? (first++, true) : set_next(&from, &first, &last, &bad) && first && last;
                to_more = to < to_last ? (to++, true) : set_next(&code, &to, &to_last, &bad) && to && to_last;
        }
}

int imap_client_copy(struct imap_client *c, const char *set, const struct imap_folder *to, bool move,
                     void (*copied)(void *context, uint32_t from, uint32_t to), void *context,
                     struct imap_answer *answer)
{
        bool at_once = move && c->offers & IMAP_HAS_MOVE;
        struct copying x = { .c = c,
                             .to = to,
                             .verb = at_once ? "MOVE" : "COPY",
                             .answer = answer,
                             .set = str_of(set),
                             .copied = copied,
                             .context = context };
        struct client_ask ask = { .context = &x, .hear = at_once ? heard_gone : NULL, .code = heard_copyuid };
        int rc = client_by_parts(c, set, &ask, answer, put_copy, &x);

        if (rc == 0 && move && !at_once)
                rc = imap_client_store(c, set, IMAP_ADD, FLAG_DELETED, S(""), answer);
        if (rc == 0 && move && !at_once) {
                rc = imap_client_expunge(c, set, answer);
                if (rc == -EOPNOTSUPP) /* they stay behind, marked */
                        rc = 0;
        }
        return rc;
}

/* ---- mailboxes ---- */

static int name_command(struct imap_client *c, const char *verb, struct str wire, struct str second,
                        struct imap_answer *answer)
{
        int rc;

        client_begin(c);
        conn_printf(c->conn, "%s ", verb);
        rc = client_put_string(c, wire, answer);
        if (rc == 0 && second.n) {
                conn_put(c->conn, S(" "));
                rc = client_put_string(c, second, answer);
        }
        if (rc < 0)
                return rc;
        conn_put(c->conn, S("\r\n"));
        return client_finish(c, NULL, answer);
}

int imap_client_create(struct imap_client *c, struct str path, struct imap_answer *answer)
{
        auto_arena struct arena a = { 0 };
        struct str wire;
        int rc;

        arena_init(&a, 64 << 10);
        rc = client_wire_name(c, &a, path, &wire, answer);
        return rc < 0 ? rc : name_command(c, "CREATE", wire, S(""), answer);
}

int imap_client_delete(struct imap_client *c, const struct imap_folder *f, struct imap_answer *answer)
{
        return name_command(c, "DELETE", f->wire, S(""), answer);
}

int imap_client_rename(struct imap_client *c, const struct imap_folder *f, struct str path,
                       struct imap_answer *answer)
{
        auto_arena struct arena a = { 0 };
        struct str wire;
        int rc;

        arena_init(&a, 64 << 10);
        rc = client_wire_name(c, &a, path, &wire, answer);
        return rc < 0 ? rc : name_command(c, "RENAME", f->wire, wire, answer);
}

int imap_client_subscribe(struct imap_client *c, const struct imap_folder *f, bool yes,
                          struct imap_answer *answer)
{
        return name_command(c, yes ? "SUBSCRIBE" : "UNSUBSCRIBE", f->wire, S(""), answer);
}
