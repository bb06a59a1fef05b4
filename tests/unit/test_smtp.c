/* The SMTP server: the conversations of smtp_scripts.h in the world of smtp_world.h, each twice: keeping its fiber, and
 * parking between every two commands; and what needs more than a script. */
#include "smtp_world.h"

/* --- the conversations (smtp_scripts.h) and what needs more than a script ------------------------------------ */

static void run_scripts(void)
{
        for (size_t i = 0; i < LENGTH(scripts); i++)
                talk(scripts[i].name, *scripts[i].peer, scripts[i].protocol, scripts[i].script);
}

/* Everything that somebody, somewhere, took for the end of a letter: here it is none, and a sin besides. */
static void false_ends(void)
{
        static const char *const ends[] = { "\\n.\\n",
                                            "\\n.\\r",
                                            "\\r.\\r",
                                            "\\r.\\n",
                                            "\\n.\\r\\n",
                                            "\\r.\\r\\n",
                                            "\\r\\n.\\n",
                                            "\\r\\n.\\r",
                                            "\\r\\n\\0.\\r\\n",
                                            "\\r\\n.\\r\\r\\n",
                                            "\\r\\r\\n.\\r\\r\\n" };
        char script[2000];

        for (size_t i = 0; i < LENGTH(ends); i++) {
                snprintf(script, sizeof(script),
                         EHLO "S: 250 ETRN\n" TO_JILL
                              "C: DATA\nS: 354*\nraw \"Subject: a\\r\\n\\r\\nb%s\"\nflush\n"
                              "raw \"MAIL FROM:<evil@town.com>\\r\\nRCPT "
                              "TO:<jill@hill.com>\\r\\nDATA\\r\\nevil\\r\\n\"\nflush\n"
                              "C: .\nS: 550 5.6.11 *\n" TO_JILL "C: QUIT\nS: 221*\nend\n",
                         ends[i]);
                talk(ends[i], elsewhere, PROTOCOL_SMTP, script);
        }
}

static void too_large(void)
{
        struct conn *c = connect_from(elsewhere, PROTOCOL_SMTP);
        static char line[1002];

        talk_on(c, "too large", EHLO "S: 250 ETRN\n" TO_JILL "C: DATA\nS: 354*\n");
        memset(line, 'x', 1000);
        line[998] = '\r';
        line[999] = '\n';
        for (int i = 0; i < 100; i++)
                conn_put(c, str_of(line));
        talk_on(c, "too large", "C: .\nS: 552 5.3.4 *\n" TO_JILL "C: DATA\nS: 354*\n");
        for (int i = 0; i < 1400 && conn_ok(c); i++) /* twice the limit and a megabyte: who goes on is left */
                conn_put(c, str_of(line));
        conn_free(&c);
        while (server.session_count)
                fiber_yield();
        c = connect_from(elsewhere, PROTOCOL_SMTP);
        talk_on(c, "long lines", "S: 220*\n");
        for (int i = 0; i < 3; i++)
                conn_put(c, str_sub(str_of(line), 0, 990));
        talk_on(c, "long lines", "C: \nS: 500 5.5.2 Line too long\n");
        for (int i = 0; i < 20; i++)
                conn_put(c, str_sub(str_of(line), 0, 990));
        talk_on(c, "long lines", "C: \nS: 500 5.5.2 Line too long\n" BYE);
        conn_free(&c);
        while (server.session_count)
                fiber_yield();
}

static void limits_and_bans(void)
{
        struct conn *one = connect_from(elsewhere, PROTOCOL_SMTP), *two = connect_from(here, PROTOCOL_SMTP);

        talk_on(one, "first", "S: 220*\n");
        talk_on(two, "loopback", "S: 220*\n");
        settings.max_connections_per_address = 1;
        talk_on(two, "loopback is not counted", BYE);
        conn_free(&two);
        two = connect_from(elsewhere, PROTOCOL_SMTP);
        talk_on(two, "one too many", "S: 421 hill.com too many connections*\nend\n");
        conn_free(&two);
        settings.max_connections_per_address = 100;
        server.session_most = 1;
        two = connect_from(here, PROTOCOL_SMTP);
        talk_on(two, "no descriptor left for it", "S: 421 hill.com too many connections*\nend\n");
        conn_free(&two);
        server.session_most = 0;
        bans_set(&server.bans, elsewhere, in_seconds(1000));
        two = connect_from(elsewhere, PROTOCOL_SMTP);
        talk_on(two, "banned", "S: 554 hill.com *\nend\n");
        conn_free(&two);
        two = connect_to(elsewhere, elsewhere, PROTOCOL_SMTP);
        talk_on(two, "never its own address", "S: 220*\n" BYE);
        conn_free(&two);
        mem_free(settings.trusted_addresses);
        settings.trusted_addresses = mem_string(S("198.51.100.0/24 192.0.2.0/24"));
        two = connect_from(elsewhere, PROTOCOL_SMTP);
        talk_on(two, "never a trusted one", "S: 220*\n" BYE);
        conn_free(&two);
        mem_free(settings.trusted_addresses);
        settings.trusted_addresses = mem_string(S(""));
        bans_set(&server.bans, elsewhere, 0);
        session_sign_in(server.sessions, S("jill@hill.com"));
        sessions_sign_out(&server, S("jill@hill.com"));
        talk_on(one, "signed out", "S: 421 4.7.0 *\nend\n");
        conn_free(&one);
        one = connect_from(here, PROTOCOL_SMTP);
        talk_on(one, "first", "S: 220*\nC: NOOP\nS: 250*\n");
        sessions_stop(&server);
        talk_on(one, "stopped", "S: 421 4.3.2 hill.com Service shutting down*\nend\n");
        conn_free(&one);
        one = connect_from(here, PROTOCOL_SMTP);
        talk_on(one, "stopping", "S: 421 hill.com *\nend\n");
        conn_free(&one);
        while (server.session_count)
                fiber_yield();
        server.stopping = false;
}

/* Who drips is told so, who is silent is left; a second is waited for, never raced against. */
static void drips_and_silence(void)
{
        struct conn *c = connect_from(elsewhere, PROTOCOL_SMTP);

        settings.data_min_rate = 1000;
        settings.data_rate_window = 1;
        talk_on(c, "drip", HELLO TO_JILL "C: DATA\nS: 354*\nC: Subject: slow\nflush\n");
        must(fiber_sleep(now() + 1100 * MSECOND) == 0);
        talk_on(c, "drip", "C: still slow\nS: 451 Letter comes too slowly, closing connection\nend\n");
        conn_free(&c);
        settings.data_min_rate = 0;
        settings.smtp_data_timeout = 1;
        talk("silence", elsewhere, PROTOCOL_SMTP,
             HELLO TO_JILL
             "C: DATA\nS: 354*\nC: x\nS: 421 hill.com nothing more of the letter for 1 seconds*\nend\n");
        talk("silence in a chunk", elsewhere, PROTOCOL_SMTP,
             HELLO TO_JILL "C: BDAT 10\nC: x\nS: 421 hill.com nothing more of the letter*\nend\n");
        talk("silence in a chunk that nobody wants", elsewhere, PROTOCOL_SMTP,
             HELLO "C: BDAT 10\nC: x\nS: 421 hill.com the chunk does not come*\nend\n");
        settings.smtp_data_timeout = 600;
}

/* By itself, by its alias, by a list: once. */
static void filed_once(void)
{
        auto_buf struct buf before, after;
        unsigned jill, jack, n;

        buf_init(&before, 1 << 20);
        buf_init(&after, 1 << 20);
        inbox(&before, S("jack@town.com"), &jack);
        inbox(&before, S("jill@hill.com"), &jill);
        talk("filed once", elsewhere, PROTOCOL_SMTP,
             HELLO "C: MAIL FROM:<a@b.example>\nS: 250*\nC: RCPT TO:<jill@hill.com>\nS: 250*\nC: RCPT "
                   "TO:<friends@hill.com>\nS: 250*\n"
                   "C: RCPT TO:<water@hill.com>\nS: 250*\nC: DATA\nS: 354*\nC: Do you like ketchup?\nC: "
                   ".\nS: 250*\n" BYE);
        inbox(&after, S("jill@hill.com"), &n);
        must(n == jill + 1);
        must(str_starts(str_from_at(buf_str(&after), before.n),
                        S("Return-Path: <a@b.example>\r\nReceived: from town.com ")));
        must(str_ends(buf_str(&after),
                      S("\r\n\r\nDo you like ketchup?\r\n"))); /* an empty line: it has no header */
        inbox(&after, S("jack@town.com"), &n);
        must(n == jack + 1);
}

/* A flush that fails: 451, and the letter is never there; the next one is. */
static void failed_flush(void)
{
        auto_buf struct buf text;
        unsigned before, after;

        buf_init(&text, 4 << 20);
        inbox(&text, S("jack@town.com"), &before);
        disk_fail_datasync(1, EIO);
        talk("failed flush", elsewhere, PROTOCOL_SMTP,
             EHLO "S: 250 ETRN\nC: MAIL FROM:<a@b>\nS: 250*\nC: RCPT TO:<jack@town.com>\nS: 250*\n"
                  "C: DATA\nS: 354*\nC: Subject: lost\nC: \nC: .\nS: 451 4.3.0 *\n"
                  "C: MAIL FROM:<a@b>\nS: 250*\nC: RCPT TO:<jack@town.com>\nS: 250*\n"
                  "C: DATA\nS: 354*\nC: Subject: kept\nC: \nC: .\nS: 250*\n" BYE);
        inbox(&text, S("jack@town.com"), &after);
        must(after == before + 1);
        must(str_search(buf_str(&text), S("Subject: kept")) != STR_NONE);
        must(str_search(buf_str(&text), S("Subject: lost")) == STR_NONE);
}

struct recorder {
        struct conn_tap tap;
        struct buf text;
};

static void record(struct conn_tap *t, char from, struct str line, uint64_t bytes)
{
        if (line.p)
                buf_printf(&((struct recorder *)t)->text, "%c: " PRS "\n", from, STR(line));
        else
                buf_printf(&((struct recorder *)t)->text, "%c: (%u)\n", from, (unsigned)bytes);
}

/* Whoever watches sees the conversation, but no password, whether it is put right or not, and no letter. */
static void watched(void)
{
        struct recorder r = { .tap.line = record };
        struct conn *c;

        buf_init(&r.text, 1 << 16);
        c = connect_from(here, PROTOCOL_SUBMISSION);
        conn_set_tap(server.sessions->conn, &r.tap);
        talk_on(c, "watched",
                HELLO "C: AUTH FOO c2VjcmV0\nS: 504*\nC: AUTH\tPLAIN c2VjcmV0\nS: 501*\n"
                      "raw \"AUTH PLAIN c2VjcmV0\\n\"\nS: 500*\nC: AUHT PLAIN c2VjcmV0\nS: 500*\n"
                      "C: AUTH PLAIN\nS: 334 *\nC: c2VjcmV0\nS: 535*\n"
                      "C: AUTH PLAIN AGppbGwAdHVtYmxpbmc=\nS: 235 *\n"
                      "C: MAIL FROM:<jill@hill.com>\nS: 250*\nC: RCPT TO:<jill@hill.com>\nS: 250*\n"
                      "C: DATA\nS: 354*\nC: secret\nC: .\nS: 250*\n" BYE);
        conn_free(&c);
        while (server.session_count)
                fiber_yield();
        must(transcript_matches(
            S("S: 220 hill.com *\nC: HELO town.com\nS: 250 *\n"
              "C: AUTH FOO ****\nS: 504 *\nC: AUTH\tPLAIN ****\nS: 501 *\n"
              "C: AUTH PLAIN ****\nS: 500 *\nC: ****\nS: 500 *\n"
              "C: AUTH PLAIN\nS: 334 *\nC: ****\nS: 535 *\n"
              "C: AUTH PLAIN ****\nS: 235 *\n"
              "C: MAIL FROM:<jill@hill.com>\nS: 250 *\nC: RCPT TO:<jill@hill.com>\nS: 250 *\n"
              "C: DATA\nS: 354 *\nC: (11)\nS: 250 *\nC: QUIT\nS: 221 *\n"),
            buf_str(&r.text)));
        must(str_search(buf_str(&r.text), S("ecret")) == STR_NONE);
        must(str_search(buf_str(&r.text), S("c2VjcmV0")) == STR_NONE);
        buf_free(&r.text);
}

static void what_came(void)
{
        auto_buf struct buf text;
        static const struct outbox_filter any;
        struct outbox_letter list[10];
        struct outbox_attempt *attempts;
        auto_arena struct arena m;
        struct str s;
        unsigned count;
        size_t n = 10, attempt_count;

        buf_init(&text, 4 << 20);
        s = inbox(&text, S("jill@hill.com"), &count);
        must(str_search(s, S("for <jill@hill.com>")) != STR_NONE);
        must(str_search(s, S("\r\n\r\nJill, I'm not feeling up to hiking today.\r\n.dot\r\n")) != STR_NONE);
        must(str_search(s, S("Subject: c\r\n\r\n.\r\n.\r\n")) != STR_NONE);
        must(str_search(s, S("evil")) == STR_NONE);
        arena_init(&m, 1 << 20);
        must(outbox_list(server.outbox, &any, 0, &m, list, &n) == 0 && n >= 1);
        if (str_search(list[0].recipients, S("x@away.example (queued")) == STR_NONE)
                die("recipients: " PRS, STR(list[0].recipients));
        must(outbox_show(server.outbox, list[0].id, &m, &list[0], &attempts, &attempt_count, &text) == 0);
        must(str_search(buf_str(&text), S("\r\nMessage-ID: <")) != STR_NONE);
}

/* --- ATRN: the sender's end of the connection is the test's --------------------------------------------------- */

static struct conn *sender;
static int turn(void *context, int fd, struct str domains)
{
        (void)context;
        must(str_eq(domains, S("office.example")));
        sender = conn_new(fd, here, here);
        return 0;
}

enum { LETTER_LINES = 20000 };
static void say_letter(void *arg)
{
        (void)arg;
        for (unsigned i = 0; i < LETTER_LINES; i++)
                conn_put(sender, S("a line of a letter that is larger than what sockets take at once\r\n"));
        must(conn_flush(sender, SOON) == 0);
}

/* A client that is slow to read, then one that keeps its connection when all is over. What is under way when the server stops comes to its end. */
static void turned(void)
{
        struct conn *c = connect_from(here, PROTOCOL_ATRN);
        struct str line;

        server.turn = turn;
        talk_on(c, "turned",
                EHLO "S: 250-ETRN\nS: 250 AUTH *\n" JILL "C: ATRN town.example\nS: 450 4.7.1 *\n"
                     "C: ATRN office.example\nS: 250 2.0.0 *\nC: 220 office.example\n");
        conn_flush(c, SOON);
        must(conn_line(sender, &line, 100, SOON) == GOT_LINE && str_eq(line, S("220 office.example")));
        must(fiber_spawn("letter", say_letter, NULL) == 0);
        must(!fiber_sleep(now() + 50 * MSECOND)); /* now everybody waits for this client */
        for (unsigned i = 0; i < LETTER_LINES; i++)
                must(conn_line(c, &line, 100, SOON) == GOT_LINE);
        sessions_stop(&server);
        conn_put(sender, S("QUIT\r\n"));
        conn_flush(sender, SOON);
        must(conn_line(c, &line, 100, SOON) == GOT_LINE && str_eq(line, S("QUIT")));
        conn_put(c, S("221 bye\r\n"));
        conn_flush(c, SOON);
        must(conn_line(sender, &line, 100, SOON) == GOT_LINE && str_eq(line, S("221 bye")));
        conn_free(&sender);
        must(conn_line(c, &line, 100, SOON) == GOT_END);
        while (server.session_count)
                fiber_yield();
        conn_free(&c);
        server.stopping = false;
        server.turn = NULL;
}

static void everything(void *arg)
{
        (void)arg;
        open_world();
        for (long park = -1; park <= 0; park++) {
                settings.park_after_ms = park;
                run_scripts();
                false_ends();
                too_large();
                limits_and_bans();
                filed_once();
        }
        failed_flush();
        drips_and_silence();
        watched();
        turned();
        must(dropped == 4); /* two a round */
        what_came();
        settings.plaintext_login = PLAINTEXT_NEVER;
        talk("never in clear", here, PROTOCOL_SUBMISSION,
             EHLO "S: 250 ETRN\nC: AUTH PLAIN\nS: 538 5.7.11 *\n" BYE);
        server.status = "the disk is almost full";
        talk("full", here, PROTOCOL_SMTP, HELLO "C: MAIL FROM:<a@b>\nS: 452 the disk is almost full\n" BYE);
        server.status = NULL;
        close_world();
}

static void test_conversations(void **state)
{
        (void)state;
        loop_init();
        assert_int_equal(offload_start(2, 1), 0);
        assert_int_equal(fiber_spawn("test", everything, NULL), 0);
        loop_stop();
        loop_run();
        offload_finish();
        loop_finish();
}

static void test_bans(void **state)
{
        static struct bans b;
        struct addr a = { .family = 6, .ip = { 0x20, 1, 0xd, 0xb8, [7] = 1, [15] = 1 } }, near = a, far = a;

        (void)state;
        near.ip[15] = 99;
        far.ip[7] = 2;
        bans_set(&b, a, in_seconds(1000));
        assert_true(bans_hold(&b, near));
        assert_false(bans_hold(&b, far));
        bans_set(&b, far, now());
        assert_false(bans_hold(&b, far));
        for (unsigned i = 0; i < 2 * BANS_MOST; i++) {
                far.ip[5] = (uint8_t)i;
                far.ip[6] = (uint8_t)(i >> 8);
                bans_set(&b, far, in_seconds(1000));
        }
        assert_int_equal(b.count, BANS_MOST);
        assert_false(bans_hold(&b, near));
        assert_true(bans_hold(&b, far));
        bans_set(&b, far, 0);
        assert_false(bans_hold(&b, far));
        bans_free(&b);
        assert_int_equal(b.count, 0);
}

static int set_up(void **state)
{
        auto_buf struct buf why;

        (void)state;
        log_quiet = true;
        settings_default(&settings);
        buf_init(&why, 1000);
        assert_int_equal(settings_set(&settings, S("host-name"), S("hill.com"), &why), 0);
        settings.max_letter_size = 65536;
        mem_free(settings.relay_for);
        settings.relay_for = mem_string(S("all.example some.example:joe,jack"));
        settings.max_recipients = 100;
        settings.max_received = 2;
        server.settings = &settings;
        for (unsigned i = 0; i < PROTOCOLS; i++)
                server.kinds[i] = &smtp_kind;
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
        (void)st;
        (void)type;
        (void)where;
        return remove(path);
}

static int tear_down(void **state)
{
        (void)state;
        settings_free(&settings);
        return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_conversations),
                                            cmocka_unit_test(test_bans) };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
