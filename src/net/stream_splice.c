#include "net/stream_private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { WIDTH = 1 << 20 }; /* of the pipe, if the system allows it */

static bool has_pipe(struct stream *s)
{
        if (s->unspliced || s->pipe[0] >= 0)
                return !s->unspliced;
        if (pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
                s->pipe[0] = s->pipe[1] = -1;
                s->unspliced = true;
                return false;
        }
        (void)fcntl(s->pipe[1], F_SETPIPE_SZ, WIDTH);
        return true;
}

void stream_splice_end(struct stream *s)
{
        for (int i = 0; i < 2; i++)
                if (s->pipe[i] >= 0)
                        close(s->pipe[i]);
        s->pipe[0] = s->pipe[1] = -1;
}

/* For a file system whose files take nothing from a pipe. */
static ssize_t copy_out(struct stream *s, int file, off_t *to)
{
        char room[4096];
        ssize_t n = read(s->pipe[0], room, sizeof(room)), put = 0, k = 0;

        s->unspliced = true;
        while (put < n && (k = pwrite(file, room + put, (size_t)(n - put), *to)) > 0) {
                put += k;
                *to += k;
        }
        return n < 0 || k < 0 ? -1 : put;
}

/* All that is in the pipe. A failure leaves some there: the stream fails, and the pipe goes with it. */
static int empty(struct stream *s, int file, uint64_t at, size_t n, size_t *got)
{
        off_t to = (off_t)at;

        while (n > 0) {
                ssize_t moved = s->unspliced ? -1 : splice(s->pipe[0], NULL, file, &to, n, SPLICE_F_MOVE);

                if (moved < 0 && (s->unspliced || errno == EINVAL))
                        moved = copy_out(s, file, &to);
                if (moved < 0 && errno == EINTR)
                        continue;
                if (moved <= 0)
                        return moved < 0 ? -errno : -EIO;
                *got += (size_t)moved;
                n -= (size_t)moved;
        }
        return 0;
}

int stream_splice(struct stream *s, int file, uint64_t at, size_t most, size_t *got, bool *dry, bool *ended)
{
        int rc = 0;

        *got = 0;
        if (!has_pipe(s))
                return -EOPNOTSUPP;
        while (rc == 0 && *got < most) {
                ssize_t came = splice(s->watch.fd, NULL, s->pipe[1], NULL, most - *got,
                                      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

                if (came > 0) {
                        rc = empty(s, file, at + *got, (size_t)came, got);
                        continue;
                }
                *ended = came == 0;
                *dry = came < 0 && errno == EAGAIN;
                if (came == 0 || *dry)
                        break;
                if (errno != EINTR)
                        rc = -errno;
        }
        return rc;
}
