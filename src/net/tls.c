#include "net/tls_private.h"
#include "net/addr.h"
#include "base/mem.h"

#include <errno.h>
#include <gnutls/abstract.h>

enum { CHAIN_MOST = 8 };

/* No RSA key exchange: it has no forward secrecy, and the keeper only signs. */
const char tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA"
    ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
    ":-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:+AES-128-CBC:+AES-256-CBC"
    ":%SERVER_PRECEDENCE";

struct tls_context {
        unsigned holders;
        gnutls_certificate_credentials_t credentials;
        gnutls_priority_t priorities;
        gnutls_pk_algorithm_t algorithm; /* of the certificate's public key, and its size */
        unsigned bits;
        tls_sign_fn *sign;
        void *sign_context;
        unsigned char ticket_key[TICKET_KEY];
};

/* GnuTLS asks what the key is that it does not have. */
static int key_info(gnutls_privkey_t key, unsigned flags, void *userdata)
{
        const struct tls_context *t = userdata;

        (void)key;
        if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
                return (int)t->algorithm;
        if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
                return (int)t->bits;
        if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
                return (int)gnutls_sign_supports_pk_algorithm(GNUTLS_FLAGS_TO_SIGN_ALGO(flags), t->algorithm);
        if (flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO)
                return GNUTLS_SIGN_UNKNOWN;
        return -1;
}

static int sign_elsewhere(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
                          unsigned flags, const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
        const struct tls_context *t = userdata;
        auto_buf struct buf got;

        (void)key;
        (void)flags;
        buf_init(&got, 4096);
        if (t->sign(t->sign_context, algorithm, str_from(hash->data, hash->size), &got) < 0 || got.n == 0 ||
            got.full)
                return GNUTLS_E_PK_SIGN_FAILED;
        signature->data = gnutls_malloc(got.n); /* theirs to free */
        if (!signature->data)
                return GNUTLS_E_MEMORY_ERROR;
        mem_copy(signature->data, got.n, buf_str(&got));
        signature->size = (unsigned)got.n;
        return 0;
}

static int learn_key(struct tls_context *t, gnutls_pcert_st *own)
{
        int algorithm = gnutls_pubkey_get_pk_algorithm(own->pubkey, &t->bits);

        if (algorithm < 0)
                return algorithm;
        t->algorithm = (gnutls_pk_algorithm_t)algorithm;
        return algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_ECDSA
                   ? 0
                   : GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
}

static int set_chain(struct tls_context *t, struct str pem)
{
        gnutls_datum_t data = { (unsigned char *)pem.p, (unsigned)pem.n };
        gnutls_pcert_st chain[CHAIN_MOST];
        unsigned n = CHAIN_MOST;
        gnutls_privkey_t key = NULL;
        int rc = gnutls_pcert_list_import_x509_raw(chain, &n, &data, GNUTLS_X509_FMT_PEM, 0);

        if (rc < 0)
                return rc;
        rc = n == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : learn_key(t, &chain[0]);
        if (rc == 0)
                rc = gnutls_privkey_init(&key);
        if (rc == 0)
                rc = gnutls_privkey_import_ext4(key, t, NULL, sign_elsewhere, NULL, NULL, key_info, 0);
        if (rc == 0) {
                /* The keeper need not be up yet: no trial signature now. */
                gnutls_certificate_set_flags(t->credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
                rc = gnutls_certificate_set_key(t->credentials, NULL, 0, chain, (int)n, key);
        }
        if (rc < 0) { /* else both belong to the credentials */
                if (key)
                        gnutls_privkey_deinit(key);
                for (unsigned i = 0; i < n; i++)
                        gnutls_pcert_deinit(&chain[i]);
                return rc;
        }
        return 0;
}

int tls_context_new(struct tls_context **out, struct str chain, tls_sign_fn *sign, void *sign_context,
                    struct str ticket_key)
{
        struct tls_context *t;
        int rc;

        *out = NULL;
        if (ticket_key.n != TICKET_KEY || chain.n > 1 << 20)
                return -EINVAL;
        t = mem_new(struct tls_context);
        t->holders = 1;
        t->sign = sign;
        t->sign_context = sign_context;
        mem_copy(t->ticket_key, TICKET_KEY, ticket_key);
        rc = gnutls_certificate_allocate_credentials(&t->credentials);
        if (rc == 0)
                rc = gnutls_priority_init(&t->priorities, tls_priorities, NULL);
        if (rc == 0)
                rc = set_chain(t, chain);
        if (rc < 0) {
                tls_context_drop(&t);
                return rc == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
        }
        *out = t;
        return 0;
}

void tls_context_ticket_key(struct tls_context *t, struct str key)
{
        if (key.n == TICKET_KEY)
                mem_copy(t->ticket_key, TICKET_KEY, key);
}

void tls_context_hold(struct tls_context *t)
{
        t->holders++;
}

void tls_context_drop(struct tls_context **tp)
{
        struct tls_context *t = *tp;

        *tp = NULL;
        if (!t || --t->holders > 0)
                return;
        if (t->priorities)
                gnutls_priority_deinit(t->priorities);
        if (t->credentials)
                gnutls_certificate_free_credentials(t->credentials);
        gnutls_memset(t->ticket_key, 0, TICKET_KEY);
        mem_free(t);
}

static gnutls_session_t server_session(struct tls_context *t, unsigned flags)
{
        gnutls_session_t s;

        if (gnutls_init(&s, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | flags) < 0)
                return NULL;
        if (gnutls_priority_set(s, t->priorities) < 0 ||
            gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, t->credentials) < 0) {
                gnutls_deinit(s);
                return NULL;
        }
        gnutls_certificate_server_set_request(s, GNUTLS_CERT_IGNORE);
        return s;
}

/* With its tickets, or not at all. */
static gnutls_session_t held(struct tls_context *t, gnutls_session_t s, int tickets)
{
        if (s && tickets < 0) {
                gnutls_deinit(s);
                return NULL;
        }
        if (s)
                tls_context_hold(t);
        return s;
}

gnutls_session_t tls_context_session(struct tls_context *t, struct tls_own *own)
{
        gnutls_datum_t key = { t->ticket_key, TICKET_KEY };
        gnutls_session_t s = server_session(t, 0);

        return held(t, s,
                    !s    ? 0
                    : own ? tls_own_attach(own, s, true)
                          : gnutls_session_ticket_enable_server(s, &key));
}

gnutls_session_t tls_context_data_session(struct tls_context *t, struct tls_own *own)
{
        gnutls_session_t s = server_session(t, GNUTLS_NO_AUTO_SEND_TICKET);

        return held(t, s, s && own ? tls_own_attach(own, s, false) : 0);
}

int tls_client_session(const char *host, const char *ca_file, gnutls_session_t *s,
                       gnutls_certificate_credentials_t *trust)
{
        int rc = gnutls_certificate_allocate_credentials(trust);

        if (rc < 0)
                return -ENOMEM;
        rc = ca_file ? gnutls_certificate_set_x509_trust_file(*trust, ca_file, GNUTLS_X509_FMT_PEM)
                     : gnutls_certificate_set_x509_system_trust(*trust);
        if (rc < 0)
                return -ENOENT;
        rc = gnutls_init(s, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
        if (rc < 0)
                return -ENOMEM;
        rc = gnutls_priority_set_direct(*s, tls_priorities, NULL);
        if (rc == 0)
                rc = gnutls_credentials_set(*s, GNUTLS_CRD_CERTIFICATE, *trust);
        if (rc == 0 && host) {
                if (!addr_parse(str_of(host), 0, &(struct addr){ 0 })) /* RFC 6066 §3: no addresses in it */
                        gnutls_server_name_set(*s, GNUTLS_NAME_DNS, host, strlen(host));
                gnutls_session_set_verify_cert(*s, host, 0);
        }
        return rc < 0 ? -ENOMEM : 0;
}
