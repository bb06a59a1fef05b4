/* A line typed: libedit, whose reading of characters waits on the loop, so that everything else goes on while nobody types. */
#include "base/mem.h"
#include "cli/terminal.h"
#include "run/fiber.h"
#include "run/loop.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { LINE_MOST = 64 * 1024, HISTORY_MOST = 1000, NAMES_MOST = 256 * 1024, SHOWN_MOST = 500 };

struct prompt {
        struct prompt_how how;
        EditLine *edit; /* NULL: stdin is no terminal */
        History *history;
        struct buf line;
        struct watch watch;
        struct waitlist waiting;
        bool interrupted;
        bool typing; /* a line is being typed */
};
static struct prompt *at_keyboard; /* whose that is */

/* ---- characters ---- */

static void input_came(struct watch *w, uint32_t events)
{
        struct prompt *p = (struct prompt *)((char *)w - offsetof(struct prompt, watch));

        (void)events;
        wake_all(&p->waiting);
}

static void interrupt(void *context)
{
        struct prompt *p = context;

        p->interrupted = true;
        wake_all(&p->waiting);
}

/* One byte. 1; 0: the end; -1: interrupted or cancelled. */
static int next_byte(struct prompt *p, unsigned char *c)
{
        while (!p->interrupted) {
                ssize_t n;

                if (poll(&(struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN }, 1, 0) > 0) {
                        n = read(STDIN_FILENO, c, 1);
                        if (n >= 0 || (errno != EINTR && errno != EAGAIN))
                                return n > 0 ? 1 : 0;
                        continue;
                }
                if (wait_on(&p->waiting, "a line typed", NEVER) < 0)
                        return -1;
        }
        return -1;
}

/* libedit asks for characters; UTF-8 is taken apart here. What is none is dropped. */
static int next_character(EditLine *edit, wchar_t *out)
{
        struct prompt *p = NULL;
        unsigned char c = 0;
        uint32_t code = 0;
        unsigned more = 0;
        int rc;

        el_get(edit, EL_CLIENTDATA, &p);
        while ((rc = next_byte(p, &c)) > 0) {
                if (more && (c & 0xC0) == 0x80) {
                        code = code << 6 | (c & 0x3F);
                        if (--more)
                                continue;
                        *out = (wchar_t)code;
                        return 1;
                }
                more = c < 0xC2 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF5 ? 3 : 0;
                if (c < 0x80) {
                        *out = (wchar_t)c;
                        return 1;
                }
                code = c & (0x3Fu >> more);
        }
        return rc;
}

/* ---- completion ---- */

/* Words are as the shell's: blanks and quotes inside are escaped. */
static bool is_special(char c)
{
        return c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '\\' || c == ';' || c == '#';
}

/* Where the last word of the line begins: behind the last blank that is neither quoted nor escaped. */
static size_t last_word(struct str line)
{
        size_t begin = 0;
        char quote = 0;

        for (size_t i = 0; i < line.n; i++) {
                char c = line.p[i];

                if (c == '\\' && quote != '\'')
                        i++;
                else if (quote)
                        quote = c == quote ? 0 : quote;
                else if (c == '"' || c == '\'')
                        quote = c;
                else if (c == ' ' || c == '\t')
                        begin = i + 1;
        }
        return begin;
}

/* What all names begin with; never half a character. */
static struct str common(struct str names, unsigned *count)
{
        struct str name, head = S("");

        *count = 0;
        while (names.n) {
                size_t n = 0;

                str_cut(&names, '\n', &name);
                if (!(*count)++) {
                        head = name;
                        continue;
                }
                while (n < head.n && n < name.n && head.p[n] == name.p[n])
                        n++;
                head.n = n;
        }
        while (*count > 1 && head.n && ((unsigned char)head.p[head.n] & 0xC0) == 0x80)
                head.n--;
        return head;
}

/* Names that a person cannot type (control characters) are shown, but never put into the line. */
static void insert(EditLine *edit, size_t typed, struct str name, bool whole)
{
        struct buf auto_buf text = { 0 };

        if (str_has_control(name))
                return;
        buf_init(&text, LINE_MOST);
        for (size_t i = 0; i < name.n; i++) {
                if (is_special(name.p[i]))
                        buf_u8(&text, '\\');
                buf_u8(&text, (uint8_t)name.p[i]);
        }
        if (whole && !str_ends(name, S("/")))
                buf_u8(&text, ' ');
        buf_u8(&text, 0);
        if (text.full)
                return;
        el_deletestr(edit, (int)typed);
        el_insertstr(edit, text.p);
}

/* In columns, only the part behind the last '/'. */
static void show(struct str names, unsigned count)
{
        struct buf auto_buf text = { 0 };
        unsigned width = terminal_width(), column = 0, shown = 0, per_line;
        size_t widest = 1;
        struct str name, rest = names;

        while (rest.n) {
                str_cut(&rest, '\n', &name);
                widest = name.n > widest ? name.n : widest;
        }
        per_line = width / (unsigned)(widest + 2) ? width / (unsigned)(widest + 2) : 1;
        buf_init(&text, 4 * NAMES_MOST);
        buf_puts(&text, S("\n"));
        while (names.n && shown++ < SHOWN_MOST) {
                size_t before;

                str_cut(&names, '\n', &name);
                if (str_rfind(str_sub(name, 0, name.n - (name.n > 0)), '/') != STR_NONE)
                        name = str_from_at(name, str_rfind(str_sub(name, 0, name.n - (name.n > 0)), '/') + 1);
                before = text.n;
                terminal_safe(&text, name);
                if (++column == per_line || !names.n) {
                        buf_puts(&text, S("\n"));
                        column = 0;
                } else {
                        for (size_t n = text.n - before; n < widest + 2; n++)
                                buf_u8(&text, ' ');
                }
        }
        if (names.n)
                buf_printf(&text, "%s... %u more\n", column ? "\n" : "", count - shown);
        fwrite(text.p, 1, text.n, stdout);
        fflush(stdout);
}

static unsigned char complete(EditLine *edit, int key)
{
        const LineInfo *l = el_line(edit);
        struct buf auto_buf names = { 0 }, auto_buf typed = { 0 };
        struct prompt *p = NULL;
        struct str line, all, head;
        unsigned count;
        size_t word;

        (void)key;
        el_get(edit, EL_CLIENTDATA, &p);
        if (!p->how.complete)
                return CC_REFRESH_BEEP;
        buf_init(&typed, LINE_MOST);
        buf_init(&names, NAMES_MOST);
        buf_puts(&typed, str_from(l->buffer, (size_t)(l->cursor - l->buffer)));
        line = buf_str(&typed);
        word = last_word(line);
        p->how.complete(p->how.context, line, word, &names);
        all = buf_str(&names);
        if (str_ends(all, S("\n")))
                all.n--;
        if (!all.n)
                return CC_REFRESH_BEEP;
        head = common(all, &count);
        if (count == 1 || head.n > line.n - word) {
                size_t characters = 0; /* what el_deletestr counts */

                for (size_t i = word; i < line.n; i++)
                        characters += ((unsigned char)line.p[i] & 0xC0) != 0x80;
                insert(edit, characters, head, count == 1);
                return CC_REFRESH;
        }
        show(all, count);
        return CC_REDISPLAY;
}

/* ---- lines ---- */

/* The leak checker asks for this: libedit never frees the two words that EL_ADDFN makes it copy. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
        return "leak:wcsdup\n";
}

static char *prompt_text(EditLine *edit)
{
        struct prompt *p = NULL;

        el_get(edit, EL_CLIENTDATA, &p);
        return (char *)p->how.text(p->how.context);
}

struct prompt *prompt_new(const struct prompt_how *how)
{
        struct prompt *p = mem_new(struct prompt);
        HistEvent e;

        p->how = *how;
        p->watch = (struct watch){ STDIN_FILENO, input_came };
        if (!terminal_is(STDIN_FILENO) || !terminal_is(STDOUT_FILENO)) {
                buf_init(&p->line, STDIN_LINE_MOST + 1);
                return p;
        }
        buf_init(&p->line, LINE_MOST);
        setlocale(LC_CTYPE, "C.UTF-8"); /* libedit's idea of characters; ours is always UTF-8 */
        p->edit = el_init("pail", stdin, stdout, stderr);
        if (!p->edit)
                return p;
        p->history = history_init();
        el_set(p->edit, EL_CLIENTDATA, p);
        el_set(p->edit, EL_PROMPT, prompt_text);
        el_set(p->edit, EL_EDITOR, "emacs");
        el_set(p->edit, EL_SIGNAL, 0);
        el_set(p->edit, EL_GETCFN, next_character);
        el_set(p->edit, EL_ADDFN, "pail-complete", "completes the word", complete);
        el_set(p->edit, EL_BIND, "^I", "pail-complete", NULL);
        el_set(p->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
        el_source(p->edit, NULL); /* ~/.editrc */
        if (p->history) {
                history(p->history, &e, H_SETSIZE, HISTORY_MOST);
                history(p->history, &e, H_SETUNIQUE, 1);
                if (how->history)
                        history(p->history, &e, H_LOAD, how->history);
                el_set(p->edit, EL_HIST, history, p->history);
        }
        return p;
}

/* The terminal has another width while a line is typed. */
static void resized(int signo)
{
        (void)signo;
        if (!at_keyboard)
                return;
        prompt_away(at_keyboard);
        el_resize(at_keyboard->edit);
        prompt_back(at_keyboard);
}

static const char *edited_line(struct prompt *p)
{
        HistEvent e;
        int n = 0;
        const char *line;

        if (watch_add(&p->watch, EPOLLIN) < 0)
                return NULL;
        terminal_on_interrupt(interrupt, p);
        el_resize(p->edit);
        at_keyboard = p;
        loop_signal(SIGWINCH, resized);
        p->typing = true;
        line = el_gets(p->edit, &n);
        p->typing = false;
        loop_signal(SIGWINCH, NULL);
        at_keyboard = NULL;
        watch_remove(&p->watch);
        terminal_on_interrupt(NULL, NULL);
        if (p->interrupted || !line || n <= 0) {
                printf(p->interrupted ? "^C\n" : "\n");
                el_reset(p->edit);
                return p->interrupted ? "" : NULL;
        }
        buf_puts(&p->line, str_from(line, (size_t)n));
        while (p->line.n && (p->line.p[p->line.n - 1] == '\n' || p->line.p[p->line.n - 1] == '\r'))
                p->line.n--;
        if (p->line.n && p->history && p->line.p[0] != ' ' &&
            (!p->how.keep || p->how.keep(p->how.context, buf_str(&p->line)))) {
                buf_u8(&p->line, 0);
                history(p->history, &e, H_ENTER, p->line.p);
                p->line.n--;
        }
        buf_u8(&p->line, 0);
        return p->line.full ? "" : p->line.p;
}

const char *prompt_line(struct prompt *p, bool *interrupted)
{
        const char *line;

        fflush(stdout);
        buf_clear(&p->line);
        p->interrupted = false;
        if (p->edit) {
                line = edited_line(p);
        } else if (terminal_line(&p->line)) {
                buf_u8(&p->line, 0);
                line = p->line.full ? "" : p->line.p;
        } else {
                line = NULL;
        }
        if (interrupted)
                *interrupted = p->interrupted;
        return line;
}

void prompt_away(struct prompt *p)
{
        if (p->typing)
                printf("\r\033[K");
}

void prompt_back(struct prompt *p)
{
        if (!p->typing)
                return;
        fflush(stdout);
        el_set(p->edit, EL_REFRESH);
}

void prompt_free(struct prompt **p)
{
        HistEvent e;

        if (!*p)
                return;
        if ((*p)->history && (*p)->how.history)
                history((*p)->history, &e, H_SAVE, (*p)->how.history); /* for its owner's eyes: mode 600 */
        if ((*p)->edit)
                el_end((*p)->edit);
        if ((*p)->history)
                history_end((*p)->history);
        buf_free(&(*p)->line);
        mem_free(*p);
        *p = NULL;
}
