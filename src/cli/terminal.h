/* The terminal of the clients: a prompt with history and completion, questions, passwords, progress; all of it in fibers of a loop that runs
 * meanwhile (a keep-alive, a job in the background, an IDLE).
 *
 * What came from elsewhere reaches a terminal only through terminal_put: control characters (C0, DEL, C1) and invalid UTF-8 are shown as
 * \ooo, bidirectional overrides as <U+202E>; \t and \n stay where the caller says so. */
#pragma once
#include "base/buf.h"
#include "base/time.h"
#include <stdio.h>

/* Runs `body` as the verb's fiber with a loop, offload workers and SIGPIPE ignored; returns what it returns. `body` has a stack of
 * CLIENT_STACK bytes (libedit, libunbound need room). */
int client_run(const char *name, int (*body)(void *arg), void *arg);
enum { CLIENT_STACK = 1024 * 1024 };

bool terminal_is(int fd);
unsigned terminal_width(void);                     /* columns, 80 where unknown */
void terminal_put(FILE *to, struct str s);         /* safe, with \t and \n */
void terminal_safe(struct buf *out, struct str s); /* the same into a buffer, without \n */

/* A line typed. NULL: the end of input (Ctrl-D). Lives until the next call. Without a terminal it reads stdin's lines without a prompt.
 * Waits in a fiber; others run. Ctrl-C: *interrupted, the line is dropped. */
enum { STDIN_LINE_MOST = 1024 * 1024 }; /* longer ones are several */
struct prompt;
struct prompt_how {
        const char *(*text)(void *context); /* the prompt: "ftp> " */
        /* Completions of the word at the cursor: appended as names by \n (octets; directories end with '/'). line is what stands before the
         * cursor, word where its last word begins in it. May wait. */
        void (*complete)(void *context, struct str line, size_t word, struct buf *names);
        bool (*keep)(void *context, struct str line); /* may it stand in the history? NULL: yes */
        void *context;
        const char *history; /* a file; NULL: none is kept */
};
struct prompt *prompt_new(const struct prompt_how *how);
const char *prompt_line(struct prompt *p, bool *interrupted);
void prompt_free(struct prompt **p); /* writes the history */
/* What happens meanwhile is printed between these two: above the line being typed, which is shown again then. Nothing where nobody types. */
void prompt_away(struct prompt *p);
void prompt_back(struct prompt *p);

/* Waits until there is something to read from a descriptor (a file always has), that no other watch has. -ETIMEDOUT, -ECANCELED. */
[[nodiscard]] int terminal_await(int fd, nsec deadline);
/* The next line of stdin, which is no terminal, without its end; false: there is none. One buffer for all who read stdin so: prompts, questions. */
bool terminal_line(struct buf *line);

/* Asked on /dev/tty if there is one, else answered by a line of stdin. false: the end of input, or Ctrl-C. echo false: a password; the
 * terminal is put right again whatever happens, also on a signal. */
bool terminal_ask(const char *question, bool echo, struct buf *answer);
/* 'y', 'n', 'a' (all), 'q': one of `letters`; the first is the answer where nobody can be asked (no /dev/tty), and of Enter, Ctrl-D, Ctrl-C. */
char terminal_choose(const char *question, const char *letters);

/* Whoever has the whole terminal (a screen) is told before a question is asked, gives it back, and has it again afterwards. In the fiber that asks;
 * it may wait. */
void terminal_on_question(void (*fn)(void *context, bool asking), void *context); /* NULL: nobody */

/* Ctrl-C: while one is set, SIGINT calls it on the loop instead of ending the program. A question that waits takes it instead. */
void terminal_on_interrupt(void (*fn)(void *context), void *context); /* NULL: as it was */

/* One line that is written over: name, percent, bytes, rate, time left. Shown only on a terminal, from the second half second on. */
struct progress;
struct progress *progress_new(const char *name, uint64_t from, uint64_t size /* UINT64_MAX: unknown */);
void progress_at(struct progress *p, uint64_t bytes);
void progress_end(struct progress **p); /* the line is taken away */
void progress_away(void); /* before something else is printed; the next progress_at draws it again */
struct str size_words(uint64_t bytes, char room[static 32]);            /* "1.4 MB" */
struct str rate_words(uint64_t bytes, nsec took, char room[static 48]); /* "767.79 KB/s" */
struct str time_words(nsec took, char room[static 32]);                 /* "00:01", "1:02:03" */
