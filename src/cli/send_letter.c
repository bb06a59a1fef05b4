/* The letter of pail send, as a program writes it to stdin, made into one that may travel. */
#include "cli/send.h"
#include "base/codec.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/trace.h"
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define LETTER_MOST ((size_t)2 << 30)
enum { FIELDS_MOST = 8192, PIECE = 64 * 1024 };

static int read_all(struct buf *in)
{
        ssize_t n;

        do {
                char *room = buf_room(in, PIECE);

                if (!room)
                        return -EFBIG;
                n = read(STDIN_FILENO, room, PIECE);
                if (n > 0)
                        buf_added(in, (size_t)n);
        } while (n > 0 || (n < 0 && errno == EINTR));
        return n < 0 ? -errno : 0;
}

/* Lines end with CRLF from here on, whatever ended them; a lone dot ends the letter, unless -i. The line with which mailbox files begin
 * a letter is left out. */
static void take_lines(struct sending *s, struct str in)
{
        struct str line;
        bool first = true;

        for (; in.n; first = false) {
                bool whole = str_cut(&in, '\n', &line);

                if (line.n && line.p[line.n - 1] == '\r' && whole)
                        line.n--;
                if (first && str_starts(line, S("From ")))
                        continue;
                if (!s->dots_stay && str_eq(line, S(".")))
                        return;
                buf_puts(&s->text, line);
                buf_puts(&s->text, S("\r\n"));
        }
}

/* ---- recipients in the header ---- */

static bool take_addresses(struct sending *s, struct str value)
{
        struct addresses list = addresses_of(value);
        struct address who;

        while (address_next(&list, &s->tool.arena, &who))
                if (who.kind == ADDRESS_MAILBOX &&
                    !send_add(s, address_write(&s->tool.arena, who.local, who.domain)))
                        return false;
        return true;
}

static bool is_bcc(struct str name)
{
        return str_ieq(name, S("Bcc")) || str_ieq(name, S("Resent-Bcc"));
}

static bool is_to(struct str name, bool resent)
{
        if (resent != str_istarts(name, S("Resent-")))
                return false;
        name = str_from_at(name, resent ? 7 : 0);
        return str_ieq(name, S("To")) || str_ieq(name, S("Cc")) || str_ieq(name, S("Bcc"));
}

/* To, Cc, Bcc; or, when it is sent on, those with Resent- before them (RFC 5322 §3.6.6). Bcc does not travel. */
static bool take_header(struct sending *s)
{
        struct buf auto_buf out = { 0 };
        struct header h = header_of(buf_str(&s->text));
        bool resent = header_has(buf_str(&s->text), S("Resent-To")) ||
                      header_has(buf_str(&s->text), S("Resent-Cc")) ||
                      header_has(buf_str(&s->text), S("Resent-Bcc"));
        struct field f;
        size_t kept = 0;

        buf_init(&out, LETTER_MOST);
        while (header_next(&h, &f)) {
                if (is_to(f.name, resent) && !take_addresses(s, f.value))
                        return false;
                if (!is_bcc(f.name))
                        continue;
                buf_puts(&out, str_sub(buf_str(&s->text), kept, f.at - kept));
                kept = f.end;
        }
        if (!kept)
                return true;
        buf_puts(&out, str_from_at(buf_str(&s->text), kept));
        buf_clear(&s->text);
        return buf_puts(&s->text, buf_str(&out));
}

/* ---- what it lacks ---- */

static void put_from(struct sending *s, struct buf *out)
{
        struct str name = str_of(s->full_name);
        struct str who =
            s->sender.n ? s->sender : arena_printf(&s->tool.arena, "MAILER-DAEMON@" PRS, STR(s->host));

        buf_puts(out, S("From: "));
        if (name.n && ascii_only(name) && !str_has_control(name)) {
                buf_puts(out, S("\""));
                for (size_t i = 0; i < name.n && i < 200; i++)
                        buf_printf(out, "%s%c", name.p[i] == '"' || name.p[i] == '\\' ? "\\" : "", name.p[i]);
                buf_printf(out, "\" <" PRS ">\r\n", STR(who));
        } else {
                buf_printf(out, PRS "\r\n", STR(who));
        }
}

static bool begins_with_field(struct str text)
{
        struct header h = header_of(text);
        struct field f;

        return str_starts(text, S("\r\n")) || (header_next(&h, &f) && f.at == 0);
}

static bool complete(struct sending *s)
{
        struct buf auto_buf out = { 0 };
        struct str text = buf_str(&s->text), head;
        int64_t at = wall_usec();
        time_t second = (time_t)(at / 1000000);
        struct tm tm;
        bool has_header = begins_with_field(text);

        head = has_header ? str_sub(text, 0, header_size(text)) : S("");
        buf_init(&out, LETTER_MOST);
        localtime_r(&second, &tm);
        trace_complete(&out, head, s->host,
                       arena_printf(&s->tool.arena, "%llx.%x", (unsigned long long)at, (unsigned)getpid()),
                       at, (int)(tm.tm_gmtoff / 60));
        if (!header_has(head, S("From")))
                put_from(s, &out);
        if (!has_header)
                buf_puts(&out, S("\r\n"));
        buf_puts(&out, text);
        buf_free(&s->text);
        s->text = out;
        out = (struct buf){ 0 };
        return !s->text.full;
}

int send_read(struct sending *s)
{
        struct buf auto_buf in = { 0 };
        int rc;

        buf_init(&in, LETTER_MOST);
        buf_init(&s->text, LETTER_MOST);
        rc = read_all(&in);
        if (rc < 0)
                return tool_fail(&s->tool, rc, S("stdin"), NULL);
        take_lines(s, buf_str(&in));
        if (s->by_header && !take_header(s))
                return EX_DATAERR;
        if (!complete(s))
                return tool_fail(&s->tool, -EFBIG, S("stdin"), NULL);
        s->eight_bit = !ascii_only(buf_str(&s->text));
        s->utf8 = !ascii_only(s->sender);
        for (size_t i = 0; i < s->count; i++)
                s->utf8 |= !ascii_only(s->recipients[i]);
        return EX_OK;
}
