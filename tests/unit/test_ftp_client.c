/* The FTP client and our own server. */
#include "ftp_client_unit.h"
#include "net/conn_private.h"

#include <sys/ioctl.h>

/* ---- the conversation ---- */

static void conversation(void *arg)
{
        struct world *w = arg;
        struct ftp_client_how how = {
                .hears = &hearing, .patience = PATIENCE, .say_host = true, .host = "hill.com"
        };
        struct ftp_client *c;
        struct ftp_answer a;

        buf_init(&heard_all, 1 << 20);
        must(ftp_client_open(&c, call_server(w), &how, &a) == 0 && a.code == 220);
        must(ftp_client_login(c, "jill", "tumbled", NULL, &a) == -EREMOTEIO && a.code == 530);
        must(ftp_client_login(c, "jill", NULL, NULL, &a) == -EREMOTEIO && a.code == 331);
        must(ftp_client_login(c, "ji\nll", "x", NULL, &a) == -EINVAL && a.code == 0);
        must(ftp_client_login(c, "jill", "tumbling", NULL, &a) == 0 && a.code == 230);
        must((ftp_client_offers(c) & (FTP_HAS_FEAT | FTP_HAS_MLST | FTP_HAS_SIZE | FTP_HAS_REST |
                                      FTP_HAS_UTF8 | FTP_HAS_RANG | FTP_HAS_MODE_Z)) ==
             (FTP_HAS_FEAT | FTP_HAS_MLST | FTP_HAS_SIZE | FTP_HAS_REST | FTP_HAS_UTF8 | FTP_HAS_RANG |
              FTP_HAS_MODE_Z));
        must(times_heard("tumbl") == 0 && times_heard("C: PASS XXXX\n") == 2);
        must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257 && str_starts(str_of(a.text), S("\"/\"")));
        must(ftp_client_ask(c, &a, "CWD %s", "a\r\nDELE b") == -EINVAL);
        must(ftp_client_ask(c, &a, "CWD %s", "none") == -EREMOTEIO && a.code == 550);
        must(ftp_client_ask(c, &a, "HELP") == 0 &&
             str_find(ftp_client_lines(c), '\n') + 1 < ftp_client_lines(c).n);
        must(ftp_client_ask(c, &a, "MKD hill\xff%s", "\xc3\xa9") == 0 && a.code == 257);
        for (int i = 0; i < FTP_AHEAD_MOST; i++)
                must(ftp_client_ask_ahead(c, i % 2 ? "PWD" : "CWD none") == 0);
        must(ftp_client_ask_ahead(c, "NOOP") == -EBUSY);
        for (int i = 0; i < 10; i++)
                must(ftp_client_answer(c, &a) == (i % 2 ? 0 : -EREMOTEIO) && a.code == (i % 2 ? 257 : 550));
        must(ftp_client_ask(c, &a, "NOOP") == 0 && a.code == 200); /* passes over the others */
        must(ftp_client_answer(c, &a) == -EINVAL);
        close_client(&c);
}

/* ---- every coding, every way ---- */

static void send_and_fetch(struct ftp_client *c, const char *text, size_t n)
{
        auto_buf struct buf bytes = { 0 };

        if (text) {
                buf_init(&bytes, n + 100);
                while (bytes.n < n)
                        buf_puts(&bytes, str_of(text));
        } else {
                fill(&bytes, n, n);
        }
        put_bytes(c, "a", buf_str(&bytes));
        get_bytes(c, "a", buf_str(&bytes));
}

static void codings(void *arg)
{
        static const struct coding table[] = {
                { .type = TYPE_IMAGE },
                { .type = TYPE_IMAGE, .mode = MODE_DEFLATE },
                { .type = TYPE_IMAGE, .mode = MODE_BLOCK },
                { .type = TYPE_IMAGE, .mode = MODE_COMPRESSED },
                { .type = TYPE_LOCAL, .byte_size = 8 },
                { .type = TYPE_ASCII },
                { .type = TYPE_ASCII, .mode = MODE_DEFLATE },
                { .type = TYPE_ASCII, .structure = STRUCTURE_RECORD },
                { .type = TYPE_ASCII, .structure = STRUCTURE_RECORD, .mode = MODE_BLOCK },
                { .type = TYPE_EBCDIC, .code_page = "IBM-1047" },
                { .type = TYPE_EBCDIC,
                  .code_page = "IBM-1047",
                  .structure = STRUCTURE_RECORD,
                  .mode = MODE_COMPRESSED },
        };
        static const enum ftp_data_way ways[] = { FTP_DATA_AUTO, FTP_DATA_EPSV, FTP_DATA_ACTIVE };
        static const size_t sizes[] = { 0, 1, 65536, 65537, 3000000 };
        struct world *w = arg;
        struct ftp_client *c = open_client(w);

        for (size_t i = 0; i < LENGTH(table); i++) {
                struct coding how = table[i];
                bool text = how.type == TYPE_ASCII || how.type == TYPE_EBCDIC;

                how.byte_size = 8;
                how.level = 1;
                ftp_client_coding(c, &how);
                for (size_t k = 0; k < LENGTH(sizes); k++) {
                        ftp_client_data(c, ways[(i + k) % LENGTH(ways)], false);
                        send_and_fetch(c, text ? "jack and jill\nwent up\n" : NULL, sizes[k]);
                }
        }
        must(times_heard("C: MODE B\n") == 2 && times_heard("C: TYPE L 8\n") == 1 &&
             times_heard("C: TYPE I\n") == 1);
        close_client(&c);
}

static void one_connection(void *arg)
{
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        struct coding block = { .type = TYPE_IMAGE, .byte_size = 8, .mode = MODE_BLOCK };
        char name[16];

        ftp_client_coding(c, &block);
        for (int i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "f%d", i % 3);
                put_bytes(c, name, str_of(name));
                get_bytes(c, name, str_of(name));
        }
        must(times_heard("C: PASV\n") == 1);
        stream_cancel(c->kept); /* it is found to be gone, and another one is made */
        put_bytes(c, "f", S("still"));
        get_bytes(c, "f", S("still"));
        must(times_heard("C: PASV\n") == 2);
        close_client(&c);
}

/* RFC 959 §3.2: without PORT the server calls the port that the conversation came from. */
static void default_port(void *arg)
{
        struct world *w = arg;
        struct ftp_client *c = open_client(w);

        close(w->listener);
        ftp_client_data(c, FTP_DATA_DEFAULT, false);
        send_and_fetch(c, NULL, 5);
        must(times_heard("C: PORT") == 0 && times_heard("C: PASV") == 0);
        close_client(&c);
        w->listener = listen_somewhere();
}

static void six(void *arg)
{
        struct world *w = arg;
        struct addr four = w->client;
        struct ftp_client *c;

        w->client = (struct addr){ .ip = { [15] = 1 }, .family = 6, .port = 3000 };
        c = open_client(w);
        for (int i = 0; i < 3; i++) {
                ftp_client_data(c, i % 2 ? FTP_DATA_ACTIVE : FTP_DATA_AUTO, i == 2);
                send_and_fetch(c, NULL, 70000);
        }
        must(times_heard("C: EPSV\n") == 4 && times_heard("C: EPRT |2|::1|") == 2 &&
             times_heard("C: PASV") == 0);
        close_client(&c);
        w->client = four;
}

/* ---- parts ---- */

static void parts(void *arg)
{
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        struct ftp_transfer t = { .remote = "a" };
        struct coding z = { .type = TYPE_IMAGE, .byte_size = 8, .level = 1, .mode = MODE_DEFLATE };

        put_bytes(c, "a", S("0123456789"));
        for (int i = 0; i < 2; i++) {
                t = (struct ftp_transfer){ .remote = "a", .file = file_of(S("0123")), .offset = 4 };
                went(ftp_client_transfer(c, &t), &t);
                must(t.bytes == 6);
                holds(t.file, S("0123456789"));
                close(t.file);
                ftp_client_coding(c, &z);
        }
        z.mode = MODE_STREAM;
        ftp_client_coding(c, &z);
        for (int i = 0; i < 2; i++) { /* with RANG, and by ABOR */
                t = (struct ftp_transfer){ .remote = "a", .file = file_of(S("")), .offset = 2, .most = 3 };
                went(ftp_client_transfer(c, &t), &t);
                must(t.bytes == 3);
                holds(t.file, str_from("\0\000234", 5));
                close(t.file);
                c->offers &= ~(unsigned)FTP_HAS_RANG;
        }
        must(times_heard("C: RANG 2 4\n") == 1 && times_heard("C: ABOR\n") == 1);
        t = (struct ftp_transfer){
                .move = FTP_PUT, .remote = "a", .file = file_of(S("0123abc")), .offset = 4
        };
        went(ftp_client_transfer(c, &t), &t);
        close(t.file);
        get_bytes(c, "a", S("0123abc"));
        t = (struct ftp_transfer){ .move = FTP_APPEND, .remote = "a", .file = file_of(S("xyz")) };
        went(ftp_client_transfer(c, &t), &t);
        get_bytes(c, "a", S("0123abcxyz"));
        t.move = FTP_PUT_UNIQUE;
        went(ftp_client_transfer(c, &t), &t);
        must(t.unique[0]);
        get_bytes(c, t.unique, S("xyz"));
        close(t.file);
        t = (struct ftp_transfer){ .remote = "a", .file = file_of(S("")), .offset = 400 };
        must(ftp_client_transfer(c, &t) == -EREMOTEIO && t.answer.code == 554);
        t.remote = "none";
        t.offset = 0;
        must(ftp_client_transfer(c, &t) == -EREMOTEIO && t.answer.code == 550);
        close(t.file);
        get_bytes(c, "a", S("0123abcxyz"));
        close_client(&c);
}

/* ---- stopped ---- */

struct stopping {
        struct ftp_client *c;
        uint64_t at;
        bool once;
        bool put;
};

static void stop_at(void *context, uint64_t bytes)
{
        struct stopping *s = context;

        if (bytes >= s->at)
                ftp_client_stop(s->c);
}

/* At any moment: the session goes on, and what came so far is good. */
static void stopped(void *arg)
{
        static const uint64_t places[] = { 1, 70000, 1000000, 2999999 };
        static const uint8_t modes[] = { MODE_STREAM, MODE_BLOCK, MODE_DEFLATE };
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        auto_buf struct buf bytes = { 0 };
        struct ftp_answer a;

        fill(&bytes, 3000000, 7);
        put_bytes(c, "a", buf_str(&bytes));
        for (size_t i = 0; i < LENGTH(modes) * LENGTH(places) * 2; i++) {
                struct coding how = { .type = TYPE_IMAGE, .byte_size = 8, .level = 1, .mode = modes[i % 3] };
                struct stopping s = { c, places[i / 3 % 4], true };
                bool put = i >= LENGTH(modes) * LENGTH(places);
                struct ftp_transfer t = { .move = put ? FTP_PUT : FTP_GET,
                                          .remote = put ? "b" : "a",
                                          .file = file_of(put ? buf_str(&bytes) : S("")),
                                          .progress = stop_at,
                                          .context = &s };
                int rc;

                ftp_client_coding(c, &how);
                rc = ftp_client_transfer(c, &t);
                must(rc == -ECANCELED || rc == 0); /* 0: all of it was on its way already */
                must(put || t.bytes == bytes.n || rc == -ECANCELED);
                if (!put)
                        holds(t.file, str_sub(buf_str(&bytes), 0, t.bytes));
                close(t.file);
                must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257);
                get_bytes(c, "a", buf_str(&bytes));
        }
        must(times_heard("C: ABOR\n") > 12);
        close_client(&c);
}

static void stop_soon(void *arg)
{
        struct ftp_client *c = arg;

        ftp_client_stop(c);
}

/* Before the data connection stands, and where there is no transfer. */
static void stopped_early(void *arg)
{
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        struct ftp_transfer t = { .remote = "a", .file = file_of(S("")) };
        struct ftp_answer a;

        put_bytes(c, "a", S("water"));
        for (int i = 0; i < 4; i++) {
                ftp_client_data(c, i % 2 ? FTP_DATA_ACTIVE : FTP_DATA_PASV, false);
                spawn(stop_soon, c);
                must(ftp_client_transfer(c, &t) == -ECANCELED);
                must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257);
                get_bytes(c, "a", S("water"));
        }
        spawn(stop_soon, c);
        must(ftp_client_ask(c, &a, "MKD up") == -ECANCELED);
        must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257);
        must(ftp_client_ask(c, &a, "CWD up") == 0);
        close(t.file);
        close_client(&c);
}

/* ---- taken up again ---- */

/* An upload's markers are the server's to say, once it has read so far: 110 waits in the control connection. */
static void stop_when_marked(void *context, uint64_t bytes)
{
        struct stopping *s = context;
        int waiting = 0;

        while (bytes >= s->at && s->put && !waiting)
                must(ioctl(ftp_client_conn(s->c)->watch.fd, FIONREAD, &waiting) == 0 &&
                     fiber_sleep(now() + MSECOND) == 0);
        stop_at(s, bytes);
}

/* MODE B: at the last marker, by the server's word for it and our own state. */
static void markers(void *arg)
{
        static const struct coding table[] = {
                { .type = TYPE_IMAGE, .mode = MODE_BLOCK },
                { .type = TYPE_ASCII, .mode = MODE_BLOCK },
                { .type = TYPE_ASCII, .mode = MODE_COMPRESSED, .structure = STRUCTURE_RECORD },
        };
        struct world *w = arg;
        auto_buf struct buf bytes = { 0 };

        buf_init(&bytes, 6000000);
        while (bytes.n < 5000000)
                buf_printf(&bytes, "line %zu went up the hill\n", bytes.n);
        for (size_t i = 0; i < 2 * LENGTH(table); i++) {
                struct ftp_client *c = open_client(w);
                struct coding how = table[i / 2];
                bool put = i % 2;
                struct stopping s = { c, 3500000, .put = put };
                struct ftp_transfer t = { .move = put ? FTP_PUT : FTP_GET,
                                          .remote = put ? "b" : "a",
                                          .file = file_of(put ? buf_str(&bytes) : S("")),
                                          .progress = stop_when_marked,
                                          .context = &s };

                put_bytes(c, "a", buf_str(&bytes));
                how.byte_size = 8;
                ftp_client_coding(c, &how);
                must(ftp_client_transfer(c, &t) == -ECANCELED);
                if (!t.marker[0] || !t.marker_ours[0])
                        die("%zu: no marker after %llu", i, (unsigned long long)t.bytes);
                close_client(&c);
                c = open_client(w); /* another session: nothing is needed but the file and the markers */
                ftp_client_coding(c, &how);
                t.progress = NULL;
                went(ftp_client_transfer(c, &t), &t);
                must(times_heard("C: REST ") == 1 && t.bytes < 4500000);
                ftp_client_coding(c, &(struct coding){ .type = TYPE_IMAGE, .byte_size = 8 });
                if (put)
                        get_bytes(c, "b", buf_str(&bytes));
                else
                        holds(t.file, buf_str(&bytes));
                close(t.file);
                close_client(&c);
        }
}

static void cut_at(void *context, uint64_t bytes)
{
        struct stopping *s = context;

        if (bytes >= s->at && s->once) {
                s->once = false;
                conn_fail(ftp_client_conn(s->c));
                if (bytes > 1000000)
                        stream_cancel(s->c->data->stream);
        }
}

/* The connection breaks at any moment: with a new one it goes on where it was. */
static void broken(void *arg)
{
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        auto_buf struct buf bytes = { 0 };

        fill(&bytes, 3000000, 9);
        put_bytes(c, "a", buf_str(&bytes));
        for (uint64_t at = 1; at < bytes.n; at += 400000) {
                struct stopping s = { c, at, true };
                struct ftp_transfer t = { .move = FTP_GET,
                                          .remote = "a",
                                          .file = file_of(S("")),
                                          .progress = cut_at,
                                          .context = &s };

                must(ftp_client_transfer(c, &t) == -ECONNRESET);
                must(ftp_client_ask(c, &t.answer, "NOOP") == -ECONNRESET);
                close_client(&c);
                c = open_client(w);
                t.offset += t.bytes;
                s.c = c;
                if (t.offset < bytes.n)
                        went(ftp_client_transfer(c, &t), &t);
                holds(t.file, buf_str(&bytes));
                close(t.file);
        }
        close_client(&c);
}

/* ---- many ---- */

enum { MANY = 120 };
struct several {
        struct ftp_client *c;
        struct ftp_transfer t[MANY];
        char names[MANY][16];
        unsigned next, done, bad, stop_behind;
        int file;
};

static struct ftp_transfer *next_of(void *context)
{
        struct several *s = context;

        return s->next < MANY ? &s->t[s->next++] : NULL;
}

static void done_with(void *context, struct ftp_transfer *t, int rc)
{
        struct several *s = context;

        must(t == &s->t[s->done++]);
        s->bad += rc < 0;
        if (s->stop_behind && s->done == s->stop_behind)
                ftp_client_stop(s->c);
        if (rc < 0 && !s->stop_behind)
                must(rc == -EREMOTEIO && t->answer.code == 550);
}

/* Each file is its own name; each of those whose number is 7 more than a multiple of 10 is not there, or in no folder. */
static void prepare(struct several *s, struct ftp_client *c, bool put, size_t size)
{
        auto_buf struct buf bytes = { 0 };

        *s = (struct several){ .c = c };
        fill(&bytes, size, 3);
        for (unsigned i = 0; i < MANY; i++) {
                bool bad = i % 10 == 7;

                snprintf(s->names[i], sizeof(s->names[i]), "%s%u", bad ? "none/" : "f", i);
                s->t[i] = (struct ftp_transfer){ .move = put ? FTP_PUT : FTP_GET,
                                                 .remote = s->names[i],
                                                 .file = file_of(put ? buf_str(&bytes) : S("")) };
        }
}

static void check(struct several *s, size_t size)
{
        auto_buf struct buf bytes = { 0 };

        fill(&bytes, size, 3);
        must(s->done == MANY);
        for (unsigned i = 0; i < MANY; i++) {
                if (s->t[i].move == FTP_GET)
                        holds(s->t[i].file, i % 10 == 7 ? S("") : buf_str(&bytes));
                close(s->t[i].file);
        }
}

static void many(void *arg)
{
        static const uint8_t modes[] = { MODE_STREAM, MODE_BLOCK, MODE_DEFLATE };
        static struct several s;
        const struct ftp_many asked = { next_of, done_with, &s };
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        struct ftp_answer a;

        for (size_t i = 0; i < 2 * LENGTH(modes); i++) {
                struct coding how = { .type = TYPE_IMAGE, .byte_size = 8, .level = 1, .mode = modes[i / 2] };
                size_t size = i / 2 == 1 ? 100000 : 500;

                ftp_client_coding(c, &how);
                prepare(&s, c, i % 2 == 0, size);
                must(ftp_client_many(c, &asked) == 0);
                must(s.bad == MANY / 10);
                check(&s, size);
                must(c->many == MANY_AHEAD);
                must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257);
        }
        must(times_heard("C: NOOP\n") == 0); /* it was never out of step */
        for (unsigned behind = 1; behind < 20; behind += 3) {
                struct coding how = { .type = TYPE_IMAGE, .byte_size = 8, .mode = modes[behind / 3 % 2] };

                ftp_client_coding(c, &how);
                prepare(&s, c, behind % 2, 500);
                s.stop_behind = behind;
                must(ftp_client_many(c, &asked) == -ECANCELED);
                must(s.done < MANY && s.done >= behind && s.bad >= 1);
                for (unsigned i = 0; i < MANY; i++)
                        close(s.t[i].file);
                must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257);
        }
        close_client(&c);
}

/* ---- directories ---- */

static void entries(void *arg)
{
        struct world *w = arg;
        struct ftp_client *c = open_client(w);
        auto_arena struct arena m = { 0 };
        static const uint8_t modes[] = { MODE_STREAM, MODE_DEFLATE, MODE_BLOCK, MODE_COMPRESSED };
        struct ftp_entry *list;
        struct ftp_answer a;
        size_t n, unsafe;

        arena_init(&m, 16 << 20);
        put_bytes(c, "well", S("water"));
        put_bytes(c, "a name", S(""));
        put_bytes(c, "-l", S("1"));
        must(ftp_client_ask(c, &a, "MKD up") == 0);
        for (size_t i = 0; i < 2 * LENGTH(modes); i++) {
                struct coding how = { .type = i % 3 ? TYPE_IMAGE : TYPE_ASCII,
                                      .byte_size = 8,
                                      .level = 1,
                                      .mode = modes[i / 2] };

                ftp_client_coding(c, &how);
                c->offers = i % 2 ? c->offers & ~(unsigned)FTP_HAS_MLST : c->offers | FTP_HAS_MLST;
                if (ftp_client_entries(c, i % 3 ? "" : "/", &m, &list, &n, &unsafe, &a) < 0)
                        die("%zu: %u %s", i, a.code, a.text);
                if (n != 4 || unsafe)
                        die("%zu: %zu entries, %zu unsafe; %s", i, n, unsafe, n ? list[0].name.p : "");
                must(str_eq(list[0].name, S("-l")) && str_eq(list[1].name, S("a name")));
                must(str_eq(list[2].name, S("up")) && list[2].kind == FTP_ENTRY_FOLDER);
                must(str_eq(list[3].name, S("well")) && list[3].kind == FTP_ENTRY_FILE && list[3].size == 5);
                must(list[3].modified_exact == (i % 2 == 0) && list[3].modified != INT64_MIN &&
                     list[3].mode == 0644);
        }
        must(ftp_client_entries(c, "none", &m, &list, &n, &unsafe, &a) == -EREMOTEIO && a.code == 550);
        close_client(&c);
}

/* ---- running them ---- */

struct test {
        struct world world;
        fiber_fn *body;
};

static void test_fiber(void *arg)
{
        struct test *t = arg;

        must(offload_start(2, 1) == 0);
        open_world(&t->world);
        t->body(&t->world);
        close_world(&t->world);
}

static void run(fiber_fn *body)
{
        static struct test t;

        t = (struct test){ .body = body };
        loop_init();
        spawn(test_fiber, &t);
        run_all();
        offload_finish();
        loop_finish();
}

#define TEST(name)                            \
        static void test_##name(void **state) \
        {                                     \
                (void)state;                  \
                run(name);                    \
        }
TEST(conversation)
TEST(codings)
TEST(one_connection)
TEST(default_port)
TEST(six)
TEST(parts)
TEST(stopped)
TEST(stopped_early)
TEST(markers)
TEST(broken)
TEST(many)
TEST(entries)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_conversation),
                cmocka_unit_test(test_codings),
                cmocka_unit_test(test_one_connection),
                cmocka_unit_test(test_default_port),
                cmocka_unit_test(test_six),
                cmocka_unit_test(test_parts),
                cmocka_unit_test(test_stopped),
                cmocka_unit_test(test_stopped_early),
                cmocka_unit_test(test_markers),
                cmocka_unit_test(test_broken),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_entries),
        };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
