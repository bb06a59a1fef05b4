#include "proto/smtp/smtp.h"
#include "mail/header.h"
#include "mail/trace.h"
#include "run/log.h"

#include <errno.h>
#include <inttypes.h>

enum {
        PIECE = 64 * 1024,
        HEADER_MOST = 256 * 1024, /* looked into; what comes later goes by unseen */
        TRACE_MOST = 8192,
        ID_MOST = 500,
        BEYOND = 1 << 20, /* read on after the limit: this, and once more the limit */
};

static void free_incoming(struct reception *r)
{
        incoming_free(&r->in);
        for (unsigned i = 0; i < LETTER_LISTS; i++)
                incoming_free(&r->lists[i]);
}

bool reception_begin(struct smtp *s)
{
        struct reception *r = &s->reception;
        const struct settings *t;
        int rc;

        reception_drop(s);
        rc = intake_begin(s->session.server->intake, &r->in);
        t = s->session.server->settings; /* that waited: they may be others now */
        for (unsigned i = 0; i < s->letter.list_count && rc >= 0; i++)
                rc = intake_begin(s->session.server->intake, &r->lists[i]);
        if (rc == -ENOSPC)
                smtp_refuse(&s->session, "452 4.3.1 Insufficient system storage, try again later");
        else if (rc < 0)
                smtp_refuse(&s->session, "451 4.3.0 Local error, try again later");
        if (rc < 0) {
                free_incoming(r);
                return false;
        }
        dot_reader_init(&r->r);
        r->r.mend_bare_lf = addr_in_list(conn_peer(s->session.conn), str_of(t->bare_lf_mended));
        buf_init(&r->text, HEADER_MOST + 2 * PIECE + 2); /* bare LFs mended, a piece may double */
        r->active = true;
        r->received = wall_usec();
        r->window = in_seconds(t->data_rate_window);
        session_parking(&s->session, false);
        return true;
}

void reception_drop(struct smtp *s)
{
        struct reception *r = &s->reception;

        if (!r->active)
                return;
        free_incoming(r);
        buf_free(&r->text);
        *r = (struct reception){ 0 };
        session_parking(&s->session, true);
}

static void reception_fault(struct smtp *s, enum letter_fault fault)
{
        struct reception *r = &s->reception;

        if (!r->fault ||
            fault >= LETTER_SLOW) /* what ends the connection goes before whatever else is wrong */
                r->fault = (uint8_t)fault;
        free_incoming(r); /* from here on it is only read to its end */
}

/* The least rate counts when something comes: silence has a deadline of its own. */
static bool too_slow(struct reception *r, const struct settings *t, size_t came)
{
        nsec at = now();
        uint64_t least;

        r->window_read += came;
        if (!t->data_min_rate || at < r->window)
                return false;
        least = (uint64_t)t->data_min_rate * (uint64_t)((at - r->window) / SECOND + t->data_rate_window);
        if (r->window_read < least)
                return true;
        r->window = at + t->data_rate_window * SECOND;
        r->window_read = 0;
        return false;
}

struct str reception_some(struct smtp *s, size_t most)
{
        const struct server *server = s->session.server;
        struct reception *r = &s->reception;
        struct str piece = conn_some(s->session.conn, most < PIECE ? most : PIECE,
                                     in_seconds(server->settings->smtp_data_timeout));
        const struct settings *t = server->settings; /* that waited: they may be others now */

        if (!piece.n) {
                reception_fault(s, conn_late(s->session.conn) ? LETTER_SILENT : LETTER_CUT);
                return piece;
        }
        r->read += piece.n;
        if (too_slow(r, t, piece.n)) {
                reception_fault(s, LETTER_SLOW);
                return S("");
        }
        if (r->read > 2 * (uint64_t)t->max_letter_size + BEYOND) {
                reception_fault(s, LETTER_ENDLESS);
                return S("");
        }
        return piece;
}

/* --- the header ---------------------------------------------------------------------------------------------- */

/* Does the letter begin with a field? The lectures' letters often have none: then an empty line must stand between
 * our fields and their text. An empty header has its empty line already. */
static bool begins_with_field(struct str text)
{
        size_t n = 0;

        while (n < text.n && text.p[n] > 32 && text.p[n] != 127 && text.p[n] != ':')
                n++;
        while (n > 0 && n < text.n && (text.p[n] == ' ' || text.p[n] == '\t')) /* RFC 5322 §4.5 */
                n++;
        return str_starts(text, S("\r\n")) || (n > 0 && n < text.n && text.p[n] == ':');
}

/* Every mailbox in every From must be the user's. What is no address at all ("From: Forouzan") pretends nothing. */
static bool from_is_his(struct session *s, struct str head)
{
        struct header h = header_of(head);
        struct field f;
        struct addresses list;
        struct address who;

        while (header_next(&h, &f)) {
                if (!str_ieq(f.name, S("From")))
                        continue;
                list = addresses_of(f.value);
                while (address_next(&list, &s->command, &who)) {
                        if (who.kind == ADDRESS_MAILBOX && who.domain.n) {
                                if (!smtp_may_send_as(s, address_write(&s->command, who.local, who.domain)))
                                        return false;
                        } else if (who.kind == ADDRESS_BAD && str_find(f.value, '@') != STR_NONE) {
                                return false;
                        }
                }
                if (list.cut)
                        return false;
        }
        return true;
}

static struct str tls_words(struct session *s)
{
        struct conn_tls_facts tls;

        if (!conn_tls_facts(s->conn, &tls))
                return S("");
        return arena_printf(&s->command, "%s %s", tls.version, tls.cipher);
}

static struct str protocol_word(struct smtp *s)
{
        return trace_protocol(smtp_lmtp(&s->session), s->extended, conn_has_tls(s->session.conn),
                              s->session.account.n > 0, s->letter.utf8);
}

/* Our fields, before its own: Return-Path, Received; Date and Message-ID where a submitted letter lacks them. */
static int put_fields(struct smtp *s, struct str head, const struct letter_list *list, struct incoming *to)
{
        struct session *session = &s->session;
        struct reception *r = &s->reception;
        struct addr_text peer = addr_literal(conn_peer(session->conn));
        auto_buf struct buf fields;
        struct trace t = {
                .helo = str_of(s->helo),
                .peer = str_of(peer.z),
                .host = str_of(session->host),
                .protocol = protocol_word(s),
                .tls = tls_words(session),
                .user = session->account,
                .id = smtp_letter_id(s),
                .recipient = s->letter.recipients == 1 ? s->letter.recipient : S(""),
                .received = r->received,
        };

        buf_init(&fields, TRACE_MOST);
        trace_return_path(&fields, list ? list->bounces : s->letter.sender);
        trace_received(&fields, &t);
        if (list)
                list_fields(&fields, list);
        if (session->account.n || session->owner)
                trace_complete(&fields, head, t.host, t.id, r->received, 0);
        if (!begins_with_field(head))
                buf_puts(&fields, S("\r\n"));
        return fields.full ? -ENOBUFS : incoming_put(to, buf_str(&fields));
}

/* For the history. */
static void remember_id(struct smtp *s, struct str head)
{
        struct session *session = &s->session;
        struct letter *l = &s->letter;
        struct field f;

        if (header_find(head, S("Message-ID"), &f))
                l->message_id = arena_str(&l->arena, str_sub(f.value, 0, ID_MOST));
        else if (session->account.n || session->owner)
                l->message_id =
                    arena_printf(&l->arena, "<" PRS "@%s>", STR(smtp_letter_id(s)), session->host);
}

static void put_trace(struct smtp *s, struct str head)
{
        struct reception *r = &s->reception;
        int rc = put_fields(s, head, NULL, r->in);

        for (unsigned i = 0; i < s->letter.list_count && rc >= 0; i++)
                rc = put_fields(s, head, &s->letter.lists[i], r->lists[i]);
        if (rc < 0)
                reception_fault(s, LETTER_IO);
}

/* The header is as whole as it will be: judge it, and let the letter begin. */
static void begin_letter(struct smtp *s, bool whole)
{
        struct session *session = &s->session;
        struct reception *r = &s->reception;
        struct str head = str_sub(buf_str(&r->text), 0, HEADER_MOST);

        r->header_done = true;
        head = str_sub(head, 0, header_size(head));
        if (session->server->history)
                remember_id(s, head);
        if (header_count(head, S("Received")) > (unsigned long)session->server->settings->max_received)
                reception_fault(s, LETTER_LOOP);
        else if (list_circle(&s->letter, head))
                reception_fault(s, LETTER_CIRCLE);
        else if (session->account.n && !whole)
                reception_fault(s, LETTER_HEADER);
        else if (session->account.n && !from_is_his(session, head))
                reception_fault(s, LETTER_NOT_HIS);
        else
                put_trace(s, head);
}

/* Did the empty line after the header come with the last piece? */
static bool header_ends(struct reception *r)
{
        struct str text = buf_str(&r->text);
        size_t from = r->searched > 3 ? r->searched - 3 : 0;

        r->searched = text.n;
        return str_starts(text, S("\r\n")) || str_search(str_from_at(text, from), S("\r\n\r\n")) != STR_NONE;
}

static void pass_on(struct smtp *s)
{
        struct reception *r = &s->reception;
        int rc = r->fault ? 0 : incoming_put(r->in, buf_str(&r->text));

        for (unsigned i = 0; i < s->letter.list_count && !r->fault && rc >= 0; i++)
                rc = incoming_put(r->lists[i], buf_str(&r->text));
        if (rc < 0)
                reception_fault(s, rc == -ENOSPC || rc == -EDQUOT ? LETTER_FULL : LETTER_IO);
        buf_clear(&r->text);
}

void reception_took(struct smtp *s)
{
        struct reception *r = &s->reception;

        if (r->r.size > (uint64_t)s->session.server->settings->max_letter_size)
                reception_fault(s, LETTER_TOO_LARGE);
        else if (list_too_long(s))
                reception_fault(s, LETTER_LIST);
        if (r->fault) {
                buf_clear(&r->text);
                return;
        }
        if (!r->header_done) {
                bool whole = header_ends(r);

                if (!whole && r->text.n < HEADER_MOST)
                        return;
                begin_letter(s, whole);
        }
        pass_on(s);
}

/* --- the end ------------------------------------------------------------------------------------------------- */

/* The letter, or with `list` the one for its members. */
static int commit_one(struct smtp *s, const struct letter_list *list, struct incoming *in, uint64_t *id)
{
        struct session *session = &s->session;
        const struct letter *l = &s->letter;
        struct addr_text peer = session_peer(session);
        struct envelope e = {
                .sender = list ? list->bounces : l->sender,
                .null_sender = !l->sender.n,
                .eight_bit = l->marked_8bit || s->reception.r.eight_bit,
                .utf8 = l->utf8,
                .mail_parameters = list ? S("") : l->parameters,
                .user = session->account,
                .peer = str_of(peer.z),
                .host = str_of(session->host),
                .helo = str_of(s->helo),
                .tls = tls_words(session),
                .protocol = protocol_word(s),
                .session = smtp_letter_id(s),
                .received = s->reception.received,
                .size = incoming_size(in),
                .actions = list ? list->actions : l->actions,
                .count = list ? list->count : l->count,
        };

        return incoming_commit(in, &e, id);
}

/* What goes to a list is a record of its own. When one of several cannot be kept the peer sends all again: those that are kept come
 * twice, and none is lost. A report that was counted is kept nowhere. */
static int commit(struct smtp *s, uint64_t *id)
{
        struct reception *r = &s->reception;
        struct letter *l = &s->letter;
        int rc = 0;

        list_leave_out(l);
        for (unsigned i = 0; i < l->list_count && rc == 0; i++)
                if (l->lists[i].count)
                        rc = commit_one(s, &l->lists[i], r->lists[i], id);
        return rc || !l->count ? rc : commit_one(s, NULL, r->in, id);
}

static void log_accepted(struct smtp *s, uint64_t id, uint64_t size)
{
        const struct session *session = &s->session;
        struct str word = protocol_word(s);

        log_event("accepted",
                  "session=%s id=%" PRIu64 " from=<%s> size=%" PRIu64 " recipients=%u to=<%s> with=" PRS
                  " peer=%s user=%s",
                  session->id, id, s->letter.sender.n ? log_str(s->letter.sender) : "", size,
                  s->letter.recipients, log_str(s->letter.recipient), STR(word), session_peer(session).z,
                  log_str(session->account));
}

/* The first thing wrong with it, as its reply; OK: nothing was answered, the letter may be kept. */
static bool refused(struct session *s, const struct reception *r, int *rc)
{
        const struct settings *t = s->server->settings;
        unsigned bare = r->r.faults & (DOT_BARE_CR | DOT_NUL | (r->r.mend_bare_lf ? 0 : DOT_BARE_LF));

        switch ((enum letter_fault)r->fault) {
        case LETTER_CUT:
                s->ending = true;
                *rc = OK;
                return true;
        case LETTER_SLOW:
                s->ending = true;
                *rc = smtp_refuse(s, "451 4.4.2 Letter comes too slowly, closing connection");
                return true;
        case LETTER_SILENT:
                s->ending = true;
                *rc = smtp_refuse(
                    s, "421 4.4.2 %s nothing more of the letter for %ld seconds, closing connection", s->host,
                    t->smtp_data_timeout);
                return true;
        case LETTER_ENDLESS:
                s->ending = true;
                *rc = smtp_refuse(s, "552 5.3.4 Letter far too large, closing connection");
                return true;
        case LETTER_TOO_LARGE:
                *rc = smtp_refuse(s, "552 5.3.4 Letter too large: at most %ld octets", t->max_letter_size);
                return true;
        default: break;
        }
        if (bare) {
                *rc = smtp_refuse(s, "550 5.6.11 The letter contains a bare %s",
                                  bare & DOT_BARE_LF   ? "LF: lines end with CRLF"
                                  : bare & DOT_BARE_CR ? "CR"
                                                       : "NUL");
                return true;
        }
        if (r->r.eight_bit && !smtp_of(s)->letter.marked_8bit && t->refuse_unmarked_8bit) {
                *rc = smtp_refuse(s, "550 5.6.1 8-bit content without BODY=8BITMIME");
                return true;
        }
        switch ((enum letter_fault)r->fault) {
        case LETTER_FULL:
                *rc = smtp_refuse(s, "452 4.3.1 Insufficient system storage, try again later");
                return true;
        case LETTER_IO: *rc = smtp_refuse(s, "451 4.3.0 Local error, try again later"); return true;
        case LETTER_LOOP:
                *rc =
                    smtp_refuse(s, "554 5.4.6 Too many hops: more than %ld Received fields", t->max_received);
                return true;
        case LETTER_CIRCLE:
                *rc = smtp_refuse(
                    s, "554 5.4.6 The letter has been at this list already: it goes round in circles");
                return true;
        case LETTER_LIST: *rc = smtp_refuse(s, "552 5.2.3 Letter longer than this list takes"); return true;
        case LETTER_NOT_HIS: *rc = smtp_refuse(s, "553 5.7.1 From is not one of your addresses"); return true;
        case LETTER_HEADER:
                *rc = smtp_refuse(s, "554 5.6.0 The header is longer than %d octets", HEADER_MOST);
                return true;
        default: return false;
        }
}

int reception_end(struct smtp *s)
{
        struct session *session = &s->session;
        struct reception *r = &s->reception;
        uint64_t id = 0, size;
        int rc;

        if (!r->fault) {
                if (!r->header_done)
                        begin_letter(s, true);
                pass_on(s);
        }
        if (smtp_lmtp(session)) /* RFC 2033 §4.2: what holds for one here holds for all */
                s->answers = s->letter.recipients;
        if (!refused(session, r, &rc)) {
                size = incoming_size(r->in);
                rc = commit(s, &id);
                if (rc == 0) {
                        log_accepted(s, id, size);
                        smtp_note_accepted(s, size);
                        list_bounced(s);
                        s->letters++;
                        session->errors = 0;
                        rc = smtp_reply(session, "250 2.0.0 Message accepted for delivery");
                } else if (rc == -ENOSPC || rc == -EDQUOT) {
                        rc = smtp_refuse(session, "452 4.3.1 Insufficient system storage, try again later");
                } else {
                        rc = smtp_refuse(session, "451 4.3.0 Local error, try again later");
                }
        }
        s->answers = 0;
        letter_reset(s);
        return rc;
}
