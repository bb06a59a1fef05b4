#include "proto/ftp/lines.h"

#define HALF_YEAR (182LL * 86400 * 1000000)

/* --- numbers ------------------------------------------------------------------------------------------------- */

static size_t digits_of(uint64_t v, char text[static 20])
{
        size_t n = 20;

        do {
                text[--n] = (char)('0' + v % 10);
                v /= 10;
        } while (v);
        return n;
}

static void put_spaces(struct buf *b, size_t n)
{
        static const char spaces[] = "                    ";

        buf_puts(b, str_from(spaces, n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1));
}

static void put_number(struct buf *b, uint64_t v, size_t width_before, size_t width_after)
{
        char text[20];
        size_t at = digits_of(v, text), n = sizeof(text) - at;

        if (n < width_before)
                put_spaces(b, width_before - n);
        buf_puts(b, str_from(text + at, n));
        if (n < width_after)
                put_spaces(b, width_after - n);
}

/* --- LIST: -rw-r--r--   1 1000     1000          1234 Sep 24  2002 name -> target ----------------------------- */

static void put_mode(struct buf *b, const struct file_facts *f)
{
        static const char kinds[] = {
                [FILE_REGULAR] = '-', [FILE_FOLDER] = 'd', [FILE_LINK] = 'l', [FILE_OTHER] = '?'
        };
        char text[10] = { kinds[f->kind], 'r', 'w', 'x', 'r', 'w', 'x', 'r', 'w', 'x' };

        for (unsigned i = 0; i < 9; i++)
                if (!(f->mode >> (8 - i) & 1))
                        text[i + 1] = '-';
        buf_puts(b, str_from(text, sizeof(text)));
}

/* "Sep 24  2002", or "Nov 20 23:47" within half a year; in UTC, as all times here */
static void put_date(struct buf *b, struct line_dates *d, int64_t usec)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        int64_t age = d->now - usec;
        unsigned second;

        ftp_day_set(&d->day, ftp_day_number(usec, &second));
        buf_puts(b, str_from(months + 3 * (d->day.month - 1), 3));
        put_number(b, d->day.day, 3, 0);
        if (age > HALF_YEAR || age < -HALF_YEAR / 182) {
                put_number(b, d->day.year, 6, 0);
                return;
        }
        second /= 60;
        char time[6] = { ' ', (char)('0' + second / 600),     (char)('0' + second / 60 % 10),
                         ':', (char)('0' + second % 60 / 10), (char)('0' + second % 10) };
        buf_puts(b, str_from(time, sizeof(time)));
}

/* Control characters would act on the terminal of whoever looks. A tab does no harm, and clients without MLSD need the name. */
void put_seen(struct buf *b, struct str name)
{
        size_t at = b->n;

        buf_puts(b, name);
        for (; at < b->n; at++)
                if (((unsigned char)b->p[at] < 32 && b->p[at] != '\t') || b->p[at] == 127)
                        b->p[at] = '?';
}

void put_list_line(struct buf *b, struct line_dates *d, struct str name, const struct file_facts *f,
                   struct str target)
{
        put_mode(b, f);
        put_number(b, f->links, 4, 0);
        put_spaces(b, 1);
        put_number(b, f->uid, 0, 8);
        put_spaces(b, 1);
        put_number(b, f->gid, 0, 8);
        put_spaces(b, 1);
        put_number(b, f->size, 8, 0);
        put_spaces(b, 1);
        put_date(b, d, f->modified);
        put_spaces(b, 1);
        put_seen(b, name);
        if (f->kind == FILE_LINK && target.n) {
                buf_puts(b, S(" -> "));
                put_seen(b, target);
        }
        buf_puts(b, S("\r\n"));
}

/* --- MLSD: Type=file;Size=1;... name -------------------------------------------------------------------------- */

static void put_hex(struct buf *b, uint64_t v)
{
        char text[16];
        size_t n = sizeof(text);

        do {
                text[--n] = "0123456789abcdef"[v & 15];
                v >>= 4;
        } while (v);
        buf_puts(b, str_from(text + n, sizeof(text) - n));
}

/* RFC 3659 §7.5.5: what this client may try with it */
static void put_perm(struct buf *b, const struct file_facts *f, bool read_only)
{
        bool reads = f->mode & 0400, writes = !read_only && f->mode & 0200;

        buf_puts(b, S("Perm="));
        if (f->kind == FILE_FOLDER)
                buf_puts(b, writes ? S("cdeflmp") : read_only ? S("el") : S("defl"));
        else {
                buf_puts(b, writes ? S("a") : S(""));
                buf_puts(b, read_only ? S("") : S("df"));
                buf_puts(b, reads ? S("r") : S(""));
                buf_puts(b, writes ? S("w") : S(""));
        }
        buf_puts(b, S(";"));
}

static void put_type(struct buf *b, const struct file_facts *f, struct str target)
{
        switch (f->kind) {
        case FILE_REGULAR: buf_puts(b, S("Type=file;")); break;
        case FILE_FOLDER: buf_puts(b, S("Type=dir;")); break;
        case FILE_LINK: /* ';' would end the fact */
                buf_puts(b, S("Type=OS.unix=slink:"));
                if (str_find(target, ';') == STR_NONE)
                        put_seen(b, target);
                buf_puts(b, S(";"));
                break;
        case FILE_OTHER: buf_puts(b, S("Type=OS.unix=other;")); break;
        }
}

void put_mlst_facts(struct buf *b, uint8_t facts, bool read_only, const struct file_facts *f,
                    struct str target)
{
        if (facts & FACT_TYPE)
                put_type(b, f, target);
        if (facts & FACT_SIZE && f->kind == FILE_REGULAR) {
                buf_puts(b, S("Size="));
                put_number(b, f->size, 0, 0);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_MODIFY) {
                buf_puts(b, S("Modify="));
                put_ftp_time(b, f->modified);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_PERM)
                put_perm(b, f, read_only);
        if (facts & FACT_UNIQUE) {
                buf_puts(b, S("Unique="));
                put_hex(b, f->device);
                buf_puts(b, S("g"));
                put_hex(b, f->inode);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_MODE) {
                char mode[] = { '0', (char)('0' + (f->mode >> 6 & 7)), (char)('0' + (f->mode >> 3 & 7)),
                                (char)('0' + (f->mode & 7)) };

                buf_puts(b, S("UNIX.mode="));
                buf_puts(b, str_from(mode, sizeof(mode)));
                buf_puts(b, S(";"));
        }
        if (facts & FACT_OWNER) {
                buf_puts(b, S("UNIX.owner="));
                put_number(b, f->uid, 0, 0);
                buf_puts(b, S(";"));
        }
        if (facts & FACT_GROUP) {
                buf_puts(b, S("UNIX.group="));
                put_number(b, f->gid, 0, 0);
                buf_puts(b, S(";"));
        }
        buf_puts(b, S(" "));
}
