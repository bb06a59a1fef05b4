#include "base/mem.h"
#include "store/search_part.h"
#include <errno.h>

/* Asking a part. One piece of the needle after the other, class after class, group after group. */
struct query {
        const struct part *part;
        const struct need *need;
        struct buf words, lists;
        uint32_t *hits; /* numbers of words in the group */
        size_t hit_n, hit_room;
        uint64_t *bits;        /* letters that hold a word with the piece */
        size_t count;          /* of those */
        uint8_t *close, *best; /* of a fuzzy one: of each hit; of each letter */
};

static void hit(struct query *q, uint32_t word, unsigned close)
{
        if (q->hit_n == q->hit_room) {
                q->hit_room = q->hit_room ? q->hit_room * 2 : 1024;
                q->hits = mem_grow(q->hits, q->hit_room, sizeof *q->hits);
                q->close = mem_grow(q->close, q->hit_room, sizeof *q->close);
        }
        q->close[q->hit_n] = (uint8_t)close;
        q->hits[q->hit_n++] = word;
}

/* Each word in which the piece stands. A piece may begin and end with the "\n" beside the word. */
static void find_words(struct query *q, struct str words, struct str piece)
{
        size_t at = 0, counted = 0, end;
        uint32_t word = 0; /* line ends in [0, counted] */

        while ((at = bytes_find(words, piece, at)) != STR_NONE) {
                size_t in = at + (piece.p[0] == '\n');

                word += (uint32_t)bytes_count(str_sub(words, counted, in - counted), '\n');
                counted = in;
                hit(q, word - 1, 100);
                end = str_find(str_from_at(words, in), '\n');
                if (end == STR_NONE)
                        break;
                at = in + end;
        }
}

struct closest {
        struct str wanted;
        unsigned close;
};

static void keep_closest(void *context, struct str word)
{
        struct closest *c = context;
        unsigned close = need_close(c->wanted, word);

        if (close > c->close)
                c->close = close;
}

static void find_close(struct query *q, struct str words, struct str wanted, bool whole)
{
        struct str word, rest = str_from_at(words, 1);

        for (uint32_t i = 0; rest.n; i++) {
                struct closest c = { wanted, 0 };

                str_cut(&rest, '\n', &word);
                if (whole)
                        words_take(word, true, keep_closest, &c);
                else
                        keep_closest(&c, word);
                if (c.close)
                        hit(q, i, c.close);
        }
}

/* In a whole value a word begins and ends anywhere. */
static struct str bare(struct str piece)
{
        if (piece.n && piece.p[0] == '\n')
                piece = str_from_at(piece, 1);
        piece.n -= piece.n && piece.p[piece.n - 1] == '\n';
        return piece;
}

struct best {
        uint8_t *best;
        uint8_t close;
};

static void keep_best(void *context, uint32_t at)
{
        struct best *b = context;

        if (b->best[at] < b->close)
                b->best[at] = b->close;
}

static bool use_list(struct query *q, struct list l, uint8_t close)
{
        if (q->best && !list_each(l, q->part->n, keep_best, &(struct best){ q->best, close }))
                return false;
        return list_or(l, q->part->n, q->bits, &q->count);
}

/* The lists of the hits [from, to), which lie in blocks that follow each other. */
static int use_blocks(struct query *q, const struct part_group *g, struct str table, size_t from, size_t to)
{
        size_t block = q->hits[from] / PART_BLOCK, end = q->hits[to - 1] / PART_BLOCK + 1;
        uint32_t word = (uint32_t)(block * PART_BLOCK);
        struct list l;
        struct str s;
        int rc;

        buf_clear(&q->lists);
        rc = part_lists(q->part, g, table, block, end, &q->lists);
        if (rc)
                return rc;
        s = buf_str(&q->lists);
        for (; from < to; from++)
                for (bool there = false; !there; word++) {
                        if (!list_take(&s, &l))
                                return -EBADMSG;
                        there = word == q->hits[from];
                        if (there && !use_list(q, l, q->close[from]))
                                return -EBADMSG;
                }
        return 0;
}

static bool enough(const struct query *q)
{
        return q->count == q->part->n && !q->best;
}

static int ask_group(struct query *q, const struct part_group *g, struct str piece, bool whole)
{
        struct str words, table;
        int rc;

        buf_clear(&q->words);
        q->hit_n = 0;
        rc = part_words(q->part, g, &q->words, &words);
        if (rc)
                return rc;
        table = str_from_at(buf_str(&q->words), words.n);
        if (q->need->fuzzy)
                find_close(q, words, piece, whole);
        else
                find_words(q, words, whole ? bare(piece) : piece);
        if (q->hit_n && q->hits[q->hit_n - 1] >= g->count)
                return -EBADMSG;
        for (size_t from = 0, to; from < q->hit_n && !rc && !enough(q); from = to) {
                for (to = from + 1; to < q->hit_n && to - from < 1024 &&
                                    q->hits[to] / PART_BLOCK <= q->hits[to - 1] / PART_BLOCK + 1;)
                        to++;
                rc = use_blocks(q, g, table, from, to);
        }
        return rc;
}

/* "name:" is a word of the header, too. */
static bool ask_name(struct query *q, const struct part_class *c, struct str piece)
{
        struct buf name auto_buf;
        unsigned close = 100;

        buf_init(&name, PART_NAME_MAX + 8);
        if (!c->name.n || str_eq(c->name, PART_FILES) || str_eq(c->name, PART_STRANGE))
                return true;
        buf_printf(&name, "\n" PRS ":\n", STR(c->name));
        if (q->need->fuzzy)
                close = need_close(piece, str_sub(buf_str(&name), 1, name.n - 2));
        else if (str_search(buf_str(&name), piece) == STR_NONE)
                close = 0;
        return !close || use_list(q, c->has, (uint8_t)close);
}

static int ask_piece(struct query *q, unsigned piece)
{
        enum search_field field = q->need->field;
        int rc = 0;

        for (size_t i = 0; i < q->part->class_n && !rc && !enough(q); i++) {
                const struct part_class *c = &q->part->classes[i];

                if (field != SEARCH_TEXT && !str_eq(c->name, field == SEARCH_BODY ? S("") : q->need->name))
                        continue;
                if (field == SEARCH_TEXT && !ask_name(q, c, q->need->pieces[piece]))
                        return -EBADMSG;
                for (size_t k = 0; k < c->group_n && !rc && !enough(q); k++)
                        rc = ask_group(q, &c->groups[k], q->need->pieces[piece], words_whole(c->name));
        }
        return rc;
}

static void all_bits(uint64_t *bits, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                bits[i / 64] |= (uint64_t)1 << i % 64;
}

static int ask_pieces(struct query *q, struct answer *out)
{
        uint64_t *found = q->need->exact || q->need->fuzzy ? out->yes : out->maybe;
        uint32_t n = q->part->n;
        unsigned *sums = q->need->fuzzy ? mem_array((size_t)n + 1, sizeof *sums) : NULL;
        int rc = 0;

        all_bits(found, n);
        for (unsigned i = 0; i < q->need->n && !rc; i++) {
                size_t left = 0;

                for (size_t k = 0; k < bits_words(n); k++)
                        q->bits[k] = 0;
                for (uint32_t k = 0; k < n && q->best; k++)
                        q->best[k] = 0;
                q->count = 0;
                rc = ask_piece(q, i);
                for (size_t k = 0; k < bits_words(n); k++) {
                        found[k] &= q->bits[k];
                        left += found[k] != 0;
                }
                for (uint32_t k = 0; k < n && sums; k++)
                        sums[k] += q->best[k];
                if (!left)
                        break;
        }
        for (uint32_t k = 0; k < n && sums; k++)
                out->score[k] = (uint8_t)(q->need->n ? sums[k] / q->need->n : 100);
        mem_free(sums);
        return rc;
}

/* Fields that have no class of their own may have this name. */
static int add_strange(const struct part *p, const struct need *need, struct answer *out)
{
        const struct part_class *c = part_class(p, PART_STRANGE);
        size_t count = 0;

        if (!c || need->field > SEARCH_HEADER)
                return 0;
        return list_or(c->has, p->n, out->maybe, &count) ? 0 : -EBADMSG;
}

static int ask_any(const struct part *p, const struct need *need, struct answer *out)
{
        const struct part_class *c = need->field > SEARCH_HEADER ? NULL : part_class(p, need->name);
        size_t count = 0;

        if (need->field > SEARCH_HEADER)
                all_bits(out->yes, p->n);
        for (uint32_t i = 0; i < p->n && out->score; i++)
                out->score[i] = 100;
        return !c || list_or(c->has, p->n, out->yes, &count) ? 0 : -EBADMSG;
}

/* Not a name of ours: those of the two classes that are no fields. */
static bool nameless(const struct need *need)
{
        return need->field == SEARCH_HEADER &&
               (!need->name.n || str_eq(need->name, PART_FILES) || str_eq(need->name, PART_STRANGE));
}

int part_query(const struct part *p, const struct need *need, struct answer *out)
{
        struct query q = { .part = p, .need = need };
        size_t n = bits_words(p->n);
        int rc;

        *out = (struct answer){ mem_array(n, sizeof(uint64_t)), mem_array(n, sizeof(uint64_t)), NULL };
        if (need->fuzzy)
                out->score = mem_array((size_t)p->n + 1, 1);
        if (nameless(need))
                return add_strange(p, need, out);
        if (need->any) {
                rc = ask_any(p, need, out);
                return rc ? rc : add_strange(p, need, out);
        }
        buf_init(&q.words, PART_GROUP * 16);
        buf_init(&q.lists, UINT32_MAX);
        q.bits = mem_array(n, sizeof *q.bits);
        if (need->fuzzy)
                q.best = mem_array((size_t)p->n + 1, 1);
        rc = ask_pieces(&q, out);
        buf_free(&q.words);
        buf_free(&q.lists);
        mem_free(q.bits);
        mem_free(q.best);
        mem_free(q.hits);
        mem_free(q.close);
        return rc ? rc : add_strange(p, need, out);
}

void answer_free(struct answer *a)
{
        mem_free(a->yes);
        mem_free(a->maybe);
        mem_free(a->score);
        *a = (struct answer){ 0 };
}
