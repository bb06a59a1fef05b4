/* In step again: after ABOR, and where a server did not do with its commands what was expected, nobody knows how many replies are still to come. */
#include "proto/ftp/client_inside.h"
#include <errno.h>

/* What is answered, and by what. Some read away commands that come while a transfer runs (Pure-FTPd): then the next one, by which the answer to
 * the one before cannot be meant. */
static const struct {
        const char *command;
        unsigned code;
} questions[] = { { "NOOP", 200 }, { "PWD", 257 }, { "SYST", 215 } };

static bool of_a_transfer(unsigned code)
{
        return code == 225 || code == 226 || code == 426 || code == 450 || code == 425;
}

static int await_answer(struct ftp_client *c, unsigned want, nsec patience, ftpc_stray_fn *stray)
{
        struct ftp_answer a = { 0 };
        int rc = 0;

        while (rc == 0 && a.code != want) {
                rc = ftpc_reply(c, &a, now() + patience, false);
                if (rc == 0 && stray && (a.code == 227 || a.code == 229))
                        stray(c, &a);
                else if (rc == 0)
                        rc = a.code == 421 ? ftpc_judge(c, &a) : 0;
                if (rc == 0 && !c->due && !of_a_transfer(a.code) &&
                    a.code >= 200) /* all have been answered, in words of their own */
                        break;
                if (++c->extra > 1000)
                        rc = -EPROTO;
        }
        return rc;
}

int ftpc_settle(struct ftp_client *c, ftpc_stray_fn *stray)
{
        nsec patience = 2 * SECOND;
        int rc = -ETIMEDOUT;

        c->aborting = true;
        c->stopping = false;
        c->extra = c->stale = 0;
        for (size_t i = 0; i < sizeof(questions) / sizeof(*questions) && rc == -ETIMEDOUT; i++) {
                rc = ftpc_say(c, "%s", questions[i].command);
                if (rc == 0)
                        rc = await_answer(c, questions[i].code, patience, stray);
                patience *= 2;
        }
        c->due = 0;
        c->aborting = false;
        if (rc < 0)
                conn_fail(c->conn);
        return rc;
}

/* RFC 959 §4.1.3: 426 and 226, or 226 and 226, or 225; servers say one of them, two or three. The question goes out behind the first of them, since
 * some read away whatever stands behind ABOR. */
int ftpc_abort(struct ftp_client *c)
{
        struct ftp_answer a = { 0 };
        int rc;

        c->aborting = true;
        c->stopping = false;
        c->stale = 0;
        rc = ftpc_say(c, "ABOR");
        if (rc == 0)
                rc = conn_flush(c->conn, now() + c->patience);
        if (rc == 0 && c->data)
                ftpc_data_close(c->data);
        while (rc == 0 && a.code < 200)
                rc = ftpc_reply(c, &a, now() + 4 * SECOND, false);
        if (rc == 0 || rc == -ETIMEDOUT)
                return ftpc_settle(c, NULL);
        c->aborting = false;
        conn_fail(c->conn);
        return rc;
}
