#include "cli/mail/logins.h"
#include "base/mem.h"
#include "cli/home.h"
#include "mail/address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "mail"
enum { FILE_MOST = 1 << 20, LOGINS_MOST = 100 };

/* ---- a server as an URL ---- */

struct scheme {
        const char *name;
        unsigned port;
        enum tls_need tls;
        enum login_how how; /* of an incoming one */
        bool outgoing;
};
static const struct scheme schemes[] = {
        { "imap", 143, TLS_MUST, INCOMING_IMAP, false },
        { "imaps", 993, TLS_AT_ONCE, INCOMING_IMAP, false },
        { "pop3", 110, TLS_MUST, INCOMING_POP3, false },
        { "pop3s", 995, TLS_AT_ONCE, INCOMING_POP3, false },
        { "submission", 587, TLS_MUST, 0, true },
        { "submissions", 465, TLS_AT_ONCE, 0, true },
        { "smtp", 25, TLS_MAY, 0, true },
};

/* To this machine nobody listens in: TLS is not asked for. */
static bool is_here(struct str host)
{
        return str_ieq(host, S("localhost")) || str_starts(host, S("127.")) || str_eq(host, S("::1"));
}

/* SCHEME://[USER@]HOST[:PORT][/]; the user is behind the last @ but one when it is an address. */
static bool server_parse(struct str url, bool outgoing, const char *address, struct login_server *s,
                         enum login_how *how)
{
        const struct scheme *found = NULL;
        size_t at = str_search(url, S("://")), user, colon;
        struct str rest, host;
        uint64_t port;

        if (at == STR_NONE)
                return false;
        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
                if (schemes[i].outgoing == outgoing && str_ieq(str_sub(url, 0, at), str_of(schemes[i].name)))
                        found = &schemes[i];
        rest = str_from_at(url, at + 3);
        if (rest.n && rest.p[rest.n - 1] == '/')
                rest.n--;
        user = str_rfind(rest, '@');
        host = user == STR_NONE ? rest : str_from_at(rest, user + 1);
        colon = str_rfind(host, ':');
        if (host.n && host.p[0] == '[') /* IPv6 */
                colon = str_search(host, S("]:")) == STR_NONE ? STR_NONE : str_search(host, S("]:")) + 1;
        if (!found ||
            (colon != STR_NONE && (!str_u64(str_from_at(host, colon + 1), &port) || !port || port > 65535)))
                return false;
        s->port = colon == STR_NONE ? found->port : (unsigned)port;
        host = str_sub(host, 0, colon);
        if (host.n > 2 && host.p[0] == '[')
                host = str_sub(host, 1, host.n - 2);
        if (!host.n || str_has_control(host) || str_find(host, ' ') != STR_NONE)
                return false;
        s->tls = found->tls == TLS_MUST && is_here(host) ? TLS_NEVER : found->tls;
        *how = found->how;
        mem_free(s->host);
        mem_free(s->user);
        s->host = mem_string(host);
        s->user = mem_string(user == STR_NONE ? str_of(address) : str_sub(rest, 0, user));
        return true;
}

static const char *scheme_of(const struct login *l, bool outgoing)
{
        const struct login_server *s = outgoing ? &l->outgoing : &l->incoming;

        if (outgoing)
                return s->tls == TLS_AT_ONCE ? "submissions" : s->port == 25 ? "smtp" : "submission";
        if (l->how == INCOMING_POP3)
                return s->tls == TLS_AT_ONCE ? "pop3s" : "pop3";
        return s->tls == TLS_AT_ONCE ? "imaps" : "imap";
}

static void server_put(struct buf *out, const struct login *l, bool outgoing)
{
        const struct login_server *s = outgoing ? &l->outgoing : &l->incoming;
        bool six = strchr(s->host, ':') != NULL;

        buf_printf(out, "%s = %s://%s@%s%s%s:%u\n", outgoing ? "outgoing" : "incoming",
                   scheme_of(l, outgoing), s->user, six ? "[" : "", s->host, six ? "]" : "", s->port);
}

/* ---- the file ---- */

void login_free(struct login *l)
{
        char *all[] = { l->address,          l->name,          l->incoming.host, l->incoming.user,
                        l->outgoing.host,    l->outgoing.user, l->folder,        l->password,
                        l->password_command, l->signature,     l->known,         l->ca };

        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                mem_free(all[i]);
        *l = (struct login){ 0 };
}

void logins_free(struct logins *l)
{
        for (size_t i = 0; i < l->n; i++)
                login_free(&l->list[i]);
        mem_free(l->list);
        mem_free(l->path);
        *l = (struct logins){ 0 };
}

static void set(char **to, struct str value)
{
        mem_free(*to);
        *to = mem_string(value);
}

static bool set_yes(bool *to, struct str value)
{
        *to = str_eq(value, S("yes"));
        return *to || str_eq(value, S("no"));
}

static bool set_incoming(struct login *l, struct str value)
{
        if (server_parse(value, false, l->address, &l->incoming, &l->how))
                return true;
        if (str_search(value, S("://")) != STR_NONE || !value.n)
                return false;
        l->how = INCOMING_STORE;
        set(&l->folder, str_eq(value, S("store")) ? S(".") : value);
        return true;
}

static bool set_outgoing(struct login *l, struct str value)
{
        enum login_how none;

        l->by_send = str_eq(value, S("send"));
        return l->by_send || server_parse(value, true, l->address, &l->outgoing, &none);
}

static void set_path(char **to, struct str value)
{
        struct buf auto_buf path = { 0 };

        set(to, home_expand(&path, value) ? str_of(path.p) : value);
}

bool login_set(struct login *l, struct str key, struct str value)
{
        if (str_eq(key, S("name")))
                set(&l->name, value);
        else if (str_eq(key, S("incoming")))
                return set_incoming(l, value);
        else if (str_eq(key, S("outgoing")))
                return set_outgoing(l, value);
        else if (str_eq(key, S("password")))
                set(&l->password, value);
        else if (str_eq(key, S("password-command")))
                set(&l->password_command, value);
        else if (str_eq(key, S("keep")))
                return set_yes(&l->keep, value);
        else if (str_eq(key, S("sent")))
                return set_yes(&l->keep_sent, value);
        else if (str_eq(key, S("signature")))
                set_path(&l->signature, value);
        else if (str_eq(key, S("ca")))
                set_path(&l->ca, value);
        else
                return false;
        return true;
}

static struct login *begin(struct logins *l, struct str address)
{
        struct login *one;

        l->list = mem_grow(l->list, l->n + 1, sizeof *l->list);
        one = &l->list[l->n++];
        *one = (struct login){ .keep = true, .keep_sent = true };
        one->address = mem_string(address);
        return one;
}

/* A section must say where its mail is; where it goes out may be missing: one may only read. */
static bool whole(const struct logins *l, struct buf *why)
{
        const struct login *last = l->n ? &l->list[l->n - 1] : NULL;

        if (!last || last->how == INCOMING_STORE ? !last || last->folder : last->incoming.host != NULL)
                return true;
        buf_printf(why, "%s: [%s] has no line incoming", l->path, last->address);
        return false;
}

static int parse(struct logins *l, struct str text, struct buf *why)
{
        struct login *one = NULL;
        struct str line, key;

        for (unsigned number = 1; text.n; number++) {
                struct arena auto_arena a;
                struct path p;

                arena_init(&a, 64 * 1024);
                str_cut(&text, '\n', &line);
                line = str_trim(line);
                if (!line.n || line.p[0] == '#')
                        continue;
                if (line.p[0] == '[' && line.p[line.n - 1] == ']' && l->n < LOGINS_MOST) {
                        line = str_sub(line, 1, line.n - 2);
                        if (!whole(l, why))
                                return -EINVAL;
                        if (line.n > ADDRESS_MAX || !address_parse(&a, line, &p) || !p.domain.n) {
                                buf_printf(why, "%s, line %u: " PRS " is no address", l->path, number,
                                           STR(line));
                                return -EINVAL;
                        }
                        one = begin(l, line);
                        continue;
                }
                str_cut(&line, '=', &key);
                if (!one || !login_set(one, str_trim(key), str_trim(line))) {
                        buf_printf(why, "%s, line %u: this means nothing here: " PRS, l->path, number,
                                   STR(str_sub(str_trim(key), 0, 60)));
                        return -EINVAL;
                }
        }
        return whole(l, why) ? 0 : -EINVAL;
}

/* Who else may read it would know the password. */
static bool is_private(int folder, const struct logins *l, struct buf *why)
{
        struct stat st;
        bool secret = false;

        for (size_t i = 0; i < l->n; i++)
                secret |= l->list[i].password != NULL;
        if (!secret || fstatat(folder, FILE_NAME, &st, 0) < 0 || !(st.st_mode & 077))
                return true;
        buf_printf(why, "%s holds a password and others may read it: chmod 600 %s", l->path, l->path);
        return false;
}

int logins_read(struct logins *l, struct buf *why)
{
        struct buf auto_buf path = { 0 }, text = { 0 };
        int folder, rc;

        *l = (struct logins){ 0 };
        if (!home_path(&path, HOME_CONFIG, FILE_NAME))
                return -ENOENT;
        l->path = mem_string(str_of(path.p));
        folder = home_open(HOME_CONFIG, NULL, false);
        if (folder < 0)
                return folder;
        buf_init(&text, FILE_MOST);
        rc = home_read(folder, FILE_NAME, &text);
        if (rc == 0)
                rc = parse(l, buf_str(&text), why);
        else if (rc != -ENOENT)
                buf_printf(why, "%s: %s", l->path, strerror(-rc));
        if (rc == 0 && !is_private(folder, l, why))
                rc = -EINVAL;
        close(folder);
        return rc;
}

struct login *logins_find(struct logins *l, const char *address)
{
        for (size_t i = 0; i < l->n; i++)
                if (!address || str_ieq(str_of(l->list[i].address), str_of(address)))
                        return &l->list[i];
        return NULL;
}

static void put_section(struct buf *out, const struct login *l)
{
        buf_printf(out, "[%s]\n", l->address);
        if (l->name)
                buf_printf(out, "name = %s\n", l->name);
        if (l->how == INCOMING_STORE)
                buf_printf(out, "incoming = %s\n", l->folder);
        else
                server_put(out, l, false);
        if (l->by_send)
                buf_puts(out, S("outgoing = send\n"));
        else if (l->outgoing.host)
                server_put(out, l, true);
        if (l->password_command)
                buf_printf(out, "password-command = %s\n", l->password_command);
        if (l->password)
                buf_printf(out, "password = %s\n", l->password);
        if (!l->keep)
                buf_puts(out, S("keep = no\n"));
        if (!l->keep_sent)
                buf_puts(out, S("sent = no\n"));
        if (l->signature)
                buf_printf(out, "signature = %s\n", l->signature);
        if (l->ca)
                buf_printf(out, "ca = %s\n", l->ca);
}

/* The text without the section of that address; what else stands there stays as it was written. */
static bool without(struct str text, struct str address, struct buf *out)
{
        bool inside = false, found = false;
        struct str line;

        while (text.n) {
                struct str head;

                str_cut(&text, '\n', &line);
                head = str_trim(line);
                if (head.n > 1 && head.p[0] == '[' && head.p[head.n - 1] == ']')
                        inside = str_ieq(str_sub(head, 1, head.n - 2), address);
                found |= inside;
                if (!inside)
                        buf_printf(out, PRS "\n", STR(line));
        }
        return found;
}

static int change(struct logins *l, const char *address, const struct login *with, struct buf *why)
{
        struct buf auto_buf text = { 0 }, out = { 0 };
        int folder = home_open(HOME_CONFIG, NULL, with != NULL), rc = folder;

        buf_init(&text, FILE_MOST);
        buf_init(&out, FILE_MOST);
        if (folder >= 0)
                rc = home_read(folder, FILE_NAME, &text);
        if (rc == 0 || (rc == -ENOENT && with && folder >= 0))
                rc = without(buf_str(&text), str_of(address), &out) || with ? 0 : -ENOENT;
        if (rc == 0 && with) {
                if (out.n && !str_ends(buf_str(&out), S("\n\n")))
                        buf_puts(&out, S("\n"));
                put_section(&out, with);
        }
        if (rc == 0)
                rc = out.full ? -EFBIG : home_write(folder, FILE_NAME, buf_str(&out));
        if (rc < 0)
                buf_printf(why, "%s: %s", l->path ? l->path : FILE_NAME, strerror(-rc));
        if (folder >= 0)
                close(folder);
        return rc;
}

/* The line of a section, or none, in the place of those that are there; all else stays as it was written. */
static bool with_line(struct str text, struct str address, struct str key, struct str line, struct buf *out)
{
        bool inside = false, found = false;
        struct str one;

        while (text.n) {
                struct str head, name;

                str_cut(&text, '\n', &one);
                head = str_trim(one);
                name = head;
                str_cut(&name, '=', &head);
                if (one.n > 1 && str_trim(one).n > 1 && str_trim(one).p[0] == '[') {
                        head = str_trim(one);
                        inside = str_ieq(str_sub(head, 1, head.n - 2), address);
                        buf_printf(out, PRS "\n" PRS, STR(one), STR(inside ? line : S("")));
                        found |= inside;
                } else if (!inside || !str_eq(str_trim(head), key)) {
                        buf_printf(out, PRS "\n", STR(one));
                }
        }
        return found;
}

int logins_password(const char *address, const char *password, struct buf *why)
{
        struct buf auto_buf text = { 0 }, line = { 0 }, out = { 0 };
        int folder = home_open(HOME_CONFIG, NULL, false), rc = folder;

        buf_init(&text, FILE_MOST);
        buf_init(&line, FILE_MOST);
        buf_init(&out, FILE_MOST);
        if (password)
                buf_printf(&line, "password = %s\n", password);
        if (folder >= 0)
                rc = home_read(folder, FILE_NAME, &text);
        if (rc == 0 && !with_line(buf_str(&text), str_of(address), S("password"), buf_str(&line), &out))
                rc = -ENOENT;
        if (rc == 0)
                rc = out.full || line.full ? -EFBIG : home_write(folder, FILE_NAME, buf_str(&out));
        if (rc < 0)
                buf_printf(why, "%s: %s", FILE_NAME, strerror(-rc));
        if (folder >= 0)
                close(folder);
        return rc;
}

int logins_add(struct logins *l, const struct login *one, struct buf *why)
{
        return change(l, one->address, one, why);
}

int logins_remove(struct logins *l, const char *address, struct buf *why)
{
        return change(l, address, NULL, why);
}
