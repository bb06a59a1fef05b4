/* The whole store, and the power goes: letters are accepted, filed, shown, expunged, settled, some refused because a
 * sync failed, processes die in between; all of it is recorded (powercut.h). Then, for many moments and many fates of
 * what was not synced, what would have been left is opened, replayed and compared with what had been promised by then:
 * each accepted letter is there once, whole, unless its removal was acknowledged; nothing refused is; no uid names two
 * letters, no modseq comes twice.   PAIL_POWER_CUTS=n for more than some. */
#include "account_fixture.h"
#include "powercut.h"
#include "base/time.h"
#include "run/log.h"
#include "store/boot.h"
#include "store/disk.h"
#include "store/intake_parts.h"
#include <errno.h>

enum { ACCOUNTS = 3, LETTERS_MAX = 400, SHOWN_MAX = 8000, STEPS = 260, CUTS = 20, LIVES = 3 };
static const char *const names[ACCOUNTS] = { "jack@town.com", "jill@hill.com", "bob@hamburger.edu" };

/* When something began and when it was promised, in operations on the disk. */
#define NEVER_PROMISED UINT64_MAX
struct promise {
        uint64_t begun, done;
};
struct sent {
        struct promise accepted;
        bool refused;
        bool to[ACCOUNTS], out;        /* the outbox */
        struct promise gone[ACCOUNTS]; /* begun 0: never */
        size_t size;
};
static struct sent sent[LETTERS_MAX];
static unsigned sent_count;

/* What a client has seen: this uid of this account is that letter. */
struct shown {
        unsigned account;
        uint32_t uid;
        unsigned letter;
        uint64_t modseq, when;
};
static struct shown shown[SHOWN_MAX];
static unsigned shown_count;
static uint64_t made; /* the accounts were there by then */

struct world {
        struct accounts *accounts;
        struct outbox *outbox;
        struct intake *intake;
};

static int folder_in(const char *folder, const char *name)
{
        char path[256];
        int fd;

        snprintf(path, sizeof path, "%s/%s", folder, name);
        mkdir(path, 0700);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void make_folders(const char *folder)
{
        mkdir(folder, 0700);
        close(folder_in(folder, "mail"));
        close(folder_in(folder, "outbox"));
        close(folder_in(folder, "intake"));
}

static struct world open_world(const char *folder)
{
        struct intake_limits limits = {
                .segment_size = 200000, .max_log_size = 1 << 30, .settle_after = 3600, .unfile_after_ms = 1
        };
        struct intake_hooks hooks = { .processes = 1 };
        struct world w;

        assert_int_equal(accounts_open(&w.accounts, folder_in(folder, "mail"), 2), 0);
        assert_int_equal(outbox_open(&w.outbox, folder_in(folder, "outbox")), 0);
        assert_int_equal(
            intake_open(&w.intake, folder_in(folder, "intake"), w.accounts, w.outbox, &limits, &hooks), 0);
        return w;
}

static void close_world(struct world *w)
{
        intake_close(&w->intake);
        outbox_close(&w->outbox);
        accounts_close(&w->accounts);
}

/* Text that says which letter it is, and to be compared to the last byte. */
static void letter_text(struct buf *out, unsigned letter)
{
        fixture_letter(out, letter, sent[letter].size);
}

static unsigned letter_of(struct str text)
{
        struct str mark = S("Message-ID: <");
        size_t at = str_search(text, mark);
        unsigned n = 0;

        assert_true(at != STR_NONE);
        for (at += mark.n; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++)
                n = n * 10 + (unsigned)(text.p[at] - '0');
        assert_true(n < sent_count);
        return n;
}

static void send_one(struct world *w, uint64_t *seed)
{
        struct sent *s = &sent[sent_count];
        struct action actions[ACCOUNTS + 1];
        struct envelope e = { .sender = S("jack@town.com"), .actions = actions, .received = 1000000 };
        struct incoming *in;
        struct buf text;
        uint64_t id;
        int rc;

        if (sent_count == LETTERS_MAX)
                return;
        s->size = powercut_random(seed, 12) ? 300 + powercut_random(seed, 6000)
                                            : 70000 + powercut_random(seed, 90000);
        for (unsigned a = 0; a < ACCOUNTS; a++)
                if ((s->to[a] = powercut_random(seed, 2))) {
                        actions[e.count] = (struct action){ .kind = ACTION_FILE,
                                                            .number = a,
                                                            .account = str_of(names[a]),
                                                            .mailbox = INBOX };
                        e.count++;
                }
        if ((s->out = powercut_random(seed, 6) == 0))
                actions[e.count++] =
                    (struct action){ .kind = ACTION_SEND, .number = 9, .address = S("a@crepes.fr") };
        sent_count++;
        buf_init(&text, 200000);
        letter_text(&text, sent_count - 1);
        s->size = text.n;
        letter_text(&text, sent_count - 1);
        s->size = text.n;
        s->accepted = (struct promise){ disk_recorded(), NEVER_PROMISED };
        if (powercut_random(seed, 15) == 0)
                disk_fail_datasync(1 + (unsigned)powercut_random(seed, 2), EIO);
        assert_int_equal(intake_begin(w->intake, &in), 0);
        rc = incoming_put(in, buf_str(&text));
        if (rc == 0)
                rc = incoming_commit(in, &e, &id);
        incoming_free(&in);
        disk_fail_datasync(0, 0);
        s->refused = rc < 0;
        s->accepted.done = disk_recorded();
        buf_free(&text);
}

struct seen {
        unsigned letter;
        uint32_t uid;
};

/* Reads the whole INBOX, comparing every byte; how many letters. */
static size_t look(struct account *a, struct mailbox_view *view, struct seen **out)
{
        struct placed *list;
        struct buf text, want;
        size_t n, k = 0;

        assert_int_equal(account_view(a, INBOX, view), 0);
        assert_int_equal(account_list(a, view, &list, &n), 0);
        *out = mem_array(n, sizeof **out);
        buf_init(&text, 1 << 20);
        buf_init(&want, 1 << 20);
        for (size_t i = 0; i < n; i++) {
                if (!list[i].letter)
                        continue;
                buf_clear(&text);
                if (letter_read(a, list[i].letter, 0, 1 << 20, &text) < 0)
                        print_error(PRS ": uid %u, letter %u of %u octets cannot be read\n",
                                    STR(account_name(a)), list[i].uid, list[i].letter, list[i].size);
                assert_int_equal(text.n, list[i].size);
                (*out)[k] = (struct seen){ letter_of(buf_str(&text)), list[i].uid };
                letter_text(&want, (*out)[k].letter);
                assert_str(buf_str(&text), buf_str(&want));
                k++;
        }
        buf_free(&text);
        buf_free(&want);
        account_list_free(&list);
        return k;
}

static void look_and_expunge(struct world *w, unsigned which, uint64_t *seed, bool expunge)
{
        struct account *a;
        struct mailbox_view view;
        struct seen *seen;
        uint32_t uids[LETTERS_MAX];
        size_t n, gone = 0;

        assert_int_equal(account_get(w->accounts, str_of(names[which]), &a), 0);
        n = look(a, &view, &seen);
        for (size_t k = 0; k < n && shown_count < SHOWN_MAX; k++)
                shown[shown_count++] =
                    (struct shown){ which, seen[k].uid, seen[k].letter, view.modseq, disk_recorded() };
        for (size_t k = 0; expunge && k < n; k++)
                if (powercut_random(seed, 3) == 0) {
                        uids[gone++] = seen[k].uid;
                        sent[seen[k].letter].gone[which] =
                            (struct promise){ disk_recorded(), NEVER_PROMISED };
                }
        if (gone) {
                assert_int_equal(account_expunge(a, &view, uids, gone), 0);
                for (size_t k = 0; k < n; k++)
                        if (sent[seen[k].letter].gone[which].done == NEVER_PROMISED)
                                sent[seen[k].letter].gone[which].done = disk_recorded();
        }
        account_put(&a);
        mem_free(seen);
}

/* The process dies and another one replays; the accounts, whose process it also was, are found as it left them. */
static void restart(struct world *w, const char *folder)
{
        close_world(w);
        *w = open_world(folder);
        assert_int_equal(intake_replay(w->intake), 0);
}

static void live(const char *folder, uint64_t *seed)
{
        struct world w = open_world(folder);

        for (unsigned a = 0; a < ACCOUNTS; a++)
                assert_int_equal(account_create(w.accounts, str_of(names[a])), 0);
        made = disk_recorded();
        for (int step = 0; step < STEPS; step++) {
                uint64_t dice = powercut_random(seed, 100);

                if (dice < 55)
                        send_one(&w, seed);
                else if (dice < 78)
                        (void)file_one_batch(w.intake);
                else if (dice < 84)
                        look_and_expunge(&w, (unsigned)powercut_random(seed, ACCOUNTS), seed, false);
                else if (dice < 91)
                        look_and_expunge(&w, (unsigned)powercut_random(seed, ACCOUNTS), seed, true);
                else if (dice < 95)
                        (void)keep_house(w.intake); /* settles what is closed */
                else if (dice < 98)
                        (void)!intake_drain(w.intake, 0);
                else
                        restart(&w, folder);
        }
        close_world(&w);
}

/* Was it promised by then, and how often may it be there? */
static void expect(const struct sent *s, unsigned account, uint64_t at, unsigned *least, unsigned *most)
{
        const struct promise *gone = &s->gone[account];

        *least = s->accepted.done <= at && !s->refused;
        *most = s->accepted.begun < at && !(s->refused && s->accepted.done <= at);
        if (gone->begun && gone->begun <= at)
                *least = 0;
        if (gone->begun && gone->done <= at)
                *most = 0;
}

static void check_account(struct world *w, unsigned which, uint64_t at)
{
        unsigned found[LETTERS_MAX] = { 0 }, least, most, wrong = 0;
        struct account *a;
        struct mailbox_view view;
        struct seen *seen;
        struct buf words;
        struct str rest, line;
        size_t n;

        buf_init(&words, 100000);
        assert_int_equal(account_get(w->accounts, str_of(names[which]), &a), 0);
        n = look(a, &view, &seen);
        for (size_t k = 0; k < n; k++) {
                found[seen[k].letter]++;
                for (unsigned i = 0; i < shown_count; i++)
                        if (shown[i].account == which && shown[i].when <= at && shown[i].uid == seen[k].uid)
                                assert_int_equal(shown[i].letter, seen[k].letter);
        }
        for (unsigned i = 0; i < shown_count; i++)
                if (shown[i].account == which && shown[i].when <= at)
                        assert_true(view.modseq >= shown[i].modseq); /* the same only after a clean close */
        for (unsigned k = 0; k < sent_count; k++) {
                expect(&sent[k], which, at, &least, &most);
                if (!sent[k].to[which])
                        least = most = 0;
                if (found[k] < least || found[k] > most)
                        print_error("%s: letter %u (%zu octets) is there %u times, not %u to %u\n",
                                    names[which], k, sent[k].size, found[k], least, most);
                assert_in_range(found[k], least, most);
        }
        assert_int_equal(account_check(a, &words, &wrong), 0);
        rest = buf_str(&words);
        while (str_cut(&rest, '\n', &line))
                if (!str_ends(line, S("belongs to no letter"))) /* which STATES.md allows */
                        assert_str(line, S(""));
        buf_free(&words);
        mem_free(seen);
        account_put(&a);
}

static void check_outbox(struct world *w, uint64_t at)
{
        unsigned found[LETTERS_MAX] = { 0 }, wrong = 0;
        static struct outbox_letter list[LETTERS_MAX];
        static const struct outbox_filter any;
        struct outbox_attempt *attempts;
        struct arena m;
        struct buf text;
        size_t n = LETTERS_MAX, attempt_count;

        arena_init(&m, 1 << 24);
        buf_init(&text, 1 << 20);
        assert_int_equal(outbox_list(w->outbox, &any, 0, &m, list, &n), 0);
        for (size_t k = 0; k < n; k++) {
                struct outbox_letter l;

                buf_clear(&text);
                assert_int_equal(outbox_show(w->outbox, list[k].id, &m, &l, &attempts, &attempt_count, &text),
                                 0);
                found[letter_of(buf_str(&text))]++;
        }
        for (unsigned k = 0; k < sent_count; k++) {
                bool sure = sent[k].out && sent[k].accepted.done <= at && !sent[k].refused;
                bool may = sent[k].out && sent[k].accepted.begun < at &&
                           !(sent[k].refused && sent[k].accepted.done <= at);

                assert_in_range(found[k], sure, may);
        }
        buf_clear(&text);
        assert_int_equal(outbox_check(w->outbox, &text, &wrong), 0);
        assert_int_equal(wrong, 0);
        buf_free(&text);
        arena_finish(&m);
}

static void check_after(const char *folder, uint64_t at)
{
        struct world w = open_world(folder);
        struct arena m;
        struct intake_unfiled *unfiled;
        size_t n;

        assert_int_equal(intake_replay(w.intake), 0);
        assert_int_equal(intake_drain(w.intake, in_seconds(60)), 0);
        for (unsigned a = 0; a < ACCOUNTS; a++)
                check_account(&w, a, at);
        check_outbox(&w, at);
        arena_init(&m, 1 << 20);
        assert_int_equal(intake_unfiled_list(w.intake->dir, &m, &unfiled, &n), 0);
        assert_int_equal(n, 0);
        arena_finish(&m);
        close_world(&w);
}

static void next_boot(void)
{
        static unsigned boots;
        char boot[20];

        snprintf(boot, sizeof boot, "boot %u", ++boots);
        boot_id_for_tests(boot);
}

struct paths {
        char base[64], live[64], left[64], trace[64];
};

static struct paths paths_in(const char *folder, int level)
{
        struct paths p;

        snprintf(p.base, sizeof p.base, "%s/base%d", folder, level);
        snprintf(p.live, sizeof p.live, "%s/live%d", folder, level);
        snprintf(p.left, sizeof p.left, "%s/left%d", folder, level);
        snprintf(p.trace, sizeof p.trace, "%s/trace%d", folder, level);
        return p;
}

/* While what the first cut left is being replayed, the power goes again. */
static void cut_the_recovery(struct powercut *first, uint64_t at, uint64_t fate, const char *folder,
                             uint64_t *seed)
{
        struct paths paths = paths_in(folder, 2);
        struct powercut *p;
        uint64_t operations;

        powercut_leave(first, at, fate, paths.base);
        powercut_leave(first, at, fate, paths.live);
        disk_record(paths.live, paths.trace);
        check_after(paths.live, at);
        disk_record(NULL, NULL);
        p = powercut_open(paths.base, paths.trace);
        operations = powercut_operations(p);
        for (int k = 0; k < 3; k++) {
                uint64_t again = powercut_random(seed, operations + 1);

                next_boot();
                powercut_leave(p, again, *seed, paths.left);
                check_after(paths.left, at);
                fixture_remove(paths.left);
        }
        powercut_close(&p);
        fixture_remove(paths.base);
        fixture_remove(paths.live);
        remove(paths.trace);
}

static void one_life(const char *folder, uint64_t seed, unsigned cuts)
{
        struct paths paths = paths_in(folder, 1);
        struct powercut *p;
        uint64_t operations;

        memset(sent, 0, sizeof sent);
        sent_count = shown_count = 0;
        make_folders(paths.base); /* as pail init does, and synced long before */
        make_folders(paths.live);
        next_boot();
        disk_record(paths.live, paths.trace);
        live(paths.live, &seed);
        disk_record(NULL, NULL);
        assert_true(sent_count > 100);
        p = powercut_open(paths.base, paths.trace);
        operations = powercut_operations(p);
        for (unsigned k = 0; k < cuts; k++) {
                uint64_t at = made + powercut_random(&seed, operations - made + 1), fate = seed;

                next_boot();
                powercut_leave(p, at, fate, paths.left);
                check_after(paths.left, at);
                fixture_remove(paths.left);
                if (k % 5 == 0)
                        cut_the_recovery(p, at, fate, folder, &seed);
        }
        powercut_close(&p);
        fixture_remove(paths.base);
        fixture_remove(paths.live);
        remove(paths.trace);
}

static void keeps_its_word(void **state)
{
        const char *more = getenv("PAIL_POWER_CUTS"), *from = getenv("PAIL_POWER_SEED");
        unsigned lives = more ? (unsigned)strtoul(more, NULL, 10) / CUTS + 1 : LIVES;
        uint64_t seed = from ? strtoull(from, NULL, 10) : 20261120;
        char folder[40];

        (void)state;
        /* In memory where that can be: what a sync is worth here is up to powercut.c, not to the disk. */
        snprintf(folder, sizeof folder, "%s/pail-store-XXXXXX",
                 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
        assert_non_null(mkdtemp(folder));
        for (unsigned k = 0; k < lives; k++) {
                if (more)
                        print_message("PAIL_POWER_SEED=%llu\n", (unsigned long long)seed + k);
                one_life(folder, seed + k, CUTS);
        }
        boot_id_for_tests("");
        fixture_remove(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_its_word) };

        log_quiet = true;
        return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
