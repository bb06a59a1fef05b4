/* The bytes of a transfer, between the data connection and the file. */
#include "base/mem.h"
#include "proto/ftp/client_inside.h"
#include "run/offload.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
        SLICE = 16 * 1024 * 1024, /* what the kernel moves until the next look around */
        LEAST_SLICE = 64 * 1024,
        FIRST_READ = 8 * 1024,
        CODED_AT_ONCE = 16 * 1024,   /* more deflating and inflating than that is a worker's */
        WRITTEN_AT_ONCE = 16 * 1024, /* less is less than two switches of threads */
};

bool ftpc_keeps(const struct coding *c)
{
        return c->mode == MODE_BLOCK || c->mode == MODE_COMPRESSED;
}

bool ftpc_counts_octets(const struct coding *c)
{
        struct coding plain = *c;

        plain.mode = MODE_STREAM;
        return coding_plain(&plain);
}

static int failed(struct ftpc_move *m, enum ftpc_whose whose, int error)
{
        if (m->whose == FTPC_FINE) {
                m->whose = whose;
                m->error = error;
        }
        return -1;
}

static uint64_t place(const struct ftpc_move *m)
{
        return m->at + m->t->bytes;
}

static void moved(struct ftpc_move *m, uint64_t n)
{
        m->t->bytes += n;
        if (n && m->t->progress)
                m->t->progress(m->t->context, place(m));
}

/* ---- the file ---- */

struct piece {
        int file;
        char *p;
        size_t n, got;
        uint64_t at;
};

static int read_piece(void *arg)
{
        struct piece *p = arg;
        ssize_t got = 1;

        for (p->got = 0; p->got < p->n && got > 0;) {
                got = pread(p->file, p->p + p->got, p->n - p->got, (off_t)(p->at + p->got));
                if (got < 0 && errno == EINTR)
                        got = 1;
                else if (got > 0)
                        p->got += (size_t)got;
        }
        return got < 0 ? -errno : 0;
}

/* What the kernel has in memory, without a switch of threads. false: not all, of a file of this size. */
static bool read_at_once(struct piece *p, uint64_t size)
{
        struct iovec room = { p->p, p->n };
        ssize_t got = preadv2(p->file, &room, 1, (off_t)p->at, RWF_NOWAIT);

        p->got = got > 0 ? (size_t)got : 0;
        return got >= 0 && (p->got == p->n || p->at + p->got >= size);
}

static int write_piece(void *arg)
{
        struct piece *p = arg;

        for (p->got = 0; p->got < p->n;) {
                ssize_t put = pwrite(p->file, p->p + p->got, p->n - p->got, (off_t)(p->at + p->got));

                if (put < 0 && errno == EINTR)
                        continue;
                if (put <= 0)
                        return put < 0 ? -errno : -EIO;
                p->got += (size_t)put;
        }
        return 0;
}

static int store(struct ftpc_move *m, struct str bytes)
{
        struct piece p = { m->t->file, (char *)(uintptr_t)bytes.p, bytes.n, 0, place(m) };
        int rc;

        if (!bytes.n)
                return 0;
        if (m->t->file >= 0)
                rc = bytes.n <= WRITTEN_AT_ONCE ? write_piece(&p) : offload(QUICK, write_piece, &p);
        else
                rc = m->t->each(m->t->context, p.p, p.n, &p.got);
        if (rc < 0)
                return failed(m, FTPC_FILE, rc);
        moved(m, bytes.n);
        return 0;
}

static int fetch(struct ftpc_move *m, char *room, size_t n, size_t *got)
{
        struct piece p = { m->t->file, room, n, 0, place(m) };
        int rc;

        if (m->t->file >= 0)
                rc = read_at_once(&p, m->t->size) ? 0 : offload(QUICK, read_piece, &p);
        else
                rc = m->t->each(m->t->context, room, n, &p.got);
        *got = p.got < n ? p.got : n;
        return rc < 0 ? failed(m, FTPC_FILE, rc) : 0;
}

/* ---- coding ---- */

struct step {
        struct ftpc_move *m;
        struct str in;
        bool end;
};

static int code_step(void *arg)
{
        struct step *s = arg;

        return s->end ? coder_end(s->m->coder, &s->m->out) : coder_put(s->m->coder, s->in, &s->m->out);
}

static int code(struct ftpc_move *m, struct str in, bool end)
{
        struct step s = { m, in, end };

        if (m->coding.mode == MODE_DEFLATE && (in.n > CODED_AT_ONCE || !in.n))
                return offload(QUICK, code_step, &s);
        fiber_yield_if_due();
        return code_step(&s);
}

/* ---- it comes ---- */

/* No more than was asked for (`most`): true when that is there. */
static bool enough(struct ftpc_move *m)
{
        return m->most && m->t->bytes >= m->most;
}

static size_t at_most(const struct ftpc_move *m, size_t n)
{
        uint64_t left = m->most - m->t->bytes;

        return m->most && left < n ? (size_t)left : n;
}

/* What comes until so many are there, or it ends; stored also if the connection breaks: good to go on behind. */
static int through_memory(struct ftpc_move *m, size_t most, bool *end)
{
        char *room = buf_room(&m->piece, most);
        size_t n = 0, got;
        int rc;

        do {
                got = 0;
                rc = stream_read(m->data->stream, room + n, most - n, &got, m->c->patience);
                n += got;
                if (got > 0 && n < most && m->t->progress) /* a slow line */
                        m->t->progress(m->t->context, place(m) + n);
        } while (rc == 0 && got > 0 && n < most);
        *end = rc == 0 && got == 0;
        if (store(m, str_from(room, n)) < 0)
                return -1;
        return rc < 0 ? failed(m, FTPC_DATA, rc) : 0;
}

static bool is_files(int rc)
{
        return rc == -ENOSPC || rc == -EDQUOT || rc == -EIO || rc == -EFBIG || rc == -EBADF;
}

static int through_kernel(struct ftpc_move *m, bool *end)
{
        uint64_t got = 0;
        int rc = stream_receive_file(m->data->stream, m->t->file, place(m), at_most(m, SLICE), &got,
                                     m->c->patience);

        moved(m, got);
        *end = rc == 0 && got == 0;
        return rc < 0 ? failed(m, is_files(rc) ? FTPC_FILE : FTPC_DATA, rc) : 0;
}

static int get_plain(struct ftpc_move *m)
{
        bool end = false;
        int rc = through_memory(m, at_most(m, FTPC_SMALL), &end);

        while (rc == 0 && !end && !enough(m)) {
                rc = m->t->file >= 0 ? through_kernel(m, &end)
                                     : through_memory(m, at_most(m, FTPC_SMALL), &end);
                fiber_yield_if_due();
        }
        return rc;
}

static int store_out(struct ftpc_move *m)
{
        struct str out = buf_str(&m->out);
        int rc = store(m, m->most ? str_sub(out, 0, at_most(m, out.n)) : out);

        buf_clear(&m->out);
        return rc;
}

/* RFC 959 §3.5: with what is stored up to there, the server's marker and our own state say how to go on. */
static int note_marks(struct ftpc_move *m)
{
        char theirs[CODER_MARKER_MOST], ours[CODER_MARKER_MOST];

        while (coder_marker(m->coder, theirs, ours)) {
                if (store_out(m) < 0)
                        return -1;
                snprintf(m->t->marker, sizeof(m->t->marker), "%s", theirs);
                snprintf(m->t->marker_ours, sizeof(m->t->marker_ours), "%s", ours);
        }
        return 0;
}

static int decode(struct ftpc_move *m, struct str in, bool end)
{
        int rc;

        while ((rc = code(m, in, end)) == -ENOBUFS) {
                if (store_out(m) < 0)
                        return -1;
                if (enough(m))
                        return 0;
                in = S("");
        }
        if ((rc < 0 || end || m->out.n >= FTPC_SMALL) && store_out(m) < 0)
                return -1;
        if (rc < 0)
                return failed(m, end ? FTPC_DATA : FTPC_CODING, end ? -ECONNRESET : rc);
        return note_marks(m);
}

/* Where the connection stays, what is read beyond this file's end is given back: so little at first. */
static int get_coded(struct ftpc_move *m)
{
        char *room = buf_room(&m->piece, CODER_PIECE);
        size_t got = 1, most = ftpc_keeps(&m->coding) ? FIRST_READ : CODER_PIECE, left;

        while (!coder_ended(m->coder) && got > 0 && !enough(m)) {
                int rc = stream_read(m->data->stream, room, most, &got, m->c->patience);

                if (rc < 0) {
                        if (store_out(m) < 0)
                                return -1;
                        return failed(m, FTPC_DATA, rc);
                }
                if (got > 0 && decode(m, str_from(room, got), false) < 0)
                        return -1;
                most = most < CODER_PIECE / 4 ? 4 * most : CODER_PIECE;
        }
        if (enough(m))
                return 0;
        left = ftpc_keeps(&m->coding) ? coder_left(m->coder) : 0;
        if (!ftpc_keeps(&m->coding) && got > 0) /* the connection's own end, too */
                (void)stream_read(m->data->stream, room, 1, &got, m->c->patience);
        else if (left > 0)
                stream_unread(m->data->stream, str_from(room + got - left, left));
        return decode(m, S(""), true);
}

/* Was that the end, as RANG has it? */
static bool ends_here(struct ftpc_move *m)
{
        char one;
        size_t got;

        return m->ranged && stream_read(m->data->stream, &one, 1, &got, m->c->patience) == 0 && got == 0;
}

void ftpc_get(struct ftpc_move *m)
{
        int rc;

        m->most = m->coder && m->ranged ? 0 : m->t->most;
        rc = m->coder ? get_coded(m) : get_plain(m);
        if (rc == 0 && enough(m) && !(m->coder ? coder_ended(m->coder) : ends_here(m)))
                m->whose = FTPC_ENOUGH;
}

/* ---- it goes ---- */

static int write_out(struct ftpc_move *m, struct str bytes)
{
        int rc = bytes.n ? stream_write(m->data->stream, bytes, m->c->patience) : 0;

        return rc < 0 ? failed(m, FTPC_DATA, rc) : 0;
}

static int encode(struct ftpc_move *m, struct str in, bool end)
{
        int rc;

        while ((rc = code(m, in, end)) == -ENOBUFS || m->out.n >= CODER_PIECE) {
                struct str out = buf_str(&m->out);

                if (write_out(m, out) < 0)
                        return -1;
                buf_clear(&m->out);
                if (rc != -ENOBUFS)
                        break;
                in = S("");
        }
        return rc < 0 ? failed(m, FTPC_CODING, rc) : 0;
}

static int put_pieces(struct ftpc_move *m)
{
        size_t most = m->coder ? CODER_PIECE : FTPC_SMALL, got = 1;
        char *room = buf_room(&m->piece, most);

        while (got > 0) {
                struct str in;

                if (fetch(m, room, most, &got) < 0)
                        return -1;
                in = str_from(room, got);
                if ((m->coder ? encode(m, in, false) : write_out(m, in)) < 0)
                        return -1;
                moved(m, got);
                if (m->t->file >= 0 && got < most)
                        break;
        }
        if (!m->coder)
                return 0;
        if (encode(m, S(""), true) < 0 || write_out(m, buf_str(&m->out)) < 0)
                return -1;
        buf_clear(&m->out);
        return 0;
}

/* So much at once that somebody who looks on sees it go, on a slow line too. */
static uint64_t next_slice(uint64_t n, nsec took)
{
        if (took > SECOND / 5 && n > LEAST_SLICE)
                return n / 2;
        return took < SECOND / 20 && n < SLICE ? 2 * n : n;
}

static int put_file(struct ftpc_move *m)
{
        uint64_t at, before, n = 4 * LEAST_SLICE;
        nsec began;
        bool more;
        int rc;

        do {
                before = at = place(m);
                began = now();
                rc = stream_send_file(m->data->stream, m->t->file, &at, n, m->c->patience);
                moved(m, at - before);
                more = at - before == n;
                n = next_slice(n, now() - began);
        } while (rc == 0 && more);
        return rc < 0 ? failed(m, FTPC_DATA, rc) : 0;
}

void ftpc_put(struct ftpc_move *m)
{
        bool large =
            !m->coder && m->t->file >= 0 && (m->t->size == UINT64_MAX || m->t->size > m->at + FTPC_SMALL);

        (void)(large ? put_file(m) : put_pieces(m));
}
