#include "proto/session.h"
#include "base/mem.h"
#include "proto/session_tap.h"
#include "proto/tap.h"
#include "run/log.h"

#include <stdio.h>
#include <sys/random.h>

enum { COMMAND_MEMORY = 64 << 20, LIFE_MEMORY = 1 << 20, NETS = 1024, NAME_MOST = 256, AWAY_AT_ONCE = 128 };
#define AWAY_PAUSE (2 * MSECOND) /* with 20,000 of them: a third of a second */

static void session_fiber(void *arg);

/* --- names --------------------------------------------------------------------------------------------------- */

/* "127.0.0.2=town.com 127.0.0.5=mta13.adelphia.net" */
const char *host_for(const struct settings *t, struct addr local, char *room, size_t n)
{
        struct str list = str_of(t->host_names), entry, ip;
        struct addr a;

        while (list.n) {
                str_cut(&list, ' ', &entry);
                if (str_cut(&entry, '=', &ip) && entry.n < n && addr_parse(ip, 0, &a) &&
                    addr_same_host(a, local)) {
                        snprintf(room, n, PRS, STR(entry));
                        return room;
                }
        }
        return t->host_name && *t->host_name ? t->host_name : "localhost";
}

/* Host names outlive the settings they came from: sessions of before a SIGHUP go on using theirs. There are as many
 * as anybody ever wrote into the settings. */
static const char *lasting(const char *name)
{
        static struct lasting {
                struct lasting *next;
                char *name;
        } * all;
        struct lasting *l = all;

        while (l && strcmp(l->name, name) != 0)
                l = l->next;
        if (!l) {
                l = mem_new(struct lasting);
                l->name = mem_string(str_of(name));
                l->next = all;
                all = l;
        }
        return l->name;
}

/* A session's name in the log and in Received: unlikely to be met twice, also between processes. */
static void new_id(char id[static 12])
{
        static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
        static uint64_t number;
        uint64_t v;

        if (!number && getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
                number = (uint64_t)wall_usec();
        v = ++number * 0x9e3779b97f4a7c15; /* neighbours look different */
        for (int i = 0; i < 11; i++, v >>= 5)
                id[i] = digits[v & 31];
        id[11] = '\0';
}

/* --- the list of all ----------------------------------------------------------------------------------------- */

static struct session **net_chain(const struct server *server, struct addr net)
{
        size_t at = str_hash(str_from(net.ip, sizeof(net.ip))) % NETS;

        return (struct session **)&server->by_net[at];
}

static void enlist(struct session *s)
{
        struct session **net = net_chain(s->server, addr_net(conn_peer(s->conn)));

        s->link = &s->server->sessions;
        s->next = *s->link;
        if (s->next)
                s->next->link = &s->next;
        *s->link = s;
        s->net_link = net;
        s->net_next = *net;
        if (s->net_next)
                s->net_next->net_link = &s->net_next;
        *net = s;
        s->server->session_count++;
}

static void unlist(struct session *s)
{
        *s->link = s->next;
        if (s->next)
                s->next->link = s->link;
        *s->net_link = s->net_next;
        if (s->net_next)
                s->net_next->net_link = s->net_link;
        s->server->session_count--;
}

unsigned sessions_from(const struct server *server, struct addr peer)
{
        struct addr net = addr_net(peer);
        unsigned n = 0;

        for (const struct session *s = *net_chain(server, net); s; s = s->net_next)
                n += addr_same_host(addr_net(conn_peer(s->conn)), net);
        return n;
}

/* --- the life of one ----------------------------------------------------------------------------------------- */

static void free_session(struct session *s)
{
        unlist(s);
        arena_finish(&s->command);
        arena_finish(&s->life);
        mem_free((char *)s->account.p);
        mem_free(s);
}

/* The end, in its fiber: the peer shall read our last reply before the connection goes. On the loop's stack (parked,
 * and no memory to go on): just the end. */
static void end_session(struct session *s)
{
        s->kind->finish(s);
        session_tap_end(s);
        if (fiber_self())
                conn_close(&s->conn, in_seconds(30));
        else
                conn_free(&s->conn);
        free_session(s);
}

static void woken(void *context, enum woken why)
{
        struct session *s = context;

        s->woken = why;
        if (fiber_spawn(s->kind->name, session_fiber, s) < 0) {
                log_warn("dropped", "session=%s peer=%s why=\"no memory for a stack\"", s->id,
                         session_peer(s).z);
                end_session(s);
        }
}

/* The server's context may be replaced while a handshake waits. */
static bool handshake(struct session *s)
{
        struct tls_context *tls = s->server->tls;
        int rc;

        if (!tls)
                return false;
        tls_context_hold(tls);
        if (s->kind->own_tickets)
                conn_own_tickets(s->conn);
        rc = conn_starttls(s->conn, tls, in_seconds(60));
        tls_context_drop(&tls);
        return rc == 0;
}

static void session_fiber(void *arg)
{
        struct session *s = arg;

        fiber_note(s->id);
        /* Once: behind CCC the connection stays in clear. */
        if (s->implicit_tls && !s->greeted && !handshake(s)) {
                log_event("tls-failed", "session=%s protocol=%s peer=%s", s->id, s->kind->name,
                          session_peer(s).z);
                end_session(s);
                return;
        }
        if (s->kind->serve(s) == PARKED) {
                if (s->kind->parking)
                        s->kind->parking(s);
                arena_finish(&s->command);
                conn_park(s->conn, s->deadline ? s->deadline : NEVER, woken, s);
                return;
        }
        end_session(s);
}

/* From this machine itself: loopback, or one of its own addresses talks to itself. */
static bool own(const struct conn *conn)
{
        return addr_loopback(conn_peer(conn)) || addr_same_host(conn_peer(conn), conn_local(conn));
}

static bool trusts(const struct settings *t, const struct conn *conn)
{
        return own(conn) || addr_in_list(conn_peer(conn), str_of(t->trusted_addresses));
}

/* 0 or enum refusal + 1 */
static int refusal(struct server *server, const struct conn *conn)
{
        struct addr peer = conn_peer(conn);
        const struct settings *t = server->settings;

        if (server->stopping)
                return REFUSED_STOPPING + 1;
        if (server->session_count >= (unsigned long)t->max_connections ||
            (server->session_most && server->session_count >= server->session_most))
                return REFUSED_FULL + 1;
        if (trusts(t, conn) || !peer.family)
                return 0;
        if (bans_hold(&server->bans, peer))
                return REFUSED_BANNED + 1;
        if (sessions_from(server, peer) >= (unsigned long)t->max_connections_per_address)
                return REFUSED_FULL + 1;
        return 0;
}

static bool tls_from_start(enum protocol protocol)
{
        return protocol == PROTOCOL_SUBMISSIONS || protocol == PROTOCOL_POP3S || protocol == PROTOCOL_IMAPS ||
               protocol == PROTOCOL_FTPS;
}

static struct session *new_session(struct server *server, struct conn *conn, enum protocol protocol)
{
        const struct session_kind *kind = server->kinds[protocol];
        struct session *s = mem_alloc(kind->size);
        char room[NAME_MOST];

        s->server = server;
        s->conn = conn;
        s->kind = kind;
        s->protocol = protocol;
        s->implicit_tls = tls_from_start(protocol);
        s->host = lasting(host_for(server->settings, conn_local(conn), room, sizeof(room)));
        s->began = now();
        new_id(s->id);
        arena_init(&s->life, LIFE_MEMORY);
        arena_init(&s->command, COMMAND_MEMORY);
        session_parking(s, true);
        enlist(s);
        if (taps_on(server->taps))
                session_tap_begin(s);
        return s;
}

/* Said at once, if the socket takes it, which a fresh one does; before a TLS handshake nothing can be said. */
static void refuse(const struct server *server, struct conn *conn, enum protocol protocol, enum refusal why)
{
        static const char *const words[] = {
                [REFUSED_FULL] = "too many connections",
                [REFUSED_BANNED] = "banned",
                [REFUSED_STOPPING] = "shutting down",
                [REFUSED_MEMORY] = "no memory for a stack",
        };
        char room[NAME_MOST];

        log_event("refused", "protocol=%s peer=%s why=\"%s\"", server->kinds[protocol]->name,
                  addr_text(conn_peer(conn)).z, words[why]);
        if (!tls_from_start(protocol))
                server->kinds[protocol]->refuse(
                    conn, host_for(server->settings, conn_local(conn), room, sizeof(room)), why);
        conn_free(&conn);
}

static void start(struct server *server, struct conn *conn, enum protocol protocol, bool owner)
{
        int why = refusal(server, conn);
        struct session *s;

        if (!server->kinds[protocol]) { /* bound, but nobody here speaks it */
                conn_free(&conn);
                return;
        }
        if (why) {
                refuse(server, conn, protocol, (enum refusal)(why - 1));
                return;
        }
        s = new_session(server, conn, protocol);
        s->owner = owner;
        if (fiber_spawn(s->kind->name, session_fiber, s) < 0) {
                s->kind->finish(s);
                session_tap_end(s);
                free_session(s);
                refuse(server, conn, protocol, REFUSED_MEMORY);
        }
}

void session_start(struct server *server, struct conn *conn, enum protocol protocol)
{
        start(server, conn, protocol, false);
}

void session_start_owner(struct server *server, struct conn *conn, enum protocol protocol)
{
        start(server, conn, protocol, true);
}

void session_run_here(struct server *server, struct conn *conn, enum protocol protocol)
{
        struct session *s = new_session(server, conn, protocol);

        while (s->kind->serve(s) == PARKED)
                ;
        s->kind->finish(s);
        session_tap_end(s);
        conn_free(&s->conn);
        free_session(s);
}

/* --- what sessions ask --------------------------------------------------------------------------------------- */

nsec session_next_command(struct session *s, long seconds)
{
        if (!s->deadline)
                s->deadline = in_seconds(seconds);
        return s->deadline;
}

void session_parking(struct session *s, bool allowed)
{
        long quiet = s->server->settings->park_after_ms;

        conn_park_after(s->conn, allowed && quiet >= 0 ? quiet * MSECOND : -1);
}

void session_sign_in(struct session *s, struct str account)
{
        char *kept = account.n ? mem_string(account) : NULL;

        mem_free((char *)s->account.p);
        s->account = str_from(kept, account.n);
}

struct addr_text session_peer(const struct session *s)
{
        return addr_text(conn_peer(s->conn));
}

bool session_plaintext_ok(const struct session *s)
{
        switch ((enum plaintext_login)s->server->settings->plaintext_login) {
        case PLAINTEXT_ALWAYS: return true;
        case PLAINTEXT_LOOPBACK:
                if (addr_loopback(conn_peer(s->conn)))
                        return true;
                break;
        case PLAINTEXT_NEVER: break;
        }
        return conn_has_tls(s->conn);
}

struct signin session_signin(const struct session *s, unsigned scope, struct conn_tls_facts *room)
{
        static const struct addr loopback = { .family = 4, .ip = { 127, 0, 0, 1 } };
        struct signin who = { .scope = scope,
                              .peer = own(s->conn) ? loopback : conn_peer(s->conn),
                              .tls = conn_has_tls(s->conn) };

        if (conn_tls_facts(s->conn, room)) {
                who.binding = str_from(room->binding, room->binding_length);
                who.binding_is_exporter = room->binding_is_exporter;
        }
        return who;
}

/* Those who do not know it yet; of the parked, who need a stack each to say goodbye, some at a time. */
static bool send_away_some(struct server *server, struct str account, enum woken why)
{
        unsigned parked = 0;

        for (struct session *s = server->sessions; s && parked < AWAY_AT_ONCE; s = s->next)
                if (!conn_stopping(s->conn) && (!account.n || str_eq(s->account, account))) {
                        parked += conn_parked(s->conn);
                        conn_wake(s->conn, why);
                }
        return parked > 0;
}

static void send_away(struct server *server, struct str account, enum woken why)
{
        while (send_away_some(server, account, why)) /* those that hang do not hold up the others */
                if (fiber_self() && fiber_sleep(now() + AWAY_PAUSE))
                        break;
}

void sessions_stop(struct server *server)
{
        server->stopping = true;
        send_away(server, S(""), WOKEN_SHUTDOWN);
}

void sessions_sign_out(struct server *server, struct str account)
{
        if (account.n)
                send_away(server, account, WOKEN_SIGNED_OUT);
}

void sessions_dump(const struct server *server, int fd)
{
        auto_buf struct buf more;
        nsec at = now();

        buf_init(&more, 1024);
        for (const struct session *s = server->sessions; s; s = s->next) {
                buf_clear(&more);
                if (s->kind->describe)
                        s->kind->describe(s, &more);
                dprintf(fd, "session %s %s peer=%s account=" PRS " state=%#x %s age=%llds" PRS "\n", s->id,
                        s->kind->name, session_peer(s).z, STR(s->account), s->state,
                        conn_parked(s->conn) ? "parked" : "in a fiber", (long long)((at - s->began) / SECOND),
                        STR(buf_str(&more)));
        }
}
