/* Search keys, return options and threads from whatever bytes. A tree that was understood is bounded, its texts are UTF-8, its keys
 * stand in the order of cost; one that only asks for numbers is run over a mailbox with holes. Threads name every letter once. */
#include "base/codec.h"
#include "base/mem.h"
#include "proto/imap/search.h"
#include "proto/imap/thread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMALL = 300 };

static void must(bool holds, const char *what)
{
        if (!holds)
                mem_die(what);
}

static unsigned look(const struct search_key *k, unsigned depth)
{
        unsigned keys = 1;
        uint8_t cost = 0;

        must(depth <= IMAP_DEPTH_MOST + 2, "search: too deep");
        must(utf8_valid(k->text), "search: a text that is not UTF-8");
        must((k->what >= KEY_AND) == (k->first != NULL), "search: children");
        for (const struct search_key *c = k->first; c; c = c->next) {
                must(c->cost >= cost && c->cost <= k->cost, "search: out of order");
                cost = c->cost;
                keys += look(c, depth + 1);
        }
        return keys;
}

static void run(struct session *s, const struct search_key *root)
{
        struct search_scope scope = { .s = s,
                                      .map = &imap_of(s)->selected.map,
                                      .saved = &imap_of(s)->selected.saved,
                                      .recent_from = 40,
                                      .recent_until = 50 };
        struct search_found f;

        must(!search_run(&scope, root, &f), "search: error");
        for (size_t i = 0; i < f.n; i++)
                must(f.seqs[i] > (i ? f.seqs[i - 1] : 0) && f.seqs[i] <= scope.map->count, "search: numbers");
        search_found_free(&f);
}

static void keys(struct imap *p, struct str text)
{
        struct session *s = &p->session;
        struct scan a = scan_of(text);
        struct search_return r;
        struct search_program program;
        struct search_key *copy;
        struct arena m;
        size_t first, until;

        search_return(s, &a, &r);
        if (!a.bad && r.partial) {
                search_partial(&r, text.n, &first, &until);
                must(first <= until && until <= text.n, "search: partial");
        }
        search_program(s, &a, &program);
        must(a.at <= a.s.n, "search: the cursor ran away");
        if (!imap_end(s, &a))
                return;
        must(look(program.root, 0) <= SEARCH_KEYS_MOST + 2 && program.texts <= SEARCH_TEXTS_MOST,
             "search: too many");
        if (program.root->cost > KEY_RECENT)
                return;
        run(s, program.root);
        arena_init(&m, 16 << 20);
        copy = search_copy(&m, s, program.root);
        if (copy)
                run(s, copy);
        arena_finish(&m);
}

static void threads(struct str text)
{
        struct thread_letter letters[SMALL] = { 0 };
        uint64_t refs[3 * SMALL];
        bool seen[SMALL + 1] = { 0 };
        size_t n = 0, r = 0, open = 0;
        struct buf out;

        for (size_t i = 0; i + 4 <= text.n && n < SMALL; i += 4) {
                struct thread_letter *l = &letters[n++];
                const unsigned char *b = (const unsigned char *)text.p + i;

                *l = (struct thread_letter){ .shown = (uint32_t)n,
                                             .date = b[0] & 7,
                                             .subject = b[0] >> 4,
                                             .reply = b[0] & 8,
                                             .id = b[1] & 31,
                                             .first_ref = r,
                                             .refs = b[1] >> 6 };
                for (uint32_t k = 0; k < l->refs; k++)
                        refs[r++] = 1 + (b[2 + (k & 1)] >> k & 31);
        }
        buf_init(&out, 1 << 20);
        must(thread_references(letters, n, refs, &out), "thread: full");
        for (size_t i = 0; i < out.n; i++) {
                uint32_t v = 0;

                open += out.p[i] == '(';
                must(out.p[i] != ')' || open-- > 0, "thread: parentheses");
                for (; i < out.n && out.p[i] >= '0' && out.p[i] <= '9'; i++)
                        v = v * 10 + (uint32_t)(out.p[i] - '0');
                if (!v)
                        continue;
                must(v <= n && !seen[v], "thread: a letter twice");
                seen[v] = true;
                i--;
        }
        must(!open, "thread: left open");
        for (size_t i = 1; i <= n; i++)
                must(seen[i], "thread: a letter is missing");
        buf_clear(&out);
        must(thread_orderedsubject(letters, n, &out), "thread: full");
        buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct imap p;

        if (size < 2)
                return 0;
        if (!p.selected.map.count) {
                p.session.state = IMAP_SELECTED;
                for (uint32_t uid = 3; uid < 200; uid += 1 + uid % 3)
                        seqmap_add(&p.selected.map, uid);
                uid_list_add(&p.selected.saved, 10, 30);
        }
        p.literals = 0;
        p.enabled = data[0] & 2 ? ENABLED_REV2 : 0;
        if (data[0] & 1) {
                threads(str_from(data + 1, size - 1));
                return 0;
        }
        arena_init(&p.session.command, 64 << 20);
        keys(&p, str_from(data + 1, size - 1));
        arena_finish(&p.session.command);
        return 0;
}
