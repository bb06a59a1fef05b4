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
                /* all that comes while a transfer runs is read away without a word */
                { (struct step[]){ BOTH_ASKED,
                                   { PORT, NULL },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   ONE("b"),
                                   { 0 } },
                  0, "", fetch_both, 3 * SECOND },
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

/* ---- lines ---- */

#define AT 1700000000 /* 2023-11-14 22:13:20 */

static void lines(void **state)
{
        static const struct {
                const char *line, *name, *target;
                enum ftp_entry_kind kind;
                uint64_t size;
                int64_t modified;
                int mode;
        } table[] = {
                { "-rw-r--r--   1 owner  group      1234 Sep  2  1996 a name", "a name", "", FTP_ENTRY_FILE, 1234, 841622400, 0644 },
                { "drwxr-sr-x   2 0 0 4096 Nov 14 22:13 up", "up", "", FTP_ENTRY_FOLDER, 4096, 1699999980, 02755 },
                { "-rw-r--r--   1 o g 7 Dec 31 10:00 old", "old", "", FTP_ENTRY_FILE, 7, 1672480800, 0644 }, /* last year's */
                { "-rw-r--r--   1 o g 7 Nov 15 10:00 zone", "zone", "", FTP_ENTRY_FILE, 7, 1700042400, 0644 },
                { "-rw-r--r--   1 o 7 Feb 29 10:00 leap", "leap", "", FTP_ENTRY_FILE, 7, 1582970400, 0644 },
                { "lrwxrwxrwx 1 o g 5 Jan  1  2020 l -> ../m -> n", "l", "../m -> n", FTP_ENTRY_LINK, 5, 1577836800, 0777 },
                { "-rw-r--r--+  1 o g 5 2020-01-01 00:00 iso", "iso", "", FTP_ENTRY_FILE, 5, 1577836800, 0644 },
                { "-rw-r--r--   1 o g 5 1 Jan 2020  lead", " lead", "", FTP_ENTRY_FILE, 5, 1577836800, 0644 },
                { "-rw-r--r--   1 May 12 2020 Jan  1  2020 odd", "odd", "", FTP_ENTRY_FILE, 2020, 1577836800, 0644 },
                { "crw-rw-rw- 1 root root 1, 3 Jan  1 2020 null", "null", "", FTP_ENTRY_OTHER, UINT64_MAX, 1577836800, 0666 },
                { "d [RWCEAFMS] super 512 Jan 01 2020 net", "net", "", FTP_ENTRY_FOLDER, 512, 1577836800, -1 },
                { "04-27-00  09:09PM       <DIR>          licensed x", "licensed x", "", FTP_ENTRY_FOLDER, UINT64_MAX, 956869740, -1 },
                { "04-27-2000  12:09AM              1234 n", "n", "", FTP_ENTRY_FILE, 1234, 956794140, -1 },
                { "+i8.2,m824255902,/,\tdev", "dev", "", FTP_ENTRY_FOLDER, UINT64_MAX, 824255902, -1 },
                { "+r,s10,up600,\ta b", "a b", "", FTP_ENTRY_FILE, 10, INT64_MIN, 0600 },
        }, facts[] = {
                { "Type=file;Size=5;Modify=20200101000000.5;UNIX.mode=0640;perm=r;  x y", " x y", "", FTP_ENTRY_FILE, 5, 1577836800, 0640 },
                { "type=DIR; up", "up", "", FTP_ENTRY_FOLDER, UINT64_MAX, INT64_MIN, -1 },
                { "type=OS.unix=slink:/etc;size=4; l", "l", "/etc", FTP_ENTRY_LINK, 4, INT64_MIN, -1 },
                { "size=18446744073709551616;modify=2020; n", "n", "", FTP_ENTRY_OTHER, UINT64_MAX, INT64_MIN, -1 },
        };
        static const char *const none[] = { "",
                                            "total 12",
                                            "d",
                                            "-rw-r--r-- 1 o g x Jan  1 2020 n",
                                            "-rw-r--r-- 1 o g 5 Jan 32 2020 n",
                                            "drwxr-xr-x 1 o g 5 Jan  1 2020 ..",
                                            "-rw-r--r-- 1 o g 5 Jan  1 2020",
                                            "+r,",
                                            "+r,\t",
                                            "04-27-00",
                                            "04-27-00  13:09PM 1 n",
                                            "13-27-00  01:09PM 1 n",
                                            "Connection closed" };
        static const char *const no_facts[] = {
                "",       "x", "type=file;", "type=file x", "type=cdir; /", "type=pdir; ..", "type=dir; .",
                "type; x"
        };
        struct ftp_entry e;
        struct arena a;

        (void)state;
        arena_init(&a, 1 << 20);
        for (size_t i = 0; i < LENGTH(table) + LENGTH(facts); i++) {
                bool fact = i >= LENGTH(table);
                typeof(table[0]) *t = fact ? (const void *)&facts[i - LENGTH(table)] : &table[i];
                struct str line = str_of(t->line);

                if (fact ? !ftp_entry_of_facts(line, &a, &e) : !ftp_entry_of_list(line, AT, &a, &e))
                        fail_msg("not read: %s", t->line);
                assert_str(e.name, str_of(t->name));
                assert_str(e.target.p ? e.target : S(""), str_of(t->target));
                if (e.kind != t->kind || e.size != t->size || e.modified != t->modified || e.mode != t->mode)
                        fail_msg("%s: kind %d, size %llu, modified %lld, mode %o", t->line, (int)e.kind,
                                 (unsigned long long)e.size, (long long)e.modified, (unsigned)e.mode);
        }
        for (size_t i = 0; i < LENGTH(none); i++)
                if (ftp_entry_of_list(str_of(none[i]), AT, &a, &e))
                        fail_msg("read: %s", none[i]);
        for (size_t i = 0; i < LENGTH(no_facts); i++)
                if (ftp_entry_of_facts(str_of(no_facts[i]), &a, &e))
                        fail_msg("read: %s", no_facts[i]);
        arena_finish(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(not_keeping_up),
                cmocka_unit_test(listings),
                cmocka_unit_test(lines),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
