/* Attachments to files. Their names are a stranger's. */
#include "cli/mail/letter_inside.h"
#include "mail/charset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { NAME_MOST = 200, COPIES_MOST = 10000 };

/* The last part of what may be a path, on any system; what no file name or terminal should have becomes '_'. */
void letter_file_name(const struct letter_part *p, struct buf *out)
{
        struct str name = p->name, cut;
        size_t from = out->n;

        for (size_t at = name.n; at > 0; at--)
                if (name.p[at - 1] == '/' || name.p[at - 1] == '\\') {
                        name = str_from_at(name, at);
                        break;
                }
        while (name.n && (name.p[0] == '.' || name.p[0] == ' ' || name.p[0] == '-'))
                name = str_from_at(name, 1);
        cut = str_sub(name, 0, NAME_MOST);
        while (cut.n < name.n && cut.n && ((unsigned char)name.p[cut.n] & 0xC0) == 0x80)
                cut.n--;
        for (size_t i = 0; i < cut.n; i++) {
                unsigned char c = (unsigned char)cut.p[i];
                bool bad = c < 32 || c == 127 || c == '/' ||
                           (c == 0xC2 && i + 1 < cut.n && (unsigned char)cut.p[i + 1] < 0xA0);

                buf_put(out, bad ? "_" : cut.p + i, 1);
                if (c == 0xC2 && bad)
                        i++;
        }
        while (out->n > from && out->p[out->n - 1] == ' ')
                out->n--;
        if (out->n == from)
                buf_printf(out, "part-%u", p->number);
}

static int write_all(int fd, struct str s)
{
        while (s.n) {
                ssize_t n = write(fd, s.p, s.n);

                if (n < 0 && errno != EINTR)
                        return -errno;
                s = str_from_at(s, n > 0 ? (size_t)n : 0);
        }
        return 0;
}

static int make(int folder, struct str name, struct buf *made)
{
        size_t dot = str_rfind(name, '.');
        struct str stem = dot == STR_NONE || !dot ? name : str_sub(name, 0, dot),
                   ending = str_from_at(name, stem.n);

        for (unsigned n = 1; n < COPIES_MOST; n++) {
                int fd;

                buf_clear(made);
                buf_puts(made, stem);
                if (n > 1)
                        buf_printf(made, " (%u)", n);
                buf_puts(made, ending);
                buf_u8(made, 0);
                if (made->full)
                        return -ENAMETOOLONG;
                made->n--;
                fd = openat(folder, made->p, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
                if (fd >= 0 || errno != EEXIST)
                        return fd < 0 ? -errno : fd;
        }
        return -EEXIST;
}

int letter_save_part(const struct letter *l, unsigned number, const char *folder, struct buf *path)
{
        struct buf auto_buf bytes = { 0 }, name = { 0 }, made = { 0 };
        int dir, fd, rc = -ENOENT;

        buf_init(&bytes, l->raw.n + 64);
        buf_init(&name, 1024);
        buf_init(&made, 1024);
        for (size_t i = 0; i < l->part_count; i++)
                if (l->parts[i].number == number) {
                        letter_file_name(&l->parts[i], &name);
                        rc = letter_part_bytes(l, number, &bytes);
                }
        if (rc < 0)
                return rc;
        dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        fd = make(dir, buf_str(&name), &made);
        rc = fd < 0 ? fd : write_all(fd, buf_str(&bytes));
        if (fd >= 0 && close(fd) < 0 && rc == 0)
                rc = -errno;
        if (rc < 0 && fd >= 0)
                unlinkat(dir, made.p, 0); /* half a file would pass for the whole one */
        close(dir);
        if (rc == 0)
                buf_printf(path, "%s/" PRS, folder, STR(buf_str(&made)));
        return rc;
}
