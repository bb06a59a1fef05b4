#include "proto/language.h"

const struct language languages[LANGUAGES] = {
        [LANGUAGE_ENGLISH] = { "en", "English" },
        [LANGUAGE_GERMAN] = { "de", "Deutsch" },
        [LANGUAGE_FRENCH] = { "fr", "Français" },
};

static unsigned exactly(struct str tag)
{
        unsigned i = 0;

        while (i < LANGUAGES && !str_ieq(tag, str_of(languages[i].tag)))
                i++;
        return i;
}

/* "de-CH-1996" becomes "de-CH", then "de" */
unsigned language_find(struct str range)
{
        unsigned found = exactly(range);
        size_t dash;

        while (found == LANGUAGES && (dash = str_rfind(range, '-')) != STR_NONE) {
                range = str_sub(range, 0, dash);
                found = exactly(range);
        }
        return found;
}

const char *language_text(const struct translation *table, unsigned language, const char *english)
{
        if (language == LANGUAGE_ENGLISH)
                return english;
        for (const struct translation *t = table; t->english; t++)
                if (strcmp(t->english, english) == 0)
                        return language == LANGUAGE_GERMAN ? t->german : t->french;
        return english;
}
