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

/* ---- what a line may show to the tap ---- */

static bool alphanumeric(char c)
{
        c = chr_lower(c);
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* "PASShungry": what was meant. */
static const struct command *secret_beginning(const struct dialect *d, struct str word)
{
        for (size_t i = 0; i < d->count; i++)
                if (d->commands[i].needs & (SECRET | SECRET_RESPONSE) &&
                    str_istarts(word, str_of(d->commands[i].verb)))
                        return &d->commands[i];
        return NULL;
}

static size_t blanks(struct str line, size_t at)
{
        while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
                at++;
        return at;
}

/* Where the verb should be. It ends where its letters do: "PASS\thungry" is mistyped, and no less secret. A verb that there is not may be a
 * mistyped one that has a secret behind it; behind a sign-in that failed, or a letter, it may be a part of that. What was found; NULL: nothing. */
static const struct command *hide(struct session *s, const struct dialect *d, struct str line, size_t at)
{
        const struct command *c;
        size_t end = at = blanks(line, at);

        while (end < line.n && alphanumeric(line.p[end]))
                end++;
        c = command_find(d, str_sub(line, at, end - at));
        if (!c && (c = secret_beginning(d, str_sub(line, at, end - at))))
                end = at + strlen(c->verb);
        if (!c && s->doubt) {
                conn_hide(s->conn, 0);
                return NULL;
        }
        while (!c && end < line.n && (unsigned char)line.p[end] > ' ')
                end++;
        end = blanks(line, end);
        if (c && c->needs & SECRET_RESPONSE) {
                while (end < line.n && (unsigned char)line.p[end] > ' ')
                        end++;
                end = blanks(line, end);
        }
        if ((!c || c->needs & (SECRET | SECRET_RESPONSE)) && end < line.n)
                conn_hide(s->conn, end);
        return c;
}

static void doubt(struct session *s, const struct command *c, int rc)
{
        if (!c)
                return;
        if (c->needs & (SECRET | SECRET_RESPONSE))
                s->doubt = rc != OK || !s->account.n;
        else if (c->needs & BODY)
                s->doubt = true;
        else if (rc == OK)
                s->doubt = false;
}

void command_run(struct session *s, const struct dialect *d, struct str line)
{
        command_run_from(s, d, scan_of(line));
}

void command_run_from(struct session *s, const struct dialect *d, struct scan a)
{
        size_t verb_at = a.at;
        struct str verb = scan_until(&a, " ");
        const struct command *c = command_find(d, verb);
        int rc;

        (void)hide(s, d, a.s, verb_at);
        while (scan_try(&a, ' '))
                ;
        s->running = c;
        if (!c && s->doubt && verb_at)
                conn_secret(s->conn, true); /* IMAP says the tag again */
        rc = c ? run(s, d, c, &a) : d->unknown(s, verb);
        if (!c)
                conn_secret(s->conn, false);
        s->running = NULL;
        doubt(s, c, rc);
        command_done(s, d, rc);
}

void command_hide(struct session *s, const struct dialect *d, struct str line)
{
        const struct command *c = hide(s, d, line, 0);

        s->doubt = s->doubt || (c && c->needs & (SECRET | SECRET_RESPONSE));
}

void command_done(struct session *s, const struct dialect *d, int rc)
{
        if (rc == FAIL && ++s->errors >= (unsigned long)s->server->settings->max_errors && !s->ending)
                d->too_many(s);
        s->deadline = 0;
        arena_reset(&s->command);
}
