/* LANGUAGE -- RFC 5255 §3 */
#include "proto/imap/imap.h"

const char *imap_text(const struct imap *p, const char *english)
{
        (void)p;
        return english;
}
