#include "dialog.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

bool wrong(struct call *c, const char *what)
{
        buf_puts(&c->d->why, str_of(what));
        return false;
}

/* --- connections --------------------------------------------------------------------------------------------- */

static const struct service {
        const char *name;
        unsigned port;
        bool tls;
} services[] = {
        { "smtp", 25, false },  { "submission", 587, false }, { "submissions", 465, true },
        { "pop3", 110, false }, { "pop3s", 995, true },       { "imap", 143, false },
        { "imaps", 993, true }, { "ftp", 21, false },         { "ftps", 990, true },
};

static const struct service *service_of(struct str name)
{
        for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++)
                if (str_eq(name, str_of(services[i].name)))
                        return &services[i];
        return NULL;
}

const char *authority_of(struct dialog *d)
{
        return arena_printf(&d->arena, "%s/ca.pem", d->dir).p;
}

static bool upgrade(struct dialog *d, struct wire *w)
{
        return wire_tls(w, authority_of(d), NULL, &d->why);
}

/* connect PROTOCOL [ADDRESS] [tls] [as N] */
static bool do_connect(struct call *c)
{
        const struct service *service = service_of(c->words[1]);
        const char *address = "127.0.0.1";
        bool tls = service && service->tls;
        struct wire *w = &c->d->wires[c->connection - 1];
        unsigned port = c->d->base_port + (service ? service->port : 0);

        if (!service)
                return wrong(c,
                             "connect: smtp, submission, submissions, pop3, pop3s, imap, imaps, ftp or ftps");
        for (size_t i = 2; i < c->n; i++) {
                if (str_eq(c->words[i], S("tls")))
                        tls = true;
                else
                        address = c->words[i].p;
        }
        wire_close(w);
        if (str_starts(c->words[1], S("ftp")) ? !data_dial(c->d, w, address, port)
                                              : !wire_dial(w, address, port, &c->d->why))
                return false;
        return !tls || upgrade(c->d, w);
}

static bool do_starttls(struct call *c)
{
        if (wire_has_more(c->wire))
                return wrong(c, "starttls: the server has said more than was expected");
        return upgrade(c->d, c->wire);
}

/* endtls: CCC was said (RFC 4217) */
static bool do_endtls(struct call *c)
{
        if (!c->wire->tls)
                return wrong(c, "endtls: there is no TLS");
        return wire_leave_tls(c->wire, &c->d->why);
}

static bool do_close(struct call *c)
{
        wire_close(c->wire);
        return true;
}

static bool do_expect_close(struct call *c)
{
        struct str line;

        switch (wire_line(c->wire, &line)) {
        case WIRE_END: wire_close(c->wire); return true;
        case WIRE_SILENCE: return wrong(c, "expected the end of the connection, got nothing");
        case WIRE_LINE: break;
        }
        buf_printf(&c->d->why, "expected the end of the connection, got \"" PRS "\"", STR(line));
        return false;
}

/* --- bytes --------------------------------------------------------------------------------------------------- */

/* raw "bytes" */
static bool do_raw(struct call *c)
{
        auto_buf struct buf bytes;

        buf_init(&bytes, 16 << 20);
        return words_expand(&c->d->variables, c->words[1], false, &bytes, &c->d->why) &&
               wire_send(c->wire, buf_str(&bytes), &c->d->why);
}

/* split "bytes" "bytes" ...: each a segment of its own */
static bool do_split(struct call *c)
{
        struct timespec pause = { .tv_nsec = 5000000 };

        for (size_t i = 1; i < c->n; i++) {
                if (!wire_send(c->wire, c->words[i], &c->d->why))
                        return false;
                nanosleep(&pause, NULL); /* so that they are likely to be read apart; right either way */
        }
        return true;
}

/* urgent "bytes": the last of them is urgent data, as Telnet's Synch has it */
static bool do_urgent(struct call *c)
{
        struct str bytes = c->words[1];

        if (c->wire->tls || !bytes.n || send(c->wire->fd, bytes.p, bytes.n, MSG_OOB | MSG_NOSIGNAL) < 0)
                return wrong(c, "urgent: it cannot be sent");
        return true;
}

/* repeat N "bytes" */
static bool do_repeat(struct call *c)
{
        auto_buf struct buf bytes = { 0 };
        uint64_t times;

        if (!str_u64(c->words[1], &times))
                return wrong(c, "repeat: how many times?");
        buf_init(&bytes, 64 << 10);
        for (uint64_t i = 0; i < times; i++) {
                if (bytes.n + c->words[2].n > bytes.max) {
                        if (!wire_send(c->wire, buf_str(&bytes), &c->d->why))
                                return false;
                        buf_clear(&bytes);
                }
                buf_puts(&bytes, c->words[2]);
        }
        return wire_send(c->wire, buf_str(&bytes), &c->d->why);
}

/* --- setting things up --------------------------------------------------------------------------------------- */

static bool run_child(struct call *c, char **argv, struct str input)
{
        posix_spawn_file_actions_t files;
        FILE *in = tmpfile(), *out = tmpfile();
        char said[2000];
        int status = -1, rc = -1;
        pid_t child;

        if (!in || !out)
                return wrong(c, "do: no temporary file");
        fwrite(input.p, 1, input.n, in);
        rewind(in);
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_adddup2(&files, fileno(in), 0);
        posix_spawn_file_actions_adddup2(&files, fileno(out), 1);
        posix_spawn_file_actions_adddup2(&files, fileno(out), 2);
        rc = posix_spawn(&child, argv[0], &files, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&files);
        if (rc == 0)
                waitpid(child, &status, 0);
        if (rc != 0) {
                buf_printf(&c->d->why, "do: %s: %s", argv[0], strerror(rc));
        } else if (status != 0) {
                ssize_t n = pread(fileno(out), said, sizeof(said), 0);

                buf_printf(&c->d->why, "do: status %d: %.*s", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                           n > 0 ? (int)n : 0, said);
        }
        fclose(in);
        fclose(out);
        return rc == 0 && status == 0;
}

/* do pail VERB ... [< "input"]: against the demo's folder; must succeed */
static bool do_do(struct call *c)
{
        char *argv[WORDS_MOST + 3];
        struct str input = S("");
        size_t n = 0;

        if (!str_eq(c->words[1], S("pail")) || !c->d->pail)
                return wrong(c, "do: only pail, and only when --pail is given");
        if (c->n > 3 && str_eq(c->words[c->n - 2], S("<"))) {
                input = c->words[c->n - 1];
                c->n -= 2;
        }
        argv[n++] = (char *)(uintptr_t)c->d->pail;
        for (size_t i = 2; i < c->n; i++)
                argv[n++] = (char *)(uintptr_t)c->words[i].p;
        argv[n++] = (char *)(uintptr_t) "--dir";
        argv[n++] = (char *)(uintptr_t)c->d->dir;
        argv[n] = NULL;
        return run_child(c, argv, input);
}

static bool say(struct call *c, struct wire *w, const char *command, struct str *answer)
{
        if (command && !wire_send(w, str_of(command), &c->d->why))
                return false;
        return wire_line(w, answer) == WIRE_LINE && str_starts(*answer, S("+OK"));
}

/* How many letters there are; -1: that could not be asked. */
static int64_t count_letters(struct call *c, struct str user, struct str password)
{
        struct arena *a = &c->d->arena;
        struct wire w;
        struct str answer, count;
        int64_t found = -1;
        uint64_t n;

        if (!wire_dial(&w, "127.0.0.1", c->d->base_port + 110, &c->d->why))
                return -1;
        if (say(c, &w, NULL, &answer) &&
            say(c, &w, arena_printf(a, "USER " PRS "\r\n", STR(user)).p, &answer) &&
            say(c, &w, arena_printf(a, "PASS " PRS "\r\n", STR(password)).p, &answer) &&
            say(c, &w, "STAT\r\n", &answer)) {
                answer = str_from_at(answer, 4);
                str_cut(&answer, ' ', &count);
                if (str_u64(count, &n))
                        found = (int64_t)n;
                say(c, &w, "QUIT\r\n", &answer);
        } else {
                buf_printf(&c->d->why, "poll: \"" PRS "\"", STR(answer));
        }
        wire_close(&w);
        return found;
}

/* poll pop3 USER PASSWORD count N: waits until N letters are there */
static bool do_poll(struct call *c)
{
        struct timespec pause = { .tv_nsec = 20000000 };
        nsec deadline = now() + WIRE_PATIENCE;
        int64_t found;
        uint64_t want;

        if (!str_eq(c->words[1], S("pop3")) || !str_eq(c->words[4], S("count")) ||
            !str_u64(c->words[5], &want))
                return wrong(c, "poll pop3 USER PASSWORD count N");
        while ((found = count_letters(c, c->words[2], c->words[3])) != (int64_t)want) {
                if (found < 0)
                        return false;
                if (now() > deadline) {
                        buf_printf(&c->d->why, "expected %llu letters, got %lld", (unsigned long long)want,
                                   (long long)found);
                        return false;
                }
                nanosleep(&pause, NULL);
        }
        return true;
}

/* auth PROTOCOL MECHANISM USER PASSWORD: the exchange up to, without, the server's last line */
static bool do_auth(struct call *c)
{
        return sasl_sign_in(c->d, c->wire, c->words[1], c->words[2], c->words[3], c->words[4]);
}

/* The driver has seen to it. */
static bool do_nothing(struct call *c)
{
        (void)c;
        return true;
}

/* --- the table ----------------------------------------------------------------------------------------------- */

static const struct directive {
        const char *name;
        bool (*run)(struct call *c);
        size_t least, most; /* words behind the name */
        bool open;          /* the connection must be */
} directives[] = {
        { "connect", do_connect, 1, 3, false }, { "starttls", do_starttls, 0, 0, true },
        { "close", do_close, 0, 0, true },      { "expect-close", do_expect_close, 0, 0, true },
        { "raw", do_raw, 1, 1, true },          { "split", do_split, 2, WORDS_MOST - 1, true },
        { "repeat", do_repeat, 2, 2, true },    { "auth", do_auth, 4, 4, true },
        { "poll", do_poll, 5, 5, false },       { "do", do_do, 2, WORDS_MOST - 1, false },
        { "set", do_nothing, 1, 10, false },    { "fresh", do_nothing, 0, 0, false },
        { "endtls", do_endtls, 0, 0, true },    { "urgent", do_urgent, 1, 1, true },
        { "data", do_data, 1, 3, false },       { "file", do_file, 2, 6, false },
        { "folder", do_folder, 1, 4, false },   { "link", do_link, 2, 2, false },
};

static bool run(struct call *c, const struct directive *t)
{
        struct wire *w = &c->d->wires[c->connection - 1];

        if (c->n - 1 < t->least || c->n - 1 > t->most) {
                buf_printf(&c->d->why, "%s: so many words it does not take", t->name);
                return false;
        }
        if (t->open && w->fd < 0) {
                buf_printf(&c->d->why, "connection %u is not open", c->connection);
                return false;
        }
        c->wire = w;
        return t->run(c);
}

bool directive(struct dialog *d, struct str text)
{
        struct call c = { .d = d, .connection = 1 };
        uint64_t n;

        if (!words_split(text, &d->arena, c.words, &c.n, &d->why))
                return false;
        if (c.n > 2 && str_eq(c.words[c.n - 2], S("as"))) {
                if (!str_u64(c.words[c.n - 1], &n) || n < 1 || n > CONNECTIONS)
                        return wrong(&c, "as: a number from 1 on");
                c.connection = (unsigned)n;
                c.n -= 2;
        }
        for (size_t i = 0; i < sizeof(directives) / sizeof(*directives); i++)
                if (c.n && str_eq(c.words[0], str_of(directives[i].name)))
                        return run(&c, &directives[i]);
        return wrong(&c, "no such directive");
}
