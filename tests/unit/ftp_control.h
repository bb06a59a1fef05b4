/* What test_ftp.c and test_ftp_commands.c share: sessions on the control connection, and each test twice: with sessions that never park, and with
 * sessions that park between every two commands. */
#pragma once
#include "ftp_world.h"
#include "proto/ftp/commands.h"

static const struct addr home = { .ip = { 127, 0, 0, 1 }, .family = 4, .port = 21 };

static inline struct conn *visit(struct world *w)
{
        return visit_at(w, w->client, home);
}

static inline void ended(struct conn **c)
{
        struct str line;

        must(conn_line(*c, &line, 1000, SOON) == GOT_END);
        conn_free(c);
}

static inline void put_file(struct world *w, const char *name, struct str text)
{
        char path[160];
        int fd;

        snprintf(path, sizeof(path), "%s/files/jill", w->folder);
        must(mkdir(path, 0700) == 0 || errno == EEXIST);
        snprintf(path, sizeof(path), "%s/files/jill/%s", w->folder, name);
        fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
        must(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
        close(fd);
}

/* ---- running them ---- */

static long parking;
struct test {
        void (*run)(void *world);
        struct world world;
};

static void test_fiber(void *arg)
{
        struct test *t = arg;

        must(offload_start(2, 1) == 0);
        open_world(&t->world);
        t->world.settings.park_after_ms = parking;
        t->run(&t->world);
        close_world(&t->world);
}

static void run_both(void (*test)(void *))
{
        static const long parkings[] = { -1, 0 };
        static struct test t;

        for (size_t i = 0; i < LENGTH(parkings); i++) {
                parking = parkings[i];
                t = (struct test){ .run = test };
                loop_init();
                spawn(test_fiber, &t);
                run_all();
                offload_finish();
                loop_finish();
        }
}

#define TEST(name)                            \
        static void test_##name(void **state) \
        {                                     \
                (void)state;                  \
                run_both(name);               \
        }
