#include "tls_unit.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A client that is not ours: plain blocking GnuTLS in a thread. It starts TLS of a given version, says lines and
 * notes what comes back; with a session to resume if there is one. */
struct stranger {
        int fd;
        const char *priorities;
        gnutls_datum_t resume;
        bool resumed;
        int handshake; /* its result */
        uint8_t binding[64];
        size_t binding_length;
        char answer[256];
        const char *says; /* sent inside; then the answer is awaited, then the end */
        pthread_t thread;
};

static void *stranger_runs(void *arg)
{
        struct stranger *s = arg;
        gnutls_certificate_credentials_t cred;
        gnutls_session_t t;
        gnutls_datum_t binding;
        size_t n = 0;
        ssize_t got;
        bool tls13;

        gnutls_certificate_allocate_credentials(&cred);
        gnutls_init(&t, GNUTLS_CLIENT);
        gnutls_priority_set_direct(t, s->priorities, NULL);
        gnutls_credentials_set(t, GNUTLS_CRD_CERTIFICATE, cred);
        gnutls_transport_set_int(t, s->fd);
        if (s->resume.data)
                gnutls_session_set_data(t, s->resume.data, s->resume.size);
        do {
                s->handshake = gnutls_handshake(t);
        } while (s->handshake < 0 && !gnutls_error_is_fatal(s->handshake));
        if (s->handshake == 0) {
                s->resumed = gnutls_session_is_resumed(t);
                tls13 = gnutls_protocol_get_version(t) == GNUTLS_TLS1_3;
                if (gnutls_session_channel_binding(t, tls13 ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE,
                                                   &binding) == 0) {
                        s->binding_length = binding.size;
                        for (size_t i = 0; i < binding.size && i < sizeof(s->binding); i++)
                                s->binding[i] = binding.data[i];
                        gnutls_free(binding.data);
                }
                gnutls_record_send(t, s->says, str_of(s->says).n);
                while (n < sizeof(s->answer) - 1) {
                        got = gnutls_record_recv(t, s->answer + n, sizeof(s->answer) - 1 - n);
                        if (got == 0 || (got < 0 && gnutls_error_is_fatal((int)got)))
                                break;
                        n += got > 0 ? (size_t)got : 0; /* less than 0: a ticket came */
                }
                s->answer[n] = 0;
                gnutls_free(s->resume.data);
                s->resume.data = NULL;
                gnutls_session_get_data2(t, &s->resume);
        }
        close(s->fd);
        gnutls_deinit(t);
        gnutls_certificate_free_credentials(cred);
        return NULL;
}

static void serve_stranger(struct stranger *s, struct pair *p, struct tls_context *t, const char *version)
{
        struct conn *c = conn_and_peer(&s->fd);
        struct conn_tls_facts facts;
        struct str line;

        must(!conn_tls_facts(c, &facts) && !conn_has_tls(c));
        s->says = "HELO\r\nNOOP\r\n";
        must(pthread_create(&s->thread, NULL, stranger_runs, s) == 0);
        must(conn_starttls(c, t, SOON) == 0);
        must(conn_has_tls(c) && conn_tls_facts(c, &facts));
        must(str_eq(str_of(facts.version), str_of(version)) && facts.cipher &&
             str_starts(str_of(facts.cipher), S("TLS_")));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("HELO")));
        conn_put(c, S("250 hello\r\n"));
        must(conn_line(c, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        conn_put(c, S("250 ok\r\n"));
        conn_close(&c, SOON);
        pthread_join(s->thread, NULL);
        must(s->handshake == 0);
        must(str_eq(str_of(s->answer), S("250 hello\r\n250 ok\r\n")));
        /* both sides see the same channel */
        must(facts.binding_length > 0 && facts.binding_length == s->binding_length);
        must(memcmp(facts.binding, s->binding, facts.binding_length) == 0);
        must(facts.binding_is_exporter == str_eq(str_of(version), S("TLSv1.3")));
        must(s->resumed || p->asked > 0);
}

static void strangers_body(void *arg)
{
        static const struct {
                struct pair *pair;
                const char *priorities, *version;
        } rows[] = {
                { &rsa, "NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLSv1.3" },
                { &rsa, "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLSv1.2" },
                { &rsa, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-RSA-SHA256", "TLSv1.2" },
                { &ecdsa, "NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLSv1.3" },
                { &ecdsa, "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLSv1.2" },
        };

        (void)arg;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct tls_context *t = context_of(rows[i].pair), *other = context_of(rows[i].pair);
                struct stranger s = { .priorities = rows[i].priorities };

                serve_stranger(&s, rows[i].pair, t, rows[i].version);
                must(!s.resumed);
                /* another process with the same ticket key knows the session */
                rows[i].pair->asked = 0;
                serve_stranger(&s, rows[i].pair, other, rows[i].version);
                must(s.resumed && rows[i].pair->asked == 0);
                /* after the key is another, it does not */
                tls_context_ticket_key(t,
                                       S("another-----------------------------------------------------key."));
                serve_stranger(&s, rows[i].pair, t, rows[i].version);
                must(!s.resumed);
                gnutls_free(s.resume.data);
                tls_context_drop(&t);
                tls_context_drop(&other);
        }
}

static void strangers(void **state)
{
        (void)state;
        in_fiber(strangers_body, NULL);
}

static void failing_body(void *arg)
{
        struct tls_context *t = context_of(&ecdsa);
        struct stranger s = { .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.1" };
        struct conn *c = conn_and_peer(&s.fd);
        struct str line;
        int peer;

        (void)arg;
        /* too old */
        must(pthread_create(&s.thread, NULL, stranger_runs, &s) == 0);
        must(conn_starttls(c, t, SOON) == -EBADMSG && !conn_ok(c));
        must(conn_line(c, &line, 99, SOON) == GOT_END);
        conn_free(&c);
        pthread_join(s.thread, NULL);
        must(s.handshake < 0);

        /* the keeper does not sign */
        ecdsa.refuses = true;
        s.priorities = "NORMAL";
        c = conn_and_peer(&s.fd);
        must(pthread_create(&s.thread, NULL, stranger_runs, &s) == 0);
        must(conn_starttls(c, t, SOON) == -EBADMSG && !conn_ok(c));
        conn_free(&c);
        pthread_join(s.thread, NULL);
        must(s.handshake < 0);

        /* not TLS at all; nothing at all; gone */
        c = conn_and_peer(&peer);
        must(send(peer, "EHLO town.com\r\n", 15, 0) == 15);
        must(conn_starttls(c, t, SOON) == -EBADMSG);
        conn_free(&c);
        close(peer);
        c = conn_and_peer(&peer);
        must(conn_starttls(c, t, now() + MSECOND) == -ETIMEDOUT && !conn_ok(c));
        conn_free(&c);
        close(peer);
        c = conn_and_peer(&peer);
        close(peer);
        must(conn_starttls(c, t, SOON) == -EBADMSG && !conn_ok(c));
        conn_free(&c);

        /* a context is free only when its last connection is */
        c = conn_and_peer(&peer);
        must(conn_starttls(c, t, now()) == -ETIMEDOUT);
        tls_context_drop(&t);
        conn_free(&c);
        close(peer);

        must(tls_context_new(&t, S("no certificate"), sign, &rsa, ticket_key) == -EINVAL && !t);
        must(tls_context_new(&t, str_of(rsa.pem), sign, &rsa, S("short")) == -EINVAL && !t);
}

/* CVE-2011-0411: what stood behind STARTTLS is never read as if it had come inside. */
static void leftover_body(void *arg)
{
        struct tls_context *t = context_of(&ecdsa);
        struct str line;
        int peer;
        struct conn *c = conn_and_peer(&peer);
        char got[64];

        (void)arg;
        must(send(peer, "STARTTLS\r\nEHLO x\r\n", 18, 0) == 18);
        must(conn_line(c, &line, 99, SOON) == GOT_LINE);
        must(conn_input_waits(c));
        conn_put(c, S("220 go ahead\r\n"));
        must(conn_starttls(c, t, SOON) == -EPROTO);
        must(!conn_ok(c) && !conn_has_tls(c));
        must(conn_line(c, &line, 99, SOON) == GOT_END);
        must(recv(peer, got, sizeof(got), MSG_DONTWAIT) < 0);
        conn_free(&c);
        close(peer);
        tls_context_drop(&t);
}

/* Warnings without end, in which nobody else's turn would come: not one flood of them is read to its end. */
struct flood {
        int fd;
        int sent;
        pthread_t thread;
};

static void *flood_runs(void *arg)
{
        struct flood *f = arg;
        gnutls_certificate_credentials_t cred;
        gnutls_session_t t;

        gnutls_certificate_allocate_credentials(&cred);
        gnutls_init(&t, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
        gnutls_priority_set_direct(t, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL);
        gnutls_credentials_set(t, GNUTLS_CRD_CERTIFICATE, cred);
        gnutls_transport_set_int(t, f->fd);
        if (gnutls_handshake(t) == 0)
                while (f->sent < 100000 &&
                       gnutls_alert_send(t, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION) == 0)
                        f->sent++;
        gnutls_deinit(t);
        gnutls_certificate_free_credentials(cred);
        return NULL;
}

static void warnings_body(void *arg)
{
        struct tls_context *t = context_of(&ecdsa);
        struct flood f = { 0 };
        struct conn *c = conn_and_peer(&f.fd);
        struct str line;

        (void)arg;
        must(pthread_create(&f.thread, NULL, flood_runs, &f) == 0);
        must(conn_starttls(c, t, SOON) == 0);
        must(conn_line(c, &line, 99, SOON) == GOT_END && !conn_ok(c));
        conn_free(&c);
        pthread_join(f.thread, NULL);
        must(f.sent < 100000);
        close(f.fd);
        tls_context_drop(&t);
}

/* A handshake that nobody goes on with does not keep a server from ending. */
static void shut_down(void *arg)
{
        conn_shutdown(arg);
}

static void stopping_body(void *arg)
{
        struct tls_context *t = context_of(&ecdsa);
        int peer;
        struct conn *c = conn_and_peer(&peer);

        (void)arg;
        must(fiber_spawn("shutdown", shut_down, c) == 0);
        must(conn_starttls(c, t, SOON) == -EPIPE && !conn_ok(c));
        conn_free(&c);
        close(peer);
        tls_context_drop(&t);
}

static void failing(void **state)
{
        (void)state;
        in_fiber(failing_body, NULL);
        in_fiber(warnings_body, NULL);
        in_fiber(stopping_body, NULL);
        in_fiber(leftover_body, NULL);
}

/* Both sides ours, in one process. */
struct dialog {
        struct conn *server, *client;
        struct tls_context *context;
        const char *host, *ca;
        int client_result;
        bool client_done;
        struct waitlist told;
};

static void client_starts(void *arg)
{
        struct dialog *d = arg;

        d->client_result = conn_starttls_client(d->client, d->host, d->ca, SOON);
        if (d->client_result < 0) /* else the server waits for its deadline */
                shutdown(d->client->watch.fd, SHUT_WR);
        d->client_done = true;
        wake_all(&d->told);
}

static int start_both(struct dialog *d, struct pair *p, const char *host, const char *ca)
{
        int peer, rc;

        *d = (struct dialog){ .context = context_of(p), .host = host, .ca = ca };
        d->server = conn_and_peer(&peer);
        d->client = conn_new(peer, nobody, nobody);
        must(fiber_spawn("client", client_starts, d) == 0);
        rc = conn_starttls(d->server, d->context, SOON);
        while (!d->client_done)
                must(wait_on(&d->told, "the client", SOON) == 0);
        return rc;
}

static void end_both(struct dialog *d)
{
        conn_free(&d->client);
        conn_free(&d->server);
        tls_context_drop(&d->context);
}

/* Deflate above TLS: more than a record, and a command in the same block. */
static void compressed(struct dialog *d)
{
        static char letter[20000];
        struct str line, part;

        must(conn_compress(d->client) == 0 && conn_compress(d->server) == 0);
        for (size_t i = 0; i < sizeof(letter); i++)
                letter[i] = (char)(i * i >> 3);
        conn_body(d->client, str_from(letter, sizeof(letter)));
        conn_put(d->client, S("b NOOP\r\n"));
        must(conn_flush(d->client, SOON) == 0);
        for (size_t n = 0; n < sizeof(letter); n += part.n) {
                part = conn_some(d->server, sizeof(letter) - n, SOON);
                must(part.n && str_eq(part, str_from(letter + n, part.n)));
        }
        must(conn_line(d->server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("b NOOP")));
        must(conn_line(d->server, &line, 99, now()) == GOT_LATE && conn_may_park(d->server));
        conn_put(d->server, S("b OK\r\n"));
        must(conn_flush(d->server, SOON) == 0);
        must(conn_line(d->client, &line, 99, SOON) == GOT_LINE && str_eq(line, S("b OK")));
}

static void our_client_body(void *arg)
{
        static const char *const strange = "wrong.com";
        struct dialog d;

        (void)arg;
        must(start_both(&d, &rsa, "hill.com", rsa.file) == 0 && d.client_result == 0);
        compressed(&d);
        end_both(&d);
        start_both(&d, &rsa, strange, rsa.file);
        must(d.client_result == -EKEYREJECTED && !conn_ok(d.client));
        end_both(&d);
        start_both(&d, &rsa, "hill.com", ecdsa.file);
        must(d.client_result == -EKEYREJECTED && !conn_ok(d.client));
        end_both(&d);
        start_both(&d, &rsa, "hill.com", "/nonexistent");
        must(d.client_result == -ENOENT && !conn_ok(d.client));
        end_both(&d);
}

static void woken(void *context, enum woken why)
{
        *(int *)context = (int)why + 1;
}

static int wait_woken(int *why)
{
        for (int i = 0; i < 1000 && !*why; i++)
                fiber_sleep(now() + MSECOND);
        return *why;
}

static void parking_body(void *arg)
{
        struct dialog d;
        struct str line;
        char record[64];
        ssize_t n;
        int why = 0, wire[2];

        (void)arg;
        must(start_both(&d, &ecdsa, "hill.com", ecdsa.file) == 0 && d.client_result == 0);
        conn_park_after(d.server, 0);
        must(conn_line(d.server, &line, 99, SOON) == GOT_QUIET);
        conn_park(d.server, SOON, woken, &why);
        must(!d.server->in.p && !d.server->out.p);
        conn_put(d.client, S("NOOP\r\nNO"));
        must(conn_flush(d.client, SOON) == 0);
        must(wait_woken(&why) == WOKEN_INPUT + 1);
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        must(conn_line(d.server, &line, 99, now() + MSECOND) == GOT_LATE); /* part of a line */
        conn_put(d.client, S("OP\r\n"));
        must(conn_flush(d.client, SOON) == 0);
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        must(conn_line(d.server, &line, 99, SOON) == GOT_QUIET);

        /* a record that comes byte by byte: it parks only before the first and after the last. Caught between the
         * client and its socket: */
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire) == 0);
        conn_put(d.client, S("QUIT\r\n"));
        {
                int own = d.client->watch.fd;

                d.client->watch.fd = wire[0];
                must(conn_flush(d.client, SOON) == 0);
                d.client->watch.fd = own;
        }
        n = recv(wire[1], record, sizeof(record), MSG_DONTWAIT);
        must(n > 6);
        for (ssize_t i = 0; i < n; i++) {
                must(conn_may_park(d.server) == (i == 0));
                must(send(d.client->watch.fd, record + i, 1, 0) == 1);
                fiber_sleep(now() + MSECOND); /* the loop sees the edge */
                if (i < n - 1)
                        must(conn_line(d.server, &line, 99, now()) == GOT_LATE);
        }
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("QUIT")));
        must(conn_line(d.server, &line, 99, SOON) == GOT_QUIET);
        conn_put(d.server, S("221 bye\r\n"));
        must(!conn_may_park(d.server));
        conn_close(&d.server, SOON);
        must(conn_line(d.client, &line, 99, SOON) == GOT_LINE && str_eq(line, S("221 bye")));
        must(conn_line(d.client, &line, 99, SOON) == GOT_END && conn_ok(d.client)); /* close_notify came */
        end_both(&d);
        close(wire[0]);
        close(wire[1]);

        /* without close_notify the end is not to be trusted */
        must(start_both(&d, &ecdsa, "hill.com", ecdsa.file) == 0 && d.client_result == 0);
        shutdown(d.server->watch.fd, SHUT_WR);
        must(conn_line(d.client, &line, 99, SOON) == GOT_END && !conn_ok(d.client));
        end_both(&d);
}

/* CCC: TLS ends in both directions, and what is said right behind it is in clear. */
static void stops_tls(void *arg)
{
        struct dialog *d = arg;
        struct str line;

        must(conn_line(d->client, &line, 99, SOON) == GOT_LINE && str_eq(line, S("200 clear")));
        d->client_result = conn_stoptls(d->client, SOON);
        conn_put(d->client, S("NOOP\r\n"));
        conn_flush(d->client, SOON);
        d->client_done = true;
        wake_all(&d->told);
}

static void clear_body(void *arg)
{
        struct dialog d;
        struct str line;

        (void)arg;
        must(start_both(&d, &ecdsa, "hill.com", ecdsa.file) == 0 && d.client_result == 0);
        d.client_done = false;
        must(fiber_spawn("client", stops_tls, &d) == 0);
        conn_put(d.server, S("200 clear\r\n"));
        must(conn_stoptls(d.server, SOON) == 0 && !conn_has_tls(d.server));
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        while (!d.client_done)
                must(wait_on(&d.told, "the client", SOON) == 0);
        must(d.client_result == 0 && !conn_has_tls(d.client));
        must(send(d.server->watch.fd, "220 hi\r\n", 8, 0) == 8); /* in clear indeed */
        must(conn_line(d.client, &line, 99, SOON) == GOT_LINE && str_eq(line, S("220 hi")));
        end_both(&d);

        /* close_notify and the clear text behind it in one packet */
        must(start_both(&d, &ecdsa, "hill.com", ecdsa.file) == 0 && d.client_result == 0);
        conn_put(d.server, S("200 clear\r\n"));
        must(conn_flush(d.server, SOON) == 0);
        tls_bye(d.client);
        must(send(d.client->watch.fd, "NOOP\r\nQU", 8, 0) == 8);
        must(conn_stoptls(d.server, SOON) == 0);
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        must(send(d.client->watch.fd, "IT\r\n", 4, 0) == 4);
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("QUIT")));
        end_both(&d);

        /* no close_notify at all, as curl does it */
        must(start_both(&d, &ecdsa, "hill.com", ecdsa.file) == 0 && d.client_result == 0);
        conn_put(d.server, S("200 clear\r\n"));
        must(conn_flush(d.server, SOON) == 0);
        must(send(d.client->watch.fd, "NOOP\r\n", 6, 0) == 6);
        must(conn_stoptls(d.server, SOON) == 0);
        must(conn_line(d.server, &line, 99, SOON) == GOT_LINE && str_eq(line, S("NOOP")));
        end_both(&d);

        /* a command behind CCC, the end of the connection, or nothing at all */
        for (int i = 0; i < 3; i++) {
                int rc;

                must(start_both(&d, &ecdsa, "hill.com", ecdsa.file) == 0 && d.client_result == 0);
                if (i == 0) {
                        conn_put(d.client, S("USER x\r\n"));
                        must(conn_flush(d.client, SOON) == 0);
                } else if (i == 1) {
                        shutdown(d.client->watch.fd, SHUT_WR);
                }
                rc = conn_stoptls(d.server, i == 2 ? now() + MSECOND : SOON);
                must(rc == (i == 0 ? -EPROTO : i == 1 ? -ECONNRESET : -ETIMEDOUT) && !conn_ok(d.server));
                end_both(&d);
        }
}

enum { BULK = 3000000 };

static void sender(void *arg)
{
        struct dialog *d = arg;
        char piece[5000];

        for (size_t i = 0, at = 0; at < BULK; at += i) {
                for (i = 0; i < sizeof(piece) && at + i < BULK; i++)
                        piece[i] = (char)((at + i) % 251);
                conn_put(d->client, str_from(piece, i));
        }
        must(conn_flush(d->client, SOON) == 0);
}

/* More than the sockets hold: the sender waits and goes on, nothing is lost or doubled. */
static void bulk_body(void *arg)
{
        struct dialog d;
        struct str s;
        size_t at = 0;

        (void)arg;
        must(start_both(&d, &rsa, NULL, rsa.file) == 0 && d.client_result == 0);
        must(fiber_spawn("sender", sender, &d) == 0);
        while (at < BULK) {
                s = conn_some(d.server, READ_BULK, SOON);
                must(s.n > 0 && s.n <= READ_BULK);
                for (size_t i = 0; i < s.n; i++, at++)
                        must((unsigned char)s.p[i] == at % 251);
        }
        end_both(&d);
}

static void ours(void **state)
{
        (void)state;
        in_fiber(our_client_body, NULL);
        in_fiber(parking_body, NULL);
        in_fiber(bulk_body, NULL);
        in_fiber(clear_body, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(strangers),
                cmocka_unit_test(failing),
                cmocka_unit_test(ours),
        };

        return cmocka_run_group_tests(tests, make_pairs, drop_pairs);
}
