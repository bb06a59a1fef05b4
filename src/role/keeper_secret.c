#include "role/keeper_inside.h"
#include "run/log.h"
#include "run/offload.h"
#include <errno.h>
#include <sodium.h>

enum { PASSWORD_MOST = 512, LABEL_MOST = 64, APP_CHARACTERS = 26, APP_GROUP = 5, SALT = 16 };

/* ---- app passwords: 128 random bits in letters and digits that look like no others, in groups ---- */

static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

static void app_password_make(struct buf *out)
{
        for (int i = 0; i < APP_CHARACTERS; i++) {
                if (i && i % APP_GROUP == 0 && i + 1 < APP_CHARACTERS)
                        buf_puts(out, S("-"));
                buf_u8(out, (uint8_t)alphabet[randombytes_uniform(sizeof alphabet - 1)]);
        }
}

bool app_password_hash(const struct keeper *k, struct str typed, unsigned char hash[static 32])
{
        char plain[APP_CHARACTERS];
        size_t n = 0;

        for (size_t i = 0; i < typed.n; i++) {
                char c = chr_lower(typed.p[i]);

                if (c == '-' || c == ' ')
                        continue;
                if (!c || !strchr(alphabet, c) || n == sizeof plain)
                        return false;
                plain[n++] = c;
        }
        if (n != sizeof plain)
                return false;
        crypto_generichash(hash, 32, (const unsigned char *)plain, n, k->app_key, sizeof k->app_key);
        sodium_memzero(plain, sizeof plain);
        return true;
}

/* ---- what is kept of a password ---- */

struct hashing {
        struct str password;
        char argon[crypto_pwhash_STRBYTES];
        bool with_scram;
        unsigned char salt[2][SALT], server_key[2][64], stored_key[2][64];
        int rc; /* of GNU SASL */
};

static int hash_scram(struct hashing *h, int which)
{
        char salted[64], client_key[64];
        char *password = mem_string(h->password), *prepared = NULL;

        h->rc = gsasl_saslprep(password, 0, &prepared, NULL);
        if (h->rc == GSASL_OK)
                h->rc = gsasl_scram_secrets_from_password(
                    which ? GSASL_HASH_SHA256 : GSASL_HASH_SHA1, prepared, SCRAM_ITERATIONS,
                    (char *)h->salt[which], SALT, salted, client_key, (char *)h->server_key[which],
                    (char *)h->stored_key[which]);
        if (prepared)
                sodium_memzero(prepared, strlen(prepared));
        sodium_memzero(password, h->password.n);
        sodium_memzero(salted, sizeof salted);
        sodium_memzero(client_key, sizeof client_key);
        gsasl_free(prepared);
        mem_free(password);
        return h->rc == GSASL_OK ? 0 : -EILSEQ;
}

static int hash(void *arg)
{
        struct hashing *h = arg;
        int rc = crypto_pwhash_str(h->argon, h->password.p, h->password.n, ARGON_PASSES, ARGON_MEMORY);

        if (rc < 0)
                return -ENOMEM;
        randombytes_buf(h->salt, sizeof h->salt);
        for (int i = 0; rc == 0 && h->with_scram && i < 2; i++)
                rc = hash_scram(h, i);
        return rc;
}

static void scram_pack(const struct hashing *h, int which, struct buf *out)
{
        size_t n = which ? 32 : 20;

        buf_u32(out, SCRAM_ITERATIONS);
        buf_packed(out, str_from(h->salt[which], SALT));
        buf_packed(out, str_from(h->stored_key[which], n));
        buf_packed(out, str_from(h->server_key[which], n));
}

bool scram_unpack(struct scram *s, struct str value)
{
        struct unpack u = unpack_of(value);

        s->iterations = unpack_u32(&u);
        s->salt = unpack_str(&u);
        s->stored_key = unpack_str(&u);
        s->server_key = unpack_str(&u);
        return unpack_done(&u) && s->iterations && s->salt.n && s->salt.n <= SALT_MOST &&
               s->stored_key.n <= 64 && s->server_key.n <= 64;
}

/* ---- setting them ---- */

static int say(struct buf *text, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int say(struct buf *text, int rc, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        buf_vprintf(text, format, args);
        va_end(args);
        return rc;
}

static int set_password(struct keeper *k, const struct ask_set_secret *m, struct buf *text)
{
        struct hashing h = { .password = m->password,
                             .with_scram = (m->with & WITH_SCRAM) || k->settings->offer_scram };
        struct buf auto_buf sha1 = { 0 }, auto_buf sha256 = { 0 };
        struct secret list[4];
        size_t n = 0;
        int rc;

        if (!m->password.n || m->password.n > PASSWORD_MOST || str_has_control(m->password))
                return say(text, -EINVAL, "a password has 1 to %d bytes and no control characters",
                           PASSWORD_MOST);
        rc = offload(LONG, hash, &h);
        if (rc == -EILSEQ)
                return say(text, rc, "this password cannot be used with SCRAM: %s", gsasl_strerror(h.rc));
        if (rc < 0)
                return rc;
        list[n++] = (struct secret){ .kind = SECRET_PASSWORD, .scope = SCOPE_ALL, .value = str_of(h.argon) };
        if (h.with_scram) {
                buf_init(&sha1, 1000);
                buf_init(&sha256, 1000);
                scram_pack(&h, 0, &sha1);
                scram_pack(&h, 1, &sha256);
                list[n++] =
                    (struct secret){ .kind = SECRET_SCRAM_SHA1, .scope = SCOPE_ALL, .value = buf_str(&sha1) };
                list[n++] = (struct secret){ .kind = SECRET_SCRAM_SHA256,
                                             .scope = SCOPE_ALL,
                                             .value = buf_str(&sha256) };
        }
        if (m->with & WITH_APOP)
                list[n++] = (struct secret){ .kind = SECRET_APOP, .scope = SCOPE_POP3, .value = m->password };
        rc = secrets_replace(k->secrets, m->account, S(""), list, n, k->clock());
        sodium_memzero(&h, sizeof h);
        return rc;
}

static int add_app_password(struct keeper *k, const struct ask_set_secret *m, struct buf *text)
{
        unsigned char hashed[32];
        struct secret s = { .kind = SECRET_APP, .scope = m->scope };
        size_t at = text->n;
        int rc;

        if (!m->label.n || m->label.n > LABEL_MOST || str_has_control(m->label))
                return say(text, -EINVAL, "a label has 1 to %d bytes and no control characters", LABEL_MOST);
        if (!(m->scope & SCOPE_ALL) || (m->scope & ~(unsigned)SCOPE_ALL))
                return say(text, -EINVAL, "no such scope");
        app_password_make(text);
        if (!app_password_hash(k, str_from_at(buf_str(text), at), hashed))
                mem_die("an app password of our own making is none");
        s.value = str_from(hashed, sizeof hashed);
        rc = secrets_replace(k->secrets, m->account, m->label, &s, 1, k->clock());
        if (rc < 0)
                text->n = at;
        return rc;
}

static void tell_sign_out(struct keeper *k, struct str account)
{
        for (struct front *f = k->fronts; f; f = f->next)
                if (!f->gone)
                        (void)channel_tell(f->channel, TELL_SIGN_OUT, account, -1);
}

static int must_be_an_account(struct keeper *k, struct str name, struct buf *text)
{
        struct arena auto_arena a = { 0 };
        struct account_entry entry;
        int rc;

        arena_init(&a, 64 * 1024);
        directory_changed(k->directory); /* it may be a moment old */
        rc = directory_account(k->directory, &a, name, &entry);
        return rc == -ENOENT ? say(text, rc, PRS ": no such account", STR(name)) : rc;
}

/* Who knew the old secret is signed out, and what was remembered of it is forgotten. */
static void forget(struct keeper *k, struct str account)
{
        verified_drop(&k->verified, account);
        tell_sign_out(k, account);
}

int keeper_set_secret(struct keeper *k, const struct ask_set_secret *m, struct buf *text)
{
        int rc = m->what == REMOVE_ALL ? 0 : must_be_an_account(k, m->account, text);

        if (rc < 0)
                return rc;
        switch (m->what) {
        case SET_PASSWORD: rc = set_password(k, m, text); break;
        case ADD_APP_PASSWORD: return add_app_password(k, m, text);
        case REMOVE_SECRET:
                rc = secrets_replace(k->secrets, m->account, m->label, NULL, 0, 0);
                if (rc == -ENOENT)
                        return say(text, rc, PRS ": no such secret", STR(m->label));
                break;
        case REMOVE_ALL: rc = secrets_remove_account(k->secrets, m->account); break;
        case SIGN_OUT: break;
        }
        if (rc == 0) {
                log_event("secret", "account=%s what=%d", log_str(m->account), (int)m->what);
                forget(k, m->account);
        }
        return rc;
}

int keeper_list_secrets(struct keeper *k, struct str account, struct buf *text)
{
        struct arena auto_arena a = { 0 };
        struct secret *list;
        size_t n;
        int rc = must_be_an_account(k, account, text);

        if (rc < 0)
                return rc;
        keeper_note_uses(k); /* so that the last ones are told too */
        arena_init(&a, (size_t)16 << 20);
        rc = secrets_of(k->secrets, &a, account, &list, &n);
        for (size_t i = 0; rc == 0 && i < n; i++) {
                struct secret_entry e = { list[i].kind, list[i].scope, list[i].created, list[i].used,
                                          list[i].label };

                if (text->n + 200 > text->max)
                        break; /* a hundred and more are enough to look at */
                secret_entry_pack(&e, text);
        }
        return rc;
}
