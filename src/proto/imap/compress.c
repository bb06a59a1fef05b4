#include "proto/imap/imap.h"

/* COMPRESS DEFLATE -- RFC 4978 */
int imap_compress(struct session *s, struct scan *a)
{
        struct imap *p = imap_of(s);

        scan_word(a, S("DEFLATE"));
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (p->compressed)
                return imap_no(s, "[COMPRESSIONACTIVE] it is compressed already");
        imap_ok(s, "compressed from here on");
        if (conn_compress(s->conn))
                s->ending = true;
        p->compressed = true;
        return OK;
}
