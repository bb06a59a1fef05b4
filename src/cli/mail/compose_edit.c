#include "cli/mail/compose_inside.h"
#include "cli/shell.h"
#include "run/offload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct editing {
        const char *editor;
        char *path;
};

/* By the shell, since $EDITOR may hold options. Ctrl-C is the editor's: the shell waits for its end. */
static int run_editor(void *arg)
{
        struct editing *e = arg;
        char line[1024];

        if (snprintf(line, sizeof line, "trap : INT QUIT; %s", e->editor) >= (int)sizeof line)
                return -ENAMETOOLONG;
        return shell_run(line, e->path, NULL);
}

static const char *editor(void)
{
        const char *e = getenv("VISUAL");

        if (!e || !*e)
                e = getenv("EDITOR");
        return e && *e ? e : "vi";
}

static int put_file(int fd, struct str s)
{
        while (s.n) {
                ssize_t n = write(fd, s.p, s.n);

                if (n < 0 && errno != EINTR)
                        return -errno;
                s = str_from_at(s, n > 0 ? (size_t)n : 0);
        }
        return 0;
}

/* By its name: editors often write a new file and rename it. */
static int take_file(const char *path, struct buf *text)
{
        FILE *f = fopen(path, "re");
        char *room;
        size_t n;

        if (!f)
                return -errno;
        do {
                room = buf_room(text, 64 * 1024);
                n = room ? fread(room, 1, 64 * 1024, f) : 0;
                buf_added(text, n);
        } while (n);
        fclose(f);
        return room ? 0 : -EFBIG;
}

int draft_edit(struct draft *d, struct buf *why)
{
        struct buf auto_buf before = { 0 }, after = { 0 };
        const char *folder = getenv("TMPDIR");
        char path[4096];
        struct editing e = { .editor = editor(), .path = path };
        int fd, rc, ended = 0;

        snprintf(path, sizeof path, "%s/pail-letter-XXXXXX", folder && *folder ? folder : "/tmp");
        buf_init(&before, MESSAGE_MOST);
        buf_init(&after, MESSAGE_MOST);
        draft_text(d, &before);
        fd = mkstemp(path); /* 0600 */
        if (fd < 0) {
                buf_printf(why, "%s: %s", path, strerror(errno));
                return -errno;
        }
        rc = put_file(fd, buf_str(&before));
        if (close(fd) < 0 && rc == 0)
                rc = -errno;
        if (rc == 0) {
                ended = offload(LONG, run_editor, &e);
                if (ended)
                        buf_printf(why, "%s: %s", e.editor,
                                   ended < 0 ? strerror(-ended) : "it ended with an error");
                rc = take_file(path, &after);
        }
        if (rc == 0)
                rc = str_eq(buf_str(&before), buf_str(&after)) ? -ECANCELED
                     : ended                                   ? -EINTR
                                                               : draft_from_text(d, buf_str(&after), why);
        if (rc == -EINVAL || rc == -EFBIG || rc == -EINTR) /* what a person wrote is not thrown away */
                buf_printf(why, "; what was written is kept in %s", path);
        else
                unlink(path);
        return rc;
}
