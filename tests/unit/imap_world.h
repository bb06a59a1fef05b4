/* What tests of IMAP play in: a server on a real store with an account for jill, and a keeper to whom everybody is who he says he is. */
#pragma once
#include "fibers.h"
#include "base/mem.h"
#include "proto/imap/imap.h"
#include "run/log.h"
#include "run/offload.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Inside a fiber cmocka must not jump out: what does not hold there ends the process. */
#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(120) /* reached by no test that passes */

static const struct addr here = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = 143 };

/* --- the keeper: everybody is jill ------------------------------------------------------------------------------- */

enum signin_result keeper_password(struct channel *keeper, const struct signin *who, struct str name,
                                   struct str password, struct arena *a, struct str *account)
{
        (void)keeper;
        (void)who;
        (void)password;
        *account = arena_str(a, name);
        return SIGNIN_OK;
}

struct str sasl_mechanisms(bool tls, bool plaintext_allowed, bool with_scram)
{
        (void)tls;
        (void)plaintext_allowed;
        (void)with_scram;
        return S("");
}

enum signin_result keeper_sasl_start(struct channel *keeper, const struct signin *who, struct str mechanism,
                                     struct str initial, bool has_initial, struct arena *a,
                                     struct sasl_exchange *x)
{
        (void)keeper;
        (void)who;
        (void)mechanism;
        (void)initial;
        (void)has_initial;
        (void)a;
        (void)x;
        return SIGNIN_NO;
}

enum signin_result keeper_sasl_step(struct channel *keeper, struct str token, struct arena *a,
                                    struct sasl_exchange *x)
{
        (void)keeper;
        (void)token;
        (void)a;
        (void)x;
        return SIGNIN_NO;
}

void keeper_sasl_drop(struct channel *keeper, struct sasl_exchange *x)
{
        (void)keeper;
        (void)x;
}

/* --- the world --------------------------------------------------------------------------------------------------- */

struct world {
        struct server server;
        struct settings settings;
        char folder[64];
        int mail;
        struct account *jill;
};
static long parking;

static void open_world(struct world *w)
{
        auto_buf struct buf path, why;
        int fd;

        *w = (struct world){ .folder = "/tmp/test-imap-XXXXXX" };
        must(mkdtemp(w->folder));
        fd = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(fd >= 0 && mkdirat(fd, "mail", 0700) == 0);
        w->mail = openat(fd, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(accounts_open(&w->server.accounts, openat(fd, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 8) ==
             0);
        close(fd);
        must(account_create(w->server.accounts, S("jill@hill.com")) == 0);
        must(account_get(w->server.accounts, S("jill@hill.com"), &w->jill) == 0);
        buf_init(&path, 1000);
        buf_init(&why, 1000);
        buf_printf(&path, "%s/directory.db", w->folder);
        buf_u8(&path, 0);
        must(directory_open(&w->server.directory, path.p, true) == 0);
        must(directory_add_domain(w->server.directory, S("hill.com"), S(""), &why) == 0);
        must(directory_add_account(w->server.directory, S("jill@hill.com"), &why) == 0);
        settings_default(&w->settings);
        w->settings.park_after_ms = parking;
        w->settings.max_letter_size = 60 << 20;
        w->server.settings = &w->settings;
        w->server.kinds[PROTOCOL_IMAP] = &imap_kind;
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
        directory_close(&w->server.directory);
        settings_free(&w->settings);
        close(w->mail);
        must(nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static inline struct mailbox_view inbox(struct world *w)
{
        struct mailbox_view view;

        must(account_view(w->jill, INBOX, &view) == 0);
        return view;
}

/* Files of letters that arrive. */
static inline unsigned staged(struct world *w)
{
        int fd = openat(w->mail, ".staged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        unsigned n = 0;

        while (d && (e = readdir(d)))
                n += str_ends(str_of(e->d_name), S(".body"));
        if (d)
                closedir(d);
        return n;
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
        session_start(&w->server, theirs, PROTOCOL_IMAP);
        return ours;
}

/* Untagged lines up to the one that begins so. */
static inline struct str expect(struct conn *c, const char *begin)
{
        struct str line;

        do {
                enum got got = conn_line(c, &line, 100000, SOON);

                if (got != GOT_LINE)
                        die("expected \"%s\", got the end (%d)", begin, got);
        } while (str_starts(line, S("* ")) && !str_starts(line, str_of(begin)));
        if (!str_starts(line, str_of(begin)))
                die("expected \"%s\", got \"" PRS "\"", begin, STR(line));
        return line;
}

static inline void say(struct conn *c, const char *text)
{
        conn_put(c, str_of(text));
}

static inline struct conn *sign_in(struct world *w)
{
        struct conn *c = visit(w);

        expect(c, "* OK");
        say(c, "a LOGIN jill@hill.com x\r\n");
        expect(c, "a OK");
        return c;
}

static inline void leave(struct conn **c)
{
        say(*c, "z LOGOUT\r\n");
        expect(*c, "z OK");
        conn_free(c);
}

/* A test in a fiber, with sessions that never park, and with sessions that park between every two commands. */
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

static inline void run_both(void (*test)(void *))
{
        static const long parkings[] = { -1, 0 };
        static struct test t;

        for (size_t i = 0; i < 2; i++) {
                parking = parkings[i];
                t = (struct test){ .run = test };
                loop_init();
                spawn(test_fiber, &t);
                run_all();
                offload_finish();
                loop_finish();
        }
}
