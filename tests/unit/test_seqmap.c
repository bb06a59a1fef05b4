/* Sequence numbers beside a model that is plainly right: an array of the uids, in order. */
#include "unit.h"
#include "proto/imap/seqmap.h"
#include <stdlib.h>

enum { MOST = 4000 };
struct model {
        uint32_t uids[MOST];
        uint32_t n;
};

static uint64_t seed;

static uint32_t any(uint32_t below)
{
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        return (uint32_t)((seed >> 33) % below);
}

static uint32_t model_from(const struct model *o, uint32_t uid)
{
        uint32_t i = 0;

        while (i < o->n && o->uids[i] < uid)
                i++;
        return i + 1;
}

static void same_list(const struct uid_list *got, const uint32_t *want, uint32_t n)
{
        assert_int_equal(uid_list_count(got), n);
        for (uint32_t i = 0; i < n; i++)
                assert_true(uid_list_has(got, want[i]));
        for (size_t i = 1; i < got->n; i++)
                assert_true(got->ranges[i].first > got->ranges[i - 1].last);
}

static void same(const struct seqmap *m, const struct model *o)
{
        uint32_t last = o->n ? o->uids[o->n - 1] : 0, first, to;
        struct uid_list out = { 0 };

        assert_int_equal(m->count, o->n);
        assert_int_equal(seqmap_last(m), last);
        assert_int_equal(seqmap_uid(m, 0), 0);
        assert_int_equal(seqmap_uid(m, o->n + 1), 0);
        for (uint32_t i = 0; i < o->n; i++) {
                assert_int_equal(seqmap_uid(m, i + 1), o->uids[i]);
                assert_int_equal(seqmap_seq(m, o->uids[i]), i + 1);
        }
        for (unsigned i = 0; i < 20; i++) {
                uint32_t uid = 1 + any(last + 3), seq = model_from(o, uid);

                assert_int_equal(seqmap_from(m, uid), seq);
                assert_int_equal(seqmap_seq(m, uid), seq <= o->n && o->uids[seq - 1] == uid ? seq : 0);
        }
        first = 1 + any(o->n + 2);
        to = first + any(o->n + 2);
        seqmap_uids(m, first, to, &out);
        if (first > o->n)
                assert_int_equal(out.n, 0);
        else
                same_list(&out, o->uids + first - 1, (to < o->n ? to : o->n) - first + 1);
        uid_list_free(&out);
        first = 1 + any(last + 2);
        to = first + any(last + 2);
        seqmap_present(m, first, to, &out);
        same_list(&out, o->uids + model_from(o, first) - 1, model_from(o, to + 1) - model_from(o, first));
        uid_list_free(&out);
}

static void remove_some(struct seqmap *m, struct model *o, uint32_t span)
{
        uint32_t last = o->n ? o->uids[o->n - 1] : 0, kept = 0, removed = 0;
        struct uid_list gone = { 0 }, seqs = { 0 };
        static uint32_t numbers[MOST];

        for (uint32_t uid = 1 + any(span); uid <= last + 5; uid += 1 + any(span)) {
                uint32_t to = uid + any(4);

                uid_list_add(&gone, uid, to);
                uid = to;
        }
        for (uint32_t i = 0; i < o->n; i++)
                if (uid_list_has(&gone, o->uids[i]))
                        numbers[removed++] = i + 1;
                else
                        o->uids[kept++] = o->uids[i];
        o->n = kept;
        seqmap_remove(m, &gone, &seqs);
        same_list(&seqs, numbers, removed);
        uid_list_free(&gone);
        uid_list_free(&seqs);
}

static void like_an_array(void **state)
{
        static const uint32_t gaps[] = { 1, 2, 50 };

        (void)state;
        for (seed = 1; seed <= 60; seed++) {
                uint64_t kept = seed;
                struct seqmap m = { 0 };
                static struct model o;
                uint32_t next = 1 + any(10);

                o.n = 0;
                for (unsigned round = 0; round < 12; round++) {
                        for (uint32_t i = any(MOST / 12); i; i--) {
                                o.uids[o.n++] = next;
                                seqmap_add(&m, next);
                                next += 1 + any(gaps[kept % LENGTH(gaps)]);
                        }
                        same(&m, &o);
                        remove_some(&m, &o, 1 + any(200));
                        same(&m, &o);
                }
                seqmap_free(&m);
                seed = kept;
        }
}

static void the_highest_numbers(void **state)
{
        struct seqmap m = { 0 };
        struct uid_list gone = { 0 }, seqs = { 0 }, out = { 0 };

        (void)state;
        seqmap_add_range(&m, 1, UINT32_MAX); /* as many as there can be: the sums may not wrap */
        assert_int_equal(m.n, 1);
        assert_int_equal(seqmap_uid(&m, UINT32_MAX), UINT32_MAX);
        seqmap_present(&m, UINT32_MAX, UINT32_MAX, &out);
        assert_int_equal(uid_list_count(&out), 1);
        uid_list_add(&gone, 2, UINT32_MAX - 1);
        seqmap_remove(&m, &gone, &seqs);
        assert_int_equal(m.count, 2);
        assert_int_equal(seqmap_uid(&m, 2), UINT32_MAX);
        assert_int_equal(seqmap_seq(&m, UINT32_MAX), 2);
        assert_int_equal(uid_list_count(&seqs), UINT32_MAX - 2);
        uid_list_free(&gone);
        uid_list_free(&seqs);
        uid_list_free(&out);
        uid_list_add(&gone, 1, UINT32_MAX);
        seqmap_remove(&m, &gone, &seqs);
        assert_int_equal(m.count, 0);
        assert_null(m.runs);
        assert_int_equal(seqmap_from(&m, 1), 1);
        uid_list_free(&gone);
        uid_list_free(&seqs);
}

static void one_run_where_nothing_went(void **state)
{
        struct seqmap m = { 0 };

        (void)state;
        for (uint32_t uid = 1; uid <= 100000; uid++)
                seqmap_add(&m, uid);
        assert_int_equal(m.n, 1);
        assert_int_equal(m.count, 100000);
        seqmap_free(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(like_an_array),
                cmocka_unit_test(the_highest_numbers),
                cmocka_unit_test(one_run_where_nothing_went),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
