/* The clients of IMAP and POP3 with servers that play a script: old ones, odd ones, and those that mean harm. "S:" is what the server says,
 * "C:" what it must hear, the rest stands at `directive` in mail_script.h. */
#include "mail_script.h"
#include "proto/imap/client.h"
#include "proto/pop3/client.h"
#include "run/loop.h"
#include "run/offload.h"
#include <errno.h>

static struct arena arena;

/* ---- what the client does, one letter each; what it was told stands in `told` ---- */

static struct buf told;

static void each(void *context, const struct imap_marks *f)
{
        (void)context;
        buf_printf(&told, "%u:%llu(" PRS ") ", f->uid, (unsigned long long)f->flags, STR(f->keywords));
}

static void range(void *context, uint32_t first, uint32_t last)
{
        (void)context;
        buf_printf(&told, "%u-%u ", first, last);
}

static void pair(void *context, uint32_t from, uint32_t to)
{
        (void)context;
        buf_printf(&told, "%u>%u ", from, to);
}

static int begin(void *context, const struct imap_marks *f, uint64_t size)
{
        (void)context;
        buf_printf(&told, "[%u %llu ", f->uid, (unsigned long long)size);
        return 0;
}

static int begin_pop3(void *context, const struct pop3_entry *e)
{
        (void)context;
        buf_printf(&told, "[%u ", e->number);
        return 0;
}

static int piece(void *context, struct str bytes)
{
        (void)context;
        if (told.n < 10000)
                buf_puts(&told, bytes);
        return 0;
}

static int end(void *context)
{
        (void)context;
        buf_puts(&told, S("] "));
        return 0;
}

static int read_hello(void *context, uint64_t at, size_t n, struct buf *out)
{
        (void)context;
        buf_puts(out, str_sub(S("hello"), (size_t)at, n));
        return 0;
}

static int act(struct imap_client *c, char what, struct imap_answer *answer)
{
        static const struct imap_take take = { begin, piece, end, NULL, false },
                                      heads = { begin, piece, end, NULL, true };
        static const struct imap_append letter = { .size = 5, .read = read_hello };
        struct imap_folder inbox = { .wire = S("INBOX") }, odd = { .wire = S("a\xC3\xA9") }, *list;
        struct imap_opened now_open;
        uint32_t uid;
        size_t n;
        int rc;

        switch (what) {
        case 'L':
                rc = imap_client_folders(c, &arena, &list, &n, answer);
                for (size_t i = 0; i < n && rc == 0; i++)
                        buf_printf(&told, PRS "|" PRS "|%s%s%u ", STR(list[i].path), STR(list[i].role),
                                   list[i].noselect ? "n" : "", list[i].subscribed ? "s" : "", list[i].count);
                return rc;
        case 's': return imap_client_select(c, &inbox, &now_open, answer);
        case 'f': return imap_client_flags(c, 1, 100, 0, false, each, range, NULL, answer);
        case 'u': return imap_client_uids(c, range, NULL, answer);
        case 'l': return imap_client_letters(c, "2:9", &take, answer);
        case 'h': return imap_client_letters(c, "2:9", &heads, answer);
        case 'c': return imap_client_copy(c, "2:3", &inbox, false, pair, NULL, answer);
        case 'm': return imap_client_copy(c, "2:3", &inbox, true, pair, NULL, answer);
        case 'e': return imap_client_expunge(c, "2", answer);
        case 'n':
                return imap_client_create(c,
                                          S("Work/A\xE2\x88\x95"
                                            "B"),
                                          answer);
        case 'o': return imap_client_subscribe(c, &odd, true, answer);
        case 'a':
                rc = imap_client_append(c, &inbox, &letter, &uid, answer);
                buf_printf(&told, "%u ", uid);
                return rc;
        case 'i': return imap_client_idle(c, in_seconds(30));
        default: die("act %c", what);
        }
}

struct play {
        const char *script, *acts;
        int opened, signed_in, acted; /* what the last act gives */
        const char *told, *said;      /* said: what the answer has in its text */
        enum tls_need tls;
        bool guarded; /* the password must not be shown */
        unsigned patience_ms;
};

static void check(const struct play *p, const char *stage, int rc, int want, const char *text)
{
        if (rc != want)
                die("%s of \"%.300s\": %d (%s), want %d", stage, p->script, rc, text, want);
        must(!str_has_control(str_of(text)));
        if (want && p->said && !strstr(text, p->said))
                die("%s of \"%.300s\" says \"%s\"", stage, p->script, text);
}

static void play_imap(const struct play *p)
{
        struct imap_client_how how = { .host = "x",
                                       .tls = p->tls,
                                       .clear_password = !p->guarded,
                                       .patience = p->patience_ms * MSECOND };
        struct imap_answer answer;
        struct imap_client *c;
        int rc;

        buf_clear(&told);
        arena_reset(&arena);
        rc = imap_client_open(&c, visit(p->script), &how, &answer);
        check(p, "opening", rc, p->opened, answer.text);
        if (c) {
                rc = imap_client_login(c, "jill", "tumb", &answer);
                check(p, "sign-in", rc, p->signed_in, answer.text);
        }
        for (const char *a = p->acts; c && a && *a; a++) {
                rc = act(c, *a, &answer);
                check(p, a, rc, a[1] ? 0 : p->acted, *a == 'i' ? "" : answer.text);
        }
        imap_client_close(&c, 0);
        server_ends();
        if (p->told && !str_eq(buf_str(&told), str_of(p->told)))
                die("\"%.300s\" told \"" PRS "\"", p->script, STR(buf_str(&told)));
}

#define BARE   "S: * OK [CAPABILITY IMAP4rev1] hi\n"
#define HELLO  BARE "C: a1 LOGIN \"jill\" \"tumb\"\nS: a1 OK [CAPABILITY IMAP4rev1] in\n"
#define SELECT "C: a2 SELECT \"INBOX\"\nS: * 9 EXISTS\nS: a2 OK [READ-WRITE] done\n"
#define FETCH  SELECT "C: a3 UID FETCH 2:9 (UID FLAGS INTERNALDATE BODY.PEEK[])\n"

static const struct play imap_plays[] = {
        /* the way in */
        { "S: * OK hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4 AUTH=PLAIN SASL-IR\nS: a1 OK x\n"
          "C: a2 AUTHENTICATE PLAIN AGppbGwAdHVtYg==\nS: a2 OK in\nC: a3 CAPABILITY\nS: * CAPABILITY "
          "IMAP4\nS: a3 OK x\n" },
        { "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\nC: a1 AUTHENTICATE PLAIN\nS: +\nC: "
          "AGppbGwAdHVtYg==\n"
          "S: a1 NO [AUTHENTICATIONFAILED] no \x1b[31msuch\x1b[0m one\n",
          .signed_in = -EREMOTEIO, .said = "no  [31msuch [0m one" },
        { "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] hi\nC: a1 AUTHENTICATE SCRAM-SHA-256\nS: +\nC: "
          "*\nS: a1 OK in\n",
          .signed_in = -EACCES },
        { "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 SASL-IR] hi\nC: a1 AUTHENTICATE SCRAM-SHA-256 *\n"
          "S: + cj1hYmMscz1BQUFBLGk9OTk5OTk5OTk5OQ==\nC: \\*\nS: a1 BAD given up\n",
          .signed_in = -EACCES },
        { "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR] hi\nC: a1 AUTHENTICATE "
          "SCRAM-SHA-256 *\n"
          "S: a1 NO no secret\nC: a2 AUTHENTICATE PLAIN AGppbGwAdHVtYg==\nS: a2 OK [CAPABILITY IMAP4rev1] "
          "in\n" },
        { "S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR] hi\nC: a1 AUTHENTICATE "
          "SCRAM-SHA-256 *\n"
          "S: a1 NO no secret\n",
          .signed_in = -EREMOTEIO, .guarded = true },
        { "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\n", .signed_in = -EACCES, .guarded = true },
        { BARE, .signed_in = -EACCES, .guarded = true },
        { "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\n", .signed_in = -EACCES },
        { "S: * PREAUTH [CAPABILITY IMAP4rev1] you again\n" },
        { "S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] you again\n", .tls = TLS_MUST, .opened = -EACCES },
        { BARE, .tls = TLS_MUST, .opened = -EACCES },
        { "S: * BYE full\n", .opened = -ECONNREFUSED, .said = "full" },
        { "S: 220 smtp here\n", .opened = -EPROTO },
        { "hold\n", .opened = -ETIMEDOUT, .patience_ms = 20 },
        { "raw * OK [CAPA\nhold\n", .opened = -ETIMEDOUT, .patience_ms = 20 },
        { "text 9000000 x\nS: \n", .opened = -EPROTO },
        { "raw * OK", .opened = -ECONNRESET },
        { "S: * OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC NAMESPACE UTF8=ACCEPT COMPRESS=DEFLATE] "
          "hi\n"
          "C: a1 LOGIN *\nS: a1 OK [CAPABILITY IMAP4rev1 ENABLE QRESYNC NAMESPACE UTF8=ACCEPT "
          "COMPRESS=DEFLATE] in\n"
          "C: a2 ENABLE CONDSTORE QRESYNC UTF8=ACCEPT\nC: a3 NAMESPACE\nC: a4 COMPRESS DEFLATE\nS: * ENABLED "
          "QRESYNC\nS: a2 OK x\n"
          "S: * NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\nS: a3 OK x\nS: a4 NO not today\n"
          "C: a5 CREATE \"INBOX.Work.A/B\"\nS: a5 OK made\n",
          .acts = "n" },
        /* something comes before it is compressed */
        { "S: * OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi\nC: a1 LOGIN *\nS: a1 OK [CAPABILITY IMAP4rev1 "
          "COMPRESS=DEFLATE] in\n"
          "C: a2 COMPRESS DEFLATE\nraw a2 OK go^* 7 EXISTS^\n",
          .signed_in = -EPROTO },
        /* folders, by the old means; names that mean harm */
        { HELLO "C: a2 LIST \"\" \"\\*\"\nC: a3 LSUB \"\" \"\\*\"\n"
                "S: * LIST (\\Noselect) \".\" \"Top\"\nS: * LIST (\\Sent) \".\" {8}\nS: Top.a/&-\n"
                "S: * LIST () \".\" inbox\nS: * LIST () \".\" \"&AOk-\"\nS: * LIST () \".\" \"e\x1b[2J\"\nS: "
                "* LIST () NIL \"..\"\n"
                "S: * LIST () \"/\" \"../x\"\nnul * LIST () \"/\" \"n~l\"\nS: * LIST () \"/\" {3}\nraw "
                "a\rb\nS: \nS: a2 OK x\n"
                "S: * LSUB () \".\" \"Top.a/&-\"\nS: * LSUB () \".\" \"ghost\"\nS: a3 OK x\n"
                "C: a4 STATUS \"Top.a/&-\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\nS: * STATUS \"Top.a/&-\" "
                "(MESSAGES 3 STRANGE (a b))\nS: a4 OK x\n"
                "C: a5 STATUS \"INBOX\" *\nS: a5 NO not now\nC: a6 STATUS *\nS: a6 OK\nC: a7 STATUS {5}\nS: "
                "+\nC: e\x1b[2J (*\nS: a7 OK x\n"
                "C: a8 STATUS *\nS: a8 OK x\nC: a9 STATUS *\nS: a9 OK x\n",
          .acts = "L",
          .told = "INBOX||0 Top||n0 Top/a\xE2\x88\x95&|sent|s3 e\xEF\xBF\xBD[2J||0 \xC3\xA9||0 "
                  "\xE2\x80\xA4\xE2\x80\xA4||0 \xE2\x80\xA4\xE2\x80\xA4/x||0 " },
        /* a name that has to wait for the server's word */
        { HELLO "C: a2 SUBSCRIBE {3}\nS: + go\nC: a\xC3\xA9\nS: a2 OK x\n", .acts = "o" },
        { HELLO "C: a2 SUBSCRIBE {3}\nS: a2 NO never\n", .acts = "o", .acted = -EREMOTEIO, .said = "never" },
        { HELLO "C: a2 SUBSCRIBE {3}\nS: a2 OK I knew it\n", .acts = "o", .acted = -EPROTO },
        /* flags: of others, of nobody, unknown ones, in any order; uids that go backwards */
        { HELLO SELECT
          "C: a3 UID FETCH 1:100 (UID FLAGS)\nS: * 9 FETCH (UID 9 FLAGS (\\Seen \\Recent \\Odd work))\n"
          "S: * 1 FETCH (FLAGS (play) UID 2)\nS: * 1 FETCH (FLAGS (\\Seen))\nS: * 7 FETCH (UID 7777 FLAGS "
          "())\n"
          "S: * 3 EXPUNGE\nS: * 5 FETCH (UID 5 FLAGS () X-STRANGE (a {3}\nraw xyz (\"q\\\"(\")) MODSEQ "
          "(7))\nS: \n"
          "S: * ODD {4}\nraw abcd\nS: \nS: * OK done {5}\nS: a3 OK x\n",
          .acts = "sf", .told = "9:1(work) 2:0(play) 5:0() " },
        { HELLO SELECT "C: a3 *\nS: * 1 FETCH (UID 4294967296 FLAGS ())\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nS: * 1 FETCH (UID 5 FLAGS (a\nS: a3 OK\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nS: a4 OK not yours\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nS: a2 OK again\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nS: + surprise\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nS: * BYE going \x1b]0;down\nS: * 1 EXISTS\n", .acts = "sf",
          .acted = -ECONNRESET, .said = "going  ]0;down" },
        { HELLO SELECT "C: a3 *\nraw * 1 FETCH (UID 5 FLAGS (\\Se", .acts = "sf", .acted = -ECONNRESET,
          .told = "" },
        { HELLO SELECT "C: a3 *\nlines 1100000 * OK still here\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nraw * 1 FETCH (FLAGS (\ntext 9000000 (\nS: \n", .acts = "sf",
          .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nraw * ODD\ntext 4000000  (\nS: )\nS: a3 OK x\n", .acts = "sf" },
        { HELLO SELECT "C: a3 *\nS: * 1 FETCH (X {9223372036854775807}\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nS: * ODD {9223372036854775808}\n", .acts = "sf", .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nraw * ODD\nlines 600000  {0}\nS: \n", .acts = "sf", .acted = -EPROTO },
        /* letters: by literal, quoted, none; uid behind the bytes; nobody asked for 77 */
        { HELLO FETCH
          "S: * 1 FETCH (UID 2 FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] {5}\nraw "
          "a^b)\nS: )\n"
          "S: * 2 FETCH (BODY[] \"quo\\\"ted\" UID 3)\nS: * 3 FETCH (UID 4 BODY[] NIL)\nS: * 4 FETCH (UID 77 "
          "BODY[] {3}\nraw xyz)\nS: \n"
          "S: * 5 FETCH (BODY[] {2}\nraw zz FLAGS () UID 9)\nS: \nS: * 6 FETCH (UID 8 BODY[] {0}\nS: )\n"
          "S: a3 OK x\nC: a4 UID FETCH 3 *\nS: * 2 FETCH (BODY[] \"quo\\\"ted\" UID 3)\nS: a4 OK x\n"
          "C: a5 UID FETCH 9 *\nS: * 5 FETCH (BODY[] {2}\nraw zz FLAGS () UID 9)\nS: \nS: a5 OK x\n",
          .acts = "sl", .told = "[2 5 a\r\nb)] [4 0 ] [8 0 ] [3 7 quo\"ted] [9 2 zz] " },
        { HELLO FETCH "S: * 1 FETCH (UID 2 BODY[] {9223372036854775807}\ntext 2000 x\n", .acts = "sl",
          .acted = -ECONNRESET },
        { HELLO FETCH "S: * 1 FETCH (UID 2 BODY[] {18446744073709551616}\n", .acts = "sl", .acted = -EPROTO,
          .told = "" },
        { HELLO FETCH "S: * 1 FETCH (UID 2 BODY[] {-1}\n", .acts = "sl", .acted = -EPROTO, .told = "" },
        { HELLO FETCH "S: * 1 FETCH (UID 77 BODY[] {999999999999}\n", .acts = "sl", .acted = -EPROTO,
          .told = "" },
        { HELLO FETCH "S: * 1 FETCH (UID 2 BODY[] {5}\nraw abc\nhold\n", .acts = "sl", .acted = -ETIMEDOUT,
          .told = "[2 5 abc", .patience_ms = 1000 },
        { HELLO FETCH "S: a3 NO [EXPUNGEISSUED] some are gone\n", .acts = "sl", .acted = -EREMOTEIO,
          .said = "some are gone" },
        { HELLO SELECT "C: a3 UID FETCH 2:9 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER])\n"
                       "S: * 1 FETCH (UID 2 FLAGS () BODY[HEADER] {4}\nraw ab^)\nS: \n"
                       "S: * 2 FETCH (UID 3 BODY[] \"not this\" BODY[HEADER.FIELDS (\"TO\")] {2}\nraw "
                       "xy)\nS: \nS: a3 OK x\n",
          .acts = "sh", .told = "[2 4 ab\r\n] " },
        /* which uids there are: disorder, doubles */
        { HELLO SELECT
          "C: a3 UID SEARCH ALL\nS: * SEARCH 7 2 3 3 0 5\nS: * SEARCH 4 (MODSEQ 9)\nS: a3 OK x\n",
          .acts = "su", .told = "2-3 4-4 5-5 7-7 " },
        { HELLO SELECT "C: a3 *\nS: * ESEARCH (TAG \"a3\") UID COUNT 3 ALL 9:7,3,1\nS: a3 OK x\n",
          .acts = "su", .told = "1-1 3-3 7-9 " },
        { HELLO SELECT "C: a3 *\nS: * SEARCH\nS: * ESEARCH (TAG \"a3\") UID\nS: a3 OK x\n", .acts = "su",
          .told = "" },
        { HELLO SELECT "C: a3 *\nS: * ESEARCH (TAG \"a3\") UID ALL 1:x\nS: a3 OK x\n", .acts = "su",
          .acted = -EPROTO },
        { HELLO SELECT "C: a3 *\nraw * SEARCH\ntext 700000  4000000000\nS: \nS: a3 OK x\n", .acts = "su",
          .told = "4000000000-4000000000 " },
        /* copies: pairs that do not fit, without end; MOVE without MOVE and UIDPLUS */
        { HELLO SELECT "C: a3 UID COPY 2:3 \"INBOX\"\nS: a3 OK [COPYUID 1 2:3,9 1:4294967295] x\n",
          .acts = "sc", .told = "2>1 3>2 " },
        { HELLO SELECT
          "C: a3 UID COPY 2:3 \"INBOX\"\nS: * OK [COPYUID 1 4:4294967295 1:4294967295] x\nS: a3 OK x\n",
          .acts = "sc", .told = "" },
        { HELLO SELECT "C: a3 UID COPY 2:3 \"INBOX\"\nS: a3 OK x\nC: a4 UID STORE 2:3 +FLAGS.SILENT "
                       "(\\Deleted)\nS: a4 OK x\n"
                       "C: a5 UID SEARCH DELETED\nS: * SEARCH 2 3 4\nS: a5 OK x\n",
          .acts = "sm" },
        { HELLO SELECT
          "C: a3 UID SEARCH DELETED\nS: * SEARCH 2\nS: a3 OK x\nC: a4 EXPUNGE\nS: * 2 EXPUNGE\nS: a4 OK x\n",
          .acts = "se" },
        { HELLO SELECT "C: a3 UID SEARCH DELETED\nS: * SEARCH 1 2\nS: a3 OK x\n", .acts = "se",
          .acted = -EOPNOTSUPP },
        /* APPEND */
        { HELLO "C: a2 APPEND \"INBOX\" {5}\nS: + go\nC: hello\nS: a2 OK [APPENDUID 7 42] x\n", .acts = "a",
          .told = "42 " },
        { HELLO "C: a2 APPEND \"INBOX\" {5}\nS: a2 NO [TOOBIG] five octets!\n", .acts = "a",
          .acted = -EREMOTEIO, .said = "five octets" },
        /* IDLE, and what was told before it */
        { HELLO SELECT "C: a3 UID SEARCH ALL\nS: * 10 EXISTS\nS: a3 OK x\n", .acts = "sui" },
        { HELLO SELECT "C: a3 NOOP\nS: * 3 EXPUNGE\nS: a3 OK x\n", .acts = "si" },
        { "S: * OK [CAPABILITY IMAP4rev1 IDLE] hi\nC: a1 LOGIN *\nS: a1 OK [CAPABILITY IMAP4rev1 IDLE] "
          "in\n" SELECT "C: a3 IDLE\nS: + ok\nS: * OK Still here\nS: * VANISHED 1:3\nC: DONE\nS: a3 OK x\n",
          .acts = "si" },
        { "S: * OK [CAPABILITY IMAP4rev1 IDLE] hi\nC: a1 LOGIN *\nS: a1 OK [CAPABILITY IMAP4rev1 IDLE] "
          "in\n" SELECT "C: a3 IDLE\nS: + ok\nS: * BYE restarting\n",
          .acts = "si", .acted = -ECONNRESET },
};

/* ---- POP3 ---- */

static int act_pop3(struct pop3_client *c, char what, struct pop3_answer *answer)
{
        static const struct pop3_take take = { begin_pop3, piece, end, NULL, false };
        struct pop3_entry *list, three[3] = { { 1, 9, S("") }, { 2, 9, S("") }, { 3, 9, S("") } };
        size_t n;
        int rc;

        if (what == 'r')
                return pop3_client_letters(c, three, 3, &take, answer);
        if (what == 'd')
                return pop3_client_delete(c, three, 3, answer);
        rc = pop3_client_list(c, &arena, &list, &n, answer);
        for (size_t i = 0; i < n && rc == 0; i++)
                buf_printf(&told, "%u:%llu:" PRS " ", list[i].number, (unsigned long long)list[i].size,
                           STR(list[i].uidl));
        return rc;
}

static void play_pop3(const struct play *p)
{
        struct pop3_client_how how = { .host = "x",
                                       .tls = p->tls,
                                       .clear_password = !p->guarded,
                                       .patience = p->patience_ms * MSECOND };
        struct pop3_answer answer;
        struct pop3_client *c;
        int rc;

        buf_clear(&told);
        arena_reset(&arena);
        rc = pop3_client_open(&c, visit(p->script), &how, &answer);
        check(p, "opening", rc, p->opened, answer.text);
        if (c) {
                rc = pop3_client_login(c, "mrose", "tanstaaf", &answer);
                check(p, "sign-in", rc, p->signed_in, answer.text);
        }
        for (const char *a = p->acts; c && a && *a; a++) {
                rc = *a == 'q' ? pop3_client_quit(&c, &answer) : act_pop3(c, *a, &answer);
                check(p, a, rc, a[1] ? 0 : p->acted, answer.text);
        }
        pop3_client_drop(&c);
        server_ends();
        if (p->told && !str_eq(buf_str(&told), str_of(p->told)))
                die("\"%.300s\" told \"" PRS "\"", p->script, STR(buf_str(&told)));
}

#define OLD "S: +OK ready\nC: CAPA\nS: -ERR what?\nC: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK in\n"
#define PIPED                                                                                          \
        "S: +OK ready\nC: CAPA\nS: +OK\nS: PIPELINING\nS: USER\nS: .\nC: USER mrose\nS: +OK\nC: PASS " \
        "tanstaaf\nS: +OK in\n"

static const struct play pop3_plays[] = {
        { OLD "C: LIST\nS: +OK\nS: 1 120\nS: 3 9223372036854775807 x\nS: .\nC: UIDL\nS: -ERR what?\nC: "
              "QUIT\nS: +OK bye\n",
          .acts = "Lq", .told = "1:120: 3:9223372036854775807: " },
        /* RFC 1939's own example of APOP */
        { "S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\nC: CAPA\nS: -ERR what?\nC: APOP mrose "
          "c4c9334bac560ecc979e58001b3e22fb\nS: +OK in\n",
          .guarded = true },
        { "S: +OK ready <1@a>\nC: CAPA\nS: -ERR what?\nC: APOP mrose *\nS: -ERR no\n", .guarded = true,
          .signed_in = -EREMOTEIO },
        { "S: +OK ready <1@a>\nC: CAPA\nS: -ERR what?\nC: APOP mrose *\nS: -ERR no\nC: USER mrose\nS: "
          "+OK\nC: PASS tanstaaf\nS: +OK in\n" },
        { "S: +OK ready\nC: CAPA\nS: -ERR what?\n", .guarded = true, .signed_in = -EACCES },
        { "S: +OK ready\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: UTF8\nS: .\nC: UTF8\nS: +OK\nC: AUTH PLAIN *\nS: "
          "-ERR [IN-USE] \x1b[1mlocked\n",
          .signed_in = -EREMOTEIO, .said = " [1mlocked" },
        { "S: +OK ready\nC: CAPA\nS: +OK\nS: SASL PLAIN SCRAM-SHA-1\nS: .\nC: AUTH SCRAM-SHA-1 *\nS: -ERR no "
          "secret\nC: AUTH PLAIN *\nS: +OK in\n" },
        { "S: +OK ready\nC: CAPA\nS: +OK\nS: STLS\nS: .\nC: STLS\nS: -ERR no\n", .tls = TLS_MUST,
          .opened = -EACCES },
        { PIPED "C: RETR 1\nC: RETR 2\nC: RETR 3\nS: +OK\nS: a\nhold\n", .acts = "r", .acted = -ETIMEDOUT,
          .said = "silent", .told = "[1 a\r\n", .patience_ms = 1000 },
        { "S: -ERR go away\n", .opened = -ECONNREFUSED, .said = "go away" },
        { "S: * OK imap here\n", .opened = -EPROTO },
        { "text 10000 x\nS: \n", .opened = -EPROTO },
        { "S: +OK ready\nC: CAPA\nS: +OK\nlines 10000 AND SO ON\n", .opened = -EPROTO },
        /* lists that mean harm */
        { PIPED "C: LIST\nC: UIDL\nS: +OK\nS: 1 1\nS: 2 2\nS: .\nS: +OK\nS: 2 b\nS: 1 a\nS: 7 x\nS: .\n",
          .acts = "L", .told = "1:1:a 2:2:b " },
        { PIPED "C: LIST\nC: UIDL\nS: +OK\nS: 2 1\nS: 1 2\nS: .\nS: +OK\nS: .\n", .acts = "L",
          .acted = -EPROTO },
        { PIPED "C: LIST\nC: UIDL\nS: +OK\nS: 1 1\nS: .\nS: +OK\nS: 1 a\x1b[2J\nS: .\n", .acts = "L",
          .acted = -EPROTO },
        { PIPED "C: LIST\nC: UIDL\nS: +OK\nS: 1 99999999999999999999\nS: .\nS: +OK\nS: .\n", .acts = "L",
          .acted = -EPROTO },
        { PIPED "C: LIST\nC: UIDL\nS: +OK\nlines 300000 1 1\n", .acts = "L", .acted = -EPROTO },
        /* letters */
        { PIPED
          "C: RETR 1\nC: RETR 2\nC: RETR 3\nS: +OK\nS: a\nS: ..\nS: ...b\nS: .\nS: -ERR gone\nS: +OK\nS: .\n",
          .acts = "r", .acted = -EREMOTEIO, .said = "gone", .told = "[1 a\r\n.\r\n..b\r\n] [3 ] " },
        { OLD "C: RETR 1\nS: +OK\nS: .\nC: RETR 2\nS: +OK\nS: .\nC: RETR 3\nS: +OK\nS: half\n", .acts = "r",
          .acted = -ECONNRESET, .told = "[1 ] [2 ] [3 half\r\n" },
        { PIPED "C: DELE 1\nC: DELE 2\nC: DELE 3\nS: +OK\nS: -ERR no 2\nS: +OK\n", .acts = "d",
          .acted = -EREMOTEIO },
        { PIPED "C: QUIT\nS: -ERR some are still there\n", .acts = "q", .acted = -EREMOTEIO },
        { PIPED "C: QUIT\n", .acts = "q", .acted = -ECONNRESET },
};

/* ---- cut off at every byte: what was told is the beginning of what would have been told, and a letter cut off has no end ---- */

static const char imap_stream[] =
    "* OK [CAPABILITY IMAP4rev1] hi\r\na1 OK [CAPABILITY IMAP4rev1 ESEARCH MOVE UIDPLUS] in\r\n"
    "* LIST (\\Sent) \"/\" {6}\r\nSent/1\r\na2 OK x\r\n* LSUB () \"/\" \"Sent/1\"\r\na3 OK x\r\n"
    "* STATUS \"Sent/1\" (MESSAGES 12)\r\na4 OK x\r\n* 9 EXISTS\r\n* OK [UIDNEXT 10] x\r\na5 OK [READ-WRITE] "
    "x\r\n"
    "* 1 FETCH (UID 2 FLAGS (\\Seen work) MODSEQ (7))\r\n* 2 FETCH (UID 3 FLAGS ())\r\na6 OK x\r\n"
    "* ESEARCH (TAG \"a7\") UID ALL 2:3,9\r\na7 OK x\r\n* 1 FETCH (UID 2 BODY[] "
    "{12}\r\none\r\ntwo\r\n\r\n)\r\n"
    "* 2 FETCH (UID 3 FLAGS (\\Seen) BODY[] \"q\")\r\na8 OK x\r\n* OK [COPYUID 1 2:3 7:8] x\r\n* 1 "
    "EXPUNGE\r\na9 OK x\r\n"
    "+ go\r\na10 OK [APPENDUID 1 9] x\r\n";
static const char pop3_stream[] =
    "+OK ready <1@a>\r\n+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n+OK in\r\n+OK\r\n1 5\r\n2 6\r\n3 "
    "7\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n.\r\n"
    "+OK\r\nhello\r\n..\r\n.\r\n+OK\r\n.\r\n+OK\r\nlast\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n";

static struct conn *cut_at(struct str bytes, int *other)
{
        int fds[2];

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        must(send(fds[0], bytes.p, bytes.n, 0) == (ssize_t)bytes.n);
        must(shutdown(fds[0], SHUT_WR) == 0);
        *other = fds[0];
        return conn_new(fds[1], (struct addr){ 0 }, (struct addr){ 0 });
}

static int imap_cut(struct conn *conn)
{
        struct imap_client_how how = { .host = "x" };
        struct imap_answer answer;
        struct imap_client *c;
        int rc = imap_client_open(&c, conn, &how, &answer);

        if (rc == 0)
                rc = imap_client_login(c, "jill", "tumb", &answer);
        for (const char *a = "Lsfulma"; rc == 0 && *a; a++)
                rc = act(c, *a, &answer);
        imap_client_close(&c, 0);
        return rc;
}

static int pop3_cut(struct conn *conn)
{
        struct pop3_client_how how = { .host = "x" };
        struct pop3_answer answer;
        struct pop3_client *c;
        int rc = pop3_client_open(&c, conn, &how, &answer);

        if (rc == 0)
                rc = pop3_client_login(c, "jill", "tumb", &answer);
        for (const char *a = "Lrd"; rc == 0 && *a; a++)
                rc = act_pop3(c, *a, &answer);
        pop3_client_drop(&c);
        return rc;
}

static void cut_everywhere(struct str bytes, int (*play)(struct conn *conn))
{
        auto_buf struct buf whole = { 0 };

        buf_init(&whole, 1 << 20);
        for (size_t n = bytes.n + 1; n-- > 0;) {
                int other, rc;

                buf_clear(&told);
                arena_reset(&arena);
                rc = play(cut_at(str_sub(bytes, 0, n), &other));
                if (rc != (n == bytes.n ? 0 : -ECONNRESET))
                        die("cut at %zu: %d", n, rc);
                close(other);
                if (!whole.n)
                        buf_puts(&whole, buf_str(&told));
                /* the uid of an APPEND that was not answered is told as 0 */
                if (!str_starts(buf_str(&whole), buf_str(&told)) && !str_ends(buf_str(&told), S("0 ")))
                        die("cut at %zu told \"" PRS "\"", n, STR(buf_str(&told)));
        }
}

static void plays(void *arg)
{
        (void)arg;
        arena_init(&arena, 64 << 20);
        buf_init(&told, 1 << 20);
        for (size_t i = 0; i < LENGTH(imap_plays); i++)
                play_imap(&imap_plays[i]);
        for (size_t i = 0; i < LENGTH(pop3_plays); i++)
                play_pop3(&pop3_plays[i]);
        cut_everywhere(str_of(imap_stream), imap_cut);
        cut_everywhere(str_of(pop3_stream), pop3_cut);
        arena_finish(&arena);
        buf_free(&told);
        loop_stop();
}

static void the_clients_talk(void **state)
{
        (void)state;
        loop_init();
        assert_int_equal(offload_start(1, 1), 0);
        assert_int_equal(fiber_spawn("plays", plays, NULL), 0);
        loop_run();
        offload_finish();
        loop_finish();
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(the_clients_talk) };

        log_quiet = true;
        return cmocka_run_group_tests_name("mail_clients", tests, NULL, NULL);
}
