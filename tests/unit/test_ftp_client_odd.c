/* The FTP client and servers that do not keep up with what is written ahead; listings that nobody should believe. */
#include "ftp_client_scripts.h"

/* ---- written ahead, to servers that do not keep up ---- */

static struct ftp_transfer ahead[2];
static unsigned ahead_next, ahead_done;
static struct ftp_transfer *next_of(void *context)
{
        (void)context;
        return ahead_next < LENGTH(ahead) ? &ahead[ahead_next++] : NULL;
}

static void done_with(void *context, struct ftp_transfer *t, int rc)
{
        char text[16] = { 0 };

        (void)context;
        if (rc < 0)
                die("%s: %d, %u %s", t->remote, rc, t->answer.code, t->answer.text);
        must(t == &ahead[ahead_done++]);
        must(pread(t->file, text, sizeof(text) - 1, 0) == 5 && strcmp(text, "water") == 0);
        close(t->file);
}

static int fetch_both(struct ftp_client *c, struct ftp_answer *a)
{
        const struct ftp_many many = { next_of, done_with, NULL };

        *a = (struct ftp_answer){ 0 };
        ahead_next = ahead_done = 0;
        for (size_t i = 0; i < LENGTH(ahead); i++)
                ahead[i] = (struct ftp_transfer){ .remote = i ? "b" : "a",
                                                  .file = memfd_create("test", MFD_CLOEXEC) };
        must(ftp_client_many(c, &many) == 0 && ahead_done == LENGTH(ahead));
        return 0;
}

#define BOTH_ASKED                                                                                         \
        { SAY, "220 ready" }, { HEAR, "TYPE I" }, { SAY, "200 ok" }, { HEAR, "PASV" }, { HEAR, "RETR a" }, \
            { HEAR, "PASV" },                                                                              \
        {                                                                                                  \
                HEAR, "RETR b"                                                                             \
        }
#define ONE(name)                                                                                  \
        { HEAR, "PASV" }, { PORT, NULL }, { HEAR, "RETR " name }, { SAY, "150 ok" }, { TAKE, "" }, \
            { DATA, "water" }, { FINISH, "" },                                                     \
        {                                                                                          \
                SAY, "226 done"                                                                    \
        }

static void not_keeping_up(void **state)
{
        const struct played all[] = {
                /* one that does */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "150 ok\r\n226 done" },
                                   { PORT, NULL },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "150 ok\r\n226 done" },
                                   { 0 } },
                  0, "", fetch_both, 0 },
                /* ProFTPD: 450 while a transfer runs */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { SAY, "150 ok\r\n450 busy\r\n450 busy" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   ONE("a"),
                                   ONE("b"),
                                   { 0 } },
                  0, "", fetch_both, 0 },
                /* the second PASV ends the first transfer, quietly, and the second waits for its connection */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "wat" },
                                   { FINISH, "" },
                                   { PORT, NULL },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { CUT, "" },
                                   { SAY, "426 cut" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   ONE("a"),
                                   ONE("b"),
                                   { 0 } },
                  0, "", fetch_both, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        run(all);
}

/* ---- listings ---- */

static int list_all(struct ftp_client *c, struct ftp_answer *a)
{
        struct arena m;
        struct ftp_entry *list;
        size_t n, unsafe;
        int rc;

        arena_init(&m, 1 << 20);
        rc = ftp_client_entries(c, "", &m, &list, &n, &unsafe, a);
        if (rc == 0)
                must(n == 2 && unsafe == 4 && str_eq(list[0].name, S("a")) && str_eq(list[1].name, S("w")));
        arena_finish(&m);
        return rc;
}

static void listings(void **state)
{
        static char long_name[400], endless[600000];
        const struct played all[] = {
                { (struct step[]){
                      TO_PORT,
                      { PORT, NULL },
                      { HEAR, "LIST" },
                      { SAY, "150 ok" },
                      { TAKE, "" },
                      { DATA,
                        "total 7\r\n-rw-r--r-- 1 x x 5 Jan  1 2020 w\r\n-rw-r--r-- 1 x x 5 Jan  1 2020 ../w\n"
                        "-rw-r--r-- 1 x x 5 Jan  1 2020 ..\r\n-rw-r--r-- 1 x x 5 Jan  1 2020 a\rb\r\n" },
                      { DATA, "-rw-r--r-- 1 x x 5 Jan  1 2020 a\033[2J\r\n" },
                      { DATA, long_name },
                      { DATA, "\r\n" },
                      { DATA, "-rw-r--r-- 1 x x 5 Jan  1 2020 a" },
                      { FINISH, "" },
                      { SAY, "226 done" },
                      { 0 } },
                  0, "done", list_all, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, NULL },
                                   { HEAR, "LIST" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, endless },
                                   { DATA, endless },
                                   { HEAR, "ABOR" },
                                   { SAY, "426 cut\r\n226 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   { 0 } },
                  -ENOBUFS, "the listing", list_all, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };
        size_t n = 0;

        (void)state;
        snprintf(long_name, sizeof(long_name), "-rw-r--r-- 1 x x 5 Jan  1 2020 ");
        memset(long_name + strlen(long_name), 'n', sizeof(long_name) - 1 - strlen(long_name));
        while (n + 80 < sizeof(endless))
                n += (size_t)snprintf(endless + n, sizeof(endless) - n,
                                      "-rw-r--r-- 1 x x 5 Jan  1 2020 %zu\r\n", n);
        run(all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(not_keeping_up),
                cmocka_unit_test(listings),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
