/* The POP3 client with our own server over a socketpair, on a real store. */
#include "pop3_world.h"
#include "proto/pop3/client.h"

static struct arena arena;
static struct pop3_answer said;

static struct pop3_client *client_of(struct world *w)
{
        static const struct pop3_client_how how = { .host = "hill.com", .patience = 60 * SECOND };
        struct pop3_client *c;

        must(pop3_client_open(&c, visit(w), &how, &said) == 0);
        must(!pop3_client_tls(c) && pop3_client_offers(c) & POP3_HAS_PIPELINING);
        must(pop3_client_login(c, "jill", "wrong", &said) == -EREMOTEIO && !strcmp(said.code, "AUTH"));
        /* its timestamp does not help (the keeper here knows one digest), PLAIN does */
        must(pop3_client_login(c, "jill", "tumbling", &said) == 0);
        return c;
}

static char text_of(unsigned letter, uint64_t at)
{
        return at % 40 == 38 ? '\r' : at % 40 == 39 ? '\n' : at % 40 == 0 ? '.' : (char)('a' + letter);
}

struct taken {
        unsigned letter, ended, stop;
        uint64_t got;
};

static int take_begin(void *context, const struct pop3_entry *e)
{
        struct taken *t = context;

        t->letter = e->number;
        t->got = 0;
        return t->stop == e->number ? -EFBIG : 0;
}

static int take_piece(void *context, struct str bytes)
{
        struct taken *t = context;

        for (size_t i = 0; i < bytes.n; i++, t->got++)
                if (t->got >= 14) /* "Subject: x\r\n\r\n" */
                        must(bytes.p[i] == text_of(t->letter % 20, t->got - 14));
        return 0;
}

static int take_end(void *context)
{
        struct taken *t = context;

        must(t->got == 14 + (t->letter == 7 ? 400000 : 40 * (uint64_t)t->letter));
        t->ended++;
        return 0;
}

static int headers_end(void *context)
{
        struct taken *t = context;

        must(t->got == 14);
        t->ended++;
        return 0;
}

static void whole(void *arg)
{
        struct world *w = arg;
        struct pop3_client *c;
        struct pop3_entry *list, gone = { .number = 99 };
        struct taken t = { 0 };
        struct pop3_take take = { take_begin, take_piece, take_end, &t, false };
        struct buf letter;
        size_t n;

        arena_init(&arena, 32 << 20);
        buf_init(&letter, 1 << 20);
        for (unsigned i = 1; i <= 40; i++) {
                buf_clear(&letter);
                buf_puts(&letter, S("Subject: x\r\n\r\n"));
                for (uint64_t k = 0; k < (i == 7 ? 400000 : 40 * i); k++)
                        buf_u8(&letter, (uint8_t)text_of(i % 20, k));
                file(w, buf_str(&letter));
        }
        c = client_of(w);
        must(pop3_client_list(c, &arena, &list, &n, &said) == 0 && n == 40);
        must(list[6].number == 7 && list[6].size == 400014 && list[6].uidl.n);
        must(!str_eq(list[0].uidl, list[1].uidl));
        must(pop3_client_letters(c, list, n, &take, &said) == 0 && t.ended == 40);
        must(pop3_client_letters(c, &gone, 1, &take, &said) == -EREMOTEIO && !said.good);
        t.stop = 5; /* in the middle; the conversation goes on */
        must(pop3_client_letters(c, list, n, &take, &said) == -EFBIG && t.ended == 44);
        t.stop = 0;
        take.header_only = true;
        take.end = headers_end;
        must(pop3_client_letters(c, list, n, &take, &said) == 0 && t.ended == 84);
        must(pop3_client_delete(c, list, 39, &said) == 0);
        must(pop3_client_delete(c, &gone, 1, &said) == -EREMOTEIO);
        pop3_client_drop(&c);
        must(!c);
        while (w->server.session_count)
                must(fiber_sleep(now() + MSECOND) == 0);
        must(count(w) == 40); /* no QUIT: nothing is gone */
        c = client_of(w);
        must(pop3_client_list(c, &arena, &list, &n, &said) == 0 && n == 40);
        must(pop3_client_delete(c, list, 39, &said) == 0);
        must(pop3_client_quit(&c, &said) == 0 && !c);
        must(count(w) == 1);
        arena_finish(&arena);
        buf_free(&letter);
}

struct test {
        struct world world;
};

static void test_fiber(void *arg)
{
        struct test *t = arg;

        must(offload_start(2, 1) == 0);
        open_world(&t->world);
        whole(&t->world);
        close_world(&t->world);
}

static void test_whole(void **state)
{
        static const long parkings[] = { -1, 0 };
        static struct test t;

        (void)state;
        for (size_t i = 0; i < LENGTH(parkings); i++) {
                parking = parkings[i];
                loop_init();
                spawn(test_fiber, &t);
                run_all();
                offload_finish();
                loop_finish();
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_whole) };

        log_quiet = true;
        return cmocka_run_group_tests_name("pop3_client", tests, NULL, NULL);
}
