#include "proto/imap/seqmap.h"
#include "base/mem.h"

void seqmap_free(struct seqmap *m)
{
        mem_free(m->runs);
        *m = (struct seqmap){ 0 };
}

static uint32_t last_of(const struct seq_run *r)
{
        return r->uid + (r->n - 1);
}

static void add_run(struct seqmap *m, uint32_t uid, uint32_t n)
{
        if (m->n == m->room) {
                m->room = m->room ? m->room * 2 : 1;
                m->runs = mem_grow(m->runs, m->room, sizeof *m->runs);
        }
        m->runs[m->n++] = (struct seq_run){ uid, n, m->count + 1 };
        m->count += n;
}

void seqmap_add_range(struct seqmap *m, uint32_t first, uint32_t last)
{
        struct seq_run *r = m->n ? &m->runs[m->n - 1] : NULL;

        if (!first || last < first || (r && first <= last_of(r)))
                mem_die("seqmap: not in the order of uids");
        if (r && first == last_of(r) + 1) {
                r->n += last - first + 1;
                m->count += last - first + 1;
                return;
        }
        add_run(m, first, last - first + 1);
}

void seqmap_add(struct seqmap *m, uint32_t uid)
{
        seqmap_add_range(m, uid, uid);
}

/* The first run that ends at this uid or after it; n: none. */
static uint32_t run_at(const struct seqmap *m, uint32_t uid)
{
        uint32_t low = 0, high = m->n;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (last_of(&m->runs[middle]) < uid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* The run with this number; n: there is none. */
static uint32_t run_of_seq(const struct seqmap *m, uint32_t seq)
{
        uint32_t low = 0, high = m->n;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (m->runs[middle].seq + (m->runs[middle].n - 1) < seq)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

uint32_t seqmap_seq(const struct seqmap *m, uint32_t uid)
{
        uint32_t i = run_at(m, uid);

        return i < m->n && m->runs[i].uid <= uid ? m->runs[i].seq + (uid - m->runs[i].uid) : 0;
}

uint32_t seqmap_uid(const struct seqmap *m, uint32_t seq)
{
        uint32_t i = run_of_seq(m, seq);

        return seq && i < m->n ? m->runs[i].uid + (seq - m->runs[i].seq) : 0;
}

uint32_t seqmap_last(const struct seqmap *m)
{
        return m->n ? last_of(&m->runs[m->n - 1]) : 0;
}

uint32_t seqmap_from(const struct seqmap *m, uint32_t uid)
{
        uint32_t i = run_at(m, uid);

        if (i == m->n)
                return m->count + 1;
        return m->runs[i].seq + (uid > m->runs[i].uid ? uid - m->runs[i].uid : 0);
}

static void keep(struct seqmap *m, uint32_t first, uint64_t end)
{
        if (first < end)
                add_run(m, first, (uint32_t)(end - first));
}

void seqmap_remove(struct seqmap *m, const struct uid_list *uids, struct uid_list *seqs)
{
        struct seqmap left = { 0 };
        size_t at = 0;

        for (uint32_t i = 0; i < m->n; i++) {
                const struct seq_run *r = &m->runs[i];
                uint64_t next = r->uid, end = (uint64_t)last_of(r) + 1;

                while (at < uids->n && uids->ranges[at].last < r->uid)
                        at++;
                for (; at < uids->n && uids->ranges[at].first < end; at++) {
                        uint64_t first = uids->ranges[at].first > next ? uids->ranges[at].first : next;
                        uint64_t last = uids->ranges[at].last < end ? uids->ranges[at].last : end - 1;

                        keep(&left, (uint32_t)next, first);
                        uid_list_add(seqs, r->seq + (uint32_t)(first - r->uid),
                                     r->seq + (uint32_t)(last - r->uid));
                        next = last + 1;
                        if (next == end) /* this range may go on in the next run */
                                break;
                }
                if (next < end)
                        keep(&left, (uint32_t)next, end);
        }
        seqmap_free(m);
        *m = left;
        seqmap_trim(m);
}

void seqmap_trim(struct seqmap *m)
{
        if (!m->n)
                seqmap_free(m);
        else if (m->room > m->n)
                m->runs = mem_grow(m->runs, m->room = m->n, sizeof *m->runs);
}

void seqmap_uids(const struct seqmap *m, uint32_t first, uint32_t last, struct uid_list *out)
{
        if (!first)
                first = 1;
        for (uint32_t i = run_of_seq(m, first); i < m->n && m->runs[i].seq <= last; i++) {
                const struct seq_run *r = &m->runs[i];
                uint32_t from = first > r->seq ? first - r->seq : 0;
                uint32_t to = last - r->seq < r->n ? last - r->seq : r->n - 1;

                if (from <= to)
                        uid_list_add(out, r->uid + from, r->uid + to);
        }
}

void seqmap_present(const struct seqmap *m, uint32_t first, uint32_t last, struct uid_list *out)
{
        for (uint32_t i = run_at(m, first); i < m->n && m->runs[i].uid <= last; i++) {
                const struct seq_run *r = &m->runs[i];
                uint32_t from = first > r->uid ? first : r->uid;
                uint32_t to = last < last_of(r) ? last : last_of(r);

                if (from <= to)
                        uid_list_add(out, from, to);
        }
}
