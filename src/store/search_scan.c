#include "base/mem.h"
#include "run/offload.h"
#include "store/search_inside.h"
#include <errno.h>

struct scan_job {
        struct reading reading;
        const struct need *need;
        const uint32_t *letters;
        const size_t *which;
        size_t n, at; /* in which */
        bool *match;
        uint8_t *score;
};

/* On a worker. What cannot be read contains nothing. */
static int look_slice(void *arg)
{
        struct scan_job *j = arg;
        struct reading *r = &j->reading;
        struct scratch *s = scratch_take(r->a->set);
        struct look look;
        struct buf room;
        struct str letter;

        look_init(&look, j->need);
        buf_init(&room, 0);
        for (size_t i = 0; i < r->count; i++) {
                bool found =
                    reading_letter(r, i, &s->mime, &room, &letter) && look_letter(&look, &s->mime, letter);

                while (j->letters[j->which[j->at]] < r->items[i].letter)
                        j->at++;
                for (; j->at < j->n && j->letters[j->which[j->at]] == r->items[i].letter; j->at++) {
                        j->match[j->which[j->at]] = found;
                        if (found && j->score)
                                j->score[j->which[j->at]] = look.score;
                }
        }
        buf_free(&room);
        look_free(&look);
        scratch_give(r->a->set, s);
        return 0;
}

int search_scan(struct account *a, const struct need *need, const uint32_t *letters, const size_t *which,
                size_t n, bool *match, uint8_t *score, const struct search_how *how, size_t done,
                size_t total)
{
        struct scan_job *j = mem_new(struct scan_job);
        uint32_t *asked = mem_array(n ? n : 1, sizeof *asked);
        int rc = 0;

        reading_init(&j->reading, a);
        for (size_t i = 0; i < n; i++) {
                if (!i || letters[which[i]] != letters[which[i - 1]])
                        asked[j->reading.n++] = letters[which[i]];
                match[which[i]] = false; /* it may be gone */
        }
        j->need = need;
        j->letters = letters;
        j->which = which;
        j->n = n;
        j->match = match;
        j->score = score;
        j->reading.letters = asked;
        while (!rc && j->reading.at < j->reading.n) {
                rc = reading_some(&j->reading);
                if (!rc && j->reading.count)
                        rc = offload(LONG, look_slice, j);
                if (!rc && how && how->progress && !how->progress(how->context, done + j->reading.at, total))
                        rc = -ECANCELED;
        }
        reading_free(&j->reading);
        mem_free(asked);
        mem_free(j);
        return rc;
}
