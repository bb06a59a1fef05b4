#include "proto/command.h"

const struct command *command_find(const struct dialect *d, struct str verb)
{
        for (size_t i = 0; i < d->count; i++)
                if (str_ieq(verb, str_of(d->commands[i].verb)))
                        return &d->commands[i];
        return NULL;
}

static bool must_sign_in(const struct session *s, const struct command *c)
{
        if (s->account.n)
                return false;
        return c->needs & NEEDS_LOGIN ||
               (c->needs & NEEDS_LOGIN_TO_SUBMIT &&
                (s->protocol == PROTOCOL_SUBMISSION || s->protocol == PROTOCOL_SUBMISSIONS));
}

/* The columns, in the order in which a peer would want to hear of them. */
static int run(struct session *s, const struct dialect *d, const struct command *c, struct scan *a)
{
        int rc;

        if (!(c->where & s->state))
                return d->misplaced(s, c);
        if (must_sign_in(s, c))
                return d->need_login(s, c);
        if (c->needs & NEEDS_TLS_FOR_SECRETS && !session_plaintext_ok(s))
                return d->need_tls(s, c);
        if (d->allows && !d->allows(s, c, &rc))
                return rc;
        if (c->needs & NO_ARGUMENT && !scan_end(a))
                return d->argument(s, c);
        if (c->needs & LAST && conn_input_waits(s->conn))
                return d->pipelined(s, c);
        return c->handle(s, a);
}

/* What a line may show to the tap, as soon as the verb is known. A verb that there is not may be a mistyped one that
 * has a secret behind it. */
static void hide(struct session *s, const struct command *c, struct scan a)
{
        scan_spaces(&a);
        if (c && c->needs & SECRET_RESPONSE) {
                scan_until(&a, " ");
                scan_spaces(&a);
        }
        if ((!c || c->needs & (SECRET | SECRET_RESPONSE)) && !scan_end(&a))
                conn_hide(s->conn, a.at);
}

void command_run(struct session *s, const struct dialect *d, struct str line)
{
        command_run_from(s, d, scan_of(line));
}

void command_run_from(struct session *s, const struct dialect *d, struct scan a)
{
        struct str verb = scan_until(&a, " ");
        const struct command *c = command_find(d, verb);
        int rc;

        while (scan_try(&a, ' '))
                ;
        hide(s, c, a);
        s->running = c;
        rc = c ? run(s, d, c, &a) : d->unknown(s, verb);
        s->running = NULL;
        command_done(s, d, rc);
}

void command_hide(struct session *s, const struct dialect *d, struct str line)
{
        struct scan a = scan_of(line);
        struct str verb = scan_until(&a, " \t");

        hide(s, command_find(d, verb), a);
}

void command_done(struct session *s, const struct dialect *d, int rc)
{
        if (rc == FAIL && ++s->errors >= (unsigned long)s->server->settings->max_errors && !s->ending)
                d->too_many(s);
        s->deadline = 0;
        arena_reset(&s->command);
}
