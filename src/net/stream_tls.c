#include "net/stream_private.h"
#include "base/mem.h"
#include "net/conn_private.h"
#include "net/tls_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
        AHEAD = 256 * 1024, /* read from the socket at once */
        RECORD = 16384,
        IDLE_RECORDS_MOST = 32, /* records without data in a row: more of them is a flood */
};

struct stream_tls {
        gnutls_session_t session;
        struct tls_context *context;            /* a server's */
        gnutls_certificate_credentials_t trust; /* a client's */
        char *ahead;                            /* read, not yet all given to GnuTLS: [at, n) */
        size_t at, n;
        int later; /* what the last reading met behind the bytes it gave */
        uint8_t idle;
        bool more;      /* the next record is not the last of what we know */
        bool meets_end; /* close_notify came */
        bool dry;       /* on a worker: the socket met EAGAIN */
};

/* On a worker the flags of the stream are not touched. */
static ssize_t from_socket(struct stream *s, void *p, size_t n)
{
        ssize_t got;

        if (!s->at_work)
                return stream_recv(s, p, n);
        got = socket_recv(s->watch.fd, p, n);
        s->tls->dry = got == -EAGAIN;
        return got;
}

static ssize_t to_socket(struct stream *s, const struct iovec *v, int count)
{
        ssize_t sent;

        if (!s->at_work)
                return stream_send(s, v, count, s->tls->more);
        sent = socket_send(s->watch.fd, v, count, s->tls->more);
        s->tls->dry = sent == -EAGAIN;
        return sent;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
        struct stream *s = ptr;
        struct stream_tls *t = s->tls;
        struct str part;
        ssize_t got;

        if (t->at == t->n) {
                if (!t->ahead)
                        t->ahead = mem_grow(NULL, AHEAD, 1);
                t->at = t->n = 0;
                got = from_socket(s, t->ahead, AHEAD);
                if (got <= 0) {
                        gnutls_transport_set_errno(t->session, (int)-got);
                        return got == 0 ? 0 : -1;
                }
                t->n = (size_t)got;
        }
        part = str_sub(str_from(t->ahead, t->n), t->at, n);
        mem_copy(p, n, part);
        t->at += part.n;
        return (ssize_t)part.n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
        struct stream *s = ptr;

        (void)ms;
        return s->tls->at < s->tls->n || s->readable;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *v, int count)
{
        struct stream *s = ptr;
        ssize_t sent = to_socket(s, v, count);

        if (sent < 0) {
                gnutls_transport_set_errno(s->tls->session, (int)-sent);
                return -1;
        }
        s->pushed += (uint64_t)sent;
        return sent;
}

static ssize_t read_record(struct stream *s, char *p, size_t n)
{
        struct stream_tls *t = s->tls;

        for (; t->idle < IDLE_RECORDS_MOST; t->idle++) {
                ssize_t got = gnutls_record_recv(t->session, p, n);

                if (got >= 0) {
                        t->idle = 0;
                        return got;
                }
                if (got == GNUTLS_E_AGAIN) {
                        if (t->at == t->n && (s->at_work ? t->dry : !s->readable))
                                return -EAGAIN;
                } else if (got != GNUTLS_E_INTERRUPTED && got != GNUTLS_E_WARNING_ALERT_RECEIVED) {
                        return got == GNUTLS_E_PREMATURE_TERMINATION ? -ECONNRESET : -EPROTO;
                }
        }
        return -EPROTO;
}

/* As many records as are there and fit. */
ssize_t stream_tls_read(struct stream *s, void *p, size_t n)
{
        struct stream_tls *t = s->tls;
        size_t got = 0;

        while (got < n && !t->later && !t->meets_end) {
                ssize_t came = read_record(s, (char *)p + got, n - got);

                if (came == -EAGAIN)
                        return got ? (ssize_t)got : -EAGAIN;
                if (came < 0)
                        t->later = (int)came;
                else if (came == 0)
                        t->meets_end = true;
                else
                        got += (size_t)came;
        }
        return got ? (ssize_t)got : t->later;
}

ssize_t stream_tls_write(struct stream *s, const void *p, size_t n)
{
        struct stream_tls *t = s->tls;
        size_t done = 0;
        ssize_t sent;

        while (done < n) {
                t->more = n - done > RECORD;
                sent = gnutls_record_send(t->session, (const char *)p + done, n - done);
                if (sent > 0)
                        done += (size_t)sent;
                else if (sent == GNUTLS_E_AGAIN)
                        return done ? (ssize_t)done : -EAGAIN;
                else if (sent != GNUTLS_E_INTERRUPTED)
                        return -EPIPE;
        }
        return (ssize_t)done;
}

bool stream_tls_ready(const struct stream *s)
{
        const struct stream_tls *t = s->tls;

        return t->at < t->n || t->later || t->meets_end || gnutls_record_check_pending(t->session) > 0;
}

int stream_tls_bye(struct stream *s)
{
        int rc;

        s->tls->more = false;
        do {
                rc = gnutls_bye(s->tls->session, GNUTLS_SHUT_WR);
        } while (rc == GNUTLS_E_INTERRUPTED);
        return rc == 0 ? 0 : rc == GNUTLS_E_AGAIN ? -EAGAIN : -EPIPE;
}

void stream_tls_release(struct stream *s)
{
        struct stream_tls *t = s->tls;

        if (t->at < t->n)
                return;
        mem_free(t->ahead);
        t->ahead = NULL;
}

void stream_tls_free(struct stream *s)
{
        struct stream_tls *t = s->tls;

        if (!t)
                return;
        s->tls = NULL;
        if (t->session)
                gnutls_deinit(t->session);
        if (t->context)
                tls_context_drop(&t->context);
        if (t->trust)
                gnutls_certificate_free_credentials(t->trust);
        mem_free(t->ahead);
        mem_free(t);
}

/* Peers that write their part of a handshake in two pieces and do not set TCP_NODELAY (GnuTLS, so lftp) wait for our acknowledgment of the
 * first, which the kernel would keep back for 40 ms since we have nothing to say: for each file. */
static void acknowledge_at_once(struct stream *s)
{
        int on = 1;

        setsockopt(s->watch.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static int handshake(struct stream *s, nsec deadline)
{
        gnutls_session_t t = s->tls->session;
        unsigned warnings = 0;
        int rc;

        stream_prompt(s);
        gnutls_transport_set_ptr(t, s);
        gnutls_transport_set_pull_function(t, pull);
        gnutls_transport_set_pull_timeout_function(t, pull_timeout);
        gnutls_transport_set_vec_push_function(t, push);
        while ((rc = gnutls_handshake(t)) < 0) {
                bool out = gnutls_record_get_direction(t);

                if (rc != GNUTLS_E_AGAIN) {
                        if (gnutls_error_is_fatal(rc) || ++warnings > IDLE_RECORDS_MOST) {
                                gnutls_alert_send_appropriate(t, rc);
                                return stream_fail(s, rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR
                                                          ? -EKEYREJECTED
                                                          : -EBADMSG);
                        }
                } else if (out ? !s->writable : !pull_timeout(s, 0)) {
                        if (!out)
                                acknowledge_at_once(s);
                        if (stream_wait(s, out ? EPOLLOUT : EPOLLIN, "TLS handshake", deadline) < 0)
                                return s->error;
                }
                if (now() >= deadline) /* a peer that drips */
                        return stream_fail(s, -ETIMEDOUT);
                fiber_yield_if_due();
        }
        return s->error;
}

int stream_starttls(struct stream *s, struct tls_context *tls, struct conn *control, nsec deadline,
                    bool *resumed)
{
        int rc;

        *resumed = false;
        if (s->error || s->tls)
                return stream_fail(s, -EPROTO);
        s->tls = mem_new(struct stream_tls);
        s->tls->session = tls_context_data_session(tls, control ? control->own : NULL);
        if (!s->tls->session)
                return stream_fail(s, -ENOMEM);
        s->tls->context = tls;
        rc = handshake(s, deadline);
        *resumed = rc == 0 && control && tls_own_resumed(control->own, s->tls->session);
        if (*resumed)
                conn_owe_ticket(control);
        return rc;
}

int stream_starttls_client(struct stream *s, struct conn *control, const char *host, const char *ca_file,
                           nsec deadline)
{
        gnutls_session_t known = control ? conn_tls_session(control) : NULL;
        gnutls_datum_t session;
        int rc;

        if (s->error || s->tls)
                return stream_fail(s, -EPROTO);
        s->tls = mem_new(struct stream_tls);
        rc = tls_client_session(host, ca_file, &s->tls->session, &s->tls->trust);
        if (rc < 0)
                return stream_fail(s, rc);
        if (known && gnutls_session_get_data2(known, &session) == 0) {
                gnutls_session_set_data(s->tls->session, session.data, session.size);
                gnutls_free(session.data);
        }
        return handshake(s, deadline);
}

/* Their own certificate, as it came. */
static struct str shown(gnutls_session_t s)
{
        unsigned n = 0;
        const gnutls_datum_t *raw =
            gnutls_certificate_type_get(s) == GNUTLS_CRT_X509 ? gnutls_certificate_get_peers(s, &n) : NULL;

        return raw && n ? str_from(raw[0].data, raw[0].size) : S("");
}

static int same_session(struct stream_tls *t, gnutls_session_t known, const char *host)
{
        gnutls_datum_t session;

        if (gnutls_certificate_allocate_credentials(&t->trust) < 0 ||
            gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0 ||
            gnutls_priority_set_direct(t->session, tls_priorities, NULL) < 0 ||
            gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->trust) < 0)
                return -ENOMEM;
        if (host && !addr_parse(str_of(host), 0, &(struct addr){ 0 })) /* RFC 6066 §3: no addresses in it */
                gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, host, strlen(host));
        if (gnutls_session_get_data2(known, &session) == 0) {
                gnutls_session_set_data(t->session, session.data, session.size);
                gnutls_free(session.data);
        }
        return 0;
}

int stream_starttls_same(struct stream *s, struct conn *control, const char *host, nsec deadline)
{
        gnutls_session_t known = conn_tls_session(control);
        struct str theirs;
        int rc;

        if (s->error || s->tls || !known)
                return stream_fail(s, -EPROTO);
        s->tls = mem_new(struct stream_tls);
        rc = same_session(s->tls, known, host);
        if (rc < 0)
                return stream_fail(s, rc);
        rc = handshake(s, deadline);
        if (rc < 0 || gnutls_session_is_resumed(s->tls->session))
                return rc;
        theirs = shown(s->tls->session);
        return theirs.n && str_eq(theirs, shown(known)) ? 0 : stream_fail(s, -EACCES);
}
