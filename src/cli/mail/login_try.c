/* Do the servers of a section let us in? */
#include "cli/mail/logins.h"
#include "cli/reach.h"
#include "proto/imap/client.h"
#include "proto/pop3/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIAL_PATIENCE (30 * SECOND)

struct trying {
        struct login *login;
        const struct login_server *server;
        bool outgoing;
        const char *password;
        struct known known;
        struct buf *why;
        bool denied; /* the password */
        char code[64], said[512];
};

/* What the server says to a password is about the password. */
static int signed_in(struct trying *t, int rc, const char *code)
{
        t->denied = rc == -EREMOTEIO;
        snprintf(t->code, sizeof t->code, "%s", code);
        return t->denied ? -EACCES : rc;
}

static int imap(struct trying *t, struct conn *conn, struct tls_found *found)
{
        struct imap_client_how how = {
                .host = t->server->host, .tls = t->server->tls, .want = &t->known.want, .found = found
        };
        struct imap_answer answer = { 0 };
        struct imap_client *c = NULL;
        int rc = imap_client_open(&c, conn, &how, &answer);

        if (rc == 0)
                rc = signed_in(t, imap_client_login(c, t->server->user, t->password, &answer), answer.code);
        snprintf(t->said, sizeof t->said, "%s", answer.text);
        if (c)
                imap_client_close(&c, in_seconds(3));
        return rc;
}

static int pop3(struct trying *t, struct conn *conn, struct tls_found *found)
{
        struct pop3_client_how how = {
                .host = t->server->host, .tls = t->server->tls, .want = &t->known.want, .found = found
        };
        struct pop3_answer answer = { 0 };
        struct pop3_client *c = NULL;
        int rc = pop3_client_open(&c, conn, &how, &answer);

        if (rc == 0)
                rc = signed_in(t, pop3_client_login(c, t->server->user, t->password, &answer), answer.code);
        snprintf(t->said, sizeof t->said, "%s", answer.text);
        if (c)
                pop3_client_drop(&c);
        return rc;
}

static int smtp(struct trying *t, struct conn *conn, struct tls_found *found)
{
        bool sign_in = *t->server->user && t->server->port != 25;
        struct smtp_client_how how = { .host = "localhost",
                                       .tls = t->server->tls,
                                       .want = &t->known.want,
                                       .found = found,
                                       .user = str_of(sign_in ? t->server->user : ""),
                                       .password = str_of(sign_in ? t->password : "") };
        struct smtp_answer answer = { 0 };
        struct smtp_client *c = NULL;
        struct arena auto_arena a;
        int rc;

        arena_init(&a, 1 << 20);
        rc = smtp_client_open(&c, conn, &how, &a, &answer);
        snprintf(t->said, sizeof t->said, PRS, STR(answer.text));
        if (rc == -EACCES && answer.code / 100 == 5 && answer.stage &&
            str_eq(str_of(answer.stage), S("AUTH")))
                rc = signed_in(t, -EREMOTEIO, "");
        if (c)
                smtp_client_close(&c, in_seconds(3));
        return rc;
}

static int once(struct trying *t, bool *again)
{
        struct tls_found found = { 0 };
        struct conn *conn;
        int rc = reach(t->server->host, t->server->port, now() + DIAL_PATIENCE, &conn, t->why);

        if (rc < 0)
                return rc;
        buf_clear(t->why); /* of addresses that did not answer */
        t->denied = false;
        t->said[0] = 0;
        if (t->outgoing)
                rc = smtp(t, conn, &found);
        else if (t->login->how == INCOMING_POP3)
                rc = pop3(t, conn, &found);
        else
                rc = imap(t, conn, &found);
        if (rc == 0)
                return 0;
        if (*again && rc == -EACCES && *found.why) {
                *again = known_asked(&t->known, &found);
                if (*again)
                        return rc;
        }
        *again = false;
        buf_printf(t->why, "%s: %s", t->server->host,
                   *t->said     ? t->said
                   : *found.why ? found.why
                                : strerror(-rc));
        return rc;
}

static int try_one(struct trying *t)
{
        bool again;
        int rc;

        known_want(&t->known, t->server->host, t->server->port, KNOWN_ASK, t->login->ca);
        do {
                if (!login_password(t->login, &t->password)) {
                        buf_puts(t->why, S("there is no password"));
                        return -EACCES;
                }
                again = true;
                rc = once(t, &again);
                if (rc < 0 && again && !t->why->n) {
                        again = false;
                        rc = once(t, &again);
                }
        } while (rc < 0 && t->denied && login_refused(t->login, t->code, t->said));
        return rc;
}

int login_try(struct login *l, struct buf *why)
{
        struct trying t = { .login = l, .server = &l->incoming, .why = why };
        int rc;

        rc = try_one(&t);
        if (rc < 0 || l->by_send || !l->outgoing.host)
                return rc;
        t.server = &l->outgoing;
        t.outgoing = true;
        return try_one(&t);
}
