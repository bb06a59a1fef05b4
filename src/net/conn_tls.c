#include "net/conn_private.h"
#include "net/tls_private.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>

enum {
        RECORD_HEAD = 5,
        IDLE_RECORDS = 32, /* warnings and the like in a row: more of them is a flood */
};

struct conn_tls {
        gnutls_session_t session;
        struct tls_context *context;            /* a server's */
        gnutls_certificate_credentials_t trust; /* a client's */
        struct room staged;                     /* read from the socket, not yet all given to GnuTLS */
        uint32_t staged_at;
        uint8_t head[RECORD_HEAD]; /* of the record that GnuTLS is in the middle of */
        uint8_t head_n;
        uint16_t left; /* bytes of its body to come */
        uint8_t idle;  /* records without data since the last that had some */
        bool said_bye;
        bool sending;     /* GnuTLS holds a record that has not gone out whole */
        bool ticket_owed; /* to be sent before the next record */
};

/* Follows the records, to know whether GnuTLS holds a part of one. */
static void follow(struct conn_tls *t, const uint8_t *p, size_t n)
{
        while (n > 0) {
                size_t part;

                if (t->head_n < RECORD_HEAD) {
                        t->head[t->head_n++] = *p++;
                        n--;
                        if (t->head_n == RECORD_HEAD)
                                t->left = (uint16_t)(t->head[3] << 8 | t->head[4]);
                } else {
                        part = n < t->left ? n : t->left;
                        t->left = (uint16_t)(t->left - part);
                        p += part;
                        n -= part;
                }
                if (t->head_n == RECORD_HEAD && t->left == 0)
                        t->head_n = 0;
        }
}

static inline size_t staged(const struct conn_tls *t)
{
        return t->staged.n - t->staged_at;
}

/* GnuTLS asks for a record's head, then for its body: a page is read ahead, so that small records cost one read of
 * the socket. The rest of a large one goes straight to its place. */
static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
        struct conn *c = ptr;
        struct conn_tls *t = c->tls;
        bool straight = n >= ROOM_PAGE && staged(t) == 0;
        ssize_t got;

        if (staged(t) == 0) {
                t->staged.n = t->staged_at = 0;
                got = straight ? raw_read(c, p, n)
                               : raw_read(c, room_need(&t->staged, ROOM_PAGE, 0, ROOM_PAGE), ROOM_PAGE);
                if (got <= 0) {
                        gnutls_transport_set_errno(t->session, (int)-got);
                        return got == 0 ? 0 : -1;
                }
                if (straight)
                        n = (size_t)got;
                else
                        t->staged.n = (uint32_t)got;
        }
        if (!straight) {
                struct str part = str_sub((struct str){ t->staged.p, t->staged.n }, t->staged_at, n);

                mem_copy(p, n, part);
                n = part.n;
                t->staged_at += (uint32_t)n;
        }
        follow(t, p, n);
        return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
        struct conn *c = ptr;

        (void)ms;
        return staged(c->tls) > 0 || c->readable;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *v, int count)
{
        struct conn *c = ptr;
        ssize_t sent = raw_write(c, v, count);

        if (sent < 0) {
                gnutls_transport_set_errno(c->tls->session, (int)-sent);
                return -1;
        }
        return sent;
}

ssize_t tls_read(struct conn *c, void *p, size_t n)
{
        struct conn_tls *t = c->tls;
        ssize_t got;

        for (; t->idle < IDLE_RECORDS; t->idle++) {
                got = gnutls_record_recv(t->session, p, n);
                if (got >= 0) {
                        t->idle = 0;
                        return got;
                }
                switch (got) {
                case GNUTLS_E_AGAIN:
                        if (staged(t) == 0 && !c->readable)
                                return -EAGAIN;
                        break; /* that was a record without data */
                case GNUTLS_E_INTERRUPTED:
                case GNUTLS_E_WARNING_ALERT_RECEIVED: break;
                default: /* among them GNUTLS_E_REHANDSHAKE: nobody needs it */
                        return got == GNUTLS_E_PREMATURE_TERMINATION ? -ECONNRESET : -EPROTO;
                }
        }
        return -EPROTO;
}

ssize_t tls_write(struct conn *c, const void *p, size_t n)
{
        struct conn_tls *t = c->tls;
        ssize_t sent;

        if (t->ticket_owed && !t->sending) {
                do {
                        sent = gnutls_session_ticket_send(t->session, 1, 0);
                } while (sent == GNUTLS_E_INTERRUPTED);
                if (sent == GNUTLS_E_AGAIN)
                        return -EAGAIN;
                t->ticket_owed = false;
        }
        do {
                sent = gnutls_record_send(t->session, p, n);
        } while (sent == GNUTLS_E_INTERRUPTED);
        t->sending = sent == GNUTLS_E_AGAIN;
        if (sent >= 0)
                return sent;
        return t->sending ? -EAGAIN : -EPIPE;
}

void conn_owe_ticket(struct conn *c)
{
        if (c->tls && c->own && gnutls_protocol_get_version(c->tls->session) == GNUTLS_TLS1_3)
                c->tls->ticket_owed = true;
}

void conn_own_tickets(struct conn *c)
{
        if (!c->own)
                c->own = tls_own_new();
}

gnutls_session_t conn_tls_session(const struct conn *c)
{
        return c->tls && !c->failed ? c->tls->session : NULL;
}

bool tls_ready(const struct conn *c)
{
        return staged(c->tls) > 0 || gnutls_record_check_pending(c->tls->session) > 0;
}

bool tls_may_park(const struct conn *c)
{
        return !tls_ready(c) && c->tls->head_n == 0;
}

void tls_release(struct conn *c)
{
        struct conn_tls *t = c->tls;

        if (staged(t) > 0)
                return;
        room_free(&t->staged);
        t->staged_at = 0;
}

void tls_bye(struct conn *c)
{
        if (!c->tls || c->tls->said_bye)
                return;
        c->tls->said_bye = true;
        gnutls_bye(c->tls->session, GNUTLS_SHUT_WR);
}

void tls_free(struct conn *c)
{
        struct conn_tls *t = c->tls;

        if (!t)
                return;
        c->tls = NULL;
        if (t->session)
                gnutls_deinit(t->session);
        if (t->context)
                tls_context_drop(&t->context);
        if (t->trust)
                gnutls_certificate_free_credentials(t->trust);
        room_free(&t->staged);
        mem_free(t);
}

static int handshake(struct conn *c, nsec deadline)
{
        gnutls_session_t s = c->tls->session;
        int rc;

        gnutls_transport_set_ptr(s, c);
        gnutls_transport_set_pull_function(s, pull);
        gnutls_transport_set_pull_timeout_function(s, pull_timeout);
        gnutls_transport_set_vec_push_function(s, push);
        while ((rc = gnutls_handshake(s)) < 0) {
                if (rc == GNUTLS_E_AGAIN) {
                        rc = 0;
                        if (gnutls_record_get_direction(s) || !pull_timeout(c, 0))
                                rc = conn_wait(c, gnutls_record_get_direction(s) ? EPOLLOUT : EPOLLIN,
                                               "TLS handshake", deadline);
                        if (rc < 0 || c->failed || c->stop) { /* no command is begun: nothing to finish */
                                conn_fail(c);
                                return rc < 0 ? rc : -EPIPE;
                        }
                } else if (gnutls_error_is_fatal(rc) || ++c->tls->idle > IDLE_RECORDS) {
                        gnutls_alert_send_appropriate(s, rc);
                        conn_fail(c);
                        return rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR ? -EKEYREJECTED : -EBADMSG;
                }
                if (now() >= deadline) { /* a peer that drips warnings */
                        conn_fail(c);
                        return -ETIMEDOUT;
                }
                fiber_yield_if_due();
        }
        return 0;
}

/* What was said in clear is over: nothing may be left of it on either side of the switch. */
int tls_before(struct conn *c, nsec deadline)
{
        assert(!c->tls && !c->zip);
        if (conn_buffered(c) > 0) {
                conn_fail(c);
                return -EPROTO;
        }
        return conn_flush(c, deadline);
}

int conn_starttls(struct conn *c, struct tls_context *tls, nsec deadline)
{
        int rc = tls_before(c, deadline);

        if (rc < 0)
                return rc;
        c->tls = mem_new(struct conn_tls);
        c->tls->session = tls_context_session(tls, c->own);
        if (!c->tls->session) {
                conn_fail(c);
                return -ENOMEM;
        }
        c->tls->context = tls;
        rc = handshake(c, deadline);
        if (rc == 0 && c->own)
                tls_own_learn(c->own, c->tls->session);
        return rc;
}

int conn_starttls_client(struct conn *c, const char *host, const char *ca_file, nsec deadline)
{
        int rc = tls_before(c, deadline);

        if (rc < 0)
                return rc;
        c->tls = mem_new(struct conn_tls);
        rc = tls_client_session(host, ca_file, &c->tls->session, &c->tls->trust);
        if (rc < 0) {
                conn_fail(c);
                return rc;
        }
        return handshake(c, deadline);
}

int tls_begin(struct conn *c, gnutls_session_t session, nsec deadline)
{
        c->tls = mem_new(struct conn_tls);
        c->tls->session = session;
        return handshake(c, deadline);
}

/* close_notify, whole. */
static int say_bye(struct conn *c, nsec deadline)
{
        int rc;

        c->tls->said_bye = true;
        while ((rc = gnutls_bye(c->tls->session, GNUTLS_SHUT_WR)) == GNUTLS_E_AGAIN ||
               rc == GNUTLS_E_INTERRUPTED) {
                int waited = c->writable ? 0 : conn_wait(c, EPOLLOUT, "output", deadline);

                if (waited < 0)
                        return waited;
        }
        return rc < 0 ? -EPIPE : 0;
}

/* The next octet, read ahead; -EAGAIN: none yet. */
static int next_octet(struct conn *c)
{
        struct conn_tls *t = c->tls;

        if (staged(t) == 0) {
                ssize_t got;

                t->staged.n = t->staged_at = 0;
                got = raw_read(c, room_need(&t->staged, ROOM_PAGE, 0, ROOM_PAGE), ROOM_PAGE);
                if (got <= 0)
                        return got == 0 ? -ECONNRESET : (int)got;
                t->staged.n = (uint32_t)got;
        }
        return (unsigned char)t->staged.p[t->staged_at];
}

/* Some (curl's --ftp-ssl-ccc) hear our close_notify and go on in clear without one of their own: no command begins as a record does,
 * 20 to 23 (RFC 8446 §5.1). */
static bool goes_on_in_clear(struct conn *c)
{
        int octet = c->tls->head_n == 0 ? next_octet(c) : -EAGAIN;

        return octet >= 0 && (octet < 20 || octet > 23);
}

/* Theirs. What would come before it is no command: the one that ends TLS waits for its answer. */
static int hear_bye(struct conn *c, nsec deadline)
{
        char scrap[64];
        ssize_t n;
        int rc;

        for (;;) {
                if (goes_on_in_clear(c))
                        return 0;
                n = tls_read(c, scrap, sizeof(scrap));
                if (n != -EAGAIN)
                        return n > 0 ? -EPROTO : (int)n;
                rc = c->failed ? -EPIPE : conn_wait(c, EPOLLIN, "the end of TLS", deadline);
                if (rc < 0)
                        return rc;
        }
}

int conn_stoptls(struct conn *c, nsec deadline)
{
        struct str rest;
        int rc = !c->tls || c->zip || conn_buffered(c) > 0 ? -EPROTO : conn_flush(c, deadline);

        if (rc == 0)
                rc = say_bye(c, deadline);
        if (rc == 0)
                rc = hear_bye(c, deadline);
        if (rc < 0) {
                conn_fail(c);
                return rc;
        }
        /* what was read ahead is in clear already */
        rest = str_from(c->tls->staged.p + c->tls->staged_at, staged(c->tls));
        if (rest.n > 0) {
                c->in.n = c->in_at = c->scanned = 0;
                mem_copy(room_need(&c->in, rest.n, ROOM_PAGE, ROOM_PAGE), rest.n, rest);
                c->in.n = (uint32_t)rest.n;
        }
        tls_free(c);
        return 0;
}

bool conn_tls_facts(struct conn *c, struct conn_tls_facts *out)
{
        gnutls_session_t s;
        gnutls_datum_t binding;

        *out = (struct conn_tls_facts){ 0 };
        if (!c->tls || c->failed)
                return false;
        s = c->tls->session;
        out->binding_is_exporter = gnutls_protocol_get_version(s) == GNUTLS_TLS1_3;
        out->version = out->binding_is_exporter ? "TLSv1.3" : "TLSv1.2";
        out->cipher = gnutls_ciphersuite_get(s);
        if (gnutls_session_channel_binding(
                s, out->binding_is_exporter ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE, &binding) == 0) {
                if (binding.size <= sizeof(out->binding)) {
                        mem_copy(out->binding, sizeof(out->binding), str_from(binding.data, binding.size));
                        out->binding_length = binding.size;
                }
                gnutls_free(binding.data);
        }
        return true;
}

struct str conn_tls_name(const struct conn *c, char room[static TLS_NAME_ROOM])
{
        size_t n = TLS_NAME_ROOM;
        unsigned type;

        if (!c->tls || gnutls_server_name_get(c->tls->session, room, &n, &type, 0) < 0 ||
            type != GNUTLS_NAME_DNS)
                return S("");
        return str_of(room); /* it ends with NUL, which n may count or not */
}
