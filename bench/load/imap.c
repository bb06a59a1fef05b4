/* load-imap: one connection, one step after another; how long each took stands on its line, `name=ms`. Steps are words behind
 * `--`; before each the client waits for an empty line on its input, so that whoever runs it can look at the server's CPU.
 *
 *   fill COUNT   makes the mailbox INBOX hold letters 0..COUNT-1: many in an APPEND
 *   the others   see the table; append adds 1,000 letters one by one; copy, move and expunge leave all as it was, but for letters in Trash */
#include "letters.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct wire w;
static unsigned tag;
static char text[1 << 20];

/* Passes over what is told until the tagged OK. Literals are read and thrown away. */
static void until_ok(void)
{
        char start[16];
        size_t n = (size_t)snprintf(start, sizeof start, "t%u ", tag);

        for (;;) {
                char *line = wire_line(&w);
                size_t length = strlen(line);

                if (!strncmp(line, start, n)) {
                        if (strncmp(line + n, "OK", 2) != 0)
                                fatal("%s", line);
                        return;
                }
                if (length && line[length - 1] == '}') {
                        char *brace = strrchr(line, '{');

                        if (brace)
                                wire_skip(&w, strtoul(brace + 1, NULL, 10));
                }
        }
}

static void command(const char *words)
{
        wire_say(&w, "t%u %s\r\n", ++tag, words);
        until_ok();
}

static void fill(unsigned from, unsigned count, size_t size, unsigned at_once, const char *mailbox)
{
        for (unsigned i = from; i < from + count;) {
                unsigned last = i + at_once < from + count ? i + at_once : from + count;

                wire_say(&w, "t%u APPEND %s", ++tag, mailbox);
                for (; i < last; i++) {
                        size_t n = letter_make(i, size, text, sizeof text);

                        wire_say(&w, " (%s) {%zu+}\r\n", i % 3 ? "\\Seen" : "", n);
                        wire_send(&w, text, n);
                }
                wire_say(&w, "\r\n");
                until_ok();
        }
}

static struct options o;

static void copy_ten_thousand(void)
{
        char line[64];

        snprintf(line, sizeof line, "COPY 1:%d Copied", o.letters < 10000 ? o.letters : 10000);
        command(line);
}

static void append_thousand(void)
{
        fill(1000000, o.letters < 1000 ? (unsigned)o.letters : 1000, o.size, 1, "Added");
}

static const struct step {
        const char *name;
        const char *commands[4];
        void (*run)(void);
} steps[] = {
        { "select", { "SELECT INBOX" } },
        { "uid_flags", { "FETCH 1:* (UID FLAGS)" } },
        { "structure", { "FETCH 1:* (ENVELOPE BODYSTRUCTURE)" } },
        { "bodies", { "FETCH 1:* BODY.PEEK[]" } },
        { "search_subject", { "SEARCH SUBJECT quokka" } },
        { "search_body_rare", { "SEARCH BODY zyzzyva" } },
        { "search_body_common", { "SEARCH BODY harbour" } },
        { "search_text_rare", { "SEARCH TEXT zyzzyva" } },
        { "search_text_common", { "SEARCH TEXT harbour" } },
        { "search_unseen", { "SEARCH UNSEEN" } },
        { "store_add", { "STORE 1:* +FLAGS (\\Flagged)" } },
        { "store_remove", { "STORE 1:* -FLAGS.SILENT (\\Flagged)" } },
        { "append", { NULL }, append_thousand },
        { "copy", { NULL }, copy_ten_thousand },
        { "select_copied", { "SELECT Copied" } },
        { "move", { "MOVE 1:* Moved" } },
        { "select_moved", { "SELECT Moved" } },
        { "expunge", { "EXPUNGE" } },
        { "sort", { "SORT (SUBJECT) UTF-8 ALL" } },
        { "thread", { "THREAD REFERENCES UTF-8 ALL" } },
};

/* What must be so before a step, and costs nothing of its time. */
static void prepare(const char *name)
{
        char line[64];

        if (!strcmp(name, "append"))
                command("CREATE Added");
        if (!strcmp(name, "copy"))
                command("CREATE Copied");
        if (!strcmp(name, "move"))
                command("CREATE Moved");
        if (strcmp(name, "expunge") != 0)
                return;
        for (int i = 1; i <= o.letters; i += 200) { /* every second one */
                int n = snprintf(line, sizeof line, "t%u STORE ", ++tag);

                wire_send(&w, line, (size_t)n);
                for (int k = i; k < i + 200 && k <= o.letters && k <= 10000; k += 2)
                        wire_say(&w, "%s%d", k > i ? "," : "", k);
                wire_say(&w, " +FLAGS.SILENT (\\Deleted)\r\n");
                until_ok();
                if (i + 200 > 10000)
                        break;
        }
}

static void run(const char *name)
{
        double began;
        char line[16];

        if (!strcmp(name, "fill")) {
                fill(0, (unsigned)o.letters, o.size, 200, "INBOX");
                return;
        }
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
                const struct step *s = &steps[i];

                if (strcmp(s->name, name) != 0)
                        continue;
                prepare(name);
                if (!fgets(line, sizeof line, stdin)) /* "go" */
                        return;
                began = now_seconds();
                if (s->run)
                        s->run();
                for (unsigned k = 0; k < 4 && s->commands[k]; k++)
                        command(s->commands[k]);
                printf("%s=%.3f\n", name, (now_seconds() - began) * 1e3);
                fflush(stdout);
                return;
        }
        fatal("%s: no such step", name);
}

int main(int argc, char **argv)
{
        int words = 1;
        double began;

        while (words < argc && strcmp(argv[words], "--") != 0)
                words++;
        options_parse(&o, words, argv);
        wire_open(&w, &o);
        wire_expect(&w, "* ");
        began = now_seconds();
        wire_say(&w, "t%u LOGIN %s %s\r\n", ++tag, o.user, o.password);
        until_ok();
        printf("login=%.3f\n", (now_seconds() - began) * 1e3);
        fflush(stdout);
        for (int i = words + 1; i < argc; i++)
                run(argv[i]);
        command("LOGOUT");
        wire_close(&w);
        return 0;
}
