#include "proto/pop3/pop3.h"
#include "base/mem.h"
#include "run/log.h"

#include <errno.h>

void pop3_forget(struct session *s)
{
        struct pop3 *p = pop3_of(s);

        mem_free(p->name);
        p->name = NULL;
        p->utf8 = false;
        p->language = 0;
        s->state = POP3_AUTHORIZATION;
}

/* The mailbox as it stands now is what this session will see. */
static int take_view(struct session *s, struct str name)
{
        struct account *account = NULL;
        int rc = account_get(s->server->accounts, name, &account);

        if (rc == 0)
                rc = account_view(account, INBOX, &pop3_of(s)->view);
        account_put(&account);
        return rc;
}

static int refused(struct session *s, enum signin_result result)
{
        s->state = POP3_AUTHORIZATION;
        if (result == SIGNIN_LATER)
                return pop3_sorry(s, "[SYS/TEMP] nobody can sign in just now, try again later");
        log_event("signin-failed", "session=%s protocol=pop3 peer=%s", s->id, session_peer(s).z);
        return pop3_no(s, "[AUTH] wrong name or password");
}

int pop3_enter(struct session *s, enum signin_result result, struct str account)
{
        int rc;

        if (result != SIGNIN_OK)
                return refused(s, result);
        s->state = POP3_AUTHORIZATION;
        session_sign_in(s, account); /* first: whoever is signed out while this waits must be known */
        rc = take_view(s, account);
        if (rc < 0)
                session_sign_in(s, S(""));
        if (rc == -ENOENT)
                return pop3_no(s, "[SYS/PERM] this account has no mailbox");
        if (rc < 0)
                return pop3_trouble(s, rc);
        /* What is not needed any more goes now, to be used by the next one who signs in: given back only when thousands
         * park, it would be holes in the heap. */
        mem_free(pop3_of(s)->name);
        pop3_of(s)->name = NULL;
        arena_finish(&s->command);
        s->state = POP3_TRANSACTION;
        log_event("signed-in", "session=%s protocol=pop3 peer=%s account=%s tls=%s", s->id, session_peer(s).z,
                  log_str(s->account), conn_has_tls(s->conn) ? "yes" : "no");
        return pop3_ok(s, "user successfully logged on");
}

/* USER name -- RFC 1939 §7. What it says does not tell whether there is such a user. */
int pop3_user(struct session *s, struct scan *a)
{
        struct pop3 *p = pop3_of(s);
        struct str name = str_trim(scan_rest(a));

        if (!name.n || str_has_control(name))
                return pop3_no(s, "give a name: USER name");
        mem_free(p->name);
        p->name = mem_string(name);
        s->state = POP3_NAMED;
        return pop3_ok(s, "now the password, with PASS");
}

/* PASS string -- RFC 1939 §7: everything behind the one space is the password, other spaces too */
int pop3_pass(struct session *s, struct scan *a)
{
        struct conn_tls_facts room;
        struct signin who = session_signin(s, SCOPE_POP3, &room);
        struct str password = str_from_at(a->s, sizeof("PASS")), account = S("");
        enum signin_result result;

        result = keeper_password(s->server->keeper, &who, str_of(pop3_of(s)->name), password, &s->command,
                                 &account);
        return pop3_enter(s, result, account);
}

/* APOP name digest -- RFC 1939 §7 */
int pop3_apop(struct session *s, struct scan *a)
{
        struct conn_tls_facts room;
        struct signin who = session_signin(s, SCOPE_POP3, &room);
        struct str rest = str_trim(scan_rest(a)), account = S("");
        size_t space = str_rfind(rest, ' '); /* names may have spaces, digests not */
        struct str name, digest;
        char stamp[320];

        if (space == STR_NONE)
                return pop3_no(s, "give name and digest: APOP name digest");
        name = str_trim(str_sub(rest, 0, space));
        digest = str_from_at(rest, space + 1);
        if (!name.n || digest.n != 32 || str_has_control(name))
                return pop3_no(s, "give name and digest: APOP name digest");
        return pop3_enter(s,
                          keeper_apop(s->server->keeper, &who, name, pop3_stamp(pop3_of(s), stamp), digest,
                                      &s->command, &account),
                          account);
}
