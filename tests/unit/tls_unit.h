/* What the tests of TLS share: key pairs with certificates for hill.com, and contexts of them. */
#pragma once
#include "net_unit.h"
#include "net/tls.h"
#include "run/log.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct str ticket_key = S("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");

/* The keeper's part: a key that only signs, and whether it does. */
static struct pair {
        gnutls_privkey_t key;
        char pem[4096];
        char file[64];
        unsigned asked;
        bool refuses;
} rsa, ecdsa;

static inline int sign(void *context, unsigned algorithm, struct str data, struct buf *signature)
{
        struct pair *p = context;
        gnutls_datum_t in = { (unsigned char *)data.p, (unsigned)data.n }, out;
        int rc;

        fiber_yield(); /* the keeper takes its time: other fibers run meanwhile */
        p->asked++;
        if (p->refuses)
                return -EPIPE;
        rc = gnutls_privkey_sign_hash2(p->key, (gnutls_sign_algorithm_t)algorithm, 0, &in, &out);
        if (rc < 0)
                return -EIO;
        buf_put(signature, out.data, out.size);
        gnutls_free(out.data);
        return 0;
}

static inline void make_pair(struct pair *p, gnutls_pk_algorithm_t algorithm, unsigned bits)
{
        gnutls_x509_privkey_t key;
        gnutls_x509_crt_t crt;
        gnutls_datum_t pem;
        FILE *f;

        assert_int_equal(gnutls_x509_privkey_init(&key), 0);
        assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
        assert_int_equal(gnutls_x509_crt_init(&crt), 0);
        assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
        assert_int_equal(gnutls_x509_crt_set_serial(crt, "\1", 1), 0);
        assert_int_equal(gnutls_x509_crt_set_activation_time(crt, time(NULL) - 3600), 0);
        assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 86400), 0);
        assert_int_equal(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "hill.com", 8),
                         0);
        assert_int_equal(
            gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "hill.com", 8, GNUTLS_FSAN_SET), 0);
        assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
        assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
        assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
        assert_true(pem.size < sizeof(p->pem));
        snprintf(p->pem, sizeof(p->pem), "%s", pem.data);
        gnutls_free(pem.data);
        snprintf(p->file, sizeof(p->file), "/tmp/pail-test-XXXXXX");
        f = fdopen(mkstemp(p->file), "w");
        assert_non_null(f);
        fputs(p->pem, f);
        fclose(f);
        gnutls_x509_crt_deinit(crt);
        assert_int_equal(gnutls_privkey_init(&p->key), 0);
        assert_int_equal(gnutls_privkey_import_x509(p->key, key, GNUTLS_PRIVKEY_IMPORT_AUTO_RELEASE), 0);
}

static inline int make_pairs(void **state)
{
        (void)state;
        make_pair(&rsa, GNUTLS_PK_RSA, 2048);
        make_pair(&ecdsa, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));
        return 0;
}

static inline int drop_pairs(void **state)
{
        (void)state;
        unlink(rsa.file);
        unlink(ecdsa.file);
        gnutls_privkey_deinit(rsa.key);
        gnutls_privkey_deinit(ecdsa.key);
        return 0;
}

static inline struct tls_context *context_of(struct pair *p)
{
        struct tls_context *t;

        must(tls_context_new(&t, str_of(p->pem), sign, p, ticket_key) == 0);
        p->asked = 0;
        p->refuses = false;
        return t;
}
