#include "base/mem.h"
#include "base/time.h"
#include "store/search_part.h"
#include <errno.h>
#include <stdlib.h>

/* All parts are read class by class, in the order of their names, and word by word, in theirs. */
struct source {
        struct part part;
        uint32_t base, *map;         /* its ordinals become base + ordinal, or map[ordinal]; GONE: left out */
        size_t class;                /* the next one */
        const struct part_class *in; /* NULL: it does not have the class at work */
        size_t group;
        struct buf words, lists;
        struct str rest, lists_rest; /* of the open group */
        struct str word;             /* in words; empty: the class is at its end */
        struct list list;
};
enum { GONE = UINT32_MAX, WORDS_AT_ONCE = 16 };
struct merge {
        struct source *sources;
        size_t n;
        int dir;
        struct part_writer writer;
        uint32_t *letters, letter_n, first, last;
        uint32_t *at; /* a list being made */
        size_t at_n;
        struct buf word;
        bool in_class, begun;
        const char *bad;
};

struct mapped {
        struct merge *m;
        const struct source *s;
};

static void map_one(void *context, uint32_t at)
{
        struct mapped *x = context;
        uint32_t to = x->s->map ? x->s->map[at] : x->s->base + at;

        if (to != GONE && x->m->at_n < x->m->letter_n)
                x->m->at[x->m->at_n++] = to;
}

static bool add_list(struct merge *m, const struct source *s, struct list l)
{
        struct mapped x = { m, s };

        return list_each(l, s->part.n, map_one, &x);
}

struct merge *merge_new(int dir, struct part *parts, size_t n, const uint64_t *alive)
{
        struct merge *m = mem_new(struct merge);
        size_t all = 0;

        buf_init(&m->word, WORD_MAX);
        m->dir = dir;
        m->n = n;
        m->sources = mem_array(n, sizeof *m->sources);
        m->first = parts[0].first;
        m->last = parts[n - 1].last;
        for (size_t i = 0; i < n; i++)
                all += parts[i].n;
        m->letters = mem_array(all + 1, sizeof *m->letters);
        m->at = mem_array(all + 1, sizeof *m->at);
        for (size_t i = 0; i < n; i++) {
                struct source *s = &m->sources[i];

                s->part = parts[i];
                s->base = m->letter_n;
                buf_init(&s->words, PART_GROUP * 16);
                buf_init(&s->lists, UINT32_MAX);
                if (alive)
                        s->map = mem_array((size_t)s->part.n + 1, sizeof *s->map);
                for (uint32_t k = 0; k < s->part.n; k++) {
                        uint32_t letter = s->part.letters[k], bit = letter - m->first;
                        bool lives = !alive || alive[bit / 64] >> bit % 64 & 1;

                        if (s->map)
                                s->map[k] = lives ? m->letter_n : GONE;
                        if (lives)
                                m->letters[m->letter_n++] = letter;
                }
        }
        return m;
}

static int open_group(struct source *s)
{
        const struct part_group *g = &s->in->groups[s->group++];
        struct str words;
        int rc;

        buf_clear(&s->words);
        buf_clear(&s->lists);
        rc = part_words(&s->part, g, &s->words, &words);
        if (!rc)
                rc = part_lists(&s->part, g, str_from_at(buf_str(&s->words), words.n), 0,
                                ((size_t)g->count + PART_BLOCK - 1) / PART_BLOCK, &s->lists);
        s->rest = str_from_at(words, 1);
        s->lists_rest = buf_str(&s->lists);
        return rc;
}

static int next_word(struct source *s)
{
        int rc;

        s->word = S("");
        while (!s->rest.n) {
                if (s->group == s->in->group_n)
                        return 0;
                rc = open_group(s);
                if (rc)
                        return rc;
        }
        str_cut(&s->rest, '\n', &s->word);
        return s->word.n && s->word.n <= WORD_MAX && list_take(&s->lists_rest, &s->list) ? 0 : -EBADMSG;
}

/* The first class by name that a part has and that is not done. false: there is none. */
static int next_class(struct merge *m)
{
        struct str name = S("");
        bool any = false;

        for (size_t i = 0; i < m->n; i++) {
                const struct source *s = &m->sources[i];

                if (s->class < s->part.class_n &&
                    (!any || str_cmp(s->part.classes[s->class].name, name) < 0)) {
                        name = s->part.classes[s->class].name;
                        any = true;
                }
        }
        if (!any)
                return 0;
        m->at_n = 0;
        for (size_t i = 0; i < m->n; i++) {
                struct source *s = &m->sources[i];

                s->in = NULL;
                s->word = S("");
                if (s->class == s->part.class_n || !str_eq(s->part.classes[s->class].name, name))
                        continue;
                s->in = &s->part.classes[s->class ++];
                s->group = 0;
                s->rest = S("");
                m->bad = s->part.name;
                if (!add_list(m, s, s->in->has) || next_word(s))
                        return -EBADMSG;
        }
        writer_class(&m->writer, name, m->at, m->at_n);
        m->in_class = true;
        return 1;
}

/* The next word of the class, from all that have it. 0: the class is done. */
static int merge_word(struct merge *m)
{
        struct source *least = NULL;
        struct str word;
        int rc;

        for (size_t i = 0; i < m->n; i++) {
                struct source *s = &m->sources[i];

                if (s->in && s->word.n && (!least || str_cmp(s->word, least->word) < 0))
                        least = s;
        }
        if (!least)
                return 0;
        buf_clear(&m->word);
        buf_puts(&m->word, least->word);
        word = buf_str(&m->word);
        m->at_n = 0;
        for (size_t i = 0; i < m->n; i++) {
                struct source *s = &m->sources[i];

                if (!s->in || !str_eq(s->word, word))
                        continue;
                m->bad = s->part.name;
                if (!add_list(m, s, s->list))
                        return -EBADMSG;
                rc = next_word(s);
                if (rc)
                        return rc;
                if (s->word.n && str_cmp(s->word, word) <= 0)
                        return -EBADMSG;
        }
        if (m->at_n)
                writer_word(&m->writer, word, m->at, m->at_n);
        return 1;
}

static int merge_end(struct merge *m)
{
        struct part_sample samples[PART_SAMPLES];
        unsigned n = 0;

        for (size_t i = m->n; i-- && n < PART_SAMPLES;)
                for (unsigned k = m->sources[i].part.sample_n; k-- && n < PART_SAMPLES;)
                        if (k + 1 == m->sources[i].part.sample_n || i + 1 == m->n)
                                samples[n++] = m->sources[i].part.samples[k];
        return writer_end(&m->writer, m->first, m->last, m->letters, samples, n);
}

int merge_some(struct merge *m)
{
        nsec until = now() + 10 * MSECOND;
        int rc = 1;

        m->bad = NULL;
        if (!m->begun) {
                rc = writer_begin(&m->writer, m->dir, m->letter_n);
                m->begun = true;
                if (rc)
                        return rc;
        }
        while (now() < until)
                for (unsigned i = 0; i < WORDS_AT_ONCE; i++) {
                        rc = m->in_class ? merge_word(m) : next_class(m);
                        if (rc < 0)
                                return rc;
                        if (!rc && !m->in_class)
                                return merge_end(m);
                        if (!rc)
                                m->in_class = false;
                }
        return m->writer.rc ? m->writer.rc : 1;
}

const char *merge_bad(const struct merge *m)
{
        return m->bad;
}

void merge_free(struct merge **mp)
{
        struct merge *m = *mp;

        *mp = NULL;
        if (!m)
                return;
        for (size_t i = 0; i < m->n; i++) {
                part_close(&m->sources[i].part);
                buf_free(&m->sources[i].words);
                buf_free(&m->sources[i].lists);
                mem_free(m->sources[i].map);
        }
        if (m->begun)
                writer_free(&m->writer);
        buf_free(&m->word);
        mem_free(m->sources);
        mem_free(m->letters);
        mem_free(m->at);
        mem_free(m);
}
