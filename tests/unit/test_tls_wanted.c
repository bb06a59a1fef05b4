/* What TLS a client asks for and gets: chains and names (MTA-STS, relays), TLSA records (RFC 7672), or nothing; against certificates made here. */
#include "net_unit.h"
#include "base/arena.h"
#include "net/tls_wanted.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- certificates ---- */

static struct cert {
        gnutls_x509_privkey_t key;
        gnutls_x509_crt_t crt;
        gnutls_privkey_t signer;
        char pem[8192]; /* its own, then its issuer's */
} authority, good, expired, other, alone;
static char ca_file[] = "/tmp/pail-test-ca-XXXXXX";

static size_t to_pem(gnutls_x509_crt_t crt, char *out, size_t room)
{
        gnutls_datum_t pem;

        assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
        assert_true(pem.size < room);
        memcpy(out, pem.data, pem.size);
        out[pem.size] = 0;
        gnutls_free(pem.data);
        return strlen(out);
}

static void make(struct cert *c, const char *name, struct cert *issuer, int days)
{
        static unsigned char serial;
        size_t n;

        assert_int_equal(gnutls_x509_privkey_init(&c->key), 0);
        assert_int_equal(gnutls_x509_privkey_generate(c->key, GNUTLS_PK_ECDSA,
                                                      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                         0);
        assert_int_equal(gnutls_x509_crt_init(&c->crt), 0);
        gnutls_x509_crt_set_version(c->crt, 3);
        serial++;
        gnutls_x509_crt_set_serial(c->crt, &serial, 1);
        gnutls_x509_crt_set_activation_time(c->crt, time(NULL) - 10 * 86400);
        gnutls_x509_crt_set_expiration_time(c->crt, time(NULL) + days * 86400);
        gnutls_x509_crt_set_dn_by_oid(c->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
        gnutls_x509_crt_set_subject_alt_name(c->crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
                                             GNUTLS_FSAN_SET);
        gnutls_x509_crt_set_key(c->crt, c->key);
        if (!issuer) {
                gnutls_x509_crt_set_ca_status(c->crt, 1);
                gnutls_x509_crt_set_key_usage(c->crt,
                                              GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_DIGITAL_SIGNATURE);
        }
        assert_int_equal(gnutls_x509_crt_sign2(c->crt, issuer ? issuer->crt : c->crt,
                                               issuer ? issuer->key : c->key, GNUTLS_DIG_SHA256, 0),
                         0);
        assert_int_equal(gnutls_privkey_init(&c->signer), 0);
        assert_int_equal(gnutls_privkey_import_x509(c->signer, c->key, 0), 0);
        n = to_pem(c->crt, c->pem, sizeof(c->pem));
        if (issuer)
                to_pem(issuer->crt, c->pem + n, sizeof(c->pem) - n);
}

static int make_all(void **state)
{
        FILE *f;

        (void)state;
        make(&authority, "Authority", NULL, 10);
        make(&good, "mx.crepes.fr", &authority, 10);
        make(&expired, "mx.crepes.fr", &authority, -1);
        make(&other, "mx.hill.com", &authority, 10);
        make(&alone, "mx.crepes.fr", NULL, 10);
        f = fdopen(mkstemp(ca_file), "w");
        assert_non_null(f);
        fputs(authority.pem, f);
        fclose(f);
        return 0;
}

static int drop_all(void **state)
{
        struct cert *all[] = { &authority, &good, &expired, &other, &alone };

        (void)state;
        unlink(ca_file);
        for (unsigned i = 0; i < LENGTH(all); i++) {
                gnutls_privkey_deinit(all[i]->signer);
                gnutls_x509_crt_deinit(all[i]->crt);
                gnutls_x509_privkey_deinit(all[i]->key);
        }
        return 0;
}

static int sign(void *context, unsigned algorithm, struct str data, struct buf *signature)
{
        struct cert *c = context;
        gnutls_datum_t in = { (unsigned char *)(uintptr_t)data.p, (unsigned)data.n }, out;

        if (gnutls_privkey_sign_hash2(c->signer, (gnutls_sign_algorithm_t)algorithm, 0, &in, &out) < 0)
                return -EIO;
        buf_put(signature, out.data, out.size);
        gnutls_free(out.data);
        return 0;
}

/* ---- TLSA records ---- */

static struct arena arena;

static struct str tlsa(unsigned usage, unsigned selector, unsigned match, const struct cert *c, bool wrong)
{
        char head[3] = { (char)usage, (char)selector, (char)match };
        unsigned char hash[64];
        gnutls_datum_t der = { 0 };
        gnutls_pubkey_t key;
        struct str data, out;
        char *p;

        if (selector == 0) {
                must(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_DER, &der) == 0);
        } else {
                must(gnutls_pubkey_init(&key) == 0 && gnutls_pubkey_import_x509(key, c->crt, 0) == 0 &&
                     gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der) == 0);
                gnutls_pubkey_deinit(key);
        }
        data = str_from(der.data, der.size);
        if (match) {
                must(gnutls_hash_fast(match == 1 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512, der.data, der.size,
                                      hash) == 0);
                data = str_from(hash, match == 1 ? 32 : 64);
        }
        p = arena_alloc(&arena, data.n + 3);
        for (size_t i = 0; i < data.n + 3; i++)
                p[i] = i < 3 ? head[i] : data.p[i - 3];
        if (wrong)
                p[data.n + 2] ^= 1;
        out = str_from(p, data.n + 3);
        gnutls_free(der.data);
        return out;
}

/* ---- a handshake ---- */

static const struct tls_wanted *want;
static struct tls_found found;
static struct cert *server_cert;
static int client_rc;

struct server {
        struct conn *conn;
        struct tls_context *tls;
};

static void serve(void *arg)
{
        struct server *s = arg;
        struct str line;

        if (conn_starttls(s->conn, s->tls, SOON) == 0)
                conn_line(s->conn, &line, 100, SOON);
        conn_free(&s->conn);
}

static void handshake(void *arg)
{
        struct server s = { 0 };
        struct conn *c;
        int fd[2];

        (void)arg;
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
        must(tls_context_new(&s.tls, str_of(server_cert->pem), sign, server_cert,
                             S("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")) == 0);
        s.conn = conn_new(fd[0], nobody, nobody);
        c = conn_new(fd[1], nobody, nobody);
        must(s.conn && c && fiber_spawn("server", serve, &s) == 0);
        client_rc = conn_starttls_to(c, want, SOON, &found);
        conn_free(&c);
        while (s.conn)
                fiber_yield();
        tls_context_drop(&s.tls);
}

static int meets(struct cert *c, const struct tls_wanted *w)
{
        server_cert = c;
        want = w;
        in_fiber(handshake, NULL);
        return client_rc;
}

/* ---- the tests ---- */

static void whoever_asks_for_nothing_gets_tls(void **state)
{
        struct tls_wanted w = { .server_name = S("mx.crepes.fr"), .ca_file = ca_file };

        (void)state;
        assert_int_equal(meets(&good, &w), 0);
        assert_true(found.verified);
        assert_string_equal(found.why, "");
        assert_string_equal(found.version, "TLSv1.3");
        for (unsigned i = 0; i < 3; i++) { /* and is told what it is worth */
                assert_int_equal(meets(i == 0 ? &expired : i == 1 ? &other : &alone, &w), 0);
                assert_false(found.verified);
                assert_true(found.why[0]);
        }
}

static void names_and_a_chain(void **state)
{
        struct str names[] = { S("mx.example.org"), S("MX.crepes.fr") };
        struct tls_wanted w = { .trust = TRUST_NAMES,
                                .server_name = S("mx.crepes.fr"),
                                .names = names,
                                .name_count = 2,
                                .ca_file = ca_file };

        (void)state;
        assert_int_equal(meets(&good, &w), 0);
        assert_true(found.verified);
        assert_int_equal(meets(&other, &w), -EACCES);
        assert_non_null(strstr(found.why, "another name"));
        assert_int_equal(meets(&expired, &w), -EACCES);
        assert_non_null(strstr(found.why, "expired"));
        assert_int_equal(meets(&alone, &w), -EACCES); /* by itself: nobody knows its authority */
        w.name_count = 0;
        assert_int_equal(meets(&good, &w), -EACCES); /* for nobody */
}

/* Trust on first use: a good chain for the name, or the one certificate that was said yes to. */
static void pinned_or_a_chain(void **state)
{
        struct str names[] = { S("mx.crepes.fr") };
        unsigned char pin[32] = { 0 };
        struct tls_wanted w = {
                .trust = TRUST_PINNED, .names = names, .name_count = 1, .ca_file = ca_file, .pin = pin
        };

        (void)state;
        assert_int_equal(meets(&good, &w), 0);
        assert_int_equal(meets(&alone, &w), -EACCES);
        assert_true(found.why[0]);
        for (size_t i = 0; i < sizeof(pin); i++)
                pin[i] = found.fingerprint[i];
        assert_int_equal(meets(&alone, &w), 0);
        assert_true(found.verified);
        assert_int_equal(meets(&good, &w), 0);
        assert_int_equal(meets(&expired, &w), -EACCES);
        assert_true(memcmp(found.fingerprint, pin, sizeof(pin)) != 0);
        w.pin = NULL;
        assert_int_equal(meets(&alone, &w), -EACCES);
}

/* Usage 3 asks nothing of names, dates or authorities (RFC 7672 §3.1.1). */
static void dane_by_the_certificate_itself(void **state)
{
        struct str record;
        struct tls_wanted w = { .trust = TRUST_DANE, .tlsa = &record, .tlsa_count = 1 };

        (void)state;
        for (unsigned selector = 0; selector < 2; selector++)
                for (unsigned match = 0; match < 3; match++) {
                        record = tlsa(3, selector, match, &alone, false);
                        assert_true(tlsa_usable(record));
                        assert_int_equal(meets(&alone, &w), 0);
                        assert_true(found.verified);
                        assert_int_equal(meets(&good, &w), -EACCES); /* another's key */
                        record = tlsa(3, selector, match, &alone, true);
                        assert_int_equal(meets(&alone, &w), -EACCES);
                }
        record = tlsa(3, 1, 1, &expired, false);
        assert_int_equal(meets(&expired, &w), 0);
        record = tlsa(3, 1, 1, &other, false);
        assert_int_equal(meets(&other, &w), 0);
}

static void dane_by_an_authority(void **state)
{
        struct str record, names[] = { S("mx.crepes.fr"), S("crepes.fr") };
        struct tls_wanted w = {
                .trust = TRUST_DANE, .names = names, .name_count = 2, .tlsa = &record, .tlsa_count = 1
        };

        (void)state;
        for (unsigned selector = 0; selector < 2; selector++)
                for (unsigned match = 0; match < 3; match++) {
                        record = tlsa(2, selector, match, &authority, false);
                        assert_int_equal(meets(&good, &w), 0);
                        assert_int_equal(meets(&other, &w), -EACCES);   /* another name */
                        assert_int_equal(meets(&expired, &w), -EACCES); /* too late */
                        assert_int_equal(meets(&alone, &w), -EACCES);   /* another authority */
                        record = tlsa(2, selector, match, &authority, true);
                        assert_int_equal(meets(&good, &w), -EACCES);
                }
}

static void one_record_that_fits_is_enough(void **state)
{
        struct str records[4];
        struct tls_wanted w = { .trust = TRUST_DANE, .tlsa = records, .tlsa_count = 4 };

        (void)state;
        records[0] = tlsa(1, 1, 1, &good, false); /* PKIX: counts as none here, though it fits */
        records[1] = tlsa(3, 1, 1, &good, true);
        records[2] = S("\3\1");
        records[3] = tlsa(3, 0, 2, &good, false);
        assert_int_equal(meets(&good, &w), 0);
        w.tlsa_count = 3;
        assert_int_equal(meets(&good, &w), -EACCES);
}

static void knows_which_records_can_be_used(void **state)
{
        static const struct {
                struct str record;
                bool usable;
        } list[] = {
                { S(""), false },
                { S("\3\1\1"), false },
                { S("\3\1\1short"), false },
                { S("\3\1\0x"), true },
                { S("\3\1\1"
                    "0123456789abcdef0123456789abcdef"),
                  true },
                { S("\2\0\1"
                    "0123456789abcdef0123456789abcdef"),
                  true },
                { S("\3\1\2"
                    "0123456789abcdef0123456789abcdef"),
                  false },
                { S("\3\2\1"
                    "0123456789abcdef0123456789abcdef"),
                  false },
                { S("\0\1\1"
                    "0123456789abcdef0123456789abcdef"),
                  false },
                { S("\1\1\1"
                    "0123456789abcdef0123456789abcdef"),
                  false },
                { S("\3\1\3"
                    "0123456789abcdef0123456789abcdef"),
                  false },
                { S("\377\377\377"
                    "0123456789abcdef0123456789abcdef"),
                  false },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(list); i++)
                assert_int_equal(tlsa_usable(list[i].record), list[i].usable);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(whoever_asks_for_nothing_gets_tls),
                cmocka_unit_test(names_and_a_chain),
                cmocka_unit_test(pinned_or_a_chain),
                cmocka_unit_test(dane_by_the_certificate_itself),
                cmocka_unit_test(dane_by_an_authority),
                cmocka_unit_test(one_record_that_fits_is_enough),
                cmocka_unit_test(knows_which_records_can_be_used),
        };
        int rc;

        log_quiet = true;
        arena_init(&arena, 1 << 20);
        rc = cmocka_run_group_tests_name("tls_wanted", tests, make_all, drop_all);
        arena_finish(&arena);
        return rc;
}
