/* IDLE (RFC 2177): the server tells what happens; NOOP now and then where it cannot. */
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include <errno.h>

#define RENEW (25 * 60 * SECOND) /* RFC 2177: at least every 29 minutes */
#define POLL  (30 * SECOND)

void imap_client_wake(struct imap_client *c)
{
        c->wake = true;
        conn_call(c->conn);
}

/* Why it may end; -EAGAIN: it goes on. */
static int reason(struct imap_client *c, nsec deadline)
{
        if (c->broken)
                return c->broken;
        if (c->told) {
                c->told = false;
                return 0;
        }
        if (c->wake) {
                c->wake = false;
                return -ECANCELED;
        }
        return now() >= deadline ? -ETIMEDOUT : -EAGAIN;
}

/* Responses until there is a reason, or it is time to renew. */
static void listen_on(struct imap_client *c, nsec deadline)
{
        int rc = 0;

        while (rc == 0 && !c->told && !c->wake) {
                c->idling = true;
                rc = client_next(c, deadline);
                c->idling = false;
                if (rc < 0)
                        return;
                if (scan_try_word(&c->in, S("* ")))
                        client_untagged(c);
                else
                        client_break(c, -EPROTO);
                rc = c->broken;
        }
}

static int idle_once(struct imap_client *c, nsec deadline)
{
        nsec renew = now() + RENEW;
        struct imap_answer answer;
        int rc;

        client_begin(c);
        conn_put(c->conn, S("IDLE\r\n"));
        rc = client_go_on(c, NULL, &answer);
        if (rc == 0)
                rc = client_break(c, -EPROTO);
        if (rc < 0)
                return rc;
        listen_on(c, deadline < renew ? deadline : renew);
        if (c->broken)
                return c->broken;
        conn_put(c->conn, S("DONE\r\n"));
        rc = client_finish(c, NULL, &answer);
        return rc < 0 ? rc : 0;
}

/* The wait between two NOOPs; what comes meanwhile is heard, too. */
static int noop_once(struct imap_client *c, nsec deadline)
{
        nsec next = now() + POLL;
        struct imap_answer answer;
        int rc = client_command(c, NULL, &answer, "NOOP");

        if (rc == 0 && !c->told)
                listen_on(c, deadline < next ? deadline : next);
        return rc < 0 ? rc : c->broken;
}

int imap_client_idle(struct imap_client *c, nsec deadline)
{
        int rc, why = reason(c, deadline);

        while (why == -EAGAIN) {
                rc = c->offers & IMAP_HAS_IDLE ? idle_once(c, deadline) : noop_once(c, deadline);
                if (rc < 0)
                        return rc;
                why = reason(c, deadline);
        }
        return why;
}
