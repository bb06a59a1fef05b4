/* The terminal: curses' and ours. Ctrl-C, Ctrl-Z and Ctrl-\ come as keys, so that nothing stops or ends us in the middle of something; signals that
 * end programs give the terminal back first. */
#include "cli/mail/screen_inside.h"
#include "base/mem.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#define PASTE_ON  "\033[?2004h"
#define PASTE_OFF "\033[?2004l"
enum { RESTORE_MOST = 256, SAID_MOST = 64 * 1024, ESCAPE_MS = 25 };

static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
enum { CRASHES = sizeof crashes / sizeof *crashes };

static struct {
        SCREEN *curses;
        struct screen *screen;
        struct watch input;
        struct fiber_lock foreign; /* held while another has the terminal */
        unsigned deep;             /* and its holder asks for it again */
        bool watched, pastes /* it is told to mark what is pasted */;
        int ended_by;     /* a signal that waits until a letter is kept; 0: none */
        int errors, said; /* the real stderr; where what is said on it is kept */
        struct termios before;
        char restore[RESTORE_MOST]; /* what makes the terminal usual again */
        size_t restore_n;
        struct sigaction crash_before[CRASHES];
} term = { .errors = -1, .said = -1 };

/* ---- given back ---- */

static void say_raw(const char *p, size_t n)
{
        if (write(STDOUT_FILENO, p, n) < 0)
                return;
}

/* In a handler: only write, tcsetattr, dup2 and sigaction are called. */
static void crashed(int signo, siginfo_t *info, void *context)
{
        say_raw(term.restore, term.restore_n);
        tcsetattr(STDIN_FILENO, TCSANOW, &term.before);
        if (term.errors >= 0)
                dup2(term.errors, STDERR_FILENO);
        for (size_t i = 0; i < CRASHES; i++)
                if (crashes[i] == signo) {
                        sigaction(signo, &term.crash_before[i], NULL);
                        if (term.crash_before[i].sa_flags & SA_SIGINFO)
                                term.crash_before[i].sa_sigaction(signo, info, context);
                        else if (info->si_code <= 0)
                                raise(signo); /* nothing would raise it again */
                }
}

static void catch_crashes(void)
{
        struct sigaction action = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK };

        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < CRASHES; i++)
                sigaction(crashes[i], &action, &term.crash_before[i]);
}

/* A terminfo string without its padding, $<5>. */
static void keep_capability(const char *name)
{
        const char *s = tigetstr(name);

        if (!s || s == (const char *)-1)
                return;
        for (; *s && term.restore_n < RESTORE_MOST; s++) {
                if (s[0] == '$' && s[1] == '<' && strchr(s, '>')) {
                        s = strchr(s, '>');
                        continue;
                }
                term.restore[term.restore_n++] = *s;
        }
}

/* stderr would be written across the screen: it is kept. */
static void keep_errors(void)
{
        term.said = memfd_create("stderr", MFD_CLOEXEC);
        term.errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (term.said >= 0 && term.errors >= 0)
                dup2(term.said, STDERR_FILENO);
}

static void tell_errors(void)
{
        struct buf auto_buf text = { 0 };
        off_t end = term.said >= 0 ? lseek(term.said, 0, SEEK_END) : 0;
        char *room;
        ssize_t n;

        if (term.errors >= 0) {
                fflush(stderr);
                dup2(term.errors, STDERR_FILENO);
                close(term.errors);
        }
        buf_init(&text, SAID_MOST);
        room = end > 0 ? buf_room(&text, SAID_MOST) : NULL;
        n = room ? pread(term.said, room, SAID_MOST, end > SAID_MOST ? end - SAID_MOST : 0) : 0;
        buf_added(&text, n > 0 ? (size_t)n : 0);
        terminal_put(stderr, buf_str(&text));
        if (term.said >= 0)
                close(term.said);
        term.errors = term.said = -1;
}

/* Bracketed paste: else a text with line ends would be taken for an answer and then for keys. Terminals that do not know it pass it over. */
static void mark_pastes(bool on)
{
        if (!term.pastes)
                return;
        if (on)
                say_raw(PASTE_ON, sizeof PASTE_ON - 1);
        else
                say_raw(PASTE_OFF, sizeof PASTE_OFF - 1);
}

/* As a program ends that handles no signals. */
static void die_by(int signo)
{
        sigset_t one;

        signal(signo, SIG_DFL);
        sigemptyset(&one);
        sigaddset(&one, signo);
        raise(signo);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
        _exit(128 + signo);
}

void term_close(void)
{
        if (!term.curses)
                return;
        terminal_on_question(NULL, NULL);
        terminal_on_interrupt(NULL, NULL);
        if (term.watched)
                watch_remove(&term.input);
        mark_pastes(false);
        endwin();
        delscreen(term.curses);
        term.curses = NULL;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &term.before);
        for (size_t i = 0; i < CRASHES; i++)
                sigaction(crashes[i], &term.crash_before[i], NULL);
        tell_errors();
        if (term.ended_by)
                die_by(term.ended_by);
}

static void at_exit(void)
{
        if (term.curses)
                endwin();
}

/* SIGTERM and such: the terminal is given back; a letter that is being written is kept in Drafts first. */
static void end_by(int signo)
{
        if (term.screen->writing && !term.ended_by) {
                term.ended_by = signo;
                term.screen->ended = true;
                wake_all(&term.screen->wake);
                return;
        }
        term_close();
        die_by(signo);
}

/* ---- what wakes us ---- */

static void on_input(struct watch *w, uint32_t events)
{
        (void)w;
        term.screen->ended |= (events & (EPOLLHUP | EPOLLERR)) != 0;
        wake_all(&term.screen->wake);
}

static void on_size(int signo)
{
        (void)signo;
        term.screen->resized = true;
        wake_all(&term.screen->wake);
}

static void on_interrupt(void *context)
{
        struct screen *s = context;

        if (term.foreign.held)
                return; /* Ctrl-C in the editor is the editor's */
        s->ended = true;
        wake_all(&s->wake);
}

static void on_question(void *context, bool asking)
{
        (void)context;
        if (asking)
                term_away();
        else
                term_back();
}

/* ---- opened ---- */

static void set_colors(struct screen *s)
{
        static const struct {
                enum look look;
                short color;
        } pairs[] = { { LOOK_HEADER, COLOR_CYAN },
                      { LOOK_QUOTE, COLOR_GREEN },
                      { LOOK_QUOTE2, COLOR_YELLOW },
                      { LOOK_FLAG, COLOR_YELLOW },
                      { LOOK_ERROR, COLOR_RED } };
        const char *none = getenv("NO_COLOR");

        if ((none && *none) || !has_colors() || start_color() == ERR || use_default_colors() == ERR)
                return;
        s->colors = true;
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
                init_pair((short)pairs[i].look, pairs[i].color, -1);
}

static void set_keys(void)
{
        raw();
        noecho();
        nonl();
        keypad(stdscr, true);
        nodelay(stdscr, true);
        set_escdelay(ESCAPE_MS);
}

/* What kinds of terminal are sent more than their terminfo knows. */
static bool knows_paste(void)
{
        static const char *const kinds[] = { "xterm", "screen",    "tmux",    "rxvt",
                                             "foot",  "alacritty", "konsole", "vte" };
        const char *kind = getenv("TERM");

        for (size_t i = 0; kind && i < sizeof kinds / sizeof *kinds; i++)
                if (str_starts(str_of(kind), str_of(kinds[i])))
                        return true;
        return false;
}

/* LANG=C and its like: nothing but ASCII is shown. Where nothing is said the terminal is taken for one of our time. */
static bool is_ascii_only(void)
{
        const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

        for (size_t i = 0; i < 3; i++)
                if (getenv(names[i]) && *getenv(names[i]))
                        return !setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
        return false;
}

int term_open(struct screen *s, struct buf *why)
{
        static bool registered;

        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
                buf_puts(
                    why,
                    S("the screen needs a terminal; for scripts there are commands, see pail help mail"));
                return -ENOTTY;
        }
        s->ascii = is_ascii_only();
        setlocale(LC_CTYPE, "C.UTF-8"); /* the widths of characters; ours is always UTF-8 */
        tcgetattr(STDIN_FILENO, &term.before);
        term.screen = s;
        term.curses = newterm(NULL, stdout, stdin);
        if (!term.curses) {
                buf_printf(why, "the terminal \"%s\" is not known here",
                           getenv("TERM") ? getenv("TERM") : "");
                return -ENOTTY;
        }
        set_keys();
        set_colors(s);
        term.restore_n = 0;
        keep_capability("sgr0");
        keep_capability("rmcup");
        keep_capability("cnorm");
        keep_capability("rmkx");
        term.pastes = knows_paste();
        for (const char *c = PASTE_OFF; term.pastes && *c && term.restore_n < RESTORE_MOST; c++)
                term.restore[term.restore_n++] = *c;
        (void)define_key("\033[200~", KEY_PASTED & ~KEY_CODE);
        (void)define_key("\033[201~", KEY_PASTE_END & ~KEY_CODE);
        mark_pastes(true);
        catch_crashes();
        keep_errors();
        if (!registered)
                atexit(at_exit);
        registered = true;
        loop_signal(SIGWINCH, on_size);
        loop_signal(SIGTERM, end_by);
        loop_signal(SIGHUP, end_by);
        loop_signal(SIGQUIT, end_by);
        terminal_on_interrupt(on_interrupt, s);
        terminal_on_question(on_question, s);
        term.input = (struct watch){ STDIN_FILENO, on_input };
        term.watched = watch_add(&term.input, EPOLLIN) == 0;
        return 0;
}

/* ---- away and back ---- */

void term_away(void)
{
        if (term.foreign.held && term.foreign.owner == fiber_self()) {
                term.deep++;
                return;
        }
        (void)lock_take(&term.foreign, "the terminal", NEVER);
        def_prog_mode();
        mark_pastes(false);
        endwin();
        tcsetattr(STDIN_FILENO, TCSADRAIN, &term.before);
}

void term_back(void)
{
        if (term.deep) {
                term.deep--;
                return;
        }
        reset_prog_mode();
        mark_pastes(true);
        set_keys();
        clearok(stdscr, true);
        refresh();
        lock_drop(&term.foreign);
        term.screen->resized = true; /* it may have been meanwhile */
        wake_all(&term.screen->wake);
}

/* Until no other has it: a question of sync's may stand there. false: cancelled. */
static bool is_ours(void)
{
        while (term.foreign.held) {
                if (lock_take(&term.foreign, "the terminal", NEVER) < 0)
                        return false;
                lock_drop(&term.foreign);
        }
        return true;
}

void term_show(void)
{
        if (is_ours())
                refresh();
}

/* The whole job, as Ctrl-Z would. Where no shell could let it go on (SIGTSTP to an orphaned group) nothing happens. */
void term_stop(struct screen *s)
{
        struct sigaction usual = { .sa_handler = SIG_DFL }, before;

        (void)s;
        term_away();
        sigaction(SIGTSTP, &usual, &before);
        kill(0, SIGTSTP);
        sigaction(SIGTSTP, &before, NULL);
        term_back();
}

static void resize(struct screen *s)
{
        struct winsize w;

        s->resized = false;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col)
                resizeterm(w.ws_row, w.ws_col);
        clearok(stdscr, true);
}

bool term_is_ascii(void)
{
        return term.screen->ascii;
}

unsigned term_rows(void)
{
        int y = getmaxy(stdscr);

        return y > 4 ? (unsigned)y : 4;
}

unsigned term_room(void)
{
        return term_rows() - 3;
}

unsigned term_columns(void)
{
        int x = getmaxx(stdscr);

        return x > 10 ? (unsigned)x : 10;
}

/* ---- keys ---- */

static int next(void)
{
        wint_t c = 0;
        int rc = get_wch(&c);

        if (rc == ERR)
                return KEY_NONE;
        if (rc == KEY_CODE_YES)
                return c == KEY_ENTER ? '\n' : c == KEY_RESIZE ? KEY_NONE : (int)c | KEY_CODE;
        return c == '\r' ? '\n' : c == 0 ? KEY_NONE : (int)c;
}

static bool pasted; /* what comes now is pasted */

/* Text is text: in a question it is typed there, its line ends and tabs as blanks; elsewhere it is no keys. */
static int paste_key(struct screen *s, int key)
{
        if (!s->typing) {
                say(s, "Pasted text is not taken for keys.");
                s->tick = true;
                return KEY_NONE;
        }
        return key == '\n' || key == '\t' ? ' ' : key >= 32 && key < KEY_META && key != 127 ? key : KEY_NONE;
}

int term_key(struct screen *s)
{
        static bool escape;
        int key;

        if (!is_ours())
                return KEY_ENDED;
        if (s->resized) {
                resize(s);
                return KEY_NONE;
        }
        if (!s->ended && (key = next()) != KEY_NONE) {
                if (key == KEY_PASTED || key == KEY_PASTE_END) {
                        pasted = key == KEY_PASTED;
                        return KEY_NONE;
                }
                if (pasted)
                        return paste_key(s, key);
                if (key == 27 && !escape) {
                        escape = true;
                        return KEY_NONE;
                }
                if (escape && key < KEY_META)
                        key |= KEY_META;
                escape = false;
                return key;
        }
        if (s->ended || fiber_cancelled())
                return KEY_ENDED;
        if ((s->asking || (!s->changed && !s->tick && !s->question)) &&
            wait_on(&s->wake, "keys", NEVER) == -ECANCELED)
                return KEY_ENDED;
        return KEY_NONE;
}
