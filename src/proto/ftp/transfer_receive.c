#include "proto/ftp/transfer.h"

#include <errno.h>
#include <stdio.h>

enum {
        SLICE = 4 * 1024 * 1024, /* what the kernel moves at once, socket to file */
        FIRST_READ = 8 * 1024,
        MARK_ROOM = 2 * CODER_MARKER_MOST + 8
};

/* --- before there is a data connection ----------------------------------------------------------------------- */

/* The folder must be there, and the name no folder's. */
static int check_target(struct transfer *t)
{
        struct str path = t->asked.path, folder;
        struct file_facts facts;
        size_t slash = str_rfind(path, '/');
        int rc = file_facts(t->root, path, true, &facts);

        t->size = rc == 0 ? facts.size : 0;
        if (rc == 0)
                return facts.kind == FILE_FOLDER ? -EISDIR : facts.kind == FILE_OTHER ? -EACCES : 0;
        if (rc != -ENOENT || slash == STR_NONE || slash == 0)
                return rc == -ENOENT ? 0 : rc;
        folder = arena_str(&t->memory, str_sub(path, 0, slash));
        rc = file_facts(t->root, folder, true, &facts);
        return rc == 0 && facts.kind != FILE_FOLDER ? -ENOTDIR : rc;
}

/* A new file: that it is begun costs little, finds most of what may be wrong, and leaves no trace. STOU tells its name before the data come. */
static int begin_new(struct transfer *t)
{
        struct str path = t->asked.path;
        int rc = upload_begin(t->root, path, t->asked.how, 0, &t->upload);

        if (rc == 0 && t->asked.how == UPLOAD_UNIQUE)
                t->asked.path =
                    arena_printf(&t->memory, PRS "/" PRS, STR(str_sub(path, 0, str_rfind(path, '/'))),
                                 STR(upload_name(t->upload)));
        return rc;
}

/* What the coder must know of a file that its bytes are appended to: the size, and where its records and pages end. */
static int look_behind(struct transfer *t)
{
        struct file_facts facts;
        struct file *f;
        int rc = upload_kept(t->root, t->asked.path, &t->at);

        if (rc != -ENOENT)
                return rc; /* of a part no more is known */
        rc = file_open(t->root, t->asked.path, &f, &facts);
        if (rc < 0)
                return rc == -ENOENT ? 0 : rc;
        t->at = facts.size;
        if (facts.coded && t->coding.structure != STRUCTURE_FILE)
                rc = file_coded(f, &t->facts);
        file_close(&f);
        return rc;
}

static int look_first(struct transfer *t)
{
        int rc;

        if (t->asked.how == UPLOAD_UNIQUE || t->asked.how == UPLOAD_NEW)
                return begin_new(t);
        rc = check_target(t);
        if (rc == 0 && t->asked.how == UPLOAD_APPEND && !coding_plain(&t->coding))
                rc = look_behind(t);
        return rc;
}

/* REST and STOR: is there so much to go on behind, of the file or of a part? */
static bool go_on_at(struct transfer *t, struct str marker, int *rc)
{
        uint64_t kept;

        if (!transfer_restart(t, marker, &t->at, rc))
                return false;
        if (t->at <= t->size || (upload_kept(t->root, t->asked.path, &kept) == 0 && t->at <= kept))
                return true;
        *rc = transfer_restart_reply(t->s);
        return false;
}

static bool go_on_behind(struct transfer *t, int *rc)
{
        char size[24];

        snprintf(size, sizeof(size), "%llu", (unsigned long long)t->at);
        if (!t->coder || !t->at || coder_restart(t->coder, str_of(size), &t->at) == 0)
                return true;
        *rc = transfer_restart_reply(t->s);
        return false;
}

bool transfer_prepare_receive(struct transfer *t, const struct ftp_next *next, int *rc)
{
        struct str marker = str_of(next ? next->marker : "");
        int error;

        if (next && next->has_range) {
                *rc = ftp_reply(t->s, "504 RANG goes with RETR.");
                return false;
        }
        if (marker.n && !str_eq(marker, S("0"))) {
                if (t->asked.how == UPLOAD_UNIQUE) {
                        *rc = transfer_restart_reply(t->s);
                        return false;
                }
                t->asked.how = UPLOAD_RESUME;
        }
        error = look_first(t);
        if (error < 0) {
                *rc = ftp_trouble(t->s, t->asked.path, error);
                return false;
        }
        t->allotted = next ? next->allocate : 0;
        if (!transfer_coder(t, CODER_RECEIVE, rc))
                return false;
        if (t->asked.how == UPLOAD_APPEND)
                return go_on_behind(t, rc);
        return t->asked.how != UPLOAD_RESUME || go_on_at(t, marker, rc);
}

/* --- the bytes ----------------------------------------------------------------------------------------------- */

/* What goes on with a file: not before the data connection stands, since it may have to be copied. */
static int begin_behind(struct transfer *t)
{
        int rc = upload_begin(t->root, t->asked.path, t->asked.how, t->at, &t->upload);

        if (rc == -EINVAL && t->asked.how == UPLOAD_RESUME)
                return transfer_failed(t, END_RESTART, rc);
        if (rc < 0)
                return transfer_failed(t, END_TROUBLE, rc);
        if (t->coder && upload_at(t->upload) != t->at) /* it has changed since we looked */
                return transfer_failed(t, END_RESTART, -ESTALE);
        t->at = upload_at(t->upload);
        return 0;
}

static int begin(struct transfer *t)
{
        int rc;

        if (!t->upload && begin_behind(t) < 0)
                return -1;
        rc = t->allotted > TRANSFER_SMALL ? upload_room(t->upload, t->at, t->allotted) : 0;
        return rc < 0 ? transfer_failed(t, END_TROUBLE, rc) : 0;
}

static int store(struct transfer *t, struct str bytes)
{
        int rc;

        rc = bytes.n ? upload_write(t->upload, t->at + t->done, bytes) : 0;
        if (rc < 0)
                return transfer_failed(t, END_TROUBLE, rc);
        t->done += bytes.n;
        return 0;
}

/* What comes until so many are there, or it ends; stored also if the connection breaks, for the part is good for a resume. */
static int through_memory(struct transfer *t, size_t most, bool *end)
{
        char *room = buf_room(&t->piece, most);
        size_t n = 0, got;
        int rc;

        do {
                got = 0;
                rc = stream_read(t->stream, room + n, most - n, &got, t->patience);
                n += got;
        } while (rc == 0 && got > 0 && n < most);
        *end = rc == 0 && got == 0;
        if (store(t, str_from(room, n)) < 0)
                return -1;
        return rc < 0 ? transfer_failed(t, END_CUT, rc) : 0;
}

/* What the disk says, where the kernel moves from socket to file: the rest is the connection's. */
static enum transfer_end end_of(int rc)
{
        return rc == -ENOSPC || rc == -EDQUOT || rc == -EIO || rc == -EFBIG ? END_TROUBLE : END_CUT;
}

static int through_kernel(struct transfer *t, bool *end)
{
        uint64_t got = 0;
        int rc = stream_receive_file(t->stream, upload_descriptor(t->upload), t->at + t->done, SLICE, &got,
                                     t->patience);

        t->done += got;
        *end = rc == 0 && got == 0;
        return rc < 0 ? transfer_failed(t, end_of(rc), rc) : 0;
}

/* Small files through memory at one go, large ones by the kernel; but not where the room for a whole slice is missing, since the last
 * of the file may still fit. */
static int receive_plain(struct transfer *t)
{
        bool direct = true, end = false;
        int rc = through_memory(t, TRANSFER_SMALL, &end);

        while (rc == 0 && !end) {
                direct = direct && upload_room(t->upload, t->at + t->done, SLICE) == 0;
                rc = direct ? through_kernel(t, &end) : through_memory(t, CODER_PIECE, &end);
                fiber_yield_if_due();
        }
        return rc;
}

static int store_out(struct transfer *t)
{
        int rc = store(t, buf_str(&t->out));

        buf_clear(&t->out);
        return rc;
}

/* RFC 959 §3.5: 110 when the octets before the marker are with us. */
static int note_marks(struct transfer *t)
{
        char theirs[CODER_MARKER_MOST], ours[CODER_MARKER_MOST];
        bool any = false;

        for (; coder_marker(t->coder, theirs, ours); any = true) {
                if (!any && store_out(t) < 0)
                        return -1;
                while (t->marks.max - t->marks.n < MARK_ROOM) {
                        conn_call(t->s->conn);
                        if (wait_on(&t->told, "its marks to be told", now() + t->patience) < 0 || t->aborted)
                                return transfer_failed(t, END_CUT, -ETIMEDOUT);
                }
                buf_printf(&t->marks, "%s = %s\n", theirs, ours);
        }
        if (any)
                conn_call(t->s->conn);
        return 0;
}

/* Decodes one piece, or the end. What expands without bound comes out by and by. */
static int decode(struct transfer *t, struct str in, bool end)
{
        int rc;

        while ((rc = transfer_code(t, in, end)) == -ENOBUFS) {
                if (store_out(t) < 0)
                        return -1;
                in = S("");
        }
        if ((rc < 0 || end || t->out.n >= TRANSFER_SMALL) && store_out(t) < 0)
                return -1;
        if (rc < 0)
                return transfer_failed(t, end ? END_CUT : END_MALFORMED, rc);
        return note_marks(t);
}

/* Where the connection stays, what is read beyond this file's end is given back: so little at first. */
static int receive_coded(struct transfer *t)
{
        char *room = buf_room(&t->piece, CODER_PIECE);
        size_t got = 1, most = transfer_keeps(t) ? FIRST_READ : CODER_PIECE, left;

        while (!coder_ended(t->coder) && got > 0) {
                int rc = stream_read(t->stream, room, most, &got, t->patience);

                if (rc < 0) {
                        if (store_out(t) < 0) /* good for a resume */
                                return -1;
                        return transfer_failed(t, END_CUT, rc);
                }
                if (got > 0 && decode(t, str_from(room, got), false) < 0)
                        return -1;
                most = most < CODER_PIECE / 4 ? 4 * most : CODER_PIECE;
        }
        left = transfer_keeps(t) ? coder_left(t->coder) : 0;
        if (left > 0)
                stream_unread(t->stream, str_from(room + got - left, left));
        return decode(t, S(""), true);
}

/* --- STOR, STOU, APPE ---------------------------------------------------------------------------------------- */

/* MODE S without TLS has no end of a file but the connection's, and a client that dies ends that too: but also its control connection,
 * mostly before. So the loop looks whether there is word of it. */
static void listen_for_the_end(struct transfer *t)
{
        bool known = (t->coder && coder_ended(t->coder)) || stream_has_tls(t->stream);

        if (!known)
                fiber_yield();
}

static int commit(struct transfer *t)
{
        struct str facts = t->coder ? coder_facts(t->coder) : S("");
        int rc;

        listen_for_the_end(t);
        if (t->aborted || !conn_ok(t->s->conn))
                return transfer_failed(t, END_CUT, -ECANCELED);
        if (facts.n)
                upload_facts(t->upload, facts);
        rc = upload_commit(t->upload, t->at + t->done, 0);
        return rc < 0 ? transfer_failed(t, END_TROUBLE, rc) : 0;
}

int transfer_receive(struct transfer *t)
{
        int rc = begin(t);

        if (rc == 0)
                rc = t->coder ? receive_coded(t) : receive_plain(t);

        return rc < 0 ? rc : commit(t);
}
