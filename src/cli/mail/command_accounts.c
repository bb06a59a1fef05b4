/* add, accounts, remove, password: the sections of the file. */
#include "base/mem.h"
#include "cli/mail/command.h"
#include "cli/terminal.h"
#include "mail/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* ---- accounts, remove ---- */

static struct str server_words(struct arena *a, const struct login *l, bool outgoing)
{
        const struct login_server *s = outgoing ? &l->outgoing : &l->incoming;

        if (!outgoing && l->how == INCOMING_STORE)
                return str_of(l->folder);
        if (outgoing && l->by_send)
                return S("send");
        if (!s->host)
                return S("");
        return arena_printf(a, "%s%s://%s@%s:%u",
                            outgoing                  ? s->port == 25 ? "smtp" : "submission"
                            : l->how == INCOMING_POP3 ? "pop3"
                                                      : "imap",
                            s->tls == TLS_AT_ONCE ? "s" : "", s->user, s->host, s->port);
}

static void put_one(struct command *c, const char *key, const struct login *l)
{
        struct arena *a = &c->t.arena;
        struct json *out = &c->t.out;

        json_open(out, key, '{');
        json_str(out, "address", str_of(l->address));
        json_str(out, "name", str_of(l->name));
        json_str(out, "incoming", server_words(a, l, false));
        json_str(out, "outgoing", server_words(a, l, true));
        json_bool(out, "keep", l->keep);
        json_close(out, '}');
        if (!c->t.json)
                printf("%s\n    incoming  " PRS "\n    outgoing  " PRS "\n", l->address,
                       STR(server_words(a, l, false)), STR(server_words(a, l, true)));
}

int mail_accounts(struct command *c)
{
        json_open(&c->t.out, NULL, '{');
        json_open(&c->t.out, "accounts", '[');
        for (size_t i = 0; i < c->m.logins.n; i++)
                put_one(c, NULL, &c->m.logins.list[i]);
        json_close(&c->t.out, ']');
        json_close(&c->t.out, '}');
        return EX_OK;
}

/* The section; its copy stays where it lies. */
int mail_remove(struct command *c)
{
        const char *address = command_word(c).p;
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, 4096);
        if (!logins_find(&c->m.logins, address))
                return command_fail(c, -ENOENT, address, "no such account (pail mail accounts)");
        rc = logins_remove(&c->m.logins, address, &why);
        buf_u8(&why, 0);
        return rc < 0 ? command_fail(c, rc, "", why.p) : EX_OK;
}

/* ---- password ---- */

/* Asked for (of stdin, where there is no terminal), tried, and kept; --forget: it is kept no longer. */
int mail_password(struct command *c)
{
        const char *address = command_word(c).p, *password = NULL;
        struct login *l = logins_find(&c->m.logins, address);
        struct buf auto_buf why = { 0 };
        int rc = 0;

        buf_init(&why, 8192);
        if (!l)
                return command_fail(c, -ENOENT, address, "no such account (pail mail accounts)");
        if (l->how == INCOMING_STORE || (l->password_command && !c->forget))
                return command_fail(c, -EINVAL, address,
                                    l->password_command ? "its password comes from password-command"
                                                        : "it needs no password here");
        mem_free(l->password);
        l->password = NULL;
        if (!c->forget) {
                if (!login_password(l, &password))
                        return command_fail(c, -EACCES, address, "there is no password");
                if (str_has_control(str_of(password)))
                        return command_fail(c, -EINVAL, address,
                                            "a control character stands in the password");
                rc = login_try(l, &why);
                password = l->known; /* another, if a person has typed it then */
        }
        if (rc == 0)
                rc = logins_password(l->address, password, &why);
        buf_u8(&why, 0);
        return rc < 0 ? command_fail(c, rc, address, why.p) : EX_OK;
}

/* ---- add ---- */

static bool set(struct command *c, struct login *l, const char *key, const char *value, int *code)
{
        if (!value || (!str_has_control(str_of(value)) && login_set(l, str_of(key), str_of(value))))
                return true;
        *code = command_fail(c, -EINVAL, value, "that is no server: imaps://USER@HOST, or the like");
        return false;
}

/* What could not be found is asked for. */
static bool ask_server(struct command *c, struct login *l, const char *key, const char *question, int *code)
{
        struct buf auto_buf said = { 0 };

        buf_init(&said, 8192);
        for (;;) {
                if (!terminal_ask(question, true, &said))
                        return false;
                said.n = str_trim(buf_str(&said)).n; /* blanks in front make it no URL */
                if (!said.n)
                        return true;
                buf_u8(&said, 0);
                if (set(c, l, key, said.p, code))
                        return *code = EX_OK, true;
        }
}

static int find(struct command *c, struct login *l)
{
        struct login_found found = { 0 };
        struct buf auto_buf why = { 0 };
        int code = EX_OK, rc;

        if (l->incoming.host || l->folder)
                return EX_OK;
        buf_init(&why, 8192);
        rc = login_discover(l, c->resolver, &found, &why);
        if (found.foreign && !c->yes) {
                fprintf(stderr, "DNS, which is not signed, says: the servers of %s are %s and %s.\n",
                        l->address, l->incoming.host ? l->incoming.host : "-",
                        l->outgoing.host ? l->outgoing.host : "-");
                if (terminal_choose("Is that so? [n/y] ", "ny") != 'y')
                        return command_fail(c, -EACCES, l->address,
                                            "then say --incoming URL and --outgoing URL, or --yes");
        }
        if (rc == 0)
                return EX_OK;
        terminal_put(stderr, buf_str(&why));
        if (!ask_server(c, l, "incoming", "Incoming server (imaps://HOST): ", &code) || !l->incoming.host)
                return code ? code
                            : command_fail(c, -ENOENT, l->address, "no server was found: --incoming URL");
        if (!l->outgoing.host &&
            !ask_server(c, l, "outgoing", "Outgoing server (submissions://HOST): ", &code))
                return code;
        return EX_OK;
}

static int make(struct command *c, struct login *l)
{
        struct buf auto_buf why = { 0 };
        const char *password;
        int rc;

        buf_init(&why, 8192);
        if (l->how != INCOMING_STORE) {
                if (!login_password(l, &password))
                        return command_fail(c, -EACCES, l->address, "there is no password");
                rc = login_try(l, &why);
                buf_u8(&why, 0);
                if (rc < 0)
                        return command_fail(c, rc, l->address, why.p);
                password = l->known; /* another, if the first was refused */
                if (!l->password_command &&
                    (c->save_password ||
                     terminal_choose("Keep the password in the file, which only you can read? [n/y] ",
                                     "ny") == 'y'))
                        l->password = mem_string(str_of(password));
        }
        buf_clear(&why);
        rc = logins_add(&c->m.logins, l, &why);
        buf_u8(&why, 0);
        if (rc < 0)
                return command_fail(c, rc, "", why.p);
        put_one(c, NULL, l);
        return EX_OK;
}

int mail_add(struct command *c)
{
        struct str address = command_word(c);
        struct login l = { .keep = true, .keep_sent = true };
        int code = EX_OK;
        struct path p;

        if (!address_parse(&c->t.arena, address, &p) || !p.domain.n || str_has_control(address))
                return command_fail(c, -EINVAL, arena_str(&c->t.arena, address).p, "no address");
        l.address = mem_string(address);
        if (set(c, &l, "name", c->name, &code) &&
            set(c, &l, "password-command", c->password_command, &code) && set(c, &l, "ca", c->ca, &code) &&
            set(c, &l, "incoming", c->incoming, &code) && set(c, &l, "outgoing", c->outgoing, &code))
                code = find(c, &l);
        if (code == EX_OK)
                code = make(c, &l);
        login_free(&l);
        return code;
}
