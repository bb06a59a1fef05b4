/* The FTP client and TLS (RFC 4217): both connections, and who is at the other end of them. */
#include "ftp_client_unit.h"
#undef must
#undef SOON
#include "tls_unit.h"

static void both_ways(struct ftp_client *c)
{
        static const enum ftp_data_way ways[] = { FTP_DATA_PASV, FTP_DATA_EPSV, FTP_DATA_ACTIVE };
        static const size_t sizes[] = { 0, 5, 200000 };
        struct ftp_entry *list;
        struct ftp_answer a;
        struct arena m;
        size_t n, unsafe;

        for (size_t i = 0; i < 9; i++) {
                auto_buf struct buf bytes = { 0 };

                fill(&bytes, sizes[i / 3], i);
                ftp_client_data(c, ways[i % 3], false);
                put_bytes(c, "a", buf_str(&bytes));
                get_bytes(c, "a", buf_str(&bytes));
        }
        arena_init(&m, 1 << 20);
        must(ftp_client_entries(c, "", &m, &list, &n, &unsafe, &a) == 0 && n == 1);
        arena_finish(&m);
}

/* Our server wants every data connection to resume the session (RFC 4217 §10.2). */
static void protected(struct world *w)
{
        static const struct str hill = S("hill.com");
        struct tls_wanted names = { .trust = TRUST_NAMES,
                                    .server_name = hill,
                                    .names = &hill,
                                    .name_count = 1,
                                    .ca_file = rsa.file };
        struct ftp_client_how how = { .host = "hill.com",
                                      .hears = &hearing,
                                      .patience = PATIENCE,
                                      .tls = FTP_TLS_MUST,
                                      .want = &names };
        struct ftp_client *c;

        w->settings.ftp_data_tls_reuse = REUSE_REQUIRE;
        c = open_as(w, &how);
        must(ftp_client_tls(c) && ftp_client_tls(c)->verified && times_heard("C: PROT P\n") == 1);
        both_ways(c);
        close_client(&c);
        how.clear_data = true;
        how.tls = FTP_TLS_OFFERED;
        c = open_as(w, &how);
        both_ways(c);
        must(times_heard("C: PROT C\n") == 1);
        close_client(&c);
}

/* Another certificate on the data connection: somebody else. The same one, not resumed: the server. */
static void stranger(struct world *w)
{
        struct ftp_client_how how = { .hears = &hearing, .patience = PATIENCE, .tls = FTP_TLS_MUST };
        struct ftp_transfer t = { .move = FTP_GET, .remote = "a", .file = file_of(S("")) };
        struct tls_context *right = w->server.tls, *wrong = context_of(&ecdsa);
        struct ftp_client *c;
        struct ftp_answer a;

        w->settings.ftp_data_tls_reuse = REUSE_OFF;
        c = open_as(w, &how);
        both_ways(c);
        put_bytes(c, "a", S("water"));
        w->server.tls = wrong;
        must(ftp_client_transfer(c, &t) == -EACCES && strstr(t.answer.text, "certificate"));
        holds(t.file, S(""));
        w->server.tls = right;
        must(ftp_client_ask(c, &a, "PWD") == 0 && a.code == 257);
        get_bytes(c, "a", S("water"));
        close(t.file);
        close_client(&c);
        tls_context_drop(&wrong);
}

/* What is wanted, and what there is. */
static void refused(struct world *w)
{
        static const struct str other = S("town.com");
        struct tls_wanted names = {
                .trust = TRUST_NAMES, .names = &other, .name_count = 1, .ca_file = rsa.file
        };
        struct ftp_client_how how = {
                .hears = &hearing, .patience = PATIENCE, .tls = FTP_TLS_OFFERED, .want = &names
        };
        struct tls_context *tls = w->server.tls;
        struct ftp_client *c;
        struct ftp_answer a;

        buf_init(&heard_all, 1 << 20);
        must(ftp_client_open(&c, call_server(w), &how, &a) == -EACCES && !c &&
             strstr(a.text, "another name"));
        must(times_heard("C: USER") == 0);
        w->server.tls = NULL;
        how.tls = FTP_TLS_MUST;
        must(ftp_client_open(&c, call_server(w), &how, &a) == -EACCES && !c && a.code == 431);
        buf_free(&heard_all);
        how.tls = FTP_TLS_OFFERED;
        c = open_as(w, &how);
        must(!ftp_client_tls(c));
        both_ways(c);
        close_client(&c);
        w->server.tls = tls;
}

static void all(void *arg)
{
        struct world *w = arg;

        must(offload_start(2, 1) == 0);
        open_world(w);
        w->server.tls = context_of(&rsa);
        protected(w);
        stranger(w);
        refused(w);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        tls_context_drop(&w->server.tls);
        close_world(w);
}

static void test_all(void **state)
{
        static struct world w;

        (void)state;
        loop_init();
        spawn(all, &w);
        run_all();
        offload_finish();
        loop_finish();
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_all, make_pairs,
                                                                            drop_pairs) };

        log_quiet = true;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
