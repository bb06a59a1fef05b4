#include "base/mem.h"
#include "proto/imap/search.h"
#include "proto/imap/selected.h"

#include <errno.h>

/* Which letters a tree means. Sets of letters are bits by position (sequence number - 1). */

void search_scope(struct search_scope *c, struct session *s, struct access *x)
{
        struct imap *p = imap_of(s);
        struct imap_selected *sel = &p->selected;

        *c = (struct search_scope){
                .s = s,
                .x = x,
                .map = &sel->map,
                .keywords = imap_keywords(s, x),
                .saved = &sel->saved,
                .recent_from = sel->recent_from,
                .recent_until = sel->recent_until,
                .limit = imap_can(s, CAP_MESSAGELIMIT) ? (uint32_t)s->server->settings->message_limit : 0,
                .started = wall_usec(),
                .told = now(),
        };
}

/* RFC 9585 §4: every 10 to 15 seconds. */
bool search_progress(void *scope, size_t done, size_t total)
{
        struct search_scope *c = scope;
        struct session *s = c->s;

        if (!s->conn)
                return true;
        if (!conn_ok(s->conn))
                return false;
        if (now() - c->told < 10 * SECOND || !imap_of(s)->tag.n || !imap_can(s, CAP_INPROGRESS))
                return true;
        c->told = now();
        imap_say(s, "OK [INPROGRESS (\"" PRS "\" %zu %zu)] searching", STR(imap_of(s)->tag), done, total);
        return !conn_flush(s->conn, in_seconds(60));
}

void search_found_free(struct search_found *f)
{
        mem_free(f->seqs);
        mem_free(f->scores);
        *f = (struct search_found){ 0 };
}

int search_placed(struct search_scope *c, const uint32_t *seqs, size_t n, struct placed *out)
{
        uint64_t *bits = mem_array(SEARCH_WINDOW / 64, sizeof(*bits));
        size_t from = 0, to = n; /* ascending numbers are gone through once, others for each window */
        bool ascending = true;
        int error = 0;

        for (size_t i = 0; i < n; i++) {
                out[i] = (struct placed){ 0 };
                ascending &= !i || seqs[i] > seqs[i - 1];
        }
        for (uint32_t first = 0; first < c->map->count && !error; first += SEARCH_WINDOW) {
                uint32_t count =
                    c->map->count - first < SEARCH_WINDOW ? c->map->count - first : SEARCH_WINDOW;
                struct search_window w = {
                        .scope = c, .first = first, .n = count, .words = (count + 63) / 64
                };
                bool any = false;

                for (size_t i = 0; i < w.words; i++)
                        bits[i] = 0;
                for (to = ascending ? from : n; to < n && seqs[to] <= first + count; to++)
                        ;
                for (size_t i = from; i < to; i++)
                        if (seqs[i] > first && seqs[i] <= first + count) {
                                uint32_t at = seqs[i] - 1 - first;

                                bits[at / 64] |= (uint64_t)1 << (at % 64);
                                any = true;
                        }
                if (any && window_placed(&w, bits))
                        for (size_t i = from; i < to; i++)
                                if (seqs[i] > first && seqs[i] <= first + count)
                                        out[i] = w.placed[seqs[i] - 1 - first];
                error = w.error;
                from = ascending ? to : 0;
                window_finish(&w);
        }
        mem_free(bits);
        return error;
}

/* --- keys by number --- */

/* Positions from..until-1 of the window that begins at `first`. */
static void set_range(uint64_t *bits, uint32_t first, uint32_t n, uint64_t from, uint64_t until)
{
        from = from < first ? 0 : from - first;
        until = until < first ? 0 : until - first > n ? n : until - first;
        for (uint64_t i = from; i < until;) {
                if (i % 64 == 0 && until - i >= 64) {
                        bits[i / 64] = UINT64_MAX;
                        i += 64;
                } else {
                        bits[i / 64] |= (uint64_t)1 << (i % 64);
                        i++;
                }
        }
}

/* first..last are uids; those that are there have positions next to each other. */
static void set_uids(const struct search_scope *c, uint64_t *bits, uint32_t first, uint32_t n, uint32_t a,
                     uint32_t b)
{
        uint64_t from = seqmap_from(c->map, a) - (uint64_t)1;
        uint64_t until = b == UINT32_MAX ? c->map->count : seqmap_from(c->map, b + 1) - (uint64_t)1;

        set_range(bits, first, n, from, until);
}

/* A set is joined first, so that "1:*,1:*,..." costs no more than what it means. */
static void set_ranges(const struct search_scope *c, const struct search_key *k, uint32_t first, uint32_t n,
                       uint64_t *bits)
{
        struct imap_set set = { k->ranges, k->n, false };
        struct uid_list joined = { 0 };

        if (c->map->count) /* else '*' is nobody */
                imap_set_list(&set, k->what == KEY_UID ? seqmap_last(c->map) : c->map->count, &joined);
        for (size_t i = 0; i < joined.n; i++) {
                struct uid_range r = joined.ranges[i];

                if (k->what == KEY_UID)
                        set_uids(c, bits, first, n, r.first, r.last);
                else
                        set_range(bits, first, n, r.first ? r.first - (uint64_t)1 : 0, r.last);
        }
        uid_list_free(&joined);
}

static void by_number(const struct search_scope *c, const struct search_key *k, uint32_t first, uint32_t n,
                      uint64_t *bits)
{
        switch (k->what) {
        case KEY_ALL: set_range(bits, first, n, first, (uint64_t)first + n); break;
        case KEY_SAVED:
                for (size_t i = 0; c->saved && i < c->saved->n; i++)
                        set_uids(c, bits, first, n, c->saved->ranges[i].first, c->saved->ranges[i].last);
                break;
        case KEY_RECENT:
                if (c->recent_until > c->recent_from)
                        set_uids(c, bits, first, n, c->recent_from, c->recent_until - 1);
                break;
        default: set_ranges(c, k, first, n, bits);
        }
}

/* --- keys by placement and by row --- */

static uint64_t keyword_bit(const struct search_scope *c, struct str name)
{
        for (unsigned i = 8; c->keywords && i < 64; i++)
                if (c->keywords->bits >> i & 1 && str_ieq(c->keywords->names[i], name))
                        return (uint64_t)1 << i;
        return 0;
}

static bool within(const struct search_key *k, int64_t v)
{
        return v >= k->from && v < k->until;
}

static bool placed_matches(const struct search_key *k, const struct placed *p, uint64_t bit)
{
        switch (k->what) {
        case KEY_FLAGS: return (p->flags & (uint64_t)k->from) == (uint64_t)k->from;
        case KEY_KEYWORD: return p->flags & bit;
        case KEY_SIZE: return within(k, p->size);
        case KEY_SAVEDATE: return within(k, p->saved);
        case KEY_MODSEQ: return p->modseq >= (uint64_t)k->from;
        default: return within(k, p->letter);
        }
}

static void by_placement(struct search_window *w, const struct search_key *k, const uint64_t *ask,
                         uint64_t *yes)
{
        uint64_t bit = k->what == KEY_KEYWORD ? keyword_bit(w->scope, k->text) : 0;

        if (!window_placed(w, ask))
                return;
        for (size_t word = 0; word < w->words; word++)
                for (uint64_t rest = ask[word]; rest; rest &= rest - 1) {
                        unsigned i = (unsigned)__builtin_ctzll(rest);

                        if (placed_matches(k, &w->placed[word * 64 + i], bit))
                                yes[word] |= (uint64_t)1 << i;
                }
}

static void by_row(struct search_window *w, const struct search_key *k, const uint64_t *ask, uint64_t *yes)
{
        if (k->what == KEY_SENT ? !window_sent(w, ask) : !window_facts(w, ask))
                return;
        for (size_t word = 0; word < w->words; word++)
                for (uint64_t rest = ask[word]; rest; rest &= rest - 1) {
                        unsigned bit = (unsigned)__builtin_ctzll(rest);
                        size_t i = word * 64 + bit;
                        int64_t v = k->what == KEY_SENT       ? w->sent[i]
                                    : k->what == KEY_RECEIVED ? w->received[i]
                                                              : w->thread[i];

                        if (within(k, v))
                                yes[word] |= (uint64_t)1 << bit;
                }
}

/* --- the tree --- */

static bool any(const uint64_t *bits, size_t words)
{
        for (size_t i = 0; i < words; i++)
                if (bits[i])
                        return true;
        return false;
}

static void evaluate(struct search_window *w, const struct search_key *k, const uint64_t *ask, uint64_t *yes);

/* AND asks the next key about those that are still in, OR about those that are not yet. */
static void combine(struct search_window *w, const struct search_key *k, const uint64_t *ask, uint64_t *yes)
{
        uint64_t *open = mem_array(w->words, sizeof(*open)), *got = mem_array(w->words, sizeof(*got));

        for (size_t i = 0; i < w->words; i++)
                open[i] = ask[i];
        for (const struct search_key *c = k->first; c && !w->error && any(open, w->words); c = c->next) {
                evaluate(w, c, open, got);
                for (size_t i = 0; i < w->words; i++) {
                        if (k->what == KEY_OR)
                                yes[i] |= got[i];
                        open[i] = k->what == KEY_OR ? open[i] & ~got[i] : got[i];
                }
        }
        for (size_t i = 0; k->what == KEY_AND && i < w->words; i++)
                yes[i] = open[i];
        mem_free(open);
        mem_free(got);
}

/* Those of `ask` that the key means. */
static void evaluate(struct search_window *w, const struct search_key *k, const uint64_t *ask, uint64_t *yes)
{
        for (size_t i = 0; i < w->words; i++)
                yes[i] = 0;
        if (k->what >= KEY_AND)
                combine(w, k, ask, yes);
        else if (k->what <= KEY_RECENT)
                by_number(w->scope, k, w->first, w->n, yes);
        else if (k->what <= KEY_EMAILID)
                by_placement(w, k, ask, yes);
        else if (k->what <= KEY_SENT)
                by_row(w, k, ask, yes);
        else
                window_text(w, k, ask, yes);
        for (size_t i = 0; i < w->words; i++)
                yes[i] = ask[i] & (k->no ? ~yes[i] : yes[i]);
}

/* --- a whole mailbox --- */

static void collect(struct search_found *f, size_t *room, const struct search_window *w, const uint64_t *yes,
                    bool fuzzy)
{
        for (size_t word = 0; word < w->words; word++)
                for (uint64_t rest = yes[word]; rest; rest &= rest - 1) {
                        uint32_t i = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(rest);

                        if (f->n == *room) {
                                *room = *room ? *room * 2 : 256;
                                f->seqs = mem_grow(f->seqs, *room, sizeof(*f->seqs));
                                if (fuzzy)
                                        f->scores = mem_grow(f->scores, *room, 1);
                        }
                        f->seqs[f->n] = w->first + i + 1;
                        if (fuzzy) /* what matched exactly matches best */
                                f->scores[f->n] = w->scores && w->scores[i] ? w->scores[i] : 100;
                        f->n++;
                }
}

static bool has_fuzzy(const struct search_key *k)
{
        if (k->fuzzy)
                return true;
        for (const struct search_key *c = k->first; c; c = c->next)
                if (has_fuzzy(c))
                        return true;
        return false;
}

/* RFC 9738 §3.1: the letters that a limited search looks at are the last ones among those its numbers allow. first: the lowest
 * position of these. */
static uint32_t limited(struct search_scope *c, const struct search_key *root, struct search_found *f)
{
        uint32_t words = (c->map->count + 63) / 64, left = c->limit, at;
        uint64_t *bits;

        if (!c->limit || c->map->count <= c->limit || root->cost <= KEY_RECENT)
                return 0;
        bits = mem_array(words, sizeof(*bits));
        set_range(bits, 0, c->map->count, 0, c->map->count);
        for (const struct search_key *k = root->what == KEY_AND && !root->no ? root->first : root; k;
             k = k->next) {
                uint64_t *got;

                if (k->what > KEY_RECENT)
                        continue;
                got = mem_array(words, sizeof(*got));
                by_number(c, k, 0, c->map->count, got);
                for (uint32_t i = 0; i < words; i++)
                        bits[i] &= k->no ? ~got[i] : got[i];
                mem_free(got);
        }
        for (at = c->map->count; at > 0 && left; at--)
                if (bits[(at - 1) / 64] >> ((at - 1) % 64) & 1 && !--left)
                        f->lowest = seqmap_uid(c->map, at);
        while (at > 0 && !(bits[(at - 1) / 64] >> ((at - 1) % 64) & 1))
                at--;
        if (!at) /* exactly as many as allowed */
                f->lowest = 0;
        mem_free(bits);
        return f->lowest ? seqmap_seq(c->map, f->lowest) - 1 : 0;
}

static int one_window(struct search_scope *c, const struct search_key *root, uint32_t first, uint32_t from,
                      uint64_t *ask, uint64_t *yes, struct search_found *f, size_t *room)
{
        uint32_t left = c->map->count - first, n = left < SEARCH_WINDOW ? left : SEARCH_WINDOW;
        struct search_window w = { .scope = c, .first = first, .n = n, .words = (n + 63) / 64 };
        int error;

        for (size_t i = 0; i < w.words; i++)
                ask[i] = 0;
        set_range(ask, first, n, first > from ? first : from, (uint64_t)first + n);
        evaluate(&w, root, ask, yes);
        for (size_t i = 0; !w.error && w.placed && i < n; i++) /* gone, though the client does not know yet */
                if (w.placed_known[i / 64] >> (i % 64) & 1 && !w.placed[i].letter)
                        yes[i / 64] &= ~((uint64_t)1 << (i % 64));
        if (!w.error)
                collect(f, room, &w, yes, has_fuzzy(root));
        error = w.error;
        window_finish(&w);
        return error;
}

int search_run(struct search_scope *c, const struct search_key *root, struct search_found *out)
{
        uint64_t *ask = mem_array(SEARCH_WINDOW / 64, sizeof(*ask)), *yes;
        uint32_t from;
        size_t room = 0;
        int error = 0;

        *out = (struct search_found){ 0 };
        yes = mem_array(SEARCH_WINDOW / 64, sizeof(*yes));
        from = limited(c, root, out);
        for (uint32_t first = from / SEARCH_WINDOW * SEARCH_WINDOW; first < c->map->count && !error;
             first += SEARCH_WINDOW)
                error = one_window(c, root, first, from, ask, yes, out, &room);
        mem_free(ask);
        mem_free(yes);
        if (error)
                search_found_free(out);
        return error;
}
