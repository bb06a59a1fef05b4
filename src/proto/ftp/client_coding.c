/* TYPE, STRU, MODE. */
#include "proto/ftp/client_inside.h"
#include <errno.h>

static int say_type(struct ftp_client *c, const struct coding *w)
{
        static const char *const forms[] = { "", " T", " C" };

        switch (w->type) {
        case TYPE_ASCII: return ftpc_say(c, "TYPE A%s", forms[w->form % 3]);
        case TYPE_EBCDIC: return ftpc_say(c, "TYPE E%s", forms[w->form % 3]);
        case TYPE_LOCAL: return ftpc_say(c, "TYPE L %u", w->byte_size);
        default: return ftpc_say(c, "TYPE I");
        }
}

static bool same_type(const struct coding *a, const struct coding *b)
{
        bool text = a->type == TYPE_ASCII || a->type == TYPE_EBCDIC;

        return a->type == b->type && (!text || a->form == b->form) &&
               (a->type != TYPE_LOCAL || a->byte_size == b->byte_size);
}

/* What differs goes out in one piece; the first refusal counts, and what was taken is remembered. */
int ftpc_coding(struct ftp_client *c, const struct coding *want, struct ftp_answer *a)
{
        struct coding is = c->is, w = *want;
        bool type = !c->type_said || !same_type(&is, &w), structure = is.structure != w.structure,
             mode = is.mode != w.mode;
        struct ftp_answer each;
        int first = 0;

        if (!type && !structure && !mode)
                return 0;
        if (c->due) /* what was written before is not ours to answer */
                c->stale = c->due;
        if (type)
                first = say_type(c, &w);
        if (first == 0 && structure)
                first = ftpc_say(c, "STRU %c", "FRP"[w.structure % 3]);
        if (first == 0 && mode)
                first = ftpc_say(c, "MODE %c", "SBCZ"[w.mode % 4]);
        for (int i = 0; i < 3; i++) {
                bool said[] = { type, structure, mode };
                int rc;

                if (!said[i] || !conn_ok(c->conn))
                        continue;
                rc = ftpc_reply(c, &each, now() + c->patience, false);
                if (rc == 0)
                        rc = ftpc_judge(c, &each);
                if (rc == 0 && i == 0) {
                        c->is.type = w.type, c->is.form = w.form, c->is.byte_size = w.byte_size;
                        c->type_said = true;
                } else if (rc == 0) {
                        *(i == 1 ? &c->is.structure : &c->is.mode) = i == 1 ? w.structure : w.mode;
                } else if (first == 0) {
                        first = rc;
                        *a = each;
                }
                if (rc < 0 && rc != -EREMOTEIO)
                        return rc;
        }
        return first == 0 && !conn_ok(c->conn) ? -ECONNRESET : first;
}
