#include "proto/smtp/smtp.h"

#include <errno.h>

enum said {
        SAID_SIZE = 1,
        SAID_BODY = 2,
        SAID_UTF8 = 4,
        SAID_AUTH = 8,
        SAID_RET = 16,
        SAID_ENVID = 32,
        SAID_TLS = 64
};
enum { ENVID_MOST = 100 }; /* RFC 3461 §4.4 */

/* RFC 3461 §4: printable ASCII, "+" and "=" as "+2B" and "+3D". */
bool smtp_xtext(struct str s, size_t most)
{
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] < '!' || s.p[i] > '~' || s.p[i] == '=')
                        return false;
                if (s.p[i] != '+')
                        continue;
                for (size_t k = i + 1; k <= i + 2; k++)
                        if (k >= s.n ||
                            !((s.p[k] >= '0' && s.p[k] <= '9') || (s.p[k] >= 'A' && s.p[k] <= 'F')))
                                return false;
                i += 2;
        }
        return s.n > 0 && s.n <= most;
}

/* Mail-parameters of RFC 1870 §3, 6152 §2, 6531 §3.4, 4954 §5, 3461 §4.3, 8689 §2. OK, or FAIL: answered already. */
static int parameter(struct session *s, struct letter *l, struct str key, struct str value, unsigned *said)
{
        unsigned what = str_ieq(key, S("SIZE"))                                  ? SAID_SIZE
                        : str_ieq(key, S("BODY"))                                ? SAID_BODY
                        : str_ieq(key, S("SMTPUTF8"))                            ? SAID_UTF8
                        : str_ieq(key, S("AUTH"))                                ? SAID_AUTH
                        : str_ieq(key, S("RET"))                                 ? SAID_RET
                        : str_ieq(key, S("ENVID"))                               ? SAID_ENVID
                        : str_ieq(key, S("REQUIRETLS")) && conn_has_tls(s->conn) ? SAID_TLS
                                                                                 : 0;
        bool fine = false;

        if (!what)
                return smtp_reply(s, "555 5.5.4 " PRS ": no such parameter", STR(str_sub(key, 0, 64)));
        if (*said & what)
                return smtp_reply(s, "501 5.5.4 " PRS ": said twice", STR(key));
        *said |= what;
        switch ((enum said)what) {
        case SAID_SIZE: fine = value.n <= 20 && str_u64(value, &l->declared); break;
        case SAID_BODY:
                l->marked_8bit = str_ieq(value, S("8BITMIME"));
                fine = l->marked_8bit || str_ieq(value, S("7BIT"));
                break;
        case SAID_UTF8:
                l->utf8 = true;
                fine = !value.n;
                break;
        case SAID_RET: fine = str_ieq(value, S("FULL")) || str_ieq(value, S("HDRS")); break;
        case SAID_ENVID: fine = smtp_xtext(value, ENVID_MOST); break;
        case SAID_TLS: fine = !value.n; break;
        case SAID_AUTH: fine = value.n > 0; break; /* nobody here is trusted to say it, RFC 4954 §5 */
        }
        return fine ? OK : smtp_reply(s, "501 5.5.4 " PRS ": not a value for it", STR(key));
}

/* Who may use this sender here? */
static int check_sender(struct session *s, const struct path *from, struct str normal)
{
        struct str local, domain;

        if (from->null)
                return OK;
        if (s->account.n)
                return smtp_may_send_as(s, normal)
                           ? OK
                           : smtp_refuse(s, "553 5.7.1 <" PRS ">... Sender is not one of your addresses",
                                         STR(from->text));
        if (s->server->settings->refuse_own_sender_from_strangers && address_split(normal, &local, &domain) &&
            directory_is_local(s->server->directory, domain))
                return smtp_refuse(s, "553 5.7.1 <" PRS ">... Sign in to use this sender", STR(from->text));
        return OK;
}

/* May a letter of this size not begin now? True: answered, *rc is the result. */
static bool no_room(struct session *s, uint64_t size, int *rc)
{
        const struct settings *t = s->server->settings;
        struct incoming *probe = NULL;

        if (size > (uint64_t)t->max_letter_size) {
                *rc = smtp_refuse(s, "552 5.3.4 Letter too large: at most %ld octets", t->max_letter_size);
                return true;
        }
        if (s->server->status) {
                *rc = smtp_refuse(s, "452 4.3.1 %s", s->server->status);
                return true;
        }
        *rc = intake_begin(s->server->intake, &probe);
        incoming_free(&probe);
        if (*rc == 0)
                return false;
        if (*rc == -ENOSPC)
                *rc = smtp_refuse(s, "452 4.3.1 Insufficient system storage, try again later");
        else
                *rc = smtp_refuse(s, "451 4.3.0 Local error, try again later");
        return true;
}

/* "MAIL FROM:" Reverse-path [SP Mail-parameters] -- RFC 5321 §4.1.1.2; SOML and SAML of RFC 821 §3.4 file it, too,
 * as nobody here has a terminal to send to. */
int smtp_mail(struct session *session, struct scan *a)
{
        struct smtp *s = smtp_of(session);
        struct letter *l = &s->letter;
        struct str key, value, normal;
        struct path from;
        unsigned said = 0;
        size_t at;
        int rc = OK;

        letter_reset(s);
        if (!scan_try_word(a, S("FROM:")))
                return smtp_reply(session, "501 5.5.4 Syntax: %s FROM:<address>", session->running->verb);
        from = scan_reverse_path(a, &l->arena);
        if (a->bad)
                return smtp_reply(session, "501 5.1.7 Bad sender address: %s", a->why);
        at = a->at;
        while (scan_parameter(a, &key, &value) && rc == OK)
                rc = parameter(session, l, key, value, &said);
        if (rc != OK)
                return rc;
        if (!scan_done(a))
                return smtp_reply(session, "501 5.5.4 Syntax: %s FROM:<address> [parameters]",
                                  session->running->verb);
        if (from.utf8 && !l->utf8)
                return smtp_reply(session, "553 5.6.7 The sender's address needs SMTPUTF8");
        if (!address_normal(&l->arena, &from, &normal))
                return smtp_reply(session, "553 5.1.7 No such domain can exist");
        if (check_sender(session, &from, normal) != OK)
                return FAIL;
        if (no_room(session, l->declared, &rc))
                return rc;
        l->sender = normal;
        l->parameters = arena_str(&l->arena, str_trim(str_from_at(a->s, at)));
        session->state = SMTP_MAIL;
        return smtp_reply(session, "250 2.1.0 <" PRS ">... Sender ok", STR(from.text));
}
