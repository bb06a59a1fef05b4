#include "net_unit.h"
#include "base/mem.h"
#include "base/names.h"
#include "proto/watch.h"
#include "role/bells.h"
#include "role/start.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned turn; /* of the loop */
static struct turn_end counting;

static void count_turn(struct turn_end *t)
{
        (void)t;
        turn++;
}

static void let_turn(unsigned n)
{
        for (unsigned until = turn + n; turn < until;)
                fiber_sleep(now()); /* a turn at least */
}

/* A session of somebody's, without a conversation. */
struct somebody {
        struct session s;
        struct watcher *w;
        int peer;
        unsigned woken, woken_in; /* how often, in which turn last */
        enum woken why;
};

static void somebody_is(struct somebody *x, struct server *server)
{
        *x = (struct somebody){ .s.server = server };
        x->s.conn = conn_and_peer(&x->peer);
}

static void woken(void *context, enum woken why)
{
        struct somebody *x = context;

        x->woken++;
        x->woken_in = turn;
        x->why = why;
}

static void parks(struct somebody *x)
{
        conn_park(x->s.conn, NEVER, woken, x);
}

static void leaves(struct somebody *x)
{
        watch_stop(&x->w);
        conn_free(&x->s.conn);
        close(x->peer);
}

/* ---- one process ---- */

static struct server *server_with(struct watchers *w)
{
        struct server *s = mem_new(struct server); /* too large for a stack */

        s->watchers = w;
        return s;
}

static void server_ends(struct server *s)
{
        watchers_free(&s->watchers);
        mem_free(s);
}

static void hears_own_changes(void *arg)
{
        struct server *server = server_with(watchers_new(NULL));
        struct somebody jill, tom, *all[] = { &jill, &tom };
        struct str line;

        (void)arg;
        somebody_is(&jill, server);
        somebody_is(&tom, server);
        watch_start(&jill.w, &jill.s, S("jill@hill.com"));
        watch_start(&tom.w, &tom.s, S("tom@hill.com"));
        must(!watch_rang(jill.w));
        parks(&jill);
        parks(&tom);
        watch_changed(server->watchers, S("jill@hill.com"));
        watch_changed(server->watchers, S("jill@hill.com"));
        watch_changed(server->watchers, S("jill@hill.co"));
        let_turn(3);
        must(jill.woken == 1 && jill.why == WOKEN_BELL && watch_rang(jill.w));
        must(tom.woken == 0 && !watch_rang(tom.w));

        /* not heard yet: one bell is enough; heard: the next one rings */
        parks(&jill);
        watch_changed(server->watchers, S("jill@hill.com"));
        let_turn(3);
        must(jill.woken == 1);
        watch_heard(jill.w);
        must(!watch_rang(jill.w));
        watch_changed(server->watchers, S("jill@hill.com"));
        let_turn(3);
        must(jill.woken == 2);
        watch_heard(jill.w);

        /* while a command runs: kept for the next wait, where parking is never allowed too */
        conn_park_after(jill.s.conn, -1);
        watch_changed(server->watchers, S("jill@hill.com"));
        let_turn(2);
        must(conn_line(jill.s.conn, &line, 99, SOON) == GOT_QUIET && watch_rang(jill.w));
        watch_heard(jill.w);
        must(conn_line(jill.s.conn, &line, 99, now()) == GOT_LATE);

        /* any account; and whoever stops is not rung, though it was due */
        parks(&jill);
        watch_ring(server->watchers, S(""));
        watch_stop(&tom.w);
        let_turn(3);
        must(jill.woken == 3 && tom.woken == 0 && conn_parked(tom.s.conn));
        watch_changed(server->watchers, S("tom@hill.com"));
        let_turn(3);
        must(tom.woken == 0 && !watch_rang(tom.w));
        watch_stop(&tom.w);
        for (unsigned i = 0; i < 2; i++)
                leaves(all[i]);
        let_turn(1);
        server_ends(server);
}

/* At most WATCH_A_TURN are woken in one turn of the loop, but all of them are. */
static void a_crowd(void *arg)
{
        enum { CROWD = 5 * WATCH_A_TURN + 1 };
        struct server *server = server_with(watchers_new(NULL));
        struct somebody *x = mem_array(CROWD, sizeof(*x));
        unsigned *in_turn = mem_array(1000, sizeof(*in_turn)), all = 0, first;

        (void)arg;
        for (unsigned i = 0; i < CROWD; i++) {
                somebody_is(&x[i], server);
                watch_start(&x[i].w, &x[i].s, S("shared@hill.com"));
                parks(&x[i]);
        }
        first = turn;
        watch_changed(server->watchers, S("shared@hill.com"));
        let_turn(CROWD);
        for (unsigned i = 0; i < CROWD; i++) {
                must(x[i].woken == 1 && x[i].woken_in - first < 1000);
                must(++in_turn[x[i].woken_in - first] <= WATCH_A_TURN);
                all++;
        }
        must(all == CROWD);
        for (unsigned i = 0; i < CROWD; i++)
                leaves(&x[i]);
        let_turn(1);
        mem_free(x);
        mem_free(in_turn);
        server_ends(server);
}

/* ---- what the supervisor is told ---- */

static struct {
        char text[4096];
        bool deaf;
} told;

static bool tell(const char *what, struct str account)
{
        size_t n = strlen(told.text);

        if (told.deaf)
                return false;
        must(n + account.n + 3 < sizeof(told.text));
        snprintf(told.text + n, sizeof(told.text) - n, "%s" PRS " ", what, STR(account));
        return true;
}

static bool tell_watch(void *context, bool on, struct str account)
{
        (void)context;
        return tell(on ? "+" : "-", account);
}

static bool tell_changed(void *context, struct str account)
{
        (void)context;
        return tell("!", account.n ? account : S("any"));
}

static void hears_told(const char *want)
{
        let_turn(2);
        if (strcmp(told.text, want) != 0)
                die("told \"%s\", not \"%s\"", told.text, want);
        told.text[0] = '\0';
}

static void tells(void *arg)
{
        struct server *server =
            server_with(watchers_new(&(struct watch_tell){ .watch = tell_watch, .changed = tell_changed }));
        struct somebody x, y;
        char name[WATCH_NAME + 2];

        (void)arg;
        somebody_is(&x, server);
        somebody_is(&y, server);
        watch_start(&x.w, &x.s, S("a"));
        watch_start(&y.w, &y.s, S("a"));
        hears_told("+a ");
        watch_stop(&x.w);
        hears_told("");
        watch_stop(&y.w);
        hears_told("-a ");
        watch_start(&x.w, &x.s, S("b")); /* and thought better of it within the turn */
        watch_stop(&x.w);
        hears_told("");
        watch_changed(server->watchers, S("c"));
        watch_changed(server->watchers, S("c"));
        hears_told("!c ");

        /* not now: again at the end of a later turn, and what is true then */
        told.deaf = true;
        watch_start(&x.w, &x.s, S("d"));
        watch_changed(server->watchers, S("d"));
        hears_told("");
        watch_start(&x.w, &x.s, S("e")); /* ends d's */
        told.deaf = false;
        let_turn(2);
        must(strstr(told.text, "+e ") && strstr(told.text, "!d ") && !strstr(told.text, "+d"));
        told.text[0] = '\0';
        watch_stop(&x.w);
        hears_told("-e ");

        /* more changes than anybody keeps are one */
        told.deaf = true;
        for (int i = 0; i < 10000; i++) {
                snprintf(name, sizeof(name), "n%d", i);
                watch_changed(server->watchers, str_of(name));
        }
        told.deaf = false;
        hears_told("!any ");
        watch_changed(server->watchers, S("f"));
        hears_told("!f ");

        memset(name, 'x', sizeof(name)); /* nobody's name */
        watch_start(&x.w, &x.s, str_from(name, WATCH_NAME + 1));
        watch_changed(server->watchers, str_from(name, WATCH_NAME + 1));
        must(!x.w);
        hears_told("");
        leaves(&x);
        leaves(&y);
        let_turn(1);
        server_ends(server);
}

/* ---- several processes, and the supervisor between them ---- */

struct side { /* a mail process, and the supervisor's end of its channel */
        struct switchboard *board;
        unsigned index;
        struct channel *there, *here;
        struct server server;
        struct somebody who;
        bool nonsense;
};

static void side_watch(struct channel_message *m)
{
        struct side *x = m->context;

        x->nonsense |= !switchboard_watch(x->board, x->index, m->body);
}

static void side_changed(struct channel_message *m)
{
        struct side *x = m->context;

        x->nonsense |= !switchboard_changed(x->board, x->index, m->body);
}

static void side_bell(struct channel_message *m)
{
        struct side *x = m->context;

        must(bells_take(x->server.watchers, m->body));
}

static const struct channel_kind from_mail[] = { { ROLE_WATCH, "watch", side_watch },
                                                 { ROLE_CHANGED, "changed", side_changed },
                                                 { 0 } };
static const struct channel_kind from_supervisor[] = { { ROLE_BELL, "bell", side_bell }, { 0 } };

static void side_starts(struct side *x, struct switchboard *board, unsigned index)
{
        int ends[2];

        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        x->board = board;
        x->index = index;
        x->here = channel_new(ends[0], from_mail, x, NULL);
        x->there = channel_new(ends[1], from_supervisor, x, NULL);
        x->server.watchers = bells_new(&x->there);
        somebody_is(&x->who, &x->server);
        switchboard_join(board, index, x->here);
}

/* True once the bell has rung; it is heard then. */
static bool rang(struct side *x)
{
        for (int i = 0; i < 10; i++) { /* a message each way, and then some */
                fiber_sleep(now() + 2 * MSECOND);
                let_turn(2);
        }

        bool yes = watch_rang(x->who.w);

        watch_heard(x->who.w);
        return yes;
}

static void between_processes(void *arg)
{
        struct side *x = mem_array(3, sizeof(*x)), *a = &x[0], *b = &x[1], *c = &x[2];
        struct switchboard *board = switchboard_new();

        (void)arg;
        for (unsigned i = 0; i < 3; i++)
                side_starts(&x[i], board, i);
        watch_start(&a->who.w, &a->who.s, S("jill@hill.com"));
        watch_start(&b->who.w, &b->who.s, S("jill@hill.com"));
        watch_start(&c->who.w, &c->who.s, S("tom@hill.com"));
        (void)rang(a); /* what is under way arrives */
        watch_changed(b->server.watchers, S("jill@hill.com"));
        must(rang(a) && rang(b) && !rang(c));
        watch_changed(c->server.watchers, S("jack@town.com"));
        must(!rang(a) && !rang(b) && !rang(c));

        /* changed just before the wish to hear of it came */
        watch_start(&a->who.w, &a->who.s, S("jack@town.com"));
        must(rang(a));
        watch_changed(c->server.watchers, S("jill@hill.com"));
        must(!rang(a) && rang(b));
        watch_stop(&b->who.w);
        (void)rang(a); /* what is under way arrives */
        watch_changed(c->server.watchers, S("jill@hill.com"));
        must(!rang(b));

        /* one dies: the others look at everything; and its next self watches nothing */
        watch_start(&b->who.w, &b->who.s, S("quiet@hill.com"));
        must(!rang(b));
        switchboard_leave(board, 2);
        must(rang(a) && rang(b) && !rang(c));
        switchboard_join(board, 2, c->here);
        watch_changed(a->server.watchers, S("tom@hill.com"));
        must(!rang(c));

        for (unsigned i = 0; i < 3; i++) {
                leaves(&x[i].who);
                must(!x[i].nonsense);
        }
        (void)rang(a); /* what is under way arrives */
        switchboard_free(&board);
        for (unsigned i = 0; i < 3; i++) {
                channel_free(&x[i].here);
                channel_free(&x[i].there);
                watchers_free(&x[i].server.watchers);
        }
        mem_free(x);
}

static void bad_bodies(void *arg)
{
        static const struct {
                struct str body;
                bool watch, changed;
        } table[] = {
                { { "", 0 }, true, true },
                { { "\1\0a", 3 }, true, true },
                { { "\1\0a\1\x80"
                    "a",
                    6 },
                  true,
                  true },
                { { "\0\0", 2 }, false, true },    /* any account: may change, is not watched */
                { { "\2\0a", 3 }, false, false },  /* cut short */
                { { "\1", 1 }, false, false },     /* cut short */
                { { "\1\0ab", 4 }, false, false }, /* and half of another */
                { { "\x41\1aaaaaaaa", 10 }, false, false },
        };
        static char longest[2 + WATCH_NAME + 1];
        struct switchboard *board = switchboard_new();
        struct channel *c;
        int ends[2];

        (void)arg;
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        c = channel_new(ends[0], NULL, NULL, NULL);
        switchboard_join(board, 0, c);
        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                must(switchboard_watch(board, 0, table[i].body) == table[i].watch);
                must(switchboard_changed(board, 0, table[i].body) == table[i].changed);
        }
        longest[0] = WATCH_NAME & 255;
        longest[1] = WATCH_NAME >> 8;
        must(switchboard_watch(board, 0, str_from(longest, 2 + WATCH_NAME)));
        longest[0]++;
        must(!switchboard_watch(board, 0, str_from(longest, sizeof(longest))));
        must(switchboard_watch(board, SWITCHBOARD_PROCESSES, table[1].body)); /* nobody: nothing */
        switchboard_free(&board);
        channel_free(&c);
        close(ends[1]);
}

/* Whoever reads nothing gets a bounded number of messages, and at last one that says "any account". */
static void a_slow_reader(void *arg)
{
        struct switchboard *board = switchboard_new();
        struct channel *slow, *teller;
        struct buf auto_buf names = { 0 };
        static char got[8 + CHANNEL_BODY];
        int ends[2], other[2], messages = 0;
        ssize_t n, last = 0;

        (void)arg;
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, other) == 0);
        slow = channel_new(ends[0], NULL, NULL, NULL);
        teller = channel_new(other[0], NULL, NULL, NULL);
        switchboard_join(board, 0, slow);
        switchboard_join(board, 1, teller);
        buf_init(&names, CHANNEL_BODY);
        buf_u16(&names, 4);
        buf_puts(&names, S("jill"));
        must(switchboard_watch(board, 0, buf_str(&names)));
        while (names.n + 6 <= CHANNEL_BODY) {
                buf_u16(&names, 4);
                buf_puts(&names, S("jill"));
        }
        for (int i = 0; i < 2000; i++) {
                must(switchboard_changed(board, 1, buf_str(&names)));
                let_turn(1);
        }
        while ((n = recv(ends[1], got, sizeof(got), MSG_DONTWAIT)) > 0) {
                messages++;
                last = n;
                let_turn(2); /* room for the next */
        }
        must(messages > 2 && messages < 1500);
        must(last == 8 + 2 && !got[8] && !got[9]);
        switchboard_free(&board);
        channel_free(&slow);
        channel_free(&teller);
        close(ends[1]);
        close(other[1]);
}

/* in_fiber, with turns that are counted. */
static void in_turns(fiber_fn *body)
{
        loop_init();
        counting.run = count_turn;
        loop_at_turn_end(&counting);
        assert_int_equal(fiber_spawn("test", body, NULL), 0);
        loop_stop();
        loop_run();
        loop_finish();
}

static void bells(void **state)
{
        (void)state;
        in_turns(hears_own_changes);
        in_turns(a_crowd);
        in_turns(tells);
        in_turns(between_processes);
        in_turns(bad_bodies);
        in_turns(a_slow_reader);
}

/* ---- the table of names beneath ---- */

static bool even(void *thing, void *context)
{
        const struct name *n = thing;
        struct names *t = context;
        struct str s = names_text(t, n);

        return (s.p[s.n - 1] - '0') % 2 == 0;
}

static void names(void **state)
{
        enum { MANY = 5000 };
        struct names t = { .item = sizeof(struct name) };
        char text[16];

        (void)state;
        assert_null(names_find(&t, S("1")));
        for (int i = 0; i < MANY; i++) {
                snprintf(text, sizeof(text), "%d", i);
                assert_ptr_equal(names_need(&t, str_of(text)), names_need(&t, str_of(text)));
        }
        assert_int_equal(t.count, MANY);
        assert_null(names_find(&t, S("5000")));
        names_sweep(&t, even, &t);
        assert_int_equal(t.count, MANY / 2);
        assert_null(names_find(&t, S("4999")));
        for (int i = 2; i < MANY; i += 2) {
                snprintf(text, sizeof(text), "%d", i);
                names_remove(&t, names_find(&t, str_of(text)));
        }
        assert_int_equal(t.count, 1);
        assert_true(t.size <= 64);
        assert_true(str_eq(names_text(&t, names_find(&t, S("0"))), S("0")));
        names_free(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(bells), cmocka_unit_test(names) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
