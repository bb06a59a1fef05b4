/* A keeper of three people and a front of its own in one process, for the tests of the keeper. */
#pragma once
#include "fibers.h"
#include "unit.h"
#include "base/codec.h"
#include "base/mem.h"
#include "proto/keeper_message.h"
#include "role/keeper.h"
#include "run/log.h"
#include "store/directory.h"
#include "store/secrets.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/pail-keeper-XXXXXX";
static char secrets_file[64], directory_file[64];
static struct settings settings;
static struct keeper *keeper;
static struct channel *front; /* our end */
static int64_t now_is = 1000000;
static struct arena arena;
static char told[256]; /* what the keeper told us, in order */

static inline int64_t set_clock(void)
{
        return now_is;
}

/* ---- what the keeper tells ---- */

static inline void hears_ban(struct channel_message *m)
{
        struct unpack u = unpack_of(m->body);
        struct ban_entry e;

        while (ban_entry_next(&u, &e)) {
                size_t n = strlen(told);

                snprintf(told + n, sizeof told - n, "%s %s %lld;", e.until ? "refuse" : "allow",
                         addr_text(e.net).z, e.until ? (long long)(e.until - now_is) : 0);
        }
}

static inline void hears_sign_out(struct channel_message *m)
{
        size_t n = strlen(told);

        snprintf(told + n, sizeof told - n, "out " PRS ";", STR(m->body));
}

static const struct channel_kind to_front[] = {
        { TELL_BAN, "ban", hears_ban },
        { TELL_SIGN_OUT, "sign out", hears_sign_out },
        { 0 },
};

static inline void let_others_run(void)
{
        for (int i = 0; i < 20; i++)
                fiber_yield();
}

/* ---- a keeper of three people ---- */

static inline void attach(void)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        keeper_front(keeper, pair[0]);
        front = channel_new(pair[1], to_front, NULL, NULL);
}

static inline void open_keeper(void)
{
        struct keeper_setup setup = { secrets_file, directory_file, &settings, true, set_clock };

        assert_int_equal(keeper_start(&keeper, &setup), 0);
        attach();
}

static inline void close_keeper(void)
{
        channel_free(&front);
        keeper_stop(&keeper);
}

static inline struct str secret(enum set_secret what, const char *account, const char *label,
                                const char *password, unsigned scope, unsigned with, int want)
{
        struct ask_set_secret m = { what, str_of(account), str_of(label), str_of(password), scope, with };
        struct buf auto_buf text = { 0 };

        buf_init(&text, 4000);
        assert_int_equal(keeper_set_secret(keeper, &m, &text), want);
        return arena_str(&arena, buf_str(&text));
}

static inline void people(void)
{
        struct directory *d;
        struct buf auto_buf why = { 0 };

        buf_init(&why, 1000);
        unlink(secrets_file);
        unlink(directory_file);
        assert_int_equal(directory_open(&d, directory_file, true), 0);
        assert_int_equal(directory_add_domain(d, S("hill.com"), S(""), &why), 0);
        assert_int_equal(directory_add_account(d, S("jill@hill.com"), &why), 0);
        assert_int_equal(directory_add_account(d, S("jack@hill.com"), &why), 0);
        assert_int_equal(directory_add_account(d, S("tom@hill.com"), &why), 0); /* without a password */
        assert_int_equal(directory_add_login(d, S("jill@hill.com"), S("tumbler"), &why), 0);
        directory_close(&d);
        open_keeper();
        secret(SET_PASSWORD, "jill@hill.com", "", "tumbling", 0, WITH_SCRAM | WITH_APOP, 0);
        secret(SET_PASSWORD, "jack@hill.com", "", "crown", 0, 0, 0);
        let_others_run();
        told[0] = 0;
}

/* ---- asking ---- */

static inline struct signin from(const char *peer, unsigned scope)
{
        struct signin who = { .scope = scope };

        assert_true(addr_parse(str_of(peer), 0, &who.peer));
        return who;
}

static inline enum signin_result signin(const char *peer, unsigned scope, const char *name,
                                        const char *password)
{
        struct signin who = from(peer, scope);
        struct str account;
        enum signin_result r = keeper_password(front, &who, str_of(name), str_of(password), &arena, &account);

        assert_int_equal(account.n > 0, r == SIGNIN_OK);
        if (r == SIGNIN_OK)
                assert_true(str_ends(account, S("@hill.com")));
        return r;
}

/* ---- */

static inline void in_a_fiber(void **state)
{
        fiber_fn *test = *(fiber_fn **)*state;

        settings_default(&settings);
        settings.signin_delay_ms = 0;
        arena_init(&arena, (size_t)64 << 20);
        log_quiet = true;
        told[0] = 0;
        assert_int_equal(offload_start(1, 2), 0);
        spawn(test, NULL);
        run_all();
        arena_finish(&arena);
        settings_free(&settings);
}

static inline int make_folder(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        snprintf(secrets_file, sizeof secrets_file, "%s/secrets.db", folder);
        snprintf(directory_file, sizeof directory_file, "%s/directory.db", folder);
        return 0;
}

static inline int remove_folder(void **state)
{
        static const char *const ends[] = { "", "-wal", "-shm" };
        char name[80];

        (void)state;
        unlink(directory_file);
        for (size_t i = 0; i < LENGTH(ends); i++) {
                snprintf(name, sizeof name, "%s%s", secrets_file, ends[i]);
                unlink(name);
        }
        return rmdir(folder);
}

struct unit {
        const char *name;
        fiber_fn *run;
};

static inline int run_units(const struct unit *all, size_t n)
{
        struct CMUnitTest *tests = mem_array(n, sizeof(*tests));
        int rc;

        for (size_t i = 0; i < n; i++)
                tests[i] = (struct CMUnitTest){ all[i].name, in_a_fiber, begin, finish,
                                                (void *)(uintptr_t)&all[i].run };
        rc = _cmocka_run_group_tests("keeper", tests, n, make_folder, remove_folder);
        mem_free(tests);
        return rc;
}
