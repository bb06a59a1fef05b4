#include "role/keeper_inside.h"
#include "base/codec.h"
#include "run/log.h"
#include <errno.h>
#include <sodium.h>

/* SASL exchanges (RFC 4422), by GNU SASL. A front holds a handle; what it forgets expires. The callback runs in the
 * fiber of the message that is being answered, so it may wait like any handler. */

enum { EXCHANGE_SECONDS = 120 };

struct exchange {
        struct keeper *keeper;
        Gsasl_session *session;
        struct signin who;
        struct buf binding; /* who.binding's bytes */
        uint32_t handle;
        nsec deadline;
        bool busy, dropped;     /* a step runs; drop it afterwards */
        enum secret_kind scram; /* 0: PLAIN, LOGIN */
        bool looked_up;
        struct arena life; /* the account's name and the name that was given */
        struct str account, name;
        uint64_t secret;         /* its id */
        uint64_t generation;     /* of what was verified, when it was looked up */
        enum signin_result said; /* by the password check */
};

static const struct mechanism {
        const char *name;
        enum secret_kind scram;
        bool plus;
} mechanisms[] = {
        { "PLAIN", 0, false },
        { "LOGIN", 0, false },
        { "SCRAM-SHA-1", SECRET_SCRAM_SHA1, false },
        { "SCRAM-SHA-1-PLUS", SECRET_SCRAM_SHA1, true },
        { "SCRAM-SHA-256", SECRET_SCRAM_SHA256, false },
        { "SCRAM-SHA-256-PLUS", SECRET_SCRAM_SHA256, true },
};

/* ---- the callback ---- */

/* May act for nobody but oneself. */
static bool acts_for_self(struct exchange *x, struct str account)
{
        struct arena auto_arena a = { 0 };
        const char *other = gsasl_property_fast(x->session, GSASL_AUTHZID);
        struct str who;

        if (!other || !*other)
                return true;
        arena_init(&a, 16 * 1024);
        return directory_signin(x->keeper->directory, &a, str_of(other), &who) == 0 && str_eq(who, account);
}

static int check_simple(struct exchange *x)
{
        struct arena auto_arena a = { 0 };
        struct str name = str_of(gsasl_property_fast(x->session, GSASL_AUTHID)), account;
        struct str password = str_of(gsasl_property_fast(x->session, GSASL_PASSWORD));

        arena_init(&a, (size_t)16 << 20);
        x->said = keeper_check_password(x->keeper, &x->who, name, password, &a, &account);
        if (x->said != SIGNIN_OK)
                return GSASL_AUTHENTICATION_ERROR;
        x->account = arena_str(&x->life, account);
        if (acts_for_self(x, account))
                return GSASL_OK;
        x->said = SIGNIN_NO;
        return GSASL_AUTHENTICATION_ERROR;
}

static int set_base64(struct exchange *x, Gsasl_property property, struct str bytes)
{
        struct buf auto_buf text = { 0 };

        buf_init(&text, 1000);
        base64_put(&text, bytes);
        return text.full ? GSASL_AUTHENTICATION_ERROR
                         : gsasl_property_set_raw(x->session, property, text.p, text.n);
}

/* Somebody who is not there, or has no SCRAM secret, gets a salt too: always the same, so that asking twice does not
 * tell; and keys that nothing fits. */
static void fake(struct exchange *x, struct str name, struct scram *s, unsigned char room[static 3 * 32])
{
        struct str lower = arena_lower(&x->life, name);

        crypto_generichash(room, 32, (const unsigned char *)lower.p, lower.n, x->keeper->fake_key,
                           SERVER_KEY);
        randombytes_buf(room + 32, 64);
        *s = (struct scram){ SCRAM_ITERATIONS, str_from(room, 16),
                             str_from(room + 32, x->scram == SECRET_SCRAM_SHA1 ? 20 : 32),
                             str_from(room + 64, x->scram == SECRET_SCRAM_SHA1 ? 20 : 32) };
}

static int look_up(struct exchange *x)
{
        struct arena auto_arena a = { 0 };
        unsigned char room[3 * 32];
        struct scram s;
        struct secret *list;
        bool found = false;
        char iterations[16];
        struct str account;
        size_t n;
        int rc;

        x->looked_up = true;
        x->generation = x->keeper->verified.generation;
        x->name = arena_str(&x->life, str_of(gsasl_property_fast(x->session, GSASL_AUTHID)));
        arena_init(&a, (size_t)16 << 20);
        if (keeper_secrets_of(x->keeper, &a, x->name, &account, &list, &n) < 0 ||
            !slow_may_try(x->keeper, account, x->name)) {
                x->said = SIGNIN_LATER;
                return GSASL_AUTHENTICATION_ERROR;
        }
        for (size_t i = 0; i < n && !found; i++)
                if (list[i].kind == x->scram && (list[i].scope & x->who.scope) == x->who.scope) {
                        found = scram_unpack(&s, list[i].value);
                        x->secret = list[i].id;
                }
        if (found)
                x->account = arena_str(&x->life, account);
        else
                fake(x, account.n ? account : x->name, &s, room);
        snprintf(iterations, sizeof iterations, "%u", s.iterations);
        rc = gsasl_property_set(x->session, GSASL_SCRAM_ITER, iterations);
        rc = rc ? rc : set_base64(x, GSASL_SCRAM_SALT, s.salt);
        rc = rc ? rc : set_base64(x, GSASL_SCRAM_STOREDKEY, s.stored_key);
        return rc ? rc : set_base64(x, GSASL_SCRAM_SERVERKEY, s.server_key);
}

static int callback(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
        struct exchange *x = gsasl_session_hook_get(session);

        (void)library;
        switch (property) {
        case GSASL_VALIDATE_SIMPLE: return check_simple(x);
        case GSASL_SCRAM_ITER:
        case GSASL_SCRAM_SALT:
        case GSASL_SCRAM_STOREDKEY:
        case GSASL_SCRAM_SERVERKEY: return x->scram && !x->looked_up ? look_up(x) : GSASL_NO_CALLBACK;
        default: return GSASL_NO_CALLBACK;
        }
}

int sasl_init(struct keeper *k)
{
        if (gsasl_init(&k->gsasl) != GSASL_OK)
                return -ENOMEM;
        gsasl_callback_set(k->gsasl, callback);
        return 0;
}

/* ---- handles: place + 1 in the low half, a number that changes in the high half ---- */

static void free_exchange(struct front *f, struct exchange *x)
{
        f->exchanges.list[(x->handle & 0xffff) - 1] = NULL;
        f->exchanges.count--;
        gsasl_finish(x->session);
        buf_free(&x->binding);
        arena_finish(&x->life);
        mem_free(x);
}

static struct exchange *find(struct front *f, uint32_t handle)
{
        size_t place = handle & 0xffff;
        struct exchange *x = place && place <= f->exchanges.room ? f->exchanges.list[place - 1] : NULL;

        return x && x->handle == handle && !x->dropped ? x : NULL;
}

static void drop(struct front *f, struct exchange *x)
{
        if (x->busy)
                x->dropped = true;
        else
                free_exchange(f, x);
}

void sasl_drop(struct front *f, uint32_t handle)
{
        struct exchange *x = find(f, handle);

        if (x)
                drop(f, x);
}

void sasl_drop_all(struct front *f)
{
        for (size_t i = 0; i < f->exchanges.room; i++)
                if (f->exchanges.list[i])
                        drop(f, f->exchanges.list[i]);
        if (!f->exchanges.count) {
                mem_free(f->exchanges.list);
                f->exchanges = (struct exchanges){ 0 };
        }
}

static struct exchange *new_exchange(struct front *f)
{
        struct exchanges *all = &f->exchanges;
        struct exchange *x;
        size_t place = 0;

        for (size_t i = 0; i < all->room; i++)
                if (all->list[i] && all->list[i]->deadline < now())
                        drop(f, all->list[i]);
        while (place < all->room && all->list[place])
                place++;
        if (place == all->room) {
                size_t room = all->room ? all->room * 2 : 16;

                if (room > EXCHANGES_MOST)
                        return NULL;
                if (!all->room) /* so that handles of the keeper before this one are most likely none of ours */
                        all->generation = (uint16_t)randombytes_random();
                all->list = mem_grow(all->list, room, sizeof(struct exchange *));
                for (size_t i = all->room; i < room; i++)
                        all->list[i] = NULL;
                all->room = room;
        }
        x = mem_new(struct exchange);
        x->keeper = f->keeper;
        x->handle = (uint32_t)(place + 1) | (uint32_t)++all->generation << 16;
        x->deadline = in_seconds(EXCHANGE_SECONDS);
        arena_init(&x->life, 64 * 1024);
        all->list[place] = x;
        all->count++;
        return x;
}

/* ---- steps ---- */

static enum signin_result failed_scram(struct exchange *x)
{
        log_event("signin-failed", "peer=%s name=%s how=scram", addr_text(x->who.peer).z, log_str(x->name));
        slow_failure(x->keeper, &x->who, x->account, x->name);
        return SIGNIN_NO;
}

/* What GNU SASL's answer means. */
static enum signin_result judge(struct exchange *x, int rc)
{
        if (rc == GSASL_NEEDS_MORE)
                return SIGNIN_MORE;
        if (x->said == SIGNIN_LATER)
                return SIGNIN_LATER;
        if (rc == GSASL_OK && x->scram) {
                if (!x->account.n || !acts_for_self(x, x->account))
                        return failed_scram(x);
                if (x->generation != x->keeper->verified.generation)
                        return SIGNIN_LATER; /* its secret may be another now */
                keeper_used(x->keeper, x->secret);
                slow_success(x->keeper, &x->who, x->account);
                return SIGNIN_OK;
        }
        if (rc == GSASL_OK)
                return x->said;
        if (rc == GSASL_MECHANISM_PARSE_ERROR || rc == GSASL_BASE64_ERROR || rc == GSASL_SASLPREP_ERROR)
                return SIGNIN_SYNTAX;
        if (x->scram && x->looked_up)
                return failed_scram(x);
        return SIGNIN_NO; /* counted by the password check; or a wrong binding before any name was known */
}

/* One token in, one out; frees the exchange unless more is to come. */
static void step(struct front *f, struct exchange *x, struct str token, struct arena *a,
                 struct signin_answer *out)
{
        char *answer = NULL;
        size_t n = 0;
        int rc;

        x->busy = true;
        x->said = SIGNIN_NO;
        rc = gsasl_step(x->session, token.p, token.n, &answer, &n);
        *out = (struct signin_answer){
                .result = judge(x, rc), .handle = x->handle, .token = S(""), .account = S("")
        };
        if (out->result == SIGNIN_OK || out->result == SIGNIN_MORE)
                out->token = arena_str(a, str_from(answer, n));
        if (out->result == SIGNIN_OK)
                out->account = arena_str(a, x->account);
        gsasl_free(answer);
        x->busy = false;
        if (out->result != SIGNIN_MORE || x->dropped)
                free_exchange(f, x);
}

void sasl_start(struct front *f, const struct ask_sasl_start *m, struct arena *a, struct signin_answer *out)
{
        const struct mechanism *t = mechanisms, *end = mechanisms + sizeof mechanisms / sizeof mechanisms[0];
        struct exchange *x;
        bool login;

        *out = (struct signin_answer){ .result = SIGNIN_UNKNOWN, .token = S(""), .account = S("") };
        while (t < end && !str_ieq(m->mechanism, str_of(t->name)))
                t++;
        if (t == end || (t->plus && !m->who.binding.n))
                return;
        out->result = SIGNIN_NO;
        if (slow_refuses(f->keeper, m->who.peer))
                return;
        out->result = SIGNIN_LATER;
        x = new_exchange(f);
        if (!x)
                return;
        x->who = m->who;
        x->scram = t->scram;
        x->account = x->name = S("");
        buf_init(&x->binding, CHANNEL_BODY);
        buf_puts(&x->binding, m->who.binding);
        x->who.binding = buf_str(&x->binding);
        if (gsasl_server_start(f->keeper->gsasl, t->name, &x->session) != GSASL_OK) {
                free_exchange(f, x);
                return;
        }
        gsasl_session_hook_set(x->session, x);
        if (x->scram && x->who.binding.n)
                set_base64(x, x->who.binding_is_exporter ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE,
                           x->who.binding);
        login = str_eq(str_of(t->name), S("LOGIN"));
        step(f, x, m->has_initial && !login ? m->initial : S(""), a, out);
        if (login && m->has_initial && out->result == SIGNIN_MORE) /* the name came before it was asked for */
                step(f, x, m->initial, a, out);
}

void sasl_step(struct front *f, const struct ask_sasl_step *m, struct arena *a, struct signin_answer *out)
{
        struct exchange *x = find(f, m->handle);

        /* not found: it took too long, or began with the keeper before this one */
        *out = (struct signin_answer){ .result = SIGNIN_LATER, .token = S(""), .account = S("") };
        if (x && x->deadline < now())
                drop(f, x);
        else if (x && !x->busy)
                step(f, x, m->token, a, out);
}
