/* Many files, one after another: commands are written before they can be carried out.
 *
 * What a server does with a command that comes while a transfer runs differs: ours and vsftpd carry it out behind it, ProFTPD refuses it
 * (450), pyftpdlib's PASV ends the transfer. A new PASV ends the port of the one before, so they go in pairs: PASV, RETR, PASV, RETR. It is
 * simply tried: where something is out of order the session is brought in step again, that file is fetched alone, and if it then comes less is
 * written ahead from then on. In MODE B one data connection serves all, and RETR follows RETR. */
#include "base/mem.h"
#include "proto/ftp/client_inside.h"
#include <errno.h>

#define TRIAL (10 * SECOND) /* for the answer to a PASV: who reads commands away never gives it */
enum {
        PAIRS = 3,   /* one is at work, the next is there when it ends */
        FOLLOW = 32, /* MODE B and C: nothing is to be done between two */
        CONNECT_WAIT = 5
};

struct many {
        struct ftp_client *c;
        const struct ftp_many *asked;
        struct {
                struct ftp_transfer *t;
                bool pasv;
        } slots[FOLLOW];
        unsigned n, said; /* slots from the first on: taken; with their commands out */
        bool over;        /* there are no more */
};

static bool may_go_ahead(const struct ftp_client *c)
{
        const char *why;

        return c->many != MANY_NOT && c->way != FTP_DATA_ACTIVE && c->way != FTP_DATA_DEFAULT &&
               coding_allowed(&c->want, &why);
}

/* What needs an answer before its command can go. */
static bool alone(const struct ftp_transfer *t)
{
        struct str name = str_of(t->remote);

        return t->offset || t->most || t->marker[0] || t->move == FTP_PUT_UNIQUE || str_has_control(name) ||
               name.n > FTPC_COMMAND_MOST / 2;
}

static void take_more(struct many *w, unsigned most)
{
        while (!w->over && w->n < most) {
                w->slots[w->n].t = w->asked->next(w->asked->context);
                if (w->slots[w->n].t)
                        w->n++;
                else
                        w->over = true;
        }
}

static void told(struct many *w, int rc)
{
        struct ftp_transfer *t = w->slots[0].t;

        w->n--;
        w->said -= w->said > 0;
        for (unsigned i = 0; i < w->n; i++)
                w->slots[i] = w->slots[i + 1];
        w->asked->done(w->asked->context, t, rc);
}

static int say_ahead(struct many *w)
{
        struct ftp_client *c = w->c;

        while (w->said < w->n && !alone(w->slots[w->said].t)) {
                bool pasv = !ftpc_keeps(&c->want) || (!c->kept && w->said == 0);
                int rc;

                if (pasv && !ftpc_data_ahead(c))
                        return -ECONNRESET;
                rc = ftpc_say_move(c, w->slots[w->said].t);
                if (rc < 0)
                        return rc;
                w->slots[w->said++].pasv = pasv;
        }
        return 0;
}

/* A transfer that nobody wants: it gets its data connection, and loses it. */
static void spoil(struct ftp_client *c, struct ftp_answer *a)
{
        nsec deadline = in_seconds(CONNECT_WAIT);
        struct ftpc_data d = { 0 };

        if (ftpc_data_heard(c, &d, a) == 0)
                while (ftpc_data_connecting(&d) && now() < deadline && fiber_sleep(now() + MSECOND) == 0)
                        ;
        ftpc_data_close(&d);
}

static int in_step(struct many *w)
{
        stream_free(&w->c->kept);
        w->said = 0;
        return ftpc_settle(w->c, spoil);
}

static int take_connection(struct many *w, struct ftpc_data *d, struct ftp_answer *a)
{
        struct ftp_client *c = w->c;
        int rc;

        if (!w->slots[0].pasv) {
                *d = (struct ftpc_data){
                        .client = c, .fd = -1, .stream = c->kept, .kept = true, .stands = true
                };
                c->kept = NULL;
                return d->stream ? 0 : -EPIPE;
        }
        *d = (struct ftpc_data){ .client = c, .fd = -1 };
        c->trying = true;
        rc = ftpc_reply(c, a, now() + (c->patience < TRIAL ? c->patience : TRIAL), false);
        c->trying = false;
        if (rc == 0)
                rc = a->code == 227 || a->code == 229 ? ftpc_data_heard(c, d, a) : -EPROTO;
        return rc;
}

/* *odd: it did not go as it would have gone alone. */
static int run_first(struct many *w, bool *odd)
{
        struct ftp_client *c = w->c;
        struct ftp_transfer *t = w->slots[0].t;
        struct ftpc_data d = { 0 };
        struct ftpc_move m;
        int rc;

        ftpc_move_init(&m, c, t, &c->want, &d);
        rc = ftpc_move_begin(&m);
        if (rc == 0)
                rc = take_connection(w, &d, &t->answer);
        *odd = rc < 0;
        if (rc == 0) {
                rc = ftpc_run(&m);
                *odd = rc < 0 && rc != -ECANCELED && !m.refused && m.whose != FTPC_FILE;
                if (m.stray.code)
                        spoil(c, &m.stray);
        }
        ftpc_data_close(&d);
        ftpc_move_free(&m);
        return rc;
}

static int run_alone(struct many *w)
{
        struct ftp_transfer *t = w->slots[0].t;
        int rc = ftpc_transfer(w->c, t, &w->c->want, NULL);

        told(w, rc);
        return rc == -ECANCELED || !conn_ok(w->c->conn) ? (rc < 0 ? rc : -ECONNRESET) : 0;
}

static int run_ahead(struct many *w)
{
        struct ftp_client *c = w->c;
        bool odd;
        int rc = run_first(w, &odd), again;

        if (rc == -ECANCELED || c->stopping) {
                if (conn_ok(c->conn))
                        (void)in_step(w);
                told(w, -ECANCELED);
                return -ECANCELED;
        }
        if (!conn_ok(c->conn)) {
                told(w, rc < 0 ? rc : -ECONNRESET);
                return rc < 0 ? rc : -ECONNRESET;
        }
        if (!odd) {
                told(w, rc);
                return 0;
        }
        again = in_step(w);
        if (again < 0) {
                told(w, again);
                return again;
        }
        again = ftpc_transfer(c, w->slots[0].t, &c->want, NULL);
        if (again == 0)
                c->many = c->many == MANY_AHEAD ? MANY_PAIR : MANY_NOT;
        told(w, again);
        return again == -ECANCELED || !conn_ok(c->conn) ? (again < 0 ? again : -ECONNRESET) : 0;
}

static int run_one(struct many *w, struct ftp_answer *a)
{
        struct ftp_client *c = w->c;
        int rc;

        if (w->said == 0 && (!may_go_ahead(c) || alone(w->slots[0].t)))
                return run_alone(w);
        if (w->said == 0 && (rc = ftpc_coding(c, &c->want, a)) < 0) {
                if (rc != -EREMOTEIO)
                        return rc;
                return run_alone(w); /* which tells why */
        }
        if (w->said == 0 && c->kept && !stream_alive(c->kept))
                stream_free(&c->kept);
        rc = say_ahead(w);
        return rc < 0 ? rc : run_ahead(w);
}

int ftp_client_many(struct ftp_client *c, const struct ftp_many *asked)
{
        struct many w = { .c = c, .asked = asked };
        struct ftp_answer a = { 0 };
        bool outer = ftpc_begin(c);
        int rc = 0;

        while (rc == 0) {
                take_more(&w, c->many != MANY_AHEAD || !may_go_ahead(c) ? 1
                              : ftpc_keeps(&c->want)                    ? FOLLOW
                                                                        : PAIRS);
                if (!w.n)
                        break;
                rc = run_one(&w, &a);
        }
        while (w.n) {
                w.slots[0].t->answer = a;
                told(&w, rc);
        }
        return ftpc_end(c, outer, rc);
}
