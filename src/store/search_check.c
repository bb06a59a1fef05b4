#include "base/mem.h"
#include "run/offload.h"
#include "store/search_part.h"
#include <errno.h>

struct check {
        struct account *a;
        struct buf *out;
        unsigned wrong;
        struct witness witness;
        struct buf words, lists;
};

static void __attribute__((format(printf, 2, 3))) complain(struct check *c, const char *format, ...)
{
        va_list args;

        c->wrong++;
        buf_printf(c->out, PRS ": ", STR(account_name(c->a)));
        va_start(args, format);
        buf_vprintf(c->out, format, args);
        va_end(args);
        buf_puts(c->out, S(" (the search index is made anew when it is used)\n"));
}

/* Every word and list of a group can be read and is in order. */
static bool group_holds(struct check *c, const struct part *p, const struct part_group *g, uint64_t *bits)
{
        struct str words, rest, lists, word, before = S("");
        struct list l;
        uint32_t n = 0;
        size_t count = 0;

        buf_clear(&c->words);
        buf_clear(&c->lists);
        if (part_words(p, g, &c->words, &words) ||
            part_lists(p, g, str_from_at(buf_str(&c->words), words.n), 0,
                       ((size_t)g->count + PART_BLOCK - 1) / PART_BLOCK, &c->lists))
                return false;
        lists = buf_str(&c->lists);
        for (rest = str_from_at(words, 1); rest.n; n++) {
                str_cut(&rest, '\n', &word);
                if (!word.n || (n && str_cmp(before, word) >= 0) || !list_take(&lists, &l) ||
                    !list_or(l, p->n, bits, &count))
                        return false;
                before = word;
        }
        return n == g->count && !lists.n;
}

static bool part_holds(struct check *c, const struct part *p)
{
        uint64_t *bits = mem_array(bits_words(p->n), sizeof *bits);
        size_t count = 0;
        bool ok = true;

        for (size_t i = 0; i < p->class_n && ok; i++) {
                const struct part_class *class = &p->classes[i];

                ok = list_or(class->has, p->n, bits, &count);
                for (size_t k = 0; k < class->group_n && ok; k++)
                        ok = group_holds(c, p, &class->groups[k], bits);
        }
        mem_free(bits);
        return ok;
}

static int check_parts(void *arg)
{
        struct check *c = arg;
        struct shelf s;
        struct part p;
        int rc = shelf_open(&s, c->a, false);

        if (!rc)
                rc = shelf_list(&s, false);
        for (size_t i = 0; i < s.n && !rc; i++) {
                rc = part_open(&p, s.dir, s.parts[i].name);
                if (rc == -EBADMSG)
                        complain(c, "search/%s is damaged or of another version", s.parts[i].name);
                if (!rc) {
                        witness_add(&c->witness, &p);
                        if (!part_holds(c, &p))
                                complain(c, "search/%s is damaged", s.parts[i].name);
                        part_close(&p);
                }
                rc = rc == -EBADMSG || rc == -ENOENT ? 0 : rc; /* merged meanwhile */
        }
        shelf_close(&s);
        return rc == -ENOENT ? 0 : rc;
}

int search_check(struct account *a, struct buf *out, unsigned *wrong)
{
        struct check c = { .a = a, .out = out };
        int rc;

        buf_init(&c.words, PART_GROUP * 16);
        buf_init(&c.lists, UINT32_MAX);
        rc = offload(LONG, check_parts, &c);
        if (!rc)
                rc = witness_ask(&c.witness, a);
        if (!rc && c.witness.lies)
                complain(&c, "the search index knows letters that never were in this account");
        *wrong += c.wrong;
        witness_free(&c.witness);
        buf_free(&c.words);
        buf_free(&c.lists);
        return rc;
}
