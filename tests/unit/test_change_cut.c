/* Power cuts with APPEND, COPY, MOVE, STORE, EXPUNGE, REPLACE in flight (STATES.md). After a cut each account is as it was
 * after one of its commits, none older than the last that was acknowledged as durable; what moved between two accounts
 * is in one of them; and a client that keeps (uid, flags) by change_since, as QRESYNC does, ends with the truth. */
#include "account_fixture.h"
#include "powercut.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/change.h"
#include "store/disk.h"
#include <errno.h>

enum { ACCOUNTS = 2, BOXES = 2, STEPS = 70, CUTS = 10, ROUNDS = 6, LETTERS_MAX = 300 };

static const struct str names[ACCOUNTS] = { S("jill@hill.com"), S("jack@town.com") };
static const uint32_t boxes[BOXES] = { 1, 6 }; /* INBOX, Archive */
static const struct uid_range all = { 1, UINT32_MAX };

struct state { /* of an account */
        struct {
                uint32_t uid, number;
                uint64_t flags;
        } at[BOXES][LETTERS_MAX];
        size_t n[BOXES];
        uint32_t uidnext[BOXES];
        uint64_t modseq;
};
/* After step i. began: before anything of step i + 1. */
static struct history {
        struct state state[ACCOUNTS];
        uint64_t done;
        bool durable[ACCOUNTS]; /* all up to here, by what the calls promise */
        bool crossed;           /* moved from account `from` to the other one */
        unsigned from;
} history[STEPS + 1];

static char top[] = "/tmp/pail-change-cut-XXXXXX";
static struct accounts *set;
static uint64_t seed;
static unsigned numbers;

static uint64_t roll(uint64_t n)
{
        return powercut_random(&seed, n);
}

static struct access enter(unsigned account, unsigned box)
{
        struct access x = { .mailbox = boxes[box], .rights = RIGHTS_ALL };
        struct mailbox_view view;

        assert_int_equal(account_get(set, names[account], &x.account), 0);
        assert_int_equal(account_view(x.account, box ? S("Archive") : INBOX, &view), 0);
        x.uidvalidity = view.uidvalidity;
        return x;
}

static size_t size_of(unsigned number)
{
        return number % 9 == 0 ? 66000 + number * 13 : 200 + number % 7 * 300;
}

static unsigned number_of(struct account *a, uint32_t letter)
{
        struct buf got auto_buf, want auto_buf;
        struct str line;
        uint64_t number = 0;

        buf_init(&got, 1 << 20);
        buf_init(&want, 1 << 20);
        assert_int_equal(letter_read(a, letter, 0, SIZE_MAX, &got), 0);
        line = str_from_at(buf_str(&got), str_search(buf_str(&got), S("Subject: pail ")) + 14);
        line = str_sub(line, 0, str_find(line, '\r'));
        assert_true(str_u64(line, &number));
        fixture_letter(&want, (unsigned)number, size_of((unsigned)number));
        assert_str(buf_str(&got), buf_str(&want));
        return (unsigned)number;
}

static void look(unsigned account, struct state *s)
{
        for (unsigned b = 0; b < BOXES; b++) {
                struct access x = enter(account, b);
                struct mailbox_status status;
                struct placed_list list;

                assert_int_equal(change_list(&x, &all, 1, 0, &list), 0);
                assert_int_equal(change_status(&x, false, &status), 0);
                assert_true(list.n <= LETTERS_MAX);
                s->n[b] = list.n;
                s->uidnext[b] = status.view.uidnext;
                s->modseq = status.view.modseq;
                for (size_t i = 0; i < list.n; i++) {
                        s->at[b][i].uid = list.list[i].uid;
                        s->at[b][i].number = number_of(x.account, list.list[i].letter);
                        s->at[b][i].flags = list.list[i].flags;
                }
                placed_list_free(&list);
                account_put(&x.account);
        }
}

static bool same(const struct state *a, const struct state *b)
{
        for (unsigned box = 0; box < BOXES; box++) {
                if (a->n[box] != b->n[box])
                        return false;
                for (size_t i = 0; i < a->n[box]; i++)
                        if (a->at[box][i].uid != b->at[box][i].uid ||
                            a->at[box][i].number != b->at[box][i].number ||
                            a->at[box][i].flags != b->at[box][i].flags)
                                return false;
        }
        return true;
}

/* A new letter, in memory or staged. */
static int put(const char *folder, int (*how)(struct access *x, struct access *to, struct filing *f),
               struct access *x, struct access *to)
{
        int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
        unsigned number = ++numbers;
        struct buf text auto_buf;
        struct filing f;
        char name[30];

        buf_init(&text, 1 << 20);
        fixture_letter(&text, number, size_of(number));
        f = fixture_filing(buf_str(&text));
        f.flags = roll(32);
        if (text.n > BODY_INLINE_MAX) {
                struct body_stage *b;

                snprintf(name, sizeof name, "stage-%u", number);
                assert_int_equal(body_stage_open(&b, dir, name), 0);
                assert_int_equal(body_stage_put(b, buf_str(&text)), 0);
                assert_int_equal(body_stage_finish(b), 0);
                body_stage_close(&b, true);
                f.text = S("");
                f.staged_dir = dir;
                f.staged_name = name;
        }
        rc = how(x, to, &f);
        if (f.staged_dir >= 0)
                disk_unlink(dir, name);
        close(dir);
        return rc;
}

static int put_append(struct access *x, struct access *to, struct filing *f)
{
        (void)to;
        return change_append(x, f, 1, UINT64_MAX);
}

static int put_replace(struct access *x, struct access *to, struct filing *f)
{
        struct placed_list list;
        uint32_t uid;

        assert_int_equal(change_list(x, &all, 1, 0, &list), 0);
        uid = list.n ? list.list[roll(list.n)].uid : 0;
        placed_list_free(&list);
        return uid ? change_replace(x, uid, to, f, UINT64_MAX) : 0;
}

static void step(struct history *h, const char *folder)
{
        unsigned account = (unsigned)roll(ACCOUNTS),
                 to_account = roll(2) ? account : (unsigned)roll(ACCOUNTS);
        struct access x = enter(account, (unsigned)roll(BOXES)),
                      to = enter(to_account, (unsigned)roll(BOXES));
        uint32_t first = 1 + (uint32_t)roll(40);
        struct uid_range r = { first, first + (uint32_t)roll(12) };
        struct flags_change c = { .uids = &r,
                                  .n = 1,
                                  .how = (enum flags_how)roll(3),
                                  .flags = roll(32),
                                  .unchanged_since = UINT64_MAX };
        struct uid_list gone = { 0 };
        struct copied copied = { 0 };
        bool durable = true, both = false;

        switch (roll(10)) {
        case 0:
        case 1:
        case 2: assert_int_equal(put(folder, put_append, &x, NULL), 0); break;
        case 3:
                assert_int_equal(put(folder, put_replace, &x, &to), 0);
                both = h->crossed = account != to_account;
                durable = false; /* perhaps there was nothing to replace */
                break;
        case 4:
                assert_int_equal(change_copy(&x, &r, 1, &to, UINT64_MAX, &copied), 0);
                durable = copied.from.n;
                account = to_account;
                break;
        case 5:
        case 6:
                assert_int_equal(change_move(&x, &r, 1, &to, UINT64_MAX, &copied), 0);
                both = h->crossed = account != to_account;
                durable = copied.from.n;
                break;
        case 7:
                assert_int_equal(change_expunge(&x, &r, 1, roll(2), &gone), 0);
                durable = gone.n;
                if (roll(2))
                        assert_int_equal(account_reap(x.account), 0);
                break;
        default:
                assert_int_equal(change_flags(&x, &c), 0);
                durable = false;
                break;
        }
        h->from = account;
        h->durable[account] = durable;
        h->durable[to_account] |= durable && both;
        placed_list_free(&c.changed);
        uid_list_free(&c.modified);
        uid_list_free(&gone);
        copied_free(&copied);
        account_put(&x.account);
        account_put(&to.account);
}

/* The steps whose state this is, between `low` and `high`: the first or the last. */
static unsigned find(unsigned account, const struct state *s, unsigned low, unsigned high, bool last)
{
        unsigned found = UINT32_MAX;

        for (unsigned i = low; i <= high; i++)
                if (same(&history[i].state[account], s) && (last || found == UINT32_MAX))
                        found = i;
        return found;
}

/* What the client had seen after step k, brought to the truth. */
static void sync_client(unsigned account, unsigned k, const struct state *now)
{
        const struct state *knew = &history[k].state[account];

        for (unsigned b = 0; b < BOXES; b++) {
                struct access x = enter(account, b);
                struct mailbox_status status;
                struct placed_list changed;
                struct uid_list gone;
                size_t i = 0, c = 0;
                int rc = change_since(&x, knew->uidnext[b], knew->modseq, &changed, &gone, &status);

                assert_true(!rc || rc == -ESTALE);
                if (rc)
                        assert_int_equal(change_absent(&x, &all, 1, &gone), 0);
                for (size_t n = 0; n < now->n[b]; n++) {
                        uint32_t uid = now->at[b][n].uid;

                        while (i < knew->n[b] && knew->at[b][i].uid < uid) /* what is not there was named */
                                assert_true(uid_list_has(&gone, knew->at[b][i++].uid));
                        while (c < changed.n && changed.list[c].uid < uid)
                                c++;
                        assert_false(uid_list_has(&gone, uid));
                        if (c < changed.n && changed.list[c].uid == uid) {
                                assert_int_equal(changed.list[c].flags, now->at[b][n].flags);
                        } else { /* not told: it must be as it was */
                                assert_true(i < knew->n[b] && knew->at[b][i].uid == uid);
                                assert_int_equal(knew->at[b][i].flags, now->at[b][n].flags);
                        }
                        i += i < knew->n[b] && knew->at[b][i].uid == uid;
                }
                while (i < knew->n[b])
                        assert_true(uid_list_has(&gone, knew->at[b][i++].uid));
                placed_list_free(&changed);
                uid_list_free(&gone);
                account_put(&x.account);
        }
}

static void check(struct account *a, bool orphans)
{
        struct buf said auto_buf;
        struct str rest, line;
        unsigned wrong = 0;

        buf_init(&said, 1 << 20);
        assert_int_equal(account_check(a, &said, &wrong), 0);
        rest = buf_str(&said);
        while (str_cut(&rest, '\n', &line))
                if (!orphans || !str_ends(line, S("belongs to no letter"))) /* which STATES.md allows */
                        assert_str(line, S(""));
}

/* No number that anybody can have seen is given again. */
static void new_numbers(unsigned account, unsigned shown)
{
        const struct state *s = &history[shown].state[account];

        for (unsigned b = 0; b < BOXES; b++) {
                struct access x = enter(account, b);
                struct filing f = fixture_filing(S("Subject: new\r\n\r\n"));
                struct mailbox_status status;

                assert_int_equal(change_append(&x, &f, 1, UINT64_MAX), 0);
                assert_int_equal(change_status(&x, false, &status), 0);
                assert_true(f.uid >= s->uidnext[b]);
                assert_true(status.highest > s->modseq);
                account_put(&x.account);
        }
}

static void after_the_cut(const char *folder, uint64_t cut, unsigned steps)
{
        static struct state found[ACCOUNTS];
        unsigned low[ACCOUNTS] = { 0 }, high = 0, first[ACCOUNTS], last[ACCOUNTS];

        for (unsigned i = 0; i <= steps; i++) {
                for (unsigned a = 0; a < ACCOUNTS; a++)
                        if (history[i].done <= cut && history[i].durable[a])
                                low[a] = i;
                if (history[i].done <= cut)
                        high = i + 1 <= steps ? i + 1 : steps;
        }
        set = fixture_open(folder, 4);
        for (unsigned a = 0; a < ACCOUNTS; a++) {
                struct account *account;

                assert_int_equal(account_get(set, names[a], &account), 0);
                check(account, true);
                look(a, &found[a]);
                first[a] = find(a, &found[a], low[a], high, false);
                last[a] = find(a, &found[a], low[a], high, true);
                assert_int_not_equal(first[a], UINT32_MAX);
                assert_int_equal(account_reap(account), 0);
                check(account, true);
                account_put(&account);
        }
        for (unsigned i = 1; i <= high; i++) /* it is here as long as it is not there */
                if (history[i].crossed && first[history[i].from] >= i)
                        assert_true(last[!history[i].from] >= i);
        for (unsigned a = 0; a < ACCOUNTS; a++) {
                unsigned known = high ? high - 1 : 0; /* what the last client was told */

                sync_client(a, known, &found[a]);
                sync_client(a, known / 2, &found[a]);
                new_numbers(a, known);
        }
        accounts_close(&set);
}

/* *made: when both accounts were there. */
static uint64_t run(const char *folder, const char *trace, uint64_t *made)
{
        uint64_t at;

        disk_record(folder, trace);
        set = fixture_open(folder, 4);
        for (unsigned a = 0; a < ACCOUNTS; a++)
                assert_int_equal(account_create(set, names[a]), 0);
        memset(history, 0, sizeof history);
        *made = disk_recorded();
        for (unsigned i = 0; i <= STEPS; i++) {
                if (i)
                        step(&history[i], folder);
                for (unsigned a = 0; a < ACCOUNTS; a++)
                        look(a, &history[i].state[a]);
                history[i].done = disk_recorded();
        }
        at = disk_recorded();
        for (size_t i = 0; i < set->table_size; i++)
                for (struct account *a = set->table[i]; a; a = a->chain)
                        a->wrote = false;
        accounts_close(&set);
        disk_record(NULL, NULL);
        return at;
}

static void promises_hold_after_power_cuts(void **state)
{
        (void)state;
        for (unsigned round = 1; round <= ROUNDS; round++) {
                char folder[100], trace[100], left[100], boot[30];
                struct powercut *p;
                uint64_t at, made;

                memcpy(top + strlen(top) - 6, "XXXXXX", 6);
                assert_non_null(mkdtemp(top));
                snprintf(folder, sizeof folder, "%s/work", top);
                snprintf(trace, sizeof trace, "%s/trace", top);
                assert_int_equal(mkdir(folder, 0700), 0);
                seed = round * 77;
                numbers = 0;
                boot_id_for_tests("before");
                at = run(folder, trace, &made);
                p = powercut_open(NULL, trace);
                for (unsigned cut = 0; cut < CUTS; cut++) {
                        uint64_t when = made + roll(at - made + 1);

                        snprintf(left, sizeof left, "%s/left-%u", top, cut);
                        powercut_leave(p, when, seed, left);
                        snprintf(boot, sizeof boot, "after-%u", cut);
                        boot_id_for_tests(boot);
                        after_the_cut(left, when, STEPS);
                        fixture_remove(left);
                }
                powercut_close(&p);
                fixture_remove(top);
        }
        boot_id_for_tests("");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(promises_hold_after_power_cuts),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
