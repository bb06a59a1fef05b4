#include "proto/pop3/client.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/pop3/client_inside.h"
#include <errno.h>
#include <stdio.h>

/* conn calls what it reads the client's; here it is the server's. */
static void heard(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct pop3_client *c = (struct pop3_client *)(void *)((char *)t - offsetof(struct pop3_client, tap));

        if (c->how.tap)
                c->how.tap->line(c->how.tap, from == 'S' ? 'C' : 'S', line, bytes);
}

static int shake_hands(struct pop3_client *c, struct pop3_answer *answer)
{
        static const struct tls_wanted nothing;
        int rc = conn_starttls_to(c->conn, c->how.want ? c->how.want : &nothing, now() + c->how.patience,
                                  &c->found);

        if (c->how.found)
                *c->how.found = c->found;
        c->has_tls = rc >= 0;
        if (rc >= 0)
                return 0;
        popc_break(c, rc);
        return popc_ours(answer, rc, c->found.why[0] ? c->found.why : strerrordesc_np(-rc));
}

/* ---- CAPA (RFC 2449 §5) ---- */

static void heard_capability(void *context, struct str line)
{
        static const struct {
                const char *name;
                unsigned offer;
        } capabilities[] = {
                { "PIPELINING", POP3_HAS_PIPELINING },
                { "UIDL", POP3_HAS_UIDL },
                { "TOP", POP3_HAS_TOP },
                { "UTF8", POP3_HAS_UTF8 },
                { "STLS", POP3_HAS_STLS },
                { "USER", POP3_HAS_USER },
        };
        struct pop3_client *c = context;
        struct str word;

        str_cut(&line, ' ', &word);
        for (size_t i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++)
                if (str_ieq(word, str_of(capabilities[i].name)))
                        c->offers |= capabilities[i].offer;
        if (str_ieq(word, S("SASL")) && line.n < sizeof(c->mechanisms))
                snprintf(c->mechanisms, sizeof(c->mechanisms), PRS, STR(line));
}

/* A server without it is an old one: nothing then is known to be offered. */
int popc_capa(struct pop3_client *c, struct pop3_answer *answer)
{
        int rc = popc_run(c, answer, "CAPA\r\n");

        c->offers = 0;
        c->mechanisms[0] = 0;
        c->has_capa = rc == 0;
        if (rc == -EREMOTEIO)
                return 0;
        return rc < 0 ? rc : popc_lines(c, 200, heard_capability, c, answer);
}

/* ---- the conversation's beginning ---- */

/* msg-id, strictly: what else would be hashed with the password helps who wants to learn it (CVE-2007-1558). */
static bool timestamp(struct str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] <= ' ' || s.p[i] > '~')
                        return false;
        return str_find(s, '@') != STR_NONE;
}

/* For APOP (RFC 1939 §7): "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>" */
static int greeting(struct pop3_client *c, struct pop3_answer *answer)
{
        int rc = popc_answer(c, answer, NULL);
        struct str text = str_of(answer->text), stamp;
        size_t open = str_rfind(text, '<'), close = str_rfind(text, '>');

        if (rc == -EREMOTEIO)
                return popc_break(c, -ECONNREFUSED);
        if (rc < 0 || open == STR_NONE || close == STR_NONE || open > close)
                return rc;
        stamp = str_sub(text, open, close - open + 1);
        if (stamp.n < sizeof(c->stamp) && timestamp(stamp))
                snprintf(c->stamp, sizeof(c->stamp), PRS, STR(stamp));
        return rc;
}

/* What was said before TLS is forgotten (RFC 2595 §4). */
static int start_tls(struct pop3_client *c, struct pop3_answer *answer)
{
        int rc;

        if (!(c->offers & POP3_HAS_STLS)) {
                if (c->how.tls != TLS_MUST)
                        return 0;
                return popc_ours(answer, -EACCES, "TLS is asked for here, and the server does not offer it");
        }
        rc = popc_run(c, answer, "STLS\r\n");
        if (rc == -EREMOTEIO)
                return c->how.tls == TLS_MUST ? -EACCES : 0;
        if (rc == 0)
                rc = shake_hands(c, answer);
        return rc < 0 ? rc : popc_capa(c, answer);
}

static int open_conversation(struct pop3_client *c, struct pop3_answer *answer)
{
        int rc = c->how.tls == TLS_AT_ONCE ? shake_hands(c, answer) : 0;
        struct pop3_answer greeted;

        if (rc >= 0)
                rc = greeting(c, answer);
        greeted = *answer;
        if (rc >= 0)
                rc = popc_capa(c, answer);
        if (rc >= 0 && (c->how.tls == TLS_MAY || c->how.tls == TLS_MUST))
                rc = start_tls(c, answer);
        if (rc >= 0)
                *answer = greeted;
        return rc;
}

int pop3_client_open(struct pop3_client **out, struct conn *conn, const struct pop3_client_how *how,
                     struct pop3_answer *answer)
{
        struct pop3_client *c = mem_new(struct pop3_client);
        int rc;

        *out = NULL;
        *answer = (struct pop3_answer){ 0 };
        c->conn = conn;
        c->how = *how;
        if (!c->how.patience)
                c->how.patience = 60 * SECOND;
        c->tap.line = heard;
        if (how->tap)
                conn_set_tap(conn, &c->tap);
        conn_park_after(conn, -1);
        rc = open_conversation(c, answer);
        c->how.host = NULL; /* these need not live on */
        c->how.want = NULL;
        if (rc < 0)
                pop3_client_drop(&c);
        *out = c;
        return rc;
}

void pop3_client_drop(struct pop3_client **cp)
{
        struct pop3_client *c = *cp;

        *cp = NULL;
        if (!c)
                return;
        conn_free(&c->conn);
        mem_free(c);
}

int pop3_client_quit(struct pop3_client **cp, struct pop3_answer *answer)
{
        struct pop3_client *c = *cp;
        int rc = popc_run(c, answer, "QUIT\r\n");

        if (!c->broken)
                conn_close(&c->conn, now() + c->how.patience);
        pop3_client_drop(cp);
        return rc;
}

unsigned pop3_client_offers(const struct pop3_client *c)
{
        return c->offers;
}

const struct tls_found *pop3_client_tls(const struct pop3_client *c)
{
        return c->has_tls ? &c->found : NULL;
}
