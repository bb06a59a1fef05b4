#include "base/mem.h"
#include "proto/ftp/coder_private.h"

#include <iconv.h>
#include <pthread.h>

/* What iconv makes of one byte of ISO-8859-1; -1: nothing, -2: not one byte, so no page for us. */
static int one_byte(iconv_t cd, unsigned char byte)
{
        char in = (char)byte, made[16] = { 0 }, *from = &in, *to = made;
        size_t left = 1, room = sizeof(made);

        iconv(cd, NULL, NULL, NULL, NULL);
        if (iconv(cd, &from, &left, &to, &room) != 0)
                return -1;
        iconv(cd, NULL, NULL, &to, &room);
        return room == sizeof(made) - 1 ? (unsigned char)made[0] : -2;
}

/* Bytes that stand for nothing are paired in their order: every byte has to come back. */
static void complete(struct code_page *p, const bool has[256], const bool taken[256])
{
        unsigned free_byte = 0;

        for (unsigned i = 0; i < 256; i++) {
                if (has[i])
                        continue;
                while (taken[free_byte])
                        free_byte++;
                p->to_wire[i] = (unsigned char)free_byte++;
        }
}

/* EBCDIC has two ends of a line, NL (0x15) and LF (0x25); in a file of its type a line ends with NL (RFC 959 §3.1.1.2). iconv pairs
 * them with U+0085 and LF, so those two are changed for each other; other bytes that stand at 0x15 likewise. */
static void line_ends(struct code_page *p)
{
        for (unsigned i = 0; i < 256; i++) {
                if (p->to_wire[i] == 0x15) {
                        p->to_wire[i] = p->to_wire['\n'];
                        p->to_wire['\n'] = 0x15;
                        return;
                }
        }
}

static bool build(struct code_page *p, iconv_t cd)
{
        bool has[256] = { false }, taken[256] = { false };

        for (unsigned i = 0; i < 256; i++) {
                int byte = one_byte(cd, (unsigned char)i);

                if (byte == -2)
                        return false;
                if (byte < 0 || taken[byte])
                        continue;
                has[i] = taken[byte] = true;
                p->to_wire[i] = (unsigned char)byte;
        }
        for (const char *c = " \nAZaz09"; *c; c++) {
                if (!has[(unsigned char)*c])
                        return false;
        }
        if (p->to_wire[' '] != 0x40 || p->to_wire['A'] != 0xC1) /* ASCII and its kin */
                return false;
        complete(p, has, taken);
        line_ends(p);
        for (unsigned i = 0; i < 256; i++)
                p->to_file[p->to_wire[i]] = (unsigned char)i;
        return true;
}

const struct code_page *coder_code_page(const char *name)
{
        static struct code_page pages[8];
        static size_t n;
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        struct str wanted = str_of(name);
        struct code_page *found = NULL;
        iconv_t cd;

        if (!wanted.n || wanted.n >= sizeof(pages[0].name))
                return NULL;
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < n && !found; i++) {
                if (str_eq(str_of(pages[i].name), wanted))
                        found = &pages[i];
        }
        if (!found && n < sizeof(pages) / sizeof(pages[0])) {
                cd = iconv_open(name, "ISO-8859-1");
                if (cd != (iconv_t)-1) {
                        if (build(&pages[n], cd)) {
                                mem_copy(pages[n].name, sizeof(pages[n].name), wanted);
                                found = &pages[n++];
                        }
                        iconv_close(cd);
                }
        }
        pthread_mutex_unlock(&lock);
        return found;
}

void coder_translate(const unsigned char table[256], struct str s, struct buf *to)
{
        char *room = buf_room(to, s.n);

        if (!room)
                return;
        for (size_t i = 0; i < s.n; i++)
                room[i] = (char)table[(unsigned char)s.p[i]];
        buf_added(to, s.n);
}

/* One CR more before each LF, so that one less gives back what was. A CR that stands alone is sent alone: the CR NUL of Telnet
 * (RFC 854) is a matter of the control connection, and nobody's data connection has it. */
static void ascii_send(struct str s, struct buf *to)
{
        size_t looked = 0; /* s begins with a LF that has its CR */

        buf_room(to, s.n * 2);
        while (s.n) {
                const char *lf = memchr(s.p + looked, '\n', s.n - looked);
                size_t n = lf ? (size_t)(lf - s.p) : s.n;

                buf_puts(to, (struct str){ s.p, n });
                if (lf)
                        buf_puts(to, S("\r"));
                s = (struct str){ s.p + n, s.n - n };
                looked = 1;
        }
}

static void ascii_receive(struct coder *c, struct str s, struct buf *to)
{
        if (!s.n)
                return;
        buf_room(to, s.n + 1);
        if (c->cr && s.p[0] != '\n')
                buf_puts(to, S("\r"));
        c->cr = false;
        while (s.n) {
                const char *cr = memchr(s.p, '\r', s.n);
                size_t n = cr ? (size_t)(cr - s.p) : s.n;

                buf_puts(to, (struct str){ s.p, n });
                if (!cr)
                        return;
                s = (struct str){ cr + 1, s.n - n - 1 };
                if (!s.n)
                        c->cr = true;
                else if (s.p[0] != '\n')
                        buf_puts(to, S("\r"));
        }
}

void coder_text_send(const struct coder *c, struct str s, struct buf *to)
{
        if (c->how.type == TYPE_ASCII)
                ascii_send(s, to);
        else
                coder_translate(c->page->to_wire, s, to);
}

void coder_text_receive(struct coder *c, struct str s, struct buf *to)
{
        if (c->how.type == TYPE_ASCII)
                ascii_receive(c, s, to);
        else
                coder_translate(c->page->to_file, s, to);
}

void coder_text_received(struct coder *c, struct buf *to)
{
        if (c->cr)
                buf_puts(to, S("\r"));
        c->cr = false;
}
