#include "base/codec.h"
#include "base/scan.h"
#include "proto/ftp/client_inside.h"
#include <errno.h>
#include <stdio.h>

/* ---- what may be shown ---- */

/* C1 controls in UTF-8 act on terminals as those below 32 do. */
static bool acts(struct str s, size_t i, bool utf8)
{
        unsigned char ch = (unsigned char)s.p[i];

        if (ch < 32 || ch == 127)
                return true;
        if (ch < 128)
                return false;
        if (!utf8)
                return true;
        if (ch == 0xc2)
                return i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;
        return ch < 0xa0 && i > 0 && (unsigned char)s.p[i - 1] == 0xc2;
}

void ftpc_printable(struct buf *out, struct str s)
{
        bool utf8 = utf8_valid(s);
        size_t from = 0;

        for (size_t i = 0; i < s.n; i++) {
                if (!acts(s, i, utf8))
                        continue;
                buf_puts(out, str_sub(s, from, i - from));
                buf_printf(out, s.p[i] == '\t' ? " " : "\\%03o", (unsigned char)s.p[i]);
                from = i + 1;
        }
        buf_puts(out, str_from_at(s, from));
}

/* ---- answers ---- */

void ftpc_ours(struct ftp_answer *a, const char *format, ...)
{
        va_list args;

        a->code = 0;
        va_start(args, format);
        vsnprintf(a->text, sizeof(a->text), format, args);
        va_end(args);
}

int ftpc_broken(struct ftp_client *c, struct ftp_answer *a, int error, const char *why)
{
        ftpc_ours(a, "%s", why);
        conn_fail(c->conn);
        c->due = c->stale = 0;
        return error;
}

/* RFC 959 §4.2: "123 text", or "123-text", any lines, "123 text". */
static bool code_of(struct str line, unsigned *code, char *behind)
{
        for (size_t i = 0; i < 3; i++)
                if (line.n < 3 || line.p[i] < '0' || line.p[i] > '9')
                        return false;
        *code = (unsigned)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
        *behind = line.n > 3 ? line.p[3] : ' ';
        return *code >= 100 && *code < 600 && (*behind == ' ' || *behind == '-');
}

static void keep_text(struct ftp_answer *a, struct str text)
{
        size_t n = text.n < sizeof(a->text) - 1 ? text.n : sizeof(a->text) - 1;

        while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80) /* not within a character */
                n--;
        snprintf(a->text, sizeof(a->text), "%.*s", (int)n, text.p);
}

struct reading {
        struct ftp_answer *a;
        size_t read;
        bool begun, last;
        unsigned code;
};

static int take_line(struct ftp_client *c, struct reading *r, struct str line)
{
        auto_buf struct buf text = { 0 };
        unsigned code = 0;
        char behind = 0;
        bool coded = code_of(line, &code, &behind);

        r->read += line.n + 2;
        if (r->read > FTPC_REPLY_MOST)
                return ftpc_broken(c, r->a, -EPROTO, "a reply without end");
        if (!r->begun && !coded)
                return ftpc_broken(c, r->a, -EPROTO, "a reply that is none");
        if (!r->begun)
                r->code = code;
        r->begun = true;
        r->last = coded && code == r->code && behind == ' ';
        buf_init(&text, 4 * line.n + 8);
        ftpc_printable(&text, line);
        if (c->how.hears && c->how.hears->said)
                c->how.hears->said(c->how.hears->context, r->code, buf_str(&text), r->last);
        if (c->lines.max - c->lines.n > text.n + 1) {
                buf_puts(&c->lines, buf_str(&text));
                buf_puts(&c->lines, S("\n"));
        }
        if (r->last) {
                r->a->code = code;
                keep_text(r->a, str_from_at(buf_str(&text), 4));
        }
        return 0;
}

/* One reply, to its end. 1: called, and nothing of it has been read. */
static int read_reply(struct ftp_client *c, struct ftp_answer *a, nsec deadline, bool called)
{
        struct reading r = { .a = a };
        struct str line;
        int rc;

        buf_clear(&c->lines);
        while (!r.last) {
                switch (conn_line(c->conn, &line, FTPC_LINE_MOST, deadline)) {
                case GOT_BARE:
                case GOT_LINE: break;
                case GOT_LATE:
                        if ((c->transfer || c->aborting || c->trying) && !r.begun)
                                return -ETIMEDOUT;
                        return ftpc_broken(c, a, -ECONNRESET, "no answer in time");
                case GOT_LONG: return ftpc_broken(c, a, -EPROTO, "a line without end");
                case GOT_END:
                        return ftpc_broken(c, a, conn_stopping(c->conn) ? -ECANCELED : -ECONNRESET,
                                           "the connection was closed by the server");
                case GOT_CALLED:
                        if (c->stopping && !r.begun)
                                return -ECANCELED;
                        if (called && !r.begun)
                                return 1;
                        continue;
                case GOT_QUIET: continue;
                }
                if (!r.begun && !line.n && r.read < FTPC_REPLY_MOST) { /* some end their replies twice */
                        r.read += 2;
                        continue;
                }
                rc = take_line(c, &r, line);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

int ftpc_reply(struct ftp_client *c, struct ftp_answer *a, nsec deadline, bool called)
{
        unsigned extra = 0;
        int rc;

        *a = (struct ftp_answer){ 0 };
        for (;;) {
                if (c->stopping && !c->transfer && !c->aborting)
                        rc = -ECANCELED;
                else
                        rc = read_reply(c, a, deadline, called);
                if (rc == -ECANCELED && conn_ok(c->conn)) {
                        ftpc_ours(a, "stopped");
                        if (!c->transfer)
                                c->stale = c->due;
                }
                if (rc != 0)
                        return rc;
                if (a->code == 110 && c->transfer && c->transfer->move != FTP_GET)
                        ftpc_note_mark(c->transfer, str_of(a->text));
                if (a->code < 200) {
                        if (!c->stale)
                                return 0;
                        if (++extra > 1000)
                                return ftpc_broken(c, a, -EPROTO, "replies without end");
                        continue;
                }
                if (c->due)
                        c->due--;
                if (!c->stale)
                        return 0;
                c->stale--;
        }
}

int ftpc_judge(struct ftp_client *c, const struct ftp_answer *a)
{
        if (a->code == 421) { /* RFC 959 §5.4: it closes */
                conn_fail(c->conn);
                c->due = c->stale = 0;
                return -ECONNRESET;
        }
        return a->code < 400 ? 0 : -EREMOTEIO;
}

/* ---- what it can do ---- */

static const struct {
        const char *line;
        unsigned offer;
} features[] = {
        { "EPSV", FTP_HAS_EPSV }, { "MLST", FTP_HAS_MLST },      { "MLSD", FTP_HAS_MLST },
        { "SIZE", FTP_HAS_SIZE }, { "MDTM", FTP_HAS_MDTM },      { "REST STREAM", FTP_HAS_REST },
        { "UTF8", FTP_HAS_UTF8 }, { "MODE Z", FTP_HAS_MODE_Z },  { "MFMT", FTP_HAS_MFMT },
        { "HASH", FTP_HAS_HASH }, { "AUTH TLS", FTP_HAS_TLS },   { "AUTH SSL", FTP_HAS_TLS },
        { "TVFS", FTP_HAS_TVFS }, { "SITE COPY", FTP_HAS_COPY }, { "RANG STREAM", FTP_HAS_RANG },
        { "AVBL", FTP_HAS_AVBL }, { "CLNT", FTP_HAS_CLNT },      { "AUTH TLS-C", FTP_HAS_TLS },
};

/* RFC 2389 §3.2: " SP feature-label [SP feature-parms]"; some write "211-" before each. */
unsigned ftpc_features(struct str lines)
{
        unsigned offers = FTP_HAS_FEAT;
        struct str line;

        while (lines.n) {
                str_cut(&lines, '\n', &line);
                if (str_starts(line, S("211-")) || str_starts(line, S("211 ")))
                        line = str_from_at(line, 4);
                line = str_trim(line);
                for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++) {
                        struct str want = str_of(features[i].line);

                        if (str_istarts(line, want) &&
                            (line.n == want.n || line.p[want.n] == ' ' || line.p[want.n] == ';'))
                                offers |= features[i].offer;
                }
                if (str_istarts(line, S("AUTH ")) &&
                    str_search(line, S("TLS")) != STR_NONE) /* "AUTH SSL;TLS" */
                        offers |= FTP_HAS_TLS;
        }
        return offers;
}

void ftpc_learn(struct ftp_client *c, const struct ftp_answer *a, unsigned what)
{
        if (a->code == 500 || a->code == 502)
                c->offers &= ~what;
}
