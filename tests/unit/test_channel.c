#include "fibers.h"
#include "run/channel.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ASK_DOUBLE = 1, ASK_SLOW, TELL_STORY, ASK_FD, TELL_SINK, TELL_RIDDLE, TELL_NOBODY };

static struct channel *left, *right;
static struct waitlist slow, slow_begun;
static unsigned sunk, slow_handlers;

static void doubles(struct channel_message *m)
{
        char text[16];
        int n = snprintf(text, sizeof text, "%d", 2 * (int)strtol(m->body.p, NULL, 10));

        fiber_yield();
        channel_answer(m, str_from(text, (size_t)n), -1);
}

static void never_answers(struct channel_message *m)
{
        slow_handlers++;
        wake_all(&slow_begun);
        (void)wait_on(&slow, "for ever", NEVER);
        slow_handlers--;
        (void)channel_answer(m, S("too late"), -1); /* nobody waits any more, or the channel is gone */
}

static void tells(struct channel_message *m)
{
        assert_ptr_equal(m->context, story);
        assert_int_equal(m->body.n, 6);
        note("told ");
}

/* Reads a byte from the descriptor it got, and gives a pipe with another one back. */
static void swaps_fd(struct channel_message *m)
{
        char c = '?';
        int p[2];

        assert_int_equal(read(m->fd, &c, 1), 1);
        assert_int_equal(fcntl(m->fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        c++;
        assert_int_equal(write(p[1], &c, 1), 1);
        assert_int_equal(channel_answer(m, S("here"), p[0]), 0);
        close(p[0]);
        close(p[1]);
}

static void sinks(struct channel_message *m)
{
        assert_int_equal(m->body.n, CHANNEL_BODY);
        sunk++;
}

static void cannot_read(struct channel_message *m)
{
        note("riddle ");
        channel_nonsense(m);
}

static const struct channel_kind kinds[] = {
        { ASK_DOUBLE, "double", doubles },
        { ASK_SLOW, "slow", never_answers },
        { TELL_STORY, "story", tells },
        { ASK_FD, "fd", swaps_fd },
        { TELL_SINK, "sink", sinks },
        { TELL_RIDDLE, "riddle", cannot_read },
        { 0 },
};

static void right_closed(struct channel *c, void *context)
{
        assert_ptr_equal(c, right);
        assert_ptr_equal(context, story);
        note("closed ");
        channel_free(&right);
}

static void connect_both(void)
{
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        left = channel_new(pair[0], NULL, NULL, NULL);
        right = channel_new(pair[1], kinds, story, right_closed);
}

static unsigned asked;
static void asks_double(void *arg)
{
        char text[16];
        auto_buf struct buf answer;
        int n = snprintf(text, sizeof text, "%u", ++asked);

        (void)arg;
        buf_init(&answer, 64);
        n = n + 1; /* with its NUL */
        assert_int_equal(
            channel_ask(left, ASK_DOUBLE, str_from(text, (size_t)n), -1, &answer, NULL, in_seconds(60)), 0);
        buf_u8(&answer, 0);
        assert_int_equal(strtol(answer.p, NULL, 10), 2 * strtol(text, NULL, 10));
}

static void asks_the_rest(void *arg)
{
        auto_buf struct buf answer;
        int p[2], fd;
        char c = 'a';

        (void)arg;
        buf_init(&answer, 64);
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_int_equal(write(p[1], &c, 1), 1);
        assert_int_equal(channel_ask(left, ASK_FD, S("take"), p[0], &answer, &fd, NEVER), 0);
        assert_true(str_eq(buf_str(&answer), S("here")));
        assert_int_equal(read(fd, &c, 1), 1);
        assert_int_equal(c, 'b');
        close(fd), close(p[0]), close(p[1]);
        assert_int_equal(channel_tell(left, TELL_STORY, S("a word"), -1), 0);
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, now() + 2 * MSECOND), -ETIMEDOUT);
        while (!slow_handlers)
                fiber_yield();
        wake_all(&slow);
}

static void asks_in_vain(void *arg)
{
        (void)arg;
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, NEVER), -EPIPE);
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, NEVER), -EPIPE);
        assert_int_equal(channel_tell(left, TELL_STORY, S("a word"), -1), -EPIPE);
        note("broken ");
}

static void asks_in_vain_once(void *arg)
{
        (void)arg;
        assert_int_equal(channel_ask(left, ASK_SLOW, S(""), -1, NULL, NULL, NEVER), -EPIPE);
        wake_all(&slow);
}

static void hangs_up(void *arg)
{
        (void)arg;
        assert_int_equal(wait_on(&slow_begun, "the question", NEVER), 0);
        channel_free(&right);
        wake_all(&slow); /* the handlers, which outlive their channel */
}

static void channel_asks_and_tells(void **state)
{
        (void)state;
        connect_both();
        for (int i = 0; i < 1500; i++) /* more than may be handled at once */
                spawn(asks_double, NULL);
        run_all();
        spawn(asks_the_rest, NULL);
        run_all();
        spawn(asks_in_vain, NULL);
        spawn(hangs_up, NULL);
        run_all();
        assert_string_equal(story, "told broken ");
        channel_free(&left);
}

/* Nobody reads while the fiber runs: the socket fills, then the queue, then it is refused. Later all arrive. */
static void floods(void *arg)
{
        static char body[CHANNEL_BODY];
        unsigned *sent = arg, i;
        int rc = 0;

        for (i = 0; i < 10000 && rc == 0; i++)
                rc = channel_tell(left, TELL_SINK, str_from(body, sizeof body), -1);
        *sent = i - 1;
        assert_int_equal(rc, -ENOBUFS);
        while (sunk < *sent)
                fiber_yield();
        channel_free(&left);
        while (right)
                fiber_yield();
}

static void channel_queue_is_bounded(void **state)
{
        unsigned sent = 0;

        (void)state;
        connect_both();
        spawn(floods, &sent);
        run_all();
        assert_true(sent > 64); /* the queue's MB alone holds 64 */
        assert_int_equal(sunk, sent);
        assert_string_equal(story, "closed ");
}

/* The other side is a thread that reads and writes plain packets: what a verb sees. */
static void *other_side(void *arg)
{
        struct {
                uint16_t kind, flags;
                uint32_t id;
                char body[4];
        } m;
        int fd = *(int *)arg;

        while (recv(fd, &m, 12, 0) == 8) {
                m.id -= 1; /* an answer nobody waits for */
                m.flags = 1;
                send(fd, &m, 12, 0);
                m.id += 1;
                memcpy(m.body, "fine", 4);
                send(fd, &m, 12, 0);
        }
        close(fd);
        return NULL;
}

static void channel_without_loop(void **state)
{
        auto_buf struct buf answer;
        pthread_t thread;
        int pair[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        pthread_create(&thread, NULL, other_side, &pair[1]);
        left = channel_new(pair[0], NULL, NULL, NULL);
        buf_init(&answer, 64);
        for (int i = 0; i < 3; i++) {
                buf_clear(&answer);
                assert_int_equal(channel_ask(left, 1, S(""), -1, &answer, NULL, in_seconds(60)), 0);
                assert_str(buf_str(&answer), S("fine"));
        }
        assert_int_equal(channel_tell(left, 1, S("bye"), -1), 0); /* 11 bytes: ends the other side */
        assert_int_equal(channel_ask(left, 1, S(""), -1, NULL, NULL, in_seconds(60)), -EPIPE);
        channel_free(&left);
        pthread_join(thread, NULL);
}

/* What may not be sent, or is too short, or cannot be read, is the end of the channel for both sides, and of nothing
 * else. A descriptor that comes with it is closed. */
static void waits_until_closed(void *arg)
{
        (void)arg;
        while (right)
                fiber_yield();
        assert_int_equal(channel_ask(left, ASK_DOUBLE, S("1"), -1, NULL, NULL, NEVER), -EPIPE);
        channel_free(&left);
}

static void nonsense_ends_a_channel_that_shall_not_end_us(void **state)
{
        static const struct {
                uint16_t kind;
                const char *story;
        } rows[] = {
                { TELL_NOBODY, "closed " }, { TELL_RIDDLE, "riddle closed " }, { 0, "closed " }, /* 3 bytes */
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                int pair[2], p[2], before = dup(0);
                char c;

                close(before);
                story[0] = '\0';
                assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
                assert_int_equal(pipe2(p, O_CLOEXEC), 0);
                if (!rows[i].kind)
                        assert_int_equal(send(pair[0], "abc", 3, 0), 3);
                left = channel_new(pair[0], NULL, NULL, NULL);
                right = channel_new(pair[1], kinds, story, right_closed);
                channel_survive(right);
                if (rows[i].kind)
                        assert_int_equal(channel_tell(left, rows[i].kind, S("?"), p[1]), 0);
                close(p[1]);
                spawn(asks_in_vain_once, NULL);
                spawn(waits_until_closed, NULL);
                run_all();
                assert_string_equal(story, rows[i].story);
                assert_int_equal(read(p[0], &c, 1), 0); /* nobody holds the other end */
                close(p[0]);
                assert_int_equal(dup(0), before);
                close(before);
        }
}

int main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, begin, finish)
        static const struct CMUnitTest tests[] = {
                row(channel_asks_and_tells),
                row(channel_queue_is_bounded),
                row(nonsense_ends_a_channel_that_shall_not_end_us),
                cmocka_unit_test(channel_without_loop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
