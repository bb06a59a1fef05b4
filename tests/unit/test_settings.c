#include "unit.h"
#include "settings.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The sentence that setting `name` to `value` gives, or "" when it was taken. */
static const char *set(struct settings *s, const char *name, const char *value)
{
        static char sentence[1000];
        struct buf auto_buf why = { 0 };
        int rc;

        buf_init(&why, sizeof(sentence) - 1);
        rc = settings_set(s, str_of(name), str_of(value), &why);
        assert_int_equal(rc<0, why.n> 0);
        snprintf(sentence, sizeof(sentence), PRS, STR(buf_str(&why)));
        return sentence;
}

static void one_by_one(void **state)
{
        static const struct {
                const char *name, *value, *why;
        } rows[] = {
                { "workers", "2", "" },
                { "workers", "500", "workers: 500 is more than 64" },
                { "workers", "two", "workers: two is not a number" },
                { "workers", "-1", "workers: -1 is not a number" },
                { "workers", "99999999999999999999", "workers: 99999999999999999999 is not a number" },
                { "max-letter-size", "20m", "" },
                { "max-letter-size", "9999999999t", "max-letter-size: 9999999999t is not a size like 50M" },
                { "max-recipients", "3", "max-recipients: 3 is less than 100" },
                { "settle-after", "2m", "" },
                { "settle-after", "2h", "settle-after: 2h is more than 3600 s" },
                { "park-after", "0", "" },
                { "plaintext-login", "Always", "" },
                { "plaintext-login", "maybe", "plaintext-login: maybe is none of loopback never always" },
                { "auth-on-25", "yes", "" },
                { "auth-on-25", "2", "auth-on-25: 2 is neither yes nor no" },
                { "host-name", "hill.com", "" },
                { "host-name", "hill com", "host-name: a space may not stand in it" },
                { "listen", "::1\n", "listen: a line end may not stand in it" },
                { "Sign-in", "x", "Sign-in: no such setting" },
        };
        struct settings s;

        (void)state;
        settings_default(&s);
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_string_equal(set(&s, rows[i].name, rows[i].value), rows[i].why);
        assert_int_equal(s.workers, 2);
        assert_int_equal(s.max_letter_size, 20 * 1024 * 1024);
        assert_int_equal(s.settle_after, 120);
        assert_int_equal(s.park_after_ms, 0);
        assert_string_equal(set(&s, "park-after", "never"), "");
        assert_int_equal(s.park_after_ms, -1);
        assert_string_equal(set(&s, "park-after", "1500ms"), "");
        assert_int_equal(s.park_after_ms, 1500);
        assert_int_equal(s.plaintext_login, PLAINTEXT_ALWAYS);
        assert_true(s.auth_on_25);
        assert_string_equal(s.host_name, "hill.com");
        settings_free(&s);
}

static void defaults_and_packing(void **state)
{
        struct settings s, t;
        struct buf auto_buf packed = { 0 }, auto_buf again = { 0 };

        (void)state;
        buf_init(&packed, 16000);
        buf_init(&again, 16000);
        settings_default(&s);
        assert_true(s.host_name[0] != 0); /* the machine's own */
        assert_int_equal(s.smtp_port, 25);
        assert_int_equal(s.plaintext_login, PLAINTEXT_LOOPBACK);
        assert_int_equal(s.park_after_ms, 10000);
        assert_int_equal(s.signin_delay_ms, 250);
        s.workers = 7;
        settings_pack(&s, &packed);
        assert_false(packed.full);
        assert_true(settings_unpack(&t, buf_str(&packed)));
        settings_pack(&t, &again);
        assert_str(buf_str(&again), buf_str(&packed));
        assert_int_equal(t.workers, 7);
        settings_free(&t);
        for (size_t n = 0; n < packed.n; n++)
                assert_false(settings_unpack(&t, str_from(packed.p, n)));
        settings_free(&s);
}

/* Writes text to a file, reads it as settings; the sentence or "". The file's name is cut off the sentence. */
static const char *read_text(struct settings *s, const char *text)
{
        static char sentence[1000];
        char name[] = "/tmp/pail-settings-XXXXXX";
        struct buf auto_buf why = { 0 };
        int fd = mkstemp(name), rc;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
        buf_init(&why, sizeof(sentence) - 1);
        rc = settings_read(s, name, &why);
        unlink(name);
        assert_int_equal(rc<0, why.n> 0);
        assert_true(!why.n || str_starts(buf_str(&why), str_of(name)));
        snprintf(sentence, sizeof(sentence), PRS, STR(str_from_at(buf_str(&why), strlen(name))));
        return sentence;
}

static void from_a_file(void **state)
{
        static const struct {
                const char *text, *why;
        } rows[] = {
                { "# nothing\n", "" },
                { "workers = 3\nhost-names = \"127.0.0.2=town.com 127.0.0.3=crepes.fr\"\nlisten=::1\n", "" },
                { "\n\nworkers = 500\n", ":3: workers: 500 is more than 64" },
                { "wrokers = 1\n", ":1: no such option 'wrokers'" },
        };
        struct settings s;
        struct buf auto_buf why = { 0 };

        (void)state;
        buf_init(&why, 1000);
        settings_default(&s);
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_string_equal(read_text(&s, rows[i].text), rows[i].why);
        assert_int_equal(s.workers, 3);
        assert_string_equal(s.host_names, "127.0.0.2=town.com 127.0.0.3=crepes.fr");
        assert_string_equal(s.listen, "::1");
        assert_string_not_equal(read_text(&s, "workers = {\n"), "");
        assert_int_equal(settings_read(&s, "/nonexistent/pail.conf", &why), -1);
        assert_str(buf_str(&why), S("/nonexistent/pail.conf: No such file or directory"));
        settings_free(&s);
}

/* Every line of the sample is a comment; with the # of its settings taken away it reads as the defaults. */
static void sample_holds_the_defaults(void **state)
{
        struct buf auto_buf sample = { 0 }, auto_buf text = { 0 }, auto_buf a = { 0 }, auto_buf b = { 0 };
        struct settings defaults, read;
        struct str rest, line;

        (void)state;
        buf_init(&sample, 64000);
        buf_init(&text, 64000);
        buf_init(&a, 16000);
        buf_init(&b, 16000);
        settings_sample(&sample);
        rest = buf_str(&sample);
        while (str_cut(&rest, '\n', &line)) {
                assert_true(!line.n || line.p[0] == '#');
                if (line.n > 1 && line.p[1] != ' ' && line.p[1] != '#')
                        buf_printf(&text, PRS "\n", STR(str_from_at(line, 1)));
        }
        buf_u8(&text, 0);
        settings_default(&defaults);
        settings_default(&read);
        read.workers = 9; /* so that the file has something to put right */
        assert_string_equal(read_text(&read, text.p), "");
        settings_pack(&defaults, &a);
        settings_pack(&read, &b);
        assert_str(buf_str(&b), buf_str(&a));
        settings_free(&defaults);
        settings_free(&read);
}

/* What a SIGHUP cannot change is named. */
static void what_is_read_at_start_only(void **state)
{
        struct buf auto_buf names = { 0 };
        struct settings a, b;

        (void)state;
        buf_init(&names, 1000);
        settings_default(&a);
        settings_default(&b);
        assert_string_equal(set(&b, "max-letter-size", "1M"), "");
        assert_string_equal(set(&b, "auth-on-25", "yes"), "");
        assert_false(settings_need_restart(&a, &b, &names));
        assert_int_equal(names.n, 0);
        assert_string_equal(set(&b, "workers", "3"), "");
        assert_string_equal(set(&b, "listen", "::1"), "");
        assert_true(settings_need_restart(&a, &b, &names));
        assert_str(buf_str(&names), S("listen workers"));
        settings_keep(&b, &a); /* the rest is heeded at once */
        assert_string_equal(b.listen, "0.0.0.0 ::");
        assert_ptr_not_equal(b.listen, a.listen);
        assert_int_equal(b.workers, 0);
        assert_int_equal(b.max_letter_size, 1024 * 1024);
        assert_true(b.auth_on_25);
        buf_clear(&names);
        assert_false(settings_need_restart(&a, &b, &names));
        settings_free(&a);
        settings_free(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_by_one),
                cmocka_unit_test(defaults_and_packing),
                cmocka_unit_test(from_a_file),
                cmocka_unit_test(sample_holds_the_defaults),
                cmocka_unit_test(what_is_read_at_start_only),
        };

        return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
