/* The promises of the outbox (STATES.md) after power cuts at random moments: what is put, settled, taken and done is recorded and cut anywhere;
 * what is left is opened as after a reboot, the log hands over again what was not settled, and every recipient is counted. */
#include "account_fixture.h"
#include "powercut.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/body.h"
#include "store/boot.h"
#include "store/disk.h"
#include "store/outbox.h"
#include <errno.h>

enum {
        DOMAINS = 3,
        CONNECTIONS = 4,
        RECIPIENTS = 3,
        LETTERS = 60,
        A_SEGMENT = 8,
        EVENTS = 400,
        STEPS = 220,
        ROUNDS = 4,
        CUTS = 60
};
#define NEVER_YET UINT64_MAX
/* Inside a fiber cmocka must not jump out: what does not hold there ends the process. */
#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define ANY_TIME   (INT64_MAX / 2)

static const char *const domains[DOMAINS] = { "crepes.fr", "hamburger.edu", "hill.com" };
#define WATCHED "town.com" /* where reports go; nothing is sent there, so that all of them stay */

/* Positions are those of the trace. */
struct letter {
        uint64_t put, settled; /* the log has it; its segment may be forgotten */
        unsigned count, domain[RECIPIENTS];
        bool over[RECIPIENTS];
};
/* One outbox_done, or one removal by a verb: its results are there together or not at all. */
struct event {
        uint64_t begun, returned;
        unsigned letter;
        enum outcome outcome[RECIPIENTS]; /* 0: not in it */
        bool removed, reported;
};
static struct world {
        char folder[240], trace[240];
        uint64_t seed;
        struct outbox *outbox;
        struct arena arena;
        struct letter letters[LETTERS];
        struct event events[EVENTS];
        unsigned letter_count, event_count, boots;
        unsigned sending; /* fibers */
        uint64_t end;     /* of the trace */
} w;

static uint64_t roll(uint64_t n)
{
        return powercut_random(&w.seed, n);
}

static bool exists(void *context, uint64_t segment)
{
        (void)context;
        for (unsigned i = 0; i < A_SEGMENT; i++) {
                uint64_t number = (segment - 1) * A_SEGMENT + i;

                if (number >= w.letter_count || w.letters[number].settled == NEVER_YET)
                        return true;
        }
        return false;
}

static int folder_of(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        must(fd >= 0);
        return fd;
}

static void open_outbox(const char *path)
{
        must(outbox_open(&w.outbox, folder_of(path)) == 0);
        outbox_segments(w.outbox, exists, NULL);
        must(outbox_begin(w.outbox) == 0);
}

static void next_boot(void)
{
        char id[20];

        snprintf(id, sizeof id, "boot-%u", ++w.boots);
        boot_id_for_tests(id);
}

/* ---- the workload ---- */

static void text_of(struct buf *out, unsigned number)
{
        fixture_letter(out, number, number % 4 == 1 ? 70000 + number * 17 : 200 + number % 5 * 300);
}

/* As the intake does it, the first time and at a replay: a long letter is staged. */
static void hand_over(const char *path, unsigned number)
{
        const struct letter *l = &w.letters[number];
        struct envelope e = { .sender = S("jack@town.com"), .received = 1000 + number };
        struct action actions[RECIPIENTS];
        const struct action *list[RECIPIENTS];
        struct outbox_put p = { .segment = number / A_SEGMENT + 1,
                                .sequence = number % A_SEGMENT + 1,
                                .envelope = &e,
                                .actions = list,
                                .count = l->count,
                                .staged_dir = -1 };
        struct buf text;
        char name[40];

        buf_init(&text, 200000);
        text_of(&text, number);
        e.size = text.n;
        for (unsigned i = 0; i < l->count; i++) {
                actions[i] = (struct action){ .number = i,
                                              .kind = ACTION_SEND,
                                              .address = arena_printf(&w.arena, "to%u@%s", number,
                                                                      domains[l->domain[i]]) };
                list[i] = &actions[i];
        }
        if (text.n > 65536) {
                struct body_stage *b;

                p.staged_dir = folder_of(path);
                snprintf(name, sizeof name, "stage-%u-%llu", number, (unsigned long long)roll(UINT32_MAX));
                must(body_stage_open(&b, p.staged_dir, name) == 0);
                must(body_stage_put(b, buf_str(&text)) == 0);
                must(body_stage_finish(b) == 0);
                body_stage_close(&b, true);
                p.staged_name = name;
        } else {
                p.text = buf_str(&text);
        }
        must(outbox_put(w.outbox, &p, 1) == 0);
        must(p.error == 0);
        if (p.staged_name) {
                disk_unlink(p.staged_dir, name);
                close(p.staged_dir);
        }
        buf_free(&text);
}

static void step_put(void)
{
        struct letter *l = &w.letters[w.letter_count];

        if (w.letter_count == LETTERS)
                return;
        *l = (struct letter){ .put = disk_recorded(),
                              .settled = NEVER_YET,
                              .count = 1 + (unsigned)roll(RECIPIENTS) };
        for (unsigned i = 0; i < l->count; i++)
                l->domain[i] = (unsigned)roll(DOMAINS);
        hand_over(w.folder, w.letter_count);
        w.letter_count++;
}

static void step_settle(void)
{
        must(outbox_settle(w.outbox) == 0);
        for (unsigned i = 0; i < w.letter_count; i++)
                if (w.letters[i].settled == NEVER_YET)
                        w.letters[i].settled = disk_recorded();
}

/* The number that its text bears; checks the text. */
static unsigned number_of(struct outbox_job *j)
{
        struct buf got, want;
        struct str line;
        uint64_t number = 0;
        size_t at;

        buf_init(&got, 1 << 20);
        buf_init(&want, 1 << 20);
        if (j->text.p)
                buf_puts(&got, j->text);
        else
                while (got.n < j->size) {
                        must(outbox_text(w.outbox, j->letter, got.n, &got, 60000) == 0);
                        must(got.n > 0);
                }
        at = str_search(buf_str(&got), S("Subject: pail "));
        must(at != STR_NONE);
        line = str_from_at(buf_str(&got), at + 14);
        line.n = str_search(line, S("\r"));
        must(str_u64(line, &number) && number < w.letter_count);
        text_of(&want, (unsigned)number);
        must(str_eq(buf_str(&got), buf_str(&want)));
        buf_free(&got);
        buf_free(&want);
        return (unsigned)number;
}

/* One letter to one domain: the peer has answered, and that is written down. */
static void send_one(struct outbox_job *j)
{
        unsigned self = w.event_count++;
        struct event *e = &w.events[self];
        struct outbox_result results[RECIPIENTS];
        struct outbox_report report = { .recipient = S("jack@" WATCHED) };
        struct outbox_done done = { .letter = j->letter,
                                    .destination = j->destination,
                                    .results = results,
                                    .count = j->count,
                                    .conversation = S("C: DATA\nS: 354 go on\n"),
                                    .at = 5000 + self };

        *e = (struct event){ .begun = NEVER_YET, .returned = NEVER_YET, .letter = number_of(j) };
        for (unsigned i = 0; i < j->count; i++) {
                uint32_t number = j->recipients[i].number;
                uint64_t what = roll(10);

                e->outcome[number] = what < 5 ? SENT : what < 8 ? DEFERRED : FAILED;
                e->reported |= e->outcome[number] == FAILED;
                results[i] = (struct outbox_result){ number,
                                                     e->outcome[number],
                                                     7000,
                                                     S("4.0.0"),
                                                     arena_printf(&w.arena, "event %u", self),
                                                     S("mx") };
                w.letters[e->letter].over[number] = e->outcome[number] != DEFERRED;
        }
        if (e->reported) {
                report.text = arena_printf(&w.arena, "Subject: report\r\n\r\nevent %u\r\n", self);
                done.reports = &report;
                done.report_count = 1;
        }
        e->begun = disk_recorded();
        must(outbox_done(w.outbox, &done) == 0);
        e->returned = disk_recorded();
}

static unsigned take(const char *domain, struct outbox_job *jobs, size_t n)
{
        struct outbox_destination d;

        if (outbox_destination(w.outbox, str_of(domain), &w.arena, &d) < 0)
                return 0;
        must(outbox_take(w.outbox, d.id, ANY_TIME, jobs, &n, RECIPIENTS) == 0);
        return (unsigned)n;
}

static void sender(void *job)
{
        send_one(job);
        w.sending--;
}

/* Some connections at once, and their results in whatever commits they come together. */
static void step_send(void)
{
        struct outbox_job jobs[CONNECTIONS];
        unsigned n = take(domains[roll(DOMAINS)], jobs, 1 + roll(CONNECTIONS));

        for (unsigned i = 0; i < n; i++)
                if (w.event_count + n < EVENTS && roll(12)) {
                        must(fiber_spawn("sender", sender, &jobs[i]) == 0);
                        w.sending++;
                } else {
                        must(outbox_give_back(w.outbox, &jobs[i]) == 0);
                }
        while (w.sending)
                must(fiber_sleep(now()) == 0);
        for (unsigned i = 0; i < n; i++)
                outbox_job_free(&jobs[i]);
}

/* A verb takes away what is left of a letter; of one whose recipients are all in one domain, for another order is another commit. */
static void step_remove(void)
{
        struct event *e = &w.events[w.event_count];
        unsigned number = (unsigned)roll(w.letter_count + 1);
        struct letter *l = &w.letters[number];
        struct outbox_filter f = { 0 };
        uint64_t n;

        if (number == w.letter_count || w.event_count == EVENTS)
                return;
        for (unsigned i = 1; i < l->count; i++)
                if (l->domain[i] != l->domain[0])
                        return;
        *e = (struct event){ .letter = number, .removed = true };
        for (unsigned i = 0; i < l->count; i++) {
                e->outcome[i] = l->over[i] ? 0 : SENT;
                l->over[i] = true;
        }
        f.recipient = arena_printf(&w.arena, "to%u@%s", number, domains[l->domain[0]]);
        e->begun = disk_recorded();
        must(outbox_order(w.outbox, ORDER_REMOVE, &f, &n) == 0);
        e->returned = disk_recorded();
        w.event_count++;
}

static void work(void)
{
        for (unsigned i = 0; i < STEPS; i++) {
                uint64_t what = roll(100);

                if (what < 30) {
                        step_put();
                } else if (what < 80) {
                        step_send();
                } else if (what < 88) {
                        step_settle();
                } else if (what < 94) {
                        step_remove();
                } else if (what < 97) {
                        outbox_close(&w.outbox);
                        if (roll(2))
                                next_boot();
                        open_outbox(w.folder);
                }
        }
}

static void workload(void *arg)
{
        (void)arg;
        open_outbox(w.folder);
        work();
        w.end = disk_recorded();
        outbox_close(&w.outbox);
        loop_stop();
}

/* ---- what a cut leaves ---- */

struct found {
        bool there[LETTERS][RECIPIENTS];
        unsigned attempts[LETTERS][RECIPIENTS];
        unsigned reports[EVENTS];
};

static void find_letters(struct found *f)
{
        static struct outbox_job jobs[LETTERS];

        for (unsigned d = 0; d < DOMAINS; d++) {
                unsigned n;

                while ((n = take(domains[d], jobs, LETTERS)))
                        for (unsigned i = 0; i < n; i++) {
                                unsigned number = number_of(&jobs[i]);

                                for (unsigned k = 0; k < jobs[i].count; k++) {
                                        const struct outbox_recipient *r = &jobs[i].recipients[k];

                                        assert_true(r->number < w.letters[number].count);
                                        assert_int_equal(w.letters[number].domain[r->number], d);
                                        assert_false(f->there[number][r->number]); /* never two rows of one */
                                        f->there[number][r->number] = true;
                                        f->attempts[number][r->number] = r->attempts;
                                }
                                outbox_job_free(&jobs[i]);
                        }
        }
}

static void find_reports(struct found *f)
{
        static struct outbox_job jobs[32];
        unsigned n;

        while ((n = take(WATCHED, jobs, LENGTH(jobs))))
                for (unsigned i = 0; i < n; i++) {
                        size_t at = str_search(jobs[i].text, S("event "));
                        struct str line = str_from_at(jobs[i].text, at + 6);
                        uint64_t event;

                        line.n = str_search(line, S("\r"));
                        assert_true(str_u64(line, &event) && event < w.event_count);
                        f->reports[event]++;
                        outbox_job_free(&jobs[i]);
                }
}

/* Was event k written down? What had returned was; what had not begun was not; the one between may have been. */
static bool is_there(const struct found *f, unsigned k, uint64_t at)
{
        const struct event *e = &w.events[k];

        if (e->returned <= at || e->begun > at)
                return e->returned <= at;
        for (unsigned i = 0; i < RECIPIENTS; i++) {
                unsigned before = 0;

                if (!e->outcome[i])
                        continue;
                for (unsigned m = 0; m < k; m++)
                        before += w.events[m].letter == e->letter && w.events[m].outcome[i] == DEFERRED;
                return !f->there[e->letter][i] || f->attempts[e->letter][i] > before;
        }
        return false; /* a removal of nothing */
}

static void check_promises(const struct found *f, uint64_t at)
{
        bool applied[EVENTS];
        unsigned twice = 0;

        for (unsigned k = 0; k < w.event_count; k++) {
                applied[k] = is_there(f, k, at);
                assert_int_equal(f->reports[k], applied[k] && w.events[k].reported);
                twice += w.events[k].begun <= at && !applied[k] && !w.events[k].removed;
        }
        assert_in_range(twice, 0, CONNECTIONS); /* what was under way, one letter a connection */
        for (unsigned n = 0; n < w.letter_count; n++) {
                const struct letter *l = &w.letters[n];

                for (unsigned i = 0; i < l->count; i++) {
                        bool waits = l->put <= at;
                        unsigned attempts = 0;

                        for (unsigned k = 0; k < w.event_count; k++)
                                if (applied[k] && w.events[k].letter == n && w.events[k].outcome[i]) {
                                        waits &= w.events[k].outcome[i] == DEFERRED;
                                        attempts++;
                                }
                        assert_int_equal(f->there[n][i], waits);
                        if (waits)
                                assert_int_equal(f->attempts[n][i], attempts);
                }
        }
}

static void healthy(void)
{
        struct buf said;
        unsigned wrong = 0;

        buf_init(&said, 1 << 20);
        assert_int_equal(outbox_check(w.outbox, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
        assert_int_equal(wrong, 0);
        buf_free(&said);
}

static void check_cut(const char *left, uint64_t at)
{
        static struct found f;

        memset(&f, 0, sizeof f);
        next_boot();
        open_outbox(left);
        for (unsigned n = 0; n < w.letter_count; n++)
                if (w.letters[n].put <= at && w.letters[n].settled > at)
                        hand_over(left, n);
        healthy();
        find_letters(&f);
        find_reports(&f);
        check_promises(&f, at);
        outbox_close(&w.outbox);
}

static void one_round(const char *top, uint64_t seed)
{
        struct powercut *p;

        w.seed = seed;
        w.letter_count = w.event_count = 0;
        snprintf(w.folder, sizeof w.folder, "%s/0", top);
        snprintf(w.trace, sizeof w.trace, "%s/trace", top);
        assert_int_equal(mkdir(w.folder, 0700), 0);
        arena_init(&w.arena, 1 << 26);
        next_boot();
        disk_record(w.folder, w.trace);
        loop_init();
        assert_int_equal(offload_start(2, 1), 0);
        assert_int_equal(fiber_spawn("workload", workload, NULL), 0);
        loop_run();
        offload_finish();
        loop_finish();
        disk_record(NULL, NULL);
        p = powercut_open(NULL, w.trace);
        assert_true(powercut_operations(p) >= w.end);
        for (unsigned i = 0; i < CUTS; i++) {
                const struct event *e = &w.events[roll(w.event_count)];
                uint64_t at = i % 2 ? roll(w.end + 1) : e->begun + roll(e->returned - e->begun + 1);
                char left[300];

                snprintf(left, sizeof left, "%s/%u", top, i + 1);
                powercut_leave(p, at, seed + i, left);
                check_cut(left, at);
                fixture_remove(left);
        }
        powercut_close(&p);
        arena_finish(&w.arena);
}

static void promises_hold_after_power_cuts(void **state)
{
        const char *asked = getenv("POWERCUT_ROUNDS"); /* the long test asks for more */
        uint64_t rounds = ROUNDS;

        (void)state;
        if (asked)
                assert_true(str_u64(str_of(asked), &rounds));
        for (uint64_t seed = 1; seed <= rounds; seed++) {
                char top[] = "/tmp/pail-outcut-XXXXXX";

                assert_non_null(mkdtemp(top));
                one_round(top, seed * 1000);
                fixture_remove(top);
        }
        boot_id_for_tests("");
}

/* What a failed sync may have lost is not acknowledged: it stays taken, is said again as the sender does, and tells its letter's sender once. */
static void said_again(enum outcome outcome, unsigned reports)
{
        char top[] = "/tmp/pail-outcut-XXXXXX", trace[64];
        struct outbox_job job, again;
        struct found f = { 0 };
        struct outbox_result r = { .outcome = outcome, .next = 7000, .status = S("5.0.0") };
        struct outbox_report report = { S("jack@" WATCHED), S("Subject: report\r\n\r\nevent 0\r\n"), S("") };
        struct outbox_done done = { .results = &r,
                                    .count = 1,
                                    .reports = &report,
                                    .report_count = outcome != DEFERRED,
                                    .conversation = S("C: QUIT\n"),
                                    .at = 1 };

        assert_non_null(mkdtemp(top));
        snprintf(trace, sizeof trace, "%s.trace", top);
        arena_init(&w.arena, 1 << 20);
        w.letter_count = w.event_count = 1;
        w.letters[0] = (struct letter){ .count = 1, .settled = NEVER_YET };
        disk_record(top, trace);
        open_outbox(top);
        hand_over(top, 0);
        assert_int_equal(take(domains[0], &job, 1), 1);
        done.letter = job.letter;
        done.destination = job.destination;
        disk_fail_datasync(1, EIO);
        assert_true(outbox_done(w.outbox, &done) < 0);
        assert_int_equal(take(domains[0], &again, 1), 0);
        assert_int_equal(outbox_done(w.outbox, &done), 0);
        find_letters(&f);
        assert_int_equal(f.there[0][0], outcome != FAILED && outcome != SENT);
        find_reports(&f);
        assert_int_equal(f.reports[0], reports);
        outbox_job_free(&job);
        outbox_close(&w.outbox);
        disk_record(NULL, NULL);
        arena_finish(&w.arena);
        unlink(trace);
        fixture_remove(top);
}

static void a_failed_sync_is_no_result(void **state)
{
        (void)state;
        said_again(SENT, 1);
        said_again(FAILED, 1);
        said_again(NOTIFIED, 1);
        said_again(DEFERRED, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(promises_hold_after_power_cuts),
                cmocka_unit_test(a_failed_sync_is_no_result),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("outbox cut", tests, NULL, NULL);
}
