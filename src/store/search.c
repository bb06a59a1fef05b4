#include "base/mem.h"
#include "store/search_inside.h"
#include <errno.h>

int search_letters(struct account *a, const struct search_needle *needle, const uint32_t *letters, size_t n,
                   bool *match, uint8_t *score, const struct search_how *how)
{
        size_t *which = mem_array(n ? n : 1, sizeof *which), asked = 0;
        struct need need;
        int rc = 0;

        need_make(&need, needle);
        for (size_t i = 0; i < n; i++)
                if (match[i])
                        which[asked++] = i;
        rc = search_scan(a, &need, letters, which, asked, match, score, how, 0, asked);
        need_free(&need);
        mem_free(which);
        return rc;
}
