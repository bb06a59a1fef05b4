#include "role/keeper_inside.h"
#include "base/codec.h"
#include "run/log.h"
#include "run/offload.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <sodium.h>
#include <stdio.h>

enum { HASHING_MOST = 128, USES_MOST = 1024, LOOK_EVERY = 1 };

/* A hash like any other, with the same cost; nobody knows what it is of. */
static const char nobody[crypto_pwhash_STRBYTES] = "$argon2id$v=19$m=19456,t=2,p=1$cGFpbCBvZiB3YXRlciEhIQ$"
                                                   "mJ0mKpUcYxFh6m0H3k1yQm4cW0xqQ2m1mD7e9o2m3zA";
_Static_assert(ARGON_PASSES == 2 && ARGON_MEMORY == 19456 * 1024, "`nobody` costs what the others cost");

void keeper_password_init(struct keeper *k)
{
        if (crypto_pwhash_str_needs_rehash(nobody, ARGON_PASSES, ARGON_MEMORY) != 0)
                mem_die("the hash of nobody's password is none");
        k->uses = mem_array(USES_MOST, sizeof(*k->uses));
}

struct hashing {
        char stored[crypto_pwhash_STRBYTES];
        struct str password;
};

static int verify(void *arg)
{
        struct hashing *h = arg;

        return crypto_pwhash_str_verify(h->stored, h->password.p, h->password.n) == 0 ? 1 : 0;
}

/* One Argon2 run, for anybody. 1: right, 0: wrong, -EAGAIN: too many wait. */
static int run_argon(struct keeper *k, struct str stored, struct str password)
{
        struct hashing h = { .password = password };
        int rc;

        if (k->hashing >= HASHING_MOST)
                return -EAGAIN;
        mem_copy(h.stored, sizeof h.stored - 1, stored);
        k->hashing++;
        k->hash_runs++;
        rc = offload(LONG, verify, &h);
        k->hashing--;
        return rc;
}

/* Another process (a verb, while this one was being restarted) may have changed the secrets. */
static void look_for_changes(struct keeper *k)
{
        int64_t now = k->clock();

        if (now < k->looked + LOOK_EVERY && now >= k->looked)
                return;
        k->looked = now;
        if (secrets_changed(k->secrets))
                verified_drop(&k->verified, S(""));
}

void keeper_used(struct keeper *k, uint64_t id)
{
        for (size_t i = 0; i < k->use_count; i++)
                if (k->uses[i].id == id) {
                        k->uses[i].when = k->clock();
                        return;
                }
        if (k->use_count < USES_MOST)
                k->uses[k->use_count++] = (struct secret_use){ id, k->clock() };
}

void keeper_note_uses(struct keeper *k)
{
        struct secret_use *list = k->uses;
        size_t n = k->use_count;

        if (!n)
                return;
        k->uses = mem_array(USES_MOST, sizeof(*k->uses));
        k->use_count = 0;
        if (secrets_used(k->secrets, list, n) < 0)
                log_warn("secrets", "what=\"last use was not written down\"");
        mem_free(list);
}

int keeper_secrets_of(struct keeper *k, struct arena *a, struct str name, struct str *account,
                      struct secret **list, size_t *n)
{
        int rc;

        *account = S("");
        rc = directory_signin(k->directory, a, name, account);
        if (rc < 0 && rc != -ENOENT)
                return rc;
        return secrets_of(k->secrets, a, *account, list, n);
}

static const struct secret *find_kind(const struct secret *list, size_t n, enum secret_kind kind,
                                      unsigned scope)
{
        for (size_t i = 0; i < n; i++)
                if (list[i].kind == kind && (list[i].scope & scope) == scope)
                        return &list[i];
        return NULL;
}

static const struct secret *find_app(struct keeper *k, const struct secret *list, size_t n,
                                     struct str password, unsigned scope)
{
        unsigned char hash[32];

        if (!app_password_hash(k, password, hash))
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (list[i].kind == SECRET_APP && (list[i].scope & scope) == scope &&
                    list[i].value.n == sizeof hash && sodium_memcmp(list[i].value.p, hash, sizeof hash) == 0)
                        return &list[i];
        return NULL;
}

/* Which secret of the name's account the password is; *found NULL: none. */
static int check(struct keeper *k, unsigned scope, struct str name, struct str password, struct arena *a,
                 struct str *account, const struct secret **found)
{
        const struct secret *own;
        struct secret *list;
        size_t n;
        int rc = keeper_secrets_of(k, a, name, account, &list, &n);

        *found = NULL;
        if (rc < 0)
                return rc;
        *found = find_app(k, list, n, password, scope);
        if (*found)
                return 0;
        if (!slow_may_try(k, *account, name))
                return -EAGAIN;
        own = find_kind(list, n, SECRET_PASSWORD, scope);
        rc = run_argon(k, own ? own->value : str_of(nobody), password);
        if (rc > 0 && own)
                *found = own;
        return rc < 0 ? rc : 0;
}

static enum signin_result failed(struct keeper *k, const struct signin *who, struct str name,
                                 struct str account, const char *how)
{
        log_event("signin-failed", "peer=%s name=%s how=%s", addr_text(who->peer).z, log_str(name), how);
        slow_failure(k, who, account, name);
        return SIGNIN_NO;
}

static enum signin_result later(struct str name, int rc)
{
        log_warn("signin-later", "name=%s error=%s", log_str(name), log_str(str_of(strerror(-rc))));
        return SIGNIN_LATER;
}

enum signin_result keeper_check_password(struct keeper *k, const struct signin *who, struct str name,
                                         struct str password, struct arena *a, struct str *account)
{
        const struct verified *v = NULL;
        const struct secret *found;
        uint64_t generation;
        int rc;

        *account = S("");
        if (slow_refuses(k, who->peer))
                return SIGNIN_NO;
        look_for_changes(k);
        rc = directory_signin(k->directory, a, name, account);
        if (rc == 0)
                v = verified_find(&k->verified, *account, password, k->clock());
        if (v && (v->scope & who->scope) == who->scope) {
                keeper_used(k, v->id);
                slow_success(k, who, *account);
                return SIGNIN_OK;
        }
        generation = k->verified.generation;
        rc = check(k, who->scope, name, password, a, account, &found);
        if (rc == 0 && generation != k->verified.generation)
                rc = -EAGAIN; /* it was changed meanwhile, and those who knew the old one were signed out */
        if (rc < 0)
                return later(name, rc);
        if (!found || !account->n)
                return failed(k, who, name, *account, "password");
        verified_put(&k->verified, *account, password, found->id, found->scope, k->clock());
        keeper_used(k, found->id);
        slow_success(k, who, *account);
        return SIGNIN_OK;
}

/* RFC 1939 §7: the digest is MD5 of the stamp, followed by the password. */
enum signin_result keeper_check_apop(struct keeper *k, const struct ask_apop *m, struct arena *a,
                                     struct str *account)
{
        unsigned char want[16];
        struct buf auto_buf text = { 0 }, auto_buf digest = { 0 };
        uint64_t generation = k->verified.generation;
        const struct secret *own;
        struct secret *list;
        size_t n;
        int rc;

        *account = S("");
        if (slow_refuses(k, m->who.peer))
                return SIGNIN_NO;
        rc = keeper_secrets_of(k, a, m->name, account, &list, &n);
        if (rc == 0 && generation != k->verified.generation)
                rc = -EAGAIN;
        if (rc < 0)
                return later(m->name, rc);
        if (!slow_may_try(k, *account, m->name))
                return later(m->name, -EAGAIN);
        own = find_kind(list, n, SECRET_APOP, m->who.scope);
        buf_init(&text, CHANNEL_BODY * 2);
        buf_init(&digest, sizeof want);
        buf_puts(&text, m->stamp);
        buf_puts(&text, own ? own->value : S("nobody's password"));
        if (gnutls_hash_fast(GNUTLS_DIG_MD5, text.p, text.n, want) < 0)
                return SIGNIN_LATER;
        sodium_memzero(text.p, text.n);
        if (!hex_get(&digest, m->digest) || digest.n != sizeof want ||
            sodium_memcmp(digest.p, want, sizeof want) != 0 || !own || !account->n)
                return failed(k, &m->who, m->name, *account, "apop");
        keeper_used(k, own->id);
        slow_success(k, &m->who, *account);
        return SIGNIN_OK;
}
