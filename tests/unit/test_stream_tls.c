#include "tls_unit.h"
#include "base/mem.h"
#include "net/stream_private.h"
#include "run/offload.h"
#include <pthread.h>
#include <sys/socket.h>

enum { MUCH = 3 << 20 };
static const char tls12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2", tls13[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";

/* A client that is not ours: plain blocking GnuTLS in a thread. */
struct guest {
        int fd;
        const char *priorities;
        gnutls_datum_t session; /* to resume; afterwards, unless `keeps`: to be resumed */
        bool keeps;
        bool no_tickets;
        enum {
                SAYS_A_LINE,  /* and hears one, as on a control connection */
                HEARS_ALL,    /* then says goodbye */
                HEARS_SILENT, /* then closes without a word */
                SAYS_ALL,     /* with close_notify */
                CUTS,         /* says a part, and closes */
        } does;
        bool resumed;
        int rc;
        char heard[64]; /* NUL behind it */
        pthread_t thread;
};

static void guest_talks(struct guest *g, gnutls_session_t t)
{
        size_t n = 0;
        ssize_t got = 1;

        g->heard[0] = 0;
        if (g->does != HEARS_ALL && g->does != HEARS_SILENT)
                gnutls_record_send(t, "all\r\n", 5);
        if (g->does == SAYS_ALL)
                gnutls_bye(t, GNUTLS_SHUT_WR);
        if (g->does == CUTS)
                return;
        while (n < sizeof(g->heard) - 1 && got != 0 && (g->does != SAYS_A_LINE || n == 0)) {
                got = gnutls_record_recv(t, g->heard + n, sizeof(g->heard) - 1 - n);
                if (got < 0 && gnutls_error_is_fatal((int)got))
                        break;
                n += got > 0 ? (size_t)got : 0; /* less than 0: a ticket came */
                g->heard[n] = 0;
        }
        if (g->does == HEARS_ALL)
                gnutls_bye(t, GNUTLS_SHUT_WR);
}

static void *guest_runs(void *arg)
{
        struct guest *g = arg;
        gnutls_certificate_credentials_t cred;
        gnutls_session_t t;

        gnutls_certificate_allocate_credentials(&cred);
        gnutls_init(&t, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL | (g->no_tickets ? GNUTLS_NO_TICKETS_TLS12 : 0));
        gnutls_priority_set_direct(t, g->priorities, NULL);
        gnutls_credentials_set(t, GNUTLS_CRD_CERTIFICATE, cred);
        gnutls_transport_set_int(t, g->fd);
        if (g->session.data)
                gnutls_session_set_data(t, g->session.data, g->session.size);
        do {
                g->rc = gnutls_handshake(t);
        } while (g->rc < 0 && !gnutls_error_is_fatal(g->rc));
        if (g->rc == 0) {
                g->resumed = gnutls_session_is_resumed(t);
                guest_talks(g, t);
                if (!g->keeps) {
                        gnutls_free(g->session.data);
                        gnutls_session_get_data2(t, &g->session);
                }
        }
        close(g->fd);
        gnutls_deinit(t);
        gnutls_certificate_free_credentials(cred);
        return NULL;
}

static void guest_start(struct guest *g)
{
        must(fcntl(g->fd, F_SETFL, 0) == 0);
        must(pthread_create(&g->thread, NULL, guest_runs, g) == 0);
}

/* A control connection, of which the guest keeps the session. */
static struct conn *control_with(struct tls_context *t, bool own, struct guest *g)
{
        struct conn *c = conn_and_peer(&g->fd);
        struct str line;

        g->does = SAYS_A_LINE;
        g->keeps = false;
        if (own)
                conn_own_tickets(c);
        guest_start(g);
        must(conn_starttls(c, t, SOON) == 0);
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("all")));
        conn_put(c, S("220 hi\r\n"));
        must(conn_flush(c, SOON) == 0);
        pthread_join(g->thread, NULL);
        must(g->rc == 0 && str_eq(str_of(g->heard), S("220 hi\r\n")));
        g->keeps = true;
        return c;
}

static struct stream *stream_and_peer(int *peer)
{
        int fd[2];
        struct stream *s;

        tcp_pair(fd);
        *peer = fd[1];
        s = stream_new(fd[0]);
        must(s);
        return s;
}

/* A data connection of the guest's to this control connection: is it a resumed one? */
static bool data(struct tls_context *t, struct conn *control, struct guest *g)
{
        struct guest d = *g;
        struct stream *s = stream_and_peer(&d.fd);
        bool resumed;

        d.does = HEARS_ALL;
        guest_start(&d);
        must(stream_starttls(s, t, control, SOON, &resumed) == 0 && stream_has_tls(s));
        must(stream_write(s, S("listing"), 20 * SECOND) == 0);
        must(stream_finish(s, SOON) == 0);
        pthread_join(d.thread, NULL);
        must(str_eq(str_of(d.heard), S("listing")));
        must(d.resumed || !resumed);
        if (!g->keeps)
                g->session = d.session;
        stream_free(&s);
        return resumed;
}

static nsec later; /* seconds by which GnuTLS's clock is fast */

static time_t fast_clock(time_t *t)
{
        time_t is = time(NULL) + (time_t)later;

        if (t)
                *t = is;
        return is;
}

static void tickets_body(void *arg)
{
        static const char *const versions[] = { tls12, tls13 };
        struct tls_context *t = context_of(&ecdsa);

        (void)arg;
        for (size_t i = 0; i < LENGTH(versions); i++) {
                struct guest a = { .priorities = versions[i] }, b = a, shared = a,
                             none = { .priorities = versions[i], .keeps = true };
                struct conn *ca = control_with(t, true, &a), *cb = control_with(t, true, &b),
                            *cs = control_with(t, false, &shared);

                /* its own, as often as it likes; nobody else's; none at all where tickets are everybody's */
                must(data(t, ca, &a) && data(t, ca, &a) && data(t, cb, &b));
                must(!data(t, ca, &b) && !data(t, cb, &a) && !data(t, ca, &shared));
                must(!data(t, cs, &shared) && !data(t, cs, &a) && !data(t, NULL, &shared));
                must(!data(t, ca, &none));
                /* a thief's own session of a data connection proves nothing, even if TLS takes it */
                none.keeps = false;
                must(!data(t, ca, &none) && none.session.data && !data(t, ca, &none) && !data(t, ca, &none));
                gnutls_free(none.session.data);
                /* a long session: days later still, and when they are too old a full handshake */
                later = 5 * 86400;
                must(data(t, ca, &a));
                later = 8 * 86400;
                must(!data(t, ca, &a));
                later = 0;
                /* nor is a session of another's control connection one of this */
                gnutls_free(shared.session.data);
                shared.session = (gnutls_datum_t){ gnutls_malloc(a.session.size), a.session.size };
                mem_copy(shared.session.data, shared.session.size, str_from(a.session.data, a.session.size));
                conn_free(&cs);
                cs = control_with(t, true, &shared);
                must(!shared.resumed);
                conn_free(&ca);
                conn_free(&cb);
                conn_free(&cs);
                gnutls_free(a.session.data);
                gnutls_free(b.session.data);
                gnutls_free(shared.session.data);
        }
        tls_context_drop(&t);
}

/* Clients of TLS 1.2 that know no tickets, as curl. */
static void numbers_body(void *arg)
{
        struct tls_context *t = context_of(&ecdsa);
        struct guest a = { .priorities = tls12, .no_tickets = true, .keeps = true }, b = a, none = a;
        struct conn *ca = control_with(t, true, &a), *cb = control_with(t, true, &b);

        (void)arg;
        must(data(t, ca, &a) && data(t, cb, &b) && data(t, ca, &a));
        must(!data(t, ca, &b) && !data(t, cb, &a) && !data(t, NULL, &a) && !data(t, ca, &none));
        none.keeps = false;
        must(!data(t, ca, &none) && !data(t, ca, &none) && !data(t, ca, &none));
        must(data(t, ca, &a));
        gnutls_free(a.session.data);
        gnutls_free(b.session.data);
        gnutls_free(none.session.data);
        conn_free(&ca);
        conn_free(&cb);
        tls_context_drop(&t);
}

static void uploads_body(void *arg)
{
        static const struct {
                int does;
                const char *priorities;
                int rc;
        } rows[] = { { SAYS_ALL, tls12, 0 },
                     { SAYS_ALL, tls13, 0 },
                     { CUTS, tls12, -ECONNRESET },
                     { CUTS, tls13, -ECONNRESET } };
        struct tls_context *t = context_of(&rsa);
        char room[64];
        size_t got, n;
        bool resumed;
        int rc;

        (void)arg;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct guest g = { .priorities = rows[i].priorities, .keeps = true };
                struct stream *s = stream_and_peer(&g.fd);

                g.does = rows[i].does;
                guest_start(&g);
                must(stream_starttls(s, t, NULL, SOON, &resumed) == 0 && !resumed);
                for (n = 0; (rc = stream_read(s, room + n, sizeof(room) - n, &got, 20 * SECOND)) == 0 && got;
                     n += got)
                        ;
                must(rc == rows[i].rc && str_eq(str_from(room, n), S("all\r\n")));
                must(stream_finish(s, SOON) == rows[i].rc);
                stream_free(&s);
                pthread_join(g.thread, NULL);
        }
        /* all was heard, and no answer to our goodbye */
        for (int i = 0; i < 2; i++) {
                struct guest g = { .priorities = i ? tls13 : tls12, .keeps = true, .does = HEARS_SILENT };
                struct stream *s = stream_and_peer(&g.fd);

                guest_start(&g);
                must(stream_starttls(s, t, NULL, SOON, &resumed) == 0);
                must(stream_write(s, S("listing"), 20 * SECOND) == 0);
                must(stream_finish(s, SOON) == 0);
                stream_free(&s);
                pthread_join(g.thread, NULL);
                must(str_eq(str_of(g.heard), S("listing")));
        }
        tls_context_drop(&t);
}

/* Both sides ours, in one process. */
struct ours {
        struct tls_context *context;
        struct conn *server, *client;
        struct stream *a, *b; /* the server's and the client's */
        const char *bytes, *ca;
        int file;
        int rc;
        bool done;
        struct waitlist told;
};

static void done(struct ours *o, int rc)
{
        o->rc = rc;
        o->done = true;
        wake_all(&o->told);
}

static void join(struct ours *o)
{
        while (!o->done)
                must(wait_on(&o->told, "the client", SOON) == 0);
        must(o->rc == 0);
        o->done = false;
}

static void control_client(void *arg)
{
        struct ours *o = arg;

        done(o, conn_starttls_client(o->client, "hill.com", ecdsa.file, SOON));
}

static void data_client(void *arg)
{
        struct ours *o = arg;

        done(o, stream_starttls_client(o->b, o->client, "hill.com", o->ca, SOON));
}

static void sends(void *arg)
{
        struct ours *o = arg;
        int rc = stream_write(o->b, str_from(o->bytes, MUCH), 20 * SECOND);

        done(o, rc ? rc : stream_finish(o->b, SOON));
}

static void takes_file(void *arg)
{
        struct ours *o = arg;
        uint64_t got, at = 0;
        int rc;

        do {
                rc = stream_receive_file(o->b, o->file, at, 1500000, &got, 20 * SECOND);
                at += got;
        } while (rc == 0 && got > 0);
        done(o, rc ? rc : at == MUCH ? stream_finish(o->b, SOON) : -EIO);
}

static bool start_data(struct ours *o, const char *ca)
{
        bool resumed;
        int peer;

        o->ca = ca;
        o->a = stream_and_peer(&peer);
        o->b = stream_new(peer);
        must(fiber_spawn("client", data_client, o) == 0);
        must(stream_starttls(o->a, o->context, o->server, SOON, &resumed) == 0);
        join(o);
        return resumed;
}

static uint64_t ticket_of(struct conn *c)
{
        gnutls_datum_t d;
        uint64_t h;

        must(gnutls_session_get_data2(conn_tls_session(c), &d) == 0);
        h = str_hash(str_from(d.data, d.size));
        gnutls_free(d.data);
        return h;
}

static void says(struct conn *from, struct conn *to)
{
        struct str line;

        conn_put(from, S("226 ok\r\n"));
        must(conn_flush(from, SOON) == 0);
        must(conn_line(to, &line, 99, SOON) == GOT_LINE && str_eq(line, S("226 ok")));
}

static void ours_body(void *arg)
{
        struct ours o = { .context = context_of(&ecdsa) };
        char *much = mem_alloc(MUCH), *got = mem_alloc(MUCH + 1);
        uint64_t ticket;
        size_t n, some;
        int peer;

        (void)arg;
        for (size_t i = 0; i < MUCH; i++)
                much[i] = (char)(i * i >> 7);
        o.bytes = much;
        o.server = conn_and_peer(&peer);
        o.client = conn_new(peer, nobody, nobody);
        conn_own_tickets(o.server);
        must(fiber_spawn("client", control_client, &o) == 0);
        must(conn_starttls(o.server, o.context, SOON) == 0);
        join(&o);
        says(o.server, o.client);
        ticket = ticket_of(o.client);
        for (int i = 0; i < 4; i++) {
                must(start_data(&o, ecdsa.file));
                must(fiber_spawn("sends", sends, &o) == 0);
                for (n = 0, some = 1; some; n += some)
                        must(stream_read(o.a, got + n, MUCH - n + 1, &some, 20 * SECOND) == 0 && n <= MUCH);
                must(n == MUCH && memcmp(got, much, n) == 0);
                must(stream_finish(o.a, SOON) == 0);
                join(&o);
                stream_free(&o.a);
                stream_free(&o.b);
                /* a ticket used is a ticket given, for clients that use each but once */
                says(o.server, o.client);
                must(ticket_of(o.client) != ticket);
                ticket = ticket_of(o.client);
        }
        conn_free(&o.client);
        conn_free(&o.server);
        tls_context_drop(&o.context);
        mem_free(much);
        mem_free(got);
}

static int new_file(struct str bytes)
{
        char name[] = "/tmp/pail-stream-XXXXXX";
        int fd = mkstemp(name);

        must(fd >= 0 && unlink(name) == 0);
        must(write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
        return fd;
}

/* By workers: they encrypt and decrypt, while sockets are full and empty. */
static void files_body(void *arg)
{
        struct ours o = { .context = context_of(&rsa), .file = new_file(S("")) };
        char *much = mem_alloc(MUCH), *got = mem_alloc(MUCH);
        int file, peer;
        uint64_t at = 0;

        (void)arg;
        for (size_t i = 0; i < MUCH; i++)
                much[i] = (char)(i * i >> 9);
        file = new_file(str_from(much, MUCH));
        o.server = conn_and_peer(&peer);
        o.client = conn_new(peer, nobody, nobody);
        must(!start_data(&o, rsa.file));
        must(fiber_spawn("takes file", takes_file, &o) == 0);
        must(stream_send_file(o.a, file, &at, 5, 20 * SECOND) == 0 && at == 5);
        must(stream_send_file(o.a, file, &at, UINT64_MAX, 20 * SECOND) == 0 && at == MUCH);
        must(stream_finish(o.a, SOON) == 0);
        join(&o);
        must(pread(o.file, got, MUCH, 0) == MUCH && memcmp(got, much, MUCH) == 0);
        stream_free(&o.a);
        stream_free(&o.b);
        conn_free(&o.server);
        conn_free(&o.client);
        close(file);
        close(o.file);
        tls_context_drop(&o.context);
        mem_free(much);
        mem_free(got);
}

static void cancels(void *arg)
{
        stream_cancel(arg);
}

/* Handshakes that do not come to an end. */
static void handshakes_body(void *arg)
{
        struct tls_context *t = context_of(&ecdsa);
        struct guest g = { .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.1" };
        struct stream *s = stream_and_peer(&g.fd);
        bool resumed;
        int peer;

        (void)arg;
        guest_start(&g);
        must(stream_starttls(s, t, NULL, SOON, &resumed) == -EBADMSG);
        must(stream_write(s, S("x"), SECOND) == -EBADMSG);
        stream_free(&s);
        pthread_join(g.thread, NULL);

        s = stream_and_peer(&peer);
        must(stream_starttls(s, t, NULL, now() + MSECOND, &resumed) == -ETIMEDOUT);
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        must(fiber_spawn("cancels", cancels, s) == 0);
        must(stream_starttls(s, t, NULL, SOON, &resumed) == -ECANCELED);
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        must(send(peer, "RETR x\r\n", 8, 0) == 8);
        must(stream_starttls(s, t, NULL, SOON, &resumed) == -EBADMSG);
        stream_free(&s);
        close(peer);
        s = stream_and_peer(&peer);
        must(stream_starttls_client(s, NULL, "hill.com", "/nonexistent", SOON) == -ENOENT);
        stream_free(&s);
        close(peer);
        tls_context_drop(&t);
}

static void tickets(void **state)
{
        (void)state;
        gnutls_global_set_time_function(fast_clock);
        in_fiber(tickets_body, NULL);
        in_fiber(numbers_body, NULL);
}

static void ends(void **state)
{
        (void)state;
        in_fiber(uploads_body, NULL);
        in_fiber(handshakes_body, NULL);
}

static void both_ours(void **state)
{
        (void)state;
        in_fiber(ours_body, NULL);
        loop_init();
        assert_int_equal(offload_start(1, 2), 0);
        assert_int_equal(fiber_spawn("test", files_body, NULL), 0);
        loop_stop();
        loop_run();
        offload_finish();
        loop_finish();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tickets),
                cmocka_unit_test(ends),
                cmocka_unit_test(both_ours),
        };

        return cmocka_run_group_tests(tests, make_pairs, drop_pairs);
}
