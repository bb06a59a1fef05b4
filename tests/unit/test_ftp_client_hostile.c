/* The FTP client and servers that do what they should not. */
#include "ftp_client_scripts.h"

/* ---- replies ---- */

static int ask(struct ftp_client *c, struct ftp_answer *a)
{
        return ftp_client_ask(c, a, "NOOP");
}

static int ask_twice(struct ftp_client *c, struct ftp_answer *a)
{
        return ftp_client_ask(c, a, "NOOP") == 0 ? ftp_client_ask(c, a, "PWD") : -1;
}

static void replies(void **state)
{
        static const char long_line[20000] = { [0 ... 19998] = 'x' };
        const struct played all[] = {
                { (struct step[]){ { SAY, "220 ready" }, { HEAR, "NOOP" }, { SAY, "200 ok" }, { 0 } }, 0,
                  "ok", ask, 0 },
                { (struct step[]){ { SAY, "120 soon\r\n220-well\r\n\r\n 220 no\r\n230 no\r\n220" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200-a\r\n200-b\r\n200 c\033[2J\x9b\x07" },
                                   { 0 } },
                  0, "c\\033[2J\\233\\007", ask, 0 },
                { (struct step[]){ { SAY, "SSH-2.0-OpenSSH" }, { 0 } }, -EPROTO, "none", NULL, 0 },
                { (struct step[]){ { SAY, "220x" }, { 0 } }, -EPROTO, "none", NULL, 0 },
                { (struct step[]){ { SAY, "999 no" }, { 0 } }, -EPROTO, "none", NULL, 0 },
                { (struct step[]){ { SAY, long_line }, { 0 } }, -EPROTO, "line without end", NULL, 0 },
                { (struct step[]){ { ENDLESS, "220-and so on and so forth" }, { 0 } }, -EPROTO,
                  "reply without end", NULL, 0 },
                { (struct step[]){ { ENDLESS, "" }, { 0 } }, -EPROTO, "", NULL, 0 },
                { (struct step[]){ { DRIP, "220-welcome\r\n" }, { 0 } }, -ECONNRESET, "in time", NULL,
                  SECOND / 10 },
                { (struct step[]){ { DRIP, "x" }, { 0 } }, -ECONNRESET, "in time", NULL, SECOND / 10 },
                { (struct step[]){ { SILENCE, "" }, { 0 } }, -ECONNRESET, "in time", NULL, SECOND / 10 },
                { (struct step[]){ { HANG_UP, "" } }, -ECONNRESET, "closed", NULL, 0 },
                { (struct step[]){ { SAY, "421 too many" }, { 0 } }, -ECONNRESET, "too many", NULL, 0 },
                { (struct step[]){ { SAY, "500 go away" }, { 0 } }, -EREMOTEIO, "go away", NULL, 0 },
                { (struct step[]){ { SAY, "220 ready" }, { HEAR, "NOOP" }, { SAY, "421 bye" }, { 0 } },
                  -ECONNRESET, "bye", ask, 0 },
                { (struct step[]){ { SAY, "220 ready" },
                                   { HEAR, "NOOP" },
                                   { SAY, "150 wait\r\n200 done" },
                                   { HEAR, "PWD" },
                                   { SAY, "257 \"/\"" },
                                   { 0 } },
                  0, "\"/\"", ask_twice, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        run(all);
}

/* ---- transfers ---- */

static char file_text[64];
static int fetch_most(struct ftp_client *c, struct ftp_answer *a, struct ftp_transfer *t)
{
        int rc;
        ssize_t n;

        t->remote = "a";
        t->file = memfd_create("test", MFD_CLOEXEC);
        rc = ftp_client_transfer(c, t);
        n = pread(t->file, file_text, sizeof(file_text) - 1, 0);
        file_text[n < 0 ? 0 : n] = 0;
        close(t->file);
        *a = t->answer;
        return rc;
}

static int fetch(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_GET };
        int rc = fetch_most(c, a, &t);

        must(rc < 0 || (t.bytes == 5 && strcmp(file_text, "water") == 0));
        return rc;
}

/* What went wrong, and then PWD is answered: in step. */
static int fetch_and_ask(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_GET };
        struct ftp_answer b;
        int rc = fetch_most(c, a, &t);

        must(ftp_client_ask(c, &b, "PWD") == 0 && b.code == 257);
        return rc;
}

static void stop_it(void *context, uint64_t bytes)
{
        (void)bytes;
        ftp_client_stop(context);
}

static int fetch_and_stop(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_GET, .progress = stop_it, .context = c, .most = 100000 };
        struct ftp_answer b;
        int rc = fetch_most(c, a, &t);

        must(ftp_client_ask(c, &b, "PWD") == 0 && b.code == 257);
        return rc;
}

static int store(struct ftp_client *c, struct ftp_answer *a)
{
        struct ftp_transfer t = { .move = FTP_PUT, .remote = "a", .file = memfd_create("test", MFD_CLOEXEC) };
        int rc;

        must(ftruncate(t.file, 64 << 20) == 0);
        rc = ftp_client_transfer(c, &t);
        close(t.file);
        *a = t.answer;
        return rc;
}

#define TO_DATA                  \
        TO_PORT, { PORT, NULL }, \
        {                        \
                HEAR, "RETR a"   \
        }
#define AND_PWD                                \
        { HEAR, "PWD" }, { SAY, "257 \"/\"" }, \
        {                                      \
                0                              \
        }

static void transfers(void **state)
{
        static char much[100001];
        const struct played all[] = {
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 Opening (5 bytes)" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { 0 } },
                  0, "done", fetch, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok\r\n226 done" },
                                   { TAKE, "" },
                                   { DATA, "wa" },
                                   { DATA, "ter" },
                                   { FINISH, "" },
                                   { 0 } },
                  0, "done", fetch, 0 }, /* 226 before the data's end */
                { (struct step[]){
                      TO_DATA, { SAY, "226 done" }, { TAKE, "" }, { DATA, "water" }, { FINISH, "" }, { 0 } },
                  0, "done", fetch, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, "10,9,8,7" },
                                   { HEAR, "RETR a" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { 0 } },
                  0, "done", fetch, 0 }, /* points elsewhere */
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 Opening (6 bytes)" },
                                   { TAKE, "" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   AND_PWD },
                  -EREMOTEIO, "5 octets came", fetch_and_ask, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "wat" },
                                   { CUT, "" },
                                   { SAY, "226 done" },
                                   { HEAR, "PWD" },
                                   { SAY, "257 x" },
                                   { 0 } },
                  -EREMOTEIO, "cut after", fetch_and_ask, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, "wat" },
                                   { FINISH, "" },
                                   { SAY, "426 broken" },
                                   AND_PWD },
                  -EREMOTEIO, "broken", fetch_and_ask, 0 },
                { (struct step[]){ TO_DATA, { SAY, "550 none" }, AND_PWD }, -EREMOTEIO, "none", fetch_and_ask,
                  0 },
                { (struct step[]){
                      TO_DATA, { SAY, "150 ok" }, { TAKE, "" }, { DATA, "wat" }, { HANG_UP, "" } },
                  -ECONNRESET, "", fetch, 0 },
                { (struct step[]){ TO_DATA, { SAY, "227 what" }, { TAKE, "" }, { FINISH, "" }, AND_PWD },
                  -EREMOTEIO, "nothing of", fetch_and_ask, 0 },
                { (struct step[]){ TO_PORT, { SAY, "227 nowhere" }, { 0 } }, -EPROTO,
                  "no port in \"nowhere\"", fetch, 0 },
                { (struct step[]){ TO_PORT, { SAY, "227 (1,2,3,4,5,256)" }, { 0 } }, -EPROTO, "no port",
                  fetch, 0 },
                { (struct step[]){ TO_PORT, { SAY, "227 (127,0,0,1,0,0)" }, { 0 } }, -EPROTO, "no port",
                  fetch, 0 },
                { (struct step[]){
                      TO_PORT, { SAY, "502 no" }, { HEAR, "EPSV" }, { SAY, "229 (|||99999|)" }, { 0 } },
                  -EPROTO, "no port", fetch, 0 },
                { (struct step[]){ TO_PORT, { SAY, "502 no" }, { HEAR, "EPSV" }, { SAY, "502 no" }, { 0 } },
                  -EREMOTEIO, "no", fetch, 0 },
                /* stopped: 426 and 226; one reply only; three; none but NOOP's */
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, much },
                                   { HEAR, "ABOR" },
                                   { SAY, "426 cut\r\n226 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   AND_PWD },
                  -ECANCELED, "stopped", fetch_and_stop, 0 },
                { (struct step[]){ TO_DATA,
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { DATA, much },
                                   { HEAR, "ABOR" },
                                   { SAY, "225 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   AND_PWD },
                  -ECANCELED, "stopped", fetch_and_stop, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, NULL },
                                   { HEAR, "STOR a" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { CUT, "" },
                                   { SAY, "552 full" },
                                   { 0 } },
                  -EREMOTEIO, "full", store, 0 },
                { (struct step[]){ TO_PORT,
                                   { PORT, NULL },
                                   { HEAR, "STOR a" },
                                   { SAY, "150 ok" },
                                   { TAKE, "" },
                                   { CUT, "" },
                                   { SAY, "226 fine" },
                                   { 0 } },
                  -EREMOTEIO, "cut after", store, 0 },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        memset(much, 'x', sizeof(much) - 1);
        run(all);
}

/* ---- the server calls us ---- */

static int fetch_active(struct ftp_client *c, struct ftp_answer *a)
{
        ftp_client_data(c, FTP_DATA_ACTIVE, false);
        return fetch(c, a);
}

static int fetch_active_and_ask(struct ftp_client *c, struct ftp_answer *a)
{
        ftp_client_data(c, FTP_DATA_ACTIVE, false);
        return fetch_and_ask(c, a);
}

#define TO_CALL                                                                                            \
        { SAY, "220 ready" }, { HEAR, "TYPE I" }, { SAY, "200 ok" }, { HEAR_PORT, "" }, { SAY, "200 ok" }, \
        {                                                                                                  \
                HEAR, "RETR a"                                                                             \
        }

static void calls(void **state)
{
        const struct played all[] = {
                { (struct step[]){ TO_CALL,
                                   { SAY, "150 ok" },
                                   { CALL, "127.0.0.1" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { 0 } },
                  0, "done", fetch_active, 0 },
                /* somebody else is quicker: he is not heard */
                { (struct step[]){ TO_CALL,
                                   { CALL, "127.0.0.9" },
                                   { DATA, "poison" },
                                   { FINISH, "" },
                                   { SAY, "150 ok" },
                                   { CALL, "127.0.0.1" },
                                   { DATA, "water" },
                                   { FINISH, "" },
                                   { SAY, "226 done" },
                                   { 0 } },
                  0, "done", fetch_active, 0 },
                { (struct step[]){ TO_CALL, { SAY, "150 ok\r\n425 cannot" }, AND_PWD }, -EREMOTEIO, "cannot",
                  fetch_active_and_ask, 0 },
                { (struct step[]){ TO_CALL,
                                   { SAY, "150 ok" },
                                   { HEAR, "ABOR" },
                                   { SAY, "425 none\r\n226 ok" },
                                   { HEAR, "NOOP" },
                                   { SAY, "200 ok" },
                                   AND_PWD },
                  -EREMOTEIO, "no data connection came", fetch_active_and_ask, 2 * SECOND },
                { NULL, 0, NULL, NULL, 0 },
        };

        (void)state;
        run(all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(replies),
                cmocka_unit_test(transfers),
                cmocka_unit_test(calls),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
