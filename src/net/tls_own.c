#include "net/tls_private.h"
#include "base/mem.h"

#include <gnutls/crypto.h>

enum {
        OWN_LASTS = 7 * 86400, /* seconds; the most there is. It ends with its connection, anyway */
        SESSION_MOST = 4096,
};

struct tls_own *tls_own_new(void)
{
        struct tls_own *o = mem_new(struct tls_own);

        if (gnutls_rnd(GNUTLS_RND_KEY, o->key, sizeof(o->key)) < 0)
                mem_die("no random bytes for a ticket key");
        return o;
}

void tls_own_free(struct tls_own **op)
{
        struct tls_own *o = *op;

        if (!o)
                return;
        *op = NULL;
        gnutls_memset(o->key, 0, sizeof(o->key));
        gnutls_memset(o->master, 0, sizeof(o->master));
        if (o->session)
                gnutls_memset(o->session, 0, o->session_n);
        mem_free(o->session);
        mem_free(o);
}

/* For clients of TLS 1.2 that use no tickets: the session under its number. One connection has one. */
static int store(void *ptr, gnutls_datum_t id, gnutls_datum_t session)
{
        struct tls_own *o = ptr;

        if (o->session || id.size > sizeof(o->id) || session.size > SESSION_MOST)
                return 0;
        mem_copy(o->id, sizeof(o->id), str_from(id.data, id.size));
        o->id_n = id.size;
        o->session = mem_alloc(session.size);
        o->session_n = session.size;
        mem_copy(o->session, o->session_n, str_from(session.data, session.size));
        return 0;
}

static int store_none(void *ptr, gnutls_datum_t id, gnutls_datum_t session)
{
        (void)ptr, (void)id, (void)session;
        return 0;
}

static int forget_none(void *ptr, gnutls_datum_t id)
{
        (void)ptr, (void)id;
        return 0;
}

static gnutls_datum_t retrieve(void *ptr, gnutls_datum_t id)
{
        const struct tls_own *o = ptr;
        gnutls_datum_t found = { NULL, 0 };

        if (!o->session || !str_eq(str_from(id.data, id.size), str_from(o->id, o->id_n)))
                return found;
        found.data = gnutls_malloc(o->session_n); /* theirs to free */
        if (!found.data)
                return found;
        found.size = (unsigned)o->session_n;
        mem_copy(found.data, found.size, str_from(o->session, o->session_n));
        return found;
}

int tls_own_attach(struct tls_own *o, gnutls_session_t s, bool control)
{
        gnutls_datum_t key = { o->key, sizeof(o->key) };

        gnutls_db_set_cache_expiration(s,
                                       OWN_LASTS); /* first: from the key and this time GnuTLS makes others */
        gnutls_db_set_ptr(s, o);
        gnutls_db_set_store_function(s, control ? store : store_none);
        gnutls_db_set_retrieve_function(s, retrieve);
        gnutls_db_set_remove_function(s, forget_none);
        return gnutls_session_ticket_enable_server(s, &key);
}

static bool master_of(gnutls_session_t s, struct str *master)
{
        gnutls_datum_t m;

        if (gnutls_protocol_get_version(s) == GNUTLS_TLS1_3)
                return false;
        gnutls_session_get_master_secret(s, &m);
        *master = str_from(m.data, m.size);
        return m.size == TLS_MASTER;
}

void tls_own_learn(struct tls_own *o, gnutls_session_t s)
{
        struct str master;

        o->has_master = master_of(s, &master);
        if (o->has_master)
                mem_copy(o->master, sizeof(o->master), master);
}

/* TLS 1.3: tickets are given on the control connection only. TLS 1.2 gives one in each full handshake, also to a thief on a data
 * connection, who might come back with it: but what he resumes has another master secret. */
bool tls_own_resumed(const struct tls_own *o, gnutls_session_t s)
{
        struct str master;

        if (!o || !gnutls_session_is_resumed(s))
                return false;
        if (gnutls_protocol_get_version(s) == GNUTLS_TLS1_3)
                return true;
        return o->has_master && master_of(s, &master) &&
               gnutls_memcmp(master.p, o->master, sizeof(o->master)) == 0;
}
