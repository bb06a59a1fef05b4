#include "proto/smtp/smtp.h"
#include "base/codec.h"
#include "mail/report.h"

/* Would the letter, as far as its size is known, go beyond what the account may hold? Letters that are accepted but
 * not yet filed do not count, and what was accepted is filed: a quota is a word to senders, not a wall. */
static bool over_quota(struct session *s, struct str account, uint64_t size)
{
        struct account_entry entry;
        struct account *box;
        uint64_t quota, used = 0;
        int rc;

        if (directory_account(s->server->directory, &s->command, account, &entry) < 0)
                return false;
        quota = entry.quota ? entry.quota : (uint64_t)s->server->settings->default_quota;
        if (!quota || account_get(s->server->accounts, account, &box) < 0)
                return false;
        rc = account_taken(box, &used);
        account_put(&box);
        return rc == 0 && (used >= quota || size > quota - used);
}

/* Refused is the address whose every mailbox is full, be it an account with a subaddress or an alias of several. A list
 * is not: one reader's full mailbox is not the sender's business, and asking thousands of accounts would take its time. */
static bool all_full(struct session *s, const struct resolved *who, uint64_t size)
{
        if (who->list.n || !who->count)
                return false;
        for (unsigned i = 0; i < who->count; i++)
                if (who->actions[i].kind != ACTION_FILE || !over_quota(s, who->actions[i].account, size))
                        return false;
        return true;
}

static int too_many(struct session *s)
{
        return smtp_refuse(s, "452 4.5.3 Too many recipients: send them in another transaction");
}

/* Without SUCCESS, which whoever expands an address answers himself (RFC 3461 §5.2.7.3 (c)). */
static struct str without_success(struct arena *a, struct str parameters)
{
        unsigned notify = notify_of(parameters);
        struct str orcpt = parameter_of(parameters, S("ORCPT"));

        return arena_printf(a, "NOTIFY=%s%s" PRS,
                            !(notify & (NOTIFY_FAILURE | NOTIFY_DELAY)) ? "NEVER"
                            : !(notify & NOTIFY_DELAY)                  ? "FAILURE"
                            : !(notify & NOTIFY_FAILURE)                ? "DELAY"
                                                                        : "FAILURE,DELAY",
                            orcpt.n ? " ORCPT=" : "", STR(orcpt));
}

/* What its sender is to be told when all is carried out. What goes to one other host is that host's to report, or the sender role's. */
static void add_receipt(struct letter *l, struct resolved *who, struct str normal, struct str parameters,
                        bool expanded)
{
        struct action *more = arena_array(&l->arena, struct action, who->count + 1);

        for (unsigned i = 0; i < who->count; i++)
                more[i] = who->actions[i];
        more[who->count] = (struct action){ .kind = ACTION_RECEIPT,
                                            .flags = expanded ? ACTION_EXPANDED : 0,
                                            .account = !expanded && who->count ? more[0].account : S(""),
                                            .address = normal,
                                            .parameters = parameters };
        who->count++;
        who->actions = more;
}

/* That the list has it is the end of the way for its sender (RFC 3461 §5.2.7.1); its members hear nothing of his parameters. */
static void list_receipt(struct letter *l, struct str normal, struct str parameters)
{
        struct resolved nobody = { 0 };

        if (!(notify_of(parameters) & NOTIFY_SUCCESS))
                return;
        add_receipt(l, &nobody, arena_str(&l->arena, normal), arena_str(&l->arena, str_trim(parameters)),
                    false);
        (void)letter_add(l, nobody.actions, 1); /* letter_may_grow said so */
}

/* What was said of one recipient holds for whoever that is. */
static void keep_parameters(struct letter *l, struct resolved *who, struct str normal, struct str parameters)
{
        bool asked = l->sender.n && notify_of(parameters) & NOTIFY_SUCCESS, several = who->count > 1;
        struct str passed;

        parameters = arena_str(&l->arena, str_trim(parameters));
        passed = asked && several ? without_success(&l->arena, parameters) : parameters;
        for (unsigned i = 0; i < who->count; i++)
                who->actions[i].parameters = passed;
        if (asked && (several || (who->count && who->actions[0].kind == ACTION_FILE)))
                add_receipt(l, who, arena_str(&l->arena, normal), parameters, several);
}

static int accepted(struct session *s, const struct path *to, struct resolved *who)
{
        struct letter *l = &smtp_of(s)->letter;

        if (!letter_add(l, who->actions, who->count))
                return too_many(s);
        l->recipients++;
        l->recipient = arena_str(&l->arena, to->text);
        s->state = SMTP_RCPT;
        if (who->standing == STANDING_FORWARDED)
                return smtp_reply(s, "251 2.1.5 <" PRS ">... User not local; the message will be forwarded",
                                  STR(to->text));
        return smtp_reply(s, "250 2.1.5 <" PRS ">... Recipient ok", STR(to->text));
}

/* relay-for: we are this domain's backup MX. "example.org" takes all its addresses, "example.org:jack,jill" those. */
static bool backup_for(struct session *s, struct str address)
{
        struct str rest = str_of(s->server->settings->relay_for), one, domain, local, of, who;

        if (!address_split(address, &local, &of))
                return false;
        while (rest.n) {
                str_cut(&rest, ' ', &one);
                bool all = !str_cut(&one, ':', &domain);

                if (!str_ieq(domain, of))
                        continue;
                while (one.n) {
                        str_cut(&one, ',', &who);
                        if (str_ieq(who, local))
                                return true;
                }
                return all;
        }
        return false;
}

/* To another host: for those who have signed in, and for domains we are backup MX for, and for nobody else, ever. */
static int relay(struct session *s, const struct path *to, struct str normal, struct str parameters)
{
        struct resolved who = { .standing = STANDING_OK, .count = 1 };
        struct action send = { .kind = ACTION_SEND, .address = normal };

        if (!s->account.n && !s->owner && !backup_for(s, normal))
                return smtp_refuse(s, "550 5.7.1 <" PRS ">... Relaying denied", STR(to->text));
        send.original = arena_str(&smtp_of(s)->letter.arena, to->text);
        who.actions = &send;
        keep_parameters(&smtp_of(s)->letter, &who, normal, parameters);
        return accepted(s, to, &who);
}

static int refuse(struct session *s, const struct path *to, const struct resolved *who)
{
        switch (who->standing) {
        case STANDING_MOVED:
                return smtp_refuse(s, "551 5.1.6 <" PRS ">... User not local; please try <" PRS ">",
                                   STR(to->text), STR(who->moved_to));
        case STANDING_DISABLED:
                return smtp_refuse(s, "550 5.2.1 <" PRS ">... Mailbox disabled", STR(to->text));
        case STANDING_LOOP:
                return smtp_refuse(s, "554 5.4.6 <" PRS ">... Its aliases go round in circles",
                                   STR(to->text));
        default: return smtp_refuse(s, "550 5.1.1 <" PRS ">... User unknown", STR(to->text));
        }
}

static int deliver(struct session *s, const struct path *to, struct str normal, struct str parameters)
{
        struct letter *l = &smtp_of(s)->letter;
        struct resolved who;
        int rc;

        if (l->recipients >= (unsigned long)s->server->settings->max_recipients || !letter_may_grow(l))
                return too_many(s);
        if (directory_resolve(s->server->directory, &l->arena, to->local, to->domain, &who) < 0)
                return smtp_refuse(s, "451 4.3.0 Local error, try again later");
        if (list_takes(s, to, &who, &rc)) {
                if (rc == OK && who.list.n)
                        list_receipt(l, normal, parameters);
                return rc;
        }
        if (who.standing == STANDING_FOREIGN)
                return relay(s, to, normal, parameters);
        if (who.standing != STANDING_OK && who.standing != STANDING_FORWARDED)
                return refuse(s, to, &who);
        if (all_full(s, &who, l->declared))
                return smtp_refuse(s, "552 5.2.2 <" PRS ">... Mailbox full", STR(to->text));
        keep_parameters(l, &who, normal, parameters);
        list_forwards(s, &who);
        return accepted(s, to, &who);
}

enum said { SAID_NOTIFY = 1, SAID_ORCPT = 2 };
enum { ORCPT_MOST = 500 }; /* RFC 3461 §4.2 */

/* NEVER stands alone (RFC 3461 §4.1). */
static bool notify_valid(struct str value)
{
        struct str word;
        bool more = true;

        if (str_ieq(value, S("NEVER")))
                return true;
        while (more) {
                more = str_cut(&value, ',', &word);
                if (!str_ieq(word, S("SUCCESS")) && !str_ieq(word, S("FAILURE")) &&
                    !str_ieq(word, S("DELAY")))
                        return false;
        }
        return true;
}

static bool orcpt_valid(struct str value)
{
        struct str type;

        return value.n <= ORCPT_MOST && str_cut(&value, ';', &type) && type.n && ascii_only(type) &&
               smtp_xtext(value, ORCPT_MOST);
}

/* Rcpt-parameters of RFC 3461 §4. OK, or FAIL: answered already. */
static int parameter(struct session *s, struct str key, struct str value, unsigned *said)
{
        unsigned what = str_ieq(key, S("NOTIFY")) ? SAID_NOTIFY : str_ieq(key, S("ORCPT")) ? SAID_ORCPT : 0;

        if (!what)
                return smtp_reply(s, "555 5.5.4 " PRS ": no such parameter", STR(str_sub(key, 0, 64)));
        if (*said & what)
                return smtp_reply(s, "501 5.5.4 " PRS ": said twice", STR(key));
        *said |= what;
        if (what == SAID_NOTIFY ? notify_valid(value) : orcpt_valid(value))
                return OK;
        return smtp_reply(s, "501 5.5.4 " PRS ": not a value for it", STR(key));
}

/* "RCPT TO:" Forward-path [SP Rcpt-parameters] -- RFC 5321 §4.1.1.3 */
int smtp_rcpt(struct session *session, struct scan *a)
{
        struct letter *l = &smtp_of(session)->letter;
        unsigned before = l->recipients;
        struct str key, value, normal;
        unsigned said = 0;
        struct path to;
        int rc = OK;
        size_t at;

        if (!scan_try_word(a, S("TO:")))
                return smtp_reply(session, "501 5.5.4 Syntax: RCPT TO:<address>");
        to = scan_forward_path(a, &session->command);
        if (a->bad) {
                l->refused++;
                return smtp_reply(session, "501 5.1.3 Bad recipient address: %s", a->why);
        }
        at = a->at;
        while (scan_parameter(a, &key, &value) && rc == OK)
                rc = parameter(session, key, value, &said);
        if (rc != OK) {
                l->refused++;
                return rc;
        }
        if (!scan_done(a))
                return smtp_reply(session, "501 5.5.4 Syntax: RCPT TO:<address> [parameters]");
        if (to.utf8 && !l->utf8)
                rc = smtp_reply(session, "553 5.6.7 The recipient's address needs SMTPUTF8");
        else if (!address_normal(&l->arena, &to, &normal))
                rc = smtp_reply(session, "553 5.1.3 No such domain can exist");
        else
                rc = deliver(session, &to, normal, str_from_at(a->s, at));
        if (l->recipients == before)
                l->refused++;
        return rc;
}
