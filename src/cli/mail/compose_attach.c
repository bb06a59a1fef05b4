#include "cli/mail/compose_inside.h"
#include "cli/home.h"
#include "mail/header.h"
#include "mail/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The usual ones; the rest is text if it looks so. */
static const char *const types[][2] = {
        { "txt", "text/plain" },
        { "html", "text/html" },
        { "htm", "text/html" },
        { "csv", "text/csv" },
        { "ics", "text/calendar" },
        { "vcf", "text/vcard" },
        { "patch", "text/x-diff" },
        { "diff", "text/x-diff" },
        { "eml", "message/rfc822" },
        { "png", "image/png" },
        { "jpg", "image/jpeg" },
        { "jpeg", "image/jpeg" },
        { "gif", "image/gif" },
        { "svg", "image/svg+xml" },
        { "webp", "image/webp" },
        { "pdf", "application/pdf" },
        { "zip", "application/zip" },
        { "gz", "application/gzip" },
        { "tar", "application/x-tar" },
        { "json", "application/json" },
        { "doc", "application/msword" },
        { "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
        { "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
        { "odt", "application/vnd.oasis.opendocument.text" },
        { "ods", "application/vnd.oasis.opendocument.spreadsheet" },
        { "mp3", "audio/mpeg" },
        { "ogg", "audio/ogg" },
        { "mp4", "video/mp4" },
};

static struct str type_of(struct str name, struct str bytes)
{
        size_t dot = str_rfind(name, '.');

        for (size_t i = 0; dot != STR_NONE && i < sizeof types / sizeof *types; i++)
                if (str_ieq(str_from_at(name, dot + 1), str_of(types[i][0])))
                        return str_of(types[i][1]);
        return write_needs(bytes) == 0 && bytes.n ? S("text/plain") : S("application/octet-stream");
}

static int read_file(const char *path, struct buf *bytes)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;
        ssize_t n = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                close(fd);
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        }
        do {
                char *room = buf_room(bytes, 256 * 1024);

                if (!room) {
                        close(fd);
                        return -EFBIG;
                }
                n = read(fd, room, 256 * 1024);
                buf_added(bytes, n > 0 ? (size_t)n : 0);
        } while (n > 0 || (n < 0 && errno == EINTR));
        close(fd);
        return n < 0 ? -errno : 0;
}

/* Lines by CRLF, whatever they ended with: what a message inside needs. */
static void put_lines(struct buf *out, struct str text)
{
        struct str line;

        while (text.n) {
                str_cut(&text, '\n', &line);
                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                buf_puts(out, line);
                buf_puts(out, S("\r\n"));
        }
}

/* message/rfc822 must not be encoded (RFC 2046 §5.2.1): where its lines do not allow that, it is a file like others. */
static bool put_message(struct buf *out, struct str bytes, struct str name)
{
        struct buf auto_buf lines = { 0 };
        unsigned needs;

        buf_init(&lines, MESSAGE_MOST);
        put_lines(&lines, bytes);
        needs = write_needs(buf_str(&lines));
        if (needs == 2 || lines.full)
                return false;
        buf_puts(out, S("Content-Type: message/rfc822"));
        if (name.n)
                write_parameter(out, S("name"), name);
        buf_printf(out, "\r\nContent-Transfer-Encoding: %s\r\nContent-Disposition: attachment",
                   needs ? "8bit" : "7bit");
        if (name.n)
                write_parameter(out, S("filename"), name);
        buf_puts(out, S("\r\n\r\n"));
        buf_puts(out, buf_str(&lines));
        return true;
}

static void put_file(struct buf *out, struct str type, struct str name, struct str bytes, bool in_line,
                     unsigned number)
{
        if (str_eq(type, S("message/rfc822"))) {
                if (put_message(out, bytes, name))
                        return;
                type = S("application/octet-stream");
        }
        buf_printf(out, "Content-Type: " PRS, STR(type));
        if (str_starts(type, S("text/")))
                buf_puts(out, S("; charset=utf-8"));
        buf_printf(out, "\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: %s",
                   in_line ? "inline" : "attachment");
        write_parameter(out, S("filename"), name);
        if (in_line)
                buf_printf(out, "\r\nContent-ID: <image-%u@pail>", number);
        buf_puts(out, S("\r\n\r\n"));
        write_base64(out, bytes);
}

static int put_part(struct buf *out, const struct draft *d, struct str value, struct buf *why)
{
        struct buf auto_buf bytes = { 0 }, name = { 0 };
        struct str digits;
        uint64_t number;

        value = str_from_at(value, 5);
        str_cut(&value, ' ', &digits);
        buf_init(&bytes, MESSAGE_MOST);
        buf_init(&name, 1024);
        for (size_t i = 0; d->parts_of && str_u64(digits, &number) && i < d->parts_of->part_count; i++) {
                const struct letter_part *p = &d->parts_of->parts[i];

                if (p->number != number || letter_part_bytes(d->parts_of, p->number, &bytes) < 0)
                        continue;
                letter_file_name(p, &name);
                put_file(out, p->letter ? S("message/rfc822") : p->type, buf_str(&name), buf_str(&bytes),
                         false, 0);
                return 0;
        }
        buf_printf(why, "there is no part " PRS, STR(str_sub(digits, 0, 20)));
        return -EINVAL;
}

int attach_put(struct buf *out, const struct draft *d, struct str value, bool in_line, unsigned number,
               struct buf *why)
{
        struct buf auto_buf path = { 0 }, bytes = { 0 };
        struct str name;
        size_t slash;
        int rc;

        value = str_trim(value);
        if (str_starts(value, S("part:")))
                return put_part(out, d, value, why);
        if (!home_expand(&path, value)) {
                buf_puts(why, S("the name of the file is too long"));
                return -ENAMETOOLONG;
        }
        name = str_of(path.p);
        buf_init(&bytes, MESSAGE_MOST);
        rc = read_file(path.p, &bytes);
        if (rc < 0) {
                buf_printf(why, PRS ": %s", STR(name), strerror(-rc));
                return rc;
        }
        slash = str_rfind(name, '/');
        name = str_from_at(name, slash == STR_NONE ? 0 : slash + 1);
        put_file(out, type_of(name, buf_str(&bytes)), name, buf_str(&bytes), in_line, number);
        return 0;
}

void attach_letter(struct buf *out, const struct letter *of)
{
        if (!put_message(out, buf_str(&of->raw), S("")))
                put_file(out, S("application/octet-stream"), S("letter.eml"), buf_str(&of->raw), false, 0);
}
