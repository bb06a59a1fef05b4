/* What happens to letters after they were filed (store/change.h), against a model that is nothing but lists in memory:
 * several readers, two handles as two processes have them, clients that keep up by change_since. */
#include "change_world.h"
#include "powercut.h"
#include <errno.h>

enum { READERS = 2, CLIENTS = 8, MODEL_MAX = 6000 };

static uint64_t seed;

/* ---- the model ---- */

struct item {
        uint32_t uid, number; /* of the letter's text */
        uint64_t flags;       /* common; the owner's \Seen among them */
        bool seen;            /* by reader 1 */
        uint64_t modseq;      /* as last shown */
};
struct box {
        struct item at[MODEL_MAX];
        size_t n;
        uint32_t uidnext;
};
static struct box model[ACCOUNTS][BOXES];
static unsigned numbers;

struct client {
        unsigned account, box, reader;
        uint32_t uidnext;
        uint64_t modseq;
        struct {
                uint32_t uid;
                uint64_t flags;
        } at[MODEL_MAX];
        size_t n;
};
static struct client clients[CLIENTS];

static uint64_t roll(uint64_t n)
{
        return powercut_random(&seed, n);
}

static uint64_t shown_flags(const struct item *i, unsigned reader)
{
        return reader ? (i->flags & ~(uint64_t)FLAG_SEEN) | (i->seen ? FLAG_SEEN : 0) : i->flags;
}

static struct item *find(struct box *b, uint32_t uid)
{
        for (size_t i = 0; i < b->n; i++)
                if (b->at[i].uid == uid)
                        return &b->at[i];
        return NULL;
}

static struct item *add(struct box *b, uint32_t uid, unsigned number, uint64_t flags, unsigned reader)
{
        struct item *i = &b->at[b->n++];

        assert_true(b->n <= MODEL_MAX);
        assert_int_equal(uid, b->uidnext);
        *i = (struct item){ uid, number, reader ? flags & ~(uint64_t)FLAG_SEEN : flags,
                            reader && flags & FLAG_SEEN, 0 };
        b->uidnext = uid + 1;
        return i;
}

static void drop(struct box *b, uint32_t uid)
{
        struct item *i = find(b, uid);

        assert_non_null(i);
        memmove(i, i + 1, (size_t)(&b->at[b->n] - (i + 1)) * sizeof *i);
        b->n--;
}

/* ---- the store ---- */

static void make_text(struct buf *out, unsigned number)
{
        fixture_letter(out, number, 150 + number % 5 * 700);
}

/* Some ranges below `end`. */
static struct uid_list some_uids(uint32_t end)
{
        struct uid_list l = { 0 };
        uint32_t at = 1;

        if (roll(8) == 0) {
                uid_list_add(&l, 1, UINT32_MAX);
                return l;
        }
        for (unsigned i = 0; i < 1 + roll(6) && at < end + 10; i++) {
                uint32_t first = at + (uint32_t)roll(end / 3 + 2),
                         last = first + (uint32_t)roll(roll(3) ? 3 : end / 2 + 1);

                uid_list_add(&l, first, last);
                at = last + 2;
        }
        return l;
}

static void append(struct access *x, unsigned account, unsigned box, unsigned reader)
{
        size_t n = 1 + roll(roll(10) ? 3 : 200);
        struct filing *f = mem_array(n, sizeof *f);
        struct buf *texts = mem_array(n, sizeof *texts);
        bool log = !reader && roll(2); /* the intake's way */

        for (size_t i = 0; i < n; i++) {
                buf_init(&texts[i], 10000);
                make_text(&texts[i], numbers + (unsigned)i);
                f[i] = fixture_filing(buf_str(&texts[i]));
                f[i].mailbox = box ? S("Archive") : INBOX;
                f[i].flags = roll(32);
        }
        if (!log) {
                assert_int_equal(change_append(x, f, n, 10), -EDQUOT);
                assert_int_equal(change_append(x, f, n, UINT64_MAX), 0);
        } else {
                assert_int_equal(account_file(x->account, f, n), 0);
        }
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(f[i].error, 0);
                add(&model[account][box], f[i].uid, numbers++, f[i].flags, reader);
                buf_free(&texts[i]);
        }
        mem_free(texts);
        mem_free(f);
}

static void compare(unsigned handle, unsigned account, unsigned box, unsigned reader);

static void flags(struct access *x, unsigned account, unsigned box, unsigned reader)
{
        struct box *b = &model[account][box];
        struct uid_list l = some_uids(b->uidnext);
        struct flags_change c = { .uids = l.ranges,
                                  .n = l.n,
                                  .how = (enum flags_how)roll(3),
                                  .flags = roll(32) | roll(4) << 8,
                                  .unchanged_since = UINT64_MAX };
        size_t changed = 0, modified = 0;

        compare(0, account, box, reader); /* the model learns the modseqs */
        if (b->n && roll(3) == 0)
                c.unchanged_since = b->at[roll(b->n)].modseq;
        if (roll(4) == 0) {
                x->rights &= ~(unsigned)RIGHT_DELETE;
                c.flags |= FLAG_FLAGGED;
        }
        assert_int_equal(change_flags(x, &c), 0);
        for (size_t i = 0; i < b->n; i++) {
                struct item *item = &b->at[i];
                uint64_t allowed = x->rights & RIGHT_DELETE ? UINT64_MAX : ~(uint64_t)FLAG_DELETED;
                uint64_t was = shown_flags(item, reader), now, asked = c.flags & allowed;
                const struct placed *p;

                if (!uid_list_has(&l, item->uid))
                        continue;
                if (uid_list_has(&c.modified, item->uid)) {
                        assert_true(item->modseq > c.unchanged_since);
                        modified++;
                        continue;
                }
                assert_true(changed < c.changed.n);
                p = &c.changed.list[changed++];
                now = c.how == FLAGS_ADD      ? was | asked
                      : c.how == FLAGS_REMOVE ? was & ~asked
                                              : (was & ~allowed) | asked;
                assert_int_equal(p->uid, item->uid);
                assert_int_equal(p->flags, now);
                if (now == was)
                        assert_int_equal(p->modseq, item->modseq);
                else
                        assert_true(p->modseq > item->modseq);
                item->modseq = p->modseq;
                item->flags = reader ? (now & ~(uint64_t)FLAG_SEEN) | (item->flags & FLAG_SEEN) : now;
                if (reader)
                        item->seen = now & FLAG_SEEN;
        }
        assert_int_equal(c.denied, !(x->rights & RIGHT_DELETE) && c.flags & FLAG_DELETED);
        assert_int_equal(changed, c.changed.n);
        assert_int_equal(modified, uid_list_count(&c.modified));
        placed_list_free(&c.changed);
        uid_list_free(&c.modified);
        uid_list_free(&l);
}

static void copy(struct access *x, unsigned account, unsigned box, unsigned reader, unsigned handle,
                 bool move)
{
        unsigned to_account = roll(3) ? account : (unsigned)roll(ACCOUNTS), to_box = (unsigned)roll(BOXES);
        unsigned to_reader = (unsigned)roll(READERS);
        struct box *b = &model[account][box], *t = &model[to_account][to_box];
        struct uid_list l = some_uids(b->uidnext);
        struct access to = enter(handle, to_account, to_box, to_reader);
        struct copied c;
        uint32_t next = t->uidnext;
        size_t n = b->n;
        struct item *was = mem_array(n + 1, sizeof *was);

        memcpy(was, b->at, n * sizeof *was);
        if (t->n > 1500)
                l.n = 0;
        if (move)
                assert_int_equal(change_move(x, l.ranges, l.n, &to, UINT64_MAX, &c), 0);
        else
                assert_int_equal(change_copy(x, l.ranges, l.n, &to, UINT64_MAX, &c), 0);
        for (size_t i = 0; i < n; i++) {
                if (!uid_list_has(&l, was[i].uid) || !l.n)
                        continue;
                assert_true(uid_list_has(&c.from, was[i].uid));
                assert_true(uid_list_has(&c.to, next));
                if (move)
                        drop(b, was[i].uid);
                add(t, next++, was[i].number, shown_flags(&was[i], reader), to_reader);
        }
        assert_int_equal(uid_list_count(&c.from), next - (uint32_t)(t->uidnext - uid_list_count(&c.to)));
        assert_int_equal(uid_list_count(&c.from), uid_list_count(&c.to));
        copied_free(&c);
        uid_list_free(&l);
        mem_free(was);
        leave(&to);
}

static void expunge(struct access *x, unsigned account, unsigned box)
{
        struct box *b = &model[account][box];
        struct uid_list l = some_uids(b->uidnext), gone;
        bool only_deleted = roll(4);
        size_t n = 0;

        assert_int_equal(change_expunge(x, l.ranges, l.n, only_deleted, &gone), 0);
        for (size_t i = 0; i < b->n;) {
                uint32_t uid = b->at[i].uid;

                if (uid_list_has(&l, uid) && (!only_deleted || b->at[i].flags & FLAG_DELETED)) {
                        assert_true(uid_list_has(&gone, uid));
                        drop(b, uid);
                        n++;
                } else {
                        i++;
                }
        }
        assert_int_equal(uid_list_count(&gone), n);
        uid_list_free(&gone);
        uid_list_free(&l);
        if (roll(3) == 0)
                assert_int_equal(account_reap(x->account), 0);
}

static void replace(struct access *x, unsigned account, unsigned box, unsigned reader, unsigned handle)
{
        unsigned to_account = (unsigned)roll(ACCOUNTS), to_box = (unsigned)roll(BOXES);
        struct box *b = &model[account][box], *t = &model[to_account][to_box];
        struct access to = enter(handle, to_account, to_box, reader);
        struct buf text;
        struct filing f;
        uint32_t uid = b->n ? b->at[roll(b->n)].uid : 77;

        buf_init(&text, 10000);
        make_text(&text, numbers);
        f = fixture_filing(buf_str(&text));
        f.flags = roll(32);
        if (b->n) {
                assert_int_equal(change_replace(x, uid, &to, &f, UINT64_MAX), 0);
                drop(b, uid);
                add(t, f.uid, numbers++, f.flags, reader);
        } else {
                assert_int_equal(change_replace(x, uid, &to, &f, UINT64_MAX), -ENOENT);
        }
        buf_free(&text);
        leave(&to);
}

/* ---- comparing ---- */

static void compare_text(struct access *x, uint32_t letter, unsigned number)
{
        struct buf got, want;
        size_t end, done;

        buf_init(&got, 20000);
        buf_init(&want, 20000);
        make_text(&want, number);
        assert_int_equal(account_read(x->account, &letter, 1, SIZE_MAX, &got, &end, &done), 0);
        assert_str(buf_str(&got), buf_str(&want));
        buf_free(&got);
        buf_free(&want);
}

static void compare(unsigned handle, unsigned account, unsigned box, unsigned reader)
{
        struct access x = enter(handle, account, box, reader);
        struct box *b = &model[account][box];
        struct uid_list want = { 0 }, absent;
        struct mailbox_status s;
        struct placed_list list;
        uint32_t unseen = 0, deleted = 0, first_unseen = 0, next = 1;

        assert_int_equal(change_list(&x, &all, 1, 0, &list), 0);
        assert_int_equal(list.n, b->n);
        for (size_t i = 0; i < list.n; i++) {
                uint64_t f = shown_flags(&b->at[i], reader);

                assert_int_equal(list.list[i].uid, b->at[i].uid);
                assert_int_equal(list.list[i].flags, f);
                assert_true(list.list[i].modseq >= b->at[i].modseq);
                b->at[i].modseq = list.list[i].modseq;
                unseen += !(f & FLAG_SEEN);
                if (!(f & FLAG_SEEN) && !first_unseen)
                        first_unseen = b->at[i].uid;
                deleted += !!(f & FLAG_DELETED);
                if (b->at[i].uid > next)
                        uid_list_add(&want, next, b->at[i].uid - 1);
                next = b->at[i].uid + 1;
        }
        if (next < b->uidnext)
                uid_list_add(&want, next, b->uidnext - 1);
        if (list.n)
                compare_text(&x, list.list[list.n / 2].letter, b->at[list.n / 2].number);
        placed_list_free(&list);
        assert_int_equal(change_absent(&x, &all, 1, &absent), 0);
        assert_int_equal(absent.n, want.n);
        assert_memory_equal(absent.ranges, want.ranges, want.n * sizeof *want.ranges);
        uid_list_free(&absent);
        uid_list_free(&want);
        assert_int_equal(change_status(&x, true, &s), 0);
        assert_int_equal(s.view.count, b->n);
        assert_int_equal(s.view.uidnext, b->uidnext);
        assert_int_equal(s.unseen, unseen);
        assert_int_equal(s.deleted, deleted);
        assert_int_equal(s.first_unseen, first_unseen);
        leave(&x);
}

static void client_put(struct client *c, uint32_t uid, uint64_t flags)
{
        size_t i = c->n;

        while (i && c->at[i - 1].uid >= uid)
                i--;
        if (i == c->n || c->at[i].uid != uid) {
                memmove(&c->at[i + 1], &c->at[i], (c->n - i) * sizeof *c->at);
                c->n++;
        }
        c->at[i].uid = uid;
        c->at[i].flags = flags;
}

static void client_drop(struct client *c, const struct uid_list *gone)
{
        size_t kept = 0;

        for (size_t i = 0; i < c->n; i++)
                if (!uid_list_has(gone, c->at[i].uid))
                        c->at[kept++] = c->at[i];
        c->n = kept;
}

/* Ends with the truth, by whatever way. */
static int client_sync(struct client *c, unsigned handle)
{
        struct access x = enter(handle, c->account, c->box, c->reader);
        struct box *b = &model[c->account][c->box];
        struct placed_list changed;
        struct uid_list gone;
        struct mailbox_status s;
        int rc = change_since(&x, c->uidnext, c->modseq, &changed, &gone, &s);

        assert_true(!rc || rc == -ESTALE);
        if (rc == -ESTALE)
                assert_int_equal(change_absent(&x, &all, 1, &gone), 0);
        for (size_t i = 0; i < changed.n; i++) {
                assert_true(changed.list[i].modseq > c->modseq || rc);
                assert_true(!i || changed.list[i].uid > changed.list[i - 1].uid);
                client_put(c, changed.list[i].uid, changed.list[i].flags);
        }
        client_drop(c, &gone);
        c->uidnext = s.view.uidnext;
        c->modseq = roll(2) ? s.view.modseq : s.highest;
        assert_int_equal(c->n, b->n);
        for (size_t i = 0; i < c->n; i++) {
                assert_int_equal(c->at[i].uid, b->at[i].uid);
                assert_int_equal(c->at[i].flags, shown_flags(&b->at[i], c->reader));
        }
        placed_list_free(&changed);
        uid_list_free(&gone);
        leave(&x);
        return rc;
}

static int begin(void **state)
{
        (void)state;
        memset(model, 0, sizeof model);
        memset(clients, 0, sizeof clients);
        seed = 7;
        for (unsigned a = 0; a < ACCOUNTS; a++)
                for (unsigned b = 0; b < BOXES; b++)
                        model[a][b].uidnext = 1;
        for (unsigned i = 0; i < CLIENTS; i++) {
                clients[i].account = i / 2 % 2;
                clients[i].box = i % 2;
                clients[i].reader = i / 4;
                clients[i].uidnext = 1; /* as of an account just made */
                clients[i].modseq = 1;
        }
        if (world_begin())
                return -1;
        for (unsigned a = 0; a < ACCOUNTS;
             a++) { /* of bits 8 and 9: without a name none crosses to another account */
                struct access x = enter(0, a, 0, 0);
                unsigned bit;

                assert_int_equal(change_keyword(&x, S("first"), &bit), 0);
                assert_int_equal(bit, 8);
                assert_int_equal(change_keyword(&x, S("second"), &bit), 0);
                assert_int_equal(bit, 9);
                leave(&x);
        }
        return 0;
}

static void step(void)
{
        unsigned handle = (unsigned)roll(HANDLES), account = (unsigned)roll(ACCOUNTS),
                 box = (unsigned)roll(BOXES);
        unsigned reader = (unsigned)roll(READERS);
        struct access x = enter(handle, account, box, reader);

        switch (roll(10)) {
        case 0:
        case 1: append(&x, account, box, reader); break;
        case 2: copy(&x, account, box, reader, handle, false); break;
        case 3: copy(&x, account, box, reader, handle, true); break;
        case 4:
        case 5: expunge(&x, account, box); break;
        case 6: replace(&x, account, box, reader, handle); break;
        default: flags(&x, account, box, reader); break;
        }
        leave(&x);
}

static void does_as_the_model(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 700; i++) {
                step();
                compare((unsigned)roll(HANDLES), (unsigned)roll(ACCOUNTS), (unsigned)roll(BOXES),
                        (unsigned)roll(READERS));
                if (i % 3 == 0)
                        assert_int_equal(client_sync(&clients[roll(CLIENTS)], (unsigned)roll(HANDLES)), 0);
                if (i % 100 == 99)
                        check_all();
        }
        for (unsigned i = 0; i < CLIENTS; i++)
                assert_int_equal(client_sync(&clients[i], i % HANDLES), 0);
        for (unsigned i = 0; i < ACCOUNTS * BOXES * READERS; i++)
                compare(0, i / 4, i / 2 % 2, i % 2);
}

/* Numbers have jumped: -ESTALE once, and the truth all the same; the gap is named as absent. */
static void who_comes_after_a_jump_begins_anew(void **state)
{
        struct access x;
        struct filing f;

        (void)state;
        for (unsigned i = 0; i < 30; i++)
                step();
        for (unsigned i = 0; i < CLIENTS; i++)
                assert_int_equal(client_sync(&clients[i], 0), 0);
        reopen_unclean(numbers);
        x = enter(0, 0, 0, 0);
        f = fixture_file(x.account, 0, 1, 850); /* the child's was the last before the jump */
        model[0][0].uidnext = f.uid - UIDS_AHEAD - 1;
        leave(&x);
        {
                struct item *i = &model[0][0].at[model[0][0].n++];

                *i = (struct item){ .uid = f.uid - UIDS_AHEAD - 1, .number = numbers++ };
                i[1] = (struct item){ .uid = f.uid, .number = 1 };
                model[0][0].n++;
                model[0][0].uidnext = f.uid + 1;
        }
        for (unsigned b = 1; b < BOXES; b++)
                model[0][b].uidnext += UIDS_AHEAD;
        for (unsigned i = 0; i < CLIENTS; i++) {
                int jumped = clients[i].account ? 0 : -ESTALE;

                assert_int_equal(client_sync(&clients[i], 1), jumped);
                assert_int_equal(client_sync(&clients[i], 1), 0);
        }
        for (unsigned i = 0; i < 30; i++)
                step();
        for (unsigned i = 0; i < CLIENTS; i++)
                assert_int_equal(client_sync(&clients[i], 0), 0);
        boot_id_for_tests("");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(does_as_the_model, begin, world_end),
                cmocka_unit_test_setup_teardown(who_comes_after_a_jump_begins_anew, begin, world_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
