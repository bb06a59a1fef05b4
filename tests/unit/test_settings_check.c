#include "unit.h"
#include "cli/settings_check.h"
#include <stdio.h>
#include <string.h>

static const char *check(const char *const set[static 4])
{
        static char sentence[1000];
        struct buf auto_buf why = { 0 };
        struct settings s;

        buf_init(&why, sizeof(sentence) - 1);
        settings_default(&s);
        for (size_t i = 0; i < 4 && set[i]; i += 2)
                assert_int_equal(settings_set(&s, str_of(set[i]), str_of(set[i + 1]), &why), 0);
        bool good = settings_check(&s, &why);

        assert_int_equal(good, why.n == 0);
        snprintf(sentence, sizeof(sentence), PRS, STR(buf_str(&why)));
        settings_free(&s);
        return sentence;
}

static void what_must_fit(void **state)
{
        static const struct {
                const char *set[4], *why;
        } rows[] = {
                { { NULL }, "" },
                { { "ftp-passive-low", "51000" },
                  "ftp-passive-low: 51000 is more than ftp-passive-high, 50999" },
                { { "ftp-passive-low", "60000", "ftp-passive-high", "60999" }, "" },
                { { "ftp-passive-low", "50999", "workers", "1" }, "" },
                { { "ftp-passive-low", "50999", "workers", "2" },
                  "ftp-passive-high: ports 50999 to 50999 are fewer than the 2 processes" },
                { { "ftp-public-address", "192.0.2.7" }, "" },
                { { "ftp-public-address", "192.0.2.7:21" },
                  "ftp-public-address: 192.0.2.7:21 is no IPv4 address" },
                { { "ftp-public-address", "0.0.0.0" }, "ftp-public-address: 0.0.0.0 is no IPv4 address" },
                { { "ftp-public-address", "2001:db8::7" },
                  "ftp-public-address: 2001:db8::7 is no IPv4 address" },
                { { "ftp-public-address", "hill.com" }, "ftp-public-address: hill.com is no IPv4 address" },
                { { "ftp-code-page", "IBM037" }, "" },
                { { "ftp-code-page", "IBM-4711" },
                  "ftp-code-page: IBM-4711 is no EBCDIC that iconv knows here" },
                { { "ftp-code-page", "ISO-8859-1" },
                  "ftp-code-page: ISO-8859-1 is no EBCDIC that iconv knows here" },
                { { "ftp-code-page", "" }, "ftp-code-page: \"\" is no EBCDIC that iconv knows here" },
                { { "routes", "a=direct  .b=hold c=mx.c:587 d=smtps:[::1]:465 *=lmtp:127.0.0.1" }, "" },
                { { "routes", "a=hold b=mx.b:587:x c=hold" },
                  "routes: b=mx.b:587:x is not DOMAIN=direct, hold, HOST[:PORT] or lmtp:HOST[:PORT]" },
                { { "send-from", "2001:db8::7  192.0.2.7" }, "" },
                { { "send-from", "192.0.2.7 192.0.2.8" },
                  "send-from: 192.0.2.7 192.0.2.8 is not one IPv4 address, one IPv6 address or both" },
                { { "send-from", "192.0.2.7:25" },
                  "send-from: 192.0.2.7:25 is not one IPv4 address, one IPv6 address or both" },
                { { "send-from", "hill.com" },
                  "send-from: hill.com is not one IPv4 address, one IPv6 address or both" },
                { { "imap-disable", "IDLE FROB" }, "imap-disable: FROB: IMAP here has no such capability" },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                assert_string_equal(check(rows[i].set), rows[i].why);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(what_must_fit) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
