/* POP3 sessions over a socketpair, on a real store, with a keeper that knows jill. Every test runs twice: with
 * sessions that never park, and with sessions that park between every two commands. */
#include "pop3_world.h"

/* ---- the tests ---- */

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
static void saw_no_secret(struct watcher *v)
{
        struct str seen = buf_str(&v->text);

        must(str_search(seen, S("C: PASS ****\n")) != STR_NONE);
        must(str_search(seen, S("C: pass ****\nS: +OK user successfully logged on\n")) != STR_NONE);
        must(str_search(seen, S("C: APOP jill ****\n")) != STR_NONE);
        must(str_search(seen, S("C: USER jill\n")) != STR_NONE &&
             str_search(seen, S("C: LIST\n")) != STR_NONE);
        must(str_search(seen, S("umbling")) == STR_NONE);
        buf_free(&v->text);
}

static void signing_in(void *arg)
{
        struct world *w = arg;
        struct watcher watcher = { .tap.line = overhear };
        struct conn *c = visit(w);

        buf_init(&watcher.text, 1 << 16);
        conn_set_tap(w->server.sessions->conn, &watcher.tap);
        talk(
            c,
            S("S: +OK POP3 server ready <*@hill.com>\n"
              "C: STAT\nS: -ERR STAT: sign in first*\nC: PASS tumbling down \nS: -ERR USER comes before "
              "PASS\n"
              "C: USER \nS: -ERR give a name*\nC: frob\nS: -ERR no such command*\n"
              "C: USER jack\nS: +OK*\nC: PASS tumbling down \nS: -ERR [AUTH] wrong name or password\n"
              "C: USER jill\nS: +OK*\nC: PASS tumbling down\nS: -ERR [AUTH] wrong name or password\n"
              "C: USER later\nS: +OK*\nC: PASS x\nS: -ERR [SYS/TEMP]*\n"
              "C: APOP jill short\nS: -ERR give name and digest*\n"
              "C: USER jill\nS: +OK*\nC: pass tumbling down \nS: +OK user successfully logged on\n"
              "C: USER jill\nS: -ERR USER: you are signed in already\nC: STAT\nS: +OK 0 0\n"
              "C: LIST\nS: +OK 0 messages (0 octets)\nS: .\nC: RETR 1\nS: -ERR no such message, there are 0\n"
              "C: QUIT\nS: +OK POP3 server signing off"));
        leave(&c);
        saw_no_secret(&watcher);
        c = visit(w);
        talk(c,
             S("S: +OK*\nC: APOP jill 0123456789abcdef0123456789abcdef\nS: +OK user successfully logged on\n"
               "C: QUIT\nS: +OK POP3 server signing off"));
        leave(&c);
}

static void sasl(void *arg)
{
        struct world *w = arg;
        struct conn *c = visit(w);

        talk(c, S("S: +OK*\nC: AUTH\nS: +OK*\nS: ROUNDS\nS: PLAIN\nS: .\n"
                  "C: AUTH KERBEROS_V4\nS: -ERR no such mechanism*\n"
                  "C: AUTH PLAIN !\nS: -ERR that is not base64\n"
                  "C: AUTH PLAIN\nS: + \nC: *\nS: -ERR AUTH was cancelled\n"
                  "C: AUTH PLAIN\nS: + \nC: not base64\nS: -ERR that is not base64\n"
                  "C: AUTH PLAIN\nS: + \nC: AGphY2sAdHVtYmxpbmc=\nS: -ERR [AUTH] wrong name or password\n"
                  "C: AUTH PLAIN =\nS: -ERR [AUTH] wrong name or password\n"
                  /* "one" -> "1" -> "two" -> "2" -> "three" -> "" */
                  "C: AUTH ROUNDS\nS: + b25l\nC: MQ==\nS: + dHdv\nC: Mg==\nS: + dGhyZWU=\nC: x\n"
                  "S: -ERR that is not base64\n"));
        must(dropped == 2);
        talk(c,
             S("C: auth rounds\nS: + b25l\nC: MQ==\nS: + dHdv\nC: Mg==\nS: + dGhyZWU=\nC:\n"
               "S: +OK user successfully logged on\nC: AUTH PLAIN\nS: -ERR AUTH: you are signed in already\n"
               "C: QUIT\nS: +OK*"));
        leave(&c);
        c = visit(w);
        talk(c, S("S: +OK*\nC: AUTH PLAIN AGppbGwAdHVtYmxpbmc=\nS: +OK user successfully logged on\nC: "
                  "QUIT\nS: +OK*"));
        leave(&c);
        c = visit(w); /* nobody is asked without end */
        talk(c, S("S: +OK*\nC: AUTH ROUNDS\nS: + b25l"));
        for (int i = 0; i < 15; i++)
                talk(c, S("C: ZW5kbGVzcw==\nS: + b25l"));
        talk(c, S("C: ZW5kbGVzcw==\nS: -ERR*\nC: QUIT\nS: +OK*"));
        leave(&c);
        must(dropped == 3);
}

static void listing(void *arg)
{
        struct world *w = arg;
        struct conn *c;

        file(w, S("Subject: one\r\n\r\n1\r\n"));
        file(w, S("Subject: two\r\n\r\n22\r\n"));
        file(w, S("Subject: three\r\n\r\n333\r\n"));
        c = sign_in(w);
        file(w, S("Subject: too late\r\n\r\n"));
        talk(c, S("C: STAT\nS: +OK 3 62\nC: LIST\nS: +OK 3 messages (62 octets)\nS: 1 19\nS: 2 20\nS: 3 "
                  "23\nS: .\n"
                  "C: LIST 2\nS: +OK 2 20\nC: LIST 4\nS: -ERR no such message, there are 3\n"
                  "C: LIST 0\nS: -ERR no such message*\nC: LIST x\nS: -ERR give one number or none*\n"
                  "C: UIDL\nS: +OK*\nS: 1 *.1\nS: 2 *.2\nS: 3 *.3\nS: .\nC: UIDL 3\nS: +OK 3 *.3\n"
                  "C: LAST\nS: +OK 0\nC: RETR 2\nS: +OK 20 octets\nS: Subject: two\nS: \nS: 22\nS: .\n"
                  "C: LAST\nS: +OK 2\nC: DELE 1\nS: +OK message 1 deleted\nC: LAST\nS: +OK 2\n"
                  "C: DELE 1\nS: -ERR message 1 is deleted already\nC: RETR 1\nS: -ERR message 1 is deleted "
                  "already\n"
                  "C: STAT\nS: +OK 2 43\nC: LIST\nS: +OK 2 messages (43 octets)\nS: 2 20\nS: 3 23\nS: .\n"
                  "C: UIDL\nS: +OK*\nS: 2 *\nS: 3 *\nS: .\nC: RSET\nS: +OK 3 messages (62 octets)\n"
                  "C: LAST\nS: +OK 0\nC: STAT 1\nS: -ERR STAT stands alone on its line\nC: QUIT\nS: +OK*"));
        leave(&c);
        must(count(w) == 4);
}

/* So that a letter over 64 KB lies at a piece's edge where its dots, line ends and header's end hurt. */
static void big_letter(struct buf *b, size_t header)
{
        buf_puts(b, S("Subject: big\r\n"));
        while (b->n + 200 < header)
                buf_printf(b, "X-Long: %064d\r\n", 0);
        buf_puts(b, S("X-End: "));
        while (b->n + 4 < header)
                buf_puts(b, S("x"));
        buf_puts(b, S("\r\n\r\n"));
        while (b->n < 400000)
                buf_printf(b, ".line %zu\r\n..\r\n.\r\n", b->n);
}

static void top_of(struct str letter, size_t lines, struct buf *out)
{
        size_t at = str_search(letter, S("\r\n\r\n")) + 4;

        for (; lines; lines--)
                at += str_find(str_from_at(letter, at), '\n') + 1;
        buf_clear(out);
        buf_puts(out, str_sub(letter, 0, at));
}

static void contents(void *arg)
{
        static const size_t headers[] = { 100,   (128 << 10) - 1, 128 << 10, (128 << 10) + 1, (128 << 10) + 2,
                                          131076 };
        struct str small = S("From: a\r\n.dot: b\r\n\r\n.\r\n..\r\n\r\nend\r\n");
        auto_buf struct buf big, want;
        struct world *w = arg;
        struct conn *c;
        char command[40];

        buf_init(&big, 1 << 20);
        buf_init(&want, 1 << 20);
        file(w, small);
        file(w, S("only: a header\r\n"));
        for (size_t i = 0; i < LENGTH(headers); i++) {
                buf_clear(&big);
                big_letter(&big, headers[i]);
                file(w, buf_str(&big));
        }
        c = sign_in(w);
        fetches(c, "RETR 1", small);
        fetches(c, "TOP 1 0", S("From: a\r\n.dot: b\r\n\r\n"));
        fetches(c, "TOP 1 2", S("From: a\r\n.dot: b\r\n\r\n.\r\n..\r\n"));
        fetches(c, "TOP 1 4000000000", small);
        fetches(c, "TOP 2 7", S("only: a header\r\n"));
        for (size_t i = 0; i < LENGTH(headers); i++) {
                buf_clear(&big);
                big_letter(&big, headers[i]);
                snprintf(command, sizeof(command), "RETR %zu", i + 3);
                fetches(c, command, buf_str(&big));
                for (size_t lines = 0; lines < 3; lines++) {
                        top_of(buf_str(&big), lines, &want);
                        snprintf(command, sizeof(command), "TOP %zu %zu", i + 3, lines);
                        fetches(c, command, buf_str(&want));
                }
        }
        talk(c, S("C: TOP 1\nS: -ERR give two numbers*\nC: TOP 1 -1\nS: -ERR give two numbers*\n"
                  "C: RETR\nS: -ERR give one number*\nC: RETR 1 1\nS: -ERR give one number*\n"
                  "C: RETR 99999999999\nS: -ERR give one number*\nC: QUIT\nS: +OK*"));
        leave(&c);
}

enum { MANY = 300 };

static void letter(struct buf *b, unsigned i)
{
        buf_clear(b);
        buf_printf(b, "Subject: %u\r\n\r\n", i);
        while (b->n < (i % 50 == 7 ? 90000 : i * 37 % 9000))
                buf_printf(b, "%u\r\n", i * i);
}

static void in_sequence(struct conn *c, unsigned from, unsigned to, unsigned step)
{
        auto_buf struct buf want;
        char command[20];

        buf_init(&want, 1 << 20);
        for (unsigned i = from; i <= to; i += step) {
                letter(&want, i);
                snprintf(command, sizeof(command), "RETR %u", i);
                fetches(c, command, buf_str(&want));
        }
}

/* Whatever the order, each number gives its own letter; what was read ahead does not outlive what it was read for. */
static void reading_ahead(void *arg)
{
        struct world *w = arg;
        struct conn *c, *other;
        auto_buf struct buf text;

        buf_init(&text, 1 << 20);
        for (unsigned i = 0; i < MANY; i++) {
                letter(&text, i + 1);
                file(w, buf_str(&text));
        }
        c = sign_in(w);
        in_sequence(c, 1, MANY, 1);
        in_sequence(c, 3, MANY, 17);
        in_sequence(c, 1, 30, 1);
        talk(c, S("C: DELE 35\nS: +OK*\nC: DELE 200\nS: +OK*\nC: QUIT\nS: +OK*"));
        leave(&c);
        c = sign_in(w);
        in_sequence(c, 1, 20, 1); /* the next are being read when the connection ends */
        conn_free(&c);
        c = sign_in(w);
        other = sign_in(w);
        in_sequence(c, 1, 2, 1);
        talk(other, S("C: DELE 14\nS: +OK*\nC: DELE 298\nS: +OK*\nC: QUIT\nS: +OK*"));
        leave(&other);
        talk(c, S("C: RETR 298\nS: -ERR message 298 was removed by another session\nC: STAT\nS: +OK 298 "
                  "*\nC: QUIT\nS: +OK*"));
        leave(&c);
        must(count(w) == MANY - 4);
}

static void two_sessions(void *arg)
{
        struct world *w = arg;
        struct conn *one, *two;

        file(w, S("Subject: a\r\n\r\n"));
        file(w, S("Subject: b\r\n\r\n"));
        file(w, S("Subject: c\r\n\r\n"));
        one = sign_in(w);
        two = sign_in(w);
        talk(one, S("C: DELE 2\nS: +OK*\nC: LIST\nS: +OK 2 *\nS: 1 14\nS: 3 14\nS: ."));
        talk(two, S("C: LIST 2\nS: +OK 2 14\nC: DELE 2\nS: +OK*\nC: RSET\nS: +OK*"));
        talk(one, S("C: QUIT\nS: +OK POP3 server signing off"));
        leave(&one);
        one = sign_in(w); /* sees a mailbox of two */
        talk(one,
             S("C: STAT\nS: +OK 2 28\nC: RETR 2\nS: +OK 14*\nS: Subject: c\nS: \nS: .\nC: QUIT\nS: +OK*"));
        leave(&one);
        /* the other one has had its list from memory, or builds it anew: either way nothing has moved */
        talk(two, S("C: STAT\nS: +OK 3 42\nC: RETR 3\nS: +OK 14*\nS: Subject: c\nS: \nS: .\n"
                    "C: RETR 2\nS: -ERR message 2 was removed by another session\n"
                    "C: TOP 2 0\nS: -ERR message 2 was removed by another session\n"
                    "C: DELE 3\nS: +OK message 3 deleted\nC: QUIT\nS: +OK POP3 server signing off"));
        leave(&two);
        must(count(w) == 1);
}

static void deleting(void *arg)
{
        struct world *w = arg;
        struct conn *c;

        for (int i = 0; i < 20; i++)
                file(w, S("Subject: x\r\n\r\n"));
        c = sign_in(w); /* dies: nothing goes */
        talk(c, S("C: DELE 1\nS: +OK*\nC: DELE 2\nS: +OK*"));
        conn_free(&c);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        must(count(w) == 20);
        c = sign_in(w); /* shut down: nothing goes */
        talk(c, S("C: DELE 1\nS: +OK*"));
        sessions_stop(&w->server);
        talk(c, S("S: -ERR [SYS/TEMP] POP3 server shutting down, goodbye"));
        leave(&c);
        w->server.stopping = false;
        must(count(w) == 20);
        c = sign_in(w); /* signed out: nothing goes */
        talk(c, S("C: DELE 1\nS: +OK*"));
        sessions_sign_out(&w->server, S("jill@hill.com"));
        talk(c, S("S: -ERR [SYS/TEMP] you were signed out, goodbye"));
        leave(&c);
        must(count(w) == 20);
        c = sign_in(w); /* pipelined to the end */
        conn_put(c, S("DELE 1\r\nDELE 8\r\nDELE 9\r\nDELE 16\r\nDELE 20\r\nDELE 9\r\nRETR 2\r\nQUIT\r\n"));
        talk(c,
             S("S: +OK message 1 deleted\nS: +OK message 8 deleted\nS: +OK message 9 deleted\n"
               "S: +OK message 16 deleted\nS: +OK message 20 deleted\nS: -ERR message 9 is deleted already\n"
               "S: +OK 14*\nS: Subject: x\nS: \nS: .\nS: +OK POP3 server signing off"));
        leave(&c);
        must(count(w) == 15);
}

/* The mailbox is another one than at sign-in: nothing is removed, no number is trusted. */
static void rebuilt(void *arg)
{
        struct world *w = arg;
        struct conn *c;

        file(w, S("Subject: x\r\n\r\n"));
        file(w, S("Subject: y\r\n\r\n"));
        c = sign_in(w);
        talk(c, S("C: DELE 1\nS: +OK*"));
        pop3_of(w->server.sessions)->view.uidvalidity++;
        talk(c, S("C: QUIT\nS: -ERR [SYS/TEMP] *"));
        leave(&c);
        must(count(w) == 2);
        c = sign_in(w);
        pop3_of(w->server.sessions)->view.count++;
        talk(c, S("C: DELE 1\nS: -ERR [SYS/TEMP] the mailbox was rebuilt meanwhile; sign in again"));
        leave(&c);
        must(count(w) == 2);
}

static void bounds(void *arg)
{
        struct world *w = arg;
        struct conn *c = visit(w);
        auto_buf struct buf line;

        buf_init(&line, 1 << 20);
        talk(c, S("S: +OK*"));
        for (int i = 0; i < 10000; i++)
                buf_puts(&line, S("USER jill "));
        conn_put(c, buf_str(&line)); /* without its end so far */
        conn_put(c, S("\r\n"));
        talk(c, S("S: -ERR that line is too long"));
        for (int i = 0; i < 10; i++)
                talk(c, S("C: nonsense\nS: -ERR no such command; CAPA tells what there is"));
        talk(c, S("C: \nS: -ERR no such command*\nS: -ERR too many errors, goodbye"));
        leave(&c);
        w->settings.plaintext_login = PLAINTEXT_NEVER;
        c = visit(w);
        talk(
            c,
            S("S: +OK*\nC: USER jill\nS: -ERR USER: a password may not travel in clear here; give STLS "
              "first\n"
              "C: AUTH PLAIN AGppbGwAdHVtYmxpbmc=\nS: -ERR no such mechanism*\nC: STLS\nS: -ERR there is no "
              "TLS here\n"
              "C: CAPA\nS: +OK*\nS: SASL ROUNDS\nS: PIPELINING\nS: RESP-CODES\nS: AUTH-RESP-CODE\nS: LANG\n"
              "S: TOP\nS: UIDL\nS: UTF8\nS: EXPIRE NEVER\nS: LOGIN-DELAY 0\nS: IMPLEMENTATION pail\nS: .\n"));
        conn_put(c, S("STLS\r\nCAPA\r\n"));
        talk(c, S("S: -ERR nothing may follow STLS before its reply; goodbye"));
        leave(&c);
        w->settings.plaintext_login = PLAINTEXT_LOOPBACK;
        w->settings.pop3_command_timeout = 0; /* silence ends it, without a word (RFC 1939 §3) */
        c = visit(w);
        talk(c, S("S: +OK*"));
        leave(&c);
        must(count(w) == 0);
}

static void speaking(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        talk(c, S("C: LANG\nS: +OK languages follow\nS: en English\nS: de Deutsch\nS: fr Français\nS: .\n"
                  "C: LANG de-CH-1996\nS: +OK de von nun an auf Deutsch\nC: RETR 7\n"
                  "S: -ERR diese Nachricht gibt es nicht, es sind 0\nC: LANG tlh\nS: -ERR diese Sprache *\n"
                  "C: LANG FR\nS: +OK fr désormais en français\nC: LANG *\nS: +OK en now in English\n"
                  "C: STLS\nS: -ERR STLS: you are signed in already\nC: UTF8\nS: -ERR UTF8: you are signed "
                  "in already\n"
                  "C: QUIT\nS: +OK POP3 server signing off"));
        leave(&c);
}

/* The conversions of a format, in order: "%u messages (%llu octets)" has "u", "llu". */
static void conversions(const char *format, char *out, size_t n)
{
        size_t at = 0;

        for (; *format; format++) {
                if (*format != '%')
                        continue;
                while (*++format && at + 2 < n && !strchr("sudx%", *format))
                        out[at++] = *format;
                out[at++] = *format;
        }
        out[at] = '\0';
}

static void translations(void **state)
{
        char english[64], other[64];

        (void)state;
        for (const struct translation *t = pop3_translations; t->english; t++) {
                conversions(t->english, english, sizeof(english));
                conversions(t->german, other, sizeof(other));
                assert_string_equal(english, other);
                conversions(t->french, other, sizeof(other));
                assert_string_equal(english, other);
                assert_true(utf8_valid(str_of(t->german)) && utf8_valid(str_of(t->french)));
                if (t->english[0] == '[') /* response codes are for machines: never translated */
                        assert_true(!strncmp(t->english, t->german, strcspn(t->english, "]") + 1) &&
                                    !strncmp(t->english, t->french, strcspn(t->english, "]") + 1));
        }
}

/* ---- running them ---- */

struct test {
        void (*run)(void *world);
        struct world world;
};

static void test_fiber(void *arg)
{
        struct test *t = arg;

        must(offload_start(2, 1) == 0);
        open_world(&t->world);
        t->run(&t->world);
        close_world(&t->world);
}

static void run_both(void **state, void (*test)(void *))
{
        static const long parkings[] = { -1, 0 };
        static struct test t;

        (void)state;
        for (size_t i = 0; i < LENGTH(parkings); i++) {
                parking = parkings[i];
                t = (struct test){ .run = test };
                loop_init();
                spawn(test_fiber, &t);
                run_all();
                offload_finish();
                loop_finish();
        }
}

#define TEST(name)                            \
        static void test_##name(void **state) \
        {                                     \
                run_both(state, name);        \
        }
TEST(signing_in)
TEST(sasl)
TEST(listing)
TEST(contents)
TEST(reading_ahead)
TEST(two_sessions)
TEST(deleting)
TEST(rebuilt)
TEST(bounds)
TEST(speaking)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(translations),      cmocka_unit_test(test_signing_in),
                cmocka_unit_test(test_sasl),         cmocka_unit_test(test_listing),
                cmocka_unit_test(test_contents),     cmocka_unit_test(test_reading_ahead),
                cmocka_unit_test(test_two_sessions), cmocka_unit_test(test_deleting),
                cmocka_unit_test(test_rebuilt),      cmocka_unit_test(test_bounds),
                cmocka_unit_test(test_speaking),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
