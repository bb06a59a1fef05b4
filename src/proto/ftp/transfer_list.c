#include "proto/ftp/transfer.h"

/* A listing is text whatever the type says: TYPE I and L mean ASCII here, and pages have no sense. */
bool transfer_prepare_list(struct transfer *t, const struct ftp_next *next, int *rc)
{
        (void)next;
        if (t->coding.type != TYPE_EBCDIC)
                t->coding.type = TYPE_ASCII;
        if (t->coding.structure == STRUCTURE_PAGE)
                t->coding.structure = STRUCTURE_FILE;
        if (t->coding.type == TYPE_ASCII && t->coding.structure == STRUCTURE_FILE &&
            t->coding.mode == MODE_STREAM)
                return true; /* its lines end with CRLF already */
        return transfer_coder(t, CODER_SEND, rc);
}

static int put_gathered(struct transfer *t, bool last)
{
        int rc = transfer_put(t, buf_str(&t->piece), last);

        buf_clear(&t->piece);
        return rc;
}

/* The coder wants lines as files have them, with LF. */
static void gather(struct transfer *t, struct str lines)
{
        struct str line;

        while (t->coder && lines.n) {
                bool whole = str_cut(&lines, '\n', &line);

                if (line.n && line.p[line.n - 1] == '\r')
                        line.n--;
                buf_puts(&t->piece, line);
                if (whole)
                        buf_puts(&t->piece, S("\n"));
        }
        buf_puts(&t->piece, lines);
}

static int lines_come(void *context, struct str lines)
{
        struct transfer *t = context;

        t->done += lines.n;
        while (lines.n) {
                struct str some = str_sub(lines, 0, TRANSFER_SMALL);

                lines = str_from_at(lines, some.n);
                gather(t, some);
                if (t->piece.n >= TRANSFER_SMALL && put_gathered(t, false) < 0)
                        return -1;
        }
        return 0;
}

int transfer_list(struct transfer *t)
{
        int rc = ftp_listing_run(t->root, &t->asked.listing, lines_come, t);

        if (rc < 0)
                return transfer_failed(t, END_TROUBLE, rc); /* unless a failed put was the reason */
        t->partial = rc > 0;
        return put_gathered(t, true);
}
