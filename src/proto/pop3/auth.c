/* AUTH [mechanism [initial-response]] -- RFC 5034. The exchange itself runs in the keeper, its framing is proto/sasl.c. */
#include "proto/pop3/pop3.h"
#include "proto/sasl.h"

/* AUTH alone: what RFC 1734's clients ask to learn the mechanisms. */
static int tell_mechanisms(struct session *s)
{
        struct str list = sasl_offered(s), word;

        pop3_ok(s, "mechanisms follow");
        while (list.n) {
                str_cut(&list, ' ', &word);
                conn_printf(s->conn, PRS "\r\n", STR(word));
        }
        conn_put(s->conn, S(".\r\n"));
        return OK;
}

int pop3_auth(struct session *s, struct scan *a)
{
        struct sasl_talk t = { .scope = SCOPE_POP3, .seconds = s->server->settings->pop3_command_timeout };
        struct str initial;

        t.mechanism = scan_until(a, " ");
        scan_spaces(a);
        initial = str_trim(scan_rest(a));
        if (initial.n)
                t.initial = initial;
        if (!t.mechanism.n)
                return tell_mechanisms(s);
        if (!sasl_is_offered(s, t.mechanism))
                return pop3_no(s, "no such mechanism here and now; AUTH alone lists them");
        switch (sasl_talk(s, &t)) {
        case SASL_CANCELLED: return pop3_no(s, "AUTH was cancelled");
        case SASL_GARBLED: return pop3_no(s, "that is not base64");
        case SASL_SILENCE: s->ending = !conn_stopping(s->conn); return OK; /* the loop says goodbye */
        case SASL_ENDED: break;
        }
        if (t.result == SIGNIN_SYNTAX)
                return pop3_no(s, "[AUTH] the response makes no sense to the mechanism");
        return pop3_enter(s, t.result, t.account);
}
