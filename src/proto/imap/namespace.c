#include "proto/imap/imap.h"

/* NAMESPACE -- RFC 2342 §5 */
int imap_namespace(struct session *s, struct scan *a)
{
        (void)a;
        imap_say(s, "NAMESPACE ((\"\" \"/\")) ((\"" IMAP_OTHERS "\" \"/\")) ((\"" IMAP_SHARED "\" \"/\"))");
        return imap_ok(s, "your own, other people's, and those of a domain");
}
