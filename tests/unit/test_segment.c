/* What replay makes of segments as crashes, failed flushes and bad disks leave them: written here by hand. */
#include "intake_world.h"

struct hand {
        struct buf bytes;
        uint64_t id, sequence;
        uint32_t start;
};

static struct hand hand_begin(uint64_t id)
{
        struct hand h = { .id = id };

        buf_init(&h.bytes, 1 << 24);
        segment_head_write(&h.bytes, id, 12345 + id, &h.start);
        return h;
}

static void hand_record(struct hand *h, enum record_kind kind, unsigned within, struct str envelope,
                        struct str rest)
{
        struct record_head head = { .segment = h->id, .sequence = ++h->sequence, .within = (uint16_t)within };

        record_seal(&head, h->start, kind, envelope, rest);
        buf_put(&h->bytes, &head, sizeof head);
        buf_puts(&h->bytes, envelope);
        buf_puts(&h->bytes, rest);
}

static size_t hand_letter(struct hand *h, unsigned within, const char *text)
{
        struct action a = { .kind = ACTION_FILE, .account = S("ann") };
        struct envelope e = { .sender = S("jack@town.com"), .actions = &a, .count = 1 };
        struct buf packed;
        size_t at = h->bytes.n;

        buf_init(&packed, 4096);
        envelope_pack(&e, &packed);
        hand_record(h, RECORD_LETTER, within, buf_str(&packed), str_of(text));
        buf_free(&packed);
        return at;
}

static void hand_void(struct hand *h, uint64_t segment, uint64_t first, uint64_t last)
{
        struct buf b;

        buf_init(&b, 24);
        buf_u64(&b, segment);
        buf_u64(&b, first);
        buf_u64(&b, last);
        hand_record(h, RECORD_VOID, 0, S(""), buf_str(&b));
        buf_free(&b);
}

static void hand_write(const struct hand *h, size_t n)
{
        char name[SEGMENT_NAME];
        int fd;

        segment_name(h->id, name);
        fd = openat(folder_fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        assert_int_equal(write(fd, h->bytes.p, n), n);
        close(fd);
}

/* Replays what lies there; how many letters were filed by it. */
static size_t replayed(void)
{
        struct intake *i = open_intake(0, 1);
        size_t before = filed_count;

        assert_int_equal(intake_replay(i), 0);
        assert_int_equal(intake_drain(i, now()), 0);
        assert_int_equal(files(".log"), 0);
        intakes[0] = NULL;
        intake_close(&i);
        return filed_count - before;
}

/* How much pail check finds wrong; every line holds the word. */
static unsigned check_says(const char *word)
{
        struct buf out;
        struct str rest, line;
        unsigned wrong = 0;

        buf_init(&out, 10000);
        assert_int_equal(intake_check(folder_fd, &out, &wrong), 0);
        rest = buf_str(&out);
        while (str_cut(&rest, '\n', &line))
                assert_true(str_search(line, str_of(word)) != STR_NONE);
        buf_free(&out);
        return wrong;
}

static void ends_where_it_was_cut(void **state)
{
        struct hand h = hand_begin(7);
        size_t second, third, end;

        (void)state;
        hand_letter(&h, 0, "first");
        second = hand_letter(&h, 0, "second");
        third = hand_letter(&h, 0, "third");
        end = h.bytes.n;
        for (size_t cut = SEGMENT_START; cut <= end; cut += cut < end - 2 ? 23 : 1) {
                for (size_t k = 0; k < filed_count; k++)
                        buf_free(&filed[k].text);
                filed_count = 0;
                hand_write(&h, cut);
                assert_int_equal(replayed(), cut < second ? 0 : cut < third ? 1 : cut < end ? 2 : 3);
        }
        assert_int_equal(files("damaged-0000000000000007.log"), 0);
        buf_free(&h.bytes);
}

static void honours_voids_of_all_segments(void **state)
{
        struct hand failed = hand_begin(9), next = hand_begin(3), last = hand_begin(11);

        (void)state;
        hand_letter(&failed, 0, "good");
        hand_letter(&failed, 0, "refused");
        hand_letter(&failed, 1, "refused");
        hand_void(&next, 9, 2, 3);
        hand_letter(&next, 0, "after");
        hand_void(&last, 9, 2, 3);
        hand_write(&failed, failed.bytes.n);
        hand_write(&next, next.bytes.n);
        hand_write(&last, last.bytes.n);
        assert_int_equal(replayed(), 2);
        assert_int_equal(times(S("refused")), 0);
        buf_free(&failed.bytes);
        buf_free(&next.bytes);
        buf_free(&last.bytes);
}

static void settled_is_not_delivered(void **state)
{
        struct hand h = hand_begin(7);
        int fd = openat(folder_fd, "0000000000000007-1.body", O_CREAT | O_WRONLY, 0600);
        struct buf rest;

        (void)state;
        close(fd);
        buf_init(&rest, 64);
        buf_u64(&rest, 100000);
        buf_puts(&rest, S("0000000000000007-1.body"));
        hand_letter(&h, 0, "first");
        hand_record(&h, RECORD_STAGED, 0, S(""), buf_str(&rest));
        assert_int_equal(unlinkat(folder_fd, "0000000000000007-1.body", 0), 0);
        hand_write(&h, h.bytes.n);
        assert_int_equal(check_says("letter 2: its "), 2); /* body and envelope */
        fd = openat(folder_fd, "0000000000000007-1.body", O_CREAT | O_WRONLY, 0600);
        close(fd);
        assert_int_equal(check_says("letter 2: its envelope"), 1);
        hand_record(&h, RECORD_SETTLED, 0, S(""), S(""));
        buf_puts(&h.bytes, S("garbage behind it"));
        hand_write(&h, h.bytes.n);
        assert_int_equal(check_says(""), 0);
        assert_int_equal(replayed(), 0);
        assert_int_equal(files(".body"), 0);
        buf_free(&rest);
        buf_free(&h.bytes);
}

/* Damage in the middle: what can be read is delivered, a copy stays. A gap such as a crash leaves is no damage. */
static void survives_damage(void **state)
{
        static const struct {
                unsigned within; /* of the letter after the damaged one */
                size_t at;       /* of the damaged byte, from the record */
                unsigned copies;
        } rows[] = {
                { 0, 0, 1 },  /* in the head */
                { 0, 60, 1 }, /* in the payload */
                { 1, 0, 0 },  /* the same flush: never acknowledged */
                { 1, 60, 0 },
        };

        (void)state;
        for (size_t k = 0; k < LENGTH(rows); k++) {
                struct hand h = hand_begin(20 + k);
                char copy[40];
                size_t second;

                hand_letter(&h, 0, "first");
                second = hand_letter(&h, 0, "second");
                hand_letter(&h, rows[k].within, "third");
                h.bytes.p[second + rows[k].at] ^= 0x40;
                hand_write(&h, h.bytes.n);
                assert_int_equal(check_says(""), rows[k].copies);
                assert_int_equal(replayed(), 2);
                snprintf(copy, sizeof copy, "damaged-%016zx.log", 20 + k);
                assert_int_equal(faccessat(folder_fd, copy, F_OK, 0) == 0, rows[k].copies);
                if (rows[k].copies)
                        unlinkat(folder_fd, copy, 0);
                buf_free(&h.bytes);
        }
        assert_int_equal(times(S("second")), 0);
}

static void has_two_heads(void **state)
{
        struct hand h = hand_begin(7);
        struct intake *i;

        (void)state;
        hand_letter(&h, 0, "first");
        h.bytes.p[8] ^= 1;
        hand_write(&h, h.bytes.n);
        assert_int_equal(replayed(), 1);
        h.bytes.p[SEGMENT_AGAIN] ^= 1;
        hand_write(&h, h.bytes.n);
        assert_int_equal(check_says("head"), 1);
        i = open_intake(0, 1);
        assert_int_equal(intake_replay(i), 0);
        assert_int_equal(files("damaged-0000000000000007.log"), 1);
        assert_int_equal(files(".log"), 0);
        assert_int_equal(check_says("kept"), 1);
        intake_close(&i);
        buf_free(&h.bytes);
}

/* A letter that holds a record: not even where its own record is damaged is that believed. */
static void text_is_no_record(void **state)
{
        struct hand inner = hand_begin(7), outer = hand_begin(7);
        size_t at;

        (void)state;
        hand_letter(&inner, 0, "forged"); /* with the salt of another segment */
        outer.start ^= 1;
        buf_free(&outer.bytes);
        buf_init(&outer.bytes, 1 << 20);
        segment_head_write(&outer.bytes, 7, 999, &outer.start);
        at = outer.bytes.n;
        hand_record(&outer, RECORD_LETTER, 0, S(""), str_from_at(buf_str(&inner.bytes), SEGMENT_START));
        outer.bytes.p[at] ^= 1;
        hand_letter(&outer, 0, "true");
        hand_write(&outer, outer.bytes.n);
        assert_int_equal(replayed(), 1);
        assert_int_equal(times(S("true")), 1);
        unlinkat(folder_fd, "damaged-0000000000000007.log", 0);
        buf_free(&inner.bytes);
        buf_free(&outer.bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                folder_test(ends_where_it_was_cut),
                folder_test(honours_voids_of_all_segments),
                folder_test(settled_is_not_delivered),
                folder_test(survives_damage),
                folder_test(has_two_heads),
                folder_test(text_is_no_record),
        };

        log_quiet = true;
        return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
