#include "proto/ftp/commands.h"
#include "base/mem.h"
#include "run/log.h"

enum { NAME_MOST_BYTES = 512 };

/* --- who it is ----------------------------------------------------------------------------------------------- */

static bool names_guest(struct str name)
{
        return str_ieq(name, S("anonymous")) || str_ieq(name, S("ftp"));
}

static bool is_guest(const struct session *s, struct str name)
{
        return s->server->settings->ftp_anonymous && names_guest(name);
}

/* Back to where a connection begins, as far as the user is concerned: TYPE, PROT and the like stay (RFC 959 §4.1.1, USER). */
static void leave_account(struct session *s)
{
        struct ftp *p = ftp_of(s);

        session_sign_in(s, S(""));
        root_close(&p->root);
        mem_free(p->cwd);
        p->cwd = NULL;
        p->anonymous = p->read_only = false;
        p->quota = 0;
        s->state = FTP_STRANGER;
}

static void set_name(struct ftp *p, struct str name)
{
        mem_free(p->name);
        p->name = name.n ? mem_string(name) : NULL;
}

/* USER name -- RFC 959 §4.1.1: also when signed in, to become somebody else. What it says does not tell whether there is such a user. */
int ftp_user(struct session *s, struct scan *a)
{
        struct str name = str_trim(scan_rest(a));

        if (!name.n || name.n > NAME_MOST_BYTES || str_has_control(name))
                return ftp_syntax(s);
        leave_account(s);
        if (!is_guest(s, name) && !session_plaintext_ok(s))
                return ftp_reply(s, "530 A password may not travel in clear here, give AUTH TLS first.");
        set_name(ftp_of(s), name);
        s->state = FTP_NAMED;
        if (is_guest(s, name))
                return ftp_reply(s, "331 Guest login ok, send your complete e-mail address as password.");
        return ftp_reply(s, "331 Username OK, password required");
}

/* --- the sign-in --------------------------------------------------------------------------------------------- */

/* RFC 7151: a bare name is one of the domain that HOST named, if that is served here. */
static struct str full_name(struct session *s, struct str name)
{
        struct ftp *p = ftp_of(s);

        if (!p->domain || str_find(name, '@') != STR_NONE)
                return name;
        return arena_printf(&s->command, PRS "@%s", STR(name), p->domain);
}

static uint64_t quota_of(struct session *s)
{
        const struct settings *t = s->server->settings;
        struct account_entry entry = { 0 };

        if (!t->shared_quota)
                return (uint64_t)t->files_quota;
        if (s->server->directory &&
            directory_account(s->server->directory, &s->command, s->account, &entry) == 0 && entry.quota)
                return entry.quota;
        return (uint64_t)t->default_quota;
}

static bool too_many_of(const struct session *s)
{
        long most = s->server->settings->ftp_connections_per_account, n = 0;

        if (most <= 0)
                return false;
        for (const struct session *other = s->server->sessions; other && n <= most; other = other->next)
                n += other->kind == s->kind && str_eq(other->account, s->account);
        return n > most; /* this one counts too */
}

static int enter(struct session *s, struct str account)
{
        struct ftp *p = ftp_of(s);

        session_sign_in(s, account); /* first: whoever is signed out while this waits must be known */
        p->quota = p->anonymous ? 0 : quota_of(s);
        if (too_many_of(s)) {
                s->ending = true;
                return ftp_reply(s, "421 Too many connections of this account, try again later.");
        }
        s->state = FTP_SIGNED_IN;
        log_event("signed-in", "session=%s protocol=ftp peer=%s account=%s tls=%s", s->id, session_peer(s).z,
                  log_str(s->account), conn_has_tls(s->conn) ? "yes" : "no");
        return ftp_reply(s, p->anonymous ? "230 Guest login ok, access restrictions apply."
                                         : "230 Login successful.");
}

/* A guest's password is whatever they say of themselves; xferlog names them so. */
static int enter_guest(struct session *s, struct str password)
{
        struct ftp *p = ftp_of(s);

        set_name(p, str_sub(password, 0, NAME_MOST_BYTES));
        p->anonymous = p->read_only = true;
        return enter(s, S("anonymous"));
}

static int refused(struct session *s, enum signin_result result)
{
        set_name(ftp_of(s), S(""));
        s->state = FTP_STRANGER;
        if (result == SIGNIN_LATER) { /* §5.4: 421 closes the connection */
                s->ending = true;
                return ftp_reply(s, "421 Nobody can sign in just now, try again later.");
        }
        log_event("signin-failed", "session=%s protocol=ftp peer=%s", s->id, session_peer(s).z);
        return ftp_reply(s, "530 Login incorrect.");
}

/* PASS password -- RFC 959 §4.1.1: everything behind the one space, other spaces too */
int ftp_pass(struct session *s, struct scan *a)
{
        struct conn_tls_facts room;
        struct signin who = session_signin(s, SCOPE_FTP, &room);
        struct str password = str_from_at(a->s, sizeof("PASS")), name = str_of(ftp_of(s)->name),
                   account = S("");
        enum signin_result result;

        if (is_guest(s, name))
                return enter_guest(s, password);
        result =
            keeper_password(s->server->keeper, &who, full_name(s, name), password, &s->command, &account);
        if (result != SIGNIN_OK)
                return refused(s, result);
        set_name(ftp_of(s), S(""));
        return enter(s, account);
}

/* ACCT account -- RFC 959 §4.1.1: no account information is needed here, neither to sign in nor to do anything. */
int ftp_acct(struct session *s, struct scan *a)
{
        if (!str_trim(scan_rest(a)).n)
                return ftp_syntax(s);
        if (!(s->state & FTP_SIGNED_IN))
                return ftp_reply(s, "503 Login with USER and PASS, no account is needed.");
        return ftp_reply(s, "202 No account is needed here.");
}

/* --- and away ------------------------------------------------------------------------------------------------ */

/* REIN -- RFC 959 §4.1.1. A transfer that runs has been waited for (serve.c). RFC 4217 §13: TLS ends behind the reply; not where it was there
 * from the start, for that is what REIN goes back to. */
int ftp_rein(struct session *s, struct scan *a)
{
        bool to_clear = conn_has_tls(s->conn) && !s->implicit_tls;

        (void)a;
        if (to_clear && conn_input_waits(s->conn))
                return ftp_dialect.pipelined(s, s->running);
        ftp_forget(s);
        ftp_reply(s, "220 Service ready for new user.");
        if (to_clear && conn_stoptls(s->conn, in_seconds(TLS_SECONDS)) < 0)
                s->ending = true;
        return OK;
}

/* QUIT -- RFC 959 §4.1.1. A transfer that runs has been waited for (serve.c). */
int ftp_quit(struct session *s, struct scan *a)
{
        (void)a;
        s->ending = true;
        return ftp_reply(s, "221 Goodbye.");
}

/* --- HOST (RFC 7151) ----------------------------------------------------------------------------------------- */

static bool is_name(struct str host)
{
        bool dot = true; /* or the start: a label must follow */

        for (size_t i = 0; i < host.n; i++) {
                char c = chr_lower(host.p[i]);

                if (c == '.' && dot)
                        return false;
                if (c != '.' && c != '-' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
                        return false;
                dot = c == '.';
        }
        return host.n > 0 && host.n < 256 && !dot;
}

/* "192.0.2.1" and "[2001:db8::1]": §3.1, ours or not */
static bool is_literal(struct str host, struct addr *out)
{
        if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
                return addr_parse(str_sub(host, 1, host.n - 2), 0, out) && out->family == 6;
        return str_find(host, ':') == STR_NONE && addr_parse(host, 0, out);
}

static bool served_here(struct session *s, struct str host)
{
        return str_ieq(host, str_of(s->host)) ||
               (s->server->directory && directory_is_local(s->server->directory, host));
}

/* §3.2.2: whoever has begun TLS for a name must mean that one. */
static bool is_tls_name(const struct session *s, struct str host)
{
        char room[TLS_NAME_ROOM];
        struct str name = conn_tls_name(s->conn, room);

        return !name.n || str_ieq(name, host);
}

/* HOST name -- the domain that bare names are of from now on */
int ftp_host(struct session *s, struct scan *a)
{
        struct ftp *p = ftp_of(s);
        struct str host = str_trim(scan_rest(a)), name;
        struct addr literal;
        bool is_local;

        if (s->state & FTP_SIGNED_IN)
                return ftp_reply(s, "503 HOST comes before USER.");
        if (is_literal(host, &literal)) {
                if (!addr_same_host(literal, conn_local(s->conn)))
                        return ftp_reply(s, "504 That is not the address of this server.");
                host = S("");
        } else if (!is_name(host)) {
                return ftp_syntax(s);
        } else if (!served_here(s, host)) {
                return ftp_reply(s, "504 " PRS " is not served here.", STR(host));
        } else if (!is_tls_name(s, host)) {
                return ftp_reply(s, "504 TLS was begun for another name.");
        }
        name = arena_lower(&s->command, host);
        is_local = name.n && s->server->directory && directory_is_local(s->server->directory, name);
        mem_free(p->domain);
        p->domain = is_local ? mem_string(name) : NULL;
        return ftp_reply(s, "220 Host accepted.");
}
