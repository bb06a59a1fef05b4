#include "proto/imap/imap.h"

/* What programs may show instead of the prefixes (RFC 5255 §3.4); none in English. */
static const char *const others[LANGUAGES] = {
        [LANGUAGE_GERMAN] = " \"TRANSLATION\" (\"andere Leute/\")",
        [LANGUAGE_FRENCH] = " \"TRANSLATION\" (\"autres personnes/\")",
};
static const char *const shared[LANGUAGES] = {
        [LANGUAGE_GERMAN] = " \"TRANSLATION\" (\"gemeinsam/\")",
        [LANGUAGE_FRENCH] = " \"TRANSLATION\" (\"en commun/\")",
};

/* NAMESPACE -- RFC 2342 §5 */
int imap_namespace(struct session *s, struct scan *a)
{
        unsigned language = imap_of(s)->language;

        (void)a;
        imap_say(s,
                 "NAMESPACE ((\"\" \"/\")) ((\"" IMAP_OTHERS "\" \"/\"%s)) ((\"" IMAP_SHARED "\" \"/\"%s))",
                 others[language] ? others[language] : "", shared[language] ? shared[language] : "");
        return imap_ok(s, "your own, other people's, and those of a domain");
}
