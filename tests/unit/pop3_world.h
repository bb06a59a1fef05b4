/* What test_pop3.c plays in: a server on a real store with jill's mailbox, a keeper that knows her, and a client that
 * speaks transcripts. */
#pragma once
#include "fibers.h"
#include "base/codec.h"
#include "base/mem.h"
#include "proto/pop3/pop3.h"
#include "proto/transcript.h"
#include "run/log.h"
#include "store/body.h"

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
#define SOON       in_seconds(120) /* reached by no test that passes */

static const struct addr here = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = 110 };

/* ---- the keeper: jill's password is tumbling, her name also jill@hill.com ---- */

static enum signin_result answer(bool good, struct arena *a, struct str *account)
{
        *account = good ? arena_str(a, S("jill@hill.com")) : S("");
        return good ? SIGNIN_OK : SIGNIN_NO;
}

enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account)
{
        (void)keeper;
        if (str_eq(name, S("later")))
                return SIGNIN_LATER;
        must(who->scope == SCOPE_POP3 && addr_loopback(who->peer) && !who->tls);
        return answer(str_eq(name, S("jill")) && str_eq(password, S("tumbling down ")), a, account);
}

enum signin_result keeper_apop(struct channel *keeper, const struct signin *who, struct str name,
                               struct str stamp, struct str digest, struct arena *a, struct str *account)
{
        (void)keeper;
        (void)who;
        must(str_starts(stamp, S("<")) && str_ends(stamp, S("@hill.com>")));
        return answer(str_eq(name, S("jill")) && str_eq(digest, S("0123456789abcdef0123456789abcdef")), a,
                      account);
}

struct str sasl_mechanisms(bool tls, bool plaintext_allowed, bool with_scram)
{
        must(!tls && !with_scram); /* the settings do not offer it */
        return plaintext_allowed ? S("ROUNDS PLAIN") : S("ROUNDS");
}

/* PLAIN, and ROUNDS: asks "one", then "two", and after success sends "three". */
enum signin_result keeper_sasl_start(struct channel *keeper, const struct signin *who, struct str mechanism,
                                     struct str initial, bool has_initial, struct arena *a,
                                     struct sasl_exchange *x)
{
        (void)keeper;
        (void)who;
        x->token = x->account = S("");
        x->handle = 0;
        if (str_ieq(mechanism, S("ROUNDS"))) {
                must(!has_initial);
                x->token = S("one");
                return SIGNIN_MORE;
        }
        if (!has_initial)
                return SIGNIN_MORE;
        return keeper_sasl_step(keeper, initial, a, x);
}

static unsigned dropped;

enum signin_result keeper_sasl_step(struct channel *keeper, struct str token, struct arena *a,
                                    struct sasl_exchange *x)
{
        (void)keeper;
        x->handle++;
        if (str_eq(token, S("endless")))
                return SIGNIN_MORE;
        if (str_eq(token, S("1"))) {
                x->token = S("two");
                return SIGNIN_MORE;
        }
        x->token = str_eq(token, S("2")) ? S("three") : S("");
        return answer(str_eq(token, S("2")) || str_eq(token, S("\0jill\0tumbling")), a, &x->account);
}

void keeper_sasl_drop(struct channel *keeper, struct sasl_exchange *x)
{
        (void)keeper;
        (void)x;
        dropped++;
}

/* ---- a server with jill's mailbox ---- */

struct world {
        struct server server;
        struct settings settings;
        char folder[64];
        struct account *jill;
        int intake; /* where long letters are staged */
};
static long parking; /* park-after of this run */

static void open_world(struct world *w)
{
        int fd;

        *w = (struct world){ .folder = "/tmp/test-pop3-XXXXXX" };
        must(mkdtemp(w->folder));
        fd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(fd >= 0);
        must(mkdirat(fd, "intake", 0700) == 0 && mkdirat(fd, "mail", 0700) == 0);
        w->intake = openat(fd, "intake", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(accounts_open(&w->server.accounts, openat(fd, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 8) ==
             0);
        close(fd);
        must(account_create(w->server.accounts, S("jill@hill.com")) == 0);
        must(account_get(w->server.accounts, S("jill@hill.com"), &w->jill) == 0);
        settings_default(&w->settings);
        mem_free(w->settings.host_name);
        w->settings.host_name = mem_string(S("hill.com"));
        w->settings.park_after_ms = parking;
        w->settings.max_errors = 12;
        w->server.settings = &w->settings;
        w->server.kinds[PROTOCOL_POP3] = &pop3_kind;
        dropped = 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
        (void)st;
        (void)kind;
        (void)where;
        return remove(path);
}

static void close_world(struct world *w)
{
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        account_put(&w->jill);
        accounts_close(&w->server.accounts);
        settings_free(&w->settings);
        close(w->intake);
        must(nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

/* A letter over 64 KB comes as a staged body. */
static void file(struct world *w, struct str text)
{
        struct filing f = { .mailbox = INBOX, .text = text, .staged_dir = -1 };
        struct body_stage *stage;

        if (text.n > BODY_INLINE_MAX) {
                f.text = S("");
                f.staged_dir = w->intake;
                f.staged_name = "letter.body";
                must(body_stage_open(&stage, w->intake, f.staged_name) == 0);
                must(body_stage_put(stage, text) == 0 && body_stage_finish(stage) == 0);
                body_stage_close(&stage, true);
        }
        must(account_file_synced(w->jill, &f, 1) == 0 && f.error == 0);
        if (f.staged_name)
                must(unlinkat(w->intake, f.staged_name, 0) == 0);
}

static uint32_t count(struct world *w)
{
        struct mailbox_view view;

        must(account_view(w->jill, INBOX, &view) == 0);
        return view.count;
}

static struct conn *visit(struct world *w)
{
        int pair[2];
        struct conn *ours, *theirs;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        theirs = conn_new(pair[0], here, here);
        ours = conn_new(pair[1], here, here);
        must(theirs && ours);
        conn_park_after(ours, -1);
        session_start(&w->server, theirs, PROTOCOL_POP3);
        return ours;
}

/* Holds a transcript against a connection; it says what did not match and ends the process. */
static inline void talk(struct conn *c, struct str text)
{
        auto_arena struct arena arena;
        auto_buf struct buf why;
        struct transcript_line *lines;
        struct str got;
        size_t n;

        arena_init(&arena, 1 << 20);
        buf_init(&why, 1000);
        must(transcript_read(text, &arena, &lines, &n, &why) == 0);
        for (size_t i = 0; i < n; i++) {
                if (lines[i].kind == TRANSCRIPT_CLIENT) {
                        conn_put(c, lines[i].text);
                        conn_put(c, S("\r\n"));
                        continue;
                }
                if (conn_line(c, &got, 100000, SOON) != GOT_LINE || !transcript_matches(lines[i].text, got))
                        die("expected \"" PRS "\", got \"" PRS "\"", STR(lines[i].text), STR(got));
        }
}

static inline void leave(struct conn **c)
{
        struct str line;

        must(conn_line(*c, &line, 1000, SOON) == GOT_END);
        conn_free(c);
}

static inline struct conn *sign_in(struct world *w)
{
        struct conn *c = visit(w);

        talk(c, S("S: +OK POP3 server ready <*@hill.com>\nC: USER jill\nS: +OK*\nC: PASS tumbling down \n"
                  "S: +OK user successfully logged on"));
        return c;
}

/* RETR or TOP: what comes, without the stuffing, must be `want`. */
static inline void fetches(struct conn *c, const char *command, struct str want)
{
        auto_buf struct buf got;
        struct str line;

        buf_init(&got, 64 << 20);
        conn_printf(c, "%s\r\n", command);
        must(conn_line(c, &line, 1000, SOON) == GOT_LINE && str_starts(line, S("+OK")));
        while (conn_line(c, &line, 100000, SOON) == GOT_LINE && !str_eq(line, S("."))) {
                buf_puts(&got, str_from_at(line, str_starts(line, S("."))));
                buf_puts(&got, S("\r\n"));
        }
        if (!str_eq(buf_str(&got), want))
                die("%s: %zu bytes instead of %zu, or other ones", command, got.n, want.n);
}
