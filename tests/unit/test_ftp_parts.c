/* The parts of FTP's control side that need no conversation: Telnet, patterns, times, the lines of listings, translations. */
#include "unit.h"
#include "base/codec.h"
#include "proto/ftp/ftp.h"
#include "proto/ftp/glob.h"
#include "proto/ftp/telnet.h"
#include "proto/ftp/time.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Telnet ---- */

static void telnet(void **state)
{
        static const struct {
                struct str line, plain, answers;
        } rows[] = {
                { S("NOOP"), S("NOOP"), S("") },
                { S("\377\364\377\362ABOR"), S("ABOR"), S("") },     /* IP, DM */
                { S("\362ABOR"), S("\362ABOR"), S("") },             /* no IAC, no command */
                { S("a\377\377b"), S("a\377b"), S("") },             /* one that is meant */
                { S("a\377\373\001b"), S("ab"), S("\377\376\001") }, /* WILL: DONT */
                { S("\377\375\030"), S(""), S("\377\374\030") },     /* DO: WONT */
                { S("\377\374\001\377\376\001x"), S("x"), S("") },   /* WONT, DONT: so it is */
                { S("\377\372\030\001\377\360x"), S("x"), S("") },   /* a negotiation */
                { S("x\377\372\030\001"), S("x"), S("") },           /* one that does not end */
                { S("x\377"), S("x"), S("") },                       /* the line ends in IAC, */
                { S("x\377\375"), S("x"), S("") },                   /* or in DO */
                { S("\377abc"), S("\377abc"), S("") },               /* Latin-1 */
                { S("a\r\0b"), S("a\rb"), S("") },
                { S("a\r"), S("a\r"), S("") },
                { S("a\0b"), S("a\0b"), S("") },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct buf out, answers;

                buf_init(&out, rows[i].line.n);
                buf_init(&answers, 64);
                telnet_take(rows[i].line, &out, &answers);
                assert_str(buf_str(&out), rows[i].plain);
                assert_str(buf_str(&answers), rows[i].answers);
                assert_true(telnet_in(rows[i].line) || str_eq(rows[i].line, rows[i].plain));
                buf_free(&out);
                buf_free(&answers);
        }
}

/* Whoever asks a thousand times gets few answers. */
static void telnet_flood(void **state)
{
        struct buf flood, out, answers;

        (void)state;
        buf_init(&flood, 4000);
        buf_init(&out, 4000);
        buf_init(&answers, 64);
        while (flood.n < 3999)
                buf_puts(&flood, S("\377\375\003"));
        telnet_take(buf_str(&flood), &out, &answers);
        assert_int_equal(out.n, 0);
        assert_int_equal(answers.n, 48);
        buf_free(&flood);
        buf_free(&out);
        buf_free(&answers);
}

/* ---- patterns ---- */

static void globs(void **state)
{
        static const struct {
                const char *pattern, *name;
                bool matches;
        } rows[] = {
                { "*", "a", true },           { "*", "", true },
                { "*", ".a", false },         { ".*", ".a", true },
                { "*.txt", "a.txt", true },   { "*.txt", "a.txt~", false },
                { "a*b*c", "axxbyyc", true }, { "a*b*c", "axxbyy", false },
                { "?", "a", true },           { "?", "", false },
                { "??", "a", false },         { "[a-c]x", "bx", true },
                { "[a-c]x", "dx", false },    { "[!a-c]x", "dx", true },
                { "[^a-c]x", "ax", false },   { "[]]", "]", true },
                { "[!]]", "]", false },       { "[a-]", "-", true },
                { "[", "[", true },           { "a[b", "a[b", true },
                { "a[b", "ab", false },       { "\\*", "*", true },
                { "\\*", "a", false },        { "a\\", "a\\", true },
                { "a**b", "ab", true },       { "", "", true },
                { "", "a", false },           { "[\xc0-\xff]", "\xe4", true },
                { "A*", "abc", false },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++)
                if (glob_matches(str_of(rows[i].pattern), str_of(rows[i].name), false) != rows[i].matches)
                        fail_msg("%s %s", rows[i].pattern, rows[i].name);
        assert_true(glob_matches(S("*"), S(".a"), true));
        assert_true(glob_is_pattern(S("a*")) && glob_is_pattern(S("[")) && !glob_is_pattern(S("a.b")));
}

/* What would take ages is no match. */
static void glob_bounds(void **state)
{
        char pattern[4000], name[255];

        (void)state;
        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = i % 2 ? 'a' : '*';
        memset(name, 'a', sizeof(name));
        assert_false(glob_matches(str_from(pattern, sizeof(pattern)), str_from(name, sizeof(name)), false));
        pattern[sizeof(pattern) - 1] = '[';
        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = '[';
        assert_false(glob_matches(str_from(pattern, sizeof(pattern)), str_from(name, sizeof(name)), false));
}

/* ---- times ---- */

static void times(void **state)
{
        static const struct {
                const char *text;
                bool good;
                int64_t usec;
                const char *told; /* NULL: as it was read */
        } rows[] = {
                { "19700101000000", true, 0, NULL },
                { "19700101000001.5", true, 1500000, "19700101000001" },
                { "19700101000000.1234567", true, 123456, "19700101000000" },
                { "20000229235959", true, 951868799000000, NULL },
                { "20261120234709", true, 1795218429000000, NULL },
                { "19691231235959", true, -1000000, NULL },
                { "00010101000000", true, -62135596800000000, NULL },
                { "99991231235959", true, 253402300799000000, NULL },
                { "20161231235960", true, 1483228800000000, "20170101000000" },
                { "19000229000000", false, 0, NULL },
                { "20000230000000", false, 0, NULL },
                { "20001301000000", false, 0, NULL },
                { "20000001000000", false, 0, NULL },
                { "20000101240000", false, 0, NULL },
                { "20000101006000", false, 0, NULL },
                { "20000101000061", false, 0, NULL },
                { "00000101000000", false, 0, NULL },
                { "2000010100000", false, 0, NULL },
                { "200001010000000", false, 0, NULL },
                { "20000101000000.", false, 0, NULL },
                { "20000101000000.x", false, 0, NULL },
                { "2000010100000a", false, 0, NULL },
                { "", false, 0, NULL },
        };

        (void)state;
        for (size_t i = 0; i < LENGTH(rows); i++) {
                struct buf b;
                int64_t usec = 42;

                assert_int_equal(ftp_time_parse(str_of(rows[i].text), &usec), rows[i].good);
                if (!rows[i].good)
                        continue;
                assert_int_equal(usec, rows[i].usec);
                buf_init(&b, 20);
                put_ftp_time(&b, usec);
                assert_str(buf_str(&b), str_of(rows[i].told ? rows[i].told : rows[i].text));
                buf_free(&b);
        }
}

/* ---- translations ---- */

/* "%s %llu" -> "%s%llu"; width, precision and length are part of it */
static void conversions(const char *format, char *out, size_t room)
{
        size_t at = 0;

        for (const char *c = strchr(format, '%'); c; c = strchr(c, '%')) {
                size_t n = 1 + strcspn(c + 1, "dscuo") + 1;

                assert_true(at + n < room);
                memcpy(out + at, c, n);
                at += n;
                c += n;
        }
        out[at] = '\0';
}

static void translations(void **state)
{
        char english[64], other[64];

        (void)state;
        for (const struct translation *t = ftp_translations; t->english; t++) {
                conversions(t->english, english, sizeof(english));
                conversions(t->german, other, sizeof(other));
                assert_string_equal(english, other);
                conversions(t->french, other, sizeof(other));
                assert_string_equal(english, other);
                assert_true(utf8_valid(str_of(t->german)) && utf8_valid(str_of(t->french)));
        }
}

/* ---- listings ---- */

static struct place {
        char folder[64];
        char path[128]; /* of jill's files */
        struct files *files;
        struct root *root;
} place;

static int at_home(void)
{
        int fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void put_file(const char *name, size_t size, time_t modified)
{
        int home = at_home(), fd = openat(home, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        struct timespec times[] = { { .tv_sec = modified }, { .tv_sec = modified } };

        assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fchmod(fd, 0644) == 0);
        assert_int_equal(futimens(fd, times), 0);
        close(fd);
        close(home);
}

static void set_time(const char *name, time_t modified)
{
        struct timespec times[] = { { .tv_sec = modified }, { .tv_sec = modified } };
        int home = at_home();

        assert_int_equal(utimensat(home, name, times, 0), 0);
        close(home);
}

static void put_folder(const char *name, time_t modified)
{
        int home = at_home();

        assert_int_equal(mkdirat(home, name, 0755), 0);
        assert_int_equal(fchmodat(home, name, 0755, 0), 0);
        close(home);
        set_time(name, modified);
}

static int make_place(void **state)
{
        struct files_how how = { .durable = false, .keep_parts = 60 };

        (void)state;
        snprintf(place.folder, sizeof(place.folder), "/tmp/test-ftp-parts-XXXXXX");
        assert_non_null(mkdtemp(place.folder));
        assert_int_equal(
            files_open(&place.files, open(place.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &how), 0);
        assert_int_equal(root_open(place.files, S("jill"), false, 0, &place.root), 0);
        snprintf(place.path, sizeof(place.path), "%s/jill", place.folder);
        return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
        (void)st;
        (void)kind;
        (void)where;
        return remove(path);
}

static int remove_place(void **state)
{
        (void)state;
        root_close(&place.root);
        files_close(&place.files);
        return nftw(place.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int gather(void *context, struct str lines)
{
        buf_puts(context, lines);
        return 0;
}

static void lists(const struct ftp_listing *l, const char *want)
{
        struct buf got;

        buf_init(&got, 1 << 20);
        assert_int_equal(ftp_listing_run(place.root, l, gather, &got), 0);
        assert_str(buf_str(&got), str_of(want));
        buf_free(&got);
}

static void starts(const struct ftp_listing *l, const char *want)
{
        struct buf got;

        buf_init(&got, 1 << 20);
        assert_int_equal(ftp_listing_run(place.root, l, gather, &got), 0);
        assert_str(str_sub(buf_str(&got), 0, strlen(want)), str_of(want));
        buf_free(&got);
}

enum { LONG_AGO = 1032825600 /* 24 September 2002 */ };

static void list_lines(void **state)
{
        struct ftp_listing l = { .form = LISTING_LIST, .path = S("/"), .named_at = 1, .pattern = S("[ab]*") };
        time_t lately = time(NULL) - 86400;
        struct tm *tm = gmtime(&lately);
        char want[1024], date[32], owner[32], path[160];
        struct stat st;
        int home;

        (void)state;
        put_folder("business", LONG_AGO);
        put_file("b\033[2J", 1474560, LONG_AGO);
        put_file("a", 0, lately);
        put_file(".hidden", 7, LONG_AGO);
        home = at_home();
        assert_int_equal(symlinkat("a", home, "link"), 0);
        close(home);
        snprintf(path, sizeof(path), "%s/business", place.path);
        assert_int_equal(stat(path, &st), 0); /* a folder's size and links are the file system's affair */
        assert_true(strftime(date, sizeof(date), "%b %e %H:%M", tm) > 0);
        snprintf(owner, sizeof(owner), "%-8u %-8u", st.st_uid, st.st_gid);
        snprintf(want, sizeof(want),
                 "-rw-r--r--   1 %s        0 %s a\r\n"
                 "-rw-r--r--   1 %s  1474560 Sep 24  2002 b?[2J\r\n"
                 "drwxr-xr-x %3u %s %8llu Sep 24  2002 business\r\n",
                 owner, date, owner, (unsigned)st.st_nlink, owner, (unsigned long long)st.st_size);
        lists(&l, want);
}

static void list_links(void **state)
{
        struct ftp_listing l = { .form = LISTING_LIST, .path = S("/"), .named_at = 1, .pattern = S("l*") };
        struct buf got;

        (void)state;
        buf_init(&got, 4096);
        assert_int_equal(ftp_listing_run(place.root, &l, gather, &got), 0);
        assert_true(str_starts(buf_str(&got), S("lrwxrwxrwx   1 ")));
        assert_true(str_ends(buf_str(&got), S(" link -> a\r\n")));
        buf_clear(&got);
        l = (struct ftp_listing){ .form = LISTING_LIST, .path = S("/link"), .named_at = 1 };
        assert_int_equal(ftp_listing_run(place.root, &l, gather, &got), 0);
        assert_true(str_starts(buf_str(&got), S("lrwxrwxrwx   1 ")));
        assert_true(str_ends(buf_str(&got), S(" link -> a\r\n")));
        buf_free(&got);
}

static void names(void **state)
{
        struct ftp_listing l = { .form = LISTING_NLST, .path = S("/"), .named_at = 1 };

        (void)state;
        put_file("two\nlines", 1, LONG_AGO);
        put_file("business/plan", 3, LONG_AGO);
        put_file("business/\xe4\xff", 3, LONG_AGO);
        lists(&l, "a\r\nb\033[2J\r\nbusiness\r\nlink\r\n");
        l.all = true;
        lists(&l, ".hidden\r\na\r\nb\033[2J\r\nbusiness\r\nlink\r\n");
        l.all = false;
        l.recursive = true;
        lists(&l, "a\r\nb\033[2J\r\nbusiness\r\nlink\r\nbusiness/plan\r\nbusiness/\xe4\xff\r\n");
        l = (struct ftp_listing){ .form = LISTING_NLST, .path = S("/business"), .named_at = 1 };
        lists(&l, "business/plan\r\nbusiness/\xe4\xff\r\n");
        l.named_at = 9;
        lists(&l, "plan\r\n\xe4\xff\r\n");
        l.folder_itself = true;
        lists(&l, ".\r\n");
        l = (struct ftp_listing){ .form = LISTING_NLST, .path = S("/business/plan"), .named_at = 0 };
        lists(&l, "/business/plan\r\n");
        l = (struct ftp_listing){ .form = LISTING_NLST, .path = S("/"), .named_at = 0, .pattern = S("a") };
        lists(&l, "/a\r\n");
}

static void below(void **state)
{
        struct ftp_listing l = { .form = LISTING_LIST, .path = S("/business"), .recursive = true };
        struct buf got;

        (void)state;
        put_folder("business/x", LONG_AGO);
        put_folder("business/x/y", LONG_AGO);
        put_file("business/x/y/z", 1, LONG_AGO);
        set_time("business/x/y", LONG_AGO);
        buf_init(&got, 4096);
        assert_int_equal(ftp_listing_run(place.root, &l, gather, &got), 0);
        assert_true(str_search(buf_str(&got), S(" x\r\n")) < str_search(buf_str(&got), S("\r\nx:\r\n")));
        assert_true(str_search(buf_str(&got), S("\r\nx:\r\n")) <
                    str_search(buf_str(&got), S("\r\nx/y:\r\n-rw")));
        assert_true(str_ends(buf_str(&got), S(" z\r\n")));
        buf_free(&got);
}

/* Names are in the order of the disk there, so one is asked for at a time. */
static void facts(void **state)
{
        struct ftp_listing l = { .form = LISTING_MLSD, .path = S("/business/x"), .all = true };
        struct file_facts one = { .kind = FILE_REGULAR,
                                  .size = 1234567890123,
                                  .inode = 0xabc,
                                  .device = 0x1f,
                                  .modified = (int64_t)LONG_AGO * 1000000,
                                  .mode = 0640,
                                  .uid = 3027,
                                  .gid = 411 };
        struct buf got;

        (void)state;
        lists(&l, " .\r\n ..\r\n y\r\n"); /* no facts at all */
        l.facts = FACT_TYPE;
        lists(&l, "Type=cdir; .\r\nType=pdir; ..\r\nType=dir; y\r\n");
        set_time("business", LONG_AGO);
        set_time("business/x", LONG_AGO);
        l.facts = FACT_TYPE | FACT_SIZE | FACT_MODIFY | FACT_PERM;
        lists(&l, "Type=cdir;Modify=20020924000000;Perm=cdeflmp; "
                  ".\r\nType=pdir;Modify=20020924000000;Perm=cdeflmp; ..\r\n"
                  "Type=dir;Modify=20020924000000;Perm=cdeflmp; y\r\n");
        l.facts = FACT_PERM;
        l.read_only = true;
        lists(&l, "Perm=el; .\r\nPerm=el; ..\r\nPerm=el; y\r\n");
        l.path = S("/");
        l.facts = FACT_TYPE;
        starts(&l, "Type=cdir; .\r\nType="); /* nothing is above */
        l.path = S("/business/x");
        buf_init(&got, 4096);
        put_mlst_facts(&got, 255, false, &one, S(""));
        assert_str(buf_str(&got),
                   S("Type=file;Size=1234567890123;Modify=20020924000000;Perm=adfrw;Unique=1fgabc;"
                     "UNIX.mode=0640;UNIX.owner=3027;UNIX.group=411; "));
        buf_clear(&got);
        one.kind = FILE_LINK;
        put_mlst_facts(&got, FACT_TYPE | FACT_PERM, true, &one, S("to\nnowhere"));
        assert_str(buf_str(&got), S("Type=OS.unix=slink:to?nowhere;Perm=r; "));
        buf_free(&got);
}

/* A link is told as what it leads to, or if it leads nowhere as itself. */
static void fact_of_links(void **state)
{
        struct ftp_listing l = {
                .form = LISTING_MLSD, .path = S("/business"), .all = true, .facts = FACT_TYPE | FACT_PERM
        };
        int home = at_home();
        struct buf got;

        (void)state;
        assert_int_equal(symlinkat("plan", home, "business/good"), 0);
        assert_int_equal(symlinkat("nobody", home, "business/bad"), 0);
        close(home);
        buf_init(&got, 4096);
        assert_int_equal(ftp_listing_run(place.root, &l, gather, &got), 0);
        assert_true(str_search(buf_str(&got), S("Type=file;Perm=adfrw; good\r\n")) != STR_NONE);
        assert_true(str_search(buf_str(&got), S("Type=OS.unix=slink:nobody;Perm=adfrw; bad\r\n")) !=
                    STR_NONE);
        buf_free(&got);
}

struct seen {
        unsigned lines, puts;
        bool sorted;
        char last[32];
};

static int look(void *context, struct str lines)
{
        struct seen *v = context;
        struct str line;

        v->puts++;
        while (lines.n && str_cut(&lines, '\n', &line)) {
                char name[32];

                snprintf(name, sizeof(name), PRS, STR(line));
                v->sorted &= strcmp(name, v->last) > 0;
                snprintf(v->last, sizeof(v->last), "%s", name);
                v->lines++;
        }
        return v->puts == 3 ? -EPIPE : 0;
}

/* Few names come in order. Of many each is told once, and as soon as nobody wants them it is over. */
static void many(void **state)
{
        static const unsigned counts[] = { 2000, 12000 };
        struct ftp_listing l = { .form = LISTING_NLST, .path = S("/many"), .named_at = 5 };
        unsigned made = 0;
        char name[64];

        (void)state;
        put_folder("many", LONG_AGO);
        for (size_t i = 0; i < LENGTH(counts); i++) {
                struct seen v = { .sorted = true };

                for (; made < counts[i]; made++) {
                        snprintf(name, sizeof(name), "many/%06u", made * 7919 % 1000000);
                        put_file(name, 0, LONG_AGO);
                }
                assert_int_equal(ftp_listing_run(place.root, &l, look, &v), 0);
                assert_int_equal(v.lines, counts[i]);
                assert_true(v.sorted == (i == 0));
        }
        l.form = LISTING_MLSD;
        l.facts = FACTS_USUAL;
        assert_int_equal(ftp_listing_run(place.root, &l, look, &(struct seen){ 0 }), -EPIPE);
}

static void missing(void **state)
{
        struct ftp_listing l = { .form = LISTING_NLST, .path = S("/nobody") };
        struct buf got;

        (void)state;
        buf_init(&got, 100);
        assert_int_equal(ftp_listing_run(place.root, &l, gather, &got), -ENOENT);
        buf_free(&got);
}

int main(void)
{
        static const struct CMUnitTest pure[] = {
                cmocka_unit_test(telnet),      cmocka_unit_test(telnet_flood), cmocka_unit_test(globs),
                cmocka_unit_test(glob_bounds), cmocka_unit_test(times),        cmocka_unit_test(translations),
        };
        static const struct CMUnitTest listings[] = {
                cmocka_unit_test(list_lines), cmocka_unit_test(list_links), cmocka_unit_test(names),
                cmocka_unit_test(below),      cmocka_unit_test(facts),      cmocka_unit_test(fact_of_links),
                cmocka_unit_test(many),       cmocka_unit_test(missing),
        };

        return cmocka_run_group_tests(pure, NULL, NULL) +
               cmocka_run_group_tests(listings, make_place, remove_place);
}
