#include "proto/ftp/ftp.h"

#include <errno.h>
#include <stdio.h>

enum { REPLY_MOST = 32 << 10, USUAL = 512, CODE = 4 /* "226 " */ };

/* What came from a file's name does no harm on the control connection, which is a Telnet connection: a control byte is shown as '?', and
 * 0xFF is said twice. */
static void put_harmless(struct conn *c, char *p, size_t n)
{
        size_t from = 0;

        for (size_t i = 0; i < n; i++) {
                unsigned char b = (unsigned char)p[i];

                if (b < 32 || b == 127)
                        p[i] = '?';
                if (b == 255) {
                        conn_put(c, str_from(p + from, i + 1 - from));
                        from = i;
                }
        }
        conn_put(c, str_from(p + from, n - from));
}

static void __attribute__((format(printf, 2, 0))) put_text(struct conn *c, const char *format, va_list args)
{
        auto_buf struct buf long_one = { 0 };
        char usual[USUAL];
        va_list again;
        int n;

        va_copy(again, args);
        n = vsnprintf(usual, sizeof(usual), format, args);
        if (n >= 0 && (size_t)n < sizeof(usual)) {
                put_harmless(c, usual, (size_t)n);
        } else {
                buf_init(&long_one, REPLY_MOST);
                buf_vprintf(&long_one, format, again);
                put_harmless(c, long_one.p, long_one.n);
        }
        va_end(again);
        conn_put(c, S("\r\n"));
}

static void __attribute__((format(printf, 2, 0)))
put_reply(struct session *s, const char *format, va_list args)
{
        conn_put(s->conn, str_from(format, CODE));
        put_text(s->conn, ftp_text(ftp_of(s), format + CODE), args);
}

/* A path that is not there or not allowed is no error of the peer's, nor is a wish that only others grant (504): ncftp has one beside each file. */
static int result_of(const char *format)
{
        bool about_a_file = format[1] == '5' && format[2] <= '3';
        bool not_here = format[1] == '0' && format[2] == '4';

        return format[0] == '5' && !about_a_file && !not_here ? FAIL : OK;
}

int ftp_reply(struct session *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        put_reply(s, format, args);
        va_end(args);
        return result_of(format);
}

void ftp_reply_begin(struct session *s, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        put_reply(s, format, args);
        va_end(args);
}

void ftp_reply_line(struct session *s, const char *format, ...)
{
        va_list args;

        conn_put(s->conn, S(" "));
        va_start(args, format);
        put_text(s->conn, format, args);
        va_end(args);
}

int ftp_syntax(struct session *s)
{
        return ftp_reply(s, "501 Syntax: %s", s->running ? s->running->synopsis : "");
}

struct str ftp_shown(struct arena *a, struct str path, bool quotes)
{
        char *p = arena_alloc(a, 2 * path.n + 1);
        size_t n = 0;

        for (size_t i = 0; i < path.n; i++) {
                unsigned char c = (unsigned char)path.p[i];

                if (quotes && c == '"')
                        p[n++] = '"';
                p[n++] = c < 32 || c == 127 ? '?' : (char)c;
        }
        return str_from(p, n);
}

const char *ftp_text(const struct ftp *p, const char *english)
{
        return language_text(ftp_translations, p->language, english);
}

/* --- what the store says of a path --------------------------------------------------------------------------- */

int ftp_trouble(struct session *s, struct str path, int error)
{
        switch (-error) {
        case ENOENT: return ftp_reply(s, "550 " PRS ": No such file or directory.", STR(path));
        case EACCES:
        case EPERM: return ftp_reply(s, "550 " PRS ": Permission denied.", STR(path));
        case EROFS: return ftp_reply(s, "550 " PRS ": You may only read here.", STR(path));
        case EEXIST: return ftp_reply(s, "550 " PRS ": File exists.", STR(path));
        case ENOTDIR: return ftp_reply(s, "550 " PRS ": Not a directory.", STR(path));
        case EISDIR: return ftp_reply(s, "550 " PRS ": Is a directory.", STR(path));
        case ENOTEMPTY: return ftp_reply(s, "550 " PRS ": Directory not empty.", STR(path));
        case ELOOP: return ftp_reply(s, "550 " PRS ": Too many links.", STR(path));
        case ENAMETOOLONG: return ftp_reply(s, "553 " PRS ": File name too long.", STR(path));
        case EINVAL: return ftp_reply(s, "553 " PRS ": File name not allowed.", STR(path));
        case EDQUOT: return ftp_reply(s, "552 " PRS ": Quota exceeded.", STR(path));
        case ENOSPC: return ftp_reply(s, "452 " PRS ": Error writing file, the disk is full.", STR(path));
        case EBUSY:
        case EAGAIN: return ftp_reply(s, "450 " PRS ": Busy, try again later.", STR(path));
        default: return ftp_reply(s, "451 " PRS ": Local error, try again later.", STR(path));
        }
}
