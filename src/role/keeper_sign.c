#include "role/keeper_inside.h"
#include "run/log.h"
#include "run/offload.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <sodium.h>
#include <unistd.h>

enum { KEY_FILE_MOST = 64 * 1024 };

struct signing_key {
        gnutls_privkey_t key;
        unsigned users; /* signing just now, and the keeper while it is the one */
};

static void unref(struct signing_key *s)
{
        if (--s->users)
                return;
        gnutls_privkey_deinit(s->key);
        mem_free(s);
}

void keeper_key_drop(struct keeper *k)
{
        if (k->key)
                unref(k->key);
        k->key = NULL;
}

struct reading {
        int fd;
        struct buf text;
        gnutls_privkey_t key;
        int rc;
};

static int read_key(void *arg)
{
        struct reading *r = arg;
        gnutls_datum_t pem;
        char *room;
        ssize_t n;

        while ((room = buf_room(&r->text, 4096)) != NULL &&
               (n = pread(r->fd, room, 4096, (off_t)r->text.n)) > 0)
                buf_added(&r->text, (size_t)n);
        if (!room || !r->text.n)
                return -EINVAL;
        pem = (gnutls_datum_t){ (unsigned char *)r->text.p, (unsigned)r->text.n };
        if (gnutls_privkey_init(&r->key) < 0)
                return -ENOMEM;
        r->rc = gnutls_privkey_import_x509_raw(r->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
        sodium_memzero(r->text.p, r->text.n);
        if (r->rc >= 0)
                return 0;
        gnutls_privkey_deinit(r->key);
        return -EINVAL;
}

int keeper_key(struct keeper *k, int fd)
{
        struct reading r = { .fd = fd };
        int rc;

        buf_init(&r.text, KEY_FILE_MOST);
        rc = offload(QUICK, read_key, &r);
        buf_free(&r.text);
        close(fd);
        if (rc < 0) {
                log_warn("key", "error=%s",
                         log_str(str_of(r.rc < 0 ? gnutls_strerror(r.rc) : strerror(-rc))));
                return rc;
        }
        keeper_key_drop(k);
        k->key = mem_new(struct signing_key);
        *k->key = (struct signing_key){ r.key, 1 };
        return 0;
}

struct signing {
        gnutls_privkey_t key;
        gnutls_sign_algorithm_t algorithm;
        gnutls_datum_t hash, signature;
};

static int sign(void *arg)
{
        struct signing *s = arg;

        return gnutls_privkey_sign_hash2(s->key, s->algorithm, 0, &s->hash, &s->signature);
}

int keeper_sign_hash(struct keeper *k, const struct ask_sign *m, struct buf *signature)
{
        struct signing_key *key = k->key;
        struct signing s = { .algorithm = (gnutls_sign_algorithm_t)m->algorithm };
        int rc;

        if (!key || m->key.n)
                return -ENOENT;
        s.key = key->key;
        s.hash = (gnutls_datum_t){ (unsigned char *)(uintptr_t)m->hash.p, (unsigned)m->hash.n };
        key->users++;
        rc = offload(QUICK, sign, &s);
        unref(key);
        if (rc < 0) {
                log_warn("sign", "algorithm=%u error=%s", m->algorithm, log_str(str_of(gnutls_strerror(rc))));
                return -EINVAL;
        }
        buf_put(signature, s.signature.data, s.signature.size);
        gnutls_free(s.signature.data);
        return 0;
}
