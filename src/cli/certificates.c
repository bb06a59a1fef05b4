#include "cli/certificates.h"

#include "net/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY             (24L * 3600)
#define AUTHORITY_LIVES (3650 * DAY)
#define SERVER_LIVES    (730 * DAY)

struct pair {
        gnutls_x509_privkey_t key;
        gnutls_x509_crt_t certificate;
};

static void pair_finish(struct pair *p)
{
        gnutls_x509_crt_deinit(p->certificate);
        gnutls_x509_privkey_deinit(p->key);
}

static int pair_init(struct pair *p)
{
        int rc = gnutls_x509_privkey_init(&p->key);

        return rc ? rc : gnutls_x509_crt_init(&p->certificate);
}

/* What both kinds share: version, a random serial number, dates, the name, the key's identifier. */
static int fill(struct pair *p, struct str common_name, long lives)
{
        unsigned char serial[16], id[64];
        size_t id_size = sizeof(id);
        time_t t = time(NULL);
        int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

        serial[0] &= 0x7f; /* a positive number */
        rc = rc ? rc : gnutls_x509_crt_set_version(p->certificate, 3);
        rc = rc ? rc : gnutls_x509_crt_set_serial(p->certificate, serial, sizeof(serial));
        rc = rc ? rc : gnutls_x509_crt_set_activation_time(p->certificate, t - DAY);
        rc = rc ? rc : gnutls_x509_crt_set_expiration_time(p->certificate, t + lives);
        rc = rc ? rc : gnutls_x509_crt_set_key(p->certificate, p->key);
        rc = rc ? rc
                : gnutls_x509_crt_set_dn_by_oid(p->certificate, GNUTLS_OID_X520_COMMON_NAME, 0, common_name.p,
                                                (unsigned)common_name.n);
        rc = rc ? rc : gnutls_x509_crt_get_key_id(p->certificate, 0, id, &id_size);
        return rc ? rc : gnutls_x509_crt_set_subject_key_id(p->certificate, id, id_size);
}

static int generate(struct pair *p)
{
        return gnutls_x509_privkey_generate(p->key, GNUTLS_PK_ECDSA,
                                            GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
}

static int make_authority(struct pair *ca, struct str owner)
{
        int rc = generate(ca);

        rc = rc ? rc : fill(ca, owner, AUTHORITY_LIVES);
        rc = rc ? rc : gnutls_x509_crt_set_basic_constraints(ca->certificate, 1, 0);
        rc = rc ? rc
                : gnutls_x509_crt_set_key_usage(ca->certificate,
                                                GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
        return rc ? rc
                  : gnutls_x509_crt_sign2(ca->certificate, ca->certificate, ca->key, GNUTLS_DIG_SHA256, 0);
}

static int add_addresses(struct pair *server, const struct str *addresses, size_t n)
{
        int rc = 0;

        for (size_t i = 0; i < n && !rc; i++) {
                struct addr a;

                if (addr_parse(addresses[i], 0, &a))
                        rc = gnutls_x509_crt_set_subject_alt_name(server->certificate, GNUTLS_SAN_IPADDRESS,
                                                                  a.ip, a.family == 4 ? 4 : 16,
                                                                  GNUTLS_FSAN_APPEND);
        }
        return rc;
}

static int fill_server(struct pair *server, const struct str *names, size_t name_count)
{
        int rc = generate(server);

        rc = rc ? rc : fill(server, names[0], SERVER_LIVES);
        for (size_t i = 0; i < name_count && !rc; i++)
                rc = gnutls_x509_crt_set_subject_alt_name(server->certificate, GNUTLS_SAN_DNSNAME, names[i].p,
                                                          (unsigned)names[i].n, GNUTLS_FSAN_APPEND);
        rc = rc ? rc : gnutls_x509_crt_set_basic_constraints(server->certificate, 0, -1);
        rc = rc ? rc : gnutls_x509_crt_set_key_usage(server->certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
        rc = rc ? rc : gnutls_x509_crt_set_key_purpose_oid(server->certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
        return rc;
}

static int write_file(const char *name, const gnutls_datum_t *text, mode_t mode)
{
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        bool good = fd >= 0 && !fchmod(fd, mode) &&
                    write(fd, text->data, text->size) == (ssize_t)text->size && !fsync(fd);

        if (fd >= 0)
                close(fd);
        return good ? 0 : GNUTLS_E_FILE_ERROR;
}

static int write_pair(const struct pair *p, const char *certificate_file, const char *key_file)
{
        gnutls_datum_t text;
        int rc = gnutls_x509_crt_export2(p->certificate, GNUTLS_X509_FMT_PEM, &text);

        if (rc)
                return rc;
        rc = write_file(certificate_file, &text, 0644);
        gnutls_free(text.data);
        if (rc || (rc = gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM, &text)))
                return rc;
        rc = write_file(key_file, &text, 0600);
        gnutls_memset(text.data, 0, text.size);
        gnutls_free(text.data);
        return rc;
}

static int read_pair(struct pair *p, const char *certificate_file, const char *key_file)
{
        gnutls_datum_t text;
        int rc = gnutls_load_file(certificate_file, &text);

        if (rc)
                return rc;
        rc = gnutls_x509_crt_import(p->certificate, &text, GNUTLS_X509_FMT_PEM);
        gnutls_free(text.data);
        if (rc || (rc = gnutls_load_file(key_file, &text)))
                return rc;
        rc = gnutls_x509_privkey_import(p->key, &text, GNUTLS_X509_FMT_PEM);
        gnutls_memset(text.data, 0, text.size);
        gnutls_free(text.data);
        return rc;
}

static int make_all(struct pair *ca, struct pair *server, const char *files[static 4], struct str owner,
                    const struct str *names, size_t name_count, const struct str *addresses,
                    size_t address_count)
{
        int rc = 0;

        if (access(files[0], F_OK) || access(files[1], F_OK)) {
                rc = make_authority(ca, owner);
                rc = rc ? rc : write_pair(ca, files[0], files[1]);
        } else {
                rc = read_pair(ca, files[0], files[1]);
        }
        rc = rc ? rc : fill_server(server, names, name_count);
        rc = rc ? rc : add_addresses(server, addresses, address_count);
        rc = rc ? rc
                : gnutls_x509_crt_sign2(server->certificate, ca->certificate, ca->key, GNUTLS_DIG_SHA256, 0);
        return rc ? rc : write_pair(server, files[2], files[3]);
}

int certificates_make(const char *ca_file, const char *ca_key_file, const char *chain_file,
                      const char *key_file, struct str owner, const struct str *names, size_t name_count,
                      const struct str *addresses, size_t address_count, struct buf *why)
{
        const char *files[4] = { ca_file, ca_key_file, chain_file, key_file };
        struct pair ca = { 0 }, server = { 0 };
        int rc = pair_init(&ca);

        rc = rc ? rc : pair_init(&server);
        rc = rc ? rc : make_all(&ca, &server, files, owner, names, name_count, addresses, address_count);
        if (rc)
                buf_printf(why, "%s%s%s", gnutls_strerror(rc), rc == GNUTLS_E_FILE_ERROR ? ": " : "",
                           rc == GNUTLS_E_FILE_ERROR ? strerror(errno) : "");
        pair_finish(&ca);
        pair_finish(&server);
        return rc ? -1 : 0;
}
