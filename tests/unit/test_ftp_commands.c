/* FTP's commands that need no data connection, on a real folder: what they do, and what they say to what is wrong. */
#include "ftp_control.h"

/* ---- paths ---- */

static void paths(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        put_file(w, "a", S("abc"));
        talk(c,
             S("C: MKD x\"y\nS: 257 \"/x\"\"y\" directory created.\nC: XCWD x\"y\nS: 250 XCWD command "
               "successful.\n"
               "C: XPWD\nS: 257 \"/x\"\"y\" is the current directory.\nC: CDUP\nS: 250 *\nC: CDUP\nS: 250 *\n"
               "C: CWD ../../x\"y/../\nS: 250 *\nC: PWD\nS: 257 \"/\" *\nC: CWD a\nS: 550 /a: Not a "
               "directory.\n"
               "C: RMD /\nS: 550 *\nC: RMD a\nS: 550 *\nC: RMD x\"y\nS: 250 RMD command successful.\nC: RMD "
               "x\"y\nS: 550 *\n"
               "C: MKD  a \nS: 257 \"/ a \" *\nC: RMD  a \nS: 250 *\nC: SMNT /\nS: 250 *\nC: SMNT /a\nS: 550 "
               "*\n"
               "C: RNTO b\nS: 503 *\nC: RNFR /\nS: 550 *\nC: RNFR nothing\nS: 550 *\nC: RNTO b\nS: 503 *\n"
               "C: RNFR a\nS: 350 *\nC: NOOP\nS: 200 *\nC: RNTO b\nS: 503 *\nC: RNFR a\nS: 350 *\nC: RNTO "
               "b\nS: 250 *\n"
               "C: RNTO c\nS: 503 *\nC: DELE a\nS: 550 *\nC: DELE b\nS: 250 *\nC: CWD\nS: 501 Syntax: CWD "
               "path\nC: PWD x\nS: 501 *"));
        conn_put(c, S("MKD a\r\0b\r\nRMD a\r\0b\r\nMKD \377\377\r\nRMD \377\377\r\n"));
        talk(c, S("S: 257 \"/a?b\" *\nS: 250 *\nS: 257 \"/\377\377\" *\nS: 250 *"));
        leave(&c);
}

/* ---- facts ---- */

static void facts(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        put_file(w, "a", S("one\ntwo\nthree"));
        put_file(w, "20020924120131 x", S("x"));
        talk(
            c,
            S("C: SIZE a\nS: 213 13\nC: TYPE A\nS: 200 *\nC: SIZE a\nS: 213 15\nC: SIZE /\nS: 550 *\nC: SIZE "
              "b\nS: 550 *\nC: SIZE\nS: 501 *\n"
              "C: STRU R\nS: 200 *\nC: SIZE a\nS: 550 SIZE is of STRU F.\nC: STRU F\nS: 200 *\nC: TYPE I\nS: "
              "200 *\n"
              "C: MFMT 20020924120130 a\nS: 213 Modify=20020924120130; /a\nC: MDTM a\nS: 213 20020924120130\n"
              "C: MDTM 20020924120131 a\nS: 253 *\nC: MDTM a\nS: 213 20020924120131\n"
              "C: MFMT 20020924120130 20020924120131 x\nS: 213 *\nC: MDTM 20020924120131 x\nS: 213 "
              "20020924120130\n"
              "C: MFMT 20021324120130 a\nS: 501 *\nC: MFMT 20020924120130\nS: 501 *\nC: MFMT 20020924120130 "
              "b\nS: 550 *\n"
              "C: MFCT 20020924120130 a\nS: 504 *\nC: MFCT a\nS: 501 *\n"
              "C: MFF Modify=19700101000000;UNIX.mode=0640; a\nS: 213 UNIX.mode=0640;Modify=19700101000000; "
              "/a\n"
              "C: OPTS MLST modify;unix.mode;nothing;\nS: 200 MLST OPTS Modify;UNIX.mode;\n"
              "C: MLST a\nS: 250-Listing /a\nS:  Modify=19700101000000;UNIX.mode=0640; /a\nS: 250 End\n"
              "C: MFF Create=20020924120130; a\nS: 504 *\nC: MFF Modify=x; a\nS: 501 *\nC: MFF "
              "Modify=20020924120130 a\nS: 213 Modify=20020924120130; /a\n"
              "C: MFF  a\nS: 501 *\nC: MFF UNIX.mode=888; a\nS: 501 *\nC: MFF UNIX.mode=0600; b\nS: 550 *\n"
              "C: OPTS MLST\nS: 200 MLST OPTS\nC: MLST\nS: 250-Listing /\nS:   /\nS: 250 End\nC: MLST b\nS: "
              "550 *\n"
              "C: AVBL a\nS: 550 *\nC: AVBL\nS: 213 *\nC: MLSD a\nS: 501 *\nC: MLSD b\nS: 550 *"));
        leave(&c);
}

static void hashes(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        put_file(w, "fox", S("The quick brown fox jumps over the lazy dog"));
        put_file(w, "fox 4 9", S(""));
        put_file(w, "tail", S("!"));
        talk(c,
             S("C: HASH fox\nS: 213 SHA-256 0-43 "
               "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592 fox\n"
               "C: OPTS HASH md5\nS: 200 MD5\nC: OPTS HASH\nS: 200 MD5\nC: OPTS HASH MD6\nS: 501 *\n"
               "C: RANG 4 8\nS: 350 *\nC: HASH fox\nS: 213 MD5 4-9 1df3746a4728276afdc24f828186f73a fox\n"
               "C: HASH fox\nS: 213 MD5 0-43 9e107d9d372bb6826bd81d3542a419d6 fox\nC: HASH /\nS: 550 *\nC: "
               "HASH\nS: 501 *\n"
               "C: RANG 90 99\nS: 350 *\nC: HASH fox\nS: 501 *\n"
               "C: XCRC fox\nS: 250 414fa339\nC: XMD5 \"fox\" 4 9\nS: 250 1df3746a4728276afdc24f828186f73a\n"
               "C: XMD5 fox 4 9\nS: 250 d41d8cd98f00b204e9800998ecf8427e\nC: XSHA1 fox 0\nS: 250 "
               "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12\n"
               "C: XMD5 \"fox\" four\nS: 501 *\nC: XMD5 \"fox\nS: 501 *\nC: XMD5 fox 90 99\nS: 501 *\nC: "
               "XMD5\nS: 501 *\n"
               "C: COMB \"all\" \"fox\" tail\nS: 250 2 files combined.\nC: SIZE all\nS: 213 44\nC: SIZE "
               "tail\nS: 550 *\n"
               "C: COMB all\nS: 501 *\nC: COMB all all\nS: 553 *\nC: COMB x nothing\nS: 550 *"));
        leave(&c);
}

static void site(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        put_file(w, "a b", S("abc"));
        talk(c,
             S("C: SITE\nS: 501 *\nC: SITE XYZZY\nS: 501 *\nC: SITE CHMOD 640 a b\nS: 200 *\nC: SITE CHMOD "
               "1777 a b\nS: 501 *\n"
               "C: SITE CHMOD 640\nS: 501 Syntax: SITE CHMOD mode path\nC: SITE UMASK\nS: 200 The umask is "
               "022.\n"
               "C: SITE UMASK 077\nS: 200 *\nC: SITE UMASK\nS: 200 The umask is 077.\nC: SITE UMASK 700\nS: "
               "501 *\nC: SITE UMASK 08\nS: 501 *\n"
               "C: SITE UTIME 200209241201 a b\nS: 200 *\nC: MDTM a b\nS: 213 20020924120100\n"
               "C: SITE UTIME a b 20020924120103 20020924120104 20020924120105 UTC\nS: 200 *\nC: MDTM a "
               "b\nS: 213 20020924120104\n"
               "C: SITE UTIME a b\nS: 501 *\nC: SITE COPY \"a b\" c\nS: 250 *\nC: SIZE c\nS: 213 3\nC: SITE "
               "COPY x y\nS: 550 /x: *\n"
               "C: SITE CPTO d\nS: 503 *\nC: SITE CPFR a b\nS: 350 *\nC: SITE CPTO d\nS: 250 *\nC: SITE CPTO "
               "e\nS: 503 *\n"
               "C: SITE CPFR x\nS: 550 *\nC: SITE SYMLINK c l\nS: 200 *\nC: SIZE l\nS: 213 3\nC: SITE "
               "SYMLINK ../../c l2\nS: 550 *\n"
               "C: SITE SYMLINK c\nS: 501 *\nC: SITE MKDIR m\nS: 200 *\nC: SITE RMDIR m\nS: 200 *\nC: SITE "
               "RMDIR /\nS: 550 *\n"
               "C: SITE QUOTA\nS: 200-*\nS:  used 9\nS:  available *\nS: 200 End\nC: SITE QUOTA x\nS: 501 *\n"
               "C: SITE HELP UTIME\nS: 214 Syntax: SITE UTIME time path\nC: SITE HELP XYZZY\nS: 501 *\nC: "
               "MLST d\nS: 250-*\nS:  *UNIX.mode=0600; /d\nS: 250 *"));
        leave(&c);
}

/* ---- what there is ---- */

/* A reply of several lines */
static void several(struct conn *c, const char *command, struct str code)
{
        struct str line;

        conn_printf(c, "%s\r\n", command);
        must(conn_line(c, &line, 1000, SOON) == GOT_LINE && str_starts(line, code) && line.p[code.n] == '-');
        do {
                must(conn_line(c, &line, 1000, SOON) == GOT_LINE &&
                     (line.p[0] == ' ' || str_starts(line, code)));
        } while (line.p[0] == ' ');
        must(line.p[code.n] == ' ');
}

static void features(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);
        struct str line;
        unsigned count = 0;

        conn_put(c, S("FEAT\r\n"));
        talk(c, S("S: 211-Features:"));
        while (conn_line(c, &line, 1000, SOON) == GOT_LINE && !str_eq(line, S("211 End"))) {
                must(str_starts(line, S(" ")) && !str_starts(line, S("  ")));
                must(!str_istarts(line, S(" AUTH")) &&
                     !str_istarts(line, S(" PBSZ"))); /* there is no TLS here */
                count++;
        }
        must(count > 20);
        several(c, "HELP", S("214"));
        several(c, "HELP site", S("214"));
        several(c, "SITE HELP", S("214"));
        talk(
            c,
            S("C: HELP xyzzy\nS: 501 *\nC: HELP user\nS: 214 Syntax: USER name\n"
              "C: SYST\nS: 215 UNIX Type: L8\nC: OPTS\nS: 501 *\nC: OPTS RETR\nS: 501 *\nC: OPTS UTF8 "
              "OFF\nS: 504 *\n"
              "C: OPTS MODE Z LEVEL 3\nS: 200 *\nC: OPTS MODE Z LEVEL 0\nS: 501 *\nC: OPTS MODE Z\nS: 501 *\n"
              "C: CLNT\nS: 501 *\nC: CLNT x\nS: 200 *\nC: CSID Name=x;\nS: 200 Name=pail;*\n"
              "C: LANG tlh\nS: 504 *\nC: LANG de-CH\nS: 200 Antworten von nun an auf Deutsch.\nC: NOOP\nS: "
              "200 Befehl ausgeführt\n"
              "C: MKD x\nS: 257 \"/x\" ist angelegt.\nC: LANG fr\nS: 200 *\nC: CWD y\nS: 550 /y : aucun*\nC: "
              "LANG\nS: 200 *\nC: NOOP\nS: 200 Command OK"));
        leave(&c);
}

static void status(void *arg)
{
        struct world *w = arg;
        struct conn *c = sign_in(w);

        put_file(w, "213 x", S("abc"));
        talk(c, S("C: STAT\nS: 211-*\nS:  Connected to *\nS:  Logged in as jill\nS:  TYPE: Image; STRU: "
                  "File; MODE: Stream\n"
                  "S:  Control connection: clear; data connections: clear\nS:  No data connection\nS: 211 *\n"
                  "C: STAT 213 x\nS: 213-*\nS:  -rw*3 * 213 x\nS: 213 *\nC: STAT -la 2*\nS: 213-*\nS:  -rw*3 "
                  "* 213 x\nS: 213 *\n"
                  "C: STAT x\nS: 450 *\nC: STAT ../\nS: 213-*\nS:  -rw*3 * 213 x\nS: 213 *\nC: TYPE L 8\nS: "
                  "200 *\nC: STAT\nS: 211-*\nS: *\nS: *\n"
                  "S:  TYPE: Local 8; STRU: File; MODE: Stream\nS: *\nS: *\nS: 211 *"));
        leave(&c);
}

TEST(paths)
TEST(facts)
TEST(hashes)
TEST(site)
TEST(features)
TEST(status)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_paths), cmocka_unit_test(test_facts),    cmocka_unit_test(test_hashes),
                cmocka_unit_test(test_site),  cmocka_unit_test(test_features), cmocka_unit_test(test_status),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
