/* Which certificates a person has said yes to: rows found, hosts and ports apart, the question, what is kept. */
#include "unit.h"
#include "cli/known.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static char home[] = "/tmp/pail-test-known-XXXXXX";
static char file[128];

static void put(const char *text)
{
        FILE *f = fopen(file, "w");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static void holds(const char *want)
{
        char text[1024];
        FILE *f = fopen(file, "r");
        size_t n;

        assert_non_null(f);
        n = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
        text[n] = 0;
        if (!strstr(text, want))
                fail_msg("no \"%s\" in \"%s\"", want, text);
}

static int begin(void **state)
{
        char folder[100];

        (void)state;
        assert_non_null(mkdtemp(home));
        setenv("XDG_CONFIG_HOME", home, 1);
        snprintf(folder, sizeof(folder), "%s/pail", home);
        snprintf(file, sizeof(file), "%s/known-certificates", folder);
        return 0;
}

static int end(void **state)
{
        char folder[100];

        (void)state;
        snprintf(folder, sizeof(folder), "%s/pail", home);
        unlink(file);
        rmdir(folder);
        return rmdir(home);
}

/* In a child with a terminal, on which `answer` is typed: what known_asked says. */
static bool asked(const char *host, unsigned port, const struct tls_found *found, const char *answer,
                  bool changed)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
        pid_t child;

        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        assert_true(write(master, answer, strlen(answer)) == (ssize_t)strlen(answer));
        child = fork();
        if (!child) {
                struct known k;
                bool yes;

                setsid();
                ioctl(slave, TIOCSCTTY, 0);
                known_want(&k, host, port, KNOWN_ASK, NULL);
                yes = known_asked(&k, found);
                if (k.changed != changed)
                        _exit(3);
                _exit(yes ? k.want.trust == TRUST_PINNED && !memcmp(k.want.pin, found->fingerprint, 32) ? 0
                                                                                                        : 4
                          : 1);
        }
        waitpid(child, &status, 0);
        close(slave);
        close(master);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        return WEXITSTATUS(status) == 0;
}

static void what_is_wanted(void **state)
{
        struct known k;

        (void)state;
        known_want(&k, "mail.hill.com", 993, KNOWN_ASK, NULL); /* no folder yet */
        assert_int_equal(k.want.trust, TRUST_NAMES);
        assert_str(k.want.names[0], S("mail.hill.com"));
        known_want(&k, "mail.hill.com", 993, KNOWN_ANY, "ca.pem");
        assert_int_equal(k.want.trust, TRUST_NOTHING);
        assert_string_equal(k.want.ca_file, "ca.pem");
}

static void asks_and_keeps(void **state)
{
        struct tls_found found = { .why = "self-signed" }, nothing = { .why = "no certificate" };
        struct known k;

        (void)state;
        for (size_t i = 0; i < sizeof(found.fingerprint); i++)
                found.fingerprint[i] = 0xAA;
        assert_false(asked("mail.hill.com", 993, &found, "\n", false));
        assert_false(asked("mail.hill.com", 993, &nothing, "y\n", false)); /* nothing to say yes to */
        assert_int_equal(access(file, F_OK), -1);
        assert_true(asked("mail.hill.com", 993, &found, "y\n", false));
        holds("mail.hill.com 993 sha256:" HEX_A " 20");
        known_want(&k, "MAIL.hill.com", 993, KNOWN_REFUSE, NULL);
        assert_int_equal(k.want.trust, TRUST_PINNED);
        assert_memory_equal(k.want.pin, found.fingerprint, 32);
        known_want(&k, "mail.hill.com", 143, KNOWN_ASK, NULL);
        assert_int_equal(k.want.trust, TRUST_NAMES);
        known_want(&k, "hill.com", 993, KNOWN_ASK, NULL);
        assert_int_equal(k.want.trust, TRUST_NAMES);
}

static void one_that_changed_replaces_its_row_only(void **state)
{
        struct tls_found found = { .why = "self-signed" };
        struct stat st;

        (void)state;
        put("# mine\nmail.hill.com 993 sha256:" HEX_A " 2026-01-01\ntown.com 21 sha256:" HEX_A
            " 2026-01-01\n");
        for (size_t i = 0; i < sizeof(found.fingerprint); i++)
                found.fingerprint[i] = 0xBB;
        assert_false(asked("mail.hill.com", 993, &found, "n\n", true));
        holds("mail.hill.com 993 sha256:" HEX_A);
        assert_true(asked("mail.hill.com", 993, &found, "y\n", true));
        holds("# mine\ntown.com 21 sha256:" HEX_A " 2026-01-01\nmail.hill.com 993 sha256:bbbb");
        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void broken_rows_count_for_nothing(void **state)
{
        static const char *const rows[] = { "a.com 993 sha256:abc 2026\n",
                                            "a.com 993 md5:" HEX_A " 2026\n",
                                            "a.com 99 3 sha256:" HEX_A "\n",
                                            "a.com 993 sha256:g" HEX_A "\n",
                                            "a.com\n",
                                            "\n",
                                            "a.com 993 sha256:" HEX_A "a 2026\n" };
        struct known k;

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                put(rows[i]);
                known_want(&k, "a.com", 993, KNOWN_ASK, NULL);
                assert_int_equal(k.want.trust, TRUST_NAMES);
        }
}

static void nobody_to_ask(void **state)
{
        struct tls_found found = { .why = "self-signed", .fingerprint = { 1 } };
        struct known k;

        (void)state;
        known_want(&k, "a.com", 993, KNOWN_REFUSE, NULL);
        assert_false(known_asked(&k, &found));
        if (!fork()) {
                setsid(); /* no terminal */
                known_want(&k, "a.com", 993, KNOWN_ASK, NULL);
                _exit(known_asked(&k, &found));
        } else {
                int status;

                wait(&status);
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_wanted),
                cmocka_unit_test(asks_and_keeps),
                cmocka_unit_test(one_that_changed_replaces_its_row_only),
                cmocka_unit_test(broken_rows_count_for_nothing),
                cmocka_unit_test(nobody_to_ask),
        };

        alarm(60);
        return cmocka_run_group_tests_name("known", tests, begin, end);
}
