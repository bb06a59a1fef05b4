#include "proto/imap/append.h"

/* cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")" -- RFC 4469 §5, RFC 6855 §4 */
static bool part(struct append *p, struct scan *a, struct stage *to)
{
        struct str url;

        if (scan_try_word(a, S("TEXT ")))
                return append_literal(p, a, to, false, false);
        if (scan_try_word(a, S("UTF8 ("))) {
                if (!append_literal(p, a, to, true, false))
                        return false;
                scan_char(a, ')');
                return true;
        }
        scan_word(a, S("URL"));
        imap_sp(a);
        url = imap_astring(p->session, a);
        return a->bad || append_url(p, url, to);
}

bool append_catenate(struct append *p, struct scan *a, struct stage *to)
{
        unsigned parts = 0;

        scan_char(a, '(');
        do {
                if (parts++ == CATENATE_PARTS) {
                        p->rc = imap_no(append_refuses(p), "[LIMIT] a letter of more than %d parts",
                                        CATENATE_PARTS);
                        return false;
                }
                if (!part(p, a, to))
                        return false;
        } while (!a->bad && scan_try(a, ' '));
        scan_char(a, ')');
        if (a->bad || stage_size(to))
                return true; /* the caller looks at the cursor */
        p->rc = imap_no(append_refuses(p), "nothing in it: nothing was appended");
        return false;
}
