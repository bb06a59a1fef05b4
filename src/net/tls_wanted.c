/* A client's TLS: the handshake first, whatever the certificate; then it is judged by what was wanted. */
#include "net/tls_wanted.h"
#include "base/mem.h"
#include "net/conn_private.h"
#include "net/tls_private.h"
#include <assert.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>

/* Reading the system's authorities takes some ten milliseconds: once for each file, for as long as the process lives. */
struct roots {
        char *file; /* NULL: the system's */
        gnutls_certificate_credentials_t trust;
        struct roots *next;
};
static struct roots *all_roots;

static gnutls_certificate_credentials_t roots_of(const char *file)
{
        struct roots *r = all_roots;

        while (r && !(r->file && file ? !strcmp(r->file, file) : r->file == file))
                r = r->next;
        if (r)
                return r->trust;
        r = mem_new(struct roots);
        if (gnutls_certificate_allocate_credentials(&r->trust) < 0) {
                mem_free(r);
                return NULL;
        }
        if (file)
                gnutls_certificate_set_x509_trust_file(r->trust, file, GNUTLS_X509_FMT_PEM);
        else
                gnutls_certificate_set_x509_system_trust(r->trust);
        r->file = file ? mem_string(str_of(file)) : NULL;
        r->next = all_roots;
        all_roots = r;
        return r->trust;
}

/* ---- the chain that the peer showed ---- */

enum { CHAIN_MOST = 10 };
struct chain {
        gnutls_x509_crt_t at[CHAIN_MOST];
        unsigned count;
};

static void chain_free(struct chain *c)
{
        while (c->count)
                gnutls_x509_crt_deinit(c->at[--c->count]);
}

static void chain_of(gnutls_session_t s, struct chain *c, struct tls_found *found)
{
        unsigned n = 0;
        const gnutls_datum_t *raw =
            gnutls_certificate_type_get(s) == GNUTLS_CRT_X509 ? gnutls_certificate_get_peers(s, &n) : NULL;

        c->count = 0;
        if (raw && n)
                gnutls_hash_fast(GNUTLS_DIG_SHA256, raw[0].data, raw[0].size, found->fingerprint);
        for (unsigned i = 0; raw && i < n && c->count < CHAIN_MOST; i++) {
                if (gnutls_x509_crt_init(&c->at[c->count]) < 0)
                        return;
                c->count++;
                if (gnutls_x509_crt_import(c->at[i], &raw[i], GNUTLS_X509_FMT_DER) < 0)
                        return;
        }
}

static bool named(const struct chain *c, const struct tls_wanted *w, struct tls_found *found)
{
        for (unsigned i = 0; i < w->name_count; i++) {
                char name[256];

                snprintf(name, sizeof(name), PRS, STR(w->names[i]));
                if (w->names[i].n < sizeof(name) && gnutls_x509_crt_check_hostname(c->at[0], name))
                        return true;
        }
        snprintf(found->why, sizeof(found->why), "the certificate is for another name than " PRS,
                 STR(w->name_count ? w->names[0] : S("(none)")));
        return false;
}

static bool chained(gnutls_session_t s, struct tls_found *found)
{
        gnutls_datum_t text;
        unsigned status;

        if (gnutls_certificate_verify_peers2(s, &status) < 0) {
                snprintf(found->why, sizeof(found->why), "the peer showed no certificate");
                return false;
        }
        if (!status)
                return true;
        snprintf(found->why, sizeof(found->why), "the certificate cannot be trusted");
        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
                snprintf(found->why, sizeof(found->why), "%s", (const char *)text.data);
                gnutls_free(text.data);
        }
        return false;
}

/* ---- DANE (RFC 6698, as RFC 7672 narrows it) ---- */

enum {
        USAGE_TA = 2,
        USAGE_EE = 3,
        SELECT_CERTIFICATE = 0,
        SELECT_KEY = 1,
        MATCH_WHOLE = 0,
        MATCH_SHA256 = 1,
        MATCH_SHA512 = 2
};

bool tlsa_usable(struct str r)
{
        unsigned usage = r.n > 3 ? (unsigned char)r.p[0] : 0, match = r.n > 3 ? (unsigned char)r.p[2] : 9;

        return (usage == USAGE_TA || usage == USAGE_EE) && (unsigned char)r.p[1] <= SELECT_KEY &&
               (match == MATCH_WHOLE || (match == MATCH_SHA256 && r.n == 3 + 32) ||
                (match == MATCH_SHA512 && r.n == 3 + 64));
}

static int selected(gnutls_x509_crt_t crt, unsigned selector, gnutls_datum_t *out)
{
        gnutls_pubkey_t key;
        int rc;

        if (selector == SELECT_CERTIFICATE)
                return gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, out);
        rc = gnutls_pubkey_init(&key);
        if (rc < 0)
                return rc;
        rc = gnutls_pubkey_import_x509(key, crt, 0);
        if (rc >= 0)
                rc = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, out);
        gnutls_pubkey_deinit(key);
        return rc;
}

static bool matches(gnutls_x509_crt_t crt, struct str record)
{
        struct str want = str_from_at(record, 3);
        gnutls_datum_t der = { 0 };
        unsigned char hash[64];
        bool same = false;

        if (selected(crt, (unsigned char)record.p[1], &der) < 0)
                return false;
        switch (record.p[2]) {
        case MATCH_WHOLE: same = str_eq(want, str_from(der.data, der.size)); break;
        case MATCH_SHA256:
                same = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash) == 0 &&
                       str_eq(want, str_from(hash, 32));
                break;
        case MATCH_SHA512:
                same = gnutls_hash_fast(GNUTLS_DIG_SHA512, der.data, der.size, hash) == 0 &&
                       str_eq(want, str_from(hash, 64));
                break;
        default: break;
        }
        gnutls_free(der.data);
        return same;
}

/* Usage 2: the chain leads to that certificate, by signatures and in its time, and is for one of the names. */
static bool leads_to(struct chain *c, gnutls_x509_crt_t anchor, const struct tls_wanted *w,
                     struct tls_found *found)
{
        gnutls_x509_trust_list_t list;
        unsigned status = GNUTLS_CERT_INVALID;

        if (gnutls_x509_trust_list_init(&list, 0) < 0)
                return false;
        if (gnutls_x509_trust_list_add_cas(list, &anchor, 1, 0) == 1)
                gnutls_x509_trust_list_verify_crt(list, c->at, c->count, GNUTLS_VERIFY_ALLOW_X509_V1_CA_CRT,
                                                  &status, NULL);
        gnutls_x509_trust_list_deinit(list, 0);
        return !status && named(c, w, found);
}

/* RFC 7672 §3.1.1: usage 3 asks nothing of names or dates. */
static bool dane(struct chain *c, const struct tls_wanted *w, struct tls_found *found)
{
        snprintf(found->why, sizeof(found->why), "no TLSA record fits the certificate");
        for (unsigned i = 0; i < w->tlsa_count && c->count; i++) {
                struct str r = w->tlsa[i];

                if (!tlsa_usable(r))
                        continue;
                if (r.p[0] == USAGE_EE && matches(c->at[0], r))
                        return true;
                for (unsigned k = 0; r.p[0] == USAGE_TA && k < c->count; k++)
                        if (matches(c->at[k], r) && leads_to(c, c->at[k], w, found))
                                return true;
        }
        return false;
}

/* ---- the judgement ---- */

/* A person has said that this certificate is theirs: then neither its issuer nor its dates say more. */
static bool pinned(const struct tls_wanted *w, const struct tls_found *found)
{
        return w->trust == TRUST_PINNED && w->pin &&
               str_eq(str_from(w->pin, sizeof(found->fingerprint)),
                      str_from(found->fingerprint, sizeof(found->fingerprint)));
}

static bool judge(gnutls_session_t s, const struct tls_wanted *w, struct tls_found *found)
{
        struct tls_wanted name = { .names = &w->server_name, .name_count = 1 };
        struct chain c;
        bool good;

        chain_of(s, &c, found);
        if (!c.count) {
                snprintf(found->why, sizeof(found->why), "the peer showed no certificate");
                good = false;
        } else if (w->trust == TRUST_DANE) {
                good = dane(&c, w, found);
        } else {
                good = pinned(w, found) ||
                       (chained(s, found) && named(&c, w->trust == TRUST_NOTHING ? &name : w, found));
        }
        chain_free(&c);
        if (good)
                found->why[0] = 0;
        return good;
}

static int session_new(const struct tls_wanted *w, gnutls_session_t *s)
{
        gnutls_certificate_credentials_t trust = roots_of(w->ca_file);
        int rc = trust ? gnutls_init(s, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) : -1;

        if (rc == 0)
                rc = gnutls_priority_set_direct(*s, tls_priorities, NULL);
        if (rc == 0)
                rc = gnutls_credentials_set(*s, GNUTLS_CRD_CERTIFICATE, trust);
        if (rc == 0 && w->server_name.n &&
            !addr_parse(w->server_name, 0, &(struct addr){ 0 })) /* RFC 6066 §3: no addresses in it */
                gnutls_server_name_set(*s, GNUTLS_NAME_DNS, w->server_name.p, w->server_name.n);
        if (rc == 0)
                return 0;
        if (*s)
                gnutls_deinit(*s);
        *s = NULL;
        return -ENOMEM;
}

int conn_starttls_to(struct conn *c, const struct tls_wanted *w, nsec deadline, struct tls_found *found)
{
        struct conn_tls_facts facts;
        gnutls_session_t session = NULL;
        int rc = tls_before(c, deadline);

        *found = (struct tls_found){ 0 };
        if (rc < 0)
                return rc;
        rc = session_new(w, &session);
        if (rc == 0)
                rc = tls_begin(c, session, deadline);
        if (rc < 0) {
                conn_fail(c);
                return rc;
        }
        conn_tls_facts(c, &facts);
        found->version = facts.version;
        found->cipher = facts.cipher;
        found->verified = judge(session, w, found);
        if (found->verified || w->trust == TRUST_NOTHING)
                return 0;
        conn_fail(c);
        return -EACCES;
}
