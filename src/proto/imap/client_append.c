/* APPEND (RFC 9051 §6.3.12): a letter is read in pieces and goes out as one literal. */
#include "base/codec.h"
#include "net/conn.h"
#include "proto/imap/client_inside.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>

enum {
        PIECE = 64 << 10,
        AT_ONCE_MOST = 256 << 10 /* longer ones wait for the server's word, which may be no */
};

static void heard_uid(struct imap_client *c, void *context, struct str code)
{
        uint32_t *uid = context;
        struct str word;
        uint64_t n;

        (void)c;
        if (!str_istarts(code, S("APPENDUID ")))
                return;
        str_cut(&code, ' ', &word);
        str_cut(&code, ' ', &word);
        if (str_u64(code, &n) && n <= UINT32_MAX)
                *uid = (uint32_t)n;
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE; in UTC */
static void put_date(struct imap_client *c, int64_t seconds)
{
        static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
        time_t t = (time_t)seconds;
        struct tm tm;

        if (!seconds || !gmtime_r(&t, &tm) || tm.tm_year < -900 || tm.tm_year > 8099)
                return;
        conn_printf(c->conn, "\"%2d-%s-%04d %02d:%02d:%02d +0000\" ", tm.tm_mday, months[tm.tm_mon],
                    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Half a letter must not stand there: who cannot read it to its end breaks the connection. */
static int put_letter(struct imap_client *c, const struct imap_append *l, struct imap_answer *answer)
{
        auto_buf struct buf piece = { 0 };
        uint64_t at = 0;

        buf_init(&piece, 2 * PIECE);
        while (at < l->size) {
                uint64_t left = l->size - at;
                size_t n = left < PIECE ? (size_t)left : PIECE;
                int rc;

                buf_clear(&piece);
                rc = l->read(l->context, at, n, &piece);
                if (rc == 0 && (!piece.n || piece.n > n))
                        rc = -EIO;
                if (rc < 0) {
                        client_break(c, rc);
                        return client_ours(answer, rc, "the letter cannot be read to its end");
                }
                conn_body(c->conn, buf_str(&piece));
                at += piece.n;
        }
        return 0;
}

int imap_client_append(struct imap_client *c, const struct imap_folder *to, const struct imap_append *l,
                       uint32_t *uid, struct imap_answer *answer)
{
        struct client_ask ask = { .context = uid, .code = heard_uid };
        bool at_once = (c->offers & IMAP_HAS_LITERAL_PLUS && l->size <= AT_ONCE_MOST) ||
                       (c->offers & IMAP_HAS_LITERAL_MINUS && l->size <= 4096);
        int rc;

        *uid = 0;
        client_begin(c);
        conn_put(c->conn, S("APPEND "));
        rc = client_put_string(c, to->wire, answer);
        if (rc < 0)
                return rc;
        conn_put(c->conn, S(" "));
        if (l->flags || l->keywords.n) {
                client_put_flags(c, l->flags, l->keywords);
                conn_put(c->conn, S(" "));
        }
        put_date(c, l->received);
        conn_printf(c->conn, at_once ? "{%llu+}\r\n" : "{%llu}\r\n", (unsigned long long)l->size);
        if (!at_once) {
                rc = client_go_on(c, &ask, answer);
                if (rc <= 0)
                        return rc < 0 ? rc
                                      : client_ours(answer, client_break(c, -EPROTO),
                                                    "an answer to half a command");
        }
        rc = put_letter(c, l, answer);
        if (rc < 0)
                return rc;
        conn_put(c->conn, S("\r\n"));
        return client_finish(c, &ask, answer);
}
