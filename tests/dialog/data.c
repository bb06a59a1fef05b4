/* FTP's data connection in a dialog: `data ...`, and the wire of D: lines. */
#include "dialog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where client ports are taken from: above those that the kernel gives, so that x + 1 is hardly ever somebody's. */
enum { CLIENT_LOW = 61000, CLIENT_HIGH = 65000, CLIENT_TRIES = 200 };

void data_begin(struct dialog *d)
{
        for (unsigned i = 0; i < CONNECTIONS; i++) {
                d->data[i] = (struct data){ .listener = -1 };
                d->data[i].wire.fd = -1;
        }
}

static void end_data(struct data *t)
{
        wire_close(&t->wire);
        if (t->listener >= 0)
                close(t->listener);
        t->listener = -1;
        t->from = 0;
}

void data_finish(struct dialog *d)
{
        for (unsigned i = 0; i < CONNECTIONS; i++)
                end_data(&d->data[i]);
}

bool data_nothing_left(struct dialog *d)
{
        struct str bytes;

        for (unsigned i = 0; i < CONNECTIONS; i++) {
                struct wire *w = &d->data[i].wire;

                if (w->fd < 0)
                        continue;
                wire_has_more(w);
                if (w->in.n == w->at)
                        continue;
                (void)wire_bytes(w, 100 < w->in.n - w->at ? 100 : w->in.n - w->at, &bytes);
                buf_printf(&d->why, "expected nothing more on the data connection, got \"" PRS "\"",
                           STR(bytes));
                return false;
        }
        return true;
}

/* --- where it goes ------------------------------------------------------------------------------------------- */

static unsigned port_of(const struct sockaddr_storage *a)
{
        return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                              : ((const struct sockaddr_in *)a)->sin_port);
}

static void text_of(const struct sockaddr_storage *a, char *out, socklen_t n)
{
        if (a->ss_family == AF_INET6)
                inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, n);
        else
                inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, n);
}

/* Our own end of the control connection, or theirs. */
static bool end_of(const struct wire *control, bool theirs, char *address, socklen_t n, unsigned *port)
{
        struct sockaddr_storage a = { 0 };
        socklen_t size = sizeof(a);

        if ((theirs ? getpeername : getsockname)(control->fd, (struct sockaddr *)&a, &size) < 0)
                return false;
        text_of(&a, address, n);
        *port = port_of(&a);
        return true;
}

/* A control connection comes from a port x whose x + 1 is free too, as on the lecture's picture of active FTP. */
bool data_dial(struct dialog *d, struct wire *w, const char *address, unsigned port)
{
        const char *from = strchr(address, ':') ? "::1" : "127.0.0.1";

        for (unsigned i = 0; i < CLIENT_TRIES; i++) {
                unsigned x = CLIENT_LOW + (unsigned)random() % (CLIENT_HIGH - CLIENT_LOW);
                int fd = wire_bound(from, x), next = wire_bound(from, x + 1);
                bool free_pair = fd >= 0 && next >= 0 && listen(next, 1) == 0;

                if (next >= 0)
                        close(next);
                if (!free_pair) {
                        if (fd >= 0)
                                close(fd);
                        continue;
                }
                buf_clear(&d->why);
                if (wire_dial_from(w, fd, address, port, &d->why))
                        return true;
                if (errno != EADDRNOTAVAIL) /* the pair of ports was used a moment ago */
                        return false;
        }
        return false;
}

/* "227 Entering Passive Mode (127,0,0,1,149,67)", "229 Entering Extended Passive Mode (|||38211|)" */
void data_heard(struct dialog *d, unsigned connection, struct str reply)
{
        struct data *t = &d->data[connection - 1];
        unsigned n[6], port;
        char text[512];

        if (!str_starts(reply, S("227 ")) && !str_starts(reply, S("229 ")))
                return;
        snprintf(text, sizeof(text), PRS, STR(reply));
        t->port = 0;
        if (text[2] == '7') {
                const char *digits = text + 4 + strcspn(text + 4, "0123456789");

                if (sscanf(digits, "%3u,%3u,%3u,%3u,%3u,%3u", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]) != 6)
                        return;
                snprintf(t->address, sizeof(t->address), "%u.%u.%u.%u", n[0], n[1], n[2], n[3]);
                t->port = n[4] * 256 + n[5];
        } else {
                const char *open = strchr(text, '(');

                if (!open || sscanf(open, "(|||%5u|)", &port) != 1 ||
                    !end_of(&d->wires[connection - 1], true, t->address, sizeof(t->address), &n[0]))
                        return;
                t->port = port;
        }
}

/* data passive [next | from ADDRESS] */
static bool passive(struct call *c, struct data *t)
{
        bool from = c->n == 4 && str_eq(c->words[2], S("from")),
             next = c->n == 3 && str_eq(c->words[2], S("next"));
        char address[48];
        unsigned x;
        int fd = -1;

        if (c->n != 2 && !from && !next)
                return wrong(c, "data passive [next|from ADDRESS]");
        if (!t->port || !end_of(&c->d->wires[c->connection - 1], false, address, sizeof(address), &x))
                return wrong(c, "data passive: no 227 or 229 has said where");
        end_data(t);
        if (from || next)
                fd = wire_bound(from ? c->words[3].p : address, next ? x + 1 : 0);
        if (fd < 0 && (from || next))
                return wrong(c, "data passive: that address or port cannot be had");
        return wire_dial_from(&t->wire, fd, t->address, t->port, &c->d->why);
}

static bool set_variable(struct call *c, const char *name, struct str value)
{
        return variable_set(&c->d->variables, str_of(name), value) || wrong(c, "too many variables");
}

/* {port} as PORT wants it, {eprt} as EPRT does. */
static bool set_variables(struct call *c, const char *address, unsigned port)
{
        bool six = strchr(address, ':') != NULL;
        struct arena *a = &c->d->arena;
        char commas[48];

        snprintf(commas, sizeof(commas), "%s", address);
        for (char *dot = commas; (dot = strchr(dot, '.')) != NULL;)
                *dot = ',';
        if (!six && !set_variable(c, "port", arena_printf(a, "%s,%u,%u", commas, port / 256, port % 256)))
                return false;
        return set_variable(c, "eprt", arena_printf(a, "|%d|%s|%u|", six ? 2 : 1, address, port));
}

/* data active [next | here] */
static bool active(struct call *c, struct data *t)
{
        bool next = c->n == 3 && str_eq(c->words[2], S("next")),
             here = c->n == 3 && str_eq(c->words[2], S("here"));
        struct sockaddr_storage at = { 0 };
        socklen_t size = sizeof(at);
        char address[48];
        unsigned x;

        if (c->n != 2 && !next && !here)
                return wrong(c, "data active [next|here]");
        end_data(t);
        if (!end_of(&c->d->wires[c->connection - 1], false, address, sizeof(address), &x))
                return wrong(c, "data active: the control connection is not open");
        t->listener = wire_bound(address, next ? x + 1 : here ? x : 0);
        if (t->listener < 0 || listen(t->listener, 5) < 0 ||
            getsockname(t->listener, (struct sockaddr *)&at, &size) < 0) {
                buf_printf(&c->d->why, "data active: %m");
                return false;
        }
        return set_variables(c, address, port_of(&at));
}

static bool accept_data(struct dialog *d, struct data *t, int patience)
{
        struct sockaddr_storage peer = { 0 };
        struct pollfd p = { .fd = t->listener, .events = POLLIN };
        socklen_t size = sizeof(peer);
        int fd = -1;

        if (poll(&p, 1, patience) > 0)
                fd = accept4(t->listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
        if (fd < 0) {
                buf_puts(&d->why, S("the server did not make the data connection"));
                return false;
        }
        wire_take(&t->wire, fd);
        t->from = port_of(&peer);
        return true;
}

struct wire *data_wire(struct dialog *d, unsigned connection)
{
        struct data *t = connection <= CONNECTIONS ? &d->data[connection - 1] : NULL;

        if (!t || (t->wire.fd < 0 && t->listener < 0)) {
                buf_puts(&d->why, S("there is no data connection"));
                return NULL;
        }
        if (t->wire.fd < 0 && !accept_data(d, t, (int)(WIRE_PATIENCE / MSECOND)))
                return NULL;
        return &t->wire;
}

/* data from PORT: of the demo, as in "from port 20" */
static bool came_from(struct call *c, struct data *t, struct wire *w)
{
        uint64_t port;

        (void)w;
        if (!str_u64(c->words[2], &port))
                return wrong(c, "data from PORT");
        if (t->from == c->d->base_port + port)
                return true;
        buf_printf(&c->d->why, "expected the server from its port %llu (%llu), it came from %u",
                   (unsigned long long)port, (unsigned long long)(c->d->base_port + port), t->from);
        return false;
}

/* data none: nobody has connected to where we listen, or to a lease that was ended. */
static bool none(struct call *c, struct data *t)
{
        struct pollfd p = { .fd = t->listener, .events = POLLIN };

        if (t->listener < 0)
                return wrong(c, "data none: behind data active");
        if (poll(&p, 1, 0) > 0)
                return wrong(c, "the server has made a data connection");
        end_data(t);
        return true;
}

/* --- what goes over it --------------------------------------------------------------------------------------- */

/* data tls [new] */
static bool secure(struct call *c, struct data *t, struct wire *w)
{
        (void)t;
        return wire_tls(w, authority_of(c->d), c->n == 3 ? NULL : &c->d->wires[c->connection - 1],
                        &c->d->why);
}

static bool resumed(struct call *c, struct data *t, struct wire *w)
{
        (void)t;
        return wire_resumed(w) || wrong(c, "the TLS session of the control connection was not resumed");
}

static bool put(struct call *c, struct data *t, struct wire *w)
{
        (void)t;
        return wire_send(w, c->words[2], &c->d->why);
}

/* data fill N: so many zero bytes */
static bool fill(struct call *c, struct data *t, struct wire *w)
{
        static const char zeros[65536];
        uint64_t n;

        (void)t;
        if (!str_u64(c->words[2], &n))
                return wrong(c, "data fill N");
        for (size_t piece; n > 0; n -= piece) {
                piece = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
                if (!wire_send(w, str_from(zeros, piece), &c->d->why))
                        return false;
        }
        return true;
}

static void put_shown(struct buf *out, struct str bytes)
{
        transcript_write(out, TRANSCRIPT_CLIENT, 1, str_sub(bytes, 0, 200));
}

static bool expect(struct call *c, struct data *t, struct wire *w)
{
        struct str want = c->words[2], bytes;

        (void)t;
        (void)wire_bytes(w, want.n, &bytes);
        if (str_eq(bytes, want))
                return true;
        buf_puts(&c->d->why, S("expected on the data connection "));
        put_shown(&c->d->why, want);
        buf_puts(&c->d->why, S("got "));
        put_shown(&c->d->why, bytes);
        return false;
}

/* data end: without a byte more; with TLS only with close_notify */
static bool end(struct call *c, struct data *t, struct wire *w)
{
        struct str bytes;

        switch (wire_bytes(w, 1, &bytes)) {
        case WIRE_LINE:
                buf_puts(&c->d->why, S("expected the end of the data connection, got more: "));
                put_shown(&c->d->why, bytes);
                return false;
        case WIRE_SILENCE: return wrong(c, "expected the end of the data connection, got nothing");
        case WIRE_END: break;
        }
        if (w->broken)
                return wrong(c, "the data connection broke off");
        end_data(t);
        return true;
}

/* data size N: so many bytes and then the end */
static bool size(struct call *c, struct data *t, struct wire *w)
{
        struct str bytes;
        uint64_t n;

        if (!str_u64(c->words[2], &n))
                return wrong(c, "data size N");
        (void)wire_bytes(w, (size_t)n, &bytes);
        if (bytes.n == n)
                return end(c, t, w);
        buf_printf(&c->d->why, "expected %llu bytes on the data connection, got %zu", (unsigned long long)n,
                   bytes.n);
        return false;
}

/* data gone: it ends, however, and whatever came before that */
static bool gone(struct call *c, struct data *t, struct wire *w)
{
        struct str bytes;

        while (wire_bytes(w, 1, &bytes) == WIRE_LINE)
                ;
        if (!w->ended)
                return wrong(c, "expected the end of the data connection, got nothing");
        end_data(t);
        return true;
}

static bool close_it(struct call *c, struct data *t, struct wire *w)
{
        (void)c;
        (void)w;
        end_data(t);
        return true;
}

static bool cut(struct call *c, struct data *t, struct wire *w)
{
        (void)c;
        wire_cut(w);
        end_data(t);
        return true;
}

static const struct {
        const char *name;
        bool (*run)(struct call *c, struct data *t, struct wire *w);
        size_t least, most; /* words behind the name */
} actions[] = {
        { "from", came_from, 1, 1 }, { "tls", secure, 0, 1 }, { "resumed", resumed, 0, 0 },
        { "send", put, 1, 1 },       { "fill", fill, 1, 1 },  { "expect", expect, 1, 1 },
        { "size", size, 1, 1 },      { "end", end, 0, 0 },    { "gone", gone, 0, 0 },
        { "close", close_it, 0, 0 }, { "cut", cut, 0, 0 },
};

bool do_data(struct call *c)
{
        struct data *t = &c->d->data[c->connection - 1];
        struct wire *w;

        if (str_eq(c->words[1], S("passive")))
                return passive(c, t);
        if (str_eq(c->words[1], S("active")))
                return active(c, t);
        if (str_eq(c->words[1], S("none")))
                return none(c, t);
        for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
                if (!str_eq(c->words[1], str_of(actions[i].name)))
                        continue;
                if (c->n - 2 < actions[i].least || c->n - 2 > actions[i].most)
                        break;
                w = data_wire(c->d, c->connection);
                return w && actions[i].run(c, t, w);
        }
        return wrong(c, "data: README.md knows what may follow");
}
