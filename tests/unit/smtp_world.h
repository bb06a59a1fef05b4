/* What test_smtp.c talks with: a server over socketpairs, with a real directory and store in a temporary folder; the
 * keeper is one here that knows one password. Scripts are transcripts (proto/transcript.h); `raw "..."` sends bytes,
 * `end` waits for the server to close. */
#pragma once
#include "unit.h"
#include "smtp_scripts.h"
#include "base/mem.h"
#include "proto/keeper_message.h"
#include "proto/smtp/smtp.h"
#include "proto/transcript.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/account.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Inside a fiber cmocka must not jump out: what does not hold there ends the process. */
#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(60) /* reached by no test that passes */

static char folder[] = "/tmp/pail-smtp-XXXXXX";
static struct settings settings;
static struct server server;

/* --- the people ---------------------------------------------------------------------------------------------- */

static void must_be_done(int rc, struct buf *why)
{
        if (rc < 0)
                die("directory: " PRS, STR(buf_str(why)));
        buf_clear(why);
}

static int open_below(const char *name)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        must(mkdir(path, 0700) == 0);
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void fill_directory(struct directory *d)
{
        static const char *const accounts[] = { "jill@hill.com", "jack@town.com", "bob@hill.com",
                                                "old@hill.com", "full@hill.com" };
        auto_buf struct buf why;

        buf_init(&why, 1000);
        must_be_done(directory_add_domain(d, S("hill.com"), S(""), &why), &why);
        must_be_done(directory_add_domain(d, S("town.com"), S(""), &why), &why);
        for (size_t i = 0; i < LENGTH(accounts); i++) {
                must_be_done(directory_add_account(d, str_of(accounts[i]), &why), &why);
                must(account_create(server.accounts, str_of(accounts[i])) == 0);
        }
        must_be_done(directory_set_account(d, S("jill@hill.com"), S("real-name"), S("Jill Hill"), &why),
                     &why);
        must_be_done(directory_grant(d, S("jill@hill.com"), S("@office.example"), true, &why), &why);
        must_be_done(
            directory_set_account(d, S("bob@hill.com"), S("forward-to"), S("bob@away.example"), &why), &why);
        must_be_done(directory_set_account(d, S("bob@hill.com"), S("keep-copy"), S("no"), &why), &why);
        must_be_done(directory_set_account(d, S("old@hill.com"), S("moved-to"), S("new@away.example"), &why),
                     &why);
        must_be_done(directory_set_account(d, S("full@hill.com"), S("quota"), S("1000"), &why), &why);
        must_be_done(directory_add_alias(d, S("water@hill.com"), S("jill@hill.com"), &why), &why);
        must_be_done(directory_add_list(d, S("friends@hill.com"), &why), &why);
        must_be_done(directory_add_member(d, S("friends@hill.com"), S("jack@town.com"), &why), &why);
        must_be_done(directory_add_member(d, S("friends@hill.com"), S("jill@hill.com"), &why), &why);
}

/* One sign-in: jill, by PLAIN or by the two questions of LOGIN (here: one, answered with the password). */
static void answer(struct channel_message *m, enum signin_result result, const char *token)
{
        struct signin_answer a = { .result = result, .handle = 7, .token = str_of(token) };
        auto_buf struct buf out;

        if (result == SIGNIN_OK)
                a.account = S("jill@hill.com");
        buf_init(&out, CHANNEL_BODY);
        signin_answer_pack(&a, &out);
        channel_answer(m, buf_str(&out), -1);
}

static void keeper_start(struct channel_message *m)
{
        struct ask_sasl_start a;

        must(ask_sasl_start_unpack(&a, m->body));
        if (str_ieq(a.mechanism, S("LOGIN")))
                answer(m, SIGNIN_MORE, "Password:");
        else if (!str_ieq(a.mechanism, S("PLAIN")))
                answer(m, SIGNIN_UNKNOWN, "");
        else if (!a.has_initial)
                answer(m, SIGNIN_MORE, "");
        else
                answer(m, str_eq(a.initial, S("\0jill\0tumbling")) ? SIGNIN_OK : SIGNIN_NO, "");
}

static void keeper_step(struct channel_message *m)
{
        struct ask_sasl_step a;

        must(ask_sasl_step_unpack(&a, m->body) && a.handle == 7);
        answer(m, str_ends(a.token, S("tumbling")) ? SIGNIN_OK : SIGNIN_NO,
               str_ends(a.token, S("!tumbling")) ? "v=1" : "");
}

static unsigned dropped;
static void keeper_drop(struct channel_message *m)
{
        (void)m;
        dropped++;
}

static const struct channel_kind keeper_kinds[] = {
        { ASK_SASL_START, "start", keeper_start },
        { ASK_SASL_STEP, "step", keeper_step },
        { TELL_SASL_DROP, "drop", keeper_drop },
        { 0 },
};
static const struct channel_kind front_kinds[] = { { 0 } };
static struct channel *keeper_side;

static void open_world(void)
{
        static const struct intake_limits limits = { .segment_size = 1 << 20,
                                                     .max_log_size = 64 << 20,
                                                     .settle_after = 1 };
        static const struct intake_hooks hooks = { .processes = 1 };
        char path[128];
        int fds[2];

        must(accounts_open(&server.accounts, open_below("mail"), 64) == 0);
        must(outbox_open(&server.outbox, open_below("outbox")) == 0);
        must(intake_open(&server.intake, open_below("intake"), server.accounts, server.outbox, &limits,
                         &hooks) == 0);
        snprintf(path, sizeof(path), "%s/directory.db", folder);
        must(directory_open(&server.directory, path, true) == 0);
        fill_directory(server.directory);
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        server.keeper = channel_new(fds[0], front_kinds, NULL, NULL);
        keeper_side = channel_new(fds[1], keeper_kinds, NULL, NULL);
}

static void close_world(void)
{
        must(intake_drain(server.intake, SOON) == 0);
        channel_free(&server.keeper);
        channel_free(&keeper_side);
        intake_close(&server.intake);
        accounts_close(&server.accounts);
        outbox_close(&server.outbox);
        directory_close(&server.directory);
}

/* --- talking ------------------------------------------------------------------------------------------------- */

/* "\r\n" and "\x00" between the quotes */
static struct str raw_bytes(struct arena *m, struct str quoted)
{
        char *p = arena_alloc(m, quoted.n + 1);
        size_t n = 0;

        for (size_t i = 1; i + 1 < quoted.n; i++) {
                char c = quoted.p[i];

                if (c == '\\') {
                        c = quoted.p[++i];
                        c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
                }
                p[n++] = c;
        }
        return str_from(p, n);
}

static void expect(struct conn *c, const struct transcript_line *want, const char *name)
{
        struct str line;
        enum got got = conn_line(c, &line, 4096, SOON);

        if (got != GOT_LINE || !transcript_matches(want->text, line))
                die("%s:%u: want \"" PRS "\", got \"" PRS "\" (%d)", name, want->number, STR(want->text),
                    STR(line), (int)got);
}

static void directive(struct conn *c, struct arena *m, struct str text)
{
        struct str line;

        if (str_starts(text, S("raw ")))
                conn_put(c, raw_bytes(m, str_trim(str_from_at(text, 4))));
        else if (str_eq(text, S("flush")))
                conn_flush(c, SOON); /* a segment of its own */
        else if (str_eq(text, S("end")))
                must(conn_line(c, &line, 100, SOON) == GOT_END);
        else
                die("no such directive: " PRS, STR(text));
}

static void talk_on(struct conn *c, const char *name, const char *script)
{
        struct transcript_line *lines;
        auto_arena struct arena m;
        auto_buf struct buf why;
        size_t n;

        arena_init(&m, 1 << 20);
        buf_init(&why, 1000);
        if (transcript_read(str_of(script), &m, &lines, &n, &why) < 0)
                die("%s:" PRS, name, STR(buf_str(&why)));
        for (size_t i = 0; i < n; i++) {
                switch (lines[i].kind) {
                case TRANSCRIPT_SERVER: expect(c, &lines[i], name); break;
                case TRANSCRIPT_CLIENT:
                        conn_put(c, lines[i].text);
                        conn_put(c, S("\r\n"));
                        break;
                case TRANSCRIPT_DIRECTIVE: directive(c, &m, lines[i].text); break;
                case TRANSCRIPT_DATA: die("%s: D: is FTP's", name);
                }
        }
}

static struct conn *connect_to(struct addr peer, struct addr local, enum protocol protocol)
{
        int fds[2];

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        session_start(&server, conn_new(fds[0], peer, local), protocol);
        return conn_new(fds[1], here, here);
}

static struct conn *connect_from(struct addr peer, enum protocol protocol)
{
        return connect_to(peer, here, protocol);
}

static void talk(const char *name, struct addr peer, enum protocol protocol, const char *script)
{
        struct conn *c = connect_from(peer, protocol);

        talk_on(c, name, script);
        conn_free(&c);
        while (server.session_count)
                fiber_yield();
}

/* What jill and the others have got since the last look: all letters of the inbox, one after another. */
static struct str inbox(struct buf *out, struct str name, unsigned *count)
{
        struct mailbox_view view;
        struct placed *list;
        struct account *a;
        size_t n;

        buf_clear(out);
        must(intake_drain(server.intake, SOON) == 0);
        must(account_get(server.accounts, name, &a) == 0);
        must(account_view(a, INBOX, &view) == 0);
        must(account_list(a, &view, &list, &n) == 0);
        *count = view.count;
        for (size_t i = 0; i < n; i++)
                if (list[i].letter)
                        must(letter_read(a, list[i].letter, 0, list[i].size, out) == 0);
        account_list_free(&list);
        account_put(&a);
        return buf_str(out);
}
