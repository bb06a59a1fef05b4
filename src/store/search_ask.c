#include "base/mem.h"
#include "run/offload.h"
#include "store/search_part.h"
#include <errno.h>

struct ask {
        struct account *a;
        const struct need *need;
        const uint32_t *letters;
        const size_t *which;
        size_t n;
        uint8_t *known, *score;
        struct witness witness;
};

static bool bit(const uint64_t *bits, uint32_t i)
{
        return bits[i / 64] >> i % 64 & 1;
}

/* The letters of the part that are asked about begin at which[from]. */
static void take_answer(struct ask *k, const struct part *p, const struct answer *answer, size_t from)
{
        for (uint32_t i = 0; i < p->n && from < k->n;) {
                uint32_t letter = k->letters[k->which[from]];

                if (p->letters[i] < letter) {
                        i++;
                        continue;
                }
                if (p->letters[i] == letter) {
                        k->known[from] = bit(answer->yes, i)     ? KNOWN_YES
                                         : bit(answer->maybe, i) ? KNOWN_MAYBE
                                                                 : KNOWN_NO;
                        if (k->score)
                                k->score[k->which[from]] = answer->score ? answer->score[i] : 100;
                }
                from++;
        }
}

static int ask_part(struct ask *k, struct shelf *s, const struct shelf_part *name, size_t from)
{
        struct answer answer;
        struct part p;
        int rc = part_open(&p, s->dir, name->name);

        if (!rc) {
                witness_add(&k->witness, &p);
                rc = part_query(&p, k->need, &answer);
                if (!rc)
                        take_answer(k, &p, &answer, from);
                answer_free(&answer);
                part_close(&p);
        }
        if (rc == -EBADMSG)
                shelf_remove(s, name->name); /* its letters are indexed anew */
        return rc;
}

/* A part that has gone was merged into another one meanwhile: then once more. */
static int ask_shelf(void *arg)
{
        struct ask *k = arg;
        struct shelf s;
        int rc = shelf_open(&s, k->a, false);
        bool gone = !rc;

        for (unsigned most = 5; gone && most; most--) {
                size_t from = 0;

                gone = false;
                rc = shelf_list(&s, false);
                for (size_t i = 0; i < s.n && !gone && !rc; i++) {
                        while (from < k->n && k->letters[k->which[from]] < s.parts[i].first)
                                from++;
                        if (from < k->n && k->letters[k->which[from]] <= s.parts[i].last)
                                gone = ask_part(k, &s, &s.parts[i], from) == -ENOENT;
                }
        }
        shelf_close(&s);
        return rc;
}

static int remove_index(void *arg)
{
        struct ask *k = arg;
        struct shelf s;

        if (!shelf_open(&s, k->a, false))
                shelf_remove_all(&s);
        shelf_close(&s);
        return 0;
}

void search_ask(struct account *a, const struct need *need, const uint32_t *letters, const size_t *which,
                size_t n, uint8_t *known, uint8_t *score)
{
        struct ask k = { a, need, letters, which, n, known, score, { 0 } };
        int rc = offload(LONG, ask_shelf, &k);

        if (!rc)
                rc = witness_ask(&k.witness, a);
        if (!rc && k.witness.lies)
                rc = offload(LONG, remove_index, &k) ? -EIO : -EUCLEAN;
        for (size_t i = 0; i < n && rc; i++)
                known[i] = UNKNOWN;
        witness_free(&k.witness);
}
