#include "mail/report.h"
#include "base/codec.h"
#include "base/scan.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/mime.h"

enum { WHOLE_MOST = 64 * 1024, HEADER_MOST = 64 * 1024, FIELD_MOST = 900, READ_MOST = 1000 };

static const char *const actions[] = { [REPORT_FAILED] = "failed",
                                       [REPORT_DELAYED] = "delayed",
                                       [REPORT_DELIVERED] = "delivered",
                                       [REPORT_RELAYED] = "relayed",
                                       [REPORT_EXPANDED] = "expanded" };

/* What others said, on one line of a header: no control bytes, bounded, 8-bit only where the report may have it. */
static void put_words(struct buf *out, const struct report *r, struct str words)
{
        for (size_t i = 0; i < words.n && i < FIELD_MOST; i++) {
                unsigned char c = (unsigned char)words.p[i];

                buf_u8(out, c < 32 || c == 127 ? ' ' : c > 127 && !r->utf8 ? '?' : c);
        }
}

static void put_date(struct buf *out, const char *name, int64_t usec)
{
        buf_printf(out, "%s: ", name);
        date_put(out, usec / 1000000, 0);
        buf_puts(out, S("\r\n"));
}

/* "rfc822; alice@crepes.fr"; an internationalised one is utf-8's (RFC 6533 §3). */
static void put_address(struct buf *out, const struct report *r, const char *name, struct str address)
{
        buf_printf(out, "%s: %s; ", name, ascii_only(address) ? "rfc822" : "utf-8");
        put_words(out, r, address);
        buf_puts(out, S("\r\n"));
}

static unsigned count_of(const struct report *r, enum report_action a)
{
        unsigned n = 0;

        for (unsigned i = 0; i < r->count; i++)
                n += r->recipients[i].action == a;
        return n;
}

static enum report_action main_action(const struct report *r)
{
        return count_of(r, REPORT_FAILED)    ? REPORT_FAILED
               : count_of(r, REPORT_DELAYED) ? REPORT_DELAYED
                                             : r->recipients[0].action;
}

static const char *subject_of(const struct report *r)
{
        switch (main_action(r)) {
        case REPORT_FAILED: return "Undelivered mail: returned to sender";
        case REPORT_DELAYED: return "Delayed mail: it is still being tried";
        default: return "Delivered mail: your receipt";
        }
}

/* The letter, or its header. */
static struct str returned(const struct report *r)
{
        size_t header = header_size(r->letter);

        return r->full && r->letter.n <= WHOLE_MOST
                   ? r->letter
                   : str_sub(r->letter, 0, header < HEADER_MOST ? header : HEADER_MOST);
}

static void put_header(struct buf *out, const struct report *r)
{
        put_date(out, "Date", r->now);
        buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON@" PRS ">\r\n", STR(r->host));
        buf_puts(out, S("To: <"));
        put_words(out, r, r->to);
        buf_printf(out,
                   ">\r\nSubject: %s\r\nMessage-ID: <" PRS
                   ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
                   subject_of(r), STR(r->message_id));
        buf_printf(
            out, "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"" PRS "\"\r\n",
            STR(r->boundary));
        if (r->utf8 || !ascii_only(returned(r))) /* one part is enough (RFC 2045 §6.4) */
                buf_puts(out, S("Content-Transfer-Encoding: 8bit\r\n"));
        buf_puts(out, S("\r\n"));
}

static void put_part(struct buf *out, const struct report *r, const char *type, bool eight_bit)
{
        buf_printf(out, "\r\n--" PRS "\r\nContent-Type: %s\r\n%s\r\n", STR(r->boundary), type,
                   eight_bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

/* Long words of the peer's are cut into lines of their own. */
static void put_quoted(struct buf *out, const struct report *r, struct str words)
{
        for (size_t at = 0; at < words.n && at < FIELD_MOST; at += 70) {
                buf_puts(out, S("    "));
                put_words(out, r, str_sub(words, at, 70));
                buf_puts(out, S("\r\n"));
        }
}

static void put_people(struct buf *out, const struct report *r, enum report_action a, const char *said)
{
        if (!count_of(r, a))
                return;
        buf_printf(out, "%s\r\n\r\n", said);
        for (unsigned i = 0; i < r->count; i++) {
                const struct report_recipient *p = &r->recipients[i];

                if (p->action != a)
                        continue;
                buf_puts(out, S("  <"));
                put_words(out, r, p->final);
                buf_puts(out, S(">"));
                if (p->remote.n) {
                        buf_puts(out, S(", says "));
                        put_words(out, r, p->remote);
                }
                buf_puts(out, p->diagnostic.n ? S(":\r\n") : S("\r\n"));
                put_quoted(out, r, p->diagnostic);
        }
        buf_puts(out, S("\r\n"));
}

static void put_text(struct buf *out, const struct report *r)
{
        put_part(out, r, r->utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", r->utf8);
        buf_printf(out, "This is the mail server at " PRS ".\r\n\r\n", STR(r->host));
        put_people(out, r, REPORT_FAILED,
                   "Your letter could not be delivered to the following recipients, and will not be\r\ntried "
                   "again:");
        put_people(out, r, REPORT_DELAYED,
                   "Your letter could not be delivered yet to the following recipients. It is still\r\n"
                   "being tried; you need not send it again:");
        put_people(out, r, REPORT_DELIVERED, "Your letter was delivered to:");
        put_people(out, r, REPORT_RELAYED,
                   "Your letter was passed on to a server that gives no such receipts:");
        put_people(out, r, REPORT_EXPANDED, "Your letter was passed on to the members of:");
        buf_puts(out, r->full ? S("Your letter follows.\r\n") : S("The header of your letter follows.\r\n"));
}

/* RFC 3464 §2.2 and §2.3 */
static void put_status(struct buf *out, const struct report *r)
{
        put_part(out, r, r->utf8 ? "message/global-delivery-status" : "message/delivery-status", r->utf8);
        if (r->envid.n) {
                buf_puts(out, S("Original-Envelope-Id: "));
                put_words(out, r, r->envid);
                buf_puts(out, S("\r\n"));
        }
        buf_printf(out, "Reporting-MTA: dns; " PRS "\r\n", STR(r->host));
        put_date(out, "Arrival-Date", r->arrived);
        for (unsigned i = 0; i < r->count; i++) {
                const struct report_recipient *p = &r->recipients[i];

                buf_puts(out, S("\r\n"));
                if (p->original.n) { /* as ORCPT had it, type and all */
                        buf_puts(out, S("Original-Recipient: "));
                        put_words(out, r, p->original);
                        buf_puts(out, S("\r\n"));
                }
                put_address(out, r, "Final-Recipient", p->final);
                buf_printf(out, "Action: %s\r\nStatus: " PRS "\r\n", actions[p->action], STR(p->status));
                if (p->remote.n) {
                        buf_puts(out, S("Remote-MTA: dns; "));
                        put_words(out, r, p->remote);
                        buf_puts(out, S("\r\n"));
                }
                if (p->diagnostic.n) {
                        buf_puts(out, S("Diagnostic-Code: smtp; "));
                        put_words(out, r, p->diagnostic);
                        buf_puts(out, S("\r\n"));
                }
                if (p->last)
                        put_date(out, "Last-Attempt-Date", p->last);
                if (p->action == REPORT_DELAYED && p->until)
                        put_date(out, "Will-Retry-Until", p->until);
        }
}

/* What is returned stands in lines that end with CRLF, whatever the letter had. */
static void put_lines(struct buf *out, struct str text)
{
        struct str line;

        while (text.n) {
                str_cut(&text, '\n', &line);
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                for (size_t i = 0; i < line.n; i++)
                        buf_u8(out, line.p[i] == '\r' || !line.p[i] ? ' ' : (uint8_t)line.p[i]);
                buf_puts(out, S("\r\n"));
        }
}

static void put_letter(struct buf *out, const struct report *r)
{
        struct str what = returned(r);
        bool whole = what.n == r->letter.n && r->full, eight = !ascii_only(what);

        if (r->utf8 && eight)
                put_part(out, r, whole ? "message/global" : "message/global-headers", true);
        else
                put_part(out, r, whole ? "message/rfc822" : "text/rfc822-headers", eight);
        put_lines(out, what);
        buf_printf(out, "\r\n--" PRS "--\r\n", STR(r->boundary));
}

void report_write(struct buf *out, const struct report *r)
{
        put_header(out, r);
        put_text(out, r);
        put_status(out, r);
        put_letter(out, r);
}

/* ---- the parameters of RCPT ---- */

struct str parameter_of(struct str parameters, struct str name)
{
        struct str word;

        while (parameters.n) {
                struct str value;

                str_cut(&parameters, ' ', &word);
                value = word;
                str_cut(&value, '=', &word);
                if (str_ieq(word, name))
                        return value;
        }
        return (struct str){ 0 };
}

struct str report_plain(struct arena *a, struct str xtext)
{
        struct buf auto_buf text = { 0 };

        buf_init(&text, 1024);
        return xtext.n && xtext_get(&text, xtext) ? arena_str(a, buf_str(&text)) : xtext;
}

unsigned notify_of(struct str parameters)
{
        struct str value = parameter_of(parameters, S("NOTIFY")), word;
        unsigned notify = 0;

        if (!value.p)
                return NOTIFY_UNSAID;
        while (value.n) {
                str_cut(&value, ',', &word);
                notify |= str_ieq(word, S("NEVER"))     ? NOTIFY_NEVER
                          : str_ieq(word, S("SUCCESS")) ? NOTIFY_SUCCESS
                          : str_ieq(word, S("FAILURE")) ? NOTIFY_FAILURE
                          : str_ieq(word, S("DELAY"))   ? NOTIFY_DELAY
                                                        : 0;
        }
        return notify;
}

/* ---- reading one ---- */

/* "rfc822; alice@crepes.fr" */
static struct str address_in(struct arena *a, struct str value)
{
        struct str type;

        value = str_trim(header_unfold(a, value));
        if (!str_cut(&value, ';', &type))
                return type;
        return str_trim(value);
}

static bool action_in(struct str value, enum report_action *out)
{
        value = str_trim(value);
        for (unsigned i = 0; i < sizeof(actions) / sizeof(*actions); i++)
                if (str_ieq(value, str_of(actions[i]))) {
                        *out = (enum report_action)i;
                        return true;
                }
        return false;
}

/* One group of fields: a recipient, if it names one and says what happened. */
static size_t read_group(struct str text, struct arena *a, struct report_read *out, bool *good)
{
        struct header h = header_of(text);
        struct field f;
        bool named = false, acted = false;

        *out = (struct report_read){ 0 };
        while (header_next(&h, &f)) {
                if (str_ieq(f.name, S("Final-Recipient"))) {
                        out->final = address_in(a, f.value);
                        named = out->final.n > 0;
                } else if (str_ieq(f.name, S("Action"))) {
                        acted = action_in(header_unfold(a, f.value), &out->action);
                } else if (str_ieq(f.name, S("Status"))) {
                        out->status = str_trim(header_unfold(a, f.value));
                }
        }
        *good = named && acted;
        return h.at;
}

/* Where the status part begins: pure search, for these reports come from everywhere and in every state. */
static struct str status_part(struct str text)
{
        static const char *const types[] = { "message/delivery-status", "message/global-delivery-status" };
        size_t at = 0;

        for (unsigned i = 0; i < 2; i++) {
                struct str type = str_of(types[i]);

                for (at = header_size(text); at + type.n < text.n; at++)
                        if (chr_lower(text.p[at]) == 'm' && str_ieq(str_sub(text, at, type.n), type)) {
                                struct str rest = str_from_at(text, at);

                                return str_from_at(rest, header_size(rest));
                        }
        }
        return (struct str){ 0 };
}

bool report_read(struct str text, struct arena *a, struct report_read **list, unsigned *n)
{
        struct str part = status_part(text);
        unsigned room = 0;

        *n = 0;
        *list = NULL;
        while (part.n && *n < READ_MOST && !str_starts(part, S("--"))) {
                struct report_read one, *old = *list;
                bool good;
                size_t took = read_group(part, a, &one, &good);

                if (!took)
                        break;
                part = str_from_at(part, took);
                if (!good)
                        continue;
                if (*n == room) {
                        room = room ? 2 * room : 8;
                        *list = arena_array(a, struct report_read, room);
                        for (unsigned i = 0; i < *n; i++)
                                (*list)[i] = old[i];
                }
                (*list)[(*n)++] = one;
        }
        return *n > 0;
}
