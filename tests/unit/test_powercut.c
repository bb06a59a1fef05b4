/* The promises of the account store (STATES.md) after power cuts at random moments: workloads are recorded, cut, and
 * what is left is opened as after a reboot, checked, and worked on again, several times over. */
#include "account_fixture.h"
#include "powercut.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/disk.h"
#include <errno.h>

enum {
        ACCOUNTS = 3,
        MAILBOXES = 2,
        LETTERS_MAX = 4000,
        ROUNDS = 20,
        GENERATIONS = 4,
        STEPS = 60,
        SOON = 400
};

static const struct str names[ACCOUNTS] = { S("jack@town.com"), S("jill@hill.com"), S("alice@crepes.fr") };
static const struct str boxes[MAILBOXES] = { S("INBOX"), S("Archive") };

/* A letter as the world was shown it. Positions are those of the trace; NEVER_YET: not happened. */
#define NEVER_YET UINT64_MAX
struct shown {
        unsigned account, box, number; /* number: of its text, and its action in the log */
        uint32_t uid, letter;
        uint64_t modseq, modseq_expunged; /* the account's, shown then */
        uint64_t began;                   /* when the log had it */
        uint64_t filed, settled;          /* when the call had returned */
        uint64_t expunging, expunged;     /* when it began, when it had returned */
        bool lost;                        /* a cut has taken it: its numbers must not come again */
        bool gone;                        /* expunged before a cut */
};

struct world {
        char folder[240], trace[240], base[240];
        uint64_t seed;
        struct accounts *set;
        struct shown shown[LETTERS_MAX], unshown[LETTERS_MAX];
        unsigned unshown_n;
        unsigned n, numbers;
        uint64_t created[ACCOUNTS]; /* when it had returned */
        uint64_t modseq[ACCOUNTS];  /* the highest that was shown */
        unsigned boots;
};

static uint64_t roll(struct world *w, uint64_t n)
{
        return powercut_random(&w->seed, n);
}

static void next_boot(struct world *w)
{
        char id[20];

        snprintf(id, sizeof id, "boot-%u", ++w->boots);
        boot_id_for_tests(id);
}

static struct account *take(struct world *w, unsigned account)
{
        struct account *a;

        assert_int_equal(account_get(w->set, names[account], &a), 0);
        return a;
}

static size_t size_of(unsigned number)
{
        return number % 9 == 0 ? 70000 + number * 13 : number % 11 == 0 ? 20000 : 200 + number % 7 * 300;
}

/* As the intake would: the action's id is (1, number, account); a long letter is staged. */
static struct filing file_number(struct world *w, unsigned account, unsigned box, unsigned number)
{
        struct account *a = take(w, account);
        struct buf text;
        struct filing f;
        char name[40];
        int dir = -1;

        buf_init(&text, 200000);
        fixture_letter(&text, number, size_of(number));
        f = fixture_filing(buf_str(&text));
        f.segment = 1;
        f.sequence = number;
        f.number = account;
        f.mailbox = boxes[box];
        if (text.n > BODY_INLINE_MAX) {
                struct body_stage *b;

                dir = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                snprintf(name, sizeof name, "stage-%u-%llu", number, (unsigned long long)roll(w, UINT32_MAX));
                assert_int_equal(body_stage_open(&b, dir, name), 0);
                assert_int_equal(body_stage_put(b, buf_str(&text)), 0);
                assert_int_equal(body_stage_finish(b), 0);
                body_stage_close(&b, true);
                f.text = S("");
                f.staged_dir = dir;
                f.staged_name = name;
        }
        assert_int_equal(account_file(a, &f, 1), 0);
        assert_int_equal(f.error, 0);
        if (dir >= 0) {
                disk_unlink(dir, name);
                close(dir);
        }
        f.staged_name = NULL;
        f.text = S("");
        buf_free(&text);
        account_put(&a);
        return f;
}

static uint64_t modseq_now(struct world *w, unsigned account)
{
        struct account *a = take(w, account);
        struct mailbox_view v;

        assert_int_equal(account_view(a, INBOX, &v), 0);
        account_put(&a);
        return v.modseq;
}

static void note_modseq(struct world *w, unsigned account)
{
        uint64_t modseq = modseq_now(w, account);

        if (modseq > w->modseq[account])
                w->modseq[account] = modseq;
}

static void show(struct world *w, unsigned account, unsigned box, unsigned number, uint64_t began,
                 const struct filing *f)
{
        struct shown s = {
                .account = account,
                .box = box,
                .number = number,
                .uid = f->uid,
                .letter = f->letter,
                .began = began,
                .filed = disk_recorded(),
                .settled = NEVER_YET,
                .expunging = NEVER_YET,
                .expunged = NEVER_YET,
        };

        for (unsigned i = 0; i < w->n; i++) { /* whatever happened to it, no number means two letters */
                const struct shown *o = &w->shown[i];

                if (o->account == account && o->letter == f->letter)
                        assert_int_equal(o->number, number);
                if (o->account == account && o->box == box)
                        assert_int_not_equal(o->uid, f->uid);
        }
        assert_true(w->n < LETTERS_MAX);
        note_modseq(w, account);
        s.modseq = w->modseq[account];
        w->shown[w->n++] = s;
}

static void step_file(struct world *w, unsigned account)
{
        unsigned box = (unsigned)roll(w, MAILBOXES), number = ++w->numbers;
        uint64_t began = disk_recorded();
        struct filing f = file_number(w, account, box, number);

        assert_false(f.duplicate);
        show(w, account, box, number, began, &f);
}

static void step_expunge(struct world *w, unsigned account)
{
        unsigned box = (unsigned)roll(w, MAILBOXES);
        struct account *a = take(w, account);
        struct mailbox_view view;
        uint32_t uids[8];
        unsigned picked[8];
        size_t n = 0;

        assert_int_equal(account_view(a, boxes[box], &view), 0);
        for (unsigned i = 0; i < w->n && n < LENGTH(uids); i++) {
                struct shown *s = &w->shown[i];

                if (s->account == account && s->box == box && !s->lost && s->expunged == NEVER_YET &&
                    !s->gone && roll(w, 3) == 0) {
                        s->expunging = disk_recorded();
                        picked[n] = i;
                        uids[n++] = s->uid;
                }
        }
        assert_int_equal(account_expunge(a, &view, uids, n), 0);
        note_modseq(w, account);
        for (size_t i = 0; i < n; i++) {
                w->shown[picked[i]].expunged = disk_recorded();
                w->shown[picked[i]].modseq_expunged = w->modseq[account];
        }
        account_put(&a);
}

static void settled(struct world *w, unsigned account)
{
        for (unsigned i = 0; i < w->n; i++)
                if (w->shown[i].account == account && w->shown[i].settled == NEVER_YET)
                        w->shown[i].settled = disk_recorded();
}

static void step_settle(struct world *w, unsigned account)
{
        struct account *a = take(w, account);

        assert_int_equal(account_settle(a), 0);
        account_put(&a);
        settled(w, account);
}

static void step_settle_all(struct world *w)
{
        assert_int_equal(accounts_settle_all(w->set), 0);
        for (unsigned i = 0; i < ACCOUNTS; i++)
                settled(w, i);
}

static void step_checkpoint(struct world *w, unsigned account)
{
        struct account *a = take(w, account);

        assert_int_equal(db_checkpoint(a->db, &(bool){ false }), 0);
        account_put(&a);
}

static void work(struct world *w)
{
        for (unsigned i = 0; i < STEPS; i++) {
                unsigned account = (unsigned)roll(w, ACCOUNTS);
                uint64_t what = roll(w, 100);

                if (w->created[account] == NEVER_YET) {
                        assert_int_equal(account_create(w->set, names[account]), 0);
                        w->created[account] = disk_recorded();
                } else if (what < 62) {
                        step_file(w, account);
                } else if (what < 72) {
                        step_expunge(w, account);
                } else if (what < 82) {
                        step_settle(w, account);
                } else if (what < 86) {
                        bool all = true;

                        for (unsigned k = 0; k < ACCOUNTS; k++)
                                all &= w->created[k] != NEVER_YET;
                        if (all)
                                step_settle_all(w);
                } else if (what < 92) {
                        step_checkpoint(w, account);
                } else if (what < 96) { /* a clean end, perhaps another boot */
                        accounts_close(&w->set);
                        if (roll(w, 2))
                                next_boot(w);
                        w->set = fixture_open(w->folder, 2);
                }
        }
}

static unsigned number_of_text(struct str text)
{
        size_t at = str_search(text, S("Subject: pail "));
        uint64_t number = 0;
        struct str line = str_from_at(text, at + 14);

        str_cut(&line, '\r', &line);
        text = str_from_at(text, at + 14);
        str_cut(&text, '\r', &line);
        assert_true(str_u64(line, &number));
        return (unsigned)number;
}

static void check_account(struct world *w, struct account *a)
{
        struct buf said;
        struct str rest, line;
        unsigned wrong = 0;

        (void)w;
        buf_init(&said, 1 << 20);
        assert_int_equal(account_check(a, &said, &wrong), 0);
        rest = buf_str(&said);
        while (str_cut(&rest, '\n', &line))
                if (!str_ends(line, S("belongs to no letter"))) /* which STATES.md allows */
                        assert_str(line, S(""));
        buf_free(&said);
}

/* What lies in a mailbox must be what was shown there, byte for byte; marks in `found` what does. */
static void check_box(struct world *w, struct account *a, unsigned account, unsigned box, bool *found)
{
        struct mailbox_view view;
        struct placed *list;
        struct buf got, want;
        size_t n, at, done;

        buf_init(&got, 1 << 20);
        buf_init(&want, 1 << 20);
        assert_int_equal(account_view(a, boxes[box], &view), 0);
        assert_int_equal(account_list(a, &view, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
                unsigned number, k;

                buf_clear(&got);
                assert_int_equal(account_read(a, &list[i].letter, 1, SIZE_MAX, &got, &at, &done), 0);
                number = number_of_text(buf_str(&got));
                fixture_letter(&want, number, size_of(number));
                assert_str(buf_str(&got), buf_str(&want));
                for (k = 0; k < w->n; k++)
                        if (w->shown[k].account == account && w->shown[k].box == box &&
                            w->shown[k].uid == list[i].uid)
                                break;
                if (k == w->n) /* the cut came before it was shown: nobody knows its numbers */
                        continue;
                assert_int_equal(w->shown[k].number, number);
                assert_int_equal(w->shown[k].letter, list[i].letter);
                assert_false(w->shown[k].lost);
                found[k] = true;
        }
        account_list_free(&list);
        buf_free(&got);
        buf_free(&want);
}

/* What was recorded after the cut has not happened. */
static void forget_after(struct world *w, uint64_t at)
{
        unsigned n = 0;

        w->unshown_n = 0;
        for (unsigned i = 0; i < ACCOUNTS; i++)
                w->modseq[i] = 0;
        for (unsigned i = 0; i < w->n; i++) {
                struct shown *s = &w->shown[i];
                uint64_t modseq = s->expunged <= at && s->modseq_expunged ? s->modseq_expunged : s->modseq;

                if (s->began > at)
                        continue;
                if (s->filed > at) { /* in the log, and never shown */
                        w->unshown[w->unshown_n++] = *s;
                        continue;
                }
                if (modseq > w->modseq[s->account])
                        w->modseq[s->account] = modseq;
                w->shown[n++] = *s;
        }
        w->n = n;
}

/* At the start after a cut, the log carries out again what it had not forgotten: all that was not settled. */
static void replay_log(struct world *w, uint64_t at)
{
        unsigned n = w->n;

        for (unsigned i = 0; i < n + w->unshown_n; i++) {
                struct shown s = i < n ? w->shown[i] : w->unshown[i - n];
                struct filing f;
                uint64_t began = disk_recorded();

                if (s.settled <= at || w->created[s.account] == NEVER_YET)
                        continue;
                f = file_number(w, s.account, s.box, s.number);
                if (!f.duplicate)
                        show(w, s.account, s.box, s.number, began, &f);
        }
}

/* Accounts whose making was promised are there; the others may be. */
static void check_accounts(struct world *w, uint64_t at)
{
        for (unsigned account = 0; account < ACCOUNTS; account++) {
                struct account *a;
                int rc = account_get(w->set, names[account], &a);

                if (rc == -ENOENT && w->created[account] > at) {
                        w->created[account] = NEVER_YET;
                        continue;
                }
                assert_int_equal(rc, 0);
                w->created[account] = 0;
                account_put(&a);
        }
}

/* How often an action's letter lies in its account now. */
static unsigned copies(struct world *w, const bool *found, const struct shown *s)
{
        unsigned n = 0;

        for (unsigned i = 0; i < w->n; i++)
                n += found[i] && w->shown[i].account == s->account && w->shown[i].number == s->number;
        return n;
}

/* After the cut at `at` and the replay: what was promised before it holds. `n`: entries before the replay. */
static void check_promises(struct world *w, uint64_t at, unsigned n)
{
        static bool found[LETTERS_MAX];

        for (unsigned i = 0; i < w->n; i++)
                found[i] = false;
        for (unsigned account = 0; account < ACCOUNTS; account++)
                if (w->created[account] != NEVER_YET) {
                        struct account *a = take(w, account);

                        check_account(w, a);
                        for (unsigned box = 0; box < MAILBOXES; box++)
                                check_box(w, a, account, box, found);
                        account_put(&a);
                }
        for (unsigned i = 0; i < n; i++) {
                struct shown *s = &w->shown[i];

                if (s->lost || s->gone)
                        continue;
                if (s->settled <= at && s->expunging > at)
                        assert_true(found[i]);
                if (s->expunged <= at)
                        assert_int_equal(copies(w, found, s), 0);
                else if (s->expunging > at)
                        assert_int_equal(copies(w, found, s), 1);
                else
                        assert_in_range(copies(w, found, s), 0, 1);
                if (s->expunged <= at)
                        s->modseq = s->modseq_expunged;
                s->gone = !found[i] && s->expunging <= at;
                s->lost = !found[i] && !s->gone;
        }
        for (unsigned i = 0; i < n; i++) { /* the trace begins anew; what was not settled the log still has */
                w->shown[i].settled = w->shown[i].settled <= at ? 0 : NEVER_YET;
                w->shown[i].began = w->shown[i].filed = 0;
                w->shown[i].expunging = w->shown[i].expunged = NEVER_YET;
        }
}

/* Above all that was ever shown. */
static void check_new_numbers(struct world *w)
{
        for (unsigned account = 0; account < ACCOUNTS; account++)
                for (unsigned box = 0; box < MAILBOXES && w->created[account] != NEVER_YET; box++) {
                        unsigned number = ++w->numbers;
                        uint64_t began = disk_recorded();
                        struct filing f = file_number(w, account, box, number);

                        assert_true(modseq_now(w, account) > w->modseq[account]);
                        for (unsigned i = 0; i < w->n; i++)
                                if (w->shown[i].account == account) {
                                        assert_true(f.letter > w->shown[i].letter);
                                        if (w->shown[i].box == box)
                                                assert_true(f.uid > w->shown[i].uid);
                                }
                        show(w, account, box, number, began, &f);
                }
}

/* Closed without marks; what that writes comes after the end of the trace. */
static uint64_t leave_running(struct world *w)
{
        uint64_t at = disk_recorded();

        for (size_t i = 0; i < w->set->table_size; i++)
                for (struct account *a = w->set->table[i]; a; a = a->chain)
                        a->wrote = false;
        accounts_close(&w->set);
        disk_record(NULL, NULL);
        return at;
}

static void one_round(struct world *w, const char *top, uint64_t seed)
{
        char next[240];
        uint64_t cut = 0;

        w->seed = seed;
        w->n = w->numbers = 0;
        snprintf(w->folder, sizeof w->folder, "%s/0", top);
        snprintf(w->trace, sizeof w->trace, "%s/trace", top);
        w->base[0] = 0;
        assert_int_equal(mkdir(w->folder, 0700), 0);
        for (unsigned i = 0; i < ACCOUNTS; i++) {
                w->created[i] = NEVER_YET;
                w->modseq[i] = 0;
        }
        for (unsigned generation = 1; generation <= GENERATIONS; generation++) {
                struct powercut *p;
                uint64_t at;

                next_boot(w);
                disk_record(w->folder, w->trace);
                w->set = fixture_open(w->folder, 2);
                if (generation > 1) {
                        unsigned n;

                        forget_after(w, cut);
                        n = w->n;
                        check_accounts(w, cut);
                        replay_log(w, cut);
                        check_promises(w, cut, n);
                        check_new_numbers(w);
                }
                work(w);
                at = leave_running(w);
                cut = roll(w, 3) ? at - roll(w, at < SOON ? at : SOON) : roll(w, at + 1);
                p = powercut_open(w->base[0] ? w->base : NULL, w->trace);
                assert_true(powercut_operations(p) >= at);
                snprintf(next, sizeof next, "%s/%u", top, generation);
                powercut_leave(p, cut, seed + generation, next);
                snprintf(next, sizeof next, "%s/base-%u", top, generation);
                powercut_leave(p, cut, seed + generation, next);
                powercut_close(&p);
                unlink(w->trace);
                snprintf(w->folder, sizeof w->folder, "%s/%u", top, generation);
                snprintf(w->base, sizeof w->base, "%s/base-%u", top, generation);
        }
}

static void promises_hold_after_power_cuts(void **state)
{
        static struct world w;
        const char *asked = getenv("POWERCUT_ROUNDS"); /* the long test asks for more */
        uint64_t rounds = ROUNDS;

        (void)state;
        if (asked)
                assert_true(str_u64(str_of(asked), &rounds));
        for (uint64_t seed = 1; seed <= rounds; seed++) {
                char top[] = "/tmp/pail-cut-XXXXXX";

                assert_non_null(mkdtemp(top));
                one_round(&w, top, seed * 1000);
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
