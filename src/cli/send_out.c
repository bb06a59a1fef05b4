/* Where the letter of pail send goes: as a client of the running server, straight to a host, or the ways that the sender role would go. */
#include "cli/send.h"
#include "base/mem.h"
#include "net/dial.h"
#include "proto/smtp/dispatch_inside.h"
#include "run/loop.h"
#include "run/offload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define DIAL_PATIENCE 60
#define QUIT_PATIENCE 10
enum { SMTPS_PORT = 465, PASSWORDS_MOST = 256 * 1024 };

struct going {
        struct sending *send;
        enum send_way way;
        int fd;
        const struct addr *to;
        unsigned count;
        struct smtp_answer *answers; /* of all recipients, as they are in send */
        bool *done;                  /* who has one */
        struct conn_tap tap;
        struct dispatch *dispatch; /* SEND_ROUTES: what finds ways */
};

/* ---- the conversation, in the transcript's form ---- */

static void heard(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        (void)t;
        if (line.p)
                fprintf(stderr, "%c: " PRS "\n", from, STR(line));
        else
                fprintf(stderr, "%c: (%llu octets)\n", from, (unsigned long long)bytes);
}

static int read_text(void *context, uint64_t at, size_t n, struct buf *out)
{
        const struct sending *s = context;

        buf_puts(out, str_sub(buf_str(&s->text), (size_t)at, n));
        return 0;
}

/* ---- one transaction ---- */

static void answer_all(struct going *g, const size_t *which, unsigned n, const struct smtp_answer *a)
{
        for (unsigned i = 0; i < n; i++) {
                g->answers[which[i]] = *a;
                g->done[which[i]] = true;
        }
}

/* The letter to those recipients; conn is taken. 0: they have their answers. Else nothing was sent, and *why is said. */
static int over(struct going *g, struct conn *conn, struct smtp_client_how how, const size_t *which,
                unsigned n, struct smtp_answer *why)
{
        struct sending *s = g->send;
        struct arena *a = &s->tool.arena;
        struct smtp_answer *answers = arena_array(a, struct smtp_answer, n);
        struct smtp_rcpt *list = arena_array(a, struct smtp_rcpt, n);
        struct smtp_letter l = {
                .sender = s->sender,
                .recipients = list,
                .count = n,
                .eight_bit = s->eight_bit,
                .utf8 = s->utf8,
                .envid = s->envid,
                .ret = s->ret,
                .size = s->text.n,
                .read = read_text,
                .context = g->send,
                .arena = a,
        };
        struct smtp_client *client;
        int rc;

        for (unsigned i = 0; i < n; i++)
                list[i] = (struct smtp_rcpt){ s->recipients[which[i]],
                                              s->notify.n ? arena_printf(a, "NOTIFY=" PRS, STR(s->notify))
                                                          : S("") };
        how.host = arena_str(a, s->host).p;
        how.tap = s->verbose ? &g->tap : NULL;
        rc = smtp_client_open(&client, conn, &how, a, why);
        if (rc < 0)
                return rc;
        (void)!smtp_client_send(client, &l, answers); /* whatever happened: the answers say it */
        smtp_client_close(&client, in_seconds(QUIT_PATIENCE));
        for (unsigned i = 0; i < n; i++)
                answer_all(g, &which[i], 1, &answers[i]);
        return 0;
}

/* ---- to a host ---- */

/* Opportunistic TLS that fails is tried again without (RFC 7435), where nothing asks for it. */
static int to_host(struct going *g, struct str name, const struct addr *to, unsigned count,
                   struct smtp_client_how how, const size_t *which, unsigned n, struct smtp_answer *why)
{
        struct buf auto_buf words = { 0 };
        struct dial dial = { .to = to, .count = count };
        struct addr own[2];
        struct conn *conn;
        unsigned at;
        int rc = -EAGAIN;

        buf_init(&words, 4096);
        if (g->send->tool.settings.send_from)
                (void)!dial_from(&dial, str_of(g->send->tool.settings.send_from), own);
        for (int clear = 0; clear < 2 && rc < 0; clear++) {
                if (clear && (how.tls != TLS_MAY || !answer_tls_trouble(why)))
                        break;
                if (clear)
                        how.tls = TLS_NEVER;
                rc = dial_any(&dial, in_seconds(DIAL_PATIENCE), &conn, &at, &words);
                if (rc < 0) {
                        answer_ours(
                            why, "4.4.1", "connect",
                            arena_printf(&g->send->tool.arena, PRS ": " PRS, STR(name),
                                         STR(words.n ? buf_str(&words) : str_of(strerrordesc_np(-rc)))));
                        return rc;
                }
                if (g->send->verbose)
                        fprintf(stderr, "# " PRS " [%s]:%u%s\n", STR(name), addr_text(to[at]).z, to[at].port,
                                clear ? ", without TLS" : "");
                rc = over(g, conn, how, which, n, why);
        }
        return rc;
}

static void all_to_host(struct going *g)
{
        struct sending *s = g->send;
        size_t *which = arena_array(&s->tool.arena, size_t, s->count);
        struct smtp_client_how how = { .tls = g->to[0].port == SMTPS_PORT ? TLS_AT_ONCE : TLS_MAY };
        struct smtp_answer why = { 0 };

        for (size_t i = 0; i < s->count; i++)
                which[i] = i;
        if (to_host(g, str_of(s->to_host ? s->to_host : "the server here"), g->to, g->count, how, which,
                    (unsigned)s->count, &why) < 0)
                answer_all(g, which, (unsigned)s->count, &why);
}

static void all_to_server(struct going *g)
{
        struct sending *s = g->send;
        size_t *which = arena_array(&s->tool.arena, size_t, s->count);
        struct conn *conn = conn_new(g->fd, (struct addr){ 0 }, (struct addr){ 0 });
        struct smtp_answer why = { 0 };

        for (size_t i = 0; i < s->count; i++)
                which[i] = i;
        answer_ours(&why, "4.3.0", "connect", S("no more descriptors"));
        if (!conn ||
            over(g, conn, (struct smtp_client_how){ .tls = TLS_NEVER }, which, (unsigned)s->count, &why) < 0)
                answer_all(g, which, (unsigned)s->count, &why);
}

/* ---- by routes and MX ---- */

static const char *read_passwords(struct sending *s)
{
        static struct buf text;
        const char *path = s->tool.settings.relay_passwords;
        int fd = *path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t n = 0;

        buf_init(&text, PASSWORDS_MOST + 1);
        if (fd >= 0) {
                n = read(fd, buf_room(&text, PASSWORDS_MOST), PASSWORDS_MOST);
                close(fd);
        }
        if (n > 0)
                buf_added(&text, (size_t)n);
        buf_u8(&text, 0);
        return text.p;
}

/* Those that have no answer yet and go to the same domain as the first of them. */
static unsigned same_domain(struct going *g, size_t *which, struct str *domain)
{
        struct sending *s = g->send;
        unsigned n = 0;

        for (size_t i = 0; i < s->count; i++) {
                struct str his = str_from_at(s->recipients[i], str_rfind(s->recipients[i], '@') + 1);

                if (g->done[i] || (n && !str_ieq(his, *domain)))
                        continue;
                *domain = his;
                which[n++] = i;
        }
        return n;
}

static void to_domain(struct going *g, struct dispatch *d, struct str domain, const size_t *which, unsigned n)
{
        struct arena *a = &g->send->tool.arena;
        struct lane *lane = arena_new(a, struct lane);
        struct smtp_answer why = { 0 };
        const char *status = "4.0.0";
        struct way *ways;
        unsigned count;
        struct str reason;
        enum found found;

        lane->dispatch = d;
        lane->name = (char *)arena_str(a, domain).p;
        found = ways_find(lane, a, &ways, &count, &status, &reason);
        if (found == WAY_FOUND && ways[0].route.kind == ROUTE_SELF) {
                found = WAY_LATER;
                status = "4.3.2";
                reason = S("it is for here, and no server runs");
        }
        if (found != WAY_FOUND)
                answer_ours(&why, status, "route", reason);
        for (unsigned i = 0; found == WAY_FOUND && i < count; i++) {
                struct way *w = &ways[i];
                struct smtp_client_how how = { .lmtp = w->route.kind == ROUTE_LMTP, .tls = w->tls };

                if (w->route.kind == ROUTE_RELAY)
                        (void)relay_password(d, w->name, &how.user,
                                             &how.password); /* ways_find saw to the TLS it needs */
                how.want = &w->want;
                if (to_host(g, w->name, w->addresses, w->count, how, which, n, &why) == 0)
                        return;
        }
        answer_all(g, which, n, &why);
}

static void all_by_routes(struct going *g)
{
        size_t *which = arena_array(&g->send->tool.arena, size_t, g->send->count);
        struct str domain;
        unsigned n;

        while ((n = same_domain(g, which, &domain)) > 0)
                to_domain(g, g->dispatch, domain, which, n);
}

/* Not in a fiber: what the library needs of a stack at its start is more than one has. 0 or an exit code, said. */
static int open_dispatch(struct going *g)
{
        struct sending *s = g->send;
        const struct settings *t = &s->tool.settings;
        struct dns_how ask = { t->resolver, access(t->trust_anchors, R_OK) ? "" : t->trust_anchors,
                               t->stub_zones };
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1024);
        g->dispatch = mem_new(struct dispatch);
        g->dispatch->how = (struct dispatch_how){ .settings = t,
                                                  .directory = s->tool.directory,
                                                  .relay_passwords = read_passwords(s) };
        if (dns_open(&g->dispatch->how.dns, &ask, &why) < 0)
                return tool_fail(&s->tool, -EAGAIN, S("dns"), arena_str(&s->tool.arena, buf_str(&why)).p);
        return 0;
}

static void close_dispatch(struct going *g)
{
        if (!g->dispatch)
                return;
        sts_free(&g->dispatch->sts);
        dns_close(&g->dispatch->how.dns);
        mem_free(g->dispatch);
}

/* ---- the answers ---- */

int send_exit_code(const struct smtp_answer *a)
{
        static const struct {
                const char *status;
                int code;
        } codes[] = {
                { "5.1.2", EX_NOHOST }, { "5.1.10", EX_NOHOST }, { "5.4.4", EX_NOHOST },
                { "5.4.6", EX_NOHOST }, { "5.1.", EX_NOUSER },   { "5.2.1", EX_NOUSER },
                { "5.7.", EX_NOPERM },  { "5.6.", EX_DATAERR },  { "5.5.", EX_PROTOCOL },
        };

        if (answer_good(a))
                return EX_OK;
        if (a->code / 100 == 4 || (!a->code && a->status[0] != '5'))
                return EX_TEMPFAIL;
        for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
                if (str_starts(str_of(a->status), str_of(codes[i].status)))
                        return codes[i].code;
        return EX_UNAVAILABLE;
}

/* What is refused for good is worse than what may be tried again. */
static int judge(struct going *g)
{
        int worst = EX_OK;

        for (size_t i = 0; i < g->send->count; i++) {
                const struct smtp_answer *a = &g->answers[i];
                int code = send_exit_code(a);

                if (code == EX_OK)
                        continue;
                if (a->code)
                        fprintf(stderr, "pail send: " PRS ": %u %s " PRS "\n", STR(g->send->recipients[i]),
                                a->code, a->status, STR(a->text));
                else
                        fprintf(stderr, "pail send: " PRS ": " PRS "\n", STR(g->send->recipients[i]),
                                STR(a->text));
                if (worst == EX_OK || worst == EX_TEMPFAIL)
                        worst = code;
        }
        return worst;
}

static void go(void *arg)
{
        struct going *g = arg;

        switch (g->way) {
        case SEND_SERVER: all_to_server(g); break;
        case SEND_HOST: all_to_host(g); break;
        case SEND_ROUTES: all_by_routes(g); break;
        }
        loop_stop();
}

int send_out(struct sending *s, enum send_way way, int fd, const struct addr *to, unsigned count)
{
        struct going g = { .send = s, .way = way, .fd = fd, .to = to, .count = count, .tap = { heard } };
        int rc;

        g.answers = arena_array(&s->tool.arena, struct smtp_answer, s->count);
        g.done = arena_array(&s->tool.arena, bool, s->count);
        rc = way == SEND_ROUTES ? open_dispatch(&g) : 0;
        if (rc) {
                close_dispatch(&g);
                return rc;
        }
        loop_init();
        if (offload_start(1, 2) < 0 || fiber_spawn("send", go, &g) < 0)
                return tool_fail(&s->tool, -ENOMEM, S("send"), NULL);
        loop_run();
        close_dispatch(&g);
        return judge(&g);
}
