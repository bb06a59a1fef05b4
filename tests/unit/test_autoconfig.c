/* The file of a domain that names its servers, as domains write it, and as nobody should. */
#include "unit.h"
#include "base/mem.h"
#include "cli/mail/autoconfig.h"
#include <stdio.h>

static const struct {
        const char *xml, *incoming, *outgoing; /* NULL: none is taken */
} files[] = {
        { "<?xml version=\"1.0\"?>\n<clientConfig version=\"1.1\"><emailProvider id=\"hill.com\">\n"
          "<!-- <incomingServer type=\"imap\"><hostname>old.hill.com</hostname> -->\n"
          "<incomingServer type=\"pop3\"><hostname>pop.hill.com</hostname><port>995</port>"
          "<socketType>SSL</socketType><username>%EMAILADDRESS%</username></incomingServer>\n"
          "<incomingServer type=\"imap\">\n <hostname>\n mail.hill.com </hostname>\n <port>993</port>\n"
          " <socketType>SSL</socketType>\n <username>%EMAILLOCALPART%</username></incomingServer>\n"
          "<outgoingServer type='smtp'><hostname>out.%EMAILDOMAIN%</hostname><port>587</port>"
          "<socketType>STARTTLS</socketType><username>a&amp;b</username></outgoingServer>"
          "</emailProvider></clientConfig>",
          "imaps jill mail.hill.com 993", "submission a&b out.hill.com 587" },
        { "<incomingServer type=\"pop3\"><hostname>p.hill.com</hostname><port>110</port>"
          "<socketType>starttls</socketType></incomingServer>",
          "pop3 jill@hill.com p.hill.com 110", NULL },
        /* in clear; no port; a host that is none; the second one is good */
        { "<incomingServer type=\"imap\"><hostname>a.hill.com</hostname><port>143</port>"
          "<socketType>plain</socketType></incomingServer>"
          "<incomingServer type=\"imap\"><hostname>b.hill.com</hostname><port>99999</port>"
          "<socketType>SSL</socketType></incomingServer>"
          "<incomingServer type=\"imap\"><hostname>evil/@c.hill.com</hostname><port>993</port>"
          "<socketType>SSL</socketType></incomingServer>"
          "<incomingServer type=\"imap\"><hostname>d.hill.com</hostname><port>993</port>"
          "<socketType>SSL</socketType></incomingServer>",
          "imaps jill@hill.com d.hill.com 993", NULL },
        { "<incomingServer type=\"imap\"><hostname>x\ny.hill.com</hostname><port>993</port>"
          "<socketType>SSL</socketType></incomingServer>",
          NULL, NULL },
        { "<incomingServer type=\"imap\"><hostname>&xxe;</hostname><port>993</port>"
          "<socketType>SSL</socketType></incomingServer",
          NULL, NULL },
        { "<incomingServer type=\"imap\"><hostname>", NULL, NULL },
        { "<!-- <incomingServer", NULL, NULL },
        { "<incomingServerX type=\"imap\"></incomingServerX><", NULL, NULL },
        { "", NULL, NULL },
};

static void is_server(const struct login *l, const struct login_server *s, bool outgoing, const char *want)
{
        const char *scheme = outgoing ? "submission" : l->how == INCOMING_POP3 ? "pop3" : "imap";
        char got[256];

        if (!want) {
                assert_null(s->host);
                return;
        }
        assert_non_null(s->host);
        snprintf(got, sizeof got, "%s%s %s %s %u", scheme, s->tls == TLS_AT_ONCE ? "s" : "", s->user, s->host,
                 s->port);
        assert_string_equal(got, want);
}

static void test_files(void **state)
{
        (void)state;
        for (size_t i = 0; i < LENGTH(files); i++) {
                struct login l = { .address = mem_string(S("jill@hill.com")) };

                assert_int_equal(autoconfig_read(str_of(files[i].xml), &l),
                                 (files[i].incoming != NULL) + (files[i].outgoing != NULL));
                is_server(&l, &l.incoming, false, files[i].incoming);
                is_server(&l, &l.outgoing, true, files[i].outgoing);
                login_free(&l);
        }
}

/* Every beginning of a good file, and every byte of it spoilt: whatever is taken, it is with TLS. */
static void test_damage(void **state)
{
        struct str whole = str_of(files[0].xml);
        char text[4096];

        (void)state;
        for (size_t i = 0; i < 2 * whole.n; i++) {
                struct login l = { .address = mem_string(S("jill@hill.com")) };
                size_t at = i / 2;

                mem_copy(text, sizeof text, whole);
                text[at] = '<';
                (void)autoconfig_read(i % 2 ? str_from(text, whole.n) : str_sub(whole, 0, at), &l);
                assert_true(!l.incoming.host || l.incoming.tls >= TLS_MUST);
                assert_true(!l.outgoing.host || l.outgoing.tls >= TLS_MUST);
                login_free(&l);
        }
}

/* What is known already stays. */
static void test_given(void **state)
{
        struct login l = { .address = mem_string(S("jill@hill.com")) };

        (void)state;
        assert_true(login_set(&l, S("incoming"), S("imaps://own.hill.com")));
        assert_int_equal(autoconfig_read(str_of(files[0].xml), &l), 1);
        assert_string_equal(l.incoming.host, "own.hill.com");
        login_free(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_files), cmocka_unit_test(test_damage),
                                            cmocka_unit_test(test_given) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
