#include "mail/trace.h"
#include "mail/date.h"
#include "mail/header.h"
#include "base/codec.h"
#include "base/time.h"

enum { COLUMNS = 77, NAME_MAX_SHOWN = 255, TAB = 8 };

/* A field being written: words that belong together are put together, a line is broken before what would not fit. */
struct fold {
        struct buf *out;
        size_t column;
};

static void put(struct fold *f, struct str s)
{
        buf_puts(f->out, s);
        f->column += s.n;
}

/* A space, or a new line if `width` more bytes do not fit into this one. */
static void gap(struct fold *f, size_t width)
{
        if (f->column > TAB && f->column + 1 + width > COLUMNS) {
                buf_puts(f->out, S("\r\n\t"));
                f->column = TAB;
        } else {
                put(f, S(" "));
        }
}

static void new_line(struct fold *f)
{
        buf_puts(f->out, S("\r\n\t"));
        f->column = TAB;
}

/* Names of hosts, addresses, ids and ciphers consist of these bytes; whatever else a stranger put in becomes "?". */
static bool plain_byte(unsigned char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c && strchr("-._:[]+=@/", c));
}

static void put_plain(struct fold *f, struct str s)
{
        s = str_sub(s, 0, NAME_MAX_SHOWN);
        for (size_t i = 0; i < s.n; i++)
                put(f, plain_byte((unsigned char)s.p[i]) ? str_sub(s, i, 1) : S("?"));
}

static size_t shown(struct str s)
{
        return s.n < NAME_MAX_SHOWN ? s.n : NAME_MAX_SHOWN;
}

struct str trace_protocol(bool lmtp, bool extended, bool tls, bool signed_in, bool utf8)
{
        static const char *const names[3][4] = {
                { "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" },
                { "LMTP", "LMTPS", "LMTPA", "LMTPSA" },
                { "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" },
        };
        static const char *const utf8_lmtp[4] = { "UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA" };
        int how = (tls ? 1 : 0) + (signed_in ? 2 : 0);

        if (lmtp)
                return str_of(utf8 ? utf8_lmtp[how] : names[1][how]);
        return extended ? str_of(names[utf8 ? 2 : 0][how]) : S("SMTP");
}

/* An address in normal form: one word, or a quoted string that ends before the "@". */
static bool harmless_address(struct str s)
{
        size_t at = 0;

        if (s.n > 2 * NAME_MAX_SHOWN || str_has_control(s) || !utf8_valid(s))
                return false;
        if (str_starts(s, S("\""))) {
                for (at = 1; at < s.n && s.p[at] != '"'; at++)
                        at += s.p[at] == '\\';
                if (at + 1 < s.n && s.p[at + 1] != '@')
                        return false;
        }
        s = str_from_at(s, at);
        return str_find(s, '<') == STR_NONE && str_find(s, '>') == STR_NONE && str_find(s, ' ') == STR_NONE;
}

/* Return-path field: "Return-Path:" Reverse-path -- RFC 5321 §4.4 */
bool trace_return_path(struct buf *out, struct str sender)
{
        if (!harmless_address(sender))
                sender = S("");
        buf_puts(out, S("Return-Path: <"));
        buf_puts(out, sender);
        return buf_puts(out, S(">\r\n"));
}

/* From-domain = "FROM" FWS Extended-Domain; TCP-info in the comment: verified name and address. */
static void put_from(struct fold *f, const struct trace *t)
{
        bool bracket = t->peer.n && t->peer.p[0] != '[';

        put(f, S("Received: from"));
        gap(f, shown(t->helo) + 1);
        put_plain(f, t->helo.n ? t->helo : S("unknown"));
        if (!t->peer.n)
                return;
        gap(f, shown(t->peer_name) + shown(t->peer) + 5);
        put(f, S("("));
        put_plain(f, t->peer_name.n ? t->peer_name : S("unknown"));
        put(f, bracket ? S(" [") : S(" "));
        put_plain(f, t->peer);
        put(f, bracket ? S("])") : S(")"));
}

static void put_tls(struct fold *f, struct str tls)
{
        struct str word;

        gap(f, shown(tls) + 2);
        put(f, S("("));
        for (tls = str_sub(tls, 0, NAME_MAX_SHOWN); tls.n;) {
                bool more = str_cut(&tls, ' ', &word);

                put_plain(f, word);
                if (more && tls.n)
                        put(f, S(" "));
        }
        put(f, S(")"));
}

/* Time-stamp-line = "Received:" From-domain By-domain Opt-info [CFWS] ";" FWS date-time */
bool trace_received(struct buf *out, const struct trace *t)
{
        struct fold f = { out, 0 };

        put_from(&f, t);
        new_line(&f);
        put(&f, S("by "));
        put_plain(&f, t->host);
        gap(&f, 5 + shown(t->protocol));
        put(&f, S("with "));
        put_plain(&f, t->protocol);
        if (t->tls.n)
                put_tls(&f, t->tls);
        if (t->id.n) {
                gap(&f, 3 + shown(t->id));
                put(&f, S("id "));
                put_plain(&f, t->id);
        }
        if (t->recipient.n && harmless_address(t->recipient)) {
                gap(&f, 7 + t->recipient.n);
                put(&f, S("for <"));
                put(&f, t->recipient);
                put(&f, S(">"));
        }
        put(&f, S(";"));
        gap(&f, 31);
        date_put(out, t->received / 1000000, t->offset);
        return buf_puts(out, S("\r\n"));
}

bool trace_complete(struct buf *out, struct str letter, struct str host, struct str unique, int64_t received,
                    int offset)
{
        struct fold f = { out, 0 };

        if (!header_has(letter, S("Date"))) {
                buf_puts(out, S("Date: "));
                date_put(out, received / 1000000, offset);
                buf_puts(out, S("\r\n"));
        }
        if (!header_has(letter, S("Message-ID"))) {
                buf_puts(out, S("Message-ID: <"));
                put_plain(&f, unique);
                buf_puts(out, S("@"));
                put_plain(&f, host);
                buf_puts(out, S(">\r\n"));
        }
        return !out->full;
}
