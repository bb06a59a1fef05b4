/* Sequence sets (RFC 9051 §9: sequence-set, seq-last-command of RFC 5182). A set is as long as its text; what it means is
 * joined ranges, so "1,1,1,..." and "1:4294967295" cost what they are written with and what is there, no more. */
#include "base/mem.h"
#include "proto/imap/selected.h"

#include <stdlib.h>

/* seq-number: 0 stands for '*' */
static uint32_t number(struct scan *a)
{
        return scan_try(a, '*') ? 0 : imap_nz_number(a);
}

/* At most so many ranges stand here: commas up to where a set must end. */
static size_t most_ranges(const struct scan *a)
{
        size_t n = 1;

        for (size_t i = a->at; i < a->s.n && a->s.p[i] != ' ' && a->s.p[i] != ')'; i++)
                n += a->s.p[i] == ',';
        return n;
}

void imap_set(struct session *s, struct scan *a, struct imap_set *out)
{
        *out = (struct imap_set){ 0 };
        if (a->bad)
                return;
        if (imap_can_rev2(s, CAP_SEARCHRES) && scan_try(a, '$')) {
                out->saved = true;
                return;
        }
        out->ranges = arena_array(&s->command, struct uid_range, most_ranges(a));
        do {
                struct uid_range r;

                r.first = number(a);
                r.last = scan_try(a, ':') ? number(a) : r.first;
                if (!a->bad)
                        out->ranges[out->n++] = r;
        } while (!a->bad && scan_try(a, ','));
        if (a->bad)
                out->n = 0;
}

static int by_first(const void *a, const void *b)
{
        uint32_t x = ((const struct uid_range *)a)->first, y = ((const struct uid_range *)b)->first;

        return (x > y) - (x < y);
}

void imap_set_list(const struct imap_set *set, uint32_t star, struct uid_list *out)
{
        struct uid_range *sorted = mem_array(set->n ? set->n : 1, sizeof *sorted);
        bool ordered = true;

        for (size_t i = 0; i < set->n; i++) {
                uint32_t first = set->ranges[i].first ? set->ranges[i].first : star;
                uint32_t last = set->ranges[i].last ? set->ranges[i].last : star;

                sorted[i] =
                    first <= last ? (struct uid_range){ first, last } : (struct uid_range){ last, first };
                ordered &= !i || sorted[i - 1].first <= sorted[i].first;
        }
        if (!ordered)
                qsort(sorted, set->n, sizeof *sorted, by_first);
        for (size_t i = 0; i < set->n; i++) {
                struct uid_range r = sorted[i];

                while (i + 1 < set->n && sorted[i + 1].first <= r.last) {
                        i++;
                        if (sorted[i].last > r.last)
                                r.last = sorted[i].last;
                }
                uid_list_add(out, r.first, r.last);
        }
        mem_free(sorted);
}

void uid_list_common(const struct uid_list *a, const struct uid_list *b, struct uid_list *out)
{
        for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
                struct uid_range x = a->ranges[i], y = b->ranges[k];
                uint32_t first = x.first > y.first ? x.first : y.first;
                uint32_t last = x.last < y.last ? x.last : y.last;

                if (first <= last)
                        uid_list_add(out, first, last);
                if (x.last <= y.last)
                        i++;
                if (y.last <= x.last)
                        k++;
        }
}

void uid_list_minus(const struct uid_list *a, const struct uid_list *b, struct uid_list *out)
{
        for (size_t i = 0, k = 0; i < a->n; i++) {
                uint64_t next = a->ranges[i].first, end = (uint64_t)a->ranges[i].last + 1;

                while (k < b->n && b->ranges[k].last < next)
                        k++;
                for (size_t at = k; next < end && at < b->n && b->ranges[at].first < end; at++) {
                        if (b->ranges[at].first > next)
                                uid_list_add(out, (uint32_t)next, b->ranges[at].first - 1);
                        next = (uint64_t)b->ranges[at].last + 1;
                }
                if (next < end)
                        uid_list_add(out, (uint32_t)next, (uint32_t)(end - 1));
        }
}

/* As uid_list_add, where the ranges may overlap. */
static void cover(struct uid_list *l, uint32_t first, uint32_t last)
{
        struct uid_range *r = l->n ? &l->ranges[l->n - 1] : NULL;

        if (r && first <= r->last)
                r->last = last > r->last ? last : r->last;
        else
                uid_list_add(l, first, last);
}

void uid_list_union(const struct uid_list *a, const struct uid_list *b, struct uid_list *out)
{
        for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
                bool from_a = k == b->n || (i < a->n && a->ranges[i].first <= b->ranges[k].first);
                struct uid_range r = from_a ? a->ranges[i++] : b->ranges[k++];

                cover(out, r.first, r.last);
        }
}

/* The letters of sequence numbers; false: there is none of such a number, also '*' in an empty mailbox (RFC 9051 §9). */
static bool by_number(const struct imap_set *set, const struct seqmap *m, struct uid_list *out)
{
        struct uid_list seqs = { 0 };
        bool there = m->count > 0;

        if (there)
                imap_set_list(set, m->count, &seqs);
        there &= !seqs.n || seqs.ranges[seqs.n - 1].last <= m->count;
        for (size_t i = 0; there && i < seqs.n; i++)
                seqmap_uids(m, seqs.ranges[i].first, seqs.ranges[i].last, out);
        uid_list_free(&seqs);
        return there;
}

void imap_present(const struct seqmap *m, const struct uid_list *uids, struct uid_list *out)
{
        for (size_t i = 0; i < uids->n; i++)
                seqmap_present(m, uids->ranges[i].first, uids->ranges[i].last, out);
}

bool imap_resolve(struct session *s, const struct imap_set *set, bool uid, struct uid_list *out)
{
        const struct imap_selected *sel = &imap_of(s)->selected;
        struct uid_list uids = { 0 };

        *out = (struct uid_list){ 0 };
        if (set->saved) {
                imap_present(&sel->map, &sel->saved, out);
                return true;
        }
        if (uid) {
                if (sel->map.count)
                        imap_set_list(set, seqmap_last(&sel->map), &uids);
                imap_present(&sel->map, &uids, out);
                uid_list_free(&uids);
                return true;
        }
        if (by_number(set, &sel->map, out))
                return true;
        uid_list_free(out);
        imap_bad(s, "no message has such a number: there are %u", sel->map.count);
        return false;
}
