/* A control connection is made: by TLS or not, by a certificate that is known or asked about. */
#include "cli/ftp/ftp.h"
#include "base/mem.h"
#include "cli/reach.h"
#include "run/fiber.h"
#include <errno.h>
#include <sysexits.h>

#define DIAL_PATIENCE 60
enum { FTP_PORT = 21, FTPS_PORT = 990 };

/* TLS when offered; on this machine only where it was asked for. */
static enum ftp_client_tls tls_of(const struct site *s, struct addr peer)
{
        const struct console *c = s->console;

        if (s->where.tls_said)
                return s->where.tls;
        if (c->tls_said)
                return c->tls;
        if (s->where.port == FTPS_PORT)
                return FTP_TLS_AT_ONCE;
        return addr_loopback(peer) ? FTP_CLEAR : FTP_TLS_OFFERED;
}

static void settle(struct site *s)
{
        struct console *c = s->console;

        ftp_client_coding(s->client, &c->coding);
        ftp_client_data(s->client, c->way, c->foreign);
}

/* One try, in a fiber of its own, that Ctrl-C can cancel: there is no client yet to be told. */
struct dialing {
        struct dialing *next; /* of the console's */
        struct site *site;
        struct fiber *fiber;
        struct ftp_answer answer;
        struct tls_found found;
        struct buf why;
        int rc;
        bool reached, over;
        struct waitlist waiting;
};

void site_dials_stop(struct console *c)
{
        for (struct dialing *d = c->dials; d; d = d->next)
                if (d->fiber)
                        fiber_cancel(d->fiber);
}

static int greet(struct dialing *d, struct conn *conn)
{
        struct site *s = d->site;
        struct console *c = s->console;
        struct ftp_client_how how = { .host = s->where.host,
                                      .tls = tls_of(s, conn_peer(conn)),
                                      .want = &s->known.want,
                                      .found = &d->found,
                                      .hears = &s->hears,
                                      .tap = &s->tap };

        d->reached = true;
        s->sent = s->answered = 0;
        if (c->verbose && !s->hush) {
                progress_away();
                fputs("Connected to ", c->out);
                put_safe(c->out, s->where.host);
                fputs(".\n", c->out);
                fflush(c->out);
        }
        return ftp_client_open(&s->client, conn, &how, &d->answer);
}

static void dial_fiber(void *arg)
{
        struct dialing *d = arg;
        struct site *s = d->site;
        struct conn *conn;

        d->fiber = fiber_self();
        d->rc = s->console->stopped
                    ? -ECANCELED
                    : reach(s->where.host, s->where.port, in_seconds(DIAL_PATIENCE), &conn, &d->why);
        if (d->rc == 0)
                d->rc = greet(d, conn);
        d->fiber = NULL;
        d->over = true;
        wake_all(&d->waiting);
}

static int dial(struct dialing *d)
{
        struct console *c = d->site->console;
        struct dialing **at;

        d->next = c->dials;
        c->dials = d;
        d->rc = fiber_spawn("ftp dial", dial_fiber, d);
        while (d->rc == 0 && !d->over)
                if (wait_on(&d->waiting, "a connection", NEVER) < 0) { /* we are cancelled: so is it */
                        if (d->fiber)
                                fiber_cancel(d->fiber);
                        fiber_yield();
                }
        for (at = &c->dials; *at != d; at = &(*at)->next)
                ;
        *at = d->next;
        return c->stopped && d->rc < 0 ? -ECANCELED : d->rc;
}

static int not_reached(struct dialing *d, int rc)
{
        buf_u8(&d->why, 0);
        return say_fail(d->site->console,
                        rc == -ENOENT   ? EX_NOHOST
                        : rc == -EAGAIN ? EX_TEMPFAIL
                                        : EX_UNAVAILABLE,
                        d->site->where.host, d->why.n > 1 ? d->why.p : strerrordesc_np(-rc));
}

/* *again: the certificate was looked at and a person said yes: once more. */
static int connect_once(struct site *s, bool *again)
{
        struct dialing *d = mem_new(struct dialing);
        int rc;

        *again = false;
        d->site = s;
        buf_init(&d->why, 4096);
        rc = dial(d);
        if (rc < 0) {
                *again = rc == -EACCES && d->reached && known_asked(&s->known, &d->found);
                if (*again)
                        rc = EX_OK;
                else if (d->reached || rc == -ECANCELED)
                        rc = site_failed(s, rc, &d->answer, NULL);
                else
                        rc = not_reached(d, rc);
        }
        buf_free(&d->why);
        mem_free(d);
        return rc;
}

int site_connect(struct site *s)
{
        struct console *c = s->console;
        bool again = true;
        int rc = EX_OK;

        if (!s->where.port)
                s->where.port = s->where.tls_said && s->where.tls == FTP_TLS_AT_ONCE ? FTPS_PORT : FTP_PORT;
        if (s->client || s->next)
                site_close(s);
        known_want(&s->known, s->where.host, s->where.port,
                   c->background && c->policy == KNOWN_ASK ? KNOWN_REFUSE : c->policy, c->ca_file);
        while (rc == EX_OK && again)
                rc = connect_once(s, &again);
        if (rc)
                return rc;
        s->next = c->sites;
        c->sites = s;
        if (ftp_client_tls(s->client) && c->verbose && !s->hush) {
                fprintf(c->out, "%s, %s.\n", ftp_client_tls(s->client)->version,
                        ftp_client_tls(s->client)->verified ? "certificate checked"
                                                            : "certificate not checked");
        }
        settle(s);
        return EX_OK;
}
