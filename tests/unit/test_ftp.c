/* FTP's control connection over a socketpair, on a real folder, with a keeper that knows jill: who is who, lines, and what goes on beside a
 * transfer. */
#include "ftp_control.h"
#include "net/conn_private.h"

static const struct addr away = { .ip = { 192, 0, 2, 9 }, .family = 4, .port = 4000 };

/* ---- signing in ---- */

struct watcher {
        struct conn_tap tap;
        struct buf text;
};

static void overhear(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        (void)bytes;
        buf_printf(&((struct watcher *)t)->text, "%c: " PRS "\n", from, STR(line));
}

/* Whoever watched the session saw every command, and no password. */
static void signing_in(void *arg)
{
        struct world *w = arg;
        struct watcher watcher = { .tap.line = overhear };
        struct conn *c = visit(w);
        struct str seen;

        buf_init(&watcher.text, 1 << 16);
        conn_set_tap(w->server.sessions->conn, &watcher.tap);
        talk(c, S("S: 220 * FTP server ready.\n"
                  "C: PASS tumbling\nS: 503 *\nC: USER\nS: 501 *\nC: ACCT x\nS: 503 *\nC: ACCT\nS: 501 *\n"
                  "C: USER nobody\nS: 331 Username OK, password required\nC: PASS tumbling\nS: 530 Login "
                  "incorrect.\n"
                  "C: PASS tumbling\nS: 503 *\n"
                  "C: USER jill\nS: 331 *\nC: pass tumbling\nS: 230 Login successful.\nC: ACCT x\nS: 202 *\n"
                  "C: PASS tumbling\nS: 503 *\nC: HOST hill.com\nS: 503 *\nC: MKD in\nS: 257 *\nC: CWD "
                  "in\nS: 250 *\n"
                  "C: USER jill\nS: 331 *\nC: PWD\nS: 530 *\nC: PASS tumbling\nS: 230 *\n"
                  "C: PWD\nS: 257 \"/\" *\nC: REIN\nS: 220 *\nC: PWD\nS: 530 *\nC: QUIT\nS: 221 Goodbye."));
        ended(&c);
        c = visit(w); /* the keeper cannot say now: RFC 959 has 421 close the connection */
        talk(c, S("S: 220 *\nC: USER later\nS: 331 *\nC: PASS x\nS: 421 *\n"));
        ended(&c);
        seen = buf_str(&watcher.text);
        must(str_search(seen, S("C: PASS ****\n")) != STR_NONE);
        must(str_search(seen, S("C: pass ****\nS: 230 Login successful.\n")) != STR_NONE);
        must(str_search(seen, S("C: USER jill\n")) != STR_NONE && str_search(seen, S("umbling")) == STR_NONE);
        buf_free(&watcher.text);
}

static void guests(void *arg)
{
        struct world *w = arg;
        struct conn *c = visit(w);
        char path[160];

        talk(c, S("S: 220 *\nC: USER anonymous\nS: 331 Username OK, password required\nC: PASS a@b\nS: 530 "
                  "Login incorrect.\n"
                  "C: QUIT\nS: 221 *"));
        ended(&c);
        w->settings.ftp_anonymous = true;
        w->settings.plaintext_login = PLAINTEXT_NEVER;
        snprintf(path, sizeof(path), "%s/files/anonymous", w->folder);
        c = visit(w);
        talk(c, S("S: 220 *\n"
                  "C: USER jill\nS: 530 A password may not travel in clear here, give AUTH TLS first.\n"
                  "C: USER Anonymous\n"
                  "S: 331 Guest login ok, send your complete e-mail address as password.\nC: PASS "
                  "alice@crepes.fr\n"
                  "S: 230 Guest login ok, access restrictions apply.\nC: CWD /\nS: 550 There are no files "
                  "here."));
        must(mkdir(path, 0700) == 0);
        talk(c, S("C: CWD /\nS: 250 *\nC: MKD x\nS: 550 Permission denied*\nC: DELE x\nS: 550 Permission "
                  "denied*\n"
                  "C: SITE CHMOD 600 x\nS: 550 Permission denied*\nC: MDTM 20020924120130 x\nS: 550 *\nC: "
                  "SITE UMASK\nS: 200 *\n"
                  "C: STOR x\nS: 550 Permission denied*\nC: AVBL\nS: 213 0\nC: QUIT\nS: 221 *"));
        ended(&c);
}

/* Nothing but what is meant for strangers is for strangers. */
static void strangers(void *arg)
{
        struct world *w = arg;
        struct conn *c = visit(w);

        talk(c, S("S: 220 *"));
        for (size_t i = 0; i < ftp_dialect.count; i++) {
                const struct command *k = &ftp_dialect.commands[i];

                if (k->where & FTP_STRANGER || k->where == FTP_NAMED)
                        continue;
                conn_printf(c, "%s x\r\n", k->verb);
                talk(c, S("S: 530 Please login with USER and PASS."));
        }
        talk(c, S("C: FEAT x\nS: 501 *\nC: NOOP\nS: 200 Command OK\nC: OPTS UTF8 ON\nS: 200 *\nC: XYZZY\nS: "
                  "500 Syntax error (unrecognized command).\n"
                  "C: QUIT\nS: 221 *"));
        ended(&c);
}

static void many_of_one(void *arg)
{
        struct world *w = arg;
        struct conn *one = sign_in(w), *other;

        w->settings.ftp_connections_per_account = 1;
        other = visit(w);
        talk(other, S("S: 220 *\nC: USER jill\nS: 331 *\nC: PASS tumbling\nS: 421 Too many connections of "
                      "this account*"));
        ended(&other);
        leave(&one);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        one = sign_in(w);
        sessions_sign_out(&w->server, S("jill"));
        talk(one, S("S: 421 You were signed out, goodbye."));
        ended(&one);
        one = visit(w);
        talk(one, S("S: 220 *"));
        sessions_stop(&w->server);
        talk(one, S("S: 421 The server is shutting down, goodbye."));
        ended(&one);
}

static void hosts(void *arg)
{
        struct world *w = arg;
        struct conn *c = visit(w);
        char room[300];

        talk(c, S("S: 220 *\nC: HOST\nS: 501 *\nC: HOST nowhere.example\nS: 504 *\nC: HOST 127.0.0.1\nS: 220 "
                  "Host accepted.\n"
                  "C: HOST 127.0.0.2\nS: 504 *\nC: HOST 127.0.0.1:21\nS: 501 *\nC: HOST [::1]\nS: 504 *\nC: "
                  "HOST [x]\nS: 501 *\n"
                  "C: HOST a..b\nS: 501 *\nC: HOST .a\nS: 501 *\nC: HOST a b\nS: 501 *"));
        conn_printf(c, "HOST %s\r\n", host_for(&w->settings, home, room, sizeof(room)));
        talk(c, S("S: 220 Host accepted.\nC: QUIT\nS: 221 *"));
        ended(&c);
}

/* Not from here, and no TLS. */
static void in_clear(void *arg)
{
        struct world *w = arg;
        struct conn *c;

        w->settings.plaintext_login = PLAINTEXT_LOOPBACK;
        c = visit_at(w, away, home);
        talk(c, S("S: 220 *\nC: USER jill\nS: 530 *\nC: PASS tumbling\nS: 503 *\nC: AUTH\nS: 501 *\nC: AUTH "
                  "KERBEROS_V4\nS: 504 *\n"
                  "C: AUTH TLS\nS: 431 There is no TLS here.\nC: PBSZ 0\nS: 503 *\nC: PROT P\nS: 503 *\nC: "
                  "PROT\nS: 501 *\n"
                  "C: PROT X\nS: 503 *\nC: CCC\nS: 533 *\nC: CCC x\nS: 501 *\nC: QUIT\nS: 221 *"));
        ended(&c);
}

/* ---- lines ---- */

static void lines(void *arg)
{
        struct world *w = arg;
        struct conn *c = visit(w);

        talk(c, S("S: 220 *"));
        for (unsigned i = 0; i < 2000; i++)
                conn_put(c, S("\377\361\377\361")); /* Telnet's NOP */
        conn_put(c, S("NOOP\r\n"));
        talk(c, S("S: 200 *"));
        for (unsigned i = 0; i < 4200; i++)
                conn_put(c, S("x"));
        conn_put(c, S("\r\n"));
        talk(c, S("S: 500 Line too long."));
        for (unsigned i = 0; i < 20000; i++)
                conn_put(c, S("x"));
        conn_put(c, S("\r\nNO\0OP\r\nUSER ji\377\361ll\n\r\n USER jill\r\n"));
        talk(c,
             S("S: 500 Line too long.\nS: 501 No line may have a NUL in it.\nS: 331 *\nS: 500 *\nS: 500 *"));
        conn_put(c, S("\377\375\001NOOP\r\n"));
        talk(c, S("S: \377\374\001200 Command OK"));
        conn_put(c, S("POST /<b> HTTP/1.1\r\nUSER jill\r\n"));
        talk(c, S("S: 500 This is an FTP server, goodbye."));
        ended(&c);
}

static void errors(void *arg)
{
        struct world *w = arg;
        struct conn *c;

        w->settings.max_errors = 3;
        c = sign_in(w);
        talk(
            c,
            S("C: CWD /nowhere\nS: 550 *\nC: CWD /nowhere\nS: 550 *\nC: CWD /nowhere\nS: 550 *\n" /* no error of theirs */
              "C: XYZZY\nS: 500 *\nC: XYZZY\nS: 500 *\nC: XYZZY\nS: 500 *\nS: 421 Too many errors, "
              "goodbye."));
        ended(&c);
}

/* ---- beside a transfer ---- */

/* RETR big, of which nothing is read yet: it cannot end. */
static struct stream *stuck(struct world *w, struct conn *c)
{
        struct stream *data;
        char path[160];

        put_file(w, "big", S("big"));
        snprintf(path, sizeof(path), "%s/files/jill/big", w->folder);
        must(truncate(path, 64 << 20) == 0);
        data = passive(c);
        talk(c, S("C: RETR big\nS: 150 *"));
        return data;
}

static void drain(struct stream **data)
{
        static char room[1 << 16];
        size_t got = 1;

        while (got > 0 && stream_read(*data, room, sizeof(room), &got, PATIENCE) == 0)
                ;
        stream_free(data);
}

/* Commands wait in order, STAT and ABOR do not; QUIT waits too. */
static void waiting(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data = stuck(w, c);

        talk(c, S("C: STAT\nS: 211-*\nS: *\nS: *\nS: *\nS: *\nS:  RETR /big: *\nS: 211 *"));
        conn_put(c, S("MKD one\r\nPASS secret\r\nXYZZY\r\nNO\0OP\r\nQUIT\r\nNOOP\r\n"));
        drain(&data);
        talk(c, S("S: 226 *\nS: 257 *\nS: 503 *\nS: 500 *\nS: 501 *\nS: 221 *"));
        ended(&c);
        c = sign_in(w);
        data = stuck(w, c);
        talk(c, S("C: ABOR\nS: 426 *\nS: 226 *\nC: ABOR\nS: 22* *\nC: NOOP\nS: 200 *"));
        stream_free(&data);
        data = stuck(w, c);
        conn_put(c, S("NOOP\r\nSTAT\r\nABOR\r\nPWD\r\n")); /* in their turn */
        must(fiber_sleep(now() + 20 * MSECOND) == 0);
        drain(&data);
        talk(c, S("S: 226 *\nS: 200 *\nS: 211-*\nS: *\nS: *\nS: *\nS: *\nS:  No data connection\nS: 211 "
                  "*\nS: 22* *\nS: 257 *"));
        leave(&c);
}

/* More than is held: the rest is read later. */
static void flood(void *arg)
{
        enum { MANY = 30000 };
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data = stuck(w, c);
        auto_buf struct buf many = { 0 };

        buf_init(&many, MANY * 6);
        for (unsigned i = 0; i < MANY; i++)
                buf_puts(&many, S("NOOP\r\n"));
        conn_write_deadline(c, PATIENCE);
        for (size_t at = 0; at < many.n; at += 600) {
                conn_put(c, str_sub(buf_str(&many), at, 600));
                if (at == 60000)
                        drain(&data);
        }
        talk(c, S("S: 226 *"));
        for (unsigned i = 0; i < MANY; i++)
                talk(c, S("S: 200 *"));
        leave(&c);
}

/* Whoever goes without a word ends the transfer; whoever has said QUIT gets it all. */
static void going(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct stream *data = passive(c);
        char path[160];
        struct stat st;

        talk(c, S("C: STOR half\nS: 150 *"));
        must(stream_write(data, S("half of it"), PATIENCE) == 0);
        conn_free(&c);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        stream_free(&data);
        snprintf(path, sizeof(path), "%s/files/jill/half", w->folder);
        must(stat(path, &st) < 0);

        c = sign_in(w);
        data = stuck(w, c);
        conn_put(c, S("NOOP\r\nQUIT\r\n"));
        must(conn_flush(c, SOON) == 0 && shutdown(c->watch.fd, SHUT_WR) == 0);
        must(fiber_sleep(now() + 20 * MSECOND) == 0);
        drain(&data);
        talk(c, S("S: 226 *\nS: 200 *\nS: 221 *"));
        ended(&c);

        c = sign_in(w);
        data = passive(c);
        talk(c, S("C: STOR half\nS: 150 *"));
        sessions_sign_out(&w->server, S("jill"));
        talk(c, S("S: 4*\nS: 421 *"));
        ended(&c);
        stream_free(&data);
}

TEST(signing_in)
TEST(guests)
TEST(strangers)
TEST(many_of_one)
TEST(hosts)
TEST(in_clear)
TEST(lines)
TEST(errors)
TEST(waiting)
TEST(flood)
TEST(going)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_signing_in), cmocka_unit_test(test_guests),
                cmocka_unit_test(test_strangers),  cmocka_unit_test(test_many_of_one),
                cmocka_unit_test(test_hosts),      cmocka_unit_test(test_in_clear),
                cmocka_unit_test(test_lines),      cmocka_unit_test(test_errors),
                cmocka_unit_test(test_waiting),    cmocka_unit_test(test_flood),
                cmocka_unit_test(test_going),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
