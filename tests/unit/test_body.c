#include "account_fixture.h"
#include "powercut.h"
#include "store/body.h"
#include <errno.h>

static char folder[] = "/tmp/pail-body-XXXXXX";
static int dir, bodies;

static int begin(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        dir = open(folder, O_RDONLY | O_DIRECTORY);
        mkdirat(dir, "bodies", 0700);
        bodies = openat(dir, "bodies", O_RDONLY | O_DIRECTORY);
        return bodies < 0 ? -1 : 0;
}

static int end(void **state)
{
        (void)state;
        close(dir);
        close(bodies);
        fixture_remove(folder);
        return 0;
}

/* Half of the frames shrink, half do not. */
static void fill(struct buf *b, size_t size)
{
        uint64_t seed = size;

        buf_clear(b);
        while (b->n < size)
                if (b->n / BODY_INLINE_MAX % 2)
                        buf_u8(b, (uint8_t)powercut_random(&seed, 256));
                else
                        buf_u8(b, "pail of water, "[b->n % 15]);
}

static void stage(const char *name, struct str text, size_t piece)
{
        struct body_stage *b;

        assert_int_equal(body_stage_open(&b, dir, name), 0);
        while (text.n) {
                assert_int_equal(body_stage_put(b, str_sub(text, 0, piece)), 0);
                text = str_from_at(text, piece);
        }
        assert_int_equal(body_stage_finish(b), 0);
        body_stage_close(&b, true);
}

static void reads_any_range(void **state)
{
        static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 131072, 200001, 400000 };
        struct buf text, got;
        uint64_t size, seed = 7;
        char name[20];

        (void)state;
        buf_init(&text, 1 << 20);
        buf_init(&got, 1 << 20);
        for (size_t i = 0; i < LENGTH(sizes); i++) {
                struct str mapped;

                fill(&text, sizes[i]);
                snprintf(name, sizeof name, "s%zu", i);
                stage(name, buf_str(&text), i % 2 ? 1000 : 100000);
                assert_int_equal(body_size(dir, name, &size), 0);
                assert_int_equal(size, sizes[i]);
                for (unsigned k = 0; k < 40; k++) {
                        uint64_t from = k ? powercut_random(&seed, sizes[i] + 10) : 0;
                        size_t n = k ? (size_t)powercut_random(&seed, sizes[i] + 10) : SIZE_MAX;

                        buf_clear(&got);
                        assert_int_equal(body_read(dir, name, from, n, &got), 0);
                        assert_str(buf_str(&got), str_sub(str_from_at(buf_str(&text), from), 0, n));
                }
                assert_int_equal(body_map(dir, name, bodies, &mapped), 0);
                assert_str(mapped, buf_str(&text));
                body_unmap(&mapped);
        }
        got.max = 100;
        buf_free(&got);
        assert_int_equal(body_read(dir, "s3", 0, 101, &got), -EFBIG);
        buf_free(&text);
}

static void leaves_nothing_when_given_up(void **state)
{
        struct body_stage *b, *other;
        uint64_t size;

        (void)state;
        assert_int_equal(body_stage_open(&b, dir, "gone"), 0);
        assert_int_equal(body_stage_put(b, S("x")), 0);
        assert_int_equal(body_stage_open(&other, dir, "gone"), -EEXIST);
        assert_null(other);
        body_stage_close(&b, false);
        assert_null(b);
        assert_int_equal(body_size(dir, "gone", &size), -ENOENT);
}

/* Any byte changed, any cut: said, never wrong bytes, never a crash. */
static void notices_damage(void **state)
{
        struct buf text, file, got;
        uint64_t seed = 3;
        int fd;

        (void)state;
        buf_init(&text, 1 << 20);
        buf_init(&file, 1 << 20);
        buf_init(&got, 1 << 20);
        fill(&text, 150000);
        stage("whole", buf_str(&text), 5000);
        fd = openat(dir, "whole", O_RDONLY);
        buf_added(&file, (size_t)read(fd, buf_room(&file, 1 << 19), 1 << 19));
        close(fd);
        for (unsigned i = 0; i < 400; i++) {
                size_t at = powercut_random(&seed, file.n), keep = i % 4 ? file.n : at;
                char old = file.p[at];

                if (i % 3 == 0 && i % 4) /* often near the end: index and tail */
                        at = file.n - 1 - powercut_random(&seed, 60), old = file.p[at];
                file.p[at] = (char)(old ^ (1 + powercut_random(&seed, 255)));
                fd = openat(dir, "hurt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
                assert_int_equal(write(fd, file.p, keep), keep);
                close(fd);
                buf_clear(&got);
                assert_int_equal(body_read(dir, "hurt", 0, SIZE_MAX, &got), -EBADMSG);
                file.p[at] = old;
        }
        buf_free(&text);
        buf_free(&file);
        buf_free(&got);
}

static void links_and_replaces(void **state)
{
        struct buf got;
        char name[24];

        (void)state;
        buf_init(&got, 100);
        stage("one", S("one"), 10);
        stage("two", S("two"), 10);
        body_name(255, name);
        assert_string_equal(name, "00000000000000ff");
        assert_int_equal(body_link(dir, "one", bodies, 255), 0);
        assert_int_equal(body_link(dir, "one", bodies, 255), 0);
        assert_int_equal(body_link(dir, "two", bodies, 255), 0); /* the first one was never committed */
        assert_int_equal(body_read(bodies, name, 0, 10, &got), 0);
        assert_str(buf_str(&got), S("two"));
        assert_int_equal(body_link(dir, "none", bodies, 1), -ENOENT);
        assert_int_equal(body_drop(bodies, 255), 0);
        assert_int_equal(body_drop(bodies, 255), -ENOENT);
        buf_free(&got);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_any_range),
                cmocka_unit_test(leaves_nothing_when_given_up),
                cmocka_unit_test(notices_damage),
                cmocka_unit_test(links_and_replaces),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
