#include "proto/smtp/smtp.h"
#include "base/codec.h"

#include <errno.h>

/* What VRFY and EXPN are asked about: an address, with or without <>, or the bare name of an account; SMTPUTF8 may
 * follow (RFC 6531 §3.7.4.2). OK, or FAIL: answered already. */
static int scan_asked(struct session *s, struct scan *a, struct path *out)
{
        struct str text = str_trim(scan_rest(a)), account;
        bool utf8 = text.n > 9 && str_ieq(str_from_at(text, text.n - 9), S(" SMTPUTF8"));

        if (utf8)
                text = str_trim(str_sub(text, 0, text.n - 9));
        if (text.n > 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
                text = str_sub(text, 1, text.n - 2);
        if (!text.n)
                return smtp_reply(s, "501 5.5.4 Syntax: %s address", s->running->verb);
        if (!ascii_only(text) && !utf8)
                return smtp_reply(s, "550 5.6.7 That address needs SMTPUTF8");
        if (address_parse(&s->command, text, out))
                return OK;
        if (directory_signin(s->server->directory, &s->command, text, &account) == 0 &&
            address_parse(&s->command, account, out))
                return OK;
        return smtp_reply(s, "550 5.1.1 User unknown");
}

/* User name and mailbox -- RFC 5321 §3.5.1 */
static struct str named(struct session *s, struct str address)
{
        struct account_entry entry;

        if (directory_account(s->server->directory, &s->command, address, &entry) == 0 && entry.real_name.n)
                return arena_printf(&s->command, PRS " <" PRS ">", STR(entry.real_name), STR(address));
        return arena_printf(&s->command, "<" PRS ">", STR(address));
}

static int answer(struct session *s, const struct path *who)
{
        struct resolved r;

        if (directory_resolve(s->server->directory, &s->command, who->local, who->domain, &r) < 0)
                return smtp_reply(s, "451 4.3.0 Local error, try again later");
        switch (r.standing) {
        case STANDING_OK:
                return smtp_reply(s, "250 2.1.5 " PRS,
                                  STR(named(s, r.account.n && !r.list.n ? r.account : who->text)));
        case STANDING_FORWARDED:
                return smtp_reply(s, "251 2.1.5 User not local; will forward to <" PRS ">", STR(r.moved_to));
        case STANDING_MOVED:
                return smtp_reply(s, "551 5.1.6 User not local; please try <" PRS ">", STR(r.moved_to));
        case STANDING_DISABLED:
                return smtp_reply(s, "550 5.2.1 <" PRS ">... Mailbox disabled", STR(who->text));
        case STANDING_FOREIGN:
                return smtp_reply(s, "252 2.1.5 <" PRS ">... Cannot verify, not a domain of ours",
                                  STR(who->text));
        case STANDING_LOOP:
                return smtp_reply(s, "554 5.4.6 <" PRS ">... Its aliases go round in circles",
                                  STR(who->text));
        case STANDING_UNKNOWN: break;
        }
        return smtp_reply(s, "550 5.1.1 <" PRS ">... User unknown", STR(who->text));
}

/* VRFY -- RFC 5321 §3.5. Strangers, who might be collecting addresses, are told neither yes nor no (§7.3). */
int smtp_vrfy(struct session *s, struct scan *a)
{
        struct path who;

        if (!s->account.n && !scan_end(a))
                return smtp_reply(s,
                                  "252 2.0.0 Cannot VRFY user, but will accept message and attempt delivery");
        if (scan_asked(s, a, &who) != OK)
                return FAIL;
        return answer(s, &who);
}

/* EXPN -- RFC 5321 §3.5.2: the members of a list, one a line. */
int smtp_expn(struct session *s, struct scan *a)
{
        struct directory_row *rows;
        struct resolved r;
        struct path who;
        size_t n;

        if (!s->account.n && !scan_end(a))
                return smtp_reply(s,
                                  "252 2.0.0 Cannot EXPN list, but will accept message and attempt delivery");
        if (scan_asked(s, a, &who) != OK)
                return FAIL;
        if (directory_resolve(s->server->directory, &s->command, who.local, who.domain, &r) < 0)
                return smtp_reply(s, "451 4.3.0 Local error, try again later");
        if (!r.list.n)
                return answer(s, &who);
        if (directory_rows(s->server->directory, DIR_MEMBERS, r.list, &s->command, &rows, &n) < 0)
                return smtp_reply(s, "451 4.3.0 Local error, try again later");
        if (!n)
                return smtp_reply(s, "550 5.2.4 <" PRS ">... The list has no members", STR(who.text));
        for (size_t i = 0; i + 1 < n; i++)
                smtp_reply(s, "250-2.1.5 " PRS, STR(named(s, rows[i].value)));
        return smtp_reply(s, "250 2.1.5 " PRS, STR(named(s, rows[n - 1].value)));
}
