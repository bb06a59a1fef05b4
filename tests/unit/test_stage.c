/* Letters that arrive without the log (store/stage.h): where they lie, and what a crash leaves. */
#include "fibers.h"
#include "base/mem.h"
#include "run/log.h"
#include "store/body.h"
#include "store/stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int mail;

static struct accounts *open_accounts(void)
{
        struct accounts *a;

        assert_int_equal(accounts_open(&a, openat(mail, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 4), 0);
        return a;
}

static int set_up(void **state)
{
        (void)state;
        snprintf(folder, sizeof folder, "/tmp/test-stage-XXXXXX");
        assert_non_null(mkdtemp(folder));
        mail = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return mail < 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
        (void)st;
        (void)kind;
        (void)where;
        return remove(path);
}

static int tear_down(void **state)
{
        (void)state;
        close(mail);
        return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Names in .staged that end so. */
static unsigned staged(const char *end)
{
        int fd = openat(mail, ".staged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        unsigned n = 0;

        while (d && (e = readdir(d)))
                n += str_ends(str_of(e->d_name), str_of(end));
        if (d)
                closedir(d);
        return n;
}

static void put(struct stage *g, size_t n)
{
        static char piece[10000];

        for (size_t i = 0; i < sizeof piece; i++)
                piece[i] = (char)(i * 31 % 251);
        for (size_t k; n; n -= k) {
                k = n < sizeof piece ? n : sizeof piece;
                assert_int_equal(stage_put(g, str_from(piece, k)), 0);
        }
}

static void short_ones_stay_in_memory(void **state)
{
        struct accounts *a = open_accounts();
        struct stage *g = stage_new(a);
        struct filing f = { 0 };

        (void)state;
        put(g, BODY_INLINE_MAX);
        assert_int_equal(stage_finish(g, &f), 0);
        assert_int_equal(f.staged_dir, -1);
        assert_int_equal(f.text.n, BODY_INLINE_MAX);
        assert_int_equal(staged(""), 0);
        stage_free(&g);
        accounts_close(&a);
}

static void long_ones_are_files(void **state)
{
        struct accounts *a = open_accounts();
        struct stage *g = stage_new(a), *cut = stage_new(a);
        struct filing f = { 0 };
        struct buf b auto_buf;
        uint64_t size;

        (void)state;
        put(g, 1000000);
        put(cut, 500000);
        assert_int_equal(staged(".body"), 2);
        assert_int_equal(stage_finish(g, &f), 0);
        assert_int_equal(f.text.n, 0);
        assert_int_equal(body_size(f.staged_dir, f.staged_name, &size), 0);
        assert_int_equal(size, 1000000);
        buf_init(&b, 1 << 20);
        assert_int_equal(body_read(f.staged_dir, f.staged_name, 999990, 100, &b), 0);
        assert_int_equal(b.n, 10);
        for (size_t i = 0; i < 10; i++)
                assert_int_equal(b.p[i], (char)((9990 + i) * 31 % 251));
        stage_free(&cut); /* never finished */
        assert_int_equal(staged(".body"), 1);
        stage_free(&g);
        stage_free(&g);
        assert_int_equal(staged(".body"), 0);
        accounts_close(&a);
        assert_int_equal(staged(".lock"), 0);
}

static void touch(const char *name)
{
        char path[64];
        int fd;

        snprintf(path, sizeof path, ".staged/%s", name);
        fd = openat(mail, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
}

/* What the killed have left goes; what belongs to the living stays. */
static void swept(void **state)
{
        struct accounts *a = open_accounts(), *b;
        struct stage *g = stage_new(a);

        (void)state;
        put(g, 300000);
        touch("0123456789abcdef.lock");
        touch("0123456789abcdef-1.body");
        touch("fedcba9876543210-7.body"); /* its lock has gone already */
        assert_int_equal(staged(".body"), 3);
        b = open_accounts();
        assert_int_equal(staged(".body"), 1);
        assert_int_equal(staged(".lock"), 1);
        accounts_close(&b);
        assert_int_equal(staged(".body"), 1);
        stage_free(&g);
        accounts_close(&a);
        assert_int_equal(staged("."), 2);
        assert_int_equal(staged(""), 2); /* . and .. */
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(short_ones_stay_in_memory),
                cmocka_unit_test(long_ones_are_files),
                cmocka_unit_test(swept),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
