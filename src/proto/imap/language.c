/* LANGUAGE -- RFC 5255 §3; what replies say in other languages stands in texts.c. */
#include "proto/imap/imap.h"
#include "proto/language.h"

const char *imap_text(const struct imap *p, const char *english)
{
        return language_text(imap_translations, p->language, english);
}

static void tell(struct session *s, const char *tag)
{
        imap_say(s, "LANGUAGE (%s)", tag);
}

/* "default": the account's own, as its entry in the directory says; else English. */
static unsigned preferred(struct session *s)
{
        struct account_entry e = { 0 };
        unsigned found = LANGUAGES;

        if (s->account.n && s->server->directory &&
            !directory_account(s->server->directory, &s->command, s->account, &e))
                found = language_find(e.language);
        return found < LANGUAGES ? found : LANGUAGE_ENGLISH;
}

/* LANGUAGE [range ...]: the first that there is */
int imap_language(struct session *s, struct scan *a)
{
        unsigned found = LANGUAGES, n = 0;
        struct str range;

        if (imap_end(s, a)) {
                imap_say(s, "LANGUAGE (%s %s %s i-default)", languages[0].tag, languages[1].tag,
                         languages[2].tag);
                return imap_ok(s, "those are the languages");
        }
        do {
                range = imap_astring(s, a);
                if (found < LANGUAGES)
                        continue;
                if (str_ieq(range, S("default")))
                        found = preferred(s);
                else if (str_ieq(range, S("i-default")))
                        found = LANGUAGE_ENGLISH;
                else
                        found = language_find(range);
        } while (!a->bad && ++n < 100 && scan_try(a, ' '));
        if (!imap_end(s, a))
                return imap_syntax(s, a);
        if (found == LANGUAGES)
                return imap_no(s, "none of these languages is spoken here");
        tell(s, languages[found].tag);
        imap_of(s)->language = (uint8_t)found;
        return imap_ok(s, "now in English");
}
