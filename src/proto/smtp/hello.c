#include "proto/smtp/smtp.h"
#include "base/codec.h"
#include "base/mem.h"

#include <inttypes.h>

/* Domain / address-literal -- RFC 5321 §4.1.1.1. Hosts call themselves all sorts of things; refused is only what
 * cannot be a name at all (it goes into Received). */
static bool name_valid(struct str name)
{
        return name.n && ascii_only(name) && (domain_valid(name) || address_literal_valid(name));
}

static int hello(struct smtp *s, struct scan *a, bool extended)
{
        struct str name = scan_token(a);

        scan_spaces(a);
        if (!scan_done(a) || !name_valid(name))
                return FAIL;
        letter_reset(s); /* RFC 5321 §4.1.4: as if RSET had come */
        mem_free(s->helo);
        s->helo = mem_string(name);
        s->extended = extended;
        s->plain_codes = !extended;
        s->session.state = SMTP_READY;
        return OK;
}

/* RFC 2033 §4.1: one greets as LMTP or as SMTP, never as the other. */
static int wrong_greeting(struct session *s)
{
        return smtp_lmtp(s) ? smtp_reply(s, "500 5.5.1 This is LMTP: say LHLO")
                            : smtp_reply(s, "500 5.5.1 This is SMTP: say EHLO");
}

int smtp_helo(struct session *session, struct scan *a)
{
        struct smtp *s = smtp_of(session);

        if (smtp_lmtp(session))
                return wrong_greeting(session);
        if (hello(s, a, false) != OK)
                return smtp_reply(session, "501 Syntax: HELO host");
        return smtp_reply(session, "250 %s Hello %s, pleased to meet you", session->host, s->helo);
}

/* Is this command's keyword worth announcing here and now? */
static bool offered(struct session *s, const struct command *c)
{
        if (c->handle == smtp_auth)
                return smtp_offers_auth(s) && !s->account.n && session_plaintext_ok(s);
        if (c->handle == smtp_atrn)
                return s->server->turn && s->account.n && s->protocol == PROTOCOL_ATRN;
        if (c->handle == smtp_starttls)
                return s->server->tls && !conn_has_tls(s->conn);
        return c->offers != NULL;
}

/* A keyword and its parameters -- RFC 5321 §4.1.1.1 ehlo-line */
static struct str announced(struct session *s, struct str keyword)
{
        const struct settings *t = s->server->settings;

        if (str_eq(keyword, S("SIZE")))
                return arena_printf(&s->command, "SIZE %ld", t->max_letter_size);
        if (str_eq(keyword, S("LIMITS")))
                return arena_printf(&s->command, "LIMITS RCPTMAX=%ld", t->max_recipients);
        if (str_eq(keyword, S("AUTH")))
                return arena_printf(&s->command, "AUTH " PRS,
                                    STR(sasl_mechanisms(conn_has_tls(s->conn), session_plaintext_ok(s),
                                                        s->server->settings->offer_scram)));
        return keyword;
}

/* ehlo-ok-rsp: the last line has a space behind the number, the others a hyphen. */
static int extended_hello(struct session *session, struct scan *a)
{
        struct smtp *s = smtp_of(session);
        struct str line;

        if (hello(s, a, true) != OK)
                return smtp_reply(session, "501 Syntax: %s host", session->running->verb);
        line = arena_printf(&session->command, "%s Hello %s, pleased to meet you", session->host, s->helo);
        for (size_t i = 0; i < smtp_dialect.count; i++) {
                const struct command *c = &smtp_dialect.commands[i];
                struct str words = str_of(c->offers), word;

                while (offered(session, c) && words.n) {
                        str_cut(&words, ' ', &word);
                        if (str_eq(word, S("REQUIRETLS")) && !conn_has_tls(session->conn))
                                continue; /* RFC 8689 §2: it is offered over TLS only */
                        smtp_reply(session, "250-" PRS, STR(line));
                        line = announced(session, word);
                }
        }
        return smtp_reply(session, "250 " PRS, STR(line));
}

int smtp_ehlo(struct session *s, struct scan *a)
{
        return smtp_lmtp(s) ? wrong_greeting(s) : extended_hello(s, a);
}

int smtp_lhlo(struct session *s, struct scan *a)
{
        return smtp_lmtp(s) ? extended_hello(s, a) : wrong_greeting(s);
}
