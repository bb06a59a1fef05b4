/* Holds dialogs (README.md) against a running server:
 *
 *      dialog --base-port N [--pail FILE --dir FOLDER] [--variable NAME=VALUE]... FILE.dialog ...
 *
 * One line a failure, `file:line: ...`, and last `N passed, N failed`. */
#include "dialog.h"
#include "base/arena.h"
#include "proto/transcript.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 4 << 20, MEMORY = 64 << 20 };

/* --- reading the file ---------------------------------------------------------------------------------------- */

static bool load(const char *path, struct buf *out)
{
        FILE *f = fopen(path, "rb");
        size_t n = 0;
        char *room = buf_room(out, FILE_MOST);

        if (!f)
                return false;
        n = fread(room, 1, FILE_MOST, f);
        buf_added(out, n);
        fclose(f);
        return n > 0;
}

/* --- S:, D: and C: ----------------------------------------------------------------------------------------------- */

static struct wire *wire_of(struct dialog *d, unsigned connection)
{
        struct wire *w = connection <= CONNECTIONS ? &d->wires[connection - 1] : NULL;

        if (w && w->fd >= 0)
                return w;
        buf_printf(&d->why, "connection %u is not open", connection);
        return NULL;
}

static bool hear(struct dialog *d, struct wire *w, struct str pattern, struct str *line)
{
        switch (wire_line(w, line)) {
        case WIRE_LINE: return true;
        case WIRE_END:
                buf_printf(&d->why, "expected \"" PRS "\", got the end of the connection", STR(pattern));
                break;
        case WIRE_SILENCE: buf_printf(&d->why, "expected \"" PRS "\", got nothing", STR(pattern)); break;
        }
        return false;
}

static bool server_says(struct dialog *d, const struct transcript_line *l)
{
        bool on_data = l->kind == TRANSCRIPT_DATA, any = d->skipping != TRANSCRIPT_DIRECTIVE, matches;
        struct wire *w = on_data ? data_wire(d, l->connection) : wire_of(d, l->connection);
        struct str line;

        d->skipping = str_eq(l->text, S("...")) ? l->kind : TRANSCRIPT_DIRECTIVE;
        if (!w || d->skipping != TRANSCRIPT_DIRECTIVE)
                return w != NULL;
        do {
                if (!hear(d, w, l->text, &line) ||
                    !words_match(&d->variables, l->text, line, &matches, &d->why))
                        return false;
                if (!on_data)
                        data_heard(d, l->connection, line);
        } while (any && !matches);
        if (!matches)
                buf_printf(&d->why, "expected \"" PRS "\", got \"" PRS "\"", STR(l->text), STR(line));
        return matches;
}

static bool client_says(struct dialog *d, const struct transcript_line *l)
{
        struct wire *w = wire_of(d, l->connection);
        auto_buf struct buf line;

        buf_init(&line, FILE_MOST);
        if (!w || !words_expand(&d->variables, l->text, false, &line, &d->why))
                return false;
        buf_puts(&line, S("\r\n"));
        return wire_send(w, buf_str(&line), &d->why);
}

static bool false_end_of_skip(struct dialog *d)
{
        const char *who = d->skipping == TRANSCRIPT_DATA ? "D" : "S";

        buf_printf(&d->why, "behind \"%s: ...\" comes the %s: line it goes up to", who, who);
        return false;
}

static bool step(struct dialog *d, const struct transcript_line *l)
{
        if (d->skipping != TRANSCRIPT_DIRECTIVE && l->kind != d->skipping)
                return false_end_of_skip(d);
        switch (l->kind) {
        case TRANSCRIPT_SERVER:
        case TRANSCRIPT_DATA: return server_says(d, l);
        case TRANSCRIPT_CLIENT: return client_says(d, l);
        case TRANSCRIPT_DIRECTIVE: return directive(d, l->text);
        }
        return false;
}

/* A dialog hears everything the server says: what is left at its end was not expected. */
static bool nothing_left(struct dialog *d)
{
        struct str line;

        for (unsigned i = 0; i < CONNECTIONS; i++)
                if (d->wires[i].fd >= 0 && wire_has_more(&d->wires[i])) {
                        wire_line(&d->wires[i], &line);
                        buf_printf(&d->why, "expected nothing more, got \"" PRS "\"", STR(line));
                        return false;
                }
        return true;
}

/* --- a file -------------------------------------------------------------------------------------------------- */

static bool run_lines(struct dialog *d, struct str text, unsigned *number)
{
        struct transcript_line *lines;
        size_t n, i;

        *number = 0;
        if (transcript_read(text, &d->arena, &lines, &n, &d->why) < 0)
                return false;
        for (i = 0; i < n; i++) {
                *number = lines[i].number;
                if (!step(d, &lines[i]))
                        return false;
        }
        if (d->skipping != TRANSCRIPT_DIRECTIVE)
                return false_end_of_skip(d);
        return nothing_left(d) && data_nothing_left(d);
}

/* On one line, whatever a verb or a server had to say. */
static void print_failure(const char *path, unsigned number, struct str why)
{
        printf("%s:", path);
        if (number)
                printf("%u: ", number);
        for (size_t i = 0; i < why.n; i++)
                putchar((unsigned char)why.p[i] < 32 && why.p[i] != '\t' ? '|' : why.p[i]);
        putchar('\n');
        fflush(stdout);
}

static bool run_file(struct dialog *d, const char *path)
{
        auto_buf struct buf text;
        unsigned number = 0;
        bool good;

        buf_init(&text, FILE_MOST);
        buf_init(&d->why, 64 << 10);
        arena_init(&d->arena, MEMORY);
        arena_init(&d->variables.arena, MEMORY);
        d->variables.n = 0;
        for (unsigned i = 0; i < d->given_count; i++) {
                struct str value = str_of(d->given[i]), name;

                str_cut(&value, '=', &name);
                variable_set(&d->variables, name, value);
        }
        d->skipping = TRANSCRIPT_DIRECTIVE;
        data_begin(d);
        for (unsigned i = 0; i < CONNECTIONS; i++)
                d->wires[i].fd = -1;
        good = load(path, &text);
        if (!good)
                buf_puts(&d->why, S("cannot be read, or is empty"));
        good = good && run_lines(d, buf_str(&text), &number);
        if (!good)
                print_failure(path, number, buf_str(&d->why));
        for (unsigned i = 0; i < CONNECTIONS; i++)
                wire_close(&d->wires[i]);
        data_finish(d);
        buf_free(&d->why);
        arena_finish(&d->arena);
        arena_finish(&d->variables.arena);
        return good;
}

static bool option(struct dialog *d, const char *name, const char *value)
{
        uint64_t n;

        if (strcmp(name, "--base-port") == 0 && str_u64(str_of(value), &n) && n < 60000)
                d->base_port = (unsigned)n;
        else if (strcmp(name, "--pail") == 0)
                d->pail = value;
        else if (strcmp(name, "--dir") == 0)
                d->dir = value;
        else if (strcmp(name, "--variable") == 0 && strchr(value, '=') && d->given_count < VARIABLES_MOST)
                d->given[d->given_count++] = value;
        else
                return false;
        return true;
}

int main(int argc, char **argv)
{
        static struct dialog d = { .dir = "pail-demo" };
        unsigned passed = 0, failed = 0;
        int i = 1;

        signal(SIGPIPE, SIG_IGN);
        srandom((unsigned)getpid()); /* data_dial takes ports by chance */
        for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
                if (!option(&d, argv[i], argv[i + 1]))
                        break;
        if (i >= argc || strncmp(argv[i], "--", 2) == 0) {
                fputs("usage: dialog --base-port N [--pail FILE --dir FOLDER] [--variable NAME=VALUE]... "
                      "FILE.dialog ...\n",
                      stderr);
                return 64;
        }
        for (; i < argc; i++)
                if (run_file(&d, argv[i]))
                        passed++;
                else
                        failed++;
        printf("%u passed, %u failed\n", passed, failed);
        return failed ? 1 : 0;
}
