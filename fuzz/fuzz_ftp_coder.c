/* FTP's coder on whatever comes. The first bytes choose coding, pieces and task: receive any bytes, where the pieces must make no difference,
 * and send what was stored, which must come back the same; send any file with any facts; go on at any marker. No more memory than
 * it says is used, and what does not end by itself ends with its input. */
#include "base/mem.h"
#include "proto/ftp/coder.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 8 << 20 };

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

/* All of `in`, in pieces; -EOVERFLOW: more than anybody wants to see. */
static int through(struct coder *c, struct str in, size_t piece, struct buf *result)
{
        auto_buf struct buf out = { 0 };
        int rc = 0;

        buf_init(&out, CODER_ROOM);
        for (size_t at = 0;; at += piece) {
                struct str part = str_sub(in, at < in.n ? at : in.n, piece);
                bool end = !part.n || coder_ended(c);

                while ((rc = end ? coder_end(c, &out) : coder_put(c, part, &out)) == -ENOBUFS) {
                        must(out.n > CODER_ROOM / 2, "stopped with room left");
                        if (!buf_puts(result, buf_str(&out)))
                                return -EOVERFLOW;
                        buf_clear(&out);
                        part = S("");
                }
                must(!out.full, "more than there was room for");
                if (!buf_puts(result, buf_str(&out)))
                        return -EOVERFLOW;
                buf_clear(&out);
                if (rc || end)
                        return rc;
        }
}

static void look_at_markers(struct coder *c, const struct coding *how)
{
        char theirs[CODER_MARKER_MOST], ours[CODER_MARKER_MOST];
        uint64_t at;

        while (coder_marker(c, theirs, ours)) {
                struct coder *next = coder_new(how, CODER_RECEIVE, S(""));

                must(!str_has_control(str_of(theirs)), "a marker that would break its reply");
                must(strlen(ours) < CODER_MARKER_MOST && !str_has_control(str_of(ours)),
                     "a marker that is not printable");
                must(coder_restart(next, str_of(ours), &at) == 0, "our own marker is refused");
                must(at <= coder_file_offset(c), "a marker of what has not come");
                coder_free(&next);
        }
}

static int coded(const struct coding *how, enum coder_way way, struct str in, struct str had, size_t piece,
                 struct buf *result, struct buf *facts)
{
        struct coder *c = coder_new(how, way, had);
        int rc;

        must(c, "no coder");
        buf_init(result, MOST);
        rc = through(c, in, piece, result);
        must(rc == 0 || *coder_why(c) || rc == -EOVERFLOW, "failed without a word");
        must(rc == -EOVERFLOW || way == CODER_SEND || coder_file_offset(c) == result->n,
             "another count than of what came out");
        if (way == CODER_RECEIVE)
                look_at_markers(c, how);
        if (facts) {
                buf_init(facts, CODER_FACTS_MOST);
                must(buf_puts(facts, coder_facts(c)), "more facts than allowed");
        }
        coder_free(&c);
        return rc;
}

static void receive(const struct coding *how, struct str in, size_t piece)
{
        auto_buf struct buf file = { 0 }, facts = { 0 }, pieces = { 0 }, same = { 0 }, wire = { 0 },
                            back = { 0 }, again = { 0 };
        int rc = coded(how, CODER_RECEIVE, in, S(""), SIZE_MAX / 2, &file, &facts);

        must(coded(how, CODER_RECEIVE, in, S(""), piece, &pieces, &same) == rc,
             "the pieces made a difference");
        must(str_eq(buf_str(&file), buf_str(&pieces)) && str_eq(buf_str(&facts), buf_str(&same)),
             "the pieces made a difference");
        if (rc)
                return;
        must(!facts.n || coder_facts_fit(buf_str(&facts), file.n), "facts that do not fit");
        rc = coded(how, CODER_SEND, buf_str(&file), buf_str(&facts), piece, &wire, NULL);
        if (rc == -EOVERFLOW)
                return;
        must(rc == 0, "what was stored is not sent");
        must(coded(how, CODER_RECEIVE, buf_str(&wire), S(""), piece, &back, &again) == 0,
             "what was sent is not received");
        must(str_eq(buf_str(&file), buf_str(&back)) && str_eq(buf_str(&facts), buf_str(&again)),
             "not what was stored");
}

/* Facts that anybody may have made, or a marker; then the file. */
static void send(struct coding *how, struct str in, size_t piece, bool marker)
{
        size_t n = in.n ? (unsigned char)in.p[0] % 32 : 0;
        struct str first = str_sub(in, 1, n), file = str_from_at(in, n + 1);
        auto_buf struct buf wire = { 0 }, same = { 0 };
        struct coder *c;
        uint64_t at;

        how->marker_every = 1 + n;
        if (marker) {
                for (int way = CODER_SEND; way <= CODER_RECEIVE; way++) {
                        c = coder_new(how, (enum coder_way)way, S(""));
                        buf_free(&wire);
                        buf_init(&wire, MOST);
                        if (coder_restart(c, first, &at) == 0)
                                (void)through(c, file, piece, &wire);
                        coder_free(&c);
                }
                return;
        }
        if (coded(how, CODER_SEND, file, first, SIZE_MAX / 2, &wire, NULL) == 0 &&
            coded(how, CODER_SEND, file, first, piece, &same, NULL) == 0)
                must(how->mode == MODE_DEFLATE || str_eq(buf_str(&wire), buf_str(&same)),
                     "the pieces made a difference");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct coding how = { .level = 1, .code_page = "IBM-1047" };
        const char *why;
        struct str in;

        if (size < 5 || size > 60000 || !data[3])
                return 0;
        how.type = data[0] & 3;
        how.structure = (data[0] >> 2 & 3) % 3;
        how.mode = data[0] >> 4 & 3;
        how.byte_size = data[1];
        in = str_from(data + 4, size - 4);
        if (!coding_allowed(&how, &why))
                return 0;
        if (data[2] % 4 < 2)
                receive(&how, in, data[3]);
        else
                send(&how, in, data[3], data[2] & 1);
        return 0;
}
