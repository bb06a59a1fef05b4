/* The promises of store/mailbox.h and store/sharing.h after power cuts: edits are recorded, cut at random moments, and what is left is
 * what stood after the last edit that had returned, or after the one that was running. No number comes twice. */
#include "account_fixture.h"
#include "powercut.h"
#include "run/log.h"
#include "store/account_inside.h"
#include "store/boot.h"
#include "store/disk.h"
#include "store/mailbox.h"
#include <errno.h>

enum { ROUNDS = 6, CUTS = 12, EDITS = 40 };

static struct accounts *set;
static struct account *jill;
static struct sharing *sharing;
static struct arena m;
static uint64_t seed;
static unsigned boots;

static unsigned roll(unsigned n)
{
        return (unsigned)powercut_random(&seed, n);
}

static void open_world(const char *folder)
{
        char path[300], boot[20];

        snprintf(boot, sizeof boot, "boot-%u", ++boots);
        boot_id_for_tests(boot);
        snprintf(path, sizeof path, "%s/mail", folder);
        disk_mkdir(AT_FDCWD, path);
        set = fixture_open(path, 4);
        snprintf(path, sizeof path, "%s/sharing.db", folder);
        assert_int_equal(sharing_open(&sharing, path), 0);
        accounts_share(set, sharing);
}

/* Everything that an edit can change, as text. */
static struct str state_now(uint32_t *highest)
{
        struct mailbox_entry *list;
        struct annotation *notes;
        struct acl_entry *acl;
        struct str *names;
        struct buf out;
        struct str s;
        size_t n, k;

        buf_init(&out, 1 << 20);
        assert_int_equal(mailbox_all(jill, JILL, &m, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
                struct access x;

                *highest = list[i].mailbox > *highest ? list[i].mailbox : *highest;
                buf_printf(&out, PRS ":%u:%u:%u:" PRS, STR(list[i].path), list[i].mailbox,
                           list[i].uidvalidity, list[i].bits & MAILBOX_NOSELECT, STR(list[i].role));
                assert_int_equal(access_open(&x, set, JILL, JILL, list[i].path, RIGHT_ADMIN), 0);
                assert_int_equal(mailbox_acl(&x, &m, &acl, &k), 0);
                access_close(&x);
                for (size_t j = 1; j < k; j++)
                        buf_printf(&out, " " PRS "=%u", STR(acl[j].identifier), acl[j].rights);
                assert_int_equal(mailbox_annotations(jill, 0, list[i].mailbox, &m, &notes, &k), 0);
                for (size_t j = 0; j < k; j++)
                        buf_printf(&out, " " PRS, STR(notes[j].value));
                buf_puts(&out, S("\n"));
        }
        assert_int_equal(mailbox_subscriptions(jill, &m, &names, &n), 0);
        for (size_t i = 0; i < n; i++)
                buf_printf(&out, PRS "\n", STR(names[i]));
        s = arena_str(&m, buf_str(&out));
        buf_free(&out);
        return s;
}

/* One of a few names, so that edits meet. */
static struct str some_name(void)
{
        static const char *const names[] = { "a", "b", "a/b", "a/b/c", "b/a", "c/d/e", "INBOX/x", "Trash" };

        return str_of(names[roll(sizeof names / sizeof names[0])]);
}

static void set_rights(struct str mailbox)
{
        static const char *const people[] = { "anyone", "jack@town.com", "$town.com", "-bob@town.com" };
        struct access x;

        if (access_open(&x, set, JILL, JILL, mailbox, RIGHT_ADMIN))
                return;
        assert_int_equal(mailbox_set_acl(&x, sharing, str_of(people[roll(4)]), ACL_SET,
                                         roll(3) ? 1 + roll(RIGHTS_ALL) : 0),
                         0);
        access_close(&x);
}

static void edit(unsigned number)
{
        struct str name = some_name();
        struct mailbox_view view;
        struct annotation note = { S("/private/comment"), arena_printf(&m, "%u", number) };
        uint32_t mailbox;

        switch (roll(6)) {
        case 0: (void)!mailbox_create(jill, JILL, name, roll(4) ? S("") : S("all"), &mailbox); break;
        case 1: (void)!mailbox_delete(jill, JILL, name); break;
        case 2: (void)!mailbox_rename(jill, JILL, name, some_name()); break;
        case 3: assert_int_equal(mailbox_subscribe(jill, name, roll(2)), 0); break;
        case 4: set_rights(name); break;
        case 5:
                if (!account_view(jill, name, &view))
                        assert_int_equal(mailbox_annotate(jill, 0, view.mailbox, &note, 1), 0);
        }
}

/* Who was granted something is known to sharing, whatever has become of the counts. */
static void check_sharing(void)
{
        struct share *told;
        struct mailbox_entry *list;
        struct acl_entry *acl;
        size_t n, k, told_n;

        assert_int_equal(sharing_of(sharing, JILL, &m, &told, &told_n), 0);
        assert_int_equal(mailbox_all(jill, JILL, &m, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
                struct access x;

                assert_int_equal(access_open(&x, set, JILL, JILL, list[i].path, RIGHT_ADMIN), 0);
                assert_int_equal(mailbox_acl(&x, &m, &acl, &k), 0);
                access_close(&x);
                for (size_t j = 1; j < k; j++) {
                        bool found = acl[j].identifier.p[0] == '-';

                        for (size_t t = 0; t < told_n; t++)
                                found |= str_eq(told[t].identifier, acl[j].identifier);
                        assert_true(found);
                }
        }
}

struct moment {
        uint64_t at; /* operations when the edit had returned */
        struct str state;
};

static void check_cut(struct powercut *p, const char *top, uint64_t cut, const struct moment *moments,
                      uint32_t highest)
{
        struct buf said;
        char folder[300];
        uint32_t unused = 0, fresh = 0;
        unsigned last = 0, wrong = 0;
        struct str state;

        while (last < EDITS && moments[last + 1].at <= cut)
                last++;
        snprintf(folder, sizeof folder, "%s/cut", top);
        powercut_leave(p, cut, cut + 1, folder);
        open_world(folder);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        state = state_now(&unused);
        if (last < EDITS && str_eq(state, moments[last + 1].state))
                last++;
        assert_str(state, moments[last].state);
        check_sharing();
        buf_init(&said, 65536);
        assert_int_equal(account_check(jill, &said, &wrong), 0);
        assert_str(buf_str(&said), S(""));
        buf_free(&said);
        assert_int_equal(mailbox_create(jill, JILL, S("fresh"), S(""), &fresh), 0);
        assert_true(fresh > highest);
        account_put(&jill);
        accounts_close(&set);
        sharing_close(&sharing);
        fixture_remove(folder);
}

static void one_round(const char *top)
{
        struct moment moments[EDITS + 1];
        char folder[300], trace[300];
        struct powercut *p;
        uint32_t highest = 0;

        snprintf(folder, sizeof folder, "%s/world", top);
        snprintf(trace, sizeof trace, "%s/trace", top);
        assert_int_equal(mkdir(folder, 0700), 0);
        disk_record(folder, trace);
        open_world(folder);
        assert_int_equal(account_create(set, JILL), 0);
        assert_int_equal(account_get(set, JILL, &jill), 0);
        for (unsigned i = 0; i <= EDITS; i++) {
                if (i)
                        edit(i);
                moments[i].at = disk_recorded();
                moments[i].state = state_now(&highest);
        }
        account_put(&jill);
        for (size_t i = 0; i < set->table_size; i++) /* nothing that closing writes counts */
                for (struct account *a = set->table[i]; a; a = a->chain)
                        a->wrote = false;
        accounts_close(&set);
        sharing_close(&sharing);
        disk_record(NULL, NULL);
        p = powercut_open(NULL, trace);
        for (unsigned i = 0; i < CUTS; i++)
                check_cut(p, top,
                          moments[0].at + powercut_random(&seed, moments[EDITS].at - moments[0].at + 1),
                          moments, highest);
        powercut_close(&p);
}

static void edits_survive_power_cuts(void **state)
{
        (void)state;
        for (unsigned round = 1; round <= ROUNDS; round++) {
                char top[] = "/tmp/pail-mailbox-cut-XXXXXX";

                seed = round * 77;
                arena_init(&m, 256 << 20);
                assert_non_null(mkdtemp(top));
                one_round(top);
                fixture_remove(top);
                arena_finish(&m);
        }
        boot_id_for_tests("");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(edits_survive_power_cuts),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
