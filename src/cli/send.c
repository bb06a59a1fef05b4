/* pail send, known to programs as /usr/sbin/sendmail: takes a letter from stdin and sends it.
 *
 * Whoever owns the folder (or is root) hands it to the running server: the supervisor takes one end of a socket pair by control.sock, where
 * the kernel says who asks, and a mail role speaks SMTP on it with a session that may send to anywhere. Nothing listens for this, and no
 * password is needed. Others speak SMTP to the server's port like any stranger: to people here. Where no server runs the letter goes by the
 * routes of the settings, or to its MX, at once: there is no queue to wait in then, and what cannot go now is EX_TEMPFAIL. */
#include "cli/send.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "mail/address.h"
#include "net/mx.h"
#include "run/log.h"
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/pail.conf"
#define DNS_PATIENCE  30
enum { TO_MOST = MX_ADDRESSES_MOST };

static struct sending sending;

/* ---- addresses ---- */

static struct str account_of(struct sending *s, struct str name)
{
        struct str account;

        if (s->folder && s->tool.directory &&
            directory_signin(s->tool.directory, &s->tool.arena, name, &account) == 0)
                return account;
        return arena_printf(&s->tool.arena, PRS "@" PRS, STR(name), STR(s->domain));
}

bool send_address(struct sending *s, struct str typed, struct str *normal)
{
        struct path path;

        if (typed.n && str_find(typed, '@') == STR_NONE)
                typed = account_of(s, typed);
        if (address_parse(&s->tool.arena, typed, &path) && path.domain.n &&
            address_normal(&s->tool.arena, &path, normal))
                return true;
        tool_fail(&s->tool, -EINVAL, typed, "no mail address");
        return false;
}

bool send_add(struct sending *s, struct str typed)
{
        struct str normal;

        if (!send_address(s, typed, &normal))
                return false;
        for (size_t i = 0; i < s->count; i++)
                if (str_ieq(s->recipients[i], normal))
                        return true;
        if (s->count == s->room) {
                struct str *old = s->recipients;

                s->room = s->room ? 2 * s->room : 16;
                s->recipients = arena_array(&s->tool.arena, struct str, s->room);
                for (size_t i = 0; i < s->count; i++)
                        s->recipients[i] = old[i];
        }
        s->recipients[s->count++] = normal;
        return true;
}

/* ---- who and where we are ---- */

static bool is_local(struct sending *s, struct str domain)
{
        return s->tool.directory && directory_is_local(s->tool.directory, domain);
}

/* The host's name or what stands behind its first dot, if that is a domain here; else the first of those. */
static struct str own_domain(struct sending *s)
{
        struct str above =
            str_from_at(s->host, str_find(s->host, '.') == STR_NONE ? 0 : str_find(s->host, '.') + 1);
        struct directory_row *rows;
        size_t n = 0;

        if (is_local(s, s->host))
                return s->host;
        if (is_local(s, above))
                return above;
        if (s->tool.directory &&
            directory_rows(s->tool.directory, DIR_DOMAINS, S(""), &s->tool.arena, &rows, &n) == 0 && n)
                return rows[0].name;
        return s->host;
}

static int who_we_are(struct sending *s, const struct send_line *l, struct str login)
{
        char name[256] = "localhost";

        gethostname(name, sizeof(name) - 1);
        s->host =
            arena_str(&s->tool.arena,
                      str_of(s->folder && *s->tool.settings.host_name ? s->tool.settings.host_name : name));
        if (s->folder && tool_directory(&s->tool))
                return EX_OSFILE;
        s->domain = own_domain(s);
        if (!l->sender.p)
                return send_address(s, login, &s->sender) ? 0 : EX_USAGE;
        if (!l->sender.n || str_eq(l->sender, S("<>")))
                return 0;
        return send_address(s, l->sender, &s->sender) ? 0 : EX_USAGE;
}

/* The folder, if there is one and it is ours. Else *stranger: a server's settings were found all the same. */
static int enter(struct sending *s, bool *stranger)
{
        const char *path;
        struct stat st;
        int rc;

        *stranger = false;
        if (!s->tool.dir && !s->tool.config && access(SYSTEM_CONFIG, F_OK) == 0 &&
            access(SYSTEM_CONFIG, R_OK) < 0) { /* not for everybody's eyes: then by the port that mail has */
                settings_default(&s->tool.settings);
                *stranger = true;
                return 0;
        }
        rc = tool_find(&s->tool, &path);
        if (rc || !path)
                return rc;
        if (geteuid() != 0 && (stat(path, &st) < 0 || st.st_uid != geteuid())) {
                *stranger = true;
                return 0;
        }
        rc = tool_enter(&s->tool, path);
        s->folder = rc == 0;
        s->demo = s->folder && !s->tool.config;
        return rc;
}

static int bad(struct str what, const char *why)
{
        return tool_fail(&sending.tool, -EINVAL, what, why);
}

/* ---- ways out ---- */

/* By the system's resolvers, since it is a person who names the host. */
static int ask_addresses(struct sending *s, struct mx_host *host)
{
        struct dns_how ask = { "system", "", "" };
        struct buf auto_buf words = { 0 };
        struct str why = S("");
        struct dns *dns;
        int rc;

        buf_init(&words, 1024);
        if (dns_open(&dns, &ask, &words) < 0)
                return tool_fail(&s->tool, -EAGAIN, S("dns"), arena_str(&s->tool.arena, buf_str(&words)).p);
        rc = mx_addresses(dns, host, in_seconds(DNS_PATIENCE), &s->tool.arena, &why);
        dns_close(&dns);
        if (rc == 0)
                return 0;
        tool_fail(&s->tool, rc, host->name, arena_str(&s->tool.arena, why).p);
        return rc == -ENOENT ? EX_NOHOST : EX_TEMPFAIL;
}

static int resolve(struct sending *s, struct str text, struct addr *to, unsigned *count)
{
        struct mx_host host = { .name = text };
        uint64_t port = 25;
        size_t colon = str_rfind(text, ':');
        int rc;

        *count = 1;
        if (addr_parse(text, 25, to))
                return 0;
        if (colon != STR_NONE) {
                host.name = str_sub(text, 0, colon);
                if (!str_u64(str_from_at(text, colon + 1), &port) || !port || port > 65535)
                        return bad(text, "not HOST or HOST:PORT");
        }
        if (!domain_normal(&s->tool.arena, host.name, &host.name))
                return bad(text, "no host can have this name");
        rc = ask_addresses(s, &host);
        for (*count = 0; rc == 0 && *count < host.count; ++*count) {
                to[*count] = host.addresses[*count];
                to[*count].port = (uint16_t)port;
        }
        return rc;
}

/* The other end of *fd is a session of the running server's. 0; -ENOENT: none runs; else an exit code, said. */
static int ask_server(struct sending *s, int *fd)
{
        struct buf auto_buf answer = { 0 };
        int pair[2], rc;

        buf_init(&answer, 64);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return tool_fail(&s->tool, -errno, S("socket"), NULL);
        rc = cli_control_fd(CONTROL_SUBMIT, S(""), pair[1], &answer);
        close(pair[1]);
        *fd = pair[0];
        if (rc == 0 && answer.n)
                return 0;
        close(pair[0]);
        if (control_nobody(rc))
                return -ENOENT;
        tool_fail(&s->tool, -EAGAIN, S("the running server"),
                  rc ? NULL : "its mail role is just being started");
        return EX_TEMPFAIL;
}

/* A stranger's way: the SMTP port. */
static int server_port(struct sending *s, struct addr *to)
{
        struct str rest = str_of(s->tool.settings.listen), word;

        str_cut(&rest, ' ', &word);
        if (!s->tool.settings.smtp_port || !addr_parse(word, 25, to))
                return tool_fail(&s->tool, -EAGAIN, S("smtp-port"),
                                 "the server here takes no letters by SMTP");
        if (addr_any(*to))
                addr_parse(to->family == 4 ? S("127.0.0.1") : S("::1"), 25, to);
        to->port = (uint16_t)s->tool.settings.smtp_port;
        return 0;
}

static int deliver(struct sending *s, bool stranger)
{
        struct addr to[TO_MOST];
        unsigned count = 1;
        int fd = -1, rc;

        if (s->to_host) {
                rc = resolve(s, str_of(s->to_host), to, &count);
                return rc ? rc : send_out(s, SEND_HOST, -1, to, count);
        }
        if (stranger) {
                rc = server_port(s, to);
                return rc ? rc : send_out(s, SEND_HOST, -1, to, count);
        }
        rc = s->folder ? ask_server(s, &fd) : -ENOENT;
        if (rc >= 0)
                return rc ? rc : send_out(s, SEND_SERVER, fd, NULL, 0);
        if (s->demo) /* a demo sends nothing off this machine */
                return tool_fail(&s->tool, -EAGAIN, S("no server runs here"),
                                 "start the demo, or say --to-host");
        return send_out(s, SEND_ROUTES, -1, NULL, 0);
}

/* ---- -bs: SMTP on stdin and stdout ---- */

static bool pass(int from, int to)
{
        char piece[4096];
        ssize_t n = read(from, piece, sizeof(piece));

        for (ssize_t at = 0, k; at < n; at += k) {
                struct pollfd room = { .fd = to, .events = POLLOUT };

                k = write(to, piece + at, (size_t)(n - at));
                if (k < 0 && errno != EAGAIN)
                        return false;
                if (k < 0) {
                        k = 0;
                        poll(&room, 1, -1);
                }
        }
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static int speak(struct sending *s)
{
        struct pollfd both[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
        int rc = s->folder ? ask_server(s, &both[1].fd) : -ENOENT;

        if (rc < 0)
                return tool_fail(&s->tool, -EAGAIN, S("-bs"), "no server of ours runs here");
        while (rc == 0 && poll(both, 2, -1) >= 0) {
                if (both[1].revents && !pass(both[1].fd, STDOUT_FILENO))
                        break;
                if (both[0].revents && !pass(STDIN_FILENO, both[1].fd)) {
                        shutdown(both[1].fd, SHUT_WR); /* the replies to what came before still come */
                        both[0].fd = -1;
                }
        }
        return rc;
}

/* ---- the verb ---- */

static int send_letter(struct sending *s, struct send_line *l, struct str login, bool stranger)
{
        int rc = who_we_are(s, l, login);

        for (size_t i = 0; i < l->n && rc == 0; i++)
                rc = send_add(s, l->words[i]) ? 0 : EX_USAGE;
        if (rc == 0 && !l->n && !s->by_header)
                rc = bad(S("to whom?"), "name the recipients, or say -t: those in the header");
        rc = rc ? rc : send_read(s);
        if (rc == 0 && !s->count)
                rc = bad(S("to whom?"), "there is no recipient in the header");
        return rc ? rc : deliver(s, stranger);
}

static int run(struct sending *s, struct send_line *l)
{
        static char list[] = "list", retry[] = "retry", all[] = "--all", queue[] = "queue", dir[] = "--dir",
                    config[] = "--config";
        char *words[6] = { queue, l->bp ? list : retry };
        const struct passwd *user = getpwuid(getuid());
        struct str login = arena_str(&s->tool.arena, str_of(user ? user->pw_name : "nobody"));
        bool stranger;
        int n = 2, rc;

        if (l->bp || l->run_queue) {
                if (!l->bp)
                        words[n++] = all;
                if (s->tool.dir || s->tool.config) {
                        words[n++] = s->tool.dir ? dir : config;
                        words[n++] = (char *)(s->tool.dir ? s->tool.dir : s->tool.config);
                }
                return verb_queue(n, words);
        }
        if (!s->full_name && !l->sender.p && user && user->pw_gecos)
                s->full_name = arena_str(&s->tool.arena,
                                         str_sub(str_of(user->pw_gecos), 0, strcspn(user->pw_gecos, ",")))
                                   .p;
        rc = enter(s, &stranger);
        if (rc)
                return rc;
        return l->bs ? speak(s) : send_letter(s, l, login, stranger);
}

int verb_send(int argc, char **argv)
{
        struct sending *s = &sending;
        const struct tool_option options[] = { { "to-host", &s->to_host, NULL }, { 0 } };
        int before = 1, rc;
        struct send_line l = { 0 };

        while (before < argc && strcmp(argv[before], "--") != 0)
                before++;
        rc = tool_options(&s->tool, before, argv, options);
        if (rc == 0) {
                l.words = s->tool.words;
                l.n = s->tool.count;
                rc = send_line(s, &l);
        }
        if (rc == 0) { /* behind "--" there are only recipients */
                struct str *words = arena_array(&s->tool.arena, struct str, (size_t)argc);

                for (size_t i = 0; i < l.n; i++)
                        words[i] = l.words[i];
                for (int i = before + 1; i < argc; i++)
                        words[l.n++] = str_of(argv[i]);
                l.words = words;
                rc = run(s, &l);
        }
        buf_free(&s->text);
        return tool_end(&s->tool, rc);
}
