#include "proto/sasl_client.h"
#include "base/codec.h"
#include "base/mem.h"
#include "run/offload.h"
#include <errno.h>
#include <gsasl.h>

enum { ROUNDS_MOST = 8 };

static const struct mechanism {
        const char *name;
        bool bound, shows; /* needs channel binding; shows the password */
} mechanisms[] = {
        { "SCRAM-SHA-256-PLUS", true, false },
        { "SCRAM-SHA-256", false, false },
        { "SCRAM-SHA-1", false, false },
        { "PLAIN", false, true },
        { "LOGIN", false, true },
};

struct sasl_client {
        const struct mechanism *mechanism;
        Gsasl *library;
        Gsasl_session *session;
        unsigned rounds;
        int state; /* what gsasl_step said last */
        /* for the worker */
        struct str challenge;
        char *token;
        size_t token_n;
};

bool sasl_offers(struct str list, struct str word)
{
        struct str one;

        while (list.n) {
                str_cut(&list, ' ', &one);
                if (str_ieq(one, word))
                        return true;
        }
        return false;
}

static bool bind_to_tls(struct sasl_client *x, const struct conn_tls_facts *facts)
{
        auto_buf struct buf text = { 0 };

        if (!facts->binding_length)
                return false;
        buf_init(&text, 256);
        base64_put(&text, str_from(facts->binding, facts->binding_length));
        return gsasl_property_set_raw(
                   x->session, facts->binding_is_exporter ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE,
                   text.p, text.n) == GSASL_OK;
}

static const struct mechanism *choose(const struct sasl_client_who *who, const struct conn_tls_facts *facts,
                                      bool tls, int *why)
{
        *why = -EACCES;
        for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++) {
                const struct mechanism *m = &mechanisms[i];

                if (!sasl_offers(who->mechanisms, str_of(m->name)) || (m->bound && !facts->binding_length) ||
                    (who->shown && !m->shows))
                        continue;
                if (!m->shows || tls || who->clear_allowed)
                        return m;
                *why = -ENOPROTOOPT;
        }
        return NULL;
}

int client_sasl_new(struct sasl_client **out, const struct sasl_client_who *who)
{
        struct conn_tls_facts facts = { 0 };
        bool tls = who->conn && conn_has_tls(who->conn);
        struct sasl_client *x;
        int rc;

        if (tls)
                conn_tls_facts(who->conn, &facts);
        x = mem_new(struct sasl_client);
        x->mechanism = choose(who, &facts, tls, &rc);
        x->state = GSASL_NEEDS_MORE;
        if (x->mechanism && gsasl_init(&x->library) == GSASL_OK &&
            gsasl_client_start(x->library, x->mechanism->name, &x->session) == GSASL_OK &&
            gsasl_property_set_raw(x->session, GSASL_AUTHID, who->user.p, who->user.n) == GSASL_OK &&
            gsasl_property_set_raw(x->session, GSASL_PASSWORD, who->password.p, who->password.n) ==
                GSASL_OK &&
            (!x->mechanism->bound || bind_to_tls(x, &facts))) {
                *out = x;
                return 0;
        }
        *out = NULL;
        client_sasl_free(&x);
        return rc;
}

void client_sasl_free(struct sasl_client **xp)
{
        struct sasl_client *x = *xp;

        *xp = NULL;
        if (!x)
                return;
        if (x->session)
                gsasl_finish(x->session);
        if (x->library)
                gsasl_done(x->library);
        mem_free(x);
}

const char *client_sasl_mechanism(const struct sasl_client *x)
{
        return x->mechanism->name;
}

bool client_sasl_shows(const struct sasl_client *x)
{
        return x->mechanism->shows;
}

bool client_sasl_begins(const struct sasl_client *x)
{
        return !str_eq(str_of(x->mechanism->name), S("LOGIN"));
}

/* RFC 5802 §7: "r=...,s=...,i=4096": how much work it asks for. */
static bool work_bearable(struct str challenge)
{
        struct str part;
        uint64_t n;

        while (challenge.n) {
                str_cut(&challenge, ',', &part);
                if (str_starts(part, S("i=")) && (!str_u64(str_from_at(part, 2), &n) || n > SASL_WORK_MOST))
                        return false;
        }
        return true;
}

static int step(void *arg)
{
        struct sasl_client *x = arg;

        x->state = gsasl_step(x->session, x->challenge.p, x->challenge.n, &x->token, &x->token_n);
        return 0;
}

int client_sasl_step(struct sasl_client *x, struct str challenge, struct buf *out)
{
        auto_buf struct buf bytes = { 0 };

        buf_clear(out);
        buf_init(&bytes, SASL_TOKEN_MOST);
        if (x->rounds++ == ROUNDS_MOST || x->state != GSASL_NEEDS_MORE ||
            !base64_get(&bytes, str_trim(challenge)) || bytes.full ||
            (!x->mechanism->shows && !work_bearable(buf_str(&bytes)))) {
                x->state = GSASL_MECHANISM_PARSE_ERROR;
                return -EBADMSG;
        }
        x->challenge = buf_str(&bytes);
        if (!x->challenge.p)
                x->challenge = S("");
        /* only SCRAM hashes, and only when it has something to hash */
        if (x->mechanism->shows || !x->challenge.n)
                step(x);
        else
                offload(LONG, step, x);
        if (x->state == GSASL_OK || x->state == GSASL_NEEDS_MORE)
                base64_put(out, str_from(x->token, x->token_n));
        gsasl_free(x->token);
        x->token = NULL;
        x->token_n = 0;
        return (x->state == GSASL_OK || x->state == GSASL_NEEDS_MORE) && !out->full ? 0 : -EBADMSG;
}

bool client_sasl_done(const struct sasl_client *x)
{
        return x->state == GSASL_OK;
}
