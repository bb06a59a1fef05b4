/* Signing in by SASL as a client: `AUTH MECHANISM` and its responses, by GNU SASL, with the framing of SMTP (334) or
 * POP3 (+). The server's last line is left for the dialog. */
#include "dialog.h"
#include "base/codec.h"

#include <gsasl.h>
#include <stdlib.h>

struct exchange {
        struct dialog *d;
        struct wire *w;
        struct str prompt; /* of the server: "334 " or "+ " */
        Gsasl *library;
        Gsasl_session *session;
};

static bool failed(struct exchange *x, int rc)
{
        buf_printf(&x->d->why, "auth: %s", gsasl_strerror(rc));
        return false;
}

static bool bind_channel(struct exchange *x)
{
        auto_buf struct buf data, text;
        bool exporter = gnutls_protocol_get_version(x->w->tls) >= GNUTLS_TLS1_3;

        buf_init(&data, 4096);
        buf_init(&text, 8192);
        if (!wire_binding(x->w, exporter, &data)) {
                buf_puts(&x->d->why, S("auth: nothing to bind to"));
                return false;
        }
        base64_put(&text, buf_str(&data));
        buf_u8(&text, 0);
        gsasl_property_set(x->session, exporter ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE, text.p);
        return true;
}

/* One line to the server: "AUTH X response" or the response alone. */
static bool tell(struct exchange *x, struct str start, const char *response, size_t n)
{
        auto_buf struct buf line;

        buf_init(&line, 64 << 10);
        buf_puts(&line, start);
        if (start.n && response)
                buf_puts(&line, S(" "));
        base64_put(&line, str_from(response ? response : "", n));
        buf_puts(&line, S("\r\n"));
        return wire_send(x->w, buf_str(&line), &x->d->why);
}

/* Challenges until the server says its last word, which stays unread. */
static bool converse(struct exchange *x, int rc)
{
        struct str line;

        for (;;) {
                auto_buf struct buf challenge = { 0 };
                char *response = NULL;
                size_t n = 0;
                bool sent;

                if (wire_line(x->w, &line) != WIRE_LINE) {
                        buf_puts(&x->d->why, S("auth: the server does not answer"));
                        return false;
                }
                if (!str_starts(line, x->prompt)) {
                        x->w->at = (size_t)(line.p - x->w->in.p); /* to be read again */
                        return true;
                }
                buf_init(&challenge, 64 << 10);
                if (!base64_get(&challenge, str_from_at(line, x->prompt.n))) {
                        buf_printf(&x->d->why, "auth: not base64: \"" PRS "\"", STR(line));
                        return false;
                }
                if (rc == GSASL_NEEDS_MORE) /* else nothing is left to say but the empty line */
                        rc = gsasl_step(x->session, challenge.p, challenge.n, &response, &n);
                if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
                        return failed(x, rc);
                sent = tell(x, S(""), response, n);
                gsasl_free(response);
                if (!sent)
                        return false;
        }
}

static bool begin(struct exchange *x, struct str mechanism)
{
        struct str start = arena_printf(&x->d->arena, "AUTH " PRS, STR(mechanism));
        char *response = NULL;
        size_t n = 0;
        int rc = GSASL_NEEDS_MORE;
        bool sent;

        if (str_eq(mechanism, S("LOGIN"))) /* the server speaks first */
                return tell(x, start, NULL, 0) && converse(x, rc);
        rc = gsasl_step(x->session, NULL, 0, &response, &n);
        if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
                return failed(x, rc);
        sent = tell(x, start, response, n);
        gsasl_free(response);
        return sent && converse(x, rc);
}

bool sasl_sign_in(struct dialog *d, struct wire *w, struct str protocol, struct str mechanism,
                  struct str user, struct str password)
{
        struct exchange x = { .d = d, .w = w };
        bool good;
        int rc;

        x.prompt = str_eq(protocol, S("pop3")) ? S("+ ") : S("334 ");
        rc = gsasl_init(&x.library);
        if (rc == GSASL_OK)
                rc = gsasl_client_start(x.library, mechanism.p, &x.session);
        if (rc != GSASL_OK) {
                gsasl_done(x.library);
                return failed(&x, rc);
        }
        gsasl_property_set(x.session, GSASL_AUTHID, user.p);
        gsasl_property_set(x.session, GSASL_PASSWORD, password.p);
        good = (!str_ends(mechanism, S("-PLUS")) || bind_channel(&x)) && begin(&x, mechanism);
        gsasl_finish(x.session);
        gsasl_done(x.library);
        return good;
}
