#include "base/mem.h"
#include "store/search_part.h"
#include <errno.h>

enum {
        ASK_FROM = 4,  /* fewer letters are read at once */
        URGE_FROM = 64 /* so many unknown ones want to be indexed */
};

int search_letters(struct account *a, const struct search_needle *needle, const uint32_t *letters, size_t n,
                   bool *match, uint8_t *score, const struct search_how *how)
{
        size_t *which = mem_array(n + 1, sizeof *which), asked = 0, left = 0, unknown = 0;
        uint8_t *known = mem_array(n + 1, 1);
        struct need need;
        int rc = 0;

        need_make(&need, needle);
        for (size_t i = 0; i < n; i++)
                if (match[i])
                        which[asked++] = i;
        if (asked >= ASK_FROM)
                search_ask(a, &need, letters, which, asked, known, score);
        for (size_t i = 0; i < asked; i++) {
                match[which[i]] = known[i] == KNOWN_YES;
                unknown += known[i] == UNKNOWN;
                if (known[i] == UNKNOWN || known[i] == KNOWN_MAYBE)
                        which[left++] = which[i]; /* left <= i */
        }
        if (unknown >= URGE_FROM)
                indexer_urge(a->set->indexer, account_name(a));
        if (left)
                rc = search_scan(a, &need, letters, which, left, match, score, how, asked - left, asked);
        need_free(&need);
        mem_free(which);
        mem_free(known);
        return rc;
}
