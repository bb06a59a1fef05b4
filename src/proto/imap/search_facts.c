#include "base/mem.h"
#include "mail/date.h"
#include "mail/mime.h"
#include "proto/imap/search.h"

#include <errno.h>
#include <stdlib.h>

/* What a search reads of the letters in a window: each once, and only what was asked about. */

static bool has(const uint64_t *bits, size_t i)
{
        return bits[i / 64] >> (i % 64) & 1;
}

static void add(uint64_t *bits, size_t i)
{
        bits[i / 64] |= (uint64_t)1 << (i % 64);
}

void window_finish(struct search_window *w)
{
        mem_free(w->placed);
        mem_free(w->placed_known);
        mem_free(w->received);
        mem_free(w->sent);
        mem_free(w->thread);
        mem_free(w->facts_known);
        mem_free(w->sent_known);
        mem_free(w->scores);
        *w = (struct search_window){ 0 };
}

/* Of `ask`, what is not in `known` yet. false: nothing. */
static bool unknown(const struct search_window *w, const uint64_t *ask, const uint64_t *known, uint64_t *out)
{
        uint64_t any = 0;

        for (size_t i = 0; i < w->words; i++)
                any |= out[i] = ask[i] & ~known[i];
        return any != 0;
}

/* --- placements --- */

static void uids_of(const struct search_window *w, const uint64_t *bits, struct uid_list *out)
{
        for (uint32_t i = 0; i < w->n;) {
                uint32_t from;

                if (!bits[i / 64]) {
                        i = (i / 64 + 1) * 64;
                        continue;
                }
                if (!has(bits, i)) {
                        i++;
                        continue;
                }
                for (from = i; i < w->n && has(bits, i); i++)
                        ;
                seqmap_uids(w->scope->map, w->first + from + 1, w->first + i, out);
        }
}

bool window_placed(struct search_window *w, const uint64_t *ask)
{
        struct placed_list got = { 0 };
        struct uid_list uids = { 0 };
        uint64_t *want;

        if (!w->placed) {
                w->placed = mem_array(w->n, sizeof(*w->placed));
                w->placed_known = mem_array(w->words, sizeof(uint64_t));
        }
        want = mem_array(w->words, sizeof(uint64_t));
        if (unknown(w, ask, w->placed_known, want)) {
                uids_of(w, want, &uids);
                w->error = change_list(w->scope->x, uids.ranges, uids.n, 0, &got);
                for (size_t i = 0; !w->error && i < got.n; i++) {
                        uint32_t seq = seqmap_seq(w->scope->map, got.list[i].uid);

                        if (seq > w->first && seq <= w->first + w->n)
                                w->placed[seq - 1 - w->first] = got.list[i];
                }
                for (size_t i = 0; !w->error && i < w->words; i++)
                        w->placed_known[i] |= want[i];
        }
        mem_free(want);
        uid_list_free(&uids);
        placed_list_free(&got);
        return !w->error;
}

/* --- letter rows --- */

struct rows {
        struct search_window *w;
        const uint32_t *at; /* positions in the window */
};

typedef int load_fn(struct rows *r, const uint32_t *letters, size_t n);

/* Letter rows of what is wanted, a slice a worker call. */
static bool load(struct search_window *w, const uint64_t *want, load_fn *fn)
{
        uint32_t *letters = mem_array(SEARCH_SLICE, sizeof(*letters)),
                 *at = mem_array(SEARCH_SLICE, sizeof(*at));
        struct rows r = { .w = w, .at = at };
        size_t n = 0, total = 0, done = 0;

        for (size_t i = 0; i < w->words; i++)
                total += (size_t)__builtin_popcountll(want[i]);
        for (uint32_t i = 0; i <= w->n && !w->error; i++) {
                if (i < w->n && has(want, i) && w->placed[i].letter) {
                        at[n] = i;
                        letters[n++] = w->placed[i].letter;
                }
                if (n == SEARCH_SLICE || (i == w->n && n)) {
                        w->error = fn(&r, letters, n);
                        done += n;
                        n = 0;
                        if (!w->error && !search_progress(w->scope, done, total))
                                w->error = -ECANCELED;
                }
        }
        mem_free(letters);
        mem_free(at);
        return !w->error;
}

static bool take_facts(void *context, size_t index, const struct letter_facts_row *row)
{
        struct rows *r = context;

        r->w->received[r->at[index]] = row->received;
        r->w->thread[r->at[index]] = row->thread;
        return true;
}

static int load_facts(struct rows *r, const uint32_t *letters, size_t n)
{
        size_t done;

        return change_dates(r->w->scope->x, letters, n, take_facts, r, &done);
}

bool window_facts(struct search_window *w, const uint64_t *ask)
{
        uint64_t *want;

        if (!window_placed(w, ask))
                return false;
        if (!w->received) {
                w->received = mem_array(w->n, sizeof(int64_t));
                w->thread = mem_array(w->n, sizeof(uint32_t));
                w->facts_known = mem_array(w->words, sizeof(uint64_t));
        }
        want = mem_array(w->words, sizeof(uint64_t));
        if (unknown(w, ask, w->facts_known, want) && load(w, want, load_facts))
                for (size_t i = 0; i < w->words; i++)
                        w->facts_known[i] |= want[i];
        mem_free(want);
        return !w->error;
}

/* The day as it stands in the field, "disregarding time and timezone" (RFC 9051 §6.4.4): the local one. */
static bool take_sent(void *context, size_t index, const struct letter_facts_row *row)
{
        struct rows *r = context;
        int64_t seconds, *out = &r->w->sent[r->at[index]];
        struct mime_walk walk;
        int offset = 0;

        *out = INT64_MIN;
        if (mime_walk_begin(&walk, row->mime) && mime_walk_next(&walk) && walk.has_envelope) {
                const struct mime_field *f = &walk.envelope.fields[MIME_DATE];

                if (f->present && f->held && date_parse(f->text, &seconds, &offset))
                        *out = seconds + offset * 60;
        }
        return true;
}

static int load_sent(struct rows *r, const uint32_t *letters, size_t n)
{
        size_t done;

        return change_facts(r->w->scope->x, letters, n, take_sent, r, &done);
}

bool window_sent(struct search_window *w, const uint64_t *ask)
{
        uint64_t *want;

        if (!window_placed(w, ask))
                return false;
        if (!w->sent) {
                w->sent = mem_array(w->n, sizeof(int64_t));
                for (uint32_t i = 0; i < w->n; i++)
                        w->sent[i] = INT64_MIN;
                w->sent_known = mem_array(w->words, sizeof(uint64_t));
        }
        want = mem_array(w->words, sizeof(uint64_t));
        if (unknown(w, ask, w->sent_known, want) && load(w, want, load_sent))
                for (size_t i = 0; i < w->words; i++)
                        w->sent_known[i] |= want[i];
        mem_free(want);
        return !w->error;
}

/* --- text --- */

struct asked {
        uint32_t letter, at;
};

static int by_letter(const void *a, const void *b)
{
        const struct asked *x = a, *y = b;

        return (x->letter > y->letter) - (x->letter < y->letter);
}

/* Letters in ascending order, as search_letters wants them: they mostly are already, but for copied ones. */
static size_t in_order(const struct search_window *w, const uint64_t *ask, struct asked *out)
{
        bool sorted = true;
        size_t n = 0;

        for (size_t word = 0; word < w->words; word++)
                for (uint64_t rest = ask[word]; rest; rest &= rest - 1) {
                        uint32_t i = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(rest);

                        if (!w->placed[i].letter)
                                continue;
                        out[n] = (struct asked){ w->placed[i].letter, i };
                        sorted &= !n || out[n - 1].letter <= out[n].letter;
                        n++;
                }
        if (!sorted)
                qsort(out, n, sizeof(*out), by_letter);
        return n;
}

bool window_text(struct search_window *w, const struct search_key *k, const uint64_t *ask, uint64_t *yes)
{
        struct search_needle needle = { k->field, k->name, k->text, k->fuzzy };
        struct search_how how = { search_progress, w->scope };
        size_t n, distinct = 0, found = 0;
        struct asked *list;
        uint32_t *letters;
        uint8_t *scores;
        bool *match;

        if (!window_placed(w, ask))
                return false;
        list = mem_array(w->n, sizeof(*list));
        letters = mem_array(w->n, sizeof(*letters));
        match = mem_array(w->n, sizeof(*match));
        scores = k->fuzzy ? mem_array(w->n, 1) : NULL;
        n = in_order(w, ask, list);
        for (size_t i = 0; i < n; i++)
                if (!i || list[i].letter != list[i - 1].letter) {
                        match[distinct] = true;
                        letters[distinct++] = list[i].letter;
                }
        if (distinct)
                w->error =
                    search_letters(w->scope->x->account, &needle, letters, distinct, match, scores, &how);
        if (k->fuzzy && !w->scores)
                w->scores = mem_array(w->n, 1);
        for (size_t i = 0; !w->error && i < n; i++) {
                uint32_t at = list[i].at;

                found += i && list[i].letter != list[i - 1].letter;
                if (!match[found])
                        continue;
                add(yes, at);
                if (scores && scores[found] > w->scores[at])
                        w->scores[at] = scores[found];
        }
        mem_free(list);
        mem_free(letters);
        mem_free(match);
        mem_free(scores);
        return !w->error;
}
