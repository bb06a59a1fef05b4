#include "proto/smtp/client_inside.h"
#include "base/codec.h"
#include "base/mem.h"
#include "net/conn.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { REPLY_MOST = 64 * 1024, TEXT_MOST = 1024 };

void answer_ours(struct smtp_answer *a, const char *status, const char *stage, struct str text)
{
        *a = (struct smtp_answer){ .stage = stage, .text = text };
        snprintf(a->status, sizeof(a->status), "%s", status);
}

int client_broken(struct smtp_client *c, const char *stage, struct arena *a, struct smtp_answer *answer,
                  struct str why)
{
        answer_ours(answer, "4.4.2", stage, arena_str(a, why));
        conn_fail(c->conn);
        return -ECONNRESET;
}

/* "250-", "250 ", "250": what servers say in earnest. */
static bool parse_line(struct str line, uint16_t *code, bool *more, struct str *text)
{
        if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || line.p[1] < '0' || line.p[1] > '9' ||
            line.p[2] < '0' || line.p[2] > '9')
                return false;
        if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
                return false;
        *code = (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
        *more = line.n > 3 && line.p[3] == '-';
        *text = str_from_at(line, 4);
        return true;
}

/* RFC 3463: class "." subject "." detail; taken off the front of the text. */
static bool take_status(struct str *text, char out[static 12])
{
        unsigned dots = 0, digits = 0;
        size_t i;

        for (i = 0; i < text->n && i < 11; i++) {
                char c = text->p[i];

                if (c == '.' && digits && dots < 2) {
                        dots++;
                        digits = 0;
                } else if (c >= '0' && c <= '9' && digits < 3) {
                        digits++;
                } else {
                        break;
                }
        }
        if (dots != 2 || !digits || (i < text->n && text->p[i] != ' ') ||
            (text->p[0] != '2' && text->p[0] != '4' && text->p[0] != '5') || text->p[1] != '.')
                return false;
        for (size_t k = 0; k < i; k++)
                out[k] = text->p[k];
        out[i] = 0;
        *text = str_trim(str_from_at(*text, i));
        return true;
}

/* What others say goes into logs, reports and terminals: printable, one line, of which the first part is kept. */
static void put_words(struct buf *kept, struct str words)
{
        bool good = utf8_valid(words);
        size_t room = TEXT_MOST - kept->n;

        if (!room)
                return;
        if (kept->n && words.n) {
                buf_puts(kept, S(" "));
                room--;
        }
        if (words.n > room) { /* no half of a character */
                while (good && room && ((unsigned char)words.p[room] & 0xC0) == 0x80)
                        room--;
                words.n = room;
        }
        for (size_t i = 0; i < words.n; i++) {
                unsigned char ch = (unsigned char)words.p[i];

                buf_u8(kept, ch < 32 || ch == 127 ? ' ' : ch > 127 && !good ? '?' : ch);
        }
}

static int read_lines(struct smtp_client *c, const char *stage, nsec deadline, struct arena *a,
                      struct smtp_answer *answer, struct buf *kept, client_line_fn *each)
{
        char status[12];
        size_t read = 0;
        bool more = true;

        while (more) {
                struct str line, text;
                enum got got;

                do /* nobody parks here */
                        got = conn_line(c->conn, &line, REPLY_MOST - read, deadline);
                while (got == GOT_QUIET || got == GOT_CALLED);
                if (got == GOT_LATE)
                        return client_broken(c, stage, a, answer, S("no answer in time"));
                if (got == GOT_END)
                        return client_broken(c, stage, a, answer, S("the connection was closed"));
                read += line.n + 2;
                if (got == GOT_LONG || read > REPLY_MOST)
                        return client_broken(c, stage, a, answer, S("an answer without end"));
                if (!parse_line(line, &answer->code, &more, &text))
                        return client_broken(c, stage, a, answer, S("an answer that is none"));
                if (take_status(&text, status) && !answer->status[0])
                        snprintf(answer->status, sizeof(answer->status), "%s", status);
                put_words(kept, text);
                if (each)
                        each(c, text);
        }
        return 0;
}

int client_reply_lines(struct smtp_client *c, const char *stage, nsec deadline, struct arena *a,
                       struct smtp_answer *answer, client_line_fn *each)
{
        auto_buf struct buf kept = { 0 };
        int rc;

        buf_init(&kept, TEXT_MOST);
        *answer = (struct smtp_answer){ .stage = stage };
        rc = read_lines(c, stage, deadline, a, answer, &kept, each);
        if (rc < 0)
                return rc;
        answer->text = arena_str(a, buf_str(&kept));
        if (!answer->status[0] || answer->status[0] - '0' != answer->code / 100)
                snprintf(answer->status, sizeof(answer->status), "%d.0.0", answer->code / 100);
        return 0;
}

nsec client_in(const struct smtp_client *c, unsigned seconds)
{
        return now() +
               seconds * SECOND * (c->how.patience ? c->how.patience : SECONDS_COMMAND) / SECONDS_COMMAND;
}

int client_reply(struct smtp_client *c, const char *stage, nsec deadline, struct arena *a,
                 struct smtp_answer *answer)
{
        return client_reply_lines(c, stage, deadline, a, answer, NULL);
}

int client_say(struct smtp_client *c, const char *stage, struct arena *a, struct smtp_answer *answer,
               const char *format, ...)
{
        va_list args;

        va_start(args, format);
        conn_vprintf(c->conn, format, args);
        va_end(args);
        return client_reply(c, stage, client_in(c, SECONDS_COMMAND), a, answer);
}
