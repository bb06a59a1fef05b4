#include "unit.h"
#include "base/buf.h"
#include "base/mem.h"
#include "run/fiber.h"
#include "run/log.h"
#include "run/loop.h"
#include "run/offload.h"
#include "store/db.h"
#include "store/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PUT, SUM, COUNT, GET, STATEMENTS };
static const char *const statements[STATEMENTS] = {
        [PUT] = "INSERT INTO t(account, n, s) VALUES (1, ?1, ?2)",
        [SUM] = "SELECT sum(n), count(*) FROM t WHERE account = 1",
        [COUNT] = "SELECT count(*) FROM u WHERE account = 1",
        [GET] = "SELECT s FROM t WHERE account = 1 AND n = ?1",
};
static const char schema[] = "CREATE TABLE t(account INTEGER NOT NULL, n INTEGER NOT NULL, s TEXT NOT NULL, "
                             "PRIMARY KEY(account, n)) STRICT, WITHOUT ROWID;";
static const struct db_store store1 = { "test", 1, schema, NULL, statements, STATEMENTS, 4096, NULL };
static const char *const migrations[] = {
        NULL,
        "CREATE TABLE u(account INTEGER NOT NULL, n INTEGER NOT NULL) STRICT; INSERT INTO u SELECT 1, n FROM "
        "t;",
        "INSERT INTO u VALUES (1, 99);",
};
static const struct db_store store3 = { "test", 3, schema, migrations, statements, STATEMENTS, 4096, NULL };

static char folder[] = "/tmp/pail-db-XXXXXX";
static char path[64];

static int put(struct db *d, void *arg)
{
        uint64_t *n = arg;
        struct db_row q = db_query(d, PUT);

        db_bind_u64(&q, 1, *n);
        db_bind_text(&q, 2, S("a\0b"));
        return db_exec(&q);
}

static int put_then_fail(struct db *d, void *arg)
{
        int rc = put(d, arg);

        return rc ? rc : -ENOMEDIUM;
}

static uint64_t sum, count;

static int read_sum(struct db *d, void *arg)
{
        struct db_row q = db_query(d, SUM);

        (void)arg;
        if (db_next(&q)) {
                sum = db_u64(&q, 0);
                count = db_u64(&q, 1);
        }
        return db_end(&q);
}

static int read_text(struct db *d, void *arg)
{
        uint64_t *n = arg;
        struct db_row q = db_query(d, GET);
        int rc;

        db_bind_u64(&q, 1, *n);
        if (db_next(&q))
                assert_str(db_text(&q, 0), S("a\0b"));
        rc = db_end(&q);
        return rc;
}

static int count_u(struct db *d, void *arg)
{
        struct db_row q = db_query(d, COUNT);

        if (db_next(&q))
                *(uint64_t *)arg = db_u64(&q, 0);
        return db_end(&q);
}

static struct db *opened(const struct db_store *s, unsigned flags)
{
        struct db *d;

        assert_int_equal(db_open(&d, s, path, flags, NULL), 0);
        return d;
}

static void commits_and_rolls_back(void **state)
{
        struct db *d, *other;
        uint64_t n = 5;
        uint32_t version;

        (void)state;
        assert_int_equal(db_open(&d, &store1, path, 0, NULL), -ENOENT);
        assert_null(d);
        d = opened(&store1, DB_CREATE);
        other = opened(&store1, 0);
        version = db_data_version(other);
        assert_int_equal(db_transact(d, "put", put, &n, DB_WRITE), 0);
        assert_int_not_equal(db_data_version(other), version);
        version = db_data_version(d);
        assert_int_equal(db_transact(d, "put", put, &n, DB_SYNC), -EEXIST);
        n = 6;
        assert_int_equal(db_transact(d, "put", put_then_fail, &n, DB_WRITE), -ENOMEDIUM);
        assert_int_equal(db_transact(d, "put", put, &n, DB_SYNC), 0);
        assert_int_equal(db_data_version(d), version); /* its own commits do not count */
        assert_int_equal(db_transact(other, "sum", read_sum, NULL, DB_READ), 0);
        assert_int_equal(sum, 11);
        assert_int_equal(count, 2);
        assert_int_equal(db_transact(other, "text", read_text, &n, DB_READ), 0);
        db_close(&d);
        db_close(&other);
}

static void only_reads_where_asked(void **state)
{
        struct db *d = opened(&store1, DB_READONLY);
        uint64_t n = 7;

        (void)state;
        assert_int_equal(db_transact(d, "put", put, &n, DB_WRITE), -EROFS);
        assert_int_equal(db_transact(d, "sum", read_sum, NULL, DB_READ), 0);
        db_close(&d);
}

static void migrates_and_refuses_newer(void **state)
{
        struct db *d = opened(&store3, 0);
        uint64_t n = 0;
        char copy[96];

        (void)state;
        assert_int_equal(db_transact(d, "count", count_u, &n, DB_READ), 0);
        assert_int_equal(n, 3);
        db_close(&d);
        snprintf(copy, sizeof copy, "%s.schema-1", path);
        assert_int_equal(access(copy, F_OK), 0);
        assert_int_equal(db_open(&d, &store1, path, 0, NULL), -EPROTONOSUPPORT);
        assert_int_equal(rename(copy, path), 0); /* the copy is the old file, whole */
        snprintf(copy, sizeof copy, "%s-wal", path);
        unlink(copy);
        snprintf(copy, sizeof copy, "%s-shm", path);
        unlink(copy);
        d = opened(&store1, 0);
        assert_int_equal(db_transact(d, "sum", read_sum, NULL, DB_READ), 0);
        assert_int_equal(sum, 11);
        db_close(&d);
}

static void says_damaged(void **state)
{
        int fd = open(path, O_RDWR);
        struct db *d;

        (void)state;
        assert_int_equal(pwrite(fd, "garbage garbage ", 16, 0), 16);
        close(fd);
        assert_int_equal(db_open(&d, &store1, path, 0, NULL), -EBADMSG);
        unlink(path);
}

/* Many fibers, two connections in their way: nothing is lost, and a sync serves all who wait. */
enum { FIBERS = 20, EACH = 10 };
static struct db *left, *right;
static unsigned running;

static void writer(void *arg)
{
        size_t self = (size_t)arg;

        for (uint64_t i = 0; i < EACH; i++) {
                uint64_t n = self * EACH + i;

                assert_int_equal(
                    db_transact(self % 2 ? left : right, "put", put, &n, i % 3 ? DB_WRITE : DB_SYNC), 0);
        }
        if (!--running)
                loop_stop();
}

static void many_write_at_once(void **state)
{
        unsigned syncs = 0;
        char trace[64];
        FILE *f;
        int c;

        (void)state;
        snprintf(trace, sizeof trace, "%s/trace", folder);
        disk_record(folder, trace);
        left = opened(&store1, DB_CREATE);
        right = opened(&store1, DB_CREATE);
        loop_init();
        assert_int_equal(offload_start(2, 1), 0);
        running = FIBERS;
        for (size_t i = 0; i < FIBERS; i++)
                assert_int_equal(fiber_spawn("writer", writer, (void *)i), 0);
        loop_run();
        offload_finish();
        loop_finish();
        assert_int_equal(db_transact(left, "sum", read_sum, NULL, DB_READ), 0);
        assert_int_equal(count, FIBERS * EACH);
        assert_int_equal(sum, FIBERS * EACH * (FIBERS * EACH - 1) / 2);
        db_close(&left);
        db_close(&right);
        disk_record(NULL, NULL);
        f = fopen(trace, "r");
        assert_non_null(f);
        for (uint32_t word = 0; (c = getc(f)) != EOF;) {
                word = word >> 8 | (uint32_t)c << 24;
                if (word == 0x43525450u && getc(f) == 8 && ++syncs)
                        word = 0;
        }
        fclose(f);
        unlink(trace);
        assert_true(syncs > 2 && syncs < FIBERS * EACH / 3); /* 80 asked for one */
}

static void failed_sync_is_mended(void **state)
{
        char trace[64];
        uint64_t n = 1000;
        struct db *d;

        (void)state;
        snprintf(trace, sizeof trace, "%s/trace", folder);
        disk_record(folder, trace); /* the recording VFS is where syncs fail */
        d = opened(&store1, 0);
        disk_fail_datasync(1, EIO);
        assert_int_equal(db_transact(d, "put", put, &n, DB_SYNC), -EIO);
        n++;
        assert_int_equal(db_transact(d, "put", put, &n, DB_SYNC), 0);
        db_close(&d);
        disk_record(NULL, NULL);
        unlink(trace);
}

static int make_folder(void **state)
{
        (void)state;
        log_quiet = true;
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof path, "%s/t.db", folder);
        return 0;
}

static int remove_folder(void **state)
{
        static const char *const ends[] = { "", "-wal", "-shm", ".schema-1" };
        char name[96];

        (void)state;
        for (size_t i = 0; i < LENGTH(ends); i++) {
                snprintf(name, sizeof name, "%s%s", path, ends[i]);
                unlink(name);
        }
        return rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(commits_and_rolls_back),     cmocka_unit_test(only_reads_where_asked),
                cmocka_unit_test(migrates_and_refuses_newer), cmocka_unit_test(says_damaged),
                cmocka_unit_test(many_write_at_once),         cmocka_unit_test(failed_sync_is_mended),
        };

        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
