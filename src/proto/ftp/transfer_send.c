#include "proto/ftp/transfer.h"

#include <errno.h>
#include <stdio.h>

static bool begin_at(struct transfer *t, const struct ftp_next *next, int *rc)
{
        if (next && next->has_range) {
                char digits[24];
                uint64_t same;

                t->at = next->from;
                if (next->to < t->size)
                        t->size = next->to + 1;
                snprintf(digits, sizeof(digits), "%llu", (unsigned long long)t->at);
                if (!ftp_counts_octets(&t->coding) ||
                    (t->coder && t->at && coder_restart(t->coder, str_of(digits), &same) < 0))
                        t->at = UINT64_MAX;
        } else if (!transfer_restart(t, str_of(next ? next->marker : ""), &t->at, rc)) {
                return false;
        }
        if (t->at <= t->size)
                return true;
        *rc = transfer_restart_reply(t->s);
        return false;
}

bool transfer_prepare_send(struct transfer *t, const struct ftp_next *next, int *rc)
{
        struct file_facts facts = { 0 };
        int error = file_open(t->root, t->asked.path, &t->file, &facts);

        if (error == 0 && facts.coded && !coding_plain(&t->coding))
                error = file_coded(t->file, &t->facts);
        if (!coder_facts_fit(buf_str(&t->facts), facts.size))
                buf_clear(&t->facts);
        if (error < 0) {
                *rc = ftp_trouble(t->s, t->asked.path, error);
                return false;
        }
        t->size = facts.size;
        return transfer_coder(t, CODER_SEND, rc) && begin_at(t, next, rc);
}

static int write_out(struct transfer *t, struct str bytes)
{
        int rc = bytes.n ? stream_write(t->stream, bytes, t->patience) : 0;

        return rc < 0 ? transfer_failed(t, END_CUT, rc) : 0;
}

static int write_coded(struct transfer *t)
{
        int rc = write_out(t, buf_str(&t->out));

        buf_clear(&t->out);
        return rc;
}

static int encode(struct transfer *t, struct str in, bool end)
{
        int rc;

        while ((rc = transfer_code(t, in, end)) == -ENOBUFS) {
                if (write_coded(t) < 0)
                        return -1;
                in = S("");
        }
        return rc < 0 ? transfer_failed(t, END_MALFORMED, rc) : 0;
}

int transfer_put(struct transfer *t, struct str in, bool last)
{
        if (!t->coder)
                return write_out(t, in);
        if (encode(t, in, false) < 0 || (last && encode(t, S(""), true) < 0))
                return -1;
        return write_coded(t);
}

static int send_pieces(struct transfer *t)
{
        uint64_t whole = t->size - t->at;
        size_t most = whole < CODER_PIECE ? (size_t)whole : CODER_PIECE, got;
        char *room = most ? buf_room(&t->piece, most) : NULL;

        if (!whole)
                return transfer_put(t, S(""), true);
        while (t->done < whole) {
                uint64_t left = whole - t->done;
                int rc = file_read(t->file, t->at + t->done, room, left < most ? (size_t)left : most, &got);

                if (rc < 0)
                        return transfer_failed(t, END_TROUBLE, rc);
                if (!got)
                        return transfer_failed(t, END_SHORT, 0);
                t->done += got;
                if (transfer_put(t, str_from(room, got), t->done == whole) < 0)
                        return -1;
        }
        return 0;
}

/* The kernel moves it. In slices, so that STAT can tell how far it is. */
static int send_descriptor(struct transfer *t)
{
        enum { SLICE = 64 << 20 };

        while (t->at + t->done < t->size) {
                uint64_t at = t->at + t->done, left = t->size - at, n = left < SLICE ? left : SLICE;
                int rc = stream_send_file(t->stream, file_descriptor(t->file), &at, n, t->patience);

                n = at - t->at - t->done;
                t->done += n;
                if (rc < 0)
                        return transfer_failed(t, END_CUT, rc);
                if (!n)
                        return transfer_failed(t, END_SHORT, 0);
        }
        return 0;
}

int transfer_send(struct transfer *t)
{
        if (!t->coder && t->size - t->at > TRANSFER_SMALL)
                return send_descriptor(t);
        return send_pieces(t);
}
