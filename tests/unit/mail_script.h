/* A server that plays a script, for the tests of IMAP's and POP3's clients. */
#pragma once
#include "unit.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/transcript.h"
#include "run/fiber.h"
#include "run/log.h"
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define must(what) ((what) ? (void)0 : die("%s:%d: not so: %s", __FILE__, __LINE__, #what))
#define SOON       in_seconds(60) /* reached by no test that passes */

static const char *script;
static unsigned peers;

/* "text 100 x": a hundred x without a line end; "lines 9 * OK": nine of them; "nul * OK ~": '~' is NUL; "hold": silent until they leave; "raw ...": no line end but '^'. */
static void directive(struct conn *c, struct str text)
{
        struct str word, count;
        uint64_t n = 1;

        str_cut(&text, ' ', &word);
        if (str_eq(word, S("text")) || str_eq(word, S("lines"))) {
                str_cut(&text, ' ', &count);
                must(str_u64(count, &n));
                for (uint64_t i = 0; i < n && conn_ok(c); i++) {
                        conn_put(c, text);
                        if (str_eq(word, S("lines")))
                                conn_put(c, S("\r\n"));
                }
        } else if (str_eq(word, S("nul"))) {
                for (size_t i = 0; i < text.n; i++)
                        conn_put(c, text.p[i] == '~' ? S("\0") : str_sub(text, i, 1));
                conn_put(c, S("\r\n"));
        } else if (str_eq(word, S("hold"))) {
                conn_flush(c, SOON);
                while (conn_line(c, &text, 70000, SOON) != GOT_END)
                        ;
        } else if (str_eq(word, S("raw"))) {
                for (size_t i = 0; i < text.n; i++)
                        conn_put(c, text.p[i] == '^' ? S("\r\n") : str_sub(text, i, 1));
        } else {
                die("no such directive: " PRS, STR(word));
        }
}

static void server(void *arg)
{
        struct conn *c = arg;
        struct transcript_line *lines;
        auto_arena struct arena m;
        auto_buf struct buf why;
        struct str got;
        size_t n;

        arena_init(&m, 1 << 20);
        buf_init(&why, 1000);
        if (transcript_read(str_of(script), &m, &lines, &n, &why) < 0)
                die("\"%s\": " PRS, script, STR(buf_str(&why)));
        for (size_t i = 0; i < n; i++) {
                if (lines[i].kind == TRANSCRIPT_SERVER) {
                        conn_printf(c, PRS "\r\n", STR(lines[i].text));
                } else if (lines[i].kind == TRANSCRIPT_CLIENT) {
                        enum got rc = conn_line(c, &got, 70000, SOON);

                        if (rc != GOT_LINE || !transcript_matches(lines[i].text, got))
                                die("%u of \"%.200s\": want \"" PRS "\", got \"" PRS "\" (%d)",
                                    lines[i].number, script, STR(lines[i].text), STR(got), (int)rc);
                } else {
                        directive(c, lines[i].text);
                }
        }
        conn_flush(c, SOON);
        conn_free(&c);
        peers--;
}

static struct conn *visit(const char *what)
{
        int fds[2];

        script = what;
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        peers++;
        must(fiber_spawn("server", server, conn_new(fds[0], (struct addr){ 0 }, (struct addr){ 0 })) == 0);
        return conn_new(fds[1], (struct addr){ .family = 4, .ip = { 192, 0, 2, 1 } }, (struct addr){ 0 });
}

static void server_ends(void)
{
        while (peers)
                fiber_yield();
}
