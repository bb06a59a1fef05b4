/* Addresses seen in the copy's letters, read once a run from what was packed when the letters were filed: to whom Sent went, then from whom the
 * others came; of the newest 20,000 letters. */
#include "cli/mail/compose.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/mime.h"

#include <stdlib.h>

enum {
        LETTERS_MOST = 20000,
        SLICE = 1000,
        ADDRESSES_SEEN_MOST = 50000,
        SCRATCH = 1 << 20,
        NAME_MOST = 200,
        FOUND_MOST = 200
};

struct seen {
        struct str address, name; /* as last written; without a name empty */
        unsigned to, from;
};
static struct {
        struct arena arena;
        struct str of; /* the account; empty: not read yet */
        struct seen *list;
        size_t n;
        uint32_t *slots; /* by hash, index + 1 */
        size_t slot_n;
} book;

static struct seen *seen(struct arena *a, struct str address)
{
        size_t at = str_hash(arena_lower(a, address)) & (book.slot_n - 1);

        while (book.slots[at]) {
                struct seen *one = &book.list[book.slots[at] - 1];

                if (str_ieq(one->address, address))
                        return one;
                at = (at + 1) & (book.slot_n - 1);
        }
        if (book.n == ADDRESSES_SEEN_MOST)
                return NULL;
        book.list[book.n] = (struct seen){ .address = arena_str(&book.arena, address) };
        book.slots[at] = (uint32_t)++book.n;
        return &book.list[book.n - 1];
}

static void take(struct str field, bool to, struct arena *a)
{
        struct addresses list = addresses_of(field);
        struct address who;

        while (address_next(&list, a, &who)) {
                struct str address = address_write(a, who.local, who.domain), name;
                struct seen *one;

                if (who.kind != ADDRESS_MAILBOX || !who.domain.n || address.n > 320)
                        continue;
                one = seen(a, address);
                if (!one)
                        continue;
                one->to += to;
                one->from += !to;
                name = str_trim(word_decode(a, who.name));
                if (!one->name.n && name.n && name.n < NAME_MOST &&
                    !str_ieq(name, address)) /* newest letters first */
                        one->name = arena_str(&book.arena, name);
        }
}

struct reading {
        bool to;
};

static bool each(void *context, size_t index, const struct letter_facts_row *r)
{
        static const enum mime_envelope_field written[] = { MIME_TO, MIME_CC, MIME_BCC },
                                              come[] = { MIME_FROM };
        const struct reading *reading = context;
        const enum mime_envelope_field *fields = reading->to ? written : come;
        struct arena auto_arena a;
        struct mime_walk w;

        (void)index;
        arena_init(&a, SCRATCH);
        if (mime_walk_begin(&w, r->mime) && mime_walk_next(&w) && w.has_envelope)
                for (size_t i = 0; i < (reading->to ? 3u : 1u); i++)
                        if (w.envelope.fields[fields[i]].held)
                                take(w.envelope.fields[fields[i]].text, reading->to, &a);
        return true;
}

/* The newest letters first, as many as are left of the budget. */
static int read_mailbox(struct copy *c, struct str path, bool to, size_t *budget)
{
        struct uid_range all = { 1, UINT32_MAX };
        struct placed_list placed = { 0 };
        struct reading reading = { to };
        struct access x = { 0 };
        uint32_t letters[SLICE];
        size_t done;
        int rc = copy_access(c, &x, path, RIGHT_READ);

        if (rc == 0)
                rc = change_list(&x, &all, 1, 0, &placed);
        for (size_t left = placed.n; rc == 0 && left && *budget;) {
                size_t n = 0;

                while (n < SLICE && left && *budget) {
                        letters[n++] = placed.list[--left].letter;
                        --*budget;
                }
                rc = change_facts(&x, letters, n, each, &reading, &done);
        }
        placed_list_free(&placed);
        access_close(&x);
        return rc;
}

static int by_use(const void *pa, const void *pb)
{
        const struct seen *a = pa, *b = pb;

        if (a->to != b->to)
                return a->to < b->to ? 1 : -1;
        if (a->from != b->from)
                return a->from < b->from ? 1 : -1;
        return str_cmp(a->address, b->address);
}

static void forget(void)
{
        arena_finish(&book.arena);
        mem_free(book.list);
        mem_free(book.slots);
        book.list = NULL;
        book.slots = NULL;
        book.n = 0;
        book.of = S("");
}

static int read_all(struct copy *c)
{
        struct mailbox_entry *list;
        struct arena auto_arena a;
        size_t n, budget = LETTERS_MOST;
        int rc;

        forget();
        arena_init(&book.arena, 64 << 20);
        arena_init(&a, 16 << 20);
        book.slot_n = 128 * 1024; /* more than twice as many as there may be */
        book.slots = mem_array(book.slot_n, sizeof *book.slots);
        book.list = mem_array(ADDRESSES_SEEN_MOST, sizeof *book.list);
        rc = mailbox_all(copy_account(c), copy_name(c), &a, &list, &n);
        if (rc < 0)
                return rc;
        for (unsigned round = 0; round < 2; round++)
                for (size_t i = 0; i < n && rc == 0; i++) {
                        bool sent = str_eq(list[i].role, S("sent"));

                        if (sent != (round == 0) || list[i].bits & MAILBOX_NOSELECT ||
                            str_eq(list[i].role, S("junk")) || str_eq(list[i].role, S("trash")) ||
                            str_eq(list[i].role, S("drafts")))
                                continue;
                        rc = read_mailbox(c, list[i].path, sent, &budget);
                }
        qsort(book.list, book.n, sizeof *book.list, by_use); /* the slots are of no use any more */
        book.of = arena_str(&book.arena, copy_name(c));
        return rc;
}

/* Does the address, or a word of the name, begin so? */
static bool begins(const struct seen *one, struct str typed)
{
        if (str_istarts(one->address, typed) || str_istarts(one->name, typed))
                return true;
        for (size_t at = 0; at < one->name.n; at++)
                if ((one->name.p[at] == ' ' || one->name.p[at] == '-' || one->name.p[at] == '(') &&
                    str_istarts(str_from_at(one->name, at + 1), typed))
                        return true;
        return false;
}

static struct str written(struct arena *a, const struct seen *one)
{
        struct str special = S("\"\\()<>[]:;@,."), quoted;
        bool plain = true;
        size_t n = 0;
        char *room;

        if (!one->name.n)
                return arena_str(a, one->address);
        for (size_t i = 0; i < one->name.n; i++)
                plain &= str_find(special, one->name.p[i]) == STR_NONE;
        if (plain)
                return arena_printf(a, PRS " <" PRS ">", STR(one->name), STR(one->address));
        room = arena_array(a, char, 2 * one->name.n + 1);
        for (size_t i = 0; i < one->name.n; i++) {
                if (one->name.p[i] == '"' || one->name.p[i] == '\\')
                        room[n++] = '\\';
                room[n++] = one->name.p[i];
        }
        quoted = str_from(room, n);
        return arena_printf(a, "\"" PRS "\" <" PRS ">", STR(quoted), STR(one->address));
}

int compose_complete(struct copy *c, struct str typed, struct arena *a, struct str **list, size_t *n)
{
        int rc = book.of.n && str_eq(book.of, copy_name(c)) ? 0 : read_all(c);

        *n = 0;
        *list = arena_array(a, struct str, FOUND_MOST);
        if (rc < 0)
                return rc;
        for (size_t i = 0; i < book.n && *n < FOUND_MOST; i++)
                if (begins(&book.list[i], typed))
                        (*list)[(*n)++] = written(a, &book.list[i]);
        return 0;
}
