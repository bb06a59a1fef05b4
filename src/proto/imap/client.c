#include "proto/imap/client.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include <errno.h>

/* conn calls what it reads the client's; here it is the server's. */
static void heard(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        struct imap_client *c = (struct imap_client *)(void *)((char *)t - offsetof(struct imap_client, tap));

        if (c->how.tap)
                c->how.tap->line(c->how.tap, from == 'S' ? 'C' : 'S', line, bytes);
}

static int shake_hands(struct imap_client *c, struct imap_answer *answer)
{
        static const struct tls_wanted nothing;
        int rc = conn_starttls_to(c->conn, c->how.want ? c->how.want : &nothing, now() + c->how.patience,
                                  &c->found);

        if (c->how.found)
                *c->how.found = c->found;
        c->has_tls = rc >= 0;
        if (rc >= 0)
                return 0;
        client_break(c, rc);
        return client_ours(answer, rc, c->found.why[0] ? c->found.why : strerrordesc_np(-rc));
}

/* greeting = "*" SP (resp-cond-auth / resp-cond-bye) CRLF */
static int greeting(struct imap_client *c, bool *preauth, struct imap_answer *answer)
{
        int rc = client_next(c, now() + c->how.patience);
        struct str word;
        bool bye;

        if (rc < 0)
                return client_ours(answer, rc, rc == -ETIMEDOUT ? "no greeting in time" : "no greeting");
        scan_word(&c->in, S("* "));
        word = scan_until(&c->in, " ");
        scan_try(&c->in, ' ');
        *preauth = str_ieq(word, S("PREAUTH"));
        bye = str_ieq(word, S("BYE"));
        if (c->in.bad || !(*preauth || bye || str_ieq(word, S("OK"))))
                return client_ours(answer, client_break(c, -EPROTO), "that is no IMAP server");
        client_read_text(c, bye ? "BYE" : "OK", answer);
        return bye ? client_break(c, -ECONNREFUSED) : 0;
}

/* What was said before TLS is forgotten (RFC 9051 §6.2.1), and who is signed in before it is somebody else's guest (CVE-2020-12398). */
static int start_tls(struct imap_client *c, bool preauth, struct imap_answer *answer)
{
        int rc;

        if (!c->starttls || preauth) {
                if (c->how.tls != TLS_MUST)
                        return 0;
                return client_ours(answer, -EACCES,
                                   "TLS is asked for here, and the server does not offer it");
        }
        rc = client_command(c, NULL, answer, "STARTTLS");
        if (rc == -EREMOTEIO)
                return c->how.tls == TLS_MUST ? -EACCES : 0;
        if (rc == 0)
                rc = shake_hands(c, answer);
        return rc < 0 ? rc : client_ask_capability(c, answer);
}

static int open_conversation(struct imap_client *c, struct imap_answer *answer)
{
        int rc = c->how.tls == TLS_AT_ONCE ? shake_hands(c, answer) : 0;
        bool preauth = false;

        if (rc >= 0)
                rc = greeting(c, &preauth, answer);
        if (rc >= 0 && !c->asked_capability)
                rc = client_ask_capability(c, answer);
        if (rc >= 0 && (c->how.tls == TLS_MAY || c->how.tls == TLS_MUST))
                rc = start_tls(c, preauth, answer);
        c->signed_in = preauth;
        return rc;
}

int imap_client_open(struct imap_client **out, struct conn *conn, const struct imap_client_how *how,
                     struct imap_answer *answer)
{
        struct imap_client *c = mem_new(struct imap_client);
        int rc;

        *out = NULL;
        c->conn = conn;
        c->how = *how;
        if (!c->how.patience)
                c->how.patience = 60 * SECOND;
        c->oldest = 1;
        buf_init(&c->text, 64 << 10);
        buf_init(&c->keywords, KEYWORDS_MOST);
        c->tap.line = heard;
        if (how->tap)
                conn_set_tap(conn, &c->tap);
        conn_park_after(conn, -1);
        rc = open_conversation(c, answer);
        c->how.host = NULL; /* these need not live on */
        c->how.want = NULL;
        if (rc < 0)
                imap_client_close(&c, c->broken ? 0 : in_seconds(5));
        *out = c;
        return rc;
}

void imap_client_close(struct imap_client **cp, nsec deadline)
{
        struct imap_client *c = *cp;
        struct imap_answer answer;

        *cp = NULL;
        if (!c)
                return;
        if (deadline && !c->broken && deadline > now()) {
                c->how.patience = deadline - now();
                if (client_command(c, NULL, &answer, "LOGOUT") == 0)
                        conn_close(&c->conn, deadline);
        }
        conn_free(&c->conn);
        buf_free(&c->text);
        buf_free(&c->keywords);
        mem_free(c);
}

unsigned imap_client_offers(const struct imap_client *c)
{
        return c->offers;
}

const struct tls_found *imap_client_tls(const struct imap_client *c)
{
        return c->has_tls ? &c->found : NULL;
}
