#include "proto/ftp/transfer.h"
#include "run/offload.h"

enum { DEFLATED_AT_ONCE = 16 * 1024, INFLATED_AT_ONCE = 256 }; /* more would hold up the loop */
enum { MARKER_EVERY = 1024 * 1024 };                           /* octets of a file, in MODE B and C */

bool transfer_coder(struct transfer *t, enum coder_way way, int *rc)
{
        if (coding_plain(&t->coding))
                return true;
        if (t->asked.what == WHAT_RETRIEVE && transfer_keeps(t)) /* RFC 959 §3.5 */
                t->coding.marker_every = MARKER_EVERY;
        t->coder = coder_new(&t->coding, way, buf_str(&t->facts));
        if (!t->coder)
                *rc = ftp_reply(t->s, "504 There is no such code page here.");
        return t->coder;
}

bool transfer_restart(struct transfer *t, struct str marker, uint64_t *at, int *rc)
{
        bool good;

        *at = 0;
        if (!marker.n || str_eq(marker, S("0")))
                return true;
        good = transfer_keeps(t) || ftp_counts_octets(&t->coding); /* the type may have changed since REST */
        if (good && t->coder)
                good = coder_restart(t->coder, marker, at) == 0;
        else if (good)
                good = str_u64(marker, at);
        if (good)
                return true;
        *rc = transfer_restart_reply(t->s);
        return false;
}

struct coding_step {
        struct transfer *t;
        struct str in;
        bool end;
};

static int step(void *arg)
{
        struct coding_step *c = arg;

        if (c->end)
                return coder_end(c->t->coder, &c->t->out);
        return coder_put(c->t->coder, c->in, &c->t->out);
}

int transfer_code(struct transfer *t, struct str in, bool end)
{
        struct coding_step c = { t, in, end };

        bool receiving = t->asked.what == WHAT_STORE;
        bool more = receiving && !in.n && !end; /* what did not fit before */

        if (t->coding.mode == MODE_DEFLATE &&
            (more || in.n > (receiving ? INFLATED_AT_ONCE : DEFLATED_AT_ONCE)))
                return offload(QUICK, step, &c);
        fiber_yield_if_due();
        return step(&c);
}
